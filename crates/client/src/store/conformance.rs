//! What every [`engine::Store`] must do. The profile on disk and testkit's store in memory both pass this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    reason = "test code, which other crates' tests call"
)]

use engine::{Store, Table, Write};
use keys::LetterId;
use zeroize::Zeroizing;

/// Runs every fact against stores that `empty` makes.
pub fn all(mut empty: impl FnMut() -> Box<dyn Store>) {
    what_was_put_is_read(empty().as_mut());
    tables_are_apart(empty().as_mut());
    a_second_put_replaces_the_first(empty().as_mut());
    deleted_values_are_gone(empty().as_mut());
    scans_are_ordered_and_bounded(empty().as_mut());
    scans_keep_to_their_prefix(empty().as_mut());
    scans_go_on_after_a_key(empty().as_mut());
    changes_are_made_in_order(empty().as_mut());
    odd_keys_and_values_survive(empty().as_mut());
    letters_are_indexed_twice_and_removed_twice(empty().as_mut());
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        table,
        key: key.to_vec(),
        value: Zeroizing::new(value.to_vec()),
    }
}

fn delete(table: Table, key: &[u8]) -> Write {
    Write::Delete {
        table,
        key: key.to_vec(),
    }
}

fn read(store: &dyn Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.get(table, key).unwrap().map(|value| value.to_vec())
}

fn keys_of(store: &dyn Store, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
    store
        .scan(Table::Letter, prefix, after, limit)
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

fn with_keys(store: &mut dyn Store, keys: &[&[u8]]) {
    store
        .apply(
            keys.iter()
                .map(|key| put(Table::Letter, key, key))
                .collect(),
        )
        .unwrap();
}

fn what_was_put_is_read(store: &mut dyn Store) {
    assert_eq!(read(store, Table::Meta, b"a"), None);
    store
        .apply(vec![
            put(Table::Meta, b"a", b"1"),
            put(Table::Meta, b"b", b"2"),
        ])
        .unwrap();
    assert_eq!(read(store, Table::Meta, b"a").unwrap(), b"1");
    assert_eq!(read(store, Table::Meta, b"b").unwrap(), b"2");
}

fn tables_are_apart(store: &mut dyn Store) {
    store
        .apply(vec![
            put(Table::Meta, b"a", b"1"),
            put(Table::Contact, b"a", b"2"),
        ])
        .unwrap();
    store.apply(vec![delete(Table::Meta, b"a")]).unwrap();
    assert_eq!(read(store, Table::Meta, b"a"), None);
    assert_eq!(read(store, Table::Contact, b"a").unwrap(), b"2");
    assert!(store.scan(Table::Meta, b"", None, 10).unwrap().is_empty());
}

fn a_second_put_replaces_the_first(store: &mut dyn Store) {
    store
        .apply(vec![put(Table::Meta, b"a", b"long value")])
        .unwrap();
    store.apply(vec![put(Table::Meta, b"a", b"s")]).unwrap();
    assert_eq!(read(store, Table::Meta, b"a").unwrap(), b"s");
    assert_eq!(store.scan(Table::Meta, b"", None, 10).unwrap().len(), 1);
}

fn deleted_values_are_gone(store: &mut dyn Store) {
    with_keys(store, &[b"a"]);
    store
        .apply(vec![
            delete(Table::Letter, b"a"),
            delete(Table::Letter, b"never there"),
        ])
        .unwrap();
    assert_eq!(read(store, Table::Letter, b"a"), None);
}

fn scans_are_ordered_and_bounded(store: &mut dyn Store) {
    with_keys(store, &[b"b", b"", b"\xff", b"a", b"\x00", b"aa"]);
    let all: Vec<Vec<u8>> = [&b""[..], b"\x00", b"a", b"aa", b"b", b"\xff"]
        .map(<[u8]>::to_vec)
        .to_vec();
    assert_eq!(keys_of(store, b"", None, 10), all);
    assert_eq!(keys_of(store, b"", None, 3), all[..3]);
    assert_eq!(keys_of(store, b"", None, usize::MAX), all);
    assert!(keys_of(store, b"", None, 0).is_empty());
}

fn scans_keep_to_their_prefix(store: &mut dyn Store) {
    with_keys(
        store,
        &[
            b"a",
            b"a\xff",
            b"a\xff\xff",
            b"b",
            b"\xff",
            b"\xff\xff",
            b"\xff\xff\x00",
        ],
    );
    assert_eq!(
        keys_of(store, b"a", None, 10),
        [&b"a"[..], b"a\xff", b"a\xff\xff"]
    );
    assert_eq!(
        keys_of(store, b"a\xff", None, 10),
        [&b"a\xff"[..], b"a\xff\xff"]
    );
    assert_eq!(
        keys_of(store, b"\xff\xff", None, 10),
        [&b"\xff\xff"[..], b"\xff\xff\x00"]
    );
    assert!(keys_of(store, b"c", None, 10).is_empty());
}

fn scans_go_on_after_a_key(store: &mut dyn Store) {
    with_keys(store, &[b"a1", b"a2", b"a3", b"b1"]);
    assert_eq!(keys_of(store, b"a", Some(b"a1"), 10), [b"a2", b"a3"]);
    assert_eq!(keys_of(store, b"a", Some(b"a1\x00"), 1), [b"a2"]);
    assert!(keys_of(store, b"a", Some(b"a3"), 10).is_empty());
    assert_eq!(keys_of(store, b"a", Some(b""), 10), [b"a1", b"a2", b"a3"]);
    assert!(keys_of(store, b"a", Some(b"b"), 10).is_empty());
}

fn changes_are_made_in_order(store: &mut dyn Store) {
    store
        .apply(vec![
            put(Table::Meta, b"a", b"1"),
            delete(Table::Meta, b"a"),
            put(Table::Meta, b"a", b"2"),
        ])
        .unwrap();
    assert_eq!(read(store, Table::Meta, b"a").unwrap(), b"2");
    store.apply(Vec::new()).unwrap();
}

fn odd_keys_and_values_survive(store: &mut dyn Store) {
    let long = vec![7; 300_000];
    store
        .apply(vec![
            put(Table::Meta, b"", b""),
            put(Table::Meta, &[0; 200], &long),
        ])
        .unwrap();
    assert_eq!(read(store, Table::Meta, b"").unwrap(), b"");
    assert_eq!(read(store, Table::Meta, &[0; 200]).unwrap(), long);
}

fn letters_are_indexed_twice_and_removed_twice(store: &mut dyn Store) {
    let letter = LetterId::from_bytes([1; 16]);
    for text in ["first words", "second words", ""] {
        store
            .apply(vec![Write::Index {
                letter,
                text: text.to_owned(),
            }])
            .unwrap();
    }
    for _ in 0..2 {
        store.apply(vec![Write::Unindex { letter }]).unwrap();
    }
}
