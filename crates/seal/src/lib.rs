//! Sealed files (docs/spec/sealed-file.md): formats, and nothing of accounts or networks.
//!
//! | module | has |
//! |---|---|
//! | [`age`] | the format of age, version 1 (docs/spec/age.md) |
//! | [`lock`] | the format `.lock` |
//! | [`tree`] | files and directories on disk: what is to be sealed, and what was opened |
//! | [`vault`] | folders that several people share

pub mod age;
pub mod lock;
mod parallel;
mod part;
mod place;
pub mod tree;
pub mod vault;

pub use parallel::{Progress, Sink, Stored};
pub use place::{InOrder, Output};
