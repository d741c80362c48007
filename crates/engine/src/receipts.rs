//! Receipts: owed, sent together, believed.

use crate::certificates;
use crate::content::{Body, Content};
use crate::error::{EngineError, StoreError};
use crate::letters;
use crate::limits;
use crate::outbox;
use crate::peers;
use crate::records::{DeliveryState, key};
use crate::routes;
use crate::sending;
use crate::sessions;
use crate::signed;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::waiting;
use keys::{AccountId, DeviceId, LetterId, MessageId};
use zeroize::Zeroizing;

/// Notes that a receipt is due; they leave together, a little later.
pub(crate) fn owe(
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
    put(tx, (account, device, letter), due);
    Ok(())
}

fn place(account: &AccountId, device: &DeviceId, letter: &LetterId) -> Vec<u8> {
    key(&[account.as_bytes(), device.as_bytes(), letter.as_bytes()])
}

fn put(
    tx: &mut Transaction<'_>,
    (account, device, letter): (&AccountId, &DeviceId, &LetterId),
    due: u64,
) {
    let due = Zeroizing::new(due.to_be_bytes().to_vec());
    tx.put(Table::Receipt, place(account, device, letter), due);
}

fn put_off(tx: &mut Transaction<'_>, account: &AccountId, device: &DeviceId, letters: &[LetterId]) {
    let due = tx.now.saturating_add(limits::RECEIPT_AGAIN_SECONDS);
    for letter in letters {
        put(tx, (account, device, letter), due.as_secs());
    }
}

/// Sends the receipts that are due.
pub(crate) fn send_due(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let mut batches: Vec<(AccountId, DeviceId, Vec<LetterId>)> = Vec::new();
    tx.each(Table::Receipt, &[], |tx, place, due| {
        let due = due.try_into().map(u64::from_be_bytes).unwrap_or(0);
        if due > tx.now.as_secs() {
            return Ok(());
        }
        let (account, device, letter) = receipt_key(place)?;
        match batches.last_mut() {
            Some(batch)
                if batch.0 == account
                    && batch.1 == device
                    && batch.2.len() < limits::RECEIPT_LETTERS =>
            {
                batch.2.push(letter);
            }
            _ => batches.push((account, device, vec![letter])),
        }
        Ok(())
    })?;
    for (account, device, letters) in batches {
        let peer = peers::load(tx, &account)?;
        let heard = peer.is_some_and(|peer| !peer.stopped && peer.log.device(&device).is_some());
        if heard && !sessions::ready(tx, &account, &device)? {
            // One is about to begin. Sent again, the letter would be a duplicate to the ratchet and bring no receipt.
            if signed::between(tx, &account, &device)? {
                waiting::ask(tx, &account, &device)?; // Only the directory knows the way.
            }
            put_off(tx, &account, &device, &letters);
            continue;
        }
        for letter in &letters {
            tx.delete(Table::Receipt, place(&account, &device, letter));
        }
        if !heard {
            continue;
        }
        let id = LetterId::random(tx.rng);
        let message = MessageId::random(tx.rng);
        let content = Content::new(id, tx.now, Body::Receipt(letters));
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
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    device: &DeviceId,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    for id in letters {
        let Some(letter) = letters::load(tx, id)? else {
            // It was deleted meanwhile, or told to enough devices.
            outbox::confirmed(tx, from, device, id)?;
            routes::confirmed(tx, from, device, id)?;
            continue;
        };
        // Only the word of a recipient's device counts, and one of our own other devices.
        let delivery = letter
            .deliveries
            .iter()
            .find(|delivery| delivery.device == *device);
        let Some(delivery) = delivery else { continue };
        if !delivery.own && letter.contact != *from {
            continue;
        }
        if !delivery.own {
            certificates::confirmed(tx, from, device, letter.sent_at)?;
        }
        outbox::confirmed(tx, from, device, id)?;
        routes::confirmed(tx, from, device, id)?;
        sending::advance(tx, id, device, DeliveryState::Delivered)?;
    }
    Ok(())
}
