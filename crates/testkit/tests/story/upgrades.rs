//! Accounts that take the higher suite.

use crate::groups::friends;
use engine::{CommandOutcome, EngineError, Event, Hidden, Input, VerificationMeans};
use keys::Suite;
use keys::account_log::{EntryKind, LogError, Method};
use keys::sheet::SheetSecret;
use letterlock_testkit::World;

fn upgrade(world: &mut World, name: &str, suite: Suite) -> CommandOutcome {
    world.command(name, |command| Input::UpgradeSuite { command, suite })
}

fn upgraded(world: &mut World, name: &str) {
    let outcome = upgrade(world, name, Suite::Cnsa2);
    assert!(matches!(outcome, CommandOutcome::Done), "{outcome:?}");
    // This device has its keys when the command ends.
    let device = world.device(name);
    let log = world.own_log(name);
    assert_eq!(log.device(&device).unwrap().suite(), Suite::Cnsa2);
    assert_eq!(world.stolen_keys(name).suite(), Suite::Cnsa2);
}

/// Everybody asks for the logs that they need, the own one once a minute.
fn a_while(world: &mut World) {
    world.run(90);
    world.settle();
}

fn told(world: &World, who: &str, whose: &str) -> bool {
    let account = world.account(whose);
    world.was_told(who, |event| {
        matches!(event, Event::SuiteUpgraded { account: of, suite: Suite::Cnsa2 } if *of == account)
    })
}

fn compare(world: &mut World, who: &str, with: &str) {
    let contact = world.account(with);
    let means = VerificationMeans::SafetyNumber;
    let verified = world.command(who, |command| Input::MarkVerified {
        command,
        contact,
        means,
    });
    assert!(matches!(verified, CommandOutcome::Done), "{verified:?}");
    world.settle();
}

#[test]
fn all_devices_of_an_account_take_the_higher_suite() {
    let mut world = World::new(2100);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let tablet = world.link("alice", "tablet");
    world.send("alice", "bob", "before");
    world.settle();
    world.set_online("tablet", false);
    upgraded(&mut world, "alice");
    // Until the tablet comes it is a device of the account, with its old keys.
    let log = world.own_log("alice");
    assert_eq!(log.suite(), Suite::Cnsa2);
    assert_eq!(log.device(&tablet).unwrap().suite(), Suite::Hybrid);
    world.set_online("tablet", true);
    a_while(&mut world);
    a_while(&mut world);
    for home in ["alice", "tablet"] {
        let log = world.own_log(home);
        assert_eq!(log.root_key().suite(), Suite::Cnsa2);
        assert!(
            log.devices()
                .iter()
                .all(|device| device.suite() == Suite::Cnsa2)
        );
        assert_eq!(world.stolen_keys(home).suite(), Suite::Cnsa2);
        assert!(told(&world, home, "alice"), "{home}");
    }
    // A device that is linked now has keys of the suite from the beginning.
    let laptop = world.link("alice", "laptop");
    let log = world.own_log("laptop");
    assert_eq!(log.device(&laptop).unwrap().suite(), Suite::Cnsa2);
}

/// The new root key is one, whatever else changed: people compare anew.
#[test]
fn contacts_see_that_an_account_took_the_higher_suite() {
    let mut world = World::new(2101);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "before");
    world.settle();
    upgraded(&mut world, "alice");
    let bob_knows = |world: &World| world.person("bob").contact("alice").unwrap();
    // What bob writes waits for alice's log, and that shows the change.
    world.send("bob", "alice", "are you there?");
    a_while(&mut world);
    assert!(told(&world, "bob", "alice"));
    assert!(bob_knows(&world).changed);
    compare(&mut world, "bob", "alice");
    assert!(!bob_knows(&world).changed);
    a_while(&mut world);
    // No session can carry it any more, and bob is told.
    let failed = |event: &Event| {
        matches!(
            event,
            Event::LetterFailed {
                error: EngineError::NoLettersOfTwo,
                ..
            }
        )
    };
    assert!(world.was_told("bob", failed));
    assert_eq!(world.texts("alice", "bob"), ["before"]);
}

/// What alice says of a letter waits for a device of bob that has no keys at the relay, until bob's account has taken a suite
/// without sessions: it can go no more.
#[test]
fn a_word_that_cannot_be_sealed_is_told_of() {
    let mut world = World::new(2110);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let letter = world.send("alice", "bob", "a typo");
    world.settle();
    world.set_online("alice", false);
    let tablet = world.link("bob", "bob tablet");
    a_while(&mut world);
    world.relay().twist(move |request, reply| match request {
        wire::Request::FetchBundle(asked) if asked.device == tablet => {
            wire::Reply::Refused(wire::Refused {
                kind: wire::RefusalKind::NotFound,
                message: "none".to_owned(),
                retry_after_ms: 0,
                deleted: 0,
            })
        }
        _ => reply,
    });
    world.set_online("alice", true);
    a_while(&mut world);
    world.edit("alice", letter, "no typo");
    world.run(20);
    assert_eq!(world.texts("bob", "alice"), ["no typo"]);
    world.set_online("alice", false);
    upgraded(&mut world, "bob");
    a_while(&mut world);
    a_while(&mut world);
    world.relay().repent();
    world.set_online("alice", true);
    a_while(&mut world);
    let lost = |event: &Event| {
        matches!(
            event,
            Event::WordLost {
                device,
                error: EngineError::NoLettersOfTwo,
                ..
            } if *device == tablet
        )
    };
    compare(&mut world, "alice", "bob");
    a_while(&mut world);
    a_while(&mut world);
    let events = world.person("alice").events.iter();
    assert_eq!(events.filter(|event| lost(event)).count(), 1);
    // Nothing of it is kept, to be tried for ever.
    assert_eq!(world.person("alice").store.count(engine::Table::Letter), 1);
}

