//! The root of a vault: what its signed versions say (docs/spec/vault.md, sections 3 and 5).

use crate::codec::{DecodeError, Reader, Writer};
use crate::kdf::sha384;
use crate::label::{self, Label};
use crate::sign::{HybridSignature, Malformed, SigningKey, VerifyingKey};
use crate::xeddsa::BadSignature;
use crate::{AccountId, BlobId, DeviceId, GroupId};

/// What a root's signature is for.
pub const LABEL: Label = label::VAULT_ROOT;
/// Longest root in bytes.
pub const ROOT_BYTES: usize = RootBody::LEN + 4 + SIGNATURE_BYTES;

const FORM: u8 = 1;
const SIGNATURE_BYTES: usize = 4627;

/// SHA-384 of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootHash(pub [u8; Self::LEN]);

impl RootHash {
    /// Number of bytes.
    pub const LEN: usize = 48;
    /// What the first root says of the one before it.
    pub const NONE: Self = Self([0; Self::LEN]);
}

/// Where an object lies, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Its keyed hash.
    pub id: [u8; 32],
    /// The generation whose key it is sealed with.
    pub generation: u32,
    /// The pack.
    pub pack: BlobId,
    /// Where it begins there, in bytes.
    pub offset: u32,
    /// Length there, sealed, in bytes.
    pub length: u32,
}

impl ObjectRef {
    /// Number of bytes.
    pub const LEN: usize = 60;
    /// What the first root says of the one before it.
    pub const NONE: Self = Self {
        id: [0; 32],
        generation: 0,
        pack: BlobId::from_bytes([0; 16]),
        offset: 0,
        length: 0,
    };

    /// `id 32 ‖ BE4(generation) ‖ pack 16 ‖ BE4(offset) ‖ BE4(sealed length)`.
    pub fn write(&self, out: &mut Writer) {
        out.array(&self.id);
        out.u32(self.generation);
        out.array(self.pack.as_bytes());
        out.u32(self.offset);
        out.u32(self.length);
    }

    /// Reads the form of [`ObjectRef::write`].
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: input.array()?,
            generation: input.u32()?,
            pack: BlobId::from_bytes(input.array()?),
            offset: input.u32()?,
            length: input.u32()?,
        })
    }
}

/// What a root says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootBody {
    /// The vault: the id of its group.
    pub vault: GroupId,
    /// The generation whose head shows it, from 1.
    pub generation: u32,
    /// From 1, over all generations.
    pub counter: u64,
    /// The hash of the root before it; of the first one [`RootHash::NONE`].
    pub previous: RootHash,
    /// That root as an object; of the first one [`ObjectRef::NONE`].
    pub previous_root: ObjectRef,
    /// The directory.
    pub directory: ObjectRef,
    /// When it was made, in seconds since 1970 by its maker's clock.
    pub time: u64,
    /// Who made it.
    pub account: AccountId,
    /// With which device.
    pub device: DeviceId,
    /// Whether its generation ends with it.
    pub closed: bool,
}

impl RootBody {
    /// Number of bytes.
    pub const LEN: usize = 270;

    /// `01 ‖ vault 32 ‖ BE4(generation) ‖ BE8(counter) ‖ previous hash 48 ‖ ref of the previous root ‖ ref of the
    /// directory ‖ BE8(time) ‖ account 32 ‖ device 16 ‖ state 1`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(FORM);
        out.array(self.vault.as_bytes());
        out.u32(self.generation);
        out.u64(self.counter);
        out.array(&self.previous.0);
        self.previous_root.write(&mut out);
        self.directory.write(&mut out);
        out.u64(self.time);
        out.array(self.account.as_bytes());
        out.array(self.device.as_bytes());
        out.u8(u8::from(self.closed));
        out.finish()
    }

    /// Reads the form of [`RootBody::encode`].
    ///
    /// # Errors
    /// [`DecodeError`]; what claims to be the first and is not, or follows nothing, is [`DecodeError::Invalid`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let body = Self::read(&mut input)?;
        input.finish()?;
        Ok(body)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8()? != FORM {
            return Err(DecodeError::Invalid);
        }
        let body = Self {
            vault: GroupId::from_bytes(input.array()?),
            generation: input.u32()?,
            counter: input.u64()?,
            previous: RootHash(input.array()?),
            previous_root: ObjectRef::read(input)?,
            directory: ObjectRef::read(input)?,
            time: input.u64()?,
            account: AccountId::from_bytes(input.array()?),
            device: DeviceId::from_bytes(input.array()?),
            closed: match input.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid),
            },
        };
        let first = body.counter == 1;
        let follows_none = body.previous == RootHash::NONE;
        let names_none = body.previous_root == ObjectRef::NONE;
        let numbered = body.counter != 0 && body.generation != 0;
        if !numbered || follows_none != first || names_none != first || (first && body.closed) {
            return Err(DecodeError::Invalid);
        }
        Ok(body)
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`Malformed`]: the library failed (no memory, no entropy).
    pub fn sign(self, key: &SigningKey) -> Result<VaultRoot, Malformed> {
        let signature = key.sign(LABEL, &self.encode())?;
        Ok(VaultRoot {
            body: self,
            signature,
        })
    }
}

