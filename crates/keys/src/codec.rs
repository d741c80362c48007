//! Our own canonical binary forms: big-endian numbers, fixed arrays, length-prefixed bytes, nothing after the
//! end. One value has one encoding.

/// Bytes of a checksum.
const CHECK: usize = 8;

/// It finds what a disk spoilt, and protects nothing else.
fn check(content: &[u8]) -> [u8; CHECK] {
    let [a, b, c, d, e, f, g, h, ..] = crate::kdf::sha256(&[content]);
    [a, b, c, d, e, f, g, h]
}

/// The bytes are not of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends early.
    #[error("the input ends early")]
    Short,
    /// A length is beyond its limit.
    #[error("a length is {got}, the limit is {max}")]
    TooLong {
        /// The length in the input.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// There is more after the end.
    #[error("there is more after the end")]
    Trailing,
    /// A value is not allowed here.
    #[error("a value is not allowed here")]
    Invalid,
}

/// Writes a canonical form.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.array(&[value]);
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.array(&value.to_be_bytes());
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.array(&value.to_be_bytes());
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) {
        self.array(&value.to_be_bytes());
    }

    /// Bytes of a length that both sides know.
    pub fn array(&mut self, value: &[u8]) {
        // Growth by reallocation would leave copies of secrets behind: make room in generous steps.
        if self.0.capacity().saturating_sub(self.0.len()) < value.len() {
            let mut larger = Vec::with_capacity(
                self.0
                    .len()
                    .saturating_add(value.len())
                    .saturating_mul(2)
                    .max(256),
            );
            larger.extend_from_slice(&self.0);
            crate::secret::wipe(&mut self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(value);
    }

    /// `BE4(length) ‖ bytes`.
    pub fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.array(value);
    }

    /// Ends.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Ends with the first 8 bytes of SHA-256 of all before: for what lies on a disk and is not authenticated.
    #[must_use]
    pub fn finish_checked(mut self) -> Vec<u8> {
        let check = check(&self.0);
        self.array(&check);
        self.0
    }
}

/// Reads a canonical form.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Begins to read what [`Writer::finish_checked`] wrote.
    ///
    /// # Errors
    /// [`DecodeError::Short`]; [`DecodeError::Invalid`]: it was cut or changed.
    pub fn checked(input: &'a [u8]) -> Result<Self, DecodeError> {
        let (content, sum) = input.split_last_chunk().ok_or(DecodeError::Short)?;
        match check(content) == *sum {
            true => Ok(Self(content)),
            false => Err(DecodeError::Invalid),
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(DecodeError::Short)?;
        self.0 = tail;
        Ok(head)
    }

    /// A fixed array.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Short)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// `BE4(length) ‖ bytes` with a limit.
    ///
    /// # Errors
    /// [`DecodeError::Short`]; [`DecodeError::TooLong`] before anything is read.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::Invalid)?;
        if length > max {
            return Err(DecodeError::TooLong { got: length, max });
        }
        self.take(length)
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Ends.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`]: something is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_before_the_content() {
        let mut input = Reader::new(&[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(
            input.bytes(16),
            Err(DecodeError::TooLong {
                got: 0xffff_ffff,
                max: 16
            })
        );
    }

    #[test]
    fn what_was_checked_is_read_as_it_was_written() {
        let mut out = Writer::new();
        out.u64(7);
        let whole = out.finish_checked();
        let read = Reader::checked(&whole).and_then(|mut input| {
            let number = input.u64()?;
            input.finish().map(|()| number)
        });
        assert_eq!(read, Ok(7));
        for length in 0..whole.len() {
            assert!(Reader::checked(whole.get(..length).unwrap_or_default()).is_err());
        }
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            if let Some(byte) = changed.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            assert!(Reader::checked(&changed).is_err(), "{bit}");
        }
    }

    #[test]
    fn what_follows_the_end_is_refused() {
        assert_eq!(Reader::new(&[0]).finish(), Err(DecodeError::Trailing));
    }
}
