//! Queues: who may do what, order, repetition, fan-out.

use crate::support::{House, Peer, Queue, refusal, rng, send, send_all};
use wire::{Deliver, Hello, RefusalKind, Reply, Request, RowResult, SendToken, limits};

fn numbers(deliveries: &[Deliver]) -> Vec<u64> {
    deliveries.iter().map(|deliver| deliver.seq).collect()
}

#[tokio::test]
async fn hello_comes_first_and_its_version_counts() {
    let house = House::open().await;
    let tcp = tokio::net::TcpStream::connect(house.address())
        .await
        .unwrap();
    let mut peer = Peer::silent(Box::new(tcp)).await;
    let queue = Queue::draw(&mut rng(1));
    assert_eq!(
        refusal(peer.ask(queue.creation()).await),
        RefusalKind::Malformed
    );
    let other = Request::Hello(Hello { version: 2 });
    assert_eq!(refusal(peer.ask(other).await), RefusalKind::Version);
    assert_eq!(
        refusal(peer.ask(queue.creation()).await),
        RefusalKind::Malformed
    );
    let Reply::Welcome(welcome) = peer.ask(Request::Hello(Hello { version: 1 })).await else {
        panic!("no welcome")
    };
    assert_eq!(welcome.limits.window, 32);
    assert_eq!(welcome.limits.rows as usize, limits::SEND_ROWS);
    assert_eq!(welcome.limits.retention_seconds, 30 * 24 * 3600);
    assert_eq!(peer.ask(queue.creation()).await, Reply::Done);
}

#[tokio::test]
async fn bodies_come_in_order_and_are_gone_once_acknowledged() {
    let (house, mut rng) = (House::open().await, rng(2));
    let (mut sender, mut receiver) = (house.peer().await, house.peer().await);
    let queue = Queue::create(&mut rng, &mut receiver).await;
    let before = queue.subscribe(&mut receiver).await;
    assert_eq!((before.next_seq, before.last_acknowledged), (1, 0));
    for number in 1..=100 {
        sender.say(send(&queue, number)).await;
    }
    for number in 1..=100 {
        let deliver = receiver.delivery().await;
        assert_eq!((deliver.queue_id, deliver.seq), (queue.id, number));
        assert_eq!(deliver.body[..8], number.to_be_bytes());
        assert_eq!(deliver.hour.as_secs() % 3600, 0);
        receiver.say(queue.acknowledgement(number)).await;
    }
    assert_eq!(
        receiver.ask(queue.acknowledgement(100)).await,
        Reply::Done,
        "acknowledging twice is done, too"
    );
    let mut later = house.peer().await;
    let after = queue.subscribe(&mut later).await;
    assert_eq!((after.next_seq, after.last_acknowledged), (101, 100));
    assert_eq!(later.deliveries_so_far().await, []);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let (house, mut rng) = (House::open().await, rng(3));
    let mut sender = house.peer().await;
    let queue = Queue::create(&mut rng, &mut sender).await;
    for number in 1..=5 {
        sender.ask(send(&queue, number)).await;
    }
    let mut first = house.peer().await;
    queue.subscribe(&mut first).await;
    for number in 1..=5 {
        assert_eq!(first.delivery().await.seq, number);
    }
    first.ask(queue.acknowledgement(2)).await;
    drop(first);
    let mut second = house.peer().await;
    let subscribed = queue.subscribe(&mut second).await;
    assert_eq!((subscribed.next_seq, subscribed.last_acknowledged), (6, 2));
    for number in 3..=5 {
        assert_eq!(second.delivery().await.seq, number);
    }
}

