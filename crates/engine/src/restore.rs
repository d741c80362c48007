//! A bare home becomes a device of an account again, by a recovery secret and a relay that may lie.
//!
//! ```text
//!   Head ─► Log ─► Adding ─► Importing ─► an account like any other
//! ```
//!
//! The head is signed and sealed by keys of the secret; the log must go at least as far as the head says, and
//! must still name the secret. What the relay withholds beyond that shows with the first letters: contacts say
//! how far they saw the log and the backup.

use crate::account;
use crate::archive;
use crate::backup::{self, Bundle};
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::guardians;
use crate::input::CommandId;
use crate::limits;
use crate::outbox;
use crate::records::{Part, PartPurpose, Purpose, Record as _, Restore, RestoreStage};
use crate::recovery;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{
    Authority, DeviceSecrets, Method, Pin, RecoverySecrets, UnverifiedLog, VerifiedLog,
};
use keys::{AccountId, Secret, Suite, Timestamp};
use zeroize::Zeroizing;

const RESTORE: &[u8] = b"restore";
const LIBRARY: EngineError = EngineError::Internal {
    what: "cryptographic library",
};

fn load(tx: &Transaction<'_>) -> Result<Option<Restore>, EngineError> {
    match tx.get(Table::Meta, RESTORE)? {
        Some(bytes) => Ok(Some(Restore::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, restore: &Restore) {
    tx.put(Table::Meta, RESTORE.to_vec(), restore.encode());
}

/// The relay of an account that is being restored here.
pub(crate) fn relay(tx: &Transaction<'_>) -> Result<Option<String>, EngineError> {
    Ok(load(tx)?.map(|restore| restore.relay))
}

/// Reads the relay from outside a step.
pub(crate) fn relay_of(snapshot: &dyn Snapshot) -> Result<Option<String>, StoreError> {
    let restore = snapshot.get(Table::Meta, RESTORE)?;
    let restore = restore.map(|bytes| Restore::decode(&bytes)).transpose()?;
    Ok(restore.map(|restore| restore.relay))
}

/// Begins, or goes on where the same secret was before.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    command: CommandId,
    (method, seed): (Method, Secret<32>),
    relay: String,
    device_name: String,
) -> Result<(), EngineError> {
    if account::exists(tx)? {
        return Err(EngineError::AccountExists);
    }
    if relay.is_empty() || relay.len() > limits::RELAY_URL_BYTES {
        return Err(EngineError::InvalidRelay);
    }
    if let Some(mut before) = load(tx)? {
        if before.seed.ct_eq(&seed) && before.stage > RestoreStage::Head {
            before.command = command;
            store(tx, &before);
            return Ok(());
        }
        end(tx, &before)?;
    }
    // Of the most common suite; the head tells which it is.
    let secrets = DeviceSecrets::generate(Suite::Hybrid, tx.rng).map_err(|_| LIBRARY)?;
    let arrival = Arrival {
        method,
        seed,
        relay,
        device_name,
        secrets,
    };
    start(tx, command, arrival)
}

/// A secret, and the device that comes in by it.
pub(crate) struct Arrival {
    pub(crate) method: Method,
    pub(crate) seed: Secret<32>,
    pub(crate) relay: String,
    pub(crate) device_name: String,
    pub(crate) secrets: DeviceSecrets,
}

/// Begins with a device whose keys are chosen already.
pub(crate) fn start(
    tx: &mut Transaction<'_>,
    command: CommandId,
    arrival: Arrival,
) -> Result<(), EngineError> {
    let restore = Restore {
        stage: RestoreStage::Head,
        command,
        method: arrival.method,
        seed: arrival.seed,
        relay: arrival.relay,
        device_name: arrival.device_name,
        secrets: arrival.secrets,
        account: AccountId::from_bytes([0; 32]),
        name: String::new(),
        pin: Pin {
            sequence: 0,
            hash: [0; 64],
        },
        log: Vec::new(),
        at: Timestamp::from_secs(0),
        version: 0,
        letters: 0,
        sealed_root: Vec::new(),
        parts: Vec::new(),
        total: 0,
        tail: Zeroizing::new(Vec::new()),
    };
    store(tx, &restore);
    let id = keys_of(&restore)?.head_id();
    let request = wire::Request::FetchHead(wire::FetchHead { id });
    outbox::add_own(tx, Purpose::RestoreHead, request)
}

/// Somebody waits for the end of a restoration that is under way. False: none is.
pub(crate) fn carry_on(tx: &mut Transaction<'_>, command: CommandId) -> Result<bool, EngineError> {
    let Some(mut restore) = load(tx)? else {
        return Ok(false);
    };
    restore.command = command;
    store(tx, &restore);
    Ok(true)
}

fn keys_of(restore: &Restore) -> Result<RecoverySecrets, EngineError> {
    RecoverySecrets::derive(restore.secrets.suite(), restore.method, &restore.seed)
        .map_err(|_| LIBRARY)
}

/// The relay shows the head.
pub(crate) fn head_came(tx: &mut Transaction<'_>, head: &wire::Head) -> Result<(), EngineError> {
    let Some(mut restore) = load(tx)?.filter(|restore| restore.stage == RestoreStage::Head) else {
        return Ok(());
    };
    // SECURITY: signed and sealed by keys that only the secret gives; `forged_backup_is_refused` notices.
    if !head.is_signed(&keys_of(&restore)?.head_id()) {
        return fail(tx, &restore, EngineError::BadBackup);
    }
    let Some((suite, bundle)) = open(&restore, head)? else {
        return fail(tx, &restore, EngineError::BadBackup);
    };
    if suite != restore.secrets.suite() {
        let renewed = restore.secrets.renewed(suite, tx.rng);
        restore.secrets = renewed.map_err(|_| LIBRARY)?;
    }
    restore.account = bundle.account;
    restore.name = bundle.name;
    restore.pin = bundle.pin;
    restore.at = bundle.at;
    restore.version = head.version;
    restore.letters = bundle.letters;
    restore.sealed_root = bundle.sealed_root;
    restore.total = u64::try_from(bundle.parts.len()).unwrap_or(u64::MAX);
    restore.parts = bundle.parts;
    restore.tail = bundle.tail;
    restore.stage = RestoreStage::Log;
    store(tx, &restore);
    fetch_log(tx, &restore)
}

/// The head's suite is that of the keys which open it.
fn open(restore: &Restore, head: &wire::Head) -> Result<Option<(Suite, Bundle)>, EngineError> {
    for suite in Suite::ALL {
        let secrets = RecoverySecrets::derive(suite, restore.method, &restore.seed);
        if let Ok(bundle) = Bundle::open(&secrets.map_err(|_| LIBRARY)?, head) {
            return Ok(Some((suite, bundle)));
        }
    }
    Ok(None)
}

fn fetch_log(tx: &mut Transaction<'_>, restore: &Restore) -> Result<(), EngineError> {
    let request = wire::Request::FetchLog(wire::FetchLog::ByAccount(restore.account));
    outbox::add_own(tx, Purpose::RestoreLog, request)
}

/// The relay shows the log, or its beginning.
pub(crate) fn log_came(tx: &mut Transaction<'_>, log: &[u8]) -> Result<(), EngineError> {
    let Some(mut restore) = load(tx)?.filter(|restore| restore.stage == RestoreStage::Log) else {
        return Ok(());
    };
    let raw = wire::RawLog::parse(log).map_err(|_| EngineError::Protocol)?;
    let sequence = raw.head();
    // The first answer may be a part of the log; a check tells whether there is more.
    if restore.log != log {
        restore.log = log.to_vec();
        store(tx, &restore);
        let account = restore.account;
        let request = wire::Request::CheckLog(wire::CheckLog { account, sequence });
        return outbox::add_own(tx, Purpose::RestoreLog, request);
    }
    Ok(())
}

/// More of the log came.
pub(crate) fn more_came(
    tx: &mut Transaction<'_>,
    entries: &wire::Entries,
) -> Result<(), EngineError> {
    let Some(restore) = load(tx)? else {
        return Ok(());
    };
    let log = wire::RawLog::parse(&restore.log)
        .and_then(|log| log.with(&entries.entries))
        .map_err(|_| EngineError::Protocol)?;
    log_came(tx, &log)
}

/// There is no more of the log: the new device goes into it.
pub(crate) fn log_complete(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(restore) = load(tx)?.filter(|restore| restore.stage == RestoreStage::Log) else {
        return Ok(());
    };
    match add(tx, &restore) {
        Ok(Some(log)) => append(tx, restore, &log),
        Ok(None) => import(tx, restore),
        Err(error) => fail(tx, &restore, error),
    }
}

/// The log with the new device; nothing, if a restoration that broke off has added it already.
fn add(tx: &Transaction<'_>, restore: &Restore) -> Result<Option<VerifiedLog>, EngineError> {
    let secrets = keys_of(restore)?;
    // SECURITY: a log that ends before what the bundle saw was rolled back; `rolled_back_log_is_refused`.
    let log = UnverifiedLog::decode(&restore.log)
        .and_then(|log| log.verify(Some(&restore.account), Some(&restore.pin)))
        .map_err(|error| EngineError::LogRefuses { error })?;
    let record = log.recovery(restore.method);
    if record.is_none_or(|record| *record.head_id() != secrets.head_id()) {
        return Err(EngineError::RecoveryNotInForce);
    }
    if log.device(restore.secrets.device_id()).is_some() {
        return Ok(None);
    }
    log.add_device(
        Authority::Recovery(&secrets),
        &restore.secrets,
        true,
        tx.now,
    )
    .map(Some)
    .map_err(|error| EngineError::LogRefuses { error })
}

fn append(
    tx: &mut Transaction<'_>,
    mut restore: Restore,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let after = log.head().sequence.saturating_sub(1);
    let raw = wire::RawLog::parse(log.bytes()).map_err(|_| EngineError::Protocol)?;
    let entries = raw.part(log.head().sequence).ok_or(EngineError::Protocol)?;
    let entries = entries.entries.to_vec();
    restore.log = log.bytes().to_vec();
    restore.stage = RestoreStage::Adding;
    store(tx, &restore);
    let request = wire::Request::AppendEntries(wire::AppendEntries {
        account: restore.account,
        after,
        entries,
    });
    outbox::add_own(tx, Purpose::RestoreAppend, request)
}

/// The new device is in the log.
pub(crate) fn added(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)?.filter(|restore| restore.stage == RestoreStage::Adding) {
        Some(restore) => import(tx, restore),
        None => Ok(()),
    }
}

fn import(tx: &mut Transaction<'_>, mut restore: Restore) -> Result<(), EngineError> {
    restore.stage = RestoreStage::Importing;
    tx.raise_number("letters", restore.letters)?;
    store(tx, &restore);
    next(tx, restore)
}

fn next(tx: &mut Transaction<'_>, restore: Restore) -> Result<(), EngineError> {
    match restore.parts.first() {
        Some(part) => {
            archive::fetch(tx, part, &restore.relay, PartPurpose::Backup);
            Ok(())
        }
        None => install(tx, restore),
    }
}

/// A part came.
pub(crate) fn part_came(
    tx: &mut Transaction<'_>,
    part: &Part,
    sealed: &[u8],
) -> Result<(), EngineError> {
    let Some(mut restore) = load(tx)?.filter(|restore| restore.stage == RestoreStage::Importing)
    else {
        return Ok(());
    };
    if restore
        .parts
        .first()
        .is_none_or(|first| first.blob != part.blob)
    {
        return Ok(());
    }
    let first = restore.parts.remove(0);
    let taken = archive::open(&first, sealed).and_then(|part| archive::take_in(tx, &part));
    if let Err(error) = taken {
        return missing(tx, restore, error);
    }
    progress(tx, &restore);
    store(tx, &restore);
    next(tx, restore)
}

fn progress(tx: &mut Transaction<'_>, restore: &Restore) {
    let left = u64::try_from(restore.parts.len()).unwrap_or(u64::MAX);
    tx.event(Event::LinkProgress {
        done: restore.total.saturating_sub(left),
        total: restore.total,
    });
}

/// The relay does not have a part of the history: the rest is taken, and the person is told.
pub(crate) fn part_failed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(mut restore) = load(tx)?.filter(|restore| restore.stage == RestoreStage::Importing)
    else {
        return Ok(());
    };
    if !restore.parts.is_empty() {
        restore.parts.remove(0);
    }
    missing(tx, restore, EngineError::BadArchive)
}

