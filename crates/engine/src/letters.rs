//! Letters: written, sealed for each device, delivered, received, shown once, expired.
//!
//! ```text
//!  sent:     Uploading ─► Queued ─► Sent ─► Delivered          received:  Received ─► Read
//!                 └──────────┴────────┴──► Failed                             (a timer deletes either)
//! ```

use crate::account;
use crate::contacts;
use crate::content::{self, Body, Content, LetterBody};
use crate::envelope::{Inner, MessageKind};
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::{CommandId, Draft};
use crate::limits;
use crate::outbox;
use crate::pre_keys;
use crate::queues;
use crate::records::{
    Contact, Delivery, DeliveryState, Direction, Enclosure, Letter, LetterState, Purpose,
    Record as _, SentBody, key,
};
use crate::routes;
use crate::sessions;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::uploads;
use crate::waiting;
use keys::{AccountId, DeviceId, LetterId, MessageId, QueueId, Secret, Timestamp};
use zeroize::Zeroizing;

/// Reads a letter.
pub(crate) fn load(tx: &Transaction<'_>, id: &LetterId) -> Result<Option<Letter>, EngineError> {
    match tx.get(Table::Letter, id.as_bytes())? {
        Some(bytes) => Ok(Some(Letter::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, letter: &Letter) {
    tx.put(
        Table::Letter,
        letter.id.as_bytes().to_vec(),
        letter.encode(),
    );
}

/// Takes a letter into the profile and starts it on its way.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: LetterId,
    to: &AccountId,
    draft: Draft,
) -> Result<(), EngineError> {
    if load(tx, &id)?.is_some() {
        tx.outcome(command, CommandOutcome::LetterQueued(id));
        return Ok(()); // The command was repeated after a crash; the letter is on its way.
    }
    let mut contact = sendable(tx, to)?;
    check(tx, &draft)?;
    if contact.request {
        contact.request = false; // An answer accepts the request.
        contacts::store(tx, &contact);
    }
    let log = contacts::log_of(&contact)?;
    let mut letter = Letter {
        id,
        contact: *to,
        order: tx.next_number("letters")?,
        direction: Direction::Sent,
        state: LetterState::Queued,
        text: draft.text,
        sent_at: tx.now,
        reply_to: draft.reply_to,
        expires_after: draft.expires_after,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: log
            .devices()
            .iter()
            .map(|device| Delivery {
                device: *device.id(),
                message: MessageId::random(tx.rng),
                state: DeliveryState::Waiting,
            })
            .collect(),
    };
    for attachment in draft.attachments {
        let enclosure = uploads::begin(tx, &letter.id, attachment)?;
        letter.enclosures.push(enclosure);
        letter.state = LetterState::Uploading;
    }
    set_expiry(tx, &mut letter);
    file(tx, &letter);
    tx.outcome(command, CommandOutcome::LetterQueued(id));
    if letter.state == LetterState::Queued {
        dispatch(tx, &id)
    } else {
        Ok(())
    }
}

fn sendable(tx: &Transaction<'_>, to: &AccountId) -> Result<Contact, EngineError> {
    account::own(tx)?;
    let contact = contacts::existing(tx, to)?;
    if contact.blocked {
        return Err(EngineError::Blocked);
    }
    // SECURITY: the hard stop; `changed_identity_stops_sending` notices.
    if contact.changed {
        return Err(EngineError::IdentityChanged {
            contact: contact.id,
        });
    }
    Ok(contact)
}

fn check(tx: &Transaction<'_>, draft: &Draft) -> Result<(), EngineError> {
    if draft.text.is_empty() && draft.attachments.is_empty() {
        return Err(EngineError::EmptyLetter);
    }
    if draft.text.len() > limits::TEXT_BYTES {
        return Err(EngineError::TextTooLong {
            got: draft.text.len(),
            max: limits::TEXT_BYTES,
        });
    }
    if draft.attachments.len() > limits::ENCLOSURES {
        return Err(EngineError::TooManyFiles {
            max: limits::ENCLOSURES,
        });
    }
    if let Some(answered) = &draft.reply_to {
        load(tx, answered)?.ok_or(EngineError::UnknownLetter)?;
    }
    Ok(())
}

/// Puts a new letter in its conversation and in the search index.
fn file(tx: &mut Transaction<'_>, letter: &Letter) {
    store(tx, letter);
    tx.put(
        Table::Conversation,
        conversation_key(letter),
        Zeroizing::new(letter.id.as_bytes().to_vec()),
    );
    if !letter.text.is_empty() {
        tx.index(letter.id, letter.text.clone());
    }
}

fn conversation_key(letter: &Letter) -> Vec<u8> {
    key(&[letter.contact.as_bytes(), &letter.order.to_be_bytes()])
}

/// Seals a letter for every device that has not got it; devices without session wait for keys.
pub(crate) fn dispatch(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    let Some(letter) = load(tx, id)? else {
        return Ok(());
    };
    for delivery in &letter.deliveries {
        if delivery.state != DeliveryState::Waiting {
            continue;
        }
        // Nothing overtakes a letter that waits.
        let first = !waiting::any(tx, &letter.contact, &delivery.device)?;
        if first && sessions::ready(tx, &letter.contact, &delivery.device)? {
            seal_for(tx, id, &delivery.device)?;
        } else {
            waiting::wait(tx, &letter.contact, &delivery.device, id)?;
        }
    }
    Ok(())
}

/// Seals a stored letter for one device that has a session.
pub(crate) fn seal_for(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    }; // It expired meanwhile.
    let Some(delivery) = letter
        .deliveries
        .iter_mut()
        .find(|delivery| delivery.device == *device)
    else {
        return Ok(());
    };
    delivery.state = DeliveryState::Sealed;
    let message = delivery.message;
    let contact = letter.contact;
    let body = Body::Letter(LetterBody {
        text: letter.text.clone(),
        reply_to: letter.reply_to,
        expires_after: letter.expires_after,
        enclosures: letter.enclosures.iter().map(to_content).collect(),
    });
    letter.state = LetterState::Queued;
    store(tx, &letter);
    let content = Content {
        id: letter.id,
        sent_at: letter.sent_at,
        route: None,
        body,
    };
    sessions::send(tx, &contact, device, content, message, Some(letter.id))
}

fn to_content(enclosure: &Enclosure) -> content::Enclosure {
    content::Enclosure {
        blob: enclosure.blob,
        read_token: enclosure.read_token.duplicate(),
        key: enclosure.key.duplicate(),
        name: enclosure.name.clone(),
        size: enclosure.size,
        relay: enclosure.relay.clone(),
    }
}

/// The relay answered a send.
pub(crate) fn send_answered(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    relay: String,
    request: Vec<u8>,
    result: &wire::SendResult,
) -> Result<(), EngineError> {
    let Purpose::Send {
        message,
        account,
        device,
        letter,
    } = purpose
    else {
        return Ok(());
    };
    match result.rows.first() {
        Some(wire::RowResult::Accepted { seq }) => {
            outbox::note_version(tx, &relay, result.store_version)?;
            let place = queue_of(&request).map(|queue| (queue, *seq));
            routes::accepted_at(tx, &account, &device, place, &relay)?;
            accepted(tx, (message, purpose), relay, request)
        }
        Some(wire::RowResult::Duplicate { .. }) => accepted(tx, (message, purpose), relay, request),
        // The recipient closed the queue, or a relay lost it: by the front door, now or later.
        _ => {
            let by_front_door = routes::lost(tx, &account, &device)?;
            let Some(letter) = letter else { return Ok(()) };
            unseal(tx, &letter, &device)?;
            if by_front_door {
                dispatch(tx, &letter)
            } else {
                waiting::wait_longer(tx, &account, &device, &letter)
            }
        }
    }
}

/// The queue a stored send went to.
fn queue_of(request: &[u8]) -> Option<QueueId> {
    match wire::Request::decode(request) {
        Ok(wire::Request::Send(send)) => send.rows.first().map(|row| row.queue_id),
        _ => None,
    }
}

/// A relay has the body: it is kept until the recipient says that it came.
fn accepted(
    tx: &mut Transaction<'_>,
    (message, purpose): (MessageId, Purpose),
    relay: String,
    request: Vec<u8>,
) -> Result<(), EngineError> {
    let Purpose::Send {
        device,
        letter: Some(letter),
        ..
    } = purpose
    else {
        return Ok(());
    };
    let sent = SentBody {
        purpose,
        relay,
        request,
        accepted_at: tx.now,
    };
    tx.put(Table::Sent, message.as_bytes().to_vec(), sent.encode());
    advance(tx, &letter, &device, DeliveryState::Accepted)
}

/// A sealed letter went nowhere: it will be sealed again, under a new message id.
fn unseal(tx: &mut Transaction<'_>, id: &LetterId, device: &DeviceId) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    let message = MessageId::random(tx.rng);
    let delivery = letter
        .deliveries
        .iter_mut()
        .find(|delivery| delivery.device == *device && delivery.state != DeliveryState::Delivered);
    if let Some(delivery) = delivery {
        delivery.state = DeliveryState::Waiting;
        delivery.message = message;
        store(tx, &letter);
    }
    Ok(())
}

/// One of us lost its session and a new one began: what the peer's device may have missed goes again.
pub(crate) fn send_again(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let mut letters = Vec::new();
    for id in outbox::take_unconfirmed(tx, account, device)? {
        letters.extend(load(tx, &id)?);
    }
    letters.sort_by_key(|letter| letter.order);
    for letter in letters {
        unseal(tx, &letter.id, device)?;
        dispatch(tx, &letter.id)?;
    }
    Ok(())
}

/// Moves one device's delivery forward and the letter with it.
fn advance(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    device: &DeviceId,
    state: DeliveryState,
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    for delivery in &mut letter.deliveries {
        if delivery.device == *device && (delivery.state as u8) < state as u8 {
            delivery.state = state;
        }
    }
    let all = |wanted: DeliveryState| {
        letter
            .deliveries
            .iter()
            .all(|delivery| delivery.state as u8 >= wanted as u8)
    };
    let before = letter.state;
    if letter
        .deliveries
        .iter()
        .any(|delivery| delivery.state == DeliveryState::Delivered)
    {
        letter.state = LetterState::Delivered;
    } else if all(DeliveryState::Accepted) {
        letter.state = LetterState::Sent;
    }
    store(tx, &letter);
    if before != letter.state {
        match letter.state {
            LetterState::Sent => tx.event(Event::LetterSent { letter: *id }),
            LetterState::Delivered => tx.event(Event::LetterDelivered { letter: *id }),
            _ => {}
        }
    }
    Ok(())
}

/// A letter that will not arrive, unless a device has it already.
pub(crate) fn fail(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    error: EngineError,
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    if letter.direction == Direction::Sent && letter.state != LetterState::Delivered {
        letter.state = LetterState::Failed;
        store(tx, &letter);
        tx.event(Event::LetterFailed { letter: *id, error });
    }
    Ok(())
}

/// Opens what a contact's device sent.
pub(crate) fn receive(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    inner: &Inner,
) -> Result<(), EngineError> {
    let contact = contacts::existing(tx, from)?;
    if contact.blocked {
        return Ok(());
    }
    let plaintext = match sessions::decrypt(tx, &contact, inner)? {
        sessions::Decrypted::Plaintext(plaintext) => plaintext,
        sessions::Decrypted::Duplicate => return Ok(()),
        sessions::Decrypted::Failed => {
            tx.event(Event::Undecryptable {
                contact: Some(*from),
            });
            if waiting::repair(tx, &contact, &inner.device)? && inner.kind == MessageKind::PreKey {
                // It may name a pre-key that is used up: a relay set back hands such keys out again.
                pre_keys::publish_again(tx)?;
            }
            return Ok(());
        }
    };
    let Ok(content) = Content::decode(&plaintext) else {
        tx.event(Event::Undecryptable {
            contact: Some(*from),
        });
        return Ok(());
    };
    if let Some(route) = content.route {
        routes::learn(tx, from, &inner.device, route)?;
    }
    match content.body {
        Body::Letter(body) => arrived(
            tx,
            &contact,
            inner.device,
            content.id,
            content.sent_at,
            body,
        ),
        Body::Receipt(letters) => receipt(tx, from, &inner.device, &letters),
        Body::Repair => send_again(tx, from, &inner.device),
        Body::Unknown => Ok(()),
    }
}

fn arrived(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    device: DeviceId,
    id: LetterId,
    sent_at: Timestamp,
    body: LetterBody,
) -> Result<(), EngineError> {
    // Sent again in a new session, or by a peer that reuses ids: the first one stays.
    if load(tx, &id)?.is_none() {
        let letter = Letter {
            id,
            contact: contact.id,
            order: tx.next_number("letters")?,
            direction: Direction::Received,
            state: LetterState::Received,
            text: body.text,
            sent_at,
            reply_to: body.reply_to,
            expires_after: body.expires_after,
            expires_at: None,
            enclosures: body.enclosures.into_iter().map(from_content).collect(),
            deliveries: Vec::new(),
        };
        file(tx, &letter);
        tx.event(Event::LetterReceived {
            contact: contact.id,
            letter: id,
        });
    }
    if contact.request {
        return Ok(()); // A stranger learns nothing, not even that the letter came.
    }
    owe_receipt(tx, &contact.id, &device, &id)
}

fn from_content(enclosure: content::Enclosure) -> Enclosure {
    Enclosure {
        blob: enclosure.blob,
        read_token: enclosure.read_token,
        key: enclosure.key,
        name: enclosure.name,
        size: enclosure.size,
        relay: enclosure.relay,
    }
}

/// Notes that a receipt is due; they leave together, a little later.
fn owe_receipt(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let mut jitter = [0; 8];
    tx.rng.fill_bytes(&mut jitter);
    let wait = u64::from_be_bytes(jitter)
        .checked_rem(limits::RECEIPT_JITTER_SECONDS)
        .unwrap_or(0);
    let due = tx.now.as_secs().saturating_add(wait);
    let place = key(&[account.as_bytes(), device.as_bytes(), letter.as_bytes()]);
    tx.put(
        Table::Receipt,
        place,
        Zeroizing::new(due.to_be_bytes().to_vec()),
    );
    Ok(())
}

/// Sends the receipts that are due.
pub(crate) fn send_receipts(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let rows = tx.scan(Table::Receipt, &[], None, limits::RECEIPT_LETTERS)?;
    let mut batches: Vec<(AccountId, DeviceId, Vec<LetterId>)> = Vec::new();
    for (place, due) in rows {
        let due = due
            .as_slice()
            .try_into()
            .map(u64::from_be_bytes)
            .unwrap_or(0);
        if due > tx.now.as_secs() {
            continue;
        }
        let (account, device, letter) = receipt_key(&place)?;
        tx.delete(Table::Receipt, place);
        match batches.last_mut() {
            Some(batch) if batch.0 == account && batch.1 == device => batch.2.push(letter),
            _ => batches.push((account, device, vec![letter])),
        }
    }
    for (account, device, letters) in batches {
        let blocked =
            contacts::load(tx, &account)?.is_none_or(|contact| contact.blocked || contact.changed);
        if blocked || !sessions::ready(tx, &account, &device)? {
            continue;
        }
        let id = LetterId::random(tx.rng);
        let message = MessageId::random(tx.rng);
        let content = Content {
            id,
            sent_at: tx.now,
            route: None,
            body: Body::Receipt(letters),
        };
        sessions::send(tx, &account, &device, content, message, None)?;
    }
    Ok(())
}

fn receipt_key(place: &[u8]) -> Result<(AccountId, DeviceId, LetterId), EngineError> {
    let damaged = || StoreError::Damaged { what: "receipt" };
    let (account, rest) = place.split_first_chunk::<32>().ok_or_else(damaged)?;
    let (device, letter) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
    let letter = LetterId::from_slice(letter).ok_or_else(damaged)?;
    Ok((
        AccountId::from_bytes(*account),
        DeviceId::from_bytes(*device),
        letter,
    ))
}

/// The peer has stored these letters.
fn receipt(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    device: &DeviceId,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    for id in letters {
        let Some(letter) = load(tx, id)? else {
            continue;
        };
        // Only the recipient's word counts.
        if letter.contact != *from || letter.direction != Direction::Sent {
            continue;
        }
        if let Some(delivery) = letter
            .deliveries
            .iter()
            .find(|delivery| delivery.device == *device)
        {
            tx.delete(Table::Sent, delivery.message.as_bytes().to_vec());
        }
        advance(tx, id, device, DeliveryState::Delivered)?;
    }
    Ok(())
}

/// The reader saw these letters.
pub(crate) fn mark_read(tx: &mut Transaction<'_>, letters: &[LetterId]) -> Result<(), EngineError> {
    for id in letters {
        let Some(mut letter) = load(tx, id)? else {
            continue;
        };
        if letter.state != LetterState::Received {
            continue;
        }
        letter.state = LetterState::Read;
        set_expiry(tx, &mut letter);
        store(tx, &letter);
    }
    Ok(())
}

/// Starts the timer of a disappearing letter.
fn set_expiry(tx: &mut Transaction<'_>, letter: &mut Letter) {
    let Some(seconds) = letter.expires_after else {
        return;
    };
    let at = tx.now.as_secs().saturating_add(seconds);
    letter.expires_at = Some(Timestamp::from_secs(at));
    let place = key(&[&at.to_be_bytes(), letter.id.as_bytes()]);
    tx.put(Table::Expiry, place, Zeroizing::new(Vec::new()));
}

/// Deletes letters whose time is over.
pub(crate) fn expire(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, _) in tx.scan(Table::Expiry, &[], None, limits::PAGE)? {
        let Some((at, id)) = place.split_first_chunk::<8>() else {
            continue;
        };
        if u64::from_be_bytes(*at) > tx.now.as_secs() {
            return Ok(());
        }
        if let Some(letter) = LetterId::from_slice(id)
            .map(|id| load(tx, &id))
            .transpose()?
            .flatten()
        {
            tx.delete(Table::Letter, letter.id.as_bytes().to_vec());
            tx.delete(Table::Conversation, conversation_key(&letter));
            tx.unindex(letter.id);
        }
        tx.delete(Table::Expiry, place);
    }
    Ok(())
}

/// A route for a contact, offered until the contact has used it.
pub(crate) fn route_offer(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<Option<content::RouteOffer>, EngineError> {
    let queue = queues::for_contact(tx, contact)?;
    if queue.used {
        return Ok(None);
    }
    Ok(Some(content::RouteOffer {
        queue: queue.id,
        token: queue.token.duplicate(),
        key: queue.route_key.duplicate(),
        relay: account::own(tx)?.relay,
    }))
}

/// Draws the secrets of a new blob.
pub(crate) fn fresh_enclosure(
    tx: &mut Transaction<'_>,
    name: String,
    size: u64,
    relay: String,
) -> Enclosure {
    Enclosure {
        blob: keys::BlobId::random(tx.rng),
        read_token: Secret::random(tx.rng),
        key: Secret::random(tx.rng),
        name,
        size,
        relay,
    }
}
