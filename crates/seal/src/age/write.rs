//! Sealing.

use super::header::VerifiedHeader;
use super::recipient::Recipient;
use super::stream::{
    BLOCK_CHUNKS, BLOCK_LEN, CHUNK_LEN, Layout, SEALED_BLOCK_LEN, SEALED_CHUNK_LEN, StreamKey, room,
};
use crate::lock::{EntryKind, SealError};
use crate::parallel::{Progress, Sink, on_all_cores};
use crate::tree::{Reading, Tree};
use keys::TAG_LEN;
use rand_core::CryptoRng;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Seals for somebody.
pub struct Sealer<'a> {
    /// For whom.
    pub recipients: &'a [Recipient],
}

/// A block that a source filled in.
struct Block {
    number: u64,
    length: usize,
    last: bool,
}

/// What a payload is made of. Any thread takes the next block.
trait Source: Sync {
    /// Fills the next block into `room`: each chunk where it is sealed. Nothing: none is left.
    fn next(&self, room: &mut [u8], reading: &mut Reading) -> Result<Option<Block>, SealError>;
}

impl Sealer<'_> {
    /// Seals one file; how many bytes were written.
    ///
    /// # Errors
    /// [`SealError::NotOneFile`] and others: what stands in `out` then is of no use.
    pub fn seal_file(
        &self,
        tree: &Tree,
        out: &impl Sink,
        progress: Progress<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<u64, SealError> {
        let entries = tree.manifest().entries();
        let [entry] = entries else {
            return Err(SealError::NotOneFile);
        };
        let EntryKind::File { .. } = entry.kind else {
            return Err(SealError::NotOneFile);
        };
        let layout = Layout::of_plain(tree.length());
        let source = FileSource {
            tree,
            layout,
            taken: AtomicU64::new(0),
        };
        self.seal(&source, layout.blocks(), out, progress, rng)
    }

    /// Seals what comes from a pipe; how many bytes were written.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_stream(
        &self,
        input: impl Read + Send,
        out: &impl Sink,
        progress: Progress<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<u64, SealError> {
        let source = StreamSource(Mutex::new(Stream {
            input,
            ahead: None,
            taken: 0,
            ended: false,
        }));
        self.seal(&source, u64::MAX, out, progress, rng)
    }

    fn seal(
        &self,
        source: &impl Source,
        blocks: u64,
        out: &impl Sink,
        progress: Progress<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<u64, SealError> {
        let header = VerifiedHeader::create(self.recipients, rng)?;
        let start = header.bytes().len() as u64;
        out.put(0, header.bytes()).map_err(SealError::Write)?;
        let key = StreamKey::new(header.payload_key());
        let end = AtomicU64::new(start);
        let work = |stop: &AtomicBool| -> Result<(), SealError> {
            let mut room = room(BLOCK_CHUNKS);
            let mut reading = Reading::default();
            while !stop.load(Ordering::Relaxed) {
                let Some(block) = source.next(&mut room, &mut reading)? else {
                    break;
                };
                let sealed = sealed(&key, &block, &mut room)?;
                let offset = block.number.saturating_mul(SEALED_BLOCK_LEN as u64);
                let offset = offset.saturating_add(start);
                out.put(offset, sealed).map_err(SealError::Write)?;
                end.fetch_max(
                    offset.saturating_add(sealed.len() as u64),
                    Ordering::Relaxed,
                );
                progress(block.length as u64);
            }
            Ok(())
        };
        on_all_cores(blocks, work, || out.give_up())?;
        Ok(end.into_inner())
    }
}

/// Seals the chunks of a block where they are.
fn sealed<'a>(key: &StreamKey, block: &Block, room: &'a mut [u8]) -> Result<&'a [u8], SealError> {
    let count = block.length.div_ceil(CHUNK_LEN).max(1);
    let length = block.length.saturating_add(count.saturating_mul(TAG_LEN));
    let room = room.get_mut(..length).ok_or(SealError::TooLong)?;
    let first = block.number.saturating_mul(BLOCK_CHUNKS as u64);
    for ((number, place), chunk) in (first..).zip(1..).zip(room.chunks_mut(SEALED_CHUNK_LEN)) {
        let last = block.last && place == count;
        key.seal(number, last, chunk)
            .map_err(|_| SealError::TooLong)?;
    }
    Ok(room)
}

/// The places of chunks in the room of a block, without those of their tags.
fn places(room: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let chunks = room.chunks_mut(SEALED_CHUNK_LEN);
    chunks.filter_map(|chunk| chunk.get_mut(..CHUNK_LEN))
}

struct FileSource<'a> {
    tree: &'a Tree,
    layout: Layout,
    taken: AtomicU64,
}

impl Source for FileSource<'_> {
    fn next(&self, room: &mut [u8], reading: &mut Reading) -> Result<Option<Block>, SealError> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.layout.blocks() {
            return Ok(None);
        }
        let whole = self.layout.length;
        let start = number.saturating_mul(BLOCK_LEN as u64);
        let mut length: usize = 0;
        for chunk in places(room) {
            let at = start.saturating_add(length as u64);
            let got = self.tree.read(at, whole, chunk, reading)?;
            length = length.saturating_add(got);
            if got < chunk.len() {
                break;
            }
        }
        let last = number.checked_add(1) == Some(self.layout.blocks());
        Ok(Some(Block {
            number,
            length,
            last,
        }))
    }
}

struct StreamSource<R>(Mutex<Stream<R>>);

struct Stream<R> {
    input: R,
    /// A byte of the next block, which was read to see whether there is one.
    ahead: Option<u8>,
    taken: u64,
    ended: bool,
}

impl<R: Read> Stream<R> {
    /// Reads until `out` is full or the input ends; how many bytes.
    fn fill(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        let mut got: usize = 0;
        if let (Some(first), Some(byte)) = (out.first_mut(), self.ahead.take()) {
            *first = byte;
            got = 1;
        }
        while let Some(room) = out.get_mut(got..).filter(|room| !room.is_empty()) {
            match self.input.read(room) {
                Ok(0) => break,
                Ok(more) => got = got.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SealError::Read(error)),
            }
        }
        Ok(got)
    }
}

impl<R: Read + Send> Source for StreamSource<R> {
    fn next(&self, room: &mut [u8], _: &mut Reading) -> Result<Option<Block>, SealError> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.ended {
            return Ok(None);
        }
        let mut length: usize = 0;
        for chunk in places(room) {
            let got = stream.fill(chunk)?;
            length = length.saturating_add(got);
            if got < chunk.len() {
                stream.ended = true;
                break;
            }
        }
        if !stream.ended {
            let mut byte = [0];
            match stream.fill(&mut byte)? {
                0 => stream.ended = true,
                _ => stream.ahead = Some(byte[0]),
            }
        }
        let number = stream.taken;
        stream.taken = number.saturating_add(1);
        Ok(Some(Block {
            number,
            length,
            last: stream.ended,
        }))
    }
}
