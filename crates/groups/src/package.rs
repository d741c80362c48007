//! The private half of a key package, as its device keeps it.

use crate::error::GroupError;
use mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use mls_rs_core::key_package::KeyPackageData;
use zeroize::Zeroizing;

pub(crate) fn encode(package: &KeyPackageData) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(package.mls_encode_to_vec().unwrap_or_default())
}

pub(crate) fn decode(mut bytes: &[u8]) -> Result<KeyPackageData, GroupError> {
    KeyPackageData::mls_decode(&mut bytes).map_err(|_| GroupError::Damaged)
}
