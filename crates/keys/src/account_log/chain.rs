//! Entries, one after the other: links, rules and device lists, without what is costly to verify.

use super::body::{Body, EntryKind, Payload, Reason};
use super::entry::{self, Entry, Signer};
use super::error::LogError;
use super::recovery::Method;
use super::signatures::Duty;
use super::state::State;
use super::{MAX_LOG_BYTES, RESERVED_LOG_BYTES};
use crate::secret::ct_eq;
use crate::{AccountId, DeviceId, Timestamp};

/// What a client remembers of a log: it never goes back, and one sequence number has one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Sequence number of the newest entry.
    pub sequence: u64,
    /// Hash of that entry.
    pub hash: [u8; 64],
}

/// What one entry of a verified log says, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntrySummary {
    /// From 0.
    pub sequence: u64,
    /// What it does.
    pub kind: EntryKind,
    /// Its hash.
    pub hash: [u8; 64],
    /// The signer's clock, to the hour.
    pub at: Timestamp,
    /// Who signed, in order.
    pub signers: Vec<Signer>,
    /// The device it is about.
    pub subject: Option<DeviceId>,
    /// Why a device was revoked.
    pub reason: Option<Reason>,
    /// Which recovery method was set or cleared.
    pub method: Option<Method>,
    /// The devices after it.
    pub devices: Vec<DeviceId>,
    /// Hash of that list.
    pub device_list: [u8; 64],
}

/// How much of the bodies is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// All.
    Whole,
    /// What a reader's own pin does not prove: hashes over lists were checked before.
    Pinned,
}

/// A run of entries from genesis on, whose duties somebody else verifies.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) account: AccountId,
    pub(super) state: State,
    pub(super) summaries: Vec<EntrySummary>,
    pub(super) head: Pin,
    pub(super) device_list: [u8; 64],
    /// Bytes of the log so far.
    length: usize,
}

impl Chain {
    pub(super) fn begin(entry: &Entry, depth: Depth) -> Result<(Self, Duty), LogError> {
        let sequence = 0;
        let body = Body::decode(&entry.body_bytes)?;
        let Payload::Genesis(genesis) = &body.payload else {
            return Err(LogError::BrokenChain { sequence });
        };
        let zero = body.account == AccountId::from_bytes([0; 32]) && body.previous == [0; 64];
        if body.sequence != 0 || !zero {
            return Err(LogError::BrokenChain { sequence });
        }
        // SECURITY: root and device both sign; `genesis_without_a_signature_is_refused` notices.
        let signers = [Signer::Root, Signer::Device(genesis.device.id)];
        if entry.signers() != signers || !genesis.device.admin {
            return Err(LogError::BadSignature { sequence });
        }
        let state = State::begin(genesis);
        check_body(&body, &state, depth)?;
        let hash = entry.hash();
        let chain = Self {
            account: entry::account_id(body.suite, &entry.body_bytes),
            summaries: vec![summary(&body, entry, hash, &state)],
            state,
            head: Pin { sequence, hash },
            device_list: body.device_list,
            length: entry.encode().len().saturating_add(5),
        };
        let duty = Duty {
            keys: vec![genesis.root.clone(), genesis.device.verifying.clone()],
            record: Some(genesis.device.clone()),
        };
        Ok((chain, duty))
    }

    /// Takes an entry in, and says what is left to verify. After an error the chain is worth nothing.
    pub(super) fn append(&mut self, entry: &Entry, depth: Depth) -> Result<Duty, LogError> {
        let body = Body::decode(&entry.body_bytes)?;
        let sequence = body.sequence;
        // SECURITY: an entry holds in its place alone; `an_entry_has_one_place` notices.
        let follows = self.head.sequence.checked_add(1) == Some(sequence)
            && body.account == self.account
            && ct_eq(&body.previous, &self.head.hash);
        if !follows {
            return Err(LogError::BrokenChain { sequence });
        }
        self.length = self.length.saturating_add(entry.encode().len());
        // SECURITY: a full log would keep a stolen device in force; `room_is_kept_for_revocations` notices.
        let urgent = matches!(
            body.payload,
            Payload::RevokeDevice(..)
                | Payload::SuspendDevice(_)
                | Payload::CancelRecovery
                | Payload::Tombstone
        );
        let reserved = if urgent { 0 } else { RESERVED_LOG_BYTES };
        if self.length > MAX_LOG_BYTES.saturating_sub(reserved) {
            return Err(LogError::Full { sequence });
        }
        let signers = entry.signers();
        let keys = self.state.apply(&body, &signers)?;
        check_body(&body, &self.state, depth)?;
        let hash = entry.hash();
        self.summaries
            .push(summary(&body, entry, hash, &self.state));
        self.head = Pin { sequence, hash };
        self.device_list = body.device_list;
        let record = body.payload.record().cloned();
        Ok(Duty { keys, record })
    }

    pub(super) fn check_pin(&self, pin: &Pin) -> Result<(), LogError> {
        // SECURITY: a shorter log hides a revocation, another entry is another history;
        // `pins_stop_rollback_and_fork` notices.
        if self.head.sequence < pin.sequence {
            return Err(LogError::RolledBack {
                got: self.head.sequence,
                pinned: pin.sequence,
            });
        }
        match self.summary(pin.sequence) {
            Some(summary) if ct_eq(&summary.hash, &pin.hash) => Ok(()),
            _ => Err(LogError::Forked {
                sequence: pin.sequence,
            }),
        }
    }

    pub(super) fn summary(&self, sequence: u64) -> Option<&EntrySummary> {
        usize::try_from(sequence)
            .ok()
            .and_then(|place| self.summaries.get(place))
    }
}

fn check_body(body: &Body, state: &State, depth: Depth) -> Result<(), LogError> {
    if depth == Depth::Pinned {
        return Ok(());
    }
    // SECURITY: letters carry this hash; `another_device_list_is_refused` notices.
    if ct_eq(
        &entry::device_list_hash(state.suite, &state.devices),
        &body.device_list,
    ) {
        Ok(())
    } else {
        Err(LogError::DeviceList {
            sequence: body.sequence,
        })
    }
}

fn summary(body: &Body, entry: &Entry, hash: [u8; 64], state: &State) -> EntrySummary {
    let (reason, method) = match &body.payload {
        Payload::RevokeDevice(_, reason) => (Some(*reason), None),
        Payload::SetRecovery(method, _) => (None, Some(*method)),
        _ => (None, None),
    };
    EntrySummary {
        sequence: body.sequence,
        kind: body.payload.kind(),
        hash,
        at: body.at,
        signers: entry.signers(),
        subject: body.payload.subject(),
        reason,
        method,
        devices: state.devices.iter().map(|device| device.id).collect(),
        device_list: body.device_list,
    }
}
