//! HPKE (RFC 9180), base and PSK mode, single shot, AES-256-GCM (AEAD 0x0002). `hybrid`: X-Wing (KEM 0x647A) and
//! HKDF-SHA-512 (KDF 0x0003); `cnsa2`: ML-KEM-1024 (KEM 0x0042, draft-ietf-hpke-pq) and HKDF-SHA-384 (KDF 0x0002).
//! For files of the age format also X-Wing, HKDF-SHA-256 (0x0001) and ChaCha20-Poly1305 (0x0003).

use crate::aead::{GcmKey, OpenError, TAG_LEN};
use crate::chacha::{chacha_open, chacha_seal};
pub use crate::envelope::{EnvelopePublic, EnvelopeSecret, MalformedEnvelope};
use crate::kdf::{Hmac, hkdf_expand, hkdf_extract};
use crate::secret::Secret;
use crate::suite::Suite;
use aws_lc_rs::hmac;
use rand_core::CryptoRng;

const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;
const MODE_PSK: u8 = 1;

/// Bytes that sealing adds: encapsulated key and tag.
#[must_use]
pub fn overhead(suite: Suite) -> usize {
    suite.encapsulated_len().saturating_add(TAG_LEN)
}

/// "HPKE" ‖ I2OSP(kem_id, 2) ‖ I2OSP(kdf_id, 2) ‖ I2OSP(aead_id, 2).
fn suite_id(suite: Suite) -> &'static [u8; 10] {
    match suite {
        Suite::Hybrid => b"HPKE\x64\x7a\x00\x03\x00\x02",
        Suite::Cnsa2 => b"HPKE\x00\x42\x00\x02\x00\x02",
    }
}

