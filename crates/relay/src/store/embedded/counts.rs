//! How many rows the bounded tables have: counted once, then kept in step by the writer.

use rusqlite::Connection;

/// A table with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Queues,
    Accounts,
    Tickets,
    Blobs,
    Heads,
    /// The bytes of all heads, not their number.
    HeadBytes,
    Locks,
    Groups,
}

/// Numbers of rows as of the transaction under way; forgotten when one fails.
#[derive(Debug, Default)]
pub(super) struct Counts {
    queues: Option<u64>,
    accounts: Option<u64>,
    tickets: Option<u64>,
    blobs: Option<u64>,
    heads: Option<u64>,
    head_bytes: Option<u64>,
    locks: Option<u64>,
    groups: Option<u64>,
}

impl Counts {
    /// Forgets what was counted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a table has fewer rows than it may have.
    pub(super) fn has_room(
        &mut self,
        sql: &Connection,
        table: Table,
        max: u64,
    ) -> rusqlite::Result<bool> {
        self.has_room_for(sql, table, 1, max)
    }

    /// Whether so much more may come to a table.
    pub(super) fn has_room_for(
        &mut self,
        sql: &Connection,
        table: Table,
        more: usize,
        max: u64,
    ) -> rusqlite::Result<bool> {
        let rows = match *self.of(table) {
            Some(rows) => rows,
            None => *self.of(table).insert(count(sql, table)?),
        };
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        Ok(rows.saturating_add(more) <= max)
    }

    /// A row came.
    pub(super) fn came(&mut self, table: Table) {
        self.came_by(table, 1);
    }

    /// So much came.
    pub(super) fn came_by(&mut self, table: Table, more: usize) {
        if let Some(rows) = self.of(table) {
            *rows = rows.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        }
    }

    /// Rows went.
    pub(super) fn went(&mut self, table: Table, gone: usize) {
        if let Some(rows) = self.of(table) {
            *rows = rows.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX));
        }
    }

    fn of(&mut self, table: Table) -> &mut Option<u64> {
        match table {
            Table::Queues => &mut self.queues,
            Table::Accounts => &mut self.accounts,
            Table::Tickets => &mut self.tickets,
            Table::Blobs => &mut self.blobs,
            Table::Heads => &mut self.heads,
            Table::HeadBytes => &mut self.head_bytes,
            Table::Locks => &mut self.locks,
            Table::Groups => &mut self.groups,
        }
    }
}

fn count(sql: &Connection, table: Table) -> rusqlite::Result<u64> {
    let rows = match table {
        Table::Queues => "SELECT count(*) FROM queues",
        Table::Accounts => "SELECT count(*) FROM accounts",
        Table::Tickets => "SELECT count(*) FROM tickets",
        Table::Blobs => "SELECT count(*) FROM blobs",
        Table::Heads => "SELECT count(*) FROM heads",
        Table::HeadBytes => "SELECT coalesce(sum(length(body)), 0) FROM heads",
        Table::Locks => "SELECT count(*) FROM locks",
        Table::Groups => "SELECT count(*) FROM groups",
    };
    sql.query_row(rows, [], |row| row.get(0))
}
