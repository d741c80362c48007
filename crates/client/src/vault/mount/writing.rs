//! What changes a mounted vault.

use super::log::{Log, Record};
use super::nodes::Kept;
use super::source::Content;
use super::staged::{Staged, StagedId};
use super::system::{About, FileSystem, State, about, name_of};
use super::tree::{Folder, Node, Seen, entry_with, meta_of};
use super::trouble::Trouble;
use crate::os;
use seal::vault::{Meta, Name, VaultPath, What};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is to be changed of something besides its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Bytes: it is cut, or made longer with zeros.
    pub size: Option<u64>,
    /// When it was last modified.
    pub modified: Option<(i64, u32)>,
}

/// A file that has no name yet: if it gets none, nothing was written.
pub struct Unnamed {
    staged: Arc<Staged>,
    unnamed: Arc<Mutex<HashSet<StagedId>>>,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        unnamed.remove(&self.staged.id);
    }
}

impl FileSystem {
    /// Notes what was changed, so that it survives and becomes a version.
    fn noted(&self, log: &mut Option<Log>, records: &[Record]) -> Result<(), Trouble> {
        let now = log.as_mut().ok_or(Trouble::ReadOnly)?;
        self.lock().touched();
        self.ring(|_| {});
        match now.goes_on() {
            true => now.write(records),
            false => self.begin_log(log),
        }
    }

    /// Begins another log, with all that is changed.
    pub(super) fn begin_log(&self, log: &mut Option<Log>) -> Result<(), Trouble> {
        let keys = self.source.keys();
        let state = self.lock();
        *log = Some(Log::begin(&self.directory, &keys, &state.base, &state.top)?);
        Ok(())
    }

