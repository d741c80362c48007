#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::*;
use crate::vault::budget::{Budget, ENTRIES, ENTRY_BYTES, NAMED};
use crate::vault::folder::{Folder as OnDisk, InStep, Refused};
use crate::vault::keyring::Keyring;
use crate::vault::merge::Author;
use crate::vault::object;
use crate::vault::over::Over;
use crate::vault::places::MemoryPacks;
use crate::vault::reader::{Cursor, NodeCache};
use crate::vault::tree::{List, PARTS, Parts};
use keys::{BlobId, GroupId, Secret};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::sync::atomic::{AtomicU64, Ordering};

struct Place {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    /// Every edit has its own chance.
    edits: AtomicU64,
}

impl Place {
    fn new() -> Self {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        Self {
            keys: Keyring::new(GroupId::from_bytes([2; 32]), [(1, &key)]).unwrap(),
            packs: MemoryPacks::default(),
            cache: NodeCache::default(),
            edits: AtomicU64::new(0),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.keys, &self.packs, &self.cache)
    }

    fn edit<T>(
        &self,
        top: Option<ObjectRef>,
        edit: impl FnOnce(&mut Editor<'_>) -> T,
    ) -> (ObjectRef, T) {
        let mut rng = ChaCha20Rng::seed_from_u64(self.edits.fetch_add(1, Ordering::Relaxed));
        let mut editor = Editor::new(self.reader(), &self.packs, top, &mut rng);
        let done = edit(&mut editor);
        (editor.finish().unwrap(), done)
    }
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text.as_bytes()).unwrap()
}

fn link(target: &str) -> Entry {
    Meta::file().with(What::Link(target.as_bytes().to_vec()))
}

fn segments(place: &Place, directory: &ObjectRef) -> Vec<[u8; 32]> {
    let directory = place.reader().directory(directory).unwrap();
    directory.0.iter().map(|(_, object)| object.id).collect()
}

#[test]
fn a_change_among_a_hundred_thousand_changes_one_segment() {
    let place = Place::new();
    let (top, ()) = place.edit(None, |editor| {
        for number in 0..100_000 {
            let path = path(&format!("{number:06}"));
            editor.put_entry(&path, link("x")).unwrap();
        }
    });
    let before = segments(&place, &top);
    assert!(before.len() > 200, "{}", before.len());
    let packs = place.packs.all().len();
    let (changed, ()) = place.edit(Some(top), |editor| {
        editor.put_entry(&path("050000"), link("y")).unwrap();
    });
    let after = segments(&place, &changed);
    let new = after.iter().filter(|id| !before.contains(id)).count();
    assert_eq!((new, after.len()), (1, before.len()));
    let all = place.packs.all();
    assert_eq!(all.len(), packs + 1);
    let written: usize = all.values().map(|pack| pack.len()).min().unwrap();
    assert!(written < 150_000, "{written}");
    let (back, ()) = place.edit(Some(changed), |editor| {
        editor.put_entry(&path("050000"), link("x")).unwrap();
    });
    assert!(
        place
            .reader()
            .changed(Some(&top), Some(&back), &path(""), &mut Budget::default())
            .unwrap()
            .is_empty()
    );
}

