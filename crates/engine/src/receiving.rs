//! Letters on their way in: opened, filed, told.

use crate::amending;
use crate::certificates;
use crate::comparing;
use crate::contacts;
use crate::content::{Body, Content, Copy, LetterBody};
use crate::devices;
use crate::envelope::{Inner, MessageKind};
use crate::errands;
use crate::error::EngineError;
use crate::event::Event;
use crate::group;
use crate::guardians;
use crate::letters;
use crate::linking;
use crate::logs;
use crate::peers::{self, Peer};
use crate::pre_keys;
use crate::receipts;
use crate::records::{Contact, Direction, Letter, LetterState, Marks};
use crate::retired;
use crate::routes;
use crate::sending;
use crate::sessions::{self, Sealed};
use crate::signed;
use crate::transaction::Transaction;
use crate::waiting;
use keys::{AccountId, DeviceId, LetterId, Timestamp};

/// What became of a body.
pub(crate) enum Heard {
    /// Whatever it was, it is done with.
    Done,
    /// It comes from a device that the account's log does not name, as far as it is known here, or begins a
    /// session with other keys than those that are known.
    NewKeys,
    /// It does not open.
    Unopened,
}

/// Opens what a device of a contact, or another device of ours, sent. `last`: a newer log was asked for already.
pub(crate) fn receive(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    sealed: Sealed<'_>,
    last: bool,
) -> Result<Heard, EngineError> {
    let inner = sealed.inner;
    let peer = peers::existing(tx, from)?;
    let contact = contacts::load(tx, from)?;
    if contact.as_ref().is_some_and(|contact| contact.blocked) {
        return Ok(Heard::Done);
    }
    let plaintext = match sessions::decrypt(tx, &peer, sealed)? {
        sessions::Decrypted::Plaintext(plaintext) => plaintext,
        sessions::Decrypted::Duplicate => return Ok(Heard::Done),
        sessions::Decrypted::NoDevice => return devices::unknown(tx, &peer, &inner.device),
        // The device may have keys that are newer than the log known here.
        sessions::Decrypted::Failed if inner.kind != MessageKind::Ratchet && !last => {
            return Ok(Heard::NewKeys);
        }
        sessions::Decrypted::Failed => return Ok(Heard::Unopened),
    };
    match Content::decode(&plaintext) {
        // SECURITY: letters have forward secrecy, or are none; `a_letter_without_a_session_is_refused` notices.
        Ok(content) if inner.kind == MessageKind::Signed && !signed::may_hold(&content) => {
            tx.event(Event::Undecryptable {
                contact: Some(*from),
            });
        }
        Ok(mut content) => {
            if inner.kind == MessageKind::Signed {
                content.route = None; // A route hides the headers of a ratchet; here is none.
            }
            take_in(tx, &peer, contact.as_ref(), &inner.device, content)?;
        }
        Err(_) => tx.event(Event::Undecryptable {
            contact: Some(*from),
        }),
    }
    Ok(Heard::Done)
}

/// Tells that a body does not open, and repairs the session.
pub(crate) fn unopened(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    sealed: Sealed<'_>,
) -> Result<(), EngineError> {
    let peer = peers::existing(tx, from)?;
    let inner = sealed.inner;
    let late = match sealed.front_door {
        Some(queue) if inner.kind == MessageKind::Signed => {
            signed::is_late(tx, &peer, queue, inner)?
        }
        _ => retired::is_late(tx, &peer, inner)?,
    };
    if !late {
        tx.event(Event::Undecryptable {
            contact: Some(*from),
        });
    }
    repair(tx, from, inner)
}

/// Begins a new session with a device of which something does not open.
pub(crate) fn repair(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    inner: &Inner,
) -> Result<(), EngineError> {
    if inner.kind == MessageKind::Signed {
        return Ok(()); // There is no session to be lost.
    }
    let peer = peers::existing(tx, from)?;
    let unknown = contacts::load(tx, from)?.is_some_and(|contact| contact.request);
    if waiting::repair(tx, &peer, unknown, &inner.device)? && inner.kind == MessageKind::PreKey {
        // It may name a pre-key that is used up: a relay set back hands such keys out again.
        pre_keys::publish_again(tx)?;
    }
    Ok(())
}

