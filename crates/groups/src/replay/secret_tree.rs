//! `tree-math.json` and `secret-tree.json`.

use super::ReplayError;
use super::facts::Facts;
use super::json::{bytes, field, list, small};
use super::labeled::{expand, tree_secret};
use crate::provider::SuiteProvider;
use mls_rs_core::crypto::CipherSuiteProvider as _;
use serde_json::Value;
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

/// RFC 9420, appendix C: nodes of an array, leaves at even places.
pub(super) mod math {
    pub(in super::super) fn level(node: u32) -> u32 {
        node.trailing_ones()
    }

    pub(in super::super) fn node_count(leaves: u32) -> u32 {
        leaves.saturating_mul(2).saturating_sub(1)
    }

    pub(in super::super) fn root(leaves: u32) -> u32 {
        leaves.next_power_of_two().saturating_sub(1)
    }

    pub(in super::super) fn left(node: u32) -> Option<u32> {
        let below = level(node).checked_sub(1)?;
        Some(node ^ (1 << below))
    }

    pub(in super::super) fn right(node: u32) -> Option<u32> {
        let below = level(node).checked_sub(1)?;
        Some(node ^ (3 << below))
    }

    pub(in super::super) fn parent(node: u32, leaves: u32) -> Option<u32> {
        if node == root(leaves) {
            return None;
        }
        let level = level(node);
        let bit = (node >> level.saturating_add(1)) & 1;
        Some((node | (1 << level)) ^ (bit << level.saturating_add(1)))
    }

    pub(in super::super) fn sibling(node: u32, leaves: u32) -> Option<u32> {
        let parent = parent(node, leaves)?;
        if node < parent {
            right(parent)
        } else {
            left(parent)
        }
    }
}

type Relation<'a> = dyn Fn(u32) -> Option<u32> + 'a;

pub(super) fn mathematics(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let leaves: u32 = small(case, "n_leaves")?;
    facts.equal(
        "n_nodes",
        &math::node_count(leaves),
        &small(case, "n_nodes")?,
    )?;
    facts.equal("root", &math::root(leaves), &small(case, "root")?)?;
    let relations: [(&str, &Relation<'_>); 4] = [
        ("left", &math::left),
        ("right", &math::right),
        ("parent", &|node| math::parent(node, leaves)),
        ("sibling", &|node| math::sibling(node, leaves)),
    ];
    for (name, relation) in relations {
        for (node, recorded) in (0_u32..).zip(list(case, name)?) {
            let recorded = recorded.as_u64();
            facts.equal(name, &relation(node).map(u64::from), &recorded)?;
        }
    }
    Ok(())
}

/// The secret of a leaf: down from the root (RFC 9420, section 9).
pub(super) fn leaf_secret(
    suite: &SuiteProvider,
    encryption_secret: &[u8],
    leaves: u32,
    leaf: u32,
) -> Result<Bytes, ReplayError> {
    let mut secret = Zeroizing::new(encryption_secret.to_vec());
    let (mut node, goal) = (math::root(leaves), leaf.saturating_mul(2));
    while node != goal {
        let (next, side) = if goal < node {
            (math::left(node), &b"left"[..])
        } else {
            (math::right(node), &b"right"[..])
        };
        node = next.ok_or_else(|| ReplayError::new("no such leaf"))?;
        secret = expand(suite, &secret, b"tree", side, suite.kdf_extract_size())?;
    }
    Ok(secret)
}

/// Key and nonce of a generation of a leaf's ratchet, `application` or `handshake` (RFC 9420, section 9.1).
pub(super) fn message_key(
    suite: &SuiteProvider,
    leaf_secret: &[u8],
    ratchet: &[u8],
    generation: u32,
) -> Result<(Bytes, Bytes), ReplayError> {
    let size = suite.kdf_extract_size();
    let mut secret = expand(suite, leaf_secret, ratchet, &[], size)?;
    for earlier in 0..generation {
        secret = tree_secret(suite, &secret, b"secret", earlier, size)?;
    }
    let key = tree_secret(suite, &secret, b"key", generation, suite.aead_key_size())?;
    let nonce = tree_secret(
        suite,
        &secret,
        b"nonce",
        generation,
        suite.aead_nonce_size(),
    )?;
    Ok((key, nonce))
}

/// Key and nonce of sender data (RFC 9420, section 6.3.2).
pub(super) fn sender_data_key(
    suite: &SuiteProvider,
    secret: &[u8],
    ciphertext: &[u8],
) -> Result<(Bytes, Bytes), ReplayError> {
    let sample = ciphertext
        .get(..suite.kdf_extract_size())
        .unwrap_or(ciphertext);
    let key = expand(suite, secret, b"key", sample, suite.aead_key_size())?;
    let nonce = expand(suite, secret, b"nonce", sample, suite.aead_nonce_size())?;
    Ok((key, nonce))
}

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let one = field(case, "sender_data")?;
    let secret = bytes(one, "sender_data_secret")?;
    let (key, nonce) = sender_data_key(&suite, &secret, &bytes(one, "ciphertext")?)?;
    facts.same("key", &key, &bytes(one, "key")?)?;
    facts.same("nonce", &nonce, &bytes(one, "nonce")?)?;
    let encryption = bytes(case, "encryption_secret")?;
    let all = list(case, "leaves")?;
    let leaves = u32::try_from(all.len()).unwrap_or(u32::MAX);
    for (leaf, generations) in (0_u32..).zip(all) {
        let secret = leaf_secret(&suite, &encryption, leaves, leaf)?;
        for recorded in generations.as_array().into_iter().flatten() {
            let generation = small(recorded, "generation")?;
            for ratchet in ["application", "handshake"] {
                let (key, nonce) = message_key(&suite, &secret, ratchet.as_bytes(), generation)?;
                let (key_name, nonce_name) = (format!("{ratchet}_key"), format!("{ratchet}_nonce"));
                facts.same(&key_name, &key, &bytes(recorded, &key_name)?)?;
                facts.same(&nonce_name, &nonce, &bytes(recorded, &nonce_name)?)?;
            }
        }
    }
    Ok(())
}
