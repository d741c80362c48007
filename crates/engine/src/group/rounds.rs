//! Rounds: from time to time a device asks how the logs of some members go on.
//!
//! A device that is revoked is removed by another one of its account, if one is in the group and can do it. Where none
//! can, somebody else has to hear of the revocation, and nobody says it. So every device asks for a few logs now and
//! then, by chance: what one of them costs does not grow with its groups, and the members together see all logs.

use super::inbox;
use super::people;
use super::state;
use crate::account;
use crate::contacts;
use crate::error::EngineError;
use crate::limits;
use crate::records::{GroupMember, GroupRecord, GroupStanding, key};
use crate::silence;
use crate::store::Table;
use crate::transaction::Transaction;
use keys::{AccountId, GroupId, Timestamp};
use zeroize::Zeroizing;

/// The last rounds: BE8 seconds when the last one of all groups began, BE8 seconds when the last one for a letter did, and
/// whom they asked for, account 32 each.
const ROUND: &[u8] = b"member-round";
/// When the logs of all members of a small group were last asked for, because of a letter: BE8 seconds.
const LETTER: &[u8] = b"member-letter/";
/// A letter of a group waits for the answers.
const WAITS: &[u8] = b"member-letter-waits/";

/// What is kept of the last rounds.
#[derive(Default)]
struct Rounds {
    of_all: Option<Timestamp>,
    /// Whoever writes in one group all the time asks in the others, too.
    for_letter: Option<Timestamp>,
    asked: Vec<AccountId>,
}

impl Rounds {
    fn load(tx: &Transaction<'_>) -> Result<Self, EngineError> {
        let Some(row) = tx.get(Table::Meta, ROUND)? else {
            return Ok(Self::default());
        };
        let time = |bytes: &[u8; 8]| {
            let seconds = u64::from_be_bytes(*bytes);
            Some(Timestamp::from_secs(seconds)).filter(|_| seconds != 0)
        };
        let Some((of_all, rest)) = row.split_first_chunk::<8>() else {
            return Ok(Self::default());
        };
        let Some((for_letter, asked)) = rest.split_first_chunk::<8>() else {
            return Ok(Self::default());
        };
        let (asked, _) = asked.as_chunks::<{ AccountId::LEN }>();
        Ok(Self {
            of_all: time(of_all),
            for_letter: time(for_letter),
            asked: asked.iter().copied().map(AccountId::from_bytes).collect(),
        })
    }

    fn store(&self, tx: &mut Transaction<'_>) {
        let mut row = Zeroizing::new(Vec::new());
        for at in [self.of_all, self.for_letter] {
            row.extend_from_slice(&at.map_or(0, Timestamp::as_secs).to_be_bytes());
        }
        for account in &self.asked {
            row.extend_from_slice(account.as_bytes());
        }
        tx.put(Table::Meta, ROUND.to_vec(), row);
    }
}

/// Whether something happened within so many seconds. A clock that was set back must not put anything off.
fn is_young(tx: &Transaction<'_>, at: Option<Timestamp>, seconds: u64) -> bool {
    at.is_some_and(|at| at <= tx.now && tx.now.since(at) < seconds)
}

/// Begins a round if one is due, and lets letters go whose questions were answered.
pub(super) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let mut rounds = Rounds::load(tx)?;
    if !is_young(tx, rounds.of_all, limits::MEMBER_ROUND_SECONDS) {
        rounds.of_all = Some(tx.now);
        let groups = groups(tx)?;
        begin(tx, rounds, groups)?;
    }
    for (place, _) in tx.scan(Table::Meta, WAITS, None, limits::PAGE)? {
        let Some(id) = place.strip_prefix(WAITS).and_then(GroupId::from_slice) else {
            continue;
        };
        let members = state::members(tx, &id)?;
        if keeping_back(tx, &others(tx, &members)?)?.is_empty() {
            tx.delete(Table::Meta, place);
            super::turn::advance(tx, &id)?;
        }
    }
    Ok(())
}

/// The other accounts of every group that this device can remove somebody from. Pairs ask before each letter.
fn groups(tx: &Transaction<'_>) -> Result<Vec<Vec<AccountId>>, EngineError> {
    let mut groups = Vec::new();
    for id in state::ids(tx)? {
        let record = state::load(tx, &id)?;
        let looks = |record: &GroupRecord| {
            record.standing == GroupStanding::In && record.data.pair.is_none()
        };
        if record.as_ref().is_some_and(looks) {
            groups.push(others(tx, &state::members(tx, &id)?)?);
        }
    }
    Ok(groups)
}

