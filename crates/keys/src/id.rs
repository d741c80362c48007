//! Names of things: random or hashed bytes, each kind a type of its own.

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use std::fmt;

macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident, $len:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Number of bytes.
            pub const LEN: usize = $len;

            /// Draws an id.
            pub fn random(rng: &mut dyn CryptoRng) -> Self {
                let mut bytes = [0; $len];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// Takes the bytes of an id.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Takes the bytes of an id; any other length gives nothing.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads the text form: base32 (RFC 4648) in either case, without padding.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
                Self::from_slice(&bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = self.to_string();
                write!(f, concat!(stringify!($name), "({})"), text.get(..8).unwrap_or(&text))
            }
        }
    };
}

id!(
    /// An account: the head of the hash of its genesis entry.
    AccountId, 32
);
id!(
    /// A device of an account.
    DeviceId, 16
);
id!(
    /// A queue of a relay.
    QueueId, 16
);
id!(
    /// A group, as a relay knows it.
    GroupId, 32
);
id!(
    /// A sealed body on its way.
    MessageId, 16
);
id!(
    /// A blob of a relay.
    BlobId, 16
);
id!(
    /// A letter.
    LetterId, 16
);

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Takes seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The start of the hour, which is as exact as a relay remembers.
    #[must_use]
    pub const fn to_hour(self) -> Self {
        Self(self.0.saturating_sub(self.0 % 3600))
    }

    /// Later by so many seconds; stays at the end of time.
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds since `earlier`; zero if the clock went back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_in_either_case() {
        let id = QueueId::from_bytes([7; 16]);
        assert_eq!(QueueId::from_text(&id.to_string()), Some(id));
        assert_eq!(QueueId::from_text(&id.to_string().to_uppercase()), Some(id));
        assert_eq!(QueueId::from_text("abc"), None);
    }

    #[test]
    fn hours_are_cut_off() {
        assert_eq!(
            Timestamp::from_secs(7_205).to_hour(),
            Timestamp::from_secs(7_200)
        );
    }
}
