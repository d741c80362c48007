#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
//! The provider against the `hpke` crate, and what it must refuse.

use super::error::CryptoError;
use super::{CNSA2, HYBRID, Provider, SuiteProvider};
use hpke::aead::{Aead, AesGcm256};
use hpke::kdf::HkdfSha384;
use hpke::kem::{MlKem1024, XWing};
use hpke::{Deserializable as _, OpModeR, OpModeS, PskBundle, Serializable as _};
use keys::Secret;
use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider as _, CryptoProvider as _, HpkeCiphertext, HpkePsk,
    HpkePublicKey, HpkeSecretKey,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const PSK: [u8; 32] = [0x77; 32];

fn psk() -> HpkePsk<'static> {
    HpkePsk::new(b"which", &PSK)
}

fn bundle() -> PskBundle<'static> {
    PskBundle::new(&PSK, b"which").unwrap()
}

fn provider(number: u8) -> Provider {
    Provider::new(Secret::from_fn(|seed| seed.fill(number)))
}

fn suite(suite: CipherSuite) -> SuiteProvider {
    provider(1).cipher_suite_provider(suite).unwrap()
}

/// What we seal they open and the other way round; contexts count and export alike.
fn agrees<A: Aead, D: hpke::kdf::Kdf, M: hpke::Kem>(ours: &SuiteProvider) {
    let (secret, public) = ours.kem_generate().unwrap();
    let their_secret = M::PrivateKey::from_bytes(&secret).unwrap();
    let their_public = M::sk_to_pk(&their_secret);
    assert_eq!(&their_public.to_bytes()[..], &public[..]);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for with_psk in [false, true] {
        let sealed = if with_psk {
            ours.hpke_seal_psk(&public, b"info", Some(b"aad"), b"text", psk())
        } else {
            ours.hpke_seal(&public, b"info", Some(b"aad"), b"text")
        }
        .unwrap();
        let mode = || match with_psk {
            true => OpModeR::Psk(bundle()),
            false => OpModeR::Base,
        };
        let enc = M::EncappedKey::from_bytes(&sealed.kem_output).unwrap();
        let opened = hpke::single_shot_open::<A, D, M>(
            &mode(),
            &their_secret,
            &enc,
            b"info",
            &sealed.ciphertext,
            b"aad",
        );
        assert_eq!(opened.unwrap(), b"text");

        let mode = match with_psk {
            true => OpModeS::Psk(bundle()),
            false => OpModeS::Base,
        };
        let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<A, D, M>(
            &mode,
            &their_public,
            b"info",
            b"text",
            b"aad",
            &mut rng,
        )
        .unwrap();
        let sealed = HpkeCiphertext {
            kem_output: enc.to_bytes().to_vec(),
            ciphertext,
        };
        let opened = if with_psk {
            ours.hpke_open_psk(&sealed, &secret, &public, b"info", Some(b"aad"), psk())
        } else {
            ours.hpke_open(&sealed, &secret, &public, b"info", Some(b"aad"))
        };
        assert_eq!(&opened.unwrap()[..], b"text");
    }
    contexts_agree::<A, D, M>(ours, &public, &their_secret);
}

fn contexts_agree<A: Aead, D: hpke::kdf::Kdf, M: hpke::Kem>(
    ours: &SuiteProvider,
    public: &HpkePublicKey,
    their_secret: &M::PrivateKey,
) {
    let (enc, mut sender) = ours.hpke_setup_s(public, b"info").unwrap();
    let enc = M::EncappedKey::from_bytes(&enc).unwrap();
    let mut receiver =
        hpke::setup_receiver::<A, D, M>(&OpModeR::Base, their_secret, &enc, b"info").unwrap();
    for number in 0..300_u16 {
        let sealed = sender.seal(b"aad", &number.to_be_bytes()).unwrap();
        let opened = receiver.open(&sealed, b"aad").unwrap();
        assert_eq!(opened, number.to_be_bytes());
    }
    let mut exported = [0; 100];
    receiver.export(b"context", &mut exported).unwrap();
    assert_eq!(&sender.export(b"context", 100).unwrap()[..], exported);
}

#[test]
fn x_wing_hpke_agrees_with_the_hpke_crate() {
    agrees::<AesGcm256, HkdfSha384, XWing>(&suite(HYBRID));
}

#[test]
fn ml_kem_1024_hpke_agrees_with_the_hpke_crate() {
    agrees::<AesGcm256, HkdfSha384, MlKem1024>(&suite(CNSA2));
}

