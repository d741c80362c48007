//! Groups: MLS (RFC 9420) behind a small API. Nothing of the library that runs the protocol leaks through.
//!
//! A leaf is a device; its credential names account and device, and its key is the one that the account's log has
//! for that device, or one that this key vouches for. Roles, name, picture and timer are an extension of the group's context, so every change of them
//! is a commit that every member judges by the same rules.

mod data;
mod directory;
mod error;
mod group;
mod judge;
mod package;
mod provider;
#[cfg(feature = "replay")]
pub mod replay;
mod storage;

pub use data::{GroupData, Inbox, LeafName, NAME_BYTES, PICTURE_BYTES, ROLES, Role};
pub use directory::{Directory, KnownDevice};
pub use error::GroupError;
pub use group::{
    Commit, Group, KeyPackage, LEAVES, Member, OurDevice, Received, Stored, Welcome, Wishes,
    key_package, key_package_of, names_of, packages_of, suite_of_welcome,
};
pub use judge::Change;
