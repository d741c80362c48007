//! The other is away, or the relay is.

use crate::support::Town;
use std::path::Path;

#[test]
fn letters_to_someone_away_arrive_later_in_order() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let texts: Vec<String> = (1..=12).map(|number| format!("letter {number}")).collect();
    for text in &texts {
        alice.ok(&["send", "bob", text, "--wait"]);
    }
    assert_eq!(bob.receive(), texts);
    assert_eq!(bob.receive(), [""; 0]);
}

#[test]
fn first_letters_that_cross_begin_one_conversation() {
    let town = Town::new();
    let (alice, bob) = (town.person("alice"), town.person("bob"));
    for (one, other) in [(&alice, "bob"), (&bob, "alice")] {
        one.ok(&["contact", "add", &format!("{other}@{}", town.authority())]);
    }
    alice.ok(&["send", "bob", "a1", "--wait"]);
    bob.ok(&["send", "alice", "b1", "--wait"]);
    alice.ok(&["send", "bob", "a2", "--wait"]);
    bob.ok(&["send", "alice", "b2", "--wait"]);
    assert_eq!(alice.receive(), ["b1", "b2"]);
    assert_eq!(bob.receive(), ["a1", "a2"]);
    for round in 0..3 {
        let (to_bob, to_alice) = (format!("a {round}"), format!("b {round}"));
        alice.ok(&["send", "bob", &to_bob, "--wait"]);
        bob.ok(&["send", "alice", &to_alice, "--wait"]);
        assert_eq!(
            (alice.receive(), bob.receive()),
            (vec![to_alice], vec![to_bob])
        );
    }
    assert_eq!(alice.json(&["contact", "list"]).len(), 1);
}

#[test]
fn without_a_relay_letters_wait_in_the_outbox() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    town.stop_relay();

    let queued = alice.run(&["send", "bob", "one", "--json", "--timeout", "1s"]);
    assert_eq!(queued.code, Some(0), "{queued:?}");
    assert_eq!(queued.objects()[0]["state"], "queued");
    let queued = alice.ok(&["send", "bob", "two", "--timeout", "1s"]);
    assert!(queued.stdout.contains("in the outbox"), "{queued:?}");

    let waited = alice.run(&["send", "bob", "three", "--wait", "--timeout", "1s"]);
    assert_eq!(waited.code, Some(4), "{waited:?}");
    assert!(waited.stderr.contains("error: ") && waited.stderr.contains("hint: "));

    town.start_relay();
    alice.ok(&["send", "bob", "four", "--wait"]);
    assert_eq!(bob.receive(), ["one", "two", "three", "four"]);
    assert_eq!(alice.read("bob").len(), 5);
}

#[test]
fn without_a_relay_other_commands_say_so() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    town.stop_relay();
    let address = format!("carol@{}", town.authority());
    let carol = town.stranger("carol");
    let url = town.url().to_owned();
    let create = ["account", "create", "carol", "--relay", &url];
    assert_eq!(carol.fails(4, &create)["kind"], "unreachable");
    assert!(
        !carol.home.join("profile.key").exists(),
        "the next attempt may choose another passphrase"
    );
    assert_eq!(
        alice.fails(4, &["contact", "add", &address])["kind"],
        "unreachable"
    );
    // What is here can be read.
    assert_eq!(alice.read("bob"), ["It is me."]);
    assert_eq!(bob.json(&["search", "me"]).len(), 1);

    town.start_relay();
    carol.ok(&create);
    alice.ok(&["contact", "add", &address]);
}

#[test]
fn a_relay_put_back_to_an_older_state_loses_nothing() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let copy = town.path("copy");
    town.stop_relay();
    copy_folder(&town.relay_data(), &copy);
    town.start_relay();
    alice.ok(&["send", "bob", "one", "--wait"]);
    assert_eq!(bob.receive(), ["one"]);
    alice.ok(&["send", "bob", "two", "--wait"]);

    town.stop_relay();
    std::fs::remove_dir_all(town.relay_data()).unwrap();
    copy_folder(&copy, &town.relay_data());
    town.start_relay();
    let told = alice.ok(&["send", "bob", "three", "--wait"]).stderr;
    assert!(told.contains("note: "), "{told}");
    assert_eq!(
        bob.receive(),
        ["two", "three"],
        "the second was lost by the relay and sent again"
    );
    bob.ok(&["send", "alice", "I have all three.", "--wait"]);
    assert_eq!(alice.receive(), ["I have all three."]);
}

#[test]
fn a_relay_that_lost_everything_is_told_everything_again() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["send", "bob", "not fetched yet", "--wait"]);
    town.stop_relay();
    std::fs::remove_dir_all(town.relay_data()).unwrap();
    town.start_relay();
    // Bob's queues are there again once he has come by.
    bob.ok(&["receive"]);
    alice.ok(&["receive"]);
    alice.ok(&["send", "bob", "after the fire", "--wait"]);
    assert_eq!(bob.receive(), ["not fetched yet", "after the fire"]);
    bob.ok(&["send", "alice", "Both are here.", "--wait"]);
    assert_eq!(alice.receive(), ["Both are here."]);
    let carol = town.person("carol");
    carol.ok(&["contact", "add", &format!("bob@{}", town.authority())]);
    carol.ok(&["send", "bob", "New here.", "--wait"]);
    assert_eq!(bob.receive(), ["New here."]);
    assert_eq!(alice.ok(&["contact", "list"]).stdout.lines().count(), 1);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
