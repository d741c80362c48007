//! Account logs that grow: in parts, by several devices at once, and what a change does to pre-keys.

use crate::support::{Account, House, Peer, refusal, refused, rng};
use keys::account_log::{Authority, DeviceSecrets, Reason, UnverifiedLog, VerifiedLog};
use keys::{AccountId, Timestamp};
use rand_chacha::ChaCha20Rng;
use wire::limits::LOG_PART_BYTES;
use wire::{
    AppendEntries, AppendLog, CheckLog, Entries, FetchBundle, FetchLog, PreKeyCount, RawLog,
    RefusalKind, Reply, Request,
};

pub(crate) const BEGAN: Timestamp = Timestamp::from_secs(1_700_000_000);

fn read(log: &[u8]) -> VerifiedLog {
    let log = UnverifiedLog::decode(log).unwrap();
    log.verify(None, None).unwrap()
}

/// The log with one more device.
fn with_device(account: &Account, log: &VerifiedLog, device: &DeviceSecrets) -> VerifiedLog {
    let by = Authority::Device(&account.device);
    log.add_device(by, device, false, BEGAN).unwrap()
}

/// A log of so many entries more: devices come and go.
fn grown(account: &Account, rng: &mut ChaCha20Rng, entries: u64) -> VerifiedLog {
    let mut log = read(&account.log);
    for number in 0..entries {
        let by = Authority::Device(&account.device);
        log = if number % 2 == 0 {
            with_device(
                account,
                &log,
                &DeviceSecrets::generate(keys::Suite::Hybrid, rng).unwrap(),
            )
        } else {
            let newest = *log.devices().last().unwrap().id();
            let other = log
                .devices()
                .iter()
                .find(|known| *known.id() != account.device_id());
            let device = if newest == account.device_id() {
                *other.unwrap().id()
            } else {
                newest
            };
            log.revoke(by, &device, Reason::Retired, BEGAN).unwrap()
        };
    }
    log
}

/// What follows an entry, as far as it goes into one frame.
pub(crate) fn after(log: &VerifiedLog, after: u64) -> AppendEntries {
    let part = RawLog::parse(log.bytes()).unwrap().part(after + 1).unwrap();
    AppendEntries {
        account: *log.account_id(),
        after,
        entries: part.entries.to_vec(),
    }
}

fn check(account: AccountId, sequence: u64) -> Request {
    Request::CheckLog(CheckLog { account, sequence })
}

/// Hands the entries in that come after a known one, part by part.
pub(crate) async fn append_all(peer: &mut Peer, log: &VerifiedLog, mut head: u64) {
    while head < log.head().sequence {
        let request = after(log, head);
        let raw = RawLog::begin(&request.entries).unwrap();
        head += RawLog::parse(&raw).unwrap().head() + 1;
        assert_eq!(peer.ask(Request::AppendEntries(request)).await, Reply::Done);
    }
}

#[track_caller]
fn entries(reply: Reply) -> Entries {
    match reply {
        Reply::Entries(entries) => entries,
        other => panic!("no entries: {other:?}"),
    }
}

/// Asks for what is newer than a known log until there is nothing, as a client does.
async fn catch_up(peer: &mut Peer, account: AccountId, mut known: Vec<u8>) -> Vec<u8> {
    loop {
        let raw = RawLog::parse(&known).unwrap();
        let reply = peer.ask(check(account, raw.head())).await;
        if reply == Reply::Done {
            return known;
        }
        let newer = entries(reply);
        assert_eq!(newer.first, raw.head() + 1);
        assert!(newer.entries.len() <= LOG_PART_BYTES);
        let longer = raw.with(&newer.entries).unwrap();
        let head = RawLog::parse(&longer).unwrap().head();
        known = longer;
        if !newer.more {
            assert_eq!(peer.ask(check(account, head)).await, Reply::Done);
            return known;
        }
    }
}

#[tokio::test]
async fn a_long_log_is_handed_in_and_fetched_in_parts() {
    let (mut house, mut rng) = (House::open().await, rng(1));
    let account = Account::draw(&mut rng);
    let log = grown(&account, &mut rng, 40);
    assert!(log.bytes().len() > 4 * LOG_PART_BYTES);
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    append_all(&mut peer, &log, 0).await;
    for _restarted in 0..2 {
        let mut stranger = house.peer().await;
        let by_name = Request::FetchLog(FetchLog::ByName("alice".to_owned()));
        let by_account = Request::FetchLog(FetchLog::ByAccount(account.id));
        let first = entries(stranger.ask(by_name).await);
        assert_eq!((first.first, first.more), (0, true));
        assert_eq!((&first.name[..], first.account), ("alice", account.id));
        assert_eq!(entries(stranger.ask(by_account).await), first);
        let begun = RawLog::begin(&first.entries).unwrap();
        assert_eq!(read(&begun).account_id(), &account.id, "a part is a log");
        let whole = catch_up(&mut stranger, account.id, begun).await;
        assert!(whole == log.bytes());
        assert_eq!(read(&whole).head(), log.head());
        house.stop().await;
        house.start().await;
    }
}

