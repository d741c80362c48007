//! What people see of recovery.

use super::HiddenText;
use serde::{Deserialize, Serialize};

/// A recovery sheet, shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sheet {
    /// Thirteen groups of four with hyphens between.
    pub sheet: HiddenText,
}

/// What a restoration brought back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restored {
    /// When the backup was written, in seconds since 1970.
    pub backup_at: u64,
    /// Number of contacts.
    pub contacts: u64,
    /// Number of letters.
    pub letters: u64,
    /// Whether the relay had all that the backup names.
    pub complete: bool,
}

/// The guardians of the own account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guardians {
    /// Whether the account log names them; if not, they are on their way there.
    pub in_force: bool,
    /// How many must say yes.
    pub need: u8,
    /// How many there are.
    pub count: u8,
    /// Seconds between a request and the earliest return.
    pub delay_seconds: u64,
    /// Who they are; empty where this device was not told.
    pub guardians: Vec<Guardian>,
    /// Whether their backup has the root key, as far as this device knows.
    pub root_key: bool,
    /// Who asks to come back, if anybody does.
    pub request: Option<OpenRequest>,
}

/// One guardian.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guardian {
    /// What the contact is called here.
    pub contact: String,
    /// The account id, base32.
    pub account_id: String,
    /// Whether one of its devices has said that it has the share.
    pub has_share: bool,
}

/// Somebody asks the guardians to be let in: the owner on a bare machine, or a thief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// The device that wants to come in, base32.
    pub device_id: String,
    /// When it asked, unix seconds, to the hour.
    pub asked_at: u64,
    /// When guardians may let it in at the earliest, unix seconds.
    pub ready_at: u64,
}

/// A way to recover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryMethod {
    /// A recovery sheet.
    Sheet,
    /// Guardians.
    Guardians,
}

/// What a bare machine asked for, and the code for the guardians.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveryRequest {
    /// Eleven groups of four with hyphens between.
    pub code: HiddenText,
    /// The account id, base32.
    pub account_id: String,
    /// How many guardians must say yes.
    pub need: u8,
    /// When they may let this machine in at the earliest, unix seconds.
    pub ready_at: u64,
}

/// How far a recovery by guardians is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryProgress {
    /// How many guardians said yes.
    pub got: u8,
    /// How many must.
    pub need: u8,
    /// When the account log lets this machine in at the earliest, unix seconds.
    pub ready_at: Option<u64>,
    /// When the relay's lock is open as well, as far as the relay said, unix seconds.
    pub opens_at: Option<u64>,
}

/// A share that is kept here for a contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Share {
    /// What the contact is called here.
    pub contact: String,
    /// The account id, base32.
    pub account_id: String,
    /// How many shares are needed.
    pub need: u8,
    /// How many there are.
    pub count: u8,
    /// Since when, unix seconds.
    pub since: u64,
}

/// What may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// One device.
    Device,
    /// All devices at once, where there are several.
    AllDevices,
    /// The recovery sheet.
    Sheet,
    /// The guardians.
    Guardians,
    /// The relay.
    Relay,
}

/// What would happen today if something were lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recovery {
    /// What is lost.
    pub lost: Lost,
    /// The device's name, or the relay's URL.
    pub name: Option<String>,
    /// Whether the device is the one of this home.
    pub this: bool,
    /// What follows, as a stable word.
    pub outcome: String,
    /// The same for people.
    pub message: String,
    /// When this device last wrote the backup, in seconds since 1970.
    pub backup_at: Option<u64>,
    /// Whether everything of now is in the backup, where this device writes it.
    pub backup_complete: Option<bool>,
}
