//! `letterlock invite`

use super::{Job, Profile};
use crate::duration;
use clap::Args;
use client::api::Request;
use std::time::Duration;

/// Print an invite that also verifies, alone on one line
///
/// Give it to one person by a way that you trust: whoever adds it has verified you, because it names your account.
/// It works once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock invite
  letterlock invite --qr --expires 1h")]
pub(crate) struct InviteArgs {
    /// Draw it as a QR code too, on standard error
    #[arg(long)]
    qr: bool,
    /// How long it works
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration::parse)]
    expires: Duration,
}

impl InviteArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::Invite {
            valid_for_seconds: duration::seconds(self.expires),
        };
        if self.qr {
            Job::AskAsQr(profile, request)
        } else {
            Job::Ask(profile, request)
        }
    }
}
