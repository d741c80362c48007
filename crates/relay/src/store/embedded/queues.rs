//! Queues and the letters in them.

use super::counts::Table;
use super::epochs::{self, InEpoch, Judged};
use super::writer::Tx;
use crate::limits;
use crate::quota::Bucket;
use bytes::Bytes;
use keys::{MessageId, QueueId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;
use wire::{RowResult, SendRow};

/// Who may do what with a queue.
#[derive(Debug, Clone)]
pub(crate) struct QueueRecord {
    /// Ed25519 key of the receiver.
    pub(crate) receive_key: [u8; 32],
    /// SHA-256 of the send token.
    pub(crate) token_hash: [u8; 32],
    /// Number of the next body.
    pub(crate) next_seq: u64,
    /// Everything up to here is deleted.
    pub(crate) acknowledged: u64,
}

/// A body of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Its place.
    pub(crate) seq: u64,
    /// The body.
    pub(crate) body: Bytes,
    /// When it was accepted.
    pub(crate) hour: Timestamp,
}

/// What became of a send. Nothing was stored but for `Rows`.
#[derive(Debug)]
pub(crate) enum Sent {
    /// One result a row.
    Rows(Vec<RowResult>),
    /// A queue takes no more at this rate for so many milliseconds.
    Wait(u64),
    /// The group is in this epoch; 0 where it is not known.
    EpochPassed(u64),
    /// The token is not the epoch's.
    BadEpochToken,
    /// There are as many groups as there may be.
    NoMoreGroups,
}

pub(super) struct Cached {
    id: i64,
    record: QueueRecord,
    bucket: Bucket,
}

/// Queues as of the last commit and the transaction under way; emptied when a transaction fails.
#[derive(Default)]
pub(super) struct QueueCache(HashMap<QueueId, Cached>);

impl QueueCache {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn load<'a>(
        &'a mut self,
        sql: &Connection,
        queue: &QueueId,
    ) -> rusqlite::Result<Option<&'a mut Cached>> {
        if self.0.len() >= limits::CACHED_QUEUES {
            self.0.clear();
        }
        if !self.0.contains_key(queue) {
            let Some((id, record)) = read(sql, queue)? else {
                return Ok(None);
            };
            self.0.insert(
                *queue,
                Cached {
                    id,
                    record,
                    bucket: Bucket::full(),
                },
            );
        }
        Ok(self.0.get_mut(queue))
    }
}

fn read(sql: &Connection, queue: &QueueId) -> rusqlite::Result<Option<(i64, QueueRecord)>> {
    let mut statement = sql.prepare_cached(
        "SELECT id, receive_key, token_hash, acknowledged,
                max(acknowledged, coalesce((SELECT max(seq) FROM letters WHERE queue = queues.id), 0))
         FROM queues WHERE queue_id = ?1",
    )?;
    statement
        .query_row([queue.as_bytes()], |row| {
            let last: u64 = row.get(4)?;
            let record = QueueRecord {
                receive_key: row.get(1)?,
                token_hash: row.get(2)?,
                acknowledged: row.get(3)?,
                next_seq: last.saturating_add(1),
            };
            Ok((row.get(0)?, record))
        })
        .optional()
}

/// Reads a queue.
pub(crate) fn queue(sql: &Connection, queue: &QueueId) -> rusqlite::Result<Option<QueueRecord>> {
    Ok(read(sql, queue)?.map(|(_, record)| record))
}

/// Reads the next bodies of a queue from a number on.
pub(crate) fn letters(
    sql: &Connection,
    queue: &QueueId,
    from: u64,
    limit: u32,
) -> rusqlite::Result<Vec<Letter>> {
    let mut statement = sql.prepare_cached(
        "SELECT seq, hour, bodies.body FROM letters JOIN bodies ON bodies.id = letters.body
         WHERE queue = (SELECT id FROM queues WHERE queue_id = ?1) AND seq >= ?2 ORDER BY seq LIMIT ?3",
    )?;
    let rows = statement.query_map(params![queue.as_bytes(), from, limit], |row| {
        let body: Vec<u8> = row.get(2)?;
        Ok(Letter {
            seq: row.get(0)?,
            hour: Timestamp::from_secs(row.get(1)?),
            body: body.into(),
        })
    })?;
    rows.collect()
}

/// How `create` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is there, new or as before.
    Done,
    /// There is another one of that name.
    Conflict,
    /// There are as many as there may be.
    Full,
}

/// Makes a queue.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    request: &wire::CreateQueue,
    now: Timestamp,
) -> rusqlite::Result<Created> {
    if let Some(known) = tx.queues.load(tx.sql, &request.queue_id)? {
        let same = known.record.receive_key == request.receive_key
            && known.record.token_hash == request.send_token_hash;
        return Ok(if same {
            Created::Done
        } else {
            Created::Conflict
        });
    }
    if !tx.counts.has_room(tx.sql, Table::Queues, tx.max.queues)? {
        return Ok(Created::Full);
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO queues (queue_id, receive_key, token_hash, acknowledged, hour) VALUES (?1, ?2, ?3, 0, ?4)",
        )?
        .execute(params![
            request.queue_id.as_bytes(),
            request.receive_key,
            request.send_token_hash,
            now.to_hour().as_secs()
        ])?;
    tx.counts.came(Table::Queues);
    Ok(Created::Done)
}

