//! What is known of the accounts that leaves name.

use crate::data::LeafName;
use keys::AccountId;
use std::collections::BTreeMap;

/// The devices of accounts by their logs, as far as the caller has read them.
#[derive(Debug, Clone, Default)]
pub struct Directory(BTreeMap<AccountId, Known>);

#[derive(Debug, Clone)]
struct Known {
    devices: Vec<KnownDevice>,
    fresh: bool,
}

/// A device that an account's log names, or named once.
#[derive(Debug, Clone)]
pub struct KnownDevice {
    /// Which.
    pub device: keys::DeviceId,
    /// Every key that its leaves were ever signed with, so that what is old can be read late.
    pub leaf_keys: Vec<Vec<u8>>,
    /// Whether it belongs to the account now.
    pub in_force: bool,
}

/// What a directory says of a leaf.
pub(crate) enum Standing {
    /// The account's log is not here, or too old to say.
    Unknown,
    /// The log does not know the key.
    NotInLog,
    /// The log names it, or did once.
    Named {
        /// Whether it does now.
        in_force: bool,
        /// Whether the log was confirmed a short while ago.
        fresh: bool,
    },
}

impl Directory {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes an account. `fresh`: its log was confirmed a short while ago, so that what it does not name is not there.
    pub fn insert(&mut self, account: AccountId, devices: Vec<KnownDevice>, fresh: bool) {
        self.0.insert(account, Known { devices, fresh });
    }

    /// Whether an account is noted.
    #[must_use]
    pub fn contains(&self, account: &AccountId) -> bool {
        self.0.contains_key(account)
    }

    pub(crate) fn standing(&self, name: &LeafName, key: &[u8]) -> Standing {
        let Some(Known { devices, fresh }) = self.0.get(&name.account) else {
            return Standing::Unknown;
        };
        let mut devices = devices.iter();
        match devices.find(|known| known.device == name.device) {
            Some(known) if known.leaf_keys.iter().any(|leaf_key| leaf_key == key) => {
                Standing::Named {
                    in_force: known.in_force,
                    fresh: *fresh,
                }
            }
            _ if *fresh => Standing::NotInLog,
            _ => Standing::Unknown,
        }
    }
}
