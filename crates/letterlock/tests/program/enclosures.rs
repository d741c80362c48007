//! Large files: intact, resumed after a kill of either side, and never whole in memory.
//!
//! `LETTERLOCK_FILE_MIB` sets the size (24 where it is not set; 2048 is the full form).

use crate::support::{Person, Town};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// What client and relay may use.
const MEMORY_KIB: u64 = 150 << 10;

fn write_random(path: &Path, mib: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut file = File::create(path).unwrap();
    let mut block = vec![0; MIB];
    for _ in 0..mib {
        rng.fill_bytes(&mut block);
        file.write_all(&block).unwrap();
    }
}

fn are_equal(one: &Path, other: &Path) -> bool {
    let [mut one, mut other] = [one, other].map(|path| BufReader::new(File::open(path).unwrap()));
    let (mut left, mut right) = (vec![0; MIB], vec![0; MIB]);
    loop {
        let count = one.read(&mut left).unwrap();
        if count == 0 {
            return other.read(&mut right).unwrap() == 0;
        }
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return false;
        }
    }
}

fn state_of_newest(person: &Person, with: &str) -> String {
    let letters = person.json(&["read", with, "--limit", "1"]);
    letters[0]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_large_file_survives_kills_of_every_side_in_little_memory() {
    let mib = std::env::var("LETTERLOCK_FILE_MIB").map_or(24, |mib| mib.parse().unwrap());
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let path = town.path("large.bin");
    write_random(&path, mib);
    let mut peak = 0;

    let sends = alice.start(&[
        "send",
        "bob",
        "large",
        "--file",
        path.to_str().unwrap(),
        "--wait",
    ]);
    std::thread::sleep(Duration::from_millis(900));
    town.kill_relay();
    std::thread::sleep(Duration::from_millis(300));
    sends.kill();
    town.start_relay();
    for _ in 0..600 {
        if matches!(
            state_of_newest(&alice, "bob").as_str(),
            "sent" | "delivered"
        ) {
            break;
        }
        peak = peak.max(alice.run(&["receive", "--timeout", "1s"]).peak_kib);
    }
    assert_eq!(state_of_newest(&alice, "bob"), "sent");

    let saved = town.path("saved");
    let receive = ["receive", "--save", saved.to_str().unwrap()];
    let receives = bob.start(&receive);
    std::thread::sleep(Duration::from_millis(1200));
    receives.kill();
    peak = peak.max(bob.ok(&receive).peak_kib);
    assert!(are_equal(&path, &saved.join("large.bin")));
    let left: Vec<_> = std::fs::read_dir(&saved).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half saved stays: {left:?}");

    peak = peak.max(town.relay_peak_kib());
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}