/// A directory is cut in one way, whatever led to it.
#[test]
fn the_way_to_a_directory_does_not_show() {
    let place = Place::new();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    for _ in 0..20 {
        let mut top = None;
        let mut there = BTreeMap::new();
        for _ in 0..8 {
            let mut changes = Vec::new();
            for _ in 0..rng.next_u32() % 800 {
                let name = name(&format!("{:04}", rng.next_u32() % 3000));
                let entry = (rng.next_u32() % 3 > 0).then(|| link("x"));
                changes.push((name, entry));
            }
            let edited = place.edit(top, |editor| {
                for (name, entry) in &changes {
                    let path = VaultPath::top().join(name);
                    match entry {
                        Some(entry) => editor.put_entry(&path, entry.clone()).unwrap(),
                        None => drop(editor.remove(&path)),
                    }
                }
            });
            top = Some(edited.0);
            for (name, entry) in changes {
                match entry {
                    Some(entry) => there.insert(name, entry),
                    None => there.remove(&name),
                };
            }
        }
        let (straight, ()) = place.edit(None, |editor| {
            for (name, entry) in &there {
                let path = VaultPath::top().join(name);
                editor.put_entry(&path, entry.clone()).unwrap();
            }
        });
        let firsts = |directory: &ObjectRef| -> Vec<Name> {
            let directory = place.reader().directory(directory).unwrap();
            directory.0.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(firsts(&top.unwrap()), firsts(&straight));
        let mut read = BTreeMap::new();
        let reader = place.reader();
        reader
            .list(&straight, |name, entry| {
                read.insert(name.clone(), entry.clone());
                Ok(())
            })
            .unwrap();
        assert_eq!(read, there);
    }
}

fn fake(number: u64) -> Part {
    let mut id = [7; 32];
    // As if hashed: some chunks end a list.
    id[..8].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
    Part {
        object: ObjectRef {
            id,
            generation: 1,
            pack: BlobId::from_bytes([0; 16]),
            offset: 0,
            length: 300,
        },
        length: number % 1000 + 1,
    }
}

#[test]
fn any_number_of_chunks_is_found_at_any_place() {
    let place = Place::new();
    for count in [0, 1, 8, 9, 10, 255, 300, 5000, 200_000_u64] {
        let (_, what) = place.edit(None, |editor| {
            let mut lists = Lists::default();
            for number in 0..count {
                editor.push_part(&mut lists, fake(number)).unwrap();
            }
            editor.finish_lists(lists).unwrap()
        });
        let What::File { size, parts } = what else {
            unreachable!()
        };
        assert_eq!(matches!(parts, Parts::Few(_)), count <= 8, "{count}");
        let reader = place.reader();
        let mut cursor = Cursor::new(&reader, size, &parts, 0).unwrap();
        let (mut offset, mut number) = (0, 0);
        while let Some((start, part)) = cursor.next(&reader).unwrap() {
            assert_eq!((start, part), (offset, fake(number)));
            let middle = offset + part.length / 2;
            if number % 97 == 0 {
                let mut cursor = Cursor::new(&reader, size, &parts, middle).unwrap();
                assert_eq!(cursor.next(&reader).unwrap(), Some((start, part)));
            }
            offset += part.length;
            number += 1;
        }
        assert_eq!((offset, number), (size, count));
        let mut cursor = Cursor::new(&reader, size, &parts, size).unwrap();
        assert_eq!(cursor.next(&reader).unwrap(), None);
    }
}

/// A file whose lists name one list again and again: 1024 to the power of its levels chunks of one byte.
fn endless_file(place: &Place, levels: u8, salt: u8) -> Entry {
    let chunk = Part {
        object: ObjectRef {
            id: [7; 32],
            generation: 1,
            pack: BlobId::from_bytes([salt; 16]),
            offset: 0,
            length: 300,
        },
        length: 1,
    };
    let (_, top) = place.edit(None, |editor| {
        (0..levels).fold(chunk, |part, level| forge(editor, level, vec![part; PARTS]))
    });
    Meta::file().with(What::File {
        size: top.length,
        parts: Parts::Listed(top.object),
    })
}

#[test]
fn a_file_without_end_is_written_over() {
    let place = Place::new();
    let endless = endless_file(&place, 6, 0);
    let (_, known) = place.edit(None, |editor| {
        editor.reuse(&endless).unwrap();
        editor.reuse(&endless).unwrap();
        editor.sealer.known()
    });
    assert_eq!(known, 7);
}

#[test]
fn a_file_without_end_is_refused() {
    let place = Place::new();
    let (one, other) = (endless_file(&place, 2, 1), endless_file(&place, 2, 2));
    let refused = |done: Result<(), VaultError>| matches!(done, Err(VaultError::TooMuch));
    // Few of the million chunks.
    let most = Budget {
        bytes: 100 * 64,
        ..Budget::default()
    };
    let reader = place.reader().at_most(most);
    let same = reader.same(Some(&one), Some(&other)).map(|_| ());
    assert!(refused(same));
    let top = |entry: &Entry| {
        let entry = entry.clone();
        let edit = |editor: &mut Editor<'_>| editor.put_entry(&path("f"), entry).unwrap();
        place.edit(None, edit).0
    };
    let (one, other) = (top(&one), top(&other));
    let diff = reader.diff(Some(&one), Some(&other), &mut |_, _| Ok(()));
    assert!(refused(diff));
    let author = Author {
        person: "Ada".to_owned(),
        time: "now".to_owned(),
    };
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut editor = Editor::new(reader, &place.packs, Some(one), &mut rng);
    assert!(refused(editor.merge(None, &other, &author).map(|_| ())));
    // Nor is it gone through by whoever writes a byte into it.
    let What::File { size, parts } = endless_file(&place, 2, 1).what else {
        unreachable!("it is a file");
    };
    let over = Over {
        size,
        base: (size, &parts),
        same: &|_, _| true,
    };
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut editor = Editor::new(reader, &place.packs, None, &mut rng);
    let read = &mut |_, _: &mut [u8]| Ok(0);
    let put = editor.put_file_over(&path("over"), Meta::file(), &over, read);
    assert!(refused(put));
    // What is compared counts for the whole operation: one file of a thousand chunks is not too much, two are.
    let files = |salt: u8, names: &[&str]| {
        let file = endless_file(&place, 1, salt);
        let edit = |editor: &mut Editor<'_>| {
            let put = |name: &&str| editor.put_entry(&path(name), file.clone());
            names.iter().try_for_each(put).unwrap();
        };
        place.edit(None, edit).0
    };
    let more = Budget {
        bytes: 3000 * 64,
        ..Budget::default()
    };
    let merged = |names: &[&str]| {
        let reader = place.reader().at_most(more);
        let (one, other) = (files(1, names), files(2, names));
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let mut editor = Editor::new(reader, &place.packs, Some(one), &mut rng);
        editor.merge(None, &other, &author).map(|_| ())
    };
    assert!(merged(&["f"]).is_ok() && refused(merged(&["f", "g"])));
    // A few short files, so that it is there to be read.
    let zeros = {
        let (_, object) = place.edit(None, |editor| editor.object(Kind::Chunk, &[0]).unwrap());
        let chunk = Part { object, length: 1 };
        let (_, list) = place.edit(None, |editor| forge(editor, 0, vec![chunk; 1000]));
        let what = What::File {
            size: 1000,
            parts: Parts::Listed(list.object),
        };
        top(&Meta::file().with(what))
    };
    let quiet = |_: u64| {};
    let written = |most: Budget, folder: &str| {
        let disk = tempfile::tempdir().unwrap();
        let reader = place.reader().at_most(most);
        let got = reader.get(
            &Entry::top(zeros),
            &name(folder),
            disk.path(),
            false,
            1,
            &quiet,
        );
        let folder = OnDisk::create(&disk.path().join("in step")).unwrap();
        let applied = folder.apply(reader, None, &zeros, &[], (&quiet, &quiet));
        (got.map(|_| ()), applied.map(|_| ()))
    };
    let (got, applied) = written(most, "little");
    assert!(refused(got) && refused(applied));
    let (got, applied) = written(Budget::default(), "all");
    assert!(got.is_ok() && applied.is_ok());
}

