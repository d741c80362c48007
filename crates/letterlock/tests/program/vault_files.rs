//! Files of vaults: real processes, a real relay.

use crate::sealed::{empty, text};
use crate::support::{Person, Town, occurs};
use crate::vaults::{until, vault};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Two people in a vault: alice owns it, bob has a role.
pub(crate) fn shared(town: &Town, role: &str) -> (Person, Person) {
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["vault", "create", "plans"]);
    alice.ok(&["vault", "share", "plans", "bob", "--role", role]);
    until(&[&alice, &bob], "the key", || {
        vault(&bob).is_some_and(|vault| vault["generation"] == 1)
    });
    (alice, bob)
}

/// A third person, whom alice knows.
pub(crate) fn third(town: &Town, alice: &Person) -> Person {
    let carol = town.person("carol");
    let invite = alice.ok(&["invite"]).line();
    carol.ok(&["contact", "add", &invite]);
    carol.ok(&["send", "alice", "It is me.", "--wait"]);
    alice.ok(&["receive"]);
    carol
}

fn paths(person: &Person, words: &[&str]) -> Vec<String> {
    let listed = person.json(&[&["vault", "list", "plans", "--all"], words].concat());
    let path = |entry: &Value| entry["path"].as_str().unwrap().to_owned();
    listed.iter().map(path).collect()
}

/// Bytes without order.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push((state >> 32) as u8);
    }
    bytes
}

fn get(person: &Person, path: &str, out: &Path, words: &[&str]) -> Vec<u8> {
    let name = path.rsplit('/').next().unwrap();
    let get = ["vault", "get", "plans", path, "--out", text(out), "--force"];
    person.ok(&[&get, words].concat());
    fs::read(out.join(name)).unwrap()
}

#[test]
fn a_folder_lives_in_a_vault_of_two() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    assert!(paths(&bob, &[]).is_empty());
    let plans = town.path("plans");
    fs::create_dir_all(plans.join("old")).unwrap();
    let long = content(1, 3_000_000);
    fs::write(plans.join("bridge"), &long).unwrap();
    fs::write(plans.join("old/note"), b"first draft").unwrap();
    let put = alice.json(&["vault", "put", "plans", text(&plans)]);
    assert_eq!(
        (&put[0]["files"], &put[0]["changed"]),
        (&2.into(), &true.into())
    );
    let first = put[0]["version"].as_u64().unwrap();
    let all = ["plans", "plans/bridge", "plans/old", "plans/old/note"];
    assert_eq!(paths(&bob, &[]), all);
    let out = empty(&town, "out");
    assert_eq!(get(&bob, "plans/bridge", &out, &[]), long);
    bob.fails(
        2,
        &["vault", "get", "plans", "plans/bridge", "--out", text(&out)],
    );
    // The other one writes a version, and then everything is as it was once more.
    let note = town.path("note");
    fs::write(&note, b"second draft").unwrap();
    let second = bob.json(&["vault", "put", "plans", text(&note), "--to", "plans/old"]);
    assert_eq!(second[0]["version"], first + 1);
    assert_eq!(get(&alice, "plans/old/note", &out, &[]), b"second draft");
    let again = bob.json(&["vault", "put", "plans", text(&note), "--to", "plans/old"]);
    assert_eq!(
        (&again[0]["changed"], &again[0]["version"]),
        (&false.into(), &(first + 1).into())
    );
    bob.ok(&["vault", "move", "plans", "plans/bridge", "plans/old/tunnel"]);
    alice.ok(&["vault", "remove", "plans", "plans/old"]);
    assert_eq!(paths(&bob, &[]), ["plans"]);
    let history = alice.json(&["vault", "history", "plans", "plans/old/note"]);
    let authors: Vec<&str> = history
        .iter()
        .map(|one| one["author"].as_str().unwrap())
        .collect();
    assert_eq!(authors, ["me", "bob", "me"]);
    assert!(history[0]["entry"].is_null());
    let older = first.to_string();
    assert_eq!(
        get(&bob, "plans/old/note", &out, &["--version", &older]),
        b"first draft"
    );
    assert_eq!(paths(&bob, &["--version", &older]), all);
    bob.ok(&[
        "vault",
        "restore",
        "plans",
        "plans/old/note",
        "--version",
        &older,
    ]);
    assert_eq!(get(&alice, "plans/old/note", &out, &[]), b"first draft");
    alice.ok(&["vault", "restore", "plans", "--version", &older]);
    assert_eq!(paths(&bob, &[]), all);
    assert_eq!(get(&bob, "plans/bridge", &out, &[]), long);
    bob.fails(
        5,
        &["vault", "get", "plans", "nothing", "--out", text(&out)],
    );
    bob.fails(5, &["vault", "restore", "plans", "--version", "999"]);
    bob.fails(2, &["vault", "put", "plans", text(&note), "--to", "../x"]);
    // The relay has neither names nor contents.
    assert!(!occurs(&town.relay_data(), b"first draft"));
    assert!(!occurs(&town.relay_data(), b"bridge"));
}

