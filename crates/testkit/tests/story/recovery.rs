//! All devices are lost, and a sheet of paper is left.

use crate::from;
use engine::{CommandOutcome, Engine, EngineError, Event, Hidden, Input};
use keys::account_log::{LogError, Method, Reason, RecoverySecrets};
use keys::sheet::SheetSecret;
use letterlock_testkit::{Weather, World};

fn texts(world: &World, who: &str, with: &str) -> Vec<String> {
    let letters = world.person(who).letters(with);
    letters.into_iter().map(|letter| letter.text).collect()
}

#[test]
fn a_sheet_brings_everything_back() {
    let mut world = World::new(401);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "before the sheet");
    world.settle();
    let sheet = world.make_sheet("alice");
    world.send("bob", "alice", "after the sheet");
    world.settle();
    world.send("alice", "bob", "and an answer");
    world.settle();
    world.run(20);
    world.stop("alice");
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.settle();
    assert_eq!(world.account("new"), world.account("alice"));
    let all = ["before the sheet", "after the sheet", "and an answer"];
    assert_eq!(texts(&world, "new", "bob"), all);
    // It is the same person to its contacts.
    world.read("bob");
    world.send("new", "bob", "I am back");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["I am back"]));
    world.read("new");
    world.send("bob", "alice", "welcome");
    world.settle();
    assert_eq!(world.read("new"), from("bob", &["welcome"]));
    let alarms = |event: &Event| {
        matches!(
            event,
            Event::BackupRolledBack { .. } | Event::HistoryMissing | Event::IdentityChanged { .. }
        )
    };
    assert!(!world.person("new").events.iter().any(alarms));
    assert!(!world.person("bob").events.iter().any(alarms));
}

#[test]
fn a_log_that_comes_two_ways_at_once_is_one_log() {
    // The relay's answer and the first letter of the new device bring the same entries, in either order.
    for seed in 420..444 {
        let mut world = World::new(seed);
        world.join("alice");
        world.join("bob");
        world.befriend("alice", "bob");
        let sheet = world.make_sheet("alice");
        world.send("bob", "alice", "hello");
        world.settle();
        world.set_online("bob", false);
        world.send("alice", "bob", "from the old device");
        world.settle();
        world.stop("alice");
        world.restore("new", &sheet);
        world.settle();
        world.send("new", "bob", "from the new device");
        world.settle();
        world.set_weather(Weather {
            delay_ms: 1..=3_000,
            ..Weather::calm()
        });
        world.set_online("bob", true);
        world.settle();
        let changed = |event: &Event| matches!(event, Event::IdentityChanged { .. });
        let bob = world.person("bob");
        assert!(!bob.events.iter().any(changed), "seed {seed}");
        assert_eq!(world.read("bob").len(), 2, "seed {seed}");
    }
}

#[test]
fn a_deleted_letter_does_not_come_back() {
    let mut world = World::new(402);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let letter = world.send("alice", "bob", "to be forgotten");
    world.send("alice", "bob", "to be kept");
    world.settle();
    let sheet = world.make_sheet("alice");
    world.delete("alice", letter);
    world.run(30);
    world.settle();
    world.stop("alice");
    world.restore("new", &sheet);
    assert_eq!(texts(&world, "new", "bob"), ["to be kept"]);
}

#[test]
fn an_old_sheet_opens_nothing() {
    let mut world = World::new(403);
    world.join("alice");
    let old = world.make_sheet("alice");
    let new = world.make_sheet("alice");
    world.run(30);
    let refused = world.restore("thief", &old);
    assert!(matches!(refused, CommandOutcome::Failed(_)), "{refused:?}");
    assert!(world.person("thief").account().is_none());
    let restored = world.restore("new", &new);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
}

#[test]
fn a_sheet_that_was_never_made_finds_nothing() {
    let mut world = World::new(404);
    world.join("alice");
    let mut other = World::new(405);
    other.join("alice");
    let sheet = other.make_sheet("alice");
    let refused = world.restore("new", &sheet);
    assert!(
        matches!(refused, CommandOutcome::Failed(EngineError::NoBackup)),
        "{refused:?}"
    );
}

#[test]
fn old_backup_is_noticed_by_the_first_answer() {
    let mut world = World::new(406);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let sheet = world.make_sheet("alice");
    let old = world.relay().store().clone();
    for number in 0..3 {
        world.send("alice", "bob", &format!("letter {number}"));
        world.run(30);
    }
    world.settle();
    world.stop("alice");
    world.relay().store_mut().put_heads_back(&old);
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.settle();
    world.send("new", "bob", "back");
    world.settle();
    world.send("bob", "alice", "you lost something");
    world.settle();
    let told = |event: &Event| matches!(event, Event::BackupRolledBack { .. });
    assert!(world.person("new").events.iter().any(told));
}

fn secrets(text: &str) -> RecoverySecrets {
    let sheet = SheetSecret::from_text(text).unwrap();
    RecoverySecrets::derive(keys::Suite::Hybrid, Method::Sheet, &sheet.seed()).unwrap()
}

