//! One WebSocket connection: requests in, replies and bodies out. It is one task.
//!
//! Sends and acknowledgements go to the writer without waiting, so that many are in one transaction; their
//! replies come back through the mailbox. Everything else is rare and handled before the next frame is read.

use crate::delivery::ConnectionId;
use crate::limits;
use crate::mailbox::Mailbox;
use crate::metrics::add;
use crate::os;
use crate::queues::{self, AcknowledgeJob, SendJob};
use crate::refusal;
use crate::state::{State, fetch, stopped};
use crate::store::InEpoch;
use crate::{directory, heads, key_packages, locks, prekeys, tickets};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::CapacityError};
use wire::{ClientFrame, RefusalKind, RelayFrame, Reply, Request, Welcome};

/// Settings of every WebSocket: nothing is held beyond one frame.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(limits::READ_BUFFER)
        .write_buffer_size(limits::WRITE_GATHER)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(wire::limits::FRAME_BYTES))
        .max_frame_size(Some(wire::limits::FRAME_BYTES))
}

/// A connection after its upgrade.
struct Connection<S> {
    state: Arc<State>,
    socket: WebSocketStream<S>,
    mailbox: Arc<Mailbox>,
    id: ConnectionId,
    peer: IpAddr,
    challenge: [u8; 32],
    greeted: bool,
    malformed: u32,
    /// Whether something came since the last tick.
    heard: bool,
    pinged: bool,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer is gone, or the network.
    Gone,
    /// The relay closes with a code.
    Close(CloseCode),
}

/// Serves a WebSocket until it ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    state: Arc<State>,
    peer: IpAddr,
    socket: WebSocketStream<S>,
) {
    let id = state.next_connection();
    let mailbox = Arc::new(Mailbox::default());
    state.delivery.open(id, &mailbox);
    let mut connection = Connection {
        state,
        socket,
        mailbox,
        id,
        peer,
        challenge: os::random(),
        greeted: false,
        malformed: 0,
        heard: false,
        pinged: false,
    };
    let end = connection.run().await;
    connection.state.delivery.close(id);
    if let End::Close(code) = end {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        let _gone = timeout(limits::STOP, connection.socket.close(Some(frame))).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> End {
        let mut stopping = self.state.stopping.clone();
        let mut ticks = interval(limits::PING_AFTER);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let end = loop {
            let may_read = self.mailbox.has_room();
            let step = tokio::select! {
                () = self.mailbox.changed() => self.write().await,
                message = self.socket.next(), if may_read => self.read(message).await,
                _ = ticks.tick() => self.tick().await,
                () = stopped(&mut stopping) => Err(End::Close(CloseCode::Away)),
            };
            if let Err(end) = step {
                break end;
            }
        };
        if end == End::Close(CloseCode::Away) {
            self.finish().await;
        }
        end
    }

    /// Writes what is answered already, and what the store still answers.
    async fn finish(&mut self) {
        let all = async {
            while self.mailbox.pending() > 0 {
                self.mailbox.changed().await;
                self.write().await?;
            }
            self.write().await
        };
        let _gone = timeout(limits::STOP, all).await;
    }

    async fn tick(&mut self) -> Result<(), End> {
        if std::mem::take(&mut self.heard) {
            self.pinged = false;
            return Ok(());
        }
        if std::mem::replace(&mut self.pinged, true) {
            return Err(End::Gone);
        }
        self.flush_with(Some(Message::Ping(Bytes::new()))).await
    }

    async fn write(&mut self) -> Result<(), End> {
        if self.mailbox.has_failed() {
            return Err(End::Close(CloseCode::Error));
        }
        let frames = self.mailbox.take();
        for frame in frames {
            if matches!(frame.reply, Reply::Refused(_)) {
                add(&self.state.metrics.refusals, 1);
            }
            let message = Message::Binary(frame.encode().into());
            timeout(limits::WRITE, self.socket.feed(message))
                .await
                .map_err(|_| End::Gone)?
                .map_err(|_| End::Gone)?;
        }
        self.flush_with(None).await
    }

    async fn flush_with(&mut self, message: Option<Message>) -> Result<(), End> {
        let write = async {
            if let Some(message) = message {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        timeout(limits::WRITE, write)
            .await
            .map_err(|_| End::Gone)?
            .map_err(|_| End::Gone)
    }

    /// Handles a message and those that lie in the buffer behind it.
    async fn read(&mut self, first: Option<Result<Message, Error>>) -> Result<(), End> {
        self.heard = true;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Binary(bytes))) => self.frame(bytes).await?,
                Some(Ok(Message::Text(_))) => return Err(End::Close(CloseCode::Unsupported)),
                Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
                Some(Ok(_)) => {}
                Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                    return Err(End::Close(CloseCode::Size));
                }
                Some(Err(Error::Protocol(_))) => return Err(End::Close(CloseCode::Protocol)),
                Some(Err(_)) => return Err(End::Gone),
            }
            next = if self.mailbox.has_room() {
                self.socket.next().now_or_never()
            } else {
                None
            };
        }
        Ok(())
    }

    async fn frame(&mut self, bytes: Bytes) -> Result<(), End> {
        let number = ClientFrame::number(&bytes);
        let ClientFrame {
            request_id,
            request,
        } = match ClientFrame::decode(bytes) {
            Ok(frame) => frame,
            Err(_) => return self.malformed(number),
        };
        if let Err(wait) = self.state.charge_peer(self.peer) {
            self.say(request_id, refusal::rate(wait));
            return Ok(());
        }
        if !self.greeted && !matches!(request, Request::Hello(_)) {
            self.say(
                request_id,
                refusal::of(RefusalKind::Malformed, "hello comes first"),
            );
            return Ok(());
        }
        match request {
            Request::Send(request) => self.send(request_id, request, None).await,
            Request::SendInEpoch(request) => {
                let epoch = InEpoch {
                    group: request.group,
                    epoch: request.epoch,
                    token: request.token,
                    next: request.next,
                };
                self.send(request_id, request.send, Some(epoch)).await
            }
            Request::Acknowledge(request) => self.acknowledge(request_id, request).await,
            Request::Hello(hello) => {
                let reply = self.welcome(hello);
                self.say(request_id, reply);
                Ok(())
            }
            Request::Subscribe(request) => {
                let reply =
                    queues::subscribe(&self.state, self.id, &self.challenge, &request).await;
                self.say(request_id, reply.clone());
                queues::begin(&self.state, self.id, &request.queue_id, &reply);
                Ok(())
            }
            request => {
                // Boxed, so that an idle connection does not carry the room for this.
                let reply = Box::pin(answer(&self.state, request)).await;
                self.say(request_id, reply);
                Ok(())
            }
        }
    }

    fn malformed(&mut self, number: u64) -> Result<(), End> {
        add(&self.state.metrics.malformed, 1);
        self.malformed = self.malformed.saturating_add(1);
        if self.malformed > limits::MALFORMED_FRAMES {
            return Err(End::Close(CloseCode::Protocol));
        }
        self.say(
            number,
            refusal::of(RefusalKind::Malformed, "the frame cannot be read"),
        );
        Ok(())
    }

    fn say(&self, request_id: u64, reply: Reply) {
        self.mailbox.push(RelayFrame { request_id, reply });
    }

    fn welcome(&mut self, hello: wire::Hello) -> Reply {
        if hello.version != wire::limits::VERSION {
            return refusal::of(RefusalKind::Version, "this relay speaks version 1");
        }
        self.greeted = true;
        Reply::Welcome(Welcome {
            relay_id: self.state.store.relay_id(),
            store_version: self.state.store.version(),
            challenge: self.challenge,
            time: os::now(),
            limits: self.state.limits(),
            registration: self.state.registration(),
        })
    }

    async fn send(
        &mut self,
        request_id: u64,
        request: wire::Send,
        epoch: Option<InEpoch>,
    ) -> Result<(), End> {
        self.mailbox.expect_answer(queues::send_weight(&request));
        let job = SendJob {
            state: Arc::clone(&self.state),
            mailbox: Arc::clone(&self.mailbox),
            request_id,
            request,
            epoch,
            now: os::now(),
            sent: None,
        };
        self.state
            .store
            .submit(Box::new(job))
            .await
            .map_err(|_| End::Close(CloseCode::Away))
    }

    async fn acknowledge(
        &mut self,
        request_id: u64,
        request: wire::Acknowledge,
    ) -> Result<(), End> {
        // SECURITY: only a subscriber may delete; `acknowledging_takes_a_subscription` notices.
        let Ok(behind) =
            self.state
                .delivery
                .acknowledged(self.id, &request.queue_id, request.up_to_seq)
        else {
            self.say(
                request_id,
                refusal::of(RefusalKind::Forbidden, "not subscribed on this connection"),
            );
            return Ok(());
        };
        if behind {
            fetch(&self.state, self.id);
        }
        self.mailbox.expect_answer(0);
        let job = AcknowledgeJob {
            state: Arc::clone(&self.state),
            mailbox: Arc::clone(&self.mailbox),
            request_id,
            request,
        };
        self.state
            .store
            .submit(Box::new(job))
            .await
            .map_err(|_| End::Close(CloseCode::Away))
    }
}

