//! Packs: sealed objects one after another, and the places where packs are.

use keys::BlobId;
use keys::vault_root::ObjectRef;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Most bytes of a pack.
pub const PACK: usize = 16 << 20;

/// Where packs are read.
pub trait PackSource: Sync {
    /// Reads so many bytes of a pack of a generation, all of them, from any thread.
    ///
    /// # Errors
    /// What the place says; [`io::ErrorKind::UnexpectedEof`]: the pack is shorter.
    fn read(&self, pack: &BlobId, generation: u32, offset: u32, length: u32)
    -> io::Result<Vec<u8>>;
}

/// Where new packs go.
pub trait PackStore: Sync {
    /// Keeps a pack, whole and durable, and then it can be read. Any thread calls it, several at a time.
    ///
    /// # Errors
    /// What the place says.
    fn store(&self, pack: &BlobId, generation: u32, bytes: &[u8]) -> io::Result<()>;
}

/// The pack that is being filled.
#[derive(Default)]
struct Filling {
    id: Option<BlobId>,
    bytes: Vec<u8>,
    /// Room of packs that are stored.
    spare: Vec<Vec<u8>>,
}

/// Fills packs from all threads, and hands on those that are full.
pub(crate) struct Packer<'a> {
    store: &'a dyn PackStore,
    generation: u32,
    filling: Mutex<Filling>,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(store: &'a dyn PackStore, generation: u32) -> Self {
        Self {
            store,
            generation,
            filling: Mutex::default(),
        }
    }

    /// The generation of all that it packs.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Appends a sealed object; `fresh` is the name of the pack if this is the first object of one.
    pub(crate) fn add(&self, id: [u8; 32], sealed: &[u8], fresh: BlobId) -> io::Result<ObjectRef> {
        let too_long = || io::Error::from(io::ErrorKind::FileTooLarge);
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut full = None;
        if filling.bytes.len().saturating_add(sealed.len()) > PACK {
            let room = filling.spare.pop().unwrap_or_default();
            let bytes = std::mem::replace(&mut filling.bytes, room);
            full = filling.id.take().map(|id| (id, bytes));
        }
        let pack = *filling.id.get_or_insert(fresh);
        let object = ObjectRef {
            id,
            generation: self.generation,
            pack,
            offset: u32::try_from(filling.bytes.len()).map_err(|_| too_long())?,
            length: u32::try_from(sealed.len()).map_err(|_| too_long())?,
        };
        filling.bytes.extend_from_slice(sealed);
        drop(filling);
        // Whoever filled it stores it; the others go on with the next one.
        if let Some((id, mut bytes)) = full {
            self.store.store(&id, self.generation, &bytes)?;
            bytes.clear();
            let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            filling.spare.push(bytes);
        }
        Ok(object)
    }

    /// What lies in the pack that is being filled. Nothing: it is another pack.
    pub(crate) fn read(&self, pack: &BlobId, offset: u32, length: u32) -> Option<Vec<u8>> {
        let filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if filling.id.as_ref() != Some(pack) {
            return None;
        }
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        filling.bytes.get(start..end).map(<[u8]>::to_vec)
    }

    /// Stores the pack that is being filled.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = filling.id.take() {
            let stored = self.store.store(&id, self.generation, &filling.bytes);
            filling.bytes.clear();
            return stored;
        }
        Ok(())
    }
}
