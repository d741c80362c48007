//! `letterlock edit`

use super::{Job, Profile, send};
use clap::Args;
use client::api::Request;
use client::view::Failure;

/// Give a letter of yours another text
///
/// Within 24 hours, at most 10 times. Everybody who has the letter sees the new text and that it was edited; the old
/// text is kept nowhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock edit LETTER-ID 'See you at ten'
  date | letterlock edit LETTER-ID -")]
pub(crate) struct EditArgs {
    /// The id of the letter, as `read` shows it
    #[arg(value_name = "LETTER-ID")]
    letter: String,
    /// The text, or - to take it from standard input
    text: String,
}

impl EditArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = Request::Edit {
            letter: self.letter,
            text: send::typed(&self.text)?,
        };
        Ok(Job::Ask(profile, request))
    }
}
