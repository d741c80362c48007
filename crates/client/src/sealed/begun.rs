//! A sealed file of either format: its header, and what opens it.

use super::failure::{armor_failure, header_failure, write_failure};
use super::{AskPassphrase, asked};
use crate::Client;
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::os;
use crate::view::{Failure, FailureKind, HiddenText};
use data_encoding::HEXLOWER;
use keys::account_log::{Method, RecoverySecrets};
use keys::hpke::EnvelopeSecret;
use keys::{Secret, SecretBytes, Suite};
use seal::age::{self, Identity, armor};
use seal::lock::{self, HeaderError};
use seal::{Output, age::StanzaKind as AgeStanza, lock::StanzaKind as LockStanza};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::Path;

/// A header of either format: nothing in it is known to be true.
pub(crate) enum Header {
    Lock(lock::UnverifiedHeader),
    Age(age::UnverifiedHeader),
}

/// A header that its file key vouches for.
pub(super) enum Verified {
    Lock(lock::VerifiedHeader),
    Age(age::VerifiedHeader),
}

/// A file key of either format.
pub(crate) enum Key {
    Lock(lock::FileKey),
    Age(age::FileKey),
}

impl Key {
    /// As it goes between processes of one user.
    pub(crate) fn text(&self) -> HiddenText {
        let text = match self {
            Self::Lock(key) => HEXLOWER.encode(key.secret().expose_secret()),
            Self::Age(key) => HEXLOWER.encode(key.secret().expose_secret()),
        };
        text.into()
    }

    fn of_text(text: &str) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
        let lock = Secret::from_slice(&bytes).map(lock::FileKey::from_secret);
        let age = || Secret::from_slice(&bytes).map(age::FileKey::from_secret);
        lock.map(Self::Lock).or_else(|| age().map(Self::Age))
    }
}

impl Header {
    /// Reads a header and knows its format by how it begins.
    pub(crate) fn read(input: &mut impl BufRead) -> Result<Self, HeaderError> {
        let head = input.fill_buf().map_err(HeaderError::Read)?;
        match head.starts_with(b"age-") {
            true => age::UnverifiedHeader::read(input).map(Self::Age),
            false => lock::UnverifiedHeader::read(input).map(Self::Lock),
        }
    }

    /// The bytes, as they stand at the head of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Lock(header) => header.bytes(),
            Self::Age(header) => header.bytes(),
        }
    }

    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Lock(_) => "lock",
            Self::Age(_) => "age",
        }
    }

    /// How many keys open it, as far as it says.
    pub(super) fn keys(&self) -> u32 {
        let keys = match self {
            Self::Lock(header) => {
                let key = |kind: &LockStanza| matches!(kind, LockStanza::Key(_));
                header.stanzas().filter(key).count()
            }
            Self::Age(header) => {
                let other = |kind: &AgeStanza| {
                    matches!(kind, AgeStanza::Passphrase | AgeStanza::Unknown(_))
                };
                header.stanzas().filter(|kind| !other(kind)).count()
            }
        };
        u32::try_from(keys).unwrap_or(u32::MAX)
    }

    /// Whether a passphrase opens it.
    pub(super) fn asks(&self) -> bool {
        match self {
            Self::Lock(header) => header.stanzas().any(|kind| kind == LockStanza::Passphrase),
            Self::Age(header) => header.stanzas().any(|kind| kind == AgeStanza::Passphrase),
        }
    }

    /// The file key, if a key of an account opens a stanza.
    pub(crate) fn by_key(&self, key: &EnvelopeSecret) -> Result<Option<Key>, HeaderError> {
        Ok(match self {
            Self::Lock(header) => header.unwrap_key(lock::Opener::Key(key))?.map(Key::Lock),
            Self::Age(header) => header.unwrap_key(age::Opener::Key(key))?.map(Key::Age),
        })
    }

    fn by_identity(&self, identity: &Identity) -> Result<Option<Key>, HeaderError> {
        Ok(match (self, identity) {
            (Self::Age(header), identity) => {
                let opened = header.unwrap_key(age::Opener::Identity(identity))?;
                opened.map(Key::Age)
            }
            (Self::Lock(_), Identity::Hybrid(key)) => self.by_key(key)?,
            // The format `.lock` has no stanza for others.
            (Self::Lock(_), _) => None,
        })
    }

    fn by_passphrase(&self, passphrase: &SecretBytes) -> Result<Option<Key>, HeaderError> {
        Ok(match self {
            Self::Lock(header) => {
                let opened = header.unwrap_key(lock::Opener::Passphrase(passphrase))?;
                opened.map(Key::Lock)
            }
            Self::Age(header) => {
                let opened = header.unwrap_key(age::Opener::Passphrase(passphrase))?;
                opened.map(Key::Age)
            }
        })
    }

    fn verify(self, key: &Key) -> Result<Verified, HeaderError> {
        match (self, key) {
            (Self::Lock(header), Key::Lock(key)) => header.verify(key).map(Verified::Lock),
            (Self::Age(header), Key::Age(key)) => header.verify(key).map(Verified::Age),
            _ => Err(HeaderError::Changed),
        }
    }
}

