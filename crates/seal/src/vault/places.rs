//! Two places for packs: memory, and a folder.

#![expect(
    clippy::disallowed_methods,
    reason = "packs in a folder: this file is where they are read and written"
)]

use super::pack::{PackSource, PackStore};
use keys::BlobId;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Packs in memory.
#[derive(Default)]
pub struct MemoryPacks(Mutex<HashMap<BlobId, Arc<Vec<u8>>>>);

impl MemoryPacks {
    /// All packs and their bytes.
    #[must_use]
    pub fn all(&self) -> HashMap<BlobId, Arc<Vec<u8>>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts bytes in the place of a pack.
    pub fn replace(&self, pack: BlobId, bytes: Vec<u8>) {
        let mut packs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packs.insert(pack, Arc::new(bytes));
    }
}

impl PackSource for MemoryPacks {
    fn read(&self, pack: &BlobId, _: u32, offset: u32, length: u32) -> io::Result<Vec<u8>> {
        let packs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = packs.get(pack).cloned().ok_or(io::ErrorKind::NotFound)?;
        drop(packs);
        let start = offset as usize;
        let end = start.saturating_add(length as usize);
        let range = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(range.to_vec())
    }
}

impl PackStore for MemoryPacks {
    fn store(&self, pack: &BlobId, _: u32, bytes: &[u8]) -> io::Result<()> {
        self.replace(*pack, bytes.to_vec());
        Ok(())
    }
}

/// Packs in a folder, a file each.
pub struct FolderPacks(PathBuf);

impl FolderPacks {
    /// Takes a folder, and makes it if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(folder.to_path_buf()))
    }

    fn path(&self, pack: &BlobId) -> PathBuf {
        self.0.join(pack.to_string())
    }
}

impl PackSource for FolderPacks {
    fn read(&self, pack: &BlobId, _: u32, offset: u32, length: u32) -> io::Result<Vec<u8>> {
        let mut out = vec![0; length as usize];
        File::open(self.path(pack))?.read_exact_at(&mut out, offset.into())?;
        Ok(out)
    }
}

impl PackStore for FolderPacks {
    fn store(&self, pack: &BlobId, _: u32, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(pack);
        let begun = path.with_extension("new");
        let mut file = File::create(&begun)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&begun, &path)
    }
}
