//! The header (docs/spec/age.md, section 1).
//!
//! ```text
//!  bytes ─read─► UnverifiedHeader ─unwrap(opener)─► FileKey ─verify─► VerifiedHeader ─► payload key
//!                                   (stanza opens)          (mac holds)
//! ```

use super::identity::Opener;
use super::recipient::Recipient;
use super::stanza::{Stanza, StanzaKind};
use crate::lock::HeaderError;
use data_encoding::BASE64_NOPAD;
use keys::{Secret, ct_eq, hkdf_sha256, hmac_sha256, label};
use rand_core::CryptoRng;
use std::io::BufRead;

/// How every file begins.
pub const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// What every version begins with.
const ANY_VERSION: &[u8] = b"age-encryption.org/";
/// Most bytes of a header.
const HEADER: usize = 4 << 20;
/// Columns of a whole line of a body.
const COLUMNS: usize = 64;
const MAC: usize = 32;
const NONCE: usize = 16;
const FOOTER: &[u8] = b"---";

/// What all keys of a file come from.
pub struct FileKey(Secret<16>);

impl FileKey {
    /// Takes one that another process unwrapped.
    #[must_use]
    pub fn from_secret(secret: Secret<16>) -> Self {
        Self(secret)
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Secret::from_slice(bytes).map(Self)
    }

    /// The key, for another process of the same person.
    #[must_use]
    pub fn secret(&self) -> &Secret<16> {
        &self.0
    }
}

/// A header as it was read: nothing in it is known to be true.
pub struct UnverifiedHeader {
    bytes: Vec<u8>,
    /// How many of the bytes the mac covers.
    covered: usize,
    mac: [u8; MAC],
    nonce: [u8; NONCE],
    stanzas: Vec<Stanza>,
}

/// A header that its file key vouches for (I9).
pub struct VerifiedHeader {
    bytes: Vec<u8>,
    payload: Secret<32>,
}

fn mac(file_key: &FileKey, covered: &[u8]) -> [u8; MAC] {
    let info = label::AGE_HEADER.as_bytes();
    let key: Secret<32> = hkdf_sha256(&[], &[file_key.0.expose_secret()], &[info]);
    hmac_sha256(key.expose_secret(), &[covered])
}

fn payload_key(file_key: &FileKey, nonce: &[u8; NONCE]) -> Secret<32> {
    let info = label::AGE_PAYLOAD.as_bytes();
    hkdf_sha256(nonce, &[file_key.0.expose_secret()], &[info])
}

impl VerifiedHeader {
    /// Begins a file: draws its key and wraps it for each recipient.
    ///
    /// # Errors
    /// [`HeaderError::Recipients`], [`HeaderError::Mixed`], [`HeaderError::Unusable`].
    pub fn create(recipients: &[Recipient], rng: &mut dyn CryptoRng) -> Result<Self, HeaderError> {
        let max = HEADER / 2048;
        if recipients.is_empty() || recipients.len() > max {
            return Err(HeaderError::Recipients { max });
        }
        let post_quantum = recipients.iter().filter(|to| to.is_post_quantum()).count();
        let passphrase = recipients
            .iter()
            .any(|to| matches!(to, Recipient::Passphrase(_)));
        // SECURITY: a quantum computer opens by the weakest, and a passphrase says that nobody else wrote the file:
        // `what_the_format_keeps_apart_is_not_mixed` notices.
        if (post_quantum != 0 && post_quantum != recipients.len())
            || (passphrase && recipients.len() > 1)
        {
            return Err(HeaderError::Mixed);
        }
        let file_key = FileKey(Secret::random(rng));
        let mut text = String::from_utf8_lossy(MAGIC).into_owned();
        for recipient in recipients {
            Stanza::wrap(recipient, &file_key, rng)?.write(&mut text);
        }
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(FOOTER);
        let mac = mac(&file_key, &bytes);
        bytes.push(b' ');
        bytes.extend_from_slice(BASE64_NOPAD.encode(&mac).as_bytes());
        bytes.push(b'\n');
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        bytes.extend_from_slice(&nonce);
        let payload = payload_key(&file_key, &nonce);
        Ok(Self { bytes, payload })
    }

    /// The bytes, as they stand at the head of the file: with the nonce of the payload.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key of the payload.
    pub(crate) fn payload_key(&self) -> &Secret<32> {
        &self.payload
    }
}

/// Reads a line up to its LF and appends it to `bytes`; where it begins there.
fn line(input: &mut impl BufRead, bytes: &mut Vec<u8>) -> Result<usize, HeaderError> {
    let start = bytes.len();
    let room = HEADER.saturating_sub(start) as u64;
    let mut limited = std::io::Read::take(&mut *input, room);
    limited
        .read_until(b'\n', bytes)
        .map_err(HeaderError::Read)?;
    match bytes.get(start..) {
        Some([.., b'\n']) => Ok(start),
        _ => Err(HeaderError::Damaged),
    }
}

