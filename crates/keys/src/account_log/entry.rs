//! One entry of the log: what is signed, and by whom.

use super::device::DeviceRecord;
use crate::codec::{DecodeError, Reader, Writer};
use crate::kdf::sha512;
use crate::sign::{HybridSignature, VerifyingKey};
use crate::{AccountId, DeviceId, Suite, label};

/// What an entry does. The numbers are fixed; a reader refuses kinds it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum EntryKind {
    /// Begins the log: root key, first device, policy.
    Genesis = 1,
    // 2 add device, 3 revoke device, 4 rotate device, 5 rotate root, 6 set recovery, 7 suite upgrade and
    // 8 tombstone are reserved.
}

impl EntryKind {
    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
        }
    }
}

/// The payload of a genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Genesis {
    pub(super) root: VerifyingKey,
    pub(super) device: DeviceRecord,
    pub(super) seniority_seconds: u64,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    Genesis(Box<Genesis>),
}

/// The signed part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) suite: Suite,
    /// Zero in a genesis, whose hash makes the id.
    pub(super) account: AccountId,
    pub(super) sequence: u64,
    pub(super) previous: [u8; 64],
    pub(super) payload: Payload,
    pub(super) device_list: [u8; 64],
}

/// Who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signer {
    Root,
    Device(DeviceId),
}

/// An entry as received: the exact bytes that were signed, and the signatures.
pub(super) struct Entry {
    pub(super) body_bytes: Vec<u8>,
    pub(super) signatures: Vec<(Signer, HybridSignature)>,
}

impl Body {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        let kind = match &self.payload {
            Payload::Genesis(genesis) => {
                payload.array(genesis.root.as_bytes());
                genesis.device.write(&mut payload);
                payload.u64(genesis.seniority_seconds);
                EntryKind::Genesis
            }
        };
        let mut out = Writer::new();
        out.u16(self.suite.number());
        out.array(self.account.as_bytes());
        out.u64(self.sequence);
        out.array(&self.previous);
        out.u8(kind as u8);
        out.bytes(&payload.finish());
        out.array(&self.device_list);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let suite = Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?;
        let account = AccountId::from_bytes(input.array()?);
        let sequence = input.u64()?;
        let previous = input.array()?;
        let kind = input.u8()?;
        let mut payload_input = Reader::new(input.bytes(64 * 1024)?);
        let payload = match kind {
            1 => Payload::Genesis(Box::new(Genesis {
                root: VerifyingKey::from_bytes(
                    suite,
                    payload_input.take(suite.verifying_key_len())?,
                )
                .map_err(|_| DecodeError::Invalid)?,
                device: DeviceRecord::read(&mut payload_input, suite)?,
                seniority_seconds: payload_input.u64()?,
            })),
            _ => return Err(DecodeError::Invalid),
        };
        payload_input.finish()?;
        let device_list = input.array()?;
        input.finish()?;
        Ok(Self {
            suite,
            account,
            sequence,
            previous,
            payload,
            device_list,
        })
    }

    pub(super) fn kind(&self) -> EntryKind {
        match self.payload {
            Payload::Genesis(_) => EntryKind::Genesis,
        }
    }
}

impl Entry {
    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(&self.body_bytes);
        out.u8(u8::try_from(self.signatures.len()).unwrap_or(u8::MAX));
        for (signer, signature) in &self.signatures {
            match signer {
                Signer::Root => out.u8(0),
                Signer::Device(id) => {
                    out.u8(1);
                    out.array(id.as_bytes());
                }
            }
            out.bytes(signature.as_bytes());
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body_bytes = input.bytes(128 * 1024)?.to_vec();
        let suite = Reader::new(&body_bytes)
            .u16()
            .ok()
            .and_then(Suite::from_number);
        let suite = suite.ok_or(DecodeError::Invalid)?;
        let count = input.u8()?;
        if count == 0 || count > 4 {
            return Err(DecodeError::Invalid);
        }
        let mut signatures = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let signer = match input.u8()? {
                0 => Signer::Root,
                1 => Signer::Device(DeviceId::from_bytes(input.array()?)),
                _ => return Err(DecodeError::Invalid),
            };
            let signature = HybridSignature::from_bytes(suite, input.bytes(16 * 1024)?)
                .map_err(|_| DecodeError::Invalid)?;
            signatures.push((signer, signature));
        }
        Ok(Self {
            body_bytes,
            signatures,
        })
    }

    /// Hash of the entry: over the signed body alone, since signatures are hedged and may differ for one body.
    pub(super) fn hash(&self) -> [u8; 64] {
        sha512(&[label::LOG_ENTRY_HASH.as_bytes(), &[0], &self.body_bytes])
    }
}

