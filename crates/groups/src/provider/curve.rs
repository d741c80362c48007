//! The suites of RFC 9420 with classical curves, for recorded vectors alone.

use super::Parts;
use super::aead::Aead;
use super::error::CryptoError;
use super::kem::{Kem, malformed};
use super::signature::Scheme;
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
};
use keys::sha2::Sha2;
use keys::{Secret, SecretBytes, X25519Public, X25519Secret};
use mls_rs_core::crypto::{CipherSuite, HpkePublicKey, HpkeSecretKey};
use rand_core::CryptoRng;

/// What of RFC 9420, section 17.1 AWS-LC can speak; it has no curve 448.
pub(crate) const SUITES: &[CipherSuite] = &[
    CipherSuite::CURVE25519_AES128,
    CipherSuite::P256_AES128,
    CipherSuite::CURVE25519_CHACHA,
    CipherSuite::P521_AES256,
    CipherSuite::P384_AES256,
];

pub(crate) fn parts(suite: CipherSuite) -> Option<Parts> {
    let (curve, hash, aead) = match suite {
        CipherSuite::CURVE25519_AES128 => (Curve::X25519, Sha2::Sha256, Aead::Aes128Gcm),
        CipherSuite::P256_AES128 => (Curve::P256, Sha2::Sha256, Aead::Aes128Gcm),
        CipherSuite::CURVE25519_CHACHA => (Curve::X25519, Sha2::Sha256, Aead::ChaCha20Poly1305),
        CipherSuite::P521_AES256 => (Curve::P521, Sha2::Sha512, Aead::Aes256Gcm),
        CipherSuite::P384_AES256 => (Curve::P384, Sha2::Sha384, Aead::Aes256Gcm),
        _ => return None,
    };
    let scheme = match curve {
        Curve::X25519 => Scheme::Ed25519,
        _ => Scheme::Ecdsa(curve),
    };
    Some(Parts::new(Kem::Dh(curve), hash, aead, scheme))
}

/// A curve of DHKEM (RFC 9180, section 4.1); ECDSA uses the NIST ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    X25519,
    P256,
    P384,
    P521,
}

/// Scalars of P-521 are the longest.
const LONGEST_SCALAR: usize = 66;

impl Curve {
    pub(crate) const fn kem_id(self) -> u16 {
        match self {
            Self::P256 => 0x0010,
            Self::P384 => 0x0011,
            Self::P521 => 0x0012,
            Self::X25519 => 0x0020,
        }
    }

    fn hash(self) -> Sha2 {
        match self {
            Self::X25519 | Self::P256 => Sha2::Sha256,
            Self::P384 => Sha2::Sha384,
            Self::P521 => Sha2::Sha512,
        }
    }

    fn scalar_len(self) -> usize {
        match self {
            Self::X25519 | Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => LONGEST_SCALAR,
        }
    }

