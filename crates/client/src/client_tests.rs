//! Two processes, one home.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code"
)]

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const HOME: &str = "LETTERLOCK_TEST_HOME";
const HOLD: &str = "LETTERLOCK_TEST_HOLD";

fn right() -> SecretBytes {
    SecretBytes::new(b"correct horse".to_vec())
}

fn wrong() -> SecretBytes {
    SecretBytes::new(b"wrong".to_vec())
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    drop(ProfileStore::create(home.path(), &right()).unwrap());
    home
}

async fn only_answer(client: &Client) -> Answer {
    client.call(Request::AccountShow).recv().await.unwrap()
}

fn is_no_account(answer: &Answer) -> bool {
    matches!(answer, Answer::Failed(failure) if failure.kind == FailureKind::NotFound)
}

/// Not a test of its own: the other process. It opens the home, or only takes its lock, and waits to be killed.
#[test]
fn other_process() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (_lock, _client);
        match std::env::var(HOLD).unwrap().as_str() {
            "lock" => _lock = ProfileLock::take(&home).unwrap().unwrap(),
            _ => _client = Client::open(&home, right()).await.unwrap(),
        }
        println!("ready");
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    });
}

struct Other(Child);

impl Other {
    fn start(home: &Path, hold: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "client::tests::other_process", "--nocapture"])
            .env(HOME, home)
            .env(HOLD, hold)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let other = Self(child);
        assert!(output.lines().any(|line| line.unwrap().contains("ready")));
        other
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_wrong_passphrase_is_refused_with_a_hint() {
    let home = home();
    let failure = Client::open(home.path(), wrong()).await.err().unwrap();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.hint.is_some());
    Client::open(home.path(), right())
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn requests_without_a_profile_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    let client = Client::open(&home, right()).await.unwrap();
    assert!(is_no_account(&only_answer(&client).await));
    let relay = Some("http://example.org".to_owned());
    let create = Request::AccountCreate {
        name: "ada".to_owned(),
        relay,
        invite: None,
        suite: "hybrid".to_owned(),
    };
    match client.call(create).recv().await {
        Some(Answer::Failed(failure)) => assert_eq!(failure.kind, FailureKind::Usage),
        other => panic!("{other:?}"),
    }
    client.close().await;
    assert!(!os::exists(&home));
}

#[tokio::test]
async fn the_process_that_has_the_home_open_answers_until_it_is_killed() {
    let home = home();
    let other = Other::start(home.path(), "client");
    assert!(is_served(home.path()).await);
    // A wrong passphrase shows that the other process answers.
    let guest = Client::open(home.path(), wrong()).await.unwrap();
    assert!(is_no_account(&only_answer(&guest).await));
    let heir = Client::open(home.path(), right()).await.unwrap();
    other.kill();
    assert!(!is_served(home.path()).await);
    assert!(is_no_account(&only_answer(&heir).await));
    // Now the heir serves.
    assert!(is_no_account(&only_answer(&guest).await));
    heir.close().await;
    match only_answer(&guest).await {
        Answer::Failed(failure) => assert_eq!(failure.kind, FailureKind::Refused),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lock_outlives_no_process() {
    let home = home();
    Other::start(home.path(), "lock").kill();
    Client::open(home.path(), right())
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_home_that_is_held_and_not_served_is_waited_for_and_then_named() {
    let home = home();
    let lock = ProfileLock::take(home.path()).unwrap().unwrap();
    let failure = Client::open(home.path(), right()).await.err().unwrap();
    assert!(failure.message.contains("another process"), "{failure:?}");
    drop(lock);
}

#[tokio::test]
async fn closing_gives_the_lock_back_at_once() {
    let home = home();
    for _ in 0..3 {
        let client = Client::open(home.path(), right()).await.unwrap();
        assert!(ProfileLock::take(home.path()).unwrap().is_none());
        client.close().await;
        drop(ProfileLock::take(home.path()).unwrap().unwrap());
    }
}
