//! Keys from passphrases: Argon2id (RFC 9106).

use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;

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

impl ArgonParams {
    /// The library's form, within our bounds.
    fn checked(self) -> Result<Params, BadParams> {
        let bounded = (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=8).contains(&self.lanes);
        if !bounded {
            return Err(BadParams);
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| BadParams)
    }
}

/// Derives a key: Argon2id version 0x13 with a 16-byte salt.
///
/// # Errors
/// [`BadParams`]: memory not in 8 KiB..=1 GiB or less than 8 KiB a lane, passes not in 1..=16, lanes not in
/// 1..=8, or no such memory is to be had.
pub fn argon2id(
    passphrase: &[u8],
    salt: &[u8; 16],
    params: ArgonParams,
) -> Result<Secret<32>, BadParams> {
    let params = params.checked()?;
    // The library leaves its memory as it is, and the key follows from the last blocks: it is ours, to be wiped.
    let mut memory = Zeroizing::new(Vec::new());
    let blocks = params.block_count();
    memory.try_reserve_exact(blocks).map_err(|_| BadParams)?;
    memory.resize(blocks, Block::default());
    let argon = Argon2::new(ALGORITHM, VERSION, params);
    let mut good = false;
    let key = Secret::from_fn(|out: &mut [u8; 32]| {
        let result = argon.hash_password_into_with_memory(passphrase, salt, out, &mut memory[..]);
        good = result.is_ok();
    });
    if good { Ok(key) } else { Err(BadParams) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use argon2::{AssociatedData, ParamsBuilder};
    use data_encoding::HEXLOWER;

    fn params(memory_kib: u32, passes: u32, lanes: u32) -> ArgonParams {
        ArgonParams {
            memory_kib,
            passes,
            lanes,
        }
    }

    fn derive(passphrase: &[u8], params: ArgonParams) -> String {
        let key = argon2id(passphrase, &[2; 16], params).unwrap();
        HEXLOWER.encode(key.expose_secret())
    }

    /// RFC 9106, section 5.3. We have neither a secret value nor associated data, so the library is called as
    /// [`argon2id`] calls it.
    #[test]
    fn algorithm_and_version_are_those_of_rfc_9106() {
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(AssociatedData::new(&[4; 12]).unwrap())
            .output_len(32)
            .build()
            .unwrap();
        let argon = Argon2::new_with_secret(&[3; 8], ALGORITHM, VERSION, params).unwrap();
        let mut tag = [0; 32];
        argon
            .hash_password_into(&[1; 32], &[2; 16], &mut tag)
            .unwrap();
        assert_eq!(
            HEXLOWER.encode(&tag),
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        );
    }

    /// Made with OpenSSL 4.0; the first is the RFC's vector without secret value and associated data.
    #[test]
    fn keys_are_those_of_another_library() {
        assert_eq!(
            derive(&[1; 32], params(32, 3, 4)),
            "03aab965c12001c9d7d0d2de33192c0494b684bb148196d73c1df1acaf6d0c2e"
        );
        assert_eq!(
            derive(b"", params(8, 1, 1)),
            "32b1329ca740d3f43ae5c47432e53c82dc8d0741c1f51f677051601fcb719f50"
        );
        assert_eq!(
            derive(&[b'x'; 100], params(64, 2, 2)),
            "e74cd156233c1a245373c8a18aec609408243ef922be6b64af0f009c9d44d679"
        );
        assert_eq!(
            derive(b"correct horse", ArgonParams::default()),
            "21add65b04fa14817ee4f213d069cc1a8658971c70f4458abd348e4a12263aa8"
        );
    }

    #[test]
    fn salt_passphrase_and_every_parameter_matter() {
        let key = |passphrase: &[u8], salt, params| {
            let key = argon2id(passphrase, &[salt; 16], params).unwrap();
            HEXLOWER.encode(key.expose_secret())
        };
        let keys = [
            key(b"a", 0, params(16, 1, 1)),
            key(b"b", 0, params(16, 1, 1)),
            key(b"a", 1, params(16, 1, 1)),
            key(b"a", 0, params(24, 1, 1)),
            key(b"a", 0, params(16, 2, 1)),
            key(b"a", 0, params(16, 1, 2)),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn bounds_are_refused_one_beyond() {
        for (least, most) in [
            (params(8, 1, 1), params(1024 * 1024, 16, 8)),
            (params(64, 1, 8), params(8, 16, 1)),
        ] {
            assert!(least.checked().is_ok() && most.checked().is_ok());
        }
        for beyond in [
            params(7, 1, 1),
            params(0, 1, 1),
            params(1024 * 1024 + 1, 1, 1),
            params(u32::MAX, 1, 1),
            params(64, 0, 1),
            params(64, 17, 1),
            params(64, 1, 0),
            params(128, 1, 9),
            params(63, 1, 8),
        ] {
            assert_eq!(
                argon2id(b"", &[0; 16], beyond).err(),
                Some(BadParams),
                "{beyond:?}"
            );
        }
    }
}
