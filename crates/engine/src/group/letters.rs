//! Letters of groups: filed, waiting, sealed.

use super::history;
use super::pair;
use super::state;
use super::word;
use crate::account;
use crate::amending;
use crate::amendment::Speaker;
use crate::contacts;
use crate::content::{Body, Content, Head, Heads, LetterBody};
use crate::error::EngineError;
use crate::event::{CommandOutcome, Event};
use crate::input::{CommandId, Draft};
use crate::letters;
use crate::records::{Direction, GroupRecord, GroupStanding, Letter, LetterState, Marks, key};
use crate::store::Table;
use crate::transaction::Transaction;
use crate::uploads;
use crate::vault;
use ::groups::LeafName;
use keys::{GroupId, LetterId};
use zeroize::Zeroizing;

/// Takes a letter into the profile and starts it on its way.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: LetterId,
    record: &GroupRecord,
    draft: Draft,
) -> Result<(), EngineError> {
    if matches!(record.standing, GroupStanding::Out | GroupStanding::Leaving) {
        return Err(EngineError::NotInGroup);
    }
    let own = account::own(tx)?;
    let mut letter = Letter {
        id,
        contact: state::conversation_of(tx, record)?,
        order: tx.next_number("letters")?,
        direction: Direction::Sent,
        state: LetterState::Queued,
        text: draft.text,
        sent_at: tx.now,
        reply_to: draft.reply_to,
        expires_after: draft.expires_after.or(record.data.timer),
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: Vec::new(),
        errand: Zeroizing::default(),
        author: Some(own.id),
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
    match letter.state {
        LetterState::Queued => dispatch(tx, &letter),
        _ => Ok(()),
    }
}

/// A letter's files are at the relay: it waits for its turn.
pub(crate) fn dispatch(tx: &mut Transaction<'_>, letter: &Letter) -> Result<(), EngineError> {
    let record = match state::of_conversation(tx, &letter.contact)? {
        Some(record) => Some(record),
        None => pair::with(tx, &letter.contact)?,
    };
    let Some(record) = record else {
        return Ok(());
    };
    if letter.direction == Direction::Received || letter.state != LetterState::Queued {
        return Ok(());
    }
    let number = tx.next_number("waiting")?;
    put(tx, &record.id, number, &letter.id);
    super::turn::advance(tx, &record.id)
}

/// Says something as a letter that is never shown.
pub(crate) fn say(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    kind: u8,
    word: &[u8],
) -> Result<(), EngineError> {
    let mut errand = Zeroizing::new(Vec::with_capacity(word.len().saturating_add(1)));
    errand.push(kind);
    errand.extend_from_slice(word);
    let letter = Letter {
        id: LetterId::random(tx.rng),
        contact: state::conversation(&record.id),
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: tx.now,
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: Vec::new(),
        errand,
        author: Some(account::own(tx)?.id),
        marks: Marks::default(),
    };
    letters::store(tx, &letter);
    let number = tx.next_number("waiting")?;
    put(tx, &record.id, number, &letter.id);
    Ok(())
}

/// Letters of a group wait as those for a device do; no device has this id.
fn prefix(id: &GroupId) -> Vec<u8> {
    key(&[id.as_bytes(), &[0; 16]])
}

fn put(tx: &mut Transaction<'_>, id: &GroupId, number: u64, letter: &LetterId) {
    let place = key(&[&prefix(id), &number.to_be_bytes()]);
    let value = Zeroizing::new(letter.as_bytes().to_vec());
    tx.put(Table::Waiting, place, value);
}

/// A letter waits again, before all others.
pub(super) fn wait_first(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    // One letter is on its way at a time, and numbers of waiting letters begin with 1.
    put(tx, id, 0, letter);
    Ok(())
}

/// The letter that has waited longest, and where.
pub(super) fn first(
    tx: &Transaction<'_>,
    id: &GroupId,
) -> Result<Option<(Vec<u8>, LetterId)>, EngineError> {
    let rows = tx.scan(Table::Waiting, &prefix(id), None, 1)?;
    let row = rows.into_iter().next();
    Ok(row.and_then(|(place, letter)| Some((place, LetterId::from_slice(&letter)?))))
}

/// Forgets what waits to be said and is never shown.
pub(crate) fn unsay(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    which: impl Fn(&[u8]) -> bool,
) -> Result<(), EngineError> {
    for (place, letter) in tx.scan(Table::Waiting, &prefix(id), None, usize::MAX)? {
        let letter = LetterId::from_slice(&letter).map(|letter| letters::load(tx, &letter));
        if let Some(said) = letter.transpose()?.flatten()
            && which(&said.errand)
        {
            tx.delete(Table::Waiting, place);
            letters::forget(tx, &said.id);
        }
    }
    Ok(())
}

/// The letter that waits for the shortest time, and where.
#[cfg(feature = "trial")]
pub(crate) fn last(
    tx: &Transaction<'_>,
    id: &GroupId,
) -> Result<Option<(Vec<u8>, LetterId)>, EngineError> {
    let rows = tx.scan(Table::Waiting, &prefix(id), None, usize::MAX)?;
    let row = rows.into_iter().next_back();
    Ok(row.and_then(|(place, letter)| Some((place, LetterId::from_slice(&letter)?))))
}

/// All letters that wait; they wait no longer.
pub(super) fn take(tx: &mut Transaction<'_>, id: &GroupId) -> Result<Vec<LetterId>, EngineError> {
    let mut letters = Vec::new();
    while let Some((place, letter)) = first(tx, id)? {
        tx.delete(Table::Waiting, place);
        letters.push(letter);
    }
    Ok(letters)
}

/// What is sealed for the members.
pub(super) fn content(
    tx: &Transaction<'_>,
    letter: &Letter,
) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    let own = account::own(tx)?;
    let head = Head::of(&account::log_of(&own)?.head());
    let said = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
    let errand = &letter.errand;
    let amendment = amending::of_errand(errand).map(|it| Body::Amendment(said(it)));
    let vault = || vault::word::of_errand(errand).map(|it| Body::Vault(said(it)));
    let word = || word::of_errand(errand).map(|it| Body::Group(said(it)));
    let body = amendment.or_else(vault).or_else(word).unwrap_or_else(|| {
        Body::Letter(LetterBody {
            text: letter.text.clone(),
            reply_to: letter.reply_to,
            expires_after: letter.expires_after,
            enclosures: letter.enclosures.iter().map(letters::to_content).collect(),
        })
    });
    let mut content = Content::new(letter.id, letter.sent_at, body);
    // The members learn from any letter that an account has newer entries; there is no one recipient.
    content.heads = Some(Heads {
        ours: head,
        yours: head,
        backup: 0,
        your_backup: 0,
    });
    Ok(content.encode())
}

