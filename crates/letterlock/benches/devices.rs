//! Several devices: a link and a restoration with ten thousand letters, and what a letter to 1, 2 and 5 devices costs.
//!
//! Real clients and a real relay in one process, over loopback, everything in `/dev/shm`. The history is written by
//! two people who send each other letters. The costs of a letter are those of the sender and the relay: the devices
//! it goes to are closed, so that everything waits at the relay and can be counted there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod common;

use client::api::{Answer, Request};
use client::{Answers, Client};
use common::{House, ask, finish, letter, open, pair};
use std::path::Path;
use std::time::{Duration, Instant};

const HISTORY: usize = 10_000;
/// Letters on their way at the same time while the history is written.
const TOGETHER: usize = 16;
const COUNTED: usize = 200;
/// Bytes of text of a letter.
const TEXT: usize = 120;
const RUNS: usize = 3;

/// Two people who can write to each other.
async fn acquainted(folder: &Path, relay: &str) -> (Client, Client) {
    let (alice, bob) = pair(folder, relay).await;
    ask(&alice, numbered("bob", 0)).await;
    receive(&bob).await;
    ask(&bob, numbered("alice", 0)).await;
    receive(&alice).await;
    (alice, bob)
}

fn numbered(to: &str, number: usize) -> Request {
    let mut text = format!("Letter number {number}, with words as people write them. ");
    while text.len() < TEXT {
        text.push_str("More of them. ");
    }
    letter(to, text, Vec::new())
}

async fn receive(client: &Client) -> usize {
    let receive = Request::Receive {
        follow: false,
        timeout_ms: Some(500),
        save: None,
    };
    let letters = |answer: &Answer| matches!(answer, Answer::Letter(_));
    ask(client, receive)
        .await
        .iter()
        .filter(|answer| letters(answer))
        .count()
}

/// Writes letters, several at a time.
async fn write_letters(from: &Client, to: &str, count: usize) {
    let mut under_way = std::collections::VecDeque::new();
    for number in 0..count {
        under_way.push_back(from.call(numbered(to, number)));
        if under_way.len() == TOGETHER
            && let Some(first) = under_way.pop_front()
        {
            finish(first).await;
        }
    }
    for rest in under_way {
        finish(rest).await;
    }
}

/// How many letters a home has.
async fn letters(client: &Client) -> usize {
    let read = Request::Read {
        conversation: None,
        limit: 1_000_000,
    };
    ask(client, read).await.len()
}

/// Makes a home a device of an account; how long it took from the secret to the end on both sides.
async fn link(old: &Client, home: &Path, name: &str) -> (Client, Duration) {
    let mut offer = old.call(Request::DeviceLink {
        timeout_ms: 600_000,
    });
    let Some(Answer::Link(link)) = offer.recv().await else {
        panic!("no link")
    };
    let new = open(home).await;
    let began = Instant::now();
    let accept = new.call(Request::DeviceAccept {
        secret: link.link,
        relay: None,
        name: Some(name.to_owned()),
    });
    tokio::join!(compare(old, offer), compare(&new, accept));
    (new, began.elapsed())
}

