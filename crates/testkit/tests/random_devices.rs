//! People with several devices, and anything in any order: devices are linked, revoked, rotated, killed, away for days.
//!
//! `LETTERLOCK_SEEDS` sets how many worlds there are (few where it is not set), `LETTERLOCK_SEED` where the seeds begin;
//! with `LETTERLOCK_SEEDS=1` that is the one of a world that failed. `LETTERLOCK_STEPS` sets how much happens in each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a run that does not hold ends its test"
)]

use engine::records::{Direction, Letter, LetterState};
use engine::{CommandId, CommandOutcome, Draft, Event, Input, Table};
use keys::account_log::{EntryKind, Reason};
use keys::{DeviceId, LetterId};
use letterlock_testkit::{Chance, CrashPoint, Weather, World};
use std::collections::{BTreeMap, BTreeSet};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// Homes that a person may have, those that were revoked with them.
const HOMES: usize = 6;
/// Devices that a person may have in force.
const IN_FORCE: usize = 4;
/// The days that may pass: no letter may grow older than relays keep it.
const HOURS: u64 = 20 * 24;

/// A letter that its sender's store took.
struct Written {
    id: LetterId,
    text: String,
    /// The home.
    from: String,
    /// The person.
    to: usize,
    /// The devices it was meant for from the beginning.
    direct: Vec<DeviceId>,
    /// Homes that were revoked, as far as the sender knew.
    known_revoked: Vec<String>,
}

/// A revocation: whose device, and the entry.
struct Revoked {
    person: usize,
    home: String,
    sequence: u64,
}