#[tokio::test]
async fn a_client_asks_for_what_is_newer() {
    let (house, mut rng) = (House::open().await, rng(2));
    let account = Account::draw(&mut rng);
    let log = grown(&account, &mut rng, 3);
    let mut peer = house.peer().await;
    let unknown = peer.ask(check(account.id, 0)).await;
    assert_eq!(refusal(unknown), RefusalKind::NotFound);
    peer.ask(account.registration("alice")).await;
    assert_eq!(peer.ask(check(account.id, 0)).await, Reply::Done);
    append_all(&mut peer, &log, 0).await;
    let newer = entries(peer.ask(check(account.id, 0)).await);
    assert_eq!(newer.entries, after(&log, 0).entries);
    assert!(!newer.more && newer.first == 1);
    let last = entries(peer.ask(check(account.id, 2)).await);
    assert_eq!(last.entries, after(&log, 2).entries);
    assert_eq!(peer.ask(check(account.id, 3)).await, Reply::Done);
    // Somebody knows more than the relay: it lost something.
    for ahead in [4, u64::MAX] {
        let refused = refused(peer.ask(check(account.id, ahead)).await);
        assert_eq!(refused.kind, RefusalKind::Conflict);
        assert!(!refused.is_temporary());
    }
    let whole = Request::FetchLog(FetchLog::ByAccount(account.id));
    let Reply::Log(whole) = peer.ask(whole).await else {
        panic!("it fits in one frame")
    };
    assert!(whole.log == log.bytes());
}

#[tokio::test]
async fn entries_are_appended_once_and_in_their_place() {
    let (house, mut rng) = (House::open().await, rng(3));
    let account = Account::draw(&mut rng);
    let (log, other) = (grown(&account, &mut rng, 2), grown(&account, &mut rng, 2));
    let mut peer = house.peer().await;
    let append = |request: &AppendEntries| Request::AppendEntries(request.clone());
    let request = after(&log, 0);
    let early = peer.ask(append(&request)).await;
    assert_eq!(refusal(early), RefusalKind::NotFound);
    peer.ask(account.registration("alice")).await;
    let gap = refused(peer.ask(append(&after(&log, 1))).await);
    assert_eq!(
        (gap.kind, gap.is_temporary()),
        (RefusalKind::Conflict, false)
    );
    for _twice in 0..2 {
        assert_eq!(peer.ask(append(&request)).await, Reply::Done);
    }
    // The first of the two alone stands in the log as well.
    let one = after(&read(&RawLog::begin(&first_entries(&log, 2)).unwrap()), 0);
    assert_eq!(peer.ask(append(&one)).await, Reply::Done);
    let late = refused(peer.ask(append(&after(&other, 0))).await);
    assert_eq!(
        (late.kind, late.is_temporary()),
        (RefusalKind::Conflict, false)
    );
    let broken = AppendEntries {
        after: 2,
        ..after(&other, 1)
    };
    assert_eq!(
        refusal(peer.ask(append(&broken)).await),
        RefusalKind::BadLog
    );
    let whole = catch_up(&mut peer, account.id, account.log.clone()).await;
    assert!(whole == log.bytes());
}

/// So many raw entries from the genesis on.
fn first_entries(log: &VerifiedLog, count: u64) -> Vec<u8> {
    let raw = RawLog::parse(log.bytes()).unwrap();
    let all = raw.part(0).unwrap().entries;
    match raw.part(count) {
        Some(rest) => all[..all.len() - rest.entries.len()].to_vec(),
        None => all.to_vec(),
    }
}

