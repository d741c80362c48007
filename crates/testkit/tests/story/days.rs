//! Ordinary days: people meet, write, answer, leave.

use engine::records::{LetterState, Trust};
use letterlock_testkit::World;

fn from(who: &str, texts: &[&str]) -> Vec<(String, String)> {
    texts
        .iter()
        .map(|text| (who.to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn letters_go_both_ways_in_order_while_one_is_away() {
    let mut world = World::new(1);
    world.join("alice");
    world.join("bob");
    let invite = world.invite("bob");
    let bob = world.add_by_invite("alice", &invite).unwrap();
    assert_eq!(bob, world.account("bob"));
    assert_eq!(
        world.person("alice").contact("bob").unwrap().trust,
        Trust::ByInvite
    );
    world.stop("bob");
    world.send("alice", "bob", "one");
    world.send("alice", "bob", "two");
    world.send("alice", "bob", "three");
    world.settle();
    assert!(
        world
            .person("alice")
            .letters("bob")
            .iter()
            .all(|letter| letter.state == LetterState::Sent)
    );
    world.start("bob");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["one", "two", "three"]));
    world.stop("alice");
    world.send("bob", "alice", "four");
    world.send("bob", "alice", "five");
    world.settle();
    world.start("alice");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["four", "five"]));
    assert!(world.read("alice").is_empty(), "a letter is shown once");
    let states: Vec<_> = world
        .person("alice")
        .letters("bob")
        .iter()
        .map(|letter| letter.state)
        .collect();
    assert_eq!(states[..3], [LetterState::Delivered; 3]);
}
