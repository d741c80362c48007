#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test code"
)]

use super::*;
use keys::{GroupId, Secret};
use seal::vault::Meta;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// What the disk below a file does.
#[derive(Default)]
pub(in super::super) struct Disk {
    /// Bytes for which it has room.
    pub(in super::super) room: Cell<Option<usize>>,
    /// What was written, since each time that it was waited for.
    epochs: RefCell<Vec<Epoch>>,
}

/// What may be lost, and what not.
#[derive(Default, Clone)]
struct Epoch {
    durable: Vec<u8>,
    done: Vec<Done>,
}

#[derive(Clone)]
enum Done {
    Put(u64, Vec<u8>),
    Cut(u64),
    /// What a block is to be filled with; zero: it is not there.
    Said(u64, u8),
}

impl Disk {
    /// What there is room for, where that is not all.
    pub(super) fn takes<'a>(&self, bytes: &'a [u8], at: u64) -> Option<&'a [u8]> {
        let room = self.room.get().unwrap_or(usize::MAX);
        // What lies in the first sector is written as a whole.
        let first = bytes.len().min(512 - usize::try_from(at % 512).unwrap());
        let there = match room < first {
            true => 0,
            false => room.min(bytes.len()),
        };
        self.room.set(self.room.get().map(|room| room - there));
        self.done(Done::Put(at, bytes[..there].to_vec()));
        (there < bytes.len()).then_some(&bytes[..there])
    }

    pub(super) fn cut(&self, end: u64) {
        self.done(Done::Cut(end));
    }

    pub(super) fn waited(&self, file: &File) {
        if !self.epochs.borrow().is_empty() {
            self.watch(file);
        }
    }

    /// From now on all is written down.
    fn watch(&self, file: &File) {
        let mut durable = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut durable, 0).unwrap();
        let done = Vec::new();
        self.epochs.borrow_mut().push(Epoch { durable, done });
    }

    fn done(&self, done: Done) {
        if let Some(epoch) = self.epochs.borrow_mut().last_mut() {
            epoch.done.push(done);
        }
    }
}

/// Some number for others.
fn chance(of: u64, and: u64) -> u64 {
    let mut x = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ and.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 32)
}

impl Epoch {
    /// What a disk may have that lost power after so much was done: each sector as it was at some moment, or each write as a
    /// whole or not at all.
    fn lost(&self, done: usize, seed: u64) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let moments = done as u64 + 1;
        let is_there = |number: usize, sector: u64| match seed % 2 {
            0 => (number as u64) < chance(seed, sector) % moments,
            _ => !chance(seed, number as u64).is_multiple_of(3),
        };
        for (number, one) in self.done[..done].iter().enumerate() {
            match one {
                Done::Put(at, put) => {
                    let mut at = usize::try_from(*at).unwrap();
                    let mut left = &put[..];
                    while !left.is_empty() {
                        let (sector, rest) = left.split_at(left.len().min(512 - at % 512));
                        if is_there(number, at as u64 / 512) {
                            let end = at + sector.len();
                            bytes.resize(bytes.len().max(end), 0);
                            bytes[at..end].copy_from_slice(sector);
                        }
                        at += sector.len();
                        left = rest;
                    }
                }
                Done::Cut(end) if is_there(number, 1 << 40) => {
                    bytes.truncate(usize::try_from(*end).unwrap());
                }
                Done::Cut(_) | Done::Said(..) => {}
            }
        }
        bytes
    }
}

impl Blocks {
    /// From now on all that is written is written down.
    pub(in super::super) fn watch(&self) {
        self.disk.watch(&self.file);
    }

    /// What a disk may have that lost power at any moment since.
    pub(in super::super) fn losses(&self) -> Vec<Vec<u8>> {
        let epochs = self.disk.epochs.borrow();
        let all = epochs.iter().flat_map(|epoch| {
            let ends = 0..=epoch.done.len() as u64;
            ends.flat_map(move |end| {
                (0..6).map(move |more| epoch.lost(end as usize, end * 6 + more))
            })
        });
        all.collect()
    }
}

