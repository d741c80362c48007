//! All devices are lost, and friends are left: real processes, a real relay, hours that a clock put ahead makes pass.

use crate::support::{Person, Ran, Town};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// A code of nobody.
const OTHER: &str = "000G-40R4-0M30-E209-185G-R38E-1ZRF-3WQK-YKTZ-DXZR-XJ5C";

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

/// Alice and people who know her, and whom she knows.
pub(crate) fn friends(town: &Town, names: &[&str]) -> (Person, Vec<Person>) {
    let alice = town.person("alice");
    let friends = names.iter().map(|name| {
        let friend = town.person(name);
        let invite = alice.ok(&["invite"]).line();
        friend.ok(&["contact", "add", &invite]);
        friend.ok(&["send", "alice", "It is me.", "--wait"]);
        assert_eq!(alice.receive(), ["It is me."]);
        alice.ok(&["send", name, "I see.", "--wait"]);
        friend.receive();
        friend
    });
    let friends = friends.collect();
    (alice, friends)
}

/// Whether each guardian is known to have its share.
fn shares(owner: &Person) -> Vec<bool> {
    let state = &owner.json(&["recovery", "guardians"])[0];
    let guardians = state["guardians"].as_array().unwrap().iter();
    guardians
        .map(|guardian| guardian["has_share"].as_bool().unwrap())
        .collect()
}

/// Names guardians, and waits until all of them have said that they have their share.
pub(crate) fn guard(owner: &Person, need: &str, delay: &str, guardians: &[Person]) {
    let mut words = vec!["recovery", "guardians", "--need", need, "--delay", delay];
    words.extend(guardians.iter().map(|guardian| guardian.name.as_str()));
    let state = owner.json(&words);
    assert_eq!(state[0]["answer"], "guardians");
    assert_eq!(
        (&state[0]["in_force"], &state[0]["root_key"]),
        (&true.into(), &true.into())
    );
    for _ in 0..20 {
        for guardian in guardians {
            guardian.receive();
        }
        if shares(owner).iter().all(|has| *has) {
            return;
        }
    }
    panic!("a guardian does not say that it has its share");
}

/// A bare machine asks for an account; the code for the guardians.
pub(crate) fn ask(town: &Town, machine: &Person, account: &str) -> String {
    let ran = machine.ok(&["recovery", "request", account, "--relay", town.url()]);
    assert!(
        ran.stderr.contains("next: letterlock recovery continue"),
        "{ran:?}"
    );
    ran.line()
}

pub(crate) fn approve(guardian: &Person, code: &str) {
    let given = guardian.json(&["recovery", "approve", "alice", code, "--yes"]);
    assert_eq!(
        (&given[0]["answer"], &given[0]["contact"]),
        (&"share".into(), &"alice".into())
    );
}

pub(crate) const CONTINUE: [&str; 2] = ["recovery", "continue"];
const LOOK: [&str; 4] = ["recovery", "continue", "--timeout", "2s"];

fn is_empty(person: &Person) -> bool {
    ["profile.key", "profile.db"]
        .iter()
        .all(|file| !person.home.join(file).exists())
}

