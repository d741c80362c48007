//! Reading fields of vectors.

use super::ReplayError;
use data_encoding::HEXLOWER;
use serde_json::Value;

fn malformed(key: &str, expected: &str) -> ReplayError {
    ReplayError::new(format!("field `{key}` is missing or not {expected}"))
}

pub(super) fn field<'a>(value: &'a Value, key: &str) -> Result<&'a Value, ReplayError> {
    optional(value, key).ok_or_else(|| malformed(key, "filled"))
}

/// A field that may be missing or null.
pub(super) fn optional<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| !value.is_null())
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], ReplayError> {
    let list = value.get(key).and_then(Value::as_array);
    list.map(Vec::as_slice)
        .ok_or_else(|| malformed(key, "a list"))
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, ReplayError> {
    let text = value.get(key).and_then(Value::as_str);
    text.ok_or_else(|| malformed(key, "text"))
}

/// A number of whatever type is asked for.
pub(super) fn small<T: TryFrom<u64>>(value: &Value, key: &str) -> Result<T, ReplayError> {
    let number = value.get(key).and_then(Value::as_u64);
    let number = number.ok_or_else(|| malformed(key, "a number"))?;
    T::try_from(number).map_err(|_| malformed(key, "in range"))
}

pub(super) fn hex(text: &str) -> Result<Vec<u8>, ReplayError> {
    HEXLOWER
        .decode(text.as_bytes())
        .map_err(|error| ReplayError::new(format!("not hex: {error}")))
}

pub(super) fn bytes(value: &Value, key: &str) -> Result<Vec<u8>, ReplayError> {
    hex(text(value, key)?).map_err(|error| error.at(key))
}
