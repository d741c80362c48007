//! Algorithms and keys of a home, as people see them. `--json` prints these field names; `docs/guide/json.md` lists
//! them.

use crate::insight::Names;
use engine::{KeyEntry, KeyKind, KeyState, Primitive};
use keys::{ArgonParams, Suite, Timestamp};
use serde::{Deserialize, Serialize};

/// Whose inventory it is, and when it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The own account, base32.
    pub account_id: String,
    /// This device, base32.
    pub device_id: String,
    /// The suite, for example `hybrid`.
    pub suite: String,
    /// When it was taken, in seconds since 1970.
    pub at: u64,
}

/// An algorithm that this version uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithm {
    /// Its name.
    pub name: String,
    /// What it is, in the words of CycloneDX 1.6; `protocol` for a protocol.
    pub primitive: String,
    /// Its parameter set.
    pub parameters: String,
    /// The text that defines it.
    pub standard: String,
    /// Bits of security against a classical computer; 0 where that says nothing.
    pub classical_bits: u16,
    /// NIST security category against a quantum computer, 0 for none.
    pub quantum_category: u8,
    /// Names of the algorithms that it is made of.
    pub parts: Vec<String>,
    /// Where it is used.
    pub uses: Vec<String>,
}

/// A key, or several of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What for, for example `device_signing`.
    pub key: String,
    /// How it stands by NIST SP 800-57: `pre-activation`, `active`, `suspended`, `deactivated`, `compromised`,
    /// `destroyed`.
    pub state: String,
    /// The algorithm that it is a key of.
    pub algorithm: String,
    /// Whose, for people.
    pub who: String,
    /// The other account that sessions are with, base32.
    pub account_id: Option<String>,
    /// Which device's, base32.
    pub device_id: Option<String>,
    /// Whether the private or secret half is in this home.
    pub here: bool,
    /// How many.
    pub count: u64,
    /// When it was made, in seconds since 1970; of several, the oldest; `None` where that is not known.
    pub created_at: Option<u64>,
    /// Seconds since then.
    pub age_seconds: Option<u64>,
    /// When its state became what it is, if that is not the beginning.
    pub changed_at: Option<u64>,
    /// When it is to be replaced; that happens by itself.
    pub due_at: Option<u64>,
    /// When it is worth nothing any more.
    pub expires_at: Option<u64>,
}

/// All algorithms of this version that an account of a suite uses.
pub(crate) fn algorithms(suite: Suite) -> Vec<Algorithm> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let all = engine::algorithms(suite).iter();
    all.map(|known| Algorithm {
        name: known.name.to_owned(),
        primitive: known.primitive.name().to_owned(),
        parameters: known.parameters.to_owned(),
        standard: known.standard.to_owned(),
        classical_bits: known.classical_bits,
        quantum_category: known.quantum_category,
        parts: owned(known.parts),
        uses: owned(known.uses),
    })
    .collect()
}

/// Shows a key.
pub(crate) fn key(entry: &KeyEntry, names: &Names, now: Timestamp) -> Key {
    let who = match (&entry.account, &entry.device) {
        (Some(account), _) => match names.contact(account) {
            Some(contact) => contact.to_owned(),
            None => "own devices".to_owned(),
        },
        (None, Some(device)) => names.device(device),
        (None, None) => "account".to_owned(),
    };
    Key {
        key: entry.kind.name().to_owned(),
        state: entry.state.name().to_owned(),
        algorithm: entry.kind.algorithm(entry.suite).to_owned(),
        who,
        account_id: entry.account.map(|id| id.to_string()),
        device_id: entry.device.map(|id| id.to_string()),
        here: entry.here,
        count: entry.count,
        created_at: entry.created.map(Timestamp::as_secs),
        age_seconds: entry.created.map(|made| now.since(made)),
        changed_at: entry.changed.map(Timestamp::as_secs),
        due_at: entry.due.map(Timestamp::as_secs),
        expires_at: entry.expires.map(Timestamp::as_secs),
    }
}

/// The key of this home's database, with what the passphrase is stretched by.
pub(crate) fn profile_key(cost: &ArgonParams, made: Option<Timestamp>, now: Timestamp) -> Key {
    Key {
        key: KeyKind::Profile.name().to_owned(),
        state: KeyState::Active.name().to_owned(),
        algorithm: KeyKind::Profile.algorithm(Suite::Hybrid).to_owned(),
        who: format!(
            "this home, under the passphrase (Argon2id: {} KiB, {} passes, {} lanes)",
            cost.memory_kib, cost.passes, cost.lanes
        ),
        account_id: None,
        device_id: None,
        here: true,
        count: 1,
        created_at: made.map(Timestamp::as_secs),
        age_seconds: made.map(|made| now.since(made)),
        changed_at: None,
        due_at: None,
        expires_at: None,
    }
}

/// The primitives of CycloneDX are all but protocols.
#[must_use]
pub fn is_protocol(algorithm: &Algorithm) -> bool {
    algorithm.primitive == Primitive::Protocol.name()
}
