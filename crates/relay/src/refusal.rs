//! Replies that say no.

use crate::limits;
use wire::{RefusalKind, Refused, Reply};

/// A refusal for good.
pub(crate) fn of(kind: RefusalKind, message: &str) -> Reply {
    Reply::Refused(Refused::new(kind, message))
}

/// A refusal for some time.
pub(crate) fn for_now(kind: RefusalKind, message: &str, retry_after_ms: u64) -> Reply {
    Reply::Refused(Refused::for_now(kind, message, retry_after_ms))
}

/// As much is stored as may be; room comes when something is deleted.
pub(crate) fn quota(message: &str) -> Reply {
    for_now(RefusalKind::Quota, message, limits::QUOTA_RETRY_MS)
}

/// The store failed; nothing was changed.
pub(crate) fn storage() -> Reply {
    for_now(
        RefusalKind::Storage,
        "the store failed",
        limits::STORAGE_RETRY_MS,
    )
}

/// Too many requests.
pub(crate) fn rate(wait_ms: u64) -> Reply {
    for_now(RefusalKind::RateLimited, "too many requests", wait_ms)
}
