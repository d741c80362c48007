//! What can go wrong below MLS.

use mls_rs_core::error::IntoAnyError;

/// A cryptographic operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CryptoError {
    /// A key, a nonce or a ciphertext of the KEM has a wrong form.
    #[error("malformed key, nonce or ciphertext")]
    Malformed,
    /// The bytes do not open under this key.
    #[error("the bytes do not open under this key")]
    Open,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// More was asked for than the key derivation gives.
    #[error("more bytes than a key derivation gives")]
    TooLong,
    /// A pre-shared key is too short or has no name (RFC 9180, sections 5.1 and 9.5).
    #[error("the pre-shared key is too short or has no name")]
    Psk,
    /// The library failed, or a context sealed 2^64 times.
    #[error("the library of primitives failed")]
    Failed,
}

impl IntoAnyError for CryptoError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}
