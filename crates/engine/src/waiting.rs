//! Letters that wait for keys, and the questions that get them.

use crate::error::{EngineError, StoreError};
use crate::letters;
use crate::limits;
use crate::outbox;
use crate::peers::{self, Peer};
use crate::records::{Purpose, key};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, DeviceId, LetterId, Timestamp};
use zeroize::Zeroizing;

/// A device's question for keys is open.
const ASKED: &[u8] = b"bundle/";
/// A device's keys are to be asked for again, at a time.
const AGAIN: &[u8] = b"bundle-again/";
/// When a session with a device was last repaired.
const REPAIRED: &[u8] = b"repaired/";
/// A device's keys did not fit its log, a byte for each time; they are asked for again when that is confirmed.
const DOUBTED: &[u8] = b"bundle-doubted/";
/// So many times.
const DOUBTS: usize = 2;
/// The session that begins next is a repair.
const REPAIRING: &[u8] = b"repairing/";

fn mark(what: &[u8], account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[what, account.as_bytes(), device.as_bytes()])
}

/// Nothing more is asked of a device.
pub(crate) fn forget(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    for what in [ASKED, AGAIN, DOUBTED, REPAIRED, REPAIRING] {
        tx.delete(Table::Meta, mark(what, account, device));
    }
}

/// Lets a letter wait for a session, and asks for keys where nobody has.
pub(crate) fn wait(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    put(tx, account, device, letter)?;
    ask(tx, account, device)
}

fn put(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let number = tx.next_number("waiting")?;
    let waiting = key(&[account.as_bytes(), device.as_bytes(), &number.to_be_bytes()]);
    let value = Zeroizing::new(letter.as_bytes().to_vec());
    tx.put(Table::Waiting, waiting, value);
    Ok(())
}

/// Asks the contact's relay for keys of a device and its front door, where no question is open.
pub(crate) fn ask(
    tx: &mut Transaction<'_>,
    id: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let asked = mark(ASKED, id, device);
    if tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    let peer = peers::existing(tx, id)?;
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    let request = wire::Request::FetchBundle(wire::FetchBundle {
        account: *id,
        device: *device,
    });
    let purpose = Purpose::FetchBundle(*id, *device);
    outbox::add(tx, purpose, peer.relay, request).map(drop)
}

/// The contact's relay knows no way to a device now, perhaps because it lost it: asked again in a while.
pub(crate) fn wait_longer(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let sent_at = letters::load(tx, letter)?.map(|letter| letter.sent_at);
    if sent_at.is_none_or(|sent_at| tx.now.since(sent_at) > limits::SENT_KEPT_SECONDS) {
        return sending::fail(tx, letter, device, EngineError::NoPreKeys);
    }
    put(tx, account, device, letter)?;
    let due = tx.now.saturating_add(limits::ASK_AGAIN_SECONDS).as_secs();
    let value = Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Meta, mark(AGAIN, account, device), value);
    Ok(())
}

/// Asks again for keys of devices whose relay knew none.
pub(crate) fn ask_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Meta, AGAIN, |tx, place, due| {
        if due > tx.now.as_secs().to_be_bytes().as_slice() {
            return Ok(());
        }
        tx.delete(Table::Meta, place.to_vec());
        let damaged = StoreError::Damaged { what: "question" };
        let ids = place
            .strip_prefix(AGAIN)
            .and_then(|ids| ids.split_first_chunk::<32>());
        let (account, device) = ids.ok_or(damaged)?;
        let device =
            DeviceId::from_slice(device).ok_or(StoreError::Damaged { what: "question" })?;
        ask(tx, &AccountId::from_bytes(*account), &device)
    })
}

/// A letter does not open: one side lost its state. We begin a new session, at most once an hour, and what
/// it carries asks the peer for what it sent and we did not confirm. Says whether that began now.
pub(crate) fn repair(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    unknown: bool,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let place = mark(REPAIRED, &peer.id, device);
    let last = tx.get(Table::Meta, &place)?;
    let last = last.and_then(|last| last.as_slice().try_into().ok().map(u64::from_be_bytes));
    let recent =
        last.is_some_and(|last| tx.now.since(Timestamp::from_secs(last)) < limits::REPAIR_SECONDS);
    // A stranger learns nothing, and a contact whose identity changed gets nothing sealed.
    if recent || unknown || peer.stopped {
        return Ok(false);
    }
    let now = tx.now.as_secs().to_be_bytes().to_vec();
    tx.put(Table::Meta, place, Zeroizing::new(now));
    renew(tx, &peer.id, device)?;
    Ok(true)
}

