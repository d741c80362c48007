//! The bytes of a file that is written to, sealed on this machine's disk.
//!
//! ```text
//!   file  = head (at 0) ‖ head (at 512) ‖ spare (at 4096) ‖ block 0 ‖ block 0 ‖ block 1 ‖ block 1 ... (from 73728 on)
//!   head  = nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ 01 ‖ BE8(0), what it says)
//!   block = begin ‖ AES-256-GCM(key, nonce, name ‖ 02 ‖ BE8(index) ‖ BE8(turn), 64 KiB)
//!   begin = nonce 12 ‖ BE8(turn) ‖ BE8(not turn)
//!   spare = BE8(index) ‖ block
//! ```
//!
//! A block has two places, and what counts is what opens of the highest turn. What was waited for (`sync`) is not written
//! over before what comes after it was waited for as well: so a loss of power, after which any sector may be as it was or as
//! it was to be, leaves the one or the other.
//!
//! | killed, or no room | |
//! |---|---|
//! | the block on the disk was waited for | the other place is written; its begin comes last |
//! | it was not | it is written to the spare place first, and then over itself |
//! | heads | are written in turns, so that one of them stands while the other is written |
//!
//! No head and no begin lies in two sectors, so that it is written or not: one that is there and does not open, or whose
//! turns differ, was spoilt, and what it said is not known. The file is never shorter than `BLOCKS`, nor than a head says
//! that it was: one that is was cut. After a loss of power it is as long as it was when it was last waited for, or longer.

use super::head::{HEAD, Head, Wrote};
use super::staged::StagedId;
use super::trouble::Trouble;
use crate::os;
use keys::GcmKey;
use seal::vault::Keyring;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes that are sealed together.
pub(super) const BLOCK: usize = 64 * 1024;
const NONCE: usize = 12;
const AROUND: usize = NONCE + keys::TAG_LEN;
/// Nonce, and the turn twice.
const BEGIN: usize = NONCE + 16;
const SEALED: usize = BLOCK + BEGIN + keys::TAG_LEN;
const HEADS: [u64; 2] = [0, 512];
const SPARE: u64 = 4096;
const INDEX: usize = 8;
const BLOCKS: u64 = 73_728;
/// From one place to the next: no begin lies in two sectors, so that all of it is written or nothing.
const STEP: u64 = 65_600;
const _: () = assert!(STEP.is_multiple_of(32) && STEP >= SEALED as u64 && BEGIN <= 32);
/// Whoever opens a file goes on so many turns behind the one that its head says.
const TURNS: u64 = 1 << 32;
/// The turn of what the disk spoilt: nobody knows what it took the place of.
const SPOILT: u64 = u64::MAX;

/// The blocks of a file.
pub(super) struct Blocks {
    id: StagedId,
    key: GcmKey,
    file: File,
    /// The directory, until its entry of the file is on the disk.
    fresh: Option<PathBuf>,
    wrote: Wrote,
    /// Blocks of which what counts was not waited for.
    unsynced: HashSet<u64>,
    /// The block that was read or written last.
    last: Option<(u64, Zeroizing<Vec<u8>>)>,
    /// The block in the spare place, and its turn.
    spare: Option<(u64, u64)>,
    /// That block counts, and is nowhere else; where it belongs.
    torn: Option<(u64, u64)>,
    #[cfg(test)]
    pub(super) disk: tests::Disk,
}

/// A place of a block, with what is in it.
#[derive(Clone, Copy)]
struct Place {
    at: u64,
    turn: u64,
    spare: bool,
}

/// What counts of a block.
struct Found {
    place: Place,
    block: Zeroizing<Vec<u8>>,
}

fn place(index: u64, second: bool) -> u64 {
    let number = index.saturating_mul(2).saturating_add(u64::from(second));
    BLOCKS.saturating_add(number.saturating_mul(STEP))
}

