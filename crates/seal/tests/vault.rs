//! Vaults in memory and in a folder: against a plain map, and against whoever keeps the packs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use keys::vault_root::ObjectRef;
use keys::{BlobId, GroupId, Secret};
use letterlock_seal::vault::{
    Author, Conflict, Editor, Entry, FolderPacks, Keyring, MemoryPacks, Meta, NodeCache,
    PackSource, PackStore, Reached, Reader, VaultError, VaultPath, What,
};
use proptest::prelude::{ProptestConfig, any, proptest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "vault/attacks.rs"]
mod attacks;

fn keyring(vault: u8) -> Keyring {
    let key = Secret::from_slice(&[1; 32]).unwrap();
    Keyring::new(GroupId::from_bytes([vault; 32]), [(1, &key)]).unwrap()
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text.as_bytes()).unwrap()
}

/// Bytes without order (xorshift; the generator of the other chance here is slow without optimisation).
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A vault in memory, and the chance that its edits take.
struct Vault {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    edits: AtomicU64,
}

impl Vault {
    fn new() -> Self {
        Self {
            keys: keyring(2),
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
        let seed = self.edits.fetch_add(1, Ordering::Relaxed);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut editor = Editor::new(self.reader(), &self.packs, top, &mut rng);
        let done = edit(&mut editor);
        (editor.finish().unwrap(), done)
    }

    /// All that is in a directory.
    fn contents(&self, top: &ObjectRef) -> Model {
        read_all(&self.reader(), top).unwrap()
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Thing {
    Directory,
    File(Vec<u8>),
    Link(Vec<u8>),
}

impl std::fmt::Debug for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory => f.write_str("Directory"),
            Self::File(bytes) => write!(f, "File({} bytes)", bytes.len()),
            Self::Link(_) => f.write_str("Link"),
        }
    }
}

type Model = BTreeMap<VaultPath, Thing>;

fn read(reader: &Reader<'_>, entry: &Entry) -> Result<Thing, VaultError> {
    Ok(match &entry.what {
        What::Directory(_) => Thing::Directory,
        What::Link(target) => Thing::Link(target.clone()),
        What::File { size, .. } => {
            let mut bytes = vec![0; usize::try_from(*size).unwrap()];
            let mut file = reader.file(entry).unwrap();
            assert_eq!(file.read_at(0, &mut bytes)?, bytes.len());
            Thing::File(bytes)
        }
    })
}

fn read_all(reader: &Reader<'_>, top: &ObjectRef) -> Result<Model, VaultError> {
    let mut model = Model::new();
    reader.walk(top, &mut |path, entry| {
        model.insert(path.clone(), read(reader, entry)?);
        Ok(())
    })?;
    Ok(model)
}

/// What a random edit does, to a vault and to a plain map. Both take it, or both refuse it.
fn random_edit(rng: &mut ChaCha20Rng, editor: &mut Editor<'_>, model: &mut Model) {
    let mut number = |below: u32| rng.next_u32() % below;
    let any_path = |number: &mut dyn FnMut(u32) -> u32| {
        let names: Vec<String> = (0..=number(3)).map(|_| format!("n{}", number(6))).collect();
        path(&names.join("/"))
    };
    let at = any_path(&mut number);
    let (place, _) = at.split_last().unwrap();
    let in_directory = |model: &Model, place: &VaultPath| {
        place.names().is_empty() || model.get(place) == Some(&Thing::Directory)
    };
    let fits = in_directory(model, &place) && model.get(&at) != Some(&Thing::Directory);
    match number(6) {
        0 | 1 => {
            let bytes = content(number(1000).into(), number(3000) as usize);
            let put = editor.put_bytes(&at, Meta::file(), &bytes);
            assert_eq!(put.is_ok(), fits, "{at}: {put:?}");
            if fits {
                model.insert(at, Thing::File(bytes));
            }
        }
        2 => {
            let put = editor.put_link(&at, Meta::file(), b"../somewhere");
            assert_eq!(put.is_ok(), fits, "{at}");
            if fits {
                model.insert(at, Thing::Link(b"../somewhere".to_vec()));
            }
        }
        3 => {
            let made = editor.make_directory(&at, Meta::directory());
            let new = in_directory(model, &place) && !model.contains_key(&at);
            assert_eq!(made.is_ok(), new, "{at}");
            if new {
                model.insert(at, Thing::Directory);
            }
        }
        4 => {
            let found = editor.find(&at).unwrap();
            let removed = editor.remove(&at);
            assert_eq!(
                removed.is_ok(),
                model.contains_key(&at),
                "{at} {found:?} {model:?}"
            );
            model.retain(|path, _| !path.is_in(&at));
        }
        _ => {
            let to = any_path(&mut number);
            let (target, _) = to.split_last().unwrap();
            let renamed = editor.rename(&at, &to);
            let fits = model.contains_key(&at)
                && !model.contains_key(&to)
                && !to.is_in(&at)
                && in_directory(model, &target);
            assert_eq!(renamed.is_ok(), fits, "{at} to {to}: {renamed:?}");
            if fits {
                let moved: Vec<VaultPath> = model
                    .keys()
                    .filter(|path| path.is_in(&at))
                    .cloned()
                    .collect();
                for from in moved {
                    let thing = model.remove(&from).unwrap();
                    let rest = &from.names()[at.names().len()..];
                    let place = rest.iter().fold(to.clone(), |path, name| path.join(name));
                    model.insert(place, thing);
                }
            }
        }
    }
}

