//! Programs that commands start.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What went wrong and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn reading(path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot read {}: {error}", path.display()), "")
    }
}

/// A program with its arguments, printable as one would type it.
#[derive(Clone, Debug)]
pub(crate) struct Line(Vec<String>);

impl Line {
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Splits at blanks: for lines without quoting.
    pub(crate) fn parse(line: &str) -> Self {
        Self(line.split_whitespace().map(str::to_owned).collect())
    }

    pub(crate) fn with(mut self, word: impl Into<String>) -> Self {
        self.0.push(word.into());
        self
    }

    pub(crate) fn shown(&self) -> String {
        self.0.join(" ")
    }

    /// Runs the program with our own input and output.
    ///
    /// Errors: it cannot be started, or it ends with another code than 0.
    pub(crate) fn run(&self, folder: &Path) -> Result<(), Failure> {
        let failed = |why: String| {
            Failure::new(
                format!("`{}` {why}", self.shown()),
                format!("repeat it with: {}", self.shown()),
            )
        };
        let status = self
            .command(folder)
            .status()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(failed(format!("ended with code {code}"))),
            None => Err(failed("was killed".to_owned())),
        }
    }

    /// Whether the program starts and ends with code 0; what it says is dropped.
    pub(crate) fn succeeds(&self, folder: &Path) -> bool {
        self.command(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Runs the program and returns its standard output.
    pub(crate) fn output(&self, folder: &Path) -> Result<Vec<u8>, Failure> {
        let output = self
            .command(folder)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| {
                Failure::new(format!("`{}` cannot be started: {error}", self.shown()), "")
            })?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(Failure::new(format!("`{}` failed", self.shown()), ""))
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let (program, arguments) = match self.0.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("true", &[][..]),
        };
        // The cargo that runs us knows which toolchain it is.
        let cargo = std::env::var_os("CARGO");
        let program = match &cargo {
            Some(cargo) if program == "cargo" => cargo.as_os_str(),
            _ => OsStr::new(program),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        command
    }
}
