//! Files, vaults and transfers where there is no room: on a disk of this machine, or at the relay. Each says what is full,
//! leaves nothing, and goes on when there is room.

use crate::give::{Side, at_the_relay, failure, noise, ok};
use crate::sealed::text;
use crate::support::{Person, Process, Ran, SmallDisk, Town};
use crate::vault_files::shared;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for all that is written here, KiB.
const ENOUGH: u32 = 48 * 1024;
/// Room for the beginning of it.
const LITTLE: usize = 3 * 1024;
/// What is written.
const LONG: usize = 9_000_000;

/// A folder in which files have little room.
enum Narrow {
    /// On a disk that is full: where this user may mount one.
    Disk(SmallDisk),
    /// For processes that may make no large file: everywhere.
    Limit(PathBuf),
}

impl Narrow {
    fn all(town: &Town) -> Vec<Self> {
        let limit = town.path("limit");
        fs::create_dir_all(&limit).unwrap();
        let disk = SmallDisk::mount(&town.path("disk"), ENOUGH);
        let disk = disk.map(|disk| {
            disk.fill_but(LITTLE);
            Self::Disk(disk)
        });
        disk.into_iter().chain([Self::Limit(limit)]).collect()
    }

    /// Where it is for those who write there.
    fn path(&self) -> &Path {
        match self {
            Self::Disk(disk) => disk.path(),
            Self::Limit(folder) => folder,
        }
    }

    /// Where it is for this test.
    fn seen(&self) -> &Path {
        match self {
            Self::Disk(disk) => disk.seen(),
            Self::Limit(folder) => folder,
        }
    }

    /// What is there, but what takes the room.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.seen()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "filler").collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.seen().join(name)).unwrap()
    }

    fn wrapped(&self, command: &Command, tight: bool) -> Command {
        let mut outer = match self {
            Self::Disk(disk) => {
                let mut outer = Command::new("nsenter");
                let holder = disk.holder().as_raw_nonzero().to_string();
                let words = ["--user", "--mount", "--preserve-credentials", "--target"];
                outer.args(words).arg(holder);
                outer
            }
            Self::Limit(_) => {
                let mut outer = Command::new("sh");
                // In blocks of 512 bytes. The signal would end the process where a disk says that it is full.
                let limit = match tight {
                    true => format!("ulimit -f {}; ", LITTLE * 2),
                    false => String::new(),
                };
                outer.arg("-c");
                outer.arg(format!("trap '' XFSZ; {limit}exec \"$0\" \"$@\""));
                outer
            }
        };
        outer.arg(command.get_program()).args(command.get_args());
        outer.env_clear();
        let set = command.get_envs();
        outer.envs(set.filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = command.get_current_dir() {
            outer.current_dir(directory);
        }
        outer.stdin(std::process::Stdio::null());
        outer
    }

    /// Runs a command, which finds no room; nothing of it is there then.
    fn refuses(&self, command: &Command) -> Ran {
        let before = self.names();
        let ran = Process::spawn(&mut self.wrapped(command, true)).wait();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let cause = match self {
            Self::Disk(_) => "the disk is full",
            Self::Limit(_) => "larger than that disk, or a limit of this process, allows",
        };
        assert!(
            ran.stderr.contains(cause) && ran.stderr.contains("hint: "),
            "{ran:?}"
        );
        assert_eq!(self.names(), before, "{ran:?}");
        ran
    }

    /// Runs it with room.
    fn does(&self, command: &Command) -> Ran {
        if let Self::Disk(disk) = self {
            disk.clear();
        }
        let ran = Process::spawn(&mut self.wrapped(command, false)).wait();
        ok(&ran);
        if let Self::Disk(disk) = self {
            disk.fill_but(LITTLE);
        }
        ran
    }

    fn remove(&self, name: &str) {
        let path = self.seen().join(name);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
        if let Self::Disk(disk) = self {
            disk.clear();
            disk.fill_but(LITTLE);
        }
    }
}

