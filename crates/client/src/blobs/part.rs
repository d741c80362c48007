//! A part of an archive: bytes that are sealed already, whole in memory, to the blob store or back.

use super::http::{self, Blobs, HttpProblem};
use super::put::{self, Outgoing, Target};
use super::{FileEvent, PIECES};
use crate::limits;
use crate::net::NetProblem;
use crate::os;
use crate::relay_url::RelayUrl;
use bytes::Bytes;
use engine::records::{Part, Way};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, StatusCode};
use keys::{BlobId, Secret};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Bytes that travel together.
const PIECE: usize = 64 * 1024;

/// A part to store or to fetch.
pub(crate) struct PartJob {
    blob: BlobId,
    relay: String,
    read_token: Secret<32>,
    way: Job,
}

enum Job {
    Store {
        write_token: Secret<32>,
        sealed: Bytes,
    },
    Fetch {
        size: usize,
    },
}

impl PartJob {
    /// What the engine wants done, or nothing where that is more than a part may have.
    pub(crate) fn new(part: Part) -> Option<Self> {
        let way = match part.way {
            Way::Store {
                write_token,
                sealed,
            } => Job::Store {
                write_token,
                sealed: sealed.into(),
            },
            Way::Fetch { size } => Job::Fetch {
                size: usize::try_from(size)
                    .ok()
                    .filter(|size| *size <= limits::PART_BYTES)?,
            },
        };
        Some(Self {
            blob: part.blob,
            relay: part.relay,
            read_token: part.read_token,
            way,
        })
    }
}

