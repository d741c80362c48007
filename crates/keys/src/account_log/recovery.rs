//! Ways back for someone who lost every device: a printed sheet, or guardians (docs/spec/account-log.md, section 3).

use super::device::DeviceRecord;
use crate::codec::{DecodeError, Reader, Writer};
use crate::hpke::{EnvelopePublic, EnvelopeSecret};
use crate::kdf::{hkdf_sha512, sha256};
use crate::label::{self, Label};
use crate::secret::{Secret, SecretBytes};
use crate::sign::{SigningKey, VerifyingKey};
use crate::{Suite, Timestamp, ed25519};

/// Fewest guardians that may be needed.
pub const MIN_GUARDIANS: u8 = 2;
/// Most guardians.
pub const MAX_GUARDIANS: u8 = 16;

/// A way to recover an account. The numbers are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Method {
    /// A secret on paper.
    Sheet = 1,
    /// A secret in shares that contacts keep.
    Guardians = 2,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::Sheet, Self::Guardians];

    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sheet => "sheet",
            Self::Guardians => "guardians",
        }
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn from_number(number: u8) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Sheet),
            2 => Ok(Self::Guardians),
            _ => Err(DecodeError::Invalid),
        }
    }
}

/// What follows from a recovery secret.
///
/// *Formula*: each key is `HKDF-SHA-512(salt none, ikm secret, info label ‖ 00 ‖ method 1)` with a label of its own;
/// in suites but `hybrid` the info ends with the suite's number, two bytes. Not so that of the head key: whoever has
/// the secret alone finds the bundle by it before anything tells the suite.
pub struct RecoverySecrets {
    method: Method,
    signing: SigningKey,
    envelope: EnvelopeSecret,
    head_key: Secret<32>,
}

impl RecoverySecrets {
    /// Derives the keys of a method.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn derive(suite: Suite, method: Method, secret: &Secret<32>) -> Result<Self, DecodeError> {
        let name = match suite {
            Suite::Hybrid => vec![method.number()],
            Suite::Cnsa2 => [&[method.number()][..], &suite.number().to_be_bytes()].concat(),
        };
        let signing = expand::<64>(label::RECOVERY_SIGNING, &name, secret);
        let signing = head(&signing, suite.signing_seed_len())?;
        let envelope = expand::<64>(label::RECOVERY_ENVELOPE, &name, secret);
        let envelope = head(&envelope, suite.envelope_seed_len())?;
        Ok(Self {
            method,
            signing: SigningKey::from_seed(suite, signing).map_err(|_| DecodeError::Invalid)?,
            envelope: EnvelopeSecret::from_seed(suite, envelope)
                .map_err(|_| DecodeError::Invalid)?,
            head_key: expand(label::RECOVERY_HEAD, &[method.number()], secret),
        })
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.signing.suite()
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// What its signatures verify with.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.signing.verifying_key()
    }

    /// The key that signs entries.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens the recovery bundle.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopeSecret {
        &self.envelope
    }

    /// The Ed25519 seed that signs the head record of the recovery bundle.
    #[must_use]
    pub fn head_key(&self) -> &Secret<32> {
        &self.head_key
    }

    /// The name of the head record: SHA-256 of the Ed25519 public key.
    #[must_use]
    pub fn head_id(&self) -> [u8; 32] {
        sha256(&[&ed25519::public(&self.head_key)])
    }

    pub(super) fn record(&self, terms: &RecoveryTerms) -> RecoveryRecord {
        RecoveryRecord {
            method: self.method,
            verifying: self.verifying_key().clone(),
            envelope: self.envelope.public().clone(),
            head_id: self.head_id(),
            terms: terms.clone(),
        }
    }
}

fn expand<const N: usize>(label: Label, name: &[u8], secret: &Secret<32>) -> Secret<N> {
    hkdf_sha512(
        &[],
        &[secret.expose_secret()],
        &[label.as_bytes(), &[0], name],
    )
}

