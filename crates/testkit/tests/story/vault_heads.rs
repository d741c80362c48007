//! Heads of vaults that a member spoils: every member has the key that writes them, a reader too. What counts does not
//! change by it, and whoever may write goes on.

use crate::vaults::{History, history, pin, refused, root_word, says};
use engine::{EngineError, VaultError};
use keys::GroupId;
use keys::vault_root::VaultRoot;
use wire::{RefusalKind, Reply};

/// What the head of the first generation shows Carol.
fn shown(story: &mut History) -> Option<VaultRoot> {
    let (_, body) = story.world.fetch_head("carol", story.vault, 1).unwrap();
    VaultRoot::decode(&body).ok()
}

/// Alice puts the newest version back and writes the next one; both count for everybody.
fn mend(story: &mut History, version: u64) {
    let (vault, last) = (story.vault, story.last().clone());
    let known = story.world.vault("alice", vault).unwrap().newest_root();
    assert_eq!(known.as_ref(), Some(&last));
    story.world.publish_root("alice", &last, version).unwrap();
    assert_eq!(shown(story), Some(last.clone()));
    story.check(&[&last]).unwrap();
    let next = story.world.write_vault("alice", vault, Some(&last), 5);
    assert_eq!(shown(story), Some(next.clone()));
    for name in ["bob", "carol"] {
        story.world.check_roots(name, vault, 1, &[&next]).unwrap();
        assert_eq!(pin(&story.world, name, vault), 4, "{name}");
    }
}

#[test]
fn a_head_of_garbage_is_written_over() {
    let mut story = history(960);
    let head = (story.vault, 1);
    let spoilt = story.world.spoil_head("carol", head, (3, 4), &[7; 8192]);
    assert_eq!(spoilt, Some(Reply::Done));
    assert_eq!(shown(&mut story), None);
    mend(&mut story, 4);
}

#[test]
fn an_older_version_in_a_newer_head_is_written_over() {
    let mut story = history(961);
    let (head, second) = ((story.vault, 1), story.roots[1].clone());
    let spoilt = story
        .world
        .spoil_head("carol", head, (3, 4), &second.encode());
    assert_eq!(spoilt, Some(Reply::Done));
    let old = shown(&mut story).unwrap();
    assert_eq!(refused(story.check(&[&old])), VaultError::RolledBack);
    mend(&mut story, 4);
}

/// Nobody takes the versions of a head away: the relay lets none jump so far.
#[test]
fn the_versions_of_a_head_are_not_used_up() {
    let mut story = history(962);
    let (head, largest) = ((story.vault, 1), wire::limits::HEAD_VERSION);
    let spoilt = story
        .world
        .spoil_head("carol", head, (3, largest), &[7; 8192]);
    assert_eq!(spoilt, None);
    let far = 3 + wire::limits::HEAD_STEP;
    let spoilt = story.world.spoil_head("carol", head, (3, far), &[7; 8192]);
    assert_eq!(spoilt, Some(Reply::Done));
    mend(&mut story, far);
}

/// Whoever deletes a head may have written versions of it that nobody saw.
#[test]
fn a_deleted_head_is_written_again() {
    let mut story = history(963);
    let head = (story.vault, 1);
    let hidden = story.world.spoil_head("carol", head, (3, 4_711), b"hidden");
    assert_eq!(hidden, Some(Reply::Done));
    let deleted = story.world.delete_head("carol", head, 4_711);
    assert_eq!(deleted, Some(Reply::Done));
    // The relay says from which version it goes on.
    let fetched = story.world.fetch_head("alice", story.vault, 1).unwrap();
    assert_eq!(fetched, (4_711, Vec::new()));
    let blind = story.last().clone();
    let blind = story.world.publish_root("alice", &blind, 3);
    assert_eq!(refused(blind), VaultError::Conflict);
    mend(&mut story, 4_711);
}

/// A head at its last version takes no more: the next generation begins without its end, and goes on from the newest.
#[test]
fn a_head_that_takes_no_more_ends_with_its_generation() {
    let mut story = history(964);
    let (vault, last) = (story.vault, story.last().clone());
    story.world.exhaust_head("bob", vault, 1);
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
    let mut body = story.world.next_root("alice", vault, Some(&last), 4);
    body.generation = 2;
    let next = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &next, 0).unwrap();
    story.world.run(10);
    let checked = story.world.check_roots("carol", vault, 2, &[&next]);
    checked.unwrap();
    // And never back to an older one.
    let mut back = story.world.next_root("alice", vault, Some(&next), 5);
    back.generation = 1;
    let back = back
        .sign(story.world.stolen_keys("alice").signing())
        .unwrap();
    assert_eq!(refused(story.check(&[&back])), VaultError::NotFollowing);
}

/// Only whoever may write puts a version back, and not where somebody told of a newer one.
#[test]
fn what_is_put_back_is_the_newest_and_by_a_writer() {
    let mut story = history(965);
    let (vault, last) = (story.vault, story.last().clone());
    let put = story.world.publish_root("carol", &last, 3);
    assert_eq!(refused(put), VaultError::Role);
    let second = story.roots[1].clone();
    assert!(story.world.publish_root("alice", &second, 3).is_err());
    story.world.write_vault("bob", vault, Some(&last), 4);
    let put = story.world.publish_root("alice", &last, 4);
    assert_eq!(refused(put), VaultError::Withheld);
    let nobody = GroupId::from_bytes([7; 32]);
    let fetched = story.world.fetch_head("alice", nobody, 1);
    assert!(matches!(fetched, Err(EngineError::Vault(_))));
    // A stranger's key writes nothing.
    let forged = story.world.spoil_head("alice", (vault, 1), (9, 10), b"x");
    assert!(
        matches!(forged, Some(Reply::Refused(refused)) if refused.kind == RefusalKind::Conflict)
    );
}

