//! Devices: what the log says of them, and the secrets they keep.

use crate::codec::{DecodeError, Reader, Writer};
use crate::hpke::{EnvelopePublic, EnvelopeSecret};
use crate::secret::{Secret, SecretBytes};
use crate::sign::{SigningKey, VerifyingKey};
use crate::{DeviceId, Suite, Timestamp, X25519Public, X25519Secret};
use rand_core::CryptoRng;

/// A device as the log names it. Public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub(super) id: DeviceId,
    pub(super) admin: bool,
    pub(super) added: Timestamp,
    /// There in suites that have one ([`Suite::has_identity_keys`]).
    pub(super) identity: Option<X25519Public>,
    pub(super) verifying: VerifyingKey,
    pub(super) envelope: EnvelopePublic,
}

impl DeviceRecord {
    /// The device's id.
    #[must_use]
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Whether it may add and revoke devices.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.admin
    }

    /// When it was added, to the hour.
    #[must_use]
    pub fn added(&self) -> Timestamp {
        self.added
    }

    /// The suite of its keys: that of the log, or an older one until the device has new keys.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.verifying.suite()
    }

    /// Its identity key in ratchet sessions, in suites that have one ([`Suite::has_identity_keys`]).
    #[must_use]
    pub fn identity(&self) -> Option<&X25519Public> {
        self.identity.as_ref()
    }

    /// Whether all keys of both are the same.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        self.identity == other.identity
            && self.verifying == other.verifying
            && self.envelope == other.envelope
    }

    /// What its signatures verify with.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// What its leaves in MLS groups are signed with, see [`VerifyingKey::leaf_key`].
    #[must_use]
    pub fn leaf_key(&self) -> &[u8] {
        self.verifying.leaf_key()
    }

    /// What first letters to it are sealed to.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopePublic {
        &self.envelope
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.u8(u8::from(self.admin));
        out.u64(self.added.as_secs());
        if let Some(identity) = &self.identity {
            out.array(identity.as_bytes());
        }
        out.array(self.verifying.as_bytes());
        out.array(self.envelope.as_bytes());
    }

    pub(super) fn read(input: &mut Reader<'_>, suite: Suite) -> Result<Self, DecodeError> {
        let id = DeviceId::from_bytes(input.array()?);
        let admin = match input.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Invalid),
        };
        let added = Timestamp::from_secs(input.u64()?);
        let identity = if suite.has_identity_keys() {
            Some(X25519Public(input.array()?))
        } else {
            None
        };
        let reduced = identity.as_ref().is_none_or(X25519Public::is_reduced);
        if added != added.to_hour() || !reduced {
            return Err(DecodeError::Invalid);
        }
        let verifying = VerifyingKey::from_bytes(suite, input.take(suite.verifying_key_len())?)
            .map_err(|_| DecodeError::Invalid)?;
        let envelope = EnvelopePublic::from_bytes(suite, input.take(suite.envelope_key_len())?)
            .map_err(|_| DecodeError::Invalid)?;
        Ok(Self {
            id,
            admin,
            added,
            identity,
            verifying,
            envelope,
        })
    }

    /// Checks what costs too much to be checked at each reading.
    pub(super) fn check_identity(&self) -> Result<(), DecodeError> {
        // SECURITY: a key of low order or with a second encoding has no place in a log;
        // `low_order_identity_is_refused` and `low_order_identity_of_a_later_entry_is_refused` notice.
        let canonical = X25519Public::is_canonical;
        if self.identity.as_ref().is_none_or(canonical) {
            Ok(())
        } else {
            Err(DecodeError::Invalid)
        }
    }
}

/// The secrets of one device. They are made on it and never leave it.
pub struct DeviceSecrets {
    id: DeviceId,
    signing: SigningKey,
    opening: OpeningSecrets,
}