#[test]
fn random_edits_do_what_they_do_to_a_plain_map() {
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let vault = Vault::new();
        let (mut top, mut model) = (None, Model::new());
        for _ in 0..6 {
            let edits = rng.next_u32() % 40;
            let (edited, ()) = vault.edit(top, |editor| {
                for _ in 0..edits {
                    random_edit(&mut rng, editor, &mut model);
                }
                for (path, thing) in &model {
                    let found = editor.find(path).unwrap().unwrap();
                    assert_eq!(found.is_directory(), *thing == Thing::Directory);
                }
            });
            assert_eq!(vault.contents(&edited), model, "seed {seed}");
            top = Some(edited);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_range_reads_as_it_was_written(
        length in 0_usize..10_000_000,
        seed in any::<u64>(),
        ranges in proptest::collection::vec((0_usize..11_000_000, 0_usize..700_000), 1..6),
    ) {
        let vault = Vault::new();
        let bytes = content(seed, length);
        let (top, ()) = vault.edit(None, |editor| {
            editor.put_bytes(&path("file"), Meta::file(), &bytes).unwrap();
        });
        let entry = vault.reader().lookup(&top, &path("file")).unwrap().unwrap();
        let mut file = vault.reader().file(&entry).unwrap();
        assert_eq!(file.size(), length as u64);
        for (offset, wanted) in ranges {
            let mut out = vec![0; wanted];
            let got = file.read_at(offset as u64, &mut out).unwrap();
            let start = offset.min(length);
            let end = (start + wanted).min(length);
            assert_eq!(&out[..got], &bytes[start..end]);
        }
    }
}

/// One byte more in a long file stores two chunks and what names them, not the file.
#[test]
fn a_small_change_stores_little() {
    let vault = Vault::new();
    let mut bytes = content(1, 40 << 20);
    let put = |top, bytes: &[u8]| {
        vault.edit(top, |editor| {
            let old = editor.find(&path("file")).unwrap();
            editor
                .put_bytes(&path("file"), Meta::file(), bytes)
                .unwrap();
            old
        })
    };
    let stored = || -> usize { vault.packs.all().values().map(|pack| pack.len()).sum() };
    // In a folder, as a person would put it: what was there is read for its chunks.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, &bytes).unwrap();
    let (top, put_first) = vault.edit(None, |editor| {
        editor.put_path(&path("file"), &file, &|_| {}).unwrap()
    });
    assert_eq!((put_first.files, put_first.bytes), (1, 40 << 20));
    let first = stored();
    bytes.insert(20 << 20, 7);
    fs::write(&file, &bytes).unwrap();
    let (later, _) = vault.edit(Some(top), |editor| {
        editor.put_path(&path("file"), &file, &|_| {}).unwrap()
    });
    let added = stored() - first;
    assert!(added < 3 << 20, "{added}");
    assert_eq!(
        vault.contents(&later)[&path("file")],
        Thing::File(bytes.clone())
    );
    // The same again stores nothing but a directory that is there already.
    let before = stored();
    let (same, _) = vault.edit(Some(later), |editor| {
        editor.put_path(&path("file"), &file, &|_| {}).unwrap()
    });
    assert_eq!((same.id, stored()), (later.id, before));
    let (_, old) = put(Some(same), &bytes);
    assert!(old.is_some());
}

#[test]
fn a_directory_on_disk_comes_back_from_a_folder_of_packs() {
    let disk = tempfile::tempdir().unwrap();
    let from = disk.path().join("from");
    fs::create_dir_all(from.join("inner/deep")).unwrap();
    fs::write(from.join("empty"), b"").unwrap();
    let long = content(3, 6 << 20);
    fs::write(from.join("inner/long"), &long).unwrap();
    for number in 0..300 {
        fs::write(
            from.join(format!("inner/deep/{number}")),
            content(number, 100),
        )
        .unwrap();
    }
    symlink("../nowhere", from.join("link")).unwrap();
    fs::set_permissions(from.join("empty"), fs::Permissions::from_mode(0o751)).unwrap();
    let (keys, cache) = (keyring(2), NodeCache::default());
    let packs = FolderPacks::new(&disk.path().join("packs")).unwrap();
    let reader = Reader::new(&keys, &packs, &cache);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut editor = Editor::new(reader, &packs, None, &mut rng).compressing(true);
    let told = AtomicU64::new(0);
    let progress = |bytes| {
        told.fetch_add(bytes, Ordering::Relaxed);
    };
    let put = editor.put_path(&path("there"), &from, &progress).unwrap();
    assert_eq!(put.files, 302);
    assert_eq!(put.bytes, told.into_inner());
    let top = editor.finish().unwrap();
    let all = read_all(&reader, &top).unwrap();
    assert_eq!(all.len(), 1 + 1 + 1 + 1 + 1 + 300 + 1);
    assert_eq!(all[&path("there/inner/long")], Thing::File(long));
    assert_eq!(
        all[&path("there/link")],
        Thing::Link(b"../nowhere".to_vec())
    );
    assert_eq!(
        all[&path("there/inner/deep/299")],
        Thing::File(content(299, 100))
    );
    let empty = reader.lookup(&top, &path("there/empty")).unwrap().unwrap();
    assert_eq!(empty.mode, 0o751);
    assert!(empty.modified.0 > 0);
    // And back to disk, all of it or nothing.
    let out = disk.path().join("out");
    let there = reader.lookup(&top, &path("there")).unwrap().unwrap();
    let name = path("there").names()[0].clone();
    let told = AtomicU64::new(0);
    let progress = |bytes| {
        told.fetch_add(bytes, Ordering::Relaxed);
    };
    let got = reader
        .get(&there, &name, &out, false, 7, &progress)
        .unwrap();
    assert_eq!((got.files, got.bytes), (302, put.bytes));
    assert_eq!(told.into_inner(), put.bytes);
    // The link leads out of what was asked for.
    assert_eq!(got.left_out, [out.join("there/link")]);
    assert_eq!(
        fs::read(out.join("there/inner/long")).unwrap(),
        content(3, 6 << 20)
    );
    assert_eq!(
        fs::read_dir(out.join("there/inner/deep")).unwrap().count(),
        300
    );
    let made = fs::metadata(out.join("there/empty")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o751);
    let before = fs::metadata(from.join("empty"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(made.modified().unwrap(), before);
    let again = reader.get(&there, &name, &out, false, 8, &|_| {});
    assert!(matches!(again, Err(VaultError::Taken { .. })));
    fs::write(out.join("there/empty"), b"other").unwrap();
    reader.get(&there, &name, &out, true, 9, &|_| {}).unwrap();
    assert_eq!(fs::read(out.join("there/empty")).unwrap(), b"");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    // Without the key there is nothing in it that anybody could read.
    for file in fs::read_dir(disk.path().join("packs")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"nowhere"));
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let disk = tempfile::tempdir().unwrap();
    let file = disk.path().join("file");
    fs::write(&file, content(1, 48 << 20)).unwrap();
    let later = content(2, 5000);
    let changed = Mutex::new(false);
    let vault = Vault::new();
    // Threads that seal wait here, so whoever reads has not come to the end when the file changes.
    let change = |_| {
        let mut changed = changed.lock().unwrap();
        if !*changed {
            fs::write(&file, &later).unwrap();
            *changed = true;
        }
    };
    let (top, put) = vault.edit(None, |editor| {
        editor.put_path(&path("file"), &file, &change).unwrap()
    });
    assert_eq!(put.bytes, 5000);
    assert_eq!(vault.contents(&top)[&path("file")], Thing::File(later));
}

#[test]
fn what_lies_where_a_directory_is_stays() {
    let vault = Vault::new();
    let (top, ()) = vault.edit(None, |editor| {
        editor.make_directories(&path("a/b")).unwrap();
        editor.put_bytes(&path("f"), Meta::file(), b"x").unwrap();
        let refused = |done: Result<(), VaultError>| assert!(done.is_err());
        refused(editor.put_bytes(&path("a"), Meta::file(), b"x"));
        refused(editor.put_bytes(&path("f/x"), Meta::file(), b"x"));
        refused(editor.put_bytes(&VaultPath::top(), Meta::file(), b"x"));
        refused(editor.make_directory(&path("f"), Meta::directory()));
        refused(editor.make_directory(&path("x/y"), Meta::directory()));
        refused(editor.make_directories(&path("f/y")));
        refused(editor.rename(&path("a"), &path("a/b/c")));
        refused(editor.rename(&path("f"), &path("a")));
        refused(editor.rename(&VaultPath::top(), &path("z")));
        refused(editor.remove(&path("z")));
        refused(editor.remove(&VaultPath::top()));
        refused(editor.put_link(&path("l"), Meta::file(), b""));
    });
    assert_eq!(vault.contents(&top).len(), 3);
}

fn author() -> Author {
    Author {
        person: "Ada".to_owned(),
        time: "2026-11-22 14-03".to_owned(),
    }
}

fn merge(
    vault: &Vault,
    base: Option<&ObjectRef>,
    ours: &ObjectRef,
    theirs: ObjectRef,
) -> (ObjectRef, Vec<Conflict>) {
    vault.edit(Some(theirs), |editor| {
        editor.merge(base, ours, &author()).unwrap()
    })
}

#[test]
fn both_changes_are_in_a_merge() {
    let vault = Vault::new();
    let file = |editor: &mut Editor<'_>, at: &str, bytes: &[u8]| {
        editor.put_bytes(&path(at), Meta::file(), bytes).unwrap();
    };
    let (base, ()) = vault.edit(None, |editor| {
        editor.make_directories(&path("d/inner")).unwrap();
        for at in [
            "both",
            "ours",
            "theirs",
            "gone",
            "d/kept",
            "d/inner/x",
            "same.txt",
        ] {
            file(editor, at, b"base");
        }
    });
    let (ours, ()) = vault.edit(Some(base), |editor| {
        file(editor, "both", b"by us");
        file(editor, "ours", b"by us");
        file(editor, "same.txt", b"alike");
        editor.remove(&path("gone")).unwrap();
        editor.remove(&path("d")).unwrap();
        file(editor, "new.txt", b"new by us");
    });
    let (theirs, ()) = vault.edit(Some(base), |editor| {
        file(editor, "both", b"by them");
        file(editor, "theirs", b"by them");
        file(editor, "same.txt", b"alike");
        file(editor, "gone", b"written");
        file(editor, "d/inner/x", b"written");
        file(editor, "new.txt", b"new by them");
    });
    let (merged, conflicts) = merge(&vault, Some(&base), &ours, theirs);
    let model = vault.contents(&merged);
    let names: Vec<String> = model.keys().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "both",
            "both (conflict, Ada, 2026-11-22 14-03)",
            "d",
            "d/inner",
            "d/inner/x",
            "gone",
            "new (conflict, Ada, 2026-11-22 14-03).txt",
            "new.txt",
            "ours",
            "same.txt",
            "theirs",
        ]
    );
    let bytes = |at: &str| match &model[&path(at)] {
        Thing::File(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        _ => panic!("{at}"),
    };
    assert_eq!(bytes("both"), "by them");
    assert_eq!(bytes("both (conflict, Ada, 2026-11-22 14-03)"), "by us");
    assert_eq!(bytes("gone"), "written");
    assert_eq!(
        (bytes("ours"), bytes("theirs")),
        ("by us".into(), "by them".into())
    );
    let paths: Vec<String> = conflicts.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(paths, ["both", "new.txt"]);
    // The other way round the other one keeps the name, and nothing else differs.
    let (turned, _) = merge(&vault, Some(&base), &theirs, ours);
    assert_eq!(
        vault.contents(&turned).keys().collect::<Vec<_>>(),
        model.keys().collect::<Vec<_>>()
    );
}

