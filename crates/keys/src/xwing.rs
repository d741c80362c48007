//! X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 in one KEM.
//!
//! *Formula*: the secret key is 32 bytes; `SHAKE256(sk, 96) = d ‖ z ‖ sk_X`. The public key is `pk_M ‖ pk_X`, the
//! ciphertext `ct_M ‖ ct_X`, the shared secret `SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ "\.//^\")`.

use crate::kdf::sha3_256;
use crate::lc::{self, MlKem};
use crate::secret::{Secret, SecretBytes};
use libcrux_ml_kem::mlkem768;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Length of a public key in bytes.
pub const PUBLIC_LEN: usize = 1216;
/// Length of a ciphertext in bytes.
pub const CIPHERTEXT_LEN: usize = 1120;
const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
const LABEL: &[u8; 6] = b"\\.//^\\";

/// A key or ciphertext is malformed, or its X25519 share is of low order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed X-Wing key or ciphertext")]
pub struct Malformed;

/// A public key, 1216 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct XWingPublic(Box<[u8; PUBLIC_LEN]>);

/// The seed of a key pair in HPKE: `SHAKE256(ikm, 32)`.
#[must_use]
pub fn derive_seed(ikm: &[u8]) -> Secret<32> {
    let seed = Zeroizing::new(libcrux_sha3::shake256::<32>(ikm));
    Secret::from_fn(|out| *out = *seed)
}

/// Decapsulates as [`XWingSecret::decapsulate`] does, with the key of a seed, which is not expanded further than that
/// takes. `public` is the seed's public key; with another the secret is another.
///
/// # Errors
/// [`Malformed`]: a length is wrong or the X25519 share is of low order.
pub fn decapsulate(
    seed: &Secret<32>,
    public: &[u8],
    ciphertext: &[u8],
) -> Result<Secret<32>, Malformed> {
    let public: &[u8; PUBLIC_LEN] = public.try_into().map_err(|_| Malformed)?;
    let x25519_public = public.last_chunk::<32>().ok_or(Malformed)?;
    let (ml_kem_ciphertext, x25519_ciphertext) = ciphertext
        .split_at_checked(ML_KEM_CIPHERTEXT)
        .ok_or(Malformed)?;
    let x25519_ciphertext: &[u8; 32] = x25519_ciphertext.try_into().map_err(|_| Malformed)?;
    let (ml_kem_seed, x25519) = expand(seed)?;
    let ml_kem_shared = lc::ml_kem_decapsulate_seed(MlKem::K768, &ml_kem_seed, ml_kem_ciphertext)
        .map_err(|_| Malformed)?;
    let x25519_shared = lc::x25519(x25519.expose_secret(), x25519_ciphertext).ok_or(Malformed)?;
    Ok(combine(
        &ml_kem_shared,
        &x25519_shared,
        x25519_ciphertext,
        x25519_public,
    ))
}

/// `d ‖ z` of ML-KEM, and the private key of X25519.
fn expand(seed: &Secret<32>) -> Result<(Secret<64>, Secret<32>), Malformed> {
    let expanded = Zeroizing::new(libcrux_sha3::shake256::<96>(seed.expose_secret()));
    let (ml_kem_seed, x25519) = expanded.split_first_chunk::<64>().ok_or(Malformed)?;
    let ml_kem_seed = Secret::from_slice(ml_kem_seed).ok_or(Malformed)?;
    let x25519 = Secret::from_slice(x25519).ok_or(Malformed)?;
    Ok((ml_kem_seed, x25519))
}

/// A secret key: the 32-byte seed and what follows from it.
pub struct XWingSecret {
    seed: Secret<32>,
    ml_kem: SecretBytes,
    x25519: Secret<32>,
    public: XWingPublic,
}

