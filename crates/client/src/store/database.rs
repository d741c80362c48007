//! The engine's tables in SQLCipher.
//!
//! ```sql
//! kv(tbl, key, value)          -- the tables of engine::Table
//! words, word_rows             -- full-text index over letters (search.rs)
//! by_order                     -- letters of all conversations in one order (order.rs)
//! notes(name, value)           -- numbers of the driver (order.rs)
//! unsaved(letter, enclosure)   -- enclosures that were shown and not saved yet (unsaved.rs)
//! ```

use super::key_file::{self, Passphrase};
use super::{Files, OpenError};
use crate::os;
use engine::{Snapshot, Store, StoreError, Table, Write};
use keys::{ArgonParams, Secret, Timestamp};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};
use std::path::Path;
use zeroize::Zeroizing;

/// "LtLk": tells this database from others that SQLCipher opens.
const APPLICATION_ID: i32 = 0x4c74_4c6b;
/// The number of the schema; a higher one comes from a newer version.
const SCHEMA_VERSION: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE kv(tbl INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
    CREATE TABLE word_rows(row INTEGER PRIMARY KEY, letter BLOB NOT NULL UNIQUE);
    CREATE VIRTUAL TABLE words USING fts5(text, tokenize='unicode61 remove_diacritics 2');
    INSERT INTO words(words, rank) VALUES('secure-delete', 1);
    CREATE INDEX by_order ON kv(substr(key, 33)) WHERE tbl = 9;
    CREATE TABLE notes(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE unsaved(letter BLOB NOT NULL, enclosure INTEGER NOT NULL, PRIMARY KEY(letter, enclosure)) WITHOUT ROWID;
";

/// One open profile. Whoever holds it holds the profile's lock.
pub(crate) struct ProfileStore {
    pub(super) db: Connection,
    /// The journal still has what a change removed or replaced.
    stale: bool,
}

impl ProfileStore {
    /// Makes the profile of a home that has none.
    ///
    /// The database is written first, under another name: once the key file is there, so is the database.
    ///
    /// # Errors
    /// The disk failed or is full; then the home has no profile, as before.
    pub(crate) fn create(home: &Path, passphrase: &Passphrase) -> Result<Self, OpenError> {
        let files = Files::of(home);
        os::remove(&files.new);
        let (key_file, key) = key_file::new(passphrase)?;
        os::touch_private(&files.new)?;
        let new = Self::connect(&files.new, &key)?;
        new.db
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(store_error)?;
        new.db.execute_batch(SCHEMA).map_err(store_error)?;
        new.db
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(store_error)?;
        new.db
            .pragma_update(None, "user_version", SCHEMA_VERSION)
            .map_err(store_error)?;
        new.db.execute_batch("COMMIT").map_err(store_error)?;
        new.db.close().map_err(|(_, error)| store_error(error))?;
        os::write_private(&files.key, &key_file)?;
        Self::open_with(&files, &key)
    }

    /// Opens the profile of a home.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed.
    pub(crate) fn open(home: &Path, passphrase: &Passphrase) -> Result<Self, OpenError> {
        let files = Files::of(home);
        let Some(key_file) = os::read(&files.key, key_file::LENGTH as u64).map_err(too_long)?
        else {
            return Err(if os::exists(&files.database) {
                OpenError::KeyFileMissing
            } else {
                OpenError::NoProfile
            });
        };
        let key = key_file::open(&key_file, passphrase)?;
        Self::open_with(&files, &key)
    }

    /// What the passphrase of this profile is stretched by, and when its key file was written.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) fn cost(&self) -> Result<Option<(ArgonParams, Option<Timestamp>)>, OpenError> {
        let Some(home) = self.db.path().and_then(|path| Path::new(path).parent()) else {
            return Ok(None);
        };
        let file = Files::of(home).key;
        let bytes = os::read(&file, key_file::LENGTH as u64).map_err(too_long)?;
        let cost = bytes.as_deref().and_then(key_file::cost);
        Ok(cost.map(|cost| (cost, os::modified(&file))))
    }

    fn open_with(files: &Files, key: &Secret<32>) -> Result<Self, OpenError> {
        if !os::exists(&files.database) && os::exists(&files.new) {
            os::rename_new(&files.new, &files.database)?;
        }
        // An empty file would become an empty database by being opened.
        if os::length(&files.database) == 0 {
            return Err(OpenError::DatabaseDamaged);
        }
        let store = Self::connect(&files.database, key)?;
        let number = |name| {
            store
                .db
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .map_err(store_error)
        };
        // An empty file opens as an empty database: the mark of ours is missing then.
        if number("application_id")? != APPLICATION_ID {
            return Err(OpenError::DatabaseDamaged);
        }
        match number("user_version")? {
            SCHEMA_VERSION => Ok(store),
            got if got > SCHEMA_VERSION => Err(OpenError::Newer {
                got: got.unsigned_abs(),
            }),
            _ => Err(OpenError::DatabaseDamaged),
        }
    }

    /// Opens the file with its key. Memory that SQLCipher frees is wiped; no other process may look in, so the
    /// index of the write-ahead log stays in memory.
    fn connect(path: &Path, key: &Secret<32>) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(store_error)?;
        let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose_secret()));
        let statement = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", hex.as_str()));
        db.execute_batch("PRAGMA cipher_log_level = NONE;")
            .map_err(store_error)?;
        db.execute_batch(&statement).map_err(store_error)?;
        db.execute_batch(
            "PRAGMA cipher_memory_security = ON;
             PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16384;
             PRAGMA busy_timeout = 5000;
             PRAGMA foreign_keys = ON;",
        )
        .map_err(store_error)?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(Self { db, stale: true })
    }

    /// Takes out of the journal what changes removed or replaced: ratchet keys that are used up, above all.
    ///
    /// A disk that is full or fails keeps it for another time; nothing but that is lost.
    pub(crate) fn forget_removed(&mut self) {
        if self.stale {
            self.stale = self.checkpoint().is_err();
        }
    }

    /// SECURITY: the journal keeps the old image of a page until it is cut; `secure_delete` wipes only the new one.
    /// `what_is_removed_is_in_no_page_of_the_files` notices.
    fn checkpoint(&self) -> rusqlite::Result<()> {
        let busy: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        match busy {
            0 => Ok(()),
            _ => Err(rusqlite::Error::InvalidQuery),
        }
    }
}

