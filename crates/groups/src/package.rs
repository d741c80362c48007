//! The private half of a key package, as its device keeps it: `seed 32 ‖ MLS`. The seed is that of the key its leaf is
//! signed with, since the device may have another one when it is invited; MLS is what mls-rs keeps.

use crate::error::GroupError;
use mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use mls_rs_core::crypto::SignatureSecretKey;
use mls_rs_core::key_package::KeyPackageData;
use zeroize::Zeroizing;

/// Bytes of a seed, in both suites.
const SEED: usize = 32;

pub(crate) fn encode(
    signer: &SignatureSecretKey,
    package: &KeyPackageData,
) -> Result<Zeroizing<Vec<u8>>, GroupError> {
    let package = package.mls_encode_to_vec().map(Zeroizing::new);
    let package = package.map_err(|_| GroupError::Damaged)?;
    Ok(Zeroizing::new([signer.as_bytes(), &package[..]].concat()))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<(SignatureSecretKey, KeyPackageData), GroupError> {
    let (seed, mut package) = bytes
        .split_first_chunk::<SEED>()
        .ok_or(GroupError::Damaged)?;
    let signer = SignatureSecretKey::new_slice(seed);
    let package = KeyPackageData::mls_decode(&mut package).map_err(|_| GroupError::Damaged)?;
    Ok((signer, package))
}