struct Home {
    directory: tempfile::TempDir,
    keys: Keyring,
    id: StagedId,
}

impl Home {
    fn new() -> Self {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let keys = Keyring::new(GroupId::from_bytes([2; 32]), [(1, &key)]).unwrap();
        let id = StagedId::new(&keys);
        // Thousands of waits: where there is memory that looks like a disk, these take no time.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let directory = directory.unwrap();
        Self {
            directory,
            keys,
            id,
        }
    }

    fn create(&self) -> Blocks {
        Blocks::create(self.directory.path(), &self.keys, self.id).unwrap()
    }

    /// With a head, as each file has it.
    fn begin(&self) -> Blocks {
        let mut blocks = self.create();
        blocks.write_head(&mut head(0)).unwrap();
        blocks
    }

    /// As another process finds it.
    fn open(&self) -> (Blocks, Option<Head>) {
        Blocks::open(self.directory.path(), &self.keys, self.id).unwrap()
    }

    /// After a loss of power.
    fn open_after(&self, bytes: &[u8]) -> Blocks {
        let path = self.id.path(self.directory.path());
        std::fs::write(path, bytes).unwrap();
        let found = Blocks::open_at(self.directory.path(), &self.keys, self.id, [7; 16]);
        let (blocks, head) = found.unwrap();
        assert!(head.is_some());
        blocks
    }
}

fn head(size: u64) -> Head {
    Head {
        number: 0,
        size,
        below: 0,
        meta: Meta::file(),
        wrote: Wrote::default(),
    }
}

fn filled(byte: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![byte; BLOCK])
}

/// What a block is filled with. Nothing: it is not there.
fn byte(blocks: &mut Blocks, index: u64) -> Option<u8> {
    let block = blocks.block(index).unwrap()?;
    assert!(block.iter().all(|byte| *byte == block[0]));
    Some(block[0])
}

/// After how many bytes the disk is full, or somebody is killed.
fn rooms() -> impl Iterator<Item = usize> {
    let spare = INDEX + SEALED;
    let odd = [0, 1, 8, 11, 12, 19, 20, 21, 4095, 4096, 30_000];
    let in_place = odd.into_iter().map(move |room| spare + room);
    let ends = [
        SEALED - 1,
        SEALED,
        spare - 1,
        spare + SEALED - 1,
        spare + SEALED,
    ];
    odd.into_iter().chain(in_place).chain(ends)
}

#[test]
fn a_block_that_is_written_over_is_the_old_or_the_new_one() {
    let mut came = [0; 2];
    for (room, synced) in rooms().flat_map(|room| [(room, false), (room, true)]) {
        let home = Home::new();
        let mut blocks = home.begin();
        blocks.write(3, filled(1)).unwrap();
        if synced {
            blocks.sync().unwrap();
        }
        blocks.disk.room.set(Some(room));
        let done = blocks.write(3, filled(2));
        blocks.disk.room.set(None);
        let there = byte(&mut blocks, 3).unwrap();
        assert!(there == 2 || (there == 1 && done.is_err()), "{room}");
        let (mut found, _) = home.open();
        assert_eq!(byte(&mut found, 3), Some(there), "{room}");
        came[usize::from(there) - 1] += 1;
        // Whoever goes on loses nothing.
        for blocks in [&mut blocks, &mut found] {
            blocks.write(3, filled(4)).unwrap();
            blocks.write(4, filled(5)).unwrap();
        }
        let (mut found, _) = home.open();
        assert_eq!([3, 4].map(|at| byte(&mut found, at)), [Some(4), Some(5)]);
    }
    assert!(came[0] > 2 && came[1] > 2, "{came:?}");
}

