//! `cargo xtask bench`: the benchmarks of the workspace.
//!
//! There is no table to keep: a benchmark is a `[[bench]]` target, or an example whose name starts with `bench`.
//! The first line of its file says what it measures.

use std::path::Path;

use crate::metadata::{self, Target};
use crate::program::{Failure, Line};

struct Benchmark {
    package: String,
    target: Target,
}

pub(crate) fn run(root: &Path, names: &[String]) -> Result<(), Failure> {
    let benchmarks = benchmarks(root)?;
    if names.is_empty() {
        println!(
            "run some with `cargo xtask bench NAME...`, every one with `cargo xtask bench all`"
        );
        for benchmark in &benchmarks {
            println!("  {:<24} {}", benchmark.target.name, benchmark.about());
        }
        return Ok(());
    }
    let all = names.iter().any(|name| name == "all");
    for name in names.iter().filter(|name| *name != "all") {
        if !benchmarks
            .iter()
            .any(|benchmark| benchmark.target.name == *name)
        {
            return Err(Failure::new(
                format!("no benchmark `{name}`"),
                "`cargo xtask bench` lists them",
            ));
        }
    }
    for benchmark in benchmarks
        .iter()
        .filter(|one| all || names.contains(&one.target.name))
    {
        println!("\n== {}: {}", benchmark.target.name, benchmark.about());
        benchmark.line().run(root)?;
    }
    Ok(())
}

fn benchmarks(root: &Path) -> Result<Vec<Benchmark>, Failure> {
    let mut found = Vec::new();
    for package in metadata::packages(root, "Cargo.toml")? {
        for target in package.targets {
            let example = target.kind == "example" && target.name.starts_with("bench");
            if target.kind == "bench" || example {
                found.push(Benchmark {
                    package: package.package.clone(),
                    target,
                });
            }
        }
    }
    Ok(found)
}

impl Benchmark {
    fn about(&self) -> String {
        std::fs::read_to_string(&self.target.source)
            .ok()
            .and_then(|text| text.lines().next()?.strip_prefix("//! ").map(str::to_owned))
            .unwrap_or_default()
    }

    fn line(&self) -> Line {
        let name = self.target.name.as_str();
        let line = if self.target.kind == "bench" {
            Line::new(&["cargo", "bench", "-p", &self.package, "--bench", name])
        } else {
            Line::new(&[
                "cargo",
                "run",
                "--release",
                "-p",
                &self.package,
                "--example",
                name,
            ])
        };
        if self.target.features.is_empty() {
            line
        } else {
            line.with("--features").with(self.target.features.join(","))
        }
    }
}
