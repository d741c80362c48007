//! The side of a link that becomes a device: knocks with the secret, proposes itself, compares, takes over.
//!
//! ```text
//!   Asked ─Answer─► Fetching ─log─► Comparing ─Welcome─► Importing ─all parts─► an account like any other
//! ```
//!
//! The account stands in this home only when everything is here; before that nothing but the link does, and a
//! link that ends leaves the home empty.

use crate::account;
use crate::archive;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::input::CommandId;
use crate::limits;
use crate::link_message::LinkMessage;
use crate::linking;
use crate::outbox;
use crate::queues;
use crate::records::{
    Join, JoinStage, OwnQueue, Part, PartPurpose, Purpose, QueuePurpose, Record as _,
};
use crate::store::Table;
use crate::transaction::Transaction;
use keys::account_log::{DeviceSecrets, Pin, UnverifiedLog, VerifiedLog};
use keys::link::{self, LinkSecret};
use keys::{AccountId, DeviceId, Secret, Suite, X25519Secret};

const JOIN: &[u8] = b"link-join";

fn load(tx: &Transaction<'_>) -> Result<Option<Join>, EngineError> {
    match tx.get(Table::Meta, JOIN)? {
        Some(bytes) => Ok(Some(Join::decode(&bytes)?)),
        None => Ok(None),
    }
}

fn store(tx: &mut Transaction<'_>, join: &Join) {
    tx.put(Table::Meta, JOIN.to_vec(), join.encode());
}

/// The relay of the account that this home is about to join.
pub(crate) fn relay(tx: &Transaction<'_>) -> Result<Option<String>, EngineError> {
    Ok(load(tx)?.map(|join| join.relay))
}

/// Reads the relay from outside a step.
pub(crate) fn relay_of(
    snapshot: &dyn crate::store::Snapshot,
) -> Result<Option<String>, StoreError> {
    let join = snapshot.get(Table::Meta, JOIN)?;
    let join = join.map(|bytes| Join::decode(&bytes)).transpose()?;
    Ok(join.map(|join| join.relay))
}

/// Knocks. Asked again with the same secret it goes on where it was.
pub(crate) fn accept(
    tx: &mut Transaction<'_>,
    command: CommandId,
    secret: &LinkSecret,
    relay: String,
    name: String,
) -> Result<(), EngineError> {
    if account::exists(tx)? {
        return Err(EngineError::AccountExists);
    }
    if relay.is_empty() || relay.len() > limits::RELAY_URL_BYTES {
        return Err(EngineError::InvalidRelay);
    }
    if let Some(mut before) = load(tx)? {
        if before.to == secret.queue_id() {
            before.command = command;
            if before.stage == JoinStage::Comparing {
                tx.event(Event::PairingCode {
                    code: before.pairing.clone(),
                });
            }
            store(tx, &before);
            return Ok(());
        }
        end(tx, &before)?;
    }
    knock(tx, command, secret, relay, name)
}

fn knock(
    tx: &mut Transaction<'_>,
    command: CommandId,
    secret: &LinkSecret,
    relay: String,
    name: String,
) -> Result<(), EngineError> {
    let secrets =
        DeviceSecrets::generate(Suite::Hybrid, tx.rng).map_err(|_| EngineError::Internal {
            what: "cryptographic library",
        })?;
    let mut nonce = [0; 32];
    tx.rng.fill_bytes(&mut nonce);
    let mut join = Join {
        stage: JoinStage::Asked,
        command,
        deadline: tx.now.saturating_add(limits::LINK_SECONDS),
        relay,
        to: secret.queue_id(),
        to_token: secret.send_token(),
        first_key: secret.first_key(),
        psk: secret.psk(),
        queue: keys::QueueId::random(tx.rng),
        secrets,
        name,
        nonce,
        account: AccountId::from_bytes([0; 32]),
        account_name: String::new(),
        old_device: DeviceId::from_bytes([0; 16]),
        old_nonce: [0; 32],
        pin: Pin {
            sequence: 0,
            hash: [0; 64],
        },
        head: [0; 64],
        log: Vec::new(),
        pairing: String::new(),
        same: false,
        parts: Vec::new(),
        total: 0,
    };
    store(tx, &join); // The queue is made at the relay that stands there.
    let token = Secret::random(tx.rng);
    let queue = queues::create_as(tx, QueuePurpose::Link, join.queue, token)?;
    join.queue = queue.id;
    store(tx, &join);
    hello(tx, &join, &queue)
}

