//! Groups: many people, and bad days.

use crate::groups::friends;
use engine::records::{DataChange, GroupStanding, LetterState};
use engine::{Event, Input};
use letterlock_testkit::{CrashPoint, Weather, World};

/// One person who knows many others, who do not know each other.
pub(crate) fn host(seed: u64, guests: usize) -> (World, Vec<String>) {
    let mut world = World::new(seed);
    world.join("host");
    let names: Vec<String> = (0..guests).map(|number| format!("guest{number}")).collect();
    for name in &names {
        world.join(name);
        let invite = world.invite("host");
        world.add_by_invite(name, &invite).unwrap();
        let invite = world.invite(name);
        world.add_by_invite("host", &invite).unwrap();
    }
    world.settle();
    (world, names)
}

#[test]
fn a_commit_that_no_body_takes_travels_as_a_blob() {
    let (mut world, names) = host(201, 24);
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = world.create_group("host", "everybody", &members);
    world.run(30);
    for name in &names {
        assert!(world.is_in_group(name, group), "{name} is not in");
    }
    world.write_to_group("guest7", group, "hello");
    world.settle();
    // None of them knows the writer but by the group.
    for name in names.iter().filter(|name| *name != "guest7") {
        assert_eq!(world.group_texts(name, group), ["hello"], "{name}");
    }
    let change = DataChange {
        timer: Some(3600),
        ..DataChange::default()
    };
    world.change_group("host", group, change).unwrap();
    world.settle();
    let record = world.group("guest23", group).unwrap();
    assert_eq!(record.data.timer, Some(3600));
}

