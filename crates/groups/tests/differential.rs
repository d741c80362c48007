//! Members of `mls-rs` on our provider and of openmls on its own share one group through random operations.
//!
//! The operations come from a seed, and so do all keys of ours. openmls draws its own from the system and offers no
//! other way, so a failure prints operation and seed, and the bytes of its side differ from run to run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

#[allow(dead_code, reason = "test and benchmark take a part each")]
mod peers;

use keys::Secret;
use letterlock_groups::replay::{self, CNSA2, HYBRID};
use mls_rs_core::crypto::CipherSuite;
use peers::{Change, Member, Received, ours, theirs};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

const FEWEST: usize = 3;
const MOST: usize = 6;

#[derive(Default, Debug)]
struct Tally {
    letters: usize,
    updates: usize,
    proposed: usize,
    added: usize,
    removed: usize,
    external: usize,
}

struct Meeting {
    rng: ChaCha20Rng,
    suite: CipherSuite,
    inside: Vec<Box<dyn Member>>,
    born: usize,
    tally: Tally,
}

impl Meeting {
    fn new(suite: CipherSuite, seed: u64) -> Self {
        let mut meeting = Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            suite,
            inside: Vec::new(),
            born: 0,
            tally: Tally::default(),
        };
        let mut first = meeting.somebody();
        first.create();
        meeting.inside.push(first);
        while meeting.inside.len() < FEWEST {
            meeting.add();
        }
        meeting
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// One of us and one of them in turn.
    fn somebody(&mut self) -> Box<dyn Member> {
        self.born += 1;
        let name = format!("member {}", self.born);
        if self.born.is_multiple_of(2) {
            return Box::new(theirs::member(self.suite, &name));
        }
        let provider = replay::provider(Secret::random(&mut self.rng));
        Box::new(ours::member(provider, self.suite, &name))
    }

    fn deliver(&mut self, message: &[u8], from: usize, expected: &Received) {
        for (place, member) in self.inside.iter_mut().enumerate() {
            if place != from {
                assert_eq!(&member.receive(message), expected);
            }
        }
    }

    fn commit(&mut self, change: Change) -> Option<Vec<u8>> {
        let committer = self.below(self.inside.len());
        self.commit_of(committer, change)
    }

    fn commit_of(&mut self, committer: usize, change: Change) -> Option<Vec<u8>> {
        let (commit, welcome) = self.inside[committer].commit(change);
        self.deliver(&commit, committer, &Received::Commit);
        self.inside[committer].apply_own();
        welcome
    }

    fn add(&mut self) {
        let mut joiner = self.somebody();
        let package = joiner.key_package();
        let welcome = self.commit(Change::Add(vec![package])).unwrap();
        joiner.join(&welcome);
        self.inside.push(joiner);
        self.tally.added += 1;
    }

    fn remove(&mut self) {
        let leaver = self.below(self.inside.len());
        let leaver = self.inside.swap_remove(leaver);
        self.commit(Change::Remove(leaver.index()));
        self.tally.removed += 1;
    }

    fn join_externally(&mut self) {
        let mut joiner = self.somebody();
        let host = self.below(self.inside.len());
        let info = self.inside[host].group_info();
        let commit = joiner.join_externally(&info);
        self.deliver(&commit, usize::MAX, &Received::Commit);
        self.inside.push(joiner);
        self.tally.external += 1;
    }

    /// One proposes a new leaf, another commits it.
    fn update_by_proposal(&mut self) {
        let proposer = self.below(self.inside.len());
        let proposal = self.inside[proposer].propose_update();
        self.deliver(&proposal, proposer, &Received::Proposal);
        let step = 1 + self.below(self.inside.len() - 1);
        let committer = (proposer + step) % self.inside.len();
        self.commit_of(committer, Change::Proposed);
        self.tally.proposed += 1;
    }

    /// Up to four letters of one sender, in order or backwards.
    fn letters(&mut self) {
        let sender = self.below(self.inside.len());
        let count = 1 + self.below(4);
        let mut sent = Vec::new();
        for _ in 0..count {
            let mut text = vec![0; self.below(300)];
            self.rng.fill_bytes(&mut text);
            sent.push((self.inside[sender].send(&text), text));
        }
        if self.below(2) == 0 {
            sent.reverse();
        }
        for (message, text) in sent {
            self.deliver(&message, sender, &Received::Letter(text));
        }
        self.tally.letters += count;
    }

    fn step(&mut self) {
        match self.below(100) {
            0..50 => self.letters(),
            50..65 => {
                self.commit(Change::Nothing);
                self.tally.updates += 1;
            }
            65..73 => self.update_by_proposal(),
            73..84 if self.inside.len() < MOST => self.add(),
            84..90 if self.inside.len() < MOST => self.join_externally(),
            _ if self.inside.len() > FEWEST => self.remove(),
            _ => self.add(),
        }
    }

    fn agrees(&self) {
        let first = &self.inside[0];
        for member in &self.inside {
            assert_eq!(member.epoch(), first.epoch());
            assert_eq!(member.authenticator(), first.authenticator());
            assert_eq!(member.members(), self.inside.len());
        }
    }
}

fn shares_one_group(suite: CipherSuite, operations: usize, seed: u64) {
    let mut meeting = Meeting::new(suite, seed);
    for operation in 0..operations {
        let place = (suite, seed, operation);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            meeting.step();
            meeting.agrees();
        }));
        assert!(result.is_ok(), "{place:?}, {:?}", meeting.tally);
    }
    let tally = &meeting.tally;
    eprintln!("{suite:?}: {tally:?}");
    assert!(tally.letters > 0 && tally.updates > 0 && tally.proposed > 0);
    assert!(tally.added > 0 && tally.removed > 0 && tally.external > 0);
}

#[test]
fn both_share_a_hybrid_group() {
    shares_one_group(HYBRID, 1000, 1);
}

#[test]
fn both_share_a_cnsa2_group() {
    shares_one_group(CNSA2, 1000, 2);
}
