//! A file on its way to the blob store.
//!
//! ```text
//!   disk ─► blocking thread: read, seal 1 MiB ─► channel of 4 ─► HTTP body ─► relay
//! ```
//!
//! The relay says how much it holds durably; sealing begins again at the chunk that holds that byte. The key
//! and the salt are the same, and so is the file, so the ciphertext is.

use super::http::{Blobs, HttpProblem};
use super::put::{self, Target};
use super::{FileEvent, PIECE_SEALED, PIECES, describe};
use crate::failure::failure;
use crate::limits;
use crate::net::NetProblem;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use bytes::Bytes;
use engine::Attachment;
use engine::records::Upload;
use hyper::StatusCode;
use keys::TAG_LEN;
use keys::chunked::{CHUNK_LEN, ChunkedKey, HEADER_LEN, SEALED_CHUNK_LEN, sealed_len};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
            Ended::Changed(attachment) => FileEvent::Changed {
                blob,
                attachment: *attachment,
            },
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

async fn attempt(
    upload: &Arc<Upload>,
    sent: &Arc<AtomicU64>,
    events: &mpsc::Sender<FileEvent>,
) -> Ended {
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
        // A letter waits for room as it waits for a relay.
        Err(HttpProblem::Refused(StatusCode::INSUFFICIENT_STORAGE)) => Ended::Again,
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
    let total = sealed_len(upload.attachment.length).ok_or(HttpProblem::Nonsense)?;
    let target = upload_target(upload);
    let stored = put::stored(&mut relay, target).await?;
    if stored.complete {
        return Ok(());
    }
    if stored.offset > total {
        return Err(HttpProblem::Nonsense);
    }
    if stored.offset < total {
        let (pieces, body) = mpsc::channel(PIECES);
        let (sealing, reading) = (Arc::clone(upload), Arc::clone(file));
        let sealer = tokio::task::spawn_blocking(move || {
            seal_from(&sealing, &reading, stored.offset, &pieces)
        });
        let put = put::put(&mut relay, target, stored.offset, total, body, sent);
        tokio::select! {
            put = put => put?,
            problem = watch(upload, stored.offset, total, sent, events) => return Err(problem),
        }
        let _ = sealer.await;
    }
    put::complete(&mut relay, target, total).await
}

fn upload_target(upload: &Upload) -> Target<'_> {
    Target {
        blob: &upload.blob,
        write_token: &upload.write_token,
        read_token: &upload.read_token,
        lasting: false,
    }
}

/// Seals the file from a byte of its ciphertext on. It ends early when the file is too short, or nobody takes
/// the pieces.
fn seal_from(
    upload: &Upload,
    file: &File,
    offset: u64,
    pieces: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let context = keys::label::ENCLOSURE.as_bytes();
    let (key, header) = ChunkedKey::for_sealing(&upload.key, &upload.salt, context);
    let length = upload.attachment.length;
    let (mut number, mut skip) = start(offset);
    if let Some(rest) = usize::try_from(offset)
        .ok()
        .and_then(|offset| header.get(offset..))
        && pieces.blocking_send(Bytes::copy_from_slice(rest)).is_err()
    {
        return Ok(());
    }
    loop {
        let mut piece = Vec::with_capacity(PIECE_SEALED);
        let mut last = false;
        while !last && piece.len() < PIECE_SEALED {
            let at = number.saturating_mul(CHUNK_LEN as u64);
            let count = usize::try_from(length.saturating_sub(at))
                .unwrap_or(CHUNK_LEN)
                .min(CHUNK_LEN);
            let place = piece.len();
            piece.resize(place.saturating_add(count).saturating_add(TAG_LEN), 0);
            let chunk = piece.get_mut(place..).unwrap_or_default();
            let (plain, _) = chunk.split_at_mut_checked(count).unwrap_or_default();
            file.read_exact_at(plain, at)?;
            key.seal_buffer(number, chunk).map_err(io::Error::other)?;
            last = count < CHUNK_LEN;
            number = number.saturating_add(1);
        }
        let piece = Bytes::from(piece);
        let piece = piece.slice(skip.min(piece.len())..);
        skip = 0;
        if pieces.blocking_send(piece).is_err() || last {
            return Ok(());
        }
    }
}

/// The chunk that holds a byte of the ciphertext, and how many bytes of the chunk stand before it.
fn start(offset: u64) -> (u64, usize) {
    let sealed = SEALED_CHUNK_LEN as u64;
    let body = offset.saturating_sub(HEADER_LEN as u64);
    let skip = body
        .checked_rem(sealed)
        .and_then(|skip| usize::try_from(skip).ok())
        .unwrap_or(0);
    (body.checked_div(sealed).unwrap_or(0), skip)
}

