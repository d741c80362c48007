//! The relay as its clients meet it: real sockets, real frames, real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod bad_days;
mod bad_input;
mod blobs;
mod bounds;
mod directory;
mod epochs;
mod heads;
mod key_packages;
#[path = "../../benches/load/mod.rs"]
mod load;
mod load_generator;
mod locks;
mod logs;
mod operator;
mod prekeys;
mod queues;
mod requests;
mod support;
mod tickets;
mod tls;
