//! One person, several devices: real processes that link, read, revoke, stop and go on.

use crate::support::{Person, Process, Terminal, Town};
use serde_json::Value;
use std::time::Instant;

/// Starts to link, and returns the secret with the process.
fn offer(old: &Person, words: &[&str]) -> (Process, String) {
    let mut links = old.start(&[&["device", "link"], words].concat());
    let secret = links.next_line().expect("the secret on the first line");
    assert!(secret.starts_with("LL1-"), "{secret}");
    (links, secret)
}

/// Makes a new home a device of somebody's account.
pub(crate) fn link(town: &Town, old: &Person, name: &str) -> Person {
    let (links, secret) = offer(old, &["--yes"]);
    let new = town.stranger(name);
    new.ok(&["device", "accept", &secret, "--name", name, "--yes"]);
    let ran = links.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    new
}

/// Names of the devices in force.
fn devices(person: &Person) -> Vec<String> {
    let listed = person.json(&["device", "list"]);
    let in_force = listed.iter().filter(|device| device["state"] == "in_force");
    let mut names: Vec<String> = in_force.map(|device| text(device, "name")).collect();
    names.sort();
    names
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

fn account(person: &Person) -> String {
    text(&person.json(&["account", "show"])[0], "account_id")
}

#[test]
fn all_devices_are_one_person() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["send", "bob", "before the link", "--wait"]);
    let tablet = link(&town, &alice, "tablet");
    assert_eq!(account(&alice), account(&tablet));
    assert_eq!(tablet.read("bob"), ["It is me.", "before the link"]);
    assert!(tablet.receive().is_empty(), "it was read before");

    bob.receive();
    bob.ok(&["send", "alice", "to both", "--wait"]);
    assert_eq!(tablet.receive(), ["to both"]);
    assert!(alice.receive().is_empty(), "it was read on the tablet");
    assert_eq!(alice.read("bob").last().unwrap(), "to both");

    tablet.ok(&["send", "bob", "from the tablet", "--wait"]);
    assert_eq!(bob.receive(), ["from the tablet"]);
    assert!(
        alice.receive().is_empty(),
        "what I wrote is nothing new to me"
    );
    assert_eq!(alice.read("bob").last().unwrap(), "from the tablet");

    let written = alice.json(&["read", "bob", "--limit", "1"]);
    alice.ok(&["delete", &text(&written[0], "id")]);
    alice.fails(5, &["delete", &text(&written[0], "id")]);
    tablet.receive();
    assert_eq!(tablet.read("bob").last().unwrap(), "to both");
    assert_eq!(bob.read("alice").last().unwrap(), "from the tablet");

    alice.ok(&["device", "rename", "tablet", "slate"]);
    tablet.receive();
    assert!(devices(&tablet).contains(&"slate".to_owned()));
    let name = devices(&alice).into_iter().find(|name| name != "slate");
    alice.fails(2, &["device", "rename", "slate", &name.unwrap()]);
    alice.fails(5, &["device", "rename", "tablet", "other"]);
}

#[test]
fn a_revoked_device_shows_what_it_has_and_hears_nothing_more() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = link(&town, &alice, "tablet");
    bob.ok(&["send", "alice", "to both", "--wait"]);
    assert_eq!(tablet.receive(), ["to both"]);
    alice.fails(2, &["device", "revoke", "tablet", "--reason", "stolen"]);
    alice.fails(2, &["device", "revoke", "tablet", "--yes"]);
    let gone = alice.json(&["device", "revoke", "tablet", "--reason", "stolen", "--yes"]);
    assert_eq!(
        (&gone[0]["state"], &gone[0]["reason"]),
        (&"revoked".into(), &"stolen".into())
    );
    assert_eq!(devices(&alice).len(), 1);
    bob.ok(&["send", "alice", "to alice alone", "--wait"]);
    for words in [
        &["receive"][..],
        &["send", "bob", "I am still here"],
        &["invite"],
        &["device", "link", "--yes"],
        &["device", "rotate"],
    ] {
        let refused = tablet.fails(3, words);
        assert!(
            text(&refused, "message").contains("revoked"),
            "{words:?}: {refused}"
        );
    }
    assert_eq!(tablet.read("bob"), ["It is me.", "to both"]);
    assert_eq!(alice.receive(), ["to alice alone"]);
    alice.fails(
        3,
        &["device", "revoke", "tablet", "--reason", "lost", "--yes"],
    );
    alice.fails(
        5,
        &["device", "revoke", "nothing", "--reason", "lost", "--yes"],
    );
}

#[test]
fn new_keys_interrupt_no_conversation() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = link(&town, &alice, "tablet");
    alice.ok(&["device", "rotate"]);
    tablet.fails(3, &["device", "rotate", "--root"]);
    tablet.receive();
    bob.ok(&["send", "alice", "to new keys", "--wait"]);
    assert_eq!(alice.receive(), ["to new keys"]);
    tablet.receive();
    assert_eq!(tablet.read("bob").last().unwrap(), "to new keys");
    alice.ok(&["send", "bob", "with new keys", "--wait"]);
    assert_eq!(bob.receive(), ["with new keys"]);
    assert_eq!(bob.contact("alice").unwrap()["trust"], "verified");
}

