//! Pre-keys: what a device publishes so that others can begin sessions (docs/spec/ratchet.md, section 3.1).

use crate::encode::read_x25519;
use crate::initiate::InitiateError;
use crate::profile::Profile;
use crate::wire::{decode_key, encode_key};
use keys::codec::{DecodeError, Reader, Writer};
use keys::kem::{Kem, KemPublic, KemSecret, PUBLIC_LEN, SECRET_LEN};
use keys::{
    HybridSignature, MalformedSignature, Secret, SecretBytes, SigningKey, Suite, Timestamp,
    VerifyingKey, X25519Public, X25519Secret, label, xeddsa,
};
use rand_core::CryptoRng;

const VERSION: u8 = 1;
const MAX_SIGNATURE: usize = 8192;

/// What a pre-key is for; the byte is signed in the `letterlock` profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PreKeyKind {
    /// The signed EC pre-key.
    SignedEc = 1,
    /// A KEM pre-key for one session.
    OneTimeKem = 2,
    /// The KEM pre-key given out when no one-time one is left.
    LastResortKem = 3,
}

/// Signs pre-keys.
pub enum PreKeySigner<'a> {
    /// XEdDSA by the identity key over the serialised key.
    Signal(&'a X25519Secret),
    /// The device's hybrid signature, which holds until a time.
    Letterlock {
        /// The device's key.
        key: &'a SigningKey,
        /// When the pre-key expires.
        expires: Timestamp,
    },
}

/// The signature of a pre-key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreKeySignature {
    /// XEdDSA.
    Signal([u8; 64]),
    /// Hybrid, until a time.
    Letterlock {
        /// When the pre-key expires.
        expires: Timestamp,
        /// Over label, kind, id, expiry and key.
        signature: HybridSignature,
    },
}

/// Why a pre-key was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreKeyError {
    /// The library failed to make a key or a signature.
    #[error("a pre-key could not be made")]
    Library,
    /// One-time or last-resort was said of an EC pre-key, or the reverse.
    #[error("not a kind of KEM pre-key")]
    Kind,
}

impl From<MalformedSignature> for PreKeyError {
    fn from(_: MalformedSignature) -> Self {
        Self::Library
    }
}

/// The signed EC pre-key as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPreKeyPublic {
    /// Names it in first messages.
    pub id: u32,
    /// The key.
    pub key: X25519Public,
    /// By the device.
    pub signature: PreKeySignature,
}

/// A KEM pre-key as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KemPreKeyPublic {
    /// Names it in first messages.
    pub id: u32,
    /// One-time or last-resort.
    pub kind: PreKeyKind,
    /// The key.
    pub key: KemPublic,
    /// By the device.
    pub signature: PreKeySignature,
}

/// A one-time EC pre-key as others see it; unsigned, the transcript binds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneTimePreKeyPublic {
    /// Names it in first messages.
    pub id: u32,
    /// The key.
    pub key: X25519Public,
}

/// The signed EC pre-key with its private half.
pub struct SignedPreKey {
    pub(crate) secret: X25519Secret,
    public: SignedPreKeyPublic,
}

/// A KEM pre-key with its private half.
pub struct KemPreKey {
    pub(crate) secret: KemSecret,
    public: KemPreKeyPublic,
}

/// A one-time EC pre-key with its private half.
pub struct OneTimePreKey {
    pub(crate) secret: X25519Secret,
    public: OneTimePreKeyPublic,
}

/// What a stranger fetches to begin a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeyBundle {
    /// The peer's registration id.
    pub registration_id: u32,
    /// The signed EC pre-key.
    pub signed: SignedPreKeyPublic,
    /// A KEM pre-key.
    pub kem: KemPreKeyPublic,
    /// A one-time EC pre-key, if one was left.
    pub one_time: Option<OneTimePreKeyPublic>,
}

/// Why the signature of a pre-key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPreKey {
    Signature,
    Expired,
    Key,
}

