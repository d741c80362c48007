//! Names, sizes and times of what a file holds (docs/spec/sealed-file.md, section 3).

use keys::codec::{DecodeError, Reader, Writer};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most bytes of a manifest.
pub(crate) const MANIFEST: usize = 256 << 20;
const PATH: usize = 4096;
const PART: usize = 255;
const VERSION: u8 = 1;
/// A size that was not known when sealing began.
const UNKNOWN: u64 = u64::MAX;

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Parts between `/`; bytes, as file systems have them.
    pub path: Vec<u8>,
    /// Permission bits, at most 0777.
    pub mode: u16,
    /// When it was last modified: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A file of so many bytes; nothing: as many as there are.
    File {
        /// Bytes.
        size: Option<u64>,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it leads, as it stands in the link.
        target: Vec<u8>,
    },
}

/// All entries, in the order of their contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(Vec<Entry>);

/// Entries that a file may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A path leads out of the directory, is empty, or has a part that names no file.
    #[error("an unsafe path")]
    Path,
    /// One path stands twice.
    #[error("one path stands twice")]
    Twice,
    /// What an entry lies in is not a directory before it.
    #[error("an entry lies in no directory")]
    Orphan,
    /// A mode, a time, a size or a target out of bounds.
    #[error("an entry is out of bounds")]
    Bounds,
    /// More than a manifest may have.
    #[error("too many entries")]
    TooLong,
    /// Cut, or not of this form.
    #[error("not of this form")]
    Form,
}

impl From<DecodeError> for ManifestError {
    fn from(_: DecodeError) -> Self {
        Self::Form
    }
}

impl Entry {
    /// When it was last modified.
    #[must_use]
    pub fn modified_at(&self) -> Option<SystemTime> {
        let (seconds, nanos) = self.modified;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let at = match seconds < 0 {
            true => UNIX_EPOCH.checked_sub(whole),
            false => UNIX_EPOCH.checked_add(whole),
        };
        at?.checked_add(Duration::from_nanos(nanos.into()))
    }

    /// Whether it is a link that leads to something inside of the directory that was sealed.
    #[must_use]
    pub fn leads_inside(&self) -> bool {
        let EntryKind::Link { target } = &self.kind else {
            return false;
        };
        if target.first() == Some(&b'/') {
            return false;
        }
        // How deep the link itself lies: its target is read from its directory.
        let mut depth = self.path.iter().filter(|byte| **byte == b'/').count();
        if depth == 0 {
            return false;
        }
        // SECURITY: no step may leave what was sealed, even if a later one comes back;
        // `a_link_that_leads_out_is_left_out` notices.
        target.split(|byte| *byte == b'/').all(|part| match part {
            b"" | b"." => true,
            b".." => {
                depth = depth.saturating_sub(1);
                depth > 0
            }
            _ => {
                depth = depth.saturating_add(1);
                true
            }
        })
    }

    fn check(&self) -> Result<(), ManifestError> {
        // SECURITY: a path that leads out would write anywhere; `unsafe_paths_are_refused` notices.
        let safe =
            |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && part.len() <= PART;
        if self.path.len() > PATH
            || self.path.contains(&0)
            || !self.path.split(|byte| *byte == b'/').all(safe)
        {
            return Err(ManifestError::Path);
        }
        let fits = match &self.kind {
            EntryKind::Link { target } => {
                (1..=PATH).contains(&target.len()) && !target.contains(&0)
            }
            EntryKind::File { size } => *size != Some(UNKNOWN),
            EntryKind::Directory => true,
        };
        match fits && self.mode <= 0o777 && self.modified.1 < 1_000_000_000 {
            true => Ok(()),
            false => Err(ManifestError::Bounds),
        }
    }
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    path.get(..slash)
}

impl Manifest {
    /// Takes entries that a file may have.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn new(entries: Vec<Entry>) -> Result<Self, ManifestError> {
        let mut seen: HashMap<&[u8], bool> = HashMap::with_capacity(entries.len());
        let last = entries.len().saturating_sub(1);
        let mut total: u64 = 0;
        for (number, entry) in entries.iter().enumerate() {
            entry.check()?;
            if let Some(parent) = parent(&entry.path)
                && seen.get(parent) != Some(&true)
            {
                return Err(ManifestError::Orphan);
            }
            let directory = entry.kind == EntryKind::Directory;
            if seen.insert(&entry.path, directory).is_some() {
                return Err(ManifestError::Twice);
            }
            if let EntryKind::File { size } = entry.kind {
                if size.is_none() && number != last {
                    return Err(ManifestError::Bounds);
                }
                total = total
                    .checked_add(size.unwrap_or(0))
                    .ok_or(ManifestError::Bounds)?;
            }
        }
        Ok(Self(entries))
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// `01 ‖ BE4(count) ‖ entry...`
    ///
    /// # Errors
    /// [`ManifestError::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.u32(u32::try_from(self.0.len()).map_err(|_| ManifestError::TooLong)?);
        for entry in &self.0 {
            out.u8(match entry.kind {
                EntryKind::File { .. } => 1,
                EntryKind::Directory => 2,
                EntryKind::Link { .. } => 3,
            });
            out.bytes(&entry.path);
            out.u16(entry.mode);
            out.array(&entry.modified.0.to_be_bytes());
            out.u32(entry.modified.1);
            match &entry.kind {
                EntryKind::File { size } => out.u64(size.unwrap_or(UNKNOWN)),
                EntryKind::Directory => {}
                EntryKind::Link { target } => out.bytes(target),
            }
        }
        let out = out.finish();
        match out.len() > MANIFEST {
            true => Err(ManifestError::TooLong),
            false => Ok(out),
        }
    }

    /// Reads what [`Manifest::encode`] wrote.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != VERSION {
            return Err(ManifestError::Form);
        }
        let count = input.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let kind = input.u8()?;
            let path = input.bytes(PATH)?.to_vec();
            let mode = input.u16()?;
            let modified = (i64::from_be_bytes(input.array()?), input.u32()?);
            let kind = match kind {
                1 => {
                    let size = input.u64()?;
                    let size = (size != UNKNOWN).then_some(size);
                    EntryKind::File { size }
                }
                2 => EntryKind::Directory,
                3 => EntryKind::Link {
                    target: input.bytes(PATH)?.to_vec(),
                },
                _ => return Err(ManifestError::Form),
            };
            entries.push(Entry {
                path,
                mode,
                modified,
                kind,
            });
        }
        input.finish()?;
        Self::new(entries)
    }
}
