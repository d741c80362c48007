//! First messages: what they use up, and which are refused.

use keys::codec::Writer;
use keys::{Secret, Timestamp, X25519Public, X25519Secret, label, xeddsa};
use letterlock_ratchet::{
    DecryptError, IncomingPreKeyMessage, InitiateError, KemPreKey, Local, MessageKind, Outgoing,
    OwnPreKeys, PreKeyBundle, PreKeyError, PreKeyKind, PreKeySignature, PreKeySigner, Profile,
    Record,
};

use crate::fields::{Fields, rewrapped};
use crate::support::Who::{Alice, Bob};
use crate::support::{DAY, EXPIRES, PROFILES, Pair, Person, Refusal, START, Stock};

const STOCKS: [Stock; 2] = [Stock::OneTime, Stock::LastResort];

/// Keys whose agreement with anything is zero: orders 4, 1 and 8, and second encodings.
const LOW_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
];

fn key(hex: &str) -> X25519Public {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    X25519Public(bytes.try_into().unwrap())
}

/// Private key 07…07, its public key, and that key plus the point of order two: both agree to the same secrets.
fn twins() -> (X25519Secret, X25519Public, X25519Public) {
    let secret = X25519Secret::from_secret(&Secret::from_slice(&[7; 32]).unwrap());
    let public = secret.public();
    let twin = key("90c34a831c10700b3525c66a2fae1ec2051e06ba688649d21f1f7e996ca6475b");
    let other = X25519Secret::from_secret(&Secret::from_slice(&[9; 32]).unwrap());
    let agrees = |key| other.agree(key).unwrap();
    assert!(agrees(&public).ct_eq(&agrees(&twin)));
    (secret, public, twin)
}

fn top_bit(mut key: X25519Public) -> X25519Public {
    key.0[31] |= 0x80;
    key
}

/// `05 ‖ u`.
fn serialised(key: &X25519Public) -> Vec<u8> {
    [&[5][..], key.as_bytes()].concat()
}

/// A signature that holds over any key, as a hostile peer can make it.
fn sign(person: &Person, kind: PreKeyKind, id: u32, key: &[u8]) -> PreKeySignature {
    match person.profile {
        Profile::Signal => PreKeySignature::Signal(xeddsa::sign(&person.identity, key, &[3; 64])),
        Profile::Letterlock => {
            let mut signed = Writer::new();
            signed.u8(kind as u8);
            signed.u32(id);
            signed.u64(EXPIRES.as_secs());
            signed.array(key);
            let signature = person.signing.sign(label::PRE_KEY, &signed.finish());
            PreKeySignature::Letterlock {
                expires: EXPIRES,
                signature: signature.unwrap(),
            }
        }
    }
}

fn with_signed_key(bob: &Person, bundle: &PreKeyBundle, key: X25519Public) -> PreKeyBundle {
    let mut bundle = bundle.clone();
    bundle.signed.key = key;
    bundle.signed.signature = sign(
        bob,
        PreKeyKind::SignedEc,
        bundle.signed.id,
        &serialised(&key),
    );
    bundle
}

#[test]
fn signatures_of_these_tests_hold() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 1);
        let bundle = pair.bob.bundle(Stock::OneTime);
        let own = with_signed_key(&pair.bob, &bundle, bundle.signed.key);
        assert_eq!(pair.start_with(Alice, &own), Ok(()), "{profile:?}");
    }
}

#[test]
fn keys_of_low_order_are_refused_in_bundles() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 2);
        let bundle = pair.bob.bundle(Stock::OneTime);
        for low in LOW_ORDER.map(key) {
            let mut unsigned = bundle.clone();
            unsigned.one_time.as_mut().unwrap().key = low;
            assert_eq!(
                pair.start_with(Alice, &unsigned),
                Err(InitiateError::BadKey)
            );
            let signed = with_signed_key(&pair.bob, &bundle, low);
            assert_eq!(pair.start_with(Alice, &signed), Err(InitiateError::BadKey));
            let mut card = pair.bob.card();
            card.identity = low;
            let mut signed = bundle.clone();
            if profile == Profile::Letterlock {
                assert_eq!(
                    pair.alice.start(&card, &signed, START),
                    Err(InitiateError::BadKey)
                );
            } else {
                // Nobody can sign for such an identity.
                signed.registration_id = 0;
                assert!(pair.alice.start(&card, &signed, START).is_err());
            }
        }
    }
}

