//! Reading a vault: paths, directories, and any range of a file.

use super::budget::{Budget, of_path};
use super::error::VaultError;
use super::keyring::Keyring;
use super::name::{DEPTH, Name, VaultPath};
use super::object::{self, Kind};
use super::pack::{PackSource, Packer};
use super::tree::{Directory, Entry, List, Part, Parts, Place, Segment, What};
use keys::codec::DecodeError;
use keys::vault_root::{ObjectRef, VaultRoot};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Most bytes, sealed, of the nodes that are kept in memory.
const CACHE: u64 = 64 << 20;

#[derive(Clone)]
enum Node {
    Directory(Arc<Directory>),
    Segment(Arc<Segment>),
    List(Arc<List>),
}

/// What a node was checked for: the same bytes may not stand everywhere.
#[derive(PartialEq, Eq, Hash)]
enum Checked {
    Directory,
    Segment(Name, Option<Name>),
    List(u64, bool),
}

type Nodes = HashMap<([u8; 32], Checked), Node>;

/// Nodes that were opened and checked; several readers may share them.
#[derive(Default)]
pub struct NodeCache(Mutex<(u64, Nodes)>);

impl NodeCache {
    fn find(&self, id: &[u8; 32], checked: Checked) -> Option<Node> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.1.get(&(*id, checked)).cloned()
    }

    fn keep(&self, object: &ObjectRef, checked: Checked, node: Node) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, nodes) = &mut *cache;
        *size = size.saturating_add(object.length.into());
        if *size > CACHE {
            nodes.clear();
            *size = object.length.into();
        }
        nodes.insert((object.id, checked), node);
    }
}

/// Reads objects, with the keys of a vault, from where its packs are.
///
/// ```
/// # use letterlock_seal::vault::{Editor, Keyring, MemoryPacks, NodeCache, Reader, VaultPath};
/// # use letterlock_seal::vault::Meta;
/// # use keys::{GroupId, Secret};
/// # use rand_chacha::rand_core::SeedableRng as _;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// let key = Secret::from_slice(&[1; 32]).unwrap();
/// let keys = Keyring::new(GroupId::from_bytes([2; 32]), [(1, &key)]).unwrap();
/// let (packs, cache) = (MemoryPacks::default(), NodeCache::default());
/// let mut editor = Editor::new(Reader::new(&keys, &packs, &cache), &packs, None, &mut rng);
/// let path = VaultPath::parse(b"notes/today.txt").unwrap();
/// editor.make_directories(&VaultPath::parse(b"notes").unwrap())?;
/// editor.put_bytes(&path, Meta::file(), b"rain")?;
/// let top = editor.finish()?;
/// let reader = Reader::new(&keys, &packs, &cache);
/// let entry = reader.lookup(&top, &path)?.unwrap();
/// let mut out = [0; 3];
/// assert_eq!(reader.file(&entry).unwrap().read_at(1, &mut out)?, 3);
/// assert_eq!(&out, b"ain");
/// # Ok::<(), letterlock_seal::vault::VaultError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    keys: &'a Keyring,
    source: &'a dyn PackSource,
    cache: &'a NodeCache,
    /// A pack that is being filled, before it is where packs are.
    filling: Option<&'a Packer<'a>>,
    /// What each operation may go through.
    most: Budget,
}

impl<'a> Reader<'a> {
    /// Takes keys and the place of packs.
    #[must_use]
    pub fn new(keys: &'a Keyring, source: &'a dyn PackSource, cache: &'a NodeCache) -> Self {
        Self {
            keys,
            source,
            cache,
            filling: None,
            most: Budget::default(),
        }
    }

    /// The same, with other limits of what an operation goes through.
    #[cfg(test)]
    pub(crate) fn at_most(self, most: Budget) -> Self {
        Self { most, ..self }
    }

    /// What an operation that begins may go through.
    pub(crate) fn budget(&self) -> Budget {
        self.most
    }

