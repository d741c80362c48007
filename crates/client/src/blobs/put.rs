//! One blob on its way into a relay's store: how much it holds, the rest, the end.

use super::http::{self, Blobs, HttpProblem, Stored};
use crate::limits;
use crate::net::NetProblem;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderName;
use keys::{BlobId, Secret, Timestamp};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A blob and what its relay wants to see.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) blob: &'a BlobId,
    pub(crate) write_token: &'a Secret<32>,
    pub(crate) read_token: &'a Secret<32>,
    /// Whether it is kept as long as somebody uses it.
    pub(crate) lasting: bool,
}

/// Asks how much the relay holds.
pub(crate) async fn stored(
    relay: &mut Blobs<Outgoing>,
    target: Target<'_>,
) -> Result<Stored, HttpProblem> {
    let path = http::path(target.blob);
    let asked = relay.request(
        Method::HEAD,
        &path,
        target.write_token,
        &[],
        Outgoing::Nothing,
    );
    let answer = timeout(limits::STALL, asked)
        .await
        .map_err(|_| NetProblem::Silent)??;
    match answer.status() {
        StatusCode::NOT_FOUND => Ok(Stored {
            offset: 0,
            complete: false,
        }),
        status if status.is_success() => http::stored(&answer),
        _ => Err(HttpProblem::Nonsense),
    }
}

/// Says that this is all.
pub(crate) async fn complete(
    relay: &mut Blobs<Outgoing>,
    target: Target<'_>,
    total: u64,
) -> Result<(), HttpProblem> {
    complete_until(relay, target, total, None).await
}

/// Says that this is all, and when nobody is to get it any more.
pub(crate) async fn complete_until(
    relay: &mut Blobs<Outgoing>,
    target: Target<'_>,
    total: u64,
    until: Option<Timestamp>,
) -> Result<(), HttpProblem> {
    let until = until.map_or_else(String::new, |until| format!("&until={}", until.as_secs()));
    let path = format!("{}?length={total}{until}", http::path(target.blob));
    let asked = relay.request(
        Method::POST,
        &path,
        target.write_token,
        &[],
        Outgoing::Nothing,
    );
    let answer = timeout(limits::STALL, asked)
        .await
        .map_err(|_| NetProblem::Silent)??;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(HttpProblem::Later)
    }
}

/// Sends the bytes from an offset on.
pub(crate) async fn put(
    relay: &mut Blobs<Outgoing>,
    target: Target<'_>,
    offset: u64,
    total: u64,
    pieces: mpsc::Receiver<Bytes>,
    sent: &Arc<AtomicU64>,
) -> Result<(), HttpProblem> {
    let body = Outgoing::Pieces(Pieces {
        pieces,
        left: total.saturating_sub(offset),
        sent: Arc::clone(sent),
    });
    put_body(relay, target, offset, body).await
}

/// Sends one body to an offset.
pub(super) async fn put_body(
    relay: &mut Blobs<Outgoing>,
    target: Target<'_>,
    offset: u64,
    body: Outgoing,
) -> Result<(), HttpProblem> {
    let path = format!("{}?offset={offset}", http::path(target.blob));
    let hash = keys::sha256(&[target.read_token.expose_secret()]);
    let mut headers = vec![(
        HeaderName::from_static("read-token-hash"),
        BASE64URL_NOPAD.encode(&hash),
    )];
    if target.lasting {
        headers.push((HeaderName::from_static("lasting"), "?1".to_owned()));
    }
    let answer = relay
        .request(Method::PUT, &path, target.write_token, &headers, body)
        .await?;
    let status = answer.status();
    http::drain(answer).await;
    // A conflict: another attempt of ours got further than this one knew.
    if status.is_success() {
        Ok(())
    } else {
        Err(HttpProblem::Later)
    }
}

/// The pieces as an HTTP body of known length.
pub(crate) struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
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

/// The body of a request: pieces of a file, bytes that are there, or nothing.
pub(crate) enum Outgoing {
    Pieces(Pieces),
    Whole(Bytes),
    Nothing,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Pieces(pieces) => Pin::new(pieces).poll_frame(cx),
            Self::Whole(bytes) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Whole(_) | Self::Nothing => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pieces(_) => false,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Nothing => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) => pieces.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Nothing => SizeHint::with_exact(0),
        }
    }
}
