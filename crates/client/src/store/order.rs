//! Letters in the order in which they came into the profile.
//!
//! A row of [`Table::Conversation`] has the key `account 32 ‖ order 8` and a letter's id as its value; the order
//! number counts all letters of the profile.

use super::database::{ProfileStore, end_of, store_error};
use engine::{StoreError, Table};
use keys::{AccountId, LetterId};
use rusqlite::{OptionalExtension as _, Row, params};

/// Up to this order number no letter waits to be shown.
const SHOWN: &str = "shown";

impl ProfileStore {
    /// Lists the newest letters of one conversation or of all, newest first.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    pub(crate) fn newest(
        &self,
        contact: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<LetterId>, StoreError> {
        let table = Table::Conversation as u8;
        match contact {
            Some(contact) => self.list(
                "SELECT value FROM kv WHERE tbl = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3)
                 ORDER BY key DESC LIMIT ?4",
                params![table, contact.as_bytes(), end_of(contact.as_bytes()), limit],
                letter_id,
            ),
            None => self.list(
                "SELECT value FROM kv WHERE tbl = 9 ORDER BY substr(key, 33) DESC LIMIT ?1",
                params![limit],
                letter_id,
            ),
        }
    }

    /// Lists letters after an order number, oldest first.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    pub(crate) fn letters_after(
        &self,
        order: u64,
        limit: u32,
    ) -> Result<Vec<(u64, LetterId)>, StoreError> {
        self.list(
            "SELECT value, substr(key, 33) FROM kv WHERE tbl = 9 AND substr(key, 33) > ?1
             ORDER BY substr(key, 33) LIMIT ?2",
            params![order.to_be_bytes(), limit],
            |row| {
                let order: Vec<u8> = row.get(1)?;
                let order = order.try_into().map(u64::from_be_bytes).ok();
                Ok(order.zip(letter_id(row)?))
            },
        )
    }

    /// The order number up to which no letter waits to be shown.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    pub(crate) fn shown_up_to(&self) -> Result<u64, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT value FROM notes WHERE name = ?1")
            .map_err(store_error)?;
        let value: Option<i64> = statement
            .query_row(params![SHOWN], |row| row.get(0))
            .optional()
            .map_err(store_error)?;
        Ok(value.map_or(0, i64::cast_unsigned))
    }

    /// Notes an order number up to which no letter waits to be shown.
    ///
    /// # Errors
    /// The disk failed; nothing changed.
    pub(crate) fn note_shown_up_to(&mut self, order: u64) -> Result<(), StoreError> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO notes(name, value) VALUES(?1, ?2)")
            .and_then(|mut statement| statement.execute(params![SHOWN, order.cast_signed()]))
            .map(|_| ())
            .map_err(store_error)
    }

    fn list<T>(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.db.prepare_cached(sql).map_err(store_error)?;
        let rows = statement
            .query_map(parameters, |row| read(row))
            .map_err(store_error)?;
        rows.map(|row| {
            row.map_err(store_error)?.ok_or(StoreError::Damaged {
                what: "conversation",
            })
        })
        .collect()
    }
}

fn letter_id(row: &Row<'_>) -> rusqlite::Result<Option<LetterId>> {
    let id: Vec<u8> = row.get(0)?;
    Ok(LetterId::from_slice(&id))
}
