#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::super::super::stand::Stand;
use super::*;

/// Size, and the bytes that are filled with something.
fn look(staged: &Staged, source: &Source) -> (u64, usize) {
    let mut out = vec![0; 300_000];
    let length = staged.read(source, 0, &mut out).unwrap();
    let size = staged.shown().size;
    assert_eq!(length as u64, size);
    let filled = out.iter().filter(|byte| **byte == 7).count();
    assert!(out[..filled].iter().all(|byte| *byte == 7));
    (size, filled)
}

/// Wherever whoever cuts a file is killed, or finds no room, it is as long as before or as it was to be, and so are its
/// bytes; what is cut off does not come back where it is made longer again.
#[test]
fn a_file_that_is_cut_is_the_old_or_the_new_one() {
    let stand = Stand::new();
    let source = Source::new(&stand.session());
    let directory = tempfile::tempdir().unwrap();
    let keys = source.keys();
    let mut sizes = Vec::new();
    for room in [
        0, 30, 113, 114, 40_000, 65_693, 65_694, 66_000, 100_000, 200_000,
    ] {
        let staged = Staged::create(directory.path(), &keys, None, Meta::file()).unwrap();
        staged.write(&source, 0, &[7; 250_000]).unwrap();
        staged.lock().blocks.disk.room.set(Some(room));
        let done = staged.resize(100_000);
        staged.lock().blocks.disk.room.set(None);
        let found = Staged::open(directory.path(), &keys, staged.id, None).unwrap();
        for staged in [&*found, &*staged] {
            let (size, filled) = look(staged, &source);
            let old = size == 250_000 && done.is_err();
            assert!(old || size == 100_000, "{room}: {size}");
            assert_eq!(size, filled as u64, "{room}");
        }
        let size = staged.shown().size;
        sizes.push(size);
        if done.is_ok() {
            staged.resize(250_000).unwrap();
            assert_eq!(look(&staged, &source), (250_000, 100_000));
        }
    }
    sizes.dedup();
    assert_eq!(sizes, [250_000, 100_000]);
}

/// A loss of power leaves a file that was cut, and grew again, as it was before or after either; never with bytes that were
/// cut off, nor without some that were not.
#[test]
fn a_file_that_is_cut_loses_power() {
    let stand = Stand::new();
    let source = Source::new(&stand.session());
    let directory = tempfile::tempdir().unwrap();
    let keys = source.keys();
    let staged = Staged::create(directory.path(), &keys, None, Meta::file()).unwrap();
    staged.write(&source, 0, &[7; 250_000]).unwrap();
    staged.sync().unwrap();
    staged.lock().blocks.watch();
    staged.resize(100_000).unwrap();
    staged.resize(250_000).unwrap();
    let losses = staged.lock().blocks.losses();
    let mut seen = std::collections::BTreeSet::new();
    for after in losses {
        std::fs::write(staged.id.path(directory.path()), after).unwrap();
        let found = Blocks::open_at(directory.path(), &keys, staged.id, [7; 16]);
        let (blocks, head) = found.unwrap();
        seen.insert(look(&Staged::with(staged.id, None, blocks, head), &source));
    }
    let states = [(100_000, 100_000), (250_000, 100_000), (250_000, 250_000)];
    assert_eq!(seen, states.into());
}
