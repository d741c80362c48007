//! Folders that several people keep in step with one vault.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "test code"
)]

use keys::vault_root::ObjectRef;
use keys::{GroupId, Secret};
use letterlock_seal::vault::{
    Applied, Author, Editor, Folder, InStep, Keyring, MemoryPacks, Meta, NodeCache, Put, Reader,
    VaultPath,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

#[path = "folder/model.rs"]
mod model;

fn nothing(_: u64) {}

const VAULT: GroupId = GroupId::from_bytes([2; 32]);

/// A vault without a relay: its newest version.
struct Host {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    newest: Option<ObjectRef>,
    rng: ChaCha20Rng,
}

impl Host {
    fn new(seed: u64) -> Self {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        Self {
            keys: Keyring::new(VAULT, [(1, &key)]).unwrap(),
            packs: MemoryPacks::default(),
            cache: NodeCache::default(),
            newest: None,
            rng: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.keys, &self.packs, &self.cache)
    }

    fn stored(&self) -> usize {
        self.packs.all().values().map(|pack| pack.len()).sum()
    }

    fn edit(&mut self, change: impl FnOnce(&mut Editor<'_>)) {
        let reader = Reader::new(&self.keys, &self.packs, &self.cache);
        let mut editor = Editor::new(reader, &self.packs, self.newest, &mut self.rng);
        change(&mut editor);
        self.newest = Some(editor.finish().unwrap());
    }

    /// One round of a person; whether the folder and the newest version are the same then. `between` happens after the
    /// folder was looked through.
    fn sync(&mut self, person: &Person, between: impl FnOnce()) -> bool {
        let (_, applied) = self.round(person, between);
        !applied.busy && applied.refused.is_empty()
    }

    /// What was put, and what was written.
    fn round(&mut self, person: &Person, between: impl FnOnce()) -> (Put, Applied) {
        self.watched(person, between, &nothing)
    }

    fn watched(
        &mut self,
        person: &Person,
        between: impl FnOnce(),
        progress: &(dyn Fn(u64) + Sync),
    ) -> (Put, Applied) {
        let folder = Folder::open(&person.path).unwrap();
        let before = folder.in_step().unwrap();
        let before = before.unwrap_or(InStep {
            vault: VAULT,
            base: None,
            since: 0,
            refused: Vec::new(),
        });
        let since = Folder::now();
        let reader = Reader::new(&self.keys, &self.packs, &self.cache);
        let mut before = before;
        if !before.refused.is_empty() {
            let mut editor = Editor::new(reader, &self.packs, before.base, &mut self.rng);
            before.take_back(&mut editor).unwrap();
            before.base = Some(editor.finish().unwrap());
        }
        let mut editor = Editor::new(reader, &self.packs, before.base, &mut self.rng);
        let newest = self.newest;
        let put = folder
            .scan(
                &mut editor,
                reader,
                &before,
                newest.as_ref(),
                (&nothing, progress),
            )
            .unwrap();
        let ours = match (&put, before.base) {
            (None, Some(base)) => base,
            _ => editor.finish().unwrap(),
        };
        between();
        let mut editor = Editor::new(reader, &self.packs, newest, &mut self.rng);
        let author = Author {
            person: person.name.to_owned(),
            time: "2026-11-22 14-03".to_owned(),
        };
        let base = before.base;
        editor.merge(base.as_ref(), &ours, &author).unwrap();
        let both = editor.finish().unwrap();
        self.newest = Some(both);
        let reader = self.reader();
        let applied = folder
            .apply(reader, Some(&ours), &both, &[], (&nothing, &nothing))
            .unwrap();
        let in_step = InStep {
            vault: VAULT,
            base: Some(both),
            since,
            refused: applied.refused.clone(),
        };
        if !applied.busy {
            folder.remember(&in_step).unwrap();
        }
        (put.unwrap_or_default(), applied)
    }
}

struct Person {
    name: &'static str,
    path: PathBuf,
}

impl Person {
    fn new(dir: &Path, name: &'static str) -> Self {
        let path = dir.join(name);
        fs::create_dir(&path).unwrap();
        Self { name, path }
    }

    fn write(&self, path: &str, content: &[u8]) {
        fs::write(self.path.join(path), content).unwrap();
    }

    fn look(&self) -> BTreeMap<String, String> {
        look(&self.path)
    }
}

/// Paths, kinds, modes, times of files, contents and targets; no times of directories.
fn look(top: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap();
            if name == Path::new(".letterlock-sync") {
                continue;
            }
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.mode() & 0o777;
            let what = if metadata.is_dir() {
                left.push(path.clone());
                format!("directory {mode:o}")
            } else if metadata.is_symlink() {
                format!("link {:?}", fs::read_link(&path).unwrap())
            } else {
                let time = (metadata.mtime(), metadata.mtime_nsec());
                let hash = keys::sha256(&[&fs::read(&path).unwrap()]);
                format!("file {mode:o} {time:?} {} {hash:?}", metadata.len())
            };
            seen.insert(format!("{:?}", name.as_os_str()), what);
        }
    }
    seen
}

