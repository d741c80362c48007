//! Whom a file is sealed for.

use super::bech32;
use super::ssh::SshPublic;
use keys::hpke::EnvelopePublic;
use keys::{SecretBytes, Suite, X25519Public};
use std::fmt;
use std::str::FromStr;

const X25519: &str = "age";
const HYBRID: &str = "age1pq";

/// For whom a file is sealed.
pub enum Recipient {
    /// Whoever has the secret of this key of X-Wing: `age1pq1...`.
    Hybrid(EnvelopePublic),
    /// Whoever has the secret of this key: `age1...`.
    X25519(X25519Public),
    /// Whoever has this key of OpenSSH.
    Ssh(SshPublic),
    /// Whoever knows this passphrase. It is alone in a file.
    Passphrase(SecretBytes),
}

/// The string is no recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// Neither `age1...` nor a public key of OpenSSH.
    #[error("neither age1... nor a line of an ssh-ed25519 or ssh-rsa key")]
    Unknown,
    /// It begins as one, and a character is missing or wrong.
    #[error("a character of the recipient is missing or wrong")]
    Malformed,
    /// Nothing can be sealed to it.
    #[error("nothing can be sealed to this key")]
    Unusable,
}

impl Recipient {
    /// Whether a string is meant as a recipient, and not as somebody's name.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        // No name has this length by chance.
        (text.starts_with("age1") && text.len() > 50)
            || ["ssh-ed25519 ", "ssh-rsa "]
                .iter()
                .any(|kind| text.starts_with(kind))
    }

    /// Whether a quantum computer leaves it as it is.
    pub(crate) fn is_post_quantum(&self) -> bool {
        matches!(self, Self::Hybrid(_))
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.starts_with("age1pq1") {
            let bytes = bech32::decode(HYBRID, text).ok_or(RecipientError::Malformed)?;
            let key = EnvelopePublic::from_bytes(Suite::Hybrid, &bytes);
            let key = key.map_err(|_| RecipientError::Malformed)?;
            return Ok(Self::Hybrid(key));
        }
        if text.starts_with("age1") {
            let bytes = bech32::decode(X25519, text).ok_or(RecipientError::Malformed)?;
            let bytes: &[u8; 32] = bytes
                .as_slice()
                .try_into()
                .map_err(|_| RecipientError::Malformed)?;
            let key = X25519Public(*bytes);
            return Ok(Self::X25519(key));
        }
        match text.starts_with("ssh-") {
            true => SshPublic::of_line(text)
                .map(Self::Ssh)
                .ok_or(RecipientError::Malformed),
            false => Err(RecipientError::Unknown),
        }
    }
}

/// The string; of a passphrase, that it is one.
impl fmt::Display for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hybrid(key) => out.write_str(&bech32::encode(HYBRID, key.as_bytes())),
            Self::X25519(key) => out.write_str(&bech32::encode(X25519, key.as_bytes())),
            Self::Ssh(key) => out.write_str(&key.line()),
            Self::Passphrase(_) => out.write_str("a passphrase"),
        }
    }
}
