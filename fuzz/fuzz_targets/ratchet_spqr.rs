//! SPQR messages inside genuine ones, to both sides and at two places of an epoch.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/fields.rs"]
#[allow(dead_code)]
mod fields;
#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use std::cell::RefCell;

use fields::Fields;
use letterlock_ratchet::Outgoing;
use support::Who::{Alice, Bob};
use support::{PROFILES, Pair, Who};

/// A pair, who reads, and a message to that side.
type Case = (Pair, Who, Outgoing);

thread_local! {
    static CASES: RefCell<Vec<Case>> = RefCell::new(cases());
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for profile in PROFILES {
        for rounds in [1, 20, 37] {
            for from in [Alice, Bob] {
                let mut pair = Pair::met(profile, 1);
                pair.converse(rounds);
                let message = pair.write(from, b"a letter");
                cases.push((pair, from.other(), message));
            }
        }
    }
    cases
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    CASES.with_borrow_mut(|cases| {
        for (pair, reader, message) in cases {
            let mut fields = Fields::of_message(pair.alice.profile, &message.bytes);
            if fields.bytes(5) == data {
                continue;
            }
            // SPQR looks at it before the tag can be checked; nothing that it finds may stay.
            *fields.bytes(5) = data.to_vec();
            let changed = Outgoing { kind: message.kind, bytes: fields.encode() };
            assert!(pair.read(*reader, &changed).is_err());
        }
    });
});
