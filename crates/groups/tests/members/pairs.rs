//! Conversations of two: a pair stays the pair of these two accounts.

use crate::liar::{self, Habits, Liar, saying};
use crate::support::{Person, Town};
use keys::{AccountId, GroupId};
use letterlock_groups::{Group, GroupData, GroupError, Role, Wishes};
use mls_rs::MlsMessage;
use mls_rs::client_builder::MlsConfig;

const BOB: u8 = 2;
const LIAR: u8 = 3;
const STRANGER: u8 = 9;

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 32])
}

fn forbidden(what: &'static str) -> GroupError {
    GroupError::RoleForbids {
        account: account(LIAR),
        what,
    }
}

fn pair(one: u8, other: u8) -> Vec<u8> {
    let accounts = [account(one), account(other)];
    [&[2], &accounts[0].as_bytes()[..], accounts[1].as_bytes()].concat()
}

fn message(package: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(package).unwrap()
}

struct Scene<C: MlsConfig> {
    town: Town,
    bob: Person,
    liar: Liar<C>,
}

/// A liar begins something with Bob.
fn begin(
    seed: u64,
    data: Vec<u8>,
    guests: &[u8],
) -> (Scene<impl MlsConfig + use<>>, Result<Group, GroupError>) {
    let mut town = Town::new(seed);
    let mut bob = town.device(BOB);
    let mut liar = liar::liar(&mut town, LIAR, &Habits::default());
    let packages: Vec<Vec<u8>> = guests
        .iter()
        .map(|guest| {
            let mut guest = town.device(*guest);
            town.package(&mut guest)
        })
        .collect();
    let package = town.package(&mut bob);
    liar.create(&GroupId::random(&mut town.rng), data);
    let (_, welcomes, tree) = liar.lead(|builder| {
        let mut builder = builder.add_member(message(&package)).unwrap();
        for package in &packages {
            builder = builder.add_member(message(package)).unwrap();
        }
        builder
    });
    let joined = town.joined(&bob, &welcomes, &tree);
    (Scene { town, bob, liar }, joined)
}

fn scene(seed: u64) -> Scene<impl MlsConfig + use<>> {
    let (mut scene, joined) = begin(seed, pair(BOB, LIAR), &[]);
    scene.bob.group = Some(joined.unwrap());
    let data = scene.bob.group().data().unwrap();
    assert_eq!(data, GroupData::of_pair(account(LIAR), account(BOB)));
    assert_eq!(data.role(&account(BOB)), Role::Owner);
    scene
}

impl<C: MlsConfig> Scene<C> {
    /// A device whose log everybody knows.
    fn newcomer(&mut self, number: u8) -> Vec<u8> {
        let mut person = self.town.device(number);
        let package = self.town.package(&mut person);
        self.town.reload(&mut self.bob);
        package
    }

    fn refuse(&mut self, commit: &[u8]) -> GroupError {
        self.bob.receive(commit).err().unwrap()
    }
}

#[test]
fn nobody_else_comes_into_a_pair() {
    let mut scene = scene(501);
    let package = scene.newcomer(STRANGER);
    let commit = scene
        .liar
        .commit(|builder| builder.add_member(message(&package)).unwrap());
    assert_eq!(scene.refuse(&commit), forbidden("add to a pair"));
    // Another device of the same account comes in.
    let mut scene = self::scene(502);
    let package = scene.newcomer(LIAR);
    let commit = scene
        .liar
        .commit(|builder| builder.add_member(message(&package)).unwrap());
    scene.bob.receive(&commit).unwrap();
    assert_eq!(scene.bob.group().members().unwrap().len(), 3);
}

#[test]
fn a_pair_with_somebody_else_is_not_joined() {
    let (_, joined) = begin(503, pair(BOB, LIAR), &[STRANGER]);
    let why = GroupError::RoleForbids {
        account: account(STRANGER),
        what: "be in a pair",
    };
    assert_eq!(joined.err(), Some(why));
    // Nor is one of which we are not.
    let (_, joined) = begin(504, pair(LIAR, STRANGER), &[]);
    assert!(joined.is_err());
}

#[test]
fn a_pair_stays_a_pair() {
    let mut scene = scene(505);
    let other = liar::data("a group", &[(account(BOB), 3), (account(LIAR), 3)]);
    for data in [other, pair(LIAR, STRANGER)] {
        let commit = scene
            .liar
            .commit(|builder| builder.set_group_context_ext(saying(data.clone())).unwrap());
        assert_eq!(scene.refuse(&commit), forbidden("change a pair"));
        scene.town.reload(&mut scene.bob);
    }
    // And no group becomes one.
    let roles = [(account(LIAR), 3)];
    let (mut scene, joined) = begin(506, liar::data("a group", &roles), &[]);
    scene.bob.group = Some(joined.unwrap());
    let commit = scene.liar.commit(|builder| {
        builder
            .set_group_context_ext(saying(pair(BOB, LIAR)))
            .unwrap()
    });
    assert_eq!(scene.refuse(&commit), forbidden("change a pair"));
}

#[test]
fn nobody_removes_the_other_of_a_pair() {
    let mut scene = scene(507);
    let leaf = scene.bob.leaf_of(&scene.bob.us.name.clone());
    let mut third = scene.town.device(BOB);
    let package = scene.town.package(&mut third);
    scene.town.reload(&mut scene.bob);
    let wishes = Wishes {
        add: vec![package],
        ..Wishes::default()
    };
    let commit = scene.bob.commit(wishes).unwrap();
    scene.liar.hears(&commit.message);
    scene.bob.group = Some(commit.next);
    let name = third.us.name;
    let tablet = scene.bob.leaf_of(&name);
    assert_ne!(leaf, tablet);
    let commit = scene
        .liar
        .commit(|builder| builder.remove_member(tablet).unwrap());
    let why = GroupError::RemovedInForce {
        by: account(LIAR),
        account: name.account,
        device: name.device,
    };
    assert_eq!(scene.refuse(&commit), why);
}

#[test]
fn data_of_a_pair_name_two_accounts_in_order() {
    for (seed, data) in (508..).zip([
        pair(LIAR, BOB),
        pair(BOB, BOB),
        [pair(BOB, LIAR), vec![0]].concat(),
        pair(BOB, LIAR)[..64].to_vec(),
    ]) {
        let (_, joined) = begin(seed, data, &[]);
        assert!(matches!(joined, Err(GroupError::NotGenuine { .. })));
    }
}