    fn algorithm(self) -> Result<&'static agreement::Algorithm, CryptoError> {
        match self {
            Self::X25519 => Err(CryptoError::Failed),
            Self::P256 => Ok(&ECDH_P256),
            Self::P384 => Ok(&ECDH_P384),
            Self::P521 => Ok(&ECDH_P521),
        }
    }

    fn private(self, scalar: &[u8]) -> Result<PrivateKey, CryptoError> {
        // MLS writes scalars without leading zeros in places (RFC 9420 says nothing of it; the vectors do).
        let mut padded = SecretBytes::new(vec![0; self.scalar_len().saturating_sub(scalar.len())]);
        padded = SecretBytes::new([padded.expose_secret(), scalar].concat());
        PrivateKey::from_private_key(self.algorithm()?, padded.expose_secret()).map_err(malformed)
    }

    pub(crate) fn public_of(self, secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if self == Self::X25519 {
            let secret = Secret::from_slice(secret).ok_or(CryptoError::Malformed)?;
            return Ok(X25519Secret::from_secret(&secret).public().0.to_vec());
        }
        let public = self.private(secret)?.compute_public_key();
        Ok(public.map_err(malformed)?.as_ref().to_vec())
    }

    fn agree(self, secret: &[u8], public: &[u8]) -> Result<SecretBytes, CryptoError> {
        if self == Self::X25519 {
            let secret = Secret::from_slice(secret).ok_or(CryptoError::Malformed)?;
            let public = X25519Public(public.try_into().map_err(malformed)?);
            let shared = X25519Secret::from_secret(&secret)
                .agree(&public)
                .map_err(malformed)?;
            return Ok(SecretBytes::from(&shared.expose_secret()[..]));
        }
        agreement::agree(
            &self.private(secret)?,
            UnparsedPublicKey::new(self.algorithm()?, public),
            CryptoError::Malformed,
            |shared| Ok(SecretBytes::from(shared)),
        )
    }

    pub(crate) fn validate(self, public: &[u8]) -> Result<(), CryptoError> {
        let mut one = vec![0; self.scalar_len()];
        if let Some(last) = one.last_mut() {
            *last = 1;
        }
        self.agree(&one, public).map(drop)
    }

    /// DeriveKeyPair of RFC 9180, section 7.1.3.
    pub(crate) fn derive(self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        let prk = self.extract(b"dkp_prk", ikm);
        let length = self.scalar_len();
        if self == Self::X25519 {
            let secret = self.expand(&prk, b"sk", &[], length)?;
            let public = self.public_of(secret.expose_secret())?;
            return Ok((secret.expose_secret().to_vec().into(), public.into()));
        }
        let mask = if self == Self::P521 { 0x01 } else { 0xff };
        for counter in 0..=255_u8 {
            let mut candidate = self
                .expand(&prk, b"candidate", &[counter], length)?
                .into_zeroizing();
            if let Some(first) = candidate.first_mut() {
                *first &= mask;
            }
            if let Ok(public) = self.public_of(&candidate) {
                return Ok((candidate.to_vec().into(), public.into()));
            }
        }
        Err(CryptoError::Failed)
    }

    /// Encap of DHKEM.
    pub(crate) fn encapsulate(
        self,
        rng: &mut dyn CryptoRng,
        public: &[u8],
    ) -> Result<(Vec<u8>, SecretBytes), CryptoError> {
        let (secret, ephemeral) = self.derive(Secret::<64>::random(rng).expose_secret())?;
        let dh = self.agree(&secret, public)?;
        let shared = self.extract_and_expand(&dh, &ephemeral, public)?;
        Ok((ephemeral.to_vec(), shared))
    }

    /// Decap of DHKEM.
    pub(crate) fn decapsulate(
        self,
        ciphertext: &[u8],
        secret: &[u8],
        public: &[u8],
    ) -> Result<SecretBytes, CryptoError> {
        let dh = self.agree(secret, ciphertext)?;
        self.extract_and_expand(&dh, ciphertext, public)
    }

    fn extract_and_expand(
        self,
        dh: &SecretBytes,
        ciphertext: &[u8],
        public: &[u8],
    ) -> Result<SecretBytes, CryptoError> {
        let prk = self.extract(b"eae_prk", dh.expose_secret());
        let context = [ciphertext, public].concat();
        self.expand(&prk, b"shared_secret", &context, self.hash().output_len())
    }

    fn extract(self, label: &[u8], ikm: &[u8]) -> SecretBytes {
        let id = self.kem_id().to_be_bytes();
        self.hash().extract(&[], &[b"HPKE-v1KEM", &id, label, ikm])
    }

    fn expand(
        self,
        prk: &SecretBytes,
        label: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretBytes, CryptoError> {
        let written = u16::try_from(length).map_err(|_| CryptoError::TooLong)?;
        let id = self.kem_id().to_be_bytes();
        let info = [&written.to_be_bytes(), &b"HPKE-v1KEM"[..], &id, label, info];
        self.hash()
            .expand(prk.expose_secret(), &info, length)
            .ok_or(CryptoError::TooLong)
    }

    pub(crate) fn signing_pair(
        self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        let (secret, public) = self.derive(Secret::<64>::random(rng).expose_secret())?;
        Ok((secret.to_vec(), public.to_vec()))
    }

    pub(crate) fn sign(self, secret: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let algorithm: &'static EcdsaSigningAlgorithm = match self {
            Self::X25519 => return Err(CryptoError::Failed),
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        };
        let private = self.private(secret)?;
        let scalar: EcPrivateKeyBin<'_> = private.as_be_bytes().map_err(malformed)?;
        let public = self.public_of(secret)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "ECDSA of AWS-LC takes no other, and only vectors are signed with it"
        )]
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar.as_ref(), &public)
            .map_err(malformed)?
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| CryptoError::Failed)
    }

    pub(crate) fn verify(
        self,
        public: &[u8],
        message: &[u8],
        signed: &[u8],
    ) -> Result<(), CryptoError> {
        let algorithm: &'static EcdsaVerificationAlgorithm = match self {
            Self::X25519 => return Err(CryptoError::Failed),
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::P521 => &ECDSA_P521_SHA512_ASN1,
        };
        signature::UnparsedPublicKey::new(algorithm, public)
            .verify(message, signed)
            .map_err(|_| CryptoError::Signature)
    }
}
