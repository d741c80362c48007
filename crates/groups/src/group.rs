//! A group as one of its members sees it.
//!
//! Nothing here waits or stores: a group is made of what the caller kept, does one thing, and is kept again.
//! A commit of our own makes the next state beside the present one, because the relay decides which commit
//! begins the next epoch.

mod entry;
pub(crate) mod library;

use self::library::{decode, encode, mls_time};

use crate::data::{GroupData, Inbox, LeafName};
use crate::directory::Directory;
use crate::error::GroupError;
use crate::judge::{Change, Judge};
use crate::provider::{self, Provider};
use crate::storage::Storage;
use keys::{GroupId, LeafKey, Secret, Suite, Timestamp, label};
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
    WithKeyPackageRepo, WithMlsRules,
};
use mls_rs::error::MlsError;
use mls_rs::group::{CommitEffect, ContentType, ExportedTree, ReceivedMessage};
use mls_rs::{CipherSuite, Client, MlsMessageDescription};
use mls_rs_core::crypto::{SignaturePublicKey, SignatureSecretKey};
use mls_rs_core::identity::SigningIdentity;
use rand_core::CryptoRng;
use std::time::Duration;
use zeroize::Zeroizing;

pub(crate) type Config = WithCryptoProvider<
    Provider,
    WithMlsRules<
        Judge,
        WithIdentityProvider<
            Judge,
            WithGroupStateStorage<Storage, WithKeyPackageRepo<Storage, BaseConfig>>,
        >,
    >,
>;

/// How long a key package can be used; relays and devices replace it long before.
const PACKAGE_DAYS: u64 = 400;
/// How far clocks of members may be apart, in seconds.
const CLOCK_SECONDS: u64 = 2 * 24 * 3600;
/// Most leaves of a group: a message goes to all of them in one request, and that is how many a relay takes in one.
pub const LEAVES: usize = 2_000;

/// This device, as a leaf.
pub struct OurDevice {
    /// The suite of the groups that it is a leaf of, here: that of its account, or a lower one.
    pub suite: Suite,
    /// Which.
    pub name: LeafName,
    /// What its leaves in groups of that suite are signed with.
    pub leaf: LeafKey,
    /// Where it takes what is sent in groups.
    pub inbox: Inbox,
}

impl OurDevice {
    /// Who it is, as a leaf that is made anew says it.
    fn identity(&self) -> Result<SigningIdentity, GroupError> {
        let LeafName { account, device } = &self.name;
        let voucher = self.leaf.vouch(account, device);
        let voucher = voucher.map_err(|_| GroupError::Damaged)?;
        let voucher = voucher
            .as_ref()
            .map_or(&[][..], |voucher| voucher.as_bytes());
        Ok(self.identity_with(voucher))
    }

    fn identity_with(&self, voucher: &[u8]) -> SigningIdentity {
        let key = SignaturePublicKey::new_slice(self.leaf.public());
        SigningIdentity::new(self.name.credential(voucher), key)
    }

    fn secret(&self) -> SignatureSecretKey {
        SignatureSecretKey::new_slice(self.leaf.secret().expose_secret())
    }
}

/// A member's device.
pub struct Member {
    /// Its place in the tree.
    pub leaf: u32,
    /// Which.
    pub name: LeafName,
    /// What its messages verify with.
    pub leaf_key: Vec<u8>,
    /// Where it takes what is sent; nothing where it does not say.
    pub inbox: Option<Inbox>,
}

/// A group's state, for the caller to keep. The tree changes with commits alone.
pub struct Stored {
    /// Keys of the epoch, and what was used of them.
    pub state: Zeroizing<Vec<u8>>,
    /// The ratchet tree (RFC 9420, section 7).
    pub tree: Zeroizing<Vec<u8>>,
}

/// What a commit is to do. All at once, or nothing.
#[derive(Default)]
pub struct Wishes {
    /// Key packages of devices to add.
    pub add: Vec<Vec<u8>>,
    /// Leaves to remove.
    pub remove: Vec<u32>,
    /// New data of the group.
    pub data: Option<GroupData>,
}

