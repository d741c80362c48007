//! The linking of a new device: the one-time secret, its two text forms, what follows from it, and the code that two
//! people compare (docs/spec/linking.md).

use crate::codec::{Reader, Writer};
use crate::kdf::{hkdf_sha512, sha256, sha512};
use crate::label::{self, Label};
use crate::secret::{Secret, SecretBytes};
use crate::words;
use crate::{AccountId, QueueId, crockford};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use crate::words::WordsError;

/// Longest relay URL in a link code, in bytes.
pub const RELAY_MAX: usize = 256;

/// What every link code begins with; in no scheme a URL could have.
const PREFIX: &str = "LL1-";
const VERSION: u8 = 1;
const CHECK_LEN: usize = 4;
const GROUP: usize = 8;
/// Longest text that is looked at, in bytes: twice what the longest code needs.
const TEXT_MAX: usize = 1024;

/// The one-time secret of a linking: 16 random bytes that both devices know and nobody else.
pub struct LinkSecret(Secret<16>);

impl LinkSecret {
    /// Draws a secret.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Twelve words of the English BIP-39 list, with single spaces.
    ///
    /// ```
    /// # use rand_core::SeedableRng as _;
    /// use letterlock_keys::link::LinkSecret;
    /// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    /// let secret = LinkSecret::random(&mut rng);
    /// let words = secret.to_words();
    /// let typed = LinkSecret::from_words(&words.to_uppercase()).unwrap();
    /// assert_eq!(typed.queue_id(), secret.queue_id());
    /// ```
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<String> {
        words::encode(&self.0)
    }

    /// Reads twelve words in either case.
    ///
    /// # Errors
    /// [`WordsError`]: which word is not in the list, or that the checksum does not fit.
    pub fn from_words(text: &str) -> Result<Self, WordsError> {
        words::decode(text).map(Self)
    }

    /// The queue at the relay through which the new device is heard.
    #[must_use]
    pub fn queue_id(&self) -> QueueId {
        QueueId::from_bytes(*self.expand::<16>(label::LINK_QUEUE).expose_secret())
    }

    /// What allows to write to that queue.
    #[must_use]
    pub fn send_token(&self) -> Secret<32> {
        self.expand(label::LINK_SEND)
    }

    /// The AEAD key of the first message, which brings the new device's keys.
    #[must_use]
    pub fn first_key(&self) -> Secret<32> {
        self.expand(label::LINK_FIRST)
    }

    /// The PSK of the answer (HPKE in PSK mode).
    #[must_use]
    pub fn psk(&self) -> Secret<32> {
        self.expand(label::LINK_PSK)
    }

    /// `HKDF-SHA-512(salt none, ikm secret, info label)`.
    fn expand<const N: usize>(&self, label: Label) -> Secret<N> {
        hkdf_sha512(&[], &[self.0.expose_secret()], &[label.as_bytes()])
    }
}

/// A link secret and where to meet, as one line of text.
///
/// *Shape*: `LL1-` and groups of eight symbols of Crockford's base32, over
/// `01 ‖ secret 16 ‖ relay URL ‖ check 4`.
pub struct LinkCode {
    secret: LinkSecret,
    relay: String,
}

/// Why a text is no link code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkCodeError {
    /// It does not begin like a link code, or is longer than any.
    #[error("not a link code")]
    NotALinkCode,
    /// A character is none of the code's.
    #[error("group {group} has a character that no link code has")]
    Character {
        /// Which group of eight, from 1; `LL1` is not counted.
        group: usize,
    },
    /// The line was cut or mistyped.
    #[error("the checksum does not fit: the code is cut or mistyped")]
    Checksum,
    /// The code is whole, and of another version.
    #[error("a link code of another version")]
    Version,
    /// The relay URL is empty, too long, or has white space or control characters.
    #[error("a relay URL that no link code can hold")]
    Relay,
}

