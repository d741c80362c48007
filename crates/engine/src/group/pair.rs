//! The conversation of two accounts as a group, where one of them is of a suite without sessions of two
//! (docs/spec/groups.md, section 10).
//!
//! The contact's id is that of the conversation, whatever the group is called at the relay. Two that began at once are
//! both read, and the one with the lower id goes on.

use super::people;
use super::state;
use super::words;
use crate::account;
use crate::contacts;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::input::{CommandId, Draft};
use crate::letters;
use crate::limits;
use crate::records::{Contact, GroupMember, GroupRecord, GroupStanding, Letter, Record as _, key};
use crate::sending;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupData};
use keys::account_log::{DeviceRecord, VerifiedLog};
use keys::{AccountId, GroupId, LetterId, Suite};
use zeroize::Zeroizing;

/// The pairs with a contact: contact 32 ‖ group 32.
const PAIR: &[u8] = b"group-pair/";

/// Whether letters between our account and another go in a pair.
pub(crate) fn is_needed(tx: &Transaction<'_>, theirs: &VerifiedLog) -> Result<bool, EngineError> {
    let ours = account::log(tx)?;
    Ok(!ours.suite().has_identity_keys() || !theirs.suite().has_identity_keys())
}

/// Takes a letter into the profile, and begins the pair where there is none.
pub(crate) fn send(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: LetterId,
    contact: &Contact,
    draft: Draft,
) -> Result<(), EngineError> {
    let record = ensure(tx, contact)?;
    super::letters::send(tx, command, id, &record, draft)
}

/// The pair in which letters to a contact go; begun where there is none.
pub(crate) fn ensure(
    tx: &mut Transaction<'_>,
    contact: &Contact,
) -> Result<GroupRecord, EngineError> {
    match with(tx, &contact.id)? {
        // SECURITY: two who have a higher suite now do not go on in the lower one;
        // `a_pair_takes_the_higher_suite` notices.
        Some(record) if record.suite >= spoken(tx, contact)? => Ok(record),
        _ => begin(tx, contact),
    }
}

/// The suite that all devices of both accounts speak.
fn spoken(tx: &Transaction<'_>, contact: &Contact) -> Result<Suite, EngineError> {
    let ours = account::log(tx)?;
    let theirs = contacts::log_of(contact)?;
    let devices = ours.devices().iter().chain(theirs.devices());
    let lowest = devices.map(DeviceRecord::suite).min();
    Ok(lowest.unwrap_or(ours.suite()))
}

fn begin(tx: &mut Transaction<'_>, contact: &Contact) -> Result<GroupRecord, EngineError> {
    let own = account::own(tx)?;
    super::addable(tx, &contact.id, &own.relay)?;
    let mut directory = Directory::new();
    people::fill(tx, &mut directory, &[own.id])?;
    let suite = super::suite_of(tx, &[contact.id])?;
    let us = state::us(tx, suite)?;
    // An id that follows from the accounts would tell the relay who they are.
    let id = GroupId::random(tx.rng);
    let data = GroupData::of_pair(own.id, contact.id);
    let mut group = Group::create(&us, directory, &id, &data, tx.now, tx.rng)
        .map_err(|error| EngineError::Group { error })?;
    let mut record = words::fresh(&id, own.relay.clone(), suite, tx.now);
    record.look = Some(tx.now);
    state::enter(tx, &mut record, &mut group)?;
    state::store(tx, &record);
    note(tx, &record)?;
    Ok(record)
}

/// Takes a letter into the pair that no session can carry any more. Where there can be none now, it fails.
pub(crate) fn carry_over(tx: &mut Transaction<'_>, mut letter: Letter) -> Result<(), EngineError> {
    if letter.author.is_some() {
        return Ok(()); // It was waiting for several devices.
    }
    let known = with(tx, &letter.contact)?;
    let pair = match (known, contacts::load(tx, &letter.contact)?) {
        (Some(record), _) => Some(record),
        (None, Some(contact)) => begin(tx, &contact).ok(),
        (None, None) => None,
    };
    if pair.is_none() {
        return sending::fail_whole(tx, &letter.id, EngineError::NoLettersOfTwo);
    }
    letter.author = Some(account::own(tx)?.id);
    letter.deliveries.clear();
    letters::store(tx, &letter);
    super::letters::dispatch(tx, &letter)
}

/// Notes whose conversation a group is.
pub(super) fn note(tx: &mut Transaction<'_>, record: &GroupRecord) -> Result<(), EngineError> {
    if let Some(other) = record.data.other_than(&account::own(tx)?.id) {
        let place = key(&[PAIR, other.as_bytes(), record.id.as_bytes()]);
        tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
    }
    Ok(())
}