#[cfg(feature = "replay")]
#[test]
fn x25519_hpke_agrees_with_the_hpke_crate() {
    use hpke::aead::AesGcm128;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::X25519HkdfSha256;
    let seed = Secret::from_fn(|seed| seed.fill(1));
    let ours = Provider::classical(seed)
        .cipher_suite_provider(CipherSuite::CURVE25519_AES128)
        .unwrap();
    agrees::<AesGcm128, HkdfSha256, X25519HkdfSha256>(&ours);
    let (secret, public) = ours.kem_derive(&[5; 32]).unwrap();
    let (their_secret, their_public) = <X25519HkdfSha256 as hpke::Kem>::derive_keypair(&[5; 32]);
    assert_eq!(&their_secret.to_bytes()[..], &secret[..]);
    assert_eq!(&their_public.to_bytes()[..], &public[..]);
}

#[test]
fn only_the_same_psk_opens() {
    let ours = suite(HYBRID);
    let (secret, public) = ours.kem_generate().unwrap();
    let sealed = ours
        .hpke_seal_psk(&public, b"info", None, b"text", psk())
        .unwrap();
    let open = |psk| ours.hpke_open_psk(&sealed, &secret, &public, b"info", None, psk);
    open(psk()).unwrap();
    let other = [0x78; 32];
    let psks = [HpkePsk::new(b"which", &other), HpkePsk::new(b"whose", &PSK)];
    for psk in psks {
        assert_eq!(open(psk).unwrap_err(), CryptoError::Open);
    }
    let without = ours.hpke_open(&sealed, &secret, &public, b"info", None);
    assert_eq!(without.unwrap_err(), CryptoError::Open);
}

#[test]
fn short_or_nameless_psk_is_refused() {
    let ours = suite(HYBRID);
    let (_, public) = ours.kem_generate().unwrap();
    for psk in [HpkePsk::new(b"", &PSK), HpkePsk::new(b"which", &PSK[..31])] {
        let sealed = ours.hpke_seal_psk(&public, b"", None, b"text", psk);
        assert_eq!(sealed.unwrap_err(), CryptoError::Psk);
    }
}

#[test]
fn every_changed_part_of_a_sealed_text_is_refused() {
    for ours in [suite(HYBRID), suite(CNSA2)] {
        let (secret, public) = ours.kem_generate().unwrap();
        let sealed = ours.hpke_seal(&public, b"info", None, b"text").unwrap();
        let open = |sealed: &HpkeCiphertext, info: &[u8], aad: Option<&[u8]>| {
            ours.hpke_open(sealed, &secret, &public, info, aad)
        };
        open(&sealed, b"info", None).unwrap();
        assert!(open(&sealed, b"other", None).is_err());
        assert!(open(&sealed, b"info", Some(b"aad")).is_err());
        for place in (0..sealed.kem_output.len()).step_by(37) {
            let mut altered = sealed.clone();
            altered.kem_output[place] ^= 1;
            assert!(open(&altered, b"info", None).is_err());
        }
        for place in 0..sealed.ciphertext.len() {
            let mut altered = sealed.clone();
            altered.ciphertext[place] ^= 1;
            assert!(open(&altered, b"info", None).is_err());
            altered.ciphertext.truncate(place);
            assert!(open(&altered, b"info", None).is_err());
        }
        let mut longer = sealed.clone();
        longer.kem_output.push(0);
        assert!(open(&longer, b"info", None).is_err());
    }
}

#[test]
fn malformed_kem_keys_are_refused() {
    for ours in [suite(HYBRID), suite(CNSA2)] {
        let (secret, public) = ours.kem_generate().unwrap();
        ours.kem_public_key_validate(&public).unwrap();
        let mut large = public.to_vec();
        large[..2].fill(0xff);
        let mut longer = public.to_vec();
        longer.push(0);
        let shorter = public[1..].to_vec();
        for bad in [large, longer, shorter, Vec::new()] {
            let bad = HpkePublicKey::from(bad);
            assert!(ours.kem_public_key_validate(&bad).is_err());
            assert!(ours.hpke_seal(&bad, b"", None, b"text").is_err());
        }
        let sealed = ours.hpke_seal(&public, b"", None, b"text").unwrap();
        let short = HpkeSecretKey::from(secret[1..].to_vec());
        let opened = ours.hpke_open(&sealed, &short, &public, b"", None);
        assert_eq!(opened.unwrap_err(), CryptoError::Malformed);
    }
}

#[test]
fn x25519_share_of_low_order_is_refused() {
    let ours = suite(HYBRID);
    let (secret, public) = ours.kem_generate().unwrap();
    let mut low = public.to_vec();
    low[1184..].fill(0);
    let low = HpkePublicKey::from(low);
    assert!(ours.kem_public_key_validate(&low).is_err());
    assert!(ours.hpke_seal(&low, b"", None, b"text").is_err());
    let mut sealed = ours.hpke_seal(&public, b"", None, b"text").unwrap();
    sealed.kem_output[1088..].fill(0);
    let opened = ours.hpke_open(&sealed, &secret, &public, b"", None);
    assert_eq!(opened.unwrap_err(), CryptoError::Malformed);
}

