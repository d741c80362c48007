//! Replays curve25519-xeddsa.json, kem1024.json and incremental-mlkem768.json.

use super::ReplayError;
use super::facts::Facts;
use super::json::{array, bytes, field, list, number, optional, secret, small, text, truth};
use crate::pre_key::{KemPreKeyPublic, PreKeyKind};
use crate::wire::{decode_key, encode_key};
use keys::codec::Writer;
use keys::kem::{Kem, KemPublic, KemSecret};
use keys::mlkem_incremental::{self, KeyPair};
use keys::{SecretBytes, X25519Public, X25519Secret, xeddsa};
use serde_json::Value;

/// A serialised Curve25519 public key.
pub(super) fn key(value: &Value, name: &str) -> Result<X25519Public, ReplayError> {
    decode_key(&bytes(value, name)?)
        .map_err(|_| ReplayError::new(format!("field `{name}` is not a serialised key")))
}

/// curve25519-xeddsa.json.
pub(super) fn curve25519(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let parts: [(&str, &[Value], Case); 5] = [
        ("agreement", list(json, "agreements")?, agreement),
        ("parsing", list(json, "public_key_parsing")?, parsing),
        ("signature", list(json, "signatures")?, signature),
        ("verification", list(json, "verifications")?, verification),
        (
            "special point",
            list(field(json, "special_points")?, "cases")?,
            special_point,
        ),
    ];
    let private = X25519Secret::from_secret(&secret(field(json, "special_points")?, "private")?);
    for (name, cases, check) in parts {
        for (place, case) in cases.iter().enumerate() {
            check(case, &private, facts).map_err(|error| error.at(format!("{name} {place}")))?;
        }
    }
    Ok(())
}

/// A check of one case; the private key is that of the special points.
type Case = fn(&Value, &X25519Secret, &mut Facts) -> Result<(), ReplayError>;

fn agreement(case: &Value, _: &X25519Secret, facts: &mut Facts) -> Result<(), ReplayError> {
    let ours = X25519Secret::from_secret(&secret(case, "private")?);
    let theirs = X25519Secret::from_secret(&secret(case, "their_private_unclamped")?);
    let stored = bytes(case, "their_private_stored")?;
    facts.secret("clamped private key", theirs.secret(), &stored)?;
    let public = bytes(case, "their_public")?;
    facts.bytes("public key", &encode_key(&theirs.public()), &public)?;
    let shared = bytes(case, "shared")?;
    for (private, peer) in [(&ours, theirs.public()), (&theirs, ours.public())] {
        let agreed = private.agree(&peer);
        let agreed = agreed.map_err(|error| ReplayError::new(error.to_string()))?;
        facts.secret("shared secret", &agreed, &shared)?;
    }
    Ok(())
}

fn special_point(
    case: &Value,
    private: &X25519Secret,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let public = key(case, "public")?;
    let canonical = truth(case, "canonical_and_torsion_free")?;
    facts.equal("canonical", public.is_canonical(), canonical)?;
    match (private.agree(&public), optional(case, "shared")) {
        (Ok(agreed), Some(_)) => facts.secret("shared secret", &agreed, &bytes(case, "shared")?),
        (agreed, recorded) => facts.equal("refusal", agreed.is_err(), recorded.is_none()),
    }
}

/// libsignal ignores what follows a key; we do not.
fn parsing(case: &Value, _: &X25519Secret, facts: &mut Facts) -> Result<(), ReplayError> {
    let serialised = bytes(case, "bytes")?;
    let ours = decode_key(&serialised);
    if serialised.len() > encode_key(&X25519Public([0; 32])).len() {
        return facts.stricter("a key with bytes behind it", ours.is_err());
    }
    if let Ok(key) = &ours {
        facts.bytes("key written again", &encode_key(key), &serialised)?;
    }
    facts.equal("accepted", ours.is_ok(), truth(case, "accepted")?)
}

