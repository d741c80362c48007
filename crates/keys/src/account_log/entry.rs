//! One entry of the log: what is signed, and by whom.

use super::MAX_DEVICES;
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
    let mut sorted: Vec<&DeviceRecord> = devices.iter().take(MAX_DEVICES).collect();
    sorted.sort_by_key(|device| device.id);
    let mut out = Writer::new();
    for device in sorted {
        device.write(&mut out);
    }
    sha512(&[label::DEVICE_LIST.as_bytes(), &[0], &out.finish()])
}
