//! Replays the start of a session: bundle, agreement, first sending chain.

use super::ReplayError;
use super::draws::Draws;
use super::facts::Facts;
use super::json::{array, bytes, field, optional, secret, small};
use super::party::{NOW, Party};
use crate::party::Remote;
use crate::pqxdh::Initiation;
use crate::pre_key::{
    KemPreKey, KemPreKeyPublic, OneTimePreKey, PreKeyBundle, PreKeyKind, PreKeySignature,
    SignedPreKey, SignedPreKeyPublic, encode_kem_key,
};
use crate::profile::Profile;
use crate::wire::encode_key;
use keys::kem::{Kem, KemSecret};
use keys::{X25519Secret, xeddsa};
use serde_json::Value;

fn failed(error: impl std::fmt::Display) -> ReplayError {
    ReplayError::new(error.to_string())
}

/// Makes the pre-keys of a bundle and gives them to their owner.
pub(super) fn publish(
    owner: &mut Party,
    recorded: &Value,
    facts: &mut Facts,
) -> Result<PreKeyBundle, ReplayError> {
    let signed = signed(owner, field(recorded, "signed_pre_key")?, facts)
        .map_err(|error| error.at("signed pre-key"))?;
    let kem = kem(owner, field(recorded, "kyber_pre_key")?, facts)
        .map_err(|error| error.at("KEM pre-key"))?;
    let one_time = optional(recorded, "one_time_pre_key");
    let one_time = one_time
        .map(|recorded| one_time_key(recorded, facts))
        .transpose()
        .map_err(|error| error.at("one-time pre-key"))?;
    let bundle = PreKeyBundle {
        registration_id: owner.registration_id,
        signed: signed.public().clone(),
        kem: kem.public().clone(),
        one_time: one_time.as_ref().map(|key| *key.public()),
    };
    owner.signed.insert(bundle.signed.id, signed);
    owner.kem.insert(bundle.kem.id, kem);
    if let Some(key) = one_time {
        owner.one_time.insert(key.public().id, key);
    }
    Ok(bundle)
}

/// Signs a serialised key with the recorded randomness.
fn signature(
    owner: &Party,
    key: &[u8],
    recorded: &Value,
    facts: &mut Facts,
) -> Result<PreKeySignature, ReplayError> {
    let signature = xeddsa::sign(&owner.identity, key, &array(recorded, "signature_Z")?);
    facts.bytes("signature", &signature, &bytes(recorded, "signature")?)?;
    Ok(PreKeySignature::Signal(signature))
}

fn signed(owner: &Party, recorded: &Value, facts: &mut Facts) -> Result<SignedPreKey, ReplayError> {
    let private = X25519Secret::from_secret(&secret(recorded, "private")?);
    let key = private.public();
    facts.bytes("key", &encode_key(&key), &bytes(recorded, "public")?)?;
    let signature = signature(owner, &encode_key(&key), recorded, facts)?;
    let id = small(recorded, "id")?;
    let public = SignedPreKeyPublic { id, key, signature };
    Ok(SignedPreKey::from_parts(private, public))
}

fn one_time_key(recorded: &Value, facts: &mut Facts) -> Result<OneTimePreKey, ReplayError> {
    let private = X25519Secret::from_secret(&secret(recorded, "private")?);
    let key = OneTimePreKey::from_secret(small(recorded, "id")?, private);
    let public = bytes(recorded, "public")?;
    facts.bytes("key", &encode_key(&key.public().key), &public)?;
    Ok(key)
}

/// All recorded KEM pre-keys are used as last-resort ones.
fn kem(owner: &Party, recorded: &Value, facts: &mut Facts) -> Result<KemPreKey, ReplayError> {
    let seed = secret(recorded, "seed_d_z")?;
    let (private, key) = KemSecret::from_seed(Kem::Kyber1024, &seed).map_err(failed)?;
    let stored = bytes(recorded, "secret")?;
    let stored = stored.strip_prefix(&[Kem::Kyber1024 as u8]);
    facts.long_secret("secret key", private.secret(), stored.unwrap_or_default())?;
    let serialised = encode_kem_key(&key);
    facts.bytes("key", &serialised, &bytes(recorded, "public")?)?;
    let public = KemPreKeyPublic {
        id: small(recorded, "id")?,
        kind: PreKeyKind::LastResortKem,
        signature: signature(owner, &serialised, recorded, facts)?,
        key,
    };
    Ok(KemPreKey::from_parts(private, public))
}

