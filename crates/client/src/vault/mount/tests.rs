#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test code"
)]

use super::super::stand::Stand;
use super::*;
use seal::vault::{Meta, VaultPath};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

/// Where the first block of a file begins.
const FIRST: u64 = 73_728;

/// A machine that mounts a vault, in which there is one directory.
struct Desk {
    stand: Arc<Stand>,
    profile: Profile,
    told: mpsc::UnboundedReceiver<MountEvent>,
    tell: mpsc::UnboundedSender<MountEvent>,
}

impl Desk {
    fn new() -> Self {
        let stand = Stand::new();
        let profile = stand.profile();
        let (tell, told) = mpsc::unbounded_channel();
        let path = |text: &str| VaultPath::parse(text.as_bytes()).unwrap();
        change(&stand.place(&profile), |editor, _| {
            editor
                .make_directory(&path("deep"), Meta::directory())
                .unwrap();
            editor
                .put_bytes(&path("deep/old"), Meta::file(), b"old")
                .unwrap();
            Ok(())
        })
        .unwrap();
        Self {
            stand,
            profile,
            told,
            tell,
        }
    }

    fn wish(&self) -> Mount {
        Mount {
            home: self.stand.journals.parent().unwrap().to_path_buf(),
            vault: "plans".to_owned(),
            version: None,
            read_only: false,
            time: || "2026-11-22 14-03".to_owned(),
        }
    }

    fn mount(&self) -> Begun {
        begin(&self.profile, &self.wish(), &self.stand.work, &self.tell).unwrap()
    }

    /// Writes files, and is killed; where they are kept.
    fn killed(&self, names: &[&str]) -> PathBuf {
        let begun = self.mount();
        for name in names {
            write(&begun.files, name, name.as_bytes());
        }
        begun.files.directory.clone()
    }

    /// What whoever mounts next is told.
    fn recovered(&mut self) -> (Vec<VaultChange>, Vec<Failure>) {
        let session = self.stand.session();
        recover(&self.stand.place(&self.profile), &session, &self.tell);
        self.events()
    }

    fn events(&mut self) -> (Vec<VaultChange>, Vec<Failure>) {
        let (mut versions, mut failures) = (Vec::new(), Vec::new());
        while let Ok(event) = self.told.try_recv() {
            match event {
                MountEvent::Version(version) => versions.push(version),
                MountEvent::Waits(failure) | MountEvent::Kept(failure) => failures.push(failure),
            }
        }
        (versions, failures)
    }

    /// What is in the vault.
    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let session = self.stand.session();
        let packs = session.packs(None);
        let newest = session.newest(&packs).unwrap().unwrap();
        let reader = session.reader(&packs);
        let mut contents = BTreeMap::new();
        reader
            .walk(&newest.root.body.directory, &mut |path, entry| {
                if let Some(mut file) = reader.file(entry) {
                    let mut bytes = vec![0; 200_000];
                    let length = file.read_at(0, &mut bytes)?;
                    bytes.truncate(length);
                    contents.insert(path.to_string(), bytes);
                }
                Ok(())
            })
            .unwrap();
        contents
    }

    fn has(&self, names: &[&str]) {
        let contents = self.contents();
        let named = names.iter().map(|name| (*name).to_owned());
        let expected = named.map(|name| (name.clone(), name.into_bytes()));
        let mut expected: BTreeMap<_, _> = expected.collect();
        expected.insert("deep/old".to_owned(), b"old".to_vec());
        assert_eq!(contents, expected);
    }
}

fn write(files: &FileSystem, path: &str, bytes: &[u8]) {
    let (parent, name) = match path.split_once('/') {
        Some((parent, name)) => (files.look_up(files.top(), parent.as_bytes()).unwrap(), name),
        None => (files.about(files.top()).unwrap(), path),
    };
    let (_, handle) = files.create(parent.number, name.as_bytes(), 0o644).unwrap();
    files.write(handle, 0, bytes).unwrap();
    files.close(handle);
}

/// Files in which somebody wrote, as they came.
fn staged(directory: &Path) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains('-');
    os::files_of(directory).into_iter().filter(is).collect()
}