/// Type byte ‖ key.
pub(crate) fn encode_kem_key(key: &KemPublic) -> Vec<u8> {
    [&[key.kem() as u8][..], key.as_bytes()].concat()
}

fn signed_bytes(kind: PreKeyKind, id: u32, expires: Timestamp, key: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(kind as u8);
    out.u32(id);
    out.u64(expires.as_secs());
    out.array(key);
    out.finish()
}

impl PreKeySigner<'_> {
    fn profile(&self) -> Profile {
        match self {
            Self::Signal(_) => Profile::Signal,
            Self::Letterlock { .. } => Profile::Letterlock,
        }
    }

    fn sign(
        &self,
        kind: PreKeyKind,
        id: u32,
        key: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<PreKeySignature, PreKeyError> {
        match self {
            Self::Signal(identity) => {
                let mut z = [0; 64];
                rng.fill_bytes(&mut z);
                Ok(PreKeySignature::Signal(xeddsa::sign(identity, key, &z)))
            }
            Self::Letterlock {
                key: signing,
                expires,
            } => {
                let signature =
                    signing.sign(label::PRE_KEY, &signed_bytes(kind, id, *expires, key))?;
                Ok(PreKeySignature::Letterlock {
                    expires: *expires,
                    signature,
                })
            }
        }
    }
}

/// What verifies pre-keys: the identity key or the device's hybrid key.
pub(crate) enum PreKeyVerifier<'a> {
    Signal(&'a X25519Public),
    Letterlock(&'a VerifyingKey, Timestamp),
}

impl PreKeySignature {
    /// Verifies the device's hybrid signature.
    fn verify(
        &self,
        by: &VerifyingKey,
        now: Timestamp,
        kind: PreKeyKind,
        id: u32,
        key: &[u8],
    ) -> Result<(), BadPreKey> {
        let Self::Letterlock { expires, signature } = self else {
            return Err(BadPreKey::Signature);
        };
        if now > *expires {
            return Err(BadPreKey::Expired);
        }
        by.verify(
            label::PRE_KEY,
            &signed_bytes(kind, id, *expires, key),
            signature,
        )
        .map_err(|_| BadPreKey::Signature)
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::Signal(signature) => {
                out.u8(Profile::Signal.number());
                out.array(signature);
            }
            Self::Letterlock { expires, signature } => {
                out.u8(Profile::Letterlock.number());
                out.u64(expires.as_secs());
                out.bytes(signature.as_bytes());
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match Profile::from_number(input.u8()?) {
            Some(Profile::Signal) => Ok(Self::Signal(input.array()?)),
            Some(Profile::Letterlock) => {
                let expires = Timestamp::from_secs(input.u64()?);
                let signature =
                    HybridSignature::from_bytes(Suite::Hybrid, input.bytes(MAX_SIGNATURE)?)
                        .map_err(|_| DecodeError::Invalid)?;
                Ok(Self::Letterlock { expires, signature })
            }
            None => Err(DecodeError::Invalid),
        }
    }

    fn is_of(&self, profile: Profile) -> bool {
        matches!(self, Self::Signal(_)) == (profile == Profile::Signal)
    }
}

fn read_key(input: &mut Reader<'_>) -> Result<X25519Public, DecodeError> {
    decode_key(input.take(33)?).map_err(|_| DecodeError::Invalid)
}

/// Reads the whole of `bytes` behind its version byte.
fn read_all<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut input = Reader::new(bytes);
    if input.u8()? != VERSION {
        return Err(DecodeError::Invalid);
    }
    let value = read(&mut input)?;
    input.finish()?;
    Ok(value)
}

fn writer() -> Writer {
    let mut out = Writer::new();
    out.u8(VERSION);
    out
}

impl PreKeyBundle {
    /// Checks the signed keys and the device's signatures of a bundle of the `letterlock` profile, as
    /// [`Record::initiate`](crate::Record::initiate) does before it begins.
    ///
    /// # Errors
    /// [`InitiateError::BadSignature`], [`InitiateError::Expired`], [`InitiateError::BadKey`].
    pub fn check(&self, by: &VerifyingKey, now: Timestamp) -> Result<(), InitiateError> {
        let by = PreKeyVerifier::Letterlock(by, now);
        Ok(self.verify(&by, Kem::MlKem1024)?)
    }

    /// Checks the signed keys and their signatures.
    pub(crate) fn verify(&self, by: &PreKeyVerifier<'_>, kem: Kem) -> Result<(), BadPreKey> {
        if self.kem.key.kem() != kem || self.kem.kind == PreKeyKind::SignedEc {
            return Err(BadPreKey::Key);
        }
        let (ec, kem) = (encode_key(&self.signed.key), encode_kem_key(&self.kem.key));
        match by {
            PreKeyVerifier::Signal(identity) => {
                let (PreKeySignature::Signal(of_ec), PreKeySignature::Signal(of_kem)) =
                    (&self.signed.signature, &self.kem.signature)
                else {
                    return Err(BadPreKey::Signature);
                };
                xeddsa::verify_all(identity, [(&ec, of_ec), (&kem, of_kem)])
                    .map_err(|_| BadPreKey::Signature)
            }
            PreKeyVerifier::Letterlock(verifying, now) => {
                // SECURITY: knob 11 before the key is used; `non_canonical_bundle_key_is_refused` notices.
                if !self.signed.key.is_canonical() {
                    return Err(BadPreKey::Key);
                }
                let (signed, one) = (&self.signed, &self.kem);
                let verify = |signature: &PreKeySignature, kind, id, key: &[u8]| {
                    signature.verify(verifying, *now, kind, id, key)
                };
                verify(&signed.signature, PreKeyKind::SignedEc, signed.id, &ec)?;
                verify(&one.signature, one.kind, one.id, &kem)
            }
        }
    }
}

impl SignedPreKeyPublic {
    fn write(&self, out: &mut Writer) {
        out.u32(self.id);
        out.array(&encode_key(&self.key));
        self.signature.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: input.u32()?,
            key: read_key(input)?,
            signature: PreKeySignature::read(input)?,
        })
    }

    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = writer();
        self.write(&mut out);
        out.finish()
    }

    /// Reads published bytes. The signature is verified when a session begins.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, Self::read)
    }
}

