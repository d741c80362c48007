//! What is not whole yet: a file or directory under a name of ours, `.letterlock-NONCE.part`, beside its place.
//!
//! ```text
//!   begin:  sweep the directory ─► make ─► lock ─► still there? ─► write ─► it gets its own name, or goes
//!   sweep:  names of ours ─► lock is free? ─► what a person had comes back ─► remove
//! ```
//!
//! Whoever writes a part holds a lock (`flock`) on it, which the system gives back however the process ends. So a part
//! that nobody holds was left by somebody who was killed, and whoever begins the next one in that directory removes it.
//! A file system without locks shows nobody's end: nothing is removed there.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person who seals or opens: this file is where what is not whole is made and removed"
)]

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, open, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

const BEGIN: &[u8] = b".letterlock-";
const END: &[u8] = b".part";
const DIGITS: usize = 16;
/// Names that are tried where each new part is swept away in the moment in which it is made.
const TRIES: u64 = 64;
/// In a part that is a directory: what had the place of what comes, each under its own name.
pub(crate) const OLD: &str = "old";

/// Something that is not whole; it is gone at the end, unless it was given another name.
#[derive(Debug)]
pub(crate) struct Part {
    at: PathBuf,
    /// Open, and locked.
    held: File,
}

impl Part {
    /// Begins a file that only its owner may read.
    pub(crate) fn file(directory: &Path, nonce: u64) -> io::Result<Self> {
        Self::begin(directory, nonce, |at| {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create_new(true);
            options.mode(0o600).open(at)
        })
    }

    /// Begins a directory that only its owner may enter.
    pub(crate) fn directory(directory: &Path, nonce: u64) -> io::Result<Self> {
        Self::begin(directory, nonce, |at| {
            DirBuilder::new().mode(0o700).create(at)?;
            File::open(at)
        })
    }

    fn begin(
        directory: &Path,
        nonce: u64,
        make: impl Fn(&Path) -> io::Result<File>,
    ) -> io::Result<Self> {
        // The directory of a bare name.
        let directory = match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => directory,
        };
        sweep(directory);
        for more in 0..TRIES {
            let at = directory.join(name(nonce.wrapping_add(more)));
            let made = make(&at).and_then(|held| {
                // Whoever sweeps may hold it in this moment, and removes it then. Without locks it is written all the same.
                let _ = flock(&held, FlockOperation::LockExclusive);
                Ok(is_at(&held, &at)?.then_some(held))
            });
            match made {
                Ok(Some(held)) => return Ok(Self { at, held }),
                Ok(None) => {}
                // It was swept before it was opened, or there is no such directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Where it is until it is whole.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// The file, or the directory.
    pub(crate) fn held(&self) -> &File {
        &self.held
    }

    /// Gives it a name of its own. With `replace` it takes the place of another file.
    pub(crate) fn keep(self, place: &Path, replace: bool) -> io::Result<()> {
        named(&self.at, place, replace)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nobody could be told that it stays; the next one who writes here removes it.
        if is_at(&self.held, &self.at).unwrap_or(false) {
            let _ = remove(&self.held, &self.at);
        }
    }
}

fn name(nonce: u64) -> String {
    format!(".letterlock-{nonce:016x}.part")
}

/// Whether a name is that of a part.
fn is_name(name: &OsStr) -> bool {
    let middle = name.as_bytes().strip_prefix(BEGIN);
    let middle = middle.and_then(|rest| rest.strip_suffix(END));
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    middle.is_some_and(|middle| middle.len() == DIGITS && middle.iter().all(digit))
}

/// Whether this is what a path names.
fn is_at(held: &File, path: &Path) -> io::Result<bool> {
    let there = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let here = held.metadata()?;
    Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
}

/// Removes the parts of a directory that nobody writes any more.
pub(crate) fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_name(&entry.file_name()) {
            // What cannot be removed now is there for the next one.
            let _ = clear(&entry.path());
        }
    }
}

fn clear(at: &Path) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let held = match open(at, flags | OFlags::RDWR, Mode::empty()) {
        Err(Errno::ISDIR) => open(at, flags | OFlags::DIRECTORY, Mode::empty())?,
        file => file?,
    };
    let held = File::from(held);
    let what = held.metadata()?;
    // In a directory for everybody others have theirs.
    let ours = what.uid() == rustix::process::geteuid().as_raw();
    if !ours || !(what.is_file() || what.is_dir()) {
        return Ok(());
    }
    // SECURITY: somebody may write it now; `what_somebody_writes_is_not_swept` notices.
    flock(&held, FlockOperation::NonBlockingLockExclusive)?;
    match is_at(&held, at)? {
        true => remove(&held, at),
        false => Ok(()),
    }
}

/// Removes a part. What a person had, and what was moved away for what did not come, gets its name again before.
fn remove(held: &File, at: &Path) -> io::Result<()> {
    if held.metadata()?.is_file() {
        return fs::remove_file(at);
    }
    let above = at.parent().unwrap_or(Path::new("."));
    for entry in fs::read_dir(at.join(OLD)).into_iter().flatten() {
        let entry = entry?;
        match named(&entry.path(), &above.join(entry.file_name()), false) {
            // What was to come is there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            back => back?,
        }
    }
    fs::remove_dir_all(at).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        // What a person had may hold directories that not even their owner may empty.
        _ => make_empty(at).and_then(|()| fs::remove_dir_all(at)),
    })
}

/// Lets the owner empty a directory, and those in it.
fn make_empty(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_empty(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives a file or directory its name in one step.
pub(crate) fn named(at: &Path, place: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(at, place);
    }
    match renameat_with(CWD, at, CWD, place, RenameFlags::NOREPLACE) {
        // Some file systems have no such rename: what is there is looked for, which leaves a moment.
        Err(Errno::INVAL | Errno::NOSYS) => match place.symlink_metadata().is_ok() {
            true => Err(io::ErrorKind::AlreadyExists.into()),
            false => fs::rename(at, place),
        },
        other => Ok(other?),
    }
}

/// Exchanges two names in one step; false where the file system cannot.
pub(crate) fn exchanged(at: &Path, place: &Path) -> io::Result<bool> {
    match renameat_with(CWD, at, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
