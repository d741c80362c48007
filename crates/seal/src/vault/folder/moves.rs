//! Steps between directories that replace nothing, and what takes their place on file systems that have none of them.

use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::borrow::Cow;

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

fn swap(byte: &u8) -> u8 {
    match byte.is_ascii_alphabetic() {
        true => byte ^ 0x20,
        false => *byte,
    }
}

/// A name that a directory has.
fn listed(
    directory: BorrowedFd<'_>,
    is_it: impl Fn(&[u8]) -> bool,
) -> rustix::io::Result<Option<Vec<u8>>> {
    let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
    let opened = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    for entry in Dir::read_from(opened.as_fd())? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if is_it(name) {
            return Ok(Some(name.to_vec()));
        }
    }
    Ok(None)
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
    /// As on a file system where large and small letters are one.
    folds: bool,
}

impl Moves {
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self {
            plain: true,
            folds: false,
        }
    }

    #[cfg(test)]
    pub(super) fn folding() -> Self {
        Self {
            plain: false,
            folds: true,
        }
    }

    /// The name to ask the system for: itself does what a file system does that takes large and small letters for one.
    pub(super) fn asked<'n>(&self, directory: BorrowedFd<'_>, name: &'n [u8]) -> Cow<'n, [u8]> {
        let folds = |other: &[u8]| self.folds && other.eq_ignore_ascii_case(name);
        let folded = match self.folds {
            true => listed(directory, folds),
            false => Ok(None),
        };
        folded
            .unwrap_or_default()
            .map_or(Cow::Borrowed(name), Cow::Owned)
    }

    /// Whether what the system finds under a name has another one there: names are one for it that are two for a vault.
    pub(super) fn is_another(&self, at: At<'_>) -> bool {
        let swapped: Vec<u8> = at.name.iter().map(swap).collect();
        if swapped == at.name && at.name.is_ascii() {
            return false;
        }
        let file = |name: &[u8]| {
            let name = self.asked(at.directory, name);
            let stat = rustix::fs::statat(at.directory, &*name, AtFlags::SYMLINK_NOFOLLOW);
            stat.map(|stat| (stat.st_dev, stat.st_ino)).ok()
        };
        // A directory may be long: only one that may have more than one name for it is looked through.
        let found = file(at.name);
        if found.is_none() || (swapped != at.name && found != file(&swapped)) {
            return false;
        }
        matches!(listed(at.directory, |other| other == at.name), Ok(None))
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
