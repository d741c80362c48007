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

#[test]
fn custody_names_the_keys_of_an_account_a_contact_a_letter_and_a_file() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let file = town.path("notes.txt");
    std::fs::write(&file, b"notes").unwrap();
    let words = ["send", "bob", "with a file", "--wait", "--file"];
    alice.ok(&[&words[..], &[file.to_str().unwrap()]].concat());
    let letters = alice.json(&["read", "bob"]);
    let letter = letters.last().unwrap()["id"].as_str().unwrap().to_owned();
    let this = |key: &'static str| {
        move |holder: &&Value| {
            holder["key"] == key && holder["this"] == true && holder["certain"] == true
        }
    };

    let account = alice.json(&["custody", "account"]);
    assert!(account.iter().all(|holder| holder["answer"] == "holder"));
    for key in ["root", "signing", "identity", "envelope"] {
        assert!(account.iter().any(|holder| this(key)(&holder)), "{key}");
    }
    let of_letter = alice.json(&["custody", &letter]);
    assert!(of_letter.iter().any(|holder| this("profile")(&holder)));
    let theirs = |holder: &&Value| holder["kind"] == "contact_device";
    assert_eq!(of_letter.iter().filter(theirs).count(), 1);
    let of_file = alice.json(&["custody", &format!("{letter}/1")]);
    assert!(of_file.iter().any(|holder| this("enclosure")(&holder)));
    assert!(of_file.iter().all(|holder| holder["until"].is_u64()));
    let of_bob = alice.json(&["custody", "bob"]);
    for item in ["contact", "conversation"] {
        assert!(of_bob.iter().any(|holder| holder["item"] == item));
    }
    let shown = alice.ok(&["custody", &letter]).stdout;
    assert!(shown.contains("(this device)"), "{shown}");

    alice.fails(5, &["custody", "nobody"]);
    alice.fails(5, &["custody", &format!("{letter}/2")]);
    alice.fails(5, &["custody", &"a".repeat(26)]);
}

#[test]
fn an_inventory_lists_keys_and_writes_a_bill_of_materials() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let file = town.path("cbom.json");
    let listed = alice.json(&["inventory", "--cbom", file.to_str().unwrap()]);
    assert_eq!(listed[0]["answer"], "inventory");
    let of = |answer: &str| -> Vec<&Value> {
        let found = listed.iter().filter(|line| line["answer"] == answer);
        found.collect()
    };
    let algorithms = of("algorithm");
    let names: Vec<&str> = algorithms
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    for name in [
        "X25519",
        "ML-KEM-1024",
        "ML-KEM-768",
        "ML-DSA-65",
        "Argon2id",
        "MLS 1.0",
        "BLAKE3",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let keys = of("key");
    let one = |kind: &str| -> &Value {
        let mut found = keys.iter().filter(|line| line["key"] == kind);
        found.next().unwrap_or_else(|| panic!("{kind}"))
    };
    assert_eq!(one("root")["state"], "active");
    assert_eq!(one("device_signing")["here"], true);
    let week = 7 * 24 * 3600;
    let signed = one("signed_pre_key");
    let (made, due) = (&signed["created_at"], &signed["due_at"]);
    assert_eq!(made.as_u64().unwrap() + week, due.as_u64().unwrap());
    assert!(one("one_time_kem_pre_keys")["count"].as_u64().unwrap() > 10);
    assert_eq!(one("sessions")["who"], "bob");
    assert!(one("sessions")["age_seconds"].is_u64());
    assert_eq!(one("key_packages")["count"], 13);
    assert!(!keys.iter().any(|line| line["key"] == "groups"));
    assert!(
        one("profile")["who"]
            .as_str()
            .unwrap()
            .contains("65536 KiB")
    );

    let bom: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(bom["bomFormat"], "CycloneDX");
    assert_eq!(bom["specVersion"], "1.6");
    let components = bom["components"].as_array().unwrap();
    assert_eq!(components.len(), algorithms.len() + keys.len());
    let references: Vec<&str> = components
        .iter()
        .map(|component| component["bom-ref"].as_str().unwrap())
        .collect();
    for component in components {
        let material = &component["cryptoProperties"]["relatedCryptoMaterialProperties"];
        if let Some(algorithm) = material["algorithmRef"].as_str() {
            assert!(references.contains(&algorithm), "{algorithm}");
        }
    }
    let shown = alice.ok(&["inventory"]).stdout;
    assert!(shown.contains("algorithm  X25519"), "{shown}");
}