#[test]
fn two_of_three_guardians_bring_everything_back() {
    let mut town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol", "dave"]);
    let [bob, carol, dave] = &friends[..] else {
        panic!("three friends");
    };
    alice.ok(&["send", "bob", "before the loss", "--wait"]);
    bob.receive();
    guard(&alice, "2", "1h", &friends);
    let kept = &carol.json(&["recovery", "shares"])[0];
    assert_eq!(
        (&kept["contact"], &kept["need"], &kept["count"]),
        (&"alice".into(), &2.into(), &3.into())
    );
    alice.ok(&["send", "bob", "after the guardians", "--wait"]);
    bob.receive();
    bob.ok(&["send", "alice", "noted", "--wait"]);
    assert_eq!(alice.receive(), ["noted"]);
    let who = text(&alice.json(&["account", "show"])[0], "account_id");
    fs::remove_dir_all(&alice.home).unwrap();

    let new = town.stranger("new");
    let code = ask(&town, &new, "alice");
    assert_eq!(ask(&town, &new, "alice"), code, "it is shown again");
    approve(carol, &code);
    let early = new.run(&LOOK);
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(
        early
            .stderr
            .contains("1 of 2 guardians have said yes; the account opens"),
        "{early:?}"
    );
    // As somebody hears and types it.
    approve(dave, &code.to_lowercase().replace('-', " "));
    let early = new.fails(1, &LOOK);
    assert!(
        text(&early, "message").contains("the delay is not over"),
        "{early}"
    );

    town.pass_hours(3);
    let shown = new.json(&CONTINUE);
    let kinds: Vec<&Value> = shown.iter().map(|object| &object["answer"]).collect();
    assert_eq!(kinds, ["account", "restored"]);
    assert_eq!(shown[0]["account_id"], who.as_str());
    assert_eq!(
        (&shown[1]["contacts"], &shown[1]["complete"]),
        (&3.into(), &true.into())
    );
    let all = [
        "It is me.",
        "I see.",
        "before the loss",
        "after the guardians",
        "noted",
    ];
    assert_eq!(new.read("bob"), all);
    new.ok(&["send", "bob", "I am back", "--wait"]);
    assert_eq!(bob.receive(), ["I am back"]);
    assert_ne!(bob.contact("alice").unwrap()["trust"], "changed");
    bob.ok(&["send", "alice", "welcome", "--wait"]);
    assert_eq!(new.receive(), ["welcome"]);
    new.fails(1, &CONTINUE);
    // What was used once is replaced.
    guard(&new, "2", "2d", &friends[..2]);
    assert!(dave.receive().is_empty());
    assert!(dave.json(&["recovery", "shares"]).is_empty());
}

