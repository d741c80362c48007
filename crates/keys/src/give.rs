//! The code of a transfer: a number that finds the giver, and three words that nobody else knows
//! (docs/spec/give.md, section 1).

use crate::kdf::{hkdf_sha512, sha256};
use crate::label::{self, Label};
use crate::secret::Secret;
use crate::{QueueId, words};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Longest relay URL that a link holds, in bytes.
pub const RELAY_MAX: usize = 256;

/// Number of words; each has eleven bits.
const WORDS: usize = 3;
/// Longest text that is looked at, in bytes.
const TEXT_MAX: usize = 128;
/// Numbers of four digits, and of five.
const SHORT: std::ops::RangeInclusive<u32> = 1_000..=9_999;
const LONG: std::ops::RangeInclusive<u32> = 10_000..=99_999;

/// Which giver of a relay is meant: four or five digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nameplate(u32);

/// A code: nameplate and words.
pub struct GiveCode {
    nameplate: Nameplate,
    /// Each word's number, big-endian.
    words: Secret<{ 2 * WORDS }>,
}

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Not a number and three words.
    #[error("a code is a number of four or five digits and three words")]
    Shape,
    /// A word is not in the list, or several begin so.
    #[error("word {position} of the code is none that a code can have")]
    Unknown {
        /// Which, from 1.
        position: usize,
    },
}

impl Nameplate {
    /// Draws one of four digits, or, where those were taken, of five.
    #[must_use]
    pub fn random(longer: bool, rng: &mut dyn CryptoRng) -> Self {
        let range = if longer { LONG } else { SHORT };
        loop {
            let mut bytes = [0; 4];
            rng.fill_bytes(&mut bytes);
            let drawn = u32::from_be_bytes(bytes) & 0x1_ffff;
            if range.contains(&drawn) {
                return Self(drawn);
            }
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let number = Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
        let number: u32 = number?.parse().ok()?;
        (SHORT.contains(&number) || LONG.contains(&number)).then_some(Self(number))
    }

    /// Where the giver is heard at the relay of this id.
    #[must_use]
    pub fn queue_id(self, relay: &[u8; 16]) -> QueueId {
        QueueId::from_bytes(*self.expand::<16>(relay, label::GIVE_QUEUE).expose_secret())
    }

    /// What allows to write to that queue: everybody can compute it.
    #[must_use]
    pub fn send_token(self, relay: &[u8; 16]) -> Secret<32> {
        self.expand(relay, label::GIVE_SEND)
    }

    /// `HKDF-SHA-512(salt none, ikm relay id ‖ BE4(nameplate), info label)`.
    fn expand<const N: usize>(self, relay: &[u8; 16], label: Label) -> Secret<N> {
        hkdf_sha512(&[], &[relay, &self.0.to_be_bytes()], &[label.as_bytes()])
    }
}

impl GiveCode {
    /// Draws the words that go with a nameplate.
    #[must_use]
    pub fn random(nameplate: Nameplate, rng: &mut dyn CryptoRng) -> Self {
        let drawn = Secret::<{ 2 * WORDS }>::random(rng);
        let words = Secret::from_fn(|out: &mut [u8; 2 * WORDS]| {
            for (out, drawn) in out.chunks_mut(2).zip(drawn.expose_secret().chunks(2)) {
                if let ([high, low], [first, second]) = (out, drawn) {
                    (*high, *low) = (first & 7, *second);
                }
            }
        });
        Self { nameplate, words }
    }

    /// Which giver is meant.
    #[must_use]
    pub fn nameplate(&self) -> Nameplate {
        self.nameplate
    }

    /// As it is said and written: `4821-guitar-banana-mouse`.
    ///
    /// ```
    /// # use rand_core::SeedableRng as _;
    /// use letterlock_keys::give::{GiveCode, Nameplate};
    /// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    /// let code = GiveCode::random(Nameplate::random(false, &mut rng), &mut rng);
    /// let typed = code.to_text().to_uppercase().replace('-', " ");
    /// let read = GiveCode::from_text(&typed).unwrap();
    /// assert_eq!(read.to_text(), code.to_text());
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
        text.push_str(&self.nameplate.0.to_string());
        for number in self.words.expose_secret().chunks(2) {
            let number = number
                .iter()
                .fold(0_u16, |all, byte| (all << 8) | u16::from(*byte));
            text.push('-');
            text.push_str(words::word(number));
        }
        text
    }

