//! Shares that are kept here for others.

use crate::backup;
use crate::errands;
use crate::error::EngineError;
use crate::event::Event;
use crate::guardians::owner::set_in_force;
use crate::guardians::words::{Share, Word};
use crate::limits;
use crate::records::{Contact, KeptShare, Record as _};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::AccountId;
use keys::account_log::VerifiedLog;

pub(super) fn load(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Option<KeptShare>, EngineError> {
    match tx.get(Table::Share, account.as_bytes())? {
        Some(bytes) => Ok(Some(KeptShare::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// Whether bytes are what an account tells its guardians.
pub(crate) fn is_word(bytes: &[u8]) -> bool {
    Word::decode(bytes).is_ok()
}

/// A contact tells something to a guardian. One of a later version is passed over.
pub(crate) fn heard(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    word: &[u8],
) -> Result<(), EngineError> {
    match Word::decode(word) {
        Ok(Word::Share(share)) => take(tx, contact, share),
        Ok(Word::Forget(set)) => forget(tx, &contact.id, &set, true),
        Err(_) => Ok(()),
    }
}

fn take(tx: &mut Transaction<'_>, contact: &Contact, share: Share) -> Result<(), EngineError> {
    let known = load(tx, &contact.id)?;
    if known.is_some_and(|known| known.sequence >= share.sequence) {
        return Ok(());
    }
    let kept = KeptShare {
        account: contact.id,
        set: share.set,
        sequence: share.sequence,
        index: share.index,
        need: share.need,
        count: share.count,
        lock: share.lock,
        token: share.token,
        relay: share.relay,
        wrapped: share.wrapped,
        since: tx.now,
    };
    store(tx, &kept)?;
    tx.event(Event::ShareKept {
        contact: contact.id,
    });
    errands::tell_share(tx, &kept.encode())
}

fn store(tx: &mut Transaction<'_>, share: &KeptShare) -> Result<(), EngineError> {
    let place = share.account.as_bytes().to_vec();
    tx.put(Table::Share, place, share.encode());
    backup::mark_share(tx, &share.account)
}

/// Another device of ours, an archive or a backup has a share.
pub(crate) fn keep(tx: &mut Transaction<'_>, bytes: &[u8]) -> Result<(), EngineError> {
    let Ok(share) = KeptShare::decode(bytes) else {
        return Ok(());
    };
    let many = tx.scan(Table::Share, &[], None, limits::SHARES)?.len() >= limits::SHARES;
    let known = load(tx, &share.account)?;
    if many || known.is_some_and(|known| known.sequence >= share.sequence) {
        return Ok(());
    }
    store(tx, &share)
}

/// Another device of ours let a share go.
pub(crate) fn forgotten_elsewhere(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    set: &[u8; 16],
) -> Result<(), EngineError> {
    forget(tx, account, set, false)
}

fn forget(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    set: &[u8; 16],
    tell: bool,
) -> Result<(), EngineError> {
    if load(tx, account)?.is_none_or(|known| known.set != *set) {
        return Ok(());
    }
    tx.delete(Table::Share, account.as_bytes().to_vec());
    backup::mark_share(tx, account)?;
    tx.event(Event::ShareForgotten { contact: *account });
    if tell {
        errands::tell_share_forgotten(tx, account, set)?;
    }
    Ok(())
}

/// The log of a contact went on: a share of guardians that are not in force any more is worth nothing.
pub(crate) fn contact_log_changed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let Some(share) = load(tx, account)? else {
        return Ok(());
    };
    let newer = log.head().sequence >= share.sequence;
    if newer && set_in_force(log) != Some(share.set) {
        forget(tx, account, &share.set, false)?;
    }
    Ok(())
}
