//! Random changes of an account log beside a model that knows no keys and no bytes: both allow the same.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    dead_code,
    reason = "test code; each test file uses a part of `people`"
)]

mod people;

use letterlock_keys::DeviceId;
use letterlock_keys::account_log::{
    Authority, DeviceSecrets, EntryKind, LogError, Method, Reason, RecoverySecrets, RecoveryTerms,
    SENIORITY_SECONDS, Signer, UnverifiedLog, VerifiedLog, genesis,
};
use people::{DELAY, HOUR, device, later, recovery, renewed, root, terms, verify};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::BTreeSet;

/// Devices that come and go, by number.
const PEOPLE: usize = 8;
const STEPS: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq)]
struct InForce {
    who: usize,
    admin: bool,
    added: u64,
    by_recovery: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Device(usize),
    Sheet,
    Guardians,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(Who, usize, bool),
    Revoke(Who, usize),
    Suspend(Who, usize),
    Resume(Who, usize),
    Rotate(usize),
    SetSheet(usize),
    SetGuardians(usize),
    Clear(usize, Method),
    Ask(usize),
    Cancel(usize),
    RotateRoot,
    End(Method),
}

/// The oldest device first.
#[derive(Debug, Clone, Default)]
struct Model {
    devices: Vec<InForce>,
    suspended: Vec<InForce>,
    ever: Vec<usize>,
    sheet: bool,
    guardians: bool,
    guardians_used: bool,
    asked: Option<(usize, u64)>,
    ended: bool,
    now: u64,
}

impl Model {
    fn place(&self, who: usize) -> Option<usize> {
        self.devices.iter().position(|device| device.who == who)
    }

    fn is_admin(&self, who: usize) -> bool {
        self.place(who)
            .is_some_and(|place| self.devices[place].admin)
    }

    fn is_senior_admin(&self, who: usize) -> bool {
        self.place(who).is_some_and(|place| {
            let device = self.devices[place];
            let old = place == 0 || self.now >= device.added + SENIORITY_SECONDS;
            device.admin && (old || device.by_recovery)
        })
    }

    /// Takes a step, or says that it may not be taken.
    fn take(&mut self, step: Step) -> bool {
        if self.ended {
            return false;
        }
        match step {
            Step::Add(by, who, admin) => self.add(by, who, admin),
            Step::Revoke(by, who) => self.against(by, who, true).is_some(),
            Step::Suspend(by, who) => {
                let gone = self.against(by, who, false);
                self.suspended.extend(gone);
                gone.is_some()
            }
            Step::Resume(by, who) => self.resume(by, who),
            Step::Rotate(who) => self.place(who).is_some(),
            Step::SetSheet(by) => {
                let may = self.is_senior_admin(by);
                self.sheet |= may;
                may
            }
            Step::SetGuardians(by) => {
                let may = self.is_senior_admin(by);
                if may {
                    (self.guardians, self.guardians_used, self.asked) = (true, false, None);
                }
                may
            }
            Step::Clear(by, method) => {
                let may = self.is_senior_admin(by);
                match method {
                    Method::Sheet => may && std::mem::take(&mut self.sheet),
                    Method::Guardians => {
                        let cleared = may && std::mem::take(&mut self.guardians);
                        self.asked = self.asked.filter(|_| !cleared);
                        cleared
                    }
                }
            }
            Step::Ask(who) => {
                let may = self.guardians && !self.ever.contains(&who);
                if may {
                    self.asked = Some((who, self.now));
                }
                may
            }
            Step::Cancel(by) => self.place(by).is_some() && self.asked.take().is_some(),
            Step::RotateRoot => true,
            Step::End(by) => {
                self.ended = match by {
                    Method::Sheet => self.sheet,
                    Method::Guardians => self.guardians && self.guardians_used,
                };
                self.asked = self.asked.filter(|_| !self.ended);
                self.ended
            }
        }
    }

