//! Days of people with several devices: each shows everything once.

use crate::from;
use crate::linking::{friends, letters_flow};
use engine::{CommandOutcome, EngineError, Event, Finding, Input, Table, VerificationMeans};
use letterlock_testkit::{Weather, World};

const ALICE: [&str; 3] = ["alice", "tablet", "phone"];

/// Alice has three devices, bob two, carol one.
fn family(seed: u64) -> World {
    let mut world = friends(seed);
    world.join("carol");
    world.befriend("alice", "carol");
    world.befriend("bob", "carol");
    world.link("alice", "tablet");
    world.link("alice", "phone");
    world.link("bob", "laptop");
    world.settle();
    world
}

/// The texts of a conversation that begin with a mark.
fn marked(world: &World, name: &str, petname: &str, mark: &str) -> Vec<String> {
    let texts = world.texts(name, petname).into_iter();
    texts.filter(|text| text.starts_with(mark)).collect()
}

#[test]
fn letters_go_in_every_direction_and_show_once_in_one_order() {
    let mut world = family(601);
    let mut written = Vec::new();
    for round in 0..2 {
        for (who, to) in [
            ("alice", "bob"),
            ("bob", "alice"),
            ("tablet", "bob"),
            ("laptop", "alice"),
            ("phone", "bob"),
        ] {
            let text = format!("x {round} {who}");
            world.send(who, to, &text);
            world.settle();
            written.push(text);
        }
    }
    for device in ALICE {
        assert_eq!(marked(&world, device, "bob", "x"), written, "{device}");
    }
    for device in ["bob", "laptop"] {
        assert_eq!(marked(&world, device, "alice", "x"), written, "{device}");
    }
    // All at once: any order, but each once.
    let mut written = Vec::new();
    for who in ALICE {
        let text = format!("y {who}");
        world.send(who, "bob", &text);
        written.push(text);
    }
    for who in ["bob", "laptop"] {
        let text = format!("y {who}");
        world.send(who, "alice", &text);
        written.push(text);
    }
    world.settle();
    written.sort();
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    for device in ALICE {
        assert_eq!(
            sorted(marked(&world, device, "bob", "y")),
            written,
            "{device}"
        );
    }
    for device in ["bob", "laptop"] {
        assert_eq!(
            sorted(marked(&world, device, "alice", "y")),
            written,
            "{device}"
        );
    }
}

#[test]
fn what_one_device_does_shows_on_the_others() {
    let mut world = family(602);
    let letter = world.send("bob", "alice", "x");
    world.send("carol", "alice", "y");
    world.settle();
    assert_eq!(world.read("tablet").len(), 2);
    world.settle();
    assert!(world.read("alice").is_empty() && world.read("phone").is_empty());
    let letters = vec![letter];
    assert!(
        world
            .try_input("phone", Input::DeleteLetters { letters })
            .is_ok()
    );
    world.settle();
    let bob = world.person("alice").contact("bob").unwrap().id;
    for device in ALICE {
        assert!(marked(&world, device, "bob", "x").is_empty(), "{device}");
    }
    let means = VerificationMeans::SafetyNumber;
    let verified = world.command("phone", |command| Input::MarkVerified {
        command,
        contact: bob,
        means,
    });
    assert!(matches!(verified, CommandOutcome::Done));
    world.settle();
    for blocked in [true, false] {
        let done = world.command("tablet", |command| Input::Block {
            command,
            contact: bob,
            blocked,
        });
        assert!(matches!(done, CommandOutcome::Done));
        world.settle();
        for device in ALICE {
            let contact = world.person(device).contact("bob").unwrap();
            assert_eq!(contact.blocked, blocked, "{device}");
            assert!(contact.trust == engine::records::Trust::BySafetyNumber);
        }
    }
    letters_flow(&mut world, &ALICE, "after");
}

#[test]
fn a_contact_of_one_device_is_a_contact_of_all() {
    for by_name in [true, false] {
        let mut world = family(603);
        world.join("dave");
        if by_name {
            world.add_by_name("tablet", "dave").unwrap();
        } else {
            let invite = world.invite("dave");
            world.add_by_invite("tablet", &invite).unwrap();
        }
        // At once, before the others have the log of the contact.
        world.send("tablet", "dave", "x one");
        world.settle();
        world.add_by_name("dave", "alice").unwrap();
        world.send("dave", "alice", "x two");
        world.settle();
        world.send("phone", "dave", "x three");
        world.settle();
        let all = ["x one", "x two", "x three"];
        for device in ALICE {
            assert_eq!(marked(&world, device, "dave", "x"), all, "{device}");
            let contact = world.person(device).contact("dave").unwrap();
            assert!(!contact.request, "{device}");
        }
        assert_eq!(marked(&world, "dave", "alice", "x"), all);
    }
}

