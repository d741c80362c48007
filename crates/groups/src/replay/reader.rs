//! Reading and writing the structures of RFC 9420 where the library has no type to the outside.

use super::ReplayError;
use super::facts::{Facts, must};
use super::json;
use mls_rs_codec::{MlsDecode as _, MlsEncode as _, VarInt};
use serde_json::Value;

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ReplayError> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| ReplayError::new("too short"))?;
        self.0 = tail;
        Ok(head)
    }

    /// A big-endian number of `length` bytes.
    pub(super) fn number(&mut self, length: usize) -> Result<u64, ReplayError> {
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// `opaque<V>`.
    pub(super) fn vector(&mut self) -> Result<&'a [u8], ReplayError> {
        let length = must("length", VarInt::mls_decode(&mut self.0))?;
        self.take(must("length", usize::try_from(u32::from(length)))?)
    }

    /// What was read since `earlier`.
    pub(super) fn since(self, earlier: Self) -> &'a [u8] {
        let read = earlier.0.len().saturating_sub(self.0.len());
        earlier.0.get(..read).unwrap_or_default()
    }
}

/// `opaque<V>`.
pub(super) fn vector(bytes: &[u8]) -> Vec<u8> {
    let length = VarInt::try_from(bytes.len()).unwrap_or(VarInt::MAX);
    let mut out = length.mls_encode_to_vec().unwrap_or_default();
    out.extend_from_slice(bytes);
    out
}

/// `deserialization.json`: lengths of vectors.
pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let header = json::bytes(case, "vlbytes_header")?;
    let length: u32 = json::small(case, "length")?;
    let decoded = must("length", VarInt::mls_decode(&mut &header[..]))?;
    facts.equal("length", &u32::from(decoded), &length)?;
    let encoded = must("length", decoded.mls_encode_to_vec())?;
    facts.same("vlbytes_header", &encoded, &header)
}
