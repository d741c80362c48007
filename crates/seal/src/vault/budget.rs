//! How much of a tree one operation goes through. Equal directories are one object, so whoever has the key may name one
//! twice in one that is named twice, and so on: what is small where it is stored has entries without end. So it is with
//! the lists of a file.

use super::error::VaultError;
use super::name::{Name, VaultPath};
use super::tree::{Entry, Parts, What};

/// Most entries that one operation goes through.
pub const ENTRIES: u64 = 1 << 24;
/// Most bytes of what they say and of their paths, each name with [`NAMED`] more.
pub const ENTRY_BYTES: u64 = 1 << 32;
/// Bytes that a name counts for besides its own.
pub const NAMED: u64 = 32;
/// Bytes of a chunk in an entry: a ref and a length. Chunks and lists that a list leads to count as many.
const CHUNK: usize = 64;

/// What an operation may still go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            entries: ENTRIES,
            bytes: ENTRY_BYTES,
        }
    }
}

impl Budget {
    /// Counts an entry whose path, without its own name, counts for so many bytes.
    pub(super) fn entry(
        &mut self,
        place: u64,
        name: &Name,
        entry: &Entry,
    ) -> Result<(), VaultError> {
        let bytes = place.saturating_add(of_name(name.as_bytes()));
        self.take(1, bytes.saturating_add(of_entry(entry)))
    }

    /// Counts an entry at a path with `/` between names.
    pub(super) fn entry_at(&mut self, path: &[u8], entry: &Entry) -> Result<(), VaultError> {
        let names = path.split(|byte| *byte == b'/').map(of_name);
        let bytes = names.fold(of_entry(entry), u64::saturating_add);
        self.take(1, bytes)
    }

    /// Counts objects that only say where entries are.
    pub(super) fn objects(&mut self, count: usize) -> Result<(), VaultError> {
        self.take(count as u64, 0)
    }

    /// Counts chunks and lists of files that were gone through.
    // SECURITY: a list may be named again and again as a directory may; `a_file_without_end_is_refused` notices.
    pub(super) fn parts(&mut self, count: u64) -> Result<(), VaultError> {
        self.take(0, count.saturating_mul(CHUNK as u64))
    }

    // SECURITY: a writer cannot make a reader's time or memory grow without end; `what_unfolds_without_end_is_refused`
    // notices.
    fn take(&mut self, entries: u64, bytes: u64) -> Result<(), VaultError> {
        let left = |left: u64, taken| left.checked_sub(taken).ok_or(VaultError::TooMuch);
        self.entries = left(self.entries, entries)?;
        self.bytes = left(self.bytes, bytes)?;
        Ok(())
    }
}

/// Bytes that a path counts for with each entry below it.
pub(super) fn of_path(path: &VaultPath) -> u64 {
    let names = path.names().iter().map(|name| of_name(name.as_bytes()));
    names.fold(0, u64::saturating_add)
}

fn of_name(name: &[u8]) -> u64 {
    NAMED.saturating_add(name.len() as u64)
}

fn of_entry(entry: &Entry) -> u64 {
    let bytes = match &entry.what {
        What::File {
            parts: Parts::Few(parts),
            ..
        } => parts.len().saturating_mul(CHUNK),
        What::Link(target) => target.len(),
        What::File { .. } | What::Directory(_) => 0,
    };
    bytes as u64
}
