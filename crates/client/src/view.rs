//! What people see, as plain data. `--json` prints these field names; `docs/guide/json.md` lists them.

mod group;
mod recovery;
mod sealed;
mod vault;
mod verification;

pub use group::{Group, GroupState, Member, Picture, Role, SavedPicture};
pub use recovery::{
    Guardian, Guardians, Lost, OpenRequest, Recovery, RecoveryMethod, RecoveryProgress,
    RecoveryRequest, Restored, Share, Sheet,
};
pub use sealed::{
    FileAuthor, FileKey, FileRecipient, FileSignature, FileSigner, GiveCode, GiveLink, Given,
    NewIdentity, SealedEntry, SealedFile, Taken,
};
pub use vault::{
    Vault, VaultAccess, VaultChange, VaultConflict, VaultEntry, VaultEntryKind, VaultGot,
    VaultHead, VaultKey, VaultMember, VaultMounted, VaultNewer, VaultPin, VaultPublished,
    VaultRole, VaultSignature, VaultSynced, VaultVersion,
};
pub use verification::{Emoji, SafetyNumber, Sas, VerificationCode};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A text that whoever knows it may misuse: it is wiped when it goes, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenText(Zeroizing<String>);

impl HiddenText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HiddenText(..)")
    }
}

impl Serialize for HiddenText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HiddenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The own account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// The name at the relay.
    pub name: String,
    /// NAME@HOST, what others type.
    pub address: String,
    /// The account id, base32.
    pub account_id: String,
    /// This device's id, base32.
    pub device_id: String,
    /// The relay's URL with its pin.
    pub relay: String,
    /// Whether the relay has confirmed the registration.
    pub registered: bool,
    /// The suite, for example `hybrid`.
    pub suite: String,
    /// Number of entries of the account log.
    pub log_length: u64,
    /// Hash of the newest entry, base32.
    pub log_head: String,
}

/// One entry of an account log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogEntry {
    /// From 0.
    pub sequence: u64,
    /// For example `genesis`.
    pub kind: String,
    /// Hash of the entry, base32.
    pub hash: String,
    /// Device ids after this entry, base32.
    pub devices: Vec<String>,
}

/// An invite.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invite {
    /// One line.
    pub invite: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// The one-time secret of a link, for the new device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    /// The secret and the relay, one line.
    pub link: HiddenText,
    /// The secret as twelve words; the relay is told apart.
    pub words: HiddenText,
    /// The relay's URL with its pin.
    pub relay: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// What both devices of a link show, and a person compares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairingCode {
    /// Six digits.
    pub code: String,
}

/// Whether a device still belongs to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It does.
    InForce,
    /// Not until it is resumed.
    Suspended,
    /// It was revoked.
    Revoked,
}

/// Why a device was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeReason {
    /// Nobody knows where it is.
    Lost,
    /// Somebody else has it.
    Stolen,
    /// It is no longer used.
    Retired,
}

/// A device of the own account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    /// What it is called.
    pub name: String,
    /// Its id, base32.
    pub id: String,
    /// Whether it is the device of this home.
    pub this: bool,
    /// Whether it may add and revoke devices.
    pub admin: bool,
    /// Unix seconds, to the hour.
    pub added: u64,
    /// Whether it is old enough to change who belongs to the account.
    pub senior: bool,
    /// State.
    pub state: DeviceState,
    /// Why it was revoked.
    pub reason: Option<RevokeReason>,
}

/// A letter that is no longer there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deleted {
    /// Its id, base32.
    pub id: String,
}

/// How sure one may be of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Only what a relay or the person says.
    Claimed,
    /// Verified by an invite or a safety number.
    Verified,
    /// The identity changed; nothing is sent until a person decides.
    Changed,
}

/// A contact.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contact {
    /// What the contact is called here.
    pub name: String,
    /// NAME@HOST as claimed.
    pub address: String,
    /// The account id, base32.
    pub account_id: String,
    /// How sure.
    pub trust: Trust,
    /// Whether blocked.
    pub blocked: bool,
    /// Whether this is an unanswered first contact by somebody unknown.
    pub request: bool,
    /// Number of devices.
    pub devices: u32,
    /// The suite of its account, for example `hybrid`.
    pub suite: String,
}

/// Which way a letter went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From here.
    Sent,
    /// To here.
    Received,
}

/// Where a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Files are still being uploaded.
    Uploading,
    /// In the outbox.
    Queued,
    /// Accepted by the relay.
    Sent,
    /// Stored by a device of the recipient.
    Delivered,
    /// It will not arrive.
    Failed,
    /// Received.
    Received,
    /// Received and shown.
    Read,
}

/// An enclosure of a letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enclosure {
    /// The file's name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What somebody thinks of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// `me` or the name here.
    pub from: String,
    /// A sign or a word.
    pub emoji: String,
}

/// A letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Base32.
    pub id: String,
    /// The name of the contact or group here.
    pub conversation: String,
    /// `me` or the name here of who wrote it.
    pub from: String,
    /// Sent or received.
    pub direction: Direction,
    /// The text.
    pub text: String,
    /// Unix seconds by the sender's clock.
    pub sent_at: u64,
    /// State.
    pub state: LetterState,
    /// The letter this one answers, base32.
    pub reply_to: Option<String>,
    /// What that letter says, where it is here.
    #[serde(default)]
    pub answers: Option<Quote>,
    /// Unix seconds when it is deleted here.
    pub expires_at: Option<u64>,
    /// Files.
    pub enclosures: Vec<Enclosure>,
    /// The number of the edit that is shown; 0: as written.
    #[serde(default)]
    pub edit: u8,
    /// Its author deleted it for everybody; nothing else is left.
    #[serde(default)]
    pub deleted: bool,
    /// At most one of each person.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// Who sent it here, where it was written before this account joined the group: that it says so is all there is for
    /// who wrote it, and what.
    #[serde(default)]
    pub shared_by: Option<String>,
}

/// A letter that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// `me` or the name here of who wrote it.
    pub from: String,
    /// How it begins: of its first line at most 80 characters; without a text, the name of its first file.
    pub text: String,
}

/// How far a transfer is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// `upload`, `download`, `link`, `backup`, or `restore`.
    pub what: String,
    /// The file's name; of the last three, `history`.
    pub name: String,
    /// Bytes done; of history, parts.
    pub done: u64,
    /// Bytes, or parts, in all; of history 0 where that is not known yet.
    pub total: u64,
}

/// Something to tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    /// A stable word, for example `identity_changed`, `relay_unreachable`, `relay_rolled_back`.
    pub notice: String,
    /// For people.
    pub message: String,
}

/// A saved enclosure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Saved {
    /// The letter it came with, base32.
    pub letter: String,
    /// The file's name as sent.
    pub name: String,
    /// Where it is now.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// The kind of a failure; the exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// 1.
    Failed,
    /// 2: the words of the command are off.
    Usage,
    /// 3: a check refused, such as a changed identity.
    Refused,
    /// 4: the relay cannot be reached.
    Unreachable,
    /// 5: no such contact, letter, file.
    NotFound,
}

impl FailureKind {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
        }
    }
}

/// What was shown instead of a contact's identity: kept as received and signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    /// What the contact is called here.
    pub contact: String,
    /// The account that is pinned.
    pub account_id: String,
    /// The account that was shown instead; nothing where what was shown is no valid account log.
    pub shown_account_id: Option<String>,
    /// When, in seconds since 1970.
    pub seen_at: u64,
    /// What it shows: a word of [`crate::insight::Finding`].
    pub finding: String,
    /// The file that was written, if one was.
    pub path: Option<String>,
}

/// A failure for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}
