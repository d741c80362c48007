//! The two sides of a session, as the caller knows them.

use keys::{SigningKey, VerifyingKey, X25519Public, X25519Secret};

/// The own device.
pub struct Local<'a> {
    pub(crate) identity: &'a X25519Secret,
    pub(crate) registration_id: u32,
    pub(crate) letterlock: Option<LocalDevice<'a>>,
}

/// What only the `letterlock` profile knows of the own device.
#[derive(Clone, Copy)]
pub(crate) struct LocalDevice<'a> {
    pub(crate) signing: &'a SigningKey,
    pub(crate) lists: &'a [&'a [u8]],
}

/// The peer's device.
pub struct Remote<'a> {
    pub(crate) identity: X25519Public,
    pub(crate) letterlock: Option<RemoteDevice<'a>>,
}

/// What only the `letterlock` profile knows of the peer's device.
#[derive(Clone, Copy)]
pub(crate) struct RemoteDevice<'a> {
    pub(crate) verifying: &'a VerifyingKey,
    pub(crate) list: &'a [u8],
}

impl<'a> Local<'a> {
    /// A device of the `signal` profile.
    #[must_use]
    pub fn signal(identity: &'a X25519Secret, registration_id: u32) -> Self {
        Self {
            identity,
            registration_id,
            letterlock: None,
        }
    }

    /// A device of the `letterlock` profile.
    ///
    /// `lists`: hashes of the own device list, newest first. A new session of ours pins the newest; a session that
    /// a peer begins may pin any of them. At most 64 bytes each.
    #[must_use]
    pub fn letterlock(
        identity: &'a X25519Secret,
        signing: &'a SigningKey,
        registration_id: u32,
        lists: &'a [&'a [u8]],
    ) -> Self {
        Self {
            identity,
            registration_id,
            letterlock: Some(LocalDevice { signing, lists }),
        }
    }
}

impl<'a> Remote<'a> {
    /// A peer of the `signal` profile. The caller has decided to trust `identity`.
    #[must_use]
    pub fn signal(identity: X25519Public) -> Self {
        Self {
            identity,
            letterlock: None,
        }
    }

    /// A peer of the `letterlock` profile, as its verified account log names it.
    ///
    /// `list`: hash of the peer's device list, at most 64 bytes.
    #[must_use]
    pub fn letterlock(identity: X25519Public, verifying: &'a VerifyingKey, list: &'a [u8]) -> Self {
        Self {
            identity,
            letterlock: Some(RemoteDevice { verifying, list }),
        }
    }
}
