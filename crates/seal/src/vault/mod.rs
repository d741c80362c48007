//! Vaults (docs/spec/vault.md): folders that several people share, as objects in packs.
//!
//! | module | has |
//! |---|---|
//! | `keyring` | the keys of all generations |
//! | `object` | one sealed object |
//! | `pack`, `places` | objects side by side, and where they are kept |
//! | `chunker` | where files are cut |
//! | `name`, `tree` | names, and what directories say of them |
//! | `budget` | how much of a tree one operation goes through |
//! | `head` | the newest root, as a relay keeps it |
//! | `reader` | paths, directories, ranges of files |
//! | `reach` | all objects of a version |
//! | `diff`, `merge` | what differs between versions, and two versions as one |
//! | `folder` | a folder on disk that is kept in step |
//! | `editor`, `sealer`, `pipeline`, `put` | changes, and what they write |
//! | `untrusted` | all decoders behind one door |
//! | `get` | what is written to disk |

mod budget;
mod chunker;
mod diff;
mod editor;
mod error;
mod folder;
mod get;
mod head;
mod keyring;
mod merge;
mod name;
mod object;
mod over;
mod pack;
mod pipeline;
mod places;
mod put;
mod reach;
mod reader;
mod sealer;
mod tree;
mod untrusted;

pub use budget::{ENTRIES, ENTRY_BYTES, NAMED};
pub use chunker::{CHUNK_MAX, CHUNK_MIN, Cutter};
pub use diff::Change;
pub use editor::{Editor, Found, Meta};
pub use error::VaultError;
pub use folder::{Applied, Folder, InStep, Refused};
pub use get::Got;
pub use head::{HEAD, open_head, seal_head};
pub use keyring::Keyring;
pub use merge::{Author, Conflict};
pub use name::{DEPTH, NAME, Name, VaultPath};
pub use object::{Kind, OBJECT, ObjectError, id, open, seal, size_class};
pub use over::{Over, ReadAt};
pub use pack::{PACK, PackSource, PackStore};
pub use places::{FolderPacks, MemoryPacks};
pub use put::{Put, bytes_on_disk, name_on_disk};
pub use reach::Reached;
pub use reader::{Cursor, FileReader, NodeCache, Reader};
pub use tree::{Entry, Part, Parts, What};
pub use untrusted::untrusted;