/// The accounts of members without our own, each once.
fn others(tx: &Transaction<'_>, members: &[GroupMember]) -> Result<Vec<AccountId>, EngineError> {
    let own = account::own(tx)?.id;
    let mut accounts: Vec<AccountId> = members.iter().map(|member| member.account).collect();
    accounts.retain(|account| *account != own);
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// Those of them that our relay is being asked about. A contact may be known by another relay, which answers or not: what
/// is sent in groups does not go there.
fn open(tx: &Transaction<'_>, accounts: &[AccountId]) -> Result<Vec<AccountId>, EngineError> {
    let own = account::own(tx)?;
    let mut open = Vec::new();
    for account in accounts {
        let contact = contacts::load(tx, account)?;
        let elsewhere = contact.is_some_and(|contact| contact.relay != own.relay);
        if !elsewhere && people::is_asked(tx, account)? {
            open.push(*account);
        }
    }
    Ok(open)
}

/// Those of them for whose logs a letter waits. SECURITY: what a relay leaves open holds no letter back for ever: it could
/// as well say that nothing is new. `a_relay_that_says_nothing_of_logs_is_told_of` notices.
fn keeping_back(
    tx: &Transaction<'_>,
    accounts: &[AccountId],
) -> Result<Vec<AccountId>, EngineError> {
    let mut accounts = open(tx, accounts)?;
    let mut given_up = Vec::new();
    for account in &accounts {
        if silence::is_given_up(tx, account)? {
            given_up.push(*account);
        }
    }
    accounts.retain(|account| !given_up.contains(account));
    Ok(accounts)
}

/// Asks for the logs of accounts of these groups. What an earlier round asked and nobody answered, as without a
/// connection, counts, so that questions do not pile up.
fn begin(
    tx: &mut Transaction<'_>,
    mut rounds: Rounds,
    groups: Vec<Vec<AccountId>>,
) -> Result<(), EngineError> {
    rounds.asked = open(tx, &rounds.asked)?;
    let room = limits::MEMBER_ROUND.saturating_sub(rounds.asked.len());
    for account in chosen(tx, groups, &rounds.asked, room) {
        people::ask(tx, &account)?;
        rounds.asked.push(account);
    }
    rounds.store(tx);
    Ok(())
}

/// Up to so many accounts, each group in its turn giving one by chance: those of a small group are asked for as often as
/// those of a large one, in which there are more to ask.
fn chosen(
    tx: &mut Transaction<'_>,
    mut groups: Vec<Vec<AccountId>>,
    without: &[AccountId],
    many: usize,
) -> Vec<AccountId> {
    let mut chosen: Vec<AccountId> = Vec::new();
    let mut turn = Vec::new();
    while chosen.len() < many {
        if turn.is_empty() {
            groups.retain(|accounts| !accounts.is_empty());
            turn = (0..groups.len()).collect();
        }
        let Some(index) = take_any(tx, &mut turn) else {
            break;
        };
        let account = groups
            .get_mut(index)
            .and_then(|accounts| take_any(tx, accounts));
        let new = |account: &AccountId| !chosen.contains(account) && !without.contains(account);
        chosen.extend(account.filter(new));
    }
    chosen
}

/// Takes one out, by chance.
fn take_any<T>(tx: &mut Transaction<'_>, from: &mut Vec<T>) -> Option<T> {
    let mut random = [0; 8];
    tx.rng.fill_bytes(&mut random);
    let length = u64::try_from(from.len()).ok()?;
    let index = u64::from_be_bytes(random).checked_rem(length)?;
    Some(from.swap_remove(usize::try_from(index).ok()?))
}

/// A letter of ours is about to be sealed for these members: whether it may be.
///
/// In a group of few it waits until the relay has answered for everybody whose log was not confirmed a short while ago,
/// whatever it answers, or has left that open while it answered others: a log that cannot be had stops no letter. In a larger one it waits for nothing, and a few are
/// asked for.
pub(super) fn before_letter(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    members: &[GroupMember],
) -> Result<bool, EngineError> {
    let others = others(tx, members)?;
    if others.len() > limits::MEMBER_ROUND {
        let mut rounds = Rounds::load(tx)?;
        let mut last = [rounds.of_all, rounds.for_letter].into_iter();
        if !last.any(|at| is_young(tx, at, limits::MEMBER_LETTER_SECONDS)) {
            rounds.for_letter = Some(tx.now);
            begin(tx, rounds, vec![others])?;
        }
        return Ok(true);
    }
    let place = key(&[LETTER, id.as_bytes()]);
    let asked = tx.get(Table::Meta, &place)?;
    let asked = asked.and_then(|at| at.as_slice().try_into().ok().map(u64::from_be_bytes));
    let asked = asked.map(Timestamp::from_secs);
    if !is_young(tx, asked, limits::MEMBER_LETTER_SECONDS) {
        let now = Zeroizing::new(tx.now.as_secs().to_be_bytes().to_vec());
        tx.put(Table::Meta, place, now);
        for account in &others {
            if !people::is_fresh(tx, account)? {
                people::ask(tx, account)?;
            }
        }
    }
    let open = keeping_back(tx, &others)?;
    let waits = key(&[WAITS, id.as_bytes()]);
    if open.is_empty() {
        if tx.get(Table::Meta, &waits)?.is_some() {
            tx.delete(Table::Meta, waits);
        }
        return Ok(true);
    }
    // SECURITY: nobody writes to a device that was just revoked;
    // `a_letter_in_a_small_group_waits_for_the_logs` notices.
    for account in &open {
        inbox::wait_for(tx, id, account);
    }
    tx.put(Table::Meta, waits, Zeroizing::new(Vec::new()));
    Ok(false)
}
