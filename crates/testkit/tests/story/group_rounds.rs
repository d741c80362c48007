//! Groups: who removes a revoked device where its own account cannot.

use crate::group_days::host;
use crate::groups::friends;
use engine::{Event, Input, Table};
use keys::account_log::Reason;
use keys::{DeviceId, GroupId};
use letterlock_testkit::{Weather, World};
use wire::{RefusalKind, Reply, Request};

/// Longer than a round, and than the wait of those who hear of something.
const ROUND: u64 = 700;
const DAY: u64 = 24 * 3600;

/// An answer that says: later.
fn later() -> Reply {
    Reply::Refused(wire::Refused {
        kind: RefusalKind::RateLimited,
        message: "later".to_owned(),
        retry_after_ms: 5_000,
        deleted: 0,
    })
}

/// Somebody revokes a device of theirs, which is offline, and hears nothing any more from the moment on in which the relay
/// knows it: nothing is committed in any group.
fn revoke_and_vanish(world: &mut World, name: &str, device: DeviceId) {
    let account = world.account(name);
    let before = world.log_at_relay(&account).head();
    world.relay().twist(|request, reply| match request {
        Request::AppendLog(_) | Request::AppendEntries(_) => later(),
        _ => reply,
    });
    world.begin(name, |command| Input::RevokeDevice {
        command,
        device,
        reason: Reason::Stolen,
    });
    world.run(2);
    world.stop(name);
    world.relay().repent();
    let log = world.log_at_relay(&account);
    assert_ne!(log.head(), before);
    assert!(log.device(&device).is_none());
}

/// The revoked device comes back to a relay that conspires with it, and hides the revocation.
fn hears_nothing_of_it(world: &mut World, name: &str, tablet: &str) {
    hides(world, name);
    world.set_online(tablet, true);
    world.run(30);
    world.relay().repent();
}

fn still_has(world: &World, name: &str, group: GroupId, device: &DeviceId) -> bool {
    world.group_devices(name, group).contains(device)
}

