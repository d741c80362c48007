//! Secrets: bytes that are wiped when dropped and cannot be printed, cloned, compared or serialised (I2).

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

/// `N` secret bytes.
///
/// It has no `Debug`, `Clone`, `PartialEq` or `Serialize` on purpose.
///
/// ```compile_fail
/// let secret = letterlock_keys::Secret::<32>::from_slice(&[0; 32]).unwrap();
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = letterlock_keys::Secret::<32>::from_slice(&[0; 32]).unwrap();
/// let copy = secret.clone();
/// ```
///
/// ```compile_fail
/// let secret = letterlock_keys::Secret::<32>::from_slice(&[0; 32]).unwrap();
/// let same = secret == secret;
/// ```
///
/// The control compiles:
///
/// ```
/// let secret = letterlock_keys::Secret::<32>::from_slice(&[0; 32]).unwrap();
/// assert!(secret.ct_eq(&secret.duplicate()));
/// ```
#[derive(ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Fills a new secret in place.
    pub fn from_fn(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self([0; N]);
        fill(&mut secret.0);
        secret
    }

    /// Draws a new secret in one call of `rng`.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::from_fn(|bytes| rng.fill_bytes(bytes))
    }

    /// Copies exactly `N` bytes; any other length gives nothing.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; N] = bytes.try_into().ok()?;
        Some(Self(*bytes))
    }

    /// The bytes. The files that may call this are listed beside `clippy.toml`.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; N] {
        &self.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Makes a second copy. It is a word of its own so that every copy can be found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0)
    }
}

/// Secret bytes of a length known at run time.
#[derive(ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Draws so many bytes in one call of `rng`.
    pub fn random(length: usize, rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self(vec![0; length]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The bytes. The files that may call this are listed beside `clippy.toml`.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands the bytes over; the new owner wipes them.
    #[must_use]
    pub fn into_zeroizing(mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(std::mem::take(&mut self.0))
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Wipes a buffer that held a secret.
pub fn wipe(bytes: &mut [u8]) {
    bytes.zeroize();
}

/// Compares two byte strings in constant time for equal lengths.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
