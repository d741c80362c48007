//! The tables (docs/spec/relay-store.md). No column joins a queue to an account.

use crate::os;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use std::path::{Path, PathBuf};

/// Version of the tables.
const SCHEMA: i64 = 5;

/// What came with version 1.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    queue_id BLOB NOT NULL UNIQUE,
    receive_key BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    acknowledged INTEGER NOT NULL,
    hour INTEGER NOT NULL
);
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE letters (
    queue INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    PRIMARY KEY (queue, seq)
) WITHOUT ROWID;
CREATE INDEX letters_body ON letters (body);
CREATE TABLE sent (
    queue INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    PRIMARY KEY (queue, message_id)
) WITHOUT ROWID;
CREATE INDEX sent_hour ON sent (hour);

CREATE TABLE accounts (
    account BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    log BLOB NOT NULL,
    hour INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE codes (
    code_hash BLOB PRIMARY KEY,
    expires INTEGER NOT NULL,
    account BLOB
) WITHOUT ROWID;

CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    identity BLOB NOT NULL,
    signed_ec BLOB NOT NULL,
    last_resort_kem BLOB NOT NULL,
    front_door BLOB NOT NULL,
    UNIQUE (account, device)
);
CREATE TABLE one_time_keys (
    device INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    hash BLOB NOT NULL,
    record BLOB,
    hour INTEGER NOT NULL,
    PRIMARY KEY (device, kind, hash)
) WITHOUT ROWID;
CREATE INDEX one_time_keys_left ON one_time_keys (device, kind) WHERE record IS NOT NULL;

CREATE TABLE tickets (
    ticket_hash BLOB PRIMARY KEY,
    expires INTEGER NOT NULL,
    nonce BLOB
) WITHOUT ROWID;

CREATE TABLE blobs (
    blob BLOB PRIMARY KEY,
    write_hash BLOB NOT NULL,
    read_hash BLOB NOT NULL,
    durable INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    hour INTEGER NOT NULL
) WITHOUT ROWID;
";

/// What came with version 2.
const HEADS_AND_LOCKS: &str = "
CREATE TABLE heads (
    id INTEGER PRIMARY KEY,
    head BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    version INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    signature BLOB NOT NULL,
    hour INTEGER NOT NULL,
    body BLOB
);
CREATE INDEX heads_hour ON heads (hour);
CREATE TABLE locks (
    lock BLOB PRIMARY KEY,
    lock_key BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    delay INTEGER NOT NULL,
    opens_at INTEGER,
    hour INTEGER NOT NULL
) WITHOUT ROWID;
";

/// What came with version 3.
const GROUPS_AND_KEY_PACKAGES: &str = "
CREATE TABLE groups (
    group_id BLOB PRIMARY KEY,
    epoch INTEGER NOT NULL,
    token_hash BLOB NOT NULL,
    hour INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX groups_hour ON groups (hour);
CREATE TABLE key_packages (
    id INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    suite INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    hash BLOB NOT NULL,
    hour INTEGER NOT NULL,
    package BLOB,
    UNIQUE (account, device, suite, last_resort, hash)
);
CREATE INDEX key_packages_left ON key_packages (account, device, suite, last_resort) WHERE package IS NOT NULL;
";

/// What came with version 4.
const LASTING_BLOBS: &str = "ALTER TABLE blobs ADD COLUMN lasting INTEGER NOT NULL DEFAULT 0;";

/// What came with version 5.
const BLOBS_THAT_EXPIRE: &str = "ALTER TABLE blobs ADD COLUMN until INTEGER;";

/// Version 3 had key packages without a suite at first: those are of the only one that there was.
const SUITES: &str = "
DROP INDEX key_packages_left;
ALTER TABLE key_packages RENAME TO key_packages_of_one_suite;
CREATE TABLE key_packages (
    id INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    suite INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    hash BLOB NOT NULL,
    hour INTEGER NOT NULL,
    package BLOB,
    UNIQUE (account, device, suite, last_resort, hash)
);
CREATE INDEX key_packages_left ON key_packages (account, device, suite, last_resort) WHERE package IS NOT NULL;
INSERT INTO key_packages (id, account, device, suite, last_resort, hash, hour, package)
    SELECT id, account, device, 1, last_resort, hash, hour, package FROM key_packages_of_one_suite;
DROP TABLE key_packages_of_one_suite;
";

/// The database file of a data folder.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join("relay.db")
}

