//! An account of suite `cnsa2`, as its owner and an auditor see it; and the module under it.

use crate::support::{Town, text_of};
use serde_json::Value;

fn first(lines: &[Value], answer: &str, key: &str) -> Vec<String> {
    let of = lines.iter().filter(|line| line["answer"] == answer);
    of.map(|line| line[key].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_account_of_cnsa2_is_made_and_shown() {
    let town = Town::new();
    let alice = town.stranger("alice");
    let create = [
        "account",
        "create",
        "alice",
        "--relay",
        town.url(),
        "--suite",
    ];
    let with = |suite: &'static str| [&create[..], &[suite]].concat();
    let ran = alice.run(&with("rsa"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        !alice.home.exists(),
        "a mistyped command leaves nothing behind"
    );
    alice.ok(&with("cnsa2"));
    assert_eq!(alice.json(&["account", "show"])[0]["suite"], "cnsa2");
    assert!(alice.ok(&["account", "show"]).stdout.contains("cnsa2"));

    let file = town.path("cbom.json");
    let listed = alice.json(&["inventory", "--cbom", file.to_str().unwrap()]);
    assert_eq!(listed[0]["suite"], "cnsa2");
    let algorithms = first(&listed, "algorithm", "name");
    for name in ["ML-DSA-87", "ML-KEM-1024", "SHA-384"] {
        assert!(algorithms.iter().any(|known| known == name), "{name}");
    }
    for name in ["ML-DSA-65", "X-Wing", "PQXDH", "Triple Ratchet"] {
        assert!(algorithms.iter().all(|known| known != name), "{name}");
    }
    let keys = first(&listed, "key", "algorithm");
    assert!(keys.iter().all(|key| algorithms.contains(key)), "{keys:?}");
    let bom = std::fs::read_to_string(&file).unwrap();
    assert!(bom.contains("ML-DSA-87") && !bom.contains("ML-DSA-65"));

    let custody = alice.json(&["custody", "account"]);
    let held: Vec<&str> = custody
        .iter()
        .map(|holder| holder["key"].as_str().unwrap())
        .collect();
    for key in ["root", "signing", "envelope"] {
        assert!(held.contains(&key), "{key}");
    }
    assert!(!held.contains(&"identity"));
}

#[test]
fn two_people_of_cnsa2_write_to_each_other() {
    write_to_each_other(["cnsa2", "cnsa2"]);
}

#[test]
fn two_people_of_different_suites_write_to_each_other() {
    write_to_each_other(["hybrid", "cnsa2"]);
}

fn write_to_each_other(suites: [&str; 2]) {
    let town = Town::new();
    let url = town.url();
    let people = [("alice", suites[0]), ("bob", suites[1])].map(|(name, suite)| {
        let person = town.stranger(name);
        person.ok(&["account", "create", name, "--relay", url, "--suite", suite]);
        person
    });
    let [alice, bob] = &people;
    for (one, other) in [(alice, bob), (bob, alice)] {
        let invite = other.ok(&["invite"]).line();
        one.ok(&["contact", "add", &invite]);
    }
    for person in &people {
        person.receive();
    }
    let plan = town.path("plan.bin");
    std::fs::write(&plan, vec![7; 200_000]).unwrap();
    let file = plan.to_str().unwrap();
    alice.ok(&["send", "bob", "the plan", "--file", file, "--wait"]);
    let saved = town.path("saved");
    let letters = bob.json(&[
        "receive",
        "--timeout",
        "5s",
        "--save",
        saved.to_str().unwrap(),
    ]);
    assert_eq!(letters[0]["from"], "alice");
    assert_eq!(letters[0]["conversation"], "alice");
    assert_eq!(
        std::fs::read(saved.join("plan.bin")).unwrap().len(),
        200_000
    );
    bob.ok(&["send", "alice", "I have it"]);
    assert_eq!(bob.receive(), Vec::<String>::new());
    assert_eq!(alice.receive(), ["I have it"]);
    for (person, to) in [(alice, "bob"), (bob, "alice")] {
        assert_eq!(person.read(to), ["the plan", "I have it"]);
        assert!(person.json(&["group", "list"]).is_empty());
    }
    let found = alice.json(&["search", "have"]);
    assert_eq!(found[0]["conversation"], "bob");
    let id = found[0]["id"].as_str().unwrap();
    let custody = alice.json(&["custody", id]);
    let contacts = custody
        .iter()
        .filter(|holder| holder["kind"] == "contact_device");
    assert_eq!(contacts.count(), 1, "{custody:?}");
    let made = alice.json(&["group", "create", "night shift", "bob"]);
    assert_eq!(made[0]["members"], 2);
    alice.ok(&["delete", id]);
    assert_eq!(alice.read("bob"), ["the plan"]);
    let numbers = [(alice, "bob"), (bob, "alice")]
        .map(|(person, to)| person.ok(&["contact", "verify", to, "--number"]).stdout);
    let digits = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits
    };
    assert_eq!(digits(&numbers[0]), digits(&numbers[1]));
}

#[test]
fn an_account_takes_the_higher_suite() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["group", "create", "shift", "bob"]);
    bob.ok(&["receive", "--timeout", "10s"]);
    let upgrade = ["account", "upgrade", "--suite"];
    let to = |suite: &'static str| [&upgrade[..], &[suite, "--yes"]].concat();
    // Without a terminal nobody can say that it is meant.
    alice.fails(2, &["account", "upgrade", "--suite", "cnsa2"]);
    assert_eq!(alice.json(&["account", "show"])[0]["suite"], "hybrid");

    let shown = alice.json(&to("cnsa2"));
    let shown = shown.iter().find(|line| line["answer"] == "account");
    assert_eq!(shown.unwrap()["suite"], "cnsa2");
    let log = alice.json(&["account", "log"]);
    let kinds: Vec<&str> = log
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["genesis", "upgrade-suite", "rotate-device"]);
    let listed = alice.json(&["inventory"]);
    let keys = first(&listed, "key", "algorithm");
    assert!(keys.iter().any(|key| key == "ML-DSA-87"), "{keys:?}");
    let group = listed.iter().find(|line| line["key"] == "groups").unwrap();
    assert_eq!(
        (&group["count"], &group["state"]),
        (&1.into(), &"active".into())
    );
    assert!(group["due_at"].is_u64(), "{group}");
    for suite in ["hybrid", "cnsa2"] {
        let refused = alice.fails(3, &to(suite));
        let hint = refused["hint"].as_str().unwrap();
        assert!(hint.contains("never back"), "{hint}");
    }

    // Bob is told, and compares anew.
    let stopped = bob.fails(3, &["send", "alice", "to whom?", "--wait"]);
    assert!(stopped["hint"].as_str().unwrap().contains("contact verify"));
    let contact = bob.contact("alice").unwrap();
    assert_eq!(
        (&contact["trust"], &contact["suite"]),
        (&"changed".into(), &"cnsa2".into())
    );
    assert!(bob.ok(&["contact", "list"]).stdout.contains("cnsa2"));
    bob.ok(&["contact", "verify", "alice", "--number", "--yes"]);

    // Their group goes on.
    alice.ok(&["send", "shift", "still here"]);
    assert_eq!(bob.receive(), ["still here"]);
    bob.ok(&["send", "shift", "so am I"]);
    assert_eq!(alice.receive(), ["so am I"]);
    assert_eq!(
        alice.json(&["group", "show", "shift"])[0]["suite"],
        "hybrid"
    );
    assert_eq!(alice.json(&["group", "list"])[0]["suite"], "hybrid");

    // And so do letters, and groups that are begun now.
    alice.ok(&["send", "bob", "I have other keys"]);
    alice.ok(&["receive", "--timeout", "10s"]);
    let heard = bob.receive();
    assert!(heard.contains(&"I have other keys".to_owned()), "{heard:?}");
    alice.ok(&["group", "create", "later", "bob"]);
    assert_eq!(
        alice.json(&["group", "show", "later"])[0]["suite"],
        "hybrid"
    );
}

