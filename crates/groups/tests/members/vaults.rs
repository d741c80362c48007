//! Vaults: owners alone say who is in one, and it stays one (docs/spec/vault.md, section 1).

use crate::liar::{self, Habits, Liar};
use crate::lies::{Scene, scene_in};
use crate::support::{Person, Town};
use keys::AccountId;
use letterlock_groups::{Change, GroupError, Received, Role, Wishes};
use mls_rs::MlsMessage;
use mls_rs::client_builder::MlsConfig;

const ANN: u8 = 1;
const BOB: u8 = 2;
const LIAR: u8 = 3;
const CEM: u8 = 4;
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

/// Ann lets Cem in, and the liar hears of it.
fn with_cem<C: MlsConfig>(scene: &mut Scene, liar: &mut Liar<C>) -> Person {
    let (cem, package) = scene.newcomer(CEM);
    let made = scene.ann_does(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    liar.hears(&made);
    cem
}

fn adds<C: MlsConfig>(liar: &mut Liar<C>, package: &[u8]) -> Vec<u8> {
    liar.commit(|commit| commit.add_member(message(package)).unwrap())
}

/// Puts out what is not in force any more, by anybody.
fn put_out<C: MlsConfig>(scene: &mut Scene, liar: &mut Liar<C>, gone: &Person) {
    scene.town.revoke(&gone.us.name);
    scene.reload();
    let leaf = scene.ann.leaf_of(&gone.us.name);
    let (out, ..) = liar.lead(|commit| commit.remove_member(leaf).unwrap());
    assert_eq!(scene.take(&out), [Change::Removed(gone.us.name)]);
}

#[test]
fn who_has_a_device_in_a_vault_is_let_in_by_nobody() {
    let (mut scene, mut liar) = scene(612, Role::Member);
    let cem = with_cem(&mut scene, &mut liar);
    let (tablet, package) = scene.newcomer(CEM);
    let add = adds(&mut liar, &package);
    assert_eq!(scene.refuse(&add), forbidden("add somebody"));
    // Cem's first device is lost: nobody comes in who was not there.
    scene.town.revoke(&cem.us.name);
    scene.reload();
    let leaf = scene.ann.leaf_of(&cem.us.name);
    let back = liar.commit(|commit| {
        let commit = commit.remove_member(leaf).unwrap();
        commit.add_member(message(&package)).unwrap()
    });
    let changes = scene.take(&back);
    assert_eq!(
        changes,
        [Change::Removed(cem.us.name), Change::Added(tablet.us.name)]
    );
    assert_eq!(
        scene.ann.group().data().unwrap().role(&account(CEM)),
        Role::Member
    );
}

/// Who is old enough to tell whether somebody lost all devices is asked first.
#[test]
fn a_log_says_who_comes_back_into_a_vault() {
    let (mut scene, mut liar) = scene(613, Role::Member);
    let cem = with_cem(&mut scene, &mut liar);
    let (_, package) = scene.newcomer(CEM);
    scene.town.revoke(&cem.us.name);
    let add = adds(&mut liar, &package);
    for known in [None, Some(false)] {
        let directory = scene.town.directory_with(|one| match *one == account(CEM) {
            true => known,
            false => Some(true),
        });
        scene.reload_with(directory);
        let needed = GroupError::LogsNeeded(vec![account(CEM)]);
        assert_eq!(scene.refuse(&add), needed);
    }
    scene.reload();
    scene.take(&add);
}

#[test]
fn nobody_comes_back_into_a_vault_who_is_none_of_it() {
    let (mut scene, mut liar) = scene(614, Role::Admin);
    let cem = with_cem(&mut scene, &mut liar);
    put_out(&mut scene, &mut liar, &cem);
    // Cem read, so nothing says that Cem is somebody of the vault: an owner lets Cem in again.
    let (tablet, package) = scene.newcomer(CEM);
    let add = adds(&mut liar, &package);
    assert_eq!(scene.refuse(&add), forbidden("add somebody"));
    let made = scene.ann_does(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    liar.hears(&made);
    // An owner also brings in what is missing of somebody who is there.
    let (_, package) = scene.newcomer(CEM);
    scene.ann_does(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    assert!(scene.bob.leaf_of(&tablet.us.name) > 0);
}

/// What it had a role for is gone with the device: it comes back with it by anybody's hand, and the lost device does not.
#[test]
fn a_lost_device_comes_back_into_no_vault() {
    let (mut scene, mut liar) = scene(615, Role::Member);
    let mut cem = with_cem(&mut scene, &mut liar);
    let mut data = scene.ann.group().data().unwrap();
    data.roles.insert(account(CEM), Role::Owner);
    let made = scene.changes(data);
    liar.hears(&made);
    put_out(&mut scene, &mut liar, &cem);
    let again = scene.town.package(&mut cem);
    let add = adds(&mut liar, &again);
    assert_eq!(scene.refuse(&add), forbidden("add somebody"));
    let (tablet, package) = scene.newcomer(CEM);
    let add = adds(&mut liar, &package);
    assert_eq!(scene.take(&add), [Change::Added(tablet.us.name)]);
    let role = scene.bob.group().data().unwrap().role(&account(CEM));
    assert_eq!(role, Role::Owner);
}

/// Else an accomplice would let it back in.
#[test]
fn nobody_leaves_a_vault_with_a_role() {
    let (mut scene, mut liar) = scene(616, Role::Admin);
    let mut accomplice = liar::liar(&mut scene.town, CEM, &Habits::default());
    scene.reload();
    let added = scene.ann.commit(Wishes {
        add: vec![accomplice.package()],
        ..Wishes::default()
    });
    let added = added.unwrap();
    scene.bob.receive(&added.message).unwrap();
    liar.hears(&added.message);
    accomplice.joins(&added);
    scene.ann.group = Some(added.next);
    let leaf = liar.group().current_member_index();
    let wish = liar.group().propose_remove(leaf, Vec::new()).unwrap();
    liar.group().clear_proposal_cache();
    let wish = wish.to_bytes().unwrap();
    for person in [&mut scene.ann, &mut scene.bob] {
        let heard = person.receive(&wish);
        assert!(matches!(heard, Ok(Received::Proposal { .. })));
    }
    accomplice.hears(&wish);
    let taken_up = accomplice.commit(|commit| commit);
    for person in [&mut scene.ann, &mut scene.bob] {
        let why = person.receive(&taken_up).err();
        assert_eq!(why, Some(forbidden("leave with a role")));
    }
    // The owner's client leaves it out, and so does that of anybody else who is honest.
    let commit = scene.ann.commit(Wishes::default()).unwrap();
    assert_eq!(commit.changes, []);
    scene.bob.receive(&commit.message).unwrap();
    scene.ann.group = Some(commit.next);
    liar.hears(&commit.message);
    // Who gives the role up first may go.
    let (gives_up, ..) = {
        let data = data("night shift", &[(ANN, 3)]);
        liar.lead(|commit| commit.set_group_context_ext(liar::saying(data)).unwrap())
    };
    assert!(matches!(scene.take(&gives_up)[..], [Change::Data(_)]));
    let wish = liar.group().propose_remove(leaf, Vec::new()).unwrap();
    let wish = wish.to_bytes().unwrap();
    for person in [&mut scene.ann, &mut scene.bob] {
        person.receive(&wish).unwrap();
    }
    let commit = scene.ann.commit(Wishes::default()).unwrap();
    assert_eq!(commit.changes, [Change::Removed(liar.us.name)]);
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
