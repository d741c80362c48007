//! Conversations of two where sessions of two cannot be: groups of two accounts, shown as what they are for.

use crate::from;
use engine::records::{GroupStanding, LetterState};
use engine::{
    Amend, CommandOutcome, Draft, Engine, EngineError, Event, Input, Item, Snapshot as _, Table,
    VerificationMeans,
};
use keys::account_log::{Authority, Reason};
use keys::{GroupId, Suite};
use letterlock_testkit::{CrashPoint, Weather, World};
use wire::{Reply, Request};

/// Two people of `cnsa2` who know each other, each with a tablet.
fn two(seed: u64) -> World {
    let mut world = World::new(seed);
    for name in ["alice", "bob"] {
        world.join_in(name, Suite::Cnsa2);
    }
    world.befriend("alice", "bob");
    world.link("alice", "alice tablet");
    world.link("bob", "bob tablet");
    world.run(30);
    world
}

const ALICE: [&str; 2] = ["alice", "alice tablet"];
const BOB: [&str; 2] = ["bob", "bob tablet"];

fn pairs(world: &World, home: &str, other: &str) -> Vec<GroupId> {
    let contact = world.account(other);
    let pairs = Engine.pairs(&world.person(home).store, &contact).unwrap();
    assert!(pairs.iter().all(|pair| pair.standing == GroupStanding::In));
    pairs.iter().map(|pair| pair.id).collect()
}

fn all_have(world: &World, texts: &[&str]) {
    for (homes, other) in [(ALICE, "bob"), (BOB, "alice")] {
        for home in homes {
            assert_eq!(world.texts(home, other), texts, "{home}");
        }
    }
}

/// In which group the relay handed the last thing out.
fn last_group(world: &mut World) -> GroupId {
    let heard = world.relay().heard().iter().rev();
    let mut groups = heard.filter_map(|request| match request {
        Request::SendInEpoch(send) => Some(send.group),
        _ => None,
    });
    groups.next().unwrap()
}

#[test]
fn two_people_write_to_each_other_from_all_their_devices() {
    let mut world = two(2300);
    world.send("alice", "bob", "hello");
    world.run(30);
    assert_eq!(world.read("bob"), from("alice", &["hello"]));
    world.send("bob tablet", "alice", "hello yourself");
    world.settle();
    assert_eq!(world.read("alice"), from("bob", &["hello yourself"]));
    world.send("alice tablet", "bob", "both of me");
    world.settle();
    all_have(&world, &["hello", "hello yourself", "both of me"]);
    for home in ALICE.into_iter().chain(BOB) {
        // It is no group to people, and there is no session.
        let store = &world.person(home).store;
        assert!(Engine.groups(store).unwrap().is_empty());
        let joined = |event: &Event| {
            matches!(
                event,
                Event::GroupJoined { .. } | Event::GroupChanged { .. }
            )
        };
        assert!(!world.was_told(home, joined), "{home}");
        let sessions = store.scan(Table::Session, &[], None, 9);
        assert!(sessions.unwrap().is_empty());
    }
    let letter = world.person("alice").letters("bob").pop().unwrap();
    assert_eq!(letter.state, LetterState::Sent);
    assert_eq!(pairs(&world, "alice", "bob").len(), 1);
}

#[test]
fn replies_timers_read_marks_and_deletes_are_as_ever() {
    let mut world = two(2301);
    let first = world.send("alice", "bob", "question");
    world.run(30);
    let answer = Draft {
        text: "answer".to_owned(),
        reply_to: Some(first),
        expires_after: Some(3600),
        ..Draft::default()
    };
    let answer = world.send_draft("bob", "alice", answer).unwrap();
    world.settle();
    let seen = Engine
        .letter(&world.person("alice").store, &answer)
        .unwrap();
    let seen = seen.unwrap();
    assert_eq!(seen.reply_to, Some(first));
    assert_eq!(seen.expires_after, Some(3600));
    assert_eq!(world.read("alice"), from("bob", &["answer"]));
    world.run(30);
    let state = |world: &World, home: &str| {
        let letter = Engine.letter(&world.person(home).store, &answer);
        letter.unwrap().map(|letter| letter.state)
    };
    assert_eq!(state(&world, "alice tablet"), Some(LetterState::Read));
    world.sleep(2 * 3600);
    world.run(60);
    for home in ALICE.into_iter().chain(BOB) {
        assert_eq!(state(&world, home), None, "{home}");
    }
    world.delete("bob", first);
    world.run(30);
    for home in BOB {
        assert!(world.texts(home, "alice").is_empty(), "{home}");
    }
    assert_eq!(world.texts("alice", "bob"), ["question"]);
}

