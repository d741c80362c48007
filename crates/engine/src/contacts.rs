//! Contacts: added, verified, blocked; and what happens when an identity is not the pinned one.

use crate::account;
use crate::content::Head;
use crate::errands;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::evidence::{self, Shown};
use crate::input::{CommandId, VerificationMeans};
use crate::invite::Invite;
use crate::limits;
use crate::logs;
use crate::outbox;
use crate::peers;
use crate::queues;
use crate::receiving;
use crate::records::{Contact, ContactState, Decision, Purpose, Record as _, Trust};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::{Pin, UnverifiedLog, VerifiedLog};
use keys::{AccountId, Timestamp};

/// Reads a contact.
pub(crate) fn load(tx: &Transaction<'_>, id: &AccountId) -> Result<Option<Contact>, EngineError> {
    match tx.get(Table::Contact, id.as_bytes())? {
        Some(bytes) => Ok(Some(Contact::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, contact: &Contact) {
    tx.put(
        Table::Contact,
        contact.id.as_bytes().to_vec(),
        contact.encode(),
    );
}

/// A contact that must be there.
pub(crate) fn existing(tx: &Transaction<'_>, id: &AccountId) -> Result<Contact, EngineError> {
    load(tx, id)?.ok_or(EngineError::UnknownContact)
}

/// The contact's log. It was verified before it was stored; the pin finds a damaged disk.
pub(crate) fn log_of(contact: &Contact) -> Result<VerifiedLog, EngineError> {
    UnverifiedLog::decode(&contact.log)
        .and_then(|log| log.trusted(&contact.id, &contact.pin))
        .map_err(|_| {
            StoreError::Damaged {
                what: "account log of a contact",
            }
            .into()
        })
}

/// Checks a contact that came from elsewhere as a whole record.
pub(crate) fn verify_stored(contact: &Contact) -> Result<(), EngineError> {
    verify(&contact.log, Some(&contact.id), Some(&contact.pin)).map(drop)
}

/// Starts `contact add INVITE`: the relay says whether the ticket still counts.
pub(crate) fn add_by_invite(
    tx: &mut Transaction<'_>,
    command: CommandId,
    text: &str,
    petname: Option<String>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let invite = Invite::from_text(text)?;
    if invite.account == own.id {
        return Err(EngineError::OwnInvite);
    }
    if invite.expires < tx.now {
        return Err(EngineError::InviteExpired);
    }
    // The same person redeeming twice (a crash, a second device) is one use: the nonce is theirs alone.
    let nonce = keys::sha256(&[
        keys::label::REDEEM.as_bytes(),
        &[0],
        &invite.ticket,
        own.id.as_bytes(),
    ]);
    let (nonce, _) = nonce
        .split_first_chunk::<16>()
        .ok_or(EngineError::Internal { what: "nonce" })?;
    let request = wire::Request::RedeemTicket(wire::RedeemTicket {
        ticket: invite.ticket,
        nonce: *nonce,
    });
    let purpose = Purpose::RedeemTicket {
        command,
        invite: text.to_owned(),
        petname,
    };
    outbox::add(tx, purpose, invite.relay, request).map(drop)
}

/// The ticket counted: ask for the log.
pub(crate) fn ticket_redeemed(
    tx: &mut Transaction<'_>,
    command: CommandId,
    text: String,
    petname: Option<String>,
) -> Result<(), EngineError> {
    let invite = Invite::from_text(&text)?;
    let request = wire::Request::FetchLog(wire::FetchLog::ByAccount(invite.account));
    let purpose = Purpose::LogOfInvite {
        command,
        invite: text,
        petname,
    };
    outbox::add(tx, purpose, invite.relay, request).map(drop)
}

/// The log of an invite's account came.
pub(crate) fn log_of_invite(
    tx: &mut Transaction<'_>,
    command: CommandId,
    text: &str,
    petname: Option<String>,
    log: &[u8],
) -> Result<(), EngineError> {
    let invite = Invite::from_text(text)?;
    // SECURITY: the account id of the invite, not of the relay, decides; `relay_swaps_log_of_invite` notices.
    let verified = verify(log, Some(&invite.account), None)?;
    let mut contact = match load(tx, &invite.account)? {
        Some(known) => renamed(tx, known, petname)?,
        None => new_contact(tx, &verified, &invite.name, &invite.relay, petname)?,
    };
    adopt(tx, &mut contact, &verified)?;
    not_ended(&contact)?;
    contact.decide(Trust::ByInvite, tx.now);
    contact.invite_ticket = Some(invite.ticket);
    retire_namesakes(tx, &contact)?;
    store(tx, &contact);
    errands::tell_contact(tx, &contact)?;
    logs::check(tx, &contact.id)?;
    tx.outcome(command, CommandOutcome::ContactAdded(contact.id));
    Ok(())
}

/// Starts `contact add NAME@RELAY`.
pub(crate) fn add_by_name(
    tx: &mut Transaction<'_>,
    command: CommandId,
    name: &str,
    relay: String,
    petname: Option<String>,
) -> Result<(), EngineError> {
    account::own(tx)?;
    account::check_name(name)?;
    let request = wire::Request::FetchLog(wire::FetchLog::ByName(name.to_owned()));
    outbox::add(
        tx,
        Purpose::LogOfName {
            command,
            name: name.to_owned(),
            petname,
        },
        relay,
        request,
    )
    .map(drop)
}

/// The relay said who has a name.
pub(crate) fn log_of_name(
    tx: &mut Transaction<'_>,
    (command, petname): (CommandId, Option<String>),
    name: &str,
    relay: &str,
    log: &[u8],
) -> Result<(), EngineError> {
    let verified = verify(log, None, None)?;
    let id = *verified.account_id();
    if id == account::own(tx)?.id {
        return Err(EngineError::OwnInvite);
    }
    let known = load(tx, &id)?;
    // A stop stays until a person decides: asking again, or a first letter of the newcomer, does not lift it.
    let unmet = known.as_ref().is_none_or(|contact| contact.request);
    let mut namesakes = namesakes(tx, name, relay, &id)?.into_iter();
    if let Some(mut namesake) = namesakes.find(|contact| unmet || !contact.changed) {
        return Err(identity_changed(tx, &mut namesake, log));
    }
    let mut contact = match known {
        Some(known) => renamed(tx, known, petname)?,
        None => new_contact(tx, &verified, name, relay, petname)?,
    };
    adopt(tx, &mut contact, &verified)?;
    contact.request = false;
    store(tx, &contact);
    errands::tell_contact(tx, &contact)?;
    logs::check(tx, &contact.id)?;
    tx.outcome(command, CommandOutcome::ContactAdded(id));
    Ok(())
}

/// The relay said who has the name of a contact, after somebody else claimed it.
pub(crate) fn name_checked(
    tx: &mut Transaction<'_>,
    id: &AccountId,
    log: &[u8],
) -> Result<(), EngineError> {
    let Some(mut contact) = load(tx, id)? else {
        return Ok(());
    };
    let verified = verify(log, None, None)?;
    if verified.account_id() != id {
        let _refusal = identity_changed(tx, &mut contact, log);
    }
    Ok(())
}

/// Notes a comparison out of band. This, or a new invite, also ends a hard stop: a person decided.
pub(crate) fn mark_verified(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &AccountId,
    means: VerificationMeans,
) -> Result<(), EngineError> {
    let contact = existing(tx, id)?;
    let trust = match means {
        VerificationMeans::Invite => Trust::ByInvite,
        VerificationMeans::SafetyNumber => Trust::BySafetyNumber,
    };
    mark(tx, command, contact, trust)
}

/// Refuses a contact whose account has ended: nobody can decide that it goes on.
///
/// # Errors
/// [`EngineError::ContactEnded`].
pub(crate) fn not_ended(contact: &Contact) -> Result<(), EngineError> {
    match log_of(contact)?.is_tombstoned() {
        true => Err(EngineError::ContactEnded),
        false => Ok(()),
    }
}

/// A person made sure of a contact; this also ends a hard stop.
pub(crate) fn mark(
    tx: &mut Transaction<'_>,
    command: CommandId,
    mut contact: Contact,
    trust: Trust,
) -> Result<(), EngineError> {
    not_ended(&contact)?;
    contact.decide(trust, tx.now);
    store(tx, &contact);
    errands::tell_contact(tx, &contact)?;
    outbox::offer_to(tx, &contact.id)?;
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// Another device of ours decided something about a contact.
pub(crate) fn synced(tx: &mut Transaction<'_>, state: &[u8]) -> Result<(), EngineError> {
    let Ok(told) = ContactState::read(state) else {
        return Ok(());
    };
    let Some(mut contact) = load(tx, &told.id)? else {
        if told.id == account::own(tx)?.id {
            return Ok(());
        }
        let request = wire::Request::FetchLog(wire::FetchLog::ByAccount(told.id));
        let purpose = Purpose::LogOfSynced(state.to_vec());
        return outbox::add(tx, purpose, told.relay, request).map(drop);
    };
    if told.blocked && !contact.blocked {
        queues::close_for_contact(tx, &told.id)?;
    }
    if told.petname != contact.petname {
        contact.petname = unused_petname(tx, &told.petname)?;
    }
    // SECURITY: a stop ends when a person decides, not when another device says something else of the contact;
    // `a_stop_outlives_other_news_of_a_contact` notices.
    if told.decision.at > contact.decision.at {
        contact.trust = told.trust;
        contact.changed = told.changed;
        contact.decision = told.decision;
    } else {
        contact.changed |= told.changed;
    }
    contact.blocked = told.blocked;
    contact.request = told.request;
    store(tx, &contact);
    Ok(())
}

/// The log of a contact that another device of ours added came, or its beginning.
pub(crate) fn log_of_synced(
    tx: &mut Transaction<'_>,
    state: &[u8],
    log: &[u8],
) -> Result<(), EngineError> {
    let Ok(told) = ContactState::read(state) else {
        return Ok(());
    };
    if load(tx, &told.id)?.is_none() {
        let log = verify(log, Some(&told.id), None)?;
        if log.is_tombstoned() {
            return Ok(());
        }
        let petname = Some(told.petname.clone());
        let contact = new_contact(tx, &log, &told.name, &told.relay, petname)?;
        store(tx, &contact);
    }
    synced(tx, state)?;
    receiving::file_orphans(tx, &told.id)?;
    let peer = peers::existing(tx, &told.id)?;
    logs::told(tx, &peer, &Head::of(&told.pin))?;
    logs::check(tx, &told.id)
}

/// Blocks a contact: its queue closes, so that its letters do not even reach this device.
pub(crate) fn block(
    tx: &mut Transaction<'_>,
    command: CommandId,
    id: &AccountId,
    blocked: bool,
) -> Result<(), EngineError> {
    let mut contact = existing(tx, id)?;
    if blocked && !contact.blocked {
        queues::close_for_contact(tx, id)?;
    }
    contact.blocked = blocked;
    store(tx, &contact);
    errands::tell_contact(tx, &contact)?;
    outbox::offer_to(tx, id)?;
    tx.outcome(command, CommandOutcome::Done);
    Ok(())
}

/// Verifies a log that a relay or a stranger handed over.
pub(crate) fn verify(
    log: &[u8],
    id: Option<&AccountId>,
    pin: Option<&Pin>,
) -> Result<VerifiedLog, EngineError> {
    UnverifiedLog::decode(log)
        .and_then(|log| log.verify(id, pin))
        .map_err(|error| match (error, id) {
            (_, Some(contact)) => EngineError::BadKeys { contact: *contact },
            (_, None) => EngineError::Protocol,
        })
}

/// The hard stop for a contact that is shown with another log than the pinned one.
pub(crate) fn stop(
    tx: &mut Transaction<'_>,
    id: &AccountId,
    shown: &[u8],
) -> Result<(), EngineError> {
    match load(tx, id)? {
        Some(mut contact) => Err(identity_changed(tx, &mut contact, shown)),
        None => Ok(()),
    }
}

/// The log of a contact went on as its rules say.
pub(crate) fn went_on(
    tx: &mut Transaction<'_>,
    mut contact: Contact,
    before: &VerifiedLog,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    contact.pin = log.head();
    contact.log = log.bytes().to_vec();
    // SECURITY: a new root key is a hard stop although the old one signed it: a thief of that could have, and the
    // safety number that people compared is another one. `a_new_root_key_is_a_hard_stop` notices. Whoever
    // decided on another device of ours had seen it.
    if log.is_tombstoned() && !before.is_tombstoned() {
        contact.changed = true;
        tx.event(Event::ContactEnded {
            contact: contact.id,
        });
    }
    let replaced =
        log.root_key() != before.root_key() && log.root_entry() > contact.decision.sequence;
    if replaced {
        contact.changed = true;
        let shown = Shown::Log(log.bytes().to_vec());
        evidence::keep(tx, &contact.id, before.bytes(), shown)?;
        tx.event(Event::RootReplaced {
            contact: contact.id,
        });
    }
    store(tx, &contact);
    if before.device_list_hash() != log.device_list_hash() {
        tx.event(Event::DevicesChanged {
            contact: contact.id,
        });
    }
    Ok(())
}

/// Takes over the log of a contact that is about to be stored.
fn adopt(
    tx: &mut Transaction<'_>,
    contact: &mut Contact,
    log: &VerifiedLog,
) -> Result<(), EngineError> {
    if load(tx, &contact.id)?.is_none() {
        return Ok(()); // It is new, and was made of this log.
    }
    let peer = peers::existing(tx, &contact.id)?;
    logs::take_over(tx, &peer, log.bytes())?;
    let taken = existing(tx, &contact.id)?;
    contact.log = taken.log;
    contact.pin = taken.pin;
    contact.changed = taken.changed;
    Ok(())
}

/// The hard stop: evidence is kept, sending ends until a person decides.
fn identity_changed(tx: &mut Transaction<'_>, contact: &mut Contact, shown: &[u8]) -> EngineError {
    contact.changed = true;
    store(tx, contact);
    let kept = evidence::keep(tx, &contact.id, &contact.log, Shown::Log(shown.to_vec()));
    if let Err(error) = kept {
        return error;
    }
    tx.event(Event::IdentityChanged {
        contact: contact.id,
    });
    EngineError::IdentityChanged {
        contact: contact.id,
    }
}

/// A person decided for this account: others that hold the same address become history.
fn retire_namesakes(tx: &mut Transaction<'_>, contact: &Contact) -> Result<(), EngineError> {
    for mut other in namesakes(tx, &contact.name, &contact.relay, &contact.id)? {
        other.changed = true;
        if other.petname == contact.petname {
            other.petname = unused_petname(tx, &format!("{}-old", other.petname))?;
        }
        store(tx, &other);
    }
    Ok(())
}

pub(crate) fn new_contact(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    name: &str,
    relay: &str,
    petname: Option<String>,
) -> Result<Contact, EngineError> {
    account::check_name(name)?;
    if log.is_tombstoned() {
        return Err(EngineError::ContactEnded);
    }
    let petname = unused_petname(tx, petname.as_deref().unwrap_or(name))?;
    Ok(Contact {
        id: *log.account_id(),
        petname,
        name: name.to_owned(),
        relay: relay.to_owned(),
        trust: Trust::Claimed,
        changed: false,
        blocked: false,
        request: false,
        log: log.bytes().to_vec(),
        pin: log.head(),
        backup: 0,
        invite_ticket: None,
        decision: Decision::default(),
    })
}

/// A contact that is known already gets the name that was wished for this time.
fn renamed(
    tx: &Transaction<'_>,
    mut contact: Contact,
    petname: Option<String>,
) -> Result<Contact, EngineError> {
    if let Some(petname) = petname.filter(|petname| *petname != contact.petname) {
        contact.petname = unused_petname(tx, &petname)?;
    }
    Ok(contact)
}

/// `bob`, or `bob-2` where there is a bob.
fn unused_petname(tx: &Transaction<'_>, wanted: &str) -> Result<String, EngineError> {
    let taken: Vec<String> = all(tx)?
        .into_iter()
        .map(|contact| contact.petname)
        .collect();
    if !taken.iter().any(|name| name == wanted) {
        return Ok(wanted.to_owned());
    }
    (2..u32::MAX)
        .map(|number| format!("{wanted}-{number}"))
        .find(|name| !taken.contains(name))
        .ok_or(EngineError::Internal { what: "petnames" })
}

/// All contacts. A person has hundreds, not millions; each is a few KiB.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Contact>, EngineError> {
    let mut contacts = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = tx.scan(Table::Contact, &[], after.as_deref(), limits::PAGE)?;
        let Some((last, _)) = rows.last() else {
            return Ok(contacts);
        };
        after = Some(last.clone());
        for (_, bytes) in &rows {
            contacts.push(Contact::decode(bytes)?);
        }
    }
}

/// The other accounts that are known by an address.
pub(crate) fn namesakes(
    tx: &Transaction<'_>,
    name: &str,
    relay: &str,
    id: &AccountId,
) -> Result<Vec<Contact>, EngineError> {
    let mut contacts = all(tx)?;
    contacts.retain(|other| other.name == name && other.relay == relay && other.id != *id);
    Ok(contacts)
}

/// Makes an invite; it is handed out once the relay has noted its ticket.
pub(crate) fn create_invite(
    tx: &mut Transaction<'_>,
    command: CommandId,
    valid_for: u64,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let mut ticket = [0; 16];
    tx.rng.fill_bytes(&mut ticket);
    let valid_for = valid_for.clamp(1, limits::INVITE_SECONDS);
    let expires = Timestamp::from_secs(tx.now.as_secs().saturating_add(valid_for));
    let invite = Invite {
        account: own.id,
        ticket,
        expires,
        name: own.name.clone(),
        relay: own.relay.clone(),
    };
    tx.put(
        Table::Invite,
        ticket.to_vec(),
        zeroize::Zeroizing::new(expires.as_secs().to_be_bytes().to_vec()),
    );
    let request = wire::Request::CreateTicket(wire::CreateTicket {
        ticket_hash: keys::sha256(&[&ticket]),
        expires,
    });
    outbox::add_own(
        tx,
        Purpose::CreateTicket {
            command,
            invite: invite.to_text(),
        },
        request,
    )
}
