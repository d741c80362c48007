//! Frames that are none, connections that go nowhere.

use crate::support::{Account, House, Queue, refusal, refused, rng, send};
use rand_core::Rng as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wire::{ClientFrame, FetchLog, RefusalKind, Reply, Request, RowResult, limits};

/// One frame of each request that a stranger may send without harm.
fn frames(queue: &Queue, account: &Account) -> Vec<Vec<u8>> {
    let requests = [
        send(queue, 1),
        queue.creation(),
        account.registration("alice"),
        Request::PublishPreKeys(account.publication(0, 2)),
        Request::AppendEntries(wire::AppendEntries {
            account: account.id,
            after: 1,
            entries: account.log[5..].to_vec(),
        }),
        Request::PutHead(wire::PutHead {
            public_key: [1; 32],
            version: 2,
            previous: 1,
            body: vec![2; 3000],
            signature: [3; 64],
        }),
        Request::PutLock(wire::PutLock {
            public_key: [1; 32],
            key: wire::LockKey::from_bytes([2; 32]),
            token_hash: [3; 32],
            delay_seconds: 60,
            signature: [4; 64],
        }),
    ];
    let numbered = requests.into_iter().zip(1..);
    numbered
        .map(|(request, request_id)| {
            ClientFrame {
                request_id,
                request,
            }
            .encode()
        })
        .collect()
}

/// Sends a frame on its own connection and returns the reply, if the relay did not close instead.
async fn try_frame(house: &House, bytes: Vec<u8>) -> Option<Reply> {
    let mut peer = house.peer().await;
    peer.say_bytes(bytes).await;
    peer.next_frame().await.ok().map(|frame| frame.reply)
}

#[tokio::test]
async fn truncated_frames_are_refused_and_change_nothing() {
    let (house, mut rng) = (House::open().await, rng(1));
    let (queue, account) = (Queue::draw(&mut rng), Account::draw(&mut rng));
    for frame in frames(&queue, &account) {
        let step = frame.len() / 40 + 1;
        for end in (0..frame.len()).step_by(step).chain([frame.len() - 1]) {
            let reply = try_frame(&house, frame[..end].to_vec()).await.unwrap();
            assert_eq!(refusal(reply), RefusalKind::Malformed, "{end}");
        }
    }
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert!(report.accounts.is_empty() && report.queues.is_empty());
    let mut peer = house.peer().await;
    assert_eq!(peer.ask(queue.creation()).await, Reply::Done);
}

#[tokio::test]
async fn flipped_bits_never_pass_for_what_was_signed() {
    let (house, mut rng) = (House::open().await, rng(2));
    let mut owner = house.peer().await;
    let queue = Queue::create(&mut rng, &mut owner).await;
    let account = Account::draw(&mut rng);
    owner.ask(account.registration("alice")).await;
    let publication = ClientFrame {
        request_id: 1,
        request: Request::PublishPreKeys(account.publication(0, 2)),
    }
    .encode();
    let deletion = ClientFrame {
        request_id: 1,
        request: queue.deletion(),
    }
    .encode();
    for frame in [publication, deletion] {
        for _ in 0..60 {
            let mut flipped = frame.clone();
            let bit = rng.next_u64() as usize % (flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            let request = ClientFrame::decode(flipped.clone().into());
            let reply = try_frame(&house, flipped).await.unwrap();
            match request {
                // Another number, or another queue, which is not there: nothing that was signed.
                Ok(ClientFrame {
                    request: Request::DeleteQueue(delete),
                    ..
                }) if delete.queue_id != queue.id => assert_eq!(reply, Reply::Done),
                Ok(frame) if frame.request == queue.deletion() => {
                    assert_eq!(reply, Reply::Done);
                    owner.ask(queue.creation()).await;
                }
                Ok(ClientFrame {
                    request: Request::PublishPreKeys(same),
                    ..
                }) if same == account.publication(0, 2) => {
                    assert!(matches!(reply, Reply::PreKeyCounts(_)));
                }
                _ => {
                    refused(reply);
                }
            }
        }
    }
    assert_eq!(
        owner.sent(send(&queue, 1)).await,
        [RowResult::Accepted { seq: 1 }]
    );
}

#[tokio::test]
async fn random_bytes_close_their_connection_and_no_other() {
    let (house, mut rng) = (House::open().await, rng(3));
    let mut owner = house.peer().await;
    let queue = Queue::create(&mut rng, &mut owner).await;
    queue.subscribe(&mut owner).await;
    for _ in 0..10 {
        let mut peer = house.peer().await;
        let mut sent = 0;
        let code = loop {
            let mut bytes = vec![0; 1 + rng.next_u64() as usize % 3000];
            rng.fill_bytes(&mut bytes);
            // A tag that does not exist, so that no chance makes it a request.
            bytes[0] = 0;
            if peer
                .say_message(Message::Binary(bytes.into()))
                .await
                .is_err()
            {
                break peer.closed().await;
            }
            sent += 1;
            match peer.next_frame().await {
                Ok(frame) => assert_eq!(refusal(frame.reply), RefusalKind::Malformed),
                Err(code) => break code,
            }
        };
        assert_eq!(code, Some(CloseCode::Protocol));
        assert_eq!(sent, 9, "eight are answered");
    }
    owner.ask(send(&queue, 1)).await;
    assert_eq!(owner.delivery().await.seq, 1);
}

#[tokio::test]
async fn bytes_that_are_no_websocket_end_the_connection() {
    let (house, mut rng) = (House::open().await, rng(4));
    for _ in 0..20 {
        let mut peer = house.peer().await;
        let mut bytes = vec![0; 200];
        rng.fill_bytes(&mut bytes);
        bytes[0] = 0xff;
        peer.stream().write_all(&bytes).await.unwrap();
        peer.stream().flush().await.unwrap();
        let code = peer.closed().await;
        assert!(matches!(code, None | Some(CloseCode::Protocol)), "{code:?}");
    }
    house.peer().await;
}

/// The header of a masked binary message that announces so many bytes.
fn header(length: u64) -> Vec<u8> {
    let mut header = vec![0x82, 0x80 | 127];
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&[1, 2, 3, 4]);
    header
}

