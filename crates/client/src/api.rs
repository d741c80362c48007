//! What every face (command line, terminal app, page, bindings) asks of a profile, and what it hears.
//!
//! A [`Request`] runs in the process that holds the profile's lock; another process sends it over the agent
//! socket in the home. Both ways answer with the same stream of [`Answer`]s.

use crate::{insight, inventory, view};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One wish of a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Make an account and announce it at a relay.
    AccountCreate {
        /// The name.
        name: String,
        /// The relay's URL with its pin, or nothing where the invite names it.
        relay: Option<String>,
        /// A registration code of the relay or an invite of a member.
        invite: Option<String>,
        /// The name of the suite: `hybrid` or `cnsa2`.
        suite: String,
    },
    /// Show the own account.
    AccountShow,
    /// Show the entries of the own account log.
    AccountLog,
    /// Show what was kept when the own account was shown with another history.
    AccountEvidence {
        /// Write it to files here (an absolute path).
        save: Option<PathBuf>,
    },
    /// Make an invite.
    Invite {
        /// Seconds until it no longer works.
        valid_for_seconds: u64,
    },
    /// Add a contact by an invite or by NAME@RELAY.
    ContactAdd {
        /// Either form.
        who: String,
        /// What to call the contact.
        petname: Option<String>,
    },
    /// List contacts.
    ContactList,
    /// Show the safety number of a contact.
    SafetyNumber {
        /// The contact.
        contact: String,
    },
    /// Note that the safety number was compared and is equal.
    ContactVerify {
        /// The contact.
        contact: String,
    },
    /// Compare short codes with a contact who is there. Ends when the contact is verified.
    SasStart {
        /// The contact.
        contact: String,
        /// How long to wait for the other side, in milliseconds.
        timeout_ms: u64,
    },
    /// Tell what a person said about the short codes under way.
    SasCompared {
        /// The contact, as in [`Request::SasStart`].
        contact: String,
        /// Whether both sides show the same.
        same: bool,
    },
    /// End the comparison of short codes under way, on both sides; [`Request::SasStart`] ends once the relay has it.
    SasStop {
        /// The contact, as in [`Request::SasStart`].
        contact: String,
    },
    /// Show the code that a contact scans.
    CodeShow {
        /// The contact.
        contact: String,
    },
    /// Compare with the code that a contact shows. Ends when the contact is verified.
    CodeScanned {
        /// The contact.
        contact: String,
        /// The code.
        code: String,
    },
    /// Block or unblock a contact.
    ContactBlock {
        /// The contact.
        contact: String,
        /// False to unblock.
        blocked: bool,
    },
    /// Show what was kept when the identity of a contact was not the pinned one.
    ContactEvidence {
        /// The contact.
        contact: String,
        /// Write it to files here (an absolute path).
        save: Option<PathBuf>,
    },
    /// Show a one-time secret by which a new device joins the account, and link it.
    DeviceLink {
        /// How long to wait for the new device, in milliseconds.
        timeout_ms: u64,
    },
    /// Become a device of the account that a secret leads to.
    DeviceAccept {
        /// The line of `device link`, or its twelve words.
        secret: view::HiddenText,
        /// The relay's URL with its pin; only with words.
        relay: Option<String>,
        /// What this device is to be called.
        name: Option<String>,
    },
    /// Tell what a person said about the pairing code of the link under way.
    LinkCompared {
        /// Whether both devices show the same.
        same: bool,
    },
    /// List the devices of the own account, and those it had.
    DeviceList,
    /// Revoke a device of the own account.
    DeviceRevoke {
        /// Its name or id.
        device: String,
        /// Why.
        reason: view::RevokeReason,
    },
    /// End the own account for ever.
    AccountEnd {
        /// The recovery sheet, where its backup keeps the root key.
        sheet: Option<view::HiddenText>,
    },
    /// Take the own account to a higher suite. There is no way back.
    AccountUpgrade {
        /// The name of the suite: `cnsa2`.
        suite: String,
        /// The recovery sheet, where its backup keeps the root key.
        sheet: Option<view::HiddenText>,
    },
    /// Put a device of the own account out of force until it is resumed.
    DeviceSuspend {
        /// Its name or id.
        device: String,
        /// Put it in force again instead.
        resume: bool,
    },
    /// Give this device new keys, or the account a new root key.
    DeviceRotate {
        /// The root key.
        root: bool,
    },
    /// Take the root key out of the recovery bundle and give the account a new one.
    DeviceRotateRoot {
        /// The recovery sheet.
        sheet: view::HiddenText,
    },
    /// Draw a recovery sheet. It comes into force when it was retyped.
    RecoverySheet {
        /// The sheet in force, so that the new one opens the root key too.
        old: Option<view::HiddenText>,
    },
    /// Tell what a person retyped of the sheet that was drawn; ends when the first backup is at the relay.
    SheetRetyped {
        /// The sheet.
        sheet: view::HiddenText,
        /// The sheet in force until then, as before.
        old: Option<view::HiddenText>,
    },
    /// Become a device of the account that a sheet leads to.
    RecoveryRestore {
        /// The sheet.
        sheet: view::HiddenText,
        /// The relay's URL with its pin.
        relay: String,
        /// What this device is to be called.
        name: Option<String>,
    },
    /// Set guardians, in the place of earlier ones; ends when the first backup is at the relay.
    GuardiansSet {
        /// How many of them are needed.
        need: u8,
        /// Contacts.
        guardians: Vec<String>,
        /// Seconds between a request and the earliest return; the usual ones without.
        delay_seconds: Option<u64>,
        /// The recovery sheet, so that their backup holds the root key too.
        sheet: Option<view::HiddenText>,
    },
    /// Show the guardians of the own account.
    GuardiansShow,
    /// End a way to recover.
    RecoveryClear {
        /// Which.
        method: view::RecoveryMethod,
    },
    /// Refuse what somebody asked of the guardians.
    RecoveryCancel,
    /// Say yes, as a guardian, to whoever brought a code.
    RecoveryApprove {
        /// Whose account is to come back.
        contact: String,
        /// The code.
        code: view::HiddenText,
    },
    /// List the shares that are kept here for contacts.
    RecoveryShares,
    /// Ask, in a bare home, to come back through guardians.
    RecoveryRequest {
        /// The account's name at the relay, or its id.
        account: String,
        /// The relay's URL with its pin.
        relay: String,
        /// What this device is to be called.
        name: Option<String>,
    },
    /// Go on with what this home asked for, and wait for the end.
    RecoveryContinue {
        /// How long to wait, in milliseconds; without it until the end.
        timeout_ms: Option<u64>,
    },
    /// Give up what this home asked for.
    RecoveryAbandon,
    /// Tell what would happen today if each device, the sheet or the relay were lost.
    RecoveryStatus,
    /// Call a device of the own account otherwise.
    DeviceRename {
        /// Its name or id.
        device: String,
        /// The new name.
        name: String,
    },
    /// Delete letters on all devices of the own account.
    Delete {
        /// Their ids.
        letters: Vec<String>,
        /// Also for everybody else who has them; only whoever wrote them can.
        #[serde(default)]
        everyone: bool,
    },
    /// React to a letter.
    React {
        /// Its id.
        letter: String,
        /// A sign or a word in the place of an earlier one; nothing takes it back.
        emoji: Option<String>,
    },
    /// Give a letter another text.
    Edit {
        /// Its id.
        letter: String,
        /// The text.
        text: String,
    },
    /// List every key that opens something.
    Custody {
        /// `account`, a contact, a group, the id of a letter, LETTER/N for its Nth file, or the id of a blob.
        item: String,
    },
    /// List algorithms and keys, their states, ages and due dates.
    Inventory,
    /// Say which keys a file is sealed to, and who signs it.
    FileRecipients {
        /// Contacts.
        to: Vec<String>,
        /// Whether the own account is among them.
        with_own: bool,
    },
    /// Sign a file (docs/spec/sealed-file.md, section 4).
    FileSign {
        /// What is signed, hexadecimal.
        message: String,
    },
    /// Open the header of a sealed file.
    FileOpen {
        /// The header, hexadecimal.
        header: String,
    },
    /// Say who an account is that is said to have signed a file.
    FileSigner {
        /// The account, base32.
        account: String,
        /// Its device, base32.
        device: String,
        /// The account log that came with the file, hexadecimal; may be empty.
        log: String,
    },
    /// List vaults.
    VaultList,
    /// Make a vault. Whoever asked writes its first version.
    VaultCreate {
        /// What it is called.
        name: String,
    },
    /// Let people into a vault, or give those who are in it another role.
    VaultShare {
        /// The vault: its name, or the beginning of its id.
        vault: String,
        /// Contacts, or members.
        to: Vec<String>,
        /// What they may do; without it people come in as readers, and who is in it keeps what it has.
        role: Option<view::VaultRole>,
    },
    /// Put people out of a vault.
    VaultUnshare {
        /// The vault.
        vault: String,
        /// Members.
        who: Vec<String>,
    },
    /// Leave a vault.
    VaultLeave {
        /// The vault.
        vault: String,
    },
    /// Call a vault otherwise.
    VaultRename {
        /// The vault.
        vault: String,
        /// The new name.
        name: String,
    },
    /// Show a vault and who is in it.
    VaultMembers {
        /// The vault.
        vault: String,
    },
    /// Say what opens a vault, and what is known of it: answered with [`Answer::VaultAccess`].
    VaultAccess {
        /// The vault.
        vault: String,
    },
    /// Fetch the head of a generation: answered with [`Answer::VaultHead`]; not found where the relay has none.
    VaultHead {
        /// The vault.
        vault: String,
        /// The generation.
        generation: u32,
    },
    /// Ask whether roots count (docs/spec/vault.md, section 5). If so, the newest is the pin now; if not, it is refused.
    VaultCheck {
        /// The vault.
        vault: String,
        /// The generation whose head showed the newest.
        generation: u32,
        /// Roots, hexadecimal: newest first, down to the one that follows the pin, or the pin alone; at most 1000.
        roots: Vec<String>,
    },
    /// Take a root for the newest, whatever was known before, if its author may write: a person decided so.
    VaultAccept {
        /// The vault.
        vault: String,
        /// The generation whose head shows it.
        generation: u32,
        /// The root, hexadecimal.
        root: String,
    },
    /// Sign the body of a root: answered with [`Answer::VaultSignature`].
    VaultSign {
        /// The vault.
        vault: String,
        /// The body, hexadecimal.
        body: String,
    },
    /// Wait until what lay at the relay for this device is here, or for a while.
    VaultCaughtUp,
    /// Make a root the newest one: answered with [`Answer::VaultPublished`]. It follows the pin, or is the pin, which is put
    /// back where the head does not show it.
    VaultPublish {
        /// The vault.
        vault: String,
        /// The generation.
        generation: u32,
        /// The new version of the head.
        version: u64,
        /// The version that the relay has; 0 for none.
        previous: u64,
        /// The head's body, hexadecimal.
        body: String,
        /// The root in it, hexadecimal.
        root: String,
    },
    /// Hear of newer versions of a vault, and of keys and people, until hung up: answered with [`Answer::VaultNewer`].
    VaultNewer {
        /// The vault.
        vault: String,
    },
    /// Begin a group.
    GroupCreate {
        /// What it is called.
        name: String,
        /// Contacts.
        members: Vec<String>,
    },
    /// Add people to a group.
    GroupAdd {
        /// The group.
        group: String,
        /// Contacts.
        members: Vec<String>,
        /// How many letters of before they are sent.
        #[serde(default)]
        share_history: u32,
    },
    /// Remove people from a group.
    GroupRemove {
        /// The group.
        group: String,
        /// Members.
        members: Vec<String>,
    },
    /// Leave a group.
    GroupLeave {
        /// The group.
        group: String,
    },
    /// List groups.
    GroupList,
    /// Show a group and its members.
    GroupShow {
        /// The group.
        group: String,
        /// Write its picture here (an absolute path).
        #[serde(default)]
        picture: Option<PathBuf>,
    },
    /// Change what the members of a group agree on.
    GroupChange {
        /// The group.
        group: String,
        /// Another name.
        name: Option<String>,
        /// Another timer for letters, in seconds; 0 for none.
        timer_seconds: Option<u64>,
        /// Another picture (an absolute path).
        #[serde(default)]
        picture: Option<PathBuf>,
        /// No picture any more.
        #[serde(default)]
        no_picture: bool,
    },
    /// Give a member of a group another role.
    GroupRole {
        /// The group.
        group: String,
        /// The member.
        member: String,
        /// The role.
        role: view::Role,
    },
    /// Send a letter.
    Send {
        /// The contact, or the group.
        to: String,
        /// The text; may be empty when there are files.
        text: String,
        /// Files, as absolute paths.
        files: Vec<PathBuf>,
        /// Seconds after which both sides delete it.
        expires_seconds: Option<u64>,
        /// The id of the letter that this one answers.
        reply_to: Option<String>,
        /// Wait until the relay has accepted the letter; without it an unreachable relay is no error.
        wait: bool,
        /// How long to try before the letter is left to the outbox, in milliseconds.
        timeout_ms: u64,
    },
    /// Receive letters.
    Receive {
        /// Go on until interrupted.
        follow: bool,
        /// How long to wait for a first or further letter, in milliseconds.
        timeout_ms: Option<u64>,
        /// Save enclosures here (an absolute path).
        save: Option<PathBuf>,
    },
    /// Read letters that are stored.
    Read {
        /// The conversation, or all.
        conversation: Option<String>,
        /// The newest so many.
        limit: u32,
    },
    /// Search letters.
    Search {
        /// Words that all must occur.
        words: String,
        /// At most so many.
        limit: u32,
    },
}