#[test]
fn two_that_begin_at_once_read_both_and_go_on_in_one() {
    for seed in 2310..2314 {
        let mut world = two(seed);
        for name in ["alice", "bob", "alice tablet"] {
            world.set_online(name, false);
        }
        world.send("alice", "bob", "from alice");
        world.send("bob", "alice", "from bob");
        world.send("alice tablet", "bob", "from the tablet");
        for name in ["alice", "bob", "alice tablet"] {
            world.set_online(name, true);
        }
        world.run(120);
        world.settle();
        let lowest = pairs(&world, "alice", "bob")[0];
        for (home, other) in [
            ("alice", "bob"),
            ("alice tablet", "bob"),
            ("bob", "alice"),
            ("bob tablet", "alice"),
        ] {
            let mut texts = world.texts(home, other);
            texts.sort();
            assert_eq!(
                texts,
                ["from alice", "from bob", "from the tablet"],
                "{home}"
            );
            assert_eq!(pairs(&world, home, other)[0], lowest, "{home}");
            assert_eq!(pairs(&world, home, other).len(), 3, "{home}");
        }
        for (home, other) in [("bob tablet", "alice"), ("alice", "bob")] {
            world.send(home, other, "after");
            world.settle();
            assert_eq!(last_group(&mut world), lowest);
        }
    }
}

#[test]
fn a_strangers_pair_is_a_request() {
    let mut world = World::new(2320);
    world.join_in("alice", Suite::Cnsa2);
    world.link("alice", "tablet");
    world.join_in("mallory", Suite::Cnsa2);
    world.add_by_name("mallory", "alice").unwrap();
    world.run(30);
    world.send("mallory", "alice", "do you know me?");
    world.run(60);
    assert_eq!(world.read("alice"), from("mallory", &["do you know me?"]));
    assert!(world.person("alice").contact("mallory").unwrap().request);
    let asked = |event: &Event| matches!(event, Event::ContactRequest { .. });
    assert!(world.was_told("alice", asked));
    // Not even that there is another device.
    world.link("alice", "desk");
    // Nothing shows Mallory that anybody is there: nothing that Alice said reached her queues.
    let queues = world.queues("mallory");
    let account = world.account("mallory");
    world.run(4 * 60);
    let heard = world.relay().heard().iter();
    let to_mallory = heard.filter(|request| match request {
        Request::Send(send) => send.rows.iter().any(|row| queues.contains(&row.queue_id)),
        _ => false,
    });
    assert_eq!(to_mallory.count(), 0);
    let sent = Engine
        .pairs(&world.person("alice").store, &account)
        .unwrap();
    assert_eq!(sent[0].epoch, 1);
    // An answer accepts, and all devices are in.
    world.send("tablet", "mallory", "now I do");
    world.run(120);
    assert_eq!(world.read("mallory"), from("alice", &["now I do"]));
    assert!(!world.person("alice").contact("mallory").unwrap().request);
    world.send("mallory", "alice", "thanks");
    world.settle();
    for home in ["alice", "tablet", "desk"] {
        assert_eq!(
            world.texts(home, "mallory").last().unwrap(),
            "thanks",
            "{home}"
        );
    }
}

#[test]
fn a_blocked_contact_is_not_heard_in_a_pair() {
    let mut world = two(2330);
    world.send("alice", "bob", "before");
    world.run(30);
    let block = |world: &mut World, blocked| {
        let contact = world.account("alice");
        let done = world.command("bob", |command| Input::Block {
            command,
            contact,
            blocked,
        });
        assert!(matches!(done, CommandOutcome::Done));
        world.run(30);
    };
    block(&mut world, true);
    world.send("alice", "bob", "while blocked");
    world.settle();
    for home in BOB {
        assert_eq!(world.texts(home, "alice"), ["before"], "{home}");
    }
    let refused = world.send_draft(
        "bob",
        "alice",
        Draft {
            text: "to nobody".to_owned(),
            ..Draft::default()
        },
    );
    assert!(matches!(refused, Err(EngineError::Blocked)));
    block(&mut world, false);
    world.send("alice", "bob", "after");
    world.settle();
    for home in BOB {
        assert_eq!(world.texts(home, "alice"), ["before", "after"], "{home}");
    }
}

