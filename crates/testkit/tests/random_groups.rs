//! Groups, and anything in any order: people come and go, devices are linked, programs die, networks break.
//!
//! `LETTERLOCK_PEOPLE`, `LETTERLOCK_DEVICES` and `LETTERLOCK_STEPS` set how large a world is and how much happens in
//! it, `LETTERLOCK_SEEDS` how many worlds there are, and `LETTERLOCK_SEED` where the seeds begin: with
//! `LETTERLOCK_SEEDS=1` that is the one of a world that failed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a run that does not hold ends its test"
)]

use engine::records::{DataChange, Direction, GroupStanding, LetterState};
use engine::{
    CommandId, CommandOutcome, Engine, EngineError, Event, GroupError, HolderKind, Input, Item,
};
use keys::account_log::Reason;
use keys::{AccountId, DeviceId, GroupId, LetterId, Suite, Timestamp};
use letterlock_testkit::{Chance, CrashPoint, Weather, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

fn number(name: &str, usual: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(usual)
}

struct Life {
    world: World,
    /// What happens; the world has a chance of its own.
    chance: Chance,
    /// The homes of each person; the first person knows all others.
    homes: Vec<Vec<String>>,
    /// The account of each person.
    accounts: Vec<AccountId>,
    group: GroupId,
    /// Letters that their writers' stores took.
    written: Vec<Written>,
    /// Who was ever asked to go, or to come in again: a person of no such command is a member from first to last.
    moved: BTreeSet<usize>,
    /// Who was let in again, in this order: the person and the command of the first home, unless it died of it.
    adds: Vec<(usize, Option<CommandId>)>,
    count: usize,
    begun: Timestamp,
    /// Devices are linked and revoked, and get new keys.
    devices_change: bool,
    /// How many homes came later.
    links: usize,
    /// When each home was there last, as far as somebody looked.
    there: BTreeMap<String, Timestamp>,
}

struct Written {
    letter: LetterId,
    writer: String,
    /// People of whom the first home knew then that they are out, and whom it was not about to let in. Nobody else
    /// lets people in, and the relay takes nothing for an epoch that has passed: unless they were let in later, this
    /// letter is not theirs, whatever its writer says of it.
    out: Vec<usize>,
    /// How many people had been let in then.
    adds: usize,
}

/// An invitation that came a few times: words are said until they are known to be heard.
fn said_often(event: &Event) -> bool {
    let Event::GroupRefused { error, .. } = event else {
        return false;
    };
    matches!(error, GroupError::NoKeyPackage | GroupError::PastInvitation)
}

/// How many homes a person has at most, in all.
const HOMES: usize = 6;

/// Whether a home was linked in the middle of a life.
fn came_later(home: &str) -> bool {
    home.contains(" later ")
}

/// Nobody is away for longer: a relay keeps bodies for 30 days, and keys that were replaced are kept as long.
const AWAY_DAYS: u64 = 20;

impl Life {
    fn new(seed: u64, suites: &[Suite], people: usize, devices: usize) -> Self {
        let mut world = World::new(seed);
        world.stop_listening();
        let begun = world.now();
        let mut homes: Vec<Vec<String>> = Vec::new();
        for person in 0..people {
            let name = format!("p{person}");
            world.join_in(&name, suites[person % suites.len()]);
            if person > 0 {
                world.befriend("p0", &name);
            }
            let mut own = vec![name.clone()];
            for device in 1..devices {
                let other = format!("{name} d{device}");
                world.link(&name, &other);
                own.push(other);
            }
            homes.push(own);
        }
        let members: Vec<String> = (1..people).map(|person| format!("p{person}")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let group = world.create_group("p0", "all", &members);
        world.run(60);
        let accounts = homes.iter().map(|homes| world.account(&homes[0]));
        let accounts = accounts.collect();
        Self {
            world,
            chance: Chance::new(!seed),
            homes,
            accounts,
            group,
            written: Vec::new(),
            moved: BTreeSet::new(),
            adds: Vec::new(),
            count: 0,
            devices_change: false,
            links: 0,
            begun,
            there: BTreeMap::new(),
        }
    }

    /// Whoever was away for long is there again.
    fn look_after(&mut self) {
        let now = self.world.now();
        for home in self.all_homes() {
            let here = self.world.runs(&home) && self.world.is_online(&home);
            let last = *self.there.entry(home.clone()).or_insert(now);
            if here || now.since(last) > AWAY_DAYS * 24 * 3600 {
                self.there.insert(home.clone(), now);
            }
            if !here && now.since(last) > AWAY_DAYS * 24 * 3600 {
                self.world.forget_crash(&home);
                self.world.start(&home);
                self.world.set_online(&home, true);
                self.world.run(60);
            }
        }
    }

    /// One of so many.
    fn some(&mut self, many: usize) -> usize {
        let last = many.saturating_sub(1) as u64;
        usize::try_from(self.chance.within(&(0..=last))).unwrap()
    }

    fn home(&mut self) -> String {
        let person = self.some(self.homes.len());
        let device = self.some(self.homes[person].len());
        self.homes[person][device].clone()
    }

    fn step(&mut self) {
        if self.devices_change && self.some(12) == 0 {
            return self.change_devices();
        }
        match self.some(100) {
            0..=54 => self.write(),
            55..=64 => {
                let seconds = self.some(6) as u64;
                self.world.run(seconds);
            }
            65..=72 => self.rename(),
            73..=77 => self.come_or_go(),
            78..=83 => {
                let home = self.home();
                let online = self.some(3) > 0;
                self.world.set_online(&home, online);
            }
            84..=91 => {
                let home = self.home();
                let points = [
                    CrashPoint::BeforeStore,
                    CrashPoint::AfterStore,
                    CrashPoint::AfterSend,
                ];
                let point = points[self.some(3)];
                let steps = 1 + self.some(6);
                self.world
                    .crash(&home, point, u32::try_from(steps).unwrap());
            }
            92..=95 => {
                let home = self.home();
                self.world.forget_crash(&home);
                self.world.start(&home);
            }
            96..=97 => {
                let weather = match self.some(2) {
                    0 => Weather::storm(),
                    _ => Weather::calm(),
                };
                self.world.set_weather(weather);
            }
            _ => {
                let hours = 1 + self.some(30) as u64;
                self.world.sleep(hours * 3600);
                self.look_after();
            }
        }
    }

    fn write(&mut self) {
        let home = self.home();
        if !self.world.runs(&home) || !self.world.is_in_group(&home, self.group) {
            return;
        }
        self.count += 1;
        let letter = LetterId::random(self.chance.rng());
        let draft = engine::Draft {
            text: format!("letter {}", self.count),
            ..engine::Draft::default()
        };
        let to = AccountId::from_bytes(*self.group.as_bytes());
        let written = Written {
            letter,
            writer: home.clone(),
            out: self.out(),
            adds: self.adds.len(),
        };
        let begun = self.world.try_command(&home, |command| Input::SendLetter {
            command,
            letter,
            to,
            draft,
        });
        let Ok(command) = begun else { return };
        match self.world.outcome(&home, command) {
            Some(CommandOutcome::LetterQueued(_)) => self.written.push(written),
            Some(CommandOutcome::Failed(EngineError::NotInGroup)) | None => {
                // A program that died before it stored the letter never took it.
                if self.has(&home, &letter) {
                    self.written.push(written);
                }
            }
            other => panic!("a letter ended as {other:?}"),
        }
    }

    /// Who is out for the first home, and not about to come in.
    fn out(&self) -> Vec<usize> {
        let leaves = Engine.group_leaves(&self.world.person("p0").store, &self.group);
        let leaves = leaves.unwrap();
        let out = (1..self.homes.len()).filter(|person| {
            let account = self.accounts[*person];
            let mut adds = self.adds.iter().filter(|(whom, _)| whom == person);
            let ended = |command| self.world.has_ended("p0", command);
            let wanted = adds.any(|(_, command)| !command.is_some_and(ended));
            !wanted && !leaves.iter().any(|leaf| leaf.account == account)
        });
        out.collect()
    }

    fn has(&self, home: &str, letter: &LetterId) -> bool {
        let letters = self.world.group_letters(home, self.group);
        letters.iter().any(|known| known.id == *letter)
    }

    fn rename(&mut self) {
        let device = self.some(self.homes[0].len());
        let home = self.homes[0][device].clone();
        if !self.world.runs(&home) {
            return;
        }
        self.count += 1;
        let change = DataChange {
            name: Some(format!("name {}", self.count)),
            ..DataChange::default()
        };
        let group = self.group;
        let _begun = self.world.try_command(&home, |command| Input::ChangeGroup {
            command,
            group,
            change,
        });
    }

    fn come_or_go(&mut self) {
        if self.homes.len() < 2 || !self.world.runs("p0") {
            return;
        }
        let person = 1 + self.some(self.homes.len() - 1);
        let account = self.accounts[person];
        let leaves = Engine.group_leaves(&self.world.person("p0").store, &self.group);
        let inside = leaves.unwrap().iter().any(|leaf| leaf.account == account);
        let group = self.group;
        let members = vec![account];
        self.moved.insert(person);
        let begun = match (inside, self.some(2)) {
            (true, 0) => self
                .world
                .try_command("p0", |command| Input::RemoveFromGroup {
                    command,
                    group,
                    members,
                }),
            (true, _) => {
                let home = format!("p{person}");
                if !self.world.runs(&home) {
                    return;
                }
                self.world
                    .try_command(&home, |command| Input::LeaveGroup { command, group })
            }
            (false, _) => self.world.try_command("p0", |command| Input::AddToGroup {
                command,
                group,
                members,
                history: 0,
            }),
        };
        if !inside {
            self.adds.push((person, begun.ok()));
        }
    }

    fn change_devices(&mut self) {
        let person = self.some(self.homes.len());
        let home = self.some(self.homes[person].len());
        let home = self.homes[person][home].clone();
        let able = self.world.has_account(&home)
            && self.world.runs(&home)
            && !self.world.was_revoked(&home);
        if !able {
            return;
        }
        match self.some(4) {
            0 if self.homes[person].len() < HOMES => {
                let new = format!("p{person} later {}", self.links + 1);
                if self.world.try_link(&home, &new) {
                    self.links += 1;
                    self.homes[person].push(new);
                }
            }
            1 => {
                // The first home stays, so that somebody is there to the end.
                let other = 1 + self.some(self.homes[person].len());
                let other = self.homes[person].get(other).cloned();
                let other = other.filter(|other| self.world.has_account(other));
                if let Some(other) = other {
                    let device = self.world.device(&other);
                    let reason = Reason::Lost;
                    let _begun = self
                        .world
                        .try_command(&home, |command| Input::RevokeDevice {
                            command,
                            device,
                            reason,
                        });
                }
            }
            _ => {
                let _begun = self
                    .world
                    .try_command(&home, |command| Input::RotateDevice { command });
            }
        }
    }

    /// Every home that has an account, and that nobody revoked.
    fn all_homes(&self) -> Vec<String> {
        let mut homes = self.homes_of_all_times();
        homes.retain(|home| !self.world.was_revoked(home));
        homes
    }

    fn homes_of_all_times(&self) -> Vec<String> {
        let homes = self.homes.iter().flatten();
        let homes = homes.filter(|home| self.world.has_account(home));
        homes.cloned().collect()
    }

    /// Everybody is there, and all that was asked for comes to its end.
    fn rest(&mut self) {
        self.world.set_weather(Weather::calm());
        for home in self.all_homes() {
            self.world.forget_crash(&home);
            self.world.start(&home);
            self.world.set_online(&home, true);
        }
        for _ in 0..20 {
            self.world.run(60);
            let busy = |home: &String| {
                let record = self.world.group(home, self.group);
                record
                    .is_some_and(|record| record.standing == GroupStanding::In && record.is_busy())
            };
            if !self.all_homes().iter().any(busy) {
                break;
            }
        }
        self.world.run(60);
        self.world.settle();
    }

    fn check(&self) {
        let inside: Vec<String> = self.all_homes();
        let inside = inside
            .into_iter()
            .filter(|home| self.world.is_in_group(home, self.group));
        let inside: Vec<String> = inside.collect();
        assert!(inside.contains(&"p0".to_owned()));
        let epoch = self.world.group("p0", self.group).unwrap().epoch;
        let devices = self.world.group_devices("p0", self.group);
        let away: Vec<String> = devices
            .iter()
            .map(|device| self.home_of(device))
            .filter(|home| !inside.contains(home))
            .map(|home| self.standing(&home))
            .collect();
        assert!(
            away.is_empty(),
            "leaves of homes that are not in: {away:#?}"
        );
        assert_eq!(devices.len(), inside.len(), "leaves and homes that are in");
        let told = self.all_homes().into_iter().flat_map(|home| {
            let events = self.world.person(&home).events.iter();
            let bad = events.filter(|event| {
                matches!(
                    event,
                    Event::Undecryptable { .. }
                        | Event::GroupLost { .. }
                        | Event::GroupForked { .. }
                        | Event::GroupRefused { .. }
                        | Event::LogUnanswered { .. }
                        | Event::WordLost { .. }
                ) && !said_often(event)
            });
            let bad: Vec<String> = bad.map(|event| format!("{home}: {event:?}")).collect();
            bad
        });
        let told: Vec<String> = told.collect();
        assert!(told.is_empty(), "told: {told:#?}");
        for home in self.all_homes() {
            let record = self.world.group(&home, self.group);
            if inside.contains(&home) {
                let record = record.unwrap();
                assert_eq!(record.epoch, epoch, "{home} is in another epoch");
                assert!(!record.is_busy(), "{}", self.standing(&home));
            } else if let Some(record) = record {
                assert_eq!(record.standing, GroupStanding::Out, "{home}");
            }
        }
        for home in self.steady() {
            assert!(inside.contains(&home), "{}", self.standing(&home));
        }
        self.check_letters();
    }

    /// The homes of people whom nobody asked to go, and who did not want to.
    fn steady(&self) -> Vec<String> {
        let moved = |home: &String| {
            let mut moved = self.moved.iter().flat_map(|person| &self.homes[*person]);
            moved.any(|other| other == home)
        };
        let mut homes = self.all_homes();
        homes.retain(|home| !came_later(home) && !moved(home));
        homes
    }

    fn home_of(&self, device: &DeviceId) -> String {
        let mut homes = self.all_homes().into_iter();
        homes
            .find(|home| self.world.device(home) == *device)
            .unwrap()
    }

    /// How a home stands to the group, for whoever looks for the reason.
    fn standing(&self, home: &str) -> String {
        let Some(record) = self.world.group(home, self.group) else {
            return format!("{home} knows nothing of it");
        };
        format!(
            "{home}: {:?}, epoch {}, busy {}",
            record.standing,
            record.epoch,
            record.is_busy(),
        )
    }

    /// Each letter is with exactly those who were members when it was sent, once, and in one order.
    fn check_letters(&self) {
        let mut home_of: BTreeMap<DeviceId, String> = BTreeMap::new();
        let mut order: BTreeMap<String, Vec<LetterId>> = BTreeMap::new();
        let revoked = |home: &String| self.world.was_revoked(home);
        for home in self.homes_of_all_times() {
            home_of.insert(self.world.device(&home), home.clone());
            let letters = self.world.group_letters(&home, self.group);
            for letter in &letters {
                let waits = matches!(letter.state, LetterState::Queued | LetterState::Uploading);
                let waits = waits && !revoked(&home);
                assert!(!waits, "{} still waits at {home}", letter.id);
            }
            let sent = letters.iter().filter(|letter| {
                letter.direction == Direction::Received || letter.state == LetterState::Sent
            });
            let ids: Vec<LetterId> = sent.map(|letter| letter.id).collect();
            let once: BTreeSet<&LetterId> = ids.iter().collect();
            assert_eq!(once.len(), ids.len(), "{home} has a letter twice");
            order.insert(home, ids);
        }
        let read = order.iter().map(|(home, ids)| (home, ids.iter().collect()));
        let read: BTreeMap<&String, BTreeSet<&LetterId>> = read.collect();
        let steady = self.steady();
        for written in &self.written {
            let Written { letter, writer, .. } = written;
            if revoked(writer) {
                continue; // It may not have heard what became of it.
            }
            if !read[writer].contains(letter) {
                // Whoever was removed before the letter left keeps it as one that failed.
                for (home, ids) in &read {
                    assert!(
                        !ids.contains(letter),
                        "{home} has what {writer} could not send"
                    );
                }
                continue;
            }
            let store = &self.world.person(writer).store;
            let holders = Engine.custody(store, &Item::Letter(*letter));
            let holders = holders.unwrap().unwrap();
            let entitled: BTreeSet<&String> = holders
                .iter()
                .filter(|holder| {
                    let device = matches!(
                        holder.kind,
                        HolderKind::OwnDevice | HolderKind::ContactDevice
                    );
                    device && holder.certain
                })
                .filter_map(|holder| home_of.get(&holder.device?))
                .collect();
            for (home, ids) in &read {
                let (has, may) = (ids.contains(letter), entitled.contains(home));
                // Who came later has what its account read before; who was revoked may have heard nothing for long.
                let holds = (has || !may || revoked(home)) && (may || !has || came_later(home));
                assert!(
                    holds,
                    "{home} and the letter {letter} of {writer}: {has}, {may}"
                );
            }
            // The same without the writer's word.
            for home in &steady {
                assert!(read[home].contains(letter), "{home} misses {letter}");
            }
            let later = self.adds.get(written.adds..).unwrap();
            for person in &written.out {
                if later.iter().any(|(whom, _)| whom == person) {
                    continue;
                }
                for home in &self.homes[*person] {
                    let has = read.get(home).is_some_and(|ids| ids.contains(letter));
                    assert!(!has, "{home} has {letter}");
                }
            }
        }
        // What was under way when a device was linked stands there where it was written, not where it went out.
        order.retain(|home, _| !came_later(home));
        for (one, ids) in &order {
            let place: BTreeMap<&LetterId, usize> =
                ids.iter().enumerate().map(|(at, id)| (id, at)).collect();
            for (other, others) in &order {
                let common = others.iter().filter_map(|id| place.get(id));
                let common: Vec<usize> = common.copied().collect();
                assert!(common.is_sorted(), "{one} and {other} have another order");
            }
        }
    }
}

/// How far a long run is; it is said where somebody chose how long.
struct Report(Option<Instant>);

impl Report {
    fn begin() -> Self {
        let chosen = std::env::var_os("LETTERLOCK_STEPS").is_some();
        Self(chosen.then(Instant::now))
    }

    fn say(&self, what: &str, life: &Life) {
        if let Some(begun) = self.0 {
            let seconds = begun.elapsed().as_secs();
            let epoch = life
                .world
                .group("p0", life.group)
                .map(|record| record.epoch);
            eprintln!(
                "{seconds} s: {what}; {} letters, epoch {}, hour {}",
                life.written.len(),
                epoch.unwrap_or_default(),
                life.world.now().since(life.begun) / 3600
            );
        }
    }
}

/// Random lives of people of these suites, in turn, whose devices change or stay.
fn live(suites: &[Suite], devices_change: bool) {
    let first = number("LETTERLOCK_SEED", 1);
    let people = number("LETTERLOCK_PEOPLE", 4);
    let devices = number("LETTERLOCK_DEVICES", 2);
    let steps = number("LETTERLOCK_STEPS", 60);
    for seed in (first..).take(number("LETTERLOCK_SEEDS", 3)) {
        println!("LETTERLOCK_SEED={seed} LETTERLOCK_SEEDS=1 LETTERLOCK_PEOPLE={people}");
        let report = Report::begin();
        let mut life = Life::new(seed as u64, suites, people, devices);
        life.devices_change = devices_change;
        report.say("everybody is in", &life);
        for step in 1..=steps {
            life.step();
            if step % 200 == 0 {
                report.say(&format!("{step} of {steps}"), &life);
            }
        }
        life.rest();
        report.say("at rest", &life);
        life.check();
        report.say("checked", &life);
    }
}

#[test]
fn whatever_happens_everybody_reads_what_is_theirs() {
    live(&[Suite::Hybrid], false);
}

#[test]
fn whatever_happens_to_people_of_cnsa2_they_read_what_is_theirs() {
    live(&[Suite::Cnsa2], false);
}

#[test]
fn whatever_happens_to_people_of_both_suites_they_read_what_is_theirs() {
    live(&[Suite::Hybrid, Suite::Cnsa2], false);
}

#[test]
fn whatever_happens_to_devices_everybody_reads_what_is_theirs() {
    live(&[Suite::Hybrid], true);
}

#[test]
fn whatever_happens_to_devices_of_cnsa2_they_read_what_is_theirs() {
    live(&[Suite::Cnsa2], true);
}

#[test]
fn whatever_happens_to_devices_of_both_suites_they_read_what_is_theirs() {
    live(&[Suite::Hybrid, Suite::Cnsa2], true);
}