/// Says who is there, and commits to the keys and the nonce.
fn hello(tx: &mut Transaction<'_>, join: &Join, queue: &OwnQueue) -> Result<(), EngineError> {
    let message = LinkMessage::Hello {
        queue: queue.id,
        token: queue.token.duplicate(),
        commitment: link::commitment(&join.nonce, &public_keys(&join.secrets)),
        envelope: join.secrets.envelope().public().as_bytes().to_vec(),
    };
    let body = message.seal_first(tx.rng, &join.first_key, &join.to);
    let body = body.map_err(|_| EngineError::LinkStopped)?;
    linking::send(tx, join.relay.clone(), &join.to, &join.to_token, body)
}

/// The account is of another suite than the keys that were made before anybody could tell.
fn other_suite(
    tx: &mut Transaction<'_>,
    mut join: Join,
    queue: &OwnQueue,
    suite: Suite,
) -> Result<(), EngineError> {
    let Some(suite) = turn_to(join.secrets.suite(), suite) else {
        return Ok(());
    };
    join.secrets = join
        .secrets
        .renewed(suite, tx.rng)
        .map_err(|_| EngineError::Internal {
            what: "cryptographic library",
        })?;
    tx.rng.fill_bytes(&mut join.nonce);
    store(tx, &join);
    hello(tx, &join, queue)
}

/// The suite that a newcomer turns to when it is asked for one.
fn turn_to(ours: Suite, asked: Suite) -> Option<Suite> {
    // SECURITY: upwards, and so once at most: who asks again and again learns nothing and moves nobody to weaker keys;
    // `a_newcomer_changes_its_suite_once` notices.
    (asked > ours).then_some(asked)
}

fn public_keys(secrets: &DeviceSecrets) -> Vec<u8> {
    let identity = secrets.identity().map(X25519Secret::public);
    [
        &secrets.device_id().as_bytes()[..],
        identity.as_ref().map_or(&[], |key| &key.as_bytes()[..]),
        secrets.signing().verifying_key().as_bytes(),
        secrets.envelope().public().as_bytes(),
    ]
    .concat()
}

/// A message of the device with authority.
pub(crate) fn received(
    tx: &mut Transaction<'_>,
    queue: &OwnQueue,
    body: &[u8],
) -> Result<(), EngineError> {
    let Some(mut join) = load(tx)?.filter(|join| join.queue == queue.id) else {
        return Ok(());
    };
    let message = LinkMessage::open(join.secrets.envelope(), &join.psk, &queue.id, body);
    let Ok(message) = message else { return Ok(()) };
    match (join.stage, message) {
        (JoinStage::Asked, LinkMessage::Suite(suite)) => other_suite(tx, join, queue, suite),
        (JoinStage::Asked, answer @ LinkMessage::Answer { .. })
        | (JoinStage::Comparing, answer @ LinkMessage::Answer { .. }) => answered(tx, join, answer),
        (JoinStage::Comparing, LinkMessage::Welcome { entries, parts }) => {
            // SECURITY: not before a person said that the codes are equal; O sends it only then, but O may lie.
            if !join.same {
                return fail(tx, &join, EngineError::LinkStopped);
            }
            let log = wire::RawLog::parse(&join.log)
                .and_then(|log| log.with(&entries))
                .map_err(|_| EngineError::Protocol)?;
            let log = verify(&join, &log)?;
            let own = log.device(join.secrets.device_id());
            if own.is_none() {
                return fail(tx, &join, EngineError::LinkStopped);
            }
            join.log = log.bytes().to_vec();
            join.total = u64::try_from(parts.len()).unwrap_or(u64::MAX);
            join.parts = parts;
            join.stage = JoinStage::Importing;
            join.deadline = tx.now.saturating_add(limits::LINK_INSTALL_SECONDS);
            store(tx, &join);
            next(tx, join)
        }
        (_, LinkMessage::Stop) => fail(tx, &join, EngineError::LinkStopped),
        _ => Ok(()),
    }
}

fn answered(
    tx: &mut Transaction<'_>,
    mut join: Join,
    answer: LinkMessage,
) -> Result<(), EngineError> {
    let LinkMessage::Answer {
        account,
        name,
        pin,
        device,
        nonce,
    } = answer
    else {
        return Ok(());
    };
    let first = join.stage == JoinStage::Asked;
    if !first && (account != join.account || nonce != join.old_nonce) {
        return fail(tx, &join, EngineError::LinkStopped);
    }
    account::check_name(&name)?;
    if first {
        join.head = pin.hash;
        join.stage = JoinStage::Fetching;
    }
    join.account = account;
    join.account_name = name;
    join.pin = pin;
    join.old_device = device;
    join.old_nonce = nonce;
    join.log = Vec::new();
    store(tx, &join);
    fetch(tx, &join)
}

