//! What a profile keeps of a group: a record, its leaves, and the MLS state, in one transaction with all else.
//!
//! A commit of ours makes the next state beside the present one; it takes its place when the commit comes back.

use super::doubt;
use super::pictures;
use super::stays;
use crate::account;
use crate::contacts;
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::queues;
use crate::records::{GroupMember, GroupMembers, GroupRecord, GroupStanding, Record as _, key};
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupError, Inbox, LeafName, OurDevice, Stored};
use keys::{AccountId, GroupId, LeafKey, Suite};
use zeroize::Zeroizing;

/// The parts of a group's state, as the last byte of their key.
#[derive(Clone, Copy)]
pub(super) enum Part {
    State = 1,
    Tree = 2,
    Members = 3,
    /// The state that a commit under way would bring.
    NextState = 4,
    NextTree = 5,
    /// Whom that commit lets in.
    Welcomes = 6,
    /// An invitation that waits for logs.
    Invitation = 7,
    /// Who was in it when.
    Stays = 8,
    /// The picture.
    Picture = 9,
    /// One that a commit of ours is to name.
    NextPicture = 10,
    /// How the group of a vault is entered, for a home that is restored.
    Way = 11,
    /// The same, where the tree lies beside the backup.
    FarWay = 12,
    /// When that tree is to be stored again.
    TreeDue = 13,
}

pub(super) fn place(id: &GroupId, part: Part) -> Vec<u8> {
    key(&[id.as_bytes(), &[part as u8]])
}

/// The id of the conversation of a group of more than two.
pub(crate) fn conversation(id: &GroupId) -> AccountId {
    AccountId::from_bytes(*id.as_bytes())
}

/// The id of a group's conversation: that of a pair is the other account's.
pub(super) fn conversation_of(
    tx: &Transaction<'_>,
    record: &GroupRecord,
) -> Result<AccountId, EngineError> {
    let other = record.data.other_than(&account::own(tx)?.id);
    Ok(other.unwrap_or(conversation(&record.id)))
}

/// Whether an id is that of a person: no group's conversation has it.
pub(super) fn is_of_person(tx: &Transaction<'_>, id: &AccountId) -> Result<bool, EngineError> {
    Ok(account::own(tx)?.id == *id || contacts::load(tx, id)?.is_some())
}

/// The group that people write in whose conversation has an id.
pub(crate) fn of_conversation(
    tx: &Transaction<'_>,
    id: &AccountId,
) -> Result<Option<GroupRecord>, EngineError> {
    // SECURITY: whoever makes a group chooses its id, which may be that of somebody else's account;
    // `a_group_takes_no_persons_place` notices.
    if contacts::load(tx, id)?.is_some() {
        return Ok(None);
    }
    let record = load(tx, &GroupId::from_bytes(*id.as_bytes()))?;
    Ok(record.filter(is_talk))
}

