//! `cargo xtask test`: everything that must pass before a change goes in.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::program::{Failure, Line};
use crate::{arch, docs, labels, report, secrets, size, tools};

type Check = fn(&Path) -> Result<Vec<String>, Failure>;

enum Step {
    /// Done in this process.
    Check(&'static str, Check),
    /// A program, as typed.
    Run(&'static str),
}

/// Every feature of the crates but `fips`; stands in a step as `FEATURES`.
const FEATURES: &str = "letterlock-client/conformance,letterlock-engine/trial,\
                        letterlock-groups/replay,letterlock-ratchet/replay,letterlock-seal/replay";

/// In this order: what is fast first. Every feature but `fips`, which needs another compiler's tools and has its own
/// command. All builds take the same features, so that dependencies are built once for
/// clippy (types only) and once for the tests.
const STEPS: &[Step] = &[
    Step::Run("cargo fmt --all --check"),
    Step::Check("check-arch", arch::check),
    Step::Check("check-size", size::check),
    Step::Check("check-labels", labels::check),
    Step::Check("check-secrets", secrets::check),
    Step::Check("check-docs", docs::check),
    Step::Run("cargo fetch --locked --quiet"),
    // The advisory database is not part of a clean clone: `cargo deny check advisories` is for the release.
    Step::Run("cargo deny --offline --all-features check licenses bans sources"),
    Step::Run("cargo clippy --workspace --all-targets --features FEATURES --locked -- -D warnings"),
    Step::Run("cargo nextest run --workspace --features FEATURES --locked"),
    Step::Run("cargo test --doc --workspace --features FEATURES --locked"),
];

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    println!("cargo xtask test: installs what is missing, then runs");
    for step in STEPS {
        println!("  {}", step.shown());
    }
    let start = Instant::now();
    let mut durations = Vec::new();
    timed("install what is missing", &mut durations, || {
        tools::install(root)
    })?;
    for step in STEPS {
        timed(&step.shown(), &mut durations, || step.run(root))?;
    }
    println!();
    for (name, duration) in &durations {
        println!("{:>8} s  {name}", seconds(*duration));
    }
    let count = durations.len();
    println!("all {count} steps passed in {} s", seconds(start.elapsed()));
    Ok(())
}

fn timed(
    name: &str,
    durations: &mut Vec<(String, Duration)>,
    step: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    println!("\n== {name}");
    let start = Instant::now();
    let outcome = step();
    let duration = start.elapsed();
    let word = if outcome.is_ok() { "passed" } else { "FAILED" };
    println!("== {name}: {word} in {} s", seconds(duration));
    durations.push((name.to_owned(), duration));
    outcome
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

impl Step {
    fn shown(&self) -> String {
        match self {
            Self::Check(name, _) => format!("cargo xtask {name}"),
            Self::Run(line) => line.replace("FEATURES", FEATURES),
        }
    }

    fn run(&self, root: &Path) -> Result<(), Failure> {
        match self {
            Self::Check(name, check) => report(name, check(root)).map_err(|failure| {
                Failure::new(
                    failure.message,
                    format!("repeat it with: cargo xtask {name}; {}", failure.hint),
                )
            }),
            Self::Run(_) => Line::parse(&self.shown()).run(root),
        }
    }
}
