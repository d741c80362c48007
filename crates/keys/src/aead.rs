//! AES-256-GCM and, for the `signal` profile only, AES-256-CBC.

use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

/// Length of an AES-GCM tag in bytes.
pub const TAG_LEN: usize = 16;

/// The bytes do not open under this key: changed, cut, or sealed for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not open under this key")]
pub struct OpenError;

/// An AES-256-GCM key with its schedule computed, for many calls under one key.
pub struct GcmKey(LessSafeKey);

impl GcmKey {
    /// Computes the key schedule.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "32 bytes are what AES-256-GCM takes")]
        let key = UnboundKey::new(&AES_256_GCM, key.expose_secret()).expect("32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts in place and appends the tag. One nonce seals one plaintext under one key.
    pub fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut Vec<u8>) {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        #[expect(
            clippy::expect_used,
            reason = "fails only beyond 2^36 bytes, which no Vec of ours has"
        )]
        self.0
            .seal_in_place_append_tag(nonce, Aad::from(aad), in_out)
            .expect("short enough");
    }

    /// Encrypts in place and returns the tag.
    #[must_use]
    pub fn seal_separate_tag(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        #[expect(
            clippy::expect_used,
            reason = "fails only beyond 2^36 bytes, which no buffer of ours has"
        )]
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), in_out)
            .expect("short enough");
        let mut out = [0; TAG_LEN];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Decrypts `ciphertext ‖ tag` in place and returns the plaintext at its head.
    ///
    /// # Errors
    /// [`OpenError`]; the buffer then holds nothing of the plaintext.
    pub fn open_in_place<'a>(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], OpenError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place(nonce, Aad::from(aad), in_out)
            .map_err(|_| OpenError)
    }
}

impl GcmKey {
    /// Decrypts `ciphertext ‖ tag` into `out`, which has the length of the ciphertext.
    ///
    /// # Errors
    /// [`OpenError`]; `out` then holds nothing of the plaintext.
    pub fn open_into(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenError)?;
        if ciphertext.len() != out.len() {
            return Err(OpenError);
        }
        self.0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, out)
            .map_err(|_| {
                out.fill(0);
                OpenError
            })
    }
}

/// AES-256-GCM (NIST SP 800-38D): returns `ciphertext ‖ tag`.
#[must_use]
pub fn gcm_seal(key: &Secret<32>, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN));
    out.extend_from_slice(plaintext);
    GcmKey::new(key).seal_in_place(nonce, aad, &mut out);
    out
}

/// Opens what [`gcm_seal`] sealed.
///
/// # Errors
/// [`OpenError`]: key, nonce, associated data or a bit differs.
pub fn gcm_open(
    key: &Secret<32>,
    nonce: &[u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let mut buffer = sealed.to_vec();
    let length = GcmKey::new(key)
        .open_in_place(nonce, aad, &mut buffer)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// AES-256-CBC with PKCS#7 padding (NIST SP 800-38A). It authenticates nothing: a MAC must cover the result.
#[must_use]
pub fn cbc_encrypt(key: &Secret<32>, iv: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    let mut out = plaintext.to_vec();
    #[expect(
        clippy::expect_used,
        reason = "32 bytes are what AES-256 takes, and CBC takes any length"
    )]
    let () = UnboundCipherKey::new(&AES_256, key.expose_secret())
        .and_then(PaddedBlockEncryptingKey::cbc_pkcs7)
        .and_then(|key| {
            key.less_safe_encrypt(&mut out, EncryptionContext::Iv128(FixedLength::from(*iv)))
        })
        .map(drop)
        .expect("32 bytes");
    out
}

/// Undoes [`cbc_encrypt`]. Call it only after a MAC over `ciphertext` has held.
///
/// # Errors
/// [`OpenError`]: the length is zero or no multiple of 16, or the padding is wrong.
pub fn cbc_decrypt(
    key: &Secret<32>,
    iv: &[u8; 16],
    ciphertext: &[u8],
) -> Result<Vec<u8>, OpenError> {
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(16) {
        return Err(OpenError);
    }
    let mut buffer = ciphertext.to_vec();
    let key = UnboundCipherKey::new(&AES_256, key.expose_secret())
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(|_| OpenError)?;
    let length = key
        .decrypt(
            &mut buffer,
            DecryptionContext::Iv128(FixedLength::from(*iv)),
        )
        .map_err(|_| OpenError)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}
