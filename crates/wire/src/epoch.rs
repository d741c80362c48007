//! Epochs of groups: the relay takes one change of a group after the other, and never learns what a group is.
//!
//! ```text
//!   unknown ──SendInEpoch{next: e}──► epoch e ──SendInEpoch{epoch: e, next: f}──► epoch f > e
//!                                      │   ▲
//!                                      └───┘ SendInEpoch{epoch: e}
//! ```
//!
//! | state | without `next` | with `next` |
//! |---|---|---|
//! | unknown | [`EpochPassed`](crate::Reply::EpochPassed) with 0 | sends, and the group is in the next epoch |
//! | in the epoch | sends | sends, and the group is in the next epoch |
//! | in another epoch | `EpochPassed` with that one | the same |

use crate::capability::EpochToken;
use crate::error::{DecodeError, array, field};
use crate::limits::EPOCH;
use crate::proto;
use crate::request::{Send, bytes_of};
use keys::GroupId;

/// A [`Send`] that counts only while its group is in one epoch. Repeating it does what repeating the `Send` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendInEpoch {
    /// The group.
    pub group: GroupId,
    /// The epoch that it was made in, at most [`EPOCH`].
    pub epoch: u64,
    /// Allows to send in that epoch. A relay that does not know the group does not read it.
    pub token: EpochToken,
    /// The epoch that begins with it, if one does.
    pub next: Option<NextEpoch>,
    /// What is sent.
    pub send: Send,
}

/// The epoch that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextEpoch {
    /// Its number: larger than the one before, at most [`EPOCH`].
    pub epoch: u64,
    /// SHA-256 of the token that allows to send in it.
    pub token_hash: [u8; 32],
}

impl SendInEpoch {
    pub(crate) fn to_proto(&self) -> proto::SendInEpoch {
        proto::SendInEpoch {
            group: bytes_of(self.group.as_bytes()),
            epoch: self.epoch,
            token: bytes_of(self.token.as_bytes()),
            next: self.next.map(NextEpoch::to_proto),
            send: Some(self.send.to_proto()),
        }
    }

    pub(crate) fn from_proto(request: proto::SendInEpoch) -> Result<Self, DecodeError> {
        let epoch = epoch_of(request.epoch)?;
        let next = request
            .next
            .as_ref()
            .map(NextEpoch::from_proto)
            .transpose()?;
        if next.is_some_and(|next| next.epoch <= epoch) {
            return Err(field("next"));
        }
        Ok(Self {
            group: GroupId::from_slice(&request.group).ok_or_else(|| field("group"))?,
            epoch,
            token: EpochToken::from_bytes(array(&request.token, "token")?),
            next,
            send: Send::from_proto(request.send.ok_or_else(|| field("send"))?)?,
        })
    }
}

impl NextEpoch {
    fn to_proto(self) -> proto::NextEpoch {
        proto::NextEpoch {
            epoch: self.epoch,
            token_hash: bytes_of(&self.token_hash),
        }
    }

    fn from_proto(next: &proto::NextEpoch) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: epoch_of(next.epoch)?,
            token_hash: array(&next.token_hash, "token_hash")?,
        })
    }
}

pub(crate) fn epoch_of(epoch: u64) -> Result<u64, DecodeError> {
    if epoch > EPOCH {
        return Err(field("epoch"));
    }
    Ok(epoch)
}
