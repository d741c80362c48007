//! Nothing secret on the network, on the relay's disk, on the own disk, or in a log.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a story that does not hold ends its test"
)]

use client::api::{Answer, Request};
use client::{Client, SecretBytes};
use engine::{Attachment, Draft, Table};
use letterlock_testkit::{Logged, Secrets, World};
use std::path::Path;
use std::time::Duration;

const TEXT: &str = "Meet me under the old chestnut.";
const ANSWER: &str = "I shall wear the green coat.";
const FILE_NAME: &str = "plan-of-the-garden.txt";

/// The keys of everybody's store, less what is published.
fn keys_of(world: &mut World, people: &[&str]) -> Secrets {
    let mut secrets = Secrets::default();
    for name in people {
        let store = &world.person(name).store;
        let tables = [
            Table::Session,
            Table::PreKey,
            Table::Queue,
            Table::Route,
            Table::KeyPackage,
        ];
        for table in tables {
            store.values(table).for_each(|row| secrets.key(row));
        }
    }
    let mut public = Vec::new();
    for name in people {
        let account = engine::Engine.account(&world.person(name).store);
        let account = account.unwrap().unwrap();
        // With the last byte of the length that stands before it.
        public.push([&[32], &account.id.as_bytes()[..]].concat());
        public.push(account.device.as_bytes().to_vec());
    }
    for request in world.relay().heard() {
        match request {
            wire::Request::Register(register) => public.push(register.log.clone()),
            wire::Request::CreateQueue(create) => public.push(create.queue_id.as_bytes().to_vec()),
            wire::Request::PublishPreKeys(publish) => {
                public.extend_from_slice(&publish.one_time_ec);
                public.extend_from_slice(&publish.one_time_kem);
                let door = publish.front_door;
                public.extend([
                    publish.signed_ec.clone(),
                    publish.last_resort_kem.clone(),
                    publish.identity.clone(),
                    [&door.queue_id.as_bytes()[..], door.token.as_bytes()].concat(),
                    door.token.as_bytes().to_vec(),
                ]);
            }
            wire::Request::PublishKeyPackages(publish) => {
                public.extend_from_slice(&publish.packages);
                public.extend(publish.last_resort.clone());
            }
            wire::Request::Send(send) => {
                let row = send.rows.first().unwrap();
                public.push([&row.queue_id.as_bytes()[..], row.token.as_bytes()].concat());
                public.push(row.token.as_bytes().to_vec());
            }
            _ => {}
        }
    }
    // Own secret keys stand behind the log in the account's record; nothing of them is ever public.
    for name in people {
        let person = world.person(name);
        let account = engine::Engine.account(&person.store).unwrap().unwrap();
        let record = person.store.values(Table::Meta);
        let record = record.max_by_key(|row| row.len()).unwrap();
        let log = record.windows(account.log.len());
        let start = log
            .into_iter()
            .position(|window| window == account.log)
            .unwrap();
        secrets.key(
            record
                .split_at(start)
                .1
                .strip_prefix(&account.log[..])
                .unwrap(),
        );
    }
    public.iter().for_each(|id| secrets.public(id));
    secrets
}

#[test]
fn network_and_relay_of_a_world_see_no_text_and_no_key() {
    let logged = Logged::listen();
    let mut world = World::new(60);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let file = Attachment {
        path: format!("/home/alice/{FILE_NAME}"),
        name: FILE_NAME.to_owned(),
        length: 3,
        fingerprint: [0; 32],
    };
    let draft = Draft {
        text: TEXT.to_owned(),
        attachments: vec![file],
        ..Draft::default()
    };
    let letter = world.send_draft("alice", "bob", draft).unwrap();
    world.settle();
    assert_eq!(world.read("bob")[0].1, TEXT);
    let answer = Draft {
        text: ANSWER.to_owned(),
        reply_to: Some(letter),
        ..Draft::default()
    };
    world.send_draft("bob", "alice", answer).unwrap();
    world.settle();
    assert_eq!(world.read("alice")[0].1, ANSWER);
    let mut secrets = keys_of(&mut world, &["alice", "bob"]);
    secrets.word("a text", TEXT);
    secrets.word("an answer", ANSWER);
    secrets.word("the name of a file", FILE_NAME);
    secrets.word("the id of a letter", &letter.to_string());
    secrets.key(letter.as_bytes());
    let stored = world.relay().store().bytes();
    secrets.assert_absent("the relay", &stored);
    secrets.assert_absent("the network", world.tapped());
    secrets.assert_absent("the log", &logged.bytes());
}

