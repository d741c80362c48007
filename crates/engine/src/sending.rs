//! Letters on their way out: checked, sealed for each device, accepted, delivered or failed.

use crate::account;
use crate::contacts;
use crate::content::{Body, Content, LetterBody};
use crate::error::EngineError;
use crate::event::{CommandOutcome, Event};
use crate::input::{CommandId, Draft};
use crate::letters::{self, load, store};
use crate::limits;
use crate::outbox;
use crate::records::{
    Contact, Delivery, DeliveryState, Direction, Letter, LetterState, Purpose, Record as _,
    SentBody,
};
use crate::routes;
use crate::sessions;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::uploads;
use crate::waiting;
use keys::{AccountId, DeviceId, LetterId, MessageId, QueueId};

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
    letters::set_expiry(tx, &mut letter);
    letters::file(tx, &letter);
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
        enclosures: letter.enclosures.iter().map(letters::to_content).collect(),
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
pub(crate) fn advance(
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
