//! Quotas, rates, sizes: every refusal says when to ask again.

use crate::support::{Account, House, Peer, Queue, body, refused, rng, send, send_all};
use letterlock_relay::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::{ClientFrame, FetchLog, RefusalKind, Reply, Request, RowResult};

#[tokio::test]
async fn there_are_only_so_many_queues() {
    let house = House::with(|config| config.storage.queues = 2).await;
    let (mut peer, mut rng) = (house.peer().await, rng(1));
    let first = Queue::create(&mut rng, &mut peer).await;
    Queue::create(&mut rng, &mut peer).await;
    let third = Queue::draw(&mut rng);
    let refused = refused(peer.ask(third.creation()).await);
    assert_eq!(refused.kind, RefusalKind::Quota);
    assert!(refused.retry_after_ms > 0);
    assert_eq!(peer.ask(first.creation()).await, Reply::Done);
    peer.ask(first.deletion()).await;
    assert_eq!(peer.ask(third.creation()).await, Reply::Done);
}

#[tokio::test]
async fn there_are_only_so_many_accounts() {
    let house = House::with(|config| config.storage.accounts = 1).await;
    let (mut peer, mut rng) = (house.peer().await, rng(2));
    let (first, second) = (Account::draw(&mut rng), Account::draw(&mut rng));
    assert_eq!(peer.ask(first.registration("alice")).await, Reply::Done);
    let refused = refused(peer.ask(second.registration("bob")).await);
    assert_eq!(refused.kind, RefusalKind::Quota);
    assert!(refused.retry_after_ms > 0);
    assert_eq!(peer.ask(first.registration("alice")).await, Reply::Done);
}

#[tokio::test]
async fn a_full_queue_takes_more_after_an_acknowledgement() {
    let house = House::with(|config| config.storage.queue_letters = 3).await;
    let (mut peer, mut rng) = (house.peer().await, rng(3));
    let queue = Queue::create(&mut rng, &mut peer).await;
    for number in 1..=3 {
        let result = peer.sent(send(&queue, number)).await;
        assert_eq!(result, [RowResult::Accepted { seq: number }]);
    }
    assert_eq!(peer.sent(send(&queue, 4)).await, [RowResult::QueueFull]);
    let before = peer.sent(send(&queue, 2)).await;
    assert_eq!(before, [RowResult::Duplicate { seq: 2 }]);
    queue.subscribe(&mut peer).await;
    peer.delivery().await;
    peer.ask(queue.acknowledgement(1)).await;
    assert_eq!(
        peer.sent(send(&queue, 4)).await,
        [RowResult::Accepted { seq: 4 }],
        "the same letter, once there is room"
    );
}

#[tokio::test]
async fn one_queue_takes_letters_at_a_limited_rate() {
    let house = House::with(|config| config.rates.letters_of_queue = 1).await;
    let (mut peer, mut rng) = (house.peer().await, rng(4));
    let (queue, other) = (
        Queue::create(&mut rng, &mut peer).await,
        Queue::create(&mut rng, &mut peer).await,
    );
    // Whoever has no token takes nothing from the owner's rate.
    let mut forged = queue.row();
    forged.token = other.token;
    for number in 0..30 {
        let result = peer.sent(send_all(vec![forged], 1000 + number)).await;
        assert_eq!(result, [RowResult::BadToken]);
    }
    let mut accepted = 0;
    let refused = loop {
        match peer.ask(send(&queue, accepted)).await {
            Reply::SendResult(_) => accepted += 1,
            other => break refused(other),
        }
    };
    assert!(accepted >= 20, "{accepted} at once");
    assert_eq!(refused.kind, RefusalKind::RateLimited);
    assert!((1..=1_001).contains(&refused.retry_after_ms));
    let both = send_all(vec![queue.row(), other.row()], 999);
    assert!(matches!(peer.ask(both).await, Reply::Refused(_)));
    assert_eq!(
        peer.sent(send(&other, 1)).await,
        [RowResult::Accepted { seq: 1 }],
        "what is refused is refused in whole, and other queues are free"
    );
}

fn limit_loopback(config: &mut Config) {
    config.rates.limit_loopback = true;
}

