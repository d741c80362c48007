//! Why an input was not handled.

use keys::{AccountId, Suite};

/// The disk below the engine failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room. Nothing changed.
    #[error("the disk is full")]
    Full,
    /// A stored value cannot be understood.
    #[error("the profile is damaged: {what}")]
    Damaged {
        /// Which kind of value.
        what: &'static str,
    },
    /// The disk failed. Nothing changed.
    #[error("the profile cannot be read or written (code {code})")]
    Io {
        /// The store's own code.
        code: i32,
    },
}

/// Why a comparison of short codes with a contact came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
#[non_exhaustive]
pub enum SasError {
    /// One side does not want to go on, or began anew.
    #[error("the comparison was stopped")]
    Stopped = 1,
    /// A person said that the codes differ.
    #[error("the codes differ")]
    Different = 2,
    /// Another device of the same person is the one that compares.
    #[error("another device compares already")]
    Elsewhere = 3,
    /// The time for it is over.
    #[error("the other side did not answer in time")]
    Expired = 4,
    /// The two sides do not hold the same account logs, or one of the logs changed meanwhile.
    #[error("the devices of one side changed, or the two sides do not know the same")]
    LogsChanged = 5,
    /// The nonce is not the promised one.
    #[error("the other side did not show what it had promised")]
    Broken = 6,
    /// No relay said that the account logs are as new as they can be.
    #[error("the relay did not confirm the devices of both sides")]
    Unchecked = 7,
    /// There is no code to say anything about.
    #[error("nothing is being compared with this contact")]
    NotComparing = 8,
}

impl SasError {
    /// The number that the other side is told.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        use SasError::{Broken, Different, Elsewhere, Expired, LogsChanged, Stopped};
        [Stopped, Different, Elsewhere, Expired, LogsChanged, Broken]
            .into_iter()
            .find(|reason| reason.number() == number)
    }
}

/// Why a letter stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmendmentError {
    /// Only whoever wrote a letter changes or deletes it for everybody.
    #[error("somebody else wrote this letter")]
    NotAuthor,
    /// The time for edits is over.
    #[error("the letter is too old to be edited")]
    TooLate,
    /// The letter was edited often enough.
    #[error("the letter was edited {} times already", crate::limits::EDITS)]
    TooManyEdits,
    /// The letter would be empty.
    #[error("a letter without a text and files cannot be")]
    Empty,
    /// The letter is not there any more.
    #[error("the letter was deleted")]
    Deleted,
    /// A reaction is empty, too long or unreadable.
    #[error(
        "a reaction is a word or sign of up to {} bytes",
        crate::limits::REACTION_BYTES
    )]
    InvalidReaction,
    /// More reactions than there can be members.
    #[error("the letter has too many reactions")]
    TooManyReactions,
    /// The letter is not of the conversation in which this was said.
    #[error("the letter is of another conversation")]
    OtherConversation,
}

/// Why something of a vault is not done, or does not count (docs/spec/vault.md, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is none.
    #[error("there is no such vault")]
    Unknown,
    /// This device is not in its group.
    #[error("this device is not in the vault")]
    NotIn,
    /// The role does not allow it.
    #[error("your role in the vault does not allow this")]
    Role,
    /// The key of a generation is not here.
    #[error("the vault's key is not here yet")]
    NoKey,
    /// Somebody went out, and nothing is written before the new key is here.
    #[error("somebody went out of the vault, and its new key is not here yet")]
    NewKey,
    /// The relay has no head of a generation.
    #[error("the relay has no version of this vault")]
    NoHead,
    /// The relay has another version than the one that was to be followed.
    #[error("somebody else wrote a version first")]
    Conflict,
    /// Bytes are no root, or too many.
    #[error("what the relay shows is no version of a vault")]
    BadRoot,
    /// Of another vault or generation.
    #[error("the version is of another vault, or of another generation")]
    OtherVault,
    /// The signature does not verify, or is of a device that no log names.
    #[error("the version is not signed by a device of a member")]
    NotSigned,
    /// This home was restored, and nobody has said since who may write.
    #[error("this home was restored and cannot tell who may write in the vault by now")]
    Restored,
    /// Its author may not write.
    #[error("the version was written by somebody who may not write")]
    MayNotWrite,
    /// It is older than the newest one that was seen.
    #[error("the relay shows an older version than before")]
    RolledBack,
    /// It does not follow what was seen.
    #[error("the version does not follow from what was seen before")]
    NotFollowing,
    /// Somebody told of a newer one.
    #[error("the relay holds a newer version back")]
    Withheld,
    /// Somebody told of another one of the same number.
    #[error("the relay shows two histories of the vault")]
    Forked,
}

