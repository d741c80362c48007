//! What peers, relays and disks hand to the engine: contents, envelopes, errands, invites, links, records.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = engine::untrusted::read(data);
});
