//! The whole log: made, read, verified, pinned.

use super::device::{DeviceRecord, DeviceSecrets, RootSecret};
use super::entry::{self, Body, Entry, EntryKind, Genesis, Payload, Signer};
use super::{MAX_ENTRIES, MAX_LOG_BYTES, SENIORITY_SECONDS};
use crate::codec::{DecodeError, Reader, Writer};
use crate::secret::ct_eq;
use crate::sign::{Malformed, VerifyingKey};
use crate::{AccountId, DeviceId, Suite, Timestamp, label};

/// What a client remembers of a log: it never goes back, and one sequence number has one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Sequence number of the newest entry.
    pub sequence: u64,
    /// Hash of that entry.
    pub hash: [u8; 64],
}

/// Why a log was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not of the form of a log.
    #[error("malformed account log: {0}")]
    Malformed(#[from] DecodeError),
    /// The log is of another account than the one asked for.
    #[error("the log belongs to another account")]
    OtherAccount,
    /// An entry's account, sequence or previous hash does not continue the chain.
    #[error("entry {sequence} does not continue the chain")]
    BrokenChain {
        /// Which entry.
        sequence: u64,
    },
    /// A signature is missing or does not hold.
    #[error("entry {sequence} is not signed by who may")]
    BadSignature {
        /// Which entry.
        sequence: u64,
    },
    /// The entry's hash of the device list is not that of its devices.
    #[error("entry {sequence} states another device list")]
    DeviceList {
        /// Which entry.
        sequence: u64,
    },
    /// The log is shorter than what is pinned.
    #[error("the log ends at {got}, {pinned} was seen before")]
    RolledBack {
        /// Where it ends.
        got: u64,
        /// What is pinned.
        pinned: u64,
    },
    /// The log has another entry where one is pinned.
    #[error("the log has another entry {sequence} than the one seen before")]
    Forked {
        /// Where.
        sequence: u64,
    },
}

/// A log that nobody verified. It has no fields to read (I6).
///
/// ```compile_fail
/// let log = letterlock_keys::account_log::UnverifiedLog::decode(&[]).unwrap();
/// let devices = log.devices();
/// ```
///
/// The control compiles:
///
/// ```
/// let log = letterlock_keys::account_log::UnverifiedLog::decode(&[]);
/// assert!(log.is_err());
/// ```
pub struct UnverifiedLog {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// What one entry of a verified log says, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySummary {
    /// From 0.
    pub sequence: u64,
    /// What it does.
    pub kind: EntryKind,
    /// Its hash.
    pub hash: [u8; 64],
    /// The devices after it.
    pub devices: Vec<DeviceId>,
}

/// A log whose every signature and link holds.
pub struct VerifiedLog {
    account: AccountId,
    suite: Suite,
    root: VerifyingKey,
    devices: Vec<DeviceRecord>,
    device_list: [u8; 64],
    summaries: Vec<EntrySummary>,
    head: Pin,
    bytes: Vec<u8>,
}

/// Makes the log of a new account: one entry, signed by the root key and the device.
///
/// # Errors
/// [`Malformed`]: the library failed to sign.
pub fn genesis(
    root: &RootSecret,
    device: &DeviceSecrets,
    now: Timestamp,
) -> Result<VerifiedLog, Malformed> {
    let record = device.record(true, now);
    let device_list = entry::device_list_hash(std::slice::from_ref(&record));
    let body = Body {
        suite: Suite::Hybrid,
        account: AccountId::from_bytes([0; 32]),
        sequence: 0,
        previous: [0; 64],
        payload: Payload::Genesis(Box::new(Genesis {
            root: root.key().verifying_key().clone(),
            device: record,
            seniority_seconds: SENIORITY_SECONDS,
        })),
        device_list,
    };
    let body_bytes = body.encode();
    let signatures = vec![
        (
            Signer::Root,
            root.key().sign(label::LOG_ENTRY, &body_bytes)?,
        ),
        (
            Signer::Device(*device.device_id()),
            device.signing().sign(label::LOG_ENTRY, &body_bytes)?,
        ),
    ];
    let mut out = Writer::new();
    out.u8(1);
    out.u32(1);
    Entry {
        body_bytes,
        signatures,
    }
    .write(&mut out);
    UnverifiedLog::decode(&out.finish())
        .and_then(|log| log.verify(None, None))
        .map_err(|_| Malformed)
}

