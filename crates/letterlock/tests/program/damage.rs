//! Files that were cut or in which a bit was flipped: told, never believed, and nothing else suffers.

use crate::sealed::{empty, text};
use crate::support::{Person, Town};
use crate::vault_files::content;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Changes a file while it is looked at, and puts it back.
fn with_change(path: &Path, change: impl FnOnce(&mut Vec<u8>), look: impl FnOnce()) {
    let whole = std::fs::read(path).unwrap();
    let mut changed = whole.clone();
    change(&mut changed);
    std::fs::write(path, changed).unwrap();
    look();
    std::fs::write(path, whole).unwrap();
}

fn flip(at: usize) -> impl Fn(&mut Vec<u8>) {
    move |bytes| bytes[at] ^= 1
}

/// The failure of a person whose home is damaged; the passphrase is not blamed.
fn damaged(person: &Person) -> String {
    let failure = person.fails(1, &["account", "show"]);
    let message = failure["message"].as_str().unwrap().to_owned();
    assert!(!message.contains("passphrase"), "{failure}");
    assert!(
        failure["hint"].as_str().unwrap().contains("copy"),
        "{failure}"
    );
    message
}

#[test]
fn a_damaged_key_file_is_told_apart_from_a_wrong_passphrase() {
    let town = Town::new();
    let alice = town.person("alice");
    let file = alice.home.join("profile.key");
    let length = std::fs::read(&file).unwrap().len();
    for at in [0, 8, 12, 30, 60, length - 1] {
        with_change(&file, flip(at), || {
            let failure = alice.fails(1, &["account", "show"]);
            let message = failure["message"].as_str().unwrap();
            assert!(!message.contains("passphrase"), "byte {at}: {failure}");
        });
    }
    for cut in [0, 20, length - 1] {
        with_change(&file, |bytes| bytes.truncate(cut), || drop(damaged(&alice)));
    }
    with_change(&file, |bytes| bytes.push(0), || drop(damaged(&alice)));
    std::fs::rename(&file, town.path("elsewhere")).unwrap();
    damaged(&alice);
    std::fs::rename(town.path("elsewhere"), &file).unwrap();
    alice.ok(&["account", "show"]);
}

#[test]
fn a_damaged_profile_is_told_and_not_written_over() {
    let town = Town::new();
    let alice = town.person("alice");
    let file = alice.home.join("profile.db");
    let length = std::fs::read(&file).unwrap().len();
    for at in [0, 100, 4000] {
        with_change(&file, flip(at), || drop(damaged(&alice)));
    }
    for cut in [0, 1000, 4096] {
        with_change(
            &file,
            |bytes| bytes.truncate(cut),
            || {
                damaged(&alice);
                assert_eq!(
                    std::fs::read(&file).unwrap().len(),
                    cut,
                    "it stays as it is"
                );
            },
        );
    }
    // Somewhere inside: whoever reads that page is told, and nobody falls over.
    for at in (4096..length).step_by(length / 7) {
        with_change(&file, flip(at), || {
            let ran = alice.run(&["read", "--json"]);
            assert!(matches!(ran.code, Some(0 | 1)), "byte {at}: {ran:?}");
            assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        });
    }
    std::fs::remove_file(alice.home.join("profile.db-wal")).unwrap_or_default();
    alice.ok(&["account", "show"]);
}

#[test]
fn no_mistyped_invite_is_taken_for_another() {
    let town = Town::new();
    let (alice, bob) = (town.person("alice"), town.person("bob"));
    let invite = alice.ok(&["invite"]).line();
    let length = invite.len();
    let mistyped = |at: usize| {
        let mut bytes = invite.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let places = [11, 20, length / 2, length - 2];
    for wrong in places.into_iter().map(mistyped).chain([
        invite[..length / 2].to_owned(),
        format!("{invite}A"),
        "letterlock:".to_owned(),
    ]) {
        let failure = bob.fails(2, &["contact", "add", &wrong]);
        assert!(
            failure["message"].as_str().unwrap().contains("invite"),
            "{wrong}: {failure}"
        );
    }
    bob.ok(&["contact", "add", &format!("  {invite} ")]);
}

/// The one file of sealed bytes that the relay keeps.
fn only_blob(folder: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let path = found.pop().unwrap();
    if path.is_dir() {
        only_blob(&path)
    } else {
        path
    }
}

#[test]
fn a_file_that_the_relay_changed_is_not_saved() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let contents = vec![b'x'; 300_000];
    let path = town.path("plan.bin");
    std::fs::write(&path, &contents).unwrap();
    alice.ok(&[
        "send",
        "bob",
        "the plan",
        "--file",
        path.to_str().unwrap(),
        "--wait",
    ]);
    let (blob, saved) = (
        only_blob(&town.relay_data().join("blobs")),
        town.path("saved"),
    );
    let receive = ["receive", "--save", saved.to_str().unwrap(), "--json"];
    let middle = std::fs::read(&blob).unwrap().len() / 2;

    with_change(&blob, flip(middle), || {
        let ran = bob.run(&receive);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(
            ran.stdout.contains("the plan"),
            "the letter is shown: {ran:?}"
        );
        assert!(ran.stderr.contains("enclosure_not_saved"), "{ran:?}");
        assert!(ran.stderr.contains("\"hint\""), "{ran:?}");
        assert!(
            !saved.join("plan.bin").exists(),
            "nothing unverified gets the name"
        );
    });
    with_change(
        &blob,
        |bytes| bytes.truncate(middle),
        || {
            let ran = bob.run(&receive);
            assert!(matches!(ran.code, Some(1 | 3)), "{ran:?}");
            assert!(!saved.join("plan.bin").exists());
        },
    );
    // The relay has the right bytes again: the file comes.
    bob.ok(&receive);
    assert!(std::fs::read(saved.join("plan.bin")).unwrap() == contents);
    assert_eq!(std::fs::read_dir(&saved).unwrap().count(), 1);
}

