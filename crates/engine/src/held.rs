//! Bodies that came before the log that tells who sent them.

use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::queues;
use crate::records::{Purpose, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, QueueId};
use zeroize::Zeroizing;

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

/// Keeps a body of a known account and asks for newer entries of its log.
pub(crate) fn keep_and_check(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    queue: &QueueId,
    body: &[u8],
) -> Result<(), EngineError> {
    keep(tx, account, queue, body)?;
    logs::check(tx, account)
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
    let rows = tx.scan(Table::Held, account.as_bytes(), None, limits::HELD_BODIES)?;
    for (place, value) in rows {
        tx.delete(Table::Held, place);
        let damaged = StoreError::Damaged { what: "held body" };
        let (queue, body) = value.split_first_chunk::<16>().ok_or(damaged)?;
        queues::hand_in_again(tx, &QueueId::from_bytes(*queue), body, log)?;
    }
    Ok(())
}
