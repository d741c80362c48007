//! A file on its way from the blob store.
//!
//! ```text
//!   relay ─► HTTP body ─► channel of 4 ─► blocking thread: open, write NAME.xxxxxxxx.part ─► NAME
//! ```
//!
//! Every chunk is opened before it is written, and the file gets its name only when the last chunk was. A file
//! under way is flushed at every 64 MiB, and goes on from the last such mark: what lies before it was verified
//! and is durable.

use super::http::{Blobs, HttpProblem, no_body, path};
use super::{FileEvent, PIECES, name};
use crate::failure::{failure, unreachable};
use crate::limits;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use bytes::Bytes;
use engine::records::Enclosure;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode, header};
use keys::chunked::{CHUNK_LEN, ChunkedKey, HEADER_LEN, SEALED_CHUNK_LEN, sealed_len};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Plaintext bytes between two flushes; a multiple of a chunk.
const MARK: u64 = 64 * 1024 * 1024;
/// Plaintext bytes between two reports of progress.
const PROGRESS: u64 = 4 * 1024 * 1024;
/// Names tried before giving up.
const NAMES: u32 = 1_000;

/// A download to begin or to go on with.
pub(crate) struct DownloadJob {
    /// The request that wants it.
    pub(crate) call: u64,
    /// What and where it is.
    pub(crate) enclosure: Enclosure,
    /// Where it goes.
    pub(crate) directory: PathBuf,
}

/// Why a download stops.
enum Stop {
    /// Try again after a pause.
    Again(Failure),
    /// Try again another day.
    Failed(Failure),
    /// These bytes are not the sender's: none of them stays, and another day the relay may have the right ones.
    Forged(Failure),
    /// It will never come.
    Lost(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull => {
                "make room on the disk, then run the same command again; it goes on where it stopped"
            }
            _ => "check the directory that `--save` names",
        };
        Self::Failed(failure(FailureKind::Failed, error.to_string(), Some(hint)))
    }
}

/// Downloads a file and tells how it ended.
pub(crate) async fn download(job: DownloadJob, events: mpsc::Sender<FileEvent>) {
    let call = job.call;
    let job = Arc::new(job);
    let mut pause = limits::BACK_OFF_FIRST;
    let mut attempts = 0u32;
    let event = loop {
        let before = part_length(&job);
        let stop = match attempt(&job, &events).await {
            Ok(path) => break FileEvent::Saved { call, path },
            Err(stop) => stop,
        };
        match stop {
            Stop::Failed(failure) => {
                break FileEvent::NotSaved {
                    call,
                    failure,
                    lost: false,
                };
            }
            Stop::Forged(failure) => {
                os::remove(&part_path(&job));
                break FileEvent::NotSaved {
                    call,
                    failure,
                    lost: false,
                };
            }
            Stop::Lost(failure) => {
                os::remove(&part_path(&job));
                break FileEvent::NotSaved {
                    call,
                    failure,
                    lost: true,
                };
            }
            Stop::Again(failure) => {
                attempts = if part_length(&job) > before {
                    0
                } else {
                    attempts.saturating_add(1)
                };
                if attempts >= limits::DOWNLOAD_ATTEMPTS {
                    break FileEvent::NotSaved {
                        call,
                        failure,
                        lost: false,
                    };
                }
                tokio::time::sleep(os::jitter(pause)).await;
                pause = pause.saturating_mul(2).min(limits::BACK_OFF_LAST);
            }
        }
    };
    let _ = events.send(event).await;
}

fn part_path(job: &DownloadJob) -> PathBuf {
    let blob = job.enclosure.blob.to_string();
    let mark = blob.get(..8).unwrap_or(&blob);
    job.directory
        .join(format!("{}.{mark}.part", name::safe(&job.enclosure.name)))
}

fn part_length(job: &DownloadJob) -> u64 {
    os::length(&part_path(job))
}