#[test]
fn devices_come_and_go_and_an_account_that_came_back_is_in() {
    let mut world = two(2340);
    let sheet = world.make_sheet("bob");
    world.send("alice", "bob", "one");
    world.run(30);
    world.link("bob", "bob desk");
    world.run(60);
    world.send("bob desk", "alice", "two");
    world.settle();
    all_have(&world, &["one", "two"]);
    world.sleep(4 * 24 * 3600);
    let desk = world.device("bob desk");
    world.revoke("bob", desk, Reason::Lost);
    world.run(60);
    world.send("alice", "bob", "three");
    world.settle();
    all_have(&world, &["one", "two", "three"]);
    assert_eq!(world.texts("bob desk", "alice"), ["one", "two"]);
    // All devices of Bob are lost.
    world.run(60);
    for home in BOB {
        world.stop(home);
    }
    let restored = world.restore("bob anew", &sheet);
    assert!(
        matches!(restored, CommandOutcome::Linked(_)),
        "{restored:?}"
    );
    world.run(300);
    let gone = BOB.map(|home| world.device(home));
    world.sleep(8 * 24 * 3600);
    for device in gone {
        world.revoke("bob anew", device, Reason::Lost);
    }
    world.run(300);
    world.send("alice tablet", "bob", "are you there?");
    world.run(300);
    assert_eq!(
        world.texts("bob anew", "alice").last().unwrap(),
        "are you there?"
    );
    world.send("bob anew", "alice", "I am");
    world.run(120);
    for home in ALICE {
        assert_eq!(world.texts(home, "bob").last().unwrap(), "I am", "{home}");
    }
}

#[test]
fn bad_networks_and_programs_that_die_lose_no_letter() {
    for (seed, point) in (2350..).zip([
        CrashPoint::BeforeStore,
        CrashPoint::AfterStore,
        CrashPoint::AfterSend,
    ]) {
        let mut world = two(seed);
        world.set_weather(Weather::storm());
        for (round, steps) in [1, 3, 6].into_iter().enumerate() {
            world.crash("bob", point, steps);
            world.send("alice", "bob", &format!("{round} from alice"));
            world.run(60);
            world.forget_crash("bob");
            world.start("bob");
            world.send("bob", "alice", &format!("{round} from bob"));
            world.run(60);
        }
        world.run(300);
        world.settle();
        for (homes, other) in [(ALICE, "bob"), (BOB, "alice")] {
            for home in homes {
                let texts = world.texts(home, other);
                assert_eq!(texts.len(), 6, "{home}: {texts:?}");
            }
        }
    }
}

#[test]
fn who_is_set_back_comes_back_into_its_conversation() {
    let mut world = two(2360);
    world.send("alice", "bob", "one");
    world.run(30);
    let backup = world.person("bob").store.clone();
    world.sleep(8 * 24 * 3600); // All give themselves new keys.
    world.run(60);
    world.stop("bob");
    world.person_mut("bob").store = backup;
    world.start("bob");
    world.run(60);
    world.send("alice", "bob", "two");
    world.run(180);
    world.send("bob", "alice", "three");
    world.run(60);
    all_have_last(&world, "three");
}

fn all_have_last(world: &World, text: &str) {
    for (homes, other) in [(ALICE, "bob"), (BOB, "alice")] {
        for home in homes {
            assert_eq!(world.texts(home, other).last().unwrap(), text, "{home}");
        }
    }
}

#[test]
fn custody_of_a_letter_of_two_names_their_devices() {
    let mut world = two(2370);
    let letter = world.send("alice", "bob", "who can read this?");
    world.run(30);
    let store = &world.person("alice").store;
    let holders = Engine.custody(store, &Item::Letter(letter)).unwrap();
    let mut devices: Vec<_> = holders
        .unwrap()
        .iter()
        .filter_map(|holder| holder.device)
        .collect();
    let mut expected: Vec<_> = ALICE
        .into_iter()
        .chain(BOB)
        .map(|home| world.device(home))
        .collect();
    devices.sort();
    expected.sort();
    assert_eq!(devices, expected);
}

#[test]
fn nothing_that_people_do_to_groups_is_done_to_a_pair() {
    let mut world = two(2380);
    world.join_in("carol", Suite::Cnsa2);
    world.befriend("alice", "carol");
    world.send("alice", "bob", "one");
    world.run(30);
    let pair = pairs(&world, "alice", "bob")[0];
    let added = world.add_to_group("alice", pair, &["carol"]);
    assert!(matches!(added, Err(EngineError::UnknownGroup)));
    let removed = world.remove_from_group("alice", pair, &["bob"]);
    assert!(matches!(removed, Err(EngineError::UnknownGroup)));
    let left = world.leave_group("alice", pair);
    assert!(matches!(left, Err(EngineError::UnknownGroup)));
    assert!(
        world
            .try_write_to_group("alice", pair, "by its id")
            .is_err()
    );
}

