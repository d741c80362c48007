//! The vectors of the age format behave as they say, and a changed one does not. Ours are part of the
//! project; where the folder of the others is not beside it, the tests say so and pass.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, reason = "a failure ends the test")]

use letterlock_seal::age::replay;
use std::path::Path;

/// Our own.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/age");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/age");

fn all() -> Vec<(String, Vec<u8>)> {
    let mut all = in_folder(OURS);
    assert_eq!(all.len(), 5);
    all.extend(in_folder(FOLDER));
    all
}

fn in_folder(path: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::fs::read_dir(Path::new(path)) else {
        eprintln!("left out: no {path}");
        return Vec::new();
    };
    let files = folder.map(|entry| entry.unwrap());
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    files
        .map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name != "README.md")
        .collect()
}

#[test]
fn the_vectors_replay() {
    let vectors = all();
    let failed: Vec<String> = vectors
        .iter()
        .filter_map(|(name, bytes)| replay::file(name, bytes).err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    eprintln!("{} vectors", vectors.len());
    assert!(vectors.len() == 5 || vectors.len() > 90);
}

#[test]
fn a_changed_vector_does_not_replay() {
    for (name, bytes) in all() {
        let good = bytes.starts_with(b"expect: success");
        // The last byte is of a tag; text may end in what means nothing, and what is compressed has a sum of its own.
        let text = String::from_utf8_lossy(&bytes);
        if !good || text.contains("\narmored: ") || text.contains("\ncompressed: ") {
            continue;
        }
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(replay::file(&name, &changed).is_err(), "{name}");
        let cut = &bytes[..bytes.len() - 1];
        assert!(replay::file(&name, cut).is_err(), "{name}");
    }
}
