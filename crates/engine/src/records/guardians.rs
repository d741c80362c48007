//! Guardians: those of the own account, shares kept for others, and a home that asks to come back.

use super::Record;
use crate::input::CommandId;
use keys::account_log::{DeviceSecrets, MAX_GUARDIANS};
use keys::codec::{DecodeError, Reader, Writer};
use keys::request_code::{RequestCode, RequestSecret};
use keys::{AccountId, LetterId, Secret, Timestamp};
use zeroize::Zeroizing;

/// Longest wrapped share in bytes.
pub(crate) const WRAPPED_BYTES: usize = 64;
/// Shares that may wait on the way to whoever asked.
pub(crate) const APPROVALS: u32 = 64;

/// A contact that keeps a share of ours.
pub(crate) struct Guardian {
    pub(crate) account: AccountId,
    /// The letter that brings the share.
    pub(crate) letter: LetterId,
    /// A device of the guardian said that it has the share.
    pub(crate) has_share: bool,
}

/// The guardians of the own account, as its devices know them. No share is in here.
pub(crate) struct OwnGuardians {
    /// The set's id.
    pub(crate) set: [u8; 16],
    /// The entry of the log that brought them.
    pub(crate) sequence: u64,
    pub(crate) need: u8,
    pub(crate) delay_seconds: u64,
    /// Ed25519 seed of the lock's owner.
    pub(crate) lock_key: Secret<32>,
    pub(crate) guardians: Vec<Guardian>,
    /// When the lock opens or opened, as the relay last said.
    pub(crate) opens_at: Option<Timestamp>,
}

/// Guardians on their way into the log.
pub(crate) struct GuardianPlan {
    pub(crate) command: CommandId,
    pub(crate) guardians: OwnGuardians,
    /// What the shares are of.
    pub(crate) seed: Secret<32>,
    /// What opens the lock.
    pub(crate) token: Secret<32>,
    pub(crate) commitments: Vec<[u8; 32]>,
    /// The wrapped shares, in the order of the guardians.
    pub(crate) wrapped: Vec<Vec<u8>>,
}

/// A share that is kept here for somebody else; wrapped, so that it is worth nothing without a key of the relay.
#[derive(Clone)]
pub(crate) struct KeptShare {
    pub(crate) account: AccountId,
    pub(crate) set: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) index: u8,
    pub(crate) need: u8,
    pub(crate) count: u8,
    pub(crate) lock: [u8; 32],
    pub(crate) token: [u8; 32],
    pub(crate) relay: String,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) since: Timestamp,
}

/// A person here said yes to a request.
pub(crate) struct Approving {
    pub(crate) command: CommandId,
    pub(crate) code: RequestCode,
}

/// A guardian's share as it comes to whoever asked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Approval {
    pub(crate) set: [u8; 16],
    pub(crate) index: u8,
    pub(crate) lock: [u8; 32],
    pub(crate) token: [u8; 32],
    pub(crate) wrapped: Vec<u8>,
}

/// How far a request for recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum AskStage {
    /// The account's log is asked for.
    Finding = 1,
    /// The request is on its way into the log.
    Appending = 2,
    /// The request is in the log: shares come, time passes.
    Waiting = 3,
}

/// Whose account is to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The account with this name at the relay.
    Name(String),
    /// The account with this id.
    Account(AccountId),
}

/// A home that asks to become a device of an account whose devices are lost.
pub(crate) struct Ask {
    pub(crate) stage: AskStage,
    pub(crate) command: CommandId,
    pub(crate) lost: Lost,
    pub(crate) relay: String,
    pub(crate) device_name: String,
    pub(crate) secrets: DeviceSecrets,
    pub(crate) secret: RequestSecret,
    /// The log as far as it came.
    pub(crate) log: Vec<u8>,
    /// The hash of the request's entry.
    pub(crate) entry: [u8; 64],
    pub(crate) approvals: Vec<Approval>,
    /// When the lock opens, as the relay last said.
    pub(crate) opens_at: Option<Timestamp>,
    /// When to look again.
    pub(crate) due: Timestamp,
    /// A question is open.
    pub(crate) asking: bool,
}

impl Record for OwnGuardians {
    const WHAT: &'static str = "guardians";