#[test]
fn a_full_disk_is_named_by_whatever_writes_there() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let (long, sealed) = (town.path("long"), town.path("long.lock"));
    let content = noise(LONG);
    fs::write(&long, &content).unwrap();
    alice.ok(&["seal", text(&long), "--to", "bob", "--out", text(&sealed)]);
    alice.ok(&["vault", "create", "plans"]);
    alice.ok(&["vault", "put", "plans", text(&long)]);
    for narrow in Narrow::all(&town) {
        let at = |name: &str| narrow.path().join(name);
        let out = at("long.lock");
        let seal = alice.command(&["seal", text(&long), "--to", "bob", "--out", text(&out)]);
        narrow.refuses(&seal);
        narrow.does(&seal);
        narrow.remove("long.lock");
        let out = narrow.path();
        let open = bob.command(&["open", text(&sealed), "--out", text(out)]);
        narrow.refuses(&open);
        narrow.does(&open);
        assert!(narrow.read("long") == content);
        narrow.remove("long");
        let get = alice.command(&["vault", "get", "plans", "long", "--out", text(out)]);
        narrow.refuses(&get);
        narrow.does(&get);
        assert!(narrow.read("long") == content);
        narrow.remove("long");
        // The folder itself stays, and what is remembered of it.
        let folder = at("folder");
        let sync = alice.command(&["vault", "sync", "plans", text(&folder)]);
        match &narrow {
            Narrow::Disk(disk) => fs::create_dir(disk.seen().join("folder")).unwrap(),
            Narrow::Limit(_) => fs::create_dir(&folder).unwrap(),
        }
        let ran = narrow.refuses(&sync);
        assert!(ran.stderr.contains("folder/long"), "{ran:?}");
        assert!(!narrow.seen().join("folder/.letterlock-sync/new").exists());
        narrow.does(&sync);
        assert!(narrow.read("folder/long") == content);
        narrow.remove("folder");
    }
}

#[test]
fn a_transfer_goes_on_when_its_disk_has_room() {
    let town = Town::new();
    let content = noise(LONG);
    for (number, narrow) in Narrow::all(&town).into_iter().enumerate() {
        let alice = Side::new(&town, &format!("alice{number}"));
        let bob = Side::new(&town, &format!("bob{number}"));
        fs::write(alice.path("f"), &content).unwrap();
        let (giving, code) = alice.give(&["f"], town.url());
        let take = bob.command(&["take", &code, "--out", text(narrow.path())], town.url());
        let ran = Process::spawn(&mut narrow.wrapped(&take, true)).wait();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("goes on where it stopped"), "{ran:?}");
        // What came is kept, and nothing else.
        let names = narrow.names();
        assert!(names.len() == 1 && names[0].ends_with(".part"), "{names:?}");
        narrow.does(&take);
        ok(&giving.wait());
        assert_eq!(narrow.names(), ["f"]);
        assert!(narrow.read("f") == content);
        assert_eq!([alice.notes(), bob.notes()], [0, 0]);
        if let Narrow::Disk(disk) = &narrow {
            // What a giver notes before it begins has no room.
            disk.fill_but(0);
            let mut give = alice.command(&["give", text(&alice.path("f")), "--json"], town.url());
            give.env("XDG_STATE_HOME", narrow.path());
            let ran = Process::spawn(&mut narrow.wrapped(&give, true)).wait();
            assert_eq!(ran.code, Some(1), "{ran:?}");
            let told = failure(&ran)["message"].as_str().unwrap().to_owned();
            assert!(told.ends_with("the disk is full"), "{told}");
        }
    }
}

/// What is tried while the relay has no room.
fn tried_in_vain(town: &Town, alice: &Person, long: &Path) {
    let told = alice.fails(1, &["vault", "put", "plans", text(long)]);
    assert_eq!(told["message"], "the relay has no room for more", "{told}");
    let side = Side::new(town, "side");
    let ran = side.run(&["give", text(long), "--json"], town.url());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(failure(&ran)["message"], "the relay has no room for more");
    assert_eq!(side.notes(), 0);
    // What was there is there.
    let listed = alice.json(&["vault", "list", "plans"]);
    assert_eq!(listed.len(), 1, "{listed:?}");
}

