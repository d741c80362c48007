//! All devices are lost, and a vault is opened again: real processes, a real relay.

use crate::devices::link;
use crate::guardians::{CONTINUE, approve, ask, friends, guard};
use crate::recovery::{paper, restore};
use crate::sealed::{empty, text};
use crate::support::{Person, Town};
use crate::vaults::vault;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn put(person: &Person, folder: &Path, content: &str) {
    let note = folder.join("note");
    fs::write(&note, content).unwrap();
    person.ok(&["vault", "put", "plans", text(&note)]);
}

fn get(person: &Person, folder: &Path) -> String {
    let out = text(folder);
    person.ok(&["vault", "get", "plans", "note", "--force", "--out", out]);
    fs::read_to_string(folder.join("note")).unwrap()
}

/// Lets people talk until something holds: more has to be said than in other tests, and in turns.
fn until(people: &[&Person], what: &str, holds: impl Fn() -> bool) {
    for _ in 0..40 {
        if holds() {
            return;
        }
        for person in people {
            person.run(&["receive", "--timeout", "3s"]);
        }
    }
    panic!("{what} does not come");
}

fn knows(person: &Person, generation: u64) -> bool {
    vault(person).is_some_and(|vault| vault["generation"] == generation)
}

fn members(person: &Person) -> Vec<(String, String)> {
    let shown = person.json(&["vault", "members", "plans"]);
    let member = |line: &Value| {
        let field = |name: &str| line[name].as_str().map(str::to_owned);
        Some((field("name")?, field("role")?)).filter(|_| line["answer"] == "vault_member")
    };
    shown.iter().filter_map(member).collect()
}

/// The device of somebody's account that is not this one goes out of force.
fn revoke_the_lost_one(person: &Person) {
    let devices = person.json(&["device", "list"]);
    let lost = devices.iter().find(|device| device["this"] == false);
    let lost = lost.unwrap()["name"].as_str().unwrap().to_owned();
    person.ok(&["device", "revoke", &lost, "--reason", "lost", "--yes"]);
}

/// Nobody but its owner could let anybody in, and the vault's group went on after the loss.
#[test]
fn a_sheet_opens_a_shared_vault_again() {
    let town = Town::new();
    let (alice, bob) = crate::vault_files::shared(&town, "reader");
    let carol = town.person("carol");
    let invite = carol.ok(&["invite"]).line();
    alice.ok(&["contact", "add", &invite]);
    let invite = alice.ok(&["invite"]).line();
    carol.ok(&["contact", "add", &invite]);
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    let sheet = paper(&town, &alice, "sheet");
    fs::remove_dir_all(&alice.home).unwrap();
    let tablet = link(&town, &bob, "tablet");
    until(&[&bob, &tablet], "the tablet", || {
        vault(&bob).is_some_and(|vault| vault["devices"] == 3)
    });

    let (again, _) = restore(&town, "again", &sheet);
    assert_eq!(get(&again, &out), "first");
    // What is asked before anybody has let it in is not said to be done, and is done later.
    let refused = again.fails(4, &["vault", "share", "plans", "carol", "--role", "writer"]);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("not in the vault yet"), "{refused}");
    revoke_the_lost_one(&again);
    until(&[&bob, &again], "the new key", || knows(&again, 2));
    until(&[&again, &carol], "the vault", || knows(&carol, 2));
    let all = [("me", "owner"), ("bob", "reader"), ("carol", "writer")];
    let shown = members(&again);
    assert_eq!(shown.len(), 3);
    for (name, role) in all {
        assert!(
            shown.contains(&(name.to_owned(), role.to_owned())),
            "{shown:?}"
        );
    }
    put(&again, &from, "second");
    until(&[&bob], "the new key", || knows(&bob, 2));
    for person in [&bob, &carol, &again] {
        assert_eq!(get(person, &out), "second");
    }
    again.ok(&["vault", "rename", "plans", "old plans"]);
    again.ok(&["vault", "unshare", "old plans", "bob"]);
    let left = again.json(&["vault", "share", "old plans", "carol", "--role", "reader"]);
    assert_eq!(left[0]["members"], 2);
}

#[test]
fn guardians_open_a_vault_again() {
    let mut town = Town::new();
    let (alice, others) = friends(&town, &["bob", "carol"]);
    let [bob, carol] = &others[..] else {
        panic!("two friends");
    };
    alice.ok(&["vault", "create", "plans"]);
    alice.ok(&["vault", "share", "plans", "bob", "--role", "writer"]);
    until(&[&alice, bob], "the key", || knows(bob, 1));
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    guard(&alice, "2", "1h", &others);
    fs::remove_dir_all(&alice.home).unwrap();

    let new = town.stranger("new");
    let code = ask(&town, &new, "alice");
    approve(bob, &code);
    approve(carol, &code);
    town.pass_hours(3);
    new.json(&CONTINUE);
    revoke_the_lost_one(&new);
    until(&[&new, bob], "the new key", || {
        knows(&new, 2) && knows(bob, 2)
    });
    assert_eq!(get(&new, &out), "first");
    put(&new, &from, "second");
    assert_eq!(get(bob, &out), "second");
    put(bob, &from, "third");
    assert_eq!(get(&new, &out), "third");
    let shared = new.json(&["vault", "share", "plans", "carol"]);
    assert_eq!(shared[0]["members"], 3);
    until(&[&new, bob, carol], "the vault", || knows(carol, 2));
    assert_eq!(get(carol, &out), "third");
}

/// Nobody else was in it.
#[test]
fn a_sheet_opens_a_vault_of_one_again() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["vault", "create", "plans"]);
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    let sheet = paper(&town, &alice, "sheet");
    fs::remove_dir_all(&alice.home).unwrap();
    let (again, _) = restore(&town, "again", &sheet);
    until(&[&again], "the vault", || knows(&again, 1));
    again.ok(&["vault", "rename", "plans", "bridges"]);
    again.ok(&["vault", "rename", "bridges", "plans"]);
    put(&again, &from, "second");
    again.ok(&["vault", "share", "plans", "bob"]);
    until(&[&bob], "the key", || knows(&bob, 1));
    assert_eq!(get(&bob, &out), "second");
    revoke_the_lost_one(&again);
    until(&[&again, &bob], "the new key", || {
        knows(&again, 2) && knows(&bob, 2)
    });
    put(&again, &from, "third");
    assert_eq!(get(&bob, &out), "third");
}
