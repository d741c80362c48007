//! A profile in memory.

use engine::{Row, Snapshot, Store, StoreError, Table, Write};
use keys::LetterId;
use std::collections::BTreeMap;
use std::ops::Bound;
use zeroize::Zeroizing;

/// An ordered store whose changes are all made or none. A clone is a copy of the disk, to go back to.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: BTreeMap<(Table, Vec<u8>), Zeroizing<Vec<u8>>>,
    index: BTreeMap<LetterId, String>,
    full: bool,
}

impl MemoryStore {
    /// Makes the disk full, or makes room.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The letters whose text holds a word.
    #[must_use]
    pub fn search(&self, word: &str) -> Vec<LetterId> {
        let found = self.index.iter().filter(|(_, text)| text.contains(word));
        found.map(|(letter, _)| *letter).collect()
    }

    /// Every row: what whoever copies the open profile has.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8])> {
        let rows = self.rows.iter();
        rows.map(|((table, _), value)| (*table, value.as_slice()))
    }

    /// The values of a table.
    pub fn values(&self, table: Table) -> impl Iterator<Item = &[u8]> {
        let rows = self.rows.range((table, Vec::new())..);
        rows.take_while(move |((other, _), _)| *other == table)
            .map(|(_, value)| value.as_slice())
    }

    /// The number of rows of a table.
    #[must_use]
    pub fn count(&self, table: Table) -> usize {
        self.values(table).count()
    }
}

impl Snapshot for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(self.rows.get(&(table, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let first = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        let rows = self.rows.range((first, Bound::Unbounded));
        let rows = rows
            .take_while(|((other, key), _)| *other == table && key.starts_with(prefix))
            .take(limit);
        Ok(rows
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

impl Store for MemoryStore {
    fn apply(&mut self, writes: Vec<Write>) -> Result<(), StoreError> {
        if self.full {
            return Err(StoreError::Full);
        }
        for write in writes {
            match write {
                Write::Put { table, key, value } => {
                    self.rows.insert((table, key), value);
                }
                Write::Delete { table, key } => {
                    self.rows.remove(&(table, key));
                }
                Write::Index { letter, text } => {
                    self.index.insert(letter, text);
                }
                Write::Unindex { letter } => {
                    self.index.remove(&letter);
                }
                // A kind this store does not know must not be lost in silence.
                _ => return Err(StoreError::Damaged { what: "write" }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &[u8], value: &[u8]) -> Write {
        Write::Put {
            table: Table::Letter,
            key: key.to_vec(),
            value: Zeroizing::new(value.to_vec()),
        }
    }

    #[test]
    fn rows_come_in_order_after_a_key_and_under_a_prefix() {
        let mut store = MemoryStore::default();
        let keys: [&[u8]; 5] = [b"b2", b"a", b"b1", b"c", b"b3"];
        store
            .apply(keys.iter().map(|key| put(key, b"x")).collect())
            .unwrap();
        let rows = store.scan(Table::Letter, b"b", Some(b"b1"), 5).unwrap();
        let found: Vec<&[u8]> = rows.iter().map(|(key, _)| key.as_slice()).collect();
        assert_eq!(found, [b"b2", b"b3"]);
        assert_eq!(
            store
                .scan(Table::Letter, b"b", Some(b"a"), 5)
                .unwrap()
                .len(),
            3
        );
        assert!(
            store
                .scan(Table::Letter, b"b", Some(b"c"), 5)
                .unwrap()
                .is_empty()
        );
        assert_eq!(store.scan(Table::Letter, b"", None, 2).unwrap().len(), 2);
        assert!(store.scan(Table::Contact, b"", None, 2).unwrap().is_empty());
    }

    #[test]
    fn a_full_disk_changes_nothing() {
        let mut store = MemoryStore::default();
        store.set_full(true);
        assert_eq!(store.apply(vec![put(b"a", b"x")]), Err(StoreError::Full));
        assert_eq!(store.count(Table::Letter), 0);
    }
}
