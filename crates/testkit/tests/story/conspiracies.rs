//! A relay and guardians that want the account for themselves.

use crate::guardians::{HOUR, friends, is_back, pass, told, two};
use engine::records::LetterState;
use engine::{EngineError, Event, Table};
use keys::account_log::{
    Authority, DeviceSecrets, LogError, Method, RecoverySecrets, UnverifiedLog, VerifiedLog,
};
use keys::codec::Reader;
use keys::shamir::{self, Share, ShareError, ShareSet};
use keys::{AccountId, Secret};
use letterlock_testkit::{DELAY_SECONDS, World};
use wire::{LockState, Reply, Request};

/// A share as it lies in a guardian's profile: set, index, wrapped.
fn kept(world: &World, guardian: &str) -> ([u8; 16], u8, Vec<u8>) {
    let store = &world.person(guardian).store;
    let row = store.values(Table::Share).next().unwrap();
    let mut input = Reader::new(row);
    input.take(1 + 32).unwrap();
    let set = input.array().unwrap();
    input.take(8).unwrap();
    let index = input.u8().unwrap();
    input.take(2 + 32 + 32).unwrap();
    input.bytes(256).unwrap();
    (set, index, input.bytes(64).unwrap().to_vec())
}

/// The relay's key.
fn lock_key(world: &mut World) -> Secret<32> {
    let (key, _) = world.relay().store().locks().next().unwrap();
    Secret::from_fn(|out| *out = *key.as_bytes())
}

/// What guardians and relay can open together.
fn open(world: &mut World, guardian: &str) -> Share {
    let key = lock_key(world);
    let (set, index, wrapped) = kept(world, guardian);
    Share::unwrap(&key, &set, index, &wrapped).unwrap()
}

fn log_of(world: &mut World, account: &AccountId) -> VerifiedLog {
    let bytes = world.relay().store().log(account).unwrap();
    let log = UnverifiedLog::decode(&bytes).unwrap();
    log.verify(Some(account), None).unwrap()
}

