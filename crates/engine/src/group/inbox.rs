//! What comes to the inbox: bodies of groups, each in its turn.
//!
//! A body that cannot be read yet, because a log or an invitation is still on its way, is held, and all that come
//! behind it in its group with it.

use super::back;
use super::doubt;
use super::letters;
use super::parcels;
use super::people;
use super::state;
use super::turn;
use crate::envelope;
use crate::error::{EngineError, StoreError};
use crate::event::Event;
use crate::limits;
use crate::records::{GroupRecord, GroupStanding, key};
use crate::store::Table;
use crate::transaction::Transaction;
use crate::vault;
use ::groups::{Change, Directory, Group, GroupError, Received};
use keys::{AccountId, GroupId};
use zeroize::Zeroizing;

/// A group waits for the log of an account.
const WAITS: &[u8] = b"group-waits/";
/// So many of these are looked at where it is enough to see one.
const GLANCE: usize = 16;

/// Handles a body of the inbox.
pub(crate) fn received(tx: &mut Transaction<'_>, body: &[u8]) -> Result<(), EngineError> {
    let Some((id, epoch)) = envelope::group_of(body) else {
        tx.event(Event::Undecryptable { contact: None });
        return Ok(());
    };
    let hash = keys::sha256(&[body]);
    match state::load(tx, &id)? {
        // What we wrote takes its turn even where nothing else can be read: it may be our way back in.
        Some(mut record) if record.standing == GroupStanding::Lost => match record.flight {
            Some(flight) if flight.hash == hash => turn::landed(tx, record, flight),
            // What was missing came after all.
            None if epoch == record.epoch
                && envelope::open_group(&record.envelope, body).is_ok() =>
            {
                record.standing = GroupStanding::In;
                state::store(tx, &record);
                take(tx, record, body)?;
                release(tx, &id)
            }
            _ => hold(tx, &id, body),
        },
        // SECURITY: `a_relay_that_takes_bodies_of_who_was_removed_reaches_nothing` notices.
        Some(record) if epoch < record.epoch => Ok(()),
        Some(record) if is_in(&record) && !is_held(tx, &id)? => take(tx, record, body),
        Some(record) if record.standing == GroupStanding::Out && epoch == record.epoch => Ok(()),
        _ => hold(tx, &id, body),
    }
}

fn is_in(record: &GroupRecord) -> bool {
    matches!(record.standing, GroupStanding::In | GroupStanding::Leaving)
}

/// Whether something of a group waits to be read.
pub(super) fn is_held(tx: &Transaction<'_>, id: &GroupId) -> Result<bool, EngineError> {
    Ok(!tx
        .scan(Table::GroupHeld, id.as_bytes(), None, 1)?
        .is_empty())
}

fn hold(tx: &mut Transaction<'_>, id: &GroupId, body: &[u8]) -> Result<(), EngineError> {
    let rows = tx.scan(Table::GroupHeld, &[], None, limits::GROUP_HELD_BODIES)?;
    if rows.len() >= limits::GROUP_HELD_BODIES {
        tx.event(Event::Undecryptable { contact: None });
        return Ok(());
    }
    let number = tx.next_number("group-held")?;
    let place = key(&[id.as_bytes(), &number.to_be_bytes()]);
    tx.put(Table::GroupHeld, place, Zeroizing::new(body.to_vec()));
    Ok(())
}

/// Reads what was held of a group, as far as that goes now.
pub(super) fn release(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    loop {
        let rows = tx.scan(Table::GroupHeld, id.as_bytes(), None, 1)?;
        let Some((place, body)) = rows.into_iter().next() else {
            return Ok(());
        };
        let Some(record) = state::load(tx, id)?.filter(is_in) else {
            return Ok(());
        };
        tx.delete(Table::GroupHeld, place.clone());
        let (_, epoch) = envelope::group_of(&body).ok_or(StoreError::Damaged {
            what: "body of a group",
        })?;
        if epoch < record.epoch {
            continue;
        }
        match read(tx, record, &body)? {
            Read::Done => {}
            Read::Waits => {
                tx.put(Table::GroupHeld, place, body);
                return Ok(());
            }
        }
    }
}

fn take(tx: &mut Transaction<'_>, record: GroupRecord, body: &[u8]) -> Result<(), EngineError> {
    let id = record.id;
    match read(tx, record, body)? {
        Read::Done => turn::advance(tx, &id),
        Read::Waits => hold(tx, &id, body),
    }
}

enum Read {
    Done,
    /// A log is needed first.
    Waits,
}

