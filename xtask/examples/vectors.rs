//! Replays Triple Ratchet vectors: what `cargo xtask vectors` runs.
//!
//! An example, so that this command alone builds the ratchet.
#![expect(clippy::disallowed_methods, reason = "a tool reads the vectors")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ratchet::replay;

fn main() -> ExitCode {
    let mut files = Vec::new();
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        if let Err(error) = collect(&path, &mut files) {
            eprintln!("error: cannot read {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if files.is_empty() {
        eprintln!("error: no .json file to replay");
        return ExitCode::FAILURE;
    }
    let failed = files.iter().filter(|file| !passes(file)).count();
    println!("{} files, {failed} failed", files.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Adds a file, or the `.json` files of a folder and those below it in order.
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
        if path.is_dir()
            || path
                .extension()
                .is_some_and(|extension| extension == "json")
        {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Replays one file and prints its line.
fn passes(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let outcome = std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .and_then(|json| replay::file(&name, &json).map_err(|error| error.to_string()));
    match &outcome {
        Ok(report) => println!("ok      {}: {report}", path.display()),
        Err(error) => println!("FAILED  {}: {error}", path.display()),
    }
    outcome.is_ok()
}