#[test]
fn non_canonical_bundle_key_is_refused() {
    let (_, public, twin) = twins();
    for bad in [twin, top_bit(public)] {
        let mut pair = Pair::strangers(Profile::Letterlock, 3);
        let bundle = pair.bob.bundle(Stock::OneTime);
        let signed = with_signed_key(&pair.bob, &bundle, bad);
        assert_eq!(pair.start_with(Alice, &signed), Err(InitiateError::BadKey));
        let mut one_time = bundle.clone();
        one_time.one_time.as_mut().unwrap().key = bad;
        assert_eq!(
            pair.start_with(Alice, &one_time),
            Err(InitiateError::BadKey)
        );
        let mut card = pair.bob.card();
        card.identity = bad;
        assert_eq!(
            pair.alice.start(&card, &bundle, START),
            Err(InitiateError::BadKey)
        );
        assert_eq!(pair.start_with(Alice, &bundle), Ok(()));
    }
}

#[test]
fn expired_pre_keys_are_refused() {
    let mut pair = Pair::strangers(Profile::Letterlock, 4);
    let fresh = pair.bob.bundle(Stock::OneTime);
    let old = pair
        .bob
        .bundle_until(Stock::OneTime, START.saturating_add(DAY));
    for (days, expected) in [(1, Ok(())), (2, Err(InitiateError::Expired))] {
        pair.now = START.saturating_add(days * DAY);
        let signed = PreKeyBundle {
            signed: old.signed.clone(),
            ..fresh.clone()
        };
        let kem = PreKeyBundle {
            kem: old.kem.clone(),
            ..fresh.clone()
        };
        assert_eq!(pair.start_with(Alice, &signed), expected);
        assert_eq!(pair.start_with(Alice, &kem), expected);
    }
}

/// Who keeps the bundles cannot make an old key young.
#[test]
fn expiry_is_signed() {
    let mut pair = Pair::strangers(Profile::Letterlock, 5);
    let mut bundle = pair.bob.bundle_until(Stock::OneTime, START);
    pair.now = START.saturating_add(DAY);
    let PreKeySignature::Letterlock { expires, .. } = &mut bundle.signed.signature else {
        panic!("not of this profile")
    };
    *expires = EXPIRES;
    assert_eq!(
        pair.start_with(Alice, &bundle),
        Err(InitiateError::BadSignature)
    );
}

#[test]
fn wrongly_signed_pre_keys_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 6);
        let good = pair.bob.bundle(Stock::OneTime);
        let mallory = Person::new(profile, 0xc, 0xa, 6).bundle(Stock::OneTime);
        let mut bad = Vec::new();
        // Signed by another, or over another key.
        bad.push(PreKeyBundle {
            signed: mallory.signed.clone(),
            ..good.clone()
        });
        bad.push(PreKeyBundle {
            kem: mallory.kem.clone(),
            ..good.clone()
        });
        let mut other_key = good.clone();
        other_key.signed.key = mallory.signed.key;
        bad.push(other_key);
        let mut other_key = good.clone();
        other_key.kem.key = mallory.kem.key.clone();
        bad.push(other_key);
        // A signature of one key serves no other.
        let mut swapped = good.clone();
        swapped.signed.signature = good.kem.signature.clone();
        bad.push(swapped);
        if profile == Profile::Letterlock {
            let mut other_id = good.clone();
            other_id.signed.id += 1;
            bad.push(other_id);
            let mut other_id = good.clone();
            other_id.kem.id += 1;
            bad.push(other_id);
            let mut other_kind = good.clone();
            other_kind.kem.kind = PreKeyKind::LastResortKem;
            bad.push(other_kind);
        }
        // Signatures of the other profile.
        let other = if profile == Profile::Signal {
            Profile::Letterlock
        } else {
            Profile::Signal
        };
        let mut foreign = good.clone();
        foreign.signed.signature = Person::new(other, 0xb, 0xa, 6)
            .bundle(Stock::OneTime)
            .signed
            .signature;
        bad.push(foreign);
        for bundle in bad {
            let refused = pair.start_with(Alice, &bundle);
            assert_eq!(refused, Err(InitiateError::BadSignature), "{profile:?}");
        }
        assert_eq!(pair.start_with(Alice, &good), Ok(()));
    }
}

