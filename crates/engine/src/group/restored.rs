//! The way back of a home that was restored into the groups of its vaults (docs/spec/vault.md, section 1).
//!
//! ```text
//!   backup: the way in ─► a commit from outside ─► the relay takes it: in again
//!                                                └► the group went on: members are asked (`back`)
//! ```
//!
//! What a group is entered by is in the backup; the tree of a large one lies beside it ([`trees`]).

pub(crate) mod trees;

use super::back::{self, Told};
use super::packages;
use super::people;
use super::state::{self, Part};
use super::words::{accounts_of, fresh};
use crate::account;
use crate::backup;
use crate::error::{EngineError, StoreError};
use crate::limits;
use crate::records::{
    GroupMember, GroupMembers, GroupRecord, GroupStanding, Record as _, VaultRecord, VaultWay,
};
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::{Directory, GroupData, names_of};
use keys::GroupId;
use zeroize::Zeroizing;

fn place(id: &GroupId) -> Vec<u8> {
    state::place(id, Part::Way)
}

/// What is kept of a way in, if anything.
pub(crate) fn kept(
    tx: &Transaction<'_>,
    id: &GroupId,
) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    Ok(tx.get(Table::GroupPart, &place(id))?)
}

/// Keeps the way in that a backup has.
pub(crate) fn keep(tx: &mut Transaction<'_>, record: &[u8]) -> Result<(), EngineError> {
    let way = VaultWay::decode(record)?;
    tx.put(Table::GroupPart, place(&way.id), way.encode());
    trees::forget(tx, &way.id);
    Ok(())
}

/// Forgets all ways in, where a restoration came to no end: a home without account is in no group.
pub(crate) fn forget_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::GroupPart, &[], |tx, place, _| {
        tx.delete(Table::GroupPart, place.to_vec());
        Ok(())
    })
}

/// Notes how the group of a vault is entered in its epoch of now, for the backup.
pub(crate) fn note(tx: &mut Transaction<'_>, record: &GroupRecord) -> Result<(), EngineError> {
    if record.standing != GroupStanding::In {
        return Ok(());
    }
    let way = way_now(tx, record)?;
    // Nobody enters by more than members can tell.
    let told =
        way.info.len() <= limits::GROUP_WORD_BYTES && way.tree.len() <= limits::VAULT_TREE_BYTES;
    if told && way.tree.len() <= limits::VAULT_WAY_BYTES {
        tx.put(Table::GroupPart, place(&record.id), way.encode());
        trees::forget(tx, &record.id);
    } else {
        tx.delete(Table::GroupPart, place(&record.id));
        match told {
            true => trees::note(tx, record)?,
            false => trees::forget(tx, &record.id),
        }
    }
    backup::mark_way(tx, &record.id)
}

/// How a group is entered in its epoch of now.
fn way_now(tx: &mut Transaction<'_>, record: &GroupRecord) -> Result<VaultWay, EngineError> {
    let internal = |_| EngineError::Internal {
        what: "state of a group",
    };
    let group = state::open(tx, &record.id, Directory::new())?;
    Ok(VaultWay {
        id: record.id,
        epoch: record.epoch,
        token: record.token.duplicate(),
        envelope: record.envelope.duplicate(),
        suite: record.suite,
        info: group.info().map_err(internal)?,
        tree: group.tree().map_err(internal)?,
    })
}

/// Whether a home that was restored, and comes in from an epoch, missed nothing that was said in the group: the backup was
/// of that epoch.
pub(super) fn missed_nothing(
    tx: &Transaction<'_>,
    record: &GroupRecord,
) -> Result<bool, EngineError> {
    if state::is_known(tx, &record.id)? {
        return Ok(false);
    }
    let way = kept(tx, &record.id)?.map(|way| VaultWay::decode(&way));
    Ok(way
        .transpose()?
        .is_some_and(|way| way.epoch == record.epoch))
}

/// The group went on without a home that was restored, or those devices are revoked that had its place: members are asked,
/// and learn of both.
pub(super) fn went_on(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<(), EngineError> {
    let waits = record.standing == GroupStanding::Lost && record.flight.is_none();
    match waits && !state::is_known(tx, &record.id)? {
        true => back::ask_back(tx, record),
        false => Ok(()),
    }
}

/// Lets a home that was restored come into the groups of its vaults again.
pub(super) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if !backup::was_restored(tx)? || packages::are_due(tx)? {
        return Ok(());
    }
    for (_, row) in tx.scan(Table::Vault, &[], None, usize::MAX)? {
        let vault = VaultRecord::decode(&row)?;
        if state::is_known(tx, &vault.id)? {
            continue;
        }
        let first = state::load(tx, &vault.id)?.is_none();
        if !first {
            continue;
        }
        match kept(tx, &vault.id)? {
            Some(way) => enter(tx, &vault, VaultWay::decode(&way)?)?,
            None => trees::fetch(tx, &vault.id)?,
        }
    }
    Ok(())
}

/// Tries to come into a group by what the backup has. If the group went on, its members are asked from then on.
fn enter(tx: &mut Transaction<'_>, vault: &VaultRecord, way: VaultWay) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let members = names_of(&way.tree).map_err(|_| StoreError::Damaged {
        what: "way into a vault",
    })?;
    let accounts = accounts_of(&way.tree).unwrap_or_default();
    // What is missing is asked for; the next tick finds it here.
    if !people::fill(tx, &mut Directory::new(), &accounts)? {
        return Ok(());
    }
    let mut record = fresh(&vault.id, own.relay.clone(), way.suite, tx.now);
    record.standing = GroupStanding::Lost;
    record.epoch = way.epoch;
    record.token = way.token.duplicate();
    record.envelope = way.envelope.duplicate();
    record.data = GroupData {
        name: vault.seen.name.clone(),
        roles: vault.seen.roles.clone(),
        vault: true,
        ..GroupData::default()
    };
    // Asked a minute from now, where this does not lead there.
    record.asked = Some(tx.now);
    state::store(tx, &record);
    let members = members.iter().map(|name| GroupMember {
        leaf: 0,
        account: name.account,
        device: name.device,
        key: [0; 32],
        inbox: None,
    });
    let members = GroupMembers(members.collect());
    let members_place = state::place(&vault.id, Part::Members);
    tx.put(Table::GroupPart, members_place, members.encode());
    let told = Told {
        epoch: way.epoch,
        token: way.token,
        envelope: way.envelope,
        sure: false,
    };
    back::come_back(tx, &own.id, &vault.id, told, (&way.info, &way.tree))
}
