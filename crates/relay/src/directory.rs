//! Requests about names and account logs.

use crate::config::Registration;
use crate::limits;
use crate::os;
use crate::refusal;
use crate::requests;
use crate::state::State;
use crate::store::{LogRecord, Registered};
use keys::account_log::{DeviceRecord, LogError, UnverifiedLog, VerifiedLog};
use keys::{AccountId, DeviceId};
use wire::limits::LOG_PART_BYTES;
use wire::{Entries, FetchLog, Log, RawLog, RefusalKind, Reply};

/// Verifies a log off the threads that serve connections: post-quantum signatures take a while.
pub(crate) async fn verified(bytes: Vec<u8>, account: Option<AccountId>) -> Option<VerifiedLog> {
    let check = move || {
        UnverifiedLog::decode(&bytes)
            .and_then(|log| log.verify(account.as_ref(), None))
            .ok()
    };
    tokio::task::spawn_blocking(check).await.ok().flatten()
}

/// A log that was changed again and again while something was checked against it.
pub(crate) fn changed_meanwhile() -> Reply {
    refusal::for_now(
        RefusalKind::Conflict,
        "the log was just changed",
        limits::STOPPING_RETRY_MS,
    )
}

/// Binds a name to an account.
pub(crate) async fn register(state: &State, request: wire::Register) -> Reply {
    let log = verified(request.log, None).await;
    let Some(log) = log.filter(|log| log.check_time(os::now()).is_ok()) else {
        return refusal::of(RefusalKind::BadLog, "the account log does not hold");
    };
    let wanted = LogRecord {
        name: request.name,
        account: *log.account_id(),
        log: log.bytes().to_vec(),
    };
    let known = match state.store.log_by_name(wanted.name.clone()).await {
        Ok(known) => known.is_some_and(|known| known.account == wanted.account),
        Err(_) => return refusal::storage(),
    };
    let code_hash = match (state.config.registration, request.code) {
        // A registration that is already there is answered as it was the first time.
        _ if known => None,
        (Registration::Open, _) => None,
        (Registration::Closed, _) => {
            return refusal::of(RefusalKind::Closed, "registration is closed");
        }
        (Registration::Code, None) => {
            return refusal::of(RefusalKind::CodeNeeded, "a registration code is needed");
        }
        (Registration::Code, Some(code)) => Some(keys::sha256(&[code.as_bytes()])),
    };
    match state.store.register(wanted, code_hash, os::now()).await {
        Ok(Registered::Done) => Reply::Done,
        Ok(Registered::NameTaken) => refusal::of(RefusalKind::NameTaken, "the name is taken"),
        Ok(Registered::OtherName) => {
            refusal::of(RefusalKind::Conflict, "the account has another name")
        }
        Ok(Registered::CodeUnknown) => {
            refusal::of(RefusalKind::CodeUnknown, "no such registration code")
        }
        Ok(Registered::CodeExpired) => {
            refusal::of(RefusalKind::Expired, "the registration code has expired")
        }
        Ok(Registered::CodeUsed) => {
            refusal::of(RefusalKind::Used, "the registration code was used")
        }
        Ok(Registered::Full) => refusal::quota("no more accounts"),
        Err(_) => refusal::storage(),
    }
}

/// Replaces a log by one that continues it.
pub(crate) async fn append(state: &State, request: wire::AppendLog) -> Reply {
    for _ in 0..limits::LOG_ATTEMPTS {
        let known = match state.store.log_by_account(request.account).await {
            Ok(Some(known)) => known,
            Ok(None) => return unknown(),
            Err(_) => return refusal::storage(),
        };
        if known.log == request.log {
            return Reply::Done;
        }
        if let Some(reply) = replace(state, known, request.log.clone()).await {
            return reply;
        }
    }
    changed_meanwhile()
}

/// Appends entries to a log.
pub(crate) async fn append_entries(state: &State, request: wire::AppendEntries) -> Reply {
    for _ in 0..limits::LOG_ATTEMPTS {
        let known = match state.store.log_by_account(request.account).await {
            Ok(Some(known)) => known,
            Ok(None) => return unknown(),
            Err(_) => return refusal::storage(),
        };
        let Ok(raw) = RawLog::parse(&known.log) else {
            return refusal::storage();
        };
        if raw.has(request.after.saturating_add(1), &request.entries) {
            return Reply::Done;
        }
        if raw.head() != request.after {
            return refusal::of(RefusalKind::Conflict, "another entry is the newest");
        }
        let Ok(log) = raw.with(&request.entries) else {
            return bad_log();
        };
        if let Some(reply) = replace(state, known, log).await {
            return reply;
        }
    }
    changed_meanwhile()
}

