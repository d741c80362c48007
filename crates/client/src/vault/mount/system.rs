//! A vault as a file system: what every face of a mounted vault is made of.

use super::log::{Log, Record};
use super::nodes::{Kept, Nodes, TOP};
use super::source::{Content, Source};
use super::staged::{Staged, StagedId};
use super::tree::{Change, Folder, Node, Seen, Way, entry_with, meta_of};
use super::trouble::Trouble;
use crate::os;
use keys::vault_root::ObjectRef;
use seal::vault::{Entry, Meta, NAME, Name, VaultPath, What};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
}

/// What is known of something without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its number: of a name that a face was not told of, the one that it would get.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, at most 0777.
    pub mode: u16,
    /// When it was last modified: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// Whether it has a name.
    pub named: bool,
}

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

/// Something that is open.
struct Handle {
    number: u64,
    writes: bool,
    /// What counts it as a writer.
    counted: Option<Arc<Staged>>,
    /// Where the bytes were when the clock showed this.
    content: Option<(u64, Content)>,
    /// Where the last read ended.
    end: u64,
}

pub(super) struct State {
    /// The version that all grew from.
    pub(super) version: u64,
    pub(super) base: ObjectRef,
    pub(super) top: Folder,
    pub(super) nodes: Nodes,
    handles: HashMap<u64, Handle>,
    last_handle: u64,
    /// Counts what is changed.
    pub(super) clock: u64,
    /// When the first change that is in no version was made, and the last one.
    pub(super) changed: Option<(Instant, Instant)>,
}

/// What somebody asks of the one who makes versions.
#[derive(Default)]
pub(super) struct Bell {
    /// Something was changed, or is told to be newer.
    pub(super) rung: bool,
    pub(super) newer: bool,
    pub(super) end: bool,
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

/// A mounted vault.
pub struct FileSystem {
    pub(super) source: Arc<Source>,
    /// Where lies what is in no version yet.
    pub(super) directory: PathBuf,
    pub(super) read_only: bool,
    /// Whoever changes names holds it.
    pub(super) changing: Mutex<Option<Log>>,
    pub(super) state: Mutex<State>,
    /// Files on this machine's disk that have no name yet.
    pub(super) unnamed: Arc<Mutex<HashSet<StagedId>>>,
    pub(super) bell: Mutex<Bell>,
    pub(super) rang: Condvar,
}

fn about_entry(number: u64, entry: &Entry) -> About {
    let (kind, size) = match &entry.what {
        What::File { size, .. } => (Kind::File, *size),
        What::Directory(_) => (Kind::Directory, 0),
        What::Link(target) => (Kind::Link, target.len() as u64),
    };
    About {
        number,
        kind,
        size,
        mode: entry.mode,
        modified: entry.modified,
        named: true,
    }
}

fn about(number: u64, seen: &Seen) -> About {
    match seen {
        Seen::Entry(entry) => about_entry(number, entry),
        Seen::Folder(meta) => About {
            number,
            kind: Kind::Directory,
            size: 0,
            mode: meta.mode,
            modified: meta.modified,
            named: true,
        },
        Seen::File(staged) => {
            let shown = staged.shown();
            About {
                number,
                kind: Kind::File,
                size: shown.size,
                mode: shown.meta.mode,
                modified: shown.meta.modified,
                named: true,
            }
        }
    }
}

fn name_of(bytes: &[u8]) -> Result<Name, Trouble> {
    Name::new(bytes).ok_or(match bytes.len() > NAME {
        true => Trouble::TooLong,
        false => Trouble::Invalid,
    })
}

impl State {
    pub(super) fn new(version: u64, base: ObjectRef) -> Self {
        Self {
            version,
            base,
            top: Folder::new(Meta::directory(), Some(base)),
            nodes: Nodes::new(),
            handles: HashMap::new(),
            last_handle: 0,
            clock: 0,
            changed: None,
        }
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock = self.clock.saturating_add(1);
        self.clock
    }

    fn touched(&mut self) {
        let now = os::instant();
        self.changed = Some(match self.changed {
            Some((first, _)) => (first, now),
            None => (now, now),
        });
    }

