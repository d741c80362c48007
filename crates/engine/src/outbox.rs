//! Requests: stored before they leave, offered again on every connection, ended by an answer.

use crate::account;
use crate::answers;
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::group;
use crate::input::CommandId;
use crate::letters;
use crate::limits;
use crate::logs;
use crate::peers;
use crate::pre_keys;
use crate::queues;
use crate::records::{OutboxEntry, Purpose, Record as _, SentBody, key};
use crate::silence;
use crate::step::Outgoing;
use crate::store::Table;
use crate::together;
use crate::transaction::Transaction;
use crate::turns;
use keys::{AccountId, DeviceId, LetterId, Timestamp};

/// Stores a request for a relay and hands it out.
pub(crate) fn add(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    relay: String,
    request: wire::Request,
) -> Result<u64, EngineError> {
    let entry = OutboxEntry {
        purpose,
        relay,
        request: request.encode(),
    };
    let id = put(tx, &entry)?;
    offer(tx, id, entry)?;
    Ok(id)
}

/// Stores requests that carry one body to several devices, and hands them out together.
pub(crate) fn add_all(
    tx: &mut Transaction<'_>,
    entries: Vec<OutboxEntry>,
) -> Result<(), EngineError> {
    let mut ids = Vec::with_capacity(entries.len());
    for entry in &entries {
        ids.push(put(tx, entry)?);
    }
    for (id, entry) in ids.into_iter().zip(entries) {
        offer(tx, id, entry)?;
    }
    Ok(())
}

fn put(tx: &mut Transaction<'_>, entry: &OutboxEntry) -> Result<u64, EngineError> {
    let id = tx.next_number("outbox")?;
    tx.put(Table::Outbox, id.to_be_bytes().to_vec(), entry.encode());
    turns::enter(tx, &entry.purpose, id)?;
    Ok(id)
}

/// Stores a request for our own relay.
pub(crate) fn add_own(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    request: wire::Request,
) -> Result<(), EngineError> {
    let relay = account::home_relay(tx)?.ok_or(EngineError::NoAccount)?;
    add(tx, purpose, relay, request).map(drop)
}

/// A connection stands: everything without an answer is asked again, in the old order.
pub(crate) fn connected(
    tx: &mut Transaction<'_>,
    relay: &str,
    welcome: &wire::Welcome,
) -> Result<(), EngineError> {
    if account::home_relay(tx)?.as_deref() == Some(relay) {
        queues::subscribe_all(tx)?;
        group::connected(tx)?;
    }
    logs::forget_checks(tx)?;
    silence::connected(tx)?;
    if let Some(own) = account::load(tx)?.filter(|own| own.registered && own.relay == relay) {
        logs::check(tx, &own.id)?;
    }
    if went_back(tx, relay, &welcome.relay_id, welcome.store_version)? {
        begin_again(tx, relay)?;
    } else {
        resend(tx, relay, Some(limits::RESEND_AFTER_SECONDS))?;
    }
    offer_all(tx, relay)
}

fn offer_all(tx: &mut Transaction<'_>, relay: &str) -> Result<(), EngineError> {
    tx.each(Table::Outbox, &[], |tx, number, bytes| {
        let entry = OutboxEntry::decode(bytes)?;
        if entry.relay != relay {
            return Ok(());
        }
        let id = number.try_into().map_err(|_| StoreError::Damaged {
            what: "outbox entry",
        })?;
        offer(tx, u64::from_be_bytes(id), entry)
    })
}

/// Hands a stored request out, if it is its turn; with it those that carry the same body to other devices.
fn offer(tx: &mut Transaction<'_>, id: u64, entry: OutboxEntry) -> Result<(), EngineError> {
    if together::is_out(tx, id)? || !may_go(tx, id, &entry.purpose)? {
        return Ok(());
    }
    let damaged = |_| StoreError::Damaged {
        what: "outbox entry",
    };
    let mut request = wire::Request::decode(&entry.request).map_err(damaged)?;
    let mut others = Vec::new();
    if let wire::Request::Send(send) = &mut request {
        for (other, sibling) in together::siblings(tx, id, &entry)? {
            if others.len() >= limits::ROWS_TOGETHER || !may_go(tx, other, &sibling.purpose)? {
                break; // The rows are those right behind this entry, so that the answer is easily taken apart.
            }
            if let wire::Request::Send(more) =
                wire::Request::decode(&sibling.request).map_err(damaged)?
            {
                send.rows.extend(more.rows);
                others.push(other);
            }
        }
    }
    together::note(tx, id, &others);
    tx.send(Outgoing::Request {
        id,
        relay: entry.relay,
        request: Box::new(request),
    });
    Ok(())
}

