//! The devices of an account vouch for each other.

use engine::Event;
use letterlock_testkit::World;

const DAY: u64 = 24 * 3600;

fn warned(world: &World, who: &str) -> bool {
    let warning = |event: &Event| matches!(event, Event::DeviceNotVouchedFor { .. });
    world.person(who).events.iter().any(warning)
}

/// Both of alice's devices write to bob, every five days.
fn weeks(world: &mut World, days: u64, devices: &[&str]) {
    for day in (0..days).step_by(5) {
        world.sleep(5 * DAY);
        world.run(5);
        for device in devices {
            world.send(device, "bob", &format!("{device} on day {day}"));
        }
        world.settle();
        world.read("bob");
        world.settle();
    }
}

#[test]
fn devices_that_vouch_for_each_other_are_never_doubted() {
    let mut world = World::new(501);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.link("alice", "tablet");
    weeks(&mut world, 60, &["alice", "tablet"]);
    assert!(!warned(&world, "bob"));
}

#[test]
fn a_device_that_nobody_vouches_for_is_noticed() {
    let mut world = World::new(502);
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.link("alice", "tablet");
    world.send("tablet", "bob", "hello");
    world.settle();
    // The thief has the tablet; alice revokes it, and the relay hides that from bob.
    world.stop("alice");
    weeks(&mut world, 25, &["tablet"]);
    assert!(!warned(&world, "bob"), "too early");
    weeks(&mut world, 15, &["tablet"]);
    assert!(warned(&world, "bob"));
}
