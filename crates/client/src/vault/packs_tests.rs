#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use super::*;
use keys::GroupId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Reads one request: its head in small letters, and its body.
pub(in crate::vault) async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some((text, bytes[head..].to_vec()))
}

/// A relay that gives these answers, one after the other; with an empty one it hangs up.
async fn relay(answers: Vec<Vec<u8>>) -> (String, mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, asks) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(request) = request(&mut stream).await {
                let Some(answer) = answers.next() else { return };
                let _ = asked.send(request);
                if answer.is_empty() {
                    break;
                }
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    (url, asks)
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Runs `work` with the packs of a vault at this relay, as the threads of a change do.
async fn with_packs<T: Send + 'static>(
    url: &str,
    work: impl FnOnce(RelayPacks) -> T + Send + 'static,
) -> T {
    let key = Secret::from_slice(&[1; 32]).unwrap();
    let keys = Keyring::new(GroupId::from_bytes([2; 32]), [(1, &key)]).unwrap();
    let url = RelayUrl::parse(url).unwrap();
    let packs = RelayPacks::new(Handle::current(), url, Arc::new(keys), Arc::default(), None);
    tokio::task::spawn_blocking(|| work(packs)).await.unwrap()
}

const PACK: BlobId = BlobId::from_bytes([7; 16]);

#[tokio::test(flavor = "current_thread")]
async fn more_than_was_asked_for_is_not_taken() {
    let long = vec![0; WINDOW as usize + 1];
    let good: Vec<u8> = (0..200).collect();
    let (url, mut asks) = relay(vec![
        answer("206 Partial Content", &long),
        answer("206 Partial Content", &good),
    ])
    .await;
    let read = with_packs(&url, |packs| {
        let first = packs.read(&PACK, 1, 1000, 100).unwrap();
        // What lies beside it came with it.
        (first, packs.read(&PACK, 1, 1150, 50).unwrap())
    })
    .await;
    assert_eq!(read, (good[..100].to_vec(), good[150..200].to_vec()));
    let asked = asks.recv().await.unwrap().0;
    let range = format!("range: bytes=1000-{}", 999 + WINDOW);
    assert!(asked.contains(&range), "{asked}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_pack_that_is_cut_or_gone_is_an_error() {
    let (url, _asks) = relay(vec![
        answer("206 Partial Content", &[0; 99]),
        answer("404 Not Found", b""),
        answer("416 Range Not Satisfiable", b""),
        answer("507 Insufficient Storage", b""),
        answer("413 Payload Too Large", b""),
    ])
    .await;
    let kinds = with_packs(&url, |packs| {
        let read = || packs.read(&PACK, 1, 0, 100).unwrap_err().kind();
        let no_key = packs.read(&PACK, 2, 0, 100).is_err();
        assert!(no_key);
        [read(), read(), read(), read(), read()]
    })
    .await;
    let expected = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::NotFound,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge,
    ];
    assert_eq!(kinds, expected);
}

/// An upload that breaks off goes on where the relay has it.
#[tokio::test(flavor = "current_thread")]
async fn a_pack_is_stored_from_where_the_relay_has_it() {
    let begun =
        b"HTTP/1.1 200 OK\r\nupload-offset: 4\r\nupload-complete: ?0\r\ncontent-length: 0\r\n\r\n";
    let done = || answer("204 No Content", b"");
    let (url, mut asks) = relay(vec![
        answer("404 Not Found", b""),
        Vec::new(),
        answer("503 Service Unavailable", b""),
        begun.to_vec(),
        done(),
        done(),
    ])
    .await;
    with_packs(&url, |packs| packs.store(&PACK, 1, b"sealed pack"))
        .await
        .unwrap();
    let mut lines = Vec::new();
    while let Ok((head, body)) = asks.try_recv() {
        assert_eq!(head.contains("lasting: ?1"), head.starts_with("put"));
        let first: Vec<&str> = head.split(' ').take(2).collect();
        let query = first[1].split_once('?').map_or("", |(_, query)| query);
        lines.push(format!("{} {query} {}", first[0], body.len()));
    }
    let expected = [
        "head  0",
        "put offset=0 11",
        "head  0",
        "head  0",
        "put offset=4 7",
        "post length=11 0",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "current_thread")]
async fn work_that_is_stopped_asks_nothing() {
    let (url, _asks) = relay(Vec::new()).await;
    let read = with_packs(&url, |packs| {
        packs.work.stop();
        packs.read(&PACK, 1, 0, 10)
    })
    .await;
    assert_eq!(read.unwrap_err().to_string(), "stopped");
}

#[tokio::test(flavor = "current_thread")]
async fn a_pack_is_said_to_be_used() {
    let (url, mut asks) = relay(vec![answer("200 OK", b""), answer("404 Not Found", b"")]).await;
    let there = with_packs(&url, |packs| {
        [
            packs.touch(&PACK, 1).unwrap(),
            packs.touch(&PACK, 1).unwrap(),
        ]
    })
    .await;
    assert_eq!(there, [true, false]);
    assert!(asks.recv().await.unwrap().0.starts_with("head /v1/blobs/"));
}
