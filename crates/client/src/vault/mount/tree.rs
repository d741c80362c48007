//! What is changed in a mounted vault and in no version yet, over the version that it grew from.

use super::log::{Bound, Record};
use super::source::{Content, Source};
use super::staged::Staged;
use super::trouble::Trouble;
use keys::vault_root::ObjectRef;
use seal::vault::{DEPTH, Entry, Meta, Name, VaultPath, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A directory in which something is changed.
#[derive(Clone)]
pub(super) struct Folder {
    pub(super) meta: Meta,
    /// What it was. Nothing: it is new.
    pub(super) base: Option<ObjectRef>,
    pub(super) changes: BTreeMap<Name, Change>,
}

/// What has a name now.
#[derive(Clone)]
pub(super) struct Change {
    /// When it was made: stamps count changes.
    pub(super) stamp: u64,
    /// Nothing: nothing has the name any more.
    pub(super) node: Option<Node>,
}

/// Something that has a name.
#[derive(Clone)]
pub(super) enum Node {
    /// As some version has it, but for its mode and time.
    Entry(Entry),
    Folder(Folder),
    File(Arc<Staged>),
}

/// What a face is shown of something.
#[derive(Clone)]
pub(super) enum Seen {
    Entry(Entry),
    Folder(Meta),
    File(Arc<Staged>),
}

/// Where the way to a path leaves what is changed.
pub(super) enum Way {
    Gone,
    Here(Seen),
    /// In a directory of a version, by these names.
    Below(ObjectRef, Vec<Name>),
}

pub(super) fn meta_of(entry: &Entry) -> Meta {
    Meta {
        mode: entry.mode,
        modified: entry.modified,
    }
}

pub(super) fn entry_with(meta: Meta, what: What) -> Entry {
    Entry {
        mode: meta.mode,
        modified: meta.modified,
        what,
    }
}

impl Node {
    pub(super) fn seen(&self) -> Seen {
        match self {
            Self::Entry(entry) => Seen::Entry(entry.clone()),
            Self::Folder(folder) => Seen::Folder(folder.meta),
            Self::File(staged) => Seen::File(Arc::clone(staged)),
        }
    }

    pub(super) fn bound(&self) -> Bound {
        match self {
            Self::Entry(entry) => Bound::Entry(entry.clone()),
            Self::Folder(folder) => Bound::Folder(folder.meta, folder.base),
            Self::File(staged) => Bound::File(staged.id, staged.base.clone()),
        }
    }

    /// How deep lies what is changed in it.
    fn depth(&self) -> usize {
        match self {
            Self::Folder(folder) => {
                let nodes = folder
                    .changes
                    .values()
                    .filter_map(|change| change.node.as_ref());
                let inner = nodes.map(Self::depth).max().unwrap_or(0);
                inner.saturating_add(1)
            }
            _ => 1,
        }
    }
}

impl Seen {
    pub(super) fn is_directory(&self) -> bool {
        match self {
            Self::Folder(..) => true,
            Self::Entry(entry) => entry.directory().is_some(),
            Self::File(_) => false,
        }
    }

    /// Where its bytes are, if it is a file of a version.
    pub(super) fn content(&self) -> Option<Content> {
        match self {
            Self::Entry(entry) => Content::of(entry),
            _ => None,
        }
    }
}

impl Folder {
    pub(super) fn new(meta: Meta, base: Option<ObjectRef>) -> Self {
        Self {
            meta,
            base,
            changes: BTreeMap::new(),
        }
    }

    /// The way to a path.
    pub(super) fn way(&self, names: &[Name]) -> Way {
        let mut folder = self;
        let mut left = names;
        loop {
            let Some((name, rest)) = left.split_first() else {
                return Way::Here(Seen::Folder(folder.meta));
            };
            let Some(change) = folder.changes.get(name) else {
                return match folder.base {
                    Some(base) => Way::Below(base, left.to_vec()),
                    None => Way::Gone,
                };
            };
            match (&change.node, rest) {
                (None, _) => return Way::Gone,
                (Some(Node::Folder(inner)), _) => (folder, left) = (inner, rest),
                (Some(node), []) => return Way::Here(node.seen()),
                (Some(Node::Entry(entry)), _) => {
                    return match entry.directory() {
                        Some(inner) => Way::Below(inner, rest.to_vec()),
                        None => Way::Gone,
                    };
                }
                (Some(Node::File(_)), _) => return Way::Gone,
            }
        }
    }

    /// A directory in which something is changed.
    pub(super) fn find(&self, names: &[Name]) -> Option<&Self> {
        names
            .iter()
            .try_fold(self, |folder, name| match &folder.changes.get(name)?.node {
                Some(Node::Folder(inner)) => Some(inner),
                _ => None,
            })
    }

    pub(super) fn find_mut(&mut self, names: &[Name]) -> Option<&mut Self> {
        let mut folder = self;
        for name in names {
            folder = match &mut folder.changes.get_mut(name)?.node {
                Some(Node::Folder(inner)) => inner,
                _ => return None,
            };
        }
        Some(folder)
    }

    /// A directory, to be changed. What is done to make it so is recorded.
    pub(super) fn folder(
        &mut self,
        path: &VaultPath,
        source: &Source,
        records: &mut Vec<Record>,
        stamp: u64,
    ) -> Result<&mut Self, Trouble> {
        let mut at = VaultPath::top();
        let mut folder = self;
        for name in path.names() {
            at = at.join(name);
            if !folder.changes.contains_key(name) {
                let base = folder.base.ok_or(Trouble::NotFound)?;
                let entry = source.entry(&base, name)?.ok_or(Trouble::NotFound)?;
                let node = Some(Node::Entry(entry));
                folder
                    .changes
                    .insert(name.clone(), Change { stamp: 0, node });
            }
            let change = folder.changes.get_mut(name).ok_or(Trouble::NotFound)?;
            if let Some(Node::Entry(entry)) = &change.node {
                let inner = entry.directory().ok_or(Trouble::NotADirectory)?;
                let node = Node::Folder(Self::new(meta_of(entry), Some(inner)));
                records.push(Record::Bind(at.clone(), node.bound()));
                change.node = Some(node);
                // That something in it is changed does not change what has its name.
                change.stamp = change.stamp.min(stamp);
            }
            folder = match &mut change.node {
                Some(Node::Folder(inner)) => inner,
                Some(_) => return Err(Trouble::NotADirectory),
                None => return Err(Trouble::NotFound),
            };
        }
        Ok(folder)
    }

    /// Gives a name to something, or takes it away.
    pub(super) fn bind(
        &mut self,
        path: &VaultPath,
        node: Option<Node>,
        source: &Source,
        stamp: u64,
    ) -> Result<Vec<Record>, Trouble> {
        let (place, name) = path.split_last().ok_or(Trouble::Invalid)?;
        let deep = node.as_ref().map_or(0, Node::depth);
        if place.names().len().saturating_add(deep) > DEPTH {
            return Err(Trouble::TooLong);
        }
        let mut records = Vec::new();
        let folder = self.folder(&place, source, &mut records, stamp)?;
        let bound = node.as_ref().map_or(Bound::Gone, Node::bound);
        records.push(Record::Bind(path.clone(), bound));
        folder.changes.insert(name.clone(), Change { stamp, node });
        Ok(records)
    }

    /// Moves what has a path: what is changed in it goes with it.
    pub(super) fn rename(
        &mut self,
        from: &VaultPath,
        to: &VaultPath,
        source: &Source,
        stamp: u64,
    ) -> Result<Vec<Record>, Trouble> {
        let mut records = Vec::new();
        let (place, name) = from.split_last().ok_or(Trouble::Invalid)?;
        let (target, new) = to.split_last().ok_or(Trouble::Invalid)?;
        self.folder(&target, source, &mut records, stamp)?;
        let folder = self.folder(&place, source, &mut records, stamp)?;
        let node = match folder.changes.get(name) {
            Some(change) => change.node.clone(),
            None => {
                let base = folder.base.ok_or(Trouble::NotFound)?;
                let entry = source.entry(&base, name)?.ok_or(Trouble::NotFound)?;
                records.push(Record::Bind(from.clone(), Bound::Entry(entry.clone())));
                Some(Node::Entry(entry))
            }
        };
        let node = node.ok_or(Trouble::NotFound)?;
        if target.names().len().saturating_add(node.depth()) > DEPTH {
            return Err(Trouble::TooLong);
        }
        folder
            .changes
            .insert(name.clone(), Change { stamp, node: None });
        let folder = self.folder(&target, source, &mut records, stamp)?;
        let node = Some(node);
        folder.changes.insert(new.clone(), Change { stamp, node });
        records.push(Record::Move(from.clone(), to.clone()));
        Ok(records)
    }

    /// Gives a directory another mode or time.
    pub(super) fn set_meta(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        source: &Source,
        stamp: u64,
    ) -> Result<Vec<Record>, Trouble> {
        let mut records = Vec::new();
        self.folder(path, source, &mut records, stamp)?.meta = meta;
        if let Some((place, name)) = path.split_last() {
            let folder = self.folder(&place, source, &mut records, stamp)?;
            if let Some(change) = folder.changes.get_mut(name) {
                change.stamp = stamp;
            }
        }
        records.push(Record::Meta(path.clone(), meta));
        Ok(records)
    }

    /// All that is changed, so that it can be replayed.
    pub(super) fn records(&self, at: &VaultPath, records: &mut Vec<Record>) {
        for (name, change) in &self.changes {
            let path = at.join(name);
            let bound = change.node.as_ref().map_or(Bound::Gone, Node::bound);
            records.push(Record::Bind(path.clone(), bound));
            if let Some(Node::Folder(inner)) = &change.node {
                inner.records(&path, records);
            }
        }
    }

    /// Shows all files that were written to.
    pub(super) fn files(&self, each: &mut dyn FnMut(&Arc<Staged>)) {
        for change in self.changes.values() {
            match &change.node {
                Some(Node::File(staged)) => each(staged),
                Some(Node::Folder(inner)) => inner.files(each),
                _ => {}
            }
        }
    }

    /// Leaves out files for which `out` holds.
    pub(super) fn leave_out(&mut self, out: &dyn Fn(&Staged) -> bool) {
        self.changes.retain(|_, change| match &mut change.node {
            Some(Node::File(staged)) => !out(staged),
            Some(Node::Folder(inner)) => {
                inner.leave_out(out);
                true
            }
            _ => true,
        });
    }

    /// Forgets what a directory of a version has: all that was not changed after `stamp`, and those files for which
    /// `has` holds.
    pub(super) fn forget(
        &mut self,
        version: Option<&ObjectRef>,
        source: &Source,
        stamp: u64,
        has: &dyn Fn(&Staged) -> bool,
    ) -> Result<(), Trouble> {
        self.base = version.copied();
        let mut kept = BTreeMap::new();
        for (name, mut change) in std::mem::take(&mut self.changes) {
            if change.stamp > stamp {
                kept.insert(name, change);
                continue;
            }
            match &mut change.node {
                Some(Node::File(staged)) if !has(staged) => {
                    kept.insert(name, change);
                }
                Some(Node::Folder(inner)) => {
                    let entry = match version {
                        Some(version) => source.entry(version, &name)?,
                        None => None,
                    };
                    let now = entry.as_ref().and_then(Entry::directory);
                    inner.forget(now.as_ref(), source, stamp, has)?;
                    if !inner.changes.is_empty() {
                        kept.insert(name, change);
                    }
                }
                _ => {}
            }
        }
        self.changes = kept;
        Ok(())
    }
}
