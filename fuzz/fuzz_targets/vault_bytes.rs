//! What relays and members hand to a vault: lists, segments, directories, roots, objects, heads, paths.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = letterlock_seal::vault::untrusted(data);
});
