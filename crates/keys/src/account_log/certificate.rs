//! Device certificates: another device's word, for 30 days, that a device is still in force.
//!
//! A relay that hides a revocation from a contact cannot make the certificate of the revoked device new.

use super::chain::Pin;
use super::device::DeviceSecrets;
use super::log::VerifiedLog;
use super::{MAX_CLOCK_SKEW_SECONDS, state::Standing};
use crate::codec::{DecodeError, Reader, Writer};
use crate::secret::ct_eq;
use crate::sign::HybridSignature;
use crate::{AccountId, DeviceId, Timestamp, label};

/// How long a certificate is valid, in seconds: 30 days.
pub const CERTIFICATE_SECONDS: u64 = 30 * 24 * 3600;
/// Age in seconds at which a certificate is made anew: 20 days.
pub const CERTIFICATE_RENEWAL_SECONDS: u64 = 20 * 24 * 3600;
/// Longest certificate in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 6 * 1024;
/// Longest signature in bytes.
const MAX_SIGNATURE: usize = 5 * 1024;

/// Why a certificate is not accepted or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not of the form of a certificate.
    #[error("malformed device certificate: {0}")]
    Malformed(#[from] DecodeError),
    /// It is of another account.
    #[error("the certificate belongs to another account")]
    OtherAccount,
    /// It was made after more entries than the log has: the log is old.
    #[error("the certificate knows entry {pinned}, the log ends at {got}")]
    LogBehind {
        /// Where the log ends.
        got: u64,
        /// What the issuer had seen.
        pinned: u64,
    },
    /// Its issuer saw another log.
    #[error("the issuer saw another entry {sequence}")]
    Forked {
        /// Where.
        sequence: u64,
    },
    /// The device or its issuer is not in force, or has had new keys since.
    #[error("the device or its issuer is not in force with the keys of then")]
    NotInForce,
    /// The issuer may not speak for the device.
    #[error("the issuer may not certify this device")]
    NotIssuer,
    /// The signature does not hold.
    #[error("the certificate is not signed by its issuer")]
    BadSignature,
    /// It was made later than now.
    #[error("the certificate is {ahead_seconds} s ahead of the clock")]
    FromTheFuture {
        /// How far.
        ahead_seconds: u64,
    },
    /// It is no longer valid.
    #[error("the certificate ran out {ago_seconds} s ago")]
    Expired {
        /// How long ago.
        ago_seconds: u64,
    },
    /// The library failed to sign.
    #[error("the library failed to sign")]
    Library,
}

/// A certificate that was verified.
///
/// ```
/// use letterlock_keys::{Suite, Timestamp};
/// use letterlock_keys::account_log::{Certificate, DeviceSecrets, RootSecret, genesis};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
/// # let rng = &mut ChaCha20Rng::seed_from_u64(1);
/// let now = Timestamp::from_secs(1_800_000_000);
/// let (root, device) = (RootSecret::generate(Suite::Hybrid, rng)?, DeviceSecrets::generate(Suite::Hybrid, rng)?);
/// let log = genesis(&root, &device, now)?;
/// // An account of one device has nobody else to ask.
/// let certificate = Certificate::issue(&log, &device, device.device_id(), now)?;
/// let verified = Certificate::verify(certificate.bytes(), &log, now)?;
/// assert!(!verified.is_due(now) && verified.is_due(verified.expires()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    account: AccountId,
    device: DeviceId,
    issuer: DeviceId,
    device_list: [u8; 64],
    pin: Pin,
    issued: Timestamp,
    expires: Timestamp,
    bytes: Vec<u8>,
}

impl Certificate {
    /// Certifies a device.
    ///
    /// # Errors
    /// [`CertificateError::NotInForce`], [`CertificateError::NotIssuer`]: see [`VerifiedLog::may_certify`].
    pub fn issue(
        log: &VerifiedLog,
        issuer: &DeviceSecrets,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let issued = now.to_hour();
        let mut certificate = Self {
            account: *log.account_id(),
            device: *device,
            issuer: *issuer.device_id(),
            device_list: *log.device_list_hash(),
            pin: log.head(),
            issued,
            expires: issued.saturating_add(CERTIFICATE_SECONDS),
            bytes: Vec::new(),
        };
        let content = certificate.content();
        let signature = issuer.signing().sign(label::DEVICE_CERTIFICATE, &content);
        let signature = signature.map_err(|_| CertificateError::Library)?;
        let mut out = Writer::new();
        out.array(&content);
        out.bytes(signature.as_bytes());
        certificate.bytes = out.finish();
        Self::verify(&certificate.bytes, log, now)
    }

    /// Verifies a certificate against the newest log that one has.
    ///
    /// # Errors
    /// [`CertificateError`]; [`CertificateError::LogBehind`]: a newer log is kept from us, fetch it;
    /// [`CertificateError::Forked`] is for a hard stop.
    pub fn verify(
        bytes: &[u8],
        log: &VerifiedLog,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let (certificate, signature) = Self::decode(bytes)?;
        if certificate.account != *log.account_id() {
            return Err(CertificateError::OtherAccount);
        }
        certificate.check_log_is_new(log)?;
        certificate.check_signature(&signature, log)?;
        certificate.check_pin(log)?;
        certificate.check_devices(log)?;
        certificate.check_time(now)?;
        Ok(certificate)
    }

