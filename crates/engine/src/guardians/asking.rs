//! A bare home asks to come back: a request in the account's log, shares from guardians, the key of the lock.
//!
//! ```text
//!   Finding ─► Appending ─► Waiting ─► enough shares, the delay is over ─► the secret ─► restore
//!                  ▲ conflict │           the request is gone from the log ─► end
//! ```
//!
//! Everything is stored: the home may be closed for two days and go on. The device's keys are those of the
//! request, for the log lets in no others.

mod collecting;

use crate::account;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::guardians::words;
use crate::input::CommandId;
use crate::limits;
use crate::outbox;
use crate::queues;
use crate::records::{
    APPROVALS, Ask, AskStage, GuardianPurpose, Lost, OwnQueue, Purpose, QueuePurpose, Record as _,
};
use crate::restore;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
pub(super) use collecting::{lock_open, lock_waits, progress};
use keys::Timestamp;
use keys::account_log::{DeviceSecrets, UnverifiedLog, VerifiedLog};
use keys::request_code::{RequestCode, RequestSecret};

const ASK: &[u8] = b"recovery-request";
/// Shares of one index that may wait: a wrong one must not keep the right one out.
const SHARES_OF_AN_INDEX: usize = 4;

fn load(tx: &Transaction<'_>) -> Result<Option<Ask>, EngineError> {
    match tx.get(Table::Meta, ASK)? {
        Some(bytes) => Ok(Some(Ask::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, ask: &Ask) {
    tx.put(Table::Meta, ASK.to_vec(), ask.encode());
}

/// Reads it from outside a step.
pub(super) fn read(snapshot: &dyn Snapshot) -> Result<Option<Ask>, StoreError> {
    let bytes = snapshot.get(Table::Meta, ASK)?;
    bytes.map(|bytes| Ask::decode(&bytes)).transpose()
}

/// The relay of the account that is asked for.
pub(crate) fn relay(tx: &Transaction<'_>) -> Result<Option<String>, EngineError> {
    Ok(load(tx)?.map(|ask| ask.relay))
}

/// Reads the relay from outside a step.
pub(crate) fn relay_of(snapshot: &dyn Snapshot) -> Result<Option<String>, StoreError> {
    Ok(read(snapshot)?.map(|ask| ask.relay))
}

/// Begins to ask; asked again for the same account it goes on.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    command: CommandId,
    lost: Lost,
    relay: String,
    device_name: String,
) -> Result<(), EngineError> {
    if account::exists(tx)? {
        return Err(EngineError::AccountExists);
    }
    if relay.is_empty() || relay.len() > limits::RELAY_URL_BYTES {
        return Err(EngineError::InvalidRelay);
    }
    if let Lost::Name(name) = &lost {
        account::check_name(name)?;
    }
    if let Some(mut before) = load(tx)? {
        if before.lost == lost && before.relay == relay {
            if before.stage == AskStage::Waiting {
                tx.outcome(command, CommandOutcome::RecoveryRequested);
            } else {
                before.command = command;
                store(tx, &before);
            }
            return Ok(());
        }
        end(tx, &before)?;
    }
    let secrets = DeviceSecrets::generate(keys::Suite::Hybrid, tx.rng).map_err(|_| {
        EngineError::Internal {
            what: "cryptographic library",
        }
    })?;
    let ask = Ask {
        stage: AskStage::Finding,
        command,
        lost,
        relay,
        device_name,
        secrets,
        secret: RequestSecret::random(tx.rng),
        log: Vec::new(),
        entry: [0; 64],
        approvals: Vec::new(),
        opens_at: None,
        due: tx.now,
        asking: true,
    };
    store(tx, &ask); // The queue is made at the relay that stands there.
    let (queue, token) = (ask.secret.queue_id(), ask.secret.send_token());
    queues::create_as(tx, QueuePurpose::Recovery, queue, token)?;
    fetch_log(tx, &ask)
}

fn ask_relay(
    tx: &mut Transaction<'_>,
    purpose: GuardianPurpose,
    request: wire::Request,
) -> Result<(), EngineError> {
    outbox::add_own(tx, Purpose::Guardians(purpose), request)
}

fn fetch_log(tx: &mut Transaction<'_>, ask: &Ask) -> Result<(), EngineError> {
    let wanted = match &ask.lost {
        Lost::Name(name) => wire::FetchLog::ByName(name.clone()),
        Lost::Account(account) => wire::FetchLog::ByAccount(*account),
    };
    ask_relay(tx, GuardianPurpose::AskLog, wire::Request::FetchLog(wanted))
}

fn check_log(tx: &mut Transaction<'_>, ask: &Ask) -> Result<(), EngineError> {
    let log = verified(ask)?;
    let request = wire::Request::CheckLog(wire::CheckLog {
        account: *log.account_id(),
        sequence: log.head().sequence,
    });
    ask_relay(tx, GuardianPurpose::AskLog, request)
}

fn verified(ask: &Ask) -> Result<VerifiedLog, EngineError> {
    let expected = match &ask.lost {
        Lost::Name(_) => None,
        Lost::Account(account) => Some(account),
    };
    UnverifiedLog::decode(&ask.log)
        .and_then(|log| log.verify(expected, None))
        .map_err(|error| EngineError::LogRefuses { error })
}

/// The log came, or its beginning.
pub(super) fn log_came(tx: &mut Transaction<'_>, log: &[u8]) -> Result<(), EngineError> {
    let Some(mut ask) = load(tx)?.filter(|ask| ask.stage == AskStage::Finding) else {
        return Ok(());
    };
    ask.log = log.to_vec();
    store(tx, &ask);
    check_log(tx, &ask)
}

/// More of the log came.
pub(super) fn more_came(
    tx: &mut Transaction<'_>,
    entries: &wire::Entries,
) -> Result<(), EngineError> {
    let Some(mut ask) = load(tx)? else {
        return Ok(());
    };
    ask.log = wire::RawLog::parse(&ask.log)
        .and_then(|log| log.with(&entries.entries))
        .map_err(|_| EngineError::Protocol)?;
    store(tx, &ask);
    check_log(tx, &ask)
}

/// There is no more of the log.
pub(super) fn log_complete(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)? {
        Some(ask) if ask.stage == AskStage::Finding => append(tx, ask),
        Some(ask) if ask.stage == AskStage::Waiting => collecting::go_on(tx, ask),
        _ => Ok(()),
    }
}

fn append(tx: &mut Transaction<'_>, mut ask: Ask) -> Result<(), EngineError> {
    let log = verified(&ask)?;
    if ask.secrets.suite() != log.suite() {
        let renewed = ask.secrets.renewed(log.suite(), tx.rng);
        ask.secrets = renewed.map_err(|_| EngineError::Internal {
            what: "cryptographic library",
        })?;
    }
    let signed = log
        .request_recovery(&ask.secrets, tx.now)
        .map_err(|error| EngineError::LogRefuses { error })?;
    let raw = wire::RawLog::parse(signed.bytes()).map_err(|_| EngineError::Protocol)?;
    let part = raw.part(signed.head().sequence);
    let entries = part.ok_or(EngineError::Protocol)?.entries.to_vec();
    ask.entry = signed.head().hash;
    ask.log = signed.bytes().to_vec();
    ask.stage = AskStage::Appending;
    store(tx, &ask);
    let request = wire::Request::AppendEntries(wire::AppendEntries {
        account: *log.account_id(),
        after: log.head().sequence,
        entries,
    });
    ask_relay(tx, GuardianPurpose::AskAppend, request)
}

/// The request is in the log: the code may be told.
pub(super) fn appended(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(mut ask) = load(tx)?.filter(|ask| ask.stage == AskStage::Appending) else {
        return Ok(());
    };
    ask.stage = AskStage::Waiting;
    ask.asking = false;
    ask.due = tx.now.saturating_add(limits::RECOVERY_LOOK_SECONDS);
    let command = std::mem::take(&mut ask.command);
    store(tx, &ask);
    tx.outcome(command, CommandOutcome::RecoveryRequested);
    Ok(())
}

/// The code of a request that stands in the log.
pub(super) fn code_of(ask: &Ask) -> Option<RequestCode> {
    let stored = ask.secret.encode();
    let secret = RequestSecret::decode(stored.expose_secret())?;
    (ask.stage == AskStage::Waiting).then(|| RequestCode::new(&ask.entry, secret))
}

/// A body came to the mailbox.
pub(crate) fn received(
    tx: &mut Transaction<'_>,
    queue: &OwnQueue,
    body: &[u8],
) -> Result<(), EngineError> {
    let waiting = |ask: &Ask| ask.stage == AskStage::Waiting && ask.secret.queue_id() == queue.id;
    let Some(mut ask) = load(tx)?.filter(waiting) else {
        return Ok(());
    };
    let log = verified(&ask)?;
    let own = (log.account_id(), ask.secrets.envelope());
    // Who was not told the code is not heard.
    let Some(approval) = words::open(own, &ask.secret, body) else {
        return Ok(());
    };
    let same = ask.approvals.iter();
    let same = same.filter(|known| known.index == approval.index).count();
    let many = ask.approvals.len() >= usize::try_from(APPROVALS).unwrap_or(0);
    let other_set = super::owner::set_in_force(&log) != Some(approval.set);
    if many || same >= SHARES_OF_AN_INDEX || other_set || ask.approvals.contains(&approval) {
        return Ok(());
    }
    ask.approvals.push(approval);
    let (got, need) = collecting::progress(&ask, &log);
    if got >= usize::from(need) {
        ask.due = tx.now;
    }
    store(tx, &ask);
    tx.event(Event::RecoveryApproved {
        got: u8::try_from(got).unwrap_or(u8::MAX),
        need,
    });
    Ok(())
}

/// Looks from time to time whether the request still stands and whether the wait is over.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let due =
        |ask: &Ask, now: Timestamp| ask.stage == AskStage::Waiting && !ask.asking && ask.due <= now;
    let Some(mut ask) = load(tx)?.filter(|ask| due(ask, tx.now)) else {
        return Ok(());
    };
    if account::exists(tx)? || restore::relay(tx)?.is_some() {
        return Ok(());
    }
    ask.asking = true;
    store(tx, &ask);
    check_log(tx, &ask)
}

