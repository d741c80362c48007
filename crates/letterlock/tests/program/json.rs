//! `--json` on every command: one object a line, and nothing else on standard output.

use crate::support::{Process, Town, letterlock, process::object};
use serde_json::Value;
use std::fs;

/// Kind and fields of an object, as `docs/guide/json.md` lists them.
fn shape(object: &Value) -> String {
    let names = object.as_object().unwrap().keys().map(String::as_str);
    let fields: Vec<&str> = names.filter(|name| *name != "answer").collect();
    format!(
        "{}: {}",
        object["answer"].as_str().unwrap(),
        fields.join(" ")
    )
}

const ACCOUNT: &str =
    "account: account_id address device_id log_head log_length name registered relay suite";
const CONTACT: &str = "contact: account_id address blocked devices name request suite trust";
const SHEET: &str = "sheet: sheet";
const RESTORED: &str = "restored: backup_at complete contacts letters";
const RECOVERY: &str = "recovery: backup_at backup_complete lost message name outcome this";
const LETTER: &str = "letter: answers conversation deleted direction edit enclosures expires_at from id reactions reply_to sent_at shared_by state text";

#[test]
fn every_command_has_stable_fields() {
    let town = Town::new();
    let (alice, bob) = (town.stranger("alice"), town.person("bob"));
    let file = town.path("note.txt");
    std::fs::write(&file, "a file").unwrap();
    let (file, saved) = (file.to_str().unwrap(), town.path("saved"));

    let created = alice.json(&["account", "create", "alice", "--relay", town.url()]);
    assert_eq!(shape(&created[0]), ACCOUNT);
    assert_eq!(shape(&alice.json(&["account", "show"])[0]), ACCOUNT);
    assert_eq!(
        shape(&alice.json(&["account", "log"])[0]),
        "log_entry: devices hash kind sequence"
    );
    let invite = alice.json(&["invite", "--qr"]);
    assert_eq!(shape(&invite[0]), "invite: expires_at invite");
    let invite = invite[0]["invite"].as_str().unwrap();
    assert_eq!(shape(&bob.json(&["contact", "add", invite])[0]), CONTACT);
    assert_eq!(shape(&bob.json(&["contact", "list"])[0]), CONTACT);
    let number = bob.json(&["contact", "verify", "alice", "--number"]);
    assert_eq!(shape(&number[0]), "safety_number: contact number verified");

    let code = bob.json(&["contact", "verify", "alice", "--qr"]);
    assert_eq!(shape(&code[0]), VERIFICATION_CODE);

    assert_eq!(
        shape(&bob.json(&["send", "alice", "hello", "--file", file, "--wait"])[0]),
        LETTER
    );
    let received = alice.json(&["receive", "--save", saved.to_str().unwrap()]);
    assert_eq!(shape(&received[0]), LETTER);
    assert_eq!(shape(&received[1]), "saved: letter name path size");
    assert_eq!(shape(&alice.json(&["read"])[0]), LETTER);
    assert_eq!(shape(&alice.json(&["search", "hello"])[0]), LETTER);
    let id = received[0]["id"].as_str().unwrap();
    let reacted = alice.json(&["react", id, "👍"]);
    assert_eq!(shape(&reacted[0]), LETTER);
    let reaction = reacted[0]["reactions"][0].as_object().unwrap();
    assert_eq!(reaction.keys().collect::<Vec<_>>(), ["emoji", "from"]);
    assert_eq!(shape(&bob.json(&["edit", id, "hello!"])[0]), LETTER);
    assert_eq!(shape(&bob.json(&["contact", "block", "alice"])[0]), CONTACT);
    assert_eq!(
        shape(&bob.json(&["completions", "fish"])[0]),
        "completions: script shell"
    );

    bob.ok(&["contact", "block", "alice", "--undo"]);
    bob.ok(&["send", "alice", "still there", "--wait"]);
    let data = town.relay_data();
    let inspected = bob.json(&["relay", "inspect", "--data", data.to_str().unwrap()]);
    for line in STORED {
        assert!(
            inspected.iter().any(|object| shape(object) == line),
            "{line}"
        );
    }
    let failed = bob.fails(5, &["read", "nobody"]);
    assert_eq!(shape(&failed), "failed: hint kind message");
}