struct Life {
    world: World,
    /// What happens; the world has a chance of its own.
    chance: Chance,
    /// The homes of each person.
    homes: Vec<Vec<String>>,
    written: Vec<Written>,
    /// By person and letter: the homes at which it was deleted.
    deleted: BTreeMap<(usize, LetterId), Vec<String>>,
    shown: BTreeMap<String, Vec<String>>,
    revoked: Vec<Revoked>,
    /// Revocations under way: by which home, of whom.
    revoking: Vec<(String, CommandId, usize, DeviceId)>,
    hours: u64,
    links: usize,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        for name in PEOPLE {
            world.join(name);
        }
        for (one, other) in [(0, 1), (1, 2), (2, 0)] {
            world.befriend(PEOPLE[one], PEOPLE[other]);
        }
        let mut life = Self {
            world,
            chance: Chance::new(!seed),
            homes: PEOPLE.iter().map(|name| vec![(*name).to_owned()]).collect(),
            written: Vec::new(),
            deleted: BTreeMap::new(),
            shown: BTreeMap::new(),
            revoked: Vec::new(),
            revoking: Vec::new(),
            hours: 0,
            links: 0,
        };
        life.link(0);
        if life.some(2) == 0 {
            life.link(1);
        }
        life
    }

    /// One of so many.
    fn some(&mut self, many: usize) -> usize {
        let last = many.saturating_sub(1) as u64;
        usize::try_from(self.chance.within(&(0..=last))).unwrap()
    }

    /// Any home of anybody that has an account.
    fn home(&mut self) -> (usize, String) {
        loop {
            let person = self.some(PEOPLE.len());
            let home = self.some(self.homes[person].len());
            let home = self.homes[person][home].clone();
            if self.world.has_account(&home) {
                return (person, home);
            }
        }
    }

    fn step(&mut self) {
        self.note_revocations(false);
        match self.some(100) {
            0..=34 => self.write(),
            35..=41 => self.read(),
            42..=45 => self.delete(),
            46..=61 => {
                let seconds = self.some(9) as u64;
                self.world.run(seconds);
            }
            62..=66 => self.rotate(),
            67..=68 => {
                let person = self.some(PEOPLE.len());
                self.link(person);
            }
            69..=70 => self.revoke(),
            71..=72 => self.rename(),
            73..=75 => {
                let (_, home) = self.home();
                let online = self.some(3) > 0;
                self.world.set_online(&home, online);
            }
            76..=77 => {
                let (_, home) = self.home();
                self.world.stop(&home);
            }
            78..=82 => {
                let (_, home) = self.home();
                self.world.start(&home);
            }
            83..=87 => self.crash(),
            88..=89 => self.world.set_weather(Weather::storm()),
            90..=91 => self.world.set_weather(Weather::calm()),
            92..=93 => {
                let bodies = 1 + self.some(6);
                self.world.relay().set_capacity(bodies);
            }
            94..=95 => self.world.relay().set_capacity(10_000),
            _ => self.hours_pass(),
        }
    }

    fn write(&mut self) {
        let (person, home) = self.home();
        if !self.world.runs(&home) || self.world.was_revoked(&home) {
            return;
        }
        let to = (person + 1 + self.some(PEOPLE.len() - 1)) % PEOPLE.len();
        self.write_to(&home, to);
    }

    fn write_to(&mut self, home: &str, to: usize) {
        let text = format!("{home} to {}: {}", PEOPLE[to], self.written.len());
        let letter = LetterId::random(self.world.chance().rng());
        let Some(contact) = self.world.person(home).contact(PEOPLE[to]) else {
            return; // Its contacts are still on their way.
        };
        let draft = Draft {
            text: text.clone(),
            ..Draft::default()
        };
        let contact = contact.id;
        let begun = self.world.try_command(home, |command| Input::SendLetter {
            command,
            letter,
            to: contact,
            draft,
        });
        if let Some(CommandOutcome::Failed(error)) = self.world.outcome(home, begun.unwrap()) {
            assert!(self.world.was_revoked(home), "{home} cannot write: {error}");
        }
        let kept = self.letters(home, PEOPLE[to]);
        let Some(kept) = kept.iter().find(|kept| kept.id == letter) else {
            return; // The program died before it promised anything.
        };
        let known = self
            .revoked
            .iter()
            .filter(|revoked| self.knows(home, revoked));
        self.written.push(Written {
            id: letter,
            text,
            from: home.to_owned(),
            to,
            direct: kept.deliveries.iter().map(|to| to.device).collect(),
            known_revoked: known.map(|revoked| revoked.home.clone()).collect(),
        });
    }

    fn letters(&self, home: &str, petname: &str) -> Vec<Letter> {
        self.world.person(home).letters(petname)
    }

    /// Whether a home has the log entry by which a device was revoked.
    fn knows(&self, home: &str, revoked: &Revoked) -> bool {
        if self.person_of(home) == revoked.person {
            return self.world.own_log(home).head().sequence >= revoked.sequence;
        }
        let contact = self.world.person(home).contact(PEOPLE[revoked.person]);
        contact.is_some_and(|contact| contact.pin.sequence >= revoked.sequence)
    }

    fn person_of(&self, home: &str) -> usize {
        let mut homes = self.homes.iter();
        homes
            .position(|homes| homes.iter().any(|other| other == home))
            .unwrap()
    }

    fn read(&mut self) {
        let (_, home) = self.home();
        self.show(&home);
    }

    fn show(&mut self, home: &str) {
        let texts = self.world.read(home).into_iter().map(|(_, text)| text);
        let shown = self.shown.entry(home.to_owned()).or_default();
        shown.extend(texts);
    }

    fn delete(&mut self) {
        let (person, home) = self.home();
        let contact = PEOPLE[(person + 1 + self.some(PEOPLE.len() - 1)) % PEOPLE.len()];
        let letters = self.letters(&home, contact);
        if letters.is_empty() || !self.world.runs(&home) || self.world.was_revoked(&home) {
            return;
        }
        let letter = letters[self.some(letters.len())].id;
        self.world.delete(&home, letter);
        let left = self.letters(&home, contact);
        if left.iter().all(|left| left.id != letter) {
            self.deleted.entry((person, letter)).or_default().push(home);
        }
    }

    fn rotate(&mut self) {
        let (_, home) = self.home();
        if self.world.runs(&home) {
            let rotated = self
                .world
                .try_command(&home, |command| Input::RotateDevice { command });
            rotated.unwrap();
        }
    }

    fn rename(&mut self) {
        let (_, home) = self.home();
        let name = format!("name {}", self.some(1_000));
        let device = self.world.device(&home);
        let named = self
            .world
            .try_input(&home, Input::NameDevice { device, name });
        named.unwrap();
    }

    fn crash(&mut self) {
        let (_, home) = self.home();
        let point = [
            CrashPoint::BeforeStore,
            CrashPoint::AfterStore,
            CrashPoint::AfterSend,
        ];
        let point = point[self.some(3)];
        let steps = 1 + self.some(6);
        self.world
            .crash(&home, point, u32::try_from(steps).unwrap());
    }

    fn hours_pass(&mut self) {
        let hours = [1, 6, 26, 80, 8 * 24][self.some(5)];
        if self.hours + hours <= HOURS {
            self.hours += hours;
            self.world.sleep(hours * 3600);
            self.world.run(2);
        }
    }

    /// Links another home, as far as what happens meanwhile lets it.
    fn link(&mut self, person: usize) {
        let able = |home: &&String| {
            self.world.has_account(home) && self.world.runs(home) && !self.world.was_revoked(home)
        };
        let able: Vec<String> = self.homes[person].iter().filter(able).cloned().collect();
        if able.is_empty() || able.len() >= IN_FORCE || self.homes[person].len() >= HOMES {
            return;
        }
        let old = able[self.some(able.len())].clone();
        let new = format!("{}{}", PEOPLE[person], self.links + 1);
        if !self.world.try_link(&old, &new) {
            return;
        }
        self.links += 1;
        self.homes[person].push(new);
        let seconds = self.some(10) as u64;
        self.world.run(seconds);
    }

    fn revoke(&mut self) {
        let (person, by) = self.home();
        let other = self.some(self.homes[person].len());
        let other = self.homes[person][other].clone();
        // The first home stays, so that somebody is there to the end.
        if other == PEOPLE[person] || !self.world.has_account(&other) || !self.world.runs(&by) {
            return;
        }
        let device = self.world.device(&other);
        let reason = [Reason::Lost, Reason::Stolen, Reason::Retired][self.some(3)];
        let revoking = self.world.try_command(&by, |command| Input::RevokeDevice {
            command,
            device,
            reason,
        });
        self.revoking.push((by, revoking.unwrap(), person, device));
    }

    /// Notes which revocations are in the logs, as those know who asked for them.
    fn note_revocations(&mut self, at_last: bool) {
        for (by, command, person, device) in std::mem::take(&mut self.revoking) {
            let done = match self.world.outcome(&by, command) {
                Some(CommandOutcome::Failed(_)) => continue,
                outcome => outcome.is_some(),
            };
            // A program that died does not say it.
            if !done && !at_last {
                self.revoking.push((by, command, person, device));
                continue;
            }
            let log = self.world.own_log(&by);
            let mut entries = log.entries().iter();
            let entry = entries.find(|entry| {
                entry.kind == EntryKind::RevokeDevice && entry.subject == Some(device)
            });
            if let Some(sequence) = entry.map(|entry| entry.sequence) {
                let home = self.home_of(person, &device).unwrap();
                self.note_revoked(person, home, sequence);
            }
        }
        if at_last {
            self.note_all_revocations();
        }
    }

    /// A home that died, or was revoked itself, does not know what the relay took.
    fn note_all_revocations(&mut self) {
        for (person, name) in PEOPLE.iter().enumerate() {
            let account = self.world.account(name);
            let log = self.world.log_at_relay(&account);
            let revoked = log.revoked().iter();
            let revoked: Vec<_> = revoked
                .map(|gone| (*gone.record.id(), gone.sequence))
                .collect();
            for (device, sequence) in revoked {
                // One that never reported in has no home.
                if let Some(home) = self.home_of(person, &device) {
                    self.note_revoked(person, home, sequence);
                }
            }
        }
    }

    fn note_revoked(&mut self, person: usize, home: String, sequence: u64) {
        if self.revoked.iter().all(|known| known.home != home) {
            self.revoked.push(Revoked {
                person,
                home,
                sequence,
            });
        }
    }

    fn home_of(&self, person: usize, device: &DeviceId) -> Option<String> {
        let mut homes = self.homes[person].iter();
        homes
            .find(|home| self.world.has_account(home) && self.world.device(home) == *device)
            .cloned()
    }

    /// Everything works again, for some days.
    fn heal(&mut self) {
        self.world.set_weather(Weather::calm());
        self.world.relay().set_capacity(10_000);
        let homes: Vec<String> = self.homes.iter().flatten().cloned().collect();
        for hours in [0, 25, 25] {
            for home in &homes {
                self.world.forget_crash(home);
                self.world.stop(home);
            }
            self.world.run(5);
            self.world.sleep(hours * 3600);
            for home in &homes {
                self.world.set_online(home, true);
                self.world.start(home);
            }
            self.world.run(100);
        }
        self.world.settle();
        self.note_revocations(true);
        // Nobody is stuck: everybody writes to everybody.
        for (person, homes) in self.in_force().into_iter().enumerate() {
            for home in homes {
                for to in (0..PEOPLE.len()).filter(|to| *to != person) {
                    self.write_to(&home, to);
                }
            }
        }
        self.world.run(100);
        self.world.settle();
        for home in self.in_force().iter().flatten() {
            self.show(home);
        }
        self.world.run(100);
        self.world.settle();
    }

    /// The homes of each person that are in force by the log that the relay has.
    fn in_force(&mut self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for (person, name) in PEOPLE.iter().enumerate() {
            let account = self.world.account(name);
            let log = self.world.log_at_relay(&account);
            let homes = log.devices().iter().map(|device| {
                let home = self.home_of(person, device.id());
                home.unwrap_or_else(|| panic!("half a device of {name}"))
            });
            all.push(homes.collect());
        }
        all
    }

    fn check(&mut self) {
        let in_force = self.in_force();
        let alive: BTreeSet<String> = in_force.iter().flatten().cloned().collect();
        for (person, homes) in in_force.iter().enumerate() {
            for home in homes {
                self.check_home(person, home, &alive);
                self.check_rest(home);
            }
            self.check_agreement(person, homes);
        }
        for revoked in &self.revoked {
            for written in &self.written {
                if written.known_revoked.contains(&revoked.home) {
                    let with = self.conversation_of(revoked.person, written);
                    let there = self.letters(&revoked.home, with);
                    let has = there.iter().any(|letter| letter.id == written.id);
                    assert!(
                        !has,
                        "{} was revoked and has {}",
                        revoked.home, written.text
                    );
                }
            }
        }
    }

    /// What a person calls the other side of a letter.
    fn conversation_of(&self, person: usize, written: &Written) -> &'static str {
        match self.person_of(&written.from) == person {
            true => PEOPLE[written.to],
            false => PEOPLE[self.person_of(&written.from)],
        }
    }

    /// Whether another home of the person passed a letter on to a device, as its sender did not know of that device's keys:
    /// what two devices send comes in any order.
    fn was_passed_on(
        &self,
        (person, contact): (usize, &str),
        id: &LetterId,
        device: &DeviceId,
    ) -> bool {
        let homes = self.homes[person].iter();
        let mut there = homes.flat_map(|home| self.letters(home, contact));
        there.any(|letter| {
            let mut deliveries = letter.deliveries.iter();
            let received = letter.direction == Direction::Received;
            letter.id == *id && received && deliveries.any(|to| to.device == *device)
        })
    }

    /// Every letter of a device that is in force, but those that were deleted, in the order of its sender.
    fn check_home(&mut self, person: usize, home: &str, alive: &BTreeSet<String>) {
        let shown = self.shown.get(home).cloned().unwrap_or_default();
        let once: BTreeSet<&String> = shown.iter().collect();
        assert_eq!(once.len(), shown.len(), "{home} showed a letter twice");
        let device = self.world.device(home);
        for contact in PEOPLE.iter().filter(|name| **name != PEOPLE[person]) {
            let there = self.letters(home, contact);
            let place = |id: &LetterId| there.iter().position(|letter| letter.id == *id);
            let mut last: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
            for written in &self.written {
                let from = self.person_of(&written.from);
                let theirs = from == person || written.to == person;
                if !theirs || self.conversation_of(person, written) != *contact {
                    continue;
                }
                let deleted = self.deleted.get(&(person, written.id));
                let for_good = deleted.is_some_and(|by| by.iter().any(|by| alive.contains(by)));
                // Who deletes an own letter withdraws what has not left yet.
                let withdrawn = self.deleted.contains_key(&(from, written.id));
                let place = place(&written.id);
                if for_good {
                    assert_eq!(place, None, "{home} has what was deleted: {}", written.text);
                } else if deleted.is_none() && !withdrawn && alive.contains(&written.from) {
                    assert!(place.is_some(), "{home} has not: {}", written.text);
                }
                let in_order = written.direct.contains(&device)
                    && !withdrawn
                    && !self.was_passed_on((person, contact), &written.id, &device);
                let Some(place) = place.filter(|_| in_order) else {
                    continue;
                };
                if let Some((before, text)) = last.insert(&written.from, (place, &written.text)) {
                    assert!(before < place, "{home}: {} after {text}", written.text);
                }
            }
            let ids: BTreeSet<LetterId> = there.iter().map(|letter| letter.id).collect();
            assert_eq!(ids.len(), there.len(), "{home} has a letter twice");
            for letter in &there {
                let mut written = self.written.iter();
                if written.any(|written| written.id == letter.id && written.from == home) {
                    assert_eq!(letter.state, LetterState::Delivered, "{}", letter.text);
                }
            }
        }
    }

    /// Nothing is left to do, and nothing did not open.
    fn check_rest(&self, home: &str) {
        let person = self.world.person(home);
        for table in [Table::Outbox, Table::Waiting, Table::Held, Table::Sent] {
            let left = person.store.count(table);
            assert_eq!(left, 0, "{home} is stuck: {table:?}");
        }
        for event in &person.events {
            assert!(
                !matches!(
                    event,
                    Event::Undecryptable { .. }
                        | Event::IdentityChanged { .. }
                        | Event::OwnLogForked { .. }
                        | Event::LetterFailed { .. }
                        | Event::LogWithheld { .. }
                ),
                "{home} was told {event:?}"
            );
        }
    }

    /// All devices show the same letters in the same state, but for those that a revoked device wrote or deleted.
    fn check_agreement(&self, person: usize, homes: &[String]) {
        let alive: BTreeSet<&String> = homes.iter().collect();
        for contact in PEOPLE.iter().filter(|name| **name != PEOPLE[person]) {
            let agreed = |home: &String| -> BTreeMap<String, bool> {
                let letters = self.letters(home, contact).into_iter();
                let agreed = letters.filter(|letter| {
                    let mut written = self.written.iter();
                    let written = written.find(|written| written.id == letter.id);
                    let dead = |home: &String| self.revoked.iter().any(|gone| gone.home == *home);
                    let deleted = self.deleted.get(&(person, letter.id));
                    let withdrawn = |written: &Written| {
                        let from = self.person_of(&written.from);
                        from != person && self.deleted.contains_key(&(from, written.id))
                    };
                    written.is_some_and(|written| !dead(&written.from) && !withdrawn(written))
                        && deleted.is_none_or(|by| by.iter().any(|by| alive.contains(by)))
                });
                let state = |letter: Letter| {
                    let unread = letter.state == LetterState::Received;
                    (letter.text, unread)
                };
                agreed.map(state).collect()
            };
            for home in &homes[1..] {
                assert_eq!(agreed(home), agreed(&homes[0]), "{home} and {}", homes[0]);
            }
        }
    }
}

