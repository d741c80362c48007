//! A disk without room: said so, nothing lost, and all goes on once there is room.

use crate::give::noise;
use crate::sealed::text;
use crate::support::{Person, SmallDisk, Town, text_of};
use std::fs;

/// Alice, whose home has little room, and Bob, who know each other.
fn crowded_pair(town: &Town) -> Option<(SmallDisk, Person, Person)> {
    let disk = SmallDisk::mount(&town.path("small"), 3 * 1024)?;
    let bob = town.person("bob");
    let mut alice = town.stranger("alice");
    alice.move_to(&disk);
    alice.ok(&["account", "create", "alice", "--relay", town.url()]);
    let invite = bob.ok(&["invite"]).line();
    alice.ok(&["contact", "add", &invite]);
    alice.ok(&["send", "bob", "It is me.", "--wait"]);
    assert_eq!(bob.receive(), ["It is me."]);
    Some((disk, alice, bob))
}

#[test]
fn a_home_without_room_refuses_and_keeps_what_it_has() {
    let town = Town::new();
    let Some((disk, alice, bob)) = crowded_pair(&town) else {
        return;
    };
    bob.ok(&["send", "alice", "for later", "--wait"]);
    for room in [0, 8, 40, 120] {
        disk.fill_but(room);
        let ran = alice.run(&["send", "bob", &"long ".repeat(9_000), "--json"]);
        assert_eq!(ran.code, Some(1), "{room} KiB: {ran:?}");
        assert!(
            ran.stderr.contains("full") && ran.stderr.contains("make room"),
            "{ran:?}"
        );
        let received = alice.run(&["receive", "--json"]);
        let shown: Vec<_> = received.objects().iter().map(text_of).collect();
        if received.code != Some(0) {
            assert!(received.stderr.contains("full"), "{room} KiB: {received:?}");
        }
        assert!(shown.is_empty() || shown == ["for later"], "{received:?}");
        disk.clear();
    }
    alice.ok(&["send", "bob", "There is room.", "--wait"]);
    alice.ok(&["receive"]);
    assert_eq!(bob.receive(), ["There is room."]);
    assert_eq!(
        alice
            .read("bob")
            .iter()
            .filter(|text| *text == "for later")
            .count(),
        1
    );
    bob.ok(&["send", "alice", "Good.", "--wait"]);
    assert_eq!(alice.receive(), ["Good."]);
}

#[test]
fn a_file_without_room_is_saved_once_there_is() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let Some(disk) = SmallDisk::mount(&town.path("small"), 2 * 1024) else {
        return;
    };
    let file = town.path("plan.bin");
    std::fs::write(&file, vec![3; 1_500_000]).unwrap();
    alice.ok(&[
        "send",
        "bob",
        "the plan",
        "--file",
        file.to_str().unwrap(),
        "--wait",
    ]);
    let save = ["receive", "--save", disk.seen().to_str().unwrap(), "--json"];
    disk.fill_but(500);
    let ran = bob.run(&save);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("the plan") && ran.stderr.contains("make room"),
        "{ran:?}"
    );
    disk.clear();
    bob.ok(&save);
    assert!(std::fs::read(disk.seen().join("plan.bin")).unwrap() == vec![3; 1_500_000]);
    assert_eq!(std::fs::read_dir(disk.seen()).unwrap().count(), 1);
}