#[tokio::test]
async fn the_window_bounds_what_is_on_its_way() {
    let (house, mut rng) = (House::open().await, rng(4));
    let mut peer = house.peer().await;
    let (one, two) = (
        Queue::create(&mut rng, &mut peer).await,
        Queue::create(&mut rng, &mut peer).await,
    );
    for number in 1..=60 {
        peer.ask(send_all(vec![one.row(), two.row()], number)).await;
    }
    let mut receiver = house.peer().await;
    one.subscribe(&mut receiver).await;
    two.subscribe(&mut receiver).await;
    let mut next = [1, 1];
    let mut outstanding = 0;
    while next != [61, 61] {
        let deliver = receiver.delivery().await;
        outstanding += 1;
        let more = receiver.deliveries_so_far().await;
        outstanding += more.len();
        assert!(
            outstanding <= 32,
            "{outstanding} without an acknowledgement"
        );
        for deliver in [vec![deliver], more].concat() {
            let of = usize::from(deliver.queue_id == two.id);
            assert_eq!(deliver.seq, next[of], "in the order of each queue");
            next[of] += 1;
        }
        for (queue, next) in [(&one, next[0]), (&two, next[1])] {
            receiver.ask(queue.acknowledgement(next - 1)).await;
        }
        outstanding = 0;
    }
}

#[tokio::test]
async fn the_same_message_id_is_accepted_once() {
    let (house, mut rng) = (House::open().await, rng(5));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    let accepted = [RowResult::Accepted { seq: 1 }];
    let duplicate = [RowResult::Duplicate { seq: 1 }];
    assert_eq!(peer.sent(send(&queue, 77)).await, accepted);
    assert_eq!(peer.sent(send(&queue, 77)).await, duplicate);
    queue.subscribe(&mut peer).await;
    assert_eq!(peer.delivery().await.seq, 1);
    peer.ask(queue.acknowledgement(1)).await;
    assert_eq!(
        peer.sent(send(&queue, 77)).await,
        duplicate,
        "also after the acknowledgement"
    );
    assert_eq!(
        peer.sent(send(&queue, 78)).await,
        [RowResult::Accepted { seq: 2 }]
    );
    assert_eq!(numbers(&peer.deliveries_so_far().await), [2]);
}

#[tokio::test]
async fn one_body_goes_to_many_queues_and_is_stored_once() {
    let (house, mut rng) = (House::open().await, rng(6));
    let mut peer = house.peer().await;
    let mut queues = Vec::new();
    for _ in 0..100 {
        queues.push(Queue::create(&mut rng, &mut peer).await);
    }
    let rows = queues.iter().map(Queue::row).collect();
    let results = peer.sent(send_all(rows, 1)).await;
    assert_eq!(results, vec![RowResult::Accepted { seq: 1 }; 100]);
    assert_eq!(stored_bodies(&house), 1);
    for queue in &queues {
        queue.subscribe(&mut peer).await;
        assert_eq!(peer.delivery().await.queue_id, queue.id);
        assert_eq!(stored_bodies(&house), 1);
        peer.ask(queue.acknowledgement(1)).await;
    }
    assert_eq!(stored_bodies(&house), 0, "gone with its last queue");
}