#[test]
fn kem_pre_key_of_the_other_profile_is_refused() {
    for (profile, other) in [PROFILES, [Profile::Letterlock, Profile::Signal]].map(|[a, b]| (a, b))
    {
        let mut pair = Pair::strangers(profile, 7);
        let mut bundle = pair.bob.bundle(Stock::OneTime);
        bundle.kem = Person::new(other, 0xb, 0xa, 7).bundle(Stock::OneTime).kem;
        assert_eq!(pair.start_with(Alice, &bundle), Err(InitiateError::BadKey));
    }
}

#[test]
fn kem_pre_key_is_of_a_kem_kind() {
    let mut bob = Person::new(Profile::Signal, 0xb, 0xa, 8);
    let signer = PreKeySigner::Signal(&bob.identity);
    let made = KemPreKey::generate(1, PreKeyKind::SignedEc, &signer, &mut bob.rng);
    assert_eq!(made.err(), Some(PreKeyError::Kind));
}

#[test]
fn replayed_first_message_is_refused() {
    for profile in PROFILES {
        for stock in STOCKS {
            let mut pair = Pair::begun(profile, 9, stock);
            let first = pair.write(Alice, b"hello");
            assert!(pair.read(Bob, &first).is_ok());
            assert_eq!(pair.read(Bob, &first), Err(Refusal::Duplicate));
            // Later, from the archive.
            pair.start(Bob, Stock::OneTime);
            assert_eq!(pair.read(Bob, &first), Err(Refusal::Duplicate));
            // After the loss of the record.
            pair.bob.record = Pair::strangers(profile, 9).bob.record;
            assert_eq!(
                pair.read(Bob, &first),
                Err(Refusal::Refused),
                "{profile:?} {stock:?}"
            );
        }
    }
}

#[test]
fn reused_base_key_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 10, Stock::LastResort);
        let first = pair.write(Alice, b"hello");
        assert!(pair.read(Bob, &first).is_ok());
        assert_eq!(pair.bob.pre_keys.seen.len(), 1);
        pair.bob.record = Pair::strangers(profile, 10).bob.record;
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused), "{profile:?}");
        // The control: nothing but the memory of base keys stands in the way.
        pair.bob.pre_keys.seen.clear();
        assert!(pair.read(Bob, &first).is_ok());
    }
}

/// A second encoding of a base key would slip past the memory of base keys.
#[test]
fn non_canonical_base_key_is_refused() {
    let (_, public, twin) = twins();
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 11);
        pair.alice.rng.prescribe([7; 32]);
        let bundle = pair.bob.bundle(Stock::LastResort);
        pair.start_with(Alice, &bundle).unwrap();
        let first = pair.write(Alice, b"hello");
        for other in [twin, top_bit(public)] {
            let changed = rewrapped(&first, |fields| {
                assert_eq!(*fields.bytes(2), serialised(&public));
                *fields.bytes(2) = serialised(&other);
            });
            assert_eq!(
                pair.read(Bob, &changed),
                Err(Refusal::Refused),
                "{profile:?}"
            );
        }
        assert!(pair.read(Bob, &first).is_ok());
    }
}

#[test]
fn base_key_of_low_order_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 12, Stock::OneTime);
        let first = pair.write(Alice, b"hello");
        for low in LOW_ORDER.map(key) {
            let changed = rewrapped(&first, |fields| *fields.bytes(2) = serialised(&low));
            assert_eq!(pair.read(Bob, &changed), Err(Refusal::Refused));
        }
    }
}

