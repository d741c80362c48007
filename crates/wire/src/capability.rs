//! What a client shows to be allowed something.

use std::fmt;

macro_rules! capability {
    ($(#[doc = $doc:literal])* $name:ident, $len:literal) => {
        $(#[doc = $doc])*
        ///
        /// It is shown to the relay and to nobody else; it is not printed.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes the bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

capability!(
    /// Allows to send to a queue.
    SendToken, 32
);

capability!(
    /// Allows to send within one epoch of a group.
    EpochToken, 32
);

capability!(
    /// Allows to open a lock.
    LockToken, 32
);

capability!(
    /// What a lock keeps.
    LockKey, 32
);
