//! `give` and `take`: two processes, a relay between them, and no account.

use crate::support::{AtLimit, Process, Proxy, Ran, Terminal, Town, letterlock, occurs};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One side: a folder of its own, and nothing else.
pub(crate) struct Side {
    pub(crate) folder: PathBuf,
}

impl Side {
    pub(crate) fn new(town: &Town, name: &str) -> Self {
        let folder = town.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn command(&self, words: &[&str], url: &str) -> Command {
        let mut command = letterlock();
        command
            .args(words)
            .args(["--relay", url])
            .env("XDG_STATE_HOME", self.path("state"))
            .env("LETTERLOCK_HOME", self.path("home"))
            .current_dir(&self.folder);
        command
    }

    pub(crate) fn start(&self, words: &[&str], url: &str) -> Process {
        Process::spawn(&mut self.command(words, url))
    }

    pub(crate) fn run(&self, words: &[&str], url: &str) -> Ran {
        self.start(words, url).wait()
    }

    /// Gives; the process, and its code.
    pub(crate) fn give(&self, words: &[&str], url: &str) -> (Process, String) {
        let mut giving = self.start(&[&["give"], words].concat(), url);
        let code = giving.next_line().expect("the code");
        (giving, code)
    }

    /// What is noted of transfers that were begun.
    pub(crate) fn notes(&self) -> usize {
        let folder = self.path("state/letterlock");
        ["give", "take"]
            .iter()
            .filter_map(|kind| std::fs::read_dir(folder.join(kind)).ok())
            .map(Iterator::count)
            .sum()
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "state").collect();
        names.sort();
        names
    }
}

/// What lies at the relay: queues and blobs.
pub(crate) fn at_the_relay(town: &mut Town) -> [u64; 2] {
    town.stop_relay();
    let mut inspect = letterlock();
    inspect
        .args(["relay", "inspect", "--data"])
        .arg(town.relay_data());
    let shown = Process::spawn(&mut inspect).wait().stdout;
    town.start_relay();
    ["queue", "blob"].map(|what| {
        let count = |line: &str| {
            let (count, of) = line.split_once(' ')?;
            let fits = of == what || of.strip_suffix('s') == Some(what);
            count.parse().ok().filter(|_| fits)
        };
        shown.lines().find_map(count).unwrap()
    })
}

pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

pub(crate) fn failure(ran: &Ran) -> Value {
    serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap()
}

pub(crate) fn ok(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_file_is_given_and_taken_without_an_account() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(3_000_000);
    std::fs::write(alice.path("report.pdf"), &content).unwrap();
    let (giving, code) = alice.give(&["report.pdf"], &url);
    // As a person types it.
    let typed = code.to_uppercase().replace('-', " ");
    let mut words = vec!["take"];
    words.extend(typed.split(' '));
    let taken = bob.run(&words, &url);
    ok(&taken);
    assert_eq!(taken.line(), bob.path("report.pdf").to_str().unwrap());
    let given = giving.wait();
    ok(&given);
    assert!(
        given
            .stderr
            .contains(&format!("letterlock take {code} --relay '{url}'")),
        "{given:?}"
    );
    assert_eq!(std::fs::read(bob.path("report.pdf")).unwrap(), content);
    // Nothing is left, nowhere; the code counted once.
    assert_eq!(bob.files(), ["report.pdf"]);
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
    let again = bob.run(&["take", &code], &url);
    assert_eq!(again.code, Some(5), "{again:?}");
}

