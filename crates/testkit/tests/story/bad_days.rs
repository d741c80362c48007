//! Bad days: crashes, full disks, relays that lose what they had.

use crate::from;
use engine::records::LetterState;
use engine::{EngineError, Event, Input, StoreError};
use letterlock_testkit::{CrashPoint, Weather, World};

fn two(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world
}

fn acquainted(seed: u64) -> World {
    let mut world = two(seed);
    world.send("alice", "bob", "hello");
    world.send("bob", "alice", "hello");
    world.settle();
    world.read("alice");
    world.read("bob");
    world
}

/// Writes a letter that dies on its way through the program, and starts the program again.
fn write_and_die(world: &mut World, point: CrashPoint, text: &str) {
    let letter = keys::LetterId::random(world.chance().rng());
    let to = world.account("bob");
    let draft = engine::Draft {
        text: text.to_owned(),
        ..engine::Draft::default()
    };
    world.crash("alice", point, 1);
    world.begin("alice", |command| Input::SendLetter {
        command,
        letter,
        to,
        draft,
    });
    assert!(!world.runs("alice"));
    world.run(10);
    world.start("alice");
    world.settle();
}

#[test]
fn killed_between_store_and_send() {
    for mut world in [two(20), acquainted(21)] {
        write_and_die(&mut world, CrashPoint::AfterStore, "stored, so it leaves");
        assert_eq!(world.read("bob"), from("alice", &["stored, so it leaves"]));
        write_and_die(&mut world, CrashPoint::AfterSend, "sent, so not twice");
        assert_eq!(world.read("bob"), from("alice", &["sent, so not twice"]));
    }
}

#[test]
fn killed_before_store_is_as_if_nothing_was_asked() {
    let mut world = acquainted(22);
    let before = world.relay().heard().len();
    write_and_die(&mut world, CrashPoint::BeforeStore, "never accepted");
    let is_send = |request: &wire::Request| matches!(request, wire::Request::Send(_));
    assert!(!world.relay().heard()[before..].iter().any(is_send));
    assert!(world.read("bob").is_empty());
}

#[test]
fn a_full_disk_sends_nothing_and_loses_nothing() {
    let mut world = acquainted(23);
    world.person_mut("bob").store.set_full(true);
    world.send("alice", "bob", "waits at the relay");
    world.run(20);
    assert!(
        world
            .person("bob")
            .letters("alice")
            .iter()
            .all(|letter| letter.text == "hello")
    );
    assert_eq!(world.relay().store().waiting(), 1);
    world.send("alice", "bob", "waits behind it");
    world.run(20);
    world.person_mut("bob").store.set_full(false);
    world.settle();
    let both = ["waits at the relay", "waits behind it"];
    assert_eq!(world.read("bob"), from("alice", &both));
    world.person_mut("alice").store.set_full(true);
    let before = world.relay().heard().len();
    let failed = world.try_command("alice", |command| Input::CreateInvite {
        command,
        valid_for: 60,
    });
    assert_eq!(failed, Err(EngineError::Store(StoreError::Full)));
    world.run(5);
    assert_eq!(world.relay().heard().len(), before);
}

#[test]
fn letters_survive_a_relay_set_back_and_are_shown_once() {
    let mut world = acquainted(24);
    let backup = world.relay().store().clone();
    world.stop("bob");
    for text in ["one", "two", "three"] {
        world.send("alice", "bob", text);
    }
    world.settle();
    world.roll_back_relay(backup);
    world.settle();
    world.start("bob");
    world.run(180);
    let events = &world.person("alice").events;
    let told = |event: &Event| matches!(event, Event::RelayRolledBack { .. });
    assert!(events.iter().any(told));
    assert_eq!(world.read("bob"), from("alice", &["one", "two", "three"]));
    world.send("bob", "alice", "four");
    world.send("alice", "bob", "five");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["four"]));
    assert_eq!(world.read("bob"), from("alice", &["five"]));
}

#[test]
fn letters_survive_a_relay_that_starts_from_nothing() {
    let mut world = World::new(25);
    let empty = world.relay().store().clone();
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "hello");
    world.send("bob", "alice", "hello");
    world.settle();
    world.stop("bob");
    world.send("alice", "bob", "one");
    world.settle();
    world.roll_back_relay(empty);
    world.send("alice", "bob", "two");
    world.run(30);
    world.start("bob");
    world.run(300);
    // What waited for the network and what the relay lost go on two ways: each once, in any order.
    let mut shown = world.read("bob");
    shown.sort();
    assert_eq!(shown, from("alice", &["hello", "one", "two"]));
    assert_eq!(world.read("alice"), from("bob", &["hello"]));
}