/// Names that are taken already are no place for a conflict copy.
#[test]
fn a_conflict_copy_takes_no_name_that_is_used() {
    let vault = Vault::new();
    let copy = "f (conflict, Ada, 2026-11-22 14-03)";
    let file = |editor: &mut Editor<'_>, at: &str, bytes: &[u8]| {
        editor.put_bytes(&path(at), Meta::file(), bytes).unwrap();
    };
    let (base, ()) = vault.edit(None, |_| ());
    let (ours, ()) = vault.edit(Some(base), |editor| {
        file(editor, "f", b"ours");
        file(editor, copy, b"ours too");
    });
    let (theirs, ()) = vault.edit(Some(base), |editor| {
        editor
            .make_directory(&path("f"), Meta::directory())
            .unwrap();
        file(editor, "f/inner", b"theirs");
    });
    let (merged, conflicts) = merge(&vault, Some(&base), &ours, theirs);
    let model = vault.contents(&merged);
    assert_eq!(model[&path(copy)], Thing::File(b"ours too".to_vec()));
    assert_eq!(model[&path("f/inner")], Thing::File(b"theirs".to_vec()));
    assert_eq!(model[&conflicts[0].copy], Thing::File(b"ours".to_vec()));
    assert_eq!((model.len(), conflicts.len()), (4, 1));
}

