//! What the devices of a contact say while people compare a short code: the other half of
//! [`verifying`](crate::verifying).

use crate::account;
use crate::contacts;
use crate::content::{Head, Heads, Sas};
use crate::error::{EngineError, SasError};
use crate::event::Event;
use crate::limits;
use crate::records::{Comparison, ComparisonStage as Stage, Contact};
use crate::sas_message::{SasMessage, To, refuse, say};
use crate::transaction::Transaction;
use crate::verifying;
use keys::{AccountId, DeviceId, Timestamp};

/// A device of a contact said something.
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    (contact, device): (&AccountId, &DeviceId),
    (heads, sent_at): (Option<&Heads>, Timestamp),
    sas: &Sas,
) -> Result<(), EngineError> {
    // What came with it may have stopped the contact.
    let contact = contacts::existing(tx, contact)?;
    let Some(message) = SasMessage::from_content(sas) else {
        return Ok(());
    };
    if contact.changed {
        return Ok(());
    }
    let known = verifying::load(tx, &contact.id)?;
    if let SasMessage::Begin { commitment } = message {
        // What was under way too long is over at its sender.
        if tx.now.since(sent_at) > limits::SAS_SECONDS {
            return Ok(());
        }
        return begun(tx, &contact, known, (device, sas.id, commitment));
    }
    if contact.request {
        return Ok(());
    }
    let Some(comparison) = known.filter(|known| known.id == sas.id) else {
        return match message {
            SasMessage::Answer { .. } => {
                refuse(tx, &contact.id, (device, sas.id), SasError::Stopped)
            }
            _ => Ok(()),
        };
    };
    let takes_part = comparison.device.as_ref() == Some(device);
    if let SasMessage::Cancel(reason) = message {
        // One device that compares with another of ours does not speak for the contact's others.
        let declines = match comparison.stage {
            Stage::Begun => reason != SasError::Elsewhere || devices_of(&contact)? == 1,
            _ => takes_part,
        };
        if !declines {
            return Ok(());
        }
        return match (comparison.stage, reason) {
            // What is called off waited at the relay before a person here came: that one's wish stands.
            (Stage::Checking, SasError::Stopped | SasError::Expired) => {
                let own = verifying::without_request(comparison);
                verifying::store(tx, &own);
                Ok(())
            }
            _ => verifying::end(tx, &comparison, reason),
        };
    }
    if let (SasMessage::Answer { .. }, true, Some(other)) =
        (message, comparison.initiator, comparison.device)
    {
        return match other == *device {
            true => Ok(()), // It came again.
            false => refuse(tx, &contact.id, (device, sas.id), SasError::Elsewhere),
        };
    }
    if comparison.stage != Stage::Begun && !takes_part {
        return Ok(());
    }
    // SECURITY: both devices hold the same two logs, in every message; `a_log_that_changes_ends_it` notices.
    if comparison.stage > Stage::Checking
        && (!verifying::same_logs(tx, &comparison)? || !agree(tx, &contact, heads)?)
    {
        return verifying::give_up(tx, &comparison, SasError::LogsChanged);
    }
    answer(tx, &contact, comparison, device, message)
}

/// Takes in what fits the stage; other things are repeated, late or nonsense.
fn answer(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    mut comparison: Comparison,
    device: &DeviceId,
    message: SasMessage,
) -> Result<(), EngineError> {
    match (comparison.stage, message) {
        (Stage::Begun, SasMessage::Answer { nonce }) => {
            comparison.device = Some(*device);
            comparison.their_nonce = nonce;
            comparison.stage = Stage::Shown;
            verifying::store(tx, &comparison);
            let nonce = comparison.our_nonce;
            say(
                tx,
                (&comparison.contact, comparison.id),
                &To::One(*device),
                SasMessage::Reveal { nonce },
            )?;
            let elsewhere = SasMessage::Cancel(SasError::Elsewhere);
            say(
                tx,
                (&comparison.contact, comparison.id),
                &To::AllBut(*device),
                elsewhere,
            )?;
            verifying::show(tx, &comparison)
        }
        (Stage::Answered, SasMessage::Reveal { nonce }) => {
            // SECURITY: who chooses its nonce after it saw ours finds equal codes; `broken_promise_ends_it`.
            let promised = verifying::transcript(tx, contact)?.commitment(&nonce);
            if !keys::ct_eq(&promised, &comparison.commitment) {
                return verifying::give_up(tx, &comparison, SasError::Broken);
            }
            comparison.their_nonce = nonce;
            comparison.stage = Stage::Shown;
            verifying::store(tx, &comparison);
            verifying::show(tx, &comparison)
        }
        (Stage::Shown, SasMessage::Same) => {
            comparison.theirs_same = true;
            verifying::store(tx, &comparison);
            Ok(())
        }
        (Stage::Confirmed, SasMessage::Same) => {
            verifying::done(tx, &comparison);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A device of the contact begins.
fn begun(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    known: Option<Comparison>,
    (device, id, commitment): (&DeviceId, [u8; 16], [u8; 32]),
) -> Result<(), EngineError> {
    // A stranger is not answered before a person did, and nobody is told.
    let Some(mut known) = known.filter(|_| !contact.request) else {
        let mut request = verifying::new(tx, contact, Stage::Requested);
        (request.device, request.id) = (Some(*device), id);
        request.commitment = commitment;
        verifying::store(tx, &request);
        if !contact.request {
            tx.event(Event::SasRequested {
                contact: contact.id,
            });
        }
        return Ok(());
    };
    if known.id == id {
        return Ok(()); // It came again.
    }
    match known.stage {
        Stage::Requested | Stage::Checking => {
            if let Some(other) = known.device.filter(|other| other != device) {
                refuse(tx, &contact.id, (&other, known.id), SasError::Elsewhere)?;
            }
            (known.device, known.id, known.commitment) = (Some(*device), id, commitment);
            verifying::store(tx, &known);
            Ok(())
        }
        Stage::Begun => {
            // Both began at once: on both sides the smaller promise counts.
            let ours = verifying::transcript(tx, contact)?.commitment(&known.our_nonce);
            if ours <= commitment {
                return Ok(());
            }
            let elsewhere = SasMessage::Cancel(SasError::Elsewhere);
            say(
                tx,
                (&known.contact, known.id),
                &To::AllBut(*device),
                elsewhere,
            )?;
            (known.device, known.id, known.commitment) = (Some(*device), id, commitment);
            verifying::speak(tx, known)
        }
        Stage::Answered | Stage::Shown if known.device.as_ref() != Some(device) => {
            refuse(tx, &contact.id, (device, id), SasError::Elsewhere)
        }
        // The device that took part begins anew: what it had is gone.
        _ => {
            verifying::end(tx, &known, SasError::Stopped)?;
            begun(tx, contact, None, (device, id, commitment))
        }
    }
}

/// Whether the other device knows both logs as they are known here.
fn agree(
    tx: &Transaction<'_>,
    contact: &Contact,
    heads: Option<&Heads>,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?;
    Ok(heads.is_some_and(|heads| {
        heads.ours == Head::of(&contact.pin) && heads.yours == Head::of(&own.pin)
    }))
}

fn devices_of(contact: &Contact) -> Result<usize, EngineError> {
    Ok(contacts::log_of(contact)?.devices().len())
}
