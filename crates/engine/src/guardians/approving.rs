//! A guardian says yes: the code a person brought is checked against the log, the lock begins to open, the share
//! goes to whoever asked.
//!
//! ```text
//!   CheckLog ─► the request is the code's ─► OpenLock ─► share into the mailbox ─► done
//! ```

use crate::contacts;
use crate::error::EngineError;
use crate::event::CommandOutcome;
use crate::guardians::keeping;
use crate::guardians::owner::set_in_force;
use crate::guardians::words;
use crate::input::CommandId;
use crate::logs;
use crate::outbox;
use crate::peers::{self, Peer};
use crate::records::{Approval, Approving, GuardianPurpose, KeptShare, Purpose, Record as _, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::DeviceRecord;
use keys::request_code::RequestCode;
use keys::{AccountId, MessageId};

/// A person said yes, and it is being done: by account id.
const APPROVING: &[u8] = b"approving/";

fn load(tx: &Transaction<'_>, account: &AccountId) -> Result<Option<Approving>, EngineError> {
    match tx.get(Table::Meta, &place(account))? {
        Some(bytes) => Ok(Some(Approving::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn place(account: &AccountId) -> Vec<u8> {
    key(&[APPROVING, account.as_bytes()])
}

/// Begins to hand a share over.
pub(crate) fn approve(
    tx: &mut Transaction<'_>,
    command: CommandId,
    account: &AccountId,
    code: RequestCode,
) -> Result<(), EngineError> {
    share_of(tx, account)?;
    if contacts::existing(tx, account)?.changed {
        return Err(EngineError::IdentityChanged { contact: *account });
    }
    let approving = Approving { command, code };
    tx.put(Table::Meta, place(account), approving.encode());
    let peer = peers::existing(tx, account)?;
    ask_log(tx, &peer)
}

fn share_of(tx: &Transaction<'_>, account: &AccountId) -> Result<KeptShare, EngineError> {
    keeping::load(tx, account)?.ok_or(EngineError::NoShare)
}

fn ask_log(tx: &mut Transaction<'_>, peer: &Peer) -> Result<(), EngineError> {
    let request = wire::Request::CheckLog(wire::CheckLog {
        account: peer.id,
        sequence: peer.log.head().sequence,
    });
    let purpose = Purpose::Guardians(GuardianPurpose::ApprovalLog(peer.id));
    outbox::add(tx, purpose, peer.relay.clone(), request).map(drop)
}

/// The relay has newer entries of the log.
pub(super) fn newer(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    entries: &wire::Entries,
) -> Result<(), EngineError> {
    let peer = peers::existing(tx, account)?;
    // Another question may have brought the same entries meanwhile.
    let log = logs::behind(&peer.log, entries).ok_or(EngineError::Protocol)?;
    logs::take_over(tx, &peer, &log)?;
    ask_log(tx, &peers::existing(tx, account)?)
}

/// The log is as new as the relay has it.
pub(super) fn log_confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<(), EngineError> {
    let Some(approving) = load(tx, account)? else {
        return Ok(());
    };
    let (share, _) = judge(tx, account, &approving.code)?;
    let request = wire::Request::OpenLock(wire::OpenLock {
        id: share.lock,
        token: wire::LockToken::from_bytes(share.token),
    });
    let purpose = Purpose::Guardians(GuardianPurpose::ApprovalLock(*account));
    outbox::add(tx, purpose, share.relay, request).map(drop)
}

/// The share, and the device that asks for it, if the code is of the request that stands in the log.
fn judge(
    tx: &Transaction<'_>,
    account: &AccountId,
    code: &RequestCode,
) -> Result<(KeptShare, DeviceRecord), EngineError> {
    let share = share_of(tx, account)?;
    let log = peers::existing(tx, account)?.log;
    if set_in_force(&log) != Some(share.set) {
        return Err(EngineError::NoShare);
    }
    let request = log.open_request().ok_or(EngineError::NoRecoveryRequest)?;
    let mut entries = log.entries().iter();
    let entry = entries.find(|entry| entry.sequence == request.sequence());
    // SECURITY: a share goes to the device whose code the person brought, and to no other that asks;
    // `a_code_of_another_request_moves_no_share` notices.
    if !entry.is_some_and(|entry| code.names(&entry.hash)) {
        return Err(EngineError::RequestCodeDiffers);
    }
    Ok((share, request.device().clone()))
}

/// The lock opens: the share leaves.
pub(super) fn lock_opens(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    let Some(approving) = load(tx, account)? else {
        return Ok(());
    };
    let (share, device) = judge(tx, account, &approving.code)?;
    let secret = approving.code.secret();
    let approval = Approval {
        set: share.set,
        index: share.index,
        lock: share.lock,
        token: share.token,
        wrapped: share.wrapped,
    };
    let body = words::seal(tx, (account, &device), secret, &approval)?;
    let request = wire::Request::Send(wire::Send {
        message_id: MessageId::random(tx.rng),
        body,
        rows: vec![wire::SendRow {
            queue_id: secret.queue_id(),
            token: wire::SendToken::from_bytes(*secret.send_token().expose_secret()),
        }],
    });
    let purpose = Purpose::Guardians(GuardianPurpose::Approval(*account));
    outbox::add(tx, purpose, share.relay, request).map(drop)
}

/// The share is in the mailbox, or not.
pub(super) fn sent(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    result: &wire::SendResult,
) -> Result<(), EngineError> {
    match result.rows.first() {
        Some(wire::RowResult::Accepted { .. } | wire::RowResult::Duplicate { .. }) => {
            end(tx, account, CommandOutcome::Done)
        }
        // Whoever asked gave up.
        _ => Err(EngineError::NoRecoveryRequest),
    }
}

/// It came to nothing.
pub(super) fn failed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    error: EngineError,
) -> Result<(), EngineError> {
    end(tx, account, CommandOutcome::Failed(error))
}

fn end(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    outcome: CommandOutcome,
) -> Result<(), EngineError> {
    if let Some(approving) = load(tx, account)? {
        tx.delete(Table::Meta, place(account));
        tx.outcome(approving.command, outcome);
    }
    Ok(())
}
