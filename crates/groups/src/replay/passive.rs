//! `passive-client-welcome.json` and `passive-client-handling-commit.json`: a client of the library on our provider
//! joins the recorded group and follows its commits.

use super::ReplayError;
use super::facts::{Facts, must, provider};
use super::framing::decodes;
use super::json::{bytes, hex, list, optional};
use super::labeled::ref_hash;
use mls_rs::client_builder::MlsConfig;
use mls_rs::error::MlsError;
use mls_rs::group::ExportedTree;
use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs::psk::ExternalPskId;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{Client, Group, MlsMessage};
use mls_rs_codec::MlsEncode as _;
use mls_rs_core::crypto::CipherSuiteProvider as _;
use mls_rs_core::key_package::KeyPackageData;
use serde_json::Value;

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let message = bytes(case, "key_package")?;
    decodes(facts, "key_package", &message)?;
    let package = must("key_package", MlsMessage::from_bytes(&message))?
        .into_key_package()
        .ok_or_else(|| ReplayError::new("no key package"))?;
    let encoded = must("key_package", package.mls_encode_to_vec())?;
    let reference = ref_hash(&suite, b"MLS 1.0 KeyPackage Reference", &encoded)?;
    let storage = InMemoryKeyPackageStorage::new();
    let secrets = KeyPackageData::new(
        encoded,
        bytes(case, "init_priv")?.into(),
        bytes(case, "encryption_priv")?.into(),
        u64::MAX,
    );
    storage.insert(reference, secrets);
    let mut builder = Client::builder()
        .crypto_provider(provider())
        .identity_provider(BasicIdentityProvider::new())
        .key_package_repo(storage);
    for psk in list(case, "external_psks")? {
        let id = ExternalPskId::new(bytes(psk, "psk_id")?);
        builder = builder.psk(id, bytes(psk, "psk")?.into());
    }
    let identity = package.signing_identity().clone();
    let key = bytes(case, "signature_priv")?.into();
    let client = builder
        .signing_identity(identity, key, suite.cipher_suite())
        .build();

    let welcome = bytes(case, "welcome")?;
    decodes(facts, "welcome", &welcome)?;
    let welcome = must("welcome", MlsMessage::from_bytes(&welcome))?;
    let tree = match optional(case, "ratchet_tree") {
        Some(_) => Some(bytes(case, "ratchet_tree")?),
        None => None,
    };
    let tree = match &tree {
        Some(tree) => Some(must("ratchet_tree", ExportedTree::from_bytes(tree))?),
        None => None,
    };
    let (mut group, _) = must("welcome", client.join_group(tree, &welcome, None))?;
    in_epoch(&group, case, "initial_epoch_authenticator", facts)?;
    for epoch in list(case, "epochs")? {
        for proposal in list(epoch, "proposals")? {
            let proposal = hex(proposal.as_str().unwrap_or_default())?;
            handle(&mut group, "proposal", &proposal, facts)?;
        }
        let commit = bytes(epoch, "commit")?;
        decodes(facts, "commit", &commit)?;
        let message = must("commit", MlsMessage::from_bytes(&commit))?;
        match group.process_incoming_message(message) {
            Ok(_) => {}
            // Groups keep no epoch but the present one, so a pre-shared key of an earlier one is not at hand.
            Err(MlsError::OldGroupStateNotFound) => {
                facts.ends_at_past_epoch();
                return Ok(());
            }
            Err(error) => return must("commit", Err(error)),
        }
        in_epoch(&group, epoch, "epoch_authenticator", facts)?;
    }
    Ok(())
}

fn handle(
    group: &mut Group<impl MlsConfig>,
    name: &str,
    message: &[u8],
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    decodes(facts, name, message)?;
    let message = must(name, MlsMessage::from_bytes(message))?;
    must(name, group.process_incoming_message(message)).map(drop)
}

fn in_epoch(
    group: &Group<impl MlsConfig>,
    recorded: &Value,
    key: &str,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let authenticator = must(key, group.epoch_authenticator())?;
    facts.same(key, authenticator.as_bytes(), &bytes(recorded, key)?)
}
