//! Authenticated encryption with a key of a length known at run time.

use super::error::CryptoError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// An AEAD and its number in HPKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes256Gcm,
    #[cfg(feature = "replay")]
    Aes128Gcm,
    #[cfg(feature = "replay")]
    ChaCha20Poly1305,
}

impl Aead {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes256Gcm => &AES_256_GCM,
            #[cfg(feature = "replay")]
            Self::Aes128Gcm => &aws_lc_rs::aead::AES_128_GCM,
            #[cfg(feature = "replay")]
            Self::ChaCha20Poly1305 => &aws_lc_rs::aead::CHACHA20_POLY1305,
        }
    }

    /// RFC 9180, section 7.3.
    pub(crate) const fn id(self) -> u16 {
        match self {
            #[cfg(feature = "replay")]
            Self::Aes128Gcm => 1,
            Self::Aes256Gcm => 2,
            #[cfg(feature = "replay")]
            Self::ChaCha20Poly1305 => 3,
        }
    }

    pub(crate) fn key_len(self) -> usize {
        self.algorithm().key_len()
    }

    #[expect(clippy::unused_self, reason = "every AEAD has the same")]
    pub(crate) const fn nonce_len(self) -> usize {
        NONCE_LEN
    }

    pub(crate) fn key(self, key: &[u8]) -> Result<AeadKey, CryptoError> {
        let key = UnboundKey::new(self.algorithm(), key).map_err(|_| CryptoError::Malformed)?;
        Ok(AeadKey(LessSafeKey::new(key)))
    }
}

/// A key with its schedule computed.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    /// `ciphertext ‖ tag`.
    pub(crate) fn seal(
        &self,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Malformed)?;
        let tag_len = self.0.algorithm().tag_len();
        let mut out = Vec::with_capacity(plaintext.len().saturating_add(tag_len));
        out.extend_from_slice(plaintext);
        self.0
            .seal_in_place_append_tag(nonce, Aad::from(aad), &mut out)
            .map_err(|_| CryptoError::Failed)?;
        Ok(out)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Malformed)?;
        let mut out = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(aad), &mut out)
            .map_err(|_| CryptoError::Open)?
            .len();
        out.truncate(length);
        Ok(out)
    }
}
