//! Pre-keys as a relay hands them out, and as a store keeps them.
#![no_main]

#[path = "../../crates/ratchet/tests/sessions/support.rs"]
mod support;

use std::cell::RefCell;

use letterlock_ratchet::{
    KemPreKey, KemPreKeyPublic, OneTimePreKey, OneTimePreKeyPublic, Profile, SignedPreKey,
    SignedPreKeyPublic,
};
use support::Person;

thread_local! {
    static PERSON: RefCell<Person> = RefCell::new(Person::new(Profile::Letterlock, 0xa, 0xb, 1));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is published has one encoding.
    if let Ok(key) = SignedPreKeyPublic::decode(data) {
        assert_eq!(key.encode(), data);
    }
    if let Ok(key) = KemPreKeyPublic::decode(data) {
        assert_eq!(key.encode(), data);
    }
    if let Ok(key) = OneTimePreKeyPublic::decode(data) {
        assert_eq!(key.encode(), data);
    }
    // What is stored, with the private half clamped, is read again.
    PERSON.with_borrow_mut(|person| {
        person.pre_keys.signed.extend(SignedPreKey::decode(data).ok().map(|key| (1, key)));
        person.pre_keys.kem.extend(KemPreKey::decode(data).ok().map(|key| (1, key)));
        person.pre_keys.one_time.extend(OneTimePreKey::decode(data).ok().map(|key| (1, key)));
        person.reload();
    });
});
