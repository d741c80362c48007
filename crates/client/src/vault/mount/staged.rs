//! A file of a mounted vault that is written to: what is written lies, sealed, on this machine's disk until it is in a
//! version.
//!
//! ```text
//!   file  = head (at 0) ‖ head (at 512) ‖ block 0 (at 4096) ‖ block 1 ...
//!   head  = nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ 01 ‖ BE8(0), BE8(number) ‖ BE8(size) ‖ BE8(below) ‖ mode ‖ time)
//!   block = nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ 02 ‖ BE8(index), 64 KiB)
//! ```
//!
//! Heads are written in turns, so that one of them is whole whatever happens. A block that is not there has the bytes of
//! the version that was written over as far as these go below `below`, and zeros from there on.

use super::source::{Content, Source};
use super::trouble::Trouble;
use crate::os;
use keys::GcmKey;
use keys::codec::{Reader, Writer};
use seal::vault::{Keyring, Meta};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use zeroize::Zeroizing;

/// Bytes that are sealed together.
const BLOCK: usize = 64 * 1024;
const BLOCK_BYTES: u64 = BLOCK as u64;
/// Nonce and tag.
const AROUND: usize = 12 + keys::TAG_LEN;
const SEALED: usize = BLOCK + AROUND;
const HEADS: [u64; 2] = [0, 512];
const HEAD: usize = 38;
const BLOCKS: u64 = 4096;
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

#[derive(Clone, Copy)]
struct Head {
    number: u64,
    size: u64,
    /// As far as the version that is written over counts.
    below: u64,
    meta: Meta,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.number);
        out.u64(self.size);
        out.u64(self.below);
        out.u16(self.meta.mode);
        out.array(&self.meta.modified.0.to_be_bytes());
        out.u32(self.meta.modified.1);
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        Some(Self {
            number: input.u64().ok()?,
            size: input.u64().ok()?,
            below: input.u64().ok()?,
            meta: Meta {
                mode: input.u16().ok()?,
                modified: (i64::from_be_bytes(input.array().ok()?), input.u32().ok()?),
            },
        })
    }
}

struct Inner {
    file: File,
    key: GcmKey,
    head: Head,
    /// Counts changes.
    changes: u64,
    written: Instant,
    /// Somebody said that it is as it is to be.
    settled: bool,
    /// It is in a version: whoever writes takes another one.
    retired: bool,
    /// The block that was read or written last.
    last: Option<(u64, Zeroizing<Vec<u8>>)>,
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

fn place(index: u64) -> u64 {
    BLOCKS.saturating_add(index.saturating_mul(SEALED as u64))
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
        let key = id.key(keys)?;
        let size = base.as_ref().map_or(0, |base| base.size);
        let head = Head {
            number: 0,
            size,
            below: size,
            meta,
        };
        let file = os::open_part(&id.path(directory))?;
        let staged = Self::with(id, base, file, key, head);
        staged.lock().write_head(&id)?;
        Ok(Arc::new(staged))
    }

    /// One that another process began.
    pub(super) fn open(
        directory: &Path,
        keys: &Keyring,
        id: StagedId,
        base: Option<Content>,
    ) -> Result<Arc<Self>, Trouble> {
        let path = id.path(directory);
        if !os::exists(&path) {
            return Err(Trouble::NotFound);
        }
        let key = id.key(keys)?;
        let file = os::open_part(&path)?;
        let mut heads = Vec::new();
        for at in HEADS {
            let mut sealed = [0; HEAD + AROUND];
            if file.read_exact_at(&mut sealed, at).is_ok()
                && let Some(bytes) = opened(&key, &id, (1, 0), &mut sealed)
            {
                heads.extend(Head::decode(bytes));
            }
        }
        let head = heads.into_iter().max_by_key(|head| head.number);
        let head = head.ok_or(Trouble::Io)?;
        Ok(Arc::new(Self::with(id, base, file, key, head)))
    }

