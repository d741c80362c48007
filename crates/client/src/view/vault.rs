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
    /// The head of an older generation is to be closed, and this one's to be begun: whoever may write does it.
    pub stale: bool,
}

/// The head of a generation as the relay has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultHead {
    /// From 1.
    pub version: u64,
    /// Its body, hexadecimal.
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
