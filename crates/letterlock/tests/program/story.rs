//! What two people and a third do, from the first invite on.

use crate::support::{Town, occurs, text_of};
use std::io::Write as _;
use std::process::Stdio;

#[test]
fn an_invite_leads_to_letters_both_ways() {
    let town = Town::new();
    let (alice, bob) = (town.person("alice"), town.person("bob"));

    let account = &alice.json(&["account", "show"])[0];
    assert_eq!(account["name"], "alice");
    assert_eq!(account["address"], format!("alice@{}", town.authority()));
    assert_eq!(account["registered"], true);
    let log = alice.json(&["account", "log"]);
    assert_eq!((log.len(), &log[0]["kind"]), (1, &"genesis".into()));
    assert_eq!(log[0]["hash"], account["log_head"]);

    let invite = alice.ok(&["invite"]).line();
    let added = &bob.json(&["contact", "add", &invite])[0];
    assert_eq!(
        (&added["name"], &added["trust"]),
        (&"alice".into(), &"verified".into())
    );
    assert_eq!(added["account_id"], account["account_id"]);

    let sent = &bob.json(&["send", "alice", "The parcel is on its way.", "--wait"])[0];
    assert_eq!(sent["state"], "sent");
    let received = alice.json(&["receive"]);
    assert_eq!(received.len(), 1);
    assert_eq!(text_of(&received[0]), "The parcel is on its way.");
    assert_eq!(received[0]["from"], "bob");
    assert_eq!(
        received[0]["id"], sent["id"],
        "both sides call the letter the same"
    );

    let id = received[0]["id"].as_str().unwrap();
    alice.ok(&["send", "bob", "Thank you.", "--reply-to", id, "--wait"]);
    let answer = &bob.json(&["receive"])[0];
    assert_eq!(
        (text_of(answer).as_str(), &answer["reply_to"]),
        ("Thank you.", &sent["id"])
    );
    assert_eq!(bob.receive(), [""; 0], "a letter is shown once");

    for person in [&alice, &bob] {
        let with = if person.name == "alice" {
            "bob"
        } else {
            "alice"
        };
        assert_eq!(
            person.read(with),
            ["The parcel is on its way.", "Thank you."]
        );
        let found = person.json(&["search", "parcel", "way"]);
        assert_eq!(
            found.iter().map(text_of).collect::<Vec<_>>(),
            ["The parcel is on its way."]
        );
        assert!(person.json(&["search", "parcel", "thank"]).is_empty());
    }
}

#[test]
fn text_comes_from_standard_input_and_files_arrive_whole() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let contents: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let paths = [town.path("plan.bin"), town.path("empty.txt")];
    std::fs::write(&paths[0], &contents).unwrap();
    std::fs::write(&paths[1], b"").unwrap();

    let files = paths.each_ref().map(|path| path.to_str().unwrap());
    let words = [
        "send", "bob", "-", "--wait", "--file", files[0], "--file", files[1],
    ];
    let mut child = alice
        .command(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("Zwei Zeilen,\nGrüße\n".as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());

    let saved_in = town.path("saved");
    let heard = bob.json(&["receive", "--save", saved_in.to_str().unwrap()]);
    let letter = heard
        .iter()
        .find(|object| object["text"].is_string())
        .unwrap();
    assert_eq!(text_of(letter), "Zwei Zeilen,\nGrüße");
    let names: Vec<_> = letter["enclosures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["name"])
        .collect();
    assert_eq!(names, ["plan.bin", "empty.txt"]);
    let saved: Vec<_> = heard
        .iter()
        .filter(|object| object["path"].is_string())
        .collect();
    assert_eq!(saved.len(), 2);
    for (saved, expected) in saved.iter().zip([contents.as_slice(), b""]) {
        let path = std::path::Path::new(saved["path"].as_str().unwrap());
        assert!(path.starts_with(&saved_in));
        assert!(std::fs::read(path).unwrap() == expected, "{saved}");
    }
}

#[test]
fn a_claimed_contact_becomes_verified_by_its_number() {
    let town = Town::new();
    let (bob, carol) = (town.person("bob"), town.person("carol"));
    let address = format!("bob@{}", town.authority());
    let added = &carol.json(&["contact", "add", &address, "--as", "robert"])[0];
    assert_eq!(
        (&added["name"], &added["trust"]),
        (&"robert".into(), &"claimed".into())
    );

    carol.ok(&["send", "robert", "Is it you?", "--wait"]);
    assert_eq!(bob.receive(), ["Is it you?"]);
    let seen = carol
        .ok(&["contact", "verify", "robert", "--number"])
        .line();
    assert_eq!(
        bob.ok(&["contact", "verify", "carol", "--number"]).line(),
        seen
    );
    let groups: Vec<&str> = seen.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(
        groups
            .iter()
            .all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit()))
    );

    assert_eq!(
        carol.contact("robert").unwrap()["trust"],
        "claimed",
        "to look is not to compare"
    );
    let ran = carol.json(&["contact", "verify", "robert", "--number", "--yes"]);
    assert_eq!(ran[0]["number"], seen);
    assert_eq!(carol.contact("robert").unwrap()["trust"], "verified");
    assert_eq!(bob.contact("carol").unwrap()["trust"], "claimed");
}

