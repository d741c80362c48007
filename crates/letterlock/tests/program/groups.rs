//! Groups: real processes, a real relay.

use crate::support::{Person, Town, text_of};

/// Two people know each other.
fn acquaint(one: &Person, other: &Person) {
    for (one, other) in [(one, other), (other, one)] {
        let invite = other.ok(&["invite"]).stdout;
        one.ok(&["contact", "add", invite.trim()]);
    }
    for person in [one, other] {
        person.receive();
    }
}

fn three(town: &Town) -> [Person; 3] {
    let people = ["alice", "bob", "carol"].map(|name| town.person(name));
    let [alice, bob, carol] = &people;
    acquaint(alice, bob);
    acquaint(alice, carol);
    acquaint(bob, carol);
    people
}

#[test]
fn a_group_reads_writes_changes_and_ends() {
    let town = Town::new();
    let [alice, bob, carol] = three(&town);
    let made = alice.json(&["group", "create", "night shift", "bob", "carol"]);
    assert_eq!(made[0]["members"], 3);
    assert_eq!(made.len(), 4, "the group and its members");
    for person in [&bob, &carol] {
        assert!(person.receive().is_empty());
        let listed = person.json(&["group", "list"]);
        assert_eq!(
            (&listed[0]["name"], &listed[0]["state"]),
            (&"night shift".into(), &"in".into())
        );
    }
    bob.ok(&["send", "night shift", "Who has the key?", "--wait"]);
    assert_eq!(alice.receive(), ["Who has the key?"]);
    let letters = carol.json(&["receive", "--timeout", "3s"]);
    assert_eq!(letters[0]["from"], "bob");
    assert_eq!(letters[0]["conversation"], "night shift");
    assert_eq!(carol.read("night shift"), ["Who has the key?"]);
    let found = carol.json(&["search", "key"]);
    assert_eq!(text_of(&found[0]), "Who has the key?");
    // An enclosure.
    let plan = town.path("plan.bin");
    std::fs::write(&plan, vec![7; 200_000]).unwrap();
    alice.ok(&[
        "send",
        "night shift",
        "the plan",
        "--file",
        plan.to_str().unwrap(),
        "--wait",
    ]);
    let saved = town.path("saved");
    bob.ok(&[
        "receive",
        "--timeout",
        "5s",
        "--save",
        saved.to_str().unwrap(),
    ]);
    assert_eq!(
        std::fs::read(saved.join("plan.bin")).unwrap().len(),
        200_000
    );
    // Roles.
    let refused = bob.fails(3, &["group", "remove", "night shift", "carol"]);
    assert!(refused["hint"].as_str().unwrap().contains("group show"));
    alice.ok(&["group", "role", "night shift", "bob", "admin"]);
    alice.ok(&[
        "group",
        "set",
        "night shift",
        "--name",
        "day shift",
        "--timer",
        "7d",
    ]);
    bob.receive();
    bob.ok(&["group", "remove", "day shift", "carol"]);
    carol.receive();
    carol.fails(3, &["send", "day shift", "still here"]);
    assert_eq!(carol.json(&["group", "list"])[0]["state"], "out");
    // The relay knows a number, and no names.
    let inspected = alice.run(&[
        "relay",
        "inspect",
        "--data",
        town.relay_data().to_str().unwrap(),
    ]);
    assert!(inspected.stdout.contains("1 group"), "{inspected:?}");
    assert!(!inspected.stdout.contains("shift"));
    bob.ok(&["group", "leave", "day shift"]);
    alice.receive();
    bob.receive();
    assert_eq!(bob.json(&["group", "list"])[0]["state"], "out");
    alice.fails(5, &["group", "show", "no such group"]);
    alice.fails(5, &["group", "add", "day shift", "nobody"]);
    alice.fails(2, &["group", "set", "day shift"]);
    alice.fails(2, &["group", "create", "lonely"]);
}

/// Whoever has none yet is told how to come by one.
#[test]
fn an_empty_list_says_what_to_type_next() {
    let town = Town::new();
    let alice = town.person("alice");
    for (words, next) in [
        (&["group", "list"][..], "letterlock group create NAME"),
        (&["vault", "list"], "letterlock vault create NAME"),
        (&["contact", "list"], "letterlock contact add INVITE"),
    ] {
        let ran = alice.ok(words);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(next),
            "{ran:?}"
        );
    }
    alice.ok(&["vault", "create", "plans"]);
    for (words, said) in [
        (&["vault", "list", "plans"][..], "nothing is in it"),
        (&["vault", "history", "plans"], "no version has it"),
    ] {
        let ran = alice.ok(words);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(said),
            "{ran:?}"
        );
    }
}