#[test]
fn a_folder_keeps_its_names_modes_and_links() {
    use std::os::unix::fs::PermissionsExt as _;
    let town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let folder = alice.path("plans");
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    std::fs::write(folder.join("deep/er/secret name.txt"), b"a known text").unwrap();
    std::fs::write(folder.join("empty"), b"").unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(folder.join("empty"), mode).unwrap();
    std::os::unix::fs::symlink("deep", folder.join("link")).unwrap();
    std::fs::write(alice.path("other"), b"beside it").unwrap();
    let (giving, code) = alice.give(&["plans", "other", "--json"], &url);
    let told: Value = serde_json::from_str(&code).unwrap();
    assert_eq!(told["answer"], "give_code");
    assert_eq!(told["relay"], *url);
    // What lies at the relay says nothing of what was given.
    while !occurs(&town.relay_data().join("blobs"), b"LLOCK") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(
        !occurs(&town.relay_data(), b"secret name") && !occurs(&town.relay_data(), b"a known text")
    );
    let taken = bob.run(
        &[
            "take",
            told["code"].as_str().unwrap(),
            "--out",
            "in",
            "--json",
        ],
        &url,
    );
    ok(&taken);
    let answer: Value = serde_json::from_str(&taken.line()).unwrap();
    assert_eq!(answer["answer"], "taken");
    assert_eq!(answer["written"].as_array().unwrap().len(), 2);
    let given = giving.wait();
    ok(&given);
    let answer: Value = serde_json::from_str(given.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&answer["answer"], &answer["size"]),
        (&"given".into(), &21.into())
    );
    let got = bob.path("in/plans");
    assert_eq!(
        std::fs::read(got.join("deep/er/secret name.txt")).unwrap(),
        b"a known text"
    );
    assert_eq!(
        std::fs::metadata(got.join("empty"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    assert_eq!(
        std::fs::read_link(got.join("link")).unwrap(),
        Path::new("deep")
    );
    assert_eq!(std::fs::read(bob.path("in/other")).unwrap(), b"beside it");
}

#[test]
fn a_wrong_guess_ends_the_giving() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, mallory) = (Side::new(&town, "alice"), Side::new(&town, "mallory"));
    std::fs::write(alice.path("f"), b"secret").unwrap();
    let (giving, code) = alice.give(&["f", "--json"], &url);
    let told: Value = serde_json::from_str(&code).unwrap();
    let code = told["code"].as_str().unwrap();
    let number = code.split('-').next().unwrap();
    // What is no code costs nothing.
    for wrong in [
        "abandon",
        "12",
        &format!("{number}-abandon-abandon-abandonn"),
    ] {
        let ran = mallory.run(&["take", wrong, "--json"], &url);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let guess = mallory.run(&["take", number, "zoo", "zoo", "zoo", "--json"], &url);
    assert_eq!(guess.code, Some(3), "{guess:?}");
    assert!(
        failure(&guess)["message"]
            .as_str()
            .unwrap()
            .contains("used up")
    );
    let given = giving.wait();
    assert_eq!(given.code, Some(3), "{given:?}");
    assert!(
        failure(&given)["message"]
            .as_str()
            .unwrap()
            .contains("guessed or mistyped")
    );
    // Not even the right code counts now.
    let late = mallory.run(&["take", code], &url);
    assert_eq!(late.code, Some(5), "{late:?}");
    assert!(mallory.files().is_empty());
    assert_eq!([alice.notes(), mallory.notes()], [0, 0]);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn a_code_expires_and_an_interrupt_leaves_nothing() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"secret").unwrap();
    let ran = alice.run(&["give", "f", "--expires", "25h"], &url);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let (expiring, _) = alice.give(&["f", "--expires", "1s", "--json"], &url);
    let (stopped, code) = alice.give(&["f"], &url);
    let ran = expiring.wait();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        failure(&ran)["message"]
            .as_str()
            .unwrap()
            .contains("in time")
    );
    stopped.interrupt();
    assert_eq!(stopped.wait().code, Some(130));
    assert_eq!(alice.notes(), 0);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
    let ran = bob.run(&["take", &code], &url);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(bob.notes(), 0);
}

