//! The vectors of RFC 9420 replay, and a changed one does not. They are not part of the project: where their folder is
//! not beside it, the tests say so and pass.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure ends the test")]

use letterlock_groups::replay::{self, Report};
use serde_json::Value;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/mls");

fn read(name: &str) -> Option<Value> {
    let path = Path::new(FOLDER).join(name);
    if !path.exists() {
        eprintln!("left out: no {}", path.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn replays(name: &str) {
    let Some(value) = read(name) else { return };
    let report: Report = replay::file(name, &value).unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{name}: {report}");
    assert!(report.facts > 0);
    assert!(report.past_epochs <= 20, "four cases a suite");
    // Curve 448 alone is missing.
    assert!(report.skipped.keys().all(|suite| [4, 6].contains(suite)));
}

macro_rules! files {
    ($($test:ident = $file:literal;)*) => {
        $(#[test]
        fn $test() {
            replays($file);
        })*
    };
}

files! {
    crypto_basics_replay = "crypto-basics.json";
    deserialization_replays = "deserialization.json";
    key_schedule_replays = "key-schedule.json";
    message_protection_replays = "message-protection.json";
    passive_client_follows_commits = "passive-client-handling-commit.json";
    passive_client_joins = "passive-client-welcome.json";
    psk_secret_replays = "psk_secret.json";
    secret_tree_replays = "secret-tree.json";
    transcript_hashes_replay = "transcript-hashes.json";
    tree_math_replays = "tree-math.json";
    tree_operations_replay = "tree-operations.json";
    tree_validation_replays = "tree-validation.json";
    treekem_replays = "treekem.json";
    welcome_replays = "welcome.json";
}

/// The first hex string in document order under a field of this name.
fn first<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut String> {
    match value {
        Value::Object(object) => object.iter_mut().find_map(|(key, value)| {
            if key == field && value.as_str().is_some_and(|text| !text.is_empty()) {
                match value {
                    Value::String(text) => Some(text),
                    _ => None,
                }
            } else {
                first(value, field)
            }
        }),
        Value::Array(list) => list.iter_mut().find_map(|value| first(value, field)),
        _ => None,
    }
}

/// Flips the lowest bit of the last byte.
fn change(hex: &mut String) {
    let digit = hex.pop().and_then(|digit| digit.to_digit(16)).unwrap();
    hex.push(char::from_digit(digit ^ 1, 16).unwrap());
}

#[test]
fn a_changed_byte_of_any_field_is_noticed() {
    for (file, fields) in [
        (
            "crypto-basics.json",
            &["out", "signature", "ciphertext", "kem_output"][..],
        ),
        ("deserialization.json", &["vlbytes_header"]),
        (
            "key-schedule.json",
            &[
                "commit_secret",
                "joiner_secret",
                "external_pub",
                "tree_hash",
            ],
        ),
        (
            "message-protection.json",
            &[
                "proposal_pub",
                "commit_priv",
                "application",
                "membership_key",
            ],
        ),
        (
            "passive-client-handling-commit.json",
            &[
                "welcome",
                "commit",
                "epoch_authenticator",
                "init_priv",
                "psk",
            ],
        ),
        (
            "passive-client-welcome.json",
            &["welcome", "initial_epoch_authenticator", "init_priv"],
        ),
        ("psk_secret.json", &["psk", "psk_nonce", "psk_secret"]),
        ("secret-tree.json", &["encryption_secret", "handshake_key"]),
        (
            "transcript-hashes.json",
            &["authenticated_content", "interim_transcript_hash_after"],
        ),
        (
            "tree-operations.json",
            &["tree_before", "tree_after", "tree_hash_after"],
        ),
        ("tree-validation.json", &["tree", "group_id"]),
        (
            "treekem.json",
            &[
                "update_path",
                "commit_secret",
                "path_secret",
                "signature_priv",
            ],
        ),
        ("welcome.json", &["welcome", "init_priv", "signer_pub"]),
    ] {
        let Some(recorded) = read(file) else { return };
        for field in fields {
            let mut changed = recorded.clone();
            change(first(&mut changed, field).unwrap_or_else(|| panic!("{file}: {field}")));
            let replayed = replay::file(file, &changed);
            assert!(replayed.is_err(), "{file}: a change of {field} passed");
        }
    }
}
