//! What is deleted is gone: from every page of the database and of its journal, and, once keys are rotated, from the
//! memory of the process.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::*;
use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use engine::{Store as _, Table, Write};
use keys::LetterId;
use std::path::Path;
use zeroize::Zeroizing;

/// SQLCipher 4: the end of a page is its IV and its HMAC, the first page begins with the salt.
const PAGE: usize = 4096;
const IV: usize = 16;
const HMAC: usize = 64;
const SALT: usize = 16;
/// The journal: a header of its own, one before each page, which begins with the number of the page.
const JOURNAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

fn passphrase() -> Passphrase {
    Passphrase::new(b"correct horse".to_vec())
}

/// Reads the files of a profile as somebody does who has its key.
struct Reader {
    key: keys::Secret<32>,
}

impl Reader {
    fn of(home: &Path) -> Self {
        let file = std::fs::read(home.join("profile.key")).unwrap();
        let key = super::key_file::open(&file, &passphrase()).unwrap();
        Self { key }
    }

    fn decrypt(&self, page: &[u8], number: u32) -> Vec<u8> {
        let start = if number == 1 { SALT } else { 0 };
        let (body, end) = page.split_at(PAGE - IV - HMAC);
        let mut body = body[start..].to_vec();
        let key = UnboundCipherKey::new(&AES_256, self.key.expose_secret()).unwrap();
        let key = DecryptingKey::cbc(key).unwrap();
        let iv: [u8; IV] = end[..IV].try_into().unwrap();
        let iv = DecryptionContext::Iv128(FixedLength::from(iv));
        key.decrypt(&mut body, iv).unwrap();
        body
    }

    /// The pages of the database and those of its journal, whether they are in use or not.
    fn pages(&self, home: &Path) -> Pages {
        let database = std::fs::read(home.join("profile.db")).unwrap();
        let journal = std::fs::read(home.join("profile.db-wal")).unwrap_or_default();
        assert_eq!(database.len() % PAGE, 0);
        let pages = (1..)
            .zip(database.chunks_exact(PAGE))
            .map(|(number, page)| self.decrypt(page, number));
        let frames = journal
            .get(JOURNAL_HEADER..)
            .unwrap_or_default()
            .chunks_exact(FRAME_HEADER + PAGE)
            .map(|frame| {
                let number = u32::from_be_bytes(frame[..4].try_into().unwrap());
                self.decrypt(&frame[FRAME_HEADER..], number)
            });
        Pages([pages.flatten().collect(), frames.flatten().collect()])
    }

    fn count(&self, home: &Path, needle: &[u8]) -> [usize; 2] {
        self.pages(home).count(needle)
    }
}

struct Pages([Vec<u8>; 2]);

impl Pages {
    /// How often bytes stand in the database and in its journal.
    fn count(&self, needle: &[u8]) -> [usize; 2] {
        let finder = |bytes: &Vec<u8>| {
            let starts = bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == needle[0]);
            starts
                .filter(|(at, _)| bytes[*at..].starts_with(needle))
                .count()
        };
        [finder(&self.0[0]), finder(&self.0[1])]
    }
}

fn profile() -> (tempfile::TempDir, ProfileStore, Reader) {
    let home = tempfile::tempdir().unwrap();
    let store = ProfileStore::create(home.path(), &passphrase()).unwrap();
    let reader = Reader::of(home.path());
    (home, store, reader)
}

/// 32 bytes that are nowhere else.
fn marker(number: u64) -> Vec<u8> {
    keys::sha256(&[b"marker", &number.to_be_bytes()]).to_vec()
}

/// A record with a marker inside.
fn record(number: u64, length: usize) -> Vec<u8> {
    let mut record = vec![0x5a; length];
    let at = (length - 32) / 2;
    record[at..at + 32].copy_from_slice(&marker(number));
    record
}

fn put(table: Table, number: u64, length: usize) -> Write {
    Write::Put {
        table,
        key: number.to_be_bytes().to_vec(),
        value: Zeroizing::new(record(number, length)),
    }
}

