//! Later entries of account logs that somebody forged: each breaks one rule alone and is signed with real keys.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    reason = "test code; each test file uses a part of `people` and `forge`"
)]

mod forge;
mod people;

use forge::{By, Forged, Record, recovery_payload};
use letterlock_keys::Suite;
use letterlock_keys::account_log::{
    Authority, DeviceSecrets, LogError, MAX_DEVICES, MAX_LOG_BYTES, Method, RESERVED_LOG_BYTES,
    Reason, RecoverySecrets, RecoveryTerms, RootSecret, UnverifiedLog, VerifiedLog,
};
use letterlock_keys::codec::DecodeError;
use people::{
    BORN, DAY, DELAY, HOUR, Person, SUITE, device, later, recovery, renewed, root, terms, verify,
};

const INVALID: LogError = LogError::Malformed(DecodeError::Invalid);
/// When everything happens: the second device is not yet senior.
const NOW: u64 = BORN + DAY;

fn error(entry: &Forged) -> LogError {
    verify(&entry.log()).err().unwrap()
}

fn accepted(entry: &Forged) -> VerifiedLog {
    verify(&entry.log()).unwrap()
}

/// An account with a senior admin device, a young admin device, a device that is no admin, a revoked one, a suspended
/// one, a sheet and guardians who were asked.
struct Scene {
    root: RootSecret,
    old: DeviceSecrets,
    young: DeviceSecrets,
    plain: DeviceSecrets,
    gone: DeviceSecrets,
    away: DeviceSecrets,
    sheet: RecoverySecrets,
    guardians: RecoverySecrets,
    asking: DeviceSecrets,
    new: DeviceSecrets,
    log: VerifiedLog,
    /// Sequence number of the next entry.
    next: u64,
}

fn scene() -> Scene {
    let mut person = Person::new();
    let (young, plain, gone) = (device(3), device(4), device(5));
    let away = device(8);
    let sheet = recovery(Method::Sheet, 5);
    let guardians = recovery(Method::Guardians, 6);
    let asking = device(6);
    person.add(&plain, false, later(0));
    person.add(&young, true, later(HOUR));
    person.add(&gone, true, later(HOUR));
    let by = person.authority();
    let log = person
        .log
        .revoke(by, gone.device_id(), Reason::Stolen, later(HOUR));
    person.log = log.unwrap();
    person.add(&away, false, later(HOUR));
    let log = person
        .log
        .suspend(person.authority(), away.device_id(), later(HOUR));
    person.log = log.unwrap();
    person.set_sheet(&sheet, later(HOUR));
    person.set_guardians(&guardians, later(HOUR));
    person.log = person.log.request_recovery(&asking, later(HOUR)).unwrap();
    let next = person.log.head().sequence + 1;
    Scene {
        root: person.root,
        old: person.first,
        young,
        plain,
        gone,
        away,
        sheet,
        guardians,
        asking,
        new: device(7),
        log: person.log,
        next,
    }
}

impl Scene {
    fn record(&self) -> Record {
        Record::of(&self.new, true, NOW)
    }

    fn add_by(&self, by: By) -> Forged {
        Forged::add(
            &self.log,
            &self.record(),
            NOW,
            vec![by, By::device(&self.new)],
        )
    }

    fn revoke_by(&self, device: &DeviceSecrets, by: By) -> Forged {
        Forged::revoke(&self.log, device, NOW, vec![by])
    }

    fn suspend_by(&self, device: &DeviceSecrets, by: By) -> Forged {
        let id = device.device_id().as_bytes();
        let mut entry = Forged::after(&self.log, 11, NOW, id, vec![by]);
        entry.devices.retain(|device| device.id != *id);
        entry
    }

    fn resume_by(&self, by: By) -> Forged {
        let id = self.away.device_id().as_bytes();
        let mut entry = Forged::after(&self.log, 12, NOW, id, vec![by]);
        let back = Record::of(&self.away, false, BORN + HOUR);
        entry.devices.push(back);
        entry
    }

    fn rotation(&self, change: impl FnOnce(&mut Record)) -> Forged {
        let new = renewed(&self.young, 40);
        let mut record = Record::of(&new, true, BORN + HOUR);
        change(&mut record);
        let by = vec![By::device(&self.young), By::device(&new)];
        Forged::rotate(&self.log, &record, NOW, by)
    }

    fn root_rotation(&self) -> Forged {
        let new = By::root(&root(50));
        let key = new.key.verifying_key().as_bytes().to_vec();
        let by = vec![By::root(&self.root), new];
        Forged::after(&self.log, 5, NOW, &key, by)
    }

    fn set_by(&self, by: By) -> Forged {
        let new = recovery(Method::Guardians, 60);
        let by = vec![by, By::recovery(&new)];
        Forged::after(&self.log, 6, NOW, &recovery_payload(&new, &terms()), by)
    }

    fn clear_by(&self, by: By) -> Forged {
        Forged::after(&self.log, 6, NOW, &[2, 0], vec![by])
    }

    fn end_by(&self, by: By) -> Forged {
        Forged::after(&self.log, 8, NOW, &[], vec![by])
    }

    fn request(&self) -> Forged {
        let by = vec![By::device(&self.new)];
        Forged::after(&self.log, 9, NOW, &self.record().encode(), by)
    }