/// The home has no room: a change of a vault is done or refused, and where it is refused the vault is as before, and so is
/// the folder.
#[test]
fn a_home_without_room_loses_nothing_of_its_vaults() {
    let town = Town::new();
    let Some(disk) = SmallDisk::mount(&town.path("small"), 4 * 1024) else {
        return;
    };
    let mut alice = town.stranger("alice");
    alice.move_to(&disk);
    alice.ok(&["account", "create", "alice", "--relay", town.url()]);
    alice.ok(&["vault", "create", "plans"]);
    let [first, long, folder] = ["first", "long", "folder"].map(|name| town.path(name));
    fs::write(&first, b"first").unwrap();
    fs::write(&long, noise(1_500_000)).unwrap();
    fs::create_dir(&folder).unwrap();
    let sync = ["vault", "sync", "plans", text(&folder), "--json"];
    let put = ["vault", "put", "plans", text(&long), "--json"];
    alice.ok(&["vault", "put", "plans", text(&first)]);
    let mut refused = 0;
    for (number, room) in [0, 4, 16, 48, 100, 200].into_iter().enumerate() {
        let own = format!("own{number}");
        fs::write(folder.join(&own), &own).unwrap();
        disk.fill_but(room);
        for words in [&put[..], &sync] {
            let ran = alice.run(words);
            if ran.code == Some(0) {
                continue;
            }
            refused += 1;
            assert_eq!(ran.code, Some(1), "{room} KiB: {ran:?}");
            assert!(
                ran.stderr.contains("full") && ran.stderr.contains("make room"),
                "{room} KiB: {ran:?}"
            );
        }
        disk.clear();
        // What was there is there, and all goes on.
        let listed = alice.json(&["vault", "list", "plans"]);
        assert!(listed.iter().any(|entry| entry["path"] == "first"));
        alice.ok(&sync);
        assert_eq!(fs::read_to_string(folder.join(&own)).unwrap(), own);
        let listed = alice.json(&["vault", "list", "plans"]);
        assert!(listed.iter().any(|entry| entry["path"] == own.as_str()));
    }
    assert!(refused >= 2, "{refused}");
    alice.ok(&put);
    alice.ok(&sync);
    for (name, original) in [("first", &first), ("long", &long)] {
        assert!(fs::read(folder.join(name)).unwrap() == fs::read(original).unwrap());
    }
    // Nothing of what was refused stays in the home.
    let left = fs::read_dir(disk.seen().join("home/vaults")).into_iter();
    let left: Vec<_> = left.flatten().map(|entry| entry.unwrap().path()).collect();
    let pending = |path: &&std::path::PathBuf| path.metadata().unwrap().len() > 0;
    assert_eq!(left.iter().filter(pending).count(), 0, "{left:?}");
}

#[test]
fn a_relay_without_room_keeps_letters_waiting_in_their_outbox() {
    let mut town = Town::new();
    let Some(disk) = SmallDisk::mount(&town.path("small"), 8 * 1024) else {
        return;
    };
    town.move_relay(&disk);
    let (alice, bob) = town.pair("alice", "bob");
    let file = town.path("plan.bin");
    std::fs::write(&file, vec![3; 1_500_000]).unwrap();
    disk.fill_but(150);
    let words = [
        "send",
        "bob",
        "the plan",
        "--file",
        file.to_str().unwrap(),
        "--wait",
        "--timeout",
        "2s",
    ];
    let ran = alice.run(&words);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr.contains("outbox") && ran.stderr.contains("hint: "),
        "{ran:?}"
    );
    for number in 0..6 {
        let text = format!("{number} {}", "long ".repeat(9_000));
        let ran = alice.run(&["send", "bob", &text, "--timeout", "500ms"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    disk.clear();
    let saved = town.path("saved");
    let mut texts = Vec::new();
    for _ in 0..20 {
        alice.ok(&["receive", "--timeout", "1s"]);
        let letters = bob.json(&["receive", "--save", saved.to_str().unwrap()]);
        texts.extend(
            letters
                .iter()
                .filter(|letter| letter["text"].is_string())
                .map(text_of),
        );
        if texts.len() == 7 {
            break;
        }
    }
    texts.sort();
    assert_eq!(texts.len(), 7);
    texts.dedup();
    assert_eq!(texts.len(), 7, "each came once");
    assert!(std::fs::read(saved.join("plan.bin")).unwrap() == vec![3; 1_500_000]);
}
