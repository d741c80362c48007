//! Stops, kills, full disks, old copies: what was accepted stays.

use crate::support::{House, Peer, Process, Queue, command, refused, rng, send};
use rand_core::Rng as _;
use std::collections::BTreeMap;
use std::path::Path;
use wire::{RefusalKind, Reply, RowResult};

/// Reads what lies in a queue, acknowledges it, and returns the numbers of the letters by their places.
async fn drain(queue: &Queue, peer: &mut Peer) -> BTreeMap<u64, u64> {
    let subscribed = queue.subscribe(peer).await;
    let mut letters = BTreeMap::new();
    for seq in subscribed.last_acknowledged + 1..subscribed.next_seq {
        let deliver = peer.delivery().await;
        assert_eq!(deliver.seq, seq, "without gaps");
        let number = u64::from_be_bytes(deliver.body[..8].try_into().unwrap());
        letters.insert(seq, number);
        peer.ask(queue.acknowledgement(seq)).await;
    }
    letters
}

#[tokio::test]
async fn a_graceful_stop_answers_what_it_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(1);
    let mut relay = Process::serve(folder.path(), &[]);
    let mut peer = Peer::connect(relay.address()).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    let mut numbers = Vec::new();
    for number in 1..=100 {
        numbers.push((peer.say(send(&queue, number)).await, number));
    }
    // The first answer shows that the relay is in the middle of them.
    peer.reply(numbers[0].0).await;
    relay.terminate();
    let mut accepted = BTreeMap::from([(1, 1)]);
    while let Some(frame) = peer.next_until_closed().await {
        let Reply::SendResult(result) = frame.reply else {
            panic!("not accepted: {:?}", frame.reply)
        };
        let [RowResult::Accepted { seq }] = result.rows[..] else {
            panic!("not accepted: {:?}", result.rows)
        };
        let (_, number) = numbers.iter().find(|n| n.0 == frame.request_id).unwrap();
        accepted.insert(seq, *number);
    }
    assert!(relay.ended().success());
    let relay = Process::serve(folder.path(), &[]);
    let mut peer = Peer::connect(relay.address()).await;
    assert_eq!(
        drain(&queue, &mut peer).await,
        accepted,
        "what is stored was answered, and the reverse"
    );
}

#[tokio::test]
async fn a_killed_relay_keeps_everything_it_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(2);
    let mut relay = Process::serve(folder.path(), &[]);
    let mut peer = Peer::connect(relay.address()).await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    let (mut next, mut expected) = (1, BTreeMap::new());
    let mut version = 0;
    for _ in 0..10 {
        let (first, answered) = (next, 1 + rng.next_u64() % 60);
        let mut requests = Vec::new();
        for _ in 0..80 {
            requests.push((peer.say(send(&queue, next)).await, next));
            next += 1;
        }
        for (request, number) in &requests[..usize::try_from(answered).unwrap()] {
            let Reply::SendResult(result) = peer.reply(*request).await else {
                panic!("not sent")
            };
            version = version.max(result.store_version);
            if let [RowResult::Accepted { seq }] = result.rows[..] {
                expected.insert(seq, *number);
            }
        }
        relay.kill();
        relay = Process::serve(folder.path(), &[]);
        peer = Peer::connect(relay.address()).await;
        assert!(peer.welcome.store_version >= version);
        // What was not answered may be there or not; sent again it is there once.
        for number in first..next {
            match peer.sent(send(&queue, number)).await[..] {
                [RowResult::Accepted { seq } | RowResult::Duplicate { seq }] => {
                    let before = expected.insert(seq, number);
                    assert!(before.is_none_or(|before| before == number));
                }
                ref other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(expected.len(), 800);
    assert_eq!(drain(&queue, &mut peer).await, expected);
}

#[tokio::test]
async fn a_database_set_back_shows() {
    let (mut house, mut rng) = (House::open().await, rng(3));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    peer.ask(send(&queue, 1)).await;
    let id = peer.welcome.relay_id;
    house.stop().await;
    std::fs::copy(house.database(), house.aside()).unwrap();
    house.start().await;
    let mut peer = house.peer().await;
    let mut seen = peer.welcome.store_version;
    for number in 2..=40 {
        let Reply::SendResult(result) = peer.ask(send(&queue, number)).await else {
            panic!("not sent")
        };
        assert!(result.store_version > seen, "it grows with every change");
        seen = result.store_version;
    }
    let next = queue.subscribe(&mut peer).await.next_seq;
    assert_eq!(next, 41);
    house.stop().await;
    std::fs::copy(house.aside(), house.database()).unwrap();
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(peer.welcome.relay_id, id, "it is the same relay");
    assert!(peer.welcome.store_version < seen, "which knows less");
    let subscribed = queue.subscribe(&mut peer).await;
    assert!(subscribed.store_version < seen && subscribed.next_seq < next);
    assert_eq!(peer.delivery().await.seq, 1, "what it has, it delivers");
}

#[tokio::test]
async fn another_relay_does_not_start_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Process::serve(folder.path(), &[]);
    let serve = |data: &Path| {
        let mut command = command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data).output().unwrap()
    };
    let second = serve(folder.path());
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("another relay runs on this data folder"),
        "{said}"
    );
    assert_eq!(second.stdout, b"");
    relay.kill();
    Process::serve(folder.path(), &[]);
}

