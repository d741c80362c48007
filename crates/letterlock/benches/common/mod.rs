//! What the benchmarks of the program share: a relay, people with homes, and questions to them.
#![allow(dead_code, reason = "each benchmark uses some of it")]

use client::api::{Answer, Request};
use client::{Answers, Client, SecretBytes};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A relay in a folder.
pub(crate) struct House {
    pub(crate) running: relay::Running,
    pub(crate) url: String,
}

impl House {
    pub(crate) async fn open(folder: &Path) -> Self {
        let mut config = relay::Config::default();
        config.data = folder.join("relay");
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.storage.blob_bytes = 16 << 30;
        let running = relay::Relay::start(config).await.unwrap();
        let url = running.url().to_owned();
        Self { running, url }
    }
}

/// Everything that is answered, until it is done.
pub(crate) async fn finish(mut answers: Answers) -> Vec<Answer> {
    let mut all = Vec::new();
    loop {
        match answers.recv().await.expect("an answer") {
            Answer::Done => return all,
            Answer::Failed(failure) => panic!("{failure:?}"),
            Answer::Progress(_) => {}
            answer => all.push(answer),
        }
    }
}

pub(crate) async fn ask(client: &Client, request: Request) -> Vec<Answer> {
    finish(client.call(request)).await
}

pub(crate) async fn open(home: &Path) -> Client {
    let passphrase = SecretBytes::new(b"a passphrase".to_vec());
    Client::open(home, passphrase).await.unwrap()
}

/// Somebody with an account.
pub(crate) async fn person(name: &str, folder: &Path, relay: &str) -> Client {
    let client = open(&folder.join(name)).await;
    let create = Request::AccountCreate {
        name: name.to_owned(),
        relay: Some(relay.to_owned()),
        invite: None,
        suite: "hybrid".to_owned(),
    };
    ask(&client, create).await;
    client
}

/// Two people, the first of whom knows the second one.
pub(crate) async fn pair(folder: &Path, relay: &str) -> (Client, Client) {
    let alice = person("alice", folder, relay).await;
    let bob = person("bob", folder, relay).await;
    let invite = Request::Invite {
        valid_for_seconds: 3600,
    };
    let Some(Answer::Invite(invite)) = ask(&bob, invite).await.pop() else {
        panic!("no invite")
    };
    let add = Request::ContactAdd {
        who: invite.invite,
        petname: None,
    };
    ask(&alice, add).await;
    (alice, bob)
}

pub(crate) fn letter(to: &str, text: String, files: Vec<PathBuf>) -> Request {
    Request::Send {
        to: to.to_owned(),
        text,
        files,
        expires_seconds: None,
        reply_to: None,
        wait: true,
        timeout_ms: 600_000,
    }
}

/// Milliseconds that this share of the sorted times does not exceed.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    let time = sorted.get(place.min(sorted.len() - 1)).unwrap();
    time.as_secs_f64() * 1e3
}
