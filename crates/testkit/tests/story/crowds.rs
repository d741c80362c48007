//! Groups of very many people. Of most of them there is what others see of them: an account log, a queue, a key package.

use engine::records::LetterState;
use engine::{CommandOutcome, EngineError, Input, trial};
use keys::account_log::{Authority, DeviceSecrets, MAX_DEVICES, RootSecret, genesis};
use keys::{GroupId, QueueId, Secret, Suite};
use letterlock_testkit::World;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeSet;
use wire::limits::SEND_ROWS;
use wire::{Reply, Request, SendInEpoch};

/// Lets people register who never come online, and makes them contacts of somebody.
pub(crate) fn crowd(world: &mut World, of: &str, people: usize) -> Vec<String> {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let (now, relay) = (world.now(), world.relay_url());
    let mut names = Vec::new();
    for number in 0..people {
        let name = format!("guest{number}");
        let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
        let device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
        let log = genesis(&root, &device, now).unwrap();
        let (queue_id, token) = (QueueId::random(&mut rng), Secret::random(&mut rng));
        let hash = keys::sha256(&[token.expose_secret()]);
        let named = (log.account_id(), &device);
        let packages = trial::key_package(named, (queue_id, token), now, &mut rng).unwrap();
        let requests = [
            Request::Register(wire::Register {
                name: name.clone(),
                log: log.bytes().to_vec(),
                code: None,
            }),
            Request::CreateQueue(wire::CreateQueue {
                queue_id,
                receive_key: [7; 32],
                send_token_hash: hash,
            }),
            Request::PublishKeyPackages(packages),
        ];
        for request in requests {
            let reply = world.relay().ask(request, now).unwrap();
            assert!(!matches!(reply, Reply::Refused(_)), "{name}: {reply:?}");
        }
        let store = &world.person(of).store;
        let step = trial::contact(store, (&name, relay), log.bytes(), now, &mut rng).unwrap();
        step.commit(&mut world.person_mut(of).store).unwrap();
        names.push(name);
    }
    names
}

/// The sends of a group that are no changes, after so many requests.
fn letters(world: &mut World, group: GroupId, from: usize) -> Vec<SendInEpoch> {
    let heard = world.relay().heard().iter().skip(from);
    let sends = heard.filter_map(|request| match request {
        Request::SendInEpoch(send) if send.group == group && send.next.is_none() => {
            Some(send.clone())
        }
        _ => None,
    });
    sends.collect()
}

/// Members of the large group; one device each.
const MEMBERS: usize = 1_000;

/// What a letter of somebody costs: one request with one body and a row for everybody.
fn costs_one_request(world: &mut World, name: &str, group: GroupId, text: &str) {
    let from = world.relay().heard().len();
    let waiting = world.relay().store().waiting();
    let letter = world.write_to_group(name, group, text);
    world.settle();
    let sends = letters(world, group, from);
    let [send] = &sends[..] else {
        panic!("{} requests for one letter of {name}", sends.len());
    };
    let queues: BTreeSet<QueueId> = send.send.rows.iter().map(|row| row.queue_id).collect();
    assert_eq!(queues.len(), MEMBERS);
    assert_eq!(send.send.body.len(), 1024);
    // Each of those who are away has it waiting, and nothing else.
    let guests = world.relay().store().waiting() - waiting;
    assert_eq!(guests, MEMBERS - 2);
    assert_eq!(world.letter(name, letter).unwrap().state, LetterState::Sent);
}

#[test]
fn a_letter_to_a_thousand_members_is_one_body_in_one_request() {
    let mut world = World::new(901);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let mut members = crowd(&mut world, "alice", MEMBERS - 2);
    members.push("bob".to_owned());
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let group = world.create_group("alice", "the whole town", &members);
    for name in ["alice", "bob"] {
        assert!(world.is_in_group(name, group), "{name}");
        assert_eq!(world.group_devices(name, group).len(), MEMBERS);
        costs_one_request(&mut world, name, group, &format!("from {name}"));
    }
    assert_eq!(world.group_texts("alice", group), ["from bob"]);
    assert_eq!(world.group_texts("bob", group), ["from alice"]);
}