#[test]
fn a_block_that_was_not_there_is_there_as_a_whole() {
    for room in rooms().filter(|room| *room < SEALED) {
        let home = Home::new();
        let mut blocks = home.begin();
        blocks.write(9, filled(1)).unwrap();
        blocks.disk.room.set(Some(room));
        assert_eq!(blocks.write(3, filled(2)), Err(Trouble::NoRoom), "{room}");
        blocks.disk.room.set(None);
        assert_eq!(byte(&mut blocks, 3), None, "{room}");
        let (mut found, _) = home.open();
        assert_eq!(byte(&mut found, 3), None, "{room}");
        assert_eq!(byte(&mut found, 9), Some(1));
        blocks.write(3, filled(2)).unwrap();
        assert_eq!(byte(&mut home.open().0, 3), Some(2));
    }
}

/// While a block waits in the spare place for room, another one is written over only when that one is where it belongs.
#[test]
fn the_spare_place_is_taken_when_it_is_free() {
    let home = Home::new();
    let mut blocks = home.begin();
    blocks.write(0, filled(1)).unwrap();
    blocks.write(1, filled(2)).unwrap();
    blocks.disk.room.set(Some(INDEX + SEALED + 100));
    assert_eq!(blocks.write(0, filled(3)), Err(Trouble::NoRoom));
    assert_eq!(blocks.write(1, filled(4)), Err(Trouble::NoRoom));
    blocks.disk.room.set(None);
    assert_eq!(byte(&mut home.open().0, 0), Some(3));
    blocks.write(1, filled(4)).unwrap();
    let (mut found, _) = home.open();
    assert_eq!([0, 1].map(|at| byte(&mut found, at)), [Some(3), Some(4)]);
}

/// What was written over, cut off, written anew and spoilt then is not what it was once.
#[test]
fn what_was_cut_off_does_not_come_back() {
    let home = Home::new();
    let mut blocks = home.begin();
    for byte in [1, 2] {
        blocks.write(0, filled(byte)).unwrap();
    }
    blocks.cut(0).unwrap();
    assert_eq!(byte(&mut blocks, 0), None);
    blocks.write(0, filled(3)).unwrap();
    blocks
        .file
        .write_all_at(b"spoilt", place(0, false) + 100)
        .unwrap();
    assert_eq!(home.open().0.block(0), Err(Trouble::Damaged));
}

#[test]
fn one_head_is_whole_whatever_happens() {
    let sizes = |blocks: &mut Blocks, head: &mut Head, from: u64, room| {
        for size in from..from + 2 {
            blocks.disk.room.set(room);
            head.size = size;
            assert_eq!(blocks.write_head(head).is_ok(), room.is_none());
        }
    };
    for room in [0, 5, 40, 113] {
        let home = Home::new();
        let mut blocks = home.create();
        assert!(home.open().1.is_none());
        let mut head = head(0);
        sizes(&mut blocks, &mut head, 1, None);
        // Two that fail one after the other.
        sizes(&mut blocks, &mut head, 7, Some(room));
        assert_eq!(home.open().1.map(|head| head.size), Some(2));
        sizes(&mut blocks, &mut head, 8, None);
        assert_eq!(home.open().1.map(|head| head.size), Some(9));
    }
}

/// A file of three blocks that is written to: some of it is waited for, all of it is written down.
fn a_day(blocks: &mut Blocks) {
    blocks.watch();
    let mut head = head(0);
    let mut write = |blocks: &mut Blocks, index, byte| {
        blocks.disk.done(Done::Said(index, byte));
        blocks.write(index, filled(byte)).unwrap();
        head.size += 1;
        blocks.write_head(&mut head).unwrap();
    };
    for (index, byte) in [(0, 1), (1, 2), (0, 3)] {
        write(blocks, index, byte);
    }
    blocks.sync().unwrap();
    for (index, byte) in [(0, 4), (0, 5), (2, 6), (0, 7), (1, 8)] {
        write(blocks, index, byte);
    }
    blocks.sync().unwrap();
    // Now the other place is the one that was waited for.
    for (index, byte) in [(0, 9), (1, 10), (0, 11), (1, 12), (0, 13)] {
        write(blocks, index, byte);
    }
    blocks.sync().unwrap();
    for index in [1, 2] {
        blocks.disk.done(Done::Said(index, 0));
    }
    blocks.cut(1).unwrap();
    for (index, byte) in [(1, 14), (0, 15), (1, 16)] {
        write(blocks, index, byte);
    }
}