/// Seals to a public key: `enc ‖ ct` (RFC 9180, section 6.1).
///
/// # Errors
/// [`OpenError`]: the public key is malformed.
pub fn seal(
    rng: &mut dyn CryptoRng,
    to: &EnvelopePublic,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, OpenError> {
    seal_in(&Mode::Base, rng, to, (info, aad), plaintext)
}

/// Opens `enc ‖ ct`.
///
/// # Errors
/// [`OpenError`], whatever is wrong.
pub fn open(
    secret: &EnvelopeSecret,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    open_in(&Mode::Base, secret, (info, aad), sealed)
}

/// Seals to a public key for whoever also knows `psk`: `enc ‖ ct` (RFC 9180, section 6.1, `SealPSK`).
///
/// Only who knows `psk` can have sealed what opens. `psk_id` names it and is not secret.
///
/// # Errors
/// [`OpenError`]: the public key is malformed, or `psk_id` is empty (RFC 9180, section 5.1).
pub fn seal_psk(
    rng: &mut dyn CryptoRng,
    to: &EnvelopePublic,
    psk: &Secret<32>,
    psk_id: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, OpenError> {
    seal_in(&Mode::psk(psk, psk_id)?, rng, to, (info, aad), plaintext)
}

/// Opens `enc ‖ ct` that was sealed by someone who knows `psk`.
///
/// # Errors
/// [`OpenError`], whatever is wrong.
pub fn open_psk(
    secret: &EnvelopeSecret,
    psk: &Secret<32>,
    psk_id: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    open_in(&Mode::psk(psk, psk_id)?, secret, (info, aad), sealed)
}

/// What goes into the key schedule beside the shared secret of the KEM.
/// X-Wing, HKDF-SHA-256, ChaCha20-Poly1305.
const CHACHA_ID: &[u8; 10] = b"HPKE\x64\x7a\x00\x01\x00\x03";

/// Seals with ChaCha20-Poly1305 and no associated data to a key of `hybrid`: encapsulated key and ciphertext.
///
/// # Errors
/// [`OpenError`]: nothing can be sealed to the key, or it is of another suite.
pub fn seal_chacha(
    rng: &mut dyn CryptoRng,
    to: &EnvelopePublic,
    info: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), OpenError> {
    if to.suite() != Suite::Hybrid {
        return Err(OpenError);
    }
    let (enc, shared) = to.encapsulate(rng).map_err(|_| OpenError)?;
    let (key, nonce) = key_schedule_with::<32>(CHACHA_ID, &Mode::Base, &shared, info);
    Ok((enc, chacha_seal(&key, &nonce, &[], plaintext)?))
}

/// Opens what [`seal_chacha`] sealed. Nothing: it was sealed to another key, or changed.
///
/// # Errors
/// [`MalformedEnvelope`]: no key of X-Wing encapsulates so; or the key is of another suite.
pub fn open_chacha(
    secret: &EnvelopeSecret,
    info: &[u8],
    enc: &[u8],
    ciphertext: &[u8],
) -> Result<Option<Vec<u8>>, MalformedEnvelope> {
    if secret.suite() != Suite::Hybrid {
        return Err(MalformedEnvelope);
    }
    let shared = secret.decapsulate(enc)?;
    let (key, nonce) = key_schedule_with::<32>(CHACHA_ID, &Mode::Base, &shared, info);
    Ok(chacha_open(&key, &nonce, &[], ciphertext).ok())
}

enum Mode<'a> {
    Base,
    Psk { psk: &'a Secret<32>, id: &'a [u8] },
}

impl<'a> Mode<'a> {
    fn psk(psk: &'a Secret<32>, id: &'a [u8]) -> Result<Self, OpenError> {
        // VerifyPSKInputs of RFC 9180, section 5.1: an empty id means that there is no PSK.
        if id.is_empty() {
            return Err(OpenError);
        }
        Ok(Self::Psk { psk, id })
    }

    fn number(&self) -> u8 {
        match self {
            Self::Base => MODE_BASE,
            Self::Psk { .. } => MODE_PSK,
        }
    }

    fn id(&self) -> &[u8] {
        match self {
            Self::Base => &[],
            Self::Psk { id, .. } => id,
        }
    }

    fn psk_bytes(&self) -> &[u8] {
        match self {
            Self::Base => &[],
            Self::Psk { psk, .. } => psk.expose_secret(),
        }
    }
}

fn seal_in(
    mode: &Mode<'_>,
    rng: &mut dyn CryptoRng,
    to: &EnvelopePublic,
    (info, aad): (&[u8], &[u8]),
    plaintext: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let (enc, shared) = to.encapsulate(rng).map_err(|_| OpenError)?;
    let (key, nonce) = key_schedule(to.suite(), mode, &shared, info);
    let room = plaintext.len().saturating_add(overhead(to.suite()));
    let mut ciphertext = Vec::with_capacity(room);
    ciphertext.extend_from_slice(plaintext);
    GcmKey::new(&key).seal_in_place(&nonce, aad, &mut ciphertext);
    ciphertext.splice(0..0, enc);
    Ok(ciphertext)
}

fn open_in(
    mode: &Mode<'_>,
    secret: &EnvelopeSecret,
    (info, aad): (&[u8], &[u8]),
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let (enc, ciphertext) = sealed
        .split_at_checked(secret.suite().encapsulated_len())
        .ok_or(OpenError)?;
    let shared = secret.decapsulate(enc).map_err(|_| OpenError)?;
    let (key, nonce) = key_schedule(secret.suite(), mode, &shared, info);
    let mut buffer = ciphertext.to_vec();
    let length = GcmKey::new(&key)
        .open_in_place(&nonce, aad, &mut buffer)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

fn key_schedule(
    suite: Suite,
    mode: &Mode<'_>,
    shared: &Secret<32>,
    info: &[u8],
) -> (Secret<32>, [u8; 12]) {
    match suite {
        Suite::Hybrid => key_schedule_with::<64>(suite_id(suite), mode, shared, info),
        Suite::Cnsa2 => key_schedule_with::<48>(suite_id(suite), mode, shared, info),
    }
}

/// KeySchedule of RFC 9180, section 5.1, without the exporter, over a hash of H bytes: key and base nonce. One shot
/// uses sequence number 0, so the base nonce is the nonce.
fn key_schedule_with<const H: usize>(
    suite_id: &[u8],
    mode: &Mode<'_>,
    shared: &Secret<32>,
    info: &[u8],
) -> (Secret<32>, [u8; 12])
where
    hmac::Key: Hmac<H>,
{
    let extract = |salt: &[u8], label, ikm| labeled_extract::<H>(suite_id, salt, label, ikm);
    let psk_id_hash = extract(&[], b"psk_id_hash", mode.id());
    let info_hash = extract(&[], b"info_hash", info);
    let context = [
        &[mode.number()],
        &psk_id_hash.expose_secret()[..],
        &info_hash.expose_secret()[..],
    ]
    .concat();
    let secret = extract(shared.expose_secret(), b"secret", mode.psk_bytes());
    let key = labeled_expand::<32, H>(suite_id, &secret, b"key", &context);
    let nonce = labeled_expand::<12, H>(suite_id, &secret, b"base_nonce", &context);
    (key, *nonce.expose_secret())
}

/// LabeledExtract of RFC 9180, section 4.
fn labeled_extract<const H: usize>(
    suite_id: &[u8],
    salt: &[u8],
    label: &[u8],
    ikm: &[u8],
) -> Secret<H>
where
    hmac::Key: Hmac<H>,
{
    hkdf_extract(salt, &[VERSION, suite_id, label, ikm])
}

/// LabeledExpand of RFC 9180, section 4.
fn labeled_expand<const L: usize, const H: usize>(
    suite_id: &[u8],
    prk: &Secret<H>,
    label: &[u8],
    info: &[u8],
) -> Secret<L>
where
    hmac::Key: Hmac<H>,
{
    let length = u16::try_from(L).unwrap_or(u16::MAX).to_be_bytes();
    hkdf_expand(prk, &[&length, VERSION, suite_id, label, info])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use rand_core::SeedableRng as _;

    #[test]
    fn chacha_opens_for_its_key_and_info_alone() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let mut key = |suite| EnvelopeSecret::generate(suite, &mut rng).unwrap();
        let (secret, other) = (key(Suite::Hybrid), key(Suite::Hybrid));
        let wide = key(Suite::Cnsa2);
        let (enc, mut sealed) = seal_chacha(&mut rng, secret.public(), b"info", b"text").unwrap();
        let opened = open_chacha(&secret, b"info", &enc, &sealed).unwrap();
        assert_eq!(opened.as_deref(), Some(&b"text"[..]));
        assert_eq!(open_chacha(&other, b"info", &enc, &sealed), Ok(None));
        assert_eq!(open_chacha(&secret, b"in", &enc, &sealed), Ok(None));
        assert!(open_chacha(&secret, b"info", &enc[1..], &sealed).is_err());
        sealed[0] ^= 1;
        assert_eq!(open_chacha(&secret, b"info", &enc, &sealed), Ok(None));
        // One key, two AEADs: neither opens what the other sealed.
        let gcm = seal(&mut rng, secret.public(), b"info", &[], b"text").unwrap();
        let (enc, text) = gcm.split_at(Suite::Hybrid.encapsulated_len());
        assert_eq!(open_chacha(&secret, b"info", enc, text), Ok(None));
        assert!(seal_chacha(&mut rng, wide.public(), b"info", b"text").is_err());
        assert!(open_chacha(&wide, b"info", enc, text).is_err());
    }
}
