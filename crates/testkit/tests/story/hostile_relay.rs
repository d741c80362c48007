//! A relay that lies: what it changes is detected, and nothing is sealed to the wrong keys.

use crate::from;
use engine::records::Trust;
use engine::{CommandId, CommandOutcome, EngineError, Event, Input, Table};
use keys::Suite;
use letterlock_testkit::World;
use wire::{Bundle, RefusalKind, Reply, Request};

pub(crate) fn three(seed: u64) -> World {
    let mut world = World::new(seed);
    for name in ["alice", "bob", "mallory"] {
        world.join(name);
    }
    world
}

#[test]
fn relay_swaps_log_of_invite() {
    let mut world = three(40);
    let invite = world.invite("bob");
    let mallory = world.account("mallory");
    let swapped = world.relay().store().log(&mallory).unwrap();
    let (bob, log) = (world.account("bob"), swapped.clone());
    world.relay().twist(move |_, reply| match reply {
        Reply::Log(mut shown) => {
            shown.log.clone_from(&log);
            Reply::Log(shown)
        }
        reply => reply,
    });
    let refused = world.add_by_invite("alice", &invite);
    assert_eq!(refused, Err(EngineError::BadKeys { contact: bob }));
    assert!(world.person("alice").contacts().is_empty());
    world.relay().repent();
    assert_eq!(world.add_by_invite("alice", &invite), Ok(bob));
}

/// Lets the relay hand out changed keys for bob and says whether alice sealed anything to them.
fn with_bundle(seed: u64, swap: fn(&mut Bundle, Bundle)) {
    let mut world = three(seed);
    world.befriend("alice", "bob");
    world.befriend("mallory", "bob");
    let mallory = world.account("mallory");
    let device =
        *keys::account_log::UnverifiedLog::decode(&world.relay().store().log(&mallory).unwrap())
            .and_then(|log| log.verify(Some(&mallory), None))
            .unwrap()
            .devices()[0]
            .id();
    let bundle = world
        .relay()
        .store_mut()
        .take_bundle(mallory, device)
        .unwrap();
    world.relay().twist(move |_, reply| match reply {
        Reply::Bundle(mut handed) => {
            swap(&mut handed, bundle.clone());
            Reply::Bundle(handed)
        }
        reply => reply,
    });
    let before = world.relay().heard().len();
    let letter = world.send("alice", "bob", "for bob alone");
    world.settle();
    let bob = world.account("bob");
    let failed = |event: &Event| {
        let bad = EngineError::BadKeys { contact: bob };
        matches!(event, Event::LetterFailed { letter: id, error } if *id == letter && *error == bad)
    };
    assert!(world.person("alice").events.iter().any(failed));
    let sent = |request: &Request| matches!(request, Request::Send(_));
    assert!(!world.relay().heard()[before..].iter().any(sent));
    assert_eq!(world.person("alice").store.count(Table::Evidence), 1);
    world.relay().repent();
    world.send("alice", "bob", "now");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["now"]));
}

#[test]
fn relay_swaps_pre_keys() {
    with_bundle(41, |handed, mallory| {
        *handed = Bundle {
            account: handed.account,
            device: handed.device,
            ..mallory
        };
    });
    with_bundle(42, |handed, mallory| handed.signed_ec = mallory.signed_ec);
    with_bundle(43, |handed, mallory| handed.kem = mallory.kem);
    with_bundle(44, |handed, mallory| handed.identity = mallory.identity);
    with_bundle(45, |handed, _| handed.kem.truncate(100));
    with_bundle(46, |handed, _| {
        if let Some(byte) = handed.signed_ec.last_mut() {
            *byte ^= 1;
        }
    });
}

/// Lets the relay show another account under Bob's name.
pub(crate) fn show_as_bob(world: &mut World, mallory: keys::AccountId) {
    let log = world.relay().store().log(&mallory).unwrap();
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::FetchLog(wire::FetchLog::ByName(name)), Reply::Log(_)) if name == "bob" => {
                Reply::Log(wire::Log {
                    name: name.clone(),
                    account: mallory,
                    log: log.clone(),
                })
            }
            (_, reply) => reply,
        });
}

#[test]
fn changed_identity_stops_sending() {
    let mut world = three(47);
    let bob = world.add_by_name("alice", "bob").unwrap();
    world.send("alice", "bob", "before");
    world.settle();
    let mallory = world.account("mallory");
    show_as_bob(&mut world, mallory);
    let changed = EngineError::IdentityChanged { contact: bob };
    assert_eq!(world.add_by_name("alice", "bob"), Err(changed.clone()));
    let told =
        |event: &Event| matches!(event, Event::IdentityChanged { contact } if *contact == bob);
    assert!(world.person("alice").events.iter().any(told));
    assert_eq!(world.person("alice").store.count(Table::Evidence), 1);
    let before = world.relay().heard().len();
    let draft = engine::Draft {
        text: "after".to_owned(),
        ..engine::Draft::default()
    };
    let refused = world.send_draft("alice", "bob", draft);
    assert_eq!(refused, Err(changed));
    world.settle();
    let sent = |request: &Request| matches!(request, Request::Send(_));
    assert!(!world.relay().heard()[before..].iter().any(sent));
    world.relay().repent();
    let invite = world.invite("bob");
    world.add_by_invite("alice", &invite).unwrap();
    let contact = world.person("alice").contact("bob").unwrap();
    assert!(contact.trust == Trust::ByInvite && !contact.changed);
    world.send("alice", "bob", "a person decided");
    world.settle();
    assert_eq!(
        world.read("bob"),
        from("alice", &["before", "a person decided"])
    );
}