fn signature(case: &Value, _: &X25519Secret, facts: &mut Facts) -> Result<(), ReplayError> {
    let private = X25519Secret::from_secret(&secret(case, "private")?);
    let public = bytes(case, "public")?;
    facts.bytes("public key", &encode_key(&private.public()), &public)?;
    let (message, recorded) = (bytes(case, "message")?, bytes(case, "signature")?);
    let ours = xeddsa::sign(&private, &message, &array(case, "random_Z")?);
    facts.bytes("signature", &ours, &recorded)?;
    let sign = recorded.last().map(|last| u64::from(last >> 7));
    facts.equal("sign bit", sign, Some(number(case, "sign_bit")?))?;
    let verified = xeddsa::verify(&private.public(), &message, &ours);
    facts.holds("verification", verified.is_ok())
}

/// The order of the base point, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether a signature or key is a second form of another one, which libsignal accepts.
fn is_second_form(public: &X25519Public, signature: &[u8]) -> bool {
    let mut s: Vec<u8> = signature.iter().skip(32).copied().collect();
    if let Some(last) = s.last_mut() {
        *last &= 0x7f;
    }
    !public.is_reduced() || s.iter().rev().ge(L.iter().rev())
}

fn verification(case: &Value, _: &X25519Secret, facts: &mut Facts) -> Result<(), ReplayError> {
    let (public, signature) = (key(case, "public")?, bytes(case, "signature")?);
    let ours = xeddsa::verify(&public, &bytes(case, "message")?, &signature);
    match truth(case, "valid")? {
        true if is_second_form(&public, &signature) => {
            facts.stricter(text(case, "why")?, ours.is_err())
        }
        valid => facts.equal(text(case, "why")?, ours.is_ok(), valid),
    }
}

/// kem1024.json.
pub(super) fn kem(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let cases = list(json, "cases")?;
    for (place, case) in cases.iter().enumerate() {
        kem_case(case, facts).map_err(|error| error.at(format!("case {place}")))?;
    }
    let public = bytes(cases.first().unwrap_or(&Value::Null), "public")?;
    for case in list(json, "parsing")? {
        let why = text(case, "why")?;
        kem_parsing(case, &public, facts).map_err(|error| error.at(why))?;
    }
    Ok(())
}

fn library(error: impl std::fmt::Display) -> ReplayError {
    ReplayError::new(error.to_string())
}

/// Round 3 is recorded with type bytes, ML-KEM without.
fn kem_case(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let (kem, type_byte) = match text(case, "kem")? {
        name if name.starts_with("kyber1024") => (Kem::Kyber1024, &[Kem::Kyber1024 as u8][..]),
        _ => (Kem::MlKem1024, &[][..]),
    };
    let typed = |raw: &[u8]| [type_byte, raw].concat();
    let (private, public) =
        KemSecret::from_seed(kem, &secret(case, "seed_d_z")?).map_err(library)?;
    let recorded = bytes(case, "public")?;
    facts.bytes("public key", &typed(public.as_bytes()), &recorded)?;
    let stored = bytes(case, "secret")?;
    let stored = stored.strip_prefix(type_byte).unwrap_or_default();
    facts.long_secret("secret key", private.secret(), stored)?;
    let loaded = KemSecret::from_bytes(kem, SecretBytes::from(stored)).map_err(library)?;
    facts.holds("public key within", loaded.public() == Ok(public.clone()))?;

    let (ciphertext, shared) = public.encapsulate(&secret(case, "m")?).map_err(library)?;
    let recorded = bytes(case, "ciphertext")?;
    facts.bytes("ciphertext", &typed(&ciphertext), &recorded)?;
    let recorded = bytes(case, "shared_secret")?;
    facts.secret("encapsulated secret", &shared, &recorded)?;
    let decapsulated = loaded.decapsulate(&ciphertext).map_err(library)?;
    facts.secret("decapsulated secret", &decapsulated, &recorded)?;
    let rejection = "ciphertext_byte77_xor1_shared_secret";
    if optional(case, rejection).is_some() {
        let changed = flipped(&typed(&ciphertext), 77);
        let raw = changed.strip_prefix(type_byte).unwrap_or_default();
        let rejected = loaded.decapsulate(raw).map_err(library)?;
        facts.secret(rejection, &rejected, &bytes(case, rejection)?)?;
    }
    Ok(())
}

