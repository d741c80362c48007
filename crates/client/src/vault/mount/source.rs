//! Ranges of files, from packs: chunks that were read stay in memory for a while, and those that follow are fetched
//! before somebody asks.

use super::trouble::Trouble;
use crate::limits;
use crate::vault::packs::RelayPacks;
use crate::vault::session::Session;
use keys::vault_root::ObjectRef;
use seal::vault::{Cursor, Entry, Keyring, Name, NodeCache, Part, Parts, Reader, VaultError, What};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use zeroize::Zeroizing;

type Chunk = Arc<Zeroizing<Vec<u8>>>;

/// Keys and packs: others come with a new generation.
struct Access {
    keys: Arc<Keyring>,
    packs: RelayPacks,
}

/// What a mounted vault reads from.
pub(super) struct Source {
    access: RwLock<Arc<Access>>,
    nodes: NodeCache,
    chunks: Chunks,
    ahead: SyncSender<Part>,
}

/// Chunks in memory.
#[derive(Default)]
struct Chunks {
    kept: Mutex<Kept>,
    came: Condvar,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    /// Counts uses: the chunk that was used longest ago makes room.
    uses: u64,
    chunks: HashMap<[u8; 32], (u64, Chunk)>,
    by_use: BTreeMap<u64, [u8; 32]>,
    /// Chunks that somebody fetches now.
    fetched: HashSet<[u8; 32]>,
}

impl Kept {
    fn find(&mut self, id: &[u8; 32]) -> Option<Chunk> {
        let (used, chunk) = self.chunks.get_mut(id)?;
        self.uses = self.uses.saturating_add(1);
        self.by_use.remove(used);
        *used = self.uses;
        self.by_use.insert(self.uses, *id);
        Some(Arc::clone(chunk))
    }

    fn keep(&mut self, id: [u8; 32], chunk: &Chunk) {
        self.uses = self.uses.saturating_add(1);
        self.bytes = self.bytes.saturating_add(chunk.len());
        self.by_use.insert(self.uses, id);
        self.chunks.insert(id, (self.uses, Arc::clone(chunk)));
        while self.bytes > limits::MOUNT_CACHE_BYTES
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            if let Some((_, gone)) = self.chunks.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(gone.len());
            }
        }
    }
}

impl Chunks {
    /// A chunk from memory, or by `fetch`; of those who want one at a time, one fetches it.
    fn get(
        &self,
        part: &Part,
        fetch: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, VaultError>,
    ) -> Result<Chunk, Trouble> {
        let id = part.object.id;
        let mut kept = self.lock();
        loop {
            if let Some(chunk) = kept.find(&id) {
                // Another list may count the same chunk with another length: it is refused as where it is read.
                return match chunk.len() as u64 == part.length {
                    true => Ok(chunk),
                    false => Err(Trouble::Io),
                };
            }
            if kept.fetched.insert(id) {
                break;
            }
            kept = self.came.wait(kept).unwrap_or_else(PoisonError::into_inner);
        }
        drop(kept);
        let fetching = Fetching { chunks: self, id };
        let fetched = fetch().map(Arc::new);
        if let Ok(chunk) = &fetched {
            self.lock().keep(id, chunk);
        }
        drop(fetching);
        Ok(fetched?)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who fetches a chunk: whatever comes of it, those who wait for it go on.
struct Fetching<'a> {
    chunks: &'a Chunks,
    id: [u8; 32],
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.chunks.lock().fetched.remove(&self.id);
        self.chunks.came.notify_all();
    }
}

fn fetch_ahead(source: &Weak<Source>, parts: &Mutex<Receiver<Part>>) {
    loop {
        let next = parts.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let (Ok(part), Some(source)) = (next, source.upgrade()) else {
            return;
        };
        // Whoever wants it asks again, and is told why not.
        let _ = source.chunk(&part);
    }
}

fn accessed(session: &Session) -> Arc<Access> {
    Arc::new(Access {
        keys: Arc::clone(&session.keys),
        packs: session.packs(None).for_reading(),
    })
}

impl Source {
    pub(super) fn new(session: &Session) -> Arc<Self> {
        Self::with(accessed(session))
    }

