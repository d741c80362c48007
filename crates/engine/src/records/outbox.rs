//! Requests that wait for an answer, and sealed bodies that wait for a receipt.

use super::{GuardianPurpose, Record};
use crate::input::CommandId;
use keys::account_log::Method;
use keys::codec::{DecodeError, Reader, Writer};
use keys::vault_root::ROOT_BYTES;
use keys::{AccountId, DeviceId, GroupId, LetterId, MessageId, QueueId, Suite, Timestamp};

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Makes a queue of ours.
    CreateQueue(QueueId),
    /// Ends a queue of ours.
    DeleteQueue(QueueId),
    /// Announces the account.
    Register(CommandId),
    /// Publishes pre-keys and the front door.
    PublishPreKeys,
    /// Makes an invite count once.
    CreateTicket { command: CommandId, invite: String },
    /// Uses somebody's invite.
    RedeemTicket {
        command: CommandId,
        invite: String,
        petname: Option<String>,
    },
    /// Asks for the log of the account an invite names.
    LogOfInvite {
        command: CommandId,
        invite: String,
        petname: Option<String>,
    },
    /// Asks who has a name, to add a contact.
    LogOfName {
        command: CommandId,
        name: String,
        petname: Option<String>,
    },
    /// Asks who has the name of a known contact, since somebody else claims it.
    CheckName(AccountId),
    /// Asks for newer entries of an account's log.
    CheckLog(AccountId),
    /// Asks for the log of somebody unknown whose letter waits.
    LogOfStranger(AccountId),
    /// Asks for the log of a member of a group who is no contact.
    LogOfMember(AccountId),
    /// Carries a message of a group to its members.
    GroupSend { group: GroupId, message: MessageId },
    /// Publishes key packages for groups of a suite, or asks how many are left.
    PublishKeyPackages(Suite),
    /// Asks for a key package of a device that is to be added to a group.
    FetchKeyPackage {
        group: GroupId,
        account: AccountId,
        device: DeviceId,
    },
    /// Asks for the log of a contact that another device of ours added; the contact's state as it came.
    LogOfSynced(Vec<u8>),
    /// Asks for the log of the account that this home is about to join.
    LogOfLink,
    /// Carries a word between two devices that link.
    LinkMessage,
    /// Replaces the head of a backup.
    PutHead(Method),
    /// Asks which version of a backup's head the relay has.
    HeadVersion(Method),
    /// Asks for the head of the backup that a home is restored from.
    RestoreHead,
    /// Asks for the log of the account that is restored.
    RestoreLog,
    /// Appends this device to the log of the account that is restored.
    RestoreAppend,
    /// Appends an entry to the own account log.
    AppendLog(CommandId),
    /// Asks for keys of a device.
    FetchBundle(AccountId, DeviceId),
    /// Something between an account and its guardians.
    Guardians(GuardianPurpose),
    /// Makes a root, encoded, the newest of a vault.
    PutVaultHead {
        command: CommandId,
        vault: GroupId,
        root: Vec<u8>,
    },
    /// Asks for the head of a generation of a vault, whose id is this.
    VaultHead {
        command: CommandId,
        vault: GroupId,
        id: [u8; 32],
    },
    /// Sends a sealed body to one device.
    Send {
        message: MessageId,
        account: AccountId,
        device: DeviceId,
        letter: Option<LetterId>,
    },
}

/// A request without an answer.
pub(crate) struct OutboxEntry {
    pub(crate) purpose: Purpose,
    pub(crate) relay: String,
    /// The encoded [`wire::Request`].
    pub(crate) request: Vec<u8>,
}

impl Record for OutboxEntry {
    const WHAT: &'static str = "outbox entry";

    fn write(&self, out: &mut Writer) {
        self.purpose.write(out);
        out.bytes(self.relay.as_bytes());
        out.bytes(&self.request);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            purpose: Purpose::read(input)?,
            relay: super::text(input, 512)?,
            request: input.bytes(1 << 20)?.to_vec(),
        })
    }
}

