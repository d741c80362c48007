//! Files and directories on disk, on their way into a vault.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person who puts them: this file is where they are read"
)]

use super::editor::{Editor, Found, Meta};
use super::error::VaultError;
use super::name::{Name, VaultPath};
use super::pipeline::Pipeline;
use crate::parallel::Progress;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How often a file that changes while it is read is read again.
const TRIES: usize = 3;
/// Entries of finished directories that are kept in memory before they are written.
const UNWRITTEN: u64 = 20_000;

/// What was put.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Put {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Sockets, pipes and devices: they are not put.
    pub left_out: Vec<PathBuf>,
    /// What in a folder may not be read, or was written to whenever it was read: the vault has what it had.
    pub unread: Vec<PathBuf>,
}

#[derive(PartialEq, Eq)]
struct Seen([i64; 4], u64, u64);

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        let times = [
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ];
        Self(times, metadata.size(), metadata.ino())
    }
}

fn disk(path: &Path, error: io::Error) -> VaultError {
    VaultError::Disk {
        path: path.to_path_buf(),
        error,
    }
}

fn meta(metadata: &Metadata) -> Meta {
    Meta {
        mode: u16::try_from(metadata.mode() & 0o777).unwrap_or(0),
        modified: (
            metadata.mtime(),
            u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        ),
    }
}

/// The name that a path on disk has in a vault.
///
/// # Errors
/// [`VaultError::Nameless`], [`VaultError::Disk`].
pub fn name_on_disk(path: &Path) -> Result<Name, VaultError> {
    let named = match path.file_name() {
        Some(name) => name.to_owned(),
        // `.` and `a/..` have a name too.
        None => {
            let whole = path.canonicalize().map_err(|error| disk(path, error))?;
            whole.file_name().unwrap_or_default().to_owned()
        }
    };
    Name::new(named.as_bytes()).ok_or_else(|| VaultError::Nameless {
        path: path.to_path_buf(),
    })
}

/// Bytes of all files at or in a path, as far as they can be looked at: what [`Editor::put_path`] will read.
#[must_use]
pub fn bytes_on_disk(path: &Path) -> u64 {
    let mut bytes: u64 = 0;
    let mut left = vec![path.canonicalize().unwrap_or_else(|_| path.to_path_buf())];
    while let Some(at) = left.pop() {
        let Ok(metadata) = fs::symlink_metadata(&at) else {
            continue;
        };
        if metadata.is_file() {
            bytes = bytes.saturating_add(metadata.len());
        } else if metadata.is_dir() {
            let entries = fs::read_dir(&at).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
    bytes
}

impl Editor<'_> {
    /// Puts a file, a link, or a directory with all that is in it, at a path. What a directory of the vault has already
    /// stays, unless something of the same name comes. A link that is named itself is followed, no other is.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_path(
        &mut self,
        to: &VaultPath,
        from: &Path,
        progress: Progress<'_>,
    ) -> Result<Put, VaultError> {
        let from = from.canonicalize().map_err(|error| disk(from, error))?;
        self.pipeline(progress, |pipeline| {
            let mut walk = Walk::new(pipeline);
            let metadata = fs::symlink_metadata(&from).map_err(|error| disk(&from, error))?;
            walk.take(to, &from, &metadata)?;
            Ok(walk.put)
        })
    }
}

/// Files on their way, one after another.
pub(crate) struct Walk<'w, 'p, 'a> {
    pipeline: &'w mut Pipeline<'p, 'a>,
    put: Put,
    /// Entries that were put since the last time that directories were written.
    unwritten: u64,
}

impl<'w, 'p, 'a> Walk<'w, 'p, 'a> {
    pub(crate) fn new(pipeline: &'w mut Pipeline<'p, 'a>) -> Self {
        Self {
            pipeline,
            put: Put::default(),
            unwritten: 0,
        }
    }

