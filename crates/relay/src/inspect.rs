//! `inspect`: what is stored, as the operator sees it.

use crate::os;
use crate::store;
use keys::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// All that a relay stores, but for the bytes that it cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectReport {
    /// The relay's id, hexadecimal.
    pub relay_id: String,
    /// Number of transactions.
    pub store_version: u64,
    /// Registered accounts: public names and logs.
    pub accounts: Vec<Account>,
    /// Queues, which belong to nobody as far as the store knows.
    pub queues: Vec<Queue>,
    /// Bodies that wait, the first 10,000.
    pub letters: Vec<LetterRow>,
    /// Blobs.
    pub blobs: Vec<BlobRow>,
    /// One-time pre-keys that wait.
    pub one_time_pre_keys: u64,
    /// Key packages that wait, those of last resort too.
    pub key_packages: u64,
    /// Tickets of invites that are remembered.
    pub tickets: u64,
    /// Heads, and what is remembered of deleted ones.
    pub heads: u64,
    /// Locks.
    pub locks: u64,
    /// Groups, of which nothing says who is in them.
    pub groups: Vec<GroupRow>,
}

/// A registered account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its id, base32.
    pub account_id: String,
    /// Length of its log.
    pub log_bytes: u64,
    /// Hour of the registration, in Unix seconds.
    pub hour: u64,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Queue {
    /// Its id, base32.
    pub queue_id: String,
    /// Bodies that wait.
    pub waiting: u64,
    /// Everything up to here is deleted.
    pub acknowledged: u64,
    /// Hour it was made, in Unix seconds.
    pub hour: u64,
}

/// A body that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LetterRow {
    /// Its queue, base32.
    pub queue_id: String,
    /// Its place there.
    pub seq: u64,
    /// Its length: one of four.
    pub bucket: u64,
    /// Hour it was accepted, in Unix seconds.
    pub hour: u64,
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlobRow {
    /// Its id, base32.
    pub blob_id: String,
    /// Its length.
    pub bytes: u64,
    /// Whether it is whole.
    pub complete: bool,
    /// Hour it was begun, in Unix seconds.
    pub hour: u64,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupRow {
    /// Its id, base32.
    pub group_id: String,
    /// Its epoch.
    pub epoch: u64,
    /// Hour in which that began, in Unix seconds.
    pub hour: u64,
}

/// Why a store cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// No relay ever ran there.
    #[error("there is no relay's store in {}", .0.display())]
    NoStore(PathBuf),
    /// Nobody has this name.
    #[error("nobody has the name {0:?} here")]
    NoName(String),
    /// The database cannot be read or written.
    #[error("the store cannot be opened: {0}")]
    Store(#[source] rusqlite::Error),
}

/// Looks at a data folder, also while a relay runs on it.
///
/// # Errors
/// [`InspectError`].
pub fn inspect(data: &Path) -> Result<InspectReport, InspectError> {
    if !store::exists(data) {
        return Err(InspectError::NoStore(data.to_owned()));
    }
    store::inspect(data).map_err(InspectError::Store)
}

/// Frees a name, also while a relay runs: the last way out for somebody who lost every key and begins anew. The account
/// that had it goes on under the name that is given back. Contacts of that account are stopped when the name is
/// somebody else's.
///
/// # Errors
/// [`InspectError`].
pub fn release_name(data: &Path, name: &str) -> Result<String, InspectError> {
    if !store::exists(data) {
        return Err(InspectError::NoStore(data.to_owned()));
    }
    store::release(data, name)
        .map_err(InspectError::Store)?
        .ok_or_else(|| InspectError::NoName(name.to_owned()))
}

/// Makes a registration code that counts once within so many seconds, also while a relay runs. The relay keeps
/// its hash.
///
/// # Errors
/// [`InspectError`].
pub fn make_registration_code(data: &Path, valid_seconds: u64) -> Result<String, InspectError> {
    if !store::exists(data) {
        return Err(InspectError::NoStore(data.to_owned()));
    }
    let code = data_encoding::BASE32_NOPAD
        .encode(&os::random::<10>())
        .to_ascii_lowercase();
    let expires = Timestamp::from_secs(os::now().as_secs().saturating_add(valid_seconds));
    store::make_code(data, &keys::sha256(&[code.as_bytes()]), expires)
        .map_err(InspectError::Store)?;
    Ok(code)
}
