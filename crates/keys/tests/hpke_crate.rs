//! Our HPKE against the `hpke` crate, both ways.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use letterlock_keys::Secret;
use letterlock_keys::xwing::{XWingPublic, XWingSecret};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

type Kem = hpke::kem::XWing;
type Kdf = hpke::kdf::HkdfSha512;
type Aead = hpke::aead::AesGcm256;

fn keys(seed: u8) -> (XWingSecret, <Kem as hpke::Kem>::PrivateKey) {
    let ours = XWingSecret::from_seed(Secret::from_slice(&[seed; 32]).unwrap()).unwrap();
    let theirs = <Kem as hpke::Kem>::PrivateKey::from_bytes(&[seed; 32]).unwrap();
    (ours, theirs)
}

#[test]
fn both_derive_the_same_public_key() {
    let (ours, theirs) = keys(3);
    let public = <Kem as hpke::Kem>::sk_to_pk(&theirs);
    assert_eq!(public.to_bytes().as_slice(), ours.public().as_bytes());
}

#[test]
fn they_open_what_we_seal() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (ours, theirs) = keys(4);
    let sealed =
        letterlock_keys::hpke::seal(&mut rng, ours.public(), b"info", b"aad", b"text").unwrap();
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed[..1120]).unwrap();
    let opened = hpke::single_shot_open::<Aead, Kdf, Kem>(
        &OpModeR::Base,
        &theirs,
        &enc,
        b"info",
        &sealed[1120..],
        b"aad",
    );
    assert_eq!(opened.unwrap(), b"text");
}

#[test]
fn we_open_what_they_seal() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (ours, _) = keys(5);
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(ours.public().as_bytes()).unwrap();
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(
        &OpModeS::Base,
        &public,
        b"info",
        b"text",
        b"aad",
        &mut rng,
    )
    .unwrap();
    let sealed = [&enc.to_bytes()[..], &ciphertext].concat();
    assert_eq!(
        letterlock_keys::hpke::open(&ours, b"info", b"aad", &sealed).unwrap(),
        b"text"
    );
}

#[test]
fn every_changed_part_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (ours, _) = keys(6);
    let public = XWingPublic::from_bytes(ours.public().as_bytes()).unwrap();
    let sealed = letterlock_keys::hpke::seal(&mut rng, &public, b"info", b"aad", b"text").unwrap();
    assert!(letterlock_keys::hpke::open(&ours, b"other", b"aad", &sealed).is_err());
    assert!(letterlock_keys::hpke::open(&ours, b"info", b"other", &sealed).is_err());
    for length in 0..sealed.len() {
        assert!(letterlock_keys::hpke::open(&ours, b"info", b"aad", &sealed[..length]).is_err());
    }
    for place in (0..sealed.len()).step_by(37) {
        let mut altered = sealed.clone();
        altered[place] ^= 1;
        assert!(letterlock_keys::hpke::open(&ours, b"info", b"aad", &altered).is_err());
    }
}
