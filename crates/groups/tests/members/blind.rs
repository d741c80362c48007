//! Cryptography that looks at nothing when it is told so: with it, a client makes what the library itself would refuse.

use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey,
    HpkeSecretKey, SignaturePublicKey, SignatureSecretKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use zeroize::Zeroizing;

/// The suite for which everything is taken meanwhile; 0: nothing is taken that does not hold.
pub(crate) type Blindness = Arc<AtomicU16>;

#[derive(Clone)]
pub(crate) struct Blind<P> {
    honest: P,
    to: Blindness,
}

impl<P> Blind<P> {
    pub(crate) fn new(honest: P, to: Blindness) -> Self {
        Self { honest, to }
    }
}

impl<P: CryptoProvider> CryptoProvider for Blind<P> {
    type CipherSuiteProvider = Blind<P::CipherSuiteProvider>;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        self.honest.supported_cipher_suites()
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Self::CipherSuiteProvider> {
        let honest = self.honest.cipher_suite_provider(suite)?;
        Some(Blind::new(honest, self.to.clone()))
    }
}

impl<S> Blind<S> {
    fn taken_for(&self) -> Option<CipherSuite> {
        match self.to.load(Ordering::Relaxed) {
            0 => None,
            suite => Some(CipherSuite::new(suite)),
        }
    }
}

/// Functions that are never blind.
macro_rules! honest {
    ($(fn $name:ident($($arg:ident: $of:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $of),*) -> $out {
            self.honest.$name($($arg),*)
        })*
    };
}

impl<S: CipherSuiteProvider> CipherSuiteProvider for Blind<S> {
    type Error = S::Error;
    type HpkeContextS = S::HpkeContextS;
    type HpkeContextR = S::HpkeContextR;

    fn cipher_suite(&self) -> CipherSuite {
        self.taken_for().unwrap_or(self.honest.cipher_suite())
    }

    fn verify(
        &self,
        key: &SignaturePublicKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), S::Error> {
        match self.taken_for() {
            Some(_) => Ok(()),
            None => self.honest.verify(key, signature, data),
        }
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), S::Error> {
        match self.taken_for() {
            Some(_) => Ok(()),
            None => self.honest.kem_public_key_validate(key),
        }
    }

    /// To nobody, where the key is none of the suite.
    fn hpke_seal(
        &self,
        key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, S::Error> {
        let sealed = self.honest.hpke_seal(key, info, aad, plaintext);
        if sealed.is_ok() || self.taken_for().is_none() {
            return sealed;
        }
        let (_, nobody) = self.honest.kem_generate()?;
        self.honest.hpke_seal(&nobody, info, aad, plaintext)
    }

    honest! {
        fn hash(data: &[u8]) -> Result<Vec<u8>, S::Error>;
        fn mac(key: &[u8], data: &[u8]) -> Result<Vec<u8>, S::Error>;
        fn aead_seal(key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, S::Error>;
        fn aead_open(key: &[u8], sealed: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Zeroizing<Vec<u8>>, S::Error>;
        fn aead_key_size() -> usize;
        fn aead_nonce_size() -> usize;
        fn kdf_extract(salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, S::Error>;
        fn kdf_expand(prk: &[u8], info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, S::Error>;
        fn kdf_extract_size() -> usize;
        fn hpke_seal_psk(key: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>, plaintext: &[u8], psk: HpkePsk<'_>) -> Result<HpkeCiphertext, S::Error>;
        fn hpke_open(sealed: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, S::Error>;
        fn hpke_open_psk(sealed: &HpkeCiphertext, secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8], aad: Option<&[u8]>, psk: HpkePsk<'_>) -> Result<Zeroizing<Vec<u8>>, S::Error>;
        fn hpke_setup_s(key: &HpkePublicKey, info: &[u8]) -> Result<(Vec<u8>, S::HpkeContextS), S::Error>;
        fn hpke_setup_r(sent: &[u8], secret: &HpkeSecretKey, public: &HpkePublicKey, info: &[u8]) -> Result<S::HpkeContextR, S::Error>;
        fn kem_derive(ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), S::Error>;
        fn kem_generate() -> Result<(HpkeSecretKey, HpkePublicKey), S::Error>;
        fn random_bytes(out: &mut [u8]) -> Result<(), S::Error>;
        fn signature_key_generate() -> Result<(SignatureSecretKey, SignaturePublicKey), S::Error>;
        fn signature_key_derive_public(secret: &SignatureSecretKey) -> Result<SignaturePublicKey, S::Error>;
        fn sign(secret: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, S::Error>;
    }
}