/// Seals a list as a member with the key can.
fn forge(editor: &mut Editor<'_>, level: u8, parts: Vec<Part>) -> Part {
    let length = parts.iter().map(|part| part.length).sum();
    let bytes = List { level, parts }.encode();
    let object = editor.object(Kind::List, &bytes).unwrap();
    Part { object, length }
}

#[test]
fn levels_descend() {
    let place = Place::new();
    let chunks = |from: u64| -> Vec<Part> {
        let open = |part: &Part| !List::ends_after(part);
        (from..).map(fake).filter(open).take(9).collect()
    };
    let read = |level: u8, inner: u8| {
        let (_, top) = place.edit(None, |editor| {
            let mut lists = Vec::new();
            // Inner lists of a row end where they say it, all but the last one.
            let mut first = chunks(0);
            first.extend((0..).map(fake).find(List::ends_after));
            lists.push(forge(editor, inner, first));
            lists.push(forge(editor, inner, chunks(100)));
            forge(editor, level, lists)
        });
        let reader = place.reader();
        let parts = Parts::Listed(top.object);
        Cursor::new(&reader, top.length, &parts, 0).is_ok()
    };
    assert!(read(1, 0));
    assert!(!read(2, 0));
    assert!(!read(1, 1));
    // What has few chunks has no list, and a list of one list is that one.
    let (_, (few, one, good)) = place.edit(None, |editor| {
        let few = forge(editor, 0, chunks(0)[..8].to_vec());
        let good = forge(editor, 0, chunks(0));
        (few, forge(editor, 1, vec![good]), good)
    });
    let opens = |top: Part| {
        let reader = place.reader();
        Cursor::new(&reader, top.length, &Parts::Listed(top.object), 0).is_ok()
    };
    assert_eq!((opens(few), opens(one), opens(good)), (false, false, true));
}

