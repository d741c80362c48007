//! Pre-keys as a relay hands them out, and as a store keeps them.
#![no_main]

use letterlock_ratchet::{
    KemPreKey, KemPreKeyPublic, OneTimePreKey, OneTimePreKeyPublic, SignedPreKey, SignedPreKeyPublic,
};

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
    if let Ok(key) = SignedPreKey::decode(data) {
        assert!(SignedPreKey::decode(key.encode().expose_secret()).is_ok());
    }
    if let Ok(key) = KemPreKey::decode(data) {
        assert!(KemPreKey::decode(key.encode().expose_secret()).is_ok());
    }
    if let Ok(key) = OneTimePreKey::decode(data) {
        assert!(OneTimePreKey::decode(key.encode().expose_secret()).is_ok());
    }
});
