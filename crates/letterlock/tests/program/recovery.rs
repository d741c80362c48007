//! All devices are lost, and a sheet of paper is left: real processes, a real relay.

use crate::support::{Person, Process, Ran, Town};
use rusqlite::types::Value as Cell;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A sheet of nobody.
const OTHER: &str = "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-BKFG";

/// Draws a sheet, and writes it to a file.
pub(crate) fn paper(town: &Town, person: &Person, file: &str) -> PathBuf {
    let sheet = person.ok(&["recovery", "sheet", "--yes"]).line();
    let path = town.path(file);
    fs::write(&path, format!("{sheet}\n")).unwrap();
    path
}

fn restore_words<'a>(town: &'a Town, sheet: &'a Path) -> Vec<&'a str> {
    let sheet = sheet.to_str().unwrap();
    vec![
        "recovery",
        "restore",
        "--relay",
        town.url(),
        "--sheet",
        sheet,
    ]
}

/// Makes a new home of somebody who has nothing but a sheet.
pub(crate) fn restore(town: &Town, name: &str, sheet: &Path) -> (Person, Vec<Value>) {
    let person = town.stranger(name);
    let mut words = restore_words(town, sheet);
    words.extend(["--name", name]);
    let shown = person.json(&words);
    (person, shown)
}

/// Whether there is no profile, so that the next attempt may choose another passphrase.
fn has_nothing(person: &Person) -> bool {
    ["profile.key", "profile.db"]
        .iter()
        .all(|file| !person.home.join(file).exists())
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

fn account(person: &Person) -> String {
    text(&person.json(&["account", "show"])[0], "account_id")
}

/// What would follow if something were lost.
fn outcome(person: &Person, lost: &str) -> String {
    let status = person.json(&["recovery", "status"]);
    let line = status.iter().find(|line| line["lost"] == lost).unwrap();
    assert_eq!(line["answer"], "recovery");
    text(line, "outcome")
}

#[test]
fn a_sheet_brings_account_contacts_and_letters_back() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["send", "bob", "before the sheet", "--wait"]);
    let sheet = paper(&town, &alice, "sheet");
    bob.receive();
    bob.ok(&["send", "alice", "after the sheet", "--wait"]);
    assert_eq!(alice.receive(), ["after the sheet"]);
    alice.ok(&["send", "bob", "and an answer", "--wait"]);
    let who = account(&alice);
    fs::remove_dir_all(&alice.home).unwrap();

    let (again, shown) = restore(&town, "again", &sheet);
    let kinds: Vec<&Value> = shown.iter().map(|object| &object["answer"]).collect();
    assert_eq!(kinds, ["account", "restored"]);
    assert_eq!(shown[0]["account_id"], who.as_str());
    let back = &shown[1];
    assert_eq!(
        (&back["contacts"], &back["letters"]),
        (&1.into(), &4.into())
    );
    assert_eq!(back["complete"], true);
    assert!(back["backup_at"].as_u64().unwrap() > 1_700_000_000);

    assert!(again.contact("bob").is_some());
    let all = [
        "It is me.",
        "before the sheet",
        "after the sheet",
        "and an answer",
    ];
    assert_eq!(again.read("bob"), all);
    assert!(again.receive().is_empty(), "all of it was read before");
    again.ok(&["send", "bob", "I am back", "--wait"]);
    // The new device has a queue of its own, so its letter may come before the one that waited.
    let mut heard = bob.receive();
    heard.sort();
    assert_eq!(heard, ["I am back", "and an answer"]);
    assert_ne!(bob.contact("alice").unwrap()["trust"], "changed");
    bob.ok(&["send", "alice", "welcome", "--wait"]);
    assert_eq!(again.receive(), ["welcome"]);

    // The one that is lost goes out of force by the one that is there.
    let devices = again.json(&["device", "list"]);
    let lost = devices
        .iter()
        .find(|device| device["this"] == false)
        .unwrap();
    let lost = text(lost, "name");
    again.ok(&["device", "revoke", &lost, "--reason", "lost", "--yes"]);
}

#[test]
fn a_sheet_restores_again_and_again() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let sheet = paper(&town, &alice, "sheet");
    let (second, _) = restore(&town, "second", &sheet);
    let mut words = restore_words(&town, &sheet);
    let refused = second.fails(1, &words);
    assert!(text(&refused, "message").contains("already"), "{refused}");
    second.ok(&["send", "bob", "from the second", "--wait"]);
    let (third, _) = restore(&town, "third", &sheet);
    assert_eq!(third.read("bob"), ["It is me.", "from the second"]);
    bob.receive();
    bob.ok(&["send", "alice", "to all of you", "--wait"]);
    assert_eq!(second.receive(), ["to all of you"]);
    third.receive();
    assert_eq!(third.read("bob").last().unwrap(), "to all of you");
    words.push("--yes");
    second.fails(2, &words);
}

