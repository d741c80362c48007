//! The account log against everybody who could change it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use letterlock_keys::account_log::{
    ClaimedIdentity, DeviceSecrets, LogError, Means, Method, OpeningSecrets, Pin, RecoverySecrets,
    RootSecret, UnverifiedLog, VerifiedLog, genesis,
};
use letterlock_keys::{AccountId, Secret, Suite, Timestamp, X25519Secret, safety_number};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

fn log(seed: u64) -> VerifiedLog {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    genesis(&root, &device, Timestamp::from_secs(1_700_000_000)).unwrap()
}

fn verify(
    bytes: &[u8],
    id: Option<&AccountId>,
    pin: Option<&Pin>,
) -> Result<VerifiedLog, LogError> {
    UnverifiedLog::decode(bytes)?.verify(id, pin)
}

#[test]
fn a_genesis_verifies_and_keeps_its_bytes() {
    let ours = log(1);
    let again = verify(ours.bytes(), Some(ours.account_id()), Some(&ours.head())).unwrap();
    assert_eq!(again.bytes(), ours.bytes());
    assert_eq!(again.device_list_hash(), ours.device_list_hash());
    assert_eq!(again.devices().len(), 1);
}

#[test]
fn log_of_another_account_is_refused() {
    let (ours, theirs) = (log(1), log(2));
    assert_eq!(
        verify(theirs.bytes(), Some(ours.account_id()), None).err(),
        Some(LogError::OtherAccount)
    );
}

#[test]
fn pins_stop_rollback_and_fork() {
    let ours = log(1);
    let ahead = Pin {
        sequence: 1,
        hash: ours.head().hash,
    };
    assert_eq!(
        verify(ours.bytes(), None, Some(&ahead)).err(),
        Some(LogError::RolledBack { got: 0, pinned: 1 })
    );
    let other = Pin {
        sequence: 0,
        hash: [1; 64],
    };
    assert_eq!(
        verify(ours.bytes(), None, Some(&other)).err(),
        Some(LogError::Forked { sequence: 0 })
    );
}

#[test]
fn genesis_without_a_signature_is_refused() {
    let ours = log(1);
    let body = u32::from_be_bytes(ours.bytes()[5..9].try_into().unwrap()) as usize;
    let count = 9 + body;
    assert_eq!(ours.bytes()[count], 2);
    let mut one = ours.bytes()[..=count].to_vec();
    one[count] = 1;
    let first = 1 + 4 + 64 + 3309;
    one.extend_from_slice(&ours.bytes()[count + 1..count + 1 + first]);
    assert_eq!(
        verify(&one, None, None).err(),
        Some(LogError::BadSignature { sequence: 0 })
    );
}

#[test]
fn device_secrets_survive_storage() {
    for (suite, length) in [
        (Suite::Hybrid, 16 + 32 + 64 + 32),
        (Suite::Cnsa2, 2 + 16 + 32 + 64),
    ] {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let secrets = DeviceSecrets::generate(suite, &mut rng).unwrap();
        let encoded = secrets.encode();
        assert_eq!(encoded.len(), length);
        let stored = DeviceSecrets::decode(encoded.expose_secret()).unwrap();
        assert_eq!(stored.suite(), suite);
        assert_eq!(stored.device_id(), secrets.device_id());
        let public = |secrets: &DeviceSecrets| secrets.identity().map(X25519Secret::public);
        assert_eq!(public(&stored), public(&secrets));
        assert_eq!(public(&stored).is_some(), suite == Suite::Hybrid);
        assert_eq!(
            stored.signing().verifying_key(),
            secrets.signing().verifying_key()
        );
        assert_eq!(stored.envelope().public(), secrets.envelope().public());
        let opening = secrets.encode_opening();
        let opening = OpeningSecrets::decode(opening.expose_secret()).unwrap();
        assert_eq!(opening.envelope().public(), secrets.envelope().public());
        assert_eq!(
            opening.identity().map(X25519Secret::public),
            public(&secrets)
        );
        let root = RootSecret::generate(suite, &mut rng).unwrap();
        let again = RootSecret::decode(root.encode().expose_secret()).unwrap();
        assert_eq!(again.suite(), suite);
        assert!(again.encode().expose_secret() == root.encode().expose_secret());
        for stored in [secrets.encode(), secrets.encode_opening(), root.encode()] {
            let bytes = stored.expose_secret();
            let longer = [bytes, &[0]].concat();
            for other in [&bytes[1..], &bytes[..bytes.len() - 1], &longer, &[]] {
                assert!(DeviceSecrets::decode(other).is_err());
                assert!(OpeningSecrets::decode(other).is_err());
                assert!(RootSecret::decode(other).is_err());
            }
        }
    }
}

