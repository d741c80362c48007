//! `letterlock react`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// React to a letter with a sign or a word
///
/// Everybody in the conversation sees it under the letter. A second reaction takes the place of the first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock react LETTER-ID 👍
  letterlock react LETTER-ID --remove")]
pub(crate) struct ReactArgs {
    /// The id of the letter, as `read` shows it
    #[arg(value_name = "LETTER-ID")]
    letter: String,
    /// The reaction, at most 32 bytes
    #[arg(required_unless_present = "remove")]
    emoji: Option<String>,
    /// Take the reaction back
    #[arg(long, conflicts_with = "emoji")]
    remove: bool,
}

impl ReactArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::React {
            letter: self.letter,
            emoji: self.emoji,
        };
        Job::Ask(profile, request)
    }
}
