//! Epoch secrets and the authenticator of the braid (docs/spec/ratchet.md, section 5.4).

use super::labels::SpqrLabels;
use crate::parts::part;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{Secret, hkdf_sha256, hmac_sha256};

const ZERO: [u8; 32] = [0; 32];

/// *Formula*: `epoch_secret(e) = HKDF(0^32, shared secret, label ‖ BE8(e), 32)`.
pub(super) fn epoch_secret(shared: &Secret<32>, epoch: u64, labels: &SpqrLabels) -> Secret<32> {
    hkdf_sha256(
        &ZERO,
        &[shared.expose_secret()],
        &[labels.secret.as_bytes(), &epoch.to_be_bytes()],
    )
}

/// Root and MAC key, renewed once an epoch.
pub(super) struct Authenticator {
    root: Secret<32>,
    mac: Secret<32>,
}

impl Authenticator {
    /// Begins: both zero, then `update(1, auth key)`.
    pub(super) fn new(auth_key: &Secret<32>, labels: &SpqrLabels) -> Self {
        let zero = || Secret::from_fn(|_: &mut [u8; 32]| {});
        Self {
            root: zero(),
            mac: zero(),
        }
        .updated(1, auth_key, labels)
    }

    /// *Formula*: `HKDF(0^32, root ‖ key, label ‖ BE8(e), 64)` = root ‖ mac.
    pub(super) fn updated(&self, epoch: u64, key: &Secret<32>, labels: &SpqrLabels) -> Self {
        let okm: Secret<64> = hkdf_sha256(
            &ZERO,
            &[self.root.expose_secret(), key.expose_secret()],
            &[labels.authenticator.as_bytes(), &epoch.to_be_bytes()],
        );
        Self {
            root: part(&okm, 0),
            mac: part(&okm, 32),
        }
    }

    pub(super) fn duplicate(&self) -> Self {
        Self {
            root: self.root.duplicate(),
            mac: self.mac.duplicate(),
        }
    }

    /// Root and MAC key.
    #[cfg(feature = "replay")]
    pub(super) fn keys(&self) -> (&Secret<32>, &Secret<32>) {
        (&self.root, &self.mac)
    }

    pub(super) fn header_mac(&self, epoch: u64, header: &[u8], labels: &SpqrLabels) -> [u8; 32] {
        hmac_sha256(
            self.mac.expose_secret(),
            &[labels.header.as_bytes(), &epoch.to_be_bytes(), header],
        )
    }

    pub(super) fn ciphertext_mac(
        &self,
        epoch: u64,
        ct1: &[u8],
        ct2: &[u8],
        labels: &SpqrLabels,
    ) -> [u8; 32] {
        hmac_sha256(
            self.mac.expose_secret(),
            &[labels.ciphertext.as_bytes(), &epoch.to_be_bytes(), ct1, ct2],
        )
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.array(self.root.expose_secret());
        out.array(self.mac.expose_secret());
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            root: super::chain::read_secret(input)?,
            mac: super::chain::read_secret(input)?,
        })
    }
}
