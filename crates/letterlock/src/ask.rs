//! An open home, asked for one thing at a time.

use crate::cli::Profile;
use crate::failure::{self, Stop};
use crate::{passphrase, signal};
use client::api::{Answer, Request};
use client::view::Failure;
use client::{Client, SecretBytes};

/// Opens a home, works with it, and closes it whatever came of the work.
///
/// `creates` says that the work makes the profile. A passphrase is asked for only where it opens something.
pub(crate) async fn with_client(
    profile: &Profile,
    creates: bool,
    work: impl AsyncFnOnce(&Client) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let passphrase = passphrase(profile, creates).await?;
    let client = Client::open(&profile.home, passphrase).await?;
    let done = work(&client).await;
    // Other processes may still wait for this one; who interrupts twice does not.
    tokio::select! {
        () = client.close() => {}
        () = signal::stop_asked() => {}
    }
    done
}

async fn passphrase(profile: &Profile, creates: bool) -> Result<SecretBytes, Failure> {
    let is_profile = client::is_profile(&profile.home);
    let may_ask = if is_profile {
        !client::is_served(&profile.home).await
    } else {
        creates
    };
    passphrase::take(profile.passphrase_file.as_deref(), may_ask, !is_profile)
}

/// Asks for one thing and gives each answer to `hear` until the end.
///
/// *Errors*: what the profile answers; an interrupt.
pub(crate) async fn hear(
    client: &Client,
    request: Request,
    mut hear: impl FnMut(Answer) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut answers = client.call(request);
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            () = signal::stop_asked() => return Err(Stop::Interrupted),
        };
        match answer {
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Failed(failure)) => return Err(Stop::Failed(failure)),
            Some(answer) => hear(answer)?,
            None => return Err(Stop::Failed(cut_short())),
        }
    }
}

fn cut_short() -> Failure {
    failure::failed(
        "the answer was cut short",
        "type the command again; letters are neither lost nor sent twice",
    )
}
