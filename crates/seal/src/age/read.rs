//! Opening: a range, or all of it.

use super::header::VerifiedHeader;
use super::stream::{
    BLOCK_CHUNKS, CHUNK_LEN, Layout, SEALED_BLOCK_LEN, SEALED_CHUNK_LEN, StreamKey, room,
};
use crate::lock::OpenError;
use crate::parallel::{Progress, Sink, Stored, on_all_cores};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An opened file: its length is known, its contents are read when they are asked for.
pub struct AgeFile<S> {
    stored: S,
    key: StreamKey,
    /// Where the payload begins.
    start: u64,
    layout: Layout,
}

impl<S: Stored> AgeFile<S> {
    /// Begins to open a file whose header was verified. The last chunk is opened at once: a file that was cut, or to
    /// which something was added, is noticed before anything of it is read.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Read`].
    pub fn open(stored: S, header: &VerifiedHeader) -> Result<Self, OpenError> {
        let start = header.bytes().len() as u64;
        let sealed = stored.length().map_err(OpenError::Read)?;
        let layout = Layout::of_sealed(sealed.saturating_sub(start)).ok_or(OpenError::Damaged)?;
        let file = Self {
            stored,
            key: StreamKey::new(header.payload_key()),
            start,
            layout,
        };
        let last = layout.chunks.saturating_sub(1);
        file.chunks(last, &mut room(1), |_, _| Ok(()))?;
        Ok(file)
    }

    /// Bytes of its contents.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.layout.length
    }

    /// Opens chunks from `first` on, as many as there is room for and as there are, and hands each to `take` with its
    /// place in the contents.
    fn chunks(
        &self,
        first: u64,
        room: &mut [u8],
        mut take: impl FnMut(u64, &[u8]) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let offset = first
            .saturating_mul(SEALED_CHUNK_LEN as u64)
            .saturating_add(self.start);
        let got = self.stored.read_at(offset, room).map_err(OpenError::Read)?;
        let there = room.get_mut(..got).unwrap_or_default();
        for (number, chunk) in (first..).zip(there.chunks_mut(SEALED_CHUNK_LEN)) {
            let plain = self.key.open(number, self.layout.is_last(number), chunk)?;
            take(number.saturating_mul(CHUNK_LEN as u64), plain)?;
        }
        match got {
            0 => Err(OpenError::Damaged),
            _ => Ok(()),
        }
    }

    /// Reads contents at `offset`; how many bytes there were.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Read`].
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<usize, OpenError> {
        let there = self.layout.length.saturating_sub(offset);
        let length = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        let end = offset.saturating_add(length as u64);
        let mut room = room(length.div_ceil(CHUNK_LEN).saturating_add(1));
        let mut at = offset;
        while at < end {
            let first = at.checked_div(CHUNK_LEN as u64).unwrap_or(0);
            let before = at;
            self.chunks(first, &mut room, |start, plain| {
                let from = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
                let to = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
                let plain = plain.get(from..).unwrap_or_default();
                let room = out.get_mut(to..length).unwrap_or_default();
                let piece = plain.len().min(room.len());
                if let (Some(room), Some(plain)) = (room.get_mut(..piece), plain.get(..piece)) {
                    room.copy_from_slice(plain);
                }
                at = at.saturating_add(piece as u64);
                Ok(())
            })?;
            if at == before {
                return Err(OpenError::Damaged);
            }
        }
        Ok(length)
    }

    /// Opens all blocks on all cores.
    fn each_chunk(
        &self,
        progress: Progress<'_>,
        take: impl Fn(u64, &[u8]) -> Result<(), OpenError> + Sync,
        give_up: impl Fn() + Sync,
    ) -> Result<(), OpenError> {
        let blocks = self.layout.blocks();
        let (next, opened) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |stop: &AtomicBool| -> Result<(), OpenError> {
            let mut room = room(SEALED_BLOCK_LEN / SEALED_CHUNK_LEN);
            while !stop.load(Ordering::Relaxed) {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= blocks {
                    break;
                }
                let first = block.saturating_mul(BLOCK_CHUNKS as u64);
                self.chunks(first, &mut room, |at, plain| {
                    take(at, plain)?;
                    opened.fetch_add(plain.len() as u64, Ordering::Relaxed);
                    progress(plain.len() as u64);
                    Ok(())
                })?;
            }
            Ok(())
        };
        on_all_cores(blocks, work, give_up)?;
        // A file that became shorter meanwhile has blocks that are not whole.
        match opened.into_inner() == self.layout.length {
            true => Ok(()),
            false => Err(OpenError::Damaged),
        }
    }

    /// Reads and verifies all, and writes nothing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn verify(&self, progress: Progress<'_>) -> Result<(), OpenError> {
        self.each_chunk(progress, |_, _| Ok(()), || {})
    }

    /// Writes the contents as their chunks are verified: what is written before an error is genuine, and not all.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn write_to(&self, out: &impl Sink, progress: Progress<'_>) -> Result<(), OpenError> {
        let take = |at: u64, plain: &[u8]| {
            out.put(at, plain).map_err(|error| OpenError::Write {
                path: PathBuf::from("-"),
                error,
            })
        };
        self.each_chunk(progress, take, || out.give_up())
    }
}