    /// `01 ‖ account 32 ‖ device 16 ‖ issuer 16 ‖ device list hash 64 ‖ sequence 8 ‖ hash 64 ‖ issued 8 ‖ expires 8`.
    fn content(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(1);
        out.array(self.account.as_bytes());
        out.array(self.device.as_bytes());
        out.array(self.issuer.as_bytes());
        out.array(&self.device_list);
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
        out.u64(self.issued.as_secs());
        out.u64(self.expires.as_secs());
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<(Self, HybridSignature), DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid);
        }
        let certificate = Self {
            account: AccountId::from_bytes(input.array()?),
            device: DeviceId::from_bytes(input.array()?),
            issuer: DeviceId::from_bytes(input.array()?),
            device_list: input.array()?,
            pin: Pin {
                sequence: input.u64()?,
                hash: input.array()?,
            },
            issued: Timestamp::from_secs(input.u64()?),
            expires: Timestamp::from_secs(input.u64()?),
            bytes: bytes.to_vec(),
        };
        let signature = HybridSignature::from_bytes_of_any_suite(input.bytes(MAX_SIGNATURE)?)
            .map_err(|_| DecodeError::Invalid)?;
        input.finish()?;
        let (issued, expires) = (certificate.issued, certificate.expires);
        // SECURITY: no certificate lives longer than its kind; `certificates_last_thirty_days` notices.
        if issued != issued.to_hour() || expires != issued.saturating_add(CERTIFICATE_SECONDS) {
            return Err(DecodeError::Invalid);
        }
        Ok((certificate, signature))
    }

    /// What its issuer did not sign is no evidence of a fork, so this comes before.
    fn check_signature(
        &self,
        signature: &HybridSignature,
        log: &VerifiedLog,
    ) -> Result<(), CertificateError> {
        let issuer = log
            .device(&self.issuer)
            .ok_or(CertificateError::NotInForce)?;
        // SECURITY: `certificates_of_strangers_are_refused` notices.
        issuer
            .verifying
            .verify(label::DEVICE_CERTIFICATE, &self.content(), signature)
            .map_err(|_| CertificateError::BadSignature)
    }

    /// This comes before the signature: an old log may not know the issuer's key. Whoever lies here makes us fetch
    /// the log once more.
    fn check_log_is_new(&self, log: &VerifiedLog) -> Result<(), CertificateError> {
        let (got, pinned) = (log.head().sequence, self.pin.sequence);
        // SECURITY: the issuer saw more than we are shown; `a_certificate_shows_a_hidden_entry` notices.
        if got < pinned {
            return Err(CertificateError::LogBehind { got, pinned });
        }
        Ok(())
    }

    fn check_pin(&self, log: &VerifiedLog) -> Result<(), CertificateError> {
        let Pin { sequence, hash } = self.pin;
        let same = log.chain.summary(sequence).is_some_and(|entry| {
            ct_eq(&entry.hash, &hash) && ct_eq(&entry.device_list, &self.device_list)
        });
        // SECURITY: the issuer saw something else; `a_certificate_shows_a_fork` notices.
        if same {
            Ok(())
        } else {
            Err(CertificateError::Forked { sequence })
        }
    }

    fn check_devices(&self, log: &VerifiedLog) -> Result<(), CertificateError> {
        let standing = |device| log.chain.state.standing(device);
        // SECURITY: a certificate is of the keys that its issuer knew; `new_keys_need_a_new_certificate` notices.
        let known = |standing: Standing| standing.since <= self.pin.sequence;
        if !standing(&self.device).is_some_and(known) || !standing(&self.issuer).is_some_and(known)
        {
            return Err(CertificateError::NotInForce);
        }
        // SECURITY: a stolen device does not prolong itself; `a_device_does_not_certify_itself` notices.
        if log.may_certify_at(&self.issuer, &self.device, self.issued, self.pin.sequence) {
            Ok(())
        } else {
            Err(CertificateError::NotIssuer)
        }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        let ahead_seconds = self.issued.since(now);
        if ahead_seconds > MAX_CLOCK_SKEW_SECONDS {
            return Err(CertificateError::FromTheFuture { ahead_seconds });
        }
        // SECURITY: `certificates_last_thirty_days` notices.
        if now >= self.expires {
            return Err(CertificateError::Expired {
                ago_seconds: now.since(self.expires),
            });
        }
        Ok(())
    }

    /// The account.
    #[must_use]
    pub fn account_id(&self) -> &AccountId {
        &self.account
    }

    /// The device that is certified.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The device that certifies it.
    #[must_use]
    pub fn issuer(&self) -> &DeviceId {
        &self.issuer
    }

    /// Hash of the device list that the issuer saw.
    #[must_use]
    pub fn device_list_hash(&self) -> &[u8; 64] {
        &self.device_list
    }

    /// The newest entry that the issuer saw.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// When it was made, to the hour.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// From when on it is worth nothing.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it is time for a new one.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.issued) >= CERTIFICATE_RENEWAL_SECONDS
    }

    /// The form that travels.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl VerifiedLog {
    /// Whether `issuer` may certify `device` now: it is another senior admin device or, where the account has none,
    /// the device itself.
    #[must_use]
    pub fn may_certify(&self, issuer: &DeviceId, device: &DeviceId, now: Timestamp) -> bool {
        self.may_certify_at(issuer, device, now, self.head().sequence)
    }

    /// As it was after entry `pinned`, as far as the devices are still in force.
    fn may_certify_at(
        &self,
        issuer: &DeviceId,
        device: &DeviceId,
        at: Timestamp,
        pinned: u64,
    ) -> bool {
        let others: Vec<&DeviceId> = self
            .devices()
            .iter()
            .filter(|other| other.admin && other.id != *device && self.is_senior(&other.id, at))
            .map(|other| &other.id)
            .filter(|other| {
                let standing = self.chain.state.standing(other);
                // Before it had keys of the suite it could certify nobody.
                standing.is_some_and(|standing| standing.suite_since <= pinned)
            })
            .collect();
        if others.is_empty() {
            issuer == device
                && self
                    .device(device)
                    .is_some_and(|own| own.suite() == self.suite())
        } else {
            others.contains(&issuer)
        }
    }
}
