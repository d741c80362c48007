//! Wrong passphrases, unknown people, old invites: a clear error, the right exit code, and nothing lost.

use crate::support::{Process, Town, letterlock};

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let town = Town::new();
    let alice = town.person("alice");
    let mut command = alice.command(&["account", "show", "--json"]);
    command.env("LETTERLOCK_PASSPHRASE", "not the one");
    let ran = Process::spawn(&mut command).wait();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran:?}");
    assert!(ran.stderr.contains("passphrase"));
    assert_eq!(alice.json(&["account", "show"])[0]["name"], "alice");
}

#[test]
fn the_passphrase_may_stand_in_a_file_and_must_stand_somewhere() {
    let town = Town::new();
    let alice = town.person("alice");
    let file = town.path("passphrase");
    std::fs::write(&file, format!("{}\nnot this line\n", alice.passphrase())).unwrap();
    let show = |words: &[&str]| {
        let mut command = letterlock();
        command
            .args(["account", "show", "--home"])
            .arg(&alice.home)
            .args(words);
        Process::spawn(&mut command).wait()
    };
    let from_file = show(&["--passphrase-file", file.to_str().unwrap()]);
    assert_eq!(from_file.code, Some(0), "{from_file:?}");
    let nowhere = show(&[]);
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    assert!(
        nowhere.stderr.contains("hint: give --passphrase-file FILE"),
        "{nowhere:?}"
    );
    std::fs::write(&file, "\n").unwrap();
    let empty = show(&["--passphrase-file", file.to_str().unwrap()]);
    assert_eq!(empty.code, Some(2), "{empty:?}");
    let missing = show(&["--passphrase-file", "/not/there"]);
    assert_eq!(missing.code, Some(5), "{missing:?}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let town = Town::new();
    let alice = town.person("alice");
    let nobody = format!("nobody@{}", town.authority());
    for words in [
        &["send", "nobody", "hello"][..],
        &["read", "nobody"],
        &["contact", "verify", "nobody", "--number"],
        &["contact", "block", "nobody"],
        &["contact", "add", &nobody],
        &["send", "nobody", "--file", "/not/there"],
    ] {
        assert_eq!(alice.fails(5, words)["kind"], "not_found", "{words:?}");
    }
    let stranger = town.stranger("stranger");
    for words in [
        &["account", "show"][..],
        &["invite"],
        &["read"],
        &["send", "alice", "hello"],
    ] {
        assert_eq!(stranger.fails(5, words)["kind"], "not_found", "{words:?}");
    }
    assert!(!stranger.home.exists(), "to ask is not to make");
}

#[test]
fn a_reply_to_nothing_is_not_found() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let id = alice.json(&["read", "bob"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = if id.starts_with('a') { "b" } else { "a" };
    let unknown = format!("{other}{}", &id[1..]);
    let failure = alice.fails(5, &["send", "bob", "as you said", "--reply-to", &unknown]);
    assert_eq!(failure["kind"], "not_found");
}

#[test]
fn an_invite_works_once_and_in_time() {
    let town = Town::new();
    let (alice, bob, carol) = (
        town.person("alice"),
        town.person("bob"),
        town.person("carol"),
    );
    let invite = alice.ok(&["invite"]).line();
    bob.ok(&["contact", "add", &invite]);
    let used = carol.fails(3, &["contact", "add", &invite]);
    assert!(used["message"].as_str().unwrap().contains("used"), "{used}");
    assert!(
        used["hint"].as_str().unwrap().contains("letterlock invite"),
        "{used}"
    );
    bob.ok(&["contact", "add", &invite]);

    let short = alice.ok(&["invite", "--expires", "1s"]).line();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let expired = carol.fails(3, &["contact", "add", &short]);
    assert!(
        expired["message"].as_str().unwrap().contains("expired"),
        "{expired}"
    );

    let own = alice.ok(&["invite"]).line();
    let code = alice.run(&["contact", "add", &own]).code;
    assert!(code == Some(2), "{code:?}");
    let cut = &own[..own.len() - 4];
    assert_eq!(carol.fails(2, &["contact", "add", cut])["kind"], "usage");
    assert!(carol.json(&["contact", "list"]).is_empty());
}

#[test]
fn an_account_is_made_once_and_a_name_given_once() {
    let town = Town::new();
    let alice = town.person("alice");
    let again = ["account", "create", "alice", "--relay", town.url()];
    alice.fails(1, &again);
    let other = town.stranger("other");
    let taken = other.fails(1, &again);
    assert!(
        taken["message"].as_str().unwrap().contains("taken"),
        "{taken}"
    );
    other.ok(&["account", "create", "alice2", "--relay", town.url()]);
    assert_eq!(other.json(&["account", "show"])[0]["name"], "alice2");
}

#[test]
fn a_relay_beyond_loopback_needs_tls() {
    let town = Town::new();
    let alice = town.stranger("alice");
    let failure = alice.fails(
        2,
        &[
            "account",
            "create",
            "alice",
            "--relay",
            "http://192.0.2.1:80",
        ],
    );
    assert_eq!(failure["kind"], "usage");
}