/// What names no suite is of `hybrid`, in one form alone.
#[test]
fn stored_secrets_of_hybrid_name_no_suite() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let named = |number: u8| [&[0, number], root.encode().expose_secret()].concat();
    for number in [0, 1, 2, 3] {
        assert!(RootSecret::decode(&named(number)).is_err());
    }
    let root = RootSecret::generate(Suite::Cnsa2, &mut rng).unwrap();
    let mut bytes = root.encode().expose_secret().to_vec();
    assert_eq!(bytes[..2], [0, 2]);
    for number in [0, 1, 3] {
        bytes[1] = number;
        assert!(RootSecret::decode(&bytes).is_err());
    }
}

/// Logs of `hybrid` are older than `cnsa2`; these hashes were made then.
#[test]
fn a_log_of_hybrid_never_changes() {
    let log = log(1);
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let body = u32::from_be_bytes(log.bytes()[5..9].try_into().unwrap()) as usize;
    let body = letterlock_keys::sha256(&[&log.bytes()[9..9 + body]]);
    assert_eq!(
        [
            hex(&body),
            log.account_id().to_string(),
            hex(&log.head().hash[..16]),
            hex(&log.device_list_hash()[..16]),
        ],
        [
            "843b6b08f043999df6a2ee7016deaafe797ddb1bb27e503701deb0aae1cc66db",
            "qhyfg736tedwgwuf2geuj7gxs2oszt635w7njj655cbi6larmata",
            "e5b9e3653bd069ee4e45219d564202d2",
            "d6f10ec91aa26f6e46a7a938460c85ad",
        ]
    );
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    let stored = [root.encode(), device.encode(), device.encode_opening()]
        .map(|secret| hex(&letterlock_keys::sha256(&[secret.expose_secret()])[..16]));
    assert_eq!(
        stored,
        [
            "c96ce031b2496b63d0ede98d75b36533",
            "4022e3ccb2bfd7ed66058a93c5db5f6e",
            "ad073d5550ce02ec43f3d4ff8226d82e",
        ]
    );
    let secret = Secret::from_slice(&[9; 32]).unwrap();
    let way = |suite| {
        let way = RecoverySecrets::derive(suite, Method::Sheet, &secret).unwrap();
        let (verifying, envelope) = (way.verifying_key(), way.envelope().public());
        let keys = [verifying.as_bytes(), envelope.as_bytes(), &way.head_id()].concat();
        (hex(&letterlock_keys::sha256(&[&keys])[..16]), way)
    };
    let (hash, hybrid) = way(Suite::Hybrid);
    assert_eq!(hash, "055f4b021f0fcfdcab5d6188716af3f9");
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let to = hybrid.envelope().public();
    let sealed = letterlock_keys::hpke::seal(&mut rng, to, b"info", b"aad", b"text").unwrap();
    let hash = hex(&letterlock_keys::sha256(&[&sealed])[..16]);
    assert_eq!(hash, "c75268cfbfd552ac77a5c3425883a631");
    // The bundle is found before its suite is known; other keys are of one suite alone, and so is every part of them.
    let (_, cnsa2) = way(Suite::Cnsa2);
    assert_eq!(cnsa2.head_id(), hybrid.head_id());
    let seed = |way: &RecoverySecrets| way.signing().seed().expose_secret()[..32].to_vec();
    assert_ne!(seed(&cnsa2), seed(&hybrid));
    let seed = |way: &RecoverySecrets| way.envelope().seed().expose_secret()[..32].to_vec();
    assert_ne!(seed(&cnsa2), seed(&hybrid));
}

#[test]
fn safety_numbers_are_the_same_for_both_and_differ_for_others() {
    let (alice, bob, carol) = (log(1), log(2), log(3));
    let number = safety_number(&alice, &bob);
    assert_eq!(number, safety_number(&bob, &alice));
    assert_ne!(number, safety_number(&alice, &carol));
    assert_eq!(number.split(' ').count(), 12);
    assert!(
        number
            .split(' ')
            .all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit()))
    );
}

#[test]
fn a_claim_becomes_verified_only_for_the_expected_account() {
    let (alice, bob) = (log(1), log(2));
    assert!(
        ClaimedIdentity::of(&alice)
            .verify(bob.account_id(), Means::Invite)
            .is_err()
    );
    assert!(
        ClaimedIdentity::of(&alice)
            .verify(alice.account_id(), Means::Invite)
            .is_ok()
    );
}
