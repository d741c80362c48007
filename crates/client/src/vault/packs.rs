//! Packs at a relay, over as many connections as threads ask at a time.

use super::journal::Journal;
use crate::blobs::http::{self, Blobs, HttpProblem};
use crate::blobs::put::{self, Outgoing, Target};
use crate::limits;
use crate::net::NetProblem;
use crate::os;
use crate::relay_url::RelayUrl;
use crate::sealed::Work;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{Method, StatusCode, header};
use keys::vault::Right;
use keys::{BlobId, Secret};
use seal::vault::{Keyring, PackSource, PackStore};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The kind of an error that says that the key of a generation is not here.
pub(super) const NO_KEY: io::ErrorKind = io::ErrorKind::Unsupported;
/// What is read at once where little is asked for: what lies beside it is asked for next. Who sees requests sees less.
const WINDOW: u32 = 512 * 1024;
/// Windows that are kept.
const WINDOWS: usize = 32;
/// Bytes that travel together.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;
/// Connections that are kept for the next request.
const IDLE: usize = 8;

/// What the home's disk says where nothing can be written down before it is stored.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written")]
pub(super) struct NoJournal(#[source] pub(super) io::Error);

/// The packs of a vault at its relay.
pub(super) struct RelayPacks {
    runtime: Handle,
    url: RelayUrl,
    keys: Arc<Keyring>,
    work: Arc<Work>,
    journal: Option<Arc<Journal>>,
    idle: Mutex<Vec<Blobs<Outgoing>>>,
    windows: Mutex<VecDeque<Window>>,
    /// Attempts before whoever asks is told.
    attempts: u32,
}

struct Window {
    pack: BlobId,
    start: u32,
    bytes: Arc<Vec<u8>>,
}

impl RelayPacks {
    /// Packs at a relay; those that are stored are written down first.
    pub(super) fn new(
        runtime: Handle,
        url: RelayUrl,
        keys: Arc<Keyring>,
        work: Arc<Work>,
        journal: Option<Arc<Journal>>,
    ) -> Self {
        Self {
            runtime,
            url,
            keys,
            work,
            journal,
            idle: Mutex::default(),
            windows: Mutex::default(),
            attempts: limits::VAULT_ATTEMPTS,
        }
    }

    /// The same for somebody who does not wait for long.
    pub(super) fn for_reading(self) -> Self {
        Self {
            attempts: limits::VAULT_READ_ATTEMPTS,
            ..self
        }
    }

    fn token(&self, generation: u32, right: Right, pack: &BlobId) -> io::Result<Secret<32>> {
        let keys = self.keys.generation(generation);
        let keys = keys.ok_or_else(|| io::Error::new(NO_KEY, "no key of this generation"))?;
        Ok(keys.pack_token(right, pack))
    }

    /// Says that a pack is used still; whether it is there.
    pub(super) fn touch(&self, pack: &BlobId, generation: u32) -> io::Result<bool> {
        let token = self.token(generation, Right::Read, pack)?;
        self.again(async |relay: &mut Blobs<Outgoing>| {
            let path = http::path(pack);
            let asked = relay.request(Method::HEAD, &path, &token, &[], Outgoing::Nothing);
            let answer = timeout(limits::STALL, asked)
                .await
                .map_err(|_| NetProblem::Silent)??;
            Ok(answer.status().is_success())
        })
    }

    /// Deletes a pack; done also where there is none.
    pub(super) fn delete(&self, pack: &BlobId, generation: u32) -> io::Result<()> {
        let token = self.token(generation, Right::Write, pack)?;
        self.again(async |relay: &mut Blobs<Outgoing>| {
            let path = http::path(pack);
            let asked = relay.request(Method::DELETE, &path, &token, &[], Outgoing::Nothing);
            let answer = timeout(limits::STALL, asked)
                .await
                .map_err(|_| NetProblem::Silent)??;
            http::drain(answer).await;
            Ok(())
        })
    }

    /// Asks until the relay says yes, or no, or nothing for too long. What was begun goes on where it was.
    fn again<T>(
        &self,
        ask: impl AsyncFn(&mut Blobs<Outgoing>) -> Result<T, HttpProblem>,
    ) -> io::Result<T> {
        let mut pause = limits::BACK_OFF_FIRST;
        let mut attempts: u32 = 0;
        loop {
            self.work.on().map_err(|_| io::Error::other("stopped"))?;
            let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = idle().pop();
            let fresh = kept.is_none();
            let asked = self.runtime.block_on(async {
                let mut relay = match kept {
                    Some(relay) => relay,
                    None => Blobs::connect(&self.url).await?,
                };
                let answer = ask(&mut relay).await?;
                Ok((answer, relay))
            });
            match asked {
                Ok((answer, relay)) => {
                    let mut idle = idle();
                    if idle.len() < IDLE {
                        idle.push(relay);
                    }
                    return Ok(answer);
                }
                Err(HttpProblem::Refused(status)) => return Err(refused(status)),
                Err(HttpProblem::NoRoom) => return Err(io::ErrorKind::QuotaExceeded.into()),
                // One that was kept may have been closed meanwhile.
                Err(_) if !fresh => {}
                Err(problem) if attempts >= self.attempts => {
                    let kind = io::ErrorKind::TimedOut;
                    return Err(io::Error::new(kind, problem.to_string()));
                }
                Err(_) => {
                    attempts = attempts.saturating_add(1);
                    std::thread::sleep(os::jitter(pause));
                    pause = pause.saturating_mul(2).min(Duration::from_secs(10));
                }
            }
        }
    }

    fn fetch(
        &self,
        pack: &BlobId,
        generation: u32,
        start: u32,
        length: u32,
    ) -> io::Result<Vec<u8>> {
        let token = self.token(generation, Right::Read, pack)?;
        let end = u64::from(start).saturating_add(length.into());
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        self.again(async |relay: &mut Blobs<Outgoing>| {
            let headers = [(header::RANGE, range.clone())];
            let path = http::path(pack);
            let asked = relay.request(Method::GET, &path, &token, &headers, Outgoing::Nothing);
            let answer = timeout(limits::STALL, asked)
                .await
                .map_err(|_| NetProblem::Silent)??;
            match answer.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
                status => return Err(HttpProblem::Refused(status)),
            }
            // SECURITY: the relay decides how much it sends; `more_than_was_asked_for_is_not_taken` notices.
            let body = Limited::new(answer.into_body(), length as usize).collect();
            let body = timeout(limits::PART, body)
                .await
                .map_err(|_| NetProblem::Silent)?;
            Ok(body.map_err(|_| HttpProblem::Nonsense)?.to_bytes().to_vec())
        })
    }

    /// What is kept of a range, if all of it is.
    fn kept(&self, pack: &BlobId, start: u32, length: u32) -> Option<Vec<u8>> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter().find_map(|window| {
            let from = start.checked_sub(window.start)? as usize;
            let range = window.bytes.get(from..from.checked_add(length as usize)?)?;
            (window.pack == *pack).then(|| range.to_vec())
        })
    }
}

