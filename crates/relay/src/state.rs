//! What all connections share.

use crate::config::{Config, Registration};
use crate::delivery::{ConnectionId, Delivery};
use crate::limits;
use crate::metrics::Metrics;
use crate::os;
use crate::quota::{Buckets, Rate};
use crate::store::{self, Store};
use keys::{AccountId, DeviceId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use wire::{RegistrationPolicy, RelayLimits};

/// What all connections share.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) delivery: Delivery,
    pub(crate) metrics: Metrics,
    /// True once the relay stops.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) blobs: crate::blobs::Blobs,
    connections: AtomicU64,
    peers: Mutex<Peers>,
    devices: Mutex<Buckets<(AccountId, DeviceId)>>,
    key_packages: Mutex<Buckets<(AccountId, DeviceId)>>,
    requests: Mutex<Buckets<AccountId>>,
}

struct Peers {
    requests: Buckets<IpAddr>,
    open: HashMap<IpAddr, u32>,
    all: u32,
}

/// A connection that counts as long as this lives.
pub(crate) struct Place {
    state: Arc<State>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self
            .state
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        peers.all = peers.all.saturating_sub(1);
        if let Some(count) = peers.open.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                peers.open.remove(&self.peer);
            }
        }
    }
}

fn per_second(rate: u32, burst: u64) -> Rate {
    let rate = u64::from(rate);
    Rate {
        milli_per_second: rate.saturating_mul(1000),
        burst: rate.saturating_mul(burst).max(1),
    }
}

impl State {
    pub(crate) fn new(
        config: Config,
        store: Store,
        blobs: crate::blobs::Blobs,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let hour = u64::from(config.rates.bundles_of_device)
            .saturating_mul(1000)
            .checked_div(3600)
            .unwrap_or(0);
        let peers = Peers {
            requests: Buckets::new(
                per_second(config.rates.requests_of_address, 10),
                limits::REMEMBERED_PEERS,
            ),
            open: HashMap::new(),
            all: 0,
        };
        let of_device = || {
            Buckets::new(
                Rate {
                    milli_per_second: hour.max(1),
                    burst: 100,
                },
                limits::REMEMBERED_DEVICES,
            )
        };
        let requests = Buckets::new(
            Rate {
                milli_per_second: limits::REQUESTS_MILLI_PER_SECOND,
                burst: limits::REQUESTS_AT_ONCE,
            },
            limits::REMEMBERED_REQUESTS,
        );
        Self {
            config,
            store,
            delivery: Delivery::default(),
            metrics: Metrics::new(),
            stopping,
            blobs,
            connections: AtomicU64::new(1),
            peers: Mutex::new(peers),
            devices: Mutex::new(of_device()),
            key_packages: Mutex::new(of_device()),
            requests: Mutex::new(requests),
        }
    }

    /// Counts a new connection, if there may be another one.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let rates = &self.config.rates;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = peers.open.get(&peer).copied().unwrap_or(0);
        if peers.all >= rates.connections
            || (self.is_limited(peer) && of_peer >= rates.connections_of_address)
        {
            return None;
        }
        peers.all = peers.all.saturating_add(1);
        peers.open.insert(peer, of_peer.saturating_add(1));
        Some(Place {
            state: Arc::clone(self),
            peer,
        })
    }

    /// Takes one request from the peer's rate, or says how many milliseconds to wait.
    pub(crate) fn charge_peer(&self, peer: IpAddr) -> Result<(), u64> {
        if !self.is_limited(peer) {
            return Ok(());
        }
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.requests.take(peer, os::ticks())
    }

    /// Takes one bundle from the device's rate, or says how many milliseconds to wait.
    pub(crate) fn charge_device(&self, account: AccountId, device: DeviceId) -> Result<(), u64> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.take((account, device), os::ticks())
    }

    /// Takes one key package from the device's rate, or says how many milliseconds to wait.
    pub(crate) fn charge_key_package(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> Result<(), u64> {
        let packages = self.key_packages.lock();
        let mut packages = packages.unwrap_or_else(PoisonError::into_inner);
        packages.take((account, device), os::ticks())
    }

    /// Takes one request for recovery from the account's rate, or says how many milliseconds to wait.
    pub(crate) fn charge_request(&self, account: AccountId) -> Result<(), u64> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.take(account, os::ticks())
    }

    fn is_limited(&self, peer: IpAddr) -> bool {
        self.config.rates.limit_loopback || !peer.to_canonical().is_loopback()
    }

    /// A number for a new connection.
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn limits(&self) -> RelayLimits {
        RelayLimits {
            window: limits::WINDOW,
            rows: u32::try_from(wire::limits::SEND_ROWS).unwrap_or(u32::MAX),
            queue_letters: self.config.storage.queue_letters,
            blob_bytes: self.config.storage.blob_bytes,
            retention_seconds: self.store.retention_seconds(),
        }
    }

    pub(crate) fn registration(&self) -> RegistrationPolicy {
        match self.config.registration {
            Registration::Open => RegistrationPolicy::Open,
            Registration::Code => RegistrationPolicy::Code,
            Registration::Closed => RegistrationPolicy::Closed,
        }
    }
}

/// Lets the reader fetch what a connection is behind with, piece by piece.
pub(crate) fn fetch(state: &Arc<State>, id: ConnectionId) {
    let shared = Arc::clone(state);
    let reading = move |sql: &_| {
        let Some(wanted) = shared.delivery.wanted(id) else {
            return;
        };
        match store::letters(sql, &wanted.queue, wanted.from, wanted.count) {
            Ok(letters) => {
                shared.delivery.fetched(id, wanted, letters);
                fetch(&shared, id);
            }
            Err(_) => shared.delivery.fetch_failed(id),
        }
    };
    if state.store.try_read_later(Box::new(reading)).is_err() {
        state.delivery.fetch_failed(id);
    }
}

/// Waits until the relay stops.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ended = stopping.wait_for(|stopping| *stopping).await.map(drop);
}
