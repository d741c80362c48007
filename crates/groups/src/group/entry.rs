//! How a device comes to have a group: begun, taken up again, joined, come back into.

use super::library::{self, decode, encode, mls_time};
use super::{
    Config, Group, OurDevice, Stored, Tools, malformed, not_genuine, suite_number, tools, tree_of,
};
use crate::data::{GroupData, LeafName};
use crate::directory::Directory;
use crate::error::GroupError;
use crate::storage::Storage;
use keys::{GroupId, Timestamp};
use mls_rs::MlsMessageDescription;
use mls_rs::error::MlsError;
use rand_core::CryptoRng;

impl Group {
    /// Begins a group with this device as its only leaf.
    ///
    /// # Errors
    /// [`GroupError::WrongSuite`].
    pub fn create(
        us: &OurDevice,
        directory: Directory,
        id: &GroupId,
        data: &GroupData,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, GroupError> {
        let signer = (us.identity()?, us.secret());
        let tools = tools(us.suite, signer, directory, Storage::default(), rng)?;
        let inner = tools.client.create_group_with_id(
            id.as_bytes().to_vec(),
            data.extensions(),
            us.inbox.extensions(),
            Some(mls_time(now)),
        );
        Self::finish(tools, inner)
    }

    fn finish(
        tools: Tools,
        inner: Result<mls_rs::Group<Config>, MlsError>,
    ) -> Result<Self, GroupError> {
        match inner {
            Ok(inner) => Ok(Self {
                inner,
                judge: tools.judge,
                storage: tools.storage,
            }),
            Err(error) => Err(not_genuine(&tools.judge, error)),
        }
    }

    /// Takes a group up again.
    ///
    /// # Errors
    /// [`GroupError::Damaged`].
    pub fn load(
        us: &OurDevice,
        directory: Directory,
        id: &GroupId,
        stored: &Stored,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, GroupError> {
        let storage = Storage::with_state(stored.state.clone());
        // The leaf is in the tree already, with its voucher.
        let signer = (us.identity_with(&[]), us.secret());
        let tools = tools(us.suite, signer, directory, storage, rng)?;
        let inner = library::take_up(&tools.client, id.as_bytes(), &stored.tree)?;
        let group = Self::finish(tools, Ok(inner))?;
        match group.id()? == *id {
            true => Ok(group),
            false => Err(GroupError::Damaged),
        }
    }

    /// Joins by a Welcome, with the name and the private half of a key package of ours. The directory must know the
    /// accounts of [`names_of`] the tree.
    ///
    /// # Errors
    /// [`GroupError::NoKeyPackage`]: it answers another package, as one that was used before. Else what is wrong with
    /// the invitation.
    pub fn join(
        us: &OurDevice,
        directory: Directory,
        (welcome, tree): (&[u8], &[u8]),
        (id, secret): (&[u8], &[u8]),
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, GroupError> {
        let message = decode(welcome)?;
        let suite = suite_number(us.suite)?;
        match message.description() {
            MlsMessageDescription::Welcome { cipher_suite, .. } if cipher_suite != suite => {
                return Err(GroupError::WrongSuite);
            }
            MlsMessageDescription::Welcome { .. } => {}
            _ => return Err(malformed()),
        }
        let storage = Storage::default();
        // SECURITY: under its own name, so that a Welcome finds no other package than the one that it answers;
        // `an_invitation_opens_with_its_own_package_alone` notices.
        let (signer, package) = crate::package::decode(secret)?;
        storage.put_package(id.to_vec(), package);
        // The leaf is that of the key package, and so is its key: this device may have another one by now;
        // `who_has_new_keys_when_it_comes_in_speaks_with_those_of_its_package` notices.
        let signer = (us.identity_with(&[]), signer);
        let tools = tools(us.suite, signer, directory, storage, rng)?;
        let tree = tree_of(tree)?;
        let inner = library::join(&tools.client, &message, Some(tree));
        let group = Self::finish(tools, inner)?;
        group.id()?;
        group.is_of_its_pair()?;
        Ok(group)
    }

    /// SECURITY: nobody else is in a pair, from its beginning on; `a_pair_with_somebody_else_is_not_joined` notices.
    fn is_of_its_pair(&self) -> Result<(), GroupError> {
        let data = GroupData::of(&self.inner.context().extensions).map_err(|_| malformed())?;
        let Some(pair) = data.pair else {
            return Ok(());
        };
        for member in self.members()? {
            if !pair.contains(&member.name.account) {
                return Err(GroupError::RoleForbids {
                    account: member.name.account,
                    what: "be in a pair",
                });
            }
        }
        Ok(())
    }

    /// Comes back into a group whose state was lost: a commit from outside that replaces our old leaf, if it is still
    /// there. Takes what [`Group::info`] of a member gave.
    ///
    /// # Errors
    /// What is wrong with the group's description.
    pub fn rejoin(
        us: &OurDevice,
        directory: Directory,
        (info, tree): (&[u8], &[u8]),
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), GroupError> {
        let message = decode(info)?;
        // SECURITY: nobody leads a device back into another suite than the group's; `the_way_back_keeps_the_suite`
        // notices.
        if message.cipher_suite() != Some(suite_number(us.suite)?) {
            return Err(GroupError::WrongSuite);
        }
        let signer = (us.identity()?, us.secret());
        let tools = tools(us.suite, signer, directory, Storage::default(), rng)?;
        let tree = tree_of(tree)?;
        let old = tree
            .roster()
            .members_iter()
            .find(|member| LeafName::of(&member.signing_identity) == Some(us.name));
        let built = tools.client.external_commit_builder().and_then(|builder| {
            let builder = builder
                .with_tree_data(tree)
                .with_leaf_node_extensions(us.inbox.extensions())
                .commit_time(mls_time(now));
            match old {
                Some(old) => builder.with_removal(old.index),
                None => builder,
            }
            .build(message)
        });
        match built {
            Ok((inner, commit)) => {
                let commit = encode(&commit)?;
                let group = Self::finish(tools, Ok(inner))?;
                group.is_of_its_pair()?;
                Ok((group, commit))
            }
            Err(error) => Err(not_genuine(&tools.judge, error)),
        }
    }
}