    fn cancel_by(&self, by: By) -> Forged {
        Forged::after(&self.log, 10, NOW, &[], vec![by])
    }

    fn asked(&self, at: u64) -> Forged {
        let record = Record::of(&self.asking, true, BORN + HOUR);
        let by = vec![By::recovery(&self.guardians), By::device(&self.asking)];
        Forged::add(&self.log, &record, at, by)
    }

    /// One good entry of every kind.
    fn every_kind(&self) -> Vec<Forged> {
        vec![
            self.add_by(By::device(&self.old)),
            self.add_by(By::recovery(&self.sheet)),
            self.asked(BORN + HOUR + DELAY),
            self.revoke_by(&self.young, By::device(&self.old)),
            self.revoke_by(&self.young, By::recovery(&self.sheet)),
            self.revoke_by(&self.plain, By::device(&self.plain)),
            self.rotation(|_| {}),
            self.root_rotation(),
            self.set_by(By::device(&self.old)),
            self.clear_by(By::device(&self.old)),
            self.end_by(By::root(&self.root)),
            self.end_by(By::recovery(&self.sheet)),
            self.request(),
            self.cancel_by(By::device(&self.plain)),
            self.suspend_by(&self.young, By::device(&self.old)),
            self.suspend_by(&self.plain, By::recovery(&self.sheet)),
            self.resume_by(By::device(&self.old)),
            self.resume_by(By::recovery(&self.sheet)),
        ]
    }

    fn unsigned(&self) -> LogError {
        LogError::BadSignature {
            sequence: self.next,
        }
    }
}

#[test]
fn entries_written_after_the_specification_verify() {
    let scene = scene();
    let at = later(DAY);
    for (place, entry) in scene.every_kind().iter().enumerate() {
        let log = verify(&entry.log()).map_err(|error| format!("{place}: {error}"));
        assert_eq!(log.unwrap().head().sequence, scene.next);
    }
    // And are what our own writer makes, up to the signatures.
    let body = |log: &VerifiedLog| {
        let start = scene.log.bytes().len();
        let length = log.bytes()[start..start + 4].try_into().unwrap();
        let length = u32::from_be_bytes(length) as usize;
        log.bytes()[start + 4..start + 4 + length].to_vec()
    };
    let (log, old) = (&scene.log, Authority::Device(&scene.old));
    let ours = [
        log.add_device(old, &scene.new, true, at),
        log.revoke(old, scene.young.device_id(), Reason::Lost, at),
        log.rotate_device(&scene.young, &renewed(&scene.young, 40), at),
        log.rotate_root(&scene.root, &root(50), at),
        log.set_recovery(&scene.old, &recovery(Method::Guardians, 60), &terms(), at),
        log.clear_recovery(&scene.old, Method::Guardians, at),
        log.tombstone(&scene.root, at),
        log.request_recovery(&scene.new, at),
        log.cancel_recovery(&scene.plain, at),
        log.suspend(old, scene.young.device_id(), at),
        log.resume(old, scene.away.device_id(), at),
    ];
    let every = scene.every_kind();
    for (ours, place) in ours.into_iter().zip([0, 3, 6, 7, 8, 9, 10, 12, 13, 14, 16]) {
        assert_eq!(body(&ours.unwrap()), every[place].body(), "{place}");
    }
}

#[test]
fn an_entry_has_one_place() {
    let scene = scene();
    for change in [
        |entry: &mut Forged| entry.account[0] ^= 1,
        |entry: &mut Forged| entry.previous[63] ^= 1,
        |entry: &mut Forged| entry.sequence += 1,
        |entry: &mut Forged| entry.sequence -= 1,
        |entry: &mut Forged| entry.sequence = 0,
        |entry: &mut Forged| entry.sequence = u64::MAX,
    ] {
        for mut entry in scene.every_kind() {
            change(&mut entry);
            let sequence = entry.sequence;
            assert_eq!(error(&entry), LogError::BrokenChain { sequence });
        }
    }
    let mut entry = scene.cancel_by(By::device(&scene.old));
    entry.suite = 3;
    assert_eq!(error(&entry), INVALID);
}

#[test]
fn another_device_list_is_refused() {
    let scene = scene();
    let sequence = scene.next;
    for mut entry in scene.every_kind() {
        entry.device_list = Some([7; 64]);
        assert_eq!(error(&entry), LogError::DeviceList { sequence });
        entry.device_list = None;
        entry.devices.pop();
        assert_eq!(error(&entry), LogError::DeviceList { sequence });
    }
}

#[test]
fn time_never_goes_back() {
    let scene = scene();
    let sequence = scene.next;
    for mut entry in scene.every_kind() {
        entry.at = BORN;
        assert_eq!(error(&entry), LogError::TimeWentBack { sequence });
        entry.at = NOW + 1;
        assert_eq!(error(&entry), INVALID);
    }
    // The same hour is no step back.
    let mut entry = scene.cancel_by(By::device(&scene.old));
    entry.at = BORN + HOUR;
    accepted(&entry);
}

#[test]
fn nothing_follows_a_tombstone() {
    let mut scene = scene();
    scene.log = accepted(&scene.end_by(By::root(&scene.root)));
    let sequence = scene.next + 1;
    for entry in scene.every_kind() {
        assert_eq!(error(&entry), LogError::Tombstoned { sequence });
    }
}

