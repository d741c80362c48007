//! The account log: who an account is, as a hash chain of signed entries (docs/spec/account-log.md).
//!
//! ```text
//!  genesis ◄─hash── entry 1 ◄─hash── entry 2 ...        account id = head of H(genesis body)
//! ```
//!
//! Bytes that came from anywhere are an [`UnverifiedLog`], which has no fields to read (I6). Only
//! [`UnverifiedLog::verify`] and its like give a [`VerifiedLog`]. Every change of a log is checked by the rules
//! that its readers check (`rules.rs`), so that no writer can make an entry that a reader refuses.
//!
//! ```
//! use letterlock_keys::{Suite, Timestamp};
//! use letterlock_keys::account_log::{
//!     Authority, DeviceSecrets, Reason, RootSecret, UnverifiedLog, genesis,
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let rng = &mut ChaCha20Rng::seed_from_u64(1);
//! let now = Timestamp::from_secs(1_800_000_000);
//! let (root, phone) = (RootSecret::generate(Suite::Hybrid, rng)?, DeviceSecrets::generate(Suite::Hybrid, rng)?);
//! let log = genesis(&root, &phone, now)?;
//!
//! // The new device asks, the old one agrees.
//! let laptop = DeviceSecrets::generate(Suite::Hybrid, rng)?;
//! let proposal = log.propose_add(&laptop, true, now)?;
//! let two = log.accept_add(Authority::Device(&phone), &proposal, now)?;
//! assert_eq!(two.devices().len(), 2);
//!
//! // Whoever knew the log verifies what is new.
//! let received = UnverifiedLog::decode(two.bytes())?.verify_after(&log)?;
//! assert_eq!(received.head(), two.head());
//!
//! let one = two.revoke(Authority::Device(&phone), laptop.device_id(), Reason::Lost, now)?;
//! assert_eq!(one.devices().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod certificate;
mod chain;
mod contradiction;
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
pub use contradiction::Contradiction;
pub use device::{DeviceRecord, DeviceSecrets, OpeningSecrets, RootSecret};
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
pub use state::{Revocation, Suspension};

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