/// Why a command or a relay's answer led to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This profile has no account yet.
    #[error("there is no account in this home")]
    NoAccount,
    /// This profile has an account already.
    #[error("there is an account in this home already")]
    AccountExists,
    /// A name is empty, too long or has other characters than a-z, 0-9, '.', '-', '_'.
    #[error("the name is not valid")]
    InvalidName,
    /// A relay's URL is too long or malformed.
    #[error("the relay's address is not valid")]
    InvalidRelay,
    /// Somebody else has the name.
    #[error("the name is taken at this relay")]
    NameTaken,
    /// The relay wants a registration code.
    #[error("the relay wants an invite")]
    RegistrationCodeNeeded,
    /// The registration code is unknown.
    #[error("the relay does not know this invite")]
    RegistrationCodeUnknown,
    /// The text is not an invite, or was cut or changed.
    #[error("this is not a whole invite")]
    InvalidInvite,
    /// The invite's time is over.
    #[error("the invite has expired")]
    InviteExpired,
    /// The invite was used by somebody.
    #[error("the invite was used already")]
    InviteUsed,
    /// The invite is one's own.
    #[error("this invite is from this account")]
    OwnInvite,
    /// The relay does not know the name.
    #[error("the relay knows no account of this name")]
    UnknownName,
    /// No such contact.
    #[error("there is no such contact")]
    UnknownContact,
    /// The contact is blocked.
    #[error("the contact is blocked")]
    Blocked,
    /// The contact's identity is not the pinned one.
    #[error("the identity of this contact has changed")]
    IdentityChanged {
        /// The contact as pinned.
        contact: AccountId,
    },
    /// A comparison of short codes came to nothing.
    #[error(transparent)]
    Sas(#[from] SasError),
    /// A scanned code does not verify the contact.
    #[error(transparent)]
    Code(#[from] keys::VerificationError),
    /// The relay shows another history of the own account.
    #[error("the relay shows another history of this account")]
    OwnLogForked,
    /// What another device handed over cannot be read.
    #[error("the archive cannot be read")]
    BadArchive,
    /// What the relay holds is no backup that this secret opens.
    #[error("the backup at the relay cannot be opened")]
    BadBackup,
    /// The relay has no backup for this secret.
    #[error("the relay has no backup for this recovery secret")]
    NoBackup,
    /// The account's log does not name this recovery secret any more.
    #[error("this recovery secret is not in force")]
    RecoveryNotInForce,
    /// Not `2 ≤ need ≤ guardians ≤ 16`, a guardian twice, or a delay that no relay keeps.
    #[error("these guardians cannot be")]
    InvalidGuardians,
    /// Other guardians are on their way into the account log.
    #[error("other guardians are just being set")]
    GuardiansUnderWay,
    /// No share of this contact is kept here, or it is not in force any more.
    #[error("no share of this contact is kept here")]
    NoShare,
    /// Nobody asks to come back to the account.
    #[error("nobody asks for recovery of this account")]
    NoRecoveryRequest,
    /// The code is not of the request that stands in the account's log.
    #[error("this code is not of the request in the account's log")]
    RequestCodeDiffers,
    /// The request is not in the account's log any more.
    #[error("the request for recovery was cancelled")]
    RecoveryCancelled,
    /// This home asks for no account.
    #[error("no recovery is under way in this home")]
    NoRecoveryUnderWay,
    /// Shares that came are not the right ones.
    #[error("{got} right shares came, {need} are needed")]
    TooFewShares {
        /// How many are right.
        got: usize,
        /// How many are needed.
        need: u8,
    },
    /// What was retyped is not what was shown.
    #[error("this is not the sheet that was shown")]
    SheetDiffers,
    /// The root key is not on this device.
    #[error("the root key is not on this device")]
    NoRootKey,
    /// The rules of the account log forbid the change.
    #[error("the account log does not take this: {error}")]
    LogRefuses {
        /// Why.
        error: keys::account_log::LogError,
    },
    /// The recipient's account went over to a suite without sessions of two devices while a letter waited for one.
    #[error("letters do not go to or from an account of suite cnsa2 yet")]
    NoLettersOfTwo,
    /// This device is too young to change who belongs to the account.
    #[error("this device may not change the account yet")]
    NotSenior,
    /// Another link is under way.
    #[error("another device is being linked")]
    LinkUnderWay,
    /// No device of this id is in force.
    #[error("there is no such device")]
    UnknownDevice,
    /// Nobody links here now.
    #[error("no device is being linked")]
    NoLink,
    /// The time for linking is over.
    #[error("the time for linking is over")]
    LinkExpired,
    /// A person said that the codes differ, or the other device gave up.
    #[error("linking was stopped")]
    LinkStopped,
    /// This device was revoked.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// The own account has ended.
    #[error("this account has ended")]
    AccountEnded,
    /// The account of a contact has ended.
    #[error("this contact has ended its account")]
    ContactEnded,
    /// This device is suspended until another one resumes it.
    #[error("this device is suspended")]
    DeviceSuspended,
    /// A relay's answer contradicts a signature or a pin. Evidence is kept.
    #[error("the relay's answer does not fit the contact's keys")]
    BadKeys {
        /// Whose keys.
        contact: AccountId,
    },
    /// The text is too long for a letter.
    #[error("the text has {got} bytes, a letter takes {max}")]
    TextTooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// There is neither text nor file.
    #[error("the letter is empty")]
    EmptyLetter,
    /// Too many files for one letter.
    #[error("a letter takes at most {max} files")]
    TooManyFiles {
        /// The limit.
        max: usize,
    },
    /// The letter this one answers is not known.
    #[error("there is no such letter")]
    UnknownLetter,
    /// A letter cannot be changed so.
    #[error(transparent)]
    Amendment(#[from] AmendmentError),
    /// The contact's relay has no keys for the contact's device.
    #[error("the relay has no keys for this contact")]
    NoPreKeys,
    /// The recipient's relay refuses the letter.
    #[error("the relay refuses the letter")]
    Undeliverable,
    /// A file could not be uploaded.
    #[error("a file could not be uploaded")]
    UploadFailed,
    /// The relay refused a request.
    #[error("the relay refused: {kind:?}")]
    Refused {
        /// Its reason.
        kind: wire::RefusalKind,
    },
    /// There is no such group.
    #[error("there is no such group")]
    UnknownGroup,
    /// This device is not in the group any more.
    #[error("this account is not in the group")]
    NotInGroup,
    /// Somebody is not in the group.
    #[error("this person is not in the group")]
    NoMember {
        /// Who.
        account: AccountId,
    },
    /// The role in the group does not allow it.
    #[error("your role in the group does not allow this")]
    GroupRole,
    /// A group needs an owner.
    #[error("the group would have no owner")]
    LastOwner,
    /// The group's name cannot be used.
    #[error("the name of the group is empty, too long or unreadable")]
    InvalidGroupName,
    /// The file is no picture that a group can have.
    #[error("a picture is a PNG or JPEG file of at most {} KiB", crate::limits::PICTURE_BYTES / 1024)]
    InvalidPicture,
    /// No device of a contact has published what groups need.
    #[error("no device of this contact can be added to a group yet")]
    NoKeyPackages {
        /// Who.
        contact: AccountId,
    },
    /// A contact is at another relay than the group.
    #[error("the contact is at another relay, and a group has one relay")]
    OtherRelay {
        /// Who.
        contact: AccountId,
    },
    /// A contact does not speak the suite of the group.
    #[error("the contact's account does not speak the group's suite, {}", suite.name())]
    GroupSuite {
        /// Who.
        contact: AccountId,
        /// The suite of the group.
        suite: Suite,
    },
    /// The group would have more devices than one request takes.
    #[error("a group holds at most {} devices", groups::LEAVES)]
    GroupTooLarge,
    /// The change is not possible.
    #[error("{error}")]
    Group {
        /// Why.
        error: groups::GroupError,
    },
    /// Something of a vault is not done, or does not count.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A relay's answer does not fit its request.
    #[error("the relay's answer makes no sense")]
    Protocol,
    /// An invariant of the engine does not hold: a defect of this program.
    #[error("internal error: {what}")]
    Internal {
        /// Which.
        what: &'static str,
    },
}
