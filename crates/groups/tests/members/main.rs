//! Members of groups among each other: what they may, and how they are kept from what they may not.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

#[cfg(feature = "replay")]
mod blind;
mod days;
mod hostile;
#[cfg(feature = "replay")]
mod liar;
#[cfg(feature = "replay")]
mod lies;
mod mixed;
mod noise;
#[cfg(feature = "replay")]
mod pairs;
#[cfg(feature = "replay")]
mod size;
#[cfg(feature = "replay")]
mod suites;
mod support;
#[cfg(feature = "replay")]
mod vaults;
