//! Custody: every key that can open something, and where it lives, as far as this profile and the account logs say
//! (docs/spec/custody.md).
//!
//! A relay is never among the holders: no key that opens anything ever leaves the devices but sealed to other devices,
//! to a recovery sheet or to guardians.

mod view;

use crate::error::{EngineError, StoreError};
use crate::records::{Contact, Direction, GroupRecord, GroupStanding, Letter, Record as _};
use crate::store::{Snapshot, Table};
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, Timestamp};
use view::View;

/// Something that keys open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// The own account: who can act for it.
    Account,
    /// A contact's account: who can act for it.
    Contact(AccountId),
    /// All letters with a contact.
    Conversation(AccountId),
    /// A letter.
    Letter(LetterId),
    /// What is sent in a group now.
    Group(GroupId),
    /// A file of a letter.
    Enclosure(LetterId, BlobId),
}

/// Who holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HolderKind {
    /// A device of the own account.
    OwnDevice,
    /// A device of a contact.
    ContactDevice,
    /// Whoever has the paper.
    Sheet,
    /// So many guardians together.
    Guardians,
    /// Whoever has the root key, where that is not known here.
    Root,
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HeldKey {
    /// The key of an encrypted profile in which the thing itself stands.
    Profile,
    /// The message key that a session will give for the sealed body, once; and the envelope or route key around it.
    Message,
    /// The key of the file, which stands in the letter; it takes the blob, which the relay hands out to who shows the
    /// token that stands there too.
    Enclosure,
    /// The keys of the parts of the backup.
    BackupParts,
    /// The recovery key, which opens the head of the backup and so the keys of its parts.
    Recovery,
    /// Signs for a device.
    Signing,
    /// Begins sessions for a device.
    Identity,
    /// Opens first letters for a device.
    Envelope,
    /// The root key of the account.
    Root,
    /// Replaces the head of the backup, and opens nothing.
    BackupHead,
}

/// Where a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// In the encrypted profile of that device.
    Profile,
    /// On paper.
    Paper,
    /// In shares with contacts, each behind the relay's lock.
    Shares,
    /// In the backup, sealed to the recovery key.
    Backup,
    /// Not known here.
    Unknown,
}

/// What else is to be known of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Remark {
    /// The sealed body is on its way; the key is used once and then gone.
    UnderWay,
    /// The device joined later and may have got it with the history.
    History,
    /// A member shared it with this device's account, which joined the group later.
    Shared,
    /// It was written before this account joined: who was in the group then is not known here.
    Before,
    /// The device was revoked; it keeps what it had.
    Revoked,
    /// The device is suspended; it keeps what it had.
    Suspended,
    /// The backup may not hold it yet, or not any more.
    BackupBehind,
    /// An admin device that is senior: adds and revokes devices.
    Senior,
    /// An admin device that is too young to add devices or revoke older ones.
    Young,
    /// No admin device: may revoke itself alone.
    Plain,
}

/// One key that opens an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Who.
    pub kind: HolderKind,
    /// Of which account.
    pub account: AccountId,
    /// Which device.
    pub device: Option<DeviceId>,
    /// Which key.
    pub key: HeldKey,
    /// Where it lives.
    pub place: Place,
    /// False: it may be there; what this profile knows does not decide it.
    pub certain: bool,
    /// Since when the holder is one.
    pub since: Option<Timestamp>,
    /// Until when the key opens anything.
    pub until: Option<Timestamp>,
    /// How many of how many guardians it takes.
    pub need: Option<(u8, u8)>,
    /// How long the guardians' lock takes to open, in seconds.
    pub delay_seconds: u64,
    /// What else.
    pub remark: Option<Remark>,
}

impl HolderKind {
    /// A stable word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnDevice => "own_device",
            Self::ContactDevice => "contact_device",
            Self::Sheet => "sheet",
            Self::Guardians => "guardians",
            Self::Root => "root",
        }
    }
}

impl HeldKey {
    /// A stable word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Message => "message",
            Self::Enclosure => "enclosure",
            Self::BackupParts => "backup_parts",
            Self::Recovery => "recovery",
            Self::Signing => "signing",
            Self::Identity => "identity",
            Self::Envelope => "envelope",
            Self::Root => "root",
            Self::BackupHead => "backup_head",
        }
    }
}

impl Place {
    /// A stable word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Paper => "paper",
            Self::Shares => "shares",
            Self::Backup => "backup",
            Self::Unknown => "unknown",
        }
    }
}

impl Remark {
    /// A stable word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::History => "history",
            Self::Shared => "shared",
            Self::Before => "before",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::BackupBehind => "backup_behind",
            Self::Senior => "senior",
            Self::Young => "young",
            Self::Plain => "plain",
        }
    }
}

/// Lists every key that can open an item; nothing where this profile does not have the item.
pub(crate) fn of(snapshot: &dyn Snapshot, item: &Item) -> Result<Option<Vec<Holder>>, EngineError> {
    let view = View::new(snapshot)?;
    Ok(match item {
        Item::Account => Some(view.own_account()),
        Item::Contact(id) => match contact(snapshot, id)? {
            Some(contact) => Some(view.contact_account(&contact)?),
            None => None,
        },
        Item::Conversation(id) => match contact(snapshot, id)? {
            Some(contact) => Some(view.conversation(snapshot, &contact)?),
            None => None,
        },
        Item::Letter(id) => match letter(snapshot, id)? {
            Some(letter) => Some(view.letter_of(snapshot, &letter)?),
            None => None,
        },
        Item::Group(id) => match snapshot.get(Table::Group, id.as_bytes())? {
            Some(record) if GroupRecord::decode(&record)?.standing == GroupStanding::Out => {
                Some(Vec::new())
            }
            Some(_) => Some(view.group(snapshot, id)?),
            None => None,
        },
        Item::Enclosure(id, blob) => {
            let letter = letter(snapshot, id)?;
            let there = |letter: &Letter| letter.enclosures.iter().any(|file| file.blob == *blob);
            match letter.filter(there) {
                Some(letter) => Some(view.enclosure(snapshot, &letter)?),
                None => None,
            }
        }
    })
}

fn contact(snapshot: &dyn Snapshot, id: &AccountId) -> Result<Option<Contact>, StoreError> {
    let row = snapshot.get(Table::Contact, id.as_bytes())?;
    row.map(|row| Contact::decode(&row)).transpose()
}

fn letter(snapshot: &dyn Snapshot, id: &LetterId) -> Result<Option<Letter>, StoreError> {
    let row = snapshot.get(Table::Letter, id.as_bytes())?;
    let letter = row.map(|row| Letter::decode(&row)).transpose()?;
    Ok(letter.filter(|letter| letter.direction != Direction::Errand))
}
