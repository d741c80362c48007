//! What members agree on: the group's data, roles, and what a leaf says of its device.

use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, QueueId, Secret, Suite};
use mls_rs_core::extension::{Extension, ExtensionList, ExtensionType};
use mls_rs_core::identity::{BasicCredential, Credential, SigningIdentity};
use std::collections::BTreeMap;

/// Type of the extension that holds [`GroupData`], of those for private use (RFC 9420, section 17.3).
pub(crate) const GROUP_DATA: ExtensionType = ExtensionType::new(0xF4C0);
/// Type of the extension that holds an [`Inbox`].
pub(crate) const INBOX: ExtensionType = ExtensionType::new(0xF4C1);
/// Longest name of a group in bytes.
pub const NAME_BYTES: usize = 256;
/// Longest reference to a picture in bytes.
pub const PICTURE_BYTES: usize = 1024;
/// Most accounts that are more than members.
pub const ROLES: u32 = 1_000;

/// What an account may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Writes, leaves, and adds or removes its own devices. In a vault: a reader.
    Member = 1,
    /// Also adds people, removes members, and changes name, picture and timer. In a vault: a writer, who does none of
    /// that.
    Admin = 2,
    /// Also removes admins and gives roles.
    Owner = 3,
}

impl Role {
    /// The name that people see in a vault.
    #[must_use]
    pub fn name_in_vault(self) -> &'static str {
        match self {
            Self::Member => "reader",
            Self::Admin => "writer",
            Self::Owner => "owner",
        }
    }

    /// Reads that name.
    #[must_use]
    pub fn from_name_in_vault(name: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.name_in_vault() == name)
    }

    /// The name people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// What all members agree on, besides who they are; under the signature of whoever changed it last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupData {
    /// What the group is called, at most [`NAME_BYTES`].
    pub name: String,
    /// What opens its picture; the caller knows how. At most [`PICTURE_BYTES`].
    pub picture: Option<Vec<u8>>,
    /// Seconds after which letters disappear.
    pub timer: Option<u64>,
    /// Those that are more than members.
    pub roles: BTreeMap<AccountId, Role>,
    /// The two accounts, lower first, where the group is the conversation of two. Both own it, and nothing of this ever
    /// changes.
    pub pair: Option<[AccountId; 2]>,
    /// Whether it is the group of a vault, which has neither picture nor timer, and stays one.
    pub vault: bool,
}

impl GroupData {
    /// The data of a conversation of two.
    #[must_use]
    pub fn of_pair(one: AccountId, other: AccountId) -> Self {
        let pair = [one.min(other), one.max(other)];
        Self {
            roles: pair.map(|account| (account, Role::Owner)).into(),
            pair: Some(pair),
            ..Self::default()
        }
    }

    /// The role from which on one says who is here, what the group is called, and so on.
    #[must_use]
    pub fn ruler(&self) -> Role {
        match self.vault {
            true => Role::Owner,
            false => Role::Admin,
        }
    }

    /// The other one of a pair.
    #[must_use]
    pub fn other_than(&self, own: &AccountId) -> Option<AccountId> {
        match self.pair? {
            [one, other] if one == *own => Some(other),
            [one, other] if other == *own => Some(one),
            _ => None,
        }
    }

    /// The role of an account that is a member.
    #[must_use]
    pub fn role(&self, account: &AccountId) -> Role {
        self.roles.get(account).copied().unwrap_or(Role::Member)
    }

