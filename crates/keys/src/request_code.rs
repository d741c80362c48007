//! What somebody who lost every device tells its guardians by voice or on paper (docs/spec/recovery.md, section 6).
//!
//! A code names one request of one account log, and holds what opens the way to whoever asked.

use crate::codec::Writer;
use crate::kdf::{hkdf_sha512, sha256};
use crate::label::{self, Label};
use crate::secret::{Secret, SecretBytes, ct_eq};
use crate::{QueueId, crockford};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Symbols of a code: 200 bits and a checksum of 20.
pub const SYMBOLS: usize = 44;
/// Symbols in a group.
pub const GROUP: usize = 4;

const REQUEST_LEN: usize = 16;
const SECRET_LEN: usize = 9;
const CONTENT_LEN: usize = REQUEST_LEN + SECRET_LEN;
/// Longest text that is looked at, in bytes.
const TEXT_MAX: usize = 1024;

/// What the asking device and its guardians know: 9 random bytes. It keeps strangers and the relay from putting
/// false shares into the mailbox; it protects no share.
pub struct RequestSecret(Secret<SECRET_LEN>);

/// A request code.
pub struct RequestCode {
    request: [u8; REQUEST_LEN],
    secret: RequestSecret,
}

/// Why a text is no request code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestCodeError {
    /// A character is none of a code's.
    #[error("group {group} has a character that no code has")]
    Character {
        /// Which group of four, from 1.
        group: usize,
    },
    /// There are more or fewer characters than in a code.
    #[error("{got} characters, not 44")]
    Length {
        /// How many there are.
        got: usize,
    },
    /// The text is far longer than any code.
    #[error("not a request code")]
    NotACode,
    /// At least one character is wrong.
    #[error("the checksum does not fit: a character is wrong or out of place")]
    Checksum,
}

impl RequestSecret {
    /// Draws a secret.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        SecretBytes::from(&self.0.expose_secret()[..])
    }

    /// Reads the stored form; nothing, if it has another length.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Secret::from_slice(bytes).map(Self)
    }

    /// The mailbox.
    #[must_use]
    pub fn queue_id(&self) -> QueueId {
        QueueId::from_bytes(*self.expand::<16>(label::REQUEST_QUEUE).expose_secret())
    }

    /// What opens the mailbox for writing.
    #[must_use]
    pub fn send_token(&self) -> Secret<32> {
        self.expand(label::REQUEST_SEND)
    }

    /// What everything in the mailbox is sealed with beside the device's key.
    #[must_use]
    pub fn psk(&self) -> Secret<32> {
        self.expand(label::REQUEST_PSK)
    }

    /// *Formula*: `HKDF-SHA-512(salt none, ikm secret, info label)`.
    fn expand<const N: usize>(&self, label: Label) -> Secret<N> {
        hkdf_sha512(&[], &[self.0.expose_secret()], &[label.as_bytes()])
    }
}

impl RequestCode {
    /// The code of a request, by the hash of its entry.
    #[must_use]
    pub fn new(entry: &[u8; 64], secret: RequestSecret) -> Self {
        let request = *entry.first_chunk().unwrap_or(&[0; REQUEST_LEN]);
        Self { request, secret }
    }

    /// Whether the code is of the request with this entry hash.
    #[must_use]
    pub fn names(&self, entry: &[u8; 64]) -> bool {
        ct_eq(&self.request, entry.split_at(REQUEST_LEN).0)
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &RequestSecret {
        &self.secret
    }

    /// Eleven groups of four with hyphens: Crockford's base32 over 128 bits of the entry's hash, the secret, and 20
    /// bits of SHA-256 over both.
    ///
    /// ```
    /// # use rand_core::SeedableRng as _;
    /// use letterlock_keys::request_code::{RequestCode, RequestSecret};
    /// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    /// let code = RequestCode::new(&[7; 64], RequestSecret::random(&mut rng));
    /// let heard = RequestCode::from_text(&code.to_text().to_lowercase()).unwrap();
    /// assert!(heard.names(&[7; 64]));
    /// assert_eq!(heard.secret().queue_id(), code.secret().queue_id());
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let content = self.content();
        let mut out = Writer::new();
        out.array(content.expose_secret());
        out.array(&check(&content));
        let whole = SecretBytes::new(out.finish());
        let mut text = crockford::encode(whole.expose_secret(), GROUP);
        // 28 bytes are 45 symbols; the last one is made of the four zero bits behind the checksum.
        text.truncate(SYMBOLS + SYMBOLS / GROUP - 1);
        text
    }

    /// Reads a code. White space, hyphens and case make no difference; `O` is read as 0, `I` and `L` as 1.
    ///
    /// # Errors
    /// [`RequestCodeError`]: which group has a character that does not exist, how many characters there are, or that
    /// the checksum does not fit; never how close it is.
    pub fn from_text(text: &str) -> Result<Self, RequestCodeError> {
        if text.len() > TEXT_MAX {
            return Err(RequestCodeError::NotACode);
        }
        let (bytes, got) =
            crockford::decode(text).map_err(|unknown| RequestCodeError::Character {
                group: (unknown.place / GROUP).saturating_add(1),
            })?;
        if got != SYMBOLS {
            return Err(RequestCodeError::Length { got });
        }
        let length = RequestCodeError::Length { got };
        let (content, tail) = bytes.split_first_chunk::<CONTENT_LEN>().ok_or(length)?;
        let content = Secret::from_fn(|out| *out = *content);
        // SECURITY: a code heard wrongly never becomes another one; `every_changed_symbol_is_refused` notices.
        if check(&content) != tail {
            return Err(RequestCodeError::Checksum);
        }
        let (request, secret) = content
            .expose_secret()
            .split_first_chunk::<REQUEST_LEN>()
            .ok_or(length)?;
        Ok(Self {
            request: *request,
            secret: RequestSecret(Secret::from_slice(secret).ok_or(length)?),
        })
    }

