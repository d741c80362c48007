//! What whoever keeps the packs can do to them, by the classes of attack that <https://eprint.iacr.org/2024/1616> found in
//! such services (docs/threat-model.md, "Vaults"). Nothing but what was written is ever read.

use super::{
    Meta, Model, NodeCache, ObjectRef, Reached, Reader, Vault, VaultError, content, path, read_all,
};
use keys::BlobId;
use letterlock_seal::vault::MemoryPacks;
use std::collections::{BTreeMap, BTreeSet};

/// A vault whose packs somebody has in hand, and its versions, the newest last.
struct Kept {
    vault: Vault,
    versions: Vec<ObjectRef>,
    packs: BTreeMap<BlobId, Vec<u8>>,
}

impl Kept {
    fn new(vault: Vault, versions: Vec<ObjectRef>) -> Self {
        let packs = vault.packs.all();
        let packs = packs.iter().map(|(id, bytes)| (*id, bytes.to_vec()));
        Self {
            packs: packs.collect(),
            vault,
            versions,
        }
    }

    /// Three small files, of which the second version has one otherwise.
    fn small() -> Self {
        let vault = Vault::new();
        let (first, ()) = vault.edit(None, |editor| {
            editor.make_directories(&path("a")).unwrap();
            editor.make_directories(&path("b")).unwrap();
            for at in ["a/one", "a/two", "b/one"] {
                editor
                    .put_bytes(&path(at), Meta::file(), at.as_bytes())
                    .unwrap();
            }
        });
        let (second, ()) = vault.edit(Some(first), |editor| {
            editor
                .put_bytes(&path("a/one"), Meta::file(), b"newer")
                .unwrap();
        });
        Self::new(vault, vec![first, second])
    }

    fn newest(&self) -> &ObjectRef {
        self.versions.last().unwrap()
    }

    fn honest(&self) -> Model {
        self.vault.contents(self.newest())
    }

    /// What somebody reads of the newest version who has these packs in the place of those that were written.
    fn read(&self, changed: &[(BlobId, Vec<u8>)]) -> Result<Model, VaultError> {
        let packs = MemoryPacks::default();
        for (id, bytes) in &self.packs {
            packs.replace(*id, bytes.clone());
        }
        for (id, bytes) in changed {
            packs.replace(*id, bytes.clone());
        }
        let cache = NodeCache::default();
        read_all(
            &Reader::new(&self.vault.keys, &packs, &cache),
            self.newest(),
        )
    }

    /// Whether changed packs are refused; else what is read is what was written.
    fn refuses(&self, changed: &[(BlobId, Vec<u8>)], honest: &Model) -> bool {
        match self.read(changed) {
            Ok(read) => {
                assert!(read == *honest, "what nobody wrote is read");
                false
            }
            Err(_) => true,
        }
    }

    /// Every object of a version, by its place.
    fn objects(&self, version: &ObjectRef) -> BTreeMap<(BlobId, u32), ObjectRef> {
        let mut found = BTreeMap::from([((version.pack, version.offset), *version)]);
        let mut each = |object: &ObjectRef| {
            found.insert((object.pack, object.offset), *object);
        };
        let reader = self.vault.reader();
        reader
            .objects(version, &mut Reached::default(), &mut each)
            .unwrap();
        found
    }

    fn bytes(&self, object: &ObjectRef) -> Vec<u8> {
        let (from, length) = (object.offset as usize, object.length as usize);
        self.packs[&object.pack][from..from + length].to_vec()
    }

    /// The packs with bytes in the place of an object.
    fn with(&self, changed: &mut BTreeMap<BlobId, Vec<u8>>, object: &ObjectRef, bytes: &[u8]) {
        let pack = changed
            .entry(object.pack)
            .or_insert_with(|| self.packs[&object.pack].clone());
        let from = object.offset as usize;
        pack[from..from + bytes.len()].copy_from_slice(bytes);
    }
}

