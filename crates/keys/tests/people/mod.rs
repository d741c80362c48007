//! An account with its secrets, made from seeds.

use letterlock_keys::account_log::{
    Authority, DeviceSecrets, LogError, Method, RecoverySecrets, RecoveryTerms, RootSecret,
    UnverifiedLog, VerifiedLog, genesis,
};
use letterlock_keys::{Secret, Suite, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// When accounts are made: a whole hour.
pub(crate) const BORN: u64 = 1_700_002_800;
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const DELAY: u64 = 48 * HOUR;

/// The suite of every account of a test file: `x_cnsa2.rs` runs the tests of `x.rs` again.
pub(crate) const SUITE: Suite = suite_of(env!("CARGO_CRATE_NAME"));

const fn suite_of(test_file: &str) -> Suite {
    match test_file.as_bytes() {
        [.., b'_', b'c', b'n', b's', b'a', b'2'] => Suite::Cnsa2,
        _ => Suite::Hybrid,
    }
}

/// So many seconds after an account was made.
pub(crate) fn later(seconds: u64) -> Timestamp {
    Timestamp::from_secs(BORN + seconds)
}

pub(crate) fn device(seed: u64) -> DeviceSecrets {
    DeviceSecrets::generate(SUITE, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

pub(crate) fn renewed(device: &DeviceSecrets, seed: u64) -> DeviceSecrets {
    device
        .renewed(SUITE, &mut ChaCha20Rng::seed_from_u64(seed))
        .unwrap()
}

pub(crate) fn root(seed: u64) -> RootSecret {
    RootSecret::generate(SUITE, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

pub(crate) fn recovery(method: Method, seed: u8) -> RecoverySecrets {
    RecoverySecrets::derive(SUITE, method, &Secret::from_slice(&[seed; 32]).unwrap()).unwrap()
}

/// Two of three guardians, after 48 hours.
pub(crate) fn terms() -> RecoveryTerms {
    RecoveryTerms {
        delay_seconds: DELAY,
        need: 2,
        commitments: vec![[1; 32], [2; 32], [3; 32]],
    }
}

/// An account of one device.
pub(crate) struct Person {
    pub(crate) root: RootSecret,
    pub(crate) first: DeviceSecrets,
    pub(crate) log: VerifiedLog,
}

impl Person {
    pub(crate) fn new() -> Self {
        let (root, first) = (root(1), device(2));
        let log = genesis(&root, &first, later(0)).unwrap();
        Self { root, first, log }
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority::Device(&self.first)
    }

    /// Adds a device by the first one.
    pub(crate) fn add(&mut self, new: &DeviceSecrets, admin: bool, at: Timestamp) {
        let log = self.log.add_device(self.authority(), new, admin, at);
        self.log = log.unwrap();
    }

    /// Sets guardians by the first device.
    pub(crate) fn set_guardians(&mut self, guardians: &RecoverySecrets, at: Timestamp) {
        let log = self.log.set_recovery(&self.first, guardians, &terms(), at);
        self.log = log.unwrap();
    }

    /// Sets a sheet by the first device.
    pub(crate) fn set_sheet(&mut self, sheet: &RecoverySecrets, at: Timestamp) {
        let terms = RecoveryTerms::sheet();
        let log = self.log.set_recovery(&self.first, sheet, &terms, at);
        self.log = log.unwrap();
    }
}

/// What a stranger says of these bytes.
pub(crate) fn verify(bytes: &[u8]) -> Result<VerifiedLog, LogError> {
    UnverifiedLog::decode(bytes)?.verify(None, None)
}
