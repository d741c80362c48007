//! Groups.

use serde::{Deserialize, Serialize};

/// How this account stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// It is a member.
    In,
    /// It has asked to be removed.
    Leaving,
    /// It is not a member any more.
    Out,
    /// It is a member and cannot follow now; it has asked to be let back in.
    Lost,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes and leaves.
    Member,
    /// Also adds people, removes members, and changes name and timer.
    Admin,
    /// Also removes admins and gives roles.
    Owner,
}

/// The picture of a group, as its members agreed on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A picture that was written to a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedPicture {
    /// Id of the group, base32.
    pub group: String,
    /// Where it is now.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// Its id, base32.
    pub id: String,
    /// How this account stands to it.
    pub state: GroupState,
    /// The own role.
    pub role: Role,
    /// Number of members.
    pub members: u32,
    /// Number of devices of all members.
    pub devices: u32,
    /// The suite, for example `hybrid`.
    pub suite: String,
    /// The MLS epoch.
    pub epoch: u64,
    /// Seconds after which letters disappear.
    pub timer_seconds: Option<u64>,
    /// Its picture.
    pub picture: Option<Picture>,
    /// Why this account may need patience: something of the group is on its way.
    pub pending: bool,
}

/// A member of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// `me`, what the contact is called here, or the account id of somebody unknown.
    pub name: String,
    /// The account id, base32.
    pub account_id: String,
    /// Its role.
    pub role: Role,
    /// Number of its devices in the group.
    pub devices: u32,
}
