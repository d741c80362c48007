//! Receipts: owed, sent together, believed.

use crate::certificates;
use crate::content::{Body, Content};
use crate::error::{EngineError, StoreError};
use crate::letters;
use crate::limits;
use crate::peers;
use crate::records::{DeliveryState, key};
use crate::sending;
use crate::sessions;
use crate::store::Table;
use crate::transaction::Transaction;
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
    let place = key(&[account.as_bytes(), device.as_bytes(), letter.as_bytes()]);
    tx.put(
        Table::Receipt,
        place,
        Zeroizing::new(due.to_be_bytes().to_vec()),
    );
    Ok(())
}

/// Sends the receipts that are due.
pub(crate) fn send_due(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
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
        let stopped = peers::load(tx, &account)?.is_none_or(|peer| peer.stopped);
        if stopped || !sessions::ready(tx, &account, &device)? {
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
        tx.delete(Table::Sent, sending::sent_place(&delivery.message, device));
        sending::advance(tx, id, device, DeliveryState::Delivered)?;
    }
    Ok(())
}
