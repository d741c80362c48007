//! Every change that an account log knows, made as its owner makes it and read as a stranger reads it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    reason = "test code; each test file uses a part of `people`"
)]

mod people;

use letterlock_keys::account_log::{
    Authority, DeviceSecrets, EntryKind, LogError, Method, Proposal, Reason, RecoveryTerms, Signer,
    UnverifiedLog, VerifiedLog,
};
use letterlock_keys::codec::DecodeError;
use letterlock_keys::{DeviceId, X25519Public, X25519Secret, ed25519, sha256};
use people::{DAY, DELAY, HOUR, Person, device, later, recovery, renewed, root};

fn public(device: &DeviceSecrets) -> Option<X25519Public> {
    device.identity().map(X25519Secret::public)
}

fn ids(log: &VerifiedLog) -> Vec<DeviceId> {
    log.devices().iter().map(|device| *device.id()).collect()
}

/// A stranger, the owner who stored it, and whoever knew an earlier state all read the same.
fn check_readers(log: &VerifiedLog, earlier: &VerifiedLog) {
    let decode = || UnverifiedLog::decode(log.bytes()).unwrap();
    let stranger = decode()
        .verify(Some(log.account_id()), Some(&earlier.head()))
        .unwrap();
    let owner = decode().trusted(log.account_id(), &log.head()).unwrap();
    let friend = decode().verify_after(earlier).unwrap();
    for reader in [&stranger, &owner, &friend] {
        assert_eq!(reader.bytes(), log.bytes());
        assert_eq!(reader.entries(), log.entries());
        assert_eq!(reader.devices(), log.devices());
        assert_eq!(reader.revoked(), log.revoked());
        assert_eq!(reader.device_list_hash(), log.device_list_hash());
        assert_eq!(reader.root_key(), log.root_key());
        assert_eq!(reader.open_request(), log.open_request());
        assert_eq!(reader.is_tombstoned(), log.is_tombstoned());
        for method in Method::ALL {
            assert_eq!(reader.recovery(method), log.recovery(method));
        }
    }
}

#[test]
fn a_device_is_added_by_an_admin_and_itself() {
    let mut person = Person::new();
    let laptop = device(3);
    let before = person.log.clone();
    let proposal = before.propose_add(&laptop, false, later(HOUR + 5)).unwrap();
    let proposal = Proposal::decode(&proposal.encode()).unwrap();
    let seen = before.check_proposal(&proposal, later(HOUR + 9)).unwrap();
    assert_eq!(seen.id(), laptop.device_id());
    person.log = before
        .accept_add(person.authority(), &proposal, later(HOUR + 9))
        .unwrap();
    check_readers(&person.log, &before);
    assert_eq!(
        ids(&person.log),
        [*person.first.device_id(), *laptop.device_id()]
    );
    let record = person.log.device(laptop.device_id()).unwrap();
    assert!(!record.is_admin());
    assert_eq!(record.added(), later(HOUR));
    assert_eq!(record.identity().copied(), public(&laptop));
    let entry = &person.log.entries()[1];
    assert_eq!(entry.kind, EntryKind::AddDevice);
    assert_eq!(entry.at, later(HOUR));
    assert_eq!(entry.subject, Some(*laptop.device_id()));
    assert_eq!(
        entry.signers,
        [
            Signer::Device(*person.first.device_id()),
            Signer::Device(*laptop.device_id())
        ]
    );
    assert_eq!(entry.devices, ids(&person.log));
    assert_eq!(&entry.device_list, person.log.device_list_hash());
}

