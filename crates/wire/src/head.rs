//! Heads: small values at the relay that the holder of a key alone may replace.
//!
//! ```text
//!   none ──PutHead{previous: 0}──► version v ──PutHead{previous: v}──► version w > v
//! ```

use crate::error::{DecodeError, array, field, filled};
use crate::limits::{HEAD_BYTES, HEAD_STEP, HEAD_VERSION};
use crate::proto;
use crate::request::bytes_of;
use keys::{label, sha256};

/// Makes a head or replaces it. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutHead {
    /// Ed25519 key of the owner; [`head_id`] is its hash.
    pub public_key: [u8; 32],
    /// Version of this value, larger than `previous` by at most [`HEAD_STEP`], and at most [`HEAD_VERSION`].
    pub version: u64,
    /// The version that it replaces; 0 means that there is none.
    pub previous: u64,
    /// Opaque to the relay; 1 to [`HEAD_BYTES`] bytes.
    pub body: Vec<u8>,
    /// By the owner's key over [`put_head_message`].
    pub signature: [u8; 64],
}

/// Asks for a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchHead {
    /// See [`head_id`].
    pub id: [u8; 32],
}

/// A head as it was handed in. Whoever gets it verifies it: [`Head::is_signed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// As in [`PutHead`].
    pub public_key: [u8; 32],
    /// As in [`PutHead`].
    pub version: u64,
    /// As in [`PutHead`].
    pub previous: u64,
    /// As in [`PutHead`].
    pub body: Vec<u8>,
    /// As in [`PutHead`].
    pub signature: [u8; 64],
}

/// Deletes a head. Deleting one that is not there is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteHead {
    /// As in [`PutHead`].
    pub public_key: [u8; 32],
    /// The version that is deleted.
    pub version: u64,
    /// By the owner's key over [`delete_head_message`].
    pub signature: [u8; 64],
}

/// The id of the head of a key: its SHA-256.
#[must_use]
pub fn head_id(public_key: &[u8; 32]) -> [u8; 32] {
    sha256(&[public_key])
}

/// What the owner of a head signs to make or replace it.
///
/// *Formula*: `label ‖ 00 ‖ head id ‖ BE8(version) ‖ BE8(previous) ‖ SHA-256(body)`.
#[must_use]
pub fn put_head_message(
    public_key: &[u8; 32],
    version: u64,
    previous: u64,
    body: &[u8],
) -> Vec<u8> {
    [
        label::PUT_HEAD.as_bytes(),
        &[0],
        &head_id(public_key),
        &version.to_be_bytes(),
        &previous.to_be_bytes(),
        &sha256(&[body]),
    ]
    .concat()
}

/// What the owner of a head signs to delete it.
///
/// *Formula*: `label ‖ 00 ‖ head id ‖ BE8(version)`.
#[must_use]
pub fn delete_head_message(public_key: &[u8; 32], version: u64) -> Vec<u8> {
    [
        label::DELETE_HEAD.as_bytes(),
        &[0],
        &head_id(public_key),
        &version.to_be_bytes(),
    ]
    .concat()
}

impl Head {
    /// Whether it is the head with an id, signed by its owner. The version is the caller's to judge.
    #[must_use]
    pub fn is_signed(&self, id: &[u8; 32]) -> bool {
        let message = put_head_message(&self.public_key, self.version, self.previous, &self.body);
        head_id(&self.public_key) == *id
            && keys::ed25519::verify(&self.public_key, &message, &self.signature).is_ok()
    }
}

/// A version and the one before, if they may stand in a head.
fn versions(version: u64, previous: u64) -> Result<(u64, u64), DecodeError> {
    if version > previous && version <= HEAD_VERSION {
        Ok((version, previous))
    } else {
        Err(field("version"))
    }
}

impl PutHead {
    pub(crate) fn to_proto(&self) -> proto::PutHead {
        proto::PutHead {
            public_key: bytes_of(&self.public_key),
            version: self.version,
            previous: self.previous,
            body: bytes_of(&self.body),
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::PutHead) -> Result<Self, DecodeError> {
        let (version, previous) = versions(request.version, request.previous)?;
        // SECURITY: nobody who has the key uses up its versions; `no_version_of_a_head_jumps_far` notices.
        if version.abs_diff(previous) > HEAD_STEP {
            return Err(field("version"));
        }
        Ok(Self {
            public_key: array(&request.public_key, "public_key")?,
            version,
            previous,
            body: filled(&request.body, HEAD_BYTES, "body")?,
            signature: array(&request.signature, "signature")?,
        })
    }
}

impl FetchHead {
    pub(crate) fn to_proto(self) -> proto::FetchHead {
        proto::FetchHead {
            id: bytes_of(&self.id),
        }
    }

    pub(crate) fn from_proto(request: &proto::FetchHead) -> Result<Self, DecodeError> {
        Ok(Self {
            id: array(&request.id, "id")?,
        })
    }
}

impl Head {
    pub(crate) fn to_proto(&self) -> proto::Head {
        proto::Head {
            public_key: bytes_of(&self.public_key),
            version: self.version,
            previous: self.previous,
            body: bytes_of(&self.body),
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(reply: &proto::Head) -> Result<Self, DecodeError> {
        let (version, previous) = versions(reply.version, reply.previous)?;
        Ok(Self {
            public_key: array(&reply.public_key, "public_key")?,
            version,
            previous,
            body: filled(&reply.body, HEAD_BYTES, "body")?,
            signature: array(&reply.signature, "signature")?,
        })
    }
}

impl DeleteHead {
    pub(crate) fn to_proto(&self) -> proto::DeleteHead {
        proto::DeleteHead {
            public_key: bytes_of(&self.public_key),
            version: self.version,
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::DeleteHead) -> Result<Self, DecodeError> {
        let (version, _) = versions(request.version, 0)?;
        Ok(Self {
            public_key: array(&request.public_key, "public_key")?,
            version,
            signature: array(&request.signature, "signature")?,
        })
    }
}
