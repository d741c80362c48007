//! Mounted vaults: real processes, a real relay, the kernel's file system calls.

use crate::sealed::text;
use crate::support::{Person, Process, Ran, Town};
use crate::vault_files::{content, shared};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A vault that is mounted; it goes with this value, whatever came of the test.
struct Mounted {
    process: Option<Process>,
    at: PathBuf,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.process.is_some() {
            let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        }
    }
}

/// Mounts a vault. Nothing, and a line that says so, where this machine mounts nothing of a user's.
fn mount(person: &Person, at: &Path, words: &[&str]) -> Option<Mounted> {
    if !Path::new("/dev/fuse").exists() {
        println!("SKIPPED: there is no /dev/fuse");
        return None;
    }
    let words = [&["vault", "mount", "plans", text(at), "--json"], words].concat();
    let mut process = person.start(&words);
    let Some(line) = process.next_line() else {
        let said = process.stderr();
        assert!(said.contains("not mounted"), "{said}");
        println!("SKIPPED: this user may not mount: {said}");
        return None;
    };
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["answer"], "vault_mounted", "{line}");
    assert_eq!(line["place"], text(at));
    Some(Mounted {
        process: Some(process),
        at: at.to_path_buf(),
    })
}

impl Mounted {
    /// Ends it as a person does.
    fn end(mut self) -> Ran {
        let process = self.process.take().unwrap();
        process.interrupt();
        let ran = process.wait();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }

    fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

fn version(person: &Person) -> u64 {
    let history = person.json(&["vault", "history", "plans", "--limit", "1"]);
    history[0]["version"].as_u64().unwrap()
}

#[test]
fn a_reader_sees_a_vault_as_a_directory() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let plans = town.path("plans");
    fs::create_dir_all(plans.join("old")).unwrap();
    let long = content(1, 3_000_000);
    fs::write(plans.join("bridge"), &long).unwrap();
    fs::write(plans.join("old/note"), b"first draft").unwrap();
    fs::set_permissions(plans.join("old/note"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("old/note", plans.join("link")).unwrap();
    for number in 0..300 {
        fs::write(plans.join(format!("old/{number}")), b"x").unwrap();
    }
    alice.ok(&["vault", "put", "plans", text(&plans)]);
    let at = town.path("mnt");
    let Some(mounted) = mount(&bob, &at, &[]) else {
        return;
    };
    assert_eq!(names(&at), ["plans"]);
    assert_eq!(names(&at.join("plans")), ["bridge", "link", "old"]);
    assert_eq!(names(&at.join("plans/old")).len(), 301);
    assert_eq!(fs::read(at.join("plans/bridge")).unwrap(), long);
    // Any range of a file.
    let file = fs::File::open(at.join("plans/bridge")).unwrap();
    for (offset, length) in [(0, 1), (999_999, 70_000), (2_999_990, 10), (1_500_000, 1)] {
        let mut out = vec![0; length];
        file.read_exact_at(&mut out, offset as u64).unwrap();
        assert_eq!(out, long[offset..offset + length]);
    }
    drop(file);
    let note = at.join("plans/old/note");
    let metadata = fs::metadata(&note).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    let times = (metadata.mtime(), metadata.mtime_nsec());
    let original = fs::metadata(plans.join("old/note")).unwrap();
    assert_eq!(times, (original.mtime(), original.mtime_nsec()));
    let link = at.join("plans/link");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("old/note"));
    assert_eq!(fs::read(&link).unwrap(), b"first draft");
    // A reader changes nothing.
    let refused = [
        fs::write(at.join("new"), b"x").unwrap_err(),
        fs::write(&note, b"x").unwrap_err(),
        fs::remove_file(&note).unwrap_err(),
        fs::create_dir(at.join("new")).unwrap_err(),
        fs::rename(&note, at.join("other")).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem, "{error}");
    }
    // What is open stays as it was; what is opened is new.
    let mut open = fs::File::open(&note).unwrap();
    let inode = open.metadata().unwrap().ino();
    let draft = town.path("note");
    fs::write(&draft, b"second draft").unwrap();
    alice.ok(&["vault", "put", "plans", text(&draft), "--to", "plans/old"]);
    eventually("the newer version", || {
        fs::read(&note).unwrap() == b"second draft"
    });
    let mut kept = String::new();
    open.read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "first draft");
    let untouched = fs::metadata(at.join("plans/old/1")).unwrap().ino();
    drop(open);
    let now = fs::metadata(&note).unwrap().ino();
    assert!(now != inode && now != untouched);
    assert_eq!(
        fs::metadata(at.join("plans/old/1")).unwrap().ino(),
        untouched
    );
    mounted.end();
    assert!(names(&at).is_empty());

    // An older version; and whoever unmounts ends the command.
    let first = version(&alice) - 1;
    let first = first.to_string();
    let Some(mut mounted) = mount(&alice, &at, &["--version", &first]) else {
        return;
    };
    assert_eq!(fs::read(&note).unwrap(), b"first draft");
    assert!(fs::write(&note, b"x").is_err());
    let done = Command::new("umount").arg(&at).status().unwrap();
    assert!(done.success());
    let ran = mounted.process.take().unwrap().wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