fn read(tx: &mut Transaction<'_>, record: GroupRecord, body: &[u8]) -> Result<Read, EngineError> {
    let id = record.id;
    let (_, epoch) = envelope::group_of(body).ok_or(EngineError::Protocol)?;
    let hash = keys::sha256(&[body]);
    if let Some(flight) = record.flight
        && flight.hash == hash
    {
        turn::landed(tx, record, flight)?;
        return Ok(Read::Done);
    }
    if record.echoes.contains(&hash) {
        return Ok(Read::Done);
    }
    if epoch > record.epoch {
        // What leads there was never delivered, or taken by a later state of this home; or it is junk. The others know.
        doubt::begin(tx, record)?;
        return Ok(Read::Done);
    }
    let Ok(message) = envelope::open_group(&record.envelope, body) else {
        // SECURITY: whoever is in this epoch has its key. Another branch of the group has the same number and
        // another key; `a_fork_is_noticed_by_the_next_letter` notices.
        doubt::begin(tx, record)?;
        return Ok(Read::Done);
    };
    let message = match parcels::open(tx, &id, &record.relay, &message)? {
        parcels::Opened::Message(message) => message,
        parcels::Opened::Waits => return Ok(Read::Waits),
        parcels::Opened::Unknown => return Ok(Read::Done),
    };
    match open(tx, &id, &message)? {
        Some((group, received)) => take_in(tx, record, group, received)?,
        None => return Ok(Read::Waits),
    }
    Ok(Read::Done)
}

/// A message was opened: what it brings is kept, and told.
fn take_in(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    mut group: Group,
    received: Result<Received, GroupError>,
) -> Result<(), EngineError> {
    let id = record.id;
    match received {
        Ok(Received::Letter { from, content }) => {
            state::keep(tx, &id, &mut group)?;
            letters::came(tx, &record, &from, &content)?;
        }
        Ok(Received::Proposal { .. }) => {
            state::keep(tx, &id, &mut group)?;
            // What is on its way stays: a wish ends no epoch, and the relay may have taken ours behind it.
            record.proposed = true;
            // Whoever wants to leave cannot do it alone; one of us commits, not all at once.
            record.look = Some(turn::later(tx, limits::GROUP_LOOK_SECONDS));
            state::store(tx, &record);
        }
        Ok(Received::Commit {
            by,
            changes,
            removed,
        }) => {
            if let Some(flight) = record.flight {
                turn::land_again(tx, &mut record, flight)?;
            }
            if record.standing == GroupStanding::Leaving && !removed {
                // The commit was made by somebody who did not know of the wish yet: it is void, and said again.
                back::stays_for_now(&mut record);
            }
            if let Some(behind) = &mut record.behind {
                behind.ticks = 0;
            }
            if removed {
                record.epoch = record.epoch.saturating_add(1);
                return turn::out(tx, record);
            }
            let before = record.data.clone();
            state::enter(tx, &mut record, &mut group)?;
            let new_device = changes
                .iter()
                .any(|change| matches!(change, Change::Added(_) | Change::Rejoined(_)));
            if new_device {
                record.look = Some(turn::later(tx, limits::GROUP_LOOK_SECONDS));
            }
            state::store(tx, &record);
            turn::tell(tx, &record, (by.account, before), &changes);
            vault::changed(tx, &record, &changes, false)?;
        }
        Err(GroupError::Repeated | GroupError::PastEpoch) => {}
        // We wrote it, and do not know it: this home was set back to an older state.
        Err(GroupError::Own) => back::lost(tx, record)?,
        Err(error) => tx.event(Event::GroupRefused { group: id, error }),
    }
    Ok(())
}

type Opened = (Group, Result<Received, GroupError>);

/// Opens a message, with as many logs as that takes. Nothing: a log is on its way.
fn open(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    message: &[u8],
) -> Result<Option<Opened>, EngineError> {
    let mut directory = Directory::new();
    loop {
        let mut group = state::open(tx, id, directory.clone())?;
        match group.receive(message, tx.now) {
            Err(GroupError::LogsNeeded(accounts)) => {
                if !people::fill(tx, &mut directory, &accounts)? {
                    for account in &accounts {
                        wait_for(tx, id, account);
                    }
                    return Ok(None);
                }
            }
            // SECURITY: what is refused for want of a log entry is refused by a log that is newer than the message;
            // `two_devices_rotate_within_a_few_seconds` notices.
            Err(error) if people::ask_once_more(tx, id, message, &error)? => return Ok(None),
            other => return Ok(Some((group, other))),
        }
    }
}

/// Notes that a group waits for the log of an account.
pub(super) fn wait_for(tx: &mut Transaction<'_>, id: &GroupId, account: &AccountId) {
    let place = key(&[WAITS, account.as_bytes(), id.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
}

/// Whether a group waits for further logs, as far as that is seen at a glance.
pub(super) fn waits_for_more(tx: &Transaction<'_>, id: &GroupId) -> Result<bool, EngineError> {
    let waits = tx.scan(Table::Meta, WAITS, None, GLANCE)?;
    Ok(waits
        .iter()
        .any(|(place, _)| place.ends_with(id.as_bytes())))
}

/// The groups that wait for the log of an account; they wait no longer.
pub(super) fn waiting_for(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<GroupId>, EngineError> {
    let prefix = key(&[WAITS, account.as_bytes()]);
    let mut groups = Vec::new();
    for (place, _) in tx.scan(Table::Meta, &prefix, None, usize::MAX)? {
        groups.extend(
            place
                .strip_prefix(&prefix[..])
                .and_then(GroupId::from_slice),
        );
        tx.delete(Table::Meta, place);
    }
    Ok(groups)
}
