//! PQXDH, Double Ratchet and SPQR: the Triple Ratchet (docs/spec/ratchet.md).
//!
//! A [`Record`] holds the sessions with one device. It has no clock, no randomness and no storage of its own: they
//! are arguments, and the caller stores [`Record::encode`] together with what an operation reports, in one
//! transaction, before anything is sent or shown.
//!
//! | step | who | call |
//! |---|---|---|
//! | publish | Bob | [`SignedPreKey::generate`], [`KemPreKey::generate`], [`OneTimePreKey::generate`] |
//! | begin | Alice | [`Record::initiate`] with Bob's [`PreKeyBundle`] |
//! | write | both | [`Record::encrypt`] |
//! | read a first message | Bob | [`IncomingPreKeyMessage::decode`], look up what it names, [`Record::respond`] |
//! | read a later message | both | [`IncomingMessage::decode`], [`Record::decrypt`] |
//!
//! README.md begins with an example; `examples/two_people.rs` shows a conversation of both profiles.

mod address;
mod chain;
mod double_ratchet;
mod encode;
mod incoming;
mod initiate;
pub mod limits;
mod message_key;
mod parts;
mod party;
mod pqxdh;
mod pre_key;
mod profile;
mod record;
#[cfg(feature = "replay")]
pub mod replay;
mod root;
mod session;
mod spqr;
mod wire;

// The people of the integration tests serve the unit tests too; they name this crate as others do.
#[cfg(test)]
extern crate self as letterlock_ratchet;
#[cfg(test)]
#[path = "../tests/sessions/support.rs"]
mod support;
#[cfg(test)]
mod tests;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use address::Address;
pub use incoming::{
    BaseKeyUse, IncomingMessage, IncomingPreKeyMessage, MalformedMessage, MessageKind, Named,
    Outgoing,
};
pub use initiate::{InitiateError, OwnPreKeys};
pub use party::{Local, Remote};
pub use pre_key::{
    KemPreKey, KemPreKeyPublic, OneTimePreKey, OneTimePreKeyPublic, PreKeyBundle, PreKeyError,
    PreKeyKind, PreKeySignature, PreKeySigner, SignedPreKey, SignedPreKeyPublic,
};
pub use profile::Profile;
pub use record::{DecryptError, EncryptError, Received, Record, UsedPreKeys};
