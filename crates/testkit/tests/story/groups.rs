//! Groups: ordinary days.

use engine::records::{DataChange, Direction, GroupStanding};
use engine::{CommandOutcome, EngineError, Event, Input, Role};
use keys::account_log::Reason;
use letterlock_testkit::World;

/// People who know each other.
pub(crate) fn friends(seed: u64, names: &[&str]) -> World {
    let mut world = World::new(seed);
    for name in names {
        world.join(name);
    }
    for (index, one) in names.iter().enumerate() {
        for other in names.iter().skip(index + 1) {
            world.befriend(one, other);
        }
    }
    world
}

#[test]
fn everybody_reads_what_anybody_writes() {
    let mut world = friends(101, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    for name in ["alice", "bob", "carol"] {
        assert!(world.is_in_group(name, group), "{name} is not in");
        assert_eq!(world.group_devices(name, group).len(), 3);
    }
    world.write_to_group("bob", group, "Who has the key?");
    world.settle();
    world.write_to_group("alice", group, "I have.");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["Who has the key?"]);
    assert_eq!(world.group_texts("bob", group), ["I have."]);
    assert_eq!(
        world.group_texts("carol", group),
        ["Who has the key?", "I have."]
    );
}

#[test]
fn two_commits_race_and_both_wishes_come_true() {
    let mut world = friends(102, &["alice", "bob", "carol", "dave"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let owner = world.account("bob");
    world
        .change_group(
            "alice",
            group,
            DataChange {
                role: Some((owner, Role::Admin)),
                ..DataChange::default()
            },
        )
        .unwrap();
    world.settle();
    let (carol, dave) = (world.account("carol"), world.account("dave"));
    let by_alice = world.begin("alice", |command| Input::AddToGroup {
        command,
        group,
        members: vec![carol],
        history: 0,
    });
    let by_bob = world.begin("bob", |command| Input::AddToGroup {
        command,
        group,
        members: vec![dave],
        history: 0,
    });
    world.settle();
    for (name, command) in [("alice", by_alice), ("bob", by_bob)] {
        let outcome = world.outcome(name, command);
        assert!(matches!(outcome, Some(CommandOutcome::Done)), "{outcome:?}");
    }
    world.write_to_group("dave", group, "all here");
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(world.group_devices(name, group).len(), 4, "{name}");
        assert_eq!(world.group_texts(name, group), ["all here"], "{name}");
    }
}

#[test]
fn letters_written_at_once_have_one_order_for_all() {
    let mut world = friends(103, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    for round in 0..5 {
        for name in ["alice", "bob", "carol"] {
            world.write_to_group(name, group, &format!("{name} {round}"));
        }
    }
    world.settle();
    let order = |name: &str| -> Vec<String> {
        let letters = world.group_letters(name, group).into_iter();
        letters.map(|letter| letter.text).collect()
    };
    assert_eq!(order("alice").len(), 15);
    assert_eq!(order("alice"), order("bob"));
    assert_eq!(order("alice"), order("carol"));
}

#[test]
fn every_device_of_everybody_is_in() {
    let mut world = friends(104, &["alice", "bob"]);
    world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob"]);
    assert!(world.is_in_group("bob tablet", group));
    world.write_to_group("bob", group, "from the telephone");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["from the telephone"]);
    let copies = world.group_letters("bob tablet", group);
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].direction, Direction::Sent);
    // A device that is linked later comes in by itself.
    world.link("alice", "alice desk");
    world.run(30);
    assert!(world.is_in_group("alice desk", group));
    assert_eq!(world.group_devices("bob", group).len(), 4);
    world.write_to_group("bob tablet", group, "later");
    world.settle();
    // The history came with the link.
    let texts = ["from the telephone", "later"];
    assert_eq!(world.group_texts("alice desk", group), texts);
}

#[test]
fn a_revoked_device_is_out_of_its_groups() {
    let mut world = friends(105, &["alice", "bob", "carol"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    assert_eq!(world.group_devices("carol", group).len(), 4);
    world.sleep(4 * 24 * 3600);
    world.revoke("bob", tablet, Reason::Lost);
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert!(
            !world.group_devices(name, group).contains(&tablet),
            "{name}"
        );
    }
    world.write_to_group("alice", group, "without it");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["without it"]);
    assert!(world.group_texts("bob tablet", group).is_empty());
    let told = |event: &Event| matches!(event, Event::DeviceRevoked);
    assert!(world.was_told("bob tablet", told));
    assert!(!world.is_in_group("bob tablet", group));
}

