//! What a directory, a segment of one and a list of chunks say (docs/spec/vault.md, section 4).

use super::chunker::CHUNK_MAX;
use super::keyring::Keyring;
use super::name::Name;
use keys::codec::{DecodeError, Reader, Writer};
use keys::vault_root::ObjectRef;

/// Most chunks of a file that has no list.
pub(crate) const FEW: usize = 8;
/// Most parts of a list, and most entries of a segment.
pub(crate) const PARTS: usize = 1024;
/// The highest level of a list: 1024 of 1024 ... of chunks are more than any file has.
pub(crate) const LEVELS: u8 = 7;
/// Most bytes of the target of a symbolic link.
const TARGET: usize = 4096;
const FORM: u8 = 1;

/// A chunk, or a list of chunks, and how many bytes of the file it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it lies.
    pub object: ObjectRef,
    /// Bytes of the file.
    pub length: u64,
}

/// How the chunks of a file are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// Eight chunks at most.
    Few(Vec<Part>),
    /// A list.
    Listed(ObjectRef),
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Its chunks.
        parts: Parts,
    },
    /// A directory.
    Directory(ObjectRef),
    /// A symbolic link: where it leads, as it stands in it.
    Link(Vec<u8>),
}

/// What a directory says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits, at most 0777.
    pub mode: u16,
    /// When it was last modified: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// What it is.
    pub what: What,
}

impl Entry {
    /// Whether mode and time are the same.
    #[must_use]
    pub fn same_meta(&self, other: &Self) -> bool {
        (self.mode, self.modified) == (other.mode, other.modified)
    }

    /// `entry` of docs/spec/vault.md, section 4.
    #[must_use]
    pub fn encode(&self, name: &Name) -> Vec<u8> {
        let mut out = Writer::new();
        write_entry(&mut out, name, self);
        out.finish()
    }

    /// Reads what [`Entry::encode`] wrote.
    ///
    /// # Errors
    /// It is not of this form.
    pub fn decode(bytes: &[u8]) -> Result<(Name, Self), DecodeError> {
        let mut input = Reader::new(bytes);
        let read = read_entry(&mut input)?;
        input.finish()?;
        Ok(read)
    }
}

/// Where in its row a node stands: rows of lists and of segments are cut by their contents, so only the last node of a
/// row may end anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Others follow.
    Inner,
    /// None follows.
    Last,
}

/// Refuses rows that are cut in another way than the form says.
fn cut(count: usize, place: Place, ends: impl Fn(usize) -> bool) -> Result<(), DecodeError> {
    let last = count.checked_sub(1).ok_or(DecodeError::Invalid)?;
    let early = (0..last).any(&ends);
    let late = place == Place::Inner && count < PARTS && !ends(last);
    match early || late || count > PARTS {
        true => Err(DecodeError::Invalid),
        false => Ok(()),
    }
}

/// A list of chunks (level 0) or of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) level: u8,
    pub(crate) parts: Vec<Part>,
}

impl List {
    /// Whether a list ends after this part.
    pub(crate) fn ends_after(part: &Part) -> bool {
        part.object.id.first() == Some(&0)
    }

    /// `01 ‖ level 1 ‖ BE4(count) ‖ (ref ‖ BE8(length))...`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(FORM);
        out.u8(self.level);
        out.u32(u32::try_from(self.parts.len()).unwrap_or(u32::MAX));
        for part in &self.parts {
            part.object.write(&mut out);
            out.u64(part.length);
        }
        out.finish()
    }

    /// Reads what [`List::encode`] wrote; `length` is what its chunks are to have.
    pub(crate) fn decode(bytes: &[u8], length: u64, place: Place) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != FORM {
            return Err(DecodeError::Invalid);
        }
        let level = input.u8()?;
        let count = input.u32()?;
        if level > LEVELS || count as usize > PARTS {
            return Err(DecodeError::Invalid);
        }
        let mut parts = Vec::new();
        let mut sum: u64 = 0;
        for _ in 0..count {
            let object = ObjectRef::read(&mut input)?;
            let length = input.u64()?;
            if length == 0 || (level == 0 && length > CHUNK_MAX as u64) {
                return Err(DecodeError::Invalid);
            }
            sum = sum.checked_add(length).ok_or(DecodeError::Invalid)?;
            parts.push(Part { object, length });
        }
        input.finish()?;
        // SECURITY: a list stands for as many bytes as what names it says; `lengths_add_up` notices.
        if sum != length {
            return Err(DecodeError::Invalid);
        }
        cut(parts.len(), place, |at| {
            parts.get(at).is_some_and(Self::ends_after)
        })?;
        Ok(Self { level, parts })
    }

    /// Whether a file may name this list itself: few chunks need no list, and a list of one list is that one.
    pub(crate) fn may_be_top(&self) -> bool {
        match self.level {
            0 => self.parts.len() > FEW,
            _ => self.parts.len() > 1,
        }
    }
}

/// Entries of a directory that stand side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment(pub(crate) Vec<(Name, Entry)>);

