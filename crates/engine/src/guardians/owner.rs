//! The guardians of the own account: chosen, entered in the log, told, replaced.

use crate::account;
use crate::backup;
use crate::contacts;
use crate::errands;
use crate::error::EngineError;
use crate::event::{CommandOutcome, Event};
use crate::guardians::words::{Share, Word};
use crate::input::CommandId;
use crate::letters;
use crate::outbox;
use crate::own_log::{self, Wish};
use crate::peers::Peer;
use crate::records::{
    Contact, Direction, Guardian, GuardianPlan, GuardianPurpose, Letter, LetterState, Marks,
    OwnGuardians, Purpose, Record as _,
};
use crate::sending;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{MAX_GUARDIANS, Method, RecoverySecrets, VerifiedLog};
use keys::{AccountId, LetterId, Secret, ed25519, shamir};
use zeroize::Zeroizing;

/// The guardians in force, as far as this device knows them.
const GUARDIANS: &[u8] = b"guardians";
/// Those on their way into the log.
const PLAN: &[u8] = b"guardians-plan";

/// Who is to keep shares, and how many of them are needed.
pub(crate) struct GuardianTerms {
    pub(crate) need: u8,
    pub(crate) guardians: Vec<AccountId>,
    pub(crate) delay_seconds: u64,
}

const LIBRARY: EngineError = EngineError::Internal {
    what: "cryptographic library",
};

