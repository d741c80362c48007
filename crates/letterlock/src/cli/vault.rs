//! `letterlock vault create|share|unshare|members|leave|rename`, and what is in a vault

use super::vault_files::{Files, FilesCommand};
use super::{Job, Profile};
use clap::{Args, Subcommand, ValueEnum};
use client::api::Request;
use client::view::{Failure, VaultRole};

/// Vaults: folders of several people, at a relay that cannot read them
///
/// Every device of everybody who is in a vault reads it. Who is put out reads nothing that is written afterwards; what was
/// readable before may have been copied, and cannot be called back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock vault create plans
  letterlock vault share plans bob carol --role writer
  letterlock vault members plans
  letterlock vault put plans report.pdf sketches/
  letterlock vault list plans sketches
  letterlock vault get plans report.pdf --out received
  letterlock vault restore plans report.pdf --version 3")]
pub(crate) struct VaultArgs {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Make a vault, of which you are the owner
    #[command(after_help = "\
Example:
  letterlock vault create plans")]
    Create {
        /// What it is called
        name: String,
    },
    /// Let people in, with all their devices, or give those who are in it another role
    #[command(after_help = "\
Examples:
  letterlock vault share plans bob carol
  letterlock vault share plans bob --role writer")]
    Share {
        /// The vault
        vault: String,
        /// Contacts at the same relay, or members
        #[arg(required = true, value_name = "PERSON")]
        to: Vec<String>,
        /// What they may do; without it they come in as readers, and keep the role that they have
        #[arg(long)]
        role: Option<TypedRole>,
    },
    /// Put people out, with all their devices; what is written from now on has another key
    #[command(after_help = "\
Example:
  letterlock vault unshare plans bob")]
    Unshare {
        /// The vault
        vault: String,
        /// Members
        #[arg(required = true, value_name = "PERSON")]
        who: Vec<String>,
    },
    /// Show a vault, who is in it, and their roles
    #[command(after_help = "\
Example:
  letterlock vault members plans")]
    Members {
        /// The vault
        vault: String,
    },
    /// Leave a vault; if nobody else is in it, nothing opens it any more
    #[command(after_help = "\
Example:
  letterlock vault leave plans")]
    Leave {
        /// The vault
        vault: String,
        /// Leave it without asking, also where nobody else is in it
        #[arg(long)]
        yes: bool,
    },
    /// Call a vault otherwise
    #[command(after_help = "\
Example:
  letterlock vault rename plans 'old plans'")]
    Rename {
        /// The vault
        vault: String,
        /// The new name
        name: String,
    },
    #[command(flatten)]
    Files(FilesCommand),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TypedRole {
    /// Reads
    Reader,
    /// Also writes
    Writer,
    /// Also says who is in it and what it is called
    Owner,
}

impl VaultArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = match self.command {
            VaultCommand::Create { name } => Request::VaultCreate { name },
            VaultCommand::Share { vault, to, role } => Request::VaultShare {
                vault,
                to,
                role: role.map(|role| match role {
                    TypedRole::Reader => VaultRole::Reader,
                    TypedRole::Writer => VaultRole::Writer,
                    TypedRole::Owner => VaultRole::Owner,
                }),
            },
            VaultCommand::Unshare { vault, who } => {
                return Ok(Job::VaultFiles(profile, Files::Unshare { vault, who }));
            }
            VaultCommand::Members { vault } => Request::VaultMembers { vault },
            VaultCommand::Leave { vault, yes } => return Ok(Job::LeaveVault(profile, vault, yes)),
            VaultCommand::Rename { vault, name } => Request::VaultRename { vault, name },
            VaultCommand::Files(command) => return command.into_job(profile),
        };
        Ok(Job::Ask(profile, request))
    }
}