/// Every name in every place, with the right key for that name: only the names that the rule asks for hold.
#[test]
fn signers_other_than_the_rule_names_are_refused() {
    let scene = scene();
    let stranger = device(70);
    let names = || {
        vec![
            By::root(&scene.root),
            By::device(&stranger),
            By::device(&scene.gone),
            By::recovery(&scene.guardians),
            By::recovery(&recovery(Method::Sheet, 71)),
        ]
    };
    let unsigned = scene.unsigned();
    let sequence = scene.next;
    for (kind, entry) in scene.every_kind().into_iter().enumerate() {
        let count = entry.by.len();
        for place in 0..count {
            for name in names() {
                let mut entry = scene.every_kind().remove(kind);
                // The root key may end an account too.
                let same = entry.by[place].name == name.name || entry.kind == 8 && name.name == [0];
                entry.by[place] = name;
                let error = verify(&entry.log()).err();
                let refused = error == Some(unsigned)
                    || error == Some(LogError::NotInForce { sequence })
                    || error == Some(LogError::TooEarly { sequence })
                    || error == Some(LogError::NoRequest { sequence });
                assert!(
                    refused || same && error.is_none(),
                    "{kind} {place} {error:?}"
                );
            }
        }
        let mut fewer = scene.every_kind().remove(kind);
        fewer.by.pop();
        let expected = if count == 1 { INVALID } else { unsigned };
        assert_eq!(error(&fewer), expected, "{kind}");
        let mut more = scene.every_kind().remove(kind);
        more.by.push(By::device(&scene.old));
        assert_eq!(error(&more), unsigned, "{kind}");
        let mut twice = scene.every_kind().remove(kind);
        twice.by.push(twice.by[0].again());
        assert_eq!(error(&twice), unsigned, "{kind}");
        // Two of one name may change places: then the keys do not fit.
        let mut turned = scene.every_kind().remove(kind);
        turned.by.reverse();
        let error = verify(&turned.log()).err();
        assert!(count == 1 || error.is_some(), "{kind}");
    }
}

#[test]
fn signatures_of_others_are_refused() {
    let scene = scene();
    let others = || {
        [
            By::root(&root(72)),
            By::device(&device(73)),
            By::device(&scene.gone),
            By::root(&scene.root),
            By::device(&scene.old),
            By::recovery(&scene.sheet),
        ]
    };
    for (kind, entry) in scene.every_kind().into_iter().enumerate() {
        for place in 0..entry.by.len() {
            for other in others() {
                let mut entry = scene.every_kind().remove(kind);
                if entry.by[place].key.verifying_key() == other.key.verifying_key() {
                    continue;
                }
                entry.by[place] = entry.by[place].with_key_of(&other);
                assert_eq!(error(&entry), scene.unsigned(), "{kind} {place}");
            }
        }
    }
}

/// The right keys under other names.
#[test]
fn names_of_others_are_refused() {
    let scene = scene();
    let names = [
        By::root(&scene.root),
        By::device(&scene.old),
        By::device(&scene.young),
        By::device(&scene.new),
        By::recovery(&scene.sheet),
        By::recovery(&scene.guardians),
    ];
    for (kind, entry) in scene.every_kind().into_iter().enumerate() {
        for place in 0..entry.by.len() {
            for name in &names {
                let mut entry = scene.every_kind().remove(kind);
                if entry.by[place].name == name.name {
                    continue;
                }
                entry.by[place] = name.with_key_of(&entry.by[place]);
                assert!(verify(&entry.log()).is_err(), "{kind} {place}");
            }
        }
    }
}

#[test]
fn young_devices_add_nothing() {
    let scene = scene();
    let sequence = scene.next;
    let young = By::device(&scene.young);
    assert_eq!(
        error(&scene.add_by(young)),
        LogError::NotSenior { sequence }
    );
    let plain = By::device(&scene.plain);
    assert_eq!(error(&scene.add_by(plain)), LogError::NotAdmin { sequence });
    let gone = By::device(&scene.gone);
    assert_eq!(
        error(&scene.add_by(gone)),
        LogError::NotInForce { sequence }
    );
    // Three days later it may: to the hour.
    for (at, good) in [(3 * DAY, false), (3 * DAY + HOUR, true)] {
        let record = Record::of(&scene.new, true, BORN + at);
        let by = vec![By::device(&scene.young), By::device(&scene.new)];
        let entry = Forged::add(&scene.log, &record, BORN + at, by);
        let expected = (!good).then_some(LogError::NotSenior { sequence });
        assert_eq!(verify(&entry.log()).err(), expected);
    }
}

#[test]
fn young_devices_revoke_no_older_ones() {
    let scene = scene();
    let sequence = scene.next;
    for older in [&scene.old, &scene.plain] {
        assert_eq!(
            error(&scene.revoke_by(older, By::device(&scene.young))),
            LogError::NotSenior { sequence }
        );
    }
    accepted(&scene.revoke_by(&scene.young, By::device(&scene.young)));
    for other in [&scene.old, &scene.young] {
        assert_eq!(
            error(&scene.revoke_by(other, By::device(&scene.plain))),
            LogError::NotAdmin { sequence }
        );
    }
    assert_eq!(
        error(&scene.revoke_by(&scene.young, By::device(&scene.gone))),
        LogError::NotInForce { sequence }
    );
    // A younger one it may.
    let record = scene.record();
    let by = vec![By::device(&scene.old), By::device(&scene.new)];
    let log = accepted(&Forged::add(&scene.log, &record, NOW, by));
    let by = vec![By::device(&scene.young)];
    accepted(&Forged::revoke(&log, &scene.new, NOW, by));
}

