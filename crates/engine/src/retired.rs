//! Sessions and keys that were replaced: they open what was under way, and nothing is sealed with them.
//!
//! ```text
//!   a device rotates ─► set aside ─► it is heard under its new keys ─► 10 minutes ─┐
//!                           └──────────────────────────────────────► 30 days ──────┴─► destroyed
//! ```
//!
//! Both sides set their sessions aside: the device that rotates, and its peers when they learn of it. The keys that
//! open first letters, those of the device and its pre-keys, are the rotating device's alone; strangers use them
//! too, so they stay until no relay keeps a letter any more.

use crate::account;
use crate::contacts;
use crate::envelope::{Inner, MessageKind};
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::peers::{self, Peer};
use crate::pre_keys;
use crate::records::key;
use crate::sessions;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use crate::waiting;
use keys::account_log::{
    DeviceRecord, DeviceSecrets, EntryKind, EntrySummary, OpeningSecrets, Pin, UnverifiedLog,
    VerifiedLog,
};
use keys::{AccountId, DeviceId, Timestamp, X25519Public};
use ratchet::{DecryptError, IncomingMessage, IncomingPreKeyMessage, Profile, Received};
use zeroize::Zeroizing;

/// Our own replaced keys: BE8(until) ‖ BE4(the last pre-key that belongs to them).
const KEYS: &[u8] = b"retired-keys/";
/// Sessions that were set aside, by their end: BE8(until) ‖ the rest of their place.
const ENDS: &[u8] = b"retired-ends/";
/// Account and device, in front of what tells sessions with one device apart.
const DEVICE_BYTES: usize = 32 + 16;

/// Keys of this device that were replaced.
pub(crate) struct OwnKeys {
    pub(crate) opening: OpeningSecrets,
    /// Pre-keys with a higher number belong to newer keys.
    pub(crate) last_pre_key: u32,
    until: Timestamp,
}

/// A ratchet record as it is stored.
type Stored = Zeroizing<Vec<u8>>;

/// A session that was set aside.
struct Retired {
    account: AccountId,
    device: DeviceId,
    until: Timestamp,
    /// Up to which entry of the peer's log its device had the keys of this session.
    sequence: u64,
    number: u64,
}

impl Retired {
    fn place(&self) -> Vec<u8> {
        key(&[
            self.account.as_bytes(),
            self.device.as_bytes(),
            &self.until.as_secs().to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.number.to_be_bytes(),
        ])
    }

    fn end(&self) -> Vec<u8> {
        let place = self.place();
        let (device, rest) = place.split_at(DEVICE_BYTES);
        let (until, rest) = rest.split_at(8);
        key(&[ENDS, until, device, rest])
    }

    fn read(place: &[u8]) -> Option<Self> {
        let (account, rest) = place.split_first_chunk::<32>()?;
        let (device, rest) = rest.split_first_chunk::<16>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, number) = rest.split_first_chunk::<8>()?;
        Some(Self {
            account: AccountId::from_bytes(*account),
            device: DeviceId::from_bytes(*device),
            until: Timestamp::from_secs(u64::from_be_bytes(*until)),
            sequence: u64::from_be_bytes(*sequence),
            number: u64::from_be_bytes(number.try_into().ok()?),
        })
    }

    fn read_end(end: &[u8]) -> Option<Self> {
        let (until, rest) = end.strip_prefix(ENDS)?.split_first_chunk::<8>()?;
        let (device, rest) = rest.split_at_checked(DEVICE_BYTES)?;
        Self::read(&key(&[device, until, rest]))
    }

    fn store(&self, tx: &mut Transaction<'_>, record: Stored) {
        tx.put(Table::Session, self.place(), record);
        tx.put(Table::Meta, self.end(), Zeroizing::new(Vec::new()));
    }

    fn delete(&self, tx: &mut Transaction<'_>) {
        tx.delete(Table::Session, self.place());
        tx.delete(Table::Meta, self.end());
    }
}

