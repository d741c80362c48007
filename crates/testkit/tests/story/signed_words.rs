//! Words without a session: what forgers, repeaters and those who are gone reach with them, which is nothing.

use engine::records::GroupStanding;
use engine::trial::{Forged, Says, forge};
use engine::{Engine, Event, Input, Table};
use keys::account_log::{DeviceSecrets, Reason};
use keys::codec::Writer;
use keys::{AccountId, DeviceId, GroupId, QueueId, Suite, Timestamp};
use letterlock_testkit::World;
use wire::{FetchLog, Request};

/// Alice with a telephone and a tablet, and Mallory; all of `cnsa2`.
fn scene(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join_in("alice", Suite::Cnsa2);
    world.join_in("mallory", Suite::Cnsa2);
    world.befriend("alice", "mallory");
    world.link("alice", "tablet");
    world.run(30);
    world
}

fn name(world: &World, home: &str) -> (AccountId, DeviceId) {
    (world.account(home), world.device(home))
}

/// The front door of a device.
fn door(world: &mut World, home: &str) -> QueueId {
    let name = name(world, home);
    let heard = world.relay().heard().iter();
    let mut doors = heard.filter_map(|request| match request {
        Request::PublishPreKeys(published) if (published.account, published.device) == name => {
            Some(published.front_door.queue_id)
        }
        _ => None,
    });
    doors.next_back().unwrap()
}

/// A genuine word from the tablet to the telephone that calls the telephone something.
fn genuine(world: &mut World, called: &str) -> Forged {
    let mut errand = Writer::new();
    errand.u8(4);
    errand.array(world.device("alice").as_bytes());
    errand.bytes(called.as_bytes());
    Forged {
        from: name(world, "tablet"),
        to: name(world, "alice"),
        queue: door(world, "alice"),
        sealed_at: world.now(),
        says: Says::Errand(errand.finish()),
    }
}

/// What the relay took of a device's new keys is in the log for everybody but that device, whose answer is lost: what others
/// seal to those keys opens all the same.
#[test]
fn what_is_sealed_to_new_keys_opens_before_the_relay_confirms_them() {
    let mut world = scene(2590);
    world.settle();
    world
        .relay()
        .mute(|request| matches!(request, Request::AppendEntries(_)));
    let before = world.own_log("tablet").head();
    world.begin("tablet", |command| Input::RotateDevice { command });
    world.run(1);
    let device = world.device("alice");
    let name = "the old telephone".to_owned();
    world
        .try_input("alice", Input::NameDevice { device, name })
        .unwrap();
    assert_eq!(world.own_log("tablet").head(), before);
    world.run(5);
    assert_ne!(world.own_log("alice").head(), before);
    let lost = |event: &Event| matches!(event, Event::Undecryptable { .. });
    assert!(!world.was_told("tablet", lost));
    let names = Engine.device_names(&world.person("tablet").store);
    assert!(
        names
            .unwrap()
            .contains(&(device, "the old telephone".to_owned()))
    );
    // It hears of its keys, and goes on with them.
    world.relay().repent();
    world.set_online("tablet", false);
    world.set_online("tablet", true);
    world.settle();
    assert_ne!(world.own_log("tablet").head(), before);
    world.send("tablet", "mallory", "new keys");
    world.settle();
    assert_eq!(world.texts("mallory", "alice"), ["new keys"]);
}

fn sealed(world: &mut World, by: &DeviceSecrets, forged: &Forged) -> Vec<u8> {
    let log = world.own_log("alice");
    let envelope = log.device(&world.device("alice")).unwrap().envelope();
    let door = door(world, "alice");
    forge(by, (envelope, &door), forged, world.chance().rng()).unwrap()
}

/// The relay puts a body into the telephone's front door.
fn put(world: &mut World, seq: u64, body: Vec<u8>) {
    let queue = door(world, "alice");
    let input = Input::Delivered { queue, seq, body };
    world.try_input("alice", input).unwrap();
    world.run(30);
}

fn is_called(world: &World, called: &str) -> bool {
    let names = Engine.device_names(&world.person("alice").store).unwrap();
    names.contains(&(world.device("alice"), called.to_owned()))
}

fn told(world: &World) -> usize {
    let unread = |event: &&Event| matches!(event, Event::Undecryptable { .. });
    world.person("alice").events.iter().filter(unread).count()
}

/// Puts a word in that must be refused, and told.
fn refused(world: &mut World, seq: u64, by: &DeviceSecrets, forged: &Forged) {
    let before = told(world);
    let body = sealed(world, by, forged);
    put(world, seq, body);
    assert!(!is_called(world, "forged"));
    assert_eq!(told(world), before + 1);
}

