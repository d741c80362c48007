//! The file key, wrapped for one recipient (docs/spec/age.md, section 2).

use super::header::FileKey;
use super::identity::{Identity, Opener};
use super::recipient::Recipient;
use super::ssh::{SshPublic, SshSecret};
use crate::lock::HeaderError;
use data_encoding::BASE64_NOPAD;
use keys::hpke::{self, EnvelopeSecret};
use keys::scrypt::{MAX_LOG_N, scrypt};
use keys::{
    Secret, SecretBytes, X25519Public, X25519Secret, chacha_open, chacha_seal, hkdf_sha256, label,
};
use rand_core::CryptoRng;

const HYBRID: &str = "mlkem768x25519";
const X25519: &str = "X25519";
const SCRYPT: &str = "scrypt";
const SSH_ED25519: &str = "ssh-ed25519";
const SSH_RSA: &str = "ssh-rsa";
/// What a new file costs whoever guesses at its passphrase: 256 MiB.
const LOG_N: u8 = 18;
/// Bytes of a file key that is sealed by ChaCha20-Poly1305.
const BODY: usize = 32;

/// What a stanza shows to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StanzaKind {
    /// A key of X-Wing.
    Hybrid,
    /// A key of X25519.
    X25519,
    /// A key of OpenSSH: its kind.
    Ssh(&'static str),
    /// A passphrase.
    Passphrase,
    /// Another one, by its name.
    Unknown(String),
}

/// A stanza whose form was checked.
pub(crate) enum Stanza {
    Hybrid {
        enc: Vec<u8>,
        body: [u8; BODY],
    },
    X25519 {
        share: [u8; 32],
        body: [u8; BODY],
    },
    Scrypt {
        salt: [u8; 16],
        log_n: u8,
        body: [u8; BODY],
    },
    SshEd25519 {
        tag: [u8; 4],
        share: [u8; 32],
        body: [u8; BODY],
    },
    SshRsa {
        tag: [u8; 4],
        body: Vec<u8>,
    },
    Unknown {
        name: String,
    },
}

fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A number of decimal digits without a leading zero.
fn work_factor(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| digits)?;
    (1..=MAX_LOG_N).contains(&number).then_some(number)
}

impl Stanza {
    /// Takes the arguments and the body of a stanza. Nothing: no stanza of this name has this form.
    pub(crate) fn new(arguments: &[&str], body: Vec<u8>) -> Option<Self> {
        let (name, rest) = arguments.split_first()?;
        let sealed = |body: Vec<u8>| -> Option<[u8; BODY]> { body.try_into().ok() };
        // SECURITY: a longer body might be a key under which another file opens too; `the_vectors_replay` notices.
        Some(match (*name, rest) {
            (HYBRID, [enc]) => Self::Hybrid {
                enc: bytes_of::<{ keys::xwing::CIPHERTEXT_LEN }>(enc)?.to_vec(),
                body: sealed(body)?,
            },
            (X25519, [share]) => Self::X25519 {
                share: bytes_of(share)?,
                body: sealed(body)?,
            },
            (SCRYPT, [salt, log_n]) => Self::Scrypt {
                salt: bytes_of(salt)?,
                log_n: work_factor(log_n)?,
                body: sealed(body)?,
            },
            (SSH_ED25519, [tag, share]) => Self::SshEd25519 {
                tag: bytes_of(tag)?,
                share: bytes_of(share)?,
                body: sealed(body)?,
            },
            (SSH_RSA, [tag]) => Self::SshRsa {
                tag: bytes_of(tag)?,
                body,
            },
            (HYBRID | X25519 | SCRYPT | SSH_ED25519 | SSH_RSA, _) => return None,
            (name, _) => Self::Unknown {
                name: name.to_owned(),
            },
        })
    }

    pub(crate) fn kind(&self) -> StanzaKind {
        match self {
            Self::Hybrid { .. } => StanzaKind::Hybrid,
            Self::X25519 { .. } => StanzaKind::X25519,
            Self::Scrypt { .. } => StanzaKind::Passphrase,
            Self::SshEd25519 { .. } => StanzaKind::Ssh(SSH_ED25519),
            Self::SshRsa { .. } => StanzaKind::Ssh(SSH_RSA),
            Self::Unknown { name } => StanzaKind::Unknown(name.clone()),
        }
    }

