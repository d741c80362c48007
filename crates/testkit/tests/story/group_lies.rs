//! Groups: what liars reach, which is nothing.

use crate::group_days::host;
use crate::groups::friends;
use engine::records::GroupStanding;
use engine::{CommandId, CommandOutcome, Event, GroupError, Input, Snapshot as _, Table};
use keys::account_log::{Authority, Reason};
use letterlock_testkit::World;
use wire::{Reply, Request};

/// Uses up the one-time key packages of somebody, so that the one of last resort is given out.
fn drain(world: &mut World, name: &str) {
    let (account, device) = (world.account(name), world.device(name));
    let relay = world.relay().store_mut();
    let of = wire::FetchKeyPackage {
        account,
        device,
        suite: keys::Suite::Hybrid,
    };
    for _ in 0..100 {
        match relay.take_key_package(&of) {
            Some(package) if !package.last_resort => {}
            _ => return,
        }
    }
    panic!("there is no end of key packages");
}

/// Sets a home back to an older disk.
fn set_back(world: &mut World, name: &str, store: letterlock_testkit::MemoryStore) {
    world.stop(name);
    world.person_mut(name).store = store;
    world.start(name);
}

/// Why things of groups were refused, as somebody was told.
fn refusals(world: &World, name: &str) -> Vec<GroupError> {
    let events = world.person(name).events.iter();
    let refused = events.filter_map(|event| match event {
        Event::GroupRefused { error, .. } => Some(error.clone()),
        _ => None,
    });
    refused.collect()
}

fn times_joined(world: &World, name: &str) -> usize {
    let joined = |event: &&Event| matches!(event, Event::GroupJoined { .. });
    world.person(name).events.iter().filter(joined).count()
}

/// Alice's disk is an older one now: her session with Bob is lost, and she says again what no receipt covers.
fn say_again(world: &mut World, before: letterlock_testkit::MemoryStore) {
    for text in ["a letter", "another one"] {
        world.send("alice", "bob", text);
        world.settle();
    }
    set_back(world, "alice", before);
    world.send("alice", "bob", "what was I saying?");
    world.settle();
    world.send("bob", "alice", "you have said that before");
    world.run(30);
    world.send("alice", "bob", "have I?");
    world.settle();
}

/// Alice invites Bob; her disk before a receipt said that he got it.
fn invited(
    world: &mut World,
    group: keys::GroupId,
    last_resort: bool,
) -> letterlock_testkit::MemoryStore {
    if last_resort {
        drain(world, "bob");
    }
    world.set_online("bob", false);
    world.add_to_group("alice", group, &["bob"]).unwrap();
    world.settle();
    let before = world.person("alice").store.clone();
    world.set_online("bob", true);
    world.settle();
    assert!(world.is_in_group("bob", group));
    before
}

/// The key package of last resort opens as often as somebody answers it.
/// What Bob refuses when the invitation of a stay that is over comes again, and once more.
fn refused_after_the_stay(seed: u64, last_resort: bool) -> Vec<GroupError> {
    let mut world = friends(seed, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["carol"]);
    let before = invited(&mut world, group, last_resort);
    world.remove_from_group("alice", group, &["bob"]).unwrap();
    world.settle();
    assert!(!world.is_in_group("bob", group));
    say_again(&mut world, before.clone());
    assert_eq!(refusals(&world, "bob"), []);
    // However often it comes from then on, that is told once.
    for _ in 0..2 {
        say_again(&mut world, before.clone());
    }
    let record = world.group("bob", group).unwrap();
    assert_eq!(record.standing, GroupStanding::Out);
    assert_eq!(times_joined(&world, "bob"), 1);
    refusals(&world, "bob")
}

#[test]
fn a_replayed_invitation_does_nothing() {
    let refused = refused_after_the_stay(301, true);
    assert_eq!(refused, [GroupError::PastInvitation]);
}

#[test]
fn a_used_invitation_is_refused() {
    let refused = refused_after_the_stay(304, false);
    assert_eq!(refused, [GroupError::NoKeyPackage]);
}

/// What is said twice while it still holds is no lie.
#[test]
fn an_invitation_that_comes_twice_alarms_nobody() {
    for (seed, last_resort) in [(305, true), (306, false)] {
        let mut world = friends(seed, &["alice", "bob", "carol"]);
        let group = world.create_group("alice", "night shift", &["carol"]);
        let before = invited(&mut world, group, last_resort);
        say_again(&mut world, before);
        assert_eq!(times_joined(&world, "bob"), 1);
        assert_eq!(refusals(&world, "bob"), []);
        world.remove_from_group("alice", group, &["bob"]).unwrap();
        world.settle();
        assert!(!world.is_in_group("bob", group));
        assert_eq!(refusals(&world, "bob"), []);
    }
}

