//! History for somebody who joins: nothing of before is readable, unless whoever adds them sends it again
//! (docs/spec/groups.md, section 9).
//!
//! ```text
//!  add counts ─► notice in the group ─► parts at the relay ─► a word to each new device ─► letters, marked as shared
//! ```

use super::pair;
use super::state;
use super::turn;
use super::word::{self, Word};
use super::words::say;
use crate::account;
use crate::amending;
use crate::archive::{self, PartRef};
use crate::contacts;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::letters;
use crate::limits;
use crate::records::{
    Contact, Direction, Enclosure, GroupMember, GroupRecord, Letter, LetterState, PartPurpose,
    Record as _, Share, key,
};
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::LeafName;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, Timestamp};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// How many letters somebody is to get once it is in: group ‖ account.
const PROMISED: &[u8] = b"history-promised/";
/// Whom a part is for once the relay has it: devices.
const OUT: &[u8] = b"history-out/";
/// Parts that are being fetched: account ‖ group ‖ part.
const IN: &[u8] = b"history-in/";
/// Words that came before their group: group ‖ blob. BE8(when) ‖ account ‖ part.
const EARLY: &[u8] = b"history-early/";
/// Who let this device in, when, and how many letters it has sent since: by group.
const HOST: &[u8] = b"history-host/";

/// Notes that somebody gets history once it is in.
pub(super) fn promise(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    accounts: &[AccountId],
    letters: u32,
) -> Result<(), EngineError> {
    let members = state::members(tx, id)?;
    for account in accounts {
        if letters > 0 && !members.iter().any(|member| member.account == *account) {
            let value = Zeroizing::new(letters.to_be_bytes().to_vec());
            tx.put(Table::Meta, promised(id, account), value);
        }
    }
    Ok(())
}

fn promised(id: &GroupId, account: &AccountId) -> Vec<u8> {
    key(&[PROMISED, id.as_bytes(), account.as_bytes()])
}

/// Nobody of these was added from here.
pub(super) fn take_back(tx: &mut Transaction<'_>, id: &GroupId, accounts: &[AccountId]) {
    for account in accounts {
        tx.delete(Table::Meta, promised(id, account));
    }
}

/// A commit of ours counts: whoever came in by it gets what was promised.
pub(super) fn added(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    before: &[GroupMember],
) -> Result<(), EngineError> {
    let now = state::members(tx, &record.id)?;
    let prefix = key(&[PROMISED, record.id.as_bytes()]);
    let mut due = Vec::new();
    for (place, letters) in tx.scan(Table::Meta, &prefix, None, limits::PAGE)? {
        let Some(account) = place
            .strip_prefix(&prefix[..])
            .and_then(AccountId::from_slice)
        else {
            continue;
        };
        let devices = now.iter().filter(|member| member.account == account);
        let devices: Vec<LeafName> = devices
            .map(|member| LeafName {
                account,
                device: member.device,
            })
            .collect();
        if devices.is_empty() {
            continue; // Another commit comes first.
        }
        tx.delete(Table::Meta, place);
        if !before.iter().any(|member| member.account == account) {
            let most = letters.first_chunk::<4>().copied();
            let most = usize::try_from(most.map_or(0, u32::from_be_bytes)).unwrap_or(usize::MAX);
            due.push((account, devices, most));
        }
    }
    for (account, devices, most) in due {
        share(tx, record, (&account, &devices), most)?;
    }
    Ok(())
}

