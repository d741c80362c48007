//! scrypt (RFC 7914): keys from the passphrases of age files. Ours come of Argon2id.

use crate::lc;
use crate::secret::Secret;

/// The largest work factor: 2^22 blocks of 1 KiB, which is 4 GiB.
pub const MAX_LOG_N: u8 = 22;

/// The work factor is zero or too large, or there is not enough memory for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work factor of scrypt is out of bounds")]
pub struct BadWorkFactor;

/// Derives a key with N = 2^`log_n`, r = 8, p = 1. It takes `2^log_n` KiB of memory.
///
/// # Errors
/// [`BadWorkFactor`]: `log_n` is not in `1..=`[`MAX_LOG_N`], or the memory is not to be had.
pub fn scrypt(passphrase: &[u8], salt: &[u8], log_n: u8) -> Result<Secret<32>, BadWorkFactor> {
    // SECURITY: a file states what it costs to open; `work_factors_beyond_the_bounds_are_refused` notices.
    if !(1..=MAX_LOG_N).contains(&log_n) {
        return Err(BadWorkFactor);
    }
    lc::scrypt(passphrase, salt, log_n).map_err(|_| BadWorkFactor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use data_encoding::HEXLOWER;

    /// RFC 7914, section 12, third vector (N = 16384, r = 8, p = 1): the first 32 of its 64 bytes, which a shorter key
    /// has too, since the last step is PBKDF2.
    #[test]
    fn keys_are_those_of_rfc_7914() {
        let key = scrypt(b"pleaseletmein", b"SodiumChloride", 14).unwrap();
        assert_eq!(
            HEXLOWER.encode(key.expose_secret()),
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        );
    }

    #[test]
    fn work_factors_beyond_the_bounds_are_refused() {
        for log_n in [0, MAX_LOG_N + 1, 64, 255] {
            assert_eq!(
                scrypt(b"", b"", log_n).err(),
                Some(BadWorkFactor),
                "{log_n}"
            );
        }
        assert!(scrypt(b"", b"", 1).is_ok());
    }
}
