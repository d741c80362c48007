//! Two devices that are becoming devices of one account, as each keeps it.

use super::Record;
use crate::archive::{Cursor, PartRef};
use crate::input::CommandId;
use keys::account_log::{DeviceSecrets, Pin};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, QueueId, Secret, Timestamp};
use zeroize::Zeroizing;

/// How far the device with authority is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum OfferStage {
    /// The secret is shown, nobody has come.
    Offered = 1,
    /// Somebody with the secret came and was answered.
    Answered = 2,
    /// Both show the code.
    Comparing = 3,
    /// The entry is on its way into the log.
    Adding = 4,
    /// History is packed and uploaded.
    Packing = 5,
    /// The new device has been told everything.
    Welcomed = 6,
}

/// What the new device said of itself.
pub(crate) struct Newcomer {
    pub(crate) queue: QueueId,
    pub(crate) token: Secret<32>,
    pub(crate) envelope: Vec<u8>,
    pub(crate) commitment: [u8; 32],
}

/// What the device with authority keeps.
pub(crate) struct Offer {
    pub(crate) stage: OfferStage,
    pub(crate) command: CommandId,
    pub(crate) deadline: Timestamp,
    /// The secret as the code shows it.
    pub(crate) code: Zeroizing<String>,
    pub(crate) words: Zeroizing<String>,
    pub(crate) queue: QueueId,
    pub(crate) first_key: Secret<32>,
    pub(crate) psk: Secret<32>,
    pub(crate) newcomer: Option<Newcomer>,
    pub(crate) old_nonce: [u8; 32],
    /// The head of the log when the newcomer was answered first.
    pub(crate) head: [u8; 64],
    pub(crate) pairing: String,
    pub(crate) proposal: Vec<u8>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) name: String,
    pub(crate) ours_same: bool,
    pub(crate) theirs_same: bool,
    pub(crate) cursor: Cursor,
    pub(crate) parts: Vec<PartRef>,
}

/// How far the new device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum JoinStage {
    /// It knocked.
    Asked = 1,
    /// It was answered, and asks for the account's log.
    Fetching = 2,
    /// It proposed itself; both show the code.
    Comparing = 3,
    /// It is in the log and takes history over.
    Importing = 4,
}

/// What the new device keeps.
pub(crate) struct Join {
    pub(crate) stage: JoinStage,
    pub(crate) command: CommandId,
    pub(crate) deadline: Timestamp,
    pub(crate) relay: String,
    /// Where the device with authority listens.
    pub(crate) to: QueueId,
    pub(crate) to_token: Secret<32>,
    /// Key of the first message, which is said again where the account is of another suite.
    pub(crate) first_key: Secret<32>,
    pub(crate) psk: Secret<32>,
    /// Where this device listens.
    pub(crate) queue: QueueId,
    pub(crate) secrets: DeviceSecrets,
    pub(crate) name: String,
    pub(crate) nonce: [u8; 32],
    pub(crate) account: AccountId,
    pub(crate) account_name: String,
    pub(crate) old_device: DeviceId,
    pub(crate) old_nonce: [u8; 32],
    pub(crate) pin: Pin,
    pub(crate) head: [u8; 64],
    pub(crate) log: Vec<u8>,
    pub(crate) pairing: String,
    pub(crate) same: bool,
    pub(crate) parts: Vec<PartRef>,
    pub(crate) total: u64,
}

impl Record for Offer {
    const WHAT: &'static str = "link";

