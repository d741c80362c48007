//! Lists of devices: changed by two at once, hidden, replayed, forged.

use crate::linking::friends;
use engine::{CommandOutcome, EngineError, Event, Input};
use keys::account_log::Reason;
use letterlock_testkit::{Weather, World};

fn slow() -> Weather {
    Weather {
        delay_ms: 300..=300,
        ..Weather::calm()
    }
}

fn rotate(world: &mut World, name: &str) -> engine::CommandId {
    world.begin(name, |command| Input::RotateDevice { command })
}

fn is_done(outcome: Option<CommandOutcome>) -> bool {
    matches!(outcome, Some(CommandOutcome::Done))
}

/// All homes of an account have the log that the relay has.
fn all_agree(world: &mut World, homes: &[&str]) {
    // A device that has nothing to say asks from time to time.
    world.run(610);
    world.settle();
    let account = world.account(homes[0]);
    let head = world.log_at_relay(&account).head();
    for home in homes {
        assert_eq!(world.own_log(home).head(), head, "{home}");
    }
}

/// A letter of bob comes to each device once, and one of each device to bob and to the others.
fn letters_flow(world: &mut World, devices: &[&str], mark: &str) {
    crate::linking::letters_flow(world, devices, mark);
}

#[test]
fn two_devices_rotate_at_once() {
    let mut world = friends(501);
    world.link("alice", "tablet");
    let commands = [rotate(&mut world, "alice"), rotate(&mut world, "tablet")];
    world.settle();
    assert!(is_done(world.outcome("alice", commands[0])));
    assert!(is_done(world.outcome("tablet", commands[1])));
    all_agree(&mut world, &["alice", "tablet"]);
    letters_flow(&mut world, &["alice", "tablet"], "after");
}

#[test]
fn two_devices_revoke_a_third_at_once() {
    let mut world = friends(502);
    world.link("alice", "tablet");
    let phone = world.link("alice", "phone");
    let revoke = |command| Input::RevokeDevice {
        command,
        device: phone,
        reason: Reason::Lost,
    };
    let commands = [world.begin("alice", revoke), world.begin("tablet", revoke)];
    world.settle();
    // Whoever was slower has what it wanted too.
    assert!(is_done(world.outcome("alice", commands[0])));
    assert!(is_done(world.outcome("tablet", commands[1])));
    assert_eq!(world.own_log("alice").head().sequence, 3);
    all_agree(&mut world, &["alice", "tablet"]);
    assert!(world.was_told("phone", |event| matches!(event, Event::DeviceRevoked)));
    letters_flow(&mut world, &["alice", "tablet"], "after");
}

#[test]
fn two_devices_revoke_each_other() {
    let mut world = friends(503);
    let tablet = world.link("alice", "tablet");
    world.sleep(73 * 3600);
    world.run(30);
    world.settle();
    let alice = world.device("alice");
    let mut commands = Vec::new();
    for (name, device) in [("alice", tablet), ("tablet", alice)] {
        commands.push(world.begin(name, |command| Input::RevokeDevice {
            command,
            device,
            reason: Reason::Stolen,
        }));
    }
    world.settle();
    let outcomes = [
        world.outcome("alice", commands[0]),
        world.outcome("tablet", commands[1]),
    ];
    let (winner, loser) = if matches!(outcomes[0], Some(CommandOutcome::Done)) {
        ("alice", "tablet")
    } else {
        ("tablet", "alice")
    };
    let failed = |outcome: &&Option<CommandOutcome>| {
        let revoked = EngineError::DeviceRevoked;
        matches!(outcome, Some(CommandOutcome::Failed(error)) if *error == revoked)
    };
    assert_eq!(outcomes.iter().filter(failed).count(), 1, "{outcomes:?}");
    assert!(world.was_told(loser, |event| matches!(event, Event::DeviceRevoked)));
    letters_flow(&mut world, &[winner], "after");
}

