//! Two people make sure of each other: a short code that both compare, or a code that one scans.

use engine::records::Trust;
use engine::{CommandId, CommandOutcome, EngineError, Event, Input, SasError, Store, Table, Write};
use keys::Suite;
use keys::VerificationError;
use keys::account_log::Reason;
use letterlock_testkit::{Weather, World};
use wire::{Reply, Request};

/// What a person sees: the names of the pictures, and the digits.
type Code = (Vec<&'static str>, String);

fn pair(seed: u64) -> World {
    pair_of(seed, Suite::Hybrid)
}

fn pair_of(seed: u64, suite: Suite) -> World {
    let mut world = World::new(seed);
    world.join_in("alice", suite);
    world.join_in("bob", suite);
    world.befriend("alice", "bob");
    world
}

fn contact(world: &World, who: &str, with: &str) -> keys::AccountId {
    world.person(who).contact(with).unwrap().id
}

fn start(world: &mut World, who: &str, with: &str) -> CommandId {
    let contact = contact(world, who, with);
    world.begin(who, |command| Input::StartSas { command, contact })
}

fn say(world: &mut World, who: &str, with: &str, same: bool) -> Result<(), EngineError> {
    let contact = contact(world, who, with);
    let said = world.try_command(who, |_| Input::ConfirmSas { contact, same });
    said.map(drop)
}

/// The newest code that was shown.
fn code(world: &World, who: &str) -> Option<Code> {
    let events = world.person(who).events.iter().rev();
    events.into_iter().find_map(|event| match event {
        Event::SasReady { emoji, digits, .. } => {
            let names = emoji.iter().map(|emoji| emoji.name).collect();
            Some((names, digits.clone()))
        }
        _ => None,
    })
}

fn failed(world: &World, who: &str) -> Vec<SasError> {
    let events = world.person(who).events.iter();
    let errors = events.filter_map(|event| match event {
        Event::SasFailed { error, .. } => Some(*error),
        _ => None,
    });
    errors.collect()
}

fn requested(world: &World, who: &str) -> usize {
    let asks = |event: &&Event| matches!(event, Event::SasRequested { .. });
    world.person(who).events.iter().filter(asks).count()
}

fn trust(world: &World, who: &str, of: &str) -> Trust {
    world.person(who).contact(of).unwrap().trust
}

/// Who waits for an answer of this person.
fn waiting(world: &World, who: &str) -> Vec<keys::AccountId> {
    let store = &world.person(who).store;
    engine::Engine.sas_requests(store, world.now()).unwrap()
}

/// Whether nothing of a comparison is left on a disk.
fn is_over(world: &World, who: &str) -> bool {
    let rows = engine::Snapshot::scan(&world.person(who).store, Table::Meta, b"sas/", None, 9);
    rows.unwrap().is_empty()
}

/// Both show the same code: returned.
fn both(world: &World, one: &str, other: &str) -> Code {
    let shown = code(world, one);
    assert_eq!(shown, code(world, other));
    let shown = shown.unwrap();
    assert_eq!((shown.0.len(), shown.1.len()), (7, 8));
    shown
}

fn both_say_same(world: &mut World) {
    say(world, "alice", "bob", true).unwrap();
    say(world, "bob", "alice", true).unwrap();
    world.settle();
}

#[test]
fn two_people_compare_and_know_each_other() {
    compare(pair(501));
}

#[test]
fn two_people_of_cnsa2_compare_and_know_each_other() {
    compare(pair_of(502, Suite::Cnsa2));
}

fn compare(mut world: World) {
    let alice = start(&mut world, "alice", "bob");
    world.settle();
    assert_eq!((requested(&world, "bob"), code(&world, "bob")), (1, None));
    assert_eq!(waiting(&world, "bob"), [contact(&world, "bob", "alice")]);
    let bob = start(&mut world, "bob", "alice");
    world.settle();
    both(&world, "alice", "bob");
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
    say(&mut world, "alice", "bob", true).unwrap();
    world.settle();
    // Each person decides for the own devices, and hears what the other one said.
    assert_eq!(trust(&world, "alice", "bob"), Trust::BySas);
    assert_eq!(trust(&world, "bob", "alice"), Trust::ByInvite);
    assert!(world.outcome("alice", alice).is_none());
    say(&mut world, "bob", "alice", true).unwrap();
    world.settle();
    assert_eq!(trust(&world, "bob", "alice"), Trust::BySas);
    for (who, command) in [("alice", alice), ("bob", bob)] {
        let ended = world.outcome(who, command);
        assert!(matches!(ended, Some(CommandOutcome::Done)), "{ended:?}");
        assert!(is_over(&world, who) && failed(&world, who).is_empty());
        assert!(world.person(who).letters("bob").is_empty());
    }
}

#[test]
fn whoever_was_only_claimed_is_verified_and_a_stranger_learns_nothing_before() {
    let mut world = World::new(502);
    world.join("alice");
    world.join("bob");
    world.add_by_name("alice", "bob").unwrap();
    start(&mut world, "alice", "bob");
    world.settle();
    assert_eq!(requested(&world, "bob"), 0);
    assert!(world.person("bob").contact("alice").unwrap().request);
    assert!(waiting(&world, "bob").is_empty());
    start(&mut world, "bob", "alice");
    world.settle();
    both(&world, "alice", "bob");
    both_say_same(&mut world);
    assert_eq!(trust(&world, "alice", "bob"), Trust::BySas);
    assert_eq!(trust(&world, "bob", "alice"), Trust::BySas);
    assert!(!world.person("bob").contact("alice").unwrap().request);
}

#[test]
fn both_begin_at_once() {
    for seed in 510..526 {
        let mut world = pair(seed);
        start(&mut world, "alice", "bob");
        if seed % 2 == 0 {
            world.run(seed % 3);
        }
        start(&mut world, "bob", "alice");
        world.settle();
        both(&world, "alice", "bob");
        both_say_same(&mut world);
        assert_eq!(trust(&world, "alice", "bob"), Trust::BySas, "{seed}");
        assert_eq!(trust(&world, "bob", "alice"), Trust::BySas, "{seed}");
    }
}

#[test]
fn codes_are_equal_in_any_weather_and_after_any_restart() {
    for seed in 530..538 {
        let mut world = pair(seed);
        world.set_weather(Weather::storm());
        start(&mut world, "alice", "bob");
        world.run(seed % 5);
        world.stop("alice");
        world.run(1);
        world.start("alice");
        start(&mut world, "bob", "alice");
        world.run(seed % 7);
        world.stop("bob");
        world.run(2);
        world.start("bob");
        world.settle();
        both(&world, "alice", "bob");
        // A new process asks again and is shown the same.
        let before = code(&world, "bob");
        let events = world.person("bob").events.len();
        let again = start(&mut world, "bob", "alice");
        assert!(world.person("bob").events.len() > events);
        assert_eq!(code(&world, "bob"), before);
        both_say_same(&mut world);
        assert!(matches!(
            world.outcome("bob", again),
            Some(CommandOutcome::Done)
        ));
        assert_eq!(trust(&world, "alice", "bob"), Trust::BySas);
        assert_eq!(trust(&world, "bob", "alice"), Trust::BySas);
    }
}

#[test]
fn who_says_different_verifies_nobody() {
    for alice_was_faster in [false, true] {
        let mut world = pair(540);
        let alice = start(&mut world, "alice", "bob");
        world.settle();
        let bob = start(&mut world, "bob", "alice");
        world.settle();
        if alice_was_faster {
            say(&mut world, "alice", "bob", true).unwrap();
            world.settle();
            assert_eq!(trust(&world, "alice", "bob"), Trust::BySas);
        }
        say(&mut world, "bob", "alice", false).unwrap();
        world.settle();
        for (who, of, command) in [("alice", "bob", alice), ("bob", "alice", bob)] {
            assert_eq!(trust(&world, who, of), Trust::ByInvite);
            assert_eq!(failed(&world, who), [SasError::Different]);
            let ended = world.outcome(who, command);
            assert!(
                matches!(
                    ended,
                    Some(CommandOutcome::Failed(EngineError::Sas(
                        SasError::Different
                    )))
                ),
                "{ended:?}"
            );
            assert!(is_over(&world, who));
        }
        let late = say(&mut world, "bob", "alice", true);
        assert_eq!(late, Err(EngineError::Sas(SasError::NotComparing)));
    }
}

#[test]
fn either_side_may_stop_and_begin_anew() {
    let mut world = pair(550);
    start(&mut world, "alice", "bob");
    world.settle();
    let bob = contact(&world, "alice", "bob");
    world.begin("alice", |_| Input::StopSas { contact: bob });
    world.settle();
    // Nobody took part at bob's, so nobody is told.
    assert_eq!(failed(&world, "alice"), [SasError::Stopped]);
    assert!(failed(&world, "bob").is_empty() && is_over(&world, "bob"));
    start(&mut world, "alice", "bob");
    start(&mut world, "bob", "alice");
    world.settle();
    let first = both(&world, "alice", "bob");
    let alice = contact(&world, "bob", "alice");
    world.begin("bob", |_| Input::StopSas { contact: alice });
    world.settle();
    assert_eq!(
        failed(&world, "alice"),
        [SasError::Stopped, SasError::Stopped]
    );
    start(&mut world, "bob", "alice");
    start(&mut world, "alice", "bob");
    world.settle();
    assert_ne!(both(&world, "alice", "bob"), first, "a nonce counts once");
    both_say_same(&mut world);
    assert_eq!(trust(&world, "alice", "bob"), Trust::BySas);
}

#[test]
fn who_comes_too_late_begins_anew() {
    let mut world = pair(551);
    world.stop("bob");
    start(&mut world, "alice", "bob");
    world.settle();
    let bob = contact(&world, "alice", "bob");
    world.begin("alice", |_| Input::StopSas { contact: bob });
    world.settle();
    // What Alice began and what she called off lie at the relay.
    world.start("bob");
    assert!(waiting(&world, "bob").is_empty());
    let waits = start(&mut world, "bob", "alice");
    world.settle();
    assert!(world.outcome("bob", waits).is_none() && failed(&world, "bob").is_empty());
    assert_eq!(requested(&world, "alice"), 1);
    start(&mut world, "alice", "bob");
    world.settle();
    both(&world, "alice", "bob");
    both_say_same(&mut world);
    assert_eq!(trust(&world, "bob", "alice"), Trust::BySas);
}

#[test]
fn after_ten_minutes_it_is_over() {
    let mut world = pair(560);
    let alice = start(&mut world, "alice", "bob");
    world.settle();
    world.run(601);
    let late = world.outcome("alice", alice);
    assert!(matches!(
        late,
        Some(CommandOutcome::Failed(EngineError::Sas(SasError::Expired)))
    ));
    world.settle();
    assert!(is_over(&world, "alice") && is_over(&world, "bob"));
    // Bob slept and hears of it much later: there is nothing to answer.
    world.stop("bob");
    start(&mut world, "alice", "bob");
    world.settle();
    world.run(700);
    let before = requested(&world, "bob");
    world.start("bob");
    world.settle();
    assert_eq!(requested(&world, "bob"), before);
    assert!(is_over(&world, "bob"));
    // Nor is there where nobody says a word about the code.
    start(&mut world, "bob", "alice");
    start(&mut world, "alice", "bob");
    world.settle();
    both(&world, "alice", "bob");
    world.run(601);
    let late = say(&mut world, "alice", "bob", true);
    assert_eq!(late, Err(EngineError::Sas(SasError::NotComparing)));
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
}

#[test]
fn a_clock_that_was_slept_through_ends_it_too() {
    let mut world = pair(561);
    start(&mut world, "alice", "bob");
    start(&mut world, "bob", "alice");
    world.settle();
    world.sleep(3600);
    world.run(1);
    for (who, other) in [("alice", "bob"), ("bob", "alice")] {
        let late = say(&mut world, who, other, true);
        assert_eq!(late, Err(EngineError::Sas(SasError::NotComparing)));
    }
}

#[test]
fn nobody_compares_with_the_unknown_the_blocked_or_the_changed() {
    let mut world = pair(570);
    let (bob, nobody) = (world.account("bob"), keys::AccountId::from_bytes([9; 32]));
    let begin = |world: &mut World, contact| {
        world.command("alice", |command| Input::StartSas { command, contact })
    };
    let unknown = begin(&mut world, nobody);
    assert!(matches!(
        unknown,
        CommandOutcome::Failed(EngineError::UnknownContact)
    ));
    start(&mut world, "alice", "bob");
    start(&mut world, "bob", "alice");
    world.settle();
    both(&world, "alice", "bob");
    world.command("alice", |command| Input::Block {
        command,
        contact: bob,
        blocked: true,
    });
    world.settle();
    assert_eq!(failed(&world, "alice"), [SasError::Stopped]);
    assert_eq!(
        say(&mut world, "alice", "bob", true),
        Err(EngineError::Blocked)
    );
    let blocked = begin(&mut world, bob);
    assert!(matches!(
        blocked,
        CommandOutcome::Failed(EngineError::Blocked)
    ));
    // The blocked one is not heard.
    world.begin("bob", |_| Input::StopSas {
        contact: keys::AccountId::from_bytes([0; 32]),
    });
    world.run(700);
    let before = requested(&world, "alice");
    start(&mut world, "bob", "alice");
    world.settle();
    assert_eq!(requested(&world, "alice"), before);
}

#[test]
fn a_log_that_changes_ends_it() {
    let mut world = pair(580);
    start(&mut world, "alice", "bob");
    start(&mut world, "bob", "alice");
    world.settle();
    both(&world, "alice", "bob");
    let rotated = world.command("bob", |command| Input::RotateDevice { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.settle();
    assert_eq!(failed(&world, "bob"), [SasError::LogsChanged]);
    assert_eq!(failed(&world, "alice"), [SasError::LogsChanged]);
    assert!(say(&mut world, "alice", "bob", true).is_err());
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
    start(&mut world, "alice", "bob");
    start(&mut world, "bob", "alice");
    world.settle();
    both(&world, "alice", "bob");
    both_say_same(&mut world);
    assert_eq!(trust(&world, "bob", "alice"), Trust::BySas);
}

#[test]
fn a_relay_that_hides_a_device_ends_it() {
    let mut world = pair(581);
    let alice = world.account("alice");
    world
        .relay()
        .twist(move |request, reply| match (request, &reply) {
            (Request::CheckLog(check), Reply::Entries(entries))
                if check.account == alice && entries.first > 0 =>
            {
                Reply::Done
            }
            _ => reply,
        });
    let rotated = world.command("alice", |command| Input::RotateRoot { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.settle();
    start(&mut world, "bob", "alice");
    world.settle();
    start(&mut world, "alice", "bob");
    world.run(620);
    assert_eq!((code(&world, "alice"), code(&world, "bob")), (None, None));
    assert!(!failed(&world, "bob").is_empty());
    let told = |event: &Event| matches!(event, Event::LogWithheld { .. });
    assert!(world.person("bob").events.iter().any(told));
}

#[test]
fn one_device_of_each_side_takes_part_and_all_of_them_know() {
    let mut world = pair(590);
    world.link("alice", "laptop");
    world.link("bob", "tablet");
    world.send("alice", "bob", "hello");
    world.settle();
    world.send("tablet", "alice", "hello");
    world.settle();
    start(&mut world, "laptop", "bob");
    world.settle();
    assert_eq!(
        (requested(&world, "bob"), requested(&world, "tablet")),
        (1, 1)
    );
    start(&mut world, "tablet", "alice");
    world.settle();
    both(&world, "laptop", "tablet");
    assert!(code(&world, "bob").is_none() && is_over(&world, "bob"));
    say(&mut world, "laptop", "bob", true).unwrap();
    say(&mut world, "tablet", "alice", true).unwrap();
    world.settle();
    for (who, of) in [
        ("alice", "bob"),
        ("laptop", "bob"),
        ("bob", "alice"),
        ("tablet", "alice"),
    ] {
        assert_eq!(trust(&world, who, of), Trust::BySas, "{who}");
    }
}

#[test]
fn two_devices_that_answer_at_once_share_no_nonce() {
    let mut world = pair(591);
    world.link("bob", "tablet");
    world.send("alice", "bob", "hello");
    world.settle();
    start(&mut world, "alice", "bob");
    world.settle();
    start(&mut world, "bob", "alice");
    let late = start(&mut world, "tablet", "alice");
    world.settle();
    let answered = [code(&world, "bob"), code(&world, "tablet")];
    assert_eq!(answered.iter().flatten().count(), 1);
    assert!(answered.contains(&code(&world, "alice")));
    if let Some(outcome) = world.outcome("tablet", late) {
        let elsewhere = EngineError::Sas(SasError::Elsewhere);
        assert!(matches!(outcome, CommandOutcome::Failed(error) if error == elsewhere));
    }
}

#[test]
fn a_device_that_is_revoked_meanwhile_compares_no_more() {
    let mut world = pair(592);
    let tablet = world.link("bob", "tablet");
    world.send("alice", "bob", "hello");
    world.settle();
    start(&mut world, "alice", "bob");
    world.settle();
    start(&mut world, "tablet", "alice");
    world.settle();
    both(&world, "alice", "tablet");
    world.revoke("bob", tablet, Reason::Stolen);
    world.settle();
    world.send("bob", "alice", "my tablet is gone");
    world.settle();
    assert_eq!(failed(&world, "alice"), [SasError::LogsChanged]);
    assert!(say(&mut world, "alice", "bob", true).is_err());
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
}

/// Mallory is "bob" to alice and "alice" to bob, and passes on what she can.
#[test]
fn who_stands_between_never_makes_the_codes_equal() {
    for seed in 600..632 {
        let mut world = World::new(seed);
        for name in ["alice", "bob", "mallory"] {
            world.join(name);
        }
        world.befriend("alice", "mallory");
        world.befriend("bob", "mallory");
        start(&mut world, "alice", "mallory");
        start(&mut world, "bob", "mallory");
        if seed % 2 == 0 {
            world.settle();
        }
        start(&mut world, "mallory", "alice");
        start(&mut world, "mallory", "bob");
        world.settle();
        let (alice, bob) = (code(&world, "alice"), code(&world, "bob"));
        let (alice, bob) = (alice.unwrap(), bob.unwrap());
        assert_ne!(alice.0, bob.0);
        assert_ne!(alice.1, bob.1);
        say(&mut world, "alice", "mallory", false).unwrap();
        say(&mut world, "bob", "mallory", false).unwrap();
        world.settle();
        assert_eq!(trust(&world, "alice", "mallory"), Trust::ByInvite);
        assert_eq!(trust(&world, "bob", "mallory"), Trust::ByInvite);
    }
}

/// Where the own nonce stands in a stored comparison that has no device yet: version, stage, contact, command,
/// deadline, id, no device, side.
const NONCE: usize = 1 + 1 + 32 + 8 + 8 + 16 + 4 + 1;

#[test]
fn broken_promise_ends_it() {
    let mut world = pair(640);
    start(&mut world, "alice", "bob");
    world.settle();
    // Alice promised one nonce and shows another.
    let store = &mut world.person_mut("alice").store;
    let rows = engine::Snapshot::scan(store, Table::Meta, b"sas/", None, 9).unwrap();
    let (key, mut value) = rows.into_iter().next().unwrap();
    value[NONCE] ^= 1;
    let table = Table::Meta;
    store.apply(vec![Write::Put { table, key, value }]).unwrap();
    start(&mut world, "bob", "alice");
    world.settle();
    assert_eq!(failed(&world, "bob"), [SasError::Broken]);
    assert_eq!(code(&world, "bob"), None);
    assert_eq!(failed(&world, "alice"), [SasError::Broken]);
    assert!(say(&mut world, "bob", "alice", true).is_err());
}

fn shown_code(world: &mut World, who: &str, with: &str) -> String {
    let contact = contact(world, who, with);
    match world.command(who, |command| Input::ShowCode { command, contact }) {
        CommandOutcome::VerificationCode(code) => code,
        other => panic!("no code: {other:?}"),
    }
}

fn scan(world: &mut World, who: &str, with: &str, text: &str) -> Result<(), EngineError> {
    let (contact, scanned) = (contact(world, who, with), text.to_owned());
    match world.command(who, |command| Input::CompareCode {
        command,
        contact,
        scanned,
    }) {
        CommandOutcome::Done => Ok(()),
        CommandOutcome::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_scanned_code_verifies_the_side_that_scans() {
    let mut world = World::new(650);
    for name in ["alice", "bob", "mallory"] {
        world.join(name);
    }
    world.add_by_name("alice", "bob").unwrap();
    world.add_by_name("bob", "alice").unwrap();
    world.befriend("mallory", "bob");
    let code = shown_code(&mut world, "bob", "alice");
    let own = shown_code(&mut world, "alice", "bob");
    let mallorys = shown_code(&mut world, "mallory", "bob");
    let wrong = |error| Err(EngineError::Code(error));
    let mut scans = |text: &str| scan(&mut world, "alice", "bob", text);
    assert_eq!(scans("letterlock"), wrong(VerificationError::NotACode));
    assert_eq!(scans(&own), wrong(VerificationError::Own));
    assert_eq!(scans(&mallorys), wrong(VerificationError::OtherContact));
    assert_eq!(trust(&world, "alice", "bob"), Trust::Claimed);
    scan(&mut world, "alice", "bob", &format!(" {code}\n")).unwrap();
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByCode);
    assert_eq!(trust(&world, "bob", "alice"), Trust::Claimed);
}

#[test]
fn a_rotated_root_is_no_lie() {
    let mut world = pair(651);
    let rotated = world.command("bob", |command| Input::RotateRoot { command });
    assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
    world.settle();
    let code = shown_code(&mut world, "bob", "alice");
    scan(&mut world, "alice", "bob", &code).unwrap();
    let code = shown_code(&mut world, "alice", "bob");
    scan(&mut world, "bob", "alice", &code).unwrap();
    assert_eq!(trust(&world, "bob", "alice"), Trust::ByCode);
}

#[test]
fn a_false_root_is_a_hard_stop() {
    for of_alice in [false, true] {
        let mut world = pair(652);
        let hidden = world.account(if of_alice { "alice" } else { "bob" });
        world
            .relay()
            .twist(move |request, reply| match (request, &reply) {
                (Request::CheckLog(check), Reply::Entries(_)) if check.account == hidden => {
                    Reply::Done
                }
                _ => reply,
            });
        let who = if of_alice { "alice" } else { "bob" };
        let rotated = world.command(who, |command| Input::RotateRoot { command });
        assert!(matches!(rotated, CommandOutcome::Done), "{rotated:?}");
        world.settle();
        let code = shown_code(&mut world, "bob", "alice");
        let error = if of_alice {
            VerificationError::OurRoot
        } else {
            VerificationError::TheirRoot
        };
        let refused = scan(&mut world, "alice", "bob", &code);
        assert_eq!(refused, Err(EngineError::Code(error)));
        let bob = world.person("alice").contact("bob").unwrap();
        assert!(bob.changed);
        assert_eq!(world.person("alice").store.count(Table::Evidence), 1);
        let draft = engine::Draft {
            text: "after".to_owned(),
            ..engine::Draft::default()
        };
        let stopped = world.send_draft("alice", "bob", draft);
        assert_eq!(
            stopped,
            Err(EngineError::IdentityChanged { contact: bob.id })
        );
    }
}

#[test]
fn without_a_relay_no_code_is_shown_or_believed() {
    let mut world = pair(653);
    let code = shown_code(&mut world, "bob", "alice");
    world.set_online("alice", false);
    let unchecked = Err(EngineError::Sas(SasError::Unchecked));
    assert_eq!(scan(&mut world, "alice", "bob", &code), unchecked);
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
    world.set_online("alice", true);
    world.settle();
    assert_eq!(trust(&world, "alice", "bob"), Trust::ByInvite);
    scan(&mut world, "alice", "bob", &code).unwrap();
}
