//! Sealed files: real processes, real files, pipes.

use crate::devices::link;
use crate::support::{Person, Town};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs a command between two pipes; what it wrote and its exit code.
pub(crate) fn piped(
    person: &Person,
    words: &[&str],
    input: &[u8],
) -> (Vec<u8>, Option<i32>, String) {
    let mut command: Command = person.command(words);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.stdout, output.status.code(), stderr)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn furnished(town: &Town) -> PathBuf {
    let plans = town.path("plans");
    fs::create_dir_all(plans.join("old")).unwrap();
    fs::write(plans.join("bridge"), vec![7; 300_000]).unwrap();
    fs::write(plans.join("old/none"), b"").unwrap();
    std::os::unix::fs::symlink("bridge", plans.join("latest")).unwrap();
    plans
}

pub(crate) fn empty(town: &Town, name: &str) -> PathBuf {
    let folder = town.path(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_folder_is_sealed_for_a_contact_and_opened_by_it() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let plans = furnished(&town);
    let sealed = town.path("plans.lock");
    let shown = bob.json(&[
        "seal",
        text(&plans),
        "--to",
        "alice",
        "--out",
        text(&sealed),
    ]);
    assert_eq!(
        (&shown[0]["keys"], &shown[0]["format"]),
        (&2.into(), &"lock".into())
    );
    let looked = alice.json(&["inspect", text(&sealed)]);
    assert_eq!(looked[0]["signer"]["name"], "bob");
    let paths: Vec<_> = looked[1..].iter().map(|entry| &entry["path"]).collect();
    assert_eq!(
        paths,
        [
            "plans",
            "plans/bridge",
            "plans/latest",
            "plans/old",
            "plans/old/none"
        ]
    );
    let out = empty(&town, "alice-out");
    let opened = alice.json(&["open", text(&sealed), "--out", text(&out), "--from", "bob"]);
    assert_eq!(opened[0]["written"][0], text(&out.join("plans")));
    assert_eq!(
        fs::read(out.join("plans/latest")).unwrap(),
        vec![7; 300_000]
    );
    assert!(out.join("plans/old/none").exists());
    // Who sealed it opens it too; others do not; what exists is not replaced.
    bob.ok(&[
        "open",
        text(&sealed),
        "--out",
        text(&empty(&town, "bob-out")),
    ]);
    let carol = town.person("carol");
    carol.fails(
        3,
        &[
            "open",
            text(&sealed),
            "--out",
            text(&empty(&town, "carol-out")),
        ],
    );
    assert_eq!(fs::read_dir(town.path("carol-out")).unwrap().count(), 0);
    let refused = carol.json(&["inspect", text(&sealed)]);
    assert_eq!((refused.len(), &refused[0]["opened"]), (1, &false.into()));
    alice.fails(2, &["open", text(&sealed), "--out", text(&out)]);
    alice.ok(&["open", text(&sealed), "--out", text(&out), "--force"]);
    alice.fails(
        3,
        &[
            "open",
            text(&sealed),
            "--out",
            text(&out),
            "--from",
            "alice",
            "--force",
        ],
    );
    bob.fails(
        2,
        &[
            "seal",
            text(&plans),
            "--to",
            "alice",
            "--out",
            text(&sealed),
        ],
    );
}

#[test]
fn pipes_go_in_and_come_out() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (sealed, code, stderr) = piped(&bob, &["seal", "--to", "alice"], &content);
    assert_eq!(code, Some(0), "{stderr}");
    let (opened, code, stderr) = piped(&alice, &["open", "-", "--out", "-"], &sealed);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(opened == content && stderr.contains("signed by bob"));
    // What was changed writes nothing, unless it was to be written as it comes.
    let mut changed = sealed;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let (opened, code, _) = piped(&alice, &["open", "-", "--out", "-"], &changed);
    assert_eq!((opened.len(), code), (0, Some(3)));
    let stream = ["open", "-", "--out", "-", "--stream"];
    let (opened, code, stderr) = piped(&alice, &stream, &changed);
    assert!(code == Some(3) && !opened.is_empty() && content.starts_with(&opened));
    // Nobody is told that nothing came out.
    assert!(
        stderr.contains("throw away what came out") && !stderr.contains("nothing was written"),
        "{stderr}"
    );
}

