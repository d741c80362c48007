//! What is changed in a mounted vault, written down as it is changed: who is killed goes on from it.
//!
//! ```text
//!   log    = "LLMOUNT" ‖ 04 ‖ BE4(generation) ‖ name 16 ‖ record 0 ‖ record 1 ...
//!   record = BE4(length) ‖ BE4(not length) ‖ nonce 12 ‖ AES-256-GCM(key, nonce, name ‖ BE8(its number), bytes)
//! ```
//!
//! Record 0 names the version that all grew from. A record that was cut is the last one: the length stands there twice, so
//! that a length that was changed is not taken for a record that was cut.

use super::source::{Content, Source};
use super::staged::{Staged, StagedId};
use super::tree::{Folder, Node, entry_with};
use super::trouble::Trouble;
use crate::limits;
use crate::os;
use keys::GcmKey;
use keys::codec::{DecodeError, Reader, Writer};
use keys::vault_root::ObjectRef;
use seal::vault::{Entry, Keyring, Meta, Name, VaultPath, What};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const BEGIN: &[u8; 8] = b"LLMOUNT\x04";
const FILE: &str = "log";
/// What stands before the nonce of a record.
const LENGTHS: usize = 8;

/// What has a path now.
#[derive(Clone)]
pub(super) enum Bound {
    Gone,
    Entry(Entry),
    Folder(Meta, Option<ObjectRef>),
    File(StagedId, Option<Content>),
}

/// Something that was changed.
#[derive(Clone)]
pub(super) enum Record {
    Bind(VaultPath, Bound),
    Move(VaultPath, VaultPath),
    Meta(VaultPath, Meta),
}

/// A log that is written.
pub(super) struct Log {
    file: File,
    key: GcmKey,
    id: StagedId,
    number: u64,
    /// Bytes, and how many there were when it was begun.
    length: u64,
    begun: u64,
    /// Whether it says all that was changed.
    whole: bool,
}

fn about(id: &StagedId, number: u64) -> Vec<u8> {
    [&id.name[..], &number.to_be_bytes()].concat()
}

fn sealed(key: &GcmKey, id: &StagedId, number: u64, bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
    let nonce: [u8; 12] = os::random();
    let mut sealed = bytes.to_vec();
    key.seal_in_place(&nonce, &about(id, number), &mut sealed);
    let length = sealed.len().saturating_add(nonce.len());
    if length > limits::MOUNT_RECORD_BYTES {
        return Err(Trouble::TooLong);
    }
    let length = u32::try_from(length).map_err(|_| Trouble::TooLong)?;
    let lengths = [length.to_be_bytes(), (!length).to_be_bytes()].concat();
    Ok([&lengths[..], &nonce, &sealed].concat())
}

fn begin_of(id: &StagedId) -> Vec<u8> {
    [&BEGIN[..], &id.generation.to_be_bytes(), &id.name].concat()
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Log {
    /// Begins one in the place of another one, with the version that all grew from and what is changed.
    pub(super) fn begin(
        directory: &Path,
        keys: &Keyring,
        base: &ObjectRef,
        top: &Folder,
    ) -> Result<Self, Trouble> {
        let new = directory.join("log.new");
        let id = StagedId::new(keys);
        let mut file = os::create_private(&new)?;
        let begin = begin_of(&id);
        file.write_all(&begin)?;
        let mut log = Self {
            file,
            key: id.key(keys)?,
            id,
            number: 0,
            length: begin.len() as u64,
            begun: 0,
            whole: true,
        };
        let mut first = Writer::new();
        first.array(keys.vault().as_bytes());
        base.write(&mut first);
        log.append(&first.finish())?;
        let mut records = Vec::new();
        top.records(&VaultPath::top(), &mut records);
        log.write(&records)?;
        log.sync()?;
        log.begun = log.length;
        os::replace(&new, &path(directory))?;
        Ok(log)
    }

    /// Writes down what was changed. Where that fails it does not go on.
    pub(super) fn write(&mut self, records: &[Record]) -> Result<(), Trouble> {
        let written = records
            .iter()
            .try_for_each(|record| self.append(&record.encode()));
        self.whole &= written.is_ok();
        written
    }

    /// Whether more can be written behind it. If not, another one is to begin: something is missing in this one, or most
    /// of it was changed again since.
    pub(super) fn goes_on(&self) -> bool {
        let most = self
            .begun
            .saturating_mul(2)
            .max(limits::MOUNT_LOG_BYTES / 4);
        self.whole && self.length <= most
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let record = sealed(&self.key, &self.id, self.number, bytes)?;
        let end = self.length.saturating_add(record.len() as u64);
        // Nobody reads a longer one.
        if end > limits::MOUNT_LOG_BYTES {
            return Err(Trouble::NoRoom);
        }
        self.file.write_all(&record)?;
        self.length = end;
        self.number = self.number.saturating_add(1);
        Ok(())
    }

    /// From now on the disk is full.
    #[cfg(test)]
    pub(super) fn fill(&mut self, full: File) {
        self.file = full;
    }

    /// As if it had so many bytes.
    #[cfg(test)]
    pub(super) fn lengthen(&mut self, length: u64) {
        self.length = length;
    }

    /// Waits until it is on the disk.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        Ok(self.file.sync_data()?)
    }
}

