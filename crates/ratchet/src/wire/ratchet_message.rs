//! SignalMessage, and our message of the same fields.

use super::protobuf::{Fields, put_bytes, put_u32};
use super::{Malformed, decode_key, encode_key};
use crate::limits;
use crate::profile::Profile;
use keys::X25519Public;

/// Length of the MAC behind a message of the `signal` profile.
pub(crate) const MAC_LEN: usize = 8;

/// A ratchet message, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RatchetMessage {
    pub(crate) ratchet_key: X25519Public,
    pub(crate) counter: u32,
    pub(crate) previous_counter: u32,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) pq_ratchet: Vec<u8>,
    /// `signal` profile only.
    pub(crate) addresses: Option<Vec<u8>>,
    /// First byte and protobuf exactly as received: what the MAC covers.
    pub(crate) covered: Vec<u8>,
    /// `signal` profile only.
    pub(crate) mac: [u8; MAC_LEN],
}

impl RatchetMessage {
    /// First byte and protobuf; the `signal` profile appends a MAC over it.
    pub(crate) fn encode(&self, profile: Profile) -> Vec<u8> {
        self.encode_fields(profile, Some(&self.ciphertext))
    }

    /// The same without field 4: associated data of the `letterlock` profile.
    pub(crate) fn encode_without_ciphertext(&self, profile: Profile) -> Vec<u8> {
        self.encode_fields(profile, None)
    }

    fn encode_fields(&self, profile: Profile, ciphertext: Option<&[u8]>) -> Vec<u8> {
        let length = ciphertext
            .map_or(0, <[u8]>::len)
            .saturating_add(self.pq_ratchet.len());
        let mut out = Vec::with_capacity(length.saturating_add(112));
        out.push(profile.parameters().first_byte);
        put_bytes(&mut out, 1, &encode_key(&self.ratchet_key));
        put_u32(&mut out, 2, self.counter);
        put_u32(&mut out, 3, self.previous_counter);
        if let Some(ciphertext) = ciphertext {
            put_bytes(&mut out, 4, ciphertext);
        }
        if !self.pq_ratchet.is_empty() {
            put_bytes(&mut out, 5, &self.pq_ratchet);
        }
        if let Some(addresses) = &self.addresses {
            put_bytes(&mut out, 6, addresses);
        }
        out
    }

    /// Parses a message.
    pub(crate) fn decode(profile: Profile, bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > limits::MESSAGE {
            return Err(Malformed);
        }
        let (covered, mac) = match profile {
            Profile::Signal => {
                let (covered, mac) = bytes.split_last_chunk::<MAC_LEN>().ok_or(Malformed)?;
                (covered, *mac)
            }
            Profile::Letterlock => (bytes, [0; MAC_LEN]),
        };
        let (first, protobuf) = covered.split_first().ok_or(Malformed)?;
        check_first_byte(profile, *first)?;
        let mut fields = Fields::new(protobuf, profile == Profile::Letterlock);
        let (mut key, mut counter, mut previous) = (None, None, 0);
        let (mut ciphertext, mut pq_ratchet, mut addresses) = (None, Vec::new(), None);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => key = Some(decode_key(value.bytes()?)?),
                2 => counter = Some(value.u32()?),
                3 => previous = value.u32()?,
                4 => ciphertext = Some(value.bytes()?.to_vec()),
                5 => pq_ratchet = value.bytes()?.to_vec(),
                6 if profile == Profile::Signal => addresses = Some(value.bytes()?.to_vec()),
                _ if profile == Profile::Signal => {}
                _ => return Err(Malformed),
            }
        }
        let message = Self {
            ratchet_key: key.ok_or(Malformed)?,
            counter: counter.ok_or(Malformed)?,
            previous_counter: previous,
            ciphertext: ciphertext.ok_or(Malformed)?,
            pq_ratchet,
            addresses,
            covered: covered.to_vec(),
            mac,
        };
        // SECURITY: one encoding only; `other_encodings_are_refused` notices. The ratchet checks the rest of knob 11
        // when it meets a new key.
        if profile == Profile::Letterlock
            && (!message.ratchet_key.is_reduced() || message.encode(profile) != message.covered)
        {
            return Err(Malformed);
        }
        Ok(message)
    }
}

/// `signal`: the high nibble is the session version, which must be 4. `letterlock`: the whole byte.
pub(super) fn check_first_byte(profile: Profile, first: u8) -> Result<(), Malformed> {
    let expected = profile.parameters().first_byte;
    let good = match profile {
        Profile::Signal => first >> 4 == expected >> 4,
        Profile::Letterlock => first == expected,
    };
    if good { Ok(()) } else { Err(Malformed) }
}
