//! Accounts of suite `cnsa2` beside others.

use engine::{CommandOutcome, Engine, EngineError, Event, Hidden, Input, KeyKind};
use keys::Suite;
use keys::account_log::{Method, Reason};
use keys::sheet::SheetSecret;
use letterlock_testkit::World;
use std::collections::BTreeSet;
use wire::Request;

fn done(outcome: CommandOutcome) {
    assert!(matches!(outcome, CommandOutcome::Done), "{outcome:?}");
}

/// Every key that the log of a home names is of `cnsa2`.
fn all_is_cnsa2(world: &World, name: &str) {
    let log = world.own_log(name);
    assert_eq!(log.suite(), Suite::Cnsa2);
    assert_eq!(log.root_key().suite(), Suite::Cnsa2);
    for device in log.devices() {
        assert_eq!(device.suite(), Suite::Cnsa2);
        assert!(device.identity().is_none());
    }
    for method in Method::ALL {
        let record = log.recovery(method);
        assert!(record.is_none_or(|record| record.verifying_key().suite() == Suite::Cnsa2));
    }
    assert_eq!(world.stolen_keys(name).suite(), Suite::Cnsa2);
}

/// No device published keys for sessions, only where it takes words.
fn no_pre_keys(world: &mut World) {
    let mut doors = 0;
    for request in world.relay().heard() {
        if let Request::PublishPreKeys(published) = request {
            assert!(published.identity.is_empty() && published.signed_ec.is_empty());
            assert!(published.last_resort_kem.is_empty());
            assert!(published.one_time_ec.is_empty() && published.one_time_kem.is_empty());
            doors += 1;
        }
    }
    assert!(doors > 0);
}

#[test]
fn devices_of_a_cnsa2_account_come_rotate_and_go() {
    let mut world = World::new(2000);
    world.join_in("alice", Suite::Cnsa2);
    let tablet = world.link("alice", "tablet");
    for home in ["alice", "tablet"] {
        all_is_cnsa2(&world, home);
        assert_eq!(world.own_log(home).devices().len(), 2);
    }
    let before = world.own_log("tablet").device(&tablet).unwrap().clone();
    done(world.command("tablet", |command| Input::RotateDevice { command }));
    world.settle();
    world.run(30);
    let after = world.own_log("alice").device(&tablet).unwrap().clone();
    assert!(!after.has_keys_of(&before));
    all_is_cnsa2(&world, "alice");
    done(world.command("alice", |command| Input::RotateRoot { command }));
    done(world.revoke("alice", tablet, Reason::Lost));
    world.run(30);
    assert_eq!(world.own_log("alice").devices().len(), 1);
    let revoked = |event: &Event| matches!(event, Event::DeviceRevoked);
    assert!(world.person("tablet").events.iter().any(revoked));
    all_is_cnsa2(&world, "alice");
    no_pre_keys(&mut world);
}

#[test]
fn a_sheet_brings_a_cnsa2_account_back() {
    let mut world = World::new(2001);
    world.join_in("alice", Suite::Cnsa2);
    world.join("bob");
    world.befriend("alice", "bob");
    let sheet = world.make_sheet("alice");
    world.run(20);
    world.stop("alice");
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.settle();
    assert_eq!(world.account("new"), world.account("alice"));
    all_is_cnsa2(&world, "new");
    assert!(world.own_log("new").recovery(Method::Sheet).is_some());
    assert!(world.person("new").contact("bob").is_some());
    // The root key is in the bundle, for one change.
    let sheet = Hidden(SheetSecret::from_text(&sheet).unwrap());
    done(world.command("new", |command| Input::UnlockRoot { command, sheet }));
    done(world.command("new", |command| Input::EndAccount { command }));
}

#[test]
fn an_account_keeps_its_suite_when_it_is_made_again() {
    let mut world = World::new(2003);
    world.join_in("alice", Suite::Cnsa2);
    let again = world.command("alice", |command| Input::CreateAccount {
        command,
        registration: engine::Registration {
            name: "alice".to_owned(),
            device_name: "alice".to_owned(),
            relay: "http://127.0.0.1:1".to_owned(),
            code: None,
            suite: Suite::Hybrid,
        },
    });
    assert!(
        matches!(again, CommandOutcome::Failed(EngineError::AccountExists)),
        "{again:?}"
    );
    all_is_cnsa2(&world, "alice");
}

#[test]
fn the_inventory_of_a_cnsa2_account_names_its_algorithms() {
    let mut world = World::new(2004);
    world.join_in("alice", Suite::Cnsa2);
    world.link("alice", "tablet");
    world.make_sheet("alice");
    let now = world.now();
    let keys = Engine.inventory(&world.person("alice").store, now).unwrap();
    let used: BTreeSet<_> = keys
        .iter()
        .map(|key| key.kind.algorithm(key.suite))
        .collect();
    let listed: BTreeSet<_> = engine::algorithms(Suite::Cnsa2)
        .iter()
        .map(|known| known.name)
        .collect();
    assert!(used.is_subset(&listed), "{used:?}");
    for absent in [
        KeyKind::DeviceIdentity,
        KeyKind::SignedPreKey,
        KeyKind::OneTimeEcPreKeys,
        KeyKind::OneTimeKemPreKeys,
        KeyKind::LastResortPreKey,
        KeyKind::Sessions,
    ] {
        assert!(keys.iter().all(|key| key.kind != absent), "{absent:?}");
    }
    assert!(used.contains("ML-DSA-87") && used.contains("ML-KEM-1024"));
    let classical = ["Ed25519+ML-DSA-65", "X-Wing", "Triple Ratchet", "PQXDH"];
    for name in classical {
        assert!(!listed.contains(name), "{name}");
    }
}

#[test]
fn a_group_of_the_higher_suite_takes_nobody_of_the_lower() {
    let mut world = World::new(2005);
    world.join_in("alice", Suite::Cnsa2);
    world.join("bob");
    world.befriend("alice", "bob");
    let group = world.create_group("alice", "alone for now", &[]);
    assert_eq!(world.group("alice", group).unwrap().suite, Suite::Cnsa2);
    let refused = world.add_to_group("alice", group, &["bob"]);
    let contact = world.account("bob");
    let suite = Suite::Cnsa2;
    assert_eq!(refused, Err(EngineError::GroupSuite { contact, suite }));
    let epoch = world.group("alice", group).unwrap().epoch;
    world.settle();
    assert_eq!(world.group("alice", group).unwrap().epoch, epoch);
}