pub(crate) fn load(tx: &Transaction<'_>) -> Result<Option<OwnGuardians>, EngineError> {
    match tx.get(Table::Meta, GUARDIANS)? {
        Some(bytes) => Ok(Some(OwnGuardians::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// Reads them from outside a step, with the plan where there is one.
pub(super) fn read(
    snapshot: &dyn Snapshot,
) -> Result<(Option<OwnGuardians>, Option<GuardianPlan>), EngineError> {
    let known = snapshot.get(Table::Meta, GUARDIANS)?;
    let plan = snapshot.get(Table::Meta, PLAN)?;
    Ok((
        known
            .map(|bytes| OwnGuardians::decode(&bytes))
            .transpose()?,
        plan.map(|bytes| GuardianPlan::decode(&bytes)).transpose()?,
    ))
}

pub(super) fn store(tx: &mut Transaction<'_>, guardians: &OwnGuardians) {
    tx.put(Table::Meta, GUARDIANS.to_vec(), guardians.encode());
}

fn load_plan(tx: &Transaction<'_>) -> Result<Option<GuardianPlan>, EngineError> {
    match tx.get(Table::Meta, PLAN)? {
        Some(bytes) => Ok(Some(GuardianPlan::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// Draws the secret and its shares, and asks the relay for the lock. The shares are wrapped at once; from here on
/// nothing but the secret itself gives them back, and that goes when the log has the entry.
pub(crate) fn plan(
    tx: &mut Transaction<'_>,
    command: CommandId,
    terms: &GuardianTerms,
) -> Result<(), EngineError> {
    check(tx, terms)?;
    if load_plan(tx)?.is_some() {
        return Err(EngineError::GuardiansUnderWay);
    }
    let suite = account::log(tx)?.suite();
    let seed = Secret::random(tx.rng);
    let secrets = RecoverySecrets::derive(suite, Method::Guardians, &seed).map_err(|_| LIBRARY)?;
    let set = set_of(&secrets.head_id());
    let count = u8::try_from(terms.guardians.len()).unwrap_or(u8::MAX);
    let shares = shamir::split(tx.rng, &seed, terms.need, count);
    let shares = shares.map_err(|_| EngineError::InvalidGuardians)?;
    let (key, token, lock_key) = (
        Secret::random(tx.rng),
        Secret::random(tx.rng),
        Secret::random(tx.rng),
    );
    let guardian = |account: &AccountId| Guardian {
        account: *account,
        letter: LetterId::from_bytes([0; 16]),
        has_share: false,
    };
    let plan = GuardianPlan {
        command,
        guardians: OwnGuardians {
            set,
            sequence: 0,
            need: terms.need,
            delay_seconds: terms.delay_seconds,
            lock_key,
            guardians: terms.guardians.iter().map(guardian).collect(),
            opens_at: None,
        },
        commitments: shares.iter().map(|share| share.commitment(&set)).collect(),
        wrapped: shares.iter().map(|share| share.wrap(&key, &set)).collect(),
        seed,
        token,
    };
    own_log::check(tx, &wish_of(&plan))?;
    tx.put(Table::Meta, PLAN.to_vec(), plan.encode());
    put_lock(tx, &plan, &key)
}

fn check(tx: &Transaction<'_>, terms: &GuardianTerms) -> Result<(), EngineError> {
    account::own(tx)?;
    let count = terms.guardians.len();
    let fits = (shamir::NEED_MIN..=MAX_GUARDIANS).contains(&terms.need)
        && (usize::from(terms.need)..=usize::from(MAX_GUARDIANS)).contains(&count)
        && wire::limits::LOCK_DELAY_SECONDS.contains(&terms.delay_seconds);
    let mut known = terms.guardians.clone();
    known.sort();
    known.dedup();
    if !fits || known.len() != count {
        return Err(EngineError::InvalidGuardians);
    }
    for id in &terms.guardians {
        let contact = contacts::existing(tx, id)?;
        if contact.blocked {
            return Err(EngineError::Blocked);
        }
        if contact.changed {
            return Err(EngineError::IdentityChanged { contact: *id });
        }
        if contact.request {
            return Err(EngineError::UnknownContact);
        }
    }
    Ok(())
}

/// The set's id: the first 16 bytes of the head id.
pub(super) fn set_of(head_id: &[u8; 32]) -> [u8; 16] {
    *head_id.first_chunk().unwrap_or(&[0; 16])
}

/// The set that a log has in force.
pub(super) fn set_in_force(log: &VerifiedLog) -> Option<[u8; 16]> {
    let record = log.recovery(Method::Guardians)?;
    Some(set_of(record.head_id()))
}

fn wish_of(plan: &GuardianPlan) -> Wish {
    Wish::SetGuardians {
        seed: plan.seed.duplicate(),
        need: plan.guardians.need,
        delay_seconds: plan.guardians.delay_seconds,
        commitments: plan.commitments.clone(),
    }
}

fn put_lock(
    tx: &mut Transaction<'_>,
    plan: &GuardianPlan,
    key: &Secret<32>,
) -> Result<(), EngineError> {
    let mut request = wire::PutLock {
        public_key: ed25519::public(&plan.guardians.lock_key),
        key: wire::LockKey::from_bytes(*key.expose_secret()),
        token_hash: keys::sha256(&[plan.token.expose_secret()]),
        delay_seconds: plan.guardians.delay_seconds,
        signature: [0; 64],
    };
    let message = wire::put_lock_message(&request);
    request.signature = ed25519::sign(&plan.guardians.lock_key, &message);
    let purpose = Purpose::Guardians(GuardianPurpose::PutLock);
    outbox::add_own(tx, purpose, wire::Request::PutLock(request))
}

/// The relay has the lock: the entry may go into the log.
pub(super) fn lock_put(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(plan) = load_plan(tx)? else {
        return Ok(());
    };
    match own_log::wish(tx, plan.command, &wish_of(&plan)) {
        Ok(()) => Ok(()),
        Err(error @ EngineError::Store(_)) => Err(error),
        Err(error) => fail(tx, &plan, error),
    }
}

/// The relay does not take the lock.
pub(super) fn lock_refused(
    tx: &mut Transaction<'_>,
    error: EngineError,
) -> Result<(), EngineError> {
    match load_plan(tx)? {
        Some(plan) => fail(tx, &plan, error),
        None => Ok(()),
    }
}

fn fail(
    tx: &mut Transaction<'_>,
    plan: &GuardianPlan,
    error: EngineError,
) -> Result<(), EngineError> {
    drop_plan(tx, plan)?;
    tx.outcome(plan.command, CommandOutcome::Failed(error));
    Ok(())
}

/// The log does not take the entry; whoever waits is told elsewhere.
pub(crate) fn plan_failed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load_plan(tx)? {
        Some(plan) => drop_plan(tx, &plan),
        None => Ok(()),
    }
}

fn drop_plan(tx: &mut Transaction<'_>, plan: &GuardianPlan) -> Result<(), EngineError> {
    tx.delete(Table::Meta, PLAN.to_vec());
    delete_lock(tx, &plan.guardians)
}

fn delete_lock(tx: &mut Transaction<'_>, guardians: &OwnGuardians) -> Result<(), EngineError> {
    let public_key = ed25519::public(&guardians.lock_key);
    let message = wire::delete_lock_message(&public_key);
    let request = wire::Request::DeleteLock(wire::DeleteLock {
        public_key,
        signature: ed25519::sign(&guardians.lock_key, &message),
    });
    outbox::add_own(tx, Purpose::Guardians(GuardianPurpose::Delete), request)
}

/// The entry is in the log: the shares leave, the first backup is written, and the secret is gone from here.
pub(crate) fn in_force(
    tx: &mut Transaction<'_>,
    command: CommandId,
    seed: &Secret<32>,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let Some(plan) = load_plan(tx)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, PLAN.to_vec());
    let own = account::own(tx)?;
    let mut guardians = plan.guardians;
    guardians.sequence = log.head().sequence;
    let count = u8::try_from(guardians.guardians.len()).unwrap_or(u8::MAX);
    let lock = wire::lock_id(&ed25519::public(&guardians.lock_key));
    let mut index: u8 = 0;
    for (guardian, wrapped) in guardians.guardians.iter_mut().zip(plan.wrapped) {
        index = index.saturating_add(1);
        let word = Word::Share(Share {
            set: guardians.set,
            sequence: guardians.sequence,
            index,
            need: guardians.need,
            count,
            lock,
            token: *plan.token.expose_secret(),
            relay: own.relay.clone(),
            wrapped,
        });
        if let Some(contact) = contacts::load(tx, &guardian.account)? {
            guardian.letter = say(tx, &contact, &word)?;
        }
    }
    changed(tx, &guardians)?;
    let secrets =
        RecoverySecrets::derive(log.suite(), Method::Guardians, seed).map_err(|_| LIBRARY)?;
    backup::begin(tx, command, &secrets, 0)
}

/// Sends a word to a contact: a letter that is never shown.
fn say(tx: &mut Transaction<'_>, contact: &Contact, word: &Word) -> Result<LetterId, EngineError> {
    let log = contacts::log_of(contact)?;
    let mut deliveries = sending::deliveries(tx, Some(&log))?;
    deliveries.retain(|delivery| !delivery.own);
    let letter = Letter {
        id: LetterId::random(tx.rng),
        contact: contact.id,
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: tx.now,
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries,
        errand: Zeroizing::new(word.encode()),
        author: None,
        marks: Marks::default(),
    };
    letters::store(tx, &letter);
    sending::dispatch(tx, &letter.id)?;
    Ok(letter.id)
}

/// Keeps a newer state and tells the other devices.
fn changed(tx: &mut Transaction<'_>, guardians: &OwnGuardians) -> Result<(), EngineError> {
    store(tx, guardians);
    backup::mark_guardians(tx)?;
    errands::tell_guardians(tx, &guardians.encode())
}

/// A device of a contact has what a letter brought.
pub(crate) fn told(
    tx: &mut Transaction<'_>,
    contact: &AccountId,
    letter: &LetterId,
) -> Result<(), EngineError> {
    let Some(mut guardians) = load(tx)? else {
        return Ok(());
    };
    let mut mine = guardians.guardians.iter_mut();
    let found = mine.find(|guardian| guardian.account == *contact && guardian.letter == *letter);
    match found {
        Some(guardian) if !guardian.has_share => guardian.has_share = true,
        _ => return Ok(()),
    }
    tx.event(Event::GuardianHasShare { guardian: *contact });
    changed(tx, &guardians)
}

/// Another device of ours, an archive or a backup says who the guardians are.
pub(crate) fn keep(tx: &mut Transaction<'_>, bytes: &[u8]) -> Result<(), EngineError> {
    let Ok(told) = OwnGuardians::decode(bytes) else {
        return Ok(());
    };
    if load(tx)?.is_none_or(|known| known.sequence <= told.sequence) {
        store(tx, &told);
    }
    Ok(())
}

/// The guardians as they are stored, for archives and backups.
pub(crate) fn known(tx: &Transaction<'_>) -> Result<Option<Vec<u8>>, EngineError> {
    Ok(load(tx)?.map(|guardians| guardians.encode().to_vec()))
}

/// What an unfinished archive brought goes again.
pub(crate) fn forget(tx: &mut Transaction<'_>) {
    tx.delete(Table::Meta, GUARDIANS.to_vec());
}

/// The own log went on: tells who asks for recovery, and lets guardians go that are not in force any more.
pub(crate) fn own_log_changed(
    tx: &mut Transaction<'_>,
    before: &Peer,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    let known = before.log.open_request().map(|request| request.sequence());
    match (known, log.open_request()) {
        (known, Some(open)) if known != Some(open.sequence()) => {
            tx.event(Event::RecoveryRequested {
                device: *open.device().id(),
                ready: open.ready(),
            });
        }
        (Some(_), None) => tx.event(Event::RecoveryClosed),
        _ => {}
    }
    let Some(guardians) = load(tx)? else {
        return Ok(());
    };
    let newer = log.head().sequence >= guardians.sequence;
    if newer && set_in_force(log) != Some(guardians.set) {
        retire(tx, &guardians)?;
    }
    Ok(())
}

/// Guardians are not guardians any more: the lock goes, and they are told.
fn retire(tx: &mut Transaction<'_>, guardians: &OwnGuardians) -> Result<(), EngineError> {
    tx.delete(Table::Meta, GUARDIANS.to_vec());
    delete_lock(tx, guardians)?;
    for guardian in &guardians.guardians {
        letters::remove(tx, &guardian.letter)?;
        if let Some(contact) = contacts::load(tx, &guardian.account)? {
            say(tx, &contact, &Word::Forget(guardians.set))?;
        }
    }
    Ok(())
}