#[test]
fn a_device_is_revoked_with_a_reason() {
    let mut person = Person::new();
    let laptop = device(3);
    person.add(&laptop, true, later(HOUR));
    let before = person.log.clone();
    for reason in Reason::ALL {
        let log = before
            .revoke(
                person.authority(),
                laptop.device_id(),
                reason,
                later(2 * HOUR),
            )
            .unwrap();
        check_readers(&log, &before);
        assert_eq!(ids(&log), [*person.first.device_id()]);
        let revoked = &log.revoked()[0];
        assert_eq!(revoked.record.id(), laptop.device_id());
        assert_eq!(
            (revoked.reason, revoked.at, revoked.sequence),
            (reason, later(2 * HOUR), 2)
        );
        let entry = &log.entries()[2];
        assert_eq!(entry.kind, EntryKind::RevokeDevice);
        assert_eq!(entry.reason, Some(reason));
        assert_eq!(entry.subject, Some(*laptop.device_id()));
        assert_eq!(Reason::from_name(reason.name()), Some(reason));
    }
    assert_eq!(Reason::from_name("borrowed"), None);
}

#[test]
fn a_device_is_suspended_and_resumed_as_it_was() {
    let mut person = Person::new();
    let (laptop, phone) = (device(3), device(4));
    person.add(&laptop, true, later(HOUR));
    person.add(&phone, true, later(HOUR));
    let before = person.log.clone();
    let by = person.authority();
    let id = laptop.device_id();
    let away = before.suspend(by, id, later(2 * HOUR)).unwrap();
    check_readers(&away, &before);
    assert_eq!(ids(&away), [*person.first.device_id(), *phone.device_id()]);
    assert_ne!(away.device_list_hash(), before.device_list_hash());
    let suspended = &away.suspended()[0];
    assert_eq!(suspended.record.id(), id);
    assert_eq!((suspended.at, suspended.sequence), (later(2 * HOUR), 3));
    let entry = &away.entries()[3];
    assert_eq!(
        (entry.kind, entry.subject),
        (EntryKind::SuspendDevice, Some(*id))
    );
    assert!(away.suspend(by, id, later(2 * HOUR)).is_err());
    assert!(before.resume(by, id, later(2 * HOUR)).is_err());

    let back = away.resume(by, id, later(3 * HOUR)).unwrap();
    check_readers(&back, &away);
    assert_eq!(ids(&back), ids(&before), "the order of age");
    assert_eq!(back.device_list_hash(), before.device_list_hash());
    assert!(back.suspended().is_empty());
    let gone = away.revoke(by, id, Reason::Lost, later(3 * HOUR)).unwrap();
    check_readers(&gone, &away);
    assert!(gone.suspended().is_empty());
    assert_eq!(gone.revoked()[0].record.id(), id);
    assert!(gone.resume(by, id, later(4 * HOUR)).is_err());
}

#[test]
fn suspended_devices_sign_nothing() {
    let mut person = Person::new();
    let (laptop, phone) = (device(3), device(4));
    person.add(&laptop, true, later(HOUR));
    person.add(&phone, true, later(HOUR));
    let now = later(100 * HOUR);
    let id = laptop.device_id();
    let away = person.log.suspend(person.authority(), id, now).unwrap();
    let by = Authority::Device(&laptop);
    let refused = Some(LogError::NotInForce { sequence: 4 });
    assert_eq!(away.resume(by, id, now).err(), refused);
    assert_eq!(away.revoke(by, id, Reason::Retired, now).err(), refused);
    assert_eq!(away.suspend(by, phone.device_id(), now).err(), refused);
    assert_eq!(away.add_device(by, &device(5), true, now).err(), refused);
    let new = people::renewed(&laptop, 9);
    assert_eq!(away.rotate_device(&laptop, &new, now).err(), refused);
}

#[test]
fn young_devices_resume_nothing() {
    let mut person = Person::new();
    let (laptop, young, younger) = (device(3), device(4), device(5));
    person.add(&laptop, true, later(HOUR));
    person.add(&young, true, later(HOUR));
    person.add(&younger, true, later(HOUR));
    let now = later(2 * HOUR);
    let by = Authority::Device(&young);
    let sequence = person.log.head().sequence + 1;
    let refused = |sequence| Some(LogError::NotSenior { sequence });
    let older = person.log.suspend(by, laptop.device_id(), now);
    assert_eq!(older.err(), refused(sequence));
    let away = person.log.suspend(by, younger.device_id(), now).unwrap();
    let back = away.resume(by, younger.device_id(), now);
    assert_eq!(back.err(), refused(sequence + 1));
    assert!(
        away.resume(person.authority(), younger.device_id(), now)
            .is_ok()
    );
    // Nobody is left who could resume.
    let alone = Person::new();
    let own = alone
        .log
        .suspend(alone.authority(), alone.first.device_id(), now);
    assert_eq!(own.err(), Some(LogError::NoAdminLeft { sequence: 1 }));
}