    /// One that has keys, and packs that nobody has.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn of_nothing(keys: Keyring, runtime: tokio::runtime::Handle) -> Option<Arc<Self>> {
        let keys = Arc::new(keys);
        let work = crate::sealed::Work::default();
        work.stop();
        let url = crate::relay_url::RelayUrl::parse("http://127.0.0.1:1").ok()?;
        let packs = RelayPacks::new(runtime, url, Arc::clone(&keys), Arc::new(work), None);
        Some(Self::with(Arc::new(Access { keys, packs })))
    }

    fn with(access: Arc<Access>) -> Arc<Self> {
        let (ahead, parts) = mpsc::sync_channel(limits::MOUNT_AHEAD);
        let source = Arc::new(Self {
            access: RwLock::new(access),
            nodes: NodeCache::default(),
            chunks: Chunks::default(),
            ahead,
        });
        let parts = Arc::new(Mutex::new(parts));
        for _ in 0..limits::MOUNT_AHEAD {
            let (source, parts) = (Arc::downgrade(&source), Arc::clone(&parts));
            std::thread::spawn(move || fetch_ahead(&source, &parts));
        }
        source
    }

    /// Takes the keys and the relay of a session.
    pub(super) fn renew(&self, session: &Session) {
        let same = {
            let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
            access.keys.newest() == session.keys.newest()
        };
        if !same {
            *self.access.write().unwrap_or_else(PoisonError::into_inner) = accessed(session);
        }
    }

    pub(super) fn keys(&self) -> Arc<Keyring> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&access.keys)
    }

    fn with_reader<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let access = {
            let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&access)
        };
        read(&Reader::new(&access.keys, &access.packs, &self.nodes))
    }

    /// What a directory says of a name.
    pub(super) fn entry(
        &self,
        directory: &ObjectRef,
        name: &Name,
    ) -> Result<Option<Entry>, Trouble> {
        Ok(self.with_reader(|reader| reader.entry(directory, name))?)
    }

    /// All entries of a directory.
    pub(super) fn list(&self, directory: &ObjectRef) -> Result<BTreeMap<Name, Entry>, Trouble> {
        let mut entries = BTreeMap::new();
        self.with_reader(|reader| {
            reader.list(directory, |name, entry| {
                entries.insert(name.clone(), entry.clone());
                Ok(())
            })
        })?;
        Ok(entries)
    }

    /// Whether two entries hold the same bytes.
    pub(super) fn same_content(&self, one: &Entry, other: &Entry) -> Result<bool, Trouble> {
        let plain = |entry: &Entry| Entry {
            mode: 0,
            modified: (0, 0),
            what: entry.what.clone(),
        };
        Ok(self.with_reader(|reader| reader.same(Some(&plain(one)), Some(&plain(other))))?)
    }

    fn chunk(&self, part: &Part) -> Result<Chunk, Trouble> {
        self.chunks
            .get(part, || self.with_reader(|reader| reader.chunk(part)))
    }

    /// Fills `out` with the bytes of a file from `offset`, as far as there are any; how many. With `ahead` the chunks
    /// that follow are fetched too.
    pub(super) fn read(
        &self,
        content: &Content,
        offset: u64,
        out: &mut [u8],
        ahead: bool,
    ) -> Result<usize, Trouble> {
        let Content { size, parts } = content;
        let wanted = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(out.len());
        if wanted == 0 {
            return Ok(0);
        }
        let mut cursor = self.with_reader(|reader| Cursor::new(reader, *size, parts, offset))?;
        let mut done: usize = 0;
        while done < wanted {
            let next = self.with_reader(|reader| cursor.next(reader))?;
            let (start, part) = next.ok_or(Trouble::Io)?;
            let chunk = self.chunk(&part)?;
            let inside = offset.saturating_add(done as u64).saturating_sub(start);
            let inside = usize::try_from(inside).map_err(|_| Trouble::Io)?;
            let there = chunk.get(inside..).unwrap_or_default();
            let length = there.len().min(wanted.saturating_sub(done));
            let until = done.saturating_add(length);
            match (out.get_mut(done..until), there.get(..length)) {
                (Some(to), Some(from)) if length > 0 => to.copy_from_slice(from),
                _ => return Err(Trouble::Io),
            }
            done = until;
        }
        for _ in 0..limits::MOUNT_AHEAD {
            if !ahead {
                break;
            }
            match self.with_reader(|reader| cursor.next(reader)) {
                // Where all who fetch are busy, it is fetched when it is asked for.
                Ok(Some((_, part))) if !self.is_kept(&part) => drop(self.ahead.try_send(part)),
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        Ok(done)
    }

    fn is_kept(&self, part: &Part) -> bool {
        let kept = self.chunks.lock();
        kept.chunks.contains_key(&part.object.id) || kept.fetched.contains(&part.object.id)
    }
}

/// Where the bytes of a file are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) parts: Parts,
}

impl Content {
    /// Nothing: the entry is no file.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        match &entry.what {
            What::File { size, parts } => Some(Self {
                size: *size,
                parts: parts.clone(),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "test code")]
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn whoever_dies_of_fetching_keeps_nobody_waiting() {
        let chunks = Chunks::default();
        let part = Part {
            object: ObjectRef::NONE,
            length: 3,
        };
        let dies = || chunks.get(&part, || panic!("on purpose")).map(drop);
        assert!(catch_unwind(AssertUnwindSafe(dies)).is_err());
        // Whoever finds it here waits.
        assert!(chunks.lock().fetched.is_empty());
        let fetched = chunks.get(&part, || Ok(Zeroizing::new(vec![1, 2, 3])));
        assert!(fetched.is_ok_and(|chunk| chunk.as_slice() == [1, 2, 3]));
    }
}
