//! Vectors that the standards themselves publish, where Wycheproof has no set.
#![allow(clippy::unwrap_used, reason = "test code")]

mod known;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use known::Known;
use letterlock_keys::xwing::XWingSecret;
use letterlock_keys::{
    Secret, ed25519, hkdf_sha256, hkdf_sha512, hmac_sha256, hmac_sha256_secret, sha3_256, sha256,
    sha512,
};

fn hex(text: &str) -> Vec<u8> {
    HEX.decode(text.as_bytes()).unwrap()
}

/// The messages of FIPS 180-2, appendices B and C, and of the FIPS 202 examples.
#[test]
fn hashes_are_those_of_fips_180_and_202() {
    assert_eq!(
        HEX.encode(&sha256(&[b"abc"])),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        HEX.encode(&sha512(&[b"abc"])),
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    );
    assert_eq!(
        HEX.encode(&sha3_256(&[b"abc"])),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
    assert_eq!(
        HEX.encode(&sha3_256(&[])),
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    );
    let million = vec![b'a'; 1_000_000];
    assert_eq!(
        HEX.encode(&sha256(&[&million])),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    );
    assert_eq!(
        HEX.encode(&sha512(&[&million])),
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb\
         de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
    );
}

#[test]
fn parts_are_one_message() {
    let parts: [&[u8]; 4] = [b"a", b"", b"b", b"c"];
    assert_eq!(sha256(&parts), sha256(&[b"abc"]));
    assert_eq!(sha512(&parts), sha512(&[b"abc"]));
    assert_eq!(sha3_256(&parts), sha3_256(&[b"abc"]));
    assert_eq!(hmac_sha256(b"k", &parts), hmac_sha256(b"k", &[b"abc"]));
    assert_eq!(
        hmac_sha256_secret(b"k", &parts).expose_secret(),
        &hmac_sha256(b"k", &[b"abc"])
    );
    let whole = hkdf_sha512::<70>(b"s", &[b"abc"], &[b"abc"]);
    assert!(hkdf_sha512::<70>(b"s", &parts, &parts).ct_eq(&whole));
}

/// RFC 5869, appendix A.1 to A.3.
#[test]
fn hkdf_is_that_of_rfc_5869() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let first = hkdf_sha256::<42>(&range(0, 0x0c), &[&[0x0b; 22]], &[&range(0xf0, 0xf9)]);
    assert_eq!(
        HEX.encode(first.expose_secret()),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
    let second = hkdf_sha256::<82>(
        &range(0x60, 0xaf),
        &[&range(0, 0x4f)],
        &[&range(0xb0, 0xff)],
    );
    assert_eq!(
        HEX.encode(second.expose_secret()),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
         59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
         cc30c58179ec3e87c14c01d5c1f3434f1d87"
    );
    let third = hkdf_sha256::<42>(&[], &[&[0x0b; 22]], &[]);
    assert_eq!(
        HEX.encode(third.expose_secret()),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    );
}

/// RFC 8032, section 7.1: seed, public key, message, signature.
#[test]
fn ed25519_signs_as_in_rfc_8032() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let seed = Secret::from_slice(&hex(seed)).unwrap();
        assert_eq!(HEX.encode(&ed25519::public(&seed)), public);
        assert_eq!(HEX.encode(&ed25519::sign(&seed, &hex(message))), signature);
    }
}

/// draft-connolly-cfrg-xwing-kem, appendix C, first vector: seed, eseed, ss.
#[test]
fn x_wing_is_that_of_the_draft() {
    let seed = hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
    let chance = hex(
        "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2\
                      35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
    );
    let expected = "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384";
    let secret = XWingSecret::from_seed(Secret::from_slice(&seed).unwrap()).unwrap();
    let (ciphertext, shared) = secret.public().encapsulate(&mut Known(chance)).unwrap();
    assert_eq!(HEX.encode(shared.expose_secret()), expected);
    assert!(secret.decapsulate(&ciphertext).unwrap().ct_eq(&shared));
}