/// Bob writes a version that he tells nobody of.
fn untold(story: &mut History) -> VaultRoot {
    let root = story.forged("bob", |_| {});
    let head = (story.vault, 1);
    let put = story.world.spoil_head("bob", head, (3, 4), &root.encode());
    assert_eq!(put, Some(Reply::Done));
    root
}

fn bob_goes(story: &mut History) {
    let vault = story.vault;
    story.world.unshare_vault("alice", vault, &["bob"]).unwrap();
    story.world.run(30);
}

#[test]
fn a_version_that_was_taken_counts_when_its_author_is_out() {
    let mut story = history(966);
    let vault = story.vault;
    let fourth = untold(&mut story);
    story
        .world
        .check_roots("alice", vault, 1, &[&fourth])
        .unwrap();
    bob_goes(&mut story);
    story
        .world
        .check_roots("alice", vault, 1, &[&fourth])
        .unwrap();
    // Whoever put him out told of it: so it counts for who had not seen it.
    story.check(&[&fourth]).unwrap();
    let mut body = story.world.next_root("alice", vault, Some(&fourth), 4);
    body.closed = true;
    body.directory = fourth.body.directory;
    let closed = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &closed, 4).unwrap();
    story.check(&[&closed]).unwrap();
}

#[test]
fn a_version_that_nobody_stands_up_for_holds_nobody_back() {
    let mut story = history(967);
    let (vault, last) = (story.vault, story.last().clone());
    let of_bob = untold(&mut story);
    // Carol takes it, Alice never sees it.
    story.check(&[&of_bob]).unwrap();
    bob_goes(&mut story);
    let checked = story.world.check_roots("alice", vault, 1, &[&of_bob]);
    assert_eq!(refused(checked), VaultError::MayNotWrite);
    story.check(&[&of_bob]).unwrap();
    let mut body = story.world.next_root("alice", vault, Some(&last), 3);
    body.closed = true;
    let closed = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &closed, 4).unwrap();
    story.world.run(10);
    let second = story.roots[1].clone();
    // Not everything counts for that.
    assert_eq!(refused(story.check(&[&second])), VaultError::Withheld);
    assert_eq!(refused(story.check(&[&of_bob])), VaultError::Forked);
    story.check(&[&closed]).unwrap();
    assert_eq!(pin(&story.world, "carol", vault), 4);
}

#[test]
fn who_tells_of_two_versions_tells_of_none() {
    let mut story = history(968);
    let (vault, last) = (story.vault, story.last().clone());
    let one = untold(&mut story);
    story.check(&[&one]).unwrap();
    let other = story.forged("bob", |body| body.time = 7);
    for root in [&one, &other] {
        says(&mut story.world, "bob", vault, &root_word(root));
    }
    for root in [&one, &other] {
        assert_eq!(refused(story.check(&[root])), VaultError::Forked);
    }
    bob_goes(&mut story);
    for root in [&one, &other] {
        let checked = story.world.check_roots("alice", vault, 1, &[root]);
        assert_eq!(refused(checked), VaultError::MayNotWrite);
    }
    // Nor does it bind Carol, who took one of them.
    let mut body = story.world.next_root("alice", vault, Some(&last), 3);
    body.closed = true;
    let closed = story.world.sign_root("alice", body).unwrap();
    story.world.publish_root("alice", &closed, 4).unwrap();
    story.world.run(10);
    story.check(&[&closed]).unwrap();
}

/// A relay that lost a version ends no vault: a person says that what is left is the newest. Who writes nothing is not
/// taken for a writer by that.
#[test]
fn a_person_takes_what_the_relay_shows() {
    let mut story = history(969);
    let (vault, last) = (story.vault, story.last().clone());
    let lost = story.world.write_vault("bob", vault, Some(&last), 4);
    story.check(&[&lost]).unwrap();
    assert_eq!(refused(story.check(&[&last])), VaultError::RolledBack);
    let checked = story.world.check_roots("alice", vault, 1, &[&last]);
    assert_eq!(refused(checked), VaultError::Withheld);
    for name in ["alice", "carol"] {
        story.world.accept_root(name, vault, &last).unwrap();
        story.world.check_roots(name, vault, 1, &[&last]).unwrap();
    }
    let forged = story.forged("carol", |_| {});
    let accepted = story.world.accept_root("alice", vault, &forged);
    assert_eq!(refused(accepted), VaultError::MayNotWrite);
    let elsewhere = story.forged("alice", |body| body.vault = GroupId::from_bytes([7; 32]));
    let accepted = story.world.accept_root("alice", vault, &elsewhere);
    assert_eq!(refused(accepted), VaultError::OtherVault);
    // All go on from there; Bob, who wrote what is lost, after he says so too.
    let next = story.world.write_vault("alice", vault, Some(&last), 5);
    story.check(&[&next]).unwrap();
    let checked = story.world.check_roots("bob", vault, 1, &[&next]);
    assert_eq!(refused(checked), VaultError::Forked);
    story.world.accept_root("bob", vault, &next).unwrap();
    story.world.write_vault("bob", vault, Some(&next), 6);
}