/// A commit that has not been accepted yet.
pub struct Commit {
    /// For the members.
    pub message: Vec<u8>,
    /// For each added device.
    pub welcomes: Vec<Welcome>,
    /// The group after it.
    pub next: Group,
    /// What it does, as far as others see it.
    pub changes: Vec<Change>,
}

/// Lets one added device in, together with the tree of the epoch that it joins.
pub struct Welcome {
    /// The key package it answers ([`key_package_id`]).
    pub package: Vec<u8>,
    /// The message.
    pub message: Vec<u8>,
}

/// What a message of a group was.
pub enum Received {
    /// Something that a member says.
    Letter {
        /// Who.
        from: LeafName,
        /// What.
        content: Zeroizing<Vec<u8>>,
    },
    /// A new epoch.
    Commit {
        /// Who began it.
        by: LeafName,
        /// What is new.
        changes: Vec<Change>,
        /// Whether this device is out.
        removed: bool,
    },
    /// A member wants to leave: a leaf is to be removed by whoever commits next.
    Proposal {
        /// Who.
        from: LeafName,
    },
}

/// A key package, and what only its device knows of it.
pub struct KeyPackage {
    /// Names it in a Welcome.
    pub id: Vec<u8>,
    /// For others.
    pub public: Vec<u8>,
    /// For [`Group::join`].
    pub secret: Zeroizing<Vec<u8>>,
}

/// A group.
pub struct Group {
    inner: mls_rs::Group<Config>,
    judge: Judge,
    storage: Storage,
}

fn suite_number(suite: Suite) -> Result<CipherSuite, GroupError> {
    match suite {
        Suite::Hybrid => Ok(provider::HYBRID),
        Suite::Cnsa2 => Ok(provider::CNSA2),
        _ => Err(GroupError::WrongSuite),
    }
}

fn suite_of(number: CipherSuite) -> Result<Suite, GroupError> {
    match number {
        provider::HYBRID => Ok(Suite::Hybrid),
        provider::CNSA2 => Ok(Suite::Cnsa2),
        _ => Err(GroupError::WrongSuite),
    }
}

struct Tools {
    client: Client<Config>,
    judge: Judge,
    storage: Storage,
}

/// The library, set up for one call.
fn tools(
    suite: Suite,
    (identity, signer): (SigningIdentity, SignatureSecretKey),
    directory: Directory,
    storage: Storage,
    rng: &mut dyn CryptoRng,
) -> Result<Tools, GroupError> {
    let judge = Judge::new(directory);
    let suite = suite_number(suite)?;
    let client = Client::builder()
        .key_package_repo(storage.clone())
        .group_state_storage(storage.clone())
        .identity_provider(judge.clone())
        .mls_rules(judge.clone())
        .crypto_provider(Provider::new(Secret::random(rng)))
        .key_package_lifetime(Duration::from_secs(PACKAGE_DAYS * 24 * 3600))
        .extension_types([crate::data::GROUP_DATA, crate::data::INBOX])
        .signing_identity(identity, signer, suite)
        .build();
    Ok(Tools {
        client,
        judge,
        storage,
    })
}

