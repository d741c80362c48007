//! What is given by code, on its way to a relay's blob store and back: sealed bytes whose length nobody knows before
//! they end.
//!
//! ```text
//!   sealing ─► channel of 2 ─► PUT of 4 MiB ─► relay          relay ─► GET from where the file ends ─► file
//! ```
//!
//! Nothing is sealed twice: a piece stays in memory until the relay has it.

use super::http::{self, Blobs, HttpProblem, no_body};
use super::put::{self, Outgoing, Target};
use crate::limits;
use crate::net::NetProblem;
use crate::os;
use crate::relay_url::RelayUrl;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, StatusCode, header};
use keys::{BlobId, Secret, Timestamp};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Where a parcel is.
pub(crate) struct Parcel {
    /// The relay.
    pub(crate) url: RelayUrl,
    /// Its id.
    pub(crate) blob: BlobId,
    /// What allows to read it.
    pub(crate) read_token: Secret<32>,
}

/// Why a parcel did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ParcelProblem {
    /// There is no connection, or the relay is busy, again and again.
    #[error("{0}")]
    Unreachable(String),
    /// It is larger than the relay takes.
    #[error("the relay does not take that much")]
    TooLarge,
    /// The relay has no room for more.
    #[error("the relay has no room for more")]
    NoRoom,
    /// The relay says no.
    #[error("the relay refused (status {0})")]
    Refused(u16),
    /// The relay does not have what it said that it had, or has something longer or shorter.
    #[error("the relay does not have what was given")]
    Lost,
    /// The disk.
    #[error("{}", .0.kind())]
    Disk(#[from] io::Error),
}

/// One attempt's end.
enum Attempt {
    Again(String),
    Failed(ParcelProblem),
}

impl From<HttpProblem> for Attempt {
    fn from(problem: HttpProblem) -> Self {
        match problem {
            HttpProblem::Refused(StatusCode::PAYLOAD_TOO_LARGE) => {
                Self::Failed(ParcelProblem::TooLarge)
            }
            HttpProblem::NoRoom | HttpProblem::Refused(StatusCode::INSUFFICIENT_STORAGE) => {
                Self::Failed(ParcelProblem::NoRoom)
            }
            HttpProblem::Refused(StatusCode::RANGE_NOT_SATISFIABLE) => {
                Self::Failed(ParcelProblem::Lost)
            }
            HttpProblem::Refused(status) if status.is_client_error() => {
                Self::Failed(ParcelProblem::Refused(status.as_u16()))
            }
            problem => Self::Again(problem.to_string()),
        }
    }
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Attempts that are left, and the pause before the next.
struct Patience {
    left: u32,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            left: limits::PARCEL_ATTEMPTS,
            pause: limits::BACK_OFF_FIRST,
        }
    }

    async fn wait(&mut self, why: String) -> Result<(), ParcelProblem> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(ParcelProblem::Unreachable(why))?;
        tokio::time::sleep(os::jitter(self.pause)).await;
        self.pause = self.pause.saturating_mul(2).min(limits::BACK_OFF_LAST);
        Ok(())
    }
}

impl Parcel {
    fn target<'a>(&'a self, write_token: &'a Secret<32>) -> Target<'a> {
        Target {
            blob: &self.blob,
            write_token,
            read_token: &self.read_token,
            lasting: false,
        }
    }

    /// Stores what comes, until its sender is gone; how long it is. `sent` is told how many bytes more the relay has.
    pub(crate) async fn store(
        &self,
        write_token: &Secret<32>,
        pieces: &mut mpsc::Receiver<Bytes>,
        sent: impl Fn(u64),
    ) -> Result<u64, ParcelProblem> {
        let target = self.target(write_token);
        let (mut relay, mut stored) = (None, 0_u64);
        while let Some(mut piece) = pieces.recv().await {
            let mut patience = Patience::new();
            while !piece.is_empty() {
                match self.step(&mut relay, target, stored, &piece).await {
                    Ok(done) => {
                        patience = Patience::new();
                        let done = usize::try_from(done).unwrap_or(usize::MAX).min(piece.len());
                        let _ = piece.split_to(done);
                        stored = stored.saturating_add(done as u64);
                        sent(done as u64);
                    }
                    Err(Attempt::Again(why)) => {
                        relay = None;
                        patience.wait(why).await?;
                    }
                    Err(Attempt::Failed(problem)) => return Err(problem),
                }
            }
        }
        Ok(stored)
    }

    /// Says that it is complete, and when nobody is to get it any more.
    pub(crate) async fn complete(
        &self,
        write_token: &Secret<32>,
        length: u64,
        until: Timestamp,
    ) -> Result<(), ParcelProblem> {
        let mut patience = Patience::new();
        loop {
            let completed = async {
                let mut relay = Blobs::<Outgoing>::connect(&self.url).await?;
                let target = self.target(write_token);
                put::complete_until(&mut relay, target, length, Some(until)).await
            };
            match completed.await.map_err(Attempt::from) {
                Ok(()) => return Ok(()),
                Err(Attempt::Again(why)) => patience.wait(why).await?,
                Err(Attempt::Failed(problem)) => return Err(problem),
            }
        }
    }

