//! What an operator may set, from a TOML file; a name that is not known is an error.

use crate::os;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Settings of a relay. Every field but the folder has a default.
///
/// ```
/// let config = letterlock_relay::Config::new("/tmp/relay");
/// assert!(config.listen.ip().is_loopback());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// The folder of everything the relay stores. Default: `letterlock-relay` in the current folder.
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one. Default: `127.0.0.1:4433`.
    pub listen: SocketAddr,
    /// The host name or address in the printed URL. Default: the address it listens on.
    pub public_host: Option<String>,
    /// The store; `sqlite:` is the one in the data folder. Default: `sqlite:`.
    pub store: String,
    /// Who may register: `open`, `code` or `closed`. Default: `open`.
    pub registration: Registration,
    /// The certificate. Default: self-signed, kept in the data folder; none where it listens on loopback.
    pub tls: Option<TlsFiles>,
    /// Whether `/health` and `/metrics` answer to all peers and not to loopback alone. Default: false.
    pub open_metrics: bool,
    /// What may be stored.
    pub storage: Storage,
    /// How much may be asked.
    pub rates: Rates,
}

/// Who may register a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Registration {
    /// Everybody.
    Open,
    /// Whoever has a code of the operator.
    Code,
    /// Nobody.
    Closed,
}

/// A certificate of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file of the chain, the relay's own certificate first.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}

/// What may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Storage {
    /// Days after which a body or blob is deleted. Default: 30.
    pub retention_days: u32,
    /// Bodies in one queue. Default: 10000.
    pub queue_letters: u64,
    /// Queues. Default: 10 million.
    pub queues: u64,
    /// Accounts. Default: 1 million.
    pub accounts: u64,
    /// Tickets of invites. Default: 1 million.
    pub tickets: u64,
    /// Blobs. Default: 1 million.
    pub blobs: u64,
    /// Heads. Default: 1 million.
    pub heads: u64,
    /// Bytes of the bodies of all heads. Default: 8 GiB.
    pub head_bytes: u64,
    /// Locks. Default: 1 million.
    pub locks: u64,
    /// Groups. Default: 1 million.
    pub groups: u64,
    /// Bytes of one blob. Default: 8 GiB.
    pub blob_bytes: u64,
    /// Bytes of all blobs. Default: 64 GiB.
    pub all_blob_bytes: u64,
    /// Bytes of the database; 0 means the disk's limit. Default: 0.
    pub database_bytes: u64,
}

/// How much may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Rates {
    /// Connections at a time. Default: 10000.
    pub connections: u32,
    /// Connections at a time of one address. Default: 100.
    pub connections_of_address: u32,
    /// Requests a second of one address, in the long run. Default: 200.
    pub requests_of_address: u32,
    /// Bodies a second into one queue, in the long run. Default: 500.
    pub letters_of_queue: u32,
    /// Bundles an hour of one device, in the long run; 100 at once. As many key packages. Default: 600.
    pub bundles_of_device: u32,
    /// Whether the limits of an address hold for loopback, where the operator's proxy may be. Default: false.
    pub limit_loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self::new("letterlock-relay")
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            retention_days: 30,
            queue_letters: 10_000,
            queues: 10_000_000,
            accounts: 1_000_000,
            tickets: 1_000_000,
            blobs: 1_000_000,
            heads: 1_000_000,
            head_bytes: 8 << 30,
            locks: 1_000_000,
            groups: 1_000_000,
            blob_bytes: 8 << 30,
            all_blob_bytes: 64 << 30,
            database_bytes: 0,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_of_address: 100,
            requests_of_address: 200,
            letters_of_queue: 500,
            bundles_of_device: 600,
            limit_loopback: false,
        }
    }
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// The file is not what is documented.
    #[error("the configuration does not hold: {0}")]
    Malformed(#[source] toml::de::Error),
    /// A store this version does not have.
    #[error("this version stores in `sqlite:` (a file in the data folder) only, not in {given}")]
    Store {
        /// What was asked for.
        given: String,
    },
    /// A wake-up channel this version does not have.
    #[error("this version wakes within its own process (`local:`) only, not through {given}")]
    Wake {
        /// What was asked for.
        given: String,
    },
    /// A blob store this version does not have.
    #[error("this version keeps blobs in `file:` (the data folder) only, not in {given}")]
    Blobs {
        /// What was asked for.
        given: String,
    },
}

impl Config {
    /// The defaults, for a data folder.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4433)),
            public_host: None,
            store: "sqlite:".to_owned(),
            registration: Registration::Open,
            tls: None,
            open_metrics: false,
            storage: Storage::default(),
            rates: Rates::default(),
        }
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = os::read(path).map_err(ConfigError::Unreadable)?;
        Self::from_toml(&String::from_utf8_lossy(&bytes))
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`], also for a name that is not known; [`ConfigError::Store`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(ConfigError::Malformed)?;
        check_store(&config.store)?;
        Ok(config)
    }
}

/// Refuses a store that this version does not have.
///
/// # Errors
/// [`ConfigError::Store`].
pub fn check_store(url: &str) -> Result<(), ConfigError> {
    match url.strip_prefix("sqlite:") {
        Some("") => Ok(()),
        _ => Err(ConfigError::Store {
            given: url.to_owned(),
        }),
    }
}

/// Refuses a wake-up channel that this version does not have.
///
/// # Errors
/// [`ConfigError::Wake`].
pub fn check_wake(url: &str) -> Result<(), ConfigError> {
    if url == "local:" {
        Ok(())
    } else {
        Err(ConfigError::Wake {
            given: url.to_owned(),
        })
    }
}

/// Refuses a blob store that this version does not have.
///
/// # Errors
/// [`ConfigError::Blobs`].
pub fn check_blobs(url: &str) -> Result<(), ConfigError> {
    if url == "file:" {
        Ok(())
    } else {
        Err(ConfigError::Blobs {
            given: url.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(Config::from_toml("liste = \"127.0.0.1:1\"").is_err());
        assert!(Config::from_toml("[rates]\nconnection = 1").is_err());
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let text = "listen = \"0.0.0.0:9\"\nregistration = \"code\"\n[storage]\nretention_days = 3";
        let config = Config::from_toml(text).unwrap();
        assert_eq!(config.registration, Registration::Code);
        assert_eq!(
            config.storage,
            Storage {
                retention_days: 3,
                ..Storage::default()
            }
        );
        assert_eq!(config.rates, Rates::default());
    }

    #[test]
    fn other_stores_are_refused_by_name() {
        let error = Config::from_toml("store = \"postgres://db\"")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "this version stores in `sqlite:` (a file in the data folder) only, not in postgres://db"
        );
        assert!(check_wake("nats://x").is_err() && check_blobs("s3://x").is_err());
        assert!(check_wake("local:").is_ok() && check_blobs("file:").is_ok());
    }
}