#[test]
fn a_genuine_word_is_heard() {
    let mut world = scene(2200);
    let tablet = world.stolen_keys("tablet");
    let forged = genuine(&mut world, "forged");
    let body = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1000, body);
    assert!(is_called(&world, "forged"));
}

#[test]
fn a_forged_word_is_refused() {
    let mut world = scene(2201);
    let mallory = world.stolen_keys("mallory");
    let forged = genuine(&mut world, "forged");
    refused(&mut world, 1000, &mallory, &forged);
}

#[test]
fn a_word_of_another_sender_is_refused() {
    // Mallory signs with her own keys, under her own name: that makes her no device of Alice's.
    let mut world = scene(2202);
    let mallory = world.stolen_keys("mallory");
    let forged = Forged {
        from: name(&world, "mallory"),
        ..genuine(&mut world, "forged")
    };
    let body = sealed(&mut world, &mallory, &forged);
    put(&mut world, 1000, body);
    assert!(!is_called(&world, "forged"));
}

#[test]
fn a_word_for_another_device_or_queue_is_refused() {
    let mut world = scene(2203);
    let tablet = world.stolen_keys("tablet");
    let to = name(&world, "mallory");
    let forged = Forged {
        to,
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1001, &tablet, &forged);
    let queue = door(&mut world, "mallory");
    let forged = Forged {
        queue,
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1002, &tablet, &forged);
}

#[test]
fn a_repeated_word_does_nothing() {
    let mut world = scene(2204);
    let tablet = world.stolen_keys("tablet");
    let forged = genuine(&mut world, "forged");
    let first = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1000, first.clone());
    assert!(is_called(&world, "forged"));
    let forged = genuine(&mut world, "mended");
    let second = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1001, second);
    assert!(is_called(&world, "mended"));
    for (seq, days) in (1002..).zip([0, 20, 30]) {
        world.sleep(days * 24 * 3600);
        put(&mut world, seq, first.clone());
        assert!(is_called(&world, "mended"), "{seq}");
    }
    assert_eq!(told(&world), 0);
}

#[test]
fn an_old_word_is_not_taken_again() {
    let mut world = scene(2205);
    let tablet = world.stolen_keys("tablet");
    let now = world.now().as_secs();
    let forged = Forged {
        sealed_at: Timestamp::from_secs(now - 46 * 24 * 3600),
        ..genuine(&mut world, "forged")
    };
    let body = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1000, body);
    assert!(!is_called(&world, "forged"));
}

#[test]
fn a_letter_without_a_session_is_refused() {
    let mut world = scene(2206);
    let mallory = world.stolen_keys("mallory");
    let forged = Forged {
        from: name(&world, "mallory"),
        says: Says::Letter("no secrecy".to_owned()),
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1003, &mallory, &forged);
    for (seq, says) in (1002..).zip([
        Says::Amendment([&[1][..], &[18; 16], &[0, 0, 0, 0, 0, 0, 0, 1], b"x"].concat()),
        Says::Group([&[6][..], &[14; 32], &[19; 80], &[0, 0, 0, 0, 0, 0, 1, 0]].concat()),
    ]) {
        let forged = Forged {
            from: name(&world, "mallory"),
            says,
            ..genuine(&mut world, "forged")
        };
        refused(&mut world, seq, &mallory, &forged);
    }
    let tablet = world.stolen_keys("tablet");
    let forged = Forged {
        says: Says::Errand([&[12][..], &[1; 32], &[1; 32], &[0; 8], &[1; 40]].concat()),
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1004, &tablet, &forged);
    let history = [&[6][..], &[14; 32], &[19; 80], &[0, 0, 0, 0, 0, 0, 1, 0]].concat();
    let forged = Forged {
        says: Says::Errand([&[11][..], &history].concat()),
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1006, &tablet, &forged);
    let forged = Forged {
        says: Says::Copy("no secrecy".to_owned()),
        ..genuine(&mut world, "forged")
    };
    refused(&mut world, 1005, &tablet, &forged);
    assert!(world.read("alice").is_empty());
}

#[test]
fn a_revoked_device_is_not_heard() {
    let mut world = scene(2207);
    world.sleep(4 * 24 * 3600);
    let tablet = world.stolen_keys("tablet");
    let forged = genuine(&mut world, "forged");
    let device = world.device("tablet");
    world.revoke("alice", device, Reason::Stolen);
    world.run(30);
    let body = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1000, body);
    assert!(!is_called(&world, "forged"));
    let heard = |event: &Event| matches!(event, Event::RevokedDeviceSpoke { .. });
    assert!(world.was_told("alice", heard));
}