fn two() -> (tempfile::TempDir, Host, Person, Person) {
    let dir = tempfile::tempdir().unwrap();
    let (alice, bob) = (
        Person::new(dir.path(), "alice"),
        Person::new(dir.path(), "bob"),
    );
    (dir, Host::new(1), alice, bob)
}

#[test]
fn all_kinds_of_things_go_both_ways() {
    let (_dir, mut host, alice, bob) = two();
    alice.write("plain.txt", b"plain");
    fs::create_dir_all(alice.path.join("deep/er")).unwrap();
    alice.write("deep/er/file", &[7; 300_000]);
    alice.write("empty", b"");
    symlink("plain.txt", alice.path.join("link")).unwrap();
    symlink("/etc", alice.path.join("out")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"not \xff utf-8 \n");
    fs::write(alice.path.join(odd), b"odd").unwrap();
    alice.write(&"long".repeat(63), b"long");
    alice.write("run.sh", b"#!/bin/sh\n");
    let run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(alice.path.join("run.sh"), run).unwrap();
    alice.write("Case", b"upper");
    alice.write("case", b"lower");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    assert_eq!(alice.look(), bob.look());

    // And back: changed, renamed, removed, of another kind, read-only.
    bob.write("plain.txt", b"changed by bob");
    fs::rename(bob.path.join("deep"), bob.path.join("moved")).unwrap();
    fs::remove_file(bob.path.join("out")).unwrap();
    fs::create_dir(bob.path.join("out")).unwrap();
    bob.write("out/inside", b"a directory where a link was");
    fs::remove_file(bob.path.join("empty")).unwrap();
    symlink("nowhere", bob.path.join("empty")).unwrap();
    let closed = fs::Permissions::from_mode(0o500);
    fs::set_permissions(bob.path.join("moved"), closed).unwrap();
    let stored = host.stored();
    assert!(host.sync(&bob, || {}));
    let more = host.stored() - stored;
    assert!(more < 100_000, "what was moved is not stored again: {more}");
    assert!(host.sync(&alice, || {}));
    assert_eq!(alice.look(), bob.look());
    assert!(!alice.path.join("deep").exists());
    let open = fs::Permissions::from_mode(0o700);
    for person in [&alice, &bob] {
        fs::set_permissions(person.path.join("moved"), open.clone()).unwrap();
    }
}

#[test]
fn nothing_changed_is_nothing_stored() {
    let (_dir, mut host, alice, bob) = two();
    for number in 0..200 {
        alice.write(&format!("file {number}"), format!("{number}").as_bytes());
    }
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    let (stored, newest) = (host.stored(), host.newest);
    for person in [&alice, &bob, &alice] {
        assert!(host.sync(person, || {}));
    }
    assert_eq!((host.stored(), host.newest), (stored, newest));
}

#[test]
fn a_hole_stays_a_hole() {
    let (_dir, mut host, alice, bob) = two();
    let file = fs::File::create(alice.path.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (64 << 20) - 3).unwrap();
    assert!(host.sync(&alice, || {}));
    assert!(host.stored() < 4 << 20);
    assert!(host.sync(&bob, || {}));
    let metadata = fs::metadata(bob.path.join("sparse")).unwrap();
    assert_eq!(metadata.len(), 64 << 20);
    assert!(metadata.blocks() < 4096, "{}", metadata.blocks());
    assert_eq!(alice.look(), bob.look());
}

#[test]
fn two_who_write_at_once_keep_both() {
    let (_dir, mut host, alice, bob) = two();
    alice.write("report.txt", b"first");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    alice.write("report.txt", b"by alice, longer");
    bob.write("report.txt", b"by bob");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    assert!(host.sync(&alice, || {}));
    assert_eq!(alice.look(), bob.look());
    assert_eq!(
        fs::read(bob.path.join("report.txt")).unwrap(),
        b"by alice, longer"
    );
    let copy = bob
        .path
        .join("report (conflict, bob, 2026-11-22 14-03).txt");
    assert_eq!(fs::read(copy).unwrap(), b"by bob");
}

