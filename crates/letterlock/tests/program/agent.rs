//! Two commands at once on one home: the second asks the process that has it open.

use crate::support::{Town, process::object, text_of};
use rustix::fs::FlockOperation;
use rustix::process::{Signal, kill_process};
use std::time::Duration;

#[test]
fn a_second_command_asks_the_first() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let mut follows = alice.start(&["receive", "--follow", "--json"]);
    for number in 1..=3 {
        let question = format!("question {number}");
        bob.ok(&["send", "alice", &question, "--wait"]);
        let letter = object(&follows.next_line().unwrap());
        assert_eq!(text_of(&letter), question);
        alice.ok(&["send", "bob", &format!("answer {number}"), "--wait"]);
        assert_eq!(alice.read("bob").len(), 1 + 2 * number);
    }
    // No passphrase is needed: the home is open already.
    let mut command = alice.command(&["contact", "list", "--json"]);
    command.env_remove("LETTERLOCK_PASSPHRASE");
    let listed = crate::support::Process::spawn(&mut command).wait();
    assert_eq!((listed.code, listed.objects().len()), (Some(0), 1));

    follows.interrupt();
    let ran = follows.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(bob.receive(), ["answer 1", "answer 2", "answer 3"]);
    assert_eq!(alice.read("bob").len(), 7, "the home opens again");
}

#[test]
fn many_commands_at_once_all_do_their_work() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let started: Vec<_> = (0..6)
        .map(|number| alice.start(&["send", "bob", &format!("at once {number}"), "--wait"]))
        .collect();
    for process in started {
        let ran = process.wait();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let mut texts = bob.receive();
    texts.sort();
    let expected: Vec<String> = (0..6).map(|number| format!("at once {number}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_reader_that_follows_outlives_its_relay_and_the_process_it_asked() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let mut holds = alice.start(&["receive", "--follow", "--json"]);
    bob.ok(&["send", "alice", "one", "--wait"]);
    assert_eq!(text_of(&object(&holds.next_line().unwrap())), "one");
    town.kill_relay();
    town.start_relay();
    bob.ok(&["send", "alice", "two", "--wait"]);
    assert_eq!(text_of(&object(&holds.next_line().unwrap())), "two");

    // A second reader asks the first, whose end is sudden.
    let mut follows = alice.start(&["receive", "--follow", "--json"]);
    alice.ok(&["contact", "list"]);
    holds.kill();
    bob.ok(&["send", "alice", "three", "--wait"]);
    assert_eq!(text_of(&object(&follows.next_line().unwrap())), "three");
    alice.ok(&["send", "bob", "I heard all.", "--wait"]);
    assert_eq!(bob.receive(), ["I heard all."]);
    follows.interrupt();
    assert_eq!(follows.wait().code, Some(0));
}

/// A slow machine, or one with much to do, may take longer to stretch a passphrase than anybody waits for another process.
#[test]
fn whoever_opens_a_home_slowly_is_not_taken_for_another_process() {
    let town = Town::new();
    let alice = town.person("alice");
    let slow = alice.start(&["contact", "list"]);
    let lock = std::fs::File::open(alice.home.join("profile.lock")).unwrap();
    while rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        rustix::fs::flock(&lock, FlockOperation::Unlock).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(slow.pid(), Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(11));
    kill_process(slow.pid(), Signal::CONT).unwrap();
    let ran = slow.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
