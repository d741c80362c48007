//! Every recorded vector replays, and a changed one does not.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure ends the test")]

use letterlock_ratchet::replay;
use serde_json::Value;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/triple-ratchet");

fn read(name: &str) -> Value {
    let path = Path::new(FOLDER).join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// In every conversation.
const CONVERSATION: [&str; 7] = [
    "wire",
    "pt",
    "draws",
    "identity_private",
    "kem_ciphertext",
    "root_key",
    "chain_key",
];

fn replays(file: &str) {
    let report = replay::file(file, &read(file)).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.facts > 0, "{file}");
}

fn changed_byte_is_noticed(file: &str, fields: &[&str]) {
    let recorded = read(file);
    for field in fields {
        let mut changed = recorded.clone();
        let place = first(&mut changed, field);
        flip_bit(place.unwrap_or_else(|| panic!("{file} has no {field}")));
        let replayed = replay::file(file, &changed);
        assert!(replayed.is_err(), "{file}: a change of {field} passed");
    }
}

/// The first hex string in document order under a field of this name.
fn first<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut String> {
    match value {
        Value::Object(object) => object.iter_mut().find_map(|(key, value)| {
            if key == field {
                first_hex(value)
            } else {
                first(value, field)
            }
        }),
        Value::Array(list) => list.iter_mut().find_map(|value| first(value, field)),
        _ => None,
    }
}

fn first_hex(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Array(list) => list.iter_mut().find_map(first_hex),
        Value::Object(object) => object.values_mut().find_map(first_hex),
        _ => None,
    }
}

/// Flips the lowest bit of a hex digit in the first half.
fn flip_bit(hex: &mut String) {
    let place = hex.len() / 4;
    let digit = hex[place..=place].to_owned();
    let flipped = u8::from_str_radix(&digit, 16).unwrap() ^ 1;
    hex.replace_range(place..=place, &format!("{flipped:x}"));
}

/// Two tests a file, so that they run in parallel, and one that no file is left out. Behind each file: fields whose
/// first value is changed by one bit.
macro_rules! replays {
    ($($module:ident: $file:literal $fields:expr,)*) => {
        $(
            mod $module {
                #[test]
                fn replays() {
                    super::replays($file);
                }

                #[test]
                fn changed_byte_is_noticed() {
                    super::changed_byte_is_noticed($file, &$fields);
                }
            }
        )*

        #[test]
        fn every_file_is_named() {
            let named = [$($file),*];
            let mut found: Vec<String> = std::fs::read_dir(FOLDER)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".json"))
                .collect();
            found.sort_unstable();
            assert_eq!(found, named);
        }
    };
}

replays! {
    conv_01_oneway_otpk: "conv-01-oneway-otpk.json" crate::CONVERSATION,
    conv_02_oneway_no_otpk: "conv-02-oneway-no-otpk.json" crate::CONVERSATION,
    conv_03_oneway_reordered: "conv-03-oneway-reordered.json" crate::CONVERSATION,
    conv_04_oneway_lossy: "conv-04-oneway-lossy.json" crate::CONVERSATION,
    conv_05_pingpong_full_state: "conv-05-pingpong-full-state.json" crate::CONVERSATION,
    conv_06_pingpong_200: "conv-06-pingpong-200.json" crate::CONVERSATION,
    conv_07_bursts: "conv-07-bursts.json" crate::CONVERSATION,
    conv_10_random_reordered: "conv-10-random-reordered.json" crate::CONVERSATION,
    conv_13_bob_heavy: "conv-13-bob-heavy.json" crate::CONVERSATION,
    conv_15_crossing: "conv-15-crossing.json" crate::CONVERSATION,
    conv_16_late_old_chains: "conv-16-late-old-chains.json" crate::CONVERSATION,
    conv_17_forged: "conv-17-forged.json" crate::CONVERSATION,
    conv_18_simultaneous_start: "conv-18-simultaneous-start.json" crate::CONVERSATION,
    conv_19_restart: "conv-19-restart.json" crate::CONVERSATION,
    conv_20_same_account: "conv-20-same-account.json" crate::CONVERSATION,
    conv_21_pni_address: "conv-21-pni-address.json" crate::CONVERSATION,
    conv_22_not_a_service_id: "conv-22-not-a-service-id.json" crate::CONVERSATION,
    conv_24_limits: "conv-24-limits.json" crate::CONVERSATION,
    conv_25_prekey_replay: "conv-25-prekey-replay.json" crate::CONVERSATION,
    conv_26_forged_without_spqr_key: "conv-26-forged-without-spqr-key.json" crate::CONVERSATION,
    conv_27_wrong_address: "conv-27-wrong-address.json" crate::CONVERSATION,
    conv_28_archive_of_40: "conv-28-archive-of-40.json" crate::CONVERSATION,
    curve25519_xeddsa: "curve25519-xeddsa.json" ["shared", "their_public", "signature"],
    erasure_code: "erasure-code.json" ["a*b", "chunks", "decoded"],
    incremental_mlkem768: "incremental-mlkem768.json" ["header", "ek", "dk", "ct1", "ct2", "shared_secret"],
    kem1024: "kem1024.json" ["public", "secret", "ciphertext", "shared_secret"],
    pqxdh: "pqxdh.json" crate::CONVERSATION,
    signal_message: "signal-message.json" ["serialized", "mac", "ciphertext"],
    spqr_chain: "spqr-chain.json" ["key", "secret"],
    spqr_parse: "spqr-parse.json" ["auth_key", "key"],
    spqr_transcripts: "spqr-transcripts.json" ["msg", "key", "draws", "auth_root", "next_root"],
}

#[test]
fn error_names_file_step_and_difference() {
    let mut changed = read("conv-06-pingpong-200.json");
    let step = &mut changed["steps"][1];
    assert_eq!(step["op"], "send");
    flip_bit(first(step, "wire").unwrap());
    let error = replay::file("a file", &changed).unwrap_err().to_string();
    assert!(
        error.starts_with("a file, step 1 (send by alice): wire differs from byte "),
        "{error}"
    );
}

#[test]
fn unknown_form_is_an_error() {
    let error = replay::file("a file", &serde_json::json!({"cases": []})).unwrap_err();
    assert_eq!(error.to_string(), "a file: the file is of no known form");
}

#[test]
fn unknown_step_is_an_error() {
    let mut changed = read("conv-25-prekey-replay.json");
    changed["steps"][2]["op"] = "jump".into();
    assert!(replay::file("a file", &changed).is_err());
}

#[test]
fn changed_exported_record_is_noticed() {
    changed_byte_is_noticed("conv-18-simultaneous-start.json", &["session_record"]);
}

#[test]
fn missing_step_is_noticed() {
    let mut changed = read("conv-06-pingpong-200.json");
    changed["steps"].as_array_mut().unwrap().remove(2);
    assert!(replay::file("a file", &changed).is_err());
}

/// Three forgeries that libsignal accepts, because no SPQR key is mixed in.
#[test]
fn messages_without_spqr_key_are_refused() {
    let file = "conv-26-forged-without-spqr-key.json";
    let report = replay::file(file, &read(file)).unwrap();
    assert_eq!(report.stricter, 3);
}
