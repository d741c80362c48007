//! Vaults, and anything in any order: people come and go, devices are linked and lost, and whoever may write writes. What
//! is written is under a key that exactly those have who are in the vault then.
//!
//! `LETTERLOCK_SEED`, `LETTERLOCK_SEEDS`, `LETTERLOCK_STEPS` and `LETTERLOCK_PEOPLE` set where the seeds begin, how many
//! worlds there are, how much happens in one, and to how many.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a run that does not hold ends its test"
)]

use engine::records::{GroupRecord, GroupStanding};
use engine::{CommandOutcome, Engine, EngineError, Input, Role, VaultError};
use keys::account_log::Reason;
use keys::vault_root::{RootBody, VaultRoot};
use keys::{AccountId, DeviceId, GroupId};
use letterlock_testkit::{Chance, World};
use std::collections::{BTreeMap, BTreeSet};

fn number(name: &str, usual: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(usual)
}

type Key = Vec<u8>;

/// A version, as whoever wants to open it needs it.
struct Written {
    /// When, in seconds of the world's life.
    at: u64,
    by: String,
    key: Key,
    /// The homes that were in the vault then, as its author knew.
    entitled: BTreeSet<String>,
}

struct Life {
    world: World,
    chance: Chance,
    /// The homes of each person, those that were lost too; the first person owns the vault and knows all others.
    homes: Vec<Vec<String>>,
    lost: BTreeSet<String>,
    devices: BTreeMap<DeviceId, String>,
    vault: GroupId,
    roots: Vec<VaultRoot>,
    written: Vec<Written>,
    /// Every key that a home ever had, as whoever copies its disk again and again has them.
    hoards: BTreeMap<String, BTreeSet<Key>>,
    /// When a home was in the vault last.
    last_in: BTreeMap<String, u64>,
    seconds: u64,
    count: u32,
}

impl Life {
    fn new(seed: u64, people: usize) -> Self {
        let mut world = World::new(seed);
        world.stop_listening();
        let mut homes = Vec::new();
        for person in 0..people {
            let name = format!("p{person}");
            world.join(&name);
            if person > 0 {
                world.befriend("p0", &name);
            }
            homes.push(vec![name]);
        }
        let vault = world.create_vault("p0", "plans");
        let mut life = Self {
            world,
            chance: Chance::new(!seed),
            homes,
            lost: BTreeSet::new(),
            devices: BTreeMap::new(),
            vault,
            roots: Vec::new(),
            written: Vec::new(),
            hoards: BTreeMap::new(),
            last_in: BTreeMap::new(),
            seconds: 0,
            count: 0,
        };
        for home in life.all_homes() {
            life.devices.insert(life.world.device(&home), home);
        }
        life.look();
        life
    }

    fn some(&mut self, many: usize) -> usize {
        let last = many.saturating_sub(1) as u64;
        usize::try_from(self.chance.within(&(0..=last))).unwrap()
    }

    fn all_homes(&self) -> Vec<String> {
        self.homes.iter().flatten().cloned().collect()
    }

    fn group(&self, home: &str) -> Option<GroupRecord> {
        let group = Engine.vault_group(&self.world.person(home).store, &self.vault);
        let group = group.unwrap();
        group.filter(|record| record.standing == GroupStanding::In)
    }

    /// Whether somebody could do something with a home.
    fn acts(&self, home: &str) -> bool {
        !self.lost.contains(home) && self.world.runs(home) && self.world.is_online(home)
    }

    /// The homes that a home knows in the vault.
    fn inside(&self, home: &str) -> BTreeSet<String> {
        let store = &self.world.person(home).store;
        let leaves = Engine.group_leaves(store, &self.vault).unwrap();
        let name = |leaf: engine::LeafName| self.devices[&leaf.device].clone();
        leaves.into_iter().map(name).collect()
    }

    /// Notes what every disk holds now, and who is in by what was decided last.
    fn look(&mut self) {
        let mut newest: Option<(u64, String)> = None;
        for home in self.all_homes() {
            let keys = self.world.vault_keys(&home, self.vault);
            self.hoards.entry(home.clone()).or_default().extend(keys);
            if let Some(record) = self.group(&home) {
                newest = newest.max(Some((record.epoch, home)));
            }
        }
        let (_, newest) = newest.unwrap();
        for home in self.inside(&newest) {
            self.last_in.insert(home, self.seconds);
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.world.run(1);
            self.seconds += 1;
            self.look();
        }
    }

    fn step(&mut self) {
        match self.some(100) {
            0..=39 => self.put(),
            40..=54 => {
                let seconds = 1 + self.some(20) as u64;
                self.run(seconds);
            }
            55..=66 => self.share(),
            67..=74 => self.unshare(),
            75..=78 => self.rename(),
            79..=83 => self.link(),
            84..=88 => self.lose(),
            89..=93 => self.come_and_go(),
            _ => {
                let days = 1 + self.some(4) as u64;
                self.world.sleep(days * 24 * 3600);
                self.seconds += days * 24 * 3600;
                self.run(2);
            }
        }
    }

