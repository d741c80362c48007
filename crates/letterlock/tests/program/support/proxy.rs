//! A bad network: it stands before the relay, lets so many bytes through, and then holds or breaks connections.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a proxy does when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtLimit {
    /// It holds what comes.
    Hold,
    /// It ends the connection on which that was, and counts anew.
    Break,
}

struct Shared {
    relay: String,
    at_limit: AtLimit,
    /// Bytes that may pass.
    limit: AtomicU64,
    passed: AtomicU64,
    /// All bytes ever.
    total: AtomicU64,
    stopped: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// A proxy before a relay.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    url: String,
}

impl Proxy {
    /// Stands before the relay at `HOST:PORT`.
    pub(crate) fn new(relay: &str, at_limit: AtLimit, limit: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            relay: relay.to_owned(),
            at_limit,
            limit: AtomicU64::new(limit),
            passed: AtomicU64::new(0),
            total: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(relay) = TcpStream::connect(&accepting.relay) else {
                    continue;
                };
                let mut open = accepting.open.lock().unwrap();
                for (from, to) in [(&stream, &relay), (&relay, &stream)] {
                    open.push(from.try_clone().unwrap());
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let shared = Arc::clone(&accepting);
                    std::thread::spawn(move || pump(&shared, from, to));
                }
            }
        });
        Self { shared, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All bytes that passed, in both directions.
    pub(crate) fn total(&self) -> u64 {
        self.shared.total.load(Ordering::SeqCst)
    }

    /// Waits until no more passes; false if `ended` says so before.
    pub(crate) fn wait_for_limit(&self, mut ended: impl FnMut() -> bool) -> bool {
        loop {
            if self.shared.passed.load(Ordering::SeqCst) >= self.shared.limit.load(Ordering::SeqCst)
            {
                return true;
            }
            if ended() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Lets so many more bytes through, on new connections.
    pub(crate) fn open(&self, limit: u64) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.limit.store(limit, Ordering::SeqCst);
    }
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(got) = from.read(&mut buffer) {
        if got == 0 {
            break;
        }
        let length = u64::try_from(got).unwrap();
        let before = shared.passed.fetch_add(length, Ordering::SeqCst);
        if before + length > shared.limit.load(Ordering::SeqCst) {
            match shared.at_limit {
                // What comes later is thrown away: the other side hears nothing.
                AtLimit::Hold => continue,
                AtLimit::Break => {
                    shared.passed.store(0, Ordering::SeqCst);
                    break;
                }
            }
        }
        shared.total.fetch_add(length, Ordering::SeqCst);
        if to.write_all(&buffer[..got]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.open(0);
        // The thread that accepts waits for one more.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}
