//! A folder on a disk where large and small letters are one, and a vault where they are two.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]

use super::*;
use crate::vault::folder::moves::Moves;
use crate::vault::merge::Author;
use crate::vault::{Applied, Editor, InStep, Keyring, MemoryPacks, Meta, NodeCache};
use keys::{GroupId, Secret};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const VAULT: GroupId = GroupId::from_bytes([2; 32]);

struct Host {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    folder: Folder,
    dir: tempfile::TempDir,
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text.as_bytes()).unwrap()
}

fn quiet(_: u64) {}

impl Host {
    fn new() -> Self {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::create(&dir.path().join("folder")).unwrap();
        folder.moves = Moves::folding();
        Self {
            keys: Keyring::new(VAULT, [(1, &key)]).unwrap(),
            packs: MemoryPacks::default(),
            cache: NodeCache::default(),
            folder,
            dir,
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.keys, &self.packs, &self.cache)
    }

    fn edit(&self, top: Option<ObjectRef>, edit: impl FnOnce(&mut Editor<'_>)) -> ObjectRef {
        let mut rng = ChaCha20Rng::seed_from_u64(self.packs.all().len() as u64);
        let mut editor = Editor::new(self.reader(), &self.packs, top, &mut rng);
        edit(&mut editor);
        editor.finish().unwrap()
    }

    fn put(&self, top: Option<ObjectRef>, name: &str, content: &str) -> ObjectRef {
        let meta = Meta {
            modified: (7, 0),
            ..Meta::file()
        };
        self.edit(top, |editor| {
            if let Some((place, _)) = path(name).split_last() {
                editor.make_directories(&place).unwrap();
            }
            let put = editor.put_bytes(&path(name), meta, content.as_bytes());
            put.unwrap();
        })
    }

    /// A whole sync of somebody who may write: what is new, the version then, and what was not written.
    fn sync(&self, base: &mut InStep, newest: ObjectRef) -> (ObjectRef, Vec<String>) {
        let before = base.clone();
        let was = self.edit(before.base, |editor| before.take_back(editor).unwrap());
        let from = InStep {
            base: before.base.map(|_| was),
            ..before
        };
        let ours = self.edit(from.base, |editor| {
            let bars: (crate::Progress<'_>, crate::Progress<'_>) = (&quiet, &quiet);
            let scanned = self.folder.scan(editor, self.reader(), &from, None, bars);
            scanned.unwrap();
        });
        let author = Author {
            person: "ada".to_owned(),
            time: "now".to_owned(),
        };
        let both = self.edit(Some(newest), |editor| {
            let merged = editor.merge(from.base.as_ref(), &ours, &author);
            assert_eq!(merged.unwrap(), []);
        });
        let applied = self.apply(Some(&ours), &both, &[]);
        base.base = Some(both);
        base.refused = applied.refused;
        (both, told(&base.refused))
    }

    fn apply(&self, from: Option<&ObjectRef>, to: &ObjectRef, refused: &[Refused]) -> Applied {
        let bars: (crate::Progress<'_>, crate::Progress<'_>) = (&quiet, &quiet);
        let applied = self.folder.apply(self.reader(), from, to, refused, bars);
        let applied = applied.unwrap();
        assert!(!applied.busy);
        applied
    }

    fn has(&self, version: &ObjectRef, name: &str) -> bool {
        let found = self.reader().lookup(version, &path(name));
        found.unwrap().is_some()
    }

    /// Names and contents of files on disk.
    fn here(&self) -> Vec<(String, String)> {
        let mut here = Vec::new();
        let mut left = vec![self.dir.path().join("folder")];
        while let Some(at) = left.pop() {
            for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
                let at = entry.path();
                match entry.file_type().unwrap().is_dir() {
                    true if entry.file_name() == ".letterlock-sync" => {}
                    true => left.push(at),
                    false => {
                        let name = at.strip_prefix(self.folder.path()).unwrap();
                        let content = fs::read_to_string(&at).unwrap();
                        here.push((name.to_str().unwrap().to_owned(), content));
                    }
                }
            }
        }
        here.sort();
        here
    }
}

fn told(refused: &[Refused]) -> Vec<String> {
    let told = refused.iter().map(|at| at.path.to_string());
    told.collect()
}

fn fresh() -> InStep {
    InStep {
        vault: VAULT,
        base: None,
        since: 0,
        refused: Vec::new(),
    }
}

fn files(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, content): &(&str, &str)| ((*name).to_owned(), (*content).to_owned());
    of.iter().map(owned).collect()
}

