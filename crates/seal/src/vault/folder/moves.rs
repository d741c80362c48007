//! Steps between directories that replace nothing, and what takes their place on file systems that have none of them.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

/// A name in a directory.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
}

impl At<'_> {
    fn is_free(self) -> bool {
        let stat = rustix::fs::statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW);
        matches!(stat, Err(Errno::NOENT))
    }
}

/// Moves what has one name to another one.
pub(super) fn over(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    rustix::fs::renameat(from.directory, from.name, to.directory, to.name)
}

/// How things are moved in a folder.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// As on a file system that knows no flags of `renameat2`.
    plain: bool,
}

impl Moves {
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { plain: true }
    }

    /// Tries a step in the way of the system, and says whether there was one.
    fn tried(&self, from: At<'_>, to: At<'_>, flags: RenameFlags) -> Option<Result<(), Errno>> {
        if self.plain {
            return None;
        }
        match rustix::fs::renameat_with(from.directory, from.name, to.directory, to.name, flags) {
            // Also what the flags have nothing to do with: then the plain step says the same.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => None,
            done => Some(done),
        }
    }

    /// Moves what has one name to another one that nothing has.
    ///
    /// # Errors
    /// `EXIST`: something has it, and nothing was moved.
    pub(super) fn no_replace(&self, from: At<'_>, to: At<'_>) -> Result<(), Errno> {
        if let Some(done) = self.tried(from, to, RenameFlags::NOREPLACE) {
            return done;
        }
        let linked = rustix::fs::linkat(
            from.directory,
            from.name,
            to.directory,
            to.name,
            AtFlags::empty(),
        );
        match linked {
            Ok(()) => rustix::fs::unlinkat(from.directory, from.name, AtFlags::empty()),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            // Directories have one name, and some file systems give everything only one.
            Err(_) if to.is_free() => over(from, to),
            Err(_) => Err(Errno::EXIST),
        }
    }

    /// Exchanges what has two names. `between` is one that is free and that nobody else uses.
    ///
    /// # Errors
    /// `EXIST`: somebody else took the second name on the way. What had it is at `between`; the first is as it was.
    pub(super) fn exchange(&self, from: At<'_>, to: At<'_>, between: At<'_>) -> Result<(), Errno> {
        if let Some(done) = self.tried(from, to, RenameFlags::EXCHANGE) {
            return done;
        }
        over(to, between)?;
        match self.no_replace(from, to) {
            Ok(()) => over(between, from),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            Err(error) => {
                self.no_replace(between, to)?;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]
    use super::*;
    use rustix::fd::AsFd as _;
    use std::fs::{self, File};

    /// What the system does by itself, and what is done where it cannot.
    #[test]
    fn every_file_system_replaces_nothing() {
        for moves in [Moves::default(), Moves::plain()] {
            let dir = tempfile::tempdir().unwrap();
            let opened = File::open(dir.path()).unwrap();
            let at = |name: &'static str| At {
                directory: opened.as_fd(),
                name: name.as_bytes(),
            };
            let write = |name: &str| fs::write(dir.path().join(name), name).unwrap();
            let read = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
            write("a");
            write("b");
            let taken = moves.no_replace(at("a"), at("b"));
            assert_eq!(taken, Err(Errno::EXIST));
            assert_eq!(read("a").as_deref(), Some("a"));
            assert_eq!(read("b").as_deref(), Some("b"));
            moves.exchange(at("a"), at("b"), at("between")).unwrap();
            assert_eq!(read("a").as_deref(), Some("b"));
            assert_eq!(read("b").as_deref(), Some("a"));
            assert_eq!(read("between"), None);
            moves.no_replace(at("a"), at("c")).unwrap();
            assert_eq!((read("a"), read("c").as_deref()), (None, Some("b")));
            let gone = moves.exchange(at("b"), at("a"), at("between"));
            assert_eq!(gone, Err(Errno::NOENT));
            assert_eq!(read("b").as_deref(), Some("a"));
            // Directories have no second name.
            fs::create_dir(dir.path().join("d")).unwrap();
            let taken = moves.no_replace(at("d"), at("b"));
            assert_eq!(taken, Err(Errno::EXIST));
            moves.no_replace(at("d"), at("e")).unwrap();
            assert!(dir.path().join("e").is_dir());
        }
    }
}
