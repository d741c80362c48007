//! Accounts of suite `cnsa2` in groups: what their devices tell each other goes by signed words.

use engine::records::DataChange;
use engine::{CommandOutcome, Engine, Event, Input, Item, LeafName, Snapshot as _, Table};
use keys::account_log::Reason;
use keys::{DeviceId, GroupId, Suite};
use letterlock_testkit::{CrashPoint, Weather, World};
use wire::Request;

/// People of `cnsa2` who know each other, each with a tablet.
fn friends(seed: u64, names: &[&str]) -> (World, Vec<String>) {
    let mut world = World::new(seed);
    for name in names {
        world.join_in(name, Suite::Cnsa2);
    }
    for (index, one) in names.iter().enumerate() {
        for other in names.iter().skip(index + 1) {
            world.befriend(one, other);
        }
    }
    let mut homes = Vec::new();
    for name in names {
        let tablet = format!("{name} tablet");
        world.link(name, &tablet);
        homes.extend([(*name).to_owned(), tablet]);
    }
    world.settle();
    (world, homes)
}

fn all_read(world: &World, group: GroupId, homes: &[String], texts: &[&str]) {
    for home in homes {
        let letters = world.group_letters(home, group).into_iter();
        let read: Vec<String> = letters.map(|letter| letter.text).collect();
        assert_eq!(read, texts, "{home}");
    }
}

