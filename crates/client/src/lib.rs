//! The engine's one driver: disk, network, clock.
//!
//! | file | for |
//! |---|---|
//! | `api.rs`, `view.rs` | what faces ask, hear and show |
//! | `insight.rs`, `inventory.rs` | keys, their holders and ages, evidence, as people see them |
//! | `client.rs` | a home, opened here or through the process that has it open |
//! | `lock.rs`, `agent.rs` | one process at a time, and how it serves the others |
//! | `driver/` | the loop around the engine |
//! | `sealed.rs` | sealed files |
//! | `vault.rs` | files of vaults |
//! | `give.rs` | transfers by code |
//! | `net.rs`, `tls.rs`, `relay_url.rs` | one connection to one relay |
//! | `blobs/` | enclosures on their way |
//! | `store/` | the profile: SQLCipher and its key |
//! | `untrusted.rs` | all decoders of what is on disk, or said on loopback, behind one door, for tests |
//! | `os.rs` | clock, entropy, files |

mod agent;
pub mod api;
mod blobs;
mod client;
mod driver;
mod failure;
pub mod give;
pub mod insight;
pub mod inventory;
mod limits;
mod lock;
mod loopback;
mod names;
mod net;
mod os;
mod relay_url;
mod render;
pub mod sealed;
#[cfg(any(test, feature = "conformance"))]
pub mod store;
#[cfg(not(any(test, feature = "conformance")))]
mod store;
mod tls;
#[cfg(any(test, feature = "conformance"))]
pub mod untrusted;
pub mod vault;
pub mod view;

pub use client::{Answers, Client, is_profile, is_served};
pub use keys::{Module, SecretBytes, module};
pub use names::read_sheet;
pub use render::span;
