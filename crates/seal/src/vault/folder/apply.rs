//! What came from elsewhere, on its way into a folder. What changed there meanwhile is left alone, and told.

use super::aside::{NEW, OLD, holds_nothing};
use super::moves::{At, over};
use super::refused::{Refused, again};
use super::{Folder, Seen, disk, is_ours};
use crate::parallel::Progress;
use crate::vault::budget::Budget;
use crate::vault::diff::Change;
use crate::vault::error::VaultError;
use crate::vault::name::VaultPath;
use crate::vault::reader::Reader;
use crate::vault::tree::{Entry, What};
use keys::vault_root::ObjectRef;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 20;
/// Bytes of a hole.
const HOLE: usize = 64 * 1024;

/// What was written into a folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Files, links and directories that were written.
    pub written: u64,
    /// Those that were removed.
    pub removed: u64,
    /// Something was changed meanwhile and is as it was: look through the folder again.
    pub busy: bool,
    /// What the system does not let this process write: it is as it was.
    pub refused: Vec<Refused>,
    /// What was put aside, now or before, because it could not stay where it was. It is nobody's but the person's.
    pub aside: Vec<PathBuf>,
}

/// Permission bits as a mode of the system.
fn mode(bits: u16) -> Mode {
    Mode::from_bits_truncate(bits.into())
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: entry.modified.0,
            tv_nsec: entry.modified.1.into(),
        },
    }
}

/// Writes below one folder. No link is followed on the way.
pub(super) struct Hand<'a> {
    pub(super) folder: &'a Folder,
    reader: Reader<'a>,
    budget: Budget,
    top: OwnedFd,
    pub(super) ours: OwnedFd,
    /// The directory that was used last.
    last: Option<(VaultPath, OwnedFd)>,
    /// Paths that were refused: what is in them is not told again.
    refused: BTreeSet<VaultPath>,
    piece: Zeroizing<Vec<u8>>,
    pub(super) applied: Applied,
}

/// A directory, and a name in it.
type Found<'p> = (OwnedFd, Cow<'p, [u8]>);

pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Writes what differs between what the folder has, `from`, and `to`. Of what is in `refused` it has something else.
    /// `total` hears how many bytes will be written.
    ///
    /// # Errors
    /// [`VaultError`]; what was written is written, and nothing is lost.
    pub fn apply(
        &self,
        reader: Reader<'_>,
        from: Option<&ObjectRef>,
        to: &ObjectRef,
        refused: &[Refused],
        (total, progress): (Progress<'_>, Progress<'_>),
    ) -> Result<Applied, VaultError> {
        let mut changes = BTreeMap::new();
        let mut budget = reader.budget();
        let between = (from, Some(to));
        reader.diff_in(
            between,
            &VaultPath::top(),
            &mut budget,
            &mut |path, change| {
                changes.insert(path.clone(), change.clone());
                Ok(())
            },
        )?;
        again(reader, to, refused, (&mut budget, &mut changes))?;
        // SECURITY: what is ours is no writer's business; `what_is_ours_is_left_alone` notices.
        changes.retain(|path, _| {
            let first = path.names().first();
            first.is_none_or(|name| !is_ours(name.as_bytes()))
        });
        total(
            changes
                .values()
                .map(Change::bytes)
                .fold(0, u64::saturating_add),
        );
        let mut hand = Hand::new(self, reader)?;
        hand.budget = budget;
        hand.take_up_what_was_left()?;
        // What goes, the inner first; then what comes, the outer first.
        for (path, change) in changes.iter().rev() {
            if let Some(before) = change.goes() {
                hand.remove(path, before)?;
            }
        }
        for (path, change) in &changes {
            if let Some(after) = &change.after {
                hand.write(path, change.stays(), after, progress)?;
            }
        }
        // A directory that may not be written to gets its mode when all is in it.
        for (path, change) in changes.iter().rev() {
            match &change.after {
                Some(after) if after.directory().is_some() => hand.set_mode(path, after)?,
                _ => {}
            }
        }
        hand.list_aside()?;
        let refused = std::mem::take(&mut hand.refused);
        let told = refused.into_iter().filter_map(|path| {
            let before = changes.get(&path)?.before.clone();
            Some(Refused { path, before })
        });
        let refused = told.collect();
        Ok(Applied {
            refused,
            ..std::mem::take(&mut hand.applied)
        })
    }
}