#[test]
fn three_people_with_two_devices_each_are_a_group() {
    let (mut world, homes) = friends(2100, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.run(60);
    for home in &homes {
        assert!(world.is_in_group(home, group), "{home} is not in");
        assert_eq!(world.group_devices(home, group).len(), 6, "{home}");
    }
    for home in &homes {
        world.write_to_group(home, group, home);
        world.settle();
    }
    let texts: Vec<&str> = homes.iter().map(String::as_str).collect();
    all_read(&world, group, &homes, &texts);
    // A device that is linked later comes in by itself, and has the history of the link.
    world.link("bob", "bob desk");
    world.run(60);
    assert!(world.is_in_group("bob desk", group));
    world.write_to_group("bob desk", group, "from the desk");
    world.settle();
    // What is revoked is out; who leaves is gone.
    world.sleep(4 * 24 * 3600);
    let desk = world.device("bob desk");
    world.revoke("bob", desk, Reason::Lost);
    world.run(60);
    for home in &homes {
        assert!(!world.group_devices(home, group).contains(&desk), "{home}");
    }
    world.leave_group("carol", group).unwrap();
    world.run(60);
    assert!(!world.is_in_group("carol", group));
    assert!(!world.is_in_group("carol tablet", group));
    world.write_to_group("alice tablet", group, "four of us");
    world.settle();
    assert_eq!(
        world.group_texts("bob", group).last().unwrap(),
        "four of us"
    );
    assert_ne!(
        world.group_texts("carol", group).last().unwrap(),
        "four of us"
    );
    assert_ne!(
        world.group_texts("bob desk", group).last().unwrap(),
        "four of us"
    );
    for home in &homes {
        let sessions = world.person(home).store.scan(Table::Session, &[], None, 9);
        assert!(sessions.unwrap().is_empty(), "{home}");
    }
}

#[test]
fn a_bad_network_and_programs_that_die_lose_nothing() {
    for (seed, point) in (2110..).zip([
        CrashPoint::BeforeStore,
        CrashPoint::AfterStore,
        CrashPoint::AfterSend,
    ]) {
        let (mut world, homes) = friends(seed, &["alice", "bob"]);
        world.set_weather(Weather::storm());
        world.crash("bob", point, 4);
        let group = world.create_group("alice", "night shift", &["bob"]);
        world.run(300);
        world.forget_crash("bob");
        world.start("bob");
        world.run(300);
        world.settle();
        world.write_to_group("bob tablet", group, "here");
        world.settle();
        all_read(&world, group, &homes, &["here"]);
    }
}

#[test]
fn who_is_set_back_to_an_older_disk_comes_back_in() {
    let (mut world, homes) = friends(2120, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let backup = world.person("bob").store.clone();
    for round in 0..3 {
        let change = DataChange {
            name: Some(format!("shift {round}")),
            ..DataChange::default()
        };
        world.change_group("alice", group, change).unwrap();
        world.settle();
    }
    world.stop("bob");
    world.person_mut("bob").store = backup;
    world.start("bob");
    world.settle();
    world.write_to_group("alice tablet", group, "who is there?");
    world.run(180);
    assert!(world.is_in_group("bob", group), "bob did not come back");
    let seen = world.person("alice").events.iter().any(|event| {
        matches!(event, Event::GroupChanged { changes, .. }
            if changes.iter().any(|change| matches!(change, engine::Change::Rejoined(_))))
    });
    assert!(seen);
    world.write_to_group("bob", group, "I am");
    world.settle();
    for home in homes.iter().filter(|home| *home != "bob") {
        let letters = world.group_letters(home, group);
        assert_eq!(letters.last().unwrap().text, "I am", "{home}");
    }
}

#[test]
fn devices_tell_each_other_what_was_read_deleted_and_named() {
    let (mut world, _) = friends(2130, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let letter = world.write_to_group("bob", group, "read me");
    world.settle();
    let read = Input::MarkRead {
        letters: vec![letter],
    };
    world.try_input("alice", read).unwrap();
    world.run(30);
    let state = |world: &World, home: &str| {
        let store = &world.person(home).store;
        Engine
            .letter(store, &letter)
            .unwrap()
            .map(|letter| letter.state)
    };
    let is_read = Some(engine::records::LetterState::Read);
    assert_eq!(state(&world, "alice tablet"), is_read);
    world.delete("alice tablet", letter);
    world.run(30);
    assert_eq!(state(&world, "alice"), None);
    let device = world.device("alice tablet");
    let named = Input::NameDevice {
        device,
        name: "kitchen".to_owned(),
    };
    world.try_input("alice", named).unwrap();
    world.run(30);
    let names = Engine.device_names(&world.person("alice tablet").store);
    assert!(names.unwrap().contains(&(device, "kitchen".to_owned())));
    // A contact that one adds is there on the other.
    world.join_in("dave", Suite::Cnsa2);
    world.befriend("alice", "dave");
    world.run(30);
    assert!(world.person("alice tablet").contact("dave").is_some());
}

#[test]
fn new_keys_of_a_device_lose_no_word() {
    let (mut world, homes) = friends(2140, &["alice", "bob"]);
    // Words of both directions are under way while both change their keys.
    world.set_online("bob", false);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let rotated = world.command("alice", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.run(60);
    let rotated = world.command("bob tablet", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.set_online("bob", true);
    world.run(300);
    world.settle();
    for home in &homes {
        assert!(world.is_in_group(home, group), "{home} is not in");
    }
    world.write_to_group("bob", group, "all the same");
    world.settle();
    all_read(&world, group, &homes, &["all the same"]);
    let unread = |event: &Event| matches!(event, Event::Undecryptable { .. });
    for home in &homes {
        assert!(!world.person(home).events.iter().any(unread), "{home}");
    }
}

#[test]
fn words_of_keys_that_were_replaced_are_signed_again() {
    let (mut world, homes) = friends(2145, &["alice", "bob"]);
    world.set_online("bob", false);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let rotated = world.command("alice", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.run(60);
    // Bob learns of the new keys before he gets what was signed with the old ones.
    world.relay().distort(|_| Vec::new());
    world.set_online("bob", true);
    world.send("bob", "alice", "I am back");
    world.run(20);
    let log = world.person("bob").contact("alice").unwrap().pin.sequence;
    assert_eq!(log, world.own_log("alice").head().sequence);
    world.relay().repent();
    world.set_online("bob", false);
    world.set_online("bob", true);
    world.run(120);
    world.settle();
    assert!(world.is_in_group("bob", group));
    let unread = |event: &Event| matches!(event, Event::Undecryptable { .. });
    for home in &homes {
        assert!(!world.was_told(home, unread), "{home}");
    }
}

#[test]
fn words_are_confirmed_and_forgotten() {
    let (mut world, homes) = friends(2146, &["alice", "bob"]);
    world.create_group("alice", "night shift", &["bob"]);
    world.run(120);
    for home in &homes {
        // What nobody confirmed would be sent again for 30 days.
        for table in [Table::Letter, Table::Sent, Table::Waiting, Table::Receipt] {
            let left = world.person(home).store.scan(table, &[], None, 9).unwrap();
            assert!(left.is_empty(), "{home} {table:?}: {}", left.len());
        }
    }
}

#[test]
fn custody_names_the_devices_of_a_group() {
    let (mut world, homes) = friends(2150, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let letter = world.write_to_group("alice", group, "who can read this?");
    world.settle();
    let store = &world.person("alice").store;
    let holders = Engine.custody(store, &Item::Letter(letter)).unwrap();
    let holders = holders.unwrap();
    for home in &homes {
        let device: DeviceId = world.device(home);
        let named = holders
            .iter()
            .any(|holder| format!("{holder:?}").contains(&format!("{device:?}")));
        assert!(named, "{home}: {holders:?}");
    }
    let leaves = Engine.group_leaves(store, &group).unwrap();
    let ours = LeafName {
        account: world.account("alice"),
        device: world.device("alice tablet"),
    };
    assert!(leaves.contains(&ours));
}

#[test]
fn a_stranger_of_cnsa2_tells_nothing_and_learns_nothing() {
    let mut world = World::new(2160);
    world.join_in("alice", Suite::Cnsa2);
    world.join_in("mallory", Suite::Cnsa2);
    world.add_by_name("mallory", "alice").unwrap();
    let group = world.create_group("mallory", "come in", &["alice"]);
    world.run(60);
    let mallory = world.person("alice").contact("mallory").unwrap();
    assert!(mallory.request);
    assert!(!world.is_in_group("alice", group));
    // Mallory has no answer: her word goes on waiting for one.
    let sent = world.relay().heard().iter();
    let sent = sent.filter(|request| matches!(request, Request::Send(_)));
    assert_eq!(sent.count(), 1);
}