#[test]
fn no_write_is_lost() {
    for seed in 0..150 {
        let mut rng = ChaCha20Rng::seed_from_u64(1000 + seed);
        let vault = Vault::new();
        let mut models = Vec::new();
        let mut grow = |top: Option<ObjectRef>, mut model: Model| {
            let edits = rng.next_u32() % 30;
            let (top, ()) = vault.edit(top, |editor| {
                for _ in 0..edits {
                    random_edit(&mut rng, editor, &mut model);
                }
            });
            models.push(model.clone());
            (top, model)
        };
        let (base, model) = grow(None, Model::new());
        let (ours, _) = grow(Some(base), model.clone());
        let (theirs, _) = grow(Some(base), model);
        let [before, our_model, their_model] = &models[..] else {
            unreachable!()
        };
        let (merged, conflicts) = merge(&vault, Some(&base), &ours, theirs);
        let result = vault.contents(&merged);
        for side in [our_model, their_model] {
            let other = if side == our_model {
                their_model
            } else {
                our_model
            };
            for (path, thing) in side {
                if before.get(path) == Some(thing) || *thing == Thing::Directory {
                    continue;
                }
                assert!(
                    result.values().any(|there| there == thing),
                    "{seed}: {path}"
                );
                // Where only one changed something, and what it lies in is there, it has its place.
                let below = |model: &Model| -> Model {
                    let inside = model.iter().filter(|(other, _)| other.is_in(path));
                    inside
                        .map(|(path, thing)| (path.clone(), thing.clone()))
                        .collect()
                };
                let untouched = below(other) == below(before);
                let (place, _) = path.split_last().unwrap();
                let placed = place.names().is_empty()
                    || (side.get(&place) == before.get(&place)
                        && other.get(&place) == before.get(&place));
                if untouched && placed {
                    assert_eq!(result.get(path), Some(thing), "{seed}: {path}");
                }
            }
        }
        // Everything in it was in one of them, and every directory is above what lies in it.
        for (path, thing) in &result {
            let known = [our_model, their_model, before]
                .iter()
                .any(|side| side.values().any(|there| there == thing));
            assert!(known, "{seed}: {path}");
            let (place, _) = path.split_last().unwrap();
            assert!(place.names().is_empty() || result[&place] == Thing::Directory);
        }
        for conflict in &conflicts {
            assert!(result.contains_key(&conflict.copy) && result.contains_key(&conflict.path));
        }
        // With itself, or with nothing, a version is what it was.
        for (ours, theirs, model) in [
            (ours, ours, our_model),
            (base, theirs, their_model),
            (ours, base, our_model),
        ] {
            let (merged, conflicts) = merge(&vault, Some(&base), &ours, theirs);
            assert_eq!(&vault.contents(&merged), model, "{seed}");
            assert!(conflicts.is_empty());
        }
    }
}

