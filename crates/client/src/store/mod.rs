//! The profile on disk: one SQLCipher database and the file that holds its key (docs/spec/home.md).

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod database;
#[cfg(test)]
mod destruction;
mod key_file;
#[cfg(test)]
mod memory;
mod order;
mod search;
#[cfg(test)]
mod tests;
mod unsaved;

pub(crate) use database::ProfileStore;
pub(crate) use key_file::Passphrase;

use engine::StoreError;
use std::path::{Path, PathBuf};

/// Why a profile cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// There is no profile in the home.
    #[error("there is no profile in this home")]
    NoProfile,
    /// The passphrase does not open the key file.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The database is there, its key file is not.
    #[error("profile.key is missing, and without it nobody can open profile.db")]
    KeyFileMissing,
    /// The key file was cut or changed.
    #[error("profile.key is damaged")]
    KeyFileDamaged,
    /// The key file or the database comes from a newer version.
    #[error("the profile was written by a newer version of letterlock (format {got})")]
    Newer {
        /// Its format number.
        got: u32,
    },
    /// The database was cut or changed, or is gone.
    #[error("profile.db is damaged")]
    DatabaseDamaged,
    /// The home cannot be read or written.
    #[error("the home cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::DatabaseDamaged,
            other => Self::Store(other),
        }
    }
}

/// The files of a profile.
struct Files {
    key: PathBuf,
    database: PathBuf,
    /// A database whose key file is not written yet.
    new: PathBuf,
}

impl Files {
    fn of(home: &Path) -> Self {
        Self {
            key: home.join("profile.key"),
            database: home.join("profile.db"),
            new: home.join("profile.db-new"),
        }
    }
}

/// Removes a profile that nobody has open and that holds nothing. At every instant it is whole or none: a database
/// under its first name belongs to a key file, and is nothing without one.
pub(crate) fn remove(home: &Path) {
    let files = Files::of(home);
    if crate::os::rename_new(&files.database, &files.new).is_ok_and(|renamed| renamed) {
        crate::os::remove(&files.key);
        crate::os::remove(&files.new);
    }
}

/// Whether a home holds a profile, whole or damaged.
pub(crate) fn is_profile(home: &Path) -> bool {
    let files = Files::of(home);
    crate::os::exists(&files.key) || crate::os::exists(&files.database)
}
