//! Every bound at its edge: the last that works and the first that does not.

use letterlock_ratchet::limits::{
    ADDRESS, ARCHIVED, ARCHIVED_SECONDS, ARCHIVED_SIGNAL, FORWARD_JUMP, PLAINTEXT,
    RECEIVING_CHAINS, SPQR_WINDOW, UNANSWERED_SECONDS,
};
use letterlock_ratchet::{Address, EncryptError, Outgoing, Profile, Record};

use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Refusal, START, Stock, Who};

const fn usize_of(value: u32) -> usize {
    value as usize
}

fn write_many(pair: &mut Pair, from: Who, count: u32) -> Vec<Outgoing> {
    // One record is stored for all: a million checks of the support module would only take time.
    let now = pair.now;
    let person = pair.get(from);
    (0..count)
        .map(|_| {
            person
                .record
                .encrypt(b"lost", now, &mut person.rng)
                .unwrap()
        })
        .collect()
}

#[test]
fn lost_messages_are_survived_up_to_the_limit() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 1);
        write_many(&mut pair, Alice, FORWARD_JUMP - 1);
        pair.pass(Alice, b"after 24,999 losses");

        let mut pair = Pair::met(profile, 1);
        write_many(&mut pair, Alice, FORWARD_JUMP);
        let beyond = pair.write(Alice, b"after 25,000 losses");
        assert_eq!(
            pair.read(Bob, &beyond),
            Err(Refusal::Refused),
            "{profile:?}"
        );
        // The direction is dead until a new session; the other one lives.
        pair.pass(Bob, b"I hear nothing");
        let again = pair.write(Alice, b"still too far");
        assert_eq!(pair.read(Bob, &again), Err(Refusal::Refused));
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
    }
}

#[test]
fn messages_late_by_the_window_are_read_and_later_ones_not() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 2);
        let sent = write_many(&mut pair, Alice, SPQR_WINDOW + 2);
        let last = usize_of(SPQR_WINDOW) + 1;
        assert!(pair.read(Bob, &sent[last]).is_ok());
        assert!(
            pair.read(Bob, &sent[last - usize_of(SPQR_WINDOW)]).is_ok(),
            "{profile:?}"
        );
        assert!(pair.read(Bob, &sent[0]).is_err(), "late by 2,001");
        // What is kept is kept once, and the rest is unharmed.
        assert_eq!(
            pair.read(Bob, &sent[last - 1000]).as_deref(),
            Ok(&b"lost"[..])
        );
        assert_eq!(pair.read(Bob, &sent[last - 1000]), Err(Refusal::Duplicate));
        pair.converse(2);
    }
}

#[test]
fn five_receiving_chains_are_kept_and_no_sixth() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 3);
        // One letter of each of Alice's ratchet keys comes late.
        let mut late = Vec::new();
        for _ in 0..=RECEIVING_CHAINS {
            late.push(pair.write(Alice, b"late"));
            pair.pass(Alice, b"in time");
            pair.pass(Bob, b"answer");
        }
        assert_eq!(
            pair.read(Bob, &late[0]),
            Err(Refusal::Refused),
            "{profile:?}"
        );
        for message in &late[1..] {
            assert_eq!(pair.read(Bob, message).as_deref(), Ok(&b"late"[..]));
        }
    }
}

fn archive_limit(profile: Profile) -> usize {
    match profile {
        Profile::Signal => ARCHIVED_SIGNAL,
        Profile::Letterlock => ARCHIVED,
    }
}

#[test]
fn archive_keeps_the_newest_sessions_up_to_its_limit() {
    for profile in PROFILES {
        let limit = archive_limit(profile);
        let mut pair = Pair::met(profile, 4);
        // A letter under each session that Alice replaces; Bob hears of every session.
        let mut late = Vec::new();
        for _ in 0..=limit {
            late.push(pair.write(Alice, b"late"));
            pair.start(Alice, Stock::OneTime);
            pair.pass(Alice, b"anew");
            pair.pass(Bob, b"answer");
        }
        assert_eq!(pair.bob.record.archived(), limit);
        assert_eq!(
            pair.read(Bob, &late[0]),
            Err(Refusal::Refused),
            "evicted, {profile:?}"
        );
        assert_eq!(
            pair.read(Bob, &late[1]).as_deref(),
            Ok(&b"late"[..]),
            "the oldest kept"
        );
        assert_eq!(pair.bob.record.archived(), limit);
    }
}

#[test]
fn archived_session_expires_after_30_days() {
    for (seconds, readable) in [(ARCHIVED_SECONDS, true), (ARCHIVED_SECONDS + 1, false)] {
        let mut pair = Pair::met(Profile::Letterlock, 5);
        let late = pair.write(Alice, b"late");
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
        pair.now = START.saturating_add(seconds);
        assert_eq!(pair.read(Bob, &late).is_ok(), readable, "{seconds}");
    }
    // `signal` keeps them for ever.
    let mut pair = Pair::met(Profile::Signal, 5);
    let late = pair.write(Alice, b"late");
    pair.start(Alice, Stock::OneTime);
    pair.pass(Alice, b"anew");
    pair.now = START.saturating_add(10 * ARCHIVED_SECONDS);
    assert!(pair.read(Bob, &late).is_ok());
}

#[test]
fn expired_sessions_leave_the_record() {
    let mut pair = Pair::met(Profile::Letterlock, 6);
    for _ in 0..3 {
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
    }
    assert_eq!(pair.bob.record.archived(), 3);
    pair.now = START.saturating_add(ARCHIVED_SECONDS + 1);
    pair.start(Alice, Stock::OneTime);
    pair.pass(Alice, b"anew");
    assert_eq!(pair.bob.record.archived(), 1, "only the one just replaced");
}

#[test]
fn unanswered_session_stops_sending_after_30_days() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 7, Stock::OneTime);
        let end = START.saturating_add(UNANSWERED_SECONDS);
        assert!(pair.alice.record.can_send(end));
        assert!(pair.alice.write(b"in time", end).is_ok());
        let late = end.saturating_add(1);
        assert!(!pair.alice.record.can_send(late));
        assert_eq!(
            pair.alice.write(b"late", late),
            Err(EncryptError::Unanswered)
        );
        // An answered one goes on.
        let mut pair = Pair::met(profile, 7);
        assert!(pair.alice.write(b"any time", late).is_ok());
    }
}

#[test]
fn longest_plaintext_fits_and_one_byte_more_does_not() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 8, Stock::OneTime);
        let text = vec![7; PLAINTEXT + 1];
        let too_long = EncryptError::TooLong {
            got: PLAINTEXT + 1,
            max: PLAINTEXT,
        };
        assert_eq!(pair.alice.write(&text, START), Err(too_long));
        pair.pass(Alice, &text[1..]);
        pair.pass(Bob, b"");
        pair.pass(Alice, &text[1..]);
    }
}

#[test]
fn record_without_session_sends_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 9);
        assert!(!pair.alice.record.can_send(START));
        assert_eq!(
            pair.alice.write(b"hello", START),
            Err(EncryptError::NoSession)
        );
    }
}

#[test]
fn stored_address_beyond_its_limit_is_refused() {
    let record = |length| {
        let name = "x".repeat(length);
        Record::signal(Address::new(&name, 1), Address::new("bob", 1)).encode()
    };
    assert!(Record::decode(record(ADDRESS).expose_secret()).is_ok());
    assert!(Record::decode(record(ADDRESS + 1).expose_secret()).is_err());
}
