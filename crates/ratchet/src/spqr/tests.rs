//! SPQR alone: agreement, all states and transitions, erasure, forged parts, bounds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::braid::State;
use super::chain::{Chain, ChainLimits, Role};
use super::erasure::{CHUNK_LEN, Chunk, Decoder, Encoder};
use super::labels::{LETTERLOCK, SIGNAL, SpqrLabels};
use super::message::{Message, Payload};
use super::{Spqr, SpqrError};
use crate::limits::{FORWARD_JUMP, SPQR_WINDOW};
use crate::support::Draws;
use keys::Secret;
use keys::codec::{Reader, Writer};
use keys::mlkem_incremental::DK_LEN;

const LIMITS: ChainLimits = ChainLimits {
    jump: FORWARD_JUMP,
    window: SPQR_WINDOW,
};

fn key(byte: u8) -> Secret<32> {
    Secret::from_slice(&[byte; 32]).unwrap()
}

impl Spqr {
    /// Number of the state and epoch.
    pub(crate) fn state(&self) -> (u8, u64) {
        (self.braid.state.number(), self.braid.epoch)
    }

    fn stored(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.finish()
    }

    fn loaded(bytes: &[u8], labels: &'static SpqrLabels) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let spqr = Self::read(&mut input, labels).ok()?;
        input.finish().ok()?;
        Some(spqr)
    }

    fn receive(&mut self, message: &[u8]) -> Result<Secret<32>, SpqrError> {
        let before = self.stored();
        let staged = self.stage_receive(message);
        assert!(self.stored() == before, "staging changed the state");
        let staged = staged?;
        let key = staged.key().duplicate();
        self.commit(staged);
        Ok(key)
    }
}

fn sides(labels: &'static SpqrLabels) -> [Spqr; 2] {
    [Role::A2B, Role::B2A].map(|role| Spqr::new(role, &key(5), labels, LIMITS))
}

/// Sends from one to the other and compares the keys.
fn pass(sides: &mut [Spqr; 2], from: usize, rng: &mut Draws) -> Message {
    let sent = sides[from].send(rng).unwrap();
    let received = sides[1 - from].receive(&sent.message).unwrap();
    assert!(received.ct_eq(&sent.key));
    Message::decode(&sent.message, true).unwrap()
}

/// To and fro until one side is in a state of an epoch.
fn until(sides: &mut [Spqr; 2], side: usize, state: (u8, u64), rng: &mut Draws) {
    for _ in 0..400 {
        for from in [0, 1] {
            if sides[side].state() == state {
                return;
            }
            pass(sides, from, rng);
        }
    }
    panic!("no such state within 400 messages");
}

/// Every arrow of the drawing in braid.rs: state, event, next state.
const TRANSITIONS: [(u8, &str, u8); 13] = [
    (1, "send", 2),
    (2, "receive", 3),
    (3, "receive", 4),
    (4, "receive", 5),
    (5, "receive", 6),
    (6, "receive", 7),
    (7, "send", 8),
    (8, "receive", 9),
    (8, "receive", 10),
    (8, "receive", 11),
    (9, "receive", 11),
    (10, "receive", 11),
    (11, "receive", 1),
];

