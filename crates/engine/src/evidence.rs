//! Evidence: what was shown instead of what was pinned, kept as a whole that anybody can check
//! (docs/spec/evidence.md).

use crate::error::EngineError;
use crate::pre_keys;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::{
    Certificate, CertificateError, Contradiction, LogError, MAX_LOG_BYTES, Signer, UnverifiedLog,
    VerifiedLog,
};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, Timestamp, VerificationCode};
use ratchet::InitiateError;
use zeroize::Zeroizing;

/// What every piece of evidence begins with.
const MAGIC: &[u8; 8] = b"LtLk evi";
const VERSION: u8 = 1;
/// Longest thing shown in bytes.
const SHOWN_BYTES: usize = MAX_LOG_BYTES;
/// Longest record of a pre-key in bytes.
const PRE_KEY_BYTES: usize = 16 * 1024;
/// The bytes of a checksum.
const SUM: usize = 32;

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// An account log, or what was said to be one.
    Log(Vec<u8>),
    /// Pre-keys of a device, as a relay handed them out.
    PreKeys(PreKeys),
    /// A letter of a device that the pinned log had revoked; the ratchet leaves no signature to keep.
    LetterOfRevoked(DeviceId),
    /// A device certificate that does not vouch for the device that showed it, or none.
    Certificate {
        /// Who showed it.
        device: DeviceId,
        /// As it came; nothing where there was none.
        bytes: Vec<u8>,
    },
    /// No newer entry, although a device of the account told of one.
    Silence {
        /// The entry that the device told of.
        sequence: u64,
        /// The first half of its hash.
        hash: [u8; 32],
    },
    /// A verification code that was scanned from somebody's screen.
    Code(String),
}

/// The signed part of pre-keys that a relay handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeys {
    /// For which device.
    pub device: DeviceId,
    identity: Vec<u8>,
    signed_ec: Vec<u8>,
    kem: Vec<u8>,
}

/// One piece of evidence, whole and of the right form. Nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it was kept, by the clock of who kept it.
    pub at: Timestamp,
    /// The account it is about.
    pub account: AccountId,
    /// The account's log as it was known.
    pinned: Vec<u8>,
    /// What was shown instead.
    pub shown: Shown,
}

/// Why a file is no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Another kind of file.
    #[error("this is no evidence of letterlock")]
    OtherFile,
    /// It was written by a later version.
    #[error("this evidence is of a later version")]
    Newer,
    /// Cut, or changed.
    #[error("the evidence is damaged")]
    Damaged,
    /// The log that it says was known does not hold together, or is of another account.
    #[error("the account log that the evidence calls known does not hold: {0}")]
    Pinned(LogError),
}

/// What evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Nothing: what was shown goes with what was known.
    Nothing,
    /// The account's keys signed two histories.
    Fork {
        /// The first entry that differs.
        sequence: u64,
    },
    /// A key of the account signed an entry that the rules forbid it to sign.
    AgainstRules {
        /// Which entry.
        sequence: u64,
        /// Who signed.
        signer: Signer,
        /// Whether that device had been revoked before.
        revoked: bool,
        /// The rule.
        error: LogError,
    },
    /// The log of another account.
    OtherAccount {
        /// Whose.
        shown: AccountId,
    },
    /// A log that ends before the known one.
    RolledBack {
        /// Its newest entry.
        shown: u64,
        /// The newest entry that was known.
        known: u64,
    },
    /// A log of which an entry is signed by no key of the account.
    LogNotSigned {
        /// The first such entry.
        sequence: u64,
        /// What is wrong with it.
        error: LogError,
    },
    /// No account log at all.
    NoLog,
    /// Pre-keys that the device did not sign.
    PreKeysNotSigned {
        /// Which device.
        device: DeviceId,
    },
    /// Pre-keys that the device signed, but whose time was over.
    PreKeysExpired {
        /// Which device.
        device: DeviceId,
    },
    /// A device wrote letters while it was revoked or suspended.
    RevokedDeviceWrote {
        /// Which device.
        device: DeviceId,
        /// The entry that revoked or suspended it.
        sequence: u64,
    },
    /// No other device vouched any more for the one that wrote.
    NotVouchedFor {
        /// Which device.
        device: DeviceId,
    },
    /// The account's root key named another one.
    RootReplaced {
        /// The first entry that did.
        sequence: u64,
    },
    /// Two people at one place, whose devices know two root keys of the account.
    OtherRoot,
    /// Entries were held back.
    Withheld {
        /// The entry that a device told of.
        told: u64,
        /// The newest entry that was shown.
        known: u64,
    },
}