    /// Sends a piece that begins at `stored`; how many bytes of it the relay has now. On a new connection the relay is
    /// asked instead: it may have more than it could say.
    async fn step(
        &self,
        relay: &mut Option<Blobs<Outgoing>>,
        target: Target<'_>,
        stored: u64,
        piece: &Bytes,
    ) -> Result<u64, Attempt> {
        let connection = match relay {
            Some(connection) => connection,
            None => {
                let connection = relay.insert(Blobs::connect(&self.url).await?);
                let there = put::stored(connection, target).await?.offset;
                let more = there.checked_sub(stored);
                let more = more.filter(|more| *more <= piece.len() as u64);
                match more {
                    Some(0) => connection,
                    Some(more) => return Ok(more),
                    None => return Err(Attempt::Failed(ParcelProblem::Lost)),
                }
            }
        };
        let body = Outgoing::Whole(piece.clone());
        let put = put::put_body(connection, target, stored, body);
        timeout(limits::PART, put)
            .await
            .map_err(|_| HttpProblem::from(NetProblem::Silent))??;
        Ok(piece.len() as u64)
    }

    /// Removes it from the relay.
    pub(crate) async fn remove(&self, write_token: &Secret<32>) -> Result<(), ParcelProblem> {
        let removed = async {
            let mut relay = Blobs::<Empty<Bytes>>::connect(&self.url).await?;
            let path = http::path(&self.blob);
            let asked = relay.request(Method::DELETE, &path, write_token, &[], no_body());
            let answer = timeout(limits::STALL, asked).await;
            answer.map_err(|_| NetProblem::Silent)?.map(drop)
        };
        removed
            .await
            .map_err(|problem| match Attempt::from(problem) {
                Attempt::Again(why) => ParcelProblem::Unreachable(why),
                Attempt::Failed(problem) => problem,
            })
    }

    /// Fetches what the file does not have yet. `came` is told how many bytes it has.
    pub(crate) async fn fetch(
        &self,
        file: &mut File,
        length: u64,
        came: impl Fn(u64),
    ) -> Result<(), ParcelProblem> {
        let mut patience = Patience::new();
        let mut have = os::length_of(file)?;
        if have > length {
            file.set_len(0)?;
            have = 0;
        }
        file.seek(io::SeekFrom::Start(have))?;
        came(have);
        while have < length {
            let before = have;
            let fetched = self.fetch_on(file, &mut have, length, &came).await;
            if have > before {
                patience = Patience::new();
            }
            match fetched {
                Ok(()) => {}
                Err(Attempt::Again(why)) => patience.wait(why).await?,
                Err(Attempt::Failed(problem)) => return Err(problem),
            }
        }
        Ok(())
    }