#[test]
fn an_invite_of_one_device_is_an_invite_of_all() {
    let mut world = family(604);
    world.join("dave");
    let invite = world.invite("tablet");
    world.add_by_invite("dave", &invite).unwrap();
    world.send("dave", "alice", "x");
    world.settle();
    for device in ALICE {
        let contact = world.person(device).contact("dave").unwrap();
        assert!(!contact.request, "{device}");
        assert_eq!(marked(&world, device, "dave", "x"), ["x"], "{device}");
    }
}

#[test]
fn a_device_that_was_away_catches_up() {
    let mut world = family(605);
    world.stop("phone");
    world.send("bob", "alice", "x one");
    world.send("tablet", "bob", "x two");
    world.settle();
    world.read("alice");
    world.sleep(26 * 3600);
    world.start("phone");
    world.run(90);
    world.settle();
    // They lay in two queues: any order.
    let mut texts = marked(&world, "phone", "bob", "x");
    texts.sort();
    assert_eq!(texts, ["x one", "x two"]);
    assert!(world.read("phone").is_empty(), "it was read on alice's");
}

#[test]
fn letters_of_those_who_know_an_older_list_reach_the_new_device() {
    let mut world = friends(606);
    world.link("alice", "tablet");
    world.send("tablet", "bob", "x zero");
    world.send("bob", "alice", "x one");
    world.settle();
    // Bob and the tablet asked a moment ago, and write before they ask again.
    world.link("alice", "phone");
    world.send("bob", "alice", "x two");
    world.send("tablet", "bob", "x three");
    world.read("tablet");
    world.settle();
    world.run(90);
    let sorted = |name: &str| {
        let mut texts = marked(&world, name, "bob", "x");
        texts.sort();
        texts
    };
    assert_eq!(sorted("phone"), ["x one", "x three", "x two", "x zero"]);
    assert_eq!(sorted("alice"), sorted("phone"));
    assert_eq!(sorted("tablet"), sorted("phone"));
}

#[test]
fn rotation_of_a_device_loses_no_letter() {
    for who in ["alice", "bob"] {
        let mut world = friends(607);
        world.link("alice", "tablet");
        let mut count = 0;
        for round in 0..3 {
            for (from, to) in [("bob", "alice"), ("alice", "bob"), ("tablet", "bob")] {
                world.send(from, to, &format!("x {round} {from}"));
                count += 1;
            }
            let rotated = world.begin(who, |command| Input::RotateDevice { command });
            for (from, to) in [("bob", "alice"), ("alice", "bob"), ("tablet", "bob")] {
                world.send(from, to, &format!("x {round} {from} again"));
                count += 1;
            }
            world.settle();
            assert!(matches!(
                world.outcome(who, rotated),
                Some(CommandOutcome::Done)
            ));
        }
        world.run(90);
        world.settle();
        for (device, petname) in [("alice", "bob"), ("tablet", "bob"), ("bob", "alice")] {
            let mut texts = marked(&world, device, petname, "x");
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count, "{who} rotates: {device}");
            assert_eq!(marked(&world, device, petname, "x").len(), count);
        }
    }
}