/// Everything that is answered to a request.
async fn ask(client: &Client, request: Request) -> Vec<Answer> {
    let mut answers = client.call(request);
    let mut all = Vec::new();
    while let Some(answer) = answers.recv().await {
        if let Answer::Failed(failure) = &answer {
            panic!("{failure:?}");
        }
        all.push(answer);
    }
    all
}

async fn join(home: &Path, passphrase: &str, name: &str, relay: &str) -> Client {
    let passphrase = SecretBytes::new(passphrase.as_bytes().to_vec());
    let client = Client::open(home, passphrase).await.unwrap();
    let create = Request::AccountCreate {
        name: name.to_owned(),
        relay: Some(relay.to_owned()),
        invite: None,
        suite: "hybrid".to_owned(),
    };
    ask(&client, create).await;
    client
}

fn letter(text: &str, to: &str, files: Vec<std::path::PathBuf>) -> Request {
    Request::Send {
        to: to.to_owned(),
        text: text.to_owned(),
        files,
        expires_seconds: None,
        reply_to: None,
        wait: true,
        timeout_ms: 20_000,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_and_logs_of_real_programs_hold_no_text_name_or_passphrase() {
    let logged = Logged::listen();
    let folder = tempfile::tempdir().unwrap();
    let mut config = relay::Config::new(folder.path().join("relay"));
    config.listen = "127.0.0.1:0".parse().unwrap();
    let relay = relay::Relay::start(config).await.unwrap();
    let homes = ["home-a", "home-b"].map(|home| folder.path().join(home));
    let alice = join(&homes[0], "correct horse battery", "alice", relay.url()).await;
    let bob = join(&homes[1], "staple of the people", "bob", relay.url()).await;
    let made = ask(
        &bob,
        Request::Invite {
            valid_for_seconds: 3600,
        },
    )
    .await;
    let invite = made.iter().find_map(|answer| match answer {
        Answer::Invite(invite) => Some(invite.invite.clone()),
        _ => None,
    });
    let add = Request::ContactAdd {
        who: invite.unwrap(),
        petname: Some("uncle-robert".to_owned()),
    };
    ask(&alice, add).await;
    let content = "the third door behind the roses".repeat(9);
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, &content).unwrap();
    ask(&alice, letter(TEXT, "uncle-robert", vec![file.clone()])).await;
    let receive = || Request::Receive {
        follow: false,
        timeout_ms: None,
        save: None,
    };
    let got = ask(&bob, receive()).await;
    assert!(
        got.iter()
            .any(|answer| matches!(answer, Answer::Letter(letter) if letter.text == TEXT))
    );
    ask(&bob, letter(ANSWER, "alice", Vec::new())).await;
    let got = ask(&alice, receive()).await;
    assert!(
        got.iter()
            .any(|answer| matches!(answer, Answer::Letter(letter) if letter.text == ANSWER))
    );
    std::fs::remove_file(file).unwrap();
    let mut secrets = Secrets::default();
    secrets.word("a text", TEXT);
    secrets.word("an answer", ANSWER);
    secrets.word("the name of a file", FILE_NAME);
    secrets.word("a file", &content[..40]);
    secrets.word("what a contact is called", "uncle-robert");
    secrets.word("a passphrase", "correct horse battery");
    secrets.word("a passphrase", "staple of the people");
    // While they run: write-ahead logs and sockets are there.
    secrets.assert_absent_in_folder(folder.path());
    alice.close().await;
    bob.close().await;
    relay.shutdown().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    secrets.assert_absent_in_folder(folder.path());
    secrets.assert_absent("the log", &logged.bytes());
}
