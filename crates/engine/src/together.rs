//! One body for several devices leaves as one request with a row for each.
//!
//! In the outbox every device has an entry of its own, so that each waits, is confirmed and is sent again by
//! itself. Entries of one body whose turn it is at the same time are handed out together, in the name of the first.

use crate::error::{EngineError, StoreError};
use crate::records::{OutboxEntry, Purpose, Record as _, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::MessageId;
use zeroize::Zeroizing;

/// The entries that went out in the name of one: its number, theirs.
const TOGETHER: &[u8] = b"together/";
/// The entry in whose name another one is out.
const WITH: &[u8] = b"out-with/";

fn together(id: u64) -> Vec<u8> {
    key(&[TOGETHER, &id.to_be_bytes()])
}

fn with(id: u64) -> Vec<u8> {
    key(&[WITH, &id.to_be_bytes()])
}

fn message_of(purpose: &Purpose) -> Option<MessageId> {
    match purpose {
        Purpose::Send { message, .. } => Some(*message),
        _ => None,
    }
}

/// The entries right behind one that carry the same body to other devices.
pub(crate) fn siblings(
    tx: &Transaction<'_>,
    id: u64,
    entry: &OutboxEntry,
) -> Result<Vec<(u64, OutboxEntry)>, EngineError> {
    let mut siblings = Vec::new();
    let Some(message) = message_of(&entry.purpose) else {
        return Ok(siblings);
    };
    let mut next = id;
    loop {
        next = next.saturating_add(1);
        let Some(bytes) = tx.get(Table::Outbox, &next.to_be_bytes())? else {
            return Ok(siblings);
        };
        let other = OutboxEntry::decode(&bytes)?;
        if message_of(&other.purpose) != Some(message) || other.relay != entry.relay {
            return Ok(siblings);
        }
        siblings.push((next, other));
    }
}

/// Whether an entry is out in the name of another one that still waits for its answer.
pub(crate) fn is_out(tx: &Transaction<'_>, id: u64) -> Result<bool, EngineError> {
    let Some(leader) = tx.get(Table::Meta, &with(id))? else {
        return Ok(false);
    };
    Ok(tx.get(Table::Outbox, &leader)?.is_some())
}

/// Notes that entries go out in the name of one.
pub(crate) fn note(tx: &mut Transaction<'_>, leader: u64, others: &[u64]) {
    let mut all = Vec::new();
    for other in others {
        all.extend_from_slice(&other.to_be_bytes());
        let value = Zeroizing::new(leader.to_be_bytes().to_vec());
        tx.put(Table::Meta, with(*other), value);
    }
    tx.put(Table::Meta, together(leader), Zeroizing::new(all));
}

/// The entries that are answered with one, that one first; they are together no longer.
pub(crate) fn take(tx: &mut Transaction<'_>, leader: u64) -> Result<Vec<u64>, EngineError> {
    let mut all = vec![leader];
    let place = together(leader);
    if let Some(others) = tx.get(Table::Meta, &place)? {
        for other in others.chunks(8) {
            let other = other.try_into().map_err(|_| StoreError::Damaged {
                what: "outbox entry",
            })?;
            let other = u64::from_be_bytes(other);
            tx.delete(Table::Meta, with(other));
            all.push(other);
        }
        tx.delete(Table::Meta, place);
    }
    Ok(all)
}

/// What a reply to several rows says to one of them.
pub(crate) fn part_of(reply: &wire::Reply, row: usize) -> Option<wire::Reply> {
    match reply {
        wire::Reply::SendResult(result) => {
            let row = result.rows.get(row)?;
            Some(wire::Reply::SendResult(wire::SendResult {
                rows: vec![*row],
                ..result.clone()
            }))
        }
        reply => Some(reply.clone()),
    }
}
