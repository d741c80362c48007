//! What differs between two directories, without reading what is the same.

use super::budget::{Budget, of_path};
use super::error::VaultError;
use super::name::{DEPTH, Name, VaultPath};
use super::reader::{Cursor, Reader};
use super::tree::{Directory, Entry, Parts, What};
use keys::vault_root::ObjectRef;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What has a path before and after; nothing: there was none, or is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Option<Entry>,
    /// After.
    pub after: Option<Entry>,
}

impl Reader<'_> {
    /// Shows what differs between two directories and all that is in them, by name. A directory that came or went is
    /// shown with all that is in it.
    ///
    /// # Errors
    /// [`VaultError`], also those of `each`.
    pub fn diff(
        &self,
        before: Option<&ObjectRef>,
        after: Option<&ObjectRef>,
        each: &mut dyn FnMut(&VaultPath, &Change) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let budget = &mut self.budget();
        self.diff_in((before, after), &VaultPath::top(), budget, each)
    }

    /// The same for directories at a path, as a part of an operation.
    pub(crate) fn diff_in(
        &self,
        (before, after): (Option<&ObjectRef>, Option<&ObjectRef>),
        at: &VaultPath,
        budget: &mut Budget,
        each: &mut dyn FnMut(&VaultPath, &Change) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        if at.names().len() >= DEPTH {
            return Err(VaultError::TooDeep);
        }
        for (name, change) in self.changed(before, after, at, budget)? {
            let path = at.join(&name);
            let inner = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::directory);
            let (before, after) = (inner(&change.before), inner(&change.after));
            let told = match (&change.before, &change.after) {
                (Some(old), Some(new)) if before.is_some() && after.is_some() => {
                    !old.same_meta(new)
                }
                _ => true,
            };
            if told {
                each(&path, &change)?;
            }
            if before.is_some() || after.is_some() {
                let inner = (before.as_ref(), after.as_ref());
                self.diff_in(inner, &path, budget, each)?;
            }
        }
        Ok(())
    }

    /// The entries of one directory that are not the same in another one, both at a path.
    pub(crate) fn changed(
        &self,
        before: Option<&ObjectRef>,
        after: Option<&ObjectRef>,
        at: &VaultPath,
        budget: &mut Budget,
    ) -> Result<BTreeMap<Name, Change>, VaultError> {
        let mut changes: BTreeMap<Name, Change> = BTreeMap::new();
        if before.map(|object| object.id) == after.map(|object| object.id) {
            return Ok(changes);
        }
        let open = |object: Option<&ObjectRef>| match object {
            Some(object) => self.directory(object),
            None => Ok(Arc::default()),
        };
        let (before, after) = (open(before)?, open(after)?);
        budget.objects(before.0.len().saturating_add(after.0.len()))?;
        let place = of_path(at);
        for (name, entry) in self.entries_not_in(&before, &after, place, budget)? {
            let change = Change {
                before: Some(entry),
                after: None,
            };
            changes.insert(name, change);
        }
        for (name, entry) in self.entries_not_in(&after, &before, place, budget)? {
            match changes.get_mut(&name) {
                Some(change) => change.after = Some(entry),
                None => {
                    let change = Change {
                        before: None,
                        after: Some(entry),
                    };
                    changes.insert(name, change);
                }
            }
        }
        let mut same = Vec::new();
        for (name, change) in &changes {
            if self.same_in(change.before.as_ref(), change.after.as_ref(), budget)? {
                same.push(name.clone());
            }
        }
        for name in same {
            changes.remove(&name);
        }
        Ok(changes)
    }

    /// Whether nothing of two entries differs, wherever their contents lie. Directories that hold the same may count
    /// as different.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn same(&self, a: Option<&Entry>, b: Option<&Entry>) -> Result<bool, VaultError> {
        self.same_in(a, b, &mut self.budget())
    }

    /// The same as a part of an operation.
    pub(crate) fn same_in(
        &self,
        a: Option<&Entry>,
        b: Option<&Entry>,
        budget: &mut Budget,
    ) -> Result<bool, VaultError> {
        match (a, b) {
            (Some(a), Some(b)) => Ok(a.same_meta(b) && self.same_content(a, b, budget)?),
            (None, None) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Whether two entries have the same contents, as [`Reader::same`] says.
    pub(crate) fn same_content(
        &self,
        a: &Entry,
        b: &Entry,
        budget: &mut Budget,
    ) -> Result<bool, VaultError> {
        match (&a.what, &b.what) {
            (
                What::File { size: a, parts },
                What::File {
                    size: b,
                    parts: with,
                },
            ) => Ok(a == b && self.same_parts(*a, (parts, with), budget)?),
            (What::Directory(a), What::Directory(b)) => Ok(a.id == b.id),
            (What::Link(a), What::Link(b)) => Ok(a == b),
            _ => Ok(false),
        }
    }

    /// The same chunks have the same ids; but the id of a list tells where they lie too.
    fn same_parts(
        &self,
        size: u64,
        (a, b): (&Parts, &Parts),
        budget: &mut Budget,
    ) -> Result<bool, VaultError> {
        if let (Parts::Listed(a), Parts::Listed(b)) = (a, b)
            && a.id == b.id
        {
            return Ok(true);
        }
        let mut a = Cursor::new(self, size, a, 0)?;
        let mut b = Cursor::new(self, size, b, 0)?;
        loop {
            match (a.next_in(self, budget)?, b.next_in(self, budget)?) {
                (None, None) => return Ok(true),
                (Some((_, a)), Some((_, b))) if a.object.id == b.object.id => {}
                _ => return Ok(false),
            }
        }
    }

    /// The entries of segments that another directory has not.
    fn entries_not_in(
        &self,
        directory: &Directory,
        other: &Directory,
        place: u64,
        budget: &mut Budget,
    ) -> Result<Vec<(Name, Entry)>, VaultError> {
        let same: HashSet<[u8; 32]> = other.0.iter().map(|(_, object)| object.id).collect();
        let mut entries = Vec::new();
        for (number, (_, object)) in directory.0.iter().enumerate() {
            if !same.contains(&object.id) {
                let segment = self.segment(directory, number)?;
                for (name, entry) in &segment.0 {
                    budget.entry(place, name, entry)?;
                }
                entries.extend(segment.0.iter().cloned());
            }
        }
        Ok(entries)
    }
}

impl Entry {
    /// What a directory is written as. Nothing: it is none.
    #[must_use]
    pub fn directory(&self) -> Option<ObjectRef> {
        match self.what {
            What::Directory(object) => Some(object),
            _ => None,
        }
    }
}
