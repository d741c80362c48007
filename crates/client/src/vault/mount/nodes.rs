//! The numbers that a face knows files and directories by. A number stays with what it was given to, wherever that is
//! moved, and also when it has no name any more, as long as somebody has it open.

use super::staged::Staged;
use super::tree::Seen;
use seal::vault::{Entry, Name, VaultPath};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// The number of the top.
pub(super) const TOP: u64 = 1;

/// What has no name any more, or another one has its name, and somebody has it open.
#[derive(Clone)]
pub(super) enum Kept {
    Entry(Entry),
    File(Arc<Staged>),
}

impl Kept {
    pub(super) fn seen(&self) -> Seen {
        match self {
            Self::Entry(entry) => Seen::Entry(entry.clone()),
            Self::File(staged) => Seen::File(Arc::clone(staged)),
        }
    }
}

struct Node {
    /// Where it lies, and its name there. Nothing: it has none any more.
    place: Option<(u64, Name)>,
    /// How often a face was told of it, less how often it forgot it.
    told: u64,
    /// Those who have it open, and those of them who may write.
    open: u32,
    writers: u32,
    /// Nodes that lie in it.
    inner: u32,
    kept: Option<Kept>,
}

/// All numbers that are given out.
pub(super) struct Nodes {
    nodes: HashMap<u64, Node>,
    by_place: HashMap<(u64, Name), u64>,
}

fn add(count: &mut u32) {
    *count = count.saturating_add(1);
}

fn less(count: &mut u32) {
    *count = count.saturating_sub(1);
}

impl Nodes {
    pub(super) fn new() -> Self {
        let top = Node {
            place: None,
            told: 1,
            open: 0,
            writers: 0,
            inner: 0,
            kept: None,
        };
        Self {
            nodes: HashMap::from([(TOP, top)]),
            by_place: HashMap::new(),
        }
    }

    /// The number of what has a name, if a face knows it.
    pub(super) fn find(&self, parent: u64, name: &Name) -> Option<u64> {
        self.by_place.get(&(parent, name.clone())).copied()
    }

    /// The number that a name has, or would get. It depends on the name: who asks again later gets the same one.
    pub(super) fn number(&self, parent: u64, name: &Name) -> u64 {
        if let Some(number) = self.find(parent, name) {
            return number;
        }
        let mut hasher = DefaultHasher::new();
        (parent, name).hash(&mut hasher);
        // Some programs read numbers as signed ones.
        let mut number = hasher.finish() >> 1;
        while number <= TOP || self.nodes.contains_key(&number) {
            number = number.wrapping_add(1) >> 1;
        }
        number
    }

    /// Tells a face of what has a name; its number.
    pub(super) fn tell(&mut self, parent: u64, name: &Name) -> u64 {
        let number = self.number(parent, name);
        let node = self.nodes.entry(number).or_insert_with(|| Node {
            place: Some((parent, name.clone())),
            told: 0,
            open: 0,
            writers: 0,
            inner: 0,
            kept: None,
        });
        node.told = node.told.saturating_add(1);
        if self
            .by_place
            .insert((parent, name.clone()), number)
            .is_none()
            && let Some(parent) = self.nodes.get_mut(&parent)
        {
            add(&mut parent.inner);
        }
        number
    }

    /// A face forgot a number so many times.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.told = node.told.saturating_sub(times);
        }
        self.drop_unused(number);
    }

    fn drop_unused(&mut self, number: u64) {
        let mut next = Some(number);
        while let Some(number) = next.take() {
            let unused = |node: &Node| node.told == 0 && node.open == 0 && node.inner == 0;
            if number == TOP || !self.nodes.get(&number).is_some_and(unused) {
                return;
            }
            if let Some(Node {
                place: Some((parent, name)),
                ..
            }) = self.nodes.remove(&number)
            {
                self.by_place.remove(&(parent, name));
                if let Some(above) = self.nodes.get_mut(&parent) {
                    less(&mut above.inner);
                }
                next = Some(parent);
            }
        }
    }

    /// The path of a number. Nothing: it has none any more.
    pub(super) fn path(&self, number: u64) -> Option<VaultPath> {
        let mut names = Vec::new();
        let mut at = number;
        while at != TOP {
            let (parent, name) = self.nodes.get(&at)?.place.as_ref()?;
            names.push(name.clone());
            at = *parent;
        }
        let path = names.iter().rev();
        Some(path.fold(VaultPath::top(), |path, name| path.join(name)))
    }

    /// The number that has a path, if a face knows it.
    pub(super) fn at(&self, path: &VaultPath) -> Option<u64> {
        let mut at = TOP;
        for name in path.names() {
            at = self.find(at, name)?;
        }
        Some(at)
    }

    pub(super) fn kept(&self, number: u64) -> Option<&Kept> {
        self.nodes.get(&number)?.kept.as_ref()
    }

    pub(super) fn keep(&mut self, number: u64, kept: Kept) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.kept = Some(kept);
        }
    }

    pub(super) fn open(&mut self, number: u64, writes: bool) {
        if let Some(node) = self.nodes.get_mut(&number) {
            add(&mut node.open);
            if writes {
                add(&mut node.writers);
            }
        }
    }

    pub(super) fn close(&mut self, number: u64, writes: bool) {
        if let Some(node) = self.nodes.get_mut(&number) {
            less(&mut node.open);
            if writes {
                less(&mut node.writers);
            }
            if node.open == 0 {
                node.kept = None;
            }
        }
        self.drop_unused(number);
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.nodes.get(&number).is_some_and(|node| node.open > 0)
    }

    /// Those that are open, and that nobody may write to.
    pub(super) fn read(&self) -> Vec<u64> {
        let read = |node: &Node| node.open > 0 && node.writers == 0 && node.place.is_some();
        let nodes = self.nodes.iter().filter(|(_, node)| read(node));
        nodes.map(|(number, _)| *number).collect()
    }

    /// A number loses its name; `kept` is what it stands for as long as it is open.
    pub(super) fn unname(&mut self, number: u64, kept: Option<Kept>) {
        let Some(node) = self.nodes.get_mut(&number) else {
            return;
        };
        if node.open > 0 {
            node.kept = kept;
        }
        if let Some((parent, name)) = node.place.take() {
            self.by_place.remove(&(parent, name));
            if let Some(above) = self.nodes.get_mut(&parent) {
                less(&mut above.inner);
            }
            self.drop_unused(parent);
        }
        self.drop_unused(number);
    }

    /// A number gets another name. Nothing else may have it.
    pub(super) fn rename(&mut self, number: u64, parent: u64, name: &Name) {
        let Some(node) = self.nodes.get_mut(&number) else {
            return;
        };
        let before = node.place.replace((parent, name.clone()));
        if let Some((parent, name)) = before {
            self.by_place.remove(&(parent, name));
            if let Some(above) = self.nodes.get_mut(&parent) {
                less(&mut above.inner);
            }
        }
        self.by_place.insert((parent, name.clone()), number);
        if let Some(above) = self.nodes.get_mut(&parent) {
            add(&mut above.inner);
        }
    }
}
