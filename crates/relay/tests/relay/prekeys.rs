//! Pre-keys: handed out exactly once, and by their device alone.

use crate::support::{Account, House, Peer, refusal, refused, rng};
use std::collections::HashSet;
use wire::{
    Bundle, FetchBundle, PreKeyCount, PreKeyCounts, PublishPreKeys, RefusalKind, Reply, Request,
};

async fn registered(house: &House, seed: u64) -> (Peer, Account) {
    let account = Account::draw(&mut rng(seed));
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    (peer, account)
}

fn publish(request: PublishPreKeys) -> Request {
    Request::PublishPreKeys(request)
}

fn counts(one_time_ec: u32, one_time_kem: u32) -> Reply {
    Reply::PreKeyCounts(PreKeyCounts {
        one_time_ec,
        one_time_kem,
    })
}

fn count_of(account: &Account) -> Request {
    Request::PreKeyCount(PreKeyCount {
        account: account.id,
        device: account.device_id(),
    })
}

fn fetch_of(account: &Account) -> Request {
    Request::FetchBundle(FetchBundle {
        account: account.id,
        device: account.device_id(),
    })
}

#[track_caller]
fn bundle(reply: Reply) -> Bundle {
    match reply {
        Reply::Bundle(bundle) => bundle,
        other => panic!("no bundle: {other:?}"),
    }
}

#[tokio::test]
async fn each_one_time_key_goes_to_one_of_twenty_that_ask_at_once() {
    let house = House::open().await;
    let (mut owner, account) = registered(&house, 1).await;
    let published = owner.ask(publish(account.publication(0, 15))).await;
    assert_eq!(published, counts(15, 15));
    let mut asking = Vec::new();
    for _ in 0..20 {
        let (mut peer, request) = (house.peer().await, fetch_of(&account));
        asking.push(tokio::spawn(async move { peer.ask(request).await }));
    }
    let (mut ec, mut kem, mut last_resort) = (HashSet::new(), HashSet::new(), 0);
    for asked in asking {
        let bundle = bundle(asked.await.unwrap());
        assert_eq!(bundle.identity, b"identity");
        assert_eq!(bundle.signed_ec, b"signed EC pre-key");
        assert_eq!(bundle.front_door, account.publication(0, 0).front_door);
        assert_eq!(bundle.kem_is_one_time, bundle.one_time_ec.is_some());
        if bundle.kem_is_one_time {
            assert!(kem.insert(bundle.kem), "a KEM pre-key went out twice");
            let key = bundle.one_time_ec.unwrap();
            assert!(ec.insert(key), "an EC pre-key went out twice");
        } else {
            assert_eq!(bundle.kem, b"last-resort KEM pre-key");
            last_resort += 1;
        }
    }
    assert_eq!((ec.len(), kem.len(), last_resort), (15, 15, 5));
    assert_eq!(owner.ask(count_of(&account)).await, counts(0, 0));
}

#[tokio::test]
async fn a_repeated_publication_brings_no_taken_key_back() {
    let mut house = House::open().await;
    let (mut peer, account) = registered(&house, 2).await;
    let publication = publish(account.publication(0, 3));
    assert_eq!(peer.ask(publication.clone()).await, counts(3, 3));
    let mut seen = HashSet::new();
    assert!(seen.insert(bundle(peer.ask(fetch_of(&account)).await).kem));
    assert_eq!(peer.ask(publication.clone()).await, counts(2, 2));
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(peer.ask(publication.clone()).await, counts(2, 2));
    for _ in 0..2 {
        assert!(seen.insert(bundle(peer.ask(fetch_of(&account)).await).kem));
    }
    assert_eq!(peer.ask(publication).await, counts(0, 0));
    assert!(!bundle(peer.ask(fetch_of(&account)).await).kem_is_one_time);
    let fresh = publish(account.publication(3, 1));
    assert_eq!(peer.ask(fresh).await, counts(1, 1));
}

#[tokio::test]
async fn replaced_one_time_keys_are_not_given_out() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 3).await;
    peer.ask(publish(account.publication(0, 5))).await;
    let replacing = account.signed(PublishPreKeys {
        replace_one_time: true,
        ..account.publication(10, 2)
    });
    assert_eq!(peer.ask(publish(replacing)).await, counts(2, 2));
    for _ in 0..2 {
        let kem = bundle(peer.ask(fetch_of(&account)).await).kem;
        assert!([&b"KEM pre-key 10"[..], b"KEM pre-key 11"].contains(&&kem[..]));
    }
}

#[tokio::test]
async fn pre_keys_of_another_device_are_refused() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 4).await;
    let stranger = Account::draw(&mut rng(40));
    // Signed by a key that is not in the log.
    let forged = stranger.signed(account.publication(0, 1));
    assert_eq!(
        refusal(peer.ask(publish(forged)).await),
        RefusalKind::Forbidden
    );
    // Signed, and changed afterwards: every field counts.
    let signed = account.publication(0, 1);
    let mut changed = vec![signed.clone(); 6];
    changed[0].identity.push(0);
    changed[1].signed_ec.push(0);
    changed[2].last_resort_kem.push(0);
    changed[3].one_time_ec.clear();
    changed[4].one_time_kem.push(b"another".to_vec());
    changed[5].replace_one_time = true;
    for request in changed {
        assert_eq!(
            refusal(peer.ask(publish(request)).await),
            RefusalKind::Forbidden
        );
    }
    // A device that is not in the log, and an account that is not here.
    let mut other_device = account.publication(0, 1);
    other_device.device = stranger.device_id();
    for request in [account.signed(other_device), stranger.publication(0, 1)] {
        assert_eq!(
            refusal(peer.ask(publish(request)).await),
            RefusalKind::NotFound
        );
    }
    for request in [count_of(&account), fetch_of(&account)] {
        assert_eq!(refusal(peer.ask(request).await), RefusalKind::NotFound);
    }
    assert_eq!(peer.ask(publish(signed)).await, counts(1, 1));
}

#[tokio::test]
async fn a_device_may_leave_only_so_many_keys() {
    let house = House::open().await;
    let (mut peer, account) = registered(&house, 5).await;
    for round in 0..4 {
        let publication = account.publication(round * 250, 250);
        let all = (round + 1) * 250;
        assert_eq!(peer.ask(publish(publication)).await, counts(all, all));
    }
    let one_more = peer.ask(publish(account.publication(1000, 1))).await;
    assert_eq!(refusal(one_more), RefusalKind::Quota);
    assert_eq!(peer.ask(count_of(&account)).await, counts(1000, 1000));
}

#[tokio::test]
async fn bundles_of_a_device_are_given_out_at_a_limited_rate() {
    let house = House::with(|config| config.rates.bundles_of_device = 60).await;
    let (mut peer, account) = registered(&house, 6).await;
    peer.ask(publish(account.publication(0, 200))).await;
    let mut taken = 0;
    let refused = loop {
        match peer.ask(fetch_of(&account)).await {
            Reply::Bundle(_) => taken += 1,
            other => break refused(other),
        }
    };
    assert!(taken >= 100, "{taken} at once");
    assert_eq!(refused.kind, RefusalKind::RateLimited);
    assert!(
        (1..=63_000).contains(&refused.retry_after_ms),
        "{refused:?}"
    );
    let left = 200 - taken;
    assert_eq!(peer.ask(count_of(&account)).await, counts(left, left));
}
