//! Our pre-keys: made, published, topped up, used.
//!
//! A one-time key is stored before it is published and deleted in the step that uses it. The last-resort KEM key
//! and the signed key live until they are replaced; base keys that used them are remembered as long.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::outbox;
use crate::queues;
use crate::records::{Purpose, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::codec::{Reader, Writer};
use keys::kem::{KemPublic, KemSecret};
use keys::{
    HybridSignature, Secret, SigningKey, Suite, Timestamp, X25519Public, X25519Secret, label,
};
use ratchet::{
    BaseKeyMemory, KemPreKey, KemPreKeySecret, OneTimePreKey, PreKeySignature, PreKeys, Profile,
    SignedPreKey,
};
use zeroize::Zeroizing;

const SIGNED: u8 = 1;
const ONE_TIME: u8 = 2;
const KEM: u8 = 3;
const LAST_RESORT: u8 = 4;
/// Which signed and last-resort key is published now: BE4(signed id) ‖ BE4(last-resort id) ‖ BE8(made).
const CURRENT: &[u8] = b"pre-keys";
/// A signed pre-key is replaced after a week.
const ROTATE_SECONDS: u64 = 7 * 24 * 3600;

fn place(kind: u8, id: u32) -> Vec<u8> {
    key(&[&[kind], &id.to_be_bytes()])
}

fn next_id(tx: &mut Transaction<'_>) -> Result<u32, EngineError> {
    u32::try_from(tx.next_number("pre-key")?).map_err(|_| EngineError::Internal {
        what: "pre-key ids",
    })
}

/// Makes the first keys and publishes them.
pub(crate) fn publish_first(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, CURRENT)?.is_none() {
        make_current(tx)?;
    }
    publish(
        tx,
        limits::ONE_TIME_EC_KEYS,
        limits::ONE_TIME_KEM_KEYS,
        true,
    )
}

/// The relay lost what was published: everything anew, for it may hand out keys that are used up.
pub(crate) fn publish_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    publish(
        tx,
        limits::ONE_TIME_EC_KEYS,
        limits::ONE_TIME_KEM_KEYS,
        true,
    )
}

/// The relay said how many one-time keys are left.
pub(crate) fn counted(
    tx: &mut Transaction<'_>,
    counts: wire::PreKeyCounts,
) -> Result<(), EngineError> {
    let missing = |left: u32, want: u32| {
        if left <= limits::TOP_UP_BELOW {
            want.saturating_sub(left)
        } else {
            0
        }
    };
    let ec = missing(counts.one_time_ec, limits::ONE_TIME_EC_KEYS);
    let kem = missing(counts.one_time_kem, limits::ONE_TIME_KEM_KEYS);
    if ec == 0 && kem == 0 {
        Ok(())
    } else {
        publish(tx, ec, kem, false)
    }
}

/// Replaces the signed and the last-resort key once a week.
pub(crate) fn rotate(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let (_, _, made) = current(tx)?;
    if tx.now.since(made) < ROTATE_SECONDS {
        return Ok(());
    }
    make_current(tx)?;
    publish(tx, 0, 0, false)
}

/// Asks how many keys are left, after one was used.
fn ask_count(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let request = wire::Request::PreKeyCount(wire::PreKeyCount {
        account: own.id,
        device: own.device,
    });
    outbox::add_own(tx, Purpose::PublishPreKeys, request)
}

fn make_current(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let signed = next_id(tx)?;
    let secret = X25519Secret::from_random(tx.rng);
    tx.put(
        Table::PreKey,
        place(SIGNED, signed),
        Zeroizing::new(secret.secret().expose_secret().to_vec()),
    );
    let last_resort = next_id(tx)?;
    let seed = Secret::<64>::random(tx.rng);
    tx.put(
        Table::PreKey,
        place(LAST_RESORT, last_resort),
        Zeroizing::new(seed.expose_secret().to_vec()),
    );
    let mut out = Writer::new();
    out.u32(signed);
    out.u32(last_resort);
    out.u64(tx.now.as_secs());
    tx.put(Table::Meta, CURRENT.to_vec(), Zeroizing::new(out.finish()));
    Ok(())
}

fn current(tx: &Transaction<'_>) -> Result<(u32, u32, Timestamp), EngineError> {
    let damaged = |_| StoreError::Damaged { what: "pre-keys" };
    let bytes = tx
        .get(Table::Meta, CURRENT)?
        .ok_or(StoreError::Damaged { what: "pre-keys" })?;
    let mut input = Reader::new(&bytes);
    let signed = input.u32().map_err(damaged)?;
    let last_resort = input.u32().map_err(damaged)?;
    Ok((
        signed,
        last_resort,
        Timestamp::from_secs(input.u64().map_err(damaged)?),
    ))
}

