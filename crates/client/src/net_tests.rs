//! Relays that lie, babble, and say nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn listener() -> (TcpListener, RelayUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = RelayUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (listener, url)
}

fn start(url: RelayUrl) -> (mpsc::UnboundedSender<Wish>, mpsc::Receiver<NetEvent>) {
    let (wishes, wished) = mpsc::unbounded_channel();
    let (events, heard) = mpsc::channel(8);
    tokio::spawn(run(url, wished, events));
    (wishes, heard)
}

fn welcome() -> wire::Reply {
    wire::Reply::Welcome(wire::Welcome {
        relay_id: [1; 16],
        store_version: 1,
        challenge: [2; 32],
        time: keys::Timestamp::from_secs(1),
        limits: wire::RelayLimits {
            window: 32,
            rows: 1000,
            queue_letters: 10,
            blob_bytes: 10,
            retention_seconds: 10,
        },
        registration: wire::RegistrationPolicy::Open,
    })
}

fn frame(request_id: u64, reply: wire::Reply) -> Message {
    Message::Binary(wire::RelayFrame { request_id, reply }.encode().into())
}

/// Accepts a connection and welcomes it.
async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let hello = socket.next().await.unwrap().unwrap().into_data();
    let hello = wire::ClientFrame::decode(hello).unwrap();
    socket
        .send(frame(hello.request_id, welcome()))
        .await
        .unwrap();
    socket
}

async fn problem(heard: &mut mpsc::Receiver<NetEvent>) -> NetProblem {
    loop {
        match heard.recv().await.unwrap() {
            NetEvent::Down { problem, .. } => return problem,
            NetEvent::Up { .. } => {}
            _ => panic!("neither up nor down"),
        }
    }
}

fn request(id: u64) -> Wish {
    let count = wire::PreKeyCount {
        account: keys::AccountId::from_bytes([1; 32]),
        device: keys::DeviceId::from_bytes([1; 16]),
    };
    let frame = wire::ClientFrame {
        request_id: id,
        request: wire::Request::PreKeyCount(count),
    }
    .encode()
    .into();
    Wish::Request { id, frame }
}

fn counts() -> wire::Reply {
    wire::Reply::PreKeyCounts(wire::PreKeyCounts {
        one_time_ec: 1,
        one_time_kem: 2,
    })
}

#[tokio::test]
async fn requests_are_pipelined_and_matched_with_their_replies() {
    let (listener, url) = listener().await;
    let (wishes, mut heard) = start(url);
    let mut socket = accept(&listener).await;
    assert!(matches!(heard.recv().await, Some(NetEvent::Up { .. })));
    for id in 1..=3 {
        wishes.send(request(id)).unwrap();
    }
    for _ in 1..=3 {
        socket.next().await.unwrap().unwrap();
    }
    // Out of order, with one answer to nothing and one given twice.
    for id in [3, 9, 1, 1, 2] {
        socket.send(frame(id, counts())).await.unwrap();
    }
    let mut answered = Vec::new();
    for _ in 0..3 {
        match heard.recv().await.unwrap() {
            NetEvent::Reply { id, .. } => answered.push(id),
            _ => panic!("not a reply"),
        }
    }
    assert_eq!(answered, [3, 1, 2]);
}

#[tokio::test]
async fn a_connection_that_breaks_comes_back() {
    let (listener, url) = listener().await;
    let (_wishes, mut heard) = start(url);
    for _ in 0..3 {
        drop(accept(&listener).await);
        assert_eq!(problem(&mut heard).await, NetProblem::Unreachable);
    }
}

#[tokio::test]
async fn babble_ends_the_connection_and_nothing_else() {
    let (listener, url) = listener().await;
    let (wishes, mut heard) = start(url);
    for babble in [
        Message::Binary(vec![0xff; 100].into()),
        Message::Text("hello".into()),
        frame(0, welcome()),
    ] {
        let mut socket = accept(&listener).await;
        socket.send(babble).await.unwrap();
        assert_eq!(problem(&mut heard).await, NetProblem::Protocol);
        wishes.send(Wish::Hurry).unwrap();
    }
}

#[tokio::test]
async fn a_frame_of_five_gib_is_refused_by_its_header() {
    let (listener, url) = listener().await;
    let (_wishes, mut heard) = start(url);
    let mut stream = accept(&listener).await.into_inner();
    let mut header = vec![0x82, 127];
    header.extend_from_slice(&(5u64 << 30).to_be_bytes());
    stream.write_all(&header).await.unwrap();
    assert_eq!(problem(&mut heard).await, NetProblem::Protocol);
}

#[tokio::test]
async fn what_is_no_relay_is_called_so() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
    ] {
        let (listener, url) = listener().await;
        let (_wishes, mut heard) = start(url);
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(answer).await.unwrap();
        assert_eq!(problem(&mut heard).await, NetProblem::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_relay_does_not_hold_the_client_up() {
    let (listener, url) = listener().await;
    let (_wishes, mut heard) = start(url);
    let _silent = listener.accept().await.unwrap();
    assert_eq!(problem(&mut heard).await, NetProblem::Silent);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable_and_asked_again() {
    let (listener, url) = listener().await;
    drop(listener);
    let (wishes, mut heard) = start(url);
    assert_eq!(problem(&mut heard).await, NetProblem::Unreachable);
    wishes.send(Wish::Hurry).unwrap();
    assert_eq!(problem(&mut heard).await, NetProblem::Unreachable);
}

#[tokio::test]
async fn the_last_frames_leave_before_the_connection_closes() {
    let (listener, url) = listener().await;
    let (wishes, mut heard) = start(url);
    let mut socket = accept(&listener).await;
    assert!(matches!(heard.recv().await, Some(NetEvent::Up { .. })));
    wishes.send(request(5)).unwrap();
    drop(wishes);
    let last =
        wire::ClientFrame::decode(socket.next().await.unwrap().unwrap().into_data()).unwrap();
    assert_eq!(last.request_id, 5);
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
}