fn missing(
    tx: &mut Transaction<'_>,
    restore: Restore,
    error: EngineError,
) -> Result<(), EngineError> {
    if let EngineError::Store(_) = error {
        return Err(error);
    }
    // SECURITY: what is withheld is said, not passed over; `withheld_part_is_told` notices.
    tx.event(Event::HistoryMissing);
    progress(tx, &restore);
    store(tx, &restore);
    next(tx, restore)
}

fn install(tx: &mut Transaction<'_>, restore: Restore) -> Result<(), EngineError> {
    archive::take_in(tx, &restore.tail)?;
    let secrets = keys_of(&restore)?;
    let root = match restore.sealed_root.as_slice() {
        [] => None,
        sealed => Some(recovery::open_root(&secrets, &restore.account, sealed)?),
    };
    tx.delete(Table::Meta, RESTORE.to_vec());
    let device = account::install(
        tx,
        account::Arrival {
            name: restore.name,
            relay: restore.relay,
            id: restore.account,
            secrets: restore.secrets,
            root,
            log: restore.log,
            device_name: restore.device_name,
        },
    )?;
    backup::note_restored(tx, restore.version)?;
    backup::begin_again(tx, &secrets, restore.version)?;
    if restore.method == Method::Guardians {
        backup::keep_root(tx);
    }
    guardians::restored(tx)?;
    tx.event(Event::Restored { at: restore.at });
    tx.outcome(restore.command, CommandOutcome::Linked(device));
    Ok(())
}