/// Sends the last letters again, to these devices alone.
fn share(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    (account, devices): (&AccountId, &[LeafName]),
    most: usize,
) -> Result<(), EngineError> {
    let letters = last_letters(tx, &record.id, most.min(limits::SHARED_LETTERS))?;
    let ids: Vec<LetterId> = letters.iter().map(|letter| letter.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    amending::share(tx, &state::conversation(&record.id), account, &ids)?;
    let mut names = Writer::new();
    for name in devices {
        names.array(name.account.as_bytes());
        names.array(name.device.as_bytes());
    }
    let names = Zeroizing::new(names.finish());
    let mut part = archive::empty_part();
    let mut letters = letters.into_iter().peekable();
    while let Some(letter) = letters.next() {
        let record_bytes = letter.encode();
        let mut out = Writer::new();
        out.bytes(&record_bytes);
        part.extend_from_slice(&Zeroizing::new(out.finish()));
        if part.len() >= limits::PART_BYTES || letters.peek().is_none() {
            let whole = [&record.id.as_bytes()[..], &part].concat();
            let whole = Zeroizing::new(whole);
            let sealed = archive::seal(tx, &whole, PartPurpose::Group)?;
            let mut out = Writer::new();
            out.array(record.id.as_bytes());
            sealed.write(&mut out);
            out.array(&names);
            let place = key(&[OUT, sealed.blob.as_bytes()]);
            tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
            part.clear();
        }
    }
    Ok(())
}

/// The last letters that all members have, oldest first, as somebody else may have them.
fn last_letters(
    tx: &Transaction<'_>,
    id: &GroupId,
    most: usize,
) -> Result<Vec<Letter>, EngineError> {
    let mut ids = tx.scan(Table::Conversation, id.as_bytes(), None, usize::MAX)?;
    let mut letters = Vec::new();
    while let Some((_, id)) = ids.pop() {
        if letters.len() >= most {
            break;
        }
        let id = LetterId::from_slice(&id).ok_or(StoreError::Damaged {
            what: "conversation",
        })?;
        if let Some(letter) = letters::load(tx, &id)?.filter(is_there) {
            letters.push(bare(letter, tx.now));
        }
    }
    letters.reverse();
    Ok(letters)
}

/// Whether a letter is where all members have it, and something is left of it.
fn is_there(letter: &Letter) -> bool {
    let there = matches!(
        letter.state,
        LetterState::Sent | LetterState::Received | LetterState::Read
    );
    there && !letter.marks.deleted && letter.author.is_some()
}

/// A letter without what is this profile's own, and without files that no relay has any more.
fn bare(mut letter: Letter, now: Timestamp) -> Letter {
    letter.direction = Direction::Received;
    letter.state = LetterState::Received;
    letter.deliveries.clear();
    letter.order = 0;
    letter.marks.shares.clear();
    letter.marks.shared_by = None;
    if now.since(letter.sent_at) >= limits::BLOB_KEPT_SECONDS {
        letter.enclosures.clear();
    }
    letter
}

/// The relay has a part. Says whether it was one of these.
pub(super) fn stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    let place = key(&[OUT, blob.as_bytes()]);
    let Some(bytes) = tx.get(Table::Meta, &place)? else {
        return Ok(false);
    };
    tx.delete(Table::Meta, place);
    let mut input = Reader::new(&bytes);
    let mut read = || {
        let group = GroupId::from_bytes(input.array()?);
        let part = PartRef::read(&mut input)?;
        let word = Word::History { group, part }.encode();
        let mut names = Vec::new();
        while input.remaining() > 0 {
            names.push(LeafName {
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
            });
        }
        Ok::<_, DecodeError>((group, word, names))
    };
    let (group, word, names) = read().map_err(|_| DAMAGED)?;
    let mut in_pairs = BTreeSet::new();
    for name in names {
        let contact = contacts::load(tx, &name.account)?;
        let log = contact.as_ref().map(contacts::log_of).transpose()?;
        // SECURITY: a signed word has no forward secrecy, and this one opens letters: it goes in the pair.
        // `history_goes_to_an_account_of_cnsa2_in_the_pair` notices.
        match (contact, log) {
            (Some(contact), Some(log)) if pair::is_needed(tx, &log)? => {
                let first = in_pairs.insert(name.account);
                if first && let Err(error) = say_in_pair(tx, &contact, &word) {
                    no_pair(tx, group, error)?;
                }
            }
            _ => say(tx, &name, &word)?,
        }
    }
    Ok(true)
}

