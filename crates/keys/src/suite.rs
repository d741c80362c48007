//! Suites: one number fixes every algorithm of an account. Nothing is negotiated piece by piece.

/// An algorithm suite, by its number in the account log. The number 0x0002 is kept for `cnsa2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Suite {
    /// X-Wing; Ed25519 and ML-DSA-65, both must verify; AES-256-GCM, SHA-512.
    Hybrid = 1,
}

impl Suite {
    /// Reads the number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        (number == Self::Hybrid as u16).then_some(Self::Hybrid)
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
        }
    }

    /// Length of a verifying key in bytes.
    #[must_use]
    pub fn verifying_key_len(self) -> usize {
        match self {
            Self::Hybrid => 32 + 1952,
        }
    }

    /// Length of a signature in bytes.
    #[must_use]
    pub fn signature_len(self) -> usize {
        match self {
            Self::Hybrid => 64 + 3309,
        }
    }

    /// Length of an envelope (HPKE) public key in bytes.
    #[must_use]
    pub fn envelope_key_len(self) -> usize {
        match self {
            Self::Hybrid => 1216,
        }
    }
}
