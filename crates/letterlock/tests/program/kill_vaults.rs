//! `kill -9` of relay, members and both sides of a transfer at random instants: vaults, folders in step, gifts.
//!
//! `LETTERLOCK_VAULT_KILLS` sets how many (6 where it is not set; 100 is the full form), `LETTERLOCK_KILL_SEED` the
//! instants. After each kill the same command is typed again and comes to its end. In the end everything that a command
//! said to be done is there for everybody, and no folder, home or relay has anything that was left on the way.

use crate::give::{Side, ok};
use crate::sealed::text;
use crate::support::{Person, Process, Ran, Town};
use crate::vault_files::{content, shared, third};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

/// Who falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Relay,
    First,
    Second,
}

struct Run {
    town: Town,
    /// An owner, a writer, and a reader who comes and goes.
    people: [Person; 3],
    folders: [PathBuf; 2],
    sides: [Side; 2],
    rng: ChaCha20Rng,
    span_ms: u64,
    /// What is in the vault, by its name.
    put: BTreeMap<String, Vec<u8>>,
    /// Processes that ran when they were killed.
    cut: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let town = Town::new();
        let (alice, bob) = shared(&town, "writer");
        let carol = third(&town, &alice);
        let folders = ["a", "b"].map(|name| town.path(name));
        for (person, folder) in [(&alice, &folders[0]), (&bob, &folders[1])] {
            fs::create_dir(folder).unwrap();
            person.ok(&["vault", "sync", "plans", text(folder)]);
        }
        let start = Instant::now();
        alice.ok(&["vault", "sync", "plans", text(&folders[0])]);
        let span_ms = u64::try_from(start.elapsed().as_millis()).unwrap();
        Self {
            sides: ["giver", "taker"].map(|name| Side::new(&town, name)),
            people: [alice, bob, carol],
            folders,
            rng: ChaCha20Rng::seed_from_u64(seed),
            span_ms,
            put: BTreeMap::new(),
            cut: 0,
            town,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.rng.next_u64() % below.max(1)
    }

    fn file(&mut self) -> Vec<u8> {
        let length = 1 + self.draw(2_500_000);
        content(self.rng.next_u64(), usize::try_from(length).unwrap())
    }

    /// Two processes run, and one of them or the relay is killed.
    fn cut(&mut self, first: Process, second: Process) -> [Ran; 2] {
        let victim = match self.draw(3) {
            0 => Victim::Relay,
            1 => Victim::First,
            _ => Victim::Second,
        };
        let from = self.draw(2) * self.span_ms * 3 / 4;
        let instant = from + self.draw(self.span_ms * 2 - from);
        std::thread::sleep(Duration::from_millis(instant));
        let both = match victim {
            Victim::Relay => {
                self.town.kill_relay();
                self.town.start_relay();
                [first.wait(), second.wait()]
            }
            Victim::First => [first.kill(), second.wait()],
            Victim::Second => {
                let second = second.kill();
                [first.wait(), second]
            }
        };
        for ran in &both {
            unbroken(ran);
            self.cut += u32::from(ran.code.is_none());
        }
        both
    }

    /// Types a command until it does. Others may have to be online for it.
    fn again(&self, who: usize, words: &[&str], done: &[i32]) {
        for _ in 0..30 {
            let ran = self.people[who].run(words);
            unbroken(&ran);
            if ran.code.is_some_and(|code| done.contains(&code)) {
                return;
            }
            for person in &self.people {
                unbroken(&person.run(&["receive", "--timeout", "1s"]));
            }
        }
        panic!("{words:?} of {} does not come", self.people[who].name);
    }

    /// Something is written into the vault while the other one brings its folder in step.
    fn write(&mut self, round: u64) {
        let who = usize::from(self.draw(2) == 1);
        let name = format!("file {round}");
        let bytes = self.file();
        let by_folder = self.draw(2) == 1;
        let from = match by_folder {
            true => self.folders[who].join(&name),
            false => self.town.path(&name),
        };
        fs::write(&from, &bytes).unwrap();
        let folders = self.folders.clone();
        let words = match by_folder {
            true => ["vault", "sync", "plans", text(&folders[who])],
            false => ["vault", "put", "plans", text(&from)],
        };
        let others = ["vault", "sync", "plans", text(&folders[1 - who])];
        let first = self.people[who].start(&words);
        let second = self.people[1 - who].start(&others);
        self.cut(first, second);
        self.again(who, &words, &[0]);
        self.again(1 - who, &others, &[0]);
        self.put.insert(name, bytes);
    }