    fn write(&self, out: &mut Writer) {
        out.array(&self.set);
        out.u64(self.sequence);
        out.u8(self.need);
        out.u64(self.delay_seconds);
        out.array(self.lock_key.expose_secret());
        out.u32(u32::try_from(self.guardians.len()).unwrap_or(u32::MAX));
        for guardian in &self.guardians {
            out.array(guardian.account.as_bytes());
            out.array(guardian.letter.as_bytes());
            out.u8(u8::from(guardian.has_share));
        }
        out.u64(self.opens_at.map_or(0, Timestamp::as_secs));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            set: input.array()?,
            sequence: input.u64()?,
            need: input.u8()?,
            delay_seconds: input.u64()?,
            lock_key: super::secret(input)?,
            guardians: super::list(input, u32::from(MAX_GUARDIANS), |input| {
                Ok(Guardian {
                    account: AccountId::from_bytes(input.array()?),
                    letter: LetterId::from_bytes(input.array()?),
                    has_share: flag(input)?,
                })
            })?,
            opens_at: time(input)?,
        })
    }
}

impl Record for GuardianPlan {
    const WHAT: &'static str = "plan of guardians";

    fn write(&self, out: &mut Writer) {
        out.u64(self.command.0);
        self.guardians.write(out);
        out.array(self.seed.expose_secret());
        out.array(self.token.expose_secret());
        out.u32(u32::try_from(self.commitments.len()).unwrap_or(u32::MAX));
        for commitment in &self.commitments {
            out.array(commitment);
        }
        out.u32(u32::try_from(self.wrapped.len()).unwrap_or(u32::MAX));
        for wrapped in &self.wrapped {
            out.bytes(wrapped);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let most = u32::from(MAX_GUARDIANS);
        Ok(Self {
            command: CommandId(input.u64()?),
            guardians: OwnGuardians::read(input)?,
            seed: super::secret(input)?,
            token: super::secret(input)?,
            commitments: super::list(input, most, |input| input.array())?,
            wrapped: super::list(input, most, wrapped)?,
        })
    }
}

impl Record for KeptShare {
    const WHAT: &'static str = "share";

    fn write(&self, out: &mut Writer) {
        out.array(self.account.as_bytes());
        out.array(&self.set);
        out.u64(self.sequence);
        out.u8(self.index);
        out.u8(self.need);
        out.u8(self.count);
        out.array(&self.lock);
        out.array(&self.token);
        out.bytes(self.relay.as_bytes());
        out.bytes(&self.wrapped);
        out.u64(self.since.as_secs());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            account: AccountId::from_bytes(input.array()?),
            set: input.array()?,
            sequence: input.u64()?,
            index: input.u8()?,
            need: input.u8()?,
            count: input.u8()?,
            lock: input.array()?,
            token: input.array()?,
            relay: super::text(input, crate::limits::RELAY_URL_BYTES)?,
            wrapped: wrapped(input)?,
            since: Timestamp::from_secs(input.u64()?),
        })
    }
}

impl Record for Approving {
    const WHAT: &'static str = "approval";

    fn write(&self, out: &mut Writer) {
        out.u64(self.command.0);
        out.bytes(self.code.to_text().as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let command = CommandId(input.u64()?);
        let text = Zeroizing::new(super::text(input, 256)?);
        let code = RequestCode::from_text(&text).map_err(|_| DecodeError::Invalid)?;
        Ok(Self { command, code })
    }
}

impl Record for Approval {
    const WHAT: &'static str = "approval";

    fn write(&self, out: &mut Writer) {
        out.array(&self.set);
        out.u8(self.index);
        out.array(&self.lock);
        out.array(&self.token);
        out.bytes(&self.wrapped);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            set: input.array()?,
            index: input.u8()?,
            lock: input.array()?,
            token: input.array()?,
            wrapped: wrapped(input)?,
        })
    }
}

impl Record for Ask {
    const WHAT: &'static str = "request for recovery";

