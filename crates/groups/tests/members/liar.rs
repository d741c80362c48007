//! A member whose client has no rules: what it sends reaches honest members as a real lie would.

use crate::blind::{Blind, Blindness};
use crate::support::{NOW, Person, Town};
use groups::OurDevice;
use keys::{AccountId, Secret, Suite};
use letterlock_groups as groups;
use letterlock_groups::replay::{self, CNSA2, HYBRID};
use mls_rs::client_builder::MlsConfig;
use mls_rs::group::{CommitBuilder, ExportedTree, GroupContext, Roster};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::BasicCredential;
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::storage_provider::in_memory::{InMemoryKeyPackageStorage, InMemoryPreSharedKeyStorage};
use mls_rs::{Client, Extension, ExtensionList, Group, MlsMessage, MlsRules};
use mls_rs_core::crypto::{CipherSuite, SignaturePublicKey, SignatureSecretKey};
use mls_rs_core::extension::ExtensionType;
use mls_rs_core::identity::{CredentialType, IdentityProvider, MemberValidationContext};
use mls_rs_core::time::MlsTime;
use std::convert::Infallible;
use std::sync::atomic::Ordering;

const GROUP_DATA: ExtensionType = ExtensionType::new(0xF4C0);
const INBOX: ExtensionType = ExtensionType::new(0xF4C1);
/// A pre-shared key that liars have.
const OUTSIDE: &[u8] = b"a key from outside";

/// Believes everything, forbids nothing.
#[derive(Clone)]
struct Lax {
    /// Sends what should be sealed in the open.
    open: bool,
    /// Takes the one credential for the other.
    alias: Option<(Vec<u8>, Vec<u8>)>,
}

impl MlsRules for Lax {
    type Error = Infallible;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        _: CommitSource,
        _: &Roster<'_>,
        _: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Infallible> {
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, Infallible> {
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(false)
            .with_always_out_of_band_ratchet_tree(true)
            .with_single_welcome_message(false))
    }

    fn encryption_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
    ) -> Result<EncryptionOptions, Infallible> {
        let padding = mls_rs::client_builder::PaddingMode::None;
        Ok(EncryptionOptions::new(!self.open, padding))
    }
}

impl IdentityProvider for Lax {
    type Error = Infallible;