/// Deletes a queue and what lies in it.
pub(crate) fn delete(tx: &mut Tx<'_>, queue: &QueueId) -> rusqlite::Result<()> {
    let Some(cached) = tx.queues.load(tx.sql, queue)? else {
        return Ok(());
    };
    let id = cached.id;
    tx.queues.0.remove(queue);
    remove_letters(tx.sql, id, u64::MAX >> 1)?;
    tx.sql
        .prepare_cached("DELETE FROM sent WHERE queue = ?1")?
        .execute([id])?;
    tx.sql
        .prepare_cached("DELETE FROM queues WHERE id = ?1")?
        .execute([id])?;
    tx.counts.went(Table::Queues, 1);
    Ok(())
}

/// Deletes everything of a queue up to a number.
pub(crate) fn acknowledge(tx: &mut Tx<'_>, queue: &QueueId, up_to: u64) -> rusqlite::Result<()> {
    let Some(cached) = tx.queues.load(tx.sql, queue)? else {
        return Ok(());
    };
    let up_to = up_to.min(cached.record.next_seq.saturating_sub(1));
    if up_to <= cached.record.acknowledged {
        return Ok(());
    }
    cached.record.acknowledged = up_to;
    let id = cached.id;
    tx.sql
        .prepare_cached("UPDATE queues SET acknowledged = ?2 WHERE id = ?1")?
        .execute(params![id, up_to])?;
    remove_letters(tx.sql, id, up_to)
}

