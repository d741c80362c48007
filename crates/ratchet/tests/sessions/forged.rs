//! Bytes that nobody wrote: changed, cut, encoded otherwise, reflected, of the other profile, or random.

use letterlock_ratchet::{
    IncomingMessage, IncomingPreKeyMessage, KemPreKey, KemPreKeyPublic, MessageKind, OneTimePreKey,
    OneTimePreKeyPublic, Outgoing, Profile, Record, SignedPreKey, SignedPreKeyPublic,
};
use proptest::prelude::*;

use crate::fields::{Fields, Value, rewrapped, varint};
use crate::schedules::config;
use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Person, Refusal, START, Stock};

fn flipped(message: &Outgoing, place: usize, bit: usize) -> Outgoing {
    let mut changed = message.clone();
    changed.bytes[place] ^= 1 << bit;
    changed
}

fn cut(message: &Outgoing, length: usize) -> Outgoing {
    Outgoing {
        kind: message.kind,
        bytes: message.bytes[..length].to_vec(),
    }
}

fn accepts(profile: Profile, kind: MessageKind, bytes: &[u8]) -> bool {
    match kind {
        MessageKind::Message => IncomingMessage::decode(profile, bytes).is_ok(),
        MessageKind::PreKey => IncomingPreKeyMessage::decode(profile, bytes).is_ok(),
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 1);
        let message = pair.write(Alice, b"a letter");
        for place in 0..message.bytes.len() {
            for bit in 0..8 {
                let read = pair.read(Bob, &flipped(&message, place, bit));
                assert!(read.is_err(), "{profile:?}, byte {place}, bit {bit}");
            }
        }
        assert!(pair.read(Bob, &message).is_ok());
    }
}

#[test]
fn every_changed_byte_of_a_first_message_is_refused() {
    let mut pair = Pair::begun(Profile::Letterlock, 2, Stock::OneTime);
    let first = pair.write(Alice, b"a letter");
    for place in 0..first.bytes.len() {
        let read = pair.read(Bob, &flipped(&first, place, place % 8));
        assert!(read.is_err(), "byte {place}");
    }
    assert!(pair.read(Bob, &first).is_ok());
}

/// What the `signal` profile leaves unauthenticated can be changed, the text cannot.
#[test]
fn changed_first_message_of_the_signal_profile_changes_no_text() {
    for place in 0..Pair::begun(Profile::Signal, 3, Stock::OneTime)
        .write(Alice, b"a letter")
        .bytes
        .len()
    {
        let mut pair = Pair::begun(Profile::Signal, 3, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        if let Ok(text) = pair.read(Bob, &flipped(&first, place, place % 8)) {
            assert_eq!(text, b"a letter", "byte {place}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 4, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        for length in 0..first.bytes.len() {
            assert!(
                pair.read(Bob, &cut(&first, length)).is_err(),
                "{profile:?}, {length} bytes"
            );
        }
        assert!(pair.read(Bob, &first).is_ok());
        let answer = pair.write(Bob, b"an answer");
        for length in 0..answer.bytes.len() {
            assert!(
                pair.read(Alice, &cut(&answer, length)).is_err(),
                "{profile:?}, {length} bytes"
            );
        }
        assert!(pair.read(Alice, &answer).is_ok());
    }
}

#[test]
fn own_messages_come_back_unread() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 5);
        let message = pair.write(Alice, b"a letter");
        assert!(pair.read(Alice, &message).is_err(), "{profile:?}");
    }
}

/// Two devices of one account may have one identity key: reflection must fail all the same.
#[test]
fn own_messages_come_back_unread_with_equal_identities() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 6);
        let twin = Person::new(profile, 0xa, 0xb, 6);
        pair.bob.identity = twin.identity;
        pair.start(Alice, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        assert!(pair.read(Alice, &first).is_err());
        assert!(pair.read(Bob, &first).is_ok());
        pair.pass(Bob, b"an answer");
        let message = pair.write(Alice, b"a letter");
        assert!(pair.read(Alice, &message).is_err(), "{profile:?}");
        assert!(pair.read(Bob, &message).is_ok());
    }
}