/// Stores or fetches a part and tells how it ended. It tries until it is done or cannot be.
pub(crate) async fn move_part(job: PartJob, events: mpsc::Sender<FileEvent>) {
    let blob = job.blob;
    let mut pause = limits::BACK_OFF_FIRST;
    loop {
        let moved = Arc::new(AtomicU64::new(0));
        let done = match &job.way {
            Job::Store {
                write_token,
                sealed,
            } => store(&job, write_token, sealed, &moved)
                .await
                .map(|()| FileEvent::PartStored { blob }),
            Job::Fetch { size } => fetch(&job, *size)
                .await
                .map(|sealed| FileEvent::PartFetched { blob, sealed }),
        };
        let event = match done {
            Ok(event) => event,
            Err(HttpProblem::Refused(status)) if is_final(status) => FileEvent::PartFailed { blob },
            Err(_) => {
                if moved.load(Ordering::Relaxed) > 0 {
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

/// A relay that stumbles may stand again; one that says no means it.
fn is_final(status: StatusCode) -> bool {
    let says_no = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
    says_no || status == StatusCode::INSUFFICIENT_STORAGE
}

async fn store(
    job: &PartJob,
    write_token: &Secret<32>,
    sealed: &Bytes,
    moved: &Arc<AtomicU64>,
) -> Result<(), HttpProblem> {
    let url = RelayUrl::parse(&job.relay).map_err(|_| HttpProblem::Nonsense)?;
    let mut relay = Blobs::<Outgoing>::connect(&url).await?;
    let target = Target {
        blob: &job.blob,
        write_token,
        read_token: &job.read_token,
        lasting: false,
    };
    let total = sealed.len() as u64;
    let stored = put::stored(&mut relay, target).await?;
    if stored.complete {
        return Ok(());
    }
    let offset = usize::try_from(stored.offset).map_err(|_| HttpProblem::Nonsense)?;
    if offset > sealed.len() {
        return Err(HttpProblem::Nonsense);
    }
    if offset < sealed.len() {
        let (pieces, body) = mpsc::channel(PIECES);
        let mut rest = sealed.slice(offset..);
        tokio::spawn(async move {
            while !rest.is_empty() {
                let piece = rest.split_to(PIECE.min(rest.len()));
                if pieces.send(piece).await.is_err() {
                    return;
                }
            }
        });
        let put = put::put(&mut relay, target, stored.offset, total, body, moved);
        timeout(limits::PART, put)
            .await
            .map_err(|_| NetProblem::Silent)??;
    }
    put::complete(&mut relay, target, total).await
}

async fn fetch(job: &PartJob, size: usize) -> Result<Vec<u8>, HttpProblem> {
    let url = RelayUrl::parse(&job.relay).map_err(|_| HttpProblem::Nonsense)?;
    let mut relay = Blobs::<Empty<Bytes>>::connect(&url).await?;
    let path = http::path(&job.blob);
    let asked = relay.request(Method::GET, &path, &job.read_token, &[], http::no_body());
    let answer = timeout(limits::STALL, asked)
        .await
        .map_err(|_| NetProblem::Silent)??;
    match answer.status() {
        StatusCode::OK => {}
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => {
            return Err(HttpProblem::Refused(status));
        }
        _ => return Err(HttpProblem::Nonsense),
    }
    // SECURITY: the relay decides how much it sends; `a_part_longer_than_announced_is_not_taken` notices.
    let body = Limited::new(answer.into_body(), size).collect();
    let body = timeout(limits::PART, body)
        .await
        .map_err(|_| NetProblem::Silent)?
        .map_err(|_| HttpProblem::Nonsense)?
        .to_bytes();
    if body.len() < size {
        return Err(HttpProblem::Nonsense);
    }
    Ok(body.into())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "test code"
    )]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// Reads one request: its first line, and its body.
    async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end.saturating_add(4);
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while bytes.len() < head.saturating_add(length) {
            stream.read_buf(&mut bytes).await.ok()?;
        }
        let first = text.lines().next().unwrap().to_owned();
        Some((first, bytes[head..].to_vec()))
    }

    /// A relay that gives these answers, one after the other, and tells what it was asked.
    pub(in crate::blobs) async fn relay(
        answers: Vec<&'static [u8]>,
    ) -> (String, mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, asks) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                while let Some(request) = request(&mut stream).await {
                    let Some(answer) = answers.next() else { return };
                    let _ = asked.send(request);
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        (url, asks)
    }

    fn part(relay: String, way: Job) -> PartJob {
        PartJob {
            blob: BlobId::from_bytes([1; 16]),
            relay,
            read_token: Secret::from_slice(&[2; 32]).unwrap(),
            way,
        }
    }

    async fn moved(job: PartJob) -> FileEvent {
        let (events, mut heard) = mpsc::channel(1);
        move_part(job, events).await;
        heard.recv().await.unwrap()
    }

    #[tokio::test]
    async fn a_part_is_stored_from_where_the_relay_has_it() {
        let (url, mut asks) = relay(vec![
            b"HTTP/1.1 200 OK\r\nupload-offset: 3\r\nupload-complete: ?0\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ])
        .await;
        let way = Job::Store {
            write_token: Secret::from_slice(&[3; 32]).unwrap(),
            sealed: Bytes::from_static(b"sealed"),
        };
        let event = moved(part(url, way)).await;
        assert!(matches!(event, FileEvent::PartStored { .. }));
        let asked = [asks.recv().await, asks.recv().await, asks.recv().await];
        let asked = asked.map(Option::unwrap);
        assert!(asked[0].0.starts_with("head "), "{asked:?}");
        assert!(asked[1].0.contains("?offset=3 "), "{asked:?}");
        assert_eq!(asked[1].1, b"led");
        assert!(asked[2].0.contains("?length=6 "), "{asked:?}");
    }

    #[tokio::test]
    async fn a_part_longer_than_announced_is_not_taken() {
        let (url, _asks) = relay(vec![
            b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforeign",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort",
            b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsealed",
        ])
        .await;
        match moved(part(url, Job::Fetch { size: 6 })).await {
            FileEvent::PartFetched { sealed, .. } => assert_eq!(sealed, b"sealed"),
            _ => panic!("the part came at last"),
        }
    }

    #[tokio::test]
    async fn a_relay_that_says_no_is_not_asked_again() {
        for answer in [
            &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 507 Full\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (url, mut asks) = relay(vec![answer]).await;
            let event = moved(part(url, Job::Fetch { size: 6 })).await;
            assert!(matches!(event, FileEvent::PartFailed { .. }));
            assert!(asks.recv().await.is_some());
        }
    }
}
