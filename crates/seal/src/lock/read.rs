//! Opening: a range, one file to a pipe, or everything into a directory (docs/spec/sealed-file.md).

use super::header::VerifiedHeader;
use super::manifest::{Entry, EntryKind, MANIFEST, Manifest, ManifestError};
use super::plain::{Layout, TAIL};
use super::trailer::{Claimed, TRAILER};
use crate::parallel::{BLOCK_CHUNKS, Digest, Progress, Room, Sink, Stored, on_all_cores};
use crate::place::Staging;
use keys::chunked::{self, CHUNK_LEN, ChunkedKey, HEADER_LEN};
use keys::content_hash::BLOCK_LEN;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Why a file was not opened. Nothing of it stays on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Cut or changed.
    #[error("the file is damaged or was changed")]
    Damaged,
    /// What its sender wrote is not of the form.
    #[error("the file holds what no file may hold")]
    Manifest(#[from] ManifestError),
    /// Reading failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("writing {} failed", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the file system says.
        #[source]
        error: io::Error,
    },
    /// Names are one on this disk that are two where it comes from: large and small letters, or forms of the same letters.
    #[error("{} is the same name as another one on this disk", path.display())]
    SameName {
        /// Whose.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} exists", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
}

impl From<keys::OpenError> for OpenError {
    fn from(_: keys::OpenError) -> Self {
        Self::Damaged
    }
}

/// An opened file: names are known, contents are read when they are asked for.
pub struct LockFile<S> {
    payload: Payload<S>,
    header: Vec<u8>,
    manifest: Manifest,
    /// Where the contents of each entry begin in the plaintext; of those that have none, where the next begin.
    starts: Vec<u64>,
    layout: Layout,
    trailer: Vec<u8>,
}

struct Payload<S> {
    stored: S,
    key: ChunkedKey,
    /// Where it begins in the file.
    start: u64,
    /// Bytes of the plaintext.
    length: u64,
}

impl<S: Stored> Payload<S> {
    /// Reads plaintext at `offset` until `out` is full.
    fn read(&self, offset: u64, out: &mut [u8], room: &mut Room) -> Result<(), OpenError> {
        let (mut offset, mut out) = (offset, out);
        let chunk_len = CHUNK_LEN as u64;
        while !out.is_empty() {
            let first = offset.checked_div(chunk_len).unwrap_or(0);
            let inside = offset.saturating_sub(first.saturating_mul(chunk_len));
            let inside = usize::try_from(inside).unwrap_or(usize::MAX);
            let chunks = inside.saturating_add(out.len()).div_ceil(CHUNK_LEN);
            let got = room
                .open(&self.key, &self.stored, self.start, first, chunks)
                .map_err(OpenError::Read)??;
            let opened = room.plain.get(inside..got).unwrap_or_default();
            let length = opened.len().min(out.len());
            if length == 0 {
                return Err(OpenError::Damaged);
            }
            let (now, later) = out.split_at_mut(length);
            now.copy_from_slice(opened.get(..length).unwrap_or_default());
            out = later;
            offset = offset.saturating_add(length as u64);
        }
        Ok(())
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        // What is not there was not sealed: a length that lies allocates nothing.
        let end = offset.checked_add(length).ok_or(OpenError::Damaged)?;
        if end > self.length {
            return Err(OpenError::Damaged);
        }
        let length = usize::try_from(length).map_err(|_| OpenError::Damaged)?;
        let mut out = Zeroizing::new(vec![0; length]);
        let mut room = Room::of(length.div_ceil(CHUNK_LEN).saturating_add(1));
        self.read(offset, &mut out, &mut room)?;
        Ok(out)
    }

    fn number(&self, offset: u64) -> Result<u64, OpenError> {
        let bytes = self.bytes(offset, 4)?;
        let bytes: [u8; 4] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| OpenError::Damaged)?;
        Ok(u32::from_be_bytes(bytes).into())
    }

    /// Where the padding begins that ends at `end`: at the last byte that is not zero.
    fn padding(&self, from: u64, end: u64) -> Result<u64, OpenError> {
        let mut end = end;
        while end > from {
            let start = end.saturating_sub(BLOCK_LEN as u64).max(from);
            let bytes = self.bytes(start, end.saturating_sub(start))?;
            if let Some(at) = bytes.iter().rposition(|byte| *byte != 0) {
                return Ok(start.saturating_add(at as u64));
            }
            end = start;
        }
        Err(OpenError::Damaged)
    }
}

