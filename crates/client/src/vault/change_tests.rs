#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::super::stand::{Stand, VAULT};
use super::super::uses::used_packs;
use super::*;
use keys::{BlobId, Secret};
use seal::vault::{Keyring, Meta, PackStore as _, VaultPath};
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
    let (used, whole) = used_packs(&session, &newest(&session));
    whole.unwrap();
    let used = used.keys().map(|pack| format!("/v1/blobs/{pack}"));
    assert_eq!(stand.packs(), used.collect());
    assert!(stand.journals().is_empty(), "{:?}", stand.journals());
}

/// A home is brought back from a disk of old, on which a change was under way. It came to its end since.
/// A home that was restored reads what it knew, although others write under keys that it has not.
#[test]
fn a_version_under_a_key_that_is_not_here_is_passed_over() {
    let stand = Stand::new();
    let profile = stand.profile();
    put(&stand.place(&profile), "a", b"one");
    let session = stand.session();
    let known = newest(&session).root;
    let mut body = known.body.clone();
    body.counter += 2;
    body.previous_root.generation = 2;
    stand.show(&session.keys, &body);
    let newest = newest(&stand.session());
    assert_eq!((newest.root.hash(), newest.shown), (known.hash(), false));
    assert_eq!(names(&stand), BTreeSet::from(["a".to_owned()]));
}

/// The relay is not blamed for a version that is under a key which came behind the keys that were asked for first.
#[test]
fn who_reads_while_somebody_goes_out_reads_under_the_new_key() {
    let stand = Stand::new();
    let profile = stand.profile();
    put(&stand.place(&profile), "one", b"1");
    let before = newest(&stand.session()).root;
    let keys = [1, 2].map(|generation| Secret::from_slice(&Stand::key(generation)).unwrap());
    let keys = Keyring::new(VAULT, (1..).zip(&keys)).unwrap();
    let mut body = before.body.clone();
    (body.generation, body.counter, body.previous) = (2, body.counter + 1, before.hash());
    stand.show(&keys, &body);
    stand.put_out();
    let (session, _, newest) = Session::to_read(&profile, "plans", &stand.work).unwrap();
    assert_eq!(session.keys.newest(), 2);
    assert_eq!(newest.unwrap().root.body, body);
}

/// A relay that does hold one back is refused all the same.
#[test]
fn a_version_that_no_key_explains_is_held_back() {
    let stand = Stand::new();
    let profile = stand.profile();
    put(&stand.place(&profile), "one", b"1");
    stand.put_out();
    let refused = Session::to_read(&profile, "plans", &stand.work);
    assert!(refused.is_err_and(|failure| failure.message.contains("holds a newer version back")));
}

#[test]
fn a_journal_of_old_takes_nothing_away() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    put(&place, "file", b"first");
    put(&place, "file", b"second");
    let session = stand.session();
    let journal = begun(&session, place.journals).unwrap();
    for (pack, generation) in used_packs(&session, &newest(&session)).0 {
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

/// Lets a month go by since it was said last what is used.
fn a_month_later(stand: &Arc<Stand>) {
    let stamps = os::paths_in(&stand.journals).into_iter();
    let stamp = stamps.filter(|path| path.extension() == Some("used".as_ref()));
    let month = std::time::Duration::from_secs(31 * 24 * 3600);
    let back = std::time::SystemTime::now() - month;
    for stamp in stamp {
        let file = std::fs::File::open(stamp).unwrap();
        file.set_modified(back).unwrap();
    }
}

/// Whatever a change or a look brings, once a month all packs are asked for, whether or not the relay refuses one, and the
/// head is written.
#[test]
fn all_of_a_vault_is_said_to_be_used_once_a_month() {
    let stand = Stand::new();
    let profile = stand.profile();
    let place = stand.place(&profile);
    for content in ["first", "second", "third"] {
        put(&place, "file", content.as_bytes());
    }
    let nothing = || change(&place, |_, _| Ok(())).unwrap();
    let all = stand.packs();
    stand.asked("head");
    nothing();
    assert!(stand.asked("head").is_empty());
    assert_eq!(stand.head(), (4, 4));
    // Nothing is new, and the relay refuses one.
    stand.refuse(all.first().unwrap());
    a_month_later(&stand);
    nothing();
    assert_eq!(stand.asked("head"), all);
    assert_eq!(stand.head(), (5, 4));
    nothing();
    assert!(stand.asked("head").is_empty());
    // A version writes the head by itself.
    a_month_later(&stand);
    put(&place, "file", b"fourth");
    assert!(stand.asked("head").is_superset(&all));
    assert_eq!(stand.head(), (6, 5));
    // Whoever may only read says it too, and writes nothing.
    a_month_later(&stand);
    stand.be(VaultRole::Reader);
    let session = stand.session();
    keep(&session, &stand.journals, &newest(&session), false);
    assert!(stand.asked("head").is_superset(&all));
    assert_eq!(stand.head(), (6, 5));
}
