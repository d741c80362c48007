//! Groups: conversations of many devices, by MLS (docs/spec/groups.md).
//!
//! | module | has |
//! |---|---|
//! | `turn` | what a group does next, and what becomes of what is on its way |
//! | `inbox` | what members send, each in its turn |
//! | `letters` | letters of groups |
//! | `words`, `word` | what devices say of it one to one, invitations first |
//! | `invitations` | the ways in that others offered |
//! | `back` | the way back of who cannot follow |
//! | `parcels` | messages that are longer than a body |
//! | `packages` | key packages, ours and those of devices that are to be added |
//! | `pair` | conversations of two |
//! | `people` | the account logs of members |
//! | `rounds` | questions for those logs from time to time |
//! | `pictures` | the picture of a group, here and for whoever asks |
//! | `restored` | the way back of a home that was restored, into the groups of its vaults |
//! | `history` | letters of before, for somebody who joins |
//! | `state` | what the profile keeps |
//! | `stays` | who was in it when |

pub(crate) mod back;
mod doubt;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod invitations;
pub(crate) mod letters;
pub(crate) mod packages;
pub(crate) mod pair;
pub(crate) mod parcels;
pub(crate) mod people;
pub(crate) mod pictures;
pub(crate) mod restored;
mod rounds;
pub(crate) mod state;
pub(crate) mod stays;
pub(crate) mod turn;
pub(crate) mod word;
pub(crate) mod words;

use crate::account;
use crate::error::EngineError;
use crate::event::CommandOutcome;
use crate::input::CommandId;
use crate::limits;
use crate::queues;
use crate::records::{DataChange, GroupRecord, GroupStanding, Wish};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupData, Role};
use keys::{AccountId, GroupId, Suite};
use std::collections::BTreeMap;

/// Begins a group and adds people to it.
pub(crate) fn create(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    mut data: GroupData,
    members: Vec<AccountId>,
) -> Result<(), EngineError> {
    if state::load(tx, id)?.is_some() {
        tx.outcome(command, CommandOutcome::Done);
        return Ok(()); // The command was repeated.
    }
    let own = account::own(tx)?;
    check_name(&data.name)?;
    for member in &members {
        addable(tx, member, &own.relay)?;
    }
    let suite = suite_of(tx, &members)?;
    data.roles = BTreeMap::from([(own.id, Role::Owner)]);
    let mut directory = Directory::new();
    people::fill(tx, &mut directory, &[own.id])?;
    let us = state::us(tx, suite)?;
    let mut group = Group::create(&us, directory, id, &data, tx.now, tx.rng)
        .map_err(|error| EngineError::Group { error })?;
    let mut record = words::fresh(id, own.relay.clone(), suite, tx.now);
    record.look = Some(tx.now);
    record.wishes.push((command, Wish::Add(members)));
    state::enter(tx, &mut record, &mut group)?;
    // The relay knows a group by its first commit, and a vault may have nobody else for ever.
    record.proposed = data.vault;
    state::store(tx, &record);
    turn::advance(tx, id)
}

/// The highest suite that this device and all these accounts speak.
fn suite_of(tx: &Transaction<'_>, accounts: &[AccountId]) -> Result<Suite, EngineError> {
    // Where the account has taken a higher suite and this device not yet, its own is what counts.
    let mut suite = account::own(tx)?.secrets.suite();
    for account in accounts {
        let log = people::log_of(tx, account)?.ok_or(EngineError::UnknownContact)?;
        suite = suite.min(log.suite());
    }
    Ok(suite)
}

pub(crate) fn check_name(name: &str) -> Result<(), EngineError> {
    let fits = !name.trim().is_empty()
        && name.len() <= ::groups::NAME_BYTES
        && !name.chars().any(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(EngineError::InvalidGroupName),
    }
}

/// Whether somebody can be added: a contact that something may be sealed for, at the same relay.
fn addable(tx: &Transaction<'_>, account: &AccountId, relay: &str) -> Result<(), EngineError> {
    let contact = sending::sendable(tx, account)?;
    match contact.relay == relay {
        true => Ok(()),
        false => Err(EngineError::OtherRelay {
            contact: contact.id,
        }),
    }
}

/// Takes a wish up, to be fulfilled in its turn.
pub(crate) fn wish(
    tx: &mut Transaction<'_>,
    command: CommandId,
    mut record: GroupRecord,
    wish: Wish,
) -> Result<(), EngineError> {
    if !matches!(record.standing, GroupStanding::In | GroupStanding::Lost) {
        return Err(EngineError::NotInGroup);
    }
    record.wishes.push((command, wish));
    state::store(tx, &record);
    turn::advance(tx, &record.id)
}

/// A group that people write in.
fn existing(tx: &Transaction<'_>, id: &GroupId) -> Result<GroupRecord, EngineError> {
    let record = state::load(tx, id)?.filter(state::is_talk);
    record.ok_or(EngineError::UnknownGroup)
}

/// Whether somebody can come into a group.
pub(crate) fn may_come(
    tx: &Transaction<'_>,
    record: &GroupRecord,
    account: &AccountId,
) -> Result<(), EngineError> {
    // SECURITY: a group never falls to a lower suite; `a_group_of_the_higher_suite_takes_nobody_of_the_lower` notices.
    if suite_of(tx, &[*account])? < record.suite {
        return Err(EngineError::GroupSuite {
            contact: *account,
            suite: record.suite,
        });
    }
    addable(tx, account, &record.relay)
}

