//! Devices of a higher suite in groups of a lower one: a key of its own for that, which the device's key vouches for.

use crate::support::{NOW, Person, Town};
use keys::Suite;
use letterlock_groups::{Change, Group, GroupError, Received, Wishes, key_package_of};

const ANN: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

fn hybrid_and_cnsa2(town: &mut Town) -> (Person, Person, Person) {
    (
        town.device(ANN),
        town.device(BOB),
        town.device_in(CAROL, Suite::Cnsa2, Suite::Hybrid),
    )
}

fn key_of(person: &mut Person, of: &Person) -> Vec<u8> {
    let members = person.group().members().unwrap();
    let mut members = members.into_iter();
    let member = members.find(|member| member.name == of.us.name).unwrap();
    member.leaf_key
}

#[test]
fn a_device_of_a_higher_suite_is_a_member_like_others() {
    let mut town = Town::new(601);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    let package = town.package(&mut carol);
    let of = key_package_of(&package).unwrap();
    assert_eq!(of, (carol.us.name, Suite::Hybrid));
    town.gather(&mut [&mut ann, &mut bob, &mut carol]);
    assert_eq!(carol.group().suite().unwrap(), Suite::Hybrid);
    for round in 0..2_u8 {
        for person in [&mut ann, &mut bob, &mut carol] {
            town.reload(person);
        }
        let letter = carol.write(&[round]);
        ann.reads(&letter, &carol.us.name, &[round]);
        bob.reads(&letter, &carol.us.name, &[round]);
        let commit = carol.commit(Wishes::default()).unwrap();
        for person in [&mut ann, &mut bob] {
            person.receive(&commit.message).unwrap();
        }
        carol.group = Some(commit.next);
    }
    assert_eq!(key_of(&mut ann, &carol), carol.us.leaf.public());
}

#[test]
fn a_device_of_a_higher_suite_begins_a_group_and_comes_back_into_it() {
    let mut town = Town::new(602);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    town.gather(&mut [&mut carol, &mut ann, &mut bob]);
    let (info, tree) = (ann.group().info().unwrap(), ann.group().tree().unwrap());
    let directory = town.directory();
    let back = Group::rejoin(&carol.us, directory, (&info, &tree), NOW, &mut town.rng);
    let (group, commit) = back.unwrap();
    carol.group = Some(group);
    for person in [&mut ann, &mut bob] {
        match person.receive(&commit).unwrap() {
            Received::Commit { changes, .. } => {
                assert_eq!(changes, [Change::Rejoined(carol.us.name)]);
            }
            _ => unreachable!("no commit"),
        }
    }
    let letter = carol.write(b"back");
    bob.reads(&letter, &carol.us.name, b"back");
}

#[test]
fn new_keys_of_the_device_are_new_keys_of_its_leaf() {
    let mut town = Town::new(603);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    town.gather(&mut [&mut ann, &mut bob, &mut carol]);
    let before = key_of(&mut ann, &carol);
    town.renew(&mut carol, Suite::Cnsa2);
    for person in [&mut ann, &mut bob, &mut carol] {
        town.reload(person);
    }
    // Until its commit counts it speaks with the old ones.
    let letter = carol.write(b"as before");
    ann.reads(&letter, &carol.us.name, b"as before");
    let commit = carol.commit(Wishes::default()).unwrap();
    for person in [&mut ann, &mut bob] {
        person.receive(&commit.message).unwrap();
    }
    carol.group = Some(commit.next);
    let after = key_of(&mut ann, &carol);
    assert_ne!(after, before);
    assert_eq!(after, carol.us.leaf.public());
}

/// A commit that only adds has no path, so that nobody hears of a new leaf key by it: it is signed by the one before,
/// and so is what the newcomer joins by.
#[test]
fn new_keys_of_the_device_wait_for_a_commit_that_brings_them() {
    let mut town = Town::new(606);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    town.gather(&mut [&mut ann, &mut carol]);
    town.renew(&mut ann, Suite::Hybrid);
    for person in [&mut ann, &mut carol] {
        town.reload(person);
    }
    let add = vec![town.package(&mut bob)];
    let commit = ann
        .commit(Wishes {
            add,
            ..Wishes::default()
        })
        .unwrap();
    carol.receive(&commit.message).unwrap();
    town.join(&mut bob, &commit).unwrap();
    ann.group = Some(commit.next);
    let letter = ann.write(b"welcome");
    for person in [&mut bob, &mut carol] {
        person.reads(&letter, &ann.us.name, b"welcome");
    }
    let commit = ann.commit(Wishes::default()).unwrap();
    for person in [&mut bob, &mut carol] {
        person.receive(&commit.message).unwrap();
    }
    ann.group = Some(commit.next);
    assert_eq!(key_of(&mut bob, &ann), ann.us.leaf.public());
}

