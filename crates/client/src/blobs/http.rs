//! The relay's blob store, as HTTP/1.1 has it (docs/spec/wire.md, "Blobs").

use crate::limits;
use crate::net::NetProblem;
use crate::relay_url::RelayUrl;
use crate::tls;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use keys::{BlobId, Secret};
use tokio::time::timeout;

/// Why a transfer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HttpProblem {
    /// There is no connection, or none any more: try again.
    #[error(transparent)]
    Net(#[from] NetProblem),
    /// The relay asks to come back later.
    #[error("the relay is busy")]
    Later,
    /// The relay's disk is full: it asks to come back later, too.
    #[error("the relay has no room for more")]
    NoRoom,
    /// The relay says no.
    #[error("the relay refused (status {0})")]
    Refused(StatusCode),
    /// The relay's answer makes no sense.
    #[error("the relay's answer makes no sense")]
    Nonsense,
}

/// A connection for one request after the other.
pub(crate) struct Blobs<B> {
    authority: String,
    sender: SendRequest<B>,
}

/// What lies at the relay of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Durable bytes.
    pub(crate) offset: u64,
    /// Whether that is all.
    pub(crate) complete: bool,
}

impl<B> Blobs<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Connects to a relay.
    pub(crate) async fn connect(url: &RelayUrl) -> Result<Self, HttpProblem> {
        let stream = tls::connect(url)
            .await
            .map_err(|_| NetProblem::Unreachable)?;
        let (sender, connection) = http1::Builder::new()
            .max_headers(32)
            .max_buf_size(512 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NetProblem::Protocol)?;
        tokio::spawn(connection);
        Ok(Self {
            authority: url.authority(),
            sender,
        })
    }

    /// Sends a request and waits for the head of the answer, however long its body takes to leave.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        token: &Secret<32>,
        headers: &[(header::HeaderName, String)],
        body: B,
    ) -> Result<Response<Incoming>, HttpProblem> {
        let token = zeroize::Zeroizing::new(format!(
            "Bearer {}",
            BASE64URL_NOPAD.encode(token.expose_secret())
        ));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, token.as_str());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|_| HttpProblem::Nonsense)?;
        self.sender
            .ready()
            .await
            .map_err(|_| NetProblem::Unreachable)?;
        let answer = self
            .sender
            .send_request(request)
            .await
            .map_err(|_| NetProblem::Unreachable)?;
        match answer.status() {
            status
                if status.is_success()
                    || status == StatusCode::NOT_FOUND
                    || status == StatusCode::CONFLICT =>
            {
                Ok(answer)
            }
            StatusCode::SERVICE_UNAVAILABLE if answer.headers().contains_key("no-room") => {
                Err(HttpProblem::NoRoom)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(HttpProblem::Later)
            }
            status => Err(HttpProblem::Refused(status)),
        }
    }
}

/// Path of a blob.
pub(crate) fn path(blob: &BlobId) -> String {
    format!("/v1/blobs/{blob}")
}

/// Reads what an answer says of an upload.
pub(crate) fn stored(answer: &Response<Incoming>) -> Result<Stored, HttpProblem> {
    let text = |name| {
        answer
            .headers()
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    let offset = text("upload-offset")
        .and_then(|offset| offset.parse().ok())
        .ok_or(HttpProblem::Nonsense)?;
    Ok(Stored {
        offset,
        complete: text("upload-complete") == Some("?1"),
    })
}

/// Reads and drops what is left of an answer, so that the connection can be used again.
pub(crate) async fn drain(answer: Response<Incoming>) {
    let body = Limited::new(answer.into_body(), limits::HTTP_HEAD_BYTES);
    let _ = timeout(limits::CONNECT, body.collect()).await;
}

/// A body for requests that have none.
pub(crate) fn no_body() -> Empty<Bytes> {
    Empty::new()
}
