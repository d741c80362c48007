//! The sealed body of a letter.

use crate::limits::BODY_BUCKETS;
use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// The bytes fill no size bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body of {got} bytes fills no bucket")]
pub struct WrongSize {
    /// Their number.
    pub got: usize,
}

/// A sealed body: opaque, and of one of four lengths, so that its length tells nothing but a bucket.
///
/// *Shape*: exactly 1024, 4096, 16384 or 65536 bytes. Cloning shares the bytes.
///
/// ```
/// use letterlock_wire::Body;
/// assert!(Body::new(vec![0; 1024]).is_ok());
/// assert!(Body::new(vec![0; 1025]).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// Takes a sealed, padded body.
    ///
    /// # Errors
    /// [`WrongSize`].
    pub fn new(sealed: impl Into<Bytes>) -> Result<Self, WrongSize> {
        let sealed = sealed.into();
        if BODY_BUCKETS.contains(&sealed.len()) {
            Ok(Self(sealed))
        } else {
            Err(WrongSize { got: sealed.len() })
        }
    }

    /// The bytes, shared.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}