/// Found in Icedrive and Seafile: ciphertext that nobody authenticates.
#[test]
fn changed_ciphertext_is_refused() {
    let kept = Kept::small();
    let honest = kept.honest();
    assert_eq!(kept.read(&[]).unwrap(), honest);
    // Every bit of an object is refused where it is opened (`every_flip_and_every_cut_is_refused`); here every place of every
    // pack. What no object of the newest version has is of an older one, and changes nothing in it.
    let objects = kept.objects(kept.newest());
    for (id, bytes) in &kept.packs {
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            let is_read = objects.values().any(|object| {
                let (from, length) = (object.offset as usize, object.length as usize);
                object.pack == *id && (from..from + length).contains(&place)
            });
            assert_eq!(kept.refuses(&[(*id, changed)], &honest), is_read, "{place}");
        }
    }
}

/// Found in Icedrive, and of chunks in pCloud and Seafile: what is cut off is not missed.
#[test]
fn truncation_is_refused() {
    let kept = Kept::small();
    let honest = kept.honest();
    let objects = kept.objects(kept.newest());
    for (id, bytes) in &kept.packs {
        let last = objects.values().filter(|object| object.pack == *id);
        let end = last.map(|object| object.offset + object.length).max();
        for length in 0..bytes.len() {
            let refused = kept.refuses(&[(*id, bytes[..length].to_vec())], &honest);
            assert_eq!(
                refused,
                end.is_some_and(|end| length < end as usize),
                "{length}"
            );
        }
    }
    // The last chunks of a long file are those of a shorter one.
    let vault = Vault::new();
    let long = content(7, 4 << 20);
    let put = |top, length: usize| {
        let (version, ()) = vault.edit(top, |editor| {
            let bytes = &long[..length];
            editor
                .put_bytes(&path("long"), Meta::file(), bytes)
                .unwrap();
        });
        version
    };
    let short = put(None, 1 << 20);
    let whole = put(Some(short), long.len());
    let kept = Kept::new(vault, vec![short, whole]);
    let (before, after) = (kept.objects(&short), kept.objects(&whole));
    let honest = kept.honest();
    let mut tried = 0;
    for newer in after.values() {
        for older in before.values().filter(|older| older.length <= newer.length) {
            let mut changed = BTreeMap::new();
            kept.with(&mut changed, newer, &kept.bytes(older));
            let changed: Vec<_> = changed.into_iter().collect();
            kept.refuses(&changed, &honest);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

/// Found in Sync, pCloud, Seafile and Icedrive: names and places that nobody authenticates.
#[test]
fn swap_of_files_between_names_is_refused() {
    let kept = Kept::small();
    let honest = kept.honest();
    let ids: Vec<BlobId> = kept.packs.keys().copied().collect();
    assert_eq!(ids.len(), 2);
    // One pack for the other.
    for (one, other) in [(0, 1), (1, 0)] {
        let swapped = kept.packs[&ids[other]].clone();
        assert!(kept.read(&[(ids[one], swapped)]).is_err());
    }
    // Any two objects of one length, in whatever pack: contents of two files, segments of two directories, two directories.
    let objects = kept.objects(kept.newest());
    let objects: Vec<&ObjectRef> = objects.values().collect();
    let mut swaps = 0;
    for (at, one) in objects.iter().enumerate() {
        for other in objects[at + 1..]
            .iter()
            .filter(|other| other.length == one.length)
        {
            let mut changed = BTreeMap::new();
            kept.with(&mut changed, one, &kept.bytes(other));
            kept.with(&mut changed, other, &kept.bytes(one));
            let changed: Vec<_> = changed.into_iter().collect();
            kept.refuses(&changed, &honest);
            swaps += 1;
        }
    }
    assert!(swaps > 10, "{swaps}");
}

/// Whoever keeps the packs answers with objects of an older version wherever that has one of the length that is asked for:
/// one at a time, all of a kind of place, and any of them by chance.
#[test]
fn mixing_of_versions_is_refused() {
    let vault = Vault::new();
    let long = content(3, 2 << 20);
    let (first, ()) = vault.edit(None, |editor| {
        for directory in ["a", "b", "a/deep"] {
            editor.make_directories(&path(directory)).unwrap();
        }
        for number in 0..40 {
            for directory in ["a", "b", "a/deep"] {
                let at = path(&format!("{directory}/{number}"));
                let bytes = format!("first {directory} {number}");
                editor
                    .put_bytes(&at, Meta::file(), bytes.as_bytes())
                    .unwrap();
            }
        }
        editor
            .put_bytes(&path("long"), Meta::file(), &long)
            .unwrap();
    });
    let (second, ()) = vault.edit(Some(first), |editor| {
        for number in 0..40 {
            for directory in ["a", "a/deep"] {
                // As long as before: so is every object that names it.
                let at = path(&format!("{directory}/{number}"));
                let bytes = format!("other {directory} {number}");
                editor
                    .put_bytes(&at, Meta::file(), bytes.as_bytes())
                    .unwrap();
            }
        }
        editor.remove(&path("b/7")).unwrap();
        let mut changed = long.clone();
        changed
            .iter_mut()
            .skip(1 << 20)
            .take(64)
            .for_each(|byte| *byte ^= 1);
        editor
            .put_bytes(&path("long"), Meta::file(), &changed)
            .unwrap();
    });
    let kept = Kept::new(vault, vec![first, second]);
    let honest = kept.honest();
    assert_ne!(honest, kept.vault.contents(&first));
    let (before, after) = (kept.objects(&first), kept.objects(&second));
    let old = before
        .iter()
        .filter(|(place, _)| !after.contains_key(*place));
    let old: Vec<&ObjectRef> = old.map(|(_, object)| object).collect();
    let new = after
        .iter()
        .filter(|(place, _)| !before.contains_key(*place));
    let mut choices: Vec<(&ObjectRef, Vec<&ObjectRef>)> = Vec::new();
    for newer in new.map(|(_, object)| object) {
        let fits = old
            .iter()
            .filter(|older| older.length == newer.length)
            .copied();
        choices.push((newer, fits.collect()));
    }
    choices.retain(|(_, fits)| !fits.is_empty());
    assert!(choices.len() > 50, "{}", choices.len());
    let (mut lengths, mut refused) = (BTreeSet::new(), 0);
    // One object each time. A chunk that is in both versions was sealed twice, and is the same.
    for (newer, fits) in &choices {
        lengths.insert(newer.length);
        for older in [fits[0], fits[fits.len() / 2], fits[fits.len() - 1]] {
            let mut changed = BTreeMap::new();
            kept.with(&mut changed, newer, &kept.bytes(older));
            let changed: Vec<_> = changed.into_iter().collect();
            refused += usize::from(kept.refuses(&changed, &honest));
        }
    }
    assert!(refused > 150, "{refused}");
    assert!(lengths.len() > 2, "chunks and nodes: {lengths:?}");
    // All of one length, and half of all, in each order.
    for turn in 0..fits_most(&choices).min(16) {
        for length in lengths.iter().copied().chain([0]) {
            let mut changed = BTreeMap::new();
            for (at, (newer, fits)) in choices.iter().enumerate() {
                let chosen = match length {
                    0 => (at + turn) % 2 == 0,
                    length => newer.length == length,
                };
                if chosen {
                    kept.with(&mut changed, newer, &kept.bytes(fits[turn % fits.len()]));
                }
            }
            let changed: Vec<_> = changed.into_iter().collect();
            kept.refuses(&changed, &honest);
        }
    }
}

fn fits_most(choices: &[(&ObjectRef, Vec<&ObjectRef>)]) -> usize {
    choices.iter().map(|(_, fits)| fits.len()).max().unwrap()
}