    fn path(&self, number: u64) -> Result<VaultPath, Trouble> {
        self.nodes.path(number).ok_or(Trouble::NotFound)
    }
}

impl FileSystem {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self) -> MutexGuard<'_, Option<Log>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self, ring: impl FnOnce(&mut Bell)) {
        let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        bell.rung = true;
        ring(&mut bell);
        self.rang.notify_all();
    }

    /// Whether nothing can be changed.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The version that is shown, and whether all that was written is in it.
    #[must_use]
    pub fn version(&self) -> (u64, bool) {
        let state = self.lock();
        (state.version, state.changed.is_none())
    }

    /// Bytes of the disk that takes what is written, and those that are free.
    #[must_use]
    pub fn room(&self) -> (u64, u64) {
        os::room(&self.directory).unwrap_or((0, 0))
    }

    fn follow(&self, way: Way) -> Result<Option<Seen>, Trouble> {
        let (mut directory, names) = match way {
            Way::Gone => return Ok(None),
            Way::Here(seen) => return Ok(Some(seen)),
            Way::Below(directory, names) => (directory, names),
        };
        let mut names = names.into_iter().peekable();
        while let Some(name) = names.next() {
            let Some(entry) = self.source.entry(&directory, &name)? else {
                return Ok(None);
            };
            match (names.peek(), entry.directory()) {
                (None, _) => return Ok(Some(Seen::Entry(entry))),
                (Some(_), Some(inner)) => directory = inner,
                (Some(_), None) => return Ok(None),
            }
        }
        Ok(None)
    }

    pub(super) fn seen_at(&self, path: &VaultPath) -> Result<Option<Seen>, Trouble> {
        let way = self.lock().top.way(path.names());
        self.follow(way)
    }

    fn seen(&self, number: u64) -> Result<Seen, Trouble> {
        let way = {
            let state = self.lock();
            match state.nodes.kept(number) {
                Some(kept) => return Ok(kept.seen()),
                None => state.top.way(state.path(number)?.names()),
            }
        };
        self.follow(way)?.ok_or(Trouble::NotFound)
    }

    fn child(&self, parent: u64, name: &Name) -> Result<(VaultPath, Option<Seen>), Trouble> {
        let path = self.lock().path(parent)?.join(name);
        let seen = self.seen_at(&path)?;
        Ok((path, seen))
    }

    /// Looks a name up in a directory, and tells of it: whoever asks forgets it later.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn look_up(&self, parent: u64, name: &[u8]) -> Result<About, Trouble> {
        let name = name_of(name)?;
        let (_, seen) = self.child(parent, &name)?;
        let seen = seen.ok_or(Trouble::NotFound)?;
        let number = self.lock().nodes.tell(parent, &name);
        Ok(about(number, &seen))
    }

    /// A face was told of a number, and forgets it so many times.
    pub fn forget(&self, number: u64, times: u64) {
        self.lock().nodes.forget(number, times);
    }

    /// What is known of a number.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn about(&self, number: u64) -> Result<About, Trouble> {
        let seen = self.seen(number)?;
        let named = self.lock().nodes.path(number).is_some();
        Ok(About {
            named,
            ..about(number, &seen)
        })
    }

    /// What lies in a directory, by name.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn list(&self, number: u64) -> Result<Vec<(Name, About)>, Trouble> {
        let (base, changes) = self.listed(number)?;
        let entries = match base {
            Some(base) => self.source.list(&base)?,
            None => BTreeMap::new(),
        };
        let mut all: BTreeMap<Name, Seen> = entries
            .into_iter()
            .map(|(name, entry)| (name, Seen::Entry(entry)))
            .collect();
        for (name, seen) in changes {
            match seen {
                Some(seen) => all.insert(name, seen),
                None => all.remove(&name),
            };
        }
        let state = self.lock();
        let shown = all.into_iter().map(|(name, seen)| {
            let number = state.nodes.number(number, &name);
            let about = about(number, &seen);
            (name, about)
        });
        Ok(shown.collect())
    }

    /// A directory as a version has it, and what is changed in it.
    fn listed(
        &self,
        number: u64,
    ) -> Result<(Option<ObjectRef>, Vec<(Name, Option<Seen>)>), Trouble> {
        let way = {
            let state = self.lock();
            let path = state.path(number)?;
            if let Some(folder) = state.top.find(path.names()) {
                let changes = folder.changes.iter();
                let seen = |change: &Change| change.node.as_ref().map(Node::seen);
                let changes = changes.map(|(name, change)| (name.clone(), seen(change)));
                return Ok((folder.base, changes.collect()));
            }
            state.top.way(path.names())
        };
        match self.follow(way)? {
            Some(Seen::Entry(entry)) => match entry.directory() {
                Some(directory) => Ok((Some(directory), Vec::new())),
                None => Err(Trouble::NotADirectory),
            },
            Some(Seen::Folder(..)) => Err(Trouble::Io),
            Some(Seen::File(_)) => Err(Trouble::NotADirectory),
            None => Err(Trouble::NotFound),
        }
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// [`Trouble::Invalid`]: it is none.
    pub fn target(&self, number: u64) -> Result<Vec<u8>, Trouble> {
        match self.seen(number)? {
            Seen::Entry(Entry {
                what: What::Link(target),
                ..
            }) => Ok(target),
            _ => Err(Trouble::Invalid),
        }
    }

    /// Opens a file; a number for what is open.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn open(&self, number: u64, writes: bool) -> Result<u64, Trouble> {
        if writes && self.read_only {
            return Err(Trouble::ReadOnly);
        }
        let seen = self.seen(number)?;
        if seen.is_directory() {
            return Err(Trouble::IsADirectory);
        }
        Ok(self.opened(number, writes, &seen))
    }

    fn opened(&self, number: u64, writes: bool, seen: &Seen) -> u64 {
        let counted = match seen {
            Seen::File(staged) if writes => Some(Arc::clone(staged)),
            _ => None,
        };
        if let Some(staged) = &counted {
            staged.writers.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = self.lock();
        state.nodes.open(number, writes);
        state.last_handle = state.last_handle.saturating_add(1);
        let (handle, clock) = (state.last_handle, state.clock);
        let handle_of = Handle {
            number,
            writes,
            counted,
            content: seen.content().map(|content| (clock, content)),
            end: 0,
        };
        state.handles.insert(handle, handle_of);
        handle
    }

    /// Closes what is open.
    pub fn close(&self, handle: u64) {
        let mut state = self.lock();
        let Some(handle) = state.handles.remove(&handle) else {
            return;
        };
        if let Some(staged) = handle.counted {
            staged.writers.fetch_sub(1, Ordering::Relaxed);
        }
        state.nodes.close(handle.number, handle.writes);
        drop(state);
        self.ring(|_| {});
    }

    /// Reads from an offset, as many bytes as there are and as `length` says.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn read(&self, handle: u64, offset: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        let (number, content, ahead) = {
            let mut state = self.lock();
            let clock = state.clock;
            let handle = state.handles.get_mut(&handle).ok_or(Trouble::Invalid)?;
            let ahead = offset == handle.end;
            handle.end = offset.saturating_add(length as u64);
            let content = handle.content.as_ref();
            let content = content.filter(|(at, _)| *at == clock);
            (handle.number, content.map(|(_, it)| it.clone()), ahead)
        };
        let content = match content {
            Some(content) => content,
            None => {
                let clock = self.lock().clock;
                match self.seen(number)? {
                    Seen::File(staged) => {
                        let left = staged.shown().size.saturating_sub(offset);
                        let mut out = room(length, left);
                        let done = staged.read(&self.source, offset, &mut out)?;
                        out.truncate(done);
                        return Ok(out);
                    }
                    seen => {
                        let content = seen.content().ok_or(Trouble::IsADirectory)?;
                        if let Some(handle) = self.lock().handles.get_mut(&handle) {
                            handle.content = Some((clock, content.clone()));
                        }
                        content
                    }
                }
            }
        };
        let mut out = room(length, content.size.saturating_sub(offset));
        let done = self.source.read(&content, offset, &mut out, ahead)?;
        out.truncate(done);
        Ok(out)
    }

    /// Notes what was changed, so that it survives and becomes a version.
    fn noted(&self, log: &mut Option<Log>, records: &[Record]) -> Result<(), Trouble> {
        let log = log.as_mut().ok_or(Trouble::ReadOnly)?;
        log.write(records)?;
        self.lock().touched();
        self.ring(|_| {});
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
        if let Some(log) = self.change().as_ref() {
            log.sync()?;
        }
        Ok(())
    }

    /// The number of the top.
    #[must_use]
    pub fn top(&self) -> u64 {
        TOP
    }
}

/// Room for what is read.
fn room(length: usize, left: u64) -> Vec<u8> {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    vec![0; length.min(left)]
}
