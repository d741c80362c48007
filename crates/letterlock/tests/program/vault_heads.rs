//! Heads of vaults that a member spoils: real processes, a real relay.

use crate::sealed::{empty, text};
use crate::support::{Person, Town};
use crate::vault_files::{shared, third};
use crate::vault_sync::eventually;
use crate::vaults::{until, vault};
use client::Client;
use client::api::{Answer, Request};
use client::view::VaultAccess;
use data_encoding::HEXLOWER;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use testkit::head_of_anybody;

/// What opens a vault, as the program of any member has it.
fn access(person: &Person) -> VaultAccess {
    let asked = async {
        let passphrase = client::SecretBytes::new(person.passphrase().into_bytes());
        let client = Client::open(&person.home, passphrase).await.unwrap();
        let vault = "plans".to_owned();
        let mut answers = client.call(Request::VaultAccess { vault });
        let mut found = None;
        while let Some(answer) = answers.recv().await {
            match answer {
                Answer::VaultAccess(access) => found = Some(access),
                Answer::Done => break,
                Answer::Failed(failure) => panic!("{failure:?}"),
                _ => {}
            }
        }
        client.close().await;
        found.unwrap()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(asked)
}

fn relay_db(town: &Town) -> Connection {
    Connection::open(town.relay_data().join("relay.db")).unwrap()
}

/// A member, who has the key, writes something into the head of a generation.
fn spoil(town: &Town, member: &VaultAccess, generation: u32, version: u64) {
    let mut keys = member.keys.iter();
    let key = keys.find(|key| key.generation == generation).unwrap();
    let key = HEXLOWER.decode(key.key.as_str().as_bytes()).unwrap();
    let head = head_of_anybody(&key, &member.id, (1, version), &[7; 8192]).unwrap();
    let write = "UPDATE heads SET version = ?2, previous = ?3, body = ?4, signature = ?5 WHERE public_key = ?1";
    let row = params![
        head.public_key,
        head.version,
        head.previous,
        head.body,
        head.signature
    ];
    assert_eq!(relay_db(town).execute(write, row).unwrap(), 1);
}

fn put(person: &Person, folder: &Path, content: &str) {
    let note = folder.join("note");
    fs::write(&note, content).unwrap();
    person.ok(&["vault", "put", "plans", text(&note)]);
}

fn get(person: &Person, folder: &Path) -> (String, String) {
    let get = ["vault", "get", "plans", "note", "--force", "--out"];
    let ran = person.ok(&[&get[..], &[text(folder)]].concat());
    (fs::read_to_string(folder.join("note")).unwrap(), ran.stderr)
}

/// Whatever a reader does to the head, all go on with what they knew, and whoever may write writes over it.
#[test]
fn a_spoilt_head_ends_no_vault() {
    let mut town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    assert_eq!(get(&bob, &out), ("first".to_owned(), String::new()));
    let reader = access(&bob);

    // It does not open.
    spoil(&town, &reader, 1, 100);
    let (read, told) = get(&bob, &out);
    assert_eq!(read, "first");
    assert!(told.contains("is the newest that is known here"), "{told}");
    put(&alice, &from, "second");
    assert_eq!(get(&bob, &out), ("second".to_owned(), String::new()));
    // What a spoilt head needs is there also where nothing changes.
    spoil(&town, &reader, 1, 200);
    alice.ok(&["vault", "put", "plans", text(&from.join("note"))]);
    assert_eq!(get(&bob, &out), ("second".to_owned(), String::new()));

    // It was deleted, behind versions that nobody saw.
    let delete = "UPDATE heads SET body = NULL, version = 4711 WHERE version > 200";
    assert_eq!(relay_db(&town).execute(delete, []).unwrap(), 1);
    assert_eq!(get(&bob, &out).0, "second");
    put(&alice, &from, "third");
    assert_eq!(get(&bob, &out), ("third".to_owned(), String::new()));

    // The relay is set back, or forgot it.
    let columns = ["version", "previous", "signature", "body"];
    let read = format!(
        "SELECT {} FROM heads WHERE version > 4711",
        columns.join(", ")
    );
    let old: Vec<Cell> = relay_db(&town)
        .query_row(&read, [], |row| (0..4).map(|at| row.get(at)).collect())
        .unwrap();
    put(&alice, &from, "fourth");
    assert_eq!(get(&bob, &out).0, "fourth");
    let places: Vec<String> = columns.iter().map(|name| format!("{name} = ?")).collect();
    let write = format!(
        "UPDATE heads SET {} WHERE version > 4711",
        places.join(", ")
    );
    let changed = relay_db(&town).execute(&write, rusqlite::params_from_iter(old));
    assert_eq!(changed.unwrap(), 1);
    let (read, told) = get(&bob, &out);
    assert_eq!(read, "fourth");
    assert!(told.contains("an older version"), "{told}");
    put(&alice, &from, "fifth");
    assert_eq!(get(&bob, &out), ("fifth".to_owned(), String::new()));
    let forget = "DELETE FROM heads WHERE version > 4711";
    assert_eq!(relay_db(&town).execute(forget, []).unwrap(), 1);
    assert_eq!(get(&bob, &out).0, "fifth");
    put(&alice, &from, "sixth");
    assert_eq!(get(&bob, &out), ("sixth".to_owned(), String::new()));

    // A relay of old let its versions be used up: that ends with the generation.
    spoil(&town, &reader, 1, i64::MAX.cast_unsigned());
    assert_eq!(get(&bob, &out).0, "sixth");
    let note = from.join("note");
    fs::write(&note, "seventh").unwrap();
    let refused = alice.fails(3, &["vault", "put", "plans", text(&note)]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("letterlock vault unshare"), "{hint}");
    alice.ok(&["vault", "unshare", "plans", "bob"]);
    until(&[&alice], "the new key", || {
        vault(&alice).is_some_and(|vault| vault["generation"] == 2)
    });
    put(&alice, &from, "seventh");
    assert_eq!(get(&alice, &out), ("seventh".to_owned(), String::new()));
    let history = alice.json(&["vault", "history", "plans", "note"]);
    assert_eq!(history.len(), 7);
    town.stop_relay();
}

const HEAD: [&str; 4] = ["version", "previous", "signature", "body"];

/// The one head that the relay has.
fn head(town: &Town) -> Vec<Cell> {
    let read = format!("SELECT {} FROM heads", HEAD.join(", "));
    let row = |row: &rusqlite::Row<'_>| (0..HEAD.len()).map(|at| row.get(at)).collect();
    relay_db(town).query_row(&read, [], row).unwrap()
}

fn show(town: &Town, head: &[Cell]) {
    let places: Vec<String> = HEAD.iter().map(|name| format!("{name} = ?")).collect();
    let write = format!("UPDATE heads SET {}", places.join(", "));
    let changed = relay_db(town).execute(&write, rusqlite::params_from_iter(head));
    assert_eq!(changed.unwrap(), 1);
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that is watched while the relay shows what does not count.
struct Watched {
    process: Ended,
    said: PathBuf,
}

fn watch(town: &Town, person: &Person, folder: &Path) -> Watched {
    let said = town.path("said");
    let mut watching = person.command(&["vault", "sync", "plans", text(folder), "--watch"]);
    watching.stdout(Stdio::null());
    watching.stderr(fs::File::create(&said).unwrap());
    Watched {
        process: Ended(watching.spawn().unwrap()),
        said,
    }
}

impl Watched {
    /// How often it said something.
    fn told(&self, what: &str) -> usize {
        fs::read_to_string(&self.said)
            .unwrap()
            .matches(what)
            .count()
    }

    fn end(mut self) {
        kill_process(Pid::from_child(&self.process.0), Signal::INT).unwrap();
        let ended = self.process.0.wait().unwrap().code();
        assert!(matches!(ended, Some(0 | 130)), "{ended:?}");
    }
}

/// A relay that holds a version back ends no watch: it says so once, publishes nothing, and goes on when the version is
/// there.
#[test]
fn who_watches_waits_until_the_relay_shows_what_it_holds_back() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (from, folder) = (empty(&town, "from"), empty(&town, "folder"));
    put(&alice, &from, "first");
    bob.ok(&["vault", "sync", "plans", text(&folder)]);
    let first = head(&town);
    put(&alice, &from, "second");
    let second = head(&town);
    // Bob hears of it, and does not see it.
    show(&town, &first);
    bob.ok(&["receive"]);
    fs::write(folder.join("by bob"), "while it is held back").unwrap();
    let mut watching = watch(&town, &bob, &folder);
    let waits = "holds a newer version back: waiting";
    eventually("that it waits", || watching.told(waits) == 1);
    let note = || fs::read_to_string(folder.join("note")).unwrap();
    assert_eq!((head(&town), note()), (first, "first".to_owned()));
    assert_eq!(watching.process.0.try_wait().unwrap(), None);
    show(&town, &second);
    eventually("what was held back", || note() == "second");
    eventually("what bob wrote", || head(&town) != second);
    assert_eq!(watching.told(waits), 1);
    watching.end();
    let listed = alice.json(&["vault", "list", "plans"]);
    assert_eq!(listed.len(), 2, "{listed:?}");
}

/// Nor does one that shows two histories: it kept from a writer that the other one wrote. A person says which counts.
#[test]
fn who_watches_waits_until_somebody_chooses_a_history() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let carol = third(&town, &alice);
    alice.ok(&["vault", "share", "plans", "carol", "--role", "writer"]);
    until(&[&alice, &bob, &carol], "the key", || {
        vault(&carol).is_some_and(|vault| vault["generation"] == 1)
    });
    let (from, folder) = (empty(&town, "from"), empty(&town, "folder"));
    put(&alice, &from, "first");
    for person in [&alice, &bob, &carol] {
        person.ok(&["receive"]);
    }
    let first = head(&town);
    put(&alice, &from, "second");
    bob.ok(&["vault", "sync", "plans", text(&folder)]);
    // Carol never hears of that.
    assert!(relay_db(&town).execute("DELETE FROM letters", []).unwrap() > 0);
    show(&town, &first);
    put(&carol, &from, "another");
    let another = head(&town);
    fs::write(folder.join("by bob"), "while there are two").unwrap();
    let mut watching = watch(&town, &bob, &folder);
    eventually("that it waits", || watching.told(": waiting") == 1);
    let said = fs::read_to_string(&watching.said).unwrap();
    assert!(said.contains("two histories"), "{said}");
    let note = || fs::read_to_string(folder.join("note")).unwrap();
    assert_eq!((&head(&town), note()), (&another, "second".to_owned()));
    assert_eq!(watching.process.0.try_wait().unwrap(), None);
    bob.ok(&["vault", "accept", "plans"]);
    eventually("what was chosen", || note() == "another");
    eventually("what bob wrote", || head(&town) != another);
    assert_eq!(watching.told(": waiting"), 1);
    watching.end();
    // What the folder had of the other one is beside it.
    let listed = carol.json(&["vault", "list", "plans"]);
    assert_eq!(listed.len(), 3, "{listed:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, into) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy(&path, &into),
            false => drop(fs::copy(&path, &into).unwrap()),
        }
    }
}

