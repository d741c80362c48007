//! `letterlock contact add|list|verify|block`

use super::{Job, Profile, absolute};
use crate::{duration, failure, os};
use clap::{ArgGroup, Args, Subcommand};
use client::api::Request;
use client::view::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// Add, list, verify and block contacts
#[derive(Debug, Args)]
pub(crate) struct ContactArgs {
    #[command(subcommand)]
    command: ContactCommand,
}

#[derive(Debug, Subcommand)]
enum ContactCommand {
    /// Add a contact by an invite (verified at once) or by NAME@RELAY (claimed until verified)
    #[command(after_help = "\
Examples:
  letterlock contact add 'letterlock:...'
  letterlock contact add 'bob@https://relay.example#sha256=...' --as 'bob of the choir'")]
    Add {
        /// An invite, or NAME@RELAY
        #[arg(value_name = "INVITE|NAME@RELAY")]
        who: String,
        /// What to call the contact here
        #[arg(long = "as", value_name = "NAME")]
        petname: Option<String>,
    },
    /// List contacts and how sure one may be of each
    List,
    Verify(VerifyArgs),
    /// Show what was kept when the identity of a contact was not the one known here
    ///
    /// Each piece holds the pinned account log and what was shown instead, as received and signed, so that it can
    /// be shown to others.
    #[command(after_help = "\
Example:
  letterlock contact evidence bob --save evidence")]
    Evidence {
        /// The contact
        name: String,
        /// Write each piece to a file in this folder
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
    },
    /// Take no more letters from a contact
    #[command(after_help = "\
Examples:
  letterlock contact block bob
  letterlock contact block bob --undo")]
    Block {
        /// The contact
        name: String,
        /// Take letters again
        #[arg(long)]
        undo: bool,
    },
}

/// Make sure that a contact is the person you mean, and that nobody stands between you
///
/// Face to face, or in a call where you know the voice. One way is enough; each verifies the contact on this side.
///
/// --number shows 60 digits, which are the same on both sides if nobody stands between you. Without a terminal they
/// are printed and nothing is noted.
///
/// --sas needs both of you at once, and little reading: both type it, both see the same seven pictures and eight
/// digits, both say so. Whoever types it first waits for the other. The pictures are on standard error. Exit code 3
/// means that they differ, or that somebody may stand between you.
///
/// --qr shows a code that the other side compares with --scan; what does not fit is refused with exit code 3. Then the
/// other way round.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("way").args(["number", "sas", "qr", "scan"])),
    after_help = "\
Examples:
  letterlock contact verify bob --sas
  letterlock contact verify bob --qr
  letterlock contact verify alice --scan letterlock-verify-1:AEAQCAIB..."
)]
struct VerifyArgs {
    /// The contact
    name: String,
    /// By safety number, which is what happens without this flag too
    #[arg(long)]
    number: bool,
    /// By seven pictures or eight digits, while both are there
    #[arg(long)]
    sas: bool,
    /// Print the code that the other side scans, and draw it on standard error
    #[arg(long)]
    qr: bool,
    /// Compare with the code that the other side shows; - takes it from standard input
    #[arg(long, value_name = "CODE|-")]
    scan: Option<String>,
    /// Say that both see the same, without asking; for scripts that compare what both sides printed
    #[arg(long, conflicts_with_all = ["qr", "scan"])]
    yes: bool,
    /// How long to wait for the other side, at most ten minutes
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration::parse, requires = "sas", conflicts_with_all = ["number", "qr", "scan"])]
    timeout: Duration,
}

/// A comparison of short codes.
#[derive(Debug)]
pub(crate) struct Sas {
    /// With whom.
    pub(crate) contact: String,
    /// Whether the person has said already that they are equal.
    pub(crate) yes: bool,
    /// How long to wait for the other side, in milliseconds.
    pub(crate) timeout_ms: u64,
}

/// A comparison of safety numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verify {
    /// With whom.
    pub(crate) contact: String,
    /// Whether the person has said already that they are equal.
    pub(crate) compared: bool,
}

impl ContactArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = match self.command {
            ContactCommand::Add { who, petname } => Request::ContactAdd { who, petname },
            ContactCommand::List => Request::ContactList,
            ContactCommand::Verify(args) => return args.into_job(profile),
            ContactCommand::Evidence { name, save } => Request::ContactEvidence {
                contact: name,
                save: save.map(absolute).transpose()?,
            },
            ContactCommand::Block { name, undo } => Request::ContactBlock {
                contact: name,
                blocked: !undo,
            },
        };
        Ok(Job::Ask(profile, request))
    }
}

impl VerifyArgs {
    fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let contact = self.name;
        if self.sas {
            let sas = Sas {
                contact,
                yes: self.yes,
                timeout_ms: duration::millis(self.timeout),
            };
            return Ok(Job::Sas(profile, sas));
        }
        if self.qr {
            return Ok(Job::AskAsQr(profile, Request::CodeShow { contact }));
        }
        if let Some(code) = self.scan {
            let code = scanned(code)?;
            return Ok(Job::Ask(profile, Request::CodeScanned { contact, code }));
        }
        let compared = self.yes;
        Ok(Job::Verify(profile, Verify { contact, compared }))
    }
}

/// The code as typed, or the first line of standard input.
fn scanned(code: String) -> Result<String, Failure> {
    if code != "-" {
        return Ok(code);
    }
    let line = os::line_of_standard_input().map_err(|_| {
        failure::usage(
            "standard input has no line with a code",
            "pipe the line of `letterlock contact verify NAME --qr` into it",
        )
    })?;
    Ok(line.to_string())
}
