//! Messages of a session, as the network brings them to somebody who has one.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use std::cell::RefCell;

use letterlock_ratchet::{MessageKind, Outgoing};
use support::Who::Bob;
use support::{PROFILES, Pair};

thread_local! {
    static PAIRS: RefCell<[Pair; 2]> = RefCell::new(PROFILES.map(|profile| Pair::met(profile, 1)));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let message = Outgoing { kind: MessageKind::Message, bytes: data.to_vec() };
    PAIRS.with_borrow_mut(|pairs| {
        for pair in pairs {
            // Whoever reads checks that a refusal changed nothing.
            assert!(pair.read(Bob, &message).is_err(), "a message that nobody wrote");
        }
    });
});
