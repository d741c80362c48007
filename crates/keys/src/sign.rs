//! Hybrid signatures: Ed25519 and ML-DSA-65 over the same bytes; both must verify.
//!
//! *Formula*: both schemes sign `label ‖ 00 ‖ message`. ML-DSA (FIPS 204) is used with an empty context; it is
//! hedged, so two signatures of one message differ.

use crate::ed25519;
use crate::label::Label;
use crate::ml_dsa::{self, MlDsaKey};
use crate::secret::{Secret, SecretBytes};
use crate::suite::Suite;
use crate::xeddsa::BadSignature;

const ED25519_PUBLIC: usize = 32;
const ED25519_SIGNATURE: usize = 64;

/// A key or signature has a wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed signature key or signature")]
pub struct Malformed;

/// A signing key, made of 64 bytes: Ed25519 seed ‖ ML-DSA-65 seed.
///
/// ```
/// use letterlock_keys::{Secret, SigningKey, label};
/// let key = SigningKey::from_seed(Secret::from_slice(&[7; 64]).unwrap())?;
/// let signature = key.sign(label::PRE_KEY, b"message")?;
/// key.verifying_key().verify(label::PRE_KEY, b"message", &signature)?;
/// assert!(key.verifying_key().verify(label::LOG_ENTRY, b"message", &signature).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SigningKey {
    seed: Secret<64>,
    ed25519: Secret<32>,
    ml_dsa: MlDsaKey,
    verifying: VerifyingKey,
}

/// A verifying key of a suite; `hybrid`: 32 + 1952 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey {
    suite: Suite,
    bytes: Vec<u8>,
}

/// A signature of a suite; `hybrid`: 64 + 3309 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HybridSignature {
    suite: Suite,
    bytes: Vec<u8>,
}

impl SigningKey {
    /// Derives the key pair.
    ///
    /// # Errors
    /// [`Malformed`]: never for 64 bytes; the library reports it all the same.
    pub fn from_seed(seed: Secret<64>) -> Result<Self, Malformed> {
        let (classical, post_quantum) = seed.expose_secret().split_at(32);
        let ed25519 = Secret::from_slice(classical).ok_or(Malformed)?;
        let ml_dsa = MlDsaKey::from_seed(post_quantum).map_err(|_| Malformed)?;
        let bytes = [&ed25519::public(&ed25519)[..], ml_dsa.public()].concat();
        let verifying = VerifyingKey::from_bytes(Suite::Hybrid, &bytes)?;
        Ok(Self {
            seed,
            ed25519,
            ml_dsa,
            verifying,
        })
    }