#[test]
fn names_that_are_one_for_the_disk_are_told() {
    // Also where nothing but the name tells them apart.
    for content in ["one", "two"] {
        let host = Host::new();
        let version = host.put(None, "Note", "one");
        let version = host.put(Some(version), "note", content);
        let version = host.put(Some(version), "other", "three");
        let mut base = fresh();
        let (mut newest, told) = host.sync(&mut base, version);
        assert_eq!(told, ["note"]);
        let here = files(&[("Note", "one"), ("other", "three")]);
        assert_eq!(host.here(), here);
        // It is nobody's change at the next look, nor at the one after it.
        for _ in 0..2 {
            let (again, told) = host.sync(&mut base, newest);
            assert_eq!((again, told), (newest, vec!["note".to_owned()]));
            assert_eq!(host.here(), here);
        }
        // The name is free: what waited for it comes.
        newest = host.edit(Some(newest), |editor| editor.remove(&path("Note")).unwrap());
        let (newest, told) = host.sync(&mut base, newest);
        assert_eq!(told, [""; 0]);
        assert_eq!(host.here(), files(&[("note", content), ("other", "three")]));
        assert!(host.has(&newest, "note") && !host.has(&newest, "Note"));
    }
}

#[test]
fn what_is_new_here_and_what_is_new_there_both_stay() {
    let host = Host::new();
    let version = host.put(None, "other", "three");
    let mut base = fresh();
    host.sync(&mut base, version);
    fs::write(host.folder.path().join("NOTE"), "here").unwrap();
    let newest = host.put(Some(version), "note", "there");
    let (newest, told) = host.sync(&mut base, newest);
    assert_eq!(told, ["note"]);
    assert!(host.has(&newest, "note") && host.has(&newest, "NOTE"));
    assert_eq!(host.here(), files(&[("NOTE", "here"), ("other", "three")]));
}

#[test]
fn directories_that_are_one_for_the_disk_are_not_mixed() {
    let host = Host::new();
    let mut base = fresh();
    let version = host.put(None, "plans/a", "one");
    host.sync(&mut base, version);
    let two = host.put(Some(version), "Plans/a", "one");
    let two = host.put(Some(two), "Plans/b", "two");
    let closed = Meta {
        mode: 0o700,
        ..Meta::directory()
    };
    let two = host.edit(Some(two), |editor| {
        editor.set_meta(&path("Plans"), closed).unwrap();
    });
    let (newest, told) = host.sync(&mut base, two);
    assert_eq!(told, ["Plans"]);
    assert_eq!(host.here(), files(&[("plans/a", "one")]));
    let metadata = fs::metadata(host.folder.path().join("plans")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
    let (again, _) = host.sync(&mut base, newest);
    assert_eq!(again, newest);
    // Who only reads is told the same, and what goes from the one does not go from the other.
    let host = Host::new();
    let version = host.put(None, "Plans/a", "one");
    let two = host.put(Some(version), "plans/a", "one");
    let applied = host.apply(None, &two, &[]);
    assert_eq!(self::told(&applied.refused), ["plans"]);
    host.apply(Some(&two), &version, &applied.refused);
    assert_eq!(host.here(), files(&[("Plans/a", "one")]));
}

#[test]
fn another_case_is_another_name_of_the_same_file() {
    let host = Host::new();
    let version = host.put(None, "plans/note", "one");
    let mut base = fresh();
    host.sync(&mut base, version);
    let newest = host.edit(Some(version), |editor| {
        editor.rename(&path("plans"), &path("Plans")).unwrap();
        let to = path("Plans/Note");
        editor.rename(&path("Plans/note"), &to).unwrap();
    });
    let (_, told) = host.sync(&mut base, newest);
    assert_eq!(told, [""; 0]);
    assert_eq!(host.here(), files(&[("Plans/Note", "one")]));
}

/// What is fetched is written whole, or not at all.
#[test]
fn what_cannot_be_fetched_side_by_side_is_not_mixed() {
    let host = Host::new();
    let version = host.put(None, "plans/inner/Note", "the longer one");
    let version = host.put(Some(version), "plans/inner/note", "short");
    let version = host.put(Some(version), "plans/other", "three");
    let entry = host.reader().lookup(&version, &path("plans")).unwrap();
    let (entry, place) = (entry.unwrap(), path("plans"));
    let (_, name) = place.split_last().unwrap();
    for (beside, done) in [("plain", true), (crate::place::tests::FOLDS, false)] {
        let into = host.dir.path().join(beside);
        fs::create_dir(&into).unwrap();
        let got = host.reader().get(&entry, name, &into, false, 1, &quiet);
        match got {
            Ok(got) => assert!(done && got.files == 3),
            Err(VaultError::SameName { path }) => {
                assert!(!done && path == Path::new("plans/inner/note"), "{path:?}");
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(fs::read_dir(&into).unwrap().count(), usize::from(done));
    }
}