/// The secret, as guardians and relay together have it.
fn conspire(world: &mut World, guardians: &[&str]) -> Result<Secret<32>, ShareError> {
    let alice = world.account("alice");
    let log = log_of(world, &alice);
    let record = log.recovery(Method::Guardians).unwrap();
    let (id, ..) = kept(world, guardians[0]);
    let shares: Vec<Share> = guardians.iter().map(|name| open(world, name)).collect();
    let set = ShareSet {
        id: &id,
        need: record.terms().need,
        commitments: &record.terms().commitments,
    };
    shamir::combine(&set, &shares)
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn neither_the_relay_nor_the_guardians_alone_have_anything() {
    let mut world = two(521);
    let secret = conspire(&mut world, &["bob", "carol"]).unwrap();
    let few = conspire(&mut world, &["bob"]).err();
    assert_eq!(few, Some(ShareError::TooFew { got: 1, need: 2 }));
    for guardian in ["bob", "carol"] {
        let (set, index, wrapped) = kept(&world, guardian);
        let share = open(&mut world, guardian).encode();
        // The relay never saw what it could open.
        assert!(!holds(world.tapped(), &wrapped));
        assert!(!holds(&world.relay().store().bytes(), &wrapped));
        // The guardians have nothing that opens their shares, and no device has a share that is open.
        for name in ["alice", "bob", "carol"] {
            for (_, row) in world.person(name).store.rows() {
                assert!(!holds(row, share.expose_secret()) && !holds(row, secret.expose_secret()));
                if name == "alice" {
                    assert!(!holds(row, &wrapped), "the share is with its guardian");
                    continue;
                }
                for window in row.windows(32) {
                    let key = Secret::from_slice(window).unwrap();
                    assert!(Share::unwrap(&key, &set, index, &wrapped).is_err());
                }
            }
        }
    }
    assert!(!holds(world.tapped(), secret.expose_secret()));
}

#[test]
fn a_relay_that_opens_early_changes_nothing() {
    let mut world = two(522);
    world.stop("alice");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    let (key, _) = world.relay().store().locks().next().unwrap();
    world.relay().twist(move |_, reply| match reply {
        Reply::LockState(LockState { opens_at: Some(_) }) => Reply::LockKey(key),
        reply => reply,
    });
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    pass(&mut world, DELAY_SECONDS - HOUR);
    assert!(!is_back(&world, "new"), "the log decides, not the relay");
    pass(&mut world, 2 * HOUR);
    assert!(is_back(&world, "new"));
}

#[test]
fn no_contact_believes_a_return_before_the_delay() {
    let mut world = two(523);
    world.stop("alice");
    let alice = world.account("alice");
    let seed = conspire(&mut world, &["bob", "carol"]).unwrap();
    let secrets = RecoverySecrets::derive(keys::Suite::Hybrid, Method::Guardians, &seed).unwrap();
    let thief = DeviceSecrets::generate(keys::Suite::Hybrid, world.chance().rng()).unwrap();
    let now = world.now();
    let asked = log_of(&mut world, &alice)
        .request_recovery(&thief, now)
        .unwrap();
    let early = asked.add_device(Authority::Recovery(&secrets), &thief, true, now);
    assert!(matches!(early, Err(LogError::TooEarly { .. })));
    // So the thief dates the entry ahead; the relay shows it to bob.
    let ahead = now.saturating_add(DELAY_SECONDS + HOUR);
    let forged = asked.add_device(Authority::Recovery(&secrets), &thief, true, ahead);
    let forged = forged.unwrap().bytes().to_vec();
    let shown = forged.clone();
    world.relay().twist(move |request, reply| match request {
        Request::CheckLog(check) if check.account == alice => {
            let log = wire::RawLog::parse(&shown).unwrap();
            match log.part(check.sequence + 1) {
                Some(part) => Reply::Entries(wire::Entries {
                    name: "alice".to_owned(),
                    account: alice,
                    first: check.sequence + 1,
                    entries: part.entries.to_vec(),
                    more: part.more,
                }),
                None => Reply::Done,
            }
        }
        _ => reply,
    });
    world.sleep(engine::limits::LOG_CHECKED_SECONDS);
    world.send("bob", "alice", "for alice alone");
    world.settle();
    let contact = world.person("bob").contact("alice").unwrap();
    assert_ne!(contact.log, forged);
    assert!(contact.changed);
    // Only the log that bob knows may leave now; the letter waits for a person.
    let letters = world.person("bob").letters("alice");
    let state = letters.last().map(|letter| letter.state);
    assert_eq!(state, Some(LetterState::Queued));
}

#[test]
fn a_lock_that_opens_without_a_request_is_closed() {
    let mut world = two(524);
    let now = world.now();
    world.relay().store_mut().begin_to_open_locks(now);
    pass(&mut world, 2 * HOUR);
    assert!(
        world
            .relay()
            .store()
            .locks()
            .all(|(_, opens)| opens.is_none())
    );
    let closed = |event: &Event| matches!(event, Event::LockClosed { key_is_out: false });
    assert!(told(&world, "alice", closed));
    // Nobody looked for three days: then it is too late, and that is told.
    let now = world.now();
    world.relay().store_mut().begin_to_open_locks(now);
    pass(&mut world, DELAY_SECONDS + HOUR);
    let late = |event: &Event| matches!(event, Event::LockClosed { key_is_out: true });
    assert!(told(&world, "alice", late));
}

#[test]
fn a_false_share_is_named() {
    let mut world = friends(525, &["bob", "carol", "dave"]);
    let guardians = ["bob", "carol", "dave"];
    world.set_guardians("alice", 2, &guardians).unwrap();
    world.settle();
    world.stop("alice");
    world.spoil_share("carol");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    pass(&mut world, DELAY_SECONDS + HOUR);
    let named = |event: &Event| matches!(event, Event::ShareUnusable { index: 2 });
    let others = |event: &Event| matches!(event, Event::ShareUnusable { index: 1 | 3 });
    assert!(told(&world, "new", named) && !told(&world, "new", others));
    assert!(!is_back(&world, "new"));
    assert_eq!(world.recovery("new").map(|request| request.got), Some(1));
    world.approve("dave", "alice", &code).unwrap();
    world.settle();
    assert!(is_back(&world, "new"));
}

#[test]
fn a_hidden_request_shows_with_the_next_letter() {
    let mut world = two(526);
    world.link("alice", "tablet");
    world.settle();
    world.stop("alice");
    let alice = world.account("alice");
    world.new_home("thief");
    let code = world.request_recovery("thief", "alice").unwrap();
    world.approve("bob", "alice", &code).unwrap();
    world.relay().twist(move |request, reply| match request {
        Request::CheckLog(check) if check.account == alice => Reply::Done,
        _ => reply,
    });
    pass(&mut world, 2 * HOUR);
    let asked = |event: &Event| matches!(event, Event::RecoveryRequested { .. });
    assert!(!told(&world, "tablet", asked));
    world.send("bob", "alice", "who asks there?");
    world.settle();
    let withheld =
        |event: &Event| matches!(event, Event::LogWithheld { account } if *account == alice);
    assert!(told(&world, "tablet", withheld));
    world.relay().repent();
    pass(&mut world, HOUR);
    assert!(told(&world, "tablet", asked));
    world.cancel_recovery("tablet").unwrap();
    assert_eq!(
        world.approve("carol", "alice", &code),
        Err(EngineError::NoRecoveryRequest)
    );
}
