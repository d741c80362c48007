//! What a profile keeps of a vault beside its group (docs/spec/vault.md).

use super::Record;
use crate::archive::PartRef;
use crate::limits;
use ::groups::{LeafName, Role};
use keys::codec::{DecodeError, Reader, Writer};
use keys::vault_root::{ROOT_BYTES, RootHash, VaultRoot};
use keys::{AccountId, DeviceId, GroupId, Secret, Suite, Timestamp};
use std::collections::BTreeMap;

/// Most generations of a vault.
pub(crate) const GENERATIONS: u32 = 4_096;
/// Most leaves of a group.
const ELDERS: u32 = 5_000;
/// Roots that were told and are kept.
pub(crate) const TOLD: usize = 64;

/// A vault.
pub struct VaultRecord {
    /// The vault: the id of its group.
    pub id: GroupId,
    /// Keys of generations 1, 2 and so on.
    pub(crate) keys: Vec<Secret<32>>,
    /// The newest root that this device took or wrote.
    pub pin: Option<VaultPin>,
    /// That root, to be put back where the head does not show it; empty where a member told of it and no more.
    pub(crate) root: Vec<u8>,
    /// Roots that members told of, the oldest first.
    pub(crate) told: Vec<ToldRoot>,
    /// Somebody went out, and no newer generation has a key yet.
    pub departed: bool,
    /// When this device makes a new generation, if nobody else did.
    pub(crate) renew: Option<Timestamp>,
    /// When this device asks for keys, if none came.
    pub(crate) ask: Option<Timestamp>,
    /// When this device answers who asked, if nobody else did.
    pub(crate) answer: Option<Timestamp>,
    /// This device came in, or back: until it hears a word with keys, or until then, it makes none, for there may be some
    /// that it missed.
    pub(crate) unsure: Option<Timestamp>,
    /// Devices that could write when this one came in, or back: they may know keys that it does not.
    pub(crate) elders: Vec<LeafName>,
    /// As the group last said, for a home that was restored and is not in it.
    pub seen: VaultSeen,
}

/// What the group of a vault last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSeen {
    /// What it is called.
    pub name: String,
    /// Those that are more than readers.
    pub roles: BTreeMap<AccountId, Role>,
    /// Whether no other account was in it.
    pub alone: bool,
}

/// The newest root that this device took or wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultPin {
    /// The generation whose head showed it.
    pub generation: u32,
    /// From 1.
    pub counter: u64,
    /// Its hash.
    pub hash: RootHash,
    /// Whether its generation ends with it.
    pub closed: bool,
}

/// A root that a member told of, in its place in the order of the group, when its role allowed that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToldRoot {
    pub(crate) root: VaultPin,
    pub(crate) by: LeafName,
}

impl VaultRecord {
    /// A vault of which nothing is known.
    pub(crate) fn new(id: GroupId) -> Self {
        Self {
            id,
            keys: Vec::new(),
            pin: None,
            root: Vec::new(),
            told: Vec::new(),
            departed: false,
            renew: None,
            ask: None,
            answer: None,
            unsure: None,
            elders: Vec::new(),
            seen: VaultSeen {
                name: String::new(),
                roles: BTreeMap::new(),
                alone: false,
            },
        }
    }

    /// The newest generation whose key is here; 0: none.
    #[must_use]
    pub fn generation(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// The key of a generation.
    #[must_use]
    pub fn key(&self, generation: u32) -> Option<&Secret<32>> {
        let index = usize::try_from(generation.checked_sub(1)?).ok()?;
        self.keys.get(index)
    }

    /// Whether this device knows all keys that were told.
    #[must_use]
    pub(crate) fn is_sure(&self) -> bool {
        !self.keys.is_empty() && self.unsure.is_none()
    }

    /// Whether the head is to be moved to a newer generation, or a newer one is to be made.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let behind = |pin: VaultPin| pin.generation < self.generation();
        self.departed || self.pin.is_some_and(behind)
    }

    /// The number of the newest version that was seen here, or that anybody told of.
    #[must_use]
    pub fn newest(&self) -> u64 {
        let told = self.told.iter().map(|told| told.root.counter);
        let pin = self.pin.map_or(0, |pin| pin.counter);
        told.max().unwrap_or(0).max(pin)
    }

    /// The newest root that this device took or wrote; nothing where it knows no more than its hash.
    #[must_use]
    pub fn newest_root(&self) -> Option<VaultRoot> {
        let root = VaultRoot::decode(&self.root).ok()?;
        (self.pin == Some(VaultPin::of(&root))).then_some(root)
    }

    /// Takes a root for the newest.
    pub(crate) fn pin_to(&mut self, root: &VaultRoot) {
        self.pin = Some(VaultPin::of(root));
        self.root = root.encode();
    }
}

