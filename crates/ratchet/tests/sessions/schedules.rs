//! Any loss, repetition and reordering: each message is read exactly once or refused, and nothing panics.

use std::collections::VecDeque;

use letterlock_ratchet::limits::RECEIVING_CHAINS;
use letterlock_ratchet::{Outgoing, Profile};
use proptest::prelude::*;

use crate::support::Who::{Alice, Bob};
use crate::support::{Pair, Refusal, Stock, Who};

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_260_101),
        ..ProptestConfig::default()
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Write(Who),
    /// Delivers any message on its way.
    Deliver(Who, prop::sample::Index),
    /// Delivers any message of the past once more.
    Repeat(Who, prop::sample::Index),
    Lose(Who, prop::sample::Index),
    /// Begins a session, though there may be one.
    Start(Who),
    Reload(Who),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Alice), Just(Bob)]
}

fn event(starts: u32) -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => who().prop_map(Event::Write),
        10 => (who(), any::<prop::sample::Index>()).prop_map(|(to, which)| Event::Deliver(to, which)),
        2 => (who(), any::<prop::sample::Index>()).prop_map(|(to, which)| Event::Repeat(to, which)),
        2 => (who(), any::<prop::sample::Index>()).prop_map(|(to, which)| Event::Lose(to, which)),
        starts => who().prop_map(Event::Start),
        2 => who().prop_map(Event::Reload),
    ]
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::Signal), Just(Profile::Letterlock)]
}

fn stock() -> impl Strategy<Value = Stock> {
    prop_oneof![Just(Stock::OneTime), Just(Stock::LastResort)]
}

/// A message, its text, and which ratchet key of its sender it is under.
#[derive(Clone)]
struct Letter {
    message: Outgoing,
    text: Vec<u8>,
    generation: u32,
}

/// What one side would know, told by a model that only counts ratchet keys.
#[derive(Default)]
struct Model {
    coming: Vec<Letter>,
    past: Vec<Letter>,
    /// Number of the own ratchet key.
    generation: u32,
    /// Numbers of the peer's ratchet keys whose chains are kept.
    chains: VecDeque<u32>,
    /// The newest of them.
    newest: Option<u32>,
}

impl Model {
    fn knows(&self, generation: u32) -> bool {
        self.newest.is_none_or(|newest| generation > newest) || self.chains.contains(&generation)
    }

    fn receives(&mut self, generation: u32) {
        if self.newest.is_none_or(|newest| generation > newest) {
            self.newest = Some(generation);
            self.generation += 1;
            self.chains.push_back(generation);
            if self.chains.len() > RECEIVING_CHAINS {
                self.chains.pop_front();
            }
        }
    }
}

struct Network {
    pair: Pair,
    alice: Model,
    bob: Model,
    written: u64,
}

impl Network {
    fn new(pair: Pair) -> Self {
        Self {
            pair,
            alice: Model::default(),
            bob: Model::default(),
            written: 0,
        }
    }

    fn model(&mut self, who: Who) -> &mut Model {
        match who {
            Alice => &mut self.alice,
            Bob => &mut self.bob,
        }
    }

    fn write(&mut self, from: Who) {
        if !self.pair.get(from).record.can_send(crate::support::START) {
            return;
        }
        self.written += 1;
        let text = self.written.to_string().into_bytes();
        let message = self.pair.write(from, &text);
        let generation = self.model(from).generation;
        self.model(from.other()).coming.push(Letter {
            message,
            text,
            generation,
        });
    }

    fn take(&mut self, to: Who, which: prop::sample::Index) -> Option<Letter> {
        let coming = &mut self.model(to).coming;
        (!coming.is_empty()).then(|| coming.swap_remove(which.index(coming.len())))
    }

    /// One session: the model says of each message whether it is read.
    fn deliver_in_one_session(&mut self, to: Who, letter: Letter) {
        let read = self.pair.read(to, &letter.message);
        let model = self.model(to);
        if model.knows(letter.generation) {
            assert_eq!(read.as_ref(), Ok(&letter.text));
            model.receives(letter.generation);
        } else {
            assert_eq!(read, Err(Refusal::Refused), "its chain is no longer kept");
        }
        model.past.push(letter);
    }

    fn repeat(&mut self, to: Who, which: prop::sample::Index) {
        let past = &self.model(to).past;
        if !past.is_empty() {
            let letter = past[which.index(past.len())].clone();
            assert!(self.pair.read(to, &letter.message).is_err(), "read twice");
        }
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn each_message_is_read_exactly_once(
        profile in profile(),
        stock in stock(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(0), 1..150),
    ) {
        let mut network = Network::new(Pair::begun(profile, seed, stock));
        for event in events {
            match event {
                Event::Write(from) => network.write(from),
                Event::Deliver(to, which) => {
                    if let Some(letter) = network.take(to, which) {
                        network.deliver_in_one_session(to, letter);
                    }
                }
                Event::Repeat(to, which) => network.repeat(to, which),
                Event::Lose(to, which) => drop(network.take(to, which)),
                Event::Reload(who) => network.pair.get(who).reload(),
                Event::Start(_) => {}
            }
        }
        for to in [Alice, Bob] {
            while let Some(letter) = network.model(to).coming.pop() {
                network.deliver_in_one_session(to, letter);
            }
        }
    }

    /// With sessions begun at any time by both, a message may fall out of the archive; none is read twice, and
    /// in the end both use one session.
    #[test]
    fn sessions_begun_at_any_time_converge(
        profile in profile(),
        stock in stock(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(2), 1..60),
    ) {
        let mut network = Network::new(Pair::strangers(profile, seed));
        network.pair.start(Alice, stock);
        network.pair.start(Bob, stock);
        for event in events {
            match event {
                Event::Write(from) => network.write(from),
                Event::Deliver(to, which) => {
                    if let Some(letter) = network.take(to, which)
                        && let Ok(text) = network.pair.read(to, &letter.message)
                    {
                        assert_eq!(text, letter.text);
                        network.model(to).past.push(letter);
                    }
                }
                Event::Repeat(to, which) => network.repeat(to, which),
                Event::Lose(to, which) => drop(network.take(to, which)),
                Event::Start(who) => network.pair.start(who, stock),
                Event::Reload(who) => network.pair.get(who).reload(),
            }
        }
        network.pair.converse(3);
        let base = network.pair.alice.record.archived();
        network.pair.converse(3);
        assert_eq!(network.pair.alice.record.archived(), base);
        assert!(network.pair.alice.record.is_answered() && network.pair.bob.record.is_answered());
    }
}
