//! What is known of each blob; the bytes are files.

use super::counts::Table;
use super::writer::Tx;
use crate::limits;
use keys::{BlobId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

/// A blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobRecord {
    /// SHA-256 of the token that allows to write and to delete.
    pub(crate) write_hash: [u8; 32],
    /// SHA-256 of the token that allows to read.
    pub(crate) read_hash: [u8; 32],
    /// Bytes that survive the loss of power.
    pub(crate) durable: u64,
    /// Whether that is all, for good.
    pub(crate) complete: bool,
    /// Whether it is kept as long as somebody uses it.
    pub(crate) lasting: bool,
    /// When nobody gets it any more and it is deleted, Unix seconds; as its writer wished.
    pub(crate) until: Option<u64>,
    /// Unix seconds of the hour in which it was begun; of a lasting one, in which its use was last noted.
    pub(crate) hour: u64,
}

/// Finds a blob.
pub(crate) fn find(sql: &Connection, blob: &BlobId) -> rusqlite::Result<Option<BlobRecord>> {
    sql.prepare_cached(
        "SELECT write_hash, read_hash, durable, complete, lasting, hour, until FROM blobs WHERE blob = ?1",
    )?
    .query_row([blob.as_bytes()], |row| {
        Ok(BlobRecord {
            write_hash: row.get(0)?,
            read_hash: row.get(1)?,
            durable: row.get(2)?,
            complete: row.get(3)?,
            lasting: row.get(4)?,
            hour: row.get(5)?,
            until: row.get(6)?,
        })
    })
    .optional()
}

/// Begins a blob; false means that there are as many as there may be.
pub(crate) fn begin(tx: &mut Tx<'_>, blob: &BlobId, record: &BlobRecord) -> rusqlite::Result<bool> {
    if !tx.counts.has_room(tx.sql, Table::Blobs, tx.max.blobs)? {
        return Ok(false);
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO blobs (blob, write_hash, read_hash, durable, complete, hour, lasting)
             VALUES (?1, ?2, ?3, 0, 0, ?4, ?5)",
        )?
        .execute(params![
            blob.as_bytes(),
            record.write_hash,
            record.read_hash,
            record.hour,
            record.lasting
        ])?;
    tx.counts.came(Table::Blobs);
    Ok(true)
}

/// Notes when its time is over.
pub(crate) fn expires(tx: &mut Tx<'_>, blob: &BlobId, until: u64) -> rusqlite::Result<()> {
    tx.sql
        .prepare_cached("UPDATE blobs SET until = ?2 WHERE blob = ?1 AND NOT complete")?
        .execute(params![blob.as_bytes(), until])
        .map(drop)
}

/// Notes what is durable.
pub(crate) fn note(
    tx: &mut Tx<'_>,
    blob: &BlobId,
    durable: u64,
    complete: bool,
) -> rusqlite::Result<()> {
    tx.sql
        .prepare_cached(
            "UPDATE blobs SET durable = ?2, complete = ?3 WHERE blob = ?1 AND NOT complete",
        )?
        .execute(params![blob.as_bytes(), durable, complete])
        .map(drop)
}

/// Notes that a lasting blob was used.
pub(crate) fn used(tx: &mut Tx<'_>, blob: &BlobId, now: Timestamp) -> rusqlite::Result<()> {
    tx.sql
        .prepare_cached("UPDATE blobs SET hour = ?2 WHERE blob = ?1 AND lasting")?
        .execute(params![blob.as_bytes(), now.to_hour().as_secs()])
        .map(drop)
}

/// Forgets a blob.
pub(crate) fn forget(tx: &mut Tx<'_>, blob: &BlobId) -> rusqlite::Result<()> {
    let gone = tx
        .sql
        .prepare_cached("DELETE FROM blobs WHERE blob = ?1")?
        .execute([blob.as_bytes()])?;
    tx.counts.went(Table::Blobs, gone);
    Ok(())
}

/// Bytes of all blobs.
pub(crate) fn bytes(sql: &Connection) -> rusqlite::Result<u64> {
    sql.query_row("SELECT coalesce(sum(durable), 0) FROM blobs", [], |row| {
        row.get(0)
    })
}

/// Blobs whose time is over.
pub(crate) fn expired(
    sql: &Connection,
    now: Timestamp,
    retention_seconds: u64,
) -> rusqlite::Result<Vec<BlobId>> {
    let whole = now.as_secs().saturating_sub(retention_seconds);
    let unfinished = now
        .as_secs()
        .saturating_sub(limits::BLOB_UNFINISHED_SECONDS);
    let unused = now.as_secs().saturating_sub(limits::BLOB_LASTING_SECONDS);
    let mut statement = sql.prepare(
        "SELECT blob FROM blobs
         WHERE (hour < ?1 AND NOT lasting) OR (NOT complete AND hour < ?2) OR hour < ?3
            OR until <= ?4",
    )?;
    let times = [whole, unfinished, unused.min(whole), now.as_secs()];
    let rows = statement.query_map(times, |row| row.get(0).map(BlobId::from_bytes))?;
    rows.collect()
}