#[test]
fn any_device_retires_itself() {
    let mut person = Person::new();
    let (tablet, phone) = (device(3), device(4));
    person.add(&tablet, false, later(HOUR));
    person.add(&phone, true, later(HOUR));
    let before = person.log.clone();
    for own in [&tablet, &phone, &person.first] {
        let log = before
            .revoke(
                Authority::Device(own),
                own.device_id(),
                Reason::Retired,
                later(HOUR),
            )
            .unwrap();
        check_readers(&log, &before);
        assert!(!ids(&log).contains(own.device_id()));
    }
}

#[test]
fn a_device_rotates_its_keys_and_keeps_its_place() {
    let mut person = Person::new();
    let laptop = device(3);
    person.add(&laptop, true, later(HOUR));
    let before = person.log.clone();
    let new = renewed(&laptop, 4);
    assert_eq!(new.device_id(), laptop.device_id());
    let log = before.rotate_device(&laptop, &new, later(DAY)).unwrap();
    check_readers(&log, &before);
    assert_eq!(ids(&log), ids(&before));
    let record = log.device(laptop.device_id()).unwrap();
    assert!(record.is_admin());
    assert_eq!(record.added(), later(HOUR));
    assert_eq!(record.identity().copied(), public(&new));
    assert_eq!(record.verifying_key(), new.signing().verifying_key());
    assert_eq!(record.envelope(), new.envelope().public());
    let itself = Signer::Device(*laptop.device_id());
    assert_eq!(log.entries()[2].kind, EntryKind::RotateDevice);
    assert_eq!(log.entries()[2].signers, [itself, itself]);
    // Neither younger nor older than before.
    assert!(!log.is_senior(laptop.device_id(), later(HOUR + 3 * DAY - 1)));
    assert!(log.is_senior(laptop.device_id(), later(HOUR + 3 * DAY)));
    let first = person.first.device_id();
    let by = Authority::Device(&new);
    let refused = log.revoke(by, first, Reason::Lost, later(2 * DAY)).err();
    assert_eq!(refused, Some(LogError::NotSenior { sequence: 3 }));
    // The old keys are worth nothing.
    let by = Authority::Device(&laptop);
    let refused = log.revoke(by, laptop.device_id(), Reason::Retired, later(2 * DAY));
    assert_eq!(refused.err(), Some(LogError::BadSignature { sequence: 3 }));
}

#[test]
fn the_root_key_is_rotated_by_itself() {
    let person = Person::new();
    let new = root(9);
    let log = person
        .log
        .rotate_root(&person.root, &new, later(DAY))
        .unwrap();
    check_readers(&log, &person.log);
    assert_ne!(log.root_key(), person.log.root_key());
    assert_eq!(log.entries()[1].kind, EntryKind::RotateRoot);
    assert_eq!(log.entries()[1].signers, [Signer::Root, Signer::Root]);
    assert_eq!(log.account_id(), person.log.account_id());
    let refused = log.rotate_root(&person.root, &root(10), later(DAY)).err();
    assert_eq!(refused, Some(LogError::BadSignature { sequence: 2 }));
    log.rotate_root(&new, &root(10), later(DAY)).unwrap();
}