/// A root: what it says, and a signature that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRoot {
    /// What it says.
    pub body: RootBody,
    /// Over the body, under [`LABEL`].
    pub signature: HybridSignature,
}

impl VaultRoot {
    /// `body ‖ BE4(length) ‖ signature`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(&self.body.encode());
        out.bytes(self.signature.as_bytes());
        out.finish()
    }

    /// Reads the form of [`VaultRoot::encode`].
    ///
    /// # Errors
    /// As [`RootBody::decode`]; no suite has a signature of that length: [`DecodeError::Invalid`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let body = RootBody::read(&mut input)?;
        let signature = HybridSignature::from_bytes_of_any_suite(input.bytes(SIGNATURE_BYTES)?)
            .map_err(|_| DecodeError::Invalid)?;
        input.finish()?;
        Ok(Self { body, signature })
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> RootHash {
        RootHash(sha384(&[&self.encode()]))
    }

    /// Whether this key signed it.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), BadSignature> {
        key.verify(LABEL, &self.body.encode(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use crate::{SecretBytes, Suite};

    fn body(counter: u64) -> RootBody {
        let object = |byte| ObjectRef {
            id: [byte; 32],
            generation: 2,
            pack: BlobId::from_bytes([byte; 16]),
            offset: 7,
            length: 300,
        };
        let first = counter == 1;
        RootBody {
            vault: GroupId::from_bytes([1; 32]),
            generation: 2,
            counter,
            previous: if first {
                RootHash::NONE
            } else {
                RootHash([2; 48])
            },
            previous_root: if first { ObjectRef::NONE } else { object(3) },
            directory: object(4),
            time: 5,
            account: AccountId::from_bytes([6; 32]),
            device: DeviceId::from_bytes([7; 16]),
            closed: false,
        }
    }

    fn key(suite: Suite) -> SigningKey {
        let seed = SecretBytes::new(vec![9; suite.signing_seed_len()]);
        SigningKey::from_seed(suite, seed).unwrap()
    }

    #[test]
    fn a_root_comes_back_as_it_went() {
        for suite in Suite::ALL {
            for counter in [1, 2, u64::MAX] {
                let root = body(counter).sign(&key(suite)).unwrap();
                let bytes = root.encode();
                assert_eq!(bytes.len(), RootBody::LEN + 4 + suite.signature_len());
                assert!(bytes.len() <= ROOT_BYTES);
                let read = VaultRoot::decode(&bytes).unwrap();
                assert_eq!((read.hash(), &read), (root.hash(), &root));
                read.verify(key(suite).verifying_key()).unwrap();
            }
        }
    }

    /// Every byte of the body is signed, every byte of the root hashed.
    #[test]
    fn every_changed_byte_shows() {
        let key = key(Suite::Hybrid);
        let root = body(2).sign(&key).unwrap();
        let bytes = root.encode();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            if let Ok(read) = VaultRoot::decode(&changed) {
                assert_ne!(read.hash(), root.hash(), "{place}");
                assert!(read.verify(key.verifying_key()).is_err(), "{place}");
            }
        }
    }

    #[test]
    fn every_cut_and_every_tail_is_refused() {
        let bytes = body(2).sign(&key(Suite::Hybrid)).unwrap().encode();
        for length in 0..bytes.len() {
            assert!(VaultRoot::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(VaultRoot::decode(&longer), Err(DecodeError::Trailing));
        assert!(RootBody::decode(&bytes).is_err());
    }

    #[test]
    fn only_the_first_root_follows_none() {
        let invalid = |change: &dyn Fn(&mut RootBody), counter| {
            let mut body = body(counter);
            assert_eq!(RootBody::decode(&body.encode()).as_ref(), Ok(&body));
            change(&mut body);
            assert_eq!(RootBody::decode(&body.encode()), Err(DecodeError::Invalid));
        };
        invalid(&|body| body.counter = 0, 2);
        invalid(&|body| body.counter = 1, 2);
        invalid(&|body| body.counter = 2, 1);
        invalid(&|body| body.generation = 0, 2);
        invalid(&|body| body.previous = RootHash::NONE, 2);
        invalid(&|body| body.previous_root = ObjectRef::NONE, 2);
        invalid(&|body| body.previous = RootHash([1; 48]), 1);
        invalid(&|body| body.closed = true, 1);
    }

    #[test]
    fn a_state_beyond_closed_is_refused() {
        let mut bytes = body(2).encode();
        *bytes.last_mut().unwrap() = 2;
        assert_eq!(RootBody::decode(&bytes), Err(DecodeError::Invalid));
    }

    /// The form of this version, for ever.
    #[test]
    fn the_form_is_pinned() {
        let hash = sha384(&[&body(2).encode()]);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&hash[..16]),
            "ac602a305b8349d315bfaa06d9b0b312"
        );
    }
}