#[test]
fn a_device_that_was_revoked_while_it_was_away_hears_so() {
    let mut world = friends(107, &["alice", "bob"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob"]);
    world.write_to_group("alice", group, "before");
    world.settle();
    world.stop("bob tablet");
    world.sleep(4 * 24 * 3600);
    world.revoke("bob", tablet, Reason::Stolen);
    world.settle();
    world.start("bob tablet");
    world.settle();
    let told = |event: &Event| matches!(event, Event::DeviceRevoked);
    assert!(world.was_told("bob tablet", told));
    // It has what it read, and is in nothing any more; its keys of the group are gone.
    assert_eq!(world.group_texts("bob tablet", group), ["before"]);
    assert!(!world.is_in_group("bob tablet", group));
    let record = world.group("bob tablet", group).unwrap();
    assert_eq!(record.standing, GroupStanding::Out);
}

#[test]
fn who_is_removed_reads_nothing_more_and_who_leaves_is_gone() {
    let mut world = friends(106, &["alice", "bob", "carol", "dave"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol", "dave"]);
    let refused = world.remove_from_group("bob", group, &["carol"]);
    assert_eq!(refused, Err(EngineError::GroupRole));
    world.remove_from_group("alice", group, &["carol"]).unwrap();
    world.settle();
    assert!(!world.is_in_group("carol", group));
    world.leave_group("dave", group).unwrap();
    world.run(30);
    assert!(!world.is_in_group("dave", group));
    world.write_to_group("bob", group, "only two");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["only two"]);
    for name in ["carol", "dave"] {
        assert!(world.group_texts(name, group).is_empty(), "{name}");
        let refused = world.try_write_to_group(name, group, "hello?");
        assert_eq!(refused, Err(EngineError::NotInGroup));
    }
    // The owner hands the group on.
    world.leave_group("alice", group).unwrap();
    world.run(30);
    assert!(!world.is_in_group("alice", group));
    let record = world.group("bob", group).unwrap();
    assert_eq!(record.data.role(&world.account("bob")), Role::Owner);
    assert_eq!(world.group_devices("bob", group).len(), 1);
}

#[test]
fn who_comes_back_to_a_group_reads_again() {
    let mut world = friends(107, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    world.remove_from_group("alice", group, &["bob"]).unwrap();
    world.settle();
    world.write_to_group("alice", group, "secret");
    world.settle();
    world.add_to_group("alice", group, &["bob"]).unwrap();
    world.settle();
    world.write_to_group("alice", group, "again");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["again"]);
}

#[test]
fn custody_names_exactly_those_who_were_in_the_group() {
    let mut world = friends(120, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let early = world.write_to_group("alice", group, "early");
    world.settle();
    world.add_to_group("alice", group, &["carol"]).unwrap();
    world.settle();
    let both = world.write_to_group("alice", group, "both");
    world.settle();
    world.remove_from_group("alice", group, &["bob"]).unwrap();
    world.settle();
    let late = world.write_to_group("alice", group, "late");
    world.settle();
    let (bob, carol) = (world.account("bob"), world.account("carol"));
    let holders = |letter| {
        let item = engine::Item::Letter(letter);
        let store = &world.person("alice").store;
        let holders = engine::Engine.custody(store, &item).unwrap().unwrap();
        let of = |account| holders.iter().any(|holder| holder.account == account);
        (of(bob), of(carol))
    };
    assert_eq!(holders(early), (true, false));
    assert_eq!(holders(both), (true, true));
    assert_eq!(holders(late), (false, true));
}

#[test]
fn an_admin_who_left_comes_back_as_a_member() {
    let mut world = friends(121, &["alice", "bob"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let bob = world.account("bob");
    let admin = DataChange {
        role: Some((bob, Role::Admin)),
        ..DataChange::default()
    };
    world.change_group("alice", group, admin).unwrap();
    world.settle();
    world.leave_group("bob", group).unwrap();
    world.run(30);
    assert!(!world.is_in_group("bob", group));
    world.add_to_group("alice", group, &["bob"]).unwrap();
    world.settle();
    assert!(world.is_in_group("bob", group));
    let record = world.group("bob", group).unwrap();
    assert_eq!(record.data.role(&bob), Role::Member);
}

/// The log that others read a moment ago is older than the second of two commits.
#[test]
fn two_devices_rotate_within_a_few_seconds() {
    let mut world = friends(119, &["alice", "bob", "carol"]);
    world.link("alice", "tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.run(90);
    world.settle();
    let epoch = world.group("bob", group).unwrap().epoch;
    for device in ["alice", "tablet"] {
        let rotated = world.command(device, |command| Input::RotateDevice { command });
        assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    }
    world.settle();
    for name in ["alice", "tablet", "bob", "carol"] {
        let refused = |event: &Event| matches!(event, Event::GroupRefused { .. });
        assert!(!world.was_told(name, refused), "{name}");
        assert!(
            world.group(name, group).unwrap().epoch >= epoch + 2,
            "{name}"
        );
    }
    world.write_to_group("tablet", group, "still here");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["still here"]);
}

/// A log of some years does not fit in one answer, and the newest keys stand at its end.
#[test]
fn a_member_with_a_long_log_is_known_to_strangers() {
    let mut world = World::new(122);
    for name in ["alice", "bob", "carol"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    world.befriend("alice", "carol");
    for _ in 0..18 {
        let rotated = world.command("carol", |command| Input::RotateDevice { command });
        assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
        world.settle();
    }
    let log = world.own_log("carol").bytes().len();
    assert!(log > 2 * wire::limits::LOG_PART_BYTES, "{log} bytes");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    assert!(world.is_in_group("bob", group));
    world.write_to_group("carol", group, "Who are you?");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["Who are you?"]);
    let refused = |event: &Event| matches!(event, Event::GroupRefused { .. });
    assert!(!world.was_told("bob", refused));
}
