//! Links that are interrupted, refused or meddled with: a device comes to be whole, or not at all.

use engine::{CommandOutcome, EngineError, Event, Snapshot as _, Store as _, Table, Write};
use keys::DeviceId;
use letterlock_testkit::{Chance, CrashPoint, World};
use wire::{Reply, Request};

/// Alice and bob know each other and have exchanged letters.
pub(crate) fn friends(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.send("alice", "bob", "one");
    world.send("bob", "alice", "two");
    world.settle();
    world.read("alice");
    world.read("bob");
    world
}

/// The devices of alice that are in force at the relay.
fn in_force(world: &mut World) -> Vec<DeviceId> {
    let alice = world.account("alice");
    let log = world.log_at_relay(&alice);
    log.devices().iter().map(|device| *device.id()).collect()
}

/// A letter of bob comes to every device of alice, and one of each device comes to bob: each once.
pub(crate) fn letters_flow(world: &mut World, devices: &[&str], mark: &str) {
    let to = format!("to alice {mark}");
    world.send("bob", "alice", &to);
    for device in devices {
        world.send(device, "bob", &format!("from {device} {mark}"));
    }
    world.settle();
    let mut expected: Vec<String> = devices
        .iter()
        .map(|device| format!("from {device} {mark}"))
        .collect();
    expected.push(to);
    expected.sort();
    let marked = |texts: Vec<String>| {
        let mut texts: Vec<_> = texts.into_iter().filter(|t| t.ends_with(mark)).collect();
        texts.sort();
        texts
    };
    assert_eq!(marked(world.texts("bob", "alice")), expected);
    for device in devices {
        assert_eq!(marked(world.texts(device, "bob")), expected, "{device}");
    }
}

/// No device of alice is in force but those whose homes work, and a home that was not linked is empty.
fn nothing_is_half(world: &mut World) {
    if !world.has_account("tablet") {
        world.sleep(25 * 3600);
        world.run(90);
        world.settle();
        assert!(world.is_empty_home("tablet"));
        assert_eq!(in_force(world), [world.device("alice")]);
        return;
    }
    assert_eq!(
        in_force(world),
        [world.device("alice"), world.device("tablet")]
    );
}

/// Where a program dies, and for how many seconds it stays away.
#[derive(Clone, Copy)]
struct Death {
    who: &'static str,
    point: CrashPoint,
    away: u64,
}

/// Links a tablet while one program dies at a step. Says whether it died, and whether the tablet is linked.
fn link_and_die(world: &mut World, death: Death, steps: u32) -> (bool, bool) {
    let Death { who, point, away } = death;
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world.crash(who, point, steps);
    world.knock("tablet", &code);
    let (mut died, mut ended) = (false, 0);
    let mut confirmed = [false, false];
    for _ in 0..90 {
        world.run(1);
        if !world.runs(who) {
            died = true;
            world.run(2);
            world.sleep(away);
            world.start(who);
            // A person starts it again as before, and compares again.
            if who == "tablet" && !world.has_account("tablet") {
                world.knock("tablet", &code);
            }
            confirmed[usize::from(who == "tablet")] = false;
        }
        if world.pairing_code("alice").is_some()
            && world.pairing_code("alice") == world.pairing_code("tablet")
        {
            for (name, confirmed) in ["alice", "tablet"].into_iter().zip(&mut confirmed) {
                *confirmed |= world.runs(name) && world.try_confirm_link(name, true).is_ok();
            }
        }
        let linked = |event: &Event| matches!(event, Event::DeviceLinked { .. });
        let gone = |event: &Event| matches!(event, Event::LinkEnded { .. });
        let over = |name| world.was_told(name, linked) || world.was_told(name, gone);
        if over("alice") && over("tablet") {
            ended += 1;
        }
        if ended == 4 {
            break;
        }
    }
    world.forget_crash(who);
    world.settle();
    (died, world.has_account("tablet"))
}

/// Lets a program die at its first, second, third... step of a link, until the link is over before it dies.
fn interrupted(seed: u64, death: Death, stride: usize) {
    let mut linked_once = false;
    for steps in (1..200).step_by(stride) {
        let mut world = friends(seed);
        let (died, linked) = link_and_die(&mut world, death, steps);
        nothing_is_half(&mut world);
        if linked {
            letters_flow(&mut world, &["alice", "tablet"], "after");
        } else {
            world.link("alice", "phone");
            letters_flow(&mut world, &["alice", "phone"], "after");
        }
        linked_once |= died && linked;
        if !died {
            assert!(linked && linked_once);
            return;
        }
    }
    panic!("the link does not end");
}

#[test]
fn old_device_that_dies_before_a_step_is_stored() {
    let death = Death {
        who: "alice",
        point: CrashPoint::BeforeStore,
        away: 0,
    };
    interrupted(401, death, 4);
}