fn live(seed: u64, steps: u64) {
    println!(
        "LETTERLOCK_SEED={seed} LETTERLOCK_SEEDS=1 LETTERLOCK_STEPS={steps} replays this world"
    );
    let mut life = Life::new(seed);
    for _ in 0..steps {
        life.step();
    }
    life.heal();
    life.check();
}

fn number(name: &str, unless: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(unless, |set| set.parse().unwrap())
}

/// The worlds of one test; all of them in the first, where a number is set.
fn worlds(part: u64) {
    const FIRST: u64 = 20_260_103;
    const EACH: u64 = 2;
    let steps = number("LETTERLOCK_STEPS", 60);
    let seeds = match std::env::var_os("LETTERLOCK_SEEDS") {
        None => FIRST + part * EACH..FIRST + (part + 1) * EACH,
        Some(_) => {
            let first = number("LETTERLOCK_SEED", FIRST);
            let count = number("LETTERLOCK_SEEDS", 0);
            first + count * part / 2..first + count * (part + 1) / 2
        }
    };
    for seed in seeds {
        live(seed, steps);
    }
}

#[test]
fn devices_of_an_account_agree_whatever_happens() {
    worlds(0);
}

#[test]
fn devices_of_an_account_agree_whatever_else_happens() {
    worlds(1);
}
