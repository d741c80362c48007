//! Sealing (docs/spec/sealed-file.md).
//!
//! All cores take whole blocks; what is left of the plaintext, and the trailer, which needs the digest of all of it,
//! are sealed at the end by one.

use super::header::{HeaderError, Recipient, VerifiedHeader};
use super::manifest::{Entry, EntryKind, Manifest, ManifestError};
use super::plain::Layout;
use super::trailer::Author;
use crate::parallel::{BLOCK_CHUNKS, Digest, Progress, Room, SEALED_BLOCK_LEN, Sink, on_all_cores};
use crate::tree::{Reading, Tree, TreeError};
use keys::chunked::{ChunkedKey, HEADER_LEN};
use keys::content_hash::BLOCK_LEN;
use rand_core::CryptoRng;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The recipients.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The names.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What is to be sealed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Reading the input failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// Writing the output failed.
    #[error("writing failed")]
    Write(#[source] io::Error),
    /// More than a file may have.
    #[error("too long for a sealed file")]
    TooLong,
    /// The age format holds one file.
    #[error("an age file holds one file")]
    NotOneFile,
    /// The signature was not to be had.
    #[error("nothing was signed")]
    Unsigned,
}

/// Seals for somebody, signed by somebody or nobody.
pub struct Sealer<'a> {
    /// For whom.
    pub recipients: &'a [Recipient],
    /// By whom.
    pub author: Option<&'a Author<'a>>,
}

/// What a plaintext is made of. Whole blocks are taken by any thread; the rest is asked for at the end.
trait Source: Sync {
    /// Fills `out` with the next whole block and says its number. Nothing: no whole block is left.
    fn next(&self, out: &mut [u8], reading: &mut Reading) -> Result<Option<u64>, SealError>;

    /// How many blocks were taken, and the lengths of the plaintext with a trailer of so many bytes.
    fn rest(&self, trailer: u64) -> Result<(u64, Layout), SealError>;

    /// Fills `out` with what stands at `offset`, which is behind the blocks that were taken.
    fn fill(&self, offset: u64, out: &mut [u8], reading: &mut Reading) -> Result<(), SealError>;
}

impl Sealer<'_> {
    /// Seals files and directories; how many bytes were written.
    ///
    /// # Errors
    /// [`SealError`]: what stands in `out` then is of no use.
    pub fn seal_tree(
        &self,
        tree: &Tree,
        out: &impl Sink,
        progress: Progress<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<u64, SealError> {
        let head = head(tree.manifest())?;
        let content = (head.len() as u64)
            .checked_add(tree.length())
            .ok_or(SealError::TooLong)?;
        let layout = Layout::new(content, self.trailer_length()).ok_or(SealError::TooLong)?;
        let source = TreeSource {
            head,
            tree,
            layout,
            taken: AtomicU64::new(0),
        };
        self.seal(&source, layout.whole_blocks(), out, progress, rng)
    }

    /// Seals what comes from a pipe, as one file; how many bytes were written.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_stream(
        &self,
        name: &[u8],
        input: impl Read + Send,
        out: &impl Sink,
        progress: Progress<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<u64, SealError> {
        let entry = Entry {
            path: name.to_vec(),
            mode: 0o600,
            modified: (0, 0),
            kind: EntryKind::File { size: None },
        };
        let source = StreamSource(Mutex::new(Stream {
            input,
            head: head(&Manifest::new(vec![entry])?)?,
            taken: 0,
            rest: None,
        }));
        self.seal(&source, u64::MAX, out, progress, rng)
    }

    fn trailer_length(&self) -> u64 {
        self.author.map_or(0, |author| author.length() as u64)
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
        let mut salt = [0; 24];
        rng.fill_bytes(&mut salt);
        let (key, chunk_header) =
            ChunkedKey::for_sealing(header.payload_key(), &salt, &header.payload_context());
        let start = header.bytes().len() as u64;
        let first = [header.bytes(), &chunk_header].concat();
        out.put(0, &first).map_err(SealError::Write)?;
        let job = Job {
            source,
            key,
            start,
            out,
            digest: Digest::default(),
            progress,
        };
        on_all_cores(blocks, |stop| job.whole_blocks(stop), || out.give_up())?;
        job.rest(&header, self.author)
    }
}