/// Begins a session of `own` with the bundle of `peer`.
pub(super) fn start(
    own: &mut Party,
    peer: &Party,
    bundle: &PreKeyBundle,
    step: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let recorded = field(step, "draws")?;
    let draw = |name| bytes(recorded, name);
    let [base, m, ratchet] = [
        draw("base_key_private")?,
        draw("kem_encaps_m")?,
        draw("first_ratchet_private")?,
    ];
    agreements(own, peer, bundle, step, facts)?;
    let mut draws = Draws::new([base.clone(), m.clone()]);
    let theirs = peer.identity.public();
    let initiation = Initiation::new(&own.identity, &theirs, bundle, &mut draws)
        .map_err(|error| ReplayError::new(format!("no agreement: {error:?}")))?;
    let public = bytes(step, "base_key_public")?;
    facts.bytes("base key", &encode_key(&initiation.base), &public)?;
    let ciphertext = bytes(step, "kem_ciphertext")?;
    facts.bytes("KEM ciphertext", &initiation.ciphertext, &ciphertext)?;
    let expected = field(step, "expected")?;
    let agreement = initiation.derive(Profile::Signal, None);
    facts.secret("root key", &agreement.root, &bytes(expected, "root_key")?)?;
    let chain_key = bytes(expected, "chain_key")?;
    facts.secret("chain key", &agreement.chain, &chain_key)?;
    let auth_key = bytes(expected, "spqr_auth_key")?;
    facts.secret("SPQR auth key", &agreement.spqr, &auth_key)?;

    let mut draws = Draws::new([base, m, ratchet]);
    let remote = Remote::signal(theirs);
    let local = crate::party::Local::signal(&own.identity, own.registration_id);
    own.record
        .initiate(&local, &remote, bundle, NOW, &mut draws)
        .map_err(failed)?;
    draws.finish()?;
    own.trusted = Some(theirs);
    first_chains(own, expected, facts)
}

/// The secrets that are agreed on, each from both halves.
fn agreements(
    own: &Party,
    peer: &Party,
    bundle: &PreKeyBundle,
    step: &Value,
    facts: &mut Facts,
) -> Result<(), ReplayError> {
    let (draws, expected) = (field(step, "draws")?, field(step, "expected")?);
    let base = X25519Secret::from_secret(&secret(draws, "base_key_private")?);
    let missing = || ReplayError::new("the private half of a pre-key is missing");
    let signed = &peer
        .signed
        .get(&bundle.signed.id)
        .ok_or_else(missing)?
        .secret;
    let mut agrees = |name: &str, ours: &X25519Secret, theirs: &X25519Secret| {
        let recorded = bytes(expected, name)?;
        for (private, public) in [(ours, theirs.public()), (theirs, ours.public())] {
            let agreed = private.agree(&public).map_err(failed)?;
            facts.secret(name, &agreed, &recorded)?;
        }
        Ok::<(), ReplayError>(())
    };
    agrees("dh1_IKa_SPKb", &own.identity, signed)?;
    agrees("dh2_EKa_IKb", &base, &peer.identity)?;
    agrees("dh3_EKa_SPKb", &base, signed)?;
    let one_time = bundle.one_time.as_ref();
    let one_time = one_time.and_then(|key| peer.one_time.get(&key.id));
    match (one_time, optional(expected, "dh4_EKa_OPKb")) {
        (Some(key), Some(_)) => agrees("dh4_EKa_OPKb", &base, &key.secret)?,
        (None, None) => {}
        _ => {
            return Err(ReplayError::new(
                "one-time pre-key or its secret is missing",
            ));
        }
    }
    let kem = peer.kem.get(&bundle.kem.id).ok_or_else(missing)?;
    let m = secret(draws, "kem_encaps_m")?;
    let (ciphertext, encapsulated) = bundle.kem.key.encapsulate(&m).map_err(failed)?;
    let decapsulated = kem.secret.decapsulate(&ciphertext).map_err(failed)?;
    let recorded = bytes(expected, "kem_shared_secret")?;
    facts.secret("encapsulated secret", &encapsulated, &recorded)?;
    facts.secret("decapsulated secret", &decapsulated, &recorded)
}

fn first_chains(own: &Party, expected: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let session = own.record.current.as_ref();
    let session = session.ok_or_else(|| ReplayError::new("no session began"))?;
    let (name, ratchet) = (
        "initiator_root_key_after_first_sending_step",
        &session.ratchet,
    );
    facts.secret(name, &ratchet.root.0, &bytes(expected, name)?)?;
    let name = "initiator_first_sending_chain_key";
    facts.secret(name, &ratchet.sending.key.0, &bytes(expected, name)?)
}
