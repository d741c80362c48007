//! Letters on their way out: checked, sealed for each device, accepted, delivered or failed.

use crate::account;
use crate::amending;
use crate::contacts;
use crate::content::{Body, Content, Copy, LetterBody};
use crate::errands;
use crate::error::EngineError;
use crate::event::{CommandOutcome, Event};
use crate::group;
use crate::guardians;
use crate::input::{CommandId, Draft};
use crate::letters::{self, load, store};
use crate::limits;
use crate::outbox;
use crate::peers::Peer;
use crate::records::{
    Contact, Delivery, DeliveryState, Direction, Letter, LetterState, Marks, Purpose, Record as _,
    SentBody, key,
};
use crate::routes;
use crate::sas_message;
use crate::sessions;
use crate::signed;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::uploads;
use crate::waiting;
use keys::account_log::VerifiedLog;
use keys::{AccountId, DeviceId, LetterId, MessageId, QueueId};
use zeroize::Zeroizing;

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
    if let Some(record) = group::state::of_conversation(tx, to)? {
        check(tx, &draft)?;
        return group::letters::send(tx, command, id, &record, draft);
    }
    let mut contact = sendable(tx, to)?;
    check(tx, &draft)?;
    accept(tx, &mut contact)?;
    let log = contacts::log_of(&contact)?;
    if group::pair::is_needed(tx, &log)? {
        return group::pair::send(tx, command, id, &contact, draft);
    }
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
        deliveries: deliveries(tx, Some(&log))?,
        errand: Zeroizing::default(),
        author: None,
        marks: Marks::default(),
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

/// An answer accepts a request.
pub(crate) fn accept(tx: &mut Transaction<'_>, contact: &mut Contact) -> Result<(), EngineError> {
    if contact.request {
        contact.request = false;
        contacts::store(tx, contact);
        errands::tell_contact(tx, contact)?;
    }
    Ok(())
}

/// One delivery for each device of a recipient and for each other device of our own.
pub(crate) fn deliveries(
    tx: &mut Transaction<'_>,
    recipient: Option<&VerifiedLog>,
) -> Result<Vec<Delivery>, EngineError> {
    let own = account::own(tx)?;
    let ours = account::log_of(&own)?;
    let theirs = recipient.map_or(&[][..], VerifiedLog::devices);
    let others = ours
        .devices()
        .iter()
        .filter(|ours| *ours.id() != own.device);
    let devices = theirs.iter().map(|device| (device, false));
    Ok(devices
        .chain(others.map(|device| (device, true)))
        .map(|(device, own)| Delivery {
            device: *device.id(),
            own,
            message: MessageId::random(tx.rng),
            state: DeliveryState::Waiting,
        })
        .collect())
}

/// Deliveries to those of our own devices that came after the list that a sender knew: they have not got the
/// letter.
pub(crate) fn missed(
    tx: &mut Transaction<'_>,
    sequence: Option<u64>,
) -> Result<Vec<Delivery>, EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    let entries = log.entries();
    let known = entries
        .iter()
        .find(|entry| Some(entry.sequence) == sequence)
        .or(entries.first());
    let mut deliveries = deliveries(tx, None)?;
    deliveries
        .retain(|delivery| !known.is_some_and(|entry| entry.devices.contains(&delivery.device)));
    Ok(deliveries)
}

