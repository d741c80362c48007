//! `kill -9` in the middle of what writes files: the next command of its kind leaves no trace of it.

use crate::give::{Side, blobs, noise, ok};
use crate::sealed::{empty, text};
use crate::support::{AtLimit, Person, Process, Proxy, Town};
use crate::vault_sync::eventually;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Parts in a folder: what somebody writes, or wrote until he was killed.
fn part_names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).into_iter().flatten();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_part = |name: &String| name.starts_with(".letterlock-") && name.ends_with(".part");
    // What is fetched has the name of its blob.
    let ours = names.filter(is_part).filter(|name| name.len() == 33);
    ours.collect()
}

fn parts(folder: &Path) -> usize {
    part_names(folder).len()
}

/// Kills a process when something is so; false if it ended before.
fn kill_when(mut process: Process, holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if process.has_ended() {
            let ran = process.wait();
            assert_eq!(ran.code, Some(0), "{ran:?}");
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "it never is so");
        std::thread::sleep(Duration::from_micros(200));
    }
    process.kill();
    true
}

/// Kills a command again and again, until it leaves a part.
fn killed_with_a_part(folder: &Path, start: impl Fn() -> Process) {
    for _ in 0..50 {
        kill_when(start(), || parts(folder) > 0);
        if parts(folder) > 0 {
            return;
        }
    }
    panic!("no kill fell in between");
}

/// Begins to seal what comes, and waits until it writes.
fn sealing(person: &Person, folder: &Path, name: &str) -> Process {
    let out = folder.join(name);
    let mut command = person.command(&["seal", "--to", "bob", "--out", text(&out)]);
    let before = part_names(folder);
    let sealing = Process::spawn(command.stdin(Stdio::piped()));
    eventually("a part", || !part_names(folder).is_subset(&before));
    sealing
}

#[test]
fn what_a_killed_seal_left_goes_with_the_next_and_no_others() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let folder = empty(&town, "sealed");
    let file = town.path("file");
    fs::write(&file, b"content").unwrap();
    sealing(&alice, &folder, "never").kill();
    assert_eq!(parts(&folder), 1);
    // Somebody else who writes there now is not disturbed.
    let mut other = sealing(&alice, &folder, "slow");
    assert_eq!(parts(&folder), 1);
    let out = folder.join("whole");
    alice.ok(&["seal", text(&file), "--to", "bob", "--out", text(&out)]);
    assert_eq!(parts(&folder), 1);
    other.end_input();
    ok(&other.wait());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    assert!(folder.join("slow").exists() && out.exists());
}

#[test]
fn what_a_killed_open_left_goes_with_the_next() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let plans = empty(&town, "plans");
    for number in 0..300 {
        fs::write(plans.join(number.to_string()), vec![7; 60_000]).unwrap();
    }
    let sealed = town.path("plans.lock");
    alice.ok(&["seal", text(&plans), "--to", "bob", "--out", text(&sealed)]);
    let out = town.path("out");
    let words = ["open", text(&sealed), "--out", text(&out), "--force"];
    killed_with_a_part(&out, || bob.start(&words));
    bob.ok(&words);
    let names = fs::read_dir(&out).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["plans"]);
    assert_eq!(fs::read_dir(out.join("plans")).unwrap().count(), 300);
}

#[test]
fn what_a_killed_get_or_sync_left_goes_with_the_next() {
    let town = Town::new();
    let network = Proxy::new(town.authority(), AtLimit::Hold, u64::MAX);
    let alice = town.stranger("alice");
    alice.ok(&["account", "create", "alice", "--relay", network.url()]);
    alice.ok(&["vault", "create", "plans"]);
    let long = noise(6_000_000);
    let file = town.path("long");
    fs::write(&file, &long).unwrap();
    alice.ok(&["vault", "put", "plans", text(&file)]);
    let (out, folder) = (empty(&town, "out"), town.path("folder"));
    let get = ["vault", "get", "plans", "long", "--out", text(&out)];
    let sync = ["vault", "sync", "plans", text(&folder)];
    let new = folder.join(".letterlock-sync/new");
    network.open(2_000_000);
    let getting = alice.start(&get);
    assert!(kill_when(getting, || parts(&out) > 0));
    assert_eq!(parts(&out), 1);
    network.open(2_000_000);
    let syncing = alice.start(&sync);
    assert!(kill_when(syncing, || new.exists()));
    assert!(new.exists());
    network.open(u64::MAX);
    alice.ok(&get);
    let names: Vec<_> = fs::read_dir(&out).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    alice.ok(&sync);
    assert!(!new.exists());
    assert!(fs::read(out.join("long")).unwrap() == long);
    assert!(fs::read(folder.join("long")).unwrap() == long);
}

/// What was fetched is wanted still; what was opened of it is not.
#[test]
fn what_a_killed_take_left_goes_with_the_next() {
    let town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(30_000_000);
    fs::write(alice.path("f"), &content).unwrap();
    let (giving, code) = alice.give(&["f"], town.url());
    blobs(&town, 1);
    killed_with_a_part(&bob.folder, || {
        bob.start(&["take", &code, "--force"], town.url())
    });
    // What a giver leaves that was killed while it wrote.
    let notes = alice.path("state/letterlock/give");
    fs::write(notes.join("aaaaaaaa.new"), b"half").unwrap();
    ok(&bob.run(&["take", &code, "--force"], town.url()));
    ok(&giving.wait());
    assert!(fs::read(bob.path("f")).unwrap() == content);
    assert_eq!((bob.files(), bob.notes()), (vec!["f".to_owned()], 0));
    let (next, _) = alice.give(&["f"], town.url());
    next.interrupt();
    assert_eq!(next.wait().code, Some(130));
    assert_eq!(alice.notes(), 0);
}