/// `BE4(length) ‖ manifest`.
fn head(manifest: &Manifest) -> Result<Vec<u8>, SealError> {
    let manifest = manifest.encode()?;
    let length = u32::try_from(manifest.len()).map_err(|_| SealError::TooLong)?;
    Ok([&length.to_be_bytes()[..], &manifest].concat())
}

struct Job<'a, S, O> {
    source: &'a S,
    key: ChunkedKey,
    /// Where the payload begins in the file.
    start: u64,
    out: &'a O,
    digest: Digest,
    progress: Progress<'a>,
}

impl<S: Source, O: Sink> Job<'_, S, O> {
    fn put(
        &self,
        room: &mut Room,
        block: u64,
        length: usize,
        last: bool,
    ) -> Result<u64, SealError> {
        let first = block.saturating_mul(BLOCK_CHUNKS as u64);
        let sealed = room
            .seal(&self.key, first, length, last)
            .map_err(|_| SealError::TooLong)?;
        let offset = block
            .saturating_mul(SEALED_BLOCK_LEN as u64)
            .saturating_add(HEADER_LEN as u64)
            .saturating_add(self.start);
        self.out.put(offset, sealed).map_err(SealError::Write)?;
        (self.progress)(length as u64);
        Ok(offset.saturating_add(sealed.len() as u64))
    }

    fn whole_blocks(&self, stop: &AtomicBool) -> Result<(), SealError> {
        let mut room = Room::new();
        let mut reading = Reading::default();
        while !stop.load(Ordering::Relaxed) {
            let Some(block) = self.source.next(&mut room.plain, &mut reading)? else {
                return Ok(());
            };
            self.digest.take(block, &room.plain);
            self.put(&mut room, block, BLOCK_LEN, false)?;
        }
        Ok(())
    }

    /// What is behind the whole blocks, and the trailer; how long the file is.
    fn rest(self, header: &VerifiedHeader, author: Option<&Author<'_>>) -> Result<u64, SealError> {
        let mut room = Room::new();
        let mut reading = Reading::default();
        let length = author.map_or(0, Author::length);
        let (mut block, layout) = self.source.rest(length as u64)?;
        let block_len = BLOCK_LEN as u64;
        while block < layout.whole_blocks() {
            let offset = block.saturating_mul(block_len);
            self.source.fill(offset, &mut room.plain, &mut reading)?;
            self.digest.take(block, &room.plain);
            self.put(&mut room, block, BLOCK_LEN, false)?;
            block = block.saturating_add(1);
        }
        let offset = block.saturating_mul(block_len);
        let left = usize::try_from(layout.digested.saturating_sub(offset))
            .map_err(|_| SealError::TooLong)?;
        // With room for the trailer: growing would leave a copy of the plaintext behind.
        let room_for_all = left.saturating_add(length).saturating_add(4);
        let mut tail = Zeroizing::new(Vec::with_capacity(room_for_all));
        tail.resize(left, 0);
        self.source.fill(offset, &mut tail, &mut reading)?;
        let mut blocks = block;
        if left > 0 || block == 0 {
            self.digest.take(block, &tail);
            blocks = blocks.saturating_add(1);
        }
        let digest = self.digest;
        let digest = digest.finish(blocks).ok_or(SealError::TooLong)?;
        let trailer = match author {
            Some(author) => author
                .trailer(header.bytes(), &digest)
                .ok_or(SealError::Unsigned)?,
            None => Vec::new(),
        };
        let trailer_length = u32::try_from(trailer.len()).map_err(|_| SealError::TooLong)?;
        tail.extend_from_slice(&trailer);
        tail.extend_from_slice(&trailer_length.to_be_bytes());
        let job = Job {
            digest: Digest::default(),
            ..self
        };
        job.end(&mut room, block, &tail)
    }

    fn end(&self, room: &mut Room, block: u64, tail: &[u8]) -> Result<u64, SealError> {
        let pieces = tail.len().div_ceil(BLOCK_LEN);
        let mut end = 0;
        for ((number, piece), block) in (1..).zip(tail.chunks(BLOCK_LEN)).zip(block..) {
            if let Some(plain) = room.plain.get_mut(..piece.len()) {
                plain.copy_from_slice(piece);
            }
            end = self.put(room, block, piece.len(), number == pieces)?;
        }
        Ok(end)
    }
}

