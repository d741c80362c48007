//! `letterlock custody`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// List every key that can open something, and where it lives
///
/// Computed from the account logs and this home. "can": the key is there. "may": what this home knows does not decide
/// it. The relay is never in the list: it has no key that opens anything.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock custody account
  letterlock custody bob
  letterlock custody LETTER-ID
  letterlock custody LETTER-ID/1")]
pub(crate) struct CustodyArgs {
    /// `account`, a contact (and the conversation with it), a group (who reads what is sent now), the id of a letter, LETTER-ID/N for its Nth file
    #[arg(value_name = "ITEM")]
    item: String,
}

impl CustodyArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        Job::Ask(profile, Request::Custody { item: self.item })
    }
}
