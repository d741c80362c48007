//! `letterlock give`, `letterlock take`

use super::{Job, Profile, absolute};
use crate::{duration, failure, os};
use clap::Args;
use client::view::{Failure, HiddenText};
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for which a code counts.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Give files and folders to whoever knows a code
///
/// Prints a code of a number and three words. Whoever types it at the same relay gets everything, with names and times,
/// and needs no account. The code counts for one taker, and one wrong guess uses it up. This command runs until all was
/// taken; then nothing is left at the relay, which never could read it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock give photos/ --relay 'https://relay.example#sha256=...'
  letterlock give report.pdf notes.txt --expires 15m
  letterlock give report.pdf --link")]
pub(crate) struct GiveArgs {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    relay: RelayArg,
    /// Print a link instead, when all is at the relay: whoever has it and comes first gets everything, and nobody has to
    /// type
    #[arg(long)]
    link: bool,
    /// How long the code counts, or the link, at most 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::parse)]
    expires: Duration,
}

/// Take what somebody gives under a code, or by a link
///
/// Without CODE it is asked for. What was given appears only when all of it came and was verified, and replaces nothing
/// unless --force is given. If it stops on the way, the same command goes on where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock take 4821-guitar-banana-mouse --relay 'https://relay.example#sha256=...'
  letterlock take 4821 guitar banana mouse --out received
  letterlock take
  letterlock take 'http://127.0.0.1:7465/#...'
  letterlock take --page --out received")]
pub(crate) struct TakeArgs {
    /// The code, in any case, with spaces or hyphens; or the link in quotes, which names its relay; or - for a line of
    /// standard input
    #[arg(value_name = "CODE")]
    code: Vec<String>,
    #[command(flatten)]
    relay: RelayArg,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Serve a page on this machine in which links open, until interrupted
    #[arg(long, conflicts_with_all = ["code", "relay"])]
    page: bool,
    /// The port of that page; links lead to 7465
    #[arg(long, value_name = "PORT", default_value = "7465", requires = "page")]
    port: u16,
}

#[derive(Debug, Args)]
struct RelayArg {
    /// The relay, with its pin: both sides name the same [default: that of this home's account]
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
}

/// One side of a transfer.
#[derive(Debug)]
pub(crate) enum Transfer {
    Give(Give),
    Take(Take),
    /// Serve the page in which links open.
    Page(Page),
}

/// What is to be given.
#[derive(Debug)]
pub(crate) struct Give {
    pub(crate) paths: Vec<PathBuf>,
    /// Nothing: the relay of the account.
    pub(crate) relay: Option<String>,
    pub(crate) expires: Duration,
    /// Whether it is given by a link.
    pub(crate) link: bool,
}

/// What is to be taken.
#[derive(Debug)]
pub(crate) struct Take {
    /// Nothing: it is asked for.
    pub(crate) code: Option<HiddenText>,
    /// Nothing: the relay of the account.
    pub(crate) relay: Option<String>,
    pub(crate) into: PathBuf,
    pub(crate) replace: bool,
}

/// The page in which links open.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) port: u16,
    pub(crate) into: PathBuf,
    pub(crate) replace: bool,
}

impl GiveArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        if self.expires > LONGEST {
            return Err(failure::usage(
                "a code counts for 24 hours at most",
                "write a shorter time, for example --expires 24h",
            ));
        }
        let paths = self.paths.into_iter().map(absolute);
        let give = Give {
            paths: paths.collect::<Result<_, _>>()?,
            relay: self.relay.relay,
            expires: self.expires,
            link: self.link,
        };
        Ok(Job::Transfer(profile, Transfer::Give(give)))
    }
}

impl TakeArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        if self.page {
            let page = Page {
                port: self.port,
                into: absolute(self.out)?,
                replace: self.force,
            };
            return Ok(Job::Transfer(profile, Transfer::Page(page)));
        }
        let take = Take {
            code: typed(&self.code)?,
            relay: self.relay.relay,
            into: absolute(self.out)?,
            replace: self.force,
        };
        Ok(Job::Transfer(profile, Transfer::Take(take)))
    }
}

/// The code as typed, or the first line of standard input; nothing where a person is to be asked.
fn typed(words: &[String]) -> Result<Option<HiddenText>, Failure> {
    match words {
        [] if os::is_terminal() => Ok(None),
        [] => Err(failure::usage(
            "no code was given, and there is no terminal to ask on",
            "add the code, or - for a line of standard input",
        )),
        [dash] if dash == "-" => {
            let line = os::line_of_standard_input().map_err(|_| {
                failure::usage(
                    "standard input has no line with a code",
                    "pipe the line that `letterlock give` prints into it",
                )
            })?;
            Ok(Some(HiddenText::from(line.trim().to_owned())))
        }
        words => Ok(Some(HiddenText::from(words.join(" ")))),
    }
}
