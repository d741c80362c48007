//! What can go wrong with a group.

use keys::{AccountId, DeviceId};

/// Why something of a group is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The logs of these accounts are needed first; nothing changed.
    #[error("account logs are needed first")]
    LogsNeeded(Vec<AccountId>),
    /// A leaf whose key is not in the log of its account.
    #[error("a leaf's key is not in the log of its account")]
    NotInLog {
        /// The account it names.
        account: AccountId,
        /// The device it names.
        device: DeviceId,
    },
    /// A leaf whose key no key of its device vouches for.
    #[error("no key of the device vouches for the leaf's key")]
    NotVouched {
        /// The account it names.
        account: AccountId,
        /// The device it names.
        device: DeviceId,
    },
    /// A leaf that its device vouches for, although the log names the keys of its leaves.
    #[error("the device's leaves have the key that its log names, and no other")]
    MayNotVouch {
        /// The account it names.
        account: AccountId,
        /// The device it names.
        device: DeviceId,
    },
    /// A device that its log has out of force was to come in by a commit of ours.
    #[error("the device is not in force any more")]
    NotInForce {
        /// Its account.
        account: AccountId,
        /// The device.
        device: DeviceId,
    },
    /// A member did what its role does not allow.
    #[error("a member did what its role does not allow: {what}")]
    RoleForbids {
        /// Who.
        account: AccountId,
        /// What.
        what: &'static str,
    },
    /// A member removed a device that is in force, as far as the log is known here, and that is not its to remove.
    #[error("a member removed a device that is in force")]
    RemovedInForce {
        /// Who.
        by: AccountId,
        /// Whose device.
        account: AccountId,
        /// The device.
        device: DeviceId,
    },
    /// A change that this version does not take part in.
    #[error("a change of a kind that is not allowed: {what}")]
    ChangeForbidden {
        /// What.
        what: &'static str,
    },
    /// The message belongs to an epoch that is over.
    #[error("the message belongs to an epoch that is over")]
    PastEpoch,
    /// The message belongs to an epoch that has not come here: something in between is missing.
    #[error("the message belongs to an epoch that has not come yet")]
    FutureEpoch,
    /// It was received before.
    #[error("the message was received before")]
    Repeated,
    /// It was sent by this leaf.
    #[error("the message was sent by this device")]
    Own,
    /// The key package of a Welcome was used before, or never made here.
    #[error("the key package of the invitation is not here")]
    NoKeyPackage,
    /// An invitation that was used before: its stay is over.
    #[error("the invitation was used before, and leads into an epoch that is over")]
    PastInvitation,
    /// A message of another suite than the group's, or of one that is not spoken here.
    #[error("another suite")]
    WrongSuite,
    /// A signature does not hold: whoever sealed the message is not who it says, or the bytes were changed before.
    #[error("a signature does not hold")]
    BadSignature,
    /// A tag does not hold, a key does not fit, or the bytes are no message.
    #[error("the message is not genuine: {what}")]
    NotGenuine {
        /// What is wrong, in words for a log.
        what: String,
    },
    /// More leaves than [`LEAVES`](crate::LEAVES).
    #[error("a group holds at most {} devices", crate::LEAVES)]
    TooLarge,
    /// The state that was stored does not parse.
    #[error("the stored state of a group is damaged")]
    Damaged,
}

impl GroupError {
    pub(crate) fn not_genuine(what: &dyn std::fmt::Debug) -> Self {
        let mut what = format!("{what:?}");
        what.truncate(120);
        Self::NotGenuine { what }
    }
}