    /// Arguments and body, as they stand in a header.
    pub(crate) fn write(&self, out: &mut String) {
        let text = |bytes: &[u8]| BASE64_NOPAD.encode(bytes);
        let (arguments, body) = match self {
            Self::Hybrid { enc, body } => (vec![HYBRID.to_owned(), text(enc)], &body[..]),
            Self::X25519 { share, body } => (vec![X25519.to_owned(), text(share)], &body[..]),
            Self::Scrypt { salt, log_n, body } => (
                vec![SCRYPT.to_owned(), text(salt), log_n.to_string()],
                &body[..],
            ),
            Self::SshEd25519 { tag, share, body } => (
                vec![SSH_ED25519.to_owned(), text(tag), text(share)],
                &body[..],
            ),
            Self::SshRsa { tag, body } => (vec![SSH_RSA.to_owned(), text(tag)], &body[..]),
            Self::Unknown { name } => (vec![name.clone()], &[][..]),
        };
        out.push_str("-> ");
        out.push_str(&arguments.join(" "));
        out.push('\n');
        let mut body = text(body);
        while body.len() >= 64 {
            let rest = body.split_off(64);
            out.push_str(&body);
            out.push('\n');
            body = rest;
        }
        out.push_str(&body);
        out.push('\n');
    }