#[test]
fn a_sheet_brings_its_owner_back_at_once() {
    let mut person = Person::new();
    let sheet = recovery(Method::Sheet, 5);
    person.set_sheet(&sheet, later(HOUR));
    let record = person.log.recovery(Method::Sheet).unwrap();
    assert_eq!(record.method(), Method::Sheet);
    assert_eq!(record.verifying_key(), sheet.verifying_key());
    assert_eq!(record.envelope(), sheet.envelope().public());
    assert_eq!(record.terms(), &RecoveryTerms::sheet());
    let head_id = sha256(&[&ed25519::public(sheet.head_key())]);
    assert_eq!((record.head_id(), sheet.head_id()), (&head_id, head_id));
    let entry = &person.log.entries()[1];
    assert_eq!(
        (entry.kind, entry.method),
        (EntryKind::SetRecovery, Some(Method::Sheet))
    );

    let before = person.log.clone();
    let (new, by) = (device(3), Authority::Recovery(&sheet));
    let log = before.add_device(by, &new, true, later(2 * HOUR)).unwrap();
    check_readers(&log, &before);
    let signers = [
        Signer::Recovery(Method::Sheet),
        Signer::Device(*new.device_id()),
    ];
    assert_eq!(log.entries()[2].signers, signers);
    // Whoever came back by recovery is senior at once.
    assert!(log.is_senior(new.device_id(), later(2 * HOUR)));
    let first = person.first.device_id();
    for by in [by, Authority::Device(&new)] {
        let log = log
            .revoke(by, first, Reason::Lost, later(2 * HOUR))
            .unwrap();
        assert_eq!(ids(&log), [*new.device_id()]);
    }
}

#[test]
fn guardians_bring_back_who_asked_after_the_delay() {
    let mut person = Person::new();
    let guardians = recovery(Method::Guardians, 6);
    person.set_guardians(&guardians, later(HOUR));
    let before = person.log.clone();
    let new = device(3);
    let asked = before.request_recovery(&new, later(2 * HOUR)).unwrap();
    check_readers(&asked, &before);
    assert_eq!(ids(&asked), ids(&before));
    assert_eq!(asked.device_list_hash(), before.device_list_hash());
    assert_eq!(asked.entries()[2].subject, Some(*new.device_id()));
    let request = asked.open_request().unwrap();
    assert_eq!(request.device().id(), new.device_id());
    assert_eq!(
        (request.sequence(), request.at(), request.ready()),
        (2, later(2 * HOUR), later(2 * HOUR + DELAY))
    );

    let by = Authority::Recovery(&guardians);
    let ready = later(2 * HOUR + DELAY);
    let log = asked.add_device(by, &new, true, ready).unwrap();
    check_readers(&log, &asked);
    let record = log.device(new.device_id()).unwrap();
    assert_eq!(record.added(), later(2 * HOUR));
    assert!(record.is_admin() && log.is_senior(new.device_id(), ready));
    assert!(log.open_request().is_none());
    log.revoke(by, person.first.device_id(), Reason::Lost, ready)
        .unwrap();
}

#[test]
fn any_device_cancels_a_request() {
    let mut person = Person::new();
    let (guardians, tablet, new) = (recovery(Method::Guardians, 6), device(3), device(4));
    person.set_guardians(&guardians, later(HOUR));
    person.add(&tablet, false, later(HOUR));
    let asked = person.log.request_recovery(&new, later(HOUR)).unwrap();
    let log = asked.cancel_recovery(&tablet, later(2 * HOUR)).unwrap();
    check_readers(&log, &asked);
    assert!(log.open_request().is_none());
    assert_eq!(log.entries()[4].kind, EntryKind::CancelRecovery);
    let by = Authority::Recovery(&guardians);
    let refused = log.add_device(by, &new, true, later(9 * DAY)).err();
    assert_eq!(refused, Some(LogError::NoRequest { sequence: 5 }));
    // What was refused may be asked again, and waits again.
    let again = log.request_recovery(&new, later(3 * DAY)).unwrap();
    assert_eq!(
        again.open_request().unwrap().ready(),
        later(3 * DAY + DELAY)
    );
}

