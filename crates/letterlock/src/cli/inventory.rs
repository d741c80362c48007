//! `letterlock inventory`

use super::{Job, Profile, absolute};
use clap::Args;
use client::view::Failure;
use std::path::PathBuf;

/// List algorithms and keys: states, ages, due dates
///
/// The states are those of NIST SP 800-57. What is due is replaced by itself. No key is ever printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock inventory
  letterlock inventory --cbom cbom.json")]
pub(crate) struct InventoryArgs {
    /// Also write a CycloneDX 1.6 cryptography bill of materials to this file
    #[arg(long, value_name = "FILE")]
    cbom: Option<PathBuf>,
}

impl InventoryArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let cbom = self.cbom.map(absolute).transpose()?;
        Ok(Job::Inventory(profile, cbom))
    }
}