    /// The same, which finds what is in a pack that is being filled too.
    pub(crate) fn with<'b>(&'b self, packer: &'b Packer<'b>) -> Reader<'b> {
        Reader {
            filling: Some(packer),
            ..*self
        }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &'a Keyring {
        self.keys
    }

    /// Reads and opens an object.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn object(&self, kind: Kind, object: &ObjectRef) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let filling = self
            .filling
            .and_then(|packer| packer.read(&object.pack, object.offset, object.length));
        let sealed = match filling {
            Some(sealed) => sealed,
            None => self
                .source
                .read(
                    &object.pack,
                    object.generation,
                    object.offset,
                    object.length,
                )
                .map_err(VaultError::Pack)?,
        };
        Ok(object::open(self.keys, kind, object, &sealed)?)
    }

    /// A root that is not the newest. Whether it counts is another question.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn root(&self, object: &ObjectRef) -> Result<VaultRoot, VaultError> {
        Ok(VaultRoot::decode(&self.object(Kind::Root, object)?)?)
    }

    pub(crate) fn directory(&self, object: &ObjectRef) -> Result<Arc<Directory>, VaultError> {
        if let Some(Node::Directory(node)) = self.cache.find(&object.id, Checked::Directory) {
            return Ok(node);
        }
        let node = Directory::decode(&self.object(Kind::Directory, object)?)?;
        let node = Arc::new(node);
        self.cache
            .keep(object, Checked::Directory, Node::Directory(node.clone()));
        Ok(node)
    }

    pub(crate) fn segment(
        &self,
        directory: &Directory,
        number: usize,
    ) -> Result<Arc<Segment>, VaultError> {
        let (first, object) = directory.0.get(number).ok_or(DecodeError::Invalid)?;
        let next = directory.0.get(number.saturating_add(1));
        let next = next.map(|(name, _)| name);
        let checked = || Checked::Segment(first.clone(), next.cloned());
        if let Some(Node::Segment(node)) = self.cache.find(&object.id, checked()) {
            return Ok(node);
        }
        let bytes = self.object(Kind::Segment, object)?;
        let node = Arc::new(Segment::decode(&bytes, self.keys, first, next)?);
        self.cache
            .keep(object, checked(), Node::Segment(node.clone()));
        Ok(node)
    }

    pub(crate) fn list_of(&self, part: &Part, place: Place) -> Result<Arc<List>, VaultError> {
        let checked = || Checked::List(part.length, place == Place::Last);
        if let Some(Node::List(node)) = self.cache.find(&part.object.id, checked()) {
            return Ok(node);
        }
        let bytes = self.object(Kind::List, &part.object)?;
        let node = Arc::new(List::decode(&bytes, part.length, place)?);
        self.cache
            .keep(&part.object, checked(), Node::List(node.clone()));
        Ok(node)
    }

    /// What a directory says of a name.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn entry(&self, directory: &ObjectRef, name: &Name) -> Result<Option<Entry>, VaultError> {
        let directory = self.directory(directory)?;
        let Some(number) = directory.segment_of(name) else {
            return Ok(None);
        };
        let segment = self.segment(&directory, number)?;
        let found = segment.0.binary_search_by(|(other, _)| other.cmp(name));
        let entry = found.ok().and_then(|at| segment.0.get(at));
        Ok(entry.map(|(_, entry)| entry.clone()))
    }

    /// What has a path, below a directory. The directory itself has a plain mode and no time.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn lookup(&self, top: &ObjectRef, path: &VaultPath) -> Result<Option<Entry>, VaultError> {
        let mut entry = Entry::top(*top);
        for name in path.names() {
            let What::Directory(directory) = &entry.what else {
                return Ok(None);
            };
            match self.entry(directory, name)? {
                Some(inner) => entry = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// Shows all entries of a directory, by name.
    ///
    /// # Errors
    /// [`VaultError`], also those of `each`.
    pub fn list(
        &self,
        directory: &ObjectRef,
        mut each: impl FnMut(&Name, &Entry) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let directory = self.directory(directory)?;
        for number in 0..directory.0.len() {
            for (name, entry) in &self.segment(&directory, number)?.0 {
                each(name, entry)?;
            }
        }
        Ok(())
    }

    /// Shows all that is in a directory, each directory before what is in it.
    ///
    /// # Errors
    /// [`VaultError`], also those of `each`.
    pub fn walk(
        &self,
        directory: &ObjectRef,
        each: &mut dyn FnMut(&VaultPath, &Entry) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.walk_in(directory, &VaultPath::top(), &mut self.budget(), each)
    }

    /// The same for a directory at a path, as a part of an operation.
    pub(crate) fn walk_in(
        &self,
        directory: &ObjectRef,
        at: &VaultPath,
        budget: &mut Budget,
        each: &mut dyn FnMut(&VaultPath, &Entry) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        // SECURITY: somebody with the key may nest directories without end; `too_deep_a_tree_is_refused` notices.
        if at.names().len() >= DEPTH {
            return Err(VaultError::TooDeep);
        }
        let place = of_path(at);
        self.list(directory, |name, entry| {
            budget.entry(place, name, entry)?;
            let path = at.join(name);
            each(&path, entry)?;
            match &entry.what {
                What::Directory(inner) => self.walk_in(inner, &path, budget, each),
                _ => Ok(()),
            }
        })
    }

    /// Opens a file. Nothing: the entry is none.
    #[must_use]
    pub fn file(&self, entry: &Entry) -> Option<FileReader<'a>> {
        let What::File { size, parts } = &entry.what else {
            return None;
        };
        Some(FileReader {
            reader: *self,
            size: *size,
            parts: parts.clone(),
            cursor: None,
            chunk: None,
        })
    }

    /// Reads and opens a chunk.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn chunk(&self, part: &Part) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let bytes = self.object(Kind::Chunk, &part.object)?;
        // SECURITY: a chunk has the length that the file's sum counts it with; `a_chunk_of_another_length_is_refused`
        // notices.
        match bytes.len() as u64 == part.length {
            true => Ok(bytes),
            false => Err(DecodeError::Invalid.into()),
        }
    }
}

