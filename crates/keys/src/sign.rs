//! Signatures of a suite. `hybrid`: Ed25519 and ML-DSA-65 over the same bytes, both must verify. `cnsa2`: ML-DSA-87.
//!
//! *Formula*: every scheme signs `label ‖ 00 ‖ message`. ML-DSA (FIPS 204) is used with an empty context; it is
//! hedged, so two signatures of one message differ.

use crate::ed25519;
use crate::label::Label;
use crate::ml_dsa::{self, MlDsa, MlDsaKey};
use crate::secret::{Secret, SecretBytes};
use crate::suite::Suite;
use crate::xeddsa::BadSignature;
use rand_core::CryptoRng;
use std::sync::OnceLock;

const ED25519_SEED: usize = 32;
const ED25519_PUBLIC: usize = 32;
const ED25519_SIGNATURE: usize = 64;

/// A key or signature has a wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed signature key or signature")]
pub struct Malformed;

/// A signing key of a suite, made of a seed. `hybrid`: Ed25519 seed 32 ‖ ML-DSA-65 seed 32; `cnsa2`: ML-DSA-87
/// seed 32.
///
/// The key pair is derived when it is first used: whoever reads a stored key often needs no more than its seed.
///
/// ```
/// use letterlock_keys::{SecretBytes, SigningKey, Suite, label};
/// let key = SigningKey::from_seed(Suite::Hybrid, SecretBytes::new(vec![7; 64]))?;
/// let signature = key.sign(label::PRE_KEY, b"message")?;
/// key.verifying_key().verify(label::PRE_KEY, b"message", &signature)?;
/// assert!(key.verifying_key().verify(label::LOG_ENTRY, b"message", &signature).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SigningKey {
    suite: Suite,
    seed: SecretBytes,
    pair: OnceLock<Pair>,
}

/// What follows from a seed.
struct Pair {
    schemes: Schemes,
    verifying: VerifyingKey,
}

/// What signs.
enum Schemes {
    Hybrid {
        ed25519: Secret<32>,
        ml_dsa: MlDsaKey,
    },
    Cnsa2(MlDsaKey),
}

/// A verifying key of a suite; `hybrid`: 32 + 1952 bytes, `cnsa2`: 2592.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey {
    suite: Suite,
    bytes: Vec<u8>,
}

/// A signature of a suite; `hybrid`: 64 + 3309 bytes, `cnsa2`: 4627.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HybridSignature {
    suite: Suite,
    bytes: Vec<u8>,
}

