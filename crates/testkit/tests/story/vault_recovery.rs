//! Vaults of people who lost every device: sheet and guardians open them again, for reading, writing and sharing.

use crate::groups::friends;
use crate::guardians::{HOUR, is_back, pass};
use crate::vaults::{WRITER, refused, shared};
use engine::records::GroupStanding;
use engine::{CommandOutcome, Engine, Input, Role, Store as _, Table, VaultError, Write};
use keys::account_log::Reason;
use keys::{DeviceId, GroupId};
use letterlock_testkit::{DELAY_SECONDS, World};

/// How a group's part is called that says how it is entered (docs/spec/home.md, section 6).
const WAY: u8 = 11;

pub(crate) fn is_in(world: &World, name: &str, vault: GroupId) -> bool {
    let store = &world.person(name).store;
    let record = Engine.vault_group(store, &vault).unwrap();
    record.is_some_and(|record| record.standing == GroupStanding::In)
}

fn role(world: &World, name: &str, vault: GroupId) -> Role {
    let store = &world.person(name).store;
    let record = Engine.vault_group(store, &vault).unwrap().unwrap();
    record.data.role(&world.account(name))
}

pub(crate) fn rename(world: &mut World, name: &str, vault: GroupId, to: &str) {
    let renamed = world.command(name, |command| Input::RenameVault {
        command,
        vault,
        name: to.to_owned(),
    });
    assert!(matches!(renamed, CommandOutcome::Done), "{renamed:?}");
    world.run(30);
}

/// Somebody loses everything; the id of what is lost.
pub(crate) fn loses(world: &mut World, name: &str) -> DeviceId {
    world.run(30);
    world.sleep(2 * HOUR);
    world.run(60);
    let device = world.device(name);
    world.stop(name);
    device
}

pub(crate) fn revoke(world: &mut World, by: &str, lost: DeviceId) {
    let revoked = world.revoke(by, lost, Reason::Lost);
    assert!(matches!(revoked, CommandOutcome::Done), "{revoked:?}");
    world.run(120);
}

/// The group goes on without those who are not there: whoever knows its last epoch knows nothing of this one.
fn goes_on(world: &mut World, name: &str) {
    world.link(name, &format!("{name} tablet"));
    world.run(120);
}

/// All of them have the same keys, so many.
pub(crate) fn same_keys(world: &World, vault: GroupId, names: &[&str], generations: usize) {
    let keys = world.vault_keys(names[0], vault);
    assert_eq!(keys.len(), generations);
    for name in names {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
    }
}