/// Bob is in again by another invitation when the one of his first stay comes again.
#[test]
fn an_invitation_of_an_earlier_stay_is_refused() {
    for (seed, last_resort) in [(307, true), (308, false)] {
        let mut world = friends(seed, &["alice", "bob", "carol"]);
        let group = world.create_group("alice", "night shift", &["carol"]);
        let owner = engine::records::DataChange {
            role: Some((world.account("carol"), engine::Role::Owner)),
            ..engine::records::DataChange::default()
        };
        world.change_group("alice", group, owner).unwrap();
        world.settle();
        let before = invited(&mut world, group, last_resort);
        world.remove_from_group("carol", group, &["bob"]).unwrap();
        world.settle();
        world.add_to_group("carol", group, &["bob"]).unwrap();
        world.settle();
        assert_eq!(times_joined(&world, "bob"), 2);
        say_again(&mut world, before.clone());
        assert_eq!(refusals(&world, "bob"), []);
        for _ in 0..2 {
            say_again(&mut world, before.clone());
        }
        assert!(world.is_in_group("bob", group));
        assert_eq!(refusals(&world, "bob"), [GroupError::PastInvitation]);
    }
}

#[test]
fn a_stranger_is_told_nothing_of_a_group() {
    let mut world = friends(302, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let before = world.person("carol").store.clone();
    world.remove_from_group("alice", group, &["carol"]).unwrap();
    world.settle();
    // Carol's program does not know that she is out: it asks to be let back in.
    set_back(&mut world, "carol", before);
    world.write_to_group("carol", group, "am I out?");
    world.run(300);
    // Had she got an answer, her own program would have refused to come in, or theirs to let her.
    for name in ["alice", "bob", "carol"] {
        let refused = |event: &Event| matches!(event, Event::GroupRefused { .. });
        assert!(!world.was_told(name, refused), "{name} had to refuse");
    }
    for name in ["alice", "bob"] {
        assert!(world.is_in_group(name, group), "{name} is not in");
    }
    world.write_to_group("alice", group, "she is");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["she is"]);
}

#[test]
fn a_member_has_one_history() {
    let mut world = World::new(303);
    for name in ["host", "alice", "bob"] {
        world.join(name);
    }
    for name in ["alice", "bob"] {
        world.befriend("host", name);
    }
    // Alice and Bob know each other by the group alone.
    let tablet = world.link("alice", "alice tablet");
    let thief = world.stolen_keys("alice");
    let before = world.own_log("alice");
    let group = world.create_group("host", "everybody", &["alice", "bob"]);
    world.sleep(4 * 24 * 3600);
    world.revoke("alice", tablet, Reason::Lost);
    world.run(60);
    world.write_to_group("alice", group, "one");
    world.run(60);
    let kept = |world: &World| -> Vec<Vec<u8>> {
        let rows = world.person("bob").store.values(Table::MemberLog);
        rows.map(<[u8]>::to_vec).collect()
    };
    let known = world.own_log("alice");
    assert_eq!(kept(&world).len(), 1);
    assert!(kept(&world)[0].ends_with(known.bytes()));
    // Now her log goes on, and the relay shows Bob another one, which is signed as well and as long.
    let now = world.now();
    let forged = before
        .revoke(Authority::Device(&thief), &tablet, Reason::Stolen, now)
        .unwrap();
    world.set_online("bob", false);
    world.link("alice", "alice desk");
    world.run(60);
    world.write_to_group("alice", group, "two");
    world.settle();
    let account = world.account("alice");
    let forged = forged.bytes().to_vec();
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::CheckLog(asked), Reply::Entries(mut shown)) if asked.account == account => {
                let raw = wire::RawLog::parse(&forged).unwrap();
                shown.first = 0;
                shown.entries = raw.part(0).unwrap().entries.to_vec();
                Reply::Entries(shown)
            }
            (_, reply) => reply,
        });
    world.set_online("bob", true);
    world.run(2);
    assert_eq!(kept(&world).len(), 1);
    assert!(kept(&world)[0].ends_with(known.bytes()));
    // Once it shows the true one, Bob knows it.
    world.relay().repent();
    world.write_to_group("alice", group, "three");
    world.run(60);
    let known = world.own_log("alice");
    assert!(kept(&world)[0].ends_with(known.bytes()));
    assert_eq!(world.group_texts("bob", group), ["one", "two", "three"]);
}