/// Alice gives her account a new root key, and everybody learns it.
fn new_root(world: &mut World) {
    let rotated = world.command("alice", |command| Input::RotateRoot { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    for contact in ["bob", "carol"] {
        world.send("alice", contact, "there is a new root key");
    }
    world.settle();
}

/// A family whose devices have all heard of each other.
fn acquainted(seed: u64) -> World {
    let mut world = family(seed);
    letters_flow(&mut world, &ALICE, "before");
    world.send("laptop", "alice", "from the laptop");
    world.settle();
    world
}

/// Someone compares safety numbers with alice.
fn compare(world: &mut World, who: &str) {
    let contact = world.account("alice");
    let means = VerificationMeans::SafetyNumber;
    let verified = world.command(who, |command| Input::MarkVerified {
        command,
        contact,
        means,
    });
    assert!(matches!(verified, CommandOutcome::Done), "{verified:?}");
    world.settle();
}

fn stopped(world: &World, who: &str) -> bool {
    world.person(who).contact("alice").unwrap().changed
}

#[test]
fn a_new_root_key_is_a_hard_stop() {
    let mut world = acquainted(608);
    let before = world.own_log("alice").root_key().as_bytes().to_vec();
    new_root(&mut world);
    assert_ne!(world.own_log("alice").root_key().as_bytes(), before);
    let alice = world.account("alice");
    for who in ["bob", "laptop", "carol"] {
        assert!(stopped(&world, who), "{who}");
        let told =
            |event: &Event| matches!(event, Event::RootReplaced { contact } if *contact == alice);
        let told = world.person(who).events.iter().filter(|event| told(event));
        assert_eq!(told.count(), 1, "{who}");
        let draft = engine::Draft {
            text: "to whom?".to_owned(),
            ..engine::Draft::default()
        };
        let refused = world.send_draft(who, "alice", draft);
        let changed = EngineError::IdentityChanged { contact: alice };
        assert_eq!(refused, Err(changed), "{who}");
        let kept = world.person(who).evidence();
        let findings: Vec<_> = kept.iter().map(|kept| kept.verify().unwrap()).collect();
        assert_eq!(findings, [Finding::RootReplaced { sequence: 3 }], "{who}");
        assert!(findings[0].is_signed());
    }
    // Alice's own devices know that it was she.
    assert!(world.person("tablet").evidence().is_empty());
    compare(&mut world, "bob");
    assert!(!stopped(&world, "laptop"), "a person decided for both");
    assert!(stopped(&world, "carol"));
    letters_flow(&mut world, &ALICE, "after");
}

#[test]
fn who_decided_about_a_root_key_decided_for_the_device_that_learns_of_it_later() {
    let mut world = acquainted(617);
    world.set_online("laptop", false);
    new_root(&mut world);
    compare(&mut world, "bob");
    world.set_online("laptop", true);
    world.settle();
    assert!(!stopped(&world, "bob") && !stopped(&world, "laptop"));
    // The next one is another question.
    new_root(&mut world);
    assert!(stopped(&world, "bob") && stopped(&world, "laptop"));
}

#[test]
fn a_stop_outlives_other_news_of_a_contact() {
    let mut world = acquainted(618);
    world.set_online("laptop", false);
    // The laptop has not heard of the new root key when it says something else of alice.
    let contact = world.account("alice");
    for blocked in [true, false] {
        let _ = world.begin("laptop", |command| Input::Block {
            command,
            contact,
            blocked,
        });
    }
    new_root(&mut world);
    world.set_online("laptop", true);
    world.settle();
    assert!(stopped(&world, "bob"));
    // It closed its queue meanwhile, and looks before it writes.
    world.send("laptop", "alice", "to whom?");
    world.settle();
    assert!(stopped(&world, "bob") && stopped(&world, "laptop"));
    assert!(!world.texts("alice", "bob").contains(&"to whom?".to_owned()));
}

/// An account whose log is longer than what a letter holds.
fn with_long_log(seed: u64) -> World {
    let mut world = friends(seed);
    for _ in 0..20 {
        let rotated = world.command("alice", |command| Input::RotateDevice { command });
        assert!(matches!(rotated, CommandOutcome::Done));
    }
    world.settle();
    let log = world.own_log("alice").bytes().len();
    assert!(log > engine::limits::LOG_IN_ENVELOPE_BYTES);
    assert!(log > wire::limits::LOG_PART_BYTES);
    world
}

#[test]
fn a_long_log_links() {
    let mut world = with_long_log(609);
    world.link("alice", "tablet");
    world.run(90);
    letters_flow(&mut world, &["alice", "tablet"], "after");
}

#[test]
fn who_has_a_long_log_is_added_and_writes_to_strangers() {
    let mut world = with_long_log(610);
    for name in ["carol", "dave", "erin"] {
        world.join(name);
    }
    world.add_by_name("carol", "alice").unwrap();
    let invite = world.invite("alice");
    world.add_by_invite("dave", &invite).unwrap();
    world.send("carol", "alice", "hello from carol");
    world.send("dave", "alice", "hello from dave");
    world.add_by_name("alice", "erin").unwrap();
    // Erin does not know alice: the log is fetched before the letter opens.
    world.send("alice", "erin", "to a stranger");
    world.send("alice", "erin", "and again");
    world.settle();
    let both = ["to a stranger", "and again"];
    assert_eq!(world.read("erin"), from("alice", &both));
    assert_eq!(world.texts("alice", "carol"), ["hello from carol"]);
    assert_eq!(world.texts("alice", "dave"), ["hello from dave"]);
    world.send("erin", "alice", "an answer");
    world.settle();
    assert!(
        world
            .texts("alice", "erin")
            .contains(&"an answer".to_owned())
    );
}

/// A first letter brings the log of its sender, unless there is no room for both.
#[test]
fn a_long_letter_to_a_new_device_goes_without_the_log() {
    let mut world = friends(611);
    for _ in 0..3 {
        let rotated = world.command("alice", |command| Input::RotateDevice { command });
        assert!(matches!(rotated, CommandOutcome::Done));
    }
    world.settle();
    let text = "long ".repeat(8_000);
    let log = world.own_log("alice").bytes().len();
    assert!(log <= engine::limits::LOG_IN_ENVELOPE_BYTES);
    assert!(log + text.len() > wire::limits::BODY_BUCKETS[3]);
    world.join("carol");
    world.add_by_name("alice", "carol").unwrap();
    world.send("alice", "carol", &text);
    world.send("alice", "carol", "and a short one");
    world.settle();
    let both = [text.as_str(), "and a short one"];
    assert_eq!(world.read("carol"), from("alice", &both));
}

const EVERYBODY: [(&str, &str); 5] = [
    ("alice", "bob"),
    ("bob", "alice"),
    ("tablet", "bob"),
    ("laptop", "alice"),
    ("phone", "bob"),
];

/// How often a home was told that something did not open.
fn unopened(world: &World, name: &str) -> usize {
    let events = world.person(name).events.iter();
    let unopened = events.filter(|event| matches!(event, Event::Undecryptable { .. }));
    unopened.count()
}

/// Everybody writes while a device changes its keys again and again.
fn cross(who: &str, weather: Weather) {
    let mut world = family(611);
    world.set_weather(weather);
    let mut written = Vec::new();
    for round in 0..3 {
        let rotated = world.begin(who, |command| Input::RotateDevice { command });
        for step in 0..3 {
            for (from, to) in EVERYBODY {
                let text = format!("x {round} {step} {from}");
                world.send(from, to, &text);
                written.push(text);
            }
            world.run(step);
        }
        world.run(5);
        let rotated = world.outcome(who, rotated);
        assert!(matches!(rotated, Some(CommandOutcome::Done)));
    }
    world.settle();
    written.sort();
    for (device, petname) in EVERYBODY {
        let mut texts = marked(&world, device, petname, "x");
        texts.sort();
        assert_eq!(texts, written, "{device}");
        assert_eq!(unopened(&world, device), 0, "{device}");
    }
}

#[test]
fn letters_that_cross_a_rotation_come_and_open() {
    cross("alice", Weather::calm());
    cross("bob", Weather::calm());
}

#[test]
fn letters_that_cross_a_rotation_come_and_open_on_a_slow_network() {
    let slow = Weather {
        delay_ms: 700..=1_200,
        ..Weather::calm()
    };
    cross("alice", slow.clone());
    cross("bob", slow);
}

#[test]
fn a_letter_to_keys_that_were_replaced_meanwhile_opens() {
    let mut world = friends(612);
    world.join("carol");
    world.add_by_name("carol", "alice").unwrap();
    world.send("carol", "alice", "x zero");
    world.settle();
    world.send("bob", "alice", "a moment ago");
    world.send("carol", "alice", "x a moment ago");
    world.run(2);
    world.set_weather(Weather {
        delay_ms: 950..=950,
        ..Weather::calm()
    });
    let rotated = world.begin("alice", |command| Input::RotateDevice { command });
    world.run(1);
    // Both logs were confirmed a moment ago. Alice answered bob, but not carol: hers go to the front door.
    world.send("bob", "alice", "x one");
    world.send("carol", "alice", "x two");
    world.run(1);
    assert!(matches!(
        world.outcome("alice", rotated),
        Some(CommandOutcome::Done)
    ));
    assert_ne!(world.texts("alice", "bob").last().unwrap(), "x one");
    // Neither of the two says anything more.
    world.set_online("bob", false);
    world.set_online("carol", false);
    world.run(60);
    assert_eq!(world.texts("alice", "bob").last().unwrap(), "x one");
    assert_eq!(
        world.texts("alice", "carol"),
        ["x zero", "x a moment ago", "x two"]
    );
    assert_eq!(unopened(&world, "alice"), 0);
}

#[test]
fn old_keys_are_worth_nothing_in_the_end() {
    let mut world = friends(613);
    let thief = world.person("alice").store.clone();
    let kept = |world: &World| {
        let store = &world.person("alice").store;
        (store.count(Table::Session), store.count(Table::PreKey))
    };
    let before = kept(&world);
    let rotated = world.command("alice", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done));
    world.settle();
    assert_eq!(kept(&world).0, 2 * before.0, "sessions that end");
    assert!(
        kept(&world).1 > 2 * before.1 - 5,
        "pre-keys of first letters"
    );
    letters_flow(&mut world, &["alice"], "before");
    world.run(engine::limits::HEARD_ANEW_SECONDS);
    assert_eq!(kept(&world).0, before.0);
    // A copy of what alice's device was writes on in her sessions.
    world.stop("alice");
    world.new_home("thief");
    world.person_mut("thief").store = thief;
    world.start("thief");
    world.send("thief", "bob", "x forged");
    world.run(30);
    // It may as well be a body that hung somewhere, so nobody is told; it is never shown.
    assert!(marked(&world, "bob", "alice", "x").is_empty());
    world.stop("thief");
    world.start("alice");
    world.sleep(engine::limits::REPLACED_KEPT_SECONDS);
    world.run(5);
    world.settle();
    // But for those of the week before, and some that were fetched and not used.
    assert!(kept(&world).1 < before.1 + 10, "{:?}", kept(&world));
    letters_flow(&mut world, &["alice"], "after");
}

#[test]
fn a_deleted_letter_that_comes_again_stays_away() {
    let mut world = friends(614);
    world.link("alice", "tablet");
    world.send("bob", "alice", "to both");
    world.settle();
    // The tablet does not confirm the letter, so that bob sends it to the phone too.
    world.stop("tablet");
    let letter = world.send("bob", "alice", "x one");
    world.settle();
    world.delete("alice", letter);
    world.settle();
    world.link("alice", "phone");
    world.send("bob", "alice", "x two");
    world.settle();
    world.start("tablet");
    world.run(90);
    world.settle();
    for device in ALICE {
        assert_eq!(marked(&world, device, "bob", "x"), ["x two"], "{device}");
    }
}

#[test]
fn a_device_that_joins_gets_what_another_had_not_told_yet() {
    let mut world = friends(615);
    world.link("alice", "tablet");
    world.set_online("tablet", false);
    world.send("tablet", "bob", "x one");
    // Alice, who has not got that, links a third device, and has new keys when the tablet comes back.
    world.link("alice", "phone");
    let rotated = world.command("alice", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done));
    world.settle();
    world.set_online("tablet", true);
    world.run(90);
    world.settle();
    for device in ALICE {
        assert_eq!(marked(&world, device, "bob", "x"), ["x one"], "{device}");
    }
}

#[test]
fn a_letter_that_was_handled_and_comes_again_is_no_news() {
    let mut world = friends(617);
    world.set_online("bob", false);
    world.send("alice", "bob", "x one");
    world.settle();
    let rotated = world.command("alice", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done));
    world.settle();
    // Bob asks for her log as soon as he can, hears her under the new keys, and loses the line before the relay knows.
    world.send("bob", "alice", "y");
    world.set_weather(Weather {
        delay_ms: 950..=950,
        ..Weather::calm()
    });
    world.set_online("bob", true);
    while marked(&world, "bob", "alice", "x").is_empty() {
        world.run(1);
    }
    world.set_online("bob", false);
    world.sleep(2 * engine::limits::HEARD_ANEW_SECONDS);
    world.run(2);
    world.set_online("bob", true);
    world.run(60);
    world.settle();
    assert_eq!(marked(&world, "bob", "alice", "x"), ["x one"]);
    assert_eq!(unopened(&world, "bob"), 0);
}