/// The contact was blocked meanwhile, say: what was promised does not come, and the person is told.
fn no_pair(tx: &mut Transaction<'_>, group: GroupId, why: EngineError) -> Result<(), EngineError> {
    match why {
        EngineError::Store(_) | EngineError::Internal { .. } => Err(why),
        _ => {
            tx.event(Event::HistoryIncomplete { group });
            Ok(())
        }
    }
}

/// Says where letters of before lie to all devices of an account, in the conversation of two.
fn say_in_pair(tx: &mut Transaction<'_>, with: &Contact, word: &[u8]) -> Result<(), EngineError> {
    let record = pair::ensure(tx, with)?;
    super::letters::say(tx, &record, word::ERRAND, word)?;
    turn::advance(tx, &record.id)
}

/// The other one of a pair says something of a group: nothing else than where letters of before lie is said there.
pub(super) fn told_in_pair(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    word: &[u8],
) -> Result<(), EngineError> {
    match Word::decode(word) {
        Ok(Word::History { group, part }) => told(tx, from, &group, &part),
        _ => Ok(()),
    }
}

const DAMAGED: StoreError = StoreError::Damaged {
    what: "history of a group",
};

/// A part can be neither stored nor fetched. Says whether it was one of these.
pub(super) fn failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<bool, EngineError> {
    let mut known = false;
    for (prefix, at) in [(OUT, 0_usize), (IN, AccountId::LEN)] {
        let place = key(&[prefix, blob.as_bytes()]);
        if let Some(bytes) = tx.get(Table::Meta, &place)? {
            tx.delete(Table::Meta, place);
            known = true;
            let group = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<32>());
            if let Some(group) = group {
                let group = GroupId::from_bytes(*group);
                tx.event(Event::HistoryIncomplete { group });
            }
        }
    }
    Ok(known)
}

/// This device was let in by somebody, who alone may send history, and not for ever.
pub(super) fn joined(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    host: &AccountId,
) -> Result<(), EngineError> {
    let value = key(&[host.as_bytes(), &tx.now.as_secs().to_be_bytes(), &[0; 8]]);
    tx.put(
        Table::Meta,
        key(&[HOST, id.as_bytes()]),
        Zeroizing::new(value),
    );
    let prefix = key(&[EARLY, id.as_bytes()]);
    for (place, kept) in tx.scan(Table::Meta, &prefix, None, limits::SHARED_EARLY)? {
        tx.delete(Table::Meta, place);
        let mut input = Reader::new(&kept);
        let mut read = || {
            input.u64()?;
            let from = AccountId::from_bytes(input.array()?);
            Ok::<_, DecodeError>((from, PartRef::read(&mut input)?))
        };
        let (from, part) = read().map_err(|_| DAMAGED)?;
        told(tx, &from, id, &part)?;
    }
    Ok(())
}

/// How many letters a host has sent, if it may send any.
fn sent_by(
    tx: &Transaction<'_>,
    id: &GroupId,
    from: &AccountId,
) -> Result<Option<usize>, EngineError> {
    let Some(host) = tx.get(Table::Meta, &key(&[HOST, id.as_bytes()]))? else {
        return Ok(None);
    };
    let mut input = Reader::new(&host);
    let mut read = || {
        let host = AccountId::from_bytes(input.array()?);
        let at = Timestamp::from_secs(input.u64()?);
        Ok::<_, DecodeError>((host, at, input.u64()?))
    };
    let (host, at, count) = read().map_err(|_| DAMAGED)?;
    // SECURITY: nobody else writes history, now or later; `history_is_told_by_the_host_alone` notices.
    let may = host == *from && tx.now.since(at) < limits::SENT_KEPT_SECONDS;
    Ok(may.then(|| usize::try_from(count).unwrap_or(usize::MAX)))
}

fn count(tx: &mut Transaction<'_>, id: &GroupId, letters: usize) -> Result<(), EngineError> {
    let place = key(&[HOST, id.as_bytes()]);
    if let Some(host) = tx.get(Table::Meta, &place)?
        && let Some(start) = host.get(..40)
    {
        let letters = u64::try_from(letters).unwrap_or(u64::MAX);
        let value = key(&[start, &letters.to_be_bytes()]);
        tx.put(Table::Meta, place, Zeroizing::new(value));
    }
    Ok(())
}

