//! A vault as a file system: what every face of a mounted vault is made of.

use super::log::Log;
use super::nodes::{Nodes, TOP};
use super::source::{Content, Source};
use super::staged::{Staged, StagedId};
use super::tree::{Change, Folder, Node, Seen, Way};
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

/// A directory as a version has it, and what is changed in it.
type Listed = (Option<ObjectRef>, Vec<(Name, Option<Seen>)>);

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

/// Something that is open.
pub(super) struct Handle {
    pub(super) number: u64,
    writes: bool,
    /// What counts it as a writer.
    pub(super) counted: Option<Arc<Staged>>,
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
    pub(super) handles: HashMap<u64, Handle>,
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

pub(super) fn about(number: u64, seen: &Seen) -> About {
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

pub(super) fn name_of(bytes: &[u8]) -> Result<Name, Trouble> {
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

    pub(super) fn touched(&mut self) {
        let now = os::instant();
        self.changed = Some(match self.changed {
            Some((first, _)) => (first, now),
            None => (now, now),
        });
    }

    pub(super) fn path(&self, number: u64) -> Result<VaultPath, Trouble> {
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

    pub(super) fn follow(&self, way: Way) -> Result<Option<Seen>, Trouble> {
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

    pub(super) fn seen(&self, number: u64) -> Result<Seen, Trouble> {
        let way = {
            let state = self.lock();
            match state.nodes.kept(number) {
                Some(kept) => return Ok(kept.seen()),
                None => state.top.way(state.path(number)?.names()),
            }
        };
        self.follow(way)?.ok_or(Trouble::NotFound)
    }

    pub(super) fn child(
        &self,
        parent: u64,
        name: &Name,
    ) -> Result<(VaultPath, Option<Seen>), Trouble> {
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
    fn listed(&self, number: u64) -> Result<Listed, Trouble> {
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

    pub(super) fn opened(&self, number: u64, writes: bool, seen: &Seen) -> u64 {
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
