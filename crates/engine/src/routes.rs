//! Where the devices of contacts want their letters.

use crate::account;
use crate::content::RouteOffer;
use crate::error::EngineError;
use crate::letters;
use crate::outbox;
use crate::queues;
use crate::records::{ContactRoute, DeliveryState, LetterState, Record as _, RouteRecord, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, DeviceId, LetterId, QueueId, Secret};
use zeroize::Zeroizing;

fn place(account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[account.as_bytes(), device.as_bytes()])
}

pub(crate) fn load(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<RouteRecord, EngineError> {
    match tx.get(Table::Route, &place(account, device))? {
        Some(bytes) => Ok(RouteRecord::decode(&bytes)?),
        None => Ok(RouteRecord {
            front_door: None,
            contact: None,
            highest_seq: 0,
        }),
    }
}

fn store(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId, route: &RouteRecord) {
    tx.put(Table::Route, place(account, device), route.encode());
}

/// A device has no way any more.
pub(crate) fn forget(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId) {
    tx.delete(Table::Route, place(account, device));
    tx.delete(Table::Meta, at_front_door(account, device));
}

impl RouteRecord {
    pub(crate) fn is_usable(&self) -> bool {
        self.contact.is_some() || self.front_door.is_some()
    }
}

/// A contact's device told where it wants its letters.
pub(crate) fn learn(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    offer: RouteOffer,
) -> Result<(), EngineError> {
    let mut route = load(tx, account, device)?;
    if route
        .contact
        .as_ref()
        .is_none_or(|known| known.queue != offer.queue)
    {
        route.highest_seq = 0;
    }
    route.contact = Some(ContactRoute {
        queue: offer.queue,
        token: offer.token,
        key: offer.key,
        relay: offer.relay,
    });
    store(tx, account, device, &route);
    Ok(())
}

/// A queue of the contact is gone. Says whether the front door is left to try.
pub(crate) fn lost(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let mut route = load(tx, account, device)?;
    let by_front_door = route.contact.take().is_some();
    if !by_front_door {
        route.front_door = None;
    }
    route.highest_seq = 0;
    store(tx, account, device, &route);
    Ok(by_front_door)
}

/// The relay gave a body of ours a place in a queue. A place at or below one it gave before shows an older store.
/// Only the queue of the current route counts: answers of the one before may come late.
pub(crate) fn accepted_at(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    accepted: Option<(QueueId, u64)>,
    relay: &str,
) -> Result<(), EngineError> {
    let mut route = load(tx, account, device)?;
    let current = route.contact.as_ref().map(|contact| contact.queue);
    let Some((_, seq)) = accepted.filter(|(queue, _)| current == Some(*queue)) else {
        return Ok(());
    };
    let went_back = seq <= route.highest_seq;
    route.highest_seq = seq;
    store(tx, account, device, &route);
    if went_back {
        outbox::relay_rolled_back(tx, relay)
    } else {
        Ok(())
    }
}

/// The directory named the device's front door.
pub(crate) fn learn_front_door(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    door: &wire::FrontDoor,
) -> Result<(), EngineError> {
    let mut route = load(tx, account, device)?;
    let token = Secret::from_fn(|out: &mut [u8; 32]| *out = *door.token.as_bytes());
    route.front_door = Some((door.queue_id, token));
    store(tx, account, device, &route);
    Ok(())
}

/// A route for a contact, offered until the contact has used it.
pub(crate) fn offer(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<Option<RouteOffer>, EngineError> {
    let queue = queues::for_contact(tx, contact)?;
    if queue.used {
        return Ok(None);
    }
    Ok(Some(RouteOffer {
        queue: queue.id,
        token: queue.token.duplicate(),
        key: queue.route_key.duplicate(),
        relay: account::own(tx)?.relay.clone(),
    }))
}

/// The last letter that went to a device's front door.
const AT_FRONT_DOOR: &[u8] = b"at-front-door/";

fn at_front_door(account: &AccountId, device: &DeviceId) -> Vec<u8> {
    key(&[AT_FRONT_DOOR, account.as_bytes(), device.as_bytes()])
}

/// A letter goes to a device's front door.
pub(crate) fn note_front_door(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) {
    let value = Zeroizing::new(letter.as_bytes().to_vec());
    tx.put(Table::Meta, at_front_door(account, device), value);
}

/// A device confirmed a letter: perhaps the last one at its front door.
pub(crate) fn confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let place = at_front_door(account, device);
    let last = tx.get(Table::Meta, &place)?;
    if last.is_some_and(|last| last.as_slice() == letter.as_bytes()) {
        tx.delete(Table::Meta, place);
    }
    Ok(())
}

/// Whether no letter of ours may still lie at a device's front door.
pub(crate) fn front_door_settled(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, EngineError> {
    let last = tx.get(Table::Meta, &at_front_door(account, device))?;
    let Some(last) = last.and_then(|id| LetterId::from_slice(&id)) else {
        return Ok(true);
    };
    let Some(letter) = letters::load(tx, &last)? else {
        // It was deleted before it was confirmed; all that is not confirmed went the same way.
        return Ok(!outbox::is_under_way(tx, account, device)?);
    };
    let mut deliveries = letter.deliveries.iter();
    let delivered = deliveries.any(|delivery| {
        delivery.device == *device && delivery.state as u8 >= DeliveryState::Delivered as u8
    });
    Ok(delivered || letter.state == LetterState::Failed)
}