/// A key package says which key its leaf is signed with. Who has another one by the time of the invitation comes in with
/// the old one all the same, and its first commit brings the new one.
#[test]
fn who_has_new_keys_when_it_comes_in_speaks_with_those_of_its_package() {
    let mut town = Town::new(607);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    town.create(&mut ann);
    town.reload(&mut ann);
    let add = vec![town.package(&mut bob), town.package(&mut carol)];
    let before = [bob.us.leaf.public(), carol.us.leaf.public()].map(<[u8]>::to_vec);
    town.renew(&mut bob, Suite::Hybrid);
    town.renew(&mut carol, Suite::Cnsa2);
    let wishes = Wishes {
        add,
        ..Wishes::default()
    };
    town.reload(&mut ann);
    let commit = ann.commit(wishes).unwrap();
    for person in [&mut bob, &mut carol] {
        town.join(person, &commit).unwrap();
    }
    ann.group = Some(commit.next);
    assert_eq!([key_of(&mut ann, &bob), key_of(&mut ann, &carol)], before);
    let letter = bob.write(b"with the old key");
    for person in [&mut ann, &mut carol] {
        person.reads(&letter, &bob.us.name, b"with the old key");
    }
    let commit = carol.commit(Wishes::default()).unwrap();
    for person in [&mut ann, &mut bob] {
        person.receive(&commit.message).unwrap();
    }
    assert_eq!(key_of(&mut ann, &carol), carol.us.leaf.public());
}

/// Bob's account takes the higher suite: his leaf follows with the next commit, and the group stays what it is.
#[test]
fn an_account_that_takes_a_higher_suite_stays_in_its_groups() {
    let mut town = Town::new(604);
    let (mut ann, mut bob, mut carol) = hybrid_and_cnsa2(&mut town);
    town.gather(&mut [&mut ann, &mut bob, &mut carol]);
    town.renew(&mut bob, Suite::Cnsa2);
    for person in [&mut ann, &mut bob, &mut carol] {
        town.reload(person);
    }
    let commit = bob.commit(Wishes::default()).unwrap();
    for person in [&mut ann, &mut carol] {
        person.receive(&commit.message).unwrap();
    }
    bob.group = Some(commit.next);
    assert_eq!(key_of(&mut ann, &bob), bob.us.leaf.public());
    let letter = bob.write(b"higher");
    ann.reads(&letter, &bob.us.name, b"higher");
}

#[test]
fn two_suites_do_not_meet_in_a_group_of_the_higher_one() {
    let mut town = Town::new(605);
    let mut carol = town.device_of(CAROL, Suite::Cnsa2);
    let mut ann = town.device(ANN);
    town.create(&mut carol);
    town.reload(&mut carol);
    assert_eq!(carol.group().suite().unwrap(), Suite::Cnsa2);
    let add = vec![town.package(&mut ann)];
    let wishes = Wishes {
        add,
        ..Wishes::default()
    };
    assert_eq!(carol.commit(wishes).err(), Some(GroupError::WrongSuite));
}

/// A description of another suite than the group's leads nowhere.
#[test]
fn the_way_back_keeps_the_suite() {
    let mut town = Town::new(606);
    let mut carol = town.device_of(CAROL, Suite::Cnsa2);
    let (mut ann, mut bob) = (town.device(ANN), town.device(BOB));
    town.gather(&mut [&mut ann, &mut bob]);
    town.create(&mut carol);
    for (who, of) in [(&carol.us, &ann), (&ann.us, &carol)] {
        let group = of.group.as_ref().unwrap();
        let (info, tree) = (group.info().unwrap(), group.tree().unwrap());
        let directory = town.directory();
        let back = Group::rejoin(who, directory, (&info, &tree), NOW, &mut town.rng);
        assert_eq!(back.err(), Some(GroupError::WrongSuite));
    }
}