#[test]
fn a_newer_request_takes_the_place_of_the_open_one() {
    let mut person = Person::new();
    let guardians = recovery(Method::Guardians, 6);
    person.set_guardians(&guardians, later(0));
    let log = person.log.request_recovery(&device(3), later(0)).unwrap();
    let log = log.request_recovery(&device(4), later(DAY)).unwrap();
    let request = log.open_request().unwrap();
    assert_eq!(request.device().id(), device(4).device_id());
    let by = Authority::Recovery(&guardians);
    let refused = log.add_device(by, &device(3), true, later(9 * DAY)).err();
    assert_eq!(refused, Some(LogError::NoRequest { sequence: 4 }));
}

#[test]
fn recovery_is_replaced_and_cleared() {
    let mut person = Person::new();
    let (old, new) = (recovery(Method::Sheet, 5), recovery(Method::Sheet, 6));
    let guardians = recovery(Method::Guardians, 7);
    person.set_sheet(&old, later(0));
    person.set_guardians(&guardians, later(0));
    person.set_sheet(&new, later(HOUR));
    assert!(person.log.recovery(Method::Guardians).is_some());
    let add = |log: &VerifiedLog, by| {
        log.add_device(Authority::Recovery(by), &device(3), true, later(DAY))
    };
    assert_eq!(
        add(&person.log, &old).err(),
        Some(LogError::BadSignature { sequence: 4 })
    );
    add(&person.log, &new).unwrap();
    let cleared = person
        .log
        .clear_recovery(&person.first, Method::Sheet, later(HOUR))
        .unwrap();
    check_readers(&cleared, &person.log);
    assert!(cleared.recovery(Method::Sheet).is_none());
    assert!(cleared.recovery(Method::Guardians).is_some());
    assert_eq!(
        add(&cleared, &new).err(),
        Some(LogError::NoRecovery { sequence: 5 })
    );
    let twice = cleared.clear_recovery(&person.first, Method::Sheet, later(HOUR));
    assert_eq!(twice.err(), Some(LogError::NoRecovery { sequence: 5 }));
}

#[test]
fn new_guardians_know_of_no_earlier_request() {
    let mut person = Person::new();
    person.set_guardians(&recovery(Method::Guardians, 6), later(0));
    person.log = person.log.request_recovery(&device(3), later(0)).unwrap();
    let cleared = person
        .log
        .clear_recovery(&person.first, Method::Guardians, later(0))
        .unwrap();
    assert!(cleared.open_request().is_none());
    // A sheet is nothing to them.
    let mut other = Person::new();
    other.log = person.log.clone();
    other.set_sheet(&recovery(Method::Sheet, 8), later(0));
    assert!(other.log.open_request().is_some());
    person.set_guardians(&recovery(Method::Guardians, 7), later(0));
    assert!(person.log.open_request().is_none());
}

#[test]
fn root_key_or_recovery_end_an_account() {
    let mut person = Person::new();
    let (sheet, guardians) = (recovery(Method::Sheet, 5), recovery(Method::Guardians, 6));
    person.set_sheet(&sheet, later(0));
    person.set_guardians(&guardians, later(0));
    assert!(!person.log.is_tombstoned());
    let by_root = person.log.tombstone(&person.root, later(DAY)).unwrap();
    let by_sheet = person
        .log
        .tombstone_by_recovery(&sheet, later(DAY))
        .unwrap();
    for log in [by_root, by_sheet] {
        check_readers(&log, &person.log);
        assert!(log.is_tombstoned());
        assert_eq!(log.entries()[3].kind, EntryKind::Tombstone);
        assert_eq!(ids(&log), ids(&person.log));
        let refused = log.rotate_root(&person.root, &root(9), later(DAY)).err();
        assert_eq!(refused, Some(LogError::Tombstoned { sequence: 4 }));
    }
}

