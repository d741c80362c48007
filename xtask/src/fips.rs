//! `cargo xtask fips`: the whole program over the FIPS module of AWS-LC (docs/fips.md).

use std::path::Path;

use crate::program::{Failure, Line};
use crate::tools;

/// What the module's build needs beyond that of AWS-LC.
const DEBIAN: &[(&str, &str)] = &[("cmake --version", "cmake"), ("go version", "golang-go")];

/// In this order, in a folder of their own: the other builds keep what they have. The last line refuses to run over
/// another module.
const STEPS: &[&str] = &[
    "cargo build -p letterlock -p letterlock-relay --features letterlock/fips,letterlock-relay/fips \
     --target-dir target/fips --locked",
    "cargo nextest run -p letterlock-keys --features fips --target-dir target/fips --locked",
    "target/fips/debug/letterlock doctor --fips",
];

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    tools::install(root)?;
    tools::debian_packages(root, DEBIAN)?;
    for step in STEPS {
        println!("\n== {step}");
        Line::parse(step).run(root)?;
    }
    Ok(())
}