    /// The reader is let in or put out while the writer reads.
    fn people_change(&mut self, round: u64) {
        let out = self.town.path(&format!("out {round}"));
        let words: &[&str] = match self.draw(2) {
            0 => &["vault", "share", "plans", "carol", "--role", "reader"],
            _ => &["vault", "unshare", "plans", "carol"],
        };
        let name = self.put.keys().next_back().cloned();
        let get = match &name {
            Some(name) => vec![
                "vault",
                "get",
                "plans",
                name.as_str(),
                "--out",
                text(&out),
                "--force",
            ],
            None => vec!["vault", "list", "plans"],
        };
        let first = self.people[0].start(words);
        let second = self.people[1].start(&get);
        self.cut(first, second);
        // Whoever is out already is not found.
        self.again(0, words, &[0, 5]);
        self.again(1, &get, &[0]);
        if let Some(name) = &name {
            assert!(fs::read(out.join(name)).unwrap() == self.put[name]);
            clean(&out, 1);
        }
    }

    /// Somebody gives and somebody takes.
    fn gift(&mut self, round: u64) {
        let name = format!("gift {round}");
        let bytes = self.file();
        fs::write(self.sides[0].path(&name), &bytes).unwrap();
        let url = self.town.url().to_owned();
        let (giving, code) = self.sides[0].give(&[name.as_str()], &url);
        let taking = self.sides[1].start(&["take", &code], &url);
        let [given, taken] = self.cut(giving, taking);
        if taken.code != Some(0) {
            // The giver waits for the same command, or it is gone.
            let again = self.sides[1].run(&["take", &code], &url);
            unbroken(&again);
            if again.code != Some(0) {
                assert_ne!(given.code, Some(0), "{again:?}");
                let (giving, code) = self.sides[0].give(&[name.as_str()], &url);
                ok(&self.sides[1].run(&["take", &code], &url));
                ok(&giving.wait());
            }
        }
        assert!(fs::read(self.sides[1].path(&name)).unwrap() == bytes);
    }

    /// Everybody comes to an end, and everything is looked at.
    fn check(&self) {
        let folders = self.folders.clone();
        self.again(
            0,
            &["vault", "share", "plans", "carol", "--role", "reader"],
            &[0],
        );
        for who in [0, 1, 0, 1] {
            self.again(who, &["vault", "sync", "plans", text(&folders[who])], &[0]);
        }
        for folder in &folders {
            for (name, bytes) in &self.put {
                assert!(fs::read(folder.join(name)).unwrap() == *bytes, "{name}");
            }
            // Beside the files there is what is remembered of them.
            clean(folder, self.put.len() + 1);
            let ours = fs::read_dir(folder.join(".letterlock-sync")).unwrap();
            let mut ours: Vec<_> = ours.map(|entry| entry.unwrap().file_name()).collect();
            ours.sort();
            assert_eq!(ours, ["lock", "state"]);
        }
        let out = self.town.path("of carol");
        for (name, bytes) in &self.put {
            let get = [
                "vault",
                "get",
                "plans",
                name.as_str(),
                "--out",
                text(&out),
                "--force",
            ];
            self.again(2, &get, &[0]);
            assert!(fs::read(out.join(name)).unwrap() == *bytes, "{name}");
        }
        for person in &self.people {
            let journals = fs::read_dir(person.home.join("vaults"))
                .into_iter()
                .flatten();
            let journals = journals.map(|entry| entry.unwrap().path());
            let left: Vec<_> = journals
                .filter(|path| path.extension().is_some_and(|e| e == "packs"))
                .collect();
            // What is left of the last change goes with the next one.
            assert!(left.is_empty(), "{left:?}");
        }
        self.check_gifts();
    }

    fn check_gifts(&self) {
        fs::write(self.sides[0].path("last"), b"last").unwrap();
        let url = self.town.url().to_owned();
        let (giving, code) = self.sides[0].give(&["last"], &url);
        ok(&self.sides[1].run(&["take", &code], &url));
        ok(&giving.wait());
        let left = |name: &String| name.starts_with(".letterlock-");
        for side in &self.sides {
            assert!(!side.files().iter().any(left), "{:?}", side.files());
        }
        // What a taker did not go on with, because its giver had gone, is kept for two days.
        assert_eq!(self.sides[0].notes(), 0);
    }
}

/// A folder has so many names, and none of something that is not whole.
fn clean(folder: &Path, names: usize) {
    let all = fs::read_dir(folder).unwrap();
    let all: Vec<_> = all.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(all.len(), names, "{all:?}");
}

/// No program fell over.
fn unbroken(ran: &Ran) {
    for sign in ["panicked", "undecryptable", "internal error"] {
        assert!(!ran.stderr.contains(sign), "{ran:?}");
    }
}

#[test]
fn killed_members_and_givers_lose_nothing_and_leave_nothing() {
    let kills = number("LETTERLOCK_VAULT_KILLS", 6);
    let seed = number("LETTERLOCK_KILL_SEED", 1);
    println!("LETTERLOCK_VAULT_KILLS={kills} LETTERLOCK_KILL_SEED={seed}");
    let mut run = Run::new(seed);
    for round in 0..kills {
        // Each kind comes soon, whatever is drawn.
        match round % 3 {
            0 => run.write(round),
            1 => run.gift(round),
            _ => run.people_change(round),
        }
    }
    run.check();
    println!(
        "{} processes were killed at work; {} files are in the vault",
        run.cut,
        run.put.len()
    );
}