#[test]
fn who_is_not_in_force_is_not_revoked() {
    let scene = scene();
    let sequence = scene.next;
    for device in [&scene.gone, &scene.new] {
        for by in [By::device(&scene.old), By::device(device)] {
            assert_eq!(
                error(&scene.revoke_by(device, by)),
                LogError::NotInForce { sequence }
            );
        }
    }
}

#[test]
fn young_devices_touch_no_recovery() {
    let scene = scene();
    let sequence = scene.next;
    for make in [Scene::set_by, Scene::clear_by] {
        let error = |by| error(&make(&scene, by));
        assert_eq!(
            error(By::device(&scene.young)),
            LogError::NotSenior { sequence }
        );
        assert_eq!(
            error(By::device(&scene.plain)),
            LogError::NotAdmin { sequence }
        );
        assert_eq!(
            error(By::device(&scene.gone)),
            LogError::NotInForce { sequence }
        );
        // Nor does recovery itself: a found sheet would last for ever.
        assert_eq!(error(By::recovery(&scene.sheet)), scene.unsigned());
        assert_eq!(error(By::recovery(&scene.guardians)), scene.unsigned());
        assert_eq!(error(By::root(&scene.root)), scene.unsigned());
    }
}

#[test]
fn devices_do_not_date_themselves() {
    let scene = scene();
    let sequence = scene.next;
    let wrong = LogError::WrongRecord { sequence };
    for added in [0, BORN, NOW - HOUR, NOW + HOUR] {
        let record = Record::of(&scene.new, true, added);
        for by in [By::device(&scene.old), By::recovery(&scene.sheet)] {
            let by = vec![by, By::device(&scene.new)];
            assert_eq!(error(&Forged::add(&scene.log, &record, NOW, by)), wrong);
        }
        let by = vec![By::device(&scene.new)];
        let request = Forged::after(&scene.log, 9, NOW, &record.encode(), by);
        assert_eq!(error(&request), wrong);
    }
    // Whoever asked before may come in as what it asked for, by whatever way, and as nothing else.
    for by in [By::device(&scene.old), By::recovery(&scene.sheet)] {
        for (admin, good) in [(true, true), (false, false)] {
            let record = Record::of(&scene.asking, admin, BORN + HOUR);
            let by = vec![by.again(), By::device(&scene.asking)];
            let log = verify(&Forged::add(&scene.log, &record, NOW, by).log());
            assert_eq!(log.as_ref().err(), (!good).then_some(&wrong));
            assert!(log.is_err() || log.unwrap().open_request().is_none());
        }
    }
}

#[test]
fn a_rotation_changes_keys_alone() {
    let scene = scene();
    let sequence = scene.next;
    let wrong = LogError::WrongRecord { sequence };
    assert_eq!(error(&scene.rotation(|record| record.admin = 0)), wrong);
    assert_eq!(error(&scene.rotation(|record| record.added -= HOUR)), wrong);
    assert_eq!(error(&scene.rotation(|record| record.added = NOW)), wrong);
    // Of a device that is not there.
    let new = renewed(&scene.gone, 41);
    let record = Record::of(&new, true, BORN + HOUR);
    let by = vec![By::device(&scene.gone), By::device(&new)];
    assert_eq!(
        error(&Forged::rotate(&scene.log, &record, NOW, by)),
        LogError::NotInForce { sequence }
    );
}

