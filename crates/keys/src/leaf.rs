//! What signs a device's leaves in groups of a suite (docs/spec/groups.md, section 1).
//!
//! In groups of its own suite a device signs with the key that its account log names. A device of a higher suite has
//! no key of a lower one there. It derives one, and its own key vouches for that.

use crate::ed25519;
use crate::kdf::hkdf_sha512;
use crate::label;
use crate::secret::{Secret, SecretBytes};
use crate::sign::{HybridSignature, Malformed, SigningKey, VerifyingKey};
use crate::suite::Suite;
use crate::xeddsa::BadSignature;
use crate::{AccountId, DeviceId};

/// The key of a device's leaves in groups of one suite.
///
/// ```
/// use letterlock_keys::{AccountId, DeviceId, LeafKey, SecretBytes, SigningKey, Suite, verify_voucher};
/// let device_key = SigningKey::from_seed(Suite::Cnsa2, SecretBytes::new(vec![7; 32]))?;
/// let leaf = LeafKey::of(&device_key, Suite::Hybrid).ok_or("no key of that suite")?;
/// let (account, device) = (AccountId::from_bytes([1; 32]), DeviceId::from_bytes([2; 16]));
/// let voucher = leaf.vouch(&account, &device)?.ok_or("the log names it")?;
/// let public = leaf.public().try_into()?;
/// verify_voucher(device_key.verifying_key(), (&account, &device), public, voucher.as_bytes())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LeafKey {
    secret: SecretBytes,
    public: Vec<u8>,
    /// The seed of the key that vouches, where the log does not name this one.
    voucher: Option<SecretBytes>,
}

impl LeafKey {
    /// The key for groups of a suite; none where the device's own suite is a lower one.
    ///
    /// *Formula*, `cnsa2` in a group of `hybrid`: Ed25519 seed = HKDF-SHA-512(no salt, signing seed 32,
    /// "letterlock/v1/group/leaf-key", 32). A device with a new signing key has a new one here, too.
    #[must_use]
    pub fn of(signing: &SigningKey, group: Suite) -> Option<Self> {
        match (signing.suite(), group) {
            (own, group) if own == group => Some(Self {
                secret: signing.leaf_secret(),
                public: signing.leaf_key(),
                voucher: None,
            }),
            (Suite::Cnsa2, Suite::Hybrid) => {
                let seed = signing.seed().expose_secret();
                let label = label::GROUP_LEAF_KEY.as_bytes();
                let secret: Secret<32> = hkdf_sha512(&[], &[seed], &[label]);
                Some(Self {
                    public: ed25519::public(&secret).to_vec(),
                    secret: SecretBytes::from(&secret.expose_secret()[..]),
                    voucher: Some(SecretBytes::from(seed)),
                })
            }
            _ => None,
        }
    }

    /// The seed of the key: of Ed25519 in groups of `hybrid`, of ML-DSA-87 in those of `cnsa2`, 32 bytes each.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes {
        &self.secret
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The device's word that this key is its own, where the account log does not name it.
    ///
    /// *Formula*: ML-DSA-87 over "letterlock/v1/group/leaf-voucher" ‖ 00 ‖ account 32 ‖ device 16 ‖ leaf key 32.
    ///
    /// # Errors
    /// [`Malformed`]: the library failed (no memory, no entropy).
    pub fn vouch(
        &self,
        account: &AccountId,
        device: &DeviceId,
    ) -> Result<Option<HybridSignature>, Malformed> {
        let Some(seed) = &self.voucher else {
            return Ok(None);
        };
        let key = SigningKey::from_seed(Suite::Cnsa2, seed.expose_secret().into())?;
        let message = voucher_message(account, device, &self.public);
        key.sign(label::GROUP_LEAF_VOUCHER, &message).map(Some)
    }
}

/// Verifies a device's word for a leaf key that its account log does not name ([`LeafKey::vouch`]).
///
/// # Errors
/// [`BadSignature`]; also where `key`, the device's, is of a suite that vouches for nothing.
pub fn verify_voucher(
    key: &VerifyingKey,
    (account, device): (&AccountId, &DeviceId),
    leaf_key: &[u8; 32],
    voucher: &[u8],
) -> Result<(), BadSignature> {
    let signature = HybridSignature::from_bytes(Suite::Cnsa2, voucher).map_err(|_| BadSignature)?;
    let message = voucher_message(account, device, leaf_key);
    key.verify(label::GROUP_LEAF_VOUCHER, &message, &signature)
}

fn voucher_message(account: &AccountId, device: &DeviceId, leaf_key: &[u8]) -> Vec<u8> {
    [&account.as_bytes()[..], device.as_bytes(), leaf_key].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    fn key(suite: Suite, byte: u8) -> SigningKey {
        let seed = SecretBytes::new(vec![byte; suite.signing_seed_len()]);
        SigningKey::from_seed(suite, seed).unwrap()
    }

    #[test]
    fn a_group_of_the_devices_own_suite_has_the_key_of_the_log() {
        for suite in Suite::ALL {
            let device_key = key(suite, 1);
            let leaf = LeafKey::of(&device_key, suite).unwrap();
            assert_eq!(leaf.public(), device_key.verifying_key().leaf_key());
            let (account, device) = (
                AccountId::from_bytes([1; 32]),
                DeviceId::from_bytes([2; 16]),
            );
            assert!(leaf.vouch(&account, &device).unwrap().is_none());
        }
    }

    #[test]
    fn nobody_has_a_leaf_in_a_group_of_a_higher_suite() {
        assert!(LeafKey::of(&key(Suite::Hybrid, 1), Suite::Cnsa2).is_none());
    }

    #[test]
    fn a_voucher_holds_for_its_device_and_key_alone() {
        let device_key = key(Suite::Cnsa2, 1);
        let leaf = LeafKey::of(&device_key, Suite::Hybrid).unwrap();
        let (account, device) = (
            AccountId::from_bytes([1; 32]),
            DeviceId::from_bytes([2; 16]),
        );
        let voucher = leaf.vouch(&account, &device).unwrap().unwrap();
        let public: [u8; 32] = leaf.public().try_into().unwrap();
        let verify = |key: &SigningKey, account, device, public| {
            let key = key.verifying_key();
            verify_voucher(key, (&account, &device), public, voucher.as_bytes()).is_ok()
        };
        assert!(verify(&device_key, account, device, &public));
        assert!(!verify(&key(Suite::Cnsa2, 2), account, device, &public));
        assert!(!verify(&key(Suite::Hybrid, 1), account, device, &public));
        let other = AccountId::from_bytes([3; 32]);
        assert!(!verify(&device_key, other, device, &public));
        let other = DeviceId::from_bytes([3; 16]);
        assert!(!verify(&device_key, account, other, &public));
        assert!(!verify(&device_key, account, device, &[5; 32]));
    }

    /// The derivation is fixed: a leaf stays its device's after an update of the program.
    #[test]
    fn a_leaf_key_follows_from_the_signing_key() {
        let leaf = LeafKey::of(&key(Suite::Cnsa2, 1), Suite::Hybrid).unwrap();
        let seed: Secret<32> = hkdf_sha512(&[], &[&[1; 32]], &[b"letterlock/v1/group/leaf-key"]);
        assert_eq!(leaf.public(), ed25519::public(&seed));
        let other = LeafKey::of(&key(Suite::Cnsa2, 2), Suite::Hybrid).unwrap();
        assert_ne!(leaf.public(), other.public());
    }
}
