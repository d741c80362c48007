//! Two people make sure of each other: short codes while both are there, or a code that one of them scans.

use crate::support::{Person, Process, Ran, Terminal, Town, process::object};
use serde_json::Value;

const SAS: [&str; 3] = ["contact", "verify", "--sas"];

fn sas<'a>(with: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&SAS[..], &[with], more].concat()
}

fn trust(person: &Person, of: &str) -> String {
    let contact = person.contact(of).unwrap();
    contact["trust"].as_str().unwrap().to_owned()
}

/// Two people who know of each other only what the relay claims.
fn strangers(town: &Town) -> (Person, Person) {
    let (alice, bob) = (town.person("alice"), town.person("bob"));
    for (who, whom) in [(&alice, "bob"), (&bob, "alice")] {
        who.ok(&["contact", "add", &format!("{whom}@{}", town.url())]);
        assert_eq!(trust(who, whom), "claimed");
    }
    (alice, bob)
}

/// What a process with `--json` said on standard error, of one kind.
fn said(ran: &Ran, answer: &str) -> Vec<Value> {
    let lines = ran.stderr.lines().map(object);
    lines.filter(|line| line["answer"] == answer).collect()
}

/// Pictures and digits, without the name of whom they are compared with.
fn code_of(ran: &Ran) -> (Vec<Value>, String) {
    let shown = said(ran, "sas");
    assert_eq!(shown.len(), 1, "{ran:?}");
    let emoji = shown[0]["emoji"].as_array().unwrap().clone();
    let digits = shown[0]["digits"].as_str().unwrap().to_owned();
    assert_eq!((emoji.len(), digits.len()), (7, 8));
    (emoji, digits)
}

/// Waits for a person who compares with `--yes --json`.
fn verified(process: Process) -> Ran {
    let ran = process.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.objects().len(), 1, "{ran:?}");
    assert_eq!(ran.objects()[0]["trust"], "verified");
    ran
}

#[test]
fn both_compare_and_are_sure_of_each_other() {
    let town = Town::new();
    let (alice, bob) = strangers(&town);
    let one = alice.start(&sas("bob", &["--yes", "--json"]));
    let other = bob.start(&sas("alice", &["--yes", "--json"]));
    let (one, other) = (verified(one), verified(other));
    assert_eq!(code_of(&one), code_of(&other));
    assert_eq!(said(&one, "sas")[0]["contact"], "bob");
    assert_eq!((trust(&alice, "bob"), trust(&bob, "alice")).0, "verified");
    assert_eq!(trust(&bob, "alice"), "verified");
    assert!(alice.receive().is_empty(), "no letter comes of it");
}

#[test]
fn who_only_listens_is_told_and_joins_beside_it() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    bob.ok(&["receive"]);
    let mut follows = Terminal::open(&mut bob.command(&["receive", "--follow"]));
    // Alice's home is held by another process too.
    let holds = alice.start(&["receive", "--follow"]);
    alice.ok(&["contact", "list"]);
    let mut asks = Terminal::open(&mut alice.command(&sas("bob", &[])));
    let typed = follows.wait_for("alice wants to compare codes with you now; to join: ", "\r");
    assert_eq!(typed, "letterlock contact verify alice --sas");
    let mut joins = Terminal::open(&mut bob.command(&sas("alice", &[])));
    let (asked, joined) = (shown_at(&mut asks, "bob"), shown_at(&mut joins, "alice"));
    assert_eq!(asked, joined);
    // It takes no new requests from now on, but sees to the end what is under way.
    holds.interrupt();
    asks.answer("y");
    joins.answer("yes");
    assert!(asks.next_line().ends_with("verified"));
    assert!(joins.next_line().ends_with("verified"));
    assert_eq!((asks.end(), joins.end()), (Some(0), Some(0)));
    assert_eq!(holds.wait().code, Some(0));
    assert_eq!(trust(&alice, "bob"), "verified");
    let number = alice.json(&["contact", "verify", "bob", "--number"]);
    assert_eq!(number[0]["verified"], true);
}

/// What stands at a terminal between the first line and the question.
fn shown_at(terminal: &mut Terminal, with: &str) -> String {
    let shown = terminal.wait_for("--sas\r\n", "Does ");
    let asked = terminal.wait_for("Does ", " [y/N]");
    assert_eq!(asked, format!("{with} see the same?"));
    let digits = shown.split_once("  or ").unwrap().1.trim();
    assert_eq!(digits.len(), 9, "{shown}");
    shown
}

#[test]
fn who_says_no_verifies_nobody_on_either_side() {
    let town = Town::new();
    let (alice, bob) = strangers(&town);
    for first in ["y", "n"] {
        let mut one = Terminal::open(&mut alice.command(&sas("bob", &[])));
        let mut other = Terminal::open(&mut bob.command(&sas("alice", &[])));
        assert_eq!(shown_at(&mut one, "bob"), shown_at(&mut other, "alice"));
        one.answer(first);
        if first == "y" {
            one.wait_for("waiting for what bob says", "\r");
            other.answer("");
        }
        for mut terminal in [one, other] {
            terminal.wait_for("error: the codes differ\r\nhint: somebody may stand ", "\r");
            assert_eq!(terminal.end(), Some(3));
        }
        assert_eq!(trust(&alice, "bob"), "claimed");
        assert_eq!(trust(&bob, "alice"), "claimed");
    }
}

