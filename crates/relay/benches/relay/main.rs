//! Letters a second, time to acceptance and arrival, memory of idle connections, start with a million letters.
//!
//! `--smoke` runs each for a second; `--data DIR` says on which disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

#[path = "../load/mod.rs"]
mod load;
mod process;

use load::{Connection, Flow, Load, Target, run};
use process::Process;
use std::path::Path;
use std::time::Duration;

/// How much of everything.
struct Scale {
    time: Duration,
    idle: u64,
    waiting: u64,
}

const FULL: Scale = Scale {
    time: Duration::from_secs(20),
    idle: 10_000,
    waiting: 1_000_000,
};
const SMOKE: Scale = Scale {
    time: Duration::from_secs(1),
    idle: 100,
    waiting: 10_000,
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let scale = if arguments.iter().any(|word| word == "--smoke") {
        SMOKE
    } else {
        FULL
    };
    let disk = match arguments.iter().position(|word| word == "--data") {
        Some(at) => tempfile::tempdir_in(&arguments[at + 1]),
        None => tempfile::tempdir(),
    }
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = |name: &str| disk.path().join(name);
    runtime.block_on(async {
        letters(&folder("plain"), &scale, false).await;
        letters(&folder("tls"), &scale, true).await;
        idle(&folder("idle"), &scale).await;
        start(&folder("start"), &scale);
    });
}

fn target(relay: &Process, tls: bool) -> Target {
    if tls {
        Target::tls(relay.address)
    } else {
        Target::plain(relay.address)
    }
}

/// The most that goes through, and the times at half of what is wanted.
async fn letters(data: &Path, scale: &Scale, tls: bool) {
    let over = if tls { "TLS 1.3" } else { "plain" };
    let time = scale.time;
    for (what, pairs, flow) in [
        ("as many as go", 32, Flow::Closed(64)),
        ("5000 a second", 50, Flow::Open(Duration::from_millis(10))),
    ] {
        let relay = Process::serve(&data.join(format!("{pairs}")), tls);
        let report = run(&target(&relay, tls), Load { pairs, flow, time }).await;
        let rate = report.letters as f64 / report.time.as_secs_f64();
        println!(
            "{over}, {what}: {rate:.0} letters/s of 1 KiB accepted, delivered and acknowledged; \
             accepted after {} (p50) {} (p99), delivered after {} (p50) {} (p99); relay {} MiB",
            part(&report.accepted_after, 50),
            part(&report.accepted_after, 99),
            part(&report.delivered_after, 50),
            part(&report.delivered_after, 99),
            relay.resident_kib() / 1024,
        );
    }
}

/// So many hundredths of the times are not longer.
fn part(sorted: &[Duration], hundredths: usize) -> String {
    let at = (sorted.len() * hundredths / 100).min(sorted.len() - 1);
    format!("{:.1} ms", sorted[at].as_secs_f64() * 1000.0)
}

/// Memory of connections on which nothing happens.
async fn idle(data: &Path, scale: &Scale) {
    let relay = Process::serve(data, true);
    let target = target(&relay, true);
    let before = relay.resident_kib();
    println!("idle: {:.1} MiB without connections", mib(before));
    let mut connections = Vec::new();
    for _ in 0..scale.idle {
        connections.push(Connection::open(&target).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = relay.resident_kib();
    println!(
        "idle: {:.1} MiB with {} TLS connections, {:.1} KiB each",
        mib(after),
        scale.idle,
        after.saturating_sub(before) as f64 / scale.idle as f64,
    );
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Time until a relay listens on whose disk many letters wait.
fn start(data: &Path, scale: &Scale) {
    drop(Process::serve(data, false));
    let mut sql = rusqlite::Connection::open(data.join("relay.db")).unwrap();
    let now: i64 = sql
        .query_row("SELECT unixepoch() / 3600 * 3600", [], |row| row.get(0))
        .unwrap();
    let transaction = sql.transaction().unwrap();
    let queues = scale.waiting / 10_000;
    for queue in 1..=queues {
        let id = u128::from(queue).to_be_bytes();
        transaction
            .execute(
                "INSERT INTO queues VALUES (?1, ?2, zeroblob(32), zeroblob(32), 0, ?3)",
                (queue, id, now),
            )
            .unwrap();
        for seq in 1..=10_000 {
            let body = (queue - 1) * 10_000 + seq;
            let add = |statement: &str, values: &[&dyn rusqlite::ToSql]| {
                let mut statement = transaction.prepare_cached(statement).unwrap();
                statement.execute(values).unwrap();
            };
            add("INSERT INTO bodies VALUES (?1, randomblob(1024))", &[&body]);
            add(
                "INSERT INTO letters VALUES (?1, ?2, ?3, ?4)",
                &[&queue, &seq, &body, &now],
            );
        }
    }
    transaction.commit().unwrap();
    drop(sql);
    let relay = Process::serve(data, false);
    println!(
        "start with {} letters that wait: {:.0} ms, {:.1} MiB",
        scale.waiting,
        relay.started_after.as_secs_f64() * 1000.0,
        mib(relay.resident_kib()),
    );
}
