//! Epochs of groups: one change after the other, nothing of the losers, and no word of who is in a group.

use crate::support::{House, Peer, Process, Queue, refusal, refused, rng, send, send_all};
use keys::{GroupId, MessageId};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeSet;
use wire::{
    Body, EpochToken, NextEpoch, RefusalKind, Reply, Request, RowResult, Send, SendInEpoch, SendRow,
};

const GROUP: GroupId = GroupId::from_bytes([3; 32]);

/// The token of an epoch.
fn token(epoch: u64) -> EpochToken {
    EpochToken::from_bytes(keys::sha256(&[b"epoch", &epoch.to_be_bytes()]))
}

fn next(epoch: u64) -> NextEpoch {
    NextEpoch {
        epoch,
        token_hash: keys::sha256(&[token(epoch).as_bytes()]),
    }
}

/// A letter in an epoch. The number is the message id, too.
fn letter(rows: Vec<SendRow>, number: u64, epoch: u64) -> SendInEpoch {
    let Request::Send(send) = send_all(rows, number) else {
        unreachable!()
    };
    SendInEpoch {
        group: GROUP,
        epoch,
        token: token(epoch),
        next: None,
        send,
    }
}

/// A commit that begins an epoch.
fn commit(rows: Vec<SendRow>, number: u64, epoch: u64, begins: u64) -> SendInEpoch {
    SendInEpoch {
        next: Some(next(begins)),
        ..letter(rows, number, epoch)
    }
}

impl Peer {
    async fn in_epoch(&mut self, request: &SendInEpoch) -> Reply {
        self.ask(Request::SendInEpoch(request.clone())).await
    }

    /// Sends and returns what became of the rows.
    async fn taken(&mut self, request: &SendInEpoch) -> Vec<RowResult> {
        match self.in_epoch(request).await {
            Reply::SendResult(result) => result.rows,
            other => panic!("not sent: {other:?}"),
        }
    }
}

async fn queues<const N: usize>(rng: &mut ChaCha20Rng, peer: &mut Peer) -> [Queue; N] {
    let mut queues = Vec::new();
    for _ in 0..N {
        queues.push(Queue::create(rng, peer).await);
    }
    queues.try_into().ok().unwrap()
}

fn rows(queues: &[Queue]) -> Vec<SendRow> {
    queues.iter().map(Queue::row).collect()
}

fn accepted(seq: u64, count: usize) -> Vec<RowResult> {
    vec![RowResult::Accepted { seq }; count]
}

const fn passed(epoch: u64) -> Reply {
    Reply::EpochPassed { epoch }
}

/// The numbers of the letters that wait in a queue, in their order.
async fn waiting(queue: &Queue, peer: &mut Peer) -> Vec<u64> {
    let subscribed = queue.subscribe(peer).await;
    let mut numbers = Vec::new();
    for seq in subscribed.last_acknowledged + 1..subscribed.next_seq {
        let deliver = peer.delivery().await;
        assert_eq!((deliver.queue_id, deliver.seq), (queue.id, seq));
        numbers.push(u64::from_be_bytes(deliver.body[..8].try_into().unwrap()));
        peer.ask(queue.acknowledgement(seq)).await;
    }
    numbers
}

/// What a store has of groups: each with its epoch.
fn stored(house: &House) -> Vec<(String, u64)> {
    let report = letterlock_relay::inspect(house.data()).unwrap();
    let groups = report.groups.into_iter();
    groups.map(|group| (group.group_id, group.epoch)).collect()
}

#[tokio::test]
async fn of_two_commits_of_an_epoch_one_is_taken() {
    let (house, mut rng) = (House::open().await, rng(1));
    let (mut one, mut two) = (house.peer().await, house.peer().await);
    let queues: [Queue; 3] = queues(&mut rng, &mut one).await;
    let all = rows(&queues);
    assert_eq!(
        one.taken(&commit(all.clone(), 1, 0, 1)).await,
        accepted(1, 3)
    );
    let (mut won, mut last) = (vec![1], 1);
    for round in 1..=40 {
        let number = 1_000 * round;
        let race = [number, number + 1].map(|number| commit(all.clone(), number, round, round + 1));
        let said = (
            one.say(Request::SendInEpoch(race[0].clone())).await,
            two.say(Request::SendInEpoch(race[1].clone())).await,
        );
        let replies = [one.reply(said.0).await, two.reply(said.1).await];
        let winner = usize::from(replies[0] == passed(round + 1));
        assert!(
            matches!(&replies[winner], Reply::SendResult(result) if result.rows == accepted(last + 1, 3)),
            "{replies:?}"
        );
        assert_eq!(replies[1 - winner], passed(round + 1));
        won.push(number + u64::try_from(winner).unwrap());
        last += 1;
    }
    for queue in &queues {
        assert_eq!(waiting(queue, &mut one).await, won, "nothing of the losers");
    }
    assert_eq!(stored(&house), [(GROUP.to_string(), 41)]);
}

