//! The key that was expanded last: MLS derives two to nine secrets of one key in a row, and half of a short derivation
//! is to hash the key in.

use keys::sha2::{HmacKey, Sha2};
use keys::{SecretBytes, ct_eq};
use std::sync::{Mutex, PoisonError};

/// Keeps one key, until the next is used or [`Self::forget`] is called. MLS forgets a secret once it is used up, so no
/// operation that follows a derivation may leave one here; but for the secret of an epoch's sender data, which has a
/// place of its own.
#[derive(Default)]
pub(crate) struct LastKey(Mutex<Option<Known>>);

struct Known {
    hash: Sha2,
    prk: SecretBytes,
    key: HmacKey,
}

impl LastKey {
    /// HKDF-Expand.
    pub(crate) fn expand(
        &self,
        hash: Sha2,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Option<SecretBytes> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match last.take() {
            Some(known) if known.hash == hash && ct_eq(known.prk.expose_secret(), prk) => known,
            _ => Known {
                hash,
                prk: SecretBytes::from(prk),
                key: HmacKey::new(hash, prk),
            },
        };
        last.insert(known).key.expand(&[info], length)
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    #[cfg(test)]
    pub(crate) fn is_forgotten(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}
