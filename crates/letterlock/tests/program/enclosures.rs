//! Large files: intact, resumed after a kill of either side, and never whole in memory.
//!
//! `LETTERLOCK_FILE_MIB` sets the size (160 where it is not set; 2048 is the full form).

use crate::support::{Person, Process, Town};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// What client and relay may use.
const MEMORY_KIB: u64 = 150 << 10;

fn write_random(path: &Path, mib: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut file = File::create(path).unwrap();
    let mut block = vec![0; MIB];
    rng.fill_bytes(&mut block);
    for number in 0..mib {
        // Random where nothing can be packed, and different in every MiB.
        block[..8].copy_from_slice(&number.to_be_bytes());
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

/// Length of the only file in a folder and those below it whose name ends so; zero where there is none.
fn length_in(folder: &Path, end: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let lengths = entries.filter_map(Result::ok).map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            length_in(&path, end)
        } else if path.to_string_lossy().ends_with(end) {
            entry.metadata().map_or(0, |meta| meta.len())
        } else {
            0
        }
    });
    lengths.max().unwrap_or(0)
}

/// Waits until a file has grown to a length.
fn wait_for(folder: &Path, end: &str, length: u64) {
    let start = Instant::now();
    while length_in(folder, end) < length {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{folder:?} does not grow"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn has_left(person: &Person, with: &str) -> bool {
    let letters = person.json(&["read", with, "--limit", "1"]);
    matches!(letters[0]["state"].as_str().unwrap(), "sent" | "delivered")
}

#[test]
fn a_terminal_shows_how_far_a_file_is() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let path = town.path("plan.bin");
    write_random(&path, 24);
    let words = ["send", "bob", "--file", path.to_str().unwrap(), "--wait"];
    let command = alice.command(&words);
    let quoted: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut on_terminal = std::process::Command::new("script");
    on_terminal
        .env("TERM", "xterm")
        .args([
            "--quiet",
            "--return",
            "--command",
            &quoted.join(" "),
            "/dev/null",
        ])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let ran = Process::spawn(&mut on_terminal).wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("upload plan.bin ["), "{ran:?}");
    assert!(ran.stdout.contains("/24.00 MiB"), "{ran:?}");
    // The same without a terminal.
    let silent = alice.ok(&words);
    assert_eq!(silent.stderr, "", "{silent:?}");
}

#[test]
fn a_large_file_survives_kills_of_every_side_in_little_memory() {
    let mib = std::env::var("LETTERLOCK_FILE_MIB").map_or(160, |mib| mib.parse().unwrap());
    let length = (mib as u64) << 20;
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let path = town.path("large.bin");
    write_random(&path, mib);
    let (blobs, saved) = (town.relay_data().join("blobs"), town.path("saved"));
    let mut peak = 0;

    let send = [
        "send",
        "bob",
        "large",
        "--file",
        path.to_str().unwrap(),
        "--wait",
    ];
    let sends = alice.start(&send);
    wait_for(&blobs, "", length / 4);
    peak = peak.max(town.relay_peak_kib());
    town.kill_relay();
    town.start_relay();
    wait_for(&blobs, "", length / 2);
    peak = peak.max(sends.kill().peak_kib);
    let before = length_in(&blobs, "");
    for _ in 0..100 {
        peak = peak.max(alice.run(&["receive", "--timeout", "1s"]).peak_kib);
        assert!(
            length_in(&blobs, "") >= before / 2,
            "the upload went on and did not begin anew"
        );
        if has_left(&alice, "bob") {
            break;
        }
    }
    assert!(has_left(&alice, "bob"));

    let receive = ["receive", "--save", saved.to_str().unwrap()];
    let receives = bob.start(&receive);
    wait_for(&saved, ".part", length * 2 / 3);
    peak = peak.max(receives.kill().peak_kib);
    let receives = bob.start(&receive);
    wait_for(&saved, ".part", length * 5 / 6);
    peak = peak.max(town.relay_peak_kib());
    town.kill_relay();
    town.start_relay();
    let ran = receives.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    peak = peak.max(ran.peak_kib).max(town.relay_peak_kib());
    assert!(are_equal(&path, &saved.join("large.bin")));
    let left: Vec<_> = std::fs::read_dir(&saved).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half saved stays: {left:?}");
    println!("{mib} MiB, at most {peak} KiB of memory");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}
