//! Key packages: handed out exactly once, and by their device alone.

use crate::logs::{BEGAN, after, append_all, with_two_devices};
use crate::support::{Account, House, Peer, refusal, refused, rng};
use keys::Suite;
use keys::account_log::{Authority, DeviceSecrets, Reason, RootSecret, genesis};
use std::collections::HashSet;
use wire::{
    FetchKeyPackage, KeyPackage, KeyPackageCount, KeyPackageCounts, PublishKeyPackages,
    RefusalKind, Reply, Request, limits,
};

async fn registered(house: &House, seed: u64) -> (Peer, Account) {
    let account = Account::draw(&mut rng(seed));
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    (peer, account)
}

fn publish(request: PublishKeyPackages) -> Request {
    Request::PublishKeyPackages(request)
}

fn counts(packages: u32, last_resort: bool) -> Reply {
    Reply::KeyPackageCounts(KeyPackageCounts {
        packages,
        last_resort,
    })
}

fn count_of(account: &Account) -> Request {
    count_in(account, Suite::Hybrid)
}

fn count_in(account: &Account, suite: Suite) -> Request {
    Request::KeyPackageCount(KeyPackageCount {
        account: account.id,
        device: account.device_id(),
        suite,
    })
}

fn fetch_of(account: &Account) -> Request {
    fetch_in(account, Suite::Hybrid)
}

fn fetch_in(account: &Account, suite: Suite) -> Request {
    Request::FetchKeyPackage(FetchKeyPackage {
        account: account.id,
        device: account.device_id(),
        suite,
    })
}

fn once(number: u32) -> Reply {
    Reply::KeyPackage(KeyPackage {
        package: format!("key package {number}").into_bytes(),
        last_resort: false,
    })
}

fn last(package: &[u8]) -> Reply {
    Reply::KeyPackage(KeyPackage {
        package: package.to_vec(),
        last_resort: true,
    })
}

/// A publication with one of last resort.
fn with_last(account: &Account, first: u32, count: u32, last_resort: &[u8]) -> Request {
    publish(account.signed_packages(PublishKeyPackages {
        last_resort: Some(last_resort.to_vec()),
        ..account.packages(first, count)
    }))
}

#[tokio::test]
async fn each_key_package_goes_to_one_of_twenty_that_ask_at_once() {
    let house = House::open().await;
    let (mut owner, account) = registered(&house, 1).await;
    let published = owner.ask(with_last(&account, 0, 15, b"last resort")).await;
    assert_eq!(published, counts(15, true));
    let mut asking = Vec::new();
    for _ in 0..20 {
        let (mut peer, request) = (house.peer().await, fetch_of(&account));
        asking.push(tokio::spawn(async move { peer.ask(request).await }));
    }
    let (mut taken, mut last_resort) = (HashSet::new(), 0);
    for asked in asking {
        match asked.await.unwrap() {
            Reply::KeyPackage(package) if package.last_resort => {
                assert_eq!(package.package, b"last resort");
                last_resort += 1;
            }
            Reply::KeyPackage(package) => {
                assert!(taken.insert(package.package), "one went out twice");
            }
            other => panic!("no key package: {other:?}"),
        }
    }
    assert_eq!((taken.len(), last_resort), (15, 5));
    assert_eq!(owner.ask(count_of(&account)).await, counts(0, true));
    let metrics = house.get("/metrics").await;
    for line in [
        "letterlock_relay_key_packages_once_total 15",
        "letterlock_relay_key_packages_last_resort_total 5",
    ] {
        assert!(metrics.text().lines().any(|have| have == line), "{line}");
    }
}

