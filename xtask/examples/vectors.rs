//! Replays vectors of the Triple Ratchet, of MLS and of age: what `cargo xtask vectors` runs.
//!
//! An example, so that this command alone builds what replays them.
#![expect(clippy::disallowed_methods, reason = "a tool reads the vectors")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let mut files = Vec::new();
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        if let Err(error) = collect(&path, &mut files) {
            eprintln!("error: cannot read {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if files.is_empty() {
        eprintln!("error: no file to replay");
        return ExitCode::FAILURE;
    }
    let (mut facts, mut failed) = (0_usize, 0_usize);
    for file in &files {
        match replay(file) {
            Ok((found, report)) => {
                facts = facts.saturating_add(found);
                println!("ok      {}: {report}", file.display());
            }
            Err(error) => {
                failed = failed.saturating_add(1);
                println!("FAILED  {error}");
            }
        }
    }
    println!("files {}, facts {facts}, failed {failed}", files.len());
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Adds a file, or the files of a folder and those below it in order: `.json`, and those of age, which have no end.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        std::fs::metadata(path)?;
        files.push(path.to_path_buf());
        return Ok(());
    }
    let mut inside = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    inside.sort();
    for path in inside {
        let taken = |end: &std::ffi::OsStr| end == "json";
        if path.is_dir() || path.extension().is_none_or(taken) {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Replays one file: how many facts held, and in words; an error names the file.
fn replay(path: &Path) -> Result<(usize, String), String> {
    let name = path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    if seal::age::replay::knows(&bytes) {
        let facts = seal::age::replay::file(&name, &bytes)?;
        return Ok((facts, format!("{facts} facts")));
    }
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    if groups::replay::knows(&json) {
        let report = groups::replay::file(&name, &json).map_err(|error| error.to_string())?;
        return Ok((report.facts, report.to_string()));
    }
    let report = ratchet::replay::file(&name, &json).map_err(|error| error.to_string())?;
    Ok((report.facts, report.to_string()))
}