#[tokio::test]
async fn entries_that_do_not_hold_are_refused() {
    let (house, mut rng) = (House::open().await, rng(4));
    let account = Account::draw(&mut rng);
    let log = grown(&account, &mut rng, 1);
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    let request = after(&log, 0);
    let length = request.entries.len();
    for at in (0..length).step_by(length / 30).chain([length - 1]) {
        let mut flipped = request.clone();
        flipped.entries[at] ^= 1;
        let reply = peer.ask(Request::AppendEntries(flipped)).await;
        assert_eq!(refusal(reply), RefusalKind::BadLog, "bit at {at}");
    }
    for end in [1, 4, 5, 100, length / 2, length - 1] {
        let mut cut = request.clone();
        cut.entries.truncate(end);
        let reply = peer.ask(Request::AppendEntries(cut)).await;
        assert_eq!(refusal(reply), RefusalKind::BadLog, "{end} bytes");
    }
    let twice = AppendEntries {
        entries: [&request.entries[..], &request.entries[..]].concat(),
        ..request.clone()
    };
    let genesis = AppendEntries {
        entries: first_entries(&log, 1),
        ..request.clone()
    };
    for hostile in [twice, genesis] {
        let reply = peer.ask(Request::AppendEntries(hostile)).await;
        assert_eq!(refusal(reply), RefusalKind::BadLog);
    }
    assert_eq!(peer.ask(check(account.id, 0)).await, Reply::Done);
    assert_eq!(peer.ask(Request::AppendEntries(request)).await, Reply::Done);
}

#[tokio::test]
async fn of_many_that_append_at_once_one_wins() {
    let (house, mut rng) = (House::open().await, rng(5));
    let account = Account::draw(&mut rng);
    house.peer().await.ask(account.registration("alice")).await;
    let mut asking = Vec::new();
    for _ in 0..8 {
        let request = after(&grown(&account, &mut rng, 1), 0);
        let mut peer = house.peer().await;
        asking.push(tokio::spawn(async move {
            peer.ask(Request::AppendEntries(request)).await
        }));
    }
    let mut done = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Reply::Done => done += 1,
            other => {
                let refused = refused(other);
                assert_eq!(refused.kind, RefusalKind::Conflict);
                assert!(!refused.is_temporary(), "the loser goes on from the winner");
            }
        }
    }
    assert_eq!(done, 1);
    let mut peer = house.peer().await;
    let log = catch_up(&mut peer, account.id, account.log.clone()).await;
    assert_eq!(read(&log).head().sequence, 1);
}

#[tokio::test]
async fn an_entry_from_the_future_is_refused() {
    let (house, mut rng) = (House::open().await, rng(6));
    let account = Account::draw(&mut rng);
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    let ahead = peer.welcome.time.saturating_add(24 * 3600);
    let device = DeviceSecrets::generate(keys::Suite::Hybrid, &mut rng).unwrap();
    let by = Authority::Device(&account.device);
    let log = read(&account.log);
    let future = log.add_device(by, &device, true, ahead).unwrap();
    let by_entries = Request::AppendEntries(after(&future, 0));
    let by_log = Request::AppendLog(AppendLog {
        account: account.id,
        log: future.bytes().to_vec(),
    });
    for request in [by_entries, by_log] {
        assert_eq!(refusal(peer.ask(request).await), RefusalKind::BadLog);
    }
    assert_eq!(peer.ask(check(account.id, 0)).await, Reply::Done);
    let now = log
        .add_device(by, &device, true, peer.welcome.time)
        .unwrap();
    let request = Request::AppendEntries(after(&now, 0));
    assert_eq!(peer.ask(request).await, Reply::Done);
    let newborn = Account::draw_at(&mut rng, ahead);
    let early = peer.ask(newborn.registration("bob")).await;
    assert_eq!(refusal(early), RefusalKind::BadLog);
}

#[tokio::test]
async fn the_whole_log_may_be_handed_in_too() {
    let (house, mut rng) = (House::open().await, rng(7));
    let account = Account::draw(&mut rng);
    let log = grown(&account, &mut rng, 2);
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    let whole = |log: &[u8]| {
        Request::AppendLog(AppendLog {
            account: account.id,
            log: log.to_vec(),
        })
    };
    for _twice in 0..2 {
        assert_eq!(peer.ask(whole(log.bytes())).await, Reply::Done);
    }
    let shorter = peer.ask(whole(&account.log)).await;
    assert_eq!(refusal(shorter), RefusalKind::BadLog);
    let another = grown(&account, &mut rng, 3);
    let forked = peer.ask(whole(another.bytes())).await;
    assert_eq!(refusal(forked), RefusalKind::BadLog);
    assert_eq!(peer.ask(check(account.id, 2)).await, Reply::Done);
}

