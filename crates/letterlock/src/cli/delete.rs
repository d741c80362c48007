//! `letterlock delete`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// Delete letters on all devices of this account
///
/// The other side keeps its copy.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Ids of the letters, as `read` shows them
    #[arg(required = true, value_name = "LETTER-ID")]
    letters: Vec<String>,
}

impl DeleteArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::Delete {
            letters: self.letters,
        };
        Job::Ask(profile, request)
    }
}