/// Publishes the current keys and so many new one-time keys, a frame's worth at a time.
fn publish(tx: &mut Transaction<'_>, ec: u32, kem: u32, replace: bool) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let expires = tx.now.saturating_add(limits::PRE_KEY_VALID_SECONDS);
    let (signed_id, last_resort_id, _) = current(tx)?;
    let signer = own.secrets.signing();
    let signed = load_signed(tx, signed_id)?.ok_or(StoreError::Damaged { what: "pre-key" })?;
    let signed =
        SignedPreKey::sign(signed_id, signed.public(), expires, signer).map_err(library)?;
    let (_, public) = load_kem(tx, LAST_RESORT, last_resort_id)?
        .ok_or(StoreError::Damaged { what: "pre-key" })?;
    let last_resort = KemPreKey::sign(last_resort_id, public, expires, signer).map_err(library)?;
    let front_door = queues::front_door(tx)?;
    let (mut ec_left, mut kem_left, mut replace) = (ec, kem, replace);
    loop {
        let batch = kem_left.min(u32::try_from(limits::KEM_KEYS_A_REQUEST).unwrap_or(u32::MAX));
        let mut request = wire::PublishPreKeys {
            account: own.id,
            device: own.device,
            identity: own.secrets.identity().public().as_bytes().to_vec(),
            signed_ec: encode_signed(&signed),
            last_resort_kem: encode_kem(&last_resort),
            one_time_ec: (0..ec_left)
                .map(|_| make_one_time(tx))
                .collect::<Result<_, _>>()?,
            one_time_kem: (0..batch)
                .map(|_| make_kem(tx, signer, expires))
                .collect::<Result<_, _>>()?,
            front_door: wire::FrontDoor {
                queue_id: front_door.id,
                token: wire::SendToken::from_bytes(*front_door.token.expose_secret()),
            },
            replace_one_time: replace,
            signature: Vec::new(),
        };
        let signature = signer
            .sign(label::PUBLISH, &wire::publish_message(&request))
            .map_err(library)?;
        request.signature = signature.as_bytes().to_vec();
        outbox::add_own(
            tx,
            Purpose::PublishPreKeys,
            wire::Request::PublishPreKeys(request),
        )?;
        (ec_left, kem_left, replace) = (0, kem_left.saturating_sub(batch), false);
        if kem_left == 0 {
            return Ok(());
        }
    }
}

fn library<E>(_: E) -> EngineError {
    EngineError::Internal {
        what: "cryptographic library",
    }
}

fn make_one_time(tx: &mut Transaction<'_>) -> Result<Vec<u8>, EngineError> {
    let id = next_id(tx)?;
    let secret = X25519Secret::from_random(tx.rng);
    tx.put(
        Table::PreKey,
        place(ONE_TIME, id),
        Zeroizing::new(secret.secret().expose_secret().to_vec()),
    );
    Ok([&id.to_be_bytes()[..], secret.public().as_bytes()].concat())
}

fn make_kem(
    tx: &mut Transaction<'_>,
    signer: &SigningKey,
    expires: Timestamp,
) -> Result<Vec<u8>, EngineError> {
    let id = next_id(tx)?;
    let seed = Secret::<64>::random(tx.rng);
    let (_, public) = ratchet::kem_pair(Profile::Letterlock, &seed).map_err(library)?;
    tx.put(
        Table::PreKey,
        place(KEM, id),
        Zeroizing::new(seed.expose_secret().to_vec()),
    );
    Ok(encode_kem(
        &KemPreKey::sign(id, public, expires, signer).map_err(library)?,
    ))
}

/// BE4(id) ‖ BE8(expiry) ‖ u 32 ‖ signature.
fn encode_signed(signed: &SignedPreKey) -> Vec<u8> {
    encode(signed.id, &signed.signature, signed.key.as_bytes())
}

/// BE4(id) ‖ BE8(expiry) ‖ key 1568 ‖ signature.
fn encode_kem(kem: &KemPreKey) -> Vec<u8> {
    encode(kem.id, &kem.signature, kem.key.as_bytes())
}

fn encode(id: u32, signature: &PreKeySignature, public: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u32(id);
    if let PreKeySignature::Hybrid { expires, signature } = signature {
        out.u64(expires.as_secs());
        out.array(public);
        out.array(signature.as_bytes());
    }
    out.finish()
}

fn decode<const N: usize>(record: &[u8]) -> Option<(u32, [u8; N], PreKeySignature)> {
    let mut input = Reader::new(record);
    let id = input.u32().ok()?;
    let expires = Timestamp::from_secs(input.u64().ok()?);
    let public = input.array().ok()?;
    let signature = input.take(input.remaining()).ok()?;
    let signature = HybridSignature::from_bytes(Suite::Hybrid, signature).ok()?;
    Some((id, public, PreKeySignature::Hybrid { expires, signature }))
}