fn text(bytes: &[u8], start: usize) -> &[u8] {
    let line = bytes.get(start..).unwrap_or_default();
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The body of a stanza: whole lines, and a shorter one at the end.
fn body(input: &mut impl BufRead, bytes: &mut Vec<u8>) -> Result<Vec<u8>, HeaderError> {
    let mut body = Vec::new();
    loop {
        let start = line(input, bytes)?;
        let text = text(bytes, start);
        let piece = BASE64_NOPAD
            .decode(text)
            .map_err(|_| HeaderError::Damaged)?;
        body.extend_from_slice(&piece);
        match text.len() {
            0..COLUMNS => return Ok(body),
            COLUMNS => {}
            _ => return Err(HeaderError::Damaged),
        }
    }
}

fn arguments(line: &[u8]) -> Option<Vec<&str>> {
    let line = line.strip_prefix(b"-> ")?;
    let visible = |byte: &u8| (33..=126).contains(byte) || *byte == b' ';
    let text = std::str::from_utf8(line)
        .ok()
        .filter(|_| line.iter().all(visible))?;
    let arguments: Vec<&str> = text.split(' ').collect();
    (!arguments.iter().any(|argument| argument.is_empty())).then_some(arguments)
}

impl UnverifiedHeader {
    /// Reads a header, with the nonce of the payload, and nothing after it.
    ///
    /// # Errors
    /// [`HeaderError::NotSealed`], [`HeaderError::Newer`], [`HeaderError::Damaged`], [`HeaderError::Read`].
    pub fn read(input: &mut impl BufRead) -> Result<Self, HeaderError> {
        let mut bytes = Vec::new();
        let first = line(input, &mut bytes).map(|_| ());
        if bytes != MAGIC {
            return Err(match (first, bytes.starts_with(ANY_VERSION)) {
                (Err(HeaderError::Read(error)), _) => HeaderError::Read(error),
                (Ok(()), true) => HeaderError::Newer,
                _ => HeaderError::NotSealed,
            });
        }
        let mut stanzas = Vec::new();
        let (covered, mac) = loop {
            let start = line(input, &mut bytes)?;
            if let Some(mac) = text(&bytes, start).strip_prefix(FOOTER) {
                let mac = mac
                    .strip_prefix(b" ")
                    .and_then(|mac| BASE64_NOPAD.decode(mac).ok());
                let mac = mac.and_then(|mac| mac.try_into().ok());
                break (
                    start.saturating_add(FOOTER.len()),
                    mac.ok_or(HeaderError::Damaged)?,
                );
            }
            let head = text(&bytes, start).to_vec();
            let arguments = arguments(&head).ok_or(HeaderError::Damaged)?;
            let body = body(input, &mut bytes)?;
            stanzas.push(Stanza::new(&arguments, body).ok_or(HeaderError::Damaged)?);
        };
        let passphrases = stanzas
            .iter()
            .filter(|stanza| matches!(stanza, Stanza::Scrypt { .. }));
        // SECURITY: each passphrase costs up to 4 GiB, and one among others says nothing about who wrote the file;
        // `the_vectors_replay` notices.
        if stanzas.is_empty() || (passphrases.count() > 0 && stanzas.len() > 1) {
            return Err(HeaderError::Damaged);
        }
        let mut nonce = [0; NONCE];
        input
            .read_exact(&mut nonce)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => HeaderError::Damaged,
                _ => HeaderError::Read(error),
            })?;
        bytes.extend_from_slice(&nonce);
        Ok(Self {
            bytes,
            covered,
            mac,
            nonce,
            stanzas,
        })
    }

    /// What its stanzas show to everybody.
    pub fn stanzas(&self) -> impl Iterator<Item = StanzaKind> {
        self.stanzas.iter().map(Stanza::kind)
    }

    /// The bytes, as they stand at the head of the file: with the nonce of the payload.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file key, if `opener` opens a stanza. Nothing: the file is not for it.
    ///
    /// # Errors
    /// [`HeaderError::Changed`]: a stanza opens, and the mac does not hold; [`HeaderError::Damaged`]: a stanza holds
    /// what no sealer writes; [`HeaderError::Unusable`]: a passphrase needs more memory than there is.
    pub fn unwrap_key(&self, opener: Opener<'_>) -> Result<Option<FileKey>, HeaderError> {
        let mut changed = false;
        for stanza in &self.stanzas {
            let Some(key) = stanza.open(opener)? else {
                continue;
            };
            if self.holds(&key) {
                return Ok(Some(key));
            }
            changed = true;
        }
        match changed {
            true => Err(HeaderError::Changed),
            false => Ok(None),
        }
    }

    fn holds(&self, key: &FileKey) -> bool {
        let covered = self.bytes.get(..self.covered).unwrap_or_default();
        ct_eq(&mac(key, covered), &self.mac)
    }

    /// Checks the header against a file key.
    ///
    /// # Errors
    /// [`HeaderError::Changed`].
    pub fn verify(self, key: &FileKey) -> Result<VerifiedHeader, HeaderError> {
        // SECURITY: stanzas are not to be exchanged; `every_flip_and_every_cut_is_refused` notices.
        if !self.holds(key) {
            return Err(HeaderError::Changed);
        }
        let payload = payload_key(key, &self.nonce);
        Ok(VerifiedHeader {
            bytes: self.bytes,
            payload,
        })
    }
}
