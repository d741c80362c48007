//! `letterlock send`

use super::{Job, Profile, absolute};
use crate::{duration, failure, os};
use clap::Args;
use client::api::Request;
use client::view::Failure;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Send a letter, with files of any size
///
/// The letter is stored in this home before anything leaves it. Where the relay cannot be reached it stays in the
/// outbox and leaves with a later command; that is no error unless --wait is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock send bob 'See you at nine'
  date | letterlock send bob -
  letterlock send bob 'The plans' --file plans.pdf --file model.step
  letterlock send bob 'Gone tomorrow' --expires 1d")]
pub(crate) struct SendArgs {
    /// The contact, or the group
    to: String,
    /// The text, or - to take it from standard input; may be left out when there are files
    text: Option<String>,
    /// Enclose a file; may be given several times
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Delete the letter on both sides after this time, for example 1d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires: Option<Duration>,
    /// The id of the letter that this one answers
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    /// Fail with exit code 4 if the relay has not accepted the letter in time
    #[arg(long)]
    wait: bool,
    /// How long to try before the letter is left to the outbox; an upload goes on as long as it moves
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
}

impl SendArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let text = text(self.text, !self.files.is_empty(), &self.to)?;
        let request = Request::Send {
            to: self.to,
            text,
            files: self.files.into_iter().map(file).collect::<Result<_, _>>()?,
            expires_seconds: self.expires.map(duration::seconds),
            reply_to: self.reply_to,
            wait: self.wait,
            timeout_ms: duration::millis(self.timeout),
        };
        Ok(Job::Ask(profile, request))
    }
}

fn text(typed: Option<String>, has_files: bool, to: &str) -> Result<String, Failure> {
    let text = self::typed(typed.as_deref().unwrap_or_default())?;
    if text.is_empty() && !has_files {
        return Err(failure::usage(
            "there is nothing to send",
            format!("letterlock send {to} TEXT, or - for standard input, or --file PATH"),
        ));
    }
    Ok(text)
}

/// A text as typed, or from standard input.
pub(super) fn typed(text: &str) -> Result<String, Failure> {
    match text {
        "-" => os::standard_input().map_err(|error| not_text(&error)),
        text => Ok(text.to_owned()),
    }
}

fn not_text(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::InvalidData => "standard input is not UTF-8 text",
        io::ErrorKind::FileTooLarge => "standard input is too long for a letter",
        _ => "standard input cannot be read",
    };
    failure::usage(reason, "send it as a file: --file PATH")
}

fn file(path: PathBuf) -> Result<PathBuf, Failure> {
    match path.metadata() {
        Ok(meta) if meta.is_dir() => Err(failure::usage(
            format!("{} is a folder", path.display()),
            "pack it first: tar -czf folder.tar.gz FOLDER",
        )),
        Ok(_) => absolute(path),
        Err(error) => Err(failure::file("the file", &path, &error)),
    }
}
