//! Reactions, edits and deletions for everybody, of two and of groups.

use crate::groups::friends;
use engine::{Amend, AmendmentError, EngineError, Event, Table};
use keys::LetterId;
use letterlock_testkit::World;

fn pair(seed: u64) -> World {
    let mut world = friends(seed, &["alice", "bob"]);
    world.send("alice", "bob", "before all");
    world.settle();
    world.send("bob", "alice", "yes?");
    world.settle();
    world
}

fn text(world: &World, name: &str, letter: LetterId) -> String {
    world.letter(name, letter).unwrap().text
}

fn refused(world: &World, name: &str, why: AmendmentError) -> bool {
    world.was_told(
        name,
        |event| matches!(event, Event::AmendmentRefused { error, .. } if *error == why),
    )
}

fn emoji(who: &str, emoji: &str) -> (String, String) {
    (who.to_owned(), emoji.to_owned())
}

#[test]
fn everybody_has_one_reaction_to_a_letter_on_all_devices() {
    let mut world = pair(401);
    world.link("bob", "bob tablet");
    world.link("alice", "alice desk");
    let letter = world.send("alice", "bob", "shall we?");
    world.settle();
    world.react("bob", letter, "🤔");
    world.settle();
    world.react("bob tablet", letter, "👍");
    world.react("alice desk", letter, "🎉");
    world.settle();
    for name in ["bob", "bob tablet"] {
        let shown = world.reactions(name, letter);
        assert_eq!(shown, [emoji("alice", "🎉"), emoji("me", "👍")], "{name}");
    }
    for name in ["alice", "alice desk"] {
        let shown = world.reactions(name, letter);
        assert_eq!(shown, [emoji("bob", "👍"), emoji("me", "🎉")], "{name}");
    }
    // A reaction is no letter, and nobody finds it.
    assert_eq!(world.person("bob").letters("alice").len(), 3);
    assert!(world.person("bob").store.search("👍").is_empty());
    world.react("bob", letter, "");
    world.settle();
    assert_eq!(world.reactions("alice", letter), [emoji("me", "🎉")]);
    // They go with the letter.
    world.delete("alice", letter);
    world.settle();
    assert!(world.letter("alice desk", letter).is_none());
    let rows = world.person("alice desk").store.rows();
    assert!(!rows.into_iter().any(|(_, value)| {
        let value = String::from_utf8_lossy(value);
        value.contains("🎉")
    }));
}

#[test]
fn an_edit_replaces_the_text_everywhere() {
    let mut world = pair(402);
    world.link("bob", "bob tablet");
    world.link("alice", "alice desk");
    let letter = world.send("alice", "bob", "at sevem");
    world.settle();
    world.edit("alice desk", letter, "at seven");
    world.settle();
    for name in ["alice", "alice desk", "bob", "bob tablet"] {
        assert_eq!(text(&world, name, letter), "at seven", "{name}");
        let store = &world.person(name).store;
        assert_eq!(store.search("seven"), [letter], "{name}");
        assert!(store.search("sevem").is_empty(), "{name}");
        let mut letters = store.values(Table::Letter);
        assert!(!letters.any(|letter| letter.windows(6).any(|part| part == b"sevem")));
    }
    assert_eq!(world.letter("bob", letter).unwrap().marks.edit, 1);
    // A device that is linked later has it so, too.
    world.link("bob", "bob desk");
    assert_eq!(text(&world, "bob desk", letter), "at seven");
    assert_eq!(world.letter("bob desk", letter).unwrap().marks.edit, 1);
}

#[test]
fn a_letter_is_edited_ten_times_within_a_day() {
    let mut world = pair(403);
    let letter = world.send("alice", "bob", "0");
    for number in 1..=10 {
        world.edit("alice", letter, &number.to_string());
    }
    let eleventh = world.amend("alice", letter, Amend::Edit("11".to_owned()));
    let error = AmendmentError::TooManyEdits;
    assert_eq!(eleventh, Err(EngineError::Amendment(error)));
    world.settle();
    assert_eq!(text(&world, "bob", letter), "10");
    let late = world.send("alice", "bob", "of yesterday");
    world.settle();
    world.sleep(24 * 3600 + 1);
    let edit = world.amend("alice", late, Amend::Edit("changed".to_owned()));
    assert_eq!(edit, Err(EngineError::Amendment(AmendmentError::TooLate)));
    let other = world.amend("bob", late, Amend::Edit("changed".to_owned()));
    assert_eq!(
        other,
        Err(EngineError::Amendment(AmendmentError::NotAuthor))
    );
}