    /// A home whose owner may do what is to be done, if there is one.
    fn one(&mut self, role: Role) -> Option<String> {
        let homes = self.all_homes().into_iter();
        let mut able: Vec<String> = homes
            .filter(|home| {
                let account = self.world.person(home).account();
                let role_of = |record: GroupRecord| account.map(|own| record.data.role(&own));
                let has = self.group(home).and_then(role_of);
                self.acts(home) && has >= Some(role)
            })
            .collect();
        match able.len() {
            0 => None,
            many => Some(able.swap_remove(self.some(many))),
        }
    }

    fn account(&self, person: usize) -> AccountId {
        self.world.account(&format!("p{person}"))
    }

    fn share(&mut self) {
        let person = 1 + self.some(self.homes.len() - 1);
        let role = [
            None,
            Some(Role::Member),
            Some(Role::Admin),
            Some(Role::Owner),
        ][self.some(4)];
        let (vault, accounts) = (self.vault, vec![self.account(person)]);
        // The first person alone knows all others.
        let owner = self.one(Role::Owner);
        if let Some(owner) = owner.filter(|home| self.homes[0].contains(home)) {
            let begun = self.world.try_command(&owner, |command| Input::ShareVault {
                command,
                vault,
                accounts,
                role,
            });
            drop(begun);
            self.run(3);
        }
    }

    fn unshare(&mut self) {
        let person = 1 + self.some(self.homes.len() - 1);
        let (vault, accounts) = (self.vault, vec![self.account(person)]);
        if let Some(owner) = self.one(Role::Owner) {
            let begun = self
                .world
                .try_command(&owner, |command| Input::UnshareVault {
                    command,
                    vault,
                    accounts,
                });
            drop(begun);
            let seconds = self.some(4) as u64;
            self.run(seconds);
        }
    }

    fn rename(&mut self) {
        self.count += 1;
        let (vault, name) = (self.vault, format!("plans {}", self.count));
        if let Some(owner) = self.one(Role::Owner) {
            let begun = self
                .world
                .try_command(&owner, |command| Input::RenameVault {
                    command,
                    vault,
                    name,
                });
            drop(begun);
        }
    }

    fn link(&mut self) {
        let person = self.some(self.homes.len());
        let old = self.homes[person][0].clone();
        let here = |home: &&String| !self.lost.contains(*home);
        if self.homes[person].iter().filter(here).count() > 1 || !self.acts(&old) {
            return;
        }
        self.count += 1;
        let new = format!("{old} d{}", self.count);
        let device = self.world.link(&old, &new);
        self.devices.insert(device, new.clone());
        self.homes[person].push(new);
        self.run(2);
    }

    /// A device other than the first one of somebody is lost, with all that is on it.
    fn lose(&mut self) {
        let person = self.some(self.homes.len());
        let by = self.homes[person][0].clone();
        let mut others = self.homes[person].iter().skip(1);
        let Some(gone) = others.find(|home| !self.lost.contains(*home)).cloned() else {
            return;
        };
        if !self.acts(&by) {
            return;
        }
        let device = self.world.device(&gone);
        let revoked = self.world.revoke(&by, device, Reason::Lost);
        if matches!(revoked, CommandOutcome::Done) {
            self.lost.insert(gone);
        }
    }

    /// A program ends or begins, or a network does; the first one's stays.
    fn come_and_go(&mut self) {
        let person = 1 + self.some(self.homes.len() - 1);
        let device = self.some(self.homes[person].len());
        let home = self.homes[person][device].clone();
        match self.some(4) {
            0 => self.world.stop(&home),
            1 => self.world.set_online(&home, false),
            _ => {
                self.world.start(&home);
                self.world.set_online(&home, true);
            }
        }
    }

    /// Somebody writes a version, if the engine lets it.
    fn put(&mut self) {
        let Some(author) = self.one(Role::Admin) else {
            return;
        };
        let put = self.try_to_put(&author);
        self.run(1);
        match put {
            // Somebody went out, this home too, or its role changed, or it was told of more than it knows.
            Ok(()) => {}
            Err(EngineError::Vault(
                VaultError::NewKey
                | VaultError::NoKey
                | VaultError::Role
                | VaultError::Conflict
                | VaultError::Withheld
                | VaultError::NotIn
                | VaultError::Unknown
                | VaultError::MayNotWrite
                | VaultError::NotFollowing
                | VaultError::RolledBack,
            )) => {}
            Err(error) => panic!("{author}: {error}"),
        }
    }