fn may_go(tx: &mut Transaction<'_>, id: u64, purpose: &Purpose) -> Result<bool, EngineError> {
    Ok(turns::is_up(tx, purpose, id)? && may_leave(tx, purpose)?)
}

/// Whether the account log of a body's recipient is fresh; where not, it is asked for and the body waits.
fn may_leave(tx: &mut Transaction<'_>, purpose: &Purpose) -> Result<bool, EngineError> {
    let Purpose::Send {
        account, letter, ..
    } = purpose
    else {
        return Ok(true);
    };
    if devices::is_suspended(tx)? {
        return Ok(false); // Nobody listens to it now.
    }
    // SECURITY: what was sealed before a hard stop waits for a person too; `a_stop_holds_what_is_sealed` notices.
    // The logs that differ are shown to the other side all the same: they are signed, and no secret.
    let stopped = peers::load(tx, account)?.is_none_or(|peer| peer.stopped);
    if stopped && letter.is_some() {
        return Ok(false);
    }
    if logs::fresh(tx, account)? {
        return Ok(true);
    }
    logs::check(tx, account)?;
    Ok(false)
}

/// Hands out what waits for an account's devices.
pub(crate) fn offer_to(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    for id in turns::up_for(tx, account)? {
        offer_one(tx, id)?;
    }
    Ok(())
}

/// Hands a stored request out, if it is there and it is its turn.
fn offer_one(tx: &mut Transaction<'_>, id: u64) -> Result<(), EngineError> {
    match tx.get(Table::Outbox, &id.to_be_bytes())? {
        Some(bytes) => offer(tx, id, OutboxEntry::decode(&bytes)?),
        None => Ok(()),
    }
}

/// Compares what the relay says of its store with what it said before.
fn went_back(
    tx: &mut Transaction<'_>,
    relay: &str,
    relay_id: &[u8; 16],
    version: u64,
) -> Result<bool, EngineError> {
    let place = relay.as_bytes().to_vec();
    let before = tx.get(Table::Relay, &place)?;
    let now = key(&[relay_id, &version.to_be_bytes()]);
    let back = before.is_some_and(|before| match before.split_first_chunk::<16>() {
        Some((id, before)) => id != relay_id || before > version.to_be_bytes().as_slice(),
        None => false,
    });
    tx.put(Table::Relay, place, zeroize::Zeroizing::new(now));
    Ok(back)
}

/// The relay stored something of ours: what it says of itself later must not be older than that.
pub(crate) fn note_version(
    tx: &mut Transaction<'_>,
    relay: &str,
    version: u64,
) -> Result<(), EngineError> {
    let known = tx.get(Table::Relay, relay.as_bytes())?;
    let Some((id, _)) = known
        .as_ref()
        .and_then(|known| known.split_first_chunk::<16>())
    else {
        return Ok(());
    };
    if went_back(tx, relay, id, version)? {
        relay_rolled_back(tx, relay)
    } else {
        Ok(())
    }
}

/// The relay lost what it once accepted, and an answer shows it.
pub(crate) fn relay_rolled_back(tx: &mut Transaction<'_>, relay: &str) -> Result<(), EngineError> {
    for id in begin_again(tx, relay)? {
        offer_one(tx, id)?;
    }
    Ok(())
}

/// Our queues are asked for again, bodies without receipt are sent again. A body that did arrive is a duplicate
/// to the recipient's ratchet and shown once. Returns the new numbers of what is sent again.
fn begin_again(tx: &mut Transaction<'_>, relay: &str) -> Result<Vec<u64>, EngineError> {
    tx.event(Event::RelayRolledBack {
        relay: relay.to_owned(),
    });
    if account::home_relay(tx)?.as_deref() == Some(relay) {
        queues::announce_all(tx)?;
    }
    if let Some(own) = account::load(tx)?.filter(|own| own.relay == relay) {
        if own.registered {
            account::register(tx, &own, CommandId::default())?;
        }
        pre_keys::publish_again(tx)?;
    }
    resend(tx, relay, None)
}

/// Moves accepted bodies without receipt back to the outbox; with `older_than`, only those older than that.
///
/// They were written before what waits in the outbox, and leave in the order in which they were written.
fn resend(
    tx: &mut Transaction<'_>,
    relay: &str,
    older_than: Option<u64>,
) -> Result<Vec<u64>, EngineError> {
    let mut again = Vec::new();
    tx.each(Table::Sent, &[], |tx, message, bytes| {
        let sent = SentBody::decode(bytes)?;
        let age = tx.now.since(sent.accepted_at);
        if sent.relay == relay && older_than.is_none_or(|seconds| age >= seconds) {
            again.push((place_of(tx, &sent.purpose)?, Table::Sent, message.to_vec()));
        }
        Ok(())
    })?;
    if again.is_empty() {
        return Ok(Vec::new());
    }
    tx.each(Table::Outbox, &[], |tx, number, bytes| {
        let entry = OutboxEntry::decode(bytes)?;
        if entry.relay == relay && matches!(entry.purpose, Purpose::Send { .. }) {
            again.push((
                place_of(tx, &entry.purpose)?,
                Table::Outbox,
                number.to_vec(),
            ));
        }
        Ok(())
    })?;
    again.sort_by_key(|(order, ..)| *order);
    let mut ids = Vec::with_capacity(again.len());
    for (_, table, place) in again {
        ids.extend(requeue(tx, table, place)?);
    }
    Ok(ids)
}