#[test]
fn an_account_never_goes_back() {
    let mut world = World::new(2102);
    world.join_in("alice", Suite::Cnsa2);
    world.join("bob");
    for (who, suite, error) in [
        (
            "alice",
            Suite::Hybrid,
            LogError::SuiteWentBack { sequence: 1 },
        ),
        ("alice", Suite::Cnsa2, LogError::SameSuite { sequence: 1 }),
        ("bob", Suite::Hybrid, LogError::SameSuite { sequence: 1 }),
    ] {
        let refused = upgrade(&mut world, who, suite);
        let refuses = |failed: &EngineError| matches!(failed, EngineError::LogRefuses { error: why } if *why == error);
        assert!(
            matches!(&refused, CommandOutcome::Failed(failed) if refuses(failed)),
            "{refused:?}"
        );
    }
    upgraded(&mut world, "bob");
    let refused = upgrade(&mut world, "bob", Suite::Hybrid);
    assert!(matches!(refused, CommandOutcome::Failed(_)), "{refused:?}");
}

/// The sheet of before has the root key for the change, and opens nothing afterwards.
#[test]
fn ways_back_end_with_the_suite() {
    let mut world = World::new(2103);
    world.join("alice");
    let old = world.make_sheet("alice");
    world.run(60);
    world.settle();
    let refused = upgrade(&mut world, "alice", Suite::Cnsa2);
    assert!(
        matches!(refused, CommandOutcome::Failed(EngineError::NoRootKey)),
        "{refused:?}"
    );
    let sheet = Hidden(SheetSecret::from_text(&old).unwrap());
    let unlocked = world.command("alice", |command| Input::UnlockRoot { command, sheet });
    assert!(matches!(unlocked, CommandOutcome::Done), "{unlocked:?}");
    upgraded(&mut world, "alice");
    world.settle();
    assert!(
        Method::ALL
            .iter()
            .all(|method| world.own_log("alice").recovery(*method).is_none())
    );
    let lost = world.restore("found", &old);
    assert!(matches!(lost, CommandOutcome::Failed(_)), "{lost:?}");
    // The new root key is in the backup of the next sheet.
    let new = world.make_sheet("alice");
    world.run(60);
    world.settle();
    world.stop("alice");
    let restored = world.restore("new", &new);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.settle();
    let sheet = Hidden(SheetSecret::from_text(&new).unwrap());
    for input in [
        world.command("new", |command| Input::UnlockRoot { command, sheet }),
        world.command("new", |command| Input::RotateRoot { command }),
    ] {
        assert!(matches!(input, CommandOutcome::Done), "{input:?}");
    }
}

/// What another device wished for waits until that device has its keys, and is signed by them.
#[test]
fn a_change_that_races_with_the_upgrade_is_signed_by_the_new_keys() {
    let mut world = World::new(2104);
    world.join("alice");
    world.link("alice", "tablet");
    world.settle();
    let by_tablet = world.begin("tablet", |command| Input::RotateDevice { command });
    let by_alice = world.begin("alice", |command| Input::UpgradeSuite {
        command,
        suite: Suite::Cnsa2,
    });
    world.settle();
    a_while(&mut world);
    let outcome = world.outcome("alice", by_alice);
    assert!(matches!(outcome, Some(CommandOutcome::Done)), "{outcome:?}");
    // Its keys of the lower suite came too late, or were replaced again.
    assert!(world.outcome("tablet", by_tablet).is_some());
    for home in ["alice", "tablet"] {
        let log = world.own_log(home);
        assert!(
            log.devices()
                .iter()
                .all(|device| device.suite() == Suite::Cnsa2)
        );
        let upgrades = log.entries().iter();
        let upgrades = upgrades.filter(|entry| entry.kind == EntryKind::UpgradeSuite);
        assert_eq!(upgrades.count(), 1);
    }
}

/// Its groups stay what they are: the leaves of its devices get keys that their new ones vouch for.
#[test]
fn groups_of_an_account_go_on_in_their_suite() {
    let mut world = friends(2105, &["alice", "bob", "carol"]);
    world.link("alice", "tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    a_while(&mut world);
    assert_eq!(world.group_devices("bob", group).len(), 4);
    world.write_to_group("alice", group, "before");
    world.settle();
    let epoch = world.group("bob", group).unwrap().epoch;
    upgraded(&mut world, "alice");
    a_while(&mut world);
    a_while(&mut world);
    let after = world.group("bob", group).unwrap();
    assert!(after.epoch >= epoch + 2, "both leaves have other keys");
    assert_eq!(after.suite, Suite::Hybrid);
    for who in ["alice", "tablet", "bob", "carol"] {
        world.write_to_group(who, group, who);
        world.settle();
    }
    for (who, reads) in [
        ("alice", vec!["bob", "carol"]),
        ("tablet", vec!["bob", "carol"]),
        ("bob", vec!["before", "alice", "tablet", "carol"]),
        ("carol", vec!["before", "alice", "tablet", "bob"]),
    ] {
        assert_eq!(world.group_texts(who, group), reads, "{who}");
        assert_eq!(world.group_devices(who, group).len(), 4);
    }
}
