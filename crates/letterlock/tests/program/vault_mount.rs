//! Mounted vaults: real processes, a real relay, the kernel's file system calls.

use crate::sealed::text;
use crate::support::{Person, Process, Ran, Town, occurs};
use crate::vault_files::{content, shared};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
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
    loop {
        let Some(line) = process.next_line() else {
            panic!("not mounted: {}", process.stderr());
        };
        let line: Value = serde_json::from_str(&line).unwrap();
        // A mount that was killed before may be finished first.
        if line["answer"] == "vault_mounted" {
            if line["place"] == text(at) {
                break;
            }
            println!("SKIPPED: this user may not mount: {line}");
            process.interrupt();
            assert_eq!(process.wait().code, Some(0));
            return None;
        }
        assert_eq!(line["answer"], "vault_change");
    }
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

/// Paths with what is there: contents as a number, targets, modes and lengths.
fn look(top: &Path) -> BTreeMap<PathBuf, (String, u64)> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode();
            let (what, content) = if metadata.is_dir() {
                left.push(path.clone());
                (format!("{mode:o}"), 0)
            } else if metadata.is_symlink() {
                (format!("{:?}", fs::read_link(&path).unwrap()), 0)
            } else {
                let mut hasher = DefaultHasher::new();
                fs::read(&path).unwrap().hash(&mut hasher);
                (format!("{mode:o} {}", metadata.len()), hasher.finish())
            };
            seen.insert(
                path.strip_prefix(top).unwrap().to_path_buf(),
                (what, content),
            );
        }
    }
    seen
}

/// Numbers that look like chance, the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

fn random_path(draw: &mut Draw) -> PathBuf {
    let names = ["a", "b", "c.txt", "deep"];
    let depth = 1 + draw.below(3);
    (0..depth).map(|_| names[draw.below(names.len())]).collect()
}

/// Does one thing in a directory; whether it could, and why not.
fn act(top: &Path, what: usize, paths: [&Path; 2], number: usize) -> Result<(), Option<i32>> {
    let [one, other] = paths.map(|path| top.join(path));
    let bytes = content(number as u64 + 1, number * 37 % 200_000);
    let options = || {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        options
    };
    let done = match what {
        0 | 1 => fs::create_dir(&one),
        2 | 3 => fs::write(&one, &bytes),
        4 => options().open(&one).and_then(|mut file| {
            file.write_all_at(&bytes, (number * 7919 % 300_000) as u64)?;
            file.flush()
        }),
        5 => fs::OpenOptions::new()
            .append(true)
            .open(&one)
            .and_then(|mut file| {
                file.write_all(b"a line")?;
                file.write_all(&bytes)
            }),
        6 => options()
            .open(&one)
            .and_then(|file| file.set_len((number * 104_729 % 250_000) as u64)),
        7 | 8 => fs::rename(&one, &other),
        9 => fs::remove_file(&one),
        10 => fs::remove_dir(&one),
        11 => symlink(other.strip_prefix(top).unwrap(), &one),
        _ => {
            match one.symlink_metadata() {
                // Whoever gets a directory out of a vault may enter it, whatever its mode says.
                Ok(metadata) if !metadata.is_symlink() => {
                    let modes = match metadata.is_dir() {
                        true => [0o700, 0o750, 0o755],
                        false => [0o600, 0o644, 0o755],
                    };
                    fs::set_permissions(&one, fs::Permissions::from_mode(modes[number % 3]))
                }
                _ => Ok(()),
            }
        }
    };
    done.map_err(|error| error.raw_os_error())
}

/// Whatever is done in a mounted vault has the same outcome as in a plain directory, whether it is written down as a
/// version between, unmounted, or killed.
#[test]
fn a_mounted_vault_is_a_directory_like_others() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (at, plain) = (town.path("mnt"), town.path("plain"));
    fs::create_dir(&plain).unwrap();
    let Some(mut mounted) = mount(&alice, &at, &[]) else {
        return;
    };
    let mut draw = Draw(0x1234_5678_9abc_def1);
    for phase in 0..5 {
        for number in 0..80 {
            let what = draw.below(13);
            let (one, other) = (random_path(&mut draw), random_path(&mut draw));
            let number = phase * 1000 + number;
            let paths = [one.as_path(), other.as_path()];
            let here = act(&at, what, paths, number);
            let there = act(&plain, what, paths, number);
            assert_eq!(here, there, "{phase} {number}: {what} {paths:?}");
        }
        assert_eq!(look(&at), look(&plain), "{phase}");
        let before = version(&bob);
        match phase % 3 {
            0 => {
                eventually("a version", || version(&bob) > before);
            }
            1 => {
                mounted.end();
                mounted = mount(&alice, &at, &[]).unwrap();
            }
            _ => {
                mounted.process.take().unwrap().kill();
                mounted = mount(&alice, &at, &[]).unwrap();
            }
        }
        assert_eq!(look(&at), look(&plain), "{phase}, afterwards");
    }
    mounted.end();
    let out = town.path("out");
    fs::create_dir(&out).unwrap();
    bob.ok(&["vault", "get", "plans", "--out", text(&out)]);
    assert_eq!(look(&out.join("plans")), look(&plain));
    // Nothing is left behind.
    let left = names(&alice.home.join("vaults"));
    assert!(
        left.iter().all(|name| !name.starts_with("mount.")),
        "{left:?}"
    );
}

