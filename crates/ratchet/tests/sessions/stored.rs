//! What is stored: it gives back the same state, and nothing else is taken for it.

use keys::sha256;
use letterlock_ratchet::{
    KemPreKey, KemPreKeyPublic, MessageKind, OneTimePreKey, OneTimePreKeyPublic, Outgoing, Profile,
    Record, SignedPreKey, SignedPreKeyPublic,
};
use proptest::prelude::*;

use crate::fields::Fields;
use crate::forged::{apply, edit};
use crate::schedules::config;
use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Stock, Who};

/// A pair whose records hold all there is: an archive, skipped messages, a pending handshake.
fn eventful(profile: Profile, seed: u64) -> Pair {
    let mut pair = Pair::met(profile, seed);
    pair.converse(4);
    pair.write(Alice, b"lost");
    pair.pass(Alice, b"after a loss");
    pair.start(Bob, Stock::LastResort);
    pair.pass(Bob, b"anew");
    pair.start(Alice, Stock::OneTime);
    pair.write(Alice, b"pending");
    pair
}

fn without_signature(message: &Outgoing) -> Vec<u8> {
    if message.kind == MessageKind::Message {
        return message.bytes.clone();
    }
    // ML-DSA is hedged: of two equal handshakes only the signatures differ.
    let mut fields = Fields::of(&message.bytes, 0);
    fields.list.retain(|(number, _)| *number != 11);
    fields.encode()
}

#[test]
fn storing_between_all_operations_changes_nothing() {
    for profile in PROFILES {
        let mut kept = Pair::begun(profile, 1, Stock::OneTime);
        let mut stored = Pair::begun(profile, 1, Stock::OneTime);
        let both = |kept: &mut Pair, stored: &mut Pair, from: Who, lost: bool| {
            let messages = [&mut *kept, stored].map(|pair| pair.write(from, b"text"));
            let [a, b] = messages.each_ref().map(without_signature);
            assert_eq!(a, b, "{profile:?}");
            stored.get(from).reload();
            if !lost {
                assert!(kept.read(from.other(), &messages[0]).is_ok());
                assert!(stored.read(from.other(), &messages[1]).is_ok());
                stored.get(from.other()).reload();
            }
        };
        // Three epochs of SPQR and every state of its machine, with some losses.
        for round in 0..150 {
            both(&mut kept, &mut stored, Alice, round % 11 == 5);
            both(&mut kept, &mut stored, Bob, round % 7 == 3);
        }
        // Bob keeps a hash of the first message, which holds such a signature.
        assert!(kept.alice.stored() == stored.alice.stored(), "{profile:?}");
    }
}

#[test]
fn every_truncation_and_flip_of_a_record_is_refused() {
    for profile in PROFILES {
        let mut pair = eventful(profile, 2);
        for who in [Alice, Bob] {
            let stored = pair.get(who).stored();
            assert!(Record::decode(&stored).is_ok());
            for length in 0..stored.len() {
                assert!(Record::decode(&stored[..length]).is_err(), "{length} bytes");
            }
            for place in 0..stored.len() {
                let mut changed = stored.clone();
                changed[place] ^= 1 << (place % 8);
                assert!(Record::decode(&changed).is_err(), "byte {place}");
            }
            let longer = [&stored[..], &[0]].concat();
            assert!(Record::decode(&longer).is_err());
        }
    }
}

/// The same record with its digest made to fit.
fn with_digest(body: &[u8]) -> Vec<u8> {
    [body, &sha256(&[body])].concat()
}

#[test]
fn truncation_is_refused_though_the_digest_fits() {
    for profile in PROFILES {
        let stored = eventful(profile, 3).alice.stored();
        let body = &stored[..stored.len() - 32];
        assert_eq!(with_digest(body), stored);
        for length in 0..body.len() {
            assert!(
                Record::decode(&with_digest(&body[..length])).is_err(),
                "{length} bytes"
            );
        }
        let longer = with_digest(&[body, &[0]].concat());
        assert!(Record::decode(&longer).is_err());
        let mut version = body.to_vec();
        version[0] = 2;
        assert!(Record::decode(&with_digest(&version)).is_err());
    }
}