    fn add(&mut self, by: Who, who: usize, admin: bool) -> bool {
        let asked = self.asked.filter(|(asked, _)| *asked == who);
        let may = match by {
            Who::Device(by) => self.is_senior_admin(by),
            Who::Sheet => self.sheet,
            Who::Guardians => self.guardians && asked.is_some_and(|(_, at)| self.now >= at + DELAY),
        };
        if !may || self.ever.contains(&who) {
            return false;
        }
        self.guardians_used |= by == Who::Guardians;
        self.ever.push(who);
        self.devices.push(InForce {
            who,
            // Whoever asked comes in as what it asked for.
            admin: admin || asked.is_some(),
            added: asked.map_or(self.now, |(_, at)| at),
            by_recovery: !matches!(by, Who::Device(_)),
        });
        if asked.is_some() {
            self.asked = None;
        }
        true
    }

    fn age(&self, who: usize) -> usize {
        self.ever.iter().position(|ever| *ever == who).unwrap()
    }

    /// Puts a device out of force, for ever or not.
    fn against(&mut self, by: Who, who: usize, for_ever: bool) -> Option<InForce> {
        let in_force = self.place(who);
        let suspended = self.suspended.iter().position(|gone| gone.who == who);
        let suspended = suspended.filter(|_| for_ever);
        if in_force.is_none() && suspended.is_none() {
            return None;
        }
        let may = match by {
            Who::Device(by) if by == who => in_force.is_some(),
            Who::Device(by) => {
                let older = self.place(by).is_some() && self.age(by) < self.age(who);
                self.is_senior_admin(by) || self.is_admin(by) && older
            }
            Who::Sheet => self.sheet,
            Who::Guardians => self.guardians && self.guardians_used,
        };
        let mut left = self.devices.clone();
        let gone = match (in_force, suspended) {
            (Some(place), _) => left.remove(place),
            (None, place) => self.suspended[place?],
        };
        let enough = match by {
            Who::Device(_) => left.iter().any(|device| device.admin),
            _ => !left.is_empty(),
        };
        if !(may && enough) {
            return None;
        }
        self.devices = left;
        self.suspended.retain(|gone| gone.who != who);
        Some(gone)
    }

    fn resume(&mut self, by: Who, who: usize) -> bool {
        let may = match by {
            Who::Device(by) => self.is_senior_admin(by),
            Who::Sheet => self.sheet,
            Who::Guardians => self.guardians && self.guardians_used,
        };
        let Some(place) = self.suspended.iter().position(|gone| gone.who == who) else {
            return false;
        };
        if may {
            let back = self.suspended.remove(place);
            let age = self.age(who);
            let older = |device: &&InForce| self.age(device.who) < age;
            let place = self.devices.iter().filter(older).count();
            self.devices.insert(place, back);
        }
        may
    }
}

/// The real thing, with every secret.
struct Real {
    log: VerifiedLog,
    secrets: Vec<DeviceSecrets>,
    root: u64,
    sheet: RecoverySecrets,
    guardians: RecoverySecrets,
    fresh: u64,
}