#[test]
fn derived_keys_follow_from_the_material() {
    for ours in [suite(HYBRID), suite(CNSA2)] {
        let (secret, public) = ours.kem_derive(&[1; 48]).unwrap();
        let again = provider(9).cipher_suite_provider(ours.cipher_suite());
        assert_eq!(again.unwrap().kem_derive(&[1; 48]).unwrap().1, public);
        assert_ne!(ours.kem_derive(&[2; 48]).unwrap().1, public);
        let sealed = ours.hpke_seal(&public, b"", None, b"text").unwrap();
        ours.hpke_open(&sealed, &secret, &public, b"", None)
            .unwrap();
    }
}

#[test]
fn signatures_hold_for_one_key_and_message() {
    for ours in [suite(HYBRID), suite(CNSA2)] {
        let (secret, public) = ours.signature_key_generate().unwrap();
        let (other_secret, other_public) = ours.signature_key_generate().unwrap();
        assert_eq!(ours.signature_key_derive_public(&secret).unwrap(), public);
        let signature = ours.sign(&secret, b"text").unwrap();
        ours.verify(&public, &signature, b"text").unwrap();
        let second = ours.sign(&other_secret, b"text").unwrap();
        ours.verify(&other_public, &second, b"text").unwrap();
        for refused in [
            ours.verify(&public, &signature, b"other"),
            ours.verify(&other_public, &signature, b"text"),
            ours.verify(&public, &second, b"text"),
            ours.verify(&public, &signature[1..], b"text"),
            ours.verify(&public, &[], b"text"),
            ours.verify(&public[1..].to_vec().into(), &signature, b"text"),
        ] {
            assert_eq!(refused.unwrap_err(), CryptoError::Signature);
        }
        let short = secret[1..].to_vec().into();
        assert!(ours.sign(&short, b"text").is_err());
    }
}

/// An identity point as key makes `R = s B` a signature of every message.
#[test]
fn ed25519_key_of_small_order_signs_nothing() {
    let ours = suite(HYBRID);
    let mut identity = vec![0; 32];
    identity[0] = 1;
    // s = 0, R the identity: `s B = R + h A` for any h.
    let mut signature = vec![0; 64];
    signature[0] = 1;
    assert!(ours.verify(&identity.into(), &signature, b"any").is_err());
}

#[test]
fn one_seed_gives_one_stream_and_clones_share_it() {
    let draw = |provider: &Provider| {
        let suite = provider.cipher_suite_provider(HYBRID).unwrap();
        suite.random_bytes_vec(32).unwrap()
    };
    let (one, other) = (provider(3), provider(3));
    let clone = one.clone();
    let drawn = [draw(&one), draw(&clone), draw(&one)];
    assert_eq!(drawn, [draw(&other), draw(&other), draw(&other)]);
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    let sealed = |number| {
        let suite = suite(HYBRID);
        let (_, public) = suite.kem_derive(&[number]).unwrap();
        suite.hpke_seal(&public, b"", None, b"text").unwrap()
    };
    assert!(sealed(1) == sealed(1) && sealed(1) != sealed(2));
}

#[test]
fn keys_and_nonces_of_wrong_lengths_are_refused() {
    let ours = suite(HYBRID);
    let sealed = ours.aead_seal(&[1; 32], b"text", None, &[2; 12]).unwrap();
    let opened = ours.aead_open(&[1; 32], &sealed, None, &[2; 12]).unwrap();
    assert_eq!(&opened[..], b"text");
    assert!(ours.aead_seal(&[1; 16], b"text", None, &[2; 12]).is_err());
    assert!(ours.aead_seal(&[1; 32], b"text", None, &[2; 11]).is_err());
    assert!(
        ours.aead_open(&[1; 32], &sealed, Some(b"a"), &[2; 12])
            .is_err()
    );
    assert!(
        ours.aead_open(&[1; 32], &sealed[..15], None, &[2; 12])
            .is_err()
    );
    assert!(ours.kdf_expand(&[1; 48], b"", 255 * 48 + 1).is_err());
}

#[test]
fn only_our_suites_are_spoken() {
    let provider = provider(1);
    assert_eq!(provider.supported_cipher_suites(), [HYBRID, CNSA2]);
    for number in (0..=7).chain([0x004d, 0x004f, 0x0906, 0xf042]) {
        let suite = provider.cipher_suite_provider(CipherSuite::new(number));
        assert!(suite.is_none(), "{number}");
    }
}

