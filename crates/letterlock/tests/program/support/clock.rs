//! Hours that pass for the processes of one town: a clock that is put ahead, by the system's loader.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/support/clock.c");

/// Where a town keeps its clock.
pub(crate) fn of(town: &Path) -> PathBuf {
    town.join("clock.so")
}

/// Makes the clock of a town one that is so far ahead.
pub(crate) fn put_ahead(town: &Path, seconds: u64) {
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(of(town))
        .arg(format!("-DAHEAD={seconds}"))
        .arg(SOURCE)
        .status()
        .unwrap();
    assert!(made.success(), "the C compiler with which Rust links");
}

/// Has a process live by the clock of a town, where one was made.
pub(crate) fn set(command: &mut Command, town: &Path) {
    let clock = of(town);
    if clock.exists() {
        command.env("LD_PRELOAD", clock);
    }
}