#[test]
fn what_is_written_meanwhile_stays() {
    let (_dir, mut host, alice, bob) = two();
    for name in ["replaced", "removed", "kept"] {
        alice.write(name, b"first");
    }
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    alice.write("replaced", b"by alice");
    alice.write("new", b"by alice");
    fs::remove_file(alice.path.join("removed")).unwrap();
    assert!(host.sync(&alice, || {}));
    let in_step = host.sync(&bob, || {
        bob.write("replaced", b"by bob meanwhile");
        bob.write("removed", b"by bob meanwhile");
        bob.write("new", b"by bob meanwhile");
    });
    assert!(!in_step);
    for name in ["replaced", "removed", "new"] {
        assert_eq!(fs::read(bob.path.join(name)).unwrap(), b"by bob meanwhile");
    }
    assert!(host.sync(&bob, || {}));
    assert!(host.sync(&alice, || {}));
    assert_eq!(alice.look(), bob.look());
    let names: BTreeSet<String> = bob.look().into_keys().collect();
    let conflicts = names.iter().filter(|name| name.contains("(conflict, bob"));
    assert_eq!(conflicts.count(), 2, "{names:?}");
    assert_eq!(fs::read(bob.path.join("replaced")).unwrap(), b"by alice");
    assert_eq!(
        fs::read(bob.path.join("removed")).unwrap(),
        b"by bob meanwhile"
    );
}

/// A change that keeps size and time of a file is seen by the time of the change, which nobody can set.
#[test]
fn a_change_that_hides_its_time_is_seen() {
    let (_dir, mut host, alice, bob) = two();
    alice.write("ledger", b"1000");
    let old = fs::metadata(alice.path.join("ledger")).unwrap();
    assert!(host.sync(&alice, || {}));
    alice.write("ledger", b"9000");
    let file = fs::File::options()
        .write(true)
        .open(alice.path.join("ledger"))
        .unwrap();
    file.set_modified(old.modified().unwrap()).unwrap();
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    assert_eq!(fs::read(bob.path.join("ledger")).unwrap(), b"9000");
}

/// A writer puts a link first, and then something into what it leads to.
#[test]
fn no_link_is_followed() {
    let (dir, mut host, alice, bob) = two();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    alice.write("here", b"here");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    // Bob's own link, where the vault has a directory.
    symlink(&elsewhere, bob.path.join("box")).unwrap();
    host.edit(|editor| {
        let path = |text: &str| VaultPath::parse(text.as_bytes()).unwrap();
        editor.make_directories(&path("box")).unwrap();
        editor
            .put_bytes(&path("box/stolen"), Meta::file(), b"x")
            .unwrap();
        editor.make_directories(&path(".letterlock-sync")).unwrap();
        editor
            .put_bytes(&path(".letterlock-sync/state"), Meta::file(), b"x")
            .unwrap();
    });
    for _ in 0..3 {
        host.sync(&bob, || {});
    }
    // The link appears between the look and the writing.
    host.edit(|editor| {
        let path = |text: &str| VaultPath::parse(text.as_bytes()).unwrap();
        editor.make_directories(&path("late")).unwrap();
        editor
            .put_bytes(&path("late/stolen"), Meta::file(), b"x")
            .unwrap();
    });
    let link = bob.path.join("late");
    assert!(!host.sync(&bob, || symlink(&elsewhere, &link).unwrap()));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(
        Folder::open(&bob.path).unwrap().in_step().is_ok(),
        "our state is ours"
    );
}

