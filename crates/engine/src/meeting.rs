//! Somebody writes to our front door: who that is, and whether the letter may be opened.

use crate::account;
use crate::contacts;
use crate::envelope::Introduction;
use crate::errands;
use crate::error::EngineError;
use crate::event::Event;
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::peers;
use crate::records::Purpose;
use crate::store::Table;
use crate::transaction::Transaction;

/// Whether the sender of a first letter may go on.
pub(crate) enum Meeting {
    /// It is, or now is, a contact; its letter may be opened.
    Known,
    /// Not to be heard: blocked, or its log does not hold.
    Refused,
    /// Its log is still to be fetched.
    Unknown,
}

/// Looks at who says it writes to our front door.
pub(crate) fn meet(
    tx: &mut Transaction<'_>,
    introduction: &Introduction,
    fetched: Option<&[u8]>,
) -> Result<Meeting, EngineError> {
    if introduction.account == account::own(tx)?.id {
        return Ok(Meeting::Known);
    }
    let shown = fetched.unwrap_or(&introduction.log);
    if let Some(contact) = contacts::load(tx, &introduction.account)? {
        if contact.blocked {
            return Ok(Meeting::Refused);
        }
        if shown.is_empty() {
            return Ok(Meeting::Known);
        }
        let peer = peers::existing(tx, &contact.id)?;
        return match logs::take_over(tx, &peer, shown) {
            Ok(()) => Ok(Meeting::Known),
            Err(error @ EngineError::Store(_)) => Err(error),
            Err(_) => Ok(Meeting::Refused),
        };
    }
    if shown.is_empty() {
        return may_be_asked_for(tx, introduction);
    }
    let Ok(log) = contacts::verify(shown, Some(&introduction.account), None) else {
        tx.event(Event::Undecryptable { contact: None });
        return Ok(Meeting::Refused);
    };
    if log.is_tombstoned()
        || account::check_name(&introduction.name).is_err()
        || requests(tx)? >= limits::CONTACT_REQUESTS
    {
        return Ok(Meeting::Refused);
    }
    // Somebody with the name of a contact: perhaps the contact with new keys, perhaps a liar. Ask the relay,
    // since a mere claim must not stop a conversation.
    let (name, relay) = (&introduction.name, &introduction.relay);
    let namesakes = contacts::namesakes(tx, name, relay, &introduction.account)?;
    if let Some(namesake) = namesakes.iter().find(|contact| !contact.changed) {
        let request = wire::Request::FetchLog(wire::FetchLog::ByName(introduction.name.clone()));
        outbox::add(
            tx,
            Purpose::CheckName(namesake.id),
            introduction.relay.clone(),
            request,
        )?;
    }
    let mut contact =
        contacts::new_contact(tx, &log, &introduction.name, &introduction.relay, None)?;
    contact.request = !account::redeemed_own_invite(tx, introduction.ticket)?;
    contacts::store(tx, &contact);
    if !contact.request {
        // The other devices do not know whom we invited.
        errands::tell_contact(tx, &contact)?;
    }
    tx.event(Event::ContactRequest {
        contact: contact.id,
    });
    Ok(Meeting::Known)
}

/// A log that did not fit the letter is asked for where that tells nobody anything new: at a relay that this
/// account uses anyway, or for somebody who holds an invite of ours. A stranger must not make us call its relay.
fn may_be_asked_for(
    tx: &Transaction<'_>,
    introduction: &Introduction,
) -> Result<Meeting, EngineError> {
    let relay = &introduction.relay;
    let invited = match introduction.ticket {
        Some(ticket) => tx.get(Table::Invite, &ticket)?.is_some(),
        None => false,
    };
    let used = account::own(tx)?.relay == *relay
        || contacts::all(tx)?
            .iter()
            .any(|contact| contact.relay == *relay);
    Ok(if invited || used {
        Meeting::Unknown
    } else {
        Meeting::Refused
    })
}

fn requests(tx: &Transaction<'_>) -> Result<usize, EngineError> {
    Ok(contacts::all(tx)?
        .iter()
        .filter(|contact| contact.request)
        .count())
}