async fn answer(state: &State, request: Request) -> Reply {
    match request {
        Request::CreateQueue(request) => queues::create(state, request).await,
        Request::DeleteQueue(request) => queues::delete(state, &request).await,
        Request::Register(request) => directory::register(state, request).await,
        Request::AppendLog(request) => directory::append(state, request).await,
        Request::AppendEntries(request) => directory::append_entries(state, request).await,
        Request::FetchLog(request) => directory::fetch(state, request).await,
        Request::CheckLog(request) => directory::check(state, request).await,
        Request::PublishPreKeys(request) => prekeys::publish(state, request).await,
        Request::PreKeyCount(request) => prekeys::count(state, request).await,
        Request::FetchBundle(request) => prekeys::take(state, request).await,
        Request::PublishKeyPackages(request) => key_packages::publish(state, request).await,
        Request::KeyPackageCount(request) => key_packages::count(state, request).await,
        Request::FetchKeyPackage(request) => key_packages::take(state, request).await,
        Request::CreateTicket(request) => tickets::create(state, request).await,
        Request::RedeemTicket(request) => tickets::redeem(state, request).await,
        Request::PutHead(request) => heads::put(state, request).await,
        Request::FetchHead(request) => heads::fetch(state, request).await,
        Request::DeleteHead(request) => heads::delete(state, request).await,
        Request::PutLock(request) => locks::put(state, request).await,
        Request::OpenLock(request) => locks::open(state, request).await,
        Request::CancelLock(request) => locks::cancel(state, request).await,
        Request::LockStatus(request) => locks::status(state, request).await,
        Request::DeleteLock(request) => locks::delete(state, request).await,
        _ => refusal::of(RefusalKind::Malformed, "not a request of this version"),
    }
}