#[test]
fn a_relay_that_starts_from_nothing_learns_all_again() {
    let mut world = World::new(2390);
    let empty = world.relay().store().clone();
    for name in ["alice", "bob"] {
        world.join_in(name, Suite::Cnsa2);
    }
    world.befriend("alice", "bob");
    world.send("alice", "bob", "one");
    world.run(30);
    world.roll_back_relay(empty);
    world.run(120);
    world.send("alice", "bob", "two");
    world.send("bob", "alice", "three");
    world.run(120);
    assert_eq!(world.texts("bob", "alice").len(), 3);
    assert_eq!(world.texts("alice", "bob").len(), 3);
    // Somebody new finds front doors and key packages there.
    world.join_in("carol", Suite::Cnsa2);
    world.befriend("carol", "bob");
    world.send("carol", "bob", "hello");
    world.run(60);
    assert_eq!(world.texts("bob", "carol"), ["hello"]);
}

#[test]
fn a_pair_has_one_relay() {
    let mut world = World::new(2391);
    let other = "https://elsewhere.example";
    world.add_relay(other);
    world.join_in("alice", Suite::Cnsa2);
    world.join_in_at("bob", other, Suite::Cnsa2);
    world.befriend("alice", "bob");
    let draft = Draft {
        text: "hello".to_owned(),
        ..Draft::default()
    };
    let refused = world.send_draft("alice", "bob", draft);
    assert!(matches!(refused, Err(EngineError::OtherRelay { .. })));
    assert!(world.texts("alice", "bob").is_empty());
}

#[test]
fn a_contact_who_has_published_nothing_yet_is_waited_for() {
    let mut world = World::new(2392);
    for name in ["alice", "bob"] {
        world.join_in(name, Suite::Cnsa2);
    }
    world.befriend("alice", "bob");
    let gone = (world.account("bob"), world.device("bob"));
    world.relay().twist(move |request, reply| match request {
        Request::FetchKeyPackage(fetch) if (fetch.account, fetch.device) == gone => {
            Reply::Refused(wire::Refused {
                kind: wire::RefusalKind::NotFound,
                message: String::new(),
                retry_after_ms: 0,
                deleted: 0,
            })
        }
        _ => reply,
    });
    world.send("alice", "bob", "hello");
    world.run(60);
    assert!(world.texts("bob", "alice").is_empty());
    world.relay().repent();
    world.run(120);
    assert_eq!(world.texts("bob", "alice"), ["hello"]);
}

#[test]
fn a_revoked_device_gets_no_letter_of_a_pair() {
    let mut world = two(2393);
    world.send("alice", "bob", "before");
    world.run(30);
    world.sleep(4 * 24 * 3600);
    world.run(60);
    // Bob revokes his tablet, and his telephone is off before it can say so in the group.
    let tablet = world.device("bob tablet");
    let queues = world.queues("bob tablet");
    let telephone = world.stolen_keys("bob");
    let (account, now) = (world.account("bob"), world.now());
    let by = Authority::Device(&telephone);
    let log = world.own_log("bob");
    let log = log.revoke(by, &tablet, Reason::Stolen, now).unwrap();
    world.stop("bob");
    world.stop("bob tablet");
    world.relay().store_mut().set_log(&account, log.bytes());
    let from = world.relay().heard().len();
    world.send("alice", "bob", "after");
    world.run(60);
    let heard = world.relay().heard().iter().skip(from);
    let letters = heard.filter_map(|request| match request {
        Request::SendInEpoch(send) if send.next.is_none() => Some(send),
        _ => None,
    });
    let rows: Vec<_> = letters.flat_map(|letter| &letter.send.rows).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| !queues.contains(&row.queue_id)));
    let letter = world.person("alice").letters("bob").pop().unwrap();
    assert_eq!(letter.state, LetterState::Sent);
    world.start("bob");
    world.run(120);
    for home in ALICE.into_iter().chain(["bob"]) {
        let other = if home == "bob" { "alice" } else { "bob" };
        assert_eq!(world.texts(home, other), ["before", "after"], "{home}");
    }
}