#[test]
fn what_is_no_sheet_or_no_relay_is_told_and_leaves_nothing() {
    let mut town = Town::new();
    let alice = town.person("alice");
    let sheet = paper(&town, &alice, "sheet");
    let good = fs::read_to_string(&sheet).unwrap();
    let bad = town.path("bad");
    let new = town.stranger("new");
    let fails = |code, typed: &str| {
        fs::write(&bad, typed).unwrap();
        let failure = new.fails(code, &restore_words(&town, &bad));
        assert!(has_nothing(&new), "{typed}");
        text(&failure, "message")
    };
    for group in 0..13 {
        let mut typed: Vec<String> = good.trim().split('-').map(str::to_owned).collect();
        typed[group].replace_range(2..3, "U");
        let told = fails(2, &typed.join(" "));
        assert!(told.contains(&format!("group {} ", group + 1)), "{told}");
    }
    let swapped = good.trim().chars().rev().collect::<String>();
    assert!(fails(2, &swapped).contains("checksum"));
    assert!(fails(2, &good[..10]).contains("not 52"));
    assert!(fails(5, OTHER).contains("no backup"));
    // Written as somebody types it.
    let typed = good.to_lowercase().replace('-', " ");
    fs::write(&bad, typed).unwrap();
    town.stop_relay();
    new.fails(4, &restore_words(&town, &bad));
    assert!(has_nothing(&new));
    town.start_relay();
    new.ok(&restore_words(&town, &bad));
    assert_eq!(account(&new), account(&alice));
}

#[test]
fn a_killed_restoration_goes_on() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let long = "A letter of some length. ".repeat(1900);
    for number in 0..40 {
        alice.ok(&["send", "bob", &format!("{number} {long}")]);
    }
    alice.ok(&["send", "bob", "the last", "--wait"]);
    let sheet = paper(&town, &alice, "sheet");
    let history = alice.read("bob");
    let new = town.stranger("new");
    let words = restore_words(&town, &sheet);
    let mut killed = 0;
    let mut done = false;
    // Sooner or later in its life, whatever this machine's pace is.
    for step in 0..12 {
        let restores = new.start(&words);
        std::thread::sleep(Duration::from_millis(60 * step));
        let ran = restores.kill();
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        killed += u32::from(ran.code.is_none());
        done = ran.code == Some(0);
        if done {
            break;
        }
    }
    println!("{killed} restorations were killed");
    let ran = new.run(&words);
    let there = done
        || ran
            .stderr
            .contains("there is an account in this home already");
    assert!(ran.code == Some(0) || there, "{ran:?}");
    assert_eq!(new.read("bob"), history);
    new.ok(&["send", "bob", "I am back", "--wait"]);
    assert!(bob.receive().contains(&"I am back".to_owned()));
}

#[test]
fn the_page_is_one_and_for_its_owner() {
    let town = Town::new();
    let alice = town.person("alice");
    let file = town.path("sheet.pdf");
    let name = file.to_str().unwrap();
    let words = ["recovery", "sheet", "--pdf", name];
    // Standard input is empty: it is not retyped, and its page goes again.
    assert_eq!(alice.run(&words).code, Some(2));
    assert!(!file.exists());
    let drawn = alice.ok(&[&words[..], &["--yes"]].concat()).line();
    let page = fs::read(&file).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = String::from_utf8_lossy(&page);
    assert!(shown.starts_with("%PDF-"));
    assert_eq!(shown.matches("/Type /Page\n").count(), 1);
    for group in drawn.split('-') {
        assert!(shown.contains(&format!("({group}) Tj")), "{group}");
    }
    assert!(shown.contains(&format!("(alice@{}) Tj", town.authority())));
    alice.fails(2, &[&words[..], &["--yes"]].concat());
    assert_eq!(fs::read(&file).unwrap(), page);
}

#[test]
fn a_new_sheet_ends_the_old_one_and_takes_the_root_key_over() {
    let town = Town::new();
    let alice = town.person("alice");
    let rotate = ["device", "rotate", "--root"];
    let first = paper(&town, &alice, "first");
    let refused = alice.fails(3, &rotate);
    assert!(text(&refused, "hint").contains("--sheet -"), "{refused}");
    let first = first.to_str().unwrap();
    alice.fails(2, &["device", "rotate", "--sheet", first]);
    alice.ok(&[&rotate[..], &["--sheet", first]].concat());

    let drawn = alice
        .ok(&["recovery", "sheet", "--yes", "--old", first])
        .line();
    let second = town.path("second");
    fs::write(&second, drawn).unwrap();
    let refused = alice.fails(3, &[&rotate[..], &["--sheet", first]].concat());
    assert!(
        text(&refused, "message").contains("not in force"),
        "{refused}"
    );
    let thief = town.stranger("thief");
    let failure = thief.run(&restore_words(&town, &town.path("first")));
    assert!(matches!(failure.code, Some(3 | 5)), "{failure:?}");
    assert!(has_nothing(&thief));
    let (again, _) = restore(&town, "again", &second);
    let second = second.to_str().unwrap();
    again.ok(&[&rotate[..], &["--sheet", second]].concat());
    let kinds: Vec<String> = again
        .json(&["account", "log"])
        .iter()
        .map(|entry| text(entry, "kind"))
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "rotate-root").count(),
        2,
        "{kinds:?}"
    );
}

