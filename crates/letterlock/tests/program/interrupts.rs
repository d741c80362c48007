//! Ctrl-C, and readers that leave.

use crate::support::{Town, letterlock};
use std::io::Read as _;
use std::process::Stdio;

#[test]
fn a_relay_stops_at_an_interrupt_and_starts_again() {
    let mut town = Town::new();
    let alice = town.person("alice");
    town.stop_relay();
    town.start_relay();
    alice.ok(&["invite"]);
}

#[test]
fn an_interrupted_wait_ends_with_the_code_of_an_interrupt() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let waits = alice.start(&["receive", "--timeout", "60s"]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    waits.interrupt();
    let ran = waits.wait();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
    assert!(!ran.stderr.contains("panic"), "{ran:?}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for words in [
        &["completions", "bash"][..],
        &["--help"],
        &["completions", "zsh", "--json"],
    ] {
        let mut child = letterlock()
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{words:?}");
    }
}
