//! Groups, as far as a profile keeps them beside their MLS state.

use super::Record;
use crate::input::CommandId;
use ::groups::{GroupData, Role};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, GroupId, LetterId, MessageId, QueueId, Secret, Suite, Timestamp};
use std::collections::BTreeMap;

/// How this device stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum GroupStanding {
    /// It is a leaf of it.
    In = 1,
    /// It has asked to be removed.
    Leaving = 2,
    /// It is not a member any more; what it read stays.
    Out = 3,
    /// It is a member, and cannot follow: it asks to come back in.
    Lost = 4,
}

/// A group.
pub struct GroupRecord {
    /// The group, and the id of its conversation.
    pub id: GroupId,
    /// The relay that orders its epochs.
    pub relay: String,
    /// The suite: the highest that all accounts spoke which it was begun with.
    pub suite: Suite,
    /// How this device stands to it.
    pub standing: GroupStanding,
    /// The MLS epoch.
    pub epoch: u64,
    /// What its members agree on.
    pub data: GroupData,
    /// What shows the relay that we are in this epoch.
    pub(crate) token: Secret<32>,
    /// What hides the bodies of this epoch.
    pub(crate) envelope: Secret<32>,
    /// What is on its way; nothing else leaves before it is decided.
    pub(crate) flight: Option<Flight>,
    /// Digests of what came back to us last in this epoch: a relay may deliver it once more.
    pub(crate) echoes: Vec<[u8; 32]>,
    /// What people asked for, oldest first.
    pub(crate) wishes: Vec<(CommandId, Wish)>,
    /// A member's wish to leave waits for a commit.
    pub(crate) proposed: bool,
    /// The leaves are to be compared with the logs, at a time.
    pub(crate) look: Option<Timestamp>,
    /// When this device last gave itself new keys in the group.
    pub(crate) renewed: Timestamp,
    /// The relay is in this epoch, and what leads there has not come yet.
    pub(crate) behind: Option<Behind>,
    /// When it was last asked to let us back in.
    pub(crate) asked: Option<Timestamp>,
    /// Tokens of the epochs before this one, for a relay that was set back.
    pub(crate) tokens: Vec<(u64, Secret<32>)>,
    /// The epoch that the relay was set back to; 0 where it does not know the group.
    pub(crate) set_back: Option<u64>,
    /// The relay refused another branch of this epoch.
    pub(crate) sure: bool,
}

impl GroupRecord {
    /// Tells this branch of the group from another one of the same epoch.
    ///
    /// *Formula*: the first 16 bytes of HMAC-SHA-256(envelope key, "letterlock/v1/group/branch").
    pub(crate) fn branch(&self) -> [u8; 16] {
        let label = keys::label::GROUP_BRANCH.as_bytes();
        let tag = keys::hmac_sha256(self.envelope.expose_secret(), &[label]);
        let mut branch = [0; 16];
        for (to, from) in branch.iter_mut().zip(tag) {
            *to = from;
        }
        branch
    }

    /// Whether something that a person asked for is not done yet.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.flight.is_some() || !self.wishes.is_empty()
    }
}

/// The relay is further than this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// In which epoch it is.
    pub(crate) epoch: u64,
    /// How often the engine looked since anything of the group came, or a connection began. Time would count the
    /// hours in which a machine sleeps.
    pub(crate) ticks: u64,
}

/// Something on its way to the members, which comes back to us in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) kind: FlightKind,
    pub(crate) message: MessageId,
    /// SHA-256 of the body.
    pub(crate) hash: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlightKind {
    Commit,
    Letter(LetterId),
    /// We asked to be removed.
    Leave,
}

/// What a person wants of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Add(Vec<AccountId>),
    Remove(Vec<AccountId>),
    Change(DataChange),
    Leave,
    /// Lets people into a vault, and then gives all of them a role.
    Share(Vec<AccountId>, Option<Role>),
}

/// What is to be different in a group's data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataChange {
    /// Another name.
    pub name: Option<String>,
    /// Another timer in seconds; 0 is none.
    pub timer: Option<u64>,
    /// Another role of an account.
    pub role: Option<(AccountId, Role)>,
    /// Another picture: a PNG or JPEG file of at most [`PICTURE_BYTES`](crate::limits::PICTURE_BYTES); empty is none. In
    /// what is stored, where it lies.
    pub picture: Option<Vec<u8>>,
}

/// A leaf, as far as sending needs it.
pub(crate) struct GroupMember {
    pub(crate) leaf: u32,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// SHA-256 of its key.
    pub(crate) key: [u8; 32],
    pub(crate) inbox: Option<(QueueId, Secret<32>)>,
}

/// All leaves of a group.
pub(crate) struct GroupMembers(pub(crate) Vec<GroupMember>);