/// Somebody waits for the end, and wants it looked at now.
pub(crate) fn carry_on(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    if restore::carry_on(tx, command)? {
        return Ok(());
    }
    let mut ask = load(tx)?.ok_or(EngineError::NoRecoveryUnderWay)?;
    ask.command = command;
    if ask.stage == AskStage::Waiting {
        ask.due = tx.now;
    }
    store(tx, &ask);
    tick(tx)
}

/// A person here gives up: the request may stay in the log, nobody goes on with it.
pub(crate) fn forget(tx: &mut Transaction<'_>, command: CommandId) -> Result<(), EngineError> {
    let ask = load(tx)?.ok_or(EngineError::NoRecoveryUnderWay)?;
    end(tx, &ask)?;
    tx.outcome(
        ask.command,
        CommandOutcome::Failed(EngineError::RecoveryCancelled),
    );
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// The account is here.
pub(crate) fn restored(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)? {
        Some(ask) => end(tx, &ask),
        None => Ok(()),
    }
}

/// The restoration failed: it is tried again later, as long as the request stands.
pub(crate) fn restoration_failed(
    tx: &mut Transaction<'_>,
    error: &EngineError,
) -> Result<(), EngineError> {
    match load(tx)? {
        Some(ask) => later(tx, ask, error.clone()),
        None => Ok(()),
    }
}

