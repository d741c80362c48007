//! Public keys, signatures and sealed bodies, as strangers send them.
#![no_main]

use keys::account_log::DeviceSecrets;
use keys::kem::{Kem, KemPublic};
use keys::{HybridSignature, Suite, VerifyingKey};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for kem in [Kem::Kyber1024, Kem::MlKem1024] {
        if let Ok(key) = KemPublic::from_bytes(kem, data) {
            assert_eq!(key.as_bytes(), data);
        }
    }
    if let Ok(signature) = HybridSignature::from_bytes(Suite::Hybrid, data) {
        assert_eq!(signature.as_bytes(), data);
    }
    if let Ok(key) = VerifyingKey::from_bytes(Suite::Hybrid, data) {
        assert_eq!(key.as_bytes(), data);
    }
    let _ = DeviceSecrets::decode(data);
});
