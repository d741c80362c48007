//! Ordinary days: people meet, write, answer, leave.

use crate::from;
use engine::records::{LetterState, Trust};
use engine::{CommandOutcome, Draft, EngineError, Event, Input, Table, VerificationMeans};
use letterlock_testkit::World;
use wire::{RefusalKind, Refused, Reply, Request};

#[test]
fn letters_go_both_ways_in_order_while_one_is_away() {
    let mut world = World::new(1);
    world.join("alice");
    world.join("bob");
    let invite = world.invite("bob");
    let bob = world.add_by_invite("alice", &invite).unwrap();
    assert_eq!(bob, world.account("bob"));
    let trust = world.person("alice").contact("bob").unwrap().trust;
    assert_eq!(trust, Trust::ByInvite);
    world.stop("bob");
    for text in ["one", "two", "three"] {
        world.send("alice", "bob", text);
    }
    world.settle();
    let states = |world: &World| -> Vec<LetterState> {
        let letters = world.person("alice").letters("bob");
        letters.iter().map(|letter| letter.state).collect()
    };
    assert_eq!(states(&world), [LetterState::Sent; 3]);
    world.start("bob");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["one", "two", "three"]));
    assert_eq!(states(&world), [LetterState::Delivered; 3]);
    world.stop("alice");
    world.send("bob", "alice", "four");
    world.send("bob", "alice", "five");
    world.settle();
    world.start("alice");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["four", "five"]));
    assert!(world.read("alice").is_empty(), "a letter is shown once");
}

#[test]
fn a_letter_written_without_network_leaves_later() {
    let mut world = World::new(2);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.set_online("alice", false);
    let letter = world.send("alice", "bob", "from the train");
    world.run(30);
    assert!(world.read("bob").is_empty());
    world.set_online("alice", true);
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["from the train"]));
    let told =
        |event: &Event| matches!(event, Event::LetterDelivered { letter: id } if *id == letter);
    assert!(world.person("alice").events.iter().any(told));
}

#[test]
fn a_contact_by_name_is_claimed_until_it_is_verified() {
    let mut world = World::new(3);
    world.join("alice");
    world.join("bob");
    let bob = world.add_by_name("alice", "bob").unwrap();
    let trust = |world: &World| world.person("alice").contact("bob").unwrap().trust;
    assert_eq!(trust(&world), Trust::Claimed);
    let means = VerificationMeans::SafetyNumber;
    let done = world.command("alice", |command| Input::MarkVerified {
        command,
        contact: bob,
        means,
    });
    assert!(matches!(done, CommandOutcome::Done));
    assert_eq!(trust(&world), Trust::BySafetyNumber);
    assert_eq!(
        world.add_by_name("alice", "nobody"),
        Err(EngineError::UnknownName)
    );
}

#[test]
fn a_stranger_gets_no_receipt_until_answered() {
    let mut world = World::new(4);
    world.join("alice");
    world.join("bob");
    world.add_by_name("alice", "bob").unwrap();
    world.send("alice", "bob", "do you know me?");
    world.settle();
    assert!(world.person("bob").contact("alice").unwrap().request);
    assert_eq!(world.read("bob"), from("alice", &["do you know me?"]));
    let state = |world: &World| world.person("alice").letters("bob")[0].state;
    assert_eq!(state(&world), LetterState::Sent);
    world.send("bob", "alice", "yes");
    world.settle();
    assert!(!world.person("bob").contact("alice").unwrap().request);
    assert_eq!(world.read("alice"), from("bob", &["yes"]));
}

#[test]
fn an_invite_works_once_and_not_for_ever() {
    let mut world = World::new(5);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    let invite = world.invite("bob");
    world.add_by_invite("alice", &invite).unwrap();
    world.add_by_invite("alice", &invite).unwrap();
    let used = world.add_by_invite("carol", &invite);
    assert_eq!(used, Err(EngineError::InviteUsed));
    let own = world.add_by_invite("bob", &invite);
    assert_eq!(own, Err(EngineError::OwnInvite));
    let cut = world.add_by_invite("carol", &invite[..invite.len() - 1]);
    assert_eq!(cut, Err(EngineError::InvalidInvite));
    let late = world.invite("bob");
    world.sleep(25 * 3600);
    let expired = world.add_by_invite("carol", &late);
    assert_eq!(expired, Err(EngineError::InviteExpired));
}