#[test]
fn a_group_of_cnsa2_accounts_shows_its_suite_and_keeps_it() {
    let town = Town::new();
    let url = town.url();
    let people = ["alice", "carol"].map(|name| {
        let person = town.stranger(name);
        person.ok(&[
            "account", "create", name, "--relay", url, "--suite", "cnsa2",
        ]);
        person
    });
    let [alice, carol] = &people;
    let bob = town.person("bob");
    for other in [carol, &bob] {
        let invite = alice.ok(&["invite"]).line();
        other.ok(&["contact", "add", &invite]);
        let invite = other.ok(&["invite"]).line();
        alice.ok(&["contact", "add", &invite]);
    }
    alice.ok(&["group", "create", "strong", "carol"]);
    carol.ok(&["receive", "--timeout", "10s"]);
    for person in &people {
        assert_eq!(
            person.json(&["group", "show", "strong"])[0]["suite"],
            "cnsa2"
        );
        assert!(
            person
                .ok(&["group", "show", "strong"])
                .stdout
                .contains("cnsa2")
        );
    }
    let refused = alice.fails(3, &["group", "add", "strong", "bob"]);
    assert!(refused["message"].as_str().unwrap().contains("cnsa2"));
    assert!(refused["hint"].as_str().unwrap().contains("group create"));
    // With him it is a group of the suite that he speaks.
    alice.ok(&["group", "create", "all", "carol", "bob"]);
    bob.ok(&["receive", "--timeout", "10s"]);
    assert_eq!(bob.json(&["group", "show", "all"])[0]["suite"], "hybrid");
    alice.ok(&["send", "all", "to both of you"]);
    assert_eq!(bob.receive(), ["to both of you"]);
    let heard = carol.receive();
    assert!(heard.contains(&"to both of you".to_owned()), "{heard:?}");
}

