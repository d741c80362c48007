//! Pictures of groups.

use crate::groups::friends;
use engine::records::DataChange;
use engine::{Engine, EngineError, Event};
use keys::GroupId;
use letterlock_testkit::World;

/// Bytes that begin as a PNG does.
fn png(size: usize, fill: u8) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(size, fill);
    picture
}

fn set(world: &mut World, name: &str, group: GroupId, picture: &[u8]) -> Result<(), EngineError> {
    let change = DataChange {
        picture: Some(picture.to_vec()),
        ..DataChange::default()
    };
    world.change_group(name, group, change)
}

fn seen(world: &World, name: &str, group: GroupId) -> Option<Vec<u8>> {
    let picture = Engine.group_picture(&world.person(name).store, &group);
    picture.unwrap().map(|picture| picture.to_vec())
}

#[test]
fn everybody_has_the_picture() {
    let mut world = friends(501, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let first = png(200_000, 1);
    set(&mut world, "alice", group, &first).unwrap();
    // Whoever set it has it at once.
    assert_eq!(seen(&world, "alice", group).as_ref(), Some(&first));
    world.settle();
    assert_eq!(seen(&world, "bob", group).as_ref(), Some(&first));
    let named = Engine
        .picture_of(&world.group("bob", group).unwrap())
        .unwrap();
    assert_eq!((named.hash, named.size), (keys::sha256(&[&first]), 200_000));
    let told = |event: &Event| matches!(event, Event::GroupPicture { .. });
    assert!(world.was_told("bob", told));
    // Whoever comes later has it, too.
    world.add_to_group("alice", group, &["carol"]).unwrap();
    world.settle();
    assert_eq!(seen(&world, "carol", group).as_ref(), Some(&first));
    let second = [&[0xff, 0xd8, 0xff][..], &[2; 1000]].concat();
    set(&mut world, "alice", group, &second).unwrap();
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(seen(&world, name, group).as_ref(), Some(&second), "{name}");
    }
    set(&mut world, "alice", group, &[]).unwrap();
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(seen(&world, name, group), None, "{name}");
        let mut rows = world.person(name).store.values(engine::Table::GroupPart);
        assert!(!rows.any(|row| row.ends_with(&[2; 1000])), "{name}");
    }
}

#[test]
fn not_everything_is_a_picture_and_not_everybody_sets_it() {
    let mut world = friends(502, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    for bytes in [&b"GIF89a"[..], &png(256 * 1024 + 1, 0), b"\x89PNG"] {
        let refused = set(&mut world, "alice", group, bytes);
        assert_eq!(refused, Err(EngineError::InvalidPicture));
    }
    set(&mut world, "alice", group, &png(256 * 1024, 0)).unwrap();
    world.settle();
    assert!(seen(&world, "bob", group).is_some());
    let refused = set(&mut world, "bob", group, &png(100, 0));
    assert_eq!(refused, Err(EngineError::GroupRole));
    assert!(!world.group("alice", group).unwrap().is_busy());
}

#[test]
fn a_picture_outlives_its_blob() {
    let mut world = friends(503, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let picture = png(5000, 3);
    set(&mut world, "alice", group, &picture).unwrap();
    world.settle();
    // The relay keeps blobs for 30 days.
    world.withhold_parts();
    world.add_to_group("alice", group, &["carol"]).unwrap();
    world.settle();
    world.run(30);
    assert_eq!(seen(&world, "carol", group), Some(picture));
}

#[test]
fn a_picture_that_lies_is_not_taken() {
    let mut world = friends(504, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let picture = png(5000, 3);
    set(&mut world, "alice", group, &picture).unwrap();
    world.settle();
    let (hash, sealed) = (keys::sha256(&[&picture]), (5000_u64 + 16).to_be_bytes());
    let parts = |world: &World| world.person("bob").store.count(engine::Table::Part);
    let rename = |world: &mut World, name: &str| {
        let change = DataChange {
            name: Some(name.to_owned()),
            ..DataChange::default()
        };
        world.change_group("alice", group, change).unwrap();
        world.run(60);
        assert_eq!(world.group("bob", group).unwrap().data.name, name);
    };
    // Alice's program says that another file lies there.
    let row = (engine::Table::Group, &group.as_bytes()[..]);
    world.forge("alice", row, &hash, &[9; 32]);
    rename(&mut world, "one");
    assert_eq!(seen(&world, "bob", group), None);
    let came = |event: &&Event| matches!(event, Event::GroupPicture { .. });
    let times = world.person("bob").events.iter().filter(came).count();
    assert_eq!(times, 1, "the first one alone");
    // Then that it is far longer than a picture: nothing is asked of the relay.
    world.forge("alice", row, &[9; 32], &hash);
    world.forge("alice", row, &sealed, &(1_u64 << 40).to_be_bytes());
    let before = parts(&world);
    rename(&mut world, "two");
    assert!(
        Engine
            .picture_of(&world.group("bob", group).unwrap())
            .is_none()
    );
    assert_eq!((parts(&world), seen(&world, "bob", group)), (before, None));
    assert!(world.is_in_group("bob", group));
    // A true one comes again, and a relay that spoils it makes nobody take another one.
    world.set_online("bob", false);
    set(&mut world, "alice", group, &png(100, 4)).unwrap();
    world.spoil_parts();
    world.set_online("bob", true);
    world.run(30);
    assert_eq!(
        seen(&world, "bob", group),
        Some(png(100, 4)),
        "alice gives it anew"
    );
}

#[test]
fn a_picture_is_for_members() {
    let mut world = friends(505, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.set_online("carol", false);
    set(&mut world, "alice", group, &png(5000, 5)).unwrap();
    world.settle();
    world.withhold_parts();
    world.remove_from_group("alice", group, &["carol"]).unwrap();
    world.settle();
    // Carol reads of the picture first, and asks for it before she reads that she is out.
    let parts = world.parts().len();
    world.set_online("carol", true);
    world.run(60);
    assert!(!world.is_in_group("carol", group));
    assert_eq!(world.parts().len(), parts, "nobody stores it for her");
    assert_eq!(seen(&world, "carol", group), None);
}