    fn validate_member(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn identity(
        &self,
        identity: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<Vec<u8>, Infallible> {
        let mut name = identity.credential.as_basic().unwrap().identifier.clone();
        name.truncate(48);
        Ok(match &self.alias {
            Some((from, to)) if *from == name => to.clone(),
            _ => name,
        })
    }

    fn valid_successor(
        &self,
        _: &SigningIdentity,
        _: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// What liars may be asked for.
pub(crate) struct Habits {
    pub(crate) suite: CipherSuite,
    pub(crate) open: bool,
    /// Whether its leaf says where it takes letters.
    pub(crate) inbox: bool,
    /// Another credential that it takes for its own.
    pub(crate) alias: Option<Vec<u8>>,
    /// Whether it signs with a key that is not its leaf's, once it is in.
    pub(crate) forges: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            suite: HYBRID,
            open: false,
            inbox: true,
            alias: None,
            forges: false,
        }
    }
}

impl Habits {
    /// Of a device of this suite.
    pub(crate) fn speaking(suite: Suite) -> Self {
        let suite = match suite {
            Suite::Cnsa2 => CNSA2,
            _ => HYBRID,
        };
        Self {
            suite,
            ..Self::default()
        }
    }
}

pub(crate) struct Liar<C: MlsConfig> {
    pub(crate) us: OurDevice,
    client: Client<C>,
    /// The client that it goes on with once it is in.
    inside: Client<C>,
    inbox: ExtensionList,
    blind: Blindness,
    pub(crate) group: Option<Group<C>>,
}

pub(crate) fn bytes(name: &groups::LeafName) -> Vec<u8> {
    [&name.account.as_bytes()[..], name.device.as_bytes()].concat()
}

/// An inbox as docs/spec/groups.md, section 1 writes it.
fn inbox(us: &OurDevice) -> Vec<u8> {
    let token = us.inbox.token.expose_secret();
    [&[1], &us.inbox.queue.as_bytes()[..], token].concat()
}

/// A group's data as docs/spec/groups.md, section 2 writes them.
pub(crate) fn data(name: &str, roles: &[(AccountId, u8)]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    out.extend(name.as_bytes());
    out.extend([0; 4]);
    out.extend([0; 8]);
    out.extend(u32::try_from(roles.len()).unwrap().to_be_bytes());
    for (account, role) in roles {
        out.extend(account.as_bytes());
        out.push(*role);
    }
    out
}

/// Extensions of a group's context that say these data.
pub(crate) fn saying(data: Vec<u8>) -> ExtensionList {
    vec![Extension::new(GROUP_DATA, data)].into()
}

/// A device like others, by its log, with a client of its own making.
pub(crate) fn liar(town: &mut Town, account: u8, habits: &Habits) -> Liar<impl MlsConfig + use<>> {
    let us = town.device(account).us;
    of_device(town, us, habits)
}

pub(crate) fn of_device(
    town: &mut Town,
    us: OurDevice,
    habits: &Habits,
) -> Liar<impl MlsConfig + use<>> {
    let own = bytes(&us.name);
    let voucher = us.leaf.vouch(&us.name.account, &us.name.device).unwrap();
    let voucher = voucher.map_or(Vec::new(), |voucher| voucher.as_bytes().to_vec());
    let lax = Lax {
        open: habits.open,
        alias: habits.alias.clone().map(|other| (other, own.clone())),
    };
    let mut keys = InMemoryPreSharedKeyStorage::default();
    keys.insert(
        ExternalPskId::new(OUTSIDE.to_vec()),
        PreSharedKey::new(vec![7; 32]),
    );
    let identity = SigningIdentity::new(
        BasicCredential::new([own, voucher].concat()).into_credential(),
        SignaturePublicKey::new_slice(us.leaf.public()),
    );
    let packages = InMemoryKeyPackageStorage::default();
    let blind = Blindness::default();
    let provider = replay::provider(Secret::random(&mut town.rng));
    let provider = Blind::new(provider, blind.clone());
    let signing_with = |secret: &[u8]| {
        Client::builder()
            .crypto_provider(provider.clone())
            .identity_provider(lax.clone())
            .mls_rules(lax.clone())
            .psk_store(keys.clone())
            .key_package_repo(packages.clone())
            .extension_types([GROUP_DATA, INBOX])
            .signing_identity(
                identity.clone(),
                SignatureSecretKey::new_slice(secret),
                habits.suite,
            )
            .build()
    };
    let client = signing_with(us.leaf.secret().expose_secret());
    let inside = match habits.forges {
        true => signing_with(&[7; 32]),
        false => client.clone(),
    };
    let inbox = match habits.inbox {
        true => vec![Extension::new(INBOX, inbox(&us))].into(),
        false => ExtensionList::new(),
    };
    Liar {
        us,
        client,
        inside,
        inbox,
        blind,
        group: None,
    }
}

impl<C: MlsConfig> Liar<C> {
    pub(crate) fn package(&self) -> Vec<u8> {
        let time = Some(MlsTime::from(NOW.as_secs()));
        let package = self.client.generate_key_package_message(
            ExtensionList::new(),
            self.inbox.clone(),
            time,
        );
        package.unwrap().to_bytes().unwrap()
    }

    /// Begins a group.
    pub(crate) fn create(&mut self, id: &keys::GroupId, data: Vec<u8>) {
        let time = Some(MlsTime::from(NOW.as_secs()));
        let id = id.as_bytes().to_vec();
        let inbox = self.inbox.clone();
        let group = self
            .client
            .create_group_with_id(id, saying(data), inbox, time);
        self.group = Some(group.unwrap());
    }

    /// An honest member adds the liar, and everybody else hears of it.
    pub(crate) fn is_added(&mut self, by: &mut Person, others: &mut [&mut Person]) {
        let commit = by
            .commit(groups::Wishes {
                add: vec![self.package()],
                ..groups::Wishes::default()
            })
            .unwrap();
        for other in others {
            other.receive(&commit.message).unwrap();
        }
        self.joins(&commit);
        by.group = Some(commit.next);
    }

    pub(crate) fn joins(&mut self, commit: &groups::Commit) {
        let welcome = MlsMessage::from_bytes(&commit.welcomes[0].message).unwrap();
        let tree = commit.next.tree().unwrap();
        let tree = ExportedTree::from_bytes(&tree).unwrap();
        let joined = self.inside.join_group(Some(tree), &welcome, None);
        self.group = Some(joined.unwrap().0);
    }

    pub(crate) fn group(&mut self) -> &mut Group<C> {
        self.group.as_mut().unwrap()
    }

    pub(crate) fn hears(&mut self, message: &[u8]) {
        let message = MlsMessage::from_bytes(message).unwrap();
        self.group().process_incoming_message(message).unwrap();
    }

    /// A commit; the liar itself stays in the epoch before.
    pub(crate) fn commit(
        &mut self,
        what: impl FnOnce(CommitBuilder<'_, C>) -> CommitBuilder<'_, C>,
    ) -> Vec<u8> {
        let group = self.group();
        let time = MlsTime::from(NOW.as_secs());
        let output = what(group.commit_builder().commit_time(time))
            .build()
            .unwrap();
        group.clear_pending_commit();
        output.commit_message.to_bytes().unwrap()
    }

    /// A commit that adds somebody of another suite, which no honest library makes.
    pub(crate) fn adds_blindly(&mut self, package: &[u8]) -> Vec<u8> {
        let package = MlsMessage::from_bytes(package).unwrap();
        let suite = package.as_key_package().unwrap().cipher_suite();
        self.blind.store(u16::from(suite), Ordering::Relaxed);
        let commit = self.commit(|commit| commit.add_member(package).unwrap());
        self.blind.store(0, Ordering::Relaxed);
        commit
    }

    /// A commit that the liar itself follows: the message, the Welcomes, and the tree after it.
    pub(crate) fn lead(
        &mut self,
        what: impl FnOnce(CommitBuilder<'_, C>) -> CommitBuilder<'_, C>,
    ) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
        let group = self.group();
        let time = MlsTime::from(NOW.as_secs());
        let output = what(group.commit_builder().commit_time(time))
            .build()
            .unwrap();
        group.apply_pending_commit().unwrap();
        let tree = group.export_tree().to_bytes().unwrap();
        let welcomes = output.welcome_messages.iter();
        (
            output.commit_message.to_bytes().unwrap(),
            welcomes
                .map(|welcome| welcome.to_bytes().unwrap())
                .collect(),
            tree,
        )
    }

    /// Proposes that somebody is added, and leaves the commit to others.
    pub(crate) fn proposes_to_add(&mut self, package: &[u8]) -> Vec<u8> {
        let package = MlsMessage::from_bytes(package).unwrap();
        let proposal = self.group().propose_add(package, Vec::new());
        self.group().clear_proposal_cache();
        proposal.unwrap().to_bytes().unwrap()
    }

    /// Comes in from outside, in the place of a leaf or beside all.
    pub(crate) fn break_in(&mut self, info: &[u8], tree: &[u8], place: Option<u32>) -> Vec<u8> {
        let builder = self.client.external_commit_builder().unwrap();
        let mut builder = builder
            .with_tree_data(ExportedTree::from_bytes(tree).unwrap().into_owned())
            .with_leaf_node_extensions(self.inbox.clone())
            .commit_time(MlsTime::from(NOW.as_secs()));
        if let Some(place) = place {
            builder = builder.with_removal(place);
        }
        let (group, commit) = builder
            .build(MlsMessage::from_bytes(info).unwrap())
            .unwrap();
        self.group = Some(group);
        commit.to_bytes().unwrap()
    }

    /// Proposes itself, from outside the group.
    pub(crate) fn knock(&self, info: &[u8], tree: &[u8]) -> Vec<u8> {
        let info = MlsMessage::from_bytes(info).unwrap();
        let tree = ExportedTree::from_bytes(tree).unwrap().into_owned();
        let proposal = self.client.external_add_proposal(
            &info,
            Some(tree),
            Vec::new(),
            ExtensionList::new(),
            self.inbox.clone(),
            Some(MlsTime::from(NOW.as_secs())),
        );
        proposal.unwrap().to_bytes().unwrap()
    }
}

/// A key that is in no log.
pub(crate) fn outside() -> ExternalPskId {
    ExternalPskId::new(OUTSIDE.to_vec())
}

/// Another suite, spoken by our provider and not by our groups.
pub(crate) const OTHER_SUITE: CipherSuite = CNSA2;