/// Makes a key package for this device.
///
/// # Errors
/// The suite is not spoken here.
pub fn key_package(
    us: &OurDevice,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<KeyPackage, GroupError> {
    let directory = Directory::new();
    let signer = (us.identity()?, us.secret());
    let tools = tools(us.suite, signer, directory, Storage::default(), rng)?;
    let begin = Timestamp::from_secs(now.as_secs().saturating_sub(CLOCK_SECONDS));
    let message = tools
        .client
        .generate_key_package_message(
            Default::default(),
            us.inbox.extensions(),
            Some(mls_time(begin)),
        )
        .map_err(|error| not_genuine(&tools.judge, error))?;
    let mut packages = tools.storage.take_packages();
    let (id, package) = packages.pop_first().ok_or(GroupError::Damaged)?;
    Ok(KeyPackage {
        id,
        public: encode(&message)?,
        secret: crate::package::encode(&us.secret(), &package)?,
    })
}

/// The device that a key package is for, and the suite it speaks.
///
/// # Errors
/// The bytes are no key package, or of a suite that is not spoken here.
pub fn key_package_of(public: &[u8]) -> Result<(LeafName, Suite), GroupError> {
    let message = decode(public)?;
    let package = message.as_key_package().ok_or_else(malformed)?;
    let suite = suite_of(package.cipher_suite())?;
    let name = LeafName::of(package.signing_identity()).ok_or_else(malformed)?;
    Ok((name, suite))
}

/// The key packages that a Welcome answers.
///
/// # Errors
/// The bytes are no Welcome.
pub fn packages_of(welcome: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
    let message = decode(welcome)?;
    match message.description() {
        MlsMessageDescription::Welcome {
            key_package_refs, ..
        } => Ok(key_package_refs
            .iter()
            .map(|reference| reference.to_vec())
            .collect()),
        _ => Err(malformed()),
    }
}

/// The suite of the group that a Welcome leads into.
///
/// # Errors
/// The bytes are no Welcome, or of a suite that is not spoken here.
pub fn suite_of_welcome(welcome: &[u8]) -> Result<Suite, GroupError> {
    match decode(welcome)?.description() {
        MlsMessageDescription::Welcome { cipher_suite, .. } => suite_of(cipher_suite),
        _ => Err(malformed()),
    }
}

/// The tree of a group that is not known yet.
fn tree_of(bytes: &[u8]) -> Result<ExportedTree<'static>, GroupError> {
    let tree = ExportedTree::from_bytes(bytes).map_err(|_| malformed())?;
    // SECURITY: whoever invites chooses the tree, and its accounts are all asked for; `a_group_has_an_end` notices.
    match tree.roster().member_identities_iter().count() > LEAVES {
        true => Err(GroupError::TooLarge),
        false => Ok(tree),
    }
}

/// The devices of a tree, before it is joined.
///
/// # Errors
/// The bytes are no tree, or one of more than [`LEAVES`].
pub fn names_of(tree: &[u8]) -> Result<Vec<LeafName>, GroupError> {
    let tree = tree_of(tree)?;
    let identities = tree.roster();
    identities
        .member_identities_iter()
        .map(|identity| LeafName::of(identity).ok_or_else(malformed))
        .collect()
}

impl Group {
    /// Which group.
    ///
    /// # Errors
    /// [`GroupError::NotGenuine`]: its id is not of our form.
    pub fn id(&self) -> Result<GroupId, GroupError> {
        GroupId::from_slice(self.inner.group_id()).ok_or_else(malformed)
    }

    /// What the caller keeps.
    ///
    /// # Errors
    /// [`GroupError::Damaged`]: the library cannot write its state.
    pub fn store(&mut self) -> Result<Stored, GroupError> {
        Ok(Stored {
            state: self.store_state()?,
            tree: Zeroizing::new(self.tree()?),
        })
    }