#[test]
fn a_reader_reads_and_whoever_is_out_reads_nothing_new() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let note = town.path("note");
    fs::write(&note, b"before").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    let out = empty(&town, "out");
    assert_eq!(get(&bob, "note", &out, &[]), b"before");
    bob.fails(3, &["vault", "put", "plans", text(&note)]);
    bob.fails(3, &["vault", "remove", "plans", "note"]);
    alice.ok(&["vault", "unshare", "plans", "bob"]);
    fs::write(&note, b"afterwards").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    assert_eq!(get(&alice, "note", &out, &[]), b"afterwards");
    // Older versions are of the older generation, and open still.
    let history = alice.json(&["vault", "history", "plans", "note"]);
    let older = history.last().unwrap()["version"].to_string();
    assert_eq!(get(&alice, "note", &out, &["--version", &older]), b"before");
    until(&[&bob], "the removal", || {
        bob.json(&["vault", "list"]).is_empty()
    });
    let ran = bob.run(&[
        "vault",
        "get",
        "plans",
        "note",
        "--out",
        text(&out),
        "--force",
    ]);
    assert!(ran.code != Some(0), "{}", ran.stdout);
    assert_eq!(fs::read(out.join("note")).unwrap(), b"before");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry
            .map(|entry| (entry.path(), entry.file_name()))
            .unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false if path.is_file() => drop(fs::copy(&path, to.join(name)).unwrap()),
            false => {}
        }
    }
}

/// The last version is sealed under the newest key, which is this one.
fn is_under(person: &Person, generation: u64) -> bool {
    let vault = vault(person).unwrap();
    vault["generation"] == generation && vault["stale"] == false
}

/// What the relay calls its blobs.
fn packs(town: &Town) -> BTreeSet<std::ffi::OsString> {
    let inner = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let folders = inner(&town.relay_data().join("blobs"));
    let paths = folders.iter().flat_map(|folder| inner(folder));
    paths
        .filter_map(|path| Some(path.file_name()?.to_owned()))
        .collect()
}

/// Nobody waits for the new key but the command that writes.
#[test]
fn what_is_put_right_after_somebody_went_out_is_not_for_them() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let tablet = crate::devices::link(&town, &alice, "tablet");
    until(&[&alice, &tablet], "the vault", || {
        vault(&tablet).is_some_and(|vault| vault["generation"] == 1)
    });
    let note = town.path("note");
    fs::write(&note, b"before").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    let out = empty(&town, "out");
    assert_eq!(get(&bob, "note", &out, &[]), b"before");
    // His program of before, with all keys that he had.
    let kept = town.path("kept");
    copy(&bob.home, &kept);
    // One that is put while he goes is sealed anew: nothing stays of what was sealed for him.
    let (long, known) = (town.path("long"), packs(&town));
    fs::write(&long, content(5, 90_000_000)).unwrap();
    let put = alice.start(&["vault", "put", "plans", text(&long)]);
    while packs(&town).difference(&known).count() < 2 {}
    let for_bob: BTreeSet<_> = packs(&town).difference(&known).cloned().collect();
    alice.ok(&["vault", "unshare", "plans", "bob"]);
    let ran = put.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(is_under(&alice, 2));
    fs::write(&note, b"afterwards").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    assert!(is_under(&alice, 2));
    assert!(for_bob.is_disjoint(&packs(&town)));
    assert!(get(&alice, "long", &out, &[]) == fs::read(&long).unwrap());
    until(&[&bob], "the removal", || {
        bob.json(&["vault", "list"]).is_empty()
    });
    fs::remove_dir_all(&bob.home).unwrap();
    copy(&kept, &bob.home);
    assert_eq!(get(&bob, "note", &out, &[]), b"before");
    // Nor for a device that is lost.
    let revoke = ["device", "revoke", "tablet", "--reason", "lost", "--yes"];
    alice.ok(&revoke);
    fs::write(&note, b"later").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    assert!(is_under(&alice, 3));
}

/// Whoever comes second merges: what both wrote is there, and nothing is lost.
#[test]
fn two_writers_at_once_lose_nothing() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (of_alice, of_bob) = (empty(&town, "a"), empty(&town, "b"));
    let mut written = BTreeSet::new();
    let mut conflicts = 0;
    for round in 0..30 {
        for (folder, who) in [(&of_alice, "alice"), (&of_bob, "bob")] {
            let text = format!("{who} in round {round}");
            fs::write(folder.join("both"), &text).unwrap();
            fs::write(folder.join(format!("{who} {round}")), &text).unwrap();
            written.insert(text);
        }
        let put = |person: &Person, folder: &Path| {
            let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
            let who = if folder == of_alice { "alice" } else { "bob" };
            let (both, own) = (file("both"), file(&format!("{who} {round}")));
            person.start(&["vault", "put", "plans", &both, &own, "--json"])
        };
        let (one, other) = (put(&alice, &of_alice), put(&bob, &of_bob));
        for ran in [one.wait(), other.wait()] {
            assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
            let done = &ran.objects()[0];
            conflicts += done["conflicts"].as_array().unwrap().len();
        }
        if conflicts > 1 {
            break;
        }
    }
    assert!(
        conflicts > 0,
        "nobody was faster than the other in 30 rounds"
    );
    // All that was written is in the newest version or in an older one.
    let out = town.path("out");
    for version in alice.json(&["vault", "history", "plans", "--limit", "1000"]) {
        let number = version["version"].to_string();
        let get = ["vault", "get", "plans", "--out", text(&out), "--force"];
        alice.ok(&[&get[..], &["--version", &number]].concat());
        for file in fs::read_dir(out.join("plans")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if name.contains("(conflict, ") {
                assert!(name.starts_with("both (conflict, "), "{name}");
            }
            written.remove(&fs::read_to_string(file.path()).unwrap());
        }
    }
    assert!(written.is_empty(), "{written:?}");
    let names = |person: &Person| paths(person, &[]);
    assert_eq!(names(&alice), names(&bob));
}

