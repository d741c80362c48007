//! The seeds of the fuzz targets, run once each without a fuzzer.
#![expect(clippy::disallowed_methods, reason = "the seeds are files")]

use std::path::Path;

use letterlock_ratchet::{
    KemPreKey, KemPreKeyPublic, MessageKind, OneTimePreKey, OneTimePreKeyPublic, Outgoing, Record,
    SignedPreKey, SignedPreKeyPublic,
};

use crate::fields::Fields;
use crate::forged::decode_all;
use crate::support::Who::{Alice, Bob};
use crate::support::{PROFILES, Pair, Stock};

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let files = std::fs::read_dir(&folder).unwrap();
    let seeds: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "{target}");
    seeds
}

#[test]
fn seeds_of_messages_are_refused_by_strangers() {
    for profile in PROFILES {
        let mut pair = Pair::met(profile, 1);
        for bytes in seeds("ratchet_message") {
            let kind = MessageKind::Message;
            assert!(pair.read(Bob, &Outgoing { kind, bytes }).is_err());
        }
        for bytes in seeds("ratchet_pre_key_message") {
            let kind = MessageKind::PreKey;
            for stock in [Stock::OneTime, Stock::LastResort] {
                let mut pair = Pair::begun(profile, 1, stock);
                let message = Outgoing {
                    kind,
                    bytes: bytes.clone(),
                };
                assert!(pair.read(Bob, &message).is_err());
            }
        }
    }
}

#[test]
fn seeds_of_spqr_messages_change_nothing() {
    for profile in PROFILES {
        for rounds in [1, 20, 37] {
            let mut pair = Pair::met(profile, 1);
            pair.converse(rounds);
            let message = pair.write(Alice, b"a letter");
            for seed in seeds("ratchet_spqr") {
                let mut fields = Fields::of_message(profile, &message.bytes);
                if *fields.bytes(5) != seed {
                    *fields.bytes(5) = seed;
                    let changed = Outgoing {
                        kind: message.kind,
                        bytes: fields.encode(),
                    };
                    assert!(pair.read(Bob, &changed).is_err());
                }
            }
            assert!(pair.read(Bob, &message).is_ok());
        }
    }
}

#[test]
fn seeds_of_stored_forms_are_read() {
    for seed in seeds("ratchet_record") {
        let record = Record::decode(&seed).unwrap();
        assert!(record.encode().expose_secret() == seed);
    }
    for seed in seeds("ratchet_pre_keys") {
        decode_all(&seed);
        let read = SignedPreKeyPublic::decode(&seed).is_ok()
            || KemPreKeyPublic::decode(&seed).is_ok()
            || OneTimePreKeyPublic::decode(&seed).is_ok()
            || SignedPreKey::decode(&seed).is_ok()
            || KemPreKey::decode(&seed).is_ok()
            || OneTimePreKey::decode(&seed).is_ok();
        assert!(read, "{} bytes", seed.len());
    }
}