/// What somebody who is no more has changed.
pub(super) struct Left {
    /// The version that it grew from.
    pub(super) base: ObjectRef,
    pub(super) top: Folder,
    /// Whether something follows in the log that does not open.
    pub(super) damaged: bool,
}

/// Why what somebody left is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("its log is of another version of letterlock")]
    Version,
    #[error("the key of its log is not here")]
    Key,
    #[error("its log is longer than any that is written")]
    Long,
    #[error("its log is damaged")]
    Damaged,
    #[error("its log cannot be read: {0}")]
    Disk(io::ErrorKind),
    /// The relay or the disk; another time it may be read.
    #[error("not all of it can be read now: {0}")]
    Trouble(Trouble),
}

impl From<DecodeError> for Unread {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

/// How long a record is. Nothing: it was changed.
fn length_of(lengths: &[u8; LENGTHS]) -> Option<usize> {
    let (length, other) = lengths.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    let same = other == (!length).to_be_bytes();
    let length = usize::try_from(length).ok()?;
    // SECURITY: the length is not authenticated; `every_flip_in_a_log_is_told` notices.
    (same && length <= limits::MOUNT_RECORD_BYTES).then_some(length)
}

/// Goes through the records of a log.
struct Records<'a> {
    /// Those that were not gone through yet.
    rest: &'a [u8],
    key: GcmKey,
    id: StagedId,
    number: u64,
}

impl<'a> Records<'a> {
    fn begin(bytes: &'a [u8], keys: &Keyring) -> Result<Self, Unread> {
        let mut input = Reader::new(bytes);
        let begin = input.array::<8>()?;
        if begin != *BEGIN {
            let ours = begin.starts_with(BEGIN.get(..7).unwrap_or_default());
            return Err(if ours {
                Unread::Version
            } else {
                Unread::Damaged
            });
        }
        let id = StagedId {
            generation: input.u32()?,
            name: input.array()?,
        };
        let key = id.key(keys).map_err(|_| Unread::Key)?;
        let from = bytes.len().saturating_sub(input.remaining());
        Ok(Self {
            rest: bytes.get(from..).unwrap_or_default(),
            key,
            id,
            number: 0,
        })
    }

    /// The next one; nothing where none opens.
    fn next(&mut self) -> Option<Vec<u8>> {
        let (lengths, after) = self.rest.split_first_chunk()?;
        let (sealed, rest) = after.split_at_checked(length_of(lengths)?)?;
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let mut sealed = sealed.to_vec();
        let about = about(&self.id, self.number);
        let opened = self.key.open_in_place(nonce, &about, &mut sealed).ok()?;
        let length = opened.len();
        sealed.truncate(length);
        self.number = self.number.saturating_add(1);
        self.rest = rest;
        Some(sealed)
    }

