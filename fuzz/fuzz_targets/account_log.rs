//! Account logs, as a relay or a first letter brings them.
#![no_main]

use keys::account_log::UnverifiedLog;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(log) = UnverifiedLog::decode(data) {
        // A log that verifies is stored and read again byte for byte.
        if let Ok(verified) = log.verify(None, None) {
            assert_eq!(verified.bytes(), data);
        }
    }
});