    fn content(&self) -> Secret<CONTENT_LEN> {
        Secret::from_fn(|out| {
            let (request, secret) = out.split_at_mut(REQUEST_LEN);
            request.copy_from_slice(&self.request);
            secret.copy_from_slice(self.secret.0.expose_secret());
        })
    }
}

/// The first 20 bits of SHA-256, then four zero bits: finds what was heard wrongly and protects nothing else.
fn check(content: &Secret<CONTENT_LEN>) -> [u8; 3] {
    let label = label::REQUEST_CHECK.as_bytes();
    let [a, b, c, ..] = sha256(&[label, &[0], content.expose_secret()]);
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
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// Computed from docs/spec/recovery.md by another program.
    const CODE: &str = "000G-40R4-0M30-E209-185G-R38E-1ZRF-3WQK-YKTZ-DXZR-XJ5C";

    fn hash() -> [u8; 64] {
        std::array::from_fn(|place| place as u8)
    }

    fn code_of(hash: &[u8; 64], secret: [u8; SECRET_LEN]) -> RequestCode {
        RequestCode::new(hash, RequestSecret::decode(&secret).unwrap())
    }

    fn code() -> RequestCode {
        code_of(&hash(), std::array::from_fn(|place| 0xf0 + place as u8))
    }

    fn refused(text: &str) -> RequestCodeError {
        RequestCode::from_text(text).err().unwrap()
    }

    #[test]
    fn text_and_what_follows_never_change() {
        assert_eq!(code().to_text().as_str(), CODE);
        let read = RequestCode::from_text(CODE).unwrap();
        let secret = read.secret();
        assert!(read.names(&hash()));
        assert_eq!(
            HEXLOWER.encode(secret.queue_id().as_bytes()),
            "b36e41c05e29eb9824d0333d76d713e4"
        );
        let token = secret.send_token();
        assert_eq!(
            HEXLOWER.encode(token.expose_secret()),
            "6beb88f543a0aad2170eb964e351fc7550ad320b5e23fa121bcc7c6981669367"
        );
        assert_eq!(
            HEXLOWER.encode(secret.psk().expose_secret()),
            "ce61765c3449af78d9e8d9a60c360c7c4c6753fddc8c9b217ce1fd47508c46e2"
        );
    }

    #[test]
    fn another_request_is_not_named() {
        for place in 0..REQUEST_LEN {
            let mut other = hash();
            other[place] ^= 1;
            assert!(!code().names(&other));
        }
    }

    #[test]
    fn case_separators_and_look_alikes_do_not_matter() {
        for typed in [
            CODE.to_lowercase(),
            CODE.replace('-', ""),
            CODE.replace('-', " \u{2013} "),
            CODE.replace('0', "O").replace('1', "l"),
        ] {
            let read = RequestCode::from_text(&typed).unwrap();
            assert_eq!(read.to_text().as_str(), CODE);
        }
    }

    #[test]
    fn every_changed_symbol_is_refused() {
        for (place, symbol) in CODE.char_indices().filter(|(_, symbol)| *symbol != '-') {
            for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars() {
                if other != symbol {
                    let mut changed = CODE.to_owned();
                    changed.replace_range(place..=place, &other.to_string());
                    assert_eq!(refused(&changed), RequestCodeError::Checksum, "{changed}");
                }
            }
            let mut changed = CODE.to_owned();
            changed.replace_range(place..=place, "U");
            let group = place / 5 + 1;
            assert_eq!(refused(&changed), RequestCodeError::Character { group });
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        let symbols = CODE.replace('-', "");
        for got in 0..SYMBOLS {
            let length = RequestCodeError::Length { got };
            assert_eq!(refused(&symbols[..got]), length);
        }
        let length = RequestCodeError::Length { got: 45 };
        assert_eq!(refused(&format!("{CODE}-0")), length);
        let long = "0".repeat(TEXT_MAX + 1);
        assert_eq!(refused(&long), RequestCodeError::NotACode);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(64)
        })]

        #[test]
        fn codes_come_back(start: [u8; REQUEST_LEN], secret: [u8; SECRET_LEN]) {
            let mut hash = [0; 64];
            hash[..REQUEST_LEN].copy_from_slice(&start);
            let read = RequestCode::from_text(&code_of(&hash, secret).to_text()).unwrap();
            prop_assert!(read.names(&hash));
            let stored = read.secret().encode();
            prop_assert_eq!(stored.expose_secret(), &secret[..]);
        }

        #[test]
        fn foreign_texts_do_not_panic(text: String) {
            let _ = RequestCode::from_text(&text);
        }
    }
}