/// Every part of the keys of every device and method that ever was, and of the root.
#[test]
fn ids_and_keys_come_once() {
    let mut scene = scene();
    for device in [&scene.old, &scene.young, &scene.gone] {
        let mut record = scene.record();
        record.id = *device.device_id().as_bytes();
        let own = By::device(device).with_key_of(&By::device(&scene.new));
        let by = vec![By::device(&scene.old), own];
        let sequence = scene.next;
        assert_eq!(
            error(&Forged::add(&scene.log, &record, NOW, by)),
            LogError::KeyUsed { sequence }
        );
    }
    let rotated = renewed(&scene.old, 80);
    let log = scene.log.rotate_device(&scene.old, &rotated, later(HOUR));
    let new_root = root(85);
    let log = log.and_then(|log| log.rotate_root(&scene.root, &new_root, later(HOUR)));
    scene.log = log.unwrap();
    let used = LogError::KeyUsed {
        sequence: scene.next + 2,
    };
    let mut parts = Vec::new();
    for device in [&scene.old, &rotated, &scene.young, &scene.gone] {
        let record = Record::of(device, true, NOW);
        if SUITE.has_identity_keys() {
            parts.push((0, record.identity));
        }
        parts.extend(verifying_parts(&record.verifying));
        parts.push((ENVELOPE, record.envelope));
    }
    parts.extend(verifying_parts(&root_key(1)));
    parts.extend(verifying_parts(&root_key(85)));
    parts.extend(verifying_parts(scene.sheet.verifying_key().as_bytes()));
    let envelope = scene.sheet.envelope().public().as_bytes();
    parts.push((ENVELOPE, envelope.to_vec()));
    for (place, part) in parts {
        let change = |record: &mut Record| {
            if place == ENVELOPE {
                record.envelope = part.clone();
            } else {
                record.verifying[place..place + part.len()].copy_from_slice(&part);
            }
        };
        let mut record = scene.record();
        change(&mut record);
        let by = |by| vec![by, By::device(&scene.new)];
        for by in [by(By::device(&rotated)), by(By::recovery(&scene.sheet))] {
            assert_eq!(error(&Forged::add(&scene.log, &record, NOW, by)), used);
        }
        let asks = vec![By::device(&scene.new)];
        let request = Forged::after(&scene.log, 9, NOW, &record.encode(), asks);
        assert_eq!(error(&request), used);
        assert_eq!(error(&scene.rotation(change)), used);
        // The same as a root key and as keys of recovery.
        let mut key = root_key(81);
        let mut set = recovery_payload(&recovery(Method::Guardians, 82), &terms());
        let in_set = if place == ENVELOPE { key.len() } else { place };
        set[2 + in_set..2 + in_set + part.len()].copy_from_slice(&part);
        if place != ENVELOPE {
            key[place..place + part.len()].copy_from_slice(&part);
            let by = vec![By::root(&new_root), By::root(&root(81))];
            assert_eq!(error(&Forged::after(&scene.log, 5, NOW, &key, by)), used);
        }
        let new = By::recovery(&recovery(Method::Guardians, 82));
        let by = vec![By::device(&rotated), new];
        assert_eq!(error(&Forged::after(&scene.log, 6, NOW, &set, by)), used);
    }
    // The X25519 part, and ids.
    for device in [&scene.old, &rotated, &scene.young, &scene.gone] {
        if SUITE.has_identity_keys() {
            let mut record = scene.record();
            record.identity = Record::of(device, true, NOW).identity;
            let by = vec![By::device(&rotated), By::device(&scene.new)];
            assert_eq!(error(&Forged::add(&scene.log, &record, NOW, by)), used);
        }
        let mut record = scene.record();
        record.id = *device.device_id().as_bytes();
        let own = By {
            name: [&[1], &record.id[..]].concat(),
            key: By::device(&scene.new).key,
        };
        let by = vec![By::device(&rotated), own.again()];
        assert_eq!(error(&Forged::add(&scene.log, &record, NOW, by)), used);
        let request = Forged::after(&scene.log, 9, NOW, &record.encode(), vec![own]);
        assert_eq!(error(&request), used);
    }
}

/// Stands for the place of the envelope key among places in a verifying key.
const ENVELOPE: usize = usize::MAX;

/// The parts of a verifying key and where they stand in it.
fn verifying_parts(key: &[u8]) -> Vec<(usize, Vec<u8>)> {
    match SUITE {
        Suite::Hybrid => vec![(0, key[..32].to_vec()), (32, key[32..].to_vec())],
        _ => vec![(0, key.to_vec())],
    }
}

fn root_key(seed: u64) -> Vec<u8> {
    By::root(&root(seed))
        .key
        .verifying_key()
        .as_bytes()
        .to_vec()
}

#[test]
fn low_order_identity_of_a_later_entry_is_refused() {
    if !SUITE.has_identity_keys() {
        return;
    }
    let scene = scene();
    let mut one = [0; 32];
    one[0] = 1;
    for identity in [[0; 32], one] {
        let mut record = scene.record();
        record.identity = identity.to_vec();
        let by = vec![By::device(&scene.old), By::device(&scene.new)];
        assert_eq!(error(&Forged::add(&scene.log, &record, NOW, by)), INVALID);
        let request = Forged::after(
            &scene.log,
            9,
            NOW,
            &record.encode(),
            vec![By::device(&scene.new)],
        );
        assert_eq!(error(&request), INVALID);
        let rotation = scene.rotation(|record| record.identity = identity.to_vec());
        assert_eq!(error(&rotation), INVALID);
    }
}

#[test]
fn the_last_admin_stays() {
    let mut person = Person::new();
    let (tablet, sheet) = (device(3), recovery(Method::Sheet, 5));
    person.add(&tablet, false, later(0));
    person.set_sheet(&sheet, later(0));
    let left = LogError::NoAdminLeft { sequence: 3 };
    let by_itself = vec![By::device(&person.first)];
    let revoke = |by| Forged::revoke(&person.log, &person.first, NOW, by);
    assert_eq!(error(&revoke(by_itself)), left);
    // Recovery may leave an account without an admin, and never without a device.
    let log = accepted(&revoke(vec![By::recovery(&sheet)]));
    assert_eq!(log.devices().len(), 1);
    let left = LogError::NoAdminLeft { sequence: 4 };
    for by in [By::recovery(&sheet), By::device(&tablet)] {
        assert_eq!(error(&Forged::revoke(&log, &tablet, NOW, vec![by])), left);
    }
}