/// Whether a row of sessions is one that was set aside.
pub(crate) fn is_retired(place: &[u8]) -> bool {
    place.len() > DEVICE_BYTES
}

/// This device gets other keys: those that opened what was sealed for it are kept, with its pre-keys.
pub(crate) fn keep_own(
    tx: &mut Transaction<'_>,
    before: &DeviceSecrets,
) -> Result<(), EngineError> {
    let until = tx.now.saturating_add(limits::REPLACED_KEPT_SECONDS);
    let last = pre_keys::last(tx)?;
    let place = key(&[KEYS, &until.as_secs().to_be_bytes(), &last.to_be_bytes()]);
    tx.put(Table::Meta, place, before.encode_opening().into_zeroizing());
    Ok(())
}

/// The keys of this device that were replaced and are still here, oldest first.
pub(crate) fn own(snapshot: &dyn Snapshot) -> Result<Vec<OwnKeys>, StoreError> {
    let rows = snapshot.scan(Table::Meta, KEYS, None, limits::PAGE)?;
    let damaged = || StoreError::Damaged {
        what: "replaced keys",
    };
    let mut all = Vec::with_capacity(rows.len());
    for (place, opening) in rows {
        let numbers = place.strip_prefix(KEYS).ok_or_else(damaged)?;
        let (until, last) = numbers.split_first_chunk::<8>().ok_or_else(damaged)?;
        let last = last.try_into().map_err(|_| damaged())?;
        all.push(OwnKeys {
            opening: OpeningSecrets::decode(&opening).map_err(|_| damaged())?,
            last_pre_key: u32::from_be_bytes(last),
            until: Timestamp::from_secs(u64::from_be_bytes(*until)),
        });
    }
    Ok(all)
}

/// Our replaced keys to which a pre-key belongs; nothing where it belongs to those in force.
fn own_of(tx: &Transaction<'_>, pre_key: u32) -> Result<Option<OwnKeys>, EngineError> {
    let mut all = own(tx.snapshot())?.into_iter();
    Ok(all.find(|keys| pre_key <= keys.last_pre_key))
}

/// A device of a peer has other keys than it had after an entry of its log.
pub(crate) fn replaced(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    device: &DeviceId,
    sequence: u64,
) -> Result<(), EngineError> {
    let place = key(&[log.account_id().as_bytes(), device.as_bytes()]);
    let signed = log
        .device(device)
        .is_some_and(|now| now.identity().is_none());
    if signed && tx.get(Table::Session, &place)?.is_none() {
        return Ok(()); // It never had a session.
    }
    let entries = log.entries().iter().rev();
    let mut rotations = entries.filter(|entry| {
        entry.kind == EntryKind::RotateDevice && entry.subject.as_ref() == Some(device)
    });
    // The log knows hours.
    let kept = limits::REPLACED_KEPT_SECONDS.saturating_add(3600);
    let at = rotations.next().map_or(tx.now, |entry| entry.at);
    let until = at.saturating_add(kept);
    set_aside(tx, (log.account_id(), device), sequence, until)
}

/// A device of a peer is new here, and had other keys before that were replaced meanwhile.
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let mut entries = log.entries().iter();
    let first = entries.find(|entry| entry.devices.contains(device));
    let rotated = entries.any(|entry| {
        entry.kind == EntryKind::RotateDevice && entry.subject.as_ref() == Some(device)
    });
    match first {
        Some(first) if rotated => replaced(tx, log, device, first.sequence),
        _ => Ok(()),
    }
}

fn set_aside(
    tx: &mut Transaction<'_>,
    (account, device): (&AccountId, &DeviceId),
    sequence: u64,
    until: Timestamp,
) -> Result<(), EngineError> {
    let place = key(&[account.as_bytes(), device.as_bytes()]);
    let record = match tx.get(Table::Session, &place)? {
        Some(record) => record,
        // What begins a session may be under way.
        None => ratchet::Record::letterlock().encode().into_zeroizing(),
    };
    let retired = Retired {
        account: *account,
        device: *device,
        until,
        sequence,
        number: tx.next_number("retired")?,
    };
    if until > tx.now {
        retired.store(tx, record);
    }
    sessions::end(tx, account, device);
    Ok(())
}

