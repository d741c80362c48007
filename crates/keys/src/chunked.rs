//! Chunked encryption: C2SP chunked-encryption, instance Cobblestone-256 (SHA-512, AES-256-GCM).
//!
//! ```text
//!  salt 24 ‖ commitment 32 ‖ chunk 0 ‖ chunk 1 ‖ ...      chunk: up to 16 KiB and a 16-byte tag;
//!                                                        the last one is shorter than 16 KiB, perhaps empty
//! ```
//!
//! *Formula*: `key ‖ base nonce ‖ commitment = HKDF-Expand(input key, "c2sp.org/chunked-encryption@v1+" ‖
//! "AEAD_AES_256_GCM" ‖ 00 ‖ salt ‖ context)`; the nonce of chunk i is the base nonce XOR i.
//!
//! A [`ChunkedKey`] for opening comes only of a header whose commitment holds (I9).

use crate::aead::{GcmKey, OpenError, TAG_LEN};
use crate::kdf::hkdf_expand_sha512_of;
use crate::secret::{Secret, ct_eq};

/// Plaintext bytes of a whole chunk.
pub const CHUNK_LEN: usize = 16 * 1024;
/// Bytes of a whole chunk when sealed.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = 24 + 32;
/// Chunks are numbered below this.
const MAX_CHUNKS: u64 = 1 << 38;
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// What seals or opens the chunks of one message.
///
/// ```
/// use letterlock_keys::{Secret, chunked};
/// let input = Secret::from_slice(&[1; 32]).unwrap();
/// let (key, header) = chunked::ChunkedKey::for_sealing(&input, &[2; 24], b"context");
/// let mut chunk = b"short".to_vec();
/// key.seal(0, &mut chunk)?;
/// let key = chunked::ChunkedKey::for_opening(&input, &header, b"context")?;
/// assert_eq!(key.open(0, &mut chunk)?, b"short");
/// # Ok::<(), letterlock_keys::OpenError>(())
/// ```
pub struct ChunkedKey {
    key: GcmKey,
    base_nonce: [u8; 12],
}

impl ChunkedKey {
    /// Derives the key of a new message and its header. One input key and salt seal one message.
    #[must_use]
    pub fn for_sealing(
        input: &Secret<32>,
        salt: &[u8; 24],
        context: &[u8],
    ) -> (Self, [u8; HEADER_LEN]) {
        let (key, commitment) = Self::derive(input, salt, context);
        let mut header = [0; HEADER_LEN];
        let (head, tail) = header.split_at_mut(24);
        head.copy_from_slice(salt);
        tail.copy_from_slice(&commitment);
        (key, header)
    }

    /// Derives the key of a message that came with `header`.
    ///
    /// # Errors
    /// [`OpenError`]: the commitment is not that of this key and context.
    pub fn for_opening(
        input: &Secret<32>,
        header: &[u8; HEADER_LEN],
        context: &[u8],
    ) -> Result<Self, OpenError> {
        let (salt, stated) = header.split_first_chunk::<24>().ok_or(OpenError)?;
        let (key, commitment) = Self::derive(input, salt, context);
        // SECURITY: without it one ciphertext could open under two keys; `wrong_commitment_is_refused` notices.
        if ct_eq(&commitment, stated) {
            Ok(key)
        } else {
            Err(OpenError)
        }
    }

    fn derive(input: &Secret<32>, salt: &[u8; 24], context: &[u8]) -> (Self, [u8; 32]) {
        let okm: Secret<76> = hkdf_expand_sha512_of(input.expose_secret(), &[INFO, salt, context]);
        let (mut base_nonce, mut commitment) = ([0; 12], [0; 32]);
        let (key, rest) = okm.expose_secret().split_at(32);
        let (nonce, committed) = rest.split_at(12);
        base_nonce.copy_from_slice(nonce);
        commitment.copy_from_slice(committed);
        let key = Secret::from_fn(|out: &mut [u8; 32]| out.copy_from_slice(key));
        (
            Self {
                key: GcmKey::new(&key),
                base_nonce,
            },
            commitment,
        )
    }

    fn nonce(&self, chunk: u64) -> [u8; 12] {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce.iter_mut().skip(4).zip(chunk.to_be_bytes()) {
            *byte ^= counter;
        }
        nonce
    }

