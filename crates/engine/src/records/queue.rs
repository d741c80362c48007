//! Queues: our own, and those of contacts.

use super::Record;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, QueueId, Secret};

/// How the purpose of a link's queue is stored.
const LINK: u8 = 1;
/// How the purpose of a mailbox for shares is stored.
const RECOVERY: u8 = 2;
/// How the purpose of an inbox is stored.
const INBOX: u8 = 3;

/// What a queue of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueuePurpose {
    /// Anybody who knows the account may write here.
    FrontDoor,
    /// Carries the words by which a new device joins the account; short-lived.
    Link,
    /// Guardians put their shares here for a home that asked to come back; short-lived.
    Recovery,
    /// Members of groups write here.
    Inbox,
    /// Only this account was told of it: a contact, or our own other devices.
    Contact(AccountId),
}

/// A queue of ours.
pub(crate) struct OwnQueue {
    pub(crate) id: QueueId,
    pub(crate) purpose: QueuePurpose,
    /// Seed of the Ed25519 receive key.
    pub(crate) receive_key: Secret<32>,
    /// What senders show.
    pub(crate) token: Secret<32>,
    /// What hides the bodies of a contact's queue.
    pub(crate) route_key: Secret<32>,
    /// The newest sequence number stored here.
    pub(crate) last_seq: u64,
    /// Whether the contact has written here, so that the route need not be offered again.
    pub(crate) used: bool,
}

impl Record for OwnQueue {
    const WHAT: &'static str = "queue";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        match &self.purpose {
            QueuePurpose::FrontDoor => out.bytes(&[]),
            QueuePurpose::Link => out.bytes(&[LINK]),
            QueuePurpose::Recovery => out.bytes(&[RECOVERY]),
            QueuePurpose::Inbox => out.bytes(&[INBOX]),
            QueuePurpose::Contact(account) => out.bytes(account.as_bytes()),
        };
        out.array(self.receive_key.expose_secret());
        out.array(self.token.expose_secret());
        out.array(self.route_key.expose_secret());
        out.u64(self.last_seq);
        out.u8(u8::from(self.used));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: QueueId::from_bytes(input.array()?),
            purpose: match input.bytes(32)? {
                [] => QueuePurpose::FrontDoor,
                [LINK] => QueuePurpose::Link,
                [RECOVERY] => QueuePurpose::Recovery,
                [INBOX] => QueuePurpose::Inbox,
                account => QueuePurpose::Contact(
                    AccountId::from_slice(account).ok_or(DecodeError::Invalid)?,
                ),
            },
            receive_key: super::secret(input)?,
            token: super::secret(input)?,
            route_key: super::secret(input)?,
            last_seq: input.u64()?,
            used: input.u8()? == 1,
        })
    }
}

/// A contact's queue made for us.
pub(crate) struct ContactRoute {
    pub(crate) queue: QueueId,
    pub(crate) token: Secret<32>,
    pub(crate) key: Secret<32>,
    pub(crate) relay: String,
}

/// Where one device of a contact takes letters.
pub(crate) struct RouteRecord {
    /// For first letters.
    pub(crate) front_door: Option<(QueueId, Secret<32>)>,
    /// For all others, once the contact told us.
    pub(crate) contact: Option<ContactRoute>,
    /// The highest sequence number the relay ever gave a body of ours on the current route.
    pub(crate) highest_seq: u64,
}

impl Record for RouteRecord {
    const WHAT: &'static str = "route";

    fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.front_door.is_some()));
        if let Some((queue, token)) = &self.front_door {
            out.array(queue.as_bytes());
            out.array(token.expose_secret());
        }
        out.u8(u8::from(self.contact.is_some()));
        if let Some(route) = &self.contact {
            out.array(route.queue.as_bytes());
            out.array(route.token.expose_secret());
            out.array(route.key.expose_secret());
            out.bytes(route.relay.as_bytes());
        }
        out.u64(self.highest_seq);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let front_door = match input.u8()? {
            0 => None,
            _ => Some((QueueId::from_bytes(input.array()?), super::secret(input)?)),
        };
        let contact = match input.u8()? {
            0 => None,
            _ => Some(ContactRoute {
                queue: QueueId::from_bytes(input.array()?),
                token: super::secret(input)?,
                key: super::secret(input)?,
                relay: super::text(input, 512)?,
            }),
        };
        Ok(Self {
            front_door,
            contact,
            highest_seq: input.u64()?,
        })
    }
}
