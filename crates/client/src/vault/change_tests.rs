#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use super::super::stand::Stand;
use super::*;
use seal::vault::{Meta, PackStore as _, VaultPath};
use std::collections::BTreeSet;

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text.as_bytes()).unwrap()
}

fn put(place: &Place<'_>, name: &str, content: &[u8]) -> Changed<()> {
    let changed = change(place, |editor, _| {
        let put = editor.put_bytes(&path(name), Meta::file(), content);
        put.map_err(vault_failure)
    });
    changed.unwrap()
}

/// Puts as one who has another home.
fn put_elsewhere(stand: &Arc<Stand>, name: &str, content: &[u8]) {
    let home = tempfile::tempdir().unwrap();
    let profile = stand.profile();
    put(&stand.place_with(&profile, home.path()), name, content);
}

fn newest(session: &Session) -> Newest {
    session.newest(&session.packs(None)).unwrap().unwrap()
}

fn names(stand: &Arc<Stand>) -> BTreeSet<String> {
    let session = stand.session();
    let packs = session.packs(None);
    let mut names = BTreeSet::new();
    let directory = newest(&session).root.body.directory;
    let listed = session.reader(&packs).list(&directory, |name, _| {
        names.insert(name.to_string());
        Ok(())
    });
    listed.unwrap();
    names
}

/// The packs at the relay are those that versions name.
fn nothing_is_left(stand: &Arc<Stand>) {
    let session = stand.session();
    let used = used_packs(&session, &newest(&session)).unwrap();
    let used = used.keys().map(|pack| format!("/v1/blobs/{pack}"));
    assert_eq!(stand.packs(), used.collect());
    assert!(stand.journals().is_empty(), "{:?}", stand.journals());
}

/// A home is brought back from a disk of old, on which a change was under way. It came to its end since.
#[test]
fn a_journal_of_old_takes_nothing_away() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    put(&place, "file", b"first");
    put(&place, "file", b"second");
    let session = stand.session();
    let journal = begun(&session, place.journals).unwrap();
    for (pack, generation) in used_packs(&session, &newest(&session)).unwrap() {
        journal.begin(&pack, generation).unwrap();
    }
    // It also names one that came to nothing.
    let packs = session.packs(Some(Arc::clone(&journal)));
    let nothing = BlobId::from_bytes([9; 16]);
    packs.store(&nothing, 1, b"nothing").unwrap();
    drop((packs, journal));
    assert_eq!(stand.journals().len(), 1);
    put(&place, "other", b"third");
    nothing_is_left(&stand);
    assert_eq!(names(&stand).len(), 2);
}

/// What was written for a version that came too late goes.
#[test]
fn whoever_comes_second_leaves_nothing_behind() {
    for same in [false, true] {
        let stand = Stand::new();
        let profile = stand.profile();
        let place = stand.place(&profile);
        put(&place, "file", b"first");
        stand.next_time(move |stand, publish| {
            let content: &[u8] = if same { b"second" } else { b"elsewhere" };
            put_elsewhere(stand, "file", content);
            publish()
        });
        let changed = put(&place, "file", b"second");
        assert_eq!(changed.conflicts.len(), usize::from(!same));
        assert_eq!(names(&stand).len(), 1 + usize::from(!same));
        nothing_is_left(&stand);
    }
}

/// Nor does whoever comes second twice: the directories that were written between are in no version.
#[test]
fn whoever_merges_twice_leaves_nothing_behind() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    put(&place, "file", b"first");
    stand.next_time(|stand, publish| {
        put_elsewhere(stand, "other", b"elsewhere");
        stand.next_time(|stand, publish| {
            put_elsewhere(stand, "another", b"elsewhere");
            publish()
        });
        publish()
    });
    assert_eq!(put(&place, "file", b"second").version, 5);
    assert_eq!(names(&stand).len(), 3);
    nothing_is_left(&stand);
}

/// Also the first version of all may come too late.
#[test]
fn who_begins_second_leaves_nothing_behind() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    stand.next_time(|stand, publish| {
        put_elsewhere(stand, "other", b"elsewhere");
        publish()
    });
    put(&place, "file", b"first");
    assert_eq!(names(&stand).len(), 2);
    nothing_is_left(&stand);
}

/// The relay took a version, its answer was lost, and somebody went on from there.
#[test]
fn an_own_version_that_was_overtaken_is_no_foreign_one() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    put(&place, "file", b"first");
    stand.next_time(|stand, publish| {
        assert!(publish());
        put_elsewhere(stand, "file", b"elsewhere, from there");
        false
    });
    let changed = put(&place, "file", b"second");
    assert_eq!((changed.version, changed.conflicts.len()), (4, 0));
    assert_eq!(names(&stand).len(), 1);
    nothing_is_left(&stand);
}
