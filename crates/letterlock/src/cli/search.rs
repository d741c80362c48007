//! `letterlock search`

use super::{Job, Profile};
use clap::Args;
use client::api::Request;

/// Search the letters stored in this home
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock search red apples
  letterlock search apples --limit 5")]
pub(crate) struct SearchArgs {
    /// Words that must all occur
    #[arg(required = true)]
    words: Vec<String>,
    /// At most so many letters
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl SearchArgs {
    pub(super) fn into_job(self, profile: Profile) -> Job {
        let request = Request::Search {
            words: self.words.join(" "),
            limit: self.limit,
        };
        Job::Ask(profile, request)
    }
}