proptest! {
    #![proptest_config(config(192))]

    /// Whoever can write the database is past every defence of a record; still nothing may panic.
    #[test]
    fn edited_record_whose_digest_fits_never_panics(
        letterlock in any::<bool>(),
        bob in any::<bool>(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let profile = PROFILES[usize::from(letterlock)];
        let mut pair = eventful(profile, 4);
        let who = if bob { Bob } else { Alice };
        let stored = pair.get(who).stored();
        let mut body = stored[..stored.len() - 32].to_vec();
        apply(&mut body, &edits);
        if let Ok(record) = Record::decode(&with_digest(&body)) {
            prop_assert!(record.encode().expose_secret() == with_digest(&body), "two encodings");
            pair.get(who).record = record;
            for _ in 0..3 {
                for from in [Alice, Bob] {
                    let now = pair.now;
                    if let Ok(message) = pair.get(from).write(b"text", now) {
                        let _ = pair.read(from.other(), &message);
                    }
                }
            }
        }
    }
}

#[test]
fn stored_pre_keys_survive_and_their_truncations_are_refused() {
    for profile in PROFILES {
        let mut pair = Pair::strangers(profile, 5);
        pair.bob.bundle(Stock::OneTime);
        pair.bob.bundle(Stock::LastResort);
        let keys = &pair.bob.pre_keys;
        for key in keys.signed.values() {
            let bytes = key.encode();
            let again = SignedPreKey::decode(bytes.expose_secret()).unwrap();
            assert!(
                again.public() == key.public()
                    && again.encode().expose_secret() == bytes.expose_secret()
            );
            each_other_length(bytes.expose_secret(), |bytes| {
                SignedPreKey::decode(bytes).is_ok()
            });
            let public = key.public().encode();
            assert_eq!(
                SignedPreKeyPublic::decode(&public).as_ref(),
                Ok(key.public())
            );
            each_other_length(&public, |bytes| SignedPreKeyPublic::decode(bytes).is_ok());
        }
        for key in keys.kem.values() {
            let bytes = key.encode();
            let again = KemPreKey::decode(bytes.expose_secret()).unwrap();
            assert!(
                again.public() == key.public()
                    && again.encode().expose_secret() == bytes.expose_secret()
            );
            each_other_length(bytes.expose_secret(), |bytes| {
                KemPreKey::decode(bytes).is_ok()
            });
            let public = key.public().encode();
            assert_eq!(KemPreKeyPublic::decode(&public).as_ref(), Ok(key.public()));
            each_other_length(&public, |bytes| KemPreKeyPublic::decode(bytes).is_ok());
        }
        for key in keys.one_time.values() {
            let bytes = key.encode();
            let again = OneTimePreKey::decode(bytes.expose_secret()).unwrap();
            assert!(
                again.public() == key.public()
                    && again.encode().expose_secret() == bytes.expose_secret()
            );
            each_other_length(bytes.expose_secret(), |bytes| {
                OneTimePreKey::decode(bytes).is_ok()
            });
            let public = key.public().encode();
            assert_eq!(
                OneTimePreKeyPublic::decode(&public).as_ref(),
                Ok(key.public())
            );
            each_other_length(&public, |bytes| OneTimePreKeyPublic::decode(bytes).is_ok());
        }
    }
}

/// Nothing but the whole is taken.
fn each_other_length(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(bytes));
    for length in 0..bytes.len() {
        assert!(
            !accepts(&bytes[..length]),
            "{length} of {} bytes",
            bytes.len()
        );
    }
    assert!(!accepts(&[bytes, &[0]].concat()));
    assert!(!accepts(&[&[9], &bytes[1..]].concat()), "another version");
}

/// A private key is stored clamped; another form of it would be a second encoding of one record.
#[test]
fn private_keys_that_are_not_clamped_are_refused() {
    let mut pair = Pair::met(Profile::Signal, 7);
    let stored = pair.alice.stored();
    // Version, profile, two addresses, `opt`, what is bound, `opt`, root key.
    let place = 2 + 2 * (4 + 36 + 1) + 1 + (96 + 12 + 8 + 1) + 1 + 32;
    let mut body = stored[..stored.len() - 32].to_vec();
    assert_eq!((body[place] & 7, body[place + 31] & 0xc0), (0, 0x40));
    body[place] |= 1;
    assert!(Record::decode(&with_digest(&body)).is_err());
    pair.bob.bundle(Stock::OneTime);
    let keys = &pair.bob.pre_keys;
    let mut signed = keys
        .signed
        .values()
        .next()
        .unwrap()
        .encode()
        .expose_secret()
        .to_vec();
    signed[32] |= 0x80;
    assert!(SignedPreKey::decode(&signed).is_err());
    let mut one_time = keys
        .one_time
        .values()
        .next()
        .unwrap()
        .encode()
        .expose_secret()
        .to_vec();
    one_time[1] |= 4;
    assert!(OneTimePreKey::decode(&one_time).is_err());
}

/// Records stored by the first release; every later one must read them.
#[test]
fn records_of_version_1_are_read() {
    let samples: [(Profile, &[u8]); 2] = [
        (Profile::Signal, include_bytes!("samples/signal.record")),
        (
            Profile::Letterlock,
            include_bytes!("samples/letterlock.record"),
        ),
    ];
    for (profile, sample) in samples {
        let (mut pair, late) = sampled(profile);
        // A hedged signature is hashed into a record of `letterlock`: its length is always the same.
        assert_eq!(pair.bob.stored().len(), sample.len());
        assert!(profile == Profile::Letterlock || pair.bob.stored() == sample);
        pair.bob.record = Record::decode(sample).unwrap();
        assert!(pair.bob.stored() == sample);
        pair.converse(2);
        assert_eq!(pair.read(Bob, &late).as_deref(), Ok(&b"late"[..]));
    }
}

/// Bob has a session and an archived one in which a message was passed over.
fn sampled(profile: Profile) -> (Pair, Outgoing) {
    let mut pair = Pair::met(profile, 6);
    pair.converse(20);
    let late = pair.write(Alice, b"late");
    pair.pass(Alice, b"in time");
    pair.start(Alice, Stock::OneTime);
    pair.pass(Alice, b"anew");
    pair.pass(Bob, b"good");
    (pair, late)
}