/// Registers an account with a second device in force, both with pre-keys.
pub(crate) async fn with_two_devices(
    peer: &mut Peer,
    rng: &mut ChaCha20Rng,
) -> (Account, Account, VerifiedLog) {
    let account = Account::draw(rng);
    peer.ask(account.registration("alice")).await;
    let second = account.with_device(DeviceSecrets::generate(keys::Suite::Hybrid, rng).unwrap());
    let log = with_device(&account, &read(&account.log), &second.device);
    let early = peer
        .ask(Request::PublishPreKeys(second.publication(0, 2)))
        .await;
    assert_eq!(refusal(early), RefusalKind::NotFound, "not in force yet");
    append_all(peer, &log, 0).await;
    for device in [&account, &second] {
        let publication = Request::PublishPreKeys(device.publication(0, 2));
        let published = peer.ask(publication).await;
        assert!(matches!(published, Reply::PreKeyCounts(_)), "{published:?}");
    }
    (account, second, log)
}

fn bundle_of(device: &Account) -> Request {
    Request::FetchBundle(FetchBundle {
        account: device.id,
        device: device.device_id(),
    })
}

#[tokio::test]
async fn a_revoked_device_has_no_pre_keys_here() {
    let (mut house, mut rng) = (House::open().await, rng(8));
    let mut peer = house.peer().await;
    let (account, second, log) = with_two_devices(&mut peer, &mut rng).await;
    let by = Authority::Device(&account.device);
    let revoked = log
        .revoke(by, &second.device_id(), Reason::Lost, BEGAN)
        .unwrap();
    append_all(&mut peer, &revoked, 1).await;
    for _restarted in 0..2 {
        let mut peer = house.peer().await;
        let count = Request::PreKeyCount(PreKeyCount {
            account: account.id,
            device: second.device_id(),
        });
        let publish = Request::PublishPreKeys(second.publication(2, 1));
        for request in [bundle_of(&second), count, publish] {
            assert_eq!(refusal(peer.ask(request).await), RefusalKind::NotFound);
        }
        let other = peer.ask(bundle_of(&account)).await;
        assert!(matches!(other, Reply::Bundle(_)), "the other device's stay");
        house.stop().await;
        house.start().await;
    }
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let left: u64 = sql
        .query_row(
            "SELECT count(DISTINCT device) FROM one_time_keys",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 1, "nothing of the revoked device is left");
}

#[tokio::test]
async fn a_device_with_new_keys_publishes_anew() {
    let (house, mut rng) = (House::open().await, rng(9));
    let mut peer = house.peer().await;
    let (account, second, log) = with_two_devices(&mut peer, &mut rng).await;
    let renewed = second
        .device
        .renewed(keys::Suite::Hybrid, &mut rng)
        .unwrap();
    let rotated = log.rotate_device(&second.device, &renewed, BEGAN).unwrap();
    append_all(&mut peer, &rotated, 1).await;
    let gone = peer.ask(bundle_of(&second)).await;
    assert_eq!(refusal(gone), RefusalKind::NotFound);
    let old = Request::PublishPreKeys(second.publication(0, 2));
    assert_eq!(refusal(peer.ask(old).await), RefusalKind::Forbidden);
    let renewed = account.with_device(renewed);
    let new = Request::PublishPreKeys(renewed.publication(5, 2));
    assert!(matches!(peer.ask(new).await, Reply::PreKeyCounts(_)));
    assert!(matches!(
        peer.ask(bundle_of(&renewed)).await,
        Reply::Bundle(_)
    ));
    assert!(matches!(
        peer.ask(bundle_of(&account)).await,
        Reply::Bundle(_)
    ));
}

#[tokio::test]
async fn no_publication_slips_past_a_revocation() {
    let (house, mut rng) = (House::open().await, rng(10));
    let mut peer = house.peer().await;
    let (account, second, log) = with_two_devices(&mut peer, &mut rng).await;
    let by = Authority::Device(&account.device);
    let revoked = log
        .revoke(by, &second.device_id(), Reason::Stolen, BEGAN)
        .unwrap();
    let mut asking = Vec::new();
    for number in 0..12_u32 {
        let mut peer = house.peer().await;
        let request = if number == 6 {
            Request::AppendEntries(after(&revoked, 1))
        } else {
            Request::PublishPreKeys(second.publication(10 * number, 1))
        };
        asking.push(tokio::spawn(async move { peer.ask(request).await }));
    }
    for asked in asking {
        match asked.await.unwrap() {
            Reply::Done | Reply::PreKeyCounts(_) => {}
            other => assert_eq!(refusal(other), RefusalKind::NotFound),
        }
    }
    let left = peer.ask(bundle_of(&second)).await;
    assert_eq!(refusal(left), RefusalKind::NotFound);
}