/// Runs with losses of every kind take each transition, no other, and both sides agree on every key.
#[test]
fn all_transitions_are_taken_and_no_other() {
    let mut taken = BTreeMap::new();
    for labels in [&SIGNAL, &LETTERLOCK] {
        for lost in [0_u64, 10, 30, 55, 80] {
            let mut rng = Draws::seeded(lost);
            let mut sides = sides(labels);
            for step in 0..3000_u64 {
                let from = usize::try_from(rng_below(&mut rng, 2)).unwrap();
                let before = sides.each_ref().map(Spqr::state);
                let sent = sides[from].send(&mut rng).unwrap();
                note(&mut taken, before[from], "send", sides[from].state());
                // Bob's losses come in long runs, so that he learns late what Alice has.
                let lossy = if from == 0 {
                    (step / 40) % 3 == 1
                } else {
                    true
                };
                if lossy && rng_below(&mut rng, 100) < lost {
                    continue;
                }
                let received = sides[1 - from].receive(&sent.message).unwrap();
                assert!(received.ct_eq(&sent.key));
                note(
                    &mut taken,
                    before[1 - from],
                    "receive",
                    sides[1 - from].state(),
                );
            }
            assert!(sides[0].state().1 > 3, "{lost} % lost");
        }
    }
    let expected: BTreeSet<_> = TRANSITIONS.into_iter().collect();
    let found: BTreeSet<_> = taken.into_keys().collect();
    assert_eq!(found, expected);
}

fn rng_below(rng: &mut Draws, bound: u64) -> u64 {
    use rand_core::Rng as _;
    rng.next_u64() % bound
}

