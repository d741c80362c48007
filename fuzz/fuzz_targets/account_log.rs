//! Account logs, as a relay or a first letter brings them.
#![no_main]

use keys::account_log::{Proposal, UnverifiedLog};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(log) = UnverifiedLog::decode(data) {
        // A log that verifies is stored and read again byte for byte.
        if let Ok(verified) = log.verify(None, None) {
            assert_eq!(verified.bytes(), data);
            let stored = UnverifiedLog::decode(data).expect("decoded before");
            let trusted = stored.trusted(verified.account_id(), &verified.head());
            assert!(trusted.is_ok());
        }
    }
    if let Ok(proposal) = Proposal::decode(data) {
        assert_eq!(proposal.encode(), data);
    }
});
