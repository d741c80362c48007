//! Signatures, and the signing key that was used last.

#[cfg(feature = "replay")]
use super::curve::Curve;
use super::error::CryptoError;
use aws_lc_rs::signature::{
    Ed25519KeyPair, KeyPair as _, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use keys::{SecretBytes, ct_eq};
use rand_core::CryptoRng;
use std::sync::{Arc, Mutex, PoisonError};

const SEED_LEN: usize = 32;
const ML_DSA_87_SIGNATURE: usize = 4627;

/// A signature scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ed25519,
    MlDsa87,
    #[cfg(feature = "replay")]
    Ecdsa(Curve),
}

/// A signing key, expanded.
enum Pair {
    Ed25519(Ed25519KeyPair),
    MlDsa87(PqdsaKeyPair),
}

/// Expands signing keys and keeps the last: a device signs with one for months, and to expand it costs more than to
/// sign.
#[derive(Default)]
pub(crate) struct Signer {
    last: Mutex<Option<Arc<Expanded>>>,
}

struct Expanded {
    scheme: Scheme,
    seed: SecretBytes,
    pair: Pair,
}

impl Scheme {
    /// Seed and public key.
    pub(crate) fn generate(
        self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        #[cfg(feature = "replay")]
        if let Self::Ecdsa(curve) = self {
            return curve.signing_pair(rng);
        }
        let mut seed = vec![0; SEED_LEN];
        rng.fill_bytes(&mut seed);
        let public = self.expand(&seed)?.public().to_vec();
        Ok((seed, public))
    }

    fn expand(self, seed: &[u8]) -> Result<Pair, CryptoError> {
        if seed.len() != SEED_LEN {
            return Err(CryptoError::Malformed);
        }
        match self {
            Self::Ed25519 => Ed25519KeyPair::from_seed_unchecked(seed)
                .map(Pair::Ed25519)
                .map_err(|_| CryptoError::Malformed),
            Self::MlDsa87 => PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, seed)
                .map(Pair::MlDsa87)
                .map_err(|_| CryptoError::Malformed),
            #[cfg(feature = "replay")]
            Self::Ecdsa(_) => Err(CryptoError::Malformed),
        }
    }

    pub(crate) fn verify(
        self,
        public: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        match self {
            Self::Ed25519 => {
                let public = public.try_into().map_err(|_| CryptoError::Signature)?;
                let signature = signature.try_into().map_err(|_| CryptoError::Signature)?;
                keys::ed25519::verify_strict(public, message, signature)
                    .map_err(|_| CryptoError::Signature)
            }
            Self::MlDsa87 => UnparsedPublicKey::new(&ML_DSA_87, public)
                .verify(message, signature)
                .map_err(|_| CryptoError::Signature),
            #[cfg(feature = "replay")]
            Self::Ecdsa(curve) => curve.verify(public, message, signature),
        }
    }
}

impl Pair {
    fn public(&self) -> &[u8] {
        match self {
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::MlDsa87(pair) => pair.public_key().as_ref(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match self {
            Self::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| CryptoError::Failed),
            Self::MlDsa87(pair) => {
                let mut signature = vec![0; ML_DSA_87_SIGNATURE];
                pair.sign(message, &mut signature)
                    .map_err(|_| CryptoError::Failed)?;
                Ok(signature)
            }
        }
    }
}

impl Signer {
    pub(crate) fn public(&self, scheme: Scheme, secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
        #[cfg(feature = "replay")]
        if let Scheme::Ecdsa(curve) = scheme {
            return curve.public_of(secret);
        }
        Ok(self.expanded(scheme, secret)?.pair.public().to_vec())
    }

    pub(crate) fn sign(
        &self,
        scheme: Scheme,
        secret: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        #[cfg(feature = "replay")]
        if let Scheme::Ecdsa(curve) = scheme {
            return curve.sign(secret, message);
        }
        self.expanded(scheme, secret)?.pair.sign(message)
    }

    fn expanded(&self, scheme: Scheme, seed: &[u8]) -> Result<Arc<Expanded>, CryptoError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && known.scheme == scheme
            && ct_eq(known.seed.expose_secret(), seed)
        {
            return Ok(Arc::clone(known));
        }
        let expanded = Arc::new(Expanded {
            scheme,
            seed: SecretBytes::from(seed),
            pair: scheme.expand(seed)?,
        });
        *last = Some(Arc::clone(&expanded));
        Ok(expanded)
    }
}