#[test]
fn a_path_behind_a_name_is_told_from_a_name() {
    let town = Town::new();
    let (alice, _bob) = town.pair("alice", "bob");
    let file = town.path("note");
    fs::write(&file, b"by hand").unwrap();
    let refused = alice.fails(5, &["seal", "--to", "bob", text(&file)]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("paths come before --to"), "{hint}");
    let refused = alice.fails(5, &["seal", text(&file), "--to", "carol"]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.contains("contact list"), "{hint}");
    // One key, and no key, are told as such.
    let word = town.path("word");
    fs::write(&word, "correct horse\n").unwrap();
    let nobody = town.stranger("nobody");
    let sealed = town.path("note.lock");
    let seal = ["seal", text(&file), "--out", text(&sealed), "--force"];
    let shown = nobody.ok(&[&seal[..], &["--passphrase-from", text(&word)]].concat());
    assert!(
        shown.stdout.contains("opens with  a passphrase\n"),
        "{shown:?}"
    );
    let shown = alice.ok(&seal);
    assert!(shown.stdout.contains("opens with  1 key\n"), "{shown:?}");
}

/// Bytes of the long pipe.
const LONG: usize = 256 << 20;
/// Bytes of the short one.
const SHORT: usize = 8 << 20;

/// What stands at a place of what is piped.
fn at(place: usize) -> u8 {
    (place % 251) as u8
}

/// Seals so many bytes for a contact, who opens them, all by pipes; the most memory of either, in KiB.
fn peaks(from: &Person, seal: &[&str], to: &Person, open: &[&str], length: usize) -> [u64; 2] {
    let spawn = |person: &Person, words: &[&str], input: Stdio| {
        let mut command = person.command(words);
        command.stdin(input).stdout(Stdio::piped());
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut sealing = spawn(from, seal, Stdio::piped());
    let mut plain = sealing.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        let piece = 251 * 4096;
        let bytes: Vec<u8> = (0..piece).map(at).collect();
        for start in (0..length).step_by(piece) {
            plain
                .write_all(&bytes[..piece.min(length - start)])
                .unwrap();
        }
    });
    let sealed = sealing.stdout.take().unwrap();
    let mut opening = spawn(to, open, Stdio::from(sealed));
    let mut opened = opening.stdout.take().unwrap();
    let ids = [sealing.id(), opening.id()];
    let ended = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&ended);
    let watching = std::thread::spawn(move || {
        let mut peaks = [0, 0];
        while !until.load(Ordering::Relaxed) {
            for (peak, id) in peaks.iter_mut().zip(ids) {
                *peak = memory(id).max(*peak);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        peaks
    });
    // The same from any place on.
    let pattern: Vec<u8> = (0..251 + (1 << 16)).map(at).collect();
    let (mut buffer, mut done) = (vec![0; 1 << 16], 0);
    loop {
        let got = opened.read(&mut buffer).unwrap();
        if got == 0 {
            break;
        }
        let from = done % 251;
        assert!(buffer[..got] == pattern[from..from + got], "{done}");
        done += got;
    }
    assert_eq!(done, length);
    writing.join().unwrap();
    assert!(sealing.wait().unwrap().success() && opening.wait().unwrap().success());
    ended.store(true, Ordering::Relaxed);
    watching.join().unwrap()
}

/// The most memory that a process has used, in KiB; 0 if it has ended.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// However long a pipe is, both sides use as much memory as of a short one. The password of a profile costs more than that.
#[test]
fn pipes_of_any_length_take_constant_memory() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let seal = ["seal", "--to", "bob"];
    for open in [
        &["open", "-", "--out", "-"][..],
        &["open", "-", "--out", "-", "--stream"],
    ] {
        let [short, long] = [SHORT, LONG].map(|length| peaks(&alice, &seal, &bob, open, length));
        for (short, long) in short.into_iter().zip(long) {
            assert!(
                short > 0 && long < short + 48 * 1024,
                "{open:?}: {short} KiB, {long} KiB"
            );
        }
    }
}

