//! What changed in a folder since it was in step.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person whose folder it is: this file is where they are looked at"
)]

use super::{Folder, InStep, OURS, Seen, disk, is_ours};
use crate::parallel::Progress;
use crate::vault::budget::Budget;
use crate::vault::editor::{Editor, Meta};
use crate::vault::error::VaultError;
use crate::vault::name::{DEPTH, Name, VaultPath};
use crate::vault::put::{Put, Walk};
use crate::vault::reader::Reader;
use crate::vault::tree::{Entry, What};
use keys::vault_root::ObjectRef;
use rustix::fs::FileType;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What differs at one path.
enum Found<'f> {
    /// It is gone, or something of another kind is there now, which follows.
    Removed(&'f Entry),
    /// A directory is new.
    Directory(Meta),
    /// A directory has another mode.
    Mode(Meta),
    /// A file is new, or may have other contents.
    File,
    /// A file has another mode.
    FileMode(Entry),
    /// A link is new, or leads elsewhere.
    Link(Meta, Vec<u8>),
    /// All that is in a directory was shown.
    Whole,
    /// It cannot be in a vault.
    LeftOut,
    /// A directory that this process may not look into.
    Unread,
}

impl Found<'_> {
    /// Whether something is at the path that the vault has not, or not so.
    fn is_there(&self) -> bool {
        matches!(self, Self::Directory(_) | Self::File | Self::Link(..))
    }
}

type Each<'e> = &'e mut dyn FnMut(&VaultPath, &Path, Found<'_>) -> Result<(), VaultError>;

/// So often a folder is looked through again for what was moved from where it was not looked yet to where it was.
const AGAIN: u8 = 3;

/// When a directory was changed, in seconds and nanoseconds.
type Stamp = (i64, i64);

fn stamp(on_disk: &Path) -> Option<Stamp> {
    let stat = rustix::fs::lstat(on_disk).ok()?;
    Some((stat.st_ctime, i64::try_from(stat.st_ctime_nsec).ok()?))
}

/// Looks through a folder beside a directory of the vault.
struct Look<'a> {
    reader: Reader<'a>,
    in_step: &'a InStep,
    /// The directories that were looked at, and when each was changed before that.
    listed: RefCell<Vec<(PathBuf, Option<Stamp>)>>,
}

