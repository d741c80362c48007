//! What members of a vault tell each other, inside messages of its group (docs/spec/vault.md, section 1).

use crate::records::{GENERATIONS, VaultPin};
use keys::Secret;
use keys::codec::{DecodeError, Reader, Writer};
use zeroize::Zeroizing;

/// What an errand begins with that is such a word: a letter that is never shown.
pub(crate) const ERRAND: u8 = 13;

const KEYS: u8 = 1;
const ROOT: u8 = 2;
const ASK: u8 = 3;

/// A word.
pub(crate) enum Word {
    /// Keys of generations, and the newest root that the sender knows.
    Keys {
        keys: Vec<(u32, Secret<32>)>,
        newest: Option<VaultPin>,
    },
    /// A version that the relay has taken.
    Root(VaultPin),
    /// Who asks has no keys, or not all.
    Ask,
}

impl Word {
    /// keys: `01 ‖ BE4(count) ‖ (BE4(generation) ‖ key 32)... ‖ root`; root: `02 ‖ root`; ask: `03`; with
    /// `root = BE4(generation) ‖ BE8(counter) ‖ root hash 48 ‖ state 1`, all zeros for none.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Keys { keys, newest } => {
                out.u8(KEYS);
                out.u32(u32::try_from(keys.len()).unwrap_or(u32::MAX));
                for (generation, key) in keys {
                    out.u32(*generation);
                    out.array(key.expose_secret());
                }
                newest.unwrap_or(VaultPin::NONE).write(&mut out);
            }
            Self::Root(root) => {
                out.u8(ROOT);
                root.write(&mut out);
            }
            Self::Ask => out.u8(ASK),
        }
        Zeroizing::new(out.finish())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let word = match input.u8()? {
            KEYS => Self::read_keys(&mut input)?,
            ROOT => match VaultPin::read(&mut input)? {
                root if root.counter != 0 && root.generation != 0 => Self::Root(root),
                _ => return Err(DecodeError::Invalid),
            },
            ASK => Self::Ask,
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(word)
    }

    fn read_keys(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.u32()?;
        if count == 0 || count > GENERATIONS {
            return Err(DecodeError::Invalid);
        }
        let mut keys: Vec<(u32, Secret<32>)> = Vec::new();
        for _ in 0..count {
            let generation = input.u32()?;
            let last = keys.last().map_or(0, |(last, _)| *last);
            if generation <= last || generation > GENERATIONS {
                return Err(DecodeError::Invalid);
            }
            let key = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
            keys.push((generation, key));
        }
        let newest = VaultPin::read(input)?;
        let none = newest == VaultPin::NONE;
        if !none && (newest.counter == 0 || newest.generation == 0) {
            return Err(DecodeError::Invalid);
        }
        Ok(Self::Keys {
            keys,
            newest: (!none).then_some(newest),
        })
    }
}

/// The word in a letter that is never shown.
pub(crate) fn of_errand(errand: &[u8]) -> Option<&[u8]> {
    match errand.split_first() {
        Some((&ERRAND, word)) => Some(word),
        _ => None,
    }
}

/// Whether a letter that is never shown gives keys.
pub(crate) fn gives_keys(errand: &[u8]) -> bool {
    of_errand(errand).is_some_and(|word| word.first() == Some(&KEYS))
}

/// For the list of what strangers hand in: [`crate::untrusted`].
pub(crate) fn decodes(bytes: &[u8]) -> bool {
    Word::decode(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use keys::vault_root::RootHash;

    fn words() -> Vec<Word> {
        let root = VaultPin {
            generation: 2,
            counter: 9,
            hash: RootHash([7; 48]),
            closed: true,
        };
        let keys = |newest| Word::Keys {
            keys: [1, 2, 5]
                .map(|generation: u8| {
                    let key = Secret::from_slice(&[generation; 32]).unwrap();
                    (u32::from(generation), key)
                })
                .into(),
            newest,
        };
        vec![keys(None), keys(Some(root)), Word::Root(root), Word::Ask]
    }

    #[test]
    fn a_word_comes_back_as_it_went_and_every_cut_is_refused() {
        for word in words() {
            let bytes = word.encode();
            assert_eq!(Word::decode(&bytes).unwrap().encode(), bytes);
            for length in 0..bytes.len() {
                assert!(Word::decode(&bytes[..length]).is_err(), "{length}");
            }
            assert!(Word::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        assert!(Word::decode(&[4]).is_err());
    }

    #[test]
    fn generations_ascend_from_one() {
        let keys = |generations: &[u32]| Word::Keys {
            keys: generations
                .iter()
                .map(|generation| (*generation, Secret::from_slice(&[1; 32]).unwrap()))
                .collect(),
            newest: None,
        };
        assert!(Word::decode(&keys(&[1, 2]).encode()).is_ok());
        for wrong in [
            &[][..],
            &[0],
            &[2, 1],
            &[1, 1],
            &[GENERATIONS.strict_add(1)],
        ] {
            assert!(Word::decode(&keys(wrong).encode()).is_err(), "{wrong:?}");
        }
    }
}