/// A writer puts something where a folder keeps what it was in step with, and takes it out again.
#[test]
fn what_is_ours_is_left_alone() {
    let (_dir, mut host, alice, bob) = two();
    alice.write("here", b"here");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    let ours = bob.path.join(".letterlock-sync");
    let before = fs::metadata(&ours).unwrap().mode();
    host.edit(|editor| {
        let path = |text: &str| VaultPath::parse(text.as_bytes()).unwrap();
        let everybody = Meta {
            mode: 0o777,
            ..Meta::directory()
        };
        editor
            .make_directory(&path(".letterlock-sync"), everybody)
            .unwrap();
        editor
            .put_bytes(&path(".letterlock-sync/state"), Meta::file(), b"x")
            .unwrap();
        editor
            .put_bytes(&path(".letterlock-sync/lock"), Meta::file(), b"")
            .unwrap();
        // The same directory, where large and small letters are one: the last two letters fold to `k` and `s`.
        for name in [".Letterlock-SYNC", ".letterloc\u{212a}-\u{17f}ync"] {
            editor.make_directory(&path(name), everybody).unwrap();
            let state = path(&format!("{name}/state"));
            editor.put_bytes(&state, Meta::file(), b"x").unwrap();
        }
    });
    for _ in 0..3 {
        assert!(host.sync(&bob, || {}));
        assert_eq!(fs::read_dir(&bob.path).unwrap().count(), 2);
        let folder = Folder::open(&bob.path).unwrap();
        assert!(folder.in_step().unwrap().is_some());
        assert_eq!(fs::metadata(&ours).unwrap().mode(), before);
    }
}

/// Whoever is stopped while it writes goes on, and makes no conflict of what is there already.
#[test]
fn what_was_half_written_is_gone_on_with() {
    let (_dir, mut host, alice, bob) = two();
    for number in 0..20 {
        alice.write(&format!("file {number}"), &vec![number; 2000]);
    }
    assert!(host.sync(&alice, || {}));
    // As after a kill: half of it is there, the state is not.
    for name in fs::read_dir(&alice.path).unwrap().take(9) {
        let from = name.unwrap().path();
        if from.is_file() {
            let to = bob.path.join(from.file_name().unwrap());
            fs::copy(&from, &to).unwrap();
            let time = fs::metadata(&from).unwrap().modified().unwrap();
            fs::File::options()
                .write(true)
                .open(&to)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
    }
    fs::create_dir_all(bob.path.join(".letterlock-sync")).unwrap();
    fs::write(bob.path.join(".letterlock-sync/new"), b"half").unwrap();
    let newest = host.newest;
    assert!(host.sync(&bob, || {}));
    assert_eq!(alice.look(), bob.look());
    assert_eq!(host.newest, newest);
}

/// As after a kill between two steps: something of the person's has no name of its own.
#[test]
fn what_was_left_on_the_way_is_kept() {
    let (_dir, mut host, alice, bob) = two();
    for name in ["replaced", "removed"] {
        alice.write(name, b"first");
    }
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    bob.write(".letterlock-sync/swap", b"by bob, exchanged");
    bob.write(".letterlock-sync/old", b"by bob, moved");
    bob.write(".letterlock-sync/new", b"half");
    alice.write("replaced", b"by alice");
    fs::remove_file(alice.path.join("removed")).unwrap();
    assert!(host.sync(&alice, || {}));
    let kept = ["kept-1", "kept-2"].map(|name| bob.path.join(".letterlock-sync").join(name));
    // It is told until the person takes it away.
    for _ in 0..2 {
        let (_, applied) = host.round(&bob, || {});
        assert_eq!(applied.aside, kept);
    }
    assert_eq!(fs::read(&kept[0]).unwrap(), b"by bob, exchanged");
    assert_eq!(fs::read(&kept[1]).unwrap(), b"by bob, moved");
    assert_eq!(alice.look(), bob.look());
    let ours = fs::read_dir(bob.path.join(".letterlock-sync")).unwrap();
    let names: BTreeSet<_> = ours.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "new" || name == "swap"));
}

/// Rights of files mean something for this thread and those that it begins, whoever runs the tests.
fn nobody_special() {
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective = rustix::thread::CapabilitySet::empty();
    rustix::thread::set_capabilities(None, sets).unwrap();
}

fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn content(person: &Person, name: &str) -> Vec<u8> {
    fs::read(person.path.join(name)).unwrap()
}