    /// Reads a code in either case, with spaces or hyphens between its parts; of a word its beginning is enough where no
    /// other one begins so.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn from_text(text: &str) -> Result<Self, CodeError> {
        let mut parts =
            text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.' | ','));
        let mut parts = parts.by_ref().filter(|part| !part.is_empty());
        let nameplate = Some(text).filter(|text| text.len() <= TEXT_MAX);
        let nameplate = nameplate.and_then(|_| Nameplate::from_text(parts.next()?));
        let nameplate = nameplate.ok_or(CodeError::Shape)?;
        let mut numbers = Zeroizing::new([0_u8; 2 * WORDS]);
        for (out, position) in numbers.chunks_mut(2).zip(1..) {
            let word = parts.next().ok_or(CodeError::Shape)?;
            let number = words::begins(word).ok_or(CodeError::Unknown { position })?;
            out.copy_from_slice(&number.to_be_bytes());
        }
        match parts.next() {
            None => Ok(Self {
                nameplate,
                words: Secret::from_fn(|out| *out = *numbers),
            }),
            Some(_) => Err(CodeError::Shape),
        }
    }

    /// What both sides put into the exchange.
    ///
    /// *Formula*: `HKDF-SHA-512(salt none, ikm words, info label)`.
    pub(crate) fn password(&self) -> Secret<32> {
        let info = label::GIVE_PASSWORD.as_bytes();
        hkdf_sha512(&[], &[self.words.expose_secret()], &[info])
    }

    /// Names what is kept of a transfer that was begun, at the relay of this id.
    ///
    /// *Formula*: `SHA-256(label ‖ 00 ‖ relay id ‖ BE4(nameplate) ‖ words)`.
    #[must_use]
    pub fn state_name(&self, relay: &[u8; 16]) -> [u8; 32] {
        sha256(&[
            label::GIVE_STATE.as_bytes(),
            &[0],
            relay,
            &self.nameplate.0.to_be_bytes(),
            self.words.expose_secret(),
        ])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn read(text: &str) -> Result<String, CodeError> {
        GiveCode::from_text(text).map(|code| code.to_text().to_string())
    }

    #[test]
    fn what_a_person_types_is_the_same_code() {
        for text in [
            "4821-guitar-banana-mouse",
            " 4821 Guitar BANANA mouse\n",
            "4821--guit_bana, mous",
            "4821 - guitar - banana - mous",
        ] {
            assert_eq!(read(text).unwrap(), "4821-guitar-banana-mouse", "{text}");
        }
        // A whole word counts although others begin so.
        assert_eq!(read("12345-act-can-art").unwrap(), "12345-act-can-art");
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let long = format!("4821-guitar-banana-mouse{}", " ".repeat(200));
        for text in [
            "",
            "4821",
            "guitar-banana-mouse",
            "482-guitar-banana-mouse",
            "100000-guitar-banana-mouse",
            "+4821-guitar-banana-mouse",
            "4821-guitar-banana",
            "4821-guitar-banana-mouse-mouse",
            "4294971117-guitar-banana-mouse",
            &long,
        ] {
            assert_eq!(read(text), Err(CodeError::Shape), "{text}");
        }
        for (text, position) in [
            ("4821-guitarr-banana-mouse", 1),
            ("4821-guitar-ba-mouse", 2),
            ("4821-guitar-banana-mäuse", 3),
        ] {
            assert_eq!(read(text), Err(CodeError::Unknown { position }), "{text}");
        }
    }

    #[test]
    fn numbers_have_the_digits_that_were_asked_for() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (short, long) = (
                Nameplate::random(false, &mut rng),
                Nameplate::random(true, &mut rng),
            );
            assert!(SHORT.contains(&short.0) && LONG.contains(&long.0));
            let code = GiveCode::random(short, &mut rng);
            assert_eq!(read(&code.to_text()).unwrap(), *code.to_text());
        }
    }

    /// The values of docs/spec/give.md, section 7.
    #[test]
    fn values_are_those_of_the_specification() {
        let page = include_str!("../../../docs/spec/give.md");
        let relay = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let code = GiveCode::from_text("4821-guitar-banana-mouse").unwrap();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let plate = code.nameplate();
        for (name, value) in [
            ("queue id", hex(plate.queue_id(&relay).as_bytes())),
            ("send token", hex(plate.send_token(&relay).expose_secret())),
            ("words", hex(code.words.expose_secret())),
            ("password", hex(code.password().expose_secret())),
            ("name of the state", hex(&code.state_name(&relay))),
        ] {
            let row = format!("| {name} | `{value}` |");
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn another_relay_has_other_queues() {
        let plate = Nameplate(4821);
        assert_ne!(plate.queue_id(&[1; 16]), plate.queue_id(&[2; 16]));
        assert_ne!(plate.queue_id(&[1; 16]), Nameplate(4822).queue_id(&[1; 16]));
        assert!(
            !plate
                .send_token(&[1; 16])
                .ct_eq(&plate.send_token(&[2; 16]))
        );
    }
}
