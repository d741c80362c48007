//! A real account log with bytes changed, cut or added: no such log verifies as the same account.
#![no_main]

use std::sync::LazyLock;

use keys::account_log::{DeviceSecrets, RootSecret, UnverifiedLog, genesis};
use keys::{AccountId, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

static REAL: LazyLock<(AccountId, Vec<u8>)> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let root = RootSecret::generate(&mut rng).expect("root");
    let device = DeviceSecrets::generate(&mut rng).expect("device");
    let log = genesis(&root, &device, Timestamp::from_secs(1_800_000_000)).expect("genesis");
    (*log.account_id(), log.bytes().to_vec())
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (account, real) = &*REAL;
    let mut log = real.clone();
    for edit in data.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        match log.get_mut(place) {
            Some(byte) => *byte ^= edit[2],
            None if place & 1 == 0 => log.truncate(place % real.len()),
            None => log.push(edit[2]),
        }
    }
    let verified = UnverifiedLog::decode(&log).and_then(|log| log.verify(Some(account), None));
    assert_eq!(verified.is_ok(), log == *real);
});
