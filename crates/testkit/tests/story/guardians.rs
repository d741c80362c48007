//! All devices are lost, and friends are left.

use crate::from;
use engine::{CommandOutcome, EngineError, Event};
use keys::Suite;
use letterlock_testkit::{DELAY_SECONDS, World};

const FRIENDS: [&str; 5] = ["bob", "carol", "dave", "erin", "frank"];
pub(crate) const HOUR: u64 = 3600;

/// Alice, her friends, a letter to and from bob, and guardians: any three of the five.
fn five(seed: u64) -> World {
    five_of(seed, Suite::Hybrid)
}

fn five_of(seed: u64, suite: Suite) -> World {
    let mut world = friends_of(seed, suite, &FRIENDS);
    world.send("alice", "bob", "before");
    world.run(30);
    world.set_guardians("alice", 3, &FRIENDS).unwrap();
    world.run(30);
    world
}

/// Alice and two guardians, both needed.
pub(crate) fn two(seed: u64) -> World {
    let mut world = friends(seed, &["bob", "carol"]);
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    world.settle();
    world
}

pub(crate) fn friends(seed: u64, names: &[&str]) -> World {
    friends_of(seed, Suite::Hybrid, names)
}

fn friends_of(seed: u64, suite: Suite, names: &[&str]) -> World {
    let mut world = World::new(seed);
    world.join_in("alice", suite);
    for name in names {
        world.join_in(name, suite);
        world.befriend("alice", name);
    }
    world
}

fn texts(world: &World, who: &str, with: &str) -> Vec<String> {
    let letters = world.person(who).letters(with);
    letters.into_iter().map(|letter| letter.text).collect()
}

/// Time passes in which everybody sleeps; then they wake for some minutes.
pub(crate) fn pass(world: &mut World, seconds: u64) {
    world.sleep(seconds);
    world.run(180);
    world.settle();
}

pub(crate) fn told(world: &World, who: &str, what: impl Fn(&Event) -> bool) -> bool {
    world.person(who).events.iter().any(what)
}

pub(crate) fn is_back(world: &World, home: &str) -> bool {
    world.person(home).account().is_some()
}

#[test]
fn three_of_five_friends_bring_everything_back() {
    bring_everything_back(five(501));
}

#[test]
fn three_of_five_friends_bring_an_account_of_cnsa2_back() {
    bring_everything_back(five_of(502, Suite::Cnsa2));
}

