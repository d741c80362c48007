//! Letters of before, for somebody who joins a group.

use crate::groups::friends;
use engine::{Amend, Engine, Event, Item, Remark, Table};
use keys::{GroupId, LetterId};
use letterlock_testkit::World;

/// Alice, Bob and a group in which they have written; Carol and Dave are not in it.
fn begun(seed: u64) -> (World, GroupId, Vec<LetterId>) {
    let mut world = friends(seed, &["alice", "bob", "carol", "dave"]);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let mut letters = Vec::new();
    for (name, text) in [
        ("alice", "one"),
        ("bob", "two"),
        ("alice", "three"),
        ("bob", "four"),
    ] {
        letters.push(world.write_to_group(name, group, text));
        world.settle();
    }
    (world, group, letters)
}

fn texts(world: &World, name: &str, group: GroupId) -> Vec<String> {
    let letters = world.group_letters(name, group).into_iter();
    letters.map(|letter| letter.text).collect()
}

fn refused(world: &World, name: &str) -> bool {
    world.was_told(name, |event| matches!(event, Event::HistoryRefused { .. }))
}

/// The accounts that hold a letter for sure in somebody's eyes, and whether it was shared with each.
fn holders(world: &World, name: &str, letter: LetterId) -> Vec<(String, bool)> {
    holders_of(world, &["alice", "bob", "carol", "dave"], (name, letter))
}

/// The same where these people are there.
fn holders_of(
    world: &World,
    names: &[&str],
    (name, letter): (&str, LetterId),
) -> Vec<(String, bool)> {
    let store = &world.person(name).store;
    let holders = Engine
        .custody(store, &Item::Letter(letter))
        .unwrap()
        .unwrap();
    let mut found: Vec<(String, bool)> = Vec::new();
    for holder in holders.iter().filter(|holder| holder.certain) {
        let who = names
            .iter()
            .find(|name| world.account(name) == holder.account);
        found.push((
            (*who.unwrap()).to_owned(),
            holder.remark == Some(Remark::Shared),
        ));
    }
    found.sort();
    found.dedup();
    found
}

fn owned(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter()
        .map(|(who, shared)| ((*who).to_owned(), *shared))
        .collect()
}

#[test]
fn nothing_of_before_is_readable() {
    let (mut world, group, letters) = begun(601);
    world.add_to_group("alice", group, &["carol"]).unwrap();
    world.settle();
    world.write_to_group("bob", group, "five");
    world.settle();
    assert_eq!(texts(&world, "carol", group), ["five"]);
    assert_eq!(
        holders(&world, "alice", letters[0]),
        owned(&[("alice", false), ("bob", false)])
    );
}

#[test]
fn history_is_shared_and_custody_says_so() {
    let (mut world, group, letters) = begun(602);
    world.link("carol", "carol tablet");
    world.edit("bob", letters[1], "zwei");
    world.react("alice", letters[3], "👍");
    world.settle();
    world
        .add_with_history("alice", group, &["carol"], 3)
        .unwrap();
    world.run(30);
    for name in ["carol", "carol tablet"] {
        assert_eq!(
            texts(&world, name, group),
            ["zwei", "three", "four"],
            "{name}"
        );
        let shared = world.group_letters(name, group);
        let alice = Some(world.account("alice"));
        assert!(shared.iter().all(|letter| letter.marks.shared_by == alice));
        assert_eq!(shared[0].author, Some(world.account("bob")));
        assert_eq!(shared[0].marks.edit, 1);
        assert_eq!(world.reactions(name, letters[3]).len(), 1, "{name}");
        let at = world.letter("bob", letters[1]).unwrap().sent_at;
        assert_eq!(shared[0].sent_at, at);
    }
    // Everybody is told, and knows with whom which letters were shared.
    for name in ["alice", "bob", "carol"] {
        let (by, whom) = (world.account("alice"), world.account("carol"));
        let told = |event: &Event| matches!(event, Event::HistoryShared { by: host, with, letters: 3, .. } if (*host, *with) == (by, whom));
        assert!(world.was_told(name, told), "{name}");
    }
    let before = owned(&[("alice", false), ("bob", false)]);
    let after = owned(&[("alice", false), ("bob", false), ("carol", true)]);
    for name in ["alice", "bob"] {
        assert_eq!(holders(&world, name, letters[0]), before, "{name}");
        for letter in &letters[1..] {
            assert_eq!(holders(&world, name, *letter), after, "{name}");
        }
    }
    assert_eq!(
        holders(&world, "carol", letters[1]),
        owned(&[("carol", true)])
    );
    // An edit of a letter that was shared reaches Carol, too.
    world.edit("bob", letters[3], "vier");
    world.settle();
    assert_eq!(texts(&world, "carol", group), ["zwei", "three", "vier"]);
    // Whoever comes without history has none.
    world.add_to_group("alice", group, &["dave"]).unwrap();
    world.run(30);
    assert!(texts(&world, "dave", group).is_empty());
}

