//! The format `.lock`.
//!
//! | module | has |
//! |---|---|
//! | `header` | who can open it; the only way to a payload key |
//! | `manifest` | names, sizes and times |
//! | `plain` | where what lies in the plaintext |
//! | `trailer` | who signed it |
//! | `write` | sealing |
//! | `read` | opening, whole or in part |

mod header;
mod manifest;
mod plain;
mod read;
mod trailer;
mod write;

pub use header::{
    FileKey, HeaderError, MAGIC, Opener, Recipient, StanzaKind, UnverifiedHeader, VerifiedHeader,
};
pub use manifest::{Entry, EntryKind, Manifest, ManifestError};
pub use plain::padme;
pub use read::{Extracted, LockFile, OpenError};
pub use trailer::{Author, Claimed, Sign};
pub use write::{SealError, Sealer};
