//! What the operator sees: health, metrics, inspection, and what is not in them.

use crate::support::{Account, House, Queue, command, rng, send};
use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use hyper::StatusCode;
use letterlock_relay::inspect;
use wire::Request;

#[tokio::test]
async fn health_and_metrics_answer() {
    let (house, mut rng) = (House::open().await, rng(1));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    queue.subscribe(&mut peer).await;
    peer.ask(send(&queue, 1)).await;
    peer.delivery().await;
    peer.ask(queue.acknowledgement(1)).await;
    peer.ask(Queue::draw(&mut rng).subscription(&[0; 32])).await;
    let health = house.get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.text(), "{\"status\":\"ok\"}");
    let metrics = house.get("/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK);
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "letterlock_relay_connections 1",
        "letterlock_relay_subscriptions 1",
        "letterlock_relay_letters_accepted_total 1",
        "letterlock_relay_letters_delivered_total 1",
        "letterlock_relay_acknowledgements_total 1",
        "letterlock_relay_body_bytes_total 1024",
        "letterlock_relay_refusals_total 1",
        "letterlock_relay_storage_failing 0",
        "# EOF",
    ] {
        assert!(metrics.text().lines().any(|have| have == line), "{line}");
    }
    assert_eq!(house.get("/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn metrics_name_nobody_and_nothing() {
    let (house, mut rng) = (House::open().await, rng(2));
    let (mut peer, account) = (house.peer().await, Account::draw(&mut rng));
    peer.ask(account.registration("alice")).await;
    let publication = account.publication(0, 3);
    peer.ask(Request::PublishPreKeys(publication)).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    queue.subscribe(&mut peer).await;
    peer.ask(send(&queue, 1)).await;
    let metrics = house.get("/metrics").await.text().to_lowercase();
    for secret in [
        "alice".to_owned(),
        "127.0.0.1".to_owned(),
        account.id.to_string(),
        account.device_id().to_string(),
        queue.id.to_string(),
        HEXLOWER.encode(queue.id.as_bytes()),
    ] {
        assert!(!metrics.contains(&secret), "{secret}");
    }
    // Values carry no labels at all, so there is no place for an id.
    assert!(!metrics.lines().any(|line| line.contains('{')));
}

#[tokio::test]
async fn inspection_shows_ids_buckets_and_hours() {
    let (mut house, mut rng) = (House::open().await, rng(3));
    let (mut peer, account) = (house.peer().await, Account::draw(&mut rng));
    peer.ask(account.registration("alice")).await;
    let publication = account.publication(0, 3);
    peer.ask(Request::PublishPreKeys(publication)).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    peer.ask(send(&queue, 1)).await;
    peer.ask(send(&queue, 2)).await;
    for running in [true, false] {
        let report = inspect(house.data()).unwrap();
        assert_eq!(report.accounts.len(), 1);
        assert_eq!(report.accounts[0].name, "alice");
        assert_eq!(report.accounts[0].account_id, account.id.to_string());
        assert_eq!(report.queues.len(), 1);
        assert_eq!(report.queues[0].queue_id, queue.id.to_string());
        assert_eq!(report.queues[0].waiting, 2);
        let letters: Vec<_> = report.letters.iter().map(|l| (l.seq, l.bucket)).collect();
        assert_eq!(letters, [(1, 1024), (2, 1024)]);
        assert_eq!(report.one_time_pre_keys, 6);
        let hours = [
            report.accounts[0].hour,
            report.queues[0].hour,
            report.letters[0].hour,
        ];
        assert!(hours.iter().all(|hour| hour % 3600 == 0), "{hours:?}");
        if running {
            house.stop().await;
        }
    }
}

#[tokio::test]
async fn inspecting_a_folder_without_a_relay_makes_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    assert!(inspect(folder.path()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Everything in a folder, as bytes.
fn all_bytes(folder: &std::path::Path, out: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_bytes(&path, out);
        } else {
            out.push(std::fs::read(path).unwrap());
        }
    }
}

#[tokio::test]
async fn what_allows_something_is_never_stored() {
    let (mut house, mut rng) = (House::open().await, rng(4));
    let (mut peer, account) = (house.peer().await, Account::draw(&mut rng));
    peer.ask(account.registration("alice")).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    queue.subscribe(&mut peer).await;
    peer.ask(send(&queue, 1)).await;
    let (ticket, nonce) = ([0x71; 16], [0x72; 16]);
    peer.ask(Request::CreateTicket(wire::CreateTicket {
        ticket_hash: keys::sha256(&[&ticket]),
        expires: peer.welcome.time.saturating_add(3600),
    }))
    .await;
    let (seed, token) = (keys::Secret::from_fn(|seed| seed.fill(9)), [0x73; 32]);
    let mut lock = wire::PutLock {
        public_key: keys::ed25519::public(&seed),
        key: wire::LockKey::from_bytes([0x74; 32]),
        token_hash: keys::sha256(&[&token]),
        delay_seconds: 3600,
        signature: [0; 64],
    };
    lock.signature = keys::ed25519::sign(&seed, &wire::put_lock_message(&lock));
    let open = wire::OpenLock {
        id: wire::lock_id(&lock.public_key),
        token: wire::LockToken::from_bytes(token),
    };
    peer.ask(Request::PutLock(lock)).await;
    let opening = peer.ask(Request::OpenLock(open)).await;
    assert!(matches!(opening, wire::Reply::LockState(_)));
    let epoch_token = [0x75; 32];
    let Request::Send(send) = send(&queue, 2) else {
        panic!("it is a send")
    };
    for (epoch, send) in [(0, send.clone()), (1, send)] {
        let message_id = keys::MessageId::from_bytes([u8::try_from(epoch).unwrap(); 16]);
        let reply = peer.ask(Request::SendInEpoch(wire::SendInEpoch {
            group: keys::GroupId::from_bytes([0x76; 32]),
            epoch,
            token: wire::EpochToken::from_bytes(epoch_token),
            next: (epoch == 0).then(|| wire::NextEpoch {
                epoch: 1,
                token_hash: keys::sha256(&[&epoch_token]),
            }),
            send: wire::Send { message_id, ..send },
        }));
        assert!(matches!(reply.await, wire::Reply::SendResult(_)));
    }
    let redeem = wire::RedeemTicket { ticket, nonce };
    peer.ask(Request::RedeemTicket(redeem)).await;
    let code = letterlock_relay::make_registration_code(house.data(), 3600).unwrap();
    house.get("/metrics").await;
    for running in [true, false] {
        let mut files = Vec::new();
        all_bytes(house.data(), &mut files);
        let challenge = &peer.welcome.challenge;
        for (what, secret) in [
            ("a send token", &queue.token.as_bytes()[..]),
            ("a ticket", &ticket),
            ("the token of a lock", &token),
            ("the token of an epoch", &epoch_token),
            ("a registration code", code.as_bytes()),
            ("a challenge", challenge),
            ("an address", b"127.0.0.1"),
        ] {
            for form in forms(secret) {
                let found = files.iter().any(|file| contains(file, &form));
                assert!(!found, "{what} is stored");
            }
        }
        if running {
            house.stop().await;
        }
    }
}

fn forms(secret: &[u8]) -> [Vec<u8>; 4] {
    [
        secret.to_vec(),
        HEXLOWER.encode(secret).into_bytes(),
        BASE64.encode(secret).into_bytes(),
        BASE32_NOPAD.encode(secret).to_lowercase().into_bytes(),
    ]
}

fn contains(file: &[u8], wanted: &[u8]) -> bool {
    file.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test]
async fn no_table_joins_a_queue_to_an_account() {
    let house = House::open().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let mut tables = sql
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in tables {
        let columns: Vec<String> = sql
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let of = |names: &[&str]| columns.iter().any(|column| names.contains(&&column[..]));
        let queue = of(&["queue", "queue_id"]);
        let account = of(&["account", "name", "device", "head", "lock", "group_id"]);
        assert!(!(queue && account), "{table}");
        // The one queue that an account names itself, for first letters.
        assert!(!of(&["front_door"]) || table == "devices");
        assert!(!of(&["address", "peer", "sender", "ip"]), "{table}");
    }
}

#[tokio::test]
async fn the_program_shows_what_is_stored() {
    let (house, mut rng) = (House::open().await, rng(5));
    let (mut peer, account) = (house.peer().await, Account::draw(&mut rng));
    peer.ask(account.registration("alice")).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    peer.ask(send(&queue, 1)).await;
    let shown = |more: &[&str]| {
        let mut inspect = command();
        inspect.arg("inspect").arg("--data").arg(house.data());
        let output = inspect.args(more).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = shown(&[]);
    let stored = inspect(house.data()).unwrap();
    let utc = |hour| jiff::Timestamp::from_second(i64::try_from(hour).unwrap()).unwrap();
    let [account_hour, queue_hour, letter_hour] = [
        stored.accounts[0].hour,
        stored.queues[0].hour,
        stored.letters[0].hour,
    ]
    .map(utc);
    for line in [
        format!("account  {account_hour}  alice  {}  log of ", account.id),
        format!("queue    {queue_hour}  {}  1 waiting, 0 taken\n", queue.id),
        format!(
            "letter   {letter_hour}  {}  number 1, 1024 bytes\n",
            queue.id
        ),
    ] {
        assert!(text.contains(&line), "{line:?} is not in\n{text}");
    }
    let report: serde_json::Value = serde_json::from_str(&shown(&["--json"])).unwrap();
    assert_eq!(report["letters"][0]["bucket"], 1024);
    let nothing = command()
        .args(["inspect", "--data", "/nonexistent"])
        .output()
        .unwrap();
    assert!(!nothing.status.success());
}