/// Mallory begins a group whose id is that of an account.
fn in_the_place_of(world: &mut World, who: keys::AccountId, member: &str) {
    let members = vec![world.account(member)];
    let group = keys::GroupId::from_bytes(*who.as_bytes());
    let done = world.command("mallory", |command| Input::CreateGroup {
        command,
        group,
        name: "nobody".to_owned(),
        members,
    });
    assert!(matches!(done, CommandOutcome::Done), "{done:?}");
    world.settle();
    world.write_to_group("mallory", group, "it is me, Alice");
    world.settle();
}

#[test]
fn a_group_takes_no_persons_place() {
    for (seed, first) in [(320, true), (321, false)] {
        let mut world = World::new(seed);
        for name in ["alice", "bob", "mallory"] {
            world.join(name);
        }
        world.befriend("mallory", "bob");
        let alice = world.account("alice");
        if first {
            world.befriend("alice", "bob");
        }
        in_the_place_of(&mut world, alice, "bob");
        if !first {
            world.befriend("alice", "bob");
        }
        world.write_to_group(
            "mallory",
            keys::GroupId::from_bytes(*alice.as_bytes()),
            "still me",
        );
        world.send("bob", "alice", "for Alice alone");
        world.settle();
        let got = world.read("alice");
        assert!(got.contains(&("bob".to_owned(), "for Alice alone".to_owned())));
        let group = keys::GroupId::from_bytes(*alice.as_bytes());
        assert!(world.group_texts("mallory", group).is_empty());
        assert_eq!(world.is_in_group("bob", group), !first);
        let texts = world.texts("bob", "alice");
        assert!(!texts.contains(&"still me".to_owned()), "{texts:?}");
    }
}

#[test]
fn a_group_is_at_our_relay() {
    let mut world = World::new(322);
    for name in ["alice", "bob", "carol"] {
        world.join_in(name, keys::Suite::Cnsa2);
    }
    for name in ["bob", "carol"] {
        world.befriend("alice", name);
    }
    // Its tree is long: what Alice says of the group waits until that is at the relay.
    world.hold_parts(true);
    let group = world.create_group("alice", "elsewhere", &["bob", "carol"]);
    let prefix = b"group-tree/";
    let store = &world.person("alice").store;
    let rows = store.scan(Table::Meta, prefix, None, 9).unwrap();
    let (row, _) = rows.first().unwrap().clone();
    // The relay that she names to Carol is one of hers.
    let ours = world.relay_url().as_bytes().to_vec();
    let mut hers = ours.clone();
    *hers.last_mut().unwrap() ^= 1;
    world.forge("alice", (Table::Meta, &row), &ours, &hers);
    world.hold_parts(false);
    world.stop("alice");
    world.start("alice");
    world.settle();
    assert!(world.is_in_group("bob", group));
    assert!(world.group("carol", group).is_none());
}

/// An invitation that answers a key package of somebody's, and says that it is of a suite that the device does not speak.
#[test]
fn an_invitation_of_another_suite_is_refused() {
    let (mut world, names) = host(323, 16);
    let (last, others) = names.split_last().unwrap();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let group = world.create_group("host", "everybody", &others);
    // The tree is long: what the host says of the group waits until that is at the relay.
    world.hold_parts(true);
    world.add_to_group("host", group, &[last]).unwrap();
    let store = &world.person("host").store;
    let rows = store.scan(Table::Meta, b"group-tree/", None, 9).unwrap();
    let (row, _) = rows.first().unwrap().clone();
    // Version 1, Welcome, cipher suite.
    let [ours, other] = [[0, 1, 0, 3, 0x00, 0x4e], [0, 1, 0, 3, 0x09, 0x07]];
    world.forge("host", (Table::Meta, &row), &ours, &other);
    world.hold_parts(false);
    world.stop("host");
    world.start("host");
    world.settle();
    assert_eq!(refusals(&world, last), [GroupError::WrongSuite]);
    assert!(!world.is_in_group(last, group));
}

/// From now on somebody's program signs what it says in a group with a key that is not its leaf's: the seed of the one that
/// it has is in the state of the group.
fn signs_falsely(world: &mut World, name: &str, group: keys::GroupId) {
    let keys = world.stolen_keys(name);
    let leaf = keys::LeafKey::of(keys.signing(), keys::Suite::Hybrid).unwrap();
    let state = [&group.as_bytes()[..], &[1]].concat();
    let row = (Table::GroupPart, &state[..]);
    world.forge(name, row, leaf.secret().expose_secret(), &[7; 32]);
}

