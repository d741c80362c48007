//! `letterlock delete`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// Delete letters on all devices of this account
///
/// The other side keeps its copy, unless the letter is yours and --everyone is given: then it goes everywhere, and
/// only that it was there stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock delete LETTER-ID
  letterlock delete LETTER-ID OTHER-ID --everyone")]
pub(crate) struct DeleteArgs {
    /// Ids of the letters, as `read` shows them
    #[arg(required = true, value_name = "LETTER-ID")]
    letters: Vec<String>,
    /// Delete letters that you wrote for everybody who has them
    #[arg(long)]
    everyone: bool,
}

impl DeleteArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::Delete {
            letters: self.letters,
            everyone: self.everyone,
        };
        Job::Ask(profile, request)
    }
}