impl Segment {
    /// `01 ‖ BE4(count) ‖ entry...`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(FORM);
        out.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (name, entry) in &self.0 {
            write_entry(&mut out, name, entry);
        }
        out.finish()
    }

    /// Reads what [`Segment::encode`] wrote: it begins with the name `first`, and ends before `next`.
    pub(crate) fn decode(
        bytes: &[u8],
        keys: &Keyring,
        first: &Name,
        next: Option<&Name>,
    ) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != FORM {
            return Err(DecodeError::Invalid);
        }
        let count = input.u32()?;
        if count as usize > PARTS {
            return Err(DecodeError::Invalid);
        }
        let mut entries: Vec<(Name, Entry)> = Vec::new();
        for _ in 0..count {
            let (name, entry) = read_entry(&mut input)?;
            // SECURITY: a name stands once, and where it is looked for; `entries_are_in_order` notices.
            if entries.last().is_some_and(|(last, _)| *last >= name) {
                return Err(DecodeError::Invalid);
            }
            entries.push((name, entry));
        }
        input.finish()?;
        // SECURITY: a directory knows what its segments begin with; `a_segment_of_another_place_is_refused` notices.
        let last = entries.last().map(|(name, _)| name);
        let overlaps = next.is_some_and(|next| last >= Some(next));
        if overlaps || entries.first().map(|(name, _)| name) != Some(first) {
            return Err(DecodeError::Invalid);
        }
        let place = next.map_or(Place::Last, |_| Place::Inner);
        cut(entries.len(), place, |at| {
            let name = entries.get(at).map(|(name, _)| name);
            name.is_some_and(|name| keys.ids().ends_segment(name.as_bytes()))
        })?;
        Ok(Self(entries))
    }
}

pub(crate) fn write_entry(out: &mut Writer, name: &Name, entry: &Entry) {
    out.u8(match &entry.what {
        What::File { parts, .. } => match parts {
            Parts::Few(_) => 1,
            Parts::Listed(_) => 2,
        },
        What::Directory(_) => 3,
        What::Link(_) => 4,
    });
    write_short(out, name.as_bytes());
    out.u16(entry.mode);
    out.array(&entry.modified.0.to_be_bytes());
    out.u32(entry.modified.1);
    match &entry.what {
        What::File { size, parts } => {
            out.u64(*size);
            match parts {
                Parts::Few(parts) => {
                    out.u8(u8::try_from(parts.len()).unwrap_or(u8::MAX));
                    for part in parts {
                        part.object.write(out);
                        out.u32(u32::try_from(part.length).unwrap_or(u32::MAX));
                    }
                }
                Parts::Listed(list) => list.write(out),
            }
        }
        What::Directory(directory) => directory.write(out),
        What::Link(target) => write_short(out, target),
    }
}

pub(crate) fn write_short(out: &mut Writer, bytes: &[u8]) {
    out.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.array(bytes);
}

pub(crate) fn read_short<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = usize::from(input.u16()?);
    input.take(length)
}

fn read_name(input: &mut Reader<'_>) -> Result<Name, DecodeError> {
    Name::new(read_short(input)?).ok_or(DecodeError::Invalid)
}

pub(crate) fn read_entry(input: &mut Reader<'_>) -> Result<(Name, Entry), DecodeError> {
    let kind = input.u8()?;
    let name = read_name(input)?;
    let mode = input.u16()?;
    let modified = (i64::from_be_bytes(input.array()?), input.u32()?);
    if mode > 0o777 || modified.1 >= 1_000_000_000 {
        return Err(DecodeError::Invalid);
    }
    let what = match kind {
        1 => read_few(input)?,
        2 => What::File {
            size: input.u64()?,
            parts: Parts::Listed(ObjectRef::read(input)?),
        },
        3 => What::Directory(ObjectRef::read(input)?),
        4 => What::Link(read_target(input)?),
        _ => return Err(DecodeError::Invalid),
    };
    let entry = Entry {
        mode,
        modified,
        what,
    };
    Ok((name, entry))
}

fn read_few(input: &mut Reader<'_>) -> Result<What, DecodeError> {
    let size = input.u64()?;
    let count = usize::from(input.u8()?);
    if count > FEW {
        return Err(DecodeError::Invalid);
    }
    let mut parts = Vec::new();
    let mut sum: u64 = 0;
    for _ in 0..count {
        let object = ObjectRef::read(input)?;
        let length = u64::from(input.u32()?);
        if length == 0 || length > CHUNK_MAX as u64 {
            return Err(DecodeError::Invalid);
        }
        sum = sum.saturating_add(length);
        parts.push(Part { object, length });
    }
    match sum == size {
        true => Ok(What::File {
            size,
            parts: Parts::Few(parts),
        }),
        false => Err(DecodeError::Invalid),
    }
}

fn read_target(input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let target = read_short(input)?;
    match is_target(target) {
        true => Ok(target.to_vec()),
        false => Err(DecodeError::Invalid),
    }
}

/// Whether a symbolic link may lead there, as far as bytes go.
pub(crate) fn is_target(target: &[u8]) -> bool {
    (1..=TARGET).contains(&target.len()) && !target.contains(&0)
}

/// The segments of a directory: what each begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Directory(pub(crate) Vec<(Name, ObjectRef)>);

impl Directory {
    /// `01 ‖ BE4(count) ‖ (B2(first name) ‖ ref)...`
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(FORM);
        out.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (name, segment) in &self.0 {
            write_short(&mut out, name.as_bytes());
            segment.write(&mut out);
        }
        out.finish()
    }

    /// Reads what [`Directory::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != FORM {
            return Err(DecodeError::Invalid);
        }
        let count = input.u32()?;
        let mut segments: Vec<(Name, ObjectRef)> = Vec::new();
        for _ in 0..count {
            let name = read_name(&mut input)?;
            if segments.last().is_some_and(|(last, _)| *last >= name) {
                return Err(DecodeError::Invalid);
            }
            segments.push((name, ObjectRef::read(&mut input)?));
        }
        input.finish()?;
        Ok(Self(segments))
    }

    /// The number of the segment where a name is, if it is anywhere.
    pub(crate) fn segment_of(&self, name: &Name) -> Option<usize> {
        self.0
            .partition_point(|(first, _)| first <= name)
            .checked_sub(1)
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
