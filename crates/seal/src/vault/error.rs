//! Why a vault could not be read or changed.

use super::budget::{ENTRIES, ENTRY_BYTES};
use super::name::VaultPath;
use super::object::ObjectError;
use keys::codec::DecodeError;
use std::io;
use std::path::PathBuf;

/// Why a vault could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The place of packs failed.
    #[error("a pack was not read or stored")]
    Pack(#[source] io::Error),
    /// What a pack holds is not what it is to be.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// An object is not of its form, though somebody with the key sealed it.
    #[error("an object is not of its form")]
    Form(#[from] DecodeError),
    /// Nothing has this path.
    #[error("there is no {path}")]
    NotFound {
        /// Which.
        path: VaultPath,
    },
    /// What has this path is no directory.
    #[error("{path} is no directory")]
    NotADirectory {
        /// Which.
        path: VaultPath,
    },
    /// What has this path is no file.
    #[error("{path} is no file")]
    NotAFile {
        /// Which.
        path: VaultPath,
    },
    /// Something has this path already.
    #[error("{path} is there already")]
    Exists {
        /// Which.
        path: VaultPath,
    },
    /// A directory cannot come to lie in itself, and the top cannot be moved, removed or replaced.
    #[error("{path} cannot be there")]
    Place {
        /// Which.
        path: VaultPath,
    },
    /// Directories lie too deep in one another.
    #[error("directories lie too deep")]
    TooDeep,
    /// With all that lies in it, a directory has more than [`ENTRIES`] entries, or more than [`ENTRY_BYTES`] bytes of paths
    /// and of what they say.
    #[error(
        "it has more entries, with all that lies in it, than one operation goes through ({ENTRIES}, or {ENTRY_BYTES} bytes of them): take a directory in it, or an older version"
    )]
    TooMuch,
    /// Something on disk cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// What the file system says.
        #[source]
        error: io::Error,
    },
    /// Something on disk has the path already.
    #[error("{} exists", path.display())]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// Names are one on the disk that are two in the vault: large and small letters, or forms of the same letters.
    #[error("{} is the same name as another one on this disk", path.display())]
    SameName {
        /// Whose.
        path: PathBuf,
    },
    /// A file was written to whenever it was read.
    #[error("{} changes all the time", path.display())]
    Changing {
        /// Which.
        path: PathBuf,
    },
    /// It has no name that a vault may hold.
    #[error("{} has no name of its own", path.display())]
    Nameless {
        /// Which.
        path: PathBuf,
    },
}
