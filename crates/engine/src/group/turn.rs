//! What a group does next: one thing at a time is on its way, and comes back to its sender in its turn.
//!
//! ```text
//!   wish, new device, revoked device ──► commit ──► relay ──► comes back first: the epoch is ours
//!   letter ─────────────────────────► sealed ──┘        └──► another commit came first: made anew after it
//! ```
//!
//! The relay takes a body only in the epoch it was made in, so a letter is read by exactly those who are members
//! when it is sent, and every member sees letters and commits in the order in which the relay took them.

mod plan;

use self::plan::{Plan, plan};
use super::back;
use super::doubt;
use super::packages;
use super::pair;
use super::parcels;
use super::people;
use super::restored;
use super::rounds;
use super::state::{self, Part};
use super::words;
use crate::account;
use crate::error::EngineError;
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::letters;
use crate::limits;
use crate::outbox;
use crate::records::{
    Behind, Direction, Flight, FlightKind, GroupMember, GroupRecord, GroupStanding, LetterState,
    Wish,
};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::vault;
use ::groups::{Change, Directory, Group, GroupData, GroupError, LeafName, Role, Wishes};
use keys::codec::{Reader, Writer};
use keys::{AccountId, GroupId, MessageId};
use std::cmp::Ordering;

// One request brings a message to all leaves: a group never has more of them than a request may have rows.
const _: () = assert!(::groups::LEAVES == wire::limits::SEND_ROWS);

/// Does what a group is to do next, if nothing of it is on its way.
pub(crate) fn advance(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    loop {
        let Some(record) = state::load(tx, id)? else {
            return Ok(());
        };
        let ready = record.standing == GroupStanding::In
            && record.flight.is_none()
            && record.behind.is_none()
            && !super::inbox::is_held(tx, id)?
            && !pair::rests(tx, &record)?;
        if !ready {
            return Ok(());
        }
        if !step(tx, record)? {
            return Ok(());
        }
    }
}

