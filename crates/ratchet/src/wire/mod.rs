//! Bytes of messages (docs/spec/ratchet.md, section 4.4).

mod pre_key_message;
mod protobuf;
mod ratchet_message;

pub(crate) use pre_key_message::{InitiatorProof, PreKeyMessage};
pub(crate) use ratchet_message::{MAC_LEN, RatchetMessage};

use keys::X25519Public;

/// The bytes are not of the form of a message of this profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub(crate) struct Malformed;

/// Type byte of a Curve25519 public key.
const EC_TYPE: u8 = 5;

/// `05 ‖ u`.
pub(crate) fn encode_key(key: &X25519Public) -> [u8; 33] {
    let mut out = [EC_TYPE; 33];
    if let Some((_, u)) = out.split_first_mut() {
        u.copy_from_slice(key.as_bytes());
    }
    out
}

/// Exactly 33 bytes, the first 05.
pub(crate) fn decode_key(bytes: &[u8]) -> Result<X25519Public, Malformed> {
    match bytes.split_first() {
        Some((&EC_TYPE, u)) => u.try_into().map(X25519Public).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}