#[test]
fn old_device_that_dies_before_anything_is_sent() {
    let death = Death {
        who: "alice",
        point: CrashPoint::AfterStore,
        away: 0,
    };
    interrupted(402, death, 1);
}

#[test]
fn old_device_that_dies_before_an_answer() {
    let death = Death {
        who: "alice",
        point: CrashPoint::AfterSend,
        away: 0,
    };
    interrupted(403, death, 1);
}

#[test]
fn new_device_that_dies_before_a_step_is_stored() {
    let death = Death {
        who: "tablet",
        point: CrashPoint::BeforeStore,
        away: 0,
    };
    interrupted(404, death, 4);
}

#[test]
fn new_device_that_dies_before_anything_is_sent() {
    let death = Death {
        who: "tablet",
        point: CrashPoint::AfterStore,
        away: 0,
    };
    interrupted(405, death, 1);
}

#[test]
fn new_device_that_dies_before_an_answer() {
    let death = Death {
        who: "tablet",
        point: CrashPoint::AfterSend,
        away: 0,
    };
    interrupted(406, death, 1);
}

#[test]
fn old_device_that_stays_away_too_long() {
    let death = Death {
        who: "alice",
        point: CrashPoint::AfterSend,
        away: 700,
    };
    interrupted(407, death, 1);
}

#[test]
fn new_device_that_stays_away_too_long() {
    let death = Death {
        who: "tablet",
        point: CrashPoint::AfterStore,
        away: 700,
    };
    interrupted(408, death, 2);
}

/// A tablet that has knocked and compares with alice.
fn comparing(seed: u64) -> (World, String) {
    let mut world = friends(seed);
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world.knock("tablet", &code);
    world.settle();
    assert!(world.pairing_code("alice").is_some());
    assert_eq!(world.pairing_code("alice"), world.pairing_code("tablet"));
    (world, code)
}

fn ended_with(world: &World, name: &str, what: &EngineError) -> bool {
    world.was_told(
        name,
        |event| matches!(event, Event::LinkEnded { error } if error == what),
    )
}

/// The link came to nothing, and another one works.
fn came_to_nothing(world: &mut World) {
    nothing_is_half(world);
    assert!(!world.has_account("tablet"));
    world.link("alice", "phone");
    letters_flow(world, &["alice", "phone"], "after");
}

#[test]
fn late_secret_is_refused() {
    let mut world = friends(411);
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world.knock("tablet", &code);
    // The word is on its way for longer than the secret counts.
    world.sleep(121);
    world.settle();
    assert!(ended_with(&world, "alice", &EngineError::LinkExpired));
    assert!(world.pairing_code("alice").is_none());
    came_to_nothing(&mut world);
    let mut world = friends(412);
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world.run(122);
    assert!(ended_with(&world, "alice", &EngineError::LinkExpired));
    let knock = world.knock("tablet", &code);
    world.settle();
    let refused = world.outcome("tablet", knock);
    assert!(matches!(
        refused,
        Some(CommandOutcome::Failed(EngineError::LinkExpired))
    ));
    came_to_nothing(&mut world);
}

#[test]
fn wrong_secret_leads_nowhere() {
    let mut world = friends(413);
    world.new_home("tablet");
    world.offer_link("alice").unwrap();
    let secret = keys::link::LinkSecret::random(world.chance().rng());
    let relay = world.relay_url().to_owned();
    let code = keys::link::LinkCode::new(secret, relay).unwrap().to_text();
    let knock = world.knock("tablet", &code);
    world.settle();
    let refused = world.outcome("tablet", knock);
    assert!(matches!(
        refused,
        Some(CommandOutcome::Failed(EngineError::LinkExpired))
    ));
    assert!(world.is_empty_home("tablet"));
}

#[test]
fn secret_counts_once() {
    let (mut world, code) = comparing(414);
    world.new_home("thief");
    world.knock("thief", &code);
    world.settle();
    assert!(world.pairing_code("thief").is_none());
    world.confirm_link("alice", true);
    world.confirm_link("tablet", true);
    world.settle();
    assert!(world.has_account("tablet"));
    world.run(601);
    world.settle();
    assert!(ended_with(&world, "thief", &EngineError::LinkExpired));
    assert!(world.is_empty_home("thief"));
    world.new_home("latecomer");
    let knock = world.knock("latecomer", &code);
    world.settle();
    let refused = world.outcome("latecomer", knock);
    assert!(matches!(
        refused,
        Some(CommandOutcome::Failed(EngineError::LinkExpired))
    ));
    letters_flow(&mut world, &["alice", "tablet"], "after");
}