impl SigningKey {
    /// Draws a key: its seed in one call of `rng`.
    ///
    /// # Errors
    /// [`Malformed`]: never; the library reports it all the same.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, Malformed> {
        Self::from_seed(suite, SecretBytes::random(suite.signing_seed_len(), rng))
    }

    /// Takes the seed of a key pair.
    ///
    /// # Errors
    /// [`Malformed`]: the length is not that of the suite ([`Suite::signing_seed_len`]).
    pub fn from_seed(suite: Suite, seed: SecretBytes) -> Result<Self, Malformed> {
        if seed.expose_secret().len() != suite.signing_seed_len() {
            return Err(Malformed);
        }
        Ok(Self {
            suite,
            seed,
            pair: OnceLock::new(),
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "every seed of this length has a key pair"
    )]
    fn pair(&self) -> &Pair {
        let derive = || Pair::derive(self.suite, self.seed.expose_secret());
        self.pair.get_or_init(|| derive().expect("a seed"))
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The seed, for storage.
    #[must_use]
    pub fn seed(&self) -> &SecretBytes {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.pair().verifying
    }

    /// The seed of what signs leaves of MLS groups; [`VerifyingKey::leaf_key`] is its public key. `hybrid`: the
    /// Ed25519 seed, 32 bytes. `cnsa2`: the ML-DSA-87 seed, 32 bytes.
    ///
    /// MLS signs `V(length) ‖ "MLS 1.0 " ‖ ...` (RFC 9420, section 5.1.2), we sign `label ‖ 00 ‖ message` with labels
    /// of which none begins so: a signature of one use never stands for one of the other.
    #[must_use]
    pub fn leaf_secret(&self) -> SecretBytes {
        let seed = self.seed.expose_secret();
        match self.suite {
            Suite::Hybrid => SecretBytes::from(seed.get(..ED25519_SEED).unwrap_or_default()),
            Suite::Cnsa2 => SecretBytes::from(seed),
        }
    }

    /// The public key of [`SigningKey::leaf_secret`]. In `hybrid` it takes no key pair of ML-DSA.
    pub(crate) fn leaf_key(&self) -> Vec<u8> {
        let classical = Secret::from_slice(self.leaf_secret().expose_secret());
        match (self.suite, self.pair.get(), classical) {
            (Suite::Hybrid, None, Some(seed)) => ed25519::public(&seed).to_vec(),
            _ => self.verifying_key().leaf_key().to_vec(),
        }
    }

    /// Signs a message for one purpose.
    ///
    /// # Errors
    /// [`Malformed`]: the library failed (no memory, no entropy).
    pub fn sign(&self, label: Label, message: &[u8]) -> Result<HybridSignature, Malformed> {
        let framed = frame(label, message);
        let bytes = match &self.pair().schemes {
            Schemes::Hybrid { ed25519, ml_dsa } => {
                let classical = ed25519::sign(ed25519, &framed);
                let post_quantum = ml_dsa.sign(&framed).map_err(|_| Malformed)?;
                [&classical[..], &post_quantum].concat()
            }
            Schemes::Cnsa2(ml_dsa) => ml_dsa.sign(&framed).map_err(|_| Malformed)?,
        };
        HybridSignature::from_bytes(self.suite(), &bytes)
    }
}

impl Pair {
    fn derive(suite: Suite, seed: &[u8]) -> Result<Self, Malformed> {
        let ml_dsa = |set, seed| MlDsaKey::from_seed(set, seed).map_err(|_| Malformed);
        let (schemes, public) = match suite {
            Suite::Hybrid => {
                let (classical, post_quantum) =
                    seed.split_at_checked(ED25519_SEED).ok_or(Malformed)?;
                let ed25519 = Secret::from_slice(classical).ok_or(Malformed)?;
                let ml_dsa = ml_dsa(MlDsa::D65, post_quantum)?;
                let public = [&ed25519::public(&ed25519)[..], ml_dsa.public()].concat();
                (Schemes::Hybrid { ed25519, ml_dsa }, public)
            }
            Suite::Cnsa2 => {
                let ml_dsa = ml_dsa(MlDsa::D87, seed)?;
                let public = ml_dsa.public().to_vec();
                (Schemes::Cnsa2(ml_dsa), public)
            }
        };
        let verifying = VerifyingKey::from_bytes(suite, &public)?;
        Ok(Self { schemes, verifying })
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
    /// `cnsa2`: the ML-DSA-87 public key, 2592 bytes.
    ///
    /// MLS signs under the prefix `MLS 1.0 `, so a signature of a leaf never stands for one of ours, nor ours for one
    /// of a leaf ([`SigningKey::leaf_secret`]).
    #[must_use]
    pub fn leaf_key(&self) -> &[u8] {
        match self.suite {
            Suite::Hybrid => self.bytes.get(..ED25519_PUBLIC).unwrap_or_default(),
            Suite::Cnsa2 => &self.bytes,
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
        // SECURITY: a signature of a weaker suite is none; `a_signature_of_another_suite_is_none` notices.
        if signature.suite != self.suite {
            return Err(BadSignature);
        }
        let framed = frame(label, message);
        match self.suite {
            Suite::Hybrid => {
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
                ml_dsa::verify(MlDsa::D65, post_quantum_key, &framed, post_quantum)
            }
            Suite::Cnsa2 => ml_dsa::verify(MlDsa::D87, &self.bytes, &framed, &signature.bytes),
        }
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

    /// Takes the bytes of a signature whose suite its length tells: every suite has its own.
    ///
    /// # Errors
    /// [`Malformed`]: no suite has such a length.
    pub fn from_bytes_of_any_suite(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut suites = Suite::ALL.into_iter();
        let suite = suites.find(|suite| suite.signature_len() == bytes.len());
        Self::from_bytes(suite.ok_or(Malformed)?, bytes)
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
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

    fn key(suite: Suite) -> SigningKey {
        let seed = SecretBytes::new(vec![1; suite.signing_seed_len()]);
        SigningKey::from_seed(suite, seed).unwrap()
    }

    #[test]
    fn one_good_half_is_not_enough() {
        let key = key(Suite::Hybrid);
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
    fn keys_and_signatures_have_the_lengths_of_their_suite() {
        for suite in Suite::ALL {
            let key = key(suite);
            let signature = key.sign(label::PRE_KEY, b"m").unwrap();
            assert_eq!((key.suite(), signature.suite()), (suite, suite));
            assert_eq!(
                HybridSignature::from_bytes_of_any_suite(signature.as_bytes()).unwrap(),
                signature
            );
            let short = SecretBytes::new(vec![1; suite.signing_seed_len() - 1]);
            assert!(SigningKey::from_seed(suite, short).is_err());
            for length in [
                suite.signature_len() - 1,
                suite.signature_len() + 1,
                suite.verifying_key_len(),
            ] {
                let bytes = vec![0; length];
                assert!(HybridSignature::from_bytes(suite, &bytes).is_err());
                assert!(HybridSignature::from_bytes_of_any_suite(&bytes).is_err());
            }
        }
    }

    #[test]
    fn the_key_of_leaves_is_the_same_before_and_after_the_pair_is_derived() {
        for suite in Suite::ALL {
            let key = key(suite);
            let before = key.leaf_key();
            assert_eq!(key.verifying_key().leaf_key(), before);
            assert_eq!(key.leaf_key(), before);
        }
    }

    #[test]
    fn a_signature_of_another_suite_is_none() {
        for suite in Suite::ALL {
            let key = key(suite);
            let signature = key.sign(label::PRE_KEY, b"m").unwrap();
            let claimed = HybridSignature {
                suite: if suite == Suite::Hybrid {
                    Suite::Cnsa2
                } else {
                    Suite::Hybrid
                },
                bytes: signature.bytes,
            };
            assert!(
                key.verifying_key()
                    .verify(label::PRE_KEY, b"m", &claimed)
                    .is_err()
            );
        }
    }

    #[test]
    fn leaf_secret_and_leaf_key_are_one_pair() {
        let hybrid = key(Suite::Hybrid);
        let seed = Secret::from_slice(hybrid.leaf_secret().expose_secret()).unwrap();
        assert_eq!(hybrid.verifying_key().leaf_key(), ed25519::public(&seed));
        let cnsa2 = key(Suite::Cnsa2);
        let seed = cnsa2.leaf_secret();
        let pair = MlDsaKey::from_seed(MlDsa::D87, seed.expose_secret()).unwrap();
        assert_eq!(cnsa2.verifying_key().leaf_key(), pair.public());
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
        for suite in Suite::ALL {
            let key = key(suite);
            let signature = key.sign(label::PRE_KEY, b"m").unwrap();
            let verify =
                |label, message: &[u8]| key.verifying_key().verify(label, message, &signature);
            verify(label::PRE_KEY, b"m").unwrap();
            assert!(verify(label::LOG_ENTRY, b"m").is_err());
            assert!(verify(label::PRE_KEY, b"n").is_err());
        }
    }
}
