//! What a person is told when a command does not do what was asked: kind, message, hint.
//!
//! The type is the client's [`Failure`], because failures of the client and of this program look the same. The kind
//! sets the exit code.

use client::view::{Failure, FailureKind};
use std::io;
use std::process::ExitCode;

/// Makes a failure.
pub(crate) fn new(
    kind: FailureKind,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Failure {
    Failure {
        kind,
        message: message.into(),
        hint: Some(hint.into()),
    }
}

/// The words of the command are off.
pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    new(FailureKind::Usage, message, hint)
}

/// Something outside failed.
pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    new(FailureKind::Failed, message, hint)
}

/// A file that was named could not be used; one that is not there is [`FailureKind::NotFound`].
pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => FailureKind::NotFound,
        _ => FailureKind::Failed,
    };
    let reason = error.kind();
    new(
        kind,
        format!("{what} {}: {reason}", path.display()),
        format!("look at it with: ls -l {}", path.display()),
    )
}

/// Why a command stops early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed.
    Failed(Failure),
    /// Whoever read the output wants no more of it.
    OutputClosed,
    /// A person asked it to stop.
    Interrupted,
}

impl Stop {
    /// *Shape*: the kind's code; 0 where the reader left; 130 (128 and SIGINT) after an interrupt.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(failure) => ExitCode::from(failure.kind.exit_code()),
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::Failed(failed(
            format!("the output cannot be written: {}", error.kind()),
            "look whether the disk is full: df -h",
        ))
    }
}