#[test]
fn flipped_bytes_open_nothing() {
    let mut world = scene(2208);
    let tablet = world.stolen_keys("tablet");
    let forged = genuine(&mut world, "forged");
    let body = sealed(&mut world, &tablet, &forged);
    for (seq, at) in (1000..).zip([0, 700, 1568, 4000, body.len() - 1]) {
        let mut changed = body.clone();
        changed[at] ^= 1;
        put(&mut world, seq, changed);
        assert!(!is_called(&world, "forged"), "{at}");
    }
    assert_eq!(told(&world), 5);
}

#[test]
fn a_word_without_session_is_refused_where_there_are_sessions() {
    let mut world = World::new(2209);
    world.join("alice");
    world.link("alice", "tablet");
    world.run(30);
    let tablet = world.stolen_keys("tablet");
    let forged = genuine(&mut world, "forged");
    let body = sealed(&mut world, &tablet, &forged);
    put(&mut world, 1000, body);
    assert!(!is_called(&world, "forged"));
}

/// What Mallory says of a group to Alice's telephone.
fn of_group(world: &mut World, word: Vec<u8>) -> Vec<u8> {
    let mallory = world.stolen_keys("mallory");
    let forged = Forged {
        from: name(world, "mallory"),
        to: name(world, "alice"),
        queue: door(world, "alice"),
        sealed_at: world.now(),
        says: Says::Group(word),
    };
    sealed(world, &mallory, &forged)
}

fn way_in(world: &mut World, home: &str, of: GroupId, into: GroupId) -> Vec<u8> {
    let (store, now) = (world.person(home).store.clone(), world.now());
    engine::trial::way_in(&store, (&of, &into), now, world.chance().rng()).unwrap()
}

#[test]
fn who_is_no_member_leads_nobody_out_of_a_group() {
    let mut world = scene(2210);
    world.join_in("bob", Suite::Cnsa2);
    world.befriend("alice", "bob");
    let group = world.create_group("alice", "without her", &["bob"]);
    world.run(90);
    let before = world.group("alice", group).unwrap();
    let word = way_in(&mut world, "bob", group, group);
    let body = of_group(&mut world, word);
    put(&mut world, 1000, body);
    let after = world.group("alice", group).unwrap();
    assert_eq!(after.standing, GroupStanding::In);
    assert_eq!(after.epoch, before.epoch);
    let forked = |event: &Event| matches!(event, Event::GroupForked { .. });
    assert!(!world.was_told("alice", forked));
}

#[test]
fn a_way_back_into_another_group_is_refused() {
    let mut world = scene(2211);
    let group = world.create_group("alice", "one", &["mallory"]);
    let other = world.create_group("alice", "other", &["mallory"]);
    world.run(90);
    let word = way_in(&mut world, "mallory", group, other);
    let body = of_group(&mut world, word);
    put(&mut world, 1000, body);
    let refused =
        |event: &Event| matches!(event, Event::GroupRefused { group: of, .. } if *of == group);
    assert!(world.was_told("alice", refused));
    for group in [group, other] {
        assert!(world.is_in_group("alice", group));
        world.write_to_group("alice", group, "still here");
        world.settle();
        assert_eq!(world.group_texts("mallory", group), ["still here"]);
    }
}

#[test]
fn a_stranger_makes_a_device_ask_for_no_log() {
    let mut world = World::new(2212);
    for name in ["alice", "mallory", "carol"] {
        world.join_in(name, Suite::Cnsa2);
    }
    world.befriend("mallory", "carol");
    world.add_by_name("mallory", "alice").unwrap();
    world.send("mallory", "alice", "do you know me?");
    world.run(60);
    assert!(world.person("alice").contact("mallory").unwrap().request);
    // A group with somebody whose log Alice would have to ask for.
    let carol = world.account("carol");
    let from = world.relay().heard().len();
    world.create_group("mallory", "come in", &["alice", "carol"]);
    world.settle();
    let store = &world.person("alice").store;
    assert!(Engine.groups(store).unwrap().is_empty());
    assert_eq!(store.values(Table::MemberLog).count(), 0);
    let asked = |request: &Request| matches!(request, Request::FetchLog(FetchLog::ByAccount(of)) if *of == carol);
    assert!(!world.relay().heard().iter().skip(from).any(asked));
}
