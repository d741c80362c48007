//! Inventory: which algorithms this version uses and what for, and every long-lived key of a profile with its state
//! (NIST SP 800-57 part 1, section 7), its age and when it is due (docs/spec/custody.md, section 2).

mod algorithms;
mod keys_of;

pub use algorithms::{Algorithm, Primitive, algorithms};
pub(crate) use keys_of::read;

use keys::{AccountId, DeviceId, Suite, Timestamp};

/// The state of a key by NIST SP 800-57 part 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyState {
    /// Made, not in use yet.
    PreActivation,
    /// In use.
    Active,
    /// Not in use for now.
    Suspended,
    /// No longer used to protect anything; still opens what came before.
    Deactivated,
    /// Somebody else may have it.
    Compromised,
    /// Gone.
    Destroyed,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyKind {
    /// Signs genesis and its own successor.
    Root,
    /// A device's X25519 key, on which sessions stand.
    DeviceIdentity,
    /// A device's signature key.
    DeviceSigning,
    /// A device's key that opens first letters.
    DeviceEnvelope,
    /// The secret of the recovery sheet.
    RecoverySheet,
    /// The secret that guardians share.
    RecoveryGuardians,
    /// Shares of contacts' recovery secrets that are kept here.
    KeptShares,
    /// The signed EC pre-key.
    SignedPreKey,
    /// The last-resort KEM pre-key.
    LastResortPreKey,
    /// One-time EC pre-keys.
    OneTimeEcPreKeys,
    /// One-time KEM pre-keys.
    OneTimeKemPreKeys,
    /// Sessions with the devices of one account.
    Sessions,
    /// A leaf of this device and the keys of the epoch, each in a group.
    Groups,
    /// What others add this device to a group with.
    KeyPackages,
    /// Keys of the generations of vaults.
    VaultKeys,
    /// Keys that read this device's queues at its relay.
    QueueKeys,
    /// Keys around the letters in queues, in both directions.
    RouteKeys,
    /// What replaces the head of the backup.
    BackupHead,
    /// Keys of the backup's parts.
    BackupParts,
    /// What another device says of this one.
    DeviceCertificate,
    /// The key of the database.
    Profile,
}

/// A key, or several of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyEntry {
    /// What for.
    pub kind: KeyKind,
    /// The suite of which it is one.
    pub suite: Suite,
    /// How it stands.
    pub state: KeyState,
    /// Whose, where it is another account's or a session with it.
    pub account: Option<AccountId>,
    /// Which device's.
    pub device: Option<DeviceId>,
    /// Whether the private or secret half is in this profile.
    pub here: bool,
    /// How many.
    pub count: u64,
    /// When it was made, where that is known; of several, the oldest.
    pub created: Option<Timestamp>,
    /// When its state became what it is, if that is not the beginning.
    pub changed: Option<Timestamp>,
    /// When it is to be replaced.
    pub due: Option<Timestamp>,
    /// When it is worth nothing any more.
    pub expires: Option<Timestamp>,
}

impl KeyState {
    /// The word of the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }
}

impl KeyKind {
    /// A stable word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::DeviceIdentity => "device_identity",
            Self::DeviceSigning => "device_signing",
            Self::DeviceEnvelope => "device_envelope",
            Self::RecoverySheet => "recovery_sheet",
            Self::RecoveryGuardians => "recovery_guardians",
            Self::KeptShares => "kept_shares",
            Self::SignedPreKey => "signed_pre_key",
            Self::LastResortPreKey => "last_resort_pre_key",
            Self::OneTimeEcPreKeys => "one_time_ec_pre_keys",
            Self::OneTimeKemPreKeys => "one_time_kem_pre_keys",
            Self::Sessions => "sessions",
            Self::Groups => "groups",
            Self::KeyPackages => "key_packages",
            Self::VaultKeys => "vault_keys",
            Self::QueueKeys => "queue_keys",
            Self::RouteKeys => "route_keys",
            Self::BackupHead => "backup_head",
            Self::BackupParts => "backup_parts",
            Self::DeviceCertificate => "device_certificate",
            Self::Profile => "profile",
        }
    }

    /// The [`Algorithm`] that it is a key of in a suite, by name.
    #[must_use]
    pub fn algorithm(self, suite: Suite) -> &'static str {
        match self {
            Self::Root | Self::DeviceSigning | Self::DeviceCertificate => match suite {
                Suite::Cnsa2 => "ML-DSA-87",
                _ => "Ed25519+ML-DSA-65",
            },
            Self::DeviceIdentity | Self::SignedPreKey | Self::OneTimeEcPreKeys => "X25519",
            Self::DeviceEnvelope => match suite {
                Suite::Cnsa2 => "ML-KEM-1024",
                _ => "X-Wing",
            },
            Self::RecoverySheet | Self::RecoveryGuardians => "HKDF-SHA-512",
            Self::KeptShares => "Shamir",
            Self::LastResortPreKey | Self::OneTimeKemPreKeys => "ML-KEM-1024",
            Self::Sessions => "Triple Ratchet",
            Self::Groups | Self::KeyPackages => "MLS 1.0",
            Self::VaultKeys => "HKDF-SHA-512",
            Self::QueueKeys | Self::BackupHead => "Ed25519",
            Self::RouteKeys | Self::BackupParts => "AES-256-GCM",
            Self::Profile => "AES-256-CBC",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use std::collections::BTreeSet;

    const KINDS: [KeyKind; 21] = [
        KeyKind::Root,
        KeyKind::DeviceIdentity,
        KeyKind::DeviceSigning,
        KeyKind::DeviceEnvelope,
        KeyKind::RecoverySheet,
        KeyKind::RecoveryGuardians,
        KeyKind::KeptShares,
        KeyKind::SignedPreKey,
        KeyKind::LastResortPreKey,
        KeyKind::OneTimeEcPreKeys,
        KeyKind::OneTimeKemPreKeys,
        KeyKind::Sessions,
        KeyKind::Groups,
        KeyKind::KeyPackages,
        KeyKind::VaultKeys,
        KeyKind::QueueKeys,
        KeyKind::RouteKeys,
        KeyKind::BackupHead,
        KeyKind::BackupParts,
        KeyKind::DeviceCertificate,
        KeyKind::Profile,
    ];

    #[test]
    fn every_key_is_of_an_algorithm_that_is_listed() {
        let sessions = [
            KeyKind::DeviceIdentity,
            KeyKind::SignedPreKey,
            KeyKind::LastResortPreKey,
            KeyKind::OneTimeEcPreKeys,
            KeyKind::OneTimeKemPreKeys,
            KeyKind::Sessions,
        ];
        for suite in Suite::ALL {
            let exists = |kind: &KeyKind| suite.has_identity_keys() || !sessions.contains(kind);
            for kind in KINDS.into_iter().filter(exists) {
                let mut listed = algorithms(suite).iter();
                let algorithm = kind.algorithm(suite);
                assert!(
                    listed.any(|known| known.name == algorithm),
                    "{kind:?}: {algorithm}"
                );
            }
        }
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), KINDS.len());
    }

    #[test]
    fn algorithms_are_listed_once_and_rest_on_listed_ones() {
        for suite in Suite::ALL {
            let all = algorithms(suite);
            let names: BTreeSet<&str> = all.iter().map(|known| known.name).collect();
            assert_eq!(names.len(), all.len());
            for algorithm in all {
                assert!(!algorithm.uses.is_empty(), "{}", algorithm.name);
                for part in algorithm.parts {
                    assert!(names.contains(part), "{}: {part}", algorithm.name);
                }
            }
        }
    }
}