impl<S: Stored> LockFile<S> {
    /// Begins to open a file whose header was verified: reads names and trailer.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(stored: S, header: &VerifiedHeader) -> Result<Self, OpenError> {
        let start = header.bytes().len() as u64;
        let mut chunk_header = [0; HEADER_LEN];
        let got = stored
            .read_at(start, &mut chunk_header)
            .map_err(OpenError::Read)?;
        let sealed = stored.length().map_err(OpenError::Read)?;
        let length = chunked::plain_len(sealed.saturating_sub(start));
        let length = length
            .filter(|_| got == HEADER_LEN)
            .ok_or(OpenError::Damaged)?;
        let key = ChunkedKey::for_opening(
            header.payload_key(),
            &chunk_header,
            &header.payload_context(),
        )?;
        let payload = Payload {
            stored,
            key,
            start,
            length,
        };
        let head = payload.number(0)?;
        if head > MANIFEST as u64 {
            return Err(OpenError::Damaged);
        }
        let manifest = Manifest::decode(&payload.bytes(4, head)?)?;
        let tail = length.checked_sub(TAIL).ok_or(OpenError::Damaged)?;
        let trailer_len = payload.number(tail)?;
        if trailer_len > TRAILER as u64 {
            return Err(OpenError::Damaged);
        }
        let digested = tail.checked_sub(trailer_len).ok_or(OpenError::Damaged)?;
        let trailer = payload.bytes(digested, trailer_len)?.to_vec();
        let mut starts = Vec::with_capacity(manifest.entries().len());
        let mut at = head.saturating_add(4);
        let mut open_end = false;
        for entry in manifest.entries() {
            starts.push(at);
            if let EntryKind::File { size } = entry.kind {
                at = at
                    .checked_add(size.unwrap_or(0))
                    .ok_or(OpenError::Damaged)?;
                open_end |= size.is_none();
            }
        }
        let content = match open_end {
            true => payload.padding(at, digested)?,
            false => at,
        };
        // Lengths that another sealer might have chosen would say something to whoever sees them.
        let layout = Layout::new(content, trailer_len).ok_or(OpenError::Damaged)?;
        if (layout.digested, layout.whole) != (digested, length) {
            return Err(OpenError::Damaged);
        }
        Ok(Self {
            payload,
            header: header.bytes().to_vec(),
            manifest,
            starts,
            layout,
            trailer,
        })
    }

    /// Names, sizes and times.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Bytes of a file's contents. Nothing: no file has this number.
    #[must_use]
    pub fn size(&self, entry: usize) -> Option<u64> {
        match self.manifest.entries().get(entry)?.kind {
            EntryKind::File { size } => {
                let start = self.starts.get(entry)?;
                Some(size.unwrap_or(self.layout.content.saturating_sub(*start)))
            }
            _ => None,
        }
    }

    /// Bytes of all contents.
    #[must_use]
    pub fn length(&self) -> u64 {
        let first = self.starts.first().copied();
        let content = self.layout.content;
        content.saturating_sub(first.unwrap_or(content))
    }

    /// Reads a file's contents at `offset`; how many bytes there were. They are what someone with the file key wrote;
    /// whose they are is known after [`LockFile::verify`].
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Read`].
    pub fn read(&self, entry: usize, offset: u64, out: &mut [u8]) -> Result<usize, OpenError> {
        let (Some(size), Some(start)) = (self.size(entry), self.starts.get(entry)) else {
            return Ok(0);
        };
        let there = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = there.min(out.len());
        let out = out.get_mut(..length).unwrap_or_default();
        let mut room = Room::of(length.div_ceil(CHUNK_LEN).saturating_add(1));
        self.payload
            .read(start.saturating_add(offset), out, &mut room)?;
        Ok(length)
    }

    /// Opens all blocks on all cores, and hands each to `take` with its place in the plaintext. Then everything was
    /// verified but the signature, which comes back.
    fn each_block(
        &self,
        progress: Progress<'_>,
        take: impl Fn(u64, &[u8]) -> Result<(), OpenError> + Sync,
        give_up: impl Fn() + Sync,
    ) -> Result<Option<Claimed>, OpenError> {
        let digested = self.layout.digested;
        let blocks = digested.div_ceil(BLOCK_LEN as u64).max(1);
        let next = AtomicU64::new(0);
        let digest = Digest::default();
        let work = |stop: &AtomicBool| -> Result<(), OpenError> {
            let mut room = Room::new();
            while !stop.load(Ordering::Relaxed) {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= blocks {
                    break;
                }
                let start = block.saturating_mul(BLOCK_LEN as u64);
                let length = digested.saturating_sub(start).min(BLOCK_LEN as u64);
                let length = usize::try_from(length).map_err(|_| OpenError::Damaged)?;
                let first = block.saturating_mul(BLOCK_CHUNKS as u64);
                let payload = &self.payload;
                room.open(
                    &payload.key,
                    &payload.stored,
                    payload.start,
                    first,
                    length.div_ceil(CHUNK_LEN),
                )
                .map_err(OpenError::Read)??;
                let plain = room.plain.get(..length).ok_or(OpenError::Damaged)?;
                self.check_padding(start, plain)?;
                digest.take(block, plain);
                take(start, plain)?;
                progress(length as u64);
            }
            Ok(())
        };
        on_all_cores(blocks, work, give_up)?;
        let digest = digest.finish(blocks).ok_or(OpenError::Damaged)?;
        Claimed::decode(&self.trailer, &self.header, &digest).map_err(|_| OpenError::Damaged)
    }

    /// SECURITY: what is not shown must not be there: `padding_is_zero` notices.
    fn check_padding(&self, start: u64, plain: &[u8]) -> Result<(), OpenError> {
        let content = self.layout.content;
        let before = usize::try_from(content.saturating_sub(start)).unwrap_or(usize::MAX);
        let Some(padding) = plain.get(before..).filter(|padding| !padding.is_empty()) else {
            return Ok(());
        };
        let zeros = match content >= start {
            true => match padding.split_first() {
                Some((0x80, zeros)) => zeros,
                _ => return Err(OpenError::Damaged),
            },
            false => padding,
        };
        match zeros.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(OpenError::Damaged),
        }
    }

    /// Reads and verifies all, and writes nothing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn verify(&self, progress: Progress<'_>) -> Result<Option<Claimed>, OpenError> {
        self.each_block(progress, |_, _| Ok(()), || {})
    }

    /// Writes the contents of one file, as its chunks are verified: what is written before an error is genuine, and
    /// not all.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn write_to(
        &self,
        entry: usize,
        out: &impl Sink,
        progress: Progress<'_>,
    ) -> Result<Option<Claimed>, OpenError> {
        let start = self.starts.get(entry).copied().unwrap_or(0);
        let end = start.saturating_add(self.size(entry).unwrap_or(0));
        let take = |at: u64, plain: &[u8]| {
            let from = start.saturating_sub(at);
            let to = end.saturating_sub(at).min(plain.len() as u64);
            let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            let piece = range.and_then(|(from, to)| plain.get(from..to));
            let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
                return Ok(());
            };
            let offset = at.saturating_add(from).saturating_sub(start);
            out.put(offset, piece).map_err(|error| OpenError::Write {
                path: PathBuf::from("-"),
                error,
            })
        };
        self.each_block(progress, take, || out.give_up())
    }

    /// Writes everything into a new directory inside of `beside`. It is gone unless [`Extracted::place`] is called;
    /// before that the caller looks who signed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn extract(
        &self,
        beside: &Path,
        nonce: u64,
        progress: Progress<'_>,
    ) -> Result<Extracted, OpenError> {
        let staging = Staging::create(beside, nonce)?;
        for entry in self.manifest.entries() {
            match entry.kind {
                EntryKind::Directory => staging.directory(entry)?,
                EntryKind::File { .. } => staging.begin(entry)?,
                EntryKind::Link { .. } => {}
            }
        }
        let take = |at: u64, plain: &[u8]| self.pieces(at, plain, &staging);
        let claimed = self.each_block(progress, take, || {})?;
        let left_out = staging.finish(self.manifest.entries())?;
        Ok(Extracted {
            staging,
            claimed,
            left_out,
            tops: self.tops(),
        })
    }

    /// The names that come to lie in the directory itself.
    fn tops(&self) -> Vec<Vec<u8>> {
        let entries = self.manifest.entries().iter();
        let tops = entries.filter(|entry| !entry.path.contains(&b'/'));
        tops.map(|entry| entry.path.clone()).collect()
    }

    /// What exists already where this is to be placed.
    #[must_use]
    pub fn conflict(&self, out: &Path) -> Option<PathBuf> {
        let tops = self.tops().into_iter();
        tops.map(|top| Staging::place(out, &top))
            .find(|place| place.symlink_metadata().is_ok())
    }

    /// Writes what a block has of each file.
    fn pieces(&self, at: u64, plain: &[u8], staging: &Staging) -> Result<(), OpenError> {
        let end = at.saturating_add(plain.len() as u64);
        let after = self.starts.partition_point(|start| *start <= at);
        // The last that begins here or before; those in front of it that begin there too are empty or no files.
        let mut number = after.saturating_sub(1);
        let entries = self.manifest.entries();
        while let (Some(entry), Some(start)) = (entries.get(number), self.starts.get(number)) {
            if *start >= end {
                break;
            }
            let stop = start
                .saturating_add(self.size(number).unwrap_or(0))
                .min(end);
            let from = (*start).max(at);
            if stop > from {
                let range = usize::try_from(from.saturating_sub(at))
                    .ok()
                    .zip(usize::try_from(stop.saturating_sub(at)).ok());
                let piece = range.and_then(|(from, to)| plain.get(from..to));
                let offset = from.saturating_sub(*start);
                staging.write(entry, offset, piece.ok_or(OpenError::Damaged)?)?;
            }
            number = number.saturating_add(1);
        }
        Ok(())
    }
}

/// What was opened and verified, not yet in its place.
pub struct Extracted {
    staging: Staging,
    claimed: Option<Claimed>,
    left_out: Vec<Entry>,
    tops: Vec<Vec<u8>>,
}

impl Extracted {
    /// Who is said to have signed.
    #[must_use]
    pub fn claimed(&self) -> Option<&Claimed> {
        self.claimed.as_ref()
    }

    /// Links that lead out of what was sealed.
    #[must_use]
    pub fn left_out(&self) -> &[Entry] {
        &self.left_out
    }

    /// Gives everything its name in `out`, and says which names these are. With `replace`, what is there goes.
    ///
    /// # Errors
    /// [`OpenError::Exists`], and nothing was placed; [`OpenError::Write`].
    pub fn place(self, out: &Path, replace: bool) -> Result<Vec<PathBuf>, OpenError> {
        self.staging.into_place(&self.tops, out, replace)
    }
}
