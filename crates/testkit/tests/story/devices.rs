//! One person, several devices.

use crate::from;
use engine::{CommandOutcome, Event};
use keys::account_log::Reason;
use letterlock_testkit::World;

#[test]
fn a_new_device_has_the_contacts_and_the_history() {
    let mut world = World::new(301);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "before");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["before"]));
    world.send("bob", "alice", "an answer");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["an answer"]));
    world.link("alice", "tablet");
    assert_eq!(world.account("alice"), world.account("tablet"));
    assert_ne!(world.device("alice"), world.device("tablet"));
    let texts = |world: &World, who: &str| -> Vec<String> {
        let letters = world.person(who).letters("bob");
        letters.into_iter().map(|letter| letter.text).collect()
    };
    assert_eq!(texts(&world, "tablet"), ["before", "an answer"]);
}

#[test]
fn every_device_of_a_person_is_that_person() {
    let mut world = World::new(302);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.link("alice", "tablet");
    // The first letter of a contact that knows no second device yet.
    world.send("bob", "alice", "to whom?");
    world.settle();
    assert_eq!(world.read("tablet"), from("bob", &["to whom?"]));
    world.settle();
    assert!(world.read("alice").is_empty(), "it was read on the tablet");
    // What one device sends shows on the other, and comes to the contact once.
    world.send("tablet", "bob", "from the tablet");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["from the tablet"]));
    let shown = world.person("alice").letters("bob");
    assert_eq!(
        shown.last().map(|letter| letter.text.as_str()),
        Some("from the tablet")
    );
    world.send("bob", "alice", "to both");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["to both"]));
    world.settle();
    assert!(world.read("tablet").is_empty());
}

#[test]
fn a_revoked_device_hears_nothing_more() {
    let mut world = World::new(303);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let tablet = world.link("alice", "tablet");
    world.send("bob", "alice", "to both");
    world.settle();
    world.read("tablet");
    world.settle();
    world.stop("tablet");
    world.set_online("bob", false);
    let done = world.revoke("alice", tablet, Reason::Stolen);
    assert!(matches!(done, CommandOutcome::Done), "{done:?}");
    world.settle();
    // Nothing is kept for the stolen device: its sibling closed its queues.
    let heard = world.relay().heard().iter().rev().take(12);
    let closed = heard.filter(|request| matches!(request, wire::Request::DeleteQueue(_)));
    assert!(closed.count() >= 2);
    // Bob was away: he learns it before his next letter leaves.
    world.send("bob", "alice", "to alice alone");
    world.set_online("bob", true);
    world.settle();
    world.start("tablet");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["to alice alone"]));
    assert!(world.read("tablet").is_empty());
    let revoked = |event: &Event| matches!(event, Event::DeviceRevoked);
    assert!(world.person("tablet").events.iter().any(revoked));
}

#[test]
fn a_letter_to_several_devices_is_one_body() {
    let mut world = World::new(304);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    for tablet in ["second", "third", "fourth", "fifth"] {
        world.link("alice", tablet);
    }
    // Every device of alice tells bob its route with an answer.
    world.send("bob", "alice", "hello all");
    world.settle();
    for device in ["alice", "second", "third", "fourth", "fifth"] {
        world.send(device, "bob", device);
        world.settle();
    }
    let before = world.relay().heard().len();
    world.send("bob", "alice", "to all five");
    world.settle();
    let heard = world.relay().heard().iter().skip(before);
    let sends = heard.filter_map(|request| match request {
        wire::Request::Send(send) => Some(send),
        _ => None,
    });
    let widest = sends.max_by_key(|send| send.rows.len()).unwrap();
    assert_eq!(widest.rows.len(), 5);
    assert!(widest.body.len() <= 4096, "{}", widest.body.len());
    for device in ["alice", "second", "third", "fourth", "fifth"] {
        let letters = world.person(device).letters("bob");
        let texts: Vec<&str> = letters.iter().map(|letter| letter.text.as_str()).collect();
        assert_eq!(
            texts.iter().filter(|text| **text == "to all five").count(),
            1
        );
    }
}