impl Record for GroupRecord {
    const WHAT: &'static str = "group";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.bytes(self.relay.as_bytes());
        out.u16(self.suite.number());
        out.u8(self.standing as u8);
        out.u64(self.epoch);
        write_data(out, &self.data);
        out.array(self.token.expose_secret());
        out.array(self.envelope.expose_secret());
        match &self.flight {
            None => out.u8(0),
            Some(flight) => {
                match flight.kind {
                    FlightKind::Commit => out.u8(1),
                    FlightKind::Letter(letter) => {
                        out.u8(2);
                        out.array(letter.as_bytes());
                    }
                    FlightKind::Leave => out.u8(3),
                }
                out.array(flight.message.as_bytes());
                out.array(&flight.hash);
            }
        }
        out.u32(u32::try_from(self.echoes.len()).unwrap_or(u32::MAX));
        self.echoes.iter().for_each(|echo| out.array(echo));
        out.u32(u32::try_from(self.wishes.len()).unwrap_or(u32::MAX));
        for (command, wish) in &self.wishes {
            out.u64(command.0);
            wish.write(out);
        }
        out.u8(u8::from(self.proposed));
        out.u64(self.look.map_or(0, Timestamp::as_secs));
        out.u64(self.renewed.as_secs());
        out.u64(self.behind.map_or(0, |behind| behind.epoch));
        out.u64(self.behind.map_or(0, |behind| behind.ticks));
        out.u64(self.asked.map_or(0, Timestamp::as_secs));
        out.u32(u32::try_from(self.tokens.len()).unwrap_or(u32::MAX));
        for (epoch, token) in &self.tokens {
            out.u64(*epoch);
            out.array(token.expose_secret());
        }
        out.u8(u8::from(self.set_back.is_some()));
        out.u64(self.set_back.unwrap_or(0));
        out.u8(u8::from(self.sure));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: GroupId::from_bytes(input.array()?),
            relay: super::text(input, 512)?,
            suite: Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?,
            standing: GroupStanding::from_byte(input.u8()?)?,
            epoch: input.u64()?,
            data: read_data(input)?,
            token: super::secret(input)?,
            envelope: super::secret(input)?,
            flight: Flight::read(input)?,
            echoes: super::list(input, 1_024, |input| input.array())?,
            wishes: super::list(input, 10_000, |input| {
                Ok((CommandId(input.u64()?), Wish::read(input)?))
            })?,
            proposed: input.u8()? == 1,
            look: time(input)?,
            renewed: Timestamp::from_secs(input.u64()?),
            behind: match (input.u64()?, input.u64()?) {
                (0, _) => None,
                (epoch, ticks) => Some(Behind { epoch, ticks }),
            },
            asked: time(input)?,
            tokens: super::list(input, 1_024, |input| {
                Ok((input.u64()?, super::secret(input)?))
            })?,
            set_back: match (input.u8()?, input.u64()?) {
                (0, _) => None,
                (_, epoch) => Some(epoch),
            },
            sure: input.u8()? == 1,
        })
    }
}

fn time(input: &mut Reader<'_>) -> Result<Option<Timestamp>, DecodeError> {
    let time = Some(input.u64()?).filter(|at| *at != 0);
    Ok(time.map(Timestamp::from_secs))
}

impl GroupStanding {
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        [Self::In, Self::Leaving, Self::Out, Self::Lost]
            .into_iter()
            .find(|standing| *standing as u8 == byte)
            .ok_or(DecodeError::Invalid)
    }
}

impl Flight {
    fn read(input: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let kind = match input.u8()? {
            0 => return Ok(None),
            1 => FlightKind::Commit,
            2 => FlightKind::Letter(LetterId::from_bytes(input.array()?)),
            3 => FlightKind::Leave,
            _ => return Err(DecodeError::Invalid),
        };
        Ok(Some(Self {
            kind,
            message: MessageId::from_bytes(input.array()?),
            hash: input.array()?,
        }))
    }
}

