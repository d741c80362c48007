//! What a disk holds of what was not ended, and what programs of this machine say: states of transfers, journals of packs,
//! logs of mounts and the files that are written there, names, ranges, dates and XML of WebDAV, addresses of relays.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

/// The first byte that says: the rest is edits of a file that somebody wrote.
const EDITS: u8 = 255;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("letterlock-fuzz-client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        // Nothing but what was written is read.
        Some((&EDITS, edits)) => assert_ne!(client::untrusted::staged(&FOLDER, edits), Some(false)),
        _ => assert_ne!(client::untrusted::read(data), Some(false)),
    }
});