#[test]
fn a_chunk_of_another_length_is_refused() {
    let place = Place::new();
    let (_, object) = place.edit(None, |editor| {
        editor.object(Kind::Chunk, b"content").unwrap()
    });
    let reader = place.reader();
    assert!(reader.chunk(&Part { object, length: 7 }).is_ok());
    assert!(reader.chunk(&Part { object, length: 8 }).is_err());
}

/// Directories that only somebody with the key can make.
#[test]
fn too_deep_a_tree_is_refused() {
    let place = Place::new();
    let nested = |depth: usize| {
        let (top, ()) = place.edit(None, |_| ());
        let mut inner = top;
        for _ in 0..depth {
            let entry = Meta::directory().with(What::Directory(inner));
            inner = place
                .edit(None, |editor| {
                    editor.put_entry(&path("a"), entry.clone()).unwrap();
                })
                .0;
        }
        inner
    };
    let reader = place.reader();
    let walked = |top: &ObjectRef| reader.walk(top, &mut |_, _| Ok(()));
    assert!(walked(&nested(DEPTH - 1)).is_ok());
    let deep = nested(DEPTH);
    assert!(matches!(walked(&deep), Err(VaultError::TooDeep)));
    let diff = reader.diff(None, Some(&deep), &mut |_, _| Ok(()));
    assert!(matches!(diff, Err(VaultError::TooDeep)));
}

#[test]
fn too_deep_a_tree_is_not_written() {
    let place = Place::new();
    let (mut inner, ()) = place.edit(None, |_| ());
    for _ in 0..DEPTH + 2 {
        let entry = Meta::directory().with(What::Directory(inner));
        let edited = place.edit(None, |editor| {
            editor.put_entry(&path("a"), entry.clone()).unwrap();
        });
        inner = edited.0;
    }
    let disk = tempfile::tempdir().unwrap();
    let out = disk.path().join("out");
    let got = place
        .reader()
        .get(&Entry::top(inner), &name("a"), &out, false, 1, &|_| {});
    assert!(matches!(got, Err(VaultError::TooDeep)), "{got:?}");
    assert!(!out.exists());
}

