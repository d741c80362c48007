//! `letterlock recovery sheet|restore|status`

use super::{Job, Profile, absolute};
use crate::{failure, os};
use clap::{Args, Subcommand};
use client::api::Request;
use client::view::{Failure, HiddenText};
use std::io;
use std::path::{Path, PathBuf};

/// Come back after all devices are lost, and see what would happen then
///
/// Nobody else keeps a key for you: without a device and without a sheet an account is lost.
#[derive(Debug, Args)]
pub(crate) struct RecoveryArgs {
    #[command(subcommand)]
    command: RecoveryCommand,
}

#[derive(Debug, Subcommand)]
enum RecoveryCommand {
    /// Draw a recovery sheet: 52 characters for paper, alone on the first line
    ///
    /// They are shown once. Retype them from the paper; then the sheet comes into force, ends the one before, and an
    /// encrypted backup of contacts and letters goes to the relay and stays up to date. Only the sheet opens it.
    #[command(after_help = "\
Examples:
  letterlock recovery sheet --pdf sheet.pdf
  letterlock recovery sheet --old -")]
    Sheet {
        /// Bring it into force without retyping it; for scripts that keep what they read
        #[arg(long)]
        yes: bool,
        /// Write it as one page of A4 with a QR code too, to a new file that only you can read
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
        /// The sheet in force, from a line of standard input or a file: the new one opens the root key too
        #[arg(long, value_name = "-|FILE")]
        old: Option<PathBuf>,
    },
    /// Make this home a device of the account that a sheet leads to
    ///
    /// Makes the home, asks for a new passphrase, and brings account, contacts and letters back from the backup at the
    /// relay. If it is interrupted, the same command goes on where it was. The sheet stays valid.
    #[command(after_help = "\
Example:
  letterlock recovery restore --relay http://127.0.0.1:8440 --sheet -")]
    Restore {
        /// The relay of the account; it stands on the sheet's page
        #[arg(long, value_name = "URL")]
        relay: String,
        /// The sheet, from standard input or a file [default: asks for it]
        #[arg(long, value_name = "-|FILE")]
        sheet: Option<PathBuf>,
        /// What to call this device [default: the name of this machine]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show what would happen today if each device, the sheet or the relay were lost
    Status,
}

/// A sheet to draw.
#[derive(Debug)]
pub(crate) struct NewSheet {
    /// Whether it need not be retyped.
    pub(crate) yes: bool,
    /// Where to write it as a page.
    pub(crate) pdf: Option<PathBuf>,
    /// The sheet in force.
    pub(crate) old: Option<HiddenText>,
}

/// An account to bring back.
#[derive(Debug)]
pub(crate) struct Restoration {
    /// The relay.
    pub(crate) relay: String,
    /// The sheet; without one a person is asked.
    pub(crate) sheet: Option<HiddenText>,
    /// What to call this device.
    pub(crate) name: Option<String>,
}

impl RecoveryArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        match self.command {
            RecoveryCommand::Sheet { yes, pdf, old } => {
                let sheet = NewSheet {
                    yes,
                    pdf: pdf.map(absolute).transpose()?,
                    // Behind it on standard input comes the new one, retyped.
                    old: old.map(|from| read(&from, true)).transpose()?,
                };
                Ok(Job::NewSheet(profile, sheet))
            }
            RecoveryCommand::Restore { relay, sheet, name } => {
                let restoration = Restoration {
                    relay,
                    sheet: sheet.map(|from| read(&from, false)).transpose()?,
                    name,
                };
                Ok(Job::Restore(profile, restoration))
            }
            RecoveryCommand::Status => Ok(Job::Ask(profile, Request::RecoveryStatus)),
        }
    }
}

/// Reads a sheet from a file, or for `-` from standard input, of which `one_line` takes no more than that.
///
/// *Errors*: what is there is no sheet.
pub(super) fn read(from: &Path, one_line: bool) -> Result<HiddenText, Failure> {
    let typed = match from == Path::new("-") {
        true if one_line || os::is_terminal() => os::line_of_standard_input(),
        true => os::short_text(&mut io::stdin().lock()),
        false => os::short_file(from),
    };
    let typed = typed.map_err(|error| match from == Path::new("-") {
        true => failure::usage(
            "standard input has no sheet",
            "pipe the 13 groups of the sheet into it",
        ),
        false => failure::file("the sheet's file", from, &error),
    })?;
    client::read_sheet(&HiddenText::from(typed.to_string()))
}
