//! The whole log: read, verified, pinned.

use super::body::EntryKind;
use super::chain::{Chain, Depth, EntrySummary, Pin};
use super::device::DeviceRecord;
use super::entry::Entry;
use super::error::LogError;
use super::recovery::{Method, RecoveryRecord, RecoveryRequest};
use super::signatures::{self, Claim};
use super::state::{Revocation, Suspension};
use super::{MAX_CLOCK_SKEW_SECONDS, MAX_ENTRIES, MAX_LOG_BYTES};
use crate::codec::{DecodeError, Reader, Writer};
use crate::secret::ct_eq;
use crate::sign::VerifyingKey;
use crate::{AccountId, DeviceId, Suite, Timestamp};

/// The only version of the form.
const VERSION: u8 = 1;

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
    pub(super) entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// A log whose every signature and link holds.
#[derive(Clone)]
pub struct VerifiedLog {
    pub(super) chain: Chain,
    bytes: Vec<u8>,
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
        if input.u8()? != VERSION {
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

    /// Verifies every link, rule and signature, that the log is of `expected` where it is given, and that it goes
    /// on from `pin` where it is given.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::RolledBack`] and [`LogError::Forked`] are for a hard stop.
    pub fn verify(
        self,
        expected: Option<&AccountId>,
        pin: Option<&Pin>,
    ) -> Result<VerifiedLog, LogError> {
        let (first, rest) = self.entries.split_first().ok_or(DecodeError::Short)?;
        let (mut chain, duty) = Chain::begin(first, Depth::Whole)?;
        // SECURITY: the id is the hash of the genesis, whoever sent it; `log_of_another_account_is_refused`.
        if expected.is_some_and(|expected| *expected != chain.account) {
            return Err(LogError::OtherAccount);
        }
        let mut claims = vec![Claim {
            sequence: 0,
            entry: first,
            duty,
        }];
        chain.append_all(rest, &mut claims)?;
        signatures::verify(&claims)?;
        if let Some(pin) = pin {
            chain.check_pin(pin)?;
        }
        Ok(VerifiedLog {
            chain,
            bytes: self.bytes,
        })
    }

    /// Takes a log that this client verified before it stored it, on the word of its pin: form, rules, hash chain,
    /// and that the newest entry is the pinned one. The chain of hashes covers every body, so signatures,
    /// which cost most, are not verified again.
    ///
    /// Never for bytes that came from elsewhere: who signed is not covered by the hashes.
    ///
    /// # Errors
    /// [`LogError`]: the stored bytes are not those that were verified.
    pub fn trusted(self, account: &AccountId, head: &Pin) -> Result<VerifiedLog, LogError> {
        let (first, rest) = self.entries.split_first().ok_or(DecodeError::Short)?;
        let (mut chain, _) = Chain::begin(first, Depth::Pinned)?;
        if chain.account != *account {
            return Err(LogError::OtherAccount);
        }
        for entry in rest {
            let _ = chain.append(entry, Depth::Pinned)?;
        }
        chain.check_pin(head)?;
        // SECURITY: what follows the pin was never verified; `trusted_takes_exactly_what_is_pinned` notices.
        if chain.head != *head {
            return Err(LogError::Unpinned {
                sequence: chain.head.sequence,
            });
        }
        Ok(VerifiedLog {
            chain,
            bytes: self.bytes,
        })
    }

    /// Verifies what is new in a log of which the head is known: the entries up to there must be the known ones,
    /// and only the signatures of later ones are verified. The known entries keep their signatures.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::RolledBack`] and [`LogError::Forked`] are for a hard stop.
    pub fn verify_after(self, known: &VerifiedLog) -> Result<VerifiedLog, LogError> {
        let summaries = &known.chain.summaries;
        for (entry, summary) in self.entries.iter().zip(summaries) {
            // SECURITY: one place, one entry; `verify_after_stops_forks_and_rollbacks` notices.
            if !ct_eq(&entry.hash(), &summary.hash) {
                return Err(match summary.sequence {
                    0 => LogError::OtherAccount,
                    sequence => LogError::Forked { sequence },
                });
            }
        }
        let new = self
            .entries
            .get(summaries.len()..)
            .ok_or_else(|| LogError::RolledBack {
                got: (self.entries.len() as u64).saturating_sub(1),
                pinned: known.chain.head.sequence,
            })?;
        known.extended(new)
    }
}

impl Chain {
    /// Takes entries in and adds to the claims what is left to verify.
    fn append_all<'a>(
        &mut self,
        entries: &'a [Entry],
        claims: &mut Vec<Claim<'a>>,
    ) -> Result<(), LogError> {
        for entry in entries {
            let duty = self.append(entry, Depth::Whole)?;
            claims.push(Claim {
                sequence: self.head.sequence,
                entry,
                duty,
            });
        }
        Ok(())
    }
}

