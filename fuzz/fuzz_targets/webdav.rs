//! What programs of this machine, and pages in a browser, say to a vault that is served by WebDAV: whole connections, by
//! the program's own server. What was written is there for whoever goes on after a kill.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("letterlock-fuzz-webdav-{}", std::process::id())));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::fs::remove_dir_all(&*FOLDER);
    std::fs::create_dir_all(&*FOLDER).expect("a folder");
    let (heard, kept) = client::untrusted::dav(&FOLDER, data).expect("a vault");
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1."));
    assert!(kept);
});