#[test]
fn message_of_one_profile_is_none_of_the_other() {
    for (profile, other) in [
        (Profile::Signal, Profile::Letterlock),
        (Profile::Letterlock, Profile::Signal),
    ] {
        let mut pair = Pair::begun(profile, 7, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        assert!(pair.read(Bob, &first).is_ok());
        let answer = pair.write(Bob, b"an answer");
        for message in [&first, &answer] {
            assert!(accepts(profile, message.kind, &message.bytes));
            for kind in [MessageKind::PreKey, MessageKind::Message] {
                assert!(!accepts(other, kind, &message.bytes));
            }
        }
        // Nor is one kind the other.
        assert!(!accepts(profile, MessageKind::PreKey, &answer.bytes));
        assert!(!accepts(profile, MessageKind::Message, &first.bytes));
        // A record takes no message of the other profile, even one that was parsed as such.
        let incoming = IncomingMessage::decode(profile, &answer.bytes).unwrap();
        let mut foreign = Pair::met(other, 7).alice;
        let read = foreign.record.decrypt(&incoming, START, &mut foreign.rng);
        assert!(read.is_err());
    }
}

/// Other ways to write the fields of one message, by name.
fn other_encodings(fields: &Fields) -> Vec<(&'static str, Vec<u8>)> {
    let edited = |edit: &dyn Fn(&mut Fields)| {
        let mut changed = fields.clone();
        edit(&mut changed);
        changed.encode()
    };
    // The last field again in its raw form: tag, then a value that differs in form only.
    let raw = |bytes: &[u8]| {
        let mut changed = fields.clone();
        changed.tail = [bytes, &fields.tail].concat();
        changed.encode()
    };
    let counter = |form: &[u8]| {
        let mut changed = fields.clone();
        let place = changed
            .list
            .iter()
            .position(|(_, value)| matches!(value, Value::Number(_)));
        let (number, _) = changed.list.remove(place.unwrap());
        let behind = Fields {
            first: 0,
            list: changed.list.split_off(place.unwrap()),
            tail: changed.tail,
        };
        changed.tail = Vec::new();
        let tag = varint(u64::from(number) << 3);
        [
            changed.encode(),
            tag,
            form.to_vec(),
            behind.encode()[1..].to_vec(),
        ]
        .concat()
    };
    vec![
        (
            "a field twice",
            edited(&|f| f.list.push(f.list.last().unwrap().clone())),
        ),
        ("fields in another order", edited(&|f| f.list.swap(0, 1))),
        (
            "an unknown number",
            edited(&|f| f.list.push((99, Value::Number(1)))),
        ),
        (
            "unknown bytes",
            edited(&|f| f.list.push((12, Value::Bytes(vec![1])))),
        ),
        (
            "an unknown field of 8 bytes",
            raw(&[&varint(99 << 3 | 1)[..], &[0; 8]].concat()),
        ),
        (
            "an unknown field of 4 bytes",
            raw(&[&varint(99 << 3 | 5)[..], &[0; 4]].concat()),
        ),
        ("a varint of two bytes for zero", counter(&[0x80, 0])),
        (
            "a varint of ten bytes",
            counter(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
        ),
        ("a number above 32 bits", counter(&varint(1 << 32))),
    ]
}

fn never_well_formed(fields: &Fields) -> Vec<(&'static str, Vec<u8>)> {
    let raw = |bytes: &[u8]| {
        let mut changed = fields.clone();
        changed.tail = [bytes, &fields.tail].concat();
        changed.encode()
    };
    let edited = |edit: &dyn Fn(&mut Fields)| {
        let mut changed = fields.clone();
        edit(&mut changed);
        changed.encode()
    };
    let without = |number| edited(&|f| f.list.retain(|(found, _)| *found != number));
    vec![
        ("field 0", raw(&[0, 1])),
        ("field 2^29", raw(&[&varint(1 << 32)[..], &[1]].concat())),
        ("a group", raw(&varint(99 << 3 | 3))),
        ("wire type 7", raw(&varint(99 << 3 | 7))),
        ("an unending varint", raw(&[0xff; 11])),
        (
            "a varint above 64 bits",
            raw(&[&varint(99 << 3)[..], &[0xff; 9], &[2]].concat()),
        ),
        (
            "a length beyond the end",
            raw(&[&varint(99 << 3 | 2)[..], &[100]].concat()),
        ),
        (
            "no key",
            without(
                2 - u32::from(fields.list[0].0 == 1 && matches!(fields.list[0].1, Value::Bytes(_))),
            ),
        ),
        ("no ciphertext", without(4)),
        (
            "another wire type",
            edited(&|f| {
                f.list
                    .iter_mut()
                    .find(|(number, _)| *number == 4)
                    .unwrap()
                    .1 = Value::Number(1);
            }),
        ),
    ]
}

#[test]
fn other_encodings_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 8, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        assert!(pair.read(Bob, &first).is_ok());
        let answer = pair.write(Bob, b"an answer");
        let forms = [
            (MessageKind::PreKey, Fields::of(&first.bytes, 0)),
            (
                MessageKind::Message,
                Fields::of_message(profile, &answer.bytes),
            ),
        ];
        for (kind, fields) in forms {
            assert!(accepts(profile, kind, &fields.encode()));
            for (name, bytes) in never_well_formed(&fields) {
                assert!(
                    !accepts(profile, kind, &bytes),
                    "{profile:?}, {kind:?}: {name}"
                );
            }
            // Deployed peers of the `signal` profile may write all of these.
            let tolerant = profile == Profile::Signal;
            for (name, bytes) in other_encodings(&fields) {
                assert_eq!(
                    accepts(profile, kind, &bytes),
                    tolerant,
                    "{profile:?}, {kind:?}: {name}"
                );
            }
        }
    }
}

