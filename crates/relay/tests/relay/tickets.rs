//! Tickets of invites.

use crate::support::{House, Peer, refusal, rng};
use keys::Timestamp;
use rand_core::Rng as _;
use wire::{CreateTicket, RedeemTicket, RefusalKind, Reply, Request};

const HOUR: u64 = 3600;

fn create(ticket: &[u8; 16], expires: Timestamp) -> Request {
    Request::CreateTicket(CreateTicket {
        ticket_hash: keys::sha256(&[ticket]),
        expires,
    })
}

fn redeem(ticket: &[u8; 16], nonce: u8) -> Request {
    Request::RedeemTicket(RedeemTicket {
        ticket: *ticket,
        nonce: [nonce; 16],
    })
}

fn draw(seed: u64) -> [u8; 16] {
    let mut ticket = [0; 16];
    rng(seed).fill_bytes(&mut ticket);
    ticket
}

fn in_a_day(peer: &Peer) -> Timestamp {
    peer.welcome.time.saturating_add(24 * HOUR)
}

#[tokio::test]
async fn a_ticket_counts_for_one_nonce() {
    let (mut house, ticket) = (House::open().await, draw(1));
    let mut peer = house.peer().await;
    let expires = in_a_day(&peer);
    assert_eq!(
        refusal(peer.ask(redeem(&ticket, 1)).await),
        RefusalKind::NotFound
    );
    assert_eq!(peer.ask(create(&ticket, expires)).await, Reply::Done);
    assert_eq!(peer.ask(redeem(&ticket, 1)).await, Reply::Done);
    assert_eq!(peer.ask(redeem(&ticket, 1)).await, Reply::Done);
    assert_eq!(
        refusal(peer.ask(redeem(&ticket, 2)).await),
        RefusalKind::Used
    );
    assert_eq!(peer.ask(create(&ticket, expires)).await, Reply::Done);
    house.stop().await;
    house.start().await;
    let mut peer = house.peer().await;
    assert_eq!(
        refusal(peer.ask(redeem(&ticket, 2)).await),
        RefusalKind::Used
    );
}

#[tokio::test]
async fn a_ticket_counts_for_one_of_many_that_ask_at_once() {
    let (house, ticket) = (House::open().await, draw(2));
    let mut peer = house.peer().await;
    peer.ask(create(&ticket, in_a_day(&peer))).await;
    let mut asking = Vec::new();
    for nonce in 0..20 {
        let (mut peer, request) = (house.peer().await, redeem(&ticket, nonce));
        asking.push(tokio::spawn(async move { peer.ask(request).await }));
    }
    let mut done = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Reply::Done => done += 1,
            other => assert_eq!(refusal(other), RefusalKind::Used),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn an_expired_ticket_is_refused() {
    let (house, ticket) = (House::open().await, draw(3));
    let mut peer = house.peer().await;
    let past = Timestamp::from_secs(peer.welcome.time.as_secs() - 2 * HOUR);
    assert_eq!(peer.ask(create(&ticket, past)).await, Reply::Done);
    assert_eq!(
        refusal(peer.ask(redeem(&ticket, 1)).await),
        RefusalKind::Expired
    );
    assert_eq!(
        refusal(peer.ask(create(&ticket, in_a_day(&peer))).await),
        RefusalKind::Conflict,
        "its time cannot be moved"
    );
}

#[tokio::test]
async fn a_ticket_lives_for_a_month_at_most() {
    let (house, ticket) = (House::open().await, draw(4));
    let mut peer = house.peer().await;
    let never = Timestamp::from_secs(u64::MAX);
    assert_eq!(peer.ask(create(&ticket, never)).await, Reply::Done);
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let expires: u64 = sql
        .query_row("SELECT expires FROM tickets", [], |row| row.get(0))
        .unwrap();
    let lives = expires - peer.welcome.time.as_secs();
    assert!((31 * 24 * HOUR - HOUR..=31 * 24 * HOUR + HOUR).contains(&lives));
}

#[tokio::test]
async fn there_are_only_so_many_tickets() {
    let house = House::with(|config| config.storage.tickets = 2).await;
    let mut peer = house.peer().await;
    let expires = in_a_day(&peer);
    for seed in [5, 6] {
        assert_eq!(peer.ask(create(&draw(seed), expires)).await, Reply::Done);
    }
    assert_eq!(
        refusal(peer.ask(create(&draw(7), expires)).await),
        RefusalKind::Quota
    );
    assert_eq!(peer.ask(create(&draw(5), expires)).await, Reply::Done);
}