/// Whoever is in the group has the keys that seal what it says; they say nothing of who it is.
#[test]
fn a_bad_signature_in_a_good_envelope_is_refused() {
    let honest = ["alice", "bob"];
    for (seed, says) in [(309, "a letter"), (310, "a wish"), (311, "a change")] {
        let mut world = friends(seed, &["alice", "bob", "mallory"]);
        let group = world.create_group("alice", "night shift", &["bob", "mallory"]);
        let admin = engine::records::DataChange {
            role: Some((world.account("mallory"), engine::Role::Admin)),
            ..engine::records::DataChange::default()
        };
        world.change_group("alice", group, admin).unwrap();
        world.settle();
        signs_falsely(&mut world, "mallory", group);
        let epoch = world.group("alice", group).unwrap().epoch;
        match says {
            "a letter" => {
                world.write_to_group("mallory", group, "it is me");
            }
            "a wish" => world.leave_group("mallory", group).unwrap(),
            _ => {
                let change = engine::records::DataChange {
                    name: Some("my shift".to_owned()),
                    ..engine::records::DataChange::default()
                };
                world.change_group("mallory", group, change).unwrap();
            }
        }
        world.run(20);
        for name in honest {
            assert_eq!(refusals(&world, name), [GroupError::BadSignature], "{says}");
            assert!(world.group_texts(name, group).is_empty(), "{says}");
            assert_eq!(world.group_devices(name, group).len(), 3, "{says}");
            let record = world.group(name, group).unwrap();
            assert_eq!(
                (record.epoch, &record.data.name[..]),
                (epoch, "night shift")
            );
        }
    }
}

/// What Mallory's program sends in a group that she was removed from, by a disk of before.
fn says_by_an_old_disk(
    world: &mut World,
    disk: letterlock_testkit::MemoryStore,
    input: impl FnOnce(CommandId) -> Input,
) -> wire::Send {
    set_back(world, "mallory", disk);
    world.set_online("mallory", true);
    let before = world.relay().heard().len();
    world.begin("mallory", input);
    world.run(5);
    world.set_online("mallory", false);
    let sent = world.relay().heard()[before..].iter();
    let mut sent = sent.filter_map(|request| match request {
        Request::SendInEpoch(sent) => Some(sent.send.clone()),
        _ => None,
    });
    sent.next().unwrap()
}

/// The same message under the number of another epoch, sealed with the key that Mallory still has.
fn in_epoch(world: &World, group: keys::GroupId, body: &[u8], epoch: u64) -> wire::Body {
    let data = |head: &[u8]| [keys::label::GROUP_BODY.as_bytes(), &[0], head].concat();
    // Kind 1, group 32, epoch 8.
    let (head, rest) = body.split_at(41);
    let (nonce, sealed) = rest.split_first_chunk::<12>().unwrap();
    let store = &world.person("mallory").store;
    let row = store.get(Table::Group, group.as_bytes()).unwrap().unwrap();
    let (key, mut padded) = row
        .windows(32)
        .find_map(|window| {
            let key = keys::Secret::from_slice(window)?;
            let opened = keys::gcm_open(&key, nonce, &data(head), sealed).ok()?;
            Some((key, opened))
        })
        .unwrap();
    let mut head = head.to_vec();
    head[33..].copy_from_slice(&epoch.to_be_bytes());
    // Length 4, no parcel 1; version 2, form 2, group 1 + 32.
    padded[42..50].copy_from_slice(&epoch.to_be_bytes());
    let sealed = keys::gcm_seal(&key, &[7; 12], &data(&head), &padded);
    wire::Body::new([&head[..], &[7; 12], &sealed].concat()).unwrap()
}

/// The relay lays a body into all queues of a group.
fn lay(world: &mut World, sent: &wire::Send, body: wire::Body) {
    let message_id = keys::MessageId::random(world.chance().rng());
    let now = world.now();
    let send = wire::Send {
        message_id,
        body,
        rows: sent.rows.clone(),
    };
    let Some(Reply::SendResult(result)) = world.relay().ask(Request::Send(send), now) else {
        panic!("no place for a body");
    };
    let accepted = |row: &wire::RowResult| matches!(row, wire::RowResult::Accepted { .. });
    assert!(result.rows.iter().all(accepted));
}

