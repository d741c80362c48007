//! Heads: small values that their owner replaces, one version after the other.

use super::counts::Table;
use super::writer::Tx;
use crate::limits;
use keys::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use wire::{Head, PutHead, head_id};

/// How the writing of a head ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadPut {
    /// It is there, new or as before.
    Done,
    /// Another version is there than the one that it replaces.
    Conflict,
    /// There are as many as there may be, or as many bytes.
    Full,
}

/// What is known of a head.
#[derive(Debug)]
pub(crate) enum HeadFound {
    /// As it was handed in.
    Head(Head),
    /// It had this version.
    Deleted(u64),
    /// Nothing.
    Nothing,
}

/// Stores a head whose signature holds.
pub(crate) fn put(tx: &mut Tx<'_>, request: &PutHead, now: Timestamp) -> rusqlite::Result<HeadPut> {
    let id = head_id(&request.public_key);
    let known: Option<(u64, Option<Vec<u8>>)> = tx
        .sql
        .prepare_cached("SELECT version, body FROM heads WHERE head = ?1")?
        .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let hour = now.to_hour().as_secs();
    let (version, before) = match &known {
        Some((version, Some(body))) if *version == request.version && *body == request.body => {
            tx.sql
                .prepare_cached("UPDATE heads SET hour = ?2 WHERE head = ?1")?
                .execute(params![id, hour])?;
            return Ok(HeadPut::Done);
        }
        Some((version, body)) => (*version, body.as_ref().map_or(0, Vec::len)),
        None => (0, 0),
    };
    // SECURITY: the version of a deleted head stays, so that nobody brings an old value back;
    // `a_deleted_head_does_not_come_back` notices.
    if version != request.previous {
        return Ok(HeadPut::Conflict);
    }
    let more = request.body.len().saturating_sub(before);
    let has_room = tx
        .counts
        .has_room_for(tx.sql, Table::HeadBytes, more, tx.max.head_bytes)?
        && (known.is_some() || tx.counts.has_room(tx.sql, Table::Heads, tx.max.heads)?);
    if !has_room {
        return Ok(HeadPut::Full);
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO heads (head, public_key, version, previous, body, signature, hour)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (head) DO UPDATE SET version = excluded.version, previous = excluded.previous,
                 body = excluded.body, signature = excluded.signature, hour = excluded.hour",
        )?
        .execute(params![
            id,
            request.public_key,
            request.version,
            request.previous,
            request.body,
            request.signature,
            hour
        ])?;
    if known.is_none() {
        tx.counts.came(Table::Heads);
    }
    tx.counts.went(Table::HeadBytes, before);
    tx.counts.came_by(Table::HeadBytes, request.body.len());
    Ok(HeadPut::Done)
}

/// Finds a head, or the version of one that was deleted.
pub(crate) fn find(sql: &Connection, id: &[u8; 32]) -> rusqlite::Result<HeadFound> {
    let found = sql
        .prepare_cached(
            "SELECT public_key, version, previous, body, signature FROM heads WHERE head = ?1",
        )?
        .query_row([id], |row| {
            let version = row.get(1)?;
            let Some(body) = row.get(3)? else {
                return Ok(HeadFound::Deleted(version));
            };
            Ok(HeadFound::Head(Head {
                public_key: row.get(0)?,
                version,
                previous: row.get(2)?,
                body,
                signature: row.get(4)?,
            }))
        });
    Ok(found.optional()?.unwrap_or(HeadFound::Nothing))
}

/// Deletes a head of a version; false means that another version is there.
pub(crate) fn delete(
    tx: &mut Tx<'_>,
    id: &[u8; 32],
    version: u64,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let known: Option<(u64, usize)> = tx
        .sql
        .prepare_cached(
            "SELECT version, length(body) FROM heads WHERE head = ?1 AND body IS NOT NULL",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((there, bytes)) = known else {
        return Ok(true);
    };
    if there != version {
        return Ok(false);
    }
    tx.sql
        .prepare_cached("UPDATE heads SET body = NULL, hour = ?2 WHERE head = ?1")?
        .execute(params![id, now.to_hour().as_secs()])?;
    tx.counts.went(Table::HeadBytes, bytes);
    Ok(true)
}

/// Forgets heads that nobody has written for long; true means that there may be more.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> rusqlite::Result<bool> {
    let before = now.as_secs().saturating_sub(limits::HEAD_SECONDS);
    let mut statement = tx.sql.prepare_cached(
        "DELETE FROM heads WHERE id IN (SELECT id FROM heads WHERE hour < ?1 LIMIT ?2)
         RETURNING coalesce(length(body), 0)",
    )?;
    let bytes: Vec<usize> = statement
        .query_map(params![before, limits::SWEEP_ROWS], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tx.counts.went(Table::Heads, bytes.len());
    tx.counts.went(Table::HeadBytes, bytes.iter().sum());
    Ok(!bytes.is_empty())
}
