//! Amendments on their way: said here, heard from others, kept until their letter comes (docs/spec/letters.md,
//! section 11).
//!
//! In a conversation of two an amendment travels as a letter that is never shown: each device of the contact gets it,
//! and the own devices as an errand. In a group it is a letter of the group in every respect, and shown as none.

use crate::account;
use crate::amendment::{Amendment, Speaker, What, is_reaction, merge};
use crate::contacts;
use crate::errands;
use crate::error::{AmendmentError, EngineError};
use crate::event::{Amended, CommandOutcome, Event};
use crate::group;
use crate::input::{Amend, CommandId};
use crate::letters;
use crate::limits;
use crate::records::{
    Contact, Delivery, Direction, GroupStanding, Letter, LetterState, Marks, Share, key,
};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, LetterId, Timestamp};
use zeroize::Zeroizing;

/// What an errand begins with that is about a letter.
pub(crate) const ERRAND: u8 = 12;
/// `12 ‖ conversation 32 ‖ author 32 ‖ BE8(sent at)`; the amendment follows.
const HEAD: usize = 1 + 32 + 32 + 8;

/// The last edit or deletion of a letter that was said here: by the letter.
const SAID: &[u8] = b"amendment-said/";
/// Reactions to letters that are not here yet: letter ‖ author.
const REACTIONS: &[u8] = b"reaction-ahead/";
/// Edits and deletions of them: author ‖ letter ‖ kind.
const CHANGES: &[u8] = b"amendment-ahead/";

/// Something said of a letter, with where and by whom.
pub(crate) struct Told {
    conversation: AccountId,
    by: Speaker,
    amendment: Amendment,
}

impl Told {
    fn write(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        out.u8(ERRAND);
        out.array(self.conversation.as_bytes());
        out.array(self.by.account.as_bytes());
        out.u64(self.by.sent_at.as_secs());
        out.array(&self.amendment.encode());
        Zeroizing::new(out.finish())
    }

    /// Reads what stands behind the first byte of an errand.
    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            conversation: AccountId::from_bytes(input.array()?),
            by: Speaker {
                account: AccountId::from_bytes(input.array()?),
                sent_at: Timestamp::from_secs(input.u64()?),
            },
            amendment: Amendment::decode(input.take(input.remaining())?)?,
        })
    }
}

/// The amendment in a letter that is never shown, as others hear it.
pub(crate) fn of_errand(errand: &[u8]) -> Option<&[u8]> {
    match errand.first() {
        Some(&ERRAND) => errand.get(HEAD..),
        _ => None,
    }
}

/// Who wrote a letter.
pub(crate) fn author_of(tx: &Transaction<'_>, letter: &Letter) -> Result<AccountId, EngineError> {
    Ok(match (letter.author, letter.direction) {
        (Some(author), _) => author,
        (None, Direction::Received) => letter.contact,
        (None, _) => account::own(tx)?.id,
    })
}

