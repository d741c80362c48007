//! The bytes of a file that is written to, sealed on this machine's disk.
//!
//! ```text
//!   file  = head (at 0) ‖ head (at 512) ‖ spare (at 4096) ‖ block 0 (at 73728) ‖ block 1 (at 73728 + 65568) ...
//!   head  = nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ 01 ‖ BE8(0),
//!                                  BE8(number) ‖ BE8(size) ‖ BE8(below) ‖ mode ‖ time ‖ BE8(blocks))
//!   block = nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ 02 ‖ BE8(index), 64 KiB)
//!   spare = BE8(index) ‖ block
//! ```
//!
//! Whoever is killed, or finds no room, leaves what was there before or what was to be there. Heads are written in turns,
//! so that one of them stands while the other is written; none lies in two sectors, so that it is written or not. One that
//! is there and does not open was spoilt, and what it said is not known. A block that is written over is written to the spare
//! place first; one that was not there gets its nonce last, and is not there without it. The file is never shorter than
//! `BLOCKS`, nor than the blocks that a head counts: one that is was cut.

use super::staged::StagedId;
use super::trouble::Trouble;
use crate::os;
use keys::GcmKey;
use keys::codec::{Reader, Writer};
use seal::vault::{Keyring, Meta};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes that are sealed together.
pub(super) const BLOCK: usize = 64 * 1024;
const NONCE: usize = 12;
const AROUND: usize = NONCE + keys::TAG_LEN;
const SEALED: usize = BLOCK + AROUND;
const HEADS: [u64; 2] = [0, 512];
const HEAD: usize = 46;
const SPARE: u64 = 4096;
const INDEX: usize = 8;
const BLOCKS: u64 = 73_728;
/// From one block to the next: no nonce lies in two pages, so that all of it is written or nothing.
const STEP: u64 = 65_568;

/// What a file is besides its bytes.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) size: u64,
    /// As far as the version that is written over counts.
    pub(super) below: u64,
    pub(super) meta: Meta,
}

/// A head, and how many blocks have room in a file that is as long as it was then.
type Said = (Head, u64);

impl Head {
    fn encode(&self, blocks: u64) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.number);
        out.u64(self.size);
        out.u64(self.below);
        out.u16(self.meta.mode);
        out.array(&self.meta.modified.0.to_be_bytes());
        out.u32(self.meta.modified.1);
        out.u64(blocks);
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Said> {
        let mut input = Reader::new(bytes);
        let head = Self {
            number: input.u64().ok()?,
            size: input.u64().ok()?,
            below: input.u64().ok()?,
            meta: Meta {
                mode: input.u16().ok()?,
                modified: (i64::from_be_bytes(input.array().ok()?), input.u32().ok()?),
            },
        };
        let blocks = input.u64().ok()?;
        input.finish().ok()?;
        Some((head, blocks))
    }
}

/// Whether bytes are a head, which is written as the same bytes again.
#[cfg(any(test, feature = "conformance"))]
pub(super) fn is_head(bytes: &[u8]) -> Option<bool> {
    let (head, blocks) = Head::decode(bytes)?;
    Some(head.encode(blocks) == bytes)
}

/// The blocks of a file.
pub(super) struct Blocks {
    id: StagedId,
    key: GcmKey,
    file: File,
    /// The block that was read or written last.
    last: Option<(u64, Zeroizing<Vec<u8>>)>,
    /// The block that is whole in the spare place alone.
    torn: Option<u64>,
    /// Bytes for which the disk has room.
    #[cfg(test)]
    pub(super) room: std::cell::Cell<Option<usize>>,
}

/// What is at a place.
enum There {
    Nothing,
    /// What does not open.
    Torn,
    Block(Zeroizing<Vec<u8>>),
}

fn place(index: u64) -> u64 {
    BLOCKS.saturating_add(index.saturating_mul(STEP))
}

impl Blocks {
    /// Begins, in a directory.
    pub(super) fn create(directory: &Path, keys: &Keyring, id: StagedId) -> Result<Self, Trouble> {
        let key = id.key(keys)?;
        let file = os::open_part(&id.path(directory))?;
        file.set_len(BLOCKS)?;
        Ok(Self::with(id, key, file))
    }

