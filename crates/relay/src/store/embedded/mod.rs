//! The store in one SQLite file: one thread writes, one reads.

mod blobs;
mod counts;
mod directory;
mod epochs;
mod heads;
mod inspect;
mod key_packages;
mod locks;
mod prekeys;
mod queues;
mod schema;
mod tickets;
mod writer;

pub(crate) use blobs::BlobRecord;
pub(crate) use directory::{LogRecord, Registered};
pub(crate) use epochs::InEpoch;
pub(crate) use heads::{HeadFound, HeadPut};
pub(crate) use inspect::{inspect, make_code, release};
pub(crate) use key_packages::PackagesPublished;
pub(crate) use locks::{Closing, LockPut, Opening};
pub(crate) use prekeys::{BundleParts, Published};
pub(crate) use queues::{Created, Letter, QueueRecord, Sent};
pub(crate) use tickets::{Noted, Ticket};
pub(crate) use writer::{Job, Tx};

use crate::config::Config;
use crate::limits;
use crate::quota::Rate;
use counts::Counts;
use keys::{AccountId, BlobId, DeviceId, QueueId, Timestamp};
use queues::QueueCache;
use rusqlite::Connection;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};
use writer::{Shared, Writer};

/// The store failed and nothing was stored; it may work again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store failed")]
pub(crate) struct StoreError;

type Reading = Box<dyn FnOnce(&Connection) + Send>;

/// The store. Cloning shares it; when the last one is dropped, the threads end.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Box<dyn Job>>,
    readings: mpsc::Sender<Reading>,
    shared: Arc<Shared>,
    relay_id: [u8; 16],
    retention_seconds: u64,
}

/// The threads of a store, to be awaited after the last [`Store`] is gone.
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Waits until everything is written.
    pub(crate) fn join(self) {
        for thread in self.0 {
            let _ended = thread.join();
        }
    }
}

/// A closure as a job whose result goes to whoever asked.
struct Call<T, F> {
    work: F,
    result: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send> Job for Call<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.work)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Option<u64>) {
        let result = self
            .result
            .filter(|_| committed.is_some())
            .ok_or(StoreError);
        let _gone = self.answer.send(result);
    }
}