/// Bytes with the lowest bit of one of them flipped.
fn flipped(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1;
    }
    bytes
}

/// Only length and first byte are recorded; the rest is a good key, or as large coefficients as there are.
/// libsignal does not look at coefficients; we do.
fn kem_parsing(case: &Value, good: &[u8], facts: &mut Facts) -> Result<(), ReplayError> {
    let large = text(case, "why")?.contains("coefficients");
    let mut key = if large {
        vec![0xff; good.len()]
    } else {
        good.to_vec()
    };
    key.resize(small(case, "len")?, 0);
    if let Some(first) = key.first_mut() {
        *first = small(case, "first_byte")?;
    }
    let parsed = KemPreKeyPublic::decode(&published(&key));
    if large {
        return facts.stricter("a key with large coefficients", parsed.is_err());
    }
    facts.equal("accepted", parsed.is_ok(), truth(case, "accepted")?)?;
    if let Ok(parsed) = parsed {
        let KemPreKeyPublic { key: public, .. } = parsed;
        facts.bytes("key", public.as_bytes(), key.get(1..).unwrap_or_default())?;
        let m = keys::Secret::from_fn(|_: &mut [u8; 32]| {});
        let works = KemPublic::encapsulate(&public, &m).is_ok();
        facts.equal("encapsulation", works, truth(case, "encapsulation_ok")?)?;
    }
    Ok(())
}

/// A published KEM pre-key of the `signal` profile that holds `key`; the signature is not looked at when parsing.
fn published(key: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(1);
    out.u32(1);
    out.u8(PreKeyKind::LastResortKem as u8);
    out.array(key);
    out.u8(crate::profile::Profile::Signal.number());
    out.array(&[0; 64]);
    out.finish()
}

/// incremental-mlkem768.json.
pub(super) fn incremental(json: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    for (place, case) in list(json, "cases")?.iter().enumerate() {
        incremental_case(case, facts).map_err(|error| error.at(format!("case {place}")))?;
    }
    Ok(())
}

fn incremental_case(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let KeyPair { header, ek, dk } =
        KeyPair::from_seed(&secret(case, "seed_d_z")?).map_err(library)?;
    facts.bytes("header", &header, &bytes(case, "header")?)?;
    facts.bytes("ek", &ek[..], &bytes(case, "ek")?)?;
    facts.long_secret("dk", &dk, &bytes(case, "dk")?)?;
    let m = secret(case, "m")?;
    let (ct1, shared) = mlkem_incremental::encaps1(&header, &m).map_err(library)?;
    facts.bytes("ct1", &ct1[..], &bytes(case, "ct1")?)?;
    let recorded = bytes(case, "shared_secret")?;
    facts.secret("encapsulated secret", &shared, &recorded)?;
    let ct2 = mlkem_incremental::encaps2(&header, &ek, &m).map_err(library)?;
    facts.bytes("ct2", &ct2, &bytes(case, "ct2")?)?;
    let decapsulated = mlkem_incremental::decaps(&dk, &ct1, &ct2).map_err(library)?;
    facts.secret("decapsulated secret", &decapsulated, &recorded)?;

    let mut changed = ct2;
    changed.copy_from_slice(&flipped(&ct2, 5));
    let rejected = mlkem_incremental::decaps(&dk, &ct1, &changed).map_err(library)?;
    let rejection = "ct2_with_byte5_xor1_shared_secret";
    facts.secret(rejection, &rejected, &bytes(case, rejection)?)?;

    let mut other_ek = ek.clone();
    other_ek.copy_from_slice(&flipped(&ek[..], 9));
    let valid = mlkem_incremental::validate(&header, &other_ek).is_ok();
    facts.equal(
        "changed ek",
        valid,
        truth(case, "ek_with_byte9_xor1_valid")?,
    )?;
    let mut other_header = header;
    other_header.copy_from_slice(&flipped(&header, 40));
    let valid = mlkem_incremental::validate(&other_header, &ek).is_ok();
    let recorded = truth(case, "header_with_byte40_xor1_valid")?;
    facts.equal("changed header", valid, recorded)
}
