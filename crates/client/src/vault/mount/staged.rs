//! A file of a mounted vault that is written to: what is written lies, sealed, on this machine's disk until it is in a
//! version.
//!
//! A block that is not there has the bytes of the version that was written over as far as these go below `below`, and
//! zeros from there on.

use super::blocks::{BLOCK, Blocks};
use super::head::{Head, Wrote};
use super::source::{Content, Source};
use super::trouble::Trouble;
use crate::os;
use keys::GcmKey;
use seal::vault::{Keyring, Meta};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use zeroize::Zeroizing;

const BLOCK_BYTES: u64 = BLOCK as u64;
/// Longest file: more than a disk holds.
const LONGEST: u64 = 1 << 45;

/// The name of what lies on disk, and which key opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StagedId {
    pub(super) generation: u32,
    pub(super) name: [u8; 16],
}

impl StagedId {
    /// A new one, with the newest key.
    pub(super) fn new(keys: &Keyring) -> Self {
        Self {
            generation: keys.newest(),
            name: os::random(),
        }
    }

    pub(super) fn key(&self, keys: &Keyring) -> Result<GcmKey, Trouble> {
        let keys = keys.generation(self.generation).ok_or(Trouble::Io)?;
        Ok(GcmKey::new(&keys.staging_key(&self.name)))
    }

    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(&self.name);
        directory.join(format!("{}-{name}", self.generation))
    }
}

struct Inner {
    blocks: Blocks,
    /// Nothing: that is damaged, and so all is.
    head: Option<Head>,
    /// Counts changes.
    changes: u64,
    written: Instant,
    /// Somebody said that it is as it is to be.
    settled: bool,
    /// It is in a version: whoever writes takes another one.
    retired: bool,
}

/// A file that is written to.
pub(super) struct Staged {
    pub(super) id: StagedId,
    /// What is written over.
    pub(super) base: Option<Content>,
    /// Those who have it open for writing.
    pub(super) writers: AtomicU32,
    inner: Mutex<Inner>,
}

/// What a face shows of it.
pub(super) struct Shown {
    pub(super) size: u64,
    pub(super) meta: Meta,
}

impl Staged {
    /// Begins one, in a directory; `base` has the bytes that it begins with.
    pub(super) fn create(
        directory: &Path,
        keys: &Keyring,
        base: Option<Content>,
        meta: Meta,
    ) -> Result<Arc<Self>, Trouble> {
        let id = StagedId::new(keys);
        let size = base.as_ref().map_or(0, |base| base.size);
        let head = Head {
            number: 0,
            size,
            below: size,
            meta,
            wrote: Wrote::default(),
        };
        let blocks = Blocks::create(directory, keys, id)?;
        let staged = Self::with(id, base, blocks, Some(head));
        staged.lock().write_head()?;
        Ok(Arc::new(staged))
    }

    /// One that another process began.
    pub(super) fn open(
        directory: &Path,
        keys: &Keyring,
        id: StagedId,
        base: Option<Content>,
    ) -> Result<Arc<Self>, Trouble> {
        let (blocks, head) = Blocks::open(directory, keys, id)?;
        Ok(Arc::new(Self::with(id, base, blocks, head)))
    }

