//! What the entries of a log amount to.

use super::body::{Genesis, Reason};
use super::device::DeviceRecord;
use super::recovery::{Method, RecoveryRecord, RecoveryRequest};
use crate::sign::VerifyingKey;
use crate::{DeviceId, Suite, Timestamp, X25519Public};
use std::collections::{BTreeMap, BTreeSet};

/// A device that was in force and is no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The device, as it was last.
    pub record: DeviceRecord,
    /// Why.
    pub reason: Reason,
    /// When, by the clock of who revoked it.
    pub at: Timestamp,
    /// The entry.
    pub sequence: u64,
}

/// A device that is out of force until it is resumed or revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// The device.
    pub record: DeviceRecord,
    /// Since when, by the clock of who suspended it.
    pub at: Timestamp,
    /// The entry.
    pub sequence: u64,
    pub(super) standing: Standing,
}

/// How a device came to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The entry that added it: devices of smaller places are older.
    pub(super) place: u64,
    /// The entry that brought its present keys.
    pub(super) since: u64,
    /// The entry that brought its first keys of their suite.
    pub(super) suite_since: u64,
    /// Whether a recovery key added it.
    pub(super) by_recovery: bool,
}

/// A way back that is in force.
#[derive(Debug, Clone)]
pub(super) struct WayBack {
    pub(super) record: RecoveryRecord,
    /// Whether somebody came back by it.
    pub(super) used: bool,
}

/// The account after some entry.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) suite: Suite,
    pub(super) root: VerifyingKey,
    pub(super) seniority_seconds: u64,
    /// In the order in which they came.
    pub(super) devices: Vec<DeviceRecord>,
    pub(super) standings: BTreeMap<DeviceId, Standing>,
    pub(super) suspended: Vec<Suspension>,
    pub(super) revoked: Vec<Revocation>,
    pub(super) ways_back: BTreeMap<Method, WayBack>,
    pub(super) request: Option<RecoveryRequest>,
    pub(super) tombstoned: bool,
    /// Time of the newest entry.
    pub(super) at: Timestamp,
    ids: BTreeSet<DeviceId>,
    keys: BTreeSet<[u8; 32]>,
    /// Every key that a device's leaves in groups were ever signed with.
    pub(super) leaf_keys: Vec<(DeviceId, Vec<u8>)>,
}

impl State {
    /// The account after its genesis.
    pub(super) fn begin(genesis: &Genesis) -> Self {
        let record = &genesis.device;
        let standing = Standing {
            place: 0,
            since: 0,
            suite_since: 0,
            by_recovery: false,
        };
        let mut state = Self {
            suite: genesis.root.suite(),
            root: genesis.root.clone(),
            seniority_seconds: genesis.seniority_seconds,
            devices: vec![record.clone()],
            standings: BTreeMap::from([(record.id, standing)]),
            suspended: Vec::new(),
            revoked: Vec::new(),
            ways_back: BTreeMap::new(),
            request: None,
            tombstoned: false,
            at: record.added,
            ids: BTreeSet::from([record.id]),
            keys: BTreeSet::new(),
            leaf_keys: vec![(record.id, record.leaf_key().to_vec())],
        };
        state.keys.extend(heads(genesis.root.as_bytes()));
        state.keys.extend(record_heads(record));
        state
    }

    pub(super) fn device(&self, id: &DeviceId) -> Option<&DeviceRecord> {
        self.devices.iter().find(|device| device.id == *id)
    }

    /// The place of a device in force in the list, beside its record.
    pub(super) fn standing(&self, id: &DeviceId) -> Option<Standing> {
        self.standings.get(id).copied()
    }

    /// Whether a device in force may add devices and revoke older ones: its keys are of the account's suite, and it
    /// is the oldest in force, or was added long enough ago, or by a recovery key.
    pub(super) fn is_senior(&self, id: &DeviceId, at: Timestamp) -> bool {
        let (Some(record), Some(standing)) = (self.device(id), self.standing(id)) else {
            return false;
        };
        if record.suite() != self.suite {
            return false;
        }
        let oldest = self
            .standings
            .values()
            .all(|other| other.place >= standing.place);
        oldest || standing.by_recovery || at >= record.added.saturating_add(self.seniority_seconds)
    }

    /// Whether the device's id was ever in force.
    pub(super) fn knows_id(&self, id: &DeviceId) -> bool {
        self.ids.contains(id)
    }

    /// Whether any part of a device's keys was ever in force.
    pub(super) fn knows_keys_of(&self, record: &DeviceRecord) -> bool {
        record_heads(record).any(|head| self.keys.contains(&head))
    }

    /// Whether any part of these keys was ever in force.
    pub(super) fn knows_keys(&self, keys: &[&[u8]]) -> bool {
        keys.iter()
            .any(|key| heads(key).any(|head| self.keys.contains(&head)))
    }

    pub(super) fn remember(&mut self, record: &DeviceRecord) {
        self.ids.insert(record.id);
        self.keys.extend(record_heads(record));
        let leaf_key = (record.id, record.leaf_key().to_vec());
        if !self.leaf_keys.contains(&leaf_key) {
            self.leaf_keys.push(leaf_key);
        }
    }

    pub(super) fn remember_keys(&mut self, keys: &[&[u8]]) {
        self.keys.extend(keys.iter().flat_map(|key| heads(key)));
    }
}

fn record_heads(record: &DeviceRecord) -> impl Iterator<Item = [u8; 32]> {
    let identity = record.identity.as_ref().map(X25519Public::as_bytes);
    identity
        .into_iter()
        .flat_map(|key| heads(key))
        .chain(heads(record.verifying.as_bytes()))
        .chain(heads(record.envelope.as_bytes()))
}

/// What names the parts of a key: the first 32 bytes of each. Honest keys never share them; Ed25519 ‖ ML-DSA has
/// two parts. Of keys of one part the next 32 bytes are taken too, which honest keys share no more.
fn heads(key: &[u8]) -> impl Iterator<Item = [u8; 32]> {
    let first = key.first_chunk::<32>().copied();
    let second = key.get(32..).and_then(|rest| rest.first_chunk::<32>());
    first.into_iter().chain(second.copied())
}