/// Somebody says where history lies.
pub(super) fn told(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    id: &GroupId,
    part: &PartRef,
) -> Result<(), EngineError> {
    let most = u64::try_from(limits::PART_BYTES.saturating_mul(2)).unwrap_or(u64::MAX);
    if part.size > most {
        return Ok(());
    }
    if tx.get(Table::Meta, &key(&[HOST, id.as_bytes()]))?.is_none() {
        return keep_early(tx, from, id, part);
    }
    let Some(record) = state::load(tx, id)? else {
        return Ok(());
    };
    match sent_by(tx, id, from)? {
        Some(sent) if sent < limits::SHARED_LETTERS => {}
        _ => return refused(tx, id, from),
    }
    archive::fetch(tx, part, &record.relay, PartPurpose::Group);
    let mut out = Writer::new();
    out.array(from.as_bytes());
    out.array(id.as_bytes());
    part.write(&mut out);
    let place = key(&[IN, part.blob.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
    Ok(())
}

/// The invitation is here, or on its way, and waits for logs.
fn keep_early(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    id: &GroupId,
    part: &PartRef,
) -> Result<(), EngineError> {
    let kept = tx.scan(Table::Meta, EARLY, None, limits::SHARED_EARLY)?;
    let theirs = kept
        .iter()
        .filter(|(_, kept)| kept.get(8..40) == Some(from.as_bytes()));
    if kept.len() < limits::SHARED_EARLY && theirs.count() < limits::SHARED_EARLY_EACH {
        let mut out = Writer::new();
        out.u64(tx.now.as_secs());
        out.array(from.as_bytes());
        part.write(&mut out);
        let place = key(&[EARLY, id.as_bytes(), part.blob.as_bytes()]);
        tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
    }
    Ok(())
}

/// Forgets history of groups that this device never came into.
pub(crate) fn forget_early(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (place, kept) in tx.scan(Table::Meta, EARLY, None, limits::SHARED_EARLY)? {
        let at = kept.first_chunk::<8>().copied();
        let at = Timestamp::from_secs(at.map_or(0, u64::from_be_bytes));
        if tx.now.since(at) >= limits::SENT_KEPT_SECONDS {
            tx.delete(Table::Meta, place);
        }
    }
    Ok(())
}

fn refused(tx: &mut Transaction<'_>, id: &GroupId, by: &AccountId) -> Result<(), EngineError> {
    tx.event(Event::HistoryRefused {
        group: *id,
        by: *by,
    });
    Ok(())
}

/// A part came. Says whether it was one of these.
pub(super) fn came(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<bool, EngineError> {
    let place = key(&[IN, blob.as_bytes()]);
    let Some(bytes) = tx.get(Table::Meta, &place)? else {
        return Ok(false);
    };
    tx.delete(Table::Meta, place);
    let mut input = Reader::new(&bytes);
    let mut read = || {
        let from = AccountId::from_bytes(input.array()?);
        let id = GroupId::from_bytes(input.array()?);
        Ok::<_, DecodeError>((from, id, PartRef::read(&mut input)?))
    };
    let (from, id, part) = read().map_err(|_| DAMAGED)?;
    let members = state::members(tx, &id)?;
    let opened = archive::open(&part, sealed).ok();
    let letters = opened.and_then(|opened| decode(&opened, &id));
    let (Some(letters), Some(sent)) = (letters, sent_by(tx, &id, &from)?) else {
        refused(tx, &id, &from)?;
        return Ok(true);
    };
    let is_member = members.iter().any(|member| member.account == from);
    let total = sent.saturating_add(letters.len());
    // SECURITY: a host floods nobody; `history_has_an_end` notices.
    if !is_member || total > limits::SHARED_LETTERS {
        refused(tx, &id, &from)?;
        return Ok(true);
    }
    count(tx, &id, total)?;
    for letter in letters {
        take_in(tx, &id, &from, letter)?;
    }
    Ok(true)
}

/// The letters of a part; nothing where one of them cannot be.
fn decode(part: &[u8], id: &GroupId) -> Option<Vec<Letter>> {
    let mut input = Reader::new(part.strip_prefix(id.as_bytes())?);
    let mut letters = Vec::new();
    while input.remaining() > 0 {
        let letter = Letter::decode(input.bytes(1 << 21).ok()?).ok()?;
        let fits = letter.contact == state::conversation(id)
            && letter.author.is_some()
            && letter.text.len() <= limits::TEXT_BYTES
            && letter.marks.edit <= limits::EDITS
            && letter.marks.reactions.len() <= limits::REACTIONS
            && letter.enclosures.len() <= limits::ENCLOSURES
            && letter.enclosures.iter().all(enclosure_fits)
            && letter
                .marks
                .standing()
                .all(|reaction| crate::amendment::is_reaction(&reaction.emoji))
            && letters.len() < limits::SHARED_LETTERS;
        if !fits {
            return None;
        }
        letters.push(letter);
    }
    Some(letters)
}

/// Whether bytes are letters of before, of the group that they begin with.
pub(crate) fn is_part(bytes: &[u8]) -> bool {
    let id = bytes.first_chunk::<32>();
    id.is_some_and(|id| decode(bytes, &GroupId::from_bytes(*id)).is_some())
}

/// A part with one letter, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Vec<u8> {
    let id = GroupId::from_bytes([21; 32]);
    let letter = Letter {
        id: LetterId::from_bytes([22; 16]),
        contact: state::conversation(&id),
        order: 0,
        direction: Direction::Received,
        state: LetterState::Received,
        text: "of before".to_owned(),
        sent_at: Timestamp::from_secs(1_800_000_000),
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: Vec::new(),
        errand: Zeroizing::default(),
        author: Some(AccountId::from_bytes([23; 32])),
        marks: crate::records::Marks {
            edit: 1,
            ..crate::records::Marks::default()
        },
    };
    let mut out = Writer::new();
    out.array(id.as_bytes());
    out.bytes(&letter.encode());
    out.finish()
}

fn enclosure_fits(enclosure: &Enclosure) -> bool {
    enclosure.name.len() <= limits::FILE_NAME_BYTES
        && enclosure.relay.len() <= limits::RELAY_URL_BYTES
}

/// Files a letter that somebody says was written before this device came.
fn take_in(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    by: &AccountId,
    letter: Letter,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    let over = letter.expires_at.is_some_and(|at| at <= tx.now);
    // SECURITY: what is here stays as it is, and nobody tells us what we wrote; `history_overwrites_nothing` notices.
    let known = letters::load(tx, &letter.id)?.is_some() || letters::is_deleted(tx, &letter.id)?;
    let persons = state::is_of_person(tx, &letter.contact)?;
    if known || over || persons || letter.author == Some(own) {
        return Ok(());
    }
    let mut letter = bare(letter, tx.now);
    letter.order = tx.next_number("letters")?;
    letter.errand = Zeroizing::default();
    letter.marks.deleted = false;
    letter.marks.shared_by = Some(*by);
    letter.marks.shares.push(Share {
        by: *by,
        with: own,
        at: letter.order,
    });
    letters::file(tx, &letter);
    letters::keep_expiry(tx, &letter);
    tx.event(Event::LetterReceived {
        contact: state::conversation(id),
        letter: letter.id,
    });
    letters::catch_up(tx, &letter.id)
}

/// This device is not in a group any more.
pub(super) fn forget(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    tx.delete(Table::Meta, key(&[HOST, id.as_bytes()]));
    let prefix = key(&[PROMISED, id.as_bytes()]);
    for (place, _) in tx.scan(Table::Meta, &prefix, None, usize::MAX)? {
        tx.delete(Table::Meta, place);
    }
    Ok(())
}
