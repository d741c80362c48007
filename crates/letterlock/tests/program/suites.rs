//! An account of suite `cnsa2`, as its owner and an auditor see it; and the module under it.

use crate::support::Town;
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
fn letters_of_two_with_cnsa2_are_refused_with_a_hint() {
    let town = Town::new();
    let (alice, bob) = (town.stranger("alice"), town.person("bob"));
    let url = town.url();
    alice.ok(&[
        "account", "create", "alice", "--relay", url, "--suite", "cnsa2",
    ]);
    let invite = alice.ok(&["invite"]).line();
    bob.ok(&["contact", "add", &invite]);
    let invite = bob.ok(&["invite"]).line();
    alice.ok(&["contact", "add", &invite]);
    for (person, to) in [(&alice, "bob"), (&bob, "alice")] {
        let failure = person.fails(3, &["send", to, "hello"]);
        assert_eq!(failure["kind"], "refused");
        let hint = failure["hint"].as_str().unwrap();
        assert!(hint.contains("group of two"), "{hint}");
        assert!(person.json(&["read", to]).is_empty());
        // What devices tell each other of a group goes the same way.
        let failure = person.fails(3, &["group", "create", "both", to]);
        assert_eq!(failure["kind"], "refused");
    }
    let numbers = [(&alice, "bob"), (&bob, "alice")]
        .map(|(person, to)| person.ok(&["contact", "verify", to, "--number"]).stdout);
    let digits = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits
    };
    assert_eq!(digits(&numbers[0]), digits(&numbers[1]));
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