/// Says that the codes are the same, and waits for the end.
async fn compare(client: &Client, mut answers: Answers) {
    loop {
        match answers.recv().await.expect("an answer") {
            Answer::PairingCode(_) => {
                ask(client, Request::LinkCompared { same: true }).await;
            }
            Answer::Done => return,
            Answer::Failed(failure) => panic!("{failure:?}"),
            _ => {}
        }
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn history(folder: &Path) {
    let house = House::open(folder).await;
    let (alice, bob) = acquainted(folder, &house.url).await;
    let began = Instant::now();
    let half = HISTORY / 2;
    tokio::join!(
        write_letters(&alice, "bob", half),
        write_letters(&bob, "alice", half)
    );
    while letters(&alice).await < HISTORY {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!(
        "history of {} letters in {:.1} s",
        letters(&alice).await,
        began.elapsed().as_secs_f64()
    );
    let expected = letters(&alice).await;
    for run in 0..RUNS {
        let cpu_before = cpu();
        let home = folder.join(format!("linked-{run}"));
        let (new, took) = link(&alice, &home, &format!("laptop {run}")).await;
        let used = cpu() - cpu_before;
        assert_eq!(letters(&new).await, expected, "all of it came");
        println!(
            "link, run {run}: {:.2} s, CPU of both devices and the relay {:.2} s",
            took.as_secs_f64(),
            used.as_secs_f64()
        );
        new.close().await;
    }
    restorations(folder, &alice, &house.url, expected).await;
    alice.close().await;
    bob.close().await;
    house.running.shutdown().await;
}

/// Brings the account back in new homes by a sheet.
async fn restorations(folder: &Path, alice: &Client, relay: &str, expected: usize) {
    let began = Instant::now();
    let drawn = ask(alice, Request::RecoverySheet { old: None }).await;
    let sheet = drawn.into_iter().find_map(|answer| match answer {
        Answer::Sheet(sheet) => Some(sheet.sheet),
        _ => None,
    });
    let sheet = sheet.expect("a sheet");
    let retyped = Request::SheetRetyped {
        sheet: sheet.clone(),
        old: None,
    };
    ask(alice, retyped).await;
    println!("first backup: {:.2} s", began.elapsed().as_secs_f64());
    for run in 0..RUNS {
        let (cpu_before, began) = (cpu(), Instant::now());
        let home = open(&folder.join(format!("restored-{run}"))).await;
        let restore = Request::RecoveryRestore {
            sheet: sheet.clone(),
            relay: relay.to_owned(),
            name: Some(format!("restored {run}")),
        };
        ask(&home, restore).await;
        let (took, used) = (began.elapsed(), cpu() - cpu_before);
        assert_eq!(letters(&home).await, expected, "all of it came");
        println!(
            "restoration, run {run}: {:.2} s, CPU of the device and the relay {:.2} s",
            took.as_secs_f64(),
            used.as_secs_f64()
        );
        home.close().await;
    }
}

/// What the relay keeps: rows, bodies, bytes of bodies.
fn kept(database: &Path) -> [i64; 3] {
    let sql = rusqlite::Connection::open(database).unwrap();
    let one = |query: &str| {
        sql.query_row(query, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    [
        one("SELECT count(*) FROM letters"),
        one("SELECT count(*) FROM bodies"),
        one("SELECT coalesce(sum(length(body)), 0) FROM bodies"),
    ]
}

async fn costs(folder: &Path, devices: usize) {
    let house = House::open(folder).await;
    let (alice, bob) = acquainted(folder, &house.url).await;
    let mut others = Vec::new();
    for number in 1..devices {
        let home = folder.join(format!("bob-{number}"));
        others.push(link(&bob, &home, &format!("device {number}")).await.0);
    }
    // The first letter begins the sessions, and their answers end the beginning.
    ask(&alice, numbered("bob", 0)).await;
    for device in std::iter::once(&bob).chain(&others) {
        receive(device).await;
    }
    for device in std::iter::once(&bob).chain(&others) {
        ask(device, numbered("alice", 0)).await;
    }
    receive(&alice).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    bob.close().await;
    for other in others {
        other.close().await;
    }
    let database = folder.join("relay").join("relay.db");
    let (before, cpu_before, began) = (kept(&database), cpu(), Instant::now());
    for number in 0..COUNTED {
        ask(&alice, numbered("bob", number)).await;
    }
    let (cpu_used, took) = (cpu() - cpu_before, began.elapsed());
    let after = kept(&database);
    let each = |at: usize| (after[at] - before[at]) as f64 / COUNTED as f64;
    let ms = |time: Duration| time.as_secs_f64() * 1e3 / COUNTED as f64;
    println!(
        "{devices} devices: {:.2} rows, {:.2} bodies, {:.0} bytes of body a letter; CPU {:.2} ms, wall {:.2} ms",
        each(0),
        each(1),
        each(2),
        ms(cpu_used),
        ms(took)
    );
    alice.close().await;
    house.running.shutdown().await;
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = || tempfile::tempdir_in("/dev/shm").unwrap();
    for devices in [1, 2, 5] {
        let folder = folder();
        runtime.block_on(costs(folder.path(), devices));
    }
    if std::env::args().any(|arg| arg == "costs") {
        return;
    }
    let folder = folder();
    runtime.block_on(history(folder.path()));
}
