//! First messages, as strangers send them to somebody with pre-keys.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use std::cell::RefCell;

use letterlock_ratchet::{MessageKind, Outgoing};
use support::Who::Bob;
use support::{PROFILES, Pair, Stock};

thread_local! {
    static PAIRS: RefCell<[Pair; 4]> = RefCell::new({
        let pair = |profile, stock| Pair::begun(profile, 1, stock);
        let [signal, letterlock] = PROFILES;
        [
            pair(signal, Stock::OneTime),
            pair(signal, Stock::LastResort),
            pair(letterlock, Stock::OneTime),
            pair(letterlock, Stock::LastResort),
        ]
    });
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let message = Outgoing { kind: MessageKind::PreKey, bytes: data.to_vec() };
    PAIRS.with_borrow_mut(|pairs| {
        for pair in pairs {
            assert!(pair.read(Bob, &message).is_err(), "a message that nobody wrote");
        }
    });
});