fn take_in(
    tx: &mut Transaction<'_>,
    peer: &Peer,
    contact: Option<&Contact>,
    device: &DeviceId,
    content: Content,
) -> Result<(), EngineError> {
    if let Some(route) = content.route {
        routes::learn(tx, &peer.id, device, route)?;
    }
    if let Some(heads) = &content.heads {
        logs::compare(tx, peer, device, heads)?;
    }
    if peer.own {
        linking::heard_from(tx, device)?;
    }
    certificates::judge(tx, peer, device, content.certificate.as_deref())?;
    match (content.body, contact) {
        (Body::Letter(body), Some(contact)) => {
            let letter = Letter {
                contact: contact.id,
                direction: Direction::Received,
                state: LetterState::Received,
                ..filled(tx, content.id, content.sent_at, body)?
            };
            let list = content.heads.map(|heads| heads.yours.sequence);
            arrived(tx, contact, device, letter, list)
        }
        (Body::Guardian(word), Some(contact)) => {
            guardians::heard(tx, contact, &word)?;
            if contact.request {
                return Ok(()); // A stranger learns nothing.
            }
            receipts::owe(tx, &peer.id, device, &content.id)
        }
        (Body::Group(word), Some(contact)) => {
            group::words::heard(tx, &contact.id, &word)?;
            if contact.request {
                return Ok(()); // A stranger learns nothing.
            }
            receipts::owe(tx, &peer.id, device, &content.id)
        }
        (Body::Amendment(said), Some(contact)) => {
            let list = content.heads.map(|heads| heads.yours.sequence);
            amending::came(tx, contact, (content.id, content.sent_at), &said, list)?;
            if contact.request {
                return Ok(()); // A stranger learns nothing.
            }
            receipts::owe(tx, &peer.id, device, &content.id)
        }
        (Body::Receipt(letters), _) => receipts::came(tx, &peer.id, device, &letters),
        (Body::Repair, _) => sending::send_again(tx, &peer.id, device),
        (Body::Log(log), _) => logs::shown(tx, peer, &log),
        // SECURITY: only our own devices speak for us; `contact_cannot_send_errands` notices.
        (Body::Copy(copy), None) if peer.own => {
            let list = content.heads.map(|heads| heads.ours.sequence);
            copied(tx, copy, (content.id, content.sent_at), list)?;
            receipts::owe(tx, &peer.id, device, &content.id)
        }
        (Body::Errand(errand), None) if peer.own => {
            errands::run(tx, &errand)?;
            let list = content.heads.map(|heads| heads.ours.sequence);
            errands::pass_on(tx, content.id, errand, list)?;
            receipts::owe(tx, &peer.id, device, &content.id)
        }
        (Body::Sas(sas), Some(contact)) => {
            let told = (content.heads.as_ref(), content.sent_at);
            comparing::came(tx, (&contact.id, device), told, &sas)?;
            if contact.request {
                return Ok(());
            }
            receipts::owe(tx, &contact.id, device, &content.id)
        }
        _ => Ok(()),
    }
}

/// A letter of a content; whose, and which way, is for the caller to say.
pub(crate) fn filled(
    tx: &mut Transaction<'_>,
    id: LetterId,
    sent_at: Timestamp,
    body: LetterBody,
) -> Result<Letter, EngineError> {
    let enclosures = body.enclosures.into_iter().map(letters::from_content);
    Ok(Letter {
        id,
        contact: AccountId::from_bytes([0; 32]),
        order: tx.next_number("letters")?,
        direction: Direction::Received,
        state: LetterState::Received,
        text: body.text,
        sent_at,
        reply_to: body.reply_to,
        expires_after: body.expires_after,
        expires_at: None,
        enclosures: enclosures.collect(),
        deliveries: Vec::new(),
        errand: zeroize::Zeroizing::default(),
        author: None,
        marks: Marks::default(),
    })
}

/// A letter that another device of ours sent or received.
fn copied(
    tx: &mut Transaction<'_>,
    copy: Copy,
    (id, sent_at): (LetterId, Timestamp),
    list: Option<u64>,
) -> Result<(), EngineError> {
    if letters::load(tx, &id)?.is_some() || letters::is_deleted(tx, &id)? {
        return Ok(());
    }
    let (direction, state) = if copy.sent {
        (Direction::Sent, LetterState::Sent)
    } else {
        (Direction::Received, LetterState::Received)
    };
    let mut letter = Letter {
        contact: copy.contact,
        direction,
        state,
        ..filled(tx, id, sent_at, copy.letter)?
    };
    letter.deliveries = sending::missed(tx, list)?;
    if contacts::load(tx, &copy.contact)?.is_none() {
        // The log of a contact that another device of ours added is still on its way.
        letters::keep_orphan(tx, &letter);
        return Ok(());
    }
    file_copy(tx, letter)
}

/// Copies that came before their contact have a place now.
pub(crate) fn file_orphans(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<(), EngineError> {
    for letter in letters::take_orphans(tx, contact)? {
        file_copy(tx, letter)?;
    }
    Ok(())
}

fn file_copy(tx: &mut Transaction<'_>, mut letter: Letter) -> Result<(), EngineError> {
    let (contact, id) = (letter.contact, letter.id);
    if letters::is_deleted(tx, &id)? {
        return Ok(());
    }
    if letter.direction == Direction::Sent {
        letters::set_expiry(tx, &mut letter);
    }
    letters::file(tx, &letter);
    if letter.direction == Direction::Received {
        tx.event(Event::LetterReceived {
            contact,
            letter: id,
        });
    }
    sending::dispatch(tx, &id)?;
    letters::catch_up(tx, &id)
}

fn arrived(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    device: &DeviceId,
    mut letter: Letter,
    list: Option<u64>,
) -> Result<(), EngineError> {
    let id = letter.id;
    // Sent again in a new session, or by a peer that reuses ids: the first one stays, or stays away.
    if letters::load(tx, &id)?.is_none() && !letters::is_deleted(tx, &id)? {
        letter.deliveries = sending::missed(tx, list)?;
        letters::file(tx, &letter);
        tx.event(Event::LetterReceived {
            contact: contact.id,
            letter: id,
        });
        sending::dispatch(tx, &id)?;
        letters::catch_up(tx, &id)?;
    }
    if contact.request {
        return Ok(()); // A stranger learns nothing, not even that the letter came.
    }
    receipts::owe(tx, &contact.id, device, &id)
}