    /// Whether what is left is more than a record whose writing came to no end.
    fn is_damaged(&self) -> bool {
        let Some((lengths, after)) = self.rest.split_first_chunk() else {
            return false;
        };
        let cut = length_of(lengths).is_some_and(|length| after.len() < length);
        // A disk that lost power has zeros where nothing was waited for.
        !cut && self.rest.iter().any(|byte| *byte != 0)
    }
}

/// What somebody who is no more has changed. Nothing: no log was begun, and so nothing was changed.
pub(super) fn replay(
    directory: &Path,
    keys: &Keyring,
    source: &Source,
) -> Result<Option<Left>, Unread> {
    let path = path(directory);
    if os::length(&path) > limits::MOUNT_LOG_BYTES {
        return Err(Unread::Long);
    }
    let read = os::read(&path, limits::MOUNT_LOG_BYTES);
    match read.map_err(|error| Unread::Disk(error.kind()))? {
        Some(bytes) => replayed(&bytes, directory, keys, source).map(Some),
        None => Ok(None),
    }
}

fn replayed(
    bytes: &[u8],
    directory: &Path,
    keys: &Keyring,
    source: &Source,
) -> Result<Left, Unread> {
    let mut records = Records::begin(bytes, keys)?;
    let first = records.next().ok_or(Unread::Damaged)?;
    let mut about = Reader::new(&first);
    if about.array::<32>()? != *keys.vault().as_bytes() {
        return Err(Unread::Damaged);
    }
    let base = ObjectRef::read(&mut about)?;
    let mut top = Folder::new(Meta::directory(), Some(base));
    while let Some(record) = records.next() {
        match Record::decode(&record)?.apply(&mut top, directory, keys, source) {
            Ok(()) => {}
            Err(trouble) if trouble.is_failure() => return Err(Unread::Trouble(trouble)),
            // What cannot be done again was undone later, or its file is gone with a disk that lost power.
            Err(_) => {}
        }
    }
    Ok(Left {
        base,
        top,
        damaged: records.is_damaged(),
    })
}

/// Takes away what somebody left, the log first: whoever is killed meanwhile leaves nothing that is done twice.
pub(super) fn discard(directory: &Path) {
    os::remove(&path(directory));
    os::remove_all(directory);
}

