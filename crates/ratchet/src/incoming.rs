//! Messages as they arrive, parsed and not yet believed.

use crate::profile::Profile;
use crate::wire::{PreKeyMessage, RatchetMessage};
use keys::X25519Public;

/// Which of the two forms a message has; the transport tells, not the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Begins a session, or belongs to one that the peer has not seen an answer in.
    PreKey,
    /// Belongs to a session.
    Message,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its form.
    pub kind: MessageKind,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The bytes are no message of this profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct MalformedMessage;

/// A message of a session.
pub struct IncomingMessage {
    pub(crate) profile: Profile,
    pub(crate) message: RatchetMessage,
}

/// A pre-key message and the message inside.
pub struct IncomingPreKeyMessage {
    pub(crate) profile: Profile,
    pub(crate) outer: PreKeyMessage,
    pub(crate) inner: RatchetMessage,
}

/// What a pre-key message names. All of it is a claim until the message decrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// The sender's identity key.
    pub identity: &'a X25519Public,
    /// The signed EC pre-key.
    pub signed_id: u32,
    /// The one-time EC pre-key.
    pub one_time_id: Option<u32>,
    /// The KEM pre-key.
    pub kem_id: u32,
    /// What to look up in the memory of base keys.
    pub base_key_use: BaseKeyUse,
    /// Hash of the sender's device list (`letterlock`).
    pub sender_list: Option<&'a [u8]>,
    /// Hash of the receiver's device list as the sender saw it (`letterlock`).
    pub receiver_list: Option<&'a [u8]>,
}

/// One use of a last-resort KEM pre-key. The caller remembers it as long as the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseKeyUse {
    /// The KEM pre-key.
    pub kem_id: u32,
    /// The signed EC pre-key.
    pub signed_id: u32,
    /// The initiator's base key.
    pub base_key: X25519Public,
}

impl BaseKeyUse {
    /// The bytes under which a memory keeps it: BE4(KEM id) ‖ BE4(signed id) ‖ u.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut out = [0; 40];
        let parts = [
            &self.kem_id.to_be_bytes()[..],
            &self.signed_id.to_be_bytes(),
            self.base_key.as_bytes(),
        ];
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        out
    }
}

impl IncomingMessage {
    /// Parses a message.
    ///
    /// # Errors
    /// [`MalformedMessage`].
    pub fn decode(profile: Profile, bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let message = RatchetMessage::decode(profile, bytes).map_err(|_| MalformedMessage)?;
        Ok(Self { profile, message })
    }
}

impl IncomingPreKeyMessage {
    /// Parses a pre-key message and the message inside.
    ///
    /// # Errors
    /// [`MalformedMessage`].
    pub fn decode(profile: Profile, bytes: &[u8]) -> Result<Self, MalformedMessage> {
        let outer = PreKeyMessage::decode(profile, bytes).map_err(|_| MalformedMessage)?;
        let inner =
            RatchetMessage::decode(profile, &outer.message).map_err(|_| MalformedMessage)?;
        Ok(Self {
            profile,
            outer,
            inner,
        })
    }

    /// What the message names: what the caller looks up before [`Record::respond`](crate::Record::respond).
    #[must_use]
    pub fn named(&self) -> Named<'_> {
        let proof = self.outer.initiator.as_ref();
        Named {
            identity: &self.outer.identity,
            signed_id: self.outer.signed_id,
            one_time_id: self.outer.one_time_id,
            kem_id: self.outer.kem_id,
            base_key_use: BaseKeyUse {
                kem_id: self.outer.kem_id,
                signed_id: self.outer.signed_id,
                base_key: self.outer.base_key,
            },
            sender_list: proof.map(|proof| proof.initiator_list.as_slice()),
            receiver_list: proof.map(|proof| proof.responder_list.as_slice()),
        }
    }
}
