//! `letterlock doctor`

use clap::Args;

/// Show what this program is made of
///
/// Its version, and name and version of the cryptographic module that it is linked with. No home is opened.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock doctor
  letterlock doctor --fips")]
pub(crate) struct DoctorArgs {
    /// Refuse where it is not the FIPS module in FIPS mode
    #[arg(long)]
    pub(crate) fips: bool,
}
