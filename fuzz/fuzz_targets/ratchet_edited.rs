//! Real messages with bytes changed, cut or added: the text never changes, and in `letterlock` nothing passes.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use letterlock_ratchet::{Outgoing, Profile};
use support::Who::{Alice, Bob};
use support::{PROFILES, Pair, Stock};

fn edit(message: &Outgoing, edits: &[u8]) -> Outgoing {
    let mut changed = message.clone();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        let length = changed.bytes.len();
        match changed.bytes.get_mut(place) {
            Some(byte) => *byte ^= edit[2],
            None if place & 1 == 0 => changed.bytes.truncate(place % length.max(1)),
            None => changed.bytes.push(edit[2]),
        }
    }
    changed
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, edits)) = data.split_first() else { return };
    let profile = PROFILES[usize::from(first & 1)];
    let begins = first & 2 != 0;
    let mut pair = if begins { Pair::begun(profile, 1, Stock::OneTime) } else { Pair::met(profile, 1) };
    let message = pair.write(Alice, b"a letter");
    let changed = edit(&message, edits);
    match pair.read(Bob, &changed) {
        Ok(text) => {
            assert_eq!(text, b"a letter");
            assert!(changed == message || (begins && profile == Profile::Signal));
        }
        Err(_) => assert!(pair.read(Bob, &message).is_ok()),
    }
});
