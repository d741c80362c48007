//! Who holds which key, how old keys are, and what evidence proves.

use crate::support::{Person, Process, Ran, Town, letterlock};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A piece of evidence that comes with the project.
fn sample(name: &str) -> PathBuf {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/evidence");
    seeds.join(name)
}

/// Checks a file without home and passphrase.
fn verify(path: &Path, json: bool) -> Ran {
    let mut command = letterlock();
    command.arg("verify-evidence").arg(path);
    if json {
        command.arg("--json");
    }
    Process::spawn(&mut command).wait()
}

/// Gives a relay's name to another account than it had, as a lying relay does.
fn give_name(town: &mut Town, name: &str, to: &Person) {
    town.stop_relay();
    let relay = rusqlite::Connection::open(town.relay_data().join("relay.db")).unwrap();
    for (new, old) in [("nobody", name), (name, to.name.as_str())] {
        let sql = "UPDATE accounts SET name = ?1 WHERE name = ?2";
        assert_eq!(relay.execute(sql, [new, old]).unwrap(), 1);
    }
    relay.close().unwrap();
    town.start_relay();
}

#[test]
fn evidence_that_a_home_kept_is_checked_without_it() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let mallory = town.person("mallory");
    give_name(&mut town, "bob", &mallory);
    alice.fails(3, &["contact", "add", &format!("bob@{}", town.authority())]);
    let folder = town.path("evidence");
    let kept = alice.json(&[
        "contact",
        "evidence",
        "bob",
        "--save",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["finding"], "other_account");
    let path = PathBuf::from(kept[0]["path"].as_str().unwrap());
    let ran = verify(&path, true);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    let id_of = |person: &Person| person.json(&["account", "show"])[0]["account_id"].clone();
    assert_eq!(found["answer"], "finding");
    assert_eq!(found["finding"], "other_account");
    assert_eq!(found["signed"], false);
    assert_eq!(found["account_id"], id_of(&bob));
    assert_eq!(found["shown_account_id"], id_of(&mallory));
    assert!(alice.json(&["account", "evidence"]).is_empty());
    // One bit is enough to be no evidence any more.
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = verify(&path, true);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran:?}");
}

#[test]
fn a_check_says_what_is_proven() {
    for (file, finding, signed) in [
        ("fork", "fork", true),
        ("pre_keys", "pre_keys_not_signed", false),
        ("revoked", "revoked_device_wrote", false),
        ("silence", "withheld", false),
    ] {
        let ran = verify(&sample(file), true);
        assert_eq!(ran.code, Some(0), "{file}: {ran:?}");
        let found: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
        assert_eq!(found["finding"], finding);
        assert_eq!(found["signed"], signed, "{file}");
    }
    let shown = verify(&sample("fork"), false).stdout;
    assert!(
        shown.contains("proven by signatures of the account"),
        "{shown}"
    );
    let ran = verify(&sample("nothing"), false);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("nothing"), "{ran:?}");
    let ran = verify(&sample("not there"), true);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let ran = verify(Path::new(env!("CARGO_MANIFEST_DIR")), true);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let ran = verify(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"),
        true,
    );
    assert_eq!(ran.code, Some(3), "{ran:?}");
}
