//! `letterlock receive`

use super::{Job, Profile, absolute};
use crate::duration;
use clap::Args;
use client::api::Request;
use client::view::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// Receive letters and show each once
///
/// Shows every letter that was not shown before, in order, and ends when all that lay at the relay is shown. With
/// --timeout it waits for more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock receive
  letterlock receive --timeout 10s --save received
  letterlock receive --follow")]
pub(crate) struct ReceiveArgs {
    /// Go on until interrupted
    #[arg(long)]
    follow: bool,
    /// Wait so long for a first and for each further letter, for example 10s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Save the files of the letters in this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

impl ReceiveArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = Request::Receive {
            follow: self.follow,
            timeout_ms: self.timeout.map(duration::millis),
            save: self.save.map(absolute).transpose()?,
        };
        Ok(Job::Ask(profile, request))
    }
}
