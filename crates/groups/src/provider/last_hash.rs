//! What was hashed last: the library hashes a parent of the tree once for each leaf below it that is new, the same bytes
//! in a row, and all leaves are new to a group that was just read.

use keys::sha2::Sha2;
use std::sync::{Mutex, PoisonError};

/// Keeps what one hash was made of. MLS hashes what all members know: nodes of the tree, handshakes, key packages.
#[derive(Default)]
pub(crate) struct LastHash(Mutex<Option<Known>>);

struct Known {
    hash: Sha2,
    data: Vec<u8>,
    digest: Vec<u8>,
}

impl LastHash {
    pub(crate) fn hash(&self, hash: Sha2, data: &[u8]) -> Vec<u8> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some(known) if known.hash == hash && known.data == data => known.digest.clone(),
            Some(known) => {
                known.hash = hash;
                known.data.clear();
                known.data.extend_from_slice(data);
                known.digest = hash.hash(&[data]);
                known.digest.clone()
            }
            none => {
                let known = Known {
                    hash,
                    data: data.to_vec(),
                    digest: hash.hash(&[data]),
                };
                none.insert(known).digest.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_after_something_else_has_its_own_hash() {
        let last = LastHash::default();
        for (hash, data) in [
            (Sha2::Sha384, &b"one"[..]),
            (Sha2::Sha384, b"one"),
            (Sha2::Sha384, b"two"),
            (Sha2::Sha256, b"two"),
            (Sha2::Sha256, b""),
            (Sha2::Sha384, b"one"),
        ] {
            assert_eq!(last.hash(hash, data), hash.hash(&[data]));
        }
    }
}