fn bring_everything_back(mut world: World) {
    let state = world.guardians("alice").unwrap();
    assert!(state.in_force && state.root_key);
    assert!(state.guardians.iter().all(|guardian| guardian.has_share));
    for friend in FRIENDS {
        let shares = world.shares(friend);
        assert_eq!(shares.len(), 1);
        assert_eq!((shares[0].need, shares[0].count), (3, 5));
    }
    world.send("bob", "alice", "after");
    world.settle();
    world.run(20);
    world.stop("alice");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    for friend in ["carol", "erin"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    world.settle();
    pass(&mut world, DELAY_SECONDS + 2 * HOUR);
    let request = world.recovery("new").unwrap();
    assert_eq!((request.got, request.need), (2, 3));
    assert!(!is_back(&world, "new"), "two are too few");
    let waits = world.await_recovery("new");
    world.approve("bob", "alice", &code).unwrap();
    world.settle();
    let outcome = world.outcome("new", waits);
    assert!(
        matches!(outcome, Some(CommandOutcome::Linked(_))),
        "{outcome:?}"
    );
    assert_eq!(world.account("new"), world.account("alice"));
    assert_eq!(texts(&world, "new", "bob"), ["before", "after"]);
    assert!(world.recovery("new").is_none());
    // It is the same person to its contacts, and no alarm.
    world.read("bob");
    world.send("new", "bob", "I am back");
    world.run(60);
    assert_eq!(world.read("bob"), from("alice", &["I am back"]));
    let alarm = |event: &Event| {
        matches!(
            event,
            Event::BackupRolledBack { .. } | Event::HistoryMissing | Event::IdentityChanged { .. }
        )
    };
    assert!(!told(&world, "new", alarm) && !told(&world, "bob", alarm));
    // The relay's key is out: the lock is closed, and whoever came back sets guardians anew.
    pass(&mut world, 2 * HOUR);
    assert!(
        world
            .relay()
            .store()
            .locks()
            .all(|(_, opens)| opens.is_none())
    );
    world.set_guardians("new", 2, &["dave", "erin"]).unwrap();
    world.settle();
    assert!(
        world.guardians("new").unwrap().root_key,
        "the root key goes over to them"
    );
    assert!(world.shares("frank").is_empty());
    assert_eq!(world.shares("dave")[0].need, 2);
}

#[test]
fn nobody_comes_back_before_the_delay_is_over() {
    let mut world = two(502);
    world.stop("alice");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    world.settle();
    let opens = |event: &Event| matches!(event, Event::RecoveryOpens { .. });
    assert!(told(&world, "new", opens));
    pass(&mut world, DELAY_SECONDS - HOUR);
    assert!(!is_back(&world, "new"));
    // The new home was closed meanwhile, and goes on where it was.
    world.stop("new");
    pass(&mut world, HOUR);
    world.start("new");
    pass(&mut world, HOUR);
    assert_eq!(world.account("new"), world.account("alice"));
}

#[test]
fn a_device_that_is_left_cancels() {
    let mut world = two(503);
    world.link("alice", "tablet");
    world.settle();
    world.stop("alice");
    world.new_home("thief");
    let code = world.request_recovery("thief", "alice").unwrap();
    let waits = world.await_recovery("thief");
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    pass(&mut world, 2 * HOUR);
    let asked = |event: &Event| matches!(event, Event::RecoveryRequested { .. });
    assert!(told(&world, "tablet", asked));
    assert!(world.guardians("tablet").unwrap().request.is_some());
    assert!(
        world
            .relay()
            .store()
            .locks()
            .all(|(_, opens)| opens.is_some())
    );
    world.cancel_recovery("tablet").unwrap();
    world.settle();
    assert!(world.guardians("tablet").unwrap().request.is_none());
    assert!(
        world
            .relay()
            .store()
            .locks()
            .all(|(_, opens)| opens.is_none())
    );
    pass(&mut world, DELAY_SECONDS + 2 * HOUR);
    let outcome = world.outcome("thief", waits);
    let cancelled = CommandOutcome::Failed(EngineError::RecoveryCancelled);
    assert_eq!(format!("{outcome:?}"), format!("{:?}", Some(cancelled)));
    assert!(!is_back(&world, "thief") && world.recovery("thief").is_none());
    // Nobody gives a share to a request that was cancelled.
    let refused = world.approve("bob", "alice", &code);
    assert_eq!(refused, Err(EngineError::NoRecoveryRequest));
}

#[test]
fn a_code_of_another_request_moves_no_share() {
    let mut world = two(504);
    world.stop("alice");
    world.new_home("thief");
    let stolen = world.request_recovery("thief", "alice").unwrap();
    // A day after its time the relay lets a newer one take its place.
    pass(&mut world, DELAY_SECONDS + 25 * HOUR);
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    let refused = world.approve("bob", "alice", &stolen);
    assert_eq!(refused, Err(EngineError::RequestCodeDiffers));
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    pass(&mut world, DELAY_SECONDS + HOUR);
    assert!(is_back(&world, "new") && !is_back(&world, "thief"));
    let ended = |event: &Event| {
        let error = EngineError::RecoveryCancelled;
        matches!(event, Event::RecoveryEnded { error: told } if *told == error)
    };
    assert!(told(&world, "thief", ended));
}

#[test]
fn a_request_waits_for_the_one_that_stands() {
    let mut world = two(511);
    world.stop("alice");
    world.new_home("thief");
    world.request_recovery("thief", "alice").unwrap();
    world.new_home("new");
    let relay = world.relay_url().to_owned();
    let asks = world.begin("new", |command| engine::Input::RequestRecovery {
        command,
        lost: engine::records::Lost::Name("alice".to_owned()),
        relay,
        name: "new".to_owned(),
    });
    pass(&mut world, DELAY_SECONDS);
    assert!(world.outcome("new", asks).is_none());
    // What was signed two days ago is signed again.
    pass(&mut world, 25 * HOUR);
    let outcome = world.outcome("new", asks);
    assert!(
        matches!(outcome, Some(CommandOutcome::RecoveryRequested)),
        "{outcome:?}"
    );
    let code = world.recovery("new").and_then(|state| state.code).unwrap();
    for friend in ["bob", "carol"] {
        world.approve(friend, "alice", &code).unwrap();
    }
    pass(&mut world, DELAY_SECONDS - HOUR);
    assert!(!is_back(&world, "new"), "its delay began when it was taken");
    pass(&mut world, 3 * HOUR);
    assert!(is_back(&world, "new"));
}

#[test]
fn who_keeps_no_share_cannot_approve_and_who_has_no_guardians_cannot_ask() {
    let mut world = two(505);
    world.join("dave");
    world.befriend("alice", "dave");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    let refused = world.approve("dave", "alice", &code);
    assert_eq!(refused, Err(EngineError::NoShare));
    world.new_home("other");
    let refused = world.request_recovery("other", "dave");
    assert!(
        matches!(refused, Err(EngineError::LogRefuses { .. })),
        "{refused:?}"
    );
    let refused = world.request_recovery("other", "nobody");
    assert_eq!(refused, Err(EngineError::UnknownName));
    assert!(world.recovery("other").is_none());
}

#[test]
fn guardians_that_cannot_be_are_refused() {
    let mut world = friends(506, &["bob", "carol"]);
    for (need, names) in [
        (1, vec!["bob", "carol"]),
        (3, vec!["bob", "carol"]),
        (2, vec!["bob", "bob"]),
    ] {
        let refused = world.set_guardians("alice", need, &names);
        assert_eq!(
            refused,
            Err(EngineError::InvalidGuardians),
            "{need} of {names:?}"
        );
    }
    assert!(world.guardians("alice").is_none());
    assert_eq!(world.relay().store().locks().count(), 0);
}

#[test]
fn a_guardian_who_was_away_has_its_share_later_and_says_yes_later() {
    let mut world = friends(507, &["bob", "carol"]);
    world.set_online("carol", false);
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    world.settle();
    let has = |world: &World| -> Vec<bool> {
        let state = world.guardians("alice").unwrap();
        state
            .guardians
            .iter()
            .map(|guardian| guardian.has_share)
            .collect()
    };
    assert_eq!(has(&world), [true, false]);
    world.set_online("carol", true);
    world.settle();
    assert_eq!(has(&world), [true, true]);
    world.stop("alice");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    world.set_online("carol", false);
    let later = world.begin_approval("carol", "alice", &code);
    world.approve("bob", "alice", &code).unwrap();
    pass(&mut world, DELAY_SECONDS + HOUR);
    assert!(!is_back(&world, "new"));
    world.set_online("carol", true);
    world.settle();
    assert!(matches!(
        world.outcome("carol", later),
        Some(CommandOutcome::Done)
    ));
    pass(&mut world, HOUR);
    assert!(is_back(&world, "new"));
}

#[test]
fn any_device_of_a_guardian_can_say_yes() {
    let mut world = friends(508, &["bob", "carol"]);
    world.link("bob", "phone");
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    world.settle();
    assert_eq!(world.shares("phone").len(), 1);
    // A device that comes later has it from the archive.
    world.link("carol", "laptop");
    assert_eq!(world.shares("laptop").len(), 1);
    for lost in ["alice", "bob", "carol"] {
        world.stop(lost);
    }
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    for device in ["phone", "laptop"] {
        world.approve(device, "alice", &code).unwrap();
    }
    pass(&mut world, DELAY_SECONDS + HOUR);
    assert!(is_back(&world, "new"));
}

#[test]
fn entries_that_come_twice_are_no_other_identity() {
    let mut world = two(510);
    world.stop("alice");
    world.new_home("new");
    let code = world.request_recovery("new", "alice").unwrap();
    // Both ask for what is behind the same entry.
    world.begin_approval("bob", "alice", &code);
    world.approve("bob", "alice", &code).unwrap();
    world.settle();
    let changed = |event: &Event| matches!(event, Event::IdentityChanged { .. });
    assert!(!told(&world, "bob", changed));
    assert!(!world.person("bob").contact("alice").unwrap().changed);
}

#[test]
fn replaced_and_cleared_guardians_keep_nothing() {
    let mut world = friends(509, &["bob", "carol", "dave"]);
    world.set_guardians("alice", 2, &["bob", "carol"]).unwrap();
    world.settle();
    let heads = |world: &mut World| world.relay().store().heads();
    assert_eq!(heads(&mut world), 1);
    world.set_guardians("alice", 2, &["carol", "dave"]).unwrap();
    world.settle();
    let kept: Vec<usize> = ["bob", "carol", "dave"]
        .map(|name| world.shares(name).len())
        .into();
    assert_eq!(kept, [0, 1, 1]);
    let state = world.guardians("alice").unwrap();
    assert!(
        state.root_key,
        "no bundle but the last one has the root key"
    );
    assert_eq!(world.relay().store().locks().count(), 1);
    assert_eq!(heads(&mut world), 1, "the old head opens nothing any more");
    let cleared = world.command("alice", |command| engine::Input::ClearRecovery {
        command,
        method: keys::account_log::Method::Guardians,
    });
    assert!(matches!(cleared, CommandOutcome::Done), "{cleared:?}");
    world.settle();
    assert!(world.guardians("alice").is_none());
    assert!(world.shares("carol").is_empty() && world.shares("dave").is_empty());
    assert_eq!(world.relay().store().locks().count(), 0);
    assert_eq!(heads(&mut world), 0);
}