/// Reports progress, and ends when there is none.
async fn watch(
    upload: &Upload,
    offset: u64,
    total: u64,
    sent: &AtomicU64,
    events: &mpsc::Sender<FileEvent>,
) -> HttpProblem {
    let length = upload.attachment.length;
    let mut last = sent.load(Ordering::Relaxed);
    let before = last;
    let mut since = os::instant();
    let report = |now: u64| {
        // Overhead of sealing is left out: people count the file's bytes.
        let sealed = offset.saturating_add(now.saturating_sub(before));
        let _ = events.try_send(FileEvent::Sent {
            blob: upload.blob,
            done: plain_part(sealed, total, length),
            total: length,
        });
    };
    report(before);
    loop {
        tokio::time::sleep(limits::PROGRESS).await;
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, os::instant());
            report(now);
        } else if since.elapsed() > limits::STALL {
            return NetProblem::Silent.into();
        }
    }
}

/// The plaintext that so many sealed bytes stand for.
fn plain_part(sealed: u64, total: u64, length: u64) -> u64 {
    if sealed >= total {
        return length;
    }
    let (chunk, rest) = start(sealed);
    chunk
        .saturating_mul(CHUNK_LEN as u64)
        .saturating_add(rest as u64)
        .min(length)
}

fn unreadable(upload: &Upload, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => FailureKind::NotFound,
        _ => FailureKind::Failed,
    };
    let hint = "leave a file where it is until its letter is sent, then send it again";
    failure(
        kind,
        format!("{}: {error}", upload.attachment.path),
        Some(hint),
    )
}

fn refused(upload: &Upload, status: StatusCode) -> Failure {
    let message = format!(
        "the relay does not take {} (status {})",
        upload.attachment.name,
        status.as_u16()
    );
    let hint = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "it is larger than the relay allows",
        _ => "ask the relay's operator",
    };
    failure(FailureKind::Failed, message, Some(hint))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::*;
    use keys::{BlobId, LetterId, Secret};

    /// A file of `length` bytes, and its upload.
    pub(in crate::blobs) fn file(directory: &Path, length: usize) -> (Upload, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|place| (place * 31 % 251) as u8).collect();
        let path = directory.join("file.bin");
        std::fs::write(&path, &content).unwrap();
        let upload = Upload {
            blob: BlobId::from_bytes([1; 16]),
            letter: LetterId::from_bytes([2; 16]),
            attachment: super::super::attachment(&path).unwrap(),
            relay: "http://127.0.0.1:1".to_owned(),
            key: Secret::from_slice(&[3; 32]).unwrap(),
            salt: [4; 24],
            write_token: Secret::from_slice(&[5; 32]).unwrap(),
            read_token: Secret::from_slice(&[6; 32]).unwrap(),
            done: false,
        };
        (upload, content)
    }

    /// The sealed file from a byte on.
    pub(in crate::blobs) fn sealed(upload: &Upload, offset: u64) -> Vec<u8> {
        let file = os::open_source(Path::new(&upload.attachment.path)).unwrap();
        let (pieces, mut received) = mpsc::channel(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                seal_from(upload, &file, offset, &pieces).unwrap();
                drop(pieces);
            });
            let mut all = Vec::new();
            while let Some(piece) = received.blocking_recv() {
                all.extend_from_slice(&piece);
            }
            all
        })
    }

    #[test]
    fn sealing_goes_on_at_any_byte() {
        let directory = tempfile::tempdir().unwrap();
        let piece = PIECE_SEALED / SEALED_CHUNK_LEN * CHUNK_LEN;
        for length in [
            0,
            1,
            CHUNK_LEN - 1,
            CHUNK_LEN,
            CHUNK_LEN + 1,
            piece,
            piece + 5,
            2 * piece + CHUNK_LEN,
        ] {
            let (upload, _) = file(directory.path(), length);
            let whole = sealed(&upload, 0);
            assert_eq!(whole.len() as u64, sealed_len(length as u64).unwrap());
            let header = HEADER_LEN;
            let places = [
                1,
                header - 1,
                header,
                header + 1,
                header + SEALED_CHUNK_LEN - 1,
                header + SEALED_CHUNK_LEN,
            ];
            for offset in places
                .into_iter()
                .chain([whole.len() / 2, whole.len() - 1])
                .filter(|at| *at < whole.len())
            {
                assert!(
                    sealed(&upload, offset as u64) == whole[offset..],
                    "{length} bytes from {offset}"
                );
            }
        }
    }

    #[test]
    fn progress_counts_the_bytes_of_the_file() {
        let total = sealed_len(100_000).unwrap();
        assert_eq!(plain_part(0, total, 100_000), 0);
        assert_eq!(plain_part(total, total, 100_000), 100_000);
        let two = (HEADER_LEN + 2 * SEALED_CHUNK_LEN) as u64;
        assert_eq!(plain_part(two, total, 100_000), 2 * CHUNK_LEN as u64);
    }
}
