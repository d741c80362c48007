//! Locks: a key that is given out after a delay, unless the owner objects.

use crate::support::{House, Peer, refusal, refused};
use keys::{Secret, Timestamp, ed25519};
use wire::{
    CancelLock, DeleteLock, LockKey, LockState, LockStatus, LockToken, OpenLock, PutLock,
    RefusalKind, Reply, Request, lock_id,
};

const DELAY: u64 = 48 * 3600;
const KEY: LockKey = LockKey::from_bytes([0x6b; 32]);
const TOKEN: LockToken = LockToken::from_bytes([0x74; 32]);

fn seed(owner: u8) -> Secret<32> {
    Secret::from_fn(|seed| seed.fill(owner))
}

fn public(owner: u8) -> [u8; 32] {
    ed25519::public(&seed(owner))
}

fn signed(owner: u8, mut request: PutLock) -> Request {
    request.signature = ed25519::sign(&seed(owner), &wire::put_lock_message(&request));
    Request::PutLock(request)
}

fn lock(owner: u8) -> PutLock {
    PutLock {
        public_key: public(owner),
        key: KEY,
        token_hash: keys::sha256(&[TOKEN.as_bytes()]),
        delay_seconds: DELAY,
        signature: [0; 64],
    }
}

fn put(owner: u8) -> Request {
    signed(owner, lock(owner))
}

fn open_with(owner: u8, token: LockToken) -> Request {
    let id = lock_id(&public(owner));
    Request::OpenLock(OpenLock { id, token })
}

fn open(owner: u8) -> Request {
    open_with(owner, TOKEN)
}

fn cancel_by(signer: u8, owner: u8, opens_at: Timestamp) -> Request {
    let public_key = public(owner);
    let message = wire::cancel_lock_message(&public_key, opens_at);
    Request::CancelLock(CancelLock {
        public_key,
        opens_at,
        signature: ed25519::sign(&seed(signer), &message),
    })
}

fn delete_by(signer: u8, owner: u8) -> Request {
    let public_key = public(owner);
    let message = wire::delete_lock_message(&public_key);
    Request::DeleteLock(DeleteLock {
        public_key,
        signature: ed25519::sign(&seed(signer), &message),
    })
}

async fn status(peer: &mut Peer, owner: u8) -> Option<Timestamp> {
    let id = lock_id(&public(owner));
    opens_at(peer.ask(Request::LockStatus(LockStatus { id })).await)
}

#[track_caller]
fn opens_at(reply: Reply) -> Option<Timestamp> {
    match reply {
        Reply::LockState(LockState { opens_at }) => opens_at,
        other => panic!("no state: {other:?}"),
    }
}

/// Lets time pass, as far as the locks know.
fn pass(house: &House, seconds: u64) {
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let change = "UPDATE locks SET opens_at = opens_at - ?1";
    assert_eq!(sql.execute(change, [seconds]).unwrap(), 1);
}

#[tokio::test]
async fn a_lock_gives_its_key_when_its_delay_is_over() {
    let mut house = House::open().await;
    let (mut owner, mut guardian) = (house.peer().await, house.peer().await);
    assert_eq!(refusal(guardian.ask(open(1)).await), RefusalKind::NotFound);
    for _twice in 0..2 {
        assert_eq!(owner.ask(put(1)).await, Reply::Done);
    }
    assert_eq!(status(&mut owner, 1).await, None);
    let at = opens_at(guardian.ask(open(1)).await).unwrap();
    let from_now = at.as_secs() - guardian.welcome.time.as_secs();
    assert!((DELAY..DELAY + 60).contains(&from_now), "{from_now}");
    assert_eq!(
        opens_at(guardian.ask(open(1)).await),
        Some(at),
        "begun once"
    );
    assert_eq!(status(&mut owner, 1).await, Some(at));
    assert_eq!(
        owner.ask(put(1)).await,
        Reply::Done,
        "put again changes nothing"
    );
    pass(&house, DELAY - 120);
    let at = Some(Timestamp::from_secs(at.as_secs() - (DELAY - 120)));
    house.stop().await;
    house.start().await;
    let (mut owner, mut guardian) = (house.peer().await, house.peer().await);
    assert_eq!(
        opens_at(guardian.ask(open(1)).await),
        at,
        "not a second early"
    );
    pass(&house, 120);
    for _twice in 0..2 {
        assert_eq!(guardian.ask(open(1)).await, Reply::LockKey(KEY));
    }
    assert!(status(&mut owner, 1).await.unwrap() <= owner.welcome.time.saturating_add(60));
    let metrics = house.get("/metrics").await.text().to_owned();
    let counted = "letterlock_relay_lock_keys_total 2";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
}

