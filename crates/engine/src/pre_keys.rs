//! Our pre-keys: made, published, topped up, used.
//!
//! A one-time key is stored before it is published and deleted in the step that uses it; all that nobody used are replaced
//! after 60 days. The last-resort KEM key and the signed key are replaced once a week; base keys that used them are
//! remembered. What was replaced opens first letters for 60 days more.
//!
//! A device of a suite without sessions of two has no pre-keys: it publishes its front door alone.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::group::packages;
use crate::limits;
use crate::outbox;
use crate::queues;
use crate::records::{Purpose, key};
use crate::retired;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{SecretBytes, SigningKey, Timestamp, X25519Public, X25519Secret, label};
use ratchet::{
    KemPreKey, KemPreKeyPublic, Named, OneTimePreKey, OneTimePreKeyPublic, PreKeyKind,
    PreKeySigner, SignedPreKey, SignedPreKeyPublic, UsedPreKeys,
};
use zeroize::Zeroizing;

const SIGNED: u8 = 1;
const ONE_TIME: u8 = 2;
const KEM: u8 = 3;
const LAST_RESORT: u8 = 4;
/// Which signed and last-resort key is published now: BE4(signed id) ‖ BE4(last-resort id) ‖ BE8(made).
const CURRENT: &[u8] = b"pre-keys";
/// Counts the pre-keys that were made.
const NUMBER: &str = "pre-key";
/// The relay refused what was published.
const REFUSED: &[u8] = b"pre-keys-refused";
/// The signed and last-resort keys that were replaced at a time, BE8: BE4(signed id) ‖ BE4(last-resort id).
const REPLACED: &[u8] = b"pre-keys-replaced/";
/// When all one-time keys at the relay were made anew: BE8.
const STOCK: &[u8] = b"pre-keys-stock";
/// One-time keys that were replaced at a time, BE8: BE4(the last of them).
const STOCK_REPLACED: &[u8] = b"pre-keys-stock-replaced/";
/// A signed pre-key is replaced after a week.
pub(crate) const ROTATE_SECONDS: u64 = 7 * 24 * 3600;

/// A kind of pre-keys as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Signed = SIGNED,
    OneTimeEc = ONE_TIME,
    OneTimeKem = KEM,
    LastResort = LAST_RESORT,
}

/// How many of a kind there are: those of the device's keys, and those of keys that were replaced.
pub(crate) fn count(snapshot: &dyn Snapshot, kind: Kind) -> Result<(u64, u64), StoreError> {
    let replaced = retired::own(snapshot)?;
    let mut last = replaced.iter().map(|keys| keys.last_pre_key).max();
    if matches!(kind, Kind::OneTimeEc | Kind::OneTimeKem) {
        let stocks = snapshot.scan(Table::Meta, STOCK_REPLACED, None, limits::PAGE)?;
        last = last.max(stocks.iter().filter_map(|(_, last)| number(last)).max());
    }
    let rows = snapshot.scan(Table::PreKey, &[kind as u8], None, usize::MAX)?;
    let is_old = |place: &[u8]| number(place) <= last && last.is_some();
    let old = rows.iter().filter(|(place, _)| is_old(place)).count();
    Ok((rows.len().saturating_sub(old) as u64, old as u64))
}

/// When the signed and the last-resort key that are published now were made.
pub(crate) fn made(snapshot: &dyn Snapshot) -> Result<Option<Timestamp>, StoreError> {
    let row = snapshot.get(Table::Meta, CURRENT)?;
    let made = row.as_ref().and_then(|row| row.last_chunk::<8>());
    Ok(made.map(|made| Timestamp::from_secs(u64::from_be_bytes(*made))))
}

/// The number at the end of a place or a row.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.last_chunk::<4>().copied().map(u32::from_be_bytes)
}

fn place(kind: u8, id: u32) -> Vec<u8> {
    key(&[&[kind], &id.to_be_bytes()])
}

fn next_id(tx: &mut Transaction<'_>) -> Result<u32, EngineError> {
    u32::try_from(tx.next_number(NUMBER)?).map_err(|_| EngineError::Internal {
        what: "pre-key ids",
    })
}

/// Whether this device has pre-keys.
fn has_some(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(account::own(tx)?.secrets.identity().is_some())
}

/// Makes the first keys and publishes them.
pub(crate) fn publish_first(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if has_some(tx)? && tx.get(Table::Meta, CURRENT)?.is_none() {
        make_current(tx)?;
    }
    publish_stock(tx)
}

/// The number of the pre-key that was made last.
pub(crate) fn last(tx: &Transaction<'_>) -> Result<u32, EngineError> {
    let last = u32::try_from(tx.number(NUMBER)?);
    last.map_err(|_| EngineError::Internal {
        what: "pre-key ids",
    })
}

