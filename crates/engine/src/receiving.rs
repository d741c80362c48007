//! Letters on their way in: opened, filed, told.

use crate::contacts;
use crate::content::{Body, Content, LetterBody};
use crate::envelope::{Inner, MessageKind};
use crate::error::EngineError;
use crate::event::Event;
use crate::letters;
use crate::pre_keys;
use crate::receipts;
use crate::records::{Contact, Direction, Letter, LetterState};
use crate::routes;
use crate::sending;
use crate::sessions;
use crate::transaction::Transaction;
use crate::waiting;
use keys::{AccountId, DeviceId, LetterId, Timestamp};

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
        Body::Receipt(letters) => receipts::came(tx, from, &inner.device, &letters),
        Body::Repair => sending::send_again(tx, from, &inner.device),
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
    if letters::load(tx, &id)?.is_none() {
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
            enclosures: body
                .enclosures
                .into_iter()
                .map(letters::from_content)
                .collect(),
            deliveries: Vec::new(),
        };
        letters::file(tx, &letter);
        tx.event(Event::LetterReceived {
            contact: contact.id,
            letter: id,
        });
    }
    if contact.request {
        return Ok(()); // A stranger learns nothing, not even that the letter came.
    }
    receipts::owe(tx, &contact.id, &device, &id)
}
