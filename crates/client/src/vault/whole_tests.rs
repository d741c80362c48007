//! A version holds no half of a change: whoever is killed or refused, at whatever step, leaves the version of before or the
//! one after it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::super::stand::{End, Stand, VAULT};
use super::super::{Edit, apply};
use super::*;
use seal::vault::{Entry, FileReader};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Tree = BTreeMap<String, Vec<u8>>;

/// Bytes of the larger files: each has chunks of its own.
const LONG: usize = 200_000;

fn content(file: &mut FileReader<'_>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// All that a version holds; it can be read, all of it.
fn tree(session: &Session, directory: &ObjectRef) -> Tree {
    let packs = session.packs(None);
    let reader = session.reader(&packs);
    let mut tree = Tree::new();
    let walked = reader.walk(directory, &mut |path, entry: &Entry| {
        let bytes = reader.file(entry).map(|mut file| content(&mut file));
        tree.insert(path.to_string(), bytes.unwrap_or_default());
        Ok(())
    });
    walked.unwrap_or_else(|error| panic!("half of a version: {error}"));
    tree
}

/// What the folders of the tests hold, as a version has it.
fn on_disk(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut left = vec![top.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            if name == ".letterlock-sync" {
                continue;
            }
            let is_directory = path.is_dir();
            let bytes = match is_directory {
                true => Vec::new(),
                false => fs::read(&path).unwrap(),
            };
            tree.insert(name, bytes);
            if is_directory {
                left.push(path);
            }
        }
    }
    tree
}

fn write(top: &Path, files: &[(&str, usize)]) {
    for (name, length) in files {
        let path = top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes: Vec<u8> = (0..*length).map(|at| (at ^ (at >> 8)) as u8).collect();
        fs::write(path, [name.as_bytes(), &bytes].concat()).unwrap();
    }
}

/// What somebody does: once whole, and once ended after each of its steps.
struct Tried {
    stand: Arc<Stand>,
    top: tempfile::TempDir,
}

impl Tried {
    fn new() -> Self {
        Self {
            stand: Stand::new(),
            top: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.top.path().join("folder")
    }

    fn sync(&self) -> Result<VaultSynced, Failure> {
        let wish = Sync {
            home: self.stand.journals.parent().unwrap().to_path_buf(),
            vault: VAULT.to_string(),
            folder: self.folder(),
            time: "2026-11-22 14-03".to_owned(),
        };
        let done = run(&self.stand.profile(), &wish, &self.stand.work);
        done.map_err(Unsynced::into_failure)
    }

    fn edit(&self, edit: &Edit) -> Result<(), Failure> {
        let profile = self.stand.profile();
        let place = self.stand.place(&profile);
        let changed = change(&place, |editor, desk| {
            apply(edit, editor, desk.session, desk.newest)
        });
        changed.map(drop)
    }

    /// The trees of all versions that were taken since there were so many.
    fn versions(&self, since: usize) -> Vec<Tree> {
        let session = self.stand.session();
        let published = self.stand.published();
        let new = published.iter().skip(since);
        new.map(|root| tree(&session, &root.body.directory))
            .collect()
    }
}

/// Ends `act` at each of its steps, and in each of both ways: only versions that are `whole` may be there, and the next time
/// it comes to its end. What it does is done at a version that `before` made.
fn at_each_step(
    before: impl Fn(&Tried),
    act: impl Fn(&Tried) -> Result<(), Failure>,
    whole: impl Fn(&Tried) -> Vec<Tree>,
) {
    let mut ends = 0;
    for unheard in [false, true] {
        for after in 0.. {
            let tried = Tried::new();
            before(&tried);
            let (taken, whole) = (tried.stand.published().len(), whole(&tried));
            tried.stand.end(Some(End { after, unheard }));
            let done = act(&tried);
            let ended = tried.stand.has_ended();
            tried.stand.end(None);
            for tree in tried.versions(taken) {
                assert!(whole.contains(&tree), "after {after}: {:?}", tree.keys());
            }
            if done.is_ok() && !ended {
                break;
            }
            ends += 1;
            act(&tried).unwrap();
            let versions = tried.versions(taken);
            assert!(versions.iter().all(|tree| whole.contains(tree)));
            assert_eq!(versions.last(), whole.last(), "after {after}");
        }
    }
    assert!(ends > 20, "{ends}");
}

#[test]
fn a_sync_that_ends_anywhere_publishes_no_half_of_it() {
    let before = |tried: &Tried| {
        let files = [
            ("old/one", 10),
            ("old/two", LONG),
            ("gone", 10),
            ("kept", 10),
        ];
        write(&tried.folder(), &files);
        tried.sync().unwrap();
        // Renamed, put, removed and written to, all at once.
        let folder = tried.folder();
        fs::rename(folder.join("old"), folder.join("new")).unwrap();
        fs::remove_file(folder.join("gone")).unwrap();
        let files = [("album/1", LONG), ("album/in/2", 10), ("kept", 20)];
        write(&folder, &files);
    };
    at_each_step(
        before,
        |tried| tried.sync().map(drop),
        |tried| vec![on_disk(&tried.folder())],
    );
}

#[test]
fn a_put_that_ends_anywhere_publishes_no_half_of_it() {
    let album = |tried: &Tried| tried.top.path().join("album");
    let before = |tried: &Tried| {
        write(&tried.folder(), &[("old/one", 10), ("old/two", LONG)]);
        tried.sync().unwrap();
        write(&album(tried), &[("1", LONG), ("in/2", 10), ("in/3", 10)]);
    };
    let put = |tried: &Tried| {
        tried.edit(&Edit::Put {
            paths: vec![album(tried), tried.folder().join("old/one")],
            to: "there".to_owned(),
        })
    };
    let whole = |tried: &Tried| {
        let mut tree = on_disk(&tried.folder());
        tree.insert("there".to_owned(), Vec::new());
        let one = tree.get("old/one").unwrap().clone();
        tree.insert("there/one".to_owned(), one);
        tree.insert("there/album".to_owned(), Vec::new());
        for (name, bytes) in on_disk(&album(tried)) {
            tree.insert(format!("there/album/{name}"), bytes);
        }
        vec![tree]
    };
    at_each_step(before, put, whole);
}

#[test]
fn a_move_that_ends_anywhere_publishes_no_half_of_it() {
    let before = |tried: &Tried| {
        write(&tried.folder(), &[("old/one", 10), ("old/two", LONG)]);
        tried.sync().unwrap();
    };
    let moved = |tried: &Tried| {
        let (from, to) = ("old".to_owned(), "new".to_owned());
        match tried.edit(&Edit::Move { from, to }) {
            // The last time it came to its end, and nobody heard of it.
            Err(failure) if failure.message == "new is there already" => Ok(()),
            done => done,
        }
    };
    let whole = |tried: &Tried| {
        let tree = on_disk(&tried.folder()).into_iter();
        vec![
            tree.map(|(name, bytes)| (name.replacen("old", "new", 1), bytes))
                .collect(),
        ]
    };
    at_each_step(before, moved, whole);
}
