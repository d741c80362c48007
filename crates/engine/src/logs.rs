//! Account logs of peers and our own: asked for, taken over, compared with what others say of them.
//!
//! ```text
//!   connection, old check ─► CheckLog ─► Done ──────────────► letters may leave
//!                               └──────► newer entries ─► adopted ─► revoked devices dropped ─► letters may leave
//! ```
//!
//! Before a letter leaves, the log of its recipient was asked for not long ago, so that nobody writes to a
//! device that was revoked. Letters say how far both logs go; what does not fit is a fork or a relay that
//! withholds entries.

use crate::account;
use crate::backup;
use crate::contacts;
use crate::content::{Body, Content, Head, Heads};
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::evidence::{self, Shown};
use crate::group;
use crate::held;
use crate::limits;
use crate::outbox;
use crate::peers::{self, Peer};
use crate::records::{Purpose, key};
use crate::reminding;
use crate::scanning;
use crate::sessions;
use crate::silence;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::verifying;
use crate::waiting;
use keys::account_log::{LogError, UnverifiedLog, VerifiedLog};
use keys::codec::{Reader, Writer};
use keys::{AccountId, DeviceId, LetterId, MessageId, Timestamp};
use zeroize::Zeroizing;

/// A question for a log is open.
const ASKED: &[u8] = b"log-asked/";
/// When a log was last confirmed by its relay, since the connection began: BE8 seconds.
const CHECKED: &[u8] = b"log-checked/";
/// When a log is to be asked for again: BE8 seconds.
const AGAIN: &[u8] = b"log-again/";
/// A person knows that entries of a log are withheld.
const TOLD: &[u8] = b"log-told/";
/// What log was last shown to a device, because the two did not agree: its hash.
const SHOWN: &[u8] = b"log-shown/";
/// When our own log is to be asked for without a reason: BE8 seconds.
const OWN_DUE: &[u8] = b"log-own-due";
/// How far a contact saw our log, further than we: BE8 sequence.
const SEEN: &[u8] = b"log-own-seen";
/// What a device of the account says of its own log: BE8 sequence, hash.
const CLAIMED: &[u8] = b"log-claimed/";

fn place(what: &[u8], account: &AccountId) -> Vec<u8> {
    key(&[what, account.as_bytes()])
}

/// Whether letters to an account may leave: its log was confirmed a short while ago, and goes as far as the
/// account's own devices say.
pub(crate) fn fresh(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    if tx.get(Table::Meta, &place(CLAIMED, account))?.is_some() {
        return Ok(false);
    }
    let checked = tx.get(Table::Meta, &place(CHECKED, account))?;
    let checked = checked.and_then(|at| at.as_slice().try_into().ok().map(u64::from_be_bytes));
    Ok(checked.is_some_and(|at| {
        // SECURITY: a clock that was set back must not keep an old check young;
        // `revocation_is_learnt_before_the_next_letter` notices a check that is skipped.
        at <= tx.now.as_secs()
            && tx.now.since(Timestamp::from_secs(at)) < limits::LOG_CHECKED_SECONDS
    }))
}

/// A connection begins: what was confirmed before counts no more, and what was put off is asked for now.
pub(crate) fn forget_checks(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Meta, CHECKED, |tx, place, _| {
        tx.delete(Table::Meta, place.to_vec());
        Ok(())
    })?;
    tx.each(Table::Meta, AGAIN, |tx, again, _| {
        tx.delete(Table::Meta, again.to_vec());
        let account = again.strip_prefix(AGAIN).and_then(AccountId::from_slice);
        account.map_or(Ok(()), |account| check(tx, &account))
    })
}

/// Asks the account's relay for newer entries, where no question is open.
pub(crate) fn check(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    let asked = place(ASKED, account);
    let waits = tx.get(Table::Meta, &place(AGAIN, account))?.is_some();
    if waits || tx.get(Table::Meta, &asked)?.is_some() {
        return Ok(());
    }
    let Some(peer) = peers::load(tx, account)? else {
        return Ok(());
    };
    tx.put(Table::Meta, asked, Zeroizing::new(Vec::new()));
    silence::asked(tx, account)?;
    ask(tx, &peer)
}

/// Whether a question for newer entries of an account's log is under way.
pub(crate) fn is_asked(tx: &Transaction<'_>, account: &AccountId) -> Result<bool, EngineError> {
    Ok(tx.get(Table::Meta, &place(ASKED, account))?.is_some())
}

fn ask(tx: &mut Transaction<'_>, peer: &Peer) -> Result<(), EngineError> {
    let sequence = if peer.own {
        reminding::asked_for(tx, &peer.log)?
    } else {
        peer.log.head().sequence
    };
    let request = wire::Request::CheckLog(wire::CheckLog {
        account: peer.id,
        sequence,
    });
    outbox::add(tx, Purpose::CheckLog(peer.id), peer.relay.clone(), request).map(drop)
}

