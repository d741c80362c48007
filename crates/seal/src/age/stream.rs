//! The payload: STREAM (Hoang et al., CRYPTO 2015) with ChaCha20-Poly1305 in chunks of 64 KiB.
//!
//! *Formula*: the nonce of a chunk is its number, 11 bytes, big-endian, and 01 if it is the last, else 00. The last chunk
//! is not empty, unless it is the only one.

use keys::{ChaChaKey, OpenError, Secret, TAG_LEN};
use zeroize::Zeroizing;

/// Plaintext bytes of a whole chunk.
pub(crate) const CHUNK_LEN: usize = 64 << 10;
/// Bytes of a whole chunk when sealed.
pub(crate) const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Chunks that a thread takes at once.
pub(crate) const BLOCK_CHUNKS: usize = 16;
/// Plaintext bytes of them.
pub(crate) const BLOCK_LEN: usize = BLOCK_CHUNKS * CHUNK_LEN;
/// Bytes of them when sealed.
pub(crate) const SEALED_BLOCK_LEN: usize = BLOCK_CHUNKS * SEALED_CHUNK_LEN;

/// What seals or opens the chunks of one file.
pub(crate) struct StreamKey(ChaChaKey);

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (byte, counter) in nonce.iter_mut().skip(3).zip(number.to_be_bytes()) {
        *byte = counter;
    }
    let [.., flag] = &mut nonce;
    *flag = u8::from(last);
    nonce
}

impl StreamKey {
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self(ChaChaKey::new(key))
    }

    /// Seals the head of a buffer, all but its last 16 bytes.
    pub(crate) fn seal(&self, number: u64, last: bool, buffer: &mut [u8]) -> Result<(), OpenError> {
        self.0.seal_buffer(&nonce(number, last), &[], buffer)
    }

    /// Opens a chunk in place.
    pub(crate) fn open<'a>(
        &self,
        number: u64,
        last: bool,
        chunk: &'a mut [u8],
    ) -> Result<&'a mut [u8], OpenError> {
        self.0.open_in_place(&nonce(number, last), &[], chunk)
    }
}

/// Lengths of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of the plaintext.
    pub(crate) length: u64,
    /// Chunks, one at least.
    pub(crate) chunks: u64,
}

impl Layout {
    /// Of so many sealed bytes. Nothing: no payload has this length.
    pub(crate) fn of_sealed(sealed: u64) -> Option<Self> {
        let chunks = sealed.div_ceil(SEALED_CHUNK_LEN as u64);
        let tags = chunks.checked_mul(TAG_LEN as u64)?;
        let length = sealed.checked_sub(tags)?;
        let layout = Self { length, chunks };
        (chunks > 0 && layout == Self::of_plain(length)).then_some(layout)
    }

    /// Of so many bytes.
    pub(crate) fn of_plain(length: u64) -> Self {
        let chunks = length.div_ceil(CHUNK_LEN as u64).max(1);
        Self { length, chunks }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.chunks.div_ceil(BLOCK_CHUNKS as u64)
    }

    pub(crate) fn is_last(&self, chunk: u64) -> bool {
        chunk.checked_add(1) == Some(self.chunks)
    }
}

/// Room for a block, in which it is sealed and opened; wiped at the end.
pub(crate) fn room(chunks: usize) -> Zeroizing<Vec<u8>> {
    let chunks = chunks.clamp(1, BLOCK_CHUNKS);
    Zeroizing::new(vec![0; chunks.saturating_mul(SEALED_CHUNK_LEN)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "test code")]
    use super::*;

    #[test]
    fn lengths_that_no_sealer_writes_are_none() {
        let (chunk, tag) = (SEALED_CHUNK_LEN as u64, TAG_LEN as u64);
        for bad in [0, 1, tag - 1, chunk + 1, chunk + tag, 2 * chunk + tag - 1] {
            assert_eq!(Layout::of_sealed(bad), None, "{bad}");
        }
        for (sealed, length, chunks) in [
            (tag, 0, 1),
            (tag + 1, 1, 1),
            (chunk, 65_536, 1),
            (chunk + tag + 1, 65_537, 2),
            (16 * chunk, 1 << 20, 16),
        ] {
            assert_eq!(Layout::of_sealed(sealed), Some(Layout { length, chunks }));
        }
    }

    #[test]
    fn nonces_count_in_eleven_bytes() {
        assert_eq!(nonce(0x0102, true), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1]);
        assert_eq!(
            nonce(u64::MAX, false),
            [0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0]
        );
    }
}