#[test]
fn who_was_invited_is_no_stranger() {
    let mut world = World::new(6);
    world.join("alice");
    world.join("bob");
    let invite = world.invite("bob");
    world.add_by_invite("alice", &invite).unwrap();
    world.send("alice", "bob", "here I am");
    world.settle();
    assert!(!world.person("bob").contact("alice").unwrap().request);
    let state = world.person("alice").letters("bob")[0].state;
    assert_eq!(state, LetterState::Delivered);
}

#[test]
fn a_blocked_contact_is_not_heard() {
    let mut world = World::new(7);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    world.befriend("carol", "bob");
    world.send("alice", "bob", "before");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["before"]));
    let block = |world: &mut World, blocked| {
        let contact = world.account("alice");
        world.command("bob", |command| Input::Block {
            command,
            contact,
            blocked,
        })
    };
    block(&mut world, true);
    world.settle();
    world.send("alice", "bob", "while blocked");
    world.send("carol", "bob", "not blocked");
    world.run(120);
    assert_eq!(world.read("bob"), from("carol", &["not blocked"]));
    let refused = world.send_draft("bob", "alice", text("no"));
    assert_eq!(refused, Err(EngineError::Blocked));
    block(&mut world, false);
    world.settle();
    world.read("bob");
    world.send("alice", "bob", "after");
    world.run(120);
    let shown = world.read("bob");
    assert_eq!(shown.last(), from("alice", &["after"]).last());
}

#[test]
fn a_reply_names_the_letter_it_answers() {
    let mut world = World::new(8);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let question = world.send("alice", "bob", "when?");
    world.settle();
    let answer = Draft {
        reply_to: Some(question),
        ..text("at six")
    };
    let answer = world.send_draft("bob", "alice", answer).unwrap();
    world.settle();
    let letters = world.person("alice").letters("bob");
    let got = letters.iter().find(|letter| letter.id == answer).unwrap();
    assert_eq!(got.reply_to, Some(question));
    let unknown = Draft {
        reply_to: Some(keys::LetterId::from_bytes([1; 16])),
        ..text("to nothing")
    };
    let refused = world.send_draft("bob", "alice", unknown);
    assert_eq!(refused, Err(EngineError::UnknownLetter));
}

#[test]
fn a_letter_with_a_timer_goes_on_both_sides() {
    let mut world = World::new(9);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let draft = Draft {
        expires_after: Some(3600),
        ..text("burnable")
    };
    world.send_draft("alice", "bob", draft).unwrap();
    world.send("alice", "bob", "lasting");
    world.settle();
    let words = |world: &World, name: &str, other: &str| -> Vec<String> {
        let letters = world.person(name).letters(other);
        letters.into_iter().map(|letter| letter.text).collect()
    };
    world.sleep(2 * 3600);
    world.settle();
    assert_eq!(words(&world, "alice", "bob"), ["lasting"]);
    assert_eq!(
        words(&world, "bob", "alice"),
        ["burnable", "lasting"],
        "the recipient's timer starts at first display"
    );
    world.read("bob");
    world.sleep(2 * 3600);
    world.settle();
    assert_eq!(words(&world, "bob", "alice"), ["lasting"]);
    assert!(world.person("bob").store.search("burnable").is_empty());
    assert_eq!(world.person("bob").store.search("lasting").len(), 1);
}

#[test]
fn simultaneous_first_letters_converge() {
    for seed in 10..16 {
        let mut world = World::new(seed);
        world.join("alice");
        world.join("bob");
        world.befriend("alice", "bob");
        world.set_online("alice", false);
        world.set_online("bob", false);
        world.send("alice", "bob", "a1");
        world.send("bob", "alice", "b1");
        world.set_online("alice", true);
        world.set_online("bob", true);
        world.settle();
        world.send("alice", "bob", "a2");
        world.send("bob", "alice", "b2");
        world.settle();
        assert_eq!(world.read("alice"), from("bob", &["b1", "b2"]));
        assert_eq!(world.read("bob"), from("alice", &["a1", "a2"]));
    }
}