#[test]
fn a_suspended_device_waits_until_it_is_resumed() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = link(&town, &alice, "tablet");
    let suspended = alice.json(&["device", "suspend", "tablet"]);
    assert_eq!(text(&suspended[0], "state"), "suspended");
    bob.ok(&["send", "alice", "while it is away", "--wait"]);
    assert_eq!(alice.receive(), ["while it is away"]);
    let stopped = tablet.fails(3, &["receive", "--timeout", "10s"]);
    assert_eq!(text(&stopped, "message"), "this device is suspended");
    tablet.fails(3, &["send", "bob", "hello?"]);
    tablet.fails(3, &["device", "resume", "tablet"]);
    assert!(!tablet.read("bob").contains(&"while it is away".to_owned()));
    let state = |who: &Person, place: usize| text(&who.json(&["device", "list"])[place], "state");
    assert_eq!(state(&alice, 1), "suspended");
    assert_eq!(state(&tablet, 1), "suspended");

    let resumed = alice.json(&["device", "resume", "tablet"]);
    assert_eq!(text(&resumed[0], "state"), "in_force");
    let back = tablet.ok(&["receive", "--timeout", "2s"]);
    assert!(back.stderr.contains("in force again"), "{back:?}");
    bob.ok(&["send", "alice", "welcome back", "--wait"]);
    assert_eq!(tablet.receive(), ["welcome back"]);
    tablet.ok(&["send", "bob", "thank you", "--wait"]);
    assert_eq!(bob.receive(), ["thank you"]);
}

#[test]
fn an_account_ends_for_ever() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = link(&town, &alice, "tablet");
    // Without a terminal nobody can say that it is meant.
    alice.fails(2, &["account", "end"]);
    // Its root key is on the other device.
    tablet.fails(3, &["account", "end", "--yes"]);
    let ended = alice.json(&["account", "end", "--yes"]);
    assert_eq!(text(&ended[0], "name"), "alice");
    for device in [&alice, &tablet] {
        let stopped = device.fails(3, &["receive", "--timeout", "10s"]);
        assert_eq!(text(&stopped, "message"), "this account has ended");
        assert_eq!(device.read("bob"), ["It is me."]);
    }
    let log = alice.json(&["account", "log"]);
    assert_eq!(text(log.last().unwrap(), "kind"), "tombstone");
    for _ in 0..2 {
        let stopped = bob.fails(3, &["send", "alice", "are you there?", "--wait"]);
        assert_eq!(
            text(&stopped, "message"),
            "this contact has ended its account"
        );
    }
    let verified = bob.run(&["contact", "verify", "alice", "--number", "--yes"]);
    assert_eq!(verified.code, Some(3), "{verified:?}");
    assert_eq!(bob.read("alice")[0], "It is me.");
}

#[test]
fn a_new_root_key_waits_for_people() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["device", "rotate", "--root"]);
    // It is learnt while the letter waits to leave, and known the second time.
    for _ in 0..2 {
        let stopped = bob.fails(3, &["send", "alice", "to whom?", "--wait"]);
        let hint = text(&stopped, "hint");
        assert!(hint.contains("contact verify"), "{hint}");
    }
    assert_eq!(bob.contact("alice").unwrap()["trust"], "changed");
    let evidence = bob.ok(&["contact", "evidence", "alice", "--json"]);
    assert!(
        evidence.stdout.contains("\"root_replaced\""),
        "{evidence:?}"
    );
    bob.ok(&["contact", "verify", "alice", "--number", "--yes"]);
    bob.ok(&["send", "alice", "to you", "--wait"]);
    assert_eq!(alice.receive(), ["to whom?", "to you"]);
}

#[test]
fn twelve_words_and_the_relay_say_the_same_as_the_line() {
    let town = Town::new();
    let alice = town.person("alice");
    let mut links = alice.start(&["device", "link", "--yes", "--json"]);
    let shown: Value = serde_json::from_str(&links.next_line().unwrap()).unwrap();
    let words = text(&shown, "words");
    let mut accept = vec!["device", "accept"];
    accept.extend(words.split(' '));
    let tablet = town.stranger("tablet");
    tablet.fails(2, &[&accept[..], &["--yes"]].concat());
    let mut wrong = accept.clone();
    wrong[4] = "lettre";
    wrong.extend(["--relay", town.url(), "--yes"]);
    let failure = tablet.fails(2, &wrong);
    assert_eq!(failure["message"], "word 3 is not in the list");
    assert!(
        !tablet.home.exists(),
        "a mistyped word leaves nothing behind"
    );
    accept.extend(["--relay", town.url(), "--yes"]);
    tablet.ok(&accept);
    assert_eq!(links.wait().code, Some(0));
    assert_eq!(account(&tablet), account(&alice));
}

