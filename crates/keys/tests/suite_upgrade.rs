//! An account goes from `hybrid` to `cnsa2`, device by device, and never back.
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
use letterlock_keys::account_log::{
    Authority, Certificate, CertificateError, Contradiction, DeviceSecrets, EntryKind, LogError,
    Method, Reason, RecoverySecrets, RecoveryTerms, RootSecret, Signer, UnverifiedLog, VerifiedLog,
};
use letterlock_keys::{Secret, Suite};
use people::{BORN, DAY, HOUR, Person, device, later, recovery, renewed, root, terms, verify};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const NOW: u64 = BORN + 7 * DAY;

fn strong_root(seed: u64) -> RootSecret {
    RootSecret::generate(Suite::Cnsa2, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

fn strong(seed: u64) -> DeviceSecrets {
    DeviceSecrets::generate(Suite::Cnsa2, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

/// New keys of `cnsa2` for a device.
fn stronger(device: &DeviceSecrets, seed: u64) -> DeviceSecrets {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    device.renewed(Suite::Cnsa2, rng).unwrap()
}

fn strong_sheet(seed: u8) -> RecoverySecrets {
    let secret = Secret::from_slice(&[seed; 32]).unwrap();
    RecoverySecrets::derive(Suite::Cnsa2, Method::Sheet, &secret).unwrap()
}

fn error(entry: &Forged) -> LogError {
    verify(&entry.log()).err().unwrap()
}

/// An account of two devices with a sheet, before and after it went to `cnsa2`. No device has new keys yet.
struct Scene {
    person: Person,
    laptop: DeviceSecrets,
    sheet: RecoverySecrets,
    root: RootSecret,
    before: VerifiedLog,
    after: VerifiedLog,
}

impl Scene {
    fn new() -> Self {
        let mut person = Person::new();
        let (laptop, sheet) = (device(3), recovery(Method::Sheet, 5));
        person.add(&laptop, true, later(HOUR));
        person.set_sheet(&sheet, later(HOUR));
        let (before, root) = (person.log.clone(), strong_root(50));
        let after = before
            .upgrade_suite(&person.root, &root, later(7 * DAY))
            .unwrap();
        Self {
            person,
            laptop,
            sheet,
            root,
            before,
            after,
        }
    }

    /// The sequence number of what follows the change.
    fn next(&self) -> u64 {
        self.after.head().sequence + 1
    }
}

#[test]
fn an_account_goes_to_a_higher_suite_and_its_devices_follow() {
    let scene = Scene::new();
    let log = &scene.after;
    assert_eq!(
        (scene.before.suite(), log.suite()),
        (Suite::Hybrid, Suite::Cnsa2)
    );
    assert_eq!(log.account_id(), scene.before.account_id());
    let entry = log.entries().last().unwrap();
    assert_eq!(entry.kind, EntryKind::UpgradeSuite);
    assert_eq!(entry.signers, [Signer::Root, Signer::Root]);
    assert_eq!(log.root_entry(), entry.sequence);
    assert_eq!(log.root_key().suite(), Suite::Cnsa2);
    assert_eq!(log.devices(), scene.before.devices());
    let (phone, laptop) = (
        stronger(&scene.person.first, 60),
        stronger(&scene.laptop, 61),
    );
    let log = log
        .rotate_device(&scene.person.first, &phone, later(7 * DAY))
        .unwrap();
    let mixed: Vec<_> = log.devices().iter().map(|device| device.suite()).collect();
    assert_eq!(mixed, [Suite::Cnsa2, Suite::Hybrid]);
    let log = log
        .rotate_device(&scene.laptop, &laptop, later(8 * DAY))
        .unwrap();
    assert!(
        log.devices()
            .iter()
            .all(|device| device.suite() == Suite::Cnsa2)
    );
    assert!(
        log.devices()
            .iter()
            .all(|device| device.identity().is_none())
    );
    // Nothing of their standing changed, and all goes on.
    let by = Authority::Device(&laptop);
    let log = log
        .add_device(by, &strong(70), true, later(8 * DAY))
        .unwrap();
    let log = log
        .set_recovery(
            &phone,
            &strong_sheet(71),
            &RecoveryTerms::sheet(),
            later(8 * DAY),
        )
        .unwrap();
    let log = log
        .revoke(
            Authority::Device(&phone),
            laptop.device_id(),
            Reason::Lost,
            later(9 * DAY),
        )
        .unwrap();
    let log = log
        .rotate_root(&scene.root, &strong_root(51), later(9 * DAY))
        .unwrap();
    // A stranger, the owner, and whoever knew the log of before read the same.
    let decode = || UnverifiedLog::decode(log.bytes()).unwrap();
    let stranger = decode().verify(Some(scene.before.account_id()), Some(&scene.before.head()));
    let owner = decode().trusted(log.account_id(), &log.head());
    let friend = decode().verify_after(&scene.before);
    for reader in [stranger, owner, friend] {
        let reader = reader.unwrap();
        assert_eq!((reader.suite(), reader.head()), (Suite::Cnsa2, log.head()));
        assert_eq!(reader.entries(), log.entries());
        assert_eq!(reader.devices(), log.devices());
    }
}

#[test]
fn an_upgrade_written_after_the_specification_verifies() {
    let scene = Scene::new();
    let upgrade = |by: Vec<By>| {
        let key = By::root(&scene.root)
            .key
            .verifying_key()
            .as_bytes()
            .to_vec();
        let mut entry = Forged::after(&scene.before, 7, NOW, &key, by);
        entry.suite = 2;
        entry
    };
    let (old, new) = (By::root(&scene.person.root), By::root(&scene.root));
    let good = upgrade(vec![old.again(), new.again()]);
    assert_eq!(verify(&good.log()).unwrap().head(), scene.after.head());
    // Signed by anybody else it is none.
    let sequence = scene.before.head().sequence + 1;
    let unsigned = LogError::BadSignature { sequence };
    for by in [
        vec![old.again()],
        vec![new.again()],
        vec![new.again(), old.again()],
        vec![old.again(), old.again()],
        vec![new.again(), new.again()],
        vec![old.with_key_of(&By::root(&root(77))), new.again()],
        vec![old.again(), new.with_key_of(&By::root(&strong_root(77)))],
        vec![By::device(&scene.person.first), new.again()],
        vec![By::recovery(&scene.sheet), new.again()],
    ] {
        assert_eq!(error(&upgrade(by)), unsigned);
    }
}

#[test]
fn a_log_never_goes_back() {
    let scene = Scene::new();
    let sequence = scene.next();
    let weak = root(80);
    let back = LogError::SuiteWentBack { sequence };
    let to_weak = scene
        .after
        .upgrade_suite(&scene.root, &weak, later(8 * DAY));
    assert_eq!(to_weak.err(), Some(back));
    let key = By::root(&weak).key.verifying_key().as_bytes().to_vec();
    let by = || vec![By::root(&scene.root), By::root(&weak)];
    for kind in [5, 7] {
        let mut entry = Forged::after(&scene.after, kind, NOW, &key, by());
        entry.suite = 1;
        assert_eq!(error(&entry), back);
    }
    // Nor does an entry of the weaker suite by a key that was in force.
    let by = vec![By::device(&scene.person.first)];
    let mut entry = Forged::revoke(&scene.after, &scene.laptop, NOW, by);
    entry.suite = 1;
    assert_eq!(error(&entry), back);
    let same = scene
        .after
        .upgrade_suite(&scene.root, &strong_root(81), later(8 * DAY));
    assert_eq!(same.err(), Some(LogError::SameSuite { sequence }));
    let sequence = scene.before.head().sequence + 1;
    let same = scene
        .before
        .upgrade_suite(&scene.person.root, &weak, later(8 * DAY));
    assert_eq!(same.err(), Some(LogError::SameSuite { sequence }));
}

#[test]
fn a_higher_suite_without_an_upgrade_is_refused() {
    let scene = Scene::new();
    let sequence = scene.before.head().sequence + 1;
    let wrong = LogError::WrongSuite { sequence };
    let new = strong(82);
    let record = Record::of(&new, true, NOW);
    let by = vec![By::device(&scene.person.first), By::device(&new)];
    let mut entry = Forged::add(&scene.before, &record, NOW, by);
    entry.suite = 2;
    assert_eq!(error(&entry), wrong);
    let by = vec![By::device(&scene.person.first)];
    let mut entry = Forged::after(&scene.before, 10, NOW, &[], by);
    entry.suite = 2;
    assert_eq!(error(&entry), wrong);
    // And writers are told so.
    let by = Authority::Device(&scene.person.first);
    let refused = [
        scene.before.add_device(by, &new, true, later(DAY)).err(),
        scene
            .before
            .rotate_root(&scene.person.root, &scene.root, later(DAY))
            .err(),
        scene
            .before
            .rotate_device(&scene.laptop, &stronger(&scene.laptop, 83), later(DAY))
            .err(),
        scene
            .before
            .set_recovery(
                &scene.person.first,
                &strong_sheet(84),
                &RecoveryTerms::sheet(),
                later(DAY),
            )
            .err(),
    ];
    assert_eq!(refused, [Some(wrong); 4]);
}

#[test]
fn keys_of_an_old_suite_sign_their_end_alone() {
    let scene = Scene::new();
    let log = &scene.after;
    let wrong = LogError::WrongSuite {
        sequence: scene.next(),
    };
    let (old, at) = (&scene.person.first, later(8 * DAY));
    let by = Authority::Device(old);
    let new = strong(85);
    let refused = [
        log.add_device(by, &new, true, at).err(),
        log.revoke(by, scene.laptop.device_id(), Reason::Lost, at)
            .err(),
        log.revoke(by, old.device_id(), Reason::Lost, at).err(),
        log.suspend(by, scene.laptop.device_id(), at).err(),
        log.set_recovery(old, &strong_sheet(86), &RecoveryTerms::sheet(), at)
            .err(),
        log.rotate_device(old, &renewed(old, 87), at).err(),
    ];
    // Of an old suite a device is senior no more, and a young one revokes nobody older.
    let not_senior = LogError::NotSenior {
        sequence: scene.next(),
    };
    for error in refused {
        assert!(
            error == Some(wrong) || error == Some(not_senior),
            "{error:?}"
        );
    }
    assert_eq!(
        log.rotate_device(old, &renewed(old, 87), at).err(),
        Some(wrong)
    );
    // As forged entries too, whoever else signs.
    let young = LogError::WrongSuite {
        sequence: scene.next(),
    };
    let by = vec![By::device(&scene.laptop)];
    let entry = Forged::revoke(log, &scene.laptop, NOW, by);
    assert_eq!(error(&entry), young);
    let strong_phone = stronger(old, 60);
    let by = vec![By::device(old), By::device(&strong_phone)];
    let record = Record::of(&strong_phone, true, BORN);
    assert!(verify(&Forged::rotate(log, &record, NOW, by).log()).is_ok());
    // The second signature is of the new keys.
    let weak = renewed(old, 87);
    let by = vec![
        By::device(old),
        By::device(old).with_key_of(&By::device(&weak)),
    ];
    let sequence = scene.next();
    assert_eq!(
        error(&Forged::rotate(log, &record, NOW, by)),
        LogError::BadSignature { sequence }
    );
    // And once a device has new keys, it has none of the weaker suite.
    let log = log.rotate_device(old, &strong_phone, at).unwrap();
    let sequence = log.head().sequence + 1;
    let back = log.rotate_device(&strong_phone, &renewed(old, 88), at);
    assert_eq!(back.err(), Some(LogError::WrongSuite { sequence }));
}

#[test]
fn ways_back_end_with_their_suite() {
    let mut scene = Scene::new();
    let guardians = recovery(Method::Guardians, 6);
    scene.person.set_guardians(&guardians, later(HOUR));
    let asking = device(7);
    let asked = scene
        .person
        .log
        .request_recovery(&asking, later(HOUR))
        .unwrap();
    let log = asked
        .upgrade_suite(&scene.person.root, &scene.root, later(7 * DAY))
        .unwrap();
    assert_eq!(log.recovery(Method::Sheet), None);
    assert_eq!(log.recovery(Method::Guardians), None);
    assert_eq!(log.open_request(), None);
    let new = strong(90);
    let sequence = log.head().sequence + 1;
    for way in [&scene.sheet, &guardians] {
        let by = Authority::Recovery(way);
        assert_eq!(
            log.add_device(by, &new, true, later(30 * DAY)).err(),
            Some(LogError::NoRecovery { sequence })
        );
    }
    // One of the weaker suite does not come back.
    let phone = stronger(&scene.person.first, 60);
    let log = log
        .rotate_device(&scene.person.first, &phone, later(8 * DAY))
        .unwrap();
    let sequence = log.head().sequence + 1;
    let weak = recovery(Method::Sheet, 91);
    let set = log.set_recovery(&phone, &weak, &RecoveryTerms::sheet(), later(8 * DAY));
    assert_eq!(set.err(), Some(LogError::WrongSuite { sequence }));
    let by = vec![
        By::device(&phone),
        By::recovery(&recovery(Method::Guardians, 92)),
    ];
    let payload = recovery_payload(&recovery(Method::Guardians, 92), &terms());
    let entry = Forged::after(&log, 6, NOW + DAY, &payload, by);
    assert!(matches!(error(&entry), LogError::Malformed(_)));
}

#[test]
fn keys_of_before_do_not_come_back_as_others() {
    let scene = Scene::new();
    let used = LogError::KeyUsed {
        sequence: scene.next(),
    };
    let again = scene
        .after
        .rotate_root(&scene.root, &scene.root, later(8 * DAY));
    assert_eq!(again.err(), Some(used));
}

#[test]
fn the_new_root_key_is_told() {
    let scene = Scene::new();
    let shown = UnverifiedLog::decode(scene.after.bytes()).unwrap();
    let sequence = scene.after.head().sequence;
    assert_eq!(
        scene.before.contradiction(shown),
        Contradiction::RootReplaced { sequence }
    );
    // Who shows the log of before shows a shorter one.
    let shown = UnverifiedLog::decode(scene.before.bytes()).unwrap();
    let contradiction = scene.after.contradiction(shown);
    assert!(matches!(contradiction, Contradiction::RolledBack { .. }));
}

#[test]
fn certificates_are_of_the_suite_of_the_account() {
    let scene = Scene::new();
    let (phone, now) = (stronger(&scene.person.first, 60), later(8 * DAY));
    let old = Certificate::issue(
        &scene.before,
        &scene.person.first,
        scene.laptop.device_id(),
        now,
    );
    let old = old.unwrap();
    // Whoever has keys of the weaker suite certifies nobody, itself included.
    assert_eq!(
        Certificate::verify(old.bytes(), &scene.after, now).err(),
        Some(CertificateError::NotIssuer)
    );
    for device in [&scene.person.first, &scene.laptop] {
        let own = Certificate::issue(&scene.after, device, device.device_id(), now);
        assert_eq!(own.err(), Some(CertificateError::NotIssuer));
    }
    let log = scene
        .after
        .rotate_device(&scene.person.first, &phone, now)
        .unwrap();
    // The first with new keys has nobody else to ask, and nobody who comes later makes that wrong.
    let own = Certificate::issue(&log, &phone, phone.device_id(), now).unwrap();
    let laptop = stronger(&scene.laptop, 61);
    let both = log.rotate_device(&scene.laptop, &laptop, now).unwrap();
    assert_eq!(Certificate::verify(own.bytes(), &both, now), Ok(own));
    let own = Certificate::issue(&both, &phone, phone.device_id(), now);
    assert_eq!(own.err(), Some(CertificateError::NotIssuer));
    assert!(Certificate::issue(&both, &laptop, phone.device_id(), now).is_ok());
}