/// Alice, Bob and Carol are in the epoch, nobody else is, and nobody was told of anything that Mallory did.
fn undisturbed(world: &World, group: keys::GroupId, epoch: u64) {
    for name in ["alice", "bob", "carol"] {
        let record = world.group(name, group).unwrap();
        let seen = (record.standing, record.epoch, &record.data.name[..]);
        assert_eq!(seen, (GroupStanding::In, epoch, "night shift"), "{name}");
        assert_eq!(world.group_devices(name, group).len(), 3, "{name}");
        assert!(world.group_texts(name, group).is_empty(), "{name}");
        // Nothing waits, and nobody wonders any more.
        let store = &world.person(name).store;
        assert_eq!(store.count(Table::GroupHeld), 0, "{name}");
        let doubt = [b"group-doubt/", &group.as_bytes()[..]].concat();
        assert!(store.get(Table::Meta, &doubt).unwrap().is_none(), "{name}");
        let alarmed = |event: &Event| {
            matches!(
                event,
                Event::GroupLost { .. }
                    | Event::GroupForked { .. }
                    | Event::GroupRefused { .. }
                    | Event::Undecryptable { .. }
            )
        };
        assert!(!world.was_told(name, alarmed), "{name}");
    }
}

/// A letter, a change and a removal that Mallory makes after she was removed, in the epoch in which she was in last.
fn says_after_the_end(world: &mut World, group: keys::GroupId) -> [wire::Send; 3] {
    let admin = engine::records::DataChange {
        role: Some((world.account("mallory"), engine::Role::Admin)),
        ..engine::records::DataChange::default()
    };
    world.change_group("alice", group, admin).unwrap();
    world.settle();
    let disk = world.person("mallory").store.clone();
    world
        .remove_from_group("alice", group, &["mallory"])
        .unwrap();
    world.settle();
    assert!(!world.is_in_group("mallory", group));
    let letter = keys::LetterId::random(world.chance().rng());
    let letter = says_by_an_old_disk(world, disk.clone(), |command| Input::SendLetter {
        command,
        letter,
        to: keys::AccountId::from_bytes(*group.as_bytes()),
        draft: engine::Draft {
            text: "still here".to_owned(),
            ..engine::Draft::default()
        },
    });
    let change = says_by_an_old_disk(world, disk.clone(), |command| Input::ChangeGroup {
        command,
        group,
        change: called("my shift"),
    });
    let members = vec![world.account("bob")];
    let removal = says_by_an_old_disk(world, disk, |command| Input::RemoveFromGroup {
        command,
        group,
        members,
    });
    [letter, change, removal]
}

fn called(name: &str) -> engine::records::DataChange {
    engine::records::DataChange {
        name: Some(name.to_owned()),
        ..engine::records::DataChange::default()
    }
}

/// The relay takes from Mallory what it must not, and lays it where she is no member any more.
#[test]
fn a_relay_that_takes_bodies_of_who_was_removed_reaches_nothing() {
    let others = ["alice", "bob", "carol"];
    let mut world = friends(312, &["alice", "bob", "carol", "mallory"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol", "mallory"]);
    let sent = says_after_the_end(&mut world, group);
    let epoch = world.group("alice", group).unwrap().epoch;
    // Of the epoch that is over: dropped, and nobody asks anybody what that was.
    let before = world.relay().heard().len();
    for send in &sent {
        lay(&mut world, send, send.body.clone());
    }
    world.run(60);
    let says = |request: &Request| matches!(request, Request::Send(_) | Request::SendInEpoch(_));
    assert!(!world.relay().heard()[before..].iter().any(says));
    undisturbed(&world, group, epoch);
    // Of this epoch and of later ones: they do not open, and members who ask each other hear that nothing is amiss.
    for later in [0, 1, 1000] {
        for send in &sent {
            let body = in_epoch(&world, group, &send.body, epoch + later);
            lay(&mut world, send, body);
        }
        let before = world.relay().heard().len();
        world.run(1200);
        assert!(world.relay().heard()[before..].iter().any(says));
        undisturbed(&world, group, epoch);
    }
    for name in others {
        world.write_to_group(name, group, name);
        world.settle();
    }
    for name in others {
        let read = world.group_texts(name, group);
        assert!(read.iter().eq(others.iter().filter(|one| **one != name)));
    }
    world
        .change_group("alice", group, called("day shift"))
        .unwrap();
    world.settle();
    for name in others {
        let record = world.group(name, group).unwrap();
        let seen = (record.epoch, &record.data.name[..]);
        assert_eq!(seen, (epoch + 1, "day shift"), "{name}");
    }
}
