//! The little of protobuf that messages need, in two readings: tolerant as deployed peers are, and canonical.

use super::Malformed;

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A form that no field of ours has.
    Other,
}

impl<'a> Value<'a> {
    /// A varint cut to 32 bits.
    pub(super) fn u32(self) -> Result<u32, Malformed> {
        match self {
            Self::Varint(value) => Ok(u32::try_from(value & 0xffff_ffff).unwrap_or(0)),
            _ => Err(Malformed),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }
}

/// Reads fields one after the other.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Canonical: ascending numbers, each once, minimal varints of at most 32 bits.
    canonical: bool,
    last: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], canonical: bool) -> Self {
        Self {
            rest: bytes,
            canonical,
            last: 0,
        }
    }

    /// The next field: its number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        // SECURITY: a second encoding of one message would be a second message to whoever compares bytes;
        // `other_encodings_are_refused` notices.
        if number == 0 || number >= 1 << 29 || (self.canonical && number <= self.last) {
            return Err(Malformed);
        }
        self.last = number;
        let value = match tag & 7 {
            0 => {
                let value = self.varint()?;
                if self.canonical && value > u64::from(u32::MAX) {
                    return Err(Malformed);
                }
                Value::Varint(value)
            }
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.skip(4)?,
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    fn skip(&mut self, length: usize) -> Result<Value<'a>, Malformed> {
        self.take(length).map(|_| Value::Other)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = tail;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for place in 0..10_u32 {
            let (byte, tail) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = tail;
            if place == 9 && *byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f)
                .checked_shl(place.saturating_mul(7))
                .unwrap_or(0);
            if byte & 0x80 == 0 {
                let minimal = *byte != 0 || place == 0;
                return if self.canonical && !minimal {
                    Err(Malformed)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed)
    }
}

/// Appends a varint field.
pub(super) fn put_u32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// Appends a bytes field.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, (number << 3) | 2);
    put_varint(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}
