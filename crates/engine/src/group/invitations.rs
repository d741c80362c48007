//! Invitations that are here: each leads into a group for one stay, and is taken up in its turn.
//!
//! A device that was away finds those of several stays at once, before the commits that end the earlier ones.

use super::history;
use super::inbox;
use super::packages;
use super::pair;
use super::people;
use super::state::{self, Part};
use super::words::{accounts_of, fresh};
use crate::account;
use crate::contacts;
use crate::devices;
use crate::error::EngineError;
use crate::event::Event;
use crate::limits;
use crate::records::{GroupRecord, GroupStanding, key};
use crate::store::{Row, Table};
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupError, packages_of, suite_of_welcome};
use keys::codec::{DecodeError, Reader};
use keys::{AccountId, GroupId, Suite};
use zeroize::Zeroizing;

/// Accounts whose logs an invitation waits for: its place; account 32 each.
const MISSING: &[u8] = b"group-missing/";
/// Welcomes of a group that were used here, oldest first: SHA-256 32, [`Use`] 1 each.
const USED: &[u8] = b"group-welcomes/";

/// An invitation that is here.
struct Invitation<'a> {
    host: AccountId,
    relay: String,
    welcome: &'a [u8],
    tree: &'a [u8],
}

impl<'a> Invitation<'a> {
    fn decode(kept: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(kept);
        let host = AccountId::from_bytes(input.array()?);
        let relay = String::from_utf8(input.bytes(limits::RELAY_URL_BYTES)?.to_vec());
        Ok(Self {
            host,
            relay: relay.map_err(|_| DecodeError::Invalid)?,
            welcome: input.bytes(limits::GROUP_WORD_BYTES)?,
            tree: input.bytes(usize::MAX >> 1)?,
        })
    }
}

/// Keeps an invitation, behind those that came before. Of too many the oldest goes.
pub(super) fn keep(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    invitation: Vec<u8>,
) -> Result<(), EngineError> {
    let kept = all(tx, id)?;
    if kept.len() >= limits::GROUP_INVITATIONS
        && let Some((oldest, _)) = kept.first()
    {
        forget(tx, oldest);
    }
    let number = tx.next_number("group-invitation")?.to_be_bytes();
    let place = key(&[&state::place(id, Part::Invitation), &number]);
    tx.put(Table::GroupPart, place, Zeroizing::new(invitation));
    Ok(())
}

/// What is kept, oldest first.
fn all(tx: &Transaction<'_>, id: &GroupId) -> Result<Vec<Row>, EngineError> {
    let prefix = state::place(id, Part::Invitation);
    Ok(tx.scan(Table::GroupPart, &prefix, None, limits::GROUP_INVITATIONS)?)
}

fn forget(tx: &mut Transaction<'_>, place: &[u8]) {
    tx.delete(Table::GroupPart, place.to_vec());
    tx.delete(Table::Meta, key(&[MISSING, place]));
}

/// An invitation waits for the logs of these accounts.
fn await_logs(tx: &mut Transaction<'_>, id: &GroupId, place: &[u8], accounts: &[AccountId]) {
    let mut missing = Zeroizing::new(Vec::new());
    for account in accounts {
        inbox::wait_for(tx, id, account);
        missing.extend_from_slice(account.as_bytes());
    }
    tx.put(Table::Meta, key(&[MISSING, place]), missing);
}

/// A log came: joins by an invitation that waited for it, where it was the last one that was missing.
pub(super) fn join_after(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    account: &AccountId,
) -> Result<(), EngineError> {
    let prefix = key(&[MISSING, &state::place(id, Part::Invitation)]);
    let rows = tx.scan(Table::Meta, &prefix, None, limits::GROUP_INVITATIONS)?;
    let mut complete = rows.is_empty();
    for (place, missing) in rows {
        let (missing, _) = missing.as_chunks::<{ AccountId::LEN }>();
        let others = missing.iter().filter(|one| *one != account.as_bytes());
        let others: Vec<u8> = others.flatten().copied().collect();
        complete |= others.is_empty();
        tx.put(Table::Meta, place, Zeroizing::new(others));
    }
    match complete {
        true => join_again(tx, id),
        false => Ok(()),
    }
}