impl LinkCode {
    /// Puts a secret and a relay URL (with its pin) together.
    ///
    /// # Errors
    /// [`LinkCodeError::Relay`].
    pub fn new(secret: LinkSecret, relay: String) -> Result<Self, LinkCodeError> {
        let fits = (1..=RELAY_MAX).contains(&relay.len())
            && !relay.chars().any(|c| c.is_whitespace() || c.is_control());
        if !fits {
            return Err(LinkCodeError::Relay);
        }
        Ok(Self { secret, relay })
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &LinkSecret {
        &self.secret
    }

    /// The relay URL with its pin.
    #[must_use]
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// Hands both over.
    #[must_use]
    pub fn into_parts(self) -> (LinkSecret, String) {
        (self.secret, self.relay)
    }

    /// The line of text.
    ///
    /// ```
    /// # use rand_core::SeedableRng as _;
    /// use letterlock_keys::link::{LinkCode, LinkSecret};
    /// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    /// let secret = LinkSecret::random(&mut rng);
    /// let code = LinkCode::new(secret, "http://127.0.0.1:7000".into()).unwrap();
    /// let read = LinkCode::from_text(&code.to_text()).unwrap();
    /// assert_eq!(read.relay(), "http://127.0.0.1:7000");
    /// assert_eq!(read.secret().queue_id(), code.secret().queue_id());
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.array(self.secret.0.expose_secret());
        out.array(self.relay.as_bytes());
        let content = SecretBytes::new(out.finish());
        let mut out = Writer::new();
        out.array(content.expose_secret());
        out.array(&check(content.expose_secret()));
        let whole = SecretBytes::new(out.finish());
        let groups = crockford::encode(whole.expose_secret(), GROUP);
        let mut text = Zeroizing::new(String::with_capacity(
            PREFIX.len().saturating_add(groups.len()),
        ));
        text.push_str(PREFIX);
        text.push_str(&groups);
        text
    }

    /// Reads the line. Case, white space and hyphens behind the first make no difference.
    ///
    /// # Errors
    /// [`LinkCodeError`].
    pub fn from_text(text: &str) -> Result<Self, LinkCodeError> {
        let text = text.trim();
        let (prefix, groups) = text
            .split_at_checked(PREFIX.len())
            .filter(|_| text.len() <= TEXT_MAX)
            .ok_or(LinkCodeError::NotALinkCode)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(LinkCodeError::NotALinkCode);
        }
        let (bytes, symbols) =
            crockford::decode(groups).map_err(|unknown| LinkCodeError::Character {
                group: unknown
                    .place
                    .checked_div(GROUP)
                    .unwrap_or_default()
                    .saturating_add(1),
            })?;
        Self::decode(&bytes, symbols)
    }

    fn decode(bytes: &[u8], symbols: usize) -> Result<Self, LinkCodeError> {
        let length = symbols.saturating_mul(5) / 8;
        let (content, sum) = bytes
            .split_at_checked(length)
            .filter(|(_, rest)| rest.iter().all(|byte| *byte == 0))
            .filter(|_| crockford::symbols_of(length) == symbols)
            .and_then(|(whole, _)| whole.split_last_chunk::<CHECK_LEN>())
            .ok_or(LinkCodeError::Checksum)?;
        // SECURITY: a mistyped code never becomes another secret; `every_changed_symbol_is_refused` notices.
        if check(content) != *sum {
            return Err(LinkCodeError::Checksum);
        }
        let mut input = Reader::new(content);
        if input.u8() != Ok(VERSION) {
            return Err(LinkCodeError::Version);
        }
        let secret = input
            .take(16)
            .ok()
            .and_then(Secret::from_slice)
            .ok_or(LinkCodeError::Checksum)?;
        let relay = input
            .take(input.remaining())
            .ok()
            .and_then(|url| str::from_utf8(url).ok())
            .ok_or(LinkCodeError::Relay)?;
        Self::new(LinkSecret(secret), relay.to_owned())
    }
}

/// The first bytes of SHA-256: finds a cut or mistyped line and protects nothing else.
fn check(content: &[u8]) -> [u8; CHECK_LEN] {
    let [a, b, c, d, ..] = sha256(&[label::LINK_CHECK.as_bytes(), &[0], content]);
    [a, b, c, d]
}

/// The new device's promise of its nonce, made before it sees the other one.
///
/// *Formula*: first 32 bytes of `SHA-512(label ‖ 00 ‖ nonce 32 ‖ record)`, with `record` the new device's record as
/// it will stand in the log.
#[must_use]
pub fn commitment(nonce: &[u8; 32], record: &[u8]) -> [u8; 32] {
    let hash = sha512(&[label::LINK_COMMITMENT.as_bytes(), &[0], nonce, record]);
    *first_half(&hash)
}

/// The six digits that both devices show and a person compares.
///
/// *Formula*: `BE8(first 8 bytes of SHA-512(label ‖ 00 ‖ new nonce 32 ‖ old nonce 32 ‖ account id 32 ‖
/// hash of the log's head 64 ‖ record)) mod 1000000`.
///
/// ```
/// use letterlock_keys::{AccountId, link};
/// let account = AccountId::from_bytes([1; 32]);
/// let code = link::pairing_code(&[2; 32], &[3; 32], b"record", &account, &[4; 64]);
/// assert_eq!(code.len(), 6);
/// ```
#[must_use]
pub fn pairing_code(
    new_nonce: &[u8; 32],
    old_nonce: &[u8; 32],
    record: &[u8],
    account: &AccountId,
    head: &[u8; 64],
) -> String {
    let label = label::LINK_PAIRING.as_bytes();
    let account = account.as_bytes();
    let hash = sha512(&[label, &[0], new_nonce, old_nonce, account, head, record]);
    let value = hash
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    format!("{:06}", value % 1_000_000)
}