    fn try_to_put(&mut self, author: &str) -> Result<(), EngineError> {
        let vault = self.vault;
        if let Some(newest) = self.roots.last() {
            let record = self.world.vault(author, vault).ok_or(VaultError::Unknown)?;
            let pin = record.pin.map_or(0, |pin| pin.counter);
            let generation = newest.body.generation;
            let unseen = self.roots.iter().rev();
            let unseen = unseen.take_while(|root| root.body.counter > pin);
            let mut chain: Vec<VaultRoot> = unseen.cloned().collect();
            if chain.is_empty() {
                chain.push(newest.clone());
            }
            let chain: Vec<&VaultRoot> = chain.iter().collect();
            self.world.check_roots(author, vault, generation, &chain)?;
        }
        let record = self.world.vault(author, vault).ok_or(VaultError::Unknown)?;
        let generation = record.generation();
        let last = self.roots.last().cloned();
        let ends = |last: &VaultRoot| last.body.generation < generation && !last.body.closed;
        if let Some(last) = last.filter(ends) {
            let mut body = self.world.next_root(author, vault, Some(&last), 0);
            (body.closed, body.directory) = (true, last.body.directory);
            self.publish(author, body)?;
        }
        self.count += 1;
        let before = self.roots.last().cloned();
        let mut body = self.world.next_root(author, vault, before.as_ref(), 7);
        body.generation = generation;
        let key = self.world.vault_keys(author, vault).pop();
        let entitled = self.inside(author);
        let (at, by) = (self.seconds, author.to_owned());
        let root = self.world.sign_root(author, body)?;
        // From here on it may be in the hands of whoever has the key.
        let key = key.unwrap();
        for (home, hoard) in &self.hoards {
            let may = entitled.contains(home) && !self.is_lost_to(author, home);
            assert!(
                may || !hoard.contains(&key),
                "{home} has what {author} writes under, {generation}, at {at}"
            );
        }
        self.written.push(Written {
            at,
            by,
            key,
            entitled,
        });
        self.publish_signed(author, root)
    }

    /// Whether a home knows that another one's device is revoked.
    fn is_lost_to(&self, home: &str, other: &str) -> bool {
        let (account, device) = (self.world.account(other), self.world.device(other));
        let own = self.world.account(home) == account;
        let own = own.then(|| self.world.own_log(home));
        own.is_some_and(|log| log.device(&device).is_none())
    }

    fn publish(&mut self, author: &str, body: RootBody) -> Result<(), EngineError> {
        let root = self.world.sign_root(author, body)?;
        self.publish_signed(author, root)
    }

    fn publish_signed(&mut self, author: &str, root: VaultRoot) -> Result<(), EngineError> {
        let head = self
            .world
            .fetch_head(author, self.vault, root.body.generation);
        let known = head.map_or(0, |(version, _)| version);
        self.world.publish_root(author, &root, known)?;
        self.roots.push(root);
        Ok(())
    }

    /// Everybody is there, and all that was asked for comes to its end.
    fn rest(&mut self) {
        for home in self.all_homes() {
            if !self.lost.contains(&home) {
                self.world.start(&home);
                self.world.set_online(&home, true);
            }
        }
        self.run(240);
        self.put();
        self.run(60);
    }

    fn check(&self) {
        let keys = self.world.vault_keys("p0", self.vault);
        let inside = self.inside("p0");
        for home in &inside {
            assert!(!self.lost.contains(home), "{home} is lost, and in");
            assert_eq!(self.world.vault_keys(home, self.vault), keys, "{home}");
        }
        for Written {
            at,
            by,
            key,
            entitled,
        } in &self.written
        {
            assert!(keys.contains(key), "{by} wrote under a key of its own");
            for home in self.all_homes() {
                let later = self.last_in.get(&home).is_some_and(|last| last >= at);
                let has = self.hoards[&home].contains(key);
                if !later && !entitled.contains(&home) {
                    let store = &self.world.person(&home).store;
                    let mut rows = store.rows();
                    let holds = rows.any(|(_, row)| row.windows(32).any(|bytes| bytes == key));
                    assert!(!has && !holds, "{home} opens what {by} wrote at {at}");
                }
                if entitled.contains(&home) && inside.contains(&home) {
                    assert!(has, "{home} cannot open what {by} wrote at {at}");
                }
            }
        }
    }
}

#[test]
fn whatever_happens_exactly_those_in_a_vault_open_what_is_written() {
    let first = number("LETTERLOCK_SEED", 1);
    let (people, steps) = (
        number("LETTERLOCK_PEOPLE", 4),
        number("LETTERLOCK_STEPS", 70),
    );
    let (mut versions, mut generations) = (0, 0);
    for seed in (first..).take(number("LETTERLOCK_SEEDS", 4)) {
        println!("LETTERLOCK_SEED={seed} LETTERLOCK_SEEDS=1 LETTERLOCK_PEOPLE={people}");
        let mut life = Life::new(seed as u64, people);
        for _ in 0..steps {
            life.step();
        }
        life.rest();
        life.check();
        versions += life.written.len();
        generations += life.world.vault_keys("p0", life.vault).len();
    }
    println!("{versions} versions under {generations} keys");
    assert!(versions > 0, "nobody wrote anything");
}
