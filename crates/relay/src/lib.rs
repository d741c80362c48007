//! The relay: it stores sealed bodies in queues, pre-keys, blobs and account logs, and reads none of it.
//!
//! ```text
//!   TCP ─► TLS 1.3 ─► HTTP/1.1 ─┬─► WebSocket: frames ─► queues, directory, prekeys, heads … ─┐
//!                               └─► blobs, health, metrics                                    ▼
//!   subscribers ◄── mailbox ◄── delivery ◄──────────────────────────────── store: one writer, one reader
//! ```

mod api;
mod blobs;
mod config;
mod delivery;
mod directory;
mod heads;
mod inspect;
mod key_packages;
mod limits;
mod locks;
mod mailbox;
mod metrics;
mod os;
mod prekeys;
mod queues;
mod quota;
mod refusal;
mod relay;
mod requests;
mod state;
mod store;
mod tickets;
mod tls;

pub use config::{
    Config, ConfigError, Rates, Registration, Storage, TlsFiles, check_blobs, check_store,
    check_wake,
};
pub use inspect::{
    Account, BlobRow, GroupRow, InspectError, InspectReport, LetterRow, Queue, inspect,
    make_registration_code, release_name,
};
pub use relay::{Relay, Running, StartError};
pub use tls::TlsError;
