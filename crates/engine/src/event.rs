//! What people are told.

use crate::error::{AmendmentError, EngineError, SasError};
use crate::input::CommandId;
use keys::{AccountId, GroupId, LetterId};

/// How a command ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandOutcome {
    /// Done, nothing more to say.
    Done,
    /// The account is registered.
    AccountCreated,
    /// The invite, one line.
    Invite(String),
    /// The code that the contact scans: the text of the picture.
    VerificationCode(String),
    /// A contact was added or found again.
    ContactAdded(AccountId),
    /// The letter is stored and waits for the relay; [`Event::LetterSent`] follows.
    LetterQueued(LetterId),
    /// A device was linked.
    Linked(keys::DeviceId),
    /// The request for recovery stands in the log; [`Engine::recovery_request`](crate::Engine::recovery_request)
    /// has the code for the guardians.
    RecoveryRequested,
    /// The head of a generation of a vault, as the relay has it.
    VaultHead {
        /// Its version.
        version: u64,
        /// Sealed; empty: it was deleted.
        body: Vec<u8>,
    },
    /// It failed.
    Failed(EngineError),
}

/// What was said of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amended {
    /// A reaction, or that there is none any more.
    Reaction,
    /// Another text.
    Edit,
    /// It was deleted for everybody.
    Deletion,
}