    fn with(id: StagedId, base: Option<Content>, file: File, key: GcmKey, head: Head) -> Self {
        Self {
            id,
            base,
            writers: AtomicU32::new(0),
            inner: Mutex::new(Inner {
                file,
                key,
                head,
                changes: 0,
                written: os::instant(),
                settled: false,
                retired: false,
                last: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown(&self) -> Shown {
        let inner = self.lock();
        Shown {
            size: inner.head.size,
            meta: inner.head.meta,
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
        let left = inner.head.size.saturating_sub(offset);
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
            match inner.block(&self.id, index)? {
                Some(block) => copy(to, block.get(inside..).unwrap_or_default()),
                None => self.below(inner.head.below, source, at, to)?,
            }
            done = until;
        }
        Ok(done)
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
        let end = end.filter(|end| *end <= LONGEST).ok_or(Trouble::TooLarge)?;
        let mut inner = self.lock();
        if inner.retired {
            return Ok(false);
        }
        let mut left = bytes;
        let mut at = offset;
        while !left.is_empty() {
            let (index, inside) = split(at);
            let length = BLOCK.saturating_sub(inside).min(left.len());
            let (now, later) = left.split_at(length);
            let mut block = match length {
                BLOCK => Zeroizing::new(vec![0; BLOCK]),
                _ => self.whole(&mut inner, source, index)?,
            };
            copy(block.get_mut(inside..).unwrap_or_default(), now);
            inner.write_block(&self.id, index, block)?;
            at = at.saturating_add(length as u64);
            left = later;
        }
        inner.head.size = inner.head.size.max(end);
        inner.touched(&self.id)?;
        Ok(true)
    }

    /// A block as it is, wherever its bytes are.
    fn whole(
        &self,
        inner: &mut Inner,
        source: &Source,
        index: u64,
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        if let Some(block) = inner.block(&self.id, index)? {
            return Ok(Zeroizing::new(block.to_vec()));
        }
        let mut block = Zeroizing::new(vec![0; BLOCK]);
        let start = index.saturating_mul(BLOCK_BYTES);
        self.below(inner.head.below, source, start, &mut block)?;
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
        if size < inner.head.size {
            let (index, inside) = split(size);
            if inside > 0
                && let Some(block) = inner.block(&self.id, index)?
            {
                let mut block = Zeroizing::new(block.to_vec());
                block.get_mut(inside..).unwrap_or_default().fill(0);
                inner.write_block(&self.id, index, block)?;
            }
            let kept = index.saturating_add(u64::from(inside > 0));
            let length = os::length_of(&inner.file)?;
            if place(kept) < length {
                inner.file.set_len(place(kept))?;
            }
            inner.last = None;
            inner.head.below = inner.head.below.min(size);
        }
        inner.head.size = size;
        inner.touched(&self.id)?;
        Ok(true)
    }

    /// Gives it another mode or time. False: as [`Staged::write`] says.
    pub(super) fn set_meta(&self, meta: Meta) -> Result<bool, Trouble> {
        let mut inner = self.lock();
        if inner.retired {
            return Ok(false);
        }
        inner.head.meta = meta;
        inner.changes = inner.changes.saturating_add(1);
        inner.write_head(&self.id)?;
        Ok(true)
    }

    /// Waits until it is on the disk, where a loss of power leaves it.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        let mut inner = self.lock();
        inner.settled = true;
        Ok(inner.file.sync_data()?)
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

fn about(id: &StagedId, (kind, index): (u8, u64)) -> [u8; 25] {
    let mut about = [0; 25];
    let parts = id.name.iter().chain([&kind]).copied();
    let all = parts.chain(index.to_be_bytes());
    about.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    about
}

fn opened<'a>(
    key: &GcmKey,
    id: &StagedId,
    what: (u8, u64),
    sealed: &'a mut [u8],
) -> Option<&'a [u8]> {
    let (nonce, rest) = sealed.split_first_chunk_mut::<12>()?;
    let opened = key.open_in_place(nonce, &about(id, what), rest).ok()?;
    Some(opened)
}

fn sealed(key: &GcmKey, id: &StagedId, what: (u8, u64), plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = os::random();
    let mut out = Vec::with_capacity(plain.len().saturating_add(AROUND));
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let tag = match out.get_mut(nonce.len()..) {
        Some(inside) => key.seal_separate_tag(&nonce, &about(id, what), inside),
        None => [0; keys::TAG_LEN],
    };
    out.extend_from_slice(&tag);
    out
}

impl Inner {
    /// A block that was written. Nothing: it was not.
    fn block(&mut self, id: &StagedId, index: u64) -> Result<Option<&[u8]>, Trouble> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            let mut bytes = Zeroizing::new(vec![0; SEALED]);
            let got = read_up_to(&self.file, &mut bytes, place(index))?;
            if got < SEALED || bytes.iter().take(12).all(|byte| *byte == 0) {
                return Ok(None);
            }
            // SECURITY: the disk may hold other bytes than were written; `what_waits_on_a_disk_cannot_be_changed`
            // notices.
            let block = opened(&self.key, id, (2, index), &mut bytes).ok_or(Trouble::Io)?;
            self.last = Some((index, Zeroizing::new(block.to_vec())));
        }
        Ok(self.last.as_ref().map(|(_, block)| block.as_slice()))
    }

    fn write_block(
        &mut self,
        id: &StagedId,
        index: u64,
        block: Zeroizing<Vec<u8>>,
    ) -> Result<(), Trouble> {
        self.last = None;
        self.changes = self.changes.saturating_add(1);
        let bytes = sealed(&self.key, id, (2, index), &block);
        self.file.write_all_at(&bytes, place(index))?;
        self.last = Some((index, block));
        Ok(())
    }

    fn write_head(&mut self, id: &StagedId) -> Result<(), Trouble> {
        self.head.number = self.head.number.saturating_add(1);
        let bytes = sealed(&self.key, id, (1, 0), &self.head.encode());
        let at = match self.head.number % 2 {
            0 => HEADS[0],
            _ => HEADS[1],
        };
        Ok(self.file.write_all_at(&bytes, at)?)
    }

    /// Its bytes are others now.
    fn touched(&mut self, id: &StagedId) -> Result<(), Trouble> {
        self.changes = self.changes.saturating_add(1);
        self.written = os::instant();
        self.settled = false;
        self.head.meta.modified = os::wall();
        self.write_head(id)
    }
}

fn read_up_to(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done: usize = 0;
    while let Some(room) = out.get_mut(done..).filter(|room| !room.is_empty()) {
        match file.read_at(room, at.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(more) => done = done.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads one from its beginning to its end.
pub(super) struct Whole<'a> {
    pub(super) staged: &'a Staged,
    pub(super) source: &'a Source,
    pub(super) at: u64,
    /// What went wrong.
    pub(super) trouble: Option<Trouble>,
}

impl Read for Whole<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.staged.read(self.source, self.at, out) {
            Ok(length) => {
                self.at = self.at.saturating_add(length as u64);
                Ok(length)
            }
            Err(trouble) => {
                self.trouble = Some(trouble);
                Err(io::Error::other("what was written cannot be read"))
            }
        }
    }
}
