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
    Authority, EntryKind, LogError, Method, Proposal, Reason, RecoverySecrets, RecoveryTerms,
    Signer, UnverifiedLog, VerifiedLog,
};
use letterlock_keys::codec::DecodeError;
use letterlock_keys::{DeviceId, ed25519, sha256};
use people::{
    BORN, DAY, DELAY, HOUR, Person, device, later, recovery, renewed, root, terms, verify,
};

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
    assert_eq!(record.identity(), &laptop.identity().public());
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
