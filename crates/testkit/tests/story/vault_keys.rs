//! Keys of vaults: when a new one comes, who makes it, and that all have the same.

use crate::groups::friends;
use crate::vaults::{ALL, WRITER, keys_word, lose_a_tablet, says, shared};
use engine::{CommandOutcome, Input};
use keys::GroupId;
use keys::account_log::Reason;
use letterlock_testkit::{CrashPoint, MemoryStore, World};

fn same_keys(world: &World, vault: GroupId, names: &[&str], generations: usize) {
    let keys = world.vault_keys("alice", vault);
    assert_eq!(keys.len(), generations);
    for name in names {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
    }
}

/// Runs until a device knows that somebody went out.
fn until_it_knows(world: &mut World, name: &str, vault: GroupId) {
    for _ in 0..400 {
        if world.vault(name, vault).unwrap().departed {
            return;
        }
        world.run(1);
    }
    panic!("{name} knows nothing");
}

/// A writer who lies cannot use the generations up: one for each who goes out, and no more.
#[test]
fn a_writer_makes_no_key_that_nobody_needs() {
    let (mut world, vault) = shared(1001);
    let first: [u8; 32] = world.vault_keys("alice", vault)[0][..].try_into().unwrap();
    says(&mut world, "bob", vault, &keys_word(2, &[[9; 32]]));
    says(&mut world, "bob", vault, &keys_word(1, &[first, [9; 32]]));
    same_keys(&world, vault, &ALL, 1);
    lose_a_tablet(&mut world, "carol", &["alice"]);
    says(&mut world, "bob", vault, &keys_word(2, &[[9; 32]; 1_000]));
    world.set_online("alice", true);
    world.run(60);
    same_keys(&world, vault, &ALL, 2);
    world.unshare_vault("alice", vault, &["bob"]).unwrap();
    world.run(60);
    same_keys(&world, vault, &["carol"], 3);
}

