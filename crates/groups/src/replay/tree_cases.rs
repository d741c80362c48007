//! `tree-validation.json`, `tree-operations.json` and `treekem.json`. The library decodes and encodes the trees; hashes
//! and changes are computed here over the provider.

use super::ReplayError;
use super::facts::{Facts, must};
use super::json::{bytes, hex, list, small, text};
use super::labeled::{decrypt, derive};
use super::reader::Reader;
use super::schedule::group_context;
use super::secret_tree::math;
use super::tree::{Leaf, Node, Parent, Tree};
use crate::provider::SuiteProvider;
use mls_rs::group::ExportedTree;
use mls_rs_core::crypto::{CipherSuiteProvider as _, HpkeCiphertext};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

fn tree(case: &Value, key: &str, facts: &mut Facts) -> Result<Tree, ReplayError> {
    let encoded = bytes(case, key)?;
    let exported = must(key, ExportedTree::from_bytes(&encoded))?;
    facts.same(key, &must(key, exported.to_bytes())?, &encoded)?;
    let tree = Tree::decode(&encoded)?;
    facts.same(key, &tree.encode(), &encoded)?;
    Ok(tree)
}

pub(super) fn validation(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let tree = tree(case, "tree", facts)?;
    for (node, recorded) in (0_u32..).zip(list(case, "tree_hashes")?) {
        let recorded = hex(recorded.as_str().unwrap_or_default())?;
        facts.same("tree_hashes", &tree.hash(&suite, node, &[])?, &recorded)?;
        let valid = tree.is_parent_hash_valid(&suite, node)?;
        facts.holds("parent hash", valid)?;
    }
    for (node, recorded) in (0_u32..).zip(list(case, "resolutions")?) {
        facts.equal("resolutions", &json!(tree.resolution(node)), recorded)?;
    }
    let group_id = bytes(case, "group_id")?;
    for index in 0..tree.leaves() {
        if let Some(leaf) = tree.leaf(index) {
            facts.holds("leaf signature", leaf.is_signed(&suite, &group_id, index))?;
        }
    }
    Ok(())
}

pub(super) fn operations(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let mut changed = tree(case, "tree_before", facts)?;
    let before = changed.hash(&suite, changed.root(), &[])?;
    facts.same(
        "tree_hash_before",
        &before,
        &bytes(case, "tree_hash_before")?,
    )?;
    let proposal = bytes(case, "proposal")?;
    let mut reader = Reader(&proposal);
    match reader.number(2)? {
        1 => {
            reader.take(4)?;
            reader.vector()?;
            changed.add(Leaf::read(&mut reader)?);
        }
        2 => changed.replace(
            small(case, "proposal_sender")?,
            Some(Leaf::read(&mut reader)?),
        ),
        3 => changed.replace(must("leaf", u32::try_from(reader.number(4)?))?, None),
        other => return Err(ReplayError::new(format!("a proposal of type {other}"))),
    }
    let after = tree(case, "tree_after", facts)?;
    facts.same("tree_after", &changed.encode(), &after.encode())?;
    let hash = changed.hash(&suite, changed.root(), &[])?;
    facts.same("tree_hash_after", &hash, &bytes(case, "tree_hash_after")?)
}

/// Secret keys that one member holds, by node.
struct Member {
    index: u32,
    secrets: BTreeMap<u32, Vec<u8>>,
}

struct UpdatePath {
    leaf: Leaf,
    nodes: Vec<(Vec<u8>, Vec<HpkeCiphertext>)>,
}

impl UpdatePath {
    fn decode(encoded: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader(encoded);
        let leaf = Leaf::read(&mut reader)?;
        let mut inside = Reader(reader.vector()?);
        let mut nodes = Vec::new();
        while !inside.0.is_empty() {
            let key = inside.vector()?.to_vec();
            let mut sealed = Reader(inside.vector()?);
            let mut ciphertexts = Vec::new();
            while !sealed.0.is_empty() {
                ciphertexts.push(HpkeCiphertext {
                    kem_output: sealed.vector()?.to_vec(),
                    ciphertext: sealed.vector()?.to_vec(),
                });
            }
            nodes.push((key, ciphertexts));
        }
        Ok(Self { leaf, nodes })
    }
}

/// RFC 9420, section 7.5.
pub(super) fn treekem(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let tree = tree(case, "ratchet_tree", facts)?;
    let mut members = Vec::new();
    for private in list(case, "leaves_private")? {
        members.push(member(&suite, &tree, private, facts)?);
    }
    for path in list(case, "update_paths")? {
        one_path(&suite, &tree, &members, (case, path), facts)?;
    }
    Ok(())
}

