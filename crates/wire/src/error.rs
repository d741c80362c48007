//! Why bytes are not a frame.

/// The bytes are not a frame of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than any frame.
    #[error("a frame of {got} bytes, the limit is {max}")]
    TooLong {
        /// Its length.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Not protobuf of this schema.
    #[error("not a message of this schema")]
    Malformed,
    /// A field is missing or has a wrong length or value.
    #[error("field {field} is missing or not valid")]
    Field {
        /// Its name in the schema.
        field: &'static str,
    },
    /// Neither a request nor a reply that this version knows.
    #[error("unknown kind of frame")]
    UnknownKind,
}

pub(crate) fn field(field: &'static str) -> DecodeError {
    DecodeError::Field { field }
}

/// Takes exactly `N` bytes.
pub(crate) fn array<const N: usize>(
    bytes: &[u8],
    name: &'static str,
) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| field(name))
}

/// Takes at most `max` bytes.
pub(crate) fn bounded(
    bytes: &[u8],
    max: usize,
    name: &'static str,
) -> Result<Vec<u8>, DecodeError> {
    if bytes.len() > max {
        Err(field(name))
    } else {
        Ok(bytes.to_vec())
    }
}

/// Takes one to `max` bytes.
pub(crate) fn filled(bytes: &[u8], max: usize, name: &'static str) -> Result<Vec<u8>, DecodeError> {
    if bytes.is_empty() {
        Err(field(name))
    } else {
        bounded(bytes, max, name)
    }
}
