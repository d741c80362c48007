//! Groups of accounts of both suites.

use engine::{CommandOutcome, EngineError, Input, VerificationMeans};
use keys::account_log::Reason;
use keys::{GroupId, Suite};
use letterlock_testkit::World;

const HYBRID: [&str; 2] = ["alice", "bob"];
const CNSA2: [&str; 2] = ["carol", "dave"];

/// Two of each suite, who know each other.
fn people(seed: u64) -> World {
    let mut world = World::new(seed);
    HYBRID.iter().for_each(|name| world.join(name));
    for name in CNSA2 {
        world.join_in(name, Suite::Cnsa2);
    }
    let all = [HYBRID, CNSA2].concat();
    for (index, one) in all.iter().enumerate() {
        for other in all.iter().skip(index + 1) {
            world.befriend(one, other);
        }
    }
    world
}

fn all_read_all(world: &mut World, group: GroupId, homes: &[&str]) {
    for writer in homes {
        let text = format!("{writer} at {}", world.now().as_secs());
        world.write_to_group(writer, group, &text);
        world.settle();
        for reader in homes.iter().filter(|reader| *reader != writer) {
            if world.account(reader) == world.account(writer) {
                continue;
            }
            let texts = world.group_texts(reader, group);
            assert!(texts.contains(&text), "{reader}: {texts:?}");
        }
    }
}

fn suites(world: &World, group: GroupId, homes: &[&str]) -> Vec<Suite> {
    let suite = |home: &&str| world.group(home, group).unwrap().suite;
    homes.iter().map(suite).collect()
}

fn done(outcome: CommandOutcome) {
    assert!(matches!(outcome, CommandOutcome::Done), "{outcome:?}");
}

#[test]
fn a_group_has_the_highest_suite_that_all_speak() {
    let mut world = people(2200);
    for (owner, others, suite) in [
        ("alice", vec!["bob"], Suite::Hybrid),
        ("alice", vec!["carol"], Suite::Hybrid),
        ("carol", vec!["alice", "dave"], Suite::Hybrid),
        ("carol", vec!["dave"], Suite::Cnsa2),
    ] {
        let group = world.create_group(owner, owner, &others);
        let homes = [vec![owner], others].concat();
        assert_eq!(
            suites(&world, group, &homes),
            vec![suite; homes.len()],
            "{homes:?}"
        );
        all_read_all(&mut world, group, &homes);
    }
}

#[test]
fn a_mixed_group_lives_as_others_do() {
    let mut world = people(2201);
    let group = world.create_group("carol", "both", &["alice", "dave"]);
    // Who comes later, of either suite, and a device that is linked.
    world.add_to_group("carol", group, &["bob"]).unwrap();
    let tablet = world.link("dave", "tablet");
    world.run(120);
    world.settle();
    let homes = ["alice", "bob", "carol", "dave", "tablet"];
    for home in homes {
        assert_eq!(world.group_devices(home, group).len(), 5, "{home}");
    }
    all_read_all(&mut world, group, &homes);
    // New keys of devices, of both suites.
    for home in ["carol", "bob"] {
        let epoch = world.group("alice", group).unwrap().epoch;
        done(world.command(home, |command| Input::RotateDevice { command }));
        world.run(60);
        world.settle();
        assert!(world.group("alice", group).unwrap().epoch > epoch, "{home}");
    }
    all_read_all(&mut world, group, &homes);
    // Weekly keys.
    let epoch = world.group("alice", group).unwrap().epoch;
    world.sleep(8 * 24 * 3600);
    world.run(120);
    world.settle();
    assert!(world.group("alice", group).unwrap().epoch > epoch);
    // Who is revoked is out.
    done(world.revoke("dave", tablet, Reason::Lost));
    world.run(120);
    world.settle();
    let homes = ["alice", "bob", "carol", "dave"];
    for home in homes {
        assert_eq!(world.group_devices(home, group).len(), 4, "{home}");
    }
    all_read_all(&mut world, group, &homes);
    assert_eq!(suites(&world, group, &homes), vec![Suite::Hybrid; 4]);
}

