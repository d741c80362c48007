//! `cargo xtask soak`: the long forms of tests that `cargo xtask test` runs short.

use std::path::Path;

use crate::program::{Failure, Line};
use crate::tools;

/// In this order.
const SOAKS: &[&str] = &[
    // `kill -9` of relay and clients at random instants.
    "env LETTERLOCK_KILLS=200 cargo nextest run -p letterlock kill",
    // The same of vaults, folders in step and transfers by code.
    "env LETTERLOCK_VAULT_KILLS=100 cargo nextest run -p letterlock kill_vaults",
    // Worlds of people with several devices, where anything happens in any order.
    "env LETTERLOCK_SEEDS=400 LETTERLOCK_STEPS=120 cargo nextest run -p letterlock-testkit --test random_devices",
    // Worlds of groups, many small ones and a large one.
    "env LETTERLOCK_SEEDS=200 LETTERLOCK_STEPS=150 cargo nextest run -p letterlock-testkit --test random_groups",
    "env LETTERLOCK_SEEDS=1 LETTERLOCK_PEOPLE=20 LETTERLOCK_DEVICES=3 LETTERLOCK_STEPS=2000 cargo nextest run -p letterlock-testkit --test random_groups",
    // Two months, in which sessions and keys come to their ends.
    "env LETTERLOCK_SEEDS=6 LETTERLOCK_SEED=201 LETTERLOCK_PEOPLE=20 LETTERLOCK_DEVICES=2 LETTERLOCK_STEPS=3000 cargo nextest run -p letterlock-testkit --test random_groups whatever_happens_everybody",
    // An enclosure beyond 32-bit lengths, with both sides killed on the way.
    "env LETTERLOCK_FILE_MIB=2048 cargo nextest run -p letterlock large_file",
];

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    tools::install(root)?;
    for soak in SOAKS {
        println!("\n== {soak}");
        Line::parse(soak).run(root)?;
    }
    Ok(())
}
