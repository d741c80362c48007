//! The link of what is given to whoever has the link: where it lies, and all that opens it (docs/spec/give.md, section 6).

use crate::codec::{Reader, Writer};
use crate::give::RELAY_MAX;
use crate::kdf::{hkdf_sha512, sha256};
use crate::label::{self, Label};
use crate::pake::TransferKeys;
use crate::secret::{Secret, SecretBytes};
use crate::{BlobId, QueueId, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const VERSION: u8 = 2;
const CHECK_LEN: usize = 4;
/// Longest text that is looked at, in bytes.
const TEXT_MAX: usize = 1024;

/// What everything of a link follows from: 32 random bytes.
pub struct LinkSecret(Secret<32>);

/// A link: the secret, and what lies at the relay.
pub struct GiveLink {
    /// What everything else follows from.
    pub secret: LinkSecret,
    /// Bytes at the relay.
    pub length: u64,
    /// SHA-256 of the header of the sealed file.
    pub header: [u8; 32],
    /// When it is over: the relay has nothing of it from then on.
    pub expires: Timestamp,
    /// The relay's URL with its pin.
    pub relay: String,
}

/// Why a text is no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GiveLinkError {
    /// There is no fragment, or it is none of a link.
    #[error("this is no link of `letterlock give --link`")]
    NotALink,
    /// It was cut or mistyped.
    #[error("the checksum does not fit: the link is cut or mistyped")]
    Checksum,
    /// It is whole, and of another version.
    #[error("a link of another version")]
    Version,
}

impl LinkSecret {
    /// Draws a secret.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Where it lies.
    #[must_use]
    pub fn blob(&self) -> BlobId {
        BlobId::from_bytes(*self.expand::<16>(label::GIVE_LINK_BLOB).expose_secret())
    }

    /// What allows to read it.
    #[must_use]
    pub fn read_token(&self) -> Secret<32> {
        self.expand(label::GIVE_LINK_READ)
    }

    /// The seed of the X-Wing key that it is sealed to.
    #[must_use]
    pub fn recipient(&self) -> Secret<32> {
        self.expand(label::GIVE_LINK_RECIPIENT)
    }

    /// Where the giver is heard.
    #[must_use]
    pub fn queue_id(&self) -> QueueId {
        QueueId::from_bytes(*self.expand::<16>(label::GIVE_LINK_QUEUE).expose_secret())
    }

    /// What allows to write there.
    #[must_use]
    pub fn send_token(&self) -> Secret<32> {
        self.expand(label::GIVE_LINK_SEND)
    }

    /// The keys of whoever takes; with `giver` those of the other side.
    #[must_use]
    pub fn keys(&self, giver: bool) -> TransferKeys {
        let (taker_key, giver_key) = (
            self.expand(label::GIVE_LINK_TAKER),
            self.expand(label::GIVE_LINK_GIVER),
        );
        match giver {
            true => TransferKeys::new(giver_key, taker_key),
            false => TransferKeys::new(taker_key, giver_key),
        }
    }

    /// Names what is kept of a transfer that was begun.
    #[must_use]
    pub fn state_name(&self) -> [u8; 32] {
        *self.expand::<32>(label::GIVE_LINK_STATE).expose_secret()
    }

    /// `HKDF-SHA-512(salt none, ikm secret, info label)`.
    fn expand<const N: usize>(&self, label: Label) -> Secret<N> {
        hkdf_sha512(&[], &[self.0.expose_secret()], &[label.as_bytes()])
    }
}

impl GiveLink {
    /// What stands behind the `#` of the URL.
    ///
    /// *Shape*: base64url without padding of `02 ‖ secret 32 ‖ BE8(length) ‖ header 32 ‖ BE8(expires) ‖ relay URL ‖ check 4`.
    #[must_use]
    pub fn to_fragment(&self) -> Zeroizing<String> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.array(self.secret.0.expose_secret());
        out.u64(self.length);
        out.array(&self.header);
        out.u64(self.expires.as_secs());
        out.array(self.relay.as_bytes());
        let content = SecretBytes::new(out.finish());
        let mut out = Writer::new();
        out.array(content.expose_secret());
        out.array(&check(content.expose_secret()));
        let whole = SecretBytes::new(out.finish());
        let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
        BASE64URL_NOPAD.encode_append(whole.expose_secret(), &mut text);
        text
    }

    /// Reads a URL with its fragment, or the fragment alone.
    ///
    /// # Errors
    /// [`GiveLinkError`].
    pub fn from_text(text: &str) -> Result<Self, GiveLinkError> {
        let text = text.trim();
        if text.len() > TEXT_MAX {
            return Err(GiveLinkError::NotALink);
        }
        let fragment = text.split_once('#').map_or(text, |(_, fragment)| fragment);
        let bytes = BASE64URL_NOPAD.decode(fragment.as_bytes());
        let bytes = SecretBytes::new(bytes.map_err(|_| GiveLinkError::NotALink)?);
        let (content, sum) = bytes
            .expose_secret()
            .split_last_chunk::<CHECK_LEN>()
            .ok_or(GiveLinkError::NotALink)?;
        if check(content) != *sum {
            return Err(GiveLinkError::Checksum);
        }
        let mut input = Reader::new(content);
        if input.u8() != Ok(VERSION) {
            return Err(GiveLinkError::Version);
        }
        Self::read(&mut input).ok_or(GiveLinkError::NotALink)
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let secret = LinkSecret(Secret::from_slice(input.take(32).ok()?)?);
        let length = input.u64().ok()?;
        let header = input.array().ok()?;
        let expires = Timestamp::from_secs(input.u64().ok()?);
        let relay = input.take(input.remaining()).ok()?;
        let relay = std::str::from_utf8(relay).ok()?;
        let fits = (1..=RELAY_MAX).contains(&relay.len())
            && !relay.chars().any(|c| c.is_whitespace() || c.is_control());
        fits.then(|| Self {
            secret,
            length,
            header,
            expires,
            relay: relay.to_owned(),
        })
    }
}