#[tokio::test]
async fn a_full_disk_refuses_for_a_time_and_loses_nothing() {
    let house = House::with(|config| config.storage.database_bytes = 600 * 1024).await;
    let (mut peer, mut rng) = (house.peer().await, rng(4));
    let queue = Queue::create(&mut rng, &mut peer).await;
    let mut accepted = 0;
    let refused = loop {
        match peer.ask(send(&queue, accepted + 1)).await {
            Reply::SendResult(_) => accepted += 1,
            other => break refused(other),
        }
    };
    assert_eq!(refused.kind, RefusalKind::Storage);
    assert!(refused.retry_after_ms > 0);
    assert!(accepted > 100, "{accepted}");
    let health = house.get("/health").await;
    assert_eq!(health.status, hyper::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.text(), "{\"status\":\"storage\"}");
    // Taking letters makes room, also while it is full.
    let letters = drain(&queue, &mut peer).await;
    let all: BTreeMap<u64, u64> = (1..=accepted).map(|number| (number, number)).collect();
    assert_eq!(letters, all);
    let result = peer.sent(send(&queue, accepted + 1)).await;
    assert_eq!(result, [RowResult::Accepted { seq: accepted + 1 }]);
    assert_eq!(house.get("/health").await.text(), "{\"status\":\"ok\"}");
}

#[tokio::test]
async fn expired_letters_are_deleted_and_leave_a_visible_gap() {
    let (mut house, mut rng) = (House::open().await, rng(5));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    for number in 1..=6 {
        peer.ask(send(&queue, number)).await;
    }
    house.stop().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let month = 30 * 24 * 3600;
    sql.execute(
        "UPDATE letters SET hour = hour - ?1 - 3600 WHERE seq <= 4",
        [month],
    )
    .unwrap();
    sql.execute("UPDATE sent SET hour = hour - ?1", [8 * 24 * 3600])
        .unwrap();
    house.start().await;
    loop {
        let left: u64 = sql
            .query_row("SELECT count(*) FROM letters", [], |row| row.get(0))
            .unwrap();
        if left == 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut peer = house.peer().await;
    let subscribed = queue.subscribe(&mut peer).await;
    assert_eq!((subscribed.next_seq, subscribed.last_acknowledged), (7, 4));
    assert_eq!(peer.delivery().await.seq, 5);
    assert_eq!(peer.delivery().await.seq, 6);
    let bodies: u64 = sql
        .query_row("SELECT count(*) FROM bodies", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bodies, 2);
    // After a week the relay has forgotten the message id.
    let again = peer.sent(send(&queue, 6)).await;
    assert_eq!(again, [RowResult::Accepted { seq: 7 }]);
}

#[tokio::test]
async fn a_database_of_the_first_form_gets_the_new_tables() {
    let (mut house, mut rng) = (House::open().await, rng(9));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    peer.sent(send(&queue, 1)).await;
    house.stop().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    sql.execute_batch(
        "DROP TABLE heads; DROP TABLE locks; DROP TABLE groups; DROP TABLE key_packages; ALTER TABLE blobs DROP COLUMN lasting; ALTER TABLE blobs DROP COLUMN until; PRAGMA user_version = 1;",
    )
    .unwrap();
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert_eq!((report.heads, report.locks), (0, 0));
    assert_eq!((report.groups, report.key_packages), (vec![], 0));
    house.start().await;
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('heads', 'locks', 'groups', 'key_packages')";
    let made: u64 = sql.query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(made, 4);
    let mut peer = house.peer().await;
    queue.subscribe(&mut peer).await;
    assert_eq!(peer.delivery().await.seq, 1);
}

/// Key packages had no suite when the third form began, and have one since; blobs did not last.
#[tokio::test]
async fn a_database_of_the_third_form_gets_the_new_columns() {
    for suites in [false, true] {
        let mut house = House::open().await;
        house.stop().await;
        let sql = rusqlite::Connection::open(house.database()).unwrap();
        sql.execute_batch("ALTER TABLE blobs DROP COLUMN lasting; ALTER TABLE blobs DROP COLUMN until; PRAGMA user_version = 3;")
            .unwrap();
        let suite = if suites {
            "suite INTEGER NOT NULL DEFAULT 2,"
        } else {
            ""
        };
        sql.execute_batch(&format!(
            "DROP TABLE key_packages;
             CREATE TABLE key_packages (id INTEGER PRIMARY KEY, account BLOB NOT NULL, device BLOB NOT NULL, {suite}
                 last_resort INTEGER NOT NULL, hash BLOB NOT NULL, hour INTEGER NOT NULL, package BLOB,
                 UNIQUE (account, device, last_resort, hash));
             CREATE INDEX key_packages_left ON key_packages (account, device, last_resort) WHERE package IS NOT NULL;
             INSERT INTO key_packages (account, device, last_resort, hash, hour, package)
                 VALUES (x'01', x'02', 0, x'03', unixepoch(), x'04');
             INSERT INTO blobs (blob, write_hash, read_hash, durable, complete, hour)
                 VALUES (zeroblob(16), zeroblob(32), zeroblob(32), 0, 0, unixepoch());"
        ))
        .unwrap();
        house.start().await;
        let read = |what: &str| -> u64 { sql.query_row(what, [], |row| row.get(0)).unwrap() };
        let wanted = if suites { 2 } else { 1 };
        assert_eq!(read("SELECT suite FROM key_packages"), wanted);
        assert_eq!(read("SELECT lasting FROM blobs"), 0);
        assert_eq!(read("PRAGMA user_version"), 5);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_database_of_another_form_is_left_alone() {
    let mut house = House::open().await;
    house.stop().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    sql.pragma_update(None, "user_version", 99).unwrap();
    drop(sql);
    let before = std::fs::read(house.database()).unwrap();
    let started = letterlock_relay::Relay::start(house.config.clone()).await;
    assert!(started.is_err());
    assert!(std::fs::read(house.database()).unwrap() == before);
}
