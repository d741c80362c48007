//! `letterlock contact add|list|verify|block`

use super::{Job, Profile, absolute};
use clap::{Args, Subcommand};
use client::api::Request;
use client::view::Failure;
use std::path::PathBuf;

/// Add, list, verify and block contacts
#[derive(Debug, Args)]
pub(crate) struct ContactArgs {
    #[command(subcommand)]
    command: ContactCommand,
}

#[derive(Debug, Subcommand)]
enum ContactCommand {
    /// Add a contact by an invite (verified at once) or by NAME@RELAY (claimed until verified)
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
    /// Show the safety number of a contact and compare it
    ///
    /// Both see the same 60 digits if nobody stands between them. Compare them face to face or in a call where you
    /// know the voice. Without a terminal the number is printed and nothing is noted.
    Verify {
        /// The contact
        name: String,
        /// By safety number, which is what happens without this flag too
        #[arg(long)]
        number: bool,
        /// Note that the numbers were compared and are equal, without asking
        #[arg(long)]
        yes: bool,
    },
    /// Show what was kept when the identity of a contact was not the one known here
    ///
    /// Each piece holds the pinned account log and what was shown instead, as received and signed, so that it can
    /// be shown to others.
    Evidence {
        /// The contact
        name: String,
        /// Write each piece to a file in this folder
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
    },
    /// Take no more letters from a contact
    Block {
        /// The contact
        name: String,
        /// Take letters again
        #[arg(long)]
        undo: bool,
    },
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
            ContactCommand::Verify {
                name,
                number: _,
                yes,
            } => {
                let verify = Verify {
                    contact: name,
                    compared: yes,
                };
                return Ok(Job::Verify(profile, verify));
            }
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
