//! Heads: small values that their owner alone replaces, in order.

use crate::support::{House, Peer, refusal, refused, rng};
use keys::{Secret, ed25519};
use rand_core::Rng as _;
use wire::limits::{HEAD_BYTES, HEAD_STEP};
use wire::{
    ClientFrame, DeleteHead, FetchHead, Head, PutHead, RefusalKind, Reply, Request, head_id,
};

fn seed(fill: u8) -> Secret<32> {
    Secret::from_fn(|seed| seed.fill(fill))
}

fn id(owner: u8) -> [u8; 32] {
    head_id(&ed25519::public(&seed(owner)))
}

fn put(owner: u8, version: u64, previous: u64, body: &[u8]) -> PutHead {
    let public_key = ed25519::public(&seed(owner));
    let message = wire::put_head_message(&public_key, version, previous, body);
    PutHead {
        public_key,
        version,
        previous,
        body: body.to_vec(),
        signature: ed25519::sign(&seed(owner), &message),
    }
}

fn delete(owner: u8, version: u64) -> DeleteHead {
    let public_key = ed25519::public(&seed(owner));
    let message = wire::delete_head_message(&public_key, version);
    DeleteHead {
        public_key,
        version,
        signature: ed25519::sign(&seed(owner), &message),
    }
}

async fn ask_put(peer: &mut Peer, request: PutHead) -> Reply {
    peer.ask(Request::PutHead(request)).await
}

async fn fetched(peer: &mut Peer, owner: u8) -> Option<Head> {
    match peer
        .ask(Request::FetchHead(FetchHead { id: id(owner) }))
        .await
    {
        Reply::Head(head) => {
            assert!(head.is_signed(&id(owner)));
            Some(head)
        }
        other => {
            assert_eq!(refusal(other), RefusalKind::NotFound);
            None
        }
    }
}

#[tokio::test]
async fn a_head_is_fetched_as_it_was_put() {
    let mut house = House::open().await;
    let (mut owner, mut stranger) = (house.peer().await, house.peer().await);
    assert_eq!(fetched(&mut stranger, 1).await, None);
    let mut previous = 0;
    for (version, length) in [(1, 1), (2, HEAD_BYTES), (9, 300), (9 + HEAD_STEP, 2)] {
        let request = put(1, version, previous, &vec![7; length]);
        for _twice in 0..2 {
            assert_eq!(ask_put(&mut owner, request.clone()).await, Reply::Done);
        }
        let head = fetched(&mut stranger, 1).await.unwrap();
        assert_eq!((head.version, head.previous), (version, previous));
        assert_eq!(
            (head.body, head.signature),
            (request.body, request.signature)
        );
        previous = version;
    }
    assert_eq!(
        ask_put(&mut owner, put(2, 4, 0, b"another")).await,
        Reply::Done
    );
    house.stop().await;
    house.start().await;
    let mut stranger = house.peer().await;
    assert_eq!(
        fetched(&mut stranger, 1).await.unwrap().version,
        9 + HEAD_STEP
    );
    assert_eq!(fetched(&mut stranger, 2).await.unwrap().body, b"another");
}

#[tokio::test]
async fn a_head_is_replaced_in_order() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    let first = ask_put(&mut peer, put(1, 5, 4, b"no such version")).await;
    assert_eq!(refusal(first), RefusalKind::Conflict);
    ask_put(&mut peer, put(1, 5, 0, b"five")).await;
    for late in [
        put(1, 5, 0, b"another five"),
        put(1, 6, 0, b"six"),
        put(1, 7, 6, b"seven"),
        put(1, 4, 0, b"four"),
    ] {
        let refused = refused(ask_put(&mut peer, late).await);
        assert_eq!(refused.kind, RefusalKind::Conflict);
        assert!(!refused.is_temporary());
    }
    assert_eq!(fetched(&mut peer, 1).await.unwrap().body, b"five");
    assert_eq!(
        ask_put(&mut peer, put(1, 8, 5, b"eight")).await,
        Reply::Done
    );
    let back = ask_put(&mut peer, put(1, 5, 0, b"five")).await;
    assert_eq!(refusal(back), RefusalKind::Conflict, "an old value");
}

#[tokio::test]
async fn of_many_that_replace_a_head_at_once_one_wins() {
    let house = House::open().await;
    let mut asking = Vec::new();
    for number in 0..12_u8 {
        let mut peer = house.peer().await;
        let request = Request::PutHead(put(1, 1, 0, &[number]));
        asking.push(tokio::spawn(
            async move { (number, peer.ask(request).await) },
        ));
    }
    let mut won = Vec::new();
    for asked in asking {
        match asked.await.unwrap() {
            (number, Reply::Done) => won.push(number),
            (_, other) => assert_eq!(refusal(other), RefusalKind::Conflict),
        }
    }
    let mut peer = house.peer().await;
    assert_eq!(fetched(&mut peer, 1).await.unwrap().body, won);
}

