//! One letter between two idle clients, and an enclosure, over a relay on loopback.
//!
//! Two profiles and a relay in one process, each with its own encrypted store; every letter crosses the network and
//! three databases that flush each change. The clock runs from the request to the letter's appearance at the reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod common;

use client::api::{Answer, Request};
use client::{Answers, Client};
use common::{House, ask, letter, pair, quantile};
use std::path::Path;
use std::time::{Duration, Instant};

const LETTERS: usize = 300;
const WARM_UP: usize = 20;
const ENCLOSURE: u64 = 1 << 30;
const RUNS: usize = 5;

/// Waits until the reader sees the next letter.
async fn shown(follow: &mut Answers) {
    while !matches!(
        follow.recv().await.expect("the reader follows"),
        Answer::Letter(_)
    ) {}
}

async fn latency(alice: &Client, bob: &Client, _: &Path) {
    let mut follow = bob.call(Request::Receive {
        follow: true,
        timeout_ms: None,
        save: None,
    });
    let (mut from_request, mut from_accepted) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + LETTERS {
        // Idle: what the letter before left to do, receipts above all, is over.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = Instant::now();
        let sending = async {
            ask(alice, letter("bob", format!("letter {number}"), Vec::new())).await;
            Instant::now()
        };
        let showing = async {
            shown(&mut follow).await;
            Instant::now()
        };
        let (accepted, shown) = tokio::join!(sending, showing);
        if number >= WARM_UP {
            from_request.push(shown.duration_since(asked));
            from_accepted.push(shown.saturating_duration_since(accepted));
        }
    }
    for (what, mut times) in [
        ("asked to shown", from_request),
        ("accepted to shown", from_accepted),
    ] {
        times.sort();
        println!(
            "{what:<24} p50 {:.2} ms  p99 {:.2} ms",
            quantile(&times, 0.5),
            quantile(&times, 0.99)
        );
    }
}

async fn enclosure(alice: &Client, bob: &Client, folder: &Path) {
    let path = folder.join("enclosure");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let piece: Vec<u8> = (0..1 << 20)
        .map(|place: u32| (place.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for _ in 0..ENCLOSURE >> 20 {
        std::io::Write::write_all(&mut file, &piece).unwrap();
    }
    drop(file);
    let mib = ENCLOSURE as f64 / f64::from(1 << 20);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let began = Instant::now();
        ask(alice, letter("bob", String::new(), vec![path.clone()])).await;
        up.push(mib / began.elapsed().as_secs_f64());
        let save = folder.join(format!("saved-{run}"));
        std::fs::create_dir(&save).unwrap();
        let began = Instant::now();
        let receive = Request::Receive {
            follow: false,
            timeout_ms: None,
            save: Some(save.clone()),
        };
        let seen = ask(bob, receive).await;
        assert!(
            seen.iter().any(|answer| matches!(answer, Answer::Saved(_))),
            "nothing was saved"
        );
        down.push(mib / began.elapsed().as_secs_f64());
        std::fs::remove_dir_all(&save).unwrap();
    }
    for (what, mut rates) in [("sealed and uploaded", up), ("fetched and opened", down)] {
        rates.sort_by(f64::total_cmp);
        println!(
            "{what:<24} {:.0} MiB/s (median of {RUNS}, 1 GiB each)",
            rates.get(RUNS / 2).unwrap()
        );
    }
}

/// Lets two people with a relay in a folder do something.
async fn with_two(folder: &Path, work: impl AsyncFnOnce(&Client, &Client, &Path)) {
    let house = House::open(folder).await;
    let (alice, bob) = pair(folder, &house.url).await;
    work(&alice, &bob, folder).await;
    alice.close().await;
    bob.close().await;
    house.running.shutdown().await;
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let on_disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!(
        "letters: homes and relay on {}",
        env!("CARGO_TARGET_TMPDIR")
    );
    runtime.block_on(with_two(on_disk.path(), latency));
    let in_memory = tempfile::tempdir_in("/dev/shm").unwrap();
    println!("enclosures: everything in /dev/shm");
    runtime.block_on(with_two(in_memory.path(), enclosure));
}
