//! Keys of a vault: what a generation's key gives, and what names and cuts its contents (docs/spec/vault.md,
//! section 2).

use crate::id::{BlobId, GroupId};
use crate::kdf::hkdf_sha512;
use crate::secret::Secret;
use crate::{ed25519, label};

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To read a pack.
    Read,
    /// To write and to delete it.
    Write,
}

/// What the key of a generation gives.
pub struct GenerationKeys {
    content: Secret<32>,
    token: Secret<32>,
    head: Secret<32>,
    head_seed: Secret<32>,
}

impl GenerationKeys {
    /// Derives them.
    ///
    /// *Formula*: `content key ‖ token key ‖ head key ‖ head seed = HKDF-SHA-512(no salt, key,
    /// "letterlock/v1/vault/keys" ‖ 00 ‖ vault)`.
    ///
    /// ```
    /// use letterlock_keys::vault::GenerationKeys;
    /// use letterlock_keys::{GroupId, Secret};
    /// let key = Secret::from_slice(&[1; 32]).unwrap();
    /// let one = GenerationKeys::derive(&key, &GroupId::from_bytes([2; 32]));
    /// let other = GenerationKeys::derive(&key, &GroupId::from_bytes([3; 32]));
    /// assert_ne!(one.head_public(), other.head_public());
    /// ```
    #[must_use]
    pub fn derive(key: &Secret<32>, vault: &GroupId) -> Self {
        let all: Secret<128> = hkdf_sha512(
            &[],
            &[key.expose_secret()],
            &[label::VAULT_KEYS.as_bytes(), &[0], vault.as_bytes()],
        );
        let part = |number: usize| {
            Secret::from_fn(|out: &mut [u8; 32]| {
                let parts = all.expose_secret().as_chunks::<32>().0;
                if let Some(part) = parts.get(number) {
                    *out = *part;
                }
            })
        };
        Self {
            content: part(0),
            token: part(1),
            head: part(2),
            head_seed: part(3),
        }
    }

    /// The input key of objects.
    #[must_use]
    pub fn content(&self) -> &Secret<32> {
        &self.content
    }

    /// The key of the head's body.
    #[must_use]
    pub fn head(&self) -> &Secret<32> {
        &self.head
    }

    /// The seed of the Ed25519 key that writes the head at the relay.
    #[must_use]
    pub fn head_seed(&self) -> &Secret<32> {
        &self.head_seed
    }

    /// The public key of [`GenerationKeys::head_seed`].
    #[must_use]
    pub fn head_public(&self) -> [u8; 32] {
        ed25519::public(&self.head_seed)
    }

    /// The token of a pack.
    ///
    /// *Formula*: `HKDF-SHA-512(no salt, token key, "letterlock/v1/vault/token" ‖ 00 ‖ right ‖ pack)`.
    #[must_use]
    pub fn pack_token(&self, right: Right, pack: &BlobId) -> Secret<32> {
        let right = match right {
            Right::Read => 1,
            Right::Write => 2,
        };
        hkdf_sha512(
            &[],
            &[self.token.expose_secret()],
            &[label::VAULT_TOKEN.as_bytes(), &[0, right], pack.as_bytes()],
        )
    }

    /// The key of a file on this device's disk that holds what is to become a part of a version.
    ///
    /// *Formula*: `HKDF-SHA-512(no salt, content key, "letterlock/v1/vault/staging" ‖ 00 ‖ name)`.
    #[must_use]
    pub fn staging_key(&self, name: &[u8; 16]) -> Secret<32> {
        hkdf_sha512(
            &[],
            &[self.content.expose_secret()],
            &[label::VAULT_STAGING.as_bytes(), &[0], name],
        )
    }
}

/// What names objects and says where contents are cut: the same in all generations.
pub struct IdKeys {
    key: Secret<32>,
    chunk_seed: u64,
}

impl IdKeys {
    /// Derives them from the key of generation 1.
    ///
    /// *Formula*: `id key 32 ‖ chunk seed 8 = HKDF-SHA-512(no salt, key, "letterlock/v1/vault/ids" ‖ 00 ‖ vault)`.
    #[must_use]
    pub fn derive(first: &Secret<32>, vault: &GroupId) -> Self {
        let all: Secret<40> = hkdf_sha512(
            &[],
            &[first.expose_secret()],
            &[label::VAULT_IDS.as_bytes(), &[0], vault.as_bytes()],
        );
        Self {
            key: Secret::from_fn(|out: &mut [u8; 32]| {
                if let Some(key) = all.expose_secret().first_chunk() {
                    *out = *key;
                }
            }),
            chunk_seed: all
                .expose_secret()
                .last_chunk()
                .map_or(0, |seed| u64::from_be_bytes(*seed)),
        }
    }

    /// The seed of the cuts in files.
    #[must_use]
    pub fn chunk_seed(&self) -> u64 {
        self.chunk_seed
    }

    /// Names an object: `BLAKE3(keyed, kind ‖ bytes)`.
    #[must_use]
    pub fn object_id(&self, kind: u8, bytes: &[u8]) -> [u8; 32] {
        self.hash(kind, bytes)
    }

    /// Whether a segment of a directory ends after this name: no object has kind 0.
    #[must_use]
    pub fn ends_segment(&self, name: &[u8]) -> bool {
        self.hash(0, name).first() == Some(&0)
    }

    fn hash(&self, first: u8, bytes: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(self.key.expose_secret());
        hasher.update(&[first]);
        hasher.update(bytes);
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    /// The keys of this version, for ever.
    #[test]
    fn derivations_are_pinned() {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let vault = GroupId::from_bytes([2; 32]);
        let keys = GenerationKeys::derive(&key, &vault);
        let ids = IdKeys::derive(&key, &vault);
        let pack = BlobId::from_bytes([3; 16]);
        let all = [
            keys.content().duplicate(),
            keys.head().duplicate(),
            keys.head_seed().duplicate(),
            keys.pack_token(Right::Read, &pack),
            keys.pack_token(Right::Write, &pack),
            Secret::from_slice(&ids.object_id(1, b"bytes")).unwrap(),
        ];
        let mut text: Vec<String> = all
            .iter()
            .map(|key| data_encoding::HEXLOWER.encode(&key.expose_secret()[..4]))
            .collect();
        text.push(format!("{:016x}", ids.chunk_seed()));
        assert_eq!(
            text.join(" "),
            "7ac044e4 c51f43bd f9b6cf83 db0dfea8 11893070 906d0687 96a8ae3d19948dc6"
        );
    }

    #[test]
    fn one_content_has_one_id_a_kind_and_a_vault() {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let ids = IdKeys::derive(&key, &GroupId::from_bytes([2; 32]));
        let other = IdKeys::derive(&key, &GroupId::from_bytes([3; 32]));
        assert_ne!(ids.object_id(1, b"x"), ids.object_id(2, b"x"));
        assert_ne!(ids.object_id(1, b"x"), other.object_id(1, b"x"));
        assert_eq!(ids.object_id(1, b"x"), ids.object_id(1, b"x"));
    }
}