/// Something to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A command ended.
    Command {
        /// Which.
        command: CommandId,
        /// How.
        outcome: CommandOutcome,
    },
    /// A letter came in and is stored.
    LetterReceived {
        /// From whom.
        contact: AccountId,
        /// Which.
        letter: LetterId,
    },
    /// The relay has accepted a letter for every device of its recipient.
    LetterSent {
        /// Which.
        letter: LetterId,
    },
    /// A device of the recipient has stored the letter.
    LetterDelivered {
        /// Which.
        letter: LetterId,
    },
    /// A letter will not arrive.
    LetterFailed {
        /// Which.
        letter: LetterId,
        /// Why.
        error: EngineError,
    },
    /// Something was said of a letter that is here: it is shown otherwise.
    LetterAmended {
        /// Which.
        letter: LetterId,
        /// By whom.
        by: AccountId,
        /// What.
        what: Amended,
    },
    /// Something that one device was to tell another one beside letters, or the copy of a letter for one of our own, will not
    /// get there.
    WordLost {
        /// Whose device.
        account: AccountId,
        /// Which.
        device: keys::DeviceId,
        /// Why.
        error: EngineError,
    },
    /// Something that was said of a letter does not count.
    AmendmentRefused {
        /// The contact or group.
        conversation: AccountId,
        /// Who said it.
        by: AccountId,
        /// Of which letter.
        letter: LetterId,
        /// Why not.
        error: AmendmentError,
    },
    /// Letters were shown on another device of the account.
    LettersRead {
        /// Which.
        letters: Vec<LetterId>,
    },
    /// Somebody unknown wrote for the first time.
    ContactRequest {
        /// Who.
        contact: AccountId,
    },
    /// A contact's identity is not what was pinned. Sending to it stops; evidence is kept.
    IdentityChanged {
        /// Who.
        contact: AccountId,
    },
    /// A contact's root key named another one. Sending to the contact stops; evidence is kept.
    RootReplaced {
        /// Who.
        contact: AccountId,
    },
    /// An account, ours or that of a contact, has taken a higher suite.
    SuiteUpgraded {
        /// Whose.
        account: AccountId,
        /// Which.
        suite: keys::Suite,
    },
    /// A contact wants to compare short codes. A person answers with
    /// [`Input::StartSas`](crate::Input::StartSas).
    SasRequested {
        /// Who.
        contact: AccountId,
    },
    /// Two people compare this code with the one that the other side shows.
    SasReady {
        /// With whom.
        contact: AccountId,
        /// As seven pictures.
        emoji: Vec<keys::sas::Emoji>,
        /// As eight digits.
        digits: String,
    },
    /// A comparison came to nothing. Nobody is verified by it.
    SasFailed {
        /// With whom.
        contact: AccountId,
        /// Why.
        error: SasError,
    },
    /// A contact has other devices than before, by its own signed log. No reason to worry.
    DevicesChanged {
        /// Who.
        contact: AccountId,
    },
    /// A device says that its account has newer entries, and the relay shows none. Letters to it wait.
    LogWithheld {
        /// Whose.
        account: AccountId,
    },
    /// A relay answers, but not whether an account's log goes on: a device of it may have been revoked. Letters of groups go
    /// without that answer, letters to the account wait.
    LogUnanswered {
        /// Whose.
        account: AccountId,
    },
    /// Somebody was shown another history of our own account.
    OwnLogForked {
        /// The contact who was; nothing, if it is one of our own devices or this one.
        contact: Option<AccountId>,
    },
    /// No other device of a contact has vouched for one of its devices for 30 days: perhaps it was revoked, and
    /// the relay hides it.
    DeviceNotVouchedFor {
        /// Whose.
        contact: AccountId,
        /// Which.
        device: keys::DeviceId,
    },
    /// A device that was revoked talks on; what it says is not heard.
    RevokedDeviceSpoke {
        /// Of which account.
        account: AccountId,
    },
    /// The secret of a link may be shown now; [`Engine::link_offer`](crate::Engine::link_offer) has it.
    LinkReady,
    /// Two devices link: a person compares this code with the one on the other.
    PairingCode {
        /// Six digits.
        code: String,
    },
    /// How many parts of the account's history have moved.
    LinkProgress {
        /// So many.
        done: u64,
        /// Of so many; 0 where that is not known yet.
        total: u64,
    },
    /// A device was linked to the account.
    DeviceLinked {
        /// Which.
        device: keys::DeviceId,
    },
    /// This home was restored, with what the backup knew at a time.
    Restored {
        /// When it was written.
        at: keys::Timestamp,
    },
    /// The relay withholds a part of the history, or lost it.
    HistoryMissing,
    /// A contact saw a newer backup than the one this home was restored from: the relay showed an old one.
    BackupRolledBack {
        /// Who saw it.
        contact: AccountId,
    },
    /// A guardian has its share.
    GuardianHasShare {
        /// Who.
        guardian: AccountId,
    },
    /// A contact made us a guardian; a share is kept here.
    ShareKept {
        /// Whose.
        contact: AccountId,
    },
    /// A share that was kept here is worth nothing any more, and gone.
    ShareForgotten {
        /// Whose.
        contact: AccountId,
    },
    /// Somebody asks to come back to our account through its guardians. Any device can cancel it.
    RecoveryRequested {
        /// The device that wants to come in.
        device: keys::DeviceId,
        /// When guardians may let it in.
        ready: keys::Timestamp,
    },
    /// Nobody asks any more: cancelled, let in, or replaced.
    RecoveryClosed,
    /// Somebody began to open the guardians' lock without a request in the log; it is being closed.
    LockClosed {
        /// Whether the relay's key may have been given out before: then guardians must be set anew.
        key_is_out: bool,
    },
    /// A guardian said yes to the request of this home.
    RecoveryApproved {
        /// How many did.
        got: u8,
        /// How many must.
        need: u8,
    },
    /// Enough guardians said yes; the rest is waiting.
    RecoveryOpens {
        /// Until when.
        at: keys::Timestamp,
    },
    /// The share of a guardian is a false one.
    ShareUnusable {
        /// Which guardian, in the order in which they were named, from 1.
        index: u8,
    },
    /// The recovery does not go on now; it is tried again.
    RecoveryDelayed {
        /// Why.
        error: EngineError,
    },
    /// The recovery came to nothing.
    RecoveryEnded {
        /// Why.
        error: EngineError,
    },
    /// A link came to nothing.
    LinkEnded {
        /// Why.
        error: EngineError,
    },
    /// This device is not in force any more.
    DeviceRevoked,
    /// The own account has ended: its queues close, its backup and its keys go.
    AccountEnded,
    /// A contact has ended its account. Nothing is sent to it.
    ContactEnded {
        /// Who.
        contact: AccountId,
    },
    /// This device is suspended: it does nothing until another one resumes it.
    DeviceSuspended,
    /// This device is in force again.
    DeviceResumed,
    /// The relay shows an older state than before; what it may have lost is sent again.
    RelayRolledBack {
        /// Which.
        relay: String,
    },
    /// This device came into a group.
    GroupJoined {
        /// Which.
        group: GroupId,
    },
    /// A group has other members or other data than before.
    GroupChanged {
        /// Which.
        group: GroupId,
        /// Who began the epoch. A client does some things by itself, as to remove devices that are out of force.
        by: AccountId,
        /// The data of before.
        before: groups::GroupData,
        /// What is new.
        changes: Vec<groups::Change>,
    },
    /// Somebody sent letters of before to somebody who joined a group.
    HistoryShared {
        /// Which.
        group: GroupId,
        /// Who.
        by: AccountId,
        /// With whom.
        with: AccountId,
        /// How many letters.
        letters: usize,
    },
    /// A part of the letters of before could not be sent, or fetched.
    HistoryIncomplete {
        /// Of which group.
        group: GroupId,
    },
    /// Somebody sent letters of before who may not, too many of them, or what cannot be.
    HistoryRefused {
        /// Of which group.
        group: GroupId,
        /// Who.
        by: AccountId,
    },
    /// The picture of a group came.
    GroupPicture {
        /// Which.
        group: GroupId,
    },
    /// This device is not in a group any more.
    GroupLeft {
        /// Which.
        group: GroupId,
    },
    /// This device cannot follow a group and asks its members to be let back in.
    GroupLost {
        /// Which.
        group: GroupId,
    },
    /// Two parts of a group went on apart, as only a relay that lies can make them; the parts come together again.
    GroupForked {
        /// Which.
        group: GroupId,
    },
    /// Something that a member, or the relay, did in a group was not accepted.
    GroupRefused {
        /// Which.
        group: GroupId,
        /// Why.
        error: groups::GroupError,
    },
    /// A vault has newer keys or people, or somebody told of a newer version.
    VaultNewer {
        /// Which.
        vault: GroupId,
    },
    /// A letter could not be opened; it is gone.
    Undecryptable {
        /// From whom, if the envelope told.
        contact: Option<AccountId>,
    },
}