impl UnverifiedLog {
    /// Reads the form of a log: `01 ‖ BE4(entries) ‖ entries`. Nothing is believed yet.
    ///
    /// # Errors
    /// [`LogError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > MAX_LOG_BYTES {
            return Err(DecodeError::TooLong {
                got: bytes.len(),
                max: MAX_LOG_BYTES,
            }
            .into());
        }
        let mut input = Reader::new(bytes);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid.into());
        }
        let count = input.u32()?;
        if count == 0 || count > MAX_ENTRIES {
            return Err(DecodeError::Invalid.into());
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(Entry::read(&mut input)?);
        }
        input.finish()?;
        Ok(Self {
            entries,
            bytes: bytes.to_vec(),
        })
    }

    /// Verifies every link and signature, that the log is of `expected` where it is given, and that it goes on
    /// from `pin` where it is given.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::RolledBack`] and [`LogError::Forked`] are for a hard stop.
    pub fn verify(
        self,
        expected: Option<&AccountId>,
        pin: Option<&Pin>,
    ) -> Result<VerifiedLog, LogError> {
        let mut entries = self.entries.iter();
        let first = entries.next().ok_or(DecodeError::Short)?;
        let mut log = VerifiedLog::begin(first)?;
        // SECURITY: the id is the hash of the genesis, whoever sent it; `log_of_another_account_is_refused`.
        if expected.is_some_and(|expected| *expected != log.account) {
            return Err(LogError::OtherAccount);
        }
        for entry in entries {
            log.append(entry)?;
        }
        if let Some(pin) = pin {
            log.check_pin(pin)?;
        }
        log.bytes = self.bytes;
        Ok(log)
    }
}

impl VerifiedLog {
    fn begin(entry: &Entry) -> Result<Self, LogError> {
        let body = Body::decode(&entry.body_bytes)?;
        let Payload::Genesis(genesis) = &body.payload;
        let zero = body.account == AccountId::from_bytes([0; 32]) && body.previous == [0; 64];
        if body.sequence != 0 || !zero {
            return Err(LogError::BrokenChain { sequence: 0 });
        }
        // SECURITY: root and device both sign; `genesis_without_a_signature_is_refused` notices.
        let by_root = (Signer::Root, &genesis.root);
        let by_device = (Signer::Device(genesis.device.id), &genesis.device.verifying);
        for (place, (signer, key)) in [by_root, by_device].into_iter().enumerate() {
            let (stated, signature) = entry
                .signatures
                .get(place)
                .ok_or(LogError::BadSignature { sequence: 0 })?;
            if *stated != signer
                || key
                    .verify(label::LOG_ENTRY, &entry.body_bytes, signature)
                    .is_err()
            {
                return Err(LogError::BadSignature { sequence: 0 });
            }
        }
        if entry.signatures.len() != 2 || !genesis.device.admin {
            return Err(LogError::BadSignature { sequence: 0 });
        }
        let devices = vec![genesis.device.clone()];
        if !ct_eq(&entry::device_list_hash(&devices), &body.device_list) {
            return Err(LogError::DeviceList { sequence: 0 });
        }
        let hash = entry.hash();
        let summary = EntrySummary {
            sequence: 0,
            kind: body.kind(),
            hash,
            devices: vec![genesis.device.id],
        };
        Ok(Self {
            account: entry::account_id(&entry.body_bytes),
            suite: body.suite,
            root: genesis.root.clone(),
            devices,
            device_list: body.device_list,
            summaries: vec![summary],
            head: Pin { sequence: 0, hash },
            bytes: Vec::new(),
        })
    }

    /// No kind but genesis exists yet, and a second genesis continues no chain.
    fn append(&mut self, entry: &Entry) -> Result<(), LogError> {
        let body = Body::decode(&entry.body_bytes)?;
        Err(LogError::BrokenChain {
            sequence: body.sequence,
        })
    }

    fn check_pin(&self, pin: &Pin) -> Result<(), LogError> {
        // SECURITY: a shorter log hides a revocation, another entry is another history;
        // `pins_stop_rollback_and_fork` notices.
        if self.head.sequence < pin.sequence {
            return Err(LogError::RolledBack {
                got: self.head.sequence,
                pinned: pin.sequence,
            });
        }
        let at_pin = self
            .summaries
            .iter()
            .find(|summary| summary.sequence == pin.sequence);
        match at_pin {
            Some(summary) if ct_eq(&summary.hash, &pin.hash) => Ok(()),
            _ => Err(LogError::Forked {
                sequence: pin.sequence,
            }),
        }
    }

    /// The account.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.account
    }

    /// The suite in force.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The root key.
    #[must_use]
    pub fn root_key(&self) -> &VerifyingKey {
        &self.root
    }

    /// The devices in force.
    #[must_use]
    pub fn devices(&self) -> &[DeviceRecord] {
        &self.devices
    }

    /// One device in force.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<&DeviceRecord> {
        self.devices.iter().find(|device| device.id == *id)
    }

    /// Hash of the device list in force.
    #[must_use]
    pub fn device_list_hash(&self) -> &[u8; 64] {
        &self.device_list
    }

    /// What to pin.
    #[must_use]
    pub fn head(&self) -> Pin {
        self.head
    }

    /// The entries, for people.
    #[must_use]
    pub fn entries(&self) -> &[EntrySummary] {
        &self.summaries
    }

    /// The log exactly as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
