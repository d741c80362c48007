//! The cryptography that MLS runs on: `mls-rs` over AWS-LC and `keys`.
//!
//! | suite | KEM | HPKE and hash | AEAD | signature |
//! |---|---|---|---|---|
//! | [`HYBRID`] | X-Wing | SHA-384 | AES-256-GCM | Ed25519 |
//! | [`CNSA2`] | ML-KEM-1024 | SHA-384 | AES-256-GCM | ML-DSA-87 |
//!
//! Secret keys are kept as seeds: X-Wing 32 bytes, ML-KEM 64, Ed25519 and ML-DSA 32.
//!
//! *Source*: RFC 9420, section 17.1; draft-ietf-mls-pq-ciphersuites; RFC 9180.

mod aead;
#[cfg(feature = "replay")]
mod curve;
mod error;
mod hpke;
mod kem;
mod last_hash;
mod last_key;
mod signature;
mod suite;
#[cfg(test)]
mod tests;

use self::aead::Aead;
use self::hpke::{Hpke, LastInfo};
use self::kem::Kem;
use self::last_hash::LastHash;
use self::last_key::LastKey;
use self::signature::{Scheme, Signer};
use keys::Secret;
use keys::sha2::Sha2;
use mls_rs_core::crypto::{CipherSuite, CryptoProvider};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

pub(crate) use self::suite::SuiteProvider;

/// `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519`.
pub(crate) const HYBRID: CipherSuite = CipherSuite::new(0x004e);
/// `MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87`.
pub(crate) const CNSA2: CipherSuite = CipherSuite::new(0x0907);

/// What a cipher suite is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    hash: Sha2,
    hpke: Hpke,
    scheme: Scheme,
}

impl Parts {
    fn of(suite: CipherSuite) -> Option<Self> {
        static HYBRID_PARTS: LazyLock<Parts> =
            LazyLock::new(|| Parts::ours(Kem::XWing, Scheme::Ed25519));
        static CNSA2_PARTS: LazyLock<Parts> =
            LazyLock::new(|| Parts::ours(Kem::MlKem1024, Scheme::MlDsa87));
        match suite {
            HYBRID => Some(*HYBRID_PARTS),
            CNSA2 => Some(*CNSA2_PARTS),
            _ => None,
        }
    }

    fn ours(kem: Kem, scheme: Scheme) -> Self {
        Self::new(kem, Sha2::Sha384, Aead::Aes256Gcm, scheme)
    }

    fn new(kem: Kem, hash: Sha2, aead: Aead, scheme: Scheme) -> Self {
        let hpke = Hpke::new(kem, hash, aead);
        Self { hash, hpke, scheme }
    }
}

/// Cryptography for one device, all of whose randomness comes from one seed; clones draw from the same stream.
///
/// ML-DSA alone draws from the system too: its signatures are hedged.
#[derive(Clone)]
pub(crate) struct Provider {
    shared: Arc<Shared>,
    suites: Suites,
}

struct Shared {
    random: Mutex<ChaCha20Rng>,
    signer: Signer,
    last_key: LastKey,
    /// Of the epoch's sender data: for each message it is the same, and it is part of the state as long as the epoch.
    sender_data: LastKey,
    last_info: LastInfo,
    last_hash: LastHash,
}

/// Which suites a provider speaks.
#[derive(Clone, Copy)]
enum Suites {
    Ours,
    #[cfg(feature = "replay")]
    Classical,
}

impl Suites {
    fn all(self) -> &'static [CipherSuite] {
        match self {
            Self::Ours => &[HYBRID, CNSA2],
            #[cfg(feature = "replay")]
            Self::Classical => curve::SUITES,
        }
    }

    fn parts(self, suite: CipherSuite) -> Option<Parts> {
        match self {
            Self::Ours => Parts::of(suite),
            #[cfg(feature = "replay")]
            Self::Classical => curve::parts(suite),
        }
    }
}

impl Provider {
    /// Speaks [`HYBRID`] and [`CNSA2`]. The seed must be fresh from the system's entropy each time the program starts:
    /// two runs from one seed would use one key for two texts.
    pub(crate) fn new(seed: Secret<32>) -> Self {
        Self::with(seed, Suites::Ours)
    }

    /// Speaks the suites of RFC 9420 that have a curve which AWS-LC has, for recorded vectors.
    #[cfg(feature = "replay")]
    pub(crate) fn classical(seed: Secret<32>) -> Self {
        Self::with(seed, Suites::Classical)
    }

    fn with(seed: Secret<32>, suites: Suites) -> Self {
        Self {
            shared: Arc::new(Shared {
                random: Mutex::new(ChaCha20Rng::from_seed(*seed.expose_secret())),
                signer: Signer::default(),
                last_key: LastKey::default(),
                sender_data: LastKey::default(),
                last_info: LastInfo::default(),
                last_hash: LastHash::default(),
            }),
            suites,
        }
    }
}

impl CryptoProvider for Provider {
    type CipherSuiteProvider = SuiteProvider;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        self.suites.all().to_vec()
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<SuiteProvider> {
        let parts = self.suites.parts(suite)?;
        Some(SuiteProvider::new(suite, parts, Arc::clone(&self.shared)))
    }
}

impl Shared {
    fn draw<R>(&self, draw: impl FnOnce(&mut ChaCha20Rng) -> R) -> R {
        // Whoever panicked while drawing left a generator that is as good as before.
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        draw(&mut random)
    }
}