/// The relay's disk of yesterday is all there is: a person says that what is there is the newest.
#[test]
fn a_vault_whose_versions_are_lost_goes_on_when_a_person_says_so() {
    let mut town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    town.stop_relay();
    let (data, yesterday) = (town.relay_data(), town.path("yesterday"));
    copy(&data, &yesterday);
    town.start_relay();
    let folder = empty(&town, "folder");
    let sync = ["vault", "sync", "plans", text(&folder)];
    fs::write(folder.join("other"), "in the second alone").unwrap();
    alice.ok(&sync);
    town.stop_relay();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&yesterday, &data).unwrap();
    town.start_relay();
    let note = from.join("note");
    for words in [
        ["vault", "get", "plans", "note"],
        ["vault", "put", "plans", text(&note)],
    ] {
        let refused = alice.fails(1, &words);
        let hint = refused["hint"].as_str().unwrap();
        assert!(hint.contains("letterlock vault accept"), "{refused}");
    }
    let accepted = alice.json(&["vault", "accept", "plans"]);
    assert_eq!(accepted[0]["changed"], true);
    assert_eq!(get(&alice, &out), ("first".to_owned(), String::new()));
    // What the folder had of the version that is lost is put again.
    alice.ok(&sync);
    let left = fs::read_to_string(folder.join("other")).unwrap();
    assert_eq!(left, "in the second alone");
    assert_eq!(alice.json(&["vault", "list", "plans"]).len(), 2);
    put(&alice, &from, "third");
    assert_eq!(get(&alice, &out), ("third".to_owned(), String::new()));
    alice.ok(&sync);
    fs::remove_file(folder.join("other")).unwrap();
    alice.ok(&sync);
    assert_eq!(alice.json(&["vault", "list", "plans"]).len(), 1);
    let again = alice.json(&["vault", "accept", "plans"]);
    assert_eq!(again[0]["changed"], false);
}

/// A member deletes packs, or the relay loses them: what nobody can read any more is left behind.
#[test]
fn a_vault_that_cannot_be_read_goes_on_from_nothing() {
    let town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let (from, out) = (empty(&town, "from"), empty(&town, "out"));
    put(&alice, &from, "first");
    assert!(relay_db(&town).execute("DELETE FROM blobs", []).unwrap() >= 2);
    let note = from.join("note");
    let refused = alice.fails(1, &["vault", "put", "plans", text(&note)]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("letterlock vault restore"), "{refused}");
    alice.ok(&["vault", "restore", "plans", "--version", "0"]);
    assert!(alice.json(&["vault", "list", "plans"]).is_empty());
    put(&alice, &from, "second");
    assert_eq!(get(&alice, &out), ("second".to_owned(), String::new()));
    // What can be told of is told.
    let history = alice.ok(&["vault", "history", "plans", "note"]);
    assert_eq!(history.stdout.lines().count(), 1, "{}", history.stdout);
    assert!(
        history.stderr.contains("cannot be read"),
        "{}",
        history.stderr
    );
}