#[test]
fn seniority_is_age_or_recovery() {
    let mut person = Person::new();
    let (second, third) = (device(3), device(4));
    person.add(&second, true, later(HOUR));
    person.add(&third, true, later(2 * HOUR));
    let log = &person.log;
    let (one, two, three) = (
        person.first.device_id(),
        second.device_id(),
        third.device_id(),
    );
    assert!(log.is_senior(one, later(0)));
    assert!(!log.is_senior(two, later(3 * DAY)));
    assert!(log.is_senior(two, later(HOUR + 3 * DAY)));
    assert!(!log.is_senior(three, later(HOUR + 3 * DAY)));
    assert!(!log.is_senior(device(5).device_id(), later(9 * DAY)));
    // The oldest that is left is senior.
    let retired = log
        .revoke(person.authority(), one, Reason::Retired, later(2 * HOUR))
        .unwrap();
    assert!(retired.is_senior(two, later(2 * HOUR)));
    assert!(!retired.is_senior(three, later(2 * HOUR)));
    assert!(!retired.is_senior(one, later(9 * DAY)));
    let by = Authority::Device(&second);
    let fourth = device(5);
    retired
        .add_device(by, &fourth, true, later(2 * HOUR))
        .unwrap();
    // A young admin device may still revoke younger ones.
    let by = Authority::Device(&second);
    log.revoke(by, three, Reason::Stolen, later(2 * HOUR))
        .unwrap();
}

#[test]
fn clocks_may_differ_a_little() {
    let person = Person::new();
    let log = person
        .log
        .rotate_root(&person.root, &root(9), later(10 * HOUR))
        .unwrap();
    assert_eq!(log.check_time(later(8 * HOUR)), Ok(()));
    assert_eq!(
        log.check_time(later(8 * HOUR - 1)),
        Err(LogError::FromTheFuture {
            sequence: 1,
            ahead_seconds: 7201
        })
    );
    // A device whose clock is behind goes on from the newest entry.
    let log = log.rotate_root(&root(9), &root(10), later(0)).unwrap();
    assert_eq!(log.entries()[2].at, later(10 * HOUR));
}

#[test]
fn recovery_keys_follow_from_the_secret_and_the_method() {
    let (a, b) = (recovery(Method::Sheet, 5), recovery(Method::Guardians, 5));
    let again = recovery(Method::Sheet, 5);
    assert_eq!(a.verifying_key(), again.verifying_key());
    assert_eq!(a.envelope().public(), again.envelope().public());
    assert_eq!(a.head_id(), again.head_id());
    assert_ne!(a.verifying_key(), b.verifying_key());
    assert_ne!(a.envelope().public(), b.envelope().public());
    assert_ne!(a.head_id(), b.head_id());
    assert_ne!(
        recovery(Method::Sheet, 6).verifying_key(),
        a.verifying_key()
    );
}

#[test]
fn terms_that_do_not_fit_their_method_are_refused() {
    let person = Person::new();
    let terms = |delay_seconds, need, count: u8| RecoveryTerms {
        delay_seconds,
        need,
        commitments: vec![[7; 32]; usize::from(count)],
    };
    let set = |method, terms: &RecoveryTerms| {
        let secrets = recovery(method, 5);
        let set = person
            .log
            .set_recovery(&person.first, &secrets, terms, later(0));
        set.map(|_| ())
    };
    let invalid = Err(LogError::Malformed(DecodeError::Invalid));
    for bad in [
        terms(0, 1, 2),
        terms(0, 2, 1),
        terms(0, 3, 2),
        terms(0, 0, 0),
        terms(0, 2, 17),
    ] {
        assert_eq!(set(Method::Guardians, &bad), invalid, "{bad:?}");
    }
    for good in [terms(0, 2, 2), terms(1, 16, 16), terms(9, 2, 16)] {
        assert_eq!(set(Method::Guardians, &good), Ok(()), "{good:?}");
    }
    for bad in [terms(1, 0, 0), terms(0, 1, 0), terms(0, 0, 1)] {
        assert_eq!(set(Method::Sheet, &bad), invalid, "{bad:?}");
    }
}
