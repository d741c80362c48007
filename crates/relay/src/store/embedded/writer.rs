//! The one thread that writes: it takes whatever waits, writes it in one transaction, and answers all of it
//! after the commit (group commit).
//!
//! ```text
//!   connections ──jobs──► channel ──drain──► BEGIN, run each, COMMIT (fsync) ──► finish each: reply, deliver
//! ```
//!
//! A job that the database fails takes its transaction with it; the jobs of that batch are then run one by one,
//! so that a full disk still lets acknowledgements through, which make room.

use super::counts::Counts;
use super::queues::QueueCache;
use super::schema;
use crate::config::Storage;
use crate::limits;
use crate::os;
use crate::quota::Rate;
use rusqlite::{Connection, TransactionBehavior};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The transaction under way.
pub(crate) struct Tx<'a> {
    pub(super) sql: &'a Connection,
    pub(super) queues: &'a mut QueueCache,
    pub(super) counts: &'a mut Counts,
    pub(super) queue_rate: Rate,
    pub(super) max: &'a Storage,
    pub(super) ticks: Duration,
}

/// Something to do within a transaction.
pub(crate) trait Job: Send {
    /// Does it. It may be run again if its transaction is rolled back.
    ///
    /// # Errors
    /// The database failed; the transaction is rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;

    /// Tells how it ended, after the commit (with the store's version) or the failure.
    fn finish(self: Box<Self>, committed: Option<u64>);

    /// How many bytes of bodies and rows it brings.
    fn weight(&self) -> usize {
        0
    }
}

/// What all threads of the store know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) version: AtomicU64,
    pub(super) failing: AtomicBool,
    /// Whether the last failure was for want of room.
    pub(super) full: AtomicBool,
    pub(super) commits: AtomicU64,
    pub(super) failures: AtomicU64,
}

pub(super) struct Writer {
    pub(super) sql: Connection,
    pub(super) queues: QueueCache,
    pub(super) counts: Counts,
    pub(super) queue_rate: Rate,
    pub(super) max: Storage,
    /// Keeps other relays off the folder until everything is written.
    pub(super) _lock: File,
    pub(super) shared: Arc<Shared>,
}

type Batch = Vec<Box<dyn Job>>;

impl Writer {
    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut bytes = first.weight();
            let mut batch: Batch = vec![first];
            while batch.len() < limits::BATCH_COMMANDS && bytes < limits::BATCH_BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                bytes = bytes.saturating_add(job.weight());
                batch.push(job);
            }
            self.write(batch);
        }
        let _closed = self.sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn write(&mut self, mut batch: Batch) {
        match self.transaction(&mut batch) {
            Ok(version) => finish(batch, Some(version)),
            Err(error) if batch.len() == 1 => {
                self.failed(&error);
                finish(batch, None);
            }
            Err(_) => {
                for job in batch {
                    self.write(vec![job]);
                }
            }
        }
    }

    fn transaction(&mut self, batch: &mut Batch) -> rusqlite::Result<u64> {
        let result = self.try_transaction(batch);
        match &result {
            Ok(version) => {
                self.shared.version.store(*version, Ordering::Release);
                self.shared.failing.store(false, Ordering::Relaxed);
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
            }
            // What was rolled back must not live on in memory.
            Err(_) => {
                self.queues.clear();
                self.counts.clear();
            }
        }
        result
    }

    fn try_transaction(&mut self, batch: &mut Batch) -> rusqlite::Result<u64> {
        let transaction = self
            .sql
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut tx = Tx {
            sql: &transaction,
            queues: &mut self.queues,
            counts: &mut self.counts,
            queue_rate: self.queue_rate,
            max: &self.max,
            ticks: os::ticks(),
        };
        for job in batch.iter_mut() {
            job.run(&mut tx)?;
        }
        let version = schema::count(&transaction)?;
        transaction.commit()?;
        Ok(version)
    }

    fn failed(&self, error: &rusqlite::Error) {
        let code = error.sqlite_error_code();
        let full = code == Some(rusqlite::ErrorCode::DiskFull);
        self.shared.full.store(full, Ordering::Relaxed);
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        if !self.shared.failing.swap(true, Ordering::Relaxed) {
            // The code alone: the text of an error may quote what was stored.
            tracing::error!(?code, "the store failed");
        }
    }
}

fn finish(batch: Batch, committed: Option<u64>) {
    for job in batch {
        job.finish(committed);
    }
}
