//! XEdDSA as deployed (docs/spec/ratchet.md, section 2.2): signatures by X25519 keys.

use crate::kdf::sha512;
use crate::x25519::{X25519Public, X25519Secret};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroize as _;

/// The signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// Signs `message` with `z`, 64 fresh random bytes.
///
/// *Formula*: `a = k mod L; A = aB; r = SHA-512(FE ‖ FF×31 ‖ k ‖ M ‖ Z) mod L; R = rB;
/// h = SHA-512(R ‖ A ‖ M) mod L; s = r + h·a mod L`; the signature is `R ‖ s` with the sign bit of A stored in
/// the top bit of byte 63.
#[must_use]
pub fn sign(key: &X25519Secret, message: &[u8], z: &[u8; 64]) -> [u8; 64] {
    let k = key.secret().expose_secret();
    let mut a = Scalar::from_bytes_mod_order(*k);
    let public = EdwardsPoint::mul_base(&a).compress();
    let mut prefix = [0xff; 32];
    if let Some(first) = prefix.first_mut() {
        *first = 0xfe;
    }
    let mut wide = sha512(&[&prefix, k, message, z]);
    let mut r = Scalar::from_bytes_mod_order_wide(&wide);
    let commitment = EdwardsPoint::mul_base(&r).compress();
    let h = challenge(commitment.as_bytes(), public.as_bytes(), message);
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "arithmetic modulo L has no overflow"
    )]
    let s = r + h * a;
    let mut signature = [0; 64];
    let (head, tail) = signature.split_at_mut(32);
    head.copy_from_slice(commitment.as_bytes());
    tail.copy_from_slice(s.as_bytes());
    if let (Some(last), Some(sign)) = (tail.last_mut(), public.as_bytes().last()) {
        *last |= sign & 0x80;
    }
    a.zeroize();
    r.zeroize();
    wide.zeroize();
    signature
}

/// Verifies strictly: exactly 64 bytes, s below L, u canonical as a number, the byte form of R compared.
///
/// # Errors
/// [`BadSignature`], whatever is wrong.
pub fn verify(key: &X25519Public, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let signature: &[u8; 64] = signature.try_into().map_err(|_| BadSignature)?;
    let (commitment, tail) = signature.split_first_chunk::<32>().ok_or(BadSignature)?;
    let mut s: [u8; 32] = tail.try_into().map_err(|_| BadSignature)?;
    let [.., last] = &mut s;
    let sign = *last >> 7;
    *last &= 0x7f;
    // SECURITY: libsignal accepts s + L and unused bits of u; a second form of one signature is refused here.
    // `altered_signatures_are_refused` notices.
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)).ok_or(BadSignature)?;
    if !key.is_reduced() {
        return Err(BadSignature);
    }
    let public = MontgomeryPoint(*key.as_bytes())
        .to_edwards(sign)
        .ok_or(BadSignature)?;
    let h = challenge(commitment, public.compress().as_bytes(), message);
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "arithmetic modulo L has no overflow"
    )]
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-h, &public, &s);
    if expected.compress().as_bytes() == commitment {
        Ok(())
    } else {
        Err(BadSignature)
    }
}

fn challenge(commitment: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[commitment, public, message]))
}
