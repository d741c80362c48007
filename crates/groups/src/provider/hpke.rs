//! HPKE (RFC 9180), base and PSK mode, over any of our KEMs.

use super::aead::{Aead, AeadKey};
use super::error::CryptoError;
use super::kem::Kem;
use keys::SecretBytes;
use keys::sha2::{HmacKey, Sha2};
use mls_rs_core::crypto::{HpkeContextR, HpkeContextS, HpkePsk};
use rand_core::CryptoRng;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;
const MODE_PSK: u8 = 1;
/// RFC 9180, section 9.5.
const SHORTEST_PSK: usize = 32;
const LONGEST_HASH: usize = 64;

/// KEM, KDF and AEAD of one suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hpke {
    pub(crate) kem: Kem,
    pub(crate) aead: Aead,
    hash: Sha2,
    /// "HPKE" ‖ I2OSP(kem_id, 2) ‖ I2OSP(kdf_id, 2) ‖ I2OSP(aead_id, 2).
    id: [u8; 10],
    /// psk_id_hash of the base mode, which is always the same; as many bytes as a hash has.
    base_psk_id_hash: [u8; LONGEST_HASH],
}

impl Hpke {
    pub(crate) fn new(kem: Kem, hash: Sha2, aead: Aead) -> Self {
        let kdf_id = match hash {
            Sha2::Sha256 => 1,
            Sha2::Sha384 => 2,
            Sha2::Sha512 => 3_u16,
        };
        let mut id = *b"HPKE......";
        let numbers = [kem.id(), kdf_id, aead.id()];
        let (_, places) = id.split_at_mut(4);
        for (place, number) in places.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let mut hpke = Self {
            kem,
            aead,
            hash,
            id,
            base_psk_id_hash: [0; LONGEST_HASH],
        };
        let hashed = hpke.extract(&[], b"psk_id_hash", &[]);
        for (to, from) in hpke.base_psk_id_hash.iter_mut().zip(hashed.expose_secret()) {
            *to = *from;
        }
        hpke
    }

    /// SetupBaseS and SetupPSKS: ciphertext of the KEM and context.
    pub(crate) fn set_up_sender(
        self,
        rng: &mut dyn CryptoRng,
        to: &[u8],
        info: &Info<'_>,
        psk: Option<HpkePsk<'_>>,
    ) -> Result<(Vec<u8>, Context), CryptoError> {
        let (ciphertext, shared) = self.kem.encapsulate(rng, to)?;
        let context = self.key_schedule(&shared, info, psk)?;
        Ok((ciphertext, context))
    }

    /// SetupBaseR and SetupPSKR.
    pub(crate) fn set_up_receiver(
        self,
        ciphertext: &[u8],
        (secret, public): (&[u8], &[u8]),
        info: &Info<'_>,
        psk: Option<HpkePsk<'_>>,
    ) -> Result<Context, CryptoError> {
        let shared = self.kem.decapsulate(ciphertext, secret, public)?;
        self.key_schedule(&shared, info, psk)
    }

    /// KeySchedule of RFC 9180, section 5.1.
    fn key_schedule(
        self,
        shared: &SecretBytes,
        info: &Info<'_>,
        psk: Option<HpkePsk<'_>>,
    ) -> Result<Context, CryptoError> {
        // SECURITY: `short_or_nameless_psk_is_refused` notices.
        if psk
            .as_ref()
            .is_some_and(|psk| psk.id.is_empty() || psk.value.len() < SHORTEST_PSK)
        {
            return Err(CryptoError::Psk);
        }
        let info_hash = info.hash(self);
        let mut context = Vec::with_capacity(1 + 2 * LONGEST_HASH);
        match &psk {
            None => {
                context.push(MODE_BASE);
                context.extend(self.base_psk_id_hash.iter().take(self.hash.output_len()));
            }
            Some(psk) => {
                context.push(MODE_PSK);
                let hashed = self.extract(&[], b"psk_id_hash", psk.id);
                context.extend(hashed.expose_secret());
            }
        }
        context.extend(info_hash);
        let psk = psk.unwrap_or_default();
        let secret = self.extract(shared.expose_secret(), b"secret", psk.value);
        let secret = HmacKey::new(self.hash, secret.expose_secret());
        let key = self.expand(&secret, b"key", &context, self.aead.key_len())?;
        let base_nonce = self.expand(&secret, b"base_nonce", &context, self.aead.nonce_len())?;
        Ok(Context {
            hpke: self,
            key: self.aead.key(key.expose_secret())?,
            base_nonce,
            sequence: 0,
            secret,
            context,
        })
    }

