//! What is known of the accounts that leaves name.

use crate::data::LeafName;
use keys::{AccountId, Suite, VerifyingKey, verify_voucher};
use mls_rs_core::identity::SigningIdentity;
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
    /// The log names the device, and none of its keys vouches for this one.
    NotVouched,
    /// A device whose keys vouch for nothing: its leaves have a key that the log names.
    MayNotVouch,
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

    pub(crate) fn standing(
        &self,
        (name, voucher): (&LeafName, Option<&[u8]>),
        identity: &SigningIdentity,
    ) -> Standing {
        let Some(Known { devices, fresh }) = self.0.get(&name.account) else {
            return Standing::Unknown;
        };
        let mut devices = devices.iter();
        let known = devices.find(|known| known.device == name.device);
        let found = known.map_or(Err(Standing::NotInLog), |known| {
            known.answers_for(name, voucher, identity).map(|()| known)
        });
        match found {
            Ok(known) => Standing::Named {
                in_force: known.in_force,
                fresh: *fresh,
            },
            Err(standing) if *fresh => standing,
            Err(_) => Standing::Unknown,
        }
    }
}

impl KnownDevice {
    /// Whether the log names the key of a leaf, or a key that it names vouches for it.
    fn answers_for(
        &self,
        name: &LeafName,
        voucher: Option<&[u8]>,
        identity: &SigningIdentity,
    ) -> Result<(), Standing> {
        let key = identity.signature_key.as_bytes();
        let Some(voucher) = voucher else {
            let named = self.leaf_keys.iter().any(|leaf_key| leaf_key == key);
            return named.then_some(()).ok_or(Standing::NotInLog);
        };
        let vouching = self
            .leaf_keys
            .iter()
            .filter_map(|key| VerifyingKey::from_bytes(Suite::Cnsa2, key).ok());
        let vouching: Vec<VerifyingKey> = vouching.collect();
        if vouching.is_empty() {
            return Err(Standing::MayNotVouch);
        }
        let key = key.try_into().map_err(|_| Standing::NotVouched)?;
        // SECURITY: `a_key_that_nobody_vouches_for_is_refused` notices.
        let vouched = vouching.iter().any(|vouching| {
            verify_voucher(vouching, (&name.account, &name.device), key, voucher).is_ok()
        });
        vouched.then_some(()).ok_or(Standing::NotVouched)
    }
}
