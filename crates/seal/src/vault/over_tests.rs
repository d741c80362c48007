#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "test code"
)]

use super::*;
use crate::vault::chunker::CHUNK_MAX;
use crate::vault::editor::{Editor, Meta};
use crate::vault::keyring::Keyring;
use crate::vault::name::VaultPath;
use crate::vault::places::MemoryPacks;
use crate::vault::reader::NodeCache;
use crate::vault::tree::{Entry, What};
use keys::vault_root::ObjectRef;
use keys::{GroupId, Secret};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const LENGTH: usize = 8 << 20;
/// What is compared at a time.
const BLOCK: usize = 64 * 1024;

fn keyring(generations: u32) -> Keyring {
    let keys: Vec<(u32, Secret<32>)> = (1..=generations)
        .map(|generation| (generation, Secret::from_slice(&[1; 32]).unwrap()))
        .collect();
    let given = keys.iter().map(|(generation, key)| (*generation, key));
    Keyring::new(GroupId::from_bytes([2; 32]), given).unwrap()
}

struct Place {
    keys: Keyring,
    packs: MemoryPacks,
    cache: NodeCache,
    path: VaultPath,
}

impl Place {
    fn new() -> Self {
        Self {
            keys: keyring(1),
            packs: MemoryPacks::default(),
            cache: NodeCache::default(),
            path: VaultPath::parse(b"file").unwrap(),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.keys, &self.packs, &self.cache)
    }

    fn edit(
        &self,
        top: Option<ObjectRef>,
        edit: impl FnOnce(&mut Editor<'_>),
    ) -> (ObjectRef, Entry) {
        let mut rng = ChaCha20Rng::seed_from_u64(self.packs.all().len() as u64);
        let mut editor = Editor::new(self.reader(), &self.packs, top, &mut rng);
        edit(&mut editor);
        let top = editor.finish().unwrap();
        let entry = self.reader().lookup(&top, &self.path).unwrap();
        (top, entry.unwrap())
    }

    fn put(&self, content: &[u8]) -> (ObjectRef, Entry) {
        self.edit(None, |editor| {
            editor.put_bytes(&self.path, Meta::file(), content).unwrap();
        })
    }

    /// Puts a file over another one; what is in the vault then, and how many bytes were read for it.
    fn put_over(&self, top: ObjectRef, before: (&Entry, &[u8]), now: &[u8]) -> (Entry, usize) {
        let (entry, before) = before;
        let What::File { size, parts } = &entry.what else {
            panic!("no file");
        };
        let same = |from: u64, to: u64| {
            // In whole blocks, as whoever wrote counts.
            let from = from as usize / BLOCK * BLOCK;
            let to = (to as usize).next_multiple_of(BLOCK);
            let of = |all: &[u8]| all.get(from..to.min(all.len())).map(<[u8]>::to_vec);
            let (before, now) = (of(before), of(now));
            before.is_some() && before == now
        };
        let over = Over {
            size: now.len() as u64,
            base: (*size, parts),
            same: &same,
        };
        let mut read = 0;
        let (_, entry) = self.edit(Some(top), |editor| {
            let put = editor.put_file_over(&self.path, Meta::file(), &over, &mut |at, out| {
                let there = &now[at as usize..];
                let length = there.len().min(out.len());
                out[..length].copy_from_slice(&there[..length]);
                read += length;
                Ok(length)
            });
            put.unwrap();
        });
        (entry, read)
    }

    fn ids(&self, entry: &Entry) -> Vec<([u8; 32], u64, u32)> {
        let What::File { size, parts } = &entry.what else {
            panic!("no file");
        };
        let reader = self.reader();
        let mut cursor = Cursor::new(&reader, *size, parts, 0).unwrap();
        let mut ids = Vec::new();
        while let Some((_, part)) = cursor.next(&reader).unwrap() {
            ids.push((part.object.id, part.length, part.object.generation));
        }
        assert_eq!(ids.iter().map(|(_, length, _)| length).sum::<u64>(), *size);
        ids
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut content = vec![0; length];
    ChaCha20Rng::seed_from_u64(1).fill_bytes(&mut content);
    content
}

type Edit<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Whatever is changed, the file consists of the same chunks as if all of it was put.
#[test]
fn what_is_put_over_another_file_is_cut_as_if_it_were_put_anew() {
    let place = Place::new();
    let before = random(LENGTH);
    let (top, entry) = place.put(&before);
    let edits: [Edit<'_>; 9] = [
        &|_| {},
        &|now| now[0] ^= 1,
        &|now| now[LENGTH / 2] ^= 1,
        &|now| now[LENGTH - 1] ^= 1,
        &|now| {
            for at in [1 << 20, 4 << 20, 7 << 20] {
                now[at..at + 3000].fill(7);
            }
        },
        &|now| now[(2 << 20)..(4 << 20)].fill(0),
        &|now| now.extend_from_slice(&random(1 << 20)),
        &|now| now.truncate(LENGTH / 3),
        &Vec::clear,
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let mut now = before.clone();
        edit(&mut now);
        let (after, _) = place.put_over(top, (&entry, &before), &now);
        let mut bytes = vec![0; now.len()];
        let mut file = place.reader().file(&after).unwrap();
        let mut done = 0;
        while done < bytes.len() {
            done += file.read_at(done as u64, &mut bytes[done..]).unwrap();
        }
        assert!(bytes == now, "{number}");
        let other = Place::new();
        let (_, anew) = other.put(&now);
        assert_eq!(place.ids(&after), other.ids(&anew), "{number}");
    }
}

/// A byte that is changed takes what is around it, and nothing else of the file.
#[test]
fn what_is_as_before_is_not_read() {
    let place = Place::new();
    let before = random(LENGTH);
    let (top, entry) = place.put(&before);
    let (same, read) = place.put_over(top, (&entry, &before), &before);
    assert_eq!((place.ids(&same), read), (place.ids(&entry), 0));
    let mut now = before.clone();
    now[LENGTH / 2] ^= 1;
    let (_, read) = place.put_over(top, (&entry, &before), &now);
    assert!(read > 0 && read <= 4 * CHUNK_MAX, "{read}");
}

/// What another generation sealed is sealed again with the new key when the file is written over.
#[test]
fn what_is_as_before_is_sealed_again_with_a_new_key() {
    let mut place = Place::new();
    let before = random(2 << 20);
    let (top, entry) = place.put(&before);
    place.keys = keyring(2);
    let mut now = before.clone();
    now[0] ^= 1;
    let (after, read) = place.put_over(top, (&entry, &before), &now);
    assert_eq!(read, now.len());
    assert!(
        place
            .ids(&after)
            .iter()
            .all(|(_, _, generation)| *generation == 2)
    );
}
