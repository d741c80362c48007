//! Keys of OpenSSH: `ssh-ed25519` and `ssh-rsa`, the lines of public keys and files of private ones (PROTOCOL.key).

use data_encoding::{BASE64, BASE64_NOPAD};
use keys::codec::Reader;
use keys::rsa::{RsaPublic, RsaSecret};
use keys::{Secret, SecretBytes, X25519Public, X25519Secret, ed25519, sha256};
use zeroize::Zeroizing;

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
/// Most bytes of a number, a name or a comment.
const FIELD: usize = 16 << 10;

/// A public key of OpenSSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshPublic {
    /// As OpenSSH encodes it.
    blob: Vec<u8>,
    key: Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Ed25519 { x25519: X25519Public },
    Rsa(RsaPublic),
}

/// A private key of OpenSSH.
pub struct SshSecret {
    public: SshPublic,
    key: Private,
}

enum Private {
    Ed25519(X25519Secret),
    Rsa(RsaSecret),
}

/// Why a file of OpenSSH was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SshError {
    /// Not of this form, or of another kind.
    Malformed,
    /// Under a passphrase.
    Encrypted,
}

/// A positive number of RFC 4251: no more leading zeros than it needs.
fn number<'a>(input: &mut Reader<'a>) -> Option<&'a [u8]> {
    let bytes = input.bytes(FIELD).ok()?;
    match bytes {
        [0, rest @ ..] => rest
            .first()
            .is_some_and(|byte| byte & 0x80 != 0)
            .then_some(rest),
        [first, ..] => (first & 0x80 == 0).then_some(bytes),
        [] => None,
    }
}

impl SshPublic {
    /// Reads what OpenSSH writes into `.pub` files: kind, Base64, a comment.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (kind, text) = (words.next()?, words.next()?);
        // OpenSSH writes padding; some leave it out.
        let blob = match text.ends_with('=') || text.len().is_multiple_of(4) {
            true => BASE64.decode(text.as_bytes()),
            false => BASE64_NOPAD.decode(text.as_bytes()),
        };
        Self::of_blob(&blob.ok()?).filter(|key| key.kind() == kind)
    }

    fn of_blob(blob: &[u8]) -> Option<Self> {
        let mut input = Reader::new(blob);
        let kind = input.bytes(FIELD).ok()?;
        let key = if kind == ED25519.as_bytes() {
            let bytes: &[u8; 32] = input.bytes(32).ok()?.try_into().ok()?;
            let x25519 = ed25519::x25519_public(bytes)?;
            Public::Ed25519 { x25519 }
        } else if kind == RSA.as_bytes() {
            let (exponent, modulus) = (number(&mut input)?, number(&mut input)?);
            Public::Rsa(RsaPublic::new(modulus, exponent).ok()?)
        } else {
            return None;
        };
        let blob = blob.to_vec();
        (input.remaining() == 0).then_some(Self { blob, key })
    }

    fn kind(&self) -> &'static str {
        match self.key {
            Public::Ed25519 { .. } => ED25519,
            Public::Rsa(_) => RSA,
        }
    }

    /// As OpenSSH encodes it.
    pub(crate) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What a stanza names the key by.
    pub(crate) fn tag(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256(&[&self.blob]);
        [a, b, c, d]
    }

    /// The X25519 key of an Ed25519 key.
    pub(crate) fn x25519(&self) -> Option<&X25519Public> {
        match &self.key {
            Public::Ed25519 { x25519 } => Some(x25519),
            Public::Rsa(_) => None,
        }
    }

    /// An RSA key.
    pub(crate) fn rsa(&self) -> Option<&RsaPublic> {
        match &self.key {
            Public::Rsa(key) => Some(key),
            Public::Ed25519 { .. } => None,
        }
    }

    /// The line, without a comment.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.kind(), BASE64.encode(&self.blob))
    }
}

impl SshSecret {
    /// Whether a text is a private key of OpenSSH, whether or not it can be read.
    pub(crate) fn begins(text: &str) -> bool {
        text.trim_start().starts_with(BEGIN)
    }

    /// Reads a private key that is under no passphrase.
    pub(crate) fn of_text(text: &str) -> Result<Self, SshError> {
        let inside = text.trim().strip_prefix(BEGIN);
        let inside = inside.and_then(|inside| inside.strip_suffix(END));
        let inside = inside.ok_or(SshError::Malformed)?;
        let letters = inside.bytes().filter(|byte| !byte.is_ascii_whitespace());
        let letters = Zeroizing::new(letters.collect::<Vec<u8>>());
        let bytes = BASE64.decode(&letters).map_err(|_| SshError::Malformed)?;
        let bytes = Zeroizing::new(bytes);
        let bytes = bytes.strip_prefix(MAGIC).ok_or(SshError::Malformed)?;
        let mut input = Reader::new(bytes);
        let mut next = || input.bytes(FIELD).map_err(|_| SshError::Malformed);
        let (cipher, kdf, options) = (next()?, next()?, next()?);
        if cipher != b"none" || kdf != b"none" || !options.is_empty() {
            return Err(SshError::Encrypted);
        }
        Self::of_blobs(&mut input).ok_or(SshError::Malformed)
    }

    fn of_blobs(input: &mut Reader<'_>) -> Option<Self> {
        if input.u32().ok()? != 1 {
            return None;
        }
        let public = SshPublic::of_blob(input.bytes(FIELD).ok()?)?;
        let mut secret = Reader::new(input.bytes(4 * FIELD).ok()?);
        let same = secret.u32().ok()? == secret.u32().ok()?;
        let kind = secret.bytes(FIELD).ok()?;
        if !same || input.remaining() != 0 || kind != public.kind().as_bytes() {
            return None;
        }
        let key = match &public.key {
            Public::Ed25519 { x25519 } => {
                let _public = secret.bytes(32).ok()?;
                let (seed, _) = secret.bytes(64).ok()?.split_first_chunk::<32>()?;
                let key = ed25519::x25519_secret(&Secret::from_slice(seed)?);
                Private::Ed25519((key.public() == *x25519).then_some(key)?)
            }
            Public::Rsa(public) => {
                let (modulus, exponent) = (number(&mut secret)?, number(&mut secret)?);
                let private = SecretBytes::from(number(&mut secret)?);
                // The inverse and both primes: they would only make it faster.
                for _ in 0..3 {
                    number(&mut secret)?;
                }
                let same = modulus == public.modulus() && exponent == public.exponent();
                let key = RsaSecret::new(public.clone(), private);
                Private::Rsa(same.then_some(key)?)
            }
        };
        let _comment = secret.bytes(FIELD).ok()?;
        let padding = secret.take(secret.remaining()).ok()?;
        let good = padding
            .iter()
            .zip(1_u8..)
            .all(|(byte, number)| *byte == number);
        (good && padding.len() < 16).then_some(Self { public, key })
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &SshPublic {
        &self.public
    }

    /// The X25519 key of an Ed25519 key.
    pub(crate) fn x25519(&self) -> Option<&X25519Secret> {
        match &self.key {
            Private::Ed25519(key) => Some(key),
            Private::Rsa(_) => None,
        }
    }

    /// An RSA key.
    pub(crate) fn rsa(&self) -> Option<&RsaSecret> {
        match &self.key {
            Private::Rsa(key) => Some(key),
            Private::Ed25519(_) => None,
        }
    }
}
