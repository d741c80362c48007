//! Changing a vault: what is changed is kept in memory, and written, node by node, at the end.

use super::error::VaultError;
use super::name::{DEPTH, Name, VaultPath};
use super::object::Kind;
use super::pack::{PackStore, Packer};
use super::reach::Reached;
use super::reader::Reader;
use super::sealer::{Draw, Lists, Sealer};
use super::tree::{Directory, Entry, PARTS, Part, Segment, What, is_target};
use keys::codec::DecodeError;
use keys::vault_root::{ObjectRef, VaultRoot};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Mode and time of what is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, at most 0777.
    pub mode: u16,
    /// When it was last modified: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
}

impl Meta {
    /// Those of a plain file.
    #[must_use]
    pub const fn file() -> Self {
        Self {
            mode: 0o644,
            modified: (0, 0),
        }
    }

    /// Those of a plain directory.
    #[must_use]
    pub const fn directory() -> Self {
        Self {
            mode: 0o755,
            modified: (0, 0),
        }
    }

    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            mode: entry.mode,
            modified: entry.modified,
        }
    }

    pub(crate) fn with(self, what: What) -> Entry {
        Entry {
            mode: self.mode & 0o777,
            modified: (self.modified.0, self.modified.1.min(999_999_999)),
            what,
        }
    }
}

/// A directory with what is changed in it.
struct Folder {
    meta: Meta,
    /// What it was. Nothing: it is new.
    base: Option<ObjectRef>,
    /// By name; nothing: there is no such name any more.
    changes: BTreeMap<Name, Option<Node>>,
}

enum Node {
    Entry(Entry),
    Folder(Folder),
}

impl Folder {
    fn new(meta: Meta, base: Option<ObjectRef>) -> Self {
        Self {
            meta,
            base,
            changes: BTreeMap::new(),
        }
    }
}

/// What has a path while a vault is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something that is as it was written.
    Entry(Entry),
    /// A directory in which something is changed.
    Changed(Meta),
}

impl Found {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Entry(entry) => matches!(entry.what, What::Directory(_)),
            Self::Changed(_) => true,
        }
    }
}

/// Changes a vault. Only [`Editor::finish`] makes something of it: whoever drops it has changed nothing.
pub struct Editor<'a> {
    pub(crate) sealer: Arc<Sealer<'a>>,
    reader: Reader<'a>,
    pub(crate) rng: &'a mut dyn CryptoRng,
    top: Folder,
    /// Lists whose chunks are remembered.
    reused: Reached,
}

impl<'a> Editor<'a> {
    /// Begins with a directory. Nothing: with an empty one. New objects go to `store` in packs.
    #[must_use]
    pub fn new(
        reader: Reader<'a>,
        store: &'a dyn PackStore,
        top: Option<ObjectRef>,
        rng: &'a mut dyn CryptoRng,
    ) -> Self {
        let keys = reader.keys();
        Self {
            sealer: Arc::new(Sealer::new(keys, Packer::new(store, keys.newest()))),
            reader,
            rng,
            top: Folder::new(Meta::directory(), top),
            reused: Reached::default(),
        }
    }

    /// Compresses what is written from now on. The lengths of compressed contents tell those who see packs something
    /// of them where somebody else chooses a part: so it is for vaults that one person writes to.
    #[must_use]
    pub fn compressing(self, compress: bool) -> Self {
        self.sealer.compress(compress);
        self
    }

