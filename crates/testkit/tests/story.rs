//! Whole stories of people, a relay and a bad network.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a story that does not hold ends its test"
)]

#[path = "story/days.rs"]
mod days;
