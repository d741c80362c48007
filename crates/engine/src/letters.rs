//! Letters as they are kept: filed, found, read, expired.
//!
//! ```text
//!  sent:     Uploading ─► Queued ─► Sent ─► Delivered          received:  Received ─► Read
//!                 └──────────┴────────┴──► Failed                             (a timer deletes either)
//! ```

use crate::amending;
use crate::content;
use crate::errands;
use crate::error::EngineError;
use crate::event::Event;
use crate::group::history;
use crate::limits;
use crate::records::{Direction, Enclosure, Letter, LetterState, Record as _, key};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, LetterId, Secret, Timestamp};
use zeroize::Zeroizing;

/// What was done with a letter that is not here: by another device before it came, for each queue is in order and all of
/// them are not; or deleted here, for it may come once more. What ‖ BE8(when).
const AHEAD: &[u8] = b"letter-ahead/";
const READ: u8 = 1;
const DELETED: u8 = 2;
const FAILED: u8 = 3;

/// Reads a letter.
pub(crate) fn load(tx: &Transaction<'_>, id: &LetterId) -> Result<Option<Letter>, EngineError> {
    match tx.get(Table::Letter, id.as_bytes())? {
        Some(bytes) => Ok(Some(Letter::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, letter: &Letter) {
    tx.put(
        Table::Letter,
        letter.id.as_bytes().to_vec(),
        letter.encode(),
    );
}

/// Puts a new letter in its conversation and in the search index.
pub(crate) fn file(tx: &mut Transaction<'_>, letter: &Letter) {
    store(tx, letter);
    tx.put(
        Table::Conversation,
        conversation_key(letter),
        Zeroizing::new(letter.id.as_bytes().to_vec()),
    );
    if !letter.text.is_empty() {
        tx.index(letter.id, letter.text.clone());
    }
}

/// A letter that is never shown is done with.
pub(crate) fn forget(tx: &mut Transaction<'_>, id: &LetterId) {
    tx.delete(Table::Letter, id.as_bytes().to_vec());
}

/// Forgets a letter that is never shown.
pub(crate) fn forget_errand(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    if load(tx, id)?.is_some_and(|letter| letter.direction == Direction::Errand) {
        forget(tx, id);
    }
    Ok(())
}

/// Takes a letter out of its conversation, to be filed in another place.
pub(crate) fn unfile(tx: &mut Transaction<'_>, letter: &Letter) {
    tx.delete(Table::Conversation, conversation_key(letter));
}

fn conversation_key(letter: &Letter) -> Vec<u8> {
    key(&[letter.contact.as_bytes(), &letter.order.to_be_bytes()])
}

pub(crate) fn to_content(enclosure: &Enclosure) -> content::Enclosure {
    content::Enclosure {
        blob: enclosure.blob,
        read_token: enclosure.read_token.duplicate(),
        key: enclosure.key.duplicate(),
        name: enclosure.name.clone(),
        size: enclosure.size,
        relay: enclosure.relay.clone(),
    }
}

pub(crate) fn from_content(enclosure: content::Enclosure) -> Enclosure {
    Enclosure {
        blob: enclosure.blob,
        read_token: enclosure.read_token,
        key: enclosure.key,
        name: enclosure.name,
        size: enclosure.size,
        relay: enclosure.relay,
    }
}

/// Draws the secrets of a new blob.
pub(crate) fn fresh_enclosure(
    tx: &mut Transaction<'_>,
    name: String,
    size: u64,
    relay: String,
) -> Enclosure {
    Enclosure {
        blob: keys::BlobId::random(tx.rng),
        read_token: Secret::random(tx.rng),
        key: Secret::random(tx.rng),
        name,
        size,
        relay,
    }
}

/// The reader saw these letters.
pub(crate) fn mark_read(tx: &mut Transaction<'_>, letters: &[LetterId]) -> Result<(), EngineError> {
    let read = mark(tx, letters)?;
    errands::tell_read(tx, &read)
}

/// Marks letters as read, and says which were not.
fn mark(tx: &mut Transaction<'_>, letters: &[LetterId]) -> Result<Vec<LetterId>, EngineError> {
    let mut read = Vec::new();
    for id in letters {
        let Some(mut letter) = load(tx, id)? else {
            continue;
        };
        if letter.state != LetterState::Received {
            continue;
        }
        letter.state = LetterState::Read;
        set_expiry(tx, &mut letter);
        store(tx, &letter);
        read.push(*id);
    }
    Ok(read)
}

/// The reader saw these letters on another device of the account.
pub(crate) fn read_elsewhere(
    tx: &mut Transaction<'_>,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    mark(tx, letters)?;
    for id in letters {
        if load(tx, id)?.is_none() && !is_deleted(tx, id)? {
            note_ahead(tx, id, READ);
        }
    }
    tx.event(Event::LettersRead {
        letters: letters.to_vec(),
    });
    Ok(())
}

/// Letters that another device of the account wrote will not arrive.
pub(crate) fn failed_elsewhere(
    tx: &mut Transaction<'_>,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    for id in letters {
        match load(tx, id)? {
            Some(letter) => fail(tx, letter),
            None if is_deleted(tx, id)? => {}
            None => note_ahead(tx, id, FAILED),
        }
    }
    Ok(())
}

fn fail(tx: &mut Transaction<'_>, mut letter: Letter) {
    if letter.direction == Direction::Sent && letter.state == LetterState::Sent {
        letter.state = LetterState::Failed;
        store(tx, &letter);
    }
}

/// Deletes letters here and on the account's other devices.
pub(crate) fn delete(tx: &mut Transaction<'_>, letters: &[LetterId]) -> Result<(), EngineError> {
    for id in letters {
        remove_for_good(tx, id)?;
    }
    errands::tell_deleted(tx, letters)
}

/// Deletes letters that another device of the account deleted.
pub(crate) fn delete_all(
    tx: &mut Transaction<'_>,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    letters.iter().try_for_each(|id| remove_for_good(tx, id))
}

/// A letter goes, and does not come again.
pub(crate) fn remove_for_good(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    note_ahead(tx, id, DELETED);
    remove(tx, id)
}

fn note_ahead(tx: &mut Transaction<'_>, id: &LetterId, what: u8) {
    let place = key(&[AHEAD, id.as_bytes()]);
    let value = key(&[&[what], &tx.now.as_secs().to_be_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(value));
}

/// Whether a letter was deleted: what comes of it now is a copy that was sealed before.
pub(crate) fn is_deleted(tx: &Transaction<'_>, id: &LetterId) -> Result<bool, EngineError> {
    let what = tx.get(Table::Meta, &key(&[AHEAD, id.as_bytes()]))?;
    Ok(what.is_some_and(|what| what.first() == Some(&DELETED)))
}

/// The letters that were deleted not long ago.
pub(crate) fn deleted(tx: &Transaction<'_>) -> Result<Vec<LetterId>, EngineError> {
    let rows = tx.scan(Table::Meta, AHEAD, None, usize::MAX)?;
    let deleted = rows
        .iter()
        .filter(|(_, what)| what.first() == Some(&DELETED));
    let ids = deleted.filter_map(|(place, _)| place.strip_prefix(AHEAD));
    Ok(ids.filter_map(LetterId::from_slice).collect())
}

/// Forgets what was done with letters that no relay keeps any more.
pub(crate) fn forget_ahead(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Meta, AHEAD, |tx, place, what| {
        let at = what
            .last_chunk::<8>()
            .copied()
            .map_or(0, u64::from_be_bytes);
        if tx.now.since(Timestamp::from_secs(at)) >= limits::SENT_KEPT_SECONDS {
            tx.delete(Table::Meta, place.to_vec());
        }
        Ok(())
    })?;
    amending::forget_ahead(tx)?;
    history::forget_early(tx)
}

/// A letter came that another device had read or given up before, or of which something was said before.
pub(crate) fn catch_up(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    amending::catch_up(tx, id)?;
    let place = key(&[AHEAD, id.as_bytes()]);
    if let Some(what) = tx.get(Table::Meta, &place)? {
        tx.delete(Table::Meta, place);
        match (what.first(), load(tx, id)?) {
            (Some(&FAILED), Some(letter)) => fail(tx, letter),
            _ => mark(tx, &[*id]).map(drop)?,
        }
    }
    Ok(())
}

/// Copies of letters whose contact is not known yet: by contact and letter.
const ORPHAN: &[u8] = b"orphan/";

/// Keeps a copy until its contact is known.
pub(crate) fn keep_orphan(tx: &mut Transaction<'_>, letter: &Letter) {
    let place = key(&[ORPHAN, letter.contact.as_bytes(), letter.id.as_bytes()]);
    tx.put(Table::Meta, place, letter.encode());
}

/// The copies that waited for a contact, oldest first; they wait no longer.
pub(crate) fn take_orphans(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
) -> Result<Vec<Letter>, EngineError> {
    let prefix = key(&[ORPHAN, contact.as_bytes()]);
    let mut orphans = Vec::new();
    tx.each(Table::Meta, &prefix, |tx, place, letter| {
        orphans.push(Letter::decode(letter)?);
        tx.delete(Table::Meta, place.to_vec());
        Ok(())
    })?;
    orphans.sort_by_key(|letter| letter.order);
    Ok(orphans)
}

/// A letter goes, with what finds it.
pub(crate) fn remove(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    if let Some(letter) = load(tx, id)? {
        tx.delete(Table::Letter, letter.id.as_bytes().to_vec());
        if letter.direction == Direction::Errand {
            return Ok(()); // It stands in no conversation; where it would, another one does.
        }
        tx.delete(Table::Conversation, conversation_key(&letter));
        tx.unindex(letter.id);
        amending::forget_place(tx, id);
    }
    Ok(())
}

/// Starts the timer of a disappearing letter.
pub(crate) fn set_expiry(tx: &mut Transaction<'_>, letter: &mut Letter) {
    let Some(seconds) = letter.expires_after else {
        return;
    };
    let at = tx.now.as_secs().saturating_add(seconds);
    letter.expires_at = Some(Timestamp::from_secs(at));
    keep_expiry(tx, letter);
}

/// Notes when a letter is to be deleted.
pub(crate) fn keep_expiry(tx: &mut Transaction<'_>, letter: &Letter) {
    if let Some(at) = letter.expires_at {
        let place = key(&[&at.as_secs().to_be_bytes(), letter.id.as_bytes()]);
        tx.put(Table::Expiry, place, Zeroizing::new(Vec::new()));
    }
}

/// Deletes letters whose time is over.
pub(crate) fn expire(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, _) in tx.scan(Table::Expiry, &[], None, limits::PAGE)? {
        let Some((at, id)) = place.split_first_chunk::<8>() else {
            continue;
        };
        if u64::from_be_bytes(*at) > tx.now.as_secs() {
            return Ok(());
        }
        if let Some(id) = LetterId::from_slice(id) {
            remove_for_good(tx, &id)?;
        }
        tx.delete(Table::Expiry, place);
    }
    Ok(())
}