#[test]
fn a_passphrase_needs_no_account() {
    let town = Town::new();
    let (alice, nobody) = (town.person("alice"), town.stranger("nobody"));
    let file = town.path("note");
    fs::write(&file, b"by hand").unwrap();
    let word = town.path("word");
    fs::write(&word, "correct horse\n").unwrap();
    let sealed = town.path("note.lock");
    let by_word = ["--passphrase-from", text(&word)];
    let words = [&["seal", text(&file), "--out", text(&sealed)], &by_word[..]].concat();
    let shown = nobody.json(&words);
    assert_eq!(
        (&shown[0]["keys"], &shown[0]["passphrase"]),
        (&0.into(), &true.into())
    );
    let out = empty(&town, "out");
    let open = ["open", text(&sealed), "--out", text(&out)];
    let opened = alice.json(&[&open[..], &by_word].concat());
    assert!(opened[0]["signer"].is_null());
    assert_eq!(fs::read(out.join("note")).unwrap(), b"by hand");
    fs::write(&word, "battery staple\n").unwrap();
    let wrong = [&open[..], &by_word, &["--force"]].concat();
    assert!(
        alice.fails(3, &wrong)["message"]
            .as_str()
            .unwrap()
            .contains("passphrase")
    );
    nobody.fails(5, &["seal", text(&file), "--to", "alice", "--out", "-"]);
    nobody.fails(2, &["seal", text(&file), "--out", "-"]);
}

/// The recovery key is among the keys that a file is sealed to.
#[test]
fn a_sheet_opens_what_was_sealed_before_all_was_lost() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let sheet = town.path("sheet");
    let drawn = alice.ok(&["recovery", "sheet", "--yes"]).stdout;
    fs::write(&sheet, drawn).unwrap();
    bob.ok(&["send", "alice", "hello", "--wait"]);
    let file = town.path("deed");
    fs::write(&file, b"the house").unwrap();
    let sealed = town.path("deed.lock");
    let shown = bob.json(&["seal", text(&file), "--to", "alice", "--out", text(&sealed)]);
    assert_eq!(shown[0]["keys"], 3, "two devices and a sheet");
    let bare = town.stranger("bare");
    let out = empty(&town, "out");
    bare.ok(&[
        "open",
        text(&sealed),
        "--out",
        text(&out),
        "--sheet",
        text(&sheet),
    ]);
    assert_eq!(fs::read(out.join("deed")).unwrap(), b"the house");
}

/// The home is open elsewhere: that process says whose keys they are, signs, and opens headers.
#[test]
fn files_are_sealed_and_opened_while_another_process_has_the_home() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let file = town.path("note");
    fs::write(&file, b"beside").unwrap();
    let sealed = town.path("note.lock");
    let mut follows = [&alice, &bob].map(|person| person.start(&["receive", "--follow"]));
    bob.ok(&["seal", text(&file), "--to", "alice", "--out", text(&sealed)]);
    let out = empty(&town, "out");
    let opened = alice.json(&["open", text(&sealed), "--out", text(&out)]);
    assert_eq!(opened[0]["signer"]["name"], "bob");
    for follow in &mut follows {
        assert!(!follow.has_ended());
    }
}

#[test]
fn a_signature_of_a_revoked_device_is_refused() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let tablet = link(&town, &bob, "tablet");
    let file = town.path("note");
    fs::write(&file, b"mine").unwrap();
    let sealed = town.path("note.lock");
    tablet.ok(&["seal", text(&file), "--to", "alice", "--out", text(&sealed)]);
    let out = empty(&town, "out");
    let open = ["open", text(&sealed), "--out", text(&out), "--force"];
    alice.ok(&open);
    bob.ok(&["device", "revoke", "tablet", "--reason", "stolen", "--yes"]);
    bob.ok(&["send", "alice", "my tablet is gone", "--wait"]);
    assert_eq!(alice.receive(), ["my tablet is gone"]);
    let refused = alice.fails(3, &open);
    assert!(refused["message"].as_str().unwrap().contains("revoked"));
    alice.ok(&[&open[..], &["--any-signature"]].concat());
}
