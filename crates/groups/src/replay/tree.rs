//! The ratchet tree of RFC 9420, section 7, as far as vectors ask: hashes, resolutions, what proposals change.

use super::ReplayError;
use super::facts::must;
use super::labeled::signs;
use super::reader::{Reader, vector};
use super::secret_tree::math;
use crate::provider::SuiteProvider;
use mls_rs_core::crypto::CipherSuiteProvider as _;

const LEAF: u8 = 1;
const PARENT: u8 = 2;
const FROM_KEY_PACKAGE: u64 = 1;
const FROM_COMMIT: u64 = 3;

#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) encryption_key: Vec<u8>,
    pub(super) signature_key: Vec<u8>,
    /// Empty unless the leaf came with a commit.
    pub(super) parent_hash: Vec<u8>,
    from_key_package: bool,
    /// The encoding before the signature.
    signed: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Clone)]
pub(super) struct Parent {
    pub(super) encryption_key: Vec<u8>,
    pub(super) parent_hash: Vec<u8>,
    /// Indices of leaves.
    pub(super) unmerged: Vec<u32>,
}

#[derive(Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    Parent(Parent),
}

impl Leaf {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReplayError> {
        let start = *reader;
        let encryption_key = reader.vector()?.to_vec();
        let signature_key = reader.vector()?.to_vec();
        // A basic credential is an identity, X.509 a list: one vector both.
        reader.take(2)?;
        reader.vector()?;
        for _ in 0..5 {
            reader.vector()?;
        }
        let source = reader.number(1)?;
        let mut parent_hash = Vec::new();
        if source == FROM_KEY_PACKAGE {
            reader.take(16)?;
        } else if source == FROM_COMMIT {
            parent_hash = reader.vector()?.to_vec();
        }
        reader.vector()?;
        let signed = reader.since(start).to_vec();
        Ok(Self {
            encryption_key,
            signature_key,
            parent_hash,
            from_key_package: source == FROM_KEY_PACKAGE,
            signed,
            signature: reader.vector()?.to_vec(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        [&self.signed[..], &vector(&self.signature)].concat()
    }

    /// LeafNodeTBS of RFC 9420, section 7.2.
    pub(super) fn is_signed(&self, suite: &SuiteProvider, group_id: &[u8], index: u32) -> bool {
        let mut signed = self.signed.clone();
        if !self.from_key_package {
            signed.extend(vector(group_id));
            signed.extend(index.to_be_bytes());
        }
        let label = b"LeafNodeTBS";
        signs(suite, &self.signature_key, label, &signed, &self.signature)
    }
}

impl Parent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReplayError> {
        let encryption_key = reader.vector()?.to_vec();
        let parent_hash = reader.vector()?.to_vec();
        let mut leaves = Reader(reader.vector()?);
        let mut unmerged = Vec::new();
        while !leaves.0.is_empty() {
            unmerged.push(must("leaf", u32::try_from(leaves.number(4)?))?);
        }
        Ok(Self {
            encryption_key,
            parent_hash,
            unmerged,
        })
    }

    fn encode(&self, excluded: &[u32]) -> Vec<u8> {
        let unmerged: Vec<u8> = self
            .unmerged
            .iter()
            .filter(|leaf| !excluded.contains(leaf))
            .flat_map(|leaf| leaf.to_be_bytes())
            .collect();
        [
            vector(&self.encryption_key),
            vector(&self.parent_hash),
            vector(&unmerged),
        ]
        .concat()
    }
}

impl Node {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReplayError> {
        if reader.number(1)? == u64::from(LEAF) {
            Leaf::read(reader).map(Self::Leaf)
        } else {
            Parent::read(reader).map(Self::Parent)
        }
    }

    pub(super) fn encryption_key(&self) -> &[u8] {
        match self {
            Self::Leaf(leaf) => &leaf.encryption_key,
            Self::Parent(parent) => &parent.encryption_key,
        }
    }

    fn parent_hash(&self) -> &[u8] {
        match self {
            Self::Leaf(leaf) => &leaf.parent_hash,
            Self::Parent(parent) => &parent.parent_hash,
        }
    }
}

/// The nodes of an array as wide as a full tree.
#[derive(Clone)]
pub(super) struct Tree {
    nodes: Vec<Option<Node>>,
}

impl Tree {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader(bytes);
        let mut inside = Reader(reader.vector()?);
        let mut nodes = Vec::new();
        while !inside.0.is_empty() {
            nodes.push(match inside.number(1)? {
                0 => None,
                _ => Some(Node::read(&mut inside)?),
            });
        }
        let leaves = nodes.len().div_ceil(2).next_power_of_two();
        nodes.resize_with(leaves.saturating_mul(2).saturating_sub(1), || None);
        Ok(Self { nodes })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let blanks = self.nodes.iter().rev().take_while(|node| node.is_none());
        let used = self.nodes.len().saturating_sub(blanks.count());
        let mut out = Vec::new();
        for node in self.nodes.iter().take(used) {
            match node {
                None => out.push(0),
                Some(Node::Leaf(leaf)) => {
                    out.extend([1, LEAF]);
                    out.extend(leaf.encode());
                }
                Some(Node::Parent(parent)) => {
                    out.extend([1, PARENT]);
                    out.extend(parent.encode(&[]));
                }
            }
        }
        vector(&out)
    }

    pub(super) fn width(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn leaves(&self) -> u32 {
        self.width().div_ceil(2)
    }

    pub(super) fn root(&self) -> u32 {
        math::root(self.leaves())
    }

    pub(super) fn at(&self, node: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(node).ok()?)?.as_ref()
    }

