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