/// The id of the account that a genesis body begins.
pub(super) fn account_id(genesis_body: &[u8]) -> AccountId {
    let hash = sha512(&[label::ACCOUNT_ID.as_bytes(), &[0], genesis_body]);
    let mut id = [0; 32];
    for (to, from) in id.iter_mut().zip(&hash) {
        *to = *from;
    }
    AccountId::from_bytes(id)
}

/// Hash of a device list, devices in the order of their ids.
pub(super) fn device_list_hash(devices: &[DeviceRecord]) -> [u8; 64] {
    let mut sorted: Vec<&DeviceRecord> = devices.iter().collect();
    sorted.sort_by_key(|device| device.id);
    let mut out = Writer::new();
    for device in sorted {
        device.write(&mut out);
    }
    sha512(&[label::DEVICE_LIST.as_bytes(), &[0], &out.finish()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use crate::account_log::DeviceSecrets;
    use crate::hpke::EnvelopePublic;
    use crate::{Timestamp, X25519Public};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use std::collections::BTreeSet;

    fn devices(count: u64) -> Vec<DeviceRecord> {
        let record = |seed| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let secrets = DeviceSecrets::generate(&mut rng).unwrap();
            secrets.record(true, Timestamp::from_secs(7200))
        };
        (0..count).map(record).collect()
    }

    /// One record for each field, changed there by as little as can be.
    fn altered(record: &DeviceRecord) -> Vec<DeviceRecord> {
        let flipped = |bytes: &[u8], place: usize| {
            let mut bytes = bytes.to_vec();
            bytes[place] ^= 1;
            bytes
        };
        let with = |change: &dyn Fn(&mut DeviceRecord)| {
            let mut record = record.clone();
            change(&mut record);
            record
        };
        let verifying = |place| {
            let bytes = flipped(record.verifying.as_bytes(), place);
            VerifyingKey::from_bytes(Suite::Hybrid, &bytes).unwrap()
        };
        let envelope = |place| {
            let bytes = flipped(record.envelope.as_bytes(), place);
            EnvelopePublic::from_bytes(&bytes).unwrap()
        };
        let identity = flipped(record.identity.as_bytes(), 31);
        vec![
            with(&|record| {
                record.id = DeviceId::from_slice(&flipped(record.id.as_bytes(), 15)).unwrap();
            }),
            with(&|record| record.admin = false),
            with(&|record| record.added = Timestamp::from_secs(3600)),
            with(&|record| record.identity = X25519Public(identity.clone().try_into().unwrap())),
            with(&|record| record.verifying = verifying(0)),
            with(&|record| record.verifying = verifying(1983)),
            with(&|record| record.envelope = envelope(0)),
            with(&|record| record.envelope = envelope(1215)),
        ]
    }

    #[test]
    fn device_list_hash_changes_with_every_field_of_every_device() {
        let list = devices(2);
        let mut hashes = BTreeSet::from([device_list_hash(&list)]);
        let mut lists = 1;
        for place in 0..list.len() {
            for record in altered(&list[place]) {
                let mut list = list.clone();
                list[place] = record;
                lists += 1;
                assert!(hashes.insert(device_list_hash(&list)));
            }
        }
        assert_eq!(hashes.len(), lists);
    }

    #[test]
    fn device_list_hash_changes_when_a_device_comes_or_goes() {
        // However long, a list is never cut before it is hashed.
        let list = devices(40);
        let hashes: BTreeSet<_> = (0..=list.len())
            .map(|count| device_list_hash(&list[..count]))
            .collect();
        assert_eq!(hashes.len(), list.len() + 1);
        assert_ne!(device_list_hash(&list[1..3]), device_list_hash(&list[..2]));
    }

    #[test]
    fn device_list_hash_knows_no_order() {
        let list = devices(3);
        let expected = device_list_hash(&list);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let list = order.map(|place: usize| list[place].clone());
            assert_eq!(device_list_hash(&list), expected, "{order:?}");
        }
    }

    #[test]
    fn device_records_survive_encoding() {
        for record in devices(1) {
            let mut out = Writer::new();
            record.write(&mut out);
            let bytes = out.finish();
            assert_eq!(bytes.len(), 16 + 1 + 8 + 32 + 1984 + 1216);
            let mut input = Reader::new(&bytes);
            assert_eq!(
                DeviceRecord::read(&mut input, Suite::Hybrid).unwrap(),
                record
            );
            input.finish().unwrap();
        }
    }
}
