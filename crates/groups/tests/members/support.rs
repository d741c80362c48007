//! People with devices, and what they know of each other.

use groups::{
    Commit, Directory, Group, GroupData, GroupError, Inbox, KeyPackage, KnownDevice, LeafName,
    OurDevice, Received, Role, Wishes,
};
use keys::{AccountId, DeviceId, GroupId, LeafKey, QueueId, Secret, SigningKey, Suite, Timestamp};
use letterlock_groups as groups;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeMap;

/// 2026-01-01.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Everybody's devices, as their logs would name them.
pub(crate) struct Town {
    pub(crate) rng: ChaCha20Rng,
    /// Whether the groups that are made here are those of vaults.
    pub(crate) vaults: bool,
    /// What devices speak here where nothing else is said.
    pub(crate) suite: Suite,
    logs: BTreeMap<AccountId, Vec<KnownDevice>>,
}

/// A device and the group as it sees it.
pub(crate) struct Person {
    pub(crate) us: OurDevice,
    pub(crate) group: Option<Group>,
    package: Option<KeyPackage>,
}

impl Town {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            vaults: false,
            suite: Suite::Hybrid,
            logs: BTreeMap::new(),
        }
    }

    /// A device of the account with this number.
    pub(crate) fn device(&mut self, account: u8) -> Person {
        self.device_of(account, self.suite)
    }

    pub(crate) fn device_of(&mut self, account: u8, suite: Suite) -> Person {
        self.device_in(account, suite, suite)
    }

    /// A device of an account of one suite, for groups of another.
    pub(crate) fn device_in(&mut self, account: u8, suite: Suite, group: Suite) -> Person {
        let key = SigningKey::generate(suite, &mut self.rng).unwrap();
        self.device_with(account, &key, group)
    }

    /// A device with this key.
    pub(crate) fn device_with(&mut self, account: u8, key: &SigningKey, group: Suite) -> Person {
        let account = AccountId::from_bytes([account; 32]);
        let device = DeviceId::random(&mut self.rng);
        let leaf_key = key.verifying_key().leaf_key().to_vec();
        let us = OurDevice {
            suite: group,
            name: LeafName { account, device },
            leaf: LeafKey::of(key, group).unwrap(),
            inbox: Inbox {
                queue: QueueId::random(&mut self.rng),
                token: Secret::random(&mut self.rng),
            },
        };
        let known = KnownDevice {
            device,
            leaf_keys: vec![leaf_key],
            in_force: true,
        };
        self.logs.entry(account).or_default().push(known);
        Person {
            us,
            group: None,
            package: None,
        }
    }

    /// A device has other keys, of this suite; its log names both.
    pub(crate) fn renew(&mut self, person: &mut Person, suite: Suite) {
        let key = SigningKey::generate(suite, &mut self.rng).unwrap();
        let LeafName { account, device } = person.us.name;
        for known in self.logs.get_mut(&account).unwrap() {
            if known.device == device {
                known
                    .leaf_keys
                    .push(key.verifying_key().leaf_key().to_vec());
            }
        }
        person.us.leaf = LeafKey::of(&key, person.us.suite).unwrap();
    }

    /// A log does not name a device, and never did.
    #[cfg(feature = "replay")]
    pub(crate) fn disown(&mut self, name: &LeafName) {
        let log = self.logs.get_mut(&name.account).unwrap();
        log.retain(|known| known.device != name.device);
    }

    /// A device is revoked.
    #[cfg(feature = "replay")]
    pub(crate) fn revoke(&mut self, name: &LeafName) {
        for known in self.logs.get_mut(&name.account).unwrap() {
            if known.device == name.device {
                known.in_force = false;
            }
        }
    }

    pub(crate) fn directory(&self) -> Directory {
        self.directory_with(|_| Some(true))
    }

    /// The logs that are here: nothing says that one is not, false that it is old.
    pub(crate) fn directory_with(&self, fresh: impl Fn(&AccountId) -> Option<bool>) -> Directory {
        let mut directory = Directory::new();
        for (account, devices) in &self.logs {
            if let Some(fresh) = fresh(account) {
                directory.insert(*account, devices.clone(), fresh);
            }
        }
        directory
    }

    pub(crate) fn create(&mut self, person: &mut Person) {
        let data = GroupData {
            name: "night shift".to_owned(),
            roles: BTreeMap::from([(person.us.name.account, Role::Owner)]),
            vault: self.vaults,
            ..GroupData::default()
        };
        let id = GroupId::random(&mut self.rng);
        let directory = self.directory();
        let group = Group::create(&person.us, directory, &id, &data, NOW, &mut self.rng);
        person.group = Some(group.unwrap());
    }

    pub(crate) fn package(&mut self, person: &mut Person) -> Vec<u8> {
        let package = groups::key_package(&person.us, NOW, &mut self.rng).unwrap();
        let public = package.public.clone();
        person.package = Some(package);
        public
    }

    /// The group, as it would be after a restart, with everybody's logs known.
    pub(crate) fn reload(&mut self, person: &mut Person) {
        let directory = self.directory();
        self.reload_with(person, directory);
    }

    pub(crate) fn reload_with(&mut self, person: &mut Person, directory: Directory) {
        person.group = Some(self.loaded(person, directory));
    }

    /// The group as it is taken up from what is stored of it now.
    pub(crate) fn loaded(&mut self, person: &mut Person, directory: Directory) -> Group {
        let group = person.group.as_mut().unwrap();
        let stored = group.store().unwrap();
        let id = group.id().unwrap();
        Group::load(&person.us, directory, &id, &stored, &mut self.rng).unwrap()
    }

    pub(crate) fn join(&mut self, person: &mut Person, commit: &Commit) -> Result<(), GroupError> {
        let package = person.package.as_ref().unwrap();
        let welcome = commit
            .welcomes
            .iter()
            .find(|welcome| welcome.package == package.id)
            .ok_or(GroupError::NoKeyPackage)?;
        let tree = commit.next.tree().unwrap();
        let group = Group::join(
            &person.us,
            self.directory(),
            (&welcome.message, &tree),
            (&package.id, &package.secret),
            &mut self.rng,
        )?;
        person.group = Some(group);
        Ok(())
    }

    /// What becomes of invitations: the one that answers the package of a device.
    #[cfg(feature = "replay")]
    pub(crate) fn joined(
        &mut self,
        person: &Person,
        welcomes: &[Vec<u8>],
        tree: &[u8],
    ) -> Result<Group, GroupError> {
        let package = person.package.as_ref().unwrap();
        let answers = |welcome: &&Vec<u8>| {
            let packages = groups::packages_of(welcome).unwrap();
            packages.contains(&package.id)
        };
        let welcome = welcomes.iter().find(answers).unwrap_or(&welcomes[0]);
        let directory = self.directory();
        Group::join(
            &person.us,
            directory,
            (welcome, tree),
            (&package.id, &package.secret),
            &mut self.rng,
        )
    }

    /// The first of them adds the others, and everybody is in.
    pub(crate) fn gather(&mut self, people: &mut [&mut Person]) {
        let (first, others) = people.split_first_mut().unwrap();
        self.create(first);
        self.reload(first);
        let add = others.iter_mut().map(|other| self.package(other)).collect();
        let commit = first.commit(Wishes {
            add,
            ..Wishes::default()
        });
        let commit = commit.unwrap();
        for other in others {
            self.join(other, &commit).unwrap();
        }
        first.group = Some(commit.next);
    }
}