#[test]
fn forged_backup_is_refused() {
    let mut world = World::new(407);
    world.join("alice");
    let sheet = world.make_sheet("alice");
    world.stop("alice");
    let id = secrets(&sheet).head_id();
    let head = world.relay().store().head(&id).unwrap();
    let mut changed = head.clone();
    changed.body[1500] ^= 1;
    let mut newer = head.clone();
    newer.version += 1;
    for forged in [changed, newer] {
        world.relay().store_mut().set_head(id, Some(forged));
        let refused = world.restore("new", &sheet);
        assert!(
            matches!(refused, CommandOutcome::Failed(EngineError::BadBackup)),
            "{refused:?}"
        );
        assert!(world.person("new").account().is_none());
    }
    world.relay().store_mut().set_head(id, Some(head));
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
}

#[test]
fn rolled_back_log_is_refused() {
    let mut world = World::new(408);
    world.join("alice");
    let account = world.account("alice");
    let before = Engine.account(&world.person("alice").store).unwrap();
    let before = before.unwrap().log;
    let sheet = world.make_sheet("alice");
    world.stop("alice");
    world.relay().twist(move |request, reply| match request {
        wire::Request::FetchLog(_) => wire::Reply::Log(wire::Log {
            name: "alice".to_owned(),
            account,
            log: before.clone(),
        }),
        wire::Request::CheckLog(_) => wire::Reply::Done,
        _ => reply,
    });
    let refused = world.restore("new", &sheet);
    assert!(
        matches!(
            refused,
            CommandOutcome::Failed(EngineError::LogRefuses {
                error: LogError::RolledBack { .. }
            })
        ),
        "{refused:?}"
    );
    assert!(world.person("new").account().is_none());
}

#[test]
fn withheld_part_is_told() {
    let mut world = World::new(409);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "in a part");
    world.settle();
    let sheet = world.make_sheet("alice");
    world.send("alice", "bob", "in the tail");
    world.settle();
    world.run(20);
    world.stop("alice");
    world.withhold_parts();
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    let told = |event: &Event| matches!(event, Event::HistoryMissing);
    assert!(world.person("new").events.iter().any(told));
}

#[test]
fn the_root_key_leaves_the_device_for_the_sheet() {
    let mut world = World::new(410);
    world.join("alice");
    let rotate = |command| Input::RotateRoot { command };
    assert!(matches!(
        world.command("alice", rotate),
        CommandOutcome::Done
    ));
    let text = world.make_sheet("alice");
    assert!(matches!(
        world.command("alice", rotate),
        CommandOutcome::Failed(EngineError::NoRootKey)
    ));
    let sheet = Hidden(SheetSecret::from_text(&text).unwrap());
    let unlocked = world.command("alice", |command| Input::UnlockRoot { command, sheet });
    assert!(matches!(unlocked, CommandOutcome::Done), "{unlocked:?}");
    assert!(matches!(
        world.command("alice", rotate),
        CommandOutcome::Done
    ));
    world.settle();
    world.run(20);
    assert!(matches!(
        world.command("alice", rotate),
        CommandOutcome::Failed(EngineError::NoRootKey)
    ));
    world.stop("alice");
    let restored = world.restore("new", &text);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
}

#[test]
fn another_device_goes_on_with_the_backup() {
    let mut world = World::new(411);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let sheet = world.make_sheet("alice");
    world.link("alice", "tablet");
    let lost = world.device("alice");
    // The tablet is old enough to revoke by itself.
    world.sleep(4 * 24 * 3600);
    world.run(10);
    world.settle();
    world.stop("alice");
    let revoked = world.revoke("tablet", lost, Reason::Lost);
    assert!(matches!(revoked, CommandOutcome::Done), "{revoked:?}");
    world.settle();
    world.send("tablet", "bob", "written on the tablet");
    world.settle();
    world.run(20);
    world.settle();
    world.stop("tablet");
    let restored = world.restore("new", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    assert_eq!(texts(&world, "new", "bob"), ["written on the tablet"]);
}

#[test]
fn the_answer_to_another_sheet_is_not_taken_for_ours() {
    let mut world = World::new(430);
    world.join("alice");
    let old = world.make_sheet("alice");
    let right = world.make_sheet("alice");
    world.stop("alice");
    world.new_home("new");
    world.set_online("new", false);
    let relay = world.relay_url().to_owned();
    let ask = |world: &mut World, text: &str| {
        let sheet = Hidden(SheetSecret::from_text(text).unwrap());
        let relay = relay.clone();
        world.begin("new", |command| Input::RestoreBySheet {
            command,
            sheet,
            relay,
            name: "new".to_owned(),
        })
    };
    ask(&mut world, &old);
    let command = ask(&mut world, &right);
    world.set_online("new", true);
    world.settle();
    let restored = world.outcome("new", command);
    assert!(
        matches!(restored, Some(CommandOutcome::Linked(_))),
        "{restored:?}"
    );
}

#[test]
fn a_backup_under_way_does_not_take_the_root_key_from_a_change() {
    let mut world = World::new(431);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    let text = world.make_sheet("alice");
    for number in 0..4 {
        // A head is written again and again while the root is unlocked and replaced.
        world.send("alice", "bob", &format!("letter {number}"));
        world.run(number);
        let sheet = Hidden(SheetSecret::from_text(&text).unwrap());
        world.begin("alice", |command| Input::UnlockRoot { command, sheet });
        let rotated = world.command("alice", |command| Input::RotateRoot { command });
        assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    }
    world.settle();
    world.run(20);
    world.stop("alice");
    let restored = world.restore("new", &text);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
}
