//! Sealed values: a stored secret that opens only as its own kind (I3).
//!
//! *Formula*: `nonce 12 ‖ AES-256-GCM(key, nonce, label of T, encoding)`, the tag of 16 bytes at the end.

use crate::account_log::{DeviceSecrets, RootSecret};
use crate::aead::{OpenError, gcm_open, gcm_seal};
use crate::codec::DecodeError;
use crate::label::{self, Label};
use crate::secret::{Secret, SecretBytes};
use rand_core::CryptoRng;
use std::marker::PhantomData;

/// A kind of value that is stored sealed.
pub trait Sealable: Sized {
    /// What tells this kind from every other.
    const LABEL: Label;

    /// The stored form.
    fn encode(&self) -> SecretBytes;

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// A value of kind `T` under a key.
///
/// ```
/// use letterlock_keys::{Sealed, Secret, Suite, account_log::RootSecret};
/// # use rand_core::SeedableRng as _;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// let key = Secret::random(&mut rng);
/// let sealed = Sealed::seal(&key, &RootSecret::generate(Suite::Hybrid, &mut rng)?, &mut rng);
/// let stored: Sealed<RootSecret> = Sealed::from_bytes(sealed.as_bytes().to_vec());
/// let root: RootSecret = stored.open(&key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A sealed value of one kind is not one of another:
///
/// ```compile_fail
/// use letterlock_keys::{Sealed, Secret, account_log::{DeviceSecrets, RootSecret}};
/// fn confuse(sealed: &Sealed<DeviceSecrets>, key: &Secret<32>) -> Option<RootSecret> {
///     sealed.open(key).ok()
/// }
/// ```
pub struct Sealed<T> {
    bytes: Vec<u8>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Sealable> Sealed<T> {
    /// Seals a value under a fresh nonce.
    #[must_use]
    pub fn seal(key: &Secret<32>, value: &T, rng: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        let sealed = gcm_seal(
            key,
            &nonce,
            T::LABEL.as_bytes(),
            value.encode().expose_secret(),
        );
        Self {
            bytes: [nonce.as_slice(), &sealed].concat(),
            kind: PhantomData,
        }
    }

    /// Takes stored bytes. Nothing is believed yet.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Opens the value.
    ///
    /// # Errors
    /// [`OpenError`]: another key, another kind, or changed bytes.
    pub fn open(&self, key: &Secret<32>) -> Result<T, OpenError> {
        let (nonce, sealed) = self.bytes.split_first_chunk::<12>().ok_or(OpenError)?;
        // SECURITY: the label is associated data; `a_value_of_another_kind_does_not_open` notices.
        let plain = SecretBytes::new(gcm_open(key, nonce, T::LABEL.as_bytes(), sealed)?);
        T::decode(plain.expose_secret()).map_err(|_| OpenError)
    }
}

impl Sealable for DeviceSecrets {
    const LABEL: Label = label::SEALED_DEVICE;

    fn encode(&self) -> SecretBytes {
        Self::encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl Sealable for RootSecret {
    const LABEL: Label = label::SEALED_ROOT;

    fn encode(&self) -> SecretBytes {
        Self::encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use crate::Suite;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    /// Encodes as a root secret does, under another label.
    struct Twin(RootSecret);

    impl Sealable for Twin {
        const LABEL: Label = label::SEALED_DEVICE;

        fn encode(&self) -> SecretBytes {
            self.0.encode()
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            RootSecret::decode(bytes).map(Self)
        }
    }

    fn sealed() -> (Secret<32>, Sealed<RootSecret>) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Secret::random(&mut rng);
        let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
        let sealed = Sealed::seal(&key, &root, &mut rng);
        (key, sealed)
    }

    #[test]
    fn a_value_of_another_kind_does_not_open() {
        let (key, root) = sealed();
        assert!(root.open(&key).is_ok());
        assert!(
            Sealed::<Twin>::from_bytes(root.as_bytes().to_vec())
                .open(&key)
                .is_err()
        );
    }

    #[test]
    fn another_key_does_not_open_it() {
        let (key, root) = sealed();
        for bit in 0..256 {
            let mut other = *key.expose_secret();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(root.open(&Secret::from_slice(&other).unwrap()).is_err());
        }
    }

    /// docs/spec/labels.md: `nonce 12 ‖ AES-256-GCM(key, nonce, label, encoding)`.
    #[test]
    fn the_form_is_that_of_the_specification() {
        let (key, root) = sealed();
        let (nonce, ciphertext) = root.as_bytes().split_first_chunk().unwrap();
        let label = b"letterlock/v1/sealed/root";
        let plain = gcm_open(&key, nonce, label, ciphertext).unwrap();
        let encoding = root.open(&key).unwrap().encode();
        assert!(plain == encoding.expose_secret() && plain.len() == 64);
        let other = gcm_seal(&key, &[3; 12], label, &[1; 63]);
        let short = Sealed::<RootSecret>::from_bytes([&[3; 12], &other[..]].concat());
        assert!(short.open(&key).is_err(), "what opens must decode too");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused() {
        let (key, root) = sealed();
        for place in 0..root.as_bytes().len() {
            let cut = root.as_bytes()[..place].to_vec();
            assert!(Sealed::<RootSecret>::from_bytes(cut).open(&key).is_err());
            let mut changed = root.as_bytes().to_vec();
            changed[place] ^= 1;
            assert!(
                Sealed::<RootSecret>::from_bytes(changed)
                    .open(&key)
                    .is_err()
            );
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (key, sealed) = sealed();
        let root = sealed.open(&key).unwrap();
        let (one, two) = (
            Sealed::seal(&key, &root, &mut rng),
            Sealed::seal(&key, &root, &mut rng),
        );
        assert_ne!(one.as_bytes()[..12], two.as_bytes()[..12]);
    }
}