#[tokio::test]
async fn a_repeated_publication_brings_no_taken_package_back() {
    let mut house = House::open().await;
    let (mut peer, account) = registered(&house, 2).await;
    let publication = publish(account.packages(0, 3));
    assert_eq!(peer.ask(publication.clone()).await, counts(3, false));
    assert_eq!(peer.ask(fetch_of(&account)).await, once(0), "the oldest");
    assert_eq!(peer.ask(publication.clone()).await, counts(2, false));
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(peer.ask(publication.clone()).await, counts(2, false));
    for number in [1, 2] {
        assert_eq!(peer.ask(fetch_of(&account)).await, once(number));
    }
    assert_eq!(peer.ask(publication).await, counts(0, false));
    let none = peer.ask(fetch_of(&account)).await;
    assert_eq!(refusal(none), RefusalKind::NotFound);
    let fresh = publish(account.packages(3, 1));
    assert_eq!(peer.ask(fresh).await, counts(1, false));
    // What was taken long ago is forgotten, hash and all.
    house.stop().await;
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let rows = || -> u64 {
        let all = "SELECT count(*) FROM key_packages";
        sql.query_row(all, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(), 4);
    sql.execute("UPDATE key_packages SET hour = hour - 91 * 24 * 3600", [])
        .unwrap();
    house.start().await;
    while rows() > 1 {
        tokio::task::yield_now().await;
    }
    let mut peer = house.peer().await;
    assert_eq!(peer.ask(count_of(&account)).await, counts(1, false));
}

#[tokio::test]
async fn the_last_resort_stays_until_another_one_comes() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 3).await;
    peer.ask(with_last(&account, 0, 1, b"one")).await;
    let more = publish(account.packages(1, 1));
    assert_eq!(peer.ask(more).await, counts(2, true));
    for number in [0, 1] {
        assert_eq!(peer.ask(fetch_of(&account)).await, once(number));
    }
    for _ in 0..3 {
        assert_eq!(peer.ask(fetch_of(&account)).await, last(b"one"));
    }
    for _twice in 0..2 {
        let other = with_last(&account, 0, 0, b"two");
        assert_eq!(peer.ask(other).await, counts(0, true));
        assert_eq!(peer.ask(fetch_of(&account)).await, last(b"two"));
    }
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert_eq!(report.key_packages, 1);
}

#[tokio::test]
async fn replaced_key_packages_are_not_given_out() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 4).await;
    peer.ask(with_last(&account, 0, 5, b"old")).await;
    let replacing = account.signed_packages(PublishKeyPackages {
        replace: true,
        ..account.packages(10, 1)
    });
    assert_eq!(peer.ask(publish(replacing)).await, counts(1, false));
    let old = publish(account.packages(0, 5));
    assert_eq!(peer.ask(old).await, counts(1, false), "nor do they return");
    assert_eq!(peer.ask(fetch_of(&account)).await, once(10));
    let none = peer.ask(fetch_of(&account)).await;
    assert_eq!(refusal(none), RefusalKind::NotFound);
}

#[tokio::test]
async fn key_packages_of_another_device_are_refused() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 5).await;
    let stranger = Account::draw(&mut rng(50));
    let forged = publish(stranger.signed_packages(account.packages(0, 1)));
    assert_eq!(refusal(peer.ask(forged).await), RefusalKind::Forbidden);
    // Signed, and changed afterwards; and signed for something else.
    let signed = account.packages(0, 1);
    let mut changed = vec![signed.clone(); 4];
    changed[0].packages.push(b"another".to_vec());
    changed[1].last_resort = Some(b"another".to_vec());
    changed[2].replace = true;
    let message = wire::publish_key_packages_message(&signed);
    let elsewhere = account.device.signing();
    let elsewhere = elsewhere.sign(keys::label::PUBLISH, &message).unwrap();
    changed[3].signature = elsewhere.as_bytes().to_vec();
    for request in changed {
        let reply = peer.ask(publish(request)).await;
        assert_eq!(refusal(reply), RefusalKind::Forbidden);
    }
    let mut other_device = account.packages(0, 1);
    other_device.device = stranger.device_id();
    let other_device = account.signed_packages(other_device);
    for request in [other_device, stranger.packages(0, 1)] {
        let reply = peer.ask(publish(request)).await;
        assert_eq!(refusal(reply), RefusalKind::NotFound);
    }
    for request in [count_of(&account), fetch_of(&account)] {
        assert_eq!(refusal(peer.ask(request).await), RefusalKind::NotFound);
    }
    assert_eq!(peer.ask(publish(signed)).await, counts(1, false));
}

#[tokio::test]
async fn a_device_may_leave_only_so_many_key_packages() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 6).await;
    for round in 0..8 {
        let publication = publish(account.packages(round * 32, 32));
        let all = (round + 1) * 32;
        assert_eq!(peer.ask(publication).await, counts(all, false));
    }
    let one_more = peer.ask(publish(account.packages(256, 1))).await;
    let one_more = refused(one_more);
    assert_eq!(one_more.kind, RefusalKind::Quota);
    assert!(!one_more.is_temporary());
    // One of last resort is no more, and taking one makes room.
    let last_resort = with_last(&account, 0, 0, b"last resort");
    assert_eq!(peer.ask(last_resort).await, counts(256, true));
    peer.ask(fetch_of(&account)).await;
    let again = peer.ask(publish(account.packages(256, 1))).await;
    assert_eq!(again, counts(256, true));
}

