//! Two people who are both there compare a short code (docs/spec/verification.md, section 2).
//!
//! ```text
//!  initiator  Checking ─logs confirmed: Begin─► Begun ─Answer: Reveal─► Shown ─same─► Confirmed ─Same─► gone
//!  responder  Requested ─a person─► Checking ─logs confirmed: Answer─► Answered ─Reveal─► Shown, as above
//! ```
//!
//! One comparison a contact at a time. It is stored before anything leaves and ends by itself after ten minutes,
//! or when either log changes: the code would stand for other logs.

use crate::account;
use crate::contacts;
use crate::devices;
use crate::errands;
use crate::error::{EngineError, SasError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::limits;
use crate::logs;
use crate::records::{Comparison, ComparisonStage as Stage, Contact, Record as _, Trust, key};
use crate::sas_message::{SasMessage, To, say};
use crate::sending;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::sas::{Party, Transcript};
use keys::{AccountId, Timestamp};

/// Comparisons under way, by account id.
const SAS: &[u8] = b"sas/";

pub(crate) fn load(
    tx: &Transaction<'_>,
    contact: &AccountId,
) -> Result<Option<Comparison>, EngineError> {
    match tx.get(Table::Meta, &key(&[SAS, contact.as_bytes()]))? {
        Some(bytes) => Ok(Some(Comparison::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// The contacts who began, and whom nobody here has answered. A stranger is none of them.
pub(crate) fn requests(
    snapshot: &dyn Snapshot,
    now: Timestamp,
) -> Result<Vec<AccountId>, StoreError> {
    let mut found = Vec::new();
    for (_, bytes) in snapshot.scan(Table::Meta, SAS, None, usize::MAX)? {
        let comparison = Comparison::decode(&bytes)?;
        if comparison.stage != Stage::Requested || comparison.deadline < now {
            continue;
        }
        let contact = snapshot.get(Table::Contact, comparison.contact.as_bytes())?;
        let contact = contact.map(|bytes| Contact::decode(&bytes)).transpose()?;
        if contact.is_some_and(|contact| !contact.request) {
            found.push(comparison.contact);
        }
    }
    Ok(found)
}

pub(crate) fn store(tx: &mut Transaction<'_>, comparison: &Comparison) {
    let place = key(&[SAS, comparison.contact.as_bytes()]);
    tx.put(Table::Meta, place, comparison.encode());
}

fn all(tx: &mut Transaction<'_>) -> Result<Vec<Comparison>, EngineError> {
    let mut found = Vec::new();
    tx.each(Table::Meta, SAS, |_, _, bytes| {
        found.push(Comparison::decode(bytes)?);
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn new(tx: &Transaction<'_>, contact: &Contact, stage: Stage) -> Comparison {
    Comparison {
        stage,
        contact: contact.id,
        command: CommandId::default(),
        deadline: tx.now.saturating_add(limits::SAS_SECONDS),
        id: [0; 16],
        device: None,
        initiator: false,
        our_nonce: [0; 32],
        commitment: [0; 32],
        their_nonce: [0; 32],
        our_head: [0; 64],
        their_head: [0; 64],
        ours_checked: false,
        theirs_checked: false,
        theirs_same: false,
        before: contact.trust,
    }
}

/// The wish of a person here, where the contact has taken back its own.
pub(crate) fn without_request(comparison: Comparison) -> Comparison {
    Comparison {
        id: [0; 16],
        device: None,
        commitment: [0; 32],
        ..comparison
    }
}

/// A person wants to compare with a contact, or to go on with it.
pub(crate) fn start(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &AccountId,
) -> Result<(), EngineError> {
    let mut contact = sending::sendable(tx, id)?;
    devices::may_act(tx)?;
    if contact.request {
        contact.request = false; // Who compares with somebody has answered.
        contacts::store(tx, &contact);
        errands::tell_contact(tx, &contact)?;
    }
    let mut comparison = match load(tx, id)? {
        Some(known) => known,
        None => new(tx, &contact, Stage::Checking),
    };
    let waited = std::mem::replace(&mut comparison.command, command);
    tx.outcome(waited, CommandOutcome::Failed(SasError::Elsewhere.into()));
    if comparison.stage == Stage::Requested {
        comparison.stage = Stage::Checking;
        comparison.deadline = tx.now.saturating_add(limits::SAS_SECONDS);
    }
    store(tx, &comparison);
    match comparison.stage {
        Stage::Checking => {
            let own = account::own(tx)?.id;
            logs::check(tx, &own)?;
            logs::check(tx, id)
        }
        Stage::Shown => show(tx, &comparison),
        _ => Ok(()),
    }
}

/// The relay of an account confirmed its log.
pub(crate) fn log_confirmed(
    tx: &mut Transaction<'_>,
    account: &AccountId,
) -> Result<(), EngineError> {
    let own = account::own(tx)?.id;
    for mut comparison in all(tx)? {
        if comparison.stage != Stage::Checking {
            continue;
        }
        comparison.ours_checked |= *account == own;
        comparison.theirs_checked |= *account == comparison.contact;
        store(tx, &comparison);
        if comparison.ours_checked && comparison.theirs_checked {
            speak(tx, comparison)?;
        }
    }
    Ok(())
}

/// Says the first words: a promise, or the answer to the contact's.
pub(crate) fn speak(
    tx: &mut Transaction<'_>,
    mut comparison: Comparison,
) -> Result<(), EngineError> {
    let (own, contact) = (
        account::own(tx)?,
        contacts::existing(tx, &comparison.contact)?,
    );
    comparison.our_head = own.pin.hash;
    comparison.their_head = contact.pin.hash;
    tx.rng.fill_bytes(&mut comparison.our_nonce);
    let nonce = comparison.our_nonce;
    if let Some(device) = comparison.device {
        comparison.initiator = false;
        comparison.stage = Stage::Answered;
        store(tx, &comparison);
        return say(
            tx,
            (&comparison.contact, comparison.id),
            &To::One(device),
            SasMessage::Answer { nonce },
        );
    }
    tx.rng.fill_bytes(&mut comparison.id);
    comparison.initiator = true;
    comparison.stage = Stage::Begun;
    store(tx, &comparison);
    let commitment = transcript(tx, &contact)?.commitment(&nonce);
    say(
        tx,
        (&comparison.contact, comparison.id),
        &To::All,
        SasMessage::Begin { commitment },
    )
}

/// What both sides agree on, by the logs as they are known now.
pub(crate) fn transcript(
    tx: &Transaction<'_>,
    contact: &Contact,
) -> Result<Transcript, EngineError> {
    let ours = account::log(tx)?;
    let theirs = contacts::log_of(contact)?;
    let same_account = EngineError::Internal {
        what: "comparison with oneself",
    };
    let suite = ours.suite().min(theirs.suite());
    Transcript::new(suite, &Party::of(&ours), &Party::of(&theirs)).ok_or(same_account)
}

/// Whether both logs are still those of the comparison.
pub(crate) fn same_logs(
    tx: &Transaction<'_>,
    comparison: &Comparison,
) -> Result<bool, EngineError> {
    let theirs = contacts::existing(tx, &comparison.contact)?.pin.hash;
    Ok(account::own(tx)?.pin.hash == comparison.our_head && theirs == comparison.their_head)
}

/// Shows the code.
pub(crate) fn show(tx: &mut Transaction<'_>, comparison: &Comparison) -> Result<(), EngineError> {
    let contact = contacts::existing(tx, &comparison.contact)?;
    let transcript = transcript(tx, &contact)?;
    let (ours, theirs) = (&comparison.our_nonce, &comparison.their_nonce);
    let sas = if comparison.initiator {
        transcript.sas(ours, theirs)
    } else {
        transcript.sas(theirs, ours)
    };
    tx.event(Event::SasReady {
        contact: contact.id,
        emoji: sas.emoji().to_vec(),
        digits: sas.digits(),
    });
    Ok(())
}

/// A person compared the codes.
pub(crate) fn confirm(
    tx: &mut Transaction<'_>,
    id: &AccountId,
    same: bool,
) -> Result<(), EngineError> {
    let mut contact = sending::sendable(tx, id)?;
    let shown = load(tx, id)?.filter(|comparison| comparison.stage == Stage::Shown);
    let mut comparison = shown.ok_or(SasError::NotComparing)?;
    if !same {
        return give_up(tx, &comparison, SasError::Different);
    }
    if !same_logs(tx, &comparison)? {
        return give_up(tx, &comparison, SasError::LogsChanged);
    }
    comparison.before = contact.trust;
    contact.decide(Trust::BySas, tx.now);
    contacts::store(tx, &contact);
    errands::tell_contact(tx, &contact)?;
    comparison.stage = Stage::Confirmed;
    store(tx, &comparison);
    if let Some(device) = comparison.device {
        say(
            tx,
            (&comparison.contact, comparison.id),
            &To::One(device),
            SasMessage::Same,
        )?;
    }
    if comparison.theirs_same {
        done(tx, &comparison);
    }
    Ok(())
}

/// Both people said that the codes are equal.
pub(crate) fn done(tx: &mut Transaction<'_>, comparison: &Comparison) {
    forget(tx, comparison);
    tx.outcome(comparison.command, CommandOutcome::Done);
}

/// A person does not want to go on. What was confirmed stays.
pub(crate) fn stop(tx: &mut Transaction<'_>, id: &AccountId) -> Result<(), EngineError> {
    match load(tx, id)? {
        Some(comparison) if comparison.stage != Stage::Confirmed => {
            give_up(tx, &comparison, SasError::Stopped)
        }
        _ => Ok(()),
    }
}

/// Ends what has waited too long, and what stands for logs that have changed.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for comparison in all(tx)? {
        let shows = (Stage::Begun..=Stage::Shown).contains(&comparison.stage);
        if comparison.deadline < tx.now {
            let error = match comparison.stage {
                Stage::Checking => SasError::Unchecked,
                _ => SasError::Expired,
            };
            give_up(tx, &comparison, error)?;
        } else if shows && !same_logs(tx, &comparison)? {
            give_up(tx, &comparison, SasError::LogsChanged)?;
        } else if sending::sendable(tx, &comparison.contact).is_err() {
            give_up(tx, &comparison, SasError::Stopped)?;
        }
    }
    Ok(())
}

fn forget(tx: &mut Transaction<'_>, comparison: &Comparison) {
    tx.delete(Table::Meta, key(&[SAS, comparison.contact.as_bytes()]));
}

/// Tells the other side that it is over, and ends it here.
pub(crate) fn give_up(
    tx: &mut Transaction<'_>,
    comparison: &Comparison,
    error: SasError,
) -> Result<(), EngineError> {
    let to = match (comparison.stage, comparison.device) {
        (Stage::Requested | Stage::Confirmed, _) if error == SasError::Expired => None,
        (_, Some(device)) => Some(To::One(device)),
        (Stage::Begun, None) => Some(To::All),
        _ => None,
    };
    if let Some(to) = to
        && sending::sendable(tx, &comparison.contact).is_ok()
    {
        say(
            tx,
            (&comparison.contact, comparison.id),
            &to,
            SasMessage::Cancel(error),
        )?;
    }
    end(tx, comparison, error)
}

/// It is over; whoever waits here is told.
pub(crate) fn end(
    tx: &mut Transaction<'_>,
    comparison: &Comparison,
    error: SasError,
) -> Result<(), EngineError> {
    match (comparison.stage, error) {
        (Stage::Requested, _) => {
            forget(tx, comparison); // Nobody took part here.
            return Ok(());
        }
        (Stage::Confirmed, SasError::Different) => take_back(tx, comparison)?,
        (Stage::Confirmed, _) => {
            done(tx, comparison);
            return Ok(());
        }
        _ => {}
    }
    forget(tx, comparison);
    let contact = comparison.contact;
    tx.event(Event::SasFailed { contact, error });
    let failed = CommandOutcome::Failed(error.into());
    tx.outcome(comparison.command, failed);
    Ok(())
}

/// A person here said "equal", the other one "different": it counts for nothing.
fn take_back(tx: &mut Transaction<'_>, comparison: &Comparison) -> Result<(), EngineError> {
    let mut contact = contacts::existing(tx, &comparison.contact)?;
    if contact.trust == Trust::BySas {
        contact.decide(comparison.before, tx.now);
        contacts::store(tx, &contact);
        errands::tell_contact(tx, &contact)?;
    }
    Ok(())
}
