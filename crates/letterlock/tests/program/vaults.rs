//! Vaults, as far as people and keys go: real processes, a real relay.

use crate::support::{Person, Town};
use serde_json::Value;

pub(crate) fn vault(person: &Person) -> Option<Value> {
    let mut listed = person.json(&["vault", "list"]).into_iter();
    listed.find(|vault| vault["state"] == "in")
}

/// Lets both talk until something holds.
pub(crate) fn until(people: &[&Person], what: &str, holds: impl Fn() -> bool) {
    for _ in 0..30 {
        if holds() {
            return;
        }
        for person in people {
            person.run(&["receive", "--timeout", "1s"]);
        }
    }
    panic!("{what} does not come");
}

#[test]
fn a_vault_is_shared_and_its_key_changes_when_somebody_goes() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let made = alice.json(&["vault", "create", "plans"]);
    assert_eq!(
        (&made[0]["role"], &made[0]["generation"]),
        (&"owner".into(), &1.into())
    );
    let shared = alice.json(&["vault", "share", "plans", "bob", "--role", "writer"]);
    assert_eq!(shared[0]["members"], 2);
    let of_bob = shared.iter().find(|line| line["name"] == "bob").unwrap();
    assert_eq!(of_bob["role"], "writer");
    until(&[&alice, &bob], "the key", || {
        vault(&bob).is_some_and(|vault| vault["generation"] == 1)
    });
    assert_eq!(vault(&bob).unwrap()["role"], "writer");
    // It is no group, and nobody writes letters in it.
    assert!(bob.json(&["group", "list"]).is_empty());
    bob.fails(5, &["send", "plans", "hello"]);
    bob.fails(5, &["group", "leave", "plans"]);
    // A writer shares it with nobody.
    let refused = bob.fails(3, &["vault", "unshare", "plans", "alice"]);
    assert_eq!(
        refused["message"],
        "your role in the vault does not allow this"
    );
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("letterlock vault members"), "{hint}");
    bob.fails(3, &["vault", "rename", "plans", "mine"]);
    alice.ok(&["vault", "rename", "plans", "old plans"]);
    alice.ok(&["vault", "unshare", "old plans", "bob"]);
    until(&[&alice, &bob], "the new key", || {
        vault(&alice).is_some_and(|vault| vault["generation"] == 2)
    });
    assert_eq!(vault(&alice).unwrap()["members"], 1);
    until(&[&bob], "the removal", || {
        bob.json(&["vault", "list"]).is_empty()
    });
    alice.fails(5, &["vault", "members", "plans"]);
    alice.fails(5, &["vault", "share", "old plans", "nobody"]);
    // What nobody opens any more afterwards is not left by mistake.
    let refused = alice.fails(2, &["vault", "leave", "old plans"]);
    assert!(refused["hint"].as_str().unwrap().contains("--yes"));
    alice.fails(2, &["vault", "create", "old plans"]);
    alice.ok(&["vault", "leave", "old plans", "--yes"]);
    assert!(alice.json(&["vault", "list"]).is_empty());
}

#[test]
fn a_linked_device_gets_the_keys() {
    let town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let tablet = crate::devices::link(&town, &alice, "tablet");
    until(&[&alice, &tablet], "the vault", || {
        vault(&tablet).is_some_and(|vault| vault["generation"] == 1)
    });
    // And when it is lost, what is written has another key.
    alice.ok(&["device", "revoke", "tablet", "--reason", "lost", "--yes"]);
    until(&[&alice], "the new key", || {
        vault(&alice).is_some_and(|vault| vault["generation"] == 2)
    });
    assert_eq!(vault(&alice).unwrap()["devices"], 1);
}
