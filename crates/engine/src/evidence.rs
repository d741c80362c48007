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
        let keys = pre_keys::decode_keys(
            (&self.identity, &self.signed_ec, &self.kem),
            None,
            record.identity(),
        );
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
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::*;
    use keys::account_log::{Authority, DeviceSecrets, Reason, RootSecret, genesis};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use ratchet::{KemPreKey, PreKeyKind, PreKeySigner, SignedPreKey};
    use std::path::{Path, PathBuf};

    const BORN: u64 = 1_700_002_800;

    fn later(hours: u64) -> Timestamp {
        Timestamp::from_secs(BORN + hours * 3600)
    }

    fn device(seed: u64) -> DeviceSecrets {
        DeviceSecrets::generate(&mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
    }

    /// An account of two devices of which the second was revoked; before that, and the devices.
    struct Scene {
        first: DeviceSecrets,
        gone: DeviceSecrets,
        two: VerifiedLog,
        log: VerifiedLog,
    }

    fn scene() -> Scene {
        let root = RootSecret::generate(&mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let (first, gone) = (device(2), device(3));
        let log = genesis(&root, &first, later(0)).unwrap();
        let by = Authority::Device(&first);
        let two = log.add_device(by, &gone, true, later(1)).unwrap();
        let revoked = two.revoke(by, gone.device_id(), Reason::Stolen, later(2));
        Scene {
            log: revoked.unwrap(),
            first,
            gone,
            two,
        }
    }

    fn evidence(pinned: &VerifiedLog, shown: Shown) -> Evidence {
        Evidence {
            at: later(3),
            account: *pinned.account_id(),
            pinned: pinned.bytes().to_vec(),
            shown,
        }
    }

    fn finding(pinned: &VerifiedLog, shown: Shown) -> Finding {
        let evidence = evidence(pinned, shown);
        let again = Evidence::decode(&evidence.encode()).unwrap();
        assert_eq!(again, evidence);
        again.verify().unwrap()
    }

    fn pre_keys(signer: &DeviceSecrets, of: &DeviceSecrets, expires: Timestamp) -> PreKeys {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let by = PreKeySigner::Letterlock {
            key: signer.signing(),
            expires,
        };
        let signed = SignedPreKey::generate(1, &by, &mut rng).unwrap();
        let kem = KemPreKey::generate(2, PreKeyKind::LastResortKem, &by, &mut rng).unwrap();
        PreKeys {
            device: *of.device_id(),
            identity: [&[0, 0, 0, 7], &of.identity().public().as_bytes()[..]].concat(),
            signed_ec: signed.public().encode(),
            kem: kem.public().encode(),
        }
    }

    #[test]
    fn logs_are_told_apart() {
        let Scene { log, two, gone, .. } = scene();
        let other = genesis(
            &RootSecret::generate(&mut ChaCha20Rng::seed_from_u64(50)).unwrap(),
            &device(51),
            later(0),
        );
        let fork = two.revoke(
            Authority::Device(&gone),
            gone.device_id(),
            Reason::Retired,
            later(2),
        );
        let (other, fork) = (other.unwrap(), fork.unwrap());
        let shown = |log: &VerifiedLog| Shown::Log(log.bytes().to_vec());
        assert_eq!(finding(&log, shown(&log)), Finding::Nothing);
        assert_eq!(finding(&two, shown(&log)), Finding::Nothing);
        let rolled_back = Finding::RolledBack { shown: 1, known: 2 };
        assert_eq!(finding(&log, shown(&two)), rolled_back);
        let forked = finding(&log, shown(&fork));
        assert_eq!(forked, Finding::Fork { sequence: 2 });
        assert!(forked.is_signed() && !rolled_back.is_signed());
        let shown_account = *other.account_id();
        let expected = Finding::OtherAccount {
            shown: shown_account,
        };
        assert_eq!(finding(&log, shown(&other)), expected);
        assert_eq!(
            evidence(&log, shown(&other)).shown_account(),
            Some(shown_account)
        );
        let mut bytes = log.bytes().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let not_signed = finding(&two, Shown::Log(bytes));
        assert_eq!(not_signed.name(), "log_not_signed");
        assert_eq!(finding(&two, Shown::Log(b"none".to_vec())), Finding::NoLog);
    }

    #[test]
    fn pre_keys_are_of_the_device_or_not() {
        let Scene {
            two, first, gone, ..
        } = scene();
        let shown = |keys| finding(&two, Shown::PreKeys(keys));
        let of = *gone.device_id();
        assert_eq!(shown(pre_keys(&gone, &gone, later(9))), Finding::Nothing);
        let not_signed = Finding::PreKeysNotSigned { device: of };
        assert_eq!(shown(pre_keys(&first, &gone, later(9))), not_signed);
        let mut swapped = pre_keys(&gone, &gone, later(9));
        swapped.kem = pre_keys(&first, &gone, later(9)).kem;
        assert_eq!(shown(swapped), not_signed);
        let mut other = pre_keys(&gone, &gone, later(9));
        other.identity = pre_keys(&first, &first, later(9)).identity;
        assert_eq!(shown(other), not_signed);
        let expired = Finding::PreKeysExpired { device: of };
        assert_eq!(shown(pre_keys(&gone, &gone, later(2))), expired);
    }

    #[test]
    fn devices_and_silence_are_judged_by_the_log() {
        let Scene {
            two,
            log,
            first,
            gone,
        } = scene();
        let device = *gone.device_id();
        let wrote = Finding::RevokedDeviceWrote {
            device,
            sequence: 2,
        };
        assert_eq!(finding(&log, Shown::LetterOfRevoked(device)), wrote);
        assert_eq!(
            finding(&two, Shown::LetterOfRevoked(device)),
            Finding::Nothing
        );
        let silence = |sequence| Shown::Silence {
            sequence,
            hash: [7; 32],
        };
        let withheld = Finding::Withheld { told: 2, known: 1 };
        assert_eq!(finding(&two, silence(2)), withheld);
        assert_eq!(finding(&two, silence(1)), Finding::Nothing);
        let none = Shown::Certificate {
            device,
            bytes: Vec::new(),
        };
        assert_eq!(finding(&log, none), Finding::NotVouchedFor { device });
        let certificate = Certificate::issue(&two, &first, &device, later(3)).unwrap();
        let shown = |bytes: &[u8]| Shown::Certificate {
            device,
            bytes: bytes.to_vec(),
        };
        assert_eq!(finding(&two, shown(certificate.bytes())), Finding::Nothing);
        // The first device says that it saw another entry than the one that is known.
        let fork = two.revoke(
            Authority::Device(&gone),
            gone.device_id(),
            Reason::Retired,
            later(2),
        );
        let certificate = Certificate::issue(&log, &first, first.device_id(), later(3)).unwrap();
        let forked = finding(&fork.unwrap(), shown(certificate.bytes()));
        assert_eq!(forked, Finding::Fork { sequence: 2 });
    }

    #[test]
    fn evidence_about_nobody_is_refused() {
        let Scene { log, two, .. } = scene();
        let mut made_up = evidence(&log, Shown::Log(two.bytes().to_vec()));
        made_up.account = AccountId::from_bytes([1; 32]);
        let made_up = Evidence::decode(&made_up.encode()).unwrap();
        assert_eq!(
            made_up.verify(),
            Err(EvidenceError::Pinned(LogError::OtherAccount))
        );
        let mut broken = evidence(&log, Shown::Log(two.bytes().to_vec()));
        broken.pinned.truncate(100);
        let broken = Evidence::decode(&broken.encode()).unwrap();
        assert!(matches!(broken.verify(), Err(EvidenceError::Pinned(_))));
    }

    #[test]
    fn a_damaged_file_is_never_a_proof() {
        let evidence = Evidence {
            at: later(3),
            account: AccountId::from_bytes([1; 32]),
            pinned: vec![2; 50],
            shown: Shown::Log(vec![3; 50]),
        };
        let bytes = evidence.encode();
        assert_eq!(Evidence::decode(&bytes), Ok(evidence));
        for end in 0..bytes.len() {
            assert!(Evidence::decode(&bytes[..end]).is_err(), "{end}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(Evidence::decode(&changed).is_err(), "{place}");
        }
        assert!(Evidence::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/evidence")
    }

    /// One sample of each kind. Signatures are random, so the samples are kept and not made again.
    #[test]
    fn seeds_are_read_and_judged() {
        let Scene { log, two, gone, .. } = scene();
        let device = *gone.device_id();
        let samples = [
            ("fork", "fork"),
            ("pre_keys", "pre_keys_not_signed"),
            ("revoked", "revoked_device_wrote"),
            ("certificate", "not_vouched_for"),
            ("silence", "withheld"),
            ("nothing", "nothing"),
        ];
        if std::env::var_os("LETTERLOCK_BLESS").is_some() {
            let fork = two.revoke(
                Authority::Device(&gone),
                gone.device_id(),
                Reason::Retired,
                later(2),
            );
            let fork = fork.unwrap().bytes().to_vec();
            let keys = pre_keys(&scene().first, &gone, later(9));
            let none = Shown::Certificate {
                device,
                bytes: Vec::new(),
            };
            let silence = Shown::Silence {
                sequence: 9,
                hash: [7; 32],
            };
            let made = [
                evidence(&log, Shown::Log(fork)),
                evidence(&two, Shown::PreKeys(keys)),
                evidence(&log, Shown::LetterOfRevoked(device)),
                evidence(&log, none),
                evidence(&two, silence),
                evidence(&two, Shown::Log(log.bytes().to_vec())),
            ];
            std::fs::create_dir_all(folder()).unwrap();
            for ((file, _), evidence) in samples.iter().zip(made) {
                let path = folder().join(file);
                if !path.exists() {
                    std::fs::write(path, evidence.encode()).unwrap();
                }
            }
        }
        for (file, name) in samples {
            let bytes = std::fs::read(folder().join(file)).unwrap();
            let evidence = Evidence::decode(&bytes).unwrap();
            assert_eq!(evidence.encode(), bytes);
            assert_eq!(evidence.verify().unwrap().name(), name, "{file}");
        }
    }
}