/// Nobody is left who may let anybody in: whoever reads does it for its owner, and for nobody else.
#[test]
fn readers_let_the_only_owner_back_in() {
    let mut world = friends(1101, &["alice", "bob", "carol"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["bob"], None).unwrap();
    let first = world.write_vault("alice", vault, None, 1);
    let sheet = world.make_sheet("alice");
    let lost = loses(&mut world, "alice");
    goes_on(&mut world, "bob");
    world.set_online("bob", false);
    world.set_online("bob tablet", false);
    world.restore("back", &sheet);
    world.run(30);
    assert!(!is_in(&world, "back", vault));
    revoke(&mut world, "back", lost);
    assert!(!is_in(&world, "back", vault));
    // What is asked for meanwhile waits, and is done when it is in.
    let carol = world.account("carol");
    let asked = world.begin("back", |command| Input::ShareVault {
        command,
        vault,
        accounts: vec![carol],
        role: WRITER,
    });
    world.run(30);
    assert!(world.outcome("back", asked).is_none());
    world.set_online("bob", true);
    world.run(180);
    assert!(is_in(&world, "back", vault));
    assert_eq!(role(&world, "back", vault), Role::Owner);
    let asked = world.outcome("back", asked);
    assert!(matches!(asked, Some(CommandOutcome::Done)), "{asked:?}");
    assert_eq!(world.group_devices("bob", vault).len(), 4);
    // What the lost device knows opens nothing from now on.
    // Whoever was let in meanwhile has no keys, and is nobody to wait for.
    same_keys(&world, vault, &["back", "bob", "carol"], 2);
    assert_eq!(world.vault_keys("alice", vault).len(), 1);
    // All is as before.
    let body = world.next_root("back", vault, Some(&first), 1);
    let body = keys::vault_root::RootBody {
        closed: true,
        ..body
    };
    let closed = world.sign_root("back", body).unwrap();
    world.publish_root("back", &closed, 1).unwrap();
    let second = world.write_vault("back", vault, Some(&closed), 2);
    assert_eq!(second.body.generation, 2);
    world
        .check_roots("bob", vault, 2, &[&second, &closed])
        .unwrap();
    rename(&mut world, "back", vault, "new plans");
    world.unshare_vault("back", vault, &["bob"]).unwrap();
    world.run(60);
    same_keys(&world, vault, &["back", "carol"], 3);
    assert!(world.vault("bob", vault).is_none());
}

/// Nobody else is there to ask: where nothing happened in the group since, the backup is enough.
#[test]
fn a_restored_home_comes_into_its_vaults_by_its_backup() {
    let (mut world, vault) = shared(1102);
    let sheet = world.make_sheet("alice");
    let lost = loses(&mut world, "alice");
    for name in ["bob", "carol"] {
        world.set_online(name, false);
    }
    world.restore("back", &sheet);
    world.run(60);
    assert!(is_in(&world, "back", vault));
    rename(&mut world, "back", vault, "new plans");
    revoke(&mut world, "back", lost);
    // The lost device is out, and what is written has another key.
    assert_eq!(world.group_devices("back", vault).len(), 3);
    for name in ["bob", "carol"] {
        world.set_online(name, true);
    }
    world.run(120);
    same_keys(&world, vault, &["back", "bob", "carol"], 2);
    assert_eq!(world.vault("carol", vault).unwrap().seen.name, "new plans");
}

#[test]
fn who_was_alone_in_a_vault_owns_it_again() {
    let mut world = friends(1103, &["alice", "bob"]);
    let vault = world.create_vault("alice", "plans");
    let first = world.write_vault("alice", vault, None, 1);
    let sheet = world.make_sheet("alice");
    let lost = loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(60);
    assert!(is_in(&world, "back", vault));
    let second = world.write_vault("back", vault, Some(&first), 2);
    rename(&mut world, "back", vault, "new plans");
    world.share_vault("back", vault, &["bob"], None).unwrap();
    world.run(60);
    same_keys(&world, vault, &["back", "bob"], 1);
    world.check_roots("bob", vault, 1, &[&second]).unwrap();
    revoke(&mut world, "back", lost);
    same_keys(&world, vault, &["back", "bob"], 2);
    // Whoever has what was lost goes on without them.
    world.start("alice");
    world.run(120);
    assert_eq!(world.vault_keys("alice", vault).len(), 0);
}

/// Its device was found again, and nobody had revoked it: both are in.
#[test]
fn a_device_that_was_not_lost_stays_in_the_vault() {
    let mut world = friends(1104, &["alice", "bob"]);
    let vault = world.create_vault("alice", "plans");
    let sheet = world.make_sheet("alice");
    loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(60);
    world.start("alice");
    world.run(120);
    for name in ["alice", "back"] {
        assert!(is_in(&world, name, vault), "{name}");
        assert_eq!(world.group_devices(name, vault).len(), 2);
    }
    rename(&mut world, "alice", vault, "new plans");
    assert_eq!(world.vault("back", vault).unwrap().seen.name, "new plans");
}

/// Nobody was away for whom an owner would have to do anything.
#[test]
fn whoever_reads_comes_back_by_itself() {
    let (mut world, vault) = shared(1105);
    let sheet = world.make_sheet("carol");
    let lost = loses(&mut world, "carol");
    world.set_online("alice", false);
    goes_on(&mut world, "bob");
    world.restore("back", &sheet);
    world.run(30);
    revoke(&mut world, "back", lost);
    assert!(is_in(&world, "back", vault));
    assert_eq!(role(&world, "back", vault), Role::Member);
    same_keys(&world, vault, &["bob", "back"], 2);
    let body = world.next_root("back", vault, None, 3);
    let signed = world.sign_root("back", body);
    assert_eq!(refused(signed.map(drop)), VaultError::Role);
}

/// What a group is entered by is in no backup of before.
fn forgets_the_way(world: &mut World, name: &str, vault: GroupId) {
    let key = [&vault.as_bytes()[..], &[WAY]].concat();
    let store = &mut world.person_mut(name).store;
    let delete = Write::Delete {
        table: Table::GroupPart,
        key,
    };
    store.apply(vec![delete]).unwrap();
}

/// An owner need not wait until the lost device is revoked.
#[test]
fn an_owner_brings_in_what_is_missing_of_somebody() {
    let (mut world, vault) = shared(1106);
    forgets_the_way(&mut world, "carol", vault);
    let sheet = world.make_sheet("carol");
    let lost = loses(&mut world, "carol");
    world.restore("back", &sheet);
    world.run(60);
    assert!(!is_in(&world, "back", vault));
    let shared = world.share_vault("bob", vault, &["carol"], None);
    assert!(matches!(shared, Err(engine::EngineError::GroupRole)));
    world
        .share_vault("alice", vault, &["carol"], WRITER)
        .unwrap();
    world.run(60);
    assert!(is_in(&world, "back", vault));
    assert_eq!(role(&world, "back", vault), Role::Admin);
    assert!(world.group_devices("alice", vault).contains(&lost));
    same_keys(&world, vault, &["alice", "bob", "back"], 1);
}

/// Its place was taken in one commit, and whoever did that makes no keys.
#[test]
fn nothing_is_written_under_the_key_of_a_lost_home() {
    let mut world = friends(1107, &["alice", "bob"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["bob"], None).unwrap();
    world.run(60);
    forgets_the_way(&mut world, "alice", vault);
    let first = world.write_vault("alice", vault, None, 1);
    let sheet = world.make_sheet("alice");
    let lost = loses(&mut world, "alice");
    world.restore("back", &sheet);
    world.run(30);
    let revoked = world.revoke("back", lost, Reason::Lost);
    assert!(matches!(revoked, CommandOutcome::Done), "{revoked:?}");
    // Bob hears of it with the next letter.
    world.send("back", "bob", "I am back");
    let body = world.next_root("back", vault, Some(&first), 2);
    for _ in 0..120 {
        if is_in(&world, "back", vault) {
            break;
        }
        world.run(1);
    }
    assert!(is_in(&world, "back", vault));
    let signed = world.sign_root("back", body);
    assert_eq!(refused(signed.map(drop)), VaultError::NewKey);
    world.run(90);
    same_keys(&world, vault, &["back", "bob"], 2);
}

/// Whoever is back first lets the other one in.
#[test]
fn everybody_lost_everything_and_the_vault_goes_on() {
    let mut world = friends(1108, &["alice", "bob"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["bob"], WRITER).unwrap();
    world.run(60);
    let sheets = ["alice", "bob"].map(|name| world.make_sheet(name));
    let lost = ["alice", "bob"].map(|name| loses(&mut world, name));
    for (name, sheet) in ["new alice", "new bob"].into_iter().zip(&sheets) {
        world.restore(name, sheet);
        world.run(60);
    }
    for (name, lost) in ["new alice", "new bob"].into_iter().zip(lost) {
        revoke(&mut world, name, lost);
    }
    world.run(300);
    for name in ["new alice", "new bob"] {
        assert!(is_in(&world, name, vault), "{name}");
        assert_eq!(world.group_devices(name, vault).len(), 2);
    }
    let keys = world.vault_keys("new alice", vault);
    assert!(keys.len() > 1);
    assert_eq!(world.vault_keys("new bob", vault), keys);
    assert_eq!(role(&world, "new bob", vault), Role::Admin);
}

#[test]
fn guardians_open_a_vault_again() {
    let mut world = friends(1109, &["alice", "bob", "carol"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["bob"], None).unwrap();
    let first = world.write_vault("alice", vault, None, 1);
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    let lost = loses(&mut world, "alice");
    world.new_home("back");
    let code = world.request_recovery("back", "alice").unwrap();
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    world.settle();
    pass(&mut world, DELAY_SECONDS + 2 * HOUR);
    assert!(is_back(&world, "back"));
    revoke(&mut world, "back", lost);
    world.run(60);
    assert!(is_in(&world, "back", vault));
    same_keys(&world, vault, &["back", "bob"], 2);
    let head = world.fetch_head("back", vault, 1).unwrap();
    assert_eq!(head.1, first.encode());
    world.share_vault("back", vault, &["carol"], None).unwrap();
    world.run(60);
    same_keys(&world, vault, &["back", "bob", "carol"], 2);
}

/// Who put itself out is none who lost anything.
#[test]
fn whoever_left_a_vault_is_not_let_back() {
    let (mut world, vault) = shared(1110);
    world
        .share_vault("alice", vault, &["bob"], Some(Role::Owner))
        .unwrap();
    world.run(30);
    let sheet = world.make_sheet("bob");
    let left = world.command("bob", |command| Input::LeaveVault { command, vault });
    assert!(matches!(left, CommandOutcome::Done), "{left:?}");
    world.run(60);
    assert!(world.vault("bob", vault).is_none());
    let bob = world.account("bob");
    let group = Engine.vault_group(&world.person("carol").store, &vault);
    assert!(!group.unwrap().unwrap().data.roles.contains_key(&bob));
    let lost = loses(&mut world, "bob");
    world.restore("back", &sheet);
    world.run(30);
    revoke(&mut world, "back", lost);
    assert!(!is_in(&world, "back", vault));
    assert_eq!(world.group_devices("carol", vault).len(), 2);
}

/// An owner knows that somebody has another device, and puts that person out before it is in.
#[test]
fn who_is_put_out_is_let_back_by_no_look() {
    for (seed, wait) in (1111..).zip([1, 3, 5, 8]) {
        let (mut world, vault) = shared(seed);
        forgets_the_way(&mut world, "carol", vault);
        let sheet = world.make_sheet("carol");
        loses(&mut world, "carol");
        world.restore("back", &sheet);
        world.run(5);
        world.send("back", "alice", "I am back");
        world.run(wait);
        world.unshare_vault("alice", vault, &["carol"]).unwrap();
        world.run(90);
        assert!(!is_in(&world, "back", vault), "after {wait} s");
        assert_eq!(world.group_devices("alice", vault).len(), 2);
    }
}