/// The place of a block that does not have the newest one.
fn beside(index: u64, newest: Option<u64>) -> u64 {
    place(index, newest == Some(place(index, false)))
}

const SPARE_BLOCK: u64 = SPARE + INDEX as u64;

impl Blocks {
    /// Begins, in a directory.
    pub(super) fn create(directory: &Path, keys: &Keyring, id: StagedId) -> Result<Self, Trouble> {
        let key = id.key(keys)?;
        let file = os::open_part(&id.path(directory))?;
        file.set_len(BLOCKS)?;
        let mut blocks = Self::with(id, key, file);
        blocks.fresh = Some(directory.to_owned());
        blocks.wrote.boot = os::boot();
        Ok(blocks)
    }

    /// Those that another process began, and what it said of them last. Nothing: that is damaged, or the file was cut.
    pub(super) fn open(
        directory: &Path,
        keys: &Keyring,
        id: StagedId,
    ) -> Result<(Self, Option<Head>), Trouble> {
        Self::open_at(directory, keys, id, os::boot())
    }

    pub(super) fn open_at(
        directory: &Path,
        keys: &Keyring,
        id: StagedId,
        boot: [u8; 16],
    ) -> Result<(Self, Option<Head>), Trouble> {
        let key = id.key(keys)?;
        let file = os::reopen_part(&id.path(directory))?.ok_or(Trouble::NotFound)?;
        let mut blocks = Self::with(id, key, file);
        let Some(mut head) = blocks.newest_head(boot)? else {
            return Ok((blocks, None));
        };
        blocks.wrote = head.wrote;
        blocks.spare = blocks.begin_of_spare()?;
        if head.wrote.was_lost(boot) {
            blocks.forget_half()?;
        }
        blocks.wrote = Wrote {
            turn: (head.wrote.turn | (TURNS - 1)).saturating_add(1),
            boot,
            ..head.wrote
        };
        // No turn is taken twice, whoever is killed next; and nothing is written over that may yet be lost.
        blocks.write_head(&mut head)?;
        blocks.wait()?;
        blocks.wrote.kept = os::length_of(&blocks.file)?;
        blocks.torn = blocks.find_torn();
        Ok((blocks, Some(head)))
    }

    fn with(id: StagedId, key: GcmKey, file: File) -> Self {
        Self {
            id,
            key,
            file,
            fresh: None,
            wrote: Wrote::default(),
            unsynced: HashSet::new(),
            last: None,
            spare: None,
            torn: None,
            #[cfg(test)]
            disk: tests::Disk::default(),
        }
    }

    /// What was said last. Nothing: that is damaged, or the file was cut since.
    fn newest_head(&self, boot: [u8; 16]) -> Result<Option<Head>, Trouble> {
        let mut newest: Option<Head> = None;
        for at in HEADS {
            let Some(said) = self.head(at) else {
                return Ok(None);
            };
            newest = match (newest, said) {
                (Some(one), Some(other)) if one.number > other.number => Some(one),
                (one, other) => other.or(one),
            };
        }
        let length = os::length_of(&self.file)?;
        // SECURITY: what is cut off would be read as what was written over, or as zeros;
        // `no_flip_and_no_cut_is_read_as_something_else` notices.
        Ok(newest.filter(|head| {
            let (said, least) = match head.wrote.was_lost(boot) {
                true => (head.wrote.kept, 0),
                false => (head.wrote.length, BLOCKS),
            };
            length >= said.max(least)
        }))
    }

    /// The head at a place, if one was written there. Nothing: it does not open.
    fn head(&self, at: u64) -> Option<Option<Head>> {
        let mut sealed = [0; HEAD + AROUND];
        self.file.read_exact_at(&mut sealed, at).ok()?;
        if sealed == [0; HEAD + AROUND] {
            return Some(None);
        }
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>()?;
        Head::decode(self.opened(nonce, (1, 0, 0), rest)?).map(Some)
    }