    /// Seals a chunk in place and appends its tag. All chunks are whole but the last.
    ///
    /// # Errors
    /// [`OpenError`]: the chunk is longer than 16 KiB or its number too large.
    pub fn seal(&self, number: u64, chunk: &mut Vec<u8>) -> Result<(), OpenError> {
        if chunk.len() > CHUNK_LEN || number >= MAX_CHUNKS {
            return Err(OpenError);
        }
        self.key.seal_in_place(&self.nonce(number), &[], chunk);
        Ok(())
    }

    /// Seals the head of a buffer, all but its last 16 bytes, and writes the tag there.
    ///
    /// # Errors
    /// [`OpenError`]: the buffer has fewer than 16 or more than 16 KiB and 16 bytes, or the number is too large.
    pub fn seal_buffer(&self, number: u64, buffer: &mut [u8]) -> Result<(), OpenError> {
        let (chunk, room) = buffer.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError)?;
        if chunk.len() > CHUNK_LEN || number >= MAX_CHUNKS {
            return Err(OpenError);
        }
        *room = self.key.seal_separate_tag(&self.nonce(number), &[], chunk);
        Ok(())
    }

    /// Opens a chunk in place and returns its plaintext. Whether it is the last one its length tells: a last
    /// chunk is shorter than 16 KiB; a message without one was cut.
    ///
    /// # Errors
    /// [`OpenError`]: changed, of another place or message, or of impossible length.
    pub fn open<'a>(&self, number: u64, sealed: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        if sealed.len() > SEALED_CHUNK_LEN || number >= MAX_CHUNKS {
            return Err(OpenError);
        }
        self.key.open_in_place(&self.nonce(number), &[], sealed)
    }

    /// Opens a chunk into `out`, which has its length without the tag. Else as [`ChunkedKey::open`].
    ///
    /// # Errors
    /// [`OpenError`]; `out` then holds nothing of the plaintext.
    pub fn open_into(&self, number: u64, sealed: &[u8], out: &mut [u8]) -> Result<(), OpenError> {
        if sealed.len() > SEALED_CHUNK_LEN || number >= MAX_CHUNKS {
            return Err(OpenError);
        }
        self.key.open_into(&self.nonce(number), &[], sealed, out)
    }
}

/// Length of the ciphertext of a message. `None`: too long.
#[must_use]
pub fn sealed_len(plain: u64) -> Option<u64> {
    let chunks = plain.checked_div(CHUNK_LEN as u64)?.checked_add(1)?;
    if chunks > MAX_CHUNKS {
        return None;
    }
    chunks
        .checked_mul(TAG_LEN as u64)?
        .checked_add(plain)?
        .checked_add(HEADER_LEN as u64)
}

/// Length of the message of a ciphertext. `None`: no message has a ciphertext of this length.
#[must_use]
pub fn plain_len(sealed: u64) -> Option<u64> {
    let body = sealed.checked_sub(HEADER_LEN as u64)?;
    let whole = body.checked_div(SEALED_CHUNK_LEN as u64)?;
    if whole >= MAX_CHUNKS {
        return None;
    }
    let last = body
        .checked_rem(SEALED_CHUNK_LEN as u64)?
        .checked_sub(TAG_LEN as u64)?;
    whole.checked_mul(CHUNK_LEN as u64)?.checked_add(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[test]
    fn wrong_commitment_is_refused() {
        let input = Secret::from_slice(&[1; 32]).unwrap();
        let (_, mut header) = ChunkedKey::for_sealing(&input, &[2; 24], b"c");
        assert!(ChunkedKey::for_opening(&input, &header, b"other").is_err());
        header[30] ^= 1;
        assert!(ChunkedKey::for_opening(&input, &header, b"c").is_err());
    }

    #[test]
    fn chunks_do_not_change_places() {
        let input = Secret::from_slice(&[1; 32]).unwrap();
        let (key, _) = ChunkedKey::for_sealing(&input, &[2; 24], b"c");
        let mut chunk = vec![7; CHUNK_LEN];
        key.seal(3, &mut chunk).unwrap();
        assert!(key.open(4, &mut chunk.clone()).is_err());
        assert_eq!(key.open(3, &mut chunk).unwrap(), &[7; CHUNK_LEN][..]);
    }

    #[test]
    fn lengths_agree_both_ways() {
        for plain in [0, 1, 16_383, 16_384, 16_385, 1 << 31] {
            assert_eq!(plain_len(sealed_len(plain).unwrap()), Some(plain));
        }
        assert_eq!(plain_len(HEADER_LEN as u64), None);
        assert_eq!(plain_len(HEADER_LEN as u64 + SEALED_CHUNK_LEN as u64), None);
    }
}
