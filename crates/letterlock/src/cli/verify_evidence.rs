//! `letterlock verify-evidence`

use super::Job;
use clap::Args;
use std::path::PathBuf;

/// Check a file of evidence: what it proves, and against whom
///
/// Verifies every signature in a file that `contact evidence --save` or `account evidence --save` wrote. Needs no
/// home, no network and no passphrase. Exit code 0: what was shown contradicts what was known. 1: it does not, and
/// the file proves nothing. 3: the file is damaged, or is no evidence.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  letterlock verify-evidence FILE.evidence")]
pub(crate) struct VerifyEvidenceArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl VerifyEvidenceArgs {
    pub(super) fn into_job(self) -> Job {
        Job::VerifyEvidence(self.file)
    }
}
