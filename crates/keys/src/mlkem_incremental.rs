//! ML-KEM-768 cut in pieces, as SPQR sends it (docs/spec/ratchet.md, section 5.6).
//!
//! The encapsulation key is `ek ‖ rho`; the *header* is `rho ‖ SHA3-256(ek ‖ rho)`. With the header alone a
//! sender makes the first 960 bytes of the ciphertext, with the rest of the key the last 128.

use crate::kdf::sha3_256;
use crate::lc::{self, MlKem};
use crate::secret::{Secret, SecretBytes};
use libcrux_ml_kem::mlkem768::incremental;
use zeroize::Zeroizing;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 64;
/// Length of the rest of the encapsulation key in bytes.
pub const EK_LEN: usize = 1152;
/// Length of the decapsulation key in bytes.
pub const DK_LEN: usize = 2400;
/// Length of the first part of the ciphertext in bytes.
pub const CT1_LEN: usize = 960;
/// Length of the second part of the ciphertext in bytes.
pub const CT2_LEN: usize = 128;

/// The key does not fit its header, has a coefficient that is not below q, or a length is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed incremental ML-KEM key or ciphertext")]
pub struct Malformed;

/// A key pair in pieces.
pub struct KeyPair {
    /// `rho ‖ SHA3-256(ek ‖ rho)`.
    pub header: [u8; HEADER_LEN],
    /// `t`.
    pub ek: Box<[u8; EK_LEN]>,
    /// The decapsulation key, 2400 bytes.
    pub dk: SecretBytes,
}

impl KeyPair {
    /// Makes a key pair of the seed `d ‖ z`.
    ///
    /// # Errors
    /// [`Malformed`]: never for a well-formed seed.
    pub fn from_seed(seed: &Secret<64>) -> Result<Self, Malformed> {
        let (public, dk) = lc::ml_kem_key_pair(MlKem::K768, seed).map_err(|_| Malformed)?;
        let (ek, rho) = public.split_first_chunk::<EK_LEN>().ok_or(Malformed)?;
        let mut header = [0; HEADER_LEN];
        let (head, tail) = header.split_at_mut(32);
        head.copy_from_slice(rho);
        tail.copy_from_slice(&sha3_256(&[&public]));
        Ok(Self {
            header,
            ek: Box::new(*ek),
            dk,
        })
    }
}

/// Encaps 1: the first part of the ciphertext and the shared secret, from the header and the randomness `m`.
///
/// # Errors
/// [`Malformed`]: never for arrays of these lengths.
pub fn encaps1(
    header: &[u8; HEADER_LEN],
    m: &Secret<32>,
) -> Result<(Box<[u8; CT1_LEN]>, Secret<32>), Malformed> {
    let (ct1, _, shared) = first_half(header, m)?;
    Ok((ct1, shared))
}

/// What encaps 1 leaves for encaps 2: ciphertext part, state, shared secret.
type FirstHalf = (Box<[u8; CT1_LEN]>, Zeroizing<Vec<u8>>, Secret<32>);

fn first_half(header: &[u8; HEADER_LEN], m: &Secret<32>) -> Result<FirstHalf, Malformed> {
    let mut state = Zeroizing::new(vec![0; incremental::encaps_state_len()]);
    let mut ct1 = Err(Malformed);
    let shared = Secret::from_fn(|out: &mut [u8; 32]| {
        ct1 = incremental::encapsulate1(header, *m.expose_secret(), &mut state, out)
            .map_err(|_| Malformed);
    });
    Ok((Box::new(ct1?.value), state, shared))
}

/// Encaps 2: the last part of the ciphertext, from the same header and `m` and the rest of the key.
///
/// The state between the two halves is computed again and never stored: its form is libcrux's own.
///
/// # Errors
/// [`Malformed`]: `ek` does not fit the header, or has a coefficient that is not below q.
pub fn encaps2(
    header: &[u8; HEADER_LEN],
    ek: &[u8; EK_LEN],
    m: &Secret<32>,
) -> Result<[u8; CT2_LEN], Malformed> {
    validate(header, ek)?;
    let (_, state, _) = first_half(header, m)?;
    let state = state.as_slice().try_into().map_err(|_| Malformed)?;
    Ok(incremental::encapsulate2(state, ek).value)
}

/// Checks that `ek` fits the header and that every coefficient is below q.
///
/// # Errors
/// [`Malformed`], if not.
pub fn validate(header: &[u8; HEADER_LEN], ek: &[u8; EK_LEN]) -> Result<(), Malformed> {
    // SECURITY: a key that does not fit its authenticated header is a foreign key. The library compares the hash and
    // every coefficient; `ek_that_does_not_fit_the_header_is_refused` notices.
    incremental::validate_pk_bytes(header, ek).map_err(|_| Malformed)
}

/// Decapsulates both parts; a wrong ciphertext gives another secret (implicit rejection).
///
/// # Errors
/// [`Malformed`]: the decapsulation key's length is wrong.
pub fn decaps(
    dk: &SecretBytes,
    ct1: &[u8; CT1_LEN],
    ct2: &[u8; CT2_LEN],
) -> Result<Secret<32>, Malformed> {
    let mut ciphertext = [0; CT1_LEN + CT2_LEN];
    let (head, tail) = ciphertext.split_at_mut(CT1_LEN);
    head.copy_from_slice(ct1);
    tail.copy_from_slice(ct2);
    if dk.len() != DK_LEN {
        return Err(Malformed);
    }
    lc::ml_kem_decapsulate(MlKem::K768, dk.expose_secret(), &ciphertext).map_err(|_| Malformed)
}
