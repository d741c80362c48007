//! Sealing new objects into packs, and lists of chunks.

use super::error::VaultError;
use super::keyring::Keyring;
use super::object::{self, Kind, ObjectError};
use super::pack::Packer;
use super::tree::{FEW, LEVELS, List, PARTS, Part, Parts};
use keys::BlobId;
use keys::vault_root::ObjectRef;
use rand_core::CryptoRng;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Most objects that are remembered, so that the same is not stored twice: what a terabyte has in chunks.
const KNOWN: usize = 1 << 21;

/// The chance that one object takes: its salt, and a name if a pack begins with it.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    salt: [u8; 24],
    pack: BlobId,
}

impl Draw {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        let mut salt = [0; 24];
        rng.fill_bytes(&mut salt);
        Self {
            salt,
            pack: BlobId::random(rng),
        }
    }
}

/// Seals objects with the newest key and packs them, from any thread.
pub(crate) struct Sealer<'a> {
    pub(crate) keys: &'a Keyring,
    pub(crate) packer: Packer<'a>,
    compress: AtomicBool,
    known: RwLock<HashMap<[u8; 32], ObjectRef>>,
}

impl<'a> Sealer<'a> {
    pub(crate) fn new(keys: &'a Keyring, packer: Packer<'a>) -> Self {
        Self {
            keys,
            packer,
            compress: AtomicBool::new(false),
            known: RwLock::default(),
        }
    }

    /// Whether to compress from now on.
    pub(crate) fn compress(&self, compress: bool) {
        self.compress.store(compress, Ordering::Relaxed);
    }

    /// Remembers where a chunk or a list lies that is there already. What another generation sealed is to be sealed
    /// again when it is written again.
    pub(crate) fn remember(&self, object: &ObjectRef) {
        if object.generation != self.packer.generation() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN {
            known.insert(object.id, *object);
        }
    }

    /// How many objects are remembered.
    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.len()
    }

    /// Stores an object if it is not there already.
    pub(crate) fn put(
        &self,
        kind: Kind,
        bytes: &[u8],
        draw: &Draw,
    ) -> Result<ObjectRef, VaultError> {
        let id = object::id(self.keys, kind, bytes);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = known.get(&id) {
            return Ok(*object);
        }
        drop(known);
        let compress = self.compress.load(Ordering::Relaxed);
        let sealed = object::seal(self.keys, kind, &id, bytes, compress, &draw.salt)?;
        let object = self
            .packer
            .add(id, &sealed, draw.pack)
            .map_err(VaultError::Pack)?;
        self.remember(&object);
        Ok(object)
    }
}

/// Makes the lists of a file while its chunks come.
#[derive(Default)]
pub(crate) struct Lists {
    /// The first chunks, while they may be all.
    few: Vec<Part>,
    /// Parts of the list that is open, by level.
    open: Vec<Vec<Part>>,
    size: u64,
}

impl Lists {
    /// Takes the next chunk.
    pub(crate) fn push(
        &mut self,
        part: Part,
        sealer: &Sealer<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        self.size = self.size.saturating_add(part.length);
        if self.open.is_empty() {
            self.few.push(part);
            if self.few.len() <= FEW {
                return Ok(());
            }
            self.open.push(Vec::new());
            for part in std::mem::take(&mut self.few) {
                self.add(0, part, sealer, rng)?;
            }
            return Ok(());
        }
        self.add(0, part, sealer, rng)
    }

    fn add(
        &mut self,
        level: u8,
        part: Part,
        sealer: &Sealer<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        if level > LEVELS {
            return Err(ObjectError::TooLong.into());
        }
        let number = usize::from(level);
        if self.open.len() <= number {
            self.open.push(Vec::new());
        }
        let Some(open) = self.open.get_mut(number) else {
            return Ok(());
        };
        open.push(part);
        if List::ends_after(&part) || open.len() >= PARTS {
            let parts = std::mem::take(open);
            let list = Self::seal(level, parts, sealer, rng)?;
            return self.add(level.saturating_add(1), list, sealer, rng);
        }
        Ok(())
    }

    fn seal(
        level: u8,
        parts: Vec<Part>,
        sealer: &Sealer<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Part, VaultError> {
        let length = parts
            .iter()
            .fold(0_u64, |sum, part| sum.saturating_add(part.length));
        let bytes = List { level, parts }.encode();
        let object = sealer.put(Kind::List, &bytes, &Draw::new(rng))?;
        Ok(Part { object, length })
    }

    /// What the file's entry says.
    pub(crate) fn finish(
        mut self,
        sealer: &Sealer<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(u64, Parts), VaultError> {
        let mut level: u8 = 0;
        while let Some(open) = self.open.get_mut(usize::from(level)) {
            let parts = std::mem::take(open);
            let above = usize::from(level).saturating_add(1);
            let top = self.open.iter().skip(above).all(Vec::is_empty);
            match parts.as_slice() {
                [part] if top && level > 0 => {
                    return Ok((self.size, Parts::Listed(part.object)));
                }
                [] => {}
                _ => {
                    let list = Self::seal(level, parts, sealer, rng)?;
                    if top {
                        return Ok((self.size, Parts::Listed(list.object)));
                    }
                    self.add(level.saturating_add(1), list, sealer, rng)?;
                }
            }
            level = level.saturating_add(1);
        }
        Ok((self.size, Parts::Few(self.few)))
    }
}