#[test]
fn three_people_at_two_relays_write_to_each_other() {
    let mut world = World::new(17);
    world.add_relay("https://elsewhere.example");
    world.join("alice");
    world.join("bob");
    world.join_at("carol", "https://elsewhere.example");
    let pairs = [("alice", "bob"), ("bob", "carol"), ("carol", "alice")];
    for (one, other) in pairs {
        world.befriend(one, other);
    }
    for (one, other) in pairs {
        world.send(one, other, &format!("{one} to {other}"));
        world.send(other, one, &format!("{other} to {one}"));
    }
    world.settle();
    for (one, other) in pairs {
        let expected = |from: &str, to: &str| (from.to_owned(), format!("{from} to {to}"));
        let letters = world.person(one).letters(other);
        assert_eq!(letters.len(), 2);
        assert!(
            letters
                .iter()
                .any(|letter| letter.text == expected(other, one).1)
        );
    }
    for name in ["alice", "bob", "carol"] {
        assert_eq!(world.read(name).len(), 2);
    }
}

fn text(text: &str) -> Draft {
    Draft {
        text: text.to_owned(),
        ..Draft::default()
    }
}

#[test]
fn replaced_pre_keys_are_destroyed() {
    let mut world = World::new(71);
    world.join("alice");
    world.join("bob");
    let kept = |world: &World| world.person("alice").store.count(Table::PreKey);
    let at_first = kept(&world);
    for _ in 0..20 {
        world.sleep(7 * 24 * 3600 + 60);
        world.run(5);
        world.settle();
    }
    // For as long as a session may wait for an answer and a letter lie at the relay: two keys a week, and all one-time keys
    // once.
    assert!(kept(&world) <= 2 * at_first + 2 * 10, "{}", kept(&world));
}

#[test]
fn who_is_not_written_to_for_months_is_reachable() {
    let mut world = World::new(74);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    for _ in 0..16 {
        world.sleep(7 * 24 * 3600 + 60);
        world.run(5);
        world.settle();
    }
    world.send("bob", "alice", "still reachable");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["still reachable"]));
}

/// Alice hears nothing of Bob, and goes on in the session that she began; he comes to it late.
#[test]
fn keys_of_a_session_that_waits_long_are_kept() {
    let mut world = World::new(72);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.set_online("bob", false);
    world.send("alice", "bob", "one");
    world.run(5);
    let weeks = |world: &mut World, weeks: u64| {
        for _ in 0..weeks {
            world.sleep(7 * 24 * 3600 + 60);
            world.run(5);
        }
    };
    weeks(&mut world, 3);
    world.send("alice", "bob", "two");
    world.run(5);
    weeks(&mut world, 4);
    world.set_online("bob", true);
    world.run(30);
    assert!(world.read("bob").contains(&from("alice", &["two"])[0]));
    let closed = |event: &Event| matches!(event, Event::Undecryptable { .. });
    assert!(!world.was_told("bob", closed));
}

/// Keys that were asked for again, and came after others did, begin no session.
#[test]
fn keys_that_nobody_waits_for_begin_no_session() {
    let mut world = World::new(73);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let mut left = 1;
    world
        .relay()
        .twist(move |request, reply| match (request, left) {
            (Request::FetchBundle(_), 1) => {
                left = 0;
                Reply::Refused(Refused::new(RefusalKind::NotFound, ""))
            }
            _ => reply,
        });
    let asked = |world: &mut World| {
        let heard = world.relay().heard().iter();
        heard
            .filter(|request| matches!(request, Request::FetchBundle(_)))
            .count()
    };
    let before = asked(&mut world);
    world.send("alice", "bob", "one");
    world.run(5);
    assert_eq!(asked(&mut world), before + 1);
    assert!(world.read("bob").is_empty());
    world.send("alice", "bob", "two");
    world.run(5);
    assert_eq!(world.read("bob").len(), 2);
    world.run(300);
    assert_eq!(asked(&mut world), before + 2);
}