impl Entry {
    /// The top of a vault, as if a directory named it.
    #[must_use]
    pub fn top(directory: ObjectRef) -> Self {
        Self {
            mode: 0o755,
            modified: (0, 0),
            what: What::Directory(directory),
        }
    }
}

/// Goes through the chunks of a file, in their order.
pub struct Cursor {
    /// The lists on the way, the top first: each with the number of its next part.
    lists: Vec<(Arc<List>, usize)>,
    /// Lists that were opened and chunks of them that were shown, until somebody asks.
    steps: u64,
    /// Whether there are lists: a file of few chunks has none.
    listed: bool,
    offset: u64,
}

impl Cursor {
    /// Begins at the chunk that holds the byte at `offset`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(
        reader: &Reader<'_>,
        size: u64,
        parts: &Parts,
        offset: u64,
    ) -> Result<Self, VaultError> {
        let top = match parts {
            Parts::Few(parts) => Arc::new(List {
                level: 0,
                parts: parts.clone(),
            }),
            Parts::Listed(object) => {
                let top = Part {
                    object: *object,
                    length: size,
                };
                let list = reader.list_of(&top, Place::Last)?;
                if !list.may_be_top() {
                    return Err(DecodeError::Invalid.into());
                }
                list
            }
        };
        let listed = matches!(parts, Parts::Listed(_));
        let mut cursor = Self {
            lists: vec![(top, 0)],
            steps: u64::from(listed),
            listed,
            offset: 0,
        };
        cursor.seek(reader, offset)?;
        Ok(cursor)
    }

    /// Passes over all that lies before `offset`.
    fn seek(&mut self, reader: &Reader<'_>, offset: u64) -> Result<(), VaultError> {
        while let Some((list, next)) = self.lists.last_mut() {
            while let Some(part) = list.parts.get(*next)
                && self.offset.saturating_add(part.length) <= offset
            {
                self.offset = self.offset.saturating_add(part.length);
                *next = next.saturating_add(1);
            }
            let inner = list.level > 0 && list.parts.len() > *next;
            if !inner {
                break;
            }
            self.enter(reader)?;
        }
        Ok(())
    }

    /// Enters the list that is next.
    fn enter(&mut self, reader: &Reader<'_>) -> Result<(), VaultError> {
        // The last list of a row may end anywhere; all above it are the last ones then too, and done with.
        let done = self
            .lists
            .iter()
            .rev()
            .skip(1)
            .all(|(list, next)| *next >= list.parts.len());
        let Some((list, next)) = self.lists.last_mut() else {
            return Ok(());
        };
        let part = list.parts.get(*next).ok_or(DecodeError::Invalid)?;
        *next = next.saturating_add(1);
        let place = match done && *next >= list.parts.len() {
            true => Place::Last,
            false => Place::Inner,
        };
        let inner = reader.list_of(part, place)?;
        // SECURITY: a list has lists one level below it, so that no row of them is without end; `levels_descend`
        // notices.
        if inner.level.checked_add(1) != Some(list.level) {
            return Err(DecodeError::Invalid.into());
        }
        self.steps = self.steps.saturating_add(1);
        self.lists.push((inner, 0));
        Ok(())
    }

    /// How many lists were opened, and chunks of them shown, since the last time.
    pub(crate) fn steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps)
    }

    /// The next chunk, as a part of an operation.
    pub(crate) fn next_in(
        &mut self,
        reader: &Reader<'_>,
        budget: &mut Budget,
    ) -> Result<Option<(u64, Part)>, VaultError> {
        let next = self.next(reader)?;
        budget.parts(self.steps())?;
        Ok(next)
    }

    /// The next chunk, and where in the file it begins.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn next(&mut self, reader: &Reader<'_>) -> Result<Option<(u64, Part)>, VaultError> {
        while let Some((list, next)) = self.lists.last_mut() {
            let Some(part) = list.parts.get(*next).copied() else {
                self.lists.pop();
                continue;
            };
            if list.level > 0 {
                self.enter(reader)?;
                continue;
            }
            *next = next.saturating_add(1);
            self.steps = self.steps.saturating_add(u64::from(self.listed));
            let start = self.offset;
            self.offset = self.offset.saturating_add(part.length);
            return Ok(Some((start, part)));
        }
        Ok(None)
    }
}

