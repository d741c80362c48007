//! The beginning of a session on both sides.

use crate::double_ratchet::DoubleRatchet;
use crate::incoming::IncomingPreKeyMessage;
use crate::limits;
use crate::party::{Local, Remote};
use crate::pqxdh::{self, Initiation, NoAgreement, Transcript};
use crate::pre_key::{
    BadPreKey, KemPreKey, OneTimePreKey, PreKeyBundle, PreKeyVerifier, SignedPreKey,
};
use crate::profile::Profile;
use crate::root::{OurRatchetKey, RootKey, TheirRatchetKey};
use crate::session::{Bound, Pending, Session};
use crate::spqr::{Role, Spqr};
use crate::wire::{InitiatorProof, PreKeyMessage};
use keys::{HybridSignature, Suite, Timestamp, X25519Public, X25519Secret, label, sha256};
use rand_core::CryptoRng;

/// Why no session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// The signature of a pre-key does not hold: the peer or who keeps the bundle is at fault.
    #[error("the signature of a pre-key does not hold")]
    BadSignature,
    /// A pre-key is expired: fetch a new bundle, or the peer was away for long.
    #[error("a pre-key is expired")]
    Expired,
    /// A key of the bundle is malformed, of low order, or of another profile.
    #[error("a key of the bundle is malformed")]
    BadKey,
    /// The caller gave a side of another profile, no list hash, or one that is too long.
    #[error("the sides do not fit the profile")]
    Profile,
    /// The library failed to sign.
    #[error("the handshake could not be signed")]
    Library,
}

impl From<BadPreKey> for InitiateError {
    fn from(error: BadPreKey) -> Self {
        match error {
            BadPreKey::Signature => Self::BadSignature,
            BadPreKey::Expired => Self::Expired,
            BadPreKey::Key => Self::BadKey,
        }
    }
}

impl From<NoAgreement> for InitiateError {
    fn from(_: NoAgreement) -> Self {
        Self::BadKey
    }
}

/// The pre-keys of ours that a message names, as far as they are still there.
#[derive(Default)]
pub struct OwnPreKeys<'a> {
    /// The signed EC pre-key.
    pub signed: Option<&'a SignedPreKey>,
    /// The one-time EC pre-key.
    pub one_time: Option<&'a OneTimePreKey>,
    /// The KEM pre-key.
    pub kem: Option<&'a KemPreKey>,
    /// Whether the memory of base keys holds [`Named::base_key_use`](crate::Named::base_key_use).
    pub base_key_seen: bool,
}

/// The handshake is refused.
pub(crate) struct NoSession;

impl From<NoAgreement> for NoSession {
    fn from(_: NoAgreement) -> Self {
        Self
    }
}

