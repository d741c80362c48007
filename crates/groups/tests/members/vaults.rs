//! Vaults: owners alone say who is in one, and it stays one (docs/spec/vault.md, section 1).

use crate::liar::{self, Habits, Liar};
use crate::lies::{Scene, scene_in};
use crate::support::Town;
use keys::AccountId;
use letterlock_groups::{Change, GroupError, Role, Wishes};
use mls_rs::MlsMessage;
use mls_rs::client_builder::MlsConfig;

const ANN: u8 = 1;
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

fn message(bytes: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(bytes).unwrap()
}

/// Ann owns a vault that Bob reads, and somebody whose client lies.
fn scene(seed: u64, role: Role) -> (Scene, Liar<impl MlsConfig + use<>>) {
    let mut town = Town::new(seed);
    town.vaults = true;
    let (mut scene, liar) = scene_in(town, role, &Habits::default());
    assert!(scene.ann.group().data().unwrap().vault);
    (scene, liar)
}

/// Data of a vault.
fn data(name: &str, roles: &[(u8, u8)]) -> Vec<u8> {
    let roles: Vec<_> = roles
        .iter()
        .map(|(who, role)| (account(*who), *role))
        .collect();
    let group = liar::data(name, &roles);
    let (head, rest) = group[1..].split_at(name.len().strict_add(4));
    [&[3], head, &rest[12..]].concat()
}

fn says<C: MlsConfig>(liar: &mut Liar<C>, data: Vec<u8>) -> Vec<u8> {
    liar.commit(|commit| {
        commit
            .set_group_context_ext(liar::saying(data.clone()))
            .unwrap()
    })
}

#[test]
fn a_writer_cannot_share_a_vault() {
    for (seed, role) in [(601, Role::Member), (602, Role::Admin)] {
        let (mut scene, mut liar) = scene(seed, role);
        for number in [STRANGER, BOB] {
            let (_, package) = scene.newcomer(number);
            let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
            assert_eq!(scene.refuse(&add), forbidden("add somebody"));
        }
        let (own, package) = scene.newcomer(LIAR);
        let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
        assert_eq!(scene.take(&add), [Change::Added(own.us.name)]);
    }
    let (mut scene, mut liar) = scene(603, Role::Owner);
    let (stranger, package) = scene.newcomer(STRANGER);
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(scene.take(&add), [Change::Added(stranger.us.name)]);
}

#[test]
fn a_writer_cannot_unshare_a_vault() {
    let (mut scene, mut liar) = scene(604, Role::Admin);
    for name in [scene.ann.us.name, scene.bob.us.name] {
        let leaf = scene.bob.leaf_of(&name);
        let remove = liar.commit(|commit| commit.remove_member(leaf).unwrap());
        let why = GroupError::RemovedInForce {
            by: account(LIAR),
            account: name.account,
            device: name.device,
        };
        assert_eq!(scene.refuse(&remove), why);
    }
}

#[test]
fn anybody_removes_from_a_vault_what_is_not_in_force() {
    let (mut scene, mut liar) = scene(605, Role::Member);
    let (tablet, package) = scene.newcomer(ANN);
    let made = scene.ann_does(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    liar.hears(&made);
    scene.town.revoke(&tablet.us.name);
    scene.reload();
    let leaf = scene.ann.leaf_of(&tablet.us.name);
    let remove = liar.commit(|commit| commit.remove_member(leaf).unwrap());
    assert_eq!(scene.take(&remove), [Change::Removed(tablet.us.name)]);
}

#[test]
fn a_writer_cannot_rename_a_vault() {
    for (seed, role) in [(606, 1), (607, 2)] {
        let of = [Role::Member, Role::Admin][role - 1];
        let (mut scene, mut liar) = scene(seed, of);
        let mut roles = vec![(ANN, 3)];
        if of == Role::Admin {
            roles.push((LIAR, 2));
        }
        let rename = says(&mut liar, data("mine", &roles));
        let why = forbidden("change the group's data");
        assert_eq!(scene.refuse(&rename), why);
    }
}

#[test]
fn a_role_in_a_vault_is_the_owners_to_give() {
    let (mut scene, mut liar) = scene(608, Role::Admin);
    for roles in [
        vec![(ANN, 3), (LIAR, 3)],
        vec![(LIAR, 2)],
        vec![(ANN, 3), (BOB, 2), (LIAR, 2)],
    ] {
        let grant = says(&mut liar, data("night shift", &roles));
        assert_eq!(scene.refuse(&grant), forbidden("give a role"));
    }
}

#[test]
fn a_vault_stays_a_vault() {
    let (mut scene, mut liar) = scene(609, Role::Owner);
    let roles = [(account(ANN), 3), (account(LIAR), 3)];
    let group = says(&mut liar, liar::data("night shift", &roles));
    let why = forbidden("make another thing of a vault or group");
    assert_eq!(scene.refuse(&group), why);
    let pair = [&[2], &account(ANN).as_bytes()[..], account(LIAR).as_bytes()].concat();
    let pair = says(&mut liar, pair);
    assert_eq!(scene.refuse(&pair), forbidden("change a pair"));
    // And no group becomes one.
    let (mut scene, mut liar) = scene_in(Town::new(610), Role::Owner, &Habits::default());
    let vault = says(&mut liar, data("night shift", &[(ANN, 3), (LIAR, 3)]));
    assert_eq!(scene.refuse(&vault), why);
}

#[test]
fn data_of_a_vault_that_do_not_parse_are_refused() {
    let (mut scene, mut liar) = scene(611, Role::Owner);
    let good = data("night shift", &[(ANN, 3), (LIAR, 3)]);
    let mut picture = liar::data("night shift", &[(account(ANN), 3)]);
    picture[0] = 3;
    for bytes in [
        picture,
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        data("plain", &[(ANN, 1)]),
        data("twice", &[(ANN, 3), (ANN, 3)]),
        data(&"n".repeat(257), &[(ANN, 3)]),
    ] {
        let change = says(&mut liar, bytes);
        let why = GroupError::NotGenuine {
            what: "the data of the group do not parse".to_owned(),
        };
        assert_eq!(scene.refuse(&change), why);
    }
    let rename = says(&mut liar, data("day shift", &[(ANN, 3), (LIAR, 3)]));
    let [Change::Data(new)] = &scene.take(&rename)[..] else {
        panic!("no new data");
    };
    assert_eq!((new.name.as_str(), new.vault), ("day shift", true));
}
