//! Keys from passphrases: Argon2id (RFC 9106).

use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Params, Version};

/// Cost parameters, stored beside what they protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgonParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for ArgonParams {
    /// 64 MiB, three passes, one lane: the second recommendation of RFC 9106, section 4, with one lane.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

/// Parameters out of bounds: a file that asks for them is damaged or hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 parameters out of bounds")]
pub struct BadParams;

/// Derives a key: Argon2id version 0x13 with a 16-byte salt.
///
/// # Errors
/// [`BadParams`]: memory not in 8 KiB..=1 GiB, passes not in 1..=16, or lanes not in 1..=8.
pub fn argon2id(
    passphrase: &[u8],
    salt: &[u8; 16],
    params: ArgonParams,
) -> Result<Secret<32>, BadParams> {
    let bounded = (8..=1024 * 1024).contains(&params.memory_kib)
        && (1..=16).contains(&params.passes)
        && (1..=8).contains(&params.lanes);
    if !bounded {
        return Err(BadParams);
    }
    let params = Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .map_err(|_| BadParams)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut good = false;
    let key = Secret::from_fn(|out: &mut [u8; 32]| {
        good = argon.hash_password_into(passphrase, salt, out).is_ok();
    });
    if good { Ok(key) } else { Err(BadParams) }
}
