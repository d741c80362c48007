//! ChaCha20-Poly1305 (RFC 8439): the AEAD of the age format.

use crate::aead::{OpenError, TAG_LEN};
use crate::secret::Secret;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// A ChaCha20-Poly1305 key.
pub struct ChaChaKey(LessSafeKey);

impl ChaChaKey {
    /// Takes a key.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are what ChaCha20-Poly1305 takes"
        )]
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose_secret()).expect("32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Seals the head of a buffer, all but its last 16 bytes, and writes the tag there. One nonce seals one plaintext
    /// under one key.
    ///
    /// # Errors
    /// [`OpenError`]: the buffer has fewer than 16 bytes, or more than 2^36.
    pub fn seal_buffer(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), OpenError> {
        let length = buffer.len().checked_sub(TAG_LEN).ok_or(OpenError)?;
        let (plain, room) = buffer.split_at_mut_checked(length).ok_or(OpenError)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), plain)
            .map_err(|_| OpenError)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
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

/// Returns `ciphertext ‖ tag`.
///
/// # Errors
/// [`OpenError`]: more than 2^36 bytes.
pub fn chacha_seal(
    key: &Secret<32>,
    nonce: &[u8; 12],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let mut buffer = [plaintext, &[0; TAG_LEN]].concat();
    ChaChaKey::new(key).seal_buffer(nonce, aad, &mut buffer)?;
    Ok(buffer)
}

/// Opens what [`chacha_seal`] sealed.
///
/// # Errors
/// [`OpenError`]: key, nonce, associated data or a bit differs.
pub fn chacha_open(
    key: &Secret<32>,
    nonce: &[u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let mut buffer = sealed.to_vec();
    let length = ChaChaKey::new(key)
        .open_in_place(nonce, aad, &mut buffer)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}
