//! End-to-end encryption as one system: the program `letterlock`.

mod ask;
mod cbom;
mod cli;
mod doctor;
mod duration;
mod evidence;
mod failure;
mod give;
mod groups;
mod guardians;
mod insight;
mod inspect;
mod link;
mod mount;
mod os;
mod paper;
mod passphrase;
mod qr;
mod question;
mod recovery;
mod render;
mod run;
mod sas;
mod screen;
mod sealed;
mod serve;
mod signal;
mod text;
mod time;
mod tour;
mod vault_files;
mod vaults;

use clap::Parser as _;
use clap::error::ErrorKind;
use cli::LowArgs;
use client::view::{Failure, FailureKind};
use failure::Stop;
use screen::Screen;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let args = match LowArgs::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return not_parsed(&words, &error),
    };
    let mut screen = Screen::new(args.globals.json);
    let done = args
        .into_job()
        .map_err(Stop::from)
        .and_then(|job| run::run(job, &mut screen));
    screen.clear_bars();
    let Err(stop) = done else {
        return ExitCode::SUCCESS;
    };
    if let Stop::Failed(failure) = &stop {
        screen.failure(failure);
    }
    stop.exit_code()
}

/// Help, version, or words that make no command.
fn not_parsed(words: &[OsString], error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked && words.iter().any(|word| word == "--json") {
        Screen::new(true).failure(&usage_failure(error));
    } else {
        // Standard output or standard error may be closed; there is nobody left to tell.
        let _ = error.print();
    }
    ExitCode::from(if asked {
        0
    } else {
        FailureKind::Usage.exit_code()
    })
}

fn usage_failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    failure::usage(
        first.strip_prefix("error: ").unwrap_or(first),
        "letterlock --help lists the commands; every command has a --help of its own",
    )
}
