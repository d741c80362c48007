//! `letterlock account create|show|log|upgrade|evidence|end`

use super::{Job, Profile, absolute, recovery};
use clap::{Args, Subcommand, ValueEnum};
use client::api::Request;
use client::view::{Failure, HiddenText};
use std::path::PathBuf;

/// Make and show the account of this home
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Make an account and announce it at a relay
    ///
    /// Makes the home and asks for a new passphrase. The keys never leave the home.
    #[command(after_help = "\
Example:
  letterlock account create alice --relay http://127.0.0.1:8440")]
    Create {
        /// The name: a-z, 0-9, '.', '-', '_'
        name: String,
        /// The relay, as `relay serve` prints it
        #[arg(long, value_name = "URL")]
        relay: String,
        /// A registration code, where the relay asks for one
        #[arg(long, value_name = "CODE")]
        invite: Option<String>,
        /// The algorithms of the account
        ///
        /// hybrid: X25519 with ML-KEM-768, Ed25519 with ML-DSA-65. cnsa2: ML-KEM-1024 and ML-DSA-87, for those who
        /// must follow CNSA 2.0; its conversations are groups of two, at one relay.
        #[arg(long, value_name = "SUITE", value_enum, default_value_t)]
        suite: Suite,
    },
    /// Show name, ids and relay
    Show,
    /// Show the entries of the account log: what has ever happened to devices and keys
    Log,
    /// Take the account to a higher suite, with all its devices
    ///
    /// This device gets new keys at once, every other one when it comes online the next time. The account gets a new
    /// root key: contacts are told, and compare anew before they write again. Those at another relay cannot be written
    /// to any more. Groups go on as they are. The recovery sheet and guardians of before bring nothing back any more.
    /// There is no way back to the lower suite.
    #[command(after_help = "\
Example:
  letterlock account upgrade --suite cnsa2")]
    Upgrade {
        /// The suite to take
        #[arg(long, value_name = "SUITE", value_enum)]
        suite: Suite,
        /// The recovery sheet, from standard input or a file, where its backup keeps the root key
        #[arg(long, value_name = "-|FILE")]
        sheet: Option<PathBuf>,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
    /// End the account for ever, on all its devices
    ///
    /// Contacts are told by the account log and write no more. Queues and backup at the relay go, and every key that
    /// could open or sign anything. Letters that are stored on devices stay there.
    #[command(after_help = "\
Examples:
  letterlock account end
  letterlock account end --sheet sheet.txt")]
    End {
        /// The recovery sheet, from standard input or a file, where its backup keeps the root key
        #[arg(long, value_name = "-|FILE")]
        sheet: Option<PathBuf>,
        /// End it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Show what was kept when somebody was shown another history of this account
    #[command(after_help = "\
Examples:
  letterlock account evidence
  letterlock account evidence --save evidence")]
    Evidence {
        /// Write each piece to a file in this folder
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
    },
}

/// The algorithms of an account.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Suite {
    #[default]
    Hybrid,
    Cnsa2,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Cnsa2 => "cnsa2",
        }
    }
}

impl AccountArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = match self.command {
            AccountCommand::Create {
                name,
                relay,
                invite,
                suite,
            } => Request::AccountCreate {
                name,
                relay: Some(relay),
                invite,
                suite: suite.name().to_owned(),
            },
            AccountCommand::Upgrade { suite, sheet, yes } => {
                let suite = suite.name().to_owned();
                let sheet = read(sheet)?;
                let request = Request::AccountUpgrade { suite, sheet };
                return Ok(Job::Irrevocable(profile, request, yes));
            }
            AccountCommand::End { sheet, yes } => {
                let sheet = read(sheet)?;
                let request = Request::AccountEnd { sheet };
                return Ok(Job::Irrevocable(profile, request, yes));
            }
            AccountCommand::Show => Request::AccountShow,
            AccountCommand::Log => Request::AccountLog,
            AccountCommand::Evidence { save } => Request::AccountEvidence {
                save: save.map(absolute).transpose()?,
            },
        };
        Ok(Job::Ask(profile, request))
    }
}

fn read(sheet: Option<PathBuf>) -> Result<Option<HiddenText>, Failure> {
    sheet.map(|from| recovery::read(&from, false)).transpose()
}
