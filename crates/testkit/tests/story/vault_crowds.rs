//! Vaults of many devices: the tree of their groups lies beside the backup, and leads back in all the same.

use crate::crowds::crowd;
use crate::groups::friends;
use crate::guardians::{HOUR, is_back, pass};
use crate::vault_recovery::{is_in, loses, rename, revoke};
use crate::vaults::WRITER;
use engine::{Engine, Role, Snapshot as _, Table};
use keys::GroupId;
use letterlock_testkit::{DELAY_SECONDS, World};
use std::ops::Range;

/// Longest tree in the backup itself (docs/spec/vault.md, section 1).
const WAY_BYTES: usize = 48 * 1024;
/// How the parts of a group are called that say how it is entered (docs/spec/home.md, section 6).
const WAY: u8 = 11;
const FAR_WAY: u8 = 12;
/// Its tree; it has that many bytes with a few more.
const TREE: u8 = 2;

fn row(world: &World, name: &str, vault: GroupId, part: u8) -> Option<Vec<u8>> {
    let key = [&vault.as_bytes()[..], &[part]].concat();
    let store = &world.person(name).store;
    let row = store.get(Table::GroupPart, &key).unwrap();
    row.map(|row| row.to_vec())
}

/// A vault of alice with many who never come online, and others.
fn many(seed: u64, others: &[&str]) -> (World, GroupId) {
    let mut world = friends(seed, &["alice", "bob", "carol"]);
    let vault = world.create_vault("alice", "plans");
    let guests = crowd(&mut world, "alice", 40);
    let mut all: Vec<&str> = guests.iter().map(String::as_str).collect();
    all.extend(others);
    world.share_vault("alice", vault, &all, None).unwrap();
    world.run(60);
    let devices = world.group_devices("alice", vault).len();
    assert_eq!(devices, 41 + others.len());
    assert!(row(&world, "alice", vault, TREE).unwrap().len() > WAY_BYTES);
    assert!(row(&world, "alice", vault, WAY).is_none());
    (world, vault)
}

/// How long trees of a vault are at the relay, as somebody knows it: no other part of the same story has that length.
fn lengths(world: &World, name: &str, vault: GroupId) -> Range<usize> {
    let tree = row(world, name, vault, TREE).unwrap().len();
    // With each commit more of it is filled.
    tree - 16 * 1024..tree + 16 * 1024
}

/// The trees that lie at the relay.
fn trees(world: &World, vault: GroupId) -> usize {
    let lengths = lengths(world, "alice", vault);
    let parts = world.parts().values();
    parts.filter(|part| lengths.contains(&part.len())).count()
}

/// What its owner can do who is alone at its devices.
fn owns(world: &mut World, name: &str, vault: GroupId) {
    assert!(is_in(world, name, vault));
    let store = &world.person(name).store;
    let record = Engine.vault_group(store, &vault).unwrap().unwrap();
    assert_eq!(record.data.role(&world.account(name)), Role::Owner);
    rename(world, name, vault, "new plans");
    let record = world.vault(name, vault).unwrap();
    assert_eq!(record.seen.name, "new plans");
}

/// Of all others nobody is there: not one answers a question.
#[test]
fn a_large_vault_is_opened_again_by_its_only_owner() {
    let (mut world, vault) = many(1151, &[]);
    let first = world.write_vault("alice", vault, None, 1);
    let sheet = world.make_sheet("alice");
    let lost = loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(60);
    owns(&mut world, "back", vault);
    revoke(&mut world, "back", lost);
    assert_eq!(world.group_devices("back", vault).len(), 41);
    // What the lost device knows opens nothing from now on.
    assert_eq!(world.vault_keys("back", vault).len(), 2);
    let head = world.fetch_head("back", vault, 1).unwrap();
    assert_eq!(head.1, first.encode());
    world.share_vault("back", vault, &["bob"], WRITER).unwrap();
    world.run(60);
    assert_eq!(
        world.vault_keys("bob", vault),
        world.vault_keys("back", vault)
    );
    // Whoever loses the new home, too, comes back as well.
    world.sleep(24 * HOUR);
    world.run(60);
    let lost = loses(&mut world, "back");
    world.set_online("bob", false);
    world.restore("again", &sheet);
    world.run(60);
    owns(&mut world, "again", vault);
    revoke(&mut world, "again", lost);
    assert_eq!(world.group_devices("again", vault).len(), 42);
}

