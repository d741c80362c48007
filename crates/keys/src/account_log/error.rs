//! Why a log, or a change of one, is refused.

use crate::codec::DecodeError;

/// Why a log was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not of the form of a log.
    #[error("malformed account log: {0}")]
    Malformed(#[from] DecodeError),
    /// The log is of another account than the one asked for.
    #[error("the log belongs to another account")]
    OtherAccount,
    /// An entry's account, sequence, previous hash or suite does not continue the chain.
    #[error("entry {sequence} does not continue the chain")]
    BrokenChain {
        /// Which entry.
        sequence: u64,
    },
    /// The entry is of a weaker suite than the account is.
    #[error("entry {sequence} goes back to a weaker suite")]
    SuiteWentBack {
        /// Which entry.
        sequence: u64,
    },
    /// The entry says that the account goes to another suite, and it is the one in force.
    #[error("entry {sequence} changes to the suite that is in force")]
    SameSuite {
        /// Which entry.
        sequence: u64,
    },
    /// A key that signs the entry or comes with it is of another suite than the account. A device gets new keys first.
    #[error("entry {sequence} needs keys of the account's suite")]
    WrongSuite {
        /// Which entry.
        sequence: u64,
    },
    /// A signature is missing, of somebody else, or does not hold.
    #[error("entry {sequence} is not signed by who may")]
    BadSignature {
        /// Which entry.
        sequence: u64,
    },
    /// The entry's hash of the device list is not that of its devices.
    #[error("entry {sequence} states another device list")]
    DeviceList {
        /// Which entry.
        sequence: u64,
    },
    /// The log is shorter than what is pinned.
    #[error("the log ends at {got}, {pinned} was seen before")]
    RolledBack {
        /// Where it ends.
        got: u64,
        /// What is pinned.
        pinned: u64,
    },
    /// The log has another entry where one is pinned.
    #[error("the log has another entry {sequence} than the one seen before")]
    Forked {
        /// Where.
        sequence: u64,
    },
    /// The log goes on after the entry up to which it was verified.
    #[error("entry {sequence} was not verified before")]
    Unpinned {
        /// The newest entry.
        sequence: u64,
    },
    /// An entry is older than the one before it.
    #[error("entry {sequence} is older than the one before it")]
    TimeWentBack {
        /// Which entry.
        sequence: u64,
    },
    /// The newest entry is further ahead of our clock than clocks differ.
    #[error("entry {sequence} is {ahead_seconds} s ahead of the clock")]
    FromTheFuture {
        /// Which entry.
        sequence: u64,
        /// How far.
        ahead_seconds: u64,
    },
    /// A proposal was made too long ago.
    #[error("the proposal is {age_seconds} s old")]
    Stale {
        /// How old.
        age_seconds: u64,
    },
    /// A device that the entry names or that signed it is not in force.
    #[error("entry {sequence} needs a device that is in force")]
    NotInForce {
        /// Which entry.
        sequence: u64,
    },
    /// The device that signed is no admin.
    #[error("entry {sequence} needs an admin device")]
    NotAdmin {
        /// Which entry.
        sequence: u64,
    },
    /// The device that signed is too young.
    #[error("entry {sequence} is signed by a device that is too young for it")]
    NotSenior {
        /// Which entry.
        sequence: u64,
    },
    /// Nobody would be left who may add devices.
    #[error("entry {sequence} leaves no admin device")]
    NoAdminLeft {
        /// Which entry.
        sequence: u64,
    },
    /// An id or key of the entry stood in the log before.
    #[error("entry {sequence} brings an id or key that is not new")]
    KeyUsed {
        /// Which entry.
        sequence: u64,
    },
    /// The record differs from what it has to be in more than its keys.
    #[error("entry {sequence} states another device than it may")]
    WrongRecord {
        /// Which entry.
        sequence: u64,
    },
    /// The account has as many devices as it may.
    #[error("entry {sequence} adds more devices than an account may have")]
    TooManyDevices {
        /// Which entry.
        sequence: u64,
    },
    /// The recovery method is not in force.
    #[error("entry {sequence} needs a recovery method that is not set")]
    NoRecovery {
        /// Which entry.
        sequence: u64,
    },
    /// Nobody asked for recovery, or somebody else did.
    #[error("entry {sequence} needs an open recovery request")]
    NoRequest {
        /// Which entry.
        sequence: u64,
    },
    /// The delay of the recovery is not over.
    #[error("entry {sequence} comes before the delay of the recovery is over")]
    TooEarly {
        /// Which entry.
        sequence: u64,
    },
    /// The account ended before the entry.
    #[error("entry {sequence} follows the end of the account")]
    Tombstoned {
        /// Which entry.
        sequence: u64,
    },
    /// The room that is left is kept for revocations.
    #[error("entry {sequence} takes the room that is kept for revocations")]
    Full {
        /// Which entry.
        sequence: u64,
    },
    /// The library failed to sign.
    #[error("the library failed to sign")]
    Library,
}
