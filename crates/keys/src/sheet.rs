//! The recovery sheet: a secret on paper, typed in again by hand (docs/spec/recovery.md, section 1).

use crate::codec::Writer;
use crate::crockford;
use crate::kdf::{hkdf_sha512, sha256};
use crate::label;
use crate::secret::{Secret, SecretBytes};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Symbols of a sheet: 240 bits and a checksum of 20.
pub const SYMBOLS: usize = 52;
/// Symbols in a group.
pub const GROUP: usize = 4;

const SECRET_LEN: usize = 30;
/// Longest text that is looked at, in bytes.
const TEXT_MAX: usize = 1024;

/// The secret of a recovery sheet: 30 random bytes.
pub struct SheetSecret(Secret<SECRET_LEN>);

/// Why a text is no sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// A character is none of a sheet's.
    #[error("group {group} has a character that no sheet has")]
    Character {
        /// Which group of four, from 1.
        group: usize,
    },
    /// There are more or fewer characters than on a sheet.
    #[error("{got} characters, not 52")]
    Length {
        /// How many there are.
        got: usize,
    },
    /// The text is far longer than any sheet.
    #[error("not a sheet")]
    NotASheet,
    /// At least one character is wrong.
    #[error("the checksum does not fit: a character is wrong or out of place")]
    Checksum,
}

impl SheetSecret {
    /// Draws a secret.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Thirteen groups of four with hyphens: Crockford's base32 over 240 bits and 20 of SHA-256 over them.
    ///
    /// ```
    /// # use rand_core::SeedableRng as _;
    /// use letterlock_keys::sheet::SheetSecret;
    /// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    /// let sheet = SheetSecret::random(&mut rng);
    /// let typed = sheet.to_text().to_lowercase().replace('-', " ");
    /// let read = SheetSecret::from_text(&typed).unwrap();
    /// assert!(read.seed().ct_eq(&sheet.seed()));
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut out = Writer::new();
        out.array(self.0.expose_secret());
        out.array(&check(&self.0));
        let whole = SecretBytes::new(out.finish());
        let mut text = crockford::encode(whole.expose_secret(), GROUP);
        // 33 bytes are 53 symbols; the last one is made of the four zero bits behind the checksum.
        text.truncate(SYMBOLS + SYMBOLS / GROUP - 1);
        text
    }

    /// Reads a sheet. White space, hyphens and case make no difference; `O` is read as 0, `I` and `L` as 1.
    ///
    /// # Errors
    /// [`SheetError`]: which group has a character that does not exist, how many characters there are, or that the
    /// checksum does not fit; never how close it is.
    pub fn from_text(text: &str) -> Result<Self, SheetError> {
        if text.len() > TEXT_MAX {
            return Err(SheetError::NotASheet);
        }
        let (bytes, got) = crockford::decode(text).map_err(|unknown| SheetError::Character {
            group: (unknown.place / GROUP).saturating_add(1),
        })?;
        if got != SYMBOLS {
            return Err(SheetError::Length { got });
        }
        let (head, tail) = bytes
            .split_first_chunk::<SECRET_LEN>()
            .ok_or(SheetError::Length { got })?;
        let secret = Secret::from_fn(|out| *out = *head);
        // SECURITY: a mistyped sheet never becomes another secret; `every_changed_symbol_is_refused` notices.
        if check(&secret) != tail {
            return Err(SheetError::Checksum);
        }
        Ok(Self(secret))
    }

    /// What all keys of the recovery are derived from: `HKDF-SHA-512(salt none, ikm secret, info label)`.
    #[must_use]
    pub fn seed(&self) -> Secret<32> {
        let label = label::SHEET_SEED.as_bytes();
        hkdf_sha512(&[], &[self.0.expose_secret()], &[label])
    }
}

