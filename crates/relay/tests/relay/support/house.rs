//! A relay in this process, with a folder of its own.

use letterlock_relay::{Config, Relay, Running};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

use super::Peer;

/// A data folder, and a relay on it most of the time.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) config: Config,
    running: Option<Running>,
}

impl House {
    /// Starts a relay with the defaults.
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a relay with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("relay"));
        config.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let mut house = Self {
            folder,
            config,
            running: None,
        };
        house.start().await;
        house
    }

    pub(crate) async fn start(&mut self) {
        self.running = Some(Relay::start(self.config.clone()).await.unwrap());
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().shutdown().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().local_addr()
    }

    pub(crate) fn url(&self) -> &str {
        self.running.as_ref().unwrap().url()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.config.data
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("relay.db")
    }

    /// A folder beside the relay's.
    pub(crate) fn aside(&self) -> PathBuf {
        self.folder.path().join("aside")
    }

    /// A peer that said hello.
    pub(crate) async fn peer(&self) -> Peer {
        Peer::connect(self.address()).await
    }
}
