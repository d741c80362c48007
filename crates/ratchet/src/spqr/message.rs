//! Bytes of an SPQR message (docs/spec/ratchet.md, section 5.3):
//! `01 ‖ varint(epoch) ‖ varint(key index) ‖ type ‖ [varint(chunk index) ‖ 32 chunk bytes]`.

use super::SpqrError;
use super::erasure::{CHUNK_LEN, Chunk};

/// The only version.
const VERSION: u8 = 1;

/// What a message brings to the braid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    None,
    Hdr(Chunk),
    Ek(Chunk),
    EkCt1Ack(Chunk),
    Ct1Ack,
    Ct1(Chunk),
    Ct2(Chunk),
}

impl Payload {
    pub(crate) fn type_byte(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Hdr(_) => 1,
            Self::Ek(_) => 2,
            Self::EkCt1Ack(_) => 3,
            Self::Ct1Ack => 4,
            Self::Ct1(_) => 5,
            Self::Ct2(_) => 6,
        }
    }

    pub(crate) fn chunk(&self) -> Option<&Chunk> {
        match self {
            Self::None | Self::Ct1Ack => None,
            Self::Hdr(chunk)
            | Self::Ek(chunk)
            | Self::EkCt1Ack(chunk)
            | Self::Ct1(chunk)
            | Self::Ct2(chunk) => Some(chunk),
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// At least 1.
    pub(crate) epoch: u64,
    /// At least 1.
    pub(crate) index: u32,
    pub(crate) payload: Payload,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(52);
        out.push(VERSION);
        put_varint(&mut out, self.epoch);
        put_varint(&mut out, u64::from(self.index));
        out.push(self.payload.type_byte());
        if let Some(chunk) = self.payload.chunk() {
            put_varint(&mut out, u64::from(chunk.index));
            out.extend_from_slice(&chunk.data);
        }
        out
    }

    /// Parses; `strict` refuses bytes after the end.
    pub(crate) fn decode(bytes: &[u8], strict: bool) -> Result<Self, SpqrError> {
        let (version, mut rest) = bytes.split_first().ok_or(SpqrError::Version { got: 0 })?;
        // SECURITY: a message of another version would yield no key, so that Double Ratchet keys alone could
        // forge it; `messages_without_spqr_key_are_refused` notices.
        if *version != VERSION {
            return Err(SpqrError::Version { got: *version });
        }
        let epoch = take_varint(&mut rest)?;
        let index = u32::try_from(take_varint(&mut rest)?).map_err(|_| SpqrError::Malformed)?;
        let (kind, mut rest) = rest.split_first().ok_or(SpqrError::Malformed)?;
        if epoch == 0 {
            return Err(SpqrError::Malformed);
        }
        let payload = match kind {
            0 => Payload::None,
            1 => Payload::Hdr(take_chunk(&mut rest)?),
            2 => Payload::Ek(take_chunk(&mut rest)?),
            3 => Payload::EkCt1Ack(take_chunk(&mut rest)?),
            4 => Payload::Ct1Ack,
            5 => Payload::Ct1(take_chunk(&mut rest)?),
            6 => Payload::Ct2(take_chunk(&mut rest)?),
            _ => return Err(SpqrError::Malformed),
        };
        if strict && !rest.is_empty() {
            return Err(SpqrError::Malformed);
        }
        // SECURITY: index 0 stands for "no key"; see above.
        if index == 0 {
            return Err(SpqrError::NoKey);
        }
        Ok(Self {
            epoch,
            index,
            payload,
        })
    }
}

fn take_chunk(rest: &mut &[u8]) -> Result<Chunk, SpqrError> {
    let index = u16::try_from(take_varint(rest)?).map_err(|_| SpqrError::Malformed)?;
    let (data, tail) = rest
        .split_first_chunk::<CHUNK_LEN>()
        .ok_or(SpqrError::Malformed)?;
    *rest = tail;
    Ok(Chunk { index, data: *data })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a varint of at most ten bytes; bits above 64 are dropped.
fn take_varint(rest: &mut &[u8]) -> Result<u64, SpqrError> {
    let mut value = 0_u64;
    for place in 0..10_u32 {
        let (byte, tail) = rest.split_first().ok_or(SpqrError::Malformed)?;
        *rest = tail;
        let shift = place.saturating_mul(7);
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SpqrError::Malformed)
}