/// Reads what a relay handed out. Nothing is believed: the ratchet verifies the signatures against the device's
/// key in the account log.
pub(crate) fn decode_bundle(
    bundle: &wire::Bundle,
    identity: X25519Public,
) -> Option<ratchet::PreKeyBundle> {
    let (id, public, signature) = decode::<32>(&bundle.signed_ec)?;
    let signed = SignedPreKey {
        id,
        key: X25519Public(public),
        signature,
    };
    let (id, public, signature) = decode::<{ keys::kem::PUBLIC_LEN }>(&bundle.kem)?;
    let public = KemPublic::from_bytes(keys::kem::Kem::MlKem1024, &public).ok()?;
    let kem = KemPreKey {
        id,
        key: public,
        signature,
    };
    let one_time = match &bundle.one_time_ec {
        None => None,
        Some(record) => {
            let (id, public) = record.split_first_chunk::<4>()?;
            let key = X25519Public(public.try_into().ok()?);
            Some(OneTimePreKey {
                id: u32::from_be_bytes(*id),
                key,
            })
        }
    };
    Some(ratchet::PreKeyBundle {
        identity,
        signed,
        kem,
        one_time,
    })
}

/// Deletes what a first letter used up, and remembers what must not be used again.
pub(crate) fn used(
    tx: &mut Transaction<'_>,
    received: &ratchet::Received,
) -> Result<(), EngineError> {
    if let Some(id) = received.used_one_time {
        tx.delete(Table::PreKey, place(ONE_TIME, id));
    }
    if let Some(id) = received.used_kem {
        tx.delete(Table::PreKey, place(KEM, id));
    }
    if let Some(memory) = &received.remember {
        tx.put(
            Table::BaseKey,
            memory_key(memory),
            Zeroizing::new(Vec::new()),
        );
    }
    if received.used_one_time.is_some() || received.used_kem.is_some() {
        ask_count(tx)?;
    }
    Ok(())
}

fn memory_key(memory: &BaseKeyMemory) -> Vec<u8> {
    key(&[
        &memory.kem_id.to_be_bytes(),
        &memory.signed_id.to_be_bytes(),
        memory.base_key.as_bytes(),
    ])
}

fn load_signed(tx: &Transaction<'_>, id: u32) -> Result<Option<X25519Secret>, EngineError> {
    Ok(tx
        .get(Table::PreKey, &place(SIGNED, id))?
        .and_then(|bytes| ec_secret(&bytes)))
}

fn ec_secret(bytes: &[u8]) -> Option<X25519Secret> {
    Secret::from_slice(bytes).map(|secret| X25519Secret::from_secret(&secret))
}

fn load_kem(
    tx: &Transaction<'_>,
    kind: u8,
    id: u32,
) -> Result<Option<(KemSecret, KemPublic)>, EngineError> {
    Ok(tx
        .get(Table::PreKey, &place(kind, id))?
        .and_then(|seed| kem_secret(&seed)))
}

fn kem_secret(seed: &[u8]) -> Option<(KemSecret, KemPublic)> {
    ratchet::kem_pair(Profile::Letterlock, &Secret::from_slice(seed)?).ok()
}

/// The look-ups of the ratchet, over a transaction.
pub(crate) struct Lookup<'a, 'b>(pub(crate) &'a Transaction<'b>);

impl Lookup<'_, '_> {
    /// A disk that fails looks like a key that is not there: the letter is refused and the disk tells by itself.
    fn get(&self, kind: u8, id: u32) -> Option<Zeroizing<Vec<u8>>> {
        self.0.get(Table::PreKey, &place(kind, id)).ok().flatten()
    }
}

impl PreKeys for Lookup<'_, '_> {
    fn signed(&self, id: u32) -> Option<X25519Secret> {
        self.get(SIGNED, id).and_then(|bytes| ec_secret(&bytes))
    }

    fn one_time(&self, id: u32) -> Option<X25519Secret> {
        self.get(ONE_TIME, id).and_then(|bytes| ec_secret(&bytes))
    }

    fn kem(&self, id: u32) -> Option<KemPreKeySecret> {
        let (seed, last_resort) = match self.get(KEM, id) {
            Some(seed) => (seed, false),
            None => (self.get(LAST_RESORT, id)?, true),
        };
        let (secret, public) = kem_secret(&seed)?;
        Some(KemPreKeySecret {
            secret,
            public,
            last_resort,
        })
    }

    fn base_key_used(&self, memory: &BaseKeyMemory) -> bool {
        // A disk that fails must not open a door: then the key counts as used.
        self.0
            .get(Table::BaseKey, &memory_key(memory))
            .map_or(true, |found| found.is_some())
    }
}