/// Who holds Alice's X25519 keys, by a quantum computer say, is not Alice.
#[test]
fn forged_initiator_signature_is_refused() {
    let mut pair = Pair::strangers(Profile::Letterlock, 13);
    let mut quantum = Person::new(Profile::Letterlock, 0xa, 0xb, 13);
    quantum.signing = Person::new(Profile::Letterlock, 0xc, 0xb, 13).signing;
    assert_eq!(quantum.identity.public(), pair.alice.identity.public());
    let (bundle, bob) = (pair.bob.bundle(Stock::OneTime), pair.bob.card());
    quantum.start(&bob, &bundle, START).unwrap();
    let forged = quantum.write(b"it is me", START).unwrap();
    assert_eq!(pair.read(Bob, &forged), Err(Refusal::Refused));
    // The control: nothing else is wrong with it.
    let of_the_forger = quantum.card();
    assert!(pair.bob.read(&of_the_forger, &forged, START).is_ok());
}

/// Every field of a first message of the `letterlock` profile is authenticated.
#[test]
fn changed_first_message_is_refused_and_uses_nothing_up() {
    let mut pair = Pair::begun(Profile::Letterlock, 14, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    for number in [1, 5, 6, 7] {
        let changed = rewrapped(&first, |fields| *fields.number(number) += 1);
        assert_eq!(
            pair.read(Bob, &changed),
            Err(Refusal::Refused),
            "field {number}"
        );
    }
    for number in [2, 3, 8, 9, 10, 11] {
        for place in [1, 20] {
            let changed = rewrapped(&first, |fields| fields.bytes(number)[place] ^= 4);
            assert!(pair.read(Bob, &changed).is_err(), "field {number}");
        }
    }
    let without = rewrapped(&first, |fields| {
        fields.list.retain(|(number, _)| *number != 1)
    });
    assert_eq!(
        pair.read(Bob, &without),
        Err(Refusal::Refused),
        "one-time key left out"
    );
    assert!(pair.read(Bob, &first).is_ok());
}

#[test]
fn changed_wrapper_of_a_later_message_is_refused() {
    let mut pair = Pair::begun(Profile::Letterlock, 15, Stock::OneTime);
    let messages = [&b"one"[..], b"two", b"three"].map(|text| pair.write(Alice, text));
    assert!(pair.read(Bob, &messages[0]).is_ok());
    for number in [1, 5, 6, 7] {
        let changed = rewrapped(&messages[1], |fields| *fields.number(number) += 1);
        assert_eq!(
            pair.read(Bob, &changed),
            Err(Refusal::Refused),
            "field {number}"
        );
    }
    for number in [8, 9, 10, 11] {
        let changed = rewrapped(&messages[1], |fields| fields.bytes(number)[7] ^= 1);
        assert_eq!(
            pair.read(Bob, &changed),
            Err(Refusal::Refused),
            "field {number}"
        );
    }
    assert!(pair.read(Bob, &messages[1]).is_ok());
    // The `signal` profile has nothing that holds the wrapper: such a message is read.
    let mut pair = Pair::begun(Profile::Signal, 15, Stock::OneTime);
    let messages = [&b"one"[..], b"two"].map(|text| pair.write(Alice, text));
    assert!(pair.read(Bob, &messages[0]).is_ok());
    let changed = rewrapped(&messages[1], |fields| *fields.number(5) += 1);
    assert!(pair.read(Bob, &changed).is_ok());
}

/// An answer that somebody wraps in the initiator's own handshake is no second form of the answer.
#[test]
fn answer_in_a_wrapper_is_refused() {
    let mut pair = Pair::begun(Profile::Letterlock, 16, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    assert!(pair.read(Bob, &first).is_ok());
    let answer = pair.write(Bob, b"hello");
    let bob = serialised(&pair.bob.identity.public());
    let mut wrapped = rewrapped(&first, |fields| {
        *fields.bytes(3) = bob;
        *fields.bytes(4) = answer.bytes.clone();
    });
    wrapped.kind = MessageKind::PreKey;
    assert_eq!(pair.read(Alice, &wrapped), Err(Refusal::Refused));
    assert!(pair.read(Alice, &answer).is_ok());
}

#[test]
fn unknown_pre_keys_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 17, Stock::OneTime);
        let first = pair.write(Alice, b"hello");
        let taken = std::mem::take(&mut pair.bob.pre_keys);
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
        // One of them gone is enough.
        pair.bob.pre_keys = taken;
        let kem = std::mem::take(&mut pair.bob.pre_keys.kem);
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
        pair.bob.pre_keys.kem = kem;
        let one_time = std::mem::take(&mut pair.bob.pre_keys.one_time);
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
        pair.bob.pre_keys.one_time = one_time;
        let signed = std::mem::take(&mut pair.bob.pre_keys.signed);
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
        pair.bob.pre_keys.signed = signed;
        assert!(pair.read(Bob, &first).is_ok());
    }
}

