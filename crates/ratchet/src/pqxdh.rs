//! PQXDH: the agreement that begins a session (docs/spec/ratchet.md, sections 3 and 6.1).

use crate::parts::part;
use crate::pre_key::{KemPreKey, OneTimePreKey, PreKeyBundle, SignedPreKey, encode_kem_key};
use crate::profile::Profile;
use crate::wire::{PreKeyMessage, encode_key};
use keys::codec::Writer;
use keys::kem::{KemPublic, MalformedKem};
use keys::{AllZero, Secret, X25519Public, X25519Secret, hkdf_sha256, sha256};
use rand_core::CryptoRng;

/// What both sides derive.
pub(crate) struct Agreement {
    pub(crate) root: Secret<32>,
    pub(crate) chain: Secret<32>,
    pub(crate) spqr: Secret<32>,
}

/// Why there is no agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAgreement {
    AllZero,
    Kem,
}

impl From<AllZero> for NoAgreement {
    fn from(_: AllZero) -> Self {
        Self::AllZero
    }
}

impl From<MalformedKem> for NoAgreement {
    fn from(_: MalformedKem) -> Self {
        Self::Kem
    }
}

/// The secrets that go into the derivation, in their order.
struct Inputs {
    dh: [Secret<32>; 3],
    one_time: Option<Secret<32>>,
    kem: Secret<32>,
}

impl Inputs {
    /// *Formula*: `HKDF(no salt, FF×32 ‖ DH1 ‖ DH2 ‖ DH3 [‖ DH4] ‖ SS, info, 96)` = root ‖ chain ‖ SPQR auth key;
    /// `info` is the label, and in the `letterlock` profile `‖ 00 ‖ SHA-256(transcript)`.
    fn derive(&self, profile: Profile, transcript: Option<&[u8; 32]>) -> Agreement {
        let [dh1, dh2, dh3] = &self.dh;
        let mut ikm: Vec<&[u8]> = vec![
            &[0xff; 32],
            dh1.expose_secret(),
            dh2.expose_secret(),
            dh3.expose_secret(),
        ];
        if let Some(dh4) = &self.one_time {
            ikm.push(dh4.expose_secret());
        }
        ikm.push(self.kem.expose_secret());
        let mut info = vec![profile.parameters().pqxdh.as_bytes()];
        if let Some(hash) = transcript {
            info.push(&[0]);
            info.push(hash);
        }
        let okm: Secret<96> = hkdf_sha256(&[], &ikm, &info);
        Agreement {
            root: part(&okm, 0),
            chain: part(&okm, 32),
            spqr: part(&okm, 64),
        }
    }
}

/// Alice's half: her base key, the ciphertext, and what is left to derive once the transcript is known.
pub(crate) struct Initiation {
    pub(crate) base: X25519Public,
    /// Type byte ‖ ciphertext.
    pub(crate) ciphertext: Vec<u8>,
    inputs: Inputs,
}

impl Initiation {
    /// Draws the base key, then the KEM's randomness, 32 bytes each.
    pub(crate) fn new(
        identity: &X25519Secret,
        their_identity: &X25519Public,
        bundle: &PreKeyBundle,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, NoAgreement> {
        let base = X25519Secret::from_random(rng);
        let dh = [
            identity.agree(&bundle.signed.key)?,
            base.agree(their_identity)?,
            base.agree(&bundle.signed.key)?,
        ];
        let one_time = match &bundle.one_time {
            Some(one_time) => Some(base.agree(&one_time.key)?),
            None => None,
        };
        let (raw, kem) = bundle.kem.key.encapsulate(&Secret::random(rng))?;
        let ciphertext = [&[bundle.kem.key.kem() as u8][..], &raw].concat();
        Ok(Self {
            base: base.public(),
            ciphertext,
            inputs: Inputs { dh, one_time, kem },
        })
    }

    pub(crate) fn derive(&self, profile: Profile, transcript: Option<&[u8; 32]>) -> Agreement {
        self.inputs.derive(profile, transcript)
    }
}

/// Bob's half.
pub(crate) fn respond(
    profile: Profile,
    identity: &X25519Secret,
    own: (&SignedPreKey, Option<&OneTimePreKey>, &KemPreKey),
    message: &PreKeyMessage,
    transcript: Option<&[u8; 32]>,
) -> Result<Agreement, NoAgreement> {
    let (signed, one_time, kem_key) = own;
    let (kem_type, raw) = message
        .kem_ciphertext
        .split_first()
        .ok_or(NoAgreement::Kem)?;
    if *kem_type != kem_key.secret.kem() as u8 {
        return Err(NoAgreement::Kem);
    }
    let dh = [
        signed.secret.agree(&message.identity)?,
        identity.agree(&message.base_key)?,
        signed.secret.agree(&message.base_key)?,
    ];
    let one_time = match one_time {
        Some(one_time) => Some(one_time.secret.agree(&message.base_key)?),
        None => None,
    };
    let kem = kem_key.secret.decapsulate(raw)?;
    Ok(Inputs { dh, one_time, kem }.derive(profile, transcript))
}

/// What the `letterlock` profile binds a session to.
pub(crate) struct Transcript<'a> {
    pub(crate) initiator: &'a X25519Public,
    pub(crate) responder: &'a X25519Public,
    pub(crate) base: &'a X25519Public,
    pub(crate) signed: (u32, &'a X25519Public),
    pub(crate) one_time: Option<(u32, &'a X25519Public)>,
    pub(crate) kem: (u32, &'a KemPublic),
    pub(crate) ciphertext: &'a [u8],
    pub(crate) registration_id: u32,
    pub(crate) initiator_list: &'a [u8],
    pub(crate) responder_list: &'a [u8],
}

impl Transcript<'_> {
    /// *Formula*: SHA-256 of LP(first byte) ‖ LP(IK_A) ‖ LP(IK_B) ‖ LP(EK_A) ‖ BE4(signed id) ‖ LP(SPK_B) ‖
    /// LP(one-time id and key, or empty) ‖ BE4(KEM id) ‖ LP(KEM key) ‖ LP(KEM ciphertext) ‖ BE4(registration id) ‖
    /// LP(hash A) ‖ LP(hash B).
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut out = Writer::new();
        out.bytes(&[Profile::Letterlock.parameters().first_byte]);
        out.bytes(&encode_key(self.initiator));
        out.bytes(&encode_key(self.responder));
        out.bytes(&encode_key(self.base));
        out.u32(self.signed.0);
        out.bytes(&encode_key(self.signed.1));
        match self.one_time {
            Some((id, key)) => out.bytes(&[&id.to_be_bytes()[..], &encode_key(key)].concat()),
            None => out.bytes(&[]),
        }
        out.u32(self.kem.0);
        out.bytes(&encode_kem_key(self.kem.1));
        out.bytes(self.ciphertext);
        out.u32(self.registration_id);
        out.bytes(self.initiator_list);
        out.bytes(self.responder_list);
        sha256(&[&out.finish()])
    }
}
