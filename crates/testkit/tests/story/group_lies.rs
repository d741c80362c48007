//! Groups: what liars reach, which is nothing.

use crate::groups::friends;
use engine::records::GroupStanding;
use engine::{Event, Table};
use keys::account_log::{Authority, Reason};
use letterlock_testkit::World;
use wire::{FetchLog, Reply, Request};

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

#[test]
fn a_replayed_invitation_does_nothing() {
    let mut world = friends(301, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["carol"]);
    drain(&mut world, "bob");
    world.set_online("bob", false);
    world.add_to_group("alice", group, &["bob"]).unwrap();
    world.settle();
    // The invitation is on its way; no receipt says that it arrived.
    let before = world.person("alice").store.clone();
    world.set_online("bob", true);
    world.settle();
    assert!(world.is_in_group("bob", group));
    world.remove_from_group("alice", group, &["bob"]).unwrap();
    world.settle();
    assert!(!world.is_in_group("bob", group));
    for text in ["a letter", "another one"] {
        world.send("alice", "bob", text);
        world.settle();
    }
    // Her disk is older now: their session is lost, and she says again what no receipt covers.
    set_back(&mut world, "alice", before);
    world.send("alice", "bob", "what was I saying?");
    world.settle();
    world.send("bob", "alice", "you have said that before");
    world.run(30);
    world.send("alice", "bob", "have I?");
    world.settle();
    let record = world.group("bob", group).unwrap();
    assert_eq!(record.standing, GroupStanding::Out);
    let joined = |event: &&Event| matches!(event, Event::GroupJoined { .. });
    let times = world.person("bob").events.iter().filter(joined).count();
    assert_eq!(times, 1);
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
    let shown = forged.bytes().to_vec();
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::FetchLog(FetchLog::ByAccount(of)), Reply::Log(mut log)) if *of == account => {
                log.log.clone_from(&shown);
                Reply::Log(log)
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