/// Adds people, with all their devices, and sends them so many letters of before.
pub(crate) fn add(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    accounts: Vec<AccountId>,
    history: u32,
) -> Result<(), EngineError> {
    let record = existing(tx, id)?;
    for account in &accounts {
        may_come(tx, &record, account)?;
    }
    history::promise(tx, id, &accounts, history)?;
    wish(tx, command, record, Wish::Add(accounts))
}

/// Removes people, with all their devices.
pub(crate) fn remove(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    accounts: Vec<AccountId>,
) -> Result<(), EngineError> {
    let record = existing(tx, id)?;
    remove_from(tx, command, record, accounts)
}

/// Removes people from a group or vault.
pub(crate) fn remove_from(
    tx: &mut Transaction<'_>,
    command: CommandId,
    record: GroupRecord,
    accounts: Vec<AccountId>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    let members = state::members(tx, &record.id)?;
    for account in &accounts {
        if *account == own {
            return leave_one(tx, command, record);
        }
        // Who has a role in a vault and no device there is somebody of it.
        let lost = record.data.vault && record.data.roles.contains_key(account);
        if !lost && !members.iter().any(|member| member.account == *account) {
            return Err(EngineError::NoMember { account: *account });
        }
    }
    wish(tx, command, record, Wish::Remove(accounts))
}

/// Leaves a group.
pub(crate) fn leave(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
) -> Result<(), EngineError> {
    let record = existing(tx, id)?;
    leave_one(tx, command, record)
}

/// Leaves a group or vault.
pub(crate) fn leave_one(
    tx: &mut Transaction<'_>,
    command: CommandId,
    record: GroupRecord,
) -> Result<(), EngineError> {
    if record.standing == GroupStanding::Lost {
        turn::out(tx, record)?;
        tx.outcome(command, CommandOutcome::Done);
        return Ok(());
    }
    wish(tx, command, record, Wish::Leave)
}

/// Changes what the members agree on.
pub(crate) fn change(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &GroupId,
    mut change: DataChange,
) -> Result<(), EngineError> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    let record = existing(tx, id)?;
    if let Some(picture) = change.picture.take_if(|picture| !picture.is_empty()) {
        return pictures::upload(tx, command, &record, &picture, change);
    }
    wish(tx, command, record, Wish::Change(change))
}

/// Does what time brings: renews keys, looks through leaves, asks again.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if packages::are_due(tx)? {
        if !account::own(tx)?.registered {
            return Ok(());
        }
        queues::ensure_inbox(tx)?;
        packages::renew(tx)?;
    }
    people::ask_again(tx)?;
    rounds::tick(tx)?;
    pictures::tick(tx)?;
    restored::tick(tx)?;
    for id in state::ids(tx)? {
        let Some(record) = state::load(tx, &id)? else {
            continue;
        };
        match record.standing {
            GroupStanding::In => {
                if record.behind.is_some() {
                    back::tick(tx, record)?;
                    continue;
                }
                doubt::tick(tx, &id)?;
                if is_due(tx, &record) {
                    turn::advance(tx, &id)?;
                }
            }
            GroupStanding::Lost => ask_if_due(tx, record, limits::GROUP_ASK_AGAIN_SECONDS)?,
            // The commit that came before the wish may never have.
            GroupStanding::Leaving => ask_if_due(tx, record, limits::GROUP_LEAVING_SECONDS)?,
            GroupStanding::Out => {}
        }
    }
    Ok(())
}

/// This device is out of its account, and so of every group: their keys go, and nothing is said there any more.
pub(crate) fn leave_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for id in state::ids(tx)? {
        let record = state::load(tx, &id)?;
        if let Some(record) = record.filter(|record| record.standing != GroupStanding::Out) {
            turn::out(tx, record)?;
        }
    }
    Ok(())
}

/// Asks where the group is, if the last time is so many seconds ago.
fn ask_if_due(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    seconds: u64,
) -> Result<(), EngineError> {
    let asked = record.asked;
    let due = asked.is_none_or(|at| at > tx.now || tx.now.since(at) >= seconds);
    if due && record.flight.is_none() {
        back::ask_back(tx, &mut record)?;
        state::store(tx, &record);
    }
    Ok(())
}

/// A connection begins: what has not come yet may come now.
pub(crate) fn connected(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for id in state::ids(tx)? {
        if let Some(mut record) = state::load(tx, &id)?
            && let Some(behind) = &mut record.behind
        {
            behind.ticks = 0;
            state::store(tx, &record);
        }
    }
    Ok(())
}

/// The account has ended: nothing opens what is sent in its groups any more.
pub(crate) fn destroy(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for table in [Table::KeyPackage, Table::GroupPart, Table::GroupHeld] {
        tx.each(table, &[], |tx, place, _| {
            tx.delete(table, place.to_vec());
            Ok(())
        })?;
    }
    for id in state::ids(tx)? {
        if let Some(record) = state::load(tx, &id)? {
            turn::out(tx, record)?;
        }
    }
    crate::vault::destroy(tx)
}

fn is_due(tx: &Transaction<'_>, record: &GroupRecord) -> bool {
    record.flight.is_none() && (turn::is_time(tx, record) || !record.wishes.is_empty())
}