/// Who changed what is told to everybody else, and nobody is told of a group that has another's name.
#[test]
fn what_somebody_changed_is_told_with_who_did_it() {
    let town = Town::new();
    let [alice, bob, carol] = three(&town);
    alice.ok(&["group", "create", "night shift", "bob"]);
    bob.receive();
    let set = |words: &[&str], told: &str| {
        alice.ok(&[&["group"], words].concat());
        let ran = bob.run(&["receive", "--timeout", "3s"]);
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    };
    set(
        &["set", "night shift", "--name", "day shift"],
        "note: day shift: alice called it day shift, after night shift\n",
    );
    set(
        &["set", "day shift", "--timer", "7d"],
        "note: day shift: alice lets letters disappear after 7 days\n",
    );
    set(
        &["set", "day shift", "--timer", "off"],
        "note: day shift: alice lets letters stay\n",
    );
    set(
        &["role", "day shift", "bob", "admin"],
        "note: day shift: alice made this account an admin\n",
    );
    // Nobody makes a second one of a name; if somebody else does, they are told apart by their ids alone.
    let refused = alice.fails(2, &["group", "create", "day shift", "carol"]);
    assert_eq!(refused["message"], "there is a group day shift already");
    alice.ok(&["group", "create", "early shift", "bob"]);
    alice.fails(2, &["group", "set", "early shift", "--name", "day shift"]);
    alice.ok(&["group", "leave", "early shift"]);
    carol.ok(&["group", "create", "day shift", "alice"]);
    alice.receive();
    let refused = alice.fails(2, &["send", "day shift", "to whom?"]);
    assert_eq!(refused["message"], "day shift may mean several groups");
    let listed = alice.json(&["group", "list"]);
    let listed: Vec<_> = listed
        .iter()
        .filter(|group| group["name"] == "day shift")
        .collect();
    assert_eq!(listed.len(), 2);
    for group in listed {
        alice.ok(&["send", group["id"].as_str().unwrap(), "to you", "--wait"]);
    }
    let refused = alice.fails(5, &["send", "late shift", "to whom?"]);
    let message = refused["message"].as_str().unwrap();
    assert_eq!(message, "there is no contact and no group late shift");
}

#[test]
fn a_reply_in_a_group_names_the_letter_it_answers() {
    let town = Town::new();
    let [alice, bob, carol] = three(&town);
    alice.ok(&["group", "create", "night shift", "bob", "carol"]);
    for person in [&bob, &carol] {
        person.receive();
    }
    let asked = &bob.json(&["send", "night shift", "Who has the key?", "--wait"])[0];
    let question = &alice.json(&["receive", "--timeout", "3s"])[0]["id"];
    assert_eq!(*question, asked["id"], "all call the letter the same");
    let id = question.as_str().unwrap();
    let reply = ["send", "night shift", "I have.", "--reply-to", id, "--wait"];
    let answer = alice.json(&reply)[0]["id"].clone();
    // Whoever asked, and whoever only listens, sees what it answers; and it is kept.
    for person in [&bob, &carol] {
        let letters = person.json(&["receive", "--timeout", "3s"]);
        let got = letters.iter().find(|letter| letter["id"] == answer);
        let got = got.unwrap_or_else(|| panic!("{}: {letters:?}", person.name));
        assert_eq!(
            (text_of(got).as_str(), &got["reply_to"]),
            ("I have.", question)
        );
        let who = if person.name == "bob" { "me" } else { "bob" };
        assert_eq!(
            (&got["answers"]["from"], &got["answers"]["text"]),
            (&who.into(), &"Who has the key?".into())
        );
    }
    for person in [&alice, &bob, &carol] {
        let kept = person.json(&["read", "night shift"]);
        let replies: Vec<_> = kept.iter().map(|letter| &letter["reply_to"]).collect();
        assert_eq!(replies, [&serde_json::Value::Null, question]);
    }
    let shown = carol.ok(&["read", "night shift"]).stdout;
    let line = format!("  (answers bob: Who has the key?  [{id}])\n");
    assert!(shown.contains(&line), "{shown}");
    // Elsewhere it says nothing of what was said here.
    bob.ok(&["send", "alice", "As I asked.", "--reply-to", id, "--wait"]);
    let elsewhere = alice.json(&["receive", "--timeout", "3s"]);
    let elsewhere = elsewhere
        .iter()
        .find(|letter| letter["conversation"] == "bob");
    assert!(elsewhere.unwrap()["answers"].is_null());
    let other = if id.starts_with('a') { "b" } else { "a" };
    let unknown = format!("{other}{}", &id[1..]);
    let reply = ["send", "night shift", "as you said", "--reply-to", &unknown];
    assert_eq!(carol.fails(5, &reply)["kind"], "not_found");
}

