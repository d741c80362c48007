//! What can happen to a client.

use keys::{AccountId, BlobId, GroupId, LetterId, QueueId, Suite};

/// Names a command of a face, so that its outcome finds the way back. Zero means nobody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CommandId(pub u64);

/// How a new account is announced.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The name people type, 1 to 32 of a-z, 0-9, '.', '-', '_'.
    pub name: String,
    /// What this device is to be called.
    pub device_name: String,
    /// The relay's URL with its pin.
    pub relay: String,
    /// A registration code, where the relay wants one.
    pub code: Option<String>,
    /// The algorithms of the account.
    pub suite: Suite,
}

/// A file that goes with a letter, as the driver found it on disk.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Where the file is; only the driver reads it.
    pub path: String,
    /// The name the recipient sees.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// Size, times and inode folded by the driver. If it differs on resumption the upload starts anew under
    /// a new key, for one key and nonce must never seal two contents.
    pub fingerprint: [u8; 32],
}

/// What a person wants to send.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The text, possibly empty when there is an attachment.
    pub text: String,
    /// The letter this answers.
    pub reply_to: Option<LetterId>,
    /// Seconds after which both sides delete the letter, counted from sending and from first display.
    pub expires_after: Option<u64>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// What a person wants to say of a letter that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amend {
    /// A reaction in the place of an earlier one; nothing takes it back.
    React(Option<String>),
    /// Another text.
    Edit(String),
    /// It is gone for everybody; that it was there stays.
    Delete,
}

/// Something that is not printed.
pub struct Hidden<T>(pub T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// How a person made sure of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerificationMeans {
    /// By an invite, which carries the account id.
    Invite,
    /// By comparing safety numbers.
    SafetyNumber,
}

