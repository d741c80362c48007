//! Suites: one number fixes every algorithm of an account. Nothing is negotiated piece by piece.

use crate::kdf;

/// An algorithm suite, by its number in the account log. Larger is stronger: an account goes up, and never down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Suite {
    /// X-Wing; Ed25519 and ML-DSA-65, both must verify; AES-256-GCM, SHA-512.
    Hybrid = 1,
    /// ML-KEM-1024; ML-DSA-87; AES-256-GCM, SHA-384: the algorithms of CNSA 2.0.
    Cnsa2 = 2,
}

impl Suite {
    /// Every suite, the weakest first.
    pub const ALL: [Self; 2] = [Self::Hybrid, Self::Cnsa2];

    /// Reads the number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Cnsa2 => "cnsa2",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Length of the seed of a signing key in bytes.
    #[must_use]
    pub fn signing_seed_len(self) -> usize {
        match self {
            Self::Hybrid => 32 + 32,
            Self::Cnsa2 => 32,
        }
    }

    /// Length of a verifying key in bytes.
    #[must_use]
    pub fn verifying_key_len(self) -> usize {
        match self {
            Self::Hybrid => 32 + 1952,
            Self::Cnsa2 => 2592,
        }
    }

    /// Length of a signature in bytes.
    #[must_use]
    pub fn signature_len(self) -> usize {
        match self {
            Self::Hybrid => 64 + 3309,
            Self::Cnsa2 => 4627,
        }
    }

    /// Length of the seed of an envelope key in bytes.
    #[must_use]
    pub fn envelope_seed_len(self) -> usize {
        match self {
            Self::Hybrid => 32,
            Self::Cnsa2 => 64,
        }
    }

    /// Length of an envelope (HPKE) public key in bytes.
    #[must_use]
    pub fn envelope_key_len(self) -> usize {
        match self {
            Self::Hybrid => 1216,
            Self::Cnsa2 => 1568,
        }
    }

    /// Length of the encapsulated key of an envelope in bytes.
    #[must_use]
    pub fn encapsulated_len(self) -> usize {
        match self {
            Self::Hybrid => 1120,
            Self::Cnsa2 => 1568,
        }
    }

    /// Whether devices have an X25519 identity key, on which sessions of two devices begin (PQXDH).
    #[must_use]
    pub fn has_identity_keys(self) -> bool {
        self == Self::Hybrid
    }

    /// The hash of the suite over the concatenation of `parts`.
    ///
    /// *Formula*: `hybrid`: `SHA-512`. `cnsa2`: `SHA-384 ‖ 16 zero bytes`, so that hashes have one length.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> [u8; 64] {
        match self {
            Self::Hybrid => kdf::sha512(parts),
            Self::Cnsa2 => {
                let mut out = [0; 64];
                if let Some(head) = out.first_chunk_mut::<48>() {
                    *head = kdf::sha384(parts);
                }
                out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_come_back() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_number(suite.number()), Some(suite));
            assert_eq!(Suite::from_name(suite.name()), Some(suite));
        }
        assert_eq!([0, 3, u16::MAX].map(Suite::from_number), [None; 3]);
        assert!(Suite::Hybrid < Suite::Cnsa2);
    }

    /// The example of FIPS 180-4 for SHA-384, "abc".
    #[test]
    fn the_hash_of_cnsa2_is_sha_384_and_zeros() {
        let hash = data_encoding::HEXLOWER.encode(&Suite::Cnsa2.hash(&[b"a", b"bc"]));
        let (head, tail) = hash.split_at(96);
        assert_eq!(
            head,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
        assert_eq!(tail, "0".repeat(32));
    }
}