#[test]
fn a_letter_is_deleted_for_everybody() {
    let mut world = pair(414);
    world.link("bob", "bob tablet");
    world.link("alice", "alice desk");
    let letter = world.send("alice", "bob", "a secret");
    world.settle();
    world.react("bob", letter, "😮");
    world.settle();
    let by_bob = world.amend("bob", letter, Amend::Delete);
    assert_eq!(
        by_bob,
        Err(EngineError::Amendment(AmendmentError::NotAuthor))
    );
    world.sleep(3 * 24 * 3600);
    world.amend("alice desk", letter, Amend::Delete).unwrap();
    world.settle();
    for name in ["alice", "alice desk", "bob", "bob tablet"] {
        let left = world.letter(name, letter).unwrap();
        assert!(left.marks.deleted && left.text.is_empty(), "{name}");
        assert!(left.marks.reactions.is_empty(), "{name}");
        assert!(world.person(name).store.search("secret").is_empty());
    }
    let again = world.amend("bob", letter, Amend::React(Some("😮".to_owned())));
    assert_eq!(again, Err(EngineError::Amendment(AmendmentError::Deleted)));
}

#[test]
fn what_is_said_waits_for_its_letter() {
    let mut world = pair(405);
    world.link("alice", "alice desk");
    world.settle();
    world.set_online("bob", false);
    let before = world.relay().store().clone();
    let letter = world.send("alice", "bob", "first");
    world.settle();
    // The relay loses it, and only the telephone could send it again.
    world.stop("alice");
    world.roll_back_relay(before);
    world.set_online("bob", true);
    world.settle();
    world.edit("alice desk", letter, "second");
    world.react("alice desk", letter, "👍");
    world.settle();
    assert!(world.letter("bob", letter).is_none());
    world.start("alice");
    world.run(60);
    assert_eq!(text(&world, "bob", letter), "second");
    assert_eq!(world.reactions("bob", letter), [emoji("alice", "👍")]);
    let kept = world.person("bob").store.rows();
    assert!(!kept.into_iter().any(|(table, value)| {
        table == Table::Meta && value.windows(6).any(|part| part == b"second")
    }));
}

#[test]
fn a_forged_edit_is_refused_and_told() {
    let mut world = pair(406);
    let letter = world.send("alice", "bob", "what alice said");
    world.settle();
    // Bob's program takes the letter for one of his own: what it says of it reaches her.
    let (head, theirs) = (
        [&letter.as_bytes()[..], world.account("alice").as_bytes()].concat(),
        2,
    );
    let order = {
        let store = &world.person("bob").store;
        let row = engine::Snapshot::get(store, Table::Letter, letter.as_bytes());
        row.unwrap().unwrap()[49..57].to_vec()
    };
    let old = [&head[..], &order, &[theirs]].concat();
    let new = [&head[..], &order, &[1]].concat();
    world.forge_letter("bob", letter, &old, &new);
    world.edit("bob", letter, "what alice never said");
    world.settle();
    assert_eq!(text(&world, "alice", letter), "what alice said");
    assert!(refused(&world, "alice", AmendmentError::NotAuthor));
    world.amend("bob", letter, Amend::Delete).unwrap();
    world.settle();
    assert_eq!(text(&world, "alice", letter), "what alice said");
}

#[test]
fn a_letter_is_amended_in_its_conversation() {
    let mut world = friends(407, &["alice", "bob", "eve"]);
    let letter = world.send("alice", "bob", "to bob alone");
    world.settle();
    let mine = world.send("eve", "bob", "to bob from eve");
    world.settle();
    // Eve knows the id, as from a screen, and calls a letter of hers so.
    let row = {
        let store = &world.person("eve").store;
        let row = engine::Snapshot::get(store, Table::Letter, mine.as_bytes());
        row.unwrap().unwrap()
    };
    let mut forged = row.to_vec();
    forged[1..17].copy_from_slice(letter.as_bytes());
    let write = engine::Write::Put {
        table: Table::Letter,
        key: letter.as_bytes().to_vec(),
        value: forged.into(),
    };
    engine::Store::apply(&mut world.person_mut("eve").store, vec![write]).unwrap();
    world.react("eve", letter, "👎");
    world.edit("eve", letter, "forged");
    world.settle();
    assert!(world.reactions("bob", letter).is_empty());
    assert_eq!(text(&world, "bob", letter), "to bob alone");
    assert!(refused(&world, "bob", AmendmentError::OtherConversation));
}

