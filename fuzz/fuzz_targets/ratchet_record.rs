//! Stored records whose digest fits: what is read is written alike, and using it never panics.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use keys::sha256;
use letterlock_ratchet::{Profile, Record};
use support::Pair;
use support::Who::{Alice, Bob};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Record::decode(data);
    // A seed is a record as it is stored; its digest is replaced.
    let body = data.get(..data.len().saturating_sub(32)).unwrap_or_default();
    let stored = [body, &sha256(&[body])].concat();
    let Ok(record) = Record::decode(&stored) else { return };
    let profile = record.profile();
    // Sessions of the seeds continue with this pair.
    let mut pair = Pair::met(profile, 6);
    if profile == Profile::Signal || record.can_send(pair.now) {
        pair.converse(20);
    }
    pair.bob.record = record;
    assert!(pair.bob.stored() == stored, "two encodings of one record");
    let now = pair.now;
    for from in [Alice, Bob, Alice, Bob] {
        if let Ok(message) = pair.get(from).write(b"text", now) {
            let _ = pair.read(from.other(), &message);
        }
    }
});
