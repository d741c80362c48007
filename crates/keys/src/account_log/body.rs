//! The signed part of an entry.

use super::device::DeviceRecord;
use super::recovery::{Method, RecoveryRecord};
use crate::codec::{DecodeError, Reader, Writer};
use crate::sign::VerifyingKey;
use crate::{AccountId, DeviceId, Suite, Timestamp};

/// Longest payload in bytes.
const MAX_PAYLOAD: usize = 64 * 1024;

/// What an entry does. The numbers are fixed; a reader refuses kinds it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EntryKind {
    /// Begins the log: root key, first device, policy.
    Genesis = 1,
    /// A device comes.
    AddDevice = 2,
    /// A device goes.
    RevokeDevice = 3,
    /// A device has new keys.
    RotateDevice = 4,
    /// The account has a new root key.
    RotateRoot = 5,
    /// A way to recover is set or cleared.
    SetRecovery = 6,
    /// The account goes to a higher suite, with a new root key.
    UpgradeSuite = 7,
    /// The account ends.
    Tombstone = 8,
    /// A device asks to come in through guardians.
    RequestRecovery = 9,
    /// A device refuses what was asked.
    CancelRecovery = 10,
    /// A device is out of force for a while.
    SuspendDevice = 11,
    /// A suspended device is in force again.
    ResumeDevice = 12,
}

impl EntryKind {
    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::AddDevice => "add-device",
            Self::RevokeDevice => "revoke-device",
            Self::RotateDevice => "rotate-device",
            Self::RotateRoot => "rotate-root",
            Self::SetRecovery => "set-recovery",
            Self::UpgradeSuite => "upgrade-suite",
            Self::Tombstone => "tombstone",
            Self::RequestRecovery => "request-recovery",
            Self::CancelRecovery => "cancel-recovery",
            Self::SuspendDevice => "suspend-device",
            Self::ResumeDevice => "resume-device",
        }
    }
}

/// Why a device was revoked. The numbers are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Nobody knows where it is.
    Lost = 1,
    /// Somebody else has it.
    Stolen = 2,
    /// It is no longer used.
    Retired = 3,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Stolen, Self::Retired];

    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Retired => "retired",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    fn from_number(number: u8) -> Result<Self, DecodeError> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u8 == number)
            .ok_or(DecodeError::Invalid)
    }
}

/// The payload of a genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Genesis {
    pub(super) root: VerifyingKey,
    pub(super) device: DeviceRecord,
    pub(super) seniority_seconds: u64,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    Genesis(Box<Genesis>),
    AddDevice(Box<DeviceRecord>),
    RevokeDevice(DeviceId, Reason),
    RotateDevice(Box<DeviceRecord>),
    RotateRoot(Box<VerifyingKey>),
    SetRecovery(Method, Option<Box<RecoveryRecord>>),
    UpgradeSuite(Box<VerifyingKey>),
    Tombstone,
    RequestRecovery(Box<DeviceRecord>),
    CancelRecovery,
    SuspendDevice(DeviceId),
    ResumeDevice(DeviceId),
}

/// The signed part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) suite: Suite,
    /// Zero in a genesis, whose hash makes the id.
    pub(super) account: AccountId,
    pub(super) sequence: u64,
    pub(super) previous: [u8; 64],
    /// The signer's clock, to the hour; of a genesis, when its device was added.
    pub(super) at: Timestamp,
    pub(super) payload: Payload,
    pub(super) device_list: [u8; 64],
}

impl Payload {
    pub(super) fn kind(&self) -> EntryKind {
        match self {
            Self::Genesis(_) => EntryKind::Genesis,
            Self::AddDevice(_) => EntryKind::AddDevice,
            Self::RevokeDevice(..) => EntryKind::RevokeDevice,
            Self::RotateDevice(_) => EntryKind::RotateDevice,
            Self::RotateRoot(_) => EntryKind::RotateRoot,
            Self::SetRecovery(..) => EntryKind::SetRecovery,
            Self::UpgradeSuite(_) => EntryKind::UpgradeSuite,
            Self::Tombstone => EntryKind::Tombstone,
            Self::RequestRecovery(_) => EntryKind::RequestRecovery,
            Self::CancelRecovery => EntryKind::CancelRecovery,
            Self::SuspendDevice(_) => EntryKind::SuspendDevice,
            Self::ResumeDevice(_) => EntryKind::ResumeDevice,
        }
    }

    /// The device record that the entry brings.
    pub(super) fn record(&self) -> Option<&DeviceRecord> {
        match self {
            Self::Genesis(genesis) => Some(&genesis.device),
            Self::AddDevice(record)
            | Self::RotateDevice(record)
            | Self::RequestRecovery(record) => Some(record),
            _ => None,
        }
    }

