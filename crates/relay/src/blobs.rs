//! The bytes of blobs: one file each below DATA/blobs, written from front to back.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads and writes blobs"
)]

use crate::limits;
use bytes::Bytes;
use keys::BlobId;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// The folder of blobs, and who writes to which.
pub(crate) struct Blobs {
    folder: PathBuf,
    bytes: AtomicU64,
    max_bytes: u64,
    uploads: Arc<Semaphore>,
    turns: Mutex<HashMap<BlobId, Weak<tokio::sync::Mutex<()>>>>,
}

/// The right to write to one blob, as long as it lives.
pub(crate) struct Turn {
    _blob: OwnedMutexGuard<()>,
    _upload: OwnedSemaphorePermit,
}

/// A piece of an upload, in the order of the file.
pub(crate) type Piece = Vec<Bytes>;

/// How the writing of an upload ended.
#[derive(Debug)]
pub(crate) struct Written {
    /// Bytes that survive the loss of power.
    pub(crate) durable: u64,
    /// The disk failed, and how.
    pub(crate) failed: Option<io::ErrorKind>,
}

impl Blobs {
    /// Opens the folder of blobs.
    pub(crate) fn open(data: &Path, stored: u64, max_bytes: u64) -> io::Result<Self> {
        let folder = data.join("blobs");
        crate::os::private_folder(&folder)?;
        Ok(Self {
            folder,
            bytes: AtomicU64::new(stored),
            max_bytes,
            uploads: Arc::new(Semaphore::new(limits::UPLOADS)),
            turns: Mutex::new(HashMap::new()),
        })
    }

    fn path(&self, blob: &BlobId) -> PathBuf {
        let name = blob.to_string();
        self.folder
            .join(name.get(..2).unwrap_or_default())
            .join(name)
    }

    /// Bytes of all blobs.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether so many bytes more have room.
    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.bytes().saturating_add(more) <= self.max_bytes
    }

    /// Counts bytes that came or went.
    pub(crate) fn count(&self, before: u64, after: u64) {
        if after >= before {
            self.bytes
                .fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        } else {
            let less = before.saturating_sub(after);
            let _old = self
                .bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
                    Some(all.saturating_sub(less))
                });
        }
    }

    /// Waits for the right to write to a blob; nothing if others keep it too long.
    pub(crate) async fn turn(&self, blob: &BlobId) -> Option<Turn> {
        let upload = Arc::clone(&self.uploads).try_acquire_owned().ok()?;
        let lock = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, lock| lock.strong_count() > 0);
            match turns.get(blob).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::new(tokio::sync::Mutex::new(()));
                    turns.insert(*blob, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        let blob = timeout(limits::UPLOAD_TURN, lock.lock_owned()).await.ok()?;
        Some(Turn {
            _blob: blob,
            _upload: upload,
        })
    }

    /// Writes pieces from a byte on, on a thread of its own, and flushes now and then. `durable` hears how far
    /// it came.
    pub(crate) fn write(
        &self,
        blob: &BlobId,
        offset: u64,
        mut pieces: mpsc::Receiver<Piece>,
        durable: impl Fn(u64) + Send + 'static,
    ) -> tokio::task::JoinHandle<Written> {
        let path = self.path(blob);
        tokio::task::spawn_blocking(move || {
            let mut written = Written {
                durable: offset,
                failed: None,
            };
            match write_pieces(&path, offset, &mut pieces, &mut written, &durable) {
                Ok(()) => {}
                Err(error) => written.failed = Some(error.kind()),
            }
            written
        })
    }

    /// Opens a blob for reading; returns its length, too.
    pub(crate) async fn read(&self, blob: &BlobId) -> io::Result<(Arc<File>, u64)> {
        let path = self.path(blob);
        blocking(move || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((Arc::new(file), length))
        })
        .await
    }

    /// Deletes a blob's file.
    pub(crate) async fn remove(&self, blob: &BlobId) -> io::Result<()> {
        let path = self.path(blob);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn write_pieces(
    path: &Path,
    offset: u64,
    pieces: &mut mpsc::Receiver<Piece>,
    written: &mut Written,
    durable: &dyn Fn(u64),
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        crate::os::private_folder(folder)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_len(offset)?;
    let mut at = offset;
    let result = append(&file, &mut at, pieces, written, durable);
    if result.is_err() {
        // Half of a piece that had no room is nothing to go on with.
        file.set_len(at)?;
    }
    // What arrived before a fault is kept, too.
    file.sync_all()?;
    written.durable = at;
    result
}

fn append(
    file: &File,
    at: &mut u64,
    pieces: &mut mpsc::Receiver<Piece>,
    written: &mut Written,
    durable: &dyn Fn(u64),
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(limits::BLOB_CHUNK);
    while let Some(piece) = pieces.blocking_recv() {
        buffer.clear();
        for bytes in &piece {
            buffer.extend_from_slice(bytes);
        }
        file.write_all_at(&buffer, *at)?;
        *at = at.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        if at.saturating_sub(written.durable) >= limits::BLOB_FLUSH {
            file.sync_data()?;
            written.durable = *at;
            durable(*at);
        }
    }
    Ok(())
}

/// Reads a stretch of a blob.
pub(crate) async fn read_at(file: Arc<File>, at: u64, length: usize) -> io::Result<Bytes> {
    blocking(move || {
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, at)?;
        Ok(Bytes::from(buffer))
    })
    .await
}
