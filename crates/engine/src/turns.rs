//! Letters to one device leave one after another: a relay that refuses one for a while must not take the next.

use crate::error::{EngineError, StoreError};
use crate::records::{Purpose, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::AccountId;
use zeroize::Zeroizing;

/// Requests to one device, by their numbers.
const TURN: &[u8] = b"turn/";

/// The place of a request in its device's line; requests that are no letters have none.
fn line(purpose: &Purpose) -> Option<Vec<u8>> {
    match purpose {
        Purpose::Send {
            account, device, ..
        } => Some(key(&[TURN, account.as_bytes(), device.as_bytes()])),
        _ => None,
    }
}

/// Puts a request of the outbox at the end of its line. Says whether it may leave now.
pub(crate) fn enter(
    tx: &mut Transaction<'_>,
    purpose: &Purpose,
    id: u64,
) -> Result<bool, EngineError> {
    let Some(line) = line(purpose) else {
        return Ok(true);
    };
    let place = key(&[&line, &id.to_be_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
    Ok(first(tx, &line)? == Some(id))
}

/// Whether it is a request's turn.
pub(crate) fn is_up(tx: &Transaction<'_>, purpose: &Purpose, id: u64) -> Result<bool, EngineError> {
    match line(purpose) {
        Some(line) => Ok(first(tx, &line)? == Some(id)),
        None => Ok(true),
    }
}

/// A request has its answer: whose turn is it now?
pub(crate) fn leave(
    tx: &mut Transaction<'_>,
    purpose: &Purpose,
    id: u64,
) -> Result<Option<u64>, EngineError> {
    let Some(line) = line(purpose) else {
        return Ok(None);
    };
    tx.delete(Table::Meta, key(&[&line, &id.to_be_bytes()]));
    first(tx, &line)
}

/// The requests whose turn it is at the devices of an account.
pub(crate) fn up_for(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<u64>, EngineError> {
    let lines = key(&[TURN, account.as_bytes()]);
    let mut up = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    // A step from line to line: the last place of a line is the device and the highest number.
    while let Some((place, _)) = tx.scan(Table::Meta, &lines, after.as_deref(), 1)?.pop() {
        let (line, id) = place
            .split_last_chunk::<8>()
            .ok_or(StoreError::Damaged { what: "turn" })?;
        up.push(u64::from_be_bytes(*id));
        after = Some(key(&[line, &u64::MAX.to_be_bytes()]));
    }
    Ok(up)
}

fn first(tx: &Transaction<'_>, line: &[u8]) -> Result<Option<u64>, EngineError> {
    let rows = tx.scan(Table::Meta, line, None, 1)?;
    let Some((place, _)) = rows.first() else {
        return Ok(None);
    };
    let id = place.last_chunk::<8>();
    let id = id.ok_or(StoreError::Damaged { what: "turn" })?;
    Ok(Some(u64::from_be_bytes(*id)))
}
