//! 128 bits as twelve words (BIP-39, English list).

use crate::kdf::sha256;
use crate::secret::Secret;
use zeroize::Zeroizing;

/// Number of words.
pub(crate) const COUNT: usize = 12;

/// The list, one word a line, in order (docs/decisions/words.md).
static LIST: &str = include_str!("words.txt");
/// No word of the list is longer.
const WORD_MAX: usize = 8;

/// Why twelve words are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// There are more or fewer than twelve.
    #[error("{got} words, not 12")]
    Count {
        /// How many there are.
        got: usize,
    },
    /// A word is not in the list.
    #[error("word {position} is not in the list")]
    Unknown {
        /// Which, from 1.
        position: usize,
    },
    /// All are in the list, and at least one is wrong.
    #[error("the checksum does not fit: a word is wrong or out of place")]
    Checksum,
}

/// Twelve words with single spaces: 128 bits and four of SHA-256 over them, eleven bits a word.
pub(crate) fn encode(entropy: &Secret<16>) -> Zeroizing<String> {
    let bits = Zeroizing::new(u128::from_be_bytes(*entropy.expose_secret()));
    let mut text = Zeroizing::new(String::with_capacity(COUNT.saturating_mul(WORD_MAX + 1)));
    for shift in (7..=117).rev().step_by(11) {
        push_word(&mut text, *bits >> shift);
        text.push(' ');
    }
    push_word(&mut text, (*bits << 4) | u128::from(check(entropy)));
    text
}

/// Reads twelve words in either case, with any white space between them.
pub(crate) fn decode(text: &str) -> Result<Secret<16>, WordsError> {
    let got = text.split_whitespace().count();
    if got != COUNT {
        return Err(WordsError::Count { got });
    }
    let mut bits = Zeroizing::new(0_u128);
    let mut last = Zeroizing::new(0_u128);
    for (position, word) in (1..).zip(text.split_whitespace()) {
        *last = number(word).ok_or(WordsError::Unknown { position })?;
        *bits = match position {
            COUNT => (*bits << 7) | (*last >> 4),
            _ => (*bits << 11) | *last,
        };
    }
    let entropy = Secret::from_fn(|out| *out = bits.to_be_bytes());
    // SECURITY: a wrong word is never taken for another secret; `every_other_last_word_is_refused` notices.
    if u128::from(check(&entropy)) != *last & 15 {
        return Err(WordsError::Checksum);
    }
    Ok(entropy)
}

/// The first four bits of SHA-256.
fn check(entropy: &Secret<16>) -> u8 {
    let [first, ..] = sha256(&[entropy.expose_secret()]);
    first >> 4
}

fn push_word(text: &mut String, bits: u128) {
    let number = u16::try_from(bits & 0x7ff).unwrap_or_default();
    text.push_str(word(number));
}

/// The word that has this number, below 2048.
pub(crate) fn word(number: u16) -> &'static str {
    LIST.lines().nth(number.into()).unwrap_or_default()
}

/// The number of the word that is this one, or the only one that begins so, in either case.
pub(crate) fn begins(start: &str) -> Option<u16> {
    let start = start.to_ascii_lowercase();
    let words = (0..).zip(LIST.lines());
    if let Some((number, _)) = words.clone().find(|(_, word)| *word == start) {
        return Some(number);
    }
    let mut begin = words.filter(|(_, word)| !start.is_empty() && word.starts_with(&start));
    match (begin.next(), begin.next()) {
        (Some((number, _)), None) => Some(number),
        _ => None,
    }
}

fn number(word: &str) -> Option<u128> {
    let number = LIST
        .lines()
        .position(|listed| listed.eq_ignore_ascii_case(word))?;
    u128::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    fn entropy(hex: &str) -> Secret<16> {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        Secret::from_slice(&bytes).unwrap()
    }

    /// The test vectors of BIP-39 with 128 bits.
    const VECTORS: [(&str, &str); 8] = [
        (
            "00000000000000000000000000000000",
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
        ),
        (
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
        ),
        (
            "80808080808080808080808080808080",
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
        ),
        (
            "ffffffffffffffffffffffffffffffff",
            "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
        ),
        (
            "9e885d952ad362caeb4efe34a8e91bd2",
            "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
        ),
        (
            "c0ba5a8e914111210f2bd131f3d5e08d",
            "scheme spot photo card baby mountain device kick cradle pact join borrow",
        ),
        (
            "23db8160a31d3e0dca3688ed941adbf3",
            "cat swing flag economy stadium alone churn speed unique patch report train",
        ),
        (
            "f30f8c1da665478f49b001d94c5fc452",
            "vessel ladder alter error federal sibling chat ability sun glass valve picture",
        ),
    ];

    #[test]
    fn the_vectors_of_bip_39_hold() {
        for (hex, words) in VECTORS {
            let entropy = entropy(hex);
            assert_eq!(encode(&entropy).as_str(), words);
            assert!(decode(words).unwrap().ct_eq(&entropy));
            let loud = words.to_uppercase().replace(' ', " \n\t");
            assert!(decode(&loud).unwrap().ct_eq(&entropy));
        }
    }

    #[test]
    fn the_list_is_the_one_of_bip_39() {
        assert_eq!(
            data_encoding::HEXLOWER.encode(&sha256(&[LIST.as_bytes()])),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        assert!(LIST.lines().all(|word| word.len() <= WORD_MAX));
    }

    #[test]
    fn a_word_that_is_not_listed_is_named_by_its_place() {
        for (place, _) in VECTORS[4].1.split(' ').enumerate() {
            let mut words: Vec<_> = VECTORS[4].1.split(' ').collect();
            words[place] = "letterlock";
            let error = decode(&words.join(" ")).err().unwrap();
            assert_eq!(
                error,
                WordsError::Unknown {
                    position: place + 1
                }
            );
            words[place] = "ozon";
            let error = decode(&words.join(" ")).err().unwrap();
            assert_eq!(
                error,
                WordsError::Unknown {
                    position: place + 1
                }
            );
        }
    }

    #[test]
    fn more_or_fewer_words_are_refused() {
        for got in (0..30).filter(|got| *got != COUNT) {
            let words = ["zoo"].repeat(got).join(" ");
            assert_eq!(decode(&words).err().unwrap(), WordsError::Count { got });
        }
    }

    /// The last word holds seven bits and the checksum of all: 128 of 2048 words fit.
    #[test]
    fn every_other_last_word_is_refused() {
        let (begin, _) = VECTORS[4].1.rsplit_once(' ').unwrap();
        let mut right = 0;
        for word in LIST.lines() {
            match decode(&format!("{begin} {word}")) {
                Ok(_) => right += 1,
                Err(error) => assert_eq!(error, WordsError::Checksum),
            }
        }
        assert_eq!(right, 128);
    }
}