/// The same with room: nothing was lost.
fn done_at_last(town: &Town, alice: &Person, long: &Path) {
    let content = fs::read(long).unwrap();
    alice.ok(&["vault", "put", "plans", text(long)]);
    let out = town.path("out");
    alice.ok(&["vault", "get", "plans", "long", "--out", text(&out)]);
    assert!(fs::read(out.join("long")).unwrap() == content);
    let (side, other) = (Side::new(town, "side"), Side::new(town, "other"));
    let (giving, code) = side.give(&[text(long)], town.url());
    ok(&other.run(&["take", &code], town.url()));
    ok(&giving.wait());
    assert!(fs::read(other.path("long")).unwrap() == content);
}

fn with_vault(town: &Town) -> (Person, PathBuf) {
    let alice = town.person("alice");
    let (short, long) = (town.path("short"), town.path("long"));
    fs::write(&short, b"short").unwrap();
    fs::write(&long, noise(LONG)).unwrap();
    alice.ok(&["vault", "create", "plans"]);
    alice.ok(&["vault", "put", "plans", text(&short)]);
    (alice, long)
}

#[test]
fn a_relay_whose_quota_is_used_up_says_so() {
    let mut town = Town::with_settings("[storage]\nall_blob_bytes = 6000000\n");
    let (alice, long) = with_vault(&town);
    let before = at_the_relay(&mut town);
    tried_in_vain(&town, &alice, &long);
    assert_eq!(at_the_relay(&mut town), before);
    town.set("[storage]\nall_blob_bytes = 60000000\n");
    done_at_last(&town, &alice, &long);
}

#[test]
fn what_a_folder_has_waits_for_room_at_the_relay() {
    let mut town = Town::with_settings("[storage]\nall_blob_bytes = 6000000\n");
    let (alice, bob) = shared(&town, "reader");
    let (a, b) = (town.path("a"), town.path("b"));
    let sync = |person: &Person, folder: &Path| {
        let done = person.json(&["vault", "sync", "plans", text(folder)]);
        assert_eq!(done.len(), 1, "{done:?}");
        [done[0]["put"].clone(), done[0]["written"].clone()]
    };
    fs::create_dir(&a).unwrap();
    fs::write(a.join("short"), b"first").unwrap();
    assert_eq!(sync(&alice, &a), [1, 0]);
    assert_eq!(sync(&bob, &b), [0, 1]);
    let before = at_the_relay(&mut town);
    let content = noise(LONG);
    fs::write(a.join("long"), &content).unwrap();
    fs::write(a.join("short"), b"second").unwrap();
    let told = alice.fails(1, &["vault", "sync", "plans", text(&a)]);
    assert_eq!(told["message"], "the relay has no room for more", "{told}");
    assert_eq!(at_the_relay(&mut town), before);
    // The vault is as it was, and so is what waits in the folder.
    assert_eq!(sync(&bob, &b), [0, 0]);
    assert_eq!(fs::read(b.join("short")).unwrap(), b"first");
    assert!(fs::read(a.join("long")).unwrap() == content);
    assert_eq!(fs::read(a.join("short")).unwrap(), b"second");
    town.set("[storage]\nall_blob_bytes = 60000000\n");
    assert_eq!(sync(&alice, &a), [2, 0]);
    assert_eq!(sync(&bob, &b), [0, 2]);
    assert!(fs::read(b.join("long")).unwrap() == content);
    assert_eq!(fs::read(b.join("short")).unwrap(), b"second");
    assert_eq!(sync(&alice, &a), [0, 0]);
}

#[test]
fn a_relay_whose_disk_is_full_says_so() {
    let mut town = Town::new();
    let Some(disk) = SmallDisk::mount(&town.path("small"), ENOUGH) else {
        return;
    };
    town.move_relay(&disk);
    let (alice, long) = with_vault(&town);
    disk.fill_but(LITTLE);
    tried_in_vain(&town, &alice, &long);
    // Not even a queue or a beginning has room.
    disk.fill_but(0);
    let side = Side::new(&town, "side");
    let ran = side.run(&["give", text(&long), "--json"], town.url());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(failure(&ran)["message"], "the relay has no room for more");
    let told = alice.fails(1, &["vault", "put", "plans", text(&long)]);
    assert_eq!(told["message"], "the relay has no room for more", "{told}");
    disk.clear();
    done_at_last(&town, &alice, &long);
}