/// Blobs at the relay.
fn blobs(town: &Town, person: &Person) -> u64 {
    let data = town.relay_data();
    let shown = person.json(&["relay", "inspect", "--data", text(&data)]);
    let relay = shown.iter().find(|line| line["answer"] == "relay").unwrap();
    relay["blobs"].as_u64().unwrap()
}

#[test]
fn what_a_killed_put_left_at_the_relay_goes_with_the_next() {
    let town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let note = town.path("note");
    fs::write(&note, b"short").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    let before = blobs(&town, &alice);
    let long = town.path("long");
    fs::write(&long, content(5, 90_000_000)).unwrap();
    let put = alice.start(&["vault", "put", "plans", text(&long)]);
    while blobs(&town, &alice) < before + 2 {}
    put.kill();
    assert!(blobs(&town, &alice) > before + 1);
    assert_eq!(paths(&alice, &[]), ["note"]);
    fs::write(&note, b"short again").unwrap();
    alice.ok(&["vault", "put", "plans", text(&note)]);
    assert_eq!(
        blobs(&town, &alice),
        before + 1,
        "only the new version's pack"
    );
    // And what was given up is put after all.
    alice.ok(&["vault", "put", "plans", text(&long)]);
    let out = empty(&town, "out");
    assert!(get(&alice, "long", &out, &[]) == fs::read(&long).unwrap());
}

#[test]
fn a_put_goes_on_when_the_relay_comes_back() {
    let mut town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let long = town.path("long");
    fs::write(&long, content(5, 90_000_000)).unwrap();
    let before = blobs(&town, &alice);
    let put = alice.start(&["vault", "put", "plans", text(&long)]);
    while blobs(&town, &alice) < before + 3 {}
    town.kill_relay();
    town.start_relay();
    let ran = put.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let out = empty(&town, "out");
    assert!(get(&alice, "long", &out, &[]) == fs::read(&long).unwrap());
}

/// The relay forgets what nobody asks for in 400 days: once a month a change says what is used still.
#[test]
fn packs_of_old_versions_are_said_to_be_used() {
    let mut town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let put = |town: &Town, seed, length| {
        let file = town.path("file");
        fs::write(&file, content(seed, length)).unwrap();
        let put = alice.json(&["vault", "put", "plans", text(&file)]);
        put[0]["version"].to_string()
    };
    // Three packs; nothing but the file's bytes is in the middle one, so nobody reads it.
    let first = put(&town, 1, 40_000_000);
    for seed in [2, 3] {
        town.pass_hours(300 * 24);
        put(&town, seed, 1000);
    }
    let out = empty(&town, "out");
    assert!(get(&alice, "file", &out, &["--version", &first]) == content(1, 40_000_000));
}

/// Lines that differ and are alike.
fn lines(of: &str) -> Vec<u8> {
    let lines = (0..60_000).map(|number| format!("{of}, line {number:08}: as all the others\n"));
    lines.collect::<String>().into_bytes()
}

/// Lengths tell what others in a vault put beside what one wrote: so nothing is compressed where somebody else may write.
#[test]
fn what_is_put_is_compressed_in_a_vault_of_ones_own_alone() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["vault", "create", "plans"]);
    let stored = || {
        let blobs = town.relay_data().join("blobs");
        let mut all = 0;
        let mut left = vec![blobs];
        while let Some(at) = left.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => left.push(path),
                    false => all += usize::try_from(fs::metadata(path).unwrap().len()).unwrap(),
                }
            }
        }
        all
    };
    let put = |name: &str| {
        let (path, content) = (town.path(name), lines(name));
        fs::write(&path, &content).unwrap();
        let before = stored();
        alice.ok(&["vault", "put", "plans", text(&path)]);
        (stored() - before, content.len())
    };
    let (alone, length) = put("alone");
    assert!(alone < length / 4, "{alone} of {length}");
    alice.ok(&["vault", "share", "plans", "bob", "--role", "reader"]);
    until(&[&alice, &bob], "the key", || vault(&bob).is_some());
    let (among, length) = put("among");
    assert!(among >= length, "{among} of {length}");
    let out = empty(&town, "out");
    for name in ["alone", "among"] {
        assert!(get(&bob, name, &out, &[]) == lines(name));
    }
}