impl Wish {
    pub(crate) fn write(&self, out: &mut Writer) {
        match self {
            Self::Add(accounts) => write_accounts(out, 1, accounts),
            Self::Remove(accounts) => write_accounts(out, 2, accounts),
            Self::Change(change) => {
                out.u8(if change.picture.is_some() { 5 } else { 3 });
                out.u8(u8::from(change.name.is_some()));
                out.bytes(change.name.as_deref().unwrap_or_default().as_bytes());
                out.u8(u8::from(change.timer.is_some()));
                out.u64(change.timer.unwrap_or(0));
                match change.role {
                    None => out.u8(0),
                    Some((account, role)) => {
                        out.u8(role as u8);
                        out.array(account.as_bytes());
                    }
                }
                if let Some(picture) = &change.picture {
                    out.bytes(picture);
                }
            }
            Self::Leave => out.u8(4),
            Self::Share(accounts, role) => {
                write_accounts(out, 6, accounts);
                out.u8(role.map_or(0, |role| role as u8));
            }
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => Self::Add(read_accounts(input)?),
            2 => Self::Remove(read_accounts(input)?),
            kind @ (3 | 5) => {
                let has_name = input.u8()? == 1;
                let name = super::text(input, ::groups::NAME_BYTES)?;
                let has_timer = input.u8()? == 1;
                let timer = input.u64()?;
                let role = match input.u8()? {
                    0 => None,
                    byte => {
                        let role = role(byte)?;
                        Some((AccountId::from_bytes(input.array()?), role))
                    }
                };
                Self::Change(DataChange {
                    name: has_name.then_some(name),
                    timer: has_timer.then_some(timer),
                    role,
                    picture: match kind {
                        5 => Some(input.bytes(::groups::PICTURE_BYTES)?.to_vec()),
                        _ => None,
                    },
                })
            }
            4 => Self::Leave,
            6 => {
                let accounts = read_accounts(input)?;
                let role = match input.u8()? {
                    0 => None,
                    byte => Some(role(byte)?),
                };
                Self::Share(accounts, role)
            }
            _ => return Err(DecodeError::Invalid),
        })
    }
}

fn write_accounts(out: &mut Writer, kind: u8, accounts: &[AccountId]) {
    out.u8(kind);
    out.u32(u32::try_from(accounts.len()).unwrap_or(u32::MAX));
    for account in accounts {
        out.array(account.as_bytes());
    }
}

fn read_accounts(input: &mut Reader<'_>) -> Result<Vec<AccountId>, DecodeError> {
    super::list(input, 10_000, |input| {
        Ok(AccountId::from_bytes(input.array()?))
    })
}

fn role(byte: u8) -> Result<Role, DecodeError> {
    [Role::Member, Role::Admin, Role::Owner]
        .into_iter()
        .find(|role| *role as u8 == byte)
        .ok_or(DecodeError::Invalid)
}

fn write_data(out: &mut Writer, data: &GroupData) {
    match &data.pair {
        None => out.u8(if data.vault { 2 } else { 0 }),
        Some([one, other]) => {
            out.u8(1);
            out.array(one.as_bytes());
            out.array(other.as_bytes());
            return;
        }
    }
    out.bytes(data.name.as_bytes());
    out.bytes(data.picture.as_deref().unwrap_or_default());
    out.u64(data.timer.unwrap_or(0));
    write_roles(out, &data.roles);
}

pub(super) fn write_roles(out: &mut Writer, roles: &BTreeMap<AccountId, Role>) {
    out.u32(u32::try_from(roles.len()).unwrap_or(u32::MAX));
    for (account, role) in roles {
        out.array(account.as_bytes());
        out.u8(*role as u8);
    }
}

pub(super) fn read_roles(input: &mut Reader<'_>) -> Result<BTreeMap<AccountId, Role>, DecodeError> {
    let roles = super::list(input, ::groups::ROLES, |input| {
        Ok((AccountId::from_bytes(input.array()?), role(input.u8()?)?))
    })?;
    Ok(BTreeMap::from_iter(roles))
}

fn read_data(input: &mut Reader<'_>) -> Result<GroupData, DecodeError> {
    let form = input.u8()?;
    if form == 1 {
        let one = AccountId::from_bytes(input.array()?);
        let other = AccountId::from_bytes(input.array()?);
        return Ok(GroupData::of_pair(one, other));
    }
    let name = super::text(input, ::groups::NAME_BYTES)?;
    let picture = input.bytes(::groups::PICTURE_BYTES)?.to_vec();
    let timer = input.u64()?;
    let roles = read_roles(input)?;
    Ok(GroupData {
        name,
        picture: Some(picture).filter(|picture| !picture.is_empty()),
        timer: Some(timer).filter(|timer| *timer != 0),
        roles,
        pair: None,
        vault: form == 2,
    })
}

impl Record for GroupMembers {
    const WHAT: &'static str = "members of a group";

    fn write(&self, out: &mut Writer) {
        out.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for member in &self.0 {
            out.u32(member.leaf);
            out.array(member.account.as_bytes());
            out.array(member.device.as_bytes());
            out.array(&member.key);
            match &member.inbox {
                None => out.u8(0),
                Some((queue, token)) => {
                    out.u8(1);
                    out.array(queue.as_bytes());
                    out.array(token.expose_secret());
                }
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let most = u32::try_from(::groups::LEAVES).unwrap_or(u32::MAX);
        let member = |input: &mut Reader<'_>| {
            Ok(GroupMember {
                leaf: input.u32()?,
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
                key: input.array()?,
                inbox: match input.u8()? {
                    0 => None,
                    _ => Some((QueueId::from_bytes(input.array()?), super::secret(input)?)),
                },
            })
        };
        Ok(Self(super::list(input, most, member)?))
    }
}