#[tokio::test]
async fn one_address_asks_at_a_limited_rate() {
    let house = House::with(|config| {
        limit_loopback(config);
        config.rates.requests_of_address = 1;
    })
    .await;
    let mut peer = house.peer().await;
    let refused = loop {
        let nobody = Request::FetchLog(FetchLog::ByName("nobody".to_owned()));
        let refused = refused(peer.ask(nobody).await);
        if refused.kind != RefusalKind::NotFound {
            break refused;
        }
    };
    assert_eq!(refused.kind, RefusalKind::RateLimited);
    assert!((1..=1_001).contains(&refused.retry_after_ms));
    // One may come back meanwhile, but not as fast as this asks.
    let answer = loop {
        let answer = get(&house, "/health").await;
        if !answer.starts_with("HTTP/1.1 200 ") {
            break answer;
        }
    };
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
}

async fn get(house: &House, path: &str) -> String {
    let mut tcp = TcpStream::connect(house.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let house = House::with(|config| {
        limit_loopback(config);
        config.rates.connections_of_address = 2;
    })
    .await;
    let (first, _second) = (house.peer().await, house.peer().await);
    let answer = get(&house, "/health").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("Retry-After: 5\r\n"), "{answer}");
    drop(first);
    loop {
        if get(&house, "/health").await.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn bodies_fill_their_bucket_exactly() {
    let house = House::open().await;
    let (mut peer, mut rng) = (house.peer().await, rng(5));
    let queue = Queue::create(&mut rng, &mut peer).await;
    queue.subscribe(&mut peer).await;
    for (number, size) in [1024, 4096, 16_384, 65_536].into_iter().enumerate() {
        let Request::Send(mut request) = send(&queue, number as u64) else {
            unreachable!()
        };
        request.body = wire::Body::new(vec![1; size]).unwrap();
        let accepted = [RowResult::Accepted {
            seq: number as u64 + 1,
        }];
        assert_eq!(peer.sent(Request::Send(request)).await, accepted);
        assert_eq!(peer.delivery().await.body.len(), size);
    }
    peer.ask(queue.acknowledgement(4)).await;
    for size in [0, 1, 1023, 1025, 4095, 5000, 65_535, 65_537] {
        let frame = frame_with_body(&queue, size);
        peer.say_bytes(frame).await;
        let refused = refused(peer.reply(9).await);
        assert_eq!(refused.kind, RefusalKind::Malformed, "{size} bytes");
        assert_eq!(
            peer.deliveries_so_far().await,
            [],
            "{size} bytes were delivered"
        );
        peer = Peer::connect(house.address()).await;
    }
    assert_eq!(
        peer.sent(send(&queue, 50)).await,
        [RowResult::Accepted { seq: 5 }]
    );
}

/// A `Send` number 9 whose body has any length, which the types of `wire` do not allow.
fn frame_with_body(queue: &Queue, size: usize) -> Vec<u8> {
    let Request::Send(request) = send(queue, 90) else {
        unreachable!()
    };
    let whole = ClientFrame {
        request_id: 9,
        request: Request::Send(request),
    }
    .encode();
    let sent = body(90);
    let at = whole.windows(16).position(|w| *w == sent[..16]).unwrap();
    // The field before the body: tag 0x12, then its length; around it the length of the request.
    let rows = &whole[at + sent.len()..];
    let id = &whole[..at - 3];
    let id = &id[id.len() - 18..];
    let mut send = id.to_vec();
    send.push(0x12);
    varint(&mut send, size);
    send.extend(vec![1; size]);
    send.extend_from_slice(rows);
    let mut frame = vec![0x08, 9, 0x3a];
    varint(&mut frame, send.len());
    frame.extend(send);
    frame
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[test]
fn frames_with_a_body_of_the_right_size_are_those_of_wire() {
    let queue = Queue::draw(&mut rng(6));
    assert!(ClientFrame::decode(frame_with_body(&queue, 1024).into()).is_ok());
    assert!(ClientFrame::decode(frame_with_body(&queue, 4096).into()).is_ok());
    assert!(ClientFrame::decode(frame_with_body(&queue, 1025).into()).is_err());
}