#[test]
fn bodies_repeated_swapped_changed_or_invented_show_nothing_twice_or_false() {
    let mut world = three(48);
    world.befriend("alice", "bob");
    world.befriend("mallory", "bob");
    let mut kept: Vec<wire::Deliver> = Vec::new();
    world.relay().distort(move |deliver| {
        let mut out = vec![deliver.clone(), deliver.clone()];
        if let Some(old) = kept.last() {
            // Another body under this number, and this body in another queue.
            let mut swapped = deliver.clone();
            swapped.body = old.body.clone();
            let mut moved = deliver.clone();
            moved.queue_id = old.queue_id;
            out.extend([swapped, moved]);
        }
        let mut flipped = deliver.body.to_vec();
        flipped[40] ^= 1;
        let mut changed = deliver.clone();
        changed.body = wire::Body::new(flipped).unwrap();
        out.insert(0, changed);
        kept.push(deliver);
        out
    });
    for number in 0..3 {
        world.send("alice", "bob", &format!("a{number}"));
        world.send("mallory", "bob", &format!("m{number}"));
        world.settle();
    }
    world.run(120);
    let shown = world.read("bob");
    let of = |who: &str| -> Vec<_> {
        let mine = shown.iter().filter(|(from, _)| from == who);
        mine.cloned().collect()
    };
    assert_eq!(of("alice"), from("alice", &["a0", "a1", "a2"]));
    assert_eq!(of("mallory"), from("mallory", &["m0", "m1", "m2"]));
    assert_eq!(shown.len(), 6);
}

#[test]
fn a_stop_holds_what_is_sealed() {
    let mut world = three(61);
    let invite = world.invite("bob");
    let bob = world.add_by_invite("alice", &invite).unwrap();
    world.send("alice", "bob", "before");
    world.settle();
    world.read("bob");
    world.send("bob", "alice", "hello");
    world.settle();
    let mallory = world.account("mallory");
    let log = world.relay().store().log(&mallory).unwrap();
    world.set_online("alice", false);
    world.send("alice", "bob", "sealed before the stop");
    world.settle();
    // The relay adds an entry to bob's log that none of bob's keys signed.
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::CheckLog(check), reply) if check.account == bob => {
                let raw = wire::RawLog::parse(&log).unwrap();
                let entries = raw.part(0).unwrap().entries.to_vec();
                drop(reply);
                Reply::Entries(wire::Entries {
                    name: "bob".to_owned(),
                    account: bob,
                    first: 1,
                    entries,
                    more: false,
                })
            }
            (_, reply) => reply,
        });
    let before = world.relay().heard().len();
    world.set_online("alice", true);
    world.settle();
    assert!(world.person("alice").contact("bob").unwrap().changed);
    let sent = |request: &Request| matches!(request, Request::Send(_));
    assert!(!world.relay().heard()[before..].iter().any(sent));
    assert!(world.person("alice").store.count(Table::Evidence) > 0);
    world.relay().repent();
    let means = engine::VerificationMeans::SafetyNumber;
    world.command("alice", |command| engine::Input::MarkVerified {
        command,
        contact: bob,
        means,
    });
    world.run(70);
    world.settle();
    assert_eq!(
        world.read("bob"),
        from("alice", &["sealed before the stop"])
    );
}

/// Keys that are in the log are on the device, whatever the relay says of the entry that brought them.
#[test]
fn a_relay_that_denies_what_it_took_takes_no_key_away() {
    type Change = fn(CommandId) -> Input;
    let changes: [Change; 3] = [
        |command| Input::RotateDevice { command },
        |command| Input::RotateRoot { command },
        |command| Input::UpgradeSuite {
            command,
            suite: Suite::Cnsa2,
        },
    ];
    for (seed, change) in (450..).zip(changes) {
        let mut world = World::new(seed);
        world.join("alice");
        let mut denied = false;
        world.relay().twist(move |request, reply| {
            let appends = matches!(request, Request::AppendEntries(_));
            if appends && reply == Reply::Done && !denied {
                denied = true;
                return Reply::Refused(wire::Refused {
                    kind: RefusalKind::Conflict,
                    message: String::new(),
                    retry_after_ms: 0,
                    deleted: 0,
                });
            }
            reply
        });
        let changed = world.command("alice", change);
        assert!(matches!(changed, CommandOutcome::Done), "{changed:?}");
        world.relay().repent();
        world.settle();
        for again in [changes[0], changes[1]] {
            let changed = world.command("alice", again);
            assert!(matches!(changed, CommandOutcome::Done), "{changed:?}");
        }
    }
}

#[test]
fn a_relay_that_denies_key_packages_gets_no_end_of_them() {
    let mut world = World::new(1190);
    world.relay().twist(|_, reply| match reply {
        Reply::KeyPackageCounts(mut counts) => {
            counts.packages = 0;
            Reply::KeyPackageCounts(counts)
        }
        reply => reply,
    });
    world.join("alice");
    world.run(60);
    let kept = world.person("alice").store.count(Table::KeyPackage);
    assert!((256..300).contains(&kept), "{kept}");
}
