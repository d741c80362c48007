//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, run by cargo-fuzz without a sanitizer, which stable Rust can.

use std::path::Path;

use crate::metadata;
use crate::program::{Failure, Line};
use crate::tools;

const MANIFEST: &str = "fuzz/Cargo.toml";
const SMOKE_SECONDS: u32 = 20;
/// Bytes of an input; the largest body that the relay takes.
const LONGEST: u32 = 65_536;

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    let targets: Vec<String> = metadata::packages(root, MANIFEST)?
        .into_iter()
        .flat_map(|package| package.targets)
        .filter(|target| target.kind == "bin")
        .map(|target| target.name)
        .collect();
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let chosen: Vec<&String> = arguments.iter().filter(|word| *word != "--smoke").collect();
    if let Some(unknown) = chosen.iter().find(|name| !targets.contains(name)) {
        return Err(Failure::new(
            format!("no fuzz target `{unknown}`"),
            "`cargo xtask fuzz` lists them",
        ));
    }
    if chosen.is_empty() && !smoke {
        println!("run one with `cargo xtask fuzz TARGET`, each for {SMOKE_SECONDS} s with --smoke");
        for target in &targets {
            println!("  {target}");
        }
        return Ok(());
    }
    tools::cargo_tool(root, &tools::FUZZ)?;
    for target in targets
        .iter()
        .filter(|target| chosen.is_empty() || chosen.contains(target))
    {
        println!("\n== {target}");
        let mut line = Line::parse("cargo fuzz run --sanitizer none").with(target);
        let seeds = format!("fuzz/seeds/{target}");
        if root.join(&seeds).is_dir() {
            // The first folder takes what is found, the second is only read.
            let corpus = format!("fuzz/corpus/{target}");
            let folder = root.join(&corpus);
            std::fs::create_dir_all(&folder).map_err(|e| Failure::reading(&folder, &e))?;
            line = line.with(corpus).with(seeds);
        }
        let mut line = line.with("--").with(format!("-max_len={LONGEST}"));
        if smoke {
            line = line.with(format!("-max_total_time={SMOKE_SECONDS}"));
        }
        line.run(root)?;
    }
    Ok(())
}
