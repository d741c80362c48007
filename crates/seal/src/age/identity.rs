//! What opens a file.

use super::recipient::Recipient;
use super::ssh::{SshError, SshSecret};
use super::{MAGIC, armor, bech32};
use keys::hpke::EnvelopeSecret;
use keys::{Secret, SecretBytes, Suite, X25519Secret};
use zeroize::Zeroizing;

const X25519: &str = "AGE-SECRET-KEY-";
const HYBRID: &str = "AGE-SECRET-KEY-PQ-";
/// Most identities of a file: each is tried with each stanza.
const IDENTITIES: usize = 1000;

/// A secret that opens what was sealed for its recipient.
pub enum Identity {
    /// A key of X-Wing: `AGE-SECRET-KEY-PQ-1...`.
    Hybrid(EnvelopeSecret),
    /// A key of X25519: `AGE-SECRET-KEY-1...`.
    X25519(X25519Secret),
    /// A key of OpenSSH.
    Ssh(SshSecret),
}

/// What may open a file.
#[derive(Clone, Copy)]
pub enum Opener<'a> {
    /// An identity.
    Identity(&'a Identity),
    /// A key of X-Wing that is no identity by itself.
    Key(&'a EnvelopeSecret),
    /// A passphrase.
    Passphrase(&'a SecretBytes),
}

/// Why a file of identities was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is none in it.
    #[error("there is no identity in it")]
    Empty,
    /// More than any person has.
    #[error("there are more than {IDENTITIES} identities in it")]
    TooMany,
    /// A line is none.
    #[error("line {line} is no identity")]
    Malformed {
        /// Which, from 1 on.
        line: usize,
    },
    /// A private key of OpenSSH that cannot be read.
    #[error("its SSH key is damaged, or neither ssh-ed25519 nor ssh-rsa")]
    Ssh,
    /// A passphrase is on it.
    #[error("it is encrypted under a passphrase")]
    Encrypted,
}

/// All identities of a file.
pub struct Identities(Vec<Identity>);

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1...` or `AGE-SECRET-KEY-1...`.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        if let Some(seed) = bech32::decode(HYBRID, text) {
            let seed = SecretBytes::from(seed.as_slice());
            let key = EnvelopeSecret::from_seed(Suite::Hybrid, seed).ok()?;
            return Some(Self::Hybrid(key));
        }
        let bytes = bech32::decode(X25519, text)?;
        let key = X25519Secret::from_secret(&Secret::from_slice(&bytes)?);
        Some(Self::X25519(key))
    }

    /// The text of it; nothing for a key of OpenSSH.
    #[must_use]
    pub fn text(&self) -> Option<Zeroizing<String>> {
        let (prefix, bytes) = match self {
            Self::Hybrid(key) => (HYBRID, key.seed().expose_secret()),
            Self::X25519(key) => (X25519, &key.secret().expose_secret()[..]),
            Self::Ssh(_) => return None,
        };
        let mut text = bech32::encode(&prefix.to_ascii_lowercase(), bytes);
        text.make_ascii_uppercase();
        Some(text)
    }

    /// Whom to seal for, so that this opens it.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        match self {
            Self::Hybrid(key) => Recipient::Hybrid(key.public().clone()),
            Self::X25519(key) => Recipient::X25519(key.public()),
            Self::Ssh(key) => Recipient::Ssh(key.public().clone()),
        }
    }
}

impl Identities {
    /// Reads a file: one identity a line, with empty lines and comments that begin with `#`; or a private key of
    /// OpenSSH.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn of_text(text: &str) -> Result<Self, IdentityError> {
        if SshSecret::begins(text) {
            let key = SshSecret::of_text(text).map_err(|error| match error {
                SshError::Malformed => IdentityError::Ssh,
                SshError::Encrypted => IdentityError::Encrypted,
            })?;
            return Ok(Self(vec![Identity::Ssh(key)]));
        }
        if text.as_bytes().starts_with(MAGIC) || armor::begins(text.as_bytes()) {
            return Err(IdentityError::Encrypted);
        }
        let mut all = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line_text = line.trim();
            if line_text.is_empty() || line_text.starts_with('#') {
                continue;
            }
            let identity = Identity::of_text(line_text);
            all.push(identity.ok_or(IdentityError::Malformed { line: number })?);
        }
        match all.len() {
            0 => Err(IdentityError::Empty),
            1..=IDENTITIES => Ok(Self(all)),
            _ => Err(IdentityError::TooMany),
        }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }
}

impl IntoIterator for Identities {
    type Item = Identity;
    type IntoIter = std::vec::IntoIter<Identity>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
