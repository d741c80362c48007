//! Anything may happen in any order: every letter that was taken is shown once, in its sender's order. Only a relay
//! that was set back may change the order: what it lost goes again when its sender notices, at the latest a day after.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a run that does not hold ends its test"
)]

use engine::{CommandOutcome, Draft, Input};
use keys::LetterId;
use letterlock_testkit::{CrashPoint, RelayStore, Weather, World};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeMap;

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    Write {
        from: usize,
        to: usize,
    },
    Read {
        who: usize,
    },
    Wait {
        seconds: u64,
    },
    Stop {
        who: usize,
    },
    Start {
        who: usize,
    },
    Offline {
        who: usize,
    },
    Online {
        who: usize,
    },
    Crash {
        who: usize,
        point: CrashPoint,
        steps: u32,
    },
    Storm,
    Calm,
    Crowded {
        bodies: usize,
    },
    FullDisk {
        who: usize,
        full: bool,
    },
    Backup,
    SetBack,
}

fn who() -> impl Strategy<Value = usize> {
    0..PEOPLE.len()
}

fn happening() -> impl Strategy<Value = Happening> {
    let point = prop_oneof![
        Just(CrashPoint::BeforeStore),
        Just(CrashPoint::AfterStore),
        Just(CrashPoint::AfterSend)
    ];
    prop_oneof![
        8 => (who(), 1..PEOPLE.len()).prop_map(|(from, step)| Happening::Write {
            from,
            to: (from + step) % PEOPLE.len(),
        }),
        2 => who().prop_map(|who| Happening::Read { who }),
        6 => (0..8_u64).prop_map(|seconds| Happening::Wait { seconds }),
        1 => who().prop_map(|who| Happening::Stop { who }),
        2 => who().prop_map(|who| Happening::Start { who }),
        1 => who().prop_map(|who| Happening::Offline { who }),
        2 => who().prop_map(|who| Happening::Online { who }),
        3 => (who(), point, 1..6_u32).prop_map(|(who, point, steps)| Happening::Crash { who, point, steps }),
        1 => Just(Happening::Storm),
        1 => Just(Happening::Calm),
        1 => (1..6_usize).prop_map(|bodies| Happening::Crowded { bodies }),
        1 => (who(), any::<bool>()).prop_map(|(who, full)| Happening::FullDisk { who, full }),
        1 => Just(Happening::Backup),
        1 => Just(Happening::SetBack),
    ]
}

/// What was written and what was shown, by sender and recipient.
#[derive(Default)]
struct Ledger {
    written: BTreeMap<(usize, usize), Vec<(LetterId, String)>>,
    shown: BTreeMap<(usize, usize), Vec<String>>,
    count: usize,
    backup: Option<RelayStore>,
}

impl Ledger {
    fn write(&mut self, world: &mut World, from: usize, to: usize) {
        if !world.runs(PEOPLE[from]) {
            return;
        }
        self.count += 1;
        let text = format!("{} to {}: {}", PEOPLE[from], PEOPLE[to], self.count);
        let letter = LetterId::random(world.chance().rng());
        let contact = world.account(PEOPLE[to]);
        let draft = Draft {
            text: text.clone(),
            ..Draft::default()
        };
        let begun = world.try_command(PEOPLE[from], |command| Input::SendLetter {
            command,
            letter,
            to: contact,
            draft,
        });
        if let Ok(command) = begun
            && let Some(outcome) = world.outcome(PEOPLE[from], command)
        {
            assert!(matches!(outcome, CommandOutcome::LetterQueued(_)));
        }
        self.written
            .entry((from, to))
            .or_default()
            .push((letter, text));
    }

    fn read(&mut self, world: &mut World, who: usize) {
        for (from, text) in world.read(PEOPLE[who]) {
            let from = PEOPLE.iter().position(|name| *name == from).unwrap();
            self.shown.entry((from, who)).or_default().push(text);
        }
    }

    /// The letters that the sender's store took; a program that died before that never promised anything.
    fn accepted(&self, world: &World, from: usize, to: usize) -> Vec<String> {
        let kept = world.person(PEOPLE[from]).letters(PEOPLE[to]);
        let written = self.written.get(&(from, to)).into_iter().flatten();
        let taken = written.filter(|(id, _)| kept.iter().any(|letter| letter.id == *id));
        taken.map(|(_, text)| text.clone()).collect()
    }
}

fn happen(world: &mut World, ledger: &mut Ledger, happening: &Happening) {
    match *happening {
        Happening::Write { from, to } => ledger.write(world, from, to),
        Happening::Read { who } => ledger.read(world, who),
        Happening::Wait { seconds } => world.run(seconds),
        Happening::Stop { who } => world.stop(PEOPLE[who]),
        Happening::Start { who } => world.start(PEOPLE[who]),
        Happening::Offline { who } => world.set_online(PEOPLE[who], false),
        Happening::Online { who } => world.set_online(PEOPLE[who], true),
        Happening::Crash { who, point, steps } => world.crash(PEOPLE[who], point, steps),
        Happening::Storm => world.set_weather(Weather::storm()),
        Happening::Calm => world.set_weather(Weather::calm()),
        Happening::Crowded { bodies } => world.relay().set_capacity(bodies),
        Happening::FullDisk { who, full } => {
            world.person_mut(PEOPLE[who]).store.set_full(full);
        }
        Happening::Backup => ledger.backup = Some(world.relay().store().clone()),
        Happening::SetBack => {
            if let Some(backup) = &ledger.backup {
                world.roll_back_relay(backup.clone());
            }
        }
    }
}

/// Everything works again, for long enough: some days where a relay was set back, else minutes.
fn heal(world: &mut World, set_back: bool) {
    world.set_weather(Weather::calm());
    world.relay().set_capacity(10_000);
    for name in PEOPLE {
        world.person_mut(name).store.set_full(false);
        world.forget_crash(name);
    }
    for _day in 0..if set_back { 4 } else { 1 } {
        for name in PEOPLE {
            world.stop(name);
        }
        world.run(5);
        world.sleep(if set_back { 25 * 3600 } else { 0 });
        for name in PEOPLE {
            world.start(name);
            world.set_online(name, true);
        }
        world.run(200);
    }
    world.settle();
}

fn live(seed: u64, happenings: &[Happening]) {
    let mut world = World::new(seed);
    for name in PEOPLE {
        world.join(name);
    }
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        world.befriend(PEOPLE[one], PEOPLE[other]);
    }
    let mut ledger = Ledger::default();
    for happening in happenings {
        happen(&mut world, &mut ledger, happening);
    }
    let set_back = |happening: &Happening| matches!(happening, Happening::SetBack);
    let set_back = happenings.iter().any(set_back);
    heal(&mut world, set_back);
    for who in 0..PEOPLE.len() {
        ledger.read(&mut world, who);
        assert!(world.read(PEOPLE[who]).is_empty());
    }
    for from in 0..PEOPLE.len() {
        for to in (0..PEOPLE.len()).filter(|to| *to != from) {
            let mut accepted = ledger.accepted(&world, from, to);
            let mut shown = ledger.shown.remove(&(from, to)).unwrap_or_default();
            if set_back {
                accepted.sort();
                shown.sort();
            }
            assert_eq!(shown, accepted, "from {} to {}", PEOPLE[from], PEOPLE[to]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: RngSeed::Fixed(20_260_102),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_accepted_letter_is_shown_once_and_in_order(
        seed in any::<u64>(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        live(seed, &happenings);
    }
}