#[test]
fn what_is_gone_is_not_shared_and_what_goes_goes() {
    let (mut world, group, letters) = begun(603);
    world.amend("bob", letters[1], Amend::Delete).unwrap();
    let draft = engine::Draft {
        text: "for an hour".to_owned(),
        expires_after: Some(3600),
        ..engine::Draft::default()
    };
    let short = LetterId::random(world.chance().rng());
    world.command("alice", |command| engine::Input::SendLetter {
        command,
        letter: short,
        to: keys::AccountId::from_bytes(*group.as_bytes()),
        draft,
    });
    world.settle();
    world.sleep(1800);
    world
        .add_with_history("alice", group, &["carol"], 100)
        .unwrap();
    world.run(30);
    assert_eq!(
        texts(&world, "carol", group),
        ["one", "three", "four", "for an hour"]
    );
    let (here, there) = (world.letter("alice", short), world.letter("carol", short));
    assert_eq!(here.unwrap().expires_at, there.unwrap().expires_at);
    world.sleep(1800);
    world.settle();
    assert!(world.letter("carol", short).is_none());
}

#[test]
fn a_rival_who_adds_first_shares_nothing() {
    let (mut world, group, _) = begun(604);
    let bob = world.account("bob");
    let change = engine::records::DataChange {
        role: Some((bob, engine::Role::Admin)),
        ..engine::records::DataChange::default()
    };
    world.change_group("alice", group, change).unwrap();
    world.settle();
    world.set_online("alice", false);
    world.add_to_group("bob", group, &["carol"]).unwrap();
    world.settle();
    let carol = world.account("carol");
    world.begin("alice", |command| engine::Input::AddToGroup {
        command,
        group,
        members: vec![carol],
        history: 4,
    });
    world.set_online("alice", true);
    world.run(60);
    assert!(world.is_in_group("carol", group));
    assert!(texts(&world, "carol", group).is_empty());
}

/// Alice adds Carol with history, which stays in her outbox until she starts again.
fn held(seed: u64) -> (World, GroupId, Vec<LetterId>) {
    let (mut world, group, letters) = begun(seed);
    world.hold_parts(true);
    world
        .add_with_history("alice", group, &["carol"], 4)
        .unwrap();
    world.run(30);
    assert!(world.is_in_group("carol", group));
    assert!(texts(&world, "carol", group).is_empty());
    (world, group, letters)
}

fn release(world: &mut World, name: &str) {
    world.stop(name);
    world.hold_parts(false);
    world.start(name);
    world.run(30);
}

fn host_row(group: GroupId) -> Vec<u8> {
    [&b"history-host/"[..], group.as_bytes()].concat()
}

#[test]
fn history_has_an_end() {
    let (mut world, group, _) = held(605);
    // Carol has been sent 497 letters already.
    let row = host_row(group);
    let (old, new) = (0_u64.to_be_bytes(), 497_u64.to_be_bytes());
    world.forge("carol", (Table::Meta, &row), &old, &new);
    release(&mut world, "alice");
    assert!(texts(&world, "carol", group).is_empty());
    assert!(refused(&world, "carol"));
}

#[test]
fn history_is_told_by_the_host_alone() {
    let (mut world, group, _) = held(606);
    // It was Bob who let Carol in.
    let (alice, bob) = (world.account("alice"), world.account("bob"));
    let row = host_row(group);
    world.forge(
        "carol",
        (Table::Meta, &row),
        alice.as_bytes(),
        bob.as_bytes(),
    );
    release(&mut world, "alice");
    assert!(texts(&world, "carol", group).is_empty());
    assert!(refused(&world, "carol"));
}

#[test]
fn history_comes_late_or_not_at_all() {
    let (mut world, group, _) = held(607);
    world.sleep(31 * 24 * 3600);
    release(&mut world, "alice");
    assert!(texts(&world, "carol", group).is_empty());
    assert!(refused(&world, "carol"));
}

#[test]
fn history_is_of_its_group_and_of_what_others_wrote() {
    let (mut world, group, letters) = begun(608);
    let other = world.create_group("alice", "day shift", &["bob"]);
    // Alice's program says that a letter is of another group.
    world.forge_letter("alice", letters[2], group.as_bytes(), other.as_bytes());
    world
        .add_with_history("alice", group, &["carol"], 4)
        .unwrap();
    world.run(30);
    assert!(texts(&world, "carol", group).is_empty());
    assert!(refused(&world, "carol"));
    // And that Dave wrote one.
    world.forge_letter("alice", letters[2], other.as_bytes(), group.as_bytes());
    let (alice, dave) = (world.account("alice"), world.account("dave"));
    let (old, new) = (
        [&[0; 4][..], alice.as_bytes()],
        [&[0; 4][..], dave.as_bytes()],
    );
    world.forge_letter("alice", letters[2], &old.concat(), &new.concat());
    world
        .add_with_history("alice", group, &["dave"], 4)
        .unwrap();
    world.run(30);
    assert_eq!(texts(&world, "dave", group), ["one", "two", "four"]);
}