#[test]
fn guardians_wait_out_the_delay() {
    let scene = scene();
    let sequence = scene.next;
    let ready = BORN + HOUR + DELAY;
    assert_eq!(
        error(&scene.asked(ready - HOUR)),
        LogError::TooEarly { sequence }
    );
    accepted(&scene.asked(ready));
    // They bring in nobody but who asked, and as nothing else.
    let none = LogError::NoRequest { sequence };
    let by = |device| vec![By::recovery(&scene.guardians), By::device(device)];
    let record = Record::of(&scene.new, true, ready);
    let other = Forged::add(&scene.log, &record, ready, by(&scene.new));
    assert_eq!(error(&other), none);
    for change in [
        |record: &mut Record| record.admin = 0,
        |record: &mut Record| record.added = BORN + HOUR + DELAY,
        |record: &mut Record| record.envelope[40] ^= 1,
        |record: &mut Record| record.verifying[1983] ^= 1,
    ] {
        let mut record = Record::of(&scene.asking, true, BORN + HOUR);
        change(&mut record);
        let other = Forged::add(&scene.log, &record, ready, by(&scene.asking));
        assert_eq!(error(&other), none);
    }
    // Nor whom a device refused, nor twice.
    let mut scene = scene;
    let log = scene.log.clone();
    scene.log = accepted(&scene.cancel_by(By::device(&scene.plain)));
    let none = LogError::NoRequest {
        sequence: sequence + 1,
    };
    assert_eq!(error(&scene.asked(ready)), none);
    scene.log = log;
    scene.log = accepted(&scene.asked(ready));
    assert!(scene.log.open_request().is_none());
    let again = scene.cancel_by(By::device(&scene.old));
    let again = Forged { at: ready, ..again };
    assert_eq!(error(&again), none);
}

#[test]
fn guardians_revoke_nobody_before_they_let_somebody_in() {
    let mut scene = scene();
    let ready = BORN + HOUR + DELAY;
    let early = LogError::TooEarly {
        sequence: scene.next,
    };
    let by = || By::recovery(&scene.guardians);
    assert_eq!(error(&scene.revoke_by(&scene.plain, by())), early);
    assert_eq!(error(&scene.end_by(by())), early);
    // That somebody came back by the sheet is nothing to them.
    let by_sheet = accepted(&scene.add_by(By::recovery(&scene.sheet)));
    let early = LogError::TooEarly {
        sequence: scene.next + 1,
    };
    let revoke = |log: &VerifiedLog| Forged::revoke(log, &scene.plain, ready, vec![by()]);
    assert_eq!(error(&revoke(&by_sheet)), early);
    let came = accepted(&scene.asked(ready));
    accepted(&revoke(&came));
    let end = Forged::after(&came, 8, ready, &[], vec![by()]);
    accepted(&end);
    // New guardians have let nobody in.
    let new = recovery(Method::Guardians, 83);
    let at = later(HOUR + DELAY);
    scene.log = came.set_recovery(&scene.old, &new, &terms(), at).unwrap();
    let early = LogError::TooEarly {
        sequence: scene.next + 2,
    };
    let by = vec![By::recovery(&new)];
    let revoke = Forged::revoke(&scene.log, &scene.plain, ready, by);
    assert_eq!(error(&revoke), early);
}

#[test]
fn nobody_asks_guardians_that_are_not_set() {
    let mut scene = scene();
    scene.log = accepted(&scene.clear_by(By::device(&scene.old)));
    let sequence = scene.next + 1;
    assert_eq!(error(&scene.request()), LogError::NoRecovery { sequence });
    assert_eq!(
        error(&scene.cancel_by(By::device(&scene.old))),
        LogError::NoRequest { sequence }
    );
    let again = scene.clear_by(By::device(&scene.old));
    assert_eq!(error(&again), LogError::NoRecovery { sequence });
    // Keys that were cleared are nobody's.
    let by = || By::recovery(&scene.guardians);
    for entry in [
        scene.add_by(by()),
        scene.revoke_by(&scene.plain, by()),
        scene.end_by(by()),
    ] {
        assert_eq!(error(&entry), LogError::NoRecovery { sequence });
    }
}

#[test]
fn devices_that_are_not_in_force_cancel_nothing() {
    let scene = scene();
    let sequence = scene.next;
    for device in [&scene.gone, &scene.asking, &scene.new] {
        assert_eq!(
            error(&scene.cancel_by(By::device(device))),
            LogError::NotInForce { sequence }
        );
    }
    for by in [By::root(&scene.root), By::recovery(&scene.sheet)] {
        assert_eq!(error(&scene.cancel_by(by)), scene.unsigned());
    }
    accepted(&scene.cancel_by(By::device(&scene.young)));
}

#[test]
fn an_account_has_a_largest_number_of_devices() {
    let mut person = Person::new();
    for seed in 1..MAX_DEVICES as u64 {
        person.add(&device(100 + seed), false, later(0));
    }
    assert_eq!(person.log.devices().len(), MAX_DEVICES);
    let sequence = MAX_DEVICES as u64;
    let new = device(99);
    let record = Record::of(&new, false, NOW);
    let by = || vec![By::device(&person.first), By::device(&new)];
    assert_eq!(
        error(&Forged::add(&person.log, &record, NOW, by())),
        LogError::TooManyDevices { sequence }
    );
    let by_first = vec![By::device(&person.first)];
    let log = accepted(&Forged::revoke(&person.log, &device(101), NOW, by_first));
    accepted(&Forged::add(&log, &record, NOW, by()));
}

