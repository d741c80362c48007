//! A thief copies a record: what is lost, and how the session heals.

use keys::Timestamp;
use letterlock_ratchet::{IncomingMessage, MessageKind, Outgoing, Record};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Person, START};

/// A copy of all that a person's record held.
struct Thief {
    record: Record,
    rng: ChaCha20Rng,
}

impl Thief {
    fn robs(person: &Person) -> Self {
        Self {
            record: Record::decode(&person.stored()).unwrap(),
            rng: ChaCha20Rng::from_seed([0xee; 32]),
        }
    }

    /// Tries a message that passes by, and keeps the state that it leads to.
    fn opens(&mut self, message: &Outgoing) -> bool {
        assert_eq!(message.kind, MessageKind::Message);
        let incoming = IncomingMessage::decode(self.record.profile(), &message.bytes).unwrap();
        self.record.decrypt(&incoming, START, &mut self.rng).is_ok()
    }

    fn forges(&mut self, now: Timestamp) -> Outgoing {
        self.record.encrypt(b"forged", now, &mut self.rng).unwrap()
    }
}

#[test]
fn thief_reads_until_the_victim_ratchets_and_never_after() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 1);
        pair.converse(30);
        let mut thief = Thief::robs(&pair.bob);

        // The control: a copy is a copy.
        let first = pair.write(Alice, b"stolen");
        assert!(thief.opens(&first), "{profile:?}");
        assert!(pair.read(Bob, &first).is_ok());

        // Bob has drawn a new ratchet key meanwhile; as soon as Alice uses it, the thief is out.
        pair.pass(Bob, b"a round trip heals");
        for _ in 0..60 {
            let message = pair.write(Alice, b"private again");
            assert!(!thief.opens(&message), "{profile:?}");
            assert!(pair.read(Bob, &message).is_ok());
            pair.pass(Bob, b"yes");
        }
    }
}

#[test]
fn thief_can_forge_before_healing_and_not_after() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 2);
        pair.converse(5);
        let mut thief = Thief::robs(&pair.bob);
        let mut late = Thief::robs(&pair.bob);
        let forged = thief.forges(pair.now);
        assert!(pair.read(Alice, &forged).is_ok(), "the control");

        let mut pair = Pair::met(profile, 2);
        pair.converse(5);
        pair.converse(6);
        assert!(
            pair.read(Alice, &late.forges(START)).is_err(),
            "{profile:?}"
        );
        pair.converse(1);
    }
}

#[test]
fn copy_of_the_past_opens_nothing_of_before() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 3);
        let old: Vec<_> = (0..4_u8)
            .map(|n| {
                let message = pair.write(Alice, &[n]);
                assert_eq!(pair.read(Bob, &message), Ok(vec![n]));
                message
            })
            .collect();
        let mut thief = Thief::robs(&pair.bob);
        for message in &old {
            assert!(!thief.opens(message), "forward secrecy, {profile:?}");
        }
    }
}

/// Key compromise of an archived session ends with the archive.
#[test]
fn replaced_session_gives_the_thief_nothing_of_the_new_one() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 4);
        let mut thief = Thief::robs(&pair.bob);
        pair.start(Alice, crate::support::Stock::OneTime);
        pair.pass(Alice, b"anew");
        pair.pass(Bob, b"good");
        let message = pair.write(Alice, b"private");
        assert!(!thief.opens(&message), "{profile:?}");
        assert!(pair.read(Bob, &message).is_ok());
    }
}
