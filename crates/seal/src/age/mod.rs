//! The age format, version 1 (docs/spec/age.md, <https://age-encryption.org/v1>).
//!
//! | module | has |
//! |---|---|
//! | `header` | who can open it; the only way to a payload key |
//! | `stanza` | the file key, wrapped for one recipient |
//! | `recipient` | whom a file is sealed for, and the strings of them |
//! | `identity` | what opens a file, and the strings and files of them |
//! | `ssh` | keys of OpenSSH |
//! | `bech32` | what the strings of recipients and identities are written in |
//! | `armor` | a file as text |
//! | `stream` | the chunks of a payload |
//! | `write` | sealing |
//! | `read` | opening, whole or in part |

pub mod armor;
mod bech32;
mod header;
mod identity;
mod read;
mod recipient;
#[cfg(feature = "replay")]
pub mod replay;
mod ssh;
mod stanza;
mod stream;
mod write;

pub use header::{FileKey, MAGIC, UnverifiedHeader, VerifiedHeader};
pub use identity::{Identities, Identity, IdentityError, Opener};
pub use read::AgeFile;
pub use recipient::{Recipient, RecipientError};
pub use ssh::{SshPublic, SshSecret};
pub use stanza::StanzaKind;
pub use write::Sealer;