#[test]
fn room_is_kept_for_revocations() {
    let mut person = Person::new();
    let laptop = device(3);
    person.add(&laptop, true, later(0));
    person.set_guardians(&recovery(Method::Guardians, 5), later(0));
    // The stolen device fills the log with what it may do.
    let mut keys = laptop;
    let mut seed = 1000;
    let mut full = None;
    while full.is_none() && seed < 1200 {
        let new = renewed(&keys, seed);
        seed += 1;
        match person.log.rotate_device(&keys, &new, later(HOUR)) {
            Ok(log) => (person.log, keys) = (log, new),
            Err(error) => full = Some(error),
        }
    }
    let sequence = person.log.head().sequence + 1;
    let refused = LogError::Full { sequence };
    assert_eq!(full, Some(refused));
    assert!(person.log.bytes().len() <= MAX_LOG_BYTES - RESERVED_LOG_BYTES);
    let new = device(4);
    let record = Record::of(&new, true, NOW);
    let by = vec![By::device(&person.first), By::device(&new)];
    assert_eq!(error(&Forged::add(&person.log, &record, NOW, by)), refused);
    let by = vec![By::device(&person.first)];
    let log = accepted(&Forged::revoke(&person.log, &keys, NOW, by));
    assert!(log.device(keys.device_id()).is_none());
    let by = vec![By::root(&person.root)];
    accepted(&Forged::after(&log, 8, NOW, &[], by));
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let scene = scene();
    let id = scene.young.device_id().as_bytes();
    for reason in [0, 4, 255] {
        let mut entry = scene.revoke_by(&scene.young, By::device(&scene.old));
        entry.payload = [&id[..], &[reason]].concat();
        assert_eq!(error(&entry), INVALID);
    }
    for (method, present) in [(0, 0), (3, 0), (2, 2), (2, 255)] {
        let mut entry = scene.clear_by(By::device(&scene.old));
        entry.payload = vec![method, present];
        assert_eq!(error(&entry), INVALID);
    }
    for (place, value) in [(0, 1), (8, 1), (8, 4), (9, 1), (9, 17), (9, 0)] {
        let mut entry = scene.set_by(By::device(&scene.old));
        let start = entry.payload.len() - 3 * 32 - 10;
        // Byte 0 changes the delay, which guardians may have.
        entry.payload[start + place] = value;
        let error = verify(&entry.log()).err();
        assert_eq!(error.is_some(), place != 0, "{place} {value} {error:?}");
    }
    let sheet = recovery(Method::Sheet, 84);
    let set_sheet = |terms: &RecoveryTerms| {
        let by = vec![By::device(&scene.old), By::recovery(&sheet)];
        let payload = recovery_payload(&sheet, terms);
        verify(&Forged::after(&scene.log, 6, NOW, &payload, by).log()).err()
    };
    assert_eq!(set_sheet(&RecoveryTerms::sheet()), None);
    assert_eq!(set_sheet(&terms()), Some(INVALID));
    for kind in (0..=255).filter(|kind| !(1..=12).contains(kind)) {
        let mut entry = scene.cancel_by(By::device(&scene.old));
        entry.kind = kind;
        assert_eq!(error(&entry), INVALID, "kind {kind}");
    }
    for mut entry in scene.every_kind() {
        entry.payload.push(0);
        let error = error(&entry);
        assert!(matches!(error, LogError::Malformed(_)), "{error:?}");
    }
    for name in [vec![3], vec![2, 0], vec![2, 3]] {
        let mut entry = scene.cancel_by(By::device(&scene.old));
        entry.by[0].name = name;
        assert_eq!(error(&entry), INVALID);
    }
}

#[test]
fn trusted_takes_exactly_what_is_pinned() {
    let scene = scene();
    let log = &scene.log;
    let trusted = |bytes: &[u8], pin| {
        let log = UnverifiedLog::decode(bytes);
        log.and_then(|log| log.trusted(scene.log.account_id(), &pin))
            .err()
    };
    assert_eq!(trusted(log.bytes(), log.head()), None);
    let longer = accepted(&scene.cancel_by(By::device(&scene.old)));
    let sequence = scene.next;
    assert_eq!(
        trusted(longer.bytes(), log.head()),
        Some(LogError::Unpinned { sequence })
    );
    assert_eq!(
        trusted(log.bytes(), longer.head()),
        Some(LogError::RolledBack {
            got: sequence - 1,
            pinned: sequence
        })
    );
    let mut pin = log.head();
    pin.hash[0] ^= 1;
    let sequence = pin.sequence;
    assert_eq!(
        trusted(log.bytes(), pin),
        Some(LogError::Forked { sequence })
    );
    // Any change of any body is seen, though no signature is verified.
    let first = u32::from_be_bytes(log.bytes()[5..9].try_into().unwrap()) as usize;
    let signatures = (1 + 4) + (17 + 4) + 2 * SUITE.signature_len();
    let second = 9 + first + 1 + signatures;
    let body = second + 4..second + 4 + 300;
    for place in (9..9 + first).step_by(101).chain(body) {
        let mut bytes = log.bytes().to_vec();
        bytes[place] ^= 1;
        let error = trusted(&bytes, log.head());
        assert!(error.is_some(), "byte {place}");
    }
    let other = Person::new();
    let theirs = UnverifiedLog::decode(other.log.bytes()).unwrap();
    let id = letterlock_keys::AccountId::from_bytes([1; 32]);
    assert_eq!(
        theirs.trusted(&id, &other.log.head()).err(),
        Some(LogError::OtherAccount)
    );
}

