//! Lies of members, and of those who would like to be: each is refused with its own error, and the group goes on.

use crate::liar::{self, Habits, Liar};
use crate::support::{NOW, Person, Town};
use keys::{AccountId, GroupId, SigningKey, Suite, label};
use letterlock_groups::{
    Change, Directory, Group, GroupData, GroupError, LeafName, Received, Role, Wishes,
    key_package_of,
};
use mls_rs::client_builder::MlsConfig;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::BasicCredential;
use mls_rs::{Extension, ExtensionList, MlsMessage, ProtocolVersion};
use mls_rs_core::crypto::{SignaturePublicKey, SignatureSecretKey};
use mls_rs_core::extension::ExtensionType;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const ANN: u8 = 1;
const BOB: u8 = 2;
const LIAR: u8 = 3;
const ACCOMPLICE: u8 = 4;
const STRANGER: u8 = 9;

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 32])
}

fn forbidden(by: u8, what: &'static str) -> GroupError {
    GroupError::RoleForbids {
        account: account(by),
        what,
    }
}

fn removed(by: u8, name: LeafName) -> GroupError {
    GroupError::RemovedInForce {
        by: account(by),
        account: name.account,
        device: name.device,
    }
}

fn not_genuine(what: &str) -> GroupError {
    GroupError::NotGenuine {
        what: what.to_owned(),
    }
}

/// Ann owns a group in which Bob is, and somebody whose client lies.
pub(crate) struct Scene {
    pub(crate) town: Town,
    pub(crate) ann: Person,
    pub(crate) bob: Person,
    directory: Directory,
}

fn scene(seed: u64, role: Role, habits: &Habits) -> (Scene, Liar<impl MlsConfig + use<>>) {
    scene_in(Town::new(seed), role, habits)
}

pub(crate) fn scene_in(
    mut town: Town,
    role: Role,
    habits: &Habits,
) -> (Scene, Liar<impl MlsConfig + use<>>) {
    let (ann, bob) = (town.device(ANN), town.device(BOB));
    let mut liar = liar::liar(&mut town, LIAR, habits);
    let directory = town.directory();
    let mut scene = Scene {
        town,
        ann,
        bob,
        directory,
    };
    scene.town.gather(&mut [&mut scene.ann, &mut scene.bob]);
    liar.is_added(&mut scene.ann, &mut [&mut scene.bob]);
    if role != Role::Member {
        let mut data = scene.ann.group().data().unwrap();
        data.roles.insert(account(LIAR), role);
        let message = scene.changes(data);
        liar.hears(&message);
    }
    (scene, liar)
}

impl Scene {
    /// Ann changes the group's data, and Bob hears of it.
    pub(crate) fn changes(&mut self, data: GroupData) -> Vec<u8> {
        self.ann_does(Wishes {
            data: Some(data),
            ..Wishes::default()
        })
    }

    pub(crate) fn ann_does(&mut self, wishes: Wishes) -> Vec<u8> {
        let commit = self.ann.commit(wishes).unwrap();
        self.bob.receive(&commit.message).unwrap();
        self.ann.group = Some(commit.next);
        commit.message
    }

    /// Somebody whose log everybody knows.
    pub(crate) fn newcomer(&mut self, number: u8) -> (Person, Vec<u8>) {
        let mut person = self.town.device(number);
        let package = self.town.package(&mut person);
        self.reload();
        (person, package)
    }

    /// Ann and Bob know everybody's log.
    pub(crate) fn reload(&mut self) {
        let directory = self.town.directory();
        self.reload_with(directory);
    }

    pub(crate) fn reload_with(&mut self, directory: Directory) {
        self.directory = directory;
        for person in [&mut self.ann, &mut self.bob] {
            self.town.reload_with(person, self.directory.clone());
        }
    }

    /// Ann and Bob refuse a message for the same reason, and write to each other as before. Then they know of none of
    /// that: a message that was refused is opened anew where logs came meanwhile.
    pub(crate) fn refuse(&mut self, message: &[u8]) -> GroupError {
        let before = [&mut self.ann, &mut self.bob]
            .map(|person| self.town.loaded(person, self.directory.clone()));
        let why = self.ann.receive(message).err().unwrap();
        assert_eq!(self.bob.receive(message).err(), Some(why.clone()));
        self.go_on();
        [self.ann.group, self.bob.group] = before.map(Some);
        why
    }

    fn go_on(&mut self) {
        let epoch = self.ann.group().epoch();
        assert_eq!(self.bob.group().epoch(), epoch);
        let letter = self.bob.write(b"still here");
        self.ann.reads(&letter, &self.bob.us.name, b"still here");
    }