/// The sheet was there before the people were.
#[test]
fn guardians_open_a_large_vault_again() {
    let mut world = friends(1152, &["alice", "bob", "carol"]);
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    let vault = world.create_vault("alice", "plans");
    let guests = crowd(&mut world, "alice", 40);
    let guests: Vec<&str> = guests.iter().map(String::as_str).collect();
    world.share_vault("alice", vault, &guests, None).unwrap();
    let lost = loses(&mut world, "alice");
    world.new_home("back");
    let code = world.request_recovery("back", "alice").unwrap();
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    world.settle();
    pass(&mut world, DELAY_SECONDS + 2 * HOUR);
    assert!(is_back(&world, "back"));
    world.run(60);
    owns(&mut world, "back", vault);
    revoke(&mut world, "back", lost);
    assert_eq!(world.vault_keys("back", vault).len(), 2);
}

/// Each change of a group makes another tree: they are stored as often as their length allows, the newest one at last.
#[test]
fn a_large_tree_is_stored_now_and_then() {
    let (mut world, vault) = many(1153, &[]);
    let sheet = world.make_sheet("alice");
    world.run(60);
    let before = trees(&world, vault);
    assert!(before > 0);
    for name in ["one", "two", "three"] {
        rename(&mut world, "alice", vault, name);
    }
    assert_eq!(trees(&world, vault), before);
    let bytes = row(&world, "alice", vault, TREE).unwrap().len() as u64;
    world.sleep(bytes / 64 + 60);
    world.run(60);
    assert_eq!(trees(&world, vault), before + 1);
    loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(60);
    owns(&mut world, "back", vault);
}

/// A tree of before leads nowhere, but names whom to ask.
#[test]
fn an_older_tree_names_whom_to_ask() {
    let (mut world, vault) = many(1154, &["bob"]);
    let sheet = world.make_sheet("alice");
    world.run(60);
    world.stop("alice");
    world.restore("back", &sheet);
    world.link("bob", "bob tablet");
    world.run(180);
    owns(&mut world, "back", vault);
}

/// Others are let in by the owner; where all of them stored a tree with each change, a relay would have nothing else.
#[test]
fn whoever_owns_no_large_vault_stores_no_tree() {
    let (mut world, vault) = many(1155, &["bob"]);
    let before = trees(&world, vault);
    world.make_sheet("bob");
    rename(&mut world, "alice", vault, "new plans");
    world.run(60);
    assert_eq!(trees(&world, vault), before);
    assert!(row(&world, "bob", vault, FAR_WAY).is_none());
    let shared = world.share_vault("alice", vault, &["bob"], Some(Role::Owner));
    shared.unwrap();
    world.run(60);
    assert_eq!(trees(&world, vault), before + 1);
    assert!(row(&world, "bob", vault, FAR_WAY).is_some());
}

/// The relay takes the backup and not the tree: what it takes is complete.
#[test]
fn a_tree_that_is_refused_stops_no_backup() {
    let (mut world, vault) = many(1156, &[]);
    let before = trees(&world, vault);
    let lengths = lengths(&world, "alice", vault);
    world.refuse_parts(lengths);
    let sheet = world.make_sheet("alice");
    world.send("alice", "bob", "a letter of then");
    world.run(60);
    assert_eq!(trees(&world, vault), before);
    assert!(row(&world, "alice", vault, FAR_WAY).is_none());
    // An hour later the relay has room for it.
    world.refuse_parts(0..0);
    world.sleep(HOUR);
    world.run(60);
    assert!(row(&world, "alice", vault, FAR_WAY).is_some());
    loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(60);
    assert_eq!(world.texts("back", "bob"), ["a letter of then"]);
    owns(&mut world, "back", vault);
}

/// A relay that lost the tree, or says so: all else comes back, and nobody asks for ever.
#[test]
fn a_tree_that_is_withheld_keeps_nothing_else_back() {
    let (mut world, vault) = many(1157, &["bob"]);
    let sheet = world.make_sheet("alice");
    world.run(60);
    world.send("alice", "bob", "a letter of then");
    let lengths = lengths(&world, "alice", vault);
    let lost = loses(&mut world, "alice");
    world.withhold_parts_of(&lengths);
    world.restore("back", &sheet);
    world.run(60);
    assert_eq!(world.texts("back", "bob"), ["a letter of then"]);
    assert!(row(&world, "back", vault, FAR_WAY).is_none());
    assert!(!is_in(&world, "back", vault));
    // Whoever is there lets it in by what everybody may do.
    revoke(&mut world, "back", lost);
    world.send("back", "bob", "I am back");
    world.run(180);
    owns(&mut world, "back", vault);
}