/// A file of a vault, which can be read anywhere.
pub struct FileReader<'a> {
    reader: Reader<'a>,
    size: u64,
    parts: Parts,
    cursor: Option<Cursor>,
    chunk: Option<(u64, Zeroizing<Vec<u8>>)>,
}

impl FileReader<'_> {
    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many lists were opened, and chunks of them read, since the last time, if that was one after another.
    pub(crate) fn steps(&mut self) -> u64 {
        self.cursor.as_mut().map_or(0, Cursor::steps)
    }

    /// Reads at an offset until `out` is full or the end is reached; how many bytes there were.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, VaultError> {
        let mut done: usize = 0;
        loop {
            let at = offset.saturating_add(done as u64);
            let room = out.get_mut(done..).unwrap_or_default();
            if room.is_empty() || at >= self.size {
                return Ok(done);
            }
            let (start, bytes) = self.chunk_at(at)?;
            let inside = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
            let there = bytes.get(inside..).unwrap_or_default();
            let length = there.len().min(room.len());
            if length == 0 {
                return Err(DecodeError::Invalid.into());
            }
            if let (Some(to), Some(from)) = (room.get_mut(..length), there.get(..length)) {
                to.copy_from_slice(from);
            }
            done = done.saturating_add(length);
        }
    }

    /// The chunk that holds a byte, and where it begins.
    fn chunk_at(&mut self, at: u64) -> Result<(u64, &[u8]), VaultError> {
        let holds = |start: u64, length: u64| (start..start.saturating_add(length)).contains(&at);
        let kept = self.chunk.take();
        let kept = kept.filter(|(start, bytes)| holds(*start, bytes.len() as u64));
        let chunk = match kept {
            Some(chunk) => chunk,
            None => {
                // Most reads go on where the last one ended.
                let cursor = self.cursor.take().filter(|cursor| cursor.offset == at);
                let mut cursor = match cursor {
                    Some(cursor) => cursor,
                    None => Cursor::new(&self.reader, self.size, &self.parts, at)?,
                };
                let next = cursor.next(&self.reader)?;
                let (start, part) = next.ok_or(DecodeError::Invalid)?;
                self.cursor = Some(cursor);
                (start, self.reader.chunk(&part)?)
            }
        };
        let (start, bytes) = self.chunk.insert(chunk);
        Ok((*start, bytes))
    }
}