    /// LabeledExtract of RFC 9180, section 4.
    fn extract(self, salt: &[u8], label: &[u8], ikm: &[u8]) -> SecretBytes {
        self.hash.extract(salt, &[VERSION, &self.id, label, ikm])
    }

    /// LabeledExpand of RFC 9180, section 4.
    fn expand(
        self,
        prk: &HmacKey,
        label: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretBytes, CryptoError> {
        let written = u16::try_from(length).map_err(|_| CryptoError::TooLong)?;
        let info = [&written.to_be_bytes(), VERSION, &self.id, label, info];
        prk.expand(&info, length).ok_or(CryptoError::TooLong)
    }
}

/// The `info` that was hashed last: a commit seals to many under one, which holds all that a group shows.
#[derive(Default)]
pub(crate) struct LastInfo(Mutex<Option<Hashed>>);

struct Hashed {
    id: [u8; 10],
    info: Vec<u8>,
    hash: Vec<u8>,
}

/// An `info` of HPKE, with what was hashed before it. None of it is secret.
pub(crate) struct Info<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) last: &'a LastInfo,
}

impl Info<'_> {
    fn hash(&self, hpke: Hpke) -> Vec<u8> {
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && known.id == hpke.id
            && known.info == self.bytes
        {
            return known.hash.clone();
        }
        let hash = hpke.extract(&[], b"info_hash", self.bytes);
        let hash = hash.expose_secret().to_vec();
        *last = Some(Hashed {
            id: hpke.id,
            info: self.bytes.to_vec(),
            hash: hash.clone(),
        });
        hash
    }
}

/// A context of RFC 9180, section 5.2; whether it seals or opens, its holder knows.
pub(crate) struct Context {
    hpke: Hpke,
    key: AeadKey,
    base_nonce: SecretBytes,
    sequence: u64,
    /// What the exporter secret comes of; most contexts export nothing.
    secret: HmacKey,
    context: Vec<u8>,
}

impl Context {
    pub(crate) fn seal(&mut self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let sealed = self.key.seal(&self.nonce(), aad, plaintext)?;
        self.step()?;
        Ok(sealed)
    }

    pub(crate) fn open(
        &mut self,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let opened = self.key.open(&self.nonce(), aad, sealed)?;
        self.step()?;
        Ok(opened)
    }

    pub(crate) fn export(
        &self,
        exporter_context: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let size = self.hpke.hash.output_len();
        let exporter = self
            .hpke
            .expand(&self.secret, b"exp", &self.context, size)?;
        let exporter = HmacKey::new(self.hpke.hash, exporter.expose_secret());
        self.hpke
            .expand(&exporter, b"sec", exporter_context, length)
            .map(SecretBytes::into_zeroizing)
    }

    /// ComputeNonce of RFC 9180, section 5.2.
    fn nonce(&self) -> Vec<u8> {
        let mut nonce = self.base_nonce.expose_secret().to_vec();
        let sequence = self.sequence.to_be_bytes();
        for (byte, number) in nonce.iter_mut().rev().zip(sequence.iter().rev()) {
            *byte ^= number;
        }
        nonce
    }

    fn step(&mut self) -> Result<(), CryptoError> {
        self.sequence = self.sequence.checked_add(1).ok_or(CryptoError::Failed)?;
        Ok(())
    }
}

impl HpkeContextS for Context {
    type Error = CryptoError;

    fn seal(&mut self, aad: Option<&[u8]>, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Self::seal(self, aad.unwrap_or_default(), data)
    }

    fn export(
        &self,
        exporter_context: &[u8],
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Self::export(self, exporter_context, len)
    }
}

impl HpkeContextR for Context {
    type Error = CryptoError;

    fn open(
        &mut self,
        aad: Option<&[u8]>,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Self::open(self, aad.unwrap_or_default(), ciphertext)
    }

    fn export(
        &self,
        exporter_context: &[u8],
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Self::export(self, exporter_context, len)
    }
}
