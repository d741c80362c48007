//! `letterlock device link|accept|list|revoke|rotate|rename`

use super::{Job, Profile, recovery};
use crate::{duration, failure, os};
use clap::{Args, Subcommand, ValueEnum};
use client::api::Request;
use client::view::{Failure, HiddenText, RevokeReason};
use std::path::PathBuf;
use std::time::Duration;

/// Link, list, revoke and renew the devices of this account
///
/// Every device has keys of its own; letters reach all of them.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    #[command(subcommand)]
    command: DeviceCommand,
}

#[derive(Debug, Subcommand)]
enum DeviceCommand {
    /// Let a new device join: print a one-time secret, alone on the first line, and wait
    ///
    /// The new device takes the secret with `device accept`. It works once and for two minutes. Both devices then
    /// show six digits; if they are the same, say yes on both. Contacts and letters move to the new device,
    /// encrypted. The twelve words on standard error say the same as the line, for typing.
    #[command(after_help = "\
Examples:
  letterlock device link
  letterlock device link --qr")]
    Link {
        /// Draw the line as a QR code too, on standard error
        #[arg(long)]
        qr: bool,
        /// Say that both devices show the same digits, without asking; for scripts that bring the secret over safely
        #[arg(long)]
        yes: bool,
        /// How long to wait for the new device; the secret itself works for two minutes
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration::parse)]
        timeout: Duration,
    },
    /// Make this home a device of the account that shows a secret
    ///
    /// Makes the home and asks for a new passphrase. If it is interrupted after the comparison, the same command
    /// goes on where it was.
    #[command(after_help = "\
Examples:
  letterlock device accept LL1-040020G3-0G2GC1R8-...
  letterlock device accept abandon amount liar ... --relay http://127.0.0.1:8440
  letterlock device link --yes | letterlock --home other device accept - --yes")]
    Accept {
        /// The line that `device link` prints, or its twelve words, or - to take either from standard input
        #[arg(required = true, value_name = "SECRET|WORD")]
        secret: Vec<String>,
        /// The relay; with words, which do not name it
        #[arg(long, value_name = "URL")]
        relay: Option<String>,
        /// What to call this device [default: the name of this machine]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Say that both devices show the same digits, without asking
        #[arg(long)]
        yes: bool,
    },
    /// List the devices of this account, and those it had
    ///
    /// A senior device has been one for 72 hours; only such a one may add devices and revoke older ones.
    List,
    /// Revoke a device: from then on nobody encrypts to it
    ///
    /// It cannot come back; link it anew instead. Letters that are stored on it stay there.
    #[command(after_help = "\
Example:
  letterlock device revoke phone --reason lost")]
    Revoke {
        /// The device
        name: String,
        /// Why; everybody who writes to this account can read it
        #[arg(long)]
        reason: Why,
        /// Revoke it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Put a device out of force for a while: nobody encrypts to it until it is resumed
    ///
    /// For a device that is at the repairer's, or cannot be found just now. What is written meanwhile does not reach
    /// it, not even later; link it anew for the whole history.
    #[command(after_help = "\
Example:
  letterlock device suspend phone")]
    Suspend {
        /// The device
        name: String,
    },
    /// Put a suspended device in force again
    #[command(after_help = "\
Example:
  letterlock device resume phone")]
    Resume {
        /// The device
        name: String,
    },
    /// Give this device new keys
    #[command(after_help = "\
Examples:
  letterlock device rotate
  letterlock device rotate --root --sheet sheet.txt")]
    Rotate {
        /// The account gets a new root key instead
        #[arg(long)]
        root: bool,
        /// The recovery sheet, from standard input or a file: its backup keeps the root key
        #[arg(long, value_name = "-|FILE", requires = "root")]
        sheet: Option<PathBuf>,
    },
    /// Call a device otherwise, on all devices
    #[command(after_help = "\
Example:
  letterlock device rename phone 'old phone'")]
    Rename {
        /// The device
        name: String,
        /// Its new name
        new: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Why {
    /// Nobody knows where it is
    Lost,
    /// Somebody else has it
    Stolen,
    /// It is no longer used
    Retired,
}

/// A link to see to its end.
#[derive(Debug)]
pub(crate) struct Wish {
    /// On this side of it.
    pub(crate) request: Request,
    /// Whether the person has said already that the codes are equal.
    pub(crate) yes: bool,
    /// Whether to draw the secret.
    pub(crate) qr: bool,
}

/// A device to revoke.
#[derive(Debug)]
pub(crate) struct Revocation {
    /// Which.
    pub(crate) device: String,
    /// Why.
    pub(crate) reason: RevokeReason,
    /// Whether the person has said yes already.
    pub(crate) yes: bool,
}

impl DeviceArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = match self.command {
            DeviceCommand::Link { qr, yes, timeout } => {
                let timeout_ms = duration::millis(timeout);
                let request = Request::DeviceLink { timeout_ms };
                return Ok(Job::Link(profile, Wish { request, yes, qr }));
            }
            DeviceCommand::Accept {
                secret,
                relay,
                name,
                yes,
            } => {
                let request = Request::DeviceAccept {
                    secret: typed(&secret)?,
                    relay,
                    name,
                };
                let qr = false;
                return Ok(Job::Link(profile, Wish { request, yes, qr }));
            }
            DeviceCommand::List => Request::DeviceList,
            DeviceCommand::Revoke { name, reason, yes } => {
                let revocation = Revocation {
                    device: name,
                    reason: reason.into(),
                    yes,
                };
                return Ok(Job::Revoke(profile, revocation));
            }
            DeviceCommand::Suspend { name } => Request::DeviceSuspend {
                device: name,
                resume: false,
            },
            DeviceCommand::Resume { name } => Request::DeviceSuspend {
                device: name,
                resume: true,
            },
            DeviceCommand::Rotate { root, sheet } => match sheet {
                Some(from) => Request::DeviceRotateRoot {
                    sheet: recovery::read(&from, false)?,
                },
                None => Request::DeviceRotate { root },
            },
            DeviceCommand::Rename { name, new } => Request::DeviceRename {
                device: name,
                name: new,
            },
        };
        Ok(Job::Ask(profile, request))
    }
}

/// The secret as typed, or the first line of standard input.
fn typed(words: &[String]) -> Result<HiddenText, Failure> {
    if let [dash] = words
        && dash == "-"
    {
        let line = os::line_of_standard_input().map_err(|_| {
            failure::usage(
                "standard input has no line with a secret",
                "pipe the first line of `letterlock device link` into it",
            )
        })?;
        return Ok(HiddenText::from(line.to_string()));
    }
    Ok(HiddenText::from(words.join(" ")))
}

impl From<Why> for RevokeReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Lost => Self::Lost,
            Why::Stolen => Self::Stolen,
            Why::Retired => Self::Retired,
        }
    }
}