const VERIFICATION_CODE: &str = "verification_code: code contact";
const SAS: &str = "sas: contact digits emoji";

#[test]
fn comparisons_have_stable_fields() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let words = |with| ["contact", "verify", with, "--sas", "--yes", "--json"];
    let both = [alice.start(&words("bob")), bob.start(&words("alice"))];
    for ran in both.map(Process::wait) {
        assert_eq!(shape(&ran.objects()[0]), CONTACT, "{ran:?}");
        let said: Vec<Value> = ran.stderr.lines().map(object).collect();
        let sas = said.iter().find(|object| object["answer"] == "sas");
        assert_eq!(shape(sas.unwrap()), SAS);
        let emoji = sas.unwrap()["emoji"][0].as_object().unwrap();
        assert_eq!(emoji.keys().collect::<Vec<_>>(), ["name", "symbol"]);
    }
}

const DEVICE: &str = "device: added admin id name reason senior state this";

#[test]
fn commands_for_devices_have_stable_fields() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = town.stranger("tablet");
    let mut links = alice.start(&["device", "link", "--yes", "--json"]);
    let link = object(&links.next_line().unwrap());
    assert_eq!(shape(&link), "link: expires_at link relay words");
    let line = link["link"].as_str().unwrap();
    let accepted = tablet.run(&["device", "accept", line, "--yes", "--json"]);
    let accepts = accepted.objects();
    assert_eq!(shape(&accepts[0]), ACCOUNT, "{accepted:?}");
    assert_eq!(shape(&accepts[1]), DEVICE);
    let said = object(accepted.stderr.lines().next().unwrap());
    assert_eq!(shape(&said), "pairing_code: code");
    let linked = links.wait();
    assert_eq!(shape(&linked.objects()[1]), DEVICE);
    for words in [
        &["device", "list"][..],
        &["device", "rotate"],
        &["device", "rename", "tablet", "slate"],
    ] {
        let words = if words[1] == "rename" {
            vec![
                "device",
                "rename",
                accepts[1]["name"].as_str().unwrap(),
                "slate",
            ]
        } else {
            words.to_vec()
        };
        assert_eq!(shape(&alice.json(&words)[0]), DEVICE, "{words:?}");
    }
    assert_eq!(
        shape(&alice.json(&["device", "rotate", "--root"])[0]),
        ACCOUNT
    );
    let revoke = ["device", "revoke", "slate", "--reason", "retired", "--yes"];
    assert_eq!(shape(&alice.json(&revoke)[0]), DEVICE);
    let letter = bob.json(&["read"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(shape(&bob.json(&["delete", &letter])[0]), "deleted: id");
}

const VAULT: &str = "vault: devices generation id members name pending role stale state version";
const VAULT_MEMBER: &str = "vault_member: account_id devices name role";

const VAULT_CHANGE: &str = "vault_change: bytes changed conflicts files left_out vault version";
const VAULT_GOT: &str = "vault_got: bytes files left_out path version";
const VAULT_ENTRY: &str = "vault_entry: kind mode modified path size target";
const VAULT_VERSION: &str = "vault_version: author changes entry time version";

#[test]
fn files_of_vaults_have_stable_fields() {
    let town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let note = town.path("note");
    fs::write(&note, b"text").unwrap();
    let put = ["vault", "put", "plans", note.to_str().unwrap()];
    assert_eq!(shape(&alice.json(&put)[0]), VAULT_CHANGE);
    let out = town.path("out");
    let get = [
        "vault",
        "get",
        "plans",
        "note",
        "--out",
        out.to_str().unwrap(),
    ];
    assert_eq!(shape(&alice.json(&get)[0]), VAULT_GOT);
    assert_eq!(
        shape(&alice.json(&["vault", "list", "plans"])[0]),
        VAULT_ENTRY
    );
    assert_eq!(
        shape(&alice.json(&["vault", "history", "plans"])[0]),
        VAULT_VERSION
    );
}

#[test]
fn vaults_have_stable_fields() {
    let town = Town::new();
    let alice = town.person("alice");
    let made = alice.json(&["vault", "create", "plans"]);
    assert_eq!([shape(&made[0]), shape(&made[1])], [VAULT, VAULT_MEMBER]);
    assert_eq!(shape(&alice.json(&["vault", "list"])[0]), VAULT);
}

const STORED: [&str; 5] = [
    "relay: accounts blobs groups key_packages letters one_time_pre_keys queues relay_id store_version tickets",
    "stored_account: account_id hour log_bytes name",
    "stored_queue: acknowledged hour queue_id waiting",
    "stored_letter: bucket hour queue_id seq",
    "stored_blob: blob_id bytes complete hour",
];

#[test]
fn recovery_has_stable_fields() {
    let town = Town::new();
    let (alice, new) = (town.person("alice"), town.stranger("new"));
    let drawn = alice.json(&["recovery", "sheet", "--yes"]);
    assert_eq!(shape(&drawn[0]), SHEET);
    let sheet = town.path("sheet");
    std::fs::write(&sheet, drawn[0]["sheet"].as_str().unwrap()).unwrap();
    for line in alice.json(&["recovery", "status"]) {
        assert_eq!(shape(&line), RECOVERY);
    }
    let sheet = sheet.to_str().unwrap();
    let back = new.json(&[
        "recovery",
        "restore",
        "--relay",
        town.url(),
        "--sheet",
        sheet,
    ]);
    assert_eq!([shape(&back[0]), shape(&back[1])], [ACCOUNT, RESTORED]);
}

#[test]
fn notices_and_failures_go_to_standard_error_as_json() {
    let mut town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    town.stop_relay();
    let ran = alice.run(&["send", "bob", "later", "--json", "--timeout", "1s"]);
    assert_eq!(shape(&ran.objects()[0]), LETTER);
    let said: Vec<Value> = ran.stderr.lines().map(object).collect();
    assert!(!said.is_empty());
    for notice in &said {
        assert_eq!(shape(notice), "notice: message notice");
    }
    assert_eq!(said.last().unwrap()["notice"], "letter_in_outbox");
}

#[test]
fn the_guide_lists_every_field() {
    let guide = include_str!("../../../../docs/guide/json.md");
    let others = [
        "log_entry: devices hash kind sequence",
        "invite: expires_at invite",
        "safety_number: contact number verified",
        VAULT,
        VAULT_MEMBER,
        VAULT_CHANGE,
        VAULT_GOT,
        VAULT_ENTRY,
        VAULT_VERSION,
        VERIFICATION_CODE,
        SAS,
        "name symbol",
        "saved: letter name path size",
        "give_code: code expires left_out relay",
        "give_link: expires left_out link relay",
        "given: size",
        "taken: left_out written",
        "evidence: account_id contact path seen_at shown_account_id",
        DEVICE,
        "link: expires_at link relay words",
        "deleted: id",
        "pairing_code: code",
        SHEET,
        RESTORED,
        RECOVERY,
        "failed: hint kind message",
        "notice: message notice",
        "listening: url",
        "completions: script shell",
        "told: step text",
        "typed: sees step who words",
    ];
    for shape in [ACCOUNT, CONTACT, LETTER]
        .into_iter()
        .chain(STORED)
        .chain(others)
    {
        for word in shape.split([':', ' ']).filter(|word| !word.is_empty()) {
            let named = [format!("`{word}`"), format!("\"{word}\"")];
            assert!(named.iter().any(|name| guide.contains(name)), "{word}");
        }
    }
}

#[test]
fn words_that_make_no_command_are_a_failure_in_json_too() {
    let town = Town::new();
    let alice = town.stranger("alice");
    for words in [
        &["frobnicate"][..],
        &["send"],
        &["send", "bob"],
        &["receive", "--timeout", "10"],
        &["read", "--limit", "none"],
        &["account", "create", "alice"],
    ] {
        assert_eq!(alice.fails(2, words)["kind"], "usage", "{words:?}");
    }
}

#[test]
fn a_relay_says_in_json_where_it_listens() {
    let town = Town::new();
    let mut command = letterlock();
    command
        .args([
            "relay",
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(town.path("second"));
    let mut relay = Process::spawn(&mut command);
    let line = object(&relay.next_line().unwrap());
    assert_eq!(line["answer"], "listening");
    assert!(
        line["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:"),
        "{line}"
    );
    relay.interrupt();
    assert_eq!(relay.wait().code, Some(0));
}