impl Look<'_> {
    /// Whether something came or went where it was looked already.
    fn was_overtaken(&self) -> bool {
        let listed = self.listed.borrow();
        listed.iter().any(|(path, before)| stamp(path) != *before)
    }

    fn directory(
        &self,
        at: &VaultPath,
        on_disk: &Path,
        base: Option<&ObjectRef>,
        each: Each<'_>,
    ) -> Result<(), VaultError> {
        if at.names().len() >= DEPTH {
            return Err(VaultError::TooDeep);
        }
        let mut before = BTreeMap::new();
        if let Some(base) = base {
            self.reader.list(base, |name, entry| {
                before.insert(name.clone(), entry.clone());
                Ok(())
            })?;
        }
        let listed = (on_disk.to_path_buf(), stamp(on_disk));
        self.listed.borrow_mut().push(listed);
        let entries = fs::read_dir(on_disk).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        // What may not be looked at counts as unchanged: nothing is removed for it.
        if let Err(error) = &entries
            && error.kind() == io::ErrorKind::PermissionDenied
            && !at.names().is_empty()
        {
            return each(at, on_disk, Found::Unread);
        }
        let mut names: Vec<_> = entries
            .map_err(|error| disk(on_disk, error))?
            .into_iter()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        for name in names {
            let path = on_disk.join(&name);
            if at.names().is_empty() && is_ours(name.as_bytes()) {
                if name != OURS {
                    each(at, &path, Found::LeftOut)?;
                }
                continue;
            }
            let name = Name::new(name.as_bytes())
                .ok_or_else(|| VaultError::Nameless { path: path.clone() })?;
            let base = before.remove(&name);
            self.entry(&at.join(&name), &path, base.as_ref(), each)?;
        }
        for (name, entry) in &before {
            each(
                &at.join(name),
                &on_disk.join(std::ffi::OsStr::from_bytes(name.as_bytes())),
                Found::Removed(entry),
            )?;
        }
        each(at, on_disk, Found::Whole)
    }

    fn entry(
        &self,
        at: &VaultPath,
        on_disk: &Path,
        base: Option<&Entry>,
        each: Each<'_>,
    ) -> Result<(), VaultError> {
        let stat = match rustix::fs::lstat(on_disk) {
            Ok(stat) => stat,
            // It went while we looked.
            Err(rustix::io::Errno::NOENT) => {
                return base.map_or(Ok(()), |base| each(at, on_disk, Found::Removed(base)));
            }
            Err(rustix::io::Errno::ACCESS) => return each(at, on_disk, Found::Unread),
            Err(error) => return Err(disk(on_disk, error.into())),
        };
        let seen = Seen::of(&stat);
        let kind = FileType::from_raw_mode(stat.st_mode);
        let same_kind = base.filter(|base| {
            matches!(
                (&base.what, kind),
                (What::File { .. }, FileType::RegularFile)
                    | (What::Directory(_), FileType::Directory)
                    | (What::Link(_), FileType::Symlink)
            )
        });
        if let (Some(base), None) = (base, same_kind) {
            each(at, on_disk, Found::Removed(base))?;
        }
        match (kind, same_kind) {
            (FileType::Directory, None) => {
                each(at, on_disk, Found::Directory(seen.meta))?;
                self.directory(at, on_disk, None, each)
            }
            (FileType::Directory, Some(base)) => {
                if base.mode != seen.meta.mode {
                    // The time of a directory is not kept in step: it changes with whatever is in it.
                    let meta = Meta {
                        modified: base.modified,
                        ..seen.meta
                    };
                    each(at, on_disk, Found::Mode(meta))?;
                }
                self.directory(at, on_disk, base.directory().as_ref(), each)
            }
            (FileType::RegularFile, Some(base))
                if seen.fits(base) && seen.is_settled(self.in_step) =>
            {
                match base.mode == seen.meta.mode {
                    true => Ok(()),
                    false => {
                        let mut entry = base.clone();
                        entry.mode = seen.meta.mode;
                        each(at, on_disk, Found::FileMode(entry))
                    }
                }
            }
            (FileType::RegularFile, _) => each(at, on_disk, Found::File),
            (FileType::Symlink, base) => {
                let target = fs::read_link(on_disk).map_err(|error| disk(on_disk, error))?;
                let target = target.into_os_string();
                match base.map(|base| &base.what) {
                    Some(What::Link(before)) if before == target.as_bytes() => Ok(()),
                    _ => each(
                        at,
                        on_disk,
                        Found::Link(seen.meta, target.as_bytes().to_vec()),
                    ),
                }
            }
            _ => each(at, on_disk, Found::LeftOut),
        }
    }
}