impl Purpose {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::CreateQueue(queue) => write_id(out, 1, queue.as_bytes()),
            Self::DeleteQueue(queue) => write_id(out, 2, queue.as_bytes()),
            Self::Register(command) => write_command(out, 3, *command),
            Self::PublishPreKeys => out.u8(4),
            Self::CreateTicket { command, invite } => {
                out.u8(5);
                out.u64(command.0);
                out.bytes(invite.as_bytes());
            }
            Self::RedeemTicket {
                command,
                invite,
                petname,
            } => write_wish(out, 6, *command, invite, petname),
            Self::LogOfInvite {
                command,
                invite,
                petname,
            } => write_wish(out, 7, *command, invite, petname),
            Self::LogOfName {
                command,
                name,
                petname,
            } => write_wish(out, 8, *command, name, petname),
            Self::CheckName(account) => write_id(out, 9, account.as_bytes()),
            Self::FetchBundle(account, device) => {
                out.u8(10);
                out.array(account.as_bytes());
                out.array(device.as_bytes());
            }
            Self::Send {
                message,
                account,
                device,
                letter,
            } => {
                out.u8(11);
                out.array(message.as_bytes());
                out.array(account.as_bytes());
                out.array(device.as_bytes());
                out.bytes(letter.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]));
            }
            Self::CheckLog(account) => write_id(out, 12, account.as_bytes()),
            Self::LogOfStranger(account) => write_id(out, 13, account.as_bytes()),
            Self::LogOfMember(_)
            | Self::GroupSend { .. }
            | Self::PublishKeyPackages(_)
            | Self::FetchKeyPackage { .. } => self.write_of_group(out),
            Self::PutVaultHead { .. } | Self::VaultHead { .. } => self.write_of_vault(out),
            Self::AppendLog(command) => write_command(out, 14, *command),
            Self::LogOfSynced(state) => {
                out.u8(15);
                out.bytes(state);
            }
            Self::PutHead(method) => {
                out.u8(18);
                out.u8(*method as u8);
            }
            Self::HeadVersion(method) => {
                out.u8(19);
                out.u8(*method as u8);
            }
            Self::RestoreHead => out.u8(20),
            Self::RestoreLog => out.u8(21),
            Self::RestoreAppend => out.u8(22),
            Self::Guardians(purpose) => {
                out.u8(32);
                purpose.write(out);
            }
            Self::LogOfLink => out.u8(16),
            Self::LinkMessage => out.u8(17),
        }
    }

    /// Writes those of vaults, and nothing for others.
    fn write_of_vault(&self, out: &mut Writer) {
        match self {
            Self::PutVaultHead {
                command,
                vault,
                root,
            } => {
                out.u8(50);
                out.u64(command.0);
                out.array(vault.as_bytes());
                out.bytes(root);
            }
            Self::VaultHead { command, vault, id } => {
                out.u8(51);
                out.u64(command.0);
                out.array(vault.as_bytes());
                out.array(id);
            }
            _ => {}
        }
    }

    /// Writes those of groups, and nothing for others.
    fn write_of_group(&self, out: &mut Writer) {
        match self {
            Self::LogOfMember(account) => write_id(out, 40, account.as_bytes()),
            Self::GroupSend { group, message } => {
                out.u8(41);
                out.array(group.as_bytes());
                out.array(message.as_bytes());
            }
            Self::PublishKeyPackages(suite) => {
                out.u8(42);
                out.u16(suite.number());
            }
            Self::FetchKeyPackage {
                group,
                account,
                device,
            } => {
                out.u8(43);
                out.array(group.as_bytes());
                out.array(account.as_bytes());
                out.array(device.as_bytes());
            }
            _ => {}
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => Self::CreateQueue(QueueId::from_bytes(input.array()?)),
            2 => Self::DeleteQueue(QueueId::from_bytes(input.array()?)),
            3 => Self::Register(CommandId(input.u64()?)),
            4 => Self::PublishPreKeys,
            5 => Self::CreateTicket {
                command: CommandId(input.u64()?),
                invite: super::text(input, 2048)?,
            },
            6 => {
                let (command, invite, petname) = read_wish(input)?;
                Self::RedeemTicket {
                    command,
                    invite,
                    petname,
                }
            }
            7 => {
                let (command, invite, petname) = read_wish(input)?;
                Self::LogOfInvite {
                    command,
                    invite,
                    petname,
                }
            }
            8 => {
                let (command, name, petname) = read_wish(input)?;
                Self::LogOfName {
                    command,
                    name,
                    petname,
                }
            }
            9 => Self::CheckName(AccountId::from_bytes(input.array()?)),
            10 => Self::FetchBundle(
                AccountId::from_bytes(input.array()?),
                DeviceId::from_bytes(input.array()?),
            ),
            11 => Self::Send {
                message: MessageId::from_bytes(input.array()?),
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
                letter: read_letter(input)?,
            },
            12 => Self::CheckLog(AccountId::from_bytes(input.array()?)),
            13 => Self::LogOfStranger(AccountId::from_bytes(input.array()?)),
            14 => Self::AppendLog(CommandId(input.u64()?)),
            15 => Self::LogOfSynced(input.bytes(64 * 1024)?.to_vec()),
            16 => Self::LogOfLink,
            17 => Self::LinkMessage,
            18 => Self::PutHead(read_method(input)?),
            19 => Self::HeadVersion(read_method(input)?),
            20 => Self::RestoreHead,
            21 => Self::RestoreLog,
            22 => Self::RestoreAppend,
            32 => Self::Guardians(GuardianPurpose::read(input)?),
            kind => return Self::read_of_group(kind, input),
        })
    }

    /// Reads those of groups and vaults.
    fn read_of_group(kind: u8, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            40 => Self::LogOfMember(AccountId::from_bytes(input.array()?)),
            41 => Self::GroupSend {
                group: GroupId::from_bytes(input.array()?),
                message: MessageId::from_bytes(input.array()?),
            },
            42 => {
                let suite = Suite::from_number(input.u16()?);
                Self::PublishKeyPackages(suite.ok_or(DecodeError::Invalid)?)
            }
            43 => Self::FetchKeyPackage {
                group: GroupId::from_bytes(input.array()?),
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
            },
            50 => Self::PutVaultHead {
                command: CommandId(input.u64()?),
                vault: GroupId::from_bytes(input.array()?),
                root: input.bytes(ROOT_BYTES)?.to_vec(),
            },
            51 => Self::VaultHead {
                command: CommandId(input.u64()?),
                vault: GroupId::from_bytes(input.array()?),
                id: input.array()?,
            },
            _ => return Err(DecodeError::Invalid),
        })
    }
}

