//! Keys, their holders and ages, as people read them.

use crate::failure::{self, Stop};
use crate::screen::Screen;
use crate::{ask, cbom, os, text, time};
use client::Client;
use client::api::{Answer, Request};
use client::insight::Holder;
use client::inventory::{Algorithm, Inventory, Key};
use std::fmt::Write as _;
use std::path::Path;

/// A line for one key that opens something.
pub(crate) fn holder(holder: &Holder) -> String {
    let sure = if holder.certain { "can" } else { "may" };
    let mut line = format!(
        "{:<12}  {sure}  {:<28}  {}",
        text::line(&holder.item),
        text::line(&holder.who),
        text::line(&holder.message)
    );
    if let Some(until) = holder.until {
        let _ = write!(line, "; until {}", time::local(until));
    }
    line.push('\n');
    line
}

/// Shows algorithms and keys and, where a file is named, writes the bill of materials.
pub(crate) async fn inventory(
    client: &Client,
    file: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let (mut of, mut algorithms, mut keys) = (None, Vec::new(), Vec::new());
    ask::hear(client, Request::Inventory, |answer| {
        match &answer {
            Answer::Inventory(inventory) => of = Some(inventory.clone()),
            Answer::Algorithm(algorithm) => algorithms.push(algorithm.clone()),
            Answer::Key(key) => keys.push(key.clone()),
            _ => {}
        }
        screen.show(&answer)
    })
    .await?;
    if let (Some(file), Some(of)) = (file, of) {
        let document = cbom::document(&of, &algorithms, &keys);
        let text = format!("{document:#}\n");
        os::write(file, text.as_bytes())
            .map_err(|error| failure::file("the bill of materials", file, &error))?;
        screen.talk(&format!(
            "written to {}",
            text::line(&file.display().to_string())
        ));
    }
    Ok(())
}

/// Whose inventory follows.
pub(crate) fn heading(inventory: &Inventory) -> String {
    format!(
        "account {}\ndevice  {}\nsuite   {}, {}\n",
        text::line(&inventory.account_id),
        text::line(&inventory.device_id),
        text::line(&inventory.suite),
        time::local(inventory.at)
    )
}

/// A line for an algorithm.
pub(crate) fn algorithm(algorithm: &Algorithm) -> String {
    format!(
        "algorithm  {:<18} {:<12} {}\n",
        text::line(&algorithm.name),
        text::line(&algorithm.primitive),
        text::line(&algorithm.uses.join("; "))
    )
}

/// A line for a key.
pub(crate) fn key(key: &Key) -> String {
    let mut line = format!(
        "key        {:<22} {:<14} {}",
        text::line(&key.key),
        text::line(&key.state),
        text::line(&key.who)
    );
    if key.count != 1 {
        let _ = write!(line, ", {} of them", key.count);
    }
    for (word, at) in [
        ("made", key.created_at),
        ("since", key.changed_at),
        ("due", key.due_at),
        ("until", key.expires_at),
    ] {
        if let Some(at) = at {
            let _ = write!(line, ", {word} {}", time::day(at));
        }
    }
    if !key.here {
        line.push_str(", not here");
    }
    line.push('\n');
    line
}