/// Where a body's letter stands among all letters; what is no letter comes last.
fn place_of(tx: &Transaction<'_>, purpose: &Purpose) -> Result<u64, EngineError> {
    let Purpose::Send {
        letter: Some(letter),
        ..
    } = purpose
    else {
        return Ok(u64::MAX);
    };
    Ok(letters::load(tx, letter)?.map_or(u64::MAX, |letter| letter.order))
}

/// Moves one body to the end of the outbox and returns its new number.
fn requeue(
    tx: &mut Transaction<'_>,
    table: Table,
    place: Vec<u8>,
) -> Result<Option<u64>, EngineError> {
    let Some(bytes) = tx.get(table, &place)? else {
        return Ok(None);
    };
    let entry = if table == Table::Sent {
        let sent = SentBody::decode(&bytes)?;
        OutboxEntry {
            purpose: sent.purpose,
            relay: sent.relay,
            request: sent.request,
        }
    } else {
        let entry = OutboxEntry::decode(&bytes)?;
        if let Ok(old) = place.as_slice().try_into() {
            turns::leave(tx, &entry.purpose, u64::from_be_bytes(old))?;
        }
        entry
    };
    tx.delete(table, place);
    let id = tx.next_number("outbox")?;
    tx.put(Table::Outbox, id.to_be_bytes().to_vec(), entry.encode());
    turns::enter(tx, &entry.purpose, id)?;
    Ok(Some(id))
}

/// When sealed bodies were last looked through: BE8 seconds.
const SWEPT: &[u8] = b"sent-swept";

/// Deletes sealed bodies that have waited for a receipt too long; looks once an hour. Their letters stay sent: the
/// relay took them, and perhaps only the receipt was lost.
pub(crate) fn expire_sent(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let swept = tx.get(Table::Meta, SWEPT)?;
    let swept = swept.and_then(|swept| swept.as_slice().try_into().ok());
    let swept = Timestamp::from_secs(swept.map_or(0, u64::from_be_bytes));
    // A clock that was set back must not stop the sweeps until it is where it was.
    if swept <= tx.now && tx.now.since(swept) < limits::SWEEP_SECONDS {
        return Ok(());
    }
    let now = tx.now.as_secs().to_be_bytes().to_vec();
    tx.put(Table::Meta, SWEPT.to_vec(), zeroize::Zeroizing::new(now));
    tx.each(Table::Sent, &[], |tx, message, bytes| {
        if tx.now.since(SentBody::decode(bytes)?.accepted_at) >= limits::SENT_KEPT_SECONDS {
            tx.delete(Table::Sent, message.to_vec());
        }
        Ok(())
    })?;
    letters::forget_ahead(tx)
}

/// A device has a letter that is not here any more: its sealed body is forgotten.
pub(crate) fn confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    tx.each(Table::Sent, &[], |tx, message, bytes| {
        let is_it = matches!(
            SentBody::decode(bytes)?.purpose,
            Purpose::Send { account: to, device: at, letter: Some(id), .. }
                if to == *account && at == *device && id == *letter
        );
        if is_it {
            tx.delete(Table::Sent, message.to_vec());
        }
        Ok(())
    })
}