    /// Those that another process began, and what it said of them last. Nothing was said: that is damaged.
    pub(super) fn open(
        directory: &Path,
        keys: &Keyring,
        id: StagedId,
    ) -> Result<(Self, Option<Head>), Trouble> {
        let key = id.key(keys)?;
        let file = os::reopen_part(&id.path(directory))?.ok_or(Trouble::NotFound)?;
        let mut blocks = Self::with(id, key, file);
        let head = blocks.newest_head();
        blocks.torn = blocks.find_torn();
        Ok((blocks, head))
    }

    /// What was said last. Nothing: that is damaged, or the file was cut since.
    fn newest_head(&self) -> Option<Head> {
        let mut newest: Option<Said> = None;
        for at in HEADS {
            let said = self.head(at)?;
            newest = match (newest, said) {
                (Some(one), Some(other)) if one.0.number > other.0.number => Some(one),
                (one, other) => other.or(one),
            };
        }
        let (head, blocks) = newest?;
        // SECURITY: what is cut off would be read as what was written over, or as zeros;
        // `no_flip_and_no_cut_is_read_as_something_else` notices.
        (self.room_for().ok()? >= blocks).then_some(head)
    }

    /// Blocks that have room in the file as long as it is.
    fn room_for(&self) -> Result<u64, Trouble> {
        let length = os::length_of(&self.file)?;
        let more = length.checked_sub(BLOCKS).ok_or(Trouble::Damaged)?;
        let between = STEP.saturating_sub(SEALED as u64);
        Ok(more.saturating_add(between) / STEP)
    }

    fn with(id: StagedId, key: GcmKey, file: File) -> Self {
        Self {
            id,
            key,
            file,
            last: None,
            torn: None,
            #[cfg(test)]
            room: std::cell::Cell::default(),
        }
    }

    /// The head at a place, if one was written there. Nothing: it does not open.
    fn head(&self, at: u64) -> Option<Option<Said>> {
        let mut sealed = [0; HEAD + AROUND];
        self.file.read_exact_at(&mut sealed, at).ok()?;
        if sealed == [0; HEAD + AROUND] {
            return Some(None);
        }
        Head::decode(self.opened((1, 0), &mut sealed)?).map(Some)
    }

    pub(super) fn write_head(&mut self, head: &mut Head) -> Result<(), Trouble> {
        let next = Head {
            number: head.number.saturating_add(1),
            ..*head
        };
        // What lies behind its end is cut off next.
        let blocks = self.room_for()?.min(next.size.div_ceil(BLOCK as u64));
        let bytes = self.sealed((1, 0), &next.encode(blocks));
        let at = match next.number % 2 {
            0 => HEADS[0],
            _ => HEADS[1],
        };
        self.put(&bytes, at)?;
        // The same place is taken again where that failed: the other one is whole.
        *head = next;
        Ok(())
    }

    /// The block in the spare place, if it was to be written over one that is not the same.
    fn find_torn(&self) -> Option<u64> {
        let mut index = [0; INDEX];
        self.file.read_exact_at(&mut index, SPARE).ok()?;
        let index = u64::from_be_bytes(index);
        let spare = SPARE.saturating_add(INDEX as u64);
        let nonce = |at| {
            let mut nonce = [0; NONCE];
            self.file.read_exact_at(&mut nonce, at).map(|()| nonce)
        };
        // What is not there was cut off since.
        let there = nonce(place(index))
            .ok()
            .filter(|nonce| *nonce != [0; NONCE])?;
        let newer = nonce(spare).ok()? != there
            || matches!(self.read(index, place(index)), Ok(There::Torn));
        let whole = || matches!(self.read(index, spare), Ok(There::Block(_)));
        (newer && whole()).then_some(index)
    }

    fn read(&self, index: u64, at: u64) -> Result<There, Trouble> {
        let mut bytes = Zeroizing::new(vec![0; SEALED]);
        // A disk that does not read spoilt what was written.
        let got = read_up_to(&self.file, &mut bytes, at).map_err(|_| Trouble::Damaged)?;
        if bytes.iter().take(NONCE).all(|byte| *byte == 0) {
            return Ok(There::Nothing);
        }
        // SECURITY: the disk may hold other bytes than were written; `what_waits_on_a_disk_cannot_be_changed`
        // notices.
        let opened = self.opened((2, index), &mut bytes);
        Ok(match opened.filter(|_| got == SEALED) {
            Some(block) => There::Block(Zeroizing::new(block.to_vec())),
            None => There::Torn,
        })
    }

