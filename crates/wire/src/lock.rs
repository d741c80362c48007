//! Locks: a key that only the relay has, given out some time after somebody with the token asked for it, unless
//! the owner objects.
//!
//! ```text
//!            OpenLock              the delay is over
//!   closed ───────────► opening ───────────────────► open: OpenLock gives the key
//!      ▲                   │                           │
//!      └────CancelLock─────┴────────CancelLock─────────┘
//! ```
//!
//! | state | `OpenLock` | `CancelLock` | `LockStatus` |
//! |---|---|---|---|
//! | closed | begins the delay, says its end | `Done` | no time |
//! | opening | says its end | closes | its end |
//! | open | the key | closes | its end, which has passed |

use crate::capability::{LockKey, LockToken};
use crate::error::{DecodeError, array, field};
use crate::limits::LOCK_DELAY_SECONDS;
use crate::proto;
use crate::request::bytes_of;
use keys::{Timestamp, label, sha256};

/// Makes a lock. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutLock {
    /// Ed25519 key of the owner; [`lock_id`] is its hash.
    pub public_key: [u8; 32],
    /// What is given out in the end.
    pub key: LockKey,
    /// SHA-256 of the token that allows to open it.
    pub token_hash: [u8; 32],
    /// Between the first [`OpenLock`] and the key; within [`LOCK_DELAY_SECONDS`].
    pub delay_seconds: u64,
    /// By the owner's key over [`put_lock_message`].
    pub signature: [u8; 64],
}

/// Begins to open a lock, and asks for its key once it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLock {
    /// See [`lock_id`].
    pub id: [u8; 32],
    /// Allows to open it.
    pub token: LockToken,
}

/// Closes a lock that opens or is open. Closing one that is closed is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelLock {
    /// As in [`PutLock`].
    pub public_key: [u8; 32],
    /// The time of the [`LockState`] that is meant, so that the signature is of no use against a later opening.
    pub opens_at: Timestamp,
    /// By the owner's key over [`cancel_lock_message`].
    pub signature: [u8; 64],
}

/// Asks whether a lock is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockStatus {
    /// See [`lock_id`].
    pub id: [u8; 32],
}

/// Deletes a lock. Deleting one that is not there is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteLock {
    /// As in [`PutLock`].
    pub public_key: [u8; 32],
    /// By the owner's key over [`delete_lock_message`].
    pub signature: [u8; 64],
}

/// What a lock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockState {
    /// From when on its key is given out, to the second by the relay's clock; nothing while it is closed.
    pub opens_at: Option<Timestamp>,
}

/// The id of the lock of a key: its SHA-256.
#[must_use]
pub fn lock_id(public_key: &[u8; 32]) -> [u8; 32] {
    sha256(&[public_key])
}

/// What the owner of a lock signs to make it. The signature in the request is not read.
///
/// *Formula*: `label ‖ 00 ‖ lock id ‖ SHA-256(key) ‖ token hash ‖ BE8(delay)`.
#[must_use]
pub fn put_lock_message(request: &PutLock) -> Vec<u8> {
    [
        label::PUT_LOCK.as_bytes(),
        &[0],
        &lock_id(&request.public_key),
        &sha256(&[request.key.as_bytes()]),
        &request.token_hash,
        &request.delay_seconds.to_be_bytes(),
    ]
    .concat()
}

/// What the owner of a lock signs to close it.
///
/// *Formula*: `label ‖ 00 ‖ lock id ‖ BE8(opens_at)`.
#[must_use]
pub fn cancel_lock_message(public_key: &[u8; 32], opens_at: Timestamp) -> Vec<u8> {
    [
        label::CANCEL_LOCK.as_bytes(),
        &[0],
        &lock_id(public_key),
        &opens_at.as_secs().to_be_bytes(),
    ]
    .concat()
}

/// What the owner of a lock signs to delete it.
///
/// *Formula*: `label ‖ 00 ‖ lock id`.
#[must_use]
pub fn delete_lock_message(public_key: &[u8; 32]) -> Vec<u8> {
    [label::DELETE_LOCK.as_bytes(), &[0], &lock_id(public_key)].concat()
}

impl PutLock {
    pub(crate) fn to_proto(&self) -> proto::PutLock {
        proto::PutLock {
            public_key: bytes_of(&self.public_key),
            key: bytes_of(self.key.as_bytes()),
            token_hash: bytes_of(&self.token_hash),
            delay_seconds: self.delay_seconds,
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::PutLock) -> Result<Self, DecodeError> {
        if !LOCK_DELAY_SECONDS.contains(&request.delay_seconds) {
            return Err(field("delay_seconds"));
        }
        Ok(Self {
            public_key: array(&request.public_key, "public_key")?,
            key: LockKey::from_bytes(array(&request.key, "key")?),
            token_hash: array(&request.token_hash, "token_hash")?,
            delay_seconds: request.delay_seconds,
            signature: array(&request.signature, "signature")?,
        })
    }
}

impl OpenLock {
    pub(crate) fn to_proto(self) -> proto::OpenLock {
        proto::OpenLock {
            id: bytes_of(&self.id),
            token: bytes_of(self.token.as_bytes()),
        }
    }

    pub(crate) fn from_proto(request: &proto::OpenLock) -> Result<Self, DecodeError> {
        Ok(Self {
            id: array(&request.id, "id")?,
            token: LockToken::from_bytes(array(&request.token, "token")?),
        })
    }
}

impl CancelLock {
    pub(crate) fn to_proto(&self) -> proto::CancelLock {
        proto::CancelLock {
            public_key: bytes_of(&self.public_key),
            opens_at: self.opens_at.as_secs(),
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::CancelLock) -> Result<Self, DecodeError> {
        Ok(Self {
            public_key: array(&request.public_key, "public_key")?,
            opens_at: Timestamp::from_secs(request.opens_at),
            signature: array(&request.signature, "signature")?,
        })
    }
}

impl LockStatus {
    pub(crate) fn to_proto(self) -> proto::LockStatus {
        proto::LockStatus {
            id: bytes_of(&self.id),
        }
    }

    pub(crate) fn from_proto(request: &proto::LockStatus) -> Result<Self, DecodeError> {
        Ok(Self {
            id: array(&request.id, "id")?,
        })
    }
}

impl DeleteLock {
    pub(crate) fn to_proto(&self) -> proto::DeleteLock {
        proto::DeleteLock {
            public_key: bytes_of(&self.public_key),
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::DeleteLock) -> Result<Self, DecodeError> {
        Ok(Self {
            public_key: array(&request.public_key, "public_key")?,
            signature: array(&request.signature, "signature")?,
        })
    }
}

impl LockState {
    pub(crate) fn to_proto(self) -> proto::LockState {
        proto::LockState {
            opens_at: self.opens_at.map_or(0, Timestamp::as_secs),
        }
    }

    pub(crate) fn from_proto(reply: &proto::LockState) -> Self {
        let opens_at = Some(reply.opens_at).filter(|seconds| *seconds > 0);
        Self {
            opens_at: opens_at.map(Timestamp::from_secs),
        }
    }
}