fn fetch(tx: &mut Transaction<'_>, join: &Join) -> Result<(), EngineError> {
    let request = wire::Request::FetchLog(wire::FetchLog::ByAccount(join.account));
    outbox::add(tx, Purpose::LogOfLink, join.relay.clone(), request).map(drop)
}

/// The relay told the log of the account, or its beginning.
pub(crate) fn log_came(tx: &mut Transaction<'_>, log: &[u8]) -> Result<(), EngineError> {
    let Some(join) = load(tx)? else {
        return Ok(());
    };
    let raw = wire::RawLog::parse(log).map_err(|_| EngineError::Protocol)?;
    if raw.head() < join.pin.sequence {
        let mut join = join;
        join.log = log.to_vec();
        store(tx, &join);
        let request = wire::Request::CheckLog(wire::CheckLog {
            account: join.account,
            sequence: raw.head(),
        });
        return outbox::add(tx, Purpose::LogOfLink, join.relay, request).map(drop);
    }
    // The other device signs on top of what it knows; if there is more, the relay tells it.
    let log = raw
        .until(join.pin.sequence)
        .map_err(|_| EngineError::Protocol)?;
    propose(tx, join, &log)
}

/// More of a long log came.
pub(crate) fn more_came(
    tx: &mut Transaction<'_>,
    entries: &wire::Entries,
) -> Result<(), EngineError> {
    let Some(join) = load(tx)? else {
        return Ok(());
    };
    let log = wire::RawLog::parse(&join.log)
        .and_then(|log| log.with(&entries.entries))
        .map_err(|_| EngineError::Protocol)?;
    log_came(tx, &log)
}

fn verify(join: &Join, log: &[u8]) -> Result<VerifiedLog, EngineError> {
    // SECURITY: the account and its head came from the device with authority, under the secret; what the relay
    // shows must fit both. `relay_swaps_the_log_of_a_link` notices.
    UnverifiedLog::decode(log)
        .and_then(|log| log.verify(Some(&join.account), Some(&join.pin)))
        .map_err(|error| EngineError::LogRefuses { error })
}

fn propose(tx: &mut Transaction<'_>, mut join: Join, log: &[u8]) -> Result<(), EngineError> {
    let verified = match verify(&join, log) {
        Ok(verified) => verified,
        Err(error) => {
            say(tx, &join, &LinkMessage::Stop)?;
            return fail(tx, &join, error);
        }
    };
    join.log = log.to_vec();
    let proposal = verified
        .propose_add(&join.secrets, true, tx.now)
        .map_err(|error| EngineError::LogRefuses { error })?;
    let message = LinkMessage::Proposal {
        nonce: join.nonce,
        proposal: proposal.encode(),
        name: join.name.clone(),
    };
    let first = join.stage == JoinStage::Fetching;
    if first {
        let keys = public_keys(&join.secrets);
        let (nonce, old) = (&join.nonce, &join.old_nonce);
        join.pairing = link::pairing_code(nonce, old, &keys, &join.account, &join.head);
        join.stage = JoinStage::Comparing;
    }
    store(tx, &join);
    say(tx, &join, &message)?;
    if first {
        tx.event(Event::PairingCode { code: join.pairing });
    }
    Ok(())
}

fn say(tx: &mut Transaction<'_>, join: &Join, message: &LinkMessage) -> Result<(), EngineError> {
    let log = if join.log.is_empty() {
        None
    } else {
        UnverifiedLog::decode(&join.log)
            .and_then(|log| log.verify(Some(&join.account), None))
            .ok()
    };
    let Some(to) = log.as_ref().and_then(|log| log.device(&join.old_device)) else {
        return Ok(()); // Nothing is known yet of whom to tell.
    };
    let body = message.seal(tx.rng, to.envelope(), &join.psk, &join.to);
    let body = body.map_err(|_| EngineError::LinkStopped)?;
    linking::send(tx, join.relay.clone(), &join.to, &join.to_token, body)
}

/// A person compared the codes on this device.
pub(crate) fn confirm(tx: &mut Transaction<'_>, same: bool) -> Result<(), EngineError> {
    let fits = |join: &Join| match same {
        true => join.stage == JoinStage::Comparing,
        false => join.stage <= JoinStage::Comparing,
    };
    let join = load(tx)?.filter(fits);
    let mut join = join.ok_or(EngineError::NoLink)?;
    if !same {
        say(tx, &join, &LinkMessage::Stop)?;
        return fail(tx, &join, EngineError::LinkStopped);
    }
    join.same = true;
    store(tx, &join);
    say(tx, &join, &LinkMessage::Same)
}

