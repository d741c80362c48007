//! Bodies that came before the log that tells who sent them.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::queues;
use crate::records::{Purpose, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, DeviceId, QueueId};
use zeroize::Zeroizing;

/// Something of a device is held: what comes after it waits behind it.
const DEVICE: &[u8] = b"held-of/";
/// A question for the log of somebody unknown is open.
const ASKED: &[u8] = b"stranger-asked/";

/// Keeps a body until the log of its sender came.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    queue: &QueueId,
    body: &[u8],
) -> Result<(), EngineError> {
    let rows = tx.scan(Table::Held, &[], None, limits::HELD_BODIES)?;
    if rows.len() >= limits::HELD_BODIES {
        tx.event(Event::Undecryptable { contact: None });
        return Ok(());
    }
    let number = tx.next_number("held")?;
    let place = key(&[account.as_bytes(), &number.to_be_bytes()]);
    let value = Zeroizing::new([queue.as_bytes(), body].concat());
    tx.put(Table::Held, place, value);
    Ok(())
}

/// Keeps a body of a known account and asks for newer entries of its log, and of our own: it may be sealed by a list of
/// our devices that is not known here.
pub(crate) fn keep_and_check(
    tx: &mut Transaction<'_>,
    (account, device): (&AccountId, &DeviceId),
    queue: &QueueId,
    body: &[u8],
) -> Result<(), EngineError> {
    keep(tx, account, queue, body)?;
    let place = key(&[DEVICE, account.as_bytes(), device.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
    let own = account::own(tx)?.id;
    logs::check(tx, &own)?;
    logs::check(tx, account)
}

/// Whether what a device sent before is held, and there is room behind it: nothing overtakes it.
pub(crate) fn is_behind(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let place = key(&[DEVICE, account.as_bytes(), device.as_bytes()]);
    if tx.get(Table::Meta, &place)?.is_none() {
        return Ok(false);
    }
    let rows = tx.scan(Table::Held, &[], None, limits::HELD_BODIES)?;
    Ok(rows.len() < limits::HELD_BODIES)
}

/// A log goes further: what it lets open opens before what comes next. The account's, or everybody's where it is ours.
pub(crate) fn retry(
    tx: &mut Transaction<'_>,
    account: Option<&AccountId>,
) -> Result<(), EngineError> {
    let prefix: &[u8] = account.map_or(&[], |account| account.as_bytes());
    for (queue, body) in take(tx, prefix)? {
        queues::hand_in_as_new(tx, &queue, &body)?;
    }
    Ok(())
}

/// The accounts of which something is held.
pub(crate) fn accounts(tx: &Transaction<'_>) -> Result<Vec<AccountId>, EngineError> {
    let rows = tx.scan(Table::Held, &[], None, limits::HELD_BODIES)?;
    let ids = rows.iter().filter_map(|(place, _)| place.first_chunk());
    let mut ids: Vec<AccountId> = ids.map(|id| AccountId::from_bytes(*id)).collect();
    ids.dedup();
    Ok(ids)
}

/// What is held under a prefix, in the order in which it came; it is held no longer.
fn take(tx: &mut Transaction<'_>, prefix: &[u8]) -> Result<Vec<(QueueId, Vec<u8>)>, EngineError> {
    let mut bodies = Vec::new();
    tx.each(Table::Meta, &key(&[DEVICE, prefix]), |tx, place, _| {
        tx.delete(Table::Meta, place.to_vec());
        Ok(())
    })?;
    for (place, value) in tx.scan(Table::Held, prefix, None, limits::HELD_BODIES)? {
        tx.delete(Table::Held, place);
        let damaged = StoreError::Damaged { what: "held body" };
        let (queue, body) = value.split_first_chunk::<16>().ok_or(damaged)?;
        bodies.push((QueueId::from_bytes(*queue), body.to_vec()));
    }
    Ok(bodies)
}

/// Keeps a body of an account that is not known yet and asks its relay for the log.
pub(crate) fn keep_and_fetch(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    relay: &str,
    queue: &QueueId,
    body: &[u8],
) -> Result<(), EngineError> {
    keep(tx, account, queue, body)?;
    let asked = key(&[ASKED, account.as_bytes()]);
    if tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    let request = wire::Request::FetchLog(wire::FetchLog::ByAccount(*account));
    let purpose = Purpose::LogOfStranger(*account);
    outbox::add(tx, purpose, relay.to_owned(), request).map(drop)
}

/// The relay answered what it knows of somebody unknown.
pub(crate) fn fetched(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    log: Option<&[u8]>,
) -> Result<(), EngineError> {
    tx.delete(Table::Meta, key(&[ASKED, account.as_bytes()]));
    release(tx, account, log)
}

/// Hands in what was kept for an account; what still cannot be placed is gone.
pub(crate) fn release(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    log: Option<&[u8]>,
) -> Result<(), EngineError> {
    for (queue, body) in take(tx, account.as_bytes())? {
        queues::hand_in_again(tx, &queue, &body, log)?;
    }
    Ok(())
}