#[tokio::test]
async fn a_head_is_written_by_its_key_alone() {
    let (house, mut rng) = (House::open().await, rng(1));
    let mut peer = house.peer().await;
    ask_put(&mut peer, put(1, 1, 0, b"one")).await;
    let (good, stranger) = (put(1, 2, 1, b"two"), put(2, 2, 1, b"two"));
    type Change = fn(&mut PutHead);
    let changes: [Change; 4] = [
        |request| request.version = 3,
        |request| request.body.push(0),
        |request| request.signature[63] ^= 1,
        |request| request.signature = [0; 64],
    ];
    for change in changes {
        let mut forged = good.clone();
        change(&mut forged);
        let reply = ask_put(&mut peer, forged).await;
        assert_eq!(refusal(reply), RefusalKind::Forbidden);
    }
    let forged = PutHead {
        public_key: good.public_key,
        ..stranger
    };
    assert_eq!(
        refusal(ask_put(&mut peer, forged).await),
        RefusalKind::Forbidden
    );
    let forged = DeleteHead {
        public_key: good.public_key,
        ..delete(2, 1)
    };
    let reply = peer.ask(Request::DeleteHead(forged)).await;
    assert_eq!(refusal(reply), RefusalKind::Forbidden);
    // Any bit of a frame: it is refused, unless it says the same.
    let frame = |request| ClientFrame {
        request_id: 1,
        request,
    };
    let whole = frame(Request::PutHead(good.clone())).encode();
    for _ in 0..100 {
        let mut flipped = whole.clone();
        let bit = rng.next_u64() as usize % (8 * flipped.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
        let is_same = ClientFrame::decode(flipped.clone().into())
            .is_ok_and(|flipped| flipped.request == Request::PutHead(good.clone()));
        let mut peer = house.peer().await;
        peer.say_bytes(flipped).await;
        let reply = peer.next_frame().await.unwrap().reply;
        assert!(matches!(reply, Reply::Refused(_)) || is_same, "{reply:?}");
    }
}

#[tokio::test]
async fn a_deleted_head_does_not_come_back() {
    let mut house = House::open().await;
    let mut peer = house.peer().await;
    let first = put(1, 1, 0, b"one");
    ask_put(&mut peer, first.clone()).await;
    ask_put(&mut peer, put(1, 2, 1, b"two")).await;
    let ask = |request| Request::DeleteHead(request);
    assert_eq!(
        peer.ask(ask(delete(2, 7))).await,
        Reply::Done,
        "there is none"
    );
    let old = peer.ask(ask(delete(1, 1))).await;
    assert_eq!(refusal(old), RefusalKind::Conflict);
    for _twice in 0..2 {
        assert_eq!(peer.ask(ask(delete(1, 2))).await, Reply::Done);
    }
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(fetched(&mut peer, 1).await, None);
    // Whoever may go on is told from where.
    let fetch = Request::FetchHead(FetchHead { id: id(1) });
    assert_eq!(refused(peer.ask(fetch).await).deleted, 2);
    for old in [first, put(1, 2, 1, b"two")] {
        let back = ask_put(&mut peer, old).await;
        assert_eq!(refusal(back), RefusalKind::Conflict);
    }
    assert_eq!(
        ask_put(&mut peer, put(1, 3, 2, b"three")).await,
        Reply::Done
    );
    assert_eq!(fetched(&mut peer, 1).await.unwrap().body, b"three");
}

#[tokio::test]
async fn there_are_only_so_many_heads_and_bytes() {
    let house = House::with(|config| {
        config.storage.heads = 3;
        config.storage.head_bytes = 1000;
    })
    .await;
    let mut peer = house.peer().await;
    for owner in [1, 2] {
        assert_eq!(
            ask_put(&mut peer, put(owner, 1, 0, &[0; 400])).await,
            Reply::Done
        );
    }
    let too_long = refused(ask_put(&mut peer, put(3, 1, 0, &[0; 201])).await);
    assert_eq!(too_long.kind, RefusalKind::Quota);
    assert!(too_long.is_temporary());
    assert_eq!(
        ask_put(&mut peer, put(3, 1, 0, &[0; 200])).await,
        Reply::Done
    );
    let too_many = ask_put(&mut peer, put(4, 1, 0, &[0; 1])).await;
    assert_eq!(refusal(too_many), RefusalKind::Quota);
    // What is replaced makes room, and so does what is deleted.
    let longer = ask_put(&mut peer, put(1, 2, 1, &[0; 401])).await;
    assert_eq!(refusal(longer), RefusalKind::Quota);
    assert_eq!(
        ask_put(&mut peer, put(1, 2, 1, &[0; 300])).await,
        Reply::Done
    );
    assert_eq!(
        ask_put(&mut peer, put(2, 2, 1, &[0; 500])).await,
        Reply::Done
    );
    assert_eq!(
        peer.ask(Request::DeleteHead(delete(2, 2))).await,
        Reply::Done
    );
    assert_eq!(
        ask_put(&mut peer, put(1, 3, 2, &[0; 800])).await,
        Reply::Done
    );
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert_eq!(report.heads, 3);
}

#[tokio::test]
async fn heads_that_nobody_writes_are_forgotten_after_400_days() {
    let mut house = House::open().await;
    let mut peer = house.peer().await;
    for owner in [1, 2, 3] {
        ask_put(&mut peer, put(owner, 1, 0, b"one")).await;
    }
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let mut hours = sql.prepare("SELECT hour FROM heads").unwrap();
    for hour in hours.query_map([], |row| row.get::<_, u64>(0)).unwrap() {
        assert_eq!(hour.unwrap() % 3600, 0);
    }
    let set_back = |owner: u8, hours: u64| {
        let change = "UPDATE heads SET hour = hour - ?2 WHERE head = ?1";
        let changed = sql.execute(change, rusqlite::params![id(owner), hours * 3600]);
        assert_eq!(changed.unwrap(), 1);
    };
    set_back(1, 400 * 24 + 2);
    set_back(2, 400 * 24 + 2);
    set_back(3, 400 * 24 - 2);
    // Writing the same again is enough to keep a head.
    assert_eq!(ask_put(&mut peer, put(2, 1, 0, b"one")).await, Reply::Done);
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    while letterlock_relay::inspect(house.data()).unwrap().heads == 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fetched(&mut peer, 1).await, None);
    assert!(fetched(&mut peer, 2).await.is_some());
    assert!(fetched(&mut peer, 3).await.is_some());
}
