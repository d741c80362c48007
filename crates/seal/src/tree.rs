//! Files and directories on disk: what is to be sealed, and how it is read.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person who seals or opens: this file is where they are read"
)]

use crate::lock::{Entry, EntryKind, Manifest, ManifestError};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why a tree was not taken, or not read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A path cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the file system says.
        #[source]
        error: io::Error,
    },
    /// It was changed meanwhile.
    #[error("{} changed while it was sealed", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// It has no name of its own, as `/` has none.
    #[error("{} has no name", path.display())]
    Nameless {
        /// Which.
        path: PathBuf,
    },
    /// Names that a sealed file cannot have.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What a file was when it was looked at.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Debug)]
struct Planned {
    path: PathBuf,
    /// Where its contents begin, in those of all files.
    start: u64,
    seen: Seen,
}

/// Files and directories that are to be sealed.
#[derive(Debug)]
pub struct Tree {
    manifest: Manifest,
    files: Vec<Planned>,
    length: u64,
    left_out: Vec<PathBuf>,
}

/// The file that a thread reads from, kept open from one block to the next.
#[derive(Default)]
pub(crate) struct Reading(Option<(usize, File)>);

impl Tree {
    /// Takes files, and directories with all that is in them. A link that is named itself is followed, no other is.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn of(paths: &[PathBuf]) -> Result<Self, TreeError> {
        let mut walk = Walk::default();
        for path in paths {
            let metadata = fs::metadata(path).map_err(|error| unread(path, error))?;
            let named = match path.file_name() {
                Some(name) => name.to_owned(),
                // `.` and `a/..` have a name too.
                None => path
                    .canonicalize()
                    .map_err(|error| unread(path, error))?
                    .file_name()
                    .ok_or_else(|| TreeError::Nameless { path: path.clone() })?
                    .to_owned(),
            };
            walk.take(path, named.as_bytes().to_vec(), &metadata)?;
        }
        Ok(Self {
            manifest: Manifest::new(walk.entries)?,
            files: walk.files,
            length: walk.length,
            left_out: walk.left_out,
        })
    }

    /// Names, sizes and times.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Sockets, pipes and devices: they are not sealed.
    #[must_use]
    pub fn left_out(&self) -> &[PathBuf] {
        &self.left_out
    }

    /// Reads the contents of all files at `offset`, until `out` is full or `length` is reached; how many bytes.
    pub(crate) fn read(
        &self,
        offset: u64,
        length: u64,
        out: &mut [u8],
        reading: &mut Reading,
    ) -> Result<usize, TreeError> {
        let mut done: usize = 0;
        let mut number = self
            .files
            .partition_point(|file| file.start <= offset)
            .saturating_sub(1);
        loop {
            let at = offset.saturating_add(done as u64);
            let room = out.get_mut(done..).unwrap_or_default();
            let Some(file) = self.files.get(number) else {
                return Ok(done);
            };
            if room.is_empty() || at >= length {
                return Ok(done);
            }
            let inside = at.saturating_sub(file.start);
            let there = file.seen.size.saturating_sub(inside);
            let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(room.len());
            if wanted > 0 {
                let room = room.get_mut(..wanted).unwrap_or_default();
                file.read(number, inside, room, reading)?;
                done = done.saturating_add(wanted);
            }
            number = number.saturating_add(1);
        }
    }
}

fn unread(path: &Path, error: io::Error) -> TreeError {
    TreeError::Read {
        path: path.to_path_buf(),
        error,
    }
}

impl Planned {
    fn read(
        &self,
        number: usize,
        offset: u64,
        out: &mut [u8],
        reading: &mut Reading,
    ) -> Result<(), TreeError> {
        let changed = || TreeError::Changed {
            path: self.path.clone(),
        };
        if reading.0.as_ref().is_none_or(|(open, _)| *open != number) {
            // A pipe in the place of a file must not make this wait for a writer.
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
                .open(&self.path)
                .map_err(|error| unread(&self.path, error))?;
            reading.0 = Some((number, file));
        }
        let Some((_, file)) = &reading.0 else {
            return Err(changed());
        };
        file.read_exact_at(out, offset)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => unread(&self.path, error),
            })?;
        let now = file.metadata().map_err(|error| unread(&self.path, error))?;
        // What was read is of the file that was planned, and as it was then.
        match Seen::of(&now) == self.seen {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}

#[derive(Default)]
struct Walk {
    entries: Vec<Entry>,
    files: Vec<Planned>,
    length: u64,
    left_out: Vec<PathBuf>,
}

impl Walk {
    fn take(&mut self, path: &Path, name: Vec<u8>, metadata: &Metadata) -> Result<(), TreeError> {
        let kind = metadata.file_type();
        let kind = if kind.is_file() {
            let size = metadata.size();
            self.files.push(Planned {
                path: path.to_path_buf(),
                start: self.length,
                seen: Seen::of(metadata),
            });
            self.length = self.length.saturating_add(size);
            EntryKind::File { size: Some(size) }
        } else if kind.is_dir() {
            EntryKind::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|error| unread(path, error))?;
            EntryKind::Link {
                target: target.as_os_str().as_bytes().to_vec(),
            }
        } else {
            self.left_out.push(path.to_path_buf());
            return Ok(());
        };
        let directory = kind == EntryKind::Directory;
        self.entries.push(Entry {
            path: name.clone(),
            mode: u16::try_from(metadata.mode() & 0o777).unwrap_or(0),
            modified: (
                metadata.mtime(),
                u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            ),
            kind,
        });
        match directory {
            true => self.inside(path, &name),
            false => Ok(()),
        }
    }

    /// What lies in a directory, by name.
    fn inside(&mut self, path: &Path, name: &[u8]) -> Result<(), TreeError> {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| unread(path, error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let at = entry.path();
            let metadata = entry.metadata().map_err(|error| unread(&at, error))?;
            let name = [name, b"/", entry.file_name().as_bytes()].concat();
            self.take(&at, name, &metadata)?;
        }
        Ok(())
    }
}
