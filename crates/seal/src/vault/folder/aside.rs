//! What is exchanged with what lies in a folder, and what cannot stay where it was.
//!
//! ```text
//!   new      is being written: ours
//!   swap     whole, about to have a name; then what had that name
//!   old      what had a name that goes
//!   kept-N   a person's
//! ```
//!
//! Whoever is killed leaves `swap` or `old`, and nobody knows whose it is then: it is kept.

use super::apply::{DIRECTORY, Hand};
use super::disk;
use super::moves::{At, over};
use crate::vault::error::VaultError;
use crate::vault::name::{DEPTH, VaultPath};
use crate::vault::tree::Entry;
use rustix::fd::AsFd as _;
use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

pub(super) const NEW: &[u8] = b"new";
const SWAP: &[u8] = b"swap";
pub(super) const OLD: &[u8] = b"old";
const KEPT: &str = "kept-";
/// Names beside a file that are tried before what was there is put elsewhere.
const BESIDE: u32 = 100;

impl Hand<'_> {
    /// A name in what is ours.
    pub(super) fn own<'s>(&'s self, name: &'s [u8]) -> At<'s> {
        At {
            directory: self.ours.as_fd(),
            name,
        }
    }

    fn own_failed(&self, name: &[u8], error: Errno) -> VaultError {
        disk(
            &self.folder.ours().join(OsStr::from_bytes(name)),
            error.into(),
        )
    }

    /// Keeps what somebody left who was stopped.
    pub(super) fn take_up_what_was_left(&mut self) -> Result<(), VaultError> {
        self.clear(NEW)?;
        // SECURITY: it may be what a person wrote; `what_was_left_on_the_way_is_kept` notices.
        self.keep(SWAP)?;
        self.keep(OLD)
    }

    /// Shows what is kept.
    pub(super) fn list_aside(&mut self) -> Result<(), VaultError> {
        let ours = self.folder.ours();
        let list = || -> rustix::io::Result<Vec<_>> {
            let mut kept = Vec::new();
            for entry in Dir::read_from(&self.ours)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name.starts_with(KEPT.as_bytes()) {
                    kept.push(ours.join(OsStr::from_bytes(name)));
                }
            }
            Ok(kept)
        };
        self.applied.aside = list().map_err(|error| disk(&ours, error.into()))?;
        self.applied.aside.sort();
        Ok(())
    }

    /// Moves something of ours to a name that nobody looks at but the person.
    fn keep(&self, name: &[u8]) -> Result<(), VaultError> {
        for number in 1_u32.. {
            let kept = format!("{KEPT}{number}");
            let moves = &self.folder.moves;
            match moves.no_replace(self.own(name), self.own(kept.as_bytes())) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.own_failed(name, error)),
            }
        }
        Ok(())
    }

    pub(super) fn clear(&self, name: &[u8]) -> Result<(), VaultError> {
        match rustix::fs::unlinkat(&self.ours, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Something that is no file took the place.
            Err(Errno::ISDIR) => self.keep(name),
            Err(error) => Err(self.own_failed(name, error)),
        }
    }

    /// Destroys what was moved out of the way, if it is what an entry says; else it goes back to its name.
    pub(super) fn discard(
        &mut self,
        name: &[u8],
        at: At<'_>,
        before: &Entry,
    ) -> Result<(), VaultError> {
        if self.is_still(self.own(name), before) {
            return self.clear(name);
        }
        self.applied.busy = true;
        self.put_back(name, at)
    }

    /// Gives a person's its name again. Where that is another's by now, both stay: beside it, or with what is ours.
    fn put_back(&self, name: &[u8], at: At<'_>) -> Result<(), VaultError> {
        let moves = &self.folder.moves;
        let from = self.own(name);
        if moves.no_replace(from, at).is_ok() {
            return Ok(());
        }
        for number in 1..=BESIDE {
            let beside = [at.name, format!(" (kept {number})").as_bytes()].concat();
            let beside = At {
                name: &beside,
                ..at
            };
            match moves.no_replace(from, beside) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                // The name is too long, or nobody may write there any more.
                Err(_) => break,
            }
        }
        self.keep(name)
    }

    /// Gives what was written under another name its own.
    pub(super) fn place_new(
        &mut self,
        path: &VaultPath,
        at: At<'_>,
        before: Option<&Entry>,
        after: &Entry,
    ) -> Result<(), VaultError> {
        let folder = self.folder;
        let Some(before) = before else {
            return match folder.moves.no_replace(self.own(NEW), at) {
                Ok(()) => {
                    self.applied.written = self.applied.written.saturating_add(1);
                    Ok(())
                }
                // SECURITY: what a person wrote meanwhile is not replaced; `what_is_written_meanwhile_stays` notices.
                Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => {
                    self.clear(NEW)?;
                    // SECURITY: what has a name that is the same to the disk alone is no change of the person's;
                    // `names_that_are_one_for_the_disk_are_told` notices.
                    if holds_nothing(at, path.names().len()) || self.is_another(path, at) {
                        return self.refuse(path, Errno::BUSY);
                    }
                    self.applied.busy |= !self.is_still(at, after);
                    Ok(())
                }
                Err(error) => {
                    self.clear(NEW)?;
                    self.refuse(path, error)
                }
            };
        };
        // What has another name from now on may be a person's: it never has that of what is being written.
        over(self.own(NEW), self.own(SWAP)).map_err(|error| self.own_failed(NEW, error))?;
        match folder.moves.exchange(self.own(SWAP), at, self.own(OLD)) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.applied.busy = true;
                return self.clear(SWAP);
            }
            Err(Errno::EXIST) => {
                self.applied.busy = true;
                self.clear(SWAP)?;
                return self.discard(OLD, at, before);
            }
            Err(error) => {
                self.clear(SWAP)?;
                return self.refuse(path, error);
            }
        }
        if self.is_still(self.own(SWAP), before) {
            self.applied.written = self.applied.written.saturating_add(1);
            return self.clear(SWAP);
        }
        // It was changed since it was looked at: back again.
        self.applied.busy = true;
        match folder.moves.exchange(self.own(SWAP), at, self.own(OLD)) {
            // What comes out is what was put there, or what somebody wrote there meanwhile.
            Ok(()) => self.discard(SWAP, at, after),
            Err(error) => {
                self.put_back(SWAP, at)?;
                match error {
                    Errno::EXIST => self.discard(OLD, at, after),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Whether all that is in a directory is what can be in no vault: sockets, pipes and devices.
pub(super) fn holds_nothing(at: At<'_>, deep: usize) -> bool {
    let look = || -> rustix::io::Result<bool> {
        let inner = rustix::fs::openat(at.directory, at.name, DIRECTORY, Mode::empty())?;
        for entry in Dir::read_from(&inner)? {
            let entry = entry?;
            let at = At {
                directory: inner.as_fd(),
                name: entry.file_name().to_bytes(),
            };
            if matches!(at.name, b"." | b"..") {
                continue;
            }
            let stat = rustix::fs::statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW)?;
            let nothing = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile | FileType::Symlink => false,
                FileType::Directory => deep < DEPTH && holds_nothing(at, deep.saturating_add(1)),
                _ => true,
            };
            if !nothing {
                return Ok(false);
            }
        }
        Ok(true)
    };
    look().unwrap_or(false)
}

#[cfg(test)]
#[path = "aside_tests.rs"]
mod tests;