#[test]
fn a_secret_works_once_and_in_time() {
    let town = Town::new();
    let (alice, other) = (town.person("alice"), town.person("other"));
    let (links, used) = offer(&alice, &["--yes"]);
    other.fails(1, &["device", "accept", &used, "--yes"]);
    let tablet = town.stranger("tablet");
    tablet.ok(&["device", "accept", &used, "--yes"]);
    assert_eq!(links.wait().code, Some(0));
    tablet.fails(1, &["device", "accept", &used, "--yes"]);

    let (links, late) = offer(&alice, &["--yes", "--timeout", "500ms"]);
    let ran = links.wait();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let (links, stopped) = offer(&alice, &["--yes"]);
    links.interrupt();
    assert_eq!(links.wait().code, Some(130));
    for secret in [&used, &late, &stopped] {
        let third = town.stranger("third");
        third.fails(3, &["device", "accept", secret, "--yes"]);
        assert!(!client_home(&third), "no half device");
    }
    assert_eq!(devices(&alice).len(), 2);
}

/// Whether a home holds a profile.
fn client_home(person: &Person) -> bool {
    person.home.join("profile.db").exists() || person.home.join("profile.key").exists()
}

#[test]
fn a_new_device_that_was_killed_goes_on_with_the_same_secret() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let start = Instant::now();
    let first = link(&town, &alice, "first");
    let span = start.elapsed();
    for eighth in 1..=6 {
        let name = format!("device-{eighth}");
        let (links, secret) = offer(&alice, &["--yes"]);
        let tablet = town.stranger(&name);
        let accept = ["device", "accept", &secret, "--name", &name, "--yes"];
        let accepts = tablet.start(&accept);
        std::thread::sleep(span * eighth / 8);
        accepts.kill();
        let again = tablet.run(&accept);
        // It may have been all but done.
        let known =
            again.code == Some(1) && again.stderr.contains("an account in this home already");
        assert!(known || again.code == Some(0), "{name}: {again:?}");
        let ran = links.wait();
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        assert_eq!(account(&tablet), account(&first));
        let gone = ["device", "revoke", &name, "--reason", "retired", "--yes"];
        alice.ok(&gone);
    }
    assert_eq!(devices(&alice).len(), 2);
}

#[test]
fn an_old_device_that_was_killed_leaves_no_half_device() {
    let town = Town::new();
    let alice = town.person("alice");
    let (links, secret) = offer(&alice, &["--yes"]);
    links.kill();
    alice.ok(&["receive"]);
    let tablet = town.stranger("tablet");
    tablet.fails(3, &["device", "accept", &secret, "--yes"]);
    assert!(!client_home(&tablet));
    assert_eq!(devices(&alice).len(), 1);
}

#[test]
fn a_link_runs_through_the_process_that_has_the_home_open() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let mut follows = alice.start(&["receive", "--follow", "--json"]);
    alice.ok(&["contact", "list"]);
    let tablet = link(&town, &alice, "tablet");
    bob.ok(&["send", "alice", "to both", "--wait"]);
    let heard: Value = serde_json::from_str(&follows.next_line().unwrap()).unwrap();
    assert_eq!(text(&heard, "text"), "to both");
    tablet.receive();
    assert_eq!(tablet.read("bob").last().unwrap(), "to both");
    follows.interrupt();
    assert_eq!(follows.wait().code, Some(0));
}

#[test]
fn two_people_compare_at_their_terminals() {
    let town = Town::new();
    let alice = town.person("alice");
    for command in [&["device", "link"][..], &["device", "accept", "LL1-0"]] {
        alice.fails(2, command);
    }
    for same in [false, true] {
        let mut links = Terminal::open(&mut alice.command(&["device", "link"]));
        let secret = links.next_line();
        let tablet = town.stranger("tablet");
        let words = ["device", "accept", &secret, "--name", "tablet"];
        let mut accepts = Terminal::open(&mut tablet.command(&words));
        let asked = links.wait_for("Does the new device show ", "?");
        let shown = accepts.wait_for("Does the old device show ", "?");
        assert_eq!(asked, shown);
        assert_eq!(asked.len(), 7, "{asked}");
        accepts.answer("y");
        links.answer(if same { "yes" } else { "" });
        let (linked, accepted) = (links.end(), accepts.end());
        let code = if same { 0 } else { 3 };
        assert_eq!((linked, accepted), (Some(code), Some(code)));
        assert_eq!(client_home(&tablet), same);
        assert_eq!(devices(&alice).len(), if same { 2 } else { 1 });
    }
    // Who leaves while the other one compares leaves nothing.
    let mut links = Terminal::open(&mut alice.command(&["device", "link"]));
    let secret = links.next_line();
    let third = town.stranger("third");
    let mut accepts = Terminal::open(&mut third.command(&["device", "accept", &secret]));
    links.wait_for("Does the new device show ", "?");
    accepts.wait_for("Does the old device show ", "?");
    accepts.interrupt();
    assert_eq!((accepts.end(), links.end()), (Some(130), Some(3)));
    assert!(!client_home(&third));
    assert_eq!(devices(&alice).len(), 2);
}