pub(crate) fn load(tx: &Transaction<'_>, id: &GroupId) -> Result<Option<GroupRecord>, EngineError> {
    match tx.get(Table::Group, id.as_bytes())? {
        Some(bytes) => Ok(Some(GroupRecord::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, record: &GroupRecord) {
    tx.put(Table::Group, record.id.as_bytes().to_vec(), record.encode());
}

/// Whether it is a group that people write in: neither the conversation of two nor a vault.
pub(crate) fn is_talk(record: &GroupRecord) -> bool {
    record.data.pair.is_none() && !record.data.vault
}

/// All groups that people write in.
pub(crate) fn all(snapshot: &dyn Snapshot) -> Result<Vec<GroupRecord>, StoreError> {
    let rows = snapshot.scan(Table::Group, &[], None, usize::MAX)?;
    let mut groups = Vec::with_capacity(rows.len());
    for (_, bytes) in rows {
        groups.push(GroupRecord::decode(&bytes)?);
    }
    groups.retain(is_talk);
    Ok(groups)
}

/// The group of a vault, from outside a step.
pub(crate) fn of_vault(
    snapshot: &dyn Snapshot,
    id: &GroupId,
) -> Result<Option<GroupRecord>, StoreError> {
    let record = snapshot.get(Table::Group, id.as_bytes())?;
    let record = record
        .map(|bytes| GroupRecord::decode(&bytes))
        .transpose()?;
    Ok(record.filter(|record| record.data.vault))
}

/// The ids of all groups, with what this step changed.
pub(super) fn ids(tx: &Transaction<'_>) -> Result<Vec<GroupId>, EngineError> {
    let rows = tx.scan(Table::Group, &[], None, usize::MAX)?;
    let ids = rows.iter().filter_map(|(id, _)| GroupId::from_slice(id));
    Ok(ids.collect())
}

pub(crate) fn members(tx: &Transaction<'_>, id: &GroupId) -> Result<Vec<GroupMember>, EngineError> {
    match tx.get(Table::GroupPart, &place(id, Part::Members))? {
        Some(bytes) => Ok(GroupMembers::decode(&bytes)?.0),
        None => Ok(Vec::new()),
    }
}

/// The devices of a group, from outside a step.
pub(crate) fn leaves(snapshot: &dyn Snapshot, id: &GroupId) -> Result<Vec<LeafName>, StoreError> {
    let Some(bytes) = snapshot.get(Table::GroupPart, &place(id, Part::Members))? else {
        return Ok(Vec::new());
    };
    let members = GroupMembers::decode(&bytes)?.0;
    let names = members.iter().map(|member| LeafName {
        account: member.account,
        device: member.device,
    });
    Ok(names.collect())
}

/// This device's name as a leaf.
pub(crate) fn own_name(tx: &Transaction<'_>) -> Result<LeafName, EngineError> {
    let own = account::own(tx)?;
    Ok(LeafName {
        account: own.id,
        device: own.device,
    })
}

/// This device, as a leaf of groups of a suite.
pub(super) fn us(tx: &Transaction<'_>, suite: Suite) -> Result<OurDevice, EngineError> {
    let own = account::own(tx)?;
    let inbox = queues::inbox(tx)?;
    let signing = own.secrets.signing();
    let leaf = LeafKey::of(signing, suite).ok_or(EngineError::Group {
        error: GroupError::WrongSuite,
    })?;
    Ok(OurDevice {
        suite,
        name: LeafName {
            account: own.id,
            device: own.device,
        },
        leaf,
        inbox: Inbox {
            queue: inbox.id,
            token: inbox.token,
        },
    })
}

/// Takes the MLS state up.
pub(super) fn open(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    directory: Directory,
) -> Result<Group, EngineError> {
    let record = load(tx, id)?.ok_or(EngineError::UnknownGroup)?;
    open_parts(tx, &record, directory, (Part::State, Part::Tree))
}

fn open_parts(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    directory: Directory,
    (state, tree): (Part, Part),
) -> Result<Group, EngineError> {
    const MISSING: StoreError = StoreError::Damaged {
        what: "state of a group",
    };
    let stored = Stored {
        state: tx
            .get(Table::GroupPart, &place(&record.id, state))?
            .ok_or(MISSING)?,
        tree: tx
            .get(Table::GroupPart, &place(&record.id, tree))?
            .ok_or(MISSING)?,
    };
    let us = us(tx, record.suite)?;
    Group::load(&us, directory, &record.id, &stored, tx.rng).map_err(|_| MISSING.into())
}

/// Keeps what a letter changed: keys that were used are gone.
pub(super) fn keep(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    group: &mut Group,
) -> Result<(), EngineError> {
    let state = group.store_state().map_err(damaged)?;
    tx.put(Table::GroupPart, place(id, Part::State), state);
    Ok(())
}

/// Keeps the state that a commit of ours would bring.
pub(super) fn keep_next(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    next: &mut Group,
) -> Result<(), EngineError> {
    let stored = next.store().map_err(damaged)?;
    tx.put(Table::GroupPart, place(id, Part::NextState), stored.state);
    tx.put(Table::GroupPart, place(id, Part::NextTree), stored.tree);
    Ok(())
}

/// Forgets a commit of ours that another one came before.
pub(super) fn drop_next(tx: &mut Transaction<'_>, id: &GroupId) {
    for part in [Part::NextState, Part::NextTree, Part::Welcomes] {
        tx.delete(Table::GroupPart, place(id, part));
    }
}

/// The commit of ours counts: its state is the group's.
pub(super) fn take_next(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<Group, EngineError> {
    let id = record.id;
    let next = (Part::NextState, Part::NextTree);
    let mut group = open_parts(tx, record, Directory::new(), next)?;
    enter(tx, record, &mut group)?;
    tx.delete(Table::GroupPart, place(&id, Part::NextState));
    tx.delete(Table::GroupPart, place(&id, Part::NextTree));
    Ok(group)
}

/// The relay refused our way into another branch: this device goes on in its own.
pub(super) fn stay(tx: &mut Transaction<'_>, record: &mut GroupRecord) -> Result<(), EngineError> {
    let group = open(tx, &record.id, Directory::new())?;
    record.epoch = group.epoch();
    record.token = group.epoch_token().map_err(damaged)?;
    record.envelope = group.envelope_key().map_err(damaged)?;
    record.standing = GroupStanding::In;
    record.behind = None;
    record.sure = true;
    Ok(())
}

/// The leaves of a group, as sending needs them.
pub(super) fn leaves_of(group: &Group) -> Result<Vec<GroupMember>, EngineError> {
    let members = group.members().map_err(damaged)?;
    let members = members.into_iter().map(|member| GroupMember {
        leaf: member.leaf,
        account: member.name.account,
        device: member.name.device,
        key: keys::sha256(&[&member.leaf_key]),
        inbox: member.inbox.map(|inbox| (inbox.queue, inbox.token)),
    });
    Ok(members.collect())
}

/// Keeps a new epoch, and notes in the record what sending in it needs.
pub(super) fn enter(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
    group: &mut Group,
) -> Result<(), EngineError> {
    let id = record.id;
    let stored = group.store().map_err(damaged)?;
    tx.put(Table::GroupPart, place(&id, Part::State), stored.state);
    tx.put(Table::GroupPart, place(&id, Part::Tree), stored.tree);
    let members = leaves_of(group)?;
    let names: Vec<LeafName> = members
        .iter()
        .map(|member| LeafName {
            account: member.account,
            device: member.device,
        })
        .collect();
    stays::note(tx, &id, &names)?;
    let members = GroupMembers(members);
    tx.put(
        Table::GroupPart,
        place(&id, Part::Members),
        members.encode(),
    );
    if record.epoch != 0 {
        if record.tokens.len() >= limits::GROUP_TOKENS {
            record.tokens.remove(0);
        }
        record.tokens.push((record.epoch, record.token.duplicate()));
    }
    doubt::forget(tx, &id)?;
    record.set_back = None;
    record.sure = false;
    record.epoch = group.epoch();
    record.suite = group.suite().map_err(damaged)?;
    record.data = group.data().map_err(damaged)?;
    record.token = group.epoch_token().map_err(damaged)?;
    record.envelope = group.envelope_key().map_err(damaged)?;
    record.proposed = false;
    record.echoes.clear();
    if record
        .behind
        .is_some_and(|behind| behind.epoch <= record.epoch)
    {
        record.behind = None;
    }
    pictures::look(tx, record)
}

/// Whether this device was ever in a group, by what it keeps: a home that was restored knows of it and no more.
pub(crate) fn is_known(tx: &Transaction<'_>, id: &GroupId) -> Result<bool, EngineError> {
    Ok(tx.get(Table::GroupPart, &place(id, Part::State))?.is_some())
}

/// Forgets the keys of a group; its letters stay.
pub(super) fn forget_keys(tx: &mut Transaction<'_>, id: &GroupId) {
    drop_next(tx, id);
    let ways = [Part::Way, Part::FarWay, Part::TreeDue];
    for part in [Part::State, Part::Tree].into_iter().chain(ways) {
        tx.delete(Table::GroupPart, place(id, part));
    }
}

/// Keeps bytes of a part.
pub(super) fn put_part(tx: &mut Transaction<'_>, id: &GroupId, part: Part, bytes: Vec<u8>) {
    tx.put(Table::GroupPart, place(id, part), Zeroizing::new(bytes));
}

/// Takes bytes of a part out.
pub(super) fn take_part(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    part: Part,
) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    let bytes = tx.get(Table::GroupPart, &place(id, part))?;
    tx.delete(Table::GroupPart, place(id, part));
    Ok(bytes)
}

fn damaged(_: GroupError) -> EngineError {
    EngineError::Internal {
        what: "state of a group",
    }
}