#[test]
fn a_diff_says_what_differs_and_nothing_else() {
    for seed in 0..60 {
        let mut rng = ChaCha20Rng::seed_from_u64(2000 + seed);
        let vault = Vault::new();
        let mut model = Model::new();
        let mut grow = |top| {
            let (top, ()) = vault.edit(top, |editor| {
                for _ in 0..25 {
                    random_edit(&mut rng, editor, &mut model);
                }
            });
            (top, model.clone())
        };
        let (before, old) = grow(None);
        let (after, new) = grow(Some(before));
        let mut told = BTreeMap::new();
        let reader = vault.reader();
        reader
            .diff(Some(&before), Some(&after), &mut |path, change| {
                told.insert(path.clone(), change.clone());
                Ok(())
            })
            .unwrap();
        for path in old.keys().chain(new.keys()) {
            let differs = old.get(path) != new.get(path);
            assert_eq!(told.contains_key(path), differs, "{seed}: {path}");
        }
        for (path, change) in told {
            let thing =
                |entry: &Option<Entry>| entry.as_ref().map(|entry| read(&reader, entry).unwrap());
            assert_eq!(thing(&change.before).as_ref(), old.get(&path));
            assert_eq!(thing(&change.after).as_ref(), new.get(&path));
        }
    }
}