#[tokio::test]
async fn large_key_packages_travel_whole() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 7).await;
    let package = |fill| vec![fill; limits::KEY_PACKAGE_BYTES];
    let request = account.signed_packages(PublishKeyPackages {
        packages: (1..=6).map(package).collect(),
        ..account.packages(0, 0)
    });
    assert_eq!(peer.ask(publish(request)).await, counts(6, false));
    for fill in 1..=6 {
        let Reply::KeyPackage(taken) = peer.ask(fetch_of(&account)).await else {
            panic!("it is there")
        };
        assert_eq!(taken.package, package(fill));
    }
}

#[tokio::test]
async fn key_packages_of_two_suites_lie_apart() {
    let (house, mut rng) = (House::open().await, rng(13));
    let mut peer = house.peer().await;
    let root = RootSecret::generate(Suite::Cnsa2, &mut rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Cnsa2, &mut rng).unwrap();
    let log = genesis(&root, &device, BEGAN).unwrap();
    let account = Account {
        id: *log.account_id(),
        log: log.bytes().to_vec(),
        device,
    };
    assert_eq!(peer.ask(account.registration("alice")).await, Reply::Done);
    let published = peer.ask(publish(account.packages(0, 2))).await;
    assert_eq!(published, counts(2, false));
    let of = |suite, first, count, last: Option<&[u8]>| {
        account.signed_packages(PublishKeyPackages {
            suite,
            last_resort: last.map(<[u8]>::to_vec),
            ..account.packages(first, count)
        })
    };
    // Each suite has a store of its own, also for what has the same bytes.
    let unknown = peer.ask(count_in(&account, Suite::Cnsa2)).await;
    assert_eq!(refusal(unknown), RefusalKind::NotFound);
    let none = peer.ask(fetch_in(&account, Suite::Cnsa2)).await;
    assert_eq!(refusal(none), RefusalKind::NotFound);
    let higher = publish(of(Suite::Cnsa2, 1, 1, Some(b"higher")));
    assert_eq!(peer.ask(higher.clone()).await, counts(1, true));
    assert_eq!(peer.ask(fetch_of(&account)).await, once(0));
    let higher_of = fetch_in(&account, Suite::Cnsa2);
    assert_eq!(peer.ask(higher_of.clone()).await, once(1));
    assert_eq!(peer.ask(higher_of.clone()).await, last(b"higher"));
    assert_eq!(peer.ask(higher).await, counts(0, true));
    assert_eq!(peer.ask(count_of(&account)).await, counts(1, false));
    let mut replacing = of(Suite::Hybrid, 7, 1, Some(b"lower"));
    replacing.replace = true;
    let replacing = publish(account.signed_packages(replacing));
    assert_eq!(peer.ask(replacing).await, counts(1, true));
    assert_eq!(peer.ask(higher_of).await, last(b"higher"));
    // What was signed for one suite is refused for another.
    let mut moved = of(Suite::Hybrid, 8, 1, None);
    moved.suite = Suite::Cnsa2;
    let mut forged = account.packages(0, 3);
    forged.signature[9] ^= 1;
    for request in [moved, forged] {
        let reply = peer.ask(publish(request)).await;
        assert_eq!(refusal(reply), RefusalKind::Forbidden);
    }
}

#[tokio::test]
async fn key_packages_of_a_device_are_given_out_at_a_limited_rate() {
    let house = House::with(|config| config.rates.bundles_of_device = 60).await;
    let (mut peer, account) = registered(&house, 8).await;
    peer.ask(with_last(&account, 0, 1, b"last resort")).await;
    peer.ask(Request::PublishPreKeys(account.publication(0, 1)))
        .await;
    let mut taken = 0;
    let told = loop {
        match peer.ask(fetch_of(&account)).await {
            Reply::KeyPackage(_) => taken += 1,
            other => break refused(other),
        }
    };
    assert!(taken >= 100, "{taken} at once");
    assert_eq!(told.kind, RefusalKind::RateLimited);
    assert!((1..=63_000).contains(&told.retry_after_ms), "{told:?}");
    // Bundles have a rate of their own.
    let bundle = peer.ask(Request::FetchBundle(wire::FetchBundle {
        account: account.id,
        device: account.device_id(),
    }));
    assert!(matches!(bundle.await, Reply::Bundle(_)));
}

