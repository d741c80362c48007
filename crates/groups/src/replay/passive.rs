//! `passive-client-welcome.json` and `passive-client-handling-commit.json`: a client of the library, on our provider and our
//! storage, joins the recorded group and follows its commits by the functions by which [`Group`](crate::Group) does
//! ([`library`]). Before each message the group is stored, forgotten and taken up again, as ours are.
//!
//! What stands between those functions and the rest of `Group` is left out, since the recorded groups have none of it: ids of
//! 32 bytes, the group's data with its roles, credentials that name a device of an account log, private halves that are
//! seeds, and the rule that nothing but a commit from outside is public.

use super::ReplayError;
use super::facts::{Facts, must, provider};
use super::framing::decodes;
use super::json::{bytes, hex, list, optional};
use super::labeled::ref_hash;
use crate::group::library::{self, decode};
use crate::group::packages_of;
use crate::storage::Storage;
use keys::Timestamp;
use mls_rs::client_builder::MlsConfig;
use mls_rs::error::MlsError;
use mls_rs::group::{CommitEffect, ExportedTree, ReceivedMessage};
use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs::psk::ExternalPskId;
use mls_rs::{Client, Group};
use mls_rs_codec::MlsEncode as _;
use mls_rs_core::crypto::CipherSuiteProvider as _;
use mls_rs_core::key_package::KeyPackageData;
use serde_json::Value;

/// The recorded key packages are valid at any time.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A client and its group, as far as that is kept.
struct Passive<C: MlsConfig> {
    client: Client<C>,
    storage: Storage,
    inner: Group<C>,
}

impl<C: MlsConfig> Passive<C> {
    /// Stores the group and takes it up again.
    fn again(&mut self) -> Result<(), ReplayError> {
        let id = self.inner.group_id().to_vec();
        let tree = must("tree", library::tree(&self.inner))?;
        let state = must("state", library::state(&mut self.inner, &self.storage))?;
        self.storage.put_state(state);
        self.inner = must("state", library::take_up(&self.client, &id, &tree))?;
        Ok(())
    }

    fn handle(&mut self, message: &[u8]) -> Result<Result<ReceivedMessage, MlsError>, ReplayError> {
        self.again()?;
        let message = must("message", library::of_this_epoch(&self.inner, message))?;
        Ok(library::process(&mut self.inner, message, NOW))
    }

    fn in_epoch(&self, recorded: &Value, key: &str, facts: &mut Facts) -> Result<(), ReplayError> {
        let authenticator = must(key, self.inner.epoch_authenticator())?;
        facts.same(key, authenticator.as_bytes(), &bytes(recorded, key)?)
    }
}

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let message = bytes(case, "key_package")?;
    decodes(facts, "key_package", &message)?;
    let package = must("key_package", decode(&message))?
        .into_key_package()
        .ok_or_else(|| ReplayError::new("no key package"))?;
    let encoded = must("key_package", package.mls_encode_to_vec())?;
    let reference = ref_hash(&suite, b"MLS 1.0 KeyPackage Reference", &encoded)?;
    let welcome = bytes(case, "welcome")?;
    decodes(facts, "welcome", &welcome)?;
    let answered = must("welcome", packages_of(&welcome))?;
    facts.holds("welcome", answered.contains(&reference))?;
    let storage = Storage::default();
    let secrets = KeyPackageData::new(
        encoded,
        bytes(case, "init_priv")?.into(),
        bytes(case, "encryption_priv")?.into(),
        u64::MAX,
    );
    storage.put_package(reference, secrets);
    let mut builder = Client::builder()
        .crypto_provider(provider())
        .identity_provider(BasicIdentityProvider::new())
        .key_package_repo(storage.clone())
        .group_state_storage(storage.clone());
    for psk in list(case, "external_psks")? {
        let id = ExternalPskId::new(bytes(psk, "psk_id")?);
        builder = builder.psk(id, bytes(psk, "psk")?.into());
    }
    let identity = package.signing_identity().clone();
    let key = bytes(case, "signature_priv")?.into();
    let client = builder
        .signing_identity(identity, key, suite.cipher_suite())
        .build();
    let tree = match optional(case, "ratchet_tree") {
        Some(_) => Some(bytes(case, "ratchet_tree")?),
        None => None,
    };
    let tree = match &tree {
        Some(tree) => Some(must("ratchet_tree", ExportedTree::from_bytes(tree))?),
        None => None,
    };
    let welcome = must("welcome", decode(&welcome))?;
    let inner = must("welcome", library::join(&client, &welcome, tree))?;
    let passive = Passive {
        client,
        storage,
        inner,
    };
    follow(passive, case, facts)
}

fn follow(
    mut passive: Passive<impl MlsConfig>,
    case: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    passive.in_epoch(case, "initial_epoch_authenticator", facts)?;
    for epoch in list(case, "epochs")? {
        for proposal in list(epoch, "proposals")? {
            let proposal = hex(proposal.as_str().unwrap_or_default())?;
            decodes(facts, "proposal", &proposal)?;
            let handled = must("proposal", passive.handle(&proposal)?)?;
            let is_proposal = matches!(handled, ReceivedMessage::Proposal(_));
            facts.holds("proposal", is_proposal)?;
        }
        let commit = bytes(epoch, "commit")?;
        decodes(facts, "commit", &commit)?;
        match passive.handle(&commit)? {
            Ok(ReceivedMessage::Commit(commit)) => {
                let goes_on = matches!(commit.effect, CommitEffect::NewEpoch(_));
                facts.holds("commit", goes_on)?;
            }
            // Groups keep no epoch but the present one, so a pre-shared key of an earlier one is not at hand.
            Err(MlsError::OldGroupStateNotFound) => {
                facts.ends_at_past_epoch();
                return Ok(());
            }
            other => {
                must("commit", other)?;
                return Err(ReplayError::new("no commit").at("commit"));
            }
        }
        passive.in_epoch(epoch, "epoch_authenticator", facts)?;
        passive.again()?;
        passive.in_epoch(epoch, "epoch_authenticator", facts)?;
    }
    Ok(())
}