/// One input of [`Engine::handle`](crate::Engine::handle).
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Makes keys and announces the account.
    CreateAccount {
        /// Who waits.
        command: CommandId,
        /// Name and relay.
        registration: Registration,
    },
    /// Makes an invite for one person.
    CreateInvite {
        /// Who waits.
        command: CommandId,
        /// Seconds until it no longer works.
        valid_for: u64,
    },
    /// Adds the person who made an invite; verified at once.
    AddByInvite {
        /// Who waits.
        command: CommandId,
        /// The invite's text.
        invite: String,
        /// What to call the contact instead of the name in the invite.
        petname: Option<String>,
    },
    /// Adds a person by what a relay says of a name; only claimed.
    AddByName {
        /// Who waits.
        command: CommandId,
        /// The name.
        name: String,
        /// The relay's URL with its pin.
        relay: String,
        /// What to call the contact instead of that name.
        petname: Option<String>,
    },
    /// Notes that a person compared something out of band.
    MarkVerified {
        /// Who waits.
        command: CommandId,
        /// Whom.
        contact: AccountId,
        /// How.
        means: VerificationMeans,
    },
    /// Compares short codes with a contact who is there, or answers a contact who wants to.
    StartSas {
        /// Who waits.
        command: CommandId,
        /// With whom.
        contact: AccountId,
    },
    /// A person compared the short codes.
    ConfirmSas {
        /// With whom.
        contact: AccountId,
        /// Whether they are equal.
        same: bool,
    },
    /// A person does not want to compare any more.
    StopSas {
        /// With whom.
        contact: AccountId,
    },
    /// Makes the code that a contact scans; both logs are confirmed first.
    ShowCode {
        /// Who waits.
        command: CommandId,
        /// For whom.
        contact: AccountId,
    },
    /// A person scanned the code that a contact shows.
    CompareCode {
        /// Who waits.
        command: CommandId,
        /// Whose code it should be.
        contact: AccountId,
        /// The code's text.
        scanned: String,
    },
    /// Blocks or unblocks a contact.
    Block {
        /// Who waits.
        command: CommandId,
        /// Whom.
        contact: AccountId,
        /// Whether to block.
        blocked: bool,
    },
    /// Sends a letter to a contact or a group.
    SendLetter {
        /// Who waits.
        command: CommandId,
        /// The letter's id, drawn by the caller so that a retry of the command is the same letter.
        letter: LetterId,
        /// The recipient: an account, or the id of a group.
        to: AccountId,
        /// What.
        draft: Draft,
    },
    /// Reacts to a letter, edits it or deletes it for everybody.
    AmendLetter {
        /// Who waits.
        command: CommandId,
        /// Which.
        letter: LetterId,
        /// How.
        change: Amend,
    },
    /// Begins a group.
    CreateGroup {
        /// Who waits.
        command: CommandId,
        /// The group's id, drawn by the caller so that a retry of the command is the same group.
        group: GroupId,
        /// What it is called.
        name: String,
        /// Contacts.
        members: Vec<AccountId>,
    },
    /// Adds people to a group, with all their devices.
    AddToGroup {
        /// Who waits.
        command: CommandId,
        /// Which group.
        group: GroupId,
        /// Contacts.
        members: Vec<AccountId>,
        /// How many letters of before they are sent; at most [`SHARED_LETTERS`](crate::limits::SHARED_LETTERS).
        history: u32,
    },
    /// Removes people from a group, with all their devices.
    RemoveFromGroup {
        /// Who waits.
        command: CommandId,
        /// Which group.
        group: GroupId,
        /// Members.
        members: Vec<AccountId>,
    },
    /// Leaves a group.
    LeaveGroup {
        /// Who waits.
        command: CommandId,
        /// Which group.
        group: GroupId,
    },
    /// Changes what the members of a group agree on.
    ChangeGroup {
        /// Who waits.
        command: CommandId,
        /// Which group.
        group: GroupId,
        /// What is to be different.
        change: crate::records::DataChange,
    },
    /// Makes a vault.
    CreateVault {
        /// Who waits.
        command: CommandId,
        /// The vault's id, drawn by the caller so that a retry of the command is the same vault.
        vault: GroupId,
        /// What it is called.
        name: String,
    },
    /// Lets people into a vault, or gives those who are in it another role.
    ShareVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// Contacts, or members.
        accounts: Vec<AccountId>,
        /// Their role; nothing: readers, if they come in.
        role: Option<groups::Role>,
    },
    /// Puts people out of a vault.
    UnshareVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// Members.
        accounts: Vec<AccountId>,
    },
    /// Leaves a vault.
    LeaveVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
    },
    /// Calls a vault otherwise.
    RenameVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// The new name.
        name: String,
    },
    /// Asks the relay for the head of a generation of a vault.
    FetchVaultHead {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// From 1.
        generation: u32,
    },
    /// Judges roots of a vault; if they count, the newest is the pin.
    CheckVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// The generation whose head showed the newest.
        generation: u32,
        /// Newest first, down to the one that follows the pin, or the pin alone.
        roots: Vec<Vec<u8>>,
    },
    /// Takes a root of a vault for the newest, whatever was known before: a person decided so.
    AcceptVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// The generation whose head shows it.
        generation: u32,
        /// The root.
        root: Vec<u8>,
    },
    /// Makes a root the newest of a vault.
    PublishVault {
        /// Who waits.
        command: CommandId,
        /// Which.
        vault: GroupId,
        /// The head.
        head: crate::VaultVersion,
        /// The root in it, signed by [`Engine::sign_vault_root`](crate::Engine::sign_vault_root).
        root: Vec<u8>,
    },
    /// Makes a one-time secret by which a new device joins the account.
    OfferLink {
        /// Who waits.
        command: CommandId,
    },
    /// Makes this home a device of the account that a secret leads to.
    AcceptLink {
        /// Who waits.
        command: CommandId,
        /// The secret.
        secret: Hidden<keys::link::LinkSecret>,
        /// The relay, with its pin.
        relay: String,
        /// What this device is to be called.
        name: String,
    },
    /// A person compared the pairing codes, or left before that: then they are not equal.
    ConfirmLink {
        /// Whether they are equal.
        same: bool,
    },
    /// Ends the own account for ever; needs the root key.
    EndAccount {
        /// Who waits.
        command: CommandId,
    },
    /// Puts a device of the own account out of force until it is resumed.
    SuspendDevice {
        /// Who waits.
        command: CommandId,
        /// Which.
        device: keys::DeviceId,
    },
    /// Puts a suspended device in force again.
    ResumeDevice {
        /// Who waits.
        command: CommandId,
        /// Which.
        device: keys::DeviceId,
    },
    /// Revokes a device of this account.
    RevokeDevice {
        /// Who waits.
        command: CommandId,
        /// Which.
        device: keys::DeviceId,
        /// Why.
        reason: keys::account_log::Reason,
    },
    /// Gives this device new keys.
    RotateDevice {
        /// Who waits.
        command: CommandId,
    },
    /// Gives the account a new root key.
    RotateRoot {
        /// Who waits.
        command: CommandId,
    },
    /// Takes the account to a higher suite. It ends when this device has keys of it; other devices give themselves
    /// theirs when they read the log.
    UpgradeSuite {
        /// Who waits.
        command: CommandId,
        /// Which.
        suite: keys::Suite,
    },
    /// Draws a recovery sheet; [`Engine::sheet`](crate::Engine::sheet) has its text.
    MakeSheet {
        /// Who waits.
        command: CommandId,
    },
    /// The sheet was retyped: it comes into force.
    ConfirmSheet {
        /// Who waits.
        command: CommandId,
        /// What was retyped.
        sheet: Hidden<keys::sheet::SheetSecret>,
    },
    /// Takes the root key out of the recovery bundle, for one change.
    UnlockRoot {
        /// Who waits.
        command: CommandId,
        /// The sheet.
        sheet: Hidden<keys::sheet::SheetSecret>,
    },
    /// Makes this home a device of the account that a sheet leads to.
    RestoreBySheet {
        /// Who waits.
        command: CommandId,
        /// The sheet.
        sheet: Hidden<keys::sheet::SheetSecret>,
        /// The relay, with its pin.
        relay: String,
        /// What this device is to be called.
        name: String,
    },
    /// Sets guardians, in the place of earlier ones. The outcome comes with the first backup.
    SetGuardians {
        /// Who waits.
        command: CommandId,
        /// How many of them are needed.
        need: u8,
        /// Contacts.
        guardians: Vec<AccountId>,
        /// Seconds between a request and the return;
        /// [`limits::GUARDIAN_DELAY_SECONDS`](crate::limits::GUARDIAN_DELAY_SECONDS) by default.
        delay_seconds: u64,
    },
    /// Clears a way to recover.
    ClearRecovery {
        /// Who waits.
        command: CommandId,
        /// Which.
        method: keys::account_log::Method,
    },
    /// Asks the relay for newer entries of the own log and for the state of the guardians' lock, now.
    LookAtRecovery,
    /// Refuses what somebody asked of our guardians.
    CancelRecovery {
        /// Who waits.
        command: CommandId,
    },
    /// Says yes, as a guardian, to whoever brought a code out of band.
    ApproveRecovery {
        /// Who waits.
        command: CommandId,
        /// Whose account is to come back.
        contact: AccountId,
        /// The code.
        code: Hidden<keys::request_code::RequestCode>,
    },
    /// Asks, in a bare home, to come back through guardians.
    /// [`Engine::recovery_request`](crate::Engine::recovery_request) has the code for them.
    RequestRecovery {
        /// Who waits.
        command: CommandId,
        /// The account.
        lost: crate::records::Lost,
        /// The relay, with its pin.
        relay: String,
        /// What this device is to be called.
        name: String,
    },
    /// Goes on with what this home asked for, now; the outcome is that of the whole recovery.
    ContinueRecovery {
        /// Who waits.
        command: CommandId,
    },
    /// Gives up what this home asked for.
    AbandonRecovery {
        /// Who waits.
        command: CommandId,
    },
    /// The program is about to end: what a backup does not cover is written now.
    Closing,
    /// Deletes letters here and on the account's other devices.
    DeleteLetters {
        /// Which.
        letters: Vec<LetterId>,
    },
    /// Names a device of the own account.
    NameDevice {
        /// Which.
        device: keys::DeviceId,
        /// How.
        name: String,
    },
    /// The relay has all of a part.
    PartStored {
        /// The blob.
        blob: BlobId,
    },
    /// A part came.
    PartFetched {
        /// The blob.
        blob: BlobId,
        /// All of it.
        sealed: Vec<u8>,
    },
    /// A part can be neither stored nor fetched.
    PartFailed {
        /// The blob.
        blob: BlobId,
    },
    /// The reader has seen these letters; timers of disappearing letters start.
    MarkRead {
        /// Which.
        letters: Vec<LetterId>,
    },
    /// A connection to a relay stands.
    Connected {
        /// The relay's URL with its pin.
        relay: String,
        /// What it said of itself.
        welcome: Box<wire::Welcome>,
    },
    /// A relay answered a request.
    Reply {
        /// The number of the request.
        id: u64,
        /// The answer.
        reply: Box<wire::Reply>,
    },
    /// A relay pushed a letter of a queue.
    Delivered {
        /// The queue.
        queue: QueueId,
        /// Its place there.
        seq: u64,
        /// The sealed body.
        body: Vec<u8>,
    },
    /// The relay answered a subscription.
    Subscribed {
        /// The queue.
        queue: QueueId,
        /// The sequence number the next letter will get, or nothing if the relay does not know the queue.
        next_seq: Option<u64>,
    },
    /// All bytes of an upload are stored at the relay.
    Uploaded {
        /// The blob.
        blob: BlobId,
    },
    /// The file is not the one the upload began with: start anew under a new key.
    UploadChanged {
        /// The blob.
        blob: BlobId,
        /// The file as it is now.
        attachment: Attachment,
    },
    /// An upload cannot go on (file gone, quota): the letter fails.
    UploadFailed {
        /// The blob.
        blob: BlobId,
    },
    /// The driver began: uploads under way are offered again.
    Started,
    /// Time passed: deletes what has expired, sends receipts that are due, retries.
    Tick,
}