#[test]
fn who_is_set_back_to_an_older_disk_comes_back_in() {
    let mut world = friends(202, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let backup = world.person("carol").store.clone();
    for round in 0..3 {
        let change = DataChange {
            name: Some(format!("shift {round}")),
            ..DataChange::default()
        };
        world.change_group("alice", group, change).unwrap();
        world.write_to_group("carol", group, &format!("letter {round}"));
        world.settle();
    }
    world.stop("carol");
    world.person_mut("carol").store = backup;
    world.start("carol");
    world.settle();
    world.write_to_group("bob", group, "who is there?");
    world.run(180);
    assert!(world.is_in_group("carol", group), "carol did not come back");
    // The others see that she did.
    let seen = world.person("alice").events.iter().any(|event| {
        matches!(event, Event::GroupChanged { changes, .. }
            if changes.iter().any(|change| matches!(change, engine::Change::Rejoined(_))))
    });
    assert!(seen);
    world.write_to_group("carol", group, "I am");
    world.settle();
    for name in ["alice", "bob"] {
        let texts = world.group_texts(name, group);
        assert_eq!(texts.last().map(String::as_str), Some("I am"), "{name}");
    }
    world.write_to_group("alice", group, "welcome back");
    world.settle();
    let texts = world.group_texts("carol", group);
    assert_eq!(texts.last().map(String::as_str), Some("welcome back"));
}

/// What a home asks that was set back may be a duplicate to its peers, and nobody else speaks for hours.
#[test]
fn who_is_set_back_asks_until_somebody_answers() {
    let mut world = friends(203, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    for name in ["alice", "bob"] {
        world.send("carol", name, "hello");
        world.send(name, "carol", "hello");
    }
    world.settle();
    let backup = world.person("carol").store.clone();
    for name in ["alice", "bob"] {
        world.set_online(name, false);
        for text in ["one", "two", "three"] {
            world.send("carol", name, text);
        }
        world.set_online(name, true);
    }
    world.settle();
    let change = DataChange {
        name: Some("late shift".to_owned()),
        ..DataChange::default()
    };
    world.change_group("alice", group, change).unwrap();
    world.settle();
    world.stop("carol");
    world.person_mut("carol").store = backup;
    world.start("carol");
    world.settle();
    world.write_to_group("bob", group, "who is there?");
    world.run(50);
    let epochs = |world: &World| {
        let epoch = |name| world.group(name, group).unwrap().epoch;
        (epoch("carol"), epoch("bob"))
    };
    let (carol, bob) = epochs(&world);
    assert!(carol < bob, "the first question was heard");
    world.run(1_000);
    let (carol, bob) = epochs(&world);
    assert_eq!(carol, bob);
    world.write_to_group("carol", group, "I am");
    world.settle();
    for name in ["alice", "bob"] {
        let texts = world.group_texts(name, group);
        assert_eq!(texts.last().map(String::as_str), Some("I am"), "{name}");
    }
}

/// One body is junk: nobody has anything to answer, and the questions come to an end.
#[test]
fn who_asks_in_vain_stops() {
    let mut world = friends(204, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.settle();
    let queues = world.queues("carol");
    let mut done = false;
    world.relay().distort(move |mut deliver| {
        if queues.contains(&deliver.queue_id) && !done {
            done = true;
            let mut bytes = deliver.body.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            deliver.body = wire::Body::new(bytes).unwrap();
        }
        vec![deliver]
    });
    let sent = |world: &mut World| {
        let heard = world.relay().heard().iter();
        heard
            .filter(|request| matches!(request, wire::Request::Send(_)))
            .count()
    };
    let before = sent(&mut world);
    world.write_to_group("bob", group, "junk to carol");
    world.run(1_000);
    let asked = sent(&mut world);
    // Five times two questions; and the receipts.
    assert_eq!(asked, before + 20);
    world.run(4_000);
    assert_eq!(sent(&mut world), asked);
}

#[test]
fn programs_that_die_at_any_point_lose_no_letter_of_a_group() {
    for (seed, point) in (210..).zip([
        CrashPoint::BeforeStore,
        CrashPoint::AfterStore,
        CrashPoint::AfterSend,
    ]) {
        for steps in 1..6 {
            let mut world = friends(seed, &["alice", "bob", "carol"]);
            let group = world.create_group("alice", "night shift", &["bob", "carol"]);
            world.crash("bob", point, steps);
            let written = world.try_write_to_group("alice", group, "one");
            assert!(written.is_ok());
            world.run(5);
            world.forget_crash("bob");
            world.start("bob");
            world.write_to_group("bob", group, "two");
            world.crash("bob", point, steps);
            world.run(10);
            world.forget_crash("bob");
            world.start("bob");
            world.settle();
            assert_eq!(world.group_texts("carol", group), ["one", "two"]);
            assert_eq!(world.group_texts("bob", group), ["one"]);
        }
    }
}

#[test]
fn a_bad_network_loses_nothing_and_changes_no_order() {
    let mut world = friends(220, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.set_weather(Weather::storm());
    let change = |round: usize| DataChange {
        name: Some(format!("shift {round}")),
        ..DataChange::default()
    };
    for round in 0..6 {
        for name in ["alice", "bob", "carol"] {
            world.write_to_group(name, group, &format!("{name} {round}"));
        }
        let changed = change(round);
        let _begun = world.try_command("alice", |command| engine::Input::ChangeGroup {
            command,
            group,
            change: changed,
        });
        world.run(4);
    }
    world.set_weather(Weather::calm());
    world.run(60);
    world.settle();
    let order = |name: &str| -> Vec<String> {
        let letters = world.group_letters(name, group).into_iter();
        letters.map(|letter| letter.text).collect()
    };
    assert_eq!(order("alice").len(), 18);
    for name in ["bob", "carol"] {
        assert_eq!(order(name), order("alice"), "{name}");
        let record = world.group(name, group).unwrap();
        assert_eq!(record.standing, GroupStanding::In);
        assert_eq!(record.data.name, "shift 5");
    }
}

#[test]
fn who_has_no_connection_has_lost_no_group() {
    let mut world = friends(225, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.set_online("carol", false);
    rename(&mut world, "alice", group, "day shift");
    world.write_to_group("bob", group, "where is carol?");
    world.settle();
    // The relay tells her that the group went on, and the connection breaks before that comes.
    world.relay().distort(|_| Vec::new());
    world.set_online("carol", true);
    world.run(2);
    let draft = engine::Draft {
        text: "here".to_owned(),
        ..engine::Draft::default()
    };
    let to = keys::AccountId::from_bytes(*group.as_bytes());
    let letter = keys::LetterId::random(world.chance().rng());
    world.begin("carol", |command| Input::SendLetter {
        command,
        letter,
        to,
        draft,
    });
    world.run(5);
    world.set_online("carol", false);
    world.relay().repent();
    world.run(300);
    assert!(!world.was_told("carol", |event| matches!(event, Event::GroupLost { .. })));
    world.set_online("carol", true);
    world.settle();
    assert_eq!(world.group_texts("carol", group), ["where is carol?"]);
    assert_eq!(
        world.group_texts("alice", group),
        ["where is carol?", "here"]
    );
    assert_eq!(world.group("carol", group).unwrap().data.name, "day shift");
    assert!(!world.was_told("carol", |event| matches!(event, Event::GroupLost { .. })));
}

#[test]
fn who_was_away_reads_the_letters_of_every_stay() {
    let mut world = friends(226, &["alice", "bob", "carol"]);
    let tablet = "carol tablet";
    world.link("carol", tablet);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.stop("carol");
    let mut written = Vec::new();
    for stay in ["first", "second", "third"] {
        world.write_to_group("bob", group, stay);
        written.push(stay);
        world.settle();
        world.remove_from_group("alice", group, &["carol"]).unwrap();
        world.write_to_group("bob", group, "without her");
        world.settle();
        world.add_to_group("alice", group, &["carol"]).unwrap();
        world.settle();
    }
    world.write_to_group("bob", group, "fourth");
    written.push("fourth");
    world.settle();
    assert_eq!(world.group_texts(tablet, group), written);
    world.start("carol");
    world.settle();
    assert_eq!(world.group_texts("carol", group), written);
    assert!(world.is_in_group("carol", group));
}

/// A commit counts although its maker died: whom it let in is invited when the maker is back, and may be away then.
#[test]
fn who_is_invited_late_comes_in() {
    const DAY: u64 = 24 * 3600;
    let invited_late = |steps| {
        let mut world = friends(227, &["alice", "bob", "carol"]);
        let group = world.create_group("alice", "night shift", &["bob"]);
        world.settle();
        world.sleep(28 * DAY);
        world.run(60);
        let members = vec![world.account("carol")];
        world.crash("alice", CrashPoint::AfterSend, steps);
        let _begun = world.try_command("alice", |command| Input::AddToGroup {
            command,
            group,
            members,
            history: 0,
        });
        world.run(60);
        world.forget_crash("alice");
        let carol = world.device("carol");
        let counts = world.group_devices("bob", group).contains(&carol);
        if world.runs("alice") || world.is_in_group("carol", group) || !counts {
            return false;
        }
        world.write_to_group("bob", group, "welcome");
        world.sleep(3 * DAY);
        world.run(60);
        world.sleep(17 * DAY);
        world.run(60);
        world.stop("carol");
        world.start("alice");
        world.settle();
        world.sleep(14 * DAY);
        world.start("carol");
        world.settle();
        assert!(world.is_in_group("carol", group));
        assert_eq!(world.group_texts("carol", group), ["welcome"]);
        true
    };
    assert!((1..20).any(invited_late), "no step was the right one");
}

#[test]
fn a_device_with_new_keys_stays_in_its_groups() {
    let mut world = friends(230, &["alice", "bob"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob"]);
    world.sleep(4 * 24 * 3600);
    world.command("bob", |command| Input::RotateDevice { command });
    world.run(30);
    world.write_to_group("bob", group, "new keys");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["new keys"]);
    world.write_to_group("alice", group, "so what");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["so what"]);
    // A device that is suspended is out, and in again once it is resumed.
    world.suspend("bob", tablet);
    world.run(30);
    assert!(!world.group_devices("alice", group).contains(&tablet));
    world.resume("bob", tablet);
    world.run(60);
    world.write_to_group("alice", group, "all of you");
    world.settle();
    let texts = world.group_texts("bob tablet", group);
    assert_eq!(texts.last().map(String::as_str), Some("all of you"));
    // New keys come into force once a week, without anybody asking.
    let epoch = world.group("alice", group).unwrap().epoch;
    world.sleep(8 * 24 * 3600);
    world.run(60);
    assert!(world.group("alice", group).unwrap().epoch > epoch);
    assert_eq!(
        world.group("bob", group).unwrap().epoch,
        world.group("alice", group).unwrap().epoch
    );
}

/// Lets the relay forget what lies in the queues of some people.
fn withhold(world: &mut World, names: &[&str]) {
    for name in names {
        for queue in world.queues(name) {
            world.relay().store_mut().forget_bodies(&queue);
        }
    }
}

fn rename(world: &mut World, name: &str, group: keys::GroupId, to: &str) {
    let change = DataChange {
        name: Some(to.to_owned()),
        ..DataChange::default()
    };
    let changed = world.change_group(name, group, change);
    assert_eq!(changed, Ok(()));
}

/// The wish to leave is void where a commit came before it: whoever never gets that commit does not stay for ever.
#[test]
fn who_wants_to_leave_and_misses_a_commit_leaves_all_the_same() {
    for letter in [true, false] {
        let mut world = friends(260, &["alice", "bob", "carol"]);
        let group = world.create_group("alice", "night shift", &["bob", "carol"]);
        world.settle();
        for name in ["alice", "bob"] {
            world.set_online(name, false);
        }
        world.leave_group("carol", group).unwrap();
        world.settle();
        withhold(&mut world, &["alice", "bob"]);
        world.set_online("carol", false);
        for name in ["alice", "bob"] {
            world.set_online(name, true);
        }
        rename(&mut world, "alice", group, "day shift");
        world.settle();
        withhold(&mut world, &["carol"]);
        world.set_online("carol", true);
        if letter {
            world.sleep(120);
            world.write_to_group("alice", group, "is anybody there?");
        } else {
            world.sleep(25 * 3600);
        }
        world.run(400);
        world.settle();
        assert_eq!(world.group_devices("alice", group).len(), 2);
        assert!(!world.is_in_group("carol", group));
        assert_eq!(
            world.group("carol", group).unwrap().standing,
            engine::records::GroupStanding::Out
        );
    }
}

#[test]
fn a_fork_is_noticed_by_the_next_letter() {
    // Chance decides whether the relay follows the branch that the members choose.
    for seed in [240, 902, 903] {
        fork(seed);
    }
}

fn fork(seed: u64) {
    let names = ["alice", "bob", "carol", "dave"];
    let mut world = friends(seed, &names);
    let group = world.create_group("alice", "night shift", &["bob", "carol", "dave"]);
    let admin = DataChange {
        role: Some((world.account("carol"), engine::Role::Admin)),
        ..DataChange::default()
    };
    world.change_group("alice", group, admin).unwrap();
    world.settle();
    let before = world.relay().store().clone();
    // Two commits of one epoch, each for one half.
    for name in ["carol", "dave"] {
        world.set_online(name, false);
    }
    rename(&mut world, "alice", group, "by alice");
    world.settle();
    withhold(&mut world, &["carol", "dave"]);
    for name in ["alice", "bob"] {
        world.set_online(name, false);
    }
    world.relay().store_mut().put_epochs_back(&before);
    for name in ["carol", "dave"] {
        world.set_online(name, true);
    }
    rename(&mut world, "carol", group, "by carol");
    world.settle();
    withhold(&mut world, &["alice", "bob"]);
    for name in ["alice", "bob"] {
        world.set_online(name, true);
    }
    world.settle();
    let of = |world: &World, name: &str| world.group(name, group).unwrap();
    assert_eq!(of(&world, "alice").epoch, of(&world, "carol").epoch);
    assert_ne!(of(&world, "alice").data.name, of(&world, "carol").data.name);
    // A letter crosses from one half to the other.
    world.write_to_group("carol", group, "is anybody there?");
    world.run(400);
    world.settle();
    let forked = |world: &World, name: &str| {
        let events = &world.person(name).events;
        events
            .iter()
            .any(|event| matches!(event, Event::GroupForked { .. }))
    };
    assert!(
        names.iter().any(|name| forked(&world, name)),
        "nobody noticed"
    );
    world.write_to_group("alice", group, "all together");
    world.settle();
    world.write_to_group("dave", group, "again");
    world.settle();
    for name in names {
        let record = of(&world, name);
        assert_eq!(record.standing, GroupStanding::In, "{name}");
        assert_eq!(record.epoch, of(&world, "alice").epoch, "{name}");
    }
    assert_eq!(world.group_texts("bob", group).last().unwrap(), "again");
    let texts = world.group_texts("carol", group);
    assert!(texts.ends_with(&["all together".to_owned(), "again".to_owned()]));
}

#[test]
fn a_relay_that_is_set_back_loses_no_group() {
    let mut world = friends(250, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    rename(&mut world, "alice", group, "one");
    world.settle();
    let before = world.relay().store().clone();
    rename(&mut world, "alice", group, "two");
    rename(&mut world, "alice", group, "three");
    world.settle();
    world.relay().store_mut().put_epochs_back(&before);
    world.write_to_group("bob", group, "still here");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["still here"]);
    // It knows nothing of the group any more.
    world.relay().store_mut().forget_epoch(&group);
    world.write_to_group("alice", group, "nor gone");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["nor gone"]);
}

/// A device that is linked while a letter is under way has it as sent, until it hears that it came to nothing.
#[test]
fn a_letter_that_came_to_nothing_is_sent_on_no_device() {
    let mut world = friends(118, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    world.set_online("bob", false);
    world.write_to_group("bob", group, "too late");
    let change = DataChange {
        name: Some("day shift".to_owned()),
        ..DataChange::default()
    };
    world.change_group("alice", group, change).unwrap();
    world.set_online("alice", false);
    // He wants to go, and nobody is there who would commit that: the letter waits.
    let leave = world.try_command("bob", |command| Input::LeaveGroup { command, group });
    leave.unwrap();
    world.set_online("bob", true);
    world.run(20);
    world.link("bob", "tablet");
    let state = |world: &World, name: &str| {
        let letters = world.group_letters(name, group);
        letters.first().map(|letter| letter.state)
    };
    assert_eq!(state(&world, "bob"), Some(LetterState::Queued));
    assert_eq!(state(&world, "tablet"), Some(LetterState::Sent));
    world.set_online("alice", true);
    world.run(60);
    world.settle();
    assert!(!world.is_in_group("bob", group));
    assert!(world.group_texts("alice", group).is_empty());
    for name in ["bob", "tablet"] {
        assert_eq!(state(&world, name), Some(LetterState::Failed), "{name}");
    }
}
