//! Lists of devices: changed by two at once, hidden, replayed, forged.

use crate::from;
use crate::linking::friends;
use engine::{CommandOutcome, EngineError, Event, Input};
use engine::{Snapshot as _, Store as _, Table, Write};
use keys::account_log::Reason;
use keys::account_log::{Authority, LogError, VerifiedLog};
use keys::codec::Writer;
use keys::{AccountId, Timestamp};
use letterlock_testkit::{Weather, World};
use wire::{RawLog, Reply, Request};

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

/// Alice has a tablet, and bob knows it.
fn with_tablet(seed: u64) -> (World, keys::DeviceId) {
    let mut world = friends(seed);
    let tablet = world.link("alice", "tablet");
    world.send("bob", "alice", "to both");
    world.settle();
    world.read("alice");
    world.settle();
    (world, tablet)
}

fn revoke(world: &mut World, device: keys::DeviceId) {
    let revoked = world.revoke("alice", device, Reason::Stolen);
    assert!(matches!(revoked, CommandOutcome::Done), "{revoked:?}");
}

/// Lets the relay say that it knows no newer entries of a log.
pub(crate) fn withhold(world: &mut World, account: AccountId) {
    world.relay().twist(move |request, reply| match request {
        Request::CheckLog(check) if check.account == account => Reply::Done,
        _ => reply,
    });
}

/// Lets the relay show whoever asks for newer entries those of another log.
fn show(world: &mut World, account: AccountId, log: Vec<u8>) {
    world.relay().twist(move |request, reply| match request {
        Request::CheckLog(check) if check.account == account => {
            let log = RawLog::parse(&log).unwrap();
            let first = check.sequence + 1;
            match log.part(first) {
                Some(part) => Reply::Entries(wire::Entries {
                    name: "alice".to_owned(),
                    account,
                    first,
                    entries: part.entries.to_vec(),
                    more: part.more,
                }),
                None => Reply::Done,
            }
        }
        _ => reply,
    });
}

fn withheld(world: &World, name: &str, account: AccountId) -> bool {
    let told =
        |event: &Event| matches!(event, Event::LogWithheld { account: of } if *of == account);
    world.was_told(name, told)
}

#[test]
fn revocation_is_learnt_before_the_next_letter() {
    let (mut world, tablet) = with_tablet(511);
    let queues = world.queues("tablet");
    world.stop("tablet");
    // Bob's connection stands all the time, and his last check is as old as it may get.
    world.run(601);
    revoke(&mut world, tablet);
    let before = world.relay().heard().len();
    world.send("bob", "alice", "to alice alone");
    world.settle();
    assert!(!world.sent_to(&queues, before));
    assert_eq!(world.read("alice"), from("bob", &["to alice alone"]));
    // A clock that is set back does not make an old check young.
    let phone = world.link("alice", "phone");
    world.send("bob", "alice", "to both again");
    world.settle();
    let queues = world.queues("phone");
    world.stop("phone");
    world.set_back_clock("bob", 3600);
    revoke(&mut world, phone);
    let before = world.relay().heard().len();
    world.send("bob", "alice", "not to the phone");
    world.settle();
    assert!(!world.sent_to(&queues, before));
}

#[test]
fn revoked_device_gets_no_letter() {
    let (mut world, tablet) = with_tablet(512);
    let queues = world.queues("tablet");
    world.stop("tablet");
    world.set_online("bob", false);
    // Sealed for both devices, and not sent yet.
    world.send("bob", "alice", "sealed before");
    world.settle();
    revoke(&mut world, tablet);
    let before = world.relay().heard().len();
    world.set_online("bob", true);
    world.settle();
    world.send("bob", "alice", "sealed after");
    world.send("alice", "bob", "an answer");
    world.settle();
    world.run(300);
    assert!(!world.sent_to(&queues, before));
    let both = ["sealed before", "sealed after"];
    assert_eq!(world.read("alice"), from("bob", &both));
    assert_eq!(world.read("bob"), from("alice", &["an answer"]));
}

#[test]
fn hidden_revocation_is_noticed() {
    let (mut world, tablet) = with_tablet(513);
    let alice = world.account("alice");
    let stolen = world.queues("tablet");
    let queues = [world.queues("alice"), stolen.clone()].concat();
    world.stop("tablet");
    withhold(&mut world, alice);
    revoke(&mut world, tablet);
    world.run(601);
    world.send("alice", "bob", "the tablet is stolen");
    world.settle();
    assert_eq!(world.read("bob"), from("alice", &["the tablet is stolen"]));
    assert!(withheld(&world, "bob", alice));
    assert_eq!(world.person("bob").store.count(Table::Evidence), 1);
    let before = world.relay().heard().len();
    world.send("bob", "alice", "waits");
    world.run(300);
    assert!(!world.sent_to(&queues, before));
    // It is told once, not every minute.
    let events = &world.person("bob").events;
    let told = |event: &&Event| matches!(event, Event::LogWithheld { .. });
    assert_eq!(events.iter().filter(told).count(), 1);
    world.relay().repent();
    world.run(70);
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["waits"]));
    assert!(!world.sent_to(&stolen, before));
}

