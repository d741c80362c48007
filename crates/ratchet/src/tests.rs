//! What only shows from inside: each half of the Triple Ratchet stolen alone, and counters at their end.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::mem::swap;

use crate::chain::SendingChain;
use crate::message_key::{MessageKey, Parties};
use crate::record::{EncryptError, Record};
use crate::session::Session;
use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Person, Refusal, Stock};
use crate::wire::{MAC_LEN, RatchetMessage};
use crate::{IncomingMessage, MessageKind, Outgoing};
use keys::Secret;

fn session(person: &mut Person) -> &mut Session {
    person.record.current.as_mut().unwrap()
}

/// Bob as a thief sees him who has a part of his state only: `exchange` puts in the part that was stolen.
fn thief_opens(
    pair: &mut Pair,
    message: &Outgoing,
    exchange: &mut impl FnMut(&mut Session),
) -> bool {
    let mut live = Record::decode(&pair.bob.stored()).unwrap();
    exchange(live.current.as_mut().unwrap());
    let incoming = IncomingMessage::decode(live.profile(), &message.bytes).unwrap();
    let opened = live
        .decrypt(&incoming, pair.now, &mut pair.alice.rng)
        .is_ok();
    exchange(live.current.as_mut().unwrap());
    opened
}

/// How many messages a thief opens at the beginning, and whether any after the first that stays closed.
fn opened_by_thief(
    pair: &mut Pair,
    messages: usize,
    mut exchange: impl FnMut(&mut Session),
) -> (usize, bool) {
    let mut opened = Vec::new();
    for _ in 0..messages {
        let message = pair.write(Alice, b"private");
        opened.push(thief_opens(pair, &message, &mut exchange));
        assert!(pair.read(Bob, &message).is_ok());
        pair.pass(Bob, b"answer");
    }
    let first = opened.iter().take_while(|open| **open).count();
    (first, opened.iter().skip(first).any(|open| *open))
}

/// Who breaks X25519 has the Double Ratchet at all times: then SPQR alone heals, by a new epoch.
#[test]
fn stolen_spqr_state_heals_by_a_new_epoch() {
    for profile in PROFILES {
        // Epoch 2: Bob holds the decapsulation key of the epoch in progress, the worst time for a theft.
        let mut pair = Pair::met(profile, 1);
        while session(&mut pair.bob).spqr.state() != (4, 2) {
            pair.converse(1);
        }
        let mut stolen = Record::decode(&pair.bob.stored()).unwrap();
        let stolen = &mut stolen.current.as_mut().unwrap().spqr;
        let (opened, again) =
            opened_by_thief(&mut pair, 220, |session| swap(&mut session.spqr, stolen));
        assert!(opened >= 40, "the rest of the epoch is lost: {opened}");
        assert!(opened <= 90, "the next one is not: {opened}");
        assert!(!again, "{profile:?}");
    }
}

/// Who has SPQR at all times, but the Double Ratchet once, loses it at the first round trip.
#[test]
fn stolen_double_ratchet_heals_by_a_round_trip() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 2);
        pair.converse(5);
        let mut stolen = Record::decode(&pair.bob.stored()).unwrap();
        let stolen = &mut stolen.current.as_mut().unwrap().ratchet;
        let (opened, again) = opened_by_thief(&mut pair, 40, |session| {
            swap(&mut session.ratchet, stolen);
        });
        assert_eq!(opened, 1, "{profile:?}");
        assert!(!again, "{profile:?}");
    }
}

/// Whoever has all of Alice's state but SPQR's forges nothing.
#[test]
fn double_ratchet_alone_forges_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 3);
        let mut forger = Record::decode(&pair.alice.stored()).unwrap();
        let mut foreign = Pair::met(profile, 4);
        let spqr = &mut session(&mut foreign.alice).spqr;
        swap(&mut forger.current.as_mut().unwrap().spqr, spqr);
        let forged = forger
            .encrypt(b"forged", pair.now, &mut foreign.alice.rng)
            .unwrap();
        assert_eq!(
            pair.read(Bob, &forged),
            Err(Refusal::Refused),
            "{profile:?}"
        );
        // Nor by leaving SPQR out, as if there were no such thing.
        for version in [&[][..], &[0], &[2, 1, 1, 0]] {
            let forged = without_key(&mut pair, version);
            assert_eq!(
                pair.read(Bob, &forged),
                Err(Refusal::Refused),
                "{profile:?}"
            );
        }
        pair.pass(Alice, b"genuine");
    }
}

