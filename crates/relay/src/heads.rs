//! Requests about heads.

use crate::metrics::add;
use crate::os;
use crate::refusal;
use crate::state::State;
use crate::store::{HeadFound as Found, HeadPut};
use wire::{RefusalKind, Reply};

/// Makes or replaces a head.
pub(crate) async fn put(state: &State, request: wire::PutHead) -> Reply {
    let message = wire::put_head_message(
        &request.public_key,
        request.version,
        request.previous,
        &request.body,
    );
    // SECURITY: its key alone writes a head; `a_head_is_written_by_its_key_alone` notices.
    if keys::ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
        return refusal::of(RefusalKind::Forbidden, "the signature does not hold");
    }
    match state.store.put_head(request, os::now()).await {
        Ok(HeadPut::Done) => {
            add(&state.metrics.heads_written, 1);
            Reply::Done
        }
        Ok(HeadPut::Conflict) => refusal::of(RefusalKind::Conflict, "the head has another version"),
        Ok(HeadPut::Full) => refusal::quota("no more heads"),
        Err(_) => refusal::storage(),
    }
}

/// Looks a head up.
pub(crate) async fn fetch(state: &State, request: wire::FetchHead) -> Reply {
    match state.store.head(request.id).await {
        Ok(Found::Head(head)) => Reply::Head(head),
        Ok(Found::Deleted(version)) => Reply::Refused(wire::Refused::deleted(version)),
        Ok(Found::Nothing) => refusal::of(RefusalKind::NotFound, "no such head"),
        Err(_) => refusal::storage(),
    }
}

/// Deletes a head.
pub(crate) async fn delete(state: &State, request: wire::DeleteHead) -> Reply {
    let message = wire::delete_head_message(&request.public_key, request.version);
    if keys::ed25519::verify(&request.public_key, &message, &request.signature).is_err() {
        return refusal::of(RefusalKind::Forbidden, "the signature does not hold");
    }
    let id = wire::head_id(&request.public_key);
    match state
        .store
        .delete_head(id, request.version, os::now())
        .await
    {
        Ok(true) => Reply::Done,
        Ok(false) => refusal::of(RefusalKind::Conflict, "the head has another version"),
        Err(_) => refusal::storage(),
    }
}