    pub(super) fn leaf(&self, index: u32) -> Option<&Leaf> {
        match self.at(index.saturating_mul(2)) {
            Some(Node::Leaf(leaf)) => Some(leaf),
            _ => None,
        }
    }

    pub(super) fn parent(&self, node: u32) -> Option<&Parent> {
        match self.at(node) {
            Some(Node::Parent(parent)) => Some(parent),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, node: u32, to: Option<Node>) {
        let place = usize::try_from(node).ok();
        if let Some(place) = place.and_then(|place| self.nodes.get_mut(place)) {
            *place = to;
        }
    }

    /// From the parent of a leaf up to the root.
    pub(super) fn direct_path(&self, leaf: u32) -> Vec<u32> {
        let parent = |node: &u32| math::parent(*node, self.leaves());
        std::iter::successors(Some(leaf.saturating_mul(2)), parent)
            .skip(1)
            .collect()
    }

    /// RFC 9420, section 4.1.1.
    pub(super) fn resolution(&self, node: u32) -> Vec<u32> {
        match self.at(node) {
            Some(Node::Leaf(_)) => vec![node],
            Some(Node::Parent(parent)) => {
                let unmerged = parent.unmerged.iter().map(|leaf| leaf.saturating_mul(2));
                std::iter::once(node).chain(unmerged).collect()
            }
            None => match (math::left(node), math::right(node)) {
                (Some(left), Some(right)) => {
                    [self.resolution(left), self.resolution(right)].concat()
                }
                _ => Vec::new(),
            },
        }
    }

    /// RFC 9420, section 7.8, as if the `excluded` leaves had never been added.
    pub(super) fn hash(
        &self,
        suite: &SuiteProvider,
        node: u32,
        excluded: &[u32],
    ) -> Result<Vec<u8>, ReplayError> {
        let mut input = Vec::new();
        if let (Some(left), Some(right)) = (math::left(node), math::right(node)) {
            input.push(PARENT);
            match self.parent(node) {
                None => input.push(0),
                Some(parent) => {
                    input.push(1);
                    input.extend(parent.encode(excluded));
                }
            }
            for child in [left, right] {
                input.extend(vector(&self.hash(suite, child, excluded)?));
            }
        } else {
            let index = node / 2;
            input.push(LEAF);
            input.extend(index.to_be_bytes());
            match self.leaf(index).filter(|_| !excluded.contains(&index)) {
                None => input.push(0),
                Some(leaf) => {
                    input.push(1);
                    input.extend(leaf.encode());
                }
            }
        }
        must("hash", suite.hash(&input))
    }

    /// What a child of `parent` holds whose sibling is `sibling` (RFC 9420, section 7.9).
    pub(super) fn parent_hash(
        &self,
        suite: &SuiteProvider,
        parent: &Parent,
        sibling: u32,
    ) -> Result<Vec<u8>, ReplayError> {
        let original = self.hash(suite, sibling, &parent.unmerged)?;
        let input = [
            vector(&parent.encryption_key),
            vector(&parent.parent_hash),
            vector(&original),
        ]
        .concat();
        must("hash", suite.hash(&input))
    }

    /// Whether a parent came with a commit below it (RFC 9420, section 7.9.2).
    pub(super) fn is_parent_hash_valid(
        &self,
        suite: &SuiteProvider,
        node: u32,
    ) -> Result<bool, ReplayError> {
        let (Some(parent), Some(left), Some(right)) =
            (self.parent(node), math::left(node), math::right(node))
        else {
            return Ok(true);
        };
        for (child, sibling) in [(left, right), (right, left)] {
            let expected = self.parent_hash(suite, parent, sibling)?;
            let resolution = self.resolution(child);
            for found in &resolution {
                let others = resolution.iter().filter(|other| *other != found);
                let unmerged = |node: &u32| parent.unmerged.contains(&(node / 2));
                let same = self
                    .at(*found)
                    .is_some_and(|node| node.parent_hash() == expected);
                if same && others.clone().all(unmerged) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// RFC 9420, section 7.7.
    pub(super) fn add(&mut self, leaf: Leaf) {
        let free = (0..self.leaves()).find(|index| self.leaf(*index).is_none());
        let index = free.unwrap_or_else(|| {
            let wider = self.nodes.len().saturating_mul(2).saturating_add(1);
            let first = self.leaves();
            self.nodes.resize_with(wider, || None);
            first
        });
        for node in self.direct_path(index) {
            let place = usize::try_from(node).ok();
            let node = place.and_then(|place| self.nodes.get_mut(place));
            if let Some(Some(Node::Parent(parent))) = node {
                parent.unmerged.push(index);
                parent.unmerged.sort_unstable();
            }
        }
        self.set(index.saturating_mul(2), Some(Node::Leaf(leaf)));
    }

    /// Replaces or removes a leaf and blanks what is above it (RFC 9420, sections 7.6 and 12.1.3).
    pub(super) fn replace(&mut self, index: u32, leaf: Option<Leaf>) {
        self.set(index.saturating_mul(2), leaf.map(Node::Leaf));
        for node in self.direct_path(index) {
            self.set(node, None);
        }
        let half = |tree: &Self| tree.leaves() / 2;
        while half(self) > 0 && (half(self)..self.leaves()).all(|index| self.leaf(index).is_none())
        {
            self.nodes.truncate(self.nodes.len() / 2);
        }
    }
}
