//! `letterlock read`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// Read the letters stored in this home, oldest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock read
  letterlock read bob --limit 20")]
pub(crate) struct ReadArgs {
    /// Only the letters with this contact, or of this group
    conversation: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl ReadArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::Read {
            conversation: self.conversation,
            limit: self.limit,
        };
        Job::Ask(profile, request)
    }
}
