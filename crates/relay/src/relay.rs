//! A relay that runs.

use crate::api;
use crate::blobs::Blobs;
use crate::config::{Config, ConfigError, check_store};
use crate::limits;
use crate::os;
use crate::state::{State, stopped};
use crate::store::{Store, Threads};
use crate::tls::{self, TlsError};
use data_encoding::BASE64URL_NOPAD;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings that do not hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    Data(#[source] io::Error),
    /// Another relay runs on this data folder.
    #[error("another relay runs on this data folder")]
    Running,
    /// The database cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[source] rusqlite::Error),
    /// No certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// A relay.
pub struct Relay;

/// A relay that runs until [`Running::shutdown`], or until this is dropped.
pub struct Running {
    url: String,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    threads: Threads,
}

impl Relay {
    /// Opens the store and listens. Plain HTTP on loopback, TLS elsewhere, or wherever a certificate is given.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let folder = tempfile::tempdir()?;
    /// let mut config = letterlock_relay::Config::new(folder.path());
    /// config.listen = "127.0.0.1:0".parse()?;
    /// let relay = letterlock_relay::Relay::start(config).await?;
    /// assert!(relay.url().starts_with("http://127.0.0.1:"));
    /// relay.shutdown().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        check_store(&config.store)?;
        os::private_folder(&config.data).map_err(StartError::Data)?;
        let lock = os::lock(&config.data.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StartError::Running,
            _ => StartError::Data(error),
        })?;
        let plain = config.tls.is_none() && config.listen.ip().is_loopback();
        let tls = if plain {
            None
        } else {
            Some(tls::load(&config)?)
        };
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|error| StartError::Listen {
                    address: config.listen,
                    error,
                })?;
        let address = listener.local_addr().map_err(StartError::Data)?;
        if config.public_host.is_none() && address.ip().is_unspecified() {
            tracing::warn!("set `public_host`: clients cannot reach the address in the URL");
        }
        let url = url(&config, address, tls.as_ref().map(|tls| &tls.pin));
        let (store, threads) = Store::open(&config, lock).map_err(StartError::Store)?;
        let stored = store.blob_bytes().await.unwrap_or(0);
        let blobs = Blobs::open(&config.data, stored, config.storage.all_blob_bytes)
            .map_err(StartError::Data)?;
        let (stop, stopping) = watch::channel(false);
        let state = Arc::new(State::new(config, store, blobs, stopping));
        let server = tokio::spawn(run(state, listener, tls.map(|tls| tls.acceptor)));
        Ok(Running {
            url,
            address,
            stop,
            server,
            threads,
        })
    }
}

impl Running {
    /// The URL for clients: `http://127.0.0.1:PORT` or `https://HOST:PORT#sha256=PIN`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops gracefully: no new connections, answers to what was asked, closing frames, everything written.
    pub async fn shutdown(self) {
        let _all_gone = self.stop.send(true);
        let _ended = self.server.await;
        let _ended = tokio::task::spawn_blocking(move || self.threads.join()).await;
    }
}

fn url(config: &Config, address: SocketAddr, pin: Option<&[u8; 32]>) -> String {
    let host = match &config.public_host {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    };
    match pin {
        Some(pin) => format!("https://{host}#sha256={}", BASE64URL_NOPAD.encode(pin)),
        None => format!("http://{host}"),
    }
}

async fn run(state: Arc<State>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut stopping = state.stopping.clone();
    let router = api::http::router(&state);
    let mut connections = JoinSet::new();
    let sweeper = tokio::spawn(sweep(Arc::clone(&state)));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let (state, router, tls) = (Arc::clone(&state), router.clone(), tls.clone());
                    connections.spawn(api::http::serve(state, router, tls, tcp, peer.ip()));
                }
                // Too many open files, most likely: wait for some to close.
                Err(_) => sleep(limits::ACCEPT_PAUSE).await,
            },
            Some(_ended) = connections.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    sweeper.abort();
    let all = async { while connections.join_next().await.is_some() {} };
    let _late = timeout(limits::STOP.saturating_mul(2), all).await;
    connections.shutdown().await;
}

/// Deletes what has expired, now and then.
async fn sweep(state: Arc<State>) {
    loop {
        let now = os::now();
        let _failed = state.store.sweep(now).await;
        if let Ok(expired) = state.store.expired_blobs(now).await {
            for blob in expired {
                let bytes = state
                    .store
                    .blob(blob)
                    .await
                    .ok()
                    .flatten()
                    .map_or(0, |record| record.durable);
                let _failed = api::blobs::discard(&state, blob, bytes).await;
            }
        }
        sleep(limits::SWEEP_EVERY).await;
    }
}
