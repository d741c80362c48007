//! Crockford's base32: what people type from paper or read aloud.
//!
//! Bits are taken from the top of the first byte; the last symbol is filled up with zeros.

use zeroize::Zeroizing;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A character that is no symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// How many symbols stand before it.
    pub(crate) place: usize,
}

/// The bits of `bytes` as symbols, in groups with a hyphen between them.
pub(crate) fn encode(bytes: &[u8], group: usize) -> Zeroizing<String> {
    // Room for a hyphen after every symbol: a string that grows would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(4)));
    for (place, value) in values(bytes).iter().enumerate() {
        if place > 0 && place.is_multiple_of(group) {
            text.push('-');
        }
        text.push(symbol(*value));
    }
    text
}

/// The bytes of a text, the last one filled up with zeros, and how many symbols there were. White space and hyphens
/// are skipped, case makes no difference, `O` is read as 0, `I` and `L` as 1.
pub(crate) fn decode(text: &str) -> Result<(Zeroizing<Vec<u8>>, usize), Unknown> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut count = 0_usize;
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for character in text.chars().filter(|c| !is_separator(*c)) {
        let value = value(character).ok_or(Unknown { place: count })?;
        count = count.saturating_add(1);
        bits = (bits << 5) | u32::from(value);
        held = held.saturating_add(5);
        if let Some(left) = held.checked_sub(8) {
            bytes.push(low_byte(bits >> left));
            held = left;
        }
    }
    if held > 0 {
        bytes.push(low_byte(bits << 8_u32.saturating_sub(held)));
    }
    Ok((bytes, count))
}

/// How many symbols hold so many bytes.
pub(crate) fn symbols_of(bytes: usize) -> usize {
    bytes.saturating_mul(8).div_ceil(5)
}

fn values(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut values = Zeroizing::new(Vec::with_capacity(symbols_of(bytes.len())));
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held = held.saturating_add(8);
        while let Some(left) = held.checked_sub(5) {
            values.push(low_byte(bits >> left) & 31);
            held = left;
        }
    }
    if held > 0 {
        values.push(low_byte(bits << 5_u32.saturating_sub(held)) & 31);
    }
    values
}

fn low_byte(bits: u32) -> u8 {
    let [.., low] = bits.to_be_bytes();
    low
}

fn symbol(value: u8) -> char {
    SYMBOLS
        .get(usize::from(value & 31))
        .map_or('0', |symbol| char::from(*symbol))
}

fn value(character: char) -> Option<u8> {
    let character = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = SYMBOLS.iter().position(|s| char::from(*s) == character)?;
    u8::try_from(place).ok()
}

/// White space, and every dash that a keyboard or a word processor makes of a hyphen.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(64)
        })]

        /// `data-encoding` with Crockford's symbols is the other implementation.
        #[test]
        fn bytes_come_back_and_another_encoder_agrees(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            group in 1_usize..9,
        ) {
            let text = encode(&bytes, group);
            let (decoded, count) = decode(&text).unwrap();
            prop_assert_eq!(count, symbols_of(bytes.len()));
            prop_assert_eq!(&decoded[..bytes.len()], &bytes[..]);
            prop_assert!(decoded[bytes.len()..].iter().all(|byte| *byte == 0));

            let mut other = data_encoding::Specification::new();
            other.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
            prop_assert_eq!(text.replace('-', ""), other.encoding().unwrap().encode(&bytes));
        }
    }

    #[test]
    fn look_alikes_case_and_separators_do_not_matter() {
        let (bytes, _) = decode("0123-abcd 1-0").unwrap();
        for text in [
            "O123abcd10",
            "oIZ3ABCDlo".replace('Z', "2").as_str(),
            "0L23\u{2014}abcd\u{a0}\n10",
        ] {
            assert_eq!(decode(text).unwrap().0, bytes, "{text}");
        }
    }

    #[test]
    fn characters_that_do_not_exist_are_placed() {
        for (text, place) in [
            ("U", 0),
            ("0000-u", 4),
            ("00!0", 2),
            ("0Ā", 1),
            ("000000ſ", 6),
        ] {
            assert_eq!(decode(text).unwrap_err(), Unknown { place }, "{text}");
        }
    }
}