/// The relay refused what was asked.
pub(crate) fn refused(
    tx: &mut Transaction<'_>,
    kind: wire::RefusalKind,
) -> Result<(), EngineError> {
    let Some(mut restore) = load(tx)? else {
        return Ok(());
    };
    match (restore.stage, kind) {
        (RestoreStage::Head, wire::RefusalKind::NotFound) => {
            fail(tx, &restore, EngineError::NoBackup)
        }
        // Another device changed the log meanwhile.
        (RestoreStage::Adding, wire::RefusalKind::Conflict) => {
            restore.stage = RestoreStage::Log;
            restore.log = Vec::new();
            store(tx, &restore);
            fetch_log(tx, &restore)
        }
        (_, kind) => fail(tx, &restore, EngineError::Refused { kind }),
    }
}

/// What came cannot be used.
pub(crate) fn broken(tx: &mut Transaction<'_>, error: EngineError) -> Result<(), EngineError> {
    match load(tx)? {
        Some(restore) => fail(tx, &restore, error),
        None => Ok(()),
    }
}

fn fail(
    tx: &mut Transaction<'_>,
    restore: &Restore,
    error: EngineError,
) -> Result<(), EngineError> {
    end(tx, restore)?;
    guardians::restoration_failed(tx, &error)?;
    tx.outcome(restore.command, CommandOutcome::Failed(error));
    Ok(())
}

fn end(tx: &mut Transaction<'_>, restore: &Restore) -> Result<(), EngineError> {
    tx.delete(Table::Meta, RESTORE.to_vec());
    // Late answers must not be taken for those of the next attempt.
    outbox::forget(tx, |purpose| {
        matches!(
            purpose,
            Purpose::RestoreHead | Purpose::RestoreLog | Purpose::RestoreAppend
        )
    })?;
    if restore.stage == RestoreStage::Importing {
        if let Some(part) = restore.parts.first() {
            archive::forget(tx, &part.blob);
        }
        archive::forget_all(tx)?;
    }
    Ok(())
}
