//! Devices that are out of force for a while.

use crate::device_lists::withhold;
use crate::from;
use crate::linking::letters_flow;
use engine::{CommandOutcome, Engine, EngineError, Event, Finding, Input, Snapshot as _, Table};
use keys::account_log::Reason;
use letterlock_testkit::World;

const BOTH: [&str; 2] = ["alice", "tablet"];

/// Alice has two devices, and wrote with bob on both.
fn couple(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.link("alice", "tablet");
    letters_flow(&mut world, &BOTH, "before");
    world.read("bob");
    world.read("alice");
    world.settle();
    world
}

fn done(outcome: CommandOutcome) {
    assert!(matches!(outcome, CommandOutcome::Done), "{outcome:?}");
}

fn told(world: &World, name: &str, event: fn(&Event) -> bool) -> bool {
    world.person(name).events.iter().any(event)
}

fn texts_of(world: &World, name: &str, mark: &str) -> Vec<String> {
    let petname = if name == "bob" { "alice" } else { "bob" };
    let texts = world.texts(name, petname).into_iter();
    texts.filter(|text| text.ends_with(mark)).collect()
}

#[test]
fn a_suspended_device_hears_nothing_until_it_is_resumed() {
    for online in [true, false] {
        let mut world = couple(1000);
        let tablet = world.device("tablet");
        let queues = world.queues("tablet");
        world.set_online("tablet", online);
        done(world.suspend("alice", tablet));
        world.run(10);
        world.settle();
        let from_here = world.relay().heard().len();
        world.send("bob", "alice", "written meanwhile");
        world.settle();
        world.send("alice", "bob", "answered meanwhile");
        world.settle();
        assert!(!world.sent_to(&queues, from_here), "nobody writes to it");
        world.set_online("tablet", true);
        world.run(90);
        world.settle();
        assert!(told(&world, "tablet", |event| matches!(
            event,
            Event::DeviceSuspended
        )));
        assert_eq!(texts_of(&world, "tablet", "meanwhile"), [""; 0]);
        assert_eq!(texts_of(&world, "alice", "meanwhile").len(), 2);
        assert_eq!(world.own_log("alice").suspended().len(), 1);

        done(world.resume("alice", tablet));
        world.run(90);
        world.settle();
        assert!(told(&world, "tablet", |event| matches!(
            event,
            Event::DeviceResumed
        )));
        letters_flow(&mut world, &BOTH, "afterwards");
        assert_eq!(texts_of(&world, "tablet", "meanwhile"), [""; 0]);
    }
}

#[test]
fn a_suspended_device_does_nothing_and_is_not_heard() {
    let mut world = couple(1001);
    let (alice, tablet) = (world.device("alice"), world.device("tablet"));
    // It does not know yet, and writes while it is cut off.
    world.set_online("tablet", false);
    world.send("tablet", "bob", "written in the dark");
    done(world.suspend("alice", tablet));
    world.send("alice", "bob", "it is away");
    world.settle();
    world.set_online("tablet", true);
    world.run(90);
    world.settle();
    assert_eq!(texts_of(&world, "bob", "dark"), [""; 0]);
    let suspended = Err(EngineError::DeviceSuspended);
    let refused = |outcome: CommandOutcome| match outcome {
        CommandOutcome::Failed(error) => Err(error),
        other => Ok(format!("{other:?}")),
    };
    assert_eq!(refused(world.suspend("tablet", alice)).map(drop), suspended);
    assert_eq!(refused(world.resume("tablet", tablet)).map(drop), suspended);
    let link = world.command("tablet", |command| Input::OfferLink { command });
    assert_eq!(refused(link).map(drop), suspended);
    // What waited there leaves when it is back.
    done(world.resume("alice", tablet));
    world.run(90);
    world.settle();
    world.send("bob", "alice", "welcome back");
    world.run(120);
    world.settle();
    assert_eq!(texts_of(&world, "bob", "dark"), ["written in the dark"]);
    assert_eq!(texts_of(&world, "alice", "dark"), ["written in the dark"]);
    assert_eq!(world.read("tablet"), from("bob", &["welcome back"]));
}

#[test]
fn a_suspended_device_that_talks_on_is_not_heard() {
    let mut world = couple(1002);
    let (account, tablet) = (world.account("alice"), world.device("tablet"));
    world.stop("tablet");
    done(world.suspend("alice", tablet));
    world.run(10);
    world.send("bob", "alice", "bob knows");
    world.settle();
    // The relay lets whoever has it believe that nothing happened.
    withhold(&mut world, account);
    world.start("tablet");
    world.run(5);
    world.send("tablet", "bob", "let me in");
    world.run(120);
    for name in ["alice", "bob"] {
        assert!(told(&world, name, |event| matches!(
            event,
            Event::RevokedDeviceSpoke { .. }
        )));
        let kept = world.person(name).evidence();
        let findings = kept.iter().map(|kept| kept.verify().unwrap());
        let wrote = |finding| matches!(finding, Finding::RevokedDeviceWrote { device, .. } if device == tablet);
        assert!(findings.into_iter().any(wrote), "{name}");
    }
    assert!(world.read("bob").is_empty());
    assert!(world.read("tablet").is_empty());
}