fn later(tx: &mut Transaction<'_>, mut ask: Ask, error: EngineError) -> Result<(), EngineError> {
    ask.asking = false;
    ask.due = tx.now.saturating_add(limits::RECOVERY_LOOK_SECONDS);
    store(tx, &ask);
    tx.event(Event::RecoveryDelayed { error });
    Ok(())
}

/// The relay refused what was asked.
pub(super) fn refused(
    tx: &mut Transaction<'_>,
    kind: wire::RefusalKind,
) -> Result<(), EngineError> {
    let Some(ask) = load(tx)? else {
        return Ok(());
    };
    match (ask.stage, kind) {
        // Another entry was faster.
        (AskStage::Appending, wire::RefusalKind::Conflict) => sign_again(tx, ask),
        // It waited for another request, and is dated too far back now.
        (AskStage::Appending, wire::RefusalKind::BadLog) if is_old(&ask, tx.now)? => {
            sign_again(tx, ask)
        }
        (AskStage::Finding, wire::RefusalKind::NotFound) => {
            fail(tx, &ask, EngineError::UnknownName)
        }
        (AskStage::Waiting, kind) => later(tx, ask, EngineError::Refused { kind }),
        (_, kind) => fail(tx, &ask, EngineError::Refused { kind }),
    }
}

fn sign_again(tx: &mut Transaction<'_>, mut ask: Ask) -> Result<(), EngineError> {
    ask.stage = AskStage::Finding;
    ask.log = Vec::new();
    store(tx, &ask);
    fetch_log(tx, &ask)
}

fn is_old(ask: &Ask, now: Timestamp) -> Result<bool, EngineError> {
    let log = verified(ask)?;
    let request = log.open_request();
    Ok(request.is_some_and(|open| open.at().saturating_add(limits::REQUEST_OLD_SECONDS) < now))
}

/// What came cannot be used.
pub(super) fn broken(tx: &mut Transaction<'_>, error: EngineError) -> Result<(), EngineError> {
    match load(tx)? {
        Some(ask) if ask.stage == AskStage::Waiting => later(tx, ask, error),
        Some(ask) => fail(tx, &ask, error),
        None => Ok(()),
    }
}

fn fail(tx: &mut Transaction<'_>, ask: &Ask, error: EngineError) -> Result<(), EngineError> {
    end(tx, ask)?;
    tx.event(Event::RecoveryEnded {
        error: error.clone(),
    });
    tx.outcome(ask.command, CommandOutcome::Failed(error));
    Ok(())
}

fn end(tx: &mut Transaction<'_>, ask: &Ask) -> Result<(), EngineError> {
    if let Some(queue) = queues::load(tx, &ask.secret.queue_id())? {
        queues::close(tx, &queue)?;
    }
    tx.delete(Table::Meta, ASK.to_vec());
    Ok(())
}
