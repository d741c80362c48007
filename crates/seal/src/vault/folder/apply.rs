//! What came from elsewhere, on its way into a folder. What changed there meanwhile is left alone, and told.

use super::{Folder, Seen, disk};
use crate::parallel::Progress;
use crate::vault::diff::Change;
use crate::vault::error::VaultError;
use crate::vault::name::{Name, VaultPath};
use crate::vault::reader::Reader;
use crate::vault::tree::{Entry, What};
use keys::vault_root::ObjectRef;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 20;
const NEW: &[u8] = b"new";
const OLD: &[u8] = b"old";

/// What was written into a folder.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Files, links and directories that were written.
    pub written: u64,
    /// Those that were removed.
    pub removed: u64,
    /// Something was changed meanwhile and is as it was: look through the folder again.
    pub busy: bool,
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
struct Hand<'a> {
    folder: &'a Folder,
    reader: Reader<'a>,
    top: OwnedFd,
    ours: OwnedFd,
    /// The directory that was used last.
    last: Option<(VaultPath, OwnedFd)>,
    piece: Zeroizing<Vec<u8>>,
    applied: Applied,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Writes what differs between what the folder has, `from`, and `to`. `total` hears how many bytes will be written.
    ///
    /// # Errors
    /// [`VaultError`]; what was written is written, and nothing is lost.
    pub fn apply(
        &self,
        reader: Reader<'_>,
        from: Option<&ObjectRef>,
        to: &ObjectRef,
        (total, progress): (Progress<'_>, Progress<'_>),
    ) -> Result<Applied, VaultError> {
        let mut changes = Vec::new();
        reader.diff(from, Some(to), &mut |path, change| {
            let first = path.names().first();
            // SECURITY: what is ours is no writer's business; `what_is_ours_is_left_alone` notices.
            if first.is_none_or(|name| name.as_bytes() != super::OURS.as_bytes()) {
                changes.push((path.clone(), change.clone()));
            }
            Ok(())
        })?;
        total(
            changes
                .iter()
                .map(|(_, change)| change.bytes())
                .fold(0, u64::saturating_add),
        );
        let mut hand = Hand::new(self, reader)?;
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
        Ok(hand.applied)
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

impl<'a> Hand<'a> {
    fn new(folder: &'a Folder, reader: Reader<'a>) -> Result<Self, VaultError> {
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
            top,
            ours,
            last: None,
            piece: Zeroizing::new(vec![0; PIECE]),
            applied: Applied::default(),
        })
    }

    fn on_disk(&self, path: &VaultPath) -> PathBuf {
        path.on_disk(&self.folder.path)
    }

    fn failed(&self, path: &VaultPath, error: Errno) -> VaultError {
        disk(&self.on_disk(path), error.into())
    }

    /// The directory that a path lies in, and its name there. Nothing: it is not there any more, or a link or a file.
    fn place<'p>(
        &mut self,
        path: &'p VaultPath,
    ) -> Result<Option<(OwnedFd, &'p Name)>, VaultError> {
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
                at = match rustix::fs::openat(&at, name.as_bytes(), DIRECTORY, Mode::empty()) {
                    Ok(inner) => inner,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                    Err(error) => return Err(self.failed(path, error)),
                };
            }
            self.last = Some((place, at));
        }
        let (_, at) = self.last.as_ref().ok_or(VaultError::TooDeep)?;
        let at = at.try_clone().map_err(|e| disk(&self.folder.path, e))?;
        Ok(Some((at, name)))
    }

    /// Whether what lies at a name is what an entry says, as far as size, time and target tell.
    fn is_still(&self, at: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> bool {
        let Ok(stat) = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        match (&entry.what, FileType::from_raw_mode(stat.st_mode)) {
            (What::File { .. }, FileType::RegularFile) => Seen::of(&stat).fits(entry),
            (What::Directory(_), FileType::Directory) => true,
            (What::Link(target), FileType::Symlink) => rustix::fs::readlinkat(at, name, Vec::new())
                .is_ok_and(|found| found.as_bytes() == target),
            _ => false,
        }
    }

    fn remove(&mut self, path: &VaultPath, before: &Entry) -> Result<(), VaultError> {
        let Some((at, name)) = self.place(path)? else {
            return Ok(()); // It went with what it lay in.
        };
        let name = name.as_bytes();
        if before.directory().is_some() {
            self.last = None;
            return match rustix::fs::unlinkat(&at, name, AtFlags::REMOVEDIR) {
                Ok(()) => {
                    self.applied.removed = self.applied.removed.saturating_add(1);
                    Ok(())
                }
                // What somebody put into it meanwhile stays.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
                    self.applied.busy = true;
                    Ok(())
                }
                Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(self.failed(path, error)),
            };
        }
        // Out of the way first: whether it is what is to be removed is looked at where nobody writes to its name.
        match rustix::fs::renameat(&at, name, &self.ours, OLD) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.failed(path, error)),
        }
        self.applied.removed = self.applied.removed.saturating_add(1);
        self.discard(path, at.as_fd(), before)
    }

    /// Destroys what was moved out of the way, if it is what an entry says; else it goes back to its name.
    fn discard(
        &mut self,
        path: &VaultPath,
        at: BorrowedFd<'_>,
        before: &Entry,
    ) -> Result<(), VaultError> {
        let Some((_, name)) = path.split_last() else {
            return Ok(());
        };
        if self.is_still(self.ours.as_fd(), OLD, before) {
            return rustix::fs::unlinkat(&self.ours, OLD, AtFlags::empty())
                .map_err(|error| self.failed(path, error));
        }
        self.applied.busy = true;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.ours, OLD, at, name.as_bytes(), flags) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => self.keep_aside(path, at, name),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    /// Two wrote while one was moved: both stay.
    fn keep_aside(
        &self,
        path: &VaultPath,
        at: BorrowedFd<'_>,
        name: &Name,
    ) -> Result<(), VaultError> {
        for number in 1_u32.. {
            let aside = [name.as_bytes(), format!(" (kept {number})").as_bytes()].concat();
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.ours, OLD, at, aside.as_slice(), flags) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed(path, error)),
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        path: &VaultPath,
        before: Option<&Entry>,
        after: &Entry,
        progress: Progress<'_>,
    ) -> Result<(), VaultError> {
        let Some((at, name)) = self.place(path)? else {
            self.applied.busy = true;
            return Ok(());
        };
        match &after.what {
            What::Directory(_) => {
                let open = mode(after.mode).union(Mode::RWXU);
                match rustix::fs::mkdirat(&at, name.as_bytes(), open) {
                    Ok(()) => self.applied.written = self.applied.written.saturating_add(1),
                    Err(Errno::EXIST) if before.is_some() => {}
                    // It may be one that stayed because something is in it.
                    Err(Errno::EXIST) => {
                        self.applied.busy |= !self.is_still(at.as_fd(), name.as_bytes(), after);
                    }
                    Err(error) => return Err(self.failed(path, error)),
                }
                return Ok(());
            }
            What::File { .. } => {
                if let Some(before) = before
                    && self.reader.same_content(before, after)?
                {
                    return self.set_meta(path, (at.as_fd(), name), before, after);
                }
                self.write_file(path, after, progress)?;
            }
            What::Link(target) => {
                self.clear(NEW, path)?;
                rustix::fs::symlinkat(target.as_slice(), &self.ours, NEW)
                    .map_err(|error| self.failed(path, error))?;
            }
        }
        self.place_new(path, (at.as_fd(), name), before)
    }

    /// Gives what was written under another name its own.
    fn place_new(
        &mut self,
        path: &VaultPath,
        (at, name): (BorrowedFd<'_>, &Name),
        before: Option<&Entry>,
    ) -> Result<(), VaultError> {
        let flags = match before {
            None => RenameFlags::NOREPLACE,
            Some(_) => RenameFlags::EXCHANGE,
        };
        match rustix::fs::renameat_with(&self.ours, NEW, at, name.as_bytes(), flags) {
            Ok(()) => self.applied.written = self.applied.written.saturating_add(1),
            // SECURITY: what a person wrote meanwhile is not replaced; `what_is_written_meanwhile_stays` notices.
            Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => {
                self.applied.busy = true;
                return self.clear(NEW, path);
            }
            Err(error) => return Err(self.failed(path, error)),
        }
        let Some(before) = before else {
            return Ok(());
        };
        if self.is_still(self.ours.as_fd(), NEW, before) {
            return self.clear(NEW, path);
        }
        // It was changed since it was looked at: back again.
        self.applied.busy = true;
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(&self.ours, NEW, at, name.as_bytes(), flags) {
            Ok(()) => self.clear(NEW, path),
            Err(Errno::NOENT) => {
                rustix::fs::renameat(&self.ours, NEW, &self.ours, OLD)
                    .map_err(|error| self.failed(path, error))?;
                self.keep_aside(path, at, name)
            }
            Err(error) => Err(self.failed(path, error)),
        }
    }

    fn clear(&self, name: &[u8], path: &VaultPath) -> Result<(), VaultError> {
        match rustix::fs::unlinkat(&self.ours, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Something that is no file took the place.
            Err(Errno::ISDIR) => rustix::fs::renameat(&self.ours, name, &self.ours, OLD)
                .map_err(|error| self.failed(path, error)),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    /// Writes contents, mode and time of a file under another name. Whole pieces of zeros become holes.
    fn write_file(
        &mut self,
        path: &VaultPath,
        after: &Entry,
        progress: Progress<'_>,
    ) -> Result<(), VaultError> {
        self.clear(NEW, path)?;
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
    fn set_meta(
        &mut self,
        path: &VaultPath,
        (at, name): (BorrowedFd<'_>, &Name),
        before: &Entry,
        after: &Entry,
    ) -> Result<(), VaultError> {
        if !self.is_still(at, name.as_bytes(), before) {
            self.applied.busy |= !self.is_still(at, name.as_bytes(), after);
            return Ok(());
        }
        let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        let set = || -> rustix::io::Result<()> {
            let file = rustix::fs::openat(at, name.as_bytes(), flags, Mode::empty())?;
            let itself = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            rustix::fs::chmod(&itself, mode(after.mode))?;
            rustix::fs::utimensat(CWD, &itself, &times(after), AtFlags::empty())
        };
        set().map_err(|error| self.failed(path, error))?;
        self.applied.written = self.applied.written.saturating_add(1);
        Ok(())
    }

    fn set_mode(&mut self, path: &VaultPath, after: &Entry) -> Result<(), VaultError> {
        self.last = None;
        let Some((at, name)) = self.place(path)? else {
            return Ok(());
        };
        match rustix::fs::openat(&at, name.as_bytes(), DIRECTORY, Mode::empty()) {
            Ok(directory) => rustix::fs::fchmod(&directory, mode(after.mode))
                .map_err(|error| self.failed(path, error)),
            Err(_) => Ok(()), // Something else has the name: told already.
        }
    }
}

/// Bytes of a hole.
const HOLE: usize = 64 * 1024;
