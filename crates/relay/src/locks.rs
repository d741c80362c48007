//! Requests about locks.

use crate::metrics::add;
use crate::os;
use crate::refusal;
use crate::state::State;
use crate::store::{Closing, LockPut, Opening};
use wire::{LockState, RefusalKind, Reply};

fn forbidden() -> Reply {
    refusal::of(RefusalKind::Forbidden, "the signature does not hold")
}

fn unknown() -> Reply {
    refusal::of(RefusalKind::NotFound, "no such lock")
}

/// Makes a lock.
pub(crate) async fn put(state: &State, request: wire::PutLock) -> Reply {
    let message = wire::put_lock_message(&request);
    if keys::ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
        return forbidden();
    }
    match state.store.put_lock(request, os::now()).await {
        Ok(LockPut::Done) => Reply::Done,
        Ok(LockPut::Conflict) => refusal::of(RefusalKind::Conflict, "another lock has this key"),
        Ok(LockPut::Full) => refusal::quota("no more locks"),
        Err(_) => refusal::storage(),
    }
}

/// Begins to open a lock, or gives its key out.
pub(crate) async fn open(state: &State, request: wire::OpenLock) -> Reply {
    let token_hash = keys::sha256(&[request.token.as_bytes()]);
    match state
        .store
        .open_lock(request.id, token_hash, os::now())
        .await
    {
        Ok(Opening::OpensAt(at)) => Reply::LockState(LockState { opens_at: Some(at) }),
        Ok(Opening::Open(key)) => {
            add(&state.metrics.lock_keys, 1);
            Reply::LockKey(key)
        }
        Ok(Opening::Unknown) => unknown(),
        Ok(Opening::BadToken) => refusal::of(RefusalKind::Forbidden, "not the lock's token"),
        Err(_) => refusal::storage(),
    }
}

/// Closes a lock.
pub(crate) async fn cancel(state: &State, request: wire::CancelLock) -> Reply {
    let message = wire::cancel_lock_message(&request.public_key, request.opens_at);
    // SECURITY: the owner alone objects; `a_lock_is_closed_by_its_owner_alone` notices.
    if keys::ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
        return forbidden();
    }
    let id = wire::lock_id(&request.public_key);
    match state.store.cancel_lock(id, request.opens_at).await {
        Ok(Closing::Closed) => Reply::Done,
        Ok(Closing::OtherTime) => {
            refusal::of(RefusalKind::Conflict, "the lock opens at another time")
        }
        Ok(Closing::Unknown) => unknown(),
        Err(_) => refusal::storage(),
    }
}

/// Says whether a lock is being opened.
pub(crate) async fn status(state: &State, request: wire::LockStatus) -> Reply {
    match state.store.lock_status(request.id).await {
        Ok(Some(opens_at)) => Reply::LockState(LockState { opens_at }),
        Ok(None) => unknown(),
        Err(_) => refusal::storage(),
    }
}

/// Deletes a lock.
pub(crate) async fn delete(state: &State, request: wire::DeleteLock) -> Reply {
    let message = wire::delete_lock_message(&request.public_key);
    if keys::ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
        return forbidden();
    }
    let id = wire::lock_id(&request.public_key);
    match state.store.delete_lock(id).await {
        Ok(()) => Reply::Done,
        Err(_) => refusal::storage(),
    }
}