/// Wherever power is lost, and whatever of what nobody waited for is on the disk: what was waited for is there, or what
/// came after it, and nothing is damaged.
#[test]
fn a_loss_of_power_takes_nothing_that_was_waited_for() {
    let home = Home::new();
    let mut blocks = home.begin();
    blocks.sync().unwrap();
    a_day(&mut blocks);
    let epochs = blocks.disk.epochs.take();
    assert_eq!(epochs.len(), 5);
    let mut sure: BTreeMap<u64, u8> = BTreeMap::new();
    let (mut kept, mut lost) = (0, 0);
    for (epoch, seed) in epochs.iter().zip(1_u64..) {
        let mut may: BTreeMap<u64, BTreeSet<u8>> = BTreeMap::new();
        for end in 0..=epoch.done.len() {
            if let Some(Done::Said(index, byte)) = end.checked_sub(1).map(|last| &epoch.done[last])
            {
                may.entry(*index).or_default().insert(*byte);
            }
            for more in 0..4 {
                let after = epoch.lost(end, seed * 1000 + end as u64 * 10 + more);
                let mut found = home.open_after(&after);
                for index in 0..3 {
                    let there = byte(&mut found, index).unwrap_or(0);
                    let before = sure.get(&index).copied().unwrap_or(0);
                    let new = may.get(&index).is_some_and(|may| may.contains(&there));
                    assert!(there == before || new, "{seed} {end} {index}: {there}");
                    kept += u32::from(there == before);
                    lost += u32::from(there != before);
                }
                // Whoever goes on is disturbed by nothing that was left.
                if more == 0 {
                    for index in 0..3 {
                        found.write(index, filled(20)).unwrap();
                    }
                    found.sync().unwrap();
                    found.write_head(&mut head(1)).unwrap();
                    for index in 0..3 {
                        assert_eq!(byte(&mut found, index), Some(20));
                    }
                }
            }
        }
        for done in &epoch.done {
            if let Done::Said(index, byte) = done {
                sure.insert(*index, *byte);
            }
        }
    }
    assert!(kept > 300 && lost > 100, "{kept} {lost}");
}

/// A block for which there was room in the spare place alone, and which was waited for then, is not lost with what is written
/// there next.
#[test]
fn what_was_waited_for_in_the_spare_place_is_not_lost() {
    let home = Home::new();
    let mut blocks = home.begin();
    blocks.write(0, filled(1)).unwrap();
    blocks.sync().unwrap();
    blocks.write(0, filled(2)).unwrap();
    blocks.disk.room.set(Some(INDEX + SEALED + 1000));
    assert_eq!(blocks.write(0, filled(3)), Err(Trouble::NoRoom));
    // It is not said to be on the disk where it is not.
    assert_eq!(blocks.sync(), Err(Trouble::NoRoom));
    blocks.disk.room.set(None);
    blocks.sync().unwrap();
    blocks.write_head(&mut head(1)).unwrap();
    blocks.wait().unwrap();
    blocks.watch();
    for byte in [4, 5] {
        blocks.write(0, filled(byte)).unwrap();
    }
    let found = blocks.losses().into_iter().map(|after| {
        let mut found = home.open_after(&after);
        byte(&mut found, 0).unwrap()
    });
    let found: BTreeSet<u8> = found.collect();
    assert!(
        found.contains(&3) && found.is_subset(&[3, 4, 5].into()),
        "{found:?}"
    );
}

