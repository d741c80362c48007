//! Steps of a folder, each on its own, in the way of the system and of one that cannot exchange.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::super::{Applied, Folder};
use super::*;
use crate::vault::folder::moves::Moves;
use crate::vault::{Editor, Keyring, MemoryPacks, Meta, NodeCache, Reader};
use keys::vault_root::ObjectRef;
use keys::{GroupId, Secret};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text.as_bytes()).unwrap()
}

struct Host {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let key = Secret::from_slice(&[1; 32]).unwrap();
        let vault = GroupId::from_bytes([2; 32]);
        Self {
            keys: Keyring::new(vault, [(1, &key)]).unwrap(),
            packs: MemoryPacks::default(),
            cache: NodeCache::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.keys, &self.packs, &self.cache)
    }

    fn version(&self, files: &[(&str, &str)]) -> ObjectRef {
        let seed = self.packs.all().len() as u64;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut editor = Editor::new(self.reader(), &self.packs, None, &mut rng);
        for (name, content) in files {
            let meta = Meta {
                modified: (content.len() as i64, 0),
                ..Meta::file()
            };
            let bytes = content.as_bytes();
            editor.put_bytes(&path(name), meta, bytes).unwrap();
        }
        editor.finish().unwrap()
    }

    fn folder(&self, moves: Moves) -> Folder {
        let mut folder = Folder::create(&self.dir.path().join("folder")).unwrap();
        folder.moves = moves;
        folder
    }

    fn apply(&self, folder: &Folder, from: Option<&ObjectRef>, to: &ObjectRef) -> Applied {
        let bar = |_| {};
        folder
            .apply(self.reader(), from, to, &[], (&bar, &bar))
            .unwrap()
    }
}

fn files(at: PathBuf) -> BTreeMap<String, String> {
    let entries = fs::read_dir(at).unwrap().map(Result::unwrap);
    let entries = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let read = |entry: fs::DirEntry| {
        let content = fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), content)
    };
    entries.map(read).collect()
}

fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = files.iter().map(|(name, content)| (*name, *content));
    owned.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn a_file_system_that_cannot_exchange_is_enough() {
    for moves in [Moves::default(), Moves::plain()] {
        let host = Host::new();
        let folder = host.folder(moves);
        let first = host.version(&[("replaced", "1"), ("removed", "1"), ("mine", "1")]);
        let then = [
            ("replaced", "22"),
            ("mine", "22"),
            ("new", "22"),
            ("taken", "22"),
        ];
        let then = host.version(&then);
        assert!(!host.apply(&folder, None, &first).busy);
        fs::write(folder.path().join("mine"), "written here").unwrap();
        fs::write(folder.path().join("taken"), "written here").unwrap();
        let applied = host.apply(&folder, Some(&first), &then);
        assert_eq!(
            (applied.written, applied.removed, applied.busy),
            (2, 1, true)
        );
        let here = [
            ("mine", "written here"),
            ("new", "22"),
            ("replaced", "22"),
            ("taken", "written here"),
        ];
        assert_eq!(files(folder.path().to_path_buf()), expected(&here));
        assert_eq!(files(folder.ours()), BTreeMap::new());
    }
}

/// As after a kill at the end, for somebody who only reads: what is there is what was to come.
#[test]
fn what_was_written_before_is_no_change_of_the_persons() {
    let host = Host::new();
    let folder = host.folder(Moves::default());
    let first = host.version(&[("replaced", "1"), ("removed", "1")]);
    let then = host.version(&[("replaced", "22"), ("new", "22")]);
    host.apply(&folder, None, &first);
    host.apply(&folder, Some(&first), &then);
    let again = host.apply(&folder, Some(&first), &then);
    assert_eq!(again, Applied::default());
}

/// Somebody writes in the instant before the exchange, and perhaps once more in the one after it.
#[test]
fn what_is_exchanged_and_was_not_meant_comes_back() {
    let host = Host::new();
    let version = host.version(&[("a", "1"), ("b", "22")]);
    let entry = |name: &str| {
        let entry = host.reader().lookup(&version, &path(name));
        entry.unwrap().unwrap()
    };
    let (before, after) = (entry("a"), entry("b"));
    let ways: [fn() -> Moves; 2] = [Moves::default, Moves::plain];
    for (moves, again) in ways
        .into_iter()
        .flat_map(|way| [(way(), false), (way(), true)])
    {
        let _ = fs::remove_dir_all(host.dir.path().join("folder"));
        let folder = host.folder(moves);
        fs::write(folder.path().join("a"), "written here").unwrap();
        let mut hand = Hand::new(&folder, host.reader()).unwrap();
        let new = folder.ours().join("new");
        fs::write(&new, "22").unwrap();
        if !again {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(2);
            let file = fs::File::options().write(true).open(&new).unwrap();
            file.set_modified(time).unwrap();
        }
        let top = fs::File::open(folder.path()).unwrap();
        let at = At {
            directory: top.as_fd(),
            name: b"a",
        };
        hand.place_new(&path("a"), at, Some(&before), &after)
            .unwrap();
        assert!(hand.applied.busy);
        assert_eq!(hand.applied.written, 0);
        // Only what was put there is destroyed: what has another time is somebody's.
        let here = match again {
            false => expected(&[("a", "written here")]),
            true => expected(&[("a", "written here"), ("a (kept 1)", "22")]),
        };
        assert_eq!(files(folder.path().to_path_buf()), here);
        assert_eq!(files(folder.ours()), BTreeMap::new());
    }
}

/// Where a name is taken again, what was there is put beside it; where that name is too long, with what is ours.
#[test]
fn what_cannot_go_back_is_kept() {
    let host = Host::new();
    let folder = host.folder(Moves::default());
    let long = "n".repeat(255);
    let hand = Hand::new(&folder, host.reader()).unwrap();
    let top = fs::File::open(folder.path()).unwrap();
    for name in ["short", &long] {
        for number in 1..=2 {
            fs::write(folder.path().join(name), "newer").unwrap();
            fs::write(folder.ours().join("swap"), format!("{number}")).unwrap();
            let at = At {
                directory: top.as_fd(),
                name: name.as_bytes(),
            };
            hand.put_back(SWAP, at).unwrap();
        }
    }
    let here = [
        ("short", "newer"),
        ("short (kept 1)", "1"),
        ("short (kept 2)", "2"),
        (&long, "newer"),
    ];
    assert_eq!(files(folder.path().to_path_buf()), expected(&here));
    let kept = expected(&[("kept-1", "1"), ("kept-2", "2")]);
    assert_eq!(files(folder.ours()), kept);
}
