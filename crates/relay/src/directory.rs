//! Requests about names and account logs.

use crate::config::Registration;
use crate::limits;
use crate::os;
use crate::refusal;
use crate::state::State;
use crate::store::{LogRecord, Registered};
use keys::AccountId;
use keys::account_log::{Pin, UnverifiedLog, VerifiedLog};
use wire::{FetchLog, Log, RefusalKind, Reply};

/// Verifies a log off the threads that serve connections: post-quantum signatures take a while.
pub(crate) async fn verified(
    bytes: Vec<u8>,
    account: Option<AccountId>,
    pin: Option<Pin>,
) -> Option<VerifiedLog> {
    let check = move || {
        UnverifiedLog::decode(&bytes)
            .and_then(|log| log.verify(account.as_ref(), pin.as_ref()))
            .ok()
    };
    tokio::task::spawn_blocking(check).await.ok().flatten()
}

/// Binds a name to an account.
pub(crate) async fn register(state: &State, request: wire::Register) -> Reply {
    let Some(log) = verified(request.log, None, None).await else {
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
    let known = match state.store.log_by_account(request.account).await {
        Ok(Some(known)) => known,
        Ok(None) => return refusal::of(RefusalKind::NotFound, "no such account"),
        Err(_) => return refusal::storage(),
    };
    if known.log == request.log {
        return Reply::Done;
    }
    let before = verified(known.log.clone(), Some(request.account), None).await;
    let Some(pin) = before.map(|log| log.head()) else {
        return refusal::storage();
    };
    // SECURITY: the stored head must be in the new log; `a_log_is_never_replaced_by_another_history` notices.
    let Some(log) = verified(request.log, Some(request.account), Some(pin)).await else {
        return refusal::of(
            RefusalKind::BadLog,
            "the account log does not continue the stored one",
        );
    };
    match state
        .store
        .append_log(request.account, known.log, log.bytes().to_vec())
        .await
    {
        Ok(true) => Reply::Done,
        Ok(false) => refusal::for_now(
            RefusalKind::Conflict,
            "the log was just changed",
            limits::STOPPING_RETRY_MS,
        ),
        Err(_) => refusal::storage(),
    }
}

/// Looks a log up.
pub(crate) async fn fetch(state: &State, request: FetchLog) -> Reply {
    let found = match request {
        FetchLog::ByName(name) => state.store.log_by_name(name).await,
        FetchLog::ByAccount(account) => state.store.log_by_account(account).await,
    };
    match found {
        Ok(Some(found)) => Reply::Log(Log {
            name: found.name,
            account: found.account,
            log: found.log,
        }),
        Ok(None) => refusal::of(RefusalKind::NotFound, "no such account"),
        Err(_) => refusal::storage(),
    }
}
