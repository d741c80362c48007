//! Why something was not done in a mounted vault.

use seal::vault::{ObjectError, VaultError};
use std::io;

/// Why something was not done. Each face has its own words for these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing has this name.
    #[error("nothing has this name")]
    NotFound,
    /// Something has this name.
    #[error("something has this name")]
    Exists,
    /// A directory is wanted.
    #[error("it is no directory")]
    NotADirectory,
    /// A file is wanted.
    #[error("it is a directory")]
    IsADirectory,
    /// Something is in the directory.
    #[error("the directory is not empty")]
    NotEmpty,
    /// Whoever mounted it may not write here.
    #[error("it can only be read")]
    ReadOnly,
    /// A name has more than 255 bytes, or directories lie too deep.
    #[error("the name is too long")]
    TooLong,
    /// The arguments make no sense.
    #[error("this cannot be")]
    Invalid,
    /// A vault holds no such thing.
    #[error("a vault holds no such thing")]
    NotHeld,
    /// The disk of this machine is full.
    #[error("no room")]
    NoRoom,
    /// It is longer than a file may be.
    #[error("the file is too long")]
    TooLarge,
    /// What the relay has, or the disk of this machine, is not what was written, or is gone.
    #[error("it is damaged")]
    Damaged,
    /// The relay does not answer, a key is not here yet, or the disk of this machine failed.
    #[error("it cannot be read now")]
    Io,
}

impl Trouble {
    /// Whether relay, keys or disk failed, and not what was asked for: another time it may be done.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Io | Self::Damaged | Self::NoRoom)
    }
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NotFound { .. } => Self::NotFound,
            VaultError::NotADirectory { .. } => Self::NotADirectory,
            VaultError::NotAFile { .. } => Self::IsADirectory,
            VaultError::Exists { .. } => Self::Exists,
            VaultError::Place { .. } => Self::Invalid,
            VaultError::TooDeep => Self::TooLong,
            VaultError::Disk { error, .. } => error.into(),
            error if is_damage(&error) => Self::Damaged,
            _ => Self::Io,
        }
    }
}

/// Whether what is at the relay is not what was written there: it does not change by waiting.
pub(super) fn is_damage(error: &VaultError) -> bool {
    match error {
        VaultError::Object(ObjectError::NoKey { .. }) => false,
        VaultError::Object(_) | VaultError::Form(_) => true,
        VaultError::Pack(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Io,
        }
    }
}