/// Destroys the pre-keys up to a number.
pub(crate) fn destroy_until(tx: &mut Transaction<'_>, last: u32) -> Result<(), EngineError> {
    tx.each(Table::PreKey, &[], |tx, place, _| {
        if number(place).is_some_and(|number| number <= last) {
            tx.delete(Table::PreKey, place.to_vec());
        }
        Ok(())
    })
}

/// The device has new keys: its pre-keys were signed by the old ones, and open for a while what was under way.
pub(crate) fn begin_anew(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if has_some(tx)? {
        make_current(tx)?;
    }
    publish_again(tx)
}

/// The account has ended: nothing opens a first letter any more.
pub(crate) fn destroy(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::PreKey, &[], |tx, place, _| {
        tx.delete(Table::PreKey, place.to_vec());
        Ok(())
    })
}

/// The relay lost what was published: everything anew, for it may hand out keys that are used up.
pub(crate) fn publish_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    packages::publish_again(tx);
    publish_stock(tx)
}

/// Publishes one-time keys in the place of all that are at the relay.
fn publish_stock(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if has_some(tx)? {
        let now = tx.now.as_secs().to_be_bytes();
        let last = Zeroizing::new(last(tx)?.to_be_bytes().to_vec());
        tx.put(Table::Meta, key(&[STOCK_REPLACED, &now]), last);
        tx.put(Table::Meta, STOCK.to_vec(), Zeroizing::new(now.to_vec()));
    }
    let (ec, kem) = (limits::ONE_TIME_EC_KEYS, limits::ONE_TIME_KEM_KEYS);
    publish(tx, ec, kem, true)
}

/// Whether the signatures of one-time keys at the relay are to expire before long.
fn is_stock_old(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    let row = tx.get(Table::Meta, STOCK)?;
    let at = row.and_then(|row| row.as_slice().try_into().ok().map(u64::from_be_bytes));
    Ok(at.is_none_or(|at| tx.now.since(Timestamp::from_secs(at)) >= limits::PRE_KEYS_KEPT_SECONDS))
}

/// The relay has an older log of ours than we, and does not know these keys: later again.
pub(crate) fn refused(tx: &mut Transaction<'_>) {
    tx.put(Table::Meta, REFUSED.to_vec(), Zeroizing::new(Vec::new()));
}

/// The relay has our log: it takes now what it refused before.
pub(crate) fn publish_refused(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if tx.get(Table::Meta, REFUSED)?.is_some() {
        tx.delete(Table::Meta, REFUSED.to_vec());
        publish_again(tx)?;
    }
    Ok(())
}