    /// What the caller keeps where no commit came: all but the tree.
    ///
    /// # Errors
    /// [`GroupError::Damaged`]: the library cannot write its state.
    pub fn store_state(&mut self) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        library::state(&mut self.inner, &self.storage)
    }

    /// The ratchet tree.
    ///
    /// # Errors
    /// [`GroupError::Damaged`]: the library cannot write it.
    pub fn tree(&self) -> Result<Vec<u8>, GroupError> {
        library::tree(&self.inner)
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.current_epoch()
    }

    /// The suite.
    ///
    /// # Errors
    /// [`GroupError::WrongSuite`]: never of a group that was made or joined here.
    pub fn suite(&self) -> Result<Suite, GroupError> {
        suite_of(self.inner.cipher_suite())
    }

    /// Every device of every member.
    ///
    /// # Errors
    /// [`GroupError::Damaged`]: a leaf names no device.
    pub fn members(&self) -> Result<Vec<Member>, GroupError> {
        self.inner
            .roster()
            .members_iter()
            .map(|member| {
                Ok(Member {
                    leaf: member.index,
                    name: LeafName::of(&member.signing_identity).ok_or(GroupError::Damaged)?,
                    leaf_key: member.signing_identity.signature_key.as_bytes().to_vec(),
                    inbox: Inbox::of(&member.extensions).ok(),
                })
            })
            .collect()
    }

    /// What the members agree on.
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn data(&self) -> Result<GroupData, GroupError> {
        GroupData::of(&self.inner.context().extensions).map_err(|_| GroupError::Damaged)
    }

    /// Shows the relay that a sender is in this epoch.
    ///
    /// *Formula*: MLS-Exporter("letterlock/v1/group/token", "", 32) (RFC 9420, section 8.5).
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn epoch_token(&self) -> Result<Secret<32>, GroupError> {
        library::export(&self.inner, label::GROUP_TOKEN)
    }

    /// Hides what is sent in this epoch from those who carry it.
    ///
    /// *Formula*: MLS-Exporter("letterlock/v1/group/envelope", "", 32) (RFC 9420, section 8.5).
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn envelope_key(&self) -> Result<Secret<32>, GroupError> {
        library::export(&self.inner, label::GROUP_ENVELOPE)
    }

    /// Whether somebody's wish to leave waits for a commit; until then no letter can be sealed.
    #[must_use]
    pub fn commit_needed(&self) -> bool {
        self.inner.commit_required()
    }

    /// Seals a letter for all members.
    ///
    /// # Errors
    /// [`GroupError::Damaged`]; also where [`commit_needed`](Self::commit_needed).
    pub fn seal(&mut self, content: &[u8]) -> Result<Vec<u8>, GroupError> {
        let message = self
            .inner
            .encrypt_application_message(content, Vec::new())
            .map_err(|error| not_genuine(&self.judge, error))?;
        encode(&message)
    }

    /// Proposes that a leaf of our own account is removed, this one or another. Whoever commits next does it.
    ///
    /// # Errors
    /// The leaf is not there.
    pub fn propose_removal(&mut self, leaf: u32) -> Result<Vec<u8>, GroupError> {
        let message = self
            .inner
            .propose_remove(leaf, Vec::new())
            .map_err(|error| not_genuine(&self.judge, error))?;
        encode(&message)
    }

    /// Makes a commit. The group itself stays as it is: [`Commit::next`] takes its place once the relay has
    /// accepted the commit. This device has new keys after it, unless it does nothing but add.
    ///
    /// # Errors
    /// [`GroupError::LogsNeeded`] and others, by what is wished.
    pub fn commit(
        &self,
        us: &OurDevice,
        wishes: Wishes,
        now: Timestamp,
    ) -> Result<Commit, GroupError> {
        let mut next = self.inner.clone();
        let refused = |error| not_genuine(&self.judge, error);
        let only_adds = !wishes.add.is_empty() && wishes.remove.is_empty() && wishes.data.is_none();
        let mut builder = next.commit_builder().commit_time(mls_time(now));
        for package in &wishes.add {
            builder = builder.add_member(decode(package)?).map_err(refused)?;
        }
        for leaf in wishes.remove {
            builder = builder.remove_member(leaf).map_err(refused)?;
        }
        if let Some(data) = &wishes.data {
            builder = builder
                .set_group_context_ext(data.extensions())
                .map_err(refused)?;
        }
        let own = self
            .inner
            .current_member_signing_identity()
            .map_err(refused)?;
        // A new leaf key comes with a path. A commit that only adds has none: others know the key before alone, by
        // which it is signed, and a commit after it brings the new one;
        // `new_keys_of_the_device_wait_for_a_commit_that_brings_them` notices.
        if !only_adds && own.signature_key.as_bytes() != us.leaf.public() {
            builder = builder.set_new_signing_identity(us.secret(), us.identity()?);
        }
        let output = builder.build().map_err(refused)?;
        let (_, changes) = self.judge.take_changes();
        next.apply_pending_commit().map_err(refused)?;
        let welcomes = output
            .welcome_messages
            .iter()
            .map(|welcome| {
                let message = encode(welcome)?;
                let package = packages_of(&message)?.into_iter().next();
                Ok(Welcome {
                    package: package.ok_or(GroupError::Damaged)?,
                    message,
                })
            })
            .collect::<Result<_, GroupError>>()?;
        Ok(Commit {
            message: encode(&output.commit_message)?,
            welcomes,
            next: Self {
                inner: next,
                judge: self.judge.clone(),
                storage: self.storage.clone(),
            },
            changes,
        })
    }

    /// Takes in what was sent in the group.
    ///
    /// # Errors
    /// Why not. Where logs are needed, the caller loads the group again with a larger directory.
    pub fn receive(&mut self, message: &[u8], now: Timestamp) -> Result<Received, GroupError> {
        let message = library::of_this_epoch(&self.inner, message)?;
        // SECURITY: what is public here comes from outside the tree, and that can only be a commit of a device that
        // comes back; `a_public_message_is_refused` notices.
        if let MlsMessageDescription::PublicProtocolMessage {
            content_type,
            sender,
            ..
        } = message.description()
        {
            let from_outside = sender == mls_rs::group::Sender::NewMemberCommit;
            if content_type != ContentType::Commit || !from_outside {
                return Err(GroupError::ChangeForbidden {
                    what: "a message in the open",
                });
            }
        }
        let received = library::process(&mut self.inner, message, now)
            .map_err(|error| not_genuine(&self.judge, error))?;
        match received {
            ReceivedMessage::ApplicationMessage(letter) => Ok(Received::Letter {
                from: self.name_at(letter.sender_index)?,
                content: Zeroizing::new(letter.data().to_vec()),
            }),
            ReceivedMessage::Commit(commit) => {
                let (by, changes) = self.judge.take_changes();
                Ok(Received::Commit {
                    by: by.ok_or(GroupError::Damaged)?,
                    changes,
                    removed: matches!(commit.effect, CommitEffect::Removed { .. }),
                })
            }
            ReceivedMessage::Proposal(proposal) => match proposal.sender {
                mls_rs::group::ProposalSender::Member(leaf) => Ok(Received::Proposal {
                    from: self.name_at(leaf)?,
                }),
                _ => Err(malformed()),
            },
            _ => Err(malformed()),
        }
    }

    fn name_at(&self, leaf: u32) -> Result<LeafName, GroupError> {
        self.inner
            .member_at_index(leaf)
            .and_then(|member| LeafName::of(&member.signing_identity))
            .ok_or(GroupError::Damaged)
    }

    /// Describes the group to a device of a member that lost its state ([`Group::rejoin`]).
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn info(&self) -> Result<Vec<u8>, GroupError> {
        let info = self
            .inner
            .group_info_message_allowing_ext_commit(false)
            .map_err(|error| not_genuine(&self.judge, error))?;
        encode(&info)
    }
}

fn malformed() -> GroupError {
    GroupError::NotGenuine {
        what: "not of this form".to_owned(),
    }
}

/// The judge's reason, or else the library's.
fn not_genuine(judge: &Judge, error: MlsError) -> GroupError {
    if let Some(verdict) = judge.take_verdict() {
        return verdict;
    }
    match error {
        MlsError::CantProcessMessageFromSelf => GroupError::Own,
        MlsError::KeyMissing(_) => GroupError::Repeated,
        MlsError::WelcomeKeyPackageNotFound => GroupError::NoKeyPackage,
        MlsError::InvalidSignature => GroupError::BadSignature,
        MlsError::CipherSuiteMismatch | MlsError::UnsupportedCipherSuite(_) => {
            GroupError::WrongSuite
        }
        error => GroupError::not_genuine(&error),
    }
}
