//! Sessions of two people against loss, disorder, theft and forgery.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod beginnings;
mod fields;
mod forged;
mod limits;
mod schedules;
mod seeds;
mod stored;
mod support;
mod theft;