    /// Whether a block was written.
    pub(super) fn has(&self, index: u64) -> Result<bool, Trouble> {
        self.is_there(place(index))
    }

    /// A block that was written. Nothing: it was not.
    pub(super) fn block(&mut self, index: u64) -> Result<Option<&[u8]>, Trouble> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            let at = match self.torn == Some(index) {
                true => SPARE.saturating_add(INDEX as u64),
                false => place(index),
            };
            match self.read(index, at)? {
                There::Nothing => return Ok(None),
                There::Torn => return Err(Trouble::Damaged),
                There::Block(block) => self.last = Some((index, block)),
            }
        }
        Ok(self.last.as_ref().map(|(_, block)| block.as_slice()))
    }

    pub(super) fn write(&mut self, index: u64, block: Zeroizing<Vec<u8>>) -> Result<(), Trouble> {
        self.last = None;
        self.mend()?;
        let bytes = self.sealed((2, index), &block);
        let at = place(index);
        if self.is_there(at)? {
            let spare = [&index.to_be_bytes()[..], &bytes].concat();
            self.put(&spare, SPARE)?;
            self.torn = Some(index);
            self.put(&bytes, at)?;
            self.torn = None;
        } else {
            let (nonce, rest) = bytes.split_at(NONCE);
            self.put(rest, at.saturating_add(NONCE as u64))?;
            self.put(nonce, at)?;
        }
        self.last = Some((index, block));
        Ok(())
    }

    fn is_there(&self, at: u64) -> Result<bool, Trouble> {
        let mut nonce = [0; NONCE];
        read_up_to(&self.file, &mut nonce, at)?;
        Ok(nonce != [0; NONCE])
    }

    /// All that is written goes through here.
    fn put(&self, bytes: &[u8], at: u64) -> Result<(), Trouble> {
        #[cfg(test)]
        if let Some(room) = self.room.get() {
            // What lies in one sector is written as a whole.
            let there = match bytes.len() <= HEAD + AROUND && room < bytes.len() {
                true => 0,
                false => room.min(bytes.len()),
            };
            let there = bytes.get(..there).unwrap_or_default();
            self.file.write_all_at(there, at)?;
            self.room.set(Some(room.saturating_sub(there.len())));
            return match there.len() < bytes.len() {
                true => Err(Trouble::NoRoom),
                false => Ok(()),
            };
        }
        Ok(self.file.write_all_at(bytes, at)?)
    }

    /// Puts the block that is whole in the spare place alone where it belongs.
    fn mend(&mut self) -> Result<(), Trouble> {
        if let Some(index) = self.torn {
            let mut spare = vec![0; SEALED];
            self.file
                .read_exact_at(&mut spare, SPARE.saturating_add(INDEX as u64))?;
            self.put(&spare, place(index))?;
            self.torn = None;
        }
        Ok(())
    }

    /// Takes away all blocks from one on.
    pub(super) fn cut(&mut self, from: u64) -> Result<(), Trouble> {
        self.last = None;
        if self.torn.is_some_and(|torn| torn >= from) {
            self.torn = None;
        }
        self.mend()?;
        // A block that is written anew in its place is not the one that was written over before.
        let spare = SPARE.saturating_add(INDEX as u64);
        if self.is_there(spare)? {
            self.put(&[0; NONCE], spare)?;
        }
        if place(from) < os::length_of(&self.file)? {
            self.file.set_len(place(from))?;
        }
        Ok(())
    }

    /// Waits until it is on the disk.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        Ok(self.file.sync_data()?)
    }

    fn about(&self, (kind, index): (u8, u64)) -> [u8; 25] {
        let mut about = [0; 25];
        let parts = self.id.name.iter().chain([&kind]).copied();
        let all = parts.chain(index.to_be_bytes());
        about.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        about
    }

    fn opened<'a>(&self, what: (u8, u64), sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>()?;
        let about = self.about(what);
        let opened = self.key.open_in_place(nonce, &about, rest).ok()?;
        Some(opened)
    }

    fn sealed(&self, what: (u8, u64), plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = os::random();
        let mut out = Vec::with_capacity(plain.len().saturating_add(AROUND));
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = match out.get_mut(nonce.len()..) {
            Some(inside) => self
                .key
                .seal_separate_tag(&nonce, &self.about(what), inside),
            None => [0; keys::TAG_LEN],
        };
        out.extend_from_slice(&tag);
        out
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

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