/// What is typed at a question stands in no list of processes and in no history of a shell.
#[test]
fn a_code_that_is_not_given_is_asked_for() {
    let town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"x").unwrap();
    let (giving, code) = alice.give(&["f"], &url);
    let mut terminal = Terminal::open(&mut bob.command(&["take"], &url));
    terminal.wait_for("Code:", " ");
    terminal.answer(&code);
    assert_eq!(terminal.end(), Some(0));
    ok(&giving.wait());
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"x");
    // A link needs no more than an answer, and a script pipes either.
    let (giving, link) = alice.give(&["f", "--link"], &url);
    let mut command = letterlock();
    command
        .args(["take", "--force"])
        .env("XDG_STATE_HOME", bob.path("state"))
        .current_dir(&bob.folder);
    let mut terminal = Terminal::open(&mut command);
    terminal.wait_for("Code:", " ");
    terminal.answer(&link);
    assert_eq!(terminal.end(), Some(0));
    ok(&giving.wait());
    let (giving, code) = alice.give(&["f"], &url);
    let line = bob.path("code");
    std::fs::write(&line, format!("{code}\n")).unwrap();
    let mut command = bob.command(&["take", "-", "--force"], &url);
    command.stdin(std::fs::File::open(&line).unwrap());
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    ok(&giving.wait());
    // Nobody is there to ask.
    let ran = bob.run(&["take", "--json"], &url);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(failure(&ran)["hint"].as_str().unwrap().contains("code"));
}

#[test]
fn what_exists_stays_and_the_same_command_goes_on_with_force() {
    let town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"new").unwrap();
    std::fs::write(bob.path("f"), b"old").unwrap();
    let (giving, code) = alice.give(&["f"], &url);
    let refused = bob.run(&["take", &code], &url);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"old");
    ok(&bob.run(&["take", &code, "--force"], &url));
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"new");
    ok(&giving.wait());
    assert_eq!(bob.files(), ["f"]);
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
}

#[test]
fn without_a_relay_the_command_says_what_to_add() {
    let town = Town::new();
    let alice = Side::new(&town, "alice");
    std::fs::write(alice.path("f"), b"x").unwrap();
    for words in [
        &["give", "f", "--json"][..],
        &["take", "4821-guitar-banana-mouse", "--json"],
    ] {
        let mut command = letterlock();
        command
            .args(words)
            .env("XDG_STATE_HOME", alice.path("state"))
            .env("LETTERLOCK_HOME", alice.path("home"))
            .current_dir(&alice.folder);
        let ran = Process::spawn(&mut command).wait();
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(failure(&ran)["hint"].as_str().unwrap().contains("--relay"));
    }
    let ran = alice.run(&["give", "none"], town.url());
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let ran = alice.run(&["give", "f"], "http://127.0.0.1:1");
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

/// A home with an account needs no `--relay`.
#[test]
fn the_relay_of_the_account_is_taken() {
    let town = Town::new();
    let person = town.person("alice");
    let bob = Side::new(&town, "bob");
    let file = town.path("f");
    std::fs::write(&file, b"x").unwrap();
    let state = town.path("state");
    let mut command = person.command(&["give", file.to_str().unwrap()]);
    command.env("XDG_STATE_HOME", &state);
    let mut giving = Process::spawn(&mut command);
    let code = giving.next_line().unwrap();
    ok(&bob.run(&["take", &code], town.url()));
    ok(&giving.wait());
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"x");
}

/// The files of blobs at the relay, once there are so many that have something in them.
pub(crate) fn blobs(town: &Town, count: usize) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(&path, found),
                false if std::fs::metadata(&path).is_ok_and(|data| data.len() > 0) => {
                    found.push(path);
                }
                false => {}
            }
        }
    }
    loop {
        let mut found = Vec::new();
        below(&town.relay_data().join("blobs"), &mut found);
        if found.len() == count {
            found.sort();
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_blob_of_another_transfer_is_refused() {
    let town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"mine").unwrap();
    std::fs::write(alice.path("g"), b"evil").unwrap();
    let (first, code) = alice.give(&["f"], &url);
    let (_second, _) = alice.give(&["g"], &url);
    let files = blobs(&town, 2);
    let contents: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert_eq!(contents[0].len(), contents[1].len());
    std::fs::write(&files[0], &contents[1]).unwrap();
    std::fs::write(&files[1], &contents[0]).unwrap();
    let ran = bob.run(&["take", &code, "--json"], &url);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(bob.files().is_empty());
    // Put right, the same command does.
    std::fs::write(&files[0], &contents[0]).unwrap();
    std::fs::write(&files[1], &contents[1]).unwrap();
    ok(&bob.run(&["take", &code], &url));
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"mine");
    ok(&first.wait());
}