#[test]
fn replayed_device_list_is_noticed() {
    let (mut world, tablet) = with_tablet(514);
    let alice = world.account("alice");
    let old = world.relay().store().log(&alice).unwrap();
    let stolen = world.queues("tablet");
    world.stop("tablet");
    revoke(&mut world, tablet);
    world.send("bob", "alice", "bob knows");
    world.settle();
    world.set_online("alice", false);
    world.relay().store_mut().set_log(&alice, &old);
    let before = world.relay().heard().len();
    world.run(601);
    world.send("bob", "alice", "waits");
    world.settle();
    assert!(!world.sent_to(&stolen, before));
    assert!(withheld(&world, "bob", alice));
    // Whoever adds alice now is shown the old list; alice's devices see to the new one.
    world.join("carol");
    world.add_by_name("carol", "alice").unwrap();
    world.set_online("alice", true);
    world.run(70);
    world.settle();
    assert_eq!(world.log_at_relay(&alice).head().sequence, 2);
    assert_eq!(world.read("alice"), from("bob", &["bob knows", "waits"]));
    world.run(601);
    world.send("carol", "alice", "hello");
    world.settle();
    assert_eq!(world.read("alice"), from("carol", &["hello"]));
    assert!(!world.sent_to(&stolen, before));
}

#[test]
fn relay_that_was_set_back_gets_the_log_again() {
    let mut world = friends(515);
    let alice = world.account("alice");
    let backup = world.relay().store().clone();
    world.link("alice", "tablet");
    for _ in 0..12 {
        let rotated = world.command("alice", |command| Input::RotateDevice { command });
        assert!(matches!(rotated, CommandOutcome::Done));
    }
    world.settle();
    let head = world.own_log("alice").head();
    world.roll_back_relay(backup);
    world.run(300);
    world.settle();
    assert_eq!(world.log_at_relay(&alice).head(), head);
    all_agree(&mut world, &["alice", "tablet"]);
    letters_flow(&mut world, &["alice", "tablet"], "after");
}

#[test]
fn ghost_device_is_a_hard_stop() {
    for whose in ["contact", "own"] {
        let mut world = friends(516);
        let alice = world.account("alice");
        let who = if whose == "own" { "alice" } else { "bob" };
        // The relay adds a device of its own, which nobody of the account signed.
        let log = world.own_log("alice");
        let ghost = with_ghost(&log, world.now(), &mut world);
        show(&mut world, alice, ghost);
        if who == "bob" {
            world.set_online("alice", false);
        }
        world.run(610);
        let (from, to) = if who == "bob" {
            ("bob", "alice")
        } else {
            ("alice", "bob")
        };
        let before = world.relay().heard().len();
        world.send(from, to, "for whom?");
        world.settle();
        let heard = world.relay().heard()[before..].iter();
        let asked = heard
            .clone()
            .filter(|request| matches!(request, Request::FetchBundle(_)));
        assert_eq!(asked.count(), 0, "{whose}");
        assert_eq!(world.person(who).store.count(Table::Evidence), 1);
        if who == "bob" {
            assert!(world.person("bob").contact("alice").unwrap().changed);
            let queues = world.queues("alice");
            assert!(!world.sent_to(&queues, before));
        } else {
            let forked = |event: &Event| matches!(event, Event::OwnLogForked { contact: None });
            assert!(world.was_told("alice", forked));
            assert_eq!(world.own_log("alice").head(), log.head());
        }
    }
}

/// A log with a device that only itself signed.
fn with_ghost(log: &VerifiedLog, now: Timestamp, world: &mut World) -> Vec<u8> {
    let ghost =
        keys::account_log::DeviceSecrets::generate(keys::Suite::Hybrid, world.chance().rng())
            .unwrap();
    let authority = world.stolen_keys("alice");
    let by = Authority::Device(&authority);
    let added = log.add_device(by, &ghost, true, now).unwrap();
    let mut bytes = added.bytes().to_vec();
    // The last signature is the ghost's own; the one before it is alice's.
    let raw = RawLog::parse(&bytes).unwrap();
    let length = raw.part(log.head().sequence + 1).unwrap().entries.len();
    let end = bytes.len();
    bytes[end - length / 2] ^= 1;
    let refused =
        keys::account_log::UnverifiedLog::decode(&bytes).and_then(|log| log.verify(None, None));
    let error = refused.err().unwrap();
    assert!(matches!(error, LogError::BadSignature { .. }), "{error}");
    bytes
}

