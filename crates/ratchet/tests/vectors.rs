//! Every recorded vector replays, and a changed one does not.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, reason = "tests")]

use letterlock_ratchet::replay;
use serde_json::Value;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/triple-ratchet");

fn read(name: &str) -> Value {
    let path = Path::new(FOLDER).join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All files are named here, so that a missing one is noticed and tests run in parallel.
macro_rules! replays {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                replay::file($file, &read($file)).unwrap_or_else(|error| panic!("{error}"));
            }
        )*
    };
}

replays! {
    curve25519_xeddsa: "curve25519-xeddsa.json",
    kem1024: "kem1024.json",
    incremental_mlkem768: "incremental-mlkem768.json",
    erasure_code: "erasure-code.json",
    spqr_chain: "spqr-chain.json",
    spqr_parse: "spqr-parse.json",
    spqr_transcripts: "spqr-transcripts.json",
}
