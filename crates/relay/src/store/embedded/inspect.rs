//! What an operator sees: all there is, read from the tables.

use super::{directory, schema};
use crate::inspect::{Account, BlobRow, GroupRow, InspectReport, LetterRow, Queue};
use keys::{AccountId, BlobId, GroupId, QueueId, Timestamp};
use rusqlite::Connection;
use std::path::Path;

/// Reads a store, also while a relay runs on it.
pub(crate) fn inspect(data: &Path) -> rusqlite::Result<InspectReport> {
    let sql = schema::open_reader(data)?;
    let (relay_id, store_version) = schema::identity(&sql)?;
    Ok(InspectReport {
        relay_id: data_encoding::HEXLOWER.encode(&relay_id),
        store_version,
        accounts: accounts(&sql)?,
        queues: queues(&sql)?,
        letters: letters(&sql)?,
        blobs: blobs(&sql)?,
        one_time_pre_keys: sql.query_row(
            "SELECT count(*) FROM one_time_keys WHERE record IS NOT NULL",
            [],
            |row| row.get(0),
        )?,
        key_packages: key_packages(&sql)?,
        tickets: sql.query_row("SELECT count(*) FROM tickets", [], |row| row.get(0))?,
        heads: rows(&sql, "heads")?,
        locks: rows(&sql, "locks")?,
        groups: groups(&sql)?,
    })
}

/// The rows of a table that a store of an older form, which no relay has opened since, does not have.
fn rows(sql: &Connection, table: &str) -> rusqlite::Result<u64> {
    if !sql.table_exists(None, table)? {
        return Ok(0);
    }
    sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
        row.get(0)
    })
}

fn accounts(sql: &Connection) -> rusqlite::Result<Vec<Account>> {
    let mut statement =
        sql.prepare("SELECT name, account, length(log), hour FROM accounts ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(Account {
            name: row.get(0)?,
            account_id: AccountId::from_bytes(row.get(1)?).to_string(),
            log_bytes: row.get(2)?,
            hour: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn queues(sql: &Connection) -> rusqlite::Result<Vec<Queue>> {
    let mut statement = sql.prepare(
        "SELECT queue_id, acknowledged, hour, (SELECT count(*) FROM letters WHERE queue = queues.id)
         FROM queues ORDER BY queues.id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Queue {
            queue_id: QueueId::from_bytes(row.get(0)?).to_string(),
            acknowledged: row.get(1)?,
            hour: row.get(2)?,
            waiting: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn letters(sql: &Connection) -> rusqlite::Result<Vec<LetterRow>> {
    let mut statement = sql.prepare(
        "SELECT queues.queue_id, seq, length(bodies.body), letters.hour FROM letters
         JOIN queues ON queues.id = letters.queue JOIN bodies ON bodies.id = letters.body
         ORDER BY letters.body, letters.queue LIMIT 10000",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(LetterRow {
            queue_id: QueueId::from_bytes(row.get(0)?).to_string(),
            seq: row.get(1)?,
            bucket: row.get(2)?,
            hour: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn blobs(sql: &Connection) -> rusqlite::Result<Vec<BlobRow>> {
    let mut statement =
        sql.prepare("SELECT blob, durable, complete, hour FROM blobs ORDER BY blob")?;
    let rows = statement.query_map([], |row| {
        Ok(BlobRow {
            blob_id: BlobId::from_bytes(row.get(0)?).to_string(),
            bytes: row.get(1)?,
            complete: row.get(2)?,
            hour: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn key_packages(sql: &Connection) -> rusqlite::Result<u64> {
    if !sql.table_exists(None, "key_packages")? {
        return Ok(0);
    }
    let waiting = "SELECT count(*) FROM key_packages WHERE package IS NOT NULL";
    sql.query_row(waiting, [], |row| row.get(0))
}

/// Empty for a store of a form without groups, which no relay has opened since.
fn groups(sql: &Connection) -> rusqlite::Result<Vec<GroupRow>> {
    if !sql.table_exists(None, "groups")? {
        return Ok(Vec::new());
    }
    let mut statement =
        sql.prepare("SELECT group_id, epoch, hour FROM groups ORDER BY group_id")?;
    let rows = statement.query_map([], |row| {
        Ok(GroupRow {
            group_id: GroupId::from_bytes(row.get(0)?).to_string(),
            epoch: row.get(1)?,
            hour: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Frees a name, also while a relay runs.
pub(crate) fn release(data: &Path, name: &str) -> rusqlite::Result<Option<String>> {
    let mut sql = schema::open(data, 0)?;
    sql.busy_timeout(std::time::Duration::from_secs(10))?;
    directory::release(&mut sql, name)
}

/// Stores a registration code, also while a relay runs.
pub(crate) fn make_code(data: &Path, hash: &[u8; 32], expires: Timestamp) -> rusqlite::Result<()> {
    let sql = schema::open(data, 0)?;
    sql.busy_timeout(std::time::Duration::from_secs(10))?;
    directory::add_code(&sql, hash, expires)
}