/// It finds a cut or mistyped link, and protects nothing else.
fn check(content: &[u8]) -> [u8; CHECK_LEN] {
    let hash = sha256(&[label::GIVE_LINK_CHECK.as_bytes(), &[0], content]);
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
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
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn link() -> GiveLink {
        GiveLink {
            secret: LinkSecret(Secret::from_fn(|out| {
                *out = std::array::from_fn(|at| u8::try_from(at).unwrap());
            })),
            length: 4096,
            header: [7; 32],
            expires: Timestamp::from_secs(1_800_000_000),
            relay: "http://127.0.0.1:8440".to_owned(),
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let link = link();
        let fragment = link.to_fragment();
        for text in [
            fragment.to_string(),
            format!(" http://127.0.0.1:7465/#{}\n", *fragment),
        ] {
            let read = GiveLink::from_text(&text).unwrap();
            assert_eq!((read.length, read.header), (link.length, link.header));
            assert_eq!(read.expires, link.expires);
            assert_eq!(read.relay, link.relay);
            assert_eq!(read.secret.state_name(), link.secret.state_name());
        }
    }

    #[test]
    fn cut_and_changed_links_are_refused() {
        let fragment = link().to_fragment();
        let url = format!("http://127.0.0.1:7465/#{}", *fragment);
        for end in 0..fragment.len() {
            assert!(GiveLink::from_text(&fragment[..end]).is_err(), "{end}");
            // What stands before the `#` is the page, and says nothing of what is given.
            let at = url.len() - fragment.len() + end;
            for (text, place) in [(fragment.as_str(), end), (&url, at)] {
                for bit in 0..8 {
                    let mut changed = text.as_bytes().to_vec();
                    changed[place] ^= 1 << bit;
                    let changed = String::from_utf8_lossy(&changed);
                    assert!(GiveLink::from_text(&changed).is_err(), "{end} {bit}");
                }
            }
        }
        let no_relay = GiveLink {
            relay: String::new(),
            ..link()
        };
        let spaced = GiveLink {
            relay: "http://a b".to_owned(),
            ..link()
        };
        for link in [no_relay, spaced] {
            let read = GiveLink::from_text(&link.to_fragment());
            assert_eq!(read.err(), Some(GiveLinkError::NotALink));
        }
        assert!(GiveLink::from_text("4821-guitar-banana-mouse").is_err());
        assert!(GiveLink::from_text("").is_err());
    }

    #[test]
    fn whoever_takes_and_whoever_gives_understand_each_other() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = LinkSecret::random(&mut rng);
        let (taker, giver) = (secret.keys(false), secret.keys(true));
        let queue = secret.queue_id();
        let sealed = taker.seal(&queue, b"done", &mut rng);
        assert_eq!(*giver.open(&queue, &sealed).unwrap(), b"done");
        assert!(taker.open(&queue, &sealed).is_err());
    }

    /// The values of docs/spec/give.md, section 7.
    #[test]
    fn link_values_are_those_of_the_specification() {
        let page = include_str!("../../../docs/spec/give.md");
        let link = link();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        for (name, value) in [
            ("fragment", link.to_fragment().to_string()),
            ("blob id", hex(link.secret.blob().as_bytes())),
            ("read token", hex(link.secret.read_token().expose_secret())),
            (
                "recipient seed",
                hex(link.secret.recipient().expose_secret()),
            ),
            (
                "queue id of the link",
                hex(link.secret.queue_id().as_bytes()),
            ),
            (
                "its send token",
                hex(link.secret.send_token().expose_secret()),
            ),
        ] {
            let row = format!("| {name} | `{value}` |");
            assert!(page.contains(&row), "{row}");
        }
    }
}