#[test]
fn a_suspended_device_is_revoked_and_its_queues_close() {
    let mut world = couple(1003);
    let tablet = world.device("tablet");
    let closed = |world: &mut World| {
        let heard = world.relay().heard().iter();
        let closes = |request: &&wire::Request| matches!(request, wire::Request::DeleteQueue(_));
        heard.filter(closes).count()
    };
    let before = closed(&mut world);
    done(world.suspend("alice", tablet));
    world.run(60);
    world.settle();
    assert_eq!(closed(&mut world), before, "it may come back to its queues");
    done(world.revoke("alice", tablet, Reason::Lost));
    world.run(700);
    world.settle();
    assert!(closed(&mut world) >= before + 2);
    assert!(told(&world, "tablet", |event| matches!(
        event,
        Event::DeviceRevoked
    )));
    assert!(matches!(
        world.resume("alice", tablet),
        CommandOutcome::Failed(_)
    ));
}

#[test]
fn another_device_goes_on_with_the_backup() {
    let mut world = couple(1004);
    let alice = world.device("alice");
    world.sleep(80 * 3600);
    world.run(60);
    let sheet = world.make_sheet("alice");
    world.run(60);
    world.settle();
    done(world.suspend("tablet", alice));
    world.run(60);
    world.settle();
    world.send("bob", "alice", "for the backup");
    world.sleep(2 * 3600);
    world.run(120);
    world.settle();
    done(world.resume("tablet", alice));
    world.run(60);
    world.settle();
    let writers = BOTH.iter().filter(|name| {
        let state = Engine.backup(&world.person(name).store).unwrap();
        state.is_some()
    });
    assert_eq!(writers.count(), 1);
    for name in BOTH {
        world.stop(name);
    }
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.run(60);
    world.settle();
    assert!(
        world
            .texts("new", "bob")
            .contains(&"for the backup".to_owned())
    );
    assert!(world.person("new").store.count(Table::Letter) > 0);
}

#[test]
fn an_account_that_ended_is_gone_everywhere() {
    let mut world = couple(1005);
    done(world.command("alice", |command| Input::RotateDevice { command }));
    let sheet = world.make_sheet("alice");
    world.run(60);
    world.settle();
    assert!(world.relay().store().heads() > 0);
    // The root key is in the backup alone.
    let end = |world: &mut World| world.command("alice", |command| Input::EndAccount { command });
    let refused = end(&mut world);
    assert!(matches!(
        refused,
        CommandOutcome::Failed(EngineError::NoRootKey)
    ));
    let sheet = keys::sheet::SheetSecret::from_text(&sheet).unwrap();
    let unlocked = world.command("alice", |command| Input::UnlockRoot {
        command,
        sheet: engine::Hidden(sheet),
    });
    done(unlocked);
    done(end(&mut world));
    world.run(90);
    world.settle();
    for name in BOTH {
        assert!(told(&world, name, |event| matches!(
            event,
            Event::AccountEnded
        )));
        let store = &world.person(name).store;
        for table in [Table::Session, Table::PreKey, Table::Queue] {
            assert_eq!(store.count(table), 0, "{name} {table:?}");
        }
        assert!(store.get(Table::Meta, b"backup").unwrap().is_none());
        for kept in [&b"retired-"[..], b"backup-standby"] {
            let rows = store.scan(Table::Meta, kept, None, 9).unwrap();
            assert!(rows.is_empty(), "{name} {:?}", rows[0].0);
        }
        let (log, device) = (world.own_log(name), world.device(name));
        let keys = world.stolen_keys(name);
        let record = log.device(&device).unwrap();
        assert_ne!(
            record.verifying_key(),
            keys.signing().verifying_key(),
            "{name}"
        );
    }
    assert_eq!(world.relay().store().heads(), 0, "no sheet opens anything");
    // Bob learns it before he writes.
    let alice = world.account("alice");
    world.send("bob", "alice", "are you there?");
    world.run(20);
    world.settle();
    assert!(told(&world, "bob", |event| matches!(
        event,
        Event::ContactEnded { .. }
    )));
    let draft = engine::Draft {
        text: "hello?".to_owned(),
        ..engine::Draft::default()
    };
    let refused = world.send_draft("bob", "alice", draft);
    assert_eq!(refused, Err(EngineError::ContactEnded));
    let verified = world.command("bob", |command| Input::MarkVerified {
        command,
        contact: alice,
        means: engine::VerificationMeans::SafetyNumber,
    });
    assert!(matches!(
        verified,
        CommandOutcome::Failed(EngineError::ContactEnded)
    ));
    // What was written stays readable.
    assert!(!world.texts("bob", "alice").is_empty());
    assert!(!world.texts("tablet", "bob").is_empty());
}