/// Where nothing may be written, the rest comes; nothing of it counts as removed by the person.
#[test]
fn what_may_not_be_written_does_not_stop_the_rest() {
    nobody_special();
    let (_dir, mut host, alice, bob) = two();
    for place in ["closed", "gone/inner", "open", "shut"] {
        fs::create_dir_all(alice.path.join(place)).unwrap();
        alice.write(&format!("{place}/changed"), b"first");
        alice.write(&format!("{place}/removed"), b"first");
    }
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    for place in ["closed", "open", "shut"] {
        alice.write(&format!("{place}/changed"), b"round 0");
        fs::remove_file(alice.path.join(place).join("removed")).unwrap();
        fs::create_dir(alice.path.join(place).join("new")).unwrap();
        alice.write(&format!("{place}/new/file"), b"by alice");
    }
    fs::remove_dir_all(alice.path.join("gone")).unwrap();
    assert!(host.sync(&alice, || {}));
    give(&bob.path.join("closed"), 0o500);
    give(&bob.path.join("shut"), 0o000);
    give(&bob.path.join("gone/inner"), 0o500);
    for round in 0..3 {
        let (_, applied) = host.round(&bob, || {});
        let refused = applied.refused.iter();
        let refused: Vec<_> = refused.map(|at| at.path.to_string()).collect();
        let expected = [
            "closed/changed",
            "closed/new",
            "closed/removed",
            "gone",
            "gone/inner",
            "gone/inner/changed",
            "gone/inner/removed",
            "shut/changed",
            "shut/new",
            "shut/removed",
        ];
        assert_eq!(refused, expected);
        assert!(!applied.busy);
        assert_eq!(content(&bob, "open/new/file"), b"by alice");
        assert_eq!(
            content(&bob, "open/changed"),
            format!("round {round}").into_bytes()
        );
        // What is refused elsewhere makes no conflict of this.
        bob.write("open/changed", format!("round {}", round + 1).as_bytes());
    }
    // Once it may be written all is as it is at alice's.
    give(&bob.path.join("closed"), 0o755);
    give(&bob.path.join("shut"), 0o755);
    give(&bob.path.join("gone/inner"), 0o755);
    assert!(host.sync(&bob, || {}));
    assert!(host.sync(&alice, || {}));
    assert_eq!(alice.look(), bob.look());
    assert!(!bob.path.join("gone").exists());
    assert_eq!(content(&alice, "open/changed"), b"round 3");
    assert!(!bob.look().keys().any(|name| name.contains("conflict")));
}

/// Whoever may only read knows too what it could not write.
#[test]
fn a_reader_tries_again_what_was_refused() {
    nobody_special();
    let (_dir, mut host, alice, bob) = two();
    fs::create_dir_all(alice.path.join("closed/kept")).unwrap();
    alice.write("closed/changed", b"first");
    alice.write("closed/removed", b"first");
    assert!(host.sync(&alice, || {}));
    let read = |host: &Host, before: &InStep| {
        let folder = Folder::open(&bob.path).unwrap();
        let (from, to) = (before.base.as_ref(), host.newest.unwrap());
        let applied = folder.apply(
            host.reader(),
            from,
            &to,
            &before.refused,
            (&nothing, &nothing),
        );
        let applied = applied.unwrap();
        let after = InStep {
            base: Some(to),
            refused: applied.refused,
            ..before.clone()
        };
        folder.remember(&after).unwrap();
        (folder.in_step().unwrap().unwrap(), applied.busy)
    };
    let nothing_yet = InStep {
        vault: VAULT,
        base: None,
        since: 0,
        refused: Vec::new(),
    };
    let (before, _) = read(&host, &nothing_yet);
    alice.write("closed/changed", b"by alice");
    fs::remove_file(alice.path.join("closed/removed")).unwrap();
    fs::create_dir(alice.path.join("closed/new")).unwrap();
    alice.write("closed/new/file", b"by alice");
    alice.write("other", b"by alice");
    assert!(host.sync(&alice, || {}));
    give(&bob.path.join("closed"), 0o500);
    let (before, _) = read(&host, &before);
    assert_eq!(before.refused.len(), 3);
    alice.write("other", b"by alice, again");
    assert!(host.sync(&alice, || {}));
    let (before, busy) = read(&host, &before);
    assert_eq!((before.refused.len(), busy), (3, false));
    assert_eq!(content(&bob, "other"), b"by alice, again");
    give(&bob.path.join("closed"), 0o755);
    let (before, busy) = read(&host, &before);
    assert_eq!((before.refused.len(), busy), (0, false));
    assert_eq!(alice.look(), bob.look());
}