    async fn fetch_on(
        &self,
        file: &mut File,
        have: &mut u64,
        length: u64,
        came: impl Fn(u64),
    ) -> Result<(), Attempt> {
        let mut relay = Blobs::<Empty<Bytes>>::connect(&self.url).await?;
        let range = [(header::RANGE, format!("bytes={have}-"))];
        let path = http::path(&self.blob);
        let asked = relay.request(Method::GET, &path, &self.read_token, &range, no_body());
        let silent = |_| HttpProblem::from(NetProblem::Silent);
        let mut answer = timeout(limits::STALL, asked).await.map_err(silent)??;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(Attempt::Failed(ParcelProblem::Lost));
            }
            _ => return Err(HttpProblem::Nonsense.into()),
        }
        loop {
            let frame = timeout(limits::STALL, answer.body_mut().frame()).await;
            let Some(frame) = frame.map_err(silent)? else {
                break;
            };
            let frame = frame.map_err(|_| HttpProblem::from(NetProblem::Unreachable))?;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let now = have.saturating_add(bytes.len() as u64);
            // SECURITY: the relay decides how much it sends; `a_relay_that_sends_more_fills_no_disk` notices.
            if now > length {
                return Err(Attempt::Failed(ParcelProblem::Lost));
            }
            file.write_all(&bytes)?;
            *have = now;
            came(now);
        }
        // A relay whose blob ends early says no to the next range.
        match *have == length {
            true => Ok(()),
            false => Err(Attempt::Again("the relay stopped in the middle".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        reason = "test code"
    )]
    use super::super::part::tests::relay;
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn parcel(url: &str) -> Parcel {
        Parcel {
            url: RelayUrl::parse(url).unwrap(),
            blob: BlobId::from_bytes([1; 16]),
            read_token: Secret::from_slice(&[2; 32]).unwrap(),
        }
    }

    fn token() -> Secret<32> {
        Secret::from_slice(&[3; 32]).unwrap()
    }

    async fn fetched(
        answers: Vec<&'static [u8]>,
        had: &[u8],
        length: u64,
    ) -> (Result<(), ParcelProblem>, Vec<u8>, Vec<String>) {
        let (url, mut asks) = relay(answers).await;
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("part");
        std::fs::write(&place, had).unwrap();
        let mut file = os::open_part(&place).unwrap();
        let done = parcel(&url).fetch(&mut file, length, |_| {}).await;
        asks.close();
        let mut asked = Vec::new();
        while let Some((line, _)) = asks.recv().await {
            asked.push(line);
        }
        (done, std::fs::read(&place).unwrap(), asked)
    }

    #[tokio::test]
    async fn what_is_there_is_not_fetched_again() {
        let (done, file, _) = fetched(
            vec![
                b"HTTP/1.1 206 Partial\r\ncontent-length: 2\r\n\r\nab",
                b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
                b"HTTP/1.1 206 Partial\r\ncontent-length: 2\r\n\r\ncd",
            ],
            b"12",
            6,
        )
        .await;
        done.unwrap();
        assert_eq!(file, b"12abcd");
        // What is longer than it may be is not the beginning of it.
        let answer = b"HTTP/1.1 206 Partial\r\ncontent-length: 2\r\n\r\ncd";
        let (done, file, _) = fetched(vec![answer], b"123", 2).await;
        done.unwrap();
        assert_eq!(file, b"cd");
    }

    #[tokio::test]
    async fn a_relay_that_sends_more_fills_no_disk() {
        let answer = b"HTTP/1.1 206 Partial\r\ncontent-length: 7\r\n\r\nforeign";
        let (done, file, _) = fetched(vec![answer], b"", 6).await;
        assert!(matches!(done, Err(ParcelProblem::Lost)), "{done:?}");
        assert_eq!(file, b"");
    }

    #[tokio::test]
    async fn what_the_relay_has_no_more_of_is_not_waited_for() {
        for answer in [
            &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 416 Range\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (done, _, asked) = fetched(vec![answer], b"12", 6).await;
            assert!(matches!(done, Err(ParcelProblem::Lost)), "{done:?}");
            assert_eq!(asked.len(), 1, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_piece_goes_on_where_the_relay_has_it() {
        let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
        let three = b"HTTP/1.1 200 OK\r\nupload-offset: 3\r\nupload-complete: ?0\r\ncontent-length: 0\r\n\r\n";
        let good = b"HTTP/1.1 204 No Content\r\n\r\n";
        let (url, mut asks) = relay(vec![none, busy, three, good, good]).await;
        let (pieces, mut sealed) = mpsc::channel(2);
        pieces.send(Bytes::from_static(b"sealed")).await.unwrap();
        pieces.send(Bytes::from_static(b"end")).await.unwrap();
        drop(pieces);
        let told = AtomicU64::new(0);
        let sent = |more| {
            told.fetch_add(more, Ordering::Relaxed);
        };
        let stored = parcel(&url).store(&token(), &mut sealed, sent).await;
        assert_eq!((stored.unwrap(), told.into_inner()), (9, 9));
        let mut asked = Vec::new();
        for _ in 0..5 {
            asked.push(asks.recv().await.unwrap());
        }
        assert!(
            asked[1].0.contains("?offset=0 ") && asked[1].1 == b"sealed",
            "{asked:?}"
        );
        assert!(
            asked[3].0.contains("?offset=3 ") && asked[3].1 == b"led",
            "{asked:?}"
        );
        assert!(
            asked[4].0.contains("?offset=6 ") && asked[4].1 == b"end",
            "{asked:?}"
        );
    }

    /// A relay that claims to have less than it said, or more than it was sent, would have something else stored.
    #[tokio::test]
    async fn a_relay_that_lost_what_it_had_is_not_sent_the_rest() {
        let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let good = b"HTTP/1.1 204 No Content\r\n\r\n";
        let busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
        let nine = b"HTTP/1.1 200 OK\r\nupload-offset: 9\r\nupload-complete: ?0\r\ncontent-length: 0\r\n\r\n";
        for answers in [vec![&none[..], good, busy, none], vec![&nine[..]]] {
            let (url, _asks) = relay(answers).await;
            let (pieces, mut sealed) = mpsc::channel(2);
            pieces.send(Bytes::from_static(b"sealed")).await.unwrap();
            pieces.send(Bytes::from_static(b"e")).await.unwrap();
            drop(pieces);
            let stored = parcel(&url).store(&token(), &mut sealed, |_| {}).await;
            assert!(matches!(stored, Err(ParcelProblem::Lost)), "{stored:?}");
        }
    }

    #[tokio::test]
    async fn a_relay_without_room_says_so_at_once() {
        let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let quota = b"HTTP/1.1 507 Full\r\ncontent-length: 0\r\n\r\n";
        let disk = b"HTTP/1.1 503 Later\r\nno-room: ?1\r\ncontent-length: 0\r\n\r\n";
        for full in [&quota[..], disk] {
            let (url, _asks) = relay(vec![none, full]).await;
            let (pieces, mut sealed) = mpsc::channel(2);
            pieces.send(Bytes::from_static(b"sealed")).await.unwrap();
            drop(pieces);
            let stored = parcel(&url).store(&token(), &mut sealed, |_| {}).await;
            assert!(matches!(stored, Err(ParcelProblem::NoRoom)), "{stored:?}");
        }
    }
}