async fn attempt(
    job: &Arc<DownloadJob>,
    events: &mpsc::Sender<FileEvent>,
) -> Result<PathBuf, Stop> {
    let nonsense = || {
        Stop::Lost(failure(
            FailureKind::Refused,
            "the enclosure's address makes no sense",
            Some("ask the sender to send it again, from another program"),
        ))
    };
    let url = RelayUrl::parse(&job.enclosure.relay).map_err(|_| nonsense())?;
    let total = sealed_len(job.enclosure.size).ok_or_else(nonsense)?;
    let mut relay = Blobs::<Empty<Bytes>>::connect(&url)
        .await
        .map_err(stop_of)?;
    let head = fetch_header(&mut relay, job).await?;
    let part = os::open_part(&part_path(job))?;
    // What lies before the last mark was verified and flushed; the rest may be torn.
    let kept = mark_before(os::length_of(&part)?.min(job.enclosure.size));
    part.set_len(kept)?;
    let from = chunk_of(kept)
        .saturating_mul(SEALED_CHUNK_LEN as u64)
        .saturating_add(HEADER_LEN as u64);
    let mut answer = ask(&mut relay, job, &format!("bytes={from}-")).await?;
    let offered = answer.body().size_hint().exact();
    if offered.is_some_and(|offered| offered < total.saturating_sub(from)) {
        return Err(cut_short());
    }
    let (pieces, received) = mpsc::channel(PIECES);
    let opening = {
        let (job, events) = (Arc::clone(job), events.clone());
        tokio::task::spawn_blocking(move || open_from(&job, &part, &head, kept, received, &events))
    };
    let mut left = total.saturating_sub(from);
    while left > 0 {
        let frame = timeout(limits::STALL, answer.body_mut().frame()).await;
        let Ok(Some(Ok(frame))) = frame else { break };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        left = left.saturating_sub(data.len() as u64);
        if pieces.send(data).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let stopped = || Stop::Again(unreachable("the relay stopped in the middle of the file"));
    opening.await.map_err(|_| stopped())??;
    let job = Arc::clone(job);
    tokio::task::spawn_blocking(move || give_name(&job))
        .await
        .map_err(|_| stopped())?
}

async fn fetch_header(
    relay: &mut Blobs<Empty<Bytes>>,
    job: &DownloadJob,
) -> Result<[u8; HEADER_LEN], Stop> {
    let answer = ask(
        relay,
        job,
        &format!("bytes=0-{}", HEADER_LEN.saturating_sub(1)),
    )
    .await?;
    let body = Limited::new(answer.into_body(), HEADER_LEN).collect();
    let nothing = || Stop::Again(unreachable("the relay stopped in the middle of the file"));
    let bytes = timeout(limits::STALL, body)
        .await
        .map_err(|_| nothing())?
        .map_err(|_| nothing())?
        .to_bytes();
    bytes.as_ref().try_into().map_err(|_| nothing())
}

async fn ask(
    relay: &mut Blobs<Empty<Bytes>>,
    job: &DownloadJob,
    range: &str,
) -> Result<Response<Incoming>, Stop> {
    let headers = [(header::RANGE, range.to_owned())];
    let path = path(&job.enclosure.blob);
    let asked = relay.request(
        Method::GET,
        &path,
        &job.enclosure.read_token,
        &headers,
        no_body(),
    );
    let answer = timeout(limits::STALL, asked)
        .await
        .map_err(|_| Stop::Again(unreachable("the relay does not answer")))?
        .map_err(stop_of)?;
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => Ok(answer),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let hint = "ask the sender to send it again";
            Err(Stop::Lost(failure(
                FailureKind::NotFound,
                "the relay no longer has this file",
                Some(hint),
            )))
        }
        StatusCode::RANGE_NOT_SATISFIABLE => Err(cut_short()),
        _ => Err(Stop::Again(unreachable(
            "the relay's answer makes no sense",
        ))),
    }
}

fn stop_of(problem: HttpProblem) -> Stop {
    Stop::Again(unreachable(&problem.to_string()))
}