struct TreeSource<'a> {
    head: Vec<u8>,
    tree: &'a Tree,
    layout: Layout,
    taken: AtomicU64,
}

impl Source for TreeSource<'_> {
    fn next(&self, out: &mut [u8], reading: &mut Reading) -> Result<Option<u64>, SealError> {
        let block = self.taken.fetch_add(1, Ordering::Relaxed);
        if block >= self.layout.whole_blocks() {
            return Ok(None);
        }
        self.fill(block.saturating_mul(BLOCK_LEN as u64), out, reading)?;
        Ok(Some(block))
    }

    fn rest(&self, _: u64) -> Result<(u64, Layout), SealError> {
        Ok((self.layout.whole_blocks(), self.layout))
    }

    fn fill(&self, offset: u64, out: &mut [u8], reading: &mut Reading) -> Result<(), SealError> {
        let head = self.head.len() as u64;
        let (mut offset, mut out) = (offset, out);
        if offset < head {
            let done = copy(&self.head, offset, out);
            offset = offset.saturating_add(done as u64);
            out = out.get_mut(done..).unwrap_or_default();
        }
        let contents = self.layout.content.saturating_sub(head);
        let done = self
            .tree
            .read(offset.saturating_sub(head), contents, out, reading)?;
        offset = offset.saturating_add(done as u64);
        out = out.get_mut(done..).unwrap_or_default();
        pad(self.layout.content, offset, out);
        Ok(())
    }
}

/// Copies what stands at `offset` in `from`; how many bytes.
fn copy(from: &[u8], offset: u64, out: &mut [u8]) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let from = from.get(start..).unwrap_or_default();
    let length = from.len().min(out.len());
    if let (Some(out), Some(from)) = (out.get_mut(..length), from.get(..length)) {
        out.copy_from_slice(from);
    }
    length
}

/// The padding at `offset`: `80` at `content`, zeros after it.
fn pad(content: u64, offset: u64, out: &mut [u8]) {
    out.fill(0);
    if offset == content
        && let Some(first) = out.first_mut()
    {
        *first = 0x80;
    }
}

struct StreamSource<R>(Mutex<Stream<R>>);

struct Stream<R> {
    input: R,
    /// What comes before the contents; empty when it was taken.
    head: Vec<u8>,
    taken: u64,
    /// The last block, which is not whole, when the input has ended.
    rest: Option<Zeroizing<Vec<u8>>>,
}

impl<R: Read + Send> Source for StreamSource<R> {
    fn next(&self, out: &mut [u8], _: &mut Reading) -> Result<Option<u64>, SealError> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.rest.is_some() {
            return Ok(None);
        }
        let mut got = copy(&std::mem::take(&mut stream.head), 0, out);
        while let Some(room) = out.get_mut(got..).filter(|room| !room.is_empty()) {
            match stream.input.read(room) {
                Ok(0) => {
                    let rest = out.get(..got).unwrap_or_default().to_vec();
                    stream.rest = Some(Zeroizing::new(rest));
                    return Ok(None);
                }
                Ok(more) => got = got.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SealError::Read(error)),
            }
        }
        let block = stream.taken;
        stream.taken = block.saturating_add(1);
        Ok(Some(block))
    }

    fn rest(&self, trailer: u64) -> Result<(u64, Layout), SealError> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = stream.rest.as_ref().map_or(0, |rest| rest.len());
        let content = stream
            .taken
            .checked_mul(BLOCK_LEN as u64)
            .and_then(|taken| taken.checked_add(rest as u64));
        let layout = content.and_then(|content| Layout::new(content, trailer));
        Ok((stream.taken, layout.ok_or(SealError::TooLong)?))
    }

    fn fill(&self, offset: u64, out: &mut [u8], _: &mut Reading) -> Result<(), SealError> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = stream.taken.saturating_mul(BLOCK_LEN as u64);
        let rest = stream.rest.as_ref().map_or(&[][..], |rest| rest);
        let content = taken.saturating_add(rest.len() as u64);
        let done = copy(rest, offset.saturating_sub(taken), out);
        let offset = offset.saturating_add(done as u64);
        pad(content, offset, out.get_mut(done..).unwrap_or_default());
        Ok(())
    }
}
