//! Letters, as a conversation shows them.

use super::marks::{somebody, write_somebody};
use super::{Marks, Record};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, LetterId, MessageId, Secret, Timestamp};
use zeroize::Zeroizing;

/// Which way a letter went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// From here.
    Sent = 1,
    /// To here.
    Received = 2,
    /// Not shown: something this device tells the other devices of the account.
    Errand = 3,
}

/// Where a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LetterState {
    /// Files are being uploaded.
    Uploading = 1,
    /// It waits for a session or the relay.
    Queued = 2,
    /// The relay accepted it for every device.
    Sent = 3,
    /// A device of the recipient stored it.
    Delivered = 4,
    /// It will not arrive.
    Failed = 5,
    /// Received, not shown yet.
    Received = 6,
    /// Received and shown.
    Read = 7,
}

/// Where the sealed body for one device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DeliveryState {
    /// No session yet.
    Waiting = 1,
    /// Sealed, in the outbox.
    Sealed = 2,
    /// Accepted by the relay.
    Accepted = 3,
    /// A receipt came.
    Delivered = 4,
    /// Refused for good.
    Failed = 5,
}

/// One letter's way to one device.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The device.
    pub device: DeviceId,
    /// Whether it is a device of the own account.
    pub own: bool,
    /// The sealed body's id.
    pub message: MessageId,
    /// How far.
    pub state: DeliveryState,
}

/// Set in the stored state of a delivery to an own device.
const OWN: u8 = 0x80;

/// A file that came, or went, with a letter.
pub struct Enclosure {
    /// The blob.
    pub blob: BlobId,
    /// What the relay wants to see before it hands the blob out.
    pub read_token: Secret<32>,
    /// What opens it.
    pub key: Secret<32>,
    /// The file's name as its sender calls it.
    pub name: String,
    /// The length of the plaintext in bytes.
    pub size: u64,
    /// The relay that holds it.
    pub relay: String,
}

/// A letter.
pub struct Letter {
    /// The letter's id.
    pub id: LetterId,
    /// The other side.
    pub contact: AccountId,
    /// Its place in the conversation, and among all letters.
    pub order: u64,
    /// Which way.
    pub direction: Direction,
    /// Where it is.
    pub state: LetterState,
    /// The text.
    pub text: String,
    /// By the sender's clock.
    pub sent_at: Timestamp,
    /// The letter it answers.
    pub reply_to: Option<LetterId>,
    /// Seconds to live after sending, or after first display.
    pub expires_after: Option<u64>,
    /// When it is deleted here.
    pub expires_at: Option<Timestamp>,
    /// Files.
    pub enclosures: Vec<Enclosure>,
    /// One a device that is to have it from here: those of the recipient, and our own others.
    pub deliveries: Vec<Delivery>,
    /// What an errand says (docs/spec/letters.md, section 4); empty for others.
    pub errand: Zeroizing<Vec<u8>>,
    /// Who wrote it, where it is a letter of a group; [`contact`](Self::contact) is then the group's id, or
    /// the other account's where the group is the conversation of two.
    pub author: Option<AccountId>,
    /// What became of it since.
    pub marks: Marks,
}

impl Record for Letter {
    const WHAT: &'static str = "letter";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.array(self.contact.as_bytes());
        out.u64(self.order);
        out.u8(self.direction as u8);
        out.u8(self.state as u8);
        out.bytes(self.text.as_bytes());
        out.u64(self.sent_at.as_secs());
        out.bytes(
            self.reply_to
                .as_ref()
                .map_or(&[][..], |id| &id.as_bytes()[..]),
        );
        out.u64(self.expires_after.unwrap_or(0));
        out.u64(self.expires_at.map_or(0, |at| at.as_secs()));
        out.u32(u32::try_from(self.enclosures.len()).unwrap_or(u32::MAX));
        for enclosure in &self.enclosures {
            out.array(enclosure.blob.as_bytes());
            out.array(enclosure.read_token.expose_secret());
            out.array(enclosure.key.expose_secret());
            out.bytes(enclosure.name.as_bytes());
            out.u64(enclosure.size);
            out.bytes(enclosure.relay.as_bytes());
        }
        out.u32(u32::try_from(self.deliveries.len()).unwrap_or(u32::MAX));
        for delivery in &self.deliveries {
            out.array(delivery.device.as_bytes());
            out.array(delivery.message.as_bytes());
            out.u8(delivery.state as u8 | if delivery.own { OWN } else { 0 });
        }
        let marked = !self.marks.is_empty();
        if !self.errand.is_empty() || self.author.is_some() || marked {
            out.bytes(&self.errand);
        }
        if self.author.is_some() || marked {
            write_somebody(out, self.author.as_ref());
        }
        if marked {
            self.marks.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: LetterId::from_bytes(input.array()?),
            contact: AccountId::from_bytes(input.array()?),
            order: input.u64()?,
            direction: Direction::from_byte(input.u8()?)?,
            state: LetterState::from_byte(input.u8()?)?,
            text: super::text(input, 1 << 20)?,
            sent_at: Timestamp::from_secs(input.u64()?),
            reply_to: match input.bytes(16)? {
                [] => None,
                id => Some(LetterId::from_slice(id).ok_or(DecodeError::Invalid)?),
            },
            expires_after: Some(input.u64()?).filter(|seconds| *seconds != 0),
            expires_at: Some(input.u64()?)
                .filter(|at| *at != 0)
                .map(Timestamp::from_secs),
            enclosures: super::list(input, 1024, Enclosure::read)?,
            deliveries: super::list(input, 4096, Delivery::read)?,
            errand: match input.remaining() {
                0 => Zeroizing::default(),
                _ => Zeroizing::new(input.bytes(1 << 20)?.to_vec()),
            },
            author: match input.remaining() {
                0 => None,
                _ => somebody(input)?,
            },
            marks: match input.remaining() {
                0 => Marks::default(),
                _ => Marks::read(input)?,
            },
        })
    }
}

impl Enclosure {
    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            blob: BlobId::from_bytes(input.array()?),
            read_token: super::secret(input)?,
            key: super::secret(input)?,
            name: super::text(input, 1024)?,
            size: input.u64()?,
            relay: super::text(input, 512)?,
        })
    }
}

impl Delivery {
    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let device = DeviceId::from_bytes(input.array()?);
        let message = MessageId::from_bytes(input.array()?);
        let state = input.u8()?;
        Ok(Self {
            device,
            own: state & OWN != 0,
            message,
            state: DeliveryState::from_byte(state & !OWN)?,
        })
    }
}

impl Direction {
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        [Self::Sent, Self::Received, Self::Errand]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}

impl LetterState {
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        use LetterState::{Delivered, Failed, Queued, Read, Received, Sent, Uploading};
        [Uploading, Queued, Sent, Delivered, Failed, Received, Read]
            .into_iter()
            .find(|state| *state as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}

impl DeliveryState {
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        use DeliveryState::{Accepted, Delivered, Failed, Sealed, Waiting};
        [Waiting, Sealed, Accepted, Delivered, Failed]
            .into_iter()
            .find(|state| *state as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}
