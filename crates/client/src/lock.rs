//! The profile's lock: one process at a time works with a home, and serves the others (agent.rs).

use crate::os;
use std::io;
use std::path::Path;

/// The lock of a home, held. The system gives it back when the process ends, even by `kill -9`.
pub(crate) struct ProfileLock {
    _file: std::fs::File,
}

impl ProfileLock {
    /// Takes the lock, or returns nothing if another process holds it.
    ///
    /// # Errors
    /// The home cannot be written.
    pub(crate) fn take(home: &Path) -> io::Result<Option<Self>> {
        Ok(os::try_lock(&home.join("profile.lock"))?.map(|file| Self { _file: file }))
    }
}