fn write_command(out: &mut Writer, kind: u8, command: CommandId) {
    out.u8(kind);
    out.u64(command.0);
}

fn write_id(out: &mut Writer, kind: u8, id: &[u8]) {
    out.u8(kind);
    out.array(id);
}

fn read_method(input: &mut Reader<'_>) -> Result<Method, DecodeError> {
    let method = input.u8()?;
    let found = Method::ALL.into_iter().find(|known| *known as u8 == method);
    found.ok_or(DecodeError::Invalid)
}

fn write_wish(out: &mut Writer, kind: u8, command: CommandId, who: &str, petname: &Option<String>) {
    out.u8(kind);
    out.u64(command.0);
    out.bytes(who.as_bytes());
    out.bytes(petname.as_deref().unwrap_or_default().as_bytes());
}

fn read_wish(input: &mut Reader<'_>) -> Result<(CommandId, String, Option<String>), DecodeError> {
    let command = CommandId(input.u64()?);
    let who = super::text(input, 2048)?;
    let petname = Some(super::text(input, 512)?).filter(|name| !name.is_empty());
    Ok((command, who, petname))
}

fn read_letter(input: &mut Reader<'_>) -> Result<Option<LetterId>, DecodeError> {
    match input.bytes(16)? {
        [] => Ok(None),
        id => LetterId::from_slice(id)
            .map(Some)
            .ok_or(DecodeError::Invalid),
    }
}

/// A body that the relay accepted and no receipt covers yet; ciphertext only.
pub(crate) struct SentBody {
    pub(crate) purpose: Purpose,
    pub(crate) relay: String,
    pub(crate) request: Vec<u8>,
    pub(crate) accepted_at: Timestamp,
}

impl Record for SentBody {
    const WHAT: &'static str = "sent body";

    fn write(&self, out: &mut Writer) {
        self.purpose.write(out);
        out.bytes(self.relay.as_bytes());
        out.bytes(&self.request);
        out.u64(self.accepted_at.as_secs());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            purpose: Purpose::read(input)?,
            relay: super::text(input, 512)?,
            request: input.bytes(1 << 20)?.to_vec(),
            accepted_at: Timestamp::from_secs(input.u64()?),
        })
    }
}