    fn with(id: StagedId, base: Option<Content>, blocks: Blocks, head: Option<Head>) -> Self {
        Self {
            id,
            base,
            writers: AtomicU32::new(0),
            inner: Mutex::new(Inner {
                blocks,
                head,
                changes: 0,
                written: os::instant(),
                settled: false,
                retired: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown(&self) -> Shown {
        match self.lock().head {
            Some(Head { size, meta, .. }) => Shown { size, meta },
            None => Shown {
                size: 0,
                meta: Meta::file(),
            },
        }
    }

    /// Counts the changes of it.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Whether it may become a part of a version: nobody has it open for writing, or nobody wrote for a while.
    pub(super) fn is_settled(&self, quiet_since: Instant) -> bool {
        let inner = self.lock();
        self.writers.load(Ordering::Relaxed) == 0 || inner.settled || inner.written <= quiet_since
    }

    /// It is in a version as it was after so many changes. False: it has changed since.
    pub(super) fn retire(&self, changes: u64) -> bool {
        let mut inner = self.lock();
        inner.retired = inner.changes == changes;
        inner.retired
    }

    /// It is in no version after all.
    pub(super) fn go_on(&self) {
        self.lock().retired = false;
    }

    /// Reads from `offset`; how many bytes there were.
    pub(super) fn read(
        &self,
        source: &Source,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Trouble> {
        let mut inner = self.lock();
        let head = inner.head()?;
        let left = head.size.saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        let mut done: usize = 0;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let (index, inside) = split(at);
            let length = BLOCK
                .saturating_sub(inside)
                .min(wanted.saturating_sub(done));
            let until = done.saturating_add(length);
            let to = out.get_mut(done..until).ok_or(Trouble::Io)?;
            match inner.blocks.block(index)? {
                Some(block) => copy(to, block.get(inside..).unwrap_or_default()),
                None => self.below(head.below, source, at, to)?,
            }
            done = until;
        }
        Ok(done)
    }

    /// Whether all from one place to another is as in what is written over.
    pub(super) fn is_as_before(&self, from: u64, to: u64) -> bool {
        let inner = self.lock();
        let (first, last) = (from / BLOCK_BYTES, to.div_ceil(BLOCK_BYTES));
        // What cannot be looked at is read, and whoever reads it is told.
        let untouched = |index| matches!(inner.blocks.has(index), Ok(false));
        let below = inner.head.is_some_and(|head| to <= head.below);
        below && (first..last).all(untouched)
    }

    /// The bytes of what is written over.
    fn below(&self, below: u64, source: &Source, at: u64, out: &mut [u8]) -> Result<(), Trouble> {
        out.fill(0);
        let there = usize::try_from(below.saturating_sub(at)).unwrap_or(usize::MAX);
        let there = there.min(out.len());
        if let (Some(base), Some(out)) = (&self.base, out.get_mut(..there))
            && !out.is_empty()
            && source.read(base, at, out, true)? < out.len()
        {
            return Err(Trouble::Io);
        }
        Ok(())
    }

    /// Writes at an offset. False: it is in a version already, and whoever writes takes another one.
    pub(super) fn write(
        &self,
        source: &Source,
        offset: u64,
        bytes: &[u8],
    ) -> Result<bool, Trouble> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > LONGEST) {
            return Err(Trouble::TooLarge);
        }
        let mut inner = self.lock();
        if inner.retired {
            return Ok(false);
        }
        let mut head = inner.head()?;
        let (end, done) = self.write_blocks(&mut inner, source, offset, bytes);
        // What was written before there was no room is there.
        if end > offset || done.is_ok() {
            head.size = head.size.max(end);
            inner.touched(head)?;
        }
        done.map(|()| true)
    }

    /// As far as it came, and why no further.
    fn write_blocks(
        &self,
        inner: &mut Inner,
        source: &Source,
        offset: u64,
        bytes: &[u8],
    ) -> (u64, Result<(), Trouble>) {
        let mut left = bytes;
        let mut at = offset;
        while !left.is_empty() {
            let (index, inside) = split(at);
            let length = BLOCK.saturating_sub(inside).min(left.len());
            let (now, later) = left.split_at(length);
            let block = match length {
                BLOCK => Ok(Zeroizing::new(vec![0; BLOCK])),
                _ => self.whole(inner, source, index),
            };
            let written = block.and_then(|mut block| {
                copy(block.get_mut(inside..).unwrap_or_default(), now);
                inner.write_block(index, block)
            });
            if written.is_err() {
                return (at, written);
            }
            at = at.saturating_add(length as u64);
            left = later;
        }
        (at, Ok(()))
    }

    /// A block as it is, wherever its bytes are.
    fn whole(
        &self,
        inner: &mut Inner,
        source: &Source,
        index: u64,
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        if let Some(block) = inner.blocks.block(index)? {
            return Ok(Zeroizing::new(block.to_vec()));
        }
        let mut block = Zeroizing::new(vec![0; BLOCK]);
        let start = index.saturating_mul(BLOCK_BYTES);
        self.below(inner.head()?.below, source, start, &mut block)?;
        Ok(block)
    }

    /// Cuts it, or makes it longer with zeros. False: as [`Staged::write`] says.
    pub(super) fn resize(&self, size: u64) -> Result<bool, Trouble> {
        if size > LONGEST {
            return Err(Trouble::TooLarge);
        }
        let mut inner = self.lock();
        if inner.retired {
            return Ok(false);
        }
        let before = inner.head()?;
        // Who is killed here leaves it cut: no block counts that lies behind its end.
        inner.touched(Head {
            size,
            below: before.below.min(size),
            ..before
        })?;
        if size < before.size
            && let Err(trouble) = inner.cut(size)
        {
            inner.touched(before)?;
            return Err(trouble);
        }
        Ok(true)
    }

    /// Gives it another mode or time. False: as [`Staged::write`] says.
    pub(super) fn set_meta(&self, meta: Meta) -> Result<bool, Trouble> {
        let mut inner = self.lock();
        if inner.retired {
            return Ok(false);
        }
        let before = inner.head()?;
        inner.changes = inner.changes.saturating_add(1);
        inner.head = Some(Head { meta, ..before });
        let written = inner.write_head();
        if written.is_err() {
            inner.head = Some(before);
        }
        written.map(|()| true)
    }

    /// Waits until it is on the disk, where a loss of power leaves it.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        let mut inner = self.lock();
        inner.settled = true;
        inner.blocks.sync()?;
        // A file without a head is damaged, and stays as it is.
        match inner.head {
            Some(_) => inner.write_head(),
            None => Ok(()),
        }
    }
}

fn split(at: u64) -> (u64, usize) {
    let inside = usize::try_from(at % BLOCK_BYTES).unwrap_or(0);
    (at / BLOCK_BYTES, inside)
}

fn copy(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}

impl Inner {
    fn head(&self) -> Result<Head, Trouble> {
        self.head.ok_or(Trouble::Damaged)
    }