impl DeviceSecrets {
    /// Draws id, identity key (in suites that have one), signing key, envelope key, in this order.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        Self::draw(DeviceId::random(rng), suite, rng)
    }

    /// Draws new keys of a suite for the same device: identity key (in suites that have one), signing key, envelope
    /// key, in this order.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn renewed(&self, suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        Self::draw(self.id, suite, rng)
    }

    fn draw(id: DeviceId, suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        let identity = suite
            .has_identity_keys()
            .then(|| X25519Secret::from_random(rng));
        let signing = SigningKey::generate(suite, rng).map_err(|_| DecodeError::Invalid)?;
        let envelope = EnvelopeSecret::generate(suite, rng).map_err(|_| DecodeError::Invalid)?;
        Ok(Self {
            id,
            signing,
            opening: OpeningSecrets { identity, envelope },
        })
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.signing.suite()
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.id
    }

    /// The identity key of ratchet sessions, in suites that have one.
    #[must_use]
    pub fn identity(&self) -> Option<&X25519Secret> {
        self.opening.identity()
    }

    /// The signing key.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens first letters.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopeSecret {
        self.opening.envelope()
    }

    /// What the log says of this device.
    pub(super) fn record(&self, admin: bool, added: Timestamp) -> DeviceRecord {
        DeviceRecord {
            id: self.id,
            admin,
            added: added.to_hour(),
            identity: self.identity().map(X25519Secret::public),
            verifying: self.signing.verifying_key().clone(),
            envelope: self.envelope().public().clone(),
        }
    }

    /// The stored form. `hybrid`: id ‖ identity 32 ‖ signing seed 64 ‖ envelope seed 32; `cnsa2`: `0002 ‖ id ‖ signing
    /// seed 32 ‖ envelope seed 64`. The length tells which.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        write_suite(self.suite(), &mut out);
        out.array(self.id.as_bytes());
        if let Some(identity) = self.identity() {
            out.array(identity.secret().expose_secret());
        }
        out.array(self.signing.seed().expose_secret());
        out.array(self.envelope().seed().expose_secret());
        SecretBytes::new(out.finish())
    }

    /// The stored form of what is kept when the keys are replaced. `hybrid`: identity 32 ‖ envelope seed 32;
    /// `cnsa2`: `0002 ‖ envelope seed 64`.
    #[must_use]
    pub fn encode_opening(&self) -> SecretBytes {
        let mut out = Writer::new();
        write_suite(self.suite(), &mut out);
        if let Some(identity) = self.identity() {
            out.array(identity.secret().expose_secret());
        }
        out.array(self.envelope().seed().expose_secret());
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let suite = read_suite(&mut input, |suite| {
            let identity_len = if suite.has_identity_keys() { 32 } else { 0 };
            DeviceId::LEN
                .saturating_add(identity_len)
                .saturating_add(suite.signing_seed_len())
                .saturating_add(suite.envelope_seed_len())
        })?;
        let id = DeviceId::from_bytes(input.array()?);
        let identity = read_identity(suite, &mut input)?;
        let seed = SecretBytes::from(input.take(suite.signing_seed_len())?);
        let signing = SigningKey::from_seed(suite, seed).map_err(|_| DecodeError::Invalid)?;
        let envelope = read_envelope(suite, &mut input)?;
        input.finish()?;
        Ok(Self {
            id,
            signing,
            opening: OpeningSecrets { identity, envelope },
        })
    }
}

/// What opens what was sealed for a device: its identity and envelope keys, without the one that signs for it.
pub struct OpeningSecrets {
    identity: Option<X25519Secret>,
    envelope: EnvelopeSecret,
}

impl OpeningSecrets {
    /// The identity key of ratchet sessions, in suites that have one.
    #[must_use]
    pub fn identity(&self) -> Option<&X25519Secret> {
        self.identity.as_ref()
    }

    /// What opens first letters.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopeSecret {
        &self.envelope
    }

    /// Reads the stored form, [`DeviceSecrets::encode_opening`].
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let suite = read_suite(&mut input, |suite| {
            let identity_len = if suite.has_identity_keys() { 32 } else { 0 };
            suite.envelope_seed_len().saturating_add(identity_len)
        })?;
        let identity = read_identity(suite, &mut input)?;
        let envelope = read_envelope(suite, &mut input)?;
        input.finish()?;
        Ok(Self { identity, envelope })
    }
}

/// The root key: signs genesis, root rotation, suite upgrade and reset, and nothing else.
pub struct RootSecret(SigningKey);

impl RootSecret {
    /// Draws a root key.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        SigningKey::generate(suite, rng)
            .map(Self)
            .map_err(|_| DecodeError::Invalid)
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.0
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.0.suite()
    }

    /// What its signatures verify with.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.0.verifying_key()
    }

    /// The stored form. `hybrid`: the seed, 64 bytes; `cnsa2`: `0002 ‖ seed 32`. The length tells which.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        write_suite(self.suite(), &mut out);
        out.array(self.0.seed().expose_secret());
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let suite = read_suite(&mut input, Suite::signing_seed_len)?;
        let seed = SecretBytes::from(input.take(suite.signing_seed_len())?);
        input.finish()?;
        SigningKey::from_seed(suite, seed)
            .map(Self)
            .map_err(|_| DecodeError::Invalid)
    }
}

/// Stored secrets of `hybrid` are older than other suites and name none.
fn write_suite(suite: Suite, out: &mut Writer) {
    if suite != Suite::Hybrid {
        out.u16(suite.number());
    }
}

/// Reads which suite a stored form is of, whose length without that number is `length`.
fn read_suite(
    input: &mut Reader<'_>,
    length: impl Fn(Suite) -> usize,
) -> Result<Suite, DecodeError> {
    if input.remaining() == length(Suite::Hybrid) {
        return Ok(Suite::Hybrid);
    }
    let suite = Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?;
    if suite == Suite::Hybrid || input.remaining() != length(suite) {
        return Err(DecodeError::Invalid);
    }
    Ok(suite)
}

fn read_identity(
    suite: Suite,
    input: &mut Reader<'_>,
) -> Result<Option<X25519Secret>, DecodeError> {
    if !suite.has_identity_keys() {
        return Ok(None);
    }
    let bytes = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
    Ok(Some(X25519Secret::from_secret(&bytes)))
}

fn read_envelope(suite: Suite, input: &mut Reader<'_>) -> Result<EnvelopeSecret, DecodeError> {
    let seed = SecretBytes::from(input.take(suite.envelope_seed_len())?);
    EnvelopeSecret::from_seed(suite, seed).map_err(|_| DecodeError::Invalid)
}
