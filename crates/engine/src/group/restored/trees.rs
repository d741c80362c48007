//! Ratchet trees that are too long for the backup: each lies beside it as a blob, of which the backup has the key
//! (docs/spec/vault.md, section 1).
//!
//! ```text
//!   a commit ─► due ─► rested? ─► a blob on its way ─► the relay has it ─► the backup names it
//!   restored: what the backup names ─► fetched ─► a way in like any other
//! ```
//!
//! Each commit makes another tree, and nothing says less of it than all. So it is stored again only as often as its length
//! allows.

use super::way_now;
use crate::account;
use crate::archive;
use crate::backup;
use crate::error::EngineError;
use crate::group::state::{self, Part};
use crate::limits;
use crate::records::{
    GroupRecord, GroupStanding, PartPurpose, Record as _, VaultFarWay, VaultWay, key,
};
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::Role;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{BlobId, GroupId, Timestamp};
use zeroize::Zeroizing;

/// A way in whose tree is on its way to the relay.
const STORING: &[u8] = b"vault-tree/";

/// When the tree of a vault is stored again.
struct Due {
    /// Not before this.
    rests: Timestamp,
    /// It is another one than what the relay has.
    changed: bool,
}

impl Due {
    fn write(&self, tx: &mut Transaction<'_>, id: &GroupId) {
        let mut out = Writer::new();
        out.u64(self.rests.as_secs());
        out.u8(u8::from(self.changed));
        state::put_part(tx, id, Part::TreeDue, out.finish());
    }
}

fn due(tx: &Transaction<'_>, id: &GroupId) -> Result<Option<Due>, EngineError> {
    let bytes = tx.get(Table::GroupPart, &state::place(id, Part::TreeDue))?;
    let read = |bytes: &[u8]| {
        let mut input = Reader::new(bytes);
        Ok::<_, DecodeError>(Due {
            rests: Timestamp::from_secs(input.u64()?),
            changed: input.u8()? == 1,
        })
    };
    Ok(bytes.and_then(|bytes| read(&bytes).ok()))
}

/// What the backup has of a way in whose tree lies beside it, if anything.
pub(crate) fn kept(
    tx: &Transaction<'_>,
    id: &GroupId,
) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    Ok(tx.get(Table::GroupPart, &state::place(id, Part::FarWay))?)
}

fn way_of(tx: &Transaction<'_>, id: &GroupId) -> Result<Option<VaultFarWay>, EngineError> {
    let way = kept(tx, id)?.map(|way| VaultFarWay::decode(&way));
    Ok(way.transpose()?)
}

/// Keeps what a backup has.
pub(crate) fn keep(tx: &mut Transaction<'_>, record: &[u8]) -> Result<(), EngineError> {
    let way = VaultFarWay::decode(record)?;
    tx.delete(Table::GroupPart, state::place(&way.way.id, Part::Way));
    put(tx, &way);
    Ok(())
}

fn put(tx: &mut Transaction<'_>, way: &VaultFarWay) {
    let place = state::place(&way.way.id, Part::FarWay);
    tx.put(Table::GroupPart, place, way.encode());
}

/// No tree of this vault lies beside the backup, or is to.
pub(super) fn forget(tx: &mut Transaction<'_>, id: &GroupId) {
    for part in [Part::FarWay, Part::TreeDue] {
        tx.delete(Table::GroupPart, state::place(id, part));
    }
}

/// The group of a vault has another tree, too long for the backup itself.
pub(super) fn note(tx: &mut Transaction<'_>, record: &GroupRecord) -> Result<(), EngineError> {
    if !is_owner(tx, record)? {
        // What the backup names is of an epoch of then.
        tx.delete(Table::GroupPart, state::place(&record.id, Part::FarWay));
    }
    let rests = due(tx, &record.id)?.map_or(Timestamp::from_secs(0), |due| due.rests);
    let changed = true;
    Due { rests, changed }.write(tx, &record.id);
    Ok(())
}

/// Others ask members, or are let in by anybody. Where the only owner is gone nobody could give its role to another one.
fn is_owner(tx: &Transaction<'_>, record: &GroupRecord) -> Result<bool, EngineError> {
    let own = account::own(tx)?.id;
    Ok(record.standing == GroupStanding::In && record.data.role(&own) == Role::Owner)
}

