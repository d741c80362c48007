//! The library's half of a group: what is the same whatever the rules and the suites are. The recorded vectors of RFC 9420
//! go through the same functions as our groups do (`replay`).

use super::malformed;
use crate::error::GroupError;
use crate::storage::Storage;
use keys::{Label, Secret, Timestamp};
use mls_rs::client_builder::MlsConfig;
use mls_rs::error::MlsError;
use mls_rs::group::{ExportedTree, ReceivedMessage};
use mls_rs::{Client, MlsMessage};
use mls_rs_codec::MlsDecode as _;
use mls_rs_core::time::MlsTime;
use zeroize::Zeroizing;

/// A message of version 1.0 with nothing behind it: the library looks at neither.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<MlsMessage, GroupError> {
    let version = bytes.starts_with(&[0, 1]);
    match MlsMessage::mls_decode(&mut bytes) {
        Ok(message) if version && bytes.is_empty() => Ok(message),
        _ => Err(malformed()),
    }
}

pub(crate) fn encode(message: &MlsMessage) -> Result<Vec<u8>, GroupError> {
    message.to_bytes().map_err(|_| GroupError::Damaged)
}

pub(crate) fn mls_time(time: Timestamp) -> MlsTime {
    MlsTime::from(time.as_secs())
}

/// Joins by a Welcome, with a tree that comes beside it or stands in it.
pub(crate) fn join<C: MlsConfig + Clone>(
    client: &Client<C>,
    welcome: &MlsMessage,
    tree: Option<ExportedTree<'_>>,
) -> Result<mls_rs::Group<C>, MlsError> {
    client
        .join_group(tree, welcome, None)
        .map(|(inner, _)| inner)
}

/// A message of the present epoch.
pub(crate) fn of_this_epoch<C: MlsConfig + Clone>(
    inner: &mls_rs::Group<C>,
    bytes: &[u8],
) -> Result<MlsMessage, GroupError> {
    let message = decode(bytes)?;
    let epoch = inner.current_epoch();
    match message.epoch() {
        Some(theirs) if theirs < epoch => Err(GroupError::PastEpoch),
        Some(theirs) if theirs > epoch => Err(GroupError::FutureEpoch),
        Some(_) => Ok(message),
        None => Err(malformed()),
    }
}

/// Takes a message in.
pub(crate) fn process<C: MlsConfig + Clone>(
    inner: &mut mls_rs::Group<C>,
    message: MlsMessage,
    now: Timestamp,
) -> Result<ReceivedMessage, MlsError> {
    inner.process_incoming_message_with_time(message, mls_time(now))
}

/// What is kept of a group besides its tree.
pub(crate) fn state<C: MlsConfig + Clone>(
    inner: &mut mls_rs::Group<C>,
    storage: &Storage,
) -> Result<Zeroizing<Vec<u8>>, GroupError> {
    inner
        .write_to_storage_without_ratchet_tree()
        .map_err(|_| GroupError::Damaged)?;
    storage.take_state().ok_or(GroupError::Damaged)
}

/// The ratchet tree.
pub(crate) fn tree<C: MlsConfig + Clone>(inner: &mls_rs::Group<C>) -> Result<Vec<u8>, GroupError> {
    inner
        .export_tree()
        .to_bytes()
        .map_err(|_| GroupError::Damaged)
}

/// Takes up again what was kept.
pub(crate) fn take_up<C: MlsConfig + Clone>(
    client: &Client<C>,
    id: &[u8],
    tree: &[u8],
) -> Result<mls_rs::Group<C>, GroupError> {
    let tree = ExportedTree::from_bytes(tree).map_err(|_| GroupError::Damaged)?;
    client
        .load_group_with_ratchet_tree(id, tree)
        .map_err(|_| GroupError::Damaged)
}

/// *Formula*: MLS-Exporter(label, "", 32) (RFC 9420, section 8.5).
pub(crate) fn export<C: MlsConfig + Clone>(
    inner: &mls_rs::Group<C>,
    label: Label,
) -> Result<Secret<32>, GroupError> {
    let secret = inner
        .export_secret(label.as_bytes(), &[], 32)
        .map_err(|_| GroupError::Damaged)?;
    Secret::from_slice(secret.as_bytes()).ok_or(GroupError::Damaged)
}