#[test]
fn who_leaves_ends_it_on_the_other_side_too() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    bob.ok(&["receive"]);
    // In the process that holds the home, and beside one.
    let mut holds = None;
    for _ in 0..2 {
        let mut one = Terminal::open(&mut alice.command(&sas("bob", &[])));
        let mut other = Terminal::open(&mut bob.command(&sas("alice", &[])));
        assert_eq!(shown_at(&mut one, "bob"), shown_at(&mut other, "alice"));
        one.interrupt();
        one.wait_for("stopped on both sides", "\r");
        assert_eq!(one.end(), Some(130));
        other.wait_for("error: the comparison was stopped\r\nhint: ", "\r");
        assert_eq!(other.end(), Some(1));
        holds = Some(alice.start(&["receive", "--follow"]));
        alice.ok(&["contact", "list"]);
    }
    drop(holds);
    // Nothing of it is left over.
    let one = alice.start(&sas("bob", &["--yes", "--json"]));
    let other = bob.start(&sas("alice", &["--yes", "--json"]));
    assert_eq!(code_of(&verified(one)), code_of(&verified(other)));
}

#[test]
fn nobody_answers_or_nobody_may() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let late = alice.fails(1, &sas("bob", &["--yes", "--timeout", "2s"]));
    let ran = bob.run(&["receive", "--json"]);
    assert!(said(&ran, "notice").is_empty(), "it is over: {ran:?}");
    let text = |failure: &Value, field: &str| failure[field].as_str().unwrap().to_owned();
    assert!(text(&late, "message").contains("did not answer in time"));
    assert!(text(&late, "hint").contains("letterlock contact verify NAME --sas"));
    // What was asked for too early is over: it is not joined by mistake.
    let late = bob.fails(1, &sas("alice", &["--yes", "--timeout", "2s"]));
    assert!(text(&late, "message").contains("did not answer in time"));

    alice.fails(2, &sas("bob", &[]));
    alice.fails(5, &sas("nobody", &["--yes"]));
    alice.ok(&["contact", "block", "bob"]);
    let blocked = alice.fails(3, &sas("bob", &["--yes"]));
    assert!(text(&blocked, "hint").contains("--undo"));
    alice.ok(&["contact", "block", "bob", "--undo"]);
    town.stop_relay();
    alice.fails(4, &sas("bob", &["--yes"]));
    for flag in ["--qr", "--scan"] {
        let code = [flag, "letterlock-verify-1:AE"];
        let words = [&["contact", "verify", "bob"], &code[..]].concat();
        alice.fails(if flag == "--qr" { 2 } else { 3 }, &words);
    }
    alice.fails(4, &["contact", "verify", "bob", "--qr"]);
}

#[test]
fn whoever_says_equal_first_need_not_wait_for_ever() {
    let town = Town::new();
    let (alice, bob) = strangers(&town);
    let mut other = Terminal::open(&mut bob.command(&sas("alice", &[])));
    other.wait_for("waiting for alice", "\r");
    let one = alice.start(&sas("bob", &["--yes", "--timeout", "8s", "--json"]));
    shown_at(&mut other, "alice");
    let one = verified(one);
    assert_eq!(said(&one, "notice")[0]["notice"], "sas_one_sided");
    let mut follows = Terminal::open(&mut alice.command(&["receive", "--follow"]));
    other.answer("no");
    assert_eq!(other.end(), Some(3));
    follows.wait_for("note: bob says that the codes differ", "\r");
    assert_eq!(trust(&alice, "bob"), "claimed");
    assert_eq!(trust(&bob, "alice"), "claimed");
}

/// The code that one person shows to another.
fn shown(person: &Person, to: &str) -> String {
    let ran = person.ok(&["contact", "verify", to, "--qr"]);
    assert!(ran.stderr.contains('█') && ran.stderr.contains("--scan"));
    ran.line()
}

#[test]
fn each_scans_what_the_other_shows() {
    let town = Town::new();
    let (alice, bob) = strangers(&town);
    let code = shown(&bob, "alice");
    assert!(code.starts_with("letterlock-verify-1:"), "{code}");
    let scanned = alice.json(&["contact", "verify", "bob", "--scan", &code]);
    assert_eq!(scanned[0]["trust"], "verified");
    assert_eq!(trust(&bob, "alice"), "claimed");
    let code = town.path("code");
    std::fs::write(&code, shown(&alice, "bob") + "\n").unwrap();
    let mut command = bob.command(&["contact", "verify", "alice", "--scan", "-"]);
    let ran = Process::spawn(command.stdin(std::fs::File::open(code).unwrap())).wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.line().ends_with("verified"));
    assert_eq!(trust(&bob, "alice"), "verified");
}

#[test]
fn a_code_of_somebody_else_verifies_nobody() {
    let town = Town::new();
    let (alice, bob) = strangers(&town);
    let eve = town.person("eve");
    eve.ok(&["contact", "add", &format!("alice@{}", town.url())]);
    bob.ok(&["contact", "add", &format!("eve@{}", town.url())]);
    let good = shown(&bob, "alice");
    let cut = good[..good.len() - 2].to_owned();
    let mut others = Vec::new();
    for code in [shown(&eve, "alice"), shown(&bob, "eve")] {
        let refused = alice.fails(3, &["contact", "verify", "bob", "--scan", &code]);
        others.push(refused["message"].clone());
    }
    assert_eq!(others[0], others[1], "what of it fits is not said");
    let message = others[0].as_str().unwrap();
    assert!(message.contains("not the code that this contact shows"));
    for code in [&shown(&alice, "bob"), &cut, "hello"] {
        alice.fails(3, &["contact", "verify", "bob", "--scan", code]);
    }
    assert_eq!(trust(&alice, "bob"), "claimed");
    alice.ok(&["contact", "verify", "bob", "--scan", &good]);
    alice.fails(5, &["contact", "verify", "nobody", "--qr"]);
    alice.fails(2, &["contact", "verify", "bob", "--scan", "-"]);
}