/// What was sealed for an older generation is sealed anew when it is written again.
#[test]
fn chunks_of_another_generation_are_not_used_again() {
    let key = |byte| Secret::from_slice(&[byte; 32]).unwrap();
    let (old, new) = (key(1), key(2));
    let vault = GroupId::from_bytes([2; 32]);
    let place = Place::new();
    let put = |place: &Place, top| {
        place.edit(top, |editor| {
            let old = editor.find(&path("a")).unwrap();
            if let Some(Found::Entry(old)) = old {
                editor.reuse(&old).unwrap();
            }
            editor.put_bytes(&path("a"), Meta::file(), b"same").unwrap();
            editor.put_bytes(&path("b"), Meta::file(), b"same").unwrap();
        })
    };
    let part = |place: &Place, top: &ObjectRef, at: &str| {
        let entry = place.reader().lookup(top, &path(at)).unwrap().unwrap();
        match entry.what {
            What::File {
                parts: Parts::Few(parts),
                ..
            } => parts[0].object,
            _ => unreachable!(),
        }
    };
    let (first, ()) = put(&place, None);
    assert_eq!(part(&place, &first, "a"), part(&place, &first, "b"));
    let (again, ()) = put(&place, Some(first));
    assert_eq!(part(&place, &again, "a"), part(&place, &first, "a"));
    let later = Place {
        keys: Keyring::new(vault, [(1, &old), (2, &new)]).unwrap(),
        packs: place.packs,
        cache: NodeCache::default(),
        edits: place.edits,
    };
    let (moved, ()) = put(&later, Some(first));
    let (before, after) = (part(&later, &first, "a"), part(&later, &moved, "a"));
    assert_eq!((before.id, before.generation), (after.id, 1));
    assert_eq!(after.generation, 2);
    let id = object::id(&later.keys, Kind::Chunk, b"same");
    assert_eq!(after.id, id);
}

/// A directory that names another one twice, which names a third one twice, and so on: entries without end in few objects.
fn unfolding(place: &Place, depth: u32, leaf: &str) -> ObjectRef {
    let (mut inner, ()) = place.edit(None, |editor| {
        editor.put_entry(&path(leaf), link("x")).unwrap();
    });
    for _ in 0..depth {
        let entry = Meta::directory().with(What::Directory(inner));
        inner = place
            .edit(None, |editor| {
                editor.put_entry(&path("a"), entry.clone()).unwrap();
                editor.put_entry(&path("b"), entry.clone()).unwrap();
            })
            .0;
    }
    inner
}

/// Every operation that goes through a tree, with so much to go through; whether it came to its end.
fn gone_through(place: &Place, top: &ObjectRef, other: &ObjectRef, most: Budget) -> [bool; 6] {
    let reader = place.reader().at_most(most);
    let whole = |done: Result<(), VaultError>| match done {
        Ok(()) => true,
        Err(VaultError::TooMuch) => false,
        Err(error) => panic!("{error}"),
    };
    let walk = reader.walk(top, &mut |_, _| Ok(()));
    let diff = reader.diff(Some(other), Some(top), &mut |_, _| Ok(()));
    let disk = tempfile::tempdir().unwrap();
    let got = reader.get(
        &Entry::top(*top),
        &name("got"),
        disk.path(),
        false,
        1,
        &|_| {},
    );
    assert_eq!(disk.path().join("got").exists(), got.is_ok());
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut editor = Editor::new(reader, &place.packs, Some(*other), &mut rng);
    let author = Author {
        person: "Ada".to_owned(),
        time: "2026-11-22 14-03".to_owned(),
    };
    // Both sides have every directory, and nothing to begin with: so all are gone through.
    let merged = editor.merge(None, top, &author).map(|_| ());
    let quiet = |_: u64| {};
    let folder = OnDisk::create(&disk.path().join("folder")).unwrap();
    let applied = folder.apply(reader, None, top, &[], (&quiet, &quiet));
    let once_more = Refused {
        path: path("a"),
        before: None,
    };
    let again = folder.apply(reader, Some(top), top, &[once_more], (&quiet, &quiet));
    [
        whole(walk),
        whole(diff),
        whole(got.map(|_| ())),
        whole(merged),
        whole(applied.map(|_| ())),
        whole(again.map(|_| ())),
    ]
}

