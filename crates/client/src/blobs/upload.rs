//! A file on its way to the blob store.
//!
//! ```text
//!   disk ─► blocking thread: read, seal 1 MiB ─► channel of 4 ─► HTTP body ─► relay
//! ```
//!
//! The relay says how much it holds durably; sealing begins again at the chunk that holds that byte. The key
//! and the salt are the same, and so is the file, so the ciphertext is.

use super::http::{self, Blobs, HttpProblem, Stored};
use super::{FileEvent, PIECE, PIECES, describe};
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use bytes::Bytes;
use engine::Attachment;
use engine::records::Upload;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Method, StatusCode, header};
use keys::chunked::{self, Sealer};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// An upload to begin or to go on with.
pub(crate) struct UploadJob {
    /// What the engine keeps of it.
    pub(crate) upload: Upload,
}

/// How one attempt ended.
enum Ended {
    Done,
    Changed(Box<Attachment>),
    Failed(Failure),
    /// Try again after a pause.
    Again,
}

/// Uploads a file and tells how it ended. It tries until it is done or cannot be.
pub(crate) async fn upload(job: UploadJob, events: mpsc::Sender<FileEvent>) {
    let upload = Arc::new(job.upload);
    let blob = upload.blob;
    let mut pause = limits::BACK_OFF_FIRST;
    loop {
        let sent = Arc::new(AtomicU64::new(0));
        let event = match attempt(&upload, &sent, &events).await {
            Ended::Done => FileEvent::Uploaded { blob },
            Ended::Changed(attachment) => FileEvent::Changed { blob, attachment: *attachment },
            Ended::Failed(failure) => FileEvent::NotUploaded { blob, failure },
            Ended::Again => {
                if sent.load(Ordering::Relaxed) > 0 {
                    pause = limits::BACK_OFF_FIRST;
                }
                tokio::time::sleep(os::jitter(pause)).await;
                pause = pause.saturating_mul(2).min(limits::BACK_OFF_LAST);
                continue;
            }
        };
        let _ = events.send(event).await;
        return;
    }
}

async fn attempt(upload: &Arc<Upload>, sent: &Arc<AtomicU64>, events: &mpsc::Sender<FileEvent>) -> Ended {
    let path = upload.attachment.path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let file = os::open_source(Path::new(&path))?;
        let found = describe(Path::new(&path), &file)?;
        Ok::<_, io::Error>((file, found))
    });
    let (file, found) = match opened.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Ended::Failed(unreadable(upload, &error)),
        Err(_) => return Ended::Again,
    };
    if found.fingerprint != upload.attachment.fingerprint {
        return Ended::Changed(Box::new(found));
    }
    let file = Arc::new(file);
    match transfer(upload, &file, sent, events).await {
        // The file may have been changed while it was read: then its ciphertext is worth nothing.
        Ok(()) => match describe(Path::new(&upload.attachment.path), &file) {
            Ok(found) if found.fingerprint == upload.attachment.fingerprint => Ended::Done,
            Ok(found) => Ended::Changed(Box::new(found)),
            Err(error) => Ended::Failed(unreadable(upload, &error)),
        },
        Err(HttpProblem::Refused(status)) => Ended::Failed(refused(upload, status)),
        Err(_) => Ended::Again,
    }
}

async fn transfer(
    upload: &Arc<Upload>,
    file: &Arc<File>,
    sent: &Arc<AtomicU64>,
    events: &mpsc::Sender<FileEvent>,
) -> Result<(), HttpProblem> {
    let url = RelayUrl::parse(&upload.relay).map_err(|_| HttpProblem::Nonsense)?;
    let mut relay = Blobs::connect(&url).await?;
    let total = chunked::sealed_len(upload.attachment.length);
    let stored = stored(&mut relay, upload).await?;
    if stored.complete {
        return Ok(());
    }
    if stored.offset > total {
        return Err(HttpProblem::Nonsense);
    }
    if stored.offset < total {
        let (pieces, body) = mpsc::channel(PIECES);
        let (sealing, reading) = (Arc::clone(upload), Arc::clone(file));
        let sealer = tokio::task::spawn_blocking(move || seal_from(&sealing, &reading, stored.offset, &pieces));
        let put = put(&mut relay, upload, stored.offset, total, body, sent);
        tokio::select! {
            put = put => put?,
            problem = watch(upload, stored.offset, total, sent, events) => return Err(problem),
        }
        let _ = sealer.await;
    }
    complete(&mut relay, upload, total).await
}

/// Seals the file from a byte of its ciphertext on. It ends early when the file is too short, or nobody takes
/// the pieces.
fn seal_from(upload: &Upload, file: &File, offset: u64, pieces: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let sealer = Sealer::new(&upload.key, &upload.salt, keys::label::ENCLOSURE.as_bytes());
    let length = upload.attachment.length;
    let mut start = chunked::position(offset);
    let mut plain = zeroize::Zeroizing::new(vec![0; PIECE]);
    let mut skip = start.skip;
    let mut piece = Vec::with_capacity(sealed_piece());
    if start.header {
        piece.extend_from_slice(&sealer.header());
    }
    loop {
        let at = start.chunk.saturating_mul(chunked::CHUNK as u64);
        let count = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
        let (plain, _) = plain.split_at_mut_checked(count).unwrap_or_default();
        file.read_exact_at(plain, at)?;
        let end = at.saturating_add(count as u64) >= length;
        let mut chunks = plain.chunks(chunked::CHUNK).peekable();
        if count == 0 {
            sealer.seal_chunk(start.chunk, true, &[], &mut piece);
        }
        while let Some(chunk) = chunks.next() {
            sealer.seal_chunk(start.chunk, end && chunks.peek().is_none(), chunk, &mut piece);
            start.chunk = start.chunk.saturating_add(1);
        }
        let bytes = Bytes::from(std::mem::replace(&mut piece, Vec::with_capacity(sealed_piece())));
        let bytes = if skip == 0 { bytes } else { bytes.slice(skip.min(bytes.len())..) };
        skip = 0;
        if pieces.blocking_send(bytes).is_err() || end {
            return Ok(());
        }
    }
}

const fn sealed_piece() -> usize {
    (PIECE / chunked::CHUNK) * chunked::SEALED_CHUNK + chunked::HEADER
}

/// The pieces as an HTTP body of known length.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        match self.pieces.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            // The sealer stopped early: cut the request off.
            Poll::Ready(None) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            Poll::Ready(Some(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
