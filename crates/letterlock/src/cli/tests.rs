#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use super::*;
use clap::CommandFactory as _;
use client::view::FailureKind;
use std::path::Path;

fn parse(line: &str) -> Result<Job, Failure> {
    let words = line.split_whitespace();
    LowArgs::try_parse_from(words).unwrap().into_job()
}

fn request(line: &str) -> (Profile, Request) {
    match parse(&format!("letterlock --home /home/of/alice {line}")).unwrap() {
        Job::Ask(profile, request) | Job::AskAsQr(profile, request) => (profile, request),
        job => panic!("{job:?} asks for nothing"),
    }
}

/// The fields of a request, for comparison.
fn fields(line: &str) -> serde_json::Value {
    serde_json::to_value(request(line).1).unwrap()
}

#[test]
fn the_grammar_is_consistent() {
    LowArgs::command().debug_assert();
}

#[test]
fn global_options_stand_anywhere() {
    let line = "letterlock read --json --home here --passphrase-file secret bob";
    let args = LowArgs::try_parse_from(line.split(' ')).unwrap();
    assert!(args.globals.json);
    let Job::Ask(profile, _) = args.into_job().unwrap() else {
        panic!("read asks the profile");
    };
    assert!(profile.home.is_absolute() && profile.home.ends_with("here"));
    assert_eq!(
        profile.passphrase_file.as_deref(),
        Some(Path::new("secret"))
    );
}

#[test]
fn an_account_is_asked_for_at_a_relay() {
    assert_eq!(
        fields("account create alice --relay http://127.0.0.1:1"),
        serde_json::json!({"request": "account_create", "name": "alice", "relay": "http://127.0.0.1:1", "invite": null, "suite": "hybrid"})
    );
}

#[test]
fn times_reach_the_request_in_its_units() {
    assert_eq!(fields("invite --expires 2d")["valid_for_seconds"], 172_800);
    assert_eq!(fields("invite")["valid_for_seconds"], 604_800);
    let sent = fields("send bob hello --expires 1d --timeout 500ms --wait");
    assert_eq!(sent["expires_seconds"], 86_400);
    assert_eq!(sent["timeout_ms"], 500);
    assert_eq!(sent["wait"], true);
    assert_eq!(fields("receive --timeout 10s")["timeout_ms"], 10_000);
    assert_eq!(
        fields("receive --follow")["timeout_ms"],
        serde_json::Value::Null
    );
}

#[test]
fn an_empty_letter_is_refused_before_the_home_is_opened() {
    let failure = parse("letterlock --home /h send bob").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Usage);
    assert!(failure.hint.unwrap().contains("letterlock send bob TEXT"));
}