/// Somebody with as many devices as an account has.
fn with_many_devices(world: &mut World, of: &str, name: &str, rng: &mut ChaCha20Rng) {
    let (now, relay) = (world.now(), world.relay_url());
    let root = RootSecret::generate(Suite::Hybrid, rng).unwrap();
    let first = DeviceSecrets::generate(Suite::Hybrid, rng).unwrap();
    let mut log = genesis(&root, &first, now).unwrap();
    let request = Request::Register(wire::Register {
        name: name.to_owned(),
        log: log.bytes().to_vec(),
        code: None,
    });
    assert_eq!(world.relay().ask(request, now), Some(Reply::Done));
    for _ in 1..MAX_DEVICES {
        let device = DeviceSecrets::generate(Suite::Hybrid, rng).unwrap();
        let by = Authority::Device(&first);
        log = log.add_device(by, &device, false, now).unwrap();
    }
    let store = world.relay().store_mut();
    store.set_log(log.account_id(), log.bytes());
    let store = &world.person(of).store;
    let step = trial::contact(store, (name, relay), log.bytes(), now, rng).unwrap();
    step.commit(&mut world.person_mut(of).store).unwrap();
}

/// A device for which a full group has no place waits, keeps nothing else from being done, and comes in when somebody goes.
#[test]
fn a_device_that_finds_no_place_waits_for_one() {
    let mut world = World::new(903);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let mut members = crowd(&mut world, "alice", SEND_ROWS - 2);
    members.push("bob".to_owned());
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let group = world.create_group("alice", "the whole town", &members);
    let size = |world: &World| world.group_devices("bob", group).len();
    assert_eq!(size(&world), SEND_ROWS);
    let tablet = world.link("bob", "bob tablet");
    world.run(60);
    world.settle();
    assert_eq!(size(&world), SEND_ROWS);
    assert!(!world.group_devices("bob", group).contains(&tablet));
    world.write_to_group("bob", group, "full house");
    world.settle();
    assert_eq!(world.group_texts("alice", group), ["full house"]);
    // It is looked for now and then, without asking the relay for anything.
    let from = world.relay().heard().len();
    world.sleep(3_600);
    world.run(5);
    let taken = |request: &Request| matches!(request, Request::FetchKeyPackage(_));
    assert!(!world.relay().heard().iter().skip(from).any(taken));
    let guest = world.person("alice").contact("guest7").unwrap().id;
    let removed = world.command("alice", |command| Input::RemoveFromGroup {
        command,
        group,
        members: vec![guest],
    });
    assert!(matches!(removed, CommandOutcome::Done), "{removed:?}");
    world.settle();
    assert_eq!(size(&world), SEND_ROWS - 1);
    world.sleep(3_600);
    world.run(60);
    world.settle();
    assert_eq!(size(&world), SEND_ROWS);
    for name in ["alice", "bob"] {
        assert!(world.group_devices(name, group).contains(&tablet), "{name}");
    }
    assert!(world.is_in_group("bob tablet", group));
    world.write_to_group("alice", group, "come in");
    world.settle();
    assert_eq!(world.group_texts("bob tablet", group), ["come in"]);
}

#[test]
fn whom_a_group_cannot_hold_is_not_added() {
    let mut world = World::new(902);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let group = world.create_group("alice", "the whole town", &["bob"]);
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    // All but the last of them would fit, and the last one with some of its devices.
    let people = SEND_ROWS / MAX_DEVICES + 1;
    let names: Vec<String> = (0..people).map(|number| format!("guest{number}")).collect();
    for name in &names {
        with_many_devices(&mut world, "alice", name, &mut rng);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let from = world.relay().heard().len();
    let refused = world.add_to_group("alice", group, &names);
    assert_eq!(refused, Err(EngineError::GroupTooLarge));
    world.settle();
    // Nobody's key packages were used up for that, and the group is as before.
    let taken = |request: &Request| matches!(request, Request::FetchKeyPackage(_));
    assert!(!world.relay().heard().iter().skip(from).any(taken));
    world.write_to_group("alice", group, "only we");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["only we"]);
    assert_eq!(world.group_devices("bob", group).len(), 2);
}