#[tokio::test]
async fn a_lock_opens_for_its_token_alone() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    peer.ask(put(1)).await;
    let mut close = *TOKEN.as_bytes();
    close[31] ^= 1;
    let hash = keys::sha256(&[TOKEN.as_bytes()]);
    for wrong in [close, hash, *KEY.as_bytes()] {
        let reply = peer.ask(open_with(1, LockToken::from_bytes(wrong))).await;
        assert_eq!(refusal(reply), RefusalKind::Forbidden);
    }
    assert_eq!(status(&mut peer, 1).await, None, "nothing has begun");
    peer.ask(open(1)).await;
    pass(&house, DELAY + 60);
    let late = peer.ask(open_with(1, LockToken::from_bytes(close))).await;
    assert_eq!(refusal(late), RefusalKind::Forbidden);
}

#[tokio::test]
async fn a_lock_is_closed_by_its_owner_alone() {
    let mut house = House::open().await;
    let mut peer = house.peer().await;
    peer.ask(put(1)).await;
    let at = opens_at(peer.ask(open(1)).await).unwrap();
    for forged in [cancel_by(2, 1, at), delete_by(2, 1)] {
        assert_eq!(refusal(peer.ask(forged).await), RefusalKind::Forbidden);
    }
    let mut replaced = lock(1);
    replaced.delay_seconds = 60;
    let forged = peer.ask(signed(2, replaced)).await;
    assert_eq!(refusal(forged), RefusalKind::Forbidden);
    assert_eq!(status(&mut peer, 1).await, Some(at));
    for _twice in 0..2 {
        assert_eq!(peer.ask(cancel_by(1, 1, at)).await, Reply::Done);
    }
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(status(&mut peer, 1).await, None);
    let unknown = peer.ask(cancel_by(3, 3, at)).await;
    assert_eq!(refusal(unknown), RefusalKind::NotFound);
}

#[tokio::test]
async fn a_cancellation_counts_for_one_opening() {
    let house = House::open().await;
    let mut peer = house.peer().await;
    peer.ask(put(1)).await;
    let first = opens_at(peer.ask(open(1)).await).unwrap();
    assert_eq!(peer.ask(cancel_by(1, 1, first)).await, Reply::Done);
    peer.ask(open(1)).await;
    pass(&house, 7);
    let second = status(&mut peer, 1).await.unwrap();
    assert_ne!(first, second);
    let replayed = refused(peer.ask(cancel_by(1, 1, first)).await);
    assert_eq!(replayed.kind, RefusalKind::Conflict);
    assert!(!replayed.is_temporary());
    assert_eq!(status(&mut peer, 1).await, Some(second));
    // Also once it is open: the next one waits again.
    pass(&house, DELAY + 60);
    let open_since = status(&mut peer, 1).await.unwrap();
    assert_eq!(peer.ask(open(1)).await, Reply::LockKey(KEY));
    assert_eq!(peer.ask(cancel_by(1, 1, open_since)).await, Reply::Done);
    assert!(opens_at(peer.ask(open(1)).await).unwrap() > peer.welcome.time);
}

#[tokio::test]
async fn a_lock_is_not_changed_but_deleted_and_made_again() {
    let mut house = House::open().await;
    let mut peer = house.peer().await;
    peer.ask(put(1)).await;
    type Change = fn(&mut PutLock);
    let changes: [Change; 3] = [
        |lock| lock.key = LockKey::from_bytes([1; 32]),
        |lock| lock.token_hash[0] ^= 1,
        |lock| lock.delay_seconds = 60,
    ];
    for change in changes {
        let mut other = lock(1);
        change(&mut other);
        let mut unsigned = other.clone();
        unsigned.signature = [0; 64];
        let reply = peer.ask(Request::PutLock(unsigned)).await;
        assert_eq!(refusal(reply), RefusalKind::Forbidden);
        let reply = refused(peer.ask(signed(1, other)).await);
        assert_eq!(reply.kind, RefusalKind::Conflict);
        assert!(!reply.is_temporary());
    }
    peer.ask(open(1)).await;
    for _twice in 0..2 {
        assert_eq!(peer.ask(delete_by(1, 1)).await, Reply::Done);
    }
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(refusal(peer.ask(open(1)).await), RefusalKind::NotFound);
    let mut shorter = lock(1);
    shorter.delay_seconds = 60;
    assert_eq!(peer.ask(signed(1, shorter)).await, Reply::Done);
    let at = opens_at(peer.ask(open(1)).await).unwrap();
    assert!(at.as_secs() - peer.welcome.time.as_secs() < DELAY);
}

#[tokio::test]
async fn there_are_only_so_many_locks() {
    let house = House::with(|config| config.storage.locks = 2).await;
    let mut peer = house.peer().await;
    for owner in [1, 2] {
        assert_eq!(peer.ask(put(owner)).await, Reply::Done);
    }
    assert_eq!(refusal(peer.ask(put(3)).await), RefusalKind::Quota);
    assert_eq!(peer.ask(put(2)).await, Reply::Done);
    assert_eq!(letterlock_relay::inspect(house.data()).unwrap().locks, 2);
    peer.ask(delete_by(1, 1)).await;
    assert_eq!(peer.ask(put(3)).await, Reply::Done);
}
