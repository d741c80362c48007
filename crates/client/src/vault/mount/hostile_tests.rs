#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "test code"
)]

use super::super::log::Unread;
use super::*;
use keys::codec::Writer;

/// Bytes before the first record.
const FRONT: usize = 28;

/// Records that make directories, each of another length.
fn records() -> Vec<Vec<u8>> {
    let paths: [&[u8]; 5] = [b"a", b"a/bc", b"d", b"d/efgh", b"i"];
    let record = |path: &&[u8]| {
        let mut out = Writer::new();
        out.u8(1);
        out.bytes(path);
        out.u8(2);
        out.u16(0o755);
        out.array(&[0; 12]);
        out.u8(0);
        out.finish()
    };
    paths.iter().map(record).collect()
}

/// A log, and what stands in it after so many records.
fn log_of_some() -> (Vec<u8>, Vec<Vec<Vec<u8>>>) {
    let ground = GROUND.as_ref().unwrap();
    let all = records();
    let after = (0..=all.len()).map(|count| {
        let some: Vec<&[u8]> = all[..count].iter().map(Vec::as_slice).collect();
        let log = hostile::log(&ground.source.keys(), &some).unwrap();
        let (bound, damaged) = replayed(&log).unwrap();
        assert!(!damaged && bound.len() == count);
        bound
    });
    let after = after.collect();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    (hostile::log(&ground.source.keys(), &all).unwrap(), after)
}

/// What stands in a log, and whether something follows that does not open.
fn replayed(log: &[u8]) -> Result<(Vec<Vec<u8>>, bool), Unread> {
    let ground = GROUND.as_ref().unwrap();
    let keys = ground.source.keys();
    let left = hostile::replay(log, Path::new("/nonexistent"), &keys, &ground.source)?;
    Ok((hostile::bound(&left.top), left.damaged))
}

/// Every bit of a log: it is not read, or what stands before the change is, and that something follows is told.
#[test]
fn every_flip_in_a_log_is_told() {
    let (whole, after) = log_of_some();
    let mut refused = 0;
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match replayed(&changed) {
            Ok((bound, damaged)) => {
                assert!(damaged && bit / 8 >= FRONT, "{bit}");
                assert!(after[..after.len() - 1].contains(&bound), "{bit}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > FRONT * 8, "{refused}");
}

/// Every length of a log: whoever is killed while it writes leaves whole records, and a part of one that counts for nothing.
/// So a log whose last records are gone is as one that they were not written to: nobody can tell these apart.
#[test]
fn every_cut_of_a_log_is_what_was_written_before() {
    let (whole, after) = log_of_some();
    let mut counts = Vec::new();
    for length in 0..whole.len() {
        match replayed(&whole[..length]) {
            Ok((bound, damaged)) => {
                assert!(!damaged, "{length}");
                counts.push(after.iter().position(|some| *some == bound).unwrap());
            }
            // The first record says what all grew from.
            Err(Unread::Damaged) => assert!(counts.is_empty(), "{length}"),
            Err(why) => panic!("{length}: {why}"),
        }
    }
    assert!(counts.is_sorted());
    counts.dedup();
    assert_eq!(counts, [0, 1, 2, 3, 4]);
}