    pub(super) fn write_head(&mut self, head: &mut Head) -> Result<(), Trouble> {
        // What lies behind its end is cut off next.
        let end = place(head.size.div_ceil(BLOCK as u64), false);
        let next = Head {
            number: head.number.saturating_add(1),
            wrote: Wrote {
                length: os::length_of(&self.file)?.min(end),
                kept: self.wrote.kept.min(end),
                ..self.wrote
            },
            ..*head
        };
        let nonce: [u8; NONCE] = os::random();
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&self.sealed(&nonce, (1, 0, 0), &next.encode()));
        let at = match next.number % 2 {
            0 => HEADS[0],
            _ => HEADS[1],
        };
        self.put(&bytes, at)?;
        // The same place is taken again where that failed: the other one is whole.
        *head = next;
        Ok(())
    }

    /// The turn of what is at a place. Nothing: no block is there.
    fn turn_at(&self, at: u64) -> Result<Option<u64>, Trouble> {
        let mut begin = [0; BEGIN];
        // A disk that does not read spoilt what was written.
        read_up_to(&self.file, &mut begin, at).map_err(|_| Trouble::Damaged)?;
        if begin == [0; BEGIN] {
            return Ok(None);
        }
        let turn = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap_or([0; 8]));
        let (one, other) = begin.split_at(NONCE).1.split_at(8);
        // SECURITY: the turn says which place counts, before anything is opened;
        // `no_flip_and_no_cut_is_read_as_something_else` notices.
        Ok(Some(match turn(one) == !turn(other) {
            true => turn(one),
            false => SPOILT,
        }))
    }

    fn begin_of_spare(&self) -> Result<Option<(u64, u64)>, Trouble> {
        let mut index = [0; INDEX];
        read_up_to(&self.file, &mut index, SPARE).map_err(|_| Trouble::Damaged)?;
        let turn = self.turn_at(SPARE_BLOCK)?;
        Ok(turn.map(|turn| (u64::from_be_bytes(index), turn)))
    }

    /// What stands at a place of a block, if it opens.
    fn read(&self, index: u64, place: Place) -> Result<Option<Zeroizing<Vec<u8>>>, Trouble> {
        let mut bytes = Zeroizing::new(vec![0; SEALED]);
        let got = read_up_to(&self.file, &mut bytes, place.at).map_err(|_| Trouble::Damaged)?;
        let Some((nonce, rest)) = bytes.split_first_chunk_mut::<NONCE>() else {
            return Ok(None);
        };
        let sealed = rest.get_mut(BEGIN.saturating_sub(NONCE)..);
        let sealed = sealed.unwrap_or_default();
        let opened = self.opened(nonce, (2, index, place.turn), sealed);
        let opened = opened.filter(|_| got == SEALED);
        Ok(opened.map(|block| Zeroizing::new(block.to_vec())))
    }

    /// Where a block may be, of the highest turn first.
    fn places(&self, index: u64) -> Result<Vec<Place>, Trouble> {
        let mut places = Vec::with_capacity(3);
        for second in [false, true] {
            let at = place(index, second);
            if let Some(turn) = self.turn_at(at)? {
                let spare = false;
                places.push(Place { at, turn, spare });
            }
        }
        if let Some((_, turn)) = self.spare.filter(|(spared, _)| *spared == index) {
            places.push(Place {
                at: SPARE_BLOCK,
                turn,
                spare: true,
            });
        }
        places.sort_by_key(|place| Reverse(place.turn));
        Ok(places)
    }

    /// What counts of a block. Nothing: it was not written.
    fn find(&self, index: u64) -> Result<Option<Found>, Trouble> {
        let mut newest = 0;
        for place in self.places(index)? {
            if let Some(block) = self.read(index, place)? {
                // SECURITY: the disk may hold other bytes than were written; `what_waits_on_a_disk_cannot_be_changed`
                // notices. What was to come into the spare place is still where it was.
                return match newest > place.turn {
                    true => Err(Trouble::Damaged),
                    false => Ok(Some(Found { place, block })),
                };
            }
            if !place.spare {
                newest = newest.max(place.turn);
            }
        }
        match newest {
            0 => Ok(None),
            _ => Err(Trouble::Damaged),
        }
    }

    /// After a loss of power: what was not waited for and is there by half was never written.
    fn forget_half(&mut self) -> Result<(), Trouble> {
        let mut index: u64 = 0;
        while let Some(there) = self.written_from(place(index, false))? {
            index = index.max(there.saturating_sub(BLOCKS) / (2 * STEP));
            for place in self.places(index)? {
                let late = place.turn > self.wrote.synced && place.turn != SPOILT;
                if late && self.read(index, place)?.is_none() {
                    self.put(&[0; BEGIN], place.at)?;
                    if place.spare {
                        self.spare = None;
                    }
                }
            }
            index = index.saturating_add(1);
        }
        self.wait()
    }

    /// From where on something is written, not before `at`.
    fn written_from(&self, at: u64) -> Result<Option<u64>, Trouble> {
        if at >= os::length_of(&self.file)? {
            return Ok(None);
        }
        Ok(os::data_from(&self.file, at)?)
    }

    /// The block in the spare place, if it is the one that counts.
    fn find_torn(&self) -> Option<(u64, u64)> {
        let (index, _) = self.spare?;
        let found = self.find(index).ok().flatten();
        found.filter(|found| found.place.spare)?;
        let newest = self.newest_place(index).ok()?;
        Some((index, beside(index, newest)))
    }

    /// Whether a block was written.
    pub(super) fn has(&self, index: u64) -> Result<bool, Trouble> {
        Ok(!self.places(index)?.is_empty())
    }

    /// A block that was written. Nothing: it was not.
    pub(super) fn block(&mut self, index: u64) -> Result<Option<&[u8]>, Trouble> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            match self.find(index)? {
                None => return Ok(None),
                Some(found) => self.last = Some((index, found.block)),
            }
        }
        Ok(self.last.as_ref().map(|(_, block)| block.as_slice()))
    }

    pub(super) fn write(&mut self, index: u64, block: Zeroizing<Vec<u8>>) -> Result<(), Trouble> {
        self.last = None;
        self.mend()?;
        self.wrote.turn = self.wrote.turn.saturating_add(1);
        let turn = self.wrote.turn;
        let bytes = self.sealed_block((index, turn), &block);
        // What cannot be read any more is written over.
        let newest = self.newest_place(index)?;
        let mut spoilt = self.places(index)?;
        spoilt.retain(|place| place.turn == SPOILT && !place.spare);
        match newest.filter(|_| self.unsynced.contains(&index)) {
            Some(at) => {
                self.spare = None;
                self.put(&[&index.to_be_bytes()[..], &bytes].concat(), SPARE)?;
                (self.spare, self.torn) = (Some((index, turn)), Some((index, at)));
                self.put(&bytes, at)?;
                self.torn = None;
            }
            None => {
                self.put_begin_last(&bytes, beside(index, newest))?;
                self.unsynced.insert(index);
            }
        }
        for place in spoilt {
            if self.turn_at(place.at)? == Some(SPOILT) {
                self.put(&[0; BEGIN], place.at)?;
            }
        }
        self.last = Some((index, block));
        Ok(())
    }

    /// Where the newest one is that opens, of the two places of a block.
    fn newest_place(&self, index: u64) -> Result<Option<u64>, Trouble> {
        for place in self.places(index)? {
            if !place.spare && self.read(index, place)?.is_some() {
                return Ok(Some(place.at));
            }
        }
        Ok(None)
    }

    /// Writes a block over what counts no more: it is not there before all of it is.
    fn put_begin_last(&self, bytes: &[u8], at: u64) -> Result<(), Trouble> {
        let (begin, rest) = bytes.split_at(BEGIN.min(bytes.len()));
        self.put(rest, at.saturating_add(BEGIN as u64))?;
        self.put(begin, at)
    }

    /// All that is written goes through here.
    fn put(&self, bytes: &[u8], at: u64) -> Result<(), Trouble> {
        #[cfg(test)]
        if let Some(there) = self.disk.takes(bytes, at) {
            self.file.write_all_at(there, at)?;
            return Err(Trouble::NoRoom);
        }
        Ok(self.file.write_all_at(bytes, at)?)
    }

    fn wait(&self) -> Result<(), Trouble> {
        self.file.sync_data()?;
        #[cfg(test)]
        self.disk.waited(&self.file);
        Ok(())
    }

    /// Puts the block that counts and is in the spare place alone where it belongs.
    fn mend(&mut self) -> Result<(), Trouble> {
        if let Some((index, at)) = self.torn {
            let mut spare = vec![0; SEALED];
            self.file.read_exact_at(&mut spare, SPARE_BLOCK)?;
            self.put_begin_last(&spare, at)?;
            self.unsynced.insert(index);
            self.torn = None;
        }
        Ok(())
    }

    /// Whether there are blocks from one on.
    pub(super) fn reaches(&self, from: u64) -> Result<bool, Trouble> {
        Ok(place(from, false) < os::length_of(&self.file)?)
    }

    /// Takes away all blocks from one on, on the disk: what is written behind the end later never meets them.
    pub(super) fn cut(&mut self, from: u64) -> Result<(), Trouble> {
        self.last = None;
        if self.torn.is_some_and(|(torn, _)| torn >= from) {
            self.torn = None;
        }
        self.mend()?;
        if self.spare.is_some_and(|(index, _)| index >= from) {
            self.put(&[0; BEGIN], SPARE_BLOCK)?;
            self.spare = None;
        }
        if self.reaches(from)? {
            let end = place(from, false);
            #[cfg(test)]
            self.disk.cut(end);
            self.file.set_len(end)?;
        }
        self.unsynced.retain(|index| *index < from);
        self.wait()?;
        self.wrote.kept = os::length_of(&self.file)?;
        Ok(())
    }

    /// Waits until it is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), Trouble> {
        // What stays in the spare place alone is gone with the next block that is written there.
        self.mend()?;
        self.wait()?;
        if let Some(directory) = self.fresh.take()
            && let Err(error) = os::sync_entries(&directory)
        {
            self.fresh = Some(directory);
            return Err(error.into());
        }
        self.unsynced.clear();
        self.wrote.synced = self.wrote.turn;
        self.wrote.kept = os::length_of(&self.file)?;
        Ok(())
    }

    fn about(&self, (kind, index, turn): (u8, u64, u64)) -> Vec<u8> {
        let mut about = [&self.id.name[..], &[kind], &index.to_be_bytes()].concat();
        if kind == 2 {
            about.extend_from_slice(&turn.to_be_bytes());
        }
        about
    }

    fn opened<'a>(
        &self,
        nonce: &[u8; NONCE],
        what: (u8, u64, u64),
        sealed: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let opened = self
            .key
            .open_in_place(nonce, &self.about(what), sealed)
            .ok()?;
        Some(opened)
    }

    fn sealed(&self, nonce: &[u8; NONCE], what: (u8, u64, u64), plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len().saturating_add(AROUND));
        out.extend_from_slice(plain);
        let about = self.about(what);
        let tag = self.key.seal_separate_tag(nonce, &about, &mut out);
        out.extend_from_slice(&tag);
        out
    }

    fn sealed_block(&self, (index, turn): (u64, u64), block: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = os::random();
        let sealed = self.sealed(&nonce, (2, index, turn), block);
        let turns = [turn, !turn].map(u64::to_be_bytes).concat();
        [&nonce[..], &turns, &sealed].concat()
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