    /// Reads what was there before, and what is written already.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        self.reader.with(&self.sealer.packer)
    }

    /// What has a path.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn find(&self, path: &VaultPath) -> Result<Option<Found>, VaultError> {
        let mut folder = &self.top;
        for (depth, name) in path.names().iter().enumerate() {
            match folder.changes.get(name) {
                Some(None) => return Ok(None),
                Some(Some(Node::Folder(inner))) => folder = inner,
                Some(Some(Node::Entry(entry))) => return self.below(entry.clone(), path, depth),
                None => {
                    let entry = match &folder.base {
                        Some(base) => self.reader().entry(base, name)?,
                        None => None,
                    };
                    return match entry {
                        Some(entry) => self.below(entry, path, depth),
                        None => Ok(None),
                    };
                }
            }
        }
        Ok(Some(Found::Changed(folder.meta)))
    }

    /// What has a path whose name at `depth` is an entry as it was written.
    fn below(
        &self,
        entry: Entry,
        path: &VaultPath,
        depth: usize,
    ) -> Result<Option<Found>, VaultError> {
        let mut entry = entry;
        for name in path.names().iter().skip(depth.saturating_add(1)) {
            let What::Directory(directory) = &entry.what else {
                return Ok(None);
            };
            match self.reader().entry(directory, name)? {
                Some(inner) => entry = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(Found::Entry(entry)))
    }

    /// The directory at a path, to be changed.
    fn folder(&mut self, path: &VaultPath) -> Result<&mut Folder, VaultError> {
        let reader = self.reader.with(&self.sealer.packer);
        let mut folder = &mut self.top;
        for name in path.names() {
            if !folder.changes.contains_key(name) {
                let entry = match &folder.base {
                    Some(base) => reader.entry(base, name)?,
                    None => None,
                };
                if let Some(entry) = entry {
                    folder
                        .changes
                        .insert(name.clone(), Some(Node::Entry(entry)));
                }
            }
            let node = match folder.changes.get_mut(name) {
                Some(Some(node)) => node,
                _ => return Err(VaultError::NotFound { path: path.clone() }),
            };
            if let Node::Entry(entry) = node {
                let What::Directory(base) = entry.what else {
                    return Err(VaultError::NotADirectory { path: path.clone() });
                };
                *node = Node::Folder(Folder::new(Meta::of(entry), Some(base)));
            }
            let Node::Folder(inner) = node else {
                return Err(VaultError::NotADirectory { path: path.clone() });
            };
            folder = inner;
        }
        Ok(folder)
    }

    fn set(&mut self, path: &VaultPath, node: Option<Node>) -> Result<(), VaultError> {
        let (place, name) = path
            .split_last()
            .ok_or_else(|| VaultError::Place { path: path.clone() })?;
        if path.names().len() > DEPTH {
            return Err(VaultError::TooDeep);
        }
        self.folder(&place)?.changes.insert(name.clone(), node);
        Ok(())
    }

    /// What has a path where nothing was changed yet.
    pub(crate) fn entry_as_written(&self, path: &VaultPath) -> Result<Option<Entry>, VaultError> {
        match self.find(path)? {
            Some(Found::Entry(entry)) => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// Whether a directory has no entries.
    pub(crate) fn is_empty(&mut self, path: &VaultPath) -> Result<bool, VaultError> {
        let folder = self.folder(path)?;
        if folder.changes.values().any(Option::is_some) {
            return Ok(false);
        }
        let removed: HashSet<Name> = folder.changes.keys().cloned().collect();
        let Some(base) = folder.base else {
            return Ok(true);
        };
        let reader = self.reader();
        let directory = reader.directory(&base)?;
        for number in 0..directory.0.len() {
            let segment = reader.segment(&directory, number)?;
            if segment.0.iter().any(|(name, _)| !removed.contains(name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a directory, where nothing is.
    ///
    /// # Errors
    /// [`VaultError::Exists`], [`VaultError::NotFound`]: what it is to lie in is not there.
    pub fn make_directory(&mut self, path: &VaultPath, meta: Meta) -> Result<(), VaultError> {
        if self.find(path)?.is_some() {
            return Err(VaultError::Exists { path: path.clone() });
        }
        self.set(path, Some(Node::Folder(Folder::new(meta, None))))
    }

    /// Makes a directory and all above it that are not there.
    ///
    /// # Errors
    /// [`VaultError::NotADirectory`]: something else has one of the paths.
    pub fn make_directories(&mut self, path: &VaultPath) -> Result<(), VaultError> {
        let mut at = VaultPath::top();
        for name in path.names() {
            at = at.join(name);
            match self.find(&at)? {
                None => self.make_directory(&at, Meta::directory())?,
                Some(found) if found.is_directory() => {}
                Some(_) => return Err(VaultError::NotADirectory { path: at }),
            }
        }
        Ok(())
    }

    /// Gives a directory another mode and time.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn set_meta(&mut self, path: &VaultPath, meta: Meta) -> Result<(), VaultError> {
        self.folder(path)?.meta = meta;
        Ok(())
    }

    /// Takes something out, a directory with all that is in it. What older versions hold of it stays there.
    ///
    /// # Errors
    /// [`VaultError::NotFound`].
    pub fn remove(&mut self, path: &VaultPath) -> Result<(), VaultError> {
        if self.find(path)?.is_none() {
            return Err(VaultError::NotFound { path: path.clone() });
        }
        self.set(path, None)
    }

    /// Moves something, a directory with all that is in it.
    ///
    /// # Errors
    /// [`VaultError::Exists`]: something has the new path. [`VaultError::Place`]: it would lie in itself.
    pub fn rename(&mut self, from: &VaultPath, to: &VaultPath) -> Result<(), VaultError> {
        if to.is_in(from) || from.names().is_empty() {
            return Err(VaultError::Place { path: to.clone() });
        }
        if self.find(to)?.is_some() {
            return Err(VaultError::Exists { path: to.clone() });
        }
        let (place, name) = from
            .split_last()
            .ok_or_else(|| VaultError::Place { path: from.clone() })?;
        let (target, _) = to
            .split_last()
            .ok_or_else(|| VaultError::Place { path: to.clone() })?;
        self.folder(&target)?;
        let Some(found) = self.find(from)? else {
            return Err(VaultError::NotFound { path: from.clone() });
        };
        let folder = self.folder(&place)?;
        // What is changed takes its changes with it.
        let node = match (folder.changes.remove(name), found) {
            (Some(Some(node)), _) => node,
            (_, Found::Entry(entry)) => Node::Entry(entry),
            _ => return Err(VaultError::NotFound { path: from.clone() }),
        };
        folder.changes.insert(name.clone(), None);
        self.set(to, Some(node))
    }

    /// Puts an entry as it is, that of an older version say, in the place of whatever is there.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_entry(&mut self, path: &VaultPath, entry: Entry) -> Result<(), VaultError> {
        self.set(path, Some(Node::Entry(entry)))
    }

    /// Puts a directory in the place of all that is there.
    ///
    /// # Errors
    /// [`VaultError::NotADirectory`].
    pub fn replace_all(&mut self, entry: &Entry) -> Result<(), VaultError> {
        let path = VaultPath::top();
        let top = entry
            .directory()
            .ok_or(VaultError::NotADirectory { path })?;
        self.top = Folder::new(Meta::directory(), Some(top));
        Ok(())
    }

    /// Takes everything out, without a look at what was there.
    pub fn clear(&mut self) {
        self.top = Folder::new(Meta::directory(), None);
    }

    /// Puts a symbolic link, in the place of a file or a link.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_link(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        target: &[u8],
    ) -> Result<(), VaultError> {
        if !is_target(target) {
            return Err(DecodeError::Invalid.into());
        }
        self.put_node(path, meta.with(What::Link(target.to_vec())))
    }

    /// Puts a short file, in the place of a file or a link.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_bytes(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        bytes: &[u8],
    ) -> Result<(), VaultError> {
        self.put_file(path, meta, &mut &*bytes)
    }

    /// Puts what is neither a directory nor stands where one is.
    pub(crate) fn put_node(&mut self, path: &VaultPath, entry: Entry) -> Result<(), VaultError> {
        if self.find(path)?.is_some_and(|found| found.is_directory()) {
            return Err(VaultError::Exists { path: path.clone() });
        }
        self.put_entry(path, entry)
    }

    /// Remembers what an older version of a file consists of, so that it is not stored again.
    ///
    /// # Errors
    /// [`VaultError`].
    // SECURITY: a list that is named without end is gone through once; `a_file_without_end_is_written_over` notices.
    pub fn reuse(&mut self, entry: &Entry) -> Result<(), VaultError> {
        let reader = self.reader.with(&self.sealer.packer);
        let mut each = |object: &ObjectRef| self.sealer.remember(object);
        reader.objects_of_file(entry, &mut self.reused, &mut each)
    }

    pub(crate) fn push_part(&mut self, lists: &mut Lists, part: Part) -> Result<(), VaultError> {
        lists.push(part, &self.sealer, self.rng)
    }

    pub(crate) fn finish_lists(&mut self, lists: Lists) -> Result<What, VaultError> {
        let (size, parts) = lists.finish(&self.sealer, self.rng)?;
        Ok(What::File { size, parts })
    }

    /// Seals a root that is to be the previous one.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_root(&mut self, root: &VaultRoot) -> Result<ObjectRef, VaultError> {
        self.object(Kind::Root, &root.encode())
    }

    fn object(&mut self, kind: Kind, bytes: &[u8]) -> Result<ObjectRef, VaultError> {
        self.sealer.put(kind, bytes, &Draw::new(self.rng))
    }

    /// Writes all that is changed; the directory that all lies in. It is the same as before where nothing is changed.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is changed then.
    pub fn write_all(&mut self) -> Result<ObjectRef, VaultError> {
        let top = std::mem::replace(&mut self.top, Folder::new(Meta::directory(), None));
        let object = self.write(top, 0)?;
        self.top.base = Some(object);
        Ok(object)
    }

    /// Writes all that is changed, and stores the last pack; the directory that all lies in.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is changed then.
    pub fn finish(&mut self) -> Result<ObjectRef, VaultError> {
        let object = self.write_all()?;
        self.sealer.packer.flush().map_err(VaultError::Pack)?;
        Ok(object)
    }

    /// Writes the directories below a path, so that they need no memory any more.
    pub(crate) fn settle(&mut self, path: &VaultPath) -> Result<(), VaultError> {
        let depth = path.names().len();
        let folder = self.folder(path)?;
        let whole = std::mem::replace(folder, Folder::new(folder.meta, None));
        let meta = whole.meta;
        let object = self.write(whole, depth)?;
        match path.names() {
            [] => self.top.base = Some(object),
            _ => self.put_entry(path, meta.with(What::Directory(object)))?,
        }
        Ok(())
    }

    fn write(&mut self, folder: Folder, depth: usize) -> Result<ObjectRef, VaultError> {
        if depth > DEPTH {
            return Err(VaultError::TooDeep);
        }
        let mut changes = BTreeMap::new();
        for (name, node) in folder.changes {
            let entry = match node {
                None => None,
                Some(Node::Entry(entry)) => Some(entry),
                Some(Node::Folder(inner)) => {
                    let meta = inner.meta;
                    let object = self.write(inner, depth.saturating_add(1))?;
                    Some(meta.with(What::Directory(object)))
                }
            };
            changes.insert(name, entry);
        }
        self.write_directory(folder.base, changes)
    }

    /// A directory with changes: segments that they do not touch stay as they are.
    fn write_directory(
        &mut self,
        base: Option<ObjectRef>,
        changes: BTreeMap<Name, Option<Entry>>,
    ) -> Result<ObjectRef, VaultError> {
        let before = match &base {
            Some(base) => self.reader().directory(base)?,
            None => Default::default(),
        };
        let mut row = Row::of(&before);
        let mut changes = changes.into_iter().peekable();
        for (number, (first, object)) in before.0.iter().enumerate() {
            let next = before.0.get(number.saturating_add(1)).map(|(name, _)| name);
            let within = |name: &Name| next.is_none_or(|next| name < next);
            let changed = changes.peek().is_some_and(|(name, _)| within(name));
            if row.open.is_empty() && !changed {
                row.segments.push((first.clone(), *object));
                continue;
            }
            let segment = self.reader().segment(&before, number)?;
            let mut entries = segment.0.iter().peekable();
            while let Some((name, change)) = changes.next_if(|(name, _)| within(name)) {
                while let Some(entry) = entries.next_if(|(other, _)| *other < name) {
                    row.push(entry.clone(), self)?;
                }
                entries.next_if(|(other, _)| *other == name);
                if let Some(change) = change {
                    row.push((name, change), self)?;
                }
            }
            for entry in entries {
                row.push(entry.clone(), self)?;
            }
        }
        for (name, change) in changes {
            if let Some(change) = change {
                row.push((name, change), self)?;
            }
        }
        row.close(self)?;
        let bytes = Directory(row.segments).encode();
        let same = base
            .filter(|base| super::object::id(self.sealer.keys, Kind::Directory, &bytes) == base.id);
        match same {
            Some(base) => Ok(base),
            None => self.object(Kind::Directory, &bytes),
        }
    }
}

/// The segments of a directory while it is written.
struct Row {
    segments: Vec<(Name, ObjectRef)>,
    open: Vec<(Name, Entry)>,
    /// Segments that were there before: what comes out the same is not stored again.
    before: HashMap<[u8; 32], ObjectRef>,
}

impl Row {
    fn of(before: &Directory) -> Self {
        Self {
            segments: Vec::new(),
            open: Vec::new(),
            before: before
                .0
                .iter()
                .map(|(_, object)| (object.id, *object))
                .collect(),
        }
    }

    fn push(&mut self, entry: (Name, Entry), editor: &mut Editor<'_>) -> Result<(), VaultError> {
        let ends = editor.sealer.keys.ids().ends_segment(entry.0.as_bytes());
        self.open.push(entry);
        match ends || self.open.len() >= PARTS {
            true => self.close(editor),
            false => Ok(()),
        }
    }

    fn close(&mut self, editor: &mut Editor<'_>) -> Result<(), VaultError> {
        let Some((first, _)) = self.open.first() else {
            return Ok(());
        };
        let first = first.clone();
        let bytes = Segment(std::mem::take(&mut self.open)).encode();
        let id = super::object::id(editor.sealer.keys, Kind::Segment, &bytes);
        let object = match self.before.get(&id) {
            Some(object) => *object,
            None => editor.object(Kind::Segment, &bytes)?,
        };
        self.segments.push((first, object));
        Ok(())
    }
}

#[cfg(test)]
#[path = "editor_tests.rs"]
mod tests;