impl XWingPublic {
    /// Takes the bytes of a key; its ML-KEM part is checked when it is used.
    ///
    /// # Errors
    /// [`Malformed`]: the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; PUBLIC_LEN] = bytes.try_into().map_err(|_| Malformed)?;
        Ok(Self(Box::new(*bytes)))
    }

    /// Checks the key as a recipient's would be checked when it is used.
    ///
    /// # Errors
    /// [`Malformed`]: as for [`Self::encapsulate`].
    pub fn validate(&self) -> Result<(), Malformed> {
        let (ml_kem, x25519) = self
            .0
            .split_first_chunk::<ML_KEM_PUBLIC>()
            .ok_or(Malformed)?;
        let x25519: &[u8; 32] = x25519.try_into().map_err(|_| Malformed)?;
        // SECURITY: FIPS 203, section 7.2; `keys_that_cannot_be_used_are_not_valid` notices.
        if !mlkem768::validate_public_key(&(*ml_kem).into()) {
            return Err(Malformed);
        }
        // Every clamped scalar takes points of small order, and no others, to zero.
        lc::x25519(&[0x40; 32], x25519).map(drop).ok_or(Malformed)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_LEN] {
        &self.0
    }

    /// Encapsulates: draws 64 bytes (m, then the ephemeral X25519 key); returns ciphertext and shared secret.
    ///
    /// # Errors
    /// [`Malformed`]: the key's ML-KEM part has a coefficient that is not below q, or its X25519 part is of
    /// low order.
    pub fn encapsulate(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<([u8; CIPHERTEXT_LEN], Secret<32>), Malformed> {
        let (ml_kem_public, x25519_public) = self
            .0
            .split_first_chunk::<ML_KEM_PUBLIC>()
            .ok_or(Malformed)?;
        let x25519_public: &[u8; 32] = x25519_public.try_into().map_err(|_| Malformed)?;
        let m = Secret::random(rng);
        let ephemeral = Secret::<32>::random(rng);
        let (ml_kem_ciphertext, ml_kem_shared) =
            lc::ml_kem_encapsulate(MlKem::K768, ml_kem_public, &m).map_err(|_| Malformed)?;
        let x25519_ciphertext = lc::x25519_public(ephemeral.expose_secret());
        // SECURITY: stricter than the draft, which lets a zero through; `low_order_share_is_refused` notices.
        let x25519_shared =
            lc::x25519(ephemeral.expose_secret(), x25519_public).ok_or(Malformed)?;
        let shared = combine(
            &ml_kem_shared,
            &x25519_shared,
            &x25519_ciphertext,
            x25519_public,
        );
        let mut ciphertext = [0; CIPHERTEXT_LEN];
        let (head, tail) = ciphertext.split_at_mut(ML_KEM_CIPHERTEXT);
        head.copy_from_slice(&ml_kem_ciphertext);
        tail.copy_from_slice(&x25519_ciphertext);
        Ok((ciphertext, shared))
    }
}

impl XWingSecret {
    /// Draws a key: 32 bytes in one call of `rng`.
    ///
    /// # Errors
    /// [`Malformed`]: never; the library reports it all the same.
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, Malformed> {
        Self::from_seed(Secret::random(rng))
    }

    /// Expands a seed.
    ///
    /// # Errors
    /// [`Malformed`]: never for 32 bytes; the library reports it all the same.
    pub fn from_seed(seed: Secret<32>) -> Result<Self, Malformed> {
        let (ml_kem_seed, x25519) = expand(&seed)?;
        let (ml_kem_public, ml_kem) =
            lc::ml_kem_key_pair(MlKem::K768, &ml_kem_seed).map_err(|_| Malformed)?;
        let public = [
            &ml_kem_public[..],
            &lc::x25519_public(x25519.expose_secret()),
        ]
        .concat();
        let public = XWingPublic::from_bytes(&public)?;
        Ok(Self {
            seed,
            ml_kem,
            x25519,
            public,
        })
    }