/// Two devices that put the same long file have no conflict, though it lies in two places.
#[test]
fn the_same_long_file_twice_is_no_conflict() {
    let vault = Vault::new();
    let bytes = content(1, 8 << 20);
    let put = |editor: &mut Editor<'_>| {
        editor.put_bytes(&path("f"), Meta::file(), &bytes).unwrap();
    };
    let (base, ()) = vault.edit(None, |_| ());
    let (ours, ()) = vault.edit(Some(base), put);
    let (theirs, ()) = vault.edit(Some(base), put);
    assert_ne!(ours.id, theirs.id);
    let (merged, conflicts) = merge(&vault, Some(&base), &ours, theirs);
    assert!(conflicts.is_empty());
    assert_eq!(merged.id, theirs.id);
}

#[test]
fn what_is_not_whole_is_not_written() {
    let vault = Vault::new();
    let (top, ()) = vault.edit(None, |editor| {
        editor.make_directories(&path("d")).unwrap();
        for number in 0..40 {
            let at = path(&format!("d/{number}"));
            editor
                .put_bytes(&at, Meta::file(), &content(number, 5000))
                .unwrap();
        }
    });
    let packs = MemoryPacks::default();
    for (id, bytes) in vault.packs.all() {
        let mut changed = bytes.to_vec();
        changed[100_000] ^= 1;
        packs.replace(id, changed);
    }
    let cache = NodeCache::default();
    let reader = Reader::new(&vault.keys, &packs, &cache);
    let entry = reader.lookup(&top, &path("d")).unwrap().unwrap();
    let disk = tempfile::tempdir().unwrap();
    let out = disk.path().join("out");
    let got = reader.get(&entry, &path("d").names()[0], &out, false, 1, &|_| {});
    assert!(matches!(got, Err(VaultError::Object(_))), "{got:?}");
    assert!(!out.exists());
}

