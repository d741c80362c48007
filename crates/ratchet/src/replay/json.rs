//! Reading vectors.

use super::ReplayError;
use serde_json::Value;

pub(crate) fn fail(what: impl Into<String>) -> ReplayError {
    ReplayError { path: Vec::new(), what: what.into() }
}

pub(crate) fn field<'a>(value: &'a Value, key: &str) -> Result<&'a Value, ReplayError> {
    value.get(key).ok_or_else(|| fail(format!("no field {key}")))
}

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, ReplayError> {
    field(value, key)?.as_array().ok_or_else(|| fail(format!("{key} is no list")))
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, ReplayError> {
    field(value, key)?.as_str().ok_or_else(|| fail(format!("{key} is no text")))
}

pub(crate) fn number(value: &Value, key: &str) -> Result<u64, ReplayError> {
    field(value, key)?.as_u64().ok_or_else(|| fail(format!("{key} is no number")))
}

pub(crate) fn hex(text: &str) -> Result<Vec<u8>, ReplayError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
    let (pairs, rest) = digits.as_deref().map(<[u8]>::as_chunks::<2>).ok_or_else(|| fail("not hex"))?;
    if !rest.is_empty() {
        return Err(fail("odd number of hex digits"));
    }
    Ok(pairs.iter().map(|[high, low]| (high << 4) | low).collect())
}

pub(crate) fn bytes(value: &Value, key: &str) -> Result<Vec<u8>, ReplayError> {
    hex(text(value, key)?)
}

pub(crate) fn array<const N: usize>(value: &Value, key: &str) -> Result<[u8; N], ReplayError> {
    bytes(value, key)?.try_into().map_err(|_| fail(format!("{key} has not {N} bytes")))
}
