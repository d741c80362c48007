//! The KEMs of PQXDH: Kyber-1024 round 3 (`signal` profile) and ML-KEM-1024 (`letterlock` profile), the latter also
//! for envelopes of `cnsa2`.
//!
//! Both encrypt alike; round 3 hashes more around it. So AWS-LC's ML-KEM encapsulates and decapsulates for both, and
//! libcrux makes the keys of round 3.

use crate::kdf::sha3_256;
use crate::lc::{self, MlKem};
use crate::secret::{Secret, SecretBytes};
use libcrux_ml_kem::kyber1024;
use zeroize::Zeroizing;

/// Which KEM, by its byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kem {
    /// Kyber-1024 of round 3, for libsignal only.
    Kyber1024 = 0x08,
    /// ML-KEM-1024 (FIPS 203).
    MlKem1024 = 0x0a,
}

/// Length of a public key in bytes.
pub const PUBLIC_LEN: usize = 1568;
/// Length of a secret key in bytes.
pub const SECRET_LEN: usize = 3168;
/// Length of a ciphertext in bytes.
pub const CIPHERTEXT_LEN: usize = 1568;

/// A key or ciphertext has a wrong length, or a public key has a coefficient that is not below q.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed KEM key or ciphertext")]
pub struct MalformedKem;

/// The seed of a key pair in HPKE: `SHAKE256(ikm, 64)`.
#[must_use]
pub fn derive_seed(ikm: &[u8]) -> Secret<64> {
    let seed = Zeroizing::new(libcrux_sha3::shake256::<64>(ikm));
    Secret::from_fn(|out| *out = *seed)
}

/// Decapsulates ML-KEM-1024 with the key of a seed, as [`KemSecret::decapsulate`] does.
///
/// # Errors
/// [`MalformedKem`]: the ciphertext's length is wrong.
pub fn decapsulate_seed(seed: &Secret<64>, ciphertext: &[u8]) -> Result<Secret<32>, MalformedKem> {
    lc::ml_kem_decapsulate_seed(MlKem::K1024, seed, ciphertext).map_err(|_| MalformedKem)
}

/// A KEM secret key, 3168 bytes: s ‖ public key ‖ H(public key) ‖ z.
pub struct KemSecret {
    kem: Kem,
    bytes: SecretBytes,
}

/// A KEM public key, 1568 bytes, every coefficient below q.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KemPublic {
    kem: Kem,
    bytes: Box<[u8; PUBLIC_LEN]>,
}

impl KemSecret {
    /// Makes a key pair of the seed `d ‖ z`.
    ///
    /// # Errors
    /// [`MalformedKem`]: never for a well-formed seed.
    pub fn from_seed(kem: Kem, seed: &Secret<64>) -> Result<(Self, KemPublic), MalformedKem> {
        let (public, bytes) = match kem {
            Kem::Kyber1024 => {
                let pair = kyber1024::generate_key_pair(*seed.expose_secret());
                (pair.pk().to_vec(), SecretBytes::new(pair.sk().to_vec()))
            }
            Kem::MlKem1024 => lc::ml_kem_key_pair(MlKem::K1024, seed).map_err(|_| MalformedKem)?,
        };
        let bytes_of_public = public
            .into_boxed_slice()
            .try_into()
            .map_err(|_| MalformedKem)?;
        Ok((
            Self { kem, bytes },
            KemPublic {
                kem,
                bytes: bytes_of_public,
            },
        ))
    }

    /// Takes a stored secret key.
    ///
    /// # Errors
    /// [`MalformedKem`]: the length is wrong.
    pub fn from_bytes(kem: Kem, bytes: SecretBytes) -> Result<Self, MalformedKem> {
        if bytes.len() == SECRET_LEN {
            Ok(Self { kem, bytes })
        } else {
            Err(MalformedKem)
        }
    }

    /// The bytes, for storage.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes {
        &self.bytes
    }

    /// Which KEM.
    #[must_use]
    pub fn kem(&self) -> Kem {
        self.kem
    }

    /// The public key, which every secret key holds.
    ///
    /// # Errors
    /// [`MalformedKem`]: the stored key is damaged.
    pub fn public(&self) -> Result<KemPublic, MalformedKem> {
        let public = self
            .bytes
            .expose_secret()
            .get(SECRET_LEN - PUBLIC_LEN - 64..SECRET_LEN - 64);
        KemPublic::from_bytes(self.kem, public.ok_or(MalformedKem)?)
    }

    /// Decapsulates; a wrong ciphertext gives another secret (implicit rejection).
    ///
    /// # Errors
    /// [`MalformedKem`]: the ciphertext's length is wrong, or the stored key is damaged.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, MalformedKem> {
        if ciphertext.len() != CIPHERTEXT_LEN {
            return Err(MalformedKem);
        }
        let secret = self.bytes.expose_secret();
        let shared =
            lc::ml_kem_decapsulate(MlKem::K1024, secret, ciphertext).map_err(|_| MalformedKem)?;
        match self.kem {
            Kem::Kyber1024 => Ok(round_3_kdf(&shared, ciphertext)),
            Kem::MlKem1024 => Ok(shared),
        }
    }
}

