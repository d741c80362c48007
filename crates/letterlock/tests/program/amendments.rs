//! Reactions, edits and deletions: real processes, a real relay.

use crate::support::{Town, text_of};

#[test]
fn a_letter_is_reacted_to_edited_and_deleted() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let file = town.path("plan.txt");
    std::fs::write(&file, "a plan").unwrap();
    let file = file.to_str().unwrap();
    let sent = alice.json(&["send", "bob", "at sevem", "--file", file, "--wait"]);
    let id = sent[0]["id"].as_str().unwrap();
    assert_eq!(bob.receive().last().unwrap(), "at sevem");
    // A reaction.
    let reacted = bob.json(&["react", id, "👍"]);
    assert_eq!(reacted[0]["reactions"][0]["from"], "me");
    let told = alice.run(&["receive", "--timeout", "3s"]);
    assert!(told.stderr.contains("bob reacts with 👍"), "{told:?}");
    let shown = alice.ok(&["read", "bob"]).stdout;
    assert!(shown.contains("  👍  bob\n"), "{shown}");
    bob.ok(&["react", id, "--remove"]);
    alice.receive();
    let read = alice.json(&["read", "bob"]);
    assert!(
        read.last().unwrap()["reactions"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    bob.fails(2, &["react", id]);
    bob.fails(
        3,
        &["react", id, "far more than anybody would call a reaction"],
    );
    // An edit.
    let refused = bob.fails(3, &["edit", id, "at nine"]);
    assert!(refused["hint"].as_str().unwrap().contains("whoever wrote"));
    alice.ok(&["edit", id, "at seven"]);
    assert!(bob.receive().is_empty());
    let read = bob.json(&["read", "alice"]);
    assert_eq!(text_of(read.last().unwrap()), "at seven");
    assert_eq!(read.last().unwrap()["edit"], 1);
    let shown = bob.ok(&["read", "alice"]).stdout;
    assert!(shown.contains("  at seven\n  (edited)\n"), "{shown}");
    assert_eq!(bob.json(&["search", "seven"]).len(), 1);
    assert!(bob.json(&["search", "sevem"]).is_empty());
    // A deletion.
    bob.fails(3, &["delete", id, "--everyone"]);
    alice.ok(&["delete", id, "--everyone"]);
    bob.receive();
    for (person, name) in [(&alice, "bob"), (&bob, "alice")] {
        let read = person.json(&["read", name]);
        let left = read.last().unwrap();
        assert_eq!(left["deleted"], true);
        assert_eq!(text_of(left), "");
        assert!(left["enclosures"].as_array().unwrap().is_empty());
    }
    assert!(bob.json(&["search", "seven"]).is_empty());
    let shown = bob.ok(&["read", "alice"]).stdout;
    assert!(shown.contains("(deleted by its author)"), "{shown}");
    bob.fails(5, &["react", "aaaaaaaaaaaaaaaaaaaaaaaaae", "👍"]);
}
