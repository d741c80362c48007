//! `letterlock recovery sheet|restore|status|guardians|clear|request|continue|abandon|approve|shares|cancel`

use super::{Job, Profile, absolute};
use crate::{duration, failure, os};
use clap::{Args, Subcommand, ValueEnum};
use client::api::Request;
use client::view::{Failure, HiddenText};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Come back after all devices are lost, and see what would happen then
///
/// Nobody else keeps a key for you: without a device, without a sheet and without guardians an account is lost.
///
/// A sheet is paper that you keep. Guardians are contacts, of whom a few together give the account back to you, after
/// a delay in which any device of yours can refuse.
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
    /// Show what would happen today if each device, the sheet, the guardians or the relay were lost
    Status,
    /// Share the way back among contacts, or show who they are and who has a share
    ///
    /// Each guardian keeps an encrypted share that is worth nothing alone. So many of them as are needed, and the relay
    /// after the delay, give the account back to whoever asks with `recovery request`. Guardians who are named replace
    /// the earlier ones.
    #[command(after_help = "\
Examples:
  letterlock recovery guardians --need 3 ann ben cem dina emil
  letterlock recovery guardians")]
    Guardians {
        /// Contacts, two to sixteen
        #[arg(value_name = "NAME", requires = "need")]
        names: Vec<String>,
        /// How many of them must say yes, at least two
        #[arg(long, value_name = "NUMBER", requires = "names")]
        need: Option<u8>,
        /// How long your devices can refuse a request, 60s to 60d; the account log counts whole hours [default: 2d]
        #[arg(long, value_name = "TIME", requires = "names", value_parser = duration::parse)]
        delay: Option<Duration>,
        /// The recovery sheet, from standard input or a file: the guardians' backup holds the root key too
        #[arg(long, value_name = "-|FILE", requires = "names")]
        sheet: Option<PathBuf>,
    },
    /// End a way back: the sheet or the guardians, and the backup that they open
    #[command(after_help = "\
Examples:
  letterlock recovery clear sheet
  letterlock recovery clear guardians")]
    Clear {
        /// Which
        method: Method,
        /// End it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Ask, on a bare machine, to come back through guardians: print a code for them, alone on the first line
    ///
    /// Makes the home and asks for a new passphrase. Tell the code to each guardian by voice or at a meeting, so that
    /// they know who asks; whoever has it can only say yes to this machine. Then type `recovery continue`. Typed
    /// again, the command shows the code again.
    #[command(after_help = "\
Example:
  letterlock recovery request alice --relay http://127.0.0.1:8440")]
    Request {
        /// The account: its name at the relay, or its id
        account: String,
        /// The relay of the account
        #[arg(long, value_name = "URL")]
        relay: String,
        /// What to call this device [default: the name of this machine]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Go on with what this machine asked for: wait for guardians and the delay, then bring everything back
    ///
    /// It may be interrupted at any time and goes on where it was.
    #[command(after_help = "\
Examples:
  letterlock recovery continue
  letterlock recovery continue --timeout 10m")]
    Continue {
        /// How long to wait [default: until the account is back]
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        timeout: Option<Duration>,
    },
    /// Give up what this machine asked for
    ///
    /// The request stands in the account log until a device of the account refuses it. Until a day after its time the
    /// relay takes no other one.
    Abandon,
    /// Say yes, as a guardian: give your share to the machine whose code you were told
    ///
    /// Only if the person told you the code by voice or at a meeting, and you know the voice or the face: a message
    /// may be from somebody else.
    #[command(after_help = "\
Examples:
  letterlock recovery approve alice 000G-40R4-0M30-...
  letterlock recovery approve alice -")]
    Approve {
        /// The contact who asks
        name: String,
        /// The code, in one piece or several, or - for a line of standard input
        #[arg(required = true)]
        code: Vec<String>,
        /// Say yes without asking
        #[arg(long)]
        yes: bool,
    },
    /// List the shares that are kept here for contacts
    Shares,
    /// Refuse what somebody asked of your guardians; any device of the account can
    Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// The recovery sheet
    Sheet,
    /// The guardians
    Guardians,
}

/// What is done around guardians.
#[derive(Debug)]
pub(crate) enum ByGuardians {
    /// The owner names them, or asks who they are.
    SetOrShow(Request),
    /// The owner ends a way back.
    Clear(Clearing),
    /// A bare machine asks them.
    Ask(Request),
    /// A bare machine waits for them.
    ComeBack(Request),
    /// One of them says yes.
    Approve(Approval),
}

/// A share to give.
#[derive(Debug)]
pub(crate) struct Approval {
    /// The contact who asks.
    pub(crate) name: String,
    /// The code that was told.
    pub(crate) code: HiddenText,
    /// Whether the person has said yes already.
    pub(crate) yes: bool,
}

/// A way back to end.
#[derive(Debug)]
pub(crate) struct Clearing {
    /// Which.
    pub(crate) method: Method,
    /// Whether the person has said yes already.
    pub(crate) yes: bool,
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
            RecoveryCommand::Guardians {
                names,
                need,
                delay,
                sheet,
            } => {
                let request = match need {
                    Some(need) => Request::GuardiansSet {
                        need,
                        guardians: names,
                        delay_seconds: delay.map(duration::seconds),
                        sheet: sheet.map(|from| read(&from, false)).transpose()?,
                    },
                    None => Request::GuardiansShow,
                };
                Ok(Job::Guardians(profile, ByGuardians::SetOrShow(request)))
            }
            RecoveryCommand::Clear { method, yes } => {
                let clearing = Clearing { method, yes };
                Ok(Job::Guardians(profile, ByGuardians::Clear(clearing)))
            }
            RecoveryCommand::Request {
                account,
                relay,
                name,
            } => {
                let request = Request::RecoveryRequest {
                    account,
                    relay,
                    name,
                };
                Ok(Job::Guardians(profile, ByGuardians::Ask(request)))
            }
            RecoveryCommand::Continue { timeout } => {
                let timeout_ms = timeout.map(duration::millis);
                let request = Request::RecoveryContinue { timeout_ms };
                Ok(Job::Guardians(profile, ByGuardians::ComeBack(request)))
            }
            RecoveryCommand::Abandon => Ok(Job::Ask(profile, Request::RecoveryAbandon)),
            RecoveryCommand::Approve { name, code, yes } => {
                let code = told(&code)?;
                let approval = Approval { name, code, yes };
                Ok(Job::Guardians(profile, ByGuardians::Approve(approval)))
            }
            RecoveryCommand::Shares => Ok(Job::Ask(profile, Request::RecoveryShares)),
            RecoveryCommand::Cancel => Ok(Job::Ask(profile, Request::RecoveryCancel)),
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

/// The code as typed, or a line of standard input.
fn told(words: &[String]) -> Result<HiddenText, Failure> {
    if let [dash] = words
        && dash == "-"
    {
        let line = os::line_of_standard_input().map_err(|_| {
            failure::usage(
                "standard input has no line with a code",
                "pipe the 11 groups of the code into it",
            )
        })?;
        return Ok(HiddenText::from(line.to_string()));
    }
    Ok(HiddenText::from(words.join(" ")))
}