fn remove_letters(sql: &Connection, queue: i64, up_to: u64) -> rusqlite::Result<()> {
    let mut removal =
        sql.prepare_cached("DELETE FROM letters WHERE queue = ?1 AND seq <= ?2 RETURNING body")?;
    let bodies: Vec<i64> = removal
        .query_map(params![queue, up_to], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    remove_bodies(sql, &bodies)
}

/// Deletes those bodies that no queue holds any more.
fn remove_bodies(sql: &Connection, bodies: &[i64]) -> rusqlite::Result<()> {
    let mut removal = sql.prepare_cached(
        "DELETE FROM bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM letters WHERE body = ?1)",
    )?;
    for body in bodies {
        removal.execute([body])?;
    }
    Ok(())
}

/// Puts one body into the queues of its rows, if it may be sent in the epoch of its group.
pub(crate) fn send(
    tx: &mut Tx<'_>,
    request: &wire::Send,
    epoch: Option<&InEpoch>,
    now: Timestamp,
) -> rusqlite::Result<Sent> {
    let rights = rights(tx, &request.rows)?;
    // A repetition passed in its time, and began its epoch then.
    let epoch = match epoch {
        Some(epoch) if !is_repetition(tx, request, &rights)? => Some(epoch),
        _ => None,
    };
    if let Some(epoch) = epoch {
        match epochs::judge(tx, epoch)? {
            Judged::Current => {}
            Judged::Passed(epoch) => return Ok(Sent::EpochPassed(epoch)),
            Judged::BadToken => return Ok(Sent::BadEpochToken),
            Judged::Full => return Ok(Sent::NoMoreGroups),
        }
    }
    let wait_ms = charge(tx, &request.rows, &rights);
    if wait_ms > 0 {
        return Ok(Sent::Wait(wait_ms));
    }
    if let Some(InEpoch { group, next, .. }) = epoch
        && let Some(next) = next
    {
        epochs::begin(tx, group, next, now)?;
    }
    let mut results = Vec::with_capacity(request.rows.len());
    let mut body = None;
    for (row, right) in request.rows.iter().zip(rights) {
        let result = match right {
            Err(refused) => refused,
            Ok(()) => send_row(
                tx,
                row,
                &request.message_id,
                (&request.body, &mut body),
                now,
            )?,
        };
        results.push(result);
    }
    Ok(Sent::Rows(results))
}

/// Whether a queue that may be sent to has had this message.
fn is_repetition(
    tx: &mut Tx<'_>,
    request: &wire::Send,
    rights: &[Result<(), RowResult>],
) -> rusqlite::Result<bool> {
    for (row, right) in request.rows.iter().zip(rights) {
        if right.is_ok()
            && let Some(cached) = tx.queues.load(tx.sql, &row.queue_id)?
            && known(tx.sql, cached.id, &request.message_id)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who may send, and what the others are told.
fn rights(tx: &mut Tx<'_>, rows: &[SendRow]) -> rusqlite::Result<Vec<Result<(), RowResult>>> {
    let mut rights = Vec::with_capacity(rows.len());
    for row in rows {
        let right = match tx.queues.load(tx.sql, &row.queue_id)? {
            None => Err(RowResult::NoSuchQueue),
            // SECURITY: the token is all that allows to send; `a_wrong_token_stores_nothing` notices.
            Some(cached) => {
                let shown = keys::sha256(&[row.token.as_bytes()]);
                if keys::ct_eq(&shown, &cached.record.token_hash) {
                    Ok(())
                } else {
                    Err(RowResult::BadToken)
                }
            }
        };
        rights.push(right);
    }
    Ok(rights)
}

/// Takes one from the bucket of each queue that may be sent to, or from none. Returns the milliseconds to wait.
fn charge(tx: &mut Tx<'_>, rows: &[SendRow], rights: &[Result<(), RowResult>]) -> u64 {
    let (rate, ticks) = (tx.queue_rate, tx.ticks);
    let allowed = || {
        let pairs = rows.iter().zip(rights);
        pairs.filter(|(_, right)| right.is_ok()).map(|(row, _)| row)
    };
    let mut wait = 0;
    for row in allowed() {
        if let Some(cached) = tx.queues.0.get(&row.queue_id) {
            wait = wait.max(cached.bucket.wait_ms(rate, ticks));
        }
    }
    if wait == 0 {
        for row in allowed() {
            if let Some(cached) = tx.queues.0.get_mut(&row.queue_id) {
                cached.bucket.take(rate, ticks);
            }
        }
    }
    wait
}

fn send_row(
    tx: &mut Tx<'_>,
    row: &SendRow,
    message: &MessageId,
    (body, stored): (&wire::Body, &mut Option<i64>),
    now: Timestamp,
) -> rusqlite::Result<RowResult> {
    let hour = now.to_hour();
    let max = tx.max.queue_letters;
    let Some(cached) = tx.queues.load(tx.sql, &row.queue_id)? else {
        return Ok(RowResult::NoSuchQueue);
    };
    let seq = cached.record.next_seq;
    if seq.saturating_sub(cached.record.acknowledged) > max {
        return Ok(known(tx.sql, cached.id, message)?
            .map_or(RowResult::QueueFull, |seq| RowResult::Duplicate { seq }));
    }
    let fresh = tx
        .sql
        .prepare_cached(
            "INSERT OR IGNORE INTO sent (queue, message_id, seq, hour) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![cached.id, message.as_bytes(), seq, hour.as_secs()])?;
    if fresh == 0 {
        let seq = known(tx.sql, cached.id, message)?.unwrap_or(0);
        return Ok(RowResult::Duplicate { seq });
    }
    let body_id = match *stored {
        Some(id) => id,
        None => {
            tx.sql
                .prepare_cached("INSERT INTO bodies (body) VALUES (?1)")?
                .execute([&body[..]])?;
            *stored.insert(tx.sql.last_insert_rowid())
        }
    };
    tx.sql
        .prepare_cached("INSERT INTO letters (queue, seq, body, hour) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![cached.id, seq, body_id, hour.as_secs()])?;
    cached.record.next_seq = seq.saturating_add(1);
    Ok(RowResult::Accepted { seq })
}

fn known(sql: &Connection, queue: i64, message: &MessageId) -> rusqlite::Result<Option<u64>> {
    sql.prepare_cached("SELECT seq FROM sent WHERE queue = ?1 AND message_id = ?2")?
        .query_row(params![queue, message.as_bytes()], |row| row.get(0))
        .optional()
}

/// Deletes some of what has expired and says whether there may be more.
pub(crate) fn sweep(
    tx: &mut Tx<'_>,
    now: Timestamp,
    retention_seconds: u64,
) -> rusqlite::Result<bool> {
    let before = now.as_secs().saturating_sub(retention_seconds);
    // Bodies are in the order of their arrival, so the oldest letters are those of the smallest bodies.
    let mut oldest = tx
        .sql
        .prepare_cached("SELECT queue, seq, body, hour FROM letters ORDER BY body LIMIT ?1")?;
    let expired: Vec<(i64, u64, i64, u64)> = oldest
        .query_map([limits::SWEEP_ROWS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .filter(|row| row.as_ref().map_or(true, |row| row.3 < before))
        .collect::<Result<_, _>>()?;
    for (queue, seq, _, _) in &expired {
        tx.sql
            .prepare_cached("DELETE FROM letters WHERE queue = ?1 AND seq = ?2")?
            .execute(params![queue, seq])?;
        tx.sql
            .prepare_cached("UPDATE queues SET acknowledged = max(acknowledged, ?2) WHERE id = ?1")?
            .execute(params![queue, seq])?;
    }
    let bodies: Vec<i64> = expired.iter().map(|row| row.2).collect();
    remove_bodies(tx.sql, &bodies)?;
    if !expired.is_empty() {
        tx.queues.clear();
    }
    let forgotten = tx
        .sql
        .prepare_cached(
            "DELETE FROM sent WHERE (queue, message_id) IN
                 (SELECT queue, message_id FROM sent WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        )?
        .execute(params![
            now.as_secs().saturating_sub(limits::DUPLICATE_SECONDS),
            limits::SWEEP_ROWS
        ])?;
    let full = usize::try_from(limits::SWEEP_ROWS).unwrap_or(usize::MAX);
    Ok(expired.len() >= full || forgotten >= full)
}