impl Person {
    /// The key package that it was added with.
    pub(crate) fn package(&self) -> &KeyPackage {
        self.package.as_ref().unwrap()
    }

    pub(crate) fn group(&mut self) -> &mut Group {
        self.group.as_mut().unwrap()
    }

    pub(crate) fn leaf_of(&mut self, name: &LeafName) -> u32 {
        let members = self.group().members().unwrap();
        members
            .iter()
            .find(|member| member.name == *name)
            .unwrap()
            .leaf
    }

    pub(crate) fn commit(&mut self, wishes: Wishes) -> Result<Commit, GroupError> {
        let group = self.group.as_ref().unwrap();
        group.commit(&self.us, wishes, NOW)
    }

    pub(crate) fn receive(&mut self, message: &[u8]) -> Result<Received, GroupError> {
        self.group().receive(message, NOW)
    }

    /// Writes to everybody.
    pub(crate) fn write(&mut self, text: &[u8]) -> Vec<u8> {
        self.group().seal(text).unwrap()
    }

    pub(crate) fn reads(&mut self, message: &[u8], from: &LeafName, text: &[u8]) {
        match self.receive(message).unwrap() {
            Received::Letter {
                from: sender,
                content,
            } => {
                assert_eq!(sender, *from);
                assert_eq!(*content, text);
            }
            _ => unreachable!("no letter"),
        }
    }
}
