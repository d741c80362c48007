//! The header (docs/spec/sealed-file.md, section 1).
//!
//! ```text
//!  bytes ─read─► UnverifiedHeader ─unwrap(opener)─► FileKey ─verify─► VerifiedHeader ─► payload key
//!                                   (stanza opens)          (mac holds)
//! ```

use keys::codec::{Reader, Writer};
use keys::hpke::{self, EnvelopePublic, EnvelopeSecret};
use keys::{
    ArgonParams, Secret, SecretBytes, Suite, argon2id, ct_eq, gcm_open, gcm_seal, hkdf_sha512,
    hmac_sha256, label,
};
use rand_core::CryptoRng;
use std::io::Read;

/// How every file begins: "LLOCK", CR, LF, version 1.
pub const MAGIC: [u8; 8] = *b"LLOCK\r\n\x01";
/// Most bytes of all stanzas.
const STANZAS: usize = 4 << 20;
const MAC: usize = 32;
const KEY: u8 = 1;
const PASSPHRASE: u8 = 2;

/// For whom a file is sealed.
pub enum Recipient {
    /// Whoever has the secret of this key.
    Key(EnvelopePublic),
    /// Whoever knows this passphrase. One a file.
    Passphrase(SecretBytes),
}

/// What may open a file.
#[derive(Clone, Copy)]
pub enum Opener<'a> {
    /// A secret key.
    Key(&'a EnvelopeSecret),
    /// A passphrase.
    Passphrase(&'a SecretBytes),
}

/// Why a header was not made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It does not begin as a sealed file does.
    #[error("this is no sealed file")]
    NotSealed,
    /// A version that this program does not know.
    #[error("a newer program sealed this file")]
    Newer,
    /// Cut, or not of this form.
    #[error("the header is damaged")]
    Damaged,
    /// A stanza opens, and the rest was changed.
    #[error("the header was changed")]
    Changed,
    /// No recipient, more than one passphrase, or too many recipients.
    #[error("a file needs one to {max} recipients and at most one passphrase")]
    Recipients {
        /// The most there is room for.
        max: usize,
    },
    /// Recipients of the age format that it keeps apart.
    #[error("an age file is for post-quantum keys, for other keys, or for one passphrase alone")]
    Mixed,
    /// A key that nothing can be sealed to, or a machine without enough memory for a passphrase.
    #[error("a recipient cannot be used, or there is not enough memory for its passphrase")]
    Unusable,
    /// Reading failed.
    #[error("reading failed")]
    Read(#[source] std::io::Error),
}

/// What all keys of a file come from.
pub struct FileKey(Secret<32>);

impl FileKey {
    /// Takes one that another process unwrapped.
    #[must_use]
    pub fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The key, for another process of the same person.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// What a stanza shows to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StanzaKind {
    /// A key of this suite.
    Key(Suite),
    /// A passphrase.
    Passphrase,
    /// Something of a later version.
    Unknown,
}

struct Stanza {
    kind: StanzaKind,
    body: Vec<u8>,
}

/// A header as it was read: nothing in it is known to be true.
pub struct UnverifiedHeader {
    bytes: Vec<u8>,
    mac: [u8; MAC],
    stanzas: Vec<Stanza>,
}

/// A header that its file key vouches for (I9).
pub struct VerifiedHeader {
    bytes: Vec<u8>,
    mac: [u8; MAC],
    payload: Secret<32>,
}

/// mac key and payload key.
fn derive(file_key: &FileKey) -> (Secret<32>, Secret<32>) {
    let both: Secret<64> = hkdf_sha512(
        &[],
        &[file_key.0.expose_secret()],
        &[label::SEAL_KEYS.as_bytes()],
    );
    let (mac, payload) = both.expose_secret().split_at(32);
    (
        Secret::from_fn(|out: &mut [u8; 32]| out.copy_from_slice(mac)),
        Secret::from_fn(|out: &mut [u8; 32]| out.copy_from_slice(payload)),
    )
}

fn wrapped(
    recipient: &Recipient,
    file_key: &FileKey,
    rng: &mut dyn CryptoRng,
) -> Result<(u8, Vec<u8>), HeaderError> {
    let secret = file_key.0.expose_secret();
    let mut out = Writer::new();
    match recipient {
        Recipient::Key(key) => {
            let info = label::SEAL_RECIPIENT.as_bytes();
            let sealed = hpke::seal(rng, key, info, &[], secret);
            out.u16(key.suite().number());
            out.array(&sealed.map_err(|_| HeaderError::Unusable)?);
            Ok((KEY, out.finish()))
        }
        Recipient::Passphrase(passphrase) => {
            let mut salt = [0; 16];
            rng.fill_bytes(&mut salt);
            let params = ArgonParams::default();
            let key = argon2id(passphrase.expose_secret(), &salt, params)
                .map_err(|_| HeaderError::Unusable)?;
            out.u32(params.memory_kib);
            out.u8(u8::try_from(params.passes).map_err(|_| HeaderError::Unusable)?);
            out.u8(u8::try_from(params.lanes).map_err(|_| HeaderError::Unusable)?);
            out.array(&salt);
            out.array(&gcm_seal(
                &key,
                &[0; 12],
                label::SEAL_PASSPHRASE.as_bytes(),
                secret,
            ));
            Ok((PASSPHRASE, out.finish()))
        }
    }
}

impl VerifiedHeader {
    /// Begins a file: draws its key and wraps it for each recipient.
    ///
    /// # Errors
    /// [`HeaderError::Recipients`], [`HeaderError::Unusable`].
    pub fn create(recipients: &[Recipient], rng: &mut dyn CryptoRng) -> Result<Self, HeaderError> {
        let file_key = FileKey(Secret::random(rng));
        let max = STANZAS / 2048;
        let passphrases = recipients
            .iter()
            .filter(|recipient| matches!(recipient, Recipient::Passphrase(_)));
        if recipients.is_empty() || recipients.len() > max || passphrases.count() > 1 {
            return Err(HeaderError::Recipients { max });
        }
        let mut stanzas = Writer::new();
        for recipient in recipients {
            let (kind, body) = wrapped(recipient, &file_key, rng)?;
            stanzas.u8(kind);
            stanzas.bytes(&body);
        }
        let mut bytes = Writer::new();
        bytes.array(&MAGIC);
        bytes.bytes(&stanzas.finish());
        let mut bytes = bytes.finish();
        let (mac_key, payload) = derive(&file_key);
        let mac = hmac_sha256(mac_key.expose_secret(), &[&bytes]);
        bytes.extend_from_slice(&mac);
        Ok(Self {
            bytes,
            mac,
            payload,
        })
    }

    /// The bytes, as they stand at the head of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the payload's key comes from.
    pub(crate) fn payload_key(&self) -> &Secret<32> {
        &self.payload
    }

    /// What the payload is bound to: `label ‖ 00 ‖ mac`.
    pub(crate) fn payload_context(&self) -> Vec<u8> {
        [label::SEAL_PAYLOAD.as_bytes(), &[0], &self.mac].concat()
    }
}

impl UnverifiedHeader {
    /// Reads a header and nothing after it.
    ///
    /// # Errors
    /// [`HeaderError::NotSealed`], [`HeaderError::Newer`], [`HeaderError::Damaged`], [`HeaderError::Read`].
    pub fn read(input: &mut impl Read) -> Result<Self, HeaderError> {
        let mut head = [0; 12];
        fill(input, &mut head).map_err(|error| match error {
            HeaderError::Damaged => HeaderError::NotSealed,
            other => other,
        })?;
        let (magic, length) = head
            .split_first_chunk::<8>()
            .ok_or(HeaderError::NotSealed)?;
        match (magic.split_last(), MAGIC.split_last()) {
            (Some((_, got)), Some((_, ours))) if got != ours => return Err(HeaderError::NotSealed),
            _ if *magic != MAGIC => return Err(HeaderError::Newer),
            _ => {}
        }
        let length = Reader::new(length).u32().unwrap_or(u32::MAX) as usize;
        if length == 0 || length > STANZAS {
            return Err(HeaderError::Damaged);
        }
        let mut bytes = head.to_vec();
        let got = input
            .take(length as u64)
            .read_to_end(&mut bytes)
            .map_err(HeaderError::Read)?;
        if got != length {
            return Err(HeaderError::Damaged);
        }
        let mut mac = [0; MAC];
        fill(input, &mut mac)?;
        let stanzas = stanzas(bytes.get(head.len()..).unwrap_or_default())?;
        bytes.extend_from_slice(&mac);
        Ok(Self {
            bytes,
            mac,
            stanzas,
        })
    }

    /// What its stanzas show to everybody.
    pub fn stanzas(&self) -> impl Iterator<Item = StanzaKind> {
        self.stanzas.iter().map(|stanza| stanza.kind)
    }

    /// The bytes, as they stand at the head of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file key, if `opener` opens a stanza. Nothing: the file is not for it.
    ///
    /// # Errors
    /// [`HeaderError::Changed`]: a stanza opens, and the mac does not hold.
    pub fn unwrap_key(&self, opener: Opener<'_>) -> Result<Option<FileKey>, HeaderError> {
        let mut changed = false;
        for stanza in &self.stanzas {
            let Some(key) = stanza.open(opener) else {
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
        let (mac_key, _) = derive(key);
        let covered = self.bytes.len().saturating_sub(MAC);
        let covered = self.bytes.get(..covered).unwrap_or_default();
        ct_eq(&hmac_sha256(mac_key.expose_secret(), &[covered]), &self.mac)
    }

    /// Checks the header against a file key.
    ///
    /// # Errors
    /// [`HeaderError::Changed`].
    pub fn verify(self, key: &FileKey) -> Result<VerifiedHeader, HeaderError> {
        // SECURITY: stanzas are not to be exchanged, nor may a file have two keys;
        // `a_changed_header_gives_no_payload_key` notices.
        if !self.holds(key) {
            return Err(HeaderError::Changed);
        }
        let (_, payload) = derive(key);
        Ok(VerifiedHeader {
            bytes: self.bytes,
            mac: self.mac,
            payload,
        })
    }
}

fn fill(input: &mut impl Read, out: &mut [u8]) -> Result<(), HeaderError> {
    input.read_exact(out).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => HeaderError::Damaged,
        _ => HeaderError::Read(error),
    })
}

fn stanzas(bytes: &[u8]) -> Result<Vec<Stanza>, HeaderError> {
    let mut input = Reader::new(bytes);
    let mut stanzas = Vec::new();
    let mut passphrases: u32 = 0;
    while input.remaining() > 0 {
        let kind = input.u8().map_err(|_| HeaderError::Damaged)?;
        let body = input.bytes(STANZAS).map_err(|_| HeaderError::Damaged)?;
        let kind = match kind {
            KEY => suite_of(body).map_or(StanzaKind::Unknown, StanzaKind::Key),
            PASSPHRASE => StanzaKind::Passphrase,
            _ => StanzaKind::Unknown,
        };
        passphrases = passphrases.saturating_add(u32::from(kind == StanzaKind::Passphrase));
        stanzas.push(Stanza {
            kind,
            body: body.to_vec(),
        });
    }
    // SECURITY: each passphrase costs up to a GiB and many passes; `two_passphrases_are_refused` notices.
    match passphrases > 1 {
        true => Err(HeaderError::Damaged),
        false => Ok(stanzas),
    }
}

fn suite_of(body: &[u8]) -> Option<Suite> {
    Suite::from_number(Reader::new(body).u16().ok()?)
}

impl Stanza {
    fn open(&self, opener: Opener<'_>) -> Option<FileKey> {
        match (self.kind, opener) {
            (StanzaKind::Key(suite), Opener::Key(key)) if key.suite() == suite => {
                let sealed = self.body.get(2..)?;
                let opened = hpke::open(key, label::SEAL_RECIPIENT.as_bytes(), &[], sealed);
                file_key(opened.ok()?)
            }
            (StanzaKind::Passphrase, Opener::Passphrase(passphrase)) => {
                let mut input = Reader::new(&self.body);
                let params = ArgonParams {
                    memory_kib: input.u32().ok()?,
                    passes: input.u8().ok()?.into(),
                    lanes: input.u8().ok()?.into(),
                };
                let salt = input.array().ok()?;
                let sealed = input.take(input.remaining()).ok()?;
                let key = argon2id(passphrase.expose_secret(), &salt, params).ok()?;
                let data = label::SEAL_PASSPHRASE.as_bytes();
                file_key(gcm_open(&key, &[0; 12], data, sealed).ok()?)
            }
            _ => None,
        }
    }
}

fn file_key(bytes: Vec<u8>) -> Option<FileKey> {
    Secret::from_slice(&zeroize::Zeroizing::new(bytes)).map(FileKey)
}