/// Opens the database for writing and makes the tables where there are none.
pub(super) fn open(data: &Path, database_bytes: u64) -> rusqlite::Result<Connection> {
    // SQLite gives its other files the permissions of this one.
    os::private_file(&path(data)).map_err(|_| cannot_open())?;
    let mut sql = Connection::open(path(data))?;
    sql.set_prepared_statement_cache_capacity(64);
    sql.pragma_update(None, "journal_mode", "WAL")?;
    sql.pragma_update(None, "synchronous", "FULL")?;
    // A larger log means fewer checkpoints; after one the file is cut back.
    sql.pragma_update(None, "wal_autocheckpoint", 8_000)?;
    sql.pragma_update(None, "journal_size_limit", 64 << 20)?;
    sql.pragma_update(None, "cache_size", -16_384)?;
    sql.pragma_update(None, "temp_store", "MEMORY")?;
    if database_bytes > 0 {
        let page: u64 = sql.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = database_bytes.checked_div(page).unwrap_or(u64::MAX).max(1);
        sql.pragma_update(
            None,
            "max_page_count",
            i64::try_from(pages).unwrap_or(i64::MAX),
        )?;
    }
    let tables = sql.transaction()?;
    let known: i64 = tables.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if known == 0 {
        tables.execute_batch(TABLES)?;
        tables.execute(
            "INSERT INTO meta VALUES ('relay_id', ?1), ('version', 1)",
            params![os::random::<16>()],
        )?;
    }
    if known == 0 || known == 1 {
        tables.execute_batch(HEADS_AND_LOCKS)?;
    }
    if (0..3).contains(&known) {
        tables.execute_batch(GROUPS_AND_KEY_PACKAGES)?;
    } else if known == 3 && !has_column(&tables, "key_packages", "suite")? {
        tables.execute_batch(SUITES)?;
    }
    if (0..4).contains(&known) {
        tables.execute_batch(LASTING_BLOBS)?;
    }
    if (0..SCHEMA).contains(&known) {
        tables.execute_batch(BLOBS_THAT_EXPIRE)?;
        tables.pragma_update(None, "user_version", SCHEMA)?;
    } else if known != SCHEMA {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA),
            Some(format!(
                "the store has form {known}, this version knows {SCHEMA}"
            )),
        ));
    }
    tables.commit()?;
    Ok(sql)
}

fn has_column(sql: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let columns = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
    let found: u64 = sql.query_row(columns, [table, column], |row| row.get(0))?;
    Ok(found > 0)
}

fn cannot_open() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, None)
}

/// Opens the database for reading beside the writer.
pub(super) fn open_reader(data: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path(data), flags)?;
    sql.set_prepared_statement_cache_capacity(32);
    sql.busy_timeout(std::time::Duration::from_secs(5))?;
    sql.pragma_update(None, "cache_size", -8_192)?;
    Ok(sql)
}

/// The relay's id and the number of its last transaction.
pub(super) fn identity(sql: &Connection) -> rusqlite::Result<([u8; 16], u64)> {
    let id = sql.query_row(
        "SELECT value FROM meta WHERE name = 'relay_id'",
        [],
        |row| row.get(0),
    )?;
    let version = sql
        .query_row("SELECT value FROM meta WHERE name = 'version'", [], |row| {
            row.get(0)
        })
        .optional()?;
    Ok((id, version.unwrap_or(0)))
}

/// Counts the transaction.
pub(super) fn count(sql: &Connection) -> rusqlite::Result<u64> {
    let mut statement = sql.prepare_cached(
        "UPDATE meta SET value = value + 1 WHERE name = 'version' RETURNING value",
    )?;
    statement.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn every_commit_is_flushed_and_the_file_is_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let sql = open(folder.path(), 0).unwrap();
        let read = |name| sql.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(read("synchronous"), Ok(2), "FULL");
        let mode: String = sql
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
        for name in ["relay.db", "relay.db-wal", "relay.db-shm"] {
            let file = folder.path().join(name).metadata().unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
