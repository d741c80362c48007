//! The account log against everybody who could change it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use letterlock_keys::account_log::{
    ClaimedIdentity, DeviceSecrets, LogError, Means, Pin, RootSecret, UnverifiedLog, VerifiedLog,
    genesis,
};
use letterlock_keys::{AccountId, Timestamp, safety_number};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

fn log(seed: u64) -> VerifiedLog {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let root = RootSecret::generate(&mut rng).unwrap();
    let device = DeviceSecrets::generate(&mut rng).unwrap();
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
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let secrets = DeviceSecrets::generate(&mut rng).unwrap();
    let stored = DeviceSecrets::decode(secrets.encode().expose_secret()).unwrap();
    assert_eq!(stored.identity().public(), secrets.identity().public());
    assert_eq!(
        stored.signing().verifying_key(),
        secrets.signing().verifying_key()
    );
    assert_eq!(stored.envelope().public(), secrets.envelope().public());
    assert!(DeviceSecrets::decode(&secrets.encode().expose_secret()[1..]).is_err());
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