impl Store {
    /// Opens the store of a data folder, which is locked, and starts its threads.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub(crate) fn open(config: &Config, lock: File) -> rusqlite::Result<(Self, Threads)> {
        let sql = schema::open(&config.data, config.storage.database_bytes)?;
        let reader = schema::open_reader(&config.data)?;
        let (relay_id, version) = schema::identity(&sql)?;
        let shared = Arc::new(Shared::default());
        shared.version.store(version, Ordering::Release);
        let (jobs, waiting) = mpsc::channel(limits::WRITER_QUEUE);
        let (readings, to_read) = mpsc::channel(limits::READER_QUEUE);
        let rate = u64::from(config.rates.letters_of_queue);
        let writer = Writer {
            sql,
            queues: QueueCache::default(),
            queue_rate: Rate {
                milli_per_second: rate.saturating_mul(1000),
                burst: rate.saturating_mul(20),
            },
            counts: Counts::default(),
            max: config.storage.clone(),
            _lock: lock,
            shared: Arc::clone(&shared),
        };
        let threads = vec![
            thread::spawn(move || writer.run(waiting)),
            thread::spawn(move || read(&reader, to_read)),
        ];
        let store = Self {
            jobs,
            readings,
            shared,
            relay_id,
            retention_seconds: u64::from(config.storage.retention_days).saturating_mul(24 * 3600),
        };
        Ok((store, Threads(threads)))
    }

    /// The id drawn when the store was made.
    pub(crate) fn relay_id(&self) -> [u8; 16] {
        self.relay_id
    }

    /// The number of the last transaction.
    pub(crate) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Whether the last attempt to write failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to write failed because there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.is_failing() && self.shared.full.load(Ordering::Relaxed)
    }

    /// Transactions and failed ones since the start.
    pub(crate) fn transactions(&self) -> (u64, u64) {
        (
            self.shared.commits.load(Ordering::Relaxed),
            self.shared.failures.load(Ordering::Relaxed),
        )
    }

    /// Seconds that bodies and blobs are kept.
    pub(crate) fn retention_seconds(&self) -> u64 {
        self.retention_seconds
    }

    /// Hands a job to the writer; waits while too many others do.
    ///
    /// # Errors
    /// The writer is gone.
    pub(crate) async fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        self.submit(Box::new(Call {
            work,
            result: None,
            answer,
        }))
        .await?;
        result.await.map_err(|_| StoreError)?
    }

    /// Runs a reading in its turn.
    ///
    /// # Errors
    /// The reader is gone.
    pub(crate) async fn read_later(&self, reading: Reading) -> Result<(), StoreError> {
        self.readings.send(reading).await.map_err(|_| StoreError)
    }

    /// Runs a reading in its turn, from a thread that may not wait.
    ///
    /// # Errors
    /// The reader is gone, or too many wait.
    pub(crate) fn try_read_later(&self, reading: Reading) -> Result<(), StoreError> {
        self.readings.try_send(reading).map_err(|_| StoreError)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        self.read_later(Box::new(move |sql| drop(answer.send(work(sql)))))
            .await?;
        result
            .await
            .map_err(|_| StoreError)?
            .map_err(|_| StoreError)
    }

    /// Makes a queue.
    pub(crate) async fn create_queue(
        &self,
        request: wire::CreateQueue,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        self.write(move |tx| queues::create(tx, &request, now))
            .await
    }

    /// Reads a queue.
    pub(crate) async fn queue(&self, queue: QueueId) -> Result<Option<QueueRecord>, StoreError> {
        self.read(move |sql| queues::queue(sql, &queue)).await
    }

    /// Deletes a queue.
    pub(crate) async fn delete_queue(&self, queue: QueueId) -> Result<(), StoreError> {
        self.write(move |tx| queues::delete(tx, &queue)).await
    }

    /// Binds a name to a verified account.
    pub(crate) async fn register(
        &self,
        wanted: LogRecord,
        code_hash: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Registered, StoreError> {
        self.write(move |tx| directory::register(tx, &wanted, code_hash.as_ref(), now))
            .await
    }

    /// Replaces a log, if it is still `before`, and drops the pre-keys of devices that are gone.
    pub(crate) async fn append_log(
        &self,
        account: AccountId,
        before: Vec<u8>,
        log: Vec<u8>,
        gone: Vec<DeviceId>,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| directory::append(tx, &account, &before, &log, &gone))
            .await
    }

    /// Finds an account by name.
    pub(crate) async fn log_by_name(&self, name: String) -> Result<Option<LogRecord>, StoreError> {
        self.read(move |sql| directory::by_name(sql, &name)).await
    }

    /// Finds an account by id.
    pub(crate) async fn log_by_account(
        &self,
        account: AccountId,
    ) -> Result<Option<LogRecord>, StoreError> {
        self.read(move |sql| directory::by_account(sql, &account))
            .await
    }

    /// Stores a publication that was verified with a log, if that still is the account's.
    pub(crate) async fn publish(
        &self,
        request: wire::PublishPreKeys,
        log: Vec<u8>,
        now: Timestamp,
    ) -> Result<Published, StoreError> {
        self.write(move |tx| prekeys::publish(tx, &request, &log, now))
            .await
    }

    /// How many one-time pre-keys are left.
    pub(crate) async fn pre_key_counts(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> Result<Option<(u32, u32)>, StoreError> {
        self.read(move |sql| prekeys::counts(sql, &account, &device))
            .await
    }

    /// Takes the pre-keys for one session.
    pub(crate) async fn take_bundle(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<BundleParts>, StoreError> {
        self.write(move |tx| prekeys::take(tx, &account, &device, now))
            .await
    }

    /// Stores a publication that was verified with a log, if that still is the account's.
    pub(crate) async fn publish_key_packages(
        &self,
        request: wire::PublishKeyPackages,
        log: Vec<u8>,
        now: Timestamp,
    ) -> Result<PackagesPublished, StoreError> {
        self.write(move |tx| key_packages::publish(tx, &request, &log, now))
            .await
    }

    /// How many key packages are left.
    pub(crate) async fn key_package_counts(
        &self,
        of: wire::KeyPackageCount,
    ) -> Result<Option<wire::KeyPackageCounts>, StoreError> {
        self.read(move |sql| key_packages::counts(sql, (&of).into()))
            .await
    }

    /// Takes a key package.
    pub(crate) async fn take_key_package(
        &self,
        of: wire::FetchKeyPackage,
        now: Timestamp,
    ) -> Result<Option<wire::KeyPackage>, StoreError> {
        self.write(move |tx| key_packages::take(tx, (&of).into(), now))
            .await
    }

    /// Notes a ticket.
    pub(crate) async fn create_ticket(
        &self,
        hash: [u8; 32],
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Noted, StoreError> {
        self.write(move |tx| tickets::create(tx, &hash, expires, now))
            .await
    }

    /// Uses a ticket.
    pub(crate) async fn redeem_ticket(
        &self,
        request: wire::RedeemTicket,
        now: Timestamp,
    ) -> Result<Ticket, StoreError> {
        self.write(move |tx| tickets::redeem(tx, &request.ticket, &request.nonce, now))
            .await
    }

    /// Stores a head whose signature holds.
    pub(crate) async fn put_head(
        &self,
        request: wire::PutHead,
        now: Timestamp,
    ) -> Result<HeadPut, StoreError> {
        self.write(move |tx| heads::put(tx, &request, now)).await
    }

    /// Finds a head.
    pub(crate) async fn head(&self, id: [u8; 32]) -> Result<HeadFound, StoreError> {
        self.read(move |sql| heads::find(sql, &id)).await
    }

    /// Deletes a head of a version; false means that another version is there.
    pub(crate) async fn delete_head(
        &self,
        id: [u8; 32],
        version: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| heads::delete(tx, &id, version, now))
            .await
    }

    /// Makes a lock whose signature holds.
    pub(crate) async fn put_lock(
        &self,
        request: wire::PutLock,
        now: Timestamp,
    ) -> Result<LockPut, StoreError> {
        self.write(move |tx| locks::put(tx, &request, now)).await
    }

    /// Begins to open a lock, or gives its key out.
    pub(crate) async fn open_lock(
        &self,
        id: [u8; 32],
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Opening, StoreError> {
        self.write(move |tx| locks::open(tx, &id, &token_hash, now))
            .await
    }

    /// Closes a lock that opens at a time.
    pub(crate) async fn cancel_lock(
        &self,
        id: [u8; 32],
        opens_at: Timestamp,
    ) -> Result<Closing, StoreError> {
        self.write(move |tx| locks::cancel(tx, &id, opens_at)).await
    }

    /// When a lock opens, if there is one and if it does.
    pub(crate) async fn lock_status(
        &self,
        id: [u8; 32],
    ) -> Result<Option<Option<Timestamp>>, StoreError> {
        self.read(move |sql| locks::status(sql, &id)).await
    }

    /// Deletes a lock.
    pub(crate) async fn delete_lock(&self, id: [u8; 32]) -> Result<(), StoreError> {
        self.write(move |tx| locks::delete(tx, &id)).await
    }

    /// Finds a blob.
    pub(crate) async fn blob(&self, blob: BlobId) -> Result<Option<BlobRecord>, StoreError> {
        self.read(move |sql| blobs::find(sql, &blob)).await
    }

    /// Begins a blob; false means that there are as many as there may be.
    pub(crate) async fn begin_blob(
        &self,
        blob: BlobId,
        record: BlobRecord,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| blobs::begin(tx, &blob, &record)).await
    }

    /// Notes that a lasting blob was used.
    pub(crate) async fn blob_used(&self, blob: BlobId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| blobs::used(tx, &blob, now)).await
    }

    /// Notes what is durable of a blob.
    pub(crate) async fn note_blob(
        &self,
        blob: BlobId,
        durable: u64,
        complete: bool,
    ) -> Result<(), StoreError> {
        self.write(move |tx| blobs::note(tx, &blob, durable, complete))
            .await
    }

    /// Notes when the time of a blob is over.
    pub(crate) async fn blob_expires(&self, blob: BlobId, until: u64) -> Result<(), StoreError> {
        self.write(move |tx| blobs::expires(tx, &blob, until)).await
    }

    /// Forgets a blob.
    pub(crate) async fn forget_blob(&self, blob: BlobId) -> Result<(), StoreError> {
        self.write(move |tx| blobs::forget(tx, &blob)).await
    }

    /// Bytes of all blobs.
    pub(crate) async fn blob_bytes(&self) -> Result<u64, StoreError> {
        self.read(blobs::bytes).await
    }

    /// Blobs whose time is over.
    pub(crate) async fn expired_blobs(&self, now: Timestamp) -> Result<Vec<BlobId>, StoreError> {
        let retention = self.retention_seconds;
        self.read(move |sql| blobs::expired(sql, now, retention))
            .await
    }

    /// Deletes what has expired, in small steps.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        let retention = self.retention_seconds;
        while self
            .write(move |tx| queues::sweep(tx, now, retention))
            .await?
        {}
        while self.write(move |tx| heads::sweep(tx, now)).await? {}
        while self.write(move |tx| epochs::sweep(tx, now)).await? {}
        self.write(move |tx| {
            prekeys::sweep(tx.sql, now)?;
            key_packages::sweep(tx.sql, now)?;
            tickets::sweep(tx, now)
        })
        .await
    }
}

/// Reads the bodies of a queue from a number on.
pub(crate) fn letters(
    sql: &Connection,
    queue: &QueueId,
    from: u64,
    limit: u32,
) -> Result<Vec<Letter>, StoreError> {
    queues::letters(sql, queue, from, limit).map_err(|_| StoreError)
}

/// Puts one body into queues, if it may be sent in the epoch of its group.
pub(crate) fn send(
    tx: &mut Tx<'_>,
    request: &wire::Send,
    epoch: Option<&InEpoch>,
    now: Timestamp,
) -> rusqlite::Result<Sent> {
    queues::send(tx, request, epoch, now)
}

/// Deletes everything of a queue up to a number.
pub(crate) fn acknowledge(tx: &mut Tx<'_>, queue: &QueueId, up_to: u64) -> rusqlite::Result<()> {
    queues::acknowledge(tx, queue, up_to)
}

fn read(sql: &Connection, mut readings: mpsc::Receiver<Reading>) {
    while let Some(reading) = readings.blocking_recv() {
        reading(sql);
    }
}

/// Whether there is a database in a data folder.
pub(crate) fn exists(data: &Path) -> bool {
    schema::path(data).is_file()
}