impl KemPreKeyPublic {
    fn write(&self, out: &mut Writer) {
        out.u32(self.id);
        out.u8(self.kind as u8);
        out.array(&encode_kem_key(&self.key));
        self.signature.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = input.u32()?;
        let kind = match input.u8()? {
            2 => PreKeyKind::OneTimeKem,
            3 => PreKeyKind::LastResortKem,
            _ => return Err(DecodeError::Invalid),
        };
        let kem = read_kem(input)?;
        let key = KemPublic::from_bytes(kem, input.take(PUBLIC_LEN)?)
            .map_err(|_| DecodeError::Invalid)?;
        let signature = PreKeySignature::read(input)?;
        let profile = if kem == Kem::Kyber1024 {
            Profile::Signal
        } else {
            Profile::Letterlock
        };
        if !signature.is_of(profile) {
            return Err(DecodeError::Invalid);
        }
        Ok(Self {
            id,
            kind,
            key,
            signature,
        })
    }

    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = writer();
        self.write(&mut out);
        out.finish()
    }

    /// Reads published bytes. The signature is verified when a session begins.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form, or a coefficient of the key is not below q.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, Self::read)
    }
}

fn read_kem(input: &mut Reader<'_>) -> Result<Kem, DecodeError> {
    match input.u8()? {
        byte if byte == Kem::Kyber1024 as u8 => Ok(Kem::Kyber1024),
        byte if byte == Kem::MlKem1024 as u8 => Ok(Kem::MlKem1024),
        _ => Err(DecodeError::Invalid),
    }
}

