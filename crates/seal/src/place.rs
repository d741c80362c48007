//! Where sealed and opened bytes go, and how files get their names when all is whole.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person who seals or opens: this file is where they are made, moved and removed"
)]

use crate::lock::{Entry, EntryKind, OpenError};
use crate::parallel::Sink;
use crate::part::{OLD, Part, exchanged, named};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

impl Sink for File {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn give_up(&self) {}
}

/// A pipe or another place that takes bytes only in their order.
pub struct InOrder<W> {
    state: Mutex<State<W>>,
    moved: Condvar,
}

struct State<W> {
    out: W,
    next: u64,
    given_up: bool,
}

impl<W: Write + Send> InOrder<W> {
    /// Begins at offset 0.
    pub fn new(out: W) -> Self {
        Self {
            state: Mutex::new(State {
                out,
                next: 0,
                given_up: false,
            }),
            moved: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends, and hands over what was written to.
    pub fn into_inner(self) -> W {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).out
    }
}

impl<W: Write + Send> Sink for InOrder<W> {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        while state.next != offset {
            if state.given_up {
                return Err(io::ErrorKind::Interrupted.into());
            }
            state = self
                .moved
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let written = state.out.write_all(bytes);
        state.given_up |= written.is_err();
        state.next = state.next.saturating_add(bytes.len() as u64);
        drop(state);
        self.moved.notify_all();
        written
    }

    fn give_up(&self) {
        self.state().given_up = true;
        self.moved.notify_all();
    }
}

/// A file under another name beside its place; it is gone unless [`Output::keep`] gives it its name.
#[derive(Debug)]
pub struct Output {
    part: Part,
    place: PathBuf,
}

impl Output {
    /// Begins a file that only its owner may read, and removes what others left beside it who were killed. `nonce` makes
    /// its name one that nobody else has.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(place: &Path, nonce: u64) -> io::Result<Self> {
        if place.file_name().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self {
            part: Part::file(place.parent().unwrap_or(Path::new("")), nonce)?,
            place: place.to_path_buf(),
        })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        self.part.held()
    }

    /// Flushes the file and gives it its name. With `replace` it takes the place of another file.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the file system says.
    pub fn keep(self, replace: bool) -> io::Result<()> {
        self.file().sync_all()?;
        self.part.keep(&self.place, replace)
    }
}

/// A directory of our own in which what is opened is put together; it is gone at the end, with what is still in it.
///
/// Paths of entries were checked: none leads out, and all that they pass through are directories made here. Links come
/// last, so that nothing is ever written through one.
#[derive(Debug)]
pub(crate) struct Staging {
    root: Part,
    /// Where entries are made.
    at: PathBuf,
    /// As on a disk where large and small letters are one.
    #[cfg(test)]
    folds: bool,
    /// The directory that was made for all this, if it was not there. It goes after what is in it.
    _made: Option<Made>,
}

/// A directory that goes again, unless something was placed in it.
#[derive(Debug)]
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // Only empty directories are removed.
        let _ = fs::remove_dir(&self.0);
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_path_buf();
    |error| OpenError::Write { path, error }
}

/// An entry was not made. Each has a path of its own: what is there already has another name that is the same one here.
fn not_made(entry: &Entry, at: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let (name, at) = (
        PathBuf::from(OsStr::from_bytes(&entry.path)),
        at.to_path_buf(),
    );
    |error| match error.kind() {
        io::ErrorKind::AlreadyExists => OpenError::SameName { path: name },
        _ => OpenError::Write { path: at, error },
    }
}

fn times(entry: &Entry) -> Option<FileTimes> {
    let at = entry.modified_at()?;
    Some(FileTimes::new().set_modified(at))
}

impl Staging {
    pub(crate) fn create(beside: &Path, nonce: u64) -> Result<Self, OpenError> {
        let made = (!beside.exists()).then(|| Made(beside.to_path_buf()));
        fs::create_dir_all(beside).map_err(failed(beside))?;
        let root = Part::directory(beside, nonce).map_err(failed(beside))?;
        let staging = Self {
            at: root.path().join("new"),
            #[cfg(test)]
            folds: beside.ends_with(tests::FOLDS),
            root,
            _made: made,
        };
        fs::create_dir(&staging.at).map_err(failed(&staging.at))?;
        Ok(staging)
    }

    /// Where a path comes to lie in a directory.
    pub(crate) fn place(directory: &Path, path: &[u8]) -> PathBuf {
        directory.join(OsStr::from_bytes(path))
    }

    /// Where an entry is made.
    fn inside(&self, path: &[u8]) -> PathBuf {
        #[cfg(test)]
        if self.folds {
            return Self::place(&self.at, &path.to_ascii_lowercase());
        }
        Self::place(&self.at, path)
    }