/// HKDF of fewer bytes is the head of HKDF of more (RFC 5869, section 2.3).
fn head(long: &Secret<64>, length: usize) -> Result<SecretBytes, DecodeError> {
    let head = long.expose_secret().get(..length);
    head.map(SecretBytes::from).ok_or(DecodeError::Invalid)
}

/// The terms of a method.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryTerms {
    /// Seconds from a request until guardians may add the device.
    pub delay_seconds: u64,
    /// How many guardians are needed.
    pub need: u8,
    /// One for each guardian: hash commitments to the shares.
    pub commitments: Vec<[u8; 32]>,
}

impl RecoveryTerms {
    /// The terms of a sheet: none.
    #[must_use]
    pub fn sheet() -> Self {
        Self::default()
    }

    /// Whether these terms go with the method: a sheet has none, guardians are `2 ≤ need ≤ count ≤ 16`.
    #[must_use]
    pub fn fit(&self, method: Method) -> bool {
        let count = u8::try_from(self.commitments.len()).unwrap_or(u8::MAX);
        match method {
            Method::Sheet => *self == Self::sheet(),
            Method::Guardians => {
                (MIN_GUARDIANS..=MAX_GUARDIANS).contains(&count)
                    && (MIN_GUARDIANS..=count).contains(&self.need)
            }
        }
    }
}

/// A way back as the log names it. Public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRecord {
    pub(super) method: Method,
    pub(super) verifying: VerifyingKey,
    pub(super) envelope: EnvelopePublic,
    pub(super) head_id: [u8; 32],
    pub(super) terms: RecoveryTerms,
}

impl RecoveryRecord {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// What its signatures verify with.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// What the recovery bundle is sealed to.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopePublic {
        &self.envelope
    }

    /// The name of the head record of the recovery bundle.
    #[must_use]
    pub fn head_id(&self) -> &[u8; 32] {
        &self.head_id
    }

    /// Delay, number of guardians needed, commitments.
    #[must_use]
    pub fn terms(&self) -> &RecoveryTerms {
        &self.terms
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.array(self.verifying.as_bytes());
        out.array(self.envelope.as_bytes());
        out.array(&self.head_id);
        out.u64(self.terms.delay_seconds);
        out.u8(self.terms.need);
        out.u8(u8::try_from(self.terms.commitments.len()).unwrap_or(u8::MAX));
        for commitment in &self.terms.commitments {
            out.array(commitment);
        }
    }

    pub(super) fn read(
        input: &mut Reader<'_>,
        suite: Suite,
        method: Method,
    ) -> Result<Self, DecodeError> {
        let verifying = VerifyingKey::from_bytes(suite, input.take(suite.verifying_key_len())?)
            .map_err(|_| DecodeError::Invalid)?;
        let envelope = EnvelopePublic::from_bytes(suite, input.take(suite.envelope_key_len())?)
            .map_err(|_| DecodeError::Invalid)?;
        let head_id = input.array()?;
        let delay_seconds = input.u64()?;
        let need = input.u8()?;
        let count = input.u8()?;
        if count > MAX_GUARDIANS {
            return Err(DecodeError::Invalid);
        }
        let commitments = (0..count)
            .map(|_| input.array())
            .collect::<Result<_, _>>()?;
        let terms = RecoveryTerms {
            delay_seconds,
            need,
            commitments,
        };
        if !terms.fit(method) {
            return Err(DecodeError::Invalid);
        }
        Ok(Self {
            method,
            verifying,
            envelope,
            head_id,
            terms,
        })
    }
}

/// Someone asks to come back through guardians.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRequest {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) device: DeviceRecord,
    pub(super) ready: Timestamp,
}

impl RecoveryRequest {
    /// The entry that asked.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was asked.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The device that wants to come in.
    #[must_use]
    pub fn device(&self) -> &DeviceRecord {
        &self.device
    }

    /// When guardians may add it.
    #[must_use]
    pub fn ready(&self) -> Timestamp {
        self.ready
    }
}