/// A member says something.
pub(super) fn came(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    from: &LeafName,
    content: &[u8],
) -> Result<(), EngineError> {
    let conversation = state::conversation_of(tx, record)?;
    let Ok(content) = Content::decode(content) else {
        tx.event(Event::Undecryptable {
            contact: Some(conversation),
        });
        return Ok(());
    };
    if let Some(heads) = &content.heads {
        super::people::told(tx, &from.account, &heads.ours)?;
    }
    // SECURITY: nobody writes letters in a vault, and no group has keys; `a_letter_in_a_vault_is_not_shown` notices.
    match (record.data.vault, &content.body) {
        (true, Body::Vault(word)) => return vault::heard(tx, record, from, word),
        (true, _) => return Ok(()),
        (false, _) => {}
    }
    let own = account::own(tx)?.id == from.account;
    let contact = contacts::load(tx, &conversation)?;
    // SECURITY: a person who came later has the id; `a_group_takes_no_persons_place` notices.
    if record.data.pair.is_none() && contact.is_some() {
        return Ok(());
    }
    // SECURITY: `a_blocked_contact_is_not_heard_in_a_pair` notices.
    if !own && contact.as_ref().is_some_and(|contact| contact.blocked) {
        return Ok(());
    }
    let body = match content.body {
        Body::Letter(body) => body,
        Body::Amendment(said) => {
            let by = Speaker {
                account: from.account,
                sent_at: content.sent_at,
            };
            return amending::heard(tx, &conversation, &by, &said, true);
        }
        Body::Group(word) if record.data.pair.is_some() && !own => {
            return history::told_in_pair(tx, &from.account, &word);
        }
        _ => return Ok(()),
    };
    let known = letters::load(tx, &content.id)?.is_some() || letters::is_deleted(tx, &content.id)?;
    if known {
        return Ok(());
    }
    let (direction, state) = match own {
        true => (Direction::Sent, LetterState::Sent),
        false => (Direction::Received, LetterState::Received),
    };
    let mut letter = Letter {
        contact: conversation,
        direction,
        state,
        author: Some(from.account),
        ..crate::receiving::filled(tx, content.id, content.sent_at, body)?
    };
    if record.data.pair.is_some() && contact.is_none() {
        // Another device of ours added the contact, and has not told yet.
        letters::keep_orphan(tx, &letter);
        return Ok(());
    }
    if own {
        letters::set_expiry(tx, &mut letter);
    }
    letters::file(tx, &letter);
    if !own {
        tx.event(Event::LetterReceived {
            contact: conversation,
            letter: letter.id,
        });
    }
    letters::catch_up(tx, &letter.id)
}
