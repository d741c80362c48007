//! Somebody on the tour: a name, an encrypted home, and, while at the keyboard, an open client.

use crate::ask;
use crate::cli::contact::Verify;
use crate::cli::{Job, LowArgs};
use crate::failure::{self, Stop};
use clap::Parser as _;
use client::api::{Answer, Request};
use client::{Client, SecretBytes};
use std::path::{Path, PathBuf};

/// Somebody on the tour.
pub(super) struct Person {
    name: &'static str,
    home: PathBuf,
    client: Option<Client>,
}

impl Person {
    /// Somebody with an own home, which is not there yet, below a folder.
    pub(super) fn new(name: &'static str, folder: &Path) -> Self {
        Self {
            name,
            home: folder.join(name),
            client: None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Does what the words after `letterlock` say; the answers but for progress.
    pub(super) async fn does(&mut self, words: &[&str]) -> Result<Vec<Answer>, Stop> {
        let mut answers = Vec::new();
        let request = self.request(words)?;
        let client = self.client().await?;
        ask::hear(client, request, |answer| {
            if !matches!(answer, Answer::Progress(_)) {
                answers.push(answer);
            }
            Ok(())
        })
        .await?;
        Ok(answers)
    }

    /// Leaves the keyboard: the program ends, the home is closed.
    pub(super) async fn leaves(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    async fn client(&mut self) -> Result<&Client, Stop> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let passphrase = format!("a passphrase that only {} knows", self.name);
                Client::open(&self.home, SecretBytes::new(passphrase.into_bytes())).await?
            }
        };
        Ok(self.client.insert(client))
    }

    /// What the command line makes of the words.
    fn request(&self, words: &[&str]) -> Result<Request, Stop> {
        let home = self.home.to_string_lossy();
        let line = ["letterlock", "--home", &home].into_iter();
        let args = LowArgs::try_parse_from(line.chain(words.iter().copied()))
            .map_err(|_| Stop::Failed(no_request(words)))?;
        match args.into_job()? {
            Job::Ask(_, request) => Ok(request),
            Job::Verify(_, Verify { contact, compared }) => Ok(if compared {
                Request::ContactVerify { contact }
            } else {
                Request::SafetyNumber { contact }
            }),
            _ => Err(Stop::Failed(no_request(words))),
        }
    }
}

fn no_request(words: &[&str]) -> client::view::Failure {
    failure::failed(
        format!("the tour does not know the command {}", words.join(" ")),
        "please report this",
    )
}
