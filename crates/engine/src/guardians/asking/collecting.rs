//! Shares that came, the key of the lock, and the secret that both give.

use super::{Ask, later, store, verified};
use crate::error::EngineError;
use crate::event::Event;
use crate::guardians::owner::set_of;
use crate::limits;
use crate::records::{Approval, GuardianPurpose};
use crate::restore;
use crate::transaction::Transaction;
use keys::account_log::{Method, RecoveryRecord, RecoverySecrets, VerifiedLog};
use keys::shamir::{self, Share, ShareSet};
use keys::{Secret, Timestamp};
use std::collections::BTreeSet;

const HOUR_SECONDS: u64 = 3600;

/// How many guardians said yes, and how many must.
pub(in crate::guardians) fn progress(ask: &Ask, log: &VerifiedLog) -> (usize, u8) {
    let record = log.recovery(Method::Guardians);
    let need = record.map_or(u8::MAX, |record| record.terms().need);
    let indices: BTreeSet<u8> = ask.approvals.iter().map(|known| known.index).collect();
    (indices.len(), need)
}

/// The log is as new as the relay has it: if the request stands and there are enough shares, the lock is asked.
pub(super) fn go_on(tx: &mut Transaction<'_>, mut ask: Ask) -> Result<(), EngineError> {
    let log = verified(&ask)?;
    if ready(&ask, &log).is_none() {
        return super::fail(tx, &ask, EngineError::RecoveryCancelled);
    }
    let (got, need) = progress(&ask, &log);
    let Some(first) = ask.approvals.first().filter(|_| got >= usize::from(need)) else {
        ask.asking = false;
        ask.due = tx.now.saturating_add(limits::RECOVERY_LOOK_SECONDS);
        store(tx, &ask);
        return Ok(());
    };
    let request = wire::Request::OpenLock(wire::OpenLock {
        id: first.lock,
        token: wire::LockToken::from_bytes(first.token),
    });
    super::ask_relay(tx, GuardianPurpose::AskLock, request)
}

/// When the log lets the device in: nothing, if the request does not stand there any more.
pub(super) fn ready(ask: &Ask, log: &VerifiedLog) -> Option<Timestamp> {
    let own = ask.secrets.device_id();
    if log.device(own).is_some() {
        return Some(Timestamp::from_secs(0)); // It is in already; the restoration broke off.
    }
    let request = log
        .open_request()
        .filter(|open| open.device().id() == own)?;
    let mut entries = log.entries().iter();
    let entry = entries.find(|entry| entry.sequence == request.sequence())?;
    // Entries of the log tell the time in whole hours.
    let ready = request.ready().as_secs().div_ceil(HOUR_SECONDS);
    let ready = Timestamp::from_secs(ready.saturating_mul(HOUR_SECONDS));
    (entry.hash == ask.entry).then_some(ready)
}

/// The lock opens later.
pub(in crate::guardians) fn lock_waits(
    tx: &mut Transaction<'_>,
    state: wire::LockState,
) -> Result<(), EngineError> {
    let Some(mut ask) = super::load(tx)? else {
        return Ok(());
    };
    let log = verified(&ask)?;
    let opens = state.opens_at.unwrap_or(tx.now);
    let at = opens.max(ready(&ask, &log).unwrap_or(opens));
    if ask.opens_at != Some(at) {
        tx.event(Event::RecoveryOpens { at });
    }
    ask.opens_at = Some(at);
    wait(tx, ask, at)
}

/// Waits until a time, and looks every hour whether the request still stands.
fn wait(tx: &mut Transaction<'_>, mut ask: Ask, at: Timestamp) -> Result<(), EngineError> {
    let soon = tx.now.saturating_add(limits::RECOVERY_AGAIN_SECONDS);
    let look = tx.now.saturating_add(limits::RECOVERY_LOOK_SECONDS);
    ask.asking = false;
    ask.due = at.clamp(soon, look);
    store(tx, &ask);
    Ok(())
}

/// The relay gave its key.
pub(in crate::guardians) fn lock_open(
    tx: &mut Transaction<'_>,
    key: &Secret<32>,
) -> Result<(), EngineError> {
    let Some(mut ask) = super::load(tx)? else {
        return Ok(());
    };
    let log = verified(&ask)?;
    let (Some(ready), Some(record)) = (ready(&ask, &log), log.recovery(Method::Guardians)) else {
        return super::fail(tx, &ask, EngineError::RecoveryCancelled);
    };
    // A relay that opens too early changes nothing: no reader of the log lets the device in before its time.
    if tx.now < ready {
        return wait(tx, ask, ready);
    }
    let shares = unwrap(tx, &mut ask, record, key);
    let got = shares.len();
    let need = record.terms().need;
    if got < usize::from(need) {
        return later(tx, ask, EngineError::TooFewShares { got, need });
    }
    let seed = shamir::combine(&share_set(record, &set_of(record.head_id())), &shares);
    let secrets = seed
        .as_ref()
        .ok()
        .map(|seed| RecoverySecrets::derive(log.suite(), Method::Guardians, seed));
    let fits = matches!(&secrets, Some(Ok(secrets)) if secrets.head_id() == *record.head_id());
    let Some(seed) = seed.ok().filter(|_| fits) else {
        return later(tx, ask, EngineError::BadBackup);
    };
    let command = std::mem::take(&mut ask.command);
    ask.asking = false;
    store(tx, &ask);
    let arrival = restore::Arrival {
        method: Method::Guardians,
        seed,
        relay: ask.relay,
        device_name: ask.device_name,
        secrets: ask.secrets,
    };
    restore::start(tx, command, arrival)
}

fn share_set<'a>(record: &'a RecoveryRecord, id: &'a [u8; 16]) -> ShareSet<'a> {
    ShareSet {
        id,
        need: record.terms().need,
        commitments: &record.terms().commitments,
    }
}

/// The shares that fit the log's commitments, one of each index; the others are forgotten, and whose they are is
/// told.
fn unwrap(
    tx: &mut Transaction<'_>,
    ask: &mut Ask,
    record: &RecoveryRecord,
    key: &Secret<32>,
) -> Vec<Share> {
    let id = set_of(record.head_id());
    let set = share_set(record, &id);
    let open = |approval: &Approval| {
        Share::unwrap(key, &id, approval.index, &approval.wrapped)
            .ok()
            .filter(|share| set.check(share).is_ok())
    };
    let mut shares: Vec<Share> = Vec::new();
    ask.approvals.retain(|approval| {
        let known = shares.iter().any(|share| share.index() == approval.index);
        match open(approval) {
            Some(share) if !known => shares.push(share),
            Some(_) => return false,
            None => {
                // SECURITY: a wrong share is named and never mended; `a_false_share_is_named` notices.
                tx.event(Event::ShareUnusable {
                    index: approval.index,
                });
                return false;
            }
        }
        true
    });
    shares
}