impl Real {
    fn authority(&self, who: Who) -> Authority<'_> {
        match who {
            Who::Device(who) => Authority::Device(&self.secrets[who]),
            Who::Sheet => Authority::Recovery(&self.sheet),
            Who::Guardians => Authority::Recovery(&self.guardians),
        }
    }

    fn take(&mut self, step: Step, seconds: u64) -> Result<(), LogError> {
        let now = later(seconds);
        self.fresh += 1;
        let log = &self.log;
        self.log = match step {
            Step::Add(by, who, admin) => {
                log.add_device(self.authority(by), &self.secrets[who], admin, now)?
            }
            Step::Revoke(by, who) => {
                let id = self.secrets[who].device_id();
                log.revoke(self.authority(by), id, Reason::Lost, now)?
            }
            Step::Suspend(by, who) => {
                let id = self.secrets[who].device_id();
                log.suspend(self.authority(by), id, now)?
            }
            Step::Resume(by, who) => {
                let id = self.secrets[who].device_id();
                log.resume(self.authority(by), id, now)?
            }
            Step::Rotate(who) => {
                let new = renewed(&self.secrets[who], 1000 + self.fresh);
                let log = log.rotate_device(&self.secrets[who], &new, now)?;
                self.secrets[who] = new;
                log
            }
            Step::SetSheet(by) => {
                let new = recovery(Method::Sheet, self.fresh as u8);
                let terms = RecoveryTerms::sheet();
                let log = log.set_recovery(&self.secrets[by], &new, &terms, now)?;
                self.sheet = new;
                log
            }
            Step::SetGuardians(by) => {
                let new = recovery(Method::Guardians, self.fresh as u8);
                let log = log.set_recovery(&self.secrets[by], &new, &terms(), now)?;
                self.guardians = new;
                log
            }
            Step::Clear(by, method) => log.clear_recovery(&self.secrets[by], method, now)?,
            Step::Ask(who) => log.request_recovery(&self.secrets[who], now)?,
            Step::Cancel(by) => log.cancel_recovery(&self.secrets[by], now)?,
            Step::RotateRoot => {
                let new = 2000 + self.fresh;
                let log = log.rotate_root(&root(self.root), &root(new), now)?;
                self.root = new;
                log
            }
            Step::End(Method::Sheet) => log.tombstone_by_recovery(&self.sheet, now)?,
            Step::End(Method::Guardians) => log.tombstone_by_recovery(&self.guardians, now)?,
        };
        Ok(())
    }

    fn number(&self, id: &DeviceId) -> usize {
        let same = |secrets: &DeviceSecrets| secrets.device_id() == id;
        self.secrets.iter().position(same).unwrap()
    }

    /// What the model knows of it.
    fn seen(&self) -> Vec<(usize, bool, u64)> {
        let devices = self.log.devices().iter();
        devices
            .map(|device| {
                let added = device.added().since(later(0));
                (self.number(device.id()), device.is_admin(), added)
            })
            .collect()
    }
}

fn random_step(rng: &mut ChaCha20Rng, model: &Model) -> Step {
    let mut below = |count: usize| rng.next_u32() as usize % count;
    let (one, two) = (below(PEOPLE), below(PEOPLE));
    let by = match below(7) {
        0 => Who::Sheet,
        1 => Who::Guardians,
        _ => Who::Device(one),
    };
    if model.guardians_used && below(6) == 0 {
        return Step::Revoke(Who::Guardians, two);
    }
    if !model.suspended.is_empty() && below(5) == 0 {
        let sheet = model.sheet && below(3) == 0;
        let by = if sheet { Who::Sheet } else { by };
        return Step::Resume(by, model.suspended[0].who);
    }
    if model.sheet && below(20) == 0 {
        return Step::Suspend(Who::Sheet, two);
    }
    if model.asked.is_some() && below(8) == 0 {
        return Step::Cancel(one);
    }
    // Guardians are of use to who asked them.
    let new = match (by, model.asked) {
        (Who::Guardians, Some((who, _))) => who,
        _ => two,
    };
    match below(40) {
        0..=13 => Step::Add(by, new, below(3) > 0),
        14..=18 => Step::Revoke(by, two),
        19 | 20 => Step::Suspend(by, two),
        21..=23 => Step::Rotate(two),
        24..=26 => Step::SetSheet(one),
        27 | 28 => Step::SetGuardians(one),
        30 => Step::Clear(one, Method::Sheet),
        31 => Step::Clear(one, Method::Guardians),
        29 | 33..=35 => Step::Ask(two),
        32 | 36 => Step::Cancel(one),
        37 | 38 => Step::RotateRoot,
        _ if one <= 1 => Step::End(Method::ALL[two % 2]),
        _ => Step::Rotate(one),
    }
}