    pub(crate) fn take(&mut self, message: &[u8]) -> Vec<Change> {
        let mut seen = Vec::new();
        for person in [&mut self.ann, &mut self.bob] {
            match person.receive(message).unwrap() {
                Received::Commit { changes, .. } => seen.push(changes),
                _ => unreachable!("no commit"),
            }
        }
        assert_eq!(seen[0], seen[1]);
        self.go_on();
        seen.remove(0)
    }

    /// Bob, who is no more than a member, removes a device, and Ann takes that.
    fn bob_removes(&mut self, name: &LeafName) {
        let leaf = self.bob.leaf_of(name);
        let commit = self.bob.commit(Wishes {
            remove: vec![leaf],
            ..Wishes::default()
        });
        let commit = commit.unwrap();
        assert_eq!(commit.changes, [Change::Removed(*name)]);
        self.ann.receive(&commit.message).unwrap();
        self.bob.group = Some(commit.next);
        self.go_on();
    }

    /// How the group is entered from outside.
    pub(crate) fn door(&mut self) -> (Vec<u8>, Vec<u8>) {
        let group = self.ann.group();
        (group.info().unwrap(), group.tree().unwrap())
    }
}

pub(crate) fn message(bytes: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(bytes).unwrap()
}

/// A credential with a key of its own choice.
fn new_key(name: &LeafName, seed: u64) -> (SignatureSecretKey, SigningIdentity) {
    let key = SigningKey::generate(Suite::Hybrid, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
    let secret = SignatureSecretKey::new_slice(key.leaf_secret().expose_secret());
    let public = SignaturePublicKey::new_slice(key.verifying_key().leaf_key());
    let credential = BasicCredential::new(liar::bytes(name)).into_credential();
    (secret, SigningIdentity::new(credential, public))
}

#[test]
fn a_leaf_that_is_not_in_the_log_is_refused() {
    let (mut scene, mut liar) = scene(101, Role::Owner, &Habits::default());
    let (stranger, package) = scene.newcomer(STRANGER);
    let name = stranger.us.name;
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    scene.town.disown(&name);
    scene.reload();
    let unknown = GroupError::NotInLog {
        account: name.account,
        device: name.device,
    };
    assert_eq!(scene.refuse(&add), unknown);
    // A log that is old, or not here, says nothing; what is missing is named.
    for fresh in [Some(false), None] {
        let directory = scene.town.directory_with(|one| {
            if *one == name.account {
                fresh
            } else {
                Some(true)
            }
        });
        scene.reload_with(directory);
        let needed = GroupError::LogsNeeded(vec![name.account]);
        assert_eq!(scene.refuse(&add), needed);
    }
}

#[test]
fn a_key_that_is_not_in_the_log_is_refused() {
    let (mut scene, mut liar) = scene(102, Role::Member, &Habits::default());
    let name = liar.us.name;
    let (secret, identity) = new_key(&name, 5);
    let renewed = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    let unknown = GroupError::NotInLog {
        account: name.account,
        device: name.device,
    };
    assert_eq!(scene.refuse(&renewed), unknown);
}

/// A credential with a voucher of the liar's choice, and a key of its own choice.
fn vouched(name: &LeafName, voucher: &[u8], seed: u64) -> (SignatureSecretKey, SigningIdentity) {
    let (secret, SigningIdentity { signature_key, .. }) = new_key(name, seed);
    let identity = [&liar::bytes(name)[..], voucher].concat();
    let credential = BasicCredential::new(identity).into_credential();
    (secret, SigningIdentity::new(credential, signature_key))
}

/// What the device key says of the key that [`new_key`] makes of the seed.
fn voucher(device_key: &SigningKey, name: &LeafName, seed: u64) -> Vec<u8> {
    let (_, identity) = new_key(name, seed);
    let key = identity.signature_key.as_bytes();
    let message = [&liar::bytes(name)[..], key].concat();
    let signature = device_key.sign(label::GROUP_LEAF_VOUCHER, &message);
    signature.unwrap().as_bytes().to_vec()
}

#[test]
fn a_key_that_nobody_vouches_for_is_refused() {
    let mut town = Town::new(120);
    let (ann, bob) = (town.device(ANN), town.device(BOB));
    let key = SigningKey::generate(Suite::Cnsa2, &mut town.rng).unwrap();
    let us = town.device_with(LIAR, &key, Suite::Hybrid).us;
    let name = us.name;
    let mut liar = liar::of_device(&mut town, us, &Habits::default());
    let other = town.device_of(LIAR, Suite::Cnsa2).us.name;
    let directory = town.directory();
    let mut scene = Scene {
        town,
        ann,
        bob,
        directory,
    };
    scene.town.gather(&mut [&mut scene.ann, &mut scene.bob]);
    scene.reload();
    liar.is_added(&mut scene.ann, &mut [&mut scene.bob]);
    let genuine = voucher(&key, &name, 5);
    let mut altered = genuine.clone();
    altered[100] ^= 1;
    let refused = GroupError::NotVouched {
        account: name.account,
        device: name.device,
    };
    let foreign = SigningKey::generate(Suite::Cnsa2, &mut scene.town.rng).unwrap();
    for voucher in [
        altered,
        voucher(&foreign, &name, 5), // by a key that is in no log
        voucher(&key, &other, 5),    // for another device
        voucher(&key, &name, 6),     // for another key
    ] {
        let (secret, identity) = vouched(&name, &voucher, 5);
        let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
        assert_eq!(scene.refuse(&commit), refused);
    }
    // An old log may not know a key that would vouch.
    let (secret, identity) = vouched(&name, &voucher(&foreign, &name, 5), 5);
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    let old = |one: &AccountId| Some(*one != name.account);
    let directory = scene.town.directory_with(old);
    scene.reload_with(directory);
    let needed = GroupError::LogsNeeded(vec![name.account]);
    assert_eq!(scene.refuse(&commit), needed);
    scene.reload();
    // Without a voucher it is a key that no log names.
    let (secret, identity) = new_key(&name, 5);
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    let unknown = GroupError::NotInLog {
        account: name.account,
        device: name.device,
    };
    assert_eq!(scene.refuse(&commit), unknown);
    // A voucher that is none by its length.
    let (secret, identity) = vouched(&name, &genuine[1..], 5);
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    assert_eq!(
        scene.refuse(&commit),
        not_genuine("a credential names no device")
    );
    let (secret, identity) = vouched(&name, &genuine, 5);
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    assert_eq!(scene.take(&commit), []);
}

#[test]
fn a_device_of_the_groups_own_suite_vouches_for_no_other_key() {
    let (mut scene, mut liar) = scene(121, Role::Member, &Habits::default());
    let name = liar.us.name;
    let foreign = SigningKey::generate(Suite::Cnsa2, &mut scene.town.rng).unwrap();
    let (secret, identity) = vouched(&name, &voucher(&foreign, &name, 5), 5);
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    let refused = GroupError::MayNotVouch {
        account: name.account,
        device: name.device,
    };
    assert_eq!(scene.refuse(&commit), refused);
    // Not even for the key that its log names.
    let own = SigningIdentity::new(
        BasicCredential::new([liar::bytes(&name), vec![7; 4627]].concat()).into_credential(),
        SignaturePublicKey::new_slice(liar.us.leaf.public()),
    );
    let secret = SignatureSecretKey::new_slice(liar.us.leaf.secret().expose_secret());
    let commit = liar.commit(|commit| commit.set_new_signing_identity(secret, own));
    assert_eq!(scene.refuse(&commit), refused);
}

#[test]
fn a_leaf_stays_the_device_it_is() {
    let (mut scene, mut liar) = scene(103, Role::Member, &Habits::default());
    let other = scene.town.device(LIAR).us;
    scene.reload();
    let secret = SignatureSecretKey::new_slice(other.leaf.secret().expose_secret());
    let identity = SigningIdentity::new(
        BasicCredential::new(liar::bytes(&other.name)).into_credential(),
        SignaturePublicKey::new_slice(other.leaf.public()),
    );
    let renamed = liar.commit(|commit| commit.set_new_signing_identity(secret, identity));
    assert_eq!(scene.refuse(&renamed), not_genuine("InvalidSuccessor"));
}

#[test]
fn an_invitation_among_leaves_that_no_log_names_is_refused() {
    let mut town = Town::new(104);
    let mut ann = town.device(ANN);
    let mut host = liar::liar(&mut town, LIAR, &Habits::default());
    let mut stranger = town.device(STRANGER);
    let packages = [town.package(&mut ann), town.package(&mut stranger)];
    town.disown(&stranger.us.name);
    let id = GroupId::random(&mut town.rng);
    host.create(&id, liar::data("trap", &[(account(LIAR), 3)]));
    let (_, welcomes, tree) = host.lead(|commit| {
        packages.iter().fold(commit, |commit, package| {
            commit.add_member(message(package)).unwrap()
        })
    });
    let joined = town.joined(&ann, &welcomes, &tree);
    let unknown = GroupError::NotInLog {
        account: stranger.us.name.account,
        device: stranger.us.name.device,
    };
    assert_eq!(joined.err(), Some(unknown));
}

#[test]
fn a_member_cannot_add() {
    let (mut scene, mut liar) = scene(105, Role::Member, &Habits::default());
    let (_, package) = scene.newcomer(STRANGER);
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(scene.refuse(&add), forbidden(LIAR, "add somebody"));
    // Nor a device of another member; that is for its own devices to do.
    let (_, package) = scene.newcomer(BOB);
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(scene.refuse(&add), forbidden(LIAR, "add somebody"));
    let (own, package) = scene.newcomer(LIAR);
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(scene.take(&add), [Change::Added(own.us.name)]);
}

#[test]
fn a_member_cannot_remove() {
    let (mut scene, mut liar) = scene(106, Role::Member, &Habits::default());
    let (ann, bob) = (scene.ann.us.name, scene.bob.us.name);
    for name in [ann, bob] {
        let leaf = scene.bob.leaf_of(&name);
        let remove = liar.commit(|commit| commit.remove_member(leaf).unwrap());
        assert_eq!(scene.refuse(&remove), removed(LIAR, name));
    }
}

#[test]
fn an_admin_cannot_remove_an_admin_or_an_owner() {
    let (mut scene, mut liar) = scene(107, Role::Admin, &Habits::default());
    let mut data = scene.ann.group().data().unwrap();
    data.roles.insert(account(BOB), Role::Admin);
    let made = scene.changes(data);
    liar.hears(&made);
    let (ann, bob) = (scene.ann.us.name, scene.bob.us.name);
    for name in [ann, bob] {
        let leaf = scene.bob.leaf_of(&name);
        let remove = liar.commit(|commit| commit.remove_member(leaf).unwrap());
        assert_eq!(scene.refuse(&remove), removed(LIAR, name));
    }
}

#[test]
fn anybody_removes_a_device_that_is_not_in_force() {
    let (mut scene, mut liar) = scene(108, Role::Member, &Habits::default());
    let (tablet, package) = scene.newcomer(BOB);
    let commit = scene
        .bob
        .commit(Wishes {
            add: vec![package],
            ..Wishes::default()
        })
        .unwrap();
    scene.ann.receive(&commit.message).unwrap();
    liar.hears(&commit.message);
    scene.bob.group = Some(commit.next);
    let leaf = scene.ann.leaf_of(&tablet.us.name);
    let remove = liar.commit(|commit| commit.remove_member(leaf).unwrap());
    assert_eq!(scene.refuse(&remove), removed(LIAR, tablet.us.name));
    // An old log does not say that the device is in force now.
    let directory = scene.town.directory_with(|_| Some(false));
    scene.reload_with(directory);
    let needed = GroupError::LogsNeeded(vec![account(BOB)]);
    assert_eq!(scene.refuse(&remove), needed);
    scene.town.revoke(&tablet.us.name);
    scene.reload();
    assert_eq!(scene.take(&remove), [Change::Removed(tablet.us.name)]);
}

#[test]
fn a_role_is_the_owners_to_give() {
    for (seed, role, grants) in [
        (109, Role::Member, vec![vec![(ANN, 3), (LIAR, 3)]]),
        (
            110,
            Role::Admin,
            vec![
                vec![(ANN, 3), (LIAR, 3)],                // rises
                vec![(LIAR, 2)],                          // puts the owner down
                vec![(ANN, 3), (BOB, 2), (LIAR, 2)],      // raises a friend
                vec![(ANN, 3), (LIAR, 2), (STRANGER, 2)], // raises somebody who is not here
            ],
        ),
    ] {
        let (mut scene, mut liar) = scene(seed, role, &Habits::default());
        for roles in grants {
            let roles: Vec<_> = roles
                .iter()
                .map(|(who, role)| (account(*who), *role))
                .collect();
            let data = liar::saying(liar::data("night shift", &roles));
            let grant = liar.commit(|commit| commit.set_group_context_ext(data).unwrap());
            assert_eq!(scene.refuse(&grant), forbidden(LIAR, "give a role"));
        }
    }
}

#[test]
fn a_member_cannot_change_the_data() {
    let (mut scene, mut liar) = scene(111, Role::Member, &Habits::default());
    let data = liar::saying(liar::data("my shift", &[(account(ANN), 3)]));
    let rename = liar.commit(|commit| commit.set_group_context_ext(data).unwrap());
    let why = forbidden(LIAR, "change the group's data");
    assert_eq!(scene.refuse(&rename), why);
    // The timer behind the name and the picture, which there is none of, is 255 seconds.
    let mut data = liar::data("night shift", &[(account(ANN), 3)]);
    data[1 + 4 + "night shift".len() + 4 + 7] = 255;
    let data = liar::saying(data);
    let timer = liar.commit(|commit| commit.set_group_context_ext(data).unwrap());
    assert_eq!(scene.refuse(&timer), why);
}

#[test]
fn who_comes_back_is_a_member() {
    let (mut scene, mut liar) = scene(112, Role::Owner, &Habits::default());
    let (stranger, package) = scene.newcomer(STRANGER);
    let roles = [(ANN, 3), (LIAR, 3), (STRANGER, 2)].map(|(who, role)| (account(who), role));
    let with_role = || liar::saying(liar::data("night shift", &roles));
    let why = forbidden(LIAR, "add more than a member");
    let at_once = liar.commit(|commit| {
        let commit = commit.add_member(message(&package)).unwrap();
        commit.set_group_context_ext(with_role()).unwrap()
    });
    assert_eq!(scene.refuse(&at_once), why);
    // A role of somebody who is not here lasts until that account comes in, and not longer.
    let (before, _, _) = liar.lead(|commit| commit.set_group_context_ext(with_role()).unwrap());
    scene.take(&before);
    let then = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(scene.refuse(&then), why);
    let cleared = liar::saying(liar::data("night shift", &roles[..2]));
    let cleared = liar.commit(|commit| {
        let commit = commit.add_member(message(&package)).unwrap();
        commit.set_group_context_ext(cleared).unwrap()
    });
    let changes = scene.take(&cleared);
    assert_eq!(changes[0], Change::Added(stranger.us.name));
}

#[test]
fn data_that_do_not_parse_are_refused() {
    let (mut scene, mut liar) = scene(113, Role::Owner, &Habits::default());
    let owner = (account(ANN), 3);
    let more = ExtensionType::new(0xF4C1);
    let two = vec![
        Extension::new(ExtensionType::new(0xF4C0), liar::data("a", &[owner])),
        Extension::new(more, vec![1]),
    ];
    let long = "n".repeat(257);
    for extensions in [
        ExtensionList::new(),
        two.into(),
        liar::saying(Vec::new()),
        liar::saying(vec![2; 40]),
        liar::saying(liar::data(&long, &[owner])),
        liar::saying(liar::data("twice", &[owner, owner])),
        liar::saying(liar::data("plain", &[(account(ANN), 1)])),
        liar::saying([liar::data("rest", &[owner]), vec![0]].concat()),
    ] {
        let change = liar.commit(|commit| commit.set_group_context_ext(extensions).unwrap());
        let why = not_genuine("the data of the group do not parse");
        assert_eq!(scene.refuse(&change), why);
    }
}

#[test]
fn an_invitation_into_a_group_without_data_is_refused() {
    let mut town = Town::new(114);
    let mut ann = town.device(ANN);
    let mut host = liar::liar(&mut town, LIAR, &Habits::default());
    let package = town.package(&mut ann);
    let id = GroupId::random(&mut town.rng);
    host.create(&id, vec![7; 7]);
    let (_, welcomes, tree) = host.lead(|commit| commit.add_member(message(&package)).unwrap());
    let joined = town.joined(&ann, &welcomes, &tree);
    assert_eq!(joined.err(), Some(not_genuine("not of this form")));
}

#[test]
fn a_leaf_without_an_inbox_is_refused() {
    let (mut scene, mut liar) = scene(115, Role::Owner, &Habits::default());
    let silent = Habits {
        inbox: false,
        ..Habits::default()
    };
    let silent = liar::liar(&mut scene.town, STRANGER, &silent);
    scene.reload();
    let add = liar.commit(|commit| commit.add_member(message(&silent.package())).unwrap());
    let why = not_genuine("a leaf says not where it takes letters");
    assert_eq!(scene.refuse(&add), why);
}

#[test]
fn a_public_message_is_refused() {
    let habits = Habits {
        open: true,
        ..Habits::default()
    };
    let (mut scene, mut liar) = scene(116, Role::Member, &habits);
    let why = GroupError::ChangeForbidden {
        what: "a message in the open",
    };
    let commit = liar.commit(|commit| commit);
    assert_eq!(scene.refuse(&commit), why);
    let leaf = liar.group().current_member_index();
    let proposal = liar.group().propose_remove(leaf, Vec::new()).unwrap();
    assert_eq!(scene.refuse(&proposal.to_bytes().unwrap()), why);
    // Whoever knocks is no member at all.
    let (info, tree) = scene.door();
    let stranger = liar::liar(&mut scene.town, STRANGER, &Habits::default());
    scene.reload();
    assert_eq!(scene.refuse(&stranger.knock(&info, &tree)), why);
}

#[test]
fn keys_from_outside_and_new_beginnings_are_refused() {
    let (mut scene, mut liar) = scene(117, Role::Owner, &Habits::default());
    let key = liar.commit(|commit| commit.add_external_psk(liar::outside()).unwrap());
    let why = |what| GroupError::ChangeForbidden { what };
    assert_eq!(scene.refuse(&key), why("keys from outside"));
    let data = liar::saying(liar::data("new", &[]));
    let suite = letterlock_groups::replay::HYBRID;
    let anew = liar.commit(|commit| {
        let version = ProtocolVersion::MLS_10;
        commit.reinit(None, version, suite, data).unwrap()
    });
    assert_eq!(scene.refuse(&anew), why("a new beginning"));
}

#[test]
fn nobody_does_for_others_what_they_alone_may() {
    let (mut scene, mut liar) = scene(118, Role::Admin, &Habits::default());
    let mut accomplice = liar::liar(&mut scene.town, ACCOMPLICE, &Habits::default());
    let (_, package) = scene.newcomer(STRANGER);
    let added = scene.ann.commit(Wishes {
        add: vec![accomplice.package()],
        ..Wishes::default()
    });
    let added = added.unwrap();
    scene.bob.receive(&added.message).unwrap();
    liar.hears(&added.message);
    accomplice.joins(&added);
    scene.ann.group = Some(added.next);
    let group = liar.group();
    let data = liar::saying(liar::data("ours", &[(account(ANN), 3), (account(LIAR), 2)]));
    let proposals = [
        (
            group.propose_update(Vec::new()),
            "an update without a commit",
        ),
        (
            group.propose_add(message(&package), Vec::new()),
            "add somebody",
        ),
        (
            group.propose_group_context_extensions(data, Vec::new()),
            "propose data",
        ),
    ];
    for (proposal, what) in proposals {
        let proposal = proposal.unwrap().to_bytes().unwrap();
        for person in [&mut scene.ann, &mut scene.bob] {
            assert!(matches!(
                person.receive(&proposal),
                Ok(Received::Proposal { .. })
            ));
        }
        accomplice.hears(&proposal);
        let commit = accomplice.commit(|commit| commit);
        accomplice.group().clear_proposal_cache();
        for person in [&mut scene.ann, &mut scene.bob] {
            let why = person.receive(&commit).err().unwrap();
            match why {
                GroupError::RoleForbids {
                    account: by,
                    what: said,
                } => {
                    assert_eq!((by, said), (account(LIAR), what));
                }
                GroupError::ChangeForbidden { what: said } => assert_eq!(said, what),
                other => panic!("{other:?}"),
            }
        }
    }
    // An honest member leaves all of that out of its commit.
    let commit = scene.bob.commit(Wishes::default()).unwrap();
    assert_eq!(commit.changes, []);
    scene.bob.group = Some(commit.next);
    scene.ann.receive(&commit.message).unwrap();
    scene.go_on();
}

/// All that the group's keys seal is good, and what is inside is not signed by its sender.
#[test]
fn a_bad_signature_in_a_good_envelope_is_refused() {
    for (seed, role, suite) in [
        (130, Role::Member, Suite::Hybrid),
        (131, Role::Owner, Suite::Hybrid),
        (135, Role::Owner, Suite::Cnsa2),
    ] {
        let mut habits = Habits::speaking(suite);
        habits.forges = true;
        let mut town = Town::new(seed);
        town.suite = suite;
        let (mut scene, mut forger) = scene_in(town, role, &habits);
        let (_, own) = scene.newcomer(LIAR);
        let (_, stranger) = scene.newcomer(STRANGER);
        let letter = forger
            .group()
            .encrypt_application_message(b"it is me", Vec::new());
        let letter = letter.unwrap().to_bytes().unwrap();
        let leaf = forger.group().current_member_index();
        let leave = forger.group().propose_remove(leaf, Vec::new()).unwrap();
        forger.group().clear_proposal_cache();
        for sent in [
            letter,
            forger.proposes_to_add(&own),
            forger.proposes_to_add(&stranger),
            leave.to_bytes().unwrap(),
            forger.commit(|commit| commit),
            forger.commit(|commit| commit.add_member(message(&own)).unwrap()),
            forger.commit(|commit| commit.add_member(message(&stranger)).unwrap()),
        ] {
            assert_eq!(scene.refuse(&sent), GroupError::BadSignature);
        }
    }
}

/// A key package is signed by its leaf, a description of the group by a member.
#[test]
fn what_brings_somebody_in_is_signed() {
    for (seed, suite) in [(132, Suite::Hybrid), (136, Suite::Cnsa2)] {
        let mut town = Town::new(seed);
        town.suite = suite;
        let (mut scene, mut liar) = scene_in(town, Role::Owner, &Habits::speaking(suite));
        let (stranger, package) = scene.newcomer(STRANGER);
        let mut unsigned = package.clone();
        *unsigned.last_mut().unwrap() ^= 1;
        let add = scene.ann.commit(Wishes {
            add: vec![unsigned.clone()],
            ..Wishes::default()
        });
        assert_eq!(add.err(), Some(GroupError::BadSignature));
        // The way in, signed by somebody who is not the member that it names.
        let (mut info, tree) = scene.door();
        *info.last_mut().unwrap() ^= 1;
        let directory = scene.town.directory();
        let door = (&info[..], &tree[..]);
        let back = Group::rejoin(&scene.bob.us, directory, door, NOW, &mut scene.town.rng);
        assert_eq!(back.err(), Some(GroupError::BadSignature));
        let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
        assert_eq!(scene.take(&add), [Change::Added(stranger.us.name)]);
    }
}

fn not_in_force(name: LeafName) -> Option<GroupError> {
    Some(GroupError::NotInForce {
        account: name.account,
        device: name.device,
    })
}

#[test]
fn an_honest_member_lets_no_revoked_device_in() {
    let (mut scene, _) = scene(133, Role::Member, &Habits::default());
    let (stranger, package) = scene.newcomer(STRANGER);
    let add = || Wishes {
        add: vec![package.clone()],
        ..Wishes::default()
    };
    assert!(scene.ann.commit(add()).is_ok());
    scene.town.revoke(&stranger.us.name);
    scene.reload();
    let refused = scene.ann.commit(add()).err();
    assert_eq!(refused, not_in_force(stranger.us.name));
    // Nor does it come in by itself, if its program is honest.
    let (info, tree) = scene.door();
    let bob = scene.bob.us.name;
    let back = |scene: &mut Scene| {
        let directory = scene.town.directory();
        let door = (&info[..], &tree[..]);
        Group::rejoin(&scene.bob.us, directory, door, NOW, &mut scene.town.rng).err()
    };
    assert_eq!(back(&mut scene), None);
    scene.town.revoke(&bob);
    assert_eq!(back(&mut scene), not_in_force(bob));
}

/// Whoever reads late does not know what the log said when a commit was made, so it is taken; and anybody undoes it.
#[test]
fn a_revoked_device_that_comes_in_is_seen_and_removed() {
    let (mut scene, mut liar) = scene(134, Role::Member, &Habits::default());
    let (tablet, package) = scene.newcomer(LIAR);
    scene.town.revoke(&tablet.us.name);
    scene.reload();
    let (add, welcomes, tree) = liar.lead(|commit| commit.add_member(message(&package)).unwrap());
    let mut inside = scene.town.joined(&tablet, &welcomes, &tree).unwrap();
    assert_eq!(scene.take(&add), [Change::Added(tablet.us.name)]);
    scene.bob_removes(&tablet.us.name);
    let letter = scene.ann.write(b"without it");
    let read = inside.receive(&letter, NOW);
    assert_eq!(read.err(), Some(GroupError::FutureEpoch));
    // The other way in: from outside, in its own old place.
    let us = liar.us.name;
    scene.town.revoke(&us);
    scene.reload();
    let leaf = scene.ann.leaf_of(&us);
    let (info, tree) = scene.door();
    let back = liar.break_in(&info, &tree, Some(leaf));
    assert_eq!(scene.take(&back), [Change::Rejoined(us)]);
    scene.bob_removes(&us);
    let letter = scene.ann.write(b"without you");
    let letter = MlsMessage::from_bytes(&letter).unwrap();
    assert!(liar.group().process_incoming_message(letter).is_err());
    // And it does not come again.
    let (info, tree) = scene.door();
    let again = liar.break_in(&info, &tree, None);
    let why = forbidden(LIAR, "come in from outside the group");
    assert_eq!(scene.refuse(&again), why);
}

#[test]
fn who_was_removed_says_nothing_more() {
    let (mut scene, mut liar) = scene(119, Role::Member, &Habits::default());
    let leaf = scene.ann.leaf_of(&liar.us.name);
    scene.ann_does(Wishes {
        remove: vec![leaf],
        ..Wishes::default()
    });
    let letter = liar
        .group()
        .encrypt_application_message(b"hello?", Vec::new());
    let mut letter = letter.unwrap().to_bytes().unwrap();
    assert_eq!(scene.refuse(&letter), GroupError::PastEpoch);
    // The epoch stands in front of what is sealed: version 2, form 2, group 1 + 32, epoch 8.
    let epoch = scene.ann.group().epoch();
    letter[37..45].copy_from_slice(&epoch.to_be_bytes());
    assert!(matches!(
        scene.refuse(&letter),
        GroupError::NotGenuine { .. }
    ));
    letter[37..45].copy_from_slice(&(epoch + 1).to_be_bytes());
    assert_eq!(scene.refuse(&letter), GroupError::FutureEpoch);
    // And it does not come back by itself.
    let (info, tree) = scene.door();
    let back = liar.break_in(&info, &tree, None);
    let why = forbidden(LIAR, "come in from outside the group");
    assert_eq!(scene.refuse(&back), why);
}

#[test]
fn who_was_never_in_does_not_come_in_from_outside() {
    let (mut scene, _) = scene(120, Role::Member, &Habits::default());
    let mut stranger = liar::liar(&mut scene.town, STRANGER, &Habits::default());
    scene.reload();
    let (info, tree) = scene.door();
    let commit = stranger.break_in(&info, &tree, None);
    let why = forbidden(STRANGER, "come in from outside the group");
    assert_eq!(scene.refuse(&commit), why);
}

#[test]
fn who_comes_back_takes_its_own_place_alone() {
    let owner = not_genuine("ExternalCommitRemovesOtherIdentity");
    for (seed, role, owner) in [(121, Role::Member, None), (122, Role::Owner, Some(owner))] {
        let (mut scene, _) = scene(seed, role, &Habits::default());
        let bob = scene.bob.us.name;
        // Another device of the liar, which takes Bob's credential for its own.
        let habits = Habits {
            alias: Some(liar::bytes(&bob)),
            ..Habits::default()
        };
        let mut other = liar::liar(&mut scene.town, LIAR, &habits);
        scene.reload();
        let leaf = scene.ann.leaf_of(&bob);
        let (info, tree) = scene.door();
        let commit = other.break_in(&info, &tree, Some(leaf));
        let why = owner.unwrap_or(removed(LIAR, bob));
        assert_eq!(scene.refuse(&commit), why);
    }
}

#[test]
fn an_invitation_opens_with_its_own_package_alone() {
    let mut town = Town::new(123);
    let (mut ann, mut bob) = (town.device(ANN), town.device(BOB));
    town.create(&mut ann);
    town.reload(&mut ann);
    let package = town.package(&mut bob);
    let commit = ann.commit(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    let commit = commit.unwrap();
    let welcome = [commit.welcomes[0].message.clone()];
    let tree = commit.next.tree().unwrap();
    assert!(town.joined(&bob, &welcome, &tree).is_ok());
    // It does not go with another tree.
    let other = ann.group().tree().unwrap();
    assert!(matches!(
        town.joined(&bob, &welcome, &other),
        Err(GroupError::NotGenuine { .. })
    ));
    // The same invitation a second time, after its package was used: the others of the device do not open it.
    let used = bob.package().id.clone();
    town.package(&mut bob);
    let again = town.joined(&bob, &welcome, &tree);
    assert_eq!(again.err(), Some(GroupError::NoKeyPackage));
    // Nor do they under its name.
    let fresh = &bob.package().secret;
    let directory = town.directory();
    let sent = (&welcome[0][..], &tree[..]);
    let again = Group::join(&bob.us, directory, sent, (&used, fresh), &mut town.rng);
    assert!(matches!(again, Err(GroupError::NotGenuine { .. })));
}

#[test]
fn another_suite_is_refused() {
    let (mut scene, _) = scene(124, Role::Member, &Habits::default());
    let us = scene.town.device_of(STRANGER, Suite::Cnsa2).us;
    let habits = Habits {
        suite: liar::OTHER_SUITE,
        ..Habits::default()
    };
    let stranger = liar::of_device(&mut scene.town, us, &habits);
    scene.reload();
    let package = stranger.package();
    assert_eq!(
        key_package_of(&package),
        Ok((stranger.us.name, Suite::Cnsa2))
    );
    let mut unknown = package.clone();
    unknown[6..8].copy_from_slice(&[0xF0, 0x0D]);
    assert!(key_package_of(&unknown).is_err());
    let add = scene.ann.commit(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    assert_eq!(add.err(), Some(GroupError::WrongSuite));
    // An invitation and a description that say another suite than they are of.
    let mut carol = scene.town.device(ACCOMPLICE);
    let package = scene.town.package(&mut carol);
    scene.reload();
    let add = scene.ann.commit(Wishes {
        add: vec![package],
        ..Wishes::default()
    });
    let add = add.unwrap();
    let mut welcome = add.welcomes[0].message.clone();
    let other = u16::from(liar::OTHER_SUITE).to_be_bytes();
    welcome[4..6].copy_from_slice(&other);
    let tree = add.next.tree().unwrap();
    let joined = scene.town.joined(&carol, &[welcome], &tree);
    assert_eq!(joined.err(), Some(GroupError::WrongSuite));
    let (mut info, tree) = scene.door();
    info[6..8].copy_from_slice(&other);
    let directory = scene.town.directory();
    let door = (&info[..], &tree[..]);
    let back = Group::rejoin(&scene.bob.us, directory, door, NOW, &mut scene.town.rng);
    assert!(matches!(
        back.err(),
        Some(GroupError::WrongSuite | GroupError::NotGenuine { .. })
    ));
}
