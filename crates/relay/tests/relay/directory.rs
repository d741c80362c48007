//! Names and account logs.

use crate::support::{Account, House, refusal, rng};
use letterlock_relay::{Registration, make_registration_code};
use wire::{AppendLog, FetchLog, Log, RefusalKind, Reply, Request};

fn by_name(name: &str) -> Request {
    Request::FetchLog(FetchLog::ByName(name.to_owned()))
}

#[tokio::test]
async fn a_name_leads_to_the_log_that_was_handed_in() {
    let (house, account) = (House::open().await, Account::draw(&mut rng(1)));
    let (mut peer, mut stranger) = (house.peer().await, house.peer().await);
    assert_eq!(
        refusal(stranger.ask(by_name("alice")).await),
        RefusalKind::NotFound
    );
    assert_eq!(peer.ask(account.registration("alice")).await, Reply::Done);
    let log = Reply::Log(Log {
        name: "alice".to_owned(),
        account: account.id,
        log: account.log.clone(),
    });
    assert_eq!(stranger.ask(by_name("alice")).await, log);
    let by_account = Request::FetchLog(FetchLog::ByAccount(account.id));
    assert_eq!(stranger.ask(by_account).await, log);
    assert_eq!(
        refusal(stranger.ask(by_name("alic")).await),
        RefusalKind::NotFound
    );
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let (house, mut rng) = (House::open().await, rng(2));
    let (first, second) = (Account::draw(&mut rng), Account::draw(&mut rng));
    let mut peer = house.peer().await;
    assert_eq!(peer.ask(first.registration("alice")).await, Reply::Done);
    assert_eq!(
        peer.ask(first.registration("alice")).await,
        Reply::Done,
        "repeated after a lost reply"
    );
    let taken = peer.ask(second.registration("alice")).await;
    assert_eq!(refusal(taken), RefusalKind::NameTaken);
    let two_names = peer.ask(first.registration("alicia")).await;
    assert_eq!(refusal(two_names), RefusalKind::Conflict);
    assert_eq!(peer.ask(second.registration("bob")).await, Reply::Done);
}

#[tokio::test]
async fn a_name_is_taken_once_also_by_many_at_the_same_time() {
    let (house, mut rng) = (House::open().await, rng(3));
    let mut asking = Vec::new();
    for _ in 0..8 {
        let (mut peer, account) = (house.peer().await, Account::draw(&mut rng));
        asking.push(tokio::spawn(async move {
            peer.ask(account.registration("alice")).await
        }));
    }
    let mut done = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Reply::Done => done += 1,
            other => assert_eq!(refusal(other), RefusalKind::NameTaken),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn a_log_that_does_not_hold_is_refused() {
    let (house, account) = (House::open().await, Account::draw(&mut rng(4)));
    let mut peer = house.peer().await;
    for at in [0, 5, 100, account.log.len() / 2, account.log.len() - 1] {
        let Request::Register(mut request) = account.registration("alice") else {
            unreachable!()
        };
        request.log[at] ^= 1;
        let reply = peer.ask(Request::Register(request)).await;
        assert_eq!(refusal(reply), RefusalKind::BadLog, "bit at {at}");
    }
    assert_eq!(
        refusal(peer.ask(by_name("alice")).await),
        RefusalKind::NotFound
    );
}

#[tokio::test]
async fn a_log_is_never_replaced_by_another_history() {
    let (house, mut rng) = (House::open().await, rng(5));
    let (account, other) = (Account::draw(&mut rng), Account::draw(&mut rng));
    let mut peer = house.peer().await;
    peer.ask(account.registration("alice")).await;
    let append = |log: Vec<u8>| {
        Request::AppendLog(AppendLog {
            account: account.id,
            log,
        })
    };
    assert_eq!(peer.ask(append(account.log.clone())).await, Reply::Done);
    // Another genesis; and a history in which the genesis is followed by what no reader accepts.
    let doubled = {
        let mut log = account.log.clone();
        log[4] = 2;
        log.extend_from_slice(&account.log[5..]);
        log
    };
    for log in [other.log.clone(), doubled, vec![1, 0, 0, 0, 0]] {
        assert_eq!(refusal(peer.ask(append(log)).await), RefusalKind::BadLog);
    }
    let Reply::Log(log) = peer.ask(by_name("alice")).await else {
        panic!("no log")
    };
    assert_eq!(log.log, account.log);
    let unknown = Request::AppendLog(AppendLog {
        account: other.id,
        log: other.log.clone(),
    });
    assert_eq!(refusal(peer.ask(unknown).await), RefusalKind::NotFound);
}

#[tokio::test]
async fn a_registration_code_counts_once() {
    let house = House::with(|config| config.registration = Registration::Code).await;
    let mut rng = rng(6);
    let (first, second) = (Account::draw(&mut rng), Account::draw(&mut rng));
    let mut peer = house.peer().await;
    assert_eq!(peer.welcome.registration, wire::RegistrationPolicy::Code);
    let code = make_registration_code(house.data(), 3600).unwrap();
    let expired = make_registration_code(house.data(), 0).unwrap();
    let without = peer.ask(first.registration("alice")).await;
    assert_eq!(refusal(without), RefusalKind::CodeNeeded);
    let guessed = peer
        .ask(first.registration_with("alice", Some("abc")))
        .await;
    assert_eq!(refusal(guessed), RefusalKind::CodeUnknown);
    set_back_code(&house);
    let late = peer
        .ask(first.registration_with("alice", Some(&expired)))
        .await;
    assert_eq!(refusal(late), RefusalKind::Expired);
    let registration = first.registration_with("alice", Some(&code));
    assert_eq!(peer.ask(registration.clone()).await, Reply::Done);
    assert_eq!(peer.ask(registration).await, Reply::Done);
    let again = peer.ask(second.registration_with("bob", Some(&code))).await;
    assert_eq!(refusal(again), RefusalKind::Used);
}

/// Puts the expiry of the code that lives shortest an hour back.
fn set_back_code(house: &House) {
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let change = "UPDATE codes SET expires = expires - 3600
                  WHERE expires = (SELECT min(expires) FROM codes)";
    assert_eq!(sql.execute(change, []).unwrap(), 1);
}

#[tokio::test]
async fn closed_registration_lets_nobody_in() {
    let house = House::with(|config| config.registration = Registration::Closed).await;
    let account = Account::draw(&mut rng(7));
    let mut peer = house.peer().await;
    let reply = peer
        .ask(account.registration_with("alice", Some("code")))
        .await;
    assert_eq!(refusal(reply), RefusalKind::Closed);
}
