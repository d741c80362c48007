//! `letterlock contact add|list|verify|block`

use super::{Job, Profile};
use clap::{Args, Subcommand};
use client::api::Request;

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
    pub(super) fn into_job(self, profile: Profile) -> Job {
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
                return Job::Verify(profile, verify);
            }
            ContactCommand::Block { name, undo } => Request::ContactBlock {
                contact: name,
                blocked: !undo,
            },
        };
        Job::Ask(profile, request)
    }
}
