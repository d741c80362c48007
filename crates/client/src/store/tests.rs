//! What the profile on disk does beyond the conformance suite.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test code"
)]

use super::*;
use engine::{Snapshot as _, Store as _, Table, Write};
use keys::LetterId;
use std::path::Path;
use zeroize::Zeroizing;

fn passphrase(words: &str) -> Passphrase {
    Passphrase::new(words.as_bytes().to_vec())
}

fn right() -> Passphrase {
    passphrase("correct horse")
}

fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        table: Table::Meta,
        key: key.to_vec(),
        value: Zeroizing::new(value.to_vec()),
    }
}

/// A home with one value in it.
fn filled() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut store = ProfileStore::create(home.path(), &right()).unwrap();
    store.apply(vec![put(b"a", b"LETTERLOCK-MARKER")]).unwrap();
    home
}

fn value(home: &Path) -> Option<Vec<u8>> {
    ProfileStore::open(home, &right())
        .unwrap()
        .get(Table::Meta, b"a")
        .unwrap()
        .map(|value| value.to_vec())
}

#[test]
fn the_profile_on_disk_conforms() {
    let home = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::all(|| {
        number += 1;
        let home = home.path().join(number.to_string());
        crate::os::create_home(&home).unwrap();
        Box::new(ProfileStore::create(&home, &right()).unwrap())
    });
}

#[test]
fn a_profile_opens_again_with_what_was_stored() {
    assert_eq!(value(filled().path()).unwrap(), b"LETTERLOCK-MARKER");
}

#[test]
fn nothing_readable_is_on_disk() {
    let home = filled();
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for marker in [&b"LETTERLOCK-MARKER"[..], b"CREATE TABLE", b"SQLite format"] {
            assert!(!bytes.windows(marker.len()).any(|window| window == marker));
        }
    }
}

#[test]
fn a_wrong_passphrase_is_told_from_damage() {
    let home = filled();
    let error = ProfileStore::open(home.path(), &passphrase("wrong"))
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::WrongPassphrase), "{error}");
    let error = ProfileStore::open(home.path(), &passphrase(""))
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::WrongPassphrase), "{error}");
    assert!(value(home.path()).is_some());
}

#[test]
fn a_home_without_profile_is_said_to_have_none() {
    let home = tempfile::tempdir().unwrap();
    assert!(!is_profile(home.path()));
    let error = ProfileStore::open(home.path(), &right()).err().unwrap();
    assert!(matches!(error, OpenError::NoProfile), "{error}");
}

#[test]
fn a_cut_or_changed_key_file_is_damaged_whatever_the_passphrase() {
    let home = filled();
    let path = home.path().join("profile.key");
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(7).chain([whole.len() + 1]) {
        let mut bytes = whole.clone();
        bytes.resize(length, 0);
        std::fs::write(&path, bytes).unwrap();
        let error = ProfileStore::open(home.path(), &right()).err().unwrap();
        assert!(
            matches!(error, OpenError::KeyFileDamaged),
            "{length}: {error}"
        );
    }
    for place in (0..whole.len()).filter(|place| *place != 8) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = ProfileStore::open(home.path(), &right()).err().unwrap();
        assert!(
            matches!(error, OpenError::KeyFileDamaged),
            "{place}: {error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let error = ProfileStore::open(home.path(), &right()).err().unwrap();
    assert!(matches!(error, OpenError::KeyFileMissing), "{error}");
    std::fs::write(&path, &whole).unwrap();
    assert!(value(home.path()).is_some());
}

#[test]
fn a_key_file_of_a_newer_version_is_named_as_such() {
    let home = filled();
    let path = home.path().join("profile.key");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    std::fs::write(&path, bytes).unwrap();
    let error = ProfileStore::open(home.path(), &right()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { got: 2 }), "{error}");
}

#[test]
fn a_cut_changed_or_missing_database_is_damaged() {
    let home = filled();
    let path = home.path().join("profile.db");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    for bytes in [
        Vec::new(),
        whole[..10].to_vec(),
        whole[..1000].to_vec(),
        whole[..4096].to_vec(),
        flipped,
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let opened = ProfileStore::open(home.path(), &right());
        let read = opened.and_then(|store| store.get(Table::Meta, b"a").map_err(OpenError::from));
        assert!(
            matches!(read, Err(OpenError::DatabaseDamaged)),
            "{} bytes: {:?}",
            bytes.len(),
            read.err()
        );
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        ProfileStore::open(home.path(), &right()),
        Err(OpenError::DatabaseDamaged)
    ));
    std::fs::write(&path, &whole).unwrap();
    assert!(value(home.path()).is_some());
}

#[test]
fn a_creation_cut_short_is_begun_again_or_finished() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("profile.db-new"), b"half").unwrap();
    drop(ProfileStore::create(home.path(), &right()).unwrap());
    std::fs::rename(
        home.path().join("profile.db"),
        home.path().join("profile.db-new"),
    )
    .unwrap();
    assert!(value(home.path()).is_none());
}

