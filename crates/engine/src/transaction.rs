//! Changes under way: what a step will write, seen through by the handlers that make it.

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::limits;
use crate::records::OwnAccount;
use crate::step::{Committed, Outgoing, Step};
use crate::store::{Row, Snapshot, Table, Write};
use keys::{LetterId, Timestamp};
use rand_core::CryptoRng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use zeroize::Zeroizing;

type Value = Zeroizing<Vec<u8>>;

/// A snapshot with the changes of the current step laid over it, and the step's arguments.
pub(crate) struct Transaction<'a> {
    snapshot: &'a dyn Snapshot,
    overlay: BTreeMap<(Table, Vec<u8>), Option<Value>>,
    index: Vec<Write>,
    committed: Committed,
    /// The own account as it stands in this step, once it was read: most of what a step does asks for it.
    own: RefCell<Option<Rc<OwnAccount>>>,
    /// The time of this step.
    pub(crate) now: Timestamp,
    /// The randomness of this step.
    pub(crate) rng: &'a mut dyn CryptoRng,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(
        snapshot: &'a dyn Snapshot,
        now: Timestamp,
        rng: &'a mut dyn CryptoRng,
    ) -> Self {
        Self {
            snapshot,
            overlay: BTreeMap::new(),
            index: Vec::new(),
            committed: Committed::default(),
            own: RefCell::default(),
            now,
            rng,
        }
    }

    /// Forgets all changes: a failed command leaves no trace.
    pub(crate) fn discard(&mut self) {
        self.own.take();
        self.overlay.clear();
        self.index.clear();
        self.committed = Committed::default();
    }

    /// Ends the handling.
    pub(crate) fn into_step(self) -> Step {
        let mut writes = self.index;
        for ((table, key), value) in self.overlay {
            writes.push(match value {
                Some(value) => Write::Put { table, key, value },
                None => Write::Delete { table, key },
            });
        }
        Step::new(writes, self.committed)
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, StoreError> {
        match self.overlay.get(&(table, key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => self.snapshot.get(table, key),
        }
    }

    /// The own account as it stands, by `read` where it was not read since it was changed.
    pub(crate) fn own(
        &self,
        read: impl FnOnce() -> Result<Option<OwnAccount>, EngineError>,
    ) -> Result<Option<Rc<OwnAccount>>, EngineError> {
        if let Some(own) = &*self.own.borrow() {
            return Ok(Some(Rc::clone(own)));
        }
        let own = read()?.map(Rc::new);
        self.own.replace(own.clone());
        Ok(own)
    }

    /// Forgets what was read of a row that is about to change.
    fn forget(&mut self, table: Table, key: &[u8]) {
        if table == Table::Meta && key == account::PLACE {
            self.own.take();
        }
    }

    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, value: Value) {
        self.forget(table, &key);
        self.overlay.insert((table, key), Some(value));
    }

    pub(crate) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.forget(table, &key);
        self.overlay.insert((table, key), None);
    }

    /// Reads rows as [`Snapshot::scan`] does, with this step's changes.
    pub(crate) fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let changed = |key: &&(Table, Vec<u8>)| {
            key.0 == table
                && key.1.starts_with(prefix)
                && after.is_none_or(|after| key.1.as_slice() > after)
        };
        // A row deleted in this step must not shorten the page, so as many more are read.
        let deleted = self
            .overlay
            .iter()
            .filter(|(key, value)| changed(key) && value.is_none())
            .count();
        let stored = self
            .snapshot
            .scan(table, prefix, after, limit.saturating_add(deleted))?;
        let mut rows: BTreeMap<Vec<u8>, Value> = stored.into_iter().collect();
        for (key, value) in self.overlay.iter().filter(|(key, _)| changed(key)) {
            match value {
                Some(value) => rows.insert(key.1.clone(), value.clone()),
                None => rows.remove(&key.1),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// Visits the rows under a prefix in order, a page at a time. The visitor may change them.
    pub(crate) fn each(
        &mut self,
        table: Table,
        prefix: &[u8],
        mut visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.scan(table, prefix, after.as_deref(), limits::PAGE)?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, value) in &rows {
                visit(self, key, value)?;
            }
        }
    }

    /// Takes the next number of a counter that never goes back.
    pub(crate) fn next_number(&mut self, counter: &'static str) -> Result<u64, EngineError> {
        let last = self.number(counter)?;
        let next = last.checked_add(1).ok_or(EngineError::Internal {
            what: "counter at its end",
        })?;
        self.put(
            Table::Meta,
            counter.as_bytes().to_vec(),
            Zeroizing::new(next.to_be_bytes().to_vec()),
        );
        Ok(next)
    }

    /// Sees that a counter is at least so far.
    pub(crate) fn raise_number(
        &mut self,
        counter: &'static str,
        least: u64,
    ) -> Result<(), EngineError> {
        if self.number(counter)? < least {
            let value = Zeroizing::new(least.to_be_bytes().to_vec());
            self.put(Table::Meta, counter.as_bytes().to_vec(), value);
        }
        Ok(())
    }

    /// The last number of a counter.
    pub(crate) fn number(&self, counter: &'static str) -> Result<u64, EngineError> {
        match self.get(Table::Meta, counter.as_bytes())? {
            Some(bytes) => Ok(u64::from_be_bytes(
                bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| StoreError::Damaged { what: "counter" })?,
            )),
            None => Ok(0),
        }
    }

    /// The rows of these tables that the step has changed.
    pub(crate) fn changed(&self, tables: &[Table]) -> Vec<(Table, Vec<u8>)> {
        let rows = self.overlay.keys();
        let rows = rows.filter(|(table, _)| tables.contains(table));
        rows.cloned().collect()
    }

    /// The state before this step.
    pub(crate) fn snapshot(&self) -> &dyn Snapshot {
        self.snapshot
    }

    pub(crate) fn index(&mut self, letter: LetterId, text: String) {
        self.index.push(Write::Index { letter, text });
    }

    pub(crate) fn unindex(&mut self, letter: LetterId) {
        self.index.push(Write::Unindex { letter });
    }

    pub(crate) fn send(&mut self, outgoing: Outgoing) {
        self.committed.outgoing.push(outgoing);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.committed.events.push(event);
    }

    /// Whether this step tells people something like it already.
    pub(crate) fn was_told(&self, like: impl Fn(&Event) -> bool) -> bool {
        self.committed.events.iter().any(like)
    }

    /// Tells the command's face how it ended, where one waits.
    pub(crate) fn outcome(&mut self, command: CommandId, outcome: CommandOutcome) {
        if command != CommandId::default() {
            self.event(Event::Command { command, outcome });
        }
    }
}