    /// The seed, for storage.
    #[must_use]
    pub fn seed(&self) -> &Secret<64> {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The seed of what signs leaves of MLS groups; [`VerifyingKey::leaf_key`] is its public key. `hybrid`: the
    /// Ed25519 seed, 32 bytes.
    ///
    /// MLS signs `V(length) ‖ "MLS 1.0 " ‖ ...` (RFC 9420, section 5.1.2), we sign `label ‖ 00 ‖ message` with labels
    /// of which none begins so: a signature of one use never stands for one of the other.
    #[must_use]
    pub fn leaf_secret(&self) -> SecretBytes {
        SecretBytes::from(&self.ed25519.expose_secret()[..])
    }

    /// Signs a message for one purpose.
    ///
    /// # Errors
    /// [`Malformed`]: the library failed (no memory, no entropy).
    pub fn sign(&self, label: Label, message: &[u8]) -> Result<HybridSignature, Malformed> {
        let framed = frame(label, message);
        let classical = ed25519::sign(&self.ed25519, &framed);
        let post_quantum = self.ml_dsa.sign(&framed).map_err(|_| Malformed)?;
        let bytes = [&classical[..], &post_quantum[..]].concat();
        HybridSignature::from_bytes(Suite::Hybrid, &bytes)
    }
}

impl VerifyingKey {
    /// Takes the bytes of a key.
    ///
    /// # Errors
    /// [`Malformed`]: the length is not that of the suite.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() == suite.verifying_key_len() {
            Ok(Self {
                suite,
                bytes: bytes.to_vec(),
            })
        } else {
            Err(Malformed)
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What signatures of leaves of MLS groups verify with. `hybrid`: the Ed25519 half, 32 bytes.
    ///
    /// MLS signs under the prefix `MLS 1.0 `, so a signature of a leaf never stands for one of ours, nor ours for one
    /// of a leaf ([`SigningKey::leaf_secret`]).
    #[must_use]
    pub fn leaf_key(&self) -> &[u8] {
        match self.suite {
            Suite::Hybrid => self.bytes.get(..ED25519_PUBLIC).unwrap_or_default(),
        }
    }

    /// Verifies a signature for one purpose: every scheme of the suite must agree.
    ///
    /// # Errors
    /// [`BadSignature`], whatever is wrong.
    pub fn verify(
        &self,
        label: Label,
        message: &[u8],
        signature: &HybridSignature,
    ) -> Result<(), BadSignature> {
        if signature.suite != self.suite {
            return Err(BadSignature);
        }
        let framed = frame(label, message);
        let (classical_key, post_quantum_key) = self
            .bytes
            .split_first_chunk::<ED25519_PUBLIC>()
            .ok_or(BadSignature)?;
        let (classical, post_quantum) = signature
            .bytes
            .split_first_chunk::<ED25519_SIGNATURE>()
            .ok_or(BadSignature)?;
        // SECURITY: both, not either; `one_good_half_is_not_enough` notices.
        ed25519::verify(classical_key, &framed, classical)?;
        ml_dsa::verify(post_quantum_key, &framed, post_quantum)
    }
}

impl HybridSignature {
    /// Takes the bytes of a signature.
    ///
    /// # Errors
    /// [`Malformed`]: the length is not that of the suite.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() == suite.signature_len() {
            Ok(Self {
                suite,
                bytes: bytes.to_vec(),
            })
        } else {
            Err(Malformed)
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn frame(label: Label, message: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], message].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use crate::label;

    #[test]
    fn one_good_half_is_not_enough() {
        let key = SigningKey::from_seed(Secret::from_slice(&[1; 64]).unwrap()).unwrap();
        let signature = key.sign(label::PRE_KEY, b"m").unwrap();
        for place in [0, 63, 64, 64 + 3308] {
            let mut bytes = signature.as_bytes().to_vec();
            bytes[place] ^= 1;
            let altered = HybridSignature::from_bytes(Suite::Hybrid, &bytes).unwrap();
            assert!(
                key.verifying_key()
                    .verify(label::PRE_KEY, b"m", &altered)
                    .is_err()
            );
        }
        key.verifying_key()
            .verify(label::PRE_KEY, b"m", &signature)
            .unwrap();
    }

    #[test]
    fn leaf_secret_and_leaf_key_are_one_pair() {
        let key = SigningKey::from_seed(Secret::from_slice(&[1; 64]).unwrap()).unwrap();
        let seed = Secret::from_slice(key.leaf_secret().expose_secret()).unwrap();
        assert_eq!(key.verifying_key().leaf_key(), ed25519::public(&seed));
    }

    /// The signed bytes of MLS begin with the length of a label that begins with `MLS 1.0 `.
    #[test]
    fn what_mls_signs_is_never_what_we_sign() {
        for label in label::ALL {
            let framed = frame(*label, b"");
            assert!(
                framed.get(1..9) != Some(b"MLS 1.0 ") && framed.get(2..10) != Some(b"MLS 1.0 ")
            );
        }
    }

    #[test]
    fn a_signature_holds_for_its_label_and_message_only() {
        let key = SigningKey::from_seed(Secret::from_slice(&[1; 64]).unwrap()).unwrap();
        let signature = key.sign(label::PRE_KEY, b"m").unwrap();
        assert!(
            key.verifying_key()
                .verify(label::LOG_ENTRY, b"m", &signature)
                .is_err()
        );
        assert!(
            key.verifying_key()
                .verify(label::PRE_KEY, b"n", &signature)
                .is_err()
        );
    }
}