#[test]
fn what_a_vault_does_not_hold_is_refused() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    let at = town.path("mnt");
    let Some(mounted) = mount(&alice, &at, &[]) else {
        return;
    };
    fs::write(at.join("one"), b"one").unwrap();
    fs::write(at.join("two"), b"two").unwrap();
    let code = |done: std::io::Result<()>| done.unwrap_err().raw_os_error().unwrap();
    let errno = |errno: rustix::io::Errno| errno.raw_os_error();
    use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with};
    use rustix::io::Errno;
    let (one, two) = (mounted.path("one"), mounted.path("two"));
    assert_eq!(
        code(fs::hard_link(&one, at.join("hard"))),
        errno(Errno::PERM)
    );
    assert_eq!(
        code(fs::write(at.join("x".repeat(256)), b"")),
        errno(Errno::NAMETOOLONG)
    );
    fs::write(at.join("x".repeat(255)), b"").unwrap();
    let with = |flags| renameat_with(CWD, &one, CWD, &two, flags);
    assert_eq!(with(RenameFlags::NOREPLACE), Err(Errno::EXIST));
    assert_eq!(with(RenameFlags::EXCHANGE), Err(Errno::INVAL));
    let set = rustix::fs::setxattr(&one, "user.a", b"b", XattrFlags::empty());
    assert_eq!(set, Err(Errno::NOTSUP));
    let fifo = rustix::fs::FileType::Fifo;
    let made = rustix::fs::mknodat(CWD, at.join("pipe"), fifo, 0o600.into(), 0);
    assert_eq!(made, Err(Errno::PERM));
    let given = rustix::fs::chown(&one, Some(rustix::fs::Uid::from_raw(12_345)), None);
    assert_eq!(given, Err(Errno::PERM));
    // What has no name any more is there as long as it is open.
    let mut open = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&one)
        .unwrap();
    fs::rename(&two, &one).unwrap();
    open.write_all(b"1").unwrap();
    let mut rest = String::new();
    open.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), open.metadata().unwrap().nlink()), ("ne", 0));
    assert_eq!(fs::read(&one).unwrap(), b"two");
    drop(open);
    let not_text = std::ffi::OsStr::from_bytes(b"not \xff text");
    fs::write(at.join(not_text), b"kept").unwrap();
    mounted.end();
    // One that is not empty is no place for a vault; one that is used already neither.
    fs::write(at.join("own"), b"").unwrap();
    alice.fails(2, &["vault", "mount", "plans", text(&at)]);
    fs::remove_file(at.join("own")).unwrap();
    let mounted = mount(&alice, &at, &["--read-only"]).unwrap();
    assert_eq!(fs::read(at.join(not_text)).unwrap(), b"kept");
    assert!(fs::write(&one, b"").is_err());
    mounted.end();
}

