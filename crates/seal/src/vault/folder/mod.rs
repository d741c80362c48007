//! A folder on disk that is kept in step with a vault.
//!
//! ```text
//!   base: what both had ──┬─ scan ──► ours ──┐
//!                         └─ newest version ─┴─ merge ──► both ── apply ──► folder
//! ```
//!
//! What was in step when is all that is remembered. Whoever is killed on the way scans again: what was written already
//! then is the same on both sides.

mod apply;
mod aside;
mod moves;
mod refused;
mod scan;
mod state;

pub use apply::Applied;
pub use refused::Refused;
pub use state::InStep;

use self::moves::Moves;
use super::editor::Meta;
use super::error::VaultError;
use super::tree::{Entry, What};
use rustix::fs::Stat;
use std::io;
use std::path::{Path, PathBuf};

/// What belongs to us at the top of a folder, and is not in the vault.
pub(crate) const OURS: &str = ".letterlock-sync";

/// Whether a name is ours, also on a disk where large and small letters are one.
fn is_ours(name: &[u8]) -> bool {
    let folded = String::from_utf8_lossy(name).to_uppercase().to_lowercase();
    folded == OURS
}

/// A clock's tick may be late; seconds.
const SLACK: i64 = 1;

/// A folder that is kept in step.
pub struct Folder {
    path: PathBuf,
    moves: Moves,
}

impl Folder {
    /// Takes a folder, and makes it if need be.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn create(path: &Path) -> Result<Self, VaultError> {
        state::make(path)?;
        Self::open(path)
    }

    /// Takes a folder that is there.
    ///
    /// # Errors
    /// It is not there, or no directory.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let is_directory = std::fs::metadata(path)
            .map_err(|error| disk(path, error))?
            .is_dir();
        match is_directory {
            true => Ok(Self {
                path: path.to_path_buf(),
                moves: Moves::default(),
            }),
            false => Err(disk(path, io::ErrorKind::NotADirectory.into())),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn disk(path: &Path, error: io::Error) -> VaultError {
    VaultError::Disk {
        path: path.to_path_buf(),
        error,
    }
}

/// What of a file on disk tells whether it is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    size: u64,
    meta: Meta,
    changed: i64,
}

impl Seen {
    fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            meta: Meta {
                mode: u16::try_from(stat.st_mode & 0o777).unwrap_or(0),
                modified: (
                    stat.st_mtime,
                    u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
                ),
            },
            changed: stat.st_ctime,
        }
    }

    /// Whether a file has size and time of an entry.
    fn fits(&self, entry: &Entry) -> bool {
        let What::File { size, .. } = &entry.what else {
            return false;
        };
        *size == self.size && entry.modified == self.meta.modified
    }

    /// Whether a file is as it was when it was in step: nobody can give it an older time of change.
    fn is_settled(&self, in_step: &InStep) -> bool {
        self.changed < in_step.since.saturating_sub(SLACK)
    }
}
