//! Vaults: who gets which key, and which version counts, whatever relay and members do.
//!
//! Some stories are named after what was found in the products that <https://eprint.iacr.org/2024/1616> looked at.

use crate::groups::friends;
use engine::trial::{VaultSays, say_in_vault};
use engine::{EngineError, Role, Table, VaultError};
use keys::account_log::Reason;
use keys::vault_root::{RootBody, VaultRoot};
use keys::{GroupId, Suite};
use letterlock_testkit::{CrashPoint, World};
use wire::{Reply, Request};

pub(crate) const WRITER: Option<Role> = Some(Role::Admin);
pub(crate) const ALL: [&str; 3] = ["alice", "bob", "carol"];

/// Alice owns a vault, Bob writes in it, Carol reads.
pub(crate) fn shared(seed: u64) -> (World, GroupId) {
    let mut world = friends(seed, &ALL);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["bob"], WRITER).unwrap();
    world.share_vault("alice", vault, &["carol"], None).unwrap();
    world.run(30);
    (world, vault)
}

pub(crate) fn refused(result: Result<(), EngineError>) -> VaultError {
    match result {
        Err(EngineError::Vault(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Somebody's program lies.
pub(crate) fn says(world: &mut World, name: &str, vault: GroupId, says: &VaultSays) {
    let (store, now) = (world.person(name).store.clone(), world.now());
    let step = say_in_vault(&store, &vault, says, now, world.chance().rng()).unwrap();
    step.commit(&mut world.person_mut(name).store).unwrap();
    world.run(30);
}

/// A word that gives keys from a generation on.
pub(crate) fn keys_word(first: u32, keys: &[[u8; 32]]) -> VaultSays {
    let mut word = vec![1];
    word.extend(u32::try_from(keys.len()).unwrap().to_be_bytes());
    for (generation, key) in (first..).zip(keys) {
        word.extend(generation.to_be_bytes());
        word.extend(key);
    }
    word.extend([0; 61]);
    VaultSays::Word(word)
}

pub(crate) fn root_word(root: &VaultRoot) -> VaultSays {
    let mut word = vec![2];
    word.extend(root.body.generation.to_be_bytes());
    word.extend(root.body.counter.to_be_bytes());
    word.extend(root.hash().0);
    word.push(u8::from(root.body.closed));
    VaultSays::Word(word)
}

pub(crate) fn pin(world: &World, name: &str, vault: GroupId) -> u64 {
    let record = world.vault(name, vault).unwrap();
    record.pin.map_or(0, |pin| pin.counter)
}

#[test]
fn everybody_who_is_let_in_gets_the_key() {
    let (mut world, vault) = shared(901);
    let keys = world.vault_keys("alice", vault);
    assert_eq!(keys.len(), 1);
    for name in ["bob", "carol"] {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
        assert_eq!(world.vault(name, vault).unwrap().seen.name, "plans");
    }
    assert!(!world.tapped().windows(32).any(|bytes| bytes == keys[0]));
    let first = world.write_vault("alice", vault, None, 1);
    world.check_roots("bob", vault, 1, &[&first]).unwrap();
    let second = world.write_vault("bob", vault, Some(&first), 2);
    for name in ["alice", "carol"] {
        let before = pin(&world, name, vault);
        let chain = [&second, &first];
        let roots = if before == 1 { &chain[..1] } else { &chain[..] };
        world.check_roots(name, vault, 1, roots).unwrap();
        assert_eq!(pin(&world, name, vault), 2);
    }
    // It is no group that people write in.
    assert!(world.group("bob", vault).is_none());
    assert!(world.try_write_to_group("bob", vault, "hello").is_err());
    assert!(world.leave_group("bob", vault).is_err());
    assert!(world.remove_from_group("alice", vault, &["bob"]).is_err());
    // A reader signs nothing, and a writer lets nobody in.
    let body = world.next_root("carol", vault, Some(&second), 3);
    let signed = world.sign_root("carol", body);
    assert_eq!(refused(signed.map(drop)), VaultError::Role);
    let shared = world.share_vault("bob", vault, &["carol"], WRITER);
    assert!(matches!(shared, Err(EngineError::GroupRole)));
}

#[test]
fn whoever_is_out_of_a_vault_has_no_new_key() {
    let (mut world, vault) = shared(902);
    let old = world.vault_keys("carol", vault);
    let disk = world.person("carol").store.clone();
    world.unshare_vault("alice", vault, &["carol"]).unwrap();
    world.run(30);
    let keys = world.vault_keys("alice", vault);
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], old[0]);
    assert_eq!(world.vault_keys("bob", vault), keys);
    assert!(!world.vault("bob", vault).unwrap().departed);
    assert!(world.vault("carol", vault).is_none(), "and none of the old");
    // Nor does her program of before get it, which knows nothing of that.
    world.stop("carol");
    world.person_mut("carol").store = disk;
    world.start("carol");
    world.run(120);
    assert_ne!(world.vault_keys("carol", vault).get(1), Some(&keys[1]));
    let store = &world.person("carol").store;
    let mut rows = store.rows();
    assert!(!rows.any(|(_, row)| row.windows(32).any(|bytes| bytes == keys[1])));
}

#[test]
fn a_new_device_gets_keys_and_one_that_is_lost_is_the_reason_for_another() {
    let (mut world, vault) = shared(903);
    // Of a reader, for whom somebody else has to speak.
    let tablet = world.link("carol", "carol tablet");
    world.run(120);
    let keys = world.vault_keys("alice", vault);
    assert_eq!(world.vault_keys("carol tablet", vault), keys);
    world.sleep(4 * 24 * 3600);
    world.revoke("carol", tablet, Reason::Lost);
    world.run(120);
    let keys = world.vault_keys("alice", vault);
    assert_eq!(keys.len(), 2);
    for name in ["bob", "carol"] {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
    }
    assert!(world.vault_keys("carol tablet", vault).len() < 2);
}

#[test]
fn a_device_that_comes_while_nobody_is_there_asks() {
    let mut world = friends(904, &ALL);
    let vault = world.create_vault("alice", "plans");
    world.share_vault("alice", vault, &["carol"], None).unwrap();
    world.run(30);
    world.set_online("alice", false);
    world.link("carol", "carol tablet");
    world.run(120);
    // She had no key when it was linked: it has to come from an owner.
    world.set_online("alice", true);
    world.run(120);
    let keys = world.vault_keys("alice", vault);
    assert_eq!(world.vault_keys("carol tablet", vault), keys);
}

#[test]
fn a_reader_tells_no_keys_and_no_roots() {
    let (mut world, vault) = shared(905);
    let keys = world.vault_keys("alice", vault);
    says(&mut world, "carol", vault, &keys_word(2, &[[7; 32]]));
    let root = world.write_vault("alice", vault, None, 1);
    let body = world.next_root("carol", vault, Some(&root), 9);
    let forged = body.sign(world.stolen_keys("carol").signing()).unwrap();
    says(&mut world, "carol", vault, &root_word(&forged));
    for name in ALL {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
        assert_eq!(world.vault(name, vault).unwrap().newest(), 1, "{name}");
    }
    world.check_roots("bob", vault, 1, &[&root]).unwrap();
}

/// Unauthenticated key material: nobody gives another key for a generation than the one that all have.
#[test]
fn a_generation_has_one_key() {
    let (mut world, vault) = shared(906);
    let keys = world.vault_keys("alice", vault);
    says(&mut world, "bob", vault, &keys_word(1, &[[7; 32]]));
    // Nor one that nobody needs yet, in the place of those between.
    says(&mut world, "bob", vault, &keys_word(3, &[[8; 32]]));
    for name in ALL {
        assert_eq!(world.vault_keys(name, vault), keys, "{name}");
    }
    // What a writer says first counts, for all.
    lose_a_tablet(&mut world, "carol", &["alice"]);
    says(&mut world, "bob", vault, &keys_word(2, &[[9; 32]]));
    world.set_online("alice", true);
    world.run(60);
    for name in ALL {
        assert_eq!(
            world.vault_keys(name, vault),
            [keys[0].clone(), vec![9; 32]]
        );
    }
}

/// Somebody has a tablet and loses it; some are away when it goes.
pub(crate) fn lose_a_tablet(world: &mut World, name: &str, away: &[&str]) {
    let tablet = world.link(name, &format!("{name} tablet"));
    world.run(120);
    world.sleep(4 * 24 * 3600);
    world.set_online(&format!("{name} tablet"), false);
    for other in away {
        world.set_online(other, false);
    }
    world.revoke(name, tablet, Reason::Lost);
}

#[test]
fn two_writers_who_both_make_a_key_agree() {
    let (mut world, vault) = shared(907);
    world.link("carol", "carol tablet");
    world.run(60);
    world.sleep(4 * 24 * 3600);
    let tablet = world.device("carol tablet");
    for name in ["alice", "bob"] {
        world.set_online(name, false);
    }
    world.revoke("carol", tablet, Reason::Lost);
    world.run(60);
    for name in ["alice", "bob"] {
        world.set_online(name, true);
    }
    world.run(120);
    let keys = world.vault_keys("alice", vault);
    assert!(keys.len() >= 2);
    assert_eq!(world.vault_keys("bob", vault), keys);
    assert_eq!(world.vault_keys("carol", vault), keys);
}

#[test]
fn a_letter_in_a_vault_is_not_shown() {
    let (mut world, vault) = shared(908);
    let letter = VaultSays::Letter("psst".to_owned());
    says(&mut world, "bob", vault, &letter);
    for name in ["alice", "carol"] {
        assert!(world.group_texts(name, vault).is_empty(), "{name}");
        let letters = world.person(name).store.count(Table::Conversation);
        assert_eq!(letters, 0, "{name}");
    }
}

/// Three versions that all have seen, and what comes next.
pub(crate) struct History {
    pub(crate) world: World,
    pub(crate) vault: GroupId,
    pub(crate) roots: Vec<VaultRoot>,
}

pub(crate) fn history(seed: u64) -> History {
    let (mut world, vault) = shared(seed);
    let mut roots: Vec<VaultRoot> = Vec::new();
    for holds in 1..=3 {
        let root = world.write_vault("alice", vault, roots.last(), holds);
        roots.push(root);
    }
    let shown: Vec<&VaultRoot> = roots.iter().rev().collect();
    for name in ["bob", "carol"] {
        world.check_roots(name, vault, 1, &shown).unwrap();
    }
    History {
        world,
        vault,
        roots,
    }
}

impl History {
    pub(crate) fn last(&self) -> &VaultRoot {
        self.roots.last().unwrap()
    }

    /// A version that follows the last one, signed with stolen keys.
    pub(crate) fn forged(&self, name: &str, change: impl FnOnce(&mut RootBody)) -> VaultRoot {
        let mut body = self.world.next_root(name, self.vault, Some(self.last()), 9);
        change(&mut body);
        body.sign(self.world.stolen_keys(name).signing()).unwrap()
    }

    pub(crate) fn check(&mut self, roots: &[&VaultRoot]) -> Result<(), EngineError> {
        let before = pin(&self.world, "carol", self.vault);
        let checked = self.world.check_roots("carol", self.vault, 1, roots);
        if checked.is_err() {
            assert_eq!(pin(&self.world, "carol", self.vault), before);
        }
        checked
    }
}

#[test]
fn a_version_of_another_vault_is_refused() {
    let mut story = history(911);
    let other = GroupId::from_bytes([7; 32]);
    let elsewhere = story.forged("alice", |body| body.vault = other);
    assert_eq!(refused(story.check(&[&elsewhere])), VaultError::OtherVault);
    let later = story.forged("alice", |body| body.generation = 2);
    assert_eq!(refused(story.check(&[&later])), VaultError::OtherVault);
    let good = story.forged("alice", |_| {});
    story.check(&[&good]).unwrap();
}

/// Injection of files and folders: what no member signed is no version.
#[test]
fn a_version_that_nobody_signed_is_refused() {
    let mut story = history(912);
    let body = story
        .world
        .next_root("alice", story.vault, Some(story.last()), 9);
    let key = keys::SigningKey::generate(Suite::Hybrid, story.world.chance().rng()).unwrap();
    let forged = body.sign(&key).unwrap();
    assert_eq!(refused(story.check(&[&forged])), VaultError::NotSigned);
    let unknown = story.forged("alice", |body| {
        body.account = keys::AccountId::from_bytes([7; 32])
    });
    assert_eq!(refused(story.check(&[&unknown])), VaultError::NotSigned);
}

#[test]
fn a_version_in_between_that_its_author_did_not_sign_is_refused() {
    let mut story = history(913);
    let mut between = story.forged("bob", |body| {
        body.account = story.world.account("alice");
        body.device = story.world.device("alice");
    });
    let mut newest = story.world.next_root("bob", story.vault, Some(&between), 8);
    let signed = newest
        .clone()
        .sign(story.world.stolen_keys("bob").signing())
        .unwrap();
    assert_eq!(
        refused(story.check(&[&signed, &between])),
        VaultError::NotSigned
    );
    between = story.forged("alice", |_| {});
    newest.previous = between.hash();
    let signed = newest
        .sign(story.world.stolen_keys("bob").signing())
        .unwrap();
    story.check(&[&signed, &between]).unwrap();
}

#[test]
fn a_version_of_a_reader_is_refused() {
    let mut story = history(914);
    let forged = story.forged("carol", |_| {});
    let checked = story.world.check_roots("bob", story.vault, 1, &[&forged]);
    assert_eq!(refused(checked), VaultError::MayNotWrite);
    // Nor does one count of a writer who is out, or of a device that is; but one that was told in time does.
    let (vault, last) = (story.vault, story.last().clone());
    let told = story.world.write_vault("bob", vault, Some(&last), 4);
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
    story.check(&[&told]).unwrap();
    story.roots.push(told);
    let late = story.forged("bob", |_| {});
    assert_eq!(refused(story.check(&[&late])), VaultError::MayNotWrite);
}

/// Rollback.
#[test]
fn rollback_to_an_older_version_is_refused() {
    let mut story = history(915);
    let second = story.roots[1].clone();
    assert_eq!(refused(story.check(&[&second])), VaultError::RolledBack);
    let last = story.last().clone();
    story.check(&[&last]).unwrap();
}

#[test]
fn a_version_that_does_not_follow_the_pin_is_refused() {
    let mut story = history(916);
    let second = story.roots[1].clone();
    // A third one beside the third, and a fourth behind it.
    let third = story
        .world
        .next_root("alice", story.vault, Some(&second), 7);
    let third = third
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    let fourth = story.world.next_root("alice", story.vault, Some(&third), 8);
    let fourth = fourth
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    assert_eq!(refused(story.check(&[&fourth])), VaultError::NotFollowing);
    // Nor where the generation goes on behind its end.
    let closed = story.forged("alice", |body| {
        body.closed = true;
        body.directory = second.body.directory;
    });
    story.check(&[&closed]).unwrap();
    let mut body = story
        .world
        .next_root("alice", story.vault, Some(&closed), 9);
    body.generation = 1;
    let reopened = body
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    assert_eq!(refused(story.check(&[&reopened])), VaultError::NotFollowing);
}

#[test]
fn a_chain_with_a_gap_is_refused() {
    let mut story = history(917);
    let fourth = story.forged("alice", |_| {});
    let mut fifth = story
        .world
        .next_root("alice", story.vault, Some(&fourth), 8);
    fifth.previous = keys::vault_root::RootHash([7; 48]);
    let fifth = fifth
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    let chain = [&fifth, &fourth];
    assert_eq!(refused(story.check(&chain)), VaultError::NotFollowing);
    // A closed one that holds something else than the one before.
    let mut closed = story
        .world
        .next_root("alice", story.vault, Some(&fourth), 8);
    closed.closed = true;
    let closed = closed
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    let chain = [&closed, &fourth];
    assert_eq!(refused(story.check(&chain)), VaultError::NotFollowing);
}

#[test]
fn a_version_that_is_held_back_is_noticed() {
    let mut story = history(918);
    let (vault, last) = (story.vault, story.last().clone());
    let newer = story.world.write_vault("bob", vault, Some(&last), 4);
    // The relay shows Carol the one before.
    assert_eq!(refused(story.check(&[&last])), VaultError::Withheld);
    story.check(&[&newer]).unwrap();
    // What somebody told who is out by now binds nobody.
    let ghost = story.world.next_root("bob", vault, Some(&newer), 5);
    let ghost = ghost
        .sign(story.world.stolen_keys("bob").signing())
        .unwrap();
    says(&mut story.world, "bob", vault, &root_word(&ghost));
    assert_eq!(refused(story.check(&[&newer])), VaultError::Withheld);
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
    story.check(&[&newer]).unwrap();
}

/// A relay that shows each member another history.
#[test]
fn fork_into_two_histories_is_noticed() {
    let mut story = history(919);
    let (vault, last) = (story.vault, story.last().clone());
    let other = story.forged("alice", |body| body.time = 7);
    story.world.write_vault("bob", vault, Some(&last), 4);
    assert_eq!(refused(story.check(&[&other])), VaultError::Forked);
}

#[test]
fn who_comes_second_writes_anew() {
    let mut story = history(920);
    let (vault, last) = (story.vault, story.last().clone());
    let body = story.world.next_root("bob", vault, Some(&last), 5);
    let of_bob = story.world.sign_root("bob", body).unwrap();
    let of_alice = story.world.write_vault("alice", vault, Some(&last), 4);
    // The head is at version 4 by now. He is told so; or the relay says it where he has not heard.
    let published = story.world.publish_root("bob", &of_bob, 3);
    assert!(matches!(
        refused(published),
        VaultError::Conflict | VaultError::Forked
    ));
    story
        .world
        .check_roots("bob", vault, 1, &[&of_alice])
        .unwrap();
    let merged = story.world.write_vault("bob", vault, Some(&of_alice), 6);
    story.check(&[&merged, &of_alice]).unwrap();
    // Said again it changes nothing.
    story.world.publish_root("bob", &merged, 4).unwrap();
    let head = story.world.fetch_head("carol", vault, 1).unwrap();
    assert_eq!(head, (5, merged.encode()));
}

#[test]
fn a_conflict_at_the_relay_is_told() {
    let mut story = history(921);
    let (vault, last) = (story.vault, story.last().clone());
    let body = story.world.next_root("bob", vault, Some(&last), 5);
    let root = story.world.sign_root("bob", body).unwrap();
    let published = story.world.publish_root("bob", &root, 1);
    assert_eq!(refused(published), VaultError::Conflict);
    assert_eq!(pin(&story.world, "bob", vault), 3);
    story.world.publish_root("bob", &root, 3).unwrap();
    assert_eq!(pin(&story.world, "bob", vault), 4);
}

/// Two faces of one home publish at once. The relay takes the first and nobody hears it, since the second took its place:
/// both are answered, and read what the relay has.
#[test]
fn a_version_that_gives_way_is_answered() {
    let mut story = history(922);
    let (vault, last) = (story.vault, story.last().clone());
    let begun: Vec<_> = [5, 6]
        .into_iter()
        .map(|holds| {
            let body = story.world.next_root("bob", vault, Some(&last), holds);
            let root = story.world.sign_root("bob", body).unwrap().encode();
            let head = engine::VaultVersion {
                generation: 1,
                version: 4,
                previous: 3,
                body: root.clone(),
            };
            story
                .world
                .begin("bob", |command| engine::Input::PublishVault {
                    command,
                    vault,
                    head,
                    root,
                })
        })
        .collect();
    story.world.run(30);
    for command in begun {
        let outcome = story.world.outcome("bob", command);
        let Some(engine::CommandOutcome::Failed(error)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(error, EngineError::from(VaultError::Conflict));
    }
    let (version, shown) = story.world.fetch_head("bob", vault, 1).unwrap();
    let shown = VaultRoot::decode(&shown).unwrap();
    assert_eq!((version, shown.body.directory.id), (4, [5; 32]));
    let read = story.world.check_roots("bob", vault, 1, &[&shown]);
    read.unwrap();
}

/// The relay took a version and nobody heard so: whoever wrote it tells of it when it reads it there.
#[test]
fn an_own_version_that_is_read_is_told() {
    let mut story = history(923);
    let (vault, last) = (story.vault, story.last().clone());
    let body = story.world.next_root("bob", vault, Some(&last), 5);
    let root = story.world.sign_root("bob", body).unwrap();
    story.check(&[&last]).unwrap();
    let read = story.world.check_roots("bob", vault, 1, &[&root]);
    read.unwrap();
    story.world.run(30);
    assert_eq!(refused(story.check(&[&last])), VaultError::Withheld);
}

/// Killed anywhere between: the relay has it once, all are told, and the pin is there.
#[test]
fn a_version_is_published_whenever_its_writer_is_killed() {
    for (seed, steps) in (930..).zip(1..4) {
        for point in [CrashPoint::BeforeStore, CrashPoint::AfterStore] {
            let mut story = history(seed);
            let (vault, last) = (story.vault, story.last().clone());
            let body = story.world.next_root("bob", vault, Some(&last), 5);
            let root = story.world.sign_root("bob", body).unwrap();
            story.world.crash("bob", point, steps);
            let head = engine::VaultVersion {
                generation: 1,
                version: 4,
                previous: 3,
                body: root.encode(),
            };
            let bytes = root.encode();
            let begun = story
                .world
                .try_command("bob", |command| engine::Input::PublishVault {
                    command,
                    vault,
                    head,
                    root: bytes,
                });
            drop(begun);
            story.world.run(30);
            story.world.forget_crash("bob");
            if !story.world.runs("bob") {
                story.world.start("bob");
            }
            story.world.run(30);
            story.world.publish_root("bob", &root, 3).unwrap();
            story.world.run(30);
            assert_eq!(pin(&story.world, "bob", vault), 4, "{steps}");
            let head = story.world.fetch_head("carol", vault, 1).unwrap();
            assert_eq!(head, (4, root.encode()), "{steps}");
            story.check(&[&root]).unwrap();
            assert_eq!(refused(story.check(&[&last])), VaultError::RolledBack);
        }
    }
}

/// Killed while somebody is let in or put out: all have the same keys in the end.
#[test]
fn keys_survive_a_crash_of_whoever_tells_them() {
    for (seed, steps) in (940..).zip([1, 3, 5, 7]) {
        let mut world = friends(seed, &ALL);
        let vault = world.create_vault("alice", "plans");
        world.share_vault("alice", vault, &["bob"], WRITER).unwrap();
        world.run(20);
        let (bob, carol) = (world.account("bob"), world.account("carol"));
        world.crash("alice", CrashPoint::AfterStore, steps);
        drop(
            world.try_command("alice", |command| engine::Input::ShareVault {
                command,
                vault,
                accounts: vec![carol],
                role: None,
            }),
        );
        world.run(30);
        world.forget_crash("alice");
        if !world.runs("alice") {
            world.start("alice");
        }
        world.run(120);
        let keys = world.vault_keys("alice", vault);
        assert_eq!(world.vault_keys("carol", vault), keys, "{steps}");
        world.crash("alice", CrashPoint::AfterStore, steps);
        drop(
            world.try_command("alice", |command| engine::Input::UnshareVault {
                command,
                vault,
                accounts: vec![bob],
            }),
        );
        world.run(30);
        world.forget_crash("alice");
        if !world.runs("alice") {
            world.start("alice");
        }
        world.run(120);
        let keys = world.vault_keys("alice", vault);
        assert_eq!(keys.len(), 2, "{steps}");
        assert_eq!(world.vault_keys("carol", vault), keys, "{steps}");
        assert!(world.vault("bob", vault).is_none());
    }
}

#[test]
fn a_head_that_no_member_wrote_is_refused() {
    let mut story = history(950);
    story
        .world
        .relay()
        .twist(|request, reply| match (request, reply) {
            (Request::FetchHead(_), Reply::Head(mut head)) => {
                head.version += 1;
                Reply::Head(head)
            }
            (_, reply) => reply,
        });
    let fetched = story.world.fetch_head("carol", story.vault, 1);
    assert!(matches!(fetched, Err(EngineError::Protocol)));
}

/// A relay that was set back, or says so, is noticed by everybody.
#[test]
fn a_relay_that_is_set_back_is_noticed() {
    let mut story = history(951);
    let before = story.world.relay().store().clone();
    let (vault, last) = (story.vault, story.last().clone());
    let newer = story.world.write_vault("alice", vault, Some(&last), 4);
    story.check(&[&newer]).unwrap();
    story.world.roll_back_relay(before);
    story.world.run(30);
    let (_, shown) = story.world.fetch_head("carol", vault, 1).unwrap();
    let shown = VaultRoot::decode(&shown).unwrap();
    assert_eq!(refused(story.check(&[&shown])), VaultError::RolledBack);
    // Bob never saw it, but was told.
    let checked = story.world.check_roots("bob", vault, 1, &[&shown]);
    assert_eq!(refused(checked), VaultError::Withheld);
    // And writes nothing over it that he does not know.
    let body = story.world.next_root("bob", vault, Some(&shown), 9);
    let root = story.world.sign_root("bob", body).unwrap();
    let published = story.world.publish_root("bob", &root, 3);
    assert_eq!(refused(published), VaultError::Forked);
}

/// The head of a generation is closed and the next one begun; whoever has read that goes on there alone.
#[test]
fn a_generation_ends_and_the_next_one_goes_on() {
    let mut story = history(952);
    let (vault, last) = (story.vault, story.last().clone());
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
    assert!(story.world.vault("alice", vault).unwrap().is_stale());
    let mut body = story.world.next_root("alice", vault, Some(&last), 3);
    body.closed = true;
    let closed = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &closed, 3).unwrap();
    // Whoever may write and has the old head's key goes on there no more: neither where somebody reads it, nor itself.
    let mut body = story.world.next_root("alice", vault, Some(&closed), 9);
    body.generation = 1;
    let alice = story.world.stolen_keys("alice");
    let late = body.sign(alice.signing()).unwrap();
    let checked = story.check(&[&late, &closed]);
    assert_eq!(refused(checked), VaultError::NotFollowing);
    let published = story.world.publish_root("alice", &late, 4);
    assert_eq!(refused(published), VaultError::NewKey);
    story.check(&[&closed]).unwrap();
    let next = story.world.write_vault("alice", vault, Some(&closed), 3);
    assert_eq!(next.body.generation, 2);
    assert!(!story.world.vault("alice", vault).unwrap().is_stale());
    let checked = story.world.check_roots("carol", vault, 2, &[&next]);
    checked.unwrap();
}

/// The relay passes on so many more messages, and holds the others back.
pub(crate) fn hold_back(world: &mut World, passed: usize) {
    let mut left = passed;
    world.relay().distort(move |deliver| {
        let passes = left > 0;
        left = left.saturating_sub(1);
        passes.then_some(deliver).into_iter().collect()
    });
}

pub(crate) fn comes_through(world: &mut World, name: &str) {
    world.relay().repent();
    world.set_online(name, false);
    world.set_online(name, true);
    world.run(30);
}

/// From the moment in which somebody goes out until the new key is there nothing is written, and then nothing under the
/// old one.
#[test]
fn nothing_is_written_under_the_key_of_somebody_who_went_out() {
    let mut story = history(954);
    let (vault, last) = (story.vault, story.last().clone());
    let body = story.world.next_root("alice", vault, Some(&last), 5);
    let signed = story.world.sign_root("alice", body.clone()).unwrap();
    // Her commit comes back to her, and no more.
    for name in ["bob", "carol"] {
        story.world.set_online(name, false);
    }
    hold_back(&mut story.world, 1);
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    let record = story.world.vault("alice", vault).unwrap();
    assert!(record.departed && record.generation() == 1);
    let again = story.world.sign_root("alice", body.clone());
    assert_eq!(refused(again.map(drop)), VaultError::NewKey);
    let published = story.world.publish_root("alice", &signed, 3);
    assert_eq!(refused(published), VaultError::NewKey);
    comes_through(&mut story.world, "alice");
    assert_eq!(story.world.vault("alice", vault).unwrap().generation(), 2);
    let again = story.world.sign_root("alice", body.clone());
    assert_eq!(refused(again.map(drop)), VaultError::NewKey);
    let published = story.world.publish_root("alice", &signed, 3);
    assert_eq!(refused(published), VaultError::NewKey);
    // The old key's head ends, and the new one's begins.
    let body = RootBody {
        closed: true,
        ..body
    };
    let closed = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &closed, 3).unwrap();
    let next = story.world.write_vault("alice", vault, Some(&closed), 5);
    assert_eq!(next.body.generation, 2);
}

/// Also where nobody has put it out of the vault yet.
#[test]
fn nothing_is_written_under_the_key_of_a_lost_device() {
    let (mut world, vault) = shared(955);
    let tablet = world.link("alice", "alice tablet");
    world.run(120);
    world.sleep(4 * 24 * 3600);
    let first = world.write_vault("alice", vault, None, 1);
    let body = world.next_root("alice", vault, Some(&first), 2);
    for name in ["bob", "carol", "alice tablet"] {
        world.set_online(name, false);
    }
    hold_back(&mut world, 0);
    world.revoke("alice", tablet, Reason::Lost);
    let record = world.vault("alice", vault).unwrap();
    assert!(!record.departed && record.generation() == 1);
    let signed = world.sign_root("alice", body.clone());
    assert_eq!(refused(signed.map(drop)), VaultError::NewKey);
    comes_through(&mut world, "alice");
    assert_eq!(world.vault("alice", vault).unwrap().generation(), 2);
}

#[test]
fn a_sheet_brings_the_keys_back() {
    let mut world = friends(953, &["alice", "bob"]);
    let vault = world.create_vault("alice", "plans");
    let sheet = world.make_sheet("alice");
    let first = world.write_vault("alice", vault, None, 1);
    let second = world.write_vault("alice", vault, Some(&first), 2);
    world.sleep(7200);
    world.stop("alice");
    world.new_home("back");
    world.restore("back", &sheet);
    world.run(60);
    let keys = world.vault_keys("back", vault);
    assert_eq!(keys, world.vault_keys("alice", vault));
    assert_eq!(pin(&world, "back", vault), 2);
    let head = world.fetch_head("back", vault, 1).unwrap();
    assert_eq!(head.1, second.encode());
    world.check_roots("back", vault, 1, &[&second]).unwrap();
    // Nobody else was in it: she goes on writing.
    let third = world.write_vault("back", vault, Some(&second), 3);
    assert_eq!(third.body.counter, 3);
    assert_eq!(pin(&world, "back", vault), 3);
    // Until she does not want it any more.
    let left = world.command("back", |command| engine::Input::LeaveVault {
        command,
        vault,
    });
    assert!(matches!(left, engine::CommandOutcome::Done));
    assert!(world.vault("back", vault).is_none());
}

/// Who writes by now is not known in a home that was restored: nobody lets somebody back who went out since.
#[test]
fn a_restored_home_takes_no_version_of_whoever_went_out_since() {
    let (mut world, vault) = shared(956);
    let sheet = world.make_sheet("carol");
    let first = world.write_vault("alice", vault, None, 1);
    world.check_roots("carol", vault, 1, &[&first]).unwrap();
    world.sleep(7200);
    world.run(60);
    world.stop("carol");
    world.unshare_vault("alice", vault, &["bob"]).unwrap();
    world.run(30);
    // Bob has the key of the head still, and the relay shows what he writes.
    let body = world.next_root("bob", vault, Some(&first), 2);
    let body = RootBody {
        account: world.account("bob"),
        ..body
    };
    let forged = body.sign(world.stolen_keys("bob").signing()).unwrap();
    // Nobody is there who could say more.
    world.set_online("alice", false);
    world.new_home("back");
    world.restore("back", &sheet);
    world.run(60);
    assert_eq!(pin(&world, "back", vault), 1);
    let checked = world.check_roots("back", vault, 1, &[&forged]);
    assert_eq!(refused(checked), VaultError::Restored);
    let accepted = world.accept_root("back", vault, &forged);
    assert_eq!(refused(accepted), VaultError::Restored);
    world.check_roots("back", vault, 1, &[&first]).unwrap();
    assert_eq!(pin(&world, "back", vault), 1);
}

/// A writer who tells of versions that nobody wrote drives out what others told: no.
#[test]
fn who_floods_with_versions_hides_none() {
    // Whoever of them comes first.
    let mut orders = [false; 2];
    for seed in 9570.. {
        let story = history(seed);
        let order = story.world.account("alice") < story.world.account("bob");
        if !std::mem::replace(&mut orders[usize::from(order)], true) {
            flood(story);
        }
        if orders == [true; 2] {
            return;
        }
    }
}

fn flood(mut story: History) {
    let (vault, last) = (story.vault, story.last().clone());
    let newer = story.world.write_vault("alice", vault, Some(&last), 4);
    let told = |counter: u64, byte: u8| {
        let mut word = vec![2, 0, 0, 0, 1];
        word.extend(counter.to_be_bytes());
        word.extend([byte; 48]);
        word.push(0);
        VaultSays::Word(word)
    };
    for byte in 0..80 {
        let (store, now) = (story.world.person("bob").store.clone(), story.world.now());
        let word = told(5 + u64::from(byte), byte);
        let step = say_in_vault(&store, &vault, &word, now, story.world.chance().rng());
        let store = &mut story.world.person_mut("bob").store;
        step.unwrap().commit(store).unwrap();
    }
    story.world.run(300);
    assert_eq!(story.world.vault("carol", vault).unwrap().newest(), 84);
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
    // The relay shows Carol the one before.
    assert_eq!(refused(story.check(&[&last])), VaultError::Withheld);
    story.check(&[&newer]).unwrap();
}

#[test]
fn a_version_that_nobody_can_reach_is_none() {
    let mut story = history(958);
    let vault = story.vault;
    let mut word = vec![2, 0, 0, 0, 1];
    word.extend(u64::MAX.to_be_bytes());
    word.extend([7; 49]);
    *word.last_mut().unwrap() = 0;
    says(&mut story.world, "bob", vault, &VaultSays::Word(word));
    assert_eq!(story.world.vault("carol", vault).unwrap().newest(), 3);
    let last = story.last().clone();
    story.check(&[&last]).unwrap();
}