/// What cannot be read is neither put nor removed.
#[test]
fn what_may_not_be_read_stays_as_it_was() {
    nobody_special();
    let (_dir, mut host, alice, bob) = two();
    fs::create_dir(alice.path.join("closed")).unwrap();
    alice.write("closed/file", b"first");
    alice.write("secret", b"first");
    alice.write("log", b"first");
    assert!(host.sync(&alice, || {}));
    alice.write("secret", b"by alice");
    give(&alice.path.join("secret"), 0o000);
    give(&alice.path.join("closed"), 0o000);
    // Somebody writes in it whenever it is read.
    let log = alice.path.join("log");
    let log = fs::File::options().write(true).open(&log).unwrap();
    log.set_len(64 << 20).unwrap();
    let written = std::sync::atomic::AtomicU64::new(64 << 20);
    let write = |_| {
        let length = written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        log.set_len(length).unwrap();
    };
    alice.write("other", b"by alice");
    let (put, applied) = host.watched(&alice, || {}, &write);
    let unread = ["closed", "log", "secret"].map(|name| alice.path.join(name));
    assert_eq!(put.unread, unread);
    assert!(!applied.busy && applied.refused.is_empty());
    assert!(host.sync(&bob, || {}));
    for name in ["secret", "log"] {
        assert_eq!(content(&bob, name), b"first", "{name}");
    }
    assert_eq!(content(&bob, "other"), b"by alice");
    // What comes for it waits, and is the other side of a conflict then.
    bob.write("secret", b"by bob meanwhile");
    assert!(host.sync(&bob, || {}));
    log.set_len(5).unwrap();
    for _ in 0..2 {
        let (_, applied) = host.round(&alice, || {});
        let refused = applied.refused.iter();
        let refused: Vec<_> = refused.map(|at| at.path.to_string()).collect();
        assert_eq!((refused, applied.busy), (vec!["secret".to_owned()], false));
    }
    give(&alice.path.join("secret"), 0o600);
    give(&alice.path.join("closed"), 0o755);
    log.set_len(0).unwrap();
    assert!(host.sync(&alice, || {}));
    // The mode of a directory comes back also where it cannot be looked into.
    assert!(host.sync(&bob, || {}));
    assert_eq!(alice.look(), bob.look());
    assert_eq!(content(&bob, "closed/file"), b"first");
    let copy = "secret (conflict, alice, 2026-11-22 14-03)";
    assert_eq!(content(&bob, "secret"), b"by bob meanwhile");
    assert_eq!(content(&bob, copy), b"by alice");
}

/// A directory that a pipe lies in cannot go; that is no reason to look again and again.
#[test]
fn what_is_in_no_vault_keeps_its_directory() {
    let (_dir, mut host, alice, bob) = two();
    fs::create_dir_all(alice.path.join("a/b")).unwrap();
    alice.write("a/b/file", b"first");
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    let pipe = bob.path.join("a/b/pipe");
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    fs::remove_dir_all(alice.path.join("a")).unwrap();
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    assert!(!bob.path.join("a/b/file").exists() && pipe.exists());
    assert!(host.sync(&bob, || {}));
    assert!(host.sync(&alice, || {}));
    assert!(alice.path.join("a/b").is_dir());
}

/// It goes from where the scan has not been to where it was already: a version without it would be one in which it is lost.
#[test]
fn what_is_moved_while_a_folder_is_looked_through_is_in_the_version() {
    let (_dir, mut host, alice, bob) = two();
    for name in ["a", "m", "z"] {
        fs::create_dir(alice.path.join(name)).unwrap();
    }
    alice.write("z/moved", b"moved");
    fs::create_dir(alice.path.join("z/whole")).unwrap();
    alice.write("z/whole/file", b"moved with its directory");
    symlink("target", alice.path.join("z/link")).unwrap();
    assert!(host.sync(&alice, || {}));
    // More than can wait to be sealed: the first ones are, before the scan comes to what is behind them.
    for number in 0..100 {
        alice.write(&format!("m/{number}"), number.to_string().as_bytes());
    }
    let once = std::sync::Once::new();
    let move_them = |_| {
        once.call_once(|| {
            for name in ["moved", "whole", "link"] {
                let (from, to) = (
                    alice.path.join("z").join(name),
                    alice.path.join("a").join(name),
                );
                fs::rename(from, to).unwrap();
            }
        });
    };
    host.watched(&alice, || {}, &move_them);
    assert!(once.is_completed());
    assert!(host.sync(&bob, || {}));
    assert_eq!(content(&bob, "a/moved"), b"moved");
    assert_eq!(content(&bob, "a/whole/file"), b"moved with its directory");
    assert!(bob.path.join("a/link").is_symlink() && !bob.path.join("z/moved").exists());
    assert!(host.sync(&alice, || {}));
    assert!(host.sync(&bob, || {}));
    assert_eq!(alice.look(), bob.look());
}