/// The relay answered a question for newer entries.
pub(crate) fn answered(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    reply: &wire::Reply,
) -> Result<(), EngineError> {
    tx.delete(Table::Meta, place(ASKED, account));
    let Some(peer) = peers::load(tx, account)? else {
        return silence::over(tx, account);
    };
    match reply {
        wire::Reply::Entries(entries) => newer(tx, &peer, entries),
        wire::Reply::Done => nothing_newer(tx, &peer),
        wire::Reply::Refused(refused) if refused.kind == wire::RefusalKind::Conflict => {
            shorter(tx, &peer)
        }
        _ => {
            ask_later(tx, account);
            Ok(())
        }
    }
}

/// The relay shows a log that is shorter than what is known.
fn shorter(tx: &mut Transaction<'_>, peer: &Peer) -> Result<(), EngineError> {
    if peer.own && reminding::try_less(tx, &peer.log)? {
        return check(tx, &peer.id);
    }
    // SECURITY: it may hide a revocation from others; `replayed_device_list_is_noticed`.
    tell_withheld(tx, &peer.id)?;
    ask_later(tx, &peer.id);
    Ok(())
}

/// Tells once that a relay withholds entries.
fn tell_withheld(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    silence::over(tx, account)?;
    let told = place(TOLD, account);
    if tx.get(Table::Meta, &told)?.is_none() {
        tx.put(Table::Meta, told, Zeroizing::new(Vec::new()));
        tx.event(Event::LogWithheld { account: *account });
    }
    Ok(())
}

/// The relay knows no newer entry.
fn nothing_newer(tx: &mut Transaction<'_>, peer: &Peer) -> Result<(), EngineError> {
    let account = &peer.id;
    if peer.own && reminding::remind(tx, &peer.log)? {
        return Ok(());
    }
    if let Some(claim) = tx.get(Table::Meta, &place(CLAIMED, account))? {
        // SECURITY: a device of the account says that there is more; `hidden_revocation_is_noticed`.
        let Head { sequence, hash } = decode_head(&claim)?;
        let silence = Shown::Silence { sequence, hash };
        evidence::keep(tx, account, peer.log.bytes(), silence)?;
        tell_withheld(tx, account)?;
        ask_later(tx, account);
        return Ok(());
    }
    tx.delete(Table::Meta, place(TOLD, account));
    silence::over(tx, account)?;
    let now = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
    tx.put(Table::Meta, place(CHECKED, account), now);
    if peer.own {
        // SECURITY: a contact saw more of our log than the relay shows us: a request for recovery, perhaps;
        // `a_hidden_request_shows_with_the_next_letter` notices.
        let seen = tx.get(Table::Meta, SEEN)?;
        tx.delete(Table::Meta, SEEN.to_vec());
        if seen.is_some_and(|seen| seen.as_slice() > &peer.log.head().sequence.to_be_bytes()[..]) {
            tx.event(Event::LogWithheld { account: *account });
        }
        devices::own_log_confirmed(tx)?;
    }
    release_held(tx, peer)?;
    waiting::ask_doubted(tx, account)?;
    verifying::log_confirmed(tx, account)?;
    scanning::log_confirmed(tx, account)?;
    group::turn::logs_came(tx, account)?;
    outbox::offer_to(tx, account)
}

/// What was held for want of a log is opened now or never, once neither its sender's nor ours is asked for any more.
fn release_held(tx: &mut Transaction<'_>, peer: &Peer) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    if !peer.own {
        return match tx.get(Table::Meta, &place(ASKED, &own))? {
            Some(_) => Ok(()),
            None => held::release(tx, &peer.id, None),
        };
    }
    for account in held::accounts(tx)? {
        let known = peers::load(tx, &account)?.is_some();
        if known && tx.get(Table::Meta, &place(ASKED, &account))?.is_none() {
            held::release(tx, &account, None)?;
        }
    }
    Ok(())
}

/// The relay has newer entries.
fn newer(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    entries: &wire::Entries,
) -> Result<(), EngineError> {
    let Some(log) = behind(&peer.log, entries) else {
        // Nonsense; perhaps another answer is better.
        ask_later(tx, &peer.id);
        return Ok(());
    };
    take_over(tx, peer, &log)?;
    let peer = peers::existing(tx, &peer.id)?;
    held::retry(tx, Some(&peer.id).filter(|_| !peer.own))?;
    if peer.own {
        reminding::has(tx, &peer.log, &log)?;
    }
    if entries.more {
        return check(tx, &peer.id);
    }
    nothing_newer(tx, &peer)
}