/// The first 20 bits of SHA-256, then four zero bits: finds what was mistyped and protects nothing else.
fn check(secret: &Secret<SECRET_LEN>) -> [u8; 3] {
    let label = label::SHEET_CHECK.as_bytes();
    let [a, b, c, ..] = sha256(&[label, &[0], secret.expose_secret()]);
    [a, b, c & 0xf0]
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
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// Computed from docs/spec/recovery.md by another program.
    const SHEET: &str = "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-BKFG";
    const SEED: &str = "e3f90f5683e89c9741b0b6bf3504019c756743e5ea008f355283ba3e20998015";

    fn sheet_of(bytes: [u8; SECRET_LEN]) -> SheetSecret {
        SheetSecret(Secret::from_slice(&bytes).unwrap())
    }

    fn sheet() -> SheetSecret {
        sheet_of(std::array::from_fn(|place| place as u8))
    }

    fn refused(text: &str) -> SheetError {
        SheetSecret::from_text(text).err().unwrap()
    }

    #[test]
    fn text_and_seed_never_change() {
        assert_eq!(sheet().to_text().as_str(), SHEET);
        let read = SheetSecret::from_text(SHEET).unwrap();
        assert!(read.0.ct_eq(&sheet().0));
        assert_eq!(
            data_encoding::HEXLOWER.encode(read.seed().expose_secret()),
            SEED
        );
    }

    #[test]
    fn case_separators_and_look_alikes_do_not_matter() {
        for typed in [
            SHEET.to_lowercase(),
            SHEET.replace('-', ""),
            SHEET.replace('-', "\n"),
            SHEET.replace('-', " \u{2013} "),
            SHEET.replace('0', "O").replace('1', "I"),
            SHEET.replace('0', "o").replace('1', "l"),
        ] {
            assert!(SheetSecret::from_text(&typed).unwrap().0.ct_eq(&sheet().0));
        }
    }

    #[test]
    fn every_changed_symbol_is_refused() {
        for (place, symbol) in SHEET.char_indices().filter(|(_, symbol)| *symbol != '-') {
            for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars() {
                if other != symbol {
                    let mut changed = SHEET.to_owned();
                    changed.replace_range(place..=place, &other.to_string());
                    assert_eq!(refused(&changed), SheetError::Checksum, "{changed}");
                }
            }
        }
    }

    #[test]
    fn exchanged_groups_are_refused() {
        let groups: Vec<_> = SHEET.split('-').collect();
        for place in 1..groups.len() {
            let mut exchanged = groups.clone();
            exchanged.swap(place - 1, place);
            assert_eq!(refused(&exchanged.join("-")), SheetError::Checksum);
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        let symbols = SHEET.replace('-', "");
        for got in 0..SYMBOLS {
            assert_eq!(refused(&symbols[..got]), SheetError::Length { got });
        }
        assert_eq!(
            refused(&format!("{SHEET}-0")),
            SheetError::Length { got: 53 }
        );
        assert_eq!(refused(&"0".repeat(TEXT_MAX + 1)), SheetError::NotASheet);
    }

    #[test]
    fn a_character_that_does_not_exist_is_named_by_its_group() {
        for (place, _) in SHEET.char_indices().filter(|(_, symbol)| *symbol != '-') {
            let mut changed = SHEET.to_owned();
            changed.replace_range(place..=place, "U");
            let group = place / 5 + 1;
            assert_eq!(refused(&changed), SheetError::Character { group });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(64)
        })]

        #[test]
        fn sheets_come_back(bytes: [u8; SECRET_LEN]) {
            let text = sheet_of(bytes).to_text();
            prop_assert_eq!(text.split('-').filter(|group| group.len() == GROUP).count(), 13);
            prop_assert!(SheetSecret::from_text(&text).unwrap().0.ct_eq(&sheet_of(bytes).0));
        }

        #[test]
        fn foreign_texts_do_not_panic(text: String) {
            let _ = SheetSecret::from_text(&text);
        }
    }
}
