//! `letterlock-relay`: the relay as operators run it.

use clap::{Args, Parser, Subcommand};
use letterlock_relay::{
    Config, InspectReport, Relay, check_blobs, check_store, check_wake, inspect,
    make_registration_code, release_name,
};
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The server that cannot read what it carries
#[derive(Debug, Parser)]
#[command(name = "letterlock-relay", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    /// Show what is stored
    Inspect(Inspect),
    Code(Code),
    Release(Release),
}

/// Run the relay until it is interrupted
///
/// Prints `listening on URL` when it is ready.
#[derive(Debug, Args)]
struct Serve {
    /// A TOML file with settings; options given here count more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of everything it stores [default: letterlock-relay]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; plain HTTP on loopback, TLS 1.3 elsewhere [default: 127.0.0.1:4433]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The store; this version has `sqlite:`
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The wake-up channel; this version has `local:`
    #[arg(long, value_name = "URL")]
    wake: Option<String>,
    /// The blob store; this version has `file:`
    #[arg(long, value_name = "URL")]
    blobs: Option<String>,
}

#[derive(Debug, Args)]
struct Inspect {
    /// The relay's folder
    #[arg(long, value_name = "DIR", default_value = "letterlock-relay")]
    data: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Make a registration code that counts once
#[derive(Debug, Args)]
struct Code {
    /// The relay's folder
    #[arg(long, value_name = "DIR", default_value = "letterlock-relay")]
    data: PathBuf,
    /// Days until it expires
    #[arg(long, default_value_t = 7)]
    days: u32,
}

/// Free the name of somebody who lost every key
///
/// The last way out, where no device, sheet or guardian is left. The account that had the name goes on under another
/// one; whoever asks next gets the name, with new keys. Contacts are stopped until they compare safety numbers. Make
/// sure who asks.
#[derive(Debug, Args)]
struct Release {
    /// The name, without `@RELAY`
    name: String,
    /// The relay's folder
    #[arg(long, value_name = "DIR", default_value = "letterlock-relay")]
    data: PathBuf,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(wish) => serve(wish),
        Command::Inspect(wish) => show(&wish),
        Command::Code(wish) => code(&wish),
        Command::Release(wish) => release(&wish),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "letterlock-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(wish: Serve) -> Result<Config, Box<dyn Error>> {
    let mut config = match &wish.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    if let Some(url) = wish.store {
        check_store(&url)?;
        config.store = url;
    }
    wish.wake.as_deref().map(check_wake).transpose()?;
    wish.blobs.as_deref().map(check_blobs).transpose()?;
    config.data = wish.data.unwrap_or(config.data);
    config.listen = wish.listen.unwrap_or(config.listen);
    Ok(config)
}

fn serve(wish: Serve) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let config = settings(wish)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let relay = Relay::start(config).await?;
        writeln!(std::io::stdout(), "listening on {}", relay.url())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        relay.shutdown().await;
        Ok(())
    })
}

fn show(wish: &Inspect) -> Result<(), Box<dyn Error>> {
    let report = inspect(&wish.data)?;
    let mut out = std::io::stdout().lock();
    if wish.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(());
    }
    let (id, version) = (&report.relay_id, report.store_version);
    writeln!(out, "relay {id} at transaction {version}")?;
    for row in rows(&report) {
        writeln!(out, "{row}")?;
    }
    let (keys, tickets) = (report.one_time_pre_keys, report.tickets);
    let (heads, locks, packages) = (report.heads, report.locks, report.key_packages);
    writeln!(
        out,
        "{keys} one-time pre-keys, {packages} key packages, {tickets} tickets, {heads} heads, {locks} locks"
    )?;
    Ok(())
}

fn rows(report: &InspectReport) -> Vec<String> {
    let mut rows = Vec::new();
    for account in &report.accounts {
        let (name, id) = (&account.name, &account.account_id);
        let (hour, bytes) = (utc(account.hour), account.log_bytes);
        rows.push(format!(
            "account  {hour}  {name}  {id}  log of {bytes} bytes"
        ));
    }
    for queue in &report.queues {
        let (hour, id) = (utc(queue.hour), &queue.queue_id);
        let (waiting, taken) = (queue.waiting, queue.acknowledged);
        rows.push(format!(
            "queue    {hour}  {id}  {waiting} waiting, {taken} taken"
        ));
    }
    for letter in &report.letters {
        let (hour, id) = (utc(letter.hour), &letter.queue_id);
        let (seq, bytes) = (letter.seq, letter.bucket);
        rows.push(format!(
            "letter   {hour}  {id}  number {seq}, {bytes} bytes"
        ));
    }
    for blob in &report.blobs {
        let (hour, id, bytes) = (utc(blob.hour), &blob.blob_id, blob.bytes);
        let state = if blob.complete { "whole" } else { "unfinished" };
        rows.push(format!("blob     {hour}  {id}  {bytes} bytes, {state}"));
    }
    for group in &report.groups {
        let (hour, id, epoch) = (utc(group.hour), &group.group_id, group.epoch);
        rows.push(format!("group    {hour}  {id}  epoch {epoch}"));
    }
    rows
}

/// The hour as RFC 3339 writes it.
fn utc(hour: u64) -> String {
    let second = i64::try_from(hour).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).map_or_else(|_| hour.to_string(), |time| time.to_string())
}

fn release(wish: &Release) -> Result<(), Box<dyn Error>> {
    let other = release_name(&wish.data, &wish.name)?;
    writeln!(std::io::stdout(), "{other}")?;
    Ok(())
}

fn code(wish: &Code) -> Result<(), Box<dyn Error>> {
    let code = make_registration_code(&wish.data, u64::from(wish.days).saturating_mul(24 * 3600))?;
    writeln!(std::io::stdout(), "{code}")?;
    Ok(())
}