impl Change {
    /// Bytes of the file that comes; one whose contents stay counts too.
    fn bytes(&self) -> u64 {
        match self.after.as_ref().map(|entry| &entry.what) {
            Some(What::File { size, .. }) => *size,
            _ => 0,
        }
    }

    /// What is to be taken away: it goes, or something of another kind takes its place.
    fn goes(&self) -> Option<&Entry> {
        match self.stays() {
            Some(_) => None,
            None => self.before.as_ref(),
        }
    }

    /// What was there, where something of the same kind is to take its place.
    fn stays(&self) -> Option<&Entry> {
        let kind = |entry: &Entry| match &entry.what {
            What::File { .. } => 1,
            What::Directory(_) => 2,
            What::Link(_) => 3,
        };
        let before = self.before.as_ref()?;
        let after = self.after.as_ref()?;
        (kind(before) == kind(after)).then_some(before)
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        // It is ours, and half of something: where all is well there is none.
        let _ = rustix::fs::unlinkat(&self.ours, NEW, AtFlags::empty());
    }
}

impl<'a> Hand<'a> {
    pub(super) fn new(folder: &'a Folder, reader: Reader<'a>) -> Result<Self, VaultError> {
        let ours = folder.ours();
        let open = || -> io::Result<(OwnedFd, OwnedFd)> {
            match rustix::fs::mkdir(&ours, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            // The person may have named the folder by a link; below it none is followed.
            let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
            let top = rustix::fs::openat(CWD, &folder.path, flags, Mode::empty())?;
            let ours = rustix::fs::openat(&top, super::OURS, DIRECTORY, Mode::empty())?;
            Ok((top, ours))
        };
        let (top, ours) = open().map_err(|error| disk(&folder.path, error))?;
        Ok(Self {
            folder,
            reader,
            budget: reader.budget(),
            top,
            ours,
            last: None,
            refused: BTreeSet::new(),
            piece: Zeroizing::new(vec![0; PIECE]),
            applied: Applied::default(),
        })
    }

    fn on_disk(&self, path: &VaultPath) -> PathBuf {
        path.on_disk(&self.folder.path)
    }

    pub(super) fn failed(&self, path: &VaultPath, error: Errno) -> VaultError {
        disk(&self.on_disk(path), error.into())
    }

    /// Goes on without what only this path stands in the way of.
    pub(super) fn refuse(&mut self, path: &VaultPath, error: Errno) -> Result<(), VaultError> {
        match error {
            Errno::ACCESS
            | Errno::PERM
            | Errno::ROFS
            | Errno::XDEV
            | Errno::BUSY
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::OPNOTSUPP => {
                self.refused.insert(path.clone());
                Ok(())
            }
            error => Err(self.failed(path, error)),
        }
    }

    /// Whether a path, or what it lies in, was refused.
    fn is_refused(&self, path: &VaultPath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at.filter(|_| !self.refused.is_empty()) {
            if self.refused.contains(&path) {
                return true;
            }
            at = path.split_last().map(|(place, _)| place);
        }
        false
    }

    /// Whether something in a directory was refused.
    fn is_refused_in(&self, path: &VaultPath) -> bool {
        let mut from = self.refused.range(path.clone()..);
        from.next().is_some_and(|at| at.is_in(path))
    }

    /// Whether something else has the name of a path on a disk that takes both names for one.
    pub(super) fn is_another(&self, path: &VaultPath, at: At<'_>) -> bool {
        let named = path.names().last().map(|name| At {
            name: name.as_bytes(),
            ..at
        });
        named.is_some_and(|named| self.folder.moves.is_another(named))
    }

    /// The directory that a path lies in, and its name there. Nothing: it is not there any more, or a link or a file.
    fn place<'p>(&mut self, path: &'p VaultPath) -> Result<Option<Found<'p>>, VaultError> {
        let Some((place, name)) = path.split_last() else {
            return Ok(None);
        };
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            let mut at = self
                .top
                .try_clone()
                .map_err(|e| disk(&self.folder.path, e))?;
            for name in place.names() {
                // SECURITY: a writer cannot lead this device out of the folder; `no_link_is_followed` notices.
                let asked = self.folder.moves.asked(at.as_fd(), name.as_bytes());
                at = match rustix::fs::openat(&at, &*asked, DIRECTORY, Mode::empty()) {
                    Ok(inner) => inner,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                    Err(error) => {
                        self.refuse(path, error)?;
                        return Ok(None);
                    }
                };
            }
            self.last = Some((place, at));
        }
        let (_, at) = self.last.as_ref().ok_or(VaultError::TooDeep)?;
        let at = at.try_clone().map_err(|e| disk(&self.folder.path, e))?;
        let name = self.folder.moves.asked(at.as_fd(), name.as_bytes());
        Ok(Some((at, name)))
    }

    /// Whether what lies at a name is what an entry says, as far as size, time and target tell.
    pub(super) fn is_still(&self, at: At<'_>, entry: &Entry) -> bool {
        let Ok(stat) = rustix::fs::statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        match (&entry.what, FileType::from_raw_mode(stat.st_mode)) {
            (What::File { .. }, FileType::RegularFile) => Seen::of(&stat).fits(entry),
            (What::Directory(_), FileType::Directory) => true,
            (What::Link(target), FileType::Symlink) => {
                rustix::fs::readlinkat(at.directory, at.name, Vec::new())
                    .is_ok_and(|found| found.as_bytes() == target)
            }
            _ => false,
        }
    }

    fn remove(&mut self, path: &VaultPath, before: &Entry) -> Result<(), VaultError> {
        let Some((directory, name)) = self.place(path)? else {
            return Ok(()); // It went with what it lay in.
        };
        let at = At {
            directory: directory.as_fd(),
            name: &name,
        };
        if before.directory().is_some() {
            self.last = None;
            return match rustix::fs::unlinkat(at.directory, at.name, AtFlags::REMOVEDIR) {
                Ok(()) => {
                    self.applied.removed = self.applied.removed.saturating_add(1);
                    Ok(())
                }
                Err(Errno::NOTEMPTY | Errno::EXIST) if self.is_refused_in(path) => {
                    self.refused.insert(path.clone());
                    Ok(())
                }
                // What somebody put into it meanwhile stays. What can be in no vault keeps the directory, for good.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
                    self.applied.busy |= !holds_nothing(at, path.names().len());
                    Ok(())
                }
                Err(Errno::NOENT) => Ok(()),
                Err(error) => self.refuse(path, error),
            };
        }
        // Out of the way first: whether it is what is to be removed is looked at where nobody writes to its name.
        match over(at, self.own(OLD)) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return self.refuse(path, error),
        }
        self.applied.removed = self.applied.removed.saturating_add(1);
        self.discard(OLD, at, before)
    }

    fn write(
        &mut self,
        path: &VaultPath,
        before: Option<&Entry>,
        after: &Entry,
        progress: Progress<'_>,
    ) -> Result<(), VaultError> {
        if self.is_refused(path) {
            return Ok(());
        }
        let Some((directory, name)) = self.place(path)? else {
            self.applied.busy |= !self.is_refused(path);
            return Ok(());
        };
        let at = At {
            directory: directory.as_fd(),
            name: &name,
        };
        if after.directory().is_some() {
            let open = mode(after.mode).union(Mode::RWXU);
            match rustix::fs::mkdirat(at.directory, at.name, open) {
                Ok(()) => self.applied.written = self.applied.written.saturating_add(1),
                Err(Errno::EXIST) if before.is_some() => {}
                Err(Errno::EXIST) if self.is_another(path, at) => {
                    self.refused.insert(path.clone());
                }
                // It may be one that stayed because something is in it.
                Err(Errno::EXIST) => self.applied.busy |= !self.is_still(at, after),
                Err(error) => return self.refuse(path, error),
            }
            return Ok(());
        }
        if let Some(before) = before
            && !self.is_still(at, before)
        {
            // Whoever was stopped on the way wrote it already, or nobody could read what it was changed to.
            let readable = rustix::fs::accessat(
                at.directory,
                at.name,
                Access::READ_OK,
                AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW,
            );
            return match readable {
                Err(error @ Errno::ACCESS) => self.refuse(path, error),
                _ => {
                    self.applied.busy |= !self.is_still(at, after);
                    Ok(())
                }
            };
        }
        match &after.what {
            What::Link(target) => {
                self.clear(NEW)?;
                rustix::fs::symlinkat(target.as_slice(), &self.ours, NEW)
                    .map_err(|error| self.failed(path, error))?;
            }
            _ => {
                if let Some(before) = before
                    && self.reader.same_content(before, after, &mut self.budget)?
                {
                    return self.set_meta(path, at, after);
                }
                self.write_file(path, after, progress)?;
            }
        }
        self.place_new(path, at, before, after)
    }

    /// Writes contents, mode and time of a file under another name. Whole pieces of zeros become holes.
    fn write_file(
        &mut self,
        path: &VaultPath,
        after: &Entry,
        progress: Progress<'_>,
    ) -> Result<(), VaultError> {
        self.clear(NEW)?;
        let flags = OFlags::WRONLY
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let file = rustix::fs::openat(&self.ours, NEW, flags, Mode::RUSR.union(Mode::WUSR))
            .map_err(|error| self.failed(path, error))?;
        let file = File::from(file);
        let failed = |error| disk(&path.on_disk(&self.folder.path), error);
        let Some(mut contents) = self.reader.file(after) else {
            return Err(VaultError::NotAFile { path: path.clone() });
        };
        let mut offset = 0;
        loop {
            let length = contents.read_at(offset, &mut self.piece)?;
            self.budget.parts(contents.steps())?;
            let piece = self.piece.get(..length).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            for (number, part) in (0_u64..).zip(piece.chunks(HOLE)) {
                if part.iter().any(|byte| *byte != 0) {
                    let at = offset.saturating_add(number.saturating_mul(HOLE as u64));
                    file.write_all_at(part, at).map_err(failed)?;
                }
            }
            offset = offset.saturating_add(length as u64);
            progress(length as u64);
        }
        file.set_len(contents.size()).map_err(failed)?;
        let set = || -> rustix::io::Result<()> {
            rustix::fs::fchmod(&file, mode(after.mode))?;
            rustix::fs::futimens(&file, &times(after))
        };
        set().map_err(|error| failed(error.into()))
    }

    /// Gives a file whose contents stay another mode or time.
    fn set_meta(&mut self, path: &VaultPath, at: At<'_>, after: &Entry) -> Result<(), VaultError> {
        let set = || -> rustix::io::Result<()> {
            let (_file, itself) = itself(at, OFlags::empty())?;
            rustix::fs::chmod(&itself, mode(after.mode))?;
            rustix::fs::utimensat(CWD, &itself, &times(after), AtFlags::empty())
        };
        match set() {
            Ok(()) => {
                self.applied.written = self.applied.written.saturating_add(1);
                Ok(())
            }
            Err(Errno::NOENT) => {
                self.applied.busy = true;
                Ok(())
            }
            Err(error) => self.refuse(path, error),
        }
    }

    fn set_mode(&mut self, path: &VaultPath, after: &Entry) -> Result<(), VaultError> {
        if self.is_refused(path) {
            return Ok(()); // Something else may have its name.
        }
        self.last = None;
        let Some((directory, name)) = self.place(path)? else {
            return Ok(());
        };
        let at = At {
            directory: directory.as_fd(),
            name: &name,
        };
        let set = || -> rustix::io::Result<()> {
            let (_directory, itself) = itself(at, OFlags::DIRECTORY)?;
            rustix::fs::chmod(&itself, mode(after.mode))
        };
        match set() {
            // Something else has the name, or nothing: told already.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(error) => self.refuse(path, error),
        }
    }
}

/// What has a name, held without a right to read or write it, and a path that leads to it and nothing else. No link is
/// followed.
fn itself(at: At<'_>, flags: OFlags) -> rustix::io::Result<(OwnedFd, String)> {
    let flags = flags
        .union(OFlags::PATH)
        .union(OFlags::NOFOLLOW)
        .union(OFlags::CLOEXEC);
    let held = rustix::fs::openat(at.directory, at.name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok((held, path))
}

#[cfg(test)]
#[path = "folding_tests.rs"]
mod folding_tests;