/// The file that holds what was written to a path.
fn staged_of(begun: &Begun, path: &str) -> PathBuf {
    let state = begun.files.lock();
    let names = VaultPath::parse(path.as_bytes()).unwrap();
    match state.top.way(names.names()) {
        tree::Way::Here(tree::Seen::File(staged)) => staged.id.path(&begun.files.directory),
        _ => panic!("{path} was not written to"),
    }
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn told(failures: &[Failure], words: &[&str]) {
    assert_eq!(failures.len(), 1, "{failures:?}");
    for word in words {
        assert!(failures[0].message.contains(word), "{word}: {failures:?}");
    }
    assert!(failures[0].hint.is_some());
}

/// What was moved has to be looked for in the vault, and the relay reads nothing to anybody.
#[test]
fn what_cannot_be_gone_through_now_is_kept() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    let files = &begun.files;
    let deep = files.look_up(files.top(), b"deep").unwrap().number;
    let old = files.look_up(deep, b"old").unwrap().number;
    let handle = files.open(old, true).unwrap();
    files.write(handle, 0, b"new").unwrap();
    files.close(handle);
    fs::remove_file(staged_of(&begun, "deep/old")).unwrap();
    files
        .rename((deep, b"old"), (deep, b"moved"), false)
        .unwrap();
    write(files, "new", b"new");
    let directory = files.directory.clone();
    drop(begun);
    desk.stand.fail(true);
    let (versions, failures) = desk.recovered();
    assert!(versions.is_empty());
    told(&failures, &[directory.to_str().unwrap()]);
    desk.stand.fail(false);
    assert_eq!(staged(&directory).len(), 1);
    let (versions, failures) = desk.recovered();
    assert_eq!((versions.len(), failures.len()), (1, 0));
    let contents = desk.contents();
    let names: Vec<&str> = contents.keys().map(String::as_str).collect();
    assert_eq!(names, ["deep/moved", "new"]);
    assert!(!directory.exists());
}

#[test]
fn a_file_that_the_disk_does_not_open_is_kept() {
    let mut desk = Desk::new();
    let directory = desk.killed(&["new"]);
    let file = staged(&directory).remove(0);
    let away = directory.join("away");
    fs::rename(&file, &away).unwrap();
    std::os::unix::fs::symlink(&away, &file).unwrap();
    let (versions, failures) = desk.recovered();
    assert!(versions.is_empty());
    told(&failures, &[directory.to_str().unwrap()]);
    fs::rename(&away, &file).unwrap();
    assert_eq!(desk.recovered().0.len(), 1);
    desk.has(&["new"]);
}

/// A disk that lost power may lack a file that nobody waited for.
#[test]
fn a_file_that_is_gone_holds_nothing_up() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    write(&begun.files, "one", b"one");
    write(&begun.files, "two", b"two");
    let directory = begun.files.directory.clone();
    fs::remove_file(staged_of(&begun, "one")).unwrap();
    drop(begun);
    let (versions, failures) = desk.recovered();
    assert_eq!((versions.len(), failures.len()), (1, 0));
    desk.has(&["two"]);
    assert!(!directory.exists());
}

/// What a file is, or what is in it, is damaged: the others become a version, and it stays until it is put right.
#[test]
fn a_damaged_file_is_kept_and_holds_nothing_up() {
    for at in [0, FIRST + 100] {
        let mut desk = Desk::new();
        let begun = desk.mount();
        for name in ["a", "deep/b", "c"] {
            write(&begun.files, name, name.as_bytes());
        }
        let directory = begun.files.directory.clone();
        let file = staged_of(&begun, "deep/b");
        drop(begun);
        let whole = fs::read(&file).unwrap();
        flip(&file, at + 20);
        if at == 0 {
            flip(&file, 532);
        }
        for round in 0..2 {
            let (versions, failures) = desk.recovered();
            // Once the others are in a version, there is nothing new.
            assert_eq!(versions.len(), 1 - round, "{at}");
            told(&failures, &["deep/b", file.to_str().unwrap()]);
            desk.has(&["a", "c"]);
            assert!(file.exists() && directory.join("log").exists());
        }
        fs::write(&file, &whole).unwrap();
        let (versions, failures) = desk.recovered();
        assert_eq!((versions.len(), failures.len()), (1, 0), "{at}");
        desk.has(&["a", "c", "deep/b"]);
        assert!(!directory.exists());
    }
}