#[tokio::test]
async fn a_repetition_does_not_look_at_the_epoch() {
    let (house, mut rng) = (House::open().await, rng(2));
    let mut peer = house.peer().await;
    let [one, two, late]: [Queue; 3] = queues(&mut rng, &mut peer).await;
    let first = commit(vec![one.row(), two.row()], 1, 0, 1);
    assert_eq!(peer.taken(&first).await, accepted(1, 2));
    let said = letter(vec![one.row()], 2, 1);
    assert_eq!(peer.taken(&said).await, accepted(2, 1));
    let second = commit(vec![one.row(), two.row()], 3, 1, 2);
    peer.taken(&second).await;
    let duplicate = |seq| vec![RowResult::Duplicate { seq }];
    assert_eq!(
        peer.taken(&first).await,
        [duplicate(1), duplicate(1)].concat()
    );
    assert_eq!(peer.taken(&said).await, duplicate(2));
    assert_eq!(stored(&house)[0].1, 2, "and none begins anew");
    // Whoever has it is told so, another one gets it.
    let more = letter(vec![late.row(), one.row()], 2, 1);
    assert_eq!(
        peer.taken(&more).await,
        [accepted(1, 1), duplicate(2)].concat()
    );
    // The id in a queue that the sender has no right to says nothing.
    let mut forged = letter(vec![one.row(), late.row()], 2, 1);
    forged.send.message_id = MessageId::from_bytes([9; 16]);
    peer.ask(send_all_of(&forged.send, vec![two.row()])).await;
    let mut row = two.row();
    row.token = one.token;
    forged.send.rows.push(row);
    assert_eq!(peer.in_epoch(&forged).await, passed(2));
}

/// The same message as a plain send to other queues.
fn send_all_of(send: &Send, rows: Vec<SendRow>) -> Request {
    Request::Send(Send {
        rows,
        ..send.clone()
    })
}

#[tokio::test]
async fn an_epoch_is_sent_in_by_its_token_alone() {
    let (house, mut rng) = (House::open().await, rng(3));
    let mut peer = house.peer().await;
    let [queue]: [Queue; 1] = queues(&mut rng, &mut peer).await;
    peer.taken(&commit(vec![queue.row()], 1, 0, 5)).await;
    let mut wrong = [
        letter(vec![queue.row()], 2, 5),
        commit(vec![queue.row()], 3, 5, 6),
    ];
    for request in &mut wrong {
        for other in [token(4), token(6), EpochToken::from_bytes([0; 32])] {
            request.token = other;
            let reply = refused(peer.in_epoch(request).await);
            assert_eq!(reply.kind, RefusalKind::Forbidden);
            assert!(!reply.is_temporary());
        }
    }
    assert_eq!(stored(&house)[0].1, 5);
    assert_eq!(waiting(&queue, &mut peer).await, [1]);
    assert_eq!(
        peer.taken(&letter(vec![queue.row()], 2, 5)).await,
        accepted(2, 1),
        "the refused attempt does not count as sent"
    );
}

#[tokio::test]
async fn a_group_that_is_not_known_begins_with_a_commit() {
    let (house, mut rng) = (House::open().await, rng(4));
    let mut peer = house.peer().await;
    let [queue]: [Queue; 1] = queues(&mut rng, &mut peer).await;
    let said = letter(vec![queue.row()], 1, 7);
    assert_eq!(peer.in_epoch(&said).await, passed(0));
    assert_eq!(stored(&house), []);
    // Where it begins does not matter: this relay may have lost what was before.
    let begun = peer.taken(&commit(vec![queue.row()], 2, 7, 9)).await;
    assert_eq!(begun, accepted(1, 1));
    assert_eq!(peer.in_epoch(&said).await, passed(9));
    let other = GroupId::from_bytes([4; 32]);
    let mut elsewhere = commit(vec![queue.row()], 3, 0, 1);
    elsewhere.group = other;
    assert_eq!(peer.taken(&elsewhere).await, accepted(2, 1));
    let both = [(GROUP.to_string(), 9), (other.to_string(), 1)];
    assert_eq!(stored(&house), both, "they do not know each other");
}

