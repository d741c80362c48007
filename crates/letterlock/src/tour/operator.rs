//! The relay of the tour, and all that its operator can see.

use super::stage::Stage;
use crate::failure::{self, Stop};
use crate::{inspect, os, serve};
use relay::Running;
use std::path::{Path, PathBuf};

/// Who runs the relay.
pub(super) struct Operator {
    relay: Running,
    url: String,
    data: PathBuf,
}

impl Operator {
    /// Starts a relay on a free port of loopback.
    pub(super) async fn starts(stage: &mut Stage<'_>, folder: &Path) -> Result<Self, Stop> {
        stage.step("A relay starts")?;
        let data = folder.join("relay");
        let relay = serve::start(serve::on_loopback(&data)).await?;
        let url = relay.url().to_owned();
        let words = [
            "relay",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "relay",
        ];
        stage.show(
            "operator",
            &words,
            &format!("listening on {url}"),
            Vec::new(),
        )?;
        Ok(Self { relay, url, data })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Shows all that the relay stores.
    pub(super) fn shows(&self, stage: &mut Stage<'_>) -> Result<(), Stop> {
        stage.step("What the relay stored and saw")?;
        stage.tell("Names and public logs of accounts, random queue ids, sizes in steps, times to the hour.")?;
        let report = serve::report(&self.data)?;
        let sees = inspect::for_people(&report);
        let lines = inspect::for_programs(&report);
        let objects = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        stage.show(
            "operator",
            &["relay", "inspect", "--data", "relay"],
            &sees,
            objects,
        )
    }

    /// Searches the bytes of the relay's folder, and of the homes, for what was written.
    pub(super) fn is_searched(
        &self,
        stage: &mut Stage<'_>,
        secrets: &[&str],
        homes: &[&Path],
    ) -> Result<(), Stop> {
        stage.step("A search for what was written")?;
        for folder in homes.iter().copied().chain([self.data.as_path()]) {
            let (files, bytes) = os::size_of_files(folder)?;
            let found = os::find_in_files(folder, secrets)?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if let Some((secret, path)) = found {
                return Err(Stop::Failed(failure::new(
                    client::view::FailureKind::Refused,
                    format!("{} holds readable text: {secret}", path.display()),
                    "please report this",
                )));
            }
            let size = crate::text::bytes(bytes);
            let files = crate::text::count(files, "file");
            stage.tell(&format!(
                "{name:<6} {files}, {size}: none of the letters, no file name, no line of the file"
            ))?;
        }
        stage.tell(
            "The relay's folder does hold the names alice, bob and carol: its directory answers who has which name.\n\
             Nothing in it says who wrote to whom.",
        )
    }

    /// Stops the relay as an interrupt does.
    pub(super) async fn stops(self) {
        self.relay.shutdown().await;
    }
}
