//! The primitives against the recorded vectors (vectors/triple-ratchet/README.md).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use data_encoding::HEXLOWER;
use letterlock_keys::kem::{Kem, KemPublic, KemSecret};
use letterlock_keys::mlkem_incremental::{self, KeyPair};
use letterlock_keys::{
    Secret, SecretBytes, X25519Public, X25519Secret, cbc_decrypt, cbc_encrypt, xeddsa,
};
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!(
        "{}/../../vectors/triple-ratchet/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// The bytes behind the type byte, where there is one.
fn raw(value: &Value, length: usize) -> Vec<u8> {
    let bytes = hex(value);
    bytes[bytes.len() - length..].to_vec()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn public(value: &Value) -> X25519Public {
    X25519Public(hex(value)[1..].try_into().unwrap())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

#[test]
fn x25519_agrees_and_low_order_keys_are_refused() {
    let vectors = load("curve25519-xeddsa");
    for case in list(&vectors, "agreements") {
        let ours = X25519Secret::from_secret(&Secret::from_slice(&hex(&case["private"])).unwrap());
        let theirs = X25519Secret::from_secret(
            &Secret::from_slice(&hex(&case["their_private_unclamped"])).unwrap(),
        );
        assert_eq!(
            theirs.secret().expose_secret(),
            &array::<32>(&case["their_private_stored"])
        );
        assert_eq!(theirs.public(), public(&case["their_public"]));
        assert_eq!(
            ours.agree(&theirs.public()).unwrap().expose_secret(),
            &array::<32>(&case["shared"])
        );
    }
    let special = &vectors["special_points"];
    let ours = X25519Secret::from_secret(&Secret::from_slice(&hex(&special["private"])).unwrap());
    for case in list(special, "cases") {
        let key = public(&case["public"]);
        assert_eq!(
            key.is_canonical(),
            case["canonical_and_torsion_free"].as_bool().unwrap(),
            "{}",
            case["why"]
        );
        match case["shared"].as_str() {
            Some(_) => {
                assert_eq!(
                    ours.agree(&key).unwrap().expose_secret(),
                    &array::<32>(&case["shared"])
                );
            }
            None => assert!(ours.agree(&key).is_err(), "{}", case["why"]),
        }
    }
}

#[test]
fn xeddsa_signs_as_recorded() {
    for case in list(&load("curve25519-xeddsa"), "signatures") {
        let key = X25519Secret::from_secret(&Secret::from_slice(&hex(&case["private"])).unwrap());
        let signature = xeddsa::sign(&key, &hex(&case["message"]), &array(&case["random_Z"]));
        assert_eq!(signature, array::<64>(&case["signature"]));
    }
}

#[test]
fn altered_signatures_are_refused() {
    for case in list(&load("curve25519-xeddsa"), "verifications") {
        let why = case["why"].as_str().unwrap();
        let result = xeddsa::verify(
            &public(&case["public"]),
            &hex(&case["message"]),
            &hex(&case["signature"]),
        );
        let stricter = why.contains("s+L") || why.contains("unused top bit");
        let expected = case["valid"].as_bool().unwrap() && !stricter;
        assert_eq!(result.is_ok(), expected, "{why}");
    }
}

#[test]
fn kems_of_pqxdh_agree() {
    for case in list(&load("kem1024"), "cases") {
        let name = case["kem"].as_str().unwrap();
        let kem = if name.starts_with("kyber") {
            Kem::Kyber1024
        } else {
            Kem::MlKem1024
        };
        let seed = Secret::from_slice(&hex(&case["seed_d_z"])).unwrap();
        let (secret, public) = KemSecret::from_seed(kem, &seed).unwrap();
        assert_eq!(public.as_bytes()[..], raw(&case["public"], 1568), "{name}");
        assert_eq!(
            secret.secret().expose_secret(),
            raw(&case["secret"], 3168),
            "{name}"
        );
        let (ciphertext, shared) = public
            .encapsulate(&Secret::from_slice(&hex(&case["m"])).unwrap())
            .unwrap();
        assert_eq!(ciphertext, raw(&case["ciphertext"], 1568), "{name}");
        assert_eq!(
            shared.expose_secret(),
            &array::<32>(&case["shared_secret"]),
            "{name}"
        );
        assert!(secret.decapsulate(&ciphertext).unwrap().ct_eq(&shared));
        let stored =
            KemSecret::from_bytes(kem, SecretBytes::from(secret.secret().expose_secret())).unwrap();
        let mut altered = raw(&case["ciphertext"], 1568);
        altered[76] ^= 1;
        let rejected = stored.decapsulate(&altered).unwrap();
        assert!(!rejected.ct_eq(&shared), "implicit rejection");
    }
}

#[test]
fn kem_public_key_with_large_coefficient_is_refused() {
    let seed = Secret::from_slice(&[5; 64]).unwrap();
    let (_, public) = KemSecret::from_seed(Kem::MlKem1024, &seed).unwrap();
    let mut bytes = *public.as_bytes();
    bytes[0] = 0xff;
    bytes[1] |= 0x0f;
    assert!(KemPublic::from_bytes(Kem::MlKem1024, &bytes).is_err());
    assert!(KemPublic::from_bytes(Kem::Kyber1024, &bytes).is_err());
}

#[test]
fn incremental_ml_kem_agrees() {
    for case in list(&load("incremental-mlkem768"), "cases") {
        let pair =
            KeyPair::from_seed(&Secret::from_slice(&hex(&case["seed_d_z"])).unwrap()).unwrap();
        assert_eq!(pair.header, array::<64>(&case["header"]));
        assert_eq!(*pair.ek, array::<1152>(&case["ek"]));
        assert_eq!(pair.dk.expose_secret(), hex(&case["dk"]));
        let m = Secret::from_slice(&hex(&case["m"])).unwrap();
        let (ct1, shared) = mlkem_incremental::encaps1(&pair.header, &m).unwrap();
        assert_eq!(ct1[..], hex(&case["ct1"]));
        let mut ct2 = mlkem_incremental::encaps2(&pair.header, &pair.ek, &m).unwrap();
        assert_eq!(ct2, array::<128>(&case["ct2"]));
        assert_eq!(shared.expose_secret(), &array::<32>(&case["shared_secret"]));
        assert!(
            mlkem_incremental::decaps(&pair.dk, &ct1, &ct2)
                .unwrap()
                .ct_eq(&shared)
        );
        ct2[5] ^= 1;
        let rejected = mlkem_incremental::decaps(&pair.dk, &ct1, &ct2).unwrap();
        assert_eq!(
            rejected.expose_secret(),
            &array::<32>(&case["ct2_with_byte5_xor1_shared_secret"])
        );
    }
}

#[test]
fn ek_that_does_not_fit_the_header_is_refused() {
    let pair = KeyPair::from_seed(&Secret::from_slice(&[9; 64]).unwrap()).unwrap();
    let m = Secret::from_slice(&[1; 32]).unwrap();
    let mut ek = pair.ek.clone();
    ek[9] ^= 1;
    assert!(mlkem_incremental::encaps2(&pair.header, &ek, &m).is_err());
    for place in [0, 31, 32, 63] {
        let mut header = pair.header;
        header[place] ^= 1;
        assert!(mlkem_incremental::encaps2(&header, &pair.ek, &m).is_err());
    }
}

#[test]
fn cbc_agrees() {
    for case in list(&load("signal-message"), "aes_256_cbc_pkcs7") {
        let key = Secret::from_slice(&hex(&case["key"])).unwrap();
        let iv = array(&case["iv"]);
        let ciphertext = cbc_encrypt(&key, &iv, &hex(&case["plaintext"]));
        assert_eq!(ciphertext, hex(&case["ciphertext"]));
        assert_eq!(
            cbc_decrypt(&key, &iv, &ciphertext).unwrap(),
            hex(&case["plaintext"])
        );
        for length in (0..ciphertext.len()).filter(|length| length % 16 != 0 || *length == 0) {
            assert!(cbc_decrypt(&key, &iv, &ciphertext[..length]).is_err());
        }
    }
}