/// Packs that no version reaches are no longer needed: with all others alone, everything can be read.
#[test]
fn what_is_reached_is_all_that_is_needed() {
    let vault = Vault::new();
    let (first, ()) = vault.edit(None, |editor| {
        editor.make_directories(&path("d/inner")).unwrap();
        editor
            .put_bytes(&path("d/long"), Meta::file(), &content(1, 8 << 20))
            .unwrap();
        editor
            .put_bytes(&path("d/inner/x"), Meta::file(), b"x")
            .unwrap();
        editor.put_link(&path("link"), Meta::file(), b"d").unwrap();
    });
    let (second, ()) = vault.edit(Some(first), |editor| {
        editor.remove(&path("d/long")).unwrap();
        editor
            .put_bytes(&path("d/inner/y"), Meta::file(), b"y")
            .unwrap();
    });
    let _unused = vault.edit(Some(first), |editor| {
        editor
            .put_bytes(&path("z"), Meta::file(), b"never published")
            .unwrap();
    });
    let reach = |tops: &[&ObjectRef]| {
        let (mut reached, packs) = (Reached::default(), MemoryPacks::default());
        let all = vault.packs.all();
        for top in tops {
            vault
                .reader()
                .objects(top, &mut reached, &mut |object| {
                    packs.replace(object.pack, all[&object.pack].to_vec());
                })
                .unwrap();
        }
        packs
    };
    let cache = NodeCache::default();
    let packs = reach(&[&second, &first]);
    let reader = Reader::new(&vault.keys, &packs, &cache);
    assert_eq!(read_all(&reader, &second).unwrap(), vault.contents(&second));
    assert_eq!(read_all(&reader, &first).unwrap(), vault.contents(&first));
    assert_eq!(packs.all().len() + 1, vault.packs.all().len());
}

/// What one version lost does not keep the rest from being said to be used.
#[test]
fn what_is_gone_hides_nothing_else() {
    let vault = Vault::new();
    let put = |top, name: &str| {
        let (top, ()) = vault.edit(top, |editor| {
            editor.make_directories(&path(name)).unwrap();
            let inner = path(&format!("{name}/inner"));
            editor
                .put_bytes(&inner, Meta::file(), name.as_bytes())
                .unwrap();
        });
        top
    };
    let first = put(None, "a");
    let inner = vault.contents(&first);
    assert_eq!(inner.len(), 2);
    let packs = vault.packs.all();
    let of_a: Vec<BlobId> = packs.keys().copied().collect();
    let top = put(Some(first), "b");
    let top = put(Some(top), "c");
    let lost = MemoryPacks::default();
    for (pack, bytes) in vault.packs.all() {
        if !of_a.contains(&pack) {
            lost.replace(pack, bytes.to_vec());
        }
    }
    let cache = NodeCache::default();
    let reader = Reader::new(&vault.keys, &lost, &cache);
    let mut used = BTreeSet::new();
    let mut reached = Reached::default();
    let shown = reader.objects(&top, &mut reached, &mut |object| {
        used.insert(object.pack);
    });
    assert!(matches!(shown, Err(VaultError::Pack(_))));
    let all: BTreeSet<BlobId> = vault.packs.all().keys().copied().collect();
    assert_eq!(used, all);
}

/// A vault's objects say nothing in another vault, even with the same key.
#[test]
fn objects_of_another_vault_are_refused() {
    let vault = Vault::new();
    let (top, ()) = vault.edit(None, |editor| {
        editor.put_bytes(&path("f"), Meta::file(), b"x").unwrap();
    });
    let cache = NodeCache::default();
    let other = keyring(3);
    assert!(read_all(&Reader::new(&other, &vault.packs, &cache), &top).is_err());
}

/// A store that fails, at the pack of this number.
struct Failing(MemoryPacks, AtomicU64);

impl PackStore for Failing {
    fn store(&self, pack: &BlobId, generation: u32, bytes: &[u8]) -> std::io::Result<()> {
        if self.1.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        self.0.store(pack, generation, bytes)
    }
}

impl PackSource for Failing {
    fn read(
        &self,
        pack: &BlobId,
        generation: u32,
        offset: u32,
        length: u32,
    ) -> std::io::Result<Vec<u8>> {
        self.0.read(pack, generation, offset, length)
    }
}

#[test]
fn a_store_that_fails_ends_the_edit() {
    let bytes = content(1, 60 << 20);
    let keys = keyring(2);
    for failing in 0..4 {
        let packs = Failing(MemoryPacks::default(), AtomicU64::new(failing));
        let cache = NodeCache::default();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut editor = Editor::new(Reader::new(&keys, &packs, &cache), &packs, None, &mut rng);
        let put = editor.put_bytes(&path("f"), Meta::file(), &bytes);
        let done = put.and_then(|()| editor.finish());
        assert!(matches!(done, Err(VaultError::Pack(_))), "{failing}");
    }
}
