//! `profile.key`: the database's key, sealed under the passphrase (docs/spec/home.md, section 2).
//!
//! *Shape* (integers big-endian): `"LtLk key" ‖ version u8 ‖ memory KiB u32 ‖ passes u32 ‖ lanes u32 ‖ salt 16 ‖
//! sealed key 48 ‖ SHA-256 of all before 32`.
//!
//! *Formula*: `AES-256-GCM(Argon2id(passphrase, salt, parameters), nonce 0, label ‖ everything before it, key)`.
//! The salt is drawn anew for every file, so each wrapping key seals once.

use super::OpenError;
use crate::os;
use keys::{ArgonParams, Secret, SecretBytes};

/// What the profile is locked with.
pub(crate) type Passphrase = SecretBytes;

const MAGIC: &[u8; 8] = b"LtLk key";
const VERSION: u8 = 1;
const HEADER: usize = 8 + 1 + 12 + 16;
/// Length of the file in bytes.
pub(super) const LENGTH: usize = HEADER + 48 + 32;

/// Draws a key and seals it: the file's bytes and the key.
pub(super) fn new(passphrase: &Passphrase) -> Result<(Vec<u8>, Secret<32>), OpenError> {
    let key = Secret::random(&mut os::entropy());
    let salt: [u8; 16] = os::random();
    let mut file = MAGIC.to_vec();
    file.push(VERSION);
    let cost = ArgonParams::default();
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file.extend_from_slice(&salt);
    let wrapping = derive(passphrase, &salt, cost)?;
    let sealed = keys::gcm_seal(&wrapping, &[0; 12], &associated(&file), key.expose_secret());
    file.extend_from_slice(&sealed);
    let checksum = keys::sha256(&[&file]);
    file.extend_from_slice(&checksum);
    Ok((file, key))
}

/// What the passphrase is stretched by.
pub(super) fn cost(file: &[u8]) -> Option<ArgonParams> {
    let number = |at: usize| {
        let bytes = file.get(at..at.saturating_add(4))?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(ArgonParams {
        memory_kib: number(9)?,
        passes: number(13)?,
        lanes: number(17)?,
    })
}

/// Opens the file's key.
///
/// The checksum stands before the passphrase, so that a damaged file is never called a wrong passphrase.
pub(super) fn open(file: &[u8], passphrase: &Passphrase) -> Result<Secret<32>, OpenError> {
    let damaged = || OpenError::KeyFileDamaged;
    if !file.starts_with(MAGIC) {
        return Err(damaged());
    }
    match file.get(MAGIC.len()) {
        Some(&VERSION) => {}
        Some(&got) if got > VERSION => {
            return Err(OpenError::Newer {
                got: u32::from(got),
            });
        }
        _ => return Err(damaged()),
    }
    let (body, checksum) = file.split_at_checked(LENGTH - 32).ok_or_else(damaged)?;
    if keys::sha256(&[body]) != checksum {
        return Err(damaged());
    }
    let (header, sealed) = body.split_at_checked(HEADER).ok_or_else(damaged)?;
    let cost = cost(header).ok_or_else(damaged)?;
    let salt: [u8; 16] = header
        .get(21..)
        .and_then(|salt| salt.try_into().ok())
        .ok_or_else(damaged)?;
    let wrapping = derive(passphrase, &salt, cost)?;
    let key = keys::gcm_open(&wrapping, &[0; 12], &associated(header), sealed)
        .map_err(|_| OpenError::WrongPassphrase)?;
    Secret::from_slice(&zeroize::Zeroizing::new(key)).ok_or_else(damaged)
}

/// Parameters beyond the bounds of [`keys::argon2id`] were not written by this program.
fn derive(
    passphrase: &Passphrase,
    salt: &[u8; 16],
    cost: ArgonParams,
) -> Result<Secret<32>, OpenError> {
    keys::argon2id(passphrase.expose_secret(), salt, cost).map_err(|_| OpenError::KeyFileDamaged)
}

fn associated(header: &[u8]) -> Vec<u8> {
    [keys::label::PROFILE.as_bytes(), header].concat()
}
