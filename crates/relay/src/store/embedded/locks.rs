//! Locks: a key, a delay, and since when it runs.

use super::counts::Table;
use super::writer::Tx;
use keys::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use wire::{LockKey, PutLock, lock_id};

/// How the making of a lock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockPut {
    /// It is there, new or as before.
    Done,
    /// Another one has this id.
    Conflict,
    /// There are as many as there may be.
    Full,
}

/// What became of an attempt to open a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// There is none.
    Unknown,
    /// The token is not the lock's.
    BadToken,
    /// It opens at this time.
    OpensAt(Timestamp),
    /// It is open.
    Open(LockKey),
}

/// What became of an attempt to close a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// There is none.
    Unknown,
    /// It opens at another time.
    OtherTime,
    /// It is closed.
    Closed,
}

struct Lock {
    key: [u8; 32],
    token_hash: [u8; 32],
    delay: u64,
    opens_at: Option<u64>,
}

fn find(sql: &Connection, id: &[u8; 32]) -> rusqlite::Result<Option<Lock>> {
    sql.prepare_cached("SELECT lock_key, token_hash, delay, opens_at FROM locks WHERE lock = ?1")?
        .query_row([id], |row| {
            Ok(Lock {
                key: row.get(0)?,
                token_hash: row.get(1)?,
                delay: row.get(2)?,
                opens_at: row.get(3)?,
            })
        })
        .optional()
}

fn set(sql: &Connection, id: &[u8; 32], opens_at: Option<u64>) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE locks SET opens_at = ?2 WHERE lock = ?1")?
        .execute(params![id, opens_at])
        .map(drop)
}

/// Makes a lock whose signature holds.
pub(crate) fn put(tx: &mut Tx<'_>, request: &PutLock, now: Timestamp) -> rusqlite::Result<LockPut> {
    let id = lock_id(&request.public_key);
    if let Some(known) = find(tx.sql, &id)? {
        let same = keys::ct_eq(&known.key, request.key.as_bytes())
            && known.token_hash == request.token_hash
            && known.delay == request.delay_seconds;
        return Ok(if same {
            LockPut::Done
        } else {
            LockPut::Conflict
        });
    }
    if !tx.counts.has_room(tx.sql, Table::Locks, tx.max.locks)? {
        return Ok(LockPut::Full);
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO locks (lock, lock_key, token_hash, delay, hour) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id,
            request.key.as_bytes(),
            request.token_hash,
            request.delay_seconds,
            now.to_hour().as_secs()
        ])?;
    tx.counts.came(Table::Locks);
    Ok(LockPut::Done)
}

/// Begins to open a lock, or gives its key out.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    id: &[u8; 32],
    token_hash: &[u8; 32],
    now: Timestamp,
) -> rusqlite::Result<Opening> {
    let Some(lock) = find(tx.sql, id)? else {
        return Ok(Opening::Unknown);
    };
    // SECURITY: guardians alone begin; `a_lock_opens_for_its_token_alone` notices.
    if !keys::ct_eq(&lock.token_hash, token_hash) {
        return Ok(Opening::BadToken);
    }
    Ok(match lock.opens_at {
        // SECURITY: nothing before the time; `a_lock_gives_its_key_when_its_delay_is_over` notices.
        Some(opens_at) if opens_at <= now.as_secs() => Opening::Open(LockKey::from_bytes(lock.key)),
        Some(opens_at) => Opening::OpensAt(Timestamp::from_secs(opens_at)),
        None => {
            let opens_at = now.saturating_add(lock.delay);
            set(tx.sql, id, Some(opens_at.as_secs()))?;
            Opening::OpensAt(opens_at)
        }
    })
}

/// Closes a lock that opens at a time, which its owner signed.
pub(crate) fn cancel(
    tx: &mut Tx<'_>,
    id: &[u8; 32],
    opens_at: Timestamp,
) -> rusqlite::Result<Closing> {
    let Some(lock) = find(tx.sql, id)? else {
        return Ok(Closing::Unknown);
    };
    match lock.opens_at {
        None => Ok(Closing::Closed),
        // SECURITY: a signature closes one opening; `a_cancellation_counts_for_one_opening` notices.
        Some(running) if running != opens_at.as_secs() => Ok(Closing::OtherTime),
        Some(_) => set(tx.sql, id, None).map(|()| Closing::Closed),
    }
}

/// When a lock opens, if there is one and if it does.
pub(crate) fn status(
    sql: &Connection,
    id: &[u8; 32],
) -> rusqlite::Result<Option<Option<Timestamp>>> {
    let lock = find(sql, id)?;
    Ok(lock.map(|lock| lock.opens_at.map(Timestamp::from_secs)))
}

/// Deletes a lock.
pub(crate) fn delete(tx: &mut Tx<'_>, id: &[u8; 32]) -> rusqlite::Result<()> {
    let gone = tx
        .sql
        .prepare_cached("DELETE FROM locks WHERE lock = ?1")?
        .execute([id])?;
    tx.counts.went(Table::Locks, gone);
    Ok(())
}
