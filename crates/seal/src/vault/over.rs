//! Files that were written over: what is as it was before is neither read nor stored again.

use super::budget::Budget;
use super::error::VaultError;
use super::reader::{Cursor, Reader};
use super::tree::{Part, Parts};
use std::io::{self, Read};

/// Reads from an offset; how many bytes there were. Nothing: it ends there.
pub type ReadAt<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> io::Result<usize>;

/// A file that was written over another one.
pub struct Over<'a> {
    /// Bytes that it has now.
    pub size: u64,
    /// What it was before: bytes, and what these consist of.
    pub base: (u64, &'a Parts),
    /// Whether all from one offset to another, which counts no more, is as it was at the same place before.
    pub same: &'a dyn Fn(u64, u64) -> bool,
}

impl Over<'_> {
    pub(crate) fn before(&self, reader: &Reader<'_>) -> Result<Before, VaultError> {
        let (size, parts) = self.base;
        Ok(Before {
            cursor: Cursor::new(reader, size, parts, 0)?,
            next: None,
            budget: reader.budget(),
        })
    }

    /// Whether a chunk that began where one begins now is the same one. Where a chunk ends its bytes say, but for the
    /// last one; and one of another generation is to be sealed again.
    pub(crate) fn keeps(&self, start: u64, part: &Part, generation: u32) -> bool {
        let end = start.saturating_add(part.length);
        let ends = match end < self.base.0 {
            true => end <= self.size,
            false => end == self.size,
        };
        ends && part.object.generation == generation && (self.same)(start, end)
    }
}

/// The chunks as they were.
pub(crate) struct Before {
    cursor: Cursor,
    next: Option<(u64, Part)>,
    budget: Budget,
}

impl Before {
    /// The one that began at an offset. Who asks goes forward.
    pub(crate) fn at(
        &mut self,
        reader: &Reader<'_>,
        offset: u64,
    ) -> Result<Option<Part>, VaultError> {
        while self.next.is_none_or(|(start, _)| start < offset) {
            match self.cursor.next_in(reader, &mut self.budget)? {
                Some(next) => self.next = Some(next),
                None => return Ok(None),
            }
        }
        let next = self.next.filter(|(start, _)| *start == offset);
        Ok(next.map(|(_, part)| part))
    }
}

/// Goes on reading from an offset.
pub(crate) struct Input<'a> {
    pub(crate) at: u64,
    pub(crate) read: ReadAt<'a>,
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = (self.read)(self.at, out)?;
        self.at = self.at.saturating_add(length as u64);
        Ok(length)
    }
}

#[cfg(test)]
#[path = "over_tests.rs"]
mod tests;
