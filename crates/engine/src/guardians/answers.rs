//! What relays answer among guardians.

use crate::error::EngineError;
use crate::guardians::{approving, asking, lock, owner};
use crate::records::GuardianPurpose;
use crate::transaction::Transaction;
use wire::Reply;

/// Hands an answer to whoever asked.
pub(crate) fn answer(
    tx: &mut Transaction<'_>,
    purpose: GuardianPurpose,
    reply: Reply,
) -> Result<(), EngineError> {
    match (purpose, reply) {
        (GuardianPurpose::PutLock, Reply::Done) => owner::lock_put(tx),
        (GuardianPurpose::LockStatus, Reply::LockState(state)) => lock::told(tx, state),
        (GuardianPurpose::CancelLock, Reply::Done) => lock::closed(tx),
        // What is not there needs no deletion; a lock that changed meanwhile is looked at again in an hour.
        (
            GuardianPurpose::Delete | GuardianPurpose::LockStatus | GuardianPurpose::CancelLock,
            _,
        ) => Ok(()),
        (GuardianPurpose::ApprovalLog(account), Reply::Entries(entries)) => {
            approving::newer(tx, &account, &entries)
        }
        (GuardianPurpose::ApprovalLog(account), Reply::Done) => {
            approving::log_confirmed(tx, &account)
        }
        // Somebody else may have begun to open it; then this guardian is told the key, and does not look at it.
        (GuardianPurpose::ApprovalLock(account), Reply::LockState(_) | Reply::LockKey(_)) => {
            approving::lock_opens(tx, &account)
        }
        (GuardianPurpose::Approval(account), Reply::SendResult(result)) => {
            approving::sent(tx, &account, &result)
        }
        (purpose, reply) => of_asking(tx, &purpose, reply),
    }
}

/// Answers to a home that asks to come back.
fn of_asking(
    tx: &mut Transaction<'_>,
    purpose: &GuardianPurpose,
    reply: Reply,
) -> Result<(), EngineError> {
    match (purpose, reply) {
        (GuardianPurpose::AskLog, Reply::Log(log)) => asking::log_came(tx, &log.log),
        (GuardianPurpose::AskLog, Reply::Entries(entries)) => asking::more_came(tx, &entries),
        (GuardianPurpose::AskLog, Reply::Done) => asking::log_complete(tx),
        (GuardianPurpose::AskAppend, Reply::Done) => asking::appended(tx),
        (GuardianPurpose::AskLock, Reply::LockState(state)) => asking::lock_waits(tx, state),
        (GuardianPurpose::AskLock, Reply::LockKey(key)) => {
            asking::lock_open(tx, &keys::Secret::from_fn(|out| *out = *key.as_bytes()))
        }
        (
            GuardianPurpose::AskLog | GuardianPurpose::AskAppend | GuardianPurpose::AskLock,
            Reply::Refused(refused),
        ) => asking::refused(tx, refused.kind),
        (_, Reply::Refused(refused)) => Err(EngineError::Refused { kind: refused.kind }),
        _ => Err(EngineError::Protocol),
    }
}

/// An answer led to nothing: whoever waits for it is told.
pub(crate) fn broken(
    tx: &mut Transaction<'_>,
    purpose: &GuardianPurpose,
    error: EngineError,
) -> Result<(), EngineError> {
    match purpose {
        GuardianPurpose::PutLock => owner::lock_refused(tx, error),
        GuardianPurpose::LockStatus | GuardianPurpose::CancelLock | GuardianPurpose::Delete => {
            Ok(())
        }
        GuardianPurpose::ApprovalLog(account)
        | GuardianPurpose::ApprovalLock(account)
        | GuardianPurpose::Approval(account) => approving::failed(tx, account, error),
        GuardianPurpose::AskLog | GuardianPurpose::AskAppend | GuardianPurpose::AskLock => {
            asking::broken(tx, error)
        }
    }
}