#[tokio::test]
async fn letters_of_another_epoch_are_not_taken() {
    let (house, mut rng) = (House::open().await, rng(5));
    let mut peer = house.peer().await;
    let queues: [Queue; 2] = queues(&mut rng, &mut peer).await;
    let all = rows(&queues);
    peer.taken(&commit(all.clone(), 1, 0, 1)).await;
    peer.taken(&letter(all.clone(), 2, 1)).await;
    peer.taken(&commit(all.clone(), 3, 1, 2)).await;
    for (number, epoch) in [(4, 1), (5, 0), (6, 3)] {
        let late = letter(all.clone(), number, epoch);
        assert_eq!(peer.in_epoch(&late).await, passed(2));
    }
    peer.taken(&letter(all, 7, 2)).await;
    for queue in &queues {
        assert_eq!(waiting(queue, &mut peer).await, [1, 2, 3, 7]);
    }
}

#[tokio::test]
async fn a_row_that_fails_keeps_neither_the_others_nor_the_epoch_back() {
    let house = House::with(|config| config.storage.queue_letters = 1).await;
    let (mut peer, mut rng) = (house.peer().await, rng(6));
    let [good, full]: [Queue; 2] = queues(&mut rng, &mut peer).await;
    peer.sent(send(&full, 50)).await;
    let gone = Queue::draw(&mut rng);
    let mut forged = good.row();
    forged.queue_id = full.id;
    let request = commit(vec![gone.row(), full.row(), good.row()], 1, 0, 1);
    let missed = [RowResult::NoSuchQueue, RowResult::QueueFull];
    assert_eq!(
        peer.taken(&request).await,
        [&missed[..], &accepted(1, 1)].concat()
    );
    assert_eq!(stored(&house)[0].1, 1);
    // Also where no queue at all took it: then a repetition finds the epoch that it began itself.
    let nobody = commit(vec![full.row()], 2, 1, 2);
    assert_eq!(peer.taken(&nobody).await, [RowResult::QueueFull]);
    assert_eq!(peer.in_epoch(&nobody).await, passed(2));
    let last = commit(vec![forged], 3, 2, 3);
    assert_eq!(peer.taken(&last).await, [RowResult::BadToken]);
    assert_eq!(stored(&house)[0].1, 3);
}

#[tokio::test]
async fn a_commit_that_comes_too_fast_begins_nothing() {
    let house = House::with(|config| config.rates.letters_of_queue = 1).await;
    let (mut peer, mut rng) = (house.peer().await, rng(7));
    let [queue, other]: [Queue; 2] = queues(&mut rng, &mut peer).await;
    peer.taken(&commit(vec![other.row()], 1, 0, 1)).await;
    let mut number = 100;
    while let Reply::SendResult(_) = peer.ask(send(&queue, number)).await {
        number += 1;
    }
    let change = commit(vec![other.row(), queue.row()], 2, 1, 2);
    let reply = refused(peer.in_epoch(&change).await);
    assert_eq!(reply.kind, RefusalKind::RateLimited);
    assert!((1..=1_001).contains(&reply.retry_after_ms));
    assert_eq!(stored(&house)[0].1, 1);
    let alone = commit(vec![other.row()], 2, 1, 2);
    assert_eq!(peer.taken(&alone).await, accepted(2, 1));
}

#[tokio::test]
async fn bodies_of_a_group_are_in_the_same_order_in_every_queue() {
    let (house, mut rng) = (House::open().await, rng(8));
    let mut maker = house.peer().await;
    let queues: [Queue; 2] = queues(&mut rng, &mut maker).await;
    let all = rows(&queues);
    maker.taken(&commit(all.clone(), 1, 0, 1)).await;
    let (mut one, mut two) = (house.peer().await, house.peer().await);
    let mut asked = Vec::new();
    // Each on its own connection, with rows in another order, without waiting for the other.
    let mut turned = all.clone();
    turned.reverse();
    for number in 0..100 {
        let request = letter(all.clone(), 1_000 + number, 1);
        asked.push(one.say(Request::SendInEpoch(request)).await);
        let request = letter(turned.clone(), 2_000 + number, 1);
        two.say(Request::SendInEpoch(request)).await;
    }
    let change = commit(turned, 3_000, 1, 2);
    assert!(matches!(two.in_epoch(&change).await, Reply::SendResult(_)));
    for number in asked {
        let reply = one.reply(number).await;
        assert!(matches!(&reply, Reply::SendResult(_)) || reply == passed(2));
    }
    let orders = [
        waiting(&queues[0], &mut maker).await,
        waiting(&queues[1], &mut maker).await,
    ];
    assert_eq!(orders[0], orders[1]);
    let of_two: Vec<_> = orders[0].iter().filter(|n| **n >= 2_000).copied().collect();
    let expected: Vec<_> = (2_000..2_100).chain([3_000]).collect();
    assert_eq!(of_two, expected);
    assert_eq!(orders[0].last(), Some(&3_000), "nothing behind the commit");
}

