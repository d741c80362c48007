//! `cargo xtask vectors`: replays vectors of the Triple Ratchet, of MLS and of age.

use std::path::Path;

use crate::program::{Failure, Line};

/// Runs `xtask/examples/vectors.rs`, an example so that this command alone builds what replays them.
pub(crate) fn run(root: &Path, paths: &[String]) -> Result<(), Failure> {
    if paths.is_empty() {
        return Err(Failure::new(
            "no file or folder given",
            "for example: cargo xtask vectors vectors/triple-ratchet",
        ));
    }
    let mut line = Line::parse("cargo run --quiet --package xtask --example vectors --");
    for path in paths {
        // The example runs in the root; the path is meant from where the person stands.
        let path = std::path::absolute(path)
            .map_err(|error| Failure::new(format!("{path} is no path: {error}"), ""))?;
        line = line.with(path.to_string_lossy());
    }
    line.run(root)
}
