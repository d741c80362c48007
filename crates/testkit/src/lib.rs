//! Many clients and a relay in one process: virtual time, seeded chance, a network that delays and breaks.
//!
//! ```
//! let mut world = letterlock_testkit::World::new(1);
//! world.join("alice");
//! world.join("bob");
//! world.befriend("alice", "bob");
//! world.send("alice", "bob", "Come at six.");
//! world.settle();
//! assert_eq!(world.read("bob"), [("alice".to_owned(), "Come at six.".to_owned())]);
//! ```
//!
//! What matters is real: the engine, the wire format, all cryptography. Stand-ins are the clock, chance, the disk
//! ([`MemoryStore`]), the network, and the relay ([`RelayModel`]), which keeps the contract of docs/spec/wire.md and
//! can be told to break it.

mod amendments;
mod chance;
mod devices;
mod driver;
mod groups;
mod guard;
mod guardians;
mod network;
mod person;
mod relay_model;
mod relay_store;
mod store;
mod vaults;
mod world;

pub use chance::Chance;
pub use guard::{Logged, Secrets};
pub use guardians::DELAY_SECONDS;
pub use network::Weather;
pub use person::{CrashPoint, Person};
pub use relay_model::RelayModel;
pub use relay_store::RelayStore;
pub use store::MemoryStore;
pub use vaults::head_of_anybody;
pub use world::World;