#[test]
fn the_status_says_what_is_so() {
    let mut town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    assert_eq!(outcome(&alice, "device"), "everything_lost");
    assert_eq!(outcome(&alice, "sheet"), "none");
    assert_eq!(outcome(&alice, "guardians"), "none");
    let sheet = paper(&town, &alice, "sheet");
    assert_eq!(outcome(&alice, "device"), "restorable");
    assert_eq!(outcome(&alice, "sheet"), "backup_complete");
    town.stop_relay();
    alice.ok(&["send", "bob", "nobody keeps a copy yet", "--timeout", "1s"]);
    assert_eq!(outcome(&alice, "device"), "restorable_in_part");
    assert_eq!(outcome(&alice, "sheet"), "backup_incomplete");
    town.start_relay();
    alice.receive();
    assert_eq!(outcome(&alice, "sheet"), "backup_complete");

    let (second, _) = restore(&town, "second", &sheet);
    alice.receive();
    for (person, word) in [(&alice, "others_remain"), (&second, "others_remain")] {
        assert_eq!(outcome(person, "device"), word);
        assert!(outcome(person, "all_devices").starts_with("restorable"));
    }
    let people = second.ok(&["recovery", "status"]).stdout;
    assert!(
        people.contains("if this device, second, is lost:\n"),
        "{people}"
    );
    assert!(people.contains("if the sheet is lost:\n"), "{people}");
    assert!(people.contains("  backup: written "), "{people}");
}

fn relay_db(town: &Town) -> rusqlite::Connection {
    rusqlite::Connection::open(town.relay_data().join("relay.db")).unwrap()
}

#[test]
fn a_log_that_was_put_back_is_refused() {
    let mut town = Town::new();
    let alice = town.person("alice");
    let old: Vec<u8> = relay_db(&town)
        .query_row("SELECT log FROM accounts", [], |row| row.get(0))
        .unwrap();
    let sheet = paper(&town, &alice, "sheet");
    town.stop_relay();
    let changed = relay_db(&town).execute("UPDATE accounts SET log = ?1", [old]);
    assert_eq!(changed.unwrap(), 1);
    town.start_relay();
    let new = town.stranger("new");
    let refused = new.fails(3, &restore_words(&town, &sheet));
    assert!(
        text(&refused, "message").contains("does not fit the backup"),
        "{refused}"
    );
    assert!(has_nothing(&new));
}

#[test]
fn an_old_backup_is_noticed_by_the_first_answer() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let sheet = paper(&town, &alice, "sheet");
    let columns = ["version", "previous", "signature", "body"];
    let read = format!("SELECT {} FROM heads", columns.join(", "));
    let old: Vec<Cell> = relay_db(&town)
        .query_row(&read, [], |row| {
            (0..4).map(|place| row.get(place)).collect()
        })
        .unwrap();
    for number in 0..3 {
        alice.ok(&["send", "bob", &format!("letter {number}"), "--wait"]);
        bob.receive();
        bob.ok(&["send", "alice", "noted", "--wait"]);
        alice.receive();
    }
    town.stop_relay();
    let places: Vec<String> = columns.iter().map(|name| format!("{name} = ?")).collect();
    let write = format!("UPDATE heads SET {}", places.join(", "));
    let changed = relay_db(&town).execute(&write, rusqlite::params_from_iter(old));
    assert_eq!(changed.unwrap(), 1);
    town.start_relay();
    let (new, _) = restore(&town, "new", &sheet);
    new.ok(&["send", "bob", "back", "--wait"]);
    assert_eq!(bob.receive(), ["back"]);
    bob.ok(&["send", "alice", "you lost something", "--wait"]);
    let heard = new.ok(&["receive", "--json"]);
    assert!(heard.stderr.contains("\"backup_rolled_back\""), "{heard:?}");
}

#[test]
fn a_sheet_without_its_relay_comes_into_force_later() {
    let mut town = Town::new();
    let alice = town.person("alice");
    town.stop_relay();
    let ran: Ran = alice.run(&["recovery", "sheet", "--yes"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let sheet = town.path("sheet");
    fs::write(&sheet, ran.line()).unwrap();
    assert_eq!(outcome(&alice, "sheet"), "none");
    town.start_relay();
    let mut follows: Process = alice.start(&["receive", "--timeout", "3s"]);
    while !follows.has_ended() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(outcome(&alice, "sheet"), "backup_complete");
    restore(&town, "new", &sheet);
}