fn delete(table: Table, number: u64) -> Write {
    Write::Delete {
        table,
        key: number.to_be_bytes().to_vec(),
    }
}

#[test]
fn what_is_removed_is_in_no_page_of_the_files() {
    for table in [
        Table::Meta,
        Table::Session,
        Table::PreKey,
        Table::Queue,
        Table::Letter,
    ] {
        let (home, mut store, reader) = profile();
        let counted = |number| reader.count(home.path(), &marker(number));
        store
            .apply(vec![put(table, 1, 600), put(table, 2, 600)])
            .unwrap();
        assert!(counted(1)[1] > 0, "the journal has it");
        store.forget_removed();
        assert!(counted(1)[0] > 0, "the database has it");
        store.apply(vec![delete(table, 1)]).unwrap();
        assert_eq!(counted(1), [0, 0], "{table:?}");
        assert!(counted(2)[0] > 0, "its neighbour stays");
    }
}

#[test]
fn what_a_ratchet_replaces_goes_with_the_next_tick() {
    let (home, mut store, reader) = profile();
    let replace = |value: u64| Write::Put {
        table: Table::Session,
        key: b"session".to_vec(),
        value: Zeroizing::new(record(value, 3000)),
    };
    for value in 0..20 {
        store.apply(vec![replace(value)]).unwrap();
    }
    assert!(reader.count(home.path(), &marker(3))[1] > 0);
    store.forget_removed();
    for value in 0..19 {
        assert_eq!(reader.count(home.path(), &marker(value)), [0, 0], "{value}");
    }
    assert!(reader.count(home.path(), &marker(19))[0] > 0);
}

#[test]
fn many_records_of_all_lengths_leave_nothing_behind() {
    const RECORDS: u64 = 150;
    let (home, mut store, reader) = profile();
    let length = |number: u64| usize::try_from(40 + number * number * 7 % 9000).unwrap();
    // In another order than that of their keys, so that pages split in all ways.
    let order = |number: u64| number * 61 % RECORDS;
    for number in (0..RECORDS).map(order) {
        let write = put(Table::Session, number, length(number));
        store.apply(vec![write]).unwrap();
    }
    store.forget_removed();
    let gone = |number: &u64| !number.is_multiple_of(3);
    let deletes = (0..RECORDS).map(order).filter(gone);
    for number in deletes {
        store.apply(vec![delete(Table::Session, number)]).unwrap();
    }
    let pages = reader.pages(home.path());
    let mut found = 0;
    for number in 0..RECORDS {
        let counted = pages.count(&marker(number));
        assert!(!gone(&number) || counted == [0, 0], "{number}: {counted:?}");
        found += counted[0];
    }
    // All others but those that lie across the end of a page.
    assert!(found > 30, "{found}");
}

#[test]
fn the_words_of_a_deleted_letter_are_in_no_page_of_the_files() {
    let (home, mut store, reader) = profile();
    let letter = |number: u8| LetterId::from_bytes([number; 16]);
    let index = |number: u8, text: &str| Write::Index {
        letter: letter(number),
        text: text.to_owned(),
    };
    for number in 0..100 {
        let text = format!("ordinary words number {number}");
        store.apply(vec![index(number, &text)]).unwrap();
    }
    store
        .apply(vec![index(100, "the xylophonesecret of Quartzville")])
        .unwrap();
    store.forget_removed();
    for word in ["xylophonesecret", "quartzville"] {
        assert!(reader.count(home.path(), word.as_bytes())[0] > 0, "{word}");
    }
    let unindex = Write::Unindex {
        letter: letter(100),
    };
    store.apply(vec![unindex]).unwrap();
    for word in ["xylophonesecret", "Quartzville", "quartzville", "uartzvill"] {
        assert_eq!(reader.count(home.path(), word.as_bytes()), [0, 0], "{word}");
    }
}
