//! Sealed files: whose keys they are sealed to, and who is believed to have signed.

use crate::hostile_relay::{show_as_bob, three};
use engine::{Engine, EngineError, Known, SignerError};
use keys::account_log::{Authority, Reason};
use letterlock_testkit::World;

#[test]
fn no_file_is_sealed_to_a_changed_identity() {
    let mut world = three(48);
    let bob = world.add_by_name("alice", "bob").unwrap();
    let recipients = |world: &World| Engine.file_recipients(&world.person("alice").store, &bob);
    assert_eq!(recipients(&world).unwrap().len(), 1);
    let mallory = world.account("mallory");
    show_as_bob(&mut world, mallory);
    let changed = EngineError::IdentityChanged { contact: bob };
    assert_eq!(world.add_by_name("alice", "bob"), Err(changed.clone()));
    assert_eq!(recipients(&world).unwrap_err(), changed);
}

#[test]
fn a_file_is_sealed_to_every_device() {
    let mut world = World::new(49);
    for name in ["alice", "bob"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    let tablet = world.link("bob", "tablet");
    world.send("bob", "alice", "from now on two");
    world.settle();
    let bob = world.account("bob");
    let store = &world.person("alice").store;
    let keys = Engine.file_recipients(store, &bob).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().any(|key| key.device == Some(tablet)));
    // Each opens what is sealed to it, and nothing else.
    for name in ["bob", "tablet"] {
        let store = &world.person(name).store;
        let opened = Engine.open_with_own(store, |secret| {
            keys.iter().position(|key| key.key == *secret.public())
        });
        assert!(opened.unwrap().is_some(), "{name}");
    }
}

/// A thief with the key of a device makes entries that are valid and that nobody else has seen.
#[test]
fn a_file_with_another_history_is_told() {
    let mut world = World::new(50);
    for name in ["alice", "bob"] {
        world.join(name);
    }
    world.befriend("alice", "bob");
    let tablet = world.link("alice", "tablet");
    world.send("alice", "bob", "I have a tablet");
    world.settle();
    let (thief, before) = (world.stolen_keys("tablet"), world.own_log("alice"));
    let forged = before
        .revoke(
            Authority::Device(&thief),
            &tablet,
            Reason::Retired,
            world.now(),
        )
        .unwrap();
    let alice = world.account("alice");
    let first = *before.devices().first().unwrap().id();
    let signer = |world: &World, log: &[u8]| {
        Engine.file_signer(&world.person("bob").store, &alice, &first, log)
    };
    // What is newer than what Bob knows is believed, with the known history in front of it.
    for log in [&b""[..], before.bytes(), forged.bytes()] {
        let signer = signer(&world, log).unwrap();
        assert!(matches!(signer.known, Known::Contact { .. }) && !signer.revoked);
    }
    world.revoke("alice", tablet, Reason::Stolen);
    world.send("alice", "bob", "it is gone");
    world.settle();
    assert!(matches!(
        signer(&world, forged.bytes()),
        Err(SignerError::Contradiction)
    ));
    let store = &world.person("bob").store;
    let of_tablet = Engine.file_signer(store, &alice, &tablet, before.bytes());
    assert!(of_tablet.unwrap().revoked);
    let nobody = Engine.file_signer(store, &alice, &tablet, b"");
    assert!(matches!(nobody, Err(SignerError::UnknownDevice)));
    let other = Engine.file_signer(store, &world.account("bob"), &tablet, before.bytes());
    assert!(matches!(other, Err(SignerError::BadLog)));
}
