//! Folders in step with a vault: real processes, a real relay, real folders.

use crate::sealed::text;
use crate::support::{Person, Town};
use crate::vault_files::shared;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Paths and contents, targets of links, and modes.
fn look(top: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_path_buf();
            // What goes while we look is not there.
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            let mode = metadata.permissions().mode() & 0o777;
            let (mut what, mut content) = (format!("file {mode:o}"), Vec::new());
            if name == Path::new(".letterlock-sync") {
                continue;
            } else if metadata.is_dir() {
                left.push(path);
                what = format!("directory {mode:o}");
            } else if metadata.is_symlink() {
                what = format!("{:?}", fs::read_link(&path).unwrap());
            } else {
                content = fs::read(&path).unwrap_or_default();
            }
            seen.insert(name, (what, content));
        }
    }
    seen
}

fn sync(person: &Person, folder: &Path) -> Value {
    let done = person.json(&["vault", "sync", "plans", text(folder)]);
    assert_eq!(done.len(), 1);
    done.into_iter().next().unwrap()
}

pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_folders_are_kept_in_step() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (a, b) = (town.path("a"), town.path("b"));
    fs::create_dir_all(a.join("drafts")).unwrap();
    fs::write(a.join("plan.txt"), b"first").unwrap();
    fs::write(a.join("drafts/long"), vec![7; 900_000]).unwrap();
    symlink("plan.txt", a.join("link")).unwrap();
    let done = sync(&alice, &a);
    assert_eq!((&done["put"], &done["written"]), (&2.into(), &0.into()));
    let done = sync(&bob, &b);
    assert_eq!((&done["put"], &done["written"]), (&0.into(), &4.into()));
    assert_eq!(look(&a), look(&b));
    // Nothing changed: no version.
    let version = sync(&alice, &a)["version"].clone();
    assert_eq!(sync(&bob, &b)["version"], version);

    fs::rename(b.join("drafts"), b.join("done")).unwrap();
    fs::write(b.join("plan.txt"), b"by bob").unwrap();
    fs::write(a.join("plan.txt"), b"by alice, too").unwrap();
    sync(&alice, &a);
    let done = sync(&bob, &b);
    let conflict = &done["conflicts"][0];
    assert_eq!(conflict["path"], "plan.txt");
    let copy = conflict["copy"].as_str().unwrap();
    assert!(copy.starts_with("plan (conflict, bob, "), "{copy}");
    let done = sync(&alice, &a);
    assert!(done["removed"].as_u64().unwrap() >= 2, "{done}");
    assert_eq!(look(&a), look(&b));
    assert_eq!(fs::read(a.join("plan.txt")).unwrap(), b"by alice, too");
    assert_eq!(fs::read(a.join(copy)).unwrap(), b"by bob");
    assert!(a.join("done/long").exists() && !a.join("drafts").exists());

    // A folder belongs to one vault.
    alice.ok(&["vault", "create", "other"]);
    alice.fails(3, &["vault", "sync", "other", text(&a)]);
}

#[test]
fn a_reader_gets_what_is_new_and_keeps_what_is_its_own() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let (a, b) = (town.path("a"), town.path("b"));
    fs::create_dir(&a).unwrap();
    for name in ["one", "two"] {
        fs::write(a.join(name), b"first").unwrap();
    }
    sync(&alice, &a);
    sync(&bob, &b);
    assert_eq!(look(&a), look(&b));
    fs::write(b.join("one"), b"by the reader").unwrap();
    fs::write(b.join("own"), b"by the reader").unwrap();
    for name in ["one", "two", "three"] {
        fs::write(a.join(name), b"second").unwrap();
    }
    sync(&alice, &a);
    assert_eq!(sync(&bob, &b)["kept"], true);
    for (name, content) in [
        ("one", "by the reader"),
        ("own", "by the reader"),
        ("two", "second"),
        ("three", "second"),
    ] {
        assert_eq!(fs::read_to_string(b.join(name)).unwrap(), content);
    }
    assert_eq!(sync(&alice, &a)["written"], 0);
}

#[test]
fn a_folder_is_watched_both_ways() {
    let mut town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (a, b) = (town.path("a"), town.path("b"));
    fs::create_dir(&b).unwrap();
    fs::write(b.join("first"), b"from bob").unwrap();
    let watching = alice.start(&["vault", "sync", "plans", text(&a), "--watch"]);
    sync(&bob, &b);
    eventually("what bob wrote", || a.join("first").exists());
    fs::create_dir_all(a.join("new/er")).unwrap();
    fs::write(a.join("new/er/file"), b"from alice").unwrap();
    eventually("what alice wrote", || {
        sync(&bob, &b);
        b.join("new/er/file").exists()
    });
    // Without a relay the folder waits, and goes on when it is back.
    town.stop_relay();
    fs::write(a.join("offline"), b"written without a relay").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    town.start_relay();
    eventually("what was written without a relay", || {
        let ran = bob.run(&["vault", "sync", "plans", text(&b)]);
        ran.code == Some(0) && b.join("offline").exists()
    });
    watching.interrupt();
    let ran = watching.wait();
    assert!(matches!(ran.code, Some(0 | 130)), "{ran:?}");
    sync(&alice, &a);
    sync(&bob, &b);
    assert_eq!(look(&a), look(&b));
}

/// Ended at any instant, it goes on: nothing is lost, and what was half done is no conflict.
#[test]
fn whoever_is_killed_goes_on() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (a, b) = (town.path("a"), town.path("b"));
    fs::create_dir_all(a.join("many")).unwrap();
    for number in 0..60_u32 {
        let content = number.to_be_bytes().repeat(500 + 400 * number as usize);
        fs::write(a.join(format!("many/{number}")), content).unwrap();
    }
    let kill = |person: &Person, folder: &Path, pauses: &[u64]| {
        for pause in pauses {
            let process = person.start(&["vault", "sync", "plans", text(folder)]);
            std::thread::sleep(Duration::from_millis(*pause));
            process.kill();
        }
    };
    kill(&alice, &a, &[30, 90, 180, 300, 450]);
    sync(&alice, &a);
    kill(&bob, &b, &[40, 120, 200, 280, 400]);
    sync(&bob, &b);
    assert_eq!(look(&a), look(&b));
    fs::remove_dir_all(b.join("many")).unwrap();
    fs::write(b.join("last"), b"last").unwrap();
    kill(&bob, &b, &[100, 200, 300]);
    sync(&bob, &b);
    kill(&alice, &a, &[100, 200, 300]);
    sync(&alice, &a);
    assert_eq!(look(&a), look(&b));
    assert_eq!(look(&a).len(), 1);
}