/// Secrets of two keys in turn are those of each key alone.
#[test]
fn a_derived_secret_depends_on_its_key_alone() {
    let (ours, fresh) = (suite(HYBRID), |prk: &[u8], info: &[u8]| {
        suite(HYBRID).kdf_expand(prk, info, 48).unwrap()
    });
    for (prk, info) in [
        ([1; 48], b"one"),
        ([1; 48], b"two"),
        ([2; 48], b"two"),
        ([1; 48], b"one"),
    ] {
        assert_eq!(ours.kdf_expand(&prk, info, 48).unwrap(), fresh(&prk, info));
    }
    assert_ne!(fresh(&[1; 48], b"two"), fresh(&[2; 48], b"two"));
}

/// What is sealed under two infos in turn opens under its own alone.
#[test]
fn an_info_that_was_hashed_before_is_not_taken_for_another() {
    for ours in [suite(HYBRID), suite(CNSA2)] {
        let (secret, public) = ours.kem_generate().unwrap();
        for info in [&b"one"[..], b"one", b"two", b"", b"one"] {
            let sealed = ours.hpke_seal(&public, info, None, b"text").unwrap();
            for other in [&b"one"[..], b"two", b""] {
                let fresh = suite(ours.cipher_suite());
                let opened = fresh.hpke_open(&sealed, &secret, &public, other, None);
                assert_eq!(opened.is_ok(), other == info);
                let opened = ours.hpke_open(&sealed, &secret, &public, other, None);
                assert_eq!(opened.is_ok(), other == info);
            }
        }
    }
}

/// The library derives, then uses what it derived; after that nothing of the secret may be left.
#[test]
fn what_a_key_was_derived_of_is_forgotten() {
    let ours = suite(HYBRID);
    let (secret, public) = ours.kem_generate().unwrap();
    let (signing, verifying) = ours.signature_key_generate().unwrap();
    let sealed = ours.aead_seal(&[1; 32], b"text", None, &[2; 12]).unwrap();
    let to_us = ours.hpke_seal(&public, b"", None, b"text").unwrap();
    let signature = ours.sign(&signing, b"text").unwrap();
    let uses: [&dyn Fn(); 7] = [
        &|| drop(ours.aead_seal(&[1; 32], b"text", None, &[2; 12]).unwrap()),
        &|| drop(ours.aead_open(&[1; 32], &sealed, None, &[2; 12]).unwrap()),
        &|| drop(ours.mac(&[1; 48], b"text").unwrap()),
        &|| drop(ours.hpke_seal(&public, b"", None, b"text").unwrap()),
        &|| drop(ours.hpke_open(&to_us, &secret, &public, b"", None).unwrap()),
        &|| drop(ours.sign(&signing, b"text").unwrap()),
        &|| ours.verify(&verifying, &signature, b"text").unwrap(),
    ];
    for (number, use_of_it) in uses.iter().enumerate() {
        ours.kdf_expand(&[1; 48], b"key", 32).unwrap();
        assert!(!ours.shared.last_key.is_forgotten());
        use_of_it();
        assert!(ours.shared.last_key.is_forgotten(), "{number}");
    }
}

/// The secret of sender data is an epoch's, and stays for its next message; what a ratchet derives of does not.
#[test]
fn the_secret_of_sender_data_is_kept_for_its_epoch() {
    let ours = suite(HYBRID);
    let derive = |label: &[u8], context: &[u8]| {
        let mut info = vec![0, 32, u8::try_from(label.len()).unwrap()];
        info.extend_from_slice(label);
        info.push(u8::try_from(context.len()).unwrap());
        info.extend_from_slice(context);
        let derived = ours.kdf_expand(&[1; 48], &info, 32).unwrap();
        let parts = keys::sha2::Sha2::Sha384.expand(&[1; 48], &[&info], 32);
        assert_eq!(&derived[..], parts.unwrap().expose_secret());
    };
    let seal = || drop(ours.aead_seal(&[1; 32], b"text", None, &[2; 12]).unwrap());
    for label in [&b"MLS 1.0 key"[..], b"MLS 1.0 nonce"] {
        derive(label, &[3; 4]);
        assert!(ours.shared.sender_data.is_forgotten());
        seal();
        assert!(ours.shared.last_key.is_forgotten());
        derive(label, &[3; 48]);
        assert!(ours.shared.last_key.is_forgotten());
        seal();
        assert!(!ours.shared.sender_data.is_forgotten());
        ours.kdf_extract(&[1; 48], &[2; 48]).unwrap();
        assert!(ours.shared.sender_data.is_forgotten());
    }
    derive(b"MLS 1.0 secret", &[3; 48]);
    assert!(ours.shared.sender_data.is_forgotten());
}
