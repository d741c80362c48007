//! The engine's one driver: disk, network, clock.

pub mod api;
pub mod view;