#[test]
fn files_are_looked_for_and_named_from_the_root() {
    let missing = parse("letterlock --home /h send bob --file /not/there").unwrap_err();
    assert_eq!(missing.kind, FailureKind::NotFound);
    let folder = parse("letterlock --home /h send bob --file src").unwrap_err();
    assert_eq!(folder.kind, FailureKind::Usage);
    let sent = fields("send bob --file src/main.rs --file Cargo.toml");
    let files: Vec<&str> = sent["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.starts_with('/')));
}

#[test]
fn contacts_are_verified_by_number() {
    for (line, compared) in [
        ("contact verify bob", false),
        ("contact verify bob --number", false),
        ("contact verify bob --number --yes", true),
    ] {
        let job = parse(&format!("letterlock --home /h {line}")).unwrap();
        let Job::Verify(_, verify) = job else {
            panic!("{line} verifies");
        };
        assert_eq!(verify.compared, compared);
        assert_eq!(verify.contact, "bob");
    }
    assert_eq!(fields("contact block bob")["blocked"], true);
    assert_eq!(fields("contact block bob --undo")["blocked"], false);
}

#[test]
fn contacts_are_verified_in_one_way_at_a_time() {
    let Job::Sas(_, sas) = parse("letterlock --home /h contact verify bob --sas --yes").unwrap()
    else {
        panic!("--sas compares");
    };
    assert_eq!(
        (sas.contact.as_str(), sas.yes, sas.timeout_ms),
        ("bob", true, 120_000)
    );
    let shown = fields("contact verify bob --qr");
    assert_eq!(shown["request"], "code_show");
    let scanned = fields("contact verify bob --scan letterlock-verify-1:AE");
    assert_eq!(scanned["request"], "code_scanned");
    assert_eq!(scanned["code"], "letterlock-verify-1:AE");
    for flags in [
        "--sas --qr",
        "--number --sas",
        "--qr --scan -",
        "--scan",
        "--qr --yes",
        "--number --timeout 1s",
        "--timeout 1s",
    ] {
        let line = format!("letterlock contact verify bob {flags}");
        let error = LowArgs::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn words_of_a_search_are_one_query() {
    assert_eq!(fields("search red apples --limit 3")["words"], "red apples");
}

#[test]
fn what_is_no_command_is_refused() {
    for line in [
        "letterlock",
        "letterlock relay",
        "letterlock contact",
        "letterlock frobnicate",
        "letterlock account create alice",
        "letterlock read --limit 0",
        "letterlock receive --timeout 10",
        "letterlock completions klingon",
        "letterlock search",
    ] {
        let error = LowArgs::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn a_relay_stores_where_it_is_told_and_nowhere_else() {
    let line = "letterlock relay serve --data /srv/relay --listen 127.0.0.1:0 --store sqlite: --wake local: --blobs file:";
    let Job::Serve(config) = parse(line).unwrap() else {
        panic!("serve serves");
    };
    assert_eq!(config.data, Path::new("/srv/relay"));
    assert_eq!(config.listen.port(), 0);
    for other in [
        "--store postgres://db",
        "--wake nats://x",
        "--blobs s3://x",
        "--config /not/there",
    ] {
        let failure = parse(&format!("letterlock relay serve --data /d {other}")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Usage, "{other}");
    }
}

/// The words of a line as a shell splits them, up to where its output goes to a file; one list for each command that a
/// pipe joins. Quotes are single ones.
fn commands_of(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![String::new()]];
    let mut quoted = false;
    for sign in line.chars() {
        let words = commands.last_mut().unwrap();
        match sign {
            '\'' => quoted = !quoted,
            '>' if !quoted => break,
            '|' if !quoted => commands.push(vec![String::new()]),
            ' ' if !quoted => words.push(String::new()),
            sign => words.last_mut().unwrap().push(sign),
        }
    }
    assert!(!quoted, "{line} lacks a quote");
    for words in &mut commands {
        words.retain(|word| !word.is_empty());
    }
    commands
}

/// Looks at the examples of a command and of those below it, and counts them.
fn examples_parse(command: &clap::Command, path: &mut Vec<String>) -> usize {
    path.push(command.get_name().to_owned());
    let help = command.get_after_help().map(ToString::to_string);
    let lines = help.unwrap_or_default();
    let lines = lines.lines().filter(|line| line.starts_with("  "));
    let mut examples: Vec<Vec<String>> = lines.flat_map(commands_of).collect();
    examples.retain(|words| words[0] == "letterlock");
    for words in &examples {
        let parsed = LowArgs::command().try_get_matches_from(words);
        assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
    }
    if command.get_subcommands().next().is_none() && command.get_arguments().next().is_some() {
        let own = examples.iter().any(|words| words.starts_with(path));
        assert!(own, "{path:?} has no example");
    }
    let below = command.get_subcommands();
    let below: usize = below.map(|below| examples_parse(below, path)).sum();
    path.pop();
    examples.len().saturating_add(below)
}

#[test]
fn every_command_with_arguments_has_an_example_and_all_of_them_parse() {
    let examples = examples_parse(&LowArgs::command(), &mut Vec::new());
    assert!(examples > 100, "{examples} were found");
}
