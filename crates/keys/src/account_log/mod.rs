//! The account log: who an account is, as a hash chain of signed entries (docs/spec/account-log.md).
//!
//! ```text
//!  genesis ◄─hash── entry 1 ◄─hash── entry 2 ...        account id = head of H(genesis body)
//! ```
//!
//! Bytes that came from anywhere are an [`UnverifiedLog`], which has no fields to read (I6). Only
//! [`UnverifiedLog::verify`] gives a [`VerifiedLog`].

mod device;
mod entry;
mod identity;
mod log;

pub use device::{DeviceRecord, DeviceSecrets, RootSecret};
pub use entry::EntryKind;
pub use identity::{ClaimedIdentity, Means, VerifiedIdentity};
pub use log::{EntrySummary, LogError, Pin, UnverifiedLog, VerifiedLog, genesis};

/// Seconds until a device may add or revoke older ones: the default policy, 72 hours.
pub const SENIORITY_SECONDS: u64 = 72 * 3600;
/// Longest log that is read, in bytes.
pub const MAX_LOG_BYTES: usize = 1 << 20;
/// Most entries of a log.
pub const MAX_ENTRIES: u32 = 10_000;