/// Takes one step. Says whether the next one may be tried at once.
fn step(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<bool, EngineError> {
    let members = state::members(tx, &record.id)?;
    match record.wishes.first().cloned() {
        Some((command, Wish::Leave)) => leave(tx, record, &members, command),
        wish => {
            let mut plan = match plan(tx, &record, &members, wish.as_ref().map(|(_, wish)| wish)) {
                Ok(Some(plan)) => plan,
                Ok(None) => {
                    state::store(tx, &record);
                    return Ok(false);
                }
                Err(error) => return give_up(tx, record, error),
            };
            if wish.is_some() && plan.is_empty() {
                looked(tx, &mut record, &plan);
                granted(tx, &mut record);
                state::store(tx, &record);
                return Ok(true);
            }
            if plan.is_empty() {
                looked(tx, &mut record, &plan);
                state::store(tx, &record);
                return next_letter(tx, record, &members);
            }
            let wanted = plan.add.len();
            match packages::all(tx, &record, &mut plan.add, &plan.late)? {
                packages::Found::Waiting => {
                    state::store(tx, &record);
                    Ok(false)
                }
                packages::Found::All(packages) => {
                    looked(tx, &mut record, &plan);
                    if packages.len() < wanted {
                        packages::forget_missing(tx, &record.id)?;
                        // A device that has just been linked has not published anything yet.
                        let again = match plan.late.is_empty() {
                            true => limits::GROUP_LOOK_SECONDS,
                            false => limits::ASK_AGAIN_SECONDS,
                        };
                        record.look = Some(tx.now.saturating_add(again));
                    }
                    if plan.is_empty() {
                        if wish.is_some() {
                            granted(tx, &mut record); // What is missing of it comes later by itself.
                        }
                        state::store(tx, &record);
                        return Ok(true);
                    }
                    commit(tx, record, &members, plan, packages)
                }
                packages::Found::None(_) if record.data.pair.is_some() => {
                    // The contact has not published anything yet: its letters wait.
                    packages::forget_missing(tx, &record.id)?;
                    record.look = Some(tx.now.saturating_add(limits::ASK_AGAIN_SECONDS));
                    state::store(tx, &record);
                    Ok(false)
                }
                packages::Found::None(account) => {
                    let error = EngineError::NoKeyPackages { contact: account };
                    give_up(tx, record, error)
                }
            }
        }
    }
}

/// The leaves were compared with the logs, if they were to be. Who found no place looks for one in a while.
fn looked(tx: &Transaction<'_>, record: &mut GroupRecord, plan: &Plan) {
    record.look = record.look.filter(|at| *at > tx.now);
    if plan.left_out {
        record.look = Some(tx.now.saturating_add(limits::GROUP_FULL_SECONDS));
    }
}

/// A wish came to nothing.
fn give_up(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    error: EngineError,
) -> Result<bool, EngineError> {
    if record.wishes.is_empty() {
        state::store(tx, &record);
        return match error {
            error @ (EngineError::Store(_) | EngineError::Internal { .. }) => Err(error),
            _ => Ok(false),
        };
    }
    let (command, wish) = record.wishes.remove(0);
    ended(tx, &record.id, &wish);
    packages::forget(tx, &record.id)?;
    state::store(tx, &record);
    tx.outcome(command, CommandOutcome::Failed(error));
    Ok(true)
}

/// A wish is done with.
fn ended(tx: &mut Transaction<'_>, id: &GroupId, wish: &Wish) {
    if let Wish::Add(accounts) = wish {
        super::history::take_back(tx, id, accounts);
    }
}

/// The first wish is fulfilled.
fn granted(tx: &mut Transaction<'_>, record: &mut GroupRecord) {
    if !record.wishes.is_empty() {
        let (command, wish) = record.wishes.remove(0);
        ended(tx, &record.id, &wish);
        tx.outcome(command, CommandOutcome::Done);
    }
}

fn commit(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    members: &[GroupMember],
    plan: Plan,
    packages: Vec<Vec<u8>>,
) -> Result<bool, EngineError> {
    let id = record.id;
    let mut accounts: Vec<AccountId> = plan.add.iter().map(|name| name.account).collect();
    let leaving = members
        .iter()
        .filter(|member| plan.remove.contains(&member.leaf));
    accounts.extend(leaving.map(|member| member.account));
    accounts.push(account::own(tx)?.id);
    accounts.sort_unstable();
    accounts.dedup();
    let mut directory = Directory::new();
    people::fill(tx, &mut directory, &accounts)?;
    let group = state::open(tx, &id, directory)?;
    let wishes = Wishes {
        add: packages,
        remove: plan.remove,
        data: plan.data,
    };
    let us = state::us(tx, record.suite)?;
    let mut commit = match group.commit(&us, wishes, tx.now) {
        Ok(commit) => commit,
        Err(GroupError::LogsNeeded(accounts)) => {
            for account in accounts {
                people::ask(tx, &account)?;
                super::inbox::wait_for(tx, &id, &account);
            }
            state::store(tx, &record);
            return Ok(false);
        }
        Err(error) => {
            packages::forget(tx, &id)?;
            return give_up(tx, record, EngineError::Group { error });
        }
    };
    state::keep_next(tx, &id, &mut commit.next)?;
    let mut welcomes = Writer::new();
    welcomes.u32(u32::try_from(commit.welcomes.len()).unwrap_or(u32::MAX));
    for (name, welcome) in plan.add.iter().zip(&commit.welcomes) {
        welcomes.array(name.account.as_bytes());
        welcomes.array(name.device.as_bytes());
        welcomes.bytes(&welcome.message);
    }
    state::put_part(tx, &id, Part::Welcomes, welcomes.finish());
    packages::forget(tx, &id)?;
    let token = commit.next.epoch_token().map_err(|_| INTERNAL)?;
    let next = wire::NextEpoch {
        epoch: commit.next.epoch(),
        token_hash: keys::sha256(&[token.expose_secret()]),
    };
    let flight = FlightKind::Commit;
    send(
        tx,
        &mut record,
        members,
        flight,
        &commit.message,
        Some(next),
    )?;
    Ok(false)
}

const INTERNAL: EngineError = EngineError::Internal {
    what: "state of a group",
};

/// Seals the letter that has waited longest.
fn next_letter(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    members: &[GroupMember],
) -> Result<bool, EngineError> {
    let Some((place, id)) = super::letters::first(tx, &record.id)? else {
        return Ok(false);
    };
    let may_go = match record.data.other_than(&account::own(tx)?.id) {
        // SECURITY: as between two devices with a session, the other side's devices are asked for first;
        // `a_revoked_device_gets_no_letter_of_a_pair` notices.
        Some(other) => people::confirmed(tx, &record.id, &[other])?,
        None => rounds::before_letter(tx, &record.id, members)?,
    };
    if !may_go {
        return Ok(false);
    }
    // SECURITY: a look that others may be first with is not waited for where a letter would go to a device that is gone;
    // `a_letter_in_a_small_group_waits_for_the_logs` notices.
    if record.look.is_some_and(|at| at > tx.now) && !plan::gone(tx, members)?.is_empty() {
        record.look = Some(tx.now);
        state::store(tx, &record);
        return Ok(true);
    }
    tx.delete(Table::Waiting, place);
    let Some(letter) = letters::load(tx, &id)? else {
        return Ok(true); // It expired meanwhile.
    };
    let mut group = state::open(tx, &record.id, Directory::new())?;
    let content = super::letters::content(tx, &letter)?;
    let Ok(message) = group.seal(&content) else {
        return Err(INTERNAL);
    };
    state::keep(tx, &record.id, &mut group)?;
    let flight = FlightKind::Letter(id);
    send(tx, &mut record, members, flight, &message, None)?;
    Ok(false)
}

/// Hands a message out to all members, ourselves among them.
pub(super) fn send(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
    members: &[GroupMember],
    kind: FlightKind,
    message: &[u8],
    next: Option<wire::NextEpoch>,
) -> Result<(), EngineError> {
    let place = (&record.id, record.epoch);
    // A relay that was set back takes what shows the token of the epoch it knows.
    let known = record.set_back.filter(|_| next.is_some());
    let before = known.and_then(|known| {
        let mut tokens = record.tokens.iter();
        tokens.find(|(epoch, _)| *epoch == known)
    });
    let token = before.map_or(&record.token, |(_, token)| token).duplicate();
    let relay_epoch = known.unwrap_or(record.epoch);
    let sealed = parcels::seal(tx, &record.envelope, place, message)?;
    let hash = keys::sha256(&[&sealed.body]);
    let message = MessageId::random(tx.rng);
    let rows = members.iter().filter_map(|member| {
        let (queue, token) = member.inbox.as_ref()?;
        Some(wire::SendRow {
            queue_id: *queue,
            token: wire::SendToken::from_bytes(*token.expose_secret()),
        })
    });
    let request = wire::SendInEpoch {
        group: record.id,
        epoch: relay_epoch,
        token: wire::EpochToken::from_bytes(*token.expose_secret()),
        next,
        send: wire::Send {
            message_id: message,
            body: wire::Body::new(sealed.body.clone()).map_err(|_| INTERNAL)?,
            rows: rows.collect(),
        },
    };
    record.flight = Some(Flight {
        kind,
        message,
        hash,
    });
    state::store(tx, record);
    let relay = record.relay.clone();
    let request = wire::Request::SendInEpoch(request);
    parcels::hand_out(tx, &sealed, (&record.id, &message), relay, request)
}

/// The relay answered something on its way. What it took comes back to us; what it refused is made anew.
pub(crate) fn answered(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    message: &MessageId,
    reply: &wire::Reply,
) -> Result<(), EngineError> {
    let Some(mut record) = state::load(tx, id)? else {
        return Ok(());
    };
    let Some(flight) = record.flight.filter(|flight| flight.message == *message) else {
        return Ok(()); // It came back before the answer.
    };
    match reply {
        wire::Reply::SendResult(result) => {
            let relay = record.relay.clone();
            outbox::note_version(tx, &relay, result.store_version)
        }
        wire::Reply::EpochPassed { epoch } => {
            land_again(tx, &mut record, flight)?;
            match epoch.cmp(&record.epoch) {
                Ordering::Greater => record.behind = Some(behind(*epoch)),
                // The relay was set back, or forgot the group: a commit leads it on.
                Ordering::Less => record.set_back = Some(*epoch),
                Ordering::Equal => {}
            }
            restored::went_on(tx, &mut record)?;
            state::store(tx, &record);
            advance(tx, id)
        }
        // Nothing was sent. Other reasons pass; a wrong token shows that the relay follows another branch.
        _ => {
            land_again(tx, &mut record, flight)?;
            if record.standing == GroupStanding::Lost {
                if state::is_known(tx, id)? {
                    state::stay(tx, &mut record)?;
                }
                back::ask_back(tx, &mut record)?;
                state::store(tx, &record);
                return advance(tx, id);
            }
            record.behind = Some(behind(record.epoch.saturating_add(1)));
            state::store(tx, &record);
            Ok(())
        }
    }
}

/// The relay is in an epoch that has not come here.
pub(super) fn behind(epoch: u64) -> Behind {
    Behind { epoch, ticks: 0 }
}

/// A parcel could not be stored, so nothing was sent: tried again in a while.
pub(super) fn not_sent(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    message: &MessageId,
) -> Result<(), EngineError> {
    let Some(mut record) = state::load(tx, id)? else {
        return Ok(());
    };
    if let Some(flight) = record.flight.filter(|flight| flight.message == *message) {
        land_again(tx, &mut record, flight)?;
        record.look = Some(tx.now.saturating_add(limits::ASK_AGAIN_SECONDS));
        state::store(tx, &record);
    }
    Ok(())
}

/// Something that was on its way did not arrive: what it was waits again.
pub(super) fn land_again(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
    flight: Flight,
) -> Result<(), EngineError> {
    record.flight = None;
    match flight.kind {
        FlightKind::Commit => {
            state::drop_next(tx, &record.id);
            // New keys can wait: if all that are due tried again at once, each commit would cost as many as there are.
            let renews = record.wishes.is_empty() && is_old(tx, record);
            record.look = Some(match renews {
                true => later(tx, limits::GROUP_RENEW_AGAIN_SECONDS),
                false => tx.now,
            });
        }
        FlightKind::Letter(letter) => super::letters::wait_first(tx, &record.id, &letter)?,
        FlightKind::Leave => {}
    }
    Ok(())
}

/// Something of ours came back: the relay took it, and everybody gets it in this place.
pub(super) fn landed(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    flight: Flight,
) -> Result<(), EngineError> {
    record.flight = None;
    if record.echoes.len() >= limits::GROUP_ECHOES {
        record.echoes.remove(0);
    }
    record.echoes.push(flight.hash);
    let id = record.id;
    match flight.kind {
        FlightKind::Letter(letter) => {
            state::store(tx, &record);
            let known = letters::load(tx, &letter)?;
            if let Some(said) = known
                .as_ref()
                .filter(|known| known.direction == Direction::Errand)
            {
                letters::forget(tx, &said.id);
                if let Some(word) = vault::word::of_errand(&said.errand) {
                    let own = state::own_name(tx)?;
                    vault::heard(tx, &record, &own, word)?;
                }
            } else if let Some(mut letter) = known {
                letters::unfile(tx, &letter);
                letter.order = tx.next_number("letters")?;
                letter.state = LetterState::Sent;
                letters::file(tx, &letter);
                tx.event(Event::LetterSent { letter: letter.id });
            }
        }
        FlightKind::Commit => {
            let before = state::members(tx, &id)?;
            let whole = restored::missed_nothing(tx, &record)?;
            let group = state::take_next(tx, &mut record)?;
            let back = record.standing == GroupStanding::Lost;
            record.standing = GroupStanding::In;
            // The plan of the next step sees what is left of the wish.
            state::store(tx, &record);
            let changes = difference(&before, &state::members(tx, &id)?);
            // A commit that only adds gives its maker no new keys.
            let only_adds = changes
                .iter()
                .all(|change| matches!(change, Change::Added(_)));
            if changes.is_empty() || !only_adds {
                record.renewed = tx.now;
                state::store(tx, &record);
            }
            invite(tx, &record, &group)?;
            super::history::added(tx, &record, &before)?;
            let own = account::own(tx)?.id;
            tell(tx, &record, (own, record.data.clone()), &changes);
            match back {
                true => vault::came_in(tx, &record, &changes, whole)?,
                false => vault::changed(tx, &record, &changes, true)?,
            }
        }
        FlightKind::Leave => {
            record.standing = GroupStanding::Leaving;
            record.asked = Some(tx.now);
            granted(tx, &mut record);
            state::store(tx, &record);
        }
    }
    super::inbox::release(tx, &id)?;
    advance(tx, &id)
}

pub(super) fn difference(before: &[GroupMember], after: &[GroupMember]) -> Vec<Change> {
    let name = |member: &GroupMember| LeafName {
        account: member.account,
        device: member.device,
    };
    let has =
        |members: &[GroupMember], one: &LeafName| members.iter().any(|member| name(member) == *one);
    let gone = before.iter().map(name).filter(|one| !has(after, one));
    let came = after.iter().map(name).filter(|one| !has(before, one));
    gone.map(Change::Removed)
        .chain(came.map(Change::Added))
        .collect()
}

/// Sends every device that our commit let in what it joins by.
fn invite(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    group: &Group,
) -> Result<(), EngineError> {
    let Some(bytes) = state::take_part(tx, &record.id, Part::Welcomes)? else {
        return Ok(());
    };
    let mut input = Reader::new(&bytes);
    let mut welcomes = Vec::new();
    let mut read = || {
        for _ in 0..input.u32()? {
            let name = LeafName {
                account: AccountId::from_bytes(input.array()?),
                device: keys::DeviceId::from_bytes(input.array()?),
            };
            welcomes.push((name, input.bytes(1 << 20)?.to_vec()));
        }
        Ok::<_, keys::codec::DecodeError>(())
    };
    read().map_err(|_| INTERNAL)?;
    if welcomes.is_empty() {
        return Ok(());
    }
    let tree = group.tree().map_err(|_| INTERNAL)?;
    words::invite(tx, record, &welcomes, &tree)
}

/// Tells people what is new, who did it, and what the data of before were.
pub(super) fn tell(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    (by, before): (AccountId, GroupData),
    changes: &[Change],
) {
    pair::tell(tx, record, |group| Event::GroupChanged {
        group,
        by,
        before,
        changes: changes.to_vec(),
    });
}

/// Asks to be removed; an owner hands the group on first.
fn leave(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
    members: &[GroupMember],
    command: CommandId,
) -> Result<bool, EngineError> {
    let own = account::own(tx)?;
    let others = members.iter().filter(|member| member.account != own.id);
    let Some(heir) = heir(&record.data, others.clone().map(|member| member.account)) else {
        // Nobody is left who could miss us.
        record.wishes.clear();
        out(tx, record)?;
        tx.outcome(command, CommandOutcome::Done);
        return Ok(false);
    };
    let owners = |account: &AccountId| record.data.role(account) == Role::Owner;
    let alone = !others.clone().any(|member| owners(&member.account));
    let siblings = members
        .iter()
        .filter(|member| member.account == own.id && member.device != own.device);
    let mut plan = Plan {
        remove: siblings.map(|member| member.leaf).collect(),
        ..Plan::default()
    };
    let mut data = record.data.clone();
    if owners(&own.id) && alone {
        data.roles.insert(heir, Role::Owner);
    }
    if data.vault {
        // Whoever has a role there and no device is let back in.
        data.roles.remove(&own.id);
    }
    plan.data = Some(data).filter(|data| *data != record.data);
    if record.proposed {
        plan.renew = true;
    }
    if !plan.is_empty() {
        return commit(tx, record, members, plan, Vec::new());
    }
    let id = record.id;
    let mut group = state::open(tx, &id, Directory::new())?;
    let ours = members
        .iter()
        .find(|member| member.account == own.id && member.device == own.device);
    let leaf = ours.map(|member| member.leaf).ok_or(INTERNAL)?;
    let message = group.propose_removal(leaf).map_err(|_| INTERNAL)?;
    state::keep(tx, &id, &mut group)?;
    send(tx, &mut record, members, FlightKind::Leave, &message, None)?;
    Ok(false)
}

/// Who owns the group when its last owner leaves: an admin, or else the first member.
fn heir(data: &GroupData, others: impl Iterator<Item = AccountId>) -> Option<AccountId> {
    others.max_by_key(|account| (data.role(account), std::cmp::Reverse(*account)))
}

/// This device is no member any more.
pub(super) fn out(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<(), EngineError> {
    record.standing = GroupStanding::Out;
    record.flight = None;
    record.behind = None;
    let id = record.id;
    doubt::forget(tx, &id)?;
    let wishes = std::mem::take(&mut record.wishes);
    state::forget_keys(tx, &id);
    super::pictures::forget(tx, &id);
    super::history::forget(tx, &id)?;
    vault::out(tx, &id);
    state::store(tx, &record);
    for (command, wish) in wishes {
        let outcome = match wish {
            Wish::Leave => CommandOutcome::Done,
            _ => CommandOutcome::Failed(EngineError::NotInGroup),
        };
        tx.outcome(command, outcome);
    }
    for letter in super::letters::take(tx, &id)? {
        sending::fail_whole(tx, &letter, EngineError::NotInGroup)?;
        letters::forget_errand(tx, &letter)?;
    }
    pair::tell(tx, &record, |group| Event::GroupLeft { group });
    // An invitation back may have come first.
    super::invitations::join_again(tx, &id)?;
    super::inbox::release(tx, &id)
}

/// The log of an account is here, or confirmed: what waited for it goes on.
pub(crate) fn logs_came(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    for id in super::inbox::waiting_for(tx, account)? {
        back::relay_answered(tx, &id)?;
        super::invitations::join_after(tx, &id, account)?;
        super::inbox::release(tx, &id)?;
        // Whoever wishes for a thousand people waits for a thousand logs, and each look at the plan is one at all of
        // them: the last one is what counts. A wish that waits is looked at with every tick, too.
        let record = state::load(tx, &id)?;
        let wishes = record.is_some_and(|record| !record.wishes.is_empty());
        if !wishes || !super::inbox::waits_for_more(tx, &id)? {
            advance(tx, &id)?;
        }
    }
    Ok(())
}

/// An account has other devices: its groups are looked through, by its own devices at once, by others in a while, so
/// that not all of them do it.
pub(crate) fn account_changed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    for id in state::ids(tx)? {
        let members = state::members(tx, &id)?;
        let Some(mut record) = state::load(tx, &id)? else {
            continue;
        };
        if !plan::accounts_of(&record.data, &members).contains(account) {
            continue;
        }
        let at = match own == *account || record.data.pair.is_some() {
            true => tx.now,
            false => later(tx, limits::GROUP_LOOK_SECONDS),
        };
        record.look = Some(record.look.map_or(at, |before| before.min(at)));
        if own == *account {
            restored::went_on(tx, &mut record)?;
        }
        state::store(tx, &record);
        advance(tx, &id)?;
    }
    Ok(())
}

/// Whether this device has had its keys in a group for so long that it gives itself new ones.
fn is_old(tx: &Transaction<'_>, record: &GroupRecord) -> bool {
    tx.now.since(record.renewed) >= limits::GROUP_RENEW_SECONDS
}

/// Whether time alone leads to a step: a look at the leaves, or new keys, which wait for a look that is planned.
pub(super) fn is_time(tx: &Transaction<'_>, record: &GroupRecord) -> bool {
    let look = record.look.map(|at| at <= tx.now);
    look.unwrap_or_else(|| is_old(tx, record))
}

/// Some time within so many seconds.
pub(crate) fn later(tx: &mut Transaction<'_>, seconds: u64) -> keys::Timestamp {
    let mut random = [0; 8];
    tx.rng.fill_bytes(&mut random);
    let wait = u64::from_be_bytes(random).checked_rem(seconds).unwrap_or(0);
    tx.now.saturating_add(wait)
}