/// The relay said how many one-time keys are left.
pub(crate) fn counted(
    tx: &mut Transaction<'_>,
    counts: wire::PreKeyCounts,
) -> Result<(), EngineError> {
    if !has_some(tx)? {
        return Ok(());
    }
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

/// Replaces the signed and the last-resort key once a week, and destroys those that were replaced long ago.
pub(crate) fn rotate(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if !has_some(tx)? {
        return Ok(());
    }
    let (signed, last_resort, made) = current(tx)?;
    if tx.now.since(made) < ROTATE_SECONDS {
        return Ok(());
    }
    let replaced = key(&[REPLACED, &tx.now.as_secs().to_be_bytes()]);
    let ids = key(&[&signed.to_be_bytes(), &last_resort.to_be_bytes()]);
    tx.put(Table::Meta, replaced, Zeroizing::new(ids));
    destroy_replaced(tx)?;
    make_current(tx)?;
    // Nobody may have used any for months; `who_is_not_written_to_for_months_is_reachable` notices.
    match is_stock_old(tx)? {
        true => publish_stock(tx),
        false => publish(tx, 0, 0, false),
    }
}

/// A session goes on with the keys it began with until it is answered, and what was sealed in it may lie at the relay as
/// long as that keeps it; after that nobody needs a replaced key. `keys_of_a_session_that_waits_long_are_kept` notices.
fn destroy_replaced(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (when, ids) in tx.scan(Table::Meta, REPLACED, None, limits::PAGE)? {
        if tx.now.since(time(&when)) < limits::PRE_KEYS_KEPT_SECONDS {
            continue;
        }
        let mut input = Reader::new(&ids);
        let damaged = |_| StoreError::Damaged { what: "pre-keys" };
        let signed = input.u32().map_err(damaged)?;
        let last_resort = input.u32().map_err(damaged)?;
        tx.delete(Table::PreKey, place(SIGNED, signed));
        tx.delete(Table::PreKey, place(LAST_RESORT, last_resort));
        tx.delete(Table::Meta, when);
    }
    for (when, last) in tx.scan(Table::Meta, STOCK_REPLACED, None, limits::PAGE)? {
        if tx.now.since(time(&when)) < limits::PRE_KEYS_KEPT_SECONDS {
            continue;
        }
        for kind in [ONE_TIME, KEM] {
            for (place, _) in tx.scan(Table::PreKey, &[kind], None, usize::MAX)? {
                if number(&place) <= number(&last) {
                    tx.delete(Table::PreKey, place);
                }
            }
        }
        tx.delete(Table::Meta, when);
    }
    Ok(())
}

/// The time at the end of a place.
fn time(place: &[u8]) -> Timestamp {
    let at = place.last_chunk::<8>().copied();
    Timestamp::from_secs(at.map_or(0, u64::from_be_bytes))
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

/// Makes a signed and a last-resort key.
fn make_current(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let signer = PreKeySigner::Letterlock {
        key: own.secrets.signing(),
        expires: tx.now.saturating_add(limits::PRE_KEY_VALID_SECONDS),
    };
    let signed = next_id(tx)?;
    let key = SignedPreKey::generate(signed, &signer, tx.rng).map_err(library)?;
    store(tx, SIGNED, signed, key.encode());
    let last_resort = next_id(tx)?;
    let key = KemPreKey::generate(last_resort, PreKeyKind::LastResortKem, &signer, tx.rng)
        .map_err(library)?;
    store(tx, LAST_RESORT, last_resort, key.encode());
    let mut out = Writer::new();
    out.u32(signed);
    out.u32(last_resort);
    out.u64(tx.now.as_secs());
    tx.put(Table::Meta, CURRENT.to_vec(), Zeroizing::new(out.finish()));
    Ok(())
}

fn store(tx: &mut Transaction<'_>, kind: u8, id: u32, key: SecretBytes) {
    tx.put(Table::PreKey, place(kind, id), key.into_zeroizing());
}

fn load<T>(
    tx: &Transaction<'_>,
    kind: u8,
    id: u32,
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<Option<T>, EngineError> {
    match tx.get(Table::PreKey, &place(kind, id))? {
        Some(bytes) => match decode(&bytes) {
            Ok(key) => Ok(Some(key)),
            Err(_) => Err(StoreError::Damaged { what: "pre-key" }.into()),
        },
        None => Ok(None),
    }
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
    const MISSING: StoreError = StoreError::Damaged { what: "pre-key" };
    let own = account::own(tx)?;
    let Some(identity) = own.secrets.identity().map(X25519Secret::public) else {
        return publish_front_door(tx);
    };
    let (signed_id, last_resort_id, _) = current(tx)?;
    let signed = load(tx, SIGNED, signed_id, SignedPreKey::decode)?.ok_or(MISSING)?;
    let last_resort = load(tx, LAST_RESORT, last_resort_id, KemPreKey::decode)?.ok_or(MISSING)?;
    let signer = own.secrets.signing();
    let front_door = queues::front_door(tx)?;
    let (mut ec_left, mut kem_left, mut replace) = (ec, kem, replace);
    loop {
        let batch = kem_left.min(u32::try_from(limits::KEM_KEYS_A_REQUEST).unwrap_or(u32::MAX));
        let mut request = wire::PublishPreKeys {
            account: own.id,
            device: own.device,
            identity: encode_identity(own.registration_id, &identity),
            signed_ec: signed.public().encode(),
            last_resort_kem: last_resort.public().encode(),
            one_time_ec: (0..ec_left)
                .map(|_| make_one_time(tx))
                .collect::<Result<_, _>>()?,
            one_time_kem: (0..batch)
                .map(|_| make_kem(tx, signer))
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

/// Publishes where this device takes words, and no keys.
fn publish_front_door(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let front_door = queues::front_door(tx)?;
    let mut request = wire::PublishPreKeys {
        account: own.id,
        device: own.device,
        identity: Vec::new(),
        signed_ec: Vec::new(),
        last_resort_kem: Vec::new(),
        one_time_ec: Vec::new(),
        one_time_kem: Vec::new(),
        front_door: wire::FrontDoor {
            queue_id: front_door.id,
            token: wire::SendToken::from_bytes(*front_door.token.expose_secret()),
        },
        replace_one_time: true,
        signature: Vec::new(),
    };
    let signing = own.secrets.signing();
    let signature = signing
        .sign(label::PUBLISH, &wire::publish_message(&request))
        .map_err(library)?;
    request.signature = signature.as_bytes().to_vec();
    let request = wire::Request::PublishPreKeys(request);
    outbox::add_own(tx, Purpose::PublishPreKeys, request)
}

fn library<E>(_: E) -> EngineError {
    EngineError::Internal {
        what: "cryptographic library",
    }
}

fn make_one_time(tx: &mut Transaction<'_>) -> Result<Vec<u8>, EngineError> {
    let id = next_id(tx)?;
    let key = OneTimePreKey::generate(id, tx.rng);
    store(tx, ONE_TIME, id, key.encode());
    Ok(key.public().encode())
}

fn make_kem(tx: &mut Transaction<'_>, signer: &SigningKey) -> Result<Vec<u8>, EngineError> {
    let id = next_id(tx)?;
    let signer = PreKeySigner::Letterlock {
        key: signer,
        expires: tx.now.saturating_add(limits::PRE_KEY_VALID_SECONDS),
    };
    let key = KemPreKey::generate(id, PreKeyKind::OneTimeKem, &signer, tx.rng).map_err(library)?;
    store(tx, KEM, id, key.encode());
    Ok(key.public().encode())
}

/// BE4(registration id) ‖ u.
fn encode_identity(registration_id: u32, identity: &X25519Public) -> Vec<u8> {
    [&registration_id.to_be_bytes()[..], identity.as_bytes()].concat()
}

/// Reads what a relay handed out. Nothing is believed: the ratchet verifies the signatures against the device's
/// key in the account log, whose identity key is `identity`.
pub(crate) fn decode_bundle(
    bundle: &wire::Bundle,
    identity: &X25519Public,
) -> Option<ratchet::PreKeyBundle> {
    let one_time = bundle.one_time_ec.as_deref();
    let signed = (
        bundle.identity.as_slice(),
        bundle.signed_ec.as_slice(),
        bundle.kem.as_slice(),
    );
    decode_keys(signed, one_time, identity)
}

/// Reads identity, signed EC and KEM pre-key, and a one-time EC pre-key if there is one.
pub(crate) fn decode_keys(
    (named, signed, kem): (&[u8], &[u8], &[u8]),
    one_time: Option<&[u8]>,
    identity: &X25519Public,
) -> Option<ratchet::PreKeyBundle> {
    let (registration_id, named) = named.split_first_chunk::<4>()?;
    if named != identity.as_bytes() {
        return None;
    }
    let one_time = one_time.map(OneTimePreKeyPublic::decode);
    Some(ratchet::PreKeyBundle {
        registration_id: u32::from_be_bytes(*registration_id),
        signed: SignedPreKeyPublic::decode(signed).ok()?,
        kem: KemPreKeyPublic::decode(kem).ok()?,
        one_time: one_time.transpose().ok()?,
    })
}

/// The private halves that a first letter names, as far as they are still there.
pub(crate) struct Found {
    signed: Option<SignedPreKey>,
    one_time: Option<OneTimePreKey>,
    kem: Option<KemPreKey>,
    base_key_seen: bool,
}

impl Found {
    /// Looks them up.
    pub(crate) fn of(tx: &Transaction<'_>, named: &Named<'_>) -> Result<Self, EngineError> {
        let one_time = match named.one_time_id {
            Some(id) => load(tx, ONE_TIME, id, OneTimePreKey::decode)?,
            None => None,
        };
        let kem = match load(tx, KEM, named.kem_id, KemPreKey::decode)? {
            Some(kem) => Some(kem),
            None => load(tx, LAST_RESORT, named.kem_id, KemPreKey::decode)?,
        };
        let used = named.base_key_use.to_bytes();
        Ok(Self {
            signed: load(tx, SIGNED, named.signed_id, SignedPreKey::decode)?,
            one_time,
            kem,
            base_key_seen: tx.get(Table::BaseKey, &used)?.is_some(),
        })
    }

    pub(crate) fn keys(&self) -> ratchet::OwnPreKeys<'_> {
        ratchet::OwnPreKeys {
            signed: self.signed.as_ref(),
            one_time: self.one_time.as_ref(),
            kem: self.kem.as_ref(),
            base_key_seen: self.base_key_seen,
        }
    }
}

/// Deletes what a first letter used up, and remembers what must not be used again.
pub(crate) fn used(tx: &mut Transaction<'_>, used: &UsedPreKeys) -> Result<(), EngineError> {
    if let Some(id) = used.one_time {
        tx.delete(Table::PreKey, place(ONE_TIME, id));
    }
    if let Some(id) = used.one_time_kem {
        tx.delete(Table::PreKey, place(KEM, id));
    }
    if let Some(once) = &used.remember {
        let place = once.to_bytes().to_vec();
        tx.put(Table::BaseKey, place, Zeroizing::new(Vec::new()));
    }
    if used.one_time.is_some() || used.one_time_kem.is_some() {
        ask_count(tx)?;
    }
    Ok(())
}
