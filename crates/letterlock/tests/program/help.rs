//! The help texts, as `docs/guide/cli.md` shows them.

use crate::support::{Process, letterlock};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

const GUIDE: &str = "docs/guide/cli.md";
const HEAD: &str = "\
# Commands

What `--help` says of every command. A test compares this page with the program;
`LETTERLOCK_BLESS=1 cargo nextest run -p letterlock help` writes it anew.
";

fn help_of(words: &[String]) -> String {
    let mut command = letterlock();
    command.args(words).arg("--help");
    let ran = Process::spawn(&mut command).wait();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The names below `Commands:`.
fn commands_in(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn write_all(words: &mut Vec<String>, page: &mut String) {
    let help = help_of(words);
    let name = [&["letterlock".to_owned()], words.as_slice()]
        .concat()
        .join(" ");
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    for command in commands_in(&help) {
        words.push(command);
        write_all(words, page);
        words.pop();
    }
}

#[test]
fn the_guide_shows_the_help_of_every_command() {
    let mut page = HEAD.to_owned();
    write_all(&mut Vec::new(), &mut page);
    assert!(page.contains("## letterlock contact verify\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(GUIDE);
    if std::env::var_os("LETTERLOCK_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = written
        .lines()
        .zip(page.lines())
        .find(|(old, new)| old != new);
    assert!(
        written == page,
        "{GUIDE} differs from --help, first here: {first:?}; write it anew with LETTERLOCK_BLESS=1"
    );
}

/// The names of a command's own commands, and of all below them.
fn names_below(words: &mut Vec<String>, names: &mut Vec<String>) {
    for command in commands_in(&help_of(words)) {
        names.push(command.clone());
        words.push(command);
        names_below(words, names);
        words.pop();
    }
}

#[test]
fn completions_know_the_commands() {
    let mut names = Vec::new();
    names_below(&mut Vec::new(), &mut names);
    assert!(names.len() > 60, "{names:?}");
    for name in ["vault", "unshare", "verify-evidence", "guardians"] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut command = letterlock();
        command.args(["completions", shell]);
        let ran = Process::spawn(&mut command).wait();
        assert_eq!(ran.code, Some(0), "{shell}");
        // Whole words: `list` stands in others too.
        let signs = |sign: char| !sign.is_alphanumeric() && sign != '-';
        let words: HashSet<&str> = ran.stdout.split(signs).collect();
        for name in &names {
            assert!(words.contains(name.as_str()), "{shell}: {name}");
        }
        assert!(ran.stdout.contains("reply-to"), "{shell}");
    }
}

#[test]
fn bash_accepts_its_completions() {
    let mut command = letterlock();
    command.args(["completions", "bash"]);
    let script = Process::spawn(&mut command).wait().stdout;
    // In a file: as an argument it would be longer than the system takes.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let checked = std::process::Command::new("bash")
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );
}

#[test]
fn no_command_is_a_usage_error_with_help() {
    for words in [&[][..], &["relay"], &["account"], &["contact"]] {
        let mut command = letterlock();
        command.args(words);
        let ran = Process::spawn(&mut command).wait();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}");
        assert!(ran.stderr.contains("Usage: letterlock"), "{words:?}");
    }
}