impl OneTimePreKeyPublic {
    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = writer();
        out.u32(self.id);
        out.array(&encode_key(&self.key));
        out.finish()
    }

    /// Reads published bytes.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, |input| {
            Ok(Self {
                id: input.u32()?,
                key: read_key(input)?,
            })
        })
    }
}

impl SignedPreKey {
    /// Makes and signs a key.
    ///
    /// # Errors
    /// [`PreKeyError::Library`].
    pub fn generate(
        id: u32,
        signer: &PreKeySigner<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, PreKeyError> {
        let secret = X25519Secret::from_random(rng);
        let key = secret.public();
        let signature = signer.sign(PreKeyKind::SignedEc, id, &encode_key(&key), rng)?;
        Ok(Self {
            secret,
            public: SignedPreKeyPublic { id, key, signature },
        })
    }

    /// Takes a key made elsewhere.
    #[must_use]
    pub fn from_parts(secret: X25519Secret, public: SignedPreKeyPublic) -> Self {
        Self { secret, public }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SignedPreKeyPublic {
        &self.public
    }

    /// The stored form. It holds the private half.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = writer();
        out.array(self.secret.secret().expose_secret());
        self.public.write(&mut out);
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, |input| {
            Ok(Self {
                secret: read_x25519(input)?,
                public: SignedPreKeyPublic::read(input)?,
            })
        })
    }
}

impl OneTimePreKey {
    /// Makes a key.
    pub fn generate(id: u32, rng: &mut dyn CryptoRng) -> Self {
        Self::from_secret(id, X25519Secret::from_random(rng))
    }

    /// Takes a key made elsewhere.
    #[must_use]
    pub fn from_secret(id: u32, secret: X25519Secret) -> Self {
        let key = secret.public();
        Self {
            secret,
            public: OneTimePreKeyPublic { id, key },
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &OneTimePreKeyPublic {
        &self.public
    }

    /// The stored form. It holds the private half.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = writer();
        out.array(self.secret.secret().expose_secret());
        out.u32(self.public.id);
        out.array(&encode_key(&self.public.key));
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, |input| {
            let secret = read_x25519(input)?;
            Ok(Self {
                secret,
                public: OneTimePreKeyPublic {
                    id: input.u32()?,
                    key: read_key(input)?,
                },
            })
        })
    }
}

impl KemPreKey {
    /// Makes and signs a key.
    ///
    /// # Errors
    /// [`PreKeyError`].
    pub fn generate(
        id: u32,
        kind: PreKeyKind,
        signer: &PreKeySigner<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, PreKeyError> {
        if kind == PreKeyKind::SignedEc {
            return Err(PreKeyError::Kind);
        }
        let kem = signer.profile().parameters().kem;
        let (secret, key) =
            KemSecret::from_seed(kem, &Secret::random(rng)).map_err(|_| PreKeyError::Library)?;
        let signature = signer.sign(kind, id, &encode_kem_key(&key), rng)?;
        Ok(Self {
            secret,
            public: KemPreKeyPublic {
                id,
                kind,
                key,
                signature,
            },
        })
    }

    /// Takes a key made elsewhere.
    #[must_use]
    pub fn from_parts(secret: KemSecret, public: KemPreKeyPublic) -> Self {
        Self { secret, public }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &KemPreKeyPublic {
        &self.public
    }

    /// The stored form. It holds the private half.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut out = writer();
        out.array(self.secret.secret().expose_secret());
        self.public.write(&mut out);
        SecretBytes::new(out.finish())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError`]: not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_all(bytes, |input| {
            let secret = SecretBytes::from(input.take(SECRET_LEN)?);
            let public = KemPreKeyPublic::read(input)?;
            let secret = KemSecret::from_bytes(public.key.kem(), secret)
                .map_err(|_| DecodeError::Invalid)?;
            Ok(Self { secret, public })
        })
    }
}
