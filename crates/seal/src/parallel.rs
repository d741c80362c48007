//! Blocks of a payload, sealed and opened by all cores.
//!
//! A block is 1 MiB of plaintext: 64 chunks, and a whole subtree of the digest. Any thread takes any block.

use keys::OpenError;
use keys::chunked::{CHUNK_LEN, ChunkedKey, HEADER_LEN, SEALED_CHUNK_LEN};
use keys::content_hash::{self, BLOCK_LEN, BlockHash, ContentHasher};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Chunks of a block.
pub(crate) const BLOCK_CHUNKS: usize = BLOCK_LEN / CHUNK_LEN;
/// Bytes of a whole block when sealed.
pub(crate) const SEALED_BLOCK_LEN: usize = BLOCK_CHUNKS * SEALED_CHUNK_LEN;
/// More threads than this want more memory than they give speed.
const THREADS: usize = 8;

/// Is told how many bytes of plaintext are done, by any thread.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Takes bytes at any offset, from any thread.
pub trait Sink: Sync {
    /// Writes all bytes.
    ///
    /// # Errors
    /// What the place says.
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Nothing more comes: threads that wait for their turn stop waiting.
    fn give_up(&self);
}

/// Bytes that can be read anywhere, from any thread.
pub trait Stored: Sync {
    /// Reads at an offset until `out` is full or the end is reached; how many bytes there were.
    ///
    /// # Errors
    /// What the place says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// All bytes.
    ///
    /// # Errors
    /// What the place says.
    fn length(&self) -> io::Result<u64>;
}

impl Stored for File {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut got: usize = 0;
        while let Some(rest) = out.get_mut(got..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(got as u64);
            match std::os::unix::fs::FileExt::read_at(self, rest, at) {
                Ok(0) => break,
                Ok(more) => got = got.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Stored for Vec<u8> {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = self.get(start..).unwrap_or_default();
        let length = there.len().min(out.len());
        if let (Some(from), Some(to)) = (there.get(..length), out.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// Runs `work` on as many threads as there are cores, and no more than there are pieces. The first error ends all:
/// `work` is to return where `stop` says so.
pub(crate) fn on_all_cores<E: Send>(
    pieces: u64,
    work: impl Fn(&AtomicBool) -> Result<(), E> + Sync,
    give_up: impl Fn() + Sync,
) -> Result<(), E> {
    let stop = AtomicBool::new(false);
    let first = Mutex::new(None);
    let run = || {
        if let Err(error) = work(&stop) {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
            drop(first);
            stop.store(true, Ordering::Relaxed);
            give_up();
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(THREADS) as u64;
    std::thread::scope(|scope| {
        for _ in 1..threads.min(pieces) {
            scope.spawn(run);
        }
        run();
    });
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    first.map_or(Ok(()), Err)
}

/// The digest of a plaintext whose blocks come in any order.
#[derive(Default)]
pub(crate) struct Digest(Mutex<(ContentHasher, BTreeMap<u64, BlockHash>)>);

impl Digest {
    /// Takes a block.
    pub(crate) fn take(&self, number: u64, bytes: &[u8]) {
        // `None` only where a caller cut wrong; then `finish` has nothing.
        let Some(hash) = content_hash::block(number, bytes) else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (hasher, waiting) = &mut *state;
        waiting.insert(number, hash);
        while let Some(hash) = waiting.remove(&hasher.count()) {
            hasher.push(&hash);
        }
    }

    /// The digest of so many blocks. Nothing: one is missing.
    pub(crate) fn finish(self, blocks: u64) -> Option<[u8; 32]> {
        let state = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.0.count() == blocks && state.1.is_empty() {
            true => state.0.finish(),
            false => None,
        }
    }
}

/// Room for one block, sealed and opened; wiped at the end.
pub(crate) struct Room {
    pub(crate) plain: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::of(BLOCK_CHUNKS)
    }

    /// Room for so many chunks, a block at most.
    pub(crate) fn of(chunks: usize) -> Self {
        let chunks = chunks.clamp(1, BLOCK_CHUNKS);
        Self {
            plain: Zeroizing::new(vec![0; chunks.saturating_mul(CHUNK_LEN)]),
            sealed: vec![0; chunks.saturating_mul(SEALED_CHUNK_LEN)],
        }
    }

    /// Seals the first `length` bytes of `plain`, chunk by chunk from chunk `first`. With `last` the last chunk is
    /// shorter than the others, if need be empty.
    pub(crate) fn seal(
        &mut self,
        key: &ChunkedKey,
        first: u64,
        length: usize,
        last: bool,
    ) -> Result<&[u8], OpenError> {
        let plain = self.plain.get(..length).ok_or(OpenError)?;
        let mut used: usize = 0;
        let empty = last && length.is_multiple_of(CHUNK_LEN);
        let chunks = plain.chunks(CHUNK_LEN).chain(empty.then_some(&[][..]));
        for (number, chunk) in (first..).zip(chunks) {
            let end = used
                .saturating_add(chunk.len())
                .saturating_add(keys::TAG_LEN);
            if self.sealed.len() < end {
                self.sealed.resize(end, 0);
            }
            let room = self.sealed.get_mut(used..end).ok_or(OpenError)?;
            room.get_mut(..chunk.len())
                .ok_or(OpenError)?
                .copy_from_slice(chunk);
            key.seal_buffer(number, room)?;
            used = end;
        }
        self.sealed.get(..used).ok_or(OpenError)
    }

    /// Reads chunks from `first` until the block is full or the file ends, and opens them into `plain`; how many
    /// bytes they are. `start` is where the payload begins.
    pub(crate) fn open(
        &mut self,
        key: &ChunkedKey,
        stored: &impl Stored,
        start: u64,
        first: u64,
        chunks: usize,
    ) -> Result<Result<usize, OpenError>, io::Error> {
        let wanted = chunks
            .saturating_mul(SEALED_CHUNK_LEN)
            .min(self.sealed.len());
        let offset = first
            .saturating_mul(SEALED_CHUNK_LEN as u64)
            .saturating_add(HEADER_LEN as u64)
            .saturating_add(start);
        let room = self.sealed.get_mut(..wanted).unwrap_or_default();
        let got = stored.read_at(offset, room)?;
        let mut done: usize = 0;
        let chunks = room.get(..got).unwrap_or_default();
        for (number, chunk) in (first..).zip(chunks.chunks(SEALED_CHUNK_LEN)) {
            let end = done.saturating_add(chunk.len().saturating_sub(keys::TAG_LEN));
            let opened = match self.plain.get_mut(done..end) {
                Some(out) => key.open_into(number, chunk, out),
                None => Err(OpenError),
            };
            if let Err(error) = opened {
                return Ok(Err(error));
            }
            done = end;
        }
        Ok(Ok(done))
    }
}