#[test]
fn a_relay_that_changes_or_cuts_what_was_given_gives_nothing() {
    let town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(100_000)).unwrap();
    let (giving, code) = alice.give(&["f"], &url);
    let file = blobs(&town, 1).remove(0);
    let content = std::fs::read(&file).unwrap();
    std::fs::write(bob.path("there"), b"before").unwrap();
    let end = content.len();
    let refused = |bytes: &[u8], what: usize| {
        std::fs::write(&file, bytes).unwrap();
        let ran = bob.run(&["take", &code], &url);
        assert_eq!(ran.code, Some(3), "{what}: {ran:?}");
        assert_eq!(bob.files(), ["there"], "{what}");
        assert_eq!(std::fs::read(bob.path("there")).unwrap(), b"before");
    };
    // In the header, in its mac, in the payload's header, in its first and in its last chunk.
    for place in [0, 8, 20, 1200, 1230, 1260, 5000, end / 2, end - 20, end - 1] {
        let mut changed = content.clone();
        changed[place] ^= 1 << (place % 8);
        refused(&changed, place);
    }
    refused(&content[..end - 1], end - 1);
    assert_eq!(bob.notes(), 0);
    // Whoever gives hears that it did not come.
    let given = giving.wait();
    assert_eq!(given.code, Some(1), "{given:?}");
    // What was cut off is told at once: each needs a code of its own.
    for length in [0, 11, 1225, 20_000] {
        let (giving, code) = alice.give(&["f"], &url);
        let file = blobs(&town, 1).remove(0);
        let content = std::fs::read(&file).unwrap();
        std::fs::write(&file, &content[..length]).unwrap();
        let ran = bob.run(&["take", &code], &url);
        assert_eq!(ran.code, Some(3), "{length}: {ran:?}");
        assert_eq!(bob.files(), ["there"], "{length}");
        let given = giving.wait();
        assert_eq!(given.code, Some(1), "{given:?}");
    }
}

/// At a terminal both sides show how far they are; the network holds them in the middle, so that there is a middle.
#[test]
fn progress_is_shown_at_a_terminal() {
    let town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(12_000_000)).unwrap();
    let slow = Proxy::new(town.authority(), AtLimit::Hold, 6_000_000);
    let at_a_screen = |mut command: Command| {
        command.env("TERM", "xterm");
        Terminal::open(&mut command)
    };
    let mut giving = at_a_screen(alice.command(&["give", "f"], slow.url()));
    giving.next_line();
    let bar = giving.wait_for("give f", "MiB/11.4");
    assert!(bar.contains('['), "{bar}");
    drop(giving);

    let (giving, code) = alice.give(&["f"], town.url());
    let slow = Proxy::new(town.authority(), AtLimit::Hold, 6_000_000);
    let mut taking = at_a_screen(bob.command(&["take", &code], slow.url()));
    // What is taken has its padding.
    let bar = taking.wait_for("take files", "MiB/11.5");
    assert!(bar.contains('['), "{bar}");
    slow.open(u64::MAX);
    assert_eq!(taking.end(), Some(0));
    ok(&giving.wait());
    assert!(std::fs::read(bob.path("f")).unwrap() == noise(12_000_000));
}