fn node_key(suite: &SuiteProvider, path_secret: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ReplayError> {
    let secret = derive(suite, path_secret, b"node")?;
    let (secret, public) = must("node key", suite.kem_derive(&secret))?;
    Ok((secret.to_vec(), public.to_vec()))
}

fn member(
    suite: &SuiteProvider,
    tree: &Tree,
    private: &Value,
    facts: &mut Facts,
) -> Result<Member, ReplayError> {
    let index: u32 = small(private, "index")?;
    let leaf = tree
        .leaf(index)
        .ok_or_else(|| ReplayError::new("no leaf"))?;
    let signer = suite.signature_key_derive_public(&bytes(private, "signature_priv")?.into());
    facts.same(
        "signature_priv",
        &must("signature_priv", signer)?,
        &leaf.signature_key,
    )?;
    let own = (index.saturating_mul(2), bytes(private, "encryption_priv")?);
    let mut secrets = BTreeMap::from([own]);
    for recorded in list(private, "path_secrets")? {
        let node = small(recorded, "node")?;
        let (secret, public) = node_key(suite, &bytes(recorded, "path_secret")?)?;
        let expected = tree.at(node).map(Node::encryption_key);
        facts.same("path_secret", &public, expected.unwrap_or_default())?;
        secrets.insert(node, secret);
    }
    Ok(Member { index, secrets })
}

fn one_path(
    suite: &SuiteProvider,
    tree: &Tree,
    members: &[Member],
    (case, recorded): (&Value, &Value),
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let sender: u32 = small(recorded, "sender")?;
    let path = UpdatePath::decode(&bytes(recorded, "update_path")?)?;
    let group_id = bytes(case, "group_id")?;
    facts.holds(
        "leaf signature",
        path.leaf.is_signed(suite, &group_id, sender),
    )?;

    // Nodes of the path whose other child has anybody below it, each with that child.
    let mut child = sender.saturating_mul(2);
    let mut filtered = Vec::new();
    for node in tree.direct_path(sender) {
        let copath = math::sibling(child, tree.leaves());
        let copath = copath.ok_or_else(|| ReplayError::new("no sibling"))?;
        if !tree.resolution(copath).is_empty() {
            filtered.push((node, copath));
        }
        child = node;
    }
    facts.equal("path", &path.nodes.len(), &filtered.len())?;
    let after = merged(suite, tree, sender, &path, &filtered, facts)?;
    let hash = after.hash(suite, after.root(), &[])?;
    facts.same(
        "tree_hash_after",
        &hash,
        &bytes(recorded, "tree_hash_after")?,
    )?;
    let of_context = json!({
        "tree_hash": text(recorded, "tree_hash_after")?,
        "confirmed_transcript_hash": text(case, "confirmed_transcript_hash")?,
    });
    let context = group_context(suite, &group_id, small(case, "epoch")?, &of_context)?;

    let path_secrets = list(recorded, "path_secrets")?;
    for member in members.iter().filter(|member| member.index != sender) {
        let place = filtered
            .iter()
            .zip(&path.nodes)
            .position(|((_, copath), _)| {
                let above = tree.direct_path(member.index);
                *copath == member.index.saturating_mul(2) || above.contains(copath)
            });
        let place = place.ok_or_else(|| ReplayError::new("not below the path"))?;
        let secret = opened(suite, tree, member, (&path, &filtered), place, &context)?;
        let number = usize::try_from(member.index).unwrap_or(usize::MAX);
        let expected = path_secrets.get(number).and_then(Value::as_str);
        facts.same("path_secrets", &secret, &hex(expected.unwrap_or_default())?)?;
        let mut secret = secret;
        for (key, _) in path.nodes.iter().skip(place) {
            let (_, public) = node_key(suite, &secret)?;
            facts.same("node key", &public, key)?;
            secret = derive(suite, &secret, b"path")?;
        }
        facts.same("commit_secret", &secret, &bytes(recorded, "commit_secret")?)?;
    }
    Ok(())
}

/// The path secret that a member opens at its place of the path.
fn opened(
    suite: &SuiteProvider,
    tree: &Tree,
    member: &Member,
    (path, filtered): (&UpdatePath, &[(u32, u32)]),
    place: usize,
    context: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ReplayError> {
    let (_, copath) = filtered.get(place).copied().unwrap_or_default();
    let resolution = tree.resolution(copath);
    let (number, node) = resolution
        .iter()
        .enumerate()
        .find(|(_, node)| member.secrets.contains_key(node))
        .ok_or_else(|| ReplayError::new("no key for the path"))?;
    let secret = member
        .secrets
        .get(node)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let public = tree.at(*node).map(Node::encryption_key).unwrap_or_default();
    let sealed = path
        .nodes
        .get(place)
        .and_then(|(_, sealed)| sealed.get(number))
        .ok_or_else(|| ReplayError::new("nothing sealed for the member"))?;
    decrypt(
        suite,
        (secret, public),
        (b"UpdatePathNode", context),
        sealed,
    )
}

/// The tree with the path in place (RFC 9420, sections 7.5 and 7.9).
fn merged(
    suite: &SuiteProvider,
    tree: &Tree,
    sender: u32,
    path: &UpdatePath,
    filtered: &[(u32, u32)],
    facts: &mut Facts,
) -> Result<Tree, ReplayError> {
    let mut after = tree.clone();
    for node in tree.direct_path(sender) {
        after.set(node, None);
    }
    let mut parent_hash = Vec::new();
    for ((node, copath), (key, _)) in filtered.iter().zip(&path.nodes).rev() {
        let parent = Parent {
            encryption_key: key.clone(),
            parent_hash,
            unmerged: Vec::new(),
        };
        parent_hash = after.parent_hash(suite, &parent, *copath)?;
        after.set(*node, Some(Node::Parent(parent)));
    }
    facts.same("parent hash", &path.leaf.parent_hash, &parent_hash)?;
    let leaf = Node::Leaf(path.leaf.clone());
    after.set(sender.saturating_mul(2), Some(leaf));
    Ok(after)
}