    pub(crate) fn directory(&self, entry: &Entry) -> Result<(), OpenError> {
        let at = self.inside(&entry.path);
        let made = DirBuilder::new().mode(0o700).create(&at);
        made.map_err(not_made(entry, &at))
    }

    /// Begins a file: pieces of it may come in any order then.
    pub(crate) fn begin(&self, entry: &Entry) -> Result<(), OpenError> {
        let at = self.inside(&entry.path);
        let mut options = OpenOptions::new();
        // SECURITY: what has the name already is another file, and would be mixed with this one;
        // `what_is_one_name_for_a_disk_is_written_as_no_mixture` notices.
        let made = options.write(true).create_new(true).mode(0o600).open(&at);
        made.map(drop).map_err(not_made(entry, &at))
    }

    /// Writes a piece of a file.
    pub(crate) fn write(&self, entry: &Entry, offset: u64, piece: &[u8]) -> Result<(), OpenError> {
        let at = self.inside(&entry.path);
        let file = Self::file(&at).map_err(failed(&at))?;
        file.write_all_at(piece, offset).map_err(failed(&at))
    }

    fn file(at: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).open(at)
    }

    /// Links, modes and times; directories last, the innermost first. Links that lead out are left out
    /// and returned.
    pub(crate) fn finish(&self, entries: &[Entry]) -> Result<Vec<Entry>, OpenError> {
        let mut left_out = Vec::new();
        for entry in entries {
            let at = self.inside(&entry.path);
            match &entry.kind {
                EntryKind::File { .. } => {
                    let file = Self::file(&at).map_err(failed(&at))?;
                    if let Some(times) = times(entry) {
                        file.set_times(times).map_err(failed(&at))?;
                    }
                    let mode = Permissions::from_mode(entry.mode.into());
                    file.set_permissions(mode).map_err(failed(&at))?;
                }
                EntryKind::Link { .. } if !entry.leads_inside() => left_out.push(entry.clone()),
                EntryKind::Link { target } => {
                    symlink(OsStr::from_bytes(target), &at).map_err(not_made(entry, &at))?;
                }
                EntryKind::Directory => {}
            }
        }
        for entry in entries.iter().rev() {
            if entry.kind == EntryKind::Directory {
                let at = self.inside(&entry.path);
                let directory = File::open(&at).map_err(failed(&at))?;
                if let Some(times) = times(entry) {
                    directory.set_times(times).map_err(failed(&at))?;
                }
                // Its owner may always look into it and empty it: else nobody could clear away.
                let mode = Permissions::from_mode(u32::from(entry.mode) | 0o700);
                directory.set_permissions(mode).map_err(failed(&at))?;
            }
        }
        // What gets its name is on the disk, also if the machine stops in the next moment.
        rustix::fs::syncfs(self.root.held())
            .map_err(io::Error::from)
            .map_err(failed(&self.at))?;
        Ok(left_out)
    }

    /// Gives what is here its names in `out`.
    pub(crate) fn into_place(
        self,
        names: &[Vec<u8>],
        out: &Path,
        replace: bool,
    ) -> Result<Vec<PathBuf>, OpenError> {
        let places: Vec<PathBuf> = names.iter().map(|name| Self::place(out, name)).collect();
        let taken = |place: &&PathBuf| place.symlink_metadata().is_ok();
        if let Some(place) = places.iter().find(taken).filter(|_| !replace) {
            return Err(OpenError::Exists {
                path: place.clone(),
            });
        }
        for (name, place) in names.iter().zip(&places) {
            let at = self.inside(name);
            if at.symlink_metadata().is_err() {
                continue; // A link that was left out.
            }
            if replace && place.symlink_metadata().is_ok() && self.exchange(name, &at, place)? {
                continue;
            }
            named(&at, place, false).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => OpenError::Exists {
                    path: place.clone(),
                },
                _ => failed(place)(error),
            })?;
        }
        Ok(places)
    }

    /// Gives something the name of what is there, in one step where the file system can. Where it cannot, what is there
    /// is moved away first, and comes back if nothing takes its place.
    fn exchange(&self, name: &[u8], at: &Path, place: &Path) -> Result<bool, OpenError> {
        if exchanged(at, place).map_err(failed(place))? {
            return Ok(true);
        }
        let aside = self.root.path().join(OLD);
        fs::create_dir_all(&aside).map_err(failed(&aside))?;
        fs::rename(place, Self::place(&aside, name)).map_err(failed(place))?;
        Ok(false)
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
pub(crate) mod tests;