#[test]
fn who_read_a_log_before_it_went_on_takes_what_it_says_now() {
    let mut world = two(2394);
    world.send("alice", "bob", "before");
    world.run(30);
    world.sleep(4 * 24 * 3600);
    world.run(120);
    let tablet = world.device("bob tablet");
    let telephone = world.stolen_keys("bob");
    let (account, now) = (world.account("bob"), world.now());
    let log = world.own_log("bob");
    let by = Authority::Device(&telephone);
    let log = log.revoke(by, &tablet, Reason::Stolen, now).unwrap();
    world.stop("bob");
    world.stop("bob tablet");
    // Alice's tablet reads Bob's log, then it goes on, then her telephone reads it and removes his tablet.
    world.send("alice tablet", "bob", "read");
    world.run(5);
    world.relay().store_mut().set_log(&account, log.bytes());
    world.send("alice", "bob", "after");
    world.run(40);
    let group = pairs(&world, "alice", "bob")[0];
    for home in ALICE {
        let refused = |event: &Event| matches!(event, Event::GroupRefused { .. });
        assert!(!world.was_told(home, refused), "{home}");
        assert!(
            !world.group_devices(home, group).contains(&tablet),
            "{home}"
        );
        assert_eq!(
            world.texts(home, "bob"),
            ["before", "read", "after"],
            "{home}"
        );
    }
}

#[test]
fn letters_of_a_pair_are_amended() {
    let mut world = two(2394);
    let letter = world.send("alice", "bob", "at sevem");
    world.run(30);
    world.react("bob tablet", letter, "👍");
    world.edit("alice tablet", letter, "at seven");
    world.settle();
    all_have(&world, &["at seven"]);
    let thumb = |who: &str| vec![(who.to_owned(), "👍".to_owned())];
    for home in ALICE {
        assert_eq!(world.reactions(home, letter), thumb("bob"), "{home}");
    }
    for home in BOB {
        assert_eq!(world.reactions(home, letter), thumb("me"), "{home}");
    }
    let not_his = world.amend("bob", letter, Amend::Edit("at eight".to_owned()));
    assert!(matches!(not_his, Err(EngineError::Amendment(_))));
    world.amend("alice", letter, Amend::Delete).unwrap();
    world.settle();
    all_have(&world, &[""]);
    // A blocked contact says nothing of letters either.
    let letter = world.send("bob", "alice", "mine");
    world.settle();
    let contact = world.account("alice");
    world.command("bob", |command| Input::Block {
        command,
        contact,
        blocked: true,
    });
    world.run(30);
    world.react("alice", letter, "👎");
    world.settle();
    assert!(world.reactions("bob", letter).is_empty());
}

#[test]
fn history_goes_to_an_account_of_cnsa2_in_the_pair() {
    for (seed, suite) in (2395..).zip([Suite::Cnsa2, Suite::Hybrid]) {
        let mut world = World::new(seed);
        for (name, suite) in [("alice", suite), ("bob", suite), ("carol", Suite::Cnsa2)] {
            world.join_in(name, suite);
        }
        world.join_in("dave", Suite::Cnsa2);
        for name in ["bob", "carol", "dave"] {
            world.befriend("alice", name);
        }
        world.link("carol", "carol tablet");
        let group = world.create_group("alice", "night shift", &["bob"]);
        world.write_to_group("alice", group, "of long before");
        world.settle();
        world.write_to_group("bob", group, "of before");
        world.settle();
        let added = world.add_with_history("alice", group, &["carol"], 1);
        added.unwrap();
        world.settle();
        for name in ["carol", "carol tablet"] {
            assert_eq!(world.group_texts(name, group), ["of before"], "{name}");
            let shared = world.group_letters(name, group);
            assert_eq!(shared[0].marks.shared_by, Some(world.account("alice")));
            assert_eq!(shared[0].author, Some(world.account("bob")));
        }
        // It is no letter of the conversation, and whoever comes without history has none.
        assert!(world.texts("carol", "alice").is_empty());
        world.add_to_group("alice", group, &["dave"]).unwrap();
        world.settle();
        assert!(world.is_in_group("dave", group));
        assert!(world.group_texts("dave", group).is_empty());
    }
}

