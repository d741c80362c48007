//! What a log that was shown in place of a known one proves, and what it does not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    reason = "test code; each test file uses a part of `people` and `forge`"
)]

mod forge;
mod people;

use forge::{By, Forged, Record};
use letterlock_keys::account_log::{
    Contradiction, LogError, Method, Reason, Signer, UnverifiedLog, VerifiedLog, genesis,
};
use people::{BORN, DAY, HOUR, Person, device, later, recovery, root};

fn shown(known: &VerifiedLog, shown: &[u8]) -> Contradiction {
    known.contradiction(UnverifiedLog::decode(shown).unwrap())
}

/// A person with a second device, and that device.
fn person() -> (Person, letterlock_keys::account_log::DeviceSecrets) {
    let mut person = Person::new();
    let second = device(3);
    person.add(&second, true, later(HOUR));
    (person, second)
}

#[test]
fn what_goes_on_contradicts_nothing() {
    let (mut person, second) = person();
    let known = person.log.clone();
    assert_eq!(shown(&known, known.bytes()), Contradiction::None);
    person.add(&device(4), false, later(DAY));
    let by = person.authority();
    let longer = person
        .log
        .revoke(by, second.device_id(), Reason::Lost, later(DAY));
    assert_eq!(shown(&known, longer.unwrap().bytes()), Contradiction::None);
}

#[test]
fn a_new_root_key_is_told() {
    let (person, _) = person();
    let once = person
        .log
        .rotate_root(&person.root, &root(60), later(DAY))
        .unwrap();
    let twice = once.rotate_root(&root(60), &root(61), later(DAY)).unwrap();
    for log in [&once, &twice] {
        let replaced = Contradiction::RootReplaced { sequence: 2 };
        assert_eq!(shown(&person.log, log.bytes()), replaced);
    }
    assert_eq!((once.root_entry(), twice.root_entry()), (2, 3));
    assert_eq!(person.log.root_entry(), 0);
    assert_eq!(shown(&once, once.bytes()), Contradiction::None);
}

#[test]
fn a_log_that_ends_early_was_rolled_back() {
    let (person, _) = person();
    let before = Person::new().log;
    let expected = Contradiction::RolledBack { shown: 0, known: 1 };
    assert_eq!(shown(&person.log, before.bytes()), expected);
}

#[test]
fn two_signed_entries_in_one_place_are_a_fork() {
    let before = Person::new();
    let one = before
        .log
        .add_device(before.authority(), &device(3), true, later(HOUR));
    let sheet = recovery(Method::Sheet, 9);
    let terms = letterlock_keys::account_log::RecoveryTerms::sheet();
    let other = before
        .log
        .set_recovery(&before.first, &sheet, &terms, later(HOUR));
    let (one, other) = (one.unwrap(), other.unwrap());
    let fork = Contradiction::Fork { sequence: 1 };
    assert_eq!(shown(&one, other.bytes()), fork);
    assert_eq!(shown(&other, one.bytes()), fork);
    // The longer history does not make the other one right.
    let longer = one
        .add_device(before.authority(), &device(5), true, later(DAY))
        .unwrap();
    assert_eq!(shown(&other, longer.bytes()), fork);
    assert_eq!(shown(&longer, other.bytes()), fork);
}

#[test]
fn another_genesis_is_another_account() {
    let known = Person::new().log;
    let other = genesis(&root(70), &device(71), later(0)).unwrap();
    let expected = Contradiction::OtherAccount {
        shown: *other.account_id(),
    };
    assert_eq!(shown(&known, other.bytes()), expected);
}

#[test]
fn what_nobody_signed_accuses_nobody() {
    let (person, second) = person();
    let stranger = device(80);
    let record = Record::of(&stranger, true, BORN + DAY);
    let not_signed = |entry: &Forged| match shown(&person.log, &entry.log()) {
        Contradiction::NotSigned { sequence, error } => (sequence, error),
        other => panic!("{other:?}"),
    };
    let bad = LogError::BadSignature { sequence: 2 };
    // A ghost device: in the name of the first device, by a key that is not its.
    let named = By::device(&person.first).with_key_of(&By::device(&stranger));
    let ghost = vec![named, By::device(&stranger)];
    let ghost = Forged::add(&person.log, &record, BORN + DAY, ghost);
    assert_eq!(not_signed(&ghost), (2, bad));
    // A hidden or a wrong revocation, the same way.
    let named = By::device(&person.first).with_key_of(&By::device(&stranger));
    let gone = Forged::revoke(&person.log, &second, BORN + DAY, vec![named]);
    assert_eq!(not_signed(&gone), (2, bad));
    // By a device that the account never had.
    let own = vec![By::device(&stranger)];
    let own = Forged::revoke(&person.log, &second, BORN + DAY, own);
    assert_eq!(not_signed(&own).0, 2);
    // An entry that a device did sign, in another place.
    let mut moved = Forged::revoke(
        &person.log,
        &second,
        BORN + DAY,
        vec![By::device(&person.first)],
    );
    moved.previous = [7; 64];
    assert_eq!(
        not_signed(&moved),
        (2, LogError::BrokenChain { sequence: 2 })
    );
}

#[test]
fn a_genesis_that_nobody_signed_is_no_account() {
    let known = Person::new().log;
    let other = genesis(&root(70), &device(71), later(0)).unwrap();
    let mut bytes = other.bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let expected = Contradiction::NotSigned {
        sequence: 0,
        error: LogError::BadSignature { sequence: 0 },
    };
    assert_eq!(shown(&known, &bytes), expected);
}

#[test]
fn a_device_that_signs_what_it_may_not_is_named() {
    let (mut person, young) = person();
    // A young device adds another one.
    let new = device(81);
    let record = Record::of(&new, true, BORN + DAY);
    let by = vec![By::device(&young), By::device(&new)];
    let early = Forged::add(&person.log, &record, BORN + DAY, by);
    let expected = Contradiction::AgainstRules {
        sequence: 2,
        signer: Signer::Device(*young.device_id()),
        revoked: false,
        error: LogError::NotSenior { sequence: 2 },
    };
    assert_eq!(shown(&person.log, &early.log()), expected);
    // A revoked one talks on, in a history that holds its revocation.
    let by = person.authority();
    let log = person
        .log
        .revoke(by, young.device_id(), Reason::Stolen, later(DAY));
    person.log = log.unwrap();
    let late = vec![By::device(&young), By::device(&new)];
    let late = Forged::add(&person.log, &record, BORN + DAY, late);
    let expected = Contradiction::AgainstRules {
        sequence: 3,
        signer: Signer::Device(*young.device_id()),
        revoked: true,
        error: LogError::NotInForce { sequence: 3 },
    };
    assert_eq!(shown(&person.log, &late.log()), expected);
    // Even to somebody who knew the account before the revocation.
    let before = Person::new().log;
    assert_eq!(shown(&before, &late.log()), expected);
}
