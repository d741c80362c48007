//! `letterlock vault put|get|list|history|restore|accept|remove|move|mkdir|sync`

use super::{Job, Profile, absolute};
use crate::mount;
use clap::{Args, Subcommand};
use client::api::Request;
use client::vault::Edit;
use client::view::Failure;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum FilesCommand {
    /// Put files and folders into a vault, as its next version
    ///
    /// What a folder of the vault has already stays, unless something of the same name comes. Where somebody else wrote the
    /// same file meanwhile, both stay: yours beside theirs, with your name and the time in its name.
    #[command(after_help = "\
Examples:
  letterlock vault put plans report.pdf sketches/
  letterlock vault put plans report.pdf --to 2026/reports")]
    Put {
        /// The vault
        vault: String,
        /// Files and folders on disk
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The folder in the vault; it is made if need be
        #[arg(long, value_name = "FOLDER", default_value = "")]
        to: String,
    },
    /// Get a file or folder out of a vault, all of it or nothing
    #[command(after_help = "\
Examples:
  letterlock vault get plans report.pdf --out received
  letterlock vault get plans report.pdf --version 3 --force
  letterlock vault get plans --out everything")]
    Get {
        /// The vault
        vault: String,
        /// What, in the vault; all of it without
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
        /// The folder on disk that it is put into
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// As it was in an older version
        #[arg(long, value_name = "NUMBER")]
        version: Option<u64>,
        /// Replace what is there
        #[arg(long)]
        force: bool,
    },
    /// Bring a folder on disk in step with a vault, both ways
    ///
    /// What was changed on one side is changed on the other. Where both changed a file, both stay: yours beside theirs, with
    /// your name and the time in its name. Links are kept as links. It can be ended at any time, and goes on the next time.
    /// .letterlock-sync in the folder is not put into the vault: it says what was in step.
    #[command(after_help = "\
Examples:
  letterlock vault sync plans ~/plans
  letterlock vault sync plans ~/plans --watch")]
    Sync {
        /// The vault
        vault: String,
        /// The folder on disk; it is made if need be
        folder: PathBuf,
        /// Stay, and do so again whenever something changes, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Show a vault as a folder of this machine, until it is unmounted or Ctrl-C
    ///
    /// What is written there becomes a version when nothing was written for two seconds, and when it is unmounted; until
    /// then it lies, sealed, in the profile, and survives a crash. Versions of others appear by themselves. Where somebody
    /// else wrote the same file meanwhile, both stay: yours beside theirs, with your name and the time in its name.
    ///
    /// It takes FUSE. Where this machine has none, or lets nobody mount, the vault is served by WebDAV to this machine
    /// alone, under a URL that holds a secret: a file manager opens it.
    Mount(MountArgs),
    /// List vaults, or what a vault holds
    List(ListArgs),
    /// List the versions in which something changed, the newest first
    #[command(after_help = "\
Examples:
  letterlock vault history plans
  letterlock vault history plans report.pdf --limit 5")]
    History {
        /// The vault
        vault: String,
        /// What, in the vault; all of it without
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u32,
    },
    /// Bring back what an older version had, as the next version
    #[command(after_help = "\
Examples:
  letterlock vault restore plans report.pdf --version 3
  letterlock vault restore plans --version 3")]
    Restore {
        /// The vault
        vault: String,
        /// What, in the vault; all of it without
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
        /// The version: letterlock vault history shows them; 0 for nothing, also where what is there cannot be read any more
        #[arg(long, value_name = "NUMBER")]
        version: u64,
    },
    /// Take the version that the relay shows for the newest, although this device knew another one
    ///
    /// For when the relay lost versions, or members went on with another one: the vault refuses that until a person says so.
    /// What this device knew and the relay does not show is not in the vault afterwards. A folder that is kept in step is
    /// joined with the vault the next time: what it has and the vault has not is put again.
    #[command(after_help = "\
Example:
  letterlock vault accept plans")]
    Accept {
        /// The vault
        vault: String,
    },
    /// Take files and folders out of a vault; older versions keep them
    #[command(after_help = "\
Example:
  letterlock vault remove plans report.pdf sketches")]
    Remove {
        /// The vault
        vault: String,
        /// What, in the vault
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Move or rename something in a vault
    #[command(after_help = "\
Example:
  letterlock vault move plans report.pdf 2026/report.pdf")]
    Move {
        /// The vault
        vault: String,
        /// What, in the vault
        from: String,
        /// Its new path, where nothing is
        to: String,
    },
    /// Make a folder in a vault, and those above it
    #[command(after_help = "\
Example:
  letterlock vault mkdir plans 2026/reports")]
    Mkdir {
        /// The vault
        vault: String,
        /// The folder
        path: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock vault mount plans ~/plans
  letterlock vault mount plans ~/plans-of-before --version 3
  letterlock vault mount plans --webdav")]
pub(super) struct MountArgs {
    /// The vault
    vault: String,
    /// The folder: an empty one; it is made if need be
    #[arg(required_unless_present = "webdav")]
    folder: Option<PathBuf>,
    /// Change nothing
    #[arg(long)]
    read_only: bool,
    /// As it was in an older version; nothing can be changed then
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Serve it by WebDAV, at an address of loopback; a free port without one
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:0",
        conflicts_with = "folder")]
    webdav: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock vault list
  letterlock vault list plans sketches
  letterlock vault list plans --all --version 3")]
pub(super) struct ListArgs {
    /// The vault; without it, vaults are listed
    vault: Option<String>,
    /// A folder in it
    #[arg(default_value = "", hide_default_value = true)]
    path: String,
    /// As it was in an older version
    #[arg(long, value_name = "NUMBER", requires = "vault")]
    version: Option<u64>,
    /// Also what is in folders
    #[arg(long, requires = "vault")]
    all: bool,
}

/// What is to be done with the files of a vault.
#[derive(Debug)]
pub(crate) enum Files {
    /// Change them.
    Edit { vault: String, edit: Edit },
    /// Take what the relay shows.
    Accept { vault: String },
    /// Write some to disk.
    Get {
        vault: String,
        path: String,
        out: PathBuf,
        version: Option<u64>,
        force: bool,
    },
    /// Bring a folder in step.
    Sync {
        vault: String,
        folder: PathBuf,
        watch: bool,
    },
    /// Put people out, and end what is under the key that they have.
    Unshare { vault: String, who: Vec<String> },
    /// List them.
    List {
        vault: String,
        path: String,
        version: Option<u64>,
        all: bool,
    },
    /// List versions.
    History {
        vault: String,
        path: String,
        limit: u32,
    },
}

impl FilesCommand {
    pub(super) fn into_job(self, profile: Profile) -> Result<Job, Failure> {
        let edit = |vault, edit| Files::Edit { vault, edit };
        let files = match self {
            Self::Put { vault, paths, to } => {
                let paths = paths.into_iter().map(absolute);
                let paths = paths.collect::<Result<_, _>>()?;
                edit(vault, Edit::Put { paths, to })
            }
            Self::Get {
                vault,
                path,
                out,
                version,
                force,
            } => Files::Get {
                vault,
                path,
                out: absolute(out)?,
                version,
                force,
            },
            Self::Sync {
                vault,
                folder,
                watch,
            } => Files::Sync {
                vault,
                folder: absolute(folder)?,
                watch,
            },
            Self::List(args) => {
                let ListArgs {
                    vault,
                    path,
                    version,
                    all,
                } = args;
                let Some(vault) = vault else {
                    return Ok(Job::Ask(profile, Request::VaultList));
                };
                Files::List {
                    vault,
                    path,
                    version,
                    all,
                }
            }
            Self::Mount(args) => {
                let wish = mount::Wish {
                    vault: args.vault,
                    place: match (args.folder, args.webdav) {
                        (Some(folder), None) => mount::Place::Folder(absolute(folder)?),
                        (_, webdav) => mount::Place::WebDav(webdav.unwrap_or(mount::ANY_PORT)),
                    },
                    version: args.version,
                    read_only: args.read_only,
                };
                return Ok(Job::Mount(profile, wish));
            }
            Self::History { vault, path, limit } => Files::History { vault, path, limit },
            Self::Restore {
                vault,
                path,
                version,
            } => edit(vault, Edit::Restore { path, version }),
            Self::Accept { vault } => Files::Accept { vault },
            Self::Remove { vault, paths } => edit(vault, Edit::Remove { paths }),
            Self::Move { vault, from, to } => edit(vault, Edit::Move { from, to }),
            Self::Mkdir { vault, path } => edit(vault, Edit::MakeDirectory { path }),
        };
        Ok(Job::VaultFiles(profile, files))
    }
}