/// The same while it is mounted: it is told once, and again when that ends.
#[test]
fn a_file_that_is_damaged_while_mounted_holds_nothing_up() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    write(&begun.files, "a", b"a");
    // The block that was written last is in memory.
    let long = vec![7; 100_000];
    write(&begun.files, "b", &long);
    let file = staged_of(&begun, "b");
    flip(&file, FIRST + 100);
    let keeper = || {
        begun.keeper(
            &desk.profile,
            &desk.wish(),
            &desk.stand.work,
            desk.tell.clone(),
        )
    };
    let first = keeper();
    for _ in 0..2 {
        first.flush(false).unwrap();
    }
    let (versions, failures) = desk.events();
    assert_eq!(versions.len(), 1);
    told(&failures, &["b", file.to_str().unwrap()]);
    desk.has(&["a"]);
    // What comes later is not held up.
    write(&begun.files, "c", b"c");
    first.flush(false).unwrap();
    desk.has(&["a", "c"]);
    begun.files.ring(|bell| bell.end = true);
    told(&[first.keep().unwrap_err()], &["b", file.to_str().unwrap()]);
    flip(&file, FIRST + 100);
    drop(begun);
    desk.events();
    assert_eq!(desk.recovered().0.len(), 1);
    assert_eq!(desk.contents()["b"], long);
}

/// A log that cannot be read is told of with its directory, and stays.
#[test]
fn a_log_that_cannot_be_read_is_told_and_kept() {
    let mut desk = Desk::new();
    let directory = desk.killed(&["new"]);
    let log = directory.join("log");
    let whole = fs::read(&log).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let place = directory.to_str().unwrap();
    for (bytes, why) in [
        (with(0, b'X'), "damaged"),
        (with(7, 1), "another version"),
        (with(11, 9), "the key"),
        (with(60, whole[60] ^ 1), "damaged"),
    ] {
        fs::write(&log, bytes).unwrap();
        let (versions, failures) = desk.recovered();
        assert!(versions.is_empty(), "{why}");
        told(&failures, &[place, why]);
    }
    let file = OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(crate::limits::MOUNT_LOG_BYTES + 1).unwrap();
    let (versions, failures) = desk.recovered();
    assert!(versions.is_empty());
    told(&failures, &[place, "longer"]);
    assert_eq!(staged(&directory).len(), 1);
    fs::write(&log, &whole).unwrap();
    assert_eq!(desk.recovered().0.len(), 1);
    desk.has(&["new"]);
}

/// Records of a log: where each begins, from the first one on.
fn records(log: &[u8]) -> Vec<usize> {
    let mut starts = vec![28];
    loop {
        let at = *starts.last().unwrap();
        let Some(length) = log.get(at..at + 4) else {
            return starts;
        };
        starts.push(at + 8 + u32::from_be_bytes(length.try_into().unwrap()) as usize);
    }
}

/// What stands before the damage is in a version, and nothing is taken away.
#[test]
fn a_log_that_is_damaged_in_the_middle_is_kept() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    let directory = begun.files.directory.clone();
    let log = directory.join("log");
    write(&begun.files, "a", b"a");
    let at = fs::metadata(&log).unwrap().len();
    write(&begun.files, "b", b"b");
    write(&begun.files, "c", b"c");
    drop(begun);
    flip(&log, at + 30);
    let (versions, failures) = desk.recovered();
    assert_eq!(versions.len(), 1);
    let aside = directory.to_str().unwrap().replace("mount.", "damaged.");
    told(&failures, &[&aside]);
    desk.has(&["a"]);
    assert_eq!(staged(Path::new(&aside)).len(), 3);
    assert!(!directory.exists());
    let (versions, failures) = desk.recovered();
    assert_eq!((versions.len(), failures.len()), (0, 0));
}

/// Whoever is killed in the middle of a record, or loses power behind it, wrote all before it.
#[test]
fn a_log_whose_end_is_cut_is_whole() {
    for cut in [true, false] {
        let mut desk = Desk::new();
        let directory = desk.killed(&["a", "deep/b"]);
        let log = directory.join("log");
        let bytes = fs::read(&log).unwrap();
        assert!(records(&bytes).len() > 4);
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        let length = bytes.len() as u64;
        file.set_len(match cut {
            true => length - 3,
            false => length + 5000,
        })
        .unwrap();
        let (versions, failures) = desk.recovered();
        assert_eq!((versions.len(), failures.len()), (1, 0), "{cut}");
        desk.has(&["a", "deep/b"]);
        assert!(!directory.exists());
    }
}

