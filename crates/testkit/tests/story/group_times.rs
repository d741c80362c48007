//! Groups while time passes: months away, letters with a timer, keys of every week.

use crate::groups::friends;
use engine::records::DataChange;
use engine::{Change, Draft, EngineError, Event, Input, Snapshot as _, Table};
use keys::account_log::Reason;
use keys::codec::{DecodeError, Reader};
use keys::{AccountId, DeviceId, GroupId, LetterId};
use letterlock_testkit::{Weather, World};
use std::collections::BTreeMap;

const DAY: u64 = 24 * 3600;

fn name(to: &str) -> DataChange {
    DataChange {
        name: Some(to.to_owned()),
        ..DataChange::default()
    }
}

fn timer(seconds: u64) -> DataChange {
    DataChange {
        timer: Some(seconds),
        ..DataChange::default()
    }
}

#[test]
fn who_was_away_for_500_epochs_catches_up() {
    const EPOCHS: u64 = 500;
    let mut world = friends(108, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let before = world.group("carol", group).unwrap().epoch;
    world.set_online("carol", false);
    world.write_to_group("carol", group, "from afar");
    for round in 0..EPOCHS {
        let name = name(&format!("shift {round}"));
        world.change_group("alice", group, name).unwrap();
        if round % 10 == 0 {
            world.write_to_group("bob", group, &format!("letter {round}"));
            world.run(2);
        }
    }
    world.settle();
    let after = world.group("alice", group).unwrap().epoch;
    assert!(after >= before + EPOCHS, "{before} to {after}");
    assert_eq!(world.group("carol", group).unwrap().epoch, before);
    // What she missed comes in many minutes, not at once: she goes on all that time.
    world.set_weather(Weather {
        delay_ms: 3_000..=3_000,
        ..Weather::calm()
    });
    world.set_online("carol", true);
    world.run(60);
    let half_way = world.group("carol", group).unwrap().epoch;
    assert!(before < half_way && half_way < after, "{half_way}");
    world.write_to_group("carol", group, "on the way");
    world.settle();
    world.set_weather(Weather::calm());
    let letters: Vec<String> = (0..EPOCHS)
        .step_by(10)
        .map(|round| format!("letter {round}"))
        .collect();
    assert_eq!(world.group_texts("carol", group), letters);
    let record = world.group("carol", group).unwrap();
    assert_eq!(
        (record.epoch, record.data.name.as_str()),
        (after, "shift 499")
    );
    // She came there step by step, as a member like others.
    let came_back = |event: &Event| {
        let Event::GroupChanged { changes, .. } = event else {
            return false;
        };
        changes
            .iter()
            .any(|change| matches!(change, Change::Rejoined(_)))
    };
    assert!(!world.was_told("alice", came_back));
    let lost = |event: &Event| matches!(event, Event::GroupLost { .. });
    assert!(!world.was_told("carol", lost));
    // What she wrote in an epoch that nobody is in any more is sealed again in theirs.
    for name in ["alice", "bob"] {
        let texts = world.group_texts(name, group);
        assert!(
            texts.ends_with(&["from afar".to_owned(), "on the way".to_owned()]),
            "{name}"
        );
    }
}

/// Somebody writes a letter that goes after so many seconds, or by the group's timer.
fn write(world: &mut World, who: &str, group: GroupId, text: &str, seconds: Option<u64>) {
    let letter = LetterId::random(world.chance().rng());
    let draft = Draft {
        text: text.to_owned(),
        expires_after: seconds,
        ..Draft::default()
    };
    world.command(who, |command| Input::SendLetter {
        command,
        letter,
        to: AccountId::from_bytes(*group.as_bytes()),
        draft,
    });
    world.settle();
}

fn texts(world: &World, name: &str, group: GroupId) -> Vec<String> {
    let letters = world.group_letters(name, group).into_iter();
    letters.map(|letter| letter.text).collect()
}

/// Shows all letters of a group to somebody.
fn read(world: &mut World, name: &str, group: GroupId) {
    let letters = world.group_letters(name, group).into_iter();
    let letters = letters.map(|letter| letter.id).collect();
    world.try_input(name, Input::MarkRead { letters }).unwrap();
}

#[test]
fn a_groups_timer_takes_letters_from_all_members() {
    const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
    let mut world = friends(131, &PEOPLE);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    write(&mut world, "bob", group, "lasting", None);
    // It is a change of the group like its name, for those who may: one commit, which all take in.
    let refused = world.change_group("bob", group, timer(3600));
    assert_eq!(refused, Err(EngineError::GroupRole));
    let before = world.group("alice", group).unwrap().epoch;
    world.change_group("alice", group, timer(3600)).unwrap();
    world.settle();
    for name in PEOPLE {
        let record = world.group(name, group).unwrap();
        assert_eq!((record.epoch, record.data.timer), (before + 1, Some(3600)));
        let told = |event: &Event| {
            let Event::GroupChanged { changes, .. } = event else {
                return false;
            };
            let [Change::Data(data)] = &changes[..] else {
                return false;
            };
            data.timer == Some(3600)
        };
        // Whoever did it knows.
        assert!(name == "alice" || world.was_told(name, told), "{name}");
    }
    write(&mut world, "bob", group, "by the timer", None);
    write(&mut world, "carol", group, "for a day", Some(DAY));
    let all = ["lasting", "by the timer", "for a day"];
    // Where it was written the time runs at once, where it came with its first display.
    world.sleep(2 * 3600);
    world.settle();
    assert_eq!(texts(&world, "bob", group), ["lasting", "for a day"]);
    for name in ["alice", "carol"] {
        assert_eq!(texts(&world, name, group), all, "{name}");
    }
    for name in PEOPLE {
        read(&mut world, name, group);
    }
    world.sleep(2 * 3600);
    world.settle();
    for name in PEOPLE {
        assert_eq!(
            texts(&world, name, group),
            ["lasting", "for a day"],
            "{name}"
        );
        let found = world.person(name).store.search("timer");
        assert!(found.is_empty(), "{name}");
    }
    world.sleep(DAY);
    world.settle();
    // Without a timer letters stay.
    world.change_group("alice", group, timer(0)).unwrap();
    world.settle();
    write(&mut world, "bob", group, "stays", None);
    for name in PEOPLE {
        assert_eq!(world.group(name, group).unwrap().data.timer, None);
        read(&mut world, name, group);
    }
    world.sleep(30 * DAY);
    world.settle();
    for name in PEOPLE {
        assert_eq!(texts(&world, name, group), ["lasting", "stays"], "{name}");
    }
}

/// The HPKE key of every leaf in somebody's tree, read by the letter of RFC 9420, sections 7.1, 7.2 and 7.8.
fn leaf_keys(world: &World, name: &str, group: GroupId) -> BTreeMap<DeviceId, Vec<u8>> {
    const TREE: u8 = 2;
    let place = [&group.as_bytes()[..], &[TREE]].concat();
    let store = &world.person(name).store;
    let tree = store.get(Table::GroupPart, &place).unwrap().unwrap();
    read_tree(&tree).unwrap()
}

/// A length (RFC 9000, section 16), and so many bytes.
fn vector<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let first = input.u8()?;
    let mut length = usize::from(first & 0x3F);
    for _ in 1..(1 << (first >> 6)) {
        length = length << 8 | usize::from(input.u8()?);
    }
    input.take(length)
}

