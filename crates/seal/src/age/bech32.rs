//! Bech32 (BIP 173) without its limit of 90 characters, as age has it.

use zeroize::{Zeroize as _, Zeroizing};

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM: usize = 6;
/// A key of X-Wing has 1216 bytes, which are 1946 characters.
const LONGEST: usize = 4096;

/// The remainder of a string by the generator of BIP 173, symbol by symbol.
fn step(state: u32, symbol: u8) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = state >> 25;
    let next = ((state & 0x01ff_ffff) << 5) ^ u32::from(symbol);
    let terms = (0..5).zip(GENERATOR);
    terms.fold(next, |next, (bit, term)| match (top >> bit) & 1 {
        1 => next ^ term,
        _ => next,
    })
}

/// The state after the prefix, which is lower case.
fn of_prefix(prefix: &str) -> u32 {
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    high.chain([0]).chain(low).fold(1, step)
}

/// So many ones.
fn low(bits: u32) -> u32 {
    !(u32::MAX << bits)
}

/// Cuts bytes of `from` bits into symbols of `to` bits; the last is filled with zeros.
fn regroup(bytes: &[u8], from: u32, to: u32) -> (Zeroizing<Vec<u8>>, u32, u32) {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_mul(2)));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = ((held << from) | u32::from(*byte)) & 0xffff;
        bits = bits.saturating_add(from);
        while bits >= to {
            bits = bits.saturating_sub(to);
            out.push(((held >> bits) & low(to)).to_le_bytes()[0]);
        }
    }
    (out, held & low(bits), bits)
}

/// Writes `bytes` under a prefix of lower case.
pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let (mut symbols, rest, bits) = regroup(bytes, 8, 5);
    if bits > 0 {
        symbols.push((rest << 5_u32.saturating_sub(bits)).to_le_bytes()[0]);
    }
    let state = symbols
        .iter()
        .fold(of_prefix(prefix), |state, symbol| step(state, *symbol));
    let check = [0; CHECKSUM]
        .iter()
        .fold(state, |state, zero| step(state, *zero))
        ^ 1;
    let check = [25, 20, 15, 10, 5, 0].map(|place: u32| ((check >> place) & 31).to_le_bytes()[0]);
    let room = prefix.len().saturating_add(symbols.len()).saturating_add(8);
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(prefix);
    text.push('1');
    for symbol in symbols.iter().copied().chain(check) {
        let letter = CHARSET.get(usize::from(symbol)).copied().unwrap_or(b'q');
        text.push(char::from(letter));
    }
    text
}

/// The bytes of a text that begins with a prefix, written as it is given: in lower or in upper case, and the rest as
/// it. Nothing: it is not of this form.
pub(crate) fn decode(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let symbols = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let upper = prefix.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut values = Zeroizing::new(Vec::with_capacity(symbols.len().min(LONGEST)));
    if symbols.len() > LONGEST {
        return None;
    }
    for byte in symbols.bytes() {
        let wrong = match upper {
            true => byte.is_ascii_lowercase(),
            false => byte.is_ascii_uppercase(),
        };
        let letter = byte.to_ascii_lowercase();
        let value = CHARSET.iter().position(|known| *known == letter)?;
        values.push(u8::try_from(value).ok().filter(|_| !wrong)?);
    }
    let mut lower = prefix.to_ascii_lowercase();
    let state = values
        .iter()
        .fold(of_prefix(&lower), |state, value| step(state, *value));
    lower.zeroize();
    if state != 1 {
        return None;
    }
    let length = values.len().checked_sub(CHECKSUM)?;
    let (bytes, rest, bits) = regroup(values.get(..length)?, 5, 8);
    // One value has one text.
    (bits < 5 && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    /// BIP 173, "Test vectors": valid Bech32 without data, and with all symbols.
    #[test]
    fn texts_of_bip_173_are_read() {
        assert_eq!(decode("a", "a12uel5l").unwrap().len(), 0);
        assert_eq!(decode("A", "A12UEL5L").unwrap().len(), 0);
        let text = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw";
        let bytes = decode("abcdef", text).unwrap();
        assert_eq!(bytes[..4], [0, 0x44, 0x32, 0x14]);
        assert_eq!(*encode("abcdef", &bytes), text);
        for wrong in [
            "a12uel5m", "a12UEL5L", "A12uel5l", "b12uel5l", "a1", "a", "a1lqfn3a",
        ] {
            assert!(decode("a", wrong).is_none(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_length_comes_back_and_no_change_does(
            bytes in proptest::collection::vec(0u8.., 0..80),
            at in 0usize..1000,
        ) {
            let text = encode("key", &bytes);
            assert_eq!(*decode("key", &text).unwrap(), bytes);
            let at = 4 + at % (text.len() - 4);
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
            assert!(decode("key", std::str::from_utf8(&changed).unwrap()).is_none());
            assert!(decode("key", &text[..at]).is_none());
        }
    }
}