#[test]
fn codes_that_differ_on_one_side_end_the_link_on_both() {
    for (seed, who) in [(415, "alice"), (416, "tablet")] {
        for confirmed in [false, true] {
            let (mut world, _) = comparing(seed);
            let other = if who == "alice" { "tablet" } else { "alice" };
            if confirmed {
                world.confirm_link(other, true);
                world.settle();
            }
            world.confirm_link(who, false);
            world.settle();
            assert!(ended_with(&world, who, &EngineError::LinkStopped));
            assert!(ended_with(&world, other, &EngineError::LinkStopped));
            assert!(world.is_empty_home("tablet"));
            came_to_nothing(&mut world);
        }
    }
}

#[test]
fn one_confirmation_adds_nothing() {
    for (seed, who) in [(417, "alice"), (418, "tablet")] {
        let (mut world, _) = comparing(seed);
        world.confirm_link(who, true);
        world.settle();
        assert_eq!(in_force(&mut world), [world.device("alice")]);
        world.run(601);
        world.settle();
        assert!(ended_with(&world, "tablet", &EngineError::LinkExpired));
        came_to_nothing(&mut world);
    }
}

/// Changes the nonce that a home draws for its link, as a dishonest device would after it saw the other one's.
fn draw_again(world: &mut World, name: &str) {
    let store = &mut world.person_mut(name).store;
    let mut join = store.get(Table::Meta, b"link-join").unwrap().unwrap();
    let after_name = join
        .windows(name.len())
        .position(|bytes| bytes == name.as_bytes());
    let nonce = after_name.unwrap() + name.len();
    join[nonce] ^= 1;
    let changed = Write::Put {
        table: Table::Meta,
        key: b"link-join".to_vec(),
        value: join,
    };
    store.apply(vec![changed]).unwrap();
}

#[test]
fn broken_promise_ends_the_link() {
    let mut world = friends(419);
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world.knock("tablet", &code);
    draw_again(&mut world, "tablet");
    world.settle();
    assert!(ended_with(&world, "alice", &EngineError::LinkStopped));
    assert!(world.pairing_code("alice").is_none());
    assert!(ended_with(&world, "tablet", &EngineError::LinkStopped));
    came_to_nothing(&mut world);
}

#[test]
fn relay_swaps_the_log_of_a_link() {
    let mut world = friends(420);
    world.join("mallory");
    let (alice, mallory) = (world.account("alice"), world.account("mallory"));
    let swapped = world.relay().store().log(&mallory).unwrap();
    world.new_home("tablet");
    let code = world.offer_link("alice").unwrap();
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::FetchLog(wire::FetchLog::ByAccount(asked)), Reply::Log(mut shown))
                if *asked == alice =>
            {
                shown.log.clone_from(&swapped);
                Reply::Log(shown)
            }
            (_, reply) => reply,
        });
    world.knock("tablet", &code);
    world.settle();
    let ended = |event: &Event| matches!(event, Event::LinkEnded { .. });
    assert!(world.was_told("tablet", ended));
    assert!(world.pairing_code("tablet").is_none());
    assert!(world.is_empty_home("tablet"));
    world.relay().repent();
    came_to_nothing(&mut world);
}

#[test]
fn hostile_relay_between_two_devices_that_link() {
    let mut linked = 0;
    for seed in 430..438 {
        let mut world = friends(seed);
        world.new_home("tablet");
        let code = world.offer_link("alice").unwrap();
        let mut chance = Chance::new(seed);
        let mut kept: Vec<wire::Deliver> = Vec::new();
        world.relay().distort(move |deliver| {
            let mut out = vec![deliver.clone()];
            if chance.per_mille(400) {
                out.push(deliver.clone());
            }
            if let Some(old) = kept.last() {
                // Another body in this queue, before the true one.
                let mut swapped = deliver.clone();
                swapped.body = old.body.clone();
                out.insert(0, swapped);
            }
            let mut flipped = deliver.body.to_vec();
            flipped[40] ^= 1;
            let mut changed = deliver.clone();
            changed.body = wire::Body::new(flipped).unwrap();
            out.insert(0, changed);
            kept.push(deliver);
            if chance.per_mille(60) {
                Vec::new()
            } else {
                out
            }
        });
        world.knock("tablet", &code);
        world.settle();
        if world.pairing_code("tablet").is_some() {
            assert_eq!(world.pairing_code("alice"), world.pairing_code("tablet"));
            let _ended = world.try_confirm_link("alice", true);
            let _ended = world.try_confirm_link("tablet", true);
        }
        world.settle();
        world.relay().repent();
        world.run(700);
        world.settle();
        linked += u32::from(world.has_account("tablet"));
        nothing_is_half(&mut world);
    }
    assert!(linked > 0);
}