fn refused(status: StatusCode) -> io::Error {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => io::ErrorKind::NotFound.into(),
        StatusCode::RANGE_NOT_SATISFIABLE => io::ErrorKind::UnexpectedEof.into(),
        StatusCode::INSUFFICIENT_STORAGE => io::ErrorKind::QuotaExceeded.into(),
        StatusCode::PAYLOAD_TOO_LARGE => io::ErrorKind::FileTooLarge.into(),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => io::ErrorKind::PermissionDenied.into(),
        status => io::Error::other(format!("the relay refused (status {status})")),
    }
}

impl PackSource for RelayPacks {
    fn read(
        &self,
        pack: &BlobId,
        generation: u32,
        offset: u32,
        length: u32,
    ) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.kept(pack, offset, length) {
            return Ok(bytes);
        }
        let wanted = length.max(WINDOW);
        let bytes = self.fetch(pack, generation, offset, wanted)?;
        if bytes.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length >= WINDOW {
            return Ok(bytes);
        }
        let asked = bytes.get(..length as usize).unwrap_or_default().to_vec();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS {
            windows.pop_front();
        }
        windows.push_back(Window {
            pack: *pack,
            start: offset,
            bytes: Arc::new(bytes),
        });
        Ok(asked)
    }
}

impl PackStore for RelayPacks {
    fn store(&self, pack: &BlobId, generation: u32, bytes: &[u8]) -> io::Result<()> {
        let write_token = self.token(generation, Right::Write, pack)?;
        let read_token = self.token(generation, Right::Read, pack)?;
        if let Some(journal) = &self.journal {
            let begun = journal.begin(pack, generation);
            begun.map_err(|error| io::Error::other(NoJournal(error)))?;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let total = bytes.len() as u64;
        let target = Target {
            blob: pack,
            write_token: &write_token,
            read_token: &read_token,
            lasting: true,
        };
        self.again(async |relay: &mut Blobs<Outgoing>| {
            let stored = put::stored(relay, target).await?;
            if stored.complete {
                return Ok(());
            }
            if stored.offset < total {
                let from = usize::try_from(stored.offset).map_err(|_| HttpProblem::Nonsense)?;
                let (pieces, body) = mpsc::channel(PIECES);
                let mut rest = bytes.slice(from..);
                tokio::spawn(async move {
                    while !rest.is_empty() {
                        let piece = rest.split_to(PIECE.min(rest.len()));
                        if pieces.send(piece).await.is_err() {
                            return;
                        }
                    }
                });
                let sent = Arc::new(AtomicU64::new(0));
                let put = put::put(relay, target, stored.offset, total, body, &sent);
                timeout(limits::PART, put)
                    .await
                    .map_err(|_| NetProblem::Silent)??;
            }
            put::complete(relay, target, total).await
        })
    }
}

#[cfg(test)]
#[path = "packs_tests.rs"]
pub(super) mod tests;