fn read_tree(bytes: &[u8]) -> Result<BTreeMap<DeviceId, Vec<u8>>, DecodeError> {
    let mut nodes = Reader::new(bytes);
    let nodes = vector(&mut nodes)?;
    let mut input = Reader::new(nodes);
    let mut keys = BTreeMap::new();
    while input.remaining() > 0 {
        match (input.u8()?, input.remaining()) {
            (0, _) => continue,
            (1, 1..) => {}
            _ => return Err(DecodeError::Invalid),
        }
        if input.u8()? == 2 {
            // A parent: key, hash, leaves that do not know it.
            for _ in 0..3 {
                vector(&mut input)?;
            }
            continue;
        }
        let key = vector(&mut input)?.to_vec();
        vector(&mut input)?; // signature key
        input.take(2)?; // kind of credential
        let identity = vector(&mut input)?;
        for _ in 0..5 {
            vector(&mut input)?; // capabilities
        }
        match input.u8()? {
            1 => drop(input.take(16)?),     // of a key package: its time
            3 => drop(vector(&mut input)?), // of a commit: hash of its parent
            _ => {}                         // of an update
        }
        vector(&mut input)?; // extensions
        vector(&mut input)?; // signature
        let device = identity.get(32..48).ok_or(DecodeError::Invalid)?;
        let device = DeviceId::from_slice(device).ok_or(DecodeError::Invalid)?;
        keys.insert(device, key);
    }
    Ok(keys)
}

/// Whose leaves have another key than before.
fn renewed(
    before: &BTreeMap<DeviceId, Vec<u8>>,
    after: &BTreeMap<DeviceId, Vec<u8>>,
) -> Vec<DeviceId> {
    let other = |(device, key): &(&DeviceId, &Vec<u8>)| before.get(device) != Some(*key);
    after
        .iter()
        .filter(other)
        .map(|(device, _)| *device)
        .collect()
}

/// Moves so many days on, and lets whoever is due do its part.
fn days(world: &mut World, days: u64) {
    world.sleep(days * DAY);
    world.run(600);
    world.settle();
}

#[test]
fn every_leaf_has_new_keys_every_week() {
    const HOMES: [&str; 5] = ["alice", "bob", "bob tablet", "carol", "dave"];
    let mut world = friends(132, &["alice", "bob", "carol", "dave"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let device = HOMES.map(|home| world.device(home));
    let dave = device[4];
    let keys = |world: &World, without: &str| {
        let all = HOMES.iter().filter(|home| **home != without);
        let mut all = all.map(|home| leaf_keys(world, home, group));
        let keys = all.next().unwrap();
        assert!(all.all(|other| other == keys), "all see one tree");
        keys
    };
    let first = leaf_keys(&world, "carol", group);
    assert_eq!(first.len(), 4);
    // A commit that only adds gives nobody new keys, not even its maker.
    days(&mut world, 3);
    world.add_to_group("alice", group, &["dave"]).unwrap();
    world.settle();
    let added = keys(&world, "");
    assert_eq!(renewed(&first, &added), [dave]);
    // A week after the beginning everybody has new ones, but for who has been in for four days.
    days(&mut world, 4);
    let week = keys(&world, "");
    let mut others: Vec<DeviceId> = device.into_iter().filter(|one| *one != dave).collect();
    others.sort_unstable();
    assert_eq!(renewed(&added, &week), others);
    days(&mut world, 3);
    let before = keys(&world, "");
    assert_eq!(renewed(&week, &before), [dave]);
    // Whoever puts out a device that is revoked has new keys at once, and all secrets come from them.
    world.revoke("bob", tablet, Reason::Stolen);
    world.settle();
    let stolen = keys(&world, "bob tablet");
    assert!(!stolen.contains_key(&tablet));
    assert_eq!(renewed(&before, &stolen), [device[1]]);
    // What that device knew of the others is over after a week, too.
    days(&mut world, 7);
    let after = keys(&world, "bob tablet");
    assert_eq!(renewed(&stolen, &after).len(), 4);
}