/// All of the backup is written anew: trees as well, for blobs grow old.
pub(crate) fn renew(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for id in vaults(tx)? {
        if let Some(Due { rests, .. }) = due(tx, &id)? {
            let changed = true;
            Due { rests, changed }.write(tx, &id);
        }
    }
    Ok(())
}

fn vaults(tx: &Transaction<'_>) -> Result<Vec<GroupId>, EngineError> {
    let rows = tx.scan(Table::Vault, &[], None, usize::MAX)?;
    let ids = rows.iter().filter_map(|(id, _)| GroupId::from_slice(id));
    Ok(ids.collect())
}

/// Stores the trees that are due.
pub(crate) fn store_due(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for id in vaults(tx)? {
        let is_due = |due: &Due| due.changed && due.rests <= tx.now;
        if due(tx, &id)?.as_ref().is_some_and(is_due) {
            store(tx, &id)?;
        }
    }
    Ok(())
}

fn store(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let Some(record) = state::load(tx, id)? else {
        return Ok(());
    };
    if !is_owner(tx, &record)? {
        return Ok(());
    }
    let mut way = way_now(tx, &record)?;
    let tree = archive::seal(tx, &way.tree, PartPurpose::VaultTree)?;
    let rest = tree.size.checked_div(limits::VAULT_TREE_RATE).unwrap_or(0);
    let rests = tx.now.saturating_add(rest);
    let changed = false;
    Due { rests, changed }.write(tx, id);
    let storing = key(&[STORING, tree.blob.as_bytes()]);
    way.tree.clear();
    tx.put(Table::Meta, storing, VaultFarWay { way, tree }.encode());
    Ok(())
}

fn take_storing(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
) -> Result<Option<VaultFarWay>, EngineError> {
    let storing = key(&[STORING, blob.as_bytes()]);
    let way = tx.get(Table::Meta, &storing)?;
    tx.delete(Table::Meta, storing);
    let way = way.map(|way| VaultFarWay::decode(&way)).transpose()?;
    let Some(way) = way else {
        return Ok(None);
    };
    // The vault may have been left, or its tree have become small, meanwhile.
    let waits = due(tx, &way.way.id)?.is_some();
    Ok(Some(way).filter(|_| waits))
}

/// The relay has a tree: the backup names it.
pub(crate) fn stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    if let Some(way) = take_storing(tx, blob)? {
        put(tx, &way);
        backup::mark_way(tx, &way.way.id)?;
        backup::run(tx)?;
    }
    Ok(())
}

/// The relay does not take a tree: all else of the backup goes on, and this is tried again.
pub(crate) fn refused(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    if let Some(way) = take_storing(tx, blob)? {
        let rests = (tx.now).saturating_add(limits::VAULT_TREE_AGAIN_SECONDS);
        let changed = true;
        Due { rests, changed }.write(tx, &way.way.id);
    }
    Ok(())
}

/// Asks for the tree of a vault in a home that was restored, if its backup names one.
pub(super) fn fetch(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let Some(way) = way_of(tx, id)? else {
        return Ok(());
    };
    if archive::load(tx, &way.tree.blob)?.is_none() {
        let relay = account::own(tx)?.relay.clone();
        archive::fetch(tx, &way.tree, &relay, PartPurpose::VaultTree);
    }
    Ok(())
}

/// The way in that a tree was asked for.
fn fetching(tx: &Transaction<'_>, blob: &BlobId) -> Result<Option<VaultFarWay>, EngineError> {
    for id in vaults(tx)? {
        let way = way_of(tx, &id)?.filter(|way| way.tree.blob == *blob);
        if way.is_some() {
            return Ok(way);
        }
    }
    Ok(None)
}

/// A tree came: with it the way in is like any other. The backup goes on naming where it lies.
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<(), EngineError> {
    let Some(way) = fetching(tx, blob)? else {
        return Ok(());
    };
    let Ok(tree) = archive::open(&way.tree, sealed) else {
        return missing(tx, blob);
    };
    let way = VaultWay {
        tree: tree.to_vec(),
        ..way.way
    };
    tx.put(Table::GroupPart, super::place(&way.id), way.encode());
    Ok(())
}

/// The relay has a tree no more: somebody lets this account in, as where no backup names a way.
pub(crate) fn missing(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    if let Some(way) = fetching(tx, blob)? {
        forget(tx, &way.way.id);
    }
    Ok(())
}