fn first_half(hash: &[u8; 64]) -> &[u8; 32] {
    hash.first_chunk().unwrap_or(&[0; 32])
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

    /// Computed from docs/spec/linking.md by another program.
    const CODE: &str = "LL1-040020G3-0G2GC1R8-1450P30D-1R7PGX3M-E1SKMBSF-E9JPRRBS-5SJQGRBD-E1P6AEHQ-\
                        6GT368VK-D1GK4D9P-7N0M2GA1-850M2GA1-850M2GA1-850M2GA1-850M2GA1-850M2GA1-850M2GA1-\
                        850M2GA1-850M2GA7-WF4YC";
    const WORDS: &str =
        "abandon amount liar amount expire adjust cage candy arch gather drum buyer";

    fn url() -> String {
        format!("https://relay.example:7443#sha256={}", "A".repeat(43))
    }

    fn secret_of(bytes: [u8; 16]) -> LinkSecret {
        LinkSecret(Secret::from_slice(&bytes).unwrap())
    }

    fn secret() -> LinkSecret {
        secret_of(std::array::from_fn(|place| place as u8))
    }

    fn code() -> LinkCode {
        LinkCode::new(secret(), url()).unwrap()
    }

    fn refused(text: &str) -> LinkCodeError {
        LinkCode::from_text(text).err().unwrap()
    }

    /// The text of any content, with a right checksum.
    fn text_of(content: &[u8]) -> String {
        let whole = [content, &check(content)].concat();
        format!("{PREFIX}{}", *crockford::encode(&whole, GROUP))
    }

    #[test]
    fn both_text_forms_never_change() {
        assert_eq!(code().to_text().as_str(), CODE);
        assert_eq!(secret().to_words().as_str(), WORDS);
        let read = LinkCode::from_text(CODE).unwrap();
        assert!(read.secret().0.ct_eq(&secret().0) && read.relay() == url());
        assert!(LinkSecret::from_words(WORDS).unwrap().0.ct_eq(&secret().0));
    }

    #[test]
    fn what_follows_from_the_secret_never_changes() {
        let hex = |secret: Secret<32>| HEXLOWER.encode(secret.expose_secret());
        assert_eq!(
            HEXLOWER.encode(secret().queue_id().as_bytes()),
            "4e0877243c6a4f51da85eda56cead6a5"
        );
        assert_eq!(
            hex(secret().send_token()),
            "36a83cee99cae4a5f252655e15c6b78449bca35f2ccf2a326acb566f8991f662"
        );
        assert_eq!(
            hex(secret().first_key()),
            "e5a67739930dadc3a54ffc7d5b24b3821cb62252563bddf0aa224f29d1cc4479"
        );
        assert_eq!(
            hex(secret().psk()),
            "dabff862ab8bdfa4ce967ba73c34af5af800a21ffbd2f0fa235e4aa3034a41de"
        );
    }

    #[test]
    fn commitment_and_pairing_code_never_change() {
        assert_eq!(
            HEXLOWER.encode(&commitment(&[2; 32], b"record")),
            "62fd9bb06f27f0d7df0057c367f606b8bfaf7e99e0178b39b02e9c0dd9ab59ee"
        );
        let account = AccountId::from_bytes([1; 32]);
        assert_eq!(
            pairing_code(&[2; 32], &[3; 32], b"record", &account, &[4; 64]),
            "666061"
        );
    }

    #[test]
    fn every_input_changes_commitment_and_pairing_code() {
        let commitments = [
            commitment(&[2; 32], b"record"),
            commitment(&[3; 32], b"record"),
            commitment(&[2; 32], b"recorded"),
        ];
        assert!(commitments[0] != commitments[1] && commitments[0] != commitments[2]);
        let (one, other) = (
            AccountId::from_bytes([1; 32]),
            AccountId::from_bytes([2; 32]),
        );
        let mut codes = vec![
            pairing_code(&[2; 32], &[3; 32], b"record", &one, &[4; 64]),
            pairing_code(&[3; 32], &[2; 32], b"record", &one, &[4; 64]),
            pairing_code(&[9; 32], &[3; 32], b"record", &one, &[4; 64]),
            pairing_code(&[2; 32], &[9; 32], b"record", &one, &[4; 64]),
            pairing_code(&[2; 32], &[3; 32], b"recorded", &one, &[4; 64]),
            pairing_code(&[2; 32], &[3; 32], b"record", &other, &[4; 64]),
            pairing_code(&[2; 32], &[3; 32], b"record", &one, &[5; 64]),
        ];
        assert!(codes.iter().all(|code| code.len() == 6));
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 7);
    }

    #[test]
    fn a_link_code_does_not_look_like_an_address() {
        assert!(!CODE.contains([':', '/', '.', '@', '?', '#', '%']));
        assert!(
            CODE.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        );
    }

    #[test]
    fn case_white_space_and_look_alikes_do_not_matter() {
        let typed = CODE.to_lowercase().replace("-6gt3", " -\n6gt3");
        let begin = typed.split_at(PREFIX.len()).0;
        let typed = format!(
            "  {begin}{}\n",
            typed[4..].replace('0', "o").replace('1', "l")
        );
        let read = LinkCode::from_text(&typed).unwrap();
        assert_eq!(read.to_text().as_str(), CODE);
    }

    #[test]
    fn every_changed_symbol_is_refused() {
        for (place, symbol) in CODE.char_indices().skip(PREFIX.len()) {
            if symbol == '-' {
                continue;
            }
            let other = if symbol == '7' { "8" } else { "7" };
            let mut changed = CODE.to_owned();
            changed.replace_range(place..=place, other);
            assert_eq!(refused(&changed), LinkCodeError::Checksum, "{place}");
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        for length in 0..CODE.len() {
            let error = refused(&CODE[..length]);
            let expected = match length {
                0..4 => LinkCodeError::NotALinkCode,
                _ => LinkCodeError::Checksum,
            };
            // A hyphen at the end is no symbol.
            assert_eq!(error, expected, "{length}");
        }
        for more in ["0", "00", "Z", "-00000000"] {
            assert_eq!(refused(&format!("{CODE}{more}")), LinkCodeError::Checksum);
        }
    }

    #[test]
    fn a_character_that_does_not_exist_is_named_by_its_group() {
        assert_eq!(
            refused(&CODE.replace("040020G3", "04U020G3")),
            LinkCodeError::Character { group: 1 }
        );
        assert_eq!(
            refused(&CODE.replace("WF4YC", "WF4Y/")),
            LinkCodeError::Character { group: 20 }
        );
    }

    #[test]
    fn other_lines_are_no_link_codes() {
        for text in [
            "",
            "LL",
            "LL2-0000",
            "letterlock:AQ",
            "https://relay.example",
            "ĿĿ1-",
        ] {
            assert_eq!(refused(text), LinkCodeError::NotALinkCode, "{text}");
        }
        let long = format!("{PREFIX}{}", "0".repeat(TEXT_MAX));
        assert_eq!(refused(&long), LinkCodeError::NotALinkCode);
    }

    #[test]
    fn other_versions_and_foreign_addresses_are_refused() {
        let content = |version: u8, url: &[u8]| [&[version], &[7; 16][..], url].concat();
        assert_eq!(
            refused(&text_of(&content(2, b"http://x"))),
            LinkCodeError::Version
        );
        assert_eq!(refused(&text_of(&[])), LinkCodeError::Version);
        assert_eq!(refused(&text_of(&[1; 16])), LinkCodeError::Checksum);
        assert!(LinkCode::from_text(&text_of(&content(1, b"http://x"))).is_ok());
        let long = [b'a'; RELAY_MAX + 1];
        for url in [&b""[..], b"http://x y", b"http://x\n", b"\xff", &long] {
            assert_eq!(refused(&text_of(&content(1, url))), LinkCodeError::Relay);
        }
        let longest = "a".repeat(RELAY_MAX);
        assert!(LinkCode::from_text(&text_of(&content(1, longest.as_bytes()))).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(64)
        })]

        #[test]
        fn secrets_come_back_from_both_forms(bytes: [u8; 16], relay in "[!-~]{1,256}") {
            let words = secret_of(bytes).to_words();
            prop_assert!(LinkSecret::from_words(&words).unwrap().0.ct_eq(&secret_of(bytes).0));
            let code = LinkCode::new(secret_of(bytes), relay.clone()).unwrap();
            let (secret, read) = LinkCode::from_text(&code.to_text()).unwrap().into_parts();
            prop_assert!(secret.0.ct_eq(&secret_of(bytes).0));
            prop_assert_eq!(read, relay);
        }

        #[test]
        fn foreign_texts_do_not_panic(text: String) {
            let _ = LinkCode::from_text(&text);
            let _ = LinkCode::from_text(&format!("{PREFIX}{text}"));
            let _ = LinkSecret::from_words(&text);
        }
    }
}