#[test]
fn a_device_that_is_left_is_warned_and_refuses() {
    let mut town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    guard(&alice, "2", "1h", &friends);
    let thief = town.stranger("thief");
    let code = ask(&town, &thief, "alice");
    for friend in &friends {
        approve(friend, &code);
    }
    let heard = alice.ok(&["receive", "--json"]);
    let alarm = heard
        .stderr
        .lines()
        .find(|line| line.contains("recovery_alarm"));
    let alarm: Value = serde_json::from_str(alarm.unwrap()).unwrap();
    let ready = alarm["ready_at"].as_u64().unwrap();
    assert!(ready.is_multiple_of(3600) && ready >= alarm["asked_at"].as_u64().unwrap() + 3600);
    // From now on every command says so.
    let said = alice.ok(&["contact", "list"]);
    assert!(
        said.stderr
            .contains("WARNING: somebody asks your guardians"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("letterlock recovery cancel"),
        "{said:?}"
    );
    let state = &alice.json(&["recovery", "guardians"])[0];
    assert_eq!(state["request"]["device_id"], alarm["device_id"]);
    let second = town.stranger("second");
    let words = ["recovery", "request", "alice", "--relay", town.url()];
    let waits = second.fails(3, &words);
    assert!(
        text(&waits, "message").contains("somebody asks for this account already"),
        "{waits}"
    );
    assert!(text(&waits, "message").contains(" hours: "), "{waits}");

    let state = &alice.json(&["recovery", "cancel"])[0];
    assert_eq!(state["request"], Value::Null);
    assert!(!alice.ok(&["contact", "list"]).stderr.contains("WARNING"));
    alice.fails(3, &["recovery", "cancel"]);
    let late = friends[0].fails(3, &["recovery", "approve", "alice", &code, "--yes"]);
    assert!(text(&late, "message").contains("nobody asks"), "{late}");
    // What was refused makes room.
    ask(&town, &second, "alice");
    alice.ok(&["recovery", "cancel"]);
    town.pass_hours(3);
    let ended = thief.fails(3, &CONTINUE);
    assert!(text(&ended, "message").contains("cancelled"), "{ended}");
    assert!(is_empty(&thief));
    thief.fails(5, &CONTINUE);
}

#[test]
fn a_request_is_cancelled_by_whom_nobody_had_told_of_it() {
    let town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    alice.fails(3, &["recovery", "cancel"]);
    guard(&alice, "2", "1h", &friends);
    let thief = town.stranger("thief");
    ask(&town, &thief, "alice");
    let state = &alice.json(&["recovery", "cancel"])[0];
    assert_eq!(state["request"], Value::Null);
    thief.fails(3, &CONTINUE);
}

#[test]
fn a_wrong_code_moves_nothing_and_a_request_is_given_up() {
    let town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    guard(&alice, "2", "1h", &friends);
    let bob = &friends[0];
    let refused = |code: i32, typed: &str| {
        let failure = bob.fails(code, &["recovery", "approve", "alice", typed, "--yes"]);
        text(&failure, "message")
    };
    assert!(refused(3, OTHER).contains("nobody asks"));
    let new = town.stranger("new");
    let code = ask(&town, &new, "alice");
    assert!(refused(3, OTHER).contains("not of the request"));
    let mut broken = code.clone();
    broken.replace_range(5..6, "U");
    assert!(refused(2, &broken).contains("group 2 "));
    let last = if code.ends_with('0') { "1" } else { "0" };
    broken.clone_from(&code);
    broken.replace_range(code.len() - 1.., last);
    assert!(refused(2, &broken).contains("checksum"));
    assert!(refused(2, &code[..10]).contains("not 44"));
    bob.fails(2, &["recovery", "approve", "alice", &code]);
    bob.fails(5, &["recovery", "approve", "carol", &code, "--yes"]);
    let seen: Ran = new.run(&LOOK);
    assert!(seen.stderr.contains("0 of 2 guardians"), "{seen:?}");

    let other = new.fails(1, &["recovery", "request", "bob", "--relay", town.url()]);
    assert!(text(&other, "hint").contains("abandon"), "{other}");
    new.ok(&["recovery", "abandon"]);
    assert!(is_empty(&new));
    new.fails(5, &["recovery", "abandon"]);
    assert!(
        refused(3, &code).contains("nobody asks"),
        "its mailbox is gone"
    );
    let nobody = new.fails(3, &["recovery", "request", "bob", "--relay", town.url()]);
    assert!(
        text(&nobody, "message").contains("no guardians"),
        "{nobody}"
    );
    new.fails(5, &["recovery", "request", "eve", "--relay", town.url()]);
    new.fails(
        2,
        &["recovery", "request", "No Name", "--relay", town.url()],
    );
    assert!(is_empty(&new));
}

#[test]
fn a_killed_request_and_a_killed_return_go_on() {
    let mut town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    guard(&alice, "2", "1h", &friends);
    let history = alice.read("bob");
    let new = town.stranger("new");
    let request = ["recovery", "request", "alice", "--relay", town.url()];
    for step in 1..8 {
        let asks = new.start(&request);
        std::thread::sleep(Duration::from_millis(90 * step));
        let ran = asks.kill();
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
    let code = new.ok(&request).line();
    for friend in &friends {
        approve(friend, &code);
    }
    let waits = new.start(&CONTINUE);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(waits.kill().code, None);
    town.pass_hours(3);
    let mut killed = 0;
    let mut done = false;
    for step in 1..12 {
        let returns = new.start(&CONTINUE);
        std::thread::sleep(Duration::from_millis(60 * step));
        let ran = returns.kill();
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        killed += u32::from(ran.code.is_none());
        done = ran.code == Some(0);
        if done {
            break;
        }
    }
    println!("{killed} returns were killed");
    let ran = new.run(&CONTINUE);
    let there = done
        || ran
            .stderr
            .contains("there is an account in this home already");
    assert!(ran.code == Some(0) || there, "{ran:?}");
    assert_eq!(new.read("bob"), history);
    new.ok(&["send", "bob", "I am back", "--wait"]);
    assert_eq!(friends[0].receive(), ["I am back"]);
}

#[test]
fn guardians_are_shown_replaced_and_ended() {
    let town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    let guardians = ["recovery", "guardians"];
    assert!(alice.json(&guardians).is_empty());
    for (code, words) in [
        (2, &["--need", "1", "bob", "carol"][..]),
        (2, &["--need", "3", "bob", "carol"]),
        (2, &["--need", "2", "bob", "bob"]),
        (2, &["--need", "2", "bob", "carol", "--delay", "59s"]),
        (2, &["--need", "2", "bob", "carol", "--delay", "61d"]),
        (5, &["--need", "2", "bob", "eve"]),
        (2, &["bob", "carol"]),
        (2, &["--need", "2"]),
    ] {
        alice.fails(code, &[&guardians[..], words].concat());
    }
    assert!(alice.json(&guardians).is_empty());
    alice.ok(&["contact", "block", "bob"]);
    let blocked = alice.fails(3, &["recovery", "guardians", "--need", "2", "bob", "carol"]);
    assert!(text(&blocked, "message").starts_with("bob: "), "{blocked}");
    alice.ok(&["contact", "block", "bob", "--undo"]);

    guard(&alice, "2", "2d", &friends);
    let people = alice.ok(&guardians).stdout;
    assert!(
        people
            .starts_with("2 of 2 guardians bring the account back, 2 days after they are asked\n"),
        "{people}"
    );
    assert!(
        people.contains("  bob              has the share\n"),
        "{people}"
    );
    let clear = ["recovery", "clear", "guardians"];
    alice.fails(2, &clear);
    alice.ok(&[&clear[..], &["--yes"]].concat());
    assert!(alice.json(&guardians).is_empty());
    alice.fails(5, &[&clear[..], &["--yes"]].concat());
    for friend in &friends {
        let heard = friend.ok(&["receive", "--json"]);
        assert!(heard.stderr.contains("\"share_forgotten\""), "{heard:?}");
        assert!(friend.json(&["recovery", "shares"]).is_empty());
    }
}

/// What would follow if something were lost.
fn outcome(person: &Person, lost: &str) -> String {
    let status = person.json(&["recovery", "status"]);
    let line = status.iter().find(|line| line["lost"] == lost).unwrap();
    text(line, "outcome")
}

#[test]
fn the_status_knows_guardians_and_the_root_key_goes_to_them() {
    let town = Town::new();
    let (alice, friends) = friends(&town, &["bob", "carol"]);
    let words = ["recovery", "guardians", "--need", "2", "bob", "carol"];
    alice.ok(&words);
    assert_eq!(outcome(&alice, "device"), "guardians_incomplete");
    assert_eq!(outcome(&alice, "guardians"), "incomplete");
    guard(&alice, "2", "2d", &friends);
    assert_eq!(outcome(&alice, "device"), "guardians");
    assert_eq!(outcome(&alice, "guardians"), "set");
    let people = alice.ok(&["recovery", "status"]).stdout;
    assert!(
        people.contains("letterlock recovery request NAME"),
        "{people}"
    );

    // The bundle of a sheet has the root key alone, and that of guardians who are named later if the sheet unlocks it.
    alice.ok(&["recovery", "clear", "guardians", "--yes"]);
    assert_eq!(outcome(&alice, "device"), "everything_lost");
    let (bob, carol) = (&friends[0], &friends[1]);
    let dina = town.person("dina");
    let invite = dina.ok(&["invite"]).line();
    for friend in [bob, carol] {
        friend.receive();
    }
    bob.ok(&["contact", "add", &invite]);
    bob.ok(&["send", "dina", "hello", "--wait"]);
    dina.receive();
    dina.ok(&["send", "bob", "hello", "--wait"]);
    let invite = dina.ok(&["invite"]).line();
    carol.ok(&["contact", "add", &invite]);
    carol.ok(&["send", "dina", "hello", "--wait"]);
    dina.receive();
    dina.ok(&["send", "carol", "hello", "--wait"]);
    let sheet = town.path("sheet");
    fs::write(&sheet, dina.ok(&["recovery", "sheet", "--yes"]).line()).unwrap();
    let without = dina.ok(&[&words[..], &["--json"]].concat());
    assert!(
        without.stderr.contains("\"root_key_elsewhere\""),
        "{without:?}"
    );
    assert_eq!(without.objects()[0]["root_key"], false);
    let sheet = sheet.to_str().unwrap();
    let with = dina.json(&[&words[..], &["--sheet", sheet]].concat());
    assert_eq!(with[0]["root_key"], true);
    assert_eq!(outcome(&dina, "device"), "restorable");
}