fn stored_bodies(house: &House) -> u64 {
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    sql.query_row("SELECT count(*) FROM bodies", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn rows_stand_for_themselves() {
    let (house, mut rng) = (House::open().await, rng(7));
    let mut peer = house.peer().await;
    let (good, wrong) = (
        Queue::create(&mut rng, &mut peer).await,
        Queue::create(&mut rng, &mut peer).await,
    );
    let mut bad = wrong.row();
    bad.token = good.token;
    let rows = vec![Queue::draw(&mut rng).row(), bad, good.row()];
    let results = peer.sent(send_all(rows, 1)).await;
    let accepted = RowResult::Accepted { seq: 1 };
    assert_eq!(
        results,
        [RowResult::NoSuchQueue, RowResult::BadToken, accepted]
    );
}

#[tokio::test]
async fn a_wrong_token_stores_nothing() {
    let (house, mut rng) = (House::open().await, rng(8));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    let mut row = queue.row();
    row.token = SendToken::from_bytes([0; 32]);
    assert_eq!(
        peer.sent(send_all(vec![row], 1)).await,
        [RowResult::BadToken]
    );
    assert_eq!(stored_bodies(&house), 0);
    assert_eq!(
        peer.sent(send(&queue, 1)).await,
        [RowResult::Accepted { seq: 1 }],
        "the refused attempt does not count as sent"
    );
}

#[tokio::test]
async fn a_queue_is_opened_by_its_key_alone() {
    let (house, mut rng) = (House::open().await, rng(9));
    let (mut owner, mut stranger) = (house.peer().await, house.peer().await);
    let queue = Queue::create(&mut rng, &mut owner).await;
    owner.ask(send(&queue, 1)).await;
    // The signature of the owner's connection is of no use on another one.
    let replayed = queue.subscription(&owner.welcome.challenge);
    let other_key = Queue::draw(&mut rng);
    let forged = |request| match request {
        Request::Subscribe(mut subscribe) => {
            subscribe.queue_id = queue.id;
            Request::Subscribe(subscribe)
        }
        Request::DeleteQueue(mut delete) => {
            delete.queue_id = queue.id;
            Request::DeleteQueue(delete)
        }
        other => other,
    };
    let challenge = stranger.welcome.challenge;
    for request in [
        replayed,
        forged(other_key.subscription(&challenge)),
        forged(other_key.deletion()),
    ] {
        assert_eq!(refusal(stranger.ask(request).await), RefusalKind::Forbidden);
    }
    assert_eq!(stranger.deliveries_so_far().await, []);
    assert_eq!(queue.subscribe(&mut owner).await.next_seq, 2);
}

#[tokio::test]
async fn acknowledging_takes_a_subscription() {
    let (house, mut rng) = (House::open().await, rng(10));
    let (mut owner, mut stranger) = (house.peer().await, house.peer().await);
    let queue = Queue::create(&mut rng, &mut owner).await;
    stranger.ask(send(&queue, 1)).await;
    let reply = stranger.ask(queue.acknowledgement(1)).await;
    assert_eq!(refusal(reply), RefusalKind::Forbidden);
    assert_eq!(queue.subscribe(&mut owner).await.last_acknowledged, 0);
    let reply = stranger.ask(queue.acknowledgement(1)).await;
    assert_eq!(refusal(reply), RefusalKind::Forbidden);
    assert_eq!(owner.delivery().await.seq, 1);
}

#[tokio::test]
async fn the_later_subscription_gets_the_bodies() {
    let (house, mut rng) = (House::open().await, rng(11));
    let (mut old, mut new) = (house.peer().await, house.peer().await);
    let queue = Queue::create(&mut rng, &mut old).await;
    queue.subscribe(&mut old).await;
    queue.subscribe(&mut new).await;
    old.ask(send(&queue, 1)).await;
    assert_eq!(new.delivery().await.seq, 1);
    assert_eq!(old.deliveries_so_far().await, []);
    let reply = old.ask(queue.acknowledgement(1)).await;
    assert_eq!(refusal(reply), RefusalKind::Forbidden);
    queue.subscribe(&mut new).await;
    assert_eq!(new.delivery().await.seq, 1, "subscribed anew, told anew");
}

#[tokio::test]
async fn making_and_deleting_twice_is_done() {
    let (house, mut rng) = (House::open().await, rng(12));
    let mut peer = house.peer().await;
    let queue = Queue::create(&mut rng, &mut peer).await;
    assert_eq!(peer.ask(queue.creation()).await, Reply::Done);
    let mut other = Queue::draw(&mut rng);
    other.id = queue.id;
    assert_eq!(
        refusal(peer.ask(other.creation()).await),
        RefusalKind::Conflict
    );
    queue.subscribe(&mut peer).await;
    peer.ask(send(&queue, 1)).await;
    assert_eq!(peer.ask(queue.deletion()).await, Reply::Done);
    assert_eq!(peer.ask(queue.deletion()).await, Reply::Done);
    assert_eq!(stored_bodies(&house), 0);
    assert_eq!(peer.sent(send(&queue, 2)).await, [RowResult::NoSuchQueue]);
    let subscription = queue.subscription(&peer.welcome.challenge);
    assert_eq!(refusal(peer.ask(subscription).await), RefusalKind::NotFound);
    assert_eq!(
        peer.ask(other.creation()).await,
        Reply::Done,
        "the id is free"
    );
}
