//! Enclosures that were shown and are not saved yet, so that a later `receive --save` fetches them.

use super::database::{ProfileStore, store_error};
use engine::StoreError;
use keys::LetterId;
use rusqlite::params;

impl ProfileStore {
    /// Notes that a letter with so many enclosures is about to be shown. Noting it again changes nothing.
    ///
    /// # Errors
    /// The disk failed; nothing changed.
    pub(crate) fn note_unsaved(
        &mut self,
        letter: &LetterId,
        enclosures: u32,
    ) -> Result<(), StoreError> {
        let change = self.db.transaction().map_err(store_error)?;
        for enclosure in 0..enclosures {
            change
                .prepare_cached("INSERT OR IGNORE INTO unsaved(letter, enclosure) VALUES(?1, ?2)")
                .and_then(|mut statement| statement.execute(params![letter.as_bytes(), enclosure]))
                .map_err(store_error)?;
        }
        change.commit().map_err(store_error)
    }

    /// Notes that an enclosure is saved, or that its letter is gone.
    ///
    /// # Errors
    /// The disk failed; nothing changed.
    pub(crate) fn note_saved(
        &mut self,
        letter: &LetterId,
        enclosure: u32,
    ) -> Result<(), StoreError> {
        self.db
            .prepare_cached("DELETE FROM unsaved WHERE letter = ?1 AND enclosure = ?2")
            .and_then(|mut statement| statement.execute(params![letter.as_bytes(), enclosure]))
            .map(|_| ())
            .map_err(store_error)
    }

    /// Lists enclosures that were shown and not saved: letter and place in it.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    pub(crate) fn unsaved(&self) -> Result<Vec<(LetterId, u32)>, StoreError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT letter, enclosure FROM unsaved ORDER BY letter, enclosure")
            .map_err(store_error)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))
            .map_err(store_error)?;
        rows.map(|row| {
            let (letter, enclosure) = row.map_err(store_error)?;
            let letter = LetterId::from_slice(&letter).ok_or(StoreError::Damaged {
                what: "list of enclosures",
            })?;
            Ok((letter, enclosure))
        })
        .collect()
    }
}