    /// A file that can be written to, in the place of one of a version if need be.
    fn staged(&self, number: u64, whole: bool) -> Result<Arc<Staged>, Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        if let Seen::File(staged) = self.seen(number)? {
            return Ok(staged);
        }
        let mut log = self.change();
        let entry = match self.seen(number)? {
            Seen::File(staged) => return Ok(staged),
            Seen::Folder(..) => return Err(Trouble::IsADirectory),
            Seen::Entry(entry) => entry,
        };
        let content = match &entry.what {
            What::Directory(_) => return Err(Trouble::IsADirectory),
            What::Link(_) => return Err(Trouble::Invalid),
            What::File { .. } => Content::of(&entry).filter(|_| whole),
        };
        let keys = self.source.keys();
        let staged = Staged::create(&self.directory, &keys, content, meta_of(&entry))?;
        let mut state = self.lock();
        if state.nodes.kept(number).is_some() {
            // It has no name: nothing of it comes into a version.
            state.nodes.keep(number, Kept::File(Arc::clone(&staged)));
            os::remove(&staged.id.path(&self.directory));
            return Ok(staged);
        }
        let path = state.path(number)?;
        let stamp = state.tick();
        let node = Some(Node::File(Arc::clone(&staged)));
        let records = state.top.bind(&path, node, &self.source, stamp)?;
        drop(state);
        self.noted(&mut log, &records)?;
        Ok(staged)
    }

    /// Changes the bytes of a file, by something that says whether it could.
    fn with_staged(
        &self,
        number: u64,
        whole: bool,
        change: impl Fn(&Staged) -> Result<bool, Trouble>,
    ) -> Result<Arc<Staged>, Trouble> {
        loop {
            let staged = self.staged(number, whole)?;
            if change(&staged)? {
                self.lock().touched();
                return Ok(staged);
            }
        }
    }

    /// Writes at an offset.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let number = {
            let state = self.lock();
            let handle = state.handles.get(&handle).ok_or(Trouble::Invalid)?;
            handle.number
        };
        let staged = self.with_staged(number, true, |staged| {
            staged.write(&self.source, offset, bytes)
        })?;
        let mut state = self.lock();
        if let Some(handle) = state.handles.get_mut(&handle)
            && handle
                .counted
                .as_ref()
                .is_none_or(|counted| !Arc::ptr_eq(counted, &staged))
        {
            staged.writers.fetch_add(1, Ordering::Relaxed);
            if let Some(before) = handle.counted.replace(staged) {
                before.writers.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Changes mode, size and time of something.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn set(&self, number: u64, changes: Changes) -> Result<About, Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        if let Some(size) = changes.size {
            self.with_staged(number, size > 0, |staged| staged.resize(size))?;
        }
        if changes.mode.is_some() || changes.modified.is_some() {
            self.set_meta(number, changes)?;
        }
        self.about(number)
    }

    fn set_meta(&self, number: u64, changes: Changes) -> Result<(), Trouble> {
        let with = |meta: Meta| Meta {
            mode: changes.mode.map_or(meta.mode, |mode| mode & 0o777),
            modified: changes.modified.unwrap_or(meta.modified),
        };
        let mut log = self.change();
        let seen = self.seen(number)?;
        if let Seen::File(staged) = &seen
            && staged.set_meta(with(staged.shown().meta))?
        {
            self.lock().touched();
            return Ok(());
        }
        let mut state = self.lock();
        let path = state.path(number)?;
        let stamp = state.tick();
        let meta = match &seen {
            Seen::Entry(entry) => with(meta_of(entry)),
            Seen::Folder(meta) => with(*meta),
            Seen::File(_) => return Err(Trouble::Io),
        };
        let records = match seen {
            // The top has neither mode nor time of its own.
            _ if path.names().is_empty() => return Ok(()),
            Seen::Entry(entry) if entry.directory().is_none() => {
                let node = Some(Node::Entry(entry_with(meta, entry.what)));
                state.top.bind(&path, node, &self.source, stamp)?
            }
            _ => state.top.set_meta(&path, meta, &self.source, stamp)?,
        };
        drop(state);
        self.noted(&mut log, &records)
    }

    /// Gives a name that nothing has to something; what is known of it then.
    fn make(
        &self,
        parent: u64,
        name: &[u8],
        node: impl FnOnce() -> Result<Node, Trouble>,
    ) -> Result<About, Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        let name = name_of(name)?;
        let mut log = self.change();
        let (path, seen) = self.child(parent, &name)?;
        if seen.is_some() {
            return Err(Trouble::Exists);
        }
        let node = node()?;
        let seen = node.seen();
        let mut state = self.lock();
        let stamp = state.tick();
        let mut records = state.top.bind(&path, Some(node), &self.source, stamp)?;
        let number = state.nodes.tell(parent, &name);
        self.now(&mut state, &[&path], &mut records);
        drop(state);
        self.noted(&mut log, &records)?;
        Ok(about(number, &seen))
    }

    /// The directories of these paths were modified now.
    fn now(&self, state: &mut State, paths: &[&VaultPath], records: &mut Vec<Record>) {
        for path in paths {
            let place = path.split_last().map(|(place, _)| place);
            let place = place.filter(|place| !place.names().is_empty());
            let folder = place
                .as_ref()
                .and_then(|place| state.top.find(place.names()));
            if let (Some(place), Some(folder)) = (place.as_ref(), folder) {
                let meta = Meta {
                    modified: os::wall(),
                    ..folder.meta
                };
                if let Some(folder) = state.top.find_mut(place.names()) {
                    folder.meta = meta;
                    records.push(Record::Meta(place.clone(), meta));
                }
            }
        }
    }

    /// Makes a file and opens it for writing; what is known of it, and a number for what is open.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn create(&self, parent: u64, name: &[u8], mode: u16) -> Result<(About, u64), Trouble> {
        let about = self.make(parent, name, || {
            let meta = Meta {
                mode: mode & 0o777,
                modified: os::wall(),
            };
            let keys = self.source.keys();
            let staged = Staged::create(&self.directory, &keys, None, meta)?;
            Ok(Node::File(staged))
        })?;
        let seen = self.seen(about.number)?;
        Ok((about, self.opened(about.number, true, &seen)))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn make_directory(&self, parent: u64, name: &[u8], mode: u16) -> Result<About, Trouble> {
        self.make(parent, name, || {
            let meta = Meta {
                mode: mode & 0o777,
                modified: os::wall(),
            };
            Ok(Node::Folder(Folder::new(meta, None)))
        })
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn make_link(&self, parent: u64, name: &[u8], target: &[u8]) -> Result<About, Trouble> {
        if !(1..=4096).contains(&target.len()) || target.contains(&0) {
            return Err(Trouble::Invalid);
        }
        self.make(parent, name, || {
            let meta = Meta {
                mode: 0o777,
                modified: os::wall(),
            };
            Ok(Node::Entry(entry_with(meta, What::Link(target.to_vec()))))
        })
    }

    /// Begins a file that has no name yet.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn begin_file(&self, mode: u16) -> Result<Unnamed, Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        let meta = Meta {
            mode: mode & 0o777,
            modified: os::wall(),
        };
        // Whoever looks for files that nothing names holds this too.
        let _changing = self.change();
        let staged = Staged::create(&self.directory, &self.source.keys(), None, meta)?;
        let mut unnamed = self.unnamed();
        unnamed.insert(staged.id);
        drop(unnamed);
        Ok(Unnamed {
            staged,
            unnamed: Arc::clone(&self.unnamed),
        })
    }

    pub(super) fn unnamed(&self) -> MutexGuard<'_, HashSet<StagedId>> {
        self.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to a file that has no name yet.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn add_to(&self, file: &Unnamed, offset: u64, bytes: &[u8]) -> Result<(), Trouble> {
        file.staged.write(&self.source, offset, bytes).map(drop)
    }

    /// Gives it a name, in the place of a file that has it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn end_file(&self, parent: u64, name: &[u8], file: Unnamed) -> Result<(), Trouble> {
        let name = name_of(name)?;
        let mut log = self.change();
        let (path, there) = self.child(parent, &name)?;
        if there.as_ref().is_some_and(Seen::is_directory) {
            return Err(Trouble::IsADirectory);
        }
        let mut state = self.lock();
        let stamp = state.tick();
        let node = Some(Node::File(Arc::clone(&file.staged)));
        let mut records = state.top.bind(&path, node, &self.source, stamp)?;
        if let Some(there) = there {
            self.unname(&mut state, parent, &name, there);
        }
        self.now(&mut state, &[&path], &mut records);
        drop(state);
        self.noted(&mut log, &records)
    }

    /// Takes a name away, with all that is in what has it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn remove_all(&self, parent: u64, name: &[u8]) -> Result<(), Trouble> {
        self.take_away(parent, name, None)
    }

    /// Takes a name away: of an empty directory, or of what is none.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn remove(&self, parent: u64, name: &[u8], directory: bool) -> Result<(), Trouble> {
        self.take_away(parent, name, Some(directory))
    }

    /// Takes a name away; of a directory with all that is in it, unless somebody said what it is to be.
    fn take_away(&self, parent: u64, name: &[u8], directory: Option<bool>) -> Result<(), Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        let name = name_of(name)?;
        let mut log = self.change();
        let (path, seen) = self.child(parent, &name)?;
        let seen = seen.ok_or(Trouble::NotFound)?;
        match (directory, seen.is_directory()) {
            (Some(true), false) => return Err(Trouble::NotADirectory),
            (Some(false), true) => return Err(Trouble::IsADirectory),
            (Some(true), true) => self.must_be_empty(&path)?,
            _ => {}
        }
        let mut state = self.lock();
        let stamp = state.tick();
        let mut records = state.top.bind(&path, None, &self.source, stamp)?;
        self.unname(&mut state, parent, &name, seen);
        self.now(&mut state, &[&path], &mut records);
        drop(state);
        self.noted(&mut log, &records)
    }

    /// What had a name has none any more.
    fn unname(&self, state: &mut State, parent: u64, name: &Name, seen: Seen) {
        let kept = match seen {
            Seen::Entry(entry) => Some(Kept::Entry(entry)),
            Seen::File(staged) => Some(Kept::File(staged)),
            Seen::Folder(..) => None,
        };
        if let Some(number) = state.nodes.find(parent, name) {
            state.nodes.unname(number, kept);
        }
    }

    fn must_be_empty(&self, path: &VaultPath) -> Result<(), Trouble> {
        let (base, changes) = {
            let state = self.lock();
            match state.top.find(path.names()) {
                Some(folder) => (folder.base, folder.changes.clone()),
                None => (None, BTreeMap::new()),
            }
        };
        let base = match (base, self.seen_at(path)?) {
            (Some(base), _) => Some(base),
            (None, Some(Seen::Entry(entry))) => entry.directory(),
            (None, _) => None,
        };
        let entries = match base {
            Some(base) => self.source.list(&base)?,
            None => BTreeMap::new(),
        };
        let left = entries.keys().any(|name| !changes.contains_key(name));
        match left || changes.values().any(|change| change.node.is_some()) {
            true => Err(Trouble::NotEmpty),
            false => Ok(()),
        }
    }

    /// Moves something, in the place of what has the new name if it may; of directories only an empty one makes room.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn rename(
        &self,
        (parent, name): (u64, &[u8]),
        (new_parent, new_name): (u64, &[u8]),
        replace: bool,
    ) -> Result<(), Trouble> {
        if self.read_only {
            return Err(Trouble::ReadOnly);
        }
        let (name, new_name) = (name_of(name)?, name_of(new_name)?);
        let mut log = self.change();
        let (from, seen) = self.child(parent, &name)?;
        let (to, there) = self.child(new_parent, &new_name)?;
        let seen = seen.ok_or(Trouble::NotFound)?;
        if there.is_some() && !replace {
            return Err(Trouble::Exists);
        }
        if from == to {
            return Ok(());
        }
        if to.is_in(&from) {
            return Err(Trouble::Invalid);
        }
        if from.is_in(&to) {
            return Err(Trouble::NotEmpty);
        }
        match (seen.is_directory(), there.as_ref().map(Seen::is_directory)) {
            (true, Some(false)) => return Err(Trouble::NotADirectory),
            (false, Some(true)) => return Err(Trouble::IsADirectory),
            (true, Some(true)) => self.must_be_empty(&to)?,
            _ => {}
        }
        let mut state = self.lock();
        let stamp = state.tick();
        let mut records = state.top.rename(&from, &to, &self.source, stamp)?;
        if let Some(there) = there {
            self.unname(&mut state, new_parent, &new_name, there);
        }
        if let Some(number) = state.nodes.find(parent, &name) {
            state.nodes.rename(number, new_parent, &new_name);
        }
        self.now(&mut state, &[&from, &to], &mut records);
        drop(state);
        self.noted(&mut log, &records)
    }

    /// Waits until what was written to a file is on the disk of this machine, and so survives. A version follows.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn sync(&self, number: u64) -> Result<(), Trouble> {
        if let Ok(Seen::File(staged)) = self.seen(number) {
            staged.sync()?;
        }
        let mut log = self.change();
        match log.as_ref() {
            Some(now) if now.goes_on() => now.sync(),
            Some(_) => self.begin_log(&mut log),
            None => Ok(()),
        }
    }
}
