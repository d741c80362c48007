//! Vaults (docs/spec/vault.md): folders that several people share, as objects in packs.
//!
//! | module | has |
//! |---|---|
//! | `keyring` | the keys of all generations |
//! | `object` | one sealed object |
//! | `pack` | objects side by side, and where they are kept |
//! | `chunker` | where files are cut |
//! | `name`, `tree` | names, and what directories say of them |
//! | `head` | the newest root, as a relay keeps it |

mod chunker;
mod head;
mod keyring;
mod name;
mod object;
mod pack;
mod tree;

pub use chunker::{CHUNK_MAX, CHUNK_MIN, Cutter};
pub use head::{HEAD, open_head, seal_head};
pub use keyring::Keyring;
pub use name::{DEPTH, NAME, Name, VaultPath};
pub use object::{Kind, OBJECT, ObjectError, id, open, seal, size_class};
pub use pack::{PACK, PackSource, PackStore};
pub use tree::{Entry, Part, Parts, What};