impl Finding {
    /// A stable word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Fork { .. } => "fork",
            Self::AgainstRules { revoked: true, .. } => "revoked_device_signed",
            Self::AgainstRules { .. } => "signed_against_rules",
            Self::OtherAccount { .. } => "other_account",
            Self::RolledBack { .. } => "rolled_back",
            Self::LogNotSigned { .. } => "log_not_signed",
            Self::NoLog => "no_log",
            Self::PreKeysNotSigned { .. } => "pre_keys_not_signed",
            Self::PreKeysExpired { .. } => "pre_keys_expired",
            Self::RevokedDeviceWrote { .. } => "revoked_device_wrote",
            Self::NotVouchedFor { .. } => "not_vouched_for",
            Self::RootReplaced { .. } => "root_replaced",
            Self::OtherRoot => "other_root",
            Self::Withheld { .. } => "withheld",
        }
    }

    /// Whether the account's own signatures prove it, so that it convinces also somebody who does not believe who
    /// kept the evidence.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(
            self,
            Self::Fork { .. } | Self::AgainstRules { .. } | Self::RootReplaced { .. }
        )
    }

    /// Whether what was shown contradicts what was known.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        *self != Self::Nothing
    }
}

impl PreKeys {
    /// Of a bundle.
    pub(crate) fn of(bundle: &wire::Bundle, device: &DeviceId) -> Self {
        Self {
            device: *device,
            identity: bundle.identity.clone(),
            signed_ec: bundle.signed_ec.clone(),
            kem: bundle.kem.clone(),
        }
    }

    fn check(&self, log: &VerifiedLog, at: Timestamp) -> Finding {
        let device = self.device;
        let not_signed = Finding::PreKeysNotSigned { device };
        let Some(record) = log.device(&device) else {
            return Finding::Nothing; // Nobody begins a session with it.
        };
        let shown = (&self.identity[..], &self.signed_ec[..], &self.kem[..]);
        let identity = record.identity();
        let keys = identity.and_then(|identity| pre_keys::decode_keys(shown, None, identity));
        match keys.map(|keys| keys.check(record.verifying_key(), at)) {
            Some(Ok(())) => Finding::Nothing,
            Some(Err(InitiateError::Expired)) => Finding::PreKeysExpired { device },
            _ => not_signed,
        }
    }
}

impl Shown {
    fn kind(&self) -> u8 {
        match self {
            Self::Log(_) => 1,
            Self::PreKeys(_) => 2,
            Self::LetterOfRevoked(_) => 3,
            Self::Certificate { .. } => 4,
            Self::Silence { .. } => 5,
            Self::Code(_) => 6,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Log(log) => out.array(log),
            Self::PreKeys(keys) => {
                out.array(keys.device.as_bytes());
                out.bytes(&keys.identity);
                out.bytes(&keys.signed_ec);
                out.bytes(&keys.kem);
            }
            Self::LetterOfRevoked(device) => out.array(device.as_bytes()),
            Self::Certificate { device, bytes } => {
                out.array(device.as_bytes());
                out.array(bytes);
            }
            Self::Silence { sequence, hash } => {
                out.u64(*sequence);
                out.array(hash);
            }
            Self::Code(text) => out.array(text.as_bytes()),
        }
        out.finish()
    }

