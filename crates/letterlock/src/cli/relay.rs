//! `letterlock relay serve|inspect`

use super::{Job, absolute};
use crate::{failure, os};
use clap::{Args, Subcommand};
use client::view::Failure;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run a relay, look at what one stores, or free a name there
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    #[command(subcommand)]
    command: RelayCommand,
}

#[derive(Debug, Subcommand)]
enum RelayCommand {
    Serve(ServeArgs),
    /// Show what is stored, as the operator sees it
    #[command(after_help = "\
Example:
  letterlock relay inspect --data /var/lib/letterlock-relay")]
    Inspect(DataArgs),
    Release(ReleaseArgs),
}

/// Free the name of somebody who lost every key
///
/// The last way out, where no device, sheet or guardian is left. The account that had the name goes on under another
/// one, which is printed; whoever asks next gets the name, with new keys. Contacts are stopped until they compare safety
/// numbers or take a new invite. Make sure who asks.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  letterlock relay release alice --data /var/lib/letterlock-relay")]
struct ReleaseArgs {
    /// The name, without `@RELAY`
    name: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Run a relay until interrupted
///
/// Prints `listening on URL` when it is ready; the URL is what `account create --relay` takes. On loopback it speaks
/// plain HTTP, elsewhere TLS 1.3, and then the URL carries the pin of its key. A relay that listens on all addresses
/// needs the name by which others reach it: `public_host = "relay.example"` in the settings.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  letterlock relay serve --listen 127.0.0.1:8440
  letterlock relay serve --listen 0.0.0.0:8440 --data /var/lib/letterlock-relay --config relay.toml")]
struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:4433]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Settings in TOML; what is given here as an option counts more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store; this version has `sqlite:`, a file in the relay's folder
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// How processes wake each other; this version has `local:`, one process
    #[arg(long, value_name = "URL")]
    wake: Option<String>,
    /// Where enclosures are; this version has `file:`, the relay's folder
    #[arg(long, value_name = "URL")]
    blobs: Option<String>,
}

#[derive(Debug, Args)]
struct DataArgs {
    /// The relay's folder [default: letterlock-relay below $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl RelayArgs {
    pub(super) fn into_job(self) -> Result<Job, Failure> {
        match self.command {
            RelayCommand::Serve(args) => Ok(Job::Serve(Box::new(args.settings()?))),
            RelayCommand::Inspect(data) => Ok(Job::Inspect(data.folder()?)),
            RelayCommand::Release(wish) => Ok(Job::Release(wish.data.folder()?, wish.name)),
        }
    }
}

impl ServeArgs {
    fn settings(self) -> Result<relay::Config, Failure> {
        let wants_other_folder = self.config.is_none() || self.data.data.is_some();
        let mut config = match &self.config {
            Some(file) => relay::Config::read(file).map_err(|e| not_usable(&e))?,
            None => relay::Config::default(),
        };
        if wants_other_folder {
            config.data = self.data.folder()?;
        }
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(store) = self.store {
            relay::check_store(&store).map_err(|e| not_usable(&e))?;
            config.store = store;
        }
        if let Some(wake) = self.wake {
            relay::check_wake(&wake).map_err(|e| not_usable(&e))?;
        }
        if let Some(blobs) = self.blobs {
            relay::check_blobs(&blobs).map_err(|e| not_usable(&e))?;
        }
        Ok(config)
    }
}

fn not_usable(error: &relay::ConfigError) -> Failure {
    failure::usage(
        error.to_string(),
        "letterlock relay serve --help lists the settings",
    )
}

impl DataArgs {
    fn folder(self) -> Result<PathBuf, Failure> {
        let folder = self
            .data
            .or_else(|| os::data_home().map(|folder| folder.join("letterlock-relay")))
            .ok_or_else(|| {
                failure::usage(
                    "this user has no home folder",
                    "name a folder with --data DIR",
                )
            })?;
        absolute(folder)
    }
}
