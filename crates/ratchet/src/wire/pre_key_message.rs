//! PreKeySignalMessage, and our message with three fields more.

use super::protobuf::{Fields, put_bytes, put_u32};
use super::ratchet_message::check_first_byte;
use super::{Malformed, decode_key, encode_key};
use crate::limits;
use crate::profile::Profile;
use keys::X25519Public;
use keys::kem::CIPHERTEXT_LEN;

/// A pre-key message, parsed. All but `message` is unauthenticated in the `signal` profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreKeyMessage {
    pub(crate) one_time_id: Option<u32>,
    pub(crate) base_key: X25519Public,
    pub(crate) identity: X25519Public,
    /// A whole ratchet message.
    pub(crate) message: Vec<u8>,
    pub(crate) registration_id: u32,
    pub(crate) signed_id: u32,
    pub(crate) kem_id: u32,
    /// Type byte ‖ ciphertext.
    pub(crate) kem_ciphertext: Vec<u8>,
    /// `letterlock` only: what binds the device lists, and the initiator's signature.
    pub(crate) initiator: Option<InitiatorProof>,
}

/// Fields 9, 10 and 11 of the `letterlock` profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitiatorProof {
    /// Hash of the initiator's device list.
    pub(crate) initiator_list: Vec<u8>,
    /// Hash of the responder's device list, as the initiator saw it.
    pub(crate) responder_list: Vec<u8>,
    /// Hybrid signature over the hash of the transcript.
    pub(crate) signature: Vec<u8>,
}

impl PreKeyMessage {
    pub(crate) fn encode(&self, profile: Profile) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len().saturating_add(1800));
        out.push(profile.parameters().first_byte);
        if let Some(id) = self.one_time_id {
            put_u32(&mut out, 1, id);
        }
        put_bytes(&mut out, 2, &encode_key(&self.base_key));
        put_bytes(&mut out, 3, &encode_key(&self.identity));
        put_bytes(&mut out, 4, &self.message);
        put_u32(&mut out, 5, self.registration_id);
        put_u32(&mut out, 6, self.signed_id);
        put_u32(&mut out, 7, self.kem_id);
        put_bytes(&mut out, 8, &self.kem_ciphertext);
        if let Some(proof) = &self.initiator {
            put_bytes(&mut out, 9, &proof.initiator_list);
            put_bytes(&mut out, 10, &proof.responder_list);
            put_bytes(&mut out, 11, &proof.signature);
        }
        out
    }

    pub(crate) fn decode(profile: Profile, bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > limits::MESSAGE {
            return Err(Malformed);
        }
        let (first, protobuf) = bytes.split_first().ok_or(Malformed)?;
        check_first_byte(profile, *first)?;
        let ours = profile == Profile::Letterlock;
        let mut fields = Fields::new(protobuf, ours);
        let mut found = Found::default();
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => found.one_time_id = Some(value.u32()?),
                2 => found.base_key = Some(decode_key(value.bytes()?)?),
                3 => found.identity = Some(decode_key(value.bytes()?)?),
                4 => found.message = Some(value.bytes()?.to_vec()),
                5 => found.registration_id = value.u32()?,
                6 => found.signed_id = Some(value.u32()?),
                7 => found.kem_id = Some(value.u32()?),
                8 => found.kem_ciphertext = Some(value.bytes()?.to_vec()),
                9 if ours => found.initiator_list = Some(value.bytes()?.to_vec()),
                10 if ours => found.responder_list = Some(value.bytes()?.to_vec()),
                11 if ours => found.signature = Some(value.bytes()?.to_vec()),
                _ if ours => return Err(Malformed),
                _ => {}
            }
        }
        found.finish(profile, bytes)
    }
}

/// Fields as they come.
#[derive(Default)]
struct Found {
    one_time_id: Option<u32>,
    base_key: Option<X25519Public>,
    identity: Option<X25519Public>,
    message: Option<Vec<u8>>,
    registration_id: u32,
    signed_id: Option<u32>,
    kem_id: Option<u32>,
    kem_ciphertext: Option<Vec<u8>>,
    initiator_list: Option<Vec<u8>>,
    responder_list: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl Found {
    fn finish(self, profile: Profile, bytes: &[u8]) -> Result<PreKeyMessage, Malformed> {
        let initiator = match (
            profile,
            self.initiator_list,
            self.responder_list,
            self.signature,
        ) {
            (Profile::Letterlock, Some(initiator_list), Some(responder_list), Some(signature)) => {
                Some(InitiatorProof {
                    initiator_list,
                    responder_list,
                    signature,
                })
            }
            (Profile::Letterlock, ..) => return Err(Malformed),
            (Profile::Signal, ..) => None,
        };
        let kem_ciphertext = self.kem_ciphertext.ok_or(Malformed)?;
        let lists_fit = initiator.as_ref().is_none_or(|proof| {
            proof.initiator_list.len() <= limits::LIST_HASH
                && proof.responder_list.len() <= limits::LIST_HASH
        });
        if kem_ciphertext.len() != CIPHERTEXT_LEN + 1 || !lists_fit {
            return Err(Malformed);
        }
        let message = PreKeyMessage {
            one_time_id: self.one_time_id,
            base_key: self.base_key.ok_or(Malformed)?,
            identity: self.identity.ok_or(Malformed)?,
            message: self.message.ok_or(Malformed)?,
            registration_id: self.registration_id,
            signed_id: self.signed_id.ok_or(Malformed)?,
            kem_id: self.kem_id.ok_or(Malformed)?,
            kem_ciphertext,
            initiator,
        };
        if profile == Profile::Letterlock
            && (!message.identity.is_canonical() || message.encode(profile) != bytes)
        {
            return Err(Malformed);
        }
        Ok(message)
    }
}
