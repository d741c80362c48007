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
    pub(super) identity: X25519Public,
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

    /// Its identity key in ratchet sessions.
    #[must_use]
    pub fn identity(&self) -> &X25519Public {
        &self.identity
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
        out.array(self.identity.as_bytes());
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
        let identity = X25519Public(input.array()?);
        if added != added.to_hour() || !identity.is_reduced() {
            return Err(DecodeError::Invalid);
        }
        let verifying = VerifyingKey::from_bytes(suite, input.take(suite.verifying_key_len())?)
            .map_err(|_| DecodeError::Invalid)?;
        let envelope = EnvelopePublic::from_bytes(input.take(suite.envelope_key_len())?)
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
        if self.identity.is_canonical() {
            Ok(())
        } else {
            Err(DecodeError::Invalid)
        }
    }
}

/// The secrets of one device. They are made on it and never leave it.
pub struct DeviceSecrets {
    id: DeviceId,
    identity: X25519Secret,
    signing: SigningKey,
    envelope: EnvelopeSecret,
}

impl DeviceSecrets {
    /// Draws id, identity key, signing key, envelope key, in this order.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        Self::draw(DeviceId::random(rng), rng)
    }

    /// Draws new keys for the same device: identity key, signing key, envelope key, in this order.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn renewed(&self, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        Self::draw(self.id, rng)
    }

    fn draw(id: DeviceId, rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        let identity = X25519Secret::from_random(rng);
        let signing =
            SigningKey::from_seed(Secret::random(rng)).map_err(|_| DecodeError::Invalid)?;
        let envelope = EnvelopeSecret::generate(rng).map_err(|_| DecodeError::Invalid)?;
        Ok(Self {
            id,
            identity,
            signing,
            envelope,
        })
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.id
    }

    /// The identity key of ratchet sessions.
    #[must_use]
    pub fn identity(&self) -> &X25519Secret {
        &self.identity
    }

    /// The signing key.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens first letters.
    #[must_use]
    pub fn envelope(&self) -> &EnvelopeSecret {
        &self.envelope
    }

    /// What the log says of this device.
    pub(super) fn record(&self, admin: bool, added: Timestamp) -> DeviceRecord {
        DeviceRecord {
            id: self.id,
            admin,
            added: added.to_hour(),
            identity: self.identity.public(),
            verifying: self.signing.verifying_key().clone(),
            envelope: self.envelope.public().clone(),
        }
    }

    /// The stored form: id ‖ identity 32 ‖ signing seed 64 ‖ envelope seed 32.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::new();
        out.array(self.id.as_bytes());
        out.array(self.identity.secret().expose_secret());
        out.array(self.signing.seed().expose_secret());
        out.array(self.envelope.seed().expose_secret());
        SecretBytes::new(out.finish())
    }

    /// The stored form of what is kept when the keys are replaced: identity 32 ‖ envelope seed 32.
    #[must_use]
    pub fn encode_opening(&self) -> SecretBytes {
        let mut out = Writer::new();
        out.array(self.identity.secret().expose_secret());
        out.array(self.envelope.seed().expose_secret());
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let id = DeviceId::from_bytes(input.array()?);
        let identity = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
        let signing = Secret::from_slice(input.take(64)?).ok_or(DecodeError::Invalid)?;
        let envelope = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
        input.finish()?;
        Ok(Self {
            id,
            identity: X25519Secret::from_secret(&identity),
            signing: SigningKey::from_seed(signing).map_err(|_| DecodeError::Invalid)?,
            envelope: EnvelopeSecret::from_seed(envelope).map_err(|_| DecodeError::Invalid)?,
        })
    }
}

/// What opens what was sealed for a device: its identity and envelope keys, without the one that signs for it.
pub struct OpeningSecrets {
    identity: X25519Secret,
    envelope: EnvelopeSecret,
}

impl OpeningSecrets {
    /// The identity key of ratchet sessions.
    #[must_use]
    pub fn identity(&self) -> &X25519Secret {
        &self.identity
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
        let identity = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
        let envelope = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
        input.finish()?;
        Ok(Self {
            identity: X25519Secret::from_secret(&identity),
            envelope: EnvelopeSecret::from_seed(envelope).map_err(|_| DecodeError::Invalid)?,
        })
    }
}

/// The root key: signs genesis, root rotation, suite upgrade and reset, and nothing else.
pub struct RootSecret(SigningKey);

impl RootSecret {
    /// Draws a root key.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`]: the library failed.
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, DecodeError> {
        SigningKey::from_seed(Secret::random(rng))
            .map(Self)
            .map_err(|_| DecodeError::Invalid)
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.0
    }

    /// The stored form: the seed, 64 bytes.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        SecretBytes::from(&self.0.seed().expose_secret()[..])
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: it is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let seed = Secret::from_slice(bytes).ok_or(DecodeError::Short)?;
        SigningKey::from_seed(seed)
            .map(Self)
            .map_err(|_| DecodeError::Invalid)
    }
}