/// While the machine is up nothing is lost by half: what does not open was changed, or the disk spoilt it, and what it took
/// the place of is not shown for it.
#[test]
fn what_does_not_open_was_half_written_only_where_power_was_lost() {
    for (boot, synced) in [(false, false), (false, true), (true, false), (true, true)] {
        let home = Home::new();
        let mut blocks = home.begin();
        blocks.write(0, filled(1)).unwrap();
        blocks.sync().unwrap();
        for index in [0, 1] {
            blocks.write(index, filled(2)).unwrap();
        }
        if synced {
            blocks.sync().unwrap();
        }
        blocks.write_head(&mut head(1)).unwrap();
        for at in [place(0, true), place(1, false)] {
            blocks.file.write_all_at(b"spoilt", at + 100).unwrap();
        }
        let bytes = std::fs::read(home.id.path(home.directory.path())).unwrap();
        let mut found = match boot {
            true => home.open_after(&bytes),
            false => home.open().0,
        };
        if boot && !synced {
            assert_eq!([0, 1].map(|at| byte(&mut found, at)), [Some(1), None]);
        } else {
            for index in [0, 1] {
                let there = found.block(index).map(drop);
                assert_eq!(there, Err(Trouble::Damaged), "{boot} {synced}");
            }
        }
    }
}

/// Whoever is killed before the head says how far it was written is not mistaken for the next one.
#[test]
fn what_was_written_last_counts_whoever_wrote_it() {
    let home = Home::new();
    home.begin();
    for last in 1..9 {
        let (mut blocks, _) = home.open();
        blocks.write(0, filled(last)).unwrap();
        drop(blocks);
        assert_eq!(byte(&mut home.open().0, 0), Some(last));
    }
}

/// What a block is filled with, as another process finds it. Nothing: that it is damaged is told, here or when it is opened.
fn found(home: &Home, index: u64, boot: [u8; 16]) -> Option<Option<u8>> {
    let opened = Blocks::open_at(home.directory.path(), &home.keys, home.id, boot);
    let (mut blocks, head) = opened.unwrap();
    let head = head?;
    assert_eq!(
        (head.size, head.below),
        (200_000, 7),
        "what was said before"
    );
    match blocks.block(index) {
        Ok(block) => {
            let block = block.map(|block| {
                assert!(block.iter().all(|byte| *byte == block[0]));
                block[0]
            });
            Some(block)
        }
        Err(Trouble::Damaged) => None,
        Err(trouble) => panic!("{trouble}"),
    }
}

/// Four blocks: one is in the spare place as well, two have something older in their other place, one is not there. The
/// heads said something else before.
fn four_blocks() -> (Home, Vec<u8>) {
    let home = Home::new();
    let mut blocks = home.create();
    let mut head = head(1);
    blocks.write_head(&mut head).unwrap();
    for index in [0, 3] {
        blocks.write(index, filled(8)).unwrap();
    }
    blocks.sync().unwrap();
    for index in [0, 1, 3] {
        let byte = u8::try_from(index).unwrap() + 1;
        blocks.write(index, filled(byte)).unwrap();
    }
    blocks.write(1, filled(9)).unwrap();
    blocks.sync().unwrap();
    (head.size, head.below) = (200_000, 7);
    blocks.write_head(&mut head).unwrap();
    let whole = std::fs::read(home.id.path(home.directory.path())).unwrap();
    (home, whole)
}

/// Of what lies on the disk nothing is read but what was written last, or that it is damaged; be it that the machine was
/// started since, or not.
#[test]
fn no_flip_and_no_cut_is_read_as_something_else() {
    for boot in [os::boot(), [7; 16]] {
        let (home, whole) = four_blocks();
        no_cut(&home, &whole, boot);
        no_flip(&home, &whole, boot);
    }
}

/// Every cut around what ends somewhere, and a sample of the others.
fn no_cut(home: &Home, whole: &[u8], boot: [u8; 16]) {
    let path = home.id.path(home.directory.path());
    let end = whole.len();
    let edges = [0, 114, 512, 626, 4096, 73_728, end - SEALED, end];
    let near = edges
        .into_iter()
        .flat_map(|edge| edge.saturating_sub(40)..edge + 40);
    for cut in near.chain((0..end).step_by(4999)).filter(|cut| *cut < end) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (_, head) = Blocks::open_at(home.directory.path(), &home.keys, home.id, boot).unwrap();
        assert!(head.is_none(), "{cut}");
    }
}