impl KemPublic {
    /// Takes a peer's public key.
    ///
    /// # Errors
    /// [`MalformedKem`]: the length is wrong or a coefficient is not below q.
    pub fn from_bytes(kem: Kem, bytes: &[u8]) -> Result<Self, MalformedKem> {
        let bytes: &[u8; PUBLIC_LEN] = bytes.try_into().map_err(|_| MalformedKem)?;
        let public = (*bytes).into();
        // The check of FIPS 203, section 7.2, holds for round 3 too: same encoding, same q.
        // SECURITY: `kem_public_key_with_large_coefficient_is_refused` notices.
        if !kyber1024::validate_public_key(&public) {
            return Err(MalformedKem);
        }
        Ok(Self {
            kem,
            bytes: Box::new(*bytes),
        })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_LEN] {
        &self.bytes
    }

    /// Which KEM.
    #[must_use]
    pub fn kem(&self) -> Kem {
        self.kem
    }

    /// Encapsulates with the randomness `m`: ciphertext and shared secret.
    ///
    /// # Errors
    /// [`MalformedKem`]: never for a key that was checked when it was made.
    pub fn encapsulate(&self, m: &Secret<32>) -> Result<(Vec<u8>, Secret<32>), MalformedKem> {
        let encapsulate = |m: &Secret<32>| {
            lc::ml_kem_encapsulate(MlKem::K1024, &self.bytes[..], m).map_err(|_| MalformedKem)
        };
        match self.kem {
            Kem::Kyber1024 => {
                let hashed = Secret::from_fn(|out| *out = sha3_256(&[m.expose_secret()]));
                let (ciphertext, shared) = encapsulate(&hashed)?;
                let shared = round_3_kdf(&shared, &ciphertext);
                Ok((ciphertext, shared))
            }
            Kem::MlKem1024 => encapsulate(m),
        }
    }
}

/// *Formula*: `SHAKE256(K' ‖ SHA3-256(c), 32)` (Kyber, round 3, algorithms 8 and 9).
///
/// For a wrong ciphertext round 3 has z in place of K', deployed peers and we what FIPS 203 rejects with, which comes
/// of z; nobody else can tell.
fn round_3_kdf(shared: &Secret<32>, ciphertext: &[u8]) -> Secret<32> {
    shake256(&[shared.expose_secret(), &sha3_256(&[ciphertext])])
}

fn shake256(parts: &[&[u8]]) -> Secret<32> {
    let input = SecretBytes::new(parts.concat());
    let mut output = libcrux_sha3::shake256::<32>(input.expose_secret());
    let secret = Secret::from_fn(|out| *out = output);
    crate::secret::wipe(&mut output);
    secret
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    /// libcrux implements round 3 whole; for good ciphertexts and for wrong ones the secrets are the same.
    #[test]
    fn round_3_agrees_with_libcrux() {
        for number in 0..40_u8 {
            let seed = Secret::from_fn(|out| *out = crate::sha512(&[&[number]]));
            let (secret, public) = KemSecret::from_seed(Kem::Kyber1024, &seed).unwrap();
            let theirs = kyber1024::generate_key_pair(*seed.expose_secret());
            let m = [number; 32];
            let (ciphertext, shared) = public
                .encapsulate(&Secret::from_fn(|out| *out = m))
                .unwrap();
            let (their_ciphertext, their_shared) = kyber1024::encapsulate(theirs.public_key(), m);
            assert_eq!(ciphertext, their_ciphertext.as_slice());
            assert_eq!(shared.expose_secret(), &their_shared);
            let mut wrong = ciphertext.clone();
            wrong[usize::from(number) * 40] ^= 1;
            for ciphertext in [ciphertext, wrong] {
                let ours = secret.decapsulate(&ciphertext).unwrap();
                let bytes: [u8; CIPHERTEXT_LEN] = ciphertext.try_into().unwrap();
                let theirs = kyber1024::decapsulate(theirs.private_key(), &bytes.into());
                assert_eq!(ours.expose_secret(), &theirs, "{number}");
            }
        }
    }
}