/// A home that was set back asks the others, and comes in again with a leaf that its key vouches for.
#[test]
fn a_device_of_the_higher_suite_comes_back_into_a_mixed_group() {
    let mut world = people(2202);
    let group = world.create_group("alice", "both", &["bob", "carol"]);
    let before = world.person("carol").store.clone();
    all_read_all(&mut world, group, &["alice", "bob", "carol"]);
    for _ in 0..3 {
        done(world.command("alice", |command| Input::RotateDevice { command }));
        world.run(60);
        world.settle();
    }
    world.stop("carol");
    world.person_mut("carol").store = before;
    world.start("carol");
    // It sees by the next letter that it is behind.
    world.write_to_group("bob", group, "who is here?");
    world.run(300);
    world.settle();
    let epoch = |world: &World, home: &str| world.group(home, group).unwrap().epoch;
    assert_eq!(epoch(&world, "carol"), epoch(&world, "bob"));
    all_read_all(&mut world, group, &["alice", "bob", "carol"]);
}

#[test]
fn a_group_of_cnsa2_takes_a_hybrid_account_once_it_has_upgraded() {
    let mut world = people(2203);
    let group = world.create_group("carol", "strong", &["dave"]);
    let refused = world.add_to_group("carol", group, &["alice"]);
    let contact = world.account("alice");
    let suite = Suite::Cnsa2;
    assert_eq!(refused, Err(EngineError::GroupSuite { contact, suite }));
    done(world.command("alice", |command| Input::UpgradeSuite { command, suite }));
    world.run(90);
    world.settle();
    // Carol asks for the log when she writes, and compares anew.
    world.send("carol", "alice", "are you there?");
    world.run(90);
    world.settle();
    for (one, other) in [("carol", "alice"), ("dave", "alice")] {
        let contact = world.account(other);
        let means = VerificationMeans::SafetyNumber;
        done(world.command(one, |command| Input::MarkVerified {
            command,
            contact,
            means,
        }));
    }
    world.settle();
    world.add_to_group("carol", group, &["alice"]).unwrap();
    world.settle();
    all_read_all(&mut world, group, &["alice", "carol", "dave"]);
    assert_eq!(
        suites(&world, group, &["alice", "carol", "dave"]),
        vec![Suite::Cnsa2; 3]
    );
}

/// Letters of two go on in a pair.
#[test]
fn two_people_write_on_when_one_of_them_has_upgraded() {
    let mut world = people(2204);
    world.send("alice", "bob", "before");
    world.settle();
    let suite = Suite::Cnsa2;
    done(world.command("bob", |command| Input::UpgradeSuite { command, suite }));
    world.run(90);
    world.settle();
    world.send("bob", "alice", "I have other keys");
    world.run(90);
    world.settle();
    let contact = world.account("bob");
    let means = VerificationMeans::SafetyNumber;
    done(world.command("alice", |command| Input::MarkVerified {
        command,
        contact,
        means,
    }));
    world.run(90);
    world.settle();
    world.send("alice", "bob", "I have compared them");
    world.run(90);
    world.settle();
    assert!(
        world
            .texts("alice", "bob")
            .contains(&"I have other keys".to_owned())
    );
    assert!(
        world
            .texts("bob", "alice")
            .contains(&"I have compared them".to_owned())
    );
}

/// No session carries it any more; it goes in the pair.
#[test]
fn a_letter_that_waits_while_its_writer_upgrades_arrives_once() {
    let mut world = people(2205);
    world.send("alice", "bob", "before");
    world.settle();
    world.set_online("alice", false);
    world.send("alice", "bob", "written in the tunnel");
    let suite = Suite::Cnsa2;
    let upgraded = world.begin("alice", |command| Input::UpgradeSuite { command, suite });
    world.set_online("alice", true);
    world.run(120);
    world.settle();
    let outcome = world.outcome("alice", upgraded);
    assert!(matches!(outcome, Some(CommandOutcome::Done)), "{outcome:?}");
    let failed = |event: &engine::Event| matches!(event, engine::Event::LetterFailed { .. });
    assert!(!world.was_told("alice", failed));
    let contact = world.account("alice");
    let means = VerificationMeans::SafetyNumber;
    done(world.command("bob", |command| Input::MarkVerified {
        command,
        contact,
        means,
    }));
    world.run(120);
    world.settle();
    assert_eq!(
        world.texts("bob", "alice"),
        ["before", "written in the tunnel"]
    );
}