/// All that is in a folder: names, times, contents.
fn inside(folder: &Path) -> Vec<(PathBuf, SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let time = path.symlink_metadata().unwrap().modified().unwrap();
        match path.is_dir() {
            true => {
                found.extend(inside(&path));
                found.push((path, time, Vec::new()));
            }
            false => found.push((path.clone(), time, std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

/// Ways to damage so many bytes: a bit at places, and an end at lengths.
fn damages(places: &[usize], lengths: &[usize], whole: &[u8]) -> Vec<Vec<u8>> {
    let flipped = places.iter().map(|at| {
        let mut changed = whole.to_vec();
        changed[*at] ^= 1 << (at % 8);
        changed
    });
    let cut = lengths.iter().map(|length| whole[..*length].to_vec());
    flipped.chain(cut).collect()
}

/// Every bit and every length is tried where files are opened (`seal`); here that the place of what was sealed stays as it
/// was, with nothing beside it.
#[test]
fn a_damaged_sealed_file_leaves_its_place_as_it_was() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let plans = empty(&town, "plans");
    std::fs::write(plans.join("bridge"), content(1, 100_000)).unwrap();
    std::fs::write(plans.join("none"), b"").unwrap();
    let sealed = town.path("plans.lock");
    alice.ok(&["seal", text(&plans), "--to", "bob", "--out", text(&sealed)]);
    let whole = std::fs::read(&sealed).unwrap();
    let out = empty(&town, "out");
    std::fs::create_dir(out.join("plans")).unwrap();
    std::fs::write(out.join("plans/mine"), b"before").unwrap();
    let before = inside(&out);
    let end = whole.len();
    let places = [
        0,
        7,
        10,
        14,
        700,
        2_500,
        5_000,
        end / 2,
        end - 5_000,
        end - 1,
    ];
    let lengths = [0, 11, 600, 1_300, end / 2, end - 20, end - 1];
    for bytes in damages(&places, &lengths, &whole) {
        std::fs::write(&sealed, &bytes).unwrap();
        let ran = bob.run(&["open", text(&sealed), "--out", text(&out), "--force"]);
        assert!(matches!(ran.code, Some(1..=3)), "{ran:?}");
        assert_eq!(inside(&out), before, "{ran:?}");
    }
    std::fs::write(&sealed, &whole).unwrap();
    bob.ok(&["open", text(&sealed), "--out", text(&out), "--force"]);
    assert!(std::fs::read(out.join("plans/bridge")).unwrap() == content(1, 100_000));
}

/// What the relay changes in a vault, or cuts off it, is not written; what nobody reads of it changes nothing.
#[test]
fn what_the_relay_changed_in_a_vault_is_not_written() {
    let town = Town::new();
    let alice = town.person("alice");
    alice.ok(&["vault", "create", "plans"]);
    let long = town.path("long");
    std::fs::write(&long, content(2, 900_000)).unwrap();
    alice.ok(&["vault", "put", "plans", text(&long)]);
    let out = empty(&town, "out");
    std::fs::write(out.join("long"), b"before").unwrap();
    let before = inside(&out);
    let get = [
        "vault",
        "get",
        "plans",
        "long",
        "--out",
        text(&out),
        "--force",
    ];
    let mut refused = 0;
    for blob in inside(&town.relay_data().join("blobs")) {
        let (path, _, whole) = blob;
        if whole.is_empty() {
            continue;
        }
        let end = whole.len();
        for bytes in damages(&[0, 30, 70, end / 2, end - 1], &[end - 1], &whole) {
            std::fs::write(&path, &bytes).unwrap();
            let ran = alice.run(&get);
            if ran.code == Some(0) {
                assert!(std::fs::read(out.join("long")).unwrap() == content(2, 900_000));
                std::fs::write(out.join("long"), b"before").unwrap();
                continue;
            }
            refused += 1;
            assert!(matches!(ran.code, Some(1 | 3)), "{ran:?}");
            let now = inside(&out)
                .into_iter()
                .map(|(path, _, bytes)| (path, bytes));
            let then = before
                .iter()
                .map(|(path, _, bytes)| (path.clone(), bytes.clone()));
            assert!(now.eq(then), "{ran:?}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(refused > 3, "{refused}");
    alice.ok(&get);
    assert!(std::fs::read(out.join("long")).unwrap() == content(2, 900_000));
}