/// Ids are unauthenticated in `signal`: what is reported as used must be what was used.
#[test]
fn pre_keys_of_other_ids_than_named_are_refused() {
    let mut pair = Pair::begun(Profile::Signal, 29, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    for number in [1, 6, 7] {
        let changed = rewrapped(&first, |fields| *fields.number(number) += 100);
        let incoming = IncomingPreKeyMessage::decode(Profile::Signal, &changed.bytes).unwrap();
        let alice = pair.alice.card();
        let bob = &mut pair.bob;
        let keys = &bob.pre_keys;
        let own = OwnPreKeys {
            signed: keys.signed.values().next(),
            one_time: keys.one_time.values().next(),
            kem: keys.kem.values().next(),
            base_key_seen: false,
        };
        let local = Local::signal(&bob.identity, bob.registration_id);
        let remote = alice.remote(Profile::Signal);
        let read = bob
            .record
            .respond(&incoming, &local, &remote, &own, START, &mut bob.rng);
        assert_eq!(read, Err(DecryptError::Refused), "field {number}");
    }
    assert!(pair.read(Bob, &first).is_ok());
}

/// Whoever reinstalled has a new identity; a session of the old one does not speak for it.
#[test]
fn old_session_does_not_speak_for_a_new_identity() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 30, Stock::OneTime);
        let messages = [b"1", b"2"].map(|text| pair.write(Alice, text));
        assert!(pair.read(Bob, &messages[0]).is_ok());
        pair.alice.identity = Person::new(profile, 0xa, 0xb, 99).identity;
        let new = serialised(&pair.alice.identity.public());
        let rewritten = rewrapped(&messages[1], |fields| *fields.bytes(3) = new);
        assert_eq!(
            pair.read(Bob, &rewritten),
            Err(Refusal::Refused),
            "{profile:?}"
        );
        assert_eq!(
            pair.read(Bob, &messages[1]),
            Err(Refusal::Refused),
            "{profile:?}"
        );
    }
}

#[test]
fn first_message_of_another_identity_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 18);
        let mut mallory = Person::new(profile, 0xa, 0xb, 99);
        let (bundle, bob) = (pair.bob.bundle(Stock::OneTime), pair.bob.card());
        mallory.start(&bob, &bundle, START).unwrap();
        let first = mallory.write(b"I am Alice", START).unwrap();
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused), "{profile:?}");
    }
}

#[test]
fn first_message_to_another_device_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 19, Stock::OneTime);
        let first = pair.write(Alice, b"hello");
        // Another device of Bob's that somehow has his pre-keys.
        let other = Person::new(profile, 0xd, 0xa, 19);
        pair.bob.identity = other.identity;
        assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused), "{profile:?}");
    }
}