/// Opens what comes and writes it, from a mark on.
fn open_from(
    job: &DownloadJob,
    part: &File,
    head: &[u8; HEADER_LEN],
    kept: u64,
    mut received: mpsc::Receiver<Bytes>,
    events: &mpsc::Sender<FileEvent>,
) -> Result<(), Stop> {
    let context = keys::label::ENCLOSURE.as_bytes();
    let key = ChunkedKey::for_opening(&job.enclosure.key, head, context).map_err(|_| forged())?;
    let mut file = Opened {
        job,
        part,
        key,
        number: chunk_of(kept),
        written: kept,
        told: kept,
        done: false,
    };
    let mut sealed = Vec::with_capacity(SEALED_CHUNK_LEN);
    while let Some(bytes) = received.blocking_recv() {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() && !file.done {
            let missing = file.next_length().saturating_sub(sealed.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            sealed.extend_from_slice(now);
            bytes = later;
            if sealed.len() == file.next_length() {
                file.open_chunk(&mut sealed, events)?;
                sealed.clear();
            }
        }
    }
    if !file.done {
        return Err(Stop::Again(unreachable(
            "the relay stopped in the middle of the file",
        )));
    }
    part.sync_all()?;
    Ok(())
}

/// A file under way.
struct Opened<'a> {
    job: &'a DownloadJob,
    part: &'a File,
    key: ChunkedKey,
    /// The next chunk.
    number: u64,
    written: u64,
    /// How far the last progress was.
    told: u64,
    done: bool,
}

impl Opened<'_> {
    /// Sealed bytes of the next chunk: all are whole but the last.
    fn next_length(&self) -> usize {
        let left = self.job.enclosure.size.saturating_sub(self.written);
        usize::try_from(left)
            .unwrap_or(CHUNK_LEN)
            .min(CHUNK_LEN)
            .saturating_add(keys::TAG_LEN)
    }

    fn open_chunk(
        &mut self,
        sealed: &mut [u8],
        events: &mpsc::Sender<FileEvent>,
    ) -> Result<(), Stop> {
        let plain = self.key.open(self.number, sealed).map_err(|_| forged())?;
        self.part.write_all_at(plain, self.written)?;
        self.written = self.written.saturating_add(plain.len() as u64);
        self.number = self.number.saturating_add(1);
        self.done = plain.len() < CHUNK_LEN;
        if self.written.checked_rem(MARK) == Some(0) {
            self.part.sync_data()?;
        }
        if self.written.saturating_sub(self.told) >= PROGRESS || self.done {
            self.told = self.written;
            let _ = events.try_send(FileEvent::Came {
                call: self.job.call,
                done: self.written,
            });
        }
        Ok(())
    }
}

/// The last place before a byte up to which everything is durable.
fn mark_before(length: u64) -> u64 {
    length.saturating_sub(length.checked_rem(MARK).unwrap_or(0))
}

fn chunk_of(plain: u64) -> u64 {
    plain.checked_div(CHUNK_LEN as u64).unwrap_or(0)
}

/// What the relay holds is not what the sender sealed.
fn forged() -> Stop {
    let hint = "the relay or the sender changed it; try again, or ask the sender to send it again";
    Stop::Forged(failure(
        FailureKind::Refused,
        "the file does not open with its key",
        Some(hint),
    ))
}

/// The relay says itself that it has less than the sender sealed.
fn cut_short() -> Stop {
    let hint = "ask the relay's operator for a copy, or the sender to send it again";
    Stop::Failed(failure(
        FailureKind::Failed,
        "the relay has only a part of this file",
        Some(hint),
    ))
}