#[test]
fn search_finds_every_word_newest_first_and_takes_no_operators() {
    let home = tempfile::tempdir().unwrap();
    let mut store = ProfileStore::create(home.path(), &right()).unwrap();
    let texts = [
        "Grüße aus Köln",
        "the red house",
        "the blue house OR boat",
        "don't NEAR(me)",
    ];
    for (number, text) in (1u8..).zip(texts) {
        let letter = LetterId::from_bytes([number; 16]);
        store
            .apply(vec![Write::Index {
                letter,
                text: text.to_owned(),
            }])
            .unwrap();
    }
    let found = |store: &ProfileStore, words: &str| -> Vec<u8> {
        store
            .search(words, 10)
            .unwrap()
            .iter()
            .map(|id| id.as_bytes()[0])
            .collect()
    };
    assert_eq!(found(&store, "house"), [3, 2]);
    assert_eq!(found(&store, "HOUSE red"), [2]);
    assert_eq!(found(&store, "hou"), [3, 2]);
    assert!(found(&store, "grusse koln").is_empty());
    assert_eq!(found(&store, "gruße koln"), [1]);
    assert!(found(&store, "red OR boat").is_empty());
    for odd in [
        "", "\"", "*", "NOT", "a\"b", "text:", "(", "don't", "\u{0}", "NEAR(me", "- +",
    ] {
        let _ = found(&store, odd);
    }
    assert_eq!(found(&store, "don't"), [4]);
    assert_eq!(store.search("house", 1).unwrap().len(), 1);
    store
        .apply(vec![Write::Unindex {
            letter: LetterId::from_bytes([3; 16]),
        }])
        .unwrap();
    assert_eq!(found(&store, "house"), [2]);
    let letter = LetterId::from_bytes([2; 16]);
    store
        .apply(vec![Write::Index {
            letter,
            text: "green".to_owned(),
        }])
        .unwrap();
    assert_eq!(
        (found(&store, "house"), found(&store, "green")),
        (Vec::new(), vec![2])
    );
}

#[test]
fn enclosures_stay_unsaved_until_noted() {
    let home = tempfile::tempdir().unwrap();
    let mut store = ProfileStore::create(home.path(), &right()).unwrap();
    let letter = LetterId::from_bytes([1; 16]);
    store.note_unsaved(&letter, 2).unwrap();
    store.note_saved(&letter, 0).unwrap();
    assert_eq!(store.unsaved().unwrap(), [(letter, 1)]);
    store.note_unsaved(&letter, 2).unwrap();
    assert_eq!(store.unsaved().unwrap().len(), 2);
}

/// Mounts a tiny file system; nothing where this process may not.
fn tiny_disk(directory: &Path) -> Option<TinyDisk> {
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"])
        .arg(directory)
        .stderr(std::process::Stdio::null())
        .status();
    mounted
        .is_ok_and(|status| status.success())
        .then(|| TinyDisk(directory.to_owned()))
}

struct TinyDisk(std::path::PathBuf);

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_disk) = tiny_disk(directory.path()) else {
        eprintln!("SKIPPED: this user may not mount a tmpfs; the test with a full database ran");
        return;
    };
    fills_and_loses_nothing(&directory.path().join("home"), |_| {});
}

/// The same where nobody may mount: SQLite reports a database at its limit as it does a full disk.
#[test]
fn a_full_database_is_named_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fills_and_loses_nothing(&directory.path().join("home"), |store| {
        store.db.pragma_update(None, "max_page_count", 128).unwrap();
    });
}

fn fills_and_loses_nothing(home: &Path, limit: impl Fn(&ProfileStore)) {
    crate::os::create_home(home).unwrap();
    let mut store = ProfileStore::create(home, &right()).unwrap();
    limit(&store);
    store.apply(vec![put(b"a", b"kept")]).unwrap();
    let mut stored = 0u32;
    let error = loop {
        match store.apply(vec![
            put(&stored.to_be_bytes(), &[1; 20_000]),
            put(b"last", &stored.to_be_bytes()),
        ]) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "the disk never filled");
    };
    assert_eq!(error, engine::StoreError::Full);
    // The open profile still reads, and so does one opened anew.
    for _ in 0..2 {
        assert_eq!(
            store.get(Table::Meta, b"a").unwrap().unwrap().as_slice(),
            b"kept"
        );
        assert_eq!(
            store.get(Table::Meta, b"last").unwrap().unwrap().as_slice(),
            (stored - 1).to_be_bytes()
        );
        drop(store);
        store = ProfileStore::open(home, &right()).unwrap();
    }
}

#[test]
fn letters_are_listed_in_the_order_they_came() {
    let home = tempfile::tempdir().unwrap();
    let mut store = ProfileStore::create(home.path(), &right()).unwrap();
    let contact = |number: u8| keys::AccountId::from_bytes([number; 32]);
    let letter = |number: u8| LetterId::from_bytes([number; 16]);
    for (order, who) in (1u8..).zip([0xff, 1, 0xff, 1, 1]) {
        let key = [
            &contact(who).as_bytes()[..],
            &u64::from(order).to_be_bytes(),
        ]
        .concat();
        let value = Zeroizing::new(letter(order).as_bytes().to_vec());
        store
            .apply(vec![Write::Put {
                table: Table::Conversation,
                key,
                value,
            }])
            .unwrap();
    }
    assert_eq!(
        store.newest(None, 3).unwrap(),
        [letter(5), letter(4), letter(3)]
    );
    assert_eq!(
        store.newest(Some(&contact(0xff)), 9).unwrap(),
        [letter(3), letter(1)]
    );
    assert_eq!(
        store.newest(Some(&contact(1)), 2).unwrap(),
        [letter(5), letter(4)]
    );
    assert_eq!(
        store.letters_after(3, 9).unwrap(),
        [(4, letter(4)), (5, letter(5))]
    );
    assert_eq!(store.shown_up_to().unwrap(), 0);
    store.note_shown_up_to(4).unwrap();
    assert_eq!(store.shown_up_to().unwrap(), 4);
}
