//! An account log of 100 entries: verified by a stranger, after an update, and read again by whoever stored it.
//!
//! The log is what ten years of a careful person leave: devices come, rotate their keys and go. Figures are medians
//! of wall-clock time; a stranger's verification uses two threads.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use letterlock_keys::account_log::{
    Authority, DeviceSecrets, Reason, RootSecret, UnverifiedLog, VerifiedLog, genesis,
};
use letterlock_keys::{Suite, Timestamp, label};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::time::{Duration, Instant};

const ENTRIES: usize = 100;
const RUNS: usize = 41;

fn now(entry: usize) -> Timestamp {
    Timestamp::from_secs(1_700_002_800).saturating_add(entry as u64 * 30 * 24 * 3600)
}

/// Alternates: a device comes, rotates its keys, goes.
fn log_of(entries: usize) -> (DeviceSecrets, VerifiedLog) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let first = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    let mut log = genesis(&root, &first, now(0)).unwrap();
    let by = Authority::Device(&first);
    let mut device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    for entry in 1..entries {
        let at = now(entry);
        log = match entry % 3 {
            1 => {
                device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
                log.add_device(by, &device, true, at)
            }
            2 => {
                let new = device.renewed(Suite::Hybrid, &mut rng).unwrap();
                let next = log.rotate_device(&device, &new, at);
                device = new;
                next
            }
            _ => log.revoke(by, device.device_id(), Reason::Retired, at),
        }
        .unwrap();
    }
    (first, log)
}

/// The median and the best.
fn times(mut work: impl FnMut()) -> [Duration; 2] {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    [RUNS / 2, 0].map(|place| times.get(place).copied().unwrap())
}

fn show(what: &str, times: [Duration; 2]) {
    let [median, best] = times.map(|time| time.as_secs_f64() * 1e3);
    println!("{what:<32} {median:>8.3} ms, best {best:>8.3} ms");
}

fn main() {
    let (first, log) = log_of(ENTRIES);
    let signatures: usize = log.entries().iter().map(|entry| entry.signers.len()).sum();
    let decode = || UnverifiedLog::decode(log.bytes()).unwrap();
    println!(
        "{ENTRIES} entries, {signatures} signatures, {} KiB",
        log.bytes().len() / 1024
    );
    let whole = times(|| drop(decode().verify(None, None).unwrap()));
    show("verify, whole", whole);
    let (_, known) = log_of(ENTRIES - 1);
    let after = known
        .revoke(
            Authority::Device(&first),
            known.devices().last().unwrap().id(),
            Reason::Lost,
            now(ENTRIES),
        )
        .unwrap();
    let update = || UnverifiedLog::decode(after.bytes()).unwrap();
    show(
        "verify_after, one new entry",
        times(|| drop(update().verify_after(&known).unwrap())),
    );
    show(
        "trusted",
        times(|| drop(decode().trusted(log.account_id(), &log.head()).unwrap())),
    );
    let message = [7; 3500];
    let signature = first.signing().sign(label::LOG_ENTRY, &message).unwrap();
    let key = first.signing().verifying_key();
    show(
        "one signature",
        times(|| key.verify(label::LOG_ENTRY, &message, &signature).unwrap()),
    );
    let identity = first.identity().unwrap().public();
    show(
        "one identity key",
        times(|| assert!(identity.is_canonical())),
    );
}