/// `addresses` of the `signal` profile: equal keys under another name are another device.
#[test]
fn message_for_another_address_is_refused() {
    let mut pair = Pair::begun(Profile::Signal, 20, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    let own = std::mem::replace(
        &mut pair.bob.record,
        Person::new(Profile::Signal, 0xe, 0xa, 20).record,
    );
    assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
    pair.bob.record = own;
    assert!(pair.read(Bob, &first).is_ok());
}

#[test]
fn lists_are_pinned_when_a_session_begins() {
    // Bob has a newer list than Alice saw, and still knows the old one.
    let mut pair = Pair::begun(Profile::Letterlock, 21, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    let old = std::mem::replace(&mut pair.bob.lists, vec![vec![1; 64]]);
    assert_eq!(
        pair.read(Bob, &first),
        Err(Refusal::Refused),
        "a list that is none of his"
    );
    pair.bob.lists.extend(old);
    assert!(pair.read(Bob, &first).is_ok());
    pair.pass(Bob, b"hello");
    // Newer lists change nothing in a session that exists.
    pair.alice.lists.insert(0, vec![2; 64]);
    pair.converse(3);
    // Bob has not verified the list that Alice names.
    let mut pair = Pair::begun(Profile::Letterlock, 21, Stock::OneTime);
    let first = pair.write(Alice, b"hello");
    pair.alice.lists = vec![vec![3; 64]];
    assert_eq!(pair.read(Bob, &first), Err(Refusal::Refused));
}

#[test]
fn lists_longer_than_64_bytes_are_refused() {
    let mut pair = Pair::strangers(Profile::Letterlock, 22);
    let bundle = pair.bob.bundle(Stock::OneTime);
    pair.alice.lists[0].push(0);
    assert_eq!(pair.start_with(Alice, &bundle), Err(InitiateError::Profile));
    pair.alice.lists.clear();
    let bob = pair.bob.card();
    assert_eq!(
        pair.alice.start(&bob, &bundle, START),
        Err(InitiateError::Profile)
    );
}

#[test]
fn sides_of_the_other_profile_are_refused() {
    let mut signal = Pair::strangers(Profile::Signal, 23);
    let bundle = signal.bob.bundle(Stock::OneTime);
    signal.alice.record = Record::letterlock();
    assert_eq!(
        signal.start_with(Alice, &bundle),
        Err(InitiateError::Profile)
    );
}

#[test]
fn simultaneous_start_converges_within_a_message_each_way() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 24);
        pair.start(Alice, Stock::OneTime);
        pair.start(Bob, Stock::OneTime);
        let (from_alice, from_bob) = (pair.write(Alice, b"a"), pair.write(Bob, b"b"));
        assert!(pair.read(Bob, &from_alice).is_ok());
        assert!(pair.read(Alice, &from_bob).is_ok());
        pair.pass(Alice, b"first later message");
        let archived = [&pair.alice, &pair.bob].map(|person| person.record.archived());
        pair.converse(5);
        assert_eq!(
            archived,
            [&pair.alice, &pair.bob].map(|person| person.record.archived())
        );
        assert_eq!(archived, [1, 1], "{profile:?}");
        assert_eq!(pair.write(Alice, b"x").kind, MessageKind::Message);
        assert_eq!(pair.write(Bob, b"x").kind, MessageKind::Message);
    }
}

/// Answers that cross let each side follow the other one once more: then nobody may be left with a session that ends.
#[test]
fn who_began_at_once_understand_each_other_after_a_long_silence() {
    for seed in 0..16 {
        let mut pair = Pair::strangers(Profile::Letterlock, 100 + seed);
        let both = |pair: &mut Pair| {
            let (from_alice, from_bob) = (pair.write(Alice, b"a"), pair.write(Bob, b"b"));
            assert!(pair.read(Bob, &from_alice).is_ok());
            assert!(pair.read(Alice, &from_bob).is_ok());
        };
        // Of two sessions the second one is the other side's, or Alice's as well.
        pair.start(Alice, Stock::OneTime);
        let first = pair.write(Alice, b"first");
        assert!(pair.read(Bob, &first).is_ok());
        let answer = pair.write(Bob, b"answer");
        pair.start(if seed % 2 == 0 { Alice } else { Bob }, Stock::OneTime);
        let second = pair.write(Alice, b"second");
        assert!(pair.read(Alice, &answer).is_ok());
        assert!(pair.read(Bob, &second).is_ok());
        for _ in 0..1 + seed % 4 {
            both(&mut pair);
        }
        pair.now = START.saturating_add(60 * DAY);
        pair.pass(Alice, b"after a long silence");
        pair.pass(Bob, b"answer");
    }
}

/// What the other side sealed before it knew of a new session comes late, and says nothing about that session.
#[test]
fn who_began_anew_stays_there_when_an_older_session_is_heard() {
    for seed in 0..16 {
        let mut pair = Pair::met(Profile::Letterlock, 300 + seed);
        let late = pair.write(Bob, b"late");
        pair.start(Alice, Stock::OneTime);
        let anew = pair.write(Alice, b"anew");
        assert!(pair.read(Bob, &anew).is_ok());
        assert!(pair.read(Alice, &late).is_ok());
        pair.now = START.saturating_add(20 * DAY);
        pair.pass(Bob, b"I write");
        pair.now = START.saturating_add(40 * DAY);
        pair.pass(Alice, b"after a long silence");
    }
}

