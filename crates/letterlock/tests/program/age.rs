//! Files of the age format: made and opened by the program, and by age itself.

use crate::sealed::{empty, piped, text};
use crate::support::{Person, Terminal, Town};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../seal/tests/keys");

/// Whether age is here. `cargo xtask test` installs it.
fn age_is_here() -> bool {
    let found = Command::new("age").arg("--version").output().is_ok();
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "no age: apt-get install age"
    );
    if !found {
        eprintln!("left out: no age");
    }
    found
}

/// Runs a program of age; what it wrote.
fn ran(program: &str, words: &[&str]) -> Vec<u8> {
    let command = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output();
    let ran = command.unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {words:?}: {stderr}");
    ran.stdout
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap().trim().to_owned()
}

/// Two chunks and some more.
fn content() -> Vec<u8> {
    (0..150_000_u32).map(|i| (i % 251) as u8).collect()
}

fn written(town: &Town, name: &str, bytes: &[u8]) -> PathBuf {
    let path = town.path(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Opens into a new directory, and reads what came there.
fn opens(person: &Person, town: &Town, file: &Path, with: &[&str]) -> Vec<u8> {
    let out = empty(town, &format!("out-of-{}", person.name));
    let words = [&["open", text(file), "--out", text(&out), "--force"], with].concat();
    let opened = person.json(&words);
    fs::read(opened[0]["written"][0].as_str().unwrap()).unwrap()
}

#[test]
fn an_identity_needs_no_account_and_opens_both_formats() {
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let key = town.path("identity");
    let recipient = nobody.ok(&["keygen", "--out", text(&key)]).line();
    assert!(recipient.starts_with("age1pq1"));
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let kept = fs::read(&key).unwrap();
    nobody.fails(2, &["keygen", "--out", text(&key)]);
    assert_eq!(fs::read(&key).unwrap(), kept);
    let shown = nobody.ok(&["keygen"]);
    assert!(shown.stdout.contains("AGE-SECRET-KEY-PQ-1") && shown.stderr.contains("age1pq1"));
    assert!(!nobody.home.exists());

    let file = written(&town, "deed", &content());
    for (format, end) in [("lock", ".lock"), ("age", ".age")] {
        let sealed = town.path(&format!("deed{end}"));
        let words = ["seal", text(&file), "--to", &recipient, "--format", format];
        let shown = nobody.json(&[&words[..], &["--out", text(&sealed)]].concat());
        assert_eq!(
            (&shown[0]["format"], &shown[0]["keys"]),
            (&format.into(), &1.into())
        );
        assert_eq!(shown[0]["size"], fs::metadata(&sealed).unwrap().len());
        assert!(opens(&nobody, &town, &sealed, &["-i", text(&key)]) == content());
        let looked = nobody.json(&["inspect", text(&sealed), "-i", text(&key)]);
        assert_eq!(
            (&looked[0]["format"], &looked[0]["opened"]),
            (&format.into(), &true.into())
        );
        assert_eq!(nobody.json(&["inspect", text(&sealed)])[0]["opened"], false);
        nobody.fails(3, &["open", text(&sealed), "--out", "-"]);
    }
    let lines = written(&town, "lines", b"AGE-SECRET-KEY-PQ-1QQQ\n");
    let refused = nobody.fails(
        2,
        &["open", text(&town.path("deed.age")), "-i", text(&lines)],
    );
    assert!(refused["message"].as_str().unwrap().contains("line 1"));
    nobody.fails(5, &["open", text(&town.path("deed.age")), "-i", "/nowhere"]);
}

#[test]
fn a_contact_gets_a_file_of_age_by_name() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let file = written(&town, "plan", &content());
    let sealed = town.path("plan.age");
    let seal = [
        "seal",
        text(&file),
        "--format",
        "age",
        "--out",
        text(&sealed),
    ];
    let ran = bob.ok(&[&seal[..], &["--to", "alice"]].concat());
    assert!(ran.stderr.contains("not signed"), "{ran:?}");
    assert!(opens(&alice, &town, &sealed, &[]) == content());
    assert!(opens(&bob, &town, &sealed, &[]) == content());
    let looked = alice.json(&["inspect", text(&sealed)]);
    assert_eq!((looked.len(), &looked[0]["keys"]), (1, &2.into()));
    assert!(looked[0]["signer"].is_null());
    let ran = alice.ok(&["open", text(&sealed), "--out", text(&empty(&town, "said"))]);
    assert!(ran.stderr.contains("not signed"), "{ran:?}");
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
    // Who sealed it cannot be known, what exists is not replaced, and the name is the file's own.
    alice.fails(3, &["open", text(&sealed), "--out", "-", "--from", "bob"]);
    alice.fails(
        2,
        &["open", text(&sealed), "--out", text(&town.path("said"))],
    );
    let renamed = town.path("plan.bin");
    fs::copy(&sealed, &renamed).unwrap();
    alice.fails(
        2,
        &["open", text(&renamed), "--out", text(&empty(&town, "none"))],
    );
    assert_eq!(fs::read_dir(town.path("none")).unwrap().count(), 0);
    // Formats and kinds that do not go together.
    let key = classical(&town);
    let word = written(&town, "word", b"correct horse\n");
    for words in [
        &["--to", "alice", "--to", &key, "--force"][..],
        &["--to", &key, "--force"],
        &["--to", "alice", "--passphrase-from", text(&word), "--force"],
        &["--to", "alice"],
        &[
            "--to",
            "age1pq1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
            "--force",
        ],
    ] {
        bob.fails(2, &[&seal[..], words].concat());
    }
    bob.ok(&[&seal[..], &["--to", &key, "--without-me", "--force"]].concat());
    for words in [
        &["seal", text(&file), "--to", &key, "--out", "-"][..],
        &[
            "seal",
            text(&file),
            "--to",
            "alice",
            "--armor",
            "--out",
            "-",
        ],
        &[
            "seal",
            text(&town.path("none")),
            "--to",
            "alice",
            "--format",
            "age",
            "--out",
            "-",
        ],
        &[
            "seal",
            text(&file),
            text(&key_file(&town)),
            "--to",
            "alice",
            "--format",
            "age",
            "--out",
            "-",
        ],
    ] {
        bob.fails(2, words);
    }
}

fn key_file(town: &Town) -> PathBuf {
    town.path("classical")
}

/// An X25519 identity that age 1.1.1 made; its recipient.
fn classical(town: &Town) -> String {
    let secret = "AGE-SECRET-KEY-1ED8J6TJ5JUK32YRC37S5384C8Y5ENZW5YKXQZ6RD4H6RK5KYUADQHT3QGF";
    fs::write(key_file(town), format!("# a comment\n{secret}\n")).unwrap();
    "age1zhdl70u4m69w7k5lcmndh8lmxnad3ke9jfncnex5l9c5pm5685hswj5ys0".to_owned()
}

/// Keys of `cnsa2` are none that age has a word for.
#[test]
fn an_account_of_cnsa2_is_told_that_age_is_not_for_it() {
    let town = Town::new();
    let alice = town.stranger("alice");
    alice.ok(&[
        "account",
        "create",
        "alice",
        "--relay",
        town.url(),
        "--suite",
        "cnsa2",
    ]);
    let key = classical(&town);
    let file = written(&town, "plan", b"plan");
    let sealed = town.path("plan.age");
    let seal = [
        "seal",
        text(&file),
        "--format",
        "age",
        "--to",
        &key,
        "--out",
        text(&sealed),
    ];
    let refused = alice.fails(3, &seal);
    assert!(refused["message"].as_str().unwrap().contains("cnsa2"));
    assert!(refused["hint"].as_str().unwrap().contains("--without-me"));
    assert!(!sealed.exists());
    alice.ok(&[&seal[..], &["--without-me"]].concat());
    assert_eq!(
        opens(&alice, &town, &sealed, &["-i", text(&key_file(&town))]),
        b"plan"
    );
}

#[test]
fn age_opens_ours_and_we_open_its() {
    if !age_is_here() {
        return;
    }
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let plain = written(&town, "plain", &content());
    let x25519 = classical(&town);
    let ssh = |name: &str| format!("{KEYS}/{name}");
    let public = |name: &str| line(&fs::read(ssh(name) + ".pub").unwrap());
    let people = [
        (x25519, text(&key_file(&town)).to_owned()),
        (public("ed"), ssh("ed")),
        (public("rsa"), ssh("rsa")),
    ];
    for (recipient, identity) in &people {
        for armor in [false, true] {
            let armored = &["--armor"][..usize::from(armor)];
            let ours = town.path("ours.age");
            let seal = [
                "seal",
                text(&plain),
                "--format",
                "age",
                "--to",
                recipient,
                "--force",
            ];
            nobody.ok(&[&seal[..], &["--out", text(&ours)], armored].concat());
            assert_eq!(fs::read(&ours).unwrap().starts_with(b"-----BEGIN"), armor);
            assert!(ran("age", &["-d", "-i", identity, text(&ours)]) == content());
            assert!(opens(&nobody, &town, &ours, &["-i", identity]) == content());

            let theirs = town.path("theirs.age");
            let seal = ["-r", recipient, "-o", text(&theirs), text(&plain)];
            ran("age", &[armored, &seal[..]].concat());
            assert!(opens(&nobody, &town, &theirs, &["-i", identity]) == content());
            let open = ["open", "-", "--out", "-", "-i", identity];
            let (opened, code, stderr) = piped(&nobody, &open, &fs::read(&theirs).unwrap());
            assert!(code == Some(0) && opened == content(), "{stderr}");
        }
    }
    // For all of them at once.
    let ours = town.path("all.age");
    let mut words = vec![
        "seal",
        text(&plain),
        "--format",
        "age",
        "--out",
        text(&ours),
    ];
    for (recipient, _) in &people {
        words.extend(["--to", recipient]);
    }
    nobody.ok(&words);
    for (_, identity) in &people {
        assert!(ran("age", &["-d", "-i", identity, text(&ours)]) == content());
    }
}

#[test]
fn a_passphrase_goes_both_ways() {
    if !age_is_here() {
        return;
    }
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let plain = written(&town, "plain", &content());
    let word = written(&town, "word", b"correct horse\n");
    let ours = town.path("ours.age");
    let by_word = ["--passphrase-from", text(&word)];
    let seal = [
        "seal",
        text(&plain),
        "--format",
        "age",
        "--out",
        text(&ours),
    ];
    let shown = nobody.json(&[&seal[..], &by_word].concat());
    assert_eq!(
        (&shown[0]["keys"], &shown[0]["passphrase"]),
        (&0.into(), &true.into())
    );
    assert!(opens(&nobody, &town, &ours, &by_word) == content());
    // Without a terminal of its own it asks on standard input.
    let opened = town.path("opened");
    let mut age = Command::new("setsid");
    age.args(["--wait", "age", "-d", "-o", text(&opened), text(&ours)]);
    let mut terminal = Terminal::open(&mut age);
    terminal.wait_for("Enter passphrase", ":");
    terminal.answer("correct horse");
    assert_eq!(terminal.end(), Some(0));
    assert!(fs::read(&opened).unwrap() == content());

    let theirs = town.path("theirs.age");
    let mut age = Command::new("setsid");
    age.args(["--wait", "age", "-p", "-o", text(&theirs), text(&plain)]);
    let mut terminal = Terminal::open(&mut age);
    terminal.wait_for("Enter passphrase", ":");
    terminal.answer("correct horse");
    terminal.wait_for("Confirm passphrase", ":");
    terminal.answer("correct horse");
    assert_eq!(terminal.end(), Some(0));
    assert!(opens(&nobody, &town, &theirs, &by_word) == content());
    fs::write(&word, "battery staple\n").unwrap();
    nobody.fails(
        3,
        &[&["open", text(&theirs), "--out", "-"], &by_word[..]].concat(),
    );
}

/// The program at a terminal of its own, where it asks for passphrases.
fn at_a_terminal(person: &Person, words: &[&str]) -> Terminal {
    let command = person.command(words);
    let mut own = Command::new("setsid");
    own.args(["--ctty", "--wait"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        own.env(name, value.unwrap_or_default());
    }
    Terminal::open(&mut own)
}

/// An identity under a passphrase, whoever sealed it, opens what was sealed for it.
#[test]
fn an_identity_under_a_passphrase_is_asked_for_it() {
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let plain = written(&town, "plain", &content());
    let recipient = classical(&town);
    let identity = key_file(&town);
    let sealed = town.path("sealed.age");
    let seal = ["seal", text(&plain), "--format", "age", "--to", &recipient];
    nobody.ok(&[&seal[..], &["--out", text(&sealed)]].concat());
    let word = written(&town, "word", b"correct horse\n");
    for armored in [&[][..], &["--armor"]] {
        let locked = town.path("locked");
        let lock = ["seal", text(&identity), "--format", "age", "--force"];
        let by_word = ["--passphrase-from", text(&word), "--out", text(&locked)];
        nobody.ok(&[&lock[..], &by_word, armored].concat());
        let out = empty(&town, "opened");
        let place = text(&out);
        let open = ["open", text(&sealed), "--out", place, "-i", text(&locked)];
        let mut terminal = at_a_terminal(&nobody, &open);
        terminal.wait_for("Passphrase of", ": ");
        terminal.answer("battery staple");
        assert_eq!(terminal.end(), Some(3));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        let mut terminal = at_a_terminal(&nobody, &open);
        terminal.wait_for("Passphrase of", ": ");
        terminal.answer("correct horse");
        assert_eq!(terminal.end(), Some(0));
        assert!(fs::read(out.join("sealed")).unwrap() == content());
        fs::remove_dir_all(&out).unwrap();
    }
    // What is sealed for somebody's key is no such file.
    let refused = nobody.fails(2, &["open", text(&sealed), "-i", text(&sealed)]);
    assert!(refused["hint"].as_str().unwrap().contains("open it first"));
}

#[test]
fn recipients_stand_in_a_file() {
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let plain = written(&town, "plain", &content());
    let recipient = classical(&town);
    let ssh = fs::read_to_string(format!("{KEYS}/ed.pub")).unwrap();
    let lines = format!("# who reads it\n{recipient}\n\n{ssh}");
    let list = written(&town, "list", lines.as_bytes());
    let sealed = town.path("sealed.age");
    let to = ["-R", text(&list), "--out", text(&sealed)];
    let shown = nobody.json(&[&["seal", text(&plain), "--format", "age"], &to[..]].concat());
    assert_eq!(shown[0]["keys"], 2);
    let ssh = format!("{KEYS}/ed");
    for identity in [text(&key_file(&town)), &ssh] {
        assert!(opens(&nobody, &town, &sealed, &["-i", identity]) == content());
    }
    let word = written(&town, "wrong", b"age1 is a fine format\n");
    let to = ["--recipients-file", text(&word)];
    nobody.fails(5, &[&["seal", text(&plain)], &to[..]].concat());
    nobody.fails(5, &["seal", text(&plain), "-R", "/nowhere"]);
}

/// Nothing appears of what is cut or changed, wherever; as it comes, whole chunks before it.
#[test]
fn what_is_damaged_leaves_nothing_behind() {
    let town = Town::new();
    let nobody = town.stranger("nobody");
    let recipient = classical(&town);
    let plain = written(&town, "plain", &content());
    let sealed = town.path("sealed.age");
    let out = empty(&town, "out");
    let identity = key_file(&town);
    let with = ["-i", text(&identity)];
    let seal = ["seal", text(&plain), "--format", "age", "--to", &recipient];
    for armored in [&[][..], &["--armor"]] {
        nobody.ok(&[&seal[..], &["--out", text(&sealed), "--force"], armored].concat());
        let good = fs::read(&sealed).unwrap();
        let mut broken: Vec<Vec<u8>> = [0, 20, 120, 190, good.len() / 2, good.len() - 2]
            .into_iter()
            .map(|length| good[..length].to_vec())
            .collect();
        for place in [0, 30, 90, 150, 170, good.len() / 2, good.len() - 40] {
            let mut changed = good.clone();
            changed[place] ^= 1;
            broken.push(changed);
        }
        for bytes in broken {
            fs::write(&sealed, &bytes).unwrap();
            let ran =
                nobody.run(&[&["open", text(&sealed), "--out", text(&out)], &with[..]].concat());
            assert!(matches!(ran.code, Some(1..=3)), "{ran:?}");
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{ran:?}");
            let (shown, code, _) = piped(
                &nobody,
                &[&["open", "-", "--out", "-"], &with[..]].concat(),
                &bytes,
            );
            assert!(shown.is_empty() && code != Some(0));
        }
    }
    let (sealed, code, stderr) = piped(&nobody, &[&["seal", "-"], &seal[2..]].concat(), &content());
    assert_eq!(code, Some(0), "{stderr}");
    let open = [&["open", "-", "--out", "-", "--stream"], &with[..]].concat();
    assert!(piped(&nobody, &open, &sealed).0 == content());
    let mut changed = sealed;
    let second = changed.len() - 50_000;
    changed[second] ^= 1;
    let (shown, code, stderr) = piped(&nobody, &open, &changed);
    assert!(code == Some(3) && shown.len() <= 131_072 && content().starts_with(&shown));
    assert!(stderr.contains("throw away what came out"), "{stderr}");
}
