//! Servers on loopback, for programs of this machine: pages and WebDAV.

use crate::failure::{failure, internal};
use crate::limits;
use crate::view::{Failure, FailureKind};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Listens on an address, and says which one it is: a port of 0 takes a free one. `hint` is for whoever finds it taken.
pub(crate) async fn listen(
    address: SocketAddr,
    hint: &str,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let message = format!("{address} cannot be listened on: {}", error.kind());
        failure(FailureKind::Failed, message, Some(hint))
    })?;
    let address = listener
        .local_addr()
        .map_err(|_| internal("an address of loopback"))?;
    Ok((listener, address))
}

/// What a server bears with.
pub(crate) struct Bounds {
    /// Connections at a time: those that are more are closed.
    pub(crate) connections: usize,
    /// How long a request may take to say what it asks for.
    pub(crate) head: Duration,
}

/// What every connection bears with; each request may take as long as `head` to say what it asks for.
pub(crate) fn rules(head: Duration) -> http1::Builder {
    let mut rules = http1::Builder::new();
    rules
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(64);
    rules
}

/// Answers requests until `stop`. What was asked already may end.
pub(crate) async fn serve<A, B>(
    listener: TcpListener,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
    answer: impl Fn(Request<Incoming>) -> A + Clone + Send + 'static,
) where
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = stream else { continue };
        if open.len() >= bounds.connections {
            continue;
        }
        let answer = answer.clone();
        open.spawn(async move {
            let answer = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let _ = rules(bounds.head)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
    let rest = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(limits::CLOSE, rest).await;
}