/// Alice, Bob with a tablet that goes offline, and Carol, some days later; all know each other.
fn three(seed: u64) -> (World, GroupId, DeviceId) {
    let mut world = friends(seed, &["alice", "bob", "carol"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.sleep(4 * DAY);
    world.run(60);
    world.settle();
    world.set_online("bob tablet", false);
    (world, group, tablet)
}

#[test]
fn a_contact_removes_a_revoked_device() {
    let (mut world, group, tablet) = three(401);
    revoke_and_vanish(&mut world, "bob", tablet);
    for name in ["alice", "carol"] {
        assert!(still_has(&world, name, group, &tablet), "{name}");
    }
    world.run(ROUND);
    for name in ["alice", "carol"] {
        assert!(!still_has(&world, name, group, &tablet), "{name}");
    }
    world.write_to_group("carol", group, "without it");
    world.settle();
    hears_nothing_of_it(&mut world, "bob", "bob tablet");
    assert!(world.group_texts("bob tablet", group).is_empty());
    assert!(!world.was_told("bob tablet", |event| matches!(event, Event::DeviceRevoked)));
    world.start("bob");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["without it"]);
}

/// The only one who knows the account is away, too.
#[test]
fn who_knows_nobody_removes_a_revoked_device() {
    let mut world = World::new(402);
    for name in ["host", "alice", "bob"] {
        world.join(name);
    }
    for name in ["alice", "bob"] {
        world.befriend("host", name);
    }
    let tablet = world.link("alice", "alice tablet");
    let group = world.create_group("host", "everybody", &["alice", "bob"]);
    world.sleep(4 * DAY);
    world.run(60);
    world.settle();
    world.set_online("alice tablet", false);
    world.stop("host");
    // Nor does a clock keep a round away that was set right only now.
    world.set_back_clock("bob", DAY);
    revoke_and_vanish(&mut world, "alice", tablet);
    assert!(still_has(&world, "bob", group, &tablet));
    world.run(ROUND);
    assert!(!still_has(&world, "bob", group, &tablet));
    world.write_to_group("bob", group, "without it");
    world.settle();
    hears_nothing_of_it(&mut world, "alice", "alice tablet");
    assert!(world.group_texts("alice tablet", group).is_empty());
    for name in ["host", "alice"] {
        world.start(name);
    }
    world.settle();
    for name in ["host", "alice"] {
        assert_eq!(world.group_texts(name, group), ["without it"], "{name}");
    }
}

#[test]
fn a_letter_in_a_small_group_waits_for_the_logs() {
    let (mut world, group, tablet) = three(403);
    // The last round was just now, so that the next one is far.
    revoke_and_vanish(&mut world, "bob", tablet);
    assert!(still_has(&world, "carol", group, &tablet));
    world.write_to_group("carol", group, "at once");
    world.run(5);
    assert_eq!(world.group_texts("alice", group), ["at once"]);
    assert!(!still_has(&world, "alice", group, &tablet));
    hears_nothing_of_it(&mut world, "bob", "bob tablet");
    assert!(world.group_texts("bob tablet", group).is_empty());
}

/// A relay that says no keeps no letter back.
#[test]
fn a_log_that_cannot_be_had_stops_no_letter() {
    let mut world = friends(404, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.run(120);
    let others = ["bob", "carol"].map(|name| world.account(name));
    world.relay().twist(move |request, reply| match request {
        Request::CheckLog(asked) if others.contains(&asked.account) => {
            Reply::Refused(wire::Refused {
                kind: RefusalKind::NotFound,
                message: "nobody".to_owned(),
                retry_after_ms: 0,
                deleted: 0,
            })
        }
        _ => reply,
    });
    world.write_to_group("alice", group, "one");
    world.run(3);
    assert_eq!(world.group_texts("carol", group), ["one"]);
    world.write_to_group("alice", group, "two");
    world.run(3);
    assert_eq!(world.group_texts("carol", group), ["one", "two"]);
}

fn unanswered(world: &World, name: &str) -> Vec<keys::AccountId> {
    let events = world.person(name).events.iter();
    let told = events.filter_map(|event| match event {
        Event::LogUnanswered { account } => Some(*account),
        _ => None,
    });
    told.collect()
}

/// A relay that carries letters and leaves questions for logs open, or puts them off again and again, delays them for a
/// while, and people are told.
#[test]
fn a_relay_that_says_nothing_of_logs_is_told_of() {
    for (seed, puts_off) in [(411, true), (412, false)] {
        let mut world = friends(seed, &["alice", "bob", "carol"]);
        let group = world.create_group("alice", "night shift", &["bob", "carol"]);
        world.run(120);
        let (alice, bob) = (world.account("alice"), world.account("bob"));
        let of_bob = move |request: &Request| matches!(request, Request::CheckLog(asked) if asked.account == bob);
        match puts_off {
            true => world
                .relay()
                .twist(move |request, reply| match of_bob(request) {
                    true => later(),
                    false => reply,
                }),
            false => world.relay().mute(of_bob),
        }
        world.write_to_group("alice", group, "one");
        world.run(50);
        assert!(world.group_texts("carol", group).is_empty());
        assert_eq!(unanswered(&world, "alice"), []);
        world.run(20);
        assert_eq!(world.group_texts("carol", group), ["one"]);
        assert_eq!(unanswered(&world, "alice"), [bob]);
        // What comes next waits for nothing, as long as that goes on, and people were told.
        world.write_to_group("alice", group, "two");
        world.run(3);
        assert_eq!(world.group_texts("carol", group), ["one", "two"]);
        world.run(200);
        assert_eq!(unanswered(&world, "alice"), [bob]);
        // A letter to Bob alone waits until the relay says it: that the log goes on nowhere is not confirmed.
        world.send("alice", "bob", "for you");
        world.run(100);
        assert!(world.texts("bob", "alice").is_empty());
        world.relay().repent();
        world.set_online("alice", false);
        world.set_online("alice", true);
        world.settle();
        assert_eq!(world.texts("bob", "alice"), ["for you"]);
        // From now on it is asked first again.
        world.sleep(100);
        world.relay().mute(of_bob);
        world.write_to_group("alice", group, "three");
        world.run(30);
        assert_eq!(world.group_texts("carol", group), ["one", "two"]);
        assert!(!unanswered(&world, "carol").contains(&alice));
    }
}

/// Seconds without a connection are none in which a relay said nothing: after them it is asked first.
#[test]
fn a_letter_written_without_a_connection_waits_for_the_logs() {
    let (mut world, group, tablet) = three(413);
    world.set_online("carol", false);
    world.write_to_group("carol", group, "from the train");
    world.run(300);
    revoke_and_vanish(&mut world, "bob", tablet);
    let inboxes = world.queues("bob tablet");
    let from = world.relay().heard().len();
    world.set_online("carol", true);
    world.run(20);
    assert_eq!(world.group_texts("alice", group), ["from the train"]);
    assert_eq!(unanswered(&world, "carol"), []);
    for request in world.relay().heard().iter().skip(from) {
        if let Request::SendInEpoch(sent) = request
            && sent.next.is_none()
        {
            let mut rows = sent.send.rows.iter();
            assert!(!rows.any(|row| inboxes.contains(&row.queue_id)));
        }
    }
}

/// A machine sleeps with questions on their way: when it wakes up, what others were answered comes first.
#[test]
fn hours_in_which_the_machine_sleeps_are_no_silence() {
    let mut world = friends(416, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.run(120);
    world.set_weather(Weather {
        delay_ms: 1_500..=1_500,
        ..Weather::calm()
    });
    world.begin("alice", |command| Input::CreateInvite {
        command,
        valid_for: 24 * 3600,
    });
    world.write_to_group("alice", group, "good night");
    world.sleep(10 * 3600);
    world.settle();
    assert_eq!(world.group_texts("carol", group), ["good night"]);
    assert_eq!(unanswered(&world, "alice"), []);
}

/// A contact is known by a relay that is no more; the group is at another one.
#[test]
fn a_relay_that_is_gone_stops_no_letter() {
    let mut world = friends(406, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.run(120);
    let bob = world.account("bob");
    let ours = world.relay_url().as_bytes().to_vec();
    let mut gone = ours.clone();
    *gone.last_mut().unwrap() ^= 1;
    let row = (Table::Contact, &bob.as_bytes()[..]);
    world.forge("alice", row, &ours, &gone);
    world.write_to_group("alice", group, "hello");
    world.run(5);
    assert_eq!(world.group_texts("carol", group), ["hello"]);
}

/// What a device asks does not grow with its groups, and all of them together find what is to be found.
#[test]
fn many_members_ask_for_few_logs() {
    const GUESTS: usize = 16;
    let (mut world, names) = host(405, GUESTS);
    let tablet = world.link("guest3", "guest3 tablet");
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = world.create_group("host", "everybody", &members);
    world.sleep(4 * DAY);
    world.run(120);
    world.set_online("guest3 tablet", false);
    // One who is alone for a day piles up no questions.
    world.set_online("guest4", false);
    for _ in 0..24 {
        world.sleep(3600);
        world.run(3);
    }
    let waiting = world.person("guest4").store.count(Table::Outbox);
    assert!(waiting <= 8 + 3, "{waiting} requests wait");
    world.set_online("guest4", true);
    world.settle();
    let from = world.relay().heard().len();
    world.run(600);
    let own_checks = (GUESTS + 2) * 11;
    let asked = world.relay().heard().iter().skip(from);
    let asked = asked.filter(|request| matches!(request, Request::CheckLog(_)));
    let asked = asked.count();
    assert!(asked <= own_checks + (GUESTS + 1) * 8, "{asked} questions");
    // The host, who alone knows everybody, is gone.
    world.stop("host");
    revoke_and_vanish(&mut world, "guest3", tablet);
    // A letter does not wait for so many: not even where the relay says nothing of them.
    world.relay().twist(|request, reply| match request {
        Request::CheckLog(_) => later(),
        _ => reply,
    });
    world.write_to_group("guest5", group, "hello");
    world.run(5);
    assert_eq!(world.group_texts("guest6", group), ["hello"]);
    world.relay().repent();
    world.run(ROUND);
    for name in ["guest0", "guest9", "guest15"] {
        assert!(!still_has(&world, name, group, &tablet), "{name}");
    }
}

/// A device that knows nothing of the revocation adds the revoked one again, as it may: everybody takes that, as whoever
/// reads late must, and nobody writes to it.
#[test]
fn a_revoked_device_that_is_added_again_reads_nothing() {
    // Chance decides who removes it.
    for seed in [407, 408, 409] {
        added_again(seed);
    }
}

fn added_again(seed: u64) {
    let mut world = friends(seed, &["alice", "bob", "carol", "mallory"]);
    let tablet = world.link("mallory", "mallory tablet");
    world.link("mallory", "mallory desk");
    let group = world.create_group("alice", "night shift", &["bob", "mallory"]);
    world.sleep(4 * DAY);
    world.run(60);
    world.settle();
    for name in ["mallory", "mallory tablet"] {
        world.set_online(name, false);
    }
    let inboxes = world.queues("mallory tablet");
    let account = world.account("mallory");
    let package = world
        .relay()
        .store_mut()
        .take_key_package(&wire::FetchKeyPackage {
            account,
            device: tablet,
            suite: keys::Suite::Hybrid,
        });
    let package = package.unwrap();
    world.revoke("mallory desk", tablet, Reason::Stolen);
    world.run(30);
    // Before a letter they ask for the log.
    for name in ["alice", "bob"] {
        world.write_to_group(name, group, "it is gone");
        world.settle();
        assert!(!still_has(&world, name, group, &tablet));
    }
    // From now on the relay hides the revocation from whoever has not seen it, and has a key package of before.
    world.stop("mallory desk");
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::CheckLog(asked), Reply::Entries(_)) if asked.account == account => {
                Reply::Done
            }
            (Request::FetchKeyPackage(asked), Reply::Refused(_)) if asked.device == tablet => {
                Reply::KeyPackage(package.clone())
            }
            (_, reply) => reply,
        });
    world.set_online("mallory", true);
    world.settle();
    world.add_to_group("alice", group, &["carol"]).unwrap();
    let came = (0..60).any(|_| {
        world.run(1);
        still_has(&world, "bob", group, &tablet)
    });
    assert!(came, "the device was not added again");
    let from = world.relay().heard().len();
    world.write_to_group("bob", group, "without it");
    world.run(30);
    let texts = world.group_texts("alice", group);
    assert_eq!(texts, ["it is gone", "without it"]);
    let mut letters = 0;
    for request in world.relay().heard().iter().skip(from) {
        if let Request::SendInEpoch(sent) = request
            && sent.next.is_none()
        {
            let mut rows = sent.send.rows.iter();
            assert!(!rows.any(|row| inboxes.contains(&row.queue_id)));
            letters += 1;
        }
    }
    assert!(letters > 0);
    // Mallory adds it as often as it is removed, until she hears of it.
    world.relay().repent();
    world.run(200);
    assert!(!still_has(&world, "bob", group, &tablet));
}

/// The relay hides from now on that somebody's log goes on, from whoever has not seen it.
fn hides(world: &mut World, name: &str) {
    let account = world.account(name);
    world
        .relay()
        .twist(move |request, reply| match (request, reply) {
            (Request::CheckLog(asked), Reply::Entries(_)) if asked.account == account => {
                Reply::Done
            }
            (_, reply) => reply,
        });
}

/// Whether a letter of a group was handed to the relay for one of these queues, after so many requests; there was one.
fn written_to(world: &mut World, queues: &[keys::QueueId], from: usize) -> bool {
    let mut letters = 0;
    let mut found = false;
    for request in world.relay().heard().iter().skip(from) {
        if let Request::SendInEpoch(sent) = request
            && sent.next.is_none()
        {
            let mut rows = sent.send.rows.iter();
            found |= rows.any(|row| queues.contains(&row.queue_id));
            letters += 1;
        }
    }
    assert!(letters > 0);
    found
}

/// What changed in a group, as somebody was told.
fn changes(world: &World, name: &str) -> Vec<engine::Change> {
    let events = world.person(name).events.iter();
    let told = events.filter_map(|event| match event {
        Event::GroupChanged { changes, .. } => Some(changes.clone()),
        _ => None,
    });
    told.flatten().collect()
}

/// A revoked device of an admin adds somebody before the members hear of the revocation, as a relay can bring about: they see
/// whom it added, and it is removed before their next letter.
#[test]
fn whom_a_revoked_device_adds_is_seen_and_it_goes() {
    let mut world = friends(414, &["alice", "bob", "carol", "dave"]);
    let tablet = world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let admin = engine::records::DataChange {
        role: Some((world.account("bob"), engine::Role::Admin)),
        ..engine::records::DataChange::default()
    };
    world.change_group("alice", group, admin).unwrap();
    world.sleep(4 * DAY);
    world.run(60);
    world.settle();
    world.set_online("bob tablet", false);
    revoke_and_vanish(&mut world, "bob", tablet);
    hides(&mut world, "bob");
    world.set_online("bob tablet", true);
    world.run(5);
    world.add_to_group("bob tablet", group, &["dave"]).unwrap();
    world.run(10);
    let dave = world.device("dave");
    for name in ["alice", "carol"] {
        assert!(still_has(&world, name, group, &dave), "{name}");
        assert!(still_has(&world, name, group, &tablet), "{name}");
        let added = |change: &engine::Change| matches!(change, engine::Change::Added(leaf) if leaf.device == dave);
        assert!(changes(&world, name).iter().any(added), "{name}");
    }
    world.relay().repent();
    world.run(60);
    let inboxes = world.queues("bob tablet");
    let from = world.relay().heard().len();
    world.write_to_group("alice", group, "who is this?");
    world.run(10);
    assert!(!written_to(&mut world, &inboxes, from));
    assert_eq!(world.group_texts("dave", group), ["who is this?"]);
    for name in ["alice", "carol", "dave"] {
        assert!(!still_has(&world, name, group, &tablet), "{name}");
        let gone = |change: &engine::Change| matches!(change, engine::Change::Removed(leaf) if leaf.device == tablet);
        assert!(changes(&world, name).iter().any(gone), "{name}");
    }
}

/// A revoked device that was removed comes back by a commit from outside, led in by a member from whom the relay hides the
/// revocation. Whoever knows of it takes that commit, as whoever reads late must, and removes the device again.
#[test]
fn a_revoked_device_that_comes_back_from_outside_goes_again() {
    let mut world = friends(415, &["alice", "bob", "carol"]);
    let tablet = world.link("bob", "bob tablet");
    world.link("bob", "bob desk");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    world.sleep(4 * DAY);
    world.run(60);
    world.settle();
    for name in ["bob tablet", "carol", "bob"] {
        world.set_online(name, false);
    }
    world.revoke("bob desk", tablet, Reason::Stolen);
    world.run(30);
    world.write_to_group("alice", group, "it is gone");
    world.settle();
    assert!(!still_has(&world, "alice", group, &tablet));
    world.stop("bob desk");
    // The tablet does not get the commit that removed it, nor hear why.
    let inboxes = world.queues("bob tablet");
    let lost = inboxes.clone();
    world.relay().distort(move |deliver| {
        match lost.contains(&deliver.queue_id) && deliver.body.first() == Some(&3) {
            true => Vec::new(),
            false => vec![deliver],
        }
    });
    hides(&mut world, "bob");
    world.set_online("bob tablet", true);
    world.set_online("carol", true);
    world.run(10);
    world.relay().repent();
    hides(&mut world, "bob");
    world.write_to_group("bob tablet", group, "am I out?");
    let came = (0..300).any(|_| {
        world.run(1);
        still_has(&world, "alice", group, &tablet)
    });
    assert!(came, "the device did not come back");
    // Without a letter it goes within a while; with one, before that letter.
    world.run(15);
    assert!(!still_has(&world, "alice", group, &tablet));
    let from = world.relay().heard().len();
    world.write_to_group("alice", group, "it is gone again");
    world.settle();
    assert!(!written_to(&mut world, &inboxes, from));
    assert!(
        world
            .group_texts("carol", group)
            .contains(&"it is gone again".to_owned())
    );
    assert!(
        !world
            .group_texts("bob tablet", group)
            .contains(&"it is gone again".to_owned())
    );
}

#[test]
fn who_writes_in_one_group_asks_in_all() {
    let (mut world, names) = host(410, 10);
    let tablet = world.link("guest9", "guest9 tablet");
    let members: Vec<&str> = names[..9].iter().map(String::as_str).collect();
    let crowd = world.create_group("host", "everybody", &members);
    let few = world.create_group("host", "two", &["guest9"]);
    world.sleep(4 * DAY);
    world.run(80);
    world.set_online("guest9 tablet", false);
    revoke_and_vanish(&mut world, "guest9", tablet);
    assert!(still_has(&world, "host", few, &tablet));
    for _ in 0..ROUND / 50 {
        world.write_to_group("host", crowd, "and so on");
        world.run(50);
    }
    assert!(!still_has(&world, "host", few, &tablet));
}
