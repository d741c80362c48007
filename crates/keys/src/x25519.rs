//! X25519 (RFC 7748) with the checks of docs/spec/ratchet.md, section 2.1.

use crate::lc;
use crate::secret::Secret;
use curve25519_dalek::montgomery::MontgomeryPoint;
use rand_core::CryptoRng;

/// The shared secret is all zero: the peer's key is of low order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agreed secret is all zero")]
pub struct AllZero;

/// A private key: 32 clamped bytes.
#[derive(zeroize::ZeroizeOnDrop)]
pub struct X25519Secret(Secret<32>);

impl X25519Secret {
    /// Draws a key: 32 bytes in one call of `rng`, then clamped.
    pub fn from_random(rng: &mut dyn CryptoRng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// Takes 32 bytes and clamps them.
    #[must_use]
    pub fn from_secret(bytes: &Secret<32>) -> Self {
        Self(Secret::from_fn(|out| {
            *out = *bytes.expose_secret();
            let [first, .., last] = out;
            *first &= 248;
            *last = (*last & 127) | 64;
        }))
    }

    /// The clamped bytes, for storage.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> X25519Public {
        X25519Public(lc::x25519_public(self.0.expose_secret()))
    }

    /// Agrees with a peer's public key.
    ///
    /// # Errors
    /// [`AllZero`]: the peer's key is of low order.
    pub fn agree(&self, peer: &X25519Public) -> Result<Secret<32>, AllZero> {
        // SECURITY: AWS-LC compares with zero in constant time and says so; `low_order_keys_are_refused` notices.
        lc::x25519(self.0.expose_secret(), &peer.0).ok_or(AllZero)
    }
}

/// A public key: the u coordinate, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct X25519Public(pub [u8; 32]);

impl X25519Public {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the key is *canonical*: top bit clear, u below 2^255-19, and the Edwards point (sign 0) of u
    /// exists and is torsion-free.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.is_reduced()
            && MontgomeryPoint(self.0)
                .to_edwards(0)
                .is_some_and(|point| point.is_torsion_free())
    }

    /// Whether the top bit is clear and u is below 2^255-19.
    #[must_use]
    pub fn is_reduced(&self) -> bool {
        let [first, middle @ .., last] = &self.0;
        let at_least_p = *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && *last == 0x7f;
        last & 0x80 == 0 && !at_least_p
    }
}