#[test]
fn other_encodings_of_a_ratchet_message_are_refused() {
    let mut pair = Pair::met(Profile::Letterlock, 9);
    let message = pair.write(Alice, b"a letter");
    let fields = Fields::of(&message.bytes, 0);
    let refused = |edit: &dyn Fn(&mut Fields)| {
        let mut changed = fields.clone();
        edit(&mut changed);
        assert!(!accepts(
            Profile::Letterlock,
            MessageKind::Message,
            &changed.encode()
        ));
    };
    // A zero that need not stand there must stand there.
    refused(&|f| f.list.retain(|(number, _)| *number != 3));
    // An empty SPQR message is left out; then it fails for want of a key.
    refused(&|f| f.bytes(5).clear());
    // `addresses` is of the `signal` profile.
    refused(&|f| f.list.push((6, Value::Bytes(vec![0; 36]))));
    // u with its top bit, and u of p or above.
    refused(&|f| f.bytes(1)[32] |= 0x80);
    refused(&|f| {
        *f.bytes(1) = [&[5, 0xf6][..], &[0xff; 30], &[0x7f]].concat();
    });
    // Type byte and length of the key.
    refused(&|f| f.bytes(1)[0] = 6);
    refused(&|f| f.bytes(1).push(0));
    refused(&|f| f.bytes(1).truncate(32));
    refused(&|f| f.first = 0xa0);
    refused(&|f| f.tail.push(0));
}

#[test]
fn other_encodings_of_a_pre_key_message_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 13, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        let tolerant = profile == Profile::Signal;
        // A registration id of zero need not stand there, or must.
        let absent = rewrapped(&first, |f| f.list.retain(|(number, _)| *number != 5));
        assert_eq!(
            accepts(profile, MessageKind::PreKey, &absent.bytes),
            tolerant
        );
        // The identity with its top bit is another identity, and malformed where keys are canonical.
        let identity = rewrapped(&first, |f| f.bytes(3)[32] |= 0x80);
        assert_eq!(
            accepts(profile, MessageKind::PreKey, &identity.bytes),
            tolerant
        );
        assert!(pair.read(Bob, &identity).is_err());
        // Fields of the other profile.
        let lists = rewrapped(&first, |f| f.list.retain(|(number, _)| *number < 9));
        assert_eq!(
            accepts(profile, MessageKind::PreKey, &lists.bytes),
            tolerant
        );
    }
}

#[test]
fn message_without_spqr_part_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 10, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        let without = rewrapped(&first, |fields| {
            let mut inner = Fields::of_message(profile, fields.bytes(4));
            inner.list.retain(|(number, _)| *number != 5);
            *fields.bytes(4) = inner.encode();
        });
        assert!(accepts(profile, MessageKind::PreKey, &without.bytes));
        assert_eq!(
            pair.read(Bob, &without),
            Err(Refusal::Refused),
            "{profile:?}"
        );
    }
}