/// The letters that are sealed for devices of an account and that no receipt covers.
pub(crate) fn under_way(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<LetterId>, EngineError> {
    let mut letters = Vec::new();
    let mut note = |purpose: Purpose| match purpose {
        Purpose::Send {
            account: to,
            letter: Some(letter),
            ..
        } if to == *account => letters.push(letter),
        _ => {}
    };
    tx.each(Table::Sent, &[], |_, _, bytes| {
        note(SentBody::decode(bytes)?.purpose);
        Ok(())
    })?;
    tx.each(Table::Outbox, &[], |_, _, bytes| {
        note(OutboxEntry::decode(bytes)?.purpose);
        Ok(())
    })?;
    Ok(letters)
}

/// Whether a letter is sealed for a device that no receipt covers.
pub(crate) fn is_under_way(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let to_device = |purpose: &Purpose| {
        matches!(
            purpose,
            Purpose::Send { account: to, device: at, letter: Some(_), .. }
                if to == account && at == device
        )
    };
    for (_, bytes) in tx.scan(Table::Sent, &[], None, usize::MAX)? {
        if to_device(&SentBody::decode(&bytes)?.purpose) {
            return Ok(true);
        }
    }
    for (_, bytes) in tx.scan(Table::Outbox, &[], None, usize::MAX)? {
        if to_device(&OutboxEntry::decode(&bytes)?.purpose) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The letters to a device that are sealed and that no receipt covers; their bodies are forgotten here.
pub(crate) fn take_unconfirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<Vec<LetterId>, EngineError> {
    let to_device = |purpose: &Purpose| match purpose {
        Purpose::Send {
            account: to,
            device: at,
            letter,
            ..
        } if to == account && at == device => *letter,
        _ => None,
    };
    let mut letters = Vec::new();
    tx.each(Table::Sent, &[], |tx, message, bytes| {
        if let Some(letter) = to_device(&SentBody::decode(bytes)?.purpose) {
            tx.delete(Table::Sent, message.to_vec());
            letters.push(letter);
        }
        Ok(())
    })?;
    let mut next = None;
    tx.each(Table::Outbox, &[], |tx, number, bytes| {
        let purpose = OutboxEntry::decode(bytes)?.purpose;
        if let (Some(letter), Ok(id)) = (to_device(&purpose), number.try_into()) {
            tx.delete(Table::Outbox, number.to_vec());
            next = turns::leave(tx, &purpose, u64::from_be_bytes(id))?;
            letters.push(letter);
        }
        Ok(())
    })?;
    if let Some(next) = next {
        offer_one(tx, next)?;
    }
    Ok(letters)
}

/// Handles a relay's answer.
pub(crate) fn reply(
    tx: &mut Transaction<'_>,
    id: u64,
    reply: wire::Reply,
) -> Result<(), EngineError> {
    silence::spoke(tx, id)?;
    if reply.try_again_after().is_some() {
        return Ok(()); // It stays; the driver offers it again after the time the relay named.
    }
    let ids = together::take(tx, id)?;
    let several = ids.len() > 1;
    for (row, id) in ids.into_iter().enumerate() {
        let Some(reply) = together::part_of(&reply, row) else {
            continue; // The relay forgot a row; it goes again on the next connection.
        };
        if several && reply.try_again_after().is_some() {
            offer_later(tx, id);
        } else {
            reply_to_one(tx, id, reply)?;
        }
    }
    Ok(())
}

/// A queue was full while others took the body: that row goes again in a while.
const LATER: &[u8] = b"offer-later/";

fn offer_later(tx: &mut Transaction<'_>, id: u64) {
    let due = tx.now.saturating_add(limits::QUEUE_FULL_SECONDS).as_secs();
    let due = zeroize::Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Meta, key(&[LATER, &id.to_be_bytes()]), due);
}

/// Hands out what a full queue did not take.
pub(crate) fn offer_due(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, due) in tx.scan(Table::Meta, LATER, None, limits::PAGE)? {
        if due.as_slice() > tx.now.as_secs().to_be_bytes().as_slice() {
            continue;
        }
        if let Some(id) = place.last_chunk::<8>() {
            offer_one(tx, u64::from_be_bytes(*id))?;
        }
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

fn reply_to_one(tx: &mut Transaction<'_>, id: u64, reply: wire::Reply) -> Result<(), EngineError> {
    let place = id.to_be_bytes().to_vec();
    // An answer to nothing: the relay repeats itself, or lies.
    let Some(bytes) = tx.get(Table::Outbox, &place)? else {
        return Ok(());
    };
    let entry = OutboxEntry::decode(&bytes)?;
    tx.delete(Table::Outbox, place);
    let purpose = entry.purpose.clone();
    match answers::answer(tx, entry, reply) {
        Ok(()) => {}
        Err(EngineError::Store(error)) => return Err(EngineError::Store(error)),
        Err(error) => answers::broken(tx, &purpose, error)?,
    }
    match turns::leave(tx, &purpose, id)? {
        Some(next) => offer_one(tx, next),
        None => Ok(()),
    }
}

/// Drops requests without answer, because others take their place: what they were for.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    which: impl Fn(&Purpose) -> bool,
) -> Result<Vec<Purpose>, EngineError> {
    let mut forgotten = Vec::new();
    tx.each(Table::Outbox, &[], |tx, number, bytes| {
        let purpose = OutboxEntry::decode(bytes)?.purpose;
        if which(&purpose) {
            tx.delete(Table::Outbox, number.to_vec());
            forgotten.push(purpose);
        }
        Ok(())
    })?;
    Ok(forgotten)
}
