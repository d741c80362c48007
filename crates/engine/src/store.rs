//! What the engine asks of a disk: ordered tables of bytes, read as one state and changed as one.

use crate::error::StoreError;

/// A table of the profile. The number is part of the stored format and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Table {
    /// One-off values: own account, counters.
    Meta = 1,
    /// Contacts by account id.
    Contact = 2,
    /// Ratchet records by account id and device id.
    Session = 3,
    /// Queues of this device by queue id.
    Queue = 4,
    /// Where a contact's device wants its letters, by account id and device id.
    Route = 5,
    /// Private halves of pre-keys by kind and id.
    PreKey = 6,
    /// Memory of base keys that used a last-resort pre-key.
    BaseKey = 7,
    /// Letters by letter id.
    Letter = 8,
    /// Letters of a conversation in order: account id and order number to letter id.
    Conversation = 9,
    /// Requests to a relay that have no answer yet, by number.
    Outbox = 10,
    /// Letters that wait for a session, by account id, device id and number.
    Waiting = 11,
    /// Sealed bodies that a relay accepted and no receipt covers, by message id.
    Sent = 12,
    /// Receipts that are due, by account id.
    Receipt = 13,
    /// Proof of a peer's or relay's misbehaviour, by number.
    Evidence = 14,
    /// Invites this account made, by ticket.
    Invite = 15,
    /// Uploads under way, by blob id.
    Upload = 16,
    /// What is known of a relay, by its URL.
    Relay = 17,
    /// Letters by time of expiry and letter id.
    Expiry = 18,
    /// Bodies whose sender's log is still to come, by account id and number.
    Held = 19,
    /// Sealed parts of an archive on their way to or from a blob store, by blob id.
    Part = 20,
    /// Shares kept for contacts, by account id.
    Share = 21,
    /// Groups by id.
    Group = 22,
    /// Parts of the state of a group, by its id and a byte.
    GroupPart = 23,
    /// Bodies of groups that cannot be read yet, by group and number.
    GroupHeld = 24,
    /// Private halves of key packages, by reference.
    KeyPackage = 25,
    /// Logs of members of groups who are no contacts, by account id.
    MemberLog = 26,
    /// What is kept of vaults beside their groups, by group id.
    Vault = 27,
}

/// One change of the profile.
#[non_exhaustive]
pub enum Write {
    /// Sets a value.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
        /// The value; wiped by the store once written, since it may hold keys.
        value: zeroize::Zeroizing<Vec<u8>>,
    },
    /// Removes a value if it is there.
    Delete {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
    },
    /// Makes the text of a letter findable.
    Index {
        /// The letter.
        letter: keys::LetterId,
        /// Its words.
        text: String,
    },
    /// Removes a letter from the search index.
    Unindex {
        /// The letter.
        letter: keys::LetterId,
    },
}

/// A key and its value.
pub type Row = (Vec<u8>, zeroize::Zeroizing<Vec<u8>>);

/// One consistent state of the profile.
pub trait Snapshot {
    /// Reads one value.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    fn get(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, StoreError>;

    /// Reads rows whose key starts with `prefix` in ascending order of their keys, at most `limit` of them,
    /// starting after the key `after` where it is given.
    ///
    /// # Errors
    /// The disk failed or holds nonsense.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;
}

/// A profile that can be changed.
pub trait Store: Snapshot {
    /// Makes all changes or none, and returns only when they survive a loss of power.
    ///
    /// # Errors
    /// The disk is full or failed; then nothing changed.
    fn apply(&mut self, writes: Vec<Write>) -> Result<(), StoreError>;
}
