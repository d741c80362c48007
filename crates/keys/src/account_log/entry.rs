//! One entry of the log: its exact bytes, and who signed them.

use super::device::DeviceRecord;
use super::recovery::Method;
use crate::codec::{DecodeError, Reader, Writer};
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
    pub(super) suite: Suite,
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
            // Where an account or a device leaves a suite, one signature is of that suite. Each key takes its own.
            let signature = HybridSignature::from_bytes_of_any_suite(input.bytes(MAX_SIGNATURE)?)
                .map_err(|_| DecodeError::Invalid)?;
            signatures.push((signer, signature));
        }
        Ok(Self {
            suite,
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
        let label = label::LOG_ENTRY_HASH.as_bytes();
        self.suite.hash(&[label, &[0], &self.body_bytes])
    }
}

/// The id of the account that a genesis body begins: the head of its hash.
pub(super) fn account_id(suite: Suite, genesis_body: &[u8]) -> AccountId {
    let hash = suite.hash(&[label::ACCOUNT_ID.as_bytes(), &[0], genesis_body]);
    let mut id = [0; 32];
    for (to, from) in id.iter_mut().zip(&hash) {
        *to = *from;
    }
    AccountId::from_bytes(id)
}

/// Hash of a device list, devices in the order of their ids. In `hybrid` all records are of one suite; in suites above
/// it the number of its suite goes before each.
pub(super) fn device_list_hash(suite: Suite, devices: &[DeviceRecord]) -> [u8; 64] {
    let mut sorted: Vec<&DeviceRecord> = devices.iter().collect();
    sorted.sort_by_key(|device| device.id);
    let mut out = Writer::new();
    for device in sorted {
        if suite != Suite::Hybrid {
            out.u16(device.suite().number());
        }
        device.write(&mut out);
    }
    suite.hash(&[label::DEVICE_LIST.as_bytes(), &[0], &out.finish()])
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use crate::account_log::DeviceSecrets;
    use crate::hpke::EnvelopePublic;
    use crate::sign::VerifyingKey;
    use crate::{Timestamp, X25519Public};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use std::collections::BTreeSet;

    fn devices(suite: Suite, count: u64) -> Vec<DeviceRecord> {
        let record = |seed| {
            let mut rng = ChaCha20Rng::seed_from_u64(1000 * u64::from(suite.number()) + seed);
            let secrets = DeviceSecrets::generate(suite, &mut rng).unwrap();
            secrets.record(true, Timestamp::from_secs(7200))
        };
        (0..count).map(record).collect()
    }

    /// One record for each field, changed there by as little as can be.
    fn altered(record: &DeviceRecord) -> Vec<DeviceRecord> {
        let suite = record.suite();
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
            VerifyingKey::from_bytes(suite, &bytes).unwrap()
        };
        let envelope = |place| {
            let bytes = flipped(record.envelope.as_bytes(), place);
            EnvelopePublic::from_bytes(suite, &bytes).unwrap()
        };
        let mut records = vec![
            with(&|record| {
                record.id = DeviceId::from_slice(&flipped(record.id.as_bytes(), 15)).unwrap();
            }),
            with(&|record| record.admin = false),
            with(&|record| record.added = Timestamp::from_secs(3600)),
            with(&|record| record.verifying = verifying(0)),
            with(&|record| record.verifying = verifying(suite.verifying_key_len() - 1)),
            with(&|record| record.envelope = envelope(0)),
            with(&|record| record.envelope = envelope(suite.envelope_key_len() - 1)),
        ];
        if let Some(identity) = record.identity {
            let identity = flipped(identity.as_bytes(), 31).try_into().unwrap();
            records.push(with(&|record| {
                record.identity = Some(X25519Public(identity));
            }));
        }
        records
    }

    #[test]
    fn device_list_hash_changes_with_every_field_of_every_device() {
        for suite in Suite::ALL {
            let list = devices(suite, 2);
            let mut hashes = BTreeSet::from([device_list_hash(suite, &list)]);
            let mut lists = 1;
            for place in 0..list.len() {
                for record in altered(&list[place]) {
                    let mut list = list.clone();
                    list[place] = record;
                    lists += 1;
                    assert!(hashes.insert(device_list_hash(suite, &list)));
                }
            }
            assert_eq!(hashes.len(), lists);
        }
    }

    #[test]
    fn device_list_hash_changes_when_a_device_comes_or_goes() {
        // However long, a list is never cut before it is hashed.
        for suite in Suite::ALL {
            let list = devices(suite, 40);
            let hashes: BTreeSet<_> = (0..=list.len())
                .map(|count| device_list_hash(suite, &list[..count]))
                .collect();
            assert_eq!(hashes.len(), list.len() + 1);
            assert_ne!(
                device_list_hash(suite, &list[1..3]),
                device_list_hash(suite, &list[..2])
            );
        }
    }

    #[test]
    fn device_list_hash_knows_no_order() {
        let mut list = devices(Suite::Hybrid, 2);
        list.extend(devices(Suite::Cnsa2, 1));
        for suite in Suite::ALL {
            let expected = device_list_hash(suite, &list);
            for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let list = order.map(|place: usize| list[place].clone());
                assert_eq!(device_list_hash(suite, &list), expected, "{order:?}");
            }
        }
    }

    /// docs/spec/account-log.md, section 2.
    #[test]
    fn device_list_hash_of_cnsa2_names_the_suite_of_each_record() {
        let mut list = devices(Suite::Hybrid, 1);
        list.extend(devices(Suite::Cnsa2, 1));
        list.sort_by_key(|record| record.id);
        let mut records = Writer::new();
        for record in &list {
            records.u16(if record.identity.is_some() { 1 } else { 2 });
            record.write(&mut records);
        }
        let text = [&b"letterlock/v1/device-list\0"[..], &records.finish()].concat();
        let hash = device_list_hash(Suite::Cnsa2, &list);
        assert_eq!(hash[..48], crate::sha384(&[&text]));
        assert_eq!(hash[48..], [0; 16]);
    }

    #[test]
    fn device_records_survive_encoding() {
        for (suite, length) in [
            (Suite::Hybrid, 16 + 1 + 8 + 32 + 1984 + 1216),
            (Suite::Cnsa2, 16 + 1 + 8 + 2592 + 1568),
        ] {
            for record in devices(suite, 1) {
                let mut out = Writer::new();
                record.write(&mut out);
                let bytes = out.finish();
                assert_eq!(bytes.len(), length);
                let mut input = Reader::new(&bytes);
                assert_eq!(DeviceRecord::read(&mut input, suite).unwrap(), record);
                input.finish().unwrap();
            }
        }
    }
}
