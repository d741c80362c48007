//! A relay beyond loopback: TLS 1.3, and a key that the address pins.

use crate::support::Town;

#[test]
fn letters_and_files_go_through_a_pinned_relay() {
    let mut town = Town::with_tls();
    assert!(
        town.url().starts_with("https://localhost:"),
        "{}",
        town.url()
    );
    let (alice, bob) = town.pair("alice", "bob");
    let file = town.path("plan.bin");
    std::fs::write(&file, vec![5; 3_000_000]).unwrap();
    alice.ok(&[
        "send",
        "bob",
        "the plan",
        "--file",
        file.to_str().unwrap(),
        "--wait",
    ]);
    // The key stays when the relay starts again; start_relay compares the pins.
    town.stop_relay();
    town.start_relay();
    let saved = town.path("saved");
    bob.ok(&["receive", "--save", saved.to_str().unwrap()]);
    assert!(std::fs::read(saved.join("plan.bin")).unwrap() == vec![5; 3_000_000]);
    // A known host has a known pin; an unknown one must be given with its pin.
    assert_eq!(
        bob.contact("alice").unwrap()["address"],
        format!("alice@{}", town.authority())
    );
    bob.fails(
        5,
        &["contact", "add", &format!("nobody@{}", town.authority())],
    );
    bob.fails(2, &["contact", "add", "nobody@localhost:1"]);
}

#[test]
fn another_key_than_the_pinned_one_is_refused() {
    let mut town = Town::with_tls();
    let (alice, bob) = town.pair("alice", "bob");
    let carol = town.stranger("carol");
    let (address, pin) = town.url().split_once("#sha256=").unwrap();
    let other = if pin.starts_with('A') { "B" } else { "A" };
    let wrong = format!("{address}#sha256={other}{}", &pin[1..]);
    let create = ["account", "create", "carol", "--relay", &wrong];
    assert_eq!(carol.fails(3, &create)["kind"], "refused");
    carol.fails(2, &["account", "create", "carol", "--relay", address]);
    let url = town.url().to_owned();
    carol.ok(&["account", "create", "carol", "--relay", &url]);

    // The relay comes back with another key: letters stay in the outbox.
    town.lose_key();
    let ran = alice.run(&["send", "bob", "for bob alone", "--wait", "--timeout", "3s"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("outbox"), "{ran:?}");
    assert_eq!(bob.fails(3, &["receive"])["kind"], "refused");
    town.find_key();
    alice.ok(&["receive"]);
    assert_eq!(bob.receive(), ["for bob alone"]);
}
