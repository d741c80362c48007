//! Our HPKE against the `hpke` crate, both ways, in every suite.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use hpke::{Deserializable as _, OpModeR, OpModeS, PskBundle, Serializable as _};
use letterlock_keys::hpke::{EnvelopePublic, EnvelopeSecret, open, open_psk, seal, seal_psk};
use letterlock_keys::{Secret, SecretBytes, Suite};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

type Aead = hpke::aead::AesGcm256;
type Theirs<K> = <K as hpke::Kem>::PrivateKey;

const PSK: [u8; 32] = [0x77; 32];

fn psk() -> Secret<32> {
    Secret::from_slice(&PSK).unwrap()
}

fn bundle() -> PskBundle<'static> {
    PskBundle::new(&PSK, b"which").unwrap()
}

fn ours(suite: Suite, seed: u8) -> EnvelopeSecret {
    let seed = SecretBytes::new(vec![seed; suite.envelope_seed_len()]);
    EnvelopeSecret::from_seed(suite, seed).unwrap()
}

/// What ours and theirs make of each other with one KEM and KDF.
fn agree<Kem: hpke::Kem, Kdf: hpke::kdf::Kdf>(suite: Suite) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let seed = vec![4; suite.envelope_seed_len()];
    let (ours, theirs) = (ours(suite, 4), Theirs::<Kem>::from_bytes(&seed).unwrap());
    let public = Kem::sk_to_pk(&theirs);
    assert_eq!(public.to_bytes().as_slice(), ours.public().as_bytes());
    let to = ours.public();
    let enc_len = suite.encapsulated_len();

    let they_open = |sealed: &[u8], mode: &OpModeR<'_, Kem>| {
        let enc = Kem::EncappedKey::from_bytes(&sealed[..enc_len]).unwrap();
        let (info, ciphertext) = (b"info", &sealed[enc_len..]);
        hpke::single_shot_open::<Aead, Kdf, Kem>(mode, &theirs, &enc, info, ciphertext, b"aad")
    };
    let sealed = seal(&mut rng, to, b"info", b"aad", b"text").unwrap();
    assert_eq!(sealed.len(), 4 + letterlock_keys::hpke::overhead(suite));
    assert_eq!(they_open(&sealed, &OpModeR::Base).unwrap(), b"text");
    let sealed = seal_psk(&mut rng, to, &psk(), b"which", b"info", b"aad", b"text").unwrap();
    let opened = they_open(&sealed, &OpModeR::Psk(bundle()));
    assert_eq!(opened.unwrap(), b"text");

    let mut they_seal = |mode: &OpModeS<'_, Kem>| {
        let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(
            mode, &public, b"info", b"text", b"aad", &mut rng,
        )
        .unwrap();
        [&enc.to_bytes()[..], &ciphertext].concat()
    };
    let sealed = they_seal(&OpModeS::Base);
    assert_eq!(open(&ours, b"info", b"aad", &sealed).unwrap(), b"text");
    let sealed = they_seal(&OpModeS::Psk(bundle()));
    let opened = open_psk(&ours, &psk(), b"which", b"info", b"aad", &sealed);
    assert_eq!(opened.unwrap(), b"text");
}

#[test]
fn hybrid_agrees_with_the_hpke_crate() {
    agree::<hpke::kem::XWing, hpke::kdf::HkdfSha512>(Suite::Hybrid);
}

#[test]
fn cnsa2_agrees_with_the_hpke_crate() {
    agree::<hpke::kem::MlKem1024, hpke::kdf::HkdfSha384>(Suite::Cnsa2);
}

#[test]
fn every_changed_part_is_refused() {
    for suite in Suite::ALL {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let ours = ours(suite, 6);
        let public = EnvelopePublic::from_bytes(suite, ours.public().as_bytes()).unwrap();
        let sealed = seal(&mut rng, &public, b"info", b"aad", b"text").unwrap();
        assert!(open(&ours, b"other", b"aad", &sealed).is_err());
        assert!(open(&ours, b"info", b"other", &sealed).is_err());
        for length in 0..sealed.len() {
            assert!(open(&ours, b"info", b"aad", &sealed[..length]).is_err());
        }
        for place in (0..sealed.len()).step_by(37) {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(open(&ours, b"info", b"aad", &altered).is_err());
        }
    }
}

#[test]
fn what_is_sealed_in_one_suite_does_not_open_in_another() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let [hybrid, cnsa2] = Suite::ALL.map(|suite| ours(suite, 11));
    for (to, other) in [(&hybrid, &cnsa2), (&cnsa2, &hybrid)] {
        let sealed = seal(&mut rng, to.public(), b"info", b"aad", &[0; 2000]).unwrap();
        assert!(open(to, b"info", b"aad", &sealed).is_ok());
        assert!(open(other, b"info", b"aad", &sealed).is_err());
    }
}

#[test]
fn only_the_same_psk_under_the_same_name_opens() {
    for suite in Suite::ALL {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let ours = ours(suite, 9);
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
}

#[test]
fn a_psk_without_a_name_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let ours = ours(Suite::Hybrid, 10);
    assert!(seal_psk(&mut rng, ours.public(), &psk(), b"", b"", b"", b"text").is_err());
    assert!(open_psk(&ours, &psk(), b"", b"", b"", &[0; 2000]).is_err());
}