/// Stores a log in the place of the known one, if it continues that; nothing if that was changed meanwhile.
async fn replace(state: &State, known: LogRecord, log: Vec<u8>) -> Option<Reply> {
    let before = known.log.clone();
    let check = move || {
        let before = UnverifiedLog::decode(&before)?.verify(Some(&known.account), None)?;
        // SECURITY: every known entry must be in the new log; `a_log_is_never_replaced_by_another_history` notices.
        let after = UnverifiedLog::decode(&log)?.verify_after(&before)?;
        // SECURITY: a device dated ahead were senior too soon; `an_entry_from_the_future_is_refused` notices.
        after.check_time(os::now())?;
        Ok((before, after))
    };
    let checked: Result<Result<(VerifiedLog, VerifiedLog), LogError>, _> =
        tokio::task::spawn_blocking(check).await;
    let (before, after) = match checked {
        Ok(Ok(checked)) => checked,
        Ok(Err(_)) => return Some(bad_log()),
        Err(_) => return Some(refusal::storage()),
    };
    if let Some(reply) = requests::judge(state, &before, &after) {
        return Some(reply);
    }
    let gone = gone(&before, &after);
    let stored = state
        .store
        .append_log(known.account, known.log, after.bytes().to_vec(), gone);
    match stored.await {
        Ok(true) => Some(Reply::Done),
        Ok(false) => None,
        Err(_) => Some(refusal::storage()),
    }
}

/// Devices that are not in force any more, or that have other keys now, and all of an account that ended: what they
/// published is of no use.
fn gone(before: &VerifiedLog, after: &VerifiedLog) -> Vec<DeviceId> {
    let stays = |device: &&DeviceRecord| {
        let now = after.device(device.id()).filter(|_| !after.is_tombstoned());
        now.is_some_and(|now| now.has_keys_of(device))
    };
    let gone = before.devices().iter().filter(|device| !stays(device));
    gone.map(|device| *device.id()).collect()
}

/// Looks a log up.
pub(crate) async fn fetch(state: &State, request: FetchLog) -> Reply {
    let found = match request {
        FetchLog::ByName(name) => state.store.log_by_name(name).await,
        FetchLog::ByAccount(account) => state.store.log_by_account(account).await,
    };
    match found {
        Ok(Some(found)) if found.log.len() > LOG_PART_BYTES => part(found, 0),
        Ok(Some(found)) => Reply::Log(Log {
            name: found.name,
            account: found.account,
            log: found.log,
        }),
        Ok(None) => unknown(),
        Err(_) => refusal::storage(),
    }
}

/// Says what is newer in a log than a known entry.
pub(crate) async fn check(state: &State, request: wire::CheckLog) -> Reply {
    let found = match state.store.log_by_account(request.account).await {
        Ok(Some(found)) => found,
        Ok(None) => return unknown(),
        Err(_) => return refusal::storage(),
    };
    match RawLog::parse(&found.log).map(|raw| raw.head()) {
        Ok(head) if head == request.sequence => Reply::Done,
        Ok(head) if head < request.sequence => {
            refusal::of(RefusalKind::Conflict, "the log is shorter here")
        }
        Ok(_) => part(found, request.sequence.saturating_add(1)),
        Err(_) => refusal::storage(),
    }
}

/// The entries of a log from a number on, as many as go into one frame.
fn part(found: LogRecord, first: u64) -> Reply {
    let raw = RawLog::parse(&found.log);
    let Some(part) = raw.ok().and_then(|raw| raw.part(first)) else {
        return refusal::storage();
    };
    Reply::Entries(Entries {
        entries: part.entries.to_vec(),
        more: part.more,
        name: found.name,
        account: found.account,
        first,
    })
}

fn unknown() -> Reply {
    refusal::of(RefusalKind::NotFound, "no such account")
}

fn bad_log() -> Reply {
    refusal::of(
        RefusalKind::BadLog,
        "the account log does not continue the stored one",
    )
}