    /// The device that the entry is about.
    pub(super) fn subject(&self) -> Option<DeviceId> {
        match self {
            Self::RevokeDevice(device, _)
            | Self::SuspendDevice(device)
            | Self::ResumeDevice(device) => Some(*device),
            _ => self.record().map(|record| record.id),
        }
    }

    fn write(&self, at: Timestamp, out: &mut Writer) {
        if !matches!(self, Self::Genesis(_)) {
            out.u64(at.as_secs());
        }
        match self {
            Self::Genesis(genesis) => {
                out.array(genesis.root.as_bytes());
                genesis.device.write(out);
                out.u64(genesis.seniority_seconds);
            }
            Self::AddDevice(record)
            | Self::RotateDevice(record)
            | Self::RequestRecovery(record) => {
                record.write(out);
            }
            Self::RevokeDevice(device, reason) => {
                out.array(device.as_bytes());
                out.u8(*reason as u8);
            }
            Self::SuspendDevice(device) | Self::ResumeDevice(device) => {
                out.array(device.as_bytes());
            }
            Self::RotateRoot(root) | Self::UpgradeSuite(root) => out.array(root.as_bytes()),
            Self::SetRecovery(method, record) => {
                out.u8(method.number());
                out.u8(u8::from(record.is_some()));
                if let Some(record) = record {
                    record.write(out);
                }
            }
            Self::Tombstone | Self::CancelRecovery => {}
        }
    }

    fn read(
        kind: u8,
        input: &mut Reader<'_>,
        suite: Suite,
    ) -> Result<(Timestamp, Self), DecodeError> {
        if kind == EntryKind::Genesis as u8 {
            let genesis = Genesis {
                root: verifying_key(input, suite)?,
                device: DeviceRecord::read(input, suite)?,
                seniority_seconds: input.u64()?,
            };
            return Ok((genesis.device.added, Self::Genesis(Box::new(genesis))));
        }
        let record = |input: &mut Reader<'_>| DeviceRecord::read(input, suite).map(Box::new);
        let at = Timestamp::from_secs(input.u64()?);
        let payload = match kind {
            2 => Self::AddDevice(record(input)?),
            3 => Self::RevokeDevice(
                DeviceId::from_bytes(input.array()?),
                Reason::from_number(input.u8()?)?,
            ),
            4 => Self::RotateDevice(record(input)?),
            5 => Self::RotateRoot(Box::new(verifying_key(input, suite)?)),
            6 => {
                let method = Method::from_number(input.u8()?)?;
                let record = match input.u8()? {
                    0 => None,
                    1 => Some(Box::new(RecoveryRecord::read(input, suite, method)?)),
                    _ => return Err(DecodeError::Invalid),
                };
                Self::SetRecovery(method, record)
            }
            7 => Self::UpgradeSuite(Box::new(verifying_key(input, suite)?)),
            8 => Self::Tombstone,
            9 => Self::RequestRecovery(record(input)?),
            10 => Self::CancelRecovery,
            11 => Self::SuspendDevice(DeviceId::from_bytes(input.array()?)),
            12 => Self::ResumeDevice(DeviceId::from_bytes(input.array()?)),
            _ => return Err(DecodeError::Invalid),
        };
        // A clock to the second would tell more about its owner than anybody needs.
        if at != at.to_hour() {
            return Err(DecodeError::Invalid);
        }
        Ok((at, payload))
    }
}

fn verifying_key(input: &mut Reader<'_>, suite: Suite) -> Result<VerifyingKey, DecodeError> {
    let bytes = input.take(suite.verifying_key_len())?;
    VerifyingKey::from_bytes(suite, bytes).map_err(|_| DecodeError::Invalid)
}

impl Body {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        self.payload.write(self.at, &mut payload);
        let mut out = Writer::new();
        out.u16(self.suite.number());
        out.array(self.account.as_bytes());
        out.u64(self.sequence);
        out.array(&self.previous);
        out.u8(self.payload.kind() as u8);
        out.bytes(&payload.finish());
        out.array(&self.device_list);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let suite = Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?;
        let account = AccountId::from_bytes(input.array()?);
        let sequence = input.u64()?;
        let previous = input.array()?;
        let kind = input.u8()?;
        let mut payload_input = Reader::new(input.bytes(MAX_PAYLOAD)?);
        let (at, payload) = Payload::read(kind, &mut payload_input, suite)?;
        payload_input.finish()?;
        let device_list = input.array()?;
        input.finish()?;
        Ok(Self {
            suite,
            account,
            sequence,
            previous,
            at,
            payload,
            device_list,
        })
    }
}