/// Asks for the next part, or becomes a device where all are here.
fn next(tx: &mut Transaction<'_>, join: Join) -> Result<(), EngineError> {
    match join.parts.first() {
        Some(part) => {
            archive::fetch(tx, part, &join.relay, PartPurpose::Link);
            Ok(())
        }
        None => install(tx, join),
    }
}

/// A part came.
pub(crate) fn part_came(
    tx: &mut Transaction<'_>,
    part: &Part,
    sealed: &[u8],
) -> Result<(), EngineError> {
    let Some(mut join) = load(tx)?.filter(|join| join.stage == JoinStage::Importing) else {
        return Ok(());
    };
    if join
        .parts
        .first()
        .is_none_or(|first| first.blob != part.blob)
    {
        return Ok(());
    }
    let first = join.parts.remove(0);
    let opened = match archive::open(&first, sealed) {
        Ok(opened) => opened,
        Err(error) => return fail(tx, &join, error),
    };
    archive::take_in(tx, &opened)?;
    store(tx, &join);
    let left = u64::try_from(join.parts.len()).unwrap_or(u64::MAX);
    tx.event(Event::LinkProgress {
        done: join.total.saturating_sub(left),
        total: join.total,
    });
    next(tx, join)
}

/// A part is not to be had.
pub(crate) fn part_failed(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)?.filter(|join| join.stage == JoinStage::Importing) {
        Some(join) => {
            say(tx, &join, &LinkMessage::Stop)?;
            fail(tx, &join, EngineError::BadArchive)
        }
        None => Ok(()),
    }
}

/// The home has its account.
fn install(tx: &mut Transaction<'_>, join: Join) -> Result<(), EngineError> {
    say(tx, &join, &LinkMessage::Installed)?;
    let queue = queues::load(tx, &join.queue)?;
    let device = account::install(
        tx,
        account::Arrival {
            name: join.account_name,
            relay: join.relay,
            id: join.account,
            secrets: join.secrets,
            root: None,
            log: join.log,
            device_name: join.name,
        },
    )?;
    tx.delete(Table::Meta, JOIN.to_vec());
    if let Some(queue) = queue {
        queues::close(tx, &queue)?;
    }
    tx.event(Event::DeviceLinked { device });
    tx.outcome(join.command, CommandOutcome::Linked(device));
    Ok(())
}

/// The relay knows no queue of this secret, or no such account.
pub(crate) fn refused(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)?.filter(|join| join.stage <= JoinStage::Fetching) {
        Some(join) => fail(tx, &join, EngineError::LinkExpired),
        None => Ok(()),
    }
}

/// What came cannot be used.
pub(crate) fn broken(tx: &mut Transaction<'_>, error: EngineError) -> Result<(), EngineError> {
    match load(tx)? {
        Some(join) => {
            say(tx, &join, &LinkMessage::Stop)?;
            fail(tx, &join, error)
        }
        None => Ok(()),
    }
}

fn fail(tx: &mut Transaction<'_>, join: &Join, error: EngineError) -> Result<(), EngineError> {
    end(tx, join)?;
    tx.event(Event::LinkEnded {
        error: error.clone(),
    });
    tx.outcome(join.command, CommandOutcome::Failed(error));
    Ok(())
}

/// Nothing of the link is left, nor of what it brought.
fn end(tx: &mut Transaction<'_>, join: &Join) -> Result<(), EngineError> {
    if let Some(queue) = queues::load(tx, &join.queue)? {
        queues::close(tx, &queue)?;
    }
    tx.delete(Table::Meta, JOIN.to_vec());
    outbox::forget(tx, |purpose| matches!(purpose, Purpose::LogOfLink))?;
    if join.stage == JoinStage::Importing {
        if let Some(part) = join.parts.first() {
            archive::forget(tx, &part.blob);
        }
        archive::forget_all(tx)?;
    }
    Ok(())
}

/// Ends what took too long.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    match load(tx)?.filter(|join| join.deadline < tx.now) {
        Some(join) => {
            say(tx, &join, &LinkMessage::Stop)?;
            fail(tx, &join, EngineError::LinkExpired)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_changes_its_suite_once() {
        let (weak, strong) = (Suite::Hybrid, Suite::Cnsa2);
        assert_eq!(turn_to(weak, strong), Some(strong));
        for (ours, asked) in [(strong, weak), (strong, strong), (weak, weak)] {
            assert_eq!(turn_to(ours, asked), None);
        }
    }
}