/// Nothing can be said to the newcomer any more: that is told, and keeps nothing else from going on.
#[test]
fn history_for_somebody_who_is_blocked_meanwhile_does_not_come() {
    let mut world = two(2397);
    world.join_in("carol", Suite::Cnsa2);
    world.befriend("alice", "carol");
    let group = world.create_group("alice", "night shift", &["bob"]);
    world.write_to_group("bob", group, "of before");
    world.settle();
    let contact = world.account("carol");
    world.begin("alice", |command| Input::AddToGroup {
        command,
        group,
        members: vec![contact],
        history: 1,
    });
    world.command("alice", |command| Input::Block {
        command,
        contact,
        blocked: true,
    });
    world.settle();
    let told = |event: &Event| matches!(event, Event::HistoryIncomplete { .. });
    assert!(world.was_told("alice", told));
    assert!(world.group_texts("carol", group).is_empty());
    world.write_to_group("alice", group, "it goes on");
    world.settle();
    assert_eq!(world.group_texts("bob", group), ["it goes on"]);
}

#[test]
fn two_accounts_of_different_suites_write_to_each_other() {
    for (seed, suites) in
        (2400..).zip([[Suite::Hybrid, Suite::Cnsa2], [Suite::Cnsa2, Suite::Hybrid]])
    {
        let mut world = World::new(seed);
        for (name, suite) in ["alice", "bob"].into_iter().zip(suites) {
            world.join_in(name, suite);
        }
        world.befriend("alice", "bob");
        for (name, tablet) in [("alice", "alice tablet"), ("bob", "bob tablet")] {
            world.link(name, tablet);
        }
        world.run(30);
        world.send("alice", "bob", "hello");
        world.run(60);
        world.send("bob tablet", "alice", "hello yourself");
        world.settle();
        world.send("alice tablet", "bob", "how are you?");
        world.settle();
        all_have(&world, &["hello", "hello yourself", "how are you?"]);
        let contact = world.account("bob");
        let pairs = Engine
            .pairs(&world.person("alice").store, &contact)
            .unwrap();
        assert_eq!(pairs.len(), 1);
        assert_eq!(pairs[0].suite, Suite::Hybrid);
        let unread = |event: &Event| matches!(event, Event::Undecryptable { .. });
        for home in ALICE.into_iter().chain(BOB) {
            assert!(!world.was_told(home, unread), "{home}");
        }
    }
}

#[test]
fn a_stranger_of_the_other_suite_is_a_request() {
    for (seed, stranger, suite) in [
        (2410, Suite::Hybrid, Suite::Cnsa2),
        (2411, Suite::Cnsa2, Suite::Hybrid),
    ] {
        let mut world = World::new(seed);
        world.join_in("alice", suite);
        world.join_in("mallory", stranger);
        world.add_by_name("mallory", "alice").unwrap();
        world.run(30);
        world.send("mallory", "alice", "do you know me?");
        world.run(60);
        assert_eq!(world.read("alice"), from("mallory", &["do you know me?"]));
        assert!(world.person("alice").contact("mallory").unwrap().request);
        world.send("alice", "mallory", "now I do");
        world.run(60);
        assert_eq!(world.read("mallory"), from("alice", &["now I do"]));
    }
}

#[test]
fn a_pair_takes_the_higher_suite() {
    let mut world = World::new(2420);
    world.join_in("alice", Suite::Cnsa2);
    world.join("bob");
    world.befriend("alice", "bob");
    world.link("alice", "alice tablet");
    world.link("bob", "bob tablet");
    world.run(30);
    world.send("alice", "bob", "before");
    world.run(60);
    let suite = Suite::Cnsa2;
    let upgraded = world.command("bob", |command| Input::UpgradeSuite { command, suite });
    assert!(matches!(upgraded, CommandOutcome::Done), "{upgraded:?}");
    world.run(180);
    world.send("bob", "alice", "I have other keys");
    world.run(90);
    let contact = world.account("bob");
    let means = VerificationMeans::SafetyNumber;
    world.command("alice", |command| Input::MarkVerified {
        command,
        contact,
        means,
    });
    world.run(90);
    world.send("alice", "bob", "I have compared them");
    world.run(90);
    let group = last_group(&mut world);
    world.send("bob tablet", "alice", "good");
    world.run(60);
    assert_eq!(last_group(&mut world), group);
    all_have(
        &world,
        &[
            "before",
            "I have other keys",
            "I have compared them",
            "good",
        ],
    );
    for (homes, other) in [(ALICE, "bob"), (BOB, "alice")] {
        for home in homes {
            let contact = world.account(other);
            let pairs = Engine.pairs(&world.person(home).store, &contact).unwrap();
            let pair = pairs.iter().find(|pair| pair.id == group).unwrap();
            assert_eq!(pair.suite, Suite::Cnsa2, "{home}");
        }
    }
}