/// Says something of a letter.
pub(crate) fn amend(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &LetterId,
    change: Amend,
) -> Result<(), EngineError> {
    let letter = letters::load(tx, id)?;
    let letter = letter.filter(|letter| letter.direction != Direction::Errand);
    let mut letter = letter.ok_or(EngineError::UnknownLetter)?;
    let by = Speaker {
        account: account::own(tx)?.id,
        sent_at: tx.now,
    };
    if letter.marks.deleted {
        return match change {
            Amend::Delete => {
                tx.outcome(command, CommandOutcome::Done);
                Ok(())
            }
            _ => Err(AmendmentError::Deleted.into()),
        };
    }
    let what = said(&letter, &by.account, change)?;
    let told = Told {
        conversation: letter.contact,
        by,
        amendment: Amendment { letter: *id, what },
    };
    let author = author_of(tx, &letter)?;
    if !merge(&mut letter, &author, &by, &told.amendment.what)? {
        tx.outcome(command, CommandOutcome::Done);
        return Ok(()); // It is so already.
    }
    let until = match told.amendment.what {
        What::Deleted => None,
        _ => letter.expires_at,
    };
    say(tx, &told, until)?;
    changed(tx, &letter, &told);
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// What a person means, with its number.
fn said(letter: &Letter, own: &AccountId, change: Amend) -> Result<What, EngineError> {
    Ok(match change {
        Amend::React(emoji) => {
            let emoji = emoji.unwrap_or_default();
            if !emoji.is_empty() && !is_reaction(&emoji) {
                return Err(AmendmentError::InvalidReaction.into());
            }
            let mut reactions = letter.marks.reactions.iter();
            let before = reactions.find(|reaction| reaction.author == *own);
            let number = before.map_or(0, |reaction| reaction.number);
            What::Reaction {
                number: number.saturating_add(1),
                emoji,
            }
        }
        Amend::Edit(text) => {
            if text.len() > limits::TEXT_BYTES {
                return Err(EngineError::TextTooLong {
                    got: text.len(),
                    max: limits::TEXT_BYTES,
                });
            }
            What::Edit {
                number: letter.marks.edit.saturating_add(1),
                text,
            }
        }
        Amend::Delete => What::Deleted,
    })
}

/// Tells the others of the conversation, and the own devices, until a time or as long as a relay keeps letters.
fn say(tx: &mut Transaction<'_>, told: &Told, until: Option<Timestamp>) -> Result<(), EngineError> {
    let id = LetterId::random(tx.rng);
    if let Some(record) = group::state::of_conversation(tx, &told.conversation)? {
        if matches!(record.standing, GroupStanding::Out | GroupStanding::Leaving) {
            return Err(EngineError::NotInGroup);
        }
        return store(tx, id, told, Some(told.by.account), Vec::new(), until);
    }
    let mut contact = sending::sendable(tx, &told.conversation)?;
    let log = contacts::log_of(&contact)?;
    sending::accept(tx, &mut contact)?;
    if group::pair::is_needed(tx, &log)? {
        group::pair::ensure(tx, &contact)?;
        return store(tx, id, told, Some(told.by.account), Vec::new(), until);
    }
    let deliveries = sending::deliveries(tx, Some(&log))?;
    store(tx, id, told, None, deliveries, until)
}

fn store(
    tx: &mut Transaction<'_>,
    id: LetterId,
    told: &Told,
    author: Option<AccountId>,
    deliveries: Vec<Delivery>,
    until: Option<Timestamp>,
) -> Result<(), EngineError> {
    let mut letter = Letter {
        id,
        contact: told.conversation,
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: told.by.sent_at,
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries,
        errand: told.write(),
        author,
        marks: Marks::default(),
    };
    // It waits for no device longer than its letter is there.
    let end = tx.now.saturating_add(limits::SENT_KEPT_SECONDS);
    letter.expires_at = Some(until.map_or(end, |until| until.min(end)));
    letters::keep_expiry(tx, &letter);
    letters::store(tx, &letter);
    supersede(tx, told, &id)?;
    sending::dispatch(tx, &letter.id)
}

/// What an edit said goes with the next one, or with the deletion, even if a device has not heard of it yet: it would
/// live on in what waits for that device.
fn supersede(tx: &mut Transaction<'_>, told: &Told, id: &LetterId) -> Result<(), EngineError> {
    if !matches!(told.amendment.what, What::Edit { .. } | What::Deleted) {
        return Ok(());
    }
    let place = key(&[SAID, told.amendment.letter.as_bytes()]);
    let before = tx.get(Table::Meta, &place)?;
    if let Some(before) = before.and_then(|before| LetterId::from_slice(&before)) {
        letters::forget_errand(tx, &before)?;
    }
    tx.put(Table::Meta, place, Zeroizing::new(id.as_bytes().to_vec()));
    Ok(())
}

/// A letter is gone here; what was said of it still goes to the others.
pub(crate) fn forget_place(tx: &mut Transaction<'_>, letter: &LetterId) {
    tx.delete(Table::Meta, key(&[SAID, letter.as_bytes()]));
}

/// A contact says something of a letter.
pub(crate) fn came(
    tx: &mut Transaction<'_>,
    contact: &Contact,
    (id, sent_at): (LetterId, Timestamp),
    said: &[u8],
    list: Option<u64>,
) -> Result<(), EngineError> {
    let by = Speaker {
        account: contact.id,
        sent_at,
    };
    heard(tx, &contact.id, &by, said, !contact.request)?;
    let Ok(amendment) = Amendment::decode(said) else {
        return Ok(());
    };
    let told = Told {
        conversation: contact.id,
        by,
        amendment,
    };
    errands::pass_on(tx, id, told.write(), list)
}

/// Another device of ours tells what was said of a letter.
pub(crate) fn told(tx: &mut Transaction<'_>, told: &Told) -> Result<(), EngineError> {
    apply(tx, told, true)
}

/// Somebody in a conversation says something of a letter. `keep`: also if the letter is still to come.
pub(crate) fn heard(
    tx: &mut Transaction<'_>,
    conversation: &AccountId,
    by: &Speaker,
    said: &[u8],
    keep: bool,
) -> Result<(), EngineError> {
    let Ok(amendment) = Amendment::decode(said) else {
        return Ok(()); // Of a later version.
    };
    let told = Told {
        conversation: *conversation,
        by: *by,
        amendment,
    };
    apply(tx, &told, keep)
}

fn apply(tx: &mut Transaction<'_>, told: &Told, keep: bool) -> Result<(), EngineError> {
    let id = &told.amendment.letter;
    if let What::Shared { with, others } = &told.amendment.what {
        return note_share(tx, told, with, others);
    }
    let Some(mut letter) = letters::load(tx, id)? else {
        if keep && !letters::is_deleted(tx, id)? {
            keep_ahead(tx, told)?;
        }
        return Ok(());
    };
    // SECURITY: who is in one conversation says nothing of another; `a_letter_is_amended_in_its_conversation` notices.
    let here = letter.contact == told.conversation && letter.direction != Direction::Errand;
    let merged = match here {
        true => {
            let author = author_of(tx, &letter)?;
            merge(&mut letter, &author, &told.by, &told.amendment.what)
        }
        false => Err(AmendmentError::OtherConversation),
    };
    match merged {
        Ok(true) => changed(tx, &letter, told),
        Ok(false) => {}
        Err(error) => tx.event(Event::AmendmentRefused {
            conversation: told.conversation,
            by: told.by.account,
            letter: *id,
            error,
        }),
    }
    Ok(())
}

/// Tells a group that letters of before went to somebody who has joined it.
pub(crate) fn share(
    tx: &mut Transaction<'_>,
    conversation: &AccountId,
    with: &AccountId,
    letters: &[LetterId],
) -> Result<(), EngineError> {
    let Some((first, others)) = letters.split_first() else {
        return Ok(());
    };
    let told = Told {
        conversation: *conversation,
        by: Speaker {
            account: account::own(tx)?.id,
            sent_at: tx.now,
        },
        amendment: Amendment {
            letter: *first,
            what: What::Shared {
                with: *with,
                others: others.to_vec(),
            },
        },
    };
    note_share(tx, &told, with, others)?;
    say(tx, &told, None)
}

/// Somebody shared letters of a group: `custody` knows with whom.
fn note_share(
    tx: &mut Transaction<'_>,
    told: &Told,
    with: &AccountId,
    others: &[LetterId],
) -> Result<(), EngineError> {
    let Some(record) = group::state::of_conversation(tx, &told.conversation)? else {
        return Ok(()); // Conversations of two have nobody who joins.
    };
    let share = Share {
        by: told.by.account,
        with: *with,
        at: tx.number("letters")?,
    };
    for id in std::iter::once(&told.amendment.letter).chain(others) {
        let Some(mut letter) = letters::load(tx, id)? else {
            continue;
        };
        let mut shares = letter.marks.shares.iter();
        let known = shares.any(|known| known.by == share.by && known.with == share.with);
        let here = letter.contact == told.conversation && letter.direction != Direction::Errand;
        if here && !known && letter.marks.shares.len() < limits::SHARES_OF_LETTER {
            letter.marks.shares.push(share);
            letters::store(tx, &letter);
        }
    }
    tx.event(Event::HistoryShared {
        group: record.id,
        by: share.by,
        with: *with,
        letters: others.len().saturating_add(1),
    });
    Ok(())
}

/// Keeps a letter as it is now, and finds it by its words of now.
fn changed(tx: &mut Transaction<'_>, letter: &Letter, told: &Told) {
    letters::store(tx, letter);
    tx.unindex(letter.id);
    if !letter.text.is_empty() {
        tx.index(letter.id, letter.text.clone());
    }
    tx.event(Event::LetterAmended {
        letter: letter.id,
        by: told.by.account,
        what: match told.amendment.what {
            What::Reaction { .. } => Amended::Reaction,
            What::Edit { .. } => Amended::Edit,
            What::Deleted | What::Shared { .. } => Amended::Deletion,
        },
    });
}

fn place_ahead(told: &Told) -> Vec<u8> {
    let (author, letter) = (told.by.account.as_bytes(), told.amendment.letter.as_bytes());
    match &told.amendment.what {
        What::Reaction { .. } => key(&[REACTIONS, letter, author]),
        what => key(&[CHANGES, author, letter, &[what.kind()]]),
    }
}

/// Keeps what is said of a letter that is still to come, as long as there is room.
fn keep_ahead(tx: &mut Transaction<'_>, told: &Told) -> Result<(), EngineError> {
    let place = place_ahead(told);
    if let Some(known) = tx.get(Table::Meta, &place)? {
        if read_ahead(&known)
            .is_some_and(|known| !told.amendment.what.is_above(&known.amendment.what))
        {
            return Ok(());
        }
    } else if !has_room(tx, told)? {
        return Ok(());
    }
    let mut kept = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
    kept.extend_from_slice(&told.write());
    tx.put(Table::Meta, place, kept);
    Ok(())
}

fn has_room(tx: &Transaction<'_>, told: &Told) -> Result<bool, EngineError> {
    let author = told.by.account.as_bytes();
    if !matches!(told.amendment.what, What::Reaction { .. }) {
        let prefix = key(&[CHANGES, author]);
        let known = tx.scan(Table::Meta, &prefix, None, limits::AMENDMENTS_AHEAD)?;
        return Ok(known.len() < limits::AMENDMENTS_AHEAD);
    }
    let known = tx.scan(Table::Meta, REACTIONS, None, limits::REACTIONS_AHEAD)?;
    let of_author = known.iter().filter(|(place, _)| place.ends_with(author));
    Ok(known.len() < limits::REACTIONS_AHEAD && of_author.count() < limits::REACTIONS_AHEAD_EACH)
}

/// `BE8(when) ‖ errand`.
fn read_ahead(kept: &[u8]) -> Option<Told> {
    let errand = kept.get(8..)?.strip_prefix(&[ERRAND])?;
    Told::read(&mut Reader::new(errand)).ok()
}

/// A letter came: what was said of it before counts now.
pub(crate) fn catch_up(tx: &mut Transaction<'_>, id: &LetterId) -> Result<(), EngineError> {
    let Some(letter) = letters::load(tx, id)? else {
        return Ok(());
    };
    if !account::exists(tx)? {
        return Ok(()); // It comes with an archive, and nobody has said anything here yet.
    }
    let author = author_of(tx, &letter)?;
    let prefixes = [
        key(&[REACTIONS, id.as_bytes()]),
        key(&[CHANGES, author.as_bytes(), id.as_bytes()]),
    ];
    for prefix in prefixes {
        for (place, kept) in tx.scan(Table::Meta, &prefix, None, limits::REACTIONS_AHEAD)? {
            tx.delete(Table::Meta, place);
            if let Some(told) = read_ahead(&kept) {
                apply(tx, &told, false)?;
            }
        }
    }
    Ok(())
}

/// Forgets what was said of letters that no relay keeps any more.
pub(crate) fn forget_ahead(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for prefix in [REACTIONS, CHANGES] {
        tx.each(Table::Meta, prefix, |tx, place, kept| {
            let at = kept.first_chunk::<8>().copied();
            let at = Timestamp::from_secs(at.map_or(0, u64::from_be_bytes));
            if tx.now.since(at) >= limits::SENT_KEPT_SECONDS {
                tx.delete(Table::Meta, place.to_vec());
            }
            Ok(())
        })?;
    }
    Ok(())
}