/// The log that a relay's entries make with the ones before them.
pub(crate) fn behind(known: &VerifiedLog, entries: &wire::Entries) -> Option<Vec<u8>> {
    let before = wire::RawLog::parse(known.bytes()).ok()?;
    let before = before.until(entries.first.checked_sub(1)?).ok()?;
    wire::RawLog::parse(&before)
        .and_then(|before| before.with(&entries.entries))
        .ok()
}

/// Takes over a log that must continue the pinned one.
///
/// # Errors
/// [`EngineError::IdentityChanged`]: it does not; a hard stop is noted and evidence is kept.
pub(crate) fn take_over(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    log: &[u8],
) -> Result<(), EngineError> {
    match continued(tx, peer, log) {
        Ok(Some(log)) => adopted(tx, peer, &log),
        Ok(None) => Ok(()),
        Err(_) if peer.own => {
            let shown = Shown::Log(log.to_vec());
            evidence::keep(tx, &peer.id, peer.log.bytes(), shown)?;
            tx.event(Event::OwnLogForked { contact: None });
            Err(EngineError::OwnLogForked)
        }
        Err(_) => contacts::stop(tx, &peer.id, log),
    }
}

/// The log, if it goes further than the pinned one.
fn continued(
    tx: &Transaction<'_>,
    peer: &Peer,
    log: &[u8],
) -> Result<Option<VerifiedLog>, LogError> {
    let log = match UnverifiedLog::decode(log).and_then(|log| log.verify_after(&peer.log)) {
        Ok(log) => log,
        // An older log than the pinned one arrives in letters that were under way; it changes nothing.
        Err(LogError::RolledBack { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    log.check_time(tx.now)?;
    Ok((log.head() != peer.log.head()).then_some(log))
}

fn adopted(tx: &mut Transaction<'_>, before: &Peer, log: &VerifiedLog) -> Result<(), EngineError> {
    if before.own {
        account::adopt(tx, log)?;
    } else if let Some(contact) = contacts::load(tx, &before.id)? {
        contacts::went_on(tx, contact, &before.log, log)?;
    }
    let claimed = place(CLAIMED, &before.id);
    if let Some(claim) = tx.get(Table::Meta, &claimed)? {
        let claim = decode_head(&claim)?;
        if claim.sequence <= log.head().sequence {
            tx.delete(Table::Meta, claimed);
            if !fits(log, &claim) {
                return differs(tx, before, log);
            }
        }
    }
    devices::changed(tx, before, log)
}

/// Compares what a letter says of both logs with what is known here.
pub(crate) fn compare(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    device: &DeviceId,
    heads: &Heads,
) -> Result<(), EngineError> {
    if !told(tx, peer, &heads.ours)? {
        return show_log(tx, peer, device, peer.log.bytes());
    }
    if peer.own {
        return Ok(());
    }
    if let Some(mut contact) = contacts::load(tx, &peer.id)?
        && contact.backup < heads.backup
    {
        contact.backup = heads.backup;
        contacts::store(tx, &contact);
    }
    // SECURITY: a relay that showed an old backup cannot make the contacts forget the newer one;
    // `old_backup_is_noticed_by_the_first_answer` notices.
    if backup::was_restored(tx)? && heads.your_backup > backup::version(tx)? {
        backup::note_restored(tx, heads.your_backup)?; // Told once.
        tx.event(Event::BackupRolledBack { contact: peer.id });
    }
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    if heads.yours.sequence > log.head().sequence {
        let seen = Zeroizing::new(heads.yours.sequence.to_be_bytes().to_vec());
        tx.put(Table::Meta, SEEN.to_vec(), seen);
        check(tx, &own.id)?;
    } else if !fits(&log, &heads.yours) {
        // SECURITY: the contact was shown another history of ours; `forked_log_is_noticed_by_the_next_letter`.
        tx.event(Event::OwnLogForked {
            contact: Some(peer.id),
        });
        show_log(tx, peer, device, log.bytes())?;
    }
    Ok(())
}

/// A device of an account says how far its log goes. False: it says another thing than is known here.
pub(crate) fn told(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    head: &Head,
) -> Result<bool, EngineError> {
    if head.sequence > peer.log.head().sequence {
        let claim = Zeroizing::new(encode_head(head));
        tx.put(Table::Meta, place(CLAIMED, &peer.id), claim);
        check(tx, &peer.id)?;
    } else if !fits(&peer.log, head) {
        differs(tx, peer, &peer.log)?;
        return Ok(false);
    }
    Ok(true)
}

/// Whether a log has an entry as somebody says.
fn fits(log: &VerifiedLog, claim: &Head) -> bool {
    let mut entries = log.entries().iter();
    entries
        .find(|entry| entry.sequence == claim.sequence)
        .is_some_and(|entry| keys::ct_eq(entry.hash.split_at(32).0, &claim.hash))
}

/// A device of the account says another thing of its log than is known here.
fn differs(tx: &mut Transaction<'_>, peer: &Peer, log: &VerifiedLog) -> Result<(), EngineError> {
    if peer.own {
        tx.event(Event::OwnLogForked { contact: None });
        Ok(())
    } else {
        contacts::stop(tx, &peer.id, log.bytes()).or(Ok(()))
    }
}

/// Shows a peer the log that is known here, so that both sides hold both signed histories.
fn show_log(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    device: &DeviceId,
    log: &[u8],
) -> Result<(), EngineError> {
    if log.len() > limits::LOG_IN_ENVELOPE_BYTES || !sessions::ready(tx, &peer.id, device)? {
        return Ok(());
    }
    // Once: the other side answers with its own.
    let place = key(&[SHOWN, peer.id.as_bytes(), device.as_bytes()]);
    let digest = keys::sha256(&[log]).to_vec();
    let before = tx.get(Table::Meta, &place)?;
    if before.is_some_and(|before| *before == digest) {
        return Ok(());
    }
    tx.put(Table::Meta, place, Zeroizing::new(digest));
    let content = Content::new(LetterId::random(tx.rng), tx.now, Body::Log(log.to_vec()));
    let message = MessageId::random(tx.rng);
    sessions::send(tx, &peer.id, device, content, message, None)
}

/// A peer shows a log, its own or ours, that does not fit what we said of it.
pub(crate) fn shown(tx: &mut Transaction<'_>, peer: &Peer, log: &[u8]) -> Result<(), EngineError> {
    let Ok(theirs) = UnverifiedLog::decode(log).and_then(|log| log.verify(None, None)) else {
        return Ok(());
    };
    let own = account::own(tx)?;
    let ours = account::log_of(&own)?;
    for known in [&peer.log, &ours] {
        let forked = *theirs.account_id() == *known.account_id()
            && theirs.entries().iter().any(|entry| {
                let mut entries = known.entries().iter();
                entries.any(|known| known.sequence == entry.sequence && known.hash != entry.hash)
            });
        if forked {
            let shown = Shown::Log(log.to_vec());
            evidence::keep(tx, known.account_id(), known.bytes(), shown)?;
        }
    }
    Ok(())
}

fn encode_head(head: &Head) -> Vec<u8> {
    let mut out = Writer::new();
    out.u64(head.sequence);
    out.array(&head.hash);
    out.finish()
}

fn decode_head(bytes: &[u8]) -> Result<Head, EngineError> {
    let mut input = Reader::new(bytes);
    let read = |input: &mut Reader<'_>| {
        Ok::<_, keys::codec::DecodeError>(Head {
            sequence: input.u64()?,
            hash: input.array()?,
        })
    };
    read(&mut input).map_err(|_| StoreError::Damaged { what: "claim" }.into())
}

/// Lets a question be asked again in a while.
pub(crate) fn ask_later(tx: &mut Transaction<'_>, account: &AccountId) {
    let due = tx.now.saturating_add(limits::ASK_AGAIN_SECONDS).as_secs();
    let due = Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Meta, place(AGAIN, account), due);
}

/// Nobody writes to a device that was revoked: it would wait for ever to be told.
fn check_own(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let due = tx.get(Table::Meta, OWN_DUE)?;
    let due = due.and_then(|due| due.as_slice().try_into().ok().map(u64::from_be_bytes));
    let next = tx.now.saturating_add(limits::OWN_LOG_SECONDS).as_secs();
    // A clock that was set back must not put it off.
    if due.is_some_and(|due| tx.now.as_secs() < due && due <= next) {
        return Ok(());
    }
    let next = Zeroizing::new(next.to_be_bytes().to_vec());
    tx.put(Table::Meta, OWN_DUE.to_vec(), next);
    let own = account::own(tx)?;
    if own.registered {
        check(tx, &own.id)?;
    }
    Ok(())
}

/// Asks again for logs that were withheld or not known, and from time to time for our own.
pub(crate) fn ask_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    check_own(tx)?;
    for (again, due) in tx.scan(Table::Meta, AGAIN, None, limits::PAGE)? {
        if due.as_slice() > tx.now.as_secs().to_be_bytes().as_slice() {
            continue;
        }
        tx.delete(Table::Meta, again.clone());
        let account = again.strip_prefix(AGAIN).and_then(AccountId::from_slice);
        if let Some(account) = account {
            check(tx, &account)?;
        }
    }
    Ok(())
}
