//! `letterlock keygen`

use super::{Job, absolute};
use clap::Args;
use client::view::Failure;
use std::path::{Path, PathBuf};

/// Make an identity for files that belong to no account
///
/// It is post-quantum (X-Wing). Whoever has its file opens what was sealed to its recipient, age1pq1..., in either
/// format. The file is for its owner's eyes alone and under no passphrase.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock keygen --out identity.txt
  letterlock seal report.pdf --to age1pq1...
  letterlock open report.pdf.lock -i identity.txt")]
pub(crate) struct KeygenArgs {
    /// The new file, or - for standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl KeygenArgs {
    pub(super) fn into_job(self) -> Result<Job, Failure> {
        let out = self.out.filter(|out| out != Path::new("-"));
        out.map(absolute).transpose().map(Job::Keygen)
    }
}
