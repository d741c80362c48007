//! The way back into a group: of a device that lost its state or cannot follow, and of one part of a group into another
//! (docs/spec/groups.md, sections 7 and 8).

use super::doubt;
use super::pair;
use super::people;
use super::state;
use super::turn;
#[cfg(feature = "trial")]
use super::word::Tree;
use super::word::Word;
use super::words::{accounts_of, fresh, say, say_with_tree};
use crate::account;
use crate::contacts;
use crate::error::EngineError;
use crate::event::Event;
use crate::input::CommandId;
use crate::limits;
use crate::records::{FlightKind, GroupRecord, GroupStanding, Wish};
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupError, LeafName};
use keys::{AccountId, GroupId, Secret};
use zeroize::Zeroizing;

/// A second goes by in which nothing came of what the relay has. After so many of them the relay is asked something: where
/// it does not answer, there is no connection, and seconds say nothing.
pub(super) fn tick(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<(), EngineError> {
    let Some(behind) = &mut record.behind else {
        return Ok(());
    };
    if !is_up(behind.ticks) {
        behind.ticks = behind.ticks.saturating_add(1);
    }
    let up = is_up(behind.ticks);
    state::store(tx, &record);
    if up {
        let own = account::own(tx)?.id;
        super::inbox::wait_for(tx, &record.id, &own);
        people::ask(tx, &own)?;
    }
    Ok(())
}

fn is_up(ticks: u64) -> bool {
    ticks > 0 && ticks.checked_rem(limits::GROUP_BEHIND_TICKS) == Some(0)
}

/// The relay answered, and has sent what it has: members are asked first, and then this device gives up following.
pub(super) fn relay_answered(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let Some(mut record) = state::load(tx, id)? else {
        return Ok(());
    };
    if record.standing != GroupStanding::In {
        return Ok(());
    }
    let Some(behind) = &mut record.behind else {
        return doubt::relay_answered(tx, record);
    };
    if !is_up(behind.ticks) {
        return Ok(());
    }
    // SECURITY: a device without a connection is not led to believe that it lost its group;
    // `who_has_no_connection_has_lost_no_group` notices.
    if behind.ticks > limits::GROUP_BEHIND_TICKS {
        return lost(tx, record);
    }
    behind.ticks = behind.ticks.saturating_add(1);
    ask_back(tx, &mut record)?;
    state::store(tx, &record);
    Ok(())
}

/// This device cannot follow the group: it asks to be let back in.
pub(super) fn lost(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<(), EngineError> {
    give_up_following(tx, &mut record)?;
    ask_back(tx, &mut record)?;
    state::store(tx, &record);
    Ok(())
}

fn give_up_following(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<(), EngineError> {
    if let Some(flight) = record.flight {
        turn::land_again(tx, record, flight)?;
    }
    record.behind = None;
    doubt::forget(tx, &record.id)?;
    record.standing = GroupStanding::Lost;
    pair::tell(tx, record, |group| Event::GroupLost { group });
    Ok(())
}

/// What a device says of itself when it asks.
fn ask_word(tx: &Transaction<'_>, record: &GroupRecord) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    let word = Word::Ask {
        group: record.id,
        device: state::own_name(tx)?,
        lost: record.standing == GroupStanding::Lost || record.behind.is_some(),
        epoch: record.epoch,
        branch: record.branch(),
        sure: record.sure,
    };
    Ok(word.encode())
}

/// Asks devices of members that are known: one of each account, not always the same.
pub(super) fn ask_back(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<(), EngineError> {
    record.asked = Some(tx.now);
    let word = ask_word(tx, record)?;
    for name in askable(tx, &record.id, limits::GROUP_ASKED)? {
        say(tx, &name, &word)?;
    }
    Ok(())
}

/// Devices of a group that can be asked something, one of each account that is known here, by chance. A home that was
/// restored is known to few: it asks all.
pub(super) fn askable(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    most: usize,
) -> Result<Vec<LeafName>, EngineError> {
    let us = state::own_name(tx)?;
    let members = state::members(tx, id)?;
    let restored = !state::is_known(tx, id)?;
    let mut known = Vec::new();
    for member in &members {
        let name = LeafName {
            account: member.account,
            device: member.device,
        };
        let own = name.account == us.account;
        let contact = contacts::load(tx, &name.account)?;
        let contact = contact.is_some_and(|contact| !contact.request && !contact.blocked);
        if !own && !contact {
            continue;
        }
        let names = match restored {
            true => devices_of(tx, &name.account)?,
            false => vec![name],
        };
        for name in names.into_iter().filter(|name| *name != us) {
            let mut order = [0; 8];
            tx.rng.fill_bytes(&mut order);
            known.push((order, name));
        }
    }
    known.sort_unstable();
    match restored {
        true => {
            known.sort_by_key(|(_, name)| *name);
            known.dedup_by_key(|(_, name)| *name);
        }
        false => {
            known.sort_by_key(|(_, name)| name.account);
            known.dedup_by_key(|(_, name)| name.account);
        }
    }
    known.sort_unstable();
    Ok(known.into_iter().take(most).map(|(_, name)| name).collect())
}

/// The devices of an account: a home that was restored knows those of before, and they may be lost as well.
fn devices_of(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<LeafName>, EngineError> {
    let log = people::log_of(tx, account)?;
    let devices = log.iter().flat_map(|log| log.devices());
    let names = devices.map(|device| LeafName {
        account: *account,
        device: *device.id(),
    });
    Ok(names.collect())
}

/// What a device says of itself when it asks.
pub(super) struct Asked {
    pub(super) lost: bool,
    pub(super) epoch: u64,
    pub(super) branch: [u8; 16],
    pub(super) sure: bool,
}

/// What a member tells of a group.
pub(super) struct Told {
    pub(super) epoch: u64,
    pub(super) token: Secret<32>,
    pub(super) envelope: Secret<32>,
    pub(super) sure: bool,
}

/// A device of a member asks.
pub(super) fn answer(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    (id, device): (&GroupId, &LeafName),
    asked: &Asked,
) -> Result<(), EngineError> {
    let Some(mut record) =
        state::load(tx, id)?.filter(|record| record.standing == GroupStanding::In)
    else {
        return Ok(());
    };
    let members = state::members(tx, id)?;
    // SECURITY: only a member is told how its group is entered; `a_stranger_is_told_nothing_of_a_group` notices.
    if *from != device.account || !members.iter().any(|member| member.account == *from) {
        return Ok(());
    }
    let ours = record.branch();
    let forked = asked.epoch == record.epoch && asked.branch != ours;
    if forked {
        tx.event(Event::GroupForked { group: *id });
    }
    let here = asked.epoch == record.epoch && !forked;
    let chosen = record.sure || (ours < asked.branch && !asked.sure);
    if asked.lost || asked.epoch < record.epoch || (forked && chosen) {
        return tell_info(tx, &record, device);
    }
    if here {
        return Ok(());
    }
    // The other branch is the one that goes on, or further: its device is asked in return.
    record.asked = Some(tx.now);
    let word = ask_word(tx, &record)?;
    state::store(tx, &record);
    say(tx, device, &word)
}

/// The way into one group, said of another one, on a branch that nobody is on.
#[cfg(feature = "trial")]
pub(crate) fn way_in(
    tx: &mut Transaction<'_>,
    of: &GroupId,
    into: &GroupId,
) -> Result<Vec<u8>, EngineError> {
    let record = state::load(tx, of)?.ok_or(EngineError::UnknownGroup)?;
    let group = state::open(tx, into, Directory::new())?;
    let internal = |_| EngineError::Internal {
        what: "state of a group",
    };
    let word = Word::Info {
        group: *of,
        epoch: record.epoch,
        token: record.token.duplicate(),
        envelope: Secret::random(tx.rng),
        sure: true,
        info: group.info().map_err(internal)?,
        tree: Tree::Here(group.tree().map_err(internal)?),
    };
    Ok(word.encode().to_vec())
}

/// Tells a device how the group is entered.
fn tell_info(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    device: &LeafName,
) -> Result<(), EngineError> {
    let group = state::open(tx, &record.id, Directory::new())?;
    let internal = |_| EngineError::Internal {
        what: "state of a group",
    };
    let info = group.info().map_err(internal)?;
    let tree = group.tree().map_err(internal)?;
    say_with_tree(tx, &[*device], &tree, |_, tree| Word::Info {
        group: record.id,
        epoch: record.epoch,
        token: record.token.duplicate(),
        envelope: record.envelope.duplicate(),
        sure: record.sure,
        info: info.clone(),
        tree,
    })
}

/// Whether what a member tells of the group leads this device into another branch, or into the group again.
fn leads_on(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
    told: &Told,
) -> Result<bool, EngineError> {
    let epoch = told.epoch;
    match record.standing {
        GroupStanding::Lost => Ok(record.flight.is_none() && epoch >= record.epoch),
        GroupStanding::In => {
            let mut other = fresh(&record.id, record.relay.clone(), record.suite, tx.now);
            other.envelope = told.envelope.duplicate();
            // SECURITY: of two branches all choose the same one; `a_fork_is_noticed_by_the_next_letter` notices.
            let (theirs, ours) = (other.branch(), record.branch());
            // Where the relay refuses what is sent in ours, it follows the other one.
            let chosen = !record.sure && (theirs < ours || told.sure);
            let chosen = chosen || record.behind.is_some();
            let forked = epoch == record.epoch && theirs != ours && chosen;
            if forked {
                tx.event(Event::GroupForked { group: record.id });
                if let Some(flight) = record.flight {
                    turn::land_again(tx, record, flight)?;
                }
                record.standing = GroupStanding::Lost;
                return Ok(true);
            }
            match record.behind {
                None if epoch > record.epoch => {
                    record.behind = Some(turn::behind(epoch));
                    state::store(tx, record);
                    Ok(false)
                }
                // What leads there did not come although this answer did.
                Some(behind)
                    if epoch > record.epoch && behind.ticks >= limits::GROUP_BEHIND_TICKS =>
                {
                    give_up_following(tx, record)?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        }
        // A commit by somebody who did not know of the wish made it void, and never came here.
        GroupStanding::Leaving if epoch > record.epoch => {
            stays_for_now(record);
            record.behind = Some(turn::behind(epoch));
            state::store(tx, record);
            Ok(false)
        }
        GroupStanding::Leaving | GroupStanding::Out => Ok(false),
    }
}

/// A wish to leave came to nothing: it is said again.
pub(super) fn stays_for_now(record: &mut GroupRecord) {
    record.standing = GroupStanding::In;
    record.wishes.insert(0, (CommandId::default(), Wish::Leave));
}

/// SECURITY: a member cannot lead a device into another group than the one it speaks of;
/// `a_way_back_into_another_group_is_refused` notices.
fn is_way_back(record: &GroupRecord, epoch: u64, next: &Group) -> Result<(), GroupError> {
    let same = next.id()? == record.id && next.data()?.pair == record.data.pair;
    match same && next.epoch() == epoch.saturating_add(1) {
        true => Ok(()),
        false => Err(GroupError::NotGenuine {
            what: "a way back into another group".to_owned(),
        }),
    }
}

/// A member told how the group is entered: a commit from outside, which all others see.
pub(super) fn come_back(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    id: &GroupId,
    told: Told,
    (info, tree): (&[u8], &[u8]),
) -> Result<(), EngineError> {
    let Some(mut record) = state::load(tx, id)? else {
        return Ok(());
    };
    // SECURITY: nobody but a member leads a device anywhere; `who_is_no_member_leads_nobody_out_of_a_group` notices.
    let mut members = state::members(tx, id)?.into_iter();
    if !members.any(|member| member.account == *from) {
        return Ok(());
    }
    doubt::forget(tx, id)?;
    let standing = record.standing;
    if !leads_on(tx, &mut record, &told)? {
        return Ok(());
    }
    let Told {
        epoch,
        token,
        envelope,
        ..
    } = told;
    state::store(tx, &record);
    let Some(accounts) = accounts_of(tree) else {
        return Ok(());
    };
    let mut directory = Directory::new();
    // What is missing is asked for; the next answer finds it here.
    if !people::fill(tx, &mut directory, &accounts)? {
        return Ok(());
    }
    let us = state::us(tx, record.suite)?;
    let joined = loop {
        match Group::rejoin(&us, directory.clone(), (info, tree), tx.now, tx.rng) {
            Err(GroupError::LogsNeeded(accounts)) => {
                if !people::fill(tx, &mut directory, &accounts)? {
                    return Ok(());
                }
            }
            other => break other,
        }
    };
    let joined = joined
        .and_then(|(next, message)| is_way_back(&record, epoch, &next).map(|()| (next, message)));
    let (mut next, message) = match joined {
        Ok(joined) => joined,
        Err(error) if people::ask_once_more(tx, id, info, &error)? => return Ok(()),
        Err(error) => {
            // It goes on where it was.
            record.standing = standing;
            state::store(tx, &record);
            tx.event(Event::GroupRefused { group: *id, error });
            return turn::advance(tx, id);
        }
    };
    state::keep_next(tx, id, &mut next)?;
    // The others are in the epoch before; this device is not, but knows what it needs to reach them.
    record.epoch = epoch;
    record.token = token;
    record.envelope = envelope;
    record.set_back = None;
    let members = state::leaves_of(&next)?;
    let token = next.epoch_token().map_err(|_| EngineError::Internal {
        what: "state of a group",
    })?;
    let next = wire::NextEpoch {
        epoch: next.epoch(),
        token_hash: keys::sha256(&[token.expose_secret()]),
    };
    let kind = FlightKind::Commit;
    turn::send(tx, &mut record, &members, kind, &message, Some(next))
}