/// Every session is set aside. Returns with which devices there were any.
pub(crate) fn set_all_aside(
    tx: &mut Transaction<'_>,
) -> Result<Vec<(AccountId, DeviceId)>, EngineError> {
    let mut devices = Vec::new();
    tx.each(Table::Session, &[], |_, place, _| {
        if let (false, Some((account, device))) = (is_retired(place), place.split_first_chunk()) {
            let device = DeviceId::from_slice(device);
            let device = device.ok_or(StoreError::Damaged { what: "session" })?;
            devices.push((AccountId::from_bytes(*account), device));
        }
        Ok(())
    })?;
    let until = tx.now.saturating_add(limits::REPLACED_KEPT_SECONDS);
    for (account, device) in &devices {
        match peers::load(tx, account)? {
            Some(peer) => {
                set_aside(tx, (account, device), peer.log.head().sequence, until)?;
            }
            None => sessions::end(tx, account, device),
        }
    }
    Ok(devices)
}

fn of_device(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Vec<(Retired, Stored)>, EngineError> {
    let prefix = key(&[account.as_bytes(), device.as_bytes()]);
    let rows = tx.scan(Table::Session, &prefix, None, limits::PAGE)?;
    let rows = rows.into_iter().filter(|(place, _)| is_retired(place));
    let read = |(place, record): (Vec<u8>, _)| {
        let retired = Retired::read(&place);
        retired
            .map(|retired| (retired, record))
            .ok_or_else(|| StoreError::Damaged { what: "session" }.into())
    };
    rows.map(read).collect()
}

/// The device is heard in a session of the keys in force: what it sealed before lies in front of that, so that the
/// sessions that were set aside have little left to open.
pub(crate) fn heard(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let until = tx.now.saturating_add(limits::HEARD_ANEW_SECONDS);
    for (retired, record) in of_device(tx, account, device)? {
        if retired.until > until {
            retired.delete(tx);
            Retired { until, ..retired }.store(tx, record);
        }
    }
    Ok(())
}

/// The device is gone: nothing of it is opened any more.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    for (retired, _) in of_device(tx, account, device)? {
        retired.delete(tx);
    }
    Ok(())
}

