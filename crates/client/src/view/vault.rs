//! Vaults.

use super::{GroupState, HiddenText};
use serde::{Deserialize, Serialize};

/// What somebody may do in a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultRole {
    /// Reads.
    Reader,
    /// Also writes.
    Writer,
    /// Also says who is in it and what it is called.
    Owner,
}

/// A vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Vault {
    /// What it is called.
    pub name: String,
    /// Its id, base32.
    pub id: String,
    /// How this account stands to it.
    pub state: GroupState,
    /// The own role.
    pub role: VaultRole,
    /// Number of members.
    pub members: u32,
    /// Number of devices of all members.
    pub devices: u32,
    /// The newest generation whose key is here; 0 where none is.
    pub generation: u32,
    /// The newest version that was seen here; 0 for none.
    pub version: u64,
    /// Somebody went out, and what is written is not sealed under a new key yet.
    pub stale: bool,
    /// Something of it is on its way.
    pub pending: bool,
}

/// Somebody who is in a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultMember {
    /// `me`, what the contact is called here, or the account id of somebody unknown.
    pub name: String,
    /// The account id, base32.
    pub account_id: String,
    /// What it may do.
    pub role: VaultRole,
    /// Number of its devices in the vault.
    pub devices: u32,
}

/// What opens a generation of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultKey {
    /// From 1.
    pub generation: u32,
    /// 32 bytes, hexadecimal.
    pub key: HiddenText,
}

/// The newest version that this device took or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultPin {
    /// From 1.
    pub counter: u64,
    /// The root hash, hexadecimal.
    pub hash: String,
    /// The root, hexadecimal; nothing: a member told of it and no more.
    pub root: Option<String>,
}

/// What opens a vault, and what is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultAccess {
    /// What it is called.
    pub name: String,
    /// Its id, base32.
    pub id: String,
    /// The own role.
    pub role: VaultRole,
    /// The relay's URL with its pin.
    pub relay: String,
    /// The own account, base32.
    pub account_id: String,
    /// This device, base32.
    pub device_id: String,
    /// What the own account is called at its relay.
    pub account_name: String,
    /// What this device is called.
    pub device_name: String,
    /// Whether no other account is in it.
    pub alone: bool,
    /// Keys of generations, ascending.
    pub keys: Vec<VaultKey>,
    /// The newest version known; nothing: none yet.
    pub pin: Option<VaultPin>,
    /// Somebody went out, and no new key is here yet: nothing is written before.
    pub awaits_key: bool,
}

/// The head of a generation as the relay has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultHead {
    /// From 1.
    pub version: u64,
    /// Its body, hexadecimal; empty: it was deleted.
    pub body: String,
}

/// The signature of a root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultSignature {
    /// Hexadecimal.
    pub signature: String,
}

/// What became of a root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultPublished {
    /// Whether it is the newest now. False: the relay has another version of the head than `previous`.
    pub taken: bool,
}

/// A vault has something newer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultNewer {
    /// Its id, base32.
    pub id: String,
    /// The newest version that somebody told of.
    pub counter: u64,
    /// The newest generation whose key is here.
    pub generation: u32,
}

/// What came of a change of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultChange {
    /// What the vault is called.
    pub vault: String,
    /// Its newest version now.
    pub version: u64,
    /// False: all was so already.
    pub changed: bool,
    /// Files that were put.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Sockets, pipes and devices: they are not put.
    pub left_out: Vec<String>,
    /// Paths that somebody else changed too.
    pub conflicts: Vec<VaultConflict>,
}

/// A folder that was brought in step with a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultSynced {
    /// What the vault is called.
    pub vault: String,
    /// The version that the folder has now.
    pub version: u64,
    /// Files that went from the folder into the vault.
    pub put: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What was written into the folder.
    pub written: u64,
    /// What was removed from it.
    pub removed: u64,
    /// Sockets, pipes and devices: they are not put.
    pub left_out: Vec<String>,
    /// Paths that somebody else changed too.
    pub conflicts: Vec<VaultConflict>,
    /// What was changed in the folder is not in the vault: who syncs may only read.
    pub kept: bool,
    /// What in the folder may not be read, or was written to all the time: the vault has what it had.
    pub unread: Vec<String>,
    /// What the system did not let be written here: the folder is not in step, and the next time tries again.
    pub refused: Vec<String>,
    /// What could not stay where it was in the folder. It is in no vault.
    pub aside: Vec<String>,
}

/// A vault that is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultMounted {
    /// What the vault is called.
    pub vault: String,
    /// The version that is shown first.
    pub version: u64,
    /// The directory, or the URL.
    pub place: String,
    /// Whether nothing in it can be changed.
    pub read_only: bool,
}

/// Two versions of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultConflict {
    /// It has what was there first.
    pub path: String,
    /// Where what was written here is.
    pub copy: String,
}

/// What was fetched from a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultGot {
    /// Where it is.
    pub path: String,
    /// Of which version it is.
    pub version: u64,
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Symbolic links that lead out of what was asked for: they are not made.
    pub left_out: Vec<String>,
}

/// What an entry of a vault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultEntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
}

/// Something in a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultEntry {
    /// Names between `/`.
    pub path: String,
    /// What it is.
    pub kind: VaultEntryKind,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// Permission bits.
    pub mode: u16,
    /// When it was last modified, in seconds since 1970.
    pub modified: i64,
    /// Where a link leads.
    pub target: Option<String>,
}

/// A version of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultVersion {
    /// From 1.
    pub version: u64,
    /// When it was made, in seconds since 1970 by its maker's clock.
    pub time: u64,
    /// Who made it: `me`, what the contact is called here, or an account id.
    pub author: String,
    /// How many paths changed in it, of what was asked for.
    pub changes: u64,
    /// What was asked for, as it is in this version; nothing: it was removed.
    pub entry: Option<VaultEntry>,
}
