//! Cutting files where their contents say it, so that a change in one place leaves the other chunks as they are.

use fastcdc::v2020::{Normalization, cut_gear, get_gear_with_seed, select_masks};
use std::borrow::Cow;
use std::io::{self, Read};

/// Least bytes of a chunk that is not the last one of its file.
pub const CHUNK_MIN: usize = 128 * 1024;
/// What chunks have on average.
const CHUNK_AVERAGE: usize = 512 * 1024;
/// Most bytes of a chunk.
pub const CHUNK_MAX: usize = 1024 * 1024;
/// What is read at once. Twice a chunk at least, so that little is moved.
const WINDOW: usize = 4 * CHUNK_MAX;

/// Finds cuts (FastCDC of 2020, normalised by one level; the table of its hash is changed by a seed).
pub struct Cutter {
    gear: Cow<'static, [u64]>,
    gear_shifted: Cow<'static, [u64]>,
    strict: u64,
    loose: u64,
}

impl Cutter {
    /// A cutter with the seed of a vault.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (gear, gear_shifted) = get_gear_with_seed(seed);
        let (strict, loose) = select_masks(CHUNK_AVERAGE, Normalization::Level1);
        Self {
            gear,
            gear_shifted,
            strict,
            loose,
        }
    }

    /// Length of the first chunk of these bytes, which are all there are, or [`CHUNK_MAX`] at least.
    #[must_use]
    pub fn cut(&self, bytes: &[u8]) -> usize {
        let (_, length) = cut_gear(
            bytes,
            CHUNK_MIN,
            CHUNK_AVERAGE,
            CHUNK_MAX,
            self.strict,
            self.loose,
            self.strict << 1,
            self.loose << 1,
            &self.gear,
            &self.gear_shifted,
        );
        length
    }
}

/// The chunks of what is read.
pub(crate) struct Chunks<'a> {
    cutter: &'a Cutter,
    window: &'a mut Vec<u8>,
    /// What is read at once.
    most: usize,
    start: usize,
    end: usize,
    ended: bool,
}

impl<'a> Chunks<'a> {
    /// Begins; the window is room that may be used again.
    pub(crate) fn new(cutter: &'a Cutter, window: &'a mut Vec<u8>) -> Self {
        Self {
            cutter,
            window,
            most: WINDOW,
            start: 0,
            end: 0,
            ended: false,
        }
    }

    /// The same, for whoever passes over much: nothing is read that the next chunk does not take.
    pub(crate) fn sparing(self) -> Self {
        Self {
            most: CHUNK_MAX,
            ..self
        }
    }

    /// Begins anew, where the input is by now.
    pub(crate) fn begin_again(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, false);
    }

    /// The next chunk; an empty one: there is none.
    pub(crate) fn next(&mut self, input: &mut impl Read) -> io::Result<&[u8]> {
        if !self.ended && self.end.saturating_sub(self.start) < CHUNK_MAX {
            self.fill(input)?;
        }
        let there = self.window.get(self.start..self.end).unwrap_or_default();
        let length = self.cutter.cut(there);
        self.start = self.start.saturating_add(length);
        Ok(there.get(..length).unwrap_or_default())
    }

    fn fill(&mut self, input: &mut impl Read) -> io::Result<()> {
        self.window.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        while self.end < self.most {
            // Small files shall not ask for a whole window.
            let room = self.end.saturating_mul(2).clamp(64 * 1024, self.most);
            if self.window.len() < room {
                self.window.resize(room, 0);
            }
            let until = self.window.len().min(self.most);
            let rest = self.window.get_mut(self.end..until).unwrap_or_default();
            match input.read(rest) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(more) => self.end = self.end.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

    fn chunks(seed: u64, mut content: &[u8]) -> Vec<Vec<u8>> {
        let cutter = Cutter::new(seed);
        let mut window = Vec::new();
        let mut chunks = Chunks::new(&cutter, &mut window);
        let mut all = Vec::new();
        loop {
            match chunks.next(&mut content).unwrap() {
                [] => return all,
                chunk => all.push(chunk.to_vec()),
            }
        }
    }

    fn random(length: usize) -> Vec<u8> {
        let mut content = vec![0; length];
        ChaCha20Rng::seed_from_u64(1).fill_bytes(&mut content);
        content
    }

    #[test]
    fn chunks_are_the_content_within_their_bounds() {
        for length in [0, 1, CHUNK_MIN, CHUNK_MAX + 1, 9 << 20] {
            let content = random(length);
            let chunks = chunks(7, &content);
            assert_eq!(chunks.concat(), content);
            for (place, chunk) in chunks.iter().enumerate() {
                assert!(chunk.len() <= CHUNK_MAX);
                assert!(chunk.len() >= CHUNK_MIN || place + 1 == chunks.len());
            }
        }
    }

    #[test]
    fn a_byte_more_changes_few_chunks_and_another_seed_all() {
        let content = random(16 << 20);
        let before = chunks(7, &content);
        let mut longer = content.clone();
        longer.insert(5 << 20, 1);
        let after = chunks(7, &longer);
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!((1..=4).contains(&new), "{new} of {}", after.len());
        let other = chunks(8, &content);
        let same = other.iter().filter(|chunk| before.contains(chunk)).count();
        assert!(same <= 1, "{same} of {}", other.len());
    }
}
