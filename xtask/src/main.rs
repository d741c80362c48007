//! Checks, vectors and benchmarks of the project.
//!
//! One file a command. Checks return a list of findings; commands that start programs return a [`Failure`].
#![expect(
    clippy::disallowed_methods,
    reason = "a build tool reads the tree and times its steps"
)]

mod arch;
mod bench;
mod comments;
mod docs;
mod fips;
mod fuzz;
mod labels;
mod metadata;
mod program;
mod secrets;
mod size;
mod soak;
mod source;
mod suite;
mod tools;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use program::Failure;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                      everything that must pass before a change goes in
  check-arch                which crate may depend on which
  check-size                length of files and functions
  check-labels              domain-separation labels stand in one file
  check-secrets             secrets are exposed only in the files that clippy.toml lists
  check-docs                documents and comments name things that exist
  vectors PATH...           replay vectors of the Triple Ratchet, of MLS and of age: files or folders
  bench [NAME...]           list the benchmarks, or run some; `all` runs every one
  fips                      build the program over the FIPS module of AWS-LC, and test it
  soak                      the long forms of tests: 200 kills, 400 worlds, a file of 2 GiB
  fuzz [--smoke] [TARGET]   list the fuzz targets, or run one; --smoke runs each for 20 seconds";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let root = workspace_root();
    let outcome = match command {
        "test" => suite::run(&root),
        "check-arch" => report("check-arch", arch::check(&root)),
        "check-size" => report("check-size", size::check(&root)),
        "check-labels" => report("check-labels", labels::check(&root)),
        "check-secrets" => report("check-secrets", secrets::check(&root)),
        "check-docs" => report("check-docs", docs::check(&root)),
        "vectors" => vectors::run(&root, rest),
        "bench" => bench::run(&root, rest),
        "fips" => fips::run(&root),
        "soak" => soak::run(&root),
        "fuzz" => fuzz::run(&root, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("error: no command `{command}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            if !failure.hint.is_empty() {
                eprintln!("hint: {}", failure.hint);
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints what a check found; no finding is success.
fn report(name: &str, findings: Result<Vec<String>, Failure>) -> Result<(), Failure> {
    let findings = findings?;
    if findings.is_empty() {
        println!("{name}: ok");
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(Failure::new(
        format!("{name}: {} found", findings.len()),
        "CONTRIBUTING.md says what each check asks for",
    ))
}

fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