#[test]
fn verify_after_stops_forks_and_rollbacks() {
    let scene = scene();
    let one = accepted(&scene.cancel_by(By::device(&scene.old)));
    let two = accepted(&scene.request());
    let after = |bytes: &[u8], known: &VerifiedLog| {
        UnverifiedLog::decode(bytes).unwrap().verify_after(known)
    };
    let sequence = scene.next;
    assert_eq!(after(one.bytes(), &scene.log).unwrap().head(), one.head());
    assert_eq!(after(one.bytes(), &one).unwrap().head(), one.head());
    assert_eq!(
        after(two.bytes(), &one).err(),
        Some(LogError::Forked { sequence })
    );
    assert_eq!(
        after(scene.log.bytes(), &one).err(),
        Some(LogError::RolledBack {
            got: sequence - 1,
            pinned: sequence
        })
    );
    let stranger = letterlock_keys::account_log::genesis(&root(90), &device(91), later(0));
    assert_eq!(
        after(stranger.unwrap().bytes(), &one).err(),
        Some(LogError::OtherAccount)
    );
    // New entries are verified.
    let mut forged = scene.cancel_by(By::device(&scene.old));
    forged.by[0] = forged.by[0].with_key_of(&By::device(&scene.young));
    assert_eq!(
        after(&forged.log(), &scene.log).err(),
        Some(scene.unsigned())
    );
    // What is known keeps its signatures: nobody verified the others.
    let mut bytes = one.bytes().to_vec();
    let first = u32::from_be_bytes(bytes[5..9].try_into().unwrap()) as usize;
    bytes[9 + first + 1 + 1 + 4] ^= 1;
    assert!(verify(&bytes).is_err());
    assert_eq!(after(&bytes, &scene.log).unwrap().bytes(), one.bytes());
}

#[test]
fn proposals_for_another_log_are_refused() {
    let scene = scene();
    let propose = |log: &VerifiedLog| log.propose_add(&scene.new, true, later(DAY)).unwrap();
    let by = Authority::Device(&scene.old);
    let proposal = propose(&scene.log);
    scene.log.accept_add(by, &proposal, later(DAY)).unwrap();
    // Somebody was faster.
    let other = accepted(&scene.cancel_by(By::device(&scene.old)));
    let sequence = scene.next;
    let broken = LogError::BrokenChain { sequence };
    // Before anybody is asked.
    for log in [&other, &Person::new().log] {
        let seen = log.check_proposal(&proposal, later(DAY)).err();
        assert_eq!(seen, Some(broken));
    }
    assert_eq!(
        other.accept_add(by, &proposal, later(DAY)).err(),
        Some(broken)
    );
    assert_eq!(
        Person::new()
            .log
            .accept_add(by, &proposal, later(DAY))
            .err(),
        Some(broken)
    );
    other.accept_add(by, &propose(&other), later(DAY)).unwrap();
}

#[test]
fn old_proposals_are_refused() {
    let scene = scene();
    let by = Authority::Device(&scene.old);
    let proposal = scene
        .log
        .propose_add(&scene.new, true, later(DAY + 59 * 60))
        .unwrap();
    let accept = |at| scene.log.accept_add(by, &proposal, later(at)).map(|_| ());
    assert_eq!(accept(DAY + 3 * HOUR - 1), Ok(()));
    assert_eq!(
        accept(DAY + 3 * HOUR),
        Err(LogError::Stale {
            age_seconds: 3 * HOUR
        })
    );
    assert_eq!(accept(DAY - 2 * HOUR), Ok(()));
    assert_eq!(
        accept(DAY - 2 * HOUR - 1),
        Err(LogError::FromTheFuture {
            sequence: scene.next,
            ahead_seconds: 2 * HOUR + 1
        })
    );
}

#[test]
fn cut_and_flipped_proposals_are_refused() {
    use letterlock_keys::account_log::Proposal;
    let scene = scene();
    let proposal = scene.log.propose_add(&scene.new, true, later(DAY));
    let bytes = proposal.unwrap().encode();
    for length in 0..bytes.len() {
        assert!(Proposal::decode(&bytes[..length]).is_err(), "{length}");
    }
    assert!(Proposal::decode(&[&bytes[..], &[0]].concat()).is_err());
    let by = Authority::Device(&scene.old);
    let accept = |bytes: &[u8]| {
        let proposal = Proposal::decode(bytes)?;
        scene.log.accept_add(by, &proposal, later(DAY))
    };
    let mut flipped = bytes.clone();
    for bit in (0..bytes.len() * 8).step_by(7) {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(accept(&flipped).is_err(), "bit {bit}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    accept(&bytes).unwrap();
}

/// A log of every kind of entry; whoever has the last hash sees any change, and so does a stranger.
#[test]
fn cut_and_flipped_logs_are_refused() {
    let scene = scene();
    let log = accepted(&scene.rotation(|_| {}));
    let bytes = log.bytes();
    for length in (0..bytes.len()).step_by(5) {
        let error = verify(&bytes[..length]).err();
        assert_eq!(
            error,
            Some(LogError::Malformed(DecodeError::Short)),
            "{length} bytes"
        );
    }
    let mut flipped = bytes.to_vec();
    for bit in (0..bytes.len() * 8).step_by(401) {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&flipped).is_err(), "bit {bit}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    verify(&flipped).unwrap();
}