impl Snapshot for ProfileStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT value FROM kv WHERE tbl = ?1 AND key = ?2")
            .map_err(store_error)?;
        let value = statement
            .query_row(params![table as u8, key], |row| row.get(0))
            .optional()
            .map_err(store_error)?;
        Ok(value.map(|value| set_down(table, Zeroizing::new(value))))
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>, StoreError> {
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT key, value FROM kv
                 WHERE tbl = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) AND (?4 IS NULL OR key > ?4)
                 ORDER BY key LIMIT ?5",
            )
            .map_err(store_error)?;
        // The greater of the two starts is the one to search the index with.
        let start = after.filter(|after| *after > prefix).unwrap_or(prefix);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(
                params![table as u8, start, end_of(prefix), after, limit],
                |row| Ok((row.get(0)?, set_down(table, Zeroizing::new(row.get(1)?)))),
            )
            .map_err(store_error)?;
        rows.collect::<Result<_, _>>().map_err(store_error)
    }
}

impl Store for ProfileStore {
    fn apply(&mut self, writes: Vec<Write>) -> Result<(), StoreError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(store_error)?;
        for write in &writes {
            apply_one(&change, write).map_err(store_error)?;
        }
        change.commit().map_err(store_error)?;
        self.stale = true;
        if writes.iter().any(destroys) {
            self.forget_removed();
        }
        Ok(())
    }
}

/// Whether a change destroys what must be gone at once: keys that are rotated or used up, letters. What a ratchet
/// replaces goes with the next [`ProfileStore::forget_removed`]; cutting the journal costs two flushes.
fn destroys(write: &Write) -> bool {
    match write {
        Write::Delete { table, .. } => matches!(
            table,
            Table::Meta
                | Table::Session
                | Table::PreKey
                | Table::Queue
                | Table::Letter
                | Table::Group
                | Table::GroupPart
                | Table::KeyPackage
        ),
        Write::Unindex { .. } => true,
        _ => false,
    }
}

fn apply_one(db: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Put { table, key, value } => db
            .prepare_cached("INSERT OR REPLACE INTO kv(tbl, key, value) VALUES(?1, ?2, ?3)")?
            .execute(params![
                *table as u8,
                key,
                set_apart(*table, value).as_slice()
            ])
            .map(|_| ()),
        Write::Delete { table, key } => db
            .prepare_cached("DELETE FROM kv WHERE tbl = ?1 AND key = ?2")?
            .execute(params![*table as u8, key])
            .map(|_| ()),
        Write::Index { letter, text } => super::search::index(db, letter, text),
        Write::Unindex { letter } => super::search::unindex(db, letter),
        // `Write` may grow; a change that is not understood must not be half made.
        _ => Err(rusqlite::Error::InvalidQuery),
    }
}

/// Zeros in front of a value that holds keys.
///
/// SECURITY: SQLite keeps the front of a long row in the tree, at most 981 bytes of it here, and moves that from page
/// to page; what it moved it does not wipe. The rest lies in pages that belong to the row alone, and those it wipes.
/// `many_records_of_all_lengths_leave_nothing_behind` notices.
const APART: usize = 1024;
/// Shorter values are counters and marks.
const SHORTEST_KEY: usize = 32;

fn holds_keys(table: Table) -> bool {
    matches!(
        table,
        Table::Meta
            | Table::Session
            | Table::PreKey
            | Table::Queue
            | Table::Group
            | Table::GroupPart
            | Table::KeyPackage
    )
}

/// A value as it is stored.
fn set_apart(table: Table, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let apart = holds_keys(table) && value.len() >= SHORTEST_KEY;
    let zeros = if apart { APART } else { 0 };
    let mut stored = Zeroizing::new(Vec::with_capacity(zeros.saturating_add(value.len())));
    stored.resize(zeros, 0);
    stored.extend_from_slice(value);
    stored
}

/// The reverse. No value of these tables begins with so many zeros.
fn set_down(table: Table, stored: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    match stored.split_at_checked(APART) {
        Some((zeros, value)) if holds_keys(table) && zeros.iter().all(|byte| *byte == 0) => {
            Zeroizing::new(value.to_vec())
        }
        _ => stored,
    }
}

/// The least key that is greater than every key with this prefix; nothing if there is none.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Says who is at fault: the disk's size, its contents, or the disk.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                StoreError::Damaged { what: "database" }
            }
            _ => StoreError::Io {
                code: failure.extended_code,
            },
        },
        _ => StoreError::Damaged { what: "database" },
    }
}

/// A key file of another length is not a key file.
fn too_long(error: std::io::Error) -> OpenError {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => OpenError::KeyFileDamaged,
        _ => OpenError::Io(error),
    }
}