/// Gives the finished file the name its sender chose, or that name with a number.
fn give_name(job: &DownloadJob) -> Result<PathBuf, Stop> {
    let wanted = name::safe(&job.enclosure.name);
    let part = part_path(job);
    for number in 0..NAMES {
        let path = job.directory.join(name::numbered(&wanted, number));
        if os::rename_new(&part, &path)? {
            return Ok(path);
        }
    }
    let hint = "save to another directory";
    Err(Stop::Failed(failure(
        FailureKind::Failed,
        format!("too many files are called {wanted}"),
        Some(hint),
    )))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::super::upload::tests::{file, sealed};
    use super::*;
    use keys::Secret;

    fn job(directory: &std::path::Path, size: u64, name: &str) -> DownloadJob {
        let enclosure = Enclosure {
            blob: keys::BlobId::from_bytes([1; 16]),
            read_token: Secret::from_slice(&[6; 32]).unwrap(),
            key: Secret::from_slice(&[3; 32]).unwrap(),
            name: name.to_owned(),
            size,
            relay: "http://127.0.0.1:1".to_owned(),
        };
        DownloadJob {
            call: 1,
            enclosure,
            directory: directory.to_owned(),
        }
    }

    /// Opens sealed bytes that come in pieces of a length.
    fn open(job: &DownloadJob, sealed: &[u8], piece: usize) -> Result<(), Stop> {
        let part = os::open_part(&part_path(job)).unwrap();
        let (head, body) = sealed.split_first_chunk::<HEADER_LEN>().unwrap();
        let (pieces, received) = mpsc::channel(1);
        let (events, _heard) = mpsc::channel(1);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut pieces_of = body.chunks(piece).map(Bytes::copy_from_slice);
                while pieces_of
                    .next()
                    .is_some_and(|bytes| pieces.blocking_send(bytes).is_ok())
                {}
            });
            open_from(job, &part, head, 0, received, &events)
        })
    }

    #[test]
    fn what_was_sealed_is_saved_whole_under_a_free_name() {
        let directory = tempfile::tempdir().unwrap();
        for (number, length) in [0, 1, CHUNK_LEN, CHUNK_LEN * 3 + 7].into_iter().enumerate() {
            let (upload, content) = file(directory.path(), length);
            let saved = tempfile::tempdir().unwrap();
            let job = job(saved.path(), length as u64, "../a.txt");
            std::fs::write(saved.path().join("a.txt"), b"mine").unwrap();
            assert!(open(&job, &sealed(&upload, 0), 1000 + number * 7777).is_ok());
            let path = give_name(&job).ok().unwrap();
            assert_eq!(path, saved.path().join("a (1).txt"));
            assert!(std::fs::read(path).unwrap() == content);
            assert_eq!(std::fs::read(saved.path().join("a.txt")).unwrap(), b"mine");
            assert_eq!(std::fs::read_dir(saved.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_changed_chunk_is_never_written_and_never_named() {
        let directory = tempfile::tempdir().unwrap();
        let length = CHUNK_LEN * 2 + 5;
        let (upload, content) = file(directory.path(), length);
        let whole = sealed(&upload, 0);
        for place in [
            0,
            30,
            HEADER_LEN,
            HEADER_LEN + SEALED_CHUNK_LEN + 3,
            whole.len() - 1,
        ] {
            let job = job(directory.path(), length as u64, "b");
            os::remove(&part_path(&job));
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(
                matches!(open(&job, &changed, 5000), Err(Stop::Forged(_))),
                "{place}"
            );
            let written = std::fs::read(part_path(&job)).unwrap();
            assert!(content.starts_with(&written) && written.len() < length);
        }
    }

    #[test]
    fn a_cut_file_is_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let length = CHUNK_LEN * 2;
        let (upload, _) = file(directory.path(), length);
        let whole = sealed(&upload, 0);
        for cut in [
            HEADER_LEN,
            HEADER_LEN + 5,
            HEADER_LEN + SEALED_CHUNK_LEN,
            whole.len() - 1,
            whole.len() - 16,
        ] {
            let job = job(directory.path(), length as u64, "c");
            assert!(
                matches!(open(&job, &whole[..cut], 5000), Err(Stop::Again(_))),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_size_that_the_sender_did_not_seal_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (upload, _) = file(directory.path(), 100);
        let job = job(directory.path(), 99, "d");
        assert!(matches!(
            open(&job, &sealed(&upload, 0), 5000),
            Err(Stop::Forged(_))
        ));
    }
}