impl Record {
    fn apply(
        self,
        top: &mut Folder,
        directory: &Path,
        keys: &Keyring,
        source: &Source,
    ) -> Result<(), Trouble> {
        match self {
            Self::Bind(path, bound) => {
                let node = match bound {
                    Bound::Gone => None,
                    Bound::Entry(entry) => Some(Node::Entry(entry)),
                    Bound::Folder(meta, base) => Some(Node::Folder(Folder::new(meta, base))),
                    Bound::File(id, base) => {
                        Some(Node::File(Staged::open(directory, keys, id, base)?))
                    }
                };
                top.bind(&path, node, source, 0).map(drop)
            }
            Self::Move(from, to) => top.rename(&from, &to, source, 0).map(drop),
            Self::Meta(path, meta) => top.set_meta(&path, meta, source, 0).map(drop),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Bind(path, bound) => {
                out.u8(1);
                out.bytes(&path.to_bytes());
                bound.write(&mut out);
            }
            Self::Move(from, to) => {
                out.u8(2);
                out.bytes(&from.to_bytes());
                out.bytes(&to.to_bytes());
            }
            Self::Meta(path, meta) => {
                out.u8(3);
                out.bytes(&path.to_bytes());
                write_meta(&mut out, meta);
            }
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let kind = input.u8()?;
        let path = read_path(&mut input)?;
        let record = match kind {
            1 => Self::Bind(path, Bound::read(&mut input)?),
            2 => Self::Move(path, read_path(&mut input)?),
            3 => Self::Meta(path, read_meta(&mut input)?),
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(record)
    }
}

fn read_path(input: &mut Reader<'_>) -> Result<VaultPath, DecodeError> {
    let bytes = input.bytes(limits::MOUNT_RECORD_BYTES)?;
    VaultPath::parse(bytes).ok_or(DecodeError::Invalid)
}

fn write_meta(out: &mut Writer, meta: &Meta) {
    out.u16(meta.mode);
    out.array(&meta.modified.0.to_be_bytes());
    out.u32(meta.modified.1);
}

fn read_meta(input: &mut Reader<'_>) -> Result<Meta, DecodeError> {
    Ok(Meta {
        mode: input.u16()?,
        modified: (i64::from_be_bytes(input.array()?), input.u32()?),
    })
}

/// The name of what lies in no directory.
fn nameless() -> Result<Name, DecodeError> {
    Name::new(b"-").ok_or(DecodeError::Invalid)
}

impl Bound {
    fn write(&self, out: &mut Writer) {
        let entry = |entry: &Entry| {
            nameless()
                .map(|name| entry.encode(&name))
                .unwrap_or_default()
        };
        match self {
            Self::Gone => out.u8(0),
            Self::Entry(it) => {
                out.u8(1);
                out.bytes(&entry(it));
            }
            Self::Folder(meta, base) => {
                out.u8(2);
                write_meta(out, meta);
                out.u8(u8::from(base.is_some()));
                if let Some(base) = base {
                    base.write(out);
                }
            }
            Self::File(id, base) => {
                out.u8(3);
                out.u32(id.generation);
                out.array(&id.name);
                let base = base.as_ref().map(|base| {
                    let what = What::File {
                        size: base.size,
                        parts: base.parts.clone(),
                    };
                    entry(&entry_with(Meta::file(), what))
                });
                out.bytes(&base.unwrap_or_default());
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Gone,
            1 => Self::Entry(Entry::decode(input.bytes(limits::MOUNT_RECORD_BYTES)?)?.1),
            2 => {
                let meta = read_meta(input)?;
                let base = match input.u8()? {
                    0 => None,
                    1 => Some(ObjectRef::read(input)?),
                    _ => return Err(DecodeError::Invalid),
                };
                Self::Folder(meta, base)
            }
            3 => {
                let id = StagedId {
                    generation: input.u32()?,
                    name: input.array()?,
                };
                let base = match input.bytes(limits::MOUNT_RECORD_BYTES)? {
                    [] => None,
                    bytes => Content::of(&Entry::decode(bytes)?.1),
                };
                Self::File(id, base)
            }
            _ => return Err(DecodeError::Invalid),
        })
    }
}

/// Doors for hostile logs.
#[cfg(any(test, feature = "conformance"))]
pub(super) mod hostile {
    use super::*;

    /// Whether bytes are a record, which is written and understood again as the same.
    pub(in super::super) fn record(bytes: &[u8]) -> Option<bool> {
        let written = Record::decode(bytes).ok()?.encode();
        let again = Record::decode(&written).ok()?.encode();
        Some(again == written)
    }

    /// Goes through bytes as a log.
    pub(in super::super) fn replay(
        bytes: &[u8],
        directory: &Path,
        keys: &Keyring,
        source: &Source,
    ) -> Result<Left, Unread> {
        replayed(bytes, directory, keys, source)
    }

    /// A log of such records behind the first one, as whoever has the key writes them.
    pub(in super::super) fn log(keys: &Keyring, records: &[&[u8]]) -> Result<Vec<u8>, Trouble> {
        let id = StagedId::new(keys);
        let key = id.key(keys)?;
        let mut first = Writer::new();
        first.array(keys.vault().as_bytes());
        ObjectRef::NONE.write(&mut first);
        let first = first.finish();
        let mut log = begin_of(&id);
        for (number, record) in (0..).zip([&first[..]].iter().chain(records)) {
            log.extend(sealed(&key, &id, number, record)?);
        }
        Ok(log)
    }

    /// What a directory has, as records, but for what is gone.
    pub(in super::super) fn bound(top: &Folder) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        top.records(&VaultPath::top(), &mut records);
        let is_there = |record: &&Record| !matches!(record, Record::Bind(_, Bound::Gone));
        records
            .iter()
            .filter(is_there)
            .map(Record::encode)
            .collect()
    }
}