/// A message of Alice's next place whose key needs no SPQR.
fn without_key(pair: &mut Pair, spqr: &[u8]) -> Outgoing {
    let profile = pair.alice.profile;
    let mut copy = Record::decode(&pair.alice.stored()).unwrap();
    let session = copy.current.as_mut().unwrap();
    let position = session.ratchet.send().unwrap();
    let message = RatchetMessage {
        ratchet_key: position.ratchet_key,
        counter: position.counter,
        previous_counter: position.previous_counter,
        ciphertext: Vec::new(),
        pq_ratchet: spqr.to_vec(),
        addresses: None,
        covered: Vec::new(),
        mac: [0; MAC_LEN],
    };
    let parties = Parties {
        sender: &session.bound.our_identity,
        receiver: &session.bound.their_identity,
        sender_list: &session.bound.our_list,
        receiver_list: &session.bound.their_list,
    };
    let none = Secret::from_fn(|_: &mut [u8; 32]| {});
    Outgoing {
        kind: MessageKind::Message,
        bytes: MessageKey::derive(profile, &position.seed, &none)
            .seal(message, b"forged", &parties),
    }
}

fn chain_at(index: u32) -> SendingChain {
    SendingChain {
        index,
        ..SendingChain::new(Secret::from_fn(|_| {}))
    }
}

#[test]
fn counter_end_refuses_to_send() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 5);
        session(&mut pair.alice).ratchet.sending = chain_at(u32::MAX - 1);
        assert!(pair.alice.record.can_send(pair.now));
        assert!(pair.alice.write(b"the last", pair.now).is_ok());
        assert!(!pair.alice.record.can_send(pair.now));
        let beyond = pair.alice.write(b"one more", pair.now);
        assert_eq!(beyond, Err(EncryptError::CounterEnd), "{profile:?}");
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
    }
}

/// Either pinned list changed at either side breaks every message.
#[test]
fn pinned_lists_are_in_every_message() {
    type List = fn(&mut Session) -> &mut Vec<u8>;
    let lists: [List; 2] = [|s| &mut s.bound.our_list, |s| &mut s.bound.their_list];
    for list in lists {
        let mut pair = Pair::met(crate::Profile::Letterlock, 6);
        list(session(&mut pair.bob))[3] ^= 1;
        let message = pair.write(Alice, b"text");
        assert_eq!(pair.read(Bob, &message), Err(Refusal::Refused));
        let message = pair.write(Bob, b"text");
        assert_eq!(pair.read(Alice, &message), Err(Refusal::Refused));
        list(session(&mut pair.bob))[3] ^= 1;
        pair.converse(1);
    }
}

/// Devices of one account are known by identity key and service id; losses between them have no limit.
#[test]
fn forward_limit_is_lifted_within_one_account_only() {
    let jump = |pair: &mut Pair| session(&mut pair.bob).bound.jump;
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 7);
        let twin = Person::new(profile, 0xa, 0xb, 7);
        pair.bob.identity = twin.identity;
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"hello");
        assert_eq!(jump(&mut pair), crate::limits::FORWARD_JUMP, "other names");
    }
    let name = "9d0652a3-dcc3-4d11-975f-74d61598733f";
    let address = |device| crate::Address::new(name, device);
    let mut pair = Pair::strangers(crate::Profile::Signal, 7);
    pair.alice.record = Record::signal(address(1), address(2));
    pair.bob.record = Record::signal(address(2), address(1));
    pair.start(Alice, Stock::OneTime);
    pair.pass(Alice, b"hello");
    assert_eq!(
        jump(&mut pair),
        crate::limits::FORWARD_JUMP,
        "other identity keys"
    );
    pair.bob.identity = Person::new(crate::Profile::Signal, 0xa, 0xb, 7).identity;
    pair.start(Alice, Stock::OneTime);
    pair.pass(Alice, b"hello");
    assert_eq!(jump(&mut pair), u32::MAX);
}