/// Joins by an invitation that is here, if the logs of all members are.
pub(super) fn join_again(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    if devices::is_revoked(tx)? {
        return Ok(());
    }
    for (place, bytes) in all(tx, id)? {
        match join(tx, id, &place, &bytes)? {
            Tried::Over => forget(tx, &place),
            // One that cannot be taken up must not stop what is behind it.
            Tried::Waits => {}
            Tried::Joined => {
                for (earlier, _) in all(tx, id)?.into_iter().filter(|(one, _)| *one <= place) {
                    forget(tx, &earlier);
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What was done with a Welcome.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// This device came in by it.
    Joined = 1,
    /// It was refused as one that had been used, and people know.
    Told = 2,
    /// It came once more. Words are said until they are known to be heard, so that may be its host's honesty.
    Repeated = 3,
}

type Digest = [u8; 32];

/// The Welcomes of a group that were used.
fn used(tx: &Transaction<'_>, id: &GroupId) -> Result<Vec<(Digest, Use)>, EngineError> {
    let row = tx.get(Table::Meta, &key(&[USED, id.as_bytes()]))?;
    let (rows, _) = row.as_deref().map_or(&[][..], |row| row).as_chunks::<33>();
    let read = |row: &[u8; 33]| {
        let (hash, how) = row.split_first_chunk::<32>()?;
        let how = match how {
            [1] => Use::Joined,
            [3] => Use::Repeated,
            _ => Use::Told,
        };
        Some((*hash, how))
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// Notes what was done with a Welcome, in the place of what was noted of it. Of too many the oldest is forgotten.
fn note(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    hash: &Digest,
    how: Use,
) -> Result<(), EngineError> {
    let mut noted = used(tx, id)?;
    noted.retain(|(other, _)| other != hash);
    noted.push((*hash, how));
    let first = noted.len().saturating_sub(limits::GROUP_WELCOMES);
    let mut row = Zeroizing::new(Vec::new());
    for (hash, how) in noted.iter().skip(first) {
        row.extend_from_slice(hash);
        row.push(*how as u8);
    }
    tx.put(Table::Meta, key(&[USED, id.as_bytes()]), row);
    Ok(())
}

/// A Welcome comes again, or what would open it is gone. People are told, once, when it comes for the third time.
fn replayed(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    (host, hash): (&AccountId, &Digest),
    error: GroupError,
) -> Result<Tried, EngineError> {
    let known = used(tx, id)?;
    let before = known.iter().find(|(other, _)| other == hash);
    let before = before.map(|(_, how)| *how);
    if before == Some(Use::Joined) {
        note(tx, id, hash, Use::Repeated)?;
        return Ok(Tried::Over);
    }
    let told = before == Some(Use::Told);
    // What strangers say is no reason to tell people anything.
    let heeded = account::own(tx)?.id == *host
        || contacts::load(tx, host)?.is_some_and(|contact| !contact.request);
    if !told && heeded {
        note(tx, id, hash, Use::Told)?;
        tx.event(Event::GroupRefused { group: *id, error });
    }
    Ok(Tried::Over)
}

/// What became of an invitation.
enum Tried {
    Joined,
    /// For a log, or for the commit that ends the stay before.
    Waits,
    /// It leads nowhere.
    Over,
}

fn join(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    place: &[u8],
    kept: &[u8],
) -> Result<Tried, EngineError> {
    let Ok(invitation) = Invitation::decode(kept) else {
        return Ok(Tried::Over);
    };
    let welcome = invitation.welcome;
    let before = state::load(tx, id)?;
    let is_in = |record: &GroupRecord| {
        matches!(record.standing, GroupStanding::In | GroupStanding::Leaving)
    };
    let is_in = before.as_ref().is_some_and(is_in);
    let hash = keys::sha256(&[welcome]);
    let said = (&invitation.host, &hash);
    let noted = used(tx, id)?;
    let was_used = noted.iter().any(|(other, _)| *other == hash);
    if is_in && was_used {
        let last = noted.iter().rfind(|(_, how)| *how == Use::Joined);
        return match last.is_some_and(|(last, _)| *last == hash) {
            true => Ok(Tried::Over), // It was heard before.
            false => replayed(tx, id, said, GroupError::PastInvitation),
        };
    }
    // SECURITY: what opens a Welcome is destroyed by its use, but for a package of last resort;
    // `a_used_invitation_is_refused` notices.
    let Some(package) = packages::secret_of(tx, &packages_of(welcome))? else {
        return replayed(tx, id, said, GroupError::NoKeyPackage);
    };
    if is_in {
        // It came before the commit that removes this device did.
        return Ok(Tried::Waits);
    }
    let (mut group, suite) = match group_of(tx, id, place, &invitation, &package)? {
        Ok(found) => found,
        Err(tried) => return Ok(tried),
    };
    // SECURITY: an old invitation into a group that this device has left leads nowhere;
    // `a_replayed_invitation_does_nothing` notices.
    let epoch = before.as_ref().map(|record| record.epoch);
    if epoch.is_some_and(|epoch| group.epoch() <= epoch) {
        // One that waited while this device came in another way was never used.
        return match was_used {
            true => replayed(tx, id, said, GroupError::PastInvitation),
            false => Ok(Tried::Over),
        };
    }
    if !leads_here(tx, id, before, &invitation, &group)? {
        return Ok(Tried::Over);
    }
    packages::used(tx, &package.0, suite)?;
    note(tx, id, &hash, Use::Joined)?;
    // What was held may end this stay at once, and then what is behind this invitation is looked at.
    forget(tx, place);
    joined(tx, id, &invitation, suite, &mut group)?;
    Ok(Tried::Joined)
}

/// The group that an invitation leads to, and its suite, if the logs of all members are here.
fn group_of(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    place: &[u8],
    invitation: &Invitation<'_>,
    (package_id, package): &packages::OurPackage,
) -> Result<Result<(Group, Suite), Tried>, EngineError> {
    let Invitation { welcome, tree, .. } = *invitation;
    let Some(accounts) = accounts_of(tree) else {
        return Ok(Err(Tried::Over));
    };
    if !pair::may_name(tx, &invitation.host, &accounts)? {
        return Ok(Err(Tried::Over));
    }
    let mut directory = Directory::new();
    if !people::fill(tx, &mut directory, &accounts)? {
        let missing = accounts.into_iter().filter(|one| !directory.contains(one));
        let missing: Vec<AccountId> = missing.collect();
        await_logs(tx, id, place, &missing);
        return Ok(Err(Tried::Waits));
    }
    let own = account::own(tx)?;
    // SECURITY: all members are at one relay, and nobody makes us call another one; `a_group_is_at_our_relay` notices.
    if invitation.relay != own.relay {
        return Ok(Err(Tried::Over));
    }
    let ours = own.secrets.suite();
    let spoken = suite_of_welcome(welcome)
        .ok()
        .filter(|suite| *suite <= ours);
    let Some(suite) = spoken else {
        let error = GroupError::WrongSuite;
        tx.event(Event::GroupRefused { group: *id, error });
        return Ok(Err(Tried::Over));
    };
    let us = state::us(tx, suite)?;
    let package = (&package_id[..], &package[..]);
    match Group::join(&us, directory, (welcome, tree), package, tx.rng) {
        Ok(group) => Ok(Ok((group, suite))),
        Err(GroupError::LogsNeeded(accounts)) => {
            tx.delete(Table::Meta, key(&[MISSING, place]));
            for account in &accounts {
                people::ask(tx, account)?;
                inbox::wait_for(tx, id, account);
            }
            Ok(Err(Tried::Waits))
        }
        Err(error) if people::ask_once_more(tx, id, welcome, &error)? => Ok(Err(Tried::Waits)),
        Err(error) => {
            tx.event(Event::GroupRefused { group: *id, error });
            Ok(Err(Tried::Over))
        }
    }
}

/// Whether a group that an invitation leads to is the one that it names, and may be invited into.
fn leads_here(
    tx: &Transaction<'_>,
    id: &GroupId,
    before: Option<GroupRecord>,
    invitation: &Invitation<'_>,
    group: &Group,
) -> Result<bool, EngineError> {
    if group.id() != Ok(*id) {
        return Ok(false);
    }
    let data = group.data().map_err(|_| EngineError::Internal {
        what: "state of a group",
    })?;
    // SECURITY: one conversation does not become another; `a_group_takes_no_persons_place` notices.
    let other = before.is_some_and(|record| record.data.pair != data.pair);
    let persons = data.pair.is_none() && state::is_of_person(tx, &state::conversation(id))?;
    Ok(!other && !persons && pair::may_invite(tx, &invitation.host, &data)?)
}

/// This device is a member now.
fn joined(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    invitation: &Invitation<'_>,
    suite: Suite,
    group: &mut Group,
) -> Result<(), EngineError> {
    let mut record = fresh(id, invitation.relay.clone(), suite, tx.now);
    // Those who came while we were not there are noticed, and devices of ours that are missing.
    record.look = Some(tx.now);
    // What was asked for while this device could not follow is done now.
    let lost = state::load(tx, id)?.filter(|before| before.standing == GroupStanding::Lost);
    record.wishes = lost.map(|before| before.wishes).unwrap_or_default();
    let before = state::members(tx, id)?;
    state::enter(tx, &mut record, group)?;
    state::store(tx, &record);
    let changes = super::turn::difference(&before, &state::members(tx, id)?);
    pair::note(tx, &record)?;
    pair::tell(tx, &record, |group| Event::GroupJoined { group });
    crate::vault::came_in(tx, &record, &changes, false)?;
    match record.data.pair {
        Some(_) => Ok(()), // Whoever comes into a pair has its letters of its own account.
        None => history::joined(tx, id, &invitation.host),
    }
}
