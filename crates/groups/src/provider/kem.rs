//! The KEMs of HPKE. Keys are bytes, as MLS keeps them.

#[cfg(feature = "replay")]
use super::curve::Curve;
use super::error::CryptoError;
use keys::kem::{Kem as RawKem, KemPublic, KemSecret};
use keys::xwing::{XWingPublic, XWingSecret};
use keys::{Secret, SecretBytes};
use mls_rs_core::crypto::{HpkePublicKey, HpkeSecretKey};
use rand_core::CryptoRng;

/// A KEM and its number in HPKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kem {
    XWing,
    MlKem1024,
    #[cfg(feature = "replay")]
    Dh(Curve),
}

type KeyPair = (HpkeSecretKey, HpkePublicKey);

impl Kem {
    /// The registry of HPKE; X-Wing and ML-KEM by draft-ietf-hpke-pq.
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::XWing => 0x647a,
            Self::MlKem1024 => 0x0042,
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.kem_id(),
        }
    }

    pub(crate) fn generate(self, rng: &mut dyn CryptoRng) -> Result<KeyPair, CryptoError> {
        match self {
            Self::XWing => x_wing_pair(Secret::random(rng)),
            Self::MlKem1024 => ml_kem_pair(&Secret::random(rng)),
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.derive(Secret::<64>::random(rng).expose_secret()),
        }
    }

    /// DeriveKeyPair. The drafts of MLS suites and openmls hash `ikm` once; the labels of draft-ietf-hpke-pq came
    /// later.
    pub(crate) fn derive(self, ikm: &[u8]) -> Result<KeyPair, CryptoError> {
        match self {
            Self::XWing => x_wing_pair(keys::xwing::derive_seed(ikm)),
            Self::MlKem1024 => ml_kem_pair(&keys::kem::derive_seed(ikm)),
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.derive(ikm),
        }
    }

    /// Ciphertext of the KEM and shared secret.
    pub(crate) fn encapsulate(
        self,
        rng: &mut dyn CryptoRng,
        public: &[u8],
    ) -> Result<(Vec<u8>, SecretBytes), CryptoError> {
        match self {
            Self::XWing => {
                let public = XWingPublic::from_bytes(public).map_err(malformed)?;
                let (ciphertext, shared) = public.encapsulate(rng).map_err(malformed)?;
                Ok((ciphertext.to_vec(), bytes_of(&shared)))
            }
            Self::MlKem1024 => {
                let public = KemPublic::from_bytes(RawKem::MlKem1024, public).map_err(malformed)?;
                let (ciphertext, shared) = public
                    .encapsulate(&Secret::random(rng))
                    .map_err(malformed)?;
                Ok((ciphertext, bytes_of(&shared)))
            }
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.encapsulate(rng, public),
        }
    }

    pub(crate) fn decapsulate(
        self,
        ciphertext: &[u8],
        secret: &[u8],
        public: &[u8],
    ) -> Result<SecretBytes, CryptoError> {
        match self {
            Self::XWing => {
                let seed = Secret::from_slice(secret).ok_or(CryptoError::Malformed)?;
                let shared = keys::xwing::decapsulate(&seed, public, ciphertext);
                Ok(bytes_of(&shared.map_err(malformed)?))
            }
            Self::MlKem1024 => {
                let seed = Secret::from_slice(secret).ok_or(CryptoError::Malformed)?;
                let shared = keys::kem::decapsulate_seed(&seed, ciphertext);
                Ok(bytes_of(&shared.map_err(malformed)?))
            }
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.decapsulate(ciphertext, secret, public),
        }
    }

    /// Whether one can encapsulate to a key.
    pub(crate) fn validate(self, public: &[u8]) -> Result<(), CryptoError> {
        match self {
            Self::XWing => XWingPublic::from_bytes(public)
                .and_then(|key| key.validate())
                .map_err(malformed),
            Self::MlKem1024 => KemPublic::from_bytes(RawKem::MlKem1024, public)
                .map(drop)
                .map_err(malformed),
            #[cfg(feature = "replay")]
            Self::Dh(curve) => curve.validate(public),
        }
    }
}

fn x_wing_pair(seed: Secret<32>) -> Result<KeyPair, CryptoError> {
    let secret = XWingSecret::from_seed(seed).map_err(malformed)?;
    Ok((
        secret.seed().expose_secret().to_vec().into(),
        secret.public().as_bytes().to_vec().into(),
    ))
}

fn ml_kem_pair(seed: &Secret<64>) -> Result<KeyPair, CryptoError> {
    let (_, public) = KemSecret::from_seed(RawKem::MlKem1024, seed).map_err(malformed)?;
    Ok((
        seed.expose_secret().to_vec().into(),
        public.as_bytes().to_vec().into(),
    ))
}

fn bytes_of(shared: &Secret<32>) -> SecretBytes {
    SecretBytes::from(&shared.expose_secret()[..])
}

/// Keys and ciphertexts of the KEM are a peer's; what is wrong with them makes no difference.
pub(crate) fn malformed<E>(_: E) -> CryptoError {
    CryptoError::Malformed
}
