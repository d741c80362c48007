//! `kill -9` of relay and clients at random instants.
//!
//! `LETTERLOCK_KILLS` sets how many (12 where it is not set; 200 is the full form), `LETTERLOCK_KILL_SEED` the
//! instants. The seed is printed, and with the same seed the same processes are killed after the same times.

use crate::support::{Person, Process, Ran, Town, text_of};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

struct Run {
    town: Town,
    people: [Person; 2],
    rng: ChaCha20Rng,
    /// About how long a command takes here.
    span_ms: u64,
    /// Ids of letters whose `send` has printed them.
    accepted: BTreeSet<String>,
    /// How often a letter was shown by `receive`.
    shown: BTreeMap<String, u32>,
    file: String,
    /// Clients that ran when they were killed.
    cut: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let town = Town::new();
        let (alice, bob) = town.pair("alice", "bob");
        let start = Instant::now();
        alice.ok(&["send", "bob", "the first", "--wait"]);
        let span_ms = u64::try_from(start.elapsed().as_millis()).unwrap();
        let file = town.path("enclosure.bin");
        std::fs::write(&file, vec![7_u8; 700_000]).unwrap();
        Self {
            people: [alice, bob],
            rng: ChaCha20Rng::seed_from_u64(seed),
            span_ms,
            cut: 0,
            accepted: BTreeSet::new(),
            shown: BTreeMap::new(),
            file: file.to_str().unwrap().to_owned(),
            town,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.rng.next_u64() % below.max(1)
    }

    /// One sends, the other receives, and one of the three processes is killed.
    fn round(&mut self, round: u64) {
        let writer = usize::from(self.draw(2) == 1);
        let text = format!("letter {round}");
        let name = self.people[1 - writer].name.clone();
        let mut words = vec![
            "send",
            name.as_str(),
            text.as_str(),
            "--json",
            "--timeout",
            "2s",
        ];
        let file = self.file.clone();
        if self.draw(5) == 0 {
            words.extend(["--file", file.as_str()]);
        }
        let sends = self.people[writer].start(&words);
        let receives = self.people[1 - writer].start(&["receive", "--json"]);
        let victim = self.draw(3);
        // Half of the kills fall where the commands do their work, after the home is open.
        let from = self.draw(2) * self.span_ms * 3 / 4;
        let instant = from + self.draw(self.span_ms * 2 - from);
        std::thread::sleep(Duration::from_millis(instant));
        let (sent, received) = match victim {
            0 => {
                self.town.kill_relay();
                self.town.start_relay();
                (ended(sends), ended(receives))
            }
            1 => (sends.kill(), ended(receives)),
            _ => {
                let received = receives.kill();
                (ended(sends), received)
            }
        };
        self.cut += u32::from(sent.code.is_none()) + u32::from(received.code.is_none());
        let letters = whole_objects(&sent);
        unbroken(&sent);
        unbroken(&received);
        self.accepted.extend(letters.iter().map(id_of));
        self.note_shown(&received);
    }

    fn note_shown(&mut self, ran: &Ran) {
        for letter in whole_objects(ran) {
            let times = self.shown.entry(id_of(&letter)).or_default();
            *times += 1;
        }
    }

    /// Lets everything arrive: both send and receive until nothing new comes.
    fn settle(&mut self) {
        for _ in 0..3 {
            for person in 0..2 {
                let name = self.people[1 - person].name.clone();
                let sent = self.people[person].json(&[
                    "send",
                    &name,
                    "still here",
                    "--wait",
                    "--timeout",
                    "60s",
                ]);
                self.accepted.extend(sent.iter().map(id_of));
                let ran = self.people[1 - person].ok(&["receive", "--json"]);
                unbroken(&ran);
                self.note_shown(&ran);
            }
        }
    }

    fn check(&self) {
        let mut arrived = BTreeSet::new();
        for writer in 0..2 {
            let (from, to) = (&self.people[writer], &self.people[1 - writer]);
            let sent = letters(from, &to.name, "sent");
            let received = letters(to, &from.name, "received");
            let mut sorted = [sent.clone(), received.clone()];
            sorted.iter_mut().for_each(|ids| ids.sort());
            assert_eq!(sorted[0], sorted[1], "{} to {}", from.name, to.name);
            let once: BTreeSet<String> = received.iter().map(|(id, _)| id.clone()).collect();
            assert_eq!(once.len(), received.len(), "a letter is stored twice");
            arrived.extend(once);
        }
        let lost: Vec<_> = self.accepted.difference(&arrived).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let twice: Vec<_> = self.shown.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "shown twice: {twice:?}");
    }
}

fn id_of(letter: &Value) -> String {
    letter["id"].as_str().unwrap().to_owned()
}

/// A killed process may leave half a line.
fn whole_objects(ran: &Ran) -> Vec<Value> {
    let whole = ran
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    whole
        .filter(|object: &Value| object["id"].is_string())
        .collect()
}

/// Nothing that a kill does to others may look like a broken profile or session.
fn ended(process: Process) -> Ran {
    let ran = process.wait();
    assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
    ran
}

/// No program fell over, and no letter came that a session could not open.
fn unbroken(ran: &Ran) {
    for sign in ["panicked", "undecryptable", "internal error"] {
        assert!(!ran.stderr.contains(sign), "{ran:?}");
    }
}

fn letters(person: &Person, with: &str, direction: &str) -> Vec<(String, String)> {
    let all = person.json(&["read", with, "--limit", "100000"]);
    let failed = all.iter().find(|letter| letter["state"] == "failed");
    assert!(failed.is_none(), "{failed:?}");
    all.iter()
        .filter(|letter| letter["direction"] == direction)
        .map(|letter| (id_of(letter), text_of(letter)))
        .collect()
}

#[test]
fn killed_processes_lose_nothing_and_show_nothing_twice() {
    let kills = number("LETTERLOCK_KILLS", 12);
    let seed = number("LETTERLOCK_KILL_SEED", 1);
    println!("LETTERLOCK_KILLS={kills} LETTERLOCK_KILL_SEED={seed}");
    let mut run = Run::new(seed);
    for round in 0..kills {
        run.round(round);
    }
    run.settle();
    println!(
        "{} clients were killed at work; {} letters were accepted, {} of them shown",
        run.cut,
        run.accepted.len(),
        run.shown.len()
    );
    run.check();
}
