//! XEdDSA as deployed (docs/spec/ratchet.md, section 2.2): signatures by X25519 keys.

use crate::kdf::sha512;
use crate::x25519::{X25519Public, X25519Secret};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
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
    verify_all(key, [(message, signature)])
}

/// Verifies several signatures by one key, each as [`verify`] does; what they share is computed once.
///
/// # Errors
/// [`BadSignature`]: one of them does not hold.
pub fn verify_all<const N: usize>(
    key: &X25519Public,
    signed: [(&[u8], &[u8]); N],
) -> Result<(), BadSignature> {
    const { assert!(N > 0, "none would hold, whoever the key is") };
    if !key.is_reduced() {
        return Err(BadSignature);
    }
    let mut known: Option<Verifier> = None;
    let mut commitments = [&[0; 32]; N];
    let mut expected = [EdwardsPoint::default(); N];
    let results = commitments.iter_mut().zip(&mut expected);
    for ((message, signature), (commitment, expected)) in signed.into_iter().zip(results) {
        let signature = Signature::parse(signature)?;
        let verifier = match known.take().filter(|known| known.sign == signature.sign) {
            Some(verifier) => verifier,
            None => Verifier::new(key, signature.sign).ok_or(BadSignature)?,
        };
        *commitment = signature.commitment;
        *expected = verifier.commitment(message, &signature);
        known = Some(verifier);
    }
    // One inversion for all; each is compared with its own.
    let expected = EdwardsPoint::compress_batch(&expected);
    let mut pairs = expected.iter().zip(commitments);
    if pairs.all(|(expected, commitment)| expected.as_bytes() == commitment) {
        Ok(())
    } else {
        Err(BadSignature)
    }
}

/// `R ‖ s` and the sign bit of A.
struct Signature<'a> {
    commitment: &'a [u8; 32],
    s: Scalar,
    sign: u8,
}

impl<'a> Signature<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, BadSignature> {
        let bytes: &[u8; 64] = bytes.try_into().map_err(|_| BadSignature)?;
        let (commitment, tail) = bytes.split_first_chunk::<32>().ok_or(BadSignature)?;
        let mut s: [u8; 32] = tail.try_into().map_err(|_| BadSignature)?;
        let [.., last] = &mut s;
        let sign = *last >> 7;
        *last &= 0x7f;
        // SECURITY: libsignal accepts s + L and unused bits of u; a second form of one signature is refused here
        // and in `verify_all`. `altered_signatures_are_refused` notices.
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)).ok_or(BadSignature)?;
        Ok(Self {
            commitment,
            s,
            sign,
        })
    }
}

/// A, as a point and in its byte form.
struct Verifier {
    sign: u8,
    public: EdwardsPoint,
    bytes: CompressedEdwardsY,
}

impl Verifier {
    fn new(key: &X25519Public, sign: u8) -> Option<Self> {
        let public = MontgomeryPoint(*key.as_bytes()).to_edwards(sign)?;
        Some(Self {
            sign,
            public,
            bytes: public.compress(),
        })
    }

    /// *Formula*: `s·B - h·A`, which is R if the signature holds.
    fn commitment(&self, message: &[u8], signature: &Signature<'_>) -> EdwardsPoint {
        let h = challenge(signature.commitment, self.bytes.as_bytes(), message);
        #[expect(
            clippy::arithmetic_side_effects,
            reason = "arithmetic modulo L has no overflow"
        )]
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&-h, &self.public, &signature.s)
    }
}

fn challenge(commitment: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[commitment, public, message]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn one_bad_signature_of_several_is_refused() {
        let key = |byte| X25519Secret::from_secret(&Secret::from_fn(|out| *out = [byte; 32]));
        let (ours, other) = (key(7), key(9));
        let messages: [&[u8]; 3] = [b"a", b"b", b"a"];
        let good = [1, 2, 3].map(|z: u8| {
            let message = messages[usize::from(z) - 1];
            sign(&ours, message, &[z; 64])
        });
        let all = |signatures: &[[u8; 64]; 3]| {
            let pairs = [0, 1, 2].map(|place| (messages[place], &signatures[place][..]));
            verify_all(&ours.public(), pairs)
        };
        assert_eq!(all(&good), Ok(()));
        for place in 0..3 {
            for (byte, bit) in [(0, 1), (31, 0x80), (32, 1), (63, 0x80)] {
                let mut bad = good;
                bad[place][byte] ^= bit;
                assert_eq!(all(&bad), Err(BadSignature), "{place} {byte}");
            }
            let mut bad = good;
            bad[place] = sign(&other, messages[place], &[4; 64]);
            assert_eq!(all(&bad), Err(BadSignature), "{place}");
        }
        // The same signatures in another order.
        assert_eq!(all(&[good[1], good[0], good[2]]), Err(BadSignature));
    }
}
