//! Requests for recovery: anybody may put one into an account's log, so there is one at a time.
//!
//! ```text
//!   no request stands ─► one comes ─► its delay ─► a day for whoever asked ─► another one may come
//!                                        └─ a device of the account refuses it ─► another one may come
//! ```

use crate::limits;
use crate::os;
use crate::refusal;
use crate::state::State;
use keys::Timestamp;
use keys::account_log::VerifiedLog;
use wire::{RefusalKind, Reply};

/// Looks at what a log would be continued by: nothing, or the answer, if another request stands, too many came, or
/// this one is dated back.
pub(crate) fn judge(state: &State, before: &VerifiedLog, after: &VerifiedLog) -> Option<Reply> {
    let (known, now) = (before.head().sequence, os::now());
    let many = match after.requests_at_end(known) {
        0 => return None,
        count => count > 1,
    };
    let request = after.open_request().filter(|_| !many);
    let Some(request) = request else {
        let message = "more than one request at a time";
        return Some(refusal::of(RefusalKind::BadLog, message));
    };
    let latest = request.at().saturating_add(limits::REQUEST_DATED_SECONDS);
    // SECURITY: one that is dated back would be over before anybody could see it;
    // `a_request_that_is_dated_back_is_refused` notices.
    if latest < now {
        let message = "the request is dated too long ago";
        return Some(refusal::of(RefusalKind::BadLog, message));
    }
    let first = request.sequence() == known.saturating_add(1);
    let stands = before.open_request().filter(|_| first);
    if let Some(reply) = stands.and_then(|open| keeps_out(open.ready(), now)) {
        return Some(reply);
    }
    let charged = state.charge_request(*after.account_id());
    charged.err().map(refusal::rate)
}

/// A request that stands keeps others out for a time.
fn keeps_out(ready: Timestamp, now: Timestamp) -> Option<Reply> {
    let until = ready.saturating_add(limits::REQUEST_STANDS_SECONDS);
    if until <= now {
        return None;
    }
    let wait_ms = until.since(now).saturating_mul(1000);
    let message = "somebody asks for this account already";
    Some(refusal::for_now(RefusalKind::RateLimited, message, wait_ms))
}
