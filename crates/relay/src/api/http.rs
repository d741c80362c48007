//! One TCP connection: TLS where it is due, HTTP/1.1, and the upgrade to a WebSocket. It is one task.

use super::{blobs, health, metrics, ws};
use crate::limits;
use crate::metrics::add;
use crate::state::{State, stopped};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// All HTTP resources but the WebSocket.
pub(crate) fn router(state: &Arc<State>) -> Router {
    Router::new()
        .route("/v1/blobs/{id}", blobs::routes())
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .with_state(Arc::clone(state))
}

/// Serves a TCP connection until it ends.
pub(crate) async fn serve(
    state: Arc<State>,
    router: Router,
    tls: Option<TlsAcceptor>,
    tcp: TcpStream,
    peer: IpAddr,
) {
    let Some(_place) = state.admit(peer) else {
        add(&state.metrics.connections_refused, 1);
        refuse(tls.is_some(), tcp).await;
        return;
    };
    let _unneeded = tcp.set_nodelay(true);
    match tls {
        None => stream(state, router, tcp, peer).await,
        Some(acceptor) => {
            // Boxed, as below: what is done should hold no room in the task.
            let handshake = Box::pin(timeout(limits::HANDSHAKE, acceptor.accept(tcp))).await;
            if let Ok(Ok(secured)) = handshake {
                stream(state, router, secured, peer).await;
            }
        }
    }
}

/// Says on a plain connection that there are too many; on a TLS one there is nobody to say it to yet.
async fn refuse(secured: bool, mut tcp: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if secured {
        return;
    }
    let say = async {
        tcp.write_all(answer).await?;
        tcp.shutdown().await?;
        // What is not read makes the system reset the connection, and the peer would not see the answer.
        let mut rest = [0; 512];
        while tcp.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    let _gone = timeout(limits::REFUSED, say).await;
}

async fn stream<S>(state: Arc<State>, router: Router, io: S, peer: IpAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let upgrade = Arc::new(Mutex::new(None));
    Box::pin(http(
        Arc::clone(&state),
        router,
        io,
        peer,
        Arc::clone(&upgrade),
    ))
    .await;
    let upgrade = upgrade
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(upgrade) = upgrade {
        websocket::<S>(state, upgrade, peer).await;
    }
}

/// Where the HTTP part leaves the upgrade for the WebSocket part.
type Slot = Arc<Mutex<Option<OnUpgrade>>>;

async fn http<S>(state: Arc<State>, router: Router, io: S, peer: IpAddr, slot: Slot)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut stopping = state.stopping.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (state, router, slot) = (Arc::clone(&state), router.clone(), Arc::clone(&slot));
        async move { Ok::<_, Infallible>(answer(&state, router, request, peer, &slot).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD)
            .max_headers(limits::HTTP_HEADERS)
            .max_buf_size(limits::HTTP_BUFFER)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _late = timeout(limits::STOP, connection).await;
}

async fn answer(
    state: &Arc<State>,
    router: Router,
    mut request: hyper::Request<Incoming>,
    peer: IpAddr,
    slot: &Slot,
) -> Response {
    if let Err(wait_ms) = state.charge_peer(peer) {
        let seconds = wait_ms.div_ceil(1000);
        return (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, HeaderValue::from(seconds))],
        )
            .into_response();
    }
    let path = request.uri().path();
    if path == "/v1/ws" {
        return upgrade(&mut request, slot);
    }
    if is_hidden(path, state.config.open_metrics, peer) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let request: Request = request.map(Body::new);
    match TowerToHyperService::new(router).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Health and metrics are the operator's own, where nothing else is said.
fn is_hidden(path: &str, open_metrics: bool, peer: IpAddr) -> bool {
    let for_operator = matches!(path, "/health" | "/metrics");
    for_operator && !open_metrics && !peer.to_canonical().is_loopback()
}

/// Answers the opening handshake (RFC 6455, section 4.2).
fn upgrade(request: &mut hyper::Request<Incoming>, slot: &Slot) -> Response {
    let headers = request.headers();
    let has = |name, wanted: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case(wanted))
            })
    };
    let asked = request.version() == Version::HTTP_11
        && request.method() == hyper::Method::GET
        && has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade");
    if !asked {
        return (
            StatusCode::UPGRADE_REQUIRED,
            [(header::UPGRADE, "websocket")],
        )
            .into_response();
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return (
            StatusCode::BAD_REQUEST,
            [(header::SEC_WEBSOCKET_VERSION, "13")],
        )
            .into_response();
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(hyper::upgrade::on(request));
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let head = response.headers_mut();
    head.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    head.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    head.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

async fn websocket<S>(state: Arc<State>, upgrade: OnUpgrade, peer: IpAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else {
        return;
    };
    let (io, early) = (parts.io.into_inner(), parts.read_buf);
    let config = Some(ws::config());
    let socket = if early.is_empty() {
        WebSocketStream::from_raw_socket(io, Role::Server, config).await
    } else {
        WebSocketStream::from_partially_read(io, early.to_vec(), Role::Server, config).await
    };
    ws::serve(state, peer, socket).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_metrics_are_hidden_from_other_machines() {
        let peers: [IpAddr; 3] = [
            [192, 0, 2, 1].into(),
            [10, 0, 0, 1].into(),
            [0xfd; 16].into(),
        ];
        for path in ["/health", "/metrics"] {
            for peer in peers {
                assert!(is_hidden(path, false, peer), "{path} to {peer}");
                assert!(!is_hidden(path, true, peer), "opened by the operator");
            }
            let mapped = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            for peer in [[127, 0, 0, 1].into(), IpAddr::V6(mapped)] {
                assert!(!is_hidden(path, false, peer), "{path} to {peer}");
            }
        }
        assert!(!is_hidden("/v1/ws", false, [192, 0, 2, 1].into()));
    }
}
