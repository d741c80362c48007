//! A relay that was set back to an older copy lost entries of our log: our devices hand them in again.
//!
//! ```text
//!   CheckLog(head) ─► Conflict ─► CheckLog(head / 2) ─► ... ─► what the relay has ─► AppendEntries behind it
//! ```

use crate::error::{EngineError, StoreError};
use crate::own_log;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::VerifiedLog;
use zeroize::Zeroizing;

/// The newest entry that the relay may have, where that is not our newest: BE8 sequence.
const LAST: &[u8] = b"relay-log-last";

/// The sequence number that the relay is asked about.
pub(crate) fn asked_for(tx: &Transaction<'_>, log: &VerifiedLog) -> Result<u64, EngineError> {
    let head = log.head().sequence;
    let damaged = |_| StoreError::Damaged {
        what: "log at the relay",
    };
    match tx.get(Table::Meta, LAST)? {
        Some(last) => {
            let last = last.as_slice().try_into().map_err(damaged)?;
            Ok(u64::from_be_bytes(last).min(head))
        }
        None => Ok(head),
    }
}

fn note(tx: &mut Transaction<'_>, last: u64) {
    let last = Zeroizing::new(last.to_be_bytes().to_vec());
    tx.put(Table::Meta, LAST.to_vec(), last);
}

/// The relay has less than it was asked about: ask about less. False where nothing is less.
pub(crate) fn try_less(tx: &mut Transaction<'_>, log: &VerifiedLog) -> Result<bool, EngineError> {
    let asked = asked_for(tx, log)?;
    if asked == 0 {
        tx.delete(Table::Meta, LAST.to_vec());
        return Ok(false);
    }
    note(tx, asked >> 1);
    Ok(true)
}

/// The relay showed so much of our log.
pub(crate) fn has(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    shown: &[u8],
) -> Result<(), EngineError> {
    let shown = wire::RawLog::parse(shown).map_err(|_| EngineError::Protocol)?;
    note(tx, shown.head().min(log.head().sequence));
    Ok(())
}

/// Hands in what the relay lost. Says whether it lost anything.
pub(crate) fn remind(tx: &mut Transaction<'_>, log: &VerifiedLog) -> Result<bool, EngineError> {
    let last = asked_for(tx, log)?;
    tx.delete(Table::Meta, LAST.to_vec());
    if last == log.head().sequence {
        return Ok(false);
    }
    own_log::hand_in_again(tx, log, last)?;
    Ok(true)
}