#[test]
fn an_edit_does_not_make_a_letter_live_longer() {
    let mut world = pair(408);
    let draft = engine::Draft {
        text: "for an hour".to_owned(),
        expires_after: Some(3600),
        ..engine::Draft::default()
    };
    let letter = world.send_draft("alice", "bob", draft).unwrap();
    world.settle();
    world.read("bob");
    let before = world.letter("bob", letter).unwrap().expires_at;
    world.sleep(1800);
    world.edit("alice", letter, "for half an hour");
    world.settle();
    assert_eq!(world.letter("bob", letter).unwrap().expires_at, before);
    world.sleep(1900);
    world.settle();
    assert!(world.letter("bob", letter).is_none());
    assert!(world.letter("alice", letter).is_none());
}

#[test]
fn a_group_sees_what_is_said_of_its_letters() {
    let mut world = friends(409, &["alice", "bob", "carol"]);
    world.link("bob", "bob tablet");
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let everybody = ["alice", "bob", "bob tablet", "carol"];
    let letter = world.write_to_group("bob", group, "who has the kay?");
    world.settle();
    world.react("carol", letter, "🙋");
    world.react("alice", letter, "🤷");
    world.edit("bob tablet", letter, "who has the key?");
    world.settle();
    for name in everybody {
        assert_eq!(text(&world, name, letter), "who has the key?", "{name}");
        assert_eq!(world.reactions(name, letter).len(), 2, "{name}");
        assert_eq!(world.group_letters(name, group).len(), 1, "{name}");
        let errands = world.person(name).store.count(Table::Letter);
        assert_eq!(errands, world.group_letters(name, group).len(), "{name}");
    }
    // Alice's program takes the letter for hers.
    let (bob, alice) = (world.account("bob"), world.account("alice"));
    let (old, new) = (
        [&[0; 4][..], bob.as_bytes()],
        [&[0; 4][..], alice.as_bytes()],
    );
    world.forge_letter("alice", letter, &old.concat(), &new.concat());
    world.edit("alice", letter, "forged");
    world.settle();
    for name in ["bob", "bob tablet", "carol"] {
        assert_eq!(text(&world, name, letter), "who has the key?", "{name}");
        assert!(refused(&world, name, AmendmentError::NotAuthor), "{name}");
    }
    world.amend("bob", letter, Amend::Delete).unwrap();
    world.settle();
    for name in ["bob", "bob tablet", "carol"] {
        assert!(world.letter(name, letter).unwrap().marks.deleted, "{name}");
    }
}

#[test]
fn whoever_left_says_nothing_more() {
    let mut world = friends(410, &["alice", "bob", "carol"]);
    let group = world.create_group("alice", "night shift", &["bob", "carol"]);
    let letter = world.write_to_group("carol", group, "good bye");
    world.settle();
    world.leave_group("carol", group).unwrap();
    world.run(30);
    let late = world.amend("carol", letter, Amend::Edit("hello".to_owned()));
    assert_eq!(late, Err(EngineError::NotInGroup));
    assert_eq!(text(&world, "bob", letter), "good bye");
    assert_eq!(text(&world, "carol", letter), "good bye");
}

#[test]
fn a_storm_changes_nothing_of_what_was_said() {
    let mut world = pair(411);
    world.link("bob", "bob tablet");
    world.set_weather(letterlock_testkit::Weather::storm());
    let letter = world.send("alice", "bob", "one");
    for (number, words) in ["two", "three", "four"].into_iter().enumerate() {
        world.edit("alice", letter, words);
        world.react("alice", letter, ["😀", "😃", "😄"][number]);
        world.run(5);
    }
    world.set_weather(letterlock_testkit::Weather::calm());
    world.run(120);
    for name in ["alice", "bob", "bob tablet"] {
        assert_eq!(text(&world, name, letter), "four", "{name}");
        let shown: Vec<String> = world
            .reactions(name, letter)
            .into_iter()
            .map(|(_, e)| e)
            .collect();
        assert_eq!(shown, ["😄"], "{name}");
    }
}