#[test]
fn a_full_queue_takes_letters_again_later() {
    let mut world = acquainted(26);
    world.stop("bob");
    world.relay().set_capacity(2);
    for text in ["one", "two", "three", "four"] {
        world.send("alice", "bob", text);
    }
    world.run(60);
    assert_eq!(world.relay().store().waiting(), 2);
    let failed = |world: &World| {
        let letters = world.person("alice").letters("bob");
        letters
            .iter()
            .any(|letter| letter.state == LetterState::Failed)
    };
    assert!(!failed(&world));
    world.start("bob");
    world.run(2);
    world.send(
        "alice",
        "bob",
        "five, while the third waits for its next attempt",
    );
    world.run(600);
    assert!(!failed(&world));
    let shown: Vec<String> = world
        .read("bob")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(shown[..4], ["one", "two", "three", "four"]);
    assert!(shown[4].starts_with("five"));
}

#[test]
fn a_storm_loses_and_repeats_nothing() {
    for seed in 27..31 {
        let mut world = acquainted(seed);
        world.set_weather(Weather::storm());
        let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for text in &texts {
            world.send("alice", "bob", text);
            world.send("bob", "alice", text);
            world.run(2);
        }
        world.set_weather(Weather::calm());
        world.settle();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(world.read("bob"), from("alice", &texts));
        assert_eq!(world.read("alice"), from("bob", &texts));
    }
}

#[test]
fn a_home_set_back_to_an_older_copy_can_write_again() {
    let mut world = acquainted(32);
    let backup = world.person("alice").store.clone();
    for number in 0..3 {
        world.send("alice", "bob", &format!("lost to alice {number}"));
        world.send("bob", "alice", &format!("lost too {number}"));
        world.settle();
    }
    world.read("bob");
    world.stop("alice");
    world.person_mut("alice").store = backup;
    world.start("alice");
    world.settle();
    world.send("bob", "alice", "are you back?");
    world.run(200);
    assert!(
        world
            .read("alice")
            .contains(&("bob".to_owned(), "are you back?".to_owned()))
    );
    world.send("alice", "bob", "yes");
    world.run(200);
    assert_eq!(world.read("bob"), from("alice", &["yes"]));
}

#[test]
fn a_letter_by_a_new_route_does_not_overtake_the_front_door() {
    for seed in 33..40 {
        let mut world = two(seed);
        world.set_online("alice", false);
        world.send("bob", "alice", "where are you?");
        world.settle();
        world.stop("bob");
        // Bob's letter, and the route in it, come after alice's first one has left.
        world.relay().distort(|_| Vec::new());
        world.set_online("alice", true);
        world.send("alice", "bob", "one");
        world.settle();
        world.relay().repent();
        world.set_online("alice", false);
        world.set_online("alice", true);
        world.settle();
        assert_eq!(world.read("alice"), from("bob", &["where are you?"]));
        world.send("alice", "bob", "two");
        world.settle();
        world.start("bob");
        world.settle();
        assert_eq!(world.read("bob"), from("alice", &["one", "two"]));
        world.send("alice", "bob", "three");
        world.settle();
        assert_eq!(world.read("bob"), from("alice", &["three"]));
    }
}

#[test]
fn used_pre_keys_of_a_relay_set_back_lose_no_letter() {
    let mut world = World::new(37);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    for (one, other) in [("alice", "bob"), ("alice", "carol"), ("carol", "bob")] {
        world.befriend(one, other);
    }
    let backup = world.relay().store().clone();
    world.send("alice", "bob", "with bob's first keys");
    world.send("alice", "carol", "with carol's first keys");
    world.settle();
    world.read("bob");
    world.read("carol");
    world.stop("bob");
    world.stop("carol");
    world.roll_back_relay(backup);
    // The relay's version passes the one they remember: they cannot see that it was set back.
    for _ in 0..200 {
        world.invite("alice");
    }
    world.start("carol");
    world.send("carol", "bob", "with the same keys");
    world.settle();
    world.start("bob");
    world.run(300);
    assert_eq!(world.read("bob"), from("carol", &["with the same keys"]));
}