/// A contact that something may be sealed for.
pub(crate) fn sendable(tx: &Transaction<'_>, to: &AccountId) -> Result<Contact, EngineError> {
    account::own(tx)?;
    let contact = contacts::existing(tx, to)?;
    if contact.blocked {
        return Err(EngineError::Blocked);
    }
    // SECURITY: the hard stop; `changed_identity_stops_sending` notices.
    if contact.changed {
        contacts::not_ended(&contact)?;
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
    if letter.author.is_some() {
        return group::letters::dispatch(tx, &letter);
    }
    let mut together = Vec::new();
    for delivery in &letter.deliveries {
        if delivery.state != DeliveryState::Waiting {
            continue;
        }
        let account = account_of(tx, &letter, delivery)?;
        let is_letter = letter.direction == Direction::Sent;
        if is_letter && !sessions::are_possible_with(tx, &account, &delivery.device)? {
            // One of the two took another suite while its files were on their way.
            if delivery.own {
                continue;
            }
            return group::pair::carry_over(tx, letter);
        }
        // Nothing overtakes a letter that waits.
        let first = !waiting::any(tx, &account, &delivery.device)?;
        if !first || !sessions::ready(tx, &account, &delivery.device)? {
            waiting::wait(tx, &account, &delivery.device, id)?;
        } else if !delivery.own && sessions::on_route(tx, &account, &delivery.device)? {
            together.push(delivery.device);
        } else {
            seal_for(tx, id, &delivery.device)?;
        }
    }
    match together.as_slice() {
        [] => Ok(()),
        [device] => seal_for(tx, id, device),
        devices => seal_together(tx, id, devices),
    }
}

/// Seals a stored letter once for several devices of its recipient.
fn seal_together(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    devices: &[DeviceId],
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    let message = MessageId::random(tx.rng);
    for delivery in &mut letter.deliveries {
        if devices.contains(&delivery.device) {
            delivery.state = DeliveryState::Sealed;
            delivery.message = message;
        }
    }
    letter.state = LetterState::Queued;
    store(tx, &letter);
    let body = body_for(&letter, false);
    let content = Content::new(letter.id, letter.sent_at, body);
    sessions::send_together(tx, (&letter.contact, devices), content, message, &letter.id)
}

/// Whose device a delivery is for.
fn account_of(
    tx: &Transaction<'_>,
    letter: &Letter,
    delivery: &Delivery,
) -> Result<AccountId, EngineError> {
    if delivery.own {
        Ok(account::own(tx)?.id)
    } else {
        Ok(letter.contact)
    }
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
        .find(|delivery| delivery.device == *device && delivery.state == DeliveryState::Waiting)
    else {
        return Ok(()); // It may have waited twice.
    };
    delivery.state = DeliveryState::Sealed;
    let delivery = *delivery;
    let account = account_of(tx, &letter, &delivery)?;
    if letter.direction == Direction::Sent && !delivery.own {
        letter.state = LetterState::Queued;
    }
    store(tx, &letter);
    let body = body_for(&letter, delivery.own);
    let content = Content::new(letter.id, letter.sent_at, body);
    if !signed::may_hold(&content) && !sessions::can_send(tx, &account, device)? {
        // The account went over to another suite while this waited; what comes next goes in a pair.
        return fail(tx, id, device, EngineError::NoLettersOfTwo);
    }
    sessions::send(
        tx,
        &account,
        device,
        content,
        delivery.message,
        Some(letter.id),
    )
}

fn body_for(letter: &Letter, own: bool) -> Body {
    if letter.direction == Direction::Errand {
        if own {
            return Body::Errand(letter.errand.clone());
        }
        if let Some(said) = amending::of_errand(&letter.errand) {
            return Body::Amendment(Zeroizing::new(said.to_vec()));
        }
        if let Some(word) = letter.errand.strip_prefix(&[group::word::ERRAND]) {
            return Body::Group(Zeroizing::new(word.to_vec()));
        }
        return match sas_message::of_errand(&letter.errand) {
            Some(sas) => Body::Sas(sas),
            None => Body::Guardian(letter.errand.clone()),
        };
    }
    let body = LetterBody {
        text: letter.text.clone(),
        reply_to: letter.reply_to,
        expires_after: letter.expires_after,
        enclosures: letter.enclosures.iter().map(letters::to_content).collect(),
    };
    if own {
        Body::Copy(Copy {
            contact: letter.contact,
            sent: letter.direction == Direction::Sent,
            letter: body,
        })
    } else {
        Body::Letter(body)
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

/// Where a sealed body is kept: one message id may go to several devices.
pub(crate) fn sent_place(message: &MessageId, device: &DeviceId) -> Vec<u8> {
    key(&[message.as_bytes(), device.as_bytes()])
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
    // The receipt may have come before the relay's answer to a body that was offered again.
    let Some(known) = load(tx, &letter)? else {
        return Ok(());
    };
    let confirmed = |delivery: &Delivery| {
        delivery.device == device && delivery.state == DeliveryState::Delivered
    };
    if known.deliveries.iter().any(confirmed) {
        return Ok(());
    }
    let sent = SentBody {
        purpose,
        relay,
        request,
        accepted_at: tx.now,
    };
    tx.put(Table::Sent, sent_place(&message, &device), sent.encode());
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
    let possible = sessions::are_possible_with(tx, account, device)?;
    let mut ids = outbox::take_unconfirmed(tx, account, device)?;
    ids.extend(waiting::take(tx, account, device)?);
    let mut letters = Vec::new();
    for id in ids {
        letters.extend(load(tx, &id)?);
    }
    letters.sort_by_key(|letter| letter.order);
    letters.dedup_by_key(|letter| letter.id);
    for letter in letters {
        if !possible && letter.direction == Direction::Sent {
            // One of the two has another suite now. What the relay has may still arrive.
            if letter.state == LetterState::Queued && letter.contact == *account {
                group::pair::carry_over(tx, letter)?;
            }
            continue;
        }
        unseal(tx, &letter.id, device)?;
        dispatch_to(tx, (account, device), &letter.id)?;
    }
    Ok(())
}

/// Seals a letter for one device, or lets it wait for keys.
fn dispatch_to(
    tx: &mut Transaction<'_>,
    (account, device): (&AccountId, &DeviceId),
    id: &LetterId,
) -> Result<(), EngineError> {
    // Nothing overtakes a letter that waits.
    if waiting::any(tx, account, device)? || !sessions::ready(tx, account, device)? {
        waiting::wait(tx, account, device, id)
    } else {
        seal_for(tx, id, device)
    }
}

/// An account, or our own, has new devices: letters that not all of its devices confirmed go there too. Whoever linked
/// them may be one that had not got the letter.
pub(crate) fn include(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    devices: &[DeviceId],
) -> Result<(), EngineError> {
    let this = account::own(tx)?.device;
    let mut ids = outbox::under_way(tx, &peer.id)?;
    ids.extend(waiting::all(tx, &peer.id)?);
    ids.sort();
    ids.dedup();
    for id in ids {
        let Some(mut letter) = load(tx, &id)? else {
            continue;
        };
        for device in devices {
            let mut known = letter.deliveries.iter();
            if *device == this || known.any(|delivery| delivery.device == *device) {
                continue;
            }
            letter.deliveries.push(Delivery {
                device: *device,
                own: peer.own,
                message: MessageId::random(tx.rng),
                state: DeliveryState::Waiting,
            });
        }
        store(tx, &letter);
        dispatch(tx, &id)?;
    }
    Ok(())
}

/// A device is not in force any more: what was on its way there is forgotten, and the letters do without it.
pub(crate) fn forget_device(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    let mut ids = outbox::take_unconfirmed(tx, account, device)?;
    ids.extend(waiting::take(tx, account, device)?);
    for id in ids {
        if let Some(mut letter) = load(tx, &id)? {
            letter
                .deliveries
                .retain(|delivery| delivery.device != *device);
            settle(tx, letter)?;
        }
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
    settle(tx, letter)
}

/// Sees how far a letter is from how far its deliveries are.
pub(crate) fn settle(tx: &mut Transaction<'_>, mut letter: Letter) -> Result<(), EngineError> {
    let id = &letter.id.clone();
    if letter.direction == Direction::Errand {
        let done = |delivery: &Delivery| delivery.state == DeliveryState::Delivered;
        let mut theirs = letter.deliveries.iter().filter(|delivery| !delivery.own);
        // The devices of a contact tell each other; of letters, each hears from whoever speaks.
        let each = amending::of_errand(&letter.errand).is_some();
        let told = !each && theirs.any(done);
        if told || letter.deliveries.iter().all(done) {
            tx.delete(Table::Letter, id.as_bytes().to_vec());
            if told {
                guardians::told(tx, &letter.contact, id)?;
            }
        } else {
            store(tx, &letter);
        }
        return Ok(());
    }
    let before = letter.state;
    if letter.direction == Direction::Sent && letter.state != LetterState::Failed {
        let theirs = || letter.deliveries.iter().filter(|delivery| !delivery.own);
        let reached = |state| move |delivery: &Delivery| delivery.state as u8 >= state as u8;
        if theirs().any(|delivery| delivery.state == DeliveryState::Delivered) {
            letter.state = LetterState::Delivered;
        } else if theirs().next().is_some() && theirs().all(reached(DeliveryState::Accepted)) {
            letter.state = LetterState::Sent;
        }
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

/// A letter will not reach a device. Where that is one of our own, the letter has not failed; nor has a word that is never
/// shown anything to be shown as failed. People are told of both, since nobody says them again.
pub(crate) fn fail(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    device: &DeviceId,
    error: EngineError,
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    let mut deliveries = letter.deliveries.iter();
    let Some(delivery) = deliveries
        .find(|delivery| delivery.device == *device)
        .copied()
    else {
        return Ok(());
    };
    if letter.direction == Direction::Sent && !delivery.own {
        return fail_whole(tx, id, error);
    }
    let account = account_of(tx, &letter, &delivery)?;
    letter
        .deliveries
        .retain(|delivery| delivery.device != *device);
    settle(tx, letter)?;
    // SECURITY: what was to be deleted for everybody, or whom a group let in, is not left out unseen;
    // `a_word_that_cannot_be_sealed_is_told_of` notices.
    let said = |event: &Event| matches!(event, Event::WordLost { account: of, device: at, .. } if *of == account && at == device);
    if !tx.was_told(said) {
        tx.event(Event::WordLost {
            account,
            device: *device,
            error,
        });
    }
    Ok(())
}

/// A letter that will not arrive, unless a device has it already.
pub(crate) fn fail_whole(
    tx: &mut Transaction<'_>,
    id: &LetterId,
    error: EngineError,
) -> Result<(), EngineError> {
    let Some(mut letter) = load(tx, id)? else {
        return Ok(());
    };
    if letter.direction == Direction::Sent && letter.state != LetterState::Delivered {
        let known = letter.state == LetterState::Failed;
        letter.state = LetterState::Failed;
        store(tx, &letter);
        tx.event(Event::LetterFailed { letter: *id, error });
        if !known {
            // `a_letter_that_came_to_nothing_is_sent_on_no_device` notices.
            errands::tell_failed(tx, id)?;
        }
    }
    Ok(())
}