/// No connection lives long enough for all of it.
#[test]
fn a_lost_connection_is_no_end() {
    let mut town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(9_000_000);
    std::fs::write(alice.path("f"), &content).unwrap();
    let networks =
        [3_000_000, 2_000_000].map(|limit| Proxy::new(town.authority(), AtLimit::Break, limit));
    let (giving, code) = alice.give(&["f"], networks[0].url());
    ok(&bob.run(&["take", &code], networks[1].url()));
    ok(&giving.wait());
    assert!(std::fs::read(bob.path("f")).unwrap() == content);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

/// The bytes that pass before the kill say where it falls: in the first words, in the download, behind it.
#[test]
fn a_taker_that_is_killed_goes_on() {
    let mut town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(4_000_000);
    std::fs::write(alice.path("f"), &content).unwrap();
    let (giving, code) = alice.give(&["f"], town.url());
    blobs(&town, 1);
    let network = Proxy::new(town.authority(), AtLimit::Hold, 0);
    let fetched = || {
        let part = bob.files().into_iter().find(|name| name.ends_with(".part"));
        part.map_or(0, |name| std::fs::metadata(bob.path(&name)).unwrap().len())
    };
    for limit in [
        500, 2_000, 6_000, 9_000, 11_000, 14_000, 17_000, 800_000, 1_500_000,
    ] {
        network.open(limit);
        let before = fetched();
        let mut taking = bob.start(&["take", &code], network.url());
        assert!(
            network.wait_for_limit(|| taking.has_ended()),
            "{limit}: {:?}",
            taking.wait()
        );
        while limit > 100_000 && fetched() < before + limit / 2 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        taking.kill();
        assert!(!bob.path("f").exists(), "{limit}");
    }
    let (before, had) = (network.total(), fetched());
    network.open(u64::MAX);
    ok(&bob.run(&["take", &code], network.url()));
    ok(&giving.wait());
    assert!(std::fs::read(bob.path("f")).unwrap() == content);
    // What was there was not fetched again.
    let passed = network.total() - before;
    assert!(
        had > 1_000_000 && passed + had < 4_600_000,
        "{passed} and {had}"
    );
    assert_eq!(bob.files(), ["f"]);
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn a_giver_that_is_killed_leaves_the_taker_with_an_error() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(9_000_000)).unwrap();
    // Half of it comes to the relay.
    let network = Proxy::new(town.authority(), AtLimit::Hold, 5_000_000);
    let (giving, code) = alice.give(&["f"], network.url());
    let taking = bob.start(&["take", &code, "--json"], &url);
    network.wait_for_limit(|| false);
    giving.kill();
    let ran = taking.wait();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        failure(&ran)["message"]
            .as_str()
            .unwrap()
            .contains("does not answer")
    );
    assert!(bob.files().is_empty());
    // Who gives next there removes what was left, and then the taker is told so.
    network.open(u64::MAX);
    let (next, _) = alice.give(&["f"], network.url());
    next.interrupt();
    assert_eq!(next.wait().code, Some(130));
    let ran = bob.run(&["take", &code, "--json"], &url);
    assert!(matches!(ran.code, Some(1 | 5)), "{ran:?}");
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn what_was_offered_comes_although_the_giver_is_gone() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(4_000_000);
    std::fs::write(alice.path("f"), &content).unwrap();
    let (giving, code) = alice.give(&["f"], &url);
    blobs(&town, 1);
    let network = Proxy::new(town.authority(), AtLimit::Hold, 2_000_000);
    let mut taking = bob.start(&["take", &code], network.url());
    assert!(network.wait_for_limit(|| taking.has_ended()));
    taking.kill();
    giving.kill();
    // The relay goes down, too.
    town.kill_relay();
    town.start_relay();
    ok(&bob.run(&["take", &code], &url));
    assert!(std::fs::read(bob.path("f")).unwrap() == content);
    assert_eq!(bob.notes(), 0);
}

#[test]
fn a_relay_that_was_killed_is_waited_for() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"x").unwrap();
    let (giving, code) = alice.give(&["f"], &url);
    blobs(&town, 1);
    town.kill_relay();
    town.start_relay();
    ok(&bob.run(&["take", &code], &url));
    ok(&giving.wait());
    assert_eq!(std::fs::read(bob.path("f")).unwrap(), b"x");
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn a_taker_that_stops_tells_the_giver() {
    let mut town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(4_000_000)).unwrap();
    let (giving, code) = alice.give(&["f"], town.url());
    blobs(&town, 1);
    let network = Proxy::new(town.authority(), AtLimit::Hold, 1_000_000);
    let mut taking = bob.start(&["take", &code], network.url());
    assert!(network.wait_for_limit(|| taking.has_ended()));
    network.open(u64::MAX);
    taking.interrupt();
    let ran = taking.wait();
    if ran.code == Some(130) {
        let given = giving.wait();
        assert_eq!(given.code, Some(1), "{given:?}");
        assert!(bob.files().is_empty());
    } else {
        // It was through before it was stopped.
        ok(&ran);
        ok(&giving.wait());
    }
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