fn note(
    taken: &mut BTreeMap<(u8, &'static str, u8), u32>,
    before: (u8, u64),
    event: &'static str,
    after: (u8, u64),
) {
    if before != after {
        *taken.entry((before.0, event, after.0)).or_default() += 1;
        let next_epoch = matches!((before.0, after.0), (5, 6) | (11, 1));
        assert_eq!(after.1, before.1 + u64::from(next_epoch));
    }
}

/// One side in each state, reached without loss where that is possible.
fn in_every_state() -> Vec<Spqr> {
    let mut rng = Draws::seeded(1);
    let mut found = BTreeMap::new();
    for lost in [0, 40] {
        let mut sides = sides(&LETTERLOCK);
        for step in 0..1500 {
            let from = step % 2;
            let sent = sides[from].send(&mut rng).unwrap();
            if rng_below(&mut rng, 100) >= lost {
                sides[1 - from].receive(&sent.message).unwrap();
            }
            for side in &sides {
                let stored = side.stored();
                found.entry(side.state().0).or_insert(stored);
            }
        }
    }
    assert_eq!(found.len(), 11);
    let load = |stored: &Vec<u8>| Spqr::loaded(stored, &LETTERLOCK).unwrap();
    found.values().map(load).collect()
}

fn payloads(chunk: Chunk) -> [Payload; 7] {
    [
        Payload::None,
        Payload::Hdr(chunk),
        Payload::Ek(chunk),
        Payload::EkCt1Ack(chunk),
        Payload::Ct1Ack,
        Payload::Ct1(chunk),
        Payload::Ct2(chunk),
    ]
}

/// Every state has an answer to every type of message of an older, the same and a newer epoch.
#[test]
fn machine_is_total() {
    for spqr in in_every_state() {
        let (state, epoch) = spqr.state();
        for epoch_named in [epoch - 1, epoch, epoch + 1, epoch + 2, u64::MAX] {
            let payloads = [0, 40, u16::MAX].map(|index| {
                payloads(Chunk {
                    index,
                    data: [7; CHUNK_LEN],
                })
            });
            for payload in payloads.into_iter().flatten() {
                let staged = spqr.braid.stage_receive(epoch_named, &payload, &LETTERLOCK);
                if epoch_named < epoch {
                    assert!(staged.is_ok(), "older epochs are no concern of the machine");
                } else if epoch_named > epoch {
                    let next = state == 11 && epoch_named == epoch + 1;
                    assert_eq!(staged.is_ok(), next, "state {state}");
                } else if let Err(error) = staged {
                    assert!(matches!(error, SpqrError::BadMac | SpqrError::BadKey));
                }
            }
        }
    }
}

#[test]
fn every_state_survives_storage_and_no_truncation_does() {
    for spqr in in_every_state() {
        let stored = spqr.stored();
        assert!(Spqr::loaded(&stored, &LETTERLOCK).unwrap().stored() == stored);
        for length in 0..stored.len() {
            let cut = Spqr::loaded(&stored[..length], &LETTERLOCK);
            assert!(cut.is_none(), "state {:?}, {length} bytes", spqr.state());
        }
    }
}

fn flip(message: &[u8]) -> Vec<u8> {
    let mut changed = message.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    changed
}

#[test]
fn changed_header_fails_its_mac() {
    for place in 0..3 {
        let mut rng = Draws::seeded(2);
        let [mut alice, mut bob] = sides(&LETTERLOCK);
        let sent: Vec<_> = (0..3)
            .map(|_| alice.send(&mut rng).unwrap().message)
            .collect();
        for (index, message) in sent.iter().enumerate().take(2) {
            let message = if index == place {
                flip(message)
            } else {
                message.clone()
            };
            assert!(bob.receive(&message).is_ok());
        }
        let last = if place == 2 {
            flip(&sent[2])
        } else {
            sent[2].clone()
        };
        assert_eq!(
            bob.receive(&last).err(),
            Some(SpqrError::BadMac),
            "chunk {place}"
        );
        assert_eq!(bob.state(), (6, 1));
    }
}

#[test]
fn changed_ciphertext_fails_its_mac() {
    for place in 0..5 {
        let mut rng = Draws::seeded(3);
        let mut sides = sides(&LETTERLOCK);
        until(&mut sides, 1, (11, 1), &mut rng);
        let [mut alice, mut bob] = sides;
        assert_eq!(alice.state(), (4, 1));
        let sent: Vec<_> = (0..5)
            .map(|_| bob.send(&mut rng).unwrap().message)
            .collect();
        for (index, message) in sent.iter().enumerate() {
            let message = if index == place {
                flip(message)
            } else {
                message.clone()
            };
            let received = alice.receive(&message);
            if index < 4 {
                assert!(received.is_ok());
            } else {
                assert_eq!(received.err(), Some(SpqrError::BadMac), "chunk {place}");
            }
        }
        assert_eq!(alice.state(), (5, 1));
    }
}

/// The other part of the ciphertext, too.
#[test]
fn changed_first_ciphertext_fails_the_same_mac() {
    let mut rng = Draws::seeded(4);
    let mut sides = sides(&LETTERLOCK);
    until(&mut sides, 0, (3, 1), &mut rng);
    let mut changed = false;
    for _ in 0..200 {
        pass(&mut sides, 0, &mut rng);
        let sent = sides[1].send(&mut rng).unwrap().message;
        let is_ct1 = matches!(
            Message::decode(&sent, true).unwrap().payload,
            Payload::Ct1(_)
        );
        let message = if is_ct1 && !changed {
            flip(&sent)
        } else {
            sent
        };
        changed |= is_ct1;
        if let Err(error) = sides[0].receive(&message) {
            assert_eq!((error, sides[0].state()), (SpqrError::BadMac, (5, 1)));
            return;
        }
    }
    panic!("a changed ciphertext was accepted");
}

#[test]
fn key_that_does_not_fit_its_header_is_refused() {
    let mut rng = Draws::seeded(5);
    let mut sides = sides(&LETTERLOCK);
    until(&mut sides, 0, (3, 1), &mut rng);
    let mut changed = false;
    for _ in 0..200 {
        let sent = sides[0].send(&mut rng).unwrap().message;
        let message = if changed { sent } else { flip(&sent) };
        changed = true;
        if let Err(error) = sides[1].receive(&message) {
            assert_eq!(error, SpqrError::BadKey);
            return;
        }
        pass(&mut sides, 1, &mut rng);
    }
    panic!("a changed key was accepted");
}

fn holds(stored: &[u8], secret: &[u8]) -> bool {
    stored.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn decapsulation_key_is_gone_after_its_use() {
    let mut rng = Draws::seeded(6);
    let mut sides = sides(&LETTERLOCK);
    until(&mut sides, 0, (5, 1), &mut rng);
    let State::EkSentCt1Received { dk, .. } = &sides[0].braid.state else {
        panic!("another state");
    };
    let dk = dk.expose_secret()[..DK_LEN].to_vec();
    assert!(holds(&sides[0].stored(), &dk));
    until(&mut sides, 0, (6, 2), &mut rng);
    assert!(!holds(&sides[0].stored(), &dk[..32]));
}

#[test]
fn randomness_of_the_ciphertext_is_gone_after_its_use() {
    let mut rng = Draws::seeded(7);
    let mut sides = sides(&LETTERLOCK);
    until(&mut sides, 1, (8, 1), &mut rng);
    let State::Ct1Sampled { encaps, .. } = &sides[1].braid.state else {
        panic!("another state");
    };
    let m = *encaps.m.expose_secret();
    assert!(holds(&sides[1].stored(), &m));
    until(&mut sides, 1, (11, 1), &mut rng);
    assert!(!holds(&sides[1].stored(), &m));
}

#[test]
fn keys_of_old_epochs_are_dropped() {
    let mut rng = Draws::seeded(8);
    let mut sides = sides(&LETTERLOCK);
    // Bob never reads this message of epoch 0 until it is too late.
    let late = sides[0].send(&mut rng).unwrap().message;
    pass(&mut sides, 0, &mut rng);
    let mut copy = Spqr::loaded(&sides[1].stored(), &LETTERLOCK).unwrap();
    assert!(copy.receive(&late).is_ok(), "the control");
    until(&mut sides, 1, (2, 2), &mut rng);
    let mut copy = Spqr::loaded(&sides[1].stored(), &LETTERLOCK).unwrap();
    assert!(copy.receive(&late).is_ok(), "one older epoch is kept");
    until(&mut sides, 1, (7, 3), &mut rng);
    pass(&mut sides, 1, &mut rng);
    assert_eq!(
        sides[1].receive(&late).err(),
        Some(SpqrError::Epoch { got: 0 })
    );
}

fn chain(role: Role) -> Chain {
    Chain::new(role, &key(5), &LETTERLOCK, LIMITS)
}

/// The keys 1 to `count` of a sender's epoch 0.
fn sent_keys(count: u32) -> Vec<Secret<32>> {
    let mut sender = chain(Role::A2B);
    (0..count)
        .map(|_| sender.send_key(0, &LETTERLOCK).unwrap().1)
        .collect()
}

fn receive(chain: &mut Chain, index: u32) -> Result<Secret<32>, SpqrError> {
    let (delta, key) = chain.stage_receive(0, index, &LETTERLOCK)?;
    chain.commit(delta);
    Ok(key)
}

#[test]
fn jumps_beyond_the_limit_are_refused() {
    let keys = sent_keys(FORWARD_JUMP);
    let mut receiver = chain(Role::B2A);
    let refused = receiver
        .stage_receive(0, FORWARD_JUMP + 1, &LETTERLOCK)
        .err();
    let expected = SpqrError::Jump {
        got: FORWARD_JUMP + 1,
        max: FORWARD_JUMP,
    };
    assert_eq!(refused, Some(expected));
    let last = receive(&mut receiver, FORWARD_JUMP).unwrap();
    assert!(last.ct_eq(keys.last().unwrap()));
}

#[test]
fn late_keys_are_kept_within_the_window_and_used_once() {
    let keys = sent_keys(2 * SPQR_WINDOW);
    let mut receiver = chain(Role::B2A);
    let newest = SPQR_WINDOW + 2;
    receive(&mut receiver, newest).unwrap();
    assert_eq!(receive(&mut receiver, newest).err(), Some(SpqrError::Used));
    assert_eq!(receive(&mut receiver, 1).err(), Some(SpqrError::Trimmed));
    let oldest = receive(&mut receiver, 2).unwrap();
    assert!(oldest.ct_eq(&keys[1]));
    assert_eq!(receive(&mut receiver, 2).err(), Some(SpqrError::Used));
    // One step forward pushes the next one out.
    receive(&mut receiver, newest + 1).unwrap();
    receive(&mut receiver, newest + 2).unwrap();
    assert_eq!(receive(&mut receiver, 3).err(), Some(SpqrError::Trimmed));
    assert!(receive(&mut receiver, 4).is_ok());
    assert_eq!(receive(&mut receiver, 0).err(), Some(SpqrError::Trimmed));
}

/// A chain stored with its sending counter at some value.
fn chain_with_counter(counter: u32) -> Chain {
    let mut stored = stored(&chain(Role::A2B));
    stored[BEFORE_LINKS..BEFORE_LINKS + 4].copy_from_slice(&counter.to_be_bytes());
    Chain::read(&mut Reader::new(&stored)).unwrap()
}

#[test]
fn sending_counter_never_wraps() {
    let mut sender = chain_with_counter(u32::MAX - 1);
    assert_eq!(sender.send_key(0, &LETTERLOCK).unwrap().0, u32::MAX);
    assert_eq!(
        sender.send_key(0, &LETTERLOCK).err(),
        Some(SpqrError::CounterEnd)
    );
    assert_eq!(sender.can_send(0).err(), Some(SpqrError::CounterEnd));
}

/// Bytes of a stored chain before its first link: role 1, limits 8, epochs 16, root 32, number of links 4.
const BEFORE_LINKS: usize = 61;

fn stored(chain: &Chain) -> Vec<u8> {
    let mut out = Writer::new();
    chain.write(&mut out);
    out.finish()
}

#[test]
fn sending_key_of_the_epoch_before_is_erased() {
    let mut sender = chain(Role::A2B);
    sender.send_key(0, &LETTERLOCK).unwrap();
    let old = stored(&sender)[BEFORE_LINKS + 5..BEFORE_LINKS + 37].to_vec();
    let new = sender.new_epoch(1, &key(1), &LETTERLOCK).unwrap();
    sender.add_epoch(new);
    assert!(
        holds(&stored(&sender), &old),
        "the epoch may still be sent in"
    );
    sender.send_key(1, &LETTERLOCK).unwrap();
    assert!(!holds(&stored(&sender), &old));
    assert!(sender.send_key(0, &LETTERLOCK).is_err());
}

#[test]
fn epochs_follow_one_another() {
    let chain = chain(Role::A2B);
    for epoch in [0, 2, u64::MAX] {
        let refused = chain.new_epoch(epoch, &key(1), &LETTERLOCK).err();
        assert_eq!(refused, Some(SpqrError::Epoch { got: epoch }));
        if epoch > 0 {
            assert!(chain.stage_receive(epoch, 1, &LETTERLOCK).is_err());
        }
    }
    assert!(chain.new_epoch(1, &key(1), &LETTERLOCK).is_ok());
}

/// The first bytes of Alice's first message, in forms that yield a key and forms that must not.
#[test]
fn messages_without_spqr_key_are_refused() {
    let genuine = Message {
        epoch: 1,
        index: 1,
        payload: Payload::None,
    };
    assert_eq!(genuine.encode(), [1, 1, 1, 0]);
    for strict in [false, true] {
        let refused = |bytes: &[u8]| Message::decode(bytes, strict).err();
        assert_eq!(refused(&[1, 1, 1, 0]), None);
        assert_eq!(refused(&[]), Some(SpqrError::Version { got: 0 }));
        for version in [0, 2, 3, 255] {
            let expected = Some(SpqrError::Version { got: version });
            assert_eq!(refused(&[version, 1, 1, 0]), expected);
        }
        assert_eq!(refused(&[1, 1, 0, 0]), Some(SpqrError::NoKey));
        assert_eq!(refused(&[1, 0, 1, 0]), Some(SpqrError::Malformed));
    }
}

#[test]
fn messages_are_parsed_to_their_end() {
    let chunk = Chunk {
        index: u16::MAX,
        data: [9; CHUNK_LEN],
    };
    for payload in payloads(chunk) {
        let message = Message {
            epoch: u64::MAX,
            index: u32::MAX,
            payload,
        };
        let bytes = message.encode();
        assert!(bytes.len() <= 52);
        assert_eq!(Message::decode(&bytes, true).as_ref(), Ok(&message));
        for length in 0..bytes.len() {
            assert!(
                Message::decode(&bytes[..length], false).is_err(),
                "{length} bytes"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Message::decode(&longer, true), Err(SpqrError::Malformed));
        assert_eq!(Message::decode(&longer, false).as_ref(), Ok(&message));
    }
    let malformed: [&[u8]; 4] = [
        &[1, 1, 1, 7],
        // An index of 2^32, a varint of eleven bytes, a chunk index of 2^16.
        &[1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0],
        &[
            1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 0,
        ],
        &[&[1, 1, 1, 1, 0x80, 0x80, 4][..], &[0; 32]].concat(),
    ];
    for bytes in malformed {
        assert_eq!(Message::decode(bytes, false), Err(SpqrError::Malformed));
    }
    let ten_bytes = [
        1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 0,
    ];
    assert_eq!(
        Message::decode(&ten_bytes, false).map(|message| message.epoch),
        Ok(1)
    );
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(48))]

    /// Header, first and second ciphertext part, key: 3, 30, 5 and 36 chunks.
    #[test]
    fn any_few_chunks_give_the_message_and_one_less_does_not(
        need in prop::sample::select(vec![3_usize, 30, 5, 36]),
        seed in any::<u64>(),
        indices in prop::collection::btree_set(any::<u16>(), 36),
        low in any::<bool>(),
    ) {
        use rand_core::Rng as _;
        let mut message = vec![0; need * CHUNK_LEN];
        Draws::seeded(seed).fill_bytes(&mut message);
        let encoder = Encoder::new(message.clone()).unwrap();
        let mut decoder = Decoder::new(message.len());
        // Some of the message itself, or parity alone.
        let spread = |index: u16| if low { index % 100 } else { index };
        let indices: BTreeSet<u16> = indices.into_iter().map(spread).collect();
        prop_assume!(indices.len() >= need);
        for (count, index) in indices.iter().take(need).enumerate() {
            prop_assert_eq!(decoder.message(), None);
            let chunk = encoder.chunk(*index);
            prop_assert_eq!(decoder.completes_with(&chunk), count + 1 == need);
            decoder.add(&chunk);
            // A repeated chunk is no progress.
            decoder.add(&chunk);
        }
        prop_assert_eq!(decoder.message(), Some(message));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let [alice, bob] = sides(&SIGNAL);
        for side in [&alice, &bob] {
            let _ = side.stage_receive(&bytes);
            let _ = side.stage_receive(&[&[1, 1, 1][..], &bytes].concat());
        }
    }
}

#[test]
fn chunk_index_wraps_after_65535() {
    let encoder = Encoder::new((0..96).collect()).unwrap();
    let mut walking = encoder.clone();
    assert_eq!(walking.current(), encoder.chunk(0));
    for _ in 0..u16::MAX {
        walking.advance();
    }
    assert_eq!(walking.current().index, u16::MAX);
    walking.advance();
    assert_eq!(walking.current(), encoder.chunk(0));
    // The first chunks are the message.
    let first: Vec<u8> = (0..3).flat_map(|index| encoder.chunk(index).data).collect();
    assert_eq!(first, (0..96).collect::<Vec<u8>>());
}

#[test]
fn odd_empty_and_endless_messages_have_no_chunks() {
    for length in [0, 1, 33, (1 << 20) + 2] {
        let refused = Encoder::new(vec![0; length]).err();
        assert_eq!(refused, Some(SpqrError::Internal), "{length} bytes");
    }
}
