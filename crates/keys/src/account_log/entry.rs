//! One entry of the log: its exact bytes, and who signed them.

use super::device::DeviceRecord;
use super::recovery::Method;
use crate::codec::{DecodeError, Reader, Writer};
use crate::kdf::sha512;
use crate::sign::HybridSignature;
use crate::{AccountId, DeviceId, Suite, label};

/// Longest body in bytes.
const MAX_BODY: usize = 128 * 1024;
/// Longest signature in bytes.
const MAX_SIGNATURE: usize = 16 * 1024;
/// Most signatures of an entry.
const MAX_SIGNATURES: u8 = 4;

/// Who signed an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signer {
    /// The root key.
    Root,
    /// A device.
    Device(DeviceId),
    /// The key of a recovery method.
    Recovery(Method),
}

/// An entry as received: the exact bytes that were signed, and the signatures.
pub(super) struct Entry {
    pub(super) body_bytes: Vec<u8>,
    pub(super) signatures: Vec<(Signer, HybridSignature)>,
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
                Signer::Recovery(method) => {
                    out.u8(2);
                    out.u8(method.number());
                }
            }
            out.bytes(signature.as_bytes());
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body_bytes = input.bytes(MAX_BODY)?.to_vec();
        let suite = Reader::new(&body_bytes)
            .u16()
            .ok()
            .and_then(Suite::from_number);
        let suite = suite.ok_or(DecodeError::Invalid)?;
        let count = input.u8()?;
        if count == 0 || count > MAX_SIGNATURES {
            return Err(DecodeError::Invalid);
        }
        let mut signatures = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let signer = match input.u8()? {
                0 => Signer::Root,
                1 => Signer::Device(DeviceId::from_bytes(input.array()?)),
                2 => Signer::Recovery(Method::from_number(input.u8()?)?),
                _ => return Err(DecodeError::Invalid),
            };
            let signature = HybridSignature::from_bytes(suite, input.bytes(MAX_SIGNATURE)?)
                .map_err(|_| DecodeError::Invalid)?;
            signatures.push((signer, signature));
        }
        Ok(Self {
            body_bytes,
            signatures,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.finish()
    }

    pub(super) fn signers(&self) -> Vec<Signer> {
        self.signatures.iter().map(|(signer, _)| *signer).collect()
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
    use crate::sign::VerifyingKey;
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
