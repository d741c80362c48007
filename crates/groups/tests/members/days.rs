//! Ordinary days.

use crate::support::{NOW, Town};
use letterlock_groups::{Change, Group, GroupError, Received, Wishes};

#[test]
fn everybody_reads_what_anybody_writes() {
    let mut town = Town::new(1);
    let (mut ann, mut bob, mut eve) = (town.device(1), town.device(2), town.device(3));
    town.gather(&mut [&mut ann, &mut bob, &mut eve]);
    let letter = bob.write(b"hello");
    ann.reads(&letter, &bob.us.name, b"hello");
    eve.reads(&letter, &bob.us.name, b"hello");
    assert_eq!(ann.receive(&letter).err(), Some(GroupError::Repeated));
    assert_eq!(bob.receive(&letter).err(), Some(GroupError::Own));
    let token = |person: &mut crate::support::Person| person.group().epoch_token().unwrap();
    assert!(token(&mut ann).ct_eq(&token(&mut eve)));
}

#[test]
fn a_commit_counts_once_it_is_accepted() {
    let mut town = Town::new(2);
    let (mut ann, mut bob, mut eve) = (town.device(1), town.device(2), town.device(3));
    town.gather(&mut [&mut ann, &mut bob, &mut eve]);
    let by_ann = ann.commit(Wishes::default()).unwrap();
    let by_bob = bob.commit(Wishes::default()).unwrap();
    // The relay takes that of Bob: Ann forgets hers.
    bob.group = Some(by_bob.next);
    for person in [&mut ann, &mut eve] {
        match person.receive(&by_bob.message).unwrap() {
            Received::Commit { by, removed, .. } => {
                assert_eq!(by, bob.us.name);
                assert!(!removed);
            }
            _ => unreachable!("no commit"),
        }
    }
    assert_eq!(
        eve.receive(&by_ann.message).err(),
        Some(GroupError::PastEpoch)
    );
    let letter = ann.write(b"after");
    bob.reads(&letter, &ann.us.name, b"after");
    eve.reads(&letter, &ann.us.name, b"after");
}

#[test]
fn a_removed_device_reads_nothing_more() {
    let mut town = Town::new(3);
    let (mut ann, mut bob, mut eve) = (town.device(1), town.device(2), town.device(3));
    town.gather(&mut [&mut ann, &mut bob, &mut eve]);
    let leaf = ann.leaf_of(&eve.us.name);
    let commit = ann
        .commit(Wishes {
            remove: vec![leaf],
            ..Wishes::default()
        })
        .unwrap();
    let gone_name = eve.us.name;
    assert_eq!(commit.changes, [Change::Removed(gone_name)]);
    for (person, gone) in [(&mut bob, false), (&mut eve, true)] {
        match person.receive(&commit.message).unwrap() {
            Received::Commit {
                removed, changes, ..
            } => {
                assert_eq!(removed, gone);
                assert_eq!(changes, [Change::Removed(gone_name)]);
            }
            _ => unreachable!("no commit"),
        }
    }
    ann.group = Some(commit.next);
    let letter = bob.write(b"without her");
    ann.reads(&letter, &bob.us.name, b"without her");
    assert!(eve.receive(&letter).is_err());
    let late = eve.group().seal(b"still here");
    assert!(late.is_err() || ann.receive(&late.unwrap()).is_err());
}

#[test]
fn who_leaves_is_removed_by_the_next_commit() {
    let mut town = Town::new(4);
    let (mut ann, mut bob, mut eve) = (town.device(1), town.device(2), town.device(3));
    town.gather(&mut [&mut ann, &mut bob, &mut eve]);
    let leaf = eve.leaf_of(&eve.us.name.clone());
    let wish = eve.group().propose_removal(leaf).unwrap();
    for person in [&mut ann, &mut bob] {
        assert!(
            matches!(person.receive(&wish), Ok(Received::Proposal { from }) if from == eve.us.name)
        );
        assert!(person.group().commit_needed());
    }
    let commit = bob.commit(Wishes::default()).unwrap();
    assert_eq!(commit.changes, [Change::Removed(eve.us.name)]);
    assert!(matches!(
        eve.receive(&commit.message),
        Ok(Received::Commit { removed: true, .. })
    ));
    assert!(ann.receive(&commit.message).is_ok());
}

#[test]
fn a_state_is_kept_and_taken_up_again() {
    let mut town = Town::new(5);
    let (mut ann, mut bob) = (town.device(1), town.device(2));
    town.gather(&mut [&mut ann, &mut bob]);
    for round in 0..3_u8 {
        town.reload(&mut ann);
        town.reload(&mut bob);
        let letter = ann.write(&[round]);
        bob.reads(&letter, &ann.us.name, &[round]);
        let commit = bob.commit(Wishes::default()).unwrap();
        ann.receive(&commit.message).unwrap();
        bob.group = Some(commit.next);
    }
}

#[test]
fn who_lost_its_state_comes_back_and_others_see_it() {
    let mut town = Town::new(6);
    let (mut ann, mut bob, mut eve) = (town.device(1), town.device(2), town.device(3));
    town.gather(&mut [&mut ann, &mut bob, &mut eve]);
    let info = ann.group().info().unwrap();
    let tree = ann.group().tree().unwrap();
    let directory = town.directory();
    let (group, commit) =
        Group::rejoin(&eve.us, directory, (&info, &tree), NOW, &mut town.rng).unwrap();
    eve.group = Some(group);
    for person in [&mut ann, &mut bob] {
        match person.receive(&commit).unwrap() {
            Received::Commit { by, changes, .. } => {
                assert_eq!(by, eve.us.name);
                assert_eq!(changes, [Change::Rejoined(eve.us.name)]);
            }
            _ => unreachable!("no commit"),
        }
    }
    assert_eq!(ann.group().members().unwrap().len(), 3);
    let letter = eve.write(b"back");
    ann.reads(&letter, &eve.us.name, b"back");
}
