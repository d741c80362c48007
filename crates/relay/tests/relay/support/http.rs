//! Plain HTTP/1.1 requests.

use super::House;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use tokio::net::TcpStream;

/// The body of a request.
pub(crate) type Outgoing = BoxBody<Bytes, io::Error>;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: hyper::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A body whose length is announced.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Outgoing {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body in pieces that ends well, or breaks off.
pub(crate) fn pieces(pieces: Vec<Vec<u8>>, broken: bool) -> Outgoing {
    let end = broken.then(|| Err(io::Error::other("broken off")));
    let all = pieces.into_iter().map(|piece| Ok(Bytes::from(piece)));
    let frames: Vec<io::Result<_>> = all.chain(end).map(|piece| piece.map(Frame::data)).collect();
    StreamBody::new(stream::iter(frames)).boxed()
}

impl House {
    /// Asks on a connection of its own; nothing if it was cut off.
    pub(crate) async fn try_http(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Outgoing,
    ) -> Option<Answer> {
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "relay");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = sender
            .send_request(request.body(body).unwrap())
            .await
            .ok()?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        drop(sender);
        driver.abort();
        Some(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = self.try_http(Method::GET, path, &[], whole("")).await;
        answer.unwrap()
    }
}

/// The header that shows a token.
pub(crate) fn bearer(token: &[u8; 32]) -> (&'static str, String) {
    let text = BASE64URL_NOPAD.encode(token);
    ("authorization", format!("Bearer {text}"))
}
