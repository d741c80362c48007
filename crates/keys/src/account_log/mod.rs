//! The account log: who an account is, as a hash chain of signed entries (docs/spec/account-log.md).
//!
//! ```text
//!  genesis ◄─hash── entry 1 ◄─hash── entry 2 ...        account id = head of H(genesis body)
//! ```
//!
//! Bytes that came from anywhere are an [`UnverifiedLog`], which has no fields to read (I6). Only
//! [`UnverifiedLog::verify`] and its like give a [`VerifiedLog`]. Every change of a log is checked by the rules
//! that its readers check (`rules.rs`), so that no writer can make an entry that a reader refuses.

mod body;
mod certificate;
mod chain;
mod device;
mod edit;
mod entry;
mod error;
mod identity;
mod log;
mod proposal;
mod recovery;
mod rules;
mod signatures;
mod state;

pub use body::{EntryKind, Reason};
pub use certificate::{
    CERTIFICATE_RENEWAL_SECONDS, CERTIFICATE_SECONDS, Certificate, CertificateError,
    MAX_CERTIFICATE_BYTES,
};
pub use chain::{EntrySummary, Pin};
pub use device::{DeviceRecord, DeviceSecrets, RootSecret};
pub use edit::{Authority, genesis};
pub use entry::Signer;
pub use error::LogError;
pub use identity::{ClaimedIdentity, Means, VerifiedIdentity};
pub use log::{UnverifiedLog, VerifiedLog};
pub use proposal::Proposal;
pub use recovery::{
    MAX_GUARDIANS, MIN_GUARDIANS, Method, RecoveryRecord, RecoveryRequest, RecoverySecrets,
    RecoveryTerms,
};
pub use state::Revocation;

/// Seconds until a device may add or revoke older ones: the default policy, 72 hours.
pub const SENIORITY_SECONDS: u64 = 72 * 3600;
/// Longest log that is read, in bytes.
pub const MAX_LOG_BYTES: usize = 1 << 20;
/// The last bytes of a log, kept for revocations, cancellations and the end of the account.
pub const RESERVED_LOG_BYTES: usize = 128 * 1024;
/// Most entries of a log.
pub const MAX_ENTRIES: u32 = 10_000;
/// Most devices in force.
pub const MAX_DEVICES: usize = 32;
/// How far clocks may differ, in seconds.
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 2 * 3600;
