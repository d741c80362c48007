#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
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
    for room in [0, 30, 74, 75, 40_000, 66_000, 100_000, 131_200, 200_000] {
        let staged = Staged::create(directory.path(), &keys, None, Meta::file()).unwrap();
        staged.write(&source, 0, &[7; 250_000]).unwrap();
        staged.lock().blocks.room.set(Some(room));
        let done = staged.resize(100_000);
        staged.lock().blocks.room.set(None);
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
