//! One connection to one relay: a WebSocket that comes back by itself.
//!
//! ```text
//!   Closed ──connect, greet──► Up ──silence, nonsense, end──► Closed, pause with jitter ──► …
//! ```
//!
//! Nothing a relay does blocks or ends the client: every wait has its limit, every frame its length, and what
//! cannot be decoded ends the connection.

use crate::limits;
use crate::os;
use crate::relay_url::{RelayUrl, Security};
use crate::tls::{self, Stream};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use keys::QueueId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

/// What the driver wants of a relay.
pub(crate) enum Wish {
    /// Send a request.
    Request {
        /// Its number.
        id: u64,
        /// The encoded frame.
        frame: Bytes,
    },
    /// Somebody waits: end the pause before the next attempt.
    Hurry,
}

/// What happened at a relay.
pub(crate) enum NetEvent {
    /// A connection stands.
    Up {
        /// The relay.
        relay: String,
        /// What it said of itself.
        welcome: Box<wire::Welcome>,
    },
    /// A request was answered.
    Reply {
        /// The relay.
        relay: String,
        /// The request's number.
        id: u64,
        /// The answer.
        reply: Box<wire::Reply>,
    },
    /// A body came.
    Deliver {
        /// The relay.
        relay: String,
        /// Its queue.
        queue: QueueId,
        /// Its place there.
        seq: u64,
        /// The body.
        body: Bytes,
    },
    /// There is no connection, or none any more.
    Down {
        /// The relay.
        relay: String,
        /// Why.
        problem: NetProblem,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NetProblem {
    /// Nobody answers at the address, or no longer.
    #[error("the relay cannot be reached")]
    Unreachable,
    /// Whoever answers does not hold the pinned key.
    #[error("the relay's key is not the one in its address")]
    WrongKey,
    /// What answers is not a relay of this version.
    #[error("what answers at this address is not a relay that this version understands")]
    Protocol,
    /// It takes requests and answers none.
    #[error("the relay does not answer")]
    Silent,
}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Keeps a connection to a relay until the wishes end.
pub(crate) async fn run(
    url: RelayUrl,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    events: mpsc::Sender<NetEvent>,
) {
    let relay = url.canonical();
    let mut pause = limits::BACK_OFF_FIRST;
    loop {
        let problem = match open(&url).await {
            Ok((socket, welcome)) => {
                pause = limits::BACK_OFF_FIRST;
                let up = NetEvent::Up {
                    relay: relay.clone(),
                    welcome: Box::new(welcome),
                };
                if events.send(up).await.is_err() {
                    return;
                }
                match converse(socket, &relay, &mut wishes, &events).await {
                    Some(problem) => problem,
                    None => return,
                }
            }
            Err(problem) => problem,
        };
        if events
            .send(NetEvent::Down {
                relay: relay.clone(),
                problem,
            })
            .await
            .is_err()
        {
            return;
        }
        if !rest(os::jitter(pause), &mut wishes).await {
            return;
        }
        pause = pause.saturating_mul(2).min(limits::BACK_OFF_LAST);
    }
}

/// Waits before the next attempt; false when nobody wishes for one any more. Requests that come meanwhile are
/// dropped: the engine offers them again on the next connection.
async fn rest(pause: Duration, wishes: &mut mpsc::UnboundedReceiver<Wish>) -> bool {
    let wished = async {
        loop {
            match wishes.recv().await {
                Some(Wish::Hurry) => return true,
                Some(Wish::Request { .. }) => {}
                None => return false,
            }
        }
    };
    timeout(pause, wished).await.unwrap_or(true)
}

async fn open(url: &RelayUrl) -> Result<(Socket, wire::Welcome), NetProblem> {
    let stream = tls::connect(url)
        .await
        .map_err(|error| problem_of(url, &error))?;
    let greeted = async {
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(16 * 1024)
            .max_message_size(Some(limits::FRAME_BYTES))
            .max_frame_size(Some(limits::FRAME_BYTES));
        let address = format!("ws://{}/v1/ws", url.authority());
        let (mut socket, _) =
            tokio_tungstenite::client_async_with_config(address, stream, Some(config))
                .await
                .map_err(|error| match error {
                    tungstenite::Error::Io(_) => NetProblem::Unreachable,
                    _ => NetProblem::Protocol,
                })?;
        let hello = wire::Request::Hello(wire::Hello {
            version: wire::limits::VERSION,
        });
        let frame = wire::ClientFrame {
            request_id: HELLO,
            request: hello,
        }
        .encode();
        socket
            .send(Message::Binary(frame.into()))
            .await
            .map_err(|_| NetProblem::Unreachable)?;
        let answer = socket
            .next()
            .await
            .ok_or(NetProblem::Unreachable)?
            .map_err(|_| NetProblem::Protocol)?;
        match answer {
            Message::Binary(bytes) => match wire::RelayFrame::decode(bytes) {
                Ok(wire::RelayFrame {
                    request_id: HELLO,
                    reply: wire::Reply::Welcome(welcome),
                }) => Ok((socket, welcome)),
                _ => Err(NetProblem::Protocol),
            },
            _ => Err(NetProblem::Protocol),
        }
    };
    timeout(limits::CONNECT, greeted)
        .await
        .map_err(|_| NetProblem::Silent)?
}

/// The number of the greeting; the engine counts from 1 upwards, the driver from the top half.
const HELLO: u64 = 1 << 62;

fn problem_of(url: &RelayUrl, error: &std::io::Error) -> NetProblem {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, url.security()) {
        (Some(rustls::Error::InvalidCertificate(_)), Security::Pinned(_)) => NetProblem::WrongKey,
        (Some(_), _) => NetProblem::Protocol,
        (None, _) => NetProblem::Unreachable,
    }
}

/// What both directions of a connection know.
struct Shared {
    /// Requests without answer, and since when.
    asked: Mutex<BTreeMap<u64, Instant>>,
    /// When the relay last said anything.
    heard: Mutex<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends and receives until the connection ends; nothing when the wishes ended.
async fn converse(
    socket: Socket,
    relay: &str,
    wishes: &mut mpsc::UnboundedReceiver<Wish>,
    events: &mpsc::Sender<NetEvent>,
) -> Option<NetProblem> {
    let shared = Shared {
        asked: Mutex::default(),
        heard: Mutex::new(os::instant()),
    };
    let (sink, stream) = socket.split();
    tokio::select! {
        problem = receive(stream, relay, events, &shared) => Some(problem),
        problem = send(sink, wishes, &shared) => problem,
        () = watch(&shared) => Some(NetProblem::Silent),
    }
}

async fn send(
    mut sink: SplitSink<Socket, Message>,
    wishes: &mut mpsc::UnboundedReceiver<Wish>,
    shared: &Shared,
) -> Option<NetProblem> {
    loop {
        let message = match timeout(limits::QUIET, wishes.recv()).await {
            Ok(Some(Wish::Request { id, frame })) => {
                lock(&shared.asked).insert(id, os::instant());
                Message::Binary(frame)
            }
            Ok(Some(Wish::Hurry)) => continue,
            Ok(None) => {
                let _ = timeout(limits::CLOSE, sink.close()).await;
                return None;
            }
            Err(_) => Message::Ping(Bytes::new()),
        };
        let sent = async {
            sink.feed(message).await?;
            // What else is there goes into the same packet.
            if wishes.is_empty() {
                sink.flush().await
            } else {
                Ok(())
            }
        };
        match timeout(limits::ANSWER, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Some(NetProblem::Unreachable),
            Err(_) => return Some(NetProblem::Silent),
        }
    }
}

async fn receive(
    mut stream: SplitStream<Socket>,
    relay: &str,
    events: &mpsc::Sender<NetEvent>,
    shared: &Shared,
) -> NetProblem {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return problem_in(&error),
            None => return NetProblem::Unreachable,
        };
        *lock(&shared.heard) = os::instant();
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return NetProblem::Unreachable,
            Message::Text(_) | Message::Frame(_) => return NetProblem::Protocol,
        };
        let Ok(frame) = wire::RelayFrame::decode(bytes) else {
            return NetProblem::Protocol;
        };
        let (id, reply) = (frame.request_id, frame.reply);
        let relay = relay.to_owned();
        let event = match reply {
            wire::Reply::Deliver(deliver) => NetEvent::Deliver {
                relay,
                queue: deliver.queue_id,
                seq: deliver.seq,
                body: deliver.body.into_bytes(),
            },
            // An answer to nothing is not passed on.
            reply => match lock(&shared.asked).remove(&id) {
                Some(_) => NetEvent::Reply {
                    relay,
                    id,
                    reply: Box::new(reply),
                },
                None => continue,
            },
        };
        // The driver is behind, or the profile closes: the relay waits, for its window is bounded.
        if events.send(event).await.is_err() {
            return NetProblem::Unreachable;
        }
        *lock(&shared.heard) = os::instant();
    }
}

fn problem_in(error: &tungstenite::Error) -> NetProblem {
    use tungstenite::error::ProtocolError;
    match error {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            NetProblem::Unreachable
        }
        tungstenite::Error::Capacity(_) | tungstenite::Error::Protocol(_) => NetProblem::Protocol,
        _ => NetProblem::Unreachable,
    }
}

/// Ends when the relay has been silent for too long.
async fn watch(shared: &Shared) {
    loop {
        tokio::time::sleep(limits::TICK).await;
        let quiet = lock(&shared.heard).elapsed();
        let oldest = lock(&shared.asked).values().min().copied();
        let unanswered =
            oldest.is_some_and(|since| since.elapsed() > limits::ANSWER) && quiet > limits::TICK;
        if unanswered || quiet > limits::DEAD {
            return;
        }
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