/// Takes by a link, which names its relay.
pub(crate) fn take_link(side: &Side, link: &str) -> Ran {
    let mut command = letterlock();
    command
        .args(["take", link, "--json"])
        .env("XDG_STATE_HOME", side.path("state"))
        .env("LETTERLOCK_HOME", side.path("home"))
        .current_dir(&side.folder);
    Process::spawn(&mut command).wait()
}

#[test]
fn whoever_has_the_link_gets_everything() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    let content = noise(5_000_000);
    std::fs::create_dir(alice.path("plans")).unwrap();
    std::fs::write(alice.path("plans/f"), &content).unwrap();
    let (giving, link) = alice.give(&["plans", "--link"], &url);
    let (address, fragment) = link.split_once('#').unwrap();
    assert_eq!(address, "http://127.0.0.1:7465/");
    // A link that was cut or mistyped is noticed before anything is asked.
    for wrong in [
        format!("{address}#{}", &fragment[1..]),
        format!("{address}#{}", &fragment[..fragment.len() - 4]),
        format!("{address}#"),
    ] {
        let ran = take_link(&bob, &wrong);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let ran = bob.run(&["take", &link], &url);
    assert_eq!(ran.code, Some(2), "a link names its relay: {ran:?}");
    ok(&take_link(&bob, &link));
    ok(&giving.wait());
    assert!(std::fs::read(bob.path("plans/f")).unwrap() == content);
    assert_eq!(bob.files(), ["plans"]);
    assert_eq!([alice.notes(), bob.notes()], [0, 0]);
    // Once it was taken there is nothing behind it.
    let late = take_link(&Side::new(&town, "carol"), &link);
    assert_eq!(late.code, Some(3), "{late:?}");
    assert!(
        late.stderr.contains("behind this link any more"),
        "{late:?}"
    );
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn a_link_is_over_when_its_giver_is_gone() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(2_000_000)).unwrap();
    let (giving, link) = alice.give(&["f", "--link", "--expires", "1h"], &url);
    giving.kill();
    assert_eq!(at_the_relay(&mut town)[1], 1);
    // Whoever takes looks at the time, whatever the relay does.
    let clock = town.put_ahead(2);
    let mut late = letterlock();
    late.args(["take", &link, "--json"])
        .env("LD_PRELOAD", clock)
        .env("XDG_STATE_HOME", bob.path("state"))
        .env("LETTERLOCK_HOME", bob.path("home"))
        .current_dir(&bob.folder);
    let ran = Process::spawn(&mut late).wait();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = failure(&ran)["message"].as_str().unwrap().to_owned();
    assert!(told.contains("has expired"), "{told}");
    assert!(bob.files().is_empty());
    assert_eq!(bob.notes(), 0);
    // The relay gives it to nobody, whatever time it is for whoever takes.
    town.stop_relay();
    town.start_relay();
    let ran = take_link(&bob, &link);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = failure(&ran)["message"].as_str().unwrap().to_owned();
    assert!(told.contains("it has expired"), "{told}");
    assert!(bob.files().is_empty());
    // It is swept soon after the relay has begun, which each look ends: it gets longer each time.
    let swept = (1..40).any(|look| {
        std::thread::sleep(std::time::Duration::from_millis(20 * look));
        at_the_relay(&mut town)[1] == 0
    });
    assert!(swept);
}

#[test]
fn what_a_link_leads_to_is_what_was_given() {
    let mut town = Town::new();
    let url = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"mine").unwrap();
    std::fs::write(alice.path("g"), b"evil").unwrap();
    let (first, link) = alice.give(&["f", "--link"], &url);
    let (second, _) = alice.give(&["g", "--link"], &url);
    let files = blobs(&town, 2);
    let contents: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    std::fs::write(&files[0], &contents[1]).unwrap();
    std::fs::write(&files[1], &contents[0]).unwrap();
    let ran = take_link(&bob, &link);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(bob.files().is_empty());
    second.interrupt();
    assert_eq!(second.wait().code, Some(130));
    first.interrupt();
    assert_eq!(first.wait().code, Some(130));
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