#[test]
fn history_overwrites_nothing() {
    let (mut world, group, letters) = begun(609);
    world.add_to_group("alice", group, &["carol"]).unwrap();
    world.settle();
    let known = world.write_to_group("bob", group, "true");
    let gone = world.write_to_group("bob", group, "gone");
    world.settle();
    world.delete("carol", gone);
    world.remove_from_group("alice", group, &["carol"]).unwrap();
    world.settle();
    world.forge_letter("alice", known, b"true", b"fals");
    world
        .add_with_history("alice", group, &["carol"], 100)
        .unwrap();
    world.run(30);
    let shown = texts(&world, "carol", group);
    assert_eq!(shown, ["true", "one", "two", "three", "four"]);
    assert_eq!(world.letter("carol", known).unwrap().marks.shared_by, None);
    assert!(world.letter("carol", gone).is_none());
    assert!(
        world
            .letter("carol", letters[0])
            .unwrap()
            .marks
            .shared_by
            .is_some()
    );
}

#[test]
fn custody_of_a_group_is_who_is_in_it() {
    let (mut world, group, _) = begun(610);
    let who = |world: &World, name: &str| {
        let store = &world.person(name).store;
        let holders = Engine.custody(store, &Item::Group(group)).unwrap();
        let mut accounts: Vec<_> = holders
            .unwrap()
            .iter()
            .map(|holder| holder.account)
            .collect();
        accounts.sort_unstable();
        accounts
    };
    let mut both = vec![world.account("alice"), world.account("bob")];
    both.sort_unstable();
    assert_eq!(who(&world, "alice"), both);
    world.leave_group("bob", group).unwrap();
    world.run(60);
    assert_eq!(who(&world, "alice"), [world.account("alice")]);
    assert!(who(&world, "bob").is_empty());
}

#[test]
fn custody_names_the_newcomers_who_got_a_letter_and_no_others() {
    const PEOPLE: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let mut world = friends(611, &PEOPLE);
    let group = world.create_group("alice", "night shift", &["bob"]);
    let mut letters = Vec::new();
    for text in ["one", "two", "three"] {
        letters.push(world.write_to_group("bob", group, text));
        world.settle();
    }
    // Carol and Dave get two letters, Erin none, Frank one.
    for (who, history) in [(&["carol", "dave"][..], 2), (&["erin"], 0), (&["frank"], 1)] {
        world
            .add_with_history("alice", group, who, history)
            .unwrap();
        world.run(30);
    }
    let late = world.write_to_group("bob", group, "late");
    world.settle();
    let holders =
        |world: &World, name: &str, letter: LetterId| holders_of(world, &PEOPLE, (name, letter));
    let with = |shared: &[&str]| -> Vec<(String, bool)> {
        let mut list = owned(&[("alice", false), ("bob", false)]);
        list.extend(shared.iter().map(|who| ((*who).to_owned(), true)));
        list
    };
    let [one, two, three] = letters[..] else {
        unreachable!("three letters")
    };
    // Whoever has the letter from its author knows the same.
    for name in ["alice", "bob"] {
        assert_eq!(holders(&world, name, one), with(&[]), "{name}");
        let list = with(&["carol", "dave"]);
        assert_eq!(holders(&world, name, two), list, "{name}");
        let list = with(&["carol", "dave", "frank"]);
        assert_eq!(holders(&world, name, three), list, "{name}");
        let all = PEOPLE.map(|who| (who, false));
        assert_eq!(holders(&world, name, late), owned(&all), "{name}");
    }
    // And that is who has it.
    for (name, texts_of_before) in [
        ("carol", &["two", "three"][..]),
        ("dave", &["two", "three"]),
        ("erin", &[]),
        ("frank", &["three"]),
    ] {
        let expected = [texts_of_before, &["late"]].concat();
        assert_eq!(texts(&world, name, group), expected, "{name}");
    }
    // A device that Carol links later was sent none of them.
    let tablet = world.link("carol", "carol tablet");
    world.run(30);
    assert!(world.group_devices("alice", group).contains(&tablet));
    let store = &world.person("alice").store;
    let item = Item::Letter(two);
    let listed = Engine.custody(store, &item).unwrap().unwrap();
    let has = |device| listed.iter().any(|holder| holder.device == Some(device));
    assert!(has(world.device("carol")) && !has(tablet));
    // Who was added without stays without, also when she is put out and added anew, and Carol keeps what she got.
    world
        .remove_from_group("alice", group, &["carol", "erin"])
        .unwrap();
    world.settle();
    world
        .add_to_group("alice", group, &["carol", "erin"])
        .unwrap();
    world.run(30);
    let list = with(&["carol", "dave", "frank"]);
    assert_eq!(holders(&world, "bob", three), list);
}
