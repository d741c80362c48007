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
    welcome_replays = "welcome.json";
}
