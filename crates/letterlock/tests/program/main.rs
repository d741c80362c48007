//! The program as people use it: real processes, real files, real TCP on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod age;
mod agent;
mod amendments;
mod away;
mod browser;
mod custody;
mod damage;
mod devices;
mod enclosures;
mod full_disk;
mod give;
mod groups;
mod guardians;
mod help;
mod identity;
mod interrupts;
mod json;
mod kill;
mod kill_vaults;
mod left_over;
mod no_room;
mod recovery;
mod refusals;
mod sealed;
mod story;
mod suites;
mod support;
mod tls;
mod tour;
mod vault_files;
mod vault_heads;
mod vault_mount;
mod vault_recovery;
mod vault_sync;
mod vault_webdav;
mod vaults;
mod verify;