/// What the log does not say, because there was no room, the next one says.
#[test]
fn a_log_that_had_no_room_is_begun_anew() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    let files = &begun.files;
    let top = files.top();
    let full = || {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        files.change().as_mut().unwrap().fill(full);
    };
    write(files, "a", b"a");
    full();
    let refused = files.create(top, b"b", 0o644);
    assert_eq!(refused.map(drop), Err(Trouble::NoRoom));
    write(files, "c", b"c");
    full();
    let refused = files.make_directory(top, b"d", 0o755);
    assert_eq!(refused.map(drop), Err(Trouble::NoRoom));
    // Whoever waits until it is on the disk is not told that it is before it is.
    files
        .sync(files.look_up(top, b"a").unwrap().number)
        .unwrap();
    drop(begun);
    let (versions, failures) = desk.recovered();
    assert_eq!((versions.len(), failures.len()), (1, 0));
    let contents = desk.contents();
    let names: Vec<&str> = contents.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "deep/old"]);
    let session = desk.stand.session();
    let packs = session.packs(None);
    let newest = session.newest(&packs).unwrap().unwrap();
    let name = seal::vault::Name::new(b"d").unwrap();
    let reader = session.reader(&packs);
    let made = reader.entry(&newest.root.body.directory, &name).unwrap();
    assert!(made.is_some());
}

/// A log that nobody would read is not written.
#[test]
fn a_log_that_grew_long_is_begun_anew() {
    let mut desk = Desk::new();
    let begun = desk.mount();
    write(&begun.files, "a", b"a");
    let length = |begun: &Begun| os::length(&begun.files.directory.join("log"));
    let before = length(&begun);
    for name in ["b", "c"] {
        let mut log = begun.files.change();
        log.as_mut()
            .unwrap()
            .lengthen(crate::limits::MOUNT_LOG_BYTES);
        drop(log);
        write(&begun.files, name, name.as_bytes());
    }
    assert!(length(&begun) < before * 3);
    drop(begun);
    assert_eq!(desk.recovered().0.len(), 1);
    desk.has(&["a", "b", "c"]);
}

/// Little of a large file is read and stored again where little of it is written.
#[test]
fn a_byte_of_a_large_file_takes_what_is_around_it() {
    let mut desk = Desk::new();
    let path = VaultPath::parse(b"long").unwrap();
    let mut long = Vec::new();
    let mut number: u32 = 1;
    while long.len() < 24 << 20 {
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        long.extend_from_slice(&number.to_be_bytes());
    }
    change(&desk.stand.place(&desk.profile), |editor, _| {
        editor.put_bytes(&path, Meta::file(), &long).unwrap();
        Ok(())
    })
    .unwrap();
    let packs = desk.stand.packs();
    let begun = desk.mount();
    let files = &begun.files;
    let number = files.look_up(files.top(), b"long").unwrap().number;
    let handle = files.open(number, true).unwrap();
    desk.stand.read();
    let at = 12_345_678;
    long[at] ^= 1;
    files.write(handle, at as u64, &[long[at]]).unwrap();
    files.close(handle);
    let keeper = begun.keeper(
        &desk.profile,
        &desk.wish(),
        &desk.stand.work,
        desk.tell.clone(),
    );
    keeper.flush(true).unwrap();
    assert_eq!(desk.events().0.len(), 1);
    let read = desk.stand.read();
    assert!(read < 14 << 20, "{read}");
    let kept = desk.stand.kept_since(&packs);
    assert!(kept < 4 << 20, "{kept}");
    let looks_like = |long: &[u8]| {
        let handle = files.open(number, false).unwrap();
        for at in (0..long.len()).step_by(1 << 20) {
            let there = files.read(handle, at as u64, 1 << 20).unwrap();
            assert!(there == long[at..long.len().min(at + (1 << 20))], "{at}");
        }
        files.close(handle);
    };
    looks_like(&long);
    // What was cut off does not come back with what is as before.
    for size in [5_000_000, 9_000_000] {
        let changes = Changes {
            size: Some(size),
            ..Changes::default()
        };
        files.set(number, changes).unwrap();
        long.resize(size as usize, 0);
    }
    keeper.flush(true).unwrap();
    looks_like(&long);
}

/// Two who mount at once look for the same, and one of them was faster.
#[test]
fn what_somebody_else_ended_is_nobodys_trouble() {
    let mut desk = Desk::new();
    let directory = desk.killed(&["a"]);
    let gone = format!("{}0", directory.display());
    std::os::unix::fs::symlink("nowhere", gone).unwrap();
    let (versions, failures) = desk.recovered();
    assert_eq!((versions.len(), failures.len()), (1, 0), "{failures:?}");
}
