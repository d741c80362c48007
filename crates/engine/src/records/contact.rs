//! Contacts.

use super::Record;
use keys::account_log::Pin;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, Timestamp};

/// How sure one may be of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Trust {
    /// Only what a relay or the person says.
    Claimed = 1,
    /// Verified by an invite.
    ByInvite = 2,
    /// Verified by comparing safety numbers.
    BySafetyNumber = 3,
    /// Verified by comparing short authentication strings.
    BySas = 4,
    /// Verified by a scanned code.
    ByCode = 5,
}

/// A contact.
#[derive(Debug, Clone)]
pub struct Contact {
    /// The account.
    pub id: AccountId,
    /// What the contact is called here; unique.
    pub petname: String,
    /// The name at the relay, as claimed.
    pub name: String,
    /// The contact's relay.
    pub relay: String,
    /// How sure.
    pub trust: Trust,
    /// Set when the relay shows another account under the contact's name, or another log than the pinned one.
    pub changed: bool,
    /// Whether letters of this contact are dropped.
    pub blocked: bool,
    /// Whether this is a first contact by somebody unknown that was not answered yet.
    pub request: bool,
    /// The account log, verified before it came here.
    pub log: Vec<u8>,
    /// Sequence and hash of the log's newest entry; never goes back.
    pub pin: Pin,
    /// The newest version of the contact's backup that it told.
    pub(crate) backup: u64,
    /// The secret of the invite by which this contact was added; shown to the contact once.
    pub(crate) invite_ticket: Option<[u8; 16]>,
    /// The newest decision of a person about who this is.
    pub(crate) decision: Decision,
}

/// A person decided who a contact is: of two devices of the account, the later decision counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// When, by the clock of the device.
    pub(crate) at: Timestamp,
    /// The newest entry of the contact's log that was known then.
    pub(crate) sequence: u64,
}

/// What a person decided about a contact, as the account's devices tell each other.
pub(crate) struct ContactState {
    pub(crate) id: AccountId,
    pub(crate) petname: String,
    pub(crate) name: String,
    pub(crate) relay: String,
    pub(crate) trust: Trust,
    pub(crate) changed: bool,
    pub(crate) blocked: bool,
    pub(crate) request: bool,
    pub(crate) pin: Pin,
    pub(crate) decision: Decision,
}

impl Decision {
    fn write(&self, out: &mut Writer) {
        out.u64(self.at.as_secs());
        out.u64(self.sequence);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Timestamp::from_secs(input.u64()?),
            sequence: input.u64()?,
        })
    }
}

impl Contact {
    /// A person made sure who this is; it ends a hard stop.
    pub(crate) fn decide(&mut self, trust: Trust, now: Timestamp) {
        self.trust = trust;
        self.changed = false;
        self.request = false;
        self.decision = Decision {
            // Later than the one before, whatever the clock says.
            at: now.max(self.decision.at.saturating_add(1)),
            sequence: self.pin.sequence,
        };
    }

    /// What the account's other devices are told of it.
    pub(crate) fn state(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(self.id.as_bytes());
        out.bytes(self.petname.as_bytes());
        out.bytes(self.name.as_bytes());
        out.bytes(self.relay.as_bytes());
        out.u8(self.trust as u8);
        out.u8(self.flags());
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
        self.decision.write(&mut out);
        out.finish()
    }

    fn flags(&self) -> u8 {
        u8::from(self.changed) | u8::from(self.blocked) << 1 | u8::from(self.request) << 2
    }
}

impl ContactState {
    /// Reads what [`Contact::state`] wrote.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let id = AccountId::from_bytes(input.array()?);
        let petname = super::text(&mut input, 512)?;
        let name = super::text(&mut input, 512)?;
        let relay = super::text(&mut input, 512)?;
        let trust = Trust::from_byte(input.u8()?)?;
        let flags = input.u8()?;
        let pin = Pin {
            sequence: input.u64()?,
            hash: input.array()?,
        };
        let decision = Decision::read(&mut input)?;
        input.finish()?;
        Ok(Self {
            id,
            petname,
            name,
            relay,
            trust,
            changed: flags & 1 != 0,
            blocked: flags & 2 != 0,
            request: flags & 4 != 0,
            pin,
            decision,
        })
    }
}

impl Trust {
    pub(super) fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        use Trust::{ByCode, ByInvite, BySafetyNumber, BySas, Claimed};
        [Claimed, ByInvite, BySafetyNumber, BySas, ByCode]
            .into_iter()
            .find(|trust| *trust as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}

impl Record for Contact {
    const WHAT: &'static str = "contact";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.bytes(self.petname.as_bytes());
        out.bytes(self.name.as_bytes());
        out.bytes(self.relay.as_bytes());
        out.u8(self.trust as u8);
        out.u8(self.flags());
        out.bytes(&self.log);
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
        out.bytes(
            self.invite_ticket
                .as_ref()
                .map_or(&[][..], |ticket| &ticket[..]),
        );
        out.u64(self.backup);
        self.decision.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = AccountId::from_bytes(input.array()?);
        let petname = super::text(input, 512)?;
        let name = super::text(input, 512)?;
        let relay = super::text(input, 512)?;
        let trust = Trust::from_byte(input.u8()?)?;
        let flags = input.u8()?;
        let log = input.bytes(1 << 20)?.to_vec();
        let pin = Pin {
            sequence: input.u64()?,
            hash: input.array()?,
        };
        let ticket = input.bytes(16)?;
        Ok(Self {
            id,
            petname,
            name,
            relay,
            trust,
            changed: flags & 1 != 0,
            blocked: flags & 2 != 0,
            request: flags & 4 != 0,
            log,
            pin,
            invite_ticket: if ticket.is_empty() {
                None
            } else {
                Some(ticket.try_into().map_err(|_| DecodeError::Invalid)?)
            },
            backup: match input.remaining() {
                0 => 0,
                _ => input.u64()?,
            },
            decision: match input.remaining() {
                0 => Decision::default(),
                _ => Decision::read(input)?,
            },
        })
    }
}