#[test]
fn what_unfolds_without_end_is_refused() {
    let place = Place::new();
    let most = |entries| Budget {
        entries,
        ..Budget::default()
    };
    // 6 + 8 + 16 = 30 entries and as many again for each depth more.
    let (top, other) = (unfolding(&place, 3, "x"), unfolding(&place, 3, "y"));
    assert_eq!(gone_through(&place, &top, &other, most(200)), [true; 6]);
    let (top, other) = (unfolding(&place, 8, "x"), unfolding(&place, 8, "y"));
    assert_eq!(gone_through(&place, &top, &other, most(200)), [false; 6]);
    // The same by bytes.
    let bytes = Budget {
        bytes: 200 * (NAMED + 1),
        ..Budget::default()
    };
    assert_eq!(gone_through(&place, &top, &other, bytes), [false; 6]);
}

#[test]
fn what_was_removed_unfolds_within_limits() {
    let place = Place::new();
    let top = unfolding(&place, 8, "x");
    let disk = tempfile::tempdir().unwrap();
    let folder = OnDisk::create(&disk.path().join("folder")).unwrap();
    let in_step = InStep {
        vault: GroupId::from_bytes([2; 32]),
        base: Some(top),
        since: 0,
        refused: Vec::new(),
    };
    let scan = |entries| {
        let most = Budget {
            entries,
            ..Budget::default()
        };
        let reader = place.reader().at_most(most);
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut editor = Editor::new(reader, &place.packs, Some(top), &mut rng);
        let quiet = |_: u64| {};
        folder
            .scan(&mut editor, reader, &in_step, None, (&quiet, &quiet))
            .map(|_| ())
    };
    // Each of the two at the top has 2 + 4 + ... + 128 directories and 128 links.
    assert!(scan(2 * (254 + 128)).is_ok());
    let refused = scan(2 * (254 + 128) - 1);
    assert!(matches!(refused, Err(VaultError::TooMuch)), "{refused:?}");
}

#[test]
fn a_reader_has_the_limits_of_the_form() {
    let most = Budget {
        entries: 16_777_216,
        bytes: 4_294_967_296,
    };
    assert_eq!(Place::new().reader().budget(), most);
    assert_eq!((ENTRIES, ENTRY_BYTES, NAMED), (1 << 24, 1 << 32, 32));
    let place = Place::new();
    let (top, ()) = place.edit(None, |editor| {
        editor.put_entry(&path("abc"), link("target")).unwrap();
    });
    let walked = |bytes| {
        let most = Budget { entries: 1, bytes };
        place.reader().at_most(most).walk(&top, &mut |_, _| Ok(()))
    };
    assert!(walked(NAMED + 3 + 6).is_ok());
    assert!(matches!(walked(NAMED + 3 + 5), Err(VaultError::TooMuch)));
    // One segment, and one entry in it.
    let compared = |entries| {
        let most = Budget {
            entries,
            ..Budget::default()
        };
        let reader = place.reader().at_most(most);
        reader.diff(None, Some(&top), &mut |_, _| Ok(()))
    };
    assert!(compared(2).is_ok());
    assert!(matches!(compared(1), Err(VaultError::TooMuch)));
    let (file, ()) = place.edit(None, |editor| {
        editor
            .put_bytes(&path("f"), Meta::file(), b"one chunk")
            .unwrap();
    });
    let walked = |bytes| {
        let most = Budget { entries: 1, bytes };
        place.reader().at_most(most).walk(&file, &mut |_, _| Ok(()))
    };
    assert!(walked(NAMED + 1 + 64).is_ok());
    assert!(matches!(walked(NAMED + 64), Err(VaultError::TooMuch)));
}
