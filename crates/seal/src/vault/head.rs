//! The body of a head: the newest root of a generation, sealed (docs/spec/vault.md, section 5).

use keys::codec::{Reader, Writer};
use keys::vault::GenerationKeys;
use keys::vault_root::VaultRoot;
use keys::{GroupId, OpenError, TAG_LEN, gcm_open, gcm_seal, label};
use rand_core::CryptoRng;

/// Bytes of a head's body, whatever is in it.
pub const HEAD: usize = 8 * 1024;
const NONCE: usize = 12;

fn about(vault: &GroupId, version: u64) -> Vec<u8> {
    let label = label::VAULT_HEAD.as_bytes();
    [label, &[0], vault.as_bytes(), &version.to_be_bytes()].concat()
}

/// Seals a root as a version of the head of its generation.
#[must_use]
pub fn seal_head(
    keys: &GenerationKeys,
    version: u64,
    root: &VaultRoot,
    rng: &mut dyn CryptoRng,
) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let mut plain = Writer::new();
    plain.bytes(&root.encode());
    let mut plain = plain.finish();
    plain.resize(HEAD.saturating_sub(NONCE).saturating_sub(TAG_LEN), 0);
    let about = about(&root.body.vault, version);
    let sealed = gcm_seal(keys.head(), &nonce, &about, &plain);
    [&nonce[..], &sealed].concat()
}

/// Opens a version of a head. Whether the root counts is another question.
///
/// # Errors
/// [`OpenError`]: changed, another version, of another vault, or no root.
pub fn open_head(
    keys: &GenerationKeys,
    vault: &GroupId,
    version: u64,
    body: &[u8],
) -> Result<VaultRoot, OpenError> {
    let (nonce, sealed) = body.split_first_chunk::<NONCE>().ok_or(OpenError)?;
    if body.len() != HEAD {
        return Err(OpenError);
    }
    // SECURITY: a version is no other one, nor one of another vault; `a_head_is_of_its_vault_and_version` notices.
    let plain = gcm_open(keys.head(), nonce, &about(vault, version), sealed)?;
    let mut input = Reader::new(&plain);
    let root = input.bytes(plain.len()).map_err(|_| OpenError)?;
    let root = VaultRoot::decode(root).map_err(|_| OpenError)?;
    let zeros = input.take(input.remaining()).map_err(|_| OpenError)?;
    match zeros.iter().all(|byte| *byte == 0) {
        true => Ok(root),
        false => Err(OpenError),
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
    use keys::vault_root::{ObjectRef, RootBody, RootHash};
    use keys::{AccountId, DeviceId, Secret, SecretBytes, SigningKey, Suite};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    fn root(suite: Suite) -> VaultRoot {
        let object = ObjectRef {
            generation: 1,
            ..ObjectRef::NONE
        };
        let body = RootBody {
            vault: GroupId::from_bytes([1; 32]),
            generation: 1,
            counter: 1,
            previous: RootHash::NONE,
            previous_root: ObjectRef::NONE,
            directory: object,
            time: 5,
            account: AccountId::from_bytes([6; 32]),
            device: DeviceId::from_bytes([7; 16]),
            closed: false,
        };
        let seed = SecretBytes::new(vec![9; suite.signing_seed_len()]);
        body.sign(&SigningKey::from_seed(suite, seed).unwrap())
            .unwrap()
    }

    fn keys(vault: u8) -> GenerationKeys {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        GenerationKeys::derive(&key, &GroupId::from_bytes([vault; 32]))
    }

    #[test]
    fn a_head_is_of_its_vault_and_version() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let vault = GroupId::from_bytes([1; 32]);
        for suite in Suite::ALL {
            let root = root(suite);
            let body = seal_head(&keys(1), 3, &root, &mut rng);
            assert_eq!(body.len(), HEAD);
            assert_eq!(open_head(&keys(1), &vault, 3, &body).unwrap(), root);
            assert!(open_head(&keys(1), &vault, 4, &body).is_err());
            assert!(open_head(&keys(2), &vault, 3, &body).is_err());
            let other = GroupId::from_bytes([2; 32]);
            assert!(open_head(&keys(1), &other, 3, &body).is_err());
        }
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let vault = GroupId::from_bytes([1; 32]);
        let body = seal_head(&keys(1), 3, &root(Suite::Hybrid), &mut rng);
        let keys = keys(1);
        for bit in 0..body.len() * 8 {
            let mut changed = body.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open_head(&keys, &vault, 3, &changed).is_err());
        }
        for length in 0..body.len() {
            assert!(open_head(&keys, &vault, 3, &body[..length]).is_err());
        }
    }

    /// Whoever has the key cannot hide anything behind a root.
    #[test]
    fn nothing_stands_behind_a_root() {
        let vault = GroupId::from_bytes([1; 32]);
        let sealed = |plain: &[u8]| {
            let sealed = gcm_seal(keys(1).head(), &[0; NONCE], &about(&vault, 3), plain);
            open_head(&keys(1), &vault, 3, &[&[0; NONCE][..], &sealed].concat())
        };
        let mut plain = Writer::new();
        plain.bytes(&root(Suite::Hybrid).encode());
        let mut plain = plain.finish();
        assert!(sealed(&plain).is_err(), "not filled up");
        plain.resize(HEAD - NONCE - TAG_LEN, 0);
        assert!(sealed(&plain).is_ok());
        *plain.last_mut().unwrap() = 1;
        assert!(sealed(&plain).is_err());
        assert!(sealed(&vec![0; HEAD - NONCE - TAG_LEN]).is_err());
    }
}
