//! A client that says what the tests want.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use wire::{ClientFrame, Deliver, Hello, RelayFrame, Reply, Request, Welcome};

/// How long a peer waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Any stream of bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A WebSocket to a relay.
pub(crate) struct Peer {
    socket: WebSocketStream<Box<dyn Stream>>,
    number: u64,
    delivered: VecDeque<Deliver>,
    replies: VecDeque<RelayFrame>,
    pub(crate) welcome: Welcome,
}

impl Peer {
    /// Connects and says hello.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self::over(Box::new(tcp)).await
    }

    /// Upgrades a connection and says hello.
    pub(crate) async fn over(stream: Box<dyn Stream>) -> Self {
        let mut peer = Self::silent(stream).await;
        let hello = peer.ask(Request::Hello(Hello { version: 1 })).await;
        let Reply::Welcome(welcome) = hello else {
            panic!("no welcome: {hello:?}")
        };
        peer.welcome = welcome;
        peer
    }

    /// Upgrades a connection and says nothing.
    pub(crate) async fn silent(stream: Box<dyn Stream>) -> Self {
        let upgrade = client_async("ws://relay/v1/ws", stream);
        let (socket, _) = timeout(PATIENCE, upgrade).await.unwrap().unwrap();
        let welcome = Welcome {
            relay_id: [0; 16],
            store_version: 0,
            challenge: [0; 32],
            time: keys::Timestamp::from_secs(0),
            limits: wire::RelayLimits::default(),
            registration: wire::RegistrationPolicy::Closed,
        };
        Self {
            socket,
            number: 0,
            delivered: VecDeque::new(),
            replies: VecDeque::new(),
            welcome,
        }
    }

    /// Asks and waits for the reply.
    pub(crate) async fn ask(&mut self, request: Request) -> Reply {
        let number = self.say(request).await;
        self.reply(number).await
    }

    /// Asks without waiting; returns the number.
    pub(crate) async fn say(&mut self, request: Request) -> u64 {
        self.number += 1;
        let request_id = self.number;
        self.say_bytes(
            ClientFrame {
                request_id,
                request,
            }
            .encode(),
        )
        .await;
        request_id
    }

    /// Sends a binary message.
    pub(crate) async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.say_message(Message::Binary(bytes.into()))
            .await
            .unwrap();
    }

    pub(crate) async fn say_message(&mut self, message: Message) -> Result<(), Error> {
        timeout(PATIENCE, self.socket.send(message)).await.unwrap()
    }

    /// Waits for the reply with a number.
    pub(crate) async fn reply(&mut self, number: u64) -> Reply {
        if let Some(at) = self.replies.iter().position(|f| f.request_id == number) {
            return self.replies.remove(at).unwrap().reply;
        }
        loop {
            let frame = self.frame().await;
            match frame.reply {
                Reply::Deliver(deliver) => self.delivered.push_back(deliver),
                reply if frame.request_id == number => return reply,
                reply => self.replies.push_back(RelayFrame {
                    request_id: frame.request_id,
                    reply,
                }),
            }
        }
    }

    /// Waits for a body.
    pub(crate) async fn delivery(&mut self) -> Deliver {
        if let Some(deliver) = self.delivered.pop_front() {
            return deliver;
        }
        loop {
            let frame = self.frame().await;
            match frame.reply {
                Reply::Deliver(deliver) => return deliver,
                reply => self.replies.push_back(RelayFrame {
                    request_id: frame.request_id,
                    reply,
                }),
            }
        }
    }

    /// Bodies that came, as far as everything that the relay sent before its next reply.
    pub(crate) async fn deliveries_so_far(&mut self) -> Vec<Deliver> {
        let number = self.say(Request::Hello(Hello { version: 1 })).await;
        self.reply(number).await;
        self.delivered.drain(..).collect()
    }

    async fn frame(&mut self) -> RelayFrame {
        match self.message().await {
            Ok(bytes) => RelayFrame::decode(bytes).unwrap(),
            Err(code) => panic!("the relay closed: {code:?}"),
        }
    }

    /// The next binary message, or the code with which the relay closed, if it said one.
    async fn message(&mut self) -> Result<Bytes, Option<CloseCode>> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame, or nothing once the relay closed because it goes away.
    pub(crate) async fn next_until_closed(&mut self) -> Option<RelayFrame> {
        if let Some(frame) = self.replies.pop_front() {
            return Some(frame);
        }
        match self.message().await {
            Ok(bytes) => Some(RelayFrame::decode(bytes).unwrap()),
            Err(code) => {
                assert_eq!(code, Some(CloseCode::Away));
                None
            }
        }
    }

    /// The next frame, or the code with which the relay closed.
    pub(crate) async fn next_frame(&mut self) -> Result<RelayFrame, Option<CloseCode>> {
        let bytes = self.message().await?;
        Ok(RelayFrame::decode(bytes).unwrap())
    }

    /// Reads on until the relay closes, and returns its code.
    pub(crate) async fn closed(&mut self) -> Option<CloseCode> {
        loop {
            if let Err(code) = self.message().await {
                return code;
            }
        }
    }

    /// The stream below the WebSocket.
    pub(crate) fn stream(&mut self) -> &mut Box<dyn Stream> {
        self.socket.get_mut()
    }
}
