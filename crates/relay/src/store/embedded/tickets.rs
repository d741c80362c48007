//! Tickets of invites: used once.

use super::counts::Table;
use super::writer::Tx;
use crate::limits;
use keys::Timestamp;
use rusqlite::{OptionalExtension as _, params};

/// How the noting of a ticket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It is there, new or as before.
    Done,
    /// It is there with another time.
    Conflict,
    /// There are as many as there may be.
    Full,
}

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

/// Notes a ticket.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    expires: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Noted> {
    let latest = now.saturating_add(limits::TICKET_SECONDS);
    let expires = expires.min(latest).saturating_add(3599).to_hour();
    let known: Option<u64> = tx
        .sql
        .prepare_cached("SELECT expires FROM tickets WHERE ticket_hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        let same = known == expires.as_secs();
        return Ok(if same { Noted::Done } else { Noted::Conflict });
    }
    if !tx.counts.has_room(tx.sql, Table::Tickets, tx.max.tickets)? {
        return Ok(Noted::Full);
    }
    tx.sql
        .prepare_cached("INSERT INTO tickets (ticket_hash, expires) VALUES (?1, ?2)")?
        .execute(params![hash, expires.as_secs()])?;
    tx.counts.came(Table::Tickets);
    Ok(Noted::Done)
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
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let before = now.as_secs().saturating_sub(limits::TICKET_SECONDS);
    let gone = tx
        .sql
        .execute("DELETE FROM tickets WHERE expires < ?1", [before])?;
    tx.counts.went(Table::Tickets, gone);
    tx.sql
        .execute("DELETE FROM codes WHERE expires < ?1", [before])
        .map(drop)
}