    pub(crate) fn editor(&mut self) -> &mut Editor<'a> {
        self.unwritten = self.unwritten.saturating_add(1);
        self.pipeline.editor
    }

    pub(crate) fn into_put(self) -> Put {
        self.put
    }

    /// Something is not put.
    pub(crate) fn unread(&mut self, from: PathBuf) {
        self.put.unread.push(from);
    }

    /// All that lies in a directory was put.
    pub(crate) fn whole(&mut self, to: &VaultPath) -> Result<(), VaultError> {
        if self.unwritten > UNWRITTEN {
            self.unwritten = 0;
            self.pipeline.drain()?;
            self.pipeline.editor.settle(to)?;
        }
        Ok(())
    }

    fn take(&mut self, to: &VaultPath, from: &Path, metadata: &Metadata) -> Result<(), VaultError> {
        let kind = metadata.file_type();
        self.unwritten = self.unwritten.saturating_add(1);
        if kind.is_dir() {
            self.directory(to, from, metadata)
        } else if kind.is_file() {
            self.file(to, from)
        } else if kind.is_symlink() {
            let target = fs::read_link(from).map_err(|error| disk(from, error))?;
            let editor = &mut *self.pipeline.editor;
            editor.put_link(to, meta(metadata), target.as_os_str().as_bytes())
        } else {
            self.put.left_out.push(from.to_path_buf());
            Ok(())
        }
    }

    fn directory(
        &mut self,
        to: &VaultPath,
        from: &Path,
        metadata: &Metadata,
    ) -> Result<(), VaultError> {
        let editor = &mut *self.pipeline.editor;
        match editor.find(to)? {
            None => editor.make_directory(to, meta(metadata))?,
            Some(found) if found.is_directory() => editor.set_meta(to, meta(metadata))?,
            Some(_) => return Err(VaultError::NotADirectory { path: to.clone() }),
        }
        let entries = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| disk(from, error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let metadata = entry.metadata().map_err(|error| disk(&path, error))?;
            let name = entry.file_name();
            let name = Name::new(name.as_bytes())
                .ok_or_else(|| VaultError::Nameless { path: path.clone() })?;
            self.take(&to.join(&name), &path, &metadata)?;
        }
        self.whole(to)
    }

    /// Puts a file. What has its path on disk is not followed if it is a link.
    pub(crate) fn file(&mut self, to: &VaultPath, from: &Path) -> Result<(), VaultError> {
        let editor = &mut *self.pipeline.editor;
        match editor.find(to)? {
            Some(Found::Entry(old)) => editor.reuse(&old)?,
            Some(Found::Changed(_)) => return Err(VaultError::Exists { path: to.clone() }),
            None => {}
        }
        for _ in 0..TRIES {
            // Neither a link nor a pipe in the place of the file is to be followed or waited for.
            let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
            let mut file = OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits().cast_signed())
                .open(from)
                .map_err(|error| disk(from, error))?;
            if let Some(bytes) = self.read(to, from, &mut file)? {
                self.put.files = self.put.files.saturating_add(1);
                self.put.bytes = self.put.bytes.saturating_add(bytes);
                return Ok(());
            }
        }
        Err(VaultError::Changing {
            path: from.to_path_buf(),
        })
    }

    /// Reads a file; how many bytes. Nothing: it changed meanwhile.
    fn read(
        &mut self,
        to: &VaultPath,
        from: &Path,
        file: &mut File,
    ) -> Result<Option<u64>, VaultError> {
        let before = file.metadata().map_err(|error| disk(from, error))?;
        if !before.is_file() {
            return Ok(None); // Something else took its place.
        }
        self.pipeline.begin(to, meta(&before))?;
        if let Err(error) = self.pipeline.contents(file)? {
            self.pipeline.give_up();
            return Err(disk(from, error));
        }
        let after = file.metadata().map_err(|error| disk(from, error))?;
        // SECURITY: a version holds no half of a change; `a_file_that_changes_while_it_is_read_is_read_again` notices.
        if Seen::of(&before) != Seen::of(&after) {
            self.pipeline.give_up();
            return Ok(None);
        }
        self.pipeline.end()?;
        Ok(Some(after.size()))
    }
}