#[test]
fn forked_log_is_noticed_by_the_next_letter() {
    for first in ["alice", "bob"] {
        let (mut world, tablet) = with_tablet(517);
        world.join("carol");
        world.befriend("alice", "carol");
        let (alice, bob) = (world.account("alice"), world.account("bob"));
        let (thief, before) = (world.stolen_keys("tablet"), world.own_log("alice"));
        world.stop("tablet");
        let now = world.now();
        // Two valid entries at one place, by a stolen device and by a true one.
        let forged = before
            .revoke(Authority::Device(&thief), &tablet, Reason::Retired, now)
            .unwrap();
        revoke(&mut world, tablet);
        world.run(601);
        for name in ["alice", "carol"] {
            world.set_online(name, false);
        }
        show(&mut world, alice, forged.bytes().to_vec());
        world.send("bob", "alice", "bob is shown the one");
        world.settle();
        world.relay().repent();
        for name in ["alice", "carol"] {
            world.set_online(name, true);
        }
        if first == "alice" {
            // Bob's letter was not read before alice wrote.
            world.send("alice", "bob", "alice writes");
        }
        world.send("carol", "alice", "carol is shown the other");
        world.settle();
        let forked = |event: &Event| match event {
            Event::OwnLogForked { contact } => *contact == Some(bob),
            _ => false,
        };
        assert!(world.was_told("alice", forked));
        let changed = |event: &Event| matches!(event, Event::IdentityChanged { contact } if *contact == alice);
        assert!(world.was_told("bob", changed));
        assert!(world.person("bob").contact("alice").unwrap().changed);
        assert!(!world.person("carol").contact("alice").unwrap().changed);
        // Both hold both histories.
        for name in ["alice", "bob"] {
            assert!(
                world.person(name).store.count(Table::Evidence) >= 1,
                "{name}"
            );
        }
        let shown = world.texts("alice", "carol");
        assert_eq!(shown, ["carol is shown the other"]);
    }
}

#[test]
fn revoked_device_that_talks_on_is_not_heard() {
    let (mut world, tablet) = with_tablet(518);
    let alice = world.account("alice");
    world.stop("tablet");
    revoke(&mut world, tablet);
    world.send("bob", "alice", "bob knows");
    world.settle();
    // The relay lets the thief believe that nothing happened.
    withhold(&mut world, alice);
    world.start("tablet");
    world.run(5);
    world.send("tablet", "bob", "let me in");
    world.run(120);
    for name in ["alice", "bob"] {
        let spoke = |event: &Event| matches!(event, Event::RevokedDeviceSpoke { account } if *account == alice);
        assert!(world.was_told(name, spoke), "{name}");
        assert!(
            world.person(name).store.count(Table::Evidence) >= 1,
            "{name}"
        );
    }
    assert!(world.read("bob").is_empty());
    assert!(
        !world
            .texts("alice", "bob")
            .contains(&"let me in".to_owned())
    );
    assert!(world.read("tablet").is_empty());
    world.relay().repent();
    letters_flow(&mut world, &["alice"], "after");
}

/// Changes a stored letter of a dishonest client into an errand.
fn make_errand(world: &mut World, name: &str, id: &keys::LetterId, errand: &[u8]) {
    const DIRECTION: usize = 1 + 16 + 32 + 8;
    let store = &mut world.person_mut(name).store;
    let mut letter = store.get(Table::Letter, id.as_bytes()).unwrap().unwrap();
    letter[DIRECTION] = engine::records::Direction::Errand as u8;
    let mut out = Writer::new();
    out.bytes(errand);
    letter.extend_from_slice(&out.finish());
    let changed = Write::Put {
        table: Table::Letter,
        key: id.as_bytes().to_vec(),
        value: letter,
    };
    store.apply(vec![changed]).unwrap();
}

#[test]
fn contact_cannot_send_errands() {
    let mut world = friends(519);
    world.join("mallory");
    world.befriend("alice", "mallory");
    let known = world.person("alice").letters("bob");
    let target = known.last().unwrap();
    assert_eq!(target.text, "two");
    // Deletes a letter; blocks a contact is too long to tell here.
    let mut errand = vec![2];
    errand.extend_from_slice(&1_u32.to_be_bytes());
    errand.extend_from_slice(target.id.as_bytes());
    world.set_online("mallory", false);
    let letter = world.send("mallory", "alice", "an errand");
    make_errand(&mut world, "mallory", &letter, &errand);
    world.set_online("mallory", true);
    world.settle();
    let is_it = |row: &[u8]| row.windows(9).any(|bytes| bytes == b"an errand");
    assert!(!world.person("alice").store.values(Table::Letter).any(is_it));
    assert_eq!(world.texts("alice", "bob"), ["one", "two"]);
    // It did come: what mallory sends after it is read.
    world.send("mallory", "alice", "hello");
    world.settle();
    assert_eq!(world.read("alice"), from("mallory", &["hello"]));
}