    /// Wraps a file key.
    pub(crate) fn wrap(
        to: &Recipient,
        file_key: &FileKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, HeaderError> {
        let secret = file_key.secret().expose_secret();
        match to {
            Recipient::Hybrid(key) => {
                let info = label::AGE_HYBRID.as_bytes();
                let sealed = hpke::seal_chacha(rng, key, info, secret);
                let (enc, body) = sealed.map_err(|_| HeaderError::Unusable)?;
                let body = body.try_into().map_err(|_| HeaderError::Unusable)?;
                Ok(Self::Hybrid { enc, body })
            }
            Recipient::X25519(key) => {
                let ephemeral = X25519Secret::from_random(rng);
                let shared = ephemeral.agree(key).map_err(|_| HeaderError::Unusable)?;
                let share = ephemeral.public().0;
                let key = x25519_key(&shared, &share, key);
                let body = sealed(&key, file_key)?;
                Ok(Self::X25519 { share, body })
            }
            Recipient::Passphrase(passphrase) => {
                let mut salt = [0; 16];
                rng.fill_bytes(&mut salt);
                let key = scrypt_key(passphrase, &salt, LOG_N).ok_or(HeaderError::Unusable)?;
                Ok(Self::Scrypt {
                    salt,
                    log_n: LOG_N,
                    body: sealed(&key, file_key)?,
                })
            }
            Recipient::Ssh(key) => wrap_ssh(key, file_key, rng),
        }
    }

    /// The file key, if `opener` opens it. Nothing: it is for another one.
    ///
    /// Errors: [`HeaderError::Damaged`], a share that no key ever makes.
    pub(crate) fn open(&self, opener: Opener<'_>) -> Result<Option<FileKey>, HeaderError> {
        match (self, opener) {
            (Self::Hybrid { enc, body }, Opener::Key(key))
            | (Self::Hybrid { enc, body }, Opener::Identity(Identity::Hybrid(key))) => {
                open_hybrid(key, enc, body)
            }
            (Self::X25519 { share, body }, Opener::Identity(Identity::X25519(key))) => {
                let shared = key.agree(&X25519Public(*share));
                // SECURITY: whoever sends a point of small order knows the key of everybody; `the_vectors_replay` notices.
                let shared = shared.map_err(|_| HeaderError::Damaged)?;
                Ok(opened(&x25519_key(&shared, share, &key.public()), body))
            }
            (Self::Scrypt { salt, log_n, body }, Opener::Passphrase(passphrase)) => {
                let key = scrypt_key(passphrase, salt, *log_n).ok_or(HeaderError::Unusable)?;
                Ok(opened(&key, body))
            }
            (Self::SshEd25519 { tag, share, body }, Opener::Identity(Identity::Ssh(key)))
                if *tag == key.public().tag() =>
            {
                open_ssh_ed25519(key, share, body)
            }
            (Self::SshRsa { tag, body }, Opener::Identity(Identity::Ssh(key)))
                if *tag == key.public().tag() =>
            {
                let opened = key.rsa().and_then(|key| {
                    let label = label::AGE_SSH_RSA.as_bytes();
                    key.decrypt(label, body).ok()
                });
                Ok(opened.and_then(|bytes| FileKey::of_bytes(bytes.expose_secret())))
            }
            _ => Ok(None),
        }
    }
}

fn open_hybrid(
    key: &EnvelopeSecret,
    enc: &[u8],
    body: &[u8],
) -> Result<Option<FileKey>, HeaderError> {
    let info = label::AGE_HYBRID.as_bytes();
    // Keys of other suites open nothing here.
    if key.suite() != keys::Suite::Hybrid {
        return Ok(None);
    }
    let opened = hpke::open_chacha(key, info, enc, body).map_err(|_| HeaderError::Damaged)?;
    Ok(opened.and_then(|bytes| FileKey::of_bytes(&zeroize::Zeroizing::new(bytes))))
}

fn sealed(key: &Secret<32>, file_key: &FileKey) -> Result<[u8; BODY], HeaderError> {
    let body = chacha_seal(key, &[0; 12], &[], file_key.secret().expose_secret());
    let body = body.map_err(|_| HeaderError::Unusable)?;
    body.try_into().map_err(|_| HeaderError::Unusable)
}

fn opened(key: &Secret<32>, body: &[u8]) -> Option<FileKey> {
    let bytes = zeroize::Zeroizing::new(chacha_open(key, &[0; 12], &[], body).ok()?);
    FileKey::of_bytes(&bytes)
}

fn x25519_key(shared: &Secret<32>, share: &[u8; 32], recipient: &X25519Public) -> Secret<32> {
    let salt = [&share[..], recipient.as_bytes()].concat();
    let info = label::AGE_X25519.as_bytes();
    hkdf_sha256(&salt, &[shared.expose_secret()], &[info])
}

fn scrypt_key(passphrase: &SecretBytes, salt: &[u8; 16], log_n: u8) -> Option<Secret<32>> {
    let salt = [label::AGE_SCRYPT.as_bytes(), salt].concat();
    scrypt(passphrase.expose_secret(), &salt, log_n).ok()
}

fn wrap_ssh(
    to: &SshPublic,
    file_key: &FileKey,
    rng: &mut dyn CryptoRng,
) -> Result<Stanza, HeaderError> {
    let tag = to.tag();
    if let Some(key) = to.x25519() {
        let ephemeral = X25519Secret::from_random(rng);
        let share = ephemeral.public().0;
        let shared = ephemeral.agree(key).map_err(|_| HeaderError::Unusable)?;
        let key = ssh_key(to, key, shared, &share)?;
        let body = sealed(&key, file_key)?;
        return Ok(Stanza::SshEd25519 { tag, share, body });
    }
    let key = to.rsa().ok_or(HeaderError::Unusable)?;
    let secret = file_key.secret().expose_secret();
    let body = key.encrypt(label::AGE_SSH_RSA.as_bytes(), secret);
    let body = body.map_err(|_| HeaderError::Unusable)?;
    Ok(Stanza::SshRsa { tag, body })
}

fn open_ssh_ed25519(
    secret: &SshSecret,
    share: &[u8; 32],
    body: &[u8],
) -> Result<Option<FileKey>, HeaderError> {
    let Some((key, public)) = secret.x25519().zip(secret.public().x25519()) else {
        return Ok(None);
    };
    let shared = key.agree(&X25519Public(*share));
    let shared = shared.map_err(|_| HeaderError::Damaged)?;
    let key = ssh_key(secret.public(), public, shared, share)?;
    Ok(opened(&key, body))
}

/// The key of an `ssh-ed25519` stanza: the agreed secret, turned by what the key is in SSH.
fn ssh_key(
    ssh: &SshPublic,
    public: &X25519Public,
    shared: Secret<32>,
    share: &[u8; 32],
) -> Result<Secret<32>, HeaderError> {
    let info = label::AGE_SSH_ED25519.as_bytes();
    let tweak = hkdf_sha256(ssh.blob(), &[], &[info]);
    let tweak = X25519Secret::from_secret(&tweak);
    let turned = tweak.agree(&X25519Public(*shared.expose_secret()));
    let turned = turned.map_err(|_| HeaderError::Damaged)?;
    let salt = [&share[..], public.as_bytes()].concat();
    Ok(hkdf_sha256(&salt, &[turned.expose_secret()], &[info]))
}