/// Verifies a bundle and begins a session as Alice. Draws base key, KEM randomness and first ratchet key.
pub(crate) fn initiate(
    profile: Profile,
    local: &Local<'_>,
    remote: &Remote<'_>,
    bundle: &PreKeyBundle,
    same_account: bool,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Session, InitiateError> {
    let lists = lists(profile, local, remote).ok_or(InitiateError::Profile)?;
    verify(profile, remote, bundle, now)?;
    let our_identity = local.identity.public();
    let initiation = Initiation::new(local.identity, &remote.identity, bundle, rng)?;
    let transcript = lists.map(|(ours, theirs)| {
        Transcript {
            initiator: &our_identity,
            responder: &remote.identity,
            base: &initiation.base,
            signed: (bundle.signed.id, &bundle.signed.key),
            one_time: bundle
                .one_time
                .as_ref()
                .map(|one_time| (one_time.id, &one_time.key)),
            kem: (bundle.kem.id, &bundle.kem.key),
            ciphertext: &initiation.ciphertext,
            registration_id: local.registration_id,
            initiator_list: ours,
            responder_list: theirs,
        }
        .hash()
    });
    let proof = prove(local, transcript.as_ref(), lists)?;
    let agreement = initiation.derive(profile, transcript.as_ref());
    let ours = OurRatchetKey::random(rng);
    let signed = TheirRatchetKey(bundle.signed.key);
    let ratchet = DoubleRatchet::initiator(
        profile,
        &RootKey(agreement.root),
        agreement.chain,
        ours,
        signed,
    )
    .map_err(|_| InitiateError::BadKey)?;
    let bound = Bound {
        our_identity,
        their_identity: remote.identity,
        base_key: initiation.base,
        our_registration_id: local.registration_id,
        their_registration_id: bundle.registration_id,
        jump: jump(same_account && our_identity == remote.identity),
        our_list: lists.map(|(ours, _)| ours.to_vec()).unwrap_or_default(),
        their_list: lists.map(|(_, theirs)| theirs.to_vec()).unwrap_or_default(),
        wrapper: None,
    };
    let spqr = Spqr::new(
        Role::A2B,
        &agreement.spqr,
        profile.parameters().spqr,
        bound.spqr_limits(),
    );
    let pending = Pending {
        one_time_id: bundle.one_time.as_ref().map(|one_time| one_time.id),
        signed_id: bundle.signed.id,
        kem_id: bundle.kem.id,
        kem_ciphertext: initiation.ciphertext,
        proof,
        since: now,
    };
    Ok(Session {
        bound,
        ratchet,
        spqr,
        pending: Some(Box::new(pending)),
    })
}

/// Signs the transcript with the device's key; nothing in the `signal` profile.
fn prove(
    local: &Local<'_>,
    transcript: Option<&[u8; 32]>,
    lists: Lists<'_>,
) -> Result<Option<InitiatorProof>, InitiateError> {
    let (Some(device), Some(hash), Some((ours, theirs))) = (&local.letterlock, transcript, lists)
    else {
        return Ok(None);
    };
    let signature = device
        .signing
        .sign(label::INITIATOR, hash)
        .map_err(|_| InitiateError::Library)?;
    Ok(Some(InitiatorProof {
        initiator_list: ours.to_vec(),
        responder_list: theirs.to_vec(),
        signature: signature.as_bytes().to_vec(),
    }))
}

/// Hashes of our list and of the peer's; none in the `signal` profile.
type Lists<'a> = Option<(&'a [u8], &'a [u8])>;

/// The newest own list and the peer's; nothing if the sides do not fit the profile.
fn lists<'a>(profile: Profile, local: &Local<'a>, remote: &Remote<'a>) -> Option<Lists<'a>> {
    match (profile, &local.letterlock, &remote.letterlock) {
        (Profile::Signal, None, None) => Some(None),
        (Profile::Letterlock, Some(ours), Some(theirs)) => {
            let newest: &'a [u8] = ours.lists.first()?;
            let fits = newest.len() <= limits::LIST_HASH && theirs.list.len() <= limits::LIST_HASH;
            fits.then_some(Some((newest, theirs.list)))
        }
        _ => None,
    }
}

fn verify(
    profile: Profile,
    remote: &Remote<'_>,
    bundle: &PreKeyBundle,
    now: Timestamp,
) -> Result<(), InitiateError> {
    let verifier = match &remote.letterlock {
        None => PreKeyVerifier::Signal(&remote.identity),
        Some(device) => PreKeyVerifier::Letterlock(device.verifying, now),
    };
    let canonical = |key: &X25519Public| profile == Profile::Signal || key.is_canonical();
    let one_time_fits = bundle
        .one_time
        .as_ref()
        .is_none_or(|one_time| canonical(&one_time.key));
    if !one_time_fits || !canonical(&remote.identity) {
        return Err(InitiateError::BadKey);
    }
    bundle.verify(&verifier, profile.parameters().kem)?;
    Ok(())
}

fn jump(same_account: bool) -> u32 {
    if same_account {
        u32::MAX
    } else {
        limits::FORWARD_JUMP
    }
}

/// Hash of everything in the wrapper but the message; later pre-key messages must repeat it.
pub(crate) fn wrapper_hash(message: &PreKeyMessage) -> [u8; 32] {
    let empty = PreKeyMessage {
        message: Vec::new(),
        ..message.clone()
    };
    sha256(&[&empty.encode(Profile::Letterlock)])
}

/// Begins a session as Bob. Draws nothing.
pub(crate) fn respond(
    incoming: &IncomingPreKeyMessage,
    local: &Local<'_>,
    remote: &Remote<'_>,
    own: &OwnPreKeys<'_>,
    same_account: bool,
) -> Result<Session, NoSession> {
    let (profile, outer) = (incoming.profile, &incoming.outer);
    let (signed, kem) = (own.signed.ok_or(NoSession)?, own.kem.ok_or(NoSession)?);
    let one_time = match outer.one_time_id {
        Some(_) => Some(own.one_time.ok_or(NoSession)?),
        None => None,
    };
    let ids_fit = signed.public().id == outer.signed_id
        && kem.public().id == outer.kem_id
        && one_time.map(|key| key.public().id) == outer.one_time_id;
    // SECURITY: replay of a first message without one-time keys, and a second encoding of one base key;
    // `reused_base_key_is_refused` and `non_canonical_base_key_is_refused` notice.
    if !ids_fit || own.base_key_seen || !outer.base_key.is_canonical() {
        return Err(NoSession);
    }
    if kem.secret.kem() != profile.parameters().kem {
        return Err(NoSession);
    }
    let our_identity = local.identity.public();
    let lists = responder_lists(profile, local, remote, outer)?;
    let transcript = lists.map(|(ours, theirs)| {
        Transcript {
            initiator: &outer.identity,
            responder: &our_identity,
            base: &outer.base_key,
            signed: (outer.signed_id, &signed.public().key),
            one_time: one_time.map(|key| (key.public().id, &key.public().key)),
            kem: (outer.kem_id, &kem.public().key),
            ciphertext: &outer.kem_ciphertext,
            registration_id: outer.registration_id,
            initiator_list: theirs,
            responder_list: ours,
        }
        .hash()
    });
    verify_initiator(remote, outer, transcript.as_ref())?;
    let agreement = pqxdh::respond(
        profile,
        local.identity,
        (signed, one_time, kem),
        outer,
        transcript.as_ref(),
    )?;
    let ours = OurRatchetKey::from_halves(
        X25519Secret::from_secret(signed.secret.secret()),
        signed.public().key,
    );
    let bound = Bound {
        our_identity,
        their_identity: outer.identity,
        base_key: outer.base_key,
        our_registration_id: local.registration_id,
        their_registration_id: outer.registration_id,
        jump: jump(same_account && our_identity == outer.identity),
        our_list: lists.map(|(ours, _)| ours.to_vec()).unwrap_or_default(),
        their_list: lists.map(|(_, theirs)| theirs.to_vec()).unwrap_or_default(),
        wrapper: (profile == Profile::Letterlock).then(|| wrapper_hash(outer)),
    };
    let spqr = Spqr::new(
        Role::B2A,
        &agreement.spqr,
        profile.parameters().spqr,
        bound.spqr_limits(),
    );
    let ratchet = DoubleRatchet::responder(RootKey(agreement.root), agreement.chain, ours);
    Ok(Session {
        bound,
        ratchet,
        spqr,
        pending: None,
    })
}

/// The own list that the peer saw, if it is one of ours, and the peer's, if it is the one we verified.
fn responder_lists<'a>(
    profile: Profile,
    local: &Local<'a>,
    remote: &Remote<'a>,
    outer: &PreKeyMessage,
) -> Result<Lists<'a>, NoSession> {
    match (
        profile,
        &local.letterlock,
        &remote.letterlock,
        &outer.initiator,
    ) {
        (Profile::Signal, None, None, None) => Ok(None),
        (Profile::Letterlock, Some(ours), Some(theirs), Some(proof)) => {
            let own = ours
                .lists
                .iter()
                .find(|list| **list == proof.responder_list.as_slice());
            let own = own.ok_or(NoSession)?;
            if theirs.list == proof.initiator_list.as_slice() {
                Ok(Some((own, theirs.list)))
            } else {
                Err(NoSession)
            }
        }
        _ => Err(NoSession),
    }
}

/// SECURITY: knob 13; `forged_initiator_signature_is_refused` notices.
fn verify_initiator(
    remote: &Remote<'_>,
    outer: &PreKeyMessage,
    transcript: Option<&[u8; 32]>,
) -> Result<(), NoSession> {
    match (&remote.letterlock, &outer.initiator, transcript) {
        (None, None, None) => Ok(()),
        (Some(device), Some(proof), Some(hash)) => {
            let signature = HybridSignature::from_bytes(Suite::Hybrid, &proof.signature)
                .map_err(|_| NoSession)?;
            device
                .verifying
                .verify(label::INITIATOR, hash, &signature)
                .map_err(|_| NoSession)
        }
        _ => Err(NoSession),
    }
}