#[tokio::test]
async fn a_header_of_5_gib_is_refused_before_its_bytes_come() {
    let house = House::open().await;
    for length in [
        limits::FRAME_BYTES as u64 + 1,
        5 << 30,
        i64::MAX as u64,
        u64::MAX,
    ] {
        let mut peer = house.peer().await;
        let before = resident();
        peer.stream().write_all(&header(length)).await.unwrap();
        peer.stream().flush().await.unwrap();
        assert_eq!(peer.closed().await, Some(CloseCode::Size), "{length}");
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more for {length}");
    }
}

#[tokio::test]
async fn pieces_that_are_too_long_together_are_refused() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    let chunk = vec![0; 60 * 1024];
    for first in [0x02, 0x00, 0x00] {
        let mut piece = vec![first, 0x80 | 126];
        piece.extend_from_slice(&(chunk.len() as u16).to_be_bytes());
        piece.extend_from_slice(&[0; 4]);
        piece.extend_from_slice(&chunk);
        peer.stream().write_all(&piece).await.unwrap();
    }
    peer.stream().flush().await.unwrap();
    assert_eq!(peer.closed().await, Some(CloseCode::Size));
}

/// Bytes of memory this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn text_messages_close_the_connection() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    peer.say_message(Message::Text("hello".into()))
        .await
        .unwrap();
    assert_eq!(peer.closed().await, Some(CloseCode::Unsupported));
}

#[tokio::test]
async fn a_peer_that_asks_much_and_reads_nothing_is_held_back() {
    let (house, mut rng) = (House::open().await, rng(5));
    let (mut owner, account) = (house.peer().await, Account::draw(&mut rng));
    owner.ask(account.registration("alice")).await;
    let queue = Queue::create(&mut rng, &mut owner).await;
    let mut greedy = house.peer().await;
    let request = ClientFrame {
        request_id: 1,
        request: Request::FetchLog(FetchLog::ByAccount(account.id)),
    }
    .encode();
    // Each asks for a log of several KiB with a hundredth of that.
    let (before, asked) = (resident(), 20_000);
    for _ in 0..asked {
        greedy.say_bytes(request.clone()).await;
    }
    // Whoever asks and reads is served meanwhile, and shows that the relay had its time.
    for number in 1..=500 {
        owner.ask(send(&queue, number)).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    for _ in 0..asked {
        assert!(matches!(greedy.reply(1).await, Reply::Log(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let house = House::open().await;
    let start = tokio::time::Instant::now();
    for begun in [
        &b""[..],
        b"GET /health HTTP/1.1\r\nHost: ",
        b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(house.address()).await.unwrap();
        tcp.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).await.unwrap();
    }
    let passed = start.elapsed();
    assert!(passed >= Duration::from_secs(30), "{passed:?}");
    assert!(passed <= Duration::from_secs(60), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_pings_is_closed() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    let start = tokio::time::Instant::now();
    // The bytes below the WebSocket are read, so that nothing answers the ping.
    let mut rest = Vec::new();
    peer.stream().read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [0x89, 0], "one ping, and the end");
    let passed = start.elapsed();
    assert!(passed >= Duration::from_secs(90), "{passed:?}");
    assert!(passed <= Duration::from_secs(140), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_falls_silent_is_broken_off() {
    let house = House::open().await;
    let mut tcp = TcpStream::connect(house.address()).await.unwrap();
    let head = format!(
        "PUT /v1/blobs/{}?offset=0 HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\
         Read-Token-Hash: {token}\r\nContent-Length: 1000\r\n\r\n",
        "a".repeat(26),
        token = data_encoding::BASE64URL_NOPAD.encode(&[1; 32]),
    );
    let begun = [head.as_bytes(), &[7; 100]].concat();
    tcp.write_all(&begun).await.unwrap();
    let mut answer = Vec::new();
    // The thread that writes the file keeps the clock from going by itself.
    let clock = async {
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        read = tcp.read_to_end(&mut answer) => assert!(read.is_ok()),
        () = clock => {}
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("upload-offset: 100\r\n"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_that_is_none_is_refused() {
    let house = House::open().await;
    let plain = house.get("/v1/ws").await;
    assert_eq!(plain.status, hyper::StatusCode::UPGRADE_REQUIRED);
    assert_eq!(plain.header("upgrade"), "websocket");
    let mut tcp = TcpStream::connect(house.address()).await.unwrap();
    let old = "GET /v1/ws HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    tcp.write_all(old.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tcp.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
}