/// Files that are copied in one after another are one version, or a few.
#[test]
fn two_mounts_lose_nothing_to_each_other() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (a, b) = (town.path("a"), town.path("b"));
    let Some(by_alice) = mount(&alice, &a, &[]) else {
        return;
    };
    let by_bob = mount(&bob, &b, &[]).unwrap();
    let before = version(&alice);
    for number in 0..100 {
        fs::write(a.join(format!("file {number}")), format!("{number}")).unwrap();
    }
    eventually("what alice wrote", || names(&b).len() == 100);
    assert!(version(&alice) <= before + 3);
    fs::write(b.join("file 7"), b"by bob").unwrap();
    eventually("what bob wrote", || {
        fs::read(a.join("file 7")).unwrap() == b"by bob"
    });
    // Both write the same file before either sees the other.
    fs::write(a.join("both.txt"), b"by alice").unwrap();
    fs::write(b.join("both.txt"), b"by bob, who is longer").unwrap();
    fs::remove_file(a.join("file 8")).unwrap();
    fs::rename(b.join("file 9"), b.join("moved")).unwrap();
    let both = |at: &Path| {
        let conflicts = |name: &String| name.starts_with("both");
        let names = names(at).into_iter().filter(conflicts);
        let mut contents: Vec<Vec<u8>> =
            names.map(|name| fs::read(at.join(name)).unwrap()).collect();
        contents.sort();
        contents
    };
    let all = [b"by alice".to_vec(), b"by bob, who is longer".to_vec()];
    for at in [&a, &b] {
        eventually("both", || both(at) == all);
        eventually("the rest", || {
            !at.join("file 8").exists() && !at.join("file 9").exists() && at.join("moved").exists()
        });
    }
    assert_eq!(names(&a), names(&b));
    let copy = names(&a)
        .into_iter()
        .find(|name| name.contains("(conflict, "));
    let copy = copy.unwrap();
    assert!(
        copy.starts_with("both (conflict, ") && copy.ends_with(").txt"),
        "{copy}"
    );
    by_alice.end();
    by_bob.end();
}

#[test]
fn without_a_relay_nothing_is_lost_and_nothing_is_made_up() {
    let mut town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let at = town.path("mnt");
    let long = content(5, 2_000_000);
    let file = town.path("long");
    fs::write(&file, &long).unwrap();
    alice.ok(&["vault", "put", "plans", text(&file)]);
    let Some(mut mounted) = mount(&alice, &at, &[]) else {
        return;
    };
    assert_eq!(names(&at), ["long"]);
    town.stop_relay();
    let error = fs::read(at.join("long")).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    fs::write(at.join("offline"), &long).unwrap();
    fs::rename(at.join("long"), at.join("renamed")).unwrap();
    assert_eq!(fs::read(at.join("offline")).unwrap(), long);
    let process = mounted.process.take().unwrap();
    process.interrupt();
    let ran = process.wait();
    assert!(ran.code != Some(0), "{ran:?}");
    let last = ran.stderr.lines().last().unwrap();
    let failure: Value = serde_json::from_str(last).unwrap();
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("is kept in this home"), "{message}");
    assert!(names(&at).is_empty());
    // What waits is no plain text.
    assert!(!occurs(&alice.home, &long[1000..1032]) && !occurs(&alice.home, b"offline"));
    town.start_relay();
    let mounted = mount(&alice, &at, &[]).unwrap();
    assert_eq!(names(&at), ["offline", "renamed"]);
    assert_eq!(fs::read(at.join("offline")).unwrap(), long);
    mounted.end();
    let listed = bob.json(&["vault", "list", "plans"]);
    assert_eq!(listed.len(), 2);
}

#[test]
fn what_waits_on_a_disk_cannot_be_changed() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    let at = town.path("mnt");
    let Some(mut mounted) = mount(&alice, &at, &[]) else {
        return;
    };
    let long = content(9, 300_000);
    let mut open = fs::File::create(mounted.path("long")).unwrap();
    open.write_all(&long).unwrap();
    let vaults = alice.home.join("vaults");
    let name = names(&vaults)
        .into_iter()
        .find(|name| name.starts_with("mount."));
    let directory = vaults.join(name.unwrap());
    let staged = names(&directory)
        .into_iter()
        .find(|name| name.contains('-'))
        .unwrap();
    let staged = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(directory.join(staged));
    let staged = staged.unwrap();
    let mut byte = [0];
    staged.read_exact_at(&mut byte, 80_000).unwrap();
    staged.write_all_at(&[byte[0] ^ 1], 80_000).unwrap();
    let error = fs::read(mounted.path("long")).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    // What was not changed is there.
    let mut last = [0; 4];
    let file = fs::File::open(mounted.path("long")).unwrap();
    file.read_exact_at(&mut last, 299_996).unwrap();
    assert_eq!(last, long[299_996..]);
    drop((open, file));
    // Nothing of it comes into a version, and it is put right here.
    staged.write_all_at(&byte, 80_000).unwrap();
    assert_eq!(fs::read(mounted.path("long")).unwrap(), long);
    let process = mounted.process.take().unwrap();
    process.interrupt();
    let ran = process.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let out = town.path("out");
    fs::create_dir(&out).unwrap();
    alice.ok(&["vault", "get", "plans", "long", "--out", text(&out)]);
    assert_eq!(fs::read(out.join("long")).unwrap(), long);
}
