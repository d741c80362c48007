//! X25519 (RFC 7748) with the checks of docs/spec/ratchet.md, section 2.1.

use crate::lc;
use crate::secret::Secret;
use rand_core::CryptoRng;
use std::sync::OnceLock;

/// The multiple of 8 below 8L that is -1 modulo L, little-endian. It has the form of a clamped private key.
const MINUS_ONE: [u8; 32] = [
    0xa0, 0x23, 0xcd, 0xd0, 0x83, 0xef, 0x5b, 0xb8, 0x2f, 0x10, 0xd6, 0x2e, 0x59, 0xe1, 0x5a, 0x68,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x50,
];

/// The shared secret is all zero: the peer's key is of low order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agreed secret is all zero")]
pub struct AllZero;

/// A private key: 32 clamped bytes.
#[derive(zeroize::ZeroizeOnDrop)]
pub struct X25519Secret {
    bytes: Secret<32>,
    /// Computed when first asked for: a handshake asks several times.
    #[zeroize(skip)]
    public: OnceLock<X25519Public>,
}

impl X25519Secret {
    /// Draws a key: 32 bytes in one call of `rng`, then clamped.
    pub fn from_random(rng: &mut dyn CryptoRng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// Takes 32 bytes and clamps them.
    #[must_use]
    pub fn from_secret(bytes: &Secret<32>) -> Self {
        let bytes = Secret::from_fn(|out| {
            *out = *bytes.expose_secret();
            let [first, .., last] = out;
            *first &= 248;
            *last = (*last & 127) | 64;
        });
        Self {
            bytes,
            public: OnceLock::new(),
        }
    }

    /// The clamped bytes, for storage.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.bytes
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> X25519Public {
        *self
            .public
            .get_or_init(|| X25519Public(lc::x25519_public(self.bytes.expose_secret())))
    }

    /// Agrees with a peer's public key.
    ///
    /// # Errors
    /// [`AllZero`]: the peer's key is of low order.
    pub fn agree(&self, peer: &X25519Public) -> Result<Secret<32>, AllZero> {
        // SECURITY: AWS-LC compares with zero in constant time and says so; `low_order_keys_are_refused` notices.
        lc::x25519(self.bytes.expose_secret(), &peer.0).ok_or(AllZero)
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
    ///
    /// *Formula*: `X25519(k, u) = u`, where k is a multiple of 8 and -1 modulo L. A point without torsion goes to its
    /// negative, which has the same u; any other on the curve loses its torsion and so moves. A point of the twist
    /// moves too: k - 1 and k + 1 have no factor in common with the order of the twist.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.is_reduced()
            && lc::x25519(&MINUS_ONE, &self.0).is_some_and(|image| *image.expose_secret() == self.0)
    }

    /// Whether the top bit is clear and u is below 2^255-19.
    #[must_use]
    pub fn is_reduced(&self) -> bool {
        let [first, middle @ .., last] = &self.0;
        let at_least_p = *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && *last == 0x7f;
        last & 0x80 == 0 && !at_least_p
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use data_encoding::HEXLOWER;

    fn key(text: &str) -> X25519Public {
        X25519Public(
            HEXLOWER
                .decode(text.as_bytes())
                .unwrap()
                .try_into()
                .unwrap(),
        )
    }

    /// The points of order 1, 2, 4 and 8 on the curve and its twist, with every encoding of theirs.
    #[test]
    fn low_order_keys_are_refused() {
        let ours = X25519Secret::from_secret(&Secret::from_slice(&[7; 32]).unwrap());
        for text in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let low = key(text);
            let mut masked = low;
            if let Some(last) = masked.0.last_mut() {
                *last |= 0x80;
            }
            for theirs in [low, masked] {
                assert_eq!(ours.agree(&theirs).err(), Some(AllZero), "{text}");
                assert!(!theirs.is_canonical(), "{text}");
            }
        }
    }

    #[test]
    fn keys_with_a_second_encoding_are_not_canonical() {
        let good = X25519Secret::from_secret(&Secret::from_slice(&[7; 32]).unwrap()).public();
        assert!(good.is_canonical());
        let mut masked = good;
        if let Some(last) = masked.0.last_mut() {
            *last |= 0x80;
        }
        assert!(!masked.is_canonical());
        // 9 + p and the largest number below 2^255.
        for text in [
            "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert!(
                !key(text).is_reduced() && !key(text).is_canonical(),
                "{text}"
            );
        }
        assert!(
            key("0900000000000000000000000000000000000000000000000000000000000000").is_canonical()
        );
    }

    #[test]
    fn multiplier_of_the_check_is_minus_one_and_clamped() {
        use curve25519_dalek::scalar::Scalar;
        assert_eq!(Scalar::from_bytes_mod_order(MINUS_ONE), -Scalar::ONE);
        let clamped = X25519Secret::from_secret(&Secret::from_slice(&MINUS_ONE).unwrap());
        assert_eq!(clamped.secret().expose_secret(), &MINUS_ONE);
    }

    /// Half of all u are on the twist, seven of eight on the curve have torsion.
    #[test]
    fn canonical_keys_are_those_whose_edwards_point_is_torsion_free() {
        use curve25519_dalek::montgomery::MontgomeryPoint;
        let mut canonical = 0;
        for number in 0..2_000_u32 {
            let mut u = crate::sha256(&[&number.to_be_bytes()]);
            if let Some(last) = u.last_mut() {
                *last &= 0x7f;
            }
            let by_edwards = MontgomeryPoint(u)
                .to_edwards(0)
                .is_some_and(|point| point.is_torsion_free());
            assert_eq!(X25519Public(u).is_canonical(), by_edwards, "{number}");
            canonical += u32::from(by_edwards);
        }
        assert!((80..200).contains(&canonical), "{canonical}");
    }

    /// A good key with a point of order two added: on the curve, but in no prime-order subgroup.
    #[test]
    fn keys_with_torsion_are_not_canonical() {
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        for torsion in EIGHT_TORSION.iter().skip(1) {
            let point = ED25519_BASEPOINT_POINT + torsion;
            assert!(!X25519Public(point.to_montgomery().to_bytes()).is_canonical());
        }
    }
}