impl VaultPin {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u32(self.generation);
        out.u64(self.counter);
        out.array(&self.hash.0);
        out.u8(u8::from(self.closed));
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            generation: input.u32()?,
            counter: input.u64()?,
            hash: RootHash(input.array()?),
            closed: match input.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid),
            },
        })
    }

    /// As [`Self::read`]; a counter of 0 says that there is none.
    pub(crate) fn read_any(input: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(Self::read(input)?).filter(|pin| pin.counter != 0))
    }

    /// The form that says that there is none.
    pub(crate) const NONE: Self = Self {
        generation: 0,
        counter: 0,
        hash: RootHash::NONE,
        closed: false,
    };

    /// What is kept of a root.
    pub(crate) fn of(root: &VaultRoot) -> Self {
        Self {
            generation: root.body.generation,
            counter: root.body.counter,
            hash: root.hash(),
            closed: root.body.closed,
        }
    }
}

fn write_time(out: &mut Writer, at: Option<Timestamp>) {
    out.u64(at.map_or(0, Timestamp::as_secs));
}

fn read_time(input: &mut Reader<'_>) -> Result<Option<Timestamp>, DecodeError> {
    let at = Some(input.u64()?).filter(|at| *at != 0);
    Ok(at.map(Timestamp::from_secs))
}

impl Record for VaultRecord {
    const WHAT: &'static str = "vault";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.u32(self.generation());
        for key in &self.keys {
            out.array(key.expose_secret());
        }
        self.pin.unwrap_or(VaultPin::NONE).write(out);
        out.bytes(&self.root);
        out.u32(u32::try_from(self.told.len()).unwrap_or(u32::MAX));
        for told in &self.told {
            told.root.write(out);
            out.array(told.by.account.as_bytes());
            out.array(told.by.device.as_bytes());
        }
        out.u8(u8::from(self.departed));
        for at in [self.renew, self.ask, self.answer, self.unsure] {
            write_time(out, at);
        }
        out.u32(u32::try_from(self.elders.len()).unwrap_or(u32::MAX));
        for elder in &self.elders {
            out.array(elder.account.as_bytes());
            out.array(elder.device.as_bytes());
        }
        out.bytes(self.seen.name.as_bytes());
        super::group::write_roles(out, &self.seen.roles);
        out.u8(u8::from(self.seen.alone));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: GroupId::from_bytes(input.array()?),
            keys: super::list(input, GENERATIONS, super::secret)?,
            pin: VaultPin::read_any(input)?,
            root: input.bytes(ROOT_BYTES)?.to_vec(),
            told: super::list(input, 1_024, |input| {
                Ok(ToldRoot {
                    root: VaultPin::read(input)?,
                    by: LeafName {
                        account: AccountId::from_bytes(input.array()?),
                        device: DeviceId::from_bytes(input.array()?),
                    },
                })
            })?,
            departed: input.u8()? == 1,
            renew: read_time(input)?,
            ask: read_time(input)?,
            answer: read_time(input)?,
            unsure: read_time(input)?,
            elders: super::list(input, ELDERS, |input| {
                Ok(LeafName {
                    account: AccountId::from_bytes(input.array()?),
                    device: DeviceId::from_bytes(input.array()?),
                })
            })?,
            seen: VaultSeen {
                name: super::text(input, ::groups::NAME_BYTES)?,
                roles: super::group::read_roles(input)?,
                alone: input.u8()? == 1,
            },
        })
    }
}

/// How the group of a vault is entered by whoever is somebody of it, for a home that is restored.
pub(crate) struct VaultWay {
    /// The vault: the id of its group.
    pub(crate) id: GroupId,
    pub(crate) epoch: u64,
    /// What a sender shows in that epoch.
    pub(crate) token: Secret<32>,
    /// What hides the bodies of that epoch.
    pub(crate) envelope: Secret<32>,
    pub(crate) suite: Suite,
    /// The group info, as members tell it.
    pub(crate) info: Vec<u8>,
    pub(crate) tree: Vec<u8>,
}

/// As [`VaultWay`], but the tree lies beside the backup.
pub(crate) struct VaultFarWay {
    /// Without a tree.
    pub(crate) way: VaultWay,
    pub(crate) tree: PartRef,
}

impl Record for VaultWay {
    const WHAT: &'static str = "way into a vault";

    fn write(&self, out: &mut Writer) {
        out.array(self.id.as_bytes());
        out.u64(self.epoch);
        out.array(self.token.expose_secret());
        out.array(self.envelope.expose_secret());
        out.u16(self.suite.number());
        out.bytes(&self.info);
        out.bytes(&self.tree);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: GroupId::from_bytes(input.array()?),
            epoch: input.u64()?,
            token: super::secret(input)?,
            envelope: super::secret(input)?,
            suite: Suite::from_number(input.u16()?).ok_or(DecodeError::Invalid)?,
            info: input.bytes(limits::GROUP_WORD_BYTES)?.to_vec(),
            tree: input.bytes(limits::VAULT_TREE_BYTES)?.to_vec(),
        })
    }
}

impl Record for VaultFarWay {
    const WHAT: &'static str = "way into a vault";

    fn write(&self, out: &mut Writer) {
        self.way.write(out);
        self.tree.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            way: VaultWay::read(input)?,
            tree: PartRef::read(input)?,
        })
    }
}