    /// A pair: `02 ‖ lower account ‖ higher account`. A vault: `03 ‖ name ‖ roles`. Else `01 ‖ name ‖ picture ‖ BE8(timer) ‖
    /// roles`, roles: `BE4(count) ‖ (account ‖ role)...`, accounts ascending.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        if let Some([one, other]) = &self.pair {
            out.u8(2);
            out.array(one.as_bytes());
            out.array(other.as_bytes());
            return out.finish();
        }
        out.u8(if self.vault { 3 } else { 1 });
        out.bytes(self.name.as_bytes());
        if !self.vault {
            out.bytes(self.picture.as_deref().unwrap_or_default());
            out.u64(self.timer.unwrap_or(0));
        }
        let roles = || {
            let mut roles = self.roles.iter();
            std::iter::from_fn(move || roles.find(|(_, role)| **role != Role::Member))
        };
        out.u32(u32::try_from(roles().count()).unwrap_or(u32::MAX));
        for (account, role) in roles() {
            out.array(account.as_bytes());
            out.u8(*role as u8);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let vault = match input.u8()? {
            1 => false,
            2 => return Self::read_pair(input),
            3 => true,
            _ => return Err(DecodeError::Invalid),
        };
        let name = input.bytes(NAME_BYTES)?.to_vec();
        let name = String::from_utf8(name).map_err(|_| DecodeError::Invalid)?;
        let (mut picture, mut timer) = (None, None);
        if !vault {
            picture = Some(input.bytes(PICTURE_BYTES)?.to_vec()).filter(|bytes| !bytes.is_empty());
            timer = Some(input.u64()?).filter(|seconds| *seconds != 0);
        }
        let roles = Self::read_roles(&mut input)?;
        input.finish()?;
        Ok(Self {
            name,
            picture,
            timer,
            roles,
            pair: None,
            vault,
        })
    }

    fn read_roles(input: &mut Reader<'_>) -> Result<BTreeMap<AccountId, Role>, DecodeError> {
        let count = input.u32()?;
        if count > ROLES {
            return Err(DecodeError::Invalid);
        }
        let mut roles = BTreeMap::new();
        let mut last = None;
        for _ in 0..count {
            let account = AccountId::from_bytes(input.array()?);
            let role = match input.u8()? {
                2 => Role::Admin,
                3 => Role::Owner,
                _ => return Err(DecodeError::Invalid),
            };
            if last.is_some_and(|last| last >= account) {
                return Err(DecodeError::Invalid);
            }
            last = Some(account);
            roles.insert(account, role);
        }
        Ok(roles)
    }

    fn read_pair(mut input: Reader<'_>) -> Result<Self, DecodeError> {
        let one = AccountId::from_bytes(input.array()?);
        let other = AccountId::from_bytes(input.array()?);
        input.finish()?;
        match one < other {
            true => Ok(Self::of_pair(one, other)),
            false => Err(DecodeError::Invalid),
        }
    }

    pub(crate) fn extensions(&self) -> ExtensionList {
        vec![Extension::new(GROUP_DATA, self.encode())].into()
    }

    /// Reads the one extension that a group's context has.
    pub(crate) fn of(extensions: &ExtensionList) -> Result<Self, DecodeError> {
        let data = extensions.get(GROUP_DATA).ok_or(DecodeError::Invalid)?;
        if extensions.len() != 1 {
            return Err(DecodeError::Invalid);
        }
        Self::decode(&data.extension_data)
    }
}

/// Where a device takes what is sent in its groups.
pub struct Inbox {
    /// The queue.
    pub queue: QueueId,
    /// What senders show.
    pub token: Secret<32>,
}

impl Inbox {
    /// A second one with the same content.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            queue: self.queue,
            token: self.token.duplicate(),
        }
    }

    /// `01 ‖ queue 16 ‖ token 32`.
    pub(crate) fn extensions(&self) -> ExtensionList {
        let mut out = Writer::new();
        out.u8(1);
        out.array(self.queue.as_bytes());
        out.array(self.token.expose_secret());
        vec![Extension::new(INBOX, out.finish())].into()
    }

    pub(crate) fn of(extensions: &ExtensionList) -> Result<Self, DecodeError> {
        let bytes = extensions.get(INBOX).ok_or(DecodeError::Invalid)?;
        let mut input = Reader::new(&bytes.extension_data);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid);
        }
        let queue = QueueId::from_bytes(input.array()?);
        let token = Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)?;
        input.finish()?;
        Ok(Self { queue, token })
    }
}

/// Which device of which account a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafName {
    /// The account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
}

impl LeafName {
    /// The identity of a basic credential (RFC 9420, section 5.3): `account 32 ‖ device 16`, and a voucher where the
    /// account log does not name the leaf's key.
    pub(crate) fn credential(&self, voucher: &[u8]) -> Credential {
        let identity = [&self.bytes()[..], voucher].concat();
        BasicCredential::new(identity).into_credential()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.account.as_bytes()[..], self.device.as_bytes()].concat()
    }

    pub(crate) fn of(identity: &SigningIdentity) -> Option<Self> {
        Some(Self::and_voucher_of(identity)?.0)
    }

    /// The name, and the device's word for the leaf's key where there is one.
    pub(crate) fn and_voucher_of(identity: &SigningIdentity) -> Option<(Self, Option<&[u8]>)> {
        let basic = identity.credential.as_basic()?;
        let (account, rest) = basic.identifier.split_first_chunk::<32>()?;
        let (device, voucher) = rest.split_first_chunk::<{ DeviceId::LEN }>()?;
        let name = Self {
            account: AccountId::from_bytes(*account),
            device: DeviceId::from_bytes(*device),
        };
        match voucher.len() {
            0 => Some((name, None)),
            length if length == Suite::Cnsa2.signature_len() => Some((name, Some(voucher))),
            _ => None,
        }
    }
}