/// Devices of two people, or of a group of three, say all kinds of things at once, while the network does what it can.
fn everybody_agrees(seed: u64, in_group: bool) {
    let mut world = friends(seed, &["alice", "bob", "carol"]);
    world.link("bob", "bob tablet");
    let people = match in_group {
        true => vec!["alice", "bob", "bob tablet", "carol"],
        false => vec!["alice", "bob", "bob tablet"],
    };
    let group = in_group.then(|| world.create_group("alice", "night shift", &["bob", "carol"]));
    let mut letters = Vec::new();
    for name in ["alice", "bob", "alice", "bob tablet"] {
        let to = if name == "alice" { "bob" } else { "alice" };
        letters.push(match group {
            Some(group) => world.write_to_group(name, group, name),
            None => world.send(name, to, name),
        });
        world.settle();
    }
    world.set_weather(letterlock_testkit::Weather::storm());
    for number in 0..60_u64 {
        let mut some = |many: u64| usize::try_from(world.chance().within(&(0..=many - 1))).unwrap();
        let (name, letter) = (people[some(people.len() as u64)], letters[some(4)]);
        let (what, online) = (some(10), some(4) > 0);
        let change = match what {
            0..=4 => Amend::React(Some(format!("r{number}"))),
            5 => Amend::React(None),
            6..=8 => Amend::Edit(format!("edit {number}")),
            _ if number > 50 => Amend::Delete,
            _ => continue,
        };
        let _it_may_not = world.amend(name, letter, change);
        world.set_online(name, online);
        world.run(2);
    }
    world.set_weather(letterlock_testkit::Weather::calm());
    for name in &people {
        world.set_online(name, true);
    }
    world.run(180);
    for letter in letters {
        let state = |name: &str| {
            let mut letter = world.letter(name, letter).unwrap();
            let mut reactions: Vec<_> = letter.marks.standing().cloned().collect();
            reactions.sort_by_key(|reaction| reaction.author);
            letter.marks.reactions.clear();
            (letter.text, letter.marks, reactions)
        };
        for name in &people {
            assert_eq!(state(name), state("alice"), "{name}, seed {seed}");
        }
    }
}

#[test]
fn two_people_agree_on_what_was_said() {
    for seed in 420..424 {
        everybody_agrees(seed, false);
    }
}

#[test]
fn a_group_agrees_on_what_was_said() {
    for seed in 430..434 {
        everybody_agrees(seed, true);
    }
}

#[test]
fn what_waits_for_its_letter_waits_in_bounds() {
    let mut world = friends(440, &["bob", "eve"]);
    let mine = world.send("eve", "bob", "to bob from eve");
    world.settle();
    let row = {
        let store = &world.person("eve").store;
        let row = engine::Snapshot::get(store, Table::Letter, mine.as_bytes());
        row.unwrap().unwrap()
    };
    // Eve's program speaks of letters that Bob never gets.
    for number in 0..80_u8 {
        let id = LetterId::from_bytes([number; 16]);
        let mut forged = row.to_vec();
        forged[1..17].copy_from_slice(id.as_bytes());
        let write = engine::Write::Put {
            table: Table::Letter,
            key: id.as_bytes().to_vec(),
            value: forged.into(),
        };
        engine::Store::apply(&mut world.person_mut("eve").store, vec![write]).unwrap();
        world.react("eve", id, "👎");
        world.edit("eve", id, "of nothing");
    }
    world.settle();
    let kept = |world: &World| {
        let rows = world.person("bob").store.rows();
        let said = |(table, value): &(Table, &[u8])| {
            *table == Table::Meta && value.len() > 80 && value[8] == 12
        };
        rows.filter(said).count()
    };
    assert_eq!(kept(&world), 64 + 32);
    world.sleep(31 * 24 * 3600);
    world.run(5);
    assert_eq!(kept(&world), 0);
}

#[test]
fn nothing_of_strangers_waits() {
    let mut world = World::new(441);
    for name in ["bob", "eve"] {
        world.join(name);
    }
    world.add_by_name("eve", "bob").unwrap();
    let letter = world.send("eve", "bob", "do you know me?");
    world.settle();
    world.edit("eve", letter, "you do not know me");
    world.settle();
    assert_eq!(text(&world, "bob", letter), "you do not know me");
    // Bob's reaction is an answer.
    world.react("bob", letter, "👋");
    world.settle();
    assert_eq!(world.reactions("eve", letter), [emoji("bob", "👋")]);
    assert!(!world.person("bob").contacts()[0].request);
}