    fn write_head(&mut self) -> Result<(), Trouble> {
        let head = self.head.as_mut().ok_or(Trouble::Damaged)?;
        self.blocks.write_head(head)
    }

    fn write_block(&mut self, index: u64, block: Zeroizing<Vec<u8>>) -> Result<(), Trouble> {
        self.changes = self.changes.saturating_add(1);
        self.blocks.write(index, block)
    }

    /// Takes away what lies behind its end.
    fn cut(&mut self, end: u64) -> Result<(), Trouble> {
        let (index, inside) = split(end);
        if !self.blocks.reaches(index)? {
            return Ok(());
        }
        // A loss of power takes nothing away that the file still has.
        self.blocks.sync()?;
        if inside > 0
            && let Some(block) = self.blocks.block(index)?
        {
            let mut block = Zeroizing::new(block.to_vec());
            block.get_mut(inside..).unwrap_or_default().fill(0);
            self.write_block(index, block)?;
        }
        self.blocks.cut(index.saturating_add(u64::from(inside > 0)))
    }

    /// Its bytes are others now.
    fn touched(&mut self, head: Head) -> Result<(), Trouble> {
        self.changes = self.changes.saturating_add(1);
        self.written = os::instant();
        self.settled = false;
        let before = self.head.replace(head);
        if let Some(head) = &mut self.head {
            head.meta.modified = os::wall();
        }
        let written = self.write_head();
        if written.is_err() {
            self.head = before;
        }
        written
    }
}

/// Reads one from its beginning to its end.
pub(super) struct Whole<'a> {
    pub(super) staged: &'a Staged,
    pub(super) source: &'a Source,
    pub(super) at: u64,
    /// What went wrong.
    pub(super) trouble: Option<Trouble>,
}

impl Whole<'_> {
    pub(super) fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        self.staged.read(self.source, at, out).map_err(|trouble| {
            self.trouble = Some(trouble);
            io::Error::other("what was written cannot be read")
        })
    }
}

impl Read for Whole<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.read_at(self.at, out)?;
        self.at = self.at.saturating_add(length as u64);
        Ok(length)
    }
}

#[cfg(test)]
#[path = "staged_tests.rs"]
mod tests;