#[test]
fn malformed_keys_in_messages_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 11, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        for number in [2, 3] {
            for edit in [
                |key: &mut Vec<u8>| key[0] = 4,
                |key: &mut Vec<u8>| key.truncate(32),
                |key: &mut Vec<u8>| key.push(0),
                |key: &mut Vec<u8>| key.clear(),
            ] {
                let changed = rewrapped(&first, |fields| edit(fields.bytes(number)));
                assert_eq!(
                    pair.read(Bob, &changed),
                    Err(Refusal::Malformed),
                    "{profile:?}"
                );
            }
        }
        for edit in [
            |ciphertext: &mut Vec<u8>| ciphertext.truncate(1568),
            |ciphertext: &mut Vec<u8>| ciphertext.push(0),
        ] {
            let changed = rewrapped(&first, |fields| edit(fields.bytes(8)));
            assert_eq!(pair.read(Bob, &changed), Err(Refusal::Malformed));
        }
        let other_kem = rewrapped(&first, |fields| fields.bytes(8)[0] ^= 2);
        assert_eq!(pair.read(Bob, &other_kem), Err(Refusal::Refused));
    }
}

#[test]
fn messages_beyond_a_mebibyte_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 12, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        let long = rewrapped(&first, |fields| {
            let mut inner = Fields::of_message(profile, fields.bytes(4));
            inner.bytes(4).resize(1 << 20, 0);
            *fields.bytes(4) = inner.encode();
        });
        assert!(!accepts(profile, MessageKind::PreKey, &long.bytes));
        let inner = Fields::of(&long.bytes, 0).bytes(4).clone();
        assert!(!accepts(profile, MessageKind::Message, &inner));
        let padded = rewrapped(&first, |fields| {
            fields.list.push((99, Value::Bytes(vec![0; 1 << 20])));
        });
        assert!(!accepts(profile, MessageKind::PreKey, &padded.bytes));
    }
}

/// Gives bytes to every decoder there is.
pub(crate) fn decode_all(bytes: &[u8]) {
    for profile in PROFILES {
        let _ = IncomingMessage::decode(profile, bytes);
        if let Ok(message) = IncomingPreKeyMessage::decode(profile, bytes) {
            let _ = message.named().base_key_use.to_bytes();
        }
    }
    let _ = Record::decode(bytes);
    let _ = SignedPreKey::decode(bytes);
    let _ = KemPreKey::decode(bytes);
    let _ = OneTimePreKey::decode(bytes);
    // What is published has one encoding.
    if let Ok(key) = SignedPreKeyPublic::decode(bytes) {
        assert_eq!(key.encode(), bytes);
    }
    if let Ok(key) = KemPreKeyPublic::decode(bytes) {
        assert_eq!(key.encode(), bytes);
    }
    if let Ok(key) = OneTimePreKeyPublic::decode(bytes) {
        assert_eq!(key.encode(), bytes);
    }
}

fn first_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(vec![0x44, 0x0a, 0x21, 5]),
        Just(vec![0xa1, 0x0a, 0x21, 5]),
        Just(vec![0xa1, 0x08]),
        Just(vec![1]),
    ]
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn random_bytes_never_panic(
        head in first_bytes(),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        decode_all(&[head, tail].concat());
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        6 => (place(), any::<u8>()).prop_map(|(place, byte)| Edit::Set(place, byte)),
        1 => place().prop_map(Edit::Remove),
        1 => (place(), any::<u8>()).prop_map(|(place, byte)| Edit::Insert(place, byte)),
        1 => place().prop_map(Edit::Cut),
    ]
}

pub(crate) fn apply(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        if bytes.is_empty() {
            return;
        }
        match edit {
            Edit::Set(place, byte) => {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            Edit::Remove(place) => {
                bytes.remove(place.index(bytes.len()));
            }
            Edit::Insert(place, byte) => bytes.insert(place.index(bytes.len()), *byte),
            Edit::Cut(place) => bytes.truncate(place.index(bytes.len())),
        }
    }
}

proptest! {
    #![proptest_config(config(128))]

    /// The first edits hit the ratchet message, where most of the parsing is.
    #[test]
    fn edited_messages_are_refused(
        letterlock in any::<bool>(),
        seed in 0..4_u64,
        inner_edits in prop::collection::vec(edit(), 0..4),
        outer_edits in prop::collection::vec(edit(), 0..3),
    ) {
        let profile = PROFILES[usize::from(letterlock)];
        let mut pair = Pair::begun(profile, seed, Stock::OneTime);
        let first = pair.write(Alice, b"a letter");
        let mut changed = rewrapped(&first, |fields| apply(fields.bytes(4), &inner_edits));
        apply(&mut changed.bytes, &outer_edits);
        match pair.read(Bob, &changed) {
            Ok(text) => {
                prop_assert_eq!(text, b"a letter".to_vec());
                prop_assert!(profile == Profile::Signal || changed == first);
            }
            Err(_) => {
                pair.pass(Alice, b"another");
            }
        }
    }
}