/// Who may make a key went away; somebody who was a reader then makes it.
#[test]
fn a_reader_who_became_a_writer_makes_the_key() {
    let mut world = friends(1002, &["alice", "carol"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["carol"], None).unwrap();
    world.run(30);
    lose_a_tablet(&mut world, "carol", &["alice"]);
    world.settle();
    world.set_online("alice", true);
    until_it_knows(&mut world, "alice", vault);
    world.set_back_clock("alice", 3600); // Her time to make one does not come.
    world
        .share_vault("alice", vault, &["carol"], WRITER)
        .unwrap();
    world.set_online("alice", false);
    assert_eq!(world.vault_keys("alice", vault).len(), 1);
    world.run(60);
    assert_eq!(world.vault_keys("carol", vault).len(), 2);
    world.set_online("alice", true);
    world.run(60);
    same_keys(&world, vault, &["carol"], 2);
}

/// Sets a home back to what it was.
fn set_back(world: &mut World, name: &str, store: MemoryStore) {
    world.stop(name);
    world.person_mut(name).store = store;
    world.start(name);
}

/// A disk of before something that its home did.
fn old_disk(world: &mut World, name: &str, vault: GroupId) -> MemoryStore {
    let disk = world.person(name).store.clone();
    let renamed = world.command(name, |command| Input::RenameVault {
        command,
        vault,
        name: "other plans".to_owned(),
    });
    assert!(matches!(renamed, CommandOutcome::Done));
    world.run(60);
    assert!(world.vault(name, vault).is_some());
    disk
}

/// It knows not all keys: what it made now would be none for the others.
#[test]
fn whoever_comes_back_makes_no_key_before_it_knows_all() {
    let (mut world, vault) = shared(1004);
    let tablet = world.link("carol", "carol tablet");
    world.run(120);
    world.sleep(4 * 24 * 3600);
    let disk = old_disk(&mut world, "alice", vault);
    world.set_online("alice", false);
    world.revoke("carol", tablet, Reason::Lost);
    world.run(60);
    assert_eq!(world.vault_keys("bob", vault).len(), 2);
    set_back(&mut world, "alice", disk);
    world.set_online("alice", true);
    until_it_knows(&mut world, "alice", vault);
    world.unshare_vault("alice", vault, &["carol"]).unwrap();
    world.run(60);
    same_keys(&world, vault, &["bob"], 3);
}

/// A key that is about to come is for newcomers too: they have the same as all others.
#[test]
fn a_newcomer_gets_no_key_of_before() {
    let mut world = friends(1005, &["alice", "bob", "carol"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["carol"], None).unwrap();
    world.run(30);
    lose_a_tablet(&mut world, "carol", &["alice"]);
    world.settle();
    world.set_online("alice", true);
    until_it_knows(&mut world, "alice", vault);
    world.share_vault("alice", vault, &["bob"], None).unwrap();
    world.run(60);
    same_keys(&world, vault, &ALL, 2);
}

/// The key after the first one that a home is about to tell.
fn key_that_waits(world: &World, name: &str, vault: GroupId) -> Option<Vec<u8>> {
    let first = world.vault_keys(name, vault).first()?.clone();
    let before = [&first[..], &2_u32.to_be_bytes()].concat();
    world.person(name).store.rows().find_map(|(_, row)| {
        let at = row.windows(36).position(|bytes| bytes == before)?;
        row.get(at + 36..at + 68).map(<[u8]>::to_vec)
    })
}

/// The relay took no word with it, but had it, sealed for whoever went out meanwhile.
#[test]
fn a_key_that_waits_is_made_anew_when_somebody_goes_out() {
    // She is killed when her commit comes back to her: before the relay's answer, or behind it.
    let made_anew = (1010..1016).any(|seed| {
        let (mut world, vault) = shared(seed);
        let tablet = world.link("carol", "carol tablet");
        world.run(120);
        world.sleep(4 * 24 * 3600);
        let bob = world.account("bob");
        world.crash("alice", CrashPoint::AfterStore, 2);
        let begun = world.try_command("alice", |command| Input::UnshareVault {
            command,
            vault,
            accounts: vec![bob],
        });
        drop(begun);
        world.run(30);
        let Some(waits) = key_that_waits(&world, "alice", vault) else {
            return false;
        };
        world.revoke("carol", tablet, Reason::Lost);
        world.run(60);
        world.start("alice");
        world.run(120);
        same_keys(&world, vault, &["carol"], 2);
        assert!(!world.vault_keys("alice", vault).contains(&waits));
        true
    });
    assert!(made_anew);
}

/// Its disk is that of yesterday, and meanwhile somebody went out.
#[test]
fn whoever_comes_back_writes_nothing_for_those_who_went_meanwhile() {
    let mut world = friends(1003, &["alice", "carol"]);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["carol"], None).unwrap();
    world.run(30);
    let tablet = world.link("carol", "carol tablet");
    world.run(120);
    world.sleep(4 * 24 * 3600);
    let disk = old_disk(&mut world, "alice", vault);
    world.set_online("alice", false);
    world.revoke("carol", tablet, Reason::Lost);
    world.run(60);
    set_back(&mut world, "alice", disk);
    world.set_online("alice", true);
    // What it asks first may be under numbers that were used before: at once, when it asks again, or at the next body.
    world.run(120);
    world.sleep(5 * 24 * 3600);
    world.run(460);
    same_keys(&world, vault, &["carol"], 2);
}

/// Alice alone writes, Carol and Dave read; Alice's disk is that of before she put Bob out and made the key after that.
fn set_back_past_a_key(seed: u64, meanwhile: impl FnOnce(&mut World, GroupId)) -> (World, GroupId) {
    let mut world = friends(seed, &["alice", "bob", "carol", "dave"]);
    let vault = world.create_vault("alice", "plans");
    let others = ["bob", "carol", "dave"];
    world.share_vault("alice", vault, &others, None).unwrap();
    world.run(60);
    let disk = old_disk(&mut world, "alice", vault);
    world.unshare_vault("alice", vault, &["bob"]).unwrap();
    world.run(60);
    same_keys(&world, vault, &["carol", "dave"], 2);
    world.set_online("alice", false);
    meanwhile(&mut world, vault);
    set_back(&mut world, "alice", disk);
    world.set_online("alice", true);
    assert_eq!(world.vault_keys("alice", vault).len(), 1);
    // It notices when it does something.
    let begun = world.try_command("alice", |command| Input::RenameVault {
        command,
        vault,
        name: "new plans".to_owned(),
    });
    drop(begun);
    world.run(120);
    // What it asks first may be under numbers that were used before.
    world.sleep(5 * 24 * 3600);
    world.run(400);
    (world, vault)
}

/// Nobody but those who read has the key that it made.
#[test]
fn whoever_alone_writes_and_forgot_its_key_hears_it_from_readers() {
    let mut keys = Vec::new();
    let (mut world, vault) = set_back_past_a_key(1030, |world, vault| {
        keys = world.vault_keys("carol", vault);
    });
    assert_eq!(world.vault_keys("alice", vault), keys);
    same_keys(&world, vault, &["carol", "dave"], 2);
    // From there on all is as before.
    world.unshare_vault("alice", vault, &["dave"]).unwrap();
    world.run(60);
    same_keys(&world, vault, &["carol"], 3);
}

/// Somebody went out since, and has the key that they know.
#[test]
fn a_reader_who_waits_for_a_key_reminds_nobody() {
    let mut keys = Vec::new();
    let (world, vault) = set_back_past_a_key(1031, |world, vault| {
        let tablet = world.link("carol", "carol tablet");
        world.run(120);
        world.sleep(4 * 24 * 3600);
        world.revoke("carol", tablet, Reason::Lost);
        world.run(120);
        for name in ["carol", "dave"] {
            assert!(world.vault(name, vault).unwrap().departed, "{name}");
        }
        keys = world.vault_keys("carol", vault);
    });
    let now = world.vault_keys("alice", vault);
    assert_eq!(now.len(), 2);
    assert_ne!(now, keys);
}