#[test]
fn a_linked_device_comes_into_the_groups_of_its_account() {
    let town = Town::new();
    let [alice, bob, carol] = three(&town);
    alice.ok(&["group", "create", "night shift", "bob", "carol"]);
    bob.receive();
    carol.receive();
    let tablet = crate::devices::link(&town, &alice, "tablet");
    for _ in 0..20 {
        alice.receive();
        tablet.receive();
        let listed = tablet.json(&["group", "list"]);
        if listed.first().is_some_and(|group| group["state"] == "in") {
            break;
        }
    }
    assert_eq!(tablet.json(&["group", "list"])[0]["devices"], 4);
    bob.receive();
    bob.ok(&["send", "night shift", "to all", "--wait"]);
    assert_eq!(tablet.receive(), ["to all"]);
    tablet.ok(&["send", "night shift", "from the tablet", "--wait"]);
    assert_eq!(carol.receive(), ["to all", "from the tablet"]);
    alice.receive();
    assert_eq!(alice.read("night shift"), ["to all", "from the tablet"]);
}

#[test]
fn a_group_has_a_picture() {
    let town = Town::new();
    let [alice, bob, _] = three(&town);
    alice.ok(&["group", "create", "night shift", "bob"]);
    bob.receive();
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(100_000, 7);
    let (file, text) = (town.path("picture.png"), town.path("picture.txt"));
    std::fs::write(&file, &picture).unwrap();
    std::fs::write(&text, "no picture").unwrap();
    let (file, text) = (file.to_str().unwrap(), text.to_str().unwrap());
    alice.fails(2, &["group", "set", "night shift", "--picture", text]);
    alice.fails(
        5,
        &["group", "set", "night shift", "--picture", "/no/such/file"],
    );
    let set = alice.json(&["group", "set", "night shift", "--picture", file]);
    assert_eq!(set[0]["picture"]["size"], 100_000);
    let out = town.path("out.png");
    let out = out.to_str().unwrap();
    for _ in 0..20 {
        bob.receive();
        let shown = bob.run(&["group", "show", "night shift", "--picture", out]);
        if shown.code == Some(0) {
            break;
        }
    }
    assert_eq!(std::fs::read(out).unwrap(), picture);
    let again = bob.fails(1, &["group", "show", "night shift", "--picture", out]);
    assert!(again["message"].as_str().unwrap().contains("out.png"));
    let shown = bob.json(&["group", "show", "night shift"]);
    assert_eq!(shown[0]["picture"], set[0]["picture"]);
    // The relay has bytes, and no picture.
    assert!(!crate::support::occurs(&town.relay_data(), &picture[..64]));
    alice.ok(&["group", "set", "night shift", "--no-picture"]);
    bob.receive();
    assert!(bob.json(&["group", "show", "night shift"])[0]["picture"].is_null());
}

#[test]
fn history_is_shared_on_purpose_alone() {
    let town = Town::new();
    let [alice, bob, carol] = three(&town);
    alice.ok(&["group", "create", "night shift", "bob"]);
    bob.receive();
    let file = town.path("plan.txt");
    std::fs::write(&file, "the plan").unwrap();
    alice.ok(&["send", "night shift", "one", "--wait"]);
    let file = file.to_str().unwrap();
    let sent = alice.json(&["send", "night shift", "two", "--file", file, "--wait"]);
    bob.receive();
    alice.fails(
        2,
        &[
            "group",
            "add",
            "night shift",
            "carol",
            "--share-history",
            "501",
        ],
    );
    alice.ok(&[
        "group",
        "add",
        "night shift",
        "carol",
        "--share-history",
        "1",
    ]);
    let saved = town.path("saved");
    let mut letters = Vec::new();
    for _ in 0..20 {
        alice.receive();
        let save = [
            "receive",
            "--timeout",
            "2s",
            "--save",
            saved.to_str().unwrap(),
        ];
        letters.extend(carol.json(&save));
        if letters.iter().any(|answer| answer["answer"] == "saved") {
            break;
        }
    }
    assert_eq!(text_of(&letters[0]), "two");
    assert_eq!(letters[0]["shared_by"], "alice");
    assert_eq!(std::fs::read(saved.join("plan.txt")).unwrap(), b"the plan");
    assert_eq!(carol.read("night shift"), ["two"]);
    let shown = carol.ok(&["read", "night shift"]).stdout;
    assert!(shown.contains("shared by alice"), "{shown}");
    // All members are told, and custody names who was let in.
    let told = bob.run(&["receive", "--timeout", "3s"]);
    assert!(
        told.stderr
            .contains("alice shared 1 letter of before with carol"),
        "{told:?}"
    );
    let id = sent[0]["id"].as_str().unwrap();
    for person in [&alice, &bob] {
        let custody = person.json(&["custody", id]);
        let mut shared = custody.iter().filter(|holder| holder["remark"] == "shared");
        assert!(shared.all(|holder| holder["who"].as_str().unwrap().starts_with("carol")));
        assert!(custody.iter().any(|holder| holder["remark"] == "shared"));
    }
    let now = bob.json(&["custody", "night shift"]);
    assert_eq!(now.len(), 3, "a device each");
    assert!(now.iter().all(|holder| holder["item"] == "group"));
}
