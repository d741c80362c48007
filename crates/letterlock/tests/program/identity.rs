//! A contact whose identity is not the pinned one: a hard stop until a person decides.

use crate::support::{Person, Town};
use rusqlite::params;

/// Gives a relay's name to another account than it had, as a lying or a new relay does.
fn give_name(town: &mut Town, name: &str, to: &Person) {
    town.stop_relay();
    let relay = rusqlite::Connection::open(town.relay_data().join("relay.db")).unwrap();
    let change = |sql: &str, values: &[&str]| {
        let rows = relay
            .execute(sql, rusqlite::params_from_iter(values))
            .unwrap();
        assert_eq!(rows, 1, "{sql}");
    };
    change(
        "UPDATE accounts SET name = 'nobody' WHERE name = ?1",
        &[name],
    );
    change(
        "UPDATE accounts SET name = ?1 WHERE name = ?2",
        &[name, &to.name],
    );
    relay.close().unwrap();
    town.start_relay();
}

#[test]
fn a_name_with_another_account_behind_it_is_a_hard_stop() {
    let mut town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    let mallory = town.person("mallory");
    let before = alice.contact("bob").unwrap();
    give_name(&mut town, "bob", &mallory);

    let address = format!("bob@{}", town.authority());
    for _ in 0..2 {
        let stop = alice.fails(3, &["contact", "add", &address]);
        assert!(
            stop["hint"]
                .as_str()
                .unwrap()
                .contains("letterlock contact verify"),
            "{stop}"
        );
        let contact = alice.contact("bob").unwrap();
        assert_eq!(contact["trust"], "changed");
        assert_eq!(contact["account_id"], before["account_id"], "the pin stays");
    }
    let id_of = |person: &Person| person.json(&["account", "show"])[0]["account_id"].clone();
    let folder = town.path("evidence");
    let kept = alice.json(&[
        "contact",
        "evidence",
        "bob",
        "--save",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(kept.len(), 1, "the same lie is kept once");
    assert_eq!(kept[0]["account_id"], id_of(&bob));
    assert_eq!(kept[0]["shown_account_id"], id_of(&mallory));
    let file = std::fs::read(kept[0]["path"].as_str().unwrap()).unwrap();
    assert!(file.len() > 10_000, "both logs, {} bytes", file.len());
    assert!(bob.json(&["contact", "evidence", "alice"]).is_empty());

    let stop = alice.fails(3, &["send", "bob", "not for mallory"]);
    assert_eq!(stop["kind"], "refused");
    assert!(
        stop["message"].as_str().unwrap().contains("identity"),
        "{stop}"
    );
    let shown = alice.ok(&["contact", "list"]).stdout;
    assert!(shown.contains("CHANGED IDENTITY"), "{shown}");
    assert_eq!(mallory.receive(), [""; 0]);

    // What was said before can be read, and the true bob is still heard.
    assert_eq!(alice.read("bob"), ["It is me."]);
    bob.ok(&["send", "alice", "The relay lies.", "--wait"]);
    assert_eq!(alice.receive(), ["The relay lies."]);
    // They compare numbers: the pinned account is the right one.
    let number =
        |person: &Person, of: &str| person.ok(&["contact", "verify", of, "--number"]).line();
    assert_eq!(number(&alice, "bob"), number(&bob, "alice"));
    alice.ok(&["contact", "verify", "bob", "--number", "--yes"]);
    alice.ok(&["send", "bob", "I know.", "--wait"]);
    assert_eq!(bob.receive(), ["I know."]);
}

#[test]
fn a_contact_who_begins_anew_is_taken_up_by_an_invite() {
    let mut town = Town::new();
    let (alice, _old) = town.pair("alice", "bob");
    let again = town.person("bob2");
    give_name(&mut town, "bob", &again);
    let address = format!("bob@{}", town.authority());
    alice.fails(3, &["contact", "add", &address]);
    alice.fails(3, &["send", "bob", "who are you?"]);

    let invite = again.ok(&["invite"]).line();
    let added = &alice.json(&["contact", "add", &invite])[0];
    assert_eq!(added["trust"], "verified");
    let name = added["name"].as_str().unwrap();
    alice.ok(&["send", name, "It is you.", "--wait"]);
    assert_eq!(again.receive(), ["It is you."]);
}

#[test]
fn who_lost_every_key_begins_anew_and_contacts_are_stopped() {
    let town = Town::new();
    let (alice, bob) = town.pair("alice", "bob");
    // Neither device nor sheet nor guardians are left.
    std::fs::remove_dir_all(&bob.home).unwrap();
    let again = town.stranger("bob");
    let create = ["account", "create", "bob", "--relay", town.url()];
    let taken = again.fails(1, &create);
    assert!(
        taken["hint"].as_str().unwrap().contains("relay release"),
        "{taken}"
    );
    let data = town.relay_data();
    let release = |name| ["relay", "release", name, "--data", data.to_str().unwrap()];
    again.fails(5, &release("nobody"));
    let freed = again.json(&release("bob"));
    assert_eq!(freed[0]["answer"], "released");
    assert_eq!(freed[0]["now"], "bob.old-1");
    again.ok(&create);

    // He writes to alice, who is told and stopped, with evidence.
    let address = format!("alice@{}", town.authority());
    again.ok(&["contact", "add", &address]);
    again.ok(&["send", "alice", "it is me, truly", "--wait"]);
    let told = alice.ok(&["receive", "--timeout", "2s"]);
    assert!(
        told.stderr
            .contains("the identity of bob is not the one known here"),
        "{told:?}"
    );
    assert_eq!(alice.contact("bob").unwrap()["trust"], "changed");
    alice.fails(3, &["send", "bob", "to whom?"]);
    let evidence = alice.json(&["contact", "evidence", "bob"]);
    assert_eq!(evidence[0]["finding"], "other_account");
    // They meet, and go on.
    let invite = again.ok(&["invite"]).line();
    let added = &alice.json(&["contact", "add", &invite])[0];
    assert_eq!(added["trust"], "verified");
    let name = added["name"].as_str().unwrap().to_owned();
    alice.ok(&["send", &name, "it is you", "--wait"]);
    assert_eq!(again.receive(), ["it is you"]);
}

#[test]
fn an_invite_is_worth_more_than_what_a_relay_says() {
    let mut town = Town::new();
    let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(|name| town.person(name));
    let invite = bob.ok(&["invite"]).line();
    town.stop_relay();
    let relay = rusqlite::Connection::open(town.relay_data().join("relay.db")).unwrap();
    let log = |name: &str| -> Vec<u8> {
        let sql = "SELECT log FROM accounts WHERE name = ?1";
        relay.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    let swapped = params![log(&mallory.name), "bob"];
    relay
        .execute("UPDATE accounts SET log = ?1 WHERE name = ?2", swapped)
        .unwrap();
    relay.close().unwrap();
    town.start_relay();

    let stop = alice.fails(3, &["contact", "add", &invite]);
    assert_eq!(stop["kind"], "refused");
    assert!(alice.json(&["contact", "list"]).is_empty());
}