#[tokio::test]
async fn a_member_that_was_away_for_500_epochs_gets_them_all() {
    let (house, mut rng) = (House::open().await, rng(9));
    let mut sender = house.peer().await;
    let [queue]: [Queue; 1] = queues(&mut rng, &mut sender).await;
    for epoch in 0..500_u64 {
        let mut request = commit(vec![queue.row()], epoch, epoch, epoch + 1);
        let mut bytes = vec![0x5a; 16 * 1024];
        bytes[..8].copy_from_slice(&epoch.to_be_bytes());
        request.send.body = Body::new(bytes).unwrap();
        assert_eq!(sender.taken(&request).await, accepted(epoch + 1, 1));
    }
    let mut member = house.peer().await;
    let numbers = waiting(&queue, &mut member).await;
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_commit_reaches_as_many_queues_as_there_may_be_in_one_frame() {
    let (house, mut rng) = (House::open().await, rng(10));
    let mut peer = house.peer().await;
    let [first, last]: [Queue; 2] = queues(&mut rng, &mut peer).await;
    let mut all = vec![first.row()];
    let mut id = [0; 16];
    for number in 2..wire::limits::SEND_ROWS {
        id[..8].copy_from_slice(&number.to_be_bytes());
        all.push(SendRow {
            queue_id: keys::QueueId::from_bytes(id),
            token: first.token,
        });
    }
    all.push(last.row());
    let mut request = commit(all, 1, 0, 1);
    request.send.body = Body::new(vec![7; 64 * 1024]).unwrap();
    let results = peer.taken(&request).await;
    assert_eq!(results.len(), 2_000);
    for at in [0, 1_999] {
        assert_eq!(results[at], RowResult::Accepted { seq: 1 });
    }
    assert!(
        results[1..1_999]
            .iter()
            .all(|row| *row == RowResult::NoSuchQueue)
    );
    last.subscribe(&mut peer).await;
    assert_eq!(peer.delivery().await.body, request.send.body);
}

#[tokio::test]
async fn a_killed_relay_is_in_the_epoch_that_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(11);
    let mut relay = Process::serve(folder.path(), &[]);
    let mut peer = Peer::connect(relay.address()).await;
    let [queue]: [Queue; 1] = queues(&mut rng, &mut peer).await;
    peer.taken(&commit(vec![queue.row()], 0, 0, 1)).await;
    let mut epoch = 1;
    for round in 0..6_u64 {
        // Forty changes one behind the other; the relay dies somewhere among them.
        let changes: Vec<_> = (epoch..epoch + 40)
            .map(|epoch| commit(vec![queue.row()], epoch, epoch, epoch + 1))
            .collect();
        let mut said = Vec::new();
        for change in &changes {
            said.push(peer.say(Request::SendInEpoch(change.clone())).await);
        }
        let answered = usize::try_from(1 + 7 * round).unwrap();
        for number in &said[..answered] {
            assert!(matches!(peer.reply(*number).await, Reply::SendResult(_)));
        }
        relay.kill();
        relay = Process::serve(folder.path(), &[]);
        peer = Peer::connect(relay.address()).await;
        // What is asked again is there once, and each change finds the epoch that it was made in.
        for (at, change) in changes.iter().enumerate() {
            match peer.taken(change).await[..] {
                [RowResult::Duplicate { .. }] => {}
                [RowResult::Accepted { .. }] => assert!(at >= answered, "{at} was lost"),
                ref other => panic!("{other:?}"),
            }
        }
        epoch += 40;
        let late = letter(vec![queue.row()], 10_000 + round, epoch - 1);
        assert_eq!(peer.in_epoch(&late).await, passed(epoch));
    }
    let numbers = waiting(&queue, &mut peer).await;
    assert_eq!(numbers, (0..epoch).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_relay_that_was_set_back_goes_on_from_where_it_is() {
    let (mut house, mut rng) = (House::open().await, rng(12));
    let mut peer = house.peer().await;
    let [queue]: [Queue; 1] = queues(&mut rng, &mut peer).await;
    peer.taken(&commit(vec![queue.row()], 1, 0, 1)).await;
    house.stop().await;
    std::fs::copy(house.database(), house.aside()).unwrap();
    house.start().await;
    let mut peer = house.peer().await;
    for epoch in 1..6 {
        peer.taken(&commit(vec![queue.row()], 10 + epoch, epoch, epoch + 1))
            .await;
    }
    house.stop().await;
    std::fs::copy(house.aside(), house.database()).unwrap();
    house.start().await;
    let mut peer = house.peer().await;
    // The members are in epoch 6. They learn where the relay is and show the token of that epoch.
    let said = letter(vec![queue.row()], 20, 6);
    assert_eq!(peer.in_epoch(&said).await, passed(1));
    let mut back = commit(vec![queue.row()], 21, 1, 7);
    back.token = token(6);
    assert_eq!(refusal(peer.in_epoch(&back).await), RefusalKind::Forbidden);
    back.token = token(1);
    assert_eq!(peer.taken(&back).await, accepted(2, 1));
    assert_eq!(peer.in_epoch(&said).await, passed(7));
    assert_eq!(stored(&house)[0].1, 7);
}

#[tokio::test]
async fn there_are_only_so_many_groups_and_those_without_a_change_are_forgotten() {
    let mut house = House::with(|config| config.storage.groups = 2).await;
    let (mut peer, mut rng) = (house.peer().await, rng(13));
    let [queue]: [Queue; 1] = queues(&mut rng, &mut peer).await;
    let of = |number: u8, message, epoch| {
        let mut request = commit(vec![queue.row()], message, epoch, epoch + 1);
        request.group = GroupId::from_bytes([number; 32]);
        request
    };
    for number in [1, 2] {
        peer.taken(&of(number, u64::from(number), 0)).await;
    }
    let told = refused(peer.in_epoch(&of(3, 3, 0)).await);
    assert_eq!(told.kind, RefusalKind::Quota);
    assert!(told.retry_after_ms > 0);
    peer.taken(&of(1, 4, 1)).await;
    house.stop().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let set = "UPDATE groups SET hour = hour - ?1 WHERE epoch = ?2";
    let days = |days: i64| days * 24 * 3600;
    sql.execute(set, (days(402), 1)).unwrap();
    sql.execute(set, (days(399), 2)).unwrap();
    house.start().await;
    let mut peer = house.peer().await;
    while stored(&house).len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored(&house)[0].1, 2);
    assert_eq!(peer.taken(&of(3, 3, 0)).await.len(), 1);
    let again = of(2, 5, 1);
    assert_eq!(refusal(peer.in_epoch(&again).await), RefusalKind::Quota);
}

#[tokio::test]
async fn a_group_is_an_id_an_epoch_and_an_hour() {
    let (house, mut rng) = (House::open().await, rng(14));
    let mut peer = house.peer().await;
    let queues: [Queue; 3] = queues(&mut rng, &mut peer).await;
    peer.taken(&commit(rows(&queues), 1, 0, 1)).await;
    let report = letterlock_relay::inspect(house.data()).unwrap();
    let shown = serde_json::to_value(&report.groups).unwrap();
    let fields: BTreeSet<_> = shown[0].as_object().unwrap().keys().cloned().collect();
    let expected = ["epoch", "group_id", "hour"].map(str::to_owned);
    assert_eq!(fields, BTreeSet::from(expected));
    assert_eq!(report.groups[0].hour % 3600, 0);
    // The same of the tables: nothing else has the id of a group, and its row has the id of no queue.
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let mut columns = sql
        .prepare(
            "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables
             JOIN pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND (columns.name LIKE '%group%' OR tables.name = 'groups')",
        )
        .unwrap();
    let columns: BTreeSet<String> = columns
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = ["epoch", "group_id", "hour", "token_hash"];
    assert_eq!(
        columns,
        expected.map(|name| format!("groups.{name}")).into()
    );
    let metrics = house.get("/metrics").await.text().to_lowercase();
    assert!(metrics.contains("letterlock_relay_epochs_passed_total 0\n"));
    assert!(!metrics.contains(&GROUP.to_string()));
}