#[test]
fn a_device_is_linked_while_another_changes_the_log() {
    let mut happened = Vec::new();
    for second in [0, 2, 4, 5, 6, 7] {
        let mut world = friends(504);
        world.link("alice", "tablet");
        world.set_weather(slow());
        world.new_home("phone");
        let code = world.offer_link("alice").unwrap();
        world.knock("phone", &code);
        let before = world.person("alice").events.len();
        let shown = |world: &World, name: &str, from: usize| {
            let mut events = world.person(name).events.iter().skip(from);
            events.any(|event| matches!(event, Event::PairingCode { .. }))
        };
        let mut command = None;
        let mut confirmed = false;
        for at in 0..40 {
            if at == second {
                command = Some(rotate(&mut world, "tablet"));
            }
            world.run(1);
            if !confirmed && shown(&world, "alice", before) && shown(&world, "phone", 0) {
                assert_eq!(world.pairing_code("alice"), world.pairing_code("phone"));
                world.confirm_link("alice", true);
                world.confirm_link("phone", true);
                confirmed = true;
                happened.push(at);
            }
        }
        world.settle();
        assert!(
            is_done(world.outcome("tablet", command.unwrap())),
            "{second}"
        );
        assert!(
            world.has_account("phone"),
            "{second}: {:?}",
            world.person("phone").events
        );
        all_agree(&mut world, &["alice", "tablet", "phone"]);
        letters_flow(&mut world, &["alice", "tablet", "phone"], "after");
    }
    assert!(happened.iter().all(|at| *at < 8), "{happened:?}");
}

#[test]
fn two_devices_link_at_once() {
    let mut world = friends(505);
    world.link("alice", "tablet");
    world.sleep(73 * 3600);
    world.run(30);
    world.settle();
    let pairs = [("alice", "phone"), ("tablet", "watch")];
    for (old, new) in pairs {
        world.new_home(new);
        let code = world.offer_link(old).unwrap();
        world.knock(new, &code);
    }
    world.settle();
    for (old, new) in pairs {
        assert_eq!(world.pairing_code(old), world.pairing_code(new));
        world.confirm_link(old, true);
        world.confirm_link(new, true);
    }
    world.settle();
    let homes = ["alice", "tablet", "phone", "watch"];
    all_agree(&mut world, &homes);
    assert_eq!(world.own_log("watch").devices().len(), 4);
    letters_flow(&mut world, &homes, "after");
}

#[test]
fn a_device_is_revoked_while_it_links_another() {
    for second in [0, 2, 4, 5, 6, 8] {
        let mut world = friends(506);
        let tablet = world.link("alice", "tablet");
        world.sleep(73 * 3600);
        world.run(30);
        world.settle();
        world.set_weather(slow());
        world.new_home("phone");
        let code = world.offer_link("tablet").unwrap();
        world.knock("phone", &code);
        let mut confirmed = false;
        for at in 0..40 {
            if at == second {
                world.begin("alice", |command| Input::RevokeDevice {
                    command,
                    device: tablet,
                    reason: Reason::Stolen,
                });
            }
            world.run(1);
            let code = world.pairing_code("phone");
            if !confirmed && code.is_some() && code == world.pairing_code("tablet") {
                confirmed = world.try_confirm_link("tablet", true).is_ok();
                let _ended = world.try_confirm_link("phone", true);
            }
        }
        world.set_weather(Weather::calm());
        world.run(700);
        world.settle();
        assert!(world.was_told("tablet", |event| matches!(event, Event::DeviceRevoked)));
        let (alice, phone) = (world.device("alice"), world.has_account("phone"));
        if phone {
            letters_flow(&mut world, &["alice", "phone"], "after");
        } else {
            let account = world.account("alice");
            let log = world.log_at_relay(&account);
            let ids: Vec<_> = log.devices().iter().map(|device| *device.id()).collect();
            assert_eq!(ids, [alice], "{second}");
            assert!(world.is_empty_home("phone"));
            letters_flow(&mut world, &["alice"], "after");
        }
    }
}