/// Destroys what has been kept long enough.
pub(crate) fn destroy(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let now = tx.now.as_secs().to_be_bytes();
    let is_due = |end: Option<&[u8]>| {
        let until = end.and_then(|end| end.first_chunk::<8>());
        until.is_none_or(|until| *until <= now)
    };
    for (end, _) in tx.scan(Table::Meta, ENDS, None, limits::PAGE)? {
        if !is_due(end.strip_prefix(ENDS)) {
            break;
        }
        match Retired::read_end(&end) {
            Some(retired) => retired.delete(tx),
            None => tx.delete(Table::Meta, end),
        }
    }
    for (place, _) in tx.scan(Table::Meta, KEYS, None, limits::PAGE)? {
        let numbers = place.strip_prefix(KEYS);
        if !is_due(numbers) {
            break;
        }
        let last = numbers.and_then(|numbers| numbers.last_chunk::<4>());
        if let Some(last) = last {
            pre_keys::destroy_until(tx, u32::from_be_bytes(*last))?;
        }
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

/// The account has ended: nothing is kept any longer. The sessions themselves go with all others.
pub(crate) fn destroy_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for prefix in [KEYS, ENDS] {
        tx.each(Table::Meta, prefix, |tx, place, _| {
            tx.delete(Table::Meta, place.to_vec());
            Ok(())
        })?;
    }
    Ok(())
}

/// Opens what was sealed in a session that was set aside, or begins one with keys that were replaced, ours or those
/// of the device. The inner error is the ratchet's.
pub(crate) fn open(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    inner: &Inner,
) -> Result<Result<Received, DecryptError>, EngineError> {
    let opened = match inner.kind {
        MessageKind::Ratchet => open_later(tx, peer, inner)?,
        MessageKind::PreKey => open_first(tx, peer, inner)?,
        MessageKind::Signed => Err(DecryptError::Refused),
    };
    let contact = contacts::load(tx, &peer.id)?;
    let answered = !contact.is_some_and(|contact| contact.request) && !peer.stopped;
    if opened.is_ok() && answered && !sessions::can_send(tx, &peer.id, &inner.device)? {
        waiting::renew(tx, &peer.id, &inner.device)?;
    }
    Ok(opened)
}

fn open_later(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    inner: &Inner,
) -> Result<Result<Received, DecryptError>, EngineError> {
    let Ok(incoming) = IncomingMessage::decode(Profile::Letterlock, &inner.message) else {
        return Ok(Err(DecryptError::Refused));
    };
    for (retired, record) in of_device(tx, &peer.id, &inner.device)? {
        let mut record = decoded(&record)?;
        match record.decrypt(&incoming, tx.now, tx.rng) {
            Ok(received) => {
                retired.store(tx, record.encode().into_zeroizing());
                return Ok(Ok(received));
            }
            Err(DecryptError::Duplicate) => return Ok(Err(DecryptError::Duplicate)),
            Err(_) => {}
        }
    }
    Ok(Err(DecryptError::Refused))
}

fn open_first(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    inner: &Inner,
) -> Result<Result<Received, DecryptError>, EngineError> {
    let Ok(incoming) = IncomingPreKeyMessage::decode(Profile::Letterlock, &inner.message) else {
        return Ok(Err(DecryptError::Refused));
    };
    let identity = *incoming.named().identity;
    let ours = own_of(tx, incoming.named().signed_id)?;
    let mut rows = of_device(tx, &peer.id, &inner.device)?;
    if let Some(ours) = &ours {
        // Nobody wrote before: a first letter to keys that were replaced.
        let retired = Retired {
            account: peer.id,
            device: inner.device,
            until: ours.until,
            sequence: peer.log.head().sequence,
            number: tx.next_number("retired")?,
        };
        let empty = ratchet::Record::letterlock().encode().into_zeroizing();
        rows.push((retired, empty));
    }
    for (retired, record) in rows {
        // SECURITY: keys that the device had since, and no others; `old_keys_are_worth_nothing_in_the_end` notices.
        let since = (retired.sequence, &inner.device);
        let Some(theirs) = device_with(&peer.log, since, &identity)? else {
            continue;
        };
        let mut record = decoded(&record)?;
        let opening = ours.as_ref().map(|ours| &ours.opening);
        let remote = (&peer.log, &theirs);
        let opened = sessions::respond(tx, &mut record, remote, (&incoming, opening))?;
        match opened {
            Ok(received) => {
                retired.store(tx, record.encode().into_zeroizing());
                return Ok(Ok(received));
            }
            Err(DecryptError::Duplicate) => return Ok(Err(DecryptError::Duplicate)),
            Err(_) => {}
        }
    }
    Ok(Err(DecryptError::Refused))
}

/// Whether a body was sealed in a session that was set aside and is gone, as far as that can be known, or was to begin one
/// with keys that were replaced, ours or those of its device. Its sender seals again what was not confirmed.
pub(crate) fn is_late(
    tx: &Transaction<'_>,
    peer: &Peer,
    inner: &Inner,
) -> Result<bool, EngineError> {
    match inner.kind {
        MessageKind::PreKey => {}
        // A body that hung somewhere comes behind what was sealed under the new keys, however much later;
        // `devices_of_an_account_agree_whatever_else_happens` notices.
        MessageKind::Ratchet => return rotated_lately(tx, peer, &inner.device),
        MessageKind::Signed => return Ok(false),
    }
    let Ok(incoming) = IncomingPreKeyMessage::decode(Profile::Letterlock, &inner.message) else {
        return Ok(false);
    };
    let named = incoming.named();
    if own_of(tx, named.signed_id)?.is_some() {
        return Ok(true);
    }
    let current = peer.log.device(&inner.device);
    if current.is_some_and(|device| device.identity() == Some(named.identity)) {
        return Ok(false);
    }
    let mut entries = peer.log.entries().iter();
    let first = entries.find(|entry| entry.devices.contains(&inner.device));
    let Some(first) = first.map(|entry| entry.sequence) else {
        return Ok(false);
    };
    let before = device_with(&peer.log, (first, &inner.device), named.identity)?;
    Ok(before.is_some())
}

/// Whether this device or that one got new keys so short a time ago that a relay may keep what was sealed before.
fn rotated_lately(
    tx: &Transaction<'_>,
    peer: &Peer,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?;
    // The log knows hours.
    let kept = limits::REPLACED_KEPT_SECONDS.saturating_add(3600);
    let lately = |log: &VerifiedLog, device: &DeviceId| {
        log.entries().iter().any(|entry| {
            entry.kind == EntryKind::RotateDevice
                && entry.subject.as_ref() == Some(device)
                && entry.at.saturating_add(kept) > tx.now
        })
    };
    Ok(lately(&peer.log, device) || lately(&account::log_of(&own)?, &own.device))
}

fn decoded(record: &[u8]) -> Result<ratchet::Record, EngineError> {
    ratchet::Record::decode(record).map_err(|_| StoreError::Damaged { what: "session" }.into())
}

/// A device with every key that it had before those in force, as its log tells.
pub(crate) fn before(
    log: &VerifiedLog,
    device: &DeviceId,
) -> Result<Vec<DeviceRecord>, EngineError> {
    let mut before = Vec::new();
    let mut entries = log.entries().iter();
    let first = entries.find(|entry| entry.devices.contains(device));
    let rotated = entries.filter(|entry| {
        entry.kind == EntryKind::RotateDevice && entry.subject.as_ref() == Some(device)
    });
    for entry in first.into_iter().chain(rotated) {
        before.extend(device_at(log, entry, device)?);
    }
    before.pop(); // The keys in force.
    Ok(before)
}

/// A device as its log named it at an entry or later, when it had an identity key.
fn device_with(
    log: &VerifiedLog,
    (since, device): (u64, &DeviceId),
    identity: &X25519Public,
) -> Result<Option<DeviceRecord>, EngineError> {
    let entries = log.entries().iter();
    let rotated = entries.filter(|entry| {
        entry.sequence == since
            || (entry.sequence > since
                && entry.kind == EntryKind::RotateDevice
                && entry.subject.as_ref() == Some(device))
    });
    for entry in rotated {
        let then = device_at(log, entry, device)?;
        if let Some(then) = then.filter(|then| then.identity() == Some(identity)) {
            return Ok(Some(then));
        }
    }
    Ok(None)
}

/// A device as its log named it after an entry.
fn device_at(
    log: &VerifiedLog,
    entry: &EntrySummary,
    device: &DeviceId,
) -> Result<Option<DeviceRecord>, EngineError> {
    const DAMAGED: StoreError = StoreError::Damaged {
        what: "account log",
    };
    let bytes = wire::RawLog::parse(log.bytes()).and_then(|raw| raw.until(entry.sequence));
    let pin = Pin {
        sequence: entry.sequence,
        hash: entry.hash,
    };
    let before = UnverifiedLog::decode(&bytes.map_err(|_| DAMAGED)?)
        .and_then(|before| before.trusted(log.account_id(), &pin))
        .map_err(|_| DAMAGED)?;
    Ok(before.device(device).cloned())
}