#[test]
fn a_blocked_contact_is_not_heard_until_unblocked() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    alice.ok(&["contact", "block", "bob"]);
    assert_eq!(alice.contact("bob").unwrap()["blocked"], true);
    bob.ok(&["send", "alice", "Can you hear me?"]);
    assert_eq!(alice.receive(), [""; 0]);
    assert_eq!(alice.fails(3, &["send", "bob", "no"])["kind"], "refused");
    alice.ok(&["contact", "block", "bob", "--undo"]);
    assert_eq!(alice.contact("bob").unwrap()["blocked"], false);
    alice.ok(&["send", "bob", "I can again.", "--wait"]);
    assert_eq!(bob.receive(), ["I can again."]);
}

#[test]
fn letters_expire_on_both_sides() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let sent = &alice.json(&[
        "send",
        "bob",
        "Read this soon.",
        "--expires",
        "6s",
        "--wait",
    ])[0];
    let expires = sent["expires_at"].as_u64().unwrap();
    assert_eq!(expires - sent["sent_at"].as_u64().unwrap(), 6);
    alice.ok(&["send", "bob", "This one stays.", "--wait"]);
    let received = bob.json(&["receive"]);
    assert_eq!(text_of(&received[0]), "Read this soon.");
    std::thread::sleep(std::time::Duration::from_secs(8));
    for (person, with) in [(&alice, "bob"), (&bob, "alice")] {
        let texts = person.read(with);
        assert!(!texts.contains(&"Read this soon.".to_owned()), "{texts:?}");
        assert_eq!(texts.last().unwrap(), "This one stays.");
        assert!(person.json(&["search", "soon"]).is_empty());
    }
}

#[test]
fn the_operator_sees_neither_texts_nor_people() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    bob.ok(&["send", "alice", "unmistakable-letter-text", "--wait"]);
    alice.ok(&["contact", "block", "bob"]);
    let file = town.path("unmistakable-file-name.txt");
    std::fs::write(&file, "unmistakable-file-text").unwrap();
    alice.ok(&["contact", "block", "bob", "--undo"]);
    alice.ok(&[
        "send",
        "bob",
        "with a file",
        "--file",
        file.to_str().unwrap(),
        "--wait",
    ]);

    let data = town.relay_data();
    let data = data.to_str().unwrap();
    for stopped in [false, true] {
        if stopped {
            town.stop_relay();
        }
        let shown = alice.ok(&["relay", "inspect", "--data", data]).stdout;
        assert!(!shown.is_empty());
        let objects = alice.json(&["relay", "inspect", "--data", data]);
        assert!(!objects.is_empty());
        for secret in ["unmistakable", "It is me."] {
            assert!(!shown.contains(secret));
            assert!(!occurs(&town.relay_data(), secret.as_bytes()), "{secret}");
            for person in [&alice, &bob] {
                assert!(
                    !occurs(&person.home, secret.as_bytes()),
                    "{secret} of {}",
                    person.name
                );
            }
        }
    }
}
