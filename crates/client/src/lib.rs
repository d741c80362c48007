//! The engine's one driver: disk, network, clock.
