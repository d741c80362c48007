//! The owner's eye on the lock: who opens it without a request in the log is stopped.
//!
//! ```text
//!   at the start and every hour: LockStatus ─► opening ─► CheckLog ─► no open request ─► CancelLock
//!                                             └────► a request stands there: a person decides
//! ```

use crate::account;
use crate::devices;
use crate::error::EngineError;
use crate::event::Event;
use crate::guardians::owner;
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::records::{GuardianPurpose, Purpose};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{Timestamp, ed25519};
use zeroize::Zeroizing;

/// When the lock was last looked at: BE8 seconds.
const LOOKED: &[u8] = b"lock-looked";
/// The lock opens, and the own log is being asked for: BE8 time of opening.
const SUSPECT: &[u8] = b"lock-suspect";

/// Looks at the lock once an hour.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let looked = time(tx, LOOKED)?.unwrap_or(Timestamp::from_secs(0));
    let recent = looked <= tx.now && tx.now.since(looked) < limits::LOCK_LOOK_SECONDS;
    if recent {
        return Ok(());
    }
    look(tx)
}

/// The program starts: whoever runs it for a moment only, once a day, is not to learn of a request an hour later.
pub(crate) fn started(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if account::exists(tx)? && !devices::is_revoked(tx)? {
        look(tx)?;
    }
    Ok(())
}

/// Looks at the lock, and at the own log.
pub(crate) fn look(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(guardians) = owner::load(tx)? else {
        return Ok(());
    };
    put_time(tx, LOOKED, tx.now);
    let own = account::own(tx)?;
    logs::check(tx, &own.id)?;
    let id = wire::lock_id(&ed25519::public(&guardians.lock_key));
    let purpose = Purpose::Guardians(GuardianPurpose::LockStatus);
    let request = wire::Request::LockStatus(wire::LockStatus { id });
    outbox::add_own(tx, purpose, request)
}

/// The relay said how the lock stands.
pub(super) fn told(tx: &mut Transaction<'_>, state: wire::LockState) -> Result<(), EngineError> {
    let Some(mut guardians) = owner::load(tx)? else {
        return Ok(());
    };
    if guardians.opens_at != state.opens_at {
        guardians.opens_at = state.opens_at;
        owner::store(tx, &guardians);
    }
    match state.opens_at {
        None => tx.delete(Table::Meta, SUSPECT.to_vec()),
        Some(at) => {
            put_time(tx, SUSPECT, at);
            let own = account::own(tx)?;
            logs::check(tx, &own.id)?;
        }
    }
    Ok(())
}

/// The own log is as new as the relay has it: a lock that opens although nobody asks in the log is closed.
pub(crate) fn log_confirmed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let (Some(at), Some(guardians)) = (time(tx, SUSPECT)?, owner::load(tx)?) else {
        return Ok(());
    };
    tx.delete(Table::Meta, SUSPECT.to_vec());
    let own = account::own(tx)?;
    if account::log_of(&own)?.open_request().is_some() {
        return Ok(());
    }
    // SECURITY: guardians who conspire would get the relay's key unseen, without a request that anybody could
    // cancel; `a_lock_that_opens_without_a_request_is_closed` notices.
    let public_key = ed25519::public(&guardians.lock_key);
    let message = wire::cancel_lock_message(&public_key, at);
    let request = wire::Request::CancelLock(wire::CancelLock {
        public_key,
        opens_at: at,
        signature: ed25519::sign(&guardians.lock_key, &message),
    });
    tx.event(Event::LockClosed {
        key_is_out: at <= tx.now,
    });
    let purpose = Purpose::Guardians(GuardianPurpose::CancelLock);
    outbox::add_own(tx, purpose, request)
}

/// The relay closed the lock.
pub(super) fn closed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if let Some(mut guardians) = owner::load(tx)? {
        guardians.opens_at = None;
        owner::store(tx, &guardians);
    }
    Ok(())
}

fn time(tx: &Transaction<'_>, place: &[u8]) -> Result<Option<Timestamp>, EngineError> {
    let bytes = tx.get(Table::Meta, place)?;
    let seconds = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
    Ok(seconds.map(u64::from_be_bytes).map(Timestamp::from_secs))
}

fn put_time(tx: &mut Transaction<'_>, place: &[u8], at: Timestamp) {
    let value = Zeroizing::new(at.as_secs().to_be_bytes().to_vec());
    tx.put(Table::Meta, place.to_vec(), value);
}