/// Whoever is never answered in the session that stays goes on in the other one.
#[test]
fn the_session_that_does_not_stay_opens_what_comes_in_it() {
    for seed in 0..8 {
        let mut pair = Pair::strangers(Profile::Letterlock, 200 + seed);
        pair.start(Alice, Stock::OneTime);
        pair.start(Bob, Stock::OneTime);
        let (from_alice, from_bob) = (pair.write(Alice, b"a"), pair.write(Bob, b"b"));
        assert!(pair.read(Bob, &from_alice).is_ok());
        assert!(pair.read(Alice, &from_bob).is_ok());
        for round in 1..5 {
            pair.now = START.saturating_add(20 * round * DAY);
            pair.pass(Alice, b"is anybody there?");
        }
    }
}

/// Whoever began anew waits for the answer before the 30 days of the session before begin.
#[test]
fn who_does_not_know_of_a_new_session_is_understood() {
    for again in [false, true] {
        let mut pair = Pair::met(Profile::Letterlock, 27);
        pair.start(Alice, Stock::OneTime);
        let anew = pair.write(Alice, b"anew");
        if again {
            // Nobody answered for a month: Alice begins once more.
            pair.now = START.saturating_add(35 * DAY);
            pair.start(Alice, Stock::OneTime);
        }
        pair.now = START.saturating_add(50 * DAY);
        let before = [pair.write(Bob, b"1"), pair.write(Bob, b"2")];
        pair.now = START.saturating_add(70 * DAY);
        assert!(pair.read(Alice, &before[0]).is_ok());
        assert!(pair.read(Bob, &anew).is_ok());
        let answer = pair.write(Bob, b"answer");
        assert!(pair.read(Alice, &answer).is_ok());
        pair.now = START.saturating_add(99 * DAY);
        assert!(pair.read(Alice, &before[1]).is_ok());
    }
}

#[test]
fn restart_loses_no_message_that_flies() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 25);
        let flying: Vec<Outgoing> = (0..4_u8).map(|n| pair.write(Alice, &[n])).collect();
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
        for message in &flying {
            assert!(pair.read(Bob, message).is_ok(), "{profile:?}");
        }
        pair.converse(2);
    }
}

/// Until the answer comes, every message can begin the session.
#[test]
fn any_of_the_first_messages_begins_the_session() {
    for profile in PROFILES {
        let mut pair = Pair::begun(profile, 26, Stock::OneTime);
        let messages = [b"1", b"2", b"3"].map(|text| pair.write(Alice, text));
        for (message, text) in messages.iter().zip([b"1", b"2", b"3"]).rev() {
            assert_eq!(message.kind, MessageKind::PreKey);
            assert_eq!(pair.read(Bob, message).as_deref(), Ok(&text[..]));
        }
        pair.pass(Bob, b"answer");
        assert_eq!(pair.write(Alice, b"4").kind, MessageKind::Message);
    }
}

/// Clocks that go back neither expire nor revive anything by accident.
#[test]
fn clock_that_goes_back_breaks_nothing() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 27);
        let late = pair.write(Alice, b"late");
        pair.start(Alice, Stock::OneTime);
        pair.pass(Alice, b"anew");
        pair.now = Timestamp::from_secs(5);
        assert!(pair.read(Bob, &late).is_ok());
        pair.converse(1);
    }
}

#[test]
fn wrapper_names_what_the_bundle_gave() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 28);
        let bundle = pair.bob.bundle(Stock::OneTime);
        pair.start_with(Alice, &bundle).unwrap();
        let first = pair.write(Alice, b"hello");
        let mut fields = Fields::of(&first.bytes, 0);
        assert_eq!(*fields.number(1), u64::from(bundle.one_time.unwrap().id));
        assert_eq!(*fields.number(6), u64::from(bundle.signed.id));
        assert_eq!(*fields.number(7), u64::from(bundle.kem.id));
        assert_eq!(*fields.bytes(3), serialised(&pair.alice.identity.public()));
    }
}