/// One request to a page; status and body.
fn request(url: &str, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority).unwrap();
    let mut text = format!(
        "{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str(&format!("host: {authority}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, format!("{head}\n\n{body}"))
}

/// A page of a side; the process, its address, and the token that stands in it.
fn page(side: &Side) -> (Process, String, String) {
    let mut command = letterlock();
    command
        .args(["take", "--page", "--port", "0", "--out", "in"])
        .env("XDG_STATE_HOME", side.path("state"))
        .env("LETTERLOCK_HOME", side.path("home"))
        .current_dir(&side.folder);
    let mut serving = Process::spawn(&mut command);
    let line = serving.next_line().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    let (status, html) = request(&url, "GET /", &[], "");
    assert_eq!(status, 200, "{html}");
    assert!(html.contains("content-security-policy: default-src 'none'; script-src 'nonce-"));
    assert!(html.contains("cache-control: no-store"));
    let (_, rest) = html.split_once("const token = \"").unwrap();
    let token = rest.split('"').next().unwrap().to_owned();
    (serving, url, token)
}

#[test]
fn a_link_opens_in_a_page_of_the_own_machine() {
    let mut town = Town::new();
    let relay = town.url().to_owned();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), noise(1_000_000)).unwrap();
    let (giving, link) = alice.give(&["f", "--link"], &relay);
    let fragment = link.split_once('#').unwrap().1;
    let (serving, url, token) = page(&bob);
    let shown = [("x-letterlock", token.as_str())];
    let (_, told) = request(&url, "POST /take", &shown, "nonsense");
    assert!(told.contains("\"kind\":\"usage\""), "{told}");
    let (status, told) = request(&url, "POST /take", &shown, fragment);
    let body: Value = serde_json::from_str(told.split("\n\n").nth(1).unwrap()).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        body["written"],
        serde_json::json!([bob.path("in/f").to_str().unwrap()])
    );
    assert!(std::fs::read(bob.path("in/f")).unwrap() == noise(1_000_000));
    let (_, told) = request(&url, "GET /progress", &shown, "");
    assert!(told.contains("\"total\":"), "{told}");
    ok(&giving.wait());
    serving.interrupt();
    ok(&serving.wait());
    assert_eq!(bob.notes(), 0);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

#[test]
fn another_page_takes_nothing() {
    let town = Town::new();
    let (alice, bob) = (Side::new(&town, "alice"), Side::new(&town, "bob"));
    std::fs::write(alice.path("f"), b"x").unwrap();
    let (_giving, link) = alice.give(&["f", "--link"], town.url());
    let fragment = link.split_once('#').unwrap().1;
    let (_serving, url, token) = page(&bob);
    let other = token.chars().rev().collect::<String>();
    for headers in [
        &[][..],
        &[("x-letterlock", "")],
        &[("x-letterlock", other.as_str())],
    ] {
        for line in ["POST /take", "GET /progress", "OPTIONS /take", "GET /other"] {
            let (status, told) = request(&url, line, headers, fragment);
            assert_eq!(status, 403, "{line}: {told}");
            assert!(!told.contains("access-control"), "{told}");
        }
    }
    let (status, _) = request(&url, "GET /other", &[("x-letterlock", &token)], "");
    assert_eq!(status, 404);
    assert!(bob.files().is_empty());
}

#[test]
fn a_page_under_another_name_is_refused() {
    let town = Town::new();
    let bob = Side::new(&town, "bob");
    let (_serving, url, token) = page(&bob);
    let port = url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    for name in [
        "evil.example",
        &format!("evil.example:{port}"),
        &format!("localhost:{port}"),
        "",
    ] {
        let headers = [("host", name), ("x-letterlock", token.as_str())];
        for line in ["GET /", "POST /take"] {
            let (status, told) = request(&url, line, &headers, "");
            assert_eq!(status, 421, "{name}: {told}");
            assert!(!told.contains(&token));
        }
    }
}