fn id_of(place: &[u8]) -> Result<GroupId, StoreError> {
    let id = place.last_chunk::<32>().copied();
    id.map(GroupId::from_bytes)
        .ok_or(StoreError::Damaged { what: "pair" })
}

/// The pairs with a contact, lowest id first, from outside a step.
pub(crate) fn all(
    snapshot: &dyn Snapshot,
    contact: &AccountId,
) -> Result<Vec<GroupRecord>, StoreError> {
    let prefix = key(&[PAIR, contact.as_bytes()]);
    let mut pairs = Vec::new();
    for (place, _) in snapshot.scan(Table::Meta, &prefix, None, limits::PAGE)? {
        let id = id_of(&place)?;
        let record = snapshot.get(Table::Group, id.as_bytes())?;
        pairs.extend(
            record
                .map(|record| GroupRecord::decode(&record))
                .transpose()?,
        );
    }
    Ok(pairs)
}

/// The pair in which letters to a contact go: of the highest suite, and then with the lowest id.
pub(super) fn with(
    tx: &Transaction<'_>,
    contact: &AccountId,
) -> Result<Option<GroupRecord>, EngineError> {
    let prefix = key(&[PAIR, contact.as_bytes()]);
    let mut best: Option<GroupRecord> = None;
    for (place, _) in tx.scan(Table::Meta, &prefix, None, limits::PAGE)? {
        let record = state::load(tx, &id_of(&place)?)?;
        let goes_on = |record: &GroupRecord| {
            matches!(record.standing, GroupStanding::In | GroupStanding::Lost)
        };
        let best_suite = best.as_ref().map(|best| best.suite);
        let better = |record: &GroupRecord| best_suite.is_none_or(|suite| record.suite > suite);
        best = record.filter(goes_on).filter(better).or(best);
    }
    Ok(best)
}

/// Whether nothing may be done in a pair: the other one is a stranger who has no answer, blocked, or somebody else than
/// before.
pub(super) fn rests(tx: &Transaction<'_>, record: &GroupRecord) -> Result<bool, EngineError> {
    let Some(other) = record.data.other_than(&account::own(tx)?.id) else {
        return Ok(false);
    };
    // SECURITY: a stranger learns nothing; `a_strangers_pair_is_a_request` notices.
    let contact = contacts::load(tx, &other)?;
    Ok(contact.is_none_or(|contact| contact.request || contact.blocked || contact.changed))
}

/// The other one of a pair, where no device of it is in: at the beginning, and when all that were in are gone.
pub(super) fn missing(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    members: &[GroupMember],
) -> Result<Option<AccountId>, EngineError> {
    let other = record.data.other_than(&account::own(tx)?.id);
    Ok(other.filter(|other| !members.iter().any(|member| member.account == *other)))
}

/// Whether an invitation of an account may name these: for members that are not known here, logs are asked for.
pub(super) fn may_name(
    tx: &Transaction<'_>,
    from: &AccountId,
    accounts: &[AccountId],
) -> Result<bool, EngineError> {
    // SECURITY: a stranger names nobody but us two; `a_stranger_makes_a_device_ask_for_no_log` notices.
    let own = account::own(tx)?.id;
    let stranger = contacts::load(tx, from)?.is_some_and(|contact| contact.request);
    Ok(!stranger
        || accounts
            .iter()
            .all(|account| *account == own || account == from))
}

/// Whether an invitation of an account is to be taken up, by the data of the group that it leads into.
pub(super) fn may_invite(
    tx: &Transaction<'_>,
    from: &AccountId,
    data: &GroupData,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?.id;
    if *from == own {
        return Ok(true);
    }
    // SECURITY: who invites into a pair is the other one, and a stranger invites into nothing else;
    // `a_stranger_of_cnsa2_tells_nothing_and_learns_nothing` notices.
    let contact = contacts::load(tx, from)?;
    let known = contact.is_some_and(|contact| !contact.request);
    if data.pair.is_none() {
        return Ok(known);
    }
    let prefix = key(&[PAIR, from.as_bytes()]);
    let pairs = tx.scan(Table::Meta, &prefix, None, limits::PAGE)?.len();
    let most = match known {
        true => limits::PAIRS,
        false => limits::PAIRS_OF_STRANGER,
    };
    Ok(data.other_than(&own) == Some(*from) && pairs < most)
}

/// Tells something of a group; of a pair only what concerns its conversation.
pub(super) fn tell(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    event: impl FnOnce(GroupId) -> Event,
) {
    if record.data.pair.is_none() {
        tx.event(event(record.id));
    }
}
