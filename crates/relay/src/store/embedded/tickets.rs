//! Tickets of invites: used once.

use super::writer::Tx;
use crate::limits;
use keys::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

/// How the use of a ticket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// It counts for this nonce, now or before.
    Counts,
    /// Another nonce used it.
    Used,
    /// Its time is over.
    Expired,
    /// There is none.
    Unknown,
}

/// Notes a ticket; another time for a known one changes nothing and is a conflict.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    expires: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let latest = now.saturating_add(limits::TICKET_SECONDS);
    let expires = expires.min(latest).saturating_add(3599).to_hour();
    let known: Option<u64> = tx
        .sql
        .prepare_cached("SELECT expires FROM tickets WHERE ticket_hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known == expires.as_secs());
    }
    tx.sql
        .prepare_cached("INSERT INTO tickets (ticket_hash, expires) VALUES (?1, ?2)")?
        .execute(params![hash, expires.as_secs()])?;
    Ok(true)
}

/// Uses a ticket.
pub(crate) fn redeem(
    tx: &mut Tx<'_>,
    ticket: &[u8; 16],
    nonce: &[u8; 16],
    now: Timestamp,
) -> rusqlite::Result<Ticket> {
    let hash = keys::sha256(&[ticket]);
    let known: Option<(u64, Option<[u8; 16]>)> = tx
        .sql
        .prepare_cached("SELECT expires, nonce FROM tickets WHERE ticket_hash = ?1")?
        .query_row([&hash], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match known {
        None => Ticket::Unknown,
        Some((_, Some(before))) if before == *nonce => Ticket::Counts,
        Some((_, Some(_))) => Ticket::Used,
        Some((expires, None)) if expires < now.as_secs() => Ticket::Expired,
        Some((_, None)) => {
            tx.sql
                .prepare_cached("UPDATE tickets SET nonce = ?2 WHERE ticket_hash = ?1")?
                .execute(params![hash, nonce])?;
            Ticket::Counts
        }
    })
}

/// Forgets tickets and codes whose time is long over: until then their holders are told so.
pub(super) fn sweep(sql: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let before = now.as_secs().saturating_sub(limits::TICKET_SECONDS);
    sql.execute("DELETE FROM tickets WHERE expires < ?1", [before])?;
    sql.execute("DELETE FROM codes WHERE expires < ?1", [before])
        .map(drop)
}