/// What was done, by whom, and how many steps were refused.
fn run(seed: u64) -> (Vec<(EntryKind, Kind)>, usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let secrets: Vec<_> = (0..PEOPLE).map(|who| device(100 + who as u64)).collect();
    let mut real = Real {
        log: genesis(&root(1), &secrets[0], later(0)).unwrap(),
        secrets,
        root: 1,
        sheet: recovery(Method::Sheet, 201),
        guardians: recovery(Method::Guardians, 202),
        fresh: 0,
    };
    let mut model = Model {
        devices: vec![InForce {
            who: 0,
            admin: true,
            added: 0,
            by_recovery: false,
        }],
        ever: vec![0],
        ..Model::default()
    };
    let mut refused = 0;
    for count in 0..STEPS {
        model.now += [0, 0, HOUR, 12 * HOUR, 40 * HOUR][rng.next_u32() as usize % 5];
        let step = random_step(&mut rng, &model);
        let before = real.log.clone();
        let may = model.take(step);
        let done = real.take(step, model.now);
        assert_eq!(
            done.is_ok(),
            may,
            "seed {seed}, step {count}: {step:?} {done:?} {model:?}"
        );
        refused += usize::from(!may);
        let expected: Vec<_> = model
            .devices
            .iter()
            .map(|device| (device.who, device.admin, device.added))
            .collect();
        assert_eq!(real.seen(), expected, "seed {seed}, step {count}");
        let suspended = real.log.suspended().iter();
        let suspended: Vec<_> = suspended
            .map(|gone| real.number(gone.record.id()))
            .collect();
        let expected: Vec<_> = model.suspended.iter().map(|gone| gone.who).collect();
        assert_eq!(suspended, expected, "seed {seed}, step {count}");
        let log = &real.log;
        assert_eq!(log.is_tombstoned(), model.ended);
        assert_eq!(log.recovery(Method::Sheet).is_some(), model.sheet);
        assert_eq!(log.recovery(Method::Guardians).is_some(), model.guardians);
        assert_eq!(log.open_request().is_some(), model.asked.is_some());
        let decode = || UnverifiedLog::decode(log.bytes()).unwrap();
        let stored = decode().trusted(log.account_id(), &log.head()).unwrap();
        let updated = decode().verify_after(&before).unwrap();
        assert_eq!(stored.entries(), log.entries());
        assert_eq!(updated.entries(), log.entries());
    }
    let log = &real.log;
    let stranger = verify(log.bytes()).unwrap();
    assert_eq!(stranger.entries(), log.entries());
    assert_eq!(stranger.devices(), log.devices());
    assert_eq!(stranger.revoked(), log.revoked());
    assert_eq!(stranger.suspended(), log.suspended());
    let done = log.entries().iter();
    let done = done.map(|entry| (entry.kind, kind(&entry.signers[0])));
    (done.collect(), refused)
}

/// Who signed first, without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Root,
    Device,
    Sheet,
    Guardians,
}

fn kind(signer: &Signer) -> Kind {
    match signer {
        Signer::Root => Kind::Root,
        Signer::Recovery(Method::Sheet) => Kind::Sheet,
        Signer::Recovery(Method::Guardians) => Kind::Guardians,
        _ => Kind::Device,
    }
}

fn run_many(seeds: std::ops::Range<u64>) {
    let mut all = BTreeSet::new();
    let mut total = 0;
    for seed in seeds {
        let (done, refused) = run(seed);
        all.extend(done);
        total += refused;
    }
    // Chance must reach every rule, or it shows nothing.
    for kind in [Kind::Device, Kind::Sheet, Kind::Guardians] {
        assert!(all.contains(&(EntryKind::AddDevice, kind)), "{kind:?}");
        assert!(all.contains(&(EntryKind::RevokeDevice, kind)), "{kind:?}");
    }
    for kind in [Kind::Device, Kind::Sheet] {
        assert!(all.contains(&(EntryKind::SuspendDevice, kind)), "{kind:?}");
        assert!(all.contains(&(EntryKind::ResumeDevice, kind)), "{kind:?}");
    }
    for kind in [
        EntryKind::RotateDevice,
        EntryKind::SetRecovery,
        EntryKind::RequestRecovery,
        EntryKind::CancelRecovery,
    ] {
        assert!(all.contains(&(kind, Kind::Device)), "{kind:?}");
    }
    assert!(all.contains(&(EntryKind::RotateRoot, Kind::Root)));
    assert!(all.contains(&(EntryKind::Tombstone, Kind::Sheet)));
    assert!(total > 50, "{total} refused");
}

#[test]
fn random_changes_agree_with_the_model() {
    run_many(0..70);
}

#[test]
fn more_random_changes_agree_with_the_model() {
    run_many(70..140);
}