    /// The seed, for storage.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &XWingPublic {
        &self.public
    }

    /// Decapsulates; a wrong ML-KEM ciphertext gives another secret (implicit rejection).
    ///
    /// # Errors
    /// [`Malformed`]: the length is wrong or the X25519 share is of low order.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, Malformed> {
        let (ml_kem_ciphertext, x25519_ciphertext) = ciphertext
            .split_at_checked(ML_KEM_CIPHERTEXT)
            .ok_or(Malformed)?;
        let x25519_ciphertext: &[u8; 32] = x25519_ciphertext.try_into().map_err(|_| Malformed)?;
        let ml_kem_shared =
            lc::ml_kem_decapsulate(MlKem::K768, self.ml_kem.expose_secret(), ml_kem_ciphertext)
                .map_err(|_| Malformed)?;
        let x25519_shared =
            lc::x25519(self.x25519.expose_secret(), x25519_ciphertext).ok_or(Malformed)?;
        let x25519_public = self.public.0.last_chunk::<32>().ok_or(Malformed)?;
        Ok(combine(
            &ml_kem_shared,
            &x25519_shared,
            x25519_ciphertext,
            x25519_public,
        ))
    }
}

fn combine(
    ml_kem: &Secret<32>,
    x25519: &Secret<32>,
    x25519_ciphertext: &[u8; 32],
    x25519_public: &[u8; 32],
) -> Secret<32> {
    Secret::from_fn(|out| {
        *out = sha3_256(&[
            ml_kem.expose_secret(),
            x25519.expose_secret(),
            x25519_ciphertext,
            x25519_public,
            LABEL,
        ]);
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn both_sides_get_one_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = XWingSecret::generate(&mut rng).unwrap();
        let (ciphertext, shared) = secret.public().encapsulate(&mut rng).unwrap();
        assert!(secret.decapsulate(&ciphertext).unwrap().ct_eq(&shared));
    }

    /// For good ciphertexts and for wrong ones.
    #[test]
    fn a_seed_decapsulates_as_its_key_does() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let secret = XWingSecret::generate(&mut rng).unwrap();
        let public = *secret.public().as_bytes();
        let (mut ciphertext, _) = secret.public().encapsulate(&mut rng).unwrap();
        for place in [0, 500, 1087, 1088, 1119] {
            let short = decapsulate(secret.seed(), &public, &ciphertext).unwrap();
            assert!(secret.decapsulate(&ciphertext).unwrap().ct_eq(&short));
            ciphertext[place] ^= 1;
        }
        assert!(decapsulate(secret.seed(), &public, &ciphertext[1..]).is_err());
        assert!(decapsulate(secret.seed(), &public[1..], &ciphertext).is_err());
        ciphertext[1088..].fill(0);
        assert!(decapsulate(secret.seed(), &public, &ciphertext).is_err());
    }

    #[test]
    fn keys_that_cannot_be_used_are_not_valid() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let good = *XWingSecret::generate(&mut rng).unwrap().public().as_bytes();
        XWingPublic::from_bytes(&good).unwrap().validate().unwrap();
        let mut large = good;
        large[..2].fill(0xff);
        let mut zero = good;
        zero[1184..].fill(0);
        for bytes in [large, zero] {
            let key = XWingPublic::from_bytes(&bytes).unwrap();
            assert_eq!(key.validate(), Err(Malformed));
            assert!(key.encapsulate(&mut rng).is_err());
        }
    }

    #[test]
    fn low_order_share_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let secret = XWingSecret::generate(&mut rng).unwrap();
        let (mut ciphertext, _) = secret.public().encapsulate(&mut rng).unwrap();
        ciphertext[1088..].fill(0);
        assert!(secret.decapsulate(&ciphertext).is_err());
        let mut public = *secret.public().as_bytes();
        public[1184..].fill(0);
        assert!(
            XWingPublic::from_bytes(&public)
                .unwrap()
                .encapsulate(&mut rng)
                .is_err()
        );
    }
}