impl VerifiedLog {
    /// The log with more entries, each verified.
    pub(super) fn extended(&self, new: &[Entry]) -> Result<Self, LogError> {
        let mut chain = self.chain.clone();
        let mut claims = Vec::new();
        chain.append_all(new, &mut claims)?;
        signatures::verify(&claims)?;
        // The known entries stay byte for byte: their signatures are not in the hashes, and others were not verified.
        let count = u32::try_from(chain.summaries.len()).unwrap_or(u32::MAX);
        let mut out = Writer::new();
        out.u8(VERSION);
        out.u32(count);
        out.array(self.bytes.get(5..).unwrap_or_default());
        for entry in new {
            entry.write(&mut out);
        }
        Ok(Self {
            chain,
            bytes: out.finish(),
        })
    }

    /// The log of one entry.
    pub(super) fn of_genesis(genesis: &Entry) -> Result<Self, LogError> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.u32(1);
        genesis.write(&mut out);
        UnverifiedLog::decode(&out.finish())?.verify(None, None)
    }

    /// Checks that the newest entry is not ahead of our clock by more than clocks differ. A device that states a
    /// later time than it is would be senior before its time.
    ///
    /// # Errors
    /// [`LogError::FromTheFuture`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), LogError> {
        let ahead_seconds = self.chain.state.at.since(now);
        if ahead_seconds > MAX_CLOCK_SKEW_SECONDS {
            return Err(LogError::FromTheFuture {
                sequence: self.chain.head.sequence,
                ahead_seconds,
            });
        }
        Ok(())
    }

    /// The account.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.chain.account
    }

    /// The suite in force.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.chain.state.suite
    }

    /// The root key.
    #[must_use]
    pub fn root_key(&self) -> &VerifyingKey {
        &self.chain.state.root
    }

    /// The newest entry that named the root key.
    #[must_use]
    pub fn root_entry(&self) -> u64 {
        let names_root = |entry: &&EntrySummary| {
            matches!(entry.kind, EntryKind::RotateRoot | EntryKind::UpgradeSuite)
        };
        let newest = self.entries().iter().rev().find(names_root);
        newest.map_or(0, |entry| entry.sequence)
    }

    /// The devices in force, in the order in which they came.
    #[must_use]
    pub fn devices(&self) -> &[DeviceRecord] {
        &self.chain.state.devices
    }

    /// One device in force.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<&DeviceRecord> {
        self.chain.state.device(id)
    }

    /// Every device that was ever in force with every key that its leaves in groups were signed with, in the order in
    /// which they came; a device that was rotated comes more than once.
    #[must_use]
    pub fn leaf_keys(&self) -> &[(DeviceId, Vec<u8>)] {
        &self.chain.state.leaf_keys
    }

    /// The devices that are suspended, in the order in which they were.
    #[must_use]
    pub fn suspended(&self) -> &[Suspension] {
        &self.chain.state.suspended
    }

    /// The devices that were in force once, in the order in which they went.
    #[must_use]
    pub fn revoked(&self) -> &[Revocation] {
        &self.chain.state.revoked
    }

    /// Whether a device in force may, at that time, add devices, revoke older ones and touch recovery, given that
    /// it is an admin.
    #[must_use]
    pub fn is_senior(&self, device: &DeviceId, at: Timestamp) -> bool {
        self.chain.state.is_senior(device, at)
    }

    /// A way to recover, where it is set.
    #[must_use]
    pub fn recovery(&self, method: Method) -> Option<&RecoveryRecord> {
        let way = self.chain.state.ways_back.get(&method)?;
        Some(&way.record)
    }

    /// Who asks to come back through guardians.
    #[must_use]
    pub fn open_request(&self) -> Option<&RecoveryRequest> {
        self.chain.state.request.as_ref()
    }

    /// How many requests for recovery end the log, of the entries behind a known one: nobody in force has signed
    /// anything after them, and anybody may have made them.
    #[must_use]
    pub fn requests_at_end(&self, known: u64) -> usize {
        let newest = self.entries().iter().rev();
        newest
            .take_while(|entry| entry.sequence > known && entry.kind == EntryKind::RequestRecovery)
            .count()
    }

    /// Whether the account has ended.
    #[must_use]
    pub fn is_tombstoned(&self) -> bool {
        self.chain.state.tombstoned
    }

    /// Hash of the device list in force.
    #[must_use]
    pub fn device_list_hash(&self) -> &[u8; 64] {
        &self.chain.device_list
    }

    /// What to pin.
    #[must_use]
    pub fn head(&self) -> Pin {
        self.chain.head
    }

    /// The entries, for people.
    #[must_use]
    pub fn entries(&self) -> &[EntrySummary] {
        &self.chain.summaries
    }

    /// The log as it is stored and sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