    fn write(&self, out: &mut Writer) {
        out.u8(self.stage as u8);
        out.u64(self.command.0);
        out.u64(self.deadline.as_secs());
        out.bytes(self.code.as_bytes());
        out.bytes(self.words.as_bytes());
        out.array(self.queue.as_bytes());
        out.array(self.first_key.expose_secret());
        out.array(self.psk.expose_secret());
        out.u8(u8::from(self.newcomer.is_some()));
        if let Some(newcomer) = &self.newcomer {
            out.array(newcomer.queue.as_bytes());
            out.array(newcomer.token.expose_secret());
            out.bytes(&newcomer.envelope);
            out.array(&newcomer.commitment);
        }
        out.array(&self.old_nonce);
        out.array(&self.head);
        out.bytes(self.pairing.as_bytes());
        out.bytes(&self.proposal);
        out.bytes(
            self.device
                .as_ref()
                .map_or(&[][..], |id| &id.as_bytes()[..]),
        );
        out.bytes(self.name.as_bytes());
        out.u8(u8::from(self.ours_same) | u8::from(self.theirs_same) << 1);
        self.cursor.write(out);
        write_parts(out, &self.parts);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use OfferStage::{Adding, Answered, Comparing, Offered, Packing, Welcomed};
        let stage = input.u8()?;
        let stages = [Offered, Answered, Comparing, Adding, Packing, Welcomed];
        let stage = stages.into_iter().find(|known| *known as u8 == stage);
        let command = CommandId(input.u64()?);
        let deadline = Timestamp::from_secs(input.u64()?);
        let code = Zeroizing::new(super::text(input, 1024)?);
        let words = Zeroizing::new(super::text(input, 1024)?);
        let queue = QueueId::from_bytes(input.array()?);
        let first_key = super::secret(input)?;
        let psk = super::secret(input)?;
        let newcomer = match input.u8()? {
            0 => None,
            _ => Some(Newcomer {
                queue: QueueId::from_bytes(input.array()?),
                token: super::secret(input)?,
                envelope: input.bytes(4096)?.to_vec(),
                commitment: input.array()?,
            }),
        };
        let old_nonce = input.array()?;
        let head = input.array()?;
        let pairing = super::text(input, 64)?;
        let proposal = input.bytes(1 << 17)?.to_vec();
        let device = match input.bytes(16)? {
            [] => None,
            id => Some(DeviceId::from_slice(id).ok_or(DecodeError::Invalid)?),
        };
        let name = super::text(input, 256)?;
        let same = input.u8()?;
        Ok(Self {
            stage: stage.ok_or(DecodeError::Invalid)?,
            command,
            deadline,
            code,
            words,
            queue,
            first_key,
            psk,
            newcomer,
            old_nonce,
            head,
            pairing,
            proposal,
            device,
            name,
            ours_same: same & 1 != 0,
            theirs_same: same & 2 != 0,
            cursor: Cursor::read(input)?,
            parts: super::list(input, 4096, PartRef::read)?,
        })
    }
}

impl Record for Join {
    const WHAT: &'static str = "link";

    fn write(&self, out: &mut Writer) {
        out.u8(self.stage as u8);
        out.u64(self.command.0);
        out.u64(self.deadline.as_secs());
        out.bytes(self.relay.as_bytes());
        out.array(self.to.as_bytes());
        out.array(self.to_token.expose_secret());
        out.array(self.first_key.expose_secret());
        out.array(self.psk.expose_secret());
        out.array(self.queue.as_bytes());
        out.bytes(self.secrets.encode().expose_secret());
        out.bytes(self.name.as_bytes());
        out.array(&self.nonce);
        out.array(self.account.as_bytes());
        out.bytes(self.account_name.as_bytes());
        out.array(self.old_device.as_bytes());
        out.array(&self.old_nonce);
        out.u64(self.pin.sequence);
        out.array(&self.pin.hash);
        out.array(&self.head);
        out.bytes(&self.log);
        out.bytes(self.pairing.as_bytes());
        out.u8(u8::from(self.same));
        write_parts(out, &self.parts);
        out.u64(self.total);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use JoinStage::{Asked, Comparing, Fetching, Importing};
        let stage = input.u8()?;
        let stages = [Asked, Fetching, Comparing, Importing];
        let stage = stages.into_iter().find(|known| *known as u8 == stage);
        Ok(Self {
            stage: stage.ok_or(DecodeError::Invalid)?,
            command: CommandId(input.u64()?),
            deadline: Timestamp::from_secs(input.u64()?),
            relay: super::text(input, 512)?,
            to: QueueId::from_bytes(input.array()?),
            to_token: super::secret(input)?,
            first_key: super::secret(input)?,
            psk: super::secret(input)?,
            queue: QueueId::from_bytes(input.array()?),
            secrets: DeviceSecrets::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
            name: super::text(input, 256)?,
            nonce: input.array()?,
            account: AccountId::from_bytes(input.array()?),
            account_name: super::text(input, 64)?,
            old_device: DeviceId::from_bytes(input.array()?),
            old_nonce: input.array()?,
            pin: Pin {
                sequence: input.u64()?,
                hash: input.array()?,
            },
            head: input.array()?,
            log: input.bytes(1 << 20)?.to_vec(),
            pairing: super::text(input, 64)?,
            same: input.u8()? == 1,
            parts: super::list(input, 4096, PartRef::read)?,
            total: input.u64()?,
        })
    }
}

fn write_parts(out: &mut Writer, parts: &[PartRef]) {
    out.u32(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    for part in parts {
        part.write(out);
    }
}
