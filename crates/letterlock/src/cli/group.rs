//! `letterlock group create|add|remove|leave|list|show|set|role`

use super::{Job, Profile, absolute};
use crate::{duration, failure};
use clap::{Args, Subcommand, ValueEnum};
use client::api::Request;
use client::view::{Failure, Role};
use std::path::PathBuf;
use std::time::Duration;

/// Groups: begin one, add and remove people, see who is in it
///
/// Every device of every member reads what is written from the moment it is in, and nothing from the moment it is
/// out. Write to a group, and read it, by its name: letterlock send, letterlock read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock group create 'night shift' bob carol
  letterlock send 'night shift' 'Who has the key?'
  letterlock group show 'night shift'")]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// Begin a group, of which you are the owner
    #[command(after_help = "\
Example:
  letterlock group create 'night shift' bob carol")]
    Create {
        /// What it is called
        name: String,
        /// Contacts at the same relay
        #[arg(required = true, value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// Add people, with all their devices
    ///
    /// They read nothing of before. With --share-history the last letters are sent to them again, from here and on your
    /// word alone; all members are told, and custody names them.
    #[command(after_help = "\
Examples:
  letterlock group add 'night shift' dina
  letterlock group add 'night shift' dina --share-history 50")]
    Add {
        /// The group
        group: String,
        /// Contacts at the same relay
        #[arg(required = true, value_name = "MEMBER")]
        members: Vec<String>,
        /// Send them so many letters of before, at most 500
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
            value_parser = clap::value_parser!(u32).range(0..=500))]
        share_history: u32,
    },
    /// Remove people, with all their devices
    #[command(after_help = "\
Example:
  letterlock group remove 'night shift' bob")]
    Remove {
        /// The group
        group: String,
        /// Members
        #[arg(required = true, value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// Leave a group; what was read stays
    #[command(after_help = "\
Example:
  letterlock group leave 'night shift'")]
    Leave {
        /// The group
        group: String,
    },
    /// List groups
    List,
    /// Show a group, its members and their roles
    #[command(after_help = "\
Examples:
  letterlock group show 'night shift'
  letterlock group show 'night shift' --picture owl.png")]
    Show {
        /// The group
        group: String,
        /// Write its picture to a new file
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Change the name or picture of a group, or after which time its letters disappear
    #[command(after_help = "\
Examples:
  letterlock group set 'night shift' --name 'day shift'
  letterlock group set 'night shift' --timer 7d
  letterlock group set 'night shift' --picture owl.png")]
    Set {
        /// The group
        group: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Letters written from now on disappear after this time, for example 7d; off ends that
        #[arg(long, value_name = "TIME|off", value_parser = timer)]
        timer: Option<Timer>,
        /// A PNG or JPEG file of at most 256 KiB
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
        /// Take the picture away
        #[arg(long, conflicts_with = "picture")]
        no_picture: bool,
    },
    /// Give a member another role
    #[command(after_help = "\
Example:
  letterlock group role 'night shift' bob admin")]
    Role {
        /// The group
        group: String,
        /// The member
        member: String,
        /// The role
        role: TypedRole,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TypedRole {
    /// Writes and leaves
    Member,
    /// Also adds people, removes members, and changes name, picture and timer
    Admin,
    /// Also removes admins and gives roles
    Owner,
}

/// After which time letters disappear; none at all where it is off.
#[derive(Debug, Clone, Copy)]
struct Timer(Option<Duration>);

fn timer(text: &str) -> Result<Timer, duration::DurationError> {
    match text {
        "off" => Ok(Timer(None)),
        text => duration::parse(text).map(|time| Timer(Some(time))),
    }
}

impl GroupArgs {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let request = match self.command {
            GroupCommand::Create { name, members } => Request::GroupCreate { name, members },
            GroupCommand::Add {
                group,
                members,
                share_history,
            } => Request::GroupAdd {
                group,
                members,
                share_history,
            },
            GroupCommand::Remove { group, members } => Request::GroupRemove { group, members },
            GroupCommand::Leave { group } => Request::GroupLeave { group },
            GroupCommand::List => Request::GroupList,
            GroupCommand::Show { group, picture } => Request::GroupShow {
                group,
                picture: picture.map(absolute).transpose()?,
            },
            GroupCommand::Set {
                group,
                name,
                timer,
                picture,
                no_picture,
            } => {
                if name.is_none() && timer.is_none() && picture.is_none() && !no_picture {
                    return Err(failure::usage(
                        "there is nothing to change",
                        "add --name NAME, --timer TIME or --picture FILE",
                    ));
                }
                let seconds = |timer: Timer| timer.0.map_or(0, duration::seconds);
                Request::GroupChange {
                    group,
                    name,
                    timer_seconds: timer.map(seconds),
                    picture: picture.map(absolute).transpose()?,
                    no_picture,
                }
            }
            GroupCommand::Role {
                group,
                member,
                role,
            } => Request::GroupRole {
                group,
                member,
                role: match role {
                    TypedRole::Member => Role::Member,
                    TypedRole::Admin => Role::Admin,
                    TypedRole::Owner => Role::Owner,
                },
            },
        };
        Ok(Job::Ask(profile, request))
    }
}