impl Request {
    /// Whether it says what a person thinks of something under way, and is no request of its own.
    pub(crate) fn is_word(&self) -> bool {
        matches!(
            self,
            Self::LinkCompared { .. } | Self::SasCompared { .. } | Self::SasStop { .. }
        )
    }

    /// Whether a person will say something about it.
    pub(crate) fn awaits_word(&self) -> bool {
        matches!(
            self,
            Self::DeviceLink { .. } | Self::DeviceAccept { .. } | Self::SasStart { .. }
        )
    }

    /// Whether it is what a person says about `other`.
    pub(crate) fn is_word_on(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::LinkCompared { .. }, Self::DeviceLink { .. } | Self::DeviceAccept { .. }) => {
                true
            }
            (
                Self::SasCompared { contact, .. } | Self::SasStop { contact },
                Self::SasStart { contact: with, .. },
            ) => contact == with,
            _ => false,
        }
    }
}

/// One thing a face hears. A stream of them ends with [`Answer::Done`] or [`Answer::Failed`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// The own account.
    Account(view::Account),
    /// One entry of the own account log.
    LogEntry(view::LogEntry),
    /// An invite.
    Invite(view::Invite),
    /// A contact.
    Contact(view::Contact),
    /// A safety number.
    SafetyNumber(view::SafetyNumber),
    /// What both sides show. [`Request::SasCompared`] tells what a person said.
    Sas(view::Sas),
    /// The code that a contact scans.
    VerificationCode(view::VerificationCode),
    /// What was shown instead of a contact's identity.
    Evidence(view::Evidence),
    /// The one-time secret of a link.
    Link(view::Link),
    /// What both devices of a link show. [`Request::LinkCompared`] tells what a person said.
    PairingCode(view::PairingCode),
    /// A device of the own account.
    Device(view::Device),
    /// A recovery sheet.
    Sheet(view::Sheet),
    /// What a restoration brought back.
    Restored(view::Restored),
    /// What would happen if something were lost.
    Recovery(view::Recovery),
    /// The guardians of the own account.
    Guardians(view::Guardians),
    /// What a bare machine asked the guardians of an account for.
    RecoveryRequest(view::RecoveryRequest),
    /// How far a recovery by guardians is; something to tell, never a result.
    RecoveryProgress(view::RecoveryProgress),
    /// Somebody asks the guardians of the own account to be let in; something to tell loudly, never a result.
    RecoveryAlarm(view::OpenRequest),
    /// A share that is kept for a contact.
    Share(view::Share),
    /// A group.
    Group(view::Group),
    /// A member of a group.
    Member(view::Member),
    /// The picture of a group was written to a file.
    Picture(view::SavedPicture),
    /// A vault.
    Vault(view::Vault),
    /// Somebody who is in a vault.
    VaultMember(view::VaultMember),
    /// What opens a vault, and what is known of it; only between processes.
    VaultAccess(view::VaultAccess),
    /// The head of a generation as the relay has it.
    VaultHead(view::VaultHead),
    /// The signature of a root.
    VaultSignature(view::VaultSignature),
    /// What became of a root.
    VaultPublished(view::VaultPublished),
    /// A vault has something newer.
    VaultNewer(view::VaultNewer),
    /// What came of a change of a vault.
    VaultChange(view::VaultChange),
    /// A vault is mounted.
    VaultMounted(view::VaultMounted),
    /// A folder that was brought in step with a vault.
    VaultSynced(view::VaultSynced),
    /// What was fetched from a vault.
    VaultGot(view::VaultGot),
    /// Something in a vault.
    VaultEntry(view::VaultEntry),
    /// A version of a vault.
    VaultVersion(view::VaultVersion),
    /// A letter is deleted.
    Deleted(view::Deleted),
    /// A letter, sent or received.
    Letter(view::Letter),
    /// A key that opens something, and who holds it.
    Holder(insight::Holder),
    /// A key that a file is sealed to.
    FileRecipient(view::FileRecipient),
    /// Who signs a file.
    FileAuthor(view::FileAuthor),
    /// The signature of a file.
    FileSignature(view::FileSignature),
    /// What the rest of a sealed file opens with.
    FileKey(view::FileKey),
    /// Who signed a file.
    FileSigner(view::FileSigner),
    /// A file was sealed, opened or looked into.
    SealedFile(view::SealedFile),
    /// What a sealed file holds.
    SealedEntry(view::SealedEntry),
    /// An identity was made.
    NewIdentity(view::NewIdentity),
    /// The code of what is given.
    GiveCode(view::GiveCode),
    /// The link to what is given.
    GiveLink(view::GiveLink),
    /// What was given is with whoever took it.
    Given(view::Given),
    /// What was given was written.
    Taken(view::Taken),
    /// Whose inventory follows.
    Inventory(inventory::Inventory),
    /// An algorithm in use.
    Algorithm(inventory::Algorithm),
    /// A key, and how it stands.
    Key(inventory::Key),
    /// How far a long transfer is.
    Progress(view::Progress),
    /// Something to tell on standard error: a notice, never a result.
    Notice(view::Notice),
    /// An enclosure was saved.
    Saved(view::Saved),
    /// The end, well.
    Done,
    /// The end, badly.
    Failed(view::Failure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_about_what_is_under_way_with_the_same_contact() {
        let start = |contact: &str| Request::SasStart {
            contact: contact.to_owned(),
            timeout_ms: 1,
        };
        let word = Request::SasCompared {
            contact: "bob".to_owned(),
            same: true,
        };
        let stop = Request::SasStop {
            contact: "bob".to_owned(),
        };
        for word in [&word, &stop] {
            assert!(word.is_word() && word.is_word_on(&start("bob")));
            assert!(!word.is_word_on(&start("carol")));
            assert!(!word.is_word_on(&Request::DeviceLink { timeout_ms: 1 }));
        }
        let linked = Request::LinkCompared { same: true };
        assert!(linked.is_word_on(&Request::DeviceLink { timeout_ms: 1 }));
        assert!(!linked.is_word_on(&start("bob")) && !start("bob").is_word());
    }
}
