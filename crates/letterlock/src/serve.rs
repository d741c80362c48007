//! `relay serve` and `relay inspect`: the relay as a library, with a terminal in front.

use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{inspect, signal};
use client::view::{Failure, FailureKind};
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

#[derive(Serialize)]
#[serde(tag = "answer", rename = "listening")]
struct Listening<'u> {
    url: &'u str,
}

/// Runs a relay until interrupted.
pub(crate) async fn serve(config: relay::Config, screen: &mut Screen) -> Result<(), Stop> {
    if config.listen.ip().is_unspecified() && config.public_host.is_none() {
        screen.talk(
            "note: nobody else reaches this address; set public_host in a file and give it with --config FILE",
        );
    }
    let running = start(config).await?;
    let url = running.url();
    match screen.either(&format!("listening on {url}\n"), &Listening { url }) {
        // The relay is for others; whoever read the line may leave.
        Ok(()) | Err(Stop::OutputClosed) => {}
        Err(stop) => return Err(stop),
    }
    signal::stop_asked().await;
    running.shutdown().await;
    Ok(())
}

/// Starts a relay in this process.
pub(crate) async fn start(config: relay::Config) -> Result<relay::Running, Failure> {
    relay::Relay::start(config).await.map_err(|error| {
        failure::failed(
            error.to_string(),
            "look at address and folder: letterlock relay serve --help",
        )
    })
}

/// The settings of a relay on a free port of loopback.
pub(crate) fn on_loopback(data: &Path) -> relay::Config {
    let mut config = relay::Config::new(data);
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config
}

/// Shows what a relay stores.
pub(crate) fn inspect(data: &Path, screen: &mut Screen) -> Result<(), Stop> {
    let report = report(data)?;
    if !screen.json() {
        return screen.result(&inspect::for_people(&report));
    }
    for line in inspect::for_programs(&report) {
        screen.result(&line)?;
    }
    Ok(())
}

/// Looks at what a relay stores.
pub(crate) fn report(data: &Path) -> Result<relay::InspectReport, Failure> {
    relay::inspect(data).map_err(|error| not_there(&error))
}

fn not_there(error: &relay::InspectError) -> Failure {
    let hint = match error {
        relay::InspectError::NoName(_) => "see the names: letterlock relay inspect",
        _ => "name the relay's folder with --data DIR",
    };
    let kind = match error {
        relay::InspectError::NoStore(_) | relay::InspectError::NoName(_) => FailureKind::NotFound,
        _ => FailureKind::Failed,
    };
    failure::new(kind, error.to_string(), hint)
}

/// Frees a name.
pub(crate) fn release(data: &Path, name: &str, screen: &mut Screen) -> Result<(), Stop> {
    let other = relay::release_name(data, name).map_err(|error| not_there(&error))?;
    if screen.json() {
        return screen.result(&inspect::released(name, &other));
    }
    screen.result(&format!("{other}\n"))?;
    screen.talk(&format!(
        "{name} is free; whoever asks next gets it, so tell the person to type now: letterlock account create {name}"
    ));
    Ok(())
}