/// Each bit of the heads, of what stands around blocks, and a sample of their bytes.
fn no_flip(home: &Home, whole: &[u8], boot: [u8; 16]) {
    let path = home.id.path(home.directory.path());
    let there = |index: u64, second: bool| usize::try_from(place(index, second)).unwrap();
    let heads = [0..HEAD + AROUND, 512..512 + HEAD + AROUND];
    let spare = usize::try_from(SPARE).unwrap();
    let around = |at: usize| (at..at + BEGIN).chain(at + SEALED - 20..at + SEALED);
    let block = |index, second| around(there(index, second)).chain([there(index, second) + 9973]);
    // Where something is changed, which block is looked at, and what may be found there.
    let mut places: Vec<(usize, u64, Option<u8>, bool)> = Vec::new();
    let mut add = |of: &mut dyn Iterator<Item = usize>, index, byte, told| {
        places.extend(of.map(|at| (at, index, byte, told)));
    };
    add(&mut heads.into_iter().flatten(), 1, None, true);
    // The spare place counts only where the block that it is of does not open.
    add(&mut (spare..spare + 8), 1, Some(9), false);
    add(&mut around(spare + 8), 1, Some(9), false);
    add(&mut block(1, false), 1, Some(9), true);
    // What was written before is not what was written last.
    add(&mut block(0, false), 0, Some(1), true);
    add(&mut block(3, false), 3, Some(4), true);
    add(&mut block(0, true), 0, None, true);
    add(&mut block(3, true), 3, None, true);
    std::fs::write(&path, whole).unwrap();
    let all = [0, 1, 2, 3].map(|index| found(home, index, boot));
    assert_eq!(all, [Some(1), Some(9), None, Some(4)].map(Some));
    let (mut seen, mut told) = (0, 0);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for (at, index, byte, may_be_told) in places {
        let mut bits = 0..8;
        if at >= BLOCKS as usize {
            bits = at as i32 % 8..at as i32 % 8 + 1;
        }
        for bit in bits {
            // Whoever opens it writes heads.
            file.write_all_at(&whole[..1024], 0).unwrap();
            file.write_all_at(&[whole[at] ^ (1 << bit)], at as u64)
                .unwrap();
            match found(home, index, boot) {
                None => {
                    assert!(may_be_told, "{at} {bit}");
                    told += 1;
                }
                read => {
                    assert_eq!(read, byte.map(Some), "{at} {bit}");
                    seen += 1;
                }
            }
            file.write_all_at(&whole[at..=at], at as u64).unwrap();
        }
    }
    assert!(seen > 100 && told > 100, "{seen} {told}");
}

/// Wherever it was spoilt: whoever writes the whole block has it again.
#[test]
fn what_the_disk_spoilt_is_written_over() {
    for (offset, synced) in [(3, false), (14, false), (14, true), (100, true)] {
        for places in [&[false][..], &[true], &[false, true]] {
            let home = Home::new();
            let mut blocks = home.begin();
            for byte in [1, 2] {
                blocks.write(0, filled(byte)).unwrap();
                blocks.sync().unwrap();
            }
            if !synced {
                blocks.write(0, filled(3)).unwrap();
            }
            for second in places {
                let at = place(0, *second) + offset;
                blocks.file.write_all_at(b"spoilt", at).unwrap();
            }
            for byte_now in [4, 5] {
                blocks.write(0, filled(byte_now)).unwrap();
                blocks.last = None;
                assert_eq!(byte(&mut blocks, 0), Some(byte_now), "{offset} {places:?}");
            }
            assert_eq!(byte(&mut home.open().0, 0), Some(5), "{offset} {places:?}");
        }
    }
}
