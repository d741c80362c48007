//! Files that were cut or in which a bit was flipped: told, never believed, and nothing else suffers.

use crate::support::{Person, Town};
use std::path::{Path, PathBuf};

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