impl Folder {
    /// Shows all directories of the folder, itself first. Those that go meanwhile are passed over.
    ///
    /// # Errors
    /// [`VaultError::Disk`], and those of `each`.
    pub fn directories(
        &self,
        each: &mut dyn FnMut(&Path) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut left = vec![self.path.clone()];
        while let Some(at) = left.pop() {
            each(&at)?;
            let Ok(entries) = fs::read_dir(&at) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != OURS {
                    left.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Brings what changed in the folder since it was in step into a vault that is edited from its base; what was put.
    /// Nothing: nothing changed. What `newest` has at the same paths is not stored again. `total` hears how many bytes will
    /// be read.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn scan(
        &self,
        editor: &mut Editor<'_>,
        reader: Reader<'_>,
        in_step: &InStep,
        newest: Option<&ObjectRef>,
        (total, progress): (Progress<'_>, Progress<'_>),
    ) -> Result<Option<Put>, VaultError> {
        let look = Look {
            reader,
            in_step,
            listed: RefCell::default(),
        };
        let (base, top) = (in_step.base.as_ref(), VaultPath::top());
        let mut changed = in_step.base.is_none();
        let mut left_out = Vec::new();
        let mut removed = Vec::new();
        let mut bytes: u64 = 0;
        look.directory(&top, &self.path, base, &mut |_, on_disk, found| {
            match found {
                Found::Whole | Found::Unread => {}
                Found::LeftOut => left_out.push(on_disk.to_path_buf()),
                Found::Removed(entry) => {
                    changed = true;
                    removed.push(entry.clone());
                }
                Found::File => {
                    changed = true;
                    let metadata = fs::symlink_metadata(on_disk);
                    bytes = bytes.saturating_add(metadata.map_or(0, |metadata| metadata.len()));
                }
                _ => changed = true,
            }
            Ok(())
        })?;
        if !changed {
            return Ok(None);
        }
        total(bytes);
        // What was moved is not stored again.
        let mut budget = reader.budget();
        for entry in &removed {
            reuse_all(editor, reader, entry, &mut budget)?;
        }
        let mut put = editor.pipeline(progress, |pipeline| {
            let mut walk = Walk::new(pipeline);
            look.listed.borrow_mut().clear();
            let (mut shown, mut gone) = (BTreeSet::new(), false);
            look.directory(&top, &self.path, base, &mut |at, on_disk, found| {
                gone |= matches!(found, Found::Removed(_));
                if found.is_there() {
                    shown.insert(at.clone());
                }
                take(&mut walk, reader, newest, (at, on_disk), found)
            })?;
            for _ in 0..AGAIN {
                // What goes from where it was not looked yet to where it was is in no version otherwise, until the next one.
                if !gone || !look.was_overtaken() {
                    break;
                }
                look.listed.borrow_mut().clear();
                let mut other_kind = None;
                look.directory(&top, &self.path, base, &mut |at, on_disk, found| {
                    if matches!(found, Found::Removed(_)) {
                        other_kind = Some(at.clone());
                    }
                    if !found.is_there() || !shown.insert(at.clone()) {
                        return Ok(());
                    }
                    if other_kind.take_if(|other| other == at).is_some() {
                        walk.editor().remove(at)?;
                    }
                    take(&mut walk, reader, newest, (at, on_disk), found)
                })?;
            }
            Ok(walk.into_put())
        })?;
        put.left_out = left_out;
        Ok(Some(put))
    }
}

fn reuse_all(
    editor: &mut Editor<'_>,
    reader: Reader<'_>,
    entry: &Entry,
    budget: &mut Budget,
) -> Result<(), VaultError> {
    match &entry.what {
        What::Directory(directory) => {
            let top = VaultPath::top();
            reader.walk_in(directory, &top, budget, &mut |_, entry| editor.reuse(entry))
        }
        _ => editor.reuse(entry),
    }
}

fn take(
    walk: &mut Walk<'_, '_, '_>,
    reader: Reader<'_>,
    newest: Option<&ObjectRef>,
    (at, on_disk): (&VaultPath, &Path),
    found: Found<'_>,
) -> Result<(), VaultError> {
    match found {
        Found::Removed(_) => walk.editor().remove(at),
        Found::Directory(meta) => walk.editor().make_directory(at, meta),
        Found::Mode(meta) => walk.editor().set_meta(at, meta),
        Found::FileMode(entry) => walk.editor().put_entry(at, entry),
        Found::Link(meta, target) => walk.editor().put_link(at, meta, &target),
        Found::File => {
            if let Some(newest) = newest
                && let Some(entry) = reader.lookup(newest, at)?
            {
                walk.editor().reuse(&entry)?;
            }
            match walk.file(at, on_disk) {
                // As long as it cannot be read, the vault has what it had.
                Err(VaultError::Changing { path }) => {
                    walk.unread(path);
                    Ok(())
                }
                Err(VaultError::Disk { path, error })
                    if error.kind() == io::ErrorKind::PermissionDenied =>
                {
                    walk.unread(path);
                    Ok(())
                }
                // It went while we looked, or a link or something else took its place: the next scan sees what is there.
                Err(VaultError::Disk { error, .. })
                    if error.kind() == io::ErrorKind::NotFound
                        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) =>
                {
                    Ok(())
                }
                done => done,
            }
        }
        Found::Whole => walk.whole(at),
        Found::LeftOut => Ok(()),
        Found::Unread => {
            walk.unread(on_disk.to_path_buf());
            Ok(())
        }
    }
}
