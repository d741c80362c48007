//! Where what lies in the plaintext (docs/spec/sealed-file.md, section 3).

use keys::content_hash::BLOCK_LEN;

/// Bytes of the length behind the trailer.
pub(crate) const TAIL: u64 = 4;

/// The length to which Padmé pads `length`; nothing above 2^63.
///
/// *Formula*: E = ⌊log₂ L⌋, S = ⌊log₂ E⌋ + 1, the last E − S bits become zero by rounding up.
/// *Source*: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PETS 2019,
/// algorithm 1.
#[must_use]
pub fn padme(length: u64) -> Option<u64> {
    let Some(e) = length.checked_ilog2() else {
        return Some(length);
    };
    let s = e.checked_ilog2().map_or(0, |log| log.saturating_add(1));
    let zeros = e.saturating_sub(s);
    let mask = 1u64.checked_shl(zeros)?.checked_sub(1)?;
    Some(length.checked_add(mask)? & !mask)
}

/// Lengths of one plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes before the padding: manifest with its length, and contents.
    pub(crate) content: u64,
    /// Bytes before the trailer: what the digest covers.
    pub(crate) digested: u64,
    /// All bytes.
    pub(crate) whole: u64,
}

impl Layout {
    /// The lengths that go with so many bytes of content and of trailer. Nothing: too long.
    pub(crate) fn new(content: u64, trailer: u64) -> Option<Self> {
        let behind = trailer.checked_add(TAIL)?;
        let whole = padme(content.checked_add(1)?.checked_add(behind)?)?;
        Some(Self {
            content,
            digested: whole.checked_sub(behind)?,
            whole,
        })
    }

    /// How many whole blocks are digested.
    pub(crate) fn whole_blocks(&self) -> u64 {
        self.digested.checked_div(BLOCK_LEN as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    #[test]
    fn padding_is_that_of_the_paper() {
        for (length, padded) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (9, 10),
            (100, 104),
            (1000, 1024),
        ] {
            assert_eq!(padme(length), Some(padded), "{length}");
        }
        assert_eq!(padme(u64::MAX), None);
    }

    proptest::proptest! {
        #[test]
        fn padding_costs_an_eighth_at_most_and_pads_once(length in 1u64..1 << 62) {
            let padded = padme(length).unwrap();
            proptest::prop_assert!(padded >= length);
            proptest::prop_assert!(padded - length <= length / 8 + 1);
            proptest::prop_assert_eq!(padme(padded), Some(padded));
        }
    }
}
