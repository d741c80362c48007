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
use std::fs;

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
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            keys,
            id,
        }
    }

    fn create(&self) -> Blocks {
        Blocks::create(self.directory.path(), &self.keys, self.id).unwrap()
    }

    /// As another process finds it.
    fn open(&self) -> (Blocks, Option<Head>) {
        Blocks::open(self.directory.path(), &self.keys, self.id).unwrap()
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
    let odd = [0, 1, 8, 11, 12, 13, 20, 4095, 4096, 30_000];
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
    for room in rooms() {
        let home = Home::new();
        let mut blocks = home.create();
        blocks.write(3, filled(1)).unwrap();
        blocks.room.set(Some(room));
        let done = blocks.write(3, filled(2));
        blocks.room.set(None);
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
        let mut blocks = home.create();
        blocks.write(9, filled(1)).unwrap();
        blocks.room.set(Some(room));
        assert_eq!(blocks.write(3, filled(2)), Err(Trouble::NoRoom), "{room}");
        blocks.room.set(None);
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
    let mut blocks = home.create();
    blocks.write(0, filled(1)).unwrap();
    blocks.write(1, filled(2)).unwrap();
    blocks.room.set(Some(INDEX + SEALED + 100));
    assert_eq!(blocks.write(0, filled(3)), Err(Trouble::NoRoom));
    assert_eq!(blocks.write(1, filled(4)), Err(Trouble::NoRoom));
    blocks.room.set(None);
    assert_eq!(byte(&mut home.open().0, 0), Some(3));
    blocks.write(1, filled(4)).unwrap();
    let (mut found, _) = home.open();
    assert_eq!([0, 1].map(|at| byte(&mut found, at)), [Some(3), Some(4)]);
}

/// What was written over, cut off, written anew and spoilt then is not what it was once.
#[test]
fn what_was_cut_off_does_not_come_back() {
    let home = Home::new();
    let mut blocks = home.create();
    for byte in [1, 2] {
        blocks.write(0, filled(byte)).unwrap();
    }
    blocks.cut(0).unwrap();
    assert_eq!(byte(&mut blocks, 0), None);
    blocks.write(0, filled(3)).unwrap();
    blocks.file.write_all_at(b"spoilt", place(0) + 100).unwrap();
    assert_eq!(home.open().0.block(0), Err(Trouble::Damaged));
}

#[test]
fn one_head_is_whole_whatever_happens() {
    let meta = Meta::file();
    let head = |size| Head {
        number: 0,
        size,
        below: 0,
        meta,
    };
    let sizes = |blocks: &mut Blocks, head: &mut Head, from: u64, room| {
        for size in from..from + 2 {
            blocks.room.set(room);
            head.size = size;
            assert_eq!(blocks.write_head(head).is_ok(), room.is_none());
        }
    };
    for room in [0, 5, 40, 73] {
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

/// What a block is filled with, as another process finds it. Nothing: that it is damaged is told, here or when it is opened.
fn found(home: &Home, index: u64) -> Option<Option<u8>> {
    let (mut blocks, head) = home.open();
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

/// Four blocks of which one was written over; the heads said something else before.
fn four_blocks() -> (Home, Vec<u8>) {
    let home = Home::new();
    let mut blocks = home.create();
    let mut head = Head {
        number: 0,
        size: 1,
        below: 0,
        meta: Meta::file(),
    };
    blocks.write_head(&mut head).unwrap();
    for index in [0, 1, 3] {
        blocks
            .write(index, filled(u8::try_from(index).unwrap() + 1))
            .unwrap();
    }
    blocks.write(1, filled(9)).unwrap();
    (head.size, head.below) = (200_000, 7);
    blocks.write_head(&mut head).unwrap();
    let whole = fs::read(home.id.path(home.directory.path())).unwrap();
    (home, whole)
}

/// Of what lies on the disk nothing is read but what was written, or that it is damaged.
#[test]
fn no_flip_and_no_cut_is_read_as_something_else() {
    let (home, whole) = four_blocks();
    let path = home.id.path(home.directory.path());
    let filled = [Some(1), Some(9), None, Some(4)];
    let all = |home: &Home| [0, 1, 2, 3].map(|index| found(home, index));
    assert_eq!(all(&home), filled.map(Some));
    // Every cut around what ends somewhere, and a sample of the others.
    let end = whole.len();
    let edges = [0, 74, 512, 586, 4096, 73_728, end - SEALED, end];
    let near = edges
        .into_iter()
        .flat_map(|edge| edge.saturating_sub(90)..edge + 90);
    for cut in near.chain((0..end).step_by(4999)).filter(|cut| *cut < end) {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(home.open().1.is_none(), "{cut}");
    }
    fs::write(&path, &whole).unwrap();
    // Each bit of the heads, of what stands around blocks, and a sample of their bytes.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let block = |index: u64| usize::try_from(place(index)).unwrap();
    let heads = [0..74, 512..586].into_iter().flatten();
    let spare = usize::try_from(SPARE).unwrap();
    let around = |at: usize| (at..at + 20).chain(at + SEALED - 20..at + SEALED);
    let places = heads
        .clone()
        .chain(spare..spare + 8)
        .chain(around(spare + 8));
    let places = places.chain([0, 1, 3].into_iter().flat_map(|index| around(block(index))));
    let places = places.chain((block(0)..end).step_by(9973));
    for at in places {
        for bit in 0..8 {
            file.write_all_at(&[whole[at] ^ (1 << bit)], at as u64)
                .unwrap();
            let index = (0..4).rev().find(|index| block(*index) <= at);
            let read = match index {
                Some(index) => found(&home, index),
                None => found(&home, 1),
            };
            match index {
                // What a head says counts where both open.
                None if heads.clone().any(|place| place == at) => {
                    assert_eq!(read, None, "{at} {bit}")
                }
                // The spare place counts only where the block that it is of does not open.
                None => assert_eq!(read, Some(Some(9)), "{at} {bit}"),
                // Nothing is there.
                Some(2) => assert_eq!(read, Some(None), "{at} {bit}"),
                // The spare place has the block that was written over last.
                Some(1) => assert_eq!(read, Some(Some(9)), "{at} {bit}"),
                Some(_) => assert_eq!(read, None, "{at} {bit}"),
            }
        }
        file.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
    assert_eq!(all(&home), filled.map(Some));
}