/// A file without a name: it is gone with its last handle, also where the process is killed.
fn spool(beside: &Path) -> Result<File, Failure> {
    let place = beside.join("letterlock-spool");
    let nonce = u64::from_be_bytes(os::random());
    let failed = |error: io::Error| write_failure(&place, &error);
    let output = Output::create(&place, nonce).map_err(failed)?;
    output.file().try_clone().map_err(failed)
}

fn rewind(file: &mut File, place: &Path) -> Result<(), Failure> {
    io::Seek::rewind(file).map_err(|error| write_failure(place, &error))
}

/// A sealed file whose header was read.
pub(super) struct Begun {
    pub(super) file: File,
    pub(super) header: Header,
}

/// Opens a file, or standard input, and reads its header. What comes from a pipe and what is armored are copied to a
/// file `beside`: what is to be verified as a whole is read twice.
pub(super) fn begin(file: Option<&Path>, beside: &Path) -> Result<Begun, Failure> {
    let mut file = match file {
        Some(path) => {
            let unread = |error: io::Error| {
                let shown = path.display();
                if error.kind() == io::ErrorKind::NotFound {
                    let message = format!("there is no file {shown}");
                    return failure(FailureKind::NotFound, message, Some("look at the path"));
                }
                let message = format!("{shown} cannot be read: {}", error.kind());
                let hint = "look at its rights with: ls -l";
                failure(FailureKind::Failed, message, Some(hint))
            };
            os::open_source(path).map_err(unread)?
        }
        None => {
            let mut file = spool(beside)?;
            io::copy(&mut io::stdin().lock(), &mut file)
                .map_err(|error| write_failure(beside, &error))?;
            rewind(&mut file, beside)?;
            file
        }
    };
    let unread = |error| header_failure(HeaderError::Read(error));
    let mut head = Vec::new();
    let mut start = (&file).take(armor::HEAD);
    start.read_to_end(&mut head).map_err(unread)?;
    io::Seek::rewind(&mut file).map_err(unread)?;
    if armor::begins(&head) {
        let mut decoded = spool(beside)?;
        let mut text = BufReader::with_capacity(1 << 16, &file);
        let mut bare = io::BufWriter::with_capacity(1 << 16, &decoded);
        armor::decode(&mut text, &mut bare).map_err(|error| armor_failure(error, beside))?;
        bare.flush()
            .map_err(|error| write_failure(beside, &error))?;
        drop(bare);
        rewind(&mut decoded, beside)?;
        file = decoded;
    }
    let header = Header::read(&mut BufReader::new(&file)).map_err(header_failure)?;
    Ok(Begun { file, header })
}

/// What may open a file beside the keys of the profile.
pub(super) struct Openers<'a> {
    pub(super) client: Option<&'a Client>,
    pub(super) identities: &'a [Identity],
    pub(super) sheet: Option<&'a HiddenText>,
    pub(super) ask: Option<AskPassphrase>,
}

/// The header, opened by whatever opens it: identities, the profile, a sheet, a passphrase.
pub(super) async fn unlocked(
    header: Header,
    openers: Openers<'_>,
) -> Result<Option<Verified>, Failure> {
    let mut key = None;
    for identity in openers.identities {
        key = key.or(header.by_identity(identity).map_err(header_failure)?);
    }
    if let (None, Some(client)) = (&key, openers.client) {
        let request = Request::FileOpen {
            header: HEXLOWER.encode(header.bytes()),
        };
        for answer in asked(client, request).await? {
            if let Answer::FileKey(told) = answer {
                key = Key::of_text(told.key.as_str());
            }
        }
    }
    if let (None, Some(sheet)) = (&key, openers.sheet) {
        let sheet = crate::names::sheet(sheet)?;
        for suite in Suite::ALL {
            let secrets = RecoverySecrets::derive(suite, Method::Sheet, &sheet.seed());
            let secrets = secrets.map_err(|_| internal("the keys of a sheet"))?;
            let opened = header.by_key(secrets.envelope());
            key = key.or(opened.map_err(header_failure)?);
        }
    }
    if let (None, true, Some(ask)) = (&key, header.asks(), openers.ask) {
        let passphrase = ask()?;
        key = header.by_passphrase(&passphrase).map_err(header_failure)?;
        if key.is_none() {
            let hint = "type it again; nothing was written";
            return Err(failure(
                FailureKind::Refused,
                "this passphrase does not open the file",
                Some(hint),
            ));
        }
    }
    key.map(|key| header.verify(&key).map_err(header_failure))
        .transpose()
}