    fn decode(kind: u8, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let shown = match kind {
            1 => Self::Log(input.take(bytes.len())?.to_vec()),
            2 => Self::PreKeys(PreKeys {
                device: DeviceId::from_bytes(input.array()?),
                identity: input.bytes(PRE_KEY_BYTES)?.to_vec(),
                signed_ec: input.bytes(PRE_KEY_BYTES)?.to_vec(),
                kem: input.bytes(PRE_KEY_BYTES)?.to_vec(),
            }),
            3 => Self::LetterOfRevoked(DeviceId::from_bytes(input.array()?)),
            4 => Self::Certificate {
                device: DeviceId::from_bytes(input.array()?),
                bytes: input.take(input.remaining())?.to_vec(),
            },
            5 => Self::Silence {
                sequence: input.u64()?,
                hash: input.array()?,
            },
            6 => Self::Code(
                str::from_utf8(input.take(bytes.len())?)
                    .map_err(|_| DecodeError::Invalid)?
                    .to_owned(),
            ),
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(shown)
    }
}

impl Evidence {
    /// Reads a piece of evidence: a row of a home, or the file that `contact evidence --save` wrote.
    ///
    /// ```
    /// use letterlock_engine::{Evidence, EvidenceError};
    ///
    /// assert_eq!(Evidence::decode(b"a letter"), Err(EvidenceError::OtherFile));
    /// assert_eq!(Evidence::decode(b"LtLk evi\x01 cut"), Err(EvidenceError::Damaged));
    /// ```
    ///
    /// # Errors
    /// [`EvidenceError`], all but [`EvidenceError::Pinned`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(EvidenceError::OtherFile)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(_) => return Err(EvidenceError::Newer),
            None => return Err(EvidenceError::Damaged),
        }
        let (content, sum) = bytes
            .len()
            .checked_sub(SUM)
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or(EvidenceError::Damaged)?;
        // What changed on a disk must not look like somebody's lie.
        if keys::sha256(&[content]) != sum {
            return Err(EvidenceError::Damaged);
        }
        Self::read(content).map_err(|_| EvidenceError::Damaged)
    }

    fn read(content: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(content);
        input.take(MAGIC.len().saturating_add(1))?;
        let at = Timestamp::from_secs(input.u64()?);
        let account = AccountId::from_bytes(input.array()?);
        let pinned = input.bytes(MAX_LOG_BYTES)?.to_vec();
        let kind = input.u8()?;
        let shown = Shown::decode(kind, input.bytes(SHOWN_BYTES)?)?;
        input.finish()?;
        Ok(Self {
            at,
            account,
            pinned,
            shown,
        })
    }

    /// Writes it: `magic 8 ‖ 01 ‖ time 8 ‖ account 32 ‖ LP(pinned log) ‖ kind 1 ‖ LP(shown) ‖ SHA-256 of all before`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(MAGIC);
        out.u8(VERSION);
        out.u64(self.at.as_secs());
        out.array(self.account.as_bytes());
        out.bytes(&self.pinned);
        out.u8(self.shown.kind());
        out.bytes(&self.shown.encode());
        let mut bytes = out.finish();
        let sum = keys::sha256(&[&bytes]);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Whose log was shown, where it is one that holds together.
    #[must_use]
    pub fn shown_account(&self) -> Option<AccountId> {
        let Shown::Log(shown) = &self.shown else {
            return None;
        };
        let log = UnverifiedLog::decode(shown).and_then(|log| log.verify(None, None));
        log.ok().map(|log| *log.account_id())
    }

    /// Says what it shows. Every signature of both sides is verified; no clock and no network is asked.
    ///
    /// # Errors
    /// [`EvidenceError::Pinned`]: it was made up, or made by a defect.
    pub fn verify(&self) -> Result<Finding, EvidenceError> {
        let log = UnverifiedLog::decode(&self.pinned)
            .and_then(|log| log.verify(Some(&self.account), None))
            .map_err(EvidenceError::Pinned)?;
        Ok(match &self.shown {
            Shown::Log(shown) => log_shown(&log, shown),
            Shown::PreKeys(keys) => keys.check(&log, self.at),
            Shown::LetterOfRevoked(device) => {
                let revoked = log.revoked().iter();
                let revoked = revoked.map(|gone| (gone.record.id(), gone.sequence));
                let suspended = log.suspended().iter();
                let suspended = suspended.map(|gone| (gone.record.id(), gone.sequence));
                match revoked.chain(suspended).find(|(id, _)| *id == device) {
                    Some((_, sequence)) => Finding::RevokedDeviceWrote {
                        device: *device,
                        sequence,
                    },
                    None => Finding::Nothing,
                }
            }
            Shown::Certificate { device, bytes } => certificate_shown(&log, device, bytes, self.at),
            Shown::Code(text) => match VerificationCode::names_root_of(text, &log) {
                Some(false) => Finding::OtherRoot,
                _ => Finding::Nothing,
            },
            Shown::Silence { sequence, .. } => {
                let known = log.head().sequence;
                match *sequence > known {
                    true => Finding::Withheld {
                        told: *sequence,
                        known,
                    },
                    false => Finding::Nothing,
                }
            }
        })
    }
}

fn log_shown(known: &VerifiedLog, shown: &[u8]) -> Finding {
    let Ok(shown) = UnverifiedLog::decode(shown) else {
        return Finding::NoLog;
    };
    match known.contradiction(shown) {
        Contradiction::None => Finding::Nothing,
        Contradiction::OtherAccount { shown } => Finding::OtherAccount { shown },
        Contradiction::RootReplaced { sequence } => Finding::RootReplaced { sequence },
        Contradiction::RolledBack { shown, known } => Finding::RolledBack { shown, known },
        Contradiction::Fork { sequence } => Finding::Fork { sequence },
        Contradiction::AgainstRules {
            sequence,
            signer,
            revoked,
            error,
        } => Finding::AgainstRules {
            sequence,
            signer,
            revoked,
            error,
        },
        Contradiction::NotSigned { sequence, error } => Finding::LogNotSigned { sequence, error },
        _ => Finding::NoLog,
    }
}

fn certificate_shown(log: &VerifiedLog, device: &DeviceId, bytes: &[u8], at: Timestamp) -> Finding {
    match Certificate::verify(bytes, log, at) {
        Ok(certificate) if certificate.device() == device => Finding::Nothing,
        // Its signature held, so a device of the account saw another history.
        Err(CertificateError::Forked { sequence }) => Finding::Fork { sequence },
        Err(CertificateError::LogBehind { got, pinned }) => Finding::Withheld {
            told: pinned,
            known: got,
        },
        _ => Finding::NotVouchedFor { device: *device },
    }
}

/// Keeps what was pinned and what was shown instead, and when that was first. The same lie is kept once.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    pinned: &[u8],
    shown: Shown,
) -> Result<(), EngineError> {
    let (kind, content) = ([shown.kind()], shown.encode());
    let name = keys::sha256(&[account.as_bytes(), &kind, &content]);
    if tx.get(Table::Evidence, &name)?.is_some() {
        return Ok(());
    }
    let evidence = Evidence {
        at: tx.now,
        account: *account,
        pinned: pinned.to_vec(),
        shown,
    };
    let bytes = Zeroizing::new(evidence.encode());
    tx.put(Table::Evidence, name.to_vec(), bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