    fn write(&self, out: &mut Writer) {
        out.u8(self.stage as u8);
        out.u64(self.command.0);
        match &self.lost {
            Lost::Name(name) => {
                out.u8(1);
                out.bytes(name.as_bytes());
            }
            Lost::Account(account) => {
                out.u8(2);
                out.array(account.as_bytes());
            }
        }
        out.bytes(self.relay.as_bytes());
        out.bytes(self.device_name.as_bytes());
        out.bytes(self.secrets.encode().expose_secret());
        out.bytes(self.secret.encode().expose_secret());
        out.bytes(&self.log);
        out.array(&self.entry);
        out.u32(u32::try_from(self.approvals.len()).unwrap_or(u32::MAX));
        for approval in &self.approvals {
            approval.write(out);
        }
        out.u64(self.opens_at.map_or(0, Timestamp::as_secs));
        out.u64(self.due.as_secs());
        out.u8(u8::from(self.asking));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use AskStage::{Appending, Finding, Waiting};
        let stage = input.u8()?;
        let stages = [Finding, Appending, Waiting];
        let stage = stages.into_iter().find(|known| *known as u8 == stage);
        Ok(Self {
            stage: stage.ok_or(DecodeError::Invalid)?,
            command: CommandId(input.u64()?),
            lost: match input.u8()? {
                1 => Lost::Name(super::text(input, crate::limits::NAME_BYTES)?),
                2 => Lost::Account(AccountId::from_bytes(input.array()?)),
                _ => return Err(DecodeError::Invalid),
            },
            relay: super::text(input, crate::limits::RELAY_URL_BYTES)?,
            device_name: super::text(input, 256)?,
            secrets: DeviceSecrets::decode(input.bytes(4096)?).map_err(|_| DecodeError::Invalid)?,
            secret: RequestSecret::decode(input.bytes(64)?).ok_or(DecodeError::Invalid)?,
            log: input.bytes(1 << 20)?.to_vec(),
            entry: input.array()?,
            approvals: super::list(input, APPROVALS, Approval::read)?,
            opens_at: time(input)?,
            due: Timestamp::from_secs(input.u64()?),
            asking: flag(input)?,
        })
    }
}

fn wrapped(input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    input.bytes(WRAPPED_BYTES).map(<[u8]>::to_vec)
}

fn flag(input: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid),
    }
}

fn time(input: &mut Reader<'_>) -> Result<Option<Timestamp>, DecodeError> {
    let seconds = input.u64()?;
    Ok((seconds > 0).then(|| Timestamp::from_secs(seconds)))
}

/// What an answer of the relay is for, among guardians.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GuardianPurpose {
    /// Makes the lock of new guardians.
    PutLock,
    /// Asks whether somebody opens the lock.
    LockStatus,
    /// Closes the lock.
    CancelLock,
    /// Deletes a lock or a head that nothing needs any more.
    Delete,
    /// Asks for newer entries of the log of somebody who asks for a share.
    ApprovalLog(AccountId),
    /// Begins to open the lock of somebody who asks for a share.
    ApprovalLock(AccountId),
    /// Brings the share.
    Approval(AccountId),
    /// Asks for the log of the lost account, or what is newer in it.
    AskLog,
    /// Appends the request to it.
    AskAppend,
    /// Asks for the key of the lock.
    AskLock,
}

impl GuardianPurpose {
    pub(crate) fn write(&self, out: &mut Writer) {
        let (number, account) = match self {
            Self::PutLock => (1, None),
            Self::LockStatus => (2, None),
            Self::CancelLock => (3, None),
            Self::Delete => (4, None),
            Self::ApprovalLog(account) => (5, Some(account)),
            Self::ApprovalLock(account) => (6, Some(account)),
            Self::Approval(account) => (7, Some(account)),
            Self::AskLog => (8, None),
            Self::AskAppend => (9, None),
            Self::AskLock => (10, None),
        };
        out.u8(number);
        if let Some(account) = account {
            out.array(account.as_bytes());
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => Self::PutLock,
            2 => Self::LockStatus,
            3 => Self::CancelLock,
            4 => Self::Delete,
            5 => Self::ApprovalLog(AccountId::from_bytes(input.array()?)),
            6 => Self::ApprovalLock(AccountId::from_bytes(input.array()?)),
            7 => Self::Approval(AccountId::from_bytes(input.array()?)),
            8 => Self::AskLog,
            9 => Self::AskAppend,
            10 => Self::AskLock,
            _ => return Err(DecodeError::Invalid),
        })
    }
}
