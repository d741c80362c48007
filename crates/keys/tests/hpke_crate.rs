//! Our HPKE against the `hpke` crate, both ways.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use hpke::{Deserializable as _, OpModeR, OpModeS, PskBundle, Serializable as _};
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

const PSK: [u8; 32] = [0x77; 32];

fn psk() -> Secret<32> {
    Secret::from_slice(&PSK).unwrap()
}

fn bundle() -> PskBundle<'static> {
    PskBundle::new(&PSK, b"which").unwrap()
}

#[test]
fn they_open_what_we_seal_with_a_psk() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let (ours, theirs) = keys(7);
    let sealed = letterlock_keys::hpke::seal_psk(
        &mut rng,
        ours.public(),
        &psk(),
        b"which",
        b"info",
        b"aad",
        b"text",
    )
    .unwrap();
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed[..1120]).unwrap();
    let opened = hpke::single_shot_open::<Aead, Kdf, Kem>(
        &OpModeR::Psk(bundle()),
        &theirs,
        &enc,
        b"info",
        &sealed[1120..],
        b"aad",
    );
    assert_eq!(opened.unwrap(), b"text");
}

#[test]
fn we_open_what_they_seal_with_a_psk() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (ours, _) = keys(8);
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(ours.public().as_bytes()).unwrap();
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(
        &OpModeS::Psk(bundle()),
        &public,
        b"info",
        b"text",
        b"aad",
        &mut rng,
    )
    .unwrap();
    let sealed = [&enc.to_bytes()[..], &ciphertext].concat();
    assert_eq!(
        letterlock_keys::hpke::open_psk(&ours, &psk(), b"which", b"info", b"aad", &sealed).unwrap(),
        b"text"
    );
}

#[test]
fn only_the_same_psk_under_the_same_name_opens() {
    use letterlock_keys::hpke::{open, open_psk, seal, seal_psk};
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let (ours, _) = keys(9);
    let to = ours.public();
    let other = Secret::from_slice(&[0x78; 32]).unwrap();
    let sealed = seal_psk(&mut rng, to, &psk(), b"which", b"info", b"aad", b"text").unwrap();
    assert!(open_psk(&ours, &psk(), b"which", b"info", b"aad", &sealed).is_ok());
    assert!(open_psk(&ours, &other, b"which", b"info", b"aad", &sealed).is_err());
    assert!(open_psk(&ours, &psk(), b"whose", b"info", b"aad", &sealed).is_err());
    assert!(open_psk(&ours, &psk(), b"which", b"other", b"aad", &sealed).is_err());
    assert!(open_psk(&ours, &psk(), b"which", b"info", b"other", &sealed).is_err());
    assert!(open(&ours, b"info", b"aad", &sealed).is_err());
    for length in 0..sealed.len() {
        assert!(
            open_psk(&ours, &psk(), b"which", b"info", b"aad", &sealed[..length]).is_err(),
            "{length} bytes"
        );
    }
    for place in (0..sealed.len()).step_by(37) {
        let mut altered = sealed.clone();
        altered[place] ^= 1;
        assert!(open_psk(&ours, &psk(), b"which", b"info", b"aad", &altered).is_err());
    }
    let without = seal(&mut rng, to, b"info", b"aad", b"text").unwrap();
    assert!(open_psk(&ours, &psk(), b"which", b"info", b"aad", &without).is_err());
}

#[test]
fn a_psk_without_a_name_is_refused() {
    use letterlock_keys::hpke::{open_psk, seal_psk};
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (ours, _) = keys(10);
    assert!(seal_psk(&mut rng, ours.public(), &psk(), b"", b"", b"", b"text").is_err());
    assert!(open_psk(&ours, &psk(), b"", b"", b"", &[0; 2000]).is_err());
}
