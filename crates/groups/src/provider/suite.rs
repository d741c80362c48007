//! One cipher suite, as `mls-rs` asks for it.

use super::error::CryptoError;
use super::hpke::{Context, Info};
use super::{Parts, Shared};
use keys::SecretBytes;
use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider, HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey,
    SignaturePublicKey, SignatureSecretKey,
};
use rand_core::Rng as _;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A cipher suite over the shared stream of randomness.
#[derive(Clone)]
pub(crate) struct SuiteProvider {
    suite: CipherSuite,
    parts: Parts,
    pub(super) shared: Arc<Shared>,
}

impl SuiteProvider {
    pub(super) fn new(suite: CipherSuite, parts: Parts, shared: Arc<Shared>) -> Self {
        Self {
            suite,
            parts,
            shared,
        }
    }

    fn info<'a>(&'a self, bytes: &'a [u8]) -> Info<'a> {
        self.shared.last_key.forget();
        let last = &self.shared.last_info;
        Info { bytes, last }
    }

    fn seal(
        &self,
        to: &HpkePublicKey,
        (info, aad): (&[u8], Option<&[u8]>),
        plaintext: &[u8],
        psk: Option<HpkePsk<'_>>,
    ) -> Result<HpkeCiphertext, CryptoError> {
        let (kem_output, mut context) = self.shared.draw(|rng| {
            let info = self.info(info);
            self.parts.hpke.set_up_sender(rng, to, &info, psk)
        })?;
        let ciphertext = context.seal(aad.unwrap_or_default(), plaintext)?;
        Ok(HpkeCiphertext {
            kem_output,
            ciphertext,
        })
    }

    fn open(
        &self,
        sealed: &HpkeCiphertext,
        pair: (&HpkeSecretKey, &HpkePublicKey),
        (info, aad): (&[u8], Option<&[u8]>),
        psk: Option<HpkePsk<'_>>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.parts
            .hpke
            .set_up_receiver(&sealed.kem_output, (pair.0, pair.1), &self.info(info), psk)?
            .open(aad.unwrap_or_default(), &sealed.ciphertext)
    }
}

/// Whether a `KDFLabel` derives the key or the nonce of a message's sender data: its context is a sample of the ciphertext,
/// as long as a hash, where that of a ratchet is a number of four bytes (RFC 9420, sections 6.3.2 and 9.1).
fn is_of_sender_data(info: &[u8], sample: usize) -> bool {
    let label = info.get(2..).unwrap_or_default();
    let context = label
        .strip_prefix(b"\x0bMLS 1.0 key")
        .or_else(|| label.strip_prefix(b"\x0dMLS 1.0 nonce"))
        .and_then(<[u8]>::split_first);
    context.is_some_and(|(&length, rest)| usize::from(length) == sample && rest.len() == sample)
}

impl CipherSuiteProvider for SuiteProvider {
    type Error = CryptoError;
    type HpkeContextS = Context;
    type HpkeContextR = Context;

    fn cipher_suite(&self) -> CipherSuite {
        self.suite
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.shared.last_hash.hash(self.parts.hash, data))
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.shared.last_key.forget();
        let tag = self.parts.hash.hmac(key, &[data]);
        Ok(tag.expose_secret().to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        // SECURITY: here and below, `what_a_key_was_derived_of_is_forgotten` notices.
        self.shared.last_key.forget();
        let key = self.parts.hpke.aead.key(key)?;
        key.seal(nonce, aad.unwrap_or_default(), data)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.shared.last_key.forget();
        let key = self.parts.hpke.aead.key(key)?;
        key.open(nonce, aad.unwrap_or_default(), ciphertext)
    }

    fn aead_key_size(&self) -> usize {
        self.parts.hpke.aead.key_len()
    }

    fn aead_nonce_size(&self) -> usize {
        self.parts.hpke.aead.nonce_len()
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        // The key schedule of an epoch begins so: that of the one before is left.
        self.shared.sender_data.forget();
        Ok(self.parts.hash.extract(salt, &[ikm]).into_zeroizing())
    }

    fn kdf_expand(
        &self,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let hash = self.parts.hash;
        let kept = if is_of_sender_data(info, hash.output_len()) {
            &self.shared.sender_data
        } else {
            &self.shared.last_key
        };
        kept.expand(hash, prk, info, len)
            .map(SecretBytes::into_zeroizing)
            .ok_or(CryptoError::TooLong)
    }

    fn kdf_extract_size(&self) -> usize {
        self.parts.hash.output_len()
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.seal(remote_key, (info, aad), pt, None)
    }

    fn hpke_seal_psk(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.seal(remote_key, (info, aad), pt, Some(psk))
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.open(ciphertext, (local_secret, local_public), (info, aad), None)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let pair = (local_secret, local_public);
        self.open(ciphertext, pair, (info, aad), Some(psk))
    }

    fn hpke_setup_s(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Context), CryptoError> {
        self.shared.draw(|rng| {
            let info = self.info(info);
            self.parts.hpke.set_up_sender(rng, remote_key, &info, None)
        })
    }

    fn hpke_setup_r(
        &self,
        kem_output: &[u8],
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Context, CryptoError> {
        let pair: (&[u8], &[u8]) = (local_secret, local_public);
        self.parts
            .hpke
            .set_up_receiver(kem_output, pair, &self.info(info), None)
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        self.parts.hpke.kem.derive(ikm)
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        self.shared.draw(|rng| self.parts.hpke.kem.generate(rng))
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), CryptoError> {
        self.parts.hpke.kem.validate(key)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.shared.draw(|rng| rng.fill_bytes(out));
        Ok(())
    }

    fn signature_key_generate(
        &self,
    ) -> Result<(SignatureSecretKey, SignaturePublicKey), CryptoError> {
        let (secret, public) = self.shared.draw(|rng| self.parts.scheme.generate(rng))?;
        Ok((secret.into(), public.into()))
    }

    fn signature_key_derive_public(
        &self,
        secret_key: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, CryptoError> {
        let public = self.shared.signer.public(self.parts.scheme, secret_key)?;
        Ok(public.into())
    }

    fn sign(&self, secret_key: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.shared.last_key.forget();
        self.shared.signer.sign(self.parts.scheme, secret_key, data)
    }

    fn verify(
        &self,
        public_key: &SignaturePublicKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), CryptoError> {
        self.shared.last_key.forget();
        self.parts.scheme.verify(public_key, data, signature)
    }
}