/// An invitation of this suite is too long for a queue, and leads to somebody whose log is not known yet: whoever asks for
/// letters waits for all of that.
#[test]
fn one_look_at_the_relay_brings_into_a_group_and_shows_its_letters() {
    let town = Town::new();
    let people = ["alice", "bob", "carol"].map(|name| {
        let person = town.stranger(name);
        person.ok(&[
            "account",
            "create",
            name,
            "--relay",
            town.url(),
            "--suite",
            "cnsa2",
        ]);
        person
    });
    let [alice, bob, carol] = &people;
    for other in [bob, carol] {
        let invite = alice.ok(&["invite"]).line();
        other.ok(&["contact", "add", &invite]);
        let invite = other.ok(&["invite"]).line();
        alice.ok(&["contact", "add", &invite]);
    }
    alice.ok(&["group", "create", "strong", "bob", "carol"]);
    alice.ok(&["send", "strong", "to both of you", "--wait"]);
    for person in [bob, carol] {
        let told = person.ok(&["receive", "--json"]);
        assert!(told.stderr.contains("group_joined"), "{told:?}");
        let letters: Vec<String> = told.objects().iter().map(text_of).collect();
        assert_eq!(letters, ["to both of you"]);
    }
}

#[test]
fn doctor_names_the_module_and_refuses_another_than_is_wanted() {
    let town = Town::new();
    let anybody = town.stranger("anybody");
    let shown = anybody.json(&["doctor"]);
    assert_eq!(shown[0]["answer"], "doctor");
    assert_eq!(shown[0]["version"], env!("CARGO_PKG_VERSION"));
    let module = shown[0]["module"].as_str().unwrap();
    assert!(module.starts_with("AWS-LC"), "{module}");
    let fips = cfg!(feature = "fips");
    assert_eq!(shown[0]["fips"], fips);
    let wanted = anybody.run(&["doctor", "--fips"]);
    assert_eq!(wanted.code, Some(if fips { 0 } else { 3 }), "{wanted:?}");
    assert!(wanted.stdout.contains(module), "{wanted:?}");
    assert!(!anybody.home.exists());
}
