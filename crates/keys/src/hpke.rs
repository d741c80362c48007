//! HPKE (RFC 9180), base and PSK mode, single shot: X-Wing (KEM 0x647A), HKDF-SHA-512 (KDF 0x0003), AES-256-GCM
//! (AEAD 0x0002).

use crate::aead::{GcmKey, OpenError};
use crate::kdf::{hkdf_expand_sha512, hkdf_extract_sha512};
use crate::secret::Secret;
use crate::xwing::{CIPHERTEXT_LEN, XWingPublic, XWingSecret};
use rand_core::CryptoRng;

/// What one seals to.
pub type EnvelopePublic = XWingPublic;
/// What opens it.
pub type EnvelopeSecret = XWingSecret;

/// "HPKE" ‖ I2OSP(kem_id, 2) ‖ I2OSP(kdf_id, 2) ‖ I2OSP(aead_id, 2).
const SUITE_ID: &[u8] = &[b'H', b'P', b'K', b'E', 0x64, 0x7a, 0x00, 0x03, 0x00, 0x02];
const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;
const MODE_PSK: u8 = 1;

/// Bytes that sealing adds: ciphertext of the KEM and tag.
pub const OVERHEAD: usize = CIPHERTEXT_LEN + 16;

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

    fn secret(&self, shared: &Secret<32>) -> Secret<64> {
        let psk = match self {
            Self::Base => &[][..],
            Self::Psk { psk, .. } => psk.expose_secret(),
        };
        labeled_extract(shared.expose_secret(), b"secret", psk)
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
    let (key, nonce) = key_schedule(mode, &shared, info);
    let mut ciphertext = Vec::with_capacity(plaintext.len().saturating_add(OVERHEAD));
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
        .split_first_chunk::<CIPHERTEXT_LEN>()
        .ok_or(OpenError)?;
    let shared = secret.decapsulate(enc).map_err(|_| OpenError)?;
    let (key, nonce) = key_schedule(mode, &shared, info);
    let mut buffer = ciphertext.to_vec();
    let length = GcmKey::new(&key)
        .open_in_place(&nonce, aad, &mut buffer)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// KeySchedule of RFC 9180, section 5.1, without the exporter: key and base nonce. One shot uses sequence number 0,
/// so the base nonce is the nonce.
fn key_schedule(mode: &Mode<'_>, shared: &Secret<32>, info: &[u8]) -> (Secret<32>, [u8; 12]) {
    let psk_id_hash = labeled_extract(&[], b"psk_id_hash", mode.id());
    let info_hash = labeled_extract(&[], b"info_hash", info);
    let context = [
        &[mode.number()],
        &psk_id_hash.expose_secret()[..],
        &info_hash.expose_secret()[..],
    ]
    .concat();
    let secret = mode.secret(shared);
    let key = labeled_expand::<32>(&secret, b"key", &context);
    let nonce = labeled_expand::<12>(&secret, b"base_nonce", &context);
    (key, *nonce.expose_secret())
}

/// LabeledExtract of RFC 9180, section 4.
fn labeled_extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret<64> {
    hkdf_extract_sha512(salt, &[VERSION, SUITE_ID, label, ikm])
}

/// LabeledExpand of RFC 9180, section 4.
fn labeled_expand<const L: usize>(prk: &Secret<64>, label: &[u8], info: &[u8]) -> Secret<L> {
    let length = u16::try_from(L).unwrap_or(u16::MAX).to_be_bytes();
    hkdf_expand_sha512(prk, &[&length, VERSION, SUITE_ID, label, info])
}