/// A session takes the place of one that is lost, or stands on keys that were replaced: what it carries asks the
/// peer for what it sent and we did not confirm.
pub(crate) fn renew(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let repairing = mark(REPAIRING, account, device);
    tx.put(Table::Meta, repairing, Zeroizing::new(Vec::new()));
    ask(tx, account, device)
}

/// Whether a letter waits for a device.
pub(crate) fn any(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let prefix = key(&[account.as_bytes(), device.as_bytes()]);
    Ok(!tx.scan(Table::Waiting, &prefix, None, 1)?.is_empty())
}

/// The letters that wait for any device of an account.
pub(crate) fn all(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<LetterId>, EngineError> {
    let prefix = account.as_bytes();
    let rows = tx.scan(Table::Waiting, prefix, None, limits::WAITING_LETTERS)?;
    let ids = rows.iter();
    Ok(ids.filter_map(|(_, id)| LetterId::from_slice(id)).collect())
}

/// The letters that wait for a device, in order; they wait no longer.
pub(crate) fn take(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Vec<LetterId>, EngineError> {
    let prefix = key(&[account.as_bytes(), device.as_bytes()]);
    let rows = tx.scan(Table::Waiting, &prefix, None, limits::WAITING_LETTERS)?;
    let mut letters = Vec::with_capacity(rows.len());
    for (waiting, letter) in rows {
        letters.extend(LetterId::from_slice(&letter));
        tx.delete(Table::Waiting, waiting);
    }
    Ok(letters)
}

/// The question is answered. Says whether the session that begins now is a repair.
pub(crate) fn answered(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    // A session that begins although there is one costs a pre-key, and may be answered after its keys are gone.
    for what in [ASKED, AGAIN] {
        tx.delete(Table::Meta, mark(what, account, device));
    }
    let repairing = mark(REPAIRING, account, device);
    let repair = tx.get(Table::Meta, &repairing)?.is_some();
    tx.delete(Table::Meta, repairing);
    Ok(repair)
}

/// Keys of a device do not fit its log: what waits goes on waiting until the log is confirmed. False, where that
/// was done before and its keys did not change since.
pub(crate) fn doubt(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    repair: bool,
) -> Result<bool, EngineError> {
    let doubted = mark(DOUBTED, account, device);
    // One answer may be older than the log that is known here, and one newer; a change of keys begins the count anew.
    let before = tx
        .get(Table::Meta, &doubted)?
        .map_or(0, |times| times.len());
    if before >= DOUBTS {
        tx.delete(Table::Meta, doubted);
        return Ok(false);
    }
    let times = vec![0; before.saturating_add(1)];
    tx.put(Table::Meta, doubted, Zeroizing::new(times));
    if repair {
        let repairing = mark(REPAIRING, account, device);
        tx.put(Table::Meta, repairing, Zeroizing::new(Vec::new()));
    }
    Ok(true)
}

/// The log of an account is confirmed: keys that did not fit are asked for once more.
pub(crate) fn ask_doubted(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<(), EngineError> {
    let prefix = key(&[DOUBTED, account.as_bytes()]);
    for (place, _) in tx.scan(Table::Meta, &prefix, None, limits::PAGE)? {
        let device = place.strip_prefix(prefix.as_slice());
        if let Some(device) = device.and_then(DeviceId::from_slice) {
            ask(tx, account, &device)?;
        }
    }
    Ok(())
}

/// The keys of a device fit its log.
pub(crate) fn trust(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    tx.delete(Table::Meta, mark(DOUBTED, account, device));
}

/// The relay has no keys for a device: what waits for it waits longer.
pub(crate) fn no_bundle(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    answered(tx, account, device)?;
    for letter in take(tx, account, device)? {
        wait_longer(tx, account, device, &letter)?;
    }
    Ok(())
}
