//! Sealed files, as people see them.

use super::HiddenText;
use serde::{Deserialize, Serialize};

/// A key that a file is sealed to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileRecipient {
    /// What its account is called here; nothing: the own one.
    pub contact: Option<String>,
    /// The account id, base32.
    pub account_id: String,
    /// The device id, base32; nothing: a recovery key.
    pub device_id: Option<String>,
    /// The public key, hexadecimal.
    pub key: String,
}

/// Who signs a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileAuthor {
    /// The account id, base32.
    pub account_id: String,
    /// The device id, base32.
    pub device_id: String,
    /// The suite.
    pub suite: String,
    /// Unix seconds.
    pub time: u64,
    /// The account log, hexadecimal.
    pub log: String,
}

/// The signature of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileSignature {
    /// Hexadecimal.
    pub signature: String,
}

/// What the rest of a sealed file opens with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileKey {
    /// Hexadecimal.
    pub key: HiddenText,
}

/// Who signed a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileSigner {
    /// What the account is called here; nothing: nobody who is known.
    pub name: Option<String>,
    /// The account id, base32.
    pub account_id: String,
    /// The device id, base32.
    pub device_id: String,
    /// Unix seconds, by the signer's clock.
    pub time: u64,
    /// Whether it is the own account.
    pub own: bool,
    /// Whether a person made sure who the account is.
    pub verified: bool,
    /// Whether the device is out of force by now.
    pub revoked: bool,
    /// The device's key, hexadecimal; only between processes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// A file that was sealed, opened or looked into.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SealedFile {
    /// Where it is; `-` for a pipe.
    pub path: String,
    /// Its format: `lock` or `age`.
    pub format: String,
    /// Bytes of the sealed file; nothing for a pipe.
    pub size: Option<u64>,
    /// Keys that it is sealed to.
    pub keys: u32,
    /// Whether a passphrase opens it.
    pub passphrase: bool,
    /// Whether it was opened here, so that what follows is known.
    pub opened: bool,
    /// Who signed; nothing: nobody.
    pub signer: Option<FileSigner>,
    /// What was written, in this order.
    pub written: Vec<String>,
    /// What was left out: pipes, sockets, devices, and links that lead out.
    pub left_out: Vec<String>,
}

/// What a sealed file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealedEntry {
    /// The path in it.
    pub path: String,
    /// `file`, `directory` or `link`.
    pub kind: String,
    /// Bytes; of files.
    pub size: Option<u64>,
    /// Permission bits, octal.
    pub mode: String,
    /// Unix seconds.
    pub modified: i64,
    /// Where a link leads.
    pub target: Option<String>,
}

/// An identity that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewIdentity {
    /// Whom to seal for, so that it opens: `age1pq1...`.
    pub recipient: String,
    /// The file that it was written to.
    pub path: Option<String>,
    /// What such a file holds, where none was written.
    pub text: Option<HiddenText>,
}

/// The code of what is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GiveCode {
    /// What whoever takes types, for example `4821-guitar-banana-mouse`.
    pub code: HiddenText,
    /// The relay's URL with its pin.
    pub relay: String,
    /// Unix seconds until which it counts.
    pub expires: u64,
    /// What was left out: pipes, sockets and devices.
    pub left_out: Vec<String>,
}

/// The link to what is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GiveLink {
    /// What whoever takes types. Whoever has it has what is given.
    pub link: HiddenText,
    /// The relay's URL with its pin.
    pub relay: String,
    /// Unix seconds until which it counts.
    pub expires: u64,
    /// What was left out: pipes, sockets and devices.
    pub left_out: Vec<String>,
}

/// What was given is with whoever took it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Given {
    /// Bytes of all files.
    pub size: u64,
}

/// What was taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Taken {
    /// What was written, in this order.
    pub written: Vec<String>,
    /// Links that lead out of what was given.
    pub left_out: Vec<String>,
}
