//! The words of letters, findable.

use super::database::{ProfileStore, store_error};
use engine::StoreError;
use keys::LetterId;
use rusqlite::{Connection, OptionalExtension as _, params};

/// Words of one search that count; more are ignored.
const WORDS: usize = 32;

pub(super) fn index(db: &Connection, letter: &LetterId, text: &str) -> rusqlite::Result<()> {
    unindex(db, letter)?;
    db.prepare_cached("INSERT INTO word_rows(letter) VALUES(?1)")?
        .execute(params![letter.as_bytes()])?;
    let row = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO words(rowid, text) VALUES(?1, ?2)")?
        .execute(params![row, text])?;
    Ok(())
}

pub(super) fn unindex(db: &Connection, letter: &LetterId) -> rusqlite::Result<()> {
    let row: Option<i64> = db
        .prepare_cached("SELECT row FROM word_rows WHERE letter = ?1")?
        .query_row(params![letter.as_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(row) = row {
        db.prepare_cached("DELETE FROM words WHERE rowid = ?1")?
            .execute(params![row])?;
        db.prepare_cached("DELETE FROM word_rows WHERE row = ?1")?
            .execute(params![row])?;
    }
    Ok(())
}

impl ProfileStore {
    /// Finds letters in which every word occurs, or begins one, newest first.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    pub(crate) fn search(&self, words: &str, limit: u32) -> Result<Vec<LetterId>, StoreError> {
        let query = query(words);
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT word_rows.letter FROM words JOIN word_rows ON word_rows.row = words.rowid
                 WHERE words MATCH ?1 ORDER BY words.rowid DESC LIMIT ?2",
            )
            .map_err(store_error)?;
        let rows = statement
            .query_map(params![query, limit], |row| row.get::<_, Vec<u8>>(0))
            .map_err(store_error)?;
        rows.map(|row| {
            let id = row.map_err(store_error)?;
            LetterId::from_slice(&id).ok_or(StoreError::Damaged {
                what: "search index",
            })
        })
        .collect()
    }
}

/// Each word as a quoted prefix, so that no sign a person types is taken for an operator.
fn query(words: &str) -> String {
    let terms = words
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric));
    let quoted = terms
        .take(WORDS)
        .map(|word| format!("\"{}\"*", word.replace(['"', '\0'], " ")));
    quoted.collect::<Vec<_>>().join(" ")
}