#[tokio::test]
async fn a_device_out_of_force_has_no_key_packages() {
    let (mut house, mut rng) = (House::open().await, rng(9));
    let mut peer = house.peer().await;
    let (account, second, log) = with_two_devices(&mut peer, &mut rng).await;
    for device in [&account, &second] {
        let published = peer.ask(with_last(device, 0, 2, b"last resort")).await;
        assert_eq!(published, counts(2, true));
    }
    let by = Authority::Device(&account.device);
    let revoked = log.revoke(by, &second.device_id(), Reason::Lost, BEGAN);
    append_all(&mut peer, &revoked.unwrap(), 1).await;
    for _restarted in 0..2 {
        let mut peer = house.peer().await;
        let publish = publish(second.packages(2, 1));
        for request in [fetch_of(&second), count_of(&second), publish] {
            assert_eq!(refusal(peer.ask(request).await), RefusalKind::NotFound);
        }
        assert_eq!(peer.ask(count_of(&account)).await, counts(2, true));
        house.stop().await;
        house.start().await;
    }
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert_eq!(report.key_packages, 3, "nothing of the revoked device");
}

#[tokio::test]
async fn a_device_with_new_keys_publishes_key_packages_anew() {
    let (house, mut rng) = (House::open().await, rng(10));
    let mut peer = house.peer().await;
    let (account, second, log) = with_two_devices(&mut peer, &mut rng).await;
    peer.ask(with_last(&second, 0, 2, b"last resort")).await;
    let renewed = second
        .device
        .renewed(keys::Suite::Hybrid, &mut rng)
        .unwrap();
    let rotated = log.rotate_device(&second.device, &renewed, BEGAN).unwrap();
    append_all(&mut peer, &rotated, 1).await;
    let gone = peer.ask(fetch_of(&second)).await;
    assert_eq!(refusal(gone), RefusalKind::NotFound);
    let old = peer.ask(publish(second.packages(0, 2))).await;
    assert_eq!(refusal(old), RefusalKind::Forbidden);
    let renewed = account.with_device(renewed);
    let new = peer.ask(publish(renewed.packages(5, 2))).await;
    assert_eq!(new, counts(2, false));
}

#[tokio::test]
async fn an_ended_account_has_nothing_that_its_devices_published() {
    let (house, mut rng) = (House::open().await, rng(11));
    let mut peer = house.peer().await;
    let root = RootSecret::generate(keys::Suite::Hybrid, &mut rng).unwrap();
    let device = DeviceSecrets::generate(keys::Suite::Hybrid, &mut rng).unwrap();
    let log = genesis(&root, &device, BEGAN).unwrap();
    let account = Account {
        id: *log.account_id(),
        log: log.bytes().to_vec(),
        device,
    };
    peer.ask(account.registration("alice")).await;
    peer.ask(with_last(&account, 0, 2, b"last resort")).await;
    let pre_keys = Request::PublishPreKeys(account.publication(0, 2));
    peer.ask(pre_keys.clone()).await;
    let ended = log.tombstone(&root, BEGAN).unwrap();
    append_all(&mut peer, &ended, 0).await;
    let bundle = Request::FetchBundle(wire::FetchBundle {
        account: account.id,
        device: account.device_id(),
    });
    let packages = publish(account.packages(2, 1));
    for request in [fetch_of(&account), packages, bundle, pre_keys] {
        assert_eq!(refusal(peer.ask(request).await), RefusalKind::NotFound);
    }
    let report = letterlock_relay::inspect(house.data()).unwrap();
    assert_eq!((report.key_packages, report.one_time_pre_keys), (0, 0));
}

#[tokio::test]
async fn no_key_package_slips_past_a_revocation() {
    let (house, mut rng) = (House::open().await, rng(12));
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
            publish(second.packages(10 * number, 1))
        };
        asking.push(tokio::spawn(async move { peer.ask(request).await }));
    }
    for asked in asking {
        match asked.await.unwrap() {
            Reply::Done | Reply::KeyPackageCounts(_) => {}
            other => assert_eq!(refusal(other), RefusalKind::NotFound),
        }
    }
    let left = peer.ask(fetch_of(&second)).await;
    assert_eq!(refusal(left), RefusalKind::NotFound);
}
