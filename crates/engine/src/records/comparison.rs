//! Comparisons of codes with a contact, as this device keeps them.

use super::{Record, Trust};
use crate::input::CommandId;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, Timestamp};

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ComparisonStage {
    /// A device of the contact began; nobody here has answered.
    Requested = 1,
    /// A person wants it here; both logs are asked for.
    Checking = 2,
    /// Our commitment is out.
    Begun = 3,
    /// Our nonce is out; the contact's commitment is to be kept.
    Answered = 4,
    /// The code is shown.
    Shown = 5,
    /// A person said here that the codes are equal.
    Confirmed = 6,
}

/// What this device keeps of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) stage: ComparisonStage,
    pub(crate) contact: AccountId,
    /// Who waits for the end.
    pub(crate) command: CommandId,
    /// When it ends by itself.
    pub(crate) deadline: Timestamp,
    /// Drawn by the initiator.
    pub(crate) id: [u8; 16],
    /// The contact's device, once it is known.
    pub(crate) device: Option<DeviceId>,
    /// Whether the commitment is ours.
    pub(crate) initiator: bool,
    pub(crate) our_nonce: [u8; 32],
    /// What the contact promised; zeros where the promise is ours.
    pub(crate) commitment: [u8; 32],
    pub(crate) their_nonce: [u8; 32],
    /// The logs for which the code stands: hashes of the newest entries.
    pub(crate) our_head: [u8; 64],
    pub(crate) their_head: [u8; 64],
    /// Whether each log was confirmed since a person began here.
    pub(crate) ours_checked: bool,
    pub(crate) theirs_checked: bool,
    /// Whether the contact's person said that the codes are equal.
    pub(crate) theirs_same: bool,
    /// How sure one was of the contact before.
    pub(crate) before: Trust,
}

/// A code that is shown or compared once both logs are confirmed.
pub(crate) struct CodeCheck {
    pub(crate) contact: AccountId,
    /// Who waits.
    pub(crate) command: CommandId,
    /// Until when.
    pub(crate) deadline: Timestamp,
    pub(crate) ours_checked: bool,
    pub(crate) theirs_checked: bool,
    /// What is to be compared; nothing where the own code is to be shown.
    pub(crate) scanned: Option<String>,
}

impl ComparisonStage {
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        use ComparisonStage::{Answered, Begun, Checking, Confirmed, Requested, Shown};
        [Requested, Checking, Begun, Answered, Shown, Confirmed]
            .into_iter()
            .find(|stage| *stage as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}

impl Record for Comparison {
    const WHAT: &'static str = "comparison";

    fn write(&self, out: &mut Writer) {
        out.u8(self.stage as u8);
        out.array(self.contact.as_bytes());
        out.u64(self.command.0);
        out.u64(self.deadline.as_secs());
        out.array(&self.id);
        let device = self.device.as_ref();
        out.bytes(device.map_or(&[][..], |id| &id.as_bytes()[..]));
        out.u8(u8::from(self.initiator));
        out.array(&self.our_nonce);
        out.array(&self.commitment);
        out.array(&self.their_nonce);
        out.array(&self.our_head);
        out.array(&self.their_head);
        out.u8(u8::from(self.ours_checked)
            | u8::from(self.theirs_checked) << 1
            | u8::from(self.theirs_same) << 2);
        out.u8(self.before as u8);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stage = ComparisonStage::from_byte(input.u8()?)?;
        let contact = AccountId::from_bytes(input.array()?);
        let command = CommandId(input.u64()?);
        let deadline = Timestamp::from_secs(input.u64()?);
        let id = input.array()?;
        let device = match input.bytes(16)? {
            [] => None,
            id => Some(DeviceId::from_slice(id).ok_or(DecodeError::Invalid)?),
        };
        let initiator = input.u8()? == 1;
        let (our_nonce, commitment) = (input.array()?, input.array()?);
        let their_nonce = input.array()?;
        let (our_head, their_head) = (input.array()?, input.array()?);
        let flags = input.u8()?;
        Ok(Self {
            stage,
            contact,
            command,
            deadline,
            id,
            device,
            initiator,
            our_nonce,
            commitment,
            their_nonce,
            our_head,
            their_head,
            ours_checked: flags & 1 != 0,
            theirs_checked: flags & 2 != 0,
            theirs_same: flags & 4 != 0,
            before: Trust::from_byte(input.u8()?)?,
        })
    }
}

impl Record for CodeCheck {
    const WHAT: &'static str = "code check";

    fn write(&self, out: &mut Writer) {
        out.array(self.contact.as_bytes());
        out.u64(self.command.0);
        out.u64(self.deadline.as_secs());
        out.u8(u8::from(self.ours_checked) | u8::from(self.theirs_checked) << 1);
        out.u8(u8::from(self.scanned.is_some()));
        out.bytes(self.scanned.as_deref().unwrap_or_default().as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let contact = AccountId::from_bytes(input.array()?);
        let command = CommandId(input.u64()?);
        let deadline = Timestamp::from_secs(input.u64()?);
        let flags = input.u8()?;
        let scans = input.u8()? == 1;
        let scanned = super::text(input, 4096)?;
        Ok(Self {
            contact,
            command,
            deadline,
            ours_checked: flags & 1 != 0,
            theirs_checked: flags & 2 != 0,
            scanned: scans.then_some(scanned),
        })
    }
}
