//! Requests for recovery, which anybody may put into a log: one at a time, dated now, and not too many.

use crate::support::{Account, House, Peer, refusal, refused, rng};
use keys::account_log::{
    DeviceSecrets, Method, RecoverySecrets, RecoveryTerms, UnverifiedLog, VerifiedLog,
};
use keys::{Secret, Timestamp};
use rand_chacha::ChaCha20Rng;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::{AppendEntries, RawLog, RefusalKind, Reply, Request};

const HOUR: u64 = 3600;
const DAY_MS: u64 = 24 * HOUR * 1000;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_secs(since.as_secs())
}

fn ago(seconds: u64) -> Timestamp {
    Timestamp::from_secs(now().as_secs() - seconds)
}

/// An account with guardians, and its log at the relay.
async fn guarded(
    peer: &mut Peer,
    rng: &mut ChaCha20Rng,
    delay_seconds: u64,
) -> (Account, VerifiedLog) {
    let account = Account::draw(rng);
    let log = UnverifiedLog::decode(&account.log).unwrap();
    let log = log.verify(None, None).unwrap();
    peer.ask(account.registration("alice")).await;
    let way = RecoverySecrets::derive(keys::Suite::Hybrid, Method::Guardians, &Secret::random(rng))
        .unwrap();
    let terms = RecoveryTerms {
        delay_seconds,
        need: 2,
        commitments: vec![[1; 32], [2; 32]],
    };
    let log = log.set_recovery(&account.device, &way, &terms, ago(30 * 24 * HOUR));
    let log = log.unwrap();
    assert_eq!(append(peer, &log, 0).await, Reply::Done);
    (account, log)
}

/// Hands in what a log has behind an entry.
async fn append(peer: &mut Peer, log: &VerifiedLog, after: u64) -> Reply {
    let raw = RawLog::parse(log.bytes()).unwrap();
    let request = AppendEntries {
        account: *log.account_id(),
        after,
        entries: raw.part(after + 1).unwrap().entries.to_vec(),
    };
    peer.ask(Request::AppendEntries(request)).await
}

fn asked(log: &VerifiedLog, rng: &mut ChaCha20Rng, at: Timestamp) -> VerifiedLog {
    let device = DeviceSecrets::generate(keys::Suite::Hybrid, rng).unwrap();
    log.request_recovery(&device, at).unwrap()
}

#[tokio::test]
async fn a_request_that_stands_keeps_others_out() {
    let (house, mut rng) = (House::open().await, rng(1));
    let mut peer = house.peer().await;
    let (account, log) = guarded(&mut peer, &mut rng, 2 * HOUR).await;
    let first = asked(&log, &mut rng, now());
    assert_eq!(append(&mut peer, &first, 1).await, Reply::Done);
    let second = asked(&first, &mut rng, now());
    let told = refused(append(&mut peer, &second, 2).await);
    assert_eq!(told.kind, RefusalKind::RateLimited);
    let delay_ms = 2 * HOUR * 1000;
    let fits = DAY_MS + delay_ms - HOUR * 1000..=DAY_MS + delay_ms;
    assert!(fits.contains(&told.retry_after_ms), "{told:?}");
    // The same again is no other one, and who belongs to the account is not kept out.
    assert_eq!(append(&mut peer, &first, 1).await, Reply::Done);
    let cancelled = first.cancel_recovery(&account.device, now()).unwrap();
    assert_eq!(append(&mut peer, &cancelled, 2).await, Reply::Done);
    let third = asked(&cancelled, &mut rng, now());
    assert_eq!(append(&mut peer, &third, 3).await, Reply::Done);
}

#[tokio::test]
async fn requests_of_one_account_come_at_a_rate() {
    let (house, mut rng) = (House::open().await, rng(2));
    let mut peer = house.peer().await;
    let (account, mut log) = guarded(&mut peer, &mut rng, 60).await;
    for round in 0..4 {
        let head = log.head().sequence;
        let next = asked(&log, &mut rng, now());
        let reply = append(&mut peer, &next, head).await;
        if round == 3 {
            let told = refused(reply);
            assert_eq!(told.kind, RefusalKind::RateLimited);
            assert!((1..=1_000_000).contains(&told.retry_after_ms), "{told:?}");
            return;
        }
        assert_eq!(reply, Reply::Done);
        log = next.cancel_recovery(&account.device, now()).unwrap();
        assert_eq!(append(&mut peer, &log, head + 1).await, Reply::Done);
    }
}

#[tokio::test]
async fn many_requests_in_one_frame_are_refused() {
    let (house, mut rng) = (House::open().await, rng(3));
    let mut peer = house.peer().await;
    let (account, log) = guarded(&mut peer, &mut rng, 60).await;
    let first = asked(&log, &mut rng, now());
    let second = asked(&first, &mut rng, now());
    let reply = append(&mut peer, &second, 1).await;
    assert_eq!(refusal(reply), RefusalKind::BadLog);
    // A device that reminds the relay of what was there has signed behind it.
    let answered = second.cancel_recovery(&account.device, now()).unwrap();
    assert_eq!(append(&mut peer, &answered, 1).await, Reply::Done);
}

#[tokio::test]
async fn a_request_that_is_dated_back_is_refused() {
    let (house, mut rng) = (House::open().await, rng(4));
    let mut peer = house.peer().await;
    let (_, log) = guarded(&mut peer, &mut rng, 2 * HOUR).await;
    let old = asked(&log, &mut rng, ago(4 * HOUR));
    let reply = append(&mut peer, &old, 1).await;
    assert_eq!(refusal(reply), RefusalKind::BadLog);
    let new = asked(&log, &mut rng, now());
    assert_eq!(append(&mut peer, &new, 1).await, Reply::Done);
}
