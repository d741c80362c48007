//! Envelope keys: what one seals to, and what opens it, by the suite of their account.

use crate::kem::{Kem, KemPublic, KemSecret};
use crate::secret::{Secret, SecretBytes};
use crate::suite::Suite;
use crate::xwing::{XWingPublic, XWingSecret};
use rand_core::CryptoRng;
use std::sync::OnceLock;

/// An envelope key or what was encapsulated for it is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed envelope key")]
pub struct MalformedEnvelope;

/// What one seals to. `hybrid`: X-Wing, 1216 bytes; `cnsa2`: ML-KEM-1024, 1568 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvelopePublic(Public);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Public {
    Hybrid(XWingPublic),
    Cnsa2(KemPublic),
}

/// What opens. It is stored as its seed; `hybrid`: 32 bytes, `cnsa2`: d ‖ z, 64 bytes.
///
/// The key pair is derived when it is first used: whoever reads a stored key often needs no more than its seed.
pub struct EnvelopeSecret {
    suite: Suite,
    seed: SecretBytes,
    pair: OnceLock<Pair>,
}

/// What follows from a seed.
struct Pair {
    key: Private,
    public: EnvelopePublic,
}

enum Private {
    Hybrid(XWingSecret),
    Cnsa2(KemSecret),
}

impl EnvelopePublic {
    /// Takes the bytes of a key.
    ///
    /// # Errors
    /// [`MalformedEnvelope`]: the length is not that of the suite; in `cnsa2` also: a coefficient is not below q.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, MalformedEnvelope> {
        let key = match suite {
            Suite::Hybrid => XWingPublic::from_bytes(bytes).ok().map(Public::Hybrid),
            Suite::Cnsa2 => KemPublic::from_bytes(Kem::MlKem1024, bytes)
                .ok()
                .map(Public::Cnsa2),
        };
        key.map(Self).ok_or(MalformedEnvelope)
    }

    /// Takes the bytes of a key whose suite its length tells: every suite has its own.
    ///
    /// # Errors
    /// [`MalformedEnvelope`].
    pub fn from_bytes_of_any_suite(bytes: &[u8]) -> Result<Self, MalformedEnvelope> {
        let mut suites = Suite::ALL.into_iter();
        let suite = suites.find(|suite| suite.envelope_key_len() == bytes.len());
        Self::from_bytes(suite.ok_or(MalformedEnvelope)?, bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Public::Hybrid(key) => key.as_bytes(),
            Public::Cnsa2(key) => key.as_bytes(),
        }
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        match self.0 {
            Public::Hybrid(_) => Suite::Hybrid,
            Public::Cnsa2(_) => Suite::Cnsa2,
        }
    }

    /// Encapsulates: what to send and the shared secret. Draws 64 bytes for X-Wing, 32 for ML-KEM-1024.
    pub(crate) fn encapsulate(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret<32>), MalformedEnvelope> {
        match &self.0 {
            Public::Hybrid(key) => {
                let (enc, shared) = key.encapsulate(rng).map_err(|_| MalformedEnvelope)?;
                Ok((enc.to_vec(), shared))
            }
            Public::Cnsa2(key) => key
                .encapsulate(&Secret::random(rng))
                .map_err(|_| MalformedEnvelope),
        }
    }
}

impl EnvelopeSecret {
    /// Draws a key: its seed in one call of `rng`.
    ///
    /// # Errors
    /// [`MalformedEnvelope`]: never; the library reports it all the same.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, MalformedEnvelope> {
        Self::from_seed(suite, SecretBytes::random(suite.envelope_seed_len(), rng))
    }

    /// Takes the seed of a key pair.
    ///
    /// # Errors
    /// [`MalformedEnvelope`]: the length is not that of the suite ([`Suite::envelope_seed_len`]).
    pub fn from_seed(suite: Suite, seed: SecretBytes) -> Result<Self, MalformedEnvelope> {
        if seed.expose_secret().len() != suite.envelope_seed_len() {
            return Err(MalformedEnvelope);
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

    /// The seed, for storage.
    #[must_use]
    pub fn seed(&self) -> &SecretBytes {
        &self.seed
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &EnvelopePublic {
        &self.pair().public
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Decapsulates; a wrong ML-KEM ciphertext gives another secret (implicit rejection).
    pub(crate) fn decapsulate(&self, enc: &[u8]) -> Result<Secret<32>, MalformedEnvelope> {
        let shared = match &self.pair().key {
            Private::Hybrid(key) => key.decapsulate(enc).ok(),
            Private::Cnsa2(key) => key.decapsulate(enc).ok(),
        };
        shared.ok_or(MalformedEnvelope)
    }
}

impl Pair {
    fn derive(suite: Suite, bytes: &[u8]) -> Result<Self, MalformedEnvelope> {
        let (key, public) = match suite {
            Suite::Hybrid => {
                let bytes = Secret::from_slice(bytes).ok_or(MalformedEnvelope)?;
                let key = XWingSecret::from_seed(bytes).map_err(|_| MalformedEnvelope)?;
                let public = Public::Hybrid(key.public().clone());
                (Private::Hybrid(key), public)
            }
            Suite::Cnsa2 => {
                let bytes = Secret::from_slice(bytes).ok_or(MalformedEnvelope)?;
                let (key, public) =
                    KemSecret::from_seed(Kem::MlKem1024, &bytes).map_err(|_| MalformedEnvelope)?;
                (Private::Cnsa2(key), Public::Cnsa2(public))
            }
        };
        Ok(Self {
            key,
            public: EnvelopePublic(public),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn keys_have_the_lengths_of_their_suite_and_no_other() {
        for suite in Suite::ALL {
            let seed = SecretBytes::new(vec![7; suite.envelope_seed_len()]);
            let secret = EnvelopeSecret::from_seed(suite, seed).unwrap();
            assert_eq!(secret.suite(), suite);
            let public = secret.public().as_bytes();
            assert_eq!(public.len(), suite.envelope_key_len());
            let again = EnvelopePublic::from_bytes_of_any_suite(public).unwrap();
            assert_eq!(&again, secret.public());
            for other in Suite::ALL.into_iter().filter(|other| *other != suite) {
                assert!(EnvelopePublic::from_bytes(other, public).is_err());
                let seed = SecretBytes::new(vec![7; suite.envelope_seed_len()]);
                assert!(EnvelopeSecret::from_seed(other, seed).is_err());
            }
            assert!(EnvelopePublic::from_bytes_of_any_suite(&public[1..]).is_err());
        }
    }

    #[test]
    fn what_is_encapsulated_comes_back() {
        use rand_core::SeedableRng as _;
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        for suite in Suite::ALL {
            let secret = EnvelopeSecret::generate(suite, &mut rng).unwrap();
            let (enc, shared) = secret.public().encapsulate(&mut rng).unwrap();
            assert_eq!(enc.len(), suite.encapsulated_len());
            assert!(secret.decapsulate(&enc).unwrap().ct_eq(&shared));
        }
    }
}
